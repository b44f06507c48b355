// Control messages: their bytes against literals, any bytes at all, and round trips over the kernel and python3.
// The buffers of a message: msghdr_test.ts. Numbers against headers: headers_test.ts. Socket's own calls: socket/.
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type ControlMessage,
  decodeControl,
  encodeControl,
  type QueuedError,
  type ReceivedDescriptor,
  type Sender,
} from "../internal/cmsg.ts";
import { DESCRIPTOR } from "../internal/descriptor.ts";
import { failed, failedWith } from "../internal/errno.ts";
import { libc } from "../internal/libc.ts";
import { libcIo } from "../internal/libc_io.ts";
import { receiveMessage, sendMessage } from "../internal/msghdr.ts";
import { interfaceIndexOf } from "../internal/netif.ts";
import type { OperatingSystem } from "../internal/os.ts";
import { evaluate } from "./headers/c.ts";
import { test } from "./needs.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  asInt,
  inet,
  int,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  RAW,
  RawSocket,
  ROOT,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./raw_socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SOAK = Deno.permissions.querySync({ name: "env", variable: "SOCKETS_SOAK" }).state === "granted" &&
  Deno.env.get("SOCKETS_SOAK") === "1";
const ROUNDS = SOAK ? 1_000_000 : 20_000;
const MSG_CTRUNC = 0x8, MSG_ERRQUEUE = 0x2000;
const SO_PASSCRED = 16, SO_PEERCRED = 17, SO_TIMESTAMP = 29, SO_TIMESTAMPNS = 35, SO_RXQ_OVFL = 40, SO_TXTIME = 61;
const IP_PKTINFO = 8, IP_RECVERR = 11, IP_RECVTTL = 12, IP_RECVTOS = 13;
const IPV6_RECVERR = 25, IPV6_V6ONLY = 26, IPV6_RECVPKTINFO = 49, IPV6_RECVHOPLIMIT = 51, IPV6_RECVTCLASS = 66;
const UDP_GRO = 104;
const DOING = "Cannot send a message";
const NULL = "\0";

const utf8 = new TextEncoder();

/** A received descriptor of the tests. */
class Owned implements ReceivedDescriptor {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  get fd(): number {
    return this.#fd;
  }

  detach(): number {
    const fd = this.#fd;
    this.#fd = -1;
    return fd;
  }

