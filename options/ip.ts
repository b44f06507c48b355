// The options of IPPROTO_IP and of raw ICMP, one constant a row of internal/sockopt.ts; the MCAST ones serve both families.
// Those of IPv6 stand in ipv6.ts; joining groups in comfort: multicast/.
import { type ConstantName, CONSTANTS } from "../internal/constants.ts";
import { column, OS } from "../internal/os.ts";
import type { InetAddress } from "../internal/sockaddr.ts";
import type { GroupRequest, PortRange, SourceFilter, SourceRequest } from "../internal/values.ts";
import { option, type ReadableOption, type SocketOption, type WritableOption } from "./option.ts";

/**
 * Sets the hop limit of IPv4 packets: how many routers may pass them on.
 *
 * 1 to 255, default net.ipv4.ip_default_ttl (64). On an IPv6 socket it governs the IPv4 traffic. Inherited by accepted
 * connections on Linux. Groups have `IP_MULTICAST_TTL`, IPv6 `IPV6_UNICAST_HOPS`.
 *
 * Linux, macOS, Windows. ip(7), RFC 791.
 *
 * @example Let two routers pass packets on
 * ```ts
 * import { IP_TTL } from "@berkeley/sockets/options";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
 *
 * assertEquals(IP_TTL.set(socket, 3), 3);
 * assertThrows(() => IP_TTL.set(socket, 256), RangeError);
 * socket.close();
 * ```
 */
export const IP_TTL: SocketOption<number> = option("IP_TTL");

/**
 * Sets the byte of IPv4 packets that carries DSCP (the upper six bits) and ECN (the lower two).
 *
 * DSCP 46 is `46 << 2`. TCP keeps the ECN bits for itself: there 255 reads back as 252. Before connect() it marks the
 * handshake too; accepted connections inherit it on Linux, where setting it overwrites `SO_PRIORITY` too. Windows
 * takes it and marks nothing. IPv6 has `IPV6_TCLASS`; `dscp` of `connectTcp` and `listenTcp` does both.
 *
 * Linux, macOS, Windows. ip(7), RFC 2474, RFC 3168.
 *
 * @example Mark datagrams as expedited
 * ```ts
 * import { IP_TOS } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
 *
 * const dscp = 46;
 * assertEquals(IP_TOS.set(socket, dscp << 2) >> 2, dscp);
 * socket.close();
 * ```
 */
export const IP_TOS: SocketOption<number> = option("IP_TOS");

/**
 * Says that the program writes the IP header of what it sends itself.
 *
 * Linux fills in checksum and total length, and source and identification where they are 0. On macOS length and offset
 * are in host order.
 *
 * Linux, macOS, Windows. raw(7).
 */
export const IP_HDRINCL: SocketOption<boolean> = option("IP_HDRINCL");

/**
 * Sets the options in the header of IPv4 packets, at most 40 bytes; empty for none.
 *
 * Padded to a multiple of four. Source routing needs CAP_NET_RAW. Many routers drop packets with options.
 *
 * Linux, macOS, Windows. ip(7), RFC 791.
 */
export const IP_OPTIONS: SocketOption<Uint8Array<ArrayBuffer>> = option("IP_OPTIONS");

/**
 * Delivers the IP options of received packets as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux, macOS. ip(7).
 */
export const IP_RECVOPTS: SocketOption<boolean> = option("IP_RECVOPTS");

/**
 * Delivers the IP options of received packets, made ready for the answer, as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux, macOS. ip(7).
 */
export const IP_RECVRETOPTS: SocketOption<boolean> = option("IP_RECVRETOPTS");

/**
 * Delivers the destination address and the interface of received datagrams as a control message.
 *
 * A `UdpSocket` has it as the metadata "localAddr" and "interfaceIndex". A datagram that was queued before it was on
 * comes with interface 0, so set it before bind(). A socket of Deno receives no control messages: this is for sockets
 * whose messages are read with them.
 *
 * Linux, macOS (IP_RECVPKTINFO), Windows. ip(7).
 */
