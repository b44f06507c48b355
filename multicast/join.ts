// Joining a group: the options checked, the sockets that can, every interface that was asked for.
// What comes of it: membership.ts. Deno's own calls, for programs without FFI: udp/deno_join.ts.
import { object, shown } from "../internal/argument.ts";
import { constant, type ConstantName } from "../internal/constants.ts";
import { addressOf, describe, type Descriptor, descriptorOf } from "../internal/descriptor.ts";
import { errnoNumber } from "../internal/errno.ts";
import { ffiGranted } from "../internal/ffi.ts";
import { libc } from "../internal/libc.ts";
import { canReadFilters, type KernelFilter, leaveGroup, readFilter } from "../internal/membership.ts";
import {
  interfaceIndexOf,
  interfaceNameOf,
  ipv4AddressOf,
  listInterfaces,
  type NetworkInterface,
} from "../internal/netif.ts";
import { OS } from "../internal/os.ts";
import { checkNet } from "../internal/permission.ts";
import { formatIp, isGroup, isUnspecified, parseIp } from "../internal/sockaddr.ts";
import { type InterfaceSelector, IPV6_V6ONLY, type SocketLike } from "../options/mod.ts";
import { JOIN_REMEDIES, joinV4, joinV6 } from "../udp/deno_join.ts";
import { UdpSocket } from "../udp/socket.ts";
import { joinAt, type Place, restoreAt } from "./filter.ts";
import { canMulticast, follow } from "./follow.ts";
import { type Group, groupOf, sourceOf, sourcesOf } from "./group.ts";
import { DenoMembership, KernelMembership, type Membership } from "./membership.ts";
import { leaveScope, widenScope } from "./scope.ts";
import { watch } from "./watch.ts";

/** What to join, where. */
export interface JoinOptions {
  /** The group, in 224.0.0.0/4 or ff00::/8. A zone ("ff02::fb%eth0") is the interface. */
  group: string;
  /** Only this sender, or these (source-specific multicast, RFC 4607). Needs `--allow-ffi`. */
  source?: string | readonly string[];
  /**
   * One interface or several: names, indices or addresses; all of them are joined, or none. Default: the kernel's choice by
   * its routes, which `Membership.interfaces` tells.
   *
   * `{ all: true }` is every one that can multicast, the loopback too, there is and will be: it follows the machine as
   * interfaces appear and go, and joins anew when a link comes back. Single ones may refuse, which `Membership.interfaces`
   * tells; none at all is an error. Each interface counts as a group to the system: Linux allows a socket 20 of IPv4
   * (`net.ipv4.igmp_max_memberships`). It needs `--allow-ffi`, and keeps no program alive.
   */
  interface?: InterfaceSelector | readonly InterfaceSelector[] | { all: true };
}

/** What to join, checked; nothing was asked of the system. */
export interface JoinPlan {
  readonly group: Group;
  /** Empty for any sender. */
  readonly sources: readonly string[];
  /** `undefined` alone for the kernel's choice; null for all there are and will be. */
  readonly selectors: readonly (InterfaceSelector | undefined)[] | null;
  /** The beginning of messages. */
  readonly doing: string;
}

