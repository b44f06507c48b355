// The words for types and protocols as the kernel numbers them, and what to do about what single families refuse.
// Addresses of each family: address.ts, and as bytes internal/sockaddr.ts and sockaddr_families.ts. The calls: socket.ts.
import { integer, shown } from "../internal/argument.ts";
import { constant, type ConstantName, CONSTANTS } from "../internal/constants.ts";
import type { Remedies } from "../internal/errno.ts";
import { BLUETOOTH_PROTOCOLS } from "../internal/sockaddr_families.ts";
import type { Family, Protocol, SocketType } from "./address.ts";

type Names = Readonly<Record<string, ConstantName>>;

/** The number of each type. */
export const TYPES = {
  stream: "SOCK_STREAM",
  dgram: "SOCK_DGRAM",
  raw: "SOCK_RAW",
  seqpacket: "SOCK_SEQPACKET",
} as const satisfies Record<SocketType, ConstantName>;

const TRANSPORTS: Names = {
  tcp: "IPPROTO_TCP",
  udp: "IPPROTO_UDP",
  udplite: "IPPROTO_UDPLITE",
  mptcp: "IPPROTO_MPTCP",
  icmp: "IPPROTO_ICMP",
  icmp6: "IPPROTO_ICMPV6",
};
/** What each family calls its protocols. */
const PROTOCOLS: Readonly<Record<Family, Names>> = {
  inet: TRANSPORTS,
  inet6: TRANSPORTS,
  unix: {},
  packet: { ip: "ETH_P_IP", ipv6: "ETH_P_IPV6", arp: "ETH_P_ARP", all: "ETH_P_ALL" },
  vsock: {},
  netlink: { route: "NETLINK_ROUTE" },
  bluetooth: BLUETOOTH_PROTOCOLS,
};
/** And its raw sockets besides: the packets of the family itself. */
const RAW_PROTOCOLS: Readonly<Partial<Record<Family, Names>>> = {
  inet: { ip: "IPPROTO_RAW" },
  inet6: { ipv6: "IPPROTO_RAW" },
};

/** The constant that a word stands for; what objects inherit is no word. */
export function word(names: Names, given: string): ConstantName | undefined {
  return Object.hasOwn(names, given) ? names[given] : undefined;
}

/** The words of a table by their numbers on Linux. */
export function wordsOf(names: Names): Map<number, string> {
  return new Map(Object.entries(names).map(([word, constantName]) => [CONSTANTS[constantName][0] ?? -1, word]));
}

/** The number of a protocol, ethertypes in host order. */
export function protocolNumber(family: Family, type: SocketType, protocol: Protocol, doing: string): number {
  if (typeof protocol === "number") {
    // Linux opens more for raw sockets, but the header of an IP packet has a byte for it.
    const most = type === "raw" && (family === "inet" || family === "inet6") ? 255 : 0xffff;
    return integer(protocol, `${doing}: the protocol`, 0, most);
  }
  const names = { ...PROTOCOLS[family], ...type === "raw" ? RAW_PROTOCOLS[family] : {} };
  const known = word(names, protocol);
  if (known === undefined) {
    const words = Object.keys(names);
    throw new Deno.errors.NotSupported(
      `${doing}: the protocol is ${shown(protocol)}, it must be a number${
        words.length === 0 ? "" : ` or one of ${words.join(", ")}`
      }`,
    );
  }
  return constant(known, "linux");
}

/** The protocol as socket(2) takes it: ethertypes travel in network order. */
export function protocolArgument(family: Family, protocol: number): number {
  return family === "packet" ? protocol >> 8 | (protocol & 0xff) << 8 : protocol;
}

/**
 * Whether all of net must be granted for sockets like this: what they hear and send, no rule can name. Ping sockets send
 * to hosts, vsock sockets to contexts and ports, as Deno's own do: those are asked for one by one.
 */
export function needsWholeNet(family: Family, type: SocketType): boolean {
  return family === "packet" || family === "netlink" || family === "bluetooth" ||
    (type === "raw" && (family === "inet" || family === "inet6"));
}

/** Whether the port of an IP address means something to the peer of a socket like this. */
export function hasPorts(type: SocketType, protocol: number): boolean {
  return type !== "raw" && protocol !== CONSTANTS.IPPROTO_ICMP[0] && protocol !== CONSTANTS.IPPROTO_ICMPV6[0];
}

