// "The kernel says yes and does nothing": each case is shown by raw sockets, and then that the library throws instead.
// And options whose effect is seen from outside. Too late for an option: stage_test.ts. Values read back: matrix_test.ts.
import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes, assertThrows } from "@std/assert";
import * as options from "../../options/mod.ts";
import type { SocketOption } from "../../options/mod.ts";
import { assembleFilter } from "../../socket/mod.ts";
import { test } from "../needs.ts";
import { sleep, until } from "../time.ts";
import * as raw from "../raw_socket.ts";
import { inet, Namespace, RAW, RawSocket, refusal, ROOT } from "../raw_socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const IP = raw.IPPROTO_IP,
  IPV6 = raw.IPPROTO_IPV6,
  TCP = raw.IPPROTO_TCP,
  UDP = raw.IPPROTO_UDP,
  SOCKET = raw.SOL_SOCKET;

// ---- Sockets by name ----

const V4 = "127.0.0.1", V6 = "::1", MAPPED = "::ffff:127.0.0.1";

function datagram(hostname: string, protocol: number): RawSocket {
  return RawSocket.open(hostname.includes(":") ? raw.AF_INET6 : raw.AF_INET, raw.SOCK_DGRAM, protocol);
}

/** Two datagram sockets, the first connected to the second, both at an address. */
function datagrams(hostname: string, protocol: number = UDP): [RawSocket, RawSocket] {
  const receiver = datagram(hostname, protocol).bind(inet(hostname, 0));
  return [datagram(hostname, protocol).connect(inet(hostname, receiver.localPort)), receiver];
}

/** A connection: the client, then the accepted socket. */
function connection(hostname: string, protocol = TCP): [RawSocket, RawSocket] {
  const family = hostname.includes(":") ? raw.AF_INET6 : raw.AF_INET;
  using listener = RawSocket.open(family, raw.SOCK_STREAM, protocol).bind(inet(hostname, 0)).listen();
  const client = RawSocket.open(family, raw.SOCK_STREAM, protocol).connect(inet(hostname, listener.localPort));
  return [client, listener.accept()];
}

function raws(hostname: string): [RawSocket, RawSocket] {
  const family = hostname.includes(":") ? raw.AF_INET6 : raw.AF_INET;
  const open = () => RawSocket.open(family, raw.SOCK_RAW, 253).connect(inet(hostname, 0));
  return [open(), open()];
}