/**
 * Joins a group on any UDP or raw socket: one of this library, of Deno or of `node:dgram`.
 *
 * The socket then hears what is sent to the group and to its port on that interface; to hear it, it must be bound to a
 * wildcard ("0.0.0.0", "::") or to the group. On Linux it also hears groups that other sockets of the machine have joined,
 * unless `IP_MULTICAST_ALL` is off; `listenMulticast` sees to all of that. An IPv6 socket bound to "::" can join IPv4 groups
 * as well.
 *
 * The group and the port of the socket are asked of `--allow-net`, as a destination is. With `--allow-ffi` the calls are
 * those of RFC 3678 (`MCAST_JOIN_GROUP`, `MCAST_JOIN_SOURCE_GROUP`). Without, Deno's own: any sender; sockets of this
 * library and of Deno; IPv4 interfaces by address, IPv6 ones by index (names need `--allow-sys`).
 *
 * @param socket The socket.
 * @param options The group, its senders, the interfaces.
 * @returns The membership, which ends when it is left or the socket is closed.
 * @throws {SyntaxError} The group or a source is no address.
 * @throws {RangeError} The group is no multicast address.
 * @throws {Deno.errors.NotFound} There is no such interface.
 * @throws {Deno.errors.NotSupported} The socket cannot hear this group: it is TCP, or of the other family.
 * @throws {Deno.errors.NotCapable} `--allow-net` does not cover the group, or this needs `--allow-ffi`.
 * @throws {Deno.errors.BadResource} The socket is closed.
 * @throws {SystemError} The system refuses: "EADDRINUSE" when the socket has joined the group there already, "ENOBUFS"
 * when it has joined as many as the system allows, "ENODEV" when no route leads to the group.
 *
 * @example From one sender only
 * ```ts
 * import { joinGroup } from "@berkeley/sockets/multicast";
 * import { bindUdp } from "@berkeley/sockets/udp";
 * import { assertEquals } from "@std/assert";
 *
 * using socket = bindUdp();
 * await using membership = await joinGroup(socket, {
 *   group: "232.1.2.3",
 *   source: "127.0.0.1",
 *   interface: "127.0.0.1",
 * });
 * assertEquals(membership.sources().mode, "include");
 * assertEquals(membership.sources().sources, ["127.0.0.1"]);
 * ```
 */
export async function joinGroup(socket: SocketLike, options: JoinOptions): Promise<Membership> {
  return await join(socket, planOf(options));
}

/** Checks what to join. */
export function planOf(options: JoinOptions): JoinPlan {
  const { group: given, source, interface: where } = object(
    options,
    "Cannot join a group: the options",
    "{ group }",
  ) as Partial<JoinOptions>;
  const group = groupOf(given);
  const doing = `Cannot join group ${shown(given)}`;
  const sources = source === undefined
    ? []
    : Array.isArray(source)
    ? sourcesOf(source, group, doing)
    : [sourceOf(source, group, doing)];
  if (Array.isArray(source) && sources.length === 0) {
    throw new RangeError(`${doing}: source is an empty array, it must name a sender`);
  }
  return { group, sources, selectors: selectorsOf(where, group, doing), doing };
}

function selectorsOf(
  where: JoinOptions["interface"],
  group: Group,
  doing: string,
): readonly (InterfaceSelector | undefined)[] | null {
  if (where === undefined) {
    if (group.zone === null) return [undefined];
    return [/^[0-9]+$/.test(group.zone) ? Number(group.zone) : group.zone];
  }
  if (group.zone !== null) throw new TypeError(`${doing}: the interface is given twice, by the zone and by interface`);
  if (typeof where === "object" && (where as { all?: unknown } | null)?.all === true) return null;
  const list: readonly unknown[] = Array.isArray(where) ? where : [where];
  if (list.length === 0) throw new RangeError(`${doing}: interface is an empty array, it must name an interface`);
  for (const one of list) {
    if (typeof one === "string" || typeof one === "number") continue;
    const all = list === where ? "" : ", or { all: true } alone";
    throw new TypeError(`${doing}: the interface is ${shown(one)}, it must be a name, an index or an address${all}`);
  }
  return list as readonly InterfaceSelector[];
}

/** Joins by FFI where it is granted, else by Deno's own calls. */
export async function join(socket: SocketLike, plan: JoinPlan): Promise<KernelMembership | DenoMembership> {
  if ((typeof socket !== "object" && typeof socket !== "function") || socket === null) {
    throw new TypeError(`${plan.doing}: the socket is ${shown(socket)}, it must be a UDP socket`);
  }
  if (!ffiGranted()) {
    const conn = denoConn(socket);
    const { selectors, sources } = plan;
    if (conn !== null && sources.length === 0 && selectors !== null) return await joinByDeno(conn, plan, selectors);
    const what = conn === null
      ? "on a socket that Deno's own calls do not take"
      : sources.length > 0
      ? "from chosen sources"
      : "on every interface";
    // Refuses, unless somebody is there to be asked and grants it.
    libc(`${plan.doing} ${what}`);
  }
  return joinByKernel(socket, plan);
}

