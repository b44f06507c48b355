// The bytes of each value on each system, written down from the C structs, not computed.
// What the kernel makes of them: matrix_test.ts. Addresses alone: ../sockaddr_test.ts. Offsets against the headers: ../headers_test.ts.
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { codecsOf, type CodecValues, type OptionCodec } from "../../internal/codec.ts";
import { type OptionSpec, specOf, writeOption } from "../../internal/option_call.ts";
import type { OperatingSystem } from "../../internal/os.ts";
import type { CodecName } from "../../internal/sockopt.ts";
import { test } from "../needs.ts";
import { AF_INET, IPPROTO_TCP, peek, RAW, RawSocket, SOCK_STREAM } from "../raw_socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SYSTEMS: readonly OperatingSystem[] = ["linux", "darwin", "windows"];

/** Bytes from numbers and runs of zeros: `bytes(1, zeros(3))`. */
function bytes(...parts: readonly (number | readonly number[])[]): Bytes {
  return Uint8Array.from(parts.flat());
}

function zeros(count: number): number[] {
  return new Array(count).fill(0);
}

const GROUP = [239, 1, 2, 3], LO = [127, 0, 0, 1], SOURCE = [10, 0, 0, 9];
const GROUP6 = [0xff, 2, ...zeros(12), 0x12, 0x34], SOURCE6 = [0x20, 1, 0x0d, 0xb8, ...zeros(11), 9];
const ALL_BUT_128_129 = [...new Array(16).fill(0xff), 0xfc, ...new Array(15).fill(0xff)];

/** A value and its bytes: on all systems, or on each that has such a value. */
interface Sample<N extends CodecName> {
  readonly value: CodecValues[N];
  readonly all?: Bytes;
  readonly linux?: Bytes;
  readonly darwin?: Bytes;
  readonly windows?: Bytes;
  /** What the bytes are read as where they are only read, or where it is not the value. */
  readonly reads?: unknown;
  /** "encode" is for values that are only written. */
  readonly only?: "encode" | "decode";
}

