// Messages of rtnetlink as bytes: questions, answers, and the table of interfaces that comes of them (rtnetlink(7)).
// Who asks and listens: rtnetlink.ts. Nothing that is read here is believed further than the bytes that came.
import { constant } from "./constants.ts";
import { formatHardware } from "./hardware_addr.ts";
import { LAYOUT } from "./layout.ts";
import type { InterfaceAddress, NetworkInterface } from "./netif.ts";
import { formatIp } from "./sockaddr.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const HEADER = LAYOUT.nlmsghdr.linux;
const LINK = LAYOUT.ifinfomsg.linux;
const ADDRESS = LAYOUT.ifaddrmsg.linux;
const ROUTE = LAYOUT.rtmsg.linux;
const ATTRIBUTE = LAYOUT.nlattr.linux;

const number = (name: Parameters<typeof constant>[0]) => constant(name, "linux");
const DONE = number("NLMSG_DONE");
const ERROR = number("NLMSG_ERROR");
const NEW_LINK = number("RTM_NEWLINK");
const DELETED_LINK = number("RTM_DELLINK");
const NEW_ADDRESS = number("RTM_NEWADDR");
const DELETED_ADDRESS = number("RTM_DELADDR");
const TYPE_MASK = number("NLA_TYPE_MASK") & 0xffff;

/** Messages and attributes begin at multiples of this. */
const ALIGNED = 4;

/** A message of netlink; `bytes` is what follows its header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** That of the question it answers; 0 for what the kernel tells by itself. */
  readonly sequence: number;
  readonly bytes: Bytes;
}

/** The next multiple of the alignment. */
function aligned(length: number): number {
  return length + ALIGNED - 1 & -ALIGNED;
}

function viewOf(bytes: Bytes): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The messages of one datagram. What is cut short, or says that it is longer than what came, ends them. */
export function* readMessages(datagram: Bytes): Generator<NetlinkMessage> {
  const view = viewOf(datagram);
  const { nlmsg_len, nlmsg_type, nlmsg_flags, nlmsg_seq } = HEADER.fields;
  for (let at = 0; at + HEADER.size <= datagram.byteLength;) {
    const length = view.getUint32(at + nlmsg_len[0], true);
    if (length < HEADER.size || length > datagram.byteLength - at) return;
    yield {
      type: view.getUint16(at + nlmsg_type[0], true),
      flags: view.getUint16(at + nlmsg_flags[0], true),
      sequence: view.getUint32(at + nlmsg_seq[0], true),
      bytes: datagram.subarray(at + HEADER.size, at + length),
    };
    at += aligned(length);
  }
}

/** The attributes behind a struct, by type; of two of one type the last. */
function attributes(bytes: Bytes, start: number): Map<number, Bytes> {
  const found = new Map<number, Bytes>();
  const view = viewOf(bytes);
  const { nla_len, nla_type } = ATTRIBUTE.fields;
  for (let at = aligned(start); at + ATTRIBUTE.size <= bytes.byteLength;) {
    const length = view.getUint16(at + nla_len[0], true);
    if (length < ATTRIBUTE.size || length > bytes.byteLength - at) break;
    found.set(view.getUint16(at + nla_type[0], true) & TYPE_MASK, bytes.subarray(at + ATTRIBUTE.size, at + length));
    at += aligned(length);
  }
  return found;
}

/** Whether a message ends the answer to a question; the error number it tells, 0 for none. */
export function endOf({ type, bytes }: NetlinkMessage): number | null {
  if (type !== DONE && type !== ERROR) return null;
  return bytes.byteLength < 4 ? 0 : Math.abs(viewOf(bytes).getInt32(0, true));
}

function question(type: number, flags: number, sequence: number, bodySize: number): Bytes {
  const bytes = new Uint8Array(HEADER.size + bodySize);
  const view = viewOf(bytes);
  view.setUint32(HEADER.fields.nlmsg_len[0], bytes.byteLength, true);
  view.setUint16(HEADER.fields.nlmsg_type[0], type, true);
  view.setUint16(HEADER.fields.nlmsg_flags[0], flags | number("NLM_F_REQUEST"), true);
  view.setUint32(HEADER.fields.nlmsg_seq[0], sequence, true);
  return bytes;
}

