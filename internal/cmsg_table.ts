// deno-fmt-ignore-file: a table is read down its columns, and the formatter would undo them.
// Every control message the library knows, one row each: level, types, value, and which sockets read it when it is sent.
// How a value becomes bytes is in cmsg.ts; the options that switch them on are in sockopt.ts, other numbers in constants.ts.
import type { ConstantName } from "./constants.ts";
import type { OperatingSystem } from "./os.ts";

/** How the value is written; cmsg.ts has one codec for each name. */
export type ControlCodec =
  | "packetInfo" // struct in_pktinfo
  | "packetInfo6" // struct in6_pktinfo
  | "byte" // 0 to 255, carried in an int; Linux receives IP_TOS as one byte
  | "uint" // an unsigned 32-bit integer
  | "segment" // 0 to 65535, an unsigned short
  | "timespec" // nanoseconds
  | "timeval" // microseconds, given as nanoseconds
  | "nanoseconds" // an unsigned 64-bit integer
  | "descriptors" // an array of int
  | "credentials" // struct ucred
  | "queuedError"; // struct sock_extended_err and a sockaddr

/**
 * The sockets that read it when it is sent; all others take the message and ignore it, without an error
 * (tests/cmsg_test.ts shows it), so it is refused there.
 */
export type ReadBy =
  | "ipv4" // IP but for streams, to an IPv4 peer
  | "ipv6" // IP but for streams, to an IPv6 peer
  | "udp" // UDP and UDP-Lite
  | "ipOrPacket" // IP and packet sockets, but for streams
  | "unix" // unix sockets
  | "unixOrNetlink" // unix and netlink sockets
  | "none"; // it is only ever received

/** The rows: level, type on each system (null where it is not there), value, readers. */
export type CmsgRow = readonly [
  level: ConstantName,
  linux: number | null,
  darwin: number | null,
  windows: number | null,
  codec: ControlCodec,
  readBy: ReadBy,
];

const no = null;

/** Control messages by C name. tests/headers_test.ts compares every number with the headers. */
export const CMSG = {
  //                  level           linux darwin windows codec          read by
  IP_PKTINFO:        ["IPPROTO_IP",   8,    26,    19,     "packetInfo",  "ipv4"],
  IP_TTL:            ["IPPROTO_IP",   2,    24,    21,     "byte",        "ipv4"],
  IP_TOS:            ["IPPROTO_IP",   1,    27,    3,      "byte",        "ipv4"],
  IP_RECVERR:        ["IPPROTO_IP",   11,   no,    75,     "queuedError", "none"],
  IPV6_PKTINFO:      ["IPPROTO_IPV6", 50,   46,    19,     "packetInfo6", "ipv6"],
  IPV6_HOPLIMIT:     ["IPPROTO_IPV6", 52,   47,    21,     "byte",        "ipv6"],
  IPV6_TCLASS:       ["IPPROTO_IPV6", 67,   36,    39,     "byte",        "ipv6"],
  IPV6_RECVERR:      ["IPPROTO_IPV6", 25,   no,    75,     "queuedError", "none"],
  UDP_SEGMENT:       ["IPPROTO_UDP",  103,  no,    no,     "segment",     "udp"],
  UDP_GRO:           ["IPPROTO_UDP",  104,  no,    no,     "uint",        "none"],
  SO_MARK:           ["SOL_SOCKET",   36,   no,    no,     "uint",        "ipOrPacket"],
  SO_RXQ_OVFL:       ["SOL_SOCKET",   40,   no,    no,     "uint",        "none"],
  SCM_TIMESTAMP:     ["SOL_SOCKET",   29,   2,     no,     "timeval",     "none"],
  SCM_TIMESTAMPNS:   ["SOL_SOCKET",   35,   no,    no,     "timespec",    "none"],
  SCM_TXTIME:        ["SOL_SOCKET",   61,   no,    no,     "nanoseconds", "ipOrPacket"],
  SCM_RIGHTS:        ["SOL_SOCKET",   1,    1,     no,     "descriptors", "unix"],
  SCM_CREDENTIALS:   ["SOL_SOCKET",   2,    no,    no,     "credentials", "unixOrNetlink"],
} as const satisfies Record<string, CmsgRow>;

/** The C name of a control message of the table. */
export type CmsgName = keyof typeof CMSG;

/** What the received message is called where that is not the name of its row; there it cannot be sent. */
export const NAME_ON: Readonly<Partial<Record<CmsgName, Readonly<Partial<Record<OperatingSystem, string>>>>>> = {
  IP_TTL: { darwin: "IP_RECVTTL", windows: "IP_HOPLIMIT" },
  IP_TOS: { darwin: "IP_RECVTOS" },
};
