// Addresses: text to bytes and back, as strict as inet_pton, and struct sockaddr of this system.
// Families that are neither IP nor unix: sockaddr_families.ts. Which interface a zone names: netif.ts. Structs other than addresses: codec.ts. Host names: getaddrinfo.ts.
import { integer, object, port, shown, text } from "./argument.ts";
import { constant, type ConstantName } from "./constants.ts";
import { hexDigit } from "./hardware_addr.ts";
import { LAYOUT } from "./layout.ts";
import { interfaceIndexOf } from "./netif.ts";
import type { OperatingSystem } from "./os.ts";
import { encodeLink, type LinkAddress, type LinkFamily, readLink, showLink } from "./sockaddr_families.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** An IPv4 or IPv6 address and port, as the kernel has it: IPv4 on a dual-stack socket shows as "::ffff:1.2.3.4", zones as "fe80::1%2". */
export interface InetAddress {
  /** Tag. */
  readonly family: "inet" | "inet6";
  /** Literal address; a zone belongs to it, so that `{ hostname, port }` alone always suffices to answer. */
  readonly hostname: string;
  /** Port. */
  readonly port: number;
  /** IPv6 flow label (the traffic class above its 20 bits, where the kernel has one), absent when 0. */
  readonly flowInfo?: number;
}

/** An address as the kernel gave it. */
export type KernelAddress =
  | InetAddress
  | { readonly family: "unix"; readonly path: string; readonly bytes?: Bytes }
  | LinkAddress
  | { readonly family: number; readonly bytes: Bytes };

/** Room for an address of any family. */
export const SOCKADDR_MAX = 128;

/** Bytes of "192.0.2.1": four decimal numbers, no octal, nothing else; null when it is no such address. */
export function parseIpv4(text: string): Bytes | null {
  return putIpv4(text, 0, text.length, IPV4, 0) ? IPV4.slice() : null;
}

/** Bytes of "2001:db8::1" or "::ffff:192.0.2.1", without a zone; null when it is no such address. */
export function parseIpv6(text: string): Bytes | null {
  return putIpv6(text, text.length, IPV6) ? IPV6.slice() : null;
}

/** An IP address taken apart: its bytes, 4 or 16, and what stands after "%". */
export interface IpAddress {
  readonly bytes: Bytes;
  readonly zone: string | null;
}

/** Takes a literal IP address apart; null when it is none. Only IPv6 addresses have zones. */
export function parseIp(text: string): IpAddress | null {
  if (!takeApart(text)) return null;
  return { bytes: found.bytes.slice(), zone: found.zone };
}

// Parsed by hand into memory that is made once: every datagram to an address passes here, regular expressions take ten
// times as long, and a new array alone half a microsecond.
const IPV4 = new Uint8Array(4);
const IPV6 = new Uint8Array(16);
/** What takeApart() found, until its next call. */
const found: { bytes: Bytes; zone: string | null } = { bytes: IPV4, zone: null };

function takeApart(text: string): boolean {
  found.zone = null;
  if (putIpv4(text, 0, text.length, IPV4, 0)) {
    found.bytes = IPV4;
    return true;
  }
  const percent = text.indexOf("%");
  const end = percent < 0 ? text.length : percent;
  if (percent === text.length - 1 || !putIpv6(text, end, IPV6)) return false;
  found.bytes = IPV6;
  if (percent >= 0) found.zone = text.slice(percent + 1);
  return true;
}

/** Writes the IPv4 address that a part of a text is; false when it is none, and then what was written means nothing. */
function putIpv4(text: string, start: number, end: number, into: Bytes, at: number): boolean {
  if (end - start > 15) return false;
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let i = start; i <= end; i++) {
    const code = i < end ? text.charCodeAt(i) : DOT;
    if (code === DOT) {
      if (digits === 0 || part === 4) return false;
      into[at + part++] = value;
      digits = value = 0;
      continue;
    }
    if (code < 0x30 || code > 0x39 || (digits > 0 && value === 0)) return false;
    value = value * 10 + code - 0x30;
    digits++;
    if (value > 255) return false;
  }
  return part === 4;
}