const SAMPLES: { readonly [N in CodecName]: readonly Sample<N>[] } = {
  // int, 0 or 1
  flag: [{ value: true, all: bytes(1, 0, 0, 0) }, { value: false, all: bytes(0, 0, 0, 0) }],
  flagAsSize: [{ value: true, all: bytes(255, 255, 0, 0) }, { value: false, all: bytes(0, 0, 0, 0) }],
  sizeAsFlag: [{ value: 256, all: bytes(1, 0, 0, 0), reads: 1 }, { value: 0, all: bytes(0, 0, 0, 0) }],
  int: [{ value: -2, all: bytes(0xfe, 0xff, 0xff, 0xff) }, { value: 0x01020304, all: bytes(4, 3, 2, 1) }],
  size: [{ value: 0x7fffffff, all: bytes(0xff, 0xff, 0xff, 0x7f) }],
  uint: [{ value: 0xfffffffe, all: bytes(0xfe, 0xff, 0xff, 0xff) }],
  word: [{ value: 0x1234, all: bytes(0x34, 0x12, 0, 0) }, { value: 65535, all: bytes(0xff, 0xff, 0, 0) }],
  byte: [{ value: 255, all: bytes(255, 0, 0, 0) }],
  hops: [{ value: -1, all: bytes(255, 255, 255, 255) }, { value: 64, all: bytes(64, 0, 0, 0) }],
  advice: [{ value: 1, all: bytes(1, 0, 0, 0), only: "encode" }],
  sourcePreferences: [{ value: 0x507, all: bytes(7, 5, 0, 0) }],
  uint64: [{ value: 0x0102030405060708n, all: bytes(8, 7, 6, 5, 4, 3, 2, 1) }, {
    value: 2n ** 64n - 1n,
    all: bytes(new Array(8).fill(255)),
  }],
  none: [{ value: undefined, all: bytes(0, 0, 0, 0) }],
  text: [{ value: "tls", all: bytes(0x74, 0x6c, 0x73, 0) }, { value: "é", all: bytes(0xc3, 0xa9, 0) }],
  interfaceName: [{ value: "eth0", all: bytes(0x65, 0x74, 0x68, 0x30, 0) }, { value: "", all: bytes(0) }],
  algorithm: [{ value: "bbr", all: bytes(0x62, 0x62, 0x72, 0) }],
  bytes: [{ value: bytes(1, 2, 3), all: bytes(1, 2, 3) }],
  packetInfo6: [
    // struct in6_pktinfo { struct in6_addr ipi6_addr; unsigned int ipi6_ifindex; }
    { value: bytes(zeros(16), 2, 0, 0, 0), all: bytes(zeros(16), 2, 0, 0, 0) },
    { value: bytes(SOURCE6, 2, 0, 0, 0), darwin: bytes(SOURCE6, 2, 0, 0, 0), windows: bytes(SOURCE6, 2, 0, 0, 0) },
  ],
  repairWindow: [{ value: bytes(1, zeros(19)), all: bytes(1, zeros(19)) }],

  // struct linger { int l_onoff; int l_linger; }, on Windows two u_short
  linger: [{
    value: { enabled: true, seconds: 300 },
    linux: bytes(1, 0, 0, 0, 0x2c, 1, 0, 0),
    darwin: bytes(1, 0, 0, 0, 0x2c, 1, 0, 0),
    windows: bytes(1, 0, 0x2c, 1),
  }, {
    value: { enabled: false, seconds: 0 },
    linux: bytes(zeros(8)),
    darwin: bytes(zeros(8)),
    windows: bytes(zeros(4)),
  }],
  // struct timeval { long tv_sec; long tv_usec; }, tv_usec is an int and padding on macOS; DWORD milliseconds on Windows
  timeval: [{
    value: { seconds: 3, microseconds: 500_000 },
    linux: bytes(3, zeros(7), 0x20, 0xa1, 7, 0, 0, 0, 0, 0),
    darwin: bytes(3, zeros(7), 0x20, 0xa1, 7, 0, 0, 0, 0, 0),
    windows: bytes(0xac, 0x0d, 0, 0),
  }],
  // milliseconds; whole seconds on macOS, rounded up
  userTimeout: [
    { value: 2000, linux: bytes(0xd0, 7, 0, 0), darwin: bytes(2, 0, 0, 0), windows: bytes(0xd0, 7, 0, 0) },
    { value: 1500, darwin: bytes(2, 0, 0, 0), reads: 2000 },
    { value: 1, darwin: bytes(1, 0, 0, 0), reads: 1000 },
    { value: 0, all: bytes(0, 0, 0, 0) },
  ],
  // struct ucred { pid_t pid; uid_t uid; gid_t gid; };
  // struct xucred { u_int cr_version; uid_t cr_uid; short cr_ngroups; gid_t cr_groups[16]; }
  credentials: [{
    value: { pid: 258, uid: 1000, gid: 100 },
    linux: bytes(2, 1, 0, 0, 0xe8, 3, 0, 0, 100, 0, 0, 0),
    only: "decode",
  }, {
    value: { uid: 501, gid: 20 },
    darwin: bytes(0, 0, 0, 0, 0xf5, 1, 0, 0, 2, 0, 0, 0, 20, 0, 0, 0, 12, 0, 0, 0, zeros(56)),
    only: "decode",
  }],
  groups: [{ value: [0, 0xfffffffe], all: bytes(0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff), only: "decode" }],
  memberships: [
    { value: [], all: bytes(0, 0, 0, 0), only: "decode" },
    { value: [1, 9, 32, 33], all: bytes(1, 1, 0, 0x80, 1, 0, 0, 0), only: "decode" },
  ],
  memoryInfo: [{ value: [0, 0x34000], all: bytes(0, 0, 0, 0, 0, 0x40, 3, 0), only: "decode" }],
  filterProgram: [], // below: its address is not known beforehand
  // struct sock_txtime { clockid_t clockid; __u32 flags; }
  transmitTime: [
    { value: { clock: "tai", deadlineMode: true, reportErrors: true }, linux: bytes(11, 0, 0, 0, 3, 0, 0, 0) },
    { value: { clock: "monotonic", deadlineMode: false, reportErrors: true }, linux: bytes(1, 0, 0, 0, 2, 0, 0, 0) },
  ],
  portRange: [{ value: { low: 40_000, high: 40_100 }, all: bytes(0x40, 0x9c, 0xa4, 0x9c) }, {
    value: { low: 0, high: 0 },
    all: bytes(0, 0, 0, 0),
  }],
  // struct ip6_mtuinfo { struct sockaddr_in6 ip6m_addr; uint32_t ip6m_mtu; }
  pathMtu: [{ value: 1500, all: bytes(zeros(28), 0xdc, 5, 0, 0), only: "decode" }],
  interfaceIndex: [{ value: 1, all: bytes(1, 0, 0, 0) }, { value: 0, all: bytes(0, 0, 0, 0) }],
  // htonl() on Linux and Windows, not on macOS
  interfaceIndexNet: [{ value: 1, linux: bytes(0, 0, 0, 1), darwin: bytes(1, 0, 0, 0), windows: bytes(0, 0, 0, 1) }],
  ipv4Address: [{ value: "192.0.2.1", all: bytes(192, 0, 2, 1) }],
  // struct ip_mreqn { imr_multiaddr; imr_address; int imr_ifindex; }; struct ip_mreq { imr_multiaddr; imr_interface; }
  mreq: [{
    value: { group: "239.1.2.3", interface: "lo" },
    linux: bytes(GROUP, zeros(4), 1, 0, 0, 0),
    darwin: bytes(GROUP, zeros(4), 1, 0, 0, 0),
    windows: bytes(GROUP, LO),
    only: "encode",
  }, { value: { group: "239.1.2.3" }, linux: bytes(GROUP, zeros(8)), windows: bytes(GROUP, zeros(4)), only: "encode" }],
  // struct ip_mreq_source { imr_multiaddr; imr_interface; imr_sourceaddr; }, the last two the other way round elsewhere
  mreqSource: [{
    value: { group: "239.1.2.3", source: "10.0.0.9", interface: "lo" },
    linux: bytes(GROUP, LO, SOURCE),
    darwin: bytes(GROUP, SOURCE, LO),
    windows: bytes(GROUP, SOURCE, LO),
    only: "encode",
  }],
  // struct ipv6_mreq { struct in6_addr ipv6mr_multiaddr; unsigned int ipv6mr_interface; }
  mreq6: [
    { value: { group: "ff02::1234", interface: "lo" }, all: bytes(GROUP6, 1, 0, 0, 0), only: "encode" },
    { value: { group: "ff02::1234%lo" }, all: bytes(GROUP6, 1, 0, 0, 0), only: "encode" },
    { value: { group: "ff02::1234%1" }, all: bytes(GROUP6, 1, 0, 0, 0), only: "encode" },
  ],
  anycast: [{ value: { group: "2001:db8::9", interface: 1 }, linux: bytes(SOURCE6, 1, 0, 0, 0), only: "encode" }],
  // struct group_req { uint32_t gr_interface; struct sockaddr_storage gr_group; }, aligned to 8 but on macOS
  groupRequest: [{
    value: { group: "239.1.2.3", interface: "lo" },
    linux: bytes(1, 0, 0, 0, zeros(4), 2, 0, 0, 0, GROUP, zeros(120)),
    darwin: bytes(1, 0, 0, 0, 16, 2, 0, 0, GROUP, zeros(120)),
    windows: bytes(1, 0, 0, 0, zeros(4), 2, 0, 0, 0, GROUP, zeros(120)),
    only: "encode",
  }, {
    value: { group: "ff02::1234", interface: "lo" },
    linux: bytes(1, 0, 0, 0, zeros(4), 10, 0, zeros(6), GROUP6, zeros(104)),
    darwin: bytes(1, 0, 0, 0, 28, 30, zeros(6), GROUP6, zeros(104)),
    windows: bytes(1, 0, 0, 0, zeros(4), 23, 0, zeros(6), GROUP6, zeros(104)),
    only: "encode",
  }],
  // struct group_source_req { uint32_t gsr_interface; struct sockaddr_storage gsr_group, gsr_source; }
  groupSourceRequest: [{
    value: { group: "239.1.2.3", source: "10.0.0.9", interface: "lo" },
    linux: bytes(1, 0, 0, 0, zeros(4), 2, 0, 0, 0, GROUP, zeros(120), 2, 0, 0, 0, SOURCE, zeros(120)),
    darwin: bytes(1, 0, 0, 0, 16, 2, 0, 0, GROUP, zeros(120), 16, 2, 0, 0, SOURCE, zeros(120)),
    windows: bytes(1, 0, 0, 0, zeros(4), 2, 0, 0, 0, GROUP, zeros(120), 2, 0, 0, 0, SOURCE, zeros(120)),
    only: "encode",
  }, {
    value: { group: "ff02::1234", source: "2001:db8::9", interface: "lo" },
    linux: bytes(1, 0, 0, 0, zeros(4), 10, 0, zeros(6), GROUP6, zeros(104), 10, 0, zeros(6), SOURCE6, zeros(104)),
    darwin: bytes(1, 0, 0, 0, 28, 30, zeros(6), GROUP6, zeros(104), 28, 30, zeros(6), SOURCE6, zeros(104)),
    windows: bytes(1, 0, 0, 0, zeros(4), 23, 0, zeros(6), GROUP6, zeros(104), 23, 0, zeros(6), SOURCE6, zeros(104)),
    only: "encode",
  }],
  // struct group_filter { gf_interface; gf_group; uint32_t gf_fmode, gf_numsrc; struct sockaddr_storage gf_slist[1]; }
  groupFilter: [{
    value: { group: "239.1.2.3", mode: "include", sources: ["10.0.0.9", "127.0.0.1"], interface: "lo" },
    linux: bytes(
      [1, 0, 0, 0, ...zeros(4), 2, 0, 0, 0, ...GROUP, ...zeros(120), 1, 0, 0, 0, 2, 0, 0, 0],
      [2, 0, 0, 0, ...SOURCE, ...zeros(120), 2, 0, 0, 0, ...LO, ...zeros(120)],
    ),
    only: "encode",
  }, {
    value: { group: "239.1.2.3", mode: "exclude", sources: [], interface: "lo" },
    linux: bytes(1, 0, 0, 0, zeros(4), 2, 0, 0, 0, GROUP, zeros(120), zeros(8), zeros(128)),
    only: "encode",
  }],
  socketAddress: [{
    value: { family: "inet", hostname: "192.0.2.1", port: 8080 },
    linux: bytes(2, 0, 0x1f, 0x90, 192, 0, 2, 1, zeros(8)),
    darwin: bytes(16, 2, 0x1f, 0x90, 192, 0, 2, 1, zeros(8)),
    windows: bytes(2, 0, 0x1f, 0x90, 192, 0, 2, 1, zeros(8)),
    only: "decode",
  }, {
    value: { family: "inet6", hostname: "2001:db8::9%2", port: 8080, flowInfo: 0x12345 },
    linux: bytes(10, 0, 0x1f, 0x90, 0, 1, 0x23, 0x45, SOURCE6, 2, 0, 0, 0),
    darwin: bytes(28, 30, 0x1f, 0x90, 0, 1, 0x23, 0x45, SOURCE6, 2, 0, 0, 0),
    windows: bytes(23, 0, 0x1f, 0x90, 0, 1, 0x23, 0x45, SOURCE6, 2, 0, 0, 0),
    only: "decode",
  }],
  // struct packet_mreq { int mr_ifindex; unsigned short mr_type, mr_alen; unsigned char mr_address[8]; }
  packetMreq: [
    {
      value: { interface: "lo", type: "multicast", address: "01:00:5e:00:00:fb" },
      linux: bytes(1, 0, 0, 0, 0, 0, 6, 0, 1, 0, 0x5e, 0, 0, 0xfb, 0, 0),
      only: "encode",
    },
    { value: { interface: "lo", type: "promiscuous" }, linux: bytes(1, 0, 0, 0, 1, 0, zeros(10)), only: "encode" },
    { value: { interface: "lo", type: "allMulticast" }, linux: bytes(1, 0, 0, 0, 2, 0, zeros(10)), only: "encode" },
    {
      value: { interface: 1, type: "unicast", address: "02:00:00:00:00:01" },
      linux: bytes(1, 0, 0, 0, 3, 0, 6, 0, 2, 0, 0, 0, 0, 1, 0, 0),
      only: "encode",
    },
  ],
  // struct tpacket_stats { unsigned int tp_packets, tp_drops; }
  packetStatistics: [{ value: { packets: 258, drops: 3 }, linux: bytes(2, 1, 0, 0, 3, 0, 0, 0), only: "decode" }],
  // the lower half the group, the upper the mode and PACKET_FANOUT_FLAG_DEFRAG (0x8000)
  packetFanout: [
    { value: { id: 4242, mode: "rollover", defragment: true }, linux: bytes(0x92, 0x10, 3, 0x80) },
    { value: { id: 1, mode: "ebpf", defragment: false }, linux: bytes(1, 0, 7, 0) },
  ],
  // struct icmp_filter { __u32 data; }: a bit for each type that is dropped
  icmpFilter: [{ value: [0, 8], linux: bytes(0xfe, 0xfe, 0xff, 0xff) }, {
    value: [],
    linux: bytes(255, 255, 255, 255),
  }],
  // struct icmp6_filter { uint32_t icmp6_filt[8]; }: the same, but on macOS a bit for each type that passes
  icmp6Filter: [{
    value: [128, 129],
    linux: bytes(ALL_BUT_128_129),
    darwin: bytes(zeros(16), 3, zeros(15)),
  }],
  // struct bt_security { uint8_t level; uint8_t key_size; }
  bluetoothSecurity: [
    { value: { level: "sdp", keySize: 0 }, all: bytes(0, 0) },
    { value: { level: "medium", keySize: 16 }, all: bytes(2, 16) },
    { value: { level: "fips", keySize: 7 }, all: bytes(4, 7) },
  ],
  // struct hci_filter { uint32_t type_mask; uint32_t event_mask[2]; uint16_t opcode; }
  hciFilter: [{
    value: { typeMask: 0x10, eventMask: 0x2000_0000_0000_4001n, opcode: 0x0c03 },
    all: bytes(0x10, 0, 0, 0, 1, 0x40, 0, 0, 0, 0, 0, 0x20, 3, 0x0c, 0, 0),
  }],
  tcpInfo: [], // below
};

