// Addresses of packet, vsock, netlink and Bluetooth sockets: as people write them, to struct sockaddr and back.
// IP and unix addresses, and the door to all of them: sockaddr.ts. Sizes and offsets: layout.ts.
import { integer, shown } from "./argument.ts";
import { constant, type ConstantName } from "./constants.ts";
import { formatHardware, HARDWARE_MAX, parseHardware } from "./hardware_addr.ts";
import { LAYOUT, type StructLayout } from "./layout.ts";
import { interfaceIndexOf } from "./netif.ts";
import { type OperatingSystem, OS_NAME } from "./os.ts";
import type { InterfaceSelector } from "./values.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Given = Readonly<Record<string, unknown>>;

/** A link-layer address: `struct sockaddr_ll`. Linux. */
export interface PacketAddress {
  /** Tag. */
  readonly family: "packet";
  /** Interface by name, index or one of its addresses; what is received has the index. 0 is every one. */
  readonly interface: InterfaceSelector;
  /** Ethertype in host order, such as 0x0800; 3 is all. Left out: that of the socket. */
  readonly protocol?: number;
  /**
   * Hardware address in lower-case hexadecimal, "02:00:5e:10:00:00". Where a socket of type dgram sends to; left out there
   * it is all zeros, which is right on the loopback interface alone. bind() does not look at it.
   */
  readonly address?: string;
  /** On receive: to whom it was. Not looked at otherwise; an own address has "host". */
  readonly packetType?: "host" | "broadcast" | "multicast" | "otherHost" | "outgoing";
}

/** A vsock address: `struct sockaddr_vm`. Linux. */
export interface VsockAddress {
  /** Tag. */
  readonly family: "vsock";
  /** Context id: 2 is the host, 1 this machine itself; -1 is any. */
  readonly cid: number;
  /** Port, of 32 bits; -1 is any. */
  readonly port: number;
}

/** A netlink address: `struct sockaddr_nl`. Linux. */
export interface NetlinkAddress {
  /** Tag. */
  readonly family: "netlink";
  /** Port id; 0 is the kernel, and at bind one of the kernel's choice. */
  readonly pid: number;
  /** Mask of the groups 1 to 32, absent for none; `NETLINK_ADD_MEMBERSHIP` joins those beyond. */
  readonly groups?: number;
}

/** A Bluetooth address: `struct sockaddr_l2`, `sockaddr_rc`, `sockaddr_hci` or `sockaddr_sco`. Linux. */
export interface BluetoothAddress {
  /** Tag. */
  readonly family: "bluetooth";
  /** Which of the four shapes; that of the socket. */
  readonly protocol: "l2cap" | "rfcomm" | "hci" | "sco";
  /** Device address, "00:1A:7D:DA:71:13", upper-case as BlueZ writes it; absent for hci. Left out: any, all zeros. */
  readonly address?: string;
  /** PSM of l2cap, channel of rfcomm (1 to 30), device number of hci (65,535 is none). Left out: 0. Absent for sco. */
  readonly channel?: number;
  /** Of l2cap: the kind of `address`; absent is "bredr". */
  readonly addressType?: "bredr" | "lePublic" | "leRandom";
  /** Of l2cap: fixed channel id, absent when 0. */
  readonly cid?: number;
  /** Of hci: HCI_CHANNEL_USER 1, _MONITOR 2, _CONTROL 3, _LOGGING 4; absent is HCI_CHANNEL_RAW. */
  readonly hciChannel?: number;
}

/** An address of one of these families. */
export type LinkAddress = PacketAddress | VsockAddress | NetlinkAddress | BluetoothAddress;

/** One of these families. */
export type LinkFamily = LinkAddress["family"];

const MAX_UINT = 0xffffffff;
const BLUETOOTH_LENGTH = 6;
/** Bytes of the hardware addresses that most interfaces have. */
const ETHERNET = 6;

const PACKET_TYPES: Readonly<Record<NonNullable<PacketAddress["packetType"]>, ConstantName>> = {
  host: "PACKET_HOST",
  broadcast: "PACKET_BROADCAST",
  multicast: "PACKET_MULTICAST",
  otherHost: "PACKET_OTHERHOST",
  outgoing: "PACKET_OUTGOING",
};
const AF_PACKET = constant("AF_PACKET", "linux");
/** By number, from 0. */
const PACKET_TYPE = (Object.keys(PACKET_TYPES) as (keyof typeof PACKET_TYPES)[]).sort((a, b) =>
  constant(PACKET_TYPES[a], "linux") - constant(PACKET_TYPES[b], "linux")
);