/** Writes the IPv6 address that a text is up to its zone; false when it is none, and then what was written means nothing. */
function putIpv6(text: string, end: number, into: Bytes): boolean {
  if (end < 2 || end > 45) return false;
  let at = 0;
  let gap = -1;
  let i = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    gap = 0;
    i = 2;
  }
  while (i < end) {
    const start = i;
    let group = 0;
    for (let digit; i < end && (digit = hexDigit(text.charCodeAt(i))) >= 0; i++) group = group << 4 | digit;
    if (i < end && text.charCodeAt(i) === DOT) {
      // An IPv4 address may stand at the very end.
      if (at > 12 || !putIpv4(text, start, end, into, at)) return false;
      at += 4;
      break;
    }
    if (i === start || i - start > 4 || at === 16) return false;
    into[at++] = group >> 8;
    into[at++] = group;
    if (i === end) break;
    if (text.charCodeAt(i++) !== COLON || i === end) return false;
    if (text.charCodeAt(i) !== COLON) continue;
    if (gap >= 0) return false;
    gap = at;
    i++;
  }
  if (gap < 0) return at === 16;
  if (at === 16) return false;
  const rest = 16 - (at - gap);
  into.copyWithin(rest, gap, at).fill(0, gap, rest);
  return true;
}

const COLON = 0x3a;
const DOT = 0x2e;

/** Text of the four bytes at an offset. */
function formatIpv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** Text of an IP address, 4 or 16 bytes, as inet_ntop writes it. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return formatIpv4(bytes, 0);
  if (bytes.length !== 16) {
    throw new RangeError(`Cannot format an IP address: it has ${bytes.length} bytes, it must have 4 or 16`);
  }
  const group = (i: number) => bytes[2 * i]! << 8 | bytes[2 * i + 1]!;
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && group(i + run) === 0) run++;
    if (run > length) [start, length] = [i, run];
  }
  // inet_ntop writes the last 32 bits as IPv4 after ::, ::ffff: and nothing else.
  const embedded = start === 0 && (length === 6 || (length === 5 && group(5) === 0xffff));
  let text = "";
  for (let i = 0; i < (embedded ? 6 : 8); i++) {
    if (i === start) {
      text += "::";
      i += length - 1;
      continue;
    }
    text += (text === "" || text.endsWith("::") ? "" : ":") + group(i).toString(16);
  }
  if (!embedded) return text;
  return text + (text.endsWith(":") ? "" : ":") + formatIp(bytes.subarray(12));
}

/** Whether 16 bytes are an IPv4 address in IPv6's clothes (::ffff:0:0/96). */
export function isMapped(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((b) => b === 0);
}

/** Whether all bytes are zero: the wildcard. */
export function isUnspecified(bytes: Uint8Array): boolean {
  return bytes.every((b) => b === 0);
}

/** Whether 4 or 16 bytes are a multicast group. */
export function isGroup(bytes: Uint8Array): boolean {
  return bytes.length === 4 ? (bytes[0]! & 0xf0) === 0xe0 : bytes[0] === 0xff;
}

/** Writes struct sockaddr_in or sockaddr_in6 at an offset; 4 bytes of address make the first, 16 the second. */
export function writeInet(
  into: Bytes,
  offset: number,
  os: OperatingSystem,
  address: Uint8Array,
  port: number,
  scope = 0,
  flowInfo = 0,
): number {
  const view = new DataView(into.buffer, into.byteOffset + offset);
  if (address.length === 4) {
    const { size, fields } = LAYOUT.sockaddr_in[os];
    writeFamily(view, os, size, constant("AF_INET", os));
    view.setUint16(fields.sin_port[0], port);
    into.set(address, offset + fields.sin_addr[0]);
    return size;
  }
  const { size, fields } = LAYOUT.sockaddr_in6[os];
  writeFamily(view, os, size, constant("AF_INET6", os));
  view.setUint16(fields.sin6_port[0], port);
  view.setUint32(fields.sin6_flowinfo[0], flowInfo);
  into.set(address, offset + fields.sin6_addr[0]);
  view.setUint32(fields.sin6_scope_id[0], scope, true);
  return size;
}