const names = Object.keys(SAMPLES) as CodecName[];

Deno.test("every codec has samples here, on every system", () => {
  for (const os of SYSTEMS) assertEquals(Object.keys(codecsOf(os)).sort(), [...names].sort(), os);
});

for (const os of SYSTEMS) {
  test(`values become the bytes of ${os}'s C types, and come back`, RAW, () => {
    const codecs = codecsOf(os) as Readonly<Record<string, OptionCodec<unknown>>>;
    for (const name of names) {
      const codec = codecs[name]!;
      for (const sample of SAMPLES[name] as readonly Sample<CodecName>[]) {
        const expected = sample[os] ?? sample.all;
        if (expected === undefined) continue;
        if (sample.only !== "decode") {
          assertEquals(
            codec.encode(sample.value).slice(),
            expected,
            `${name} of ${JSON.stringify(sample.value, shown)}`,
          );
        } else assertThrows(() => codec.encode(sample.value), Error, "this option cannot be written");
        if (sample.only !== "encode") {
          assertEquals(codec.decode(expected.slice()), sample.reads ?? sample.value, `${name} of ${expected}`);
        } else assertThrows(() => codec.decode(expected.slice()), Error, "this option cannot be read");
        if (sample.only !== "encode") {
          assert(codec.byteLength >= expected.byteLength, `${name}: room for ${expected.byteLength} bytes`);
        }
      }
    }
  });
}

