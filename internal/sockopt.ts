// deno-fmt-ignore-file: a table is read down its columns, and the formatter would undo them.
// Every socket option, one row each: level, numbers, value, access, stage, sockets it acts on.
// Numbers that are no option are in constants.ts, how a value becomes bytes in codec.ts, what people read in options/.
import type { ConstantName } from "./constants.ts";
import type { OperatingSystem } from "./os.ts";

/** How a value is written; codec.ts has one codec for each name. */
export type CodecName =
  | "flag" // an int, 0 or 1
  | "flagAsSize" // true is the largest size, false 0
  | "sizeAsFlag" // any size but 0 is 1
  | "int" // a signed 32-bit integer
  | "size" // the same, not negative: bytes, counts, seconds, milliseconds
  | "uint" // an unsigned 32-bit integer
  | "byte" // 0 to 255, carried in an int
  | "word" // 0 to 65535, carried in an int; Linux reads and gives two bytes
  | "hops" // -1 to 255, carried in an int
  | "advice" // 1, carried in an int
  | "sourcePreferences" // flags IPV6_PREFER_SRC_*, carried in an int
  | "uint64" // a bigint
  | "none" // no value
  | "text" // NUL-terminated UTF-8
  | "interfaceName" // at most 15 bytes; "" for any
  | "algorithm" // at most 15 bytes
  | "bytes" // as they are
  | "packetInfo6" // struct in6_pktinfo
  | "repairWindow" // the bytes of struct tcp_repair_window, all or none
  | "linger" // two ints; two unsigned shorts on Windows
  | "timeval" // struct timeval; milliseconds on Windows
  | "userTimeout" // milliseconds; seconds on macOS
  | "credentials" // struct ucred; struct xucred on macOS
  | "groups" // an array of gid_t
  | "memberships" // a bit for each group, the lowest first
  | "memoryInfo" // nine unsigned 32-bit integers
  | "filterProgram" // struct sock_fprog
  | "transmitTime" // struct sock_txtime
  | "portRange" // low | high << 16
  | "pathMtu" // struct ip6_mtuinfo
  | "interfaceIndex" // an int in host order
  | "interfaceIndexNet" // an int in network order on Linux and Windows, in host order on macOS
  | "ipv4Address" // struct in_addr
  | "mreq" // struct ip_mreqn; struct ip_mreq where the index is of no use
  | "mreqSource" // struct ip_mreq_source
  | "mreq6" // struct ipv6_mreq
  | "anycast" // the same, with an address that is no group
  | "groupRequest" // struct group_req
  | "groupSourceRequest" // struct group_source_req
  | "groupFilter" // struct group_filter
  | "socketAddress" // a struct sockaddr of its family
  | "packetMreq" // struct packet_mreq
  | "packetStatistics" // struct tpacket_stats
  | "packetFanout" // id | (mode | flags) << 16
  | "icmpFilter" // struct icmp_filter
  | "icmp6Filter" // struct icmp6_filter
  | "bluetoothSecurity" // struct bt_security
  | "hciFilter" // struct hci_filter
  | "tcpInfo"; // struct tcp_info; struct tcp_connection_info on macOS

/** Which directions exist. */
export type Access = "get" | "set" | "both";

/** The call after which setting changes nothing; "connected" says that reading needs a peer. */
export type Stage = "any" | "bind" | "listen" | "connect" | "connected";

/** The sockets an option does something on; SCOPES says which those are. */
export type Scope =
  | "any" | "network" | "ipOrPacket" | "inet" | "ipv4" | "ipv6" | "ipLevel" | "ipv6Family"
  | "tcp" | "tcp4" | "tcp6" | "mptcp" | "autotuned" | "tcpOrVsock" | "tcpOrUdp" | "tcpOrUdp6" | "ported"
  | "udp" | "udpOnly" | "udp4" | "udp6" | "udplite"
  | "inetDatagram4" | "inetDatagram6" | "receives6" | "multicast" | "multicast4" | "multicast6"
  | "raw4" | "raw6" | "rawIcmp" | "rawIcmp6"
  | "unix" | "unixOrNetlink" | "packet" | "vsock" | "netlink" | "bluetooth" | "datagram" | "timestamped" | "filtered" | "stream" | "urgent";

/** What a scope asks of a socket; a list that is absent allows everything. */
export interface ScopeFacts {
  /** The sockets in words, to go after "works on". */
  readonly words: string;
  /** Families that may be. */
  readonly families?: readonly ConstantName[];
  /** Types that may be. */
  readonly types?: readonly ConstantName[];
  /** Protocols that may be. */
  readonly protocols?: readonly ConstantName[];
  /** Families, or a family's type, that may not be, where the others are too many to list. */
  readonly except?: readonly (readonly [family: ConstantName, type?: ConstantName])[];
  /** The IP version whose packets the option is about: a socket that can have none of them is refused (V6ONLY, or by its addresses). */
  readonly traffic?: "inet" | "inet6";
}

const INET = ["AF_INET", "AF_INET6"] as const;
const NOT_STREAM = ["SOCK_DGRAM", "SOCK_RAW"] as const;
const NOT_RAW = ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"] as const;
const PORTS = ["IPPROTO_TCP", "IPPROTO_MPTCP", "IPPROTO_UDP", "IPPROTO_UDPLITE", "IPPROTO_SCTP", "IPPROTO_DCCP"] as const;
/** Those whose messages never are packets of a network device. */
const NO_PACKETS = [["AF_UNIX"], ["AF_NETLINK"], ["AF_VSOCK"]] as const;

