// Why nothing arrives: one check after the other, each with what was found and what to do.
// What is read of the system in files: silence_facts.ts. Filters: internal/membership.ts. Routes: internal/rtnetlink.ts.
import { object, port as portOf, shown } from "../internal/argument.ts";
import { constant, type ConstantName } from "../internal/constants.ts";
import { addressOf, describe, type Descriptor, descriptorOf } from "../internal/descriptor.ts";
import { canReadFilters, isFiltered, type KernelFilter, readFilter } from "../internal/membership.ts";
import { interfaceIndexOf, listInterfaces, type NetworkInterface } from "../internal/netif.ts";
import { OS, OS_NAME } from "../internal/os.ts";
import { routeTo } from "../internal/rtnetlink.ts";
import { type InetAddress, isGroup, isMapped, isUnspecified, parseIp, showAddress } from "../internal/sockaddr.ts";
import {
  type InterfaceSelector,
  IP_MULTICAST_ALL,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  IPV6_V6ONLY,
  SO_BINDTOIFINDEX,
  SO_MEMINFO,
  SO_NETNS_COOKIE,
  type SocketLike,
} from "../options/mod.ts";
import { canMulticast } from "./follow.ts";
import { type Group, groupOf, isLinkScoped, sourceOf } from "./group.ts";
import { getScope } from "./scope.ts";
import { forcedVersion, joinedOnMachine, querierVersion, reversePathFilter } from "./silence_facts.ts";

/** A fact that explains silence, or rules out a reason for it. */
export interface MulticastFinding {
  /** What was checked. */
  readonly check:
    | "membership"
    | "interface"
    | "bind"
    | "port"
    | "hopLimit"
    | "loopback"
    | "source"
    | "link"
    | "route"
    | "reversePath"
    | "igmpVersion"
    | "drops"
    | "firewall";
  /** Found at fault, in order, or not knowable from here. */
  readonly verdict: "fault" | "fine" | "unknown";
  /** What was found, and what to do. */
  readonly message: string;
}

/** What a check finds. */
type Judgement = Pick<MulticastFinding, "verdict" | "message">;

function fault(message: string): Judgement {
  return { verdict: "fault", message };
}

function fine(message: string): Judgement {
  return { verdict: "fine", message };
}

function unknown(message: string): Judgement {
  return { verdict: "unknown", message };
}

/** Where the socket has joined, with which filter. */
interface Joined {
  readonly at: NetworkInterface;
  readonly filter: KernelFilter;
}

/** What all checks look at. */
interface Scene {
  readonly receiver: SocketLike;
  readonly found: Descriptor;
  readonly doing: string;
  readonly group: Group;
  readonly port: number | undefined;
  /** The sender's address: as given, or that of the sending socket. */
  readonly source: string | null;
  readonly sender: SocketLike | undefined;
  /** Whether the sender is in another network namespace, which is as another machine. */
  readonly elsewhere: boolean;
  /** The interface by which the sender was told to send: 0 when it does not say which; null when it was told none. */
  readonly chosen: number | null;
  readonly local: InetAddress | null;
  readonly remote: InetAddress | null;
  readonly interfaces: readonly NetworkInterface[];
  /** The interface in question; null when nobody said. */
  readonly wanted: NetworkInterface | null;
  readonly joined: readonly Joined[];
  /** The interfaces by which the group is expected. */
  readonly expected: readonly NetworkInterface[];
}

const CHECKS: readonly (readonly [MulticastFinding["check"], (scene: Scene) => Judgement])[] = [
  ["membership", membership],
  ["interface", whichInterface],
  ["bind", bind],
  ["port", whichPort],
  ["hopLimit", hopLimit],
  ["loopback", loopback],
  ["source", whichSource],
  ["link", link],
  ["route", route],
  ["reversePath", reversePath],
  ["igmpVersion", igmpVersion],
  ["drops", drops],
  ["firewall", firewall],
];

