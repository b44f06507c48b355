// The options of SOL_NETLINK, one constant a row of internal/sockopt.ts.
// Buffers (SO_RCVBUF), filters and credentials, which netlink sockets have as well, are in socket.ts.
import { option, type ReadableOption, type SocketOption, type WritableOption } from "./option.ts";

/**
 * Joins a multicast group of the protocol, by its number: of protocol route, RTNLGRP_LINK 1, RTNLGRP_IPV4_IFADDR 5, ...
 *
 * The mask of an address (`groups` at bind) reaches the groups 1 to 32 alone. A socket that was neither bound nor sent from
 * has no port, and hears nothing of its groups until it has. Some groups need `CAP_NET_ADMIN`. Joining again changes
 * nothing.
 *
 * Linux. netlink(7).
 */
export const NETLINK_ADD_MEMBERSHIP: WritableOption<number> = option("NETLINK_ADD_MEMBERSHIP");

/**
 * Leaves a multicast group of the protocol.
 *
 * Leaving one that was not joined changes nothing.
 *
 * Linux. netlink(7).
 */
export const NETLINK_DROP_MEMBERSHIP: WritableOption<number> = option("NETLINK_DROP_MEMBERSHIP");

/**
 * Lists the multicast groups that the socket has joined, by their numbers.
 *
 * Since Linux 4.2.
 *
 * Linux. netlink(7).
 */
export const NETLINK_LIST_MEMBERSHIPS: ReadableOption<readonly number[]> = option("NETLINK_LIST_MEMBERSHIPS");

/**
 * Delivers the number of the group that a message came to as a control message.
 *
 * It comes as `other`, of level 270 (SOL_NETLINK) and type 3: an unsigned 32-bit number, 0 for what was sent to the socket
 * alone. A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux. netlink(7).
 */
export const NETLINK_PKTINFO: SocketOption<boolean> = option("NETLINK_PKTINFO");

/**
 * Lets the sender of a message to a group see that this socket had no room for it.
 *
 * Of use to those whose messages programs send, not the kernel.
 *
 * Linux. netlink(7).
 */
export const NETLINK_BROADCAST_ERROR: SocketOption<boolean> = option("NETLINK_BROADCAST_ERROR");

/**
 * Keeps ENOBUFS away: messages that find no room are lost without a word.
 *
 * Without it a receive fails with ENOBUFS once messages were lost, and goes on after.
 *
 * Linux. netlink(7).
 */
export const NETLINK_NO_ENOBUFS: SocketOption<boolean> = option("NETLINK_NO_ENOBUFS");

/**
 * Hears the groups of all network namespaces that have an id in the socket's own.
 *
 * Needs `CAP_NET_BROADCAST`. The id comes as a control message (`other`, of level 270 and type 8).
 *
 * Linux. netlink(7).
 */
export const NETLINK_LISTEN_ALL_NSID: SocketOption<boolean> = option("NETLINK_LISTEN_ALL_NSID");

/**
 * Leaves the request out of acknowledgements that say that it failed, all but its header.
 *
 * Since Linux 4.3.
 *
 * Linux. netlink(7).
 */
export const NETLINK_CAP_ACK: SocketOption<boolean> = option("NETLINK_CAP_ACK");

/**
 * Lets acknowledgements say more: what was wrong in words, and where in the request.
 *
 * As attributes behind the acknowledgement, whose NLM_F_ACK_TLVS says that they are there. Since Linux 4.12.
 *
 * Linux. netlink(7).
 */
export const NETLINK_EXT_ACK: SocketOption<boolean> = option("NETLINK_EXT_ACK");

/**
 * Checks dump requests strictly: fields and attributes that would be ignored are refused, the others filter what comes.
 *
 * Since Linux 4.20. Of protocol route.
 *
 * Linux. Linux net/netlink/af_netlink.c.
 */
export const NETLINK_GET_STRICT_CHK: SocketOption<boolean> = option("NETLINK_GET_STRICT_CHK");