function denoConn(socket: SocketLike): Deno.DatagramConn | null {
  return "joinMulticastV4" in socket && "joinMulticastV6" in socket ? socket : null;
}

async function joinByDeno(
  conn: Deno.DatagramConn,
  { group, doing }: JoinPlan,
  selectors: readonly (InterfaceSelector | undefined)[],
): Promise<DenoMembership> {
  checkNet(group.text, (conn.addr as Deno.NetAddr).port, doing);
  const parts: (Deno.MulticastV4Membership | Deno.MulticastV6Membership)[] = [];
  try {
    for (const selector of selectors) {
      if (group.family === "inet") {
        const address = formatIp(ipv4AddressOf(selector, doing));
        parts.push(
          await (conn instanceof UdpSocket
            ? conn.joinMulticastV4(group.text, address)
            : joinV4(conn, group.text, address)),
        );
      } else {
        const index = typeof selector === "number"
          ? selector
          : selector === undefined
          ? choiceOf(group, doing)
          : interfaceIndexOf(selector, doing);
        parts.push(
          await (conn instanceof UdpSocket ? conn.joinMulticastV6(group.text, index) : joinV6(conn, group.text, index)),
        );
      }
    }
  } catch (error) {
    // What was joined is left; that it could not be joined everywhere is what the caller is told.
    await Promise.allSettled(parts.map((part) => part.leave()));
    throw error;
  }
  return new DenoMembership(group, selectors.filter((one) => one !== undefined).map(String), parts);
}

function joinByKernel(socket: SocketLike, plan: JoinPlan): KernelMembership {
  const { group, sources, selectors, doing } = plan;
  const found = descriptorOf(socket, doing);
  refuseSocket(socket, found, group, doing);
  checkNet(group.text, (addressOf(found.fd, "local") as { port: number }).port, doing);
  const filter: KernelFilter = { mode: sources.length === 0 ? "exclude" : "include", sources };
  if (selectors === null) return joinAll(socket, found, group, filter, doing);
  const indices = selectors.map((selector) => interfaceIndexOf(selector, doing));
  const twice = indices.find((index, i) => indices.indexOf(index) !== i);
  if (twice !== undefined) {
    throw new TypeError(`${doing}: interface ${shown(interfaceNameOf(twice) ?? "")} is given twice`);
  }
  const places: Place[] = [];
  try {
    for (const index of indices) {
      places.push(
        index === 0
          ? joinSomewhere(socket, found, group, filter, doing)
          : joinThere(socket, found, group, filter, index, doing),
      );
    }
  } catch (error) {
    for (const { index } of places) {
      leaveGroup(found, group.bytes, index, doing);
      leaveScope(socket, group, index);
    }
    throw error;
  }
  return new KernelMembership(socket, group, places, filter);
}

/** Joins wherever it can be, now and later. */
function joinAll(
  socket: SocketLike,
  found: Descriptor,
  group: Group,
  filter: KernelFilter,
  doing: string,
): KernelMembership {
  // Listens first: nothing that appears meanwhile is missed.
  const machine = watch(doing, false);
  try {
    const places: Place[] = [];
    let refusal: unknown;
    for (const { index } of machine.list().filter(canMulticast)) {
      try {
        places.push(joinThere(socket, found, group, filter, index, doing));
      } catch (error) {
        refusal ??= error;
      }
    }
    if (places.length === 0) {
      throw refusal ?? new Deno.errors.NotFound(`${doing}: this machine has no interface that can multicast`);
    }
    const membership = new KernelMembership(socket, group, places, filter);
    follow(socket, found, membership, machine);
    return membership;
  } catch (error) {
    machine.close();
    throw error;
  }
}

