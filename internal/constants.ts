// deno-fmt-ignore-file: a table is read down its columns, and the formatter would undo them.
// The numbers of the C headers that are no socket option: families, types, protocols, levels, flags.
// Options are in sockopt.ts, control messages in cmsg_table.ts, errors in errno.ts, sizes and offsets in layout.ts.
import type { OperatingSystem } from "./os.ts";

/** A number on each system; null where the system lacks the name. */
export type Row = readonly [linux: number | null, darwin: number | null, windows: number | null];

const no = null;

/** Numbers by C name. tests/headers_test.ts compares every one with the headers. */
export const CONSTANTS = {
  // Families (sys/socket.h, ws2def.h)
  //                        linux   darwin  windows
  AF_UNSPEC:               [0,      0,      0],
  AF_UNIX:                 [1,      1,      1],
  AF_INET:                 [2,      2,      2],
  AF_INET6:                [10,     30,     23],
  AF_NETLINK:              [16,     no,     no],
  AF_PACKET:               [17,     no,     no],
  AF_BLUETOOTH:            [31,     no,     no],
  AF_VSOCK:                [40,     40,     no],
  AF_LINK:                 [no,     18,     33],

  // Types; the two Linux flags are added to them
  SOCK_STREAM:             [1,      1,      1],
  SOCK_DGRAM:              [2,      2,      2],
  SOCK_RAW:                [3,      3,      3],
  SOCK_RDM:                [4,      4,      4],
  SOCK_SEQPACKET:          [5,      5,      5],
  SOCK_NONBLOCK:           [0x800,  no,     no],
  SOCK_CLOEXEC:            [0x80000, no,    no],
  SOMAXCONN:               [4096,   128,    0x7fffffff],

  // Protocols, which are option levels too
  IPPROTO_IP:              [0,      0,      0],
  IPPROTO_ICMP:            [1,      1,      1],
  IPPROTO_IGMP:            [2,      2,      2],
  IPPROTO_TCP:             [6,      6,      6],
  IPPROTO_UDP:             [17,     17,     17],
  IPPROTO_DCCP:            [33,     no,     no],
  IPPROTO_IPV6:            [41,     41,     41],
  IPPROTO_GRE:             [47,     47,     no],
  IPPROTO_ESP:             [50,     50,     50],
  IPPROTO_AH:              [51,     51,     51],
  IPPROTO_ICMPV6:          [58,     58,     58],
  IPPROTO_SCTP:            [132,    132,    132],
  IPPROTO_UDPLITE:         [136,    no,     no],
  IPPROTO_RAW:             [255,    255,    255],
  IPPROTO_MPTCP:           [262,    no,     no],

  // Protocols of netlink and of Bluetooth
  NETLINK_ROUTE:           [0,      no,     no],
  BTPROTO_L2CAP:           [0,      no,     no],
  BTPROTO_HCI:             [1,      no,     no],
  BTPROTO_SCO:             [2,      no,     no],
  BTPROTO_RFCOMM:          [3,      no,     no],

  // Levels that are no protocol
  SOL_HCI:                 [0,      no,     no],
  SOL_L2CAP:               [6,      no,     no],
  SOL_SCO:                 [17,     no,     no],
  SOL_RFCOMM:              [18,     no,     no],
  SOL_SOCKET:              [1,      0xffff, 0xffff],
  SOL_UDPLITE:             [136,    no,     no],
  SOL_RAW:                 [255,    no,     no],
  SOL_PACKET:              [263,    no,     no],
  SOL_NETLINK:             [270,    no,     no],
  SOL_BLUETOOTH:           [274,    no,     no],
  SOL_TLS:                 [282,    no,     no],
  SOL_MPTCP:               [284,    no,     no],
  SOL_VSOCK:               [287,    no,     no],
  SOL_LOCAL:               [no,     0,      no],

  // Flags of send and recv
  MSG_OOB:                 [0x1,    0x1,    0x1],
  MSG_PEEK:                [0x2,    0x2,    0x2],
  MSG_DONTROUTE:           [0x4,    0x4,    0x4],
  MSG_CTRUNC:              [0x8,    0x20,   0x200],
  MSG_TRUNC:               [0x20,   0x10,   0x100],
  MSG_DONTWAIT:            [0x40,   0x80,   no],
  MSG_EOR:                 [0x80,   0x8,    no],
  MSG_WAITALL:             [0x100,  0x40,   0x8],
  MSG_CONFIRM:             [0x800,  no,     no],
  MSG_ERRQUEUE:            [0x2000, no,     0x1000],
  MSG_NOSIGNAL:            [0x4000, 0x80000, no],
  MSG_MORE:                [0x8000, no,     no],
  MSG_WAITFORONE:          [0x10000, no,    no],
  MSG_ZEROCOPY:            [0x4000000, no,  no],
  MSG_FASTOPEN:            [0x20000000, no, no],
  MSG_CMSG_CLOEXEC:        [0x40000000, no, no],

  // shutdown; Windows says SD_RECEIVE, SD_SEND, SD_BOTH
  SHUT_RD:                 [0,      0,      0],
  SHUT_WR:                 [1,      1,      1],
  SHUT_RDWR:               [2,      2,      2],

  // poll
  POLLIN:                  [0x1,    0x1,    0x300],
  POLLPRI:                 [0x2,    0x2,    0x400],
  POLLOUT:                 [0x4,    0x4,    0x10],
  POLLERR:                 [0x8,    0x8,    0x1],
  POLLHUP:                 [0x10,   0x10,   0x2],
  POLLNVAL:                [0x20,   0x20,   0x4],
  POLLRDHUP:               [0x2000, no,     no],

  // epoll; EPOLLONESHOT and EPOLLET are bits of an unsigned 32-bit number
  EPOLLIN:                 [0x1,    no,     no],
  EPOLLPRI:                [0x2,    no,     no],
  EPOLLOUT:                [0x4,    no,     no],
  EPOLLERR:                [0x8,    no,     no],
  EPOLLHUP:                [0x10,   no,     no],
  EPOLLRDHUP:              [0x2000, no,     no],
  EPOLLEXCLUSIVE:          [0x10000000, no, no],
  EPOLLONESHOT:            [0x40000000, no, no],
  EPOLLET:                 [0x80000000, no, no],
  EPOLL_CTL_ADD:           [1,      no,     no],
  EPOLL_CTL_DEL:           [2,      no,     no],
  EPOLL_CTL_MOD:           [3,      no,     no],
  EPOLL_CLOEXEC:           [0x80000, no,    no],

  // kqueue
  EVFILT_READ:             [no,     -1,     no],
  EVFILT_WRITE:            [no,     -2,     no],
  EV_ADD:                  [no,     0x1,    no],
  EV_DELETE:               [no,     0x2,    no],
  EV_ENABLE:               [no,     0x4,    no],
  EV_ONESHOT:              [no,     0x10,   no],
  EV_CLEAR:                [no,     0x20,   no],
  EV_EOF:                  [no,     0x8000, no],
  EV_ERROR:                [no,     0x4000, no],

  // Flags of a descriptor
  F_GETFL:                 [3,      3,      no],
  F_SETFL:                 [4,      4,      no],
  F_SETFD:                 [2,      2,      no],
  FD_CLOEXEC:              [1,      1,      no],
  F_DUPFD_CLOEXEC:         [1030,   67,     no],
  O_CLOEXEC:               [0x80000, 0x1000000, no],
  O_NONBLOCK:              [0x800,  0x4,    no],

  // What a path is relative to, and how it is followed
  AT_FDCWD:                [-100,   -2,     no],
  AT_SYMLINK_NOFOLLOW:     [0x100,  0x20,   no],

  // Flags of an interface
  IFF_UP:                  [0x1,    0x1,    0x1],
  IFF_BROADCAST:           [0x2,    0x2,    0x2],
  IFF_LOOPBACK:            [0x8,    0x8,    0x4],
  IFF_POINTOPOINT:         [0x10,   0x10,   0x8],
  IFF_RUNNING:             [0x40,   0x40,   no],
  IFF_MULTICAST:           [0x1000, 0x8000, 0x10],

  // Messages of netlink, and of its routing part
  NLMSG_ERROR:             [2,      no,     no],
  NLMSG_DONE:              [3,      no,     no],
  NLM_F_REQUEST:           [0x1,    no,     no],
  NLM_F_DUMP_INTR:         [0x10,   no,     no],
  NLM_F_DUMP:              [0x300,  no,     no],
  NLA_TYPE_MASK:           [-0xc001, no,    no],
  RTMGRP_LINK:             [0x1,    no,     no],
  RTMGRP_IPV4_IFADDR:      [0x10,   no,     no],
  RTMGRP_IPV6_IFADDR:      [0x100,  no,     no],
  RTM_NEWLINK:             [16,     no,     no],
  RTM_DELLINK:             [17,     no,     no],
  RTM_GETLINK:             [18,     no,     no],
  RTM_NEWADDR:             [20,     12,     no],
  RTM_DELADDR:             [21,     13,     no],
  RTM_GETADDR:             [22,     no,     no],
  RTM_NEWROUTE:            [24,     no,     no],
  RTM_GETROUTE:            [26,     no,     no],
  IFLA_ADDRESS:            [1,      no,     no],
  IFLA_IFNAME:             [3,      no,     no],
  IFLA_MTU:                [4,      no,     no],
  IFA_ADDRESS:             [1,      no,     no],
  IFA_LOCAL:               [2,      no,     no],
  IFA_BROADCAST:           [4,      no,     no],
  RTA_DST:                 [1,      1,      no],
  RTA_OIF:                 [4,      no,     no],

  // Where SO_MEMINFO has the drops
  SK_MEMINFO_DROPS:        [8,      no,     no],

  // Path MTU discovery: the same words stand for other numbers on Windows
  IP_PMTUDISC_DONT:        [0,      no,     2],
  IP_PMTUDISC_WANT:        [1,      no,     no],
  IP_PMTUDISC_DO:          [2,      no,     1],
  IP_PMTUDISC_PROBE:       [3,      no,     3],
  IP_PMTUDISC_INTERFACE:   [4,      no,     no],
  IP_PMTUDISC_OMIT:        [5,      no,     no],

  // Which of its addresses an IPv6 socket prefers; the kernel takes two more (_CGA, _NONCGA) and does nothing with them
  IPV6_PREFER_SRC_TMP:     [0x1,    no,     no],
  IPV6_PREFER_SRC_PUBLIC:  [0x2,    no,     no],
  IPV6_PREFER_SRC_COA:     [0x4,    no,     no],
  IPV6_PREFER_SRC_PUBTMP_DEFAULT: [0x100, no, no],
  IPV6_PREFER_SRC_HOME:    [0x400,  no,     no],

  // Source filters
  MCAST_INCLUDE:           [1,      1,      0],
  MCAST_EXCLUDE:           [0,      2,      1],

  // AF_PACKET
  PACKET_HOST:             [0,      no,     no],
  PACKET_BROADCAST:        [1,      no,     no],
  PACKET_MULTICAST:        [2,      no,     no],
  PACKET_OTHERHOST:        [3,      no,     no],
  PACKET_OUTGOING:         [4,      no,     no],
  PACKET_MR_MULTICAST:     [0,      no,     no],
  PACKET_MR_PROMISC:       [1,      no,     no],
  PACKET_MR_ALLMULTI:      [2,      no,     no],
  PACKET_MR_UNICAST:       [3,      no,     no],
  PACKET_FANOUT_HASH:      [0,      no,     no],
  PACKET_FANOUT_LB:        [1,      no,     no],
  PACKET_FANOUT_CPU:       [2,      no,     no],
  PACKET_FANOUT_ROLLOVER:  [3,      no,     no],
  PACKET_FANOUT_RND:       [4,      no,     no],
  PACKET_FANOUT_QM:        [5,      no,     no],
  PACKET_FANOUT_CBPF:      [6,      no,     no],
  PACKET_FANOUT_EBPF:      [7,      no,     no],
  PACKET_FANOUT_FLAG_DEFRAG: [0x8000, no,   no],
  ETH_P_ALL:               [0x3,    no,     no],
  ETH_P_IP:                [0x800,  no,     no],
  ETH_P_ARP:               [0x806,  no,     no],
  ETH_P_IPV6:              [0x86dd, no,     no],

  // SO_TXTIME
  CLOCK_REALTIME:          [0,      0,      no],
  CLOCK_MONOTONIC:         [1,      6,      no],
  CLOCK_TAI:               [11,     no,     no],
  SOF_TXTIME_DEADLINE_MODE: [1,     no,     no],
  SOF_TXTIME_REPORT_ERRORS: [2,     no,     no],

  // SO_TIMESTAMPING
  SOF_TIMESTAMPING_TX_HARDWARE: [0x1, no,   no],
  SOF_TIMESTAMPING_TX_SOFTWARE: [0x2, no,   no],
  SOF_TIMESTAMPING_RX_HARDWARE: [0x4, no,   no],
  SOF_TIMESTAMPING_RX_SOFTWARE: [0x8, no,   no],
  SOF_TIMESTAMPING_SOFTWARE: [0x10, no,     no],
  SOF_TIMESTAMPING_RAW_HARDWARE: [0x40, no, no],
  SOF_TIMESTAMPING_OPT_ID: [0x80,   no,     no],

  // The error queue
  SO_EE_ORIGIN_NONE:       [0,      no,     no],
  SO_EE_ORIGIN_LOCAL:      [1,      no,     no],
  SO_EE_ORIGIN_ICMP:       [2,      no,     no],
  SO_EE_ORIGIN_ICMP6:      [3,      no,     no],
  SO_EE_ORIGIN_TIMESTAMPING: [4,    no,     no],
  SO_EE_ORIGIN_ZEROCOPY:   [5,      no,     no],
  SO_EE_ORIGIN_TXTIME:     [6,      no,     no],

  // vsock addresses; the first is all ones, -1 in C
  VMADDR_CID_ANY:          [0xffffffff, 0xffffffff, no],
  VMADDR_CID_HYPERVISOR:   [0,      0,      no],
  VMADDR_CID_LOCAL:        [1,      no,     no],
  VMADDR_CID_HOST:         [2,      2,      no],
  VMADDR_PORT_ANY:         [0xffffffff, 0xffffffff, no],

  // Security levels of Bluetooth
  BT_SECURITY_SDP:         [0,      no,     no],
  BT_SECURITY_LOW:         [1,      no,     no],
  BT_SECURITY_MEDIUM:      [2,      no,     no],
  BT_SECURITY_HIGH:        [3,      no,     no],
  BT_SECURITY_FIPS:        [4,      no,     no],

  // getaddrinfo
  AI_PASSIVE:              [0x1,    0x1,    0x1],
  AI_CANONNAME:            [0x2,    0x2,    0x2],
  AI_NUMERICHOST:          [0x4,    0x4,    0x4],
  AI_NUMERICSERV:          [0x400,  0x1000, 0x8],
  AI_V4MAPPED:             [0x8,    0x800,  0x800],
  AI_ADDRCONFIG:           [0x20,   0x400,  0x400],
  EAI_BADFLAGS:            [-1,     3,      10022],
  EAI_NONAME:              [-2,     8,      11001],
  EAI_AGAIN:               [-3,     2,      11002],
  EAI_FAIL:                [-4,     4,      11003],
  EAI_FAMILY:              [-6,     5,      10047],
  EAI_SOCKTYPE:            [-7,     10,     10044],
  EAI_SERVICE:             [-8,     9,      10109],
  EAI_ADDRFAMILY:          [-9,     no,     no],
  EAI_NODATA:              [-5,     7,      11004],
  EAI_MEMORY:              [-10,    6,      8],
  EAI_SYSTEM:              [-11,    11,     no],
  EAI_OVERFLOW:            [-12,    14,     no],

  // ioctl requests
  FIONREAD:                [0x541b, 0x4004667f, 0x4004667f],
  SIOCOUTQ:                [0x5411, no,     no],
  SIOCGIFFLAGS:            [0x8913, 0xc0206911, no],
  SIOCGIFMTU:              [0x8921, 0xc0206933, no],
  IOCTL_VM_SOCKETS_GET_LOCAL_CID: [0x7b9, 0x400473d1, no],
  SIO_UDP_CONNRESET:       [no,     no,     0x9800000c],
  SIO_KEEPALIVE_VALS:      [no,     no,     0x98000004],
  SIO_TCP_INFO:            [no,     no,     0xd8000027],
} as const satisfies Record<string, Row>;

/** The C name of a constant. */
export type ConstantName = keyof typeof CONSTANTS;

const COLUMN: Readonly<Record<OperatingSystem, 0 | 1 | 2>> = { linux: 0, darwin: 1, windows: 2 };

/** The number that the system gives the name; throws where the system lacks it. */
export function constant(name: ConstantName, os: OperatingSystem): number {
  const row: Row = CONSTANTS[name];
  const value = row[COLUMN[os]];
  if (value === null) throw new Error(`Cannot look up "${name}": ${os} has no such constant`);
  return value;
}