/** Asks for all links, or all addresses. */
export function listQuestion(what: "links" | "addresses", sequence: number): Bytes {
  const links = what === "links";
  const type = number(links ? "RTM_GETLINK" : "RTM_GETADDR");
  return question(type, number("NLM_F_DUMP"), sequence, links ? LINK.size : ADDRESS.size);
}

/** Asks by which route an address, 4 or 16 bytes, is reached. */
export function routeQuestion(address: Bytes, sequence: number): Bytes {
  const attribute = ATTRIBUTE.size + address.byteLength;
  const bytes = question(number("RTM_GETROUTE"), 0, sequence, ROUTE.size + attribute);
  const view = viewOf(bytes);
  const family = address.byteLength === 4 ? "AF_INET" : "AF_INET6";
  view.setUint8(HEADER.size + ROUTE.fields.rtm_family[0], number(family));
  view.setUint8(HEADER.size + ROUTE.fields.rtm_dst_len[0], 8 * address.byteLength);
  const at = HEADER.size + ROUTE.size;
  view.setUint16(at + ATTRIBUTE.fields.nla_len[0], attribute, true);
  view.setUint16(at + ATTRIBUTE.fields.nla_type[0], number("RTA_DST"), true);
  bytes.set(address, at + ATTRIBUTE.size);
  return bytes;
}

/** The index of the interface that a route leads out by; null when the message is no such route. */
export function readRoute({ type, bytes }: NetlinkMessage): number | null {
  if (type !== number("RTM_NEWROUTE") || bytes.byteLength < ROUTE.size) return null;
  const out = attributes(bytes, ROUTE.size).get(number("RTA_OIF"));
  return out?.byteLength === 4 ? viewOf(out).getInt32(0, true) : null;
}

/** A change of a network interface. */
export interface InterfaceChange {
  /** What happened. */
  readonly kind: "added" | "removed" | "changed";
  /** The interface, as it is or was. */
  readonly interface: NetworkInterface;
}

/** An interface as its messages tell of it. */
interface Known {
  name: string;
  mtu: number;
  flags: number;
  hardware: string | null;
  /** By family, addresses and prefix: what tells one from another to the kernel. */
  readonly addresses: Map<string, InterfaceAddress>;
  /** As it was told last. */
  shown: NetworkInterface | null;
}

/** The network interfaces, kept by the messages of the kernel. */
export class InterfaceTable {
  readonly #known = new Map<number, Known>();

  /** All of them, in the order in which they were told of. */
  list(): NetworkInterface[] {
    return Array.from(this.#known.values(), ({ shown }) => shown).filter((shown) => shown !== null);
  }

  /** Takes a message; null when it changes nothing that is told. */
  apply({ type, bytes }: NetlinkMessage): InterfaceChange | null {
    switch (type) {
      case NEW_LINK:
      case DELETED_LINK:
        return this.#link(bytes, type === DELETED_LINK);
      case NEW_ADDRESS:
      case DELETED_ADDRESS:
        return this.#address(bytes, type === DELETED_ADDRESS);
      default:
        return null;
    }
  }

  #link(bytes: Bytes, deleted: boolean): InterfaceChange | null {
    if (bytes.byteLength < LINK.size) return null;
    const view = viewOf(bytes);
    const index = view.getInt32(LINK.fields.ifi_index[0], true);
    // A bridge tells of its ports in the same words: one that leaves the bridge is not gone.
    if (view.getUint8(LINK.fields.ifi_family[0]) !== number("AF_UNSPEC") || index <= 0) return null;
    const before = this.#known.get(index);
    if (deleted) {
      if (before === undefined) return null;
      this.#known.delete(index);
      return before.shown && { kind: "removed", interface: before.shown };
    }
    const told = attributes(bytes, LINK.size);
    const name = told.get(number("IFLA_IFNAME"));
    const mtu = told.get(number("IFLA_MTU"));
    const hardware = told.get(number("IFLA_ADDRESS"));
    // Not every message says everything.
    const known: Known = before ??
      { name: "", mtu: 0, flags: 0, hardware: null, addresses: new Map<string, InterfaceAddress>(), shown: null };
    known.flags = view.getUint32(LINK.fields.ifi_flags[0], true);
    if (name !== undefined) known.name = textOf(name);
    if (mtu?.byteLength === 4) known.mtu = viewOf(mtu).getUint32(0, true);
    if (hardware !== undefined) known.hardware = hardware.some((byte) => byte !== 0) ? formatHardware(hardware) : null;
    if (known.name === "") return null;
    this.#known.set(index, known);
    return this.#told(index, known);
  }