/** Refuses what can never hear the group. */
function refuseSocket(socket: SocketLike, found: Descriptor, group: Group, doing: string): void {
  const is = (value: number, names: readonly ConstantName[]) => names.some((name) => constant(name, OS!) === value);
  if (!is(found.family, ["AF_INET", "AF_INET6"]) || !is(found.type, ["SOCK_DGRAM", "SOCK_RAW"])) {
    throw new Deno.errors.NotSupported(`${doing} on ${describe(found)}: the socket must be a UDP or raw socket`);
  }
  const carries = group.family === "inet"
    ? is(found.family, ["AF_INET"]) || !IPV6_V6ONLY.get(socket)
    : is(found.family, ["AF_INET6"]);
  if (carries) {
    const local = addressOf(found.fd, "local");
    const ip = local === null || !("hostname" in local) ? null : parseIp(local.hostname);
    // Datagrams to the group are not to that address. Windows goes by the membership alone.
    if (
      OS === "windows" || ip === null || isUnspecified(ip.bytes) || group.bytes.every((byte, i) => byte === ip.bytes[i])
    ) {
      return;
    }
    throw new Deno.errors.NotSupported(
      `${doing} on ${describe(found)}: the socket hears ${
        isGroup(ip.bytes) ? "the group it is bound to" : "its own address"
      } alone; bind it to ${group.family === "inet" ? '"0.0.0.0"' : '"::"'} or to the group`,
    );
  }
  throw new Deno.errors.NotSupported(
    `${doing} on ${describe(found)}: the group is of ${
      group.family === "inet" ? "IPv4, the socket of IPv6 alone" : "IPv6, the socket of IPv4"
    }; ` +
      `bind it to ${group.family === "inet" ? '"0.0.0.0"' : '"::"'}`,
  );
}

function joinThere(
  socket: SocketLike,
  found: Descriptor,
  group: Group,
  filter: KernelFilter,
  index: number,
  doing: string,
): Place {
  // The kernel would add a source to the filter of the membership there is, or turn one for any sender into one for it.
  if (canReadFilters() && readFilter(found, group.bytes, index, doing) !== null) throw joinedAlready(doing);
  joinAt(socket, group, filter, index, doing);
  return { index, name: interfaceNameOf(index) };
}

/** Joins where the kernel chooses, and finds out where that was. */
function joinSomewhere(
  socket: SocketLike,
  found: Descriptor,
  group: Group,
  filter: KernelFilter,
  doing: string,
): Place {
  if (!canReadFilters()) {
    const index = choiceOf(group, doing);
    joinAt(socket, group, filter, index, doing);
    return { index, name: index === 0 ? null : interfaceNameOf(index) };
  }
  const all = listInterfaces(doing);
  const filters = () => new Map(all.map(({ index }) => [index, readFilter(found, group.bytes, index, doing)]));
  const before = filters();
  joinAt(socket, group, filter, 0, doing);
  const after = filters();
  const place = all.find(({ index }) => before.get(index) === null && after.get(index) !== null);
  if (place !== undefined) {
    widenScope(socket, group, place.index);
    return { index: place.index, name: place.name };
  }
  // It was joined there already, and the sources went into its filter.
  for (const [index, filter] of before) {
    if (filter !== null) restoreAt(socket, found, group, filter, index, doing);
  }
  throw joinedAlready(doing);
}

/** The index to join with where the user named none: 0 is the system's choice, but macOS makes none for IPv6. */
function choiceOf({ family }: Group, doing: string): number {
  return family === "inet6" && OS === "darwin" ? firstLinked(listInterfaces(doing))?.index ?? 0 : 0;
}

/** The first interface of a list that has a link to others and speaks IPv6 there. */
export function firstLinked(interfaces: readonly NetworkInterface[]): NetworkInterface | undefined {
  return interfaces.find(({ up, loopback, addresses }) =>
    up && !loopback && addresses.some(({ hostname }) => /^fe[89ab]/.test(hostname))
  );
}

function joinedAlready(doing: string): Error {
  const error = new Deno.errors.AddrInUse(
    `${doing}: EADDRINUSE (address already in use); ${JOIN_REMEDIES.EADDRINUSE}: its Membership can change the sources`,
  );
  return Object.assign(error, { code: "EADDRINUSE", errno: errnoNumber("EADDRINUSE"), syscall: "setsockopt" });
}