function shown(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}

test("what macOS rounds is what was written: a limit in milliseconds that reads back in whole seconds", RAW, () => {
  using socket = RawSocket.open(AF_INET, SOCK_STREAM);
  // Linux has the same number for other milliseconds: what matters is that it gives back what it was given.
  const spec: OptionSpec = {
    ...specOf("TCP_USER_TIMEOUT"),
    codec: codecsOf("darwin").userTimeout as OptionCodec<unknown>,
    exact: true,
  };
  assertEquals(writeOption(spec, socket, 1500), 2000);
  assertEquals(socket.getInt(IPPROTO_TCP, 18), 2);
});

test("packetInfo6 refuses an address on Linux alone, which does nothing with it", RAW, () => {
  const value = bytes(SOURCE6, 2, 0, 0, 0);
  assertThrows(() => codecsOf("linux").packetInfo6.encode(value), RangeError, "the address must be ::");
  assertEquals(codecsOf("darwin").packetInfo6.encode(value), value);
});

test("filterProgram is struct sock_fprog, with the address of its instructions", RAW, () => {
  const program = [
    { code: 0x15, jt: 1, jf: 0, k: 0x0800 },
    { code: 6, jt: 0, jf: 0, k: 2 },
    { code: 6, jt: 0, jf: 0, k: 0xffffffff },
  ];
  const encoded = codecsOf("linux").filterProgram.encode(program);
  assertEquals(encoded.byteLength, 16);
  assertEquals(encoded.slice(0, 8), bytes(3, 0, zeros(6)));
  const address = new DataView(encoded.buffer).getBigUint64(8, true);
  assertEquals(
    peek(address, 24),
    bytes(0x15, 0, 1, 0, 0, 8, 0, 0, 6, 0, 0, 0, 2, 0, 0, 0, 6, 0, 0, 0, 255, 255, 255, 255),
  );
});

Deno.test("ints of one byte are read as what they are, longer answers by their first four bytes", () => {
  const { int, flag, uint64, uint } = codecsOf("linux");
  assertEquals(int.decode(bytes(200)), 200);
  assertEquals(flag.decode(bytes(1)), true);
  assertEquals(flag.decode(bytes(0, 1)), true);
  assertEquals(int.decode(bytes(1, 0, 0, 0, 9)), 1);
  assertEquals(uint.decode(bytes(255, 255, 255, 255)), 4294967295);
  assertEquals(uint64.decode(bytes(255, 255, 255, 255)), 4294967295n);
});

Deno.test("text ends at its NUL, or with the answer", () => {
  const { text, algorithm } = codecsOf("linux");
  assertEquals(text.decode(bytes(0x61, 0x62)), "ab");
  assertEquals(algorithm.decode(bytes(0x61, 0x62, 0, 0x63)), "ab");
  assertEquals(text.decode(bytes()), "");
});

Deno.test("what is encoded next does not change bytes that structs gave out", () => {
  const { linger } = codecsOf("linux");
  const first = linger.encode({ enabled: true, seconds: 1 });
  linger.encode({ enabled: false, seconds: 2 });
  assertEquals(first, bytes(1, 0, 0, 0, 1, 0, 0, 0));
});

/** Pseudo-random numbers below a limit, the same in every run (mulberry32). */
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) % below;
  };
}

