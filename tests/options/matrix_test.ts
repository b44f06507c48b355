// Every option that this Linux has, set and read back on every kind of socket in every state, and what the kernel refuses.
// Options that come too late: stage_test.ts. Options that the kernel takes and does nothing with: effect_test.ts.
import { assert, assertEquals } from "@std/assert";
import { type OptionName, type Scope, SOCKOPT, type Stage } from "../../internal/sockopt.ts";
import { type AnyOption, listOptions, type SocketOption } from "../../options/mod.ts";
import { test } from "../needs.ts";
import * as raw from "../raw_socket.ts";
import { abstract, inet, int, Namespace, RAW, RawSocket, refusal } from "../raw_socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

// ---- The sockets ----

/** "connected" is to a peer of the socket's own family, "mapped" of an IPv6 socket to an IPv4 one. */
type State = "fresh" | "bound" | "listening" | "connected" | "mapped";

interface Kind {
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
  readonly states: readonly State[];
}

const STREAM: readonly State[] = ["fresh", "bound", "listening", "connected"];
const DATAGRAM: readonly State[] = ["fresh", "bound", "connected"];

/** Kinds of sockets; "4" and "6" at the end of a name are its family. */
const KINDS: Readonly<Record<string, Kind>> = {
  tcp4: { family: raw.AF_INET, type: raw.SOCK_STREAM, protocol: raw.IPPROTO_TCP, states: STREAM },
  tcp6: { family: raw.AF_INET6, type: raw.SOCK_STREAM, protocol: raw.IPPROTO_TCP, states: [...STREAM, "mapped"] },
  mptcp4: { family: raw.AF_INET, type: raw.SOCK_STREAM, protocol: raw.IPPROTO_MPTCP, states: STREAM },
  mptcp6: { family: raw.AF_INET6, type: raw.SOCK_STREAM, protocol: raw.IPPROTO_MPTCP, states: [...STREAM, "mapped"] },
  udp4: { family: raw.AF_INET, type: raw.SOCK_DGRAM, protocol: raw.IPPROTO_UDP, states: DATAGRAM },
  udp6: { family: raw.AF_INET6, type: raw.SOCK_DGRAM, protocol: raw.IPPROTO_UDP, states: [...DATAGRAM, "mapped"] },
  udplite4: { family: raw.AF_INET, type: raw.SOCK_DGRAM, protocol: raw.IPPROTO_UDPLITE, states: DATAGRAM },
  udplite6: {
    family: raw.AF_INET6,
    type: raw.SOCK_DGRAM,
    protocol: raw.IPPROTO_UDPLITE,
    states: [...DATAGRAM, "mapped"],
  },
  ping4: { family: raw.AF_INET, type: raw.SOCK_DGRAM, protocol: raw.IPPROTO_ICMP, states: DATAGRAM },
  ping6: { family: raw.AF_INET6, type: raw.SOCK_DGRAM, protocol: raw.IPPROTO_ICMPV6, states: DATAGRAM },
  icmp4: { family: raw.AF_INET, type: raw.SOCK_RAW, protocol: raw.IPPROTO_ICMP, states: DATAGRAM },
  icmp6: { family: raw.AF_INET6, type: raw.SOCK_RAW, protocol: raw.IPPROTO_ICMPV6, states: DATAGRAM },
  raw4: { family: raw.AF_INET, type: raw.SOCK_RAW, protocol: 253, states: DATAGRAM },
  raw6: { family: raw.AF_INET6, type: raw.SOCK_RAW, protocol: 253, states: DATAGRAM },
  unixStream: { family: raw.AF_UNIX, type: raw.SOCK_STREAM, protocol: 0, states: STREAM },
  unixDgram: { family: raw.AF_UNIX, type: raw.SOCK_DGRAM, protocol: 0, states: DATAGRAM },
  unixSeqpacket: { family: raw.AF_UNIX, type: raw.SOCK_SEQPACKET, protocol: 0, states: STREAM },
  packet: { family: raw.AF_PACKET, type: raw.SOCK_RAW, protocol: 0, states: ["fresh", "bound"] },
  vsockStream: { family: raw.AF_VSOCK, type: raw.SOCK_STREAM, protocol: 0, states: ["fresh", "bound", "listening"] },
  vsockSeqpacket: {
    family: raw.AF_VSOCK,
    type: raw.SOCK_SEQPACKET,
    protocol: 0,
    states: ["fresh", "bound", "listening"],
  },
  netlink: { family: raw.AF_NETLINK, type: raw.SOCK_RAW, protocol: 0, states: ["fresh", "bound"] },
};

/** A namespace where ping sockets are allowed, and where nobody else is; null without root. */
const namespace = RAW.ffi ? null : ownNamespace();
function ownNamespace(): Namespace | null {
  let own: Namespace | null = null;
  refusal(() => own = new Namespace());
  own = own as Namespace | null;
  own?.sysctl("net.ipv4.ping_group_range", "0 2147483647");
  own?.sysctl("net.ipv6.conf.all.forwarding", "1"); // else it is a host, and has no anycast addresses
  return own;
}

/** An eBPF program; none without root. */
const program = namespace === null ? null : raw.loadFilter();
addEventListener("unload", () => {
  namespace?.[Symbol.dispose]();
  program?.close();
});

function open({ family, type, protocol }: Kind): RawSocket {
  return namespace === null
    ? RawSocket.open(family, type, protocol)
    : namespace.run(() => RawSocket.open(family, type, protocol));
}

/** Why sockets of a kind cannot be had here; null when they can. */
function missing(kind: Kind): string | null {
  return RAW.ffi ? null : refusal(() => open(kind).close());
}