function writeFamily(view: DataView, os: OperatingSystem, size: number, family: number): void {
  if (os !== "darwin") return view.setUint16(0, family, true);
  // The BSDs begin with a length byte; left unset it has broken binds.
  view.setUint8(0, size);
  view.setUint8(1, family);
}

/** The family number that a sockaddr begins with. */
export function familyOf(bytes: Uint8Array, os: OperatingSystem): number {
  return os === "darwin" ? bytes[1]! : bytes[0]! | bytes[1]! << 8;
}

/** The address part of a sockaddr_in or sockaddr_in6, a view; null for other families. */
export function ipOf(bytes: Bytes, os: OperatingSystem): Bytes | null {
  const family = familyOf(bytes, os);
  if (family === constant("AF_INET", os)) {
    const at = LAYOUT.sockaddr_in[os].fields.sin_addr[0];
    return bytes.subarray(at, at + 4);
  }
  if (family === constant("AF_INET6", os)) {
    const at = LAYOUT.sockaddr_in6[os].fields.sin6_addr[0];
    return bytes.subarray(at, at + 16);
  }
  return null;
}

/**
 * Puts a port into a sockaddr_in or sockaddr_in6 that has port 0. The kernel keeps no other sign that a raw or ping socket
 * is connected: of one that was connected to port 0, getpeername(2) says that it has no peer.
 */
export function fillPort(bytes: Bytes, os: OperatingSystem, port: number): void {
  const at = LAYOUT.sockaddr_in[os].fields.sin_port[0];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (ipOf(bytes, os) !== null && view.getUint16(at) === 0) view.setUint16(at, port);
}

/**
 * Whether an own address says that the socket is not bound.
 *
 * @param raw Whether it is a raw IP socket: those have no ports, the kernel gives their protocol there.
 */
export function isUnbound(address: KernelAddress, raw: boolean): boolean {
  if (typeof address.family === "number") return false;
  switch (address.family) {
    case "inet":
    case "inet6": {
      const { hostname, port } = address as InetAddress;
      return raw ? hostname === "0.0.0.0" || hostname === "::" : port === 0;
    }
    case "unix":
      return (address as { path: string }).path === "";
    case "packet":
      return address.interface === 0 && address.protocol === 0;
    case "vsock":
      return address.port < 0;
    case "netlink":
      return address.pid === 0;
    case "bluetooth":
      return false;
  }
}

/** A family of addresses, under its name in the public types. */
export type FamilyName = "inet" | "inet6" | "unix" | LinkFamily;

/** The number of each family. */
export const FAMILIES = {
  inet: "AF_INET",
  inet6: "AF_INET6",
  unix: "AF_UNIX",
  packet: "AF_PACKET",
  vsock: "AF_VSOCK",
  netlink: "AF_NETLINK",
  bluetooth: "AF_BLUETOOTH",
} as const satisfies Record<FamilyName, ConstantName>;

/** What `transport` may say beside an address of a family, as `Deno.Addr` has it. */
const TRANSPORTS: Readonly<Record<FamilyName, readonly string[]>> = {
  inet: ["tcp", "udp"],
  inet6: ["tcp", "udp"],
  unix: ["unix", "unixpacket"],
  packet: [],
  vsock: ["vsock"],
  netlink: [],
  bluetooth: [],
};
/** How an address is written, for messages. */
const EXAMPLES: Readonly<Record<FamilyName, string>> = {
  inet: '{ hostname: "192.0.2.1", port: 80 }',
  inet6: '{ hostname: "2001:db8::1", port: 80 }',
  unix: '{ path: "/run/a.socket" }',
  packet: '{ interface: "eth0", protocol: 0x0800 }',
  vsock: "{ cid: 2, port: 1234 }",
  netlink: "{ pid: 0, groups: 1 }",
  bluetooth: '{ protocol: "l2cap", address: "00:1A:7D:DA:71:13", channel: 25 }',
};

