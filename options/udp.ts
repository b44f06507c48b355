// The options of IPPROTO_UDP and of UDP-Lite, one constant a row of internal/sockopt.ts.
// Buffers, broadcast and timestamps are in socket.ts, hop limits in ip.ts and ipv6.ts; sending and receiving: udp/.
import { option, type SocketOption } from "./option.ts";

/**
 * Splits every send into datagrams of so many bytes, the last one shorter (GSO); 0 is off.
 *
 * Up to 65535, and so much that a datagram fits the path; one send makes at most 64 or, on newer kernels, 128. It acts
 * on every later send of the socket: `sendBatch` of a `UdpSocket` gives the size with each train instead.
 *
 * Linux, Windows (UDP_SEND_MSG_SIZE). udp(7).
 *
 * @example One send, three datagrams
 * ```ts
 * import { UDP_SEGMENT } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * const receiver = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
 * const sender = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
 *
 * if (Deno.build.os === "linux") {
 *   UDP_SEGMENT.set(sender, 4);
 *   await sender.send(new TextEncoder().encode("abcdefghij"), receiver.addr);
 *   const lengths = [];
 *   for (let i = 0; i < 3; i++) lengths.push((await receiver.receive())[0].byteLength);
 *   assertEquals(lengths, [4, 4, 2]);
 * }
 * sender.close();
 * receiver.close();
 * ```
 */
export const UDP_SEGMENT: SocketOption<number> = option("UDP_SEGMENT");

/**
 * Receives several datagrams of one sender and size merged, with that size in a control message.
 *
 * Without reading it nobody knows where one ends: a socket of Deno would see one large datagram. Refused on
 * `UdpSocket`, which takes `gro` at bind and cuts them. On Windows it sets the largest merged size.
 *
 * Linux, Windows (UDP_RECV_MAX_COALESCED_SIZE). udp(7).
 */
export const UDP_GRO: SocketOption<boolean> = option("UDP_GRO");

/**
 * Gathers what is sent into one datagram, which goes out when this is turned off.
 *
 * Linux. udp(7).
 */
export const UDP_CORK: SocketOption<boolean> = option("UDP_CORK");

/**
 * Takes encapsulated packets out of the datagrams in the kernel: 2 is IPsec (ESP) in UDP, 3 L2TP, 0 none.
 *
 * For daemons that set up the tunnel; other kinds are the kernel's own.
 *
 * Linux. udp(7), RFC 3948.
 */
export const UDP_ENCAP: SocketOption<number> = option("UDP_ENCAP");

/**
 * Sends UDP datagrams of IPv6 without a checksum.
 *
 * Only tunnels may do so. IPv4 has `SO_NO_CHECK`.
 *
 * Linux. Linux include/uapi/linux/udp.h, RFC 6935.
 */
export const UDP_NO_CHECK6_TX: SocketOption<boolean> = option("UDP_NO_CHECK6_TX");

/**
 * Accepts UDP datagrams of IPv6 that have no checksum; else they are dropped.
 *
 * Only tunnels may do so.
 *
 * Linux. Linux include/uapi/linux/udp.h, RFC 6935.
 */
export const UDP_NO_CHECK6_RX: SocketOption<boolean> = option("UDP_NO_CHECK6_RX");

/**
 * Sets how many bytes of what is sent the checksum covers, the header of 8 included; 0 is all.
 *
 * 1 to 7 read back as 8, more than 65535 as 65535. A receiver may refuse little coverage.
 *
 * Linux. udplite(7), RFC 3828.
 */
export const UDPLITE_SEND_CSCOV: SocketOption<number> = option("UDPLITE_SEND_CSCOV");

/**
 * Drops what arrives with a checksum over fewer bytes, the header of 8 included; 0 takes full coverage alone.
 *
 * Until it is set, every coverage is taken. 1 to 7 read back as 8, more than 65535 as 65535.
 *
 * Linux. udplite(7), RFC 3828.
 */
export const UDPLITE_RECV_CSCOV: SocketOption<number> = option("UDPLITE_RECV_CSCOV");
