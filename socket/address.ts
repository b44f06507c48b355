// The addresses of every family as users write and read them, and the words for families, types and protocols.
// How they become bytes: internal/sockaddr.ts. Host names: resolve.ts.
import { shown, text as checkedText } from "../internal/argument.ts";
import { formatIp, type InetAddress, parseIp, parseIpv4, parseIpv6 } from "../internal/sockaddr.ts";
import type { BluetoothAddress, NetlinkAddress, PacketAddress, VsockAddress } from "../internal/sockaddr_families.ts";

export type { InetAddress } from "../internal/sockaddr.ts";
export type { BluetoothAddress, NetlinkAddress, PacketAddress, VsockAddress } from "../internal/sockaddr_families.ts";
export type { InterfaceSelector } from "../internal/values.ts";

/**
 * A unix address. What is received has the path as it can be shown, and `bytes` as well when it is not UTF-8; either way
 * the whole can be sent back as it is.
 *
 * - A pathname is at most 107 bytes of UTF-8 everywhere but on macOS (103). Linux takes one of 108 bytes too, which fills
 *   `sun_path` without a NUL at the end; other programs may cut it, Deno's own sockets refuse it. No NUL may be in it.
 * - An abstract name (Linux) begins with NUL and is any 0 to 107 bytes after it, further NULs included: its length is part
 *   of it.
 * - "" asks Linux to choose an abstract name at bind (five hexadecimal digits after a NUL); as an address of others it
 *   means a socket without a name.
 */
export interface UnixAddress {
  /** Tag. */
  readonly family: "unix";
  /** Path; abstract names start with NUL; "" is unnamed. */
  readonly path: string;
  /** The exact bytes, present when they are not UTF-8; wins over `path`. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

/** The address of each family. */
export interface AddressByFamily {
  /** IPv4. */
  inet: InetAddress;
  /** IPv6. */
  inet6: InetAddress;
  /** Local. */
  unix: UnixAddress;
  /** Link layer. */
  packet: PacketAddress;
  /** Virtual machines. */
  vsock: VsockAddress;
  /** Kernel. */
  netlink: NetlinkAddress;
  /** Bluetooth. */
  bluetooth: BluetoothAddress;
}

/** An address family. */
export type Family = keyof AddressByFamily;

/** The address type of a family, or of all. */
export type SocketAddress<F extends Family = Family> = AddressByFamily[F];

/**
 * What calls accept: the socket knows its family, so the tag may be left out, and a `Deno.Addr` of the right kind will do.
 * Literal addresses only: see {@linkcode resolveAddress}.
 *
 * - The port is 0 when left out, of vsock any.
 * - An IPv6 socket takes IPv4 literals and makes "::ffff:1.2.3.4" of them.
 * - A zone is the name or the index of an interface ("fe80::1%eth0", "fe80::1%2"; digits are an index, whatever interfaces
 *   are called), and stands after link-local addresses and groups alone: the kernel ignores it after others, so there it
 *   is an error.
 * - `flowInfo` is 0 to 2^28-1: the flow label, and above its 20 bits the traffic class. Linux sends it only after
 *   `IPV6_FLOWINFO_SEND` was set.
 */
export type AddressInput<F extends Family = Family> = {
  [K in F]:
    & Omit<AddressByFamily[K], "family" | "port">
    & Partial<Pick<AddressByFamily[K], "family" & keyof AddressByFamily[K]>>
    & { readonly port?: number; readonly transport?: string };
}[F];

/** A socket type. */
export type SocketType = "stream" | "dgram" | "raw" | "seqpacket";

/**
 * A protocol by name, or by number. What a name means depends on the family:
 *
 * - inet, inet6: "tcp", "udp", "udplite", "mptcp", "icmp", "icmp6". On raw sockets also "ip" (inet) and "ipv6" (inet6),
 *   which are IPPROTO_RAW: what is sent are whole packets, headers included, of any protocol; nothing is received.
 * - packet: "ip", "ipv6", "arp", "all" are ethertypes, numbers are ethertypes in host order (0x0800). 0, the default,
 *   receives nothing until bind() names another.
 * - netlink: "route", which is the default.
 * - bluetooth: "l2cap" (the default), "rfcomm", "hci", "sco".
 */
export type Protocol =
  | "tcp"
  | "udp"
  | "udplite"
  | "icmp"
  | "icmp6"
  | "mptcp"
  | "ip"
  | "ipv6"
  | "arp"
  | "all"
  | "l2cap"
  | "rfcomm"
  | "hci"
  | "sco"
  | "route"
  | number;

/**
 * Bytes of a literal IP address, 4 or 16, in network order; as strict as inet_pton(3).
 *
 * Four decimal numbers without leading zeros, or an IPv6 address of RFC 4291, which may end in an IPv4 one; nothing around
 * it, no zone, no brackets, no prefix.
 *
 * @param text The address.
 * @returns A new array.
 * @throws {SyntaxError} The text is no address.
 *
 * @example Both families
 * ```ts
 * import { parseIpAddress } from "@berkeley/sockets/socket";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals(parseIpAddress("192.0.2.1"), new Uint8Array([192, 0, 2, 1]));
 * assertEquals(parseIpAddress("2001:db8::1").toHex(), "20010db8000000000000000000000001");
 * assertThrows(() => parseIpAddress("192.0.2.010"), SyntaxError);
 * ```
 */
export function parseIpAddress(text: string): Uint8Array<ArrayBuffer> {
  const doing = "Cannot parse an IP address";
  checkedText(text, `${doing}: it`, "text");
  const bytes = parseIpv4(text) ?? parseIpv6(text);
  if (bytes !== null) return bytes;
  const zoned = parseIp(text) === null ? "" : " without a zone";
  throw new SyntaxError(`${doing}: it is ${shown(text)}, it must be a literal IPv4 or IPv6 address${zoned}`);
}

/**
 * Text of an IP address as inet_ntop(3) writes it: IPv6 in lower case, without leading zeros, the longest run of zeros as
 * "::" (RFC 5952), the last four bytes as IPv4 after "::" and "::ffff:" alone.
 *
 * @param bytes 4 or 16 bytes in network order.
 * @returns The text.
 * @throws {RangeError} There are neither 4 nor 16 bytes.
 *
 * @example There and back
 * ```ts
 * import { formatIpAddress, parseIpAddress } from "@berkeley/sockets/socket";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(formatIpAddress(new Uint8Array([192, 0, 2, 1])), "192.0.2.1");
 * assertEquals(formatIpAddress(parseIpAddress("2001:DB8:0:0::1")), "2001:db8::1");
 * ```
 */
export function formatIpAddress(bytes: Uint8Array): string {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(`Cannot format an IP address: it is ${shown(bytes)}, it must be a Uint8Array`);
  }
  return formatIp(bytes);
}