/**
 * Tells why nothing arrives on a socket: checks one thing after the other, and says of each what was found and what to do.
 * It changes nothing, sends nothing and opens nothing that stays open.
 *
 * The checks, always all and in this order: whether the group is joined; on the right interface; how the socket is bound
 * and connected; the port; the sender's hop limit and loopback flag, when `sender` is given; whether its filter lets the
 * source pass; whether the link is up and can multicast; routes; the reverse path filter of Linux (`rp_filter`); IGMP or
 * MLD versions that cannot ask for sources; datagrams dropped for want of room; and firewalls, which are always "unknown".
 *
 * The more is given, the less is "unknown". Settings that the system shows in files under /proc alone are "unknown"
 * without `--allow-all`, which Deno wants for them. Linux; needs `--allow-ffi`.
 *
 * @param receiver The socket that hears nothing.
 * @param options The group; the port it is sent to; the interface by which it should come; the address of the sender; the
 * sending socket, when it is at hand.
 * @returns The findings.
 * @throws {SyntaxError} The group or the source is no address.
 * @throws {RangeError} The group is no multicast address; the port is out of range.
 * @throws {Deno.errors.NotFound} There is no such interface.
 * @throws {Deno.errors.NotSupported} The socket is no UDP and no raw socket; or this is not Linux.
 * @throws {Deno.errors.BadResource} A socket is closed.
 * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
 *
 * @example A socket that never joined
 * ```ts
 * import { explainMulticast } from "@berkeley/sockets/multicast";
 * import { bindUdp } from "@berkeley/sockets/udp";
 * import { assertEquals } from "@std/assert";
 *
 * using socket = bindUdp();
 * const { port } = socket.addr;
 * const faults = explainMulticast(socket, { group: "239.0.0.1", port, interface: "127.0.0.1" })
 *   .filter(({ verdict }) => verdict === "fault");
 * assertEquals(faults.map(({ check }) => check), ["membership"]);
 * ```
 */
export function explainMulticast(
  receiver: SocketLike,
  options: {
    group: string;
    port?: number;
    interface?: InterfaceSelector;
    source?: string;
    sender?: SocketLike;
  },
): MulticastFinding[] {
  const scene = look(receiver, options);
  return CHECKS.map(([check, judge]) => ({ check, ...judge(scene) }));
}

function look(receiver: SocketLike, options: Parameters<typeof explainMulticast>[1]): Scene {
  const given = object(options, "Cannot explain the silence of a group: the options", "{ group }") as typeof options;
  const group = groupOf(given.group);
  const doing = `Cannot explain the silence of group ${shown(given.group)}`;
  if (!canReadFilters()) throw new Deno.errors.NotSupported(`${doing}: not possible on ${OS_NAME}`);
  const found = datagramSocket(receiver, "the receiver", doing);
  const { sender } = given;
  const sending = sender === undefined ? null : datagramSocket(sender, "the sender", doing);
  const port = given.port === undefined ? undefined : portOf(given.port, `${doing}: the port`);
  if (given.interface !== undefined && group.zone !== null) {
    throw new TypeError(`${doing}: the interface is given twice, by the zone and by interface`);
  }
  const selector = given.interface ?? zoneOf(group);
  const interfaces = listInterfaces(doing);
  const elsewhere = sender !== undefined && areApart(sender, receiver);
  // What it was told there is no interface of this machine.
  const chosen = sender === undefined ? null : elsewhere ? 0 : chosenBy(sender, group, interfaces);
  const index = selector === undefined ? chosen : interfaceIndexOf(selector, doing);
  const wanted = interfaces.find((one) => one.index === index) ?? null;
  const strange = group.family === "inet6" && !is6(found);
  const joined = interfaces.flatMap((at): Joined[] => {
    if (strange) return [];
    const filter = readFilter(found, group.bytes, at.index, doing);
    return filter === null ? [] : [{ at, filter }];
  });
  return {
    receiver,
    found,
    doing,
    group,
    port,
    source: given.source === undefined ? sending && ownAddress(sending) : sourceOf(given.source, group, doing),
    sender,
    elsewhere,
    chosen,
    local: addressOf(found.fd, "local") as InetAddress | null,
    remote: addressOf(found.fd, "remote") as InetAddress | null,
    interfaces,
    wanted,
    joined,
    expected: wanted === null ? joined.map(({ at }) => at) : [wanted],
  };
}

/** Whether two sockets are in different network namespaces, as far as the kernel tells (Linux 5.14). */
function areApart(one: SocketLike, other: SocketLike): boolean {
  try {
    return SO_NETNS_COOKIE.get(one) !== SO_NETNS_COOKIE.get(other);
  } catch (error) {
    // Of one program, most likely they are not.
    if (error instanceof Deno.errors.NotSupported) return false;
    throw error;
  }
}