function wildcard(kind: Kind): Bytes {
  const vsock = new Uint8Array(16);
  new DataView(vsock.buffer).setUint16(0, raw.AF_VSOCK, true);
  vsock.fill(0xff, 4, 12); // any port, any CID
  const link = new Uint8Array(20);
  link.set([raw.AF_PACKET, 0, 0x08, 0x06, 1]); // ARP, of which there is none, on interface 1
  switch (kind.family) {
    case raw.AF_INET:
      return inet("0.0.0.0", 0);
    case raw.AF_INET6:
      return inet("::", 0);
    case raw.AF_UNIX:
      return abstract();
    case raw.AF_PACKET:
      return link;
    case raw.AF_VSOCK:
      return vsock;
    default:
      return Uint8Array.of(kind.family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  }
}

/** A socket of a kind in a state, with what it needs to be there. */
class Fixture implements Disposable {
  readonly socket: RawSocket;
  readonly #others: RawSocket[] = [];

  constructor(kind: Kind, state: State) {
    const socket = this.socket = open(kind);
    if (state === "bound" || state === "listening") socket.bind(wildcard(kind));
    if (state === "listening") socket.listen();
    if (state !== "connected" && state !== "mapped") return;
    const loopback = state === "mapped" ? "::ffff:127.0.0.1" : kind.family === raw.AF_INET ? "127.0.0.1" : "::1";
    if (kind.type === raw.SOCK_RAW || kind.protocol === raw.IPPROTO_ICMP || kind.protocol === raw.IPPROTO_ICMPV6) {
      socket.connect(inet(loopback, 0));
      return;
    }
    const peer = open(kind).bind(wildcard(kind));
    this.#others.push(peer);
    if (kind.type !== raw.SOCK_DGRAM) peer.listen();
    socket.connect(kind.family === raw.AF_UNIX ? peer.localAddress : inet(loopback, peer.localPort));
    if (kind.type !== raw.SOCK_DGRAM) this.#others.unshift(peer.accept());
  }

  [Symbol.dispose](): void {
    // Reset, not closed: thousands of connections would wait for their end.
    refusal(() => this.socket.set(raw.SOL_SOCKET, 13, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)));
    this.socket.close();
    for (const other of this.#others) other.close();
  }
}

// ---- The values ----

interface Value {
  /** What is set; absent for options that are only read. */
  readonly set?: unknown;
  /** What is read then, where it is not what was set. */
  readonly reads?: unknown;
  /** What is set, where it depends on the socket. */
  readonly make?: (socket: RawSocket) => Bytes;
  /** The bytes that the kernel has then; not needed for flags and ints. */
  readonly bytes?: readonly number[];
  /** The value in the kernel's bytes, for options that are only read. */
  readonly decode?: (bytes: Bytes) => unknown;
  /** How much room the kernel's bytes need. */
  readonly room?: number;
  /** What must be done before; a refusal of it is not looked at. */
  readonly first?: (socket: RawSocket) => void;
  /** What is set is a clock, which goes on by a thousand a second. */
  readonly ticks?: boolean;
  /** For options that cannot be read: something else that tells whether it is in force. */
  readonly proof?: (socket: RawSocket) => unknown;
  /** What the proof must be then. */
  readonly proves?: unknown;
}

const dataView = (bytes: Bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const u32s = (bytes: Bytes) =>
  Array.from({ length: bytes.length / 4 }, (_, i) => dataView(bytes).getUint32(i * 4, true));
const u64 = (bytes: Bytes) => dataView(bytes).getBigUint64(0, true);
const itself = (bytes: Bytes) => bytes;
/** The kernel's own bytes change from one reading to the next: only that both can be read. */
const moving = () => null;

const TAKE_ALL = [{ code: 6, jt: 0, jf: 0, k: 0xffff_ffff }];
/** struct sock_fprog of that. */
function takeAll(): Bytes {
  const bytes = new Uint8Array(16);
  dataView(bytes).setUint16(0, 1, true);
  dataView(bytes).setBigUint64(8, raw.addressOf(INSTRUCTION), true);
  return bytes;
}
const INSTRUCTION = Uint8Array.of(6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff);

const GROUP = [239, 1, 2, 3], LOOPBACK = [127, 0, 0, 1], SENDER = [127, 0, 0, 9], NOWHERE = [0, 0, 0, 0];
const MREQN = Uint8Array.of(...GROUP, ...NOWHERE, 1, 0, 0, 0);
const MREQ_SOURCE = Uint8Array.of(...GROUP, ...LOOPBACK, ...SENDER);
const GROUP6 = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34];
const MREQ6 = Uint8Array.of(...GROUP6, 1, 0, 0, 0);
/** A group by a family's own option, so that it can be left by the other way. */
function join(socket: RawSocket): void {
  socket.set(raw.IPPROTO_IP, 35, MREQN);
}
function joinSource(socket: RawSocket): void {
  socket.set(raw.IPPROTO_IP, 39, MREQ_SOURCE);
}
/** Joins once more: the kernel knows who has joined. */
function joined(socket: RawSocket): string | null {
  return refusal(() => join(socket));
}
function joinedSource(socket: RawSocket): string | null {
  return refusal(() => joinSource(socket));
}
function joined6(socket: RawSocket): string | null {
  return refusal(() => socket.set(raw.IPPROTO_IPV6, 20, MREQ6));
}

const ANYCAST = Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0);
function leftAnycast(socket: RawSocket): string | null {
  return refusal(() => socket.set(raw.IPPROTO_IPV6, 28, ANYCAST));
}

/** How often the loopback interface was made promiscuous: IFLA_PROMISCUITY of rtnetlink. */
function promiscuity(): number {
  using netlink = RawSocket.open(raw.AF_NETLINK, raw.SOCK_RAW);
  const request = new Uint8Array(32);
  request.set([32, 0, 0, 0, 18, 0, 1]); // RTM_GETLINK, NLM_F_REQUEST
  request[20] = 1; // the interface
  netlink.send(request);
  const view = dataView(netlink.receive());
  for (let at = 32; at < view.byteLength; at += view.getUint16(at, true) + 3 & ~3) {
    if (view.getUint16(at + 2, true) === 30) return view.getUint32(at + 4, true);
  }
  throw new Error("the kernel did not tell");
}

const SOL_NETLINK = 270;
/** Whether a netlink socket has joined group 9, by the mask of its groups. */
function inGroup9(socket: RawSocket): boolean {
  return (socket.get(SOL_NETLINK, 9, 64)[1]! & 1) === 1;
}

function sharePort(socket: RawSocket): void {
  socket.set(raw.SOL_SOCKET, 15, 1);
}
/** Detaches the chooser of a reuseport group: whether there was one. */
function detached(socket: RawSocket): string | null {
  return refusal(() => socket.set(raw.SOL_SOCKET, 68, 0));
}