export const IP_PKTINFO: SocketOption<boolean> = option("IP_PKTINFO");

/**
 * Delivers the destination address of received datagrams as a control message.
 *
 * Linux has `IP_PKTINFO`. A socket of Deno receives no control messages: this is for sockets whose messages are read
 * with them.
 *
 * macOS, Windows. Apple ip(4), Microsoft Winsock.
 */
export const IP_RECVDSTADDR: SocketOption<boolean> = option("IP_RECVDSTADDR");

/**
 * Delivers the interface of received datagrams as a control message.
 *
 * Linux has `IP_PKTINFO`. A socket of Deno receives no control messages: this is for sockets whose messages are read
 * with them.
 *
 * macOS, Windows. Apple ip(4), Microsoft Winsock.
 */
export const IP_RECVIF: SocketOption<boolean> = option("IP_RECVIF");

/**
 * Delivers the hop limit of received datagrams as a control message.
 *
 * A `UdpSocket` has it as the metadata "hopLimit". A socket of Deno receives no control messages: this is for sockets
 * whose messages are read with them.
 *
 * Linux, macOS, Windows. ip(7).
 */
export const IP_RECVTTL: SocketOption<boolean> = option("IP_RECVTTL");

/**
 * Delivers the byte of DSCP and ECN of received datagrams as a control message.
 *
 * A `UdpSocket` has it as the metadata "dscp" and "ecn". A socket of Deno receives no control messages: this is for
 * sockets whose messages are read with them.
 *
 * Linux, macOS, Windows. ip(7).
 */
export const IP_RECVTOS: SocketOption<boolean> = option("IP_RECVTOS");

/**
 * Delivers the ECN bits of received datagrams as a control message.
 *
 * Linux and macOS have `IP_RECVTOS`. A socket of Deno receives no control messages: this is for sockets whose messages
 * are read with them.
 *
 * Windows. Microsoft Winsock, "IPPROTO_IP socket options".
 */
export const IP_RECVECN: SocketOption<boolean> = option("IP_RECVECN");

/**
 * Queues errors of what was sent (ICMP and local ones) on the error queue of the socket, with their cause.
 *
 * It also reports them on the next call, on sockets that are not connected too: an error about one peer can then fail
 * a send to another. Leave it off unless the error queue is read.
 *
 * Linux, Windows. ip(7).
 */
export const IP_RECVERR: SocketOption<boolean> = option("IP_RECVERR");

/**
 * Adds to queued errors where the extensions of the ICMP message begin.
 *
 * Together with `IP_RECVERR`. Since Linux 5.9.
 *
 * Linux. Linux net/ipv4/ip_sockglue.c, RFC 4884.
 */
export const IP_RECVERR_RFC4884: SocketOption<boolean> = option("IP_RECVERR_RFC4884");

/**
 * Delivers the destination before redirection (TPROXY) as a control message.
 *
 * With `IP_TRANSPARENT`. A socket of Deno receives no control messages: this is for sockets whose messages are read
 * with them.
 *
 * Linux. ip(7).
 */
export const IP_RECVORIGDSTADDR: SocketOption<boolean> = option("IP_RECVORIGDSTADDR");

/**
 * Delivers the size of the largest fragment of a datagram that came in fragments, as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux. Linux net/ipv4/ip_sockglue.c.
 */
export const IP_RECVFRAGSIZE: SocketOption<boolean> = option("IP_RECVFRAGSIZE");

/**
 * Delivers the checksum of the payload that the kernel computed as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux. Linux net/ipv4/ip_sockglue.c.
 */
export const IP_CHECKSUM: SocketOption<boolean> = option("IP_CHECKSUM");

/**
 * Delivers the security label of the sender (labeled IPsec or NetLabel) as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux. ip(7).
 */
