// What the kernel says of groups in /proc/net/igmp and /proc/net/igmp6: the tests' witness.
// What the library reads of them, by getsockopt: internal/membership.ts.
import { parseIp } from "../../internal/sockaddr.ts";

/** The interfaces on which any socket of this machine has joined a group. */
export function joinedAt(group: string): string[] {
  const bytes = parseIp(group)!.bytes;
  const hex = (all: Iterable<number>) => Array.from(all, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (bytes.length === 16) {
    const lines = Deno.readTextFileSync("/proc/net/igmp6").split("\n").map((line) => line.split(/\s+/));
    return lines.filter(([, , address]) => address === hex(bytes)).map(([, device]) => device!);
  }
  const joined: string[] = [];
  let device = "";
  for (const line of Deno.readTextFileSync("/proc/net/igmp").split("\n").slice(1)) {
    // A line of an interface begins with its index, a line of a group with tabs; the address is in host order.
    const [index, name] = line.split(/\s+/);
    if (index !== "") device = name!;
    else if (name === hex(bytes.toReversed()).toUpperCase()) joined.push(device);
  }
  return joined;
}