/** Whether the kernel cuts a datagram that does not fit, and tells no true length of it: that of a ping socket. */
export function cutsInSilence(family: Family, type: SocketType, protocol: number): boolean {
  return type === "dgram" && (family === "inet" || family === "inet6") && !hasPorts(type, protocol);
}

const MANY_FILES =
  "the process has as many open files as it may: close sockets that are not needed, an idle program collects none";

/** What to do when socket(2) fails. */
export function openRemedies(family: Family, type: SocketType, protocol: number): Remedies {
  const common: Remedies = {
    EAFNOSUPPORT: "this kernel has no such family built in",
    EPROTONOSUPPORT: "this kernel has no such protocol for this family and type",
    ESOCKTNOSUPPORT: "this family has no such type",
    EMFILE: MANY_FILES,
  };
  switch (family) {
    case "inet":
    case "inet6": {
      const ip: Remedies = { ...common, EINVAL: "a protocol of IP is at most 255 (262 for mptcp)" };
      if (type === "raw") {
        const which: Remedies = protocol === 0
          ? { EPROTONOSUPPORT: 'a raw socket needs a protocol, such as "icmp" or a number' }
          : {};
        return { ...ip, ...which, EPERM: "this needs CAP_NET_RAW" };
      }
      if (type !== "dgram" || hasPorts(type, protocol)) return ip;
      return {
        ...ip,
        EACCES: "ping sockets are for the groups of net.ipv4.ping_group_range, and no other privilege opens them; " +
          'a raw socket ("raw" instead of "dgram") does the same with CAP_NET_RAW',
      };
    }
    case "packet":
    case "bluetooth":
      return { ...common, EPERM: "this needs CAP_NET_RAW" };
    case "vsock":
      return { ...common, ENODEV: "no vsock transport of this kernel has datagrams" };
    default:
      return common;
  }
}

/** What to do when a duplicate, or an accepted connection, cannot be had. */
export const DESCRIPTOR_REMEDIES: Remedies = { EMFILE: MANY_FILES };

/** What to do when bind(2) fails. */
export function bindRemedies(family: Family): Remedies {
  const common: Remedies = {
    EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE, unix paths a folder that may be written",
    EADDRINUSE:
      "another socket has the address; see SO_REUSEADDR and SO_REUSEPORT, or remove the unix path it left behind",
    EADDRNOTAVAIL: "no interface of this machine has the address; see IP_FREEBIND",
    EINVAL: "the socket is bound already, or a link-local address lacks its zone",
  };
  switch (family) {
    case "vsock":
      return { ...common, EADDRNOTAVAIL: "the cid must be that of this machine, or -1 for any" };
    case "netlink":
      return {
        ...common,
        EADDRINUSE: "another socket has the pid; 0 lets the kernel choose",
        EPERM: "groups of this protocol need CAP_NET_ADMIN",
      };
    case "packet":
      return { ...common, EINVAL: "a socket in a fanout group cannot be bound anew" };
    default:
      return common;
  }
}

/** What to do when connect(2) fails. */
export function connectRemedies(family: Family): Remedies {
  const common: Remedies = {
    ECONNREFUSED: "nothing listens there, or a firewall refuses",
    ECONNABORTED: "another connect() took its place",
    EISCONN: "the socket is connected already",
    ENETUNREACH: "this machine has no route to that network",
  };
  switch (family) {
    case "vsock":
      return {
        ...common,
        ENODEV: "this kernel has no vsock transport to that context: connections within a machine need the module " +
          "vsock_loopback, those to the host or to a guest the driver of the hypervisor",
        ESOCKTNOSUPPORT: "the vsock transport to that context has no sockets of this type",
        ETIMEDOUT: "no context answered: it is not there, or has no vsock transport; " +
          "connections within a machine need the module vsock_loopback",
        ECONNRESET: "nothing listens there",
      };
    case "packet":
      return { ...common, EOPNOTSUPP: "packet sockets have no peer: bind() to an interface, and use sendTo()" };
    default:
      return common;
  }
}

/** What to do when a send fails. */
export const SEND_REMEDIES: Remedies = {
  EDESTADDRREQ: "the socket is not connected: use sendTo(), or connect() first",
  ENOTCONN: "the socket is not connected: use sendTo(), or connect() first",
  EACCES: "broadcast needs SO_BROADCAST",
  EMSGSIZE: "the datagram is larger than the path or the send buffer takes",
  EPIPE: "this end was shut down, or the peer is gone",
  ENXIO: "there is no such interface, or none is named",
  ENETDOWN: "the interface is down",
};