/** A netlink socket that talks to the kernel, which answers. */
function netlink(): [RawSocket, RawSocket] {
  const socket = RawSocket.open(raw.AF_NETLINK, raw.SOCK_RAW).bind(Uint8Array.of(16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  return [socket, socket];
}

function v6Only(): [RawSocket, RawSocket] {
  const socket = datagram(V6, UDP);
  socket.set(IPV6, 26, 1);
  return [socket, socket];
}

/** Pairs of sockets, a sender and a receiver, with how messages call them. */
const PAIRS: Readonly<Record<string, readonly [make: () => [RawSocket, RawSocket], shown: RegExp]>> = {
  tcp4: [() => connection(V4), /tcp 127\.0\.0\.1:\d+ to 127\.0\.0\.1:\d+/],
  tcp6: [() => connection(V6), /tcp \[::1\]:\d+ to \[::1\]:\d+/],
  tcpMapped: [() => connection(MAPPED), /tcp \[::ffff:127\.0\.0\.1\]:\d+ to /],
  udp4: [() => datagrams(V4), /udp 127\.0\.0\.1:\d+/],
  udp6: [() => datagrams(V6), /udp \[::1\]:\d+/],
  udpMapped: [() => datagrams(MAPPED), /udp \[::ffff:127\.0\.0\.1\]:\d+/],
  v6Only: [v6Only, /udp \[::\]:0/],
  udplite4: [() => datagrams(V4, raw.IPPROTO_UDPLITE), /(udplite|family 2 type 2 protocol 136) 127\.0\.0\.1:\d+/],
  udplite6: [() => datagrams(V6, raw.IPPROTO_UDPLITE), /(udplite|family 10 type 2 protocol 136) \[::1\]:\d+/],
  raw4: [() => raws(V4), /(raw 253|family 2 type 3 protocol 253) 127\.0\.0\.1/],
  raw6: [() => raws(V6), /(raw 253|family 10 type 3 protocol 253) \[::1\]/],
  unixStream: [() => RawSocket.pair(raw.SOCK_STREAM), /unix stream/],
  unixDgram: [() => RawSocket.pair(raw.SOCK_DGRAM), /unix dgram/],
  unixSeqpacket: [() => RawSocket.pair(raw.SOCK_SEQPACKET), /unix seqpacket/],
  netlink: [netlink, /(netlink|family 16)/],
};

/** Runs a function with a pair, and closes it. */
function withPair<T>(name: string, fn: (sender: RawSocket, receiver: RawSocket) => T): T {
  const [sender, receiver] = PAIRS[name]![0]();
  try {
    return fn(sender, receiver);
  } finally {
    sender.close();
    receiver.close();
  }
}

/** Sends a message from one to the other, and the control messages with which it arrives, as "level/type". */
function controlOf(name: string, prepare: (sender: RawSocket, receiver: RawSocket) => void): string[] {
  return withPair(name, (sender, receiver) => {
    prepare(sender, receiver);
    // To the kernel: RTM_GETLINK of interface 1.
    const request = Uint8Array.of(
      32,
      0,
      0,
      0,
      18,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
    );
    sender.send(name === "netlink" ? request : Uint8Array.of(1));
    return receiver.receiveMessage().control.map(({ level, type }) => `${level}/${type}`);
  });
}

// ---- What is refused ----

const ONLY_V4 = / are not V6ONLY.*; this one carries IPv6 traffic alone$/,
  ONLY_V6 = /; this one carries IPv4 traffic alone$/;
const FILTER = [{ code: 6, jt: 0, jf: 0, k: 0 }];
const GROUP = { group: "239.1.2.3", interface: "lo" };
/** Where nothing is a packet of a network device. */
const NO_PACKETS = "unixStream unixDgram unixSeqpacket netlink";
const UNIX = "unixStream unixDgram unixSeqpacket";

/**
 * Options and the sockets on which they would do nothing. Every one is tried with each: `set` and, if there is one,
 * `get` throw NotSupported, naming option, socket and what the option works on; the kernel's value stays.
 */
const REFUSED: readonly (readonly [option: string, value: unknown, sockets: string, worksOn: RegExp | string])[] = [
  // Options of a protocol on another
  ["TCP_NODELAY", true, `udp4 udp6 udplite4 raw4 ${NO_PACKETS}`, "TCP sockets"],
  ["TCP_KEEPIDLE", 60, `udp4 udp6 ${UNIX}`, "TCP sockets"],
  ["TCP_INFO", undefined, "udp4 unixStream", "TCP sockets"],
  ["MPTCP_INFO", undefined, "tcp4 tcp6 udp4", "MPTCP sockets"],
  ["UDP_CORK", true, "tcp4 tcp6 unixDgram raw4", "UDP sockets"],
  ["UDP_SEGMENT", 100, "tcp4 unixDgram udplite4 udplite6", "UDP sockets, but no UDP-Lite ones"],
  ["UDP_GRO", true, "tcp4 unixDgram udplite4 udplite6", "UDP sockets, but no UDP-Lite ones"],
  ["UDPLITE_SEND_CSCOV", 20, "udp4 udp6 tcp4", "UDP-Lite sockets"],
  ["IP_HDRINCL", true, "udp4 tcp4 raw6", "raw IPv4 sockets"],
  ["ICMP_FILTER", [0], "udp4 raw4 raw6", "raw ICMP sockets"],
  ["PACKET_AUXDATA", true, "raw4 udp4 unixDgram", "packet sockets"],
  ["SO_VM_SOCKETS_BUFFER_SIZE", 131_072n, "tcp4 unixStream", "vsock sockets"],
  ["SO_PEERCRED", undefined, "tcp4 udp4 netlink", "unix sockets"],
  ["SO_PASSCRED", true, "tcp4 udp4 raw4", "unix and netlink sockets"],

  // Options of an IP version on sockets that cannot have its packets
  ["IPV6_TCLASS", 32, `tcp4 udp4 raw4 ${UNIX}`, /IPv6 sockets$/],
  ["IPV6_UNICAST_HOPS", 32, "tcpMapped udpMapped", ONLY_V6],
  ["IPV6_TCLASS", 32, "tcpMapped udpMapped", ONLY_V6],
  ["IPV6_MULTICAST_HOPS", 32, "udpMapped", ONLY_V6],
  ["IPV6_RECVHOPLIMIT", true, "udpMapped", ONLY_V6],
  ["IPV6_RECVTCLASS", true, "udpMapped", ONLY_V6],
  ["IPV6_RECVORIGDSTADDR", true, "udpMapped", ONLY_V6],
  ["IP_TTL", 32, "v6Only udp6 tcp6 udplite6 raw6", ONLY_V4],
  ["IP_TOS", 32, "v6Only udp6 tcp6 udplite6 raw6", ONLY_V4],
  ["IP_RECVTTL", true, "v6Only udp6 udplite6 raw6", ONLY_V4],
  ["IP_PKTINFO", true, "v6Only udp6 udplite6 raw6", ONLY_V4],
  ["IP_MULTICAST_TTL", 32, "v6Only udp6 raw6", ONLY_V4],
  ["IP_ADD_MEMBERSHIP", GROUP, "v6Only udp6 raw6", ONLY_V4],
  [
    "MCAST_JOIN_GROUP",
    GROUP,
    "v6Only udp6 raw6",
    /: the group "239\.1\.2\.3" is of IPv4, the socket must carry IPv4 traffic$/,
  ],
  [
    "MCAST_JOIN_GROUP",
    { group: "ff02::1234", interface: "lo" },
    "udp4 udpMapped raw4",
    /is of IPv6, the socket must carry IPv6 traffic$/,
  ],
  ["IP_MINTTL", 5, "tcp6", ONLY_V4],
  ["IP_MINTTL", 5, "udp4 raw4 unixStream", /TCP sockets of IPv4, /],
  ["IPV6_MINHOPCOUNT", 5, "tcp4 udp6 raw6", "TCP sockets of IPv6"],
  ["IPV6_MINHOPCOUNT", 5, "tcpMapped", ONLY_V6],
  ["IPV6_V6ONLY", true, "raw6 udp4 tcp4", "TCP and UDP sockets of IPv6"],
  ["IP_FREEBIND", true, "raw6 unixStream", "IPv4 and IPv6 sockets, but no raw IPv6 ones"],
  ["IP_TRANSPARENT", true, "raw6 unixStream", "IPv4 and IPv6 sockets, but no raw IPv6 ones"],
  ["SO_BROADCAST", true, "v6Only udp6 raw6", ONLY_V4],
  ["SO_BROADCAST", true, `tcp4 tcp6 ${NO_PACKETS}`, /UDP, ping and raw sockets of IPv4/],
  ["SO_DONTROUTE", true, "v6Only udp6 tcp6 raw6", ONLY_V4],
  ["SO_DONTROUTE", true, NO_PACKETS, /IPv4 sockets/],
  ["SO_NO_CHECK", true, "v6Only udp6", ONLY_V4],
  ["SO_NO_CHECK", true, "tcp4 udplite4 udplite6 raw4 unixDgram", /UDP sockets of IPv4.*no UDP-Lite ones$/],
  ["UDP_NO_CHECK6_TX", true, "udp4 udplite4 udplite6 tcp6", "UDP sockets of IPv6, but no UDP-Lite ones"],
  ["UDP_NO_CHECK6_RX", true, "udp4 udplite4 udplite6 tcp6", "UDP sockets of IPv6, but no UDP-Lite ones"],
  ["UDP_NO_CHECK6_TX", true, "udpMapped", ONLY_V6],

  // Options of datagrams on streams, and the reverse
  ["IP_MULTICAST_TTL", 32, "tcp4 tcpMapped", /UDP, ping and raw sockets/],
  ["IP_MULTICAST_LOOP", false, "tcp4 tcpMapped", /UDP, ping and raw sockets/],
  ["IP_MULTICAST_IF", "127.0.0.1", "tcp4", /UDP, ping and raw sockets/],
  ["IP_ADD_MEMBERSHIP", GROUP, "tcp4 unixDgram", /UDP, ping and raw sockets/],
  ["MCAST_JOIN_GROUP", GROUP, "tcp4 tcp6 unixDgram", "UDP, ping and raw sockets"],
  ["IPV6_MULTICAST_HOPS", 32, "tcp6", "UDP, ping and raw sockets of IPv6"],
  ["IPV6_JOIN_GROUP", { group: "ff02::1234", interface: "lo" }, "tcp6 udp4", "UDP, ping and raw sockets of IPv6"],
  ["IP_PKTINFO", true, "tcp4", /UDP, ping and raw sockets/],
  ["IP_RECVTTL", true, "tcp4", /UDP, ping and raw sockets/],
  ["IPV6_RECVPKTINFO", true, "tcp6 udp4", "UDP, ping and raw sockets of IPv6"],
  ["IPV6_PKTINFO", new Uint8Array(20), "tcp6", "UDP, ping and raw sockets of IPv6"],
  ["IPV6_UNICAST_IF", 1, "tcp6", "UDP, ping and raw sockets of IPv6"],
  ["SO_KEEPALIVE", true, `udp4 udp6 raw4 ${NO_PACKETS}`, "TCP sockets"],
  ["SO_LINGER", { enabled: true, seconds: 0 }, `udp4 udp6 raw4 ${NO_PACKETS}`, "TCP and vsock sockets"],
  ["SO_OOBINLINE", true, "udp4 raw4 unixDgram unixSeqpacket netlink", "TCP and unix stream sockets"],
  ["SO_RCVLOWAT", 7, "udp4 raw4 unixDgram netlink", "stream sockets"],
  ["SO_BUF_LOCK", 3, `udp4 udp6 raw4 ${UNIX}`, "TCP sockets"],
  ["SO_TXREHASH", 0, "udp4 unixStream", "TCP sockets"],
  ["SO_SELECT_ERR_QUEUE", true, `tcp4 tcp6 ${NO_PACKETS}`, "UDP, ping, raw and packet sockets"],
  ["SO_RXQ_OVFL", true, `tcp4 tcp6 ${NO_PACKETS}`, "UDP, ping, raw and packet sockets"],
  ["SO_RCVMARK", true, `tcp4 tcp6 ${NO_PACKETS}`, "UDP, ping, raw and packet sockets"],
  ["SO_TXTIME", { clock: "monotonic" }, `tcp4 ${NO_PACKETS}`, "UDP, ping, raw and packet sockets"],

  // Options of ports on sockets without them
  ["SO_REUSEADDR", true, `raw4 raw6 ${NO_PACKETS}`, "TCP, UDP and ping sockets"],
  ["SO_REUSEPORT", true, `raw4 raw6 ${NO_PACKETS}`, "TCP and UDP sockets"],
  ["SO_INCOMING_CPU", 1, "raw4 raw6 unixStream", "TCP and UDP sockets"],
  ["IP_BIND_ADDRESS_NO_PORT", true, "raw4 raw6 unixStream", "TCP and UDP sockets"],
  ["IP_LOCAL_PORT_RANGE", { low: 45_000, high: 45_031 }, "raw4 raw6 unixStream", "TCP and UDP sockets"],

  // Options of packets on sockets that never make one
  ["SO_MARK", 7, NO_PACKETS, "IP and packet sockets"],
  ["SO_PRIORITY", 5, NO_PACKETS, "IP and packet sockets"],
  ["SO_MAX_PACING_RATE", 1000n, NO_PACKETS, "IP and packet sockets"],
  ["SO_BUSY_POLL", 50, NO_PACKETS, "IP and packet sockets"],
  ["SO_TIMESTAMPING", 24, NO_PACKETS, "IP and packet sockets"],
  ["SO_TIMESTAMP", true, "unixStream netlink", "IP and packet sockets, and unix ones but streams"],
  ["SO_TIMESTAMPNS", true, "unixStream netlink", "IP and packet sockets, and unix ones but streams"],
  ["SO_BINDTODEVICE", "lo", NO_PACKETS, "IPv4 and IPv6 sockets"],
  ["SO_ZEROCOPY", true, UNIX, "every socket but unix ones"],
  ["SO_RCVBUF", 50_000, UNIX, "every socket but unix ones"],
  ["SO_RCVBUFFORCE", 50_000, UNIX, "every socket but unix ones"],
  ["SO_ATTACH_FILTER", FILTER, "unixStream", "every socket but unix streams"],
  ["SO_LOCK_FILTER", true, "unixStream", "every socket but unix streams"],
];

const sockets = [...new Set(REFUSED.flatMap(([, , names]) => names.split(" ")))];

for (const name of sockets) {
  const needs = name.startsWith("raw") ? ROOT : RAW;
  const rows = REFUSED.filter(([, , names]) => names.split(" ").includes(name));
  test(`options that do nothing on a ${name} socket throw NotSupported, and leave it as it is`, needs, () => {
    for (const [option, value, , worksOn] of rows) {
      withPair(name, (socket) => {
        const it = (options as unknown as Record<string, SocketOption<unknown>>)[option]!;
        const { level, name: number } = it.codes.linux!;
        const kernel = () => {
          let bytes: Bytes | undefined;
          return refusal(() => bytes = socket.get(level, number, 64)) ?? bytes;
        };
        const before = kernel();
        const errors = [];
        if (it.access !== "get") errors.push(assertThrows(() => it.set(socket, value), Deno.errors.NotSupported));
        if (it.access !== "set") errors.push(assertThrows(() => it.get(socket), Deno.errors.NotSupported));
        for (const { message } of errors) {
          assertMatch(message, new RegExp(`^Cannot (set|read) ${option} on ${PAIRS[name]![1].source}`));
          if (typeof worksOn === "string") assert(message.endsWith(`: it works on ${worksOn}`), message);
          else assertMatch(message, worksOn);
        }
        assertEquals(kernel(), before, `${option}: the kernel's value`);
      });
    }
  });
}

// ---- That it would have done nothing ----

test(
  "a filter on a unix stream socket is taken by the kernel and stops nothing, on a unix dgram one it does",
  RAW,
  () => {
    const instruction = Uint8Array.of(6, 0, 0, 0, 0, 0, 0, 0); // return 0: nothing passes
    const program = new Uint8Array(16);
    program[0] = 1;
    new DataView(program.buffer).setBigUint64(8, raw.addressOf(instruction), true);
    const arrives = (name: string) =>
      withPair(name, (sender, receiver) => {
        receiver.set(SOCKET, 26, program);
        sender.send("x");
        return refusal(() => receiver.receive(20)) === null;
      });
    assertEquals(["unixStream", "unixDgram", "unixSeqpacket", "udp4"].map(arrives), [true, false, false, false]);
  },
);

test("SO_RCVBUF on a unix socket is taken by the kernel and limits nothing: SO_SNDBUF of the sender does", RAW, () => {
  const fits = (name: string, prepare: (sender: RawSocket, receiver: RawSocket) => void) =>
    withPair(name, (sender, receiver) => {
      prepare(sender, receiver);
      let count = 0;
      while (refusal(() => sender.send(new Uint8Array(1000))) === null) count++;
      return count;
    });
  for (const name of UNIX.split(" ")) {
    const usual = fits(name, () => {});
    assertEquals(fits(name, (_, receiver) => receiver.set(SOCKET, 8, 1)), usual, name);
    assert(fits(name, (sender) => void options.SO_SNDBUF.set(sender, 4000)) < usual / 2, name);
  }
});

for (
  const [name, number, value, control, works, ignores] of [
    ["SO_TIMESTAMP", 29, 1, "1/29", "udp4 tcp4 unixDgram unixSeqpacket", "unixStream netlink"],
    ["SO_TIMESTAMPNS", 35, 1, "1/35", "udp4 tcp4 unixDgram unixSeqpacket", "unixStream netlink"],
    ["SO_TIMESTAMPING", 37, 0x18, "1/37", "udp4 tcp4", "unixStream unixDgram unixSeqpacket netlink"],
    ["SO_RCVMARK", 75, 1, "1/36", "udp4 udp6", "tcp4 unixStream unixDgram unixSeqpacket netlink"],
  ] as const
) {
  test(`${name} is taken by the kernel on ${ignores}, and nothing comes of it`, RAW, async () => {
    const option = (options as unknown as Record<string, SocketOption<unknown>>)[name]!;
    using asking = datagram(V4, UDP); // all the while, so that the kernel does not cease to
    asking.set(SOCKET, number, value);
    for (const kind of works.split(" ")) {
      // The kernel begins to take the time a little after the first socket has asked for it.
      let came: string[] = [];
      for (let i = 0; i < 300 && came.length === 0; i++) {
        if (i > 0) await sleep(10);
        came = controlOf(kind, (_, receiver) => void option.set(receiver, value === 1 ? true : value));
      }
      assertEquals(came, [control], kind);
    }
    for (const kind of ignores.split(" ")) {
      assertEquals(controlOf(kind, (_, receiver) => void receiver.set(SOCKET, number, value)), [], kind);
    }
  });
}

test("SO_RXQ_OVFL tells a UDP socket of losses; a unix one takes it and tells nothing", RAW, () => {
  withPair("udp4", (sender, receiver) => {
    options.SO_RCVBUF.set(receiver, 1);
    options.SO_RXQ_OVFL.set(receiver, true);
    for (let i = 0; i < 100; i++) sender.send(new Uint8Array(1000));
    refusal(() => {
      for (;;) receiver.receive(0);
    });
    sender.send("x");
    assertEquals(receiver.receiveMessage().control.map(({ level, type }) => `${level}/${type}`), ["1/40"]);
  });
  assertEquals(controlOf("unixDgram", (_, receiver) => void receiver.set(SOCKET, 40, 1)), []);
});

test("SO_SELECT_ERR_QUEUE makes a UDP socket say POLLPRI; a TCP one takes it and does not", RAW, () => {
  const POLLPRI = 2, POLLERR = 8;
  const events = (name: string, set: (socket: RawSocket) => void) =>
    withPair(name, (sender) => {
      set(sender);
      sender.set(SOCKET, 37, 0x92); // a timestamp of sending, to the error queue
      sender.send("x");
      for (let i = 0; i < 100 && (sender.poll(POLLPRI, 10) & POLLERR) === 0; i++);
      return sender.poll(POLLPRI, 0);
    });
  assertEquals(events("udp4", () => {}), POLLERR);
  assertEquals(events("udp4", (socket) => void options.SO_SELECT_ERR_QUEUE.set(socket, true)), POLLERR | POLLPRI);
  assertEquals(events("tcp4", (socket) => void socket.set(SOCKET, 45, 1)), POLLERR);
});

/** The UDP checksum with which a message goes from a sender to a receiver, seen on the interface. */
function checksum(name: string, set: (socket: RawSocket) => void): number {
  const capture = Uint8Array.of(17, 0, 0, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); // every protocol, interface 1
  return withPair(name, (sender, receiver) => {
    using sniffer = RawSocket.open(raw.AF_PACKET, raw.SOCK_DGRAM);
    // Whatever else goes over the interface must not fill the buffer.
    const toReceiver = `
      ldb [0]
      rsh #4
      jeq #4, ipv4
      ldh [42]
      jmp port
      ipv4: ldh [22]
      port: jeq #${receiver.localPort}, keep
      ret #0
      keep: ret #-1`;
    options.SO_ATTACH_FILTER.set(sniffer, assembleFilter(toReceiver));
    sniffer.bind(capture);
    set(sender);
    sender.send("checked");
    const packet = sniffer.receive();
    const at = packet[0]! >> 4 === 4 ? 20 : 40;
    return packet[at + 6]! << 8 | packet[at + 7]!;
  });
}

test(
  "SO_NO_CHECK leaves the checksum out on IPv4 alone, UDP_NO_CHECK6_TX on IPv6 alone, and neither on UDP-Lite",
  ROOT,
  () => {
    const noCheck = (socket: RawSocket) => void options.SO_NO_CHECK.set(socket, true);
    const noCheck6 = (socket: RawSocket) => void options.UDP_NO_CHECK6_TX.set(socket, true);
    const rawNoCheck = (socket: RawSocket) => void socket.set(SOCKET, 11, 1);
    const rawNoCheck6 = (socket: RawSocket) => void socket.set(UDP, 101, 1);
    assertEquals([checksum("udp4", noCheck), checksum("udpMapped", noCheck), checksum("udp6", noCheck6)], [0, 0, 0]);
    for (const name of ["udp6", "udplite4", "udplite6"]) assertNotEquals(checksum(name, rawNoCheck), 0, name);
    for (const name of ["udp4", "udpMapped", "udplite4", "udplite6"]) {
      assertNotEquals(
        checksum(name, rawNoCheck6),
        0,
        name,
      );
    }
  },
);

test("UDP_SEGMENT cuts what a UDP socket sends; on UDP-Lite the kernel takes it, and sending fails", RAW, () => {
  withPair("udp4", (sender, receiver) => {
    options.UDP_SEGMENT.set(sender, 1000);
    sender.send(new Uint8Array(2500));
    assertEquals([receiver.receive().length, receiver.receive().length, receiver.receive().length], [1000, 1000, 500]);
  });
  withPair("udplite4", (sender) => {
    sender.set(UDP, 103, 1000);
    assertEquals(refusal(() => sender.send(new Uint8Array(2500))), "EIO");
  });
});

test("UDP_GRO glues what a UDP socket receives", RAW, () => {
  withPair("udp4", (sender, receiver) => {
    options.UDP_GRO.set(receiver, true);
    options.UDP_SEGMENT.set(sender, 1000);
    sender.send(new Uint8Array(2500));
    const { data, control } = receiver.receiveMessage();
    assertEquals([data.length, control.map(({ level, type, data }) => [level, type, raw.asInt(data)])], [2500, [[
      UDP,
      104,
      1000,
    ]]]);
  });
});

test(
  "SO_BROADCAST allows IPv4 broadcasts, also from a dual-stack socket; a V6ONLY one takes it and sends none",
  RAW,
  () => {
    for (const [hostname, broadcast] of [[V4, "127.255.255.255"], [V6, "::ffff:127.255.255.255"]] as const) {
      using socket = datagram(hostname, UDP);
      assertEquals(refusal(() => socket.send("x", inet(broadcast, 9))), "EACCES");
      options.SO_BROADCAST.set(socket, true);
      assertEquals(refusal(() => socket.send("x", inet(broadcast, 9))), null);
    }
    withPair("v6Only", (socket) => {
      socket.set(SOCKET, 6, 1);
      assertEquals(refusal(() => socket.send("x", inet("::ffff:127.255.255.255", 9))), "ENETUNREACH");
    });
  },
);

test("SO_REUSEADDR and SO_REUSEPORT are nothing to raw sockets: any number may bind an address", ROOT, () => {
  using first = RawSocket.open(raw.AF_INET, raw.SOCK_RAW, 253);
  first.set(SOCKET, 2, 0).set(SOCKET, 15, 0).bind(inet(V4, 0));
  using second = RawSocket.open(raw.AF_INET, raw.SOCK_RAW, 253);
  second.set(SOCKET, 2, 0).set(SOCKET, 15, 0);
  assertEquals(refusal(() => second.bind(inet(V4, 0))), null);
});

test("SO_REUSEADDR lets ping sockets share an identifier, SO_REUSEPORT is taken and does not", ROOT, () => {
  using namespace = new Namespace();
  namespace.sysctl("net.ipv4.ping_group_range", "0 2147483647");
  const shares = (prepare: (socket: RawSocket) => void) =>
    namespace.run(() => {
      using first = datagram(V4, raw.IPPROTO_ICMP);
      prepare(first);
      first.bind(inet(V4, 4711));
      using second = datagram(V4, raw.IPPROTO_ICMP);
      prepare(second);
      return refusal(() => second.bind(inet(V4, 4711)));
    });
  assertEquals(shares((socket) => void options.SO_REUSEADDR.set(socket, true)), null);
  assertEquals(shares((socket) => void socket.set(SOCKET, 2, 0).set(SOCKET, 15, 1)), "EADDRINUSE");
  namespace.run(() => {
    using socket = datagram(V4, raw.IPPROTO_ICMP);
    const { message } = assertThrows(() => options.SO_REUSEPORT.set(socket, true), Deno.errors.NotSupported);
    assert(message.endsWith(": it works on TCP and UDP sockets"), message);
  });
});

/** A namespace with a bridge that has 10.9.0.1/24 and 2001:db8::1/64, and default routes by way of a neighbour. */
function routed(): Namespace {
  const namespace = new Namespace();
  namespace.run(() => {
    const bridge = raw.addBridge("br0");
    using ipv4 = RawSocket.open(raw.AF_INET, raw.SOCK_DGRAM);
    const request = new Uint8Array(40); // struct ifreq
    request.set(raw.cString("br0"));
    request.set(inet("10.9.0.1", 0), 16);
    ipv4.ioctl(0x8916, request); // SIOCSIFADDR
    request.set(inet("255.255.255.0", 0), 16);
    ipv4.ioctl(0x891c, request); // SIOCSIFNETMASK
    const route = new Uint8Array(120); // struct rtentry
    route.set(inet("0.0.0.0", 0), 8);
    route.set(inet("10.9.0.254", 0), 24);
    route.set(inet("0.0.0.0", 0), 40);
    route[56] = 3; // RTF_UP | RTF_GATEWAY
    ipv4.ioctl(0x890b, route); // SIOCADDRT

    using ipv6 = RawSocket.open(raw.AF_INET6, raw.SOCK_DGRAM);
    const address = new Uint8Array(24); // struct in6_ifreq
    address.set(raw.pton(raw.AF_INET6, "2001:db8::1")!);
    address[16] = 64;
    address[20] = bridge;
    ipv6.ioctl(0x8916, address);
    const route6 = new Uint8Array(80); // struct in6_rtmsg
    route6.set(raw.pton(raw.AF_INET6, "2001:db8::fe")!, 32);
    route6[56] = 1; // metric
    route6[72] = 3;
    route6[76] = bridge;
    ipv6.ioctl(0x890b, route6);
  });
  return namespace;
}

test("SO_BINDTODEVICE takes an alternative name of an interface, which reads back as its own", ROOT, () => {
  using namespace = new Namespace();
  namespace.run(() => {
    using netlink = RawSocket.open(raw.AF_NETLINK, raw.SOCK_RAW);
    netlink.send(Uint8Array.of(
      ...[44, 0, 0, 0, 108, 0, 1, 6, 0, 0, 0, 0, 0, 0, 0, 0], // RTM_NEWLINKPROP, NLM_F_REQUEST | CREATE | EXCL
      ...[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // struct ifinfomsg: the loopback interface
      ...[12, 0, 52, 0x80, 8, 0, 53, 0, ...raw.cString("lo0")], // IFLA_PROP_LIST of one IFLA_ALT_IFNAME
    ));
    using socket = RawSocket.open(raw.AF_INET, raw.SOCK_DGRAM);
    assertEquals(options.SO_BINDTODEVICE.set(socket, "lo0"), "lo");
    assertEquals(socket.getInt(SOCKET, 62), 1); // SO_BINDTOIFINDEX
  });
});

test("SO_DONTROUTE keeps IPv4 from the gateway; IPv6 takes it and goes there all the same", ROOT, () => {
  using namespace = routed();
  namespace.run(() => {
    for (
      const open of [
        (hostname: string) => datagram(hostname, UDP),
        (hostname: string) => RawSocket.open(hostname.includes(":") ? raw.AF_INET6 : raw.AF_INET, raw.SOCK_STREAM),
      ]
    ) {
      using plain = open("192.0.2.5");
      assertEquals(refusal(() => plain.connect(inet("192.0.2.5", 9), 0)), null);
      using direct = open("192.0.2.5");
      options.SO_DONTROUTE.set(direct, true);
      assertEquals(refusal(() => direct.connect(inet("192.0.2.5", 9), 0)), "ENETUNREACH");
      using direct6 = open("2001:db8:5::5");
      direct6.set(SOCKET, 5, 1);
      assertEquals(refusal(() => direct6.connect(inet("2001:db8:5::5", 9), 0)), null);
    }
  });
});

test("IPV6_PKTINFO and IPV6_UNICAST_IF choose the interface of UDP; TCP takes them and goes elsewhere", ROOT, () => {
  using namespace = routed();
  namespace.run(() => {
    const loopback = Uint8Array.of(...new Array(16).fill(0), 1, 0, 0, 0);
    const index = Uint8Array.of(0, 0, 0, 1);
    const far = inet("2001:db8:5::5", 9);
    using first = datagram(V6, UDP);
    options.IPV6_PKTINFO.set(first, loopback);
    using second = datagram(V6, UDP);
    options.IPV6_UNICAST_IF.set(second, 1);
    assertEquals([refusal(() => first.connect(far)), refusal(() => second.connect(far))], [
      "ENETUNREACH",
      "ENETUNREACH",
    ]);
    for (const [number, value] of [[50, loopback], [76, index]] as const) {
      using tcp = RawSocket.open(raw.AF_INET6, raw.SOCK_STREAM).set(IPV6, number, value);
      assertEquals(refusal(() => tcp.connect(far, 0)), null);
    }
  });
});

test("IPV6_PKTINFO with an address is taken by the kernel, which sends from another: a RangeError here", ROOT, () => {
  using namespace = routed();
  namespace.run(() => {
    using receiver = datagram(V6, UDP).bind(inet("::1", 0));
    receiver.set(IPV6, 49, 1); // IPV6_RECVPKTINFO
    using sender = datagram(V6, UDP);
    const source = Uint8Array.of(...raw.pton(raw.AF_INET6, "2001:db8::1")!, 0, 0, 0, 0);
    sender.set(IPV6, 50, source);
    sender.connect(inet("::1", receiver.localPort));
    assertEquals(raw.ntop(sender.localAddress.slice(8, 24)), "::1");
    const { message } = assertThrows(() => options.IPV6_PKTINFO.set(sender, source), RangeError);
    assertStringIncludes(message, "Cannot set IPV6_PKTINFO: the address must be ::");
  });
});

test(
  "options of one IP version are taken by sockets that have packets of the other, and change none of them",
  RAW,
  () => {
    const arrives = (name: string, receive: readonly [number, number], prepare: (socket: RawSocket) => void) =>
      withPair(name, (sender, receiver) => {
        receiver.set(receive[0], receive[1], 1);
        prepare(sender);
        sender.send("x");
        return receiver.receiveMessage().control[0]!.data[0];
      });
    const TTL = [IP, 12] as const, TOS = [IP, 13] as const, HOPS = [IPV6, 51] as const, TCLASS = [IPV6, 66] as const;
    const usual = arrives("udp4", TTL, () => {});
    assertEquals(arrives("udp4", TTL, (s) => void options.IP_TTL.set(s, 33)), 33);
    assertEquals(arrives("udpMapped", TTL, (s) => void options.IP_TTL.set(s, 33)), 33);
    assertEquals(arrives("udpMapped", TTL, (s) => void s.set(IPV6, 16, 33)), usual, "IPV6_UNICAST_HOPS, on IPv4");
    assertEquals(arrives("udp4", TOS, (s) => void options.IP_TOS.set(s, 0x88)), 0x88);
    assertEquals(arrives("udpMapped", TOS, (s) => void options.IP_TOS.set(s, 0x88)), 0x88);
    assertEquals(arrives("udpMapped", TOS, (s) => void s.set(IPV6, 67, 0x88)), 0, "IPV6_TCLASS, on IPv4");
    assertEquals(arrives("udp6", HOPS, (s) => void options.IPV6_UNICAST_HOPS.set(s, 33)), 33);
    assertEquals(arrives("udp6", HOPS, (s) => void s.set(IP, 2, 33)), usual, "IP_TTL, on IPv6");
    assertEquals(arrives("udp6", TCLASS, (s) => void options.IPV6_TCLASS.set(s, 0x88)), 0x88);
    assertEquals(arrives("udp6", TCLASS, (s) => void s.set(IP, 1, 0x88)), 0, "IP_TOS, on IPv6");
  },
);

test("control messages of one IP version are asked for on the other in vain, but IPV6_RECVPKTINFO", RAW, () => {
  const ask = (name: string, level: number, number: number) =>
    controlOf(name, (_, receiver) => void receiver.set(level, number, 1));
  assertEquals([51, 66, 74].map((number) => ask("udp6", IPV6, number)), [["41/52"], ["41/67"], ["41/74"]]);
  assertEquals([51, 66, 74].map((number) => ask("udpMapped", IPV6, number)), [[], [], []]);
  assertEquals([8, 12, 13, 20].map((number) => ask("udpMapped", IP, number)), [["0/8"], ["0/2"], ["0/1"], ["0/20"]]);
  assertEquals([8, 12, 13, 20].map((number) => ask("udp6", IP, number)), [[], [], [], []]);
  assertEquals(controlOf("udpMapped", (_, receiver) => void options.IPV6_RECVPKTINFO.set(receiver, true)), ["41/50"]);
});

test("IP_MINTTL keeps packets from a TCP socket; a UDP one takes it and lets them in", RAW, () => {
  const arrives = (name: string, prepare: (socket: RawSocket) => void) =>
    withPair(name, (sender, receiver) => {
      prepare(receiver);
      sender.send("x");
      return refusal(() => receiver.receive(30)) === null;
    });
  assertEquals(arrives("tcp4", (socket) => void options.IP_MINTTL.set(socket, 200)), false);
  assertEquals(arrives("tcpMapped", (socket) => void options.IP_MINTTL.set(socket, 200)), false);
  assertEquals(arrives("tcp6", (socket) => void options.IPV6_MINHOPCOUNT.set(socket, 200)), false);
  assertEquals(arrives("udp4", (socket) => void socket.set(IP, 21, 200)), true);
  assertEquals(arrives("udp6", (socket) => void socket.set(IPV6, 73, 200)), true);
  assertEquals(arrives("tcp6", (socket) => void socket.set(IP, 21, 200)), true);
});

test("SO_DONTROUTE on an MPTCP socket is taken by the kernel and not kept: an error here", RAW, () => {
  if (refusal(() => RawSocket.open(raw.AF_INET, raw.SOCK_STREAM, raw.IPPROTO_MPTCP).close()) !== null) return;
  using socket = RawSocket.open(raw.AF_INET, raw.SOCK_STREAM, raw.IPPROTO_MPTCP);
  socket.set(SOCKET, 5, 1);
  assertEquals(socket.getInt(SOCKET, 5), 0);
  const { message } = assertThrows(() => options.SO_DONTROUTE.set(socket, true), Error);
  assertMatch(message, /^Cannot set SO_DONTROUTE on .+: the kernel took true without an error, but has false$/);
});

// ---- Effects seen from outside ----

test("SO_LINGER of 0 seconds resets the connection at close; a unix stream takes it and just ends", RAW, () => {
  const end = (name: string, prepare: (socket: RawSocket) => void) =>
    withPair(name, (closing, peer) => {
      prepare(closing);
      closing.close();
      return refusal(() => peer.receive());
    });
  assertEquals(end("tcp4", () => {}), null);
  assertEquals(
    end("tcp4", (socket) => void options.SO_LINGER.set(socket, { enabled: true, seconds: 0 })),
    "ECONNRESET",
  );
  assertEquals(end("unixStream", (socket) => void socket.set(SOCKET, 13, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))), null);
});

test("SO_MARK and SO_PRIORITY arrive with the packet, SO_RCVMARK shows the mark", ROOT, () => {
  withPair("udp4", (sender, receiver) => {
    options.SO_MARK.set(sender, 0x1234);
    options.SO_PRIORITY.set(sender, 5);
    options.SO_RCVMARK.set(receiver, true);
    const priority = refusal(() => receiver.set(SOCKET, 82, 1)) === null; // SO_RCVPRIORITY, since Linux 6.14
    sender.send("x");
    const came = receiver.receiveMessage().control.map(({ type, data }) => [type, raw.asInt(data)]);
    assertEquals(came, priority ? [[36, 0x1234], [12, 5]] : [[36, 0x1234]]);
  });
});

test("SO_RCVLOWAT makes a socket readable only at so many bytes", RAW, () => {
  for (const name of ["tcp4", "unixStream"]) {
    withPair(name, (sender, receiver) => {
      options.SO_RCVLOWAT.set(receiver, 8);
      sender.send("1234");
      const before = name === "tcp4" ? receiver.poll(1, 20) : 0; // a unix stream is readable all the same, but blocks
      sender.send("5678");
      assertEquals([before, receiver.poll(1, 1000)], [0, 1], name);
    });
  }
});

test("SO_OOBINLINE leaves urgent data in the stream, on TCP and on unix streams", RAW, () => {
  for (const name of ["tcp4", "unixStream"]) {
    const received = (prepare: (socket: RawSocket) => void) =>
      withPair(name, (sender, receiver) => {
        prepare(receiver);
        sender.send("ab");
        sender.send("!", undefined, 1); // MSG_OOB
        sender.send("cd");
        let text = "";
        while (refusal(() => text += new TextDecoder().decode(receiver.receive(20))) === null);
        return text;
      });
    assertEquals(received(() => {}), "abcd", name);
    assertEquals(received((socket) => void options.SO_OOBINLINE.set(socket, true)), "ab!cd", name);
  }
});

test("SO_PEEK_OFF moves with each peek", RAW, () => {
  withPair("unixDgram", (sender, receiver) => {
    options.SO_PEEK_OFF.set(receiver, 2);
    sender.send("abcdef");
    assertEquals(new TextDecoder().decode(receiver.receive(100, 2)), "cdef"); // MSG_PEEK
    assertEquals(options.SO_PEEK_OFF.get(receiver), 6);
  });
});

test("SO_LOCK_FILTER keeps the filter as it is", RAW, () => {
  withPair("udp4", (_, receiver) => {
    options.SO_ATTACH_FILTER.set(receiver, FILTER);
    options.SO_LOCK_FILTER.set(receiver, true);
    assertThrows(
      () => options.SO_DETACH_FILTER.set(receiver),
      Deno.errors.PermissionDenied,
      "Cannot set SO_DETACH_FILTER on udp 127.0.0.1:",
    );
  });
});

test("TCP_CORK holds a small segment back", RAW, () => {
  withPair("tcp4", (sender, receiver) => {
    options.TCP_CORK.set(sender, true);
    sender.send("x");
    assertEquals(receiver.poll(1, 30), 0);
    options.TCP_CORK.set(sender, false);
    assertEquals(receiver.poll(1, 1000), 1);
  });
});

// Since Linux 6.18 a filter on TCP needs CAP_NET_ADMIN.
test("TCP_USER_TIMEOUT gives a silent peer up", ROOT, async () => {
  const [sender, receiver] = connection(V4);
  options.SO_ATTACH_FILTER.set(receiver, FILTER); // deaf from now on
  options.TCP_USER_TIMEOUT.set(sender, 300);
  sender.send("x");
  let error = 0;
  await until(() => (error = options.SO_ERROR.get(sender)) !== 0); // without the option in a quarter of an hour
  assertEquals(error, 110); // ETIMEDOUT
  sender.close();
  receiver.close();
});