function datagramSocket(socket: SocketLike, what: string, doing: string): Descriptor {
  if ((typeof socket !== "object" && typeof socket !== "function") || socket === null) {
    throw new TypeError(`${doing}: ${what} is ${shown(socket)}, it must be a UDP or raw socket`);
  }
  const found = descriptorOf(socket, doing);
  const is = (value: number, names: readonly ConstantName[]) => names.some((name) => constant(name, OS!) === value);
  if (is(found.family, ["AF_INET", "AF_INET6"]) && is(found.type, ["SOCK_DGRAM", "SOCK_RAW"])) return found;
  throw new Deno.errors.NotSupported(`${doing}: ${what} is ${describe(found)}, it must be a UDP or raw socket`);
}

function zoneOf({ zone }: Group): InterfaceSelector | undefined {
  return zone === null ? undefined : /^[0-9]+$/.test(zone) ? Number(zone) : zone;
}

/** The address that a socket sends from, when it is bound to one; what is bound to a group sends from another. */
function ownAddress({ fd }: Descriptor): string | null {
  const { hostname } = addressOf(fd, "local") as InetAddress;
  const ip = parseIp(hostname)!.bytes;
  return isUnspecified(ip) || isGroup(ip)
    ? null
    : hostname.replace(/%.*/, "").replace(isMapped(ip) ? /^::ffff:/ : /^$/, "");
}

/** The index of the interface that a socket was told to send by; 0 when it does not say which; null for none. */
function chosenBy(sender: SocketLike, { family }: Group, interfaces: readonly NetworkInterface[]): number | null {
  const bound = SO_BINDTOIFINDEX.get(sender);
  if (bound !== 0) return bound;
  if (family === "inet6") return IPV6_MULTICAST_IF.get(sender) || null;
  const address = IP_MULTICAST_IF.get(sender);
  const has = ({ addresses }: NetworkInterface) => addresses.some(({ hostname }) => hostname === address);
  if (address !== "0.0.0.0") {
    const [one, another] = interfaces.filter(has);
    return another === undefined ? one?.index ?? 0 : 0;
  }
  // One that was named by its index and has no address reads as none.
  const bare = (one: NetworkInterface) =>
    one.up && canMulticast(one) && one.addresses.every(({ family }) => family !== "inet");
  return interfaces.some(bare) ? 0 : null;
}

/** Names of interfaces, for messages. */
function names(list: readonly NetworkInterface[]): string {
  return list.map(({ name }) => name).join(", ") || "none";
}

function membership({ receiver, group, joined }: Scene): Judgement {
  if (joined.length > 0) return fine(`joined on ${names(joined.map(({ at }) => at))}`);
  const option = group.family === "inet" ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL;
  const others = joinedOnMachine(group.bytes);
  if (others !== null && others.length > 0 && option.get(receiver)) {
    return fine(
      `this socket has not joined, but other sockets of this machine have, on ${
        others.join(", ")
      }, and it hears what they ` +
        `do (${option.name} is on): do not rely on that, joinGroup() makes sure`,
    );
  }
  return fault(`this socket has joined the group on no interface, or includes no sender: call joinGroup()`);
}