  close(): void {
    if (this.#fd >= 0) libc("Cannot close").close(this.detach());
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** For bytes that no kernel gave: such a number is nobody's. */
function unowned(fd: number): ReceivedDescriptor {
  return { fd, detach: () => fd, close() {}, [Symbol.dispose]() {} };
}

function hex(text: string): Bytes {
  return Uint8Array.fromHex(text.replaceAll(/\s/g, ""));
}

/** Sends from one raw socket, to an address or the peer. */
function send(
  socket: RawSocket,
  data: string,
  control: readonly ControlMessage[],
  family: string,
  to: Bytes | null = null,
  sender: Sender = {},
): number {
  const bytes = encodeControl(control, family, DOING, sender);
  return sendMessage(libcIo(DOING), socket.fd, [utf8.encode(data)], to, bytes, 0);
}

interface Received {
  readonly data: string;
  readonly address: Bytes;
  readonly control: ControlMessage<Owned>[];
  readonly flags: number;
}

function receive(socket: RawSocket, room = 1024, flags = 0): Received {
  if (flags === 0) socket.poll(1, 1000);
  const buffer = new Uint8Array(65_536);
  const message = receiveMessage(libcIo("Cannot receive"), socket.fd, [buffer], true, room, flags);
  assert(message !== null);
  return {
    data: new TextDecoder().decode(buffer.subarray(0, message.byteLength)),
    address: message.address,
    control: decodeControl(message.control, (fd) => new Owned(fd)),
    flags: message.flags,
  };
}

function udp(address = "127.0.0.1", ...options: readonly (readonly [level: number, name: number])[]): RawSocket {
  const socket = RawSocket.open(address.includes(":") ? AF_INET6 : AF_INET, SOCK_DGRAM).bind(inet(address, 0));
  for (const [level, name] of options) socket.set(level, name, 1);
  return socket;
}

/** The kind of message that has a name. */
type Named<N, M = ControlMessage<Owned>> = M extends { name: infer K } ? (N extends K ? M : never) : never;

/** The one message of a name. */
function named<N extends ControlMessage["name"]>(
  control: readonly ControlMessage<Owned>[],
  name: N,
): Named<N> {
  const found = control.filter((one) => one.name === name);
  assertEquals(found.length, 1, `${name} among ${control.map((one) => one.name).join(", ")}`);
  return found[0] as Named<N>;
}

// ---- Bytes ----

/** Each message with its bytes; what is null cannot be sent. Both ways unless it says one. */
const LITERAL: readonly (readonly [
  os: OperatingSystem,
  way: "both" | "sent" | "received",
  message: ControlMessage,
  bytes: string,
])[] = [
  [
    "linux",
    "sent",
    { name: "IP_PKTINFO", hostname: "192.0.2.1", interfaceIndex: 3 },
    "1c00000000000000 00000000 08000000 03000000 c0000201 00000000 00000000",
  ],
  [
    "linux",
    "received",
    { name: "IP_PKTINFO", hostname: "239.0.0.1", interfaceIndex: 3 },
    "1c00000000000000 00000000 08000000 03000000 c0000201 ef000001 00000000",
  ],
  ["linux", "both", { name: "IP_TTL", value: 64 }, "1400000000000000 00000000 02000000 40000000 00000000"],
  ["linux", "sent", { name: "IP_TOS", value: 0xb8 }, "1400000000000000 00000000 01000000 b8000000 00000000"],
  ["linux", "received", { name: "IP_TOS", value: 0xb8 }, "1100000000000000 00000000 01000000 b8000000 00000000"],
  ["linux", "received", { name: "IP_TOS", value: 0xb8 }, "1100000000000000 00000000 01000000 b8"],
  [
    "linux",
    "both",
    { name: "IPV6_PKTINFO", hostname: "2001:db8::1", interfaceIndex: 258 },
    "2400000000000000 29000000 32000000 20010db8000000000000000000000001 02010000 00000000",
  ],
  ["linux", "both", { name: "IPV6_HOPLIMIT", value: 255 }, "1400000000000000 29000000 34000000 ff000000 00000000"],
  ["linux", "both", { name: "IPV6_TCLASS", value: 1 }, "1400000000000000 29000000 43000000 01000000 00000000"],
  ["linux", "both", { name: "UDP_SEGMENT", value: 1472 }, "1200000000000000 11000000 67000000 c0050000 00000000"],
  ["linux", "received", { name: "UDP_GRO", value: 1472 }, "1400000000000000 11000000 68000000 c0050000 00000000"],
  [
    "linux",
    "both",
    { name: "SO_MARK", value: 0xfffffffe },
    "1400000000000000 01000000 24000000 feffffff 00000000",
  ],
  [
    "linux",
    "received",
    { name: "SO_RXQ_OVFL", value: 0xffffffff },
    "1400000000000000 01000000 28000000 ffffffff 00000000",
  ],
  [
    "linux",
    "received",
    { name: "SCM_TIMESTAMPNS", nanoseconds: 1_700_000_000_123_456_789n },
    "2000000000000000 01000000 23000000 00f1536500000000 15cd5b0700000000",
  ],
  [
    "linux",
    "received",
    { name: "SCM_TIMESTAMPNS", nanoseconds: 1_700_000_000_123_456_000n },
    "2000000000000000 01000000 1d000000 00f1536500000000 40e2010000000000",
  ],
  [
    "linux",
    "both",
    { name: "SCM_TXTIME", nanoseconds: 2n ** 64n - 2n },
    "1800000000000000 01000000 3d000000 feffffffffffffff",
  ],
  [
    "linux",
    "both",
    { name: "SCM_CREDENTIALS", pid: 258, uid: 1000, gid: 0xfffffffe },
    "1c00000000000000 01000000 02000000 02010000 e8030000 feffffff 00000000",
  ],
  [
    "linux",
    "sent",
    { name: "SCM_RIGHTS", descriptors: [3, { [DESCRIPTOR]: 258 }, unowned(5)] },
    "1c00000000000000 01000000 01000000 03000000 02010000 05000000 00000000",
  ],
  [
    "linux",
    "both",
    { name: "other", level: -1, type: 99, data: hex("0102030405060708 09") },
    "1900000000000000 ffffffff 63000000 0102030405060708 0900000000000000",
  ],
  [
    "linux",
    "received",
    {
      name: "IP_RECVERR",
      error: {
        code: "EMSGSIZE",
        origin: "icmp",
        type: 3,
        icmpCode: 4,
        info: 1400,
        offender: { family: "inet", hostname: "192.0.2.254", port: 0 },
      },
    },
    "3000000000000000 00000000 0b000000 5a000000 02030400 78050000 00000000 02000000 c00002fe 0000000000000000",
  ],
  [
    "linux",
    "received",
    {
      name: "IPV6_RECVERR",
      error: {
        code: "ECONNREFUSED",
        origin: "icmp6",
        type: 1,
        icmpCode: 4,
        info: 0,
        offender: { family: "inet6", hostname: "fe80::1%2", port: 0 },
      },
    },
    "3c00000000000000 29000000 19000000 6f000000 03010400 00000000 00000000" +
    "0a000000 00000000 fe800000000000000000000000000001 02000000 00000000",
  ],
  [
    "linux",
    "received",
    {
      name: "IP_RECVERR",
      error: { code: "EMSGSIZE", origin: "local", type: 0, icmpCode: 0, info: 1500, offender: null },
    },
    "3000000000000000 00000000 0b000000 5a000000 01000000 dc050000 00000000 00000000000000000000000000000000",
  ],
  [
    "linux",
    "received",
    { name: "IP_RECVERR", error: { code: "", origin: "zerocopy", type: 0, icmpCode: 1, info: 7, offender: null } },
    "2000000000000000 00000000 0b000000 00000000 05000100 07000000 08000000",
  ],
  [
    "darwin",
    "sent",
    { name: "IP_PKTINFO", hostname: "192.0.2.1", interfaceIndex: 3 },
    "18000000 00000000 1a000000 03000000 c0000201 00000000",
  ],
  [
    "darwin",
    "received",
    { name: "IP_PKTINFO", hostname: "239.0.0.1", interfaceIndex: 3 },
    "18000000 00000000 1a000000 03000000 c0000201 ef000001",
  ],
  [
    "darwin",
    "both",
    { name: "IPV6_PKTINFO", hostname: "2001:db8::1", interfaceIndex: 3 },
    "20000000 29000000 2e000000 20010db8000000000000000000000001 03000000",
  ],
  ["darwin", "both", { name: "IPV6_HOPLIMIT", value: 255 }, "10000000 29000000 2f000000 ff000000"],
  ["darwin", "both", { name: "IPV6_TCLASS", value: 1 }, "10000000 29000000 24000000 01000000"],
  ["darwin", "received", { name: "IP_TTL", value: 64 }, "0d000000 00000000 18000000 40000000"],
  ["darwin", "received", { name: "IP_TOS", value: 0xb8 }, "0d000000 00000000 1b000000 b8000000"],
  [
    "darwin",
    "received",
    { name: "SCM_TIMESTAMPNS", nanoseconds: 1_700_000_000_123_456_000n },
    "1c000000 ffff0000 02000000 00f1536500000000 40e20100 00000000",
  ],
  [
    "darwin",
    "sent",
    { name: "SCM_RIGHTS", descriptors: [3, 4] },
    "14000000 ffff0000 01000000 03000000 04000000",
  ],
  [
    "darwin",
    "both",
    { name: "other", level: 1, type: 2, data: hex("0102030405") },
    "11000000 01000000 02000000 0102030405000000",
  ],
];

/** A family on which a message is read. */
function familyFor(name: ControlMessage["name"]): string {
  if (name.startsWith("IPV6_")) return "inet6";
  return name === "SCM_RIGHTS" || name === "SCM_CREDENTIALS" ? "unix" : "inet";
}

test("each message has the bytes that C lays out", { linux: true }, () => {
  for (const [os, way, message, bytes] of LITERAL) {
    const shown = `${message.name} ${way} on ${os}`;
    if (way !== "received") {
      const family = familyFor(message.name);
      assertEquals(encodeControl([message], family, DOING, {}, os).toHex(), hex(bytes).toHex(), shown);
    }
    if (way !== "sent") assertEquals(decodeControl(hex(bytes), unowned, os), [message], shown);
  }
});

test("received descriptors are handed to who owns them", {}, () => {
  for (const [os, header] of [["linux", "1c00000000000000 01000000"], ["darwin", "18000000 ffff0000"]] as const) {
    const seen: number[] = [];
    const [message] = decodeControl(hex(`${header} 01000000 03000000 02010000 05000000`), (fd) => {
      seen.push(fd);
      return unowned(fd);
    }, os);
    assertEquals(seen, [3, 258, 5]);
    assert(message?.name === "SCM_RIGHTS");
    assertEquals(message.descriptors.map((one) => (one as ReceivedDescriptor).fd), [3, 258, 5]);
  }
});

test("several messages follow one another, each at its alignment", { linux: true }, () => {
  const messages: ControlMessage[] = [
    { name: "IP_TTL", value: 9 },
    { name: "UDP_SEGMENT", value: 100 },
    { name: "other", level: 5, type: 6, data: hex("") },
    { name: "IP_TOS", value: 1 },
  ];
  assertEquals(
    encodeControl(messages, "inet", DOING).toHex(),
    "140000000000000000000000020000000900000000000000" + "120000000000000011000000670000006400000000000000" +
      "10000000000000000500000006000000" + "140000000000000000000000010000000100000000000000",
  );
  assertEquals(decodeControl(encodeControl(messages, "inet", DOING), unowned), messages);
  const ints: ControlMessage[] = [
    { name: "IPV6_HOPLIMIT", value: 9 },
    { name: "other", level: 5, type: 6, data: hex("0102030405") },
    { name: "IPV6_TCLASS", value: 1 },
  ];
  assertEquals(decodeControl(encodeControl(ints, "inet6", DOING, {}, "darwin"), unowned, "darwin"), ints);
  assertEquals(encodeControl([], "inet", DOING).byteLength, 0);
  assertEquals(decodeControl(new Uint8Array(0), unowned), []);
});

test(
  "headers and alignment are those of CMSG_LEN and CMSG_SPACE",
  { run: ["gcc", "x86_64-w64-mingw32-gcc"], read: true, write: true, env: true },
  async () => {
    const lengths = Array.from({ length: 20 }, (_, i) => i);
    for (
      const [os, compiler, prelude, prefix] of [
        ["linux", "gcc", "#define _GNU_SOURCE\n#include <sys/socket.h>\n", ""],
        [
          "windows",
          "x86_64-w64-mingw32-gcc",
          "#include <winsock2.h>\n#include <ws2tcpip.h>\n#include <mswsock.h>\n",
          "WSA_",
        ],
      ] as const
    ) {
      const asked = lengths.flatMap((n) => [`${prefix}CMSG_LEN(${n})`, `${prefix}CMSG_SPACE(${n})`]);
      const answers = await evaluate(compiler, prelude, asked);
      const ours = lengths.flatMap((n) => {
        const bytes = encodeControl(
          [{ name: "other", level: 1, type: 1, data: new Uint8Array(n) }],
          "inet",
          DOING,
          {},
          os,
        );
        return [new DataView(bytes.buffer).getBigUint64(0, true), BigInt(bytes.byteLength)];
      });
      assertEquals(ours, answers as bigint[], os);
    }
  },
);

// ---- What is refused ----

test("values that do not fit are refused, and the message says which", { linux: true }, () => {
  const refused: readonly (readonly [new (...all: never[]) => Error, unknown, string])[] = [
    [TypeError, null, "control message 0 is null"],
    [TypeError, {}, "the name of a control message is undefined"],
    [TypeError, { name: "toString" }, 'is "toString", it must be one of IP_PKTINFO'],
    [TypeError, { name: "SO_RXQ_OVFL", value: 1 }, "SO_RXQ_OVFL is only received"],
    [TypeError, { name: "UDP_GRO", value: 1 }, "UDP_GRO is only received"],
    [TypeError, { name: "SCM_TIMESTAMPNS", nanoseconds: 1n }, "SCM_TIMESTAMPNS is only received"],
    [TypeError, { name: "IP_RECVERR", error: {} }, "IP_RECVERR is only received"],
    [RangeError, { name: "IP_TTL", value: 256 }, "the value of IP_TTL is 256"],
    [RangeError, { name: "IP_TOS", value: -1 }, "the value of IP_TOS is -1"],
    [TypeError, { name: "IP_TOS", value: "1" }, 'the value of IP_TOS is "1"'],
    [RangeError, { name: "IP_TOS", value: 1.5 }, "the value of IP_TOS is 1.5"],
    [RangeError, { name: "UDP_SEGMENT", value: 65_536 }, "the value of UDP_SEGMENT is 65536"],
    [RangeError, { name: "SO_MARK", value: 2 ** 32 }, "the value of SO_MARK is 4294967296"],
    [TypeError, { name: "SCM_TXTIME", nanoseconds: 1 }, "nanoseconds of SCM_TXTIME is 1, it must be a BigInt"],
    [RangeError, { name: "SCM_TXTIME", nanoseconds: -1n }, "nanoseconds of SCM_TXTIME is -1n"],
    [SyntaxError, { name: "IP_PKTINFO", hostname: "lo", interfaceIndex: 0 }, 'hostname of IP_PKTINFO is "lo"'],
    [TypeError, { name: "IP_PKTINFO", hostname: "::1", interfaceIndex: 0 }, "it must be an IPv4 address"],
    [TypeError, { name: "IP_PKTINFO", interfaceIndex: 0 }, "hostname of IP_PKTINFO is undefined"],
    [RangeError, { name: "IP_PKTINFO", hostname: "1.2.3.4", interfaceIndex: -1 }, "interfaceIndex of IP_PKTINFO is -1"],
    [TypeError, { name: "IP_PKTINFO", hostname: "1.2.3.4" }, "interfaceIndex of IP_PKTINFO is undefined"],
    [TypeError, { name: "other", level: 1, type: 1, data: "x" }, 'data is "x"'],
    [RangeError, { name: "other", level: 2 ** 31, type: 1, data: hex("") }, "level is 2147483648"],
    [RangeError, { name: "other", level: 0, type: 0, data: new Uint8Array(2 ** 20) }, "at most 1048576"],
  ];
  for (const [type, message, words] of refused) {
    const error = assertThrows(
      () => encodeControl([message as ControlMessage], "inet", DOING),
      type as new (...all: unknown[]) => Error,
      words,
    );
    assert(error.message.startsWith(`${DOING}: `), error.message);
  }
  assertThrows(() => encodeControl("IP_TTL" as unknown as [], "inet", DOING), TypeError, 'control is "IP_TTL"');
  const rights: readonly (readonly [unknown, string])[] = [
    [undefined, "descriptors of SCM_RIGHTS is undefined"],
    [[], "SCM_RIGHTS has 0 descriptors, it must have 1 to 253"],
    [Array.from({ length: 254 }, () => 0), "SCM_RIGHTS has 254 descriptors"],
    [[0, -1], "descriptor 1 of SCM_RIGHTS is -1"],
    [[0, "1"], 'descriptor 1 of SCM_RIGHTS is "1"'],
    [[{}], "descriptor 0 of SCM_RIGHTS is undefined"],
  ];
  for (const [descriptors, words] of rights) {
    const message = { name: "SCM_RIGHTS", descriptors } as ControlMessage;
    assertThrows(() => encodeControl([message], "unix", DOING), Error, words);
  }
  const ids = { name: "SCM_CREDENTIALS", pid: -1, uid: 0, gid: 0 } as const;
  assertThrows(() => encodeControl([ids], "unix", DOING), RangeError, "pid of SCM_CREDENTIALS is -1");
});

test("a system that lacks a message says so", {}, () => {
  const lacking: ControlMessage[] = [
    { name: "IP_TTL", value: 1 },
    { name: "IP_TOS", value: 1 },
    { name: "SO_MARK", value: 1 },
    { name: "UDP_SEGMENT", value: 1 },
  ];
  for (const message of lacking) {
    assertThrows(
      () => encodeControl([message], "inet", DOING, {}, "darwin"),
      Deno.errors.NotSupported,
      `${DOING}: ${message.name} cannot be sent on`,
    );
  }
});

test("a closed socket is no descriptor to pass, and its own error says so", {}, () => {
  const closed = {
    get [DESCRIPTOR](): number {
      throw new Deno.errors.BadResource("The socket is closed");
    },
  };
  const message: ControlMessage = { name: "SCM_RIGHTS", descriptors: [closed] };
  assertThrows(() => encodeControl([message], "unix", DOING), Deno.errors.BadResource, "The socket is closed");
});

test("a zone is the interface, and must not contradict it", RAW, () => {
  const lo = interfaceIndexOf("lo", "Cannot test");
  for (const [hostname, interfaceIndex] of [["fe80::1%lo", 0], [`fe80::1%${lo}`, lo], ["fe80::1", lo]] as const) {
    const bytes = encodeControl([{ name: "IPV6_PKTINFO", hostname, interfaceIndex }], "inet6", DOING);
    assertEquals(decodeControl(bytes, unowned), [{
      name: "IPV6_PKTINFO",
      hostname: "fe80::1",
      interfaceIndex: lo,
    }]);
  }
  const wrong = { name: "IPV6_PKTINFO", hostname: "fe80::1%lo", interfaceIndex: lo + 1 } as const;
  assertThrows(() => encodeControl([wrong], "inet6", DOING), RangeError, "the zone of");
});

/** Messages that a socket takes and ignores: the kernel says nothing, so the library does. */
const IGNORED: readonly (readonly [what: string, family: string, sender: Sender, message: ControlMessage])[] = [
  ["IPv6's on inet", "inet", {}, { name: "IPV6_TCLASS", value: 40 }],
  ["IPv6's to a mapped peer", "inet6", { mapped: true }, { name: "IPV6_HOPLIMIT", value: 9 }],
  ["IPv4's to an IPv6 peer", "inet6", { mapped: false }, { name: "IP_TOS", value: 40 }],
  ["IP's on unix", "unix", {}, { name: "IP_TOS", value: 40 }],
  ["IP's on a stream", "inet", { type: "stream" }, { name: "IP_TOS", value: 40 }],
  ["a mark on a stream", "inet", { type: "stream" }, { name: "SO_MARK", value: 1 }],
  ["segments on a stream", "inet", { type: "stream", protocol: 6 }, { name: "UDP_SEGMENT", value: 1 }],
  ["segments on unix", "unix", {}, { name: "UDP_SEGMENT", value: 1 }],
  ["segments on ping", "inet", { type: "dgram", protocol: 1 }, { name: "UDP_SEGMENT", value: 1 }],
  ["descriptors on inet", "inet", {}, { name: "SCM_RIGHTS", descriptors: [0] }],
  ["credentials on inet", "inet", {}, { name: "SCM_CREDENTIALS", pid: 1, uid: 2, gid: 3 }],
];

test("what the kernel would ignore is refused", { linux: true }, () => {
  for (const [what, family, sender, message] of IGNORED) {
    assertThrows(() => encodeControl([message], family, DOING, sender), TypeError, `${message.name} is ignored`, what);
  }
  assertThrows(() => encodeControl([{ name: "SO_MARK", value: 1 }], "vsock", DOING), TypeError, "on vsock sockets");
  const taken: typeof IGNORED = [
    ["mapped", "inet6", { mapped: true, type: "dgram" }, { name: "IP_TTL", value: 9 }],
    ["not known", "inet6", {}, { name: "IP_TTL", value: 9 }],
    ["mapped, by its other address", "inet6", { mapped: true }, {
      name: "IPV6_PKTINFO",
      hostname: "::ffff:127.0.0.5",
      interfaceIndex: 0,
    }],
    ["UDP-Lite", "inet6", { type: "dgram", protocol: 136 }, { name: "UDP_SEGMENT", value: 9 }],
    ["netlink", "netlink", { type: "raw" }, { name: "SCM_CREDENTIALS", pid: 1, uid: 2, gid: 3 }],
    ["packet", "packet", { type: "raw" }, { name: "SO_MARK", value: 1 }],
    ["anything", "vsock", { type: "stream" }, { name: "other", level: 1, type: 1, data: hex("") }],
  ];
  for (const [what, family, sender, message] of taken) {
    assert(encodeControl([message], family, DOING, sender).byteLength > 0, what);
  }
});

test("the kernel does ignore it, without an error", RAW, () => {
  using v4 = udp("127.0.0.1", [IPPROTO_IP, IP_RECVTTL], [IPPROTO_IP, IP_RECVTOS]);
  using v6 = udp("::1", [IPPROTO_IPV6, IPV6_RECVHOPLIMIT], [IPPROTO_IPV6, IPV6_RECVTCLASS]);
  using to4 = RawSocket.open(AF_INET, SOCK_DGRAM);
  using to6 = RawSocket.open(AF_INET6, SOCK_DGRAM).set(IPPROTO_IPV6, IPV6_V6ONLY, 0);
  const mapped = inet("::ffff:127.0.0.1", v4.localPort);
  /** The messages as bytes, whatever is thought of them. */
  function forced(...messages: readonly ControlMessage[]): Bytes {
    const parts = messages.map((one) => encodeControl([one], familyFor(one.name), DOING));
    return new Uint8Array(parts.flatMap((part) => [...part]));
  }
  function sent(socket: RawSocket, to: Bytes | null, ...messages: readonly ControlMessage[]): void {
    assertEquals(sendMessage(libcIo(DOING), socket.fd, [utf8.encode("x")], to, forced(...messages), 0), 1);
  }
  function fields(socket: RawSocket): (number | bigint)[] {
    return receive(socket).control.map((one) => "value" in one ? one.value : -1);
  }
  const ip = [{ name: "IP_TTL", value: 9 }, { name: "IP_TOS", value: 40 }] as const;
  const ipv6 = [{ name: "IPV6_HOPLIMIT", value: 9 }, { name: "IPV6_TCLASS", value: 40 }] as const;
  const ids = { name: "SCM_CREDENTIALS", pid: 1, uid: 2, gid: 3 } as const;
  const rights = { name: "SCM_RIGHTS", descriptors: [0] } as const;
  const segment = { name: "UDP_SEGMENT", value: 1 } as const;
  sent(to4, v4.localAddress, ...ip);
  assertEquals(fields(v4), [9, 40], "where it is for, it is read");
  sent(to4, v4.localAddress, ...ipv6, ids, rights);
  assertEquals(fields(v4), [64, 0]);
  sent(to6, v6.localAddress, ...ipv6);
  assertEquals(fields(v6), [9, 40]);
  sent(to6, v6.localAddress, ...ip);
  assertEquals(fields(v6), [64, 0]);
  sent(to6, mapped, ...ip);
  assertEquals(fields(v4), [9, 40]);
  sent(to6, mapped, ...ipv6);
  assertEquals(fields(v4), [64, 0]);

  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  sent(a, null, ...ip, ...ipv6, segment);
  using listener = RawSocket.open(AF_INET, SOCK_STREAM).bind(inet("127.0.0.1", 0)).listen();
  using client = RawSocket.open(AF_INET, SOCK_STREAM).connect(listener.localAddress);
  using _accepted = listener.accept();
  sent(client, null, ...ip, segment, rights, ids);
});

// ---- Any bytes ----

test("a length that is wrong ends the list, and reads nothing beyond the bytes", { linux: true }, () => {
  const ttl = "1400000000000000 00000000 02000000 40000000 00000000";
  const one: ControlMessage = { name: "IP_TTL", value: 64 };
  const cases: readonly (readonly [bytes: string, ControlMessage[]])[] = [
    [`${ttl} 0000000000000000 00000000 02000000`, [one]], // no length at all
    [`${ttl} 0f00000000000000 00000000 02000000 40000000`, [one]], // less than a header
    [`${ttl} 140000000000`, [one]], // less than a header is left
    [`${ttl} 1400000000000000 00000000 02000000`, [one, { name: "other", level: 0, type: 2, data: hex("") }]],
    [
      `${ttl} 1400000000000000 00000000 02000000 4000`,
      [one, { name: "other", level: 0, type: 2, data: hex("4000") }].map((m) =>
        m.name === "other" ? { name: "IP_TTL" as const, value: 0x40 } : m as ControlMessage
      ),
    ],
    [`${ttl} ffffffffffffffff 00000000 02000000 41000000`, [one, { name: "IP_TTL", value: 65 }]],
    [`${ttl} 1400000001000000 00000000 02000000 41000000 00000000 ${ttl}`, [one, { name: "IP_TTL", value: 65 }]],
    [`1c00000000000000 00000000 08000000 03000000 c0000201`, [{
      name: "other",
      level: 0,
      type: 8,
      data: hex("03000000c0000201"),
    }]],
    [`1000000000000000 00000000 01000000`, [{ name: "other", level: 0, type: 1, data: hex("") }]],
    [`2000000000000000 00000000 0b000000 6f000000 09030300 00000000 00000000`, [{ // an origin that nobody knows
      name: "other",
      level: 0,
      type: 11,
      data: hex("6f000000 09030300 00000000 00000000"),
    }]],
    [`2200000000000000 00000000 0b000000 6f000000 02030300 00000000 00000000 0200`, [{ // an address that is cut
      name: "IP_RECVERR",
      error: { code: "ECONNREFUSED", origin: "icmp", type: 3, icmpCode: 3, info: 0, offender: null },
    }]],
  ];
  for (const [bytes, messages] of cases) {
    // What follows the bytes in memory must not matter.
    for (const after of ["", ttl, "ff".repeat(64)]) {
      const all = hex(bytes + after);
      const some = all.subarray(0, hex(bytes).byteLength);
      assertEquals(decodeControl(some, unowned, "linux"), messages, bytes);
    }
  }
});

test("a cut message has the descriptors that are in it, and nothing that is none", {}, () => {
  function numbers(bytes: string): number[] {
    const seen: number[] = [];
    decodeControl(hex(bytes), (fd) => {
      seen.push(fd);
      return unowned(fd);
    }, "linux");
    return seen;
  }
  const header = "01000000 01000000";
  assertEquals(numbers(`2400000000000000 ${header} 03000000 04000000 0500`), [3, 4]);
  assertEquals(numbers(`ffffff0000000000 ${header} 03000000 04000000`), [3, 4]);
  assertEquals(numbers(`1700000000000000 ${header} 03000000 04000000`), [3]);
  assertEquals(numbers(`1c00000000000000 ${header} 03000000 ffffffff 05000000`), [3, 5]);
  assertEquals(numbers(`1000000000000000 ${header}`), []);
});

test(`${ROUNDS} random and mutated inputs give values, in time, out of their own bytes`, {}, () => {
  let state = 7;
  function random(below: number): number {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return Math.floor(((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32 * below);
  }
  const seeds = { linux: [] as Bytes[], darwin: [] as Bytes[] };
  for (const [os, , , bytes] of LITERAL) if (os !== "windows") seeds[os].push(hex(bytes));
  const arena = new Uint8Array(512);
  const numbers: number[] = [];
  const own = (fd: number) => {
    numbers.push(fd);
    return unowned(fd);
  };
  let known = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const os = round % 2 === 0 ? "linux" : "darwin";
    const start = random(16);
    let end = start;
    if (random(4) === 0) {
      end += random(200);
      for (let i = start; i < end; i++) arena[i] = random(256);
    } else {
      for (let i = random(4); i >= 0; i--) {
        const seed = seeds[os][random(seeds[os].length)]!;
        arena.set(seed, end);
        end += random(8) === 0 ? random(seed.byteLength + 1) : seed.byteLength;
      }
      for (let i = random(4); i > 0 && end > start; i--) {
        const at = start + random(end - start);
        arena[at] = random(3) === 0 ? random(256) : arena[at]! ^ 1 << random(8);
      }
      end -= random(4) === 0 ? random(end - start + 1) : 0;
    }
    // Whatever lies behind the bytes must not matter.
    arena.fill(random(256), end, end + 64);
    const bytes = arena.subarray(start, end);
    numbers.length = 0;
    const messages = decodeControl(bytes, own, os);
    const header = os === "linux" ? 16 : 12;
    if (messages.length > bytes.byteLength / header) throw new Error(`round ${round}: ${messages.length} messages`);
    if (numbers.length * 4 > bytes.byteLength || numbers.some((fd) => !(fd >= 0 && fd < 2 ** 31))) {
      throw new Error(`round ${round}: descriptors ${numbers}`);
    }
    for (const message of messages) {
      if (message.name !== "other") known++;
      else if (message.data.byteLength > bytes.byteLength || message.data.buffer === arena.buffer) {
        throw new Error(`round ${round}: ${message.data.byteLength} bytes of other`);
      }
    }
    if (round % 8 === 0) {
      arena.fill(random(256), end, end + 64);
      assertEquals(
        Deno.inspect(decodeControl(arena.slice(start, end), unowned, os), { depth: 9 }),
        Deno.inspect(messages.map((one) => one), { depth: 9 }),
      );
    }
  }
  assert(known > ROUNDS / 4, `${known} of them were known`);
});

test(`${ROUNDS} queued errors with any fields and any offender are read, or come as they are`, {}, () => {
  let state = 9;
  const random = (below: number) => {
    state = Math.imul(state, 1_103_515_245) + 12_345 | 0;
    return (state >>> 16 & 0x7fff) % below;
  };
  /** The families of addresses: none, unix, IPv4, IPv6, netlink, packet, Bluetooth, vsock, and one that nobody knows. */
  const families = [0, 1, 2, 10, 16, 17, 31, 40, 99];
  const counts = { other: 0, offended: 0, unnamed: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const data = Uint8Array.from({ length: random(64) }, () => random(256));
    if (data.length > 4 && random(4) !== 0) data[4] = random(8);
    if (data.length > 17) data.set([families[random(families.length)]!, 0], 16);
    const bytes = new Uint8Array(16 + data.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, bytes.length, true);
    view.setInt32(4, 0, true);
    view.setInt32(8, round % 2 === 0 ? IPPROTO_IP : IPPROTO_IPV6, true);
    view.setInt32(12, round % 2 === 0 ? IP_RECVERR : 25, true);
    bytes.set(data, 16);
    const [message, ...others] = decodeControl(bytes, unowned, "linux");
    if (message === undefined || others.length > 0) throw new Error(`round ${round}: ${others.length + 1} messages`);
    if (message.name === "other") {
      // Too short, or of an origin without a name.
      if (data.length >= 16 && data[4]! >= 1 && data[4]! <= 6) throw new Error(`round ${round}: ${data}`);
      counts.other++;
      continue;
    }
    if (message.name !== "IP_RECVERR" && message.name !== "IPV6_RECVERR") throw new Error(message.name);
    const { code, type, icmpCode, offender } = message.error;
    if (!/^(E[A-Z0-9]+)?$/.test(code) || type !== data[5] || icmpCode !== data[6]) {
      throw new Error(`round ${round}: ${data}`);
    }
    if (offender === null) counts.unnamed++;
    else if (offender.family !== (data[16] === 2 ? "inet" : "inet6")) throw new Error(`round ${round}: ${data}`);
    else counts.offended++;
  }
  assert(Math.min(...Object.values(counts)) > ROUNDS / 50, Deno.inspect(counts));
});

// ---- Over the kernel ----

test("IP_PKTINFO, IP_TTL and IP_TOS arrive as they were sent", RAW, () => {
  const lo = interfaceIndexOf("lo", "Cannot test");
  using b = udp("0.0.0.0", [IPPROTO_IP, IP_PKTINFO], [IPPROTO_IP, IP_RECVTTL], [IPPROTO_IP, IP_RECVTOS]);
  using a = RawSocket.open(AF_INET, SOCK_DGRAM);
  const to = inet("127.0.0.7", b.localPort);
  assertEquals(send(a, "plain", [], "inet", to), 5);
  const plain = receive(b);
  assertEquals(named(plain.control, "IP_PKTINFO"), {
    name: "IP_PKTINFO",
    hostname: "127.0.0.7",
    interfaceIndex: lo,
  });
  assertEquals([named(plain.control, "IP_TTL").value, named(plain.control, "IP_TOS").value], [64, 0]);
  const control: ControlMessage[] = [
    { name: "IP_PKTINFO", hostname: "127.0.0.5", interfaceIndex: lo },
    { name: "IP_TTL", value: 3 },
    { name: "IP_TOS", value: 0xb8 },
  ];
  assertEquals(send(a, "told", control, "inet", to), 4);
  const told = receive(b);
  assertEquals([told.data, told.flags, told.control.length], ["told", 0, 3]);
  assertEquals([...told.address.subarray(4, 8)], [127, 0, 0, 5], "sent from the address asked for");
  assertEquals([named(told.control, "IP_TTL").value, named(told.control, "IP_TOS").value], [3, 0xb8]);
  // What came says where to answer from.
  using c = udp("127.0.0.1");
  assertEquals(send(b, "answer", [named(told.control, "IP_PKTINFO")], "inet", inet("127.0.0.1", c.localPort)), 6);
  assertEquals([...receive(c).address.subarray(4, 8)], [127, 0, 0, 7]);
});

test("IPV6_PKTINFO, IPV6_HOPLIMIT and IPV6_TCLASS arrive as they were sent", RAW, () => {
  const lo = interfaceIndexOf("lo", "Cannot test");
  using b = udp(
    "::1",
    [IPPROTO_IPV6, IPV6_RECVPKTINFO],
    [IPPROTO_IPV6, IPV6_RECVHOPLIMIT],
    [IPPROTO_IPV6, IPV6_RECVTCLASS],
  );
  using a = RawSocket.open(AF_INET6, SOCK_DGRAM);
  const control: ControlMessage[] = [
    { name: "IPV6_PKTINFO", hostname: "::1", interfaceIndex: lo },
    { name: "IPV6_HOPLIMIT", value: 3 },
    { name: "IPV6_TCLASS", value: 0xb8 },
  ];
  assertEquals(send(a, "told", control, "inet6", b.localAddress, { mapped: false }), 4);
  const told = receive(b);
  assertEquals(
    told.control.toSorted((x, y) => x.name < y.name ? -1 : 1),
    control.toSorted((x, y) => x.name < y.name ? -1 : 1) as ControlMessage<Owned>[],
  );
  const away: ControlMessage = { name: "IPV6_PKTINFO", hostname: "2001:db8::1", interfaceIndex: 0 };
  assert(failed(send(a, "x", [away], "inet6", b.localAddress)), "not an address of this machine");
});

test("an IPv4 peer of an inet6 socket takes IP_PKTINFO, and IPV6_PKTINFO of a mapped address", RAW, () => {
  using b = udp("127.0.0.1");
  using a = RawSocket.open(AF_INET6, SOCK_DGRAM).set(IPPROTO_IPV6, IPV6_V6ONLY, 0);
  const to = inet("::ffff:127.0.0.1", b.localPort);
  const ways: ControlMessage[] = [
    { name: "IP_PKTINFO", hostname: "127.0.0.5", interfaceIndex: 0 },
    { name: "IPV6_PKTINFO", hostname: "::ffff:127.0.0.5", interfaceIndex: 0 },
  ];
  for (const message of ways) {
    assertEquals(send(a, "x", [message], "inet6", to, { type: "dgram", mapped: true }), 1);
    assertEquals([...receive(b).address.subarray(4, 8)], [127, 0, 0, 5], message.name);
  }
});

test("SCM_TIMESTAMPNS tells when it came, of SO_TIMESTAMPNS and of SO_TIMESTAMP", RAW, () => {
  for (const option of [SO_TIMESTAMPNS, SO_TIMESTAMP]) {
    using b = udp("127.0.0.1", [SOL_SOCKET, option]);
    using a = RawSocket.open(AF_INET, SOCK_DGRAM);
    const before = BigInt(Date.now()) * 1_000_000n;
    send(a, "x", [], "inet", b.localAddress);
    const { nanoseconds } = named(receive(b).control, "SCM_TIMESTAMPNS");
    const late = nanoseconds - before;
    assert(late > -50_000_000n && late < 5_000_000_000n, `${late} ns`);
    if (option === SO_TIMESTAMP) assertEquals(nanoseconds % 1000n, 0n);
  }
});

test("SCM_TXTIME is taken where SO_TXTIME is on, and refused by the kernel elsewhere", RAW, () => {
  using b = udp();
  using a = RawSocket.open(AF_INET, SOCK_DGRAM);
  const message: ControlMessage = { name: "SCM_TXTIME", nanoseconds: 1n };
  assert(failed(send(a, "x", [message], "inet", b.localAddress)));
  assert(failedWith("EINVAL"));
  a.set(SOL_SOCKET, SO_TXTIME, new Uint8Array(Int32Array.of(1, 0).buffer)); // CLOCK_MONOTONIC
  assertEquals(send(a, "x", [message], "inet", b.localAddress), 1);
  assertEquals(receive(b).data, "x");
});

test("UDP_SEGMENT cuts, and UDP_GRO says how it was cut", RAW, () => {
  using b = udp();
  using a = RawSocket.open(AF_INET, SOCK_DGRAM);
  const data = "a".repeat(1000) + "b".repeat(1000) + "c".repeat(500);
  const message: ControlMessage = { name: "UDP_SEGMENT", value: 1000 };
  const udpSocket = { type: "dgram", protocol: IPPROTO_UDP };
  assertEquals(send(a, data, [message], "inet", b.localAddress, udpSocket), 2500);
  assertEquals([receive(b), receive(b), receive(b)].map((one) => one.data), data.match(/a+|b+|c+/g));
  b.set(IPPROTO_UDP, UDP_GRO, 1);
  send(a, data, [message], "inet", b.localAddress, udpSocket);
  const glued = receive(b);
  assertEquals([glued.data, glued.control as unknown[]], [data, [{ name: "UDP_GRO", value: 1000 }]]);
  send(a, "one", [], "inet", b.localAddress);
  assertEquals(receive(b).control, [], "of one datagram it says nothing");
});

test("SO_RXQ_OVFL counts what the socket dropped", RAW, () => {
  using b = udp("127.0.0.1", [SOL_SOCKET, SO_RXQ_OVFL]).set(SOL_SOCKET, 8, 1); // SO_RCVBUF, the least there is
  using a = RawSocket.open(AF_INET, SOCK_DGRAM);
  for (let i = 0; i < 200; i++) send(a, "x".repeat(500), [], "inet", b.localAddress);
  let queued = 0;
  while (b.poll(1, 50) !== 0) {
    receive(b);
    queued++;
  }
  send(a, "last", [], "inet", b.localAddress);
  assertEquals(named(receive(b).control, "SO_RXQ_OVFL").value, 200 - queued);
});

test("SO_MARK marks one datagram, and its receiver may see it", ROOT, () => {
  const SO_RCVMARK = 75;
  using b = udp("127.0.0.1", [SOL_SOCKET, SO_RCVMARK]);
  using a = RawSocket.open(AF_INET, SOCK_DGRAM);
  send(a, "x", [{ name: "SO_MARK", value: 0xfedcba98 }], "inet", b.localAddress);
  assertEquals(receive(b).control as unknown[], [{ name: "SO_MARK", value: 0xfedcba98 }]);
});

test("SCM_CREDENTIALS tells who sent, whether it was said or not", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  b.set(SOL_SOCKET, SO_PASSCRED, 1);
  const peer = b.get(SOL_SOCKET, SO_PEERCRED, 12);
  const mine = {
    name: "SCM_CREDENTIALS",
    pid: Deno.pid,
    uid: asInt(peer.slice(4)),
    gid: asInt(peer.slice(8)),
  } as const;
  for (const control of [[], [mine]]) {
    assertEquals(send(a, "x", control, "unix"), 1);
    assertEquals(receive(b).control, [mine]);
  }
  // Nobody has this number: the kernel has 2^22 of them.
  assert(failed(send(a, "x", [{ ...mine, pid: 2 ** 31 - 1 }], "unix")));
});

// ---- Descriptors ----

/** Whether nobody has the other end any more. */
function isLast(socket: RawSocket): boolean {
  return socket.poll(1, 0) !== 0 && socket.receive(0).byteLength === 0;
}

test("SCM_RIGHTS passes numbers, received ones and sockets, and the sender keeps its own", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_STREAM);
  using _a = a, _b = b;
  const [c, d] = RawSocket.pair(SOCK_STREAM);
  using _c = c, _d = d;
  const owned = new Owned(libc("Cannot test").dup(d.fd));
  const control: ControlMessage[] = [
    { name: "SCM_RIGHTS", descriptors: [d, owned] },
    { name: "SCM_RIGHTS", descriptors: [d.fd] },
  ];
  assertEquals(send(a, "three", control, "unix"), 5);
  owned.close();
  assertEquals(d.send("still mine"), 10);
  d.close();
  const message = receive(b);
  assertEquals([message.data, message.flags], ["three", 0]);
  const { descriptors } = named(message.control, "SCM_RIGHTS");
  assertEquals(descriptors.length, 3, "the kernel makes one message of two");
  assertEquals(new TextDecoder().decode(c.receive()), "still mine");
  for (const one of descriptors as Owned[]) {
    assert(!isLast(c));
    assertEquals(libcIo("Cannot test").send(one.fd, utf8.encode("hi"), 0), 2);
    assertEquals(new TextDecoder().decode(c.receive()), "hi");
    one.close();
  }
  assert(isLast(c));
});

test("whatever room there is, every descriptor that was installed is told, and none leaks", RAW, () => {
  for (const passcred of [0, 1]) {
    for (let room = 0; room <= 96; room++) {
      const [a, b] = RawSocket.pair(SOCK_DGRAM);
      using _a = a, _b = b;
      b.set(SOL_SOCKET, SO_PASSCRED, passcred);
      const [c, d] = RawSocket.pair(SOCK_STREAM);
      using _c = c, _d = d;
      assertEquals(send(a, "x", [{ name: "SCM_RIGHTS", descriptors: Array.from({ length: 9 }, () => d) }], "unix"), 1);
      d.close();
      const message = receive(b, room);
      const rights = message.control.filter((one) => one.name === "SCM_RIGHTS");
      const descriptors = rights.flatMap((one) => one.descriptors as Owned[]);
      const left = room - 32 * passcred;
      const fit = Math.max(0, Math.min(9, Math.floor((left - 16) / 4)));
      assertEquals(descriptors.length, fit, `of ${room} bytes of room`);
      assertEquals((message.flags & MSG_CTRUNC) !== 0, fit < 9);
      assertEquals(isLast(c), fit === 0);
      for (const one of descriptors) {
        // Each of them is one that this process has, and another one.
        assertEquals(libcIo("Cannot test").fcntl(one.fd, 1, 0), 1);
        one.close();
      }
      assert(isLast(c), `a descriptor leaks when there are ${room} bytes of room`);
    }
  }
});

test("a message that is not received at all leaves no descriptor", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  const [c, d] = RawSocket.pair(SOCK_STREAM);
  using _c = c, _d = d;
  send(a, "x", [{ name: "SCM_RIGHTS", descriptors: [d] }], "unix");
  d.close();
  assert(!isLast(c), "it is on its way");
  b.close();
  assert(isLast(c));
});

