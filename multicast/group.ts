// What is a group and what is a sender, checked before any call.
// Bytes of addresses: internal/sockaddr.ts. What is done with them: join.ts, membership.ts.
import { shown, text } from "../internal/argument.ts";
import { formatIp, isGroup, parseIp } from "../internal/sockaddr.ts";

/** A group, checked. */
export interface Group {
  /** The literal address, without a zone. */
  readonly text: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly family: "inet" | "inet6";
  /** What stood after "%"; null for nothing. */
  readonly zone: string | null;
}

/**
 * Whether a literal address is a multicast group: in 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291).
 *
 * @param address IPv4 or IPv6, the latter with or without a zone.
 * @returns Whether it is a group.
 * @throws {TypeError} It is no text.
 * @throws {SyntaxError} The text is no address.
 *
 * @example Both families
 * ```ts
 * import { isMulticast } from "@berkeley/sockets/multicast";
 * import { assert } from "@std/assert";
 *
 * assert(isMulticast("239.0.0.1"));
 * assert(isMulticast("ff02::fb"));
 * assert(!isMulticast("192.0.2.1"));
 * ```
 */
export function isMulticast(address: string): boolean {
  const doing = "Cannot tell a multicast address";
  const ip = parseIp(text(address, `${doing}: the address`, "an IPv4 or IPv6 address"));
  if (ip === null) throw new SyntaxError(`${doing}: ${shown(address)} is no IPv4 or IPv6 address`);
  return isGroup(ip.bytes);
}

/** The group, or an error. */
export function groupOf(value: unknown): Group {
  const ip = parseIp(text(value, "Cannot join a group: the group", "an IPv4 or IPv6 address"));
  const doing = `Cannot join group ${shown(value)}`;
  if (ip === null) throw new SyntaxError(`${doing}: the text is no IPv4 or IPv6 address`);
  const family = ip.bytes.length === 4 ? "inet" : "inet6";
  if (!isGroup(ip.bytes)) {
    throw new RangeError(`${doing}: the address must be in ${family === "inet" ? "224.0.0.0/4" : "ff00::/8"}`);
  }
  return { text: formatIp(ip.bytes), bytes: ip.bytes as Uint8Array<ArrayBuffer>, family, zone: ip.zone };
}

/** The address of a sender, without a zone, as the kernel's filters have it; or an error. */
export function sourceOf(value: unknown, group: Group, doing: string): string {
  const ip = parseIp(text(value, `${doing}: the source`, "an IPv4 or IPv6 address"));
  if (ip === null) throw new SyntaxError(`${doing}: the source ${shown(value)} is no IPv4 or IPv6 address`);
  if (ip.bytes.length !== group.bytes.length) {
    throw new TypeError(`${doing}: the source ${shown(value)} must be of the family of the group`);
  }
  if (isGroup(ip.bytes)) throw new RangeError(`${doing}: the source ${shown(value)} is a group, it must be one sender`);
  return formatIp(ip.bytes);
}

/** Several senders, none twice. */
export function sourcesOf(values: unknown, group: Group, doing: string): string[] {
  if (!Array.isArray(values)) {
    throw new TypeError(`${doing}: sources is ${shown(values)}, it must be an array of addresses`);
  }
  const sources = values.map((value) => sourceOf(value, group, doing));
  const twice = sources.find((source, i) => sources.indexOf(source) !== i);
  if (twice !== undefined) throw new TypeError(`${doing}: the source ${shown(twice)} is given twice`);
  return sources;
}

/** Whether the kernel wants to know the interface to bind to the group: the scopes of one interface and one link. */
export function isLinkScoped(group: Group): boolean {
  const scope = group.bytes[1]! & 0xf;
  return group.family === "inet6" && (scope === 1 || scope === 2);
}
