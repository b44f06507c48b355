// Turns an address into bytes for the kernel, once Deno's permissions allow what is to be done with it.
// How a single host or path is asked for: internal/permission.ts. How the bytes look: internal/sockaddr.ts.
import { object } from "../internal/argument.ts";
import { interfaceIndexOf } from "../internal/netif.ts";
import {
  checkDestination,
  checkNet,
  checkUnix,
  checkUnixDestination,
  checkVsock,
  checkWholeDestination,
  checkWholeNet,
  isGranted,
} from "../internal/permission.ts";
import { encodeAddress, formatIp, isMapped, parseIp, readSockaddr } from "../internal/sockaddr.ts";
import type { Family, PacketAddress, VsockAddress } from "./address.ts";

/** What is to be done with an address. */
export type Use = "bind" | "connect" | "send";

/**
 * The bytes of an address, checked and allowed. What is asked for is read from the bytes, not from the object a second
 * time: its getters could answer otherwise.
 *
 * @param doing The beginning of messages: `Cannot bind inet stream`.
 * @param own The protocol of the socket, where it is a packet or Bluetooth one.
 */
export function permitted(
  family: Family,
  address: unknown,
  use: Use,
  doing: string,
  own = 0,
): Uint8Array<ArrayBuffer> {
  const given = object(address, `${doing}: the address`, "an object");
  const bytes = encodeAddress(family, given, doing, "linux", own);
  switch (family) {
    case "unix":
      return permittedPath(bytes, use, doing);
    case "vsock": {
      const { cid, port } = readSockaddr(bytes, "linux") as VsockAddress;
      checkVsock(cid, port, doing);
      return bytes;
    }
    case "packet":
    case "netlink":
    case "bluetooth": {
      if (use === "send") checkWholeDestination(doing);
      else checkWholeNet(doing);
      if (family === "packet" && use === "bind") existing(bytes, doing);
      return bytes;
    }
  }
  if (use === "send" && isGranted(bytes)) return bytes;
  const { hostname, port } = readSockaddr(bytes, "linux") as { hostname: string; port: number };
  const host = unmapped(hostname);
  if (use === "send") checkDestination(bytes, host, port, doing);
  else checkNet(host, port, doing);
  return bytes;
}

/** An index that no interface has is found out here, with the list of those there are. */
function existing(bytes: Uint8Array<ArrayBuffer>, doing: string): void {
  const { interface: index } = readSockaddr(bytes, "linux") as PacketAddress;
  if (index !== 0) interfaceIndexOf(index, doing);
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