// ---- Widths, limits and rounding that one sample does not show ----

function encoded<N extends CodecName>(os: OperatingSystem, name: N, value: CodecValues[N]): string {
  const codec = codecsOf(os)[name] as unknown as OptionCodec<CodecValues[N]>;
  return codec.encode(value).toHex();
}

Deno.test("timeval has microseconds of 32 bits on macOS: what lies behind them is no part of the number", () => {
  const value = bytes(1, zeros(7), 0x20, 0xa1, 7, 0, 255, 255, 255, 255);
  assertEquals(codecsOf("darwin").timeval.decode(value), { seconds: 1, microseconds: 500_000 });
});

Deno.test("timeval on Windows is rounded up, so that a limit never ends early nor turns into none", () => {
  assertEquals(encoded("windows", "timeval", { seconds: 0, microseconds: 0 }), "00000000");
  assertEquals(encoded("windows", "timeval", { seconds: 0, microseconds: 1 }), "01000000");
  assertEquals(encoded("windows", "timeval", { seconds: 0, microseconds: 999_001 }), "e8030000");
  assertEquals(encoded("windows", "timeval", { seconds: 4_294_967, microseconds: 295_000 }), "ffffffff");
  const { timeval } = codecsOf("windows");
  assertThrows(() => timeval.encode({ seconds: 4_294_967, microseconds: 295_001 }), RangeError, "the time in millisec");
  for (const os of SYSTEMS) {
    const { timeval } = codecsOf(os);
    assertThrows(() => timeval.encode({ seconds: 0, microseconds: 1_000_000 }), RangeError, "microseconds is 1000000");
  }
});

Deno.test("linger takes as many seconds as the system counts, and not one more", () => {
  assertEquals(encoded("linux", "linger", { enabled: true, seconds: 2 ** 31 - 1 }), "01000000ffffff7f");
  assertEquals(encoded("darwin", "linger", { enabled: true, seconds: 32767 }), "01000000ff7f0000");
  assertEquals(encoded("windows", "linger", { enabled: true, seconds: 65535 }), "0100ffff");
  for (const [os, seconds] of [["linux", 2 ** 31], ["darwin", 32768], ["windows", 65536]] as const) {
    const { linger } = codecsOf(os);
    assertThrows(() => linger.encode({ enabled: true, seconds }), RangeError, `seconds is ${seconds}, `);
  }
});

Deno.test("linger of macOS is on when its first int is anything but 0", () => {
  const answer = bytes(0x80, 0, 0, 0, 5, 0, 0, 0);
  assertEquals(codecsOf("darwin").linger.decode(answer), { enabled: true, seconds: 5 });
});

Deno.test("userTimeout of macOS is rounded up to whole seconds, also the largest", () => {
  for (const [value, hex] of [[999, "01000000"], [1000, "01000000"], [1001, "02000000"]] as const) {
    assertEquals(encoded("darwin", "userTimeout", value), hex);
  }
  assertEquals(encoded("darwin", "userTimeout", 2 ** 31 - 1), "9cc42000"); // 2,147,484 seconds
});

Deno.test("portRange has the high port above, to its highest bit", () => {
  assertEquals(encoded("linux", "portRange", { low: 0x1234, high: 0xfedc }), "3412dcfe");
  assertEquals(encoded("linux", "portRange", { low: 5, high: 0 }), "05000000");
  assertEquals(codecsOf("linux").portRange.decode(bytes(1, 0, 255, 255)), { low: 1, high: 65535 });
});

Deno.test("icmpFilter and icmp6Filter take types twice and in any order, give them back once and sorted", () => {
  for (const os of ["linux", "darwin"] as const) {
    const { icmp6Filter } = codecsOf(os);
    const once = icmp6Filter.encode([128, 129]);
    assertEquals(icmp6Filter.encode([129, 128, 128, 129, 128]), once);
    assertEquals(icmp6Filter.decode(once), [128, 129]);
    for (const types of [[], [0, 255]]) assertEquals(icmp6Filter.decode(icmp6Filter.encode(types)), types);
    assertThrows(() => icmp6Filter.encode([256]), RangeError, "a type is 256");
  }
  assertEquals(encoded("darwin", "icmp6Filter", []), "00".repeat(32));
  assertEquals(encoded("linux", "icmp6Filter", []), "ff".repeat(32));
  assertEquals(encoded("linux", "icmpFilter", [8, 0, 8, 0, 8]), "fefeffff");
  assertEquals(encoded("linux", "icmpFilter", [31]), "ffffff7f");
  assertThrows(() => codecsOf("linux").icmpFilter.encode([32]), RangeError, "a type is 32");
});

Deno.test("packetFanout has a number for each mode, in the order of PACKET_FANOUT_HASH to PACKET_FANOUT_EBPF", () => {
  const modes = ["hash", "loadBalance", "cpu", "rollover", "random", "queue", "cbpf", "ebpf"] as const;
  for (const [number, mode] of modes.entries()) {
    assertEquals(encoded("linux", "packetFanout", { id: 65535, mode }), `ffff0${number}00`);
    assertEquals(encoded("linux", "packetFanout", { id: 0, mode, defragment: true }), `00000${number}80`);
  }
});

Deno.test("requests without an interface leave it to the kernel, and need no FFI", () => {
  const group = "239.1.2.3", source = "10.0.0.9";
  assertEquals(encoded("linux", "mreq", { group }), "ef010203" + "00".repeat(8));
  assertEquals(encoded("darwin", "mreq", { group }), "ef010203" + "00".repeat(8));
  assertEquals(encoded("windows", "mreq", { group }), "ef010203" + "00".repeat(4));
  assertEquals(encoded("linux", "mreqSource", { group, source }), "ef010203" + "00000000" + "0a000009");
  assertEquals(encoded("darwin", "mreqSource", { group, source }), "ef010203" + "0a000009" + "00000000");
  assertEquals(encoded("linux", "mreq6", { group: "ff02::1234" }), "ff02" + "00".repeat(12) + "1234" + "00000000");
  for (const [os, start] of [["linux", "0000000002000000"], ["darwin", "10020000"], ["windows", "0000000002000000"]]) {
    const wanted = "00000000" + start + "ef010203" + "00".repeat(120);
    assertEquals(encoded(os as OperatingSystem, "groupRequest", { group }), wanted, os);
  }
});

