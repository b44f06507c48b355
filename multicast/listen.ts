// A socket that hears one group and sends to it: how it is bound, and what it shuts out.
// Joining on a socket that exists: join.ts. Sending: send.ts. The socket itself: udp/socket.ts.
import { object, port as portOf, shown } from "../internal/argument.ts";
import { ffiGranted } from "../internal/ffi.ts";
import { interfaceIndexOf } from "../internal/netif.ts";
import { OS } from "../internal/os.ts";
import {
  type InterfaceSelector,
  IP_MULTICAST_ALL,
  IPV6_MULTICAST_ALL,
  type OptionSetting,
  SO_ATTACH_FILTER,
} from "../options/mod.ts";
import { bindUdp } from "../udp/bind.ts";
import type { UdpSocket } from "../udp/socket.ts";
import type { BindUdpOptions, DatagramField } from "../udp/types.ts";
import { type Group, isLinkScoped } from "./group.ts";
import { join, type JoinOptions, type JoinPlan, planOf } from "./join.ts";
import { KernelMembership, type Membership } from "./membership.ts";
import { filterOf, narrowScope, type Scope, setScope } from "./scope.ts";
import { GroupSender, type SendToGroupOptions } from "./send.ts";

/** Options of {@linkcode listenMulticast}: what to join, and the socket. */
export interface ListenMulticastOptions<F extends DatagramField = never>
  extends JoinOptions, Omit<BindUdpOptions<F>, "hostname" | "port"> {
  /** Port of the group, 1 to 65535; 0 takes any that is free. */
  port: number;
  /** Whether others that say so too may have the port as well. Default true here. */
  reuseAddress?: boolean;
}

/**
 * A UDP socket in a group, made by {@linkcode listenMulticast}.
 *
 * Where the socket is one of this library's own (Linux, `--allow-ffi`), `receiveMessage`, `messages` and batches always tell
 * `localAddr` and `interfaceIndex` of a datagram, whatever `metadata` asks for besides.
 */
export interface MulticastSocket<F extends DatagramField = never>
  extends UdpSocket<F | "localAddr" | "interfaceIndex"> {
  /** What it joined; left when the socket closes. */
  readonly membership: Membership;
  /**
   * Sends to the group and its port: by `interface`; else by `multicast.interface`, when that was given to
   * `listenMulticast`; else once by each interface that is joined. `hopLimit` and `loopback` hold for this datagram alone.
   *
   * What differs from the usual is never seen by another call where the socket is one of this library's own (Linux,
   * `--allow-ffi`). Without `--allow-ffi` only what needs no choice works: a group that was joined without naming an
   * interface.
   *
   * @param data The datagram.
   * @param options By which interface, how far, whether heard on this machine, and a signal that ends the wait.
   * @returns The bytes of the datagram, once it went out by one interface at least; the first refusal when it did by none.
   */
  sendToGroup(data: Uint8Array, options?: SendToGroupOptions): Promise<number>;
}

/**
 * Opens a socket that hears a group, and that group alone.
 *
 * It is bound to the group's address, so that datagrams to other addresses of the same port do not reach it, with
 * `reuseAddress`, so that others may listen too. With `--allow-ffi` on Linux, groups that other sockets joined are shut out
 * (`IP_MULTICAST_ALL` and `IPV6_MULTICAST_ALL` off), and when one interface is joined the socket sends there as well, unless
 * `multicast.interface` says otherwise.
 *
 * On IPv6, Linux does not tell interfaces apart: a group that is not link-local would be heard on every interface where any
 * socket of the machine has joined it; and for link-local groups (ff02::/16) on several interfaces, or on one of the kernel's
 * choice, the socket is bound to "::". There a packet filter (`SO_ATTACH_FILTER`) lets pass what is sent to the group and
 * comes by the interfaces that were joined on this socket; the kernel counts what it keeps out among `drops`. A filter that
 * is given in `options`, or set later, takes its place.
 *
 * Without `--allow-ffi`, and on Windows, which cannot bind to a group at all, a socket that is bound to the wildcard hears
 * all else that is sent to its port too, on "::" IPv4 as well.
 *
 * @param options Group, port, interfaces, senders, and options of the socket.
 * @returns The socket, which leaves the group when it is closed.
 * @throws {SyntaxError} The group or a source is no address.
 * @throws {RangeError} The group is no multicast address; the port is out of range.
 * @throws {Deno.errors.NotFound} There is no such interface.
 * @throws {SystemError} The system refuses: "EADDRINUSE" when a socket that does not share has the port.
 * @throws {Deno.errors.NotCapable} `--allow-net` does not cover the group (for a link-local one on several interfaces also
 * "[::]", to which the socket is bound then), or an option needs `--allow-ffi`.
 *
 * @example Over the loopback interface
 * ```ts
 * import { listenMulticast } from "@berkeley/sockets/multicast";
 * import { assertEquals } from "@std/assert";
 *
 * using socket = await listenMulticast({ group: "239.0.0.1", port: 0, interface: "127.0.0.1" });
 * await socket.sendToGroup(new TextEncoder().encode("hello"));
 * for await (const [data] of socket) {
 *   assertEquals(new TextDecoder().decode(data), "hello");
 *   break;
 * }
 * ```
 */