export const IP_PASSSEC: SocketOption<boolean> = option("IP_PASSSEC");

/**
 * Receives, on a raw socket, all packets with the router alert option that would be forwarded.
 *
 * For daemons such as RSVP's. Setting false on a socket where it is not on fails with ENOBUFS.
 *
 * Linux. ip(7), RFC 2113.
 */
export const IP_ROUTER_ALERT: SocketOption<boolean> = option("IP_ROUTER_ALERT");

/**
 * Sends what the program wrote itself (`IP_HDRINCL`) without netfilter putting fragments together.
 *
 * Linux. ip(7).
 */
export const IP_NODEFRAG: SocketOption<boolean> = option("IP_NODEFRAG");

/**
 * Receives on a raw socket without the IP header.
 *
 * macOS. Apple ip(4).
 */
export const IP_STRIPHDR: SocketOption<boolean> = option("IP_STRIPHDR");

/**
 * Says how packets larger than the path takes are treated: one of the `IP_PMTUDISC` constants.
 *
 * TCP and UDP begin with `IP_PMTUDISC_WANT` on Linux (net.ipv4.ip_no_pmtu_disc). Inherited by accepted connections.
 * macOS has `IP_DONTFRAG`.
 *
 * Linux, Windows. ip(7), RFC 1191.
 */
export const IP_MTU_DISCOVER: SocketOption<number> = option("IP_MTU_DISCOVER");

/**
 * Forbids to fragment IPv4 datagrams; larger ones than the interface takes fail with EMSGSIZE.
 *
 * Linux has `IP_MTU_DISCOVER`.
 *
 * macOS, Windows (IP_DONTFRAGMENT). Apple ip(4), Microsoft Winsock.
 */
export const IP_DONTFRAG: SocketOption<boolean> = option("IP_DONTFRAG");

/**
 * Says how many bytes a packet may have on the path to the peer, as far as is known now.
 *
 * Needs a connected socket: before it fails with ENOTCONN.
 *
 * Linux, Windows. ip(7), RFC 1191.
 */
export const IP_MTU: ReadableOption<number> = option("IP_MTU");

/**
 * Limits how many bytes the packets of the socket may have.
 *
 * Windows. Microsoft Winsock, "IPPROTO_IP socket options".
 */
export const IP_USER_MTU: SocketOption<number> = option("IP_USER_MTU");

/**
 * Lets bind() have an address that this machine does not have, or not yet.
 *
 * Must be set before bind(): later it throws. Needs no privilege; `IP_TRANSPARENT` is more.
 *
 * Linux. ip(7).
 */
export const IP_FREEBIND: SocketOption<boolean> = option("IP_FREEBIND");

/**
 * Lets the socket have foreign addresses, for transparent proxies.
 *
 * For bind() to a foreign address it is needed before; it also makes a listener take what TPROXY redirects. Needs
 * CAP_NET_ADMIN or CAP_NET_RAW.
 *
 * Linux. ip(7), Linux Documentation/networking/tproxy.rst.
 */
export const IP_TRANSPARENT: SocketOption<boolean> = option("IP_TRANSPARENT");

/**
 * Lets bind() with port 0 leave the choice of a port to connect().
 *
 * Must be set before bind(): later it throws. Then connections to different peers can have one source port, which
 * allows far more of them.
 *
 * Linux. ip(7).
 */
export const IP_BIND_ADDRESS_NO_PORT: SocketOption<boolean> = option("IP_BIND_ADDRESS_NO_PORT");

/**
 * Sets the ports that bind() and connect() choose from, within net.ipv4.ip_local_port_range.
 *
 * `{ low: 0, high: 0 }` is the system's range; one of them 0 leaves that end to the system. Since Linux 6.3. Must be
 * set before bind(): later it throws. connect() chooses from them for a socket that was not bound.
 *
 * Linux. ip(7).
 */