test("requests name an interface by name, index or address, else by the zone of the group, never by null", RAW, () => {
  for (const one of ["lo", 1, "127.0.0.1"]) {
    const v4 = { group: "239.1.2.3", interface: one };
    assertEquals(encoded("linux", "mreq", v4), "ef010203" + "00000000" + "01000000");
    assertEquals(encoded("windows", "mreq", v4), "ef010203" + "7f000001");
    assertEquals(encoded("linux", "mreqSource", { ...v4, source: "10.0.0.9" }), "ef010203" + "7f000001" + "0a000009");
    assertEquals(encoded("linux", "groupRequest", v4).slice(0, 8), "01000000");
    assertEquals(encoded("linux", "packetMreq", { interface: one, type: "promiscuous" }).slice(0, 8), "01000000");
  }
  const { mreq6, mreq, mreqSource, groupRequest } = codecsOf("linux");
  assertThrows(() => mreq6.encode({ group: "ff02::1234%nowhere0" }), Deno.errors.NotFound, '"nowhere0"');
  assertThrows(() => mreq6.encode({ group: "ff02::1%lo", interface: "nowhere0" }), Deno.errors.NotFound, '"nowhere0"');
  const group = "239.1.2.3", none = { interface: null as never };
  assertThrows(() => mreq.encode({ group, ...none }), TypeError, "the interface is null");
  assertThrows(() => mreqSource.encode({ group, source: "10.0.0.9", ...none }), TypeError, "the interface is null");
  assertThrows(() => groupRequest.encode({ group, ...none }), TypeError, "the interface is null");
});

Deno.test("groupFilter of IPv6 has its sources as sockaddr_in6", () => {
  const value = { group: "ff02::1234", mode: "exclude", sources: ["2001:db8::9", "2001:db8::9"] } as const;
  const address = (ip: readonly number[]) => [10, 0, ...zeros(6), ...ip, ...zeros(104)];
  const wanted = bytes(zeros(8), address(GROUP6), zeros(4), 2, 0, 0, 0, address(SOURCE6), address(SOURCE6));
  assertEquals(codecsOf("linux").groupFilter.encode(value), wanted);
});

// ---- What values with a life of their own could do to the kernel's reading ----

Deno.test("bytes believes no subclass that says another length than it has, and keeps no memory of others", () => {
  class Liar extends Uint8Array<ArrayBuffer> {
    override get byteLength(): number {
      return 1_000_000;
    }
    override slice(): Uint8Array<ArrayBuffer> {
      return "not bytes" as never;
    }
  }
  const codec = codecsOf("linux").bytes;
  const copy = codec.encode(new Liar(bytes(1, 2, 3).buffer));
  assertEquals(Object.getPrototypeOf(copy), Uint8Array.prototype);
  assertEquals([copy.byteLength, copy.toHex()], [3, "010203"]);
  const shared = new Uint8Array(new SharedArrayBuffer(2)).fill(7);
  assert(codec.encode(shared as Uint8Array as Bytes).buffer instanceof ArrayBuffer);
  const gone = bytes(1, 2, 3);
  gone.buffer.transfer();
  assertThrows(() => codec.encode(gone), TypeError);
  const given = bytes(1, 2);
  const out = codec.decode(given), back = codec.encode(given);
  given.fill(9);
  assertEquals([out, back], [bytes(1, 2), bytes(1, 2)]);
});

test("filterProgram tells the kernel no more instructions than it has encoded", RAW, () => {
  const accept = { code: 6, jt: 0, jf: 0, k: 1 };
  const grows = {
    ...accept,
    get k(): number {
      for (let i = 0; i < 1000; i++) program.push(accept);
      return 1;
    },
  };
  const program: (typeof accept)[] = [];
  program.push(Object.defineProperties({}, Object.getOwnPropertyDescriptors(grows)) as typeof accept);
  assertEquals(codecsOf("linux").filterProgram.encode(program).subarray(0, 2), bytes(1, 0));
  // A hole is no instruction.
  const hole = [accept, accept];
  delete hole[0];
  assertThrows(() => codecsOf("linux").filterProgram.encode(hole), TypeError, "instruction 0 is undefined");
});

test("filterProgram keeps its instructions while another program is encoded within", RAW, () => {
  const accept = { code: 6, jt: 0, jf: 0, k: 1 };
  const { filterProgram } = codecsOf("linux");
  const nested = {
    code: 6,
    jt: 0,
    jf: 0,
    get k(): number {
      filterProgram.encode([{ ...accept, k: 99 }]);
      return 0xffff;
    },
  };
  const encoded = filterProgram.encode([accept, nested]);
  const address = new DataView(encoded.buffer).getBigUint64(8, true);
  assertEquals(peek(address, 16), bytes(6, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 255, 255, 0, 0));
});

// ---- All of them ----

