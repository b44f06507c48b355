// The options of Bluetooth sockets, one constant a row of internal/sockopt.ts: those of all, then those of single protocols.
// None was set on a Bluetooth socket so far: the kernel of the tests has none. Numbers and structs are compared with BlueZ's headers.
import type { BluetoothSecurity, HciFilter } from "../internal/values.ts";
import { option, type ReadableOption, type SocketOption } from "./option.ts";

/**
 * Sets what a connection must have: authentication and encryption, by level.
 *
 * l2cap, rfcomm, sco. On a connected l2cap socket a higher level is asked for at once.
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_SECURITY: SocketOption<BluetoothSecurity> = option("BT_SECURITY");

/**
 * Lets a listener see who connects before it answers: the first receive on the accepted socket completes it.
 *
 * l2cap, rfcomm, sco. While the socket is bound or listens.
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_DEFER_SETUP: SocketOption<boolean> = option("BT_DEFER_SETUP");

/**
 * Allows data to be given up when they cannot be delivered in time.
 *
 * l2cap.
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_FLUSHABLE: SocketOption<boolean> = option("BT_FLUSHABLE");

/**
 * Wakes a link out of its sleep before it sends; on by default.
 *
 * l2cap.
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_POWER: SocketOption<boolean> = option("BT_POWER");

/**
 * Chooses the radio that a channel may use: BT_CHANNEL_POLICY_BREDR_ONLY 0, BREDR_PREFERRED 1, AMP_PREFERRED 2.
 *
 * l2cap.
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_CHANNEL_POLICY: SocketOption<number> = option("BT_CHANNEL_POLICY");

/**
 * Sets how voice is coded on the air: BT_VOICE_TRANSPARENT 0x0003, BT_VOICE_CVSD_16BIT 0x0060.
 *
 * sco.
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_VOICE: SocketOption<number> = option("BT_VOICE");

/**
 * Says how long the messages are that can be sent, in bytes.
 *
 * l2cap over Low Energy, sco.
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_SNDMTU: ReadableOption<number> = option("BT_SNDMTU");

/**
 * Sets how long the messages are that can be received, in bytes.
 *
 * l2cap over Low Energy.
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_RCVMTU: SocketOption<number> = option("BT_RCVMTU");

/**
 * Tells the radio modes of the connection, as a mask of BT_PHY_*.
 *
 * l2cap, sco; ENOTCONN before connect().
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_PHY: ReadableOption<number> = option("BT_PHY");

/**
 * Chooses the mode of a channel: BT_MODE_BASIC 0, ERTM 1, STREAMING 2, LE_FLOWCTL 3, EXT_FLOWCTL 4.
 *
 * l2cap, before connect() or listen().
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_MODE: SocketOption<number> = option("BT_MODE");

/**
 * Delivers the state of each received packet, erroneous or lost, as a control message.
 *
 * sco. It comes as `other`, of level 274 (SOL_BLUETOOTH) and type 3. A socket of Deno receives no control messages: this
 * is for sockets whose messages are read with them.
 *
 * Linux. Linux include/net/bluetooth/bluetooth.h. Not run so far.
 */
export const BT_PKT_STATUS: SocketOption<boolean> = option("BT_PKT_STATUS");

/**
 * Sets sizes, mode and checks of a channel: the bytes of `struct l2cap_options`.
 *
 * l2cap, before connect() or listen(). BT_RCVMTU and BT_MODE set the same by one.
 *
 * Linux. BlueZ bluetooth/l2cap.h. Not run so far.
 */
export const L2CAP_OPTIONS: SocketOption<Uint8Array<ArrayBuffer>> = option("L2CAP_OPTIONS");

/**
 * Sets the link mode, as a mask of L2CAP_LM_*: who is central, and what BT_SECURITY says by words.
 *
 * l2cap.
 *
 * Linux. BlueZ bluetooth/l2cap.h. Not run so far.
 */
export const L2CAP_LM: SocketOption<number> = option("L2CAP_LM");

/**
 * Sets the link mode, as a mask of RFCOMM_LM_*: who is central, and what BT_SECURITY says by words.
 *
 * rfcomm.
 *
 * Linux. BlueZ bluetooth/rfcomm.h. Not run so far.
 */
export const RFCOMM_LM: SocketOption<number> = option("RFCOMM_LM");

/**
 * Says how long the packets of a connection are, in bytes: `struct sco_options`.
 *
 * sco, once connected.
 *
 * Linux. BlueZ bluetooth/sco.h. Not run so far.
 */
export const SCO_OPTIONS: ReadableOption<number> = option("SCO_OPTIONS");

/**
 * Chooses which packets of a device the socket receives, by type, event and command.
 *
 * hci, on HCI_CHANNEL_RAW. Without `CAP_NET_RAW` the kernel takes out what is not for everyone.
 *
 * Linux. BlueZ bluetooth/hci.h. Not run so far.
 */
export const HCI_FILTER: SocketOption<HciFilter> = option("HCI_FILTER");

/**
 * Delivers the direction of each packet, from or to the device, as a control message.
 *
 * hci, on HCI_CHANNEL_RAW. It comes as `other`, of level 0 (SOL_HCI) and type 1. A socket of Deno receives no control
 * messages: this is for sockets whose messages are read with them.
 *
 * Linux. BlueZ bluetooth/hci.h. Not run so far.
 */
export const HCI_DATA_DIR: SocketOption<boolean> = option("HCI_DATA_DIR");

/**
 * Delivers the time of each packet as a control message.
 *
 * hci, on HCI_CHANNEL_RAW. It comes as `other`, of level 0 (SOL_HCI) and type 2. A socket of Deno receives no control
 * messages: this is for sockets whose messages are read with them.
 *
 * Linux. BlueZ bluetooth/hci.h. Not run so far.
 */
export const HCI_TIME_STAMP: SocketOption<boolean> = option("HCI_TIME_STAMP");