/** The largest `sin6_flowinfo` that the kernel looks at: the flow label in the lower 20 bits, the traffic class above. */
const FLOW_INFO_MAX = 0xfffffff;
/** The largest `sin6_scope_id`. */
const SCOPE_MAX = 0xffffffff;

/**
 * The sockaddr of an address that a user gave, of exact length. Literal addresses only; nothing in it is ignored.
 *
 * - inet: an IPv4 literal. inet6: an IPv6 literal, or an IPv4 one, which becomes "::ffff:1.2.3.4"; a zone by name or by
 *   number ("fe80::1%eth0", "fe80::1%2"), on link-local addresses alone, as the kernel looks at no other; `flowInfo`.
 * - unix: a path (with its NUL, where there is room), an abstract name (from NUL to the end), or "", which asks Linux to
 *   choose a name. `bytes` wins over `path`.
 * - packet, vsock, netlink, bluetooth: as their types in sockaddr_families.ts say.
 *
 * A `Deno.Addr` of the right kind will do. `family`, if given, must be the socket's; "inet" is right also for an IPv4
 * address that an inet6 socket is given.
 *
 * @param family The family of the socket.
 * @param address As the user gave it.
 * @param doing The beginning of messages: `Cannot bind`.
 * @param os Whose sockaddr.
 * @param own The protocol of the socket, where it is a packet or Bluetooth one; ethertypes in host order.
 */
export function encodeAddress(
  family: FamilyName,
  address: unknown,
  doing: string,
  os: OperatingSystem,
  own = 0,
): Bytes {
  const given = object(address, `${doing}: the address`, `an object such as ${EXAMPLES[family]}`);
  const transport = given.transport;
  if (transport !== undefined && !TRANSPORTS[family].includes(transport as string)) {
    const wanted = TRANSPORTS[family].map((one) => `"${one}"`).join(" or ") || "absent";
    throw new TypeError(`${doing}: the transport of the address is ${shown(transport)}, it must be ${wanted}`);
  }
  if (family === "inet" || family === "inet6") return encodeInet(family, given, doing, os);
  if (given.family !== undefined && given.family !== family) throw otherFamily(given.family, family, doing);
  if (family === "unix") return encodeUnix(given, doing, os);
  const bytes = encodeLink(family, given, own, doing, os);
  writeFamily(new DataView(bytes.buffer), os, bytes.byteLength, constant(FAMILIES[family], os));
  return bytes;
}

function encodeInet(
  family: "inet" | "inet6",
  given: Readonly<Record<string, unknown>>,
  doing: string,
  os: OperatingSystem,
): Bytes {
  // All fields are read before the text is taken apart: a getter may call this function.
  const { family: tag, flowInfo: flow } = given;
  const number = given.port === undefined ? 0 : port(given.port, `${doing}: the port`);
  const hostname = text(given.hostname, `${doing}: the hostname`, "a literal IP address");
  if (!takeApart(hostname)) {
    const kind = family === "inet" ? "a literal IPv4 address" : "a literal IPv6 or IPv4 address";
    throw new SyntaxError(
      `${doing}: the hostname is ${shown(hostname)}, it must be ${kind}; resolveAddress() gives those of a host name`,
    );
  }
  const ipv4 = found.bytes === IPV4;
  if (family === "inet" && !ipv4) {
    throw new TypeError(
      `${doing}: the hostname is ${
        shown(hostname)
      }, an IPv6 address; on a socket of family "inet" it must be an IPv4 address`,
    );
  }
  if (tag !== undefined && tag !== family && !(tag === "inet" && ipv4)) throw otherFamily(tag, family, doing);
  const flowInfo = flow === undefined ? 0 : integer(flow, `${doing}: flowInfo`, 0, FLOW_INFO_MAX);
  if (flowInfo !== 0 && ipv4) {
    throw new TypeError(`${doing}: flowInfo is ${flowInfo}, it must be absent or 0 beside an IPv4 address`);
  }
  if (family === "inet") {
    const bytes = new Uint8Array(LAYOUT.sockaddr_in[os].size);
    writeInet(bytes, 0, os, IPV4, number);
    return bytes;
  }
  if (ipv4) {
    IPV6.fill(0, 0, 10).fill(0xff, 10, 12);
    IPV6.set(IPV4, 12);
  }
  const { zone } = found;
  const bytes = new Uint8Array(LAYOUT.sockaddr_in6[os].size);
  writeInet(bytes, 0, os, IPV6, number, 0, flowInfo);
  if (zone !== null) {
    // Looking a name up takes addresses apart too: this one is in its place by now.
    const scope = scopeOf(hostname, zone, IPV6, doing);
    new DataView(bytes.buffer).setUint32(LAYOUT.sockaddr_in6[os].fields.sin6_scope_id[0], scope, true);
  }
  return bytes;
}