function whichInterface({ receiver, found, group, interfaces, wanted, joined }: Scene): Judgement {
  if (joined.length === 0) return unknown("it is joined nowhere");
  const here = names(joined.map(({ at }) => at));
  const bound = SO_BINDTOIFINDEX.get(receiver);
  const heard = bound === 0 ? joined : joined.filter(({ at }) => at.index === bound);
  const boundTo = interfaces.find(({ index }) => index === bound)?.name ?? `index ${bound}`;
  if (heard.length === 0 || (bound !== 0 && wanted !== null && wanted.index !== bound)) {
    return fault(
      `the socket is bound to interface ${boundTo} (SO_BINDTODEVICE) and hears nothing else, but the group is joined on ` +
        `${here}${wanted === null ? "" : ` and expected on ${wanted.name}`}: bind it to that interface, or to none`,
    );
  }
  if (wanted === null) {
    const others = interfaces.filter((one) => canMulticast(one) && !joined.some(({ at }) => at.index === one.index));
    if (others.length === 0) return fine(`joined on every interface: ${here}`);
    return unknown(`joined on ${here}, so not heard on ${names(others)}: give \`interface\`, by which it should come`);
  }
  if (joined.some(({ at }) => at.index === wanted.index)) return fine(`joined on ${wanted.name}`);
  // IPv6 asks whether anybody has joined there, and then whether this socket has joined anywhere.
  if (is6(found) && group.family === "inet6" && !isLinkScoped(group) && !getScope(receiver)?.indices) {
    if (joinedOnMachine(group.bytes)?.includes(wanted.name)) {
      return fine(`joined on ${here}; heard on ${wanted.name} as well, as another socket has joined there`);
    }
  }
  return fault(
    `joined on ${here}, but expected on ${wanted.name}: join there too, joinGroup({ interface: ${
      shown(wanted.name)
    } }), ` +
      `or everywhere with { all: true }`,
  );
}

function is6({ family }: Descriptor): boolean {
  return family === constant("AF_INET6", "linux");
}

function bind({ receiver, found, group, local, remote, source }: Scene): Judgement {
  const wildcard = group.family === "inet" ? '"0.0.0.0"' : '"::"';
  if (is6(found) ? group.family === "inet" && IPV6_V6ONLY.get(receiver) : group.family === "inet6") {
    const kind = is6(found) ? "IPv6 alone" : "IPv4";
    return fault(`the socket is of ${kind}, the group is not: bind one to ${wildcard} or to the group`);
  }
  if (remote !== null) {
    const peer = bytesOf(remote);
    if (source === null || !sameIp(peer, parseIp(source)!.bytes)) {
      const from = `connected to ${showAddress(remote)}, and hears only what comes from there`;
      return source === null && !sameIp(peer, group.bytes)
        ? unknown(`the socket is ${from}: give \`source\`, the address of the sender`)
        : fault(`the socket is ${from}: do not connect a socket that shall hear a group`);
    }
  }
  const scope = getScope(receiver);
  if (scope?.wide && scope.group.text !== group.text) {
    return fault(
      `the socket listens to group ${scope.group.text}, and filters out all else: use another one for this group`,
    );
  }
  if (local === null || isUnspecified(bytesOf(local))) return fine("bound to the wildcard, which hears every group");
  if (sameIp(bytesOf(local), group.bytes)) return fine("bound to the group");
  const { hostname } = local;
  return fault(
    `the socket is bound to ${hostname} and hears only what is sent there: bind it to ${wildcard} or to the group`,
  );
}

/** An address without the clothes of IPv6. */
function bytesOf({ hostname }: InetAddress): Uint8Array {
  const ip = parseIp(hostname)!.bytes;
  return isMapped(ip) ? ip.subarray(12) : ip;
}