export const IP_LOCAL_PORT_RANGE: SocketOption<PortRange> = option("IP_LOCAL_PORT_RANGE");

/**
 * Drops received IPv4 packets of TCP whose hop limit is below this.
 *
 * 255 lets only direct neighbours through; 0, the default, everybody. Inherited by accepted connections.
 *
 * Linux. Linux net/ipv4/ip_sockglue.c, RFC 5082.
 */
export const IP_MINTTL: SocketOption<number> = option("IP_MINTTL");

/**
 * Sets the interface that IPv4 packets leave by, by index; 0 lets the routes decide.
 *
 * Received packets may come in anywhere, other than with `SO_BINDTODEVICE`. On Linux TCP does not heed it, so there it
 * is for datagrams; it needs no privilege. On macOS and Windows TCP heeds it too.
 *
 * Linux, macOS (IP_BOUND_IF), Windows. ip(7), Apple netinet/in.h, Microsoft Winsock.
 */
export const IP_UNICAST_IF: SocketOption<number> = option("IP_UNICAST_IF");

/**
 * Says whether the socket receives broadcasts.
 *
 * Windows. Microsoft Winsock, "IPPROTO_IP socket options".
 */
export const IP_RECEIVE_BROADCAST: SocketOption<boolean> = option("IP_RECEIVE_BROADCAST");

/**
 * Delivers the interface on which a datagram first arrived, before a tunnel, as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Windows. Microsoft Winsock, "IPPROTO_IP socket options".
 */
export const IP_ORIGINAL_ARRIVAL_IF: SocketOption<boolean> = option("IP_ORIGINAL_ARRIVAL_IF");

/**
 * Sets the interface that IPv4 multicast leaves by, named by one of its addresses; "0.0.0.0" lets the routes decide.
 *
 * Joining a group does not choose where to send. IPv6 has `IPV6_MULTICAST_IF`, by index.
 *
 * Linux, macOS, Windows. ip(7).
 */
export const IP_MULTICAST_IF: SocketOption<string> = option("IP_MULTICAST_IF");

/**
 * Sets the hop limit of IPv4 multicast; 1, the default, stays on the local network.
 *
 * 0 to 255; 0 stays on this machine.
 *
 * Linux, macOS, Windows. ip(7), RFC 1112.
 */
export const IP_MULTICAST_TTL: SocketOption<number> = option("IP_MULTICAST_TTL");

/**
 * Says whether IPv4 multicast also goes to members on this machine.
 *
 * On Unix the sender decides, on Windows the receiver: set it on both. Linux turns it on by default, Deno off on the
 * sockets of `Deno.listenDatagram`. What goes out by the loopback interface is heard on this machine all the same.
 *
 * Linux, macOS, Windows. ip(7).
 *
 * @example Hear what one sends to a group
 * ```ts
 * import { IP_MULTICAST_LOOP } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
 *
 * assertEquals(IP_MULTICAST_LOOP.set(socket, true), true);
 * socket.close();
 * ```
 */
export const IP_MULTICAST_LOOP: SocketOption<boolean> = option("IP_MULTICAST_LOOP");

/**
 * Says whether the socket also hears IPv4 groups that only other sockets of this machine joined.
 *
 * On by default, which surprises sockets bound to "0.0.0.0": turn it off to hear what this socket joined and nothing
 * else.
 *
 * Linux. ip(7).
 */
export const IP_MULTICAST_ALL: SocketOption<boolean> = option("IP_MULTICAST_ALL");

/**
 * Joins an IPv4 group on an interface.
 *
 * Without `interface` the routes choose one. `joinGroup` is the comfortable form, which leaves again by itself;
 * `MCAST_JOIN_GROUP` takes both families.
 *
 * Linux, macOS, Windows. ip(7), RFC 1112.
 */
export const IP_ADD_MEMBERSHIP: WritableOption<GroupRequest> = option("IP_ADD_MEMBERSHIP");

