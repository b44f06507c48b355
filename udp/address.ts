// Addresses of datagrams: made once and given again while the same peers talk, in both directions.
// How they look in bytes: internal/sockaddr.ts. What a permission says of them: internal/permission.ts.
import { integer, object, shown, text } from "../internal/argument.ts";
import { encodeAddress, isMapped, parseIp, readSockaddr } from "../internal/sockaddr.ts";
import type { UdpAddress } from "./types.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The largest payload: 65,535 less the UDP header, and for IPv4 less the IP header (RFC 768, RFC 791). */
export const MOST_IPV4 = 65_507;
export const MOST_IPV6 = 65_527;

/** An address as people have it, frozen. */
export function addressOf(hostname: string, port: number): UdpAddress {
  return Object.freeze({ family: hostname.includes(":") ? "inet6" : "inet", transport: "udp", hostname, port });
}

// ---- From the kernel ----

/** Peers that are remembered; a power of two. One that falls on another's place takes it. */
const PLACES = 256;
/** Room for a sockaddr of either family; the last byte is its length. */
const WIDTH = 32;

let places: Bytes | undefined;
/** The place that was asked for last. */
let last = 0;
const addresses: (UdpAddress | undefined)[] = [];

/** The address in a sockaddr of IPv4 or IPv6, frozen, the very same while it is remembered. */
export function addressIn(bytes: Bytes, at: number, length: number): UdpAddress {
  places ??= new Uint8Array(PLACES * WIDTH);
  // Most come from whoever sent the one before.
  if (isAt(places, last * WIDTH, bytes, at, length)) return addresses[last]!;
  let hash = length;
  // The port, and the end of either address.
  for (let i = 2; i < 8; i++) hash = Math.imul(hash, 31) + bytes[at + i]!;
  if (length > 16) { for (let i = 16; i < 28; i++) hash = Math.imul(hash, 31) + bytes[at + i]!; }
  const place = (hash ^ hash >>> 8 ^ hash >>> 16) & (PLACES - 1);
  const start = place * WIDTH;
  last = place;
  if (isAt(places, start, bytes, at, length)) return addresses[place]!;
  const made = Object.freeze(
    { ...readSockaddr(bytes.subarray(at, at + length), "linux"), transport: "udp" } as UdpAddress,
  );
  for (let i = 0; i < length; i++) places[start + i] = bytes[at + i]!;
  places[start + WIDTH - 1] = length;
  return addresses[place] = made;
}

/** Whether an address is the one that is remembered from a place on. */
function isAt(places: Bytes, place: number, bytes: Bytes, at: number, length: number): boolean {
  if (places[place + WIDTH - 1] !== length) return false;
  for (let i = 0; i < length; i++) if (places[place + i] !== bytes[at + i]) return false;
  return true;
}

/** Whether two sockaddrs are of one place; an IPv4 address is the same in IPv6's clothes. */
export function samePlace(one: Bytes, other: Bytes): boolean {
  const a = addressIn(one, 0, one.byteLength);
  const b = addressIn(other, 0, other.byteLength);
  return a.port === b.port && a.hostname.replace(MAPPED, "") === b.hostname.replace(MAPPED, "");
}
const MAPPED = /^::ffff:(?=\d+\.)/;

// ---- From people ----

/** Who can say what is being done, should it come to an error. */
export interface Doing {
  doing(): string;
}

/** Destinations that are remembered; when there are more, all are forgotten. */
const MOST = 4096;
let count = 0;
/** The bytes by host and port, for sockets of each family. */
const encoded = { inet: new Map<string, Map<number, Bytes>>(), inet6: new Map<string, Map<number, Bytes>>() };

/** A literal address and a port; where they come from is said in errors. */
function checked(remoteAddr: unknown, doing: string): { hostname: string; port: number; bytes: Bytes } {
  const { hostname, port } = object(remoteAddr, `${doing}: remoteAddr`, "{ hostname, port }");
  const ip = parseIp(text(hostname, `${doing}: remoteAddr.hostname`, "a literal address"));
  if (ip === null) {
    throw new SyntaxError(`${doing}: remoteAddr.hostname is ${shown(hostname)}, it must be a literal address`);
  }
  return {
    hostname: hostname as string,
    port: integer(port, `${doing}: remoteAddr.port`, 1, 65_535),
    bytes: ip.bytes,
  };
}

/** Where a datagram goes, and how large it may be. */
export function destinationOf(remoteAddr: unknown, doing: string): { addr: UdpAddress; most: number } {
  if (remoteAddr === undefined) throw new TypeError(`${doing}: the socket has no peer, so remoteAddr must be given`);
  const { hostname, port, bytes } = checked(remoteAddr, doing);
  return { addr: addressOf(hostname, port), most: bytes.length === 4 || isMapped(bytes) ? MOST_IPV4 : MOST_IPV6 };
}

/**
 * The sockaddr of a destination, for a socket of a family. An IPv6 address is one on an IPv4 socket too: the kernel says
 * what it says to it. The bytes are remembered and belong to this file: nobody may write to them.
 */
export function encodedDestination(family: "inet" | "inet6", remoteAddr: unknown, who: Doing): Bytes {
  if (typeof remoteAddr === "object" && remoteAddr !== null) {
    const { hostname, port, flowInfo } = remoteAddr as { hostname?: unknown; port?: unknown; flowInfo?: unknown };
    if (flowInfo === undefined) {
      const known = encoded[family].get(hostname as string)?.get(port as number);
      if (known !== undefined) return known;
    }
  }
  return encode(family, remoteAddr, who.doing());
}

function encode(family: "inet" | "inet6", remoteAddr: unknown, doing: string): Bytes {
  const { hostname, port, bytes } = checked(remoteAddr, doing);
  const { flowInfo } = remoteAddr as { flowInfo?: number };
  const own = bytes.length === 4 ? family : "inet6";
  const flow = flowInfo === undefined || bytes.length === 4 ? {} : { flowInfo };
  const result = encodeAddress(own, { hostname, port, ...flow }, `${doing}: remoteAddr`, "linux");
  // What a name of an interface means may change.
  if (flowInfo === undefined && !/%.*\D/.test(hostname)) remember(family, hostname, port, result);
  return result;
}

function remember(family: "inet" | "inet6", hostname: string, port: number, bytes: Bytes): void {
  if (count === MOST) {
    encoded.inet.clear();
    encoded.inet6.clear();
    count = 0;
  }
  count++;
  const ports = encoded[family].get(hostname);
  if (ports === undefined) encoded[family].set(hostname, new Map([[port, bytes]]));
  else ports.set(port, bytes);
}