// ---- The error queue ----

test("the error queue tells who refused a datagram, IPv4 and IPv6", RAW, () => {
  const cases: readonly (readonly [string, number, number, "IP_RECVERR" | "IPV6_RECVERR", QueuedError])[] = [
    ["127.0.0.1", IPPROTO_IP, IP_RECVERR, "IP_RECVERR", {
      code: "ECONNREFUSED",
      origin: "icmp",
      type: 3, // destination unreachable
      icmpCode: 3, // port
      info: 0,
      offender: { family: "inet", hostname: "127.0.0.1", port: 0 },
    }],
    ["::1", IPPROTO_IPV6, IPV6_RECVERR, "IPV6_RECVERR", {
      code: "ECONNREFUSED",
      origin: "icmp6",
      type: 1,
      icmpCode: 4,
      info: 0,
      offender: { family: "inet6", hostname: "::1", port: 0 },
    }],
  ];
  for (const [hostname, level, option, name, error] of cases) {
    using closed = udp(hostname);
    const to = closed.localAddress;
    closed.close();
    using a = udp(hostname, [level, option]);
    assertEquals(send(a, "lost", [], hostname === "::1" ? "inet6" : "inet", to), 4);
    assert((a.poll(0, 1000) & 8) !== 0, "POLLERR");
    const message = receive(a, 1024, MSG_ERRQUEUE);
    assertEquals([message.data, message.flags], ["lost", MSG_ERRQUEUE]);
    assertEquals(message.address, to, "whom it was sent to");
    assertEquals(message.control, [{ name, error }] as ControlMessage<Owned>[]);
    assertEquals(receiveMessage(libcIo("x"), a.fd, [new Uint8Array(8)], true, 512, MSG_ERRQUEUE), null);
    assert(failedWith("EAGAIN"));
  }
});