/** What each scope asks. tests/options/effect_test.ts shows that what is refused would have done nothing. */
export const SCOPES: Readonly<Record<Scope, ScopeFacts>> = {
  any:           { words: "every socket" },
  network:       { words: "every socket but unix ones", except: [["AF_UNIX"]] },
  ipOrPacket:    { words: "IP and packet sockets", except: NO_PACKETS },
  inet:          { words: "IPv4 and IPv6 sockets", families: INET },
  ipv4:          { words: "IPv4 sockets, and IPv6 ones that are not V6ONLY", families: INET, traffic: "inet" },
  ipv6:          { words: "IPv6 sockets", families: ["AF_INET6"], traffic: "inet6" },
  ipLevel:       { words: "IPv4 and IPv6 sockets, but no raw IPv6 ones", families: INET, except: [["AF_INET6", "SOCK_RAW"]] },
  ipv6Family:    { words: "IPv6 sockets", families: ["AF_INET6"] },
  tcp:           { words: "TCP sockets", families: INET, types: ["SOCK_STREAM"], protocols: ["IPPROTO_TCP", "IPPROTO_MPTCP"] },
  tcp4:          { words: "TCP sockets of IPv4, and IPv6 ones that are not V6ONLY", families: INET, types: ["SOCK_STREAM"], protocols: ["IPPROTO_TCP", "IPPROTO_MPTCP"], traffic: "inet" },
  tcp6:          { words: "TCP sockets of IPv6", families: ["AF_INET6"], types: ["SOCK_STREAM"], protocols: ["IPPROTO_TCP", "IPPROTO_MPTCP"], traffic: "inet6" },
  mptcp:         { words: "MPTCP sockets", families: INET, types: ["SOCK_STREAM"], protocols: ["IPPROTO_MPTCP"] },
  autotuned:     { words: "TCP sockets", types: ["SOCK_STREAM", "SOCK_SEQPACKET"], except: [["AF_UNIX"], ["AF_VSOCK"]] },
  tcpOrVsock:    { words: "TCP and vsock sockets", families: [...INET, "AF_VSOCK"], types: ["SOCK_STREAM", "SOCK_SEQPACKET"] },
  tcpOrUdp:      { words: "TCP and UDP sockets", families: INET, types: NOT_RAW, protocols: PORTS },
  tcpOrUdp6:     { words: "TCP and UDP sockets of IPv6", families: ["AF_INET6"], types: NOT_RAW, protocols: PORTS },
  ported:        { words: "TCP, UDP and ping sockets", families: INET, types: NOT_RAW },
  udp:           { words: "UDP sockets", families: INET, types: ["SOCK_DGRAM"], protocols: ["IPPROTO_UDP", "IPPROTO_UDPLITE"] },
  udpOnly:       { words: "UDP sockets, but no UDP-Lite ones", families: INET, types: ["SOCK_DGRAM"], protocols: ["IPPROTO_UDP"] },
  udp4:          { words: "UDP sockets of IPv4, and IPv6 ones that are not V6ONLY, but no UDP-Lite ones", families: INET, types: ["SOCK_DGRAM"], protocols: ["IPPROTO_UDP"], traffic: "inet" },
  udp6:          { words: "UDP sockets of IPv6, but no UDP-Lite ones", families: ["AF_INET6"], types: ["SOCK_DGRAM"], protocols: ["IPPROTO_UDP"], traffic: "inet6" },
  udplite:       { words: "UDP-Lite sockets", families: INET, types: ["SOCK_DGRAM"], protocols: ["IPPROTO_UDPLITE"] },
  inetDatagram4: { words: "UDP, ping and raw sockets of IPv4, and IPv6 ones that are not V6ONLY", families: INET, types: NOT_STREAM, traffic: "inet" },
  inetDatagram6: { words: "UDP, ping and raw sockets of IPv6", families: ["AF_INET6"], types: NOT_STREAM, traffic: "inet6" },
  receives6:     { words: "UDP, ping and raw sockets of IPv6", families: ["AF_INET6"], types: NOT_STREAM },
  multicast:     { words: "UDP, ping and raw sockets", families: INET, types: NOT_STREAM },
  multicast4:    { words: "UDP, ping and raw sockets of IPv4, and IPv6 ones that are not V6ONLY", families: INET, types: NOT_STREAM, traffic: "inet" },
  multicast6:    { words: "UDP, ping and raw sockets of IPv6", families: ["AF_INET6"], types: NOT_STREAM, traffic: "inet6" },
  raw4:          { words: "raw IPv4 sockets", families: ["AF_INET"], types: ["SOCK_RAW"] },
  raw6:          { words: "raw IPv6 sockets", families: ["AF_INET6"], types: ["SOCK_RAW"] },
  rawIcmp:       { words: "raw ICMP sockets", families: ["AF_INET"], types: ["SOCK_RAW"], protocols: ["IPPROTO_ICMP"] },
  rawIcmp6:      { words: "raw ICMPv6 sockets", families: ["AF_INET6"], types: ["SOCK_RAW"], protocols: ["IPPROTO_ICMPV6"] },
  unix:          { words: "unix sockets", families: ["AF_UNIX"] },
  unixOrNetlink: { words: "unix and netlink sockets", families: ["AF_UNIX", "AF_NETLINK"] },
  packet:        { words: "packet sockets", families: ["AF_PACKET"] },
  vsock:         { words: "vsock sockets", families: ["AF_VSOCK"] },
  netlink:       { words: "netlink sockets", families: ["AF_NETLINK"] },
  bluetooth:     { words: "Bluetooth sockets", families: ["AF_BLUETOOTH"] },
  datagram:      { words: "UDP, ping, raw and packet sockets", types: NOT_STREAM, except: NO_PACKETS },
  timestamped:   { words: "IP and packet sockets, and unix ones but streams", except: [["AF_UNIX", "SOCK_STREAM"], ["AF_NETLINK"], ["AF_VSOCK"]] },
  filtered:      { words: "every socket but unix streams", except: [["AF_UNIX", "SOCK_STREAM"]] },
  stream:        { words: "stream sockets", types: ["SOCK_STREAM"] },
  urgent:        { words: "TCP and unix stream sockets", families: [...INET, "AF_UNIX"], types: ["SOCK_STREAM"] },
};

/** An option. `exact` and `on` are Linux facts; SCOPE_ON has what is otherwise elsewhere. */
export type SockoptRow = readonly [
  level: ConstantName,
  linux: number | null,
  darwin: number | null,
  windows: number | null,
  codec: CodecName,
  access: Access,
  when: Stage,
  exact: boolean,
  on: Scope,
];

const no = null;
const SOCKET = "SOL_SOCKET", LOCAL = "SOL_LOCAL", TCP = "IPPROTO_TCP", MPTCP = "SOL_MPTCP", UDP = "IPPROTO_UDP", UDPLITE = "SOL_UDPLITE";
const IP = "IPPROTO_IP", IPV6 = "IPPROTO_IPV6", ICMPV6 = "IPPROTO_ICMPV6", RAW = "SOL_RAW", PACKET = "SOL_PACKET", VSOCK = "AF_VSOCK";
const NETLINK = "SOL_NETLINK", BT = "SOL_BLUETOOTH", HCI = "SOL_HCI", L2CAP = "SOL_L2CAP", RFCOMM = "SOL_RFCOMM", SCO = "SOL_SCO";

/**
 * Options by C name. tests/headers_test.ts compares every number with the headers.
 *
 * Not here, though the headers have them: what the kernel takes and does nothing with (TCP_THIN_DUPACK since Linux 4.11, SO_BSDCOMPAT),
 * what is another name for a row (SO_DETACH_BPF, IPV6_ADD_MEMBERSHIP, SO_LINGER_SEC), what needs memory mapped or keys
 * (PACKET_RX_RING, TCP_ZEROCOPY_RECEIVE, TCP_MD5SIG, TCP_AO_*, SOL_TLS, IP_XFRM_POLICY), what takes its question in the buffer of the
 * answer (MPTCP_TCPINFO, MPTCP_SUBFLOW_ADDRS), and IP_MSFILTER, of which MCAST_MSFILTER is the form for both families.
 */