function sameIp(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

function whichPort({ found, port, local }: Scene): Judgement {
  if (found.type === constant("SOCK_RAW", "linux")) return fine("a raw socket hears every port");
  const own = local?.port ?? 0;
  if (own === 0) return fault("the socket is not bound to a port: bind it to the port that is sent to");
  if (port === undefined) return unknown(`the socket hears port ${own}: give \`port\`, the one that is sent to`);
  if (own === port) return fine(`bound to port ${port}`);
  return fault(`the socket hears port ${own}, but port ${port} is sent to: bind it to ${port}`);
}

function hopLimit({ group, sender, elsewhere }: Scene): Judgement {
  if (sender === undefined) return unknown("give `sender`; elsewhere, see that its multicast hop limit reaches here");
  const option = group.family === "inet" ? IP_MULTICAST_TTL : IPV6_MULTICAST_HOPS;
  const hops = option.get(sender);
  if (hops === 0) {
    if (!elsewhere) return fine("0: reaches the sender's own machine alone, where the receiver is too");
    // Linux lets it out all the same, as long as nobody has joined on the sender's own machine.
    return fault(`${option.name} of the sender is 0: what it sends is not to leave its machine, set at least 1`);
  }
  return fine(hops === 1 ? "1: reaches its own link, and no router passes it on" : `${hops}`);
}

function loopback({ group, sender, elsewhere, chosen, interfaces, expected }: Scene): Judgement {
  if (sender === undefined) return unknown("give `sender`, when it is on this machine");
  if (elsewhere) return fine("the sender is in another network namespace, where it matters to others alone");
  const option = group.family === "inet" ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP;
  if (option.get(sender)) return fine("on: the sender's own machine hears it too");
  const by = chosen ? interfaces.filter(({ index }) => index === chosen) : expected;
  // What goes out by that interface comes in by it, as all it carries does.
  if (by.length > 0 && by.every((one) => one.loopback)) return fine(`off, which ${names(by)} does not heed`);
  return fault(`${option.name} of the sender is off: no socket of its own machine hears it, switch it on`);
}

function whichSource({ source, joined, expected }: Scene): Judgement {
  const heard = joined.filter(({ at }) => expected.some(({ index }) => index === at.index));
  if (heard.length === 0) return unknown("it is not joined where it should come");
  const picky = heard.filter(({ filter }) => filter.mode === "include" || filter.sources.length > 0);
  if (picky.length === 0) return fine("every sender is heard");
  const { at, filter: { mode, sources } } = picky[0]!;
  const list = sources.join(", ");
  if (source === null) {
    const what = mode === "include" ? `heard on ${at.name} are only ${list}` : `blocked on ${at.name} are ${list}`;
    return unknown(`${what}: give \`source\`, the address of the sender`);
  }
  const bytes = parseIp(source)!.bytes;
  const shut = picky.filter(({ filter }) =>
    filter.sources.some((one) => sameIp(parseIp(one)!.bytes, bytes)) === (filter.mode === "exclude")
  );
  if (shut.length === 0) return fine(`${source} passes the filter`);
  const where = names(shut.map(({ at }) => at));
  return shut[0]!.filter.mode === "exclude" ? fault(`${source} is blocked on ${where}: call unblockSource()`) : fault(
    `${source} is not among the senders that are included on ${where}, ${list}: call unblockSource() or setSources()`,
  );
}

function link({ expected }: Scene): Judgement {
  if (expected.length === 0) return unknown("no interface is known by which it should come: give `interface`");
  const down = expected.filter(({ up }) => !up);
  if (down.length > 0) {
    return fault(`${names(down)} is down or has no link: switch it on (ip link set ... up), look at the cable`);
  }
  const deaf = expected.filter((one) => !canMulticast(one));
  if (deaf.length > 0) {
    return fault(`${names(deaf)} does not multicast: switch that on (ip link set ... multicast on), or use another`);
  }
  return fine(`${names(expected)}: up, with multicast`);
}

function route({ doing, group, joined, wanted, sender, chosen, source, interfaces, expected }: Scene): Judgement {
  if (sender !== undefined && chosen === null && routeTo(group.bytes, doing) === "none") {
    return fault(
      "this machine has no route to the group, and the sender was told no interface: set multicast.interface, or add a route",
    );
  }
  if (joined.length === 0 && wanted === null && routeTo(group.bytes, doing) === "none") {
    return fault("this machine has no route to the group, by which a join without an interface would choose: name one");
  }
  if (source !== null && !isOwn(source, interfaces) && !isLinkLocal(source)) {
    const way = routeTo(parseIp(source)!.bytes, doing);
    // With the filter off the kernel delivers all the same.
    if (way === "none" && !(group.family === "inet6" || expected.every(({ name }) => reversePathFilter(name) === 0))) {
      return fault(`this machine has no route back to ${source}, and drops what comes from there: add a route`);
    }
    if (way === null) return unknown(`whether a route leads back to ${source} cannot be asked here`);
    if (way === "none") return fine(`no route leads back to ${source}, which hearing it does not need`);
  }
  return fine("no route is missing");
}

function isOwn(source: string, interfaces: readonly NetworkInterface[]): boolean {
  return interfaces.some(({ addresses }) => addresses.some(({ hostname }) => hostname.replace(/%.*/, "") === source)) ||
    source.startsWith("127.");
}

function isLinkLocal(source: string): boolean {
  return /^fe[89ab]/.test(source);
}

function reversePath({ doing, group, source, interfaces, expected }: Scene): Judgement {
  if (group.family === "inet6") return fine("IPv6 has none but in a firewall");
  if (expected.length === 0) return unknown("no interface is known by which it should come: give `interface`");
  const filters = expected.map((at) => ({ at, filter: reversePathFilter(at.name) }));
  if (filters.every(({ filter }) => filter === 0)) return fine("rp_filter is off");
  if (source === null) {
    return unknown("rp_filter is on, or not to be read without --allow-all: give `source`, the address of the sender");
  }
  if (isOwn(source, interfaces)) return fine(`${source} is this machine itself`);
  const way = routeTo(parseIp(source)!.bytes, doing);
  const back = way === "none" ? "nowhere" : interfaces.find(({ index }) => index === way)?.name ?? "nobody knows where";
  // Whatever the filter is, the strict one would let it pass.
  if (expected.every(({ index }) => index === way)) return fine(`the way back to ${source} is ${back}, as it must be`);
  const strict = filters.filter(({ at, filter }) => filter === 1 && at.index !== way);
  const loose = filters.filter(({ filter }) => filter === 2 && way === "none");
  if (strict.length > 0 || loose.length > 0) {
    const [{ at, filter }] = [...strict, ...loose] as [typeof filters[number]];
    return fault(
      `rp_filter of ${at.name} is ${filter}, and the way back to ${source} is ${back}: what comes from there by ${at.name} ` +
        `is dropped; add a route, or set net.ipv4.conf.${at.name}.rp_filter and net.ipv4.conf.all.rp_filter to ` +
        `${way === "none" ? 0 : 2}`,
    );
  }
  if (filters.some(({ filter }) => filter === null)) {
    return unknown(
      `the way back to ${source} is ${back}; rp_filter is not to be read without --allow-all: ` +
        `sysctl net.ipv4.conf.${expected[0]!.name}.rp_filter tells, 1 would drop it`,
    );
  }
  return fine(`rp_filter lets pass what has a way back, and ${source} has: ${back}`);
}

function igmpVersion({ group, joined, expected }: Scene): Judgement {
  if (expected.length === 0) return unknown("no interface is known by which it should come: give `interface`");
  const [protocol, newest] = group.family === "inet" ? ["IGMP", 3] as const : ["MLD", 2] as const;
  const key = (name: string) =>
    group.family === "inet" ? `net.ipv4.conf.${name}.force_igmp_version` : `net.ipv6.conf.${name}.force_mld_version`;
  const versions = expected.map(({ name }) => ({ name, forced: forcedVersion(group.family, name) }));
  const old = versions.find(({ forced }) => forced !== null && forced > 0 && forced < newest);
  if (old !== undefined) {
    return fault(
      `${protocol} is forced to version ${old.forced} on ${old.name}, which cannot ask for senders and which newer routers ` +
        `and switches may ignore: set ${key(old.name)} and ${key("all")} to 0`,
    );
  }
  if (versions.some(({ forced }) => forced === null)) {
    return unknown(`it is not to be read without --allow-all: sysctl ${key(versions[0]!.name)} tells, 0 is right`);
  }
  const picky = joined.some(({ filter }) => filter.mode === "include" || filter.sources.length > 0);
  const asked = versions.map(({ name }) => ({ name, version: querierVersion(group.family, name) }))
    .find(({ version }) => version !== null && version < newest);
  if (picky && asked !== undefined) {
    return fault(
      `a router on the link of ${asked.name} asks in ${protocol} version ${asked.version}, so nobody is told which senders ` +
        `are wanted: have it speak version ${newest}`,
    );
  }
  return fine(`${protocol} version ${asked?.version ?? newest}`);
}

function drops({ receiver, found, doing }: Scene): Judgement {
  const count = SO_MEMINFO.get(receiver)[constant("SK_MEMINFO_DROPS", "linux")] ?? 0;
  if (count === 0) return fine("none");
  // The kernel counts both as one.
  if (isFiltered(found, doing)) {
    return unknown(
      `${count} datagrams were dropped, by the packet filter of the socket (SO_ATTACH_FILTER) or for want of room`,
    );
  }
  return fault(
    `${count} datagrams were dropped, most likely for want of room: read faster, or raise receiveBufferSize (SO_RCVBUF)`,
  );
}

function firewall(): Judgement {
  return unknown("nobody can see a firewall from here: look at nft list ruleset, and at those of sender and network");
}