/**
 * Leaves an IPv4 group that `IP_ADD_MEMBERSHIP` joined.
 *
 * With the same interface. Closing the socket leaves its groups too.
 *
 * Linux, macOS, Windows. ip(7).
 */
export const IP_DROP_MEMBERSHIP: WritableOption<GroupRequest> = option("IP_DROP_MEMBERSHIP");

/**
 * Joins an IPv4 group for what one sender sends to it.
 *
 * Again with another source to add that one. `MCAST_JOIN_SOURCE_GROUP` takes both families.
 *
 * Linux, macOS, Windows. ip(7), RFC 3678.
 */
export const IP_ADD_SOURCE_MEMBERSHIP: WritableOption<SourceRequest> = option("IP_ADD_SOURCE_MEMBERSHIP");

/**
 * Stops hearing one sender of an IPv4 group that was joined by source; the last one leaves the group.
 *
 * Linux, macOS, Windows. ip(7), RFC 3678.
 */
export const IP_DROP_SOURCE_MEMBERSHIP: WritableOption<SourceRequest> = option("IP_DROP_SOURCE_MEMBERSHIP");

/**
 * Stops hearing one sender of an IPv4 group that was joined for all senders.
 *
 * Join first. `IP_UNBLOCK_SOURCE` undoes it.
 *
 * Linux, macOS, Windows. ip(7), RFC 3678.
 */
export const IP_BLOCK_SOURCE: WritableOption<SourceRequest> = option("IP_BLOCK_SOURCE");

/**
 * Hears a sender again that `IP_BLOCK_SOURCE` blocked.
 *
 * Linux, macOS, Windows. ip(7), RFC 3678.
 */
export const IP_UNBLOCK_SOURCE: WritableOption<SourceRequest> = option("IP_UNBLOCK_SOURCE");

/**
 * Joins a group of either family on an interface.
 *
 * The family of the group says which; an IPv6 socket takes IPv4 groups unless it is V6ONLY. Without `interface` the
 * system chooses one. `joinGroup` is the comfortable form.
 *
 * Linux, macOS, Windows. ip(7), RFC 3678.
 */
export const MCAST_JOIN_GROUP: WritableOption<GroupRequest> = option("MCAST_JOIN_GROUP");

/**
 * Leaves a group of either family that was joined for all senders.
 *
 * With the same interface. Closing the socket leaves its groups too.
 *
 * Linux, macOS, Windows. ip(7), RFC 3678.
 */
export const MCAST_LEAVE_GROUP: WritableOption<GroupRequest> = option("MCAST_LEAVE_GROUP");

/**
 * Joins a group of either family for what one sender sends to it.
 *
 * Again with another source to add that one.
 *
 * Linux, macOS, Windows. ip(7), RFC 3678, RFC 4607.
 */
export const MCAST_JOIN_SOURCE_GROUP: WritableOption<SourceRequest> = option("MCAST_JOIN_SOURCE_GROUP");

/**
 * Stops hearing one sender of a group that was joined by source; the last one leaves the group.
 *
 * Linux, macOS, Windows. ip(7), RFC 3678.
 */
export const MCAST_LEAVE_SOURCE_GROUP: WritableOption<SourceRequest> = option("MCAST_LEAVE_SOURCE_GROUP");

/**
 * Stops hearing one sender of a group of either family that was joined for all senders.
 *
 * Join first. `MCAST_UNBLOCK_SOURCE` undoes it.
 *
 * Linux, macOS, Windows. ip(7), RFC 3678.
 */
export const MCAST_BLOCK_SOURCE: WritableOption<SourceRequest> = option("MCAST_BLOCK_SOURCE");

/**
 * Hears a sender again that `MCAST_BLOCK_SOURCE` blocked.
 *
 * Linux, macOS, Windows. ip(7), RFC 3678.
 */
export const MCAST_UNBLOCK_SOURCE: WritableOption<SourceRequest> = option("MCAST_UNBLOCK_SOURCE");

