// The options of IPPROTO_IPV6 and of raw ICMPv6, one constant a row of internal/sockopt.ts.
// Those of IPv4 stand in ip.ts, as do the MCAST ones of both families and the values of IPV6_MTU_DISCOVER.
import type { InetAddress } from "../internal/sockaddr.ts";
import type { GroupRequest } from "../internal/values.ts";
import { option, type ReadableOption, type SocketOption, type WritableOption } from "./option.ts";

/**
 * Keeps IPv4 off an IPv6 socket, so that another one may have the same port for IPv4.
 *
 * Off by default on Linux (net.ipv6.bindv6only) and macOS, on on Windows. Must be set before bind(): later it throws.
 * `ipv6Only` of `listenTcp` sets it in time.
 *
 * Linux, macOS, Windows. ipv6(7), RFC 3493.
 *
 * @example Too late for a bound socket
 * ```ts
 * import { IPV6_V6ONLY } from "@berkeley/sockets/options";
 * import { assertThrows } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "::1", port: 0 });
 *
 * assertThrows(() => IPV6_V6ONLY.set(listener, true), TypeError, "before bind()");
 * ```
 */
export const IPV6_V6ONLY: SocketOption<boolean> = option("IPV6_V6ONLY");

/**
 * Sets the hop limit of IPv6 packets: how many routers may pass them on.
 *
 * 0 to 255; -1, the default, is the system's and reads back as its value (64). IPv4 traffic has `IP_TTL`, groups
 * `IPV6_MULTICAST_HOPS`.
 *
 * Linux, macOS, Windows. ipv6(7), RFC 3493.
 */
export const IPV6_UNICAST_HOPS: SocketOption<number> = option("IPV6_UNICAST_HOPS");

/**
 * Sets the byte of IPv6 packets that carries DSCP (the upper six bits) and ECN (the lower two).
 *
 * DSCP 46 is `46 << 2`. TCP keeps the ECN bits for itself: there 255 reads back as 252. IPv4 traffic has `IP_TOS`;
 * `dscp` of `connectTcp` and `listenTcp` does both.
 *
 * Linux, macOS, Windows. RFC 3542, RFC 2474.
 */
export const IPV6_TCLASS: SocketOption<number> = option("IPV6_TCLASS");

/**
 * Sets the hop limit of IPv6 multicast; 1, the default, stays on the local network.
 *
 * 0 to 255; -1 is the default, and reads back as 1.
 *
 * Linux, macOS, Windows. ipv6(7), RFC 3493.
 */
export const IPV6_MULTICAST_HOPS: SocketOption<number> = option("IPV6_MULTICAST_HOPS");

/**
 * Sets the interface that IPv6 multicast leaves by, by index; 0 lets the routes decide.
 *
 * Joining a group does not choose where to send. IPv4 has `IP_MULTICAST_IF`, by address.
 *
 * Linux, macOS, Windows. ipv6(7), RFC 3493.
 */
export const IPV6_MULTICAST_IF: SocketOption<number> = option("IPV6_MULTICAST_IF");

/**
 * Says whether IPv6 multicast also goes to members on this machine.
 *
 * On Unix the sender decides, on Windows the receiver: set it on both. Linux turns it on by default, Deno off on the
 * sockets of `Deno.listenDatagram`.
 *
 * Linux, macOS, Windows. ipv6(7), RFC 3493.
 */
export const IPV6_MULTICAST_LOOP: SocketOption<boolean> = option("IPV6_MULTICAST_LOOP");

/**
 * Says whether the socket also hears IPv6 groups that only other sockets of this machine joined.
 *
 * On by default, which surprises sockets bound to "::".
 *
 * Linux. Linux net/ipv6/ipv6_sockglue.c.
 */
export const IPV6_MULTICAST_ALL: SocketOption<boolean> = option("IPV6_MULTICAST_ALL");

/**
 * Joins an IPv6 group on an interface.
 *
 * Name the interface: macOS refuses without, and elsewhere the choice is the system's. `joinGroup` is the comfortable
 * form.
 *
 * Linux, macOS, Windows. ipv6(7), RFC 3493.
 */
export const IPV6_JOIN_GROUP: WritableOption<GroupRequest> = option("IPV6_JOIN_GROUP");

/**
 * Leaves an IPv6 group that `IPV6_JOIN_GROUP` joined.
 *
 * With the same interface. Closing the socket leaves its groups too.
 *
 * Linux, macOS, Windows. ipv6(7), RFC 3493.
 */
export const IPV6_LEAVE_GROUP: WritableOption<GroupRequest> = option("IPV6_LEAVE_GROUP");

/**
 * Makes this machine answer to an anycast address while the socket is open.
 *
 * `group` is the anycast address. Needs CAP_NET_ADMIN.
 *
 * Linux. Linux net/ipv6/anycast.c.
 */