export const SOCKOPT = {
//C name                        level    linux darwin  windows codec            access  when         exact  on
  SO_ACCEPTCONN:               [SOCKET,  30,   0x2,    0x2,    "flag",          "get",  "any",       false, "any"],
  SO_ATTACH_FILTER:            [SOCKET,  26,   no,     no,     "filterProgram", "set",  "any",       false, "filtered"],
  SO_DETACH_FILTER:            [SOCKET,  27,   no,     no,     "none",          "set",  "any",       false, "filtered"],
  SO_LOCK_FILTER:              [SOCKET,  44,   no,     no,     "flag",          "both", "any",       true,  "filtered"],
  SO_ATTACH_BPF:               [SOCKET,  50,   no,     no,     "int",           "set",  "any",       false, "filtered"],
  SO_ATTACH_REUSEPORT_CBPF:    [SOCKET,  51,   no,     no,     "filterProgram", "set",  "any",       false, "tcpOrUdp"],
  SO_ATTACH_REUSEPORT_EBPF:    [SOCKET,  52,   no,     no,     "int",           "set",  "any",       false, "tcpOrUdp"],
  SO_DETACH_REUSEPORT_BPF:     [SOCKET,  68,   no,     no,     "none",          "set",  "any",       false, "tcpOrUdp"],
  SO_BINDTODEVICE:             [SOCKET,  25,   no,     no,     "interfaceName", "both", "any",       false, "inet"],
  SO_BINDTOIFINDEX:            [SOCKET,  62,   no,     no,     "interfaceIndex", "both", "any",      true,  "inet"],
  SO_BPF_EXTENSIONS:           [SOCKET,  48,   no,     no,     "size",          "get",  "any",       false, "any"],
  SO_BROADCAST:                [SOCKET,  6,    0x20,   0x20,   "flag",          "both", "any",       true,  "inetDatagram4"],
  SO_BUF_LOCK:                 [SOCKET,  72,   no,     no,     "size",          "both", "any",       true,  "autotuned"],
  SO_BUSY_POLL:                [SOCKET,  46,   no,     no,     "size",          "both", "any",       true,  "ipOrPacket"],
  SO_PREFER_BUSY_POLL:         [SOCKET,  69,   no,     no,     "flag",          "both", "any",       true,  "ipOrPacket"],
  SO_BUSY_POLL_BUDGET:         [SOCKET,  70,   no,     no,     "size",          "set",  "any",       false, "ipOrPacket"],
  SO_CNX_ADVICE:               [SOCKET,  53,   no,     no,     "advice",        "set",  "connected", false, "tcpOrUdp"],
  SO_COOKIE:                   [SOCKET,  57,   no,     no,     "uint64",        "get",  "any",       false, "any"],
  SO_DEBUG:                    [SOCKET,  1,    0x1,    0x1,    "flag",          "both", "any",       true,  "any"],
  SO_DOMAIN:                   [SOCKET,  39,   no,     no,     "int",           "get",  "any",       false, "any"],
  SO_DONTROUTE:                [SOCKET,  5,    0x10,   0x10,   "flag",          "both", "any",       true,  "ipv4"],
  SO_ERROR:                    [SOCKET,  4,    0x1007, 0x1007, "int",           "get",  "any",       false, "any"],
  SO_EXCLUSIVEADDRUSE:         [SOCKET,  no,   no,     -5,     "flag",          "both", "any",       true,  "inet"],
  SO_INCOMING_CPU:             [SOCKET,  49,   no,     no,     "int",           "both", "any",       false, "tcpOrUdp"],
  SO_INCOMING_NAPI_ID:         [SOCKET,  56,   no,     no,     "uint",          "get",  "any",       false, "inet"],
  SO_KEEPALIVE:                [SOCKET,  9,    0x8,    0x8,    "flag",          "both", "any",       true,  "tcp"],
  SO_LINGER:                   [SOCKET,  13,   0x1080, 0x80,   "linger",        "both", "any",       false, "tcpOrVsock"],
  SO_MARK:                     [SOCKET,  36,   no,     no,     "uint",          "both", "any",       true,  "ipOrPacket"],
  SO_RCVMARK:                  [SOCKET,  75,   no,     no,     "flag",          "both", "any",       true,  "datagram"],
  SO_MAX_PACING_RATE:          [SOCKET,  47,   no,     no,     "uint64",        "both", "any",       true,  "ipOrPacket"],
  SO_MEMINFO:                  [SOCKET,  55,   no,     no,     "memoryInfo",    "get",  "any",       false, "any"],
  SO_NETNS_COOKIE:             [SOCKET,  71,   no,     no,     "uint64",        "get",  "any",       false, "any"],
  SO_NET_SERVICE_TYPE:         [SOCKET,  no,   0x1116, no,     "int",           "both", "any",       true,  "inet"],
  SO_NO_CHECK:                 [SOCKET,  11,   no,     no,     "flag",          "both", "any",       true,  "udp4"],
  SO_NOSIGPIPE:                [SOCKET,  no,   0x1022, no,     "flag",          "both", "any",       true,  "any"],
  SO_NREAD:                    [SOCKET,  no,   0x1020, no,     "size",          "get",  "any",       false, "any"],
  SO_NWRITE:                   [SOCKET,  no,   0x1024, no,     "size",          "get",  "any",       false, "any"],
  SO_OOBINLINE:                [SOCKET,  10,   0x100,  0x100,  "flag",          "both", "any",       true,  "urgent"],
  SO_PASSCRED:                 [SOCKET,  16,   no,     no,     "flag",          "both", "any",       true,  "unixOrNetlink"],
  SO_PASSSEC:                  [SOCKET,  34,   no,     no,     "flag",          "both", "any",       true,  "unixOrNetlink"],
  SO_PASSPIDFD:                [SOCKET,  76,   no,     no,     "flag",          "both", "any",       true,  "unix"],
  SO_PASSRIGHTS:               [SOCKET,  83,   no,     no,     "flag",          "both", "any",       true,  "unix"],
  SO_PEEK_OFF:                 [SOCKET,  42,   no,     no,     "int",           "both", "any",       true,  "any"],
  SO_PEERCRED:                 [SOCKET,  17,   0x1,    no,     "credentials",   "get",  "connected", false, "unix"],
  SO_PEERGROUPS:               [SOCKET,  59,   no,     no,     "groups",        "get",  "connected", false, "unix"],
  SO_PEERPIDFD:                [SOCKET,  77,   no,     no,     "int",           "get",  "connected", false, "unix"],
  SO_PEERSEC:                  [SOCKET,  31,   no,     no,     "text",          "get",  "connected", false, "any"],
  SO_PRIORITY:                 [SOCKET,  12,   no,     no,     "size",          "both", "any",       true,  "ipOrPacket"],
  SO_PROTOCOL:                 [SOCKET,  38,   no,     no,     "int",           "get",  "any",       false, "any"],
  SO_RCVBUF:                   [SOCKET,  8,    0x1002, 0x1002, "size",          "both", "any",       false, "network"],
  SO_SNDBUF:                   [SOCKET,  7,    0x1001, 0x1001, "size",          "both", "any",       false, "any"],
  SO_RCVBUFFORCE:              [SOCKET,  33,   no,     no,     "size",          "set",  "any",       false, "network"],
  SO_SNDBUFFORCE:              [SOCKET,  32,   no,     no,     "size",          "set",  "any",       false, "any"],
  SO_RCVLOWAT:                 [SOCKET,  18,   0x1004, no,     "size",          "both", "any",       false, "stream"],
  SO_SNDLOWAT:                 [SOCKET,  no,   0x1003, no,     "size",          "both", "any",       true,  "any"],
  SO_RCVTIMEO:                 [SOCKET,  20,   0x1006, 0x1006, "timeval",       "both", "any",       false, "any"],
  SO_SNDTIMEO:                 [SOCKET,  21,   0x1005, 0x1005, "timeval",       "both", "any",       false, "any"],
  SO_RECV_ANYIF:               [SOCKET,  no,   0x1104, no,     "flag",          "both", "any",       true,  "inet"],
  SO_RESERVE_MEM:              [SOCKET,  73,   no,     no,     "size",          "both", "any",       false, "any"],
  SO_REUSEADDR:                [SOCKET,  2,    0x4,    0x4,    "flag",          "both", "any",       true,  "ported"],
  SO_REUSEPORT:                [SOCKET,  15,   0x200,  no,     "flag",          "both", "any",       true,  "tcpOrUdp"],
  SO_RANDOMIZE_PORT:           [SOCKET,  no,   no,     0x3005, "flag",          "both", "any",       true,  "inet"],
  SO_PORT_SCALABILITY:         [SOCKET,  no,   no,     0x3006, "flag",          "both", "any",       true,  "inet"],
  SO_REUSE_UNICASTPORT:        [SOCKET,  no,   no,     0x3007, "flag",          "both", "any",       true,  "inet"],
  SO_REUSE_MULTICASTPORT:      [SOCKET,  no,   no,     0x3008, "flag",          "both", "any",       true,  "inet"],
  SO_CONDITIONAL_ACCEPT:       [SOCKET,  no,   no,     0x3002, "flag",          "both", "any",       true,  "stream"],
  SO_UPDATE_ACCEPT_CONTEXT:    [SOCKET,  no,   no,     0x700b, "uint64",        "set",  "any",       false, "stream"],
  SO_UPDATE_CONNECT_CONTEXT:   [SOCKET,  no,   no,     0x7010, "none",          "set",  "any",       false, "stream"],
  SO_CONNECT_TIME:             [SOCKET,  no,   no,     0x700c, "uint",          "get",  "any",       false, "stream"],
  SO_MAX_MSG_SIZE:             [SOCKET,  no,   no,     0x2003, "uint",          "get",  "any",       false, "datagram"],
  SO_RXQ_OVFL:                 [SOCKET,  40,   no,     no,     "flag",          "both", "any",       true,  "datagram"],
  SO_SELECT_ERR_QUEUE:         [SOCKET,  45,   no,     no,     "flag",          "both", "any",       true,  "datagram"],
  SO_TIMESTAMP:                [SOCKET,  29,   0x400,  no,     "flag",          "both", "any",       true,  "timestamped"],
  SO_TIMESTAMPNS:              [SOCKET,  35,   no,     no,     "flag",          "both", "any",       true,  "timestamped"],
  SO_TIMESTAMPING:             [SOCKET,  37,   no,     no,     "int",           "both", "any",       true,  "ipOrPacket"],
  SO_TIMESTAMP_MONOTONIC:      [SOCKET,  no,   0x800,  no,     "flag",          "both", "any",       true,  "any"],
  SO_TRAFFIC_CLASS:            [SOCKET,  no,   0x1086, no,     "int",           "both", "any",       true,  "inet"],
  SO_TXTIME:                   [SOCKET,  61,   no,     no,     "transmitTime",  "both", "any",       true,  "datagram"],
  SO_TXREHASH:                 [SOCKET,  74,   no,     no,     "int",           "both", "any",       false, "tcp"],
  SO_TYPE:                     [SOCKET,  3,    0x1008, 0x1008, "int",           "get",  "any",       false, "any"],
  SO_ZEROCOPY:                 [SOCKET,  60,   no,     no,     "flag",          "both", "any",       true,  "network"],

//C name                        level    linux darwin  windows codec            access  when         exact  on
  LOCAL_PEERCRED:              [LOCAL,   no,   0x1,    no,     "credentials",   "get",  "connected", false, "unix"],
  LOCAL_PEERPID:               [LOCAL,   no,   0x2,    no,     "int",           "get",  "connected", false, "unix"],
  LOCAL_PEEREPID:              [LOCAL,   no,   0x3,    no,     "int",           "get",  "connected", false, "unix"],
  LOCAL_PEERUUID:              [LOCAL,   no,   0x4,    no,     "bytes",         "get",  "connected", false, "unix"],
  LOCAL_PEEREUUID:             [LOCAL,   no,   0x5,    no,     "bytes",         "get",  "connected", false, "unix"],
  LOCAL_PEERTOKEN:             [LOCAL,   no,   0x6,    no,     "bytes",         "get",  "connected", false, "unix"],

//C name                        level    linux darwin  windows codec            access  when         exact  on
  TCP_NODELAY:                 [TCP,     1,    1,      1,      "flag",          "both", "any",       true,  "tcp"],
  TCP_KEEPIDLE:                [TCP,     4,    0x10,   3,      "size",          "both", "any",       true,  "tcp"],
  TCP_KEEPINTVL:               [TCP,     5,    0x101,  17,     "size",          "both", "any",       true,  "tcp"],
  TCP_KEEPCNT:                 [TCP,     6,    0x102,  16,     "size",          "both", "any",       true,  "tcp"],
  TCP_USER_TIMEOUT:            [TCP,     18,   0x80,   14,     "userTimeout",   "both", "any",       true,  "tcp"],
  TCP_MAXSEG:                  [TCP,     2,    2,      4,      "size",          "both", "connect",   false, "tcp"],
  TCP_CORK:                    [TCP,     3,    4,      no,     "flag",          "both", "any",       true,  "tcp"],
  TCP_QUICKACK:                [TCP,     12,   no,     no,     "flag",          "both", "any",       false, "tcp"],
  TCP_SYNCNT:                  [TCP,     7,    no,     no,     "size",          "both", "connect",   true,  "tcp"],
  TCP_LINGER2:                 [TCP,     8,    no,     no,     "int",           "both", "any",       false, "tcp"],
  TCP_DEFER_ACCEPT:            [TCP,     9,    no,     no,     "size",          "both", "connect",   false, "tcp"],
  TCP_WINDOW_CLAMP:            [TCP,     10,   no,     no,     "size",          "both", "any",       false, "tcp"],
  TCP_CONGESTION:              [TCP,     13,   no,     no,     "algorithm",     "both", "any",       true,  "tcp"],
  TCP_CC_INFO:                 [TCP,     26,   no,     no,     "bytes",         "get",  "any",       false, "tcp"],
  TCP_INFO:                    [TCP,     11,   0x106,  no,     "tcpInfo",       "get",  "any",       false, "tcp"],
  TCP_THIN_LINEAR_TIMEOUTS:    [TCP,     16,   no,     no,     "flag",          "both", "any",       true,  "tcp"],
  TCP_FASTOPEN:                [TCP,     23,   0x105,  15,     "size",          "both", "connect",   false, "tcp"],
  TCP_FASTOPEN_CONNECT:        [TCP,     30,   no,     no,     "flag",          "both", "connect",   true,  "tcp"],
  TCP_FASTOPEN_KEY:            [TCP,     33,   no,     no,     "bytes",         "both", "connect",   true,  "tcp"],
  TCP_FASTOPEN_NO_COOKIE:      [TCP,     34,   no,     no,     "flag",          "both", "connect",   true,  "tcp"],
  TCP_NOTSENT_LOWAT:           [TCP,     25,   0x201,  no,     "uint",          "both", "any",       true,  "tcp"],
  TCP_SAVE_SYN:                [TCP,     27,   no,     no,     "flag",          "both", "connect",   true,  "tcp"],
  TCP_SAVED_SYN:               [TCP,     28,   no,     no,     "bytes",         "get",  "connected", false, "tcp"],
  TCP_ULP:                     [TCP,     31,   no,     no,     "algorithm",     "both", "connected", true,  "tcp"],
  TCP_REPAIR:                  [TCP,     19,   no,     no,     "int",           "both", "any",       false, "tcp"],
  TCP_REPAIR_QUEUE:            [TCP,     20,   no,     no,     "size",          "both", "any",       true,  "tcp"],
  TCP_QUEUE_SEQ:               [TCP,     21,   no,     no,     "uint",          "both", "any",       true,  "tcp"],
  TCP_REPAIR_OPTIONS:          [TCP,     22,   no,     no,     "bytes",         "set",  "any",       false, "tcp"],
  TCP_REPAIR_WINDOW:           [TCP,     29,   no,     no,     "repairWindow",  "both", "any",       true,  "tcp"],
  TCP_TIMESTAMP:               [TCP,     24,   no,     no,     "uint",          "both", "any",       false, "tcp"],
  TCP_INQ:                     [TCP,     36,   no,     no,     "flag",          "both", "any",       true,  "tcp"],
  TCP_TX_DELAY:                [TCP,     37,   no,     no,     "size",          "both", "any",       true,  "tcp"],
  TCP_IS_MPTCP:                [TCP,     43,   no,     no,     "flag",          "get",  "any",       false, "tcp"],
  TCP_RTO_MAX_MS:              [TCP,     44,   no,     no,     "size",          "both", "any",       false, "tcp"],
  TCP_RTO_MIN_US:              [TCP,     45,   no,     no,     "size",          "both", "any",       false, "tcp"],
  TCP_DELACK_MAX_US:           [TCP,     46,   no,     no,     "size",          "both", "any",       false, "tcp"],
  TCP_NOOPT:                   [TCP,     no,   0x8,    no,     "flag",          "both", "any",       true,  "tcp"],
  TCP_CONNECTIONTIMEOUT:       [TCP,     no,   0x20,   no,     "size",          "both", "any",       true,  "tcp"],
  PERSIST_TIMEOUT:             [TCP,     no,   0x40,   no,     "size",          "both", "any",       true,  "tcp"],
  TCP_RXT_FINDROP:             [TCP,     no,   0x100,  no,     "flag",          "both", "any",       true,  "tcp"],
  TCP_SENDMOREACKS:            [TCP,     no,   0x103,  no,     "flag",          "both", "any",       true,  "tcp"],
  TCP_ENABLE_ECN:              [TCP,     no,   0x104,  no,     "flag",          "both", "any",       true,  "tcp"],
  TCP_EXPEDITED_1122:          [TCP,     no,   no,     2,      "flag",          "both", "any",       true,  "tcp"],
  TCP_MAXRT:                   [TCP,     no,   no,     5,      "int",           "both", "any",       true,  "tcp"],
  TCP_TIMESTAMPS:              [TCP,     no,   no,     10,     "flag",          "both", "any",       true,  "tcp"],
  TCP_FAIL_CONNECT_ON_ICMP_ERROR: [TCP,  no,   no,     18,     "flag",          "both", "any",       true,  "tcp"],
  TCP_ICMP_ERROR_INFO:         [TCP,     no,   no,     19,     "bytes",         "get",  "any",       false, "tcp"],
  MPTCP_INFO:                  [MPTCP,   1,    no,     no,     "bytes",         "get",  "any",       false, "mptcp"],

//C name                        level    linux darwin  windows codec            access  when         exact  on
  IP_TTL:                      [IP,      2,    4,      4,      "byte",          "both", "any",       true,  "ipv4"],
  IP_TOS:                      [IP,      1,    3,      3,      "byte",          "both", "any",       false, "ipv4"],
  IP_HDRINCL:                  [IP,      3,    2,      2,      "flag",          "both", "any",       true,  "raw4"],
  IP_OPTIONS:                  [IP,      4,    1,      1,      "bytes",         "both", "any",       false, "ipv4"],
  IP_RECVOPTS:                 [IP,      6,    5,      no,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_RECVRETOPTS:              [IP,      7,    6,      no,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_PKTINFO:                  [IP,      8,    26,     19,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_RECVDSTADDR:              [IP,      no,   7,      25,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_RECVIF:                   [IP,      no,   20,     24,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_RECVTTL:                  [IP,      12,   24,     21,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_RECVTOS:                  [IP,      13,   27,     40,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_RECVECN:                  [IP,      no,   no,     50,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_RECVERR:                  [IP,      11,   no,     75,     "flag",          "both", "any",       true,  "ipv4"],
  IP_RECVERR_RFC4884:          [IP,      26,   no,     no,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_RECVORIGDSTADDR:          [IP,      20,   no,     no,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_RECVFRAGSIZE:             [IP,      25,   no,     no,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_CHECKSUM:                 [IP,      23,   no,     no,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_PASSSEC:                  [IP,      18,   no,     no,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_ROUTER_ALERT:             [IP,      5,    no,     no,     "flag",          "both", "any",       true,  "raw4"],
  IP_NODEFRAG:                 [IP,      22,   no,     no,     "flag",          "both", "any",       true,  "raw4"],
  IP_STRIPHDR:                 [IP,      no,   23,     no,     "flag",          "both", "any",       true,  "raw4"],
  IP_MTU_DISCOVER:             [IP,      10,   no,     71,     "int",           "both", "any",       true,  "ipv4"],
  IP_DONTFRAG:                 [IP,      no,   28,     14,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_MTU:                      [IP,      14,   no,     73,     "size",          "get",  "connected", false, "ipv4"],
  IP_USER_MTU:                 [IP,      no,   no,     76,     "uint",          "both", "any",       true,  "ipv4"],
  IP_FREEBIND:                 [IP,      15,   no,     no,     "flag",          "both", "bind",      true,  "ipLevel"],
  IP_TRANSPARENT:              [IP,      19,   no,     no,     "flag",          "both", "any",       true,  "ipLevel"],
  IP_BIND_ADDRESS_NO_PORT:     [IP,      24,   no,     no,     "flag",          "both", "bind",      true,  "tcpOrUdp"],
  IP_LOCAL_PORT_RANGE:         [IP,      51,   no,     no,     "portRange",     "both", "bind",      true,  "tcpOrUdp"],
  IP_MINTTL:                   [IP,      21,   no,     no,     "byte",          "both", "any",       true,  "tcp4"],
  IP_UNICAST_IF:               [IP,      50,   25,     31,     "interfaceIndexNet", "both", "any",   true,  "inetDatagram4"],
  IP_RECEIVE_BROADCAST:        [IP,      no,   no,     22,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_ORIGINAL_ARRIVAL_IF:      [IP,      no,   no,     47,     "flag",          "both", "any",       true,  "inetDatagram4"],
  IP_MULTICAST_IF:             [IP,      32,   9,      9,      "ipv4Address",   "both", "any",       true,  "multicast4"],
  IP_MULTICAST_TTL:            [IP,      33,   10,     10,     "byte",          "both", "any",       true,  "multicast4"],
  IP_MULTICAST_LOOP:           [IP,      34,   11,     11,     "flag",          "both", "any",       true,  "multicast4"],
  IP_MULTICAST_ALL:            [IP,      49,   no,     no,     "flag",          "both", "any",       true,  "multicast4"],
  IP_ADD_MEMBERSHIP:           [IP,      35,   12,     12,     "mreq",          "set",  "any",       false, "multicast4"],
  IP_DROP_MEMBERSHIP:          [IP,      36,   13,     13,     "mreq",          "set",  "any",       false, "multicast4"],
  IP_ADD_SOURCE_MEMBERSHIP:    [IP,      39,   70,     15,     "mreqSource",    "set",  "any",       false, "multicast4"],
  IP_DROP_SOURCE_MEMBERSHIP:   [IP,      40,   71,     16,     "mreqSource",    "set",  "any",       false, "multicast4"],
  IP_BLOCK_SOURCE:             [IP,      38,   72,     17,     "mreqSource",    "set",  "any",       false, "multicast4"],
  IP_UNBLOCK_SOURCE:           [IP,      37,   73,     18,     "mreqSource",    "set",  "any",       false, "multicast4"],
  MCAST_JOIN_GROUP:            [IP,      42,   80,     41,     "groupRequest",  "set",  "any",       false, "multicast"],
  MCAST_LEAVE_GROUP:           [IP,      45,   81,     42,     "groupRequest",  "set",  "any",       false, "multicast"],
  MCAST_JOIN_SOURCE_GROUP:     [IP,      46,   82,     45,     "groupSourceRequest", "set", "any",   false, "multicast"],
  MCAST_LEAVE_SOURCE_GROUP:    [IP,      47,   83,     46,     "groupSourceRequest", "set", "any",   false, "multicast"],
  MCAST_BLOCK_SOURCE:          [IP,      43,   84,     43,     "groupSourceRequest", "set", "any",   false, "multicast"],
  MCAST_UNBLOCK_SOURCE:        [IP,      44,   85,     44,     "groupSourceRequest", "set", "any",   false, "multicast"],
  MCAST_MSFILTER:              [IP,      48,   no,     no,     "groupFilter",   "set",  "any",       false, "multicast"],
  SO_ORIGINAL_DST:             [IP,      80,   no,     0x300f, "socketAddress", "get",  "connected", false, "ipv4"],
  ICMP_FILTER:                 [RAW,     1,    no,     no,     "icmpFilter",    "both", "any",       true,  "rawIcmp"],

//C name                        level    linux darwin  windows codec            access  when         exact  on
  IPV6_V6ONLY:                 [IPV6,    26,   27,     27,     "flag",          "both", "bind",      true,  "tcpOrUdp6"],
  IPV6_UNICAST_HOPS:           [IPV6,    16,   4,      4,      "hops",          "both", "any",       false, "ipv6"],
  IPV6_TCLASS:                 [IPV6,    67,   36,     39,     "byte",          "both", "any",       false, "ipv6"],
  IPV6_MULTICAST_HOPS:         [IPV6,    18,   10,     10,     "hops",          "both", "any",       false, "multicast6"],
  IPV6_MULTICAST_IF:           [IPV6,    17,   9,      9,      "interfaceIndex", "both", "any",      true,  "multicast6"],
  IPV6_MULTICAST_LOOP:         [IPV6,    19,   11,     11,     "flag",          "both", "any",       true,  "multicast6"],
  IPV6_MULTICAST_ALL:          [IPV6,    29,   no,     no,     "flag",          "both", "any",       true,  "multicast6"],
  IPV6_JOIN_GROUP:             [IPV6,    20,   12,     12,     "mreq6",         "set",  "any",       false, "multicast6"],
  IPV6_LEAVE_GROUP:            [IPV6,    21,   13,     13,     "mreq6",         "set",  "any",       false, "multicast6"],
  IPV6_JOIN_ANYCAST:           [IPV6,    27,   no,     no,     "anycast",       "set",  "any",       false, "ipv6"],
  IPV6_LEAVE_ANYCAST:          [IPV6,    28,   no,     no,     "anycast",       "set",  "any",       false, "ipv6"],
  IPV6_RECVPKTINFO:            [IPV6,    49,   61,     19,     "flag",          "both", "any",       true,  "receives6"],
  IPV6_PKTINFO:                [IPV6,    50,   46,     no,     "packetInfo6",   "set",  "any",       false, "inetDatagram6"],
  IPV6_RECVHOPLIMIT:           [IPV6,    51,   37,     21,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_RECVTCLASS:             [IPV6,    66,   35,     40,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_RECVECN:                [IPV6,    no,   no,     50,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_RECVERR:                [IPV6,    25,   no,     75,     "flag",          "both", "any",       true,  "ipv6"],
  IPV6_RECVERR_RFC4884:        [IPV6,    31,   no,     no,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_RECVORIGDSTADDR:        [IPV6,    74,   no,     no,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_RECVFRAGSIZE:           [IPV6,    77,   no,     no,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_RECVPATHMTU:            [IPV6,    60,   43,     no,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_PATHMTU:                [IPV6,    61,   44,     no,     "pathMtu",       "get",  "connected", false, "ipv6"],
  IPV6_DONTFRAG:               [IPV6,    62,   62,     14,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_MTU_DISCOVER:           [IPV6,    23,   no,     71,     "int",           "both", "any",       true,  "ipv6"],
  IPV6_MTU:                    [IPV6,    24,   no,     72,     "size",          "get",  "connected", false, "ipv6"],
  IPV6_USE_MIN_MTU:            [IPV6,    no,   42,     no,     "int",           "both", "any",       true,  "ipv6"],
  IPV6_CHECKSUM:               [IPV6,    7,    26,     26,     "int",           "both", "any",       true,  "raw6"],
  IPV6_HDRINCL:                [IPV6,    36,   no,     2,      "flag",          "both", "any",       true,  "raw6"],
  IPV6_HOPOPTS:                [IPV6,    54,   49,     1,      "bytes",         "both", "any",       true,  "ipv6"],
  IPV6_DSTOPTS:                [IPV6,    59,   50,     no,     "bytes",         "both", "any",       true,  "ipv6"],
  IPV6_RTHDRDSTOPTS:           [IPV6,    55,   57,     no,     "bytes",         "both", "any",       true,  "ipv6"],
  IPV6_RTHDR:                  [IPV6,    57,   51,     32,     "bytes",         "both", "any",       true,  "ipv6"],
  IPV6_NEXTHOP:                [IPV6,    no,   48,     no,     "bytes",         "both", "any",       true,  "ipv6"],
  IPV6_RECVHOPOPTS:            [IPV6,    53,   39,     no,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_RECVDSTOPTS:            [IPV6,    58,   40,     no,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_RECVRTHDR:              [IPV6,    56,   38,     38,     "flag",          "both", "any",       true,  "inetDatagram6"],
  IPV6_FREEBIND:               [IPV6,    78,   no,     no,     "flag",          "both", "any",       true,  "ipv6Family"],
  IPV6_TRANSPARENT:            [IPV6,    75,   no,     no,     "flag",          "both", "any",       true,  "ipv6Family"],
  IPV6_AUTOFLOWLABEL:          [IPV6,    70,   59,     no,     "flag",          "both", "any",       true,  "ipv6"],
  IPV6_FLOWLABEL_MGR:          [IPV6,    32,   no,     no,     "bytes",         "set",  "any",       false, "ipv6"],
  IPV6_FLOWINFO_SEND:          [IPV6,    33,   no,     no,     "flag",          "both", "any",       true,  "ipv6"],
  IPV6_ADDR_PREFERENCES:       [IPV6,    72,   no,     no,     "sourcePreferences", "both", "connect", false, "ipv6"],
  IPV6_PREFER_TEMPADDR:        [IPV6,    no,   63,     no,     "int",           "both", "any",       true,  "ipv6"],
  IPV6_MINHOPCOUNT:            [IPV6,    73,   no,     no,     "byte",          "both", "any",       true,  "tcp6"],
  IPV6_UNICAST_IF:             [IPV6,    76,   125,    31,     "interfaceIndexNet", "both", "any",   true,  "inetDatagram6"],
  IPV6_PROTECTION_LEVEL:       [IPV6,    no,   no,     23,     "int",           "both", "any",       true,  "ipv6"],
  IP6T_SO_ORIGINAL_DST:        [IPV6,    80,   no,     0x300f, "socketAddress", "get",  "connected", false, "ipv6"],
  ICMP6_FILTER:                [ICMPV6,  1,    18,     no,     "icmp6Filter",   "both", "any",       true,  "rawIcmp6"],

//C name                        level    linux darwin  windows codec            access  when         exact  on
  UDP_SEGMENT:                 [UDP,     103,  no,     2,      "size",          "both", "any",       true,  "udpOnly"],
  UDP_GRO:                     [UDP,     104,  no,     3,      "flag",          "both", "any",       true,  "udpOnly"],
  UDP_CORK:                    [UDP,     1,    no,     no,     "flag",          "both", "any",       true,  "udp"],
  UDP_ENCAP:                   [UDP,     100,  no,     no,     "size",          "both", "any",       true,  "udp"],
  UDP_NO_CHECK6_TX:            [UDP,     101,  no,     no,     "flag",          "both", "any",       true,  "udp6"],
  UDP_NO_CHECK6_RX:            [UDP,     102,  no,     no,     "flag",          "both", "any",       true,  "udp6"],
  UDPLITE_SEND_CSCOV:          [UDPLITE, 10,   no,     no,     "size",          "both", "any",       false, "udplite"],
  UDPLITE_RECV_CSCOV:          [UDPLITE, 11,   no,     no,     "size",          "both", "any",       false, "udplite"],

//C name                        level    linux darwin  windows codec            access  when         exact  on
  PACKET_ADD_MEMBERSHIP:       [PACKET,  1,    no,     no,     "packetMreq",    "set",  "any",       false, "packet"],
  PACKET_DROP_MEMBERSHIP:      [PACKET,  2,    no,     no,     "packetMreq",    "set",  "any",       false, "packet"],
  PACKET_STATISTICS:           [PACKET,  6,    no,     no,     "packetStatistics", "get", "any",     false, "packet"],
  PACKET_AUXDATA:              [PACKET,  8,    no,     no,     "flag",          "both", "any",       true,  "packet"],
  PACKET_ORIGDEV:              [PACKET,  9,    no,     no,     "flag",          "both", "any",       true,  "packet"],
  PACKET_VNET_HDR:             [PACKET,  15,   no,     no,     "flag",          "both", "any",       true,  "packet"],
  PACKET_TIMESTAMP:            [PACKET,  17,   no,     no,     "int",           "both", "any",       true,  "packet"],
  PACKET_FANOUT:               [PACKET,  18,   no,     no,     "packetFanout",  "both", "any",       true,  "packet"],
  PACKET_QDISC_BYPASS:         [PACKET,  20,   no,     no,     "flag",          "both", "any",       true,  "packet"],
  PACKET_ROLLOVER_STATS:       [PACKET,  21,   no,     no,     "bytes",         "get",  "any",       false, "packet"],
  PACKET_FANOUT_DATA:          [PACKET,  22,   no,     no,     "filterProgram", "set",  "any",       false, "packet"],
  PACKET_IGNORE_OUTGOING:      [PACKET,  23,   no,     no,     "flag",          "both", "any",       true,  "packet"],
  PACKET_VNET_HDR_SZ:          [PACKET,  24,   no,     no,     "size",          "both", "any",       true,  "packet"],

//C name                        level    linux darwin  windows codec            access  when         exact  on
  SO_VM_SOCKETS_BUFFER_SIZE:     [VSOCK, 0,    no,     no,     "uint64",        "both", "any",       false, "vsock"],
  SO_VM_SOCKETS_BUFFER_MIN_SIZE: [VSOCK, 1,    no,     no,     "uint64",        "both", "any",       false, "vsock"],
  SO_VM_SOCKETS_BUFFER_MAX_SIZE: [VSOCK, 2,    no,     no,     "uint64",        "both", "any",       false, "vsock"],
  SO_VM_SOCKETS_CONNECT_TIMEOUT: [VSOCK, 6,    no,     no,     "timeval",       "both", "any",       false, "vsock"],

//C name                        level    linux darwin  windows codec            access  when         exact  on
  NETLINK_ADD_MEMBERSHIP:      [NETLINK, 1,    no,     no,     "uint",          "set",  "any",       false, "netlink"],
  NETLINK_DROP_MEMBERSHIP:     [NETLINK, 2,    no,     no,     "uint",          "set",  "any",       false, "netlink"],
  NETLINK_LIST_MEMBERSHIPS:    [NETLINK, 9,    no,     no,     "memberships",   "get",  "any",       false, "netlink"],
  NETLINK_PKTINFO:             [NETLINK, 3,    no,     no,     "flag",          "both", "any",       true,  "netlink"],
  NETLINK_BROADCAST_ERROR:     [NETLINK, 4,    no,     no,     "flag",          "both", "any",       true,  "netlink"],
  NETLINK_NO_ENOBUFS:          [NETLINK, 5,    no,     no,     "flag",          "both", "any",       true,  "netlink"],
  NETLINK_LISTEN_ALL_NSID:     [NETLINK, 8,    no,     no,     "flag",          "both", "any",       true,  "netlink"],
  NETLINK_CAP_ACK:             [NETLINK, 10,   no,     no,     "flag",          "both", "any",       true,  "netlink"],
  NETLINK_EXT_ACK:             [NETLINK, 11,   no,     no,     "flag",          "both", "any",       true,  "netlink"],
  NETLINK_GET_STRICT_CHK:      [NETLINK, 12,   no,     no,     "flag",          "both", "any",       true,  "netlink"],

//C name                        level    linux darwin  windows codec            access  when         exact  on
  BT_SECURITY:                 [BT,      4,    no,     no,     "bluetoothSecurity", "both", "any",   true,  "bluetooth"],
  BT_DEFER_SETUP:              [BT,      7,    no,     no,     "flag",          "both", "any",       true,  "bluetooth"],
  BT_FLUSHABLE:                [BT,      8,    no,     no,     "flag",          "both", "any",       true,  "bluetooth"],
  BT_POWER:                    [BT,      9,    no,     no,     "flag",          "both", "any",       true,  "bluetooth"],
  BT_CHANNEL_POLICY:           [BT,      10,   no,     no,     "uint",          "both", "any",       true,  "bluetooth"],
  BT_VOICE:                    [BT,      11,   no,     no,     "word",          "both", "any",       true,  "bluetooth"],
  BT_SNDMTU:                   [BT,      12,   no,     no,     "word",          "get",  "any",       false, "bluetooth"],
  BT_RCVMTU:                   [BT,      13,   no,     no,     "word",          "both", "any",       true,  "bluetooth"],
  BT_PHY:                      [BT,      14,   no,     no,     "uint",          "get",  "any",       false, "bluetooth"],
  BT_MODE:                     [BT,      15,   no,     no,     "byte",          "both", "any",       true,  "bluetooth"],
  BT_PKT_STATUS:               [BT,      16,   no,     no,     "flag",          "both", "any",       true,  "bluetooth"],
  L2CAP_OPTIONS:               [L2CAP,   1,    no,     no,     "bytes",         "both", "any",       true,  "bluetooth"],
  L2CAP_LM:                    [L2CAP,   3,    no,     no,     "uint",          "both", "any",       true,  "bluetooth"],
  RFCOMM_LM:                   [RFCOMM,  3,    no,     no,     "uint",          "both", "any",       true,  "bluetooth"],
  SCO_OPTIONS:                 [SCO,     1,    no,     no,     "word",          "get",  "any",       false, "bluetooth"],
  HCI_FILTER:                  [HCI,     2,    no,     no,     "hciFilter",     "both", "any",       true,  "bluetooth"],
  HCI_DATA_DIR:                [HCI,     1,    no,     no,     "flag",          "both", "any",       true,  "bluetooth"],
  HCI_TIME_STAMP:              [HCI,     3,    no,     no,     "flag",          "both", "any",       true,  "bluetooth"],
} as const satisfies Record<string, SockoptRow>;

/** The C name of an option. */
export type OptionName = keyof typeof SOCKOPT;

/** What a system calls the option where that is not the row's name. */
export const NAME_ON: Readonly<Partial<Record<OptionName, Readonly<Partial<Record<OperatingSystem, string>>>>>> = {
  SO_LINGER:         { darwin: "SO_LINGER_SEC" }, // SO_LINGER there counts clock ticks
  SO_PEERCRED:       { darwin: "LOCAL_PEERCRED" },
  TCP_KEEPIDLE:      { darwin: "TCP_KEEPALIVE" },
  TCP_USER_TIMEOUT:  { darwin: "TCP_RXT_CONNDROPTIME", windows: "TCP_MAXRTMS" },
  TCP_CORK:          { darwin: "TCP_NOPUSH" },
  TCP_INFO:          { darwin: "TCP_CONNECTION_INFO" },
  IP_PKTINFO:        { darwin: "IP_RECVPKTINFO" },
  IP_DONTFRAG:       { windows: "IP_DONTFRAGMENT" },
  IP_UNICAST_IF:     { darwin: "IP_BOUND_IF" },
  IPV6_UNICAST_IF:   { darwin: "IPV6_BOUND_IF" },
  IPV6_RECVPKTINFO:  { windows: "IPV6_PKTINFO" },
  IPV6_RECVHOPLIMIT: { windows: "IPV6_HOPLIMIT" },
  UDP_SEGMENT:       { windows: "UDP_SEND_MSG_SIZE" },
  UDP_GRO:           { windows: "UDP_RECV_MAX_COALESCED_SIZE" },
};

/** The level where a system has the option at another than the row's. */
export const LEVEL_ON: Readonly<Partial<Record<OptionName, Readonly<Partial<Record<OperatingSystem, ConstantName>>>>>> = {
  SO_PEERCRED:          { darwin: "SOL_LOCAL" },
  SO_ORIGINAL_DST:      { windows: "SOL_SOCKET" },
  IP6T_SO_ORIGINAL_DST: { windows: "SOL_SOCKET" },
};

/** The codec where a system carries the value otherwise; what people write is the row's on every system. */
export const CODEC_ON: Readonly<Partial<Record<OptionName, Readonly<Partial<Record<OperatingSystem, CodecName>>>>>> = {
  IPV6_UNICAST_IF: { windows: "interfaceIndex" }, // host order there, though IP_UNICAST_IF has network order
  UDP_GRO:         { windows: "flagAsSize" }, // the largest size of a train
  TCP_FASTOPEN:    { darwin: "sizeAsFlag", windows: "sizeAsFlag" }, // no queue length there
};

/** The stage where a system differs from the row, which tells of Linux. */
export const WHEN_ON: Readonly<Partial<Record<OptionName, Readonly<Partial<Record<OperatingSystem, Stage>>>>>> = {
  TCP_MAXSEG: { darwin: "any", windows: "any" }, // macOS lowers the size of an open connection, and only that
};

/** The scope where a system differs from the row, which tells of Linux. */
export const SCOPE_ON: Readonly<Partial<Record<OptionName, Readonly<Partial<Record<OperatingSystem, Scope>>>>>> = {
  IP_UNICAST_IF:   { darwin: "ipv4", windows: "ipv4" }, // there TCP obeys it too
  IPV6_UNICAST_IF: { darwin: "ipv6", windows: "ipv6" },
  SO_DONTROUTE:    { darwin: "inet", windows: "inet" }, // Linux asks it of IPv4 alone
  SO_LINGER:       { darwin: "tcp", windows: "tcp" },
  SO_RCVBUF:       { darwin: "any", windows: "any" }, // on Linux the sender's buffer alone limits unix sockets
  SO_REUSEADDR:    { darwin: "inet", windows: "inet" },
  SO_REUSEPORT:    { darwin: "inet" },
  SO_TIMESTAMP:    { darwin: "any" },
  IPV6_PKTINFO:    { darwin: "ipv6" },
  SO_OOBINLINE:    { darwin: "tcp", windows: "tcp" },
};

/** Options whose level is the family of the group they name: IPPROTO_IP, as in the row, or IPPROTO_IPV6. */
export const LEVEL_FOLLOWS_GROUP: ReadonlySet<string> = new Set<OptionName>([
  "MCAST_JOIN_GROUP", "MCAST_LEAVE_GROUP", "MCAST_JOIN_SOURCE_GROUP", "MCAST_LEAVE_SOURCE_GROUP",
  "MCAST_BLOCK_SOURCE", "MCAST_UNBLOCK_SOURCE", "MCAST_MSFILTER",
]);

/** Options whose reading changes the socket or the process; nothing that only looks reads them. */
export const CHANGED_BY_READING: ReadonlySet<string> = new Set<OptionName>([
  "SO_ERROR", // clears it
  "SO_PEERPIDFD", // makes a descriptor
  "TCP_SAVED_SYN", // frees it
  "PACKET_STATISTICS", // starts counting anew
]);