/**
 * Replaces the list of senders of a group: only these ("include"), or all but these ("exclude").
 *
 * Join the group first. Linux limits the list (net.ipv4.igmp_max_msf, net.ipv6.mld_max_msf). To read it the kernel
 * must be told the group, so it cannot be read here: `sources()` of a membership does.
 *
 * Linux. ip(7), RFC 3678.
 */
export const MCAST_MSFILTER: WritableOption<SourceFilter> = option("MCAST_MSFILTER");

/**
 * Says where an IPv4 connection was going before netfilter redirected it here.
 *
 * Needs a connected socket, on Linux with connection tracking; ENOENT when nothing redirected it.
 *
 * Linux, Windows. Linux include/uapi/linux/netfilter_ipv4.h.
 */
export const SO_ORIGINAL_DST: ReadableOption<InetAddress> = option("SO_ORIGINAL_DST");

/**
 * Lists the ICMP types that a raw socket receives; all by default.
 *
 * Only types below 32 can be filtered, others always pass.
 *
 * Linux. raw(7).
 */
export const ICMP_FILTER: SocketOption<readonly number[]> = option("ICMP_FILTER");

/** The number that this system has for a value of `IP_MTU_DISCOVER`; -1 where it has none. */
function pathMtuDiscovery(name: ConstantName & `IP_PMTUDISC_${string}`): number {
  return OS === null ? -1 : CONSTANTS[name][column()] ?? -1;
}

/**
 * Never forbids to fragment: routers on the way may.
 *
 * A value of `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER`. It is the number of the system this runs on; -1, which no
 * kernel takes, on macOS, which has `IP_DONTFRAG`.
 *
 * Linux, Windows. ip(7).
 */
export const IP_PMTUDISC_DONT: number = pathMtuDiscovery("IP_PMTUDISC_DONT");

/**
 * Forbids routers to fragment where the path is known to take it, and fragments larger datagrams here.
 *
 * A value of `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER`, and their default. It is -1, which no kernel takes, on macOS
 * and Windows.
 *
 * Linux. ip(7).
 */
export const IP_PMTUDISC_WANT: number = pathMtuDiscovery("IP_PMTUDISC_WANT");

/**
 * Forbids to fragment anywhere: a send that is larger than the path takes fails with EMSGSIZE.
 *
 * A value of `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER`. It is the number of the system this runs on; -1, which no
 * kernel takes, on macOS, which has `IP_DONTFRAG`.
 *
 * Linux, Windows. ip(7).
 */
export const IP_PMTUDISC_DO: number = pathMtuDiscovery("IP_PMTUDISC_DO");

/**
 * Forbids to fragment anywhere, and sends what the interface takes whatever is known of the path: for programs that
 * find out its size by themselves.
 *
 * A value of `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER`. It is the number of the system this runs on; -1, which no
 * kernel takes, on macOS, which has `IP_DONTFRAG`.
 *
 * Linux, Windows. ip(7), RFC 8899.
 */
export const IP_PMTUDISC_PROBE: number = pathMtuDiscovery("IP_PMTUDISC_PROBE");

/**
 * Lets routers fragment, and believes nothing that ICMP says of the path: a send that is larger than the interface
 * takes fails with EMSGSIZE.
 *
 * A value of `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER`. It is -1, which no kernel takes, on macOS and Windows.
 *
 * Linux. ip(7).
 */
export const IP_PMTUDISC_INTERFACE: number = pathMtuDiscovery("IP_PMTUDISC_INTERFACE");

/**
 * As `IP_PMTUDISC_INTERFACE`, but fragments here what is larger than the interface takes.
 *
 * A value of `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER`. It is -1, which no kernel takes, on macOS and Windows.
 *
 * Linux. ip(7).
 */
export const IP_PMTUDISC_OMIT: number = pathMtuDiscovery("IP_PMTUDISC_OMIT");
