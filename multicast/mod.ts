// Multicast as people use it: join, listen, interfaces. Only re-exports.
// The sockets themselves are in udp/mod.ts; single options under their C names in options/mod.ts.

/**
 * Multicast: groups joined on any socket, from any sender or chosen ones, on IPv4 and IPv6.
 *
 * 1. {@linkcode listenMulticast} opens a socket that hears one group, shares its port with others and sends to the group.
 * 2. {@linkcode joinGroup} joins a group on a socket that exists already: one of this library, of Deno, of `node:dgram`.
 * 3. {@linkcode networkInterfaces} tells where groups can be joined, {@linkcode watchInterfaces} what becomes of that.
 * 4. {@linkcode explainMulticast} tells why nothing arrives.
 *
 * What systems make of the same calls, what levels it, and where in this library:
 *
 * | | Linux | macOS | Windows | Here | By |
 * | --- | --- | --- | --- | --- | --- |
 * | Bound to the group | hears that group alone | the same | refused | `listenMulticast` binds so where it can, else to the wildcard | `bindAddress` in multicast/listen.ts |
 * | Bound to the wildcard | hears all that is sent to the port | the same | the same | a packet filter on Linux lets the group pass alone | `shuttingOut` in multicast/listen.ts |
 * | Bound to an address of one machine | hears no group | hears no group | hears groups | `joinGroup` refuses where it would be deaf | `refuseSocket` in multicast/join.ts |
 * | Groups that others joined | heard, unless `IP_MULTICAST_ALL` is off | not heard | not heard | `listenMulticast` switches it off | `shuttingOut` in multicast/listen.ts |
 * | Loopback flag | the sender's counts, on at first | the sender's | the receiver's | `multicast.loopback` of either end, on unless said otherwise | `planOf` in udp/bind.ts |
 * | Join on interface 0, IPv4 | one, by routes | one, by routes | any one | `Membership.interfaces` tells which on Linux; name one, or `{ all: true }` | `joinSomewhere` in multicast/join.ts |
 * | Join on interface 0, IPv6 | one, by routes | refused | any one | the same; on macOS the first with a link is taken | `choiceOf` in multicast/join.ts |
 * | Interface that is sent by | by routes, wherever it is joined | the same | the same | where one is joined, that one; where several are, each | `GroupSender` in multicast/send.ts |
 * | One interface refuses | the others stay joined | the same | the same | with a list none is joined, with `{ all: true }` the others are | `joinByKernel` in multicast/join.ts |
 * | Sharing a port | `SO_REUSEADDR` | `SO_REUSEPORT` | `SO_REUSEADDR` | `reuseAddress` sets what is needed | `open` in udp/bind.ts |
 * | After a link was down | IPv6 is told anew, IPv4 not | not known | not known | `{ all: true }` joins anew | `Follower` in multicast/follow.ts |
 *
 * Only Linux was run; the other columns are what their users report.
 *
 * With `--allow-ffi` everything is possible. Without, what Deno itself has is used: joining for any sender, IPv4 by the
 * address of the interface, IPv6 by its index; the rest throws `Deno.errors.NotCapable`.
 *
 * @example Two members of a group
 * ```ts
 * import { listenMulticast } from "@berkeley/sockets/multicast";
 * import { assertEquals } from "@std/assert";
 *
 * const where = { group: "239.0.0.1", port: 54321, interface: "127.0.0.1" };
 * using alice = await listenMulticast(where);
 * using bob = await listenMulticast(where);
 *
 * await alice.sendToGroup(new TextEncoder().encode("hello"));
 * const [data] = await bob.receive();
 * assertEquals(new TextDecoder().decode(data), "hello");
 * ```
 *
 * @module
 */

export { isMulticast } from "./group.ts";
export {
  type InterfaceAddress,
  type InterfaceChange,
  type NetworkInterface,
  networkInterfaces,
  watchInterfaces,
} from "./interfaces.ts";
export { explainMulticast, type MulticastFinding } from "./explain.ts";
export { joinGroup, type JoinOptions } from "./join.ts";
export { listenMulticast, type ListenMulticastOptions, type MulticastSocket } from "./listen.ts";
export type { Membership } from "./membership.ts";
export type { SendToGroupOptions } from "./send.ts";
export type { GroupRequest, InterfaceSelector, SocketLike, SourceFilter } from "../options/mod.ts";