test("an error of this machine's own is told as such", RAW, () => {
  const IP_MTU_DISCOVER = 10, IP_PMTUDISC_DO = 2;
  using a = udp("127.0.0.1", [IPPROTO_IP, IP_RECVERR]).set(IPPROTO_IP, IP_MTU_DISCOVER, int(IP_PMTUDISC_DO));
  const to = inet("127.0.0.1", a.localPort);
  // The IP header makes room for options that the loopback's packets have none for.
  const IP_OPTIONS = 4;
  a.set(IPPROTO_IP, IP_OPTIONS, new Uint8Array(40).fill(1));
  assert(failed(send(a, "x".repeat(65_500), [], "inet", to)));
  assert(failedWith("EMSGSIZE"));
  const { error } = named(receive(a, 1024, MSG_ERRQUEUE).control, "IP_RECVERR");
  assertEquals([error.code, error.origin, error.offender], ["EMSGSIZE", "local", null]);
});

// ---- python3 ----

test(
  "descriptors go to python3 and come from it, with its credentials",
  { ...RAW, run: ["python3"], read: true, write: true, env: true },
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const path = `${folder}/socket`;
      await Deno.writeTextFile(`${folder}/one`, "the first file");
      await Deno.writeTextFile(`${folder}/two`, "the second file");
      const address = utf8.encode(`${NULL}${NULL}${path}${NULL}`);
      address[0] = AF_UNIX;
      using listener = RawSocket.open(AF_UNIX, SOCK_STREAM).bind(address).listen();
      const child = new Deno.Command("python3", {
        args: [
          "-c",
          `
import os, socket, sys
folder = sys.argv[1]
with socket.socket(socket.AF_UNIX) as s:
    s.connect(folder + "/socket")
    s.recv(1)
    files = [open(folder + "/" + name) for name in ("one", "two")]
    socket.send_fds(s, [b"two ", b"files"], [file.fileno() for file in files])
    data, fds, flags, _ = socket.recv_fds(s, 64, 8)
    assert (data, len(fds), flags) == (b"take these", 2, 0), (data, fds, flags)
    os.write(fds[0], b"python3 was here")
    assert os.read(fds[1], 64) == b"the second file", "what was passed on"
    print(os.getpid(), os.getuid(), os.getgid())
`,
          folder,
        ],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const output = child.output();
      listener.poll(1, 10_000);
      using socket = listener.accept();
      socket.set(SOL_SOCKET, SO_PASSCRED, 1);
      socket.send("!");
      socket.poll(1, 10_000);
      const message = receive(socket);
      assertEquals([message.data, message.flags], ["two files", 0]);
      const files = named(message.control, "SCM_RIGHTS").descriptors as Owned[];
      assertEquals(files.length, 2);
      const into = new Uint8Array(64);
      const length = libcIo("Cannot test").read(files[0]!.fd, into);
      assertEquals(new TextDecoder().decode(into.subarray(0, length)), "the first file");
      // The second file goes back unread, beside a socket.
      const [a, b] = RawSocket.pair(SOCK_STREAM);
      using _a = a;
      const back: ControlMessage = { name: "SCM_RIGHTS", descriptors: [b, files[1]!] };
      assertEquals(send(socket, "take these", [back], "unix"), 10);
      b.close();
      for (const file of files) file.close();
      a.poll(1, 10_000);
      assertEquals(new TextDecoder().decode(a.receive()), "python3 was here");
      const { success, stdout, stderr } = await output;
      assert(success, new TextDecoder().decode(stderr));
      assert(isLast(a), "python3 had it, and is gone");
      const [pid, uid, gid] = new TextDecoder().decode(stdout).split(" ").map(Number);
      assertEquals(named(message.control, "SCM_CREDENTIALS"), {
        name: "SCM_CREDENTIALS",
        pid: pid!,
        uid: uid!,
        gid: gid!,
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