export const IPV6_JOIN_ANYCAST: WritableOption<GroupRequest> = option("IPV6_JOIN_ANYCAST");

/**
 * Gives back an anycast address that `IPV6_JOIN_ANYCAST` took.
 *
 * Linux. Linux net/ipv6/anycast.c.
 */
export const IPV6_LEAVE_ANYCAST: WritableOption<GroupRequest> = option("IPV6_LEAVE_ANYCAST");

/**
 * Delivers the destination address and the interface of received datagrams as a control message.
 *
 * A `UdpSocket` has it as the metadata "localAddr" and "interfaceIndex". Set it before bind(), so that no datagram
 * comes without. A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux, macOS, Windows (IPV6_PKTINFO). ipv6(7), RFC 3542.
 */
export const IPV6_RECVPKTINFO: SocketOption<boolean> = option("IPV6_RECVPKTINFO");

/**
 * Fixes source address and interface of what the socket sends: the 20 bytes of `struct in6_pktinfo`.
 *
 * All zeros undo it. Cannot be read.
 *
 * Linux, macOS. RFC 3542 section 6.
 */
export const IPV6_PKTINFO: WritableOption<Uint8Array<ArrayBuffer>> = option("IPV6_PKTINFO");

/**
 * Delivers the hop limit of received datagrams as a control message.
 *
 * A `UdpSocket` has it as the metadata "hopLimit". A socket of Deno receives no control messages: this is for sockets
 * whose messages are read with them.
 *
 * Linux, macOS, Windows (IPV6_HOPLIMIT). ipv6(7), RFC 3542.
 */
export const IPV6_RECVHOPLIMIT: SocketOption<boolean> = option("IPV6_RECVHOPLIMIT");

/**
 * Delivers the byte of DSCP and ECN of received datagrams as a control message.
 *
 * A `UdpSocket` has it as the metadata "dscp" and "ecn". A socket of Deno receives no control messages: this is for
 * sockets whose messages are read with them.
 *
 * Linux, macOS, Windows. RFC 3542.
 */
export const IPV6_RECVTCLASS: SocketOption<boolean> = option("IPV6_RECVTCLASS");

/**
 * Delivers the ECN bits of received datagrams as a control message.
 *
 * Linux and macOS have `IPV6_RECVTCLASS`. A socket of Deno receives no control messages: this is for sockets whose
 * messages are read with them.
 *
 * Windows. Microsoft Winsock, "IPPROTO_IPV6 socket options".
 */
export const IPV6_RECVECN: SocketOption<boolean> = option("IPV6_RECVECN");

/**
 * Queues errors of what was sent (ICMPv6 and local ones) on the error queue of the socket, with their cause.
 *
 * It also reports them on the next call, on sockets that are not connected too: an error about one peer can then fail
 * a send to another. Leave it off unless the error queue is read.
 *
 * Linux, Windows. ipv6(7).
 */
export const IPV6_RECVERR: SocketOption<boolean> = option("IPV6_RECVERR");

/**
 * Adds to queued errors where the extensions of the ICMPv6 message begin.
 *
 * Together with `IPV6_RECVERR`. Since Linux 5.9.
 *
 * Linux. Linux net/ipv6/ipv6_sockglue.c, RFC 4884.
 */
export const IPV6_RECVERR_RFC4884: SocketOption<boolean> = option("IPV6_RECVERR_RFC4884");

/**
 * Delivers the destination before redirection (TPROXY) as a control message.
 *
 * With `IPV6_TRANSPARENT`. A socket of Deno receives no control messages: this is for sockets whose messages are read
 * with them.
 *
 * Linux. Linux net/ipv6/ipv6_sockglue.c.
 */
export const IPV6_RECVORIGDSTADDR: SocketOption<boolean> = option("IPV6_RECVORIGDSTADDR");

/**
 * Delivers the size of the largest fragment of a datagram that came in fragments, as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux. Linux net/ipv6/ipv6_sockglue.c.
 */
export const IPV6_RECVFRAGSIZE: SocketOption<boolean> = option("IPV6_RECVFRAGSIZE");

/**
 * Delivers a control message when the path to a destination takes smaller packets than before.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux, macOS. RFC 3542 section 11.
 */
export const IPV6_RECVPATHMTU: SocketOption<boolean> = option("IPV6_RECVPATHMTU");

/**
 * Says how many bytes a packet may have on the path to the peer, as far as is known now.
 *
 * Needs a connected socket: before it fails with ENOTCONN.
 *
 * Linux, macOS. RFC 3542 section 11, RFC 8201.
 */
export const IPV6_PATHMTU: ReadableOption<number> = option("IPV6_PATHMTU");

