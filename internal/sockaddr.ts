// Addresses: text to bytes and back, as strict as inet_pton, and struct sockaddr of this system.
// Which interface a zone names: netif.ts. Structs other than addresses: codec.ts.
import { constant } from "./constants.ts";
import { LAYOUT } from "./layout.ts";
import type { OperatingSystem } from "./os.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** An IPv4 or IPv6 address and port, as the kernel has it: IPv4 on a dual-stack socket shows as "::ffff:1.2.3.4", zones as "fe80::1%2". */
export interface InetAddress {
  /** Tag. */
  readonly family: "inet" | "inet6";
  /** Literal address; a zone belongs to it, so that `{ hostname, port }` alone always suffices to answer. */
  readonly hostname: string;
  /** Port. */
  readonly port: number;
  /** IPv6 flow label, absent when 0. */
  readonly flowInfo?: number;
}

/** An address as the kernel gave it. */
export type KernelAddress =
  | InetAddress
  | { readonly family: "unix"; readonly path: string; readonly bytes?: Bytes }
  | { readonly family: number; readonly bytes: Bytes };

/** Room for an address of any family. */
export const SOCKADDR_MAX = 128;

const HEXADECIMAL = /^[0-9a-fA-F]{1,4}$/;

/** Bytes of "192.0.2.1": four decimal numbers, no octal, nothing else; null when it is no such address. */
export function parseIpv4(text: string): Bytes | null {
  // By hand, as every connection and datagram passes here: 127.0.0.1 in 0.1 µs, by regular expressions in 1 µs.
  if (text.length > 15) return null;
  const bytes = new Uint8Array(4);
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0x2e;
    if (code === 0x2e) {
      if (digits === 0 || part === 4) return null;
      bytes[part++] = value;
      digits = value = 0;
      continue;
    }
    if (code < 0x30 || code > 0x39 || (digits > 0 && value === 0)) return null;
    value = value * 10 + code - 0x30;
    digits++;
    if (value > 255) return null;
  }
  return part === 4 ? bytes : null;
}

/** Bytes of "2001:db8::1" or "::ffff:192.0.2.1", without a zone; null when it is no such address. */
export function parseIpv6(text: string): Bytes | null {
  const halves = text.split("::", 3);
  if (halves.length > 2) return null;
  const head = groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const bytes = new Uint8Array(16);
  [...head, ...new Array<number>(missing).fill(0), ...tail].forEach((group, i) => {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 0xff;
  });
  return bytes;
}

/** The 16-bit groups of one side of "::"; an IPv4 address may stand at the very end. */
function groups(text: string, last: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":", 9);
  const result: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (HEXADECIMAL.test(part)) {
      result.push(parseInt(part, 16));
      continue;
    }
    const ipv4 = last && i === parts.length - 1 ? parseIpv4(part) : null;
    if (ipv4 === null) return null;
    result.push(ipv4[0]! << 8 | ipv4[1]!, ipv4[2]! << 8 | ipv4[3]!);
  }
  return result;
}

/** An IP address taken apart: its bytes, 4 or 16, and what stands after "%". */
export interface IpAddress {
  readonly bytes: Bytes;
  readonly zone: string | null;
}

/** Takes a literal IP address apart; null when it is none. Only IPv6 addresses have zones. */
export function parseIp(text: string): IpAddress | null {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== null) return { bytes: ipv4, zone: null };
  const percent = text.indexOf("%");
  const zone = percent < 0 ? null : text.slice(percent + 1);
  const ipv6 = zone === "" ? null : parseIpv6(percent < 0 ? text : text.slice(0, percent));
  return ipv6 === null ? null : { bytes: ipv6, zone };
}

/** Text of an IP address, 4 or 16 bytes, as inet_ntop writes it. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
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

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });

/** Reads a sockaddr, as many bytes of it as the kernel gave. */
export function readSockaddr(bytes: Bytes, os: OperatingSystem): KernelAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = bytes.byteLength < 2 ? constant("AF_UNSPEC", os) : familyOf(bytes, os);
  if (family === constant("AF_INET", os) && bytes.byteLength >= LAYOUT.sockaddr_in[os].size) {
    return {
      family: "inet",
      hostname: formatIp(ipOf(bytes, os)!),
      port: view.getUint16(LAYOUT.sockaddr_in[os].fields.sin_port[0]),
    };
  }
  if (family === constant("AF_INET6", os) && bytes.byteLength >= LAYOUT.sockaddr_in6[os].size) {
    const { fields } = LAYOUT.sockaddr_in6[os];
    const scope = view.getUint32(fields.sin6_scope_id[0], true);
    const flowInfo = view.getUint32(fields.sin6_flowinfo[0]);
    const hostname = formatIp(ipOf(bytes, os)!) + (scope === 0 ? "" : `%${scope}`);
    const port = view.getUint16(fields.sin6_port[0]);
    return flowInfo === 0 ? { family: "inet6", hostname, port } : { family: "inet6", hostname, port, flowInfo };
  }
  if (family === constant("AF_UNIX", os)) return readUnix(bytes, os);
  return { family, bytes: bytes.slice() };
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
  if (address.family !== "unix") return `an address of family ${address.family}`;
  return address.path === ""
    ? "(unnamed)"
    : JSON.stringify(address.path).replace(/^"\\u0000(.*)"$/, '"@$1" (abstract)');
}