const ADDRESS_TYPES = ["bredr", "lePublic", "leRandom"] as const satisfies readonly BluetoothAddress["addressType"][];

/** The numbers of the Bluetooth protocols. */
export const BLUETOOTH_PROTOCOLS = {
  l2cap: "BTPROTO_L2CAP",
  hci: "BTPROTO_HCI",
  sco: "BTPROTO_SCO",
  rfcomm: "BTPROTO_RFCOMM",
} as const satisfies Record<BluetoothAddress["protocol"], ConstantName>;

/** The struct of each Bluetooth protocol; no two have the same length, which is all that tells them apart. */
const SHAPES = {
  l2cap: LAYOUT.sockaddr_l2.linux,
  rfcomm: LAYOUT.sockaddr_rc.linux,
  hci: LAYOUT.sockaddr_hci.linux,
  sco: LAYOUT.sockaddr_sco.linux,
} as const satisfies Record<BluetoothAddress["protocol"], StructLayout>;

/**
 * Writes an address of one of these families, all but its family number.
 *
 * @param own The protocol of the socket: the ethertype that a packet address has when it names none, the shape that a
 * Bluetooth address must have.
 * @param doing The beginning of messages: `Cannot bind`.
 */
export function encodeLink(
  family: LinkFamily,
  given: Given,
  own: number,
  doing: string,
  os: OperatingSystem,
): Bytes {
  if (os !== "linux" && (family !== "vsock" || os !== "darwin")) {
    throw new Deno.errors.NotSupported(`${doing}: there are no ${family} sockets on ${OS_NAME}`);
  }
  switch (family) {
    case "packet":
      return encodePacket(given, own, doing);
    case "vsock":
      return encodeVsock(given, doing, os as "linux" | "darwin");
    case "netlink":
      return encodeNetlink(given, doing);
    case "bluetooth":
      return encodeBluetooth(given, own, doing);
  }
}