function otherFamily(tag: unknown, family: string, doing: string): TypeError {
  return new TypeError(
    `${doing}: the family of the address is ${shown(tag)}, it must be that of the socket, "${family}"`,
  );
}

/** Whether the kernel looks at the zone of an IPv6 address: fe80::/10, and groups of one interface or one link. */
export function isLinkScoped(bytes: Uint8Array): boolean {
  if (bytes.length !== 16) return false;
  if (bytes[0] === 0xfe) return (bytes[1]! & 0xc0) === 0x80;
  const reach = bytes[1]! & 0x0f;
  return bytes[0] === 0xff && (reach === 1 || reach === 2);
}

/** The index that a zone means. A number is the index itself, as the kernel's own addresses have it, whatever interfaces are called. */
function scopeOf(hostname: string, zone: string, ip: Bytes, doing: string): number {
  if (!isLinkScoped(ip)) {
    const remedy = isGroup(ip) ? "; IPV6_MULTICAST_IF chooses the interface of other groups" : "";
    throw new TypeError(
      `${doing}: the hostname is ${shown(hostname)}, it must be without a zone: ` +
        `the system ignores the zone of an address that is not link-local${remedy}`,
    );
  }
  if (!/^[0-9]+$/.test(zone)) {
    if (parseIp(zone) === null) return interfaceIndexOf(zone, doing);
  } else if (!zone.startsWith("0") && Number(zone) <= SCOPE_MAX) {
    return Number(zone);
  }
  throw new SyntaxError(
    `${doing}: the hostname is ${shown(hostname)}, its zone must be the name or the index of an interface`,
  );
}

const encoder = new TextEncoder();

function encodeUnix(given: Readonly<Record<string, unknown>>, doing: string, os: OperatingSystem): Bytes {
  const path = unixPath(given, doing);
  const { size, fields } = LAYOUT.sockaddr_un[os];
  const [start, , room] = fields.sun_path;
  const named = path.length > 0 && path[0] !== 0;
  if (!named && os !== "linux") {
    const what = path.length === 0
      ? 'the path is "", and choosing a name'
      : "the path begins with NUL, and an abstract name";
    throw new Deno.errors.NotSupported(`${doing}: ${what} is Linux's alone`);
  }
  if (named && path.includes(0)) {
    throw new TypeError(
      `${doing}: the path has a NUL in it, it must have none; only abstract names, which begin with NUL, have more`,
    );
  }
  // Linux takes a path that fills the field, without its NUL; elsewhere there must be room for it.
  const most = os === "linux" ? room : room - 1;
  if (path.length > most) {
    const what = named ? "path" : "abstract name";
    const counted = named ? "" : ", its first NUL included";
    throw new RangeError(`${doing}: the ${what} has ${path.length} bytes, it must have at most ${most}${counted}`);
  }
  const length = Math.min(size, start + path.length + (named ? 1 : 0));
  const bytes = new Uint8Array(length);
  writeFamily(new DataView(bytes.buffer), os, length, constant("AF_UNIX", os));
  bytes.set(path, start);
  return bytes;
}