Deno.test("codecs offer the kernel as many bytes as the C type of the system has", () => {
  const lengths: Readonly<Partial<Record<CodecName, readonly [linux: number, darwin: number, windows: number]>>> = {
    uint64: [8, 8, 8],
    interfaceName: [16, 16, 16],
    algorithm: [16, 16, 16],
    packetInfo6: [20, 20, 20],
    repairWindow: [20, 20, 20],
    linger: [8, 8, 4],
    timeval: [16, 16, 4],
    transmitTime: [8, 8, 8],
    pathMtu: [32, 32, 32],
    socketAddress: [128, 128, 128],
    packetStatistics: [8, 8, 8],
    icmp6Filter: [32, 32, 32],
    bluetoothSecurity: [2, 2, 2],
    hciFilter: [16, 16, 16],
  };
  const four: readonly CodecName[] = [
    ...[
      "flag",
      "flagAsSize",
      "sizeAsFlag",
      "int",
      "size",
      "uint",
      "byte",
      "word",
      "hops",
      "advice",
      "sourcePreferences",
      "none",
      "userTimeout",
    ] as const,
    ...["portRange", "interfaceIndex", "interfaceIndexNet", "ipv4Address", "packetFanout", "icmpFilter"] as const,
  ];
  for (const [i, os] of SYSTEMS.entries()) {
    const codecs = codecsOf(os);
    for (const [name, by] of Object.entries(lengths)) {
      assertEquals(codecs[name as CodecName].byteLength, by[i], `${name} on ${os}`);
    }
    for (const name of four) assertEquals(codecs[name].byteLength, 4, `${name} on ${os}`);
    assert(codecs.tcpInfo.byteLength >= 280);
  }
  assertEquals([codecsOf("linux").credentials.byteLength, codecsOf("darwin").credentials.byteLength], [12, 76]);
});

Deno.test("codecs give back what they were given, for 1,000 random values of each", () => {
  const below = random(4);
  const flip = () => below(2) === 1;
  const pick = <T>(of: readonly T[]): T => of[below(of.length)]!;
  const letters = (most: number) => Array.from({ length: below(most + 1) }, () => pick([..."abc019_-.ü"])).join("");
  const some = (length: number) => Uint8Array.from({ length }, () => below(256));
  const types = (most: number) => {
    const found = new Set(Array.from({ length: below(40) }, () => below(most)));
    return [...found].sort((a, b) => a - b);
  };
  const values: { readonly [N in CodecName]?: (os: OperatingSystem) => CodecValues[N] } = {
    flag: flip,
    flagAsSize: flip,
    int: () => below(2 ** 32) - 2 ** 31,
    size: () => below(2 ** 31),
    uint: () => below(2 ** 32),
    byte: () => below(256),
    hops: () => below(257) - 1,
    uint64: () => BigInt(below(2 ** 32)) << 32n | BigInt(below(2 ** 32)),
    text: () => letters(120),
    interfaceName: () => letters(7),
    algorithm: () => `a${letters(7)}`,
    bytes: () => some(below(100)),
    repairWindow: () => some(20),
    linger: (os) => ({ enabled: flip(), seconds: below(os === "linux" ? 2 ** 31 : 2 ** 15) }),
    timeval: (os) => ({
      seconds: below(os === "windows" ? 4_000_000 : 2 ** 31),
      microseconds: os === "windows" ? below(1000) * 1000 : below(1_000_000),
    }),
    userTimeout: (os) => os === "darwin" ? below(2_000_000) * 1000 : below(2 ** 31),
    portRange: () => {
      const low = below(65536);
      return { low, high: low + below(65536 - low) };
    },
    ipv4Address: () => some(4).join("."),
    icmpFilter: () => types(32),
    icmp6Filter: () => types(256),
    word: () => below(65536),
    bluetoothSecurity: () => ({ level: pick(["sdp", "low", "medium", "high", "fips"]), keySize: below(256) }),
    hciFilter: () => ({
      typeMask: below(2 ** 32),
      eventMask: BigInt(below(2 ** 32)) << 32n | BigInt(below(2 ** 32)),
      opcode: below(65536),
    }),
  };
  const onLinux: typeof values = {
    transmitTime: () => ({ clock: pick(["monotonic", "tai", "realtime"]), deadlineMode: flip(), reportErrors: flip() }),
    packetFanout: () => ({ id: below(65536), mode: pick(["hash", "cpu", "random", "ebpf"]), defragment: flip() }),
  };
  for (const os of SYSTEMS) {
    const codecs = codecsOf(os) as Readonly<Record<string, OptionCodec<unknown>>>;
    for (const [name, make] of Object.entries(os === "linux" ? { ...values, ...onLinux } : values)) {
      const codec = codecs[name]!;
      for (let i = 0; i < 1000; i++) {
        const value = make(os);
        const between = codec.encode(value).slice();
        assert(between.length <= codec.byteLength, `${name} on ${os} has no room for ${between.length} bytes`);
        const got = codec.decode(between);
        // assertEquals at every turn would take most of the time.
        if (JSON.stringify(got, shown) !== JSON.stringify(value, shown)) assertEquals(got, value, `${name} on ${os}`);
      }
    }
  }
});