export async function listenMulticast<const F extends DatagramField = never>(
  options: ListenMulticastOptions<F>,
): Promise<MulticastSocket<F>> {
  object(options, "Cannot listen to a group: the options", "{ group, port }");
  const plan = planOf(options);
  const { group: _group, source: _source, interface: _interface, port, ...rest } = options;
  portOf(port, `Cannot listen to group ${shown(options.group)}: the port`);
  const hostname = bindAddress(plan);
  // What is no array of options bindUdp() says.
  const can = OS === "linux" && ffiGranted() && (rest.options === undefined || Array.isArray(rest.options));
  const scope = can ? scopeOf(plan, hostname, rest) : null;
  const shutting = can ? shuttingOut(scope, plan, hostname, rest) : [];
  const socket = bindUdp<DatagramField>({
    reuseAddress: true,
    ...rest,
    ...metadataOf(rest),
    ...(shutting.length > 0 && { options: [...shutting, ...rest.options ?? []] }),
    hostname,
    port,
  });
  try {
    if (scope !== null) setScope(socket, scope);
    const membership = await join(socket, plan);
    if (scope?.indices === null && plan.selectors !== null && membership instanceof KernelMembership) {
      narrowScope(socket, membership.joinedNow().map(({ index }) => index));
    }
    const sender = new GroupSender(socket, plan, membership, chosenInterface(options, plan.group));
    const sendToGroup: MulticastSocket["sendToGroup"] = (data, options) => sender.send(data, options);
    const told = socket as UdpSocket<F | "localAddr" | "interfaceIndex">;
    return Object.assign(told, { membership, sendToGroup });
  } catch (error) {
    socket[Symbol.dispose]();
    options.signal?.throwIfAborted();
    throw error;
  }
}

/** Options of the socket that this file looks at. */
type Rest = Pick<BindUdpOptions<DatagramField>, "options" | "ipv6Only">;

/** The metadata that such a socket has, where there is any. */
function metadataOf(
  { metadata = [] }: { metadata?: readonly DatagramField[] },
): { metadata?: readonly DatagramField[] } {
  if (OS !== "linux" || !ffiGranted() || !Array.isArray(metadata)) return { metadata };
  return { metadata: [...metadata, "localAddr", "interfaceIndex"] };
}

/** The group where the system can bind to it, else the wildcard. */
function bindAddress({ group, selectors, doing }: JoinPlan): string {
  if (OS === "windows") return group.family === "inet" ? "0.0.0.0" : "::";
  if (!isLinkScoped(group)) return group.text;
  const [selector] = selectors ?? [];
  if (selectors?.length !== 1 || selector === undefined) return "::";
  return `${group.text}%${typeof selector === "number" ? selector : interfaceIndexOf(selector, doing)}`;
}

/**
 * What keeps all else out on Linux, in force before the socket is bound, unless the user set it: it hands a socket what any
 * other socket has joined, unless told not to; and one that is bound to "::" hears what is sent to any address.
 */
function shuttingOut(scope: Scope | null, { group }: JoinPlan, hostname: string, rest: Rest): OptionSetting[] {
  const ipv4 = group.family === "inet" || (hostname === "::" && rest.ipv6Only !== true);
  const filter = scope === null ? null : filterOf(scope);
  const settings: OptionSetting[] = [
    ...group.family === "inet6" ? [IPV6_MULTICAST_ALL.to(false)] : [],
    ...ipv4 ? [IP_MULTICAST_ALL.to(false)] : [],
    ...filter === null ? [] : [SO_ATTACH_FILTER.to(filter)],
  ];
  return settings.filter(({ name }) => !rest.options?.some((one) => one?.name === name));
}

/** What the socket shall let pass; null where the system sees to that, or the user does. */
function scopeOf({ group, selectors, doing }: JoinPlan, hostname: string, rest: Rest): Scope | null {
  if (group.family === "inet" || hostname.includes("%") || rest.options?.some(isFilter)) return null;
  // What the kernel chooses is known once it has.
  const named = selectors?.every((selector) => selector !== undefined);
  const indices = named ? selectors!.map((selector) => interfaceIndexOf(selector, doing)) : null;
  return { group, wide: hostname === "::", indices };
}

/** Whether an option says which packets pass: of a socket's filters the last one is in force. */
function isFilter(one: OptionSetting | null): boolean {
  return one?.name === "SO_ATTACH_FILTER" || one?.name === "SO_ATTACH_BPF";
}

/** Where the user chose that the socket sends, by field or by C name. */
function chosenInterface(options: ListenMulticastOptions<DatagramField>, group: Group): InterfaceSelector | undefined {
  const name = group.family === "inet" ? "IP_MULTICAST_IF" : "IPV6_MULTICAST_IF";
  const setting = options.options?.find((setting) => setting.name === name);
  return options.multicast?.interface ?? setting?.value as InterfaceSelector | undefined;
}
