// The options of SOL_PACKET, one constant a row of internal/sockopt.ts.
// Filters (SO_ATTACH_FILTER) are in socket.ts; opening a packet socket: socket/.
import type { FilterProgram, PacketFanout, PacketMembership, PacketStatistics } from "../internal/values.ts";
import { option, type ReadableOption, type SocketOption, type WritableOption } from "./option.ts";

/**
 * Makes an interface hear more than what is meant for it: all ("promiscuous"), all groups, or one hardware address.
 *
 * Counted by the kernel: each needs its own `PACKET_DROP_MEMBERSHIP`, and closing the socket ends them all.
 *
 * Linux. packet(7).
 */
export const PACKET_ADD_MEMBERSHIP: WritableOption<PacketMembership> = option("PACKET_ADD_MEMBERSHIP");

/**
 * Ends what `PACKET_ADD_MEMBERSHIP` began.
 *
 * With the same value; one that was never begun the kernel passes over without an error.
 *
 * Linux. packet(7).
 */
export const PACKET_DROP_MEMBERSHIP: WritableOption<PacketMembership> = option("PACKET_DROP_MEMBERSHIP");

/**
 * Says how many packets came and how many were lost since the last reading.
 *
 * Reading starts both counts anew. `packets` includes the lost ones.
 *
 * Linux. packet(7).
 */
export const PACKET_STATISTICS: ReadableOption<PacketStatistics> = option("PACKET_STATISTICS");

/**
 * Delivers true length, VLAN tag and status of received packets as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux. packet(7).
 */
export const PACKET_AUXDATA: SocketOption<boolean> = option("PACKET_AUXDATA");

/**
 * Tells the interface that a packet truly came in on, not the bond or bridge above it, in its address.
 *
 * Linux. Linux net/packet/af_packet.c.
 */
export const PACKET_ORIGDEV: SocketOption<boolean> = option("PACKET_ORIGDEV");

/**
 * Puts a `struct virtio_net_hdr` before each packet, received and sent, which tells of checksums and segments left to
 * do.
 *
 * For sockets of type raw; not once a ring is there.
 *
 * Linux. Linux net/packet/af_packet.c.
 */
export const PACKET_VNET_HDR: SocketOption<boolean> = option("PACKET_VNET_HDR");

/**
 * Chooses the clock of the timestamps in the packet ring: flags SOF_TIMESTAMPING_*, 0 for software.
 *
 * Linux. packet(7), Linux Documentation/networking/timestamping.rst.
 */
export const PACKET_TIMESTAMP: SocketOption<number> = option("PACKET_TIMESTAMP");

/**
 * Shares the packets among all packet sockets of a group, by flow, in turn, by processor or otherwise.
 *
 * After bind() and while the interface is up: before it fails with EINVAL. All of a group need the same mode, and a
 * socket stays in its group.
 *
 * Linux. packet(7).
 */
export const PACKET_FANOUT: SocketOption<PacketFanout> = option("PACKET_FANOUT");

/**
 * Sends past the queue discipline of the interface, straight to its driver.
 *
 * Faster, but nothing waits: what the driver cannot take is dropped.
 *
 * Linux. packet(7).
 */
export const PACKET_QDISC_BYPASS: SocketOption<boolean> = option("PACKET_QDISC_BYPASS");

/**
 * Reads how often packets went to another socket of the group: the bytes of `struct tpacket_rollover_stats`.
 *
 * In a group of mode "rollover" alone, else EINVAL.
 *
 * Linux. Linux include/uapi/linux/if_packet.h.
 */
export const PACKET_ROLLOVER_STATS: ReadableOption<Uint8Array<ArrayBuffer>> = option("PACKET_ROLLOVER_STATS");

/**
 * Gives a group of mode "cbpf" the program that chooses the socket.
 *
 * After `PACKET_FANOUT`. Cannot be read.
 *
 * Linux. Linux net/packet/af_packet.c.
 */
export const PACKET_FANOUT_DATA: WritableOption<FilterProgram> = option("PACKET_FANOUT_DATA");

/**
 * Receives only what comes in, not what this machine sends.
 *
 * Since Linux 4.20.
 *
 * Linux. Linux net/packet/af_packet.c.
 */
export const PACKET_IGNORE_OUTGOING: SocketOption<boolean> = option("PACKET_IGNORE_OUTGOING");

/**
 * Sets the size of the header that `PACKET_VNET_HDR` puts before packets: 10, 12 (with the count of buffers), or 0 for
 * none.
 *
 * Since Linux 6.6. For sockets of type raw.
 *
 * Linux. Linux net/packet/af_packet.c.
 */
export const PACKET_VNET_HDR_SZ: SocketOption<number> = option("PACKET_VNET_HDR_SZ");