for (const os of SYSTEMS) {
  Deno.test(`decoding any bytes as any value of ${os} gives a value or says what is wrong`, () => {
    const next = random(1);
    const pool = Uint8Array.from({ length: 1 << 20 }, () => next(4) === 0 ? 0 : next(256));
    for (const [name, codec] of Object.entries(codecsOf(os)) as [string, OptionCodec<unknown>][]) {
      for (const length of [...Array.from({ length: 65 }, (_, i) => i), codec.byteLength]) {
        // A hundred thousand groups take their time.
        for (let i = 0; i < (length > 4096 ? 3 : 200); i++) {
          // A view into more, as most answers are.
          const at = next(pool.length - length);
          const input = pool.subarray(at, at + length);
          const before = i === 0 ? input.slice() : undefined;
          try {
            codec.decode(input);
          } catch (error) {
            assert(error instanceof Error, name);
            assertMatch(
              error.message,
              /^(the kernel gave |Cannot format an IP address: it has \d bytes|this option cannot be read$|Cannot look up "(CLOCK|SOF)_)/,
              `${name} of ${length} bytes`,
            );
          }
          if (before !== undefined) assertEquals(input, before, `${name} changed its bytes`);
        }
      }
    }
  });
}

// ---- tcp_info ----

/** struct tcp_info of Linux 6.18 with a number of its own in every field. */
function tcpInfo(): Bytes {
  const result = new Uint8Array(280);
  const view = new DataView(result.buffer);
  result.set([1, 4, 2, 3, 5, 7, 0xa9, 5]); // state, ca_state, retransmits, probes, backoff, options, wscales, bits
  for (let at = 8; at < 104; at += 4) view.setUint32(at, at, true);
  for (let at = 104; at < 136; at += 8) view.setBigUint64(at, BigInt(at), true);
  for (let at = 136; at < 160; at += 4) view.setUint32(at, at, true);
  for (let at = 160; at < 192; at += 8) view.setBigUint64(at, BigInt(at), true);
  for (let at = 192; at < 200; at += 4) view.setUint32(at, at, true);
  for (let at = 200; at < 216; at += 8) view.setBigUint64(at, BigInt(at), true);
  for (let at = 216; at < 240; at += 4) view.setUint32(at, at, true);
  view.setUint16(240, 240, true);
  view.setUint16(242, 242, true);
  for (let at = 244; at < 276; at += 4) view.setUint32(at, at, true);
  view.setBigUint64(112, 2n ** 64n - 1n, true); // max_pacing_rate: unlimited
  return result;
}

Deno.test("tcp_info is decoded field by field", () => {
  assertEquals(codecsOf("linux").tcpInfo.decode(tcpInfo()) as unknown, {
    state: "established",
    congestionState: "loss",
    retransmits: 2,
    probes: 3,
    backoff: 5,
    options: 7,
    sendWindowScale: 9,
    receiveWindowScale: 10,
    deliveryRateAppLimited: true,
    fastOpenClientFail: 2,
    rto: 8,
    ato: 12,
    sendMss: 16,
    receiveMss: 20,
    unacked: 24,
    sacked: 28,
    lost: 32,
    retransmitted: 36,
    lastDataSent: 44,
    lastDataReceived: 52,
    lastAckReceived: 56,
    pathMtu: 60,
    receiveSlowStartThreshold: 64,
    rtt: 68,
    rttVariance: 72,
    slowStartThreshold: 76,
    congestionWindow: 80,
    advertisedMss: 84,
    reordering: 88,
    receiveRtt: 92,
    receiveSpace: 96,
    totalRetransmits: 100,
    pacingRate: 104,
    maxPacingRate: Infinity,
    bytesAcked: 120,
    bytesReceived: 128,
    segmentsOut: 136,
    segmentsIn: 140,
    notSentBytes: 144,
    minRtt: 148,
    dataSegmentsIn: 152,
    dataSegmentsOut: 156,
    deliveryRate: 160,
    busyTime: 168,
    receiveWindowLimited: 176,
    sendBufferLimited: 184,
    delivered: 192,
    deliveredCe: 196,
    bytesSent: 200,
    bytesRetransmitted: 208,
    duplicateSacks: 216,
    reorderingSeen: 220,
    outOfOrderPackets: 224,
    sendWindow: 228,
    receiveWindow: 232,
    rehash: 236,
    totalRto: 240,
    totalRtoRecoveries: 242,
    totalRtoTime: 244,
    receivedCe: 248,
    deliveredE1Bytes: 252,
    deliveredE0Bytes: 256,
    deliveredCeBytes: 260,
    receivedE1Bytes: 264,
    receivedE0Bytes: 268,
    receivedCeBytes: 272,
  });
});

Deno.test("a shorter tcp_info, of an older kernel, lacks the fields that do not fit: they are absent, not zero", () => {
  const { decode } = codecsOf("linux").tcpInfo;
  const whole = decode(tcpInfo()) as unknown as Record<string, unknown>;
  let before = 0;
  for (let length = 0; length <= 280; length++) {
    const part = decode(tcpInfo().slice(0, length)) as unknown as Record<string, unknown>;
    for (const [name, value] of Object.entries(part)) assertEquals(value, whole[name], `${name} of ${length} bytes`);
    const count = Object.keys(part).length;
    assert(count >= before, `${length} bytes have more fields than ${length - 1}`);
    before = count;
  }
  assertEquals(before, Object.keys(whole).length);
  const old = decode(tcpInfo().slice(0, 104)); // glibc's
  assertEquals(["totalRetransmits" in old, "pacingRate" in old, "minRtt" in old], [true, false, false]);
  const cut = decode(tcpInfo().slice(0, 151)); // in the midst of min_rtt
  assertEquals(["notSentBytes" in cut, "minRtt" in cut], [true, false]);
});

Deno.test("tcp_connection_info of macOS is told in the same units", () => {
  const info = new Uint8Array(112);
  const view = new DataView(info.buffer);
  info.set([4, 6, 5]); // TCPS_ESTABLISHED, window scales
  view.setUint32(12, 230, true); // rto, milliseconds
  view.setUint32(16, 1448, true); // maxseg
  view.setUint32(20, 14480, true); // snd_ssthresh, bytes
  view.setUint32(24, 2897, true); // snd_cwnd, bytes
  view.setUint32(44, 12, true); // srtt
  view.setUint32(48, 3, true); // rttvar
  view.setBigUint64(64, 5_000_000_000n, true); // txbytes
  const {
    state,
    sendWindowScale,
    receiveWindowScale,
    rto,
    sendMss,
    slowStartThreshold,
    congestionWindow,
    rtt,
    rttVariance,
    bytesSent,
  } = codecsOf("darwin")
    .tcpInfo.decode(info);
  assertEquals([state, sendWindowScale, receiveWindowScale, rto, sendMss], ["established", 6, 5, 230_000, 1448]);
  assertEquals([slowStartThreshold, congestionWindow, rtt, rttVariance, bytesSent], [
    10,
    3,
    12_000,
    3000,
    5_000_000_000,
  ]);
});