/** What sun_path is to have: the bytes, or the path as UTF-8. */
function unixPath(given: Readonly<Record<string, unknown>>, doing: string): Uint8Array {
  const bytes = given.bytes;
  if (bytes !== undefined) {
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(`${doing}: the bytes of the path are ${shown(bytes)}, they must be a Uint8Array`);
    }
    // Memory that was taken away looks empty, and empty means: choose a name.
    if (bytes.buffer instanceof ArrayBuffer && bytes.buffer.detached) {
      throw new TypeError(`${doing}: the bytes of the path are detached, they must be there`);
    }
    // A copy: shared memory could change under the checks.
    return new Uint8Array(bytes);
  }
  const path = text(given.path, `${doing}: the path`, "text");
  if (!path.isWellFormed()) {
    throw new TypeError(
      `${doing}: the path has half of a surrogate pair, it must be well-formed; bytes say what text cannot`,
    );
  }
  return encoder.encode(path);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });

/** Reads a sockaddr, as many bytes of it as the kernel gave. */
export function readSockaddr(bytes: Bytes, os: OperatingSystem): KernelAddress {
  const family = bytes.byteLength < 2 ? constant("AF_UNSPEC", os) : familyOf(bytes, os);
  if (family === constant("AF_INET", os) && bytes.byteLength >= LAYOUT.sockaddr_in[os].size) {
    // No view, no copy: of the thousands of addresses that are listed at a time, most are of this family.
    const { sin_addr: [address], sin_port: [port] } = LAYOUT.sockaddr_in[os].fields;
    return { family: "inet", hostname: formatIpv4(bytes, address), port: bytes[port]! << 8 | bytes[port + 1]! };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (family === constant("AF_INET6", os) && bytes.byteLength >= LAYOUT.sockaddr_in6[os].size) {
    const { fields } = LAYOUT.sockaddr_in6[os];
    const scope = view.getUint32(fields.sin6_scope_id[0], true);
    const flowInfo = view.getUint32(fields.sin6_flowinfo[0]);
    const hostname = formatIp(ipOf(bytes, os)!) + (scope === 0 ? "" : `%${scope}`);
    const port = view.getUint16(fields.sin6_port[0]);
    return flowInfo === 0 ? { family: "inet6", hostname, port } : { family: "inet6", hostname, port, flowInfo };
  }
  if (family === constant("AF_UNIX", os)) return readUnix(bytes, os);
  return readLink(bytes, view, family, os) ?? { family, bytes: bytes.slice() };
}

function readUnix(bytes: Bytes, os: OperatingSystem): KernelAddress {
  let path = bytes.subarray(LAYOUT.sockaddr_un[os].fields.sun_path[0]);
  // A path ends at its NUL, if the kernel gave one; an abstract name begins with NUL and has no end but the length.
  if (path[0] !== 0) {
    const end = path.indexOf(0);
    if (end >= 0) path = path.subarray(0, end);
  } else if (os !== "linux") {
    path = path.subarray(0, 0);
  }
  try {
    return { family: "unix", path: utf8.decode(path) };
  } catch {
    return { family: "unix", path: lossy.decode(path), bytes: path.slice() };
  }
}

/** An address as messages show it. */
export function showAddress(address: KernelAddress): string {
  if (address.family === "inet") return `${address.hostname}:${address.port}`;
  if (address.family === "inet6") return `[${address.hostname}]:${address.port}`;
  if (typeof address.family === "number") return `an address of family ${address.family}`;
  if (address.family !== "unix") return showLink(address as LinkAddress);
  return address.path === ""
    ? "(unnamed)"
    : JSON.stringify(address.path).replace(/^"\\u0000(.*)"$/, '"@$1" (abstract)');
}