/**
 * Forbids to fragment IPv6 datagrams here; larger ones than the path takes are not sent.
 *
 * With `IPV6_RECVPATHMTU` the socket is told.
 *
 * Linux, macOS, Windows. RFC 3542 section 11.
 */
export const IPV6_DONTFRAG: SocketOption<boolean> = option("IPV6_DONTFRAG");

/**
 * Says how packets larger than the path takes are treated: one of the `IP_PMTUDISC` constants.
 *
 * TCP and UDP begin with `IP_PMTUDISC_WANT` on Linux. IPv6 routers never fragment, so this is about this machine.
 *
 * Linux, Windows. ipv6(7), RFC 8201.
 */
export const IPV6_MTU_DISCOVER: SocketOption<number> = option("IPV6_MTU_DISCOVER");

/**
 * Says how many bytes a packet may have on the path to the peer, as far as is known now.
 *
 * Needs a connected socket: before it fails with ENOTCONN.
 *
 * Linux, Windows. ipv6(7), RFC 8201.
 */
export const IPV6_MTU: ReadableOption<number> = option("IPV6_MTU");

/**
 * Says when to send no packets above 1280 bytes, which every path takes: 1 always, 0 never, -1 (the default) for
 * multicast.
 *
 * macOS. RFC 3542 section 11.
 */
export const IPV6_USE_MIN_MTU: SocketOption<number> = option("IPV6_USE_MIN_MTU");

/**
 * Says at which byte of the payload of a raw socket the checksum is, which the kernel then fills in and checks; -1 is
 * none.
 *
 * An even number. ICMPv6 always has it, at 2, and there it cannot be set.
 *
 * Linux, macOS, Windows. raw(7), RFC 3542 section 3.1.
 */
export const IPV6_CHECKSUM: SocketOption<number> = option("IPV6_CHECKSUM");

/**
 * Says that the program writes the IPv6 header of what it sends itself.
 *
 * Linux, Windows. Linux net/ipv6/raw.c, Microsoft Winsock.
 */
export const IPV6_HDRINCL: SocketOption<boolean> = option("IPV6_HDRINCL");

/**
 * Sets the hop-by-hop options header of what the socket sends, its bytes as on the wire; empty for none.
 *
 * Needs CAP_NET_RAW on Linux. Many routers drop such packets.
 *
 * Linux, macOS, Windows. RFC 3542 section 8.
 */
export const IPV6_HOPOPTS: SocketOption<Uint8Array<ArrayBuffer>> = option("IPV6_HOPOPTS");

/**
 * Sets the destination options header of what the socket sends, its bytes as on the wire; empty for none.
 *
 * Needs CAP_NET_RAW on Linux.
 *
 * Linux, macOS. RFC 3542 section 9.
 */
export const IPV6_DSTOPTS: SocketOption<Uint8Array<ArrayBuffer>> = option("IPV6_DSTOPTS");

/**
 * Sets the destination options header that goes before a routing header, its bytes as on the wire; empty for none.
 *
 * Needs CAP_NET_RAW on Linux.
 *
 * Linux, macOS. RFC 3542 section 9.
 */
export const IPV6_RTHDRDSTOPTS: SocketOption<Uint8Array<ArrayBuffer>> = option("IPV6_RTHDRDSTOPTS");

/**
 * Sets the routing header of what the socket sends, its bytes as on the wire; empty for none.
 *
 * Linux takes type 2 (mobility) and 4 (segment routing); type 0 is gone (RFC 5095).
 *
 * Linux, macOS, Windows. RFC 3542 section 7.
 */
export const IPV6_RTHDR: SocketOption<Uint8Array<ArrayBuffer>> = option("IPV6_RTHDR");

/**
 * Sets the first router of what the socket sends: the bytes of a `struct sockaddr_in6`; empty for none.
 *
 * Privileged.
 *
 * macOS. RFC 3542 section 6.
 */
export const IPV6_NEXTHOP: SocketOption<Uint8Array<ArrayBuffer>> = option("IPV6_NEXTHOP");

/**
 * Delivers the hop-by-hop options of received datagrams as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux, macOS. RFC 3542 section 8.
 */
export const IPV6_RECVHOPOPTS: SocketOption<boolean> = option("IPV6_RECVHOPOPTS");

/**
 * Delivers the destination options of received datagrams as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux, macOS. RFC 3542 section 9.
 */
export const IPV6_RECVDSTOPTS: SocketOption<boolean> = option("IPV6_RECVDSTOPTS");

/**
 * Delivers the routing header of received datagrams as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux, macOS, Windows. RFC 3542 section 7.
 */
export const IPV6_RECVRTHDR: SocketOption<boolean> = option("IPV6_RECVRTHDR");