  #address(bytes: Bytes, deleted: boolean): InterfaceChange | null {
    if (bytes.byteLength < ADDRESS.size) return null;
    const view = viewOf(bytes);
    const index = view.getUint32(ADDRESS.fields.ifa_index[0], true);
    const family = view.getUint8(ADDRESS.fields.ifa_family[0]);
    const size = family === number("AF_INET") ? 4 : family === number("AF_INET6") ? 16 : 0;
    const known = this.#known.get(index);
    if (known === undefined || size === 0) return null;
    const told = attributes(bytes, ADDRESS.size);
    const of = (name: "IFA_LOCAL" | "IFA_ADDRESS" | "IFA_BROADCAST") => {
      const value = told.get(number(name));
      return value?.byteLength === size ? value : undefined;
    };
    // On a link of two ends IFA_ADDRESS is the other one.
    const peer = of("IFA_ADDRESS");
    const own = of("IFA_LOCAL") ?? peer;
    if (own === undefined) return null;
    const prefix = Math.min(view.getUint8(ADDRESS.fields.ifa_prefixlen[0]), 8 * size);
    const key = `${formatIp(own)} ${formatIp(peer ?? own)} ${prefix}`;
    if (deleted) {
      if (!known.addresses.delete(key)) return null;
    } else {
      const broadcast = size === 4 ? of("IFA_BROADCAST") : undefined;
      known.addresses.set(key, {
        family: size === 4 ? "inet" : "inet6",
        hostname: formatIp(own) + (isLinkLocal(own) ? `%${index}` : ""),
        prefix,
        ...(broadcast === undefined ? {} : { broadcast: formatIp(broadcast) }),
      });
    }
    return this.#told(index, known);
  }

  #told(index: number, known: Known): InterfaceChange | null {
    const { name, mtu, flags, hardware, addresses, shown: before } = known;
    const has = (flag: "IFF_LOOPBACK" | "IFF_MULTICAST" | "IFF_BROADCAST") => (flags & number(flag)) !== 0;
    const up = number("IFF_UP") | number("IFF_RUNNING");
    const shown: NetworkInterface = {
      name,
      index,
      mtu,
      up: (flags & up) === up,
      loopback: has("IFF_LOOPBACK"),
      multicast: has("IFF_MULTICAST"),
      broadcast: has("IFF_BROADCAST"),
      ...(hardware === null ? {} : { hardwareAddr: hardware }),
      addresses: [...addresses.values()],
    };
    if (before !== null && same(before, shown)) return null;
    known.shown = shown;
    return { kind: before === null ? "added" : "changed", interface: shown };
  }
}

/** Whether two pictures of an interface are the same. */
function same(one: NetworkInterface, other: NetworkInterface): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** What became of the interfaces between two lists. */
export function changesBetween(
  before: readonly NetworkInterface[],
  after: readonly NetworkInterface[],
): InterfaceChange[] {
  // Without FFI an index may not be known.
  const keyOf = ({ index, name }: NetworkInterface) => index || name;
  const then = new Map(before.map((one) => [keyOf(one), one]));
  const now = new Set(after.map(keyOf));
  const changes: InterfaceChange[] = before.filter((one) => !now.has(keyOf(one)))
    .map((one) => ({ kind: "removed", interface: one }));
  for (const one of after) {
    const was = then.get(keyOf(one));
    if (was === undefined) changes.push({ kind: "added", interface: one });
    else if (!same(was, one)) changes.push({ kind: "changed", interface: one });
  }
  return changes;
}

function isLinkLocal(ip: Bytes): boolean {
  return ip.byteLength === 16 && ip[0] === 0xfe && (ip[1]! & 0xc0) === 0x80;
}

const decoder = new TextDecoder();

/** Text up to its NUL. */
function textOf(bytes: Bytes): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
