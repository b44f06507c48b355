// Joining a group by Deno's own calls, with checked arguments and errors that say what was done.
// Joining with everything the kernel offers, by FFI: multicast/join.ts.
import { integer, text } from "../internal/argument.ts";
import { decorated } from "../internal/deno_error.ts";
import { isGroup, parseIpv4, parseIpv6 } from "../internal/sockaddr.ts";

/** What refusals to join mean. */
export const JOIN_REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: "this socket has joined the group there already",
  ENODEV: "there is no such interface, or no route to choose one by: give the interface",
  EADDRNOTAVAIL: "no interface has this address",
  ENOBUFS: "the socket has joined as many groups, or named as many senders, as the system allows: see " +
    "net.ipv4.igmp_max_memberships, net.ipv4.igmp_max_msf and net.ipv6.mld_max_msf, or use another socket",
  ENOPROTOOPT: "the socket is of the other family",
};

/** Joins an IPv4 group by an address of the interface, "0.0.0.0" for the kernel's choice. */
export async function joinV4(
  conn: Deno.DatagramConn,
  group: string,
  networkInterface: string,
): Promise<Deno.MulticastV4Membership> {
  const doing = checkJoinV4(group, networkInterface);
  try {
    return await conn.joinMulticastV4(group, networkInterface);
  } catch (error) {
    throw decorated(error, "setsockopt", doing, JOIN_REMEDIES);
  }
}

/** Checks what is to be joined; gives the beginning of messages. */
export function checkJoinV4(group: string, networkInterface: string): string {
  const doing = `Cannot join group ${JSON.stringify(group)}`;
  const ip = parseIpv4(text(group, "Cannot join a group: the group", "an IPv4 address"));
  if (ip === null) throw new SyntaxError(`${doing}: the text is no IPv4 address`);
  if (!isGroup(ip)) throw new RangeError(`${doing}: the address must be in 224.0.0.0/4`);
  if (parseIpv4(text(networkInterface, `${doing}: the interface`, "an IPv4 address")) === null) {
    throw new SyntaxError(`${doing}: the interface is ${JSON.stringify(networkInterface)}, it must be an IPv4 address`);
  }
  return doing;
}

/** Joins an IPv6 group by the index of the interface, 0 for the kernel's choice. */
export async function joinV6(
  conn: Deno.DatagramConn,
  group: string,
  networkInterface: number,
): Promise<Deno.MulticastV6Membership> {
  const doing = checkJoinV6(group, networkInterface);
  try {
    return await conn.joinMulticastV6(group, networkInterface);
  } catch (error) {
    throw decorated(error, "setsockopt", doing, JOIN_REMEDIES);
  }
}

/** The same for IPv6. */
export function checkJoinV6(group: string, networkInterface: number): string {
  const doing = `Cannot join group ${JSON.stringify(group)}`;
  const ip = parseIpv6(text(group, "Cannot join a group: the group", "an IPv6 address"));
  if (ip === null) throw new SyntaxError(`${doing}: the text is no IPv6 address`);
  if (!isGroup(ip)) throw new RangeError(`${doing}: the address must be in ff00::/8`);
  integer(networkInterface, `${doing}: the interface`, 0, 0x7fff_ffff);
  return doing;
}