const KEY = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/** An extension header with nothing but padding. */
const PADDING = [0, 0, 1, 4, 0, 0, 0, 0];
/** A segment routing header (RFC 8754) by way of ::1. */
const ROUTING = [0, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/** struct in6_flowlabel_req: creates label 0x12345 to ::1, which others may use. */
const LABEL = Uint8Array.of(
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
  0,
  0,
  1,
  0,
  1,
  0x23,
  0x45,
  0,
  255,
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
);
const repair = (socket: RawSocket) => void socket.set(raw.IPPROTO_TCP, 19, 1);
const on: Value = { set: true };
const off: Value = { set: false };
const readInt: Value = {};
const readBytes: Value = { decode: itself, room: 1024 };
/** Cannot be had by a program that does not wait: refused everywhere. */
const never: Value = { set: { seconds: 1, microseconds: 0 } };

/** For every option a value that is not what the kernel begins with. */
const VALUES: Readonly<Partial<Record<OptionName, Value>>> = {
  SO_ACCEPTCONN: readInt,
  SO_ATTACH_FILTER: { set: TAKE_ALL, proof: (s) => s.get(raw.SOL_SOCKET, 26, 8).length, proves: 1 },
  SO_DETACH_FILTER: {
    set: undefined,
    first: (s) => void s.set(raw.SOL_SOCKET, 26, takeAll()),
    proof: (s) => s.get(raw.SOL_SOCKET, 26, 8).length,
    proves: 0,
  },
  SO_LOCK_FILTER: on,
  SO_ATTACH_BPF: {
    set: program?.fd ?? -1,
    proof: (s) => refusal(() => s.get(raw.SOL_SOCKET, 26, 8)),
    proves: "EACCES",
  }, // an eBPF one cannot be had back
  SO_ATTACH_REUSEPORT_CBPF: { set: TAKE_ALL, first: sharePort, proof: detached, proves: null },
  SO_ATTACH_REUSEPORT_EBPF: { set: program?.fd ?? -1, first: sharePort, proof: detached, proves: null },
  SO_DETACH_REUSEPORT_BPF: {
    set: undefined,
    first: (s) => {
      sharePort(s);
      s.set(raw.SOL_SOCKET, 51, takeAll());
    },
    proof: detached,
    proves: "ENOENT",
  },
  SO_BINDTODEVICE: { set: "lo", bytes: [0x6c, 0x6f, 0], room: 16 },
  SO_BINDTOIFINDEX: { set: 1 },
  SO_BPF_EXTENSIONS: readInt,
  SO_BROADCAST: on,
  SO_BUF_LOCK: { set: 3 },
  SO_BUSY_POLL: { set: 50 },
  SO_PREFER_BUSY_POLL: on,
  SO_BUSY_POLL_BUDGET: { set: 16 },
  SO_CNX_ADVICE: { set: 1 },
  SO_COOKIE: { decode: u64, room: 8 },
  SO_DEBUG: on,
  SO_DOMAIN: readInt,
  SO_DONTROUTE: on,
  SO_ERROR: readInt,
  SO_INCOMING_CPU: { set: 99 },
  SO_INCOMING_NAPI_ID: readInt,
  SO_KEEPALIVE: on,
  SO_LINGER: { set: { enabled: true, seconds: 5 }, bytes: [1, 0, 0, 0, 5, 0, 0, 0], room: 8 },
  SO_MARK: { set: 7 },
  SO_RCVMARK: on,
  SO_MAX_PACING_RATE: { set: 123_456n, bytes: [0x40, 0xe2, 1, 0, 0, 0, 0, 0], room: 8 },
  SO_MEMINFO: { decode: u32s, room: 64 },
  SO_NETNS_COOKIE: { decode: u64, room: 8 },
  SO_NO_CHECK: on,
  SO_OOBINLINE: on,
  SO_PASSCRED: on,
  SO_PASSSEC: on,
  SO_PASSPIDFD: on,
  SO_PASSRIGHTS: off,
  SO_PEEK_OFF: { set: 3 },
  SO_PEERCRED: {
    decode: (bytes) => ({ pid: dataView(bytes).getInt32(0, true), uid: u32s(bytes)[1], gid: u32s(bytes)[2] }),
    room: 12,
  },
  SO_PEERGROUPS: { decode: u32s, room: 4096 },
  SO_PEERPIDFD: { decode: moving },
  SO_PEERSEC: { decode: moving, room: 256 },
  SO_PRIORITY: { set: 5 },
  SO_PROTOCOL: readInt,
  SO_RCVBUF: { set: 50_000, reads: 100_000 },
  SO_SNDBUF: { set: 50_000, reads: 100_000 },
  SO_RCVBUFFORCE: { set: 60_000, proof: (s) => s.getInt(raw.SOL_SOCKET, 8), proves: 120_000 },
  SO_SNDBUFFORCE: { set: 60_000, proof: (s) => s.getInt(raw.SOL_SOCKET, 7), proves: 120_000 },
  SO_RCVLOWAT: { set: 7 },
  SO_RCVTIMEO: never,
  SO_SNDTIMEO: never,
  SO_RESERVE_MEM: { set: 4096 },
  SO_REUSEADDR: on,
  SO_REUSEPORT: on,
  SO_RXQ_OVFL: on,
  SO_SELECT_ERR_QUEUE: on,
  SO_TIMESTAMP: on,
  SO_TIMESTAMPNS: on,
  SO_TIMESTAMPING: { set: 0x18 }, // SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE
  SO_TXTIME: {
    set: { clock: "monotonic", deadlineMode: true, reportErrors: false },
    bytes: [1, 0, 0, 0, 1, 0, 0, 0],
    room: 8,
  },
  SO_TXREHASH: { set: 0 },
  SO_TYPE: readInt,
  SO_ZEROCOPY: on,

  TCP_NODELAY: on,
  TCP_KEEPIDLE: { set: 77 },
  TCP_KEEPINTVL: { set: 33 },
  TCP_KEEPCNT: { set: 4 },
  TCP_USER_TIMEOUT: { set: 12_345 },
  TCP_MAXSEG: { set: 1000 },
  TCP_CORK: on,
  TCP_QUICKACK: off,
  TCP_SYNCNT: { set: 3 },
  TCP_LINGER2: { set: 20 },
  TCP_DEFER_ACCEPT: { set: 5, reads: 7 }, // until the next retransmission of a SYN
  TCP_WINDOW_CLAMP: { set: 20_000 },
  TCP_CONGESTION: { set: "reno", bytes: [0x72, 0x65, 0x6e, 0x6f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], room: 16 },
  TCP_CC_INFO: readBytes,
  TCP_INFO: { decode: moving, room: 280 },
  TCP_THIN_LINEAR_TIMEOUTS: on,
  TCP_FASTOPEN: { set: 5 },
  TCP_FASTOPEN_CONNECT: on,
  TCP_FASTOPEN_KEY: { set: Uint8Array.from(KEY), bytes: KEY, room: 32 },
  TCP_FASTOPEN_NO_COOKIE: on,
  TCP_NOTSENT_LOWAT: { set: 4096 },
  TCP_SAVE_SYN: on,
  TCP_SAVED_SYN: readBytes,
  TCP_ULP: { set: "none", room: 16 },
  TCP_REPAIR: { set: 1 },
  TCP_REPAIR_QUEUE: { set: 1, first: repair },
  TCP_QUEUE_SEQ: {
    set: 123_456,
    first: (s) => {
      repair(s);
      s.set(raw.IPPROTO_TCP, 20, 1);
    },
  },
  TCP_REPAIR_OPTIONS: {
    set: Uint8Array.of(2, 0, 0, 0, 0xe8, 3, 0, 0),
    first: repair,
    proof: (s) => s.getInt(raw.IPPROTO_TCP, 2),
    proves: 1000,
  },
  TCP_REPAIR_WINDOW: {
    first: repair,
    // What it has, but the peer's window (the second field) and its maximum (the third) are 1,000 and 2,000 bytes.
    make: (s) => {
      let window = new Uint8Array(20);
      refusal(() => window = s.get(raw.IPPROTO_TCP, 29, 20));
      new Uint32Array(window.buffer).set([1000, 2000], 1);
      return window;
    },
    room: 20,
  },
  TCP_TIMESTAMP: { set: 1000, first: repair, ticks: true },
  TCP_INQ: on,
  TCP_TX_DELAY: { set: 1000 },
  TCP_IS_MPTCP: readInt,
  TCP_RTO_MAX_MS: { set: 20_000 },
  TCP_RTO_MIN_US: { set: 20_000 },
  TCP_DELACK_MAX_US: { set: 20_000 },
  MPTCP_INFO: { decode: moving, room: 1024 },

  IP_TTL: { set: 33 },
  IP_TOS: { set: 0x10 },
  IP_HDRINCL: on,
  IP_OPTIONS: { set: Uint8Array.of(1, 1, 1, 0), bytes: [1, 1, 1, 0], room: 40 },
  IP_RECVOPTS: on,
  IP_RECVRETOPTS: on,
  IP_PKTINFO: on,
  IP_RECVTTL: on,
  IP_RECVTOS: on,
  IP_RECVERR: on,
  IP_RECVERR_RFC4884: on,
  IP_RECVORIGDSTADDR: on,
  IP_RECVFRAGSIZE: on,
  IP_CHECKSUM: on,
  IP_PASSSEC: on,
  IP_ROUTER_ALERT: on,
  IP_NODEFRAG: on,
  IP_MTU_DISCOVER: { set: 2 },
  IP_MTU: readInt,
  IP_FREEBIND: on,
  IP_TRANSPARENT: on,
  IP_BIND_ADDRESS_NO_PORT: on,
  IP_LOCAL_PORT_RANGE: { set: { low: 40_000, high: 40_100 }, bytes: [0x40, 0x9c, 0xa4, 0x9c] },
  IP_MINTTL: { set: 5 },
  IP_UNICAST_IF: { set: 1, bytes: [0, 0, 0, 1] },
  IP_MULTICAST_IF: { set: "127.0.0.1", bytes: LOOPBACK },
  IP_MULTICAST_TTL: { set: 9 },
  IP_MULTICAST_LOOP: off,
  IP_MULTICAST_ALL: off,
  IP_ADD_MEMBERSHIP: { set: { group: "239.1.2.3", interface: "lo" }, proof: joined, proves: "EADDRINUSE" },
  IP_DROP_MEMBERSHIP: { set: { group: "239.1.2.3", interface: "lo" }, first: join, proof: joined, proves: null },
  IP_ADD_SOURCE_MEMBERSHIP: {
    set: { group: "239.1.2.3", source: "127.0.0.9", interface: "lo" },
    proof: joinedSource,
    proves: "EADDRNOTAVAIL",
  },
  IP_DROP_SOURCE_MEMBERSHIP: {
    set: { group: "239.1.2.3", source: "127.0.0.9", interface: "lo" },
    first: joinSource,
    proof: joinedSource,
    proves: null,
  },
  IP_BLOCK_SOURCE: {
    set: { group: "239.1.2.3", source: "127.0.0.9", interface: "lo" },
    first: join,
    proof: (s) => refusal(() => s.set(raw.IPPROTO_IP, 38, MREQ_SOURCE)),
    proves: "EADDRNOTAVAIL",
  },
  IP_UNBLOCK_SOURCE: {
    set: { group: "239.1.2.3", source: "127.0.0.9", interface: "lo" },
    first: (s) => {
      join(s);
      s.set(raw.IPPROTO_IP, 38, MREQ_SOURCE);
    },
    proof: (s) => refusal(() => s.set(raw.IPPROTO_IP, 37, MREQ_SOURCE)),
    proves: "EADDRNOTAVAIL",
  },
  MCAST_JOIN_GROUP: { set: { group: "239.1.2.3", interface: "lo" }, proof: joined, proves: "EADDRINUSE" },
  MCAST_LEAVE_GROUP: { set: { group: "239.1.2.3", interface: "lo" }, first: join, proof: joined, proves: null },
  MCAST_JOIN_SOURCE_GROUP: {
    set: { group: "239.1.2.3", source: "127.0.0.9", interface: "lo" },
    proof: joinedSource,
    proves: "EADDRNOTAVAIL",
  },
  MCAST_LEAVE_SOURCE_GROUP: {
    set: { group: "239.1.2.3", source: "127.0.0.9", interface: "lo" },
    first: joinSource,
    proof: joinedSource,
    proves: null,
  },
  MCAST_BLOCK_SOURCE: {
    set: { group: "239.1.2.3", source: "127.0.0.9", interface: "lo" },
    first: join,
    proof: (s) => refusal(() => s.set(raw.IPPROTO_IP, 38, MREQ_SOURCE)),
    proves: "EADDRNOTAVAIL",
  },
  MCAST_UNBLOCK_SOURCE: {
    set: { group: "239.1.2.3", source: "127.0.0.9", interface: "lo" },
    first: (s) => {
      join(s);
      s.set(raw.IPPROTO_IP, 38, MREQ_SOURCE);
    },
    proof: (s) => refusal(() => s.set(raw.IPPROTO_IP, 37, MREQ_SOURCE)),
    proves: "EADDRNOTAVAIL",
  },
  MCAST_MSFILTER: {
    set: { group: "239.1.2.3", mode: "exclude", sources: ["127.0.0.9"], interface: "lo" },
    first: join,
    proof: (s) => refusal(() => s.set(raw.IPPROTO_IP, 38, MREQ_SOURCE)),
    proves: "EADDRNOTAVAIL",
  },
  SO_ORIGINAL_DST: { decode: moving, room: 28 },
  ICMP_FILTER: { set: [0, 8], bytes: [0xfe, 0xfe, 0xff, 0xff] },

  IPV6_V6ONLY: on,
  IPV6_UNICAST_HOPS: { set: 33 },
  IPV6_TCLASS: { set: 0x20 },
  IPV6_MULTICAST_HOPS: { set: 9 },
  IPV6_MULTICAST_IF: { set: 1 },
  IPV6_MULTICAST_LOOP: off,
  IPV6_MULTICAST_ALL: off,
  IPV6_JOIN_GROUP: { set: { group: "ff02::1234", interface: "lo" }, proof: joined6, proves: "EADDRINUSE" },
  IPV6_LEAVE_GROUP: {
    set: { group: "ff02::1234", interface: "lo" },
    first: (s) => void s.set(raw.IPPROTO_IPV6, 20, MREQ6),
    proof: joined6,
    proves: null,
  },
  IPV6_JOIN_ANYCAST: { set: { group: "2001:db8::1", interface: "lo" }, proof: leftAnycast, proves: null },
  IPV6_LEAVE_ANYCAST: {
    set: { group: "2001:db8::1", interface: "lo" },
    first: (s) => void s.set(raw.IPPROTO_IPV6, 27, ANYCAST),
    proof: leftAnycast,
    proves: "ENOENT",
  },
  IPV6_RECVPKTINFO: on,
  IPV6_PKTINFO: { set: Uint8Array.of(...new Array(16).fill(0), 1, 0, 0, 0) },
  IPV6_RECVHOPLIMIT: on,
  IPV6_RECVTCLASS: on,
  IPV6_RECVERR: on,
  IPV6_RECVERR_RFC4884: on,
  IPV6_RECVORIGDSTADDR: on,
  IPV6_RECVFRAGSIZE: on,
  IPV6_RECVPATHMTU: on,
  IPV6_PATHMTU: { decode: (bytes) => u32s(bytes)[7], room: 32 },
  IPV6_DONTFRAG: on,
  IPV6_MTU_DISCOVER: { set: 2 },
  IPV6_MTU: readInt,
  IPV6_CHECKSUM: { set: 2 },
  IPV6_HDRINCL: on,
  IPV6_HOPOPTS: { set: Uint8Array.from(PADDING), bytes: PADDING, room: 64 },
  IPV6_DSTOPTS: { set: Uint8Array.from(PADDING), bytes: PADDING, room: 64 },
  IPV6_RTHDRDSTOPTS: { set: Uint8Array.from(PADDING), bytes: PADDING, room: 64 },
  IPV6_RTHDR: { set: Uint8Array.from(ROUTING), bytes: ROUTING, room: 64 },
  IPV6_RECVHOPOPTS: on,
  IPV6_RECVDSTOPTS: on,
  IPV6_RECVRTHDR: on,
  IPV6_FREEBIND: on,
  IPV6_TRANSPARENT: on,
  IPV6_AUTOFLOWLABEL: off,
  IPV6_FLOWLABEL_MGR: {
    set: LABEL,
    // Gives it back: whether it had it.
    proof: (s) => refusal(() => s.set(raw.IPPROTO_IPV6, 32, LABEL.with(20, 1) as Bytes)),
    proves: null,
  },
  IPV6_FLOWINFO_SEND: on,
  IPV6_ADDR_PREFERENCES: { set: 1 },
  IPV6_MINHOPCOUNT: { set: 5 },
  IPV6_UNICAST_IF: { set: 1, bytes: [0, 0, 0, 1] },
  IP6T_SO_ORIGINAL_DST: { decode: moving, room: 28 },
  ICMP6_FILTER: {
    set: [128, 129],
    bytes: [...new Array(16).fill(0xff), 0xfc, ...new Array(15).fill(0xff)],
    room: 32,
  },

  UDP_SEGMENT: { set: 1200 },
  UDP_GRO: on,
  UDP_CORK: on,
  UDP_ENCAP: { set: 2 },
  UDP_NO_CHECK6_TX: on,
  UDP_NO_CHECK6_RX: on,
  UDPLITE_SEND_CSCOV: { set: 20 },
  UDPLITE_RECV_CSCOV: { set: 20 },

  PACKET_ADD_MEMBERSHIP: { set: { interface: "lo", type: "promiscuous" }, proof: promiscuity, proves: 1 },
  PACKET_DROP_MEMBERSHIP: {
    set: { interface: "lo", type: "promiscuous" },
    first: (s) => void s.set(263, 1, Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    proof: promiscuity,
    proves: 0,
  },
  PACKET_STATISTICS: { decode: (bytes) => ({ packets: u32s(bytes)[0], drops: u32s(bytes)[1] }), room: 8 },
  PACKET_AUXDATA: on,
  PACKET_ORIGDEV: on,
  PACKET_VNET_HDR: on,
  PACKET_TIMESTAMP: { set: 16 },
  PACKET_FANOUT: { set: { id: 4242, mode: "loadBalance", defragment: false }, bytes: [0x92, 0x10, 1, 0] },
  PACKET_QDISC_BYPASS: on,
  PACKET_ROLLOVER_STATS: {
    decode: itself,
    room: 24,
    first: (s) => void s.set(263, 18, Uint8Array.of(0x94, 0x10, 3, 0)),
  },
  PACKET_FANOUT_DATA: { set: TAKE_ALL, first: (s) => void s.set(263, 18, Uint8Array.of(0x93, 0x10, 6, 0)) },
  PACKET_IGNORE_OUTGOING: on,
  PACKET_VNET_HDR_SZ: { set: 12 },

  SO_VM_SOCKETS_BUFFER_SIZE: { set: 131_072n, bytes: [0, 0, 2, 0, 0, 0, 0, 0], room: 8 },
  SO_VM_SOCKETS_BUFFER_MIN_SIZE: { set: 256n, bytes: [0, 1, 0, 0, 0, 0, 0, 0], room: 8 },
  SO_VM_SOCKETS_BUFFER_MAX_SIZE: { set: 524_288n, bytes: [0, 0, 8, 0, 0, 0, 0, 0], room: 8 },
  SO_VM_SOCKETS_CONNECT_TIMEOUT: {
    set: { seconds: 5, microseconds: 0 },
    bytes: [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    room: 16,
  },

  NETLINK_ADD_MEMBERSHIP: { set: 9, proof: inGroup9, proves: true },
  NETLINK_DROP_MEMBERSHIP: {
    set: 9,
    first: (s) => void s.set(SOL_NETLINK, 1, 9),
    proof: inGroup9,
    proves: false,
  },
  NETLINK_LIST_MEMBERSHIPS: {
    first: (s) => {
      s.set(SOL_NETLINK, 1, 1);
      s.set(SOL_NETLINK, 1, 33);
    },
    decode: () => [1, 33],
    room: 64,
  },
  NETLINK_PKTINFO: on,
  NETLINK_BROADCAST_ERROR: on,
  NETLINK_NO_ENOBUFS: on,
  NETLINK_LISTEN_ALL_NSID: on,
  NETLINK_CAP_ACK: on,
  NETLINK_EXT_ACK: on,
  NETLINK_GET_STRICT_CHK: on,

  BT_SECURITY: { set: { level: "medium" } },
  BT_DEFER_SETUP: on,
  BT_FLUSHABLE: on,
  BT_POWER: off,
  BT_CHANNEL_POLICY: { set: 1 },
  BT_VOICE: { set: 0x0060 },
  BT_SNDMTU: readInt,
  BT_RCVMTU: { set: 1024 },
  BT_PHY: readInt,
  BT_MODE: { set: 1 },
  BT_PKT_STATUS: on,
  L2CAP_OPTIONS: { set: new Uint8Array(12), room: 12 },
  L2CAP_LM: { set: 2 },
  RFCOMM_LM: { set: 2 },
  SCO_OPTIONS: readInt,
  HCI_FILTER: { set: { typeMask: 16, eventMask: 1n, opcode: 0 }, room: 16 },
  HCI_DATA_DIR: on,
  HCI_TIME_STAMP: on,
};

// ---- What is expected ----

/**
 * Where each scope of internal/sockopt.ts lets an option act, by kind and state; a kind alone is it in every state, and
 * "tcp" is tcp4 and tcp6. An IPv6 socket that is neither bound to an address nor connected carries both IP versions.
 */
const ACTS_ON: Readonly<Record<Scope, string>> = {
  any:
    "tcp mptcp udp udplite ping icmp raw unixStream unixDgram unixSeqpacket packet vsockStream vsockSeqpacket netlink",
  network: "tcp mptcp udp udplite ping icmp raw packet vsockStream vsockSeqpacket netlink",
  ipOrPacket: "tcp mptcp udp udplite ping icmp raw packet",
  inet: "tcp mptcp udp udplite ping icmp raw",
  ipv4: `tcp4 ${both("tcp6")} tcp6/listening mptcp4 ${both("mptcp6")} mptcp6/listening udp4 ${both("udp6")} udplite4 ${
    both("udplite6")
  } ping4 icmp4 raw4`,
  ipv6: `${native("tcp6")} ${native("mptcp6")} ${native("udp6")} ${native("udplite6")} ping6 icmp6 raw6`,
  ipLevel: "tcp mptcp udp udplite ping icmp4 raw4",
  ipv6Family: "tcp6 mptcp6 udp6 udplite6 ping6 icmp6 raw6",
  tcp: "tcp mptcp",
  tcp4: `tcp4 ${both("tcp6")} tcp6/listening mptcp4 ${both("mptcp6")} mptcp6/listening`,
  tcp6: `${native("tcp6")} ${native("mptcp6")}`,
  mptcp: "mptcp",
  autotuned: "tcp mptcp",
  tcpOrVsock: "tcp mptcp vsockStream vsockSeqpacket",
  tcpOrUdp: "tcp mptcp udp udplite",
  tcpOrUdp6: "tcp6 mptcp6 udp6 udplite6",
  ported: "tcp mptcp udp udplite ping",
  udp: "udp udplite",
  udpOnly: "udp",
  udp4: `udp4 ${both("udp6")}`,
  udp6: native("udp6"),
  udplite: "udplite",
  inetDatagram4: `udp4 ${both("udp6")} udplite4 ${both("udplite6")} ping4 icmp4 raw4`,
  inetDatagram6: `${native("udp6")} ${native("udplite6")} ping6 icmp6 raw6`,
  receives6: "udp6 udplite6 ping6 icmp6 raw6",
  multicast: "udp udplite ping icmp raw",
  multicast4: `udp4 ${both("udp6")} udplite4 ${both("udplite6")} ping4 icmp4 raw4`,
  multicast6: `${native("udp6")} ${native("udplite6")} ping6 icmp6 raw6`,
  raw4: "icmp4 raw4",
  raw6: "icmp6 raw6",
  rawIcmp: "icmp4",
  rawIcmp6: "icmp6",
  unix: "unixStream unixDgram unixSeqpacket",
  unixOrNetlink: "unixStream unixDgram unixSeqpacket netlink",
  packet: "packet",
  vsock: "vsockStream vsockSeqpacket",
  netlink: "netlink",
  bluetooth: "",
  datagram: "udp udplite ping icmp raw packet",
  timestamped: "tcp mptcp udp udplite ping icmp raw unixDgram unixSeqpacket packet",
  filtered: "tcp mptcp udp udplite ping icmp raw unixDgram unixSeqpacket packet vsockStream vsockSeqpacket netlink",
  stream: "tcp mptcp unixStream vsockStream",
  urgent: "tcp mptcp unixStream",
};

function both(kind: string): string {
  return `${kind}/fresh ${kind}/bound ${kind}/mapped`;
}

function native(kind: string): string {
  return KINDS[kind]!.states.filter((state) => state !== "mapped").map((state) => `${kind}/${state}`).join(" ");
}

/** The states in which it is too late for an option, by its stage. A raw socket may be bound again and again. */
const LATE: Readonly<Record<string, string>> = {
  any: "",
  bind: "bound listening connected mapped",
  listen: "listening connected mapped",
  connect: "connected mapped",
  connected: "",
};

/** Of these the kernel does not tell that it came too late: they have no ports. */
const UNTOLD: Readonly<Partial<Record<Stage, RegExp>>> = { bind: /^(raw|icmp)/, connect: /^(raw|icmp|ping)/ };
const BLOCKING = /^SO_(RCV|SND)TIMEO$/;
/** Of no use without a peer. */
const EARLY = /^SO_CNX_ADVICE$/;
const NOT_CONNECTED = ["tcp", "udp", "udplite", "ping", "icmp", "raw"].map((kind) =>
  `${kind}/fresh ${kind}/bound ${kind}/listening`
).join(" ");
/** SO_REUSEPORT came after bind(). */
const WITHOUT_A_GROUP =
  "tcp/listening tcp/connected tcp/mapped udp/bound udp/connected udp/mapped udplite/bound udplite/connected udplite/mapped";
const WITHOUT_A_PEER = "unixStream/fresh unixStream/bound unixDgram unixSeqpacket/fresh unixSeqpacket/bound";

/** Options that never work here, and why. */
const NEVER: Readonly<Record<string, string>> = {
  IP6T_SO_ORIGINAL_DST: "no connection was redirected",
  IPV6_ADDR_PREFERENCES: "the kernel adds the defaults to what is set",
  SO_ORIGINAL_DST: "no connection was redirected",
  SO_PEERSEC: "no security module has labels",
  SO_RCVTIMEO: "sockets here never block",
  SO_RESERVE_MEM: "there is no memory cgroup",
  SO_SNDTIMEO: "sockets here never block",
  TCP_ULP: "there is no upper layer protocol in this kernel",
  ...Object.fromEntries(
    listOptions().filter(({ name }) => SOCKOPT[name as OptionName][8] === "bluetooth")
      .map(({ name }) => [name, "there is no Bluetooth in this kernel"]),
  ),
};

/** Options that can only be set, and change nothing that could be asked for. */
const UNSEEN: Readonly<Record<string, string>> = {
  IPV6_PKTINFO: "seen in effect_test.ts",
  PACKET_FANOUT_DATA: "chooses between sockets of a group",
  SO_BUSY_POLL_BUDGET: "needs a network device that can be polled",
  SO_CNX_ADVICE: "the kernel looks for another route",
};

/** Here with an IPv4 group: their family is the group's. */
const GROUPS_OF_IPV4 = /^MCAST_/;

/**
 * What this kernel (Linux 6.18, root) answers where it is asked and does not simply do it: by option and answer the
 * sockets. "same": it was so before. "has": something else is read back. "EINVAL, changed": refused, and done.
 */
const ANSWERS: Readonly<Partial<Record<OptionName, Readonly<Record<string, string>>>>> = {
  IP_TTL: { EOPNOTSUPP: "mptcp" },
  IP_OPTIONS: { ENOPROTOOPT: "mptcp" },
  IP_RECVERR: { EOPNOTSUPP: "mptcp" },
  IP_MTU_DISCOVER: { EOPNOTSUPP: "mptcp" },
  IP_MTU: { ENOTCONN: NOT_CONNECTED, EOPNOTSUPP: "mptcp" },
  IP_TRANSPARENT: { "EINVAL, changed": "mptcp/connected mptcp/mapped" },
  IP_MINTTL: { EOPNOTSUPP: "mptcp" },
  IP_MULTICAST_ALL: { same: "udp6 udplite6" },
  SO_ORIGINAL_DST: { ENOENT: "tcp", EOPNOTSUPP: "mptcp", ENOPROTOOPT: "udp udplite ping icmp raw" },
  IPV6_UNICAST_HOPS: { EOPNOTSUPP: "mptcp" },
  IPV6_TCLASS: { EOPNOTSUPP: "mptcp" },
  IPV6_JOIN_ANYCAST: { ENOPROTOOPT: "mptcp" },
  IPV6_LEAVE_ANYCAST: { ENOPROTOOPT: "mptcp" },
  IPV6_RECVERR: { EOPNOTSUPP: "mptcp" },
  IPV6_PATHMTU: { ENOTCONN: NOT_CONNECTED, EOPNOTSUPP: "mptcp" },
  IPV6_MTU_DISCOVER: { EOPNOTSUPP: "mptcp" },
  IPV6_MTU: { ENOTCONN: NOT_CONNECTED, EOPNOTSUPP: "mptcp" },
  IPV6_CHECKSUM: { EINVAL: "icmp" },
  IPV6_HOPOPTS: { ENOPROTOOPT: "mptcp" },
  IPV6_DSTOPTS: { ENOPROTOOPT: "mptcp" },
  IPV6_RTHDRDSTOPTS: { ENOPROTOOPT: "mptcp" },
  IPV6_RTHDR: { ENOPROTOOPT: "mptcp" },
  IPV6_FREEBIND: { EINVAL: "mptcp/connected mptcp/mapped" },
  IPV6_TRANSPARENT: { EINVAL: "mptcp/connected mptcp/mapped" },
  IPV6_AUTOFLOWLABEL: { EOPNOTSUPP: "mptcp" },
  IPV6_FLOWLABEL_MGR: { EOPNOTSUPP: "mptcp" },
  IPV6_FLOWINFO_SEND: { EOPNOTSUPP: "mptcp" },
  IPV6_ADDR_PREFERENCES: { "has 1025": "tcp udp udplite ping icmp raw", ENOPROTOOPT: "mptcp" },
  IPV6_MINHOPCOUNT: { EOPNOTSUPP: "mptcp" },
  IP6T_SO_ORIGINAL_DST: { ENOENT: "tcp", EOPNOTSUPP: "mptcp", ENOPROTOOPT: "udp udplite ping icmp raw" },
  PACKET_FANOUT: { EINVAL: "packet/fresh" },
  PACKET_ROLLOVER_STATS: { EINVAL: "packet/fresh" },
  PACKET_FANOUT_DATA: { EINVAL: "packet/fresh" },
  SO_ATTACH_FILTER: { EOPNOTSUPP: "mptcp" },
  SO_DETACH_FILTER: { EOPNOTSUPP: "mptcp" },
  SO_LOCK_FILTER: { EOPNOTSUPP: "mptcp" },
  SO_ATTACH_BPF: { EOPNOTSUPP: "mptcp" },
  SO_ATTACH_REUSEPORT_CBPF: { EINVAL: WITHOUT_A_GROUP, EOPNOTSUPP: "mptcp" },
  SO_ATTACH_REUSEPORT_EBPF: { EINVAL: WITHOUT_A_GROUP, EOPNOTSUPP: "mptcp" },
  SO_DETACH_REUSEPORT_BPF: { ENOENT: WITHOUT_A_GROUP, EOPNOTSUPP: "mptcp" },
  SO_BINDTODEVICE: { EINVAL: "mptcp/connected mptcp/mapped" },
  SO_BINDTOIFINDEX: { EINVAL: "mptcp/connected mptcp/mapped" },
  SO_BUF_LOCK: { EOPNOTSUPP: "mptcp" },
  SO_CNX_ADVICE: { EOPNOTSUPP: "mptcp" },
  SO_DONTROUTE: { "ignored by the kernel": "mptcp" },
  SO_MAX_PACING_RATE: { EOPNOTSUPP: "mptcp" },
  SO_OOBINLINE: { EOPNOTSUPP: "mptcp" },
  SO_PEEK_OFF: { EOPNOTSUPP: "mptcp ping icmp raw packet vsockStream vsockSeqpacket netlink" },
  SO_PEERGROUPS: { ENODATA: WITHOUT_A_PEER },
  SO_PEERPIDFD: { ENODATA: WITHOUT_A_PEER },
  SO_PEERSEC: { ENOPROTOOPT: ACTS_ON.any }, // no security module here has labels
  SO_RESERVE_MEM: { EOPNOTSUPP: ACTS_ON.any }, // no memory cgroup here
  SO_REUSEADDR: { EINVAL: "mptcp/connected mptcp/mapped", same: "ping" },
  SO_REUSEPORT: { EINVAL: "mptcp/connected mptcp/mapped" },
  SO_TXREHASH: { EOPNOTSUPP: "mptcp" },
  SO_ZEROCOPY: { EOPNOTSUPP: "mptcp udplite ping icmp raw packet netlink" },
  TCP_USER_TIMEOUT: { ENOPROTOOPT: "mptcp" },
  TCP_QUICKACK: { ENOPROTOOPT: "mptcp" },
  TCP_SYNCNT: { ENOPROTOOPT: "mptcp" },
  TCP_LINGER2: { ENOPROTOOPT: "mptcp" },
  TCP_WINDOW_CLAMP: { ENOPROTOOPT: "mptcp" },
  TCP_THIN_LINEAR_TIMEOUTS: { ENOPROTOOPT: "mptcp" },
  TCP_FASTOPEN_CONNECT: { EINVAL: "tcp/listening mptcp/listening" },
  TCP_SAVE_SYN: { ENOPROTOOPT: "mptcp" },
  TCP_SAVED_SYN: { EOPNOTSUPP: "mptcp" },
  TCP_ULP: { ENOENT: "tcp", ENOPROTOOPT: "mptcp" }, // "none" is the name of none
  TCP_REPAIR: { EPERM: "tcp/listening", ENOPROTOOPT: "mptcp" },
  TCP_REPAIR_QUEUE: { EPERM: "tcp/listening", ENOPROTOOPT: "mptcp" },
  TCP_QUEUE_SEQ: { EPERM: "tcp/listening tcp/connected tcp/mapped", ENOPROTOOPT: "mptcp" },
  TCP_REPAIR_OPTIONS: { EPERM: "tcp/fresh tcp/bound", EINVAL: "tcp/listening", ENOPROTOOPT: "mptcp" },
  TCP_REPAIR_WINDOW: { EPERM: "tcp/listening", ENOPROTOOPT: "mptcp" },
  TCP_TIMESTAMP: { EPERM: "tcp/listening", ENOPROTOOPT: "mptcp" },
  TCP_TX_DELAY: { ENOPROTOOPT: "mptcp" },
  TCP_RTO_MAX_MS: { ENOPROTOOPT: "mptcp" },
  TCP_RTO_MIN_US: { ENOPROTOOPT: "mptcp" },
  TCP_DELACK_MAX_US: { ENOPROTOOPT: "mptcp" },
};

// ---- A cell: one option on one socket ----

function row(option: AnyOption) {
  const [, , , , codec, access, when, exact, scope] = SOCKOPT[option.name as OptionName];
  return { codec, access, when, exact, scope };
}

/** What the kernel has, by a getsockopt of the test's own; the name of errno where it refuses. */
function kernelValue(option: AnyOption, { room = 4 }: Value, socket: RawSocket): Bytes | string {
  const { level, name } = option.codes.linux!;
  let bytes: Bytes | undefined;
  return refusal(() => bytes = socket.get(level, name, room)) ?? bytes!;
}

function bytesOf(value: unknown): Bytes {
  return int(typeof value === "boolean" ? Number(value) : value as number);
}

/** Whether bytes of the kernel are those of an expected value; some ints are one byte long. */
function sameBytes(got: Bytes | string, expected: Bytes): boolean {
  if (typeof got === "string") return false;
  const length = got.length === 1 ? 1 : expected.length;
  return got.length === length && got.every((byte, i) => byte === expected[i]);
}

function answerOf(error: unknown): string {
  if (error instanceof Deno.errors.NotSupported) {
    if (/: it works on |, the socket must carry /.test(error.message)) return "scope";
    if (/the socket never blocks/.test(error.message)) return "never blocks";
  }
  if (error instanceof TypeError && /is not connected, it must be set after connect/.test(error.message)) {
    return "early";
  }
  if (error instanceof TypeError && /already, it must be set before/.test(error.message)) return "late";
  if (error instanceof Error && /the kernel took .* without an error, but has/.test(error.message)) {
    return "ignored by the kernel";
  }
  if (error instanceof raw.RawError) return error.code;
  const { code } = error as { code?: unknown };
  if (typeof code !== "string") throw error;
  return code;
}

function readCell(option: SocketOption<unknown>, value: Value, socket: RawSocket): string {
  if (value.first !== undefined) refusal(() => value.first!(socket));
  const { codec } = row(option);
  let read: unknown;
  try {
    read = option.get(socket);
  } catch (error) {
    const answer = answerOf(error);
    if (answer !== "scope") assertEquals(kernelValue(option, value, socket), answer, `${option.name}: the kernel`);
    return answer;
  }
  const has = kernelValue(option, value, socket);
  assert(typeof has !== "string", `${option.name} was read, the kernel says ${has}`);
  if (option.name === "SO_PEERPIDFD") { for (const fd of [read as number, raw.asInt(has)]) new RawSocket(fd).close(); }
  if (value.decode === moving) return "ok";
  const expected = value.decode !== undefined
    ? value.decode(has)
    : codec === "flag"
    ? raw.asInt(has) !== 0
    : codec === "uint"
    ? raw.asInt(has) >>> 0
    : raw.asInt(has);
  assertEquals(read, expected, `${option.name}: what was read, and what the kernel has`);
  return "ok";
}

function writeCell(option: SocketOption<unknown>, value: Value, socket: RawSocket): string {
  const { access } = row(option);
  if (value.first !== undefined) refusal(() => value.first!(socket));
  const before = access === "set" ? null : kernelValue(option, value, socket);
  let wanted: unknown, now: unknown;
  try {
    wanted = value.make?.(socket) ?? value.set;
    now = option.set(socket, wanted);
  } catch (error) {
    const answer = answerOf(error);
    if (before === null) return answer;
    const after = kernelValue(option, value, socket);
    // A clock goes on by itself.
    return typeof after === "string" || typeof before === "string" || value.ticks === true || sameBytes(after, before)
      ? answer
      : `${answer}, changed`;
  }
  if (access === "set") {
    assertEquals(now, undefined);
    if (value.proof !== undefined) assertEquals(value.proof(socket), value.proves, `${option.name}: the proof`);
    return "ok";
  }
  if (value.ticks === true) {
    const [set, read] = [wanted as number, option.get(socket) as number];
    assert(
      set <= (now as number) && (now as number) <= read && read < set + 60_000,
      `${option.name}: ${set}, ${now}, ${read}`,
    );
    return "ok";
  }
  const after = kernelValue(option, value, socket);
  assertEquals(option.get(socket), now, `${option.name}: what set() returned, and what get() reads`);
  const expected = value.bytes !== undefined
    ? Uint8Array.from(value.bytes)
    : wanted instanceof Uint8Array
    ? Uint8Array.from(wanted)
    : bytesOf(value.reads ?? wanted);
  if (!sameBytes(after, expected)) {
    assertEquals(option.exact, false, `${option.name}: the kernel has ${after}, not ${expected}`);
    assert(
      typeof after !== "string" && sameBytes(after, bytesOf(now)),
      `${option.name}: ${now} was read, the kernel has ${after}`,
    );
    return `has ${now}`;
  }
  assertEquals(now, value.reads ?? wanted);
  return typeof before !== "string" && sameBytes(before!, expected) ? "same" : "ok";
}

const OPTIONS = listOptions().filter((option) => option.codes.linux !== undefined);

/** The answers of a kind of sockets, by `option state`. */
function answersOf(kind: Kind): Map<string, string> {
  const answers = new Map<string, string>();
  for (const state of kind.states) {
    let fixture = new Fixture(kind, state);
    try {
      for (const option of OPTIONS as readonly SocketOption<unknown>[]) {
        const value = VALUES[option.name as OptionName]!;
        const answer = option.access === "get"
          ? readCell(option, value, fixture.socket)
          : writeCell(option, value, fixture.socket);
        answers.set(`${option.name} ${state}`, answer);
        // What was touched is not used again.
        if (answer === "scope" || answer === "never blocks") continue;
        if (option.access === "get" && value.first === undefined) continue;
        fixture[Symbol.dispose]();
        fixture = new Fixture(kind, state);
      }
    } finally {
      fixture[Symbol.dispose]();
    }
  }
  return answers;
}

/** Whether a list such as "tcp udp4 raw6/bound" names a socket. */
function names(list: string, kind: string, state: State): boolean {
  const words = list.split(" ");
  return [kind, kind.replace(/[46]$/, "")].some((name) => words.includes(name) || words.includes(`${name}/${state}`));
}

function expectedAnswer(option: AnyOption, kind: string, state: State): string {
  const { access, when, scope } = row(option);
  if (!names(ACTS_ON[scope], kind, state)) return "scope";
  if (GROUPS_OF_IPV4.test(option.name) && !names(ACTS_ON.multicast4, kind, state)) return "scope";
  if (BLOCKING.test(option.name)) return "never blocks";
  if (access !== "get" && LATE[when]!.split(" ").includes(state) && !UNTOLD[when]?.test(kind)) return "late";
  if (EARLY.test(option.name) && state !== "connected" && state !== "mapped") return "early";
  for (const [answer, list] of Object.entries(ANSWERS[option.name as OptionName] ?? {})) {
    if (names(list, kind, state)) return answer;
  }
  return "ok";
}

/** Whether the answers are those of the table: the kernel that it was made on, with every right. */
const known = namespace !== null && raw.kernelRelease().startsWith("6.18.");
const proven = new Set<string>();

for (const [name, kind] of Object.entries(KINDS)) {
  const reason = missing(kind);
  const title = `every option on a ${name} socket, ${kind.states.join(", ")}: set, read back, as the kernel has it`;
  if (reason !== null) {
    Deno.test.ignore(`${title} (ignored: the kernel says ${reason})`, () => {});
    continue;
  }
  test(title, RAW, (t) => {
    const answers = namespace === null ? answersOf(kind) : namespace.run(() => answersOf(kind));
    const wrong: string[] = [];
    for (const option of OPTIONS) {
      for (const state of kind.states) {
        const answer = answers.get(`${option.name} ${state}`)!;
        const expected = expectedAnswer(option, name, state);
        if (answer === "ok") proven.add(option.name);
        // Elsewhere the kernel may lack an option or a right; what it takes must still be so.
        const explained = !known && /^(E[A-Z]+|same|has .*)(, changed)?$/.test(answer);
        if (answer !== expected && !explained) wrong.push(`${option.name} ${state}: ${answer}, expected ${expected}`);
      }
    }
    assertEquals(wrong, [], t.name);
  });
}

test("every option that Linux has is proven to change, or to be read, on some socket", RAW, () => {
  assertEquals(OPTIONS.map(({ name }) => name).filter((name) => VALUES[name as OptionName] === undefined), []);
  if (!known) return;
  assertEquals(OPTIONS.map(({ name }) => name).filter((name) => !proven.has(name)).sort(), Object.keys(NEVER).sort());
  const unseen = OPTIONS.filter(({ name, access }) =>
    access === "set" && VALUES[name as OptionName]?.proof === undefined
  );
  assertEquals(
    unseen.map(({ name }) => name).filter((name) => NEVER[name] === undefined).sort(),
    Object.keys(UNSEEN).sort(),
  );
});
