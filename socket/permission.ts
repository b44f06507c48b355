// Turns an address into bytes for the kernel, once Deno's permissions allow what is to be done with it.
// How a single host or path is asked for: internal/permission.ts. How the bytes look: internal/sockaddr.ts.
import { object } from "../internal/argument.ts";
import { checkDestination, checkNet, checkUnix, checkUnixDestination, isGranted } from "../internal/permission.ts";
import { encodeAddress, formatIp, isMapped, parseIp, readSockaddr } from "../internal/sockaddr.ts";
import type { Family } from "./address.ts";

/** What is to be done with an address. */
export type Use = "bind" | "connect" | "send";

/**
 * The bytes of an address, checked and allowed. What is asked for is read from the bytes, not from the object a second
 * time: its getters could answer otherwise.
 *
 * @param doing The beginning of messages: `Cannot bind inet stream`.
 */
export function permitted(family: Family, address: unknown, use: Use, doing: string): Uint8Array<ArrayBuffer> {
  const given = object(address, `${doing}: the address`, "an object");
  const bytes = encodeAddress(family as "inet" | "inet6" | "unix", given, doing, "linux");
  if (family === "unix") return permittedPath(bytes, use, doing);
  if (use === "send" && isGranted(bytes)) return bytes;
  const { hostname, port } = readSockaddr(bytes, "linux") as { hostname: string; port: number };
  const host = unmapped(hostname);
  if (use === "send") checkDestination(bytes, host, port, doing);
  else checkNet(host, port, doing);
  return bytes;
}

/** An IPv4 address in IPv6's clothes is asked for as what it is; a zone is no matter of permissions. */
function unmapped(hostname: string): string {
  const ip = parseIp(hostname)!.bytes;
  return isMapped(ip) ? formatIp(ip.subarray(12)) : formatIp(ip);
}

function permittedPath(bytes: Uint8Array<ArrayBuffer>, use: Use, doing: string): Uint8Array<ArrayBuffer> {
  const address = readSockaddr(bytes, "linux") as { path: string; bytes?: Uint8Array };
  const asked = use === "send" ? checkUnixDestination : checkUnix;
  if (address.bytes !== undefined) {
    // No rule can name what is no text: all must be granted, of the network for an abstract name, of the files for a path.
    checkUnix(address.bytes[0] === 0 ? "\0" : "/", doing);
    return bytes;
  }
  const path = asked(address.path, doing);
  return path === address.path ? bytes : encodeAddress("unix", { path }, doing, "linux");
}