function encodePacket(given: Given, own: number, doing: string): Bytes {
  const { interface: selector, protocol, address, packetType } = given;
  if (selector === undefined) {
    throw new TypeError(
      `${doing}: the interface is undefined, it must be a name, an index or an address, or 0 for every one`,
    );
  }
  // The index of a packet that came is given back as it is: looking each up would take longer than sending.
  const index = typeof selector === "number"
    ? integer(selector, `${doing}: the interface`, 0, 2 ** 31 - 1)
    : interfaceIndexOf(selector as string, doing);
  const type = protocol === undefined ? own : integer(protocol, `${doing}: the protocol`, 0, 0xffff);
  if (packetType !== undefined && !Object.hasOwn(PACKET_TYPES, packetType as string)) {
    throw new TypeError(
      `${doing}: packetType is ${shown(packetType)}, it must be one of ${Object.keys(PACKET_TYPES).join(", ")}`,
    );
  }
  const hardware = address === undefined
    ? new Uint8Array()
    : parseHardware(address, `${doing}: the address`, 1, HARDWARE_MAX);
  const { size, fields } = LAYOUT.sockaddr_ll.linux;
  // Longer addresses than the struct has room for go beyond it.
  const bytes = new Uint8Array(Math.max(size, fields.sll_addr[0] + hardware.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(fields.sll_protocol[0], type);
  view.setInt32(fields.sll_ifindex[0], index, true);
  bytes[fields.sll_pkttype[0]] = packetType === undefined
    ? 0
    : constant(PACKET_TYPES[packetType as keyof typeof PACKET_TYPES], "linux");
  bytes[fields.sll_halen[0]] = hardware.length;
  bytes.set(hardware, fields.sll_addr[0]);
  return bytes;
}

/** A number of 32 bits, or -1 for all ones. */
function orAny(value: unknown, what: string): number {
  return integer(value, what, -1, MAX_UINT) >>> 0;
}

function encodeVsock(given: Given, doing: string, os: "linux" | "darwin"): Bytes {
  const { cid, port } = given;
  const { size, fields } = LAYOUT.sockaddr_vm[os];
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(fields.svm_cid[0], orAny(cid, `${doing}: the cid`), true);
  view.setUint32(fields.svm_port[0], port === undefined ? MAX_UINT : orAny(port, `${doing}: the port`), true);
  return bytes;
}

function encodeNetlink(given: Given, doing: string): Bytes {
  const { pid, groups } = given;
  const { size, fields } = LAYOUT.sockaddr_nl.linux;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(fields.nl_pid[0], integer(pid, `${doing}: the pid`, 0, MAX_UINT), true);
  const mask = groups === undefined ? 0 : integer(groups, `${doing}: groups`, 0, MAX_UINT);
  view.setUint32(fields.nl_groups[0], mask, true);
  return bytes;
}

function encodeBluetooth(given: Given, own: number, doing: string): Bytes {
  const { protocol, address, channel, addressType, cid, hciChannel } = given;
  if (typeof protocol !== "string" || !Object.hasOwn(SHAPES, protocol)) {
    const words = Object.keys(SHAPES).map((word) => `"${word}"`).join(", ");
    throw new TypeError(`${doing}: the protocol of the address is ${shown(protocol)}, it must be one of ${words}`);
  }
  const shape = protocol as BluetoothAddress["protocol"];
  if (constant(BLUETOOTH_PROTOCOLS[shape], "linux") !== own) {
    throw new TypeError(`${doing}: the protocol of the address is "${shape}", it must be that of the socket`);
  }
  const no = (value: unknown, field: string) => {
    if (value === undefined) return;
    throw new TypeError(`${doing}: ${field} is ${shown(value)}, it must be absent in an address of "${shape}"`);
  };
  if (shape === "hci") no(address, "the address");
  else no(hciChannel, "hciChannel");
  if (shape === "sco") no(channel, "the channel");
  if (shape !== "l2cap") {
    no(addressType, "addressType");
    no(cid, "cid");
  }
  const bytes = new Uint8Array(SHAPES[shape].size);
  const view = new DataView(bytes.buffer);
  const number = channel === undefined
    ? 0
    : integer(channel, `${doing}: the channel`, 0, shape === "rfcomm" ? 0xff : 0xffff);
  // The lowest byte of a device address comes first.
  const device = address === undefined
    ? new Uint8Array()
    : parseHardware(address, `${doing}: the address`, BLUETOOTH_LENGTH, BLUETOOTH_LENGTH).reverse();
  switch (shape) {
    case "l2cap": {
      const { fields } = SHAPES.l2cap;
      const type = addressType === undefined ? 0 : ADDRESS_TYPES.indexOf(addressType as "bredr");
      if (type < 0) {
        throw new TypeError(
          `${doing}: addressType is ${shown(addressType)}, it must be one of ${ADDRESS_TYPES.join(", ")}`,
        );
      }
      view.setUint16(fields.l2_psm[0], number, true);
      bytes.set(device, fields.l2_bdaddr[0]);
      view.setUint16(fields.l2_cid[0], cid === undefined ? 0 : integer(cid, `${doing}: cid`, 0, 0xffff), true);
      bytes[fields.l2_bdaddr_type[0]] = type;
      return bytes;
    }
    case "rfcomm":
      bytes.set(device, SHAPES.rfcomm.fields.rc_bdaddr[0]);
      bytes[SHAPES.rfcomm.fields.rc_channel[0]] = number;
      return bytes;
    case "sco":
      bytes.set(device, SHAPES.sco.fields.sco_bdaddr[0]);
      return bytes;
    case "hci": {
      const { fields } = SHAPES.hci;
      view.setUint16(fields.hci_dev[0], number, true);
      const which = hciChannel === undefined ? 0 : integer(hciChannel, `${doing}: hciChannel`, 0, 0xffff);
      view.setUint16(fields.hci_channel[0], which, true);
      return bytes;
    }
  }
}

/**
 * Reads an address of one of these families; null for another one, and where there are too few bytes.
 *
 * @param view The same bytes: making another view of them would take as long as all the rest.
 */
export function readLink(bytes: Bytes, view: DataView, family: number, os: OperatingSystem): LinkAddress | null {
  if (os === "linux" && family === AF_PACKET) return readPacket(bytes, view);
  if (os === "windows") return null;
  if (family === constant("AF_VSOCK", os)) return readVsock(view, os);
  if (os !== "linux") return null;
  if (family === constant("AF_NETLINK", os)) return readNetlink(view);
  return family === constant("AF_BLUETOOTH", os) ? readBluetooth(bytes, view) : null;
}

function readPacket(bytes: Bytes, view: DataView): PacketAddress | null {
  const { fields } = LAYOUT.sockaddr_ll.linux;
  const from = fields.sll_addr[0];
  if (bytes.byteLength < from) return null;
  const length = bytes[fields.sll_halen[0]]!;
  if (length > HARDWARE_MAX || from + length > bytes.byteLength) return null;
  const packetType = PACKET_TYPE[bytes[fields.sll_pkttype[0]]!];
  // Without spreading: every packet passes here.
  const address: { -readonly [K in keyof PacketAddress]: PacketAddress[K] } = {
    family: "packet",
    interface: view.getInt32(fields.sll_ifindex[0], true),
    protocol: view.getUint16(fields.sll_protocol[0]),
  };
  if (length === ETHERNET) address.address = ethernet(bytes, view, from);
  else if (length > 0) address.address = formatHardware(bytes.subarray(from, from + length));
  if (packetType !== undefined) address.packetType = packetType;
  return address;
}

/** The text of the last sender's address: packets mostly come many in a row from one. */
let lastText = "00:00:00:00:00:00";
let lastHigh = 0;
let lastLow = 0;

function ethernet(bytes: Bytes, view: DataView, from: number): string {
  const high = view.getUint32(from);
  const low = view.getUint16(from + 4);
  if (high !== lastHigh || low !== lastLow) {
    [lastHigh, lastLow] = [high, low];
    lastText = formatHardware(bytes.subarray(from, from + ETHERNET));
  }
  return lastText;
}

function readVsock(view: DataView, os: "linux" | "darwin"): VsockAddress | null {
  const { size, fields } = LAYOUT.sockaddr_vm[os];
  if (view.byteLength < size) return null;
  const any = (offset: number) => {
    const value = view.getUint32(offset, true);
    return value === MAX_UINT ? -1 : value;
  };
  return { family: "vsock", cid: any(fields.svm_cid[0]), port: any(fields.svm_port[0]) };
}

function readNetlink(view: DataView): NetlinkAddress | null {
  const { size, fields } = LAYOUT.sockaddr_nl.linux;
  if (view.byteLength < size) return null;
  const pid = view.getUint32(fields.nl_pid[0], true);
  const groups = view.getUint32(fields.nl_groups[0], true);
  return groups === 0 ? { family: "netlink", pid } : { family: "netlink", pid, groups };
}

function readBluetooth(bytes: Bytes, view: DataView): BluetoothAddress | null {
  const device = (offset: number) =>
    formatHardware(bytes.slice(offset, offset + BLUETOOTH_LENGTH).reverse()).toUpperCase();
  switch (bytes.byteLength) {
    case SHAPES.l2cap.size: {
      const { fields } = SHAPES.l2cap;
      const type = bytes[fields.l2_bdaddr_type[0]]!;
      const addressType = ADDRESS_TYPES[type];
      if (addressType === undefined) return null;
      const cid = view.getUint16(fields.l2_cid[0], true);
      return {
        family: "bluetooth",
        protocol: "l2cap",
        address: device(fields.l2_bdaddr[0]),
        channel: view.getUint16(fields.l2_psm[0], true),
        ...(type === 0 ? {} : { addressType }),
        ...(cid === 0 ? {} : { cid }),
      };
    }
    case SHAPES.rfcomm.size: {
      const { fields } = SHAPES.rfcomm;
      const channel = bytes[fields.rc_channel[0]]!;
      return { family: "bluetooth", protocol: "rfcomm", address: device(fields.rc_bdaddr[0]), channel };
    }
    case SHAPES.hci.size: {
      const { fields } = SHAPES.hci;
      const hciChannel = view.getUint16(fields.hci_channel[0], true);
      return {
        family: "bluetooth",
        protocol: "hci",
        channel: view.getUint16(fields.hci_dev[0], true),
        ...(hciChannel === 0 ? {} : { hciChannel }),
      };
    }
    case SHAPES.sco.size:
      return { family: "bluetooth", protocol: "sco", address: device(SHAPES.sco.fields.sco_bdaddr[0]) };
    default:
      return null;
  }
}

/** An address of these families as messages show it. */
export function showLink(address: LinkAddress): string {
  switch (address.family) {
    case "packet": {
      const ethertype = `0x${(address.protocol ?? 0).toString(16).padStart(4, "0")}`;
      const hardware = address.address === undefined ? "" : ` ${address.address}`;
      return `interface ${address.interface} ${ethertype}${hardware}`;
    }
    case "vsock":
      return `${address.cid < 0 ? "any" : address.cid}:${address.port < 0 ? "any" : address.port}`;
    case "netlink":
      return `pid ${address.pid}${address.groups === undefined ? "" : ` groups 0x${address.groups.toString(16)}`}`;
    case "bluetooth": {
      const { protocol, address: device, channel } = address;
      return [protocol, device, channel].filter((part) => part !== undefined).join(" ");
    }
  }
}