/**
 * Lets the socket have an IPv6 address that this machine does not have, or not yet.
 *
 * For bind() to such an address it is needed before. Needs no privilege; `IPV6_TRANSPARENT` is more.
 *
 * Linux. Linux net/ipv6/ipv6_sockglue.c.
 */
export const IPV6_FREEBIND: SocketOption<boolean> = option("IPV6_FREEBIND");

/**
 * Lets the socket have foreign IPv6 addresses, for transparent proxies.
 *
 * For bind() to a foreign address it is needed before. Needs CAP_NET_ADMIN or CAP_NET_RAW.
 *
 * Linux. Linux Documentation/networking/tproxy.rst.
 */
export const IPV6_TRANSPARENT: SocketOption<boolean> = option("IPV6_TRANSPARENT");

/**
 * Says whether packets get a flow label made from the addresses and ports of their flow.
 *
 * On by default on Linux (net.ipv6.auto_flowlabels). Routers share load by it.
 *
 * Linux, macOS. RFC 6437.
 */
export const IPV6_AUTOFLOWLABEL: SocketOption<boolean> = option("IPV6_AUTOFLOWLABEL");

/**
 * Takes, shares and gives back flow labels: the bytes of `struct in6_flowlabel_req`.
 *
 * To send with a label needs `IPV6_FLOWINFO_SEND`. Cannot be read.
 *
 * Linux. Linux include/uapi/linux/in6.h.
 */
export const IPV6_FLOWLABEL_MGR: WritableOption<Uint8Array<ArrayBuffer>> = option("IPV6_FLOWLABEL_MGR");

/**
 * Sends with the flow label of the destination address that the program gives.
 *
 * A label must first be taken by `IPV6_FLOWLABEL_MGR`; an address of Deno has none.
 *
 * Linux. Linux include/uapi/linux/in6.h.
 */
export const IPV6_FLOWINFO_SEND: SocketOption<boolean> = option("IPV6_FLOWINFO_SEND");

/**
 * Says which of its own addresses to prefer as source, by flags.
 *
 * 1 temporary, 2 public, 0x100 whichever is the default; 4 care-of, 0x400 home address. Reads back all the choices in
 * force (0x500 at first). Must be set before connect(), which chooses the address: later it throws. Without connect()
 * each send chooses anew.
 *
 * Linux. RFC 5014.
 */
export const IPV6_ADDR_PREFERENCES: SocketOption<number> = option("IPV6_ADDR_PREFERENCES");

/**
 * Says whether to prefer temporary source addresses: 1 yes, 0 no, -1 as the system does.
 *
 * Its job is done at connect() or at a send.
 *
 * macOS. Apple netinet6/in6.h.
 */
export const IPV6_PREFER_TEMPADDR: SocketOption<number> = option("IPV6_PREFER_TEMPADDR");

/**
 * Drops received IPv6 packets of TCP whose hop limit is below this.
 *
 * 255 lets only direct neighbours through; 0, the default, everybody. Sockets of IPv4 do not have it, they have
 * `IP_MINTTL`.
 *
 * Linux. Linux net/ipv6/ipv6_sockglue.c, RFC 5082.
 */
export const IPV6_MINHOPCOUNT: SocketOption<number> = option("IPV6_MINHOPCOUNT");

/**
 * Sets the interface that IPv6 packets leave by, by index; 0 lets the routes decide.
 *
 * Received packets may come in anywhere, other than with `SO_BINDTODEVICE`. On Linux it is for datagrams; on macOS and
 * Windows TCP heeds it too.
 *
 * Linux, macOS (IPV6_BOUND_IF), Windows. ipv6(7), Apple netinet6/in6.h, Microsoft Winsock.
 */
export const IPV6_UNICAST_IF: SocketOption<number> = option("IPV6_UNICAST_IF");

/**
 * Says from where the socket takes connections: 10 anywhere, 20 anywhere but through NAT traversal (Teredo), 30 the
 * local network.
 *
 * Does its job only before bind().
 *
 * Windows. Microsoft Winsock, "IPV6_PROTECTION_LEVEL".
 */
export const IPV6_PROTECTION_LEVEL: SocketOption<number> = option("IPV6_PROTECTION_LEVEL");

/**
 * Says where an IPv6 connection was going before netfilter redirected it here.
 *
 * Needs a connected socket, on Linux with connection tracking; ENOENT when nothing redirected it.
 *
 * Linux, Windows. Linux include/uapi/linux/netfilter_ipv6/ip6_tables.h.
 */
export const IP6T_SO_ORIGINAL_DST: ReadableOption<InetAddress> = option("IP6T_SO_ORIGINAL_DST");

/**
 * Lists the ICMPv6 types, 0 to 255, that a raw socket receives; all by default.
 *
 * Linux, macOS. RFC 3542 section 3.2.
 */
export const ICMP6_FILTER: SocketOption<readonly number[]> = option("ICMP6_FILTER");
