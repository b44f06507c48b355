// Opens UDP sockets: checks the options, chooses the engine, sets what is to be set before bind or after it.
// What the socket then does: socket.ts. What the options are: types.ts.
import { boolean, integer, object, port as portOf, shown, text } from "../internal/argument.ts";
import { decorated } from "../internal/deno_error.ts";
import { lowestFree, note } from "../internal/descriptor.ts";
import { failed, lastErrno, systemErrorOf } from "../internal/errno.ts";
import { ffiGranted, notCapable } from "../internal/ffi.ts";
import { lookUp, lookUpNow } from "../internal/getaddrinfo.ts";
import { libc } from "../internal/libc.ts";
import { libcIo } from "../internal/libc_io.ts";
import { OS, OS_NAME } from "../internal/os.ts";
import { checkNet, checkResolved } from "../internal/permission.ts";
import { encodeAddress, isMapped, isUnspecified, parseIp } from "../internal/sockaddr.ts";
import { SOCKOPT } from "../internal/sockopt.ts";
import {
  type InterfaceSelector,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IP_TOS,
  IP_TTL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_LOOP,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
  type OptionSetting,
  SO_BROADCAST,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  type SocketLike,
  UDP_GRO,
} from "../options/mod.ts";
import { Socket } from "../socket/socket.ts";
import { BIND_REMEDIES, isClosed } from "./engine.ts";
import { fieldsOf, switchOn } from "./metadata.ts";
import { sendBy } from "./multicast_interface.ts";
import { NativeEngine } from "./native.ts";
import { type DenoDatagramConn, PortableEngine } from "./portable.ts";
import { type UdpSocket, wrapEngine } from "./socket.ts";
import type { BindUdpOptions, ConnectUdpOptions, DatagramField, MulticastSendOptions } from "./types.ts";

/** Linux doubles the size, in an int. */
const BUFFER_BYTES = 0x3fff_ffff;
/** A second: who looks longer does not wait. In microseconds. */
const SPIN_MAX = 1_000_000;

type Family = "inet" | "inet6";

/** One thing to set, before bind on a socket of our own, after it on one of Deno's. */
interface Step {
  /** What the user wrote. */
  readonly said: string;
  /** Sets it; `families` are those of the packets that the socket can send. */
  apply(socket: SocketLike, families: readonly Family[]): void;
}

/** What a socket is to be, checked. */
interface Plan {
  /** The beginning of messages. */
  readonly doing: string;
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  readonly ipv6Only: boolean;
  /** Multicast that is sent comes back; Deno sets it for the family of the socket. */
  readonly loopback: boolean;
  readonly fields: readonly DatagramField[];
  readonly gro: boolean;
  readonly spin: number | "adaptive";
  readonly steps: readonly Step[];
  readonly settings: readonly OptionSetting[];
  readonly signal: AbortSignal | undefined;
}

/** The C names that each field sets; given in `options` as well, they would be said twice. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  reuseAddress: ["SO_REUSEADDR"],
  reusePort: ["SO_REUSEPORT"],
  ipv6Only: ["IPV6_V6ONLY"],
  gro: ["UDP_GRO"],
  broadcast: ["SO_BROADCAST"],
  receiveBufferSize: ["SO_RCVBUF", "SO_RCVBUFFORCE"],
  sendBufferSize: ["SO_SNDBUF", "SO_SNDBUFFORCE"],
  dscp: ["IP_TOS", "IPV6_TCLASS"],
  hopLimit: ["IP_TTL", "IPV6_UNICAST_HOPS"],
  "multicast.interface": ["IP_MULTICAST_IF", "IPV6_MULTICAST_IF"],
  "multicast.hopLimit": ["IP_MULTICAST_TTL", "IPV6_MULTICAST_HOPS"],
  "multicast.loopback": ["IP_MULTICAST_LOOP", "IPV6_MULTICAST_LOOP"],
};

/** Each of these adds to what there is. */
const REPEATABLE: ReadonlySet<string> = new Set([
  "IP_ADD_MEMBERSHIP",
  "IP_ADD_SOURCE_MEMBERSHIP",
  "IP_BLOCK_SOURCE",
  "IPV6_JOIN_GROUP",
  "MCAST_JOIN_GROUP",
  "MCAST_JOIN_SOURCE_GROUP",
  "MCAST_BLOCK_SOURCE",
]);

/**
 * Opens a UDP socket at an address of this machine.
 *
 * With `--allow-ffi` on Linux it is a socket of this library's own, to which every option is applied before it is bound, and
 * `--unstable-net` is not needed. Otherwise `Deno.listenDatagram` does the work, and the program must run with
 * `--unstable-net`; what needs `--allow-ffi` is said with each option, and throws before anything is opened. If an option
 * cannot be set, the socket is closed again. A host name is looked up synchronously, as in `Deno.listen`.
 *
 * @typeParam F The fields of `metadata`.
 * @param options The address, and what to set.
 * @returns The socket, bound and ready.
 * @throws {TypeError} An option is of the wrong kind, or given twice.
 * @throws {RangeError} An option is out of range.
 * @throws {SystemError} The system refuses the address or an option: `Deno.errors.AddrInUse` with code "EADDRINUSE",
 * `Deno.errors.PermissionDenied` with "EACCES" for a port below 1024, and others of bind(2).
 * @throws {Deno.errors.NotCapable} `--allow-net` does not cover the address, or `--allow-ffi` is missing for an option.
 * @throws {Deno.errors.NotSupported} The system or the kernel lacks an option; or both `--allow-ffi` and `--unstable-net`
 * are missing.
 *
 * @example A socket for telephony
 * ```ts
 * import { bindUdp } from "@berkeley/sockets/udp";
 * import { IP_TOS } from "@berkeley/sockets/options";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using socket = bindUdp({ hostname: "127.0.0.1", dscp: 46, receiveBufferSize: 100_000 });
 * assertEquals(IP_TOS.get(socket), 46 << 2);
 * assert(socket.capabilities.receiveBufferSize >= 100_000);
 * ```
 */
export function bindUdp<const F extends DatagramField = never>(options: BindUdpOptions<F> = {}): UdpSocket<F> {
  object(options, "Cannot bind udp: the options", "an object");
  const hostname = text(options.hostname ?? "0.0.0.0", "Cannot bind udp: the hostname", "an address or a name");
  if (hostname === "") throw new RangeError('Cannot bind udp: the hostname is "", it must be an address or a name');
  const port = portOf(options.port ?? 0, "Cannot bind udp: the port");
  const plan = planOf(options, hostname, `Cannot bind udp ${shownHost(hostname)}:${port}`);
  plan.signal?.throwIfAborted();
  return goesNative(plan) ? bindNative(hostname, port, plan) : bindPortable(hostname, port, plan);
}

/**
 * Opens a UDP socket with one peer: it sends to the peer alone and hears of no other, and is told when nothing receives
 * there. Linux; needs `--allow-ffi`.
 *
 * The options are those of `bindUdp`, and `localAddr` takes the place of its address. A host name is looked up, and the
 * first of its addresses that has a route is the peer.
 *
 * @typeParam F The fields of `metadata`.
 * @param options The peer, the own address, and what to set.
 * @returns The socket, connected.
 * @throws {SystemError} The name is unknown; no route leads to the peer; the own address cannot be had.
 * @throws {Deno.errors.NotCapable} `--allow-net` does not cover the peer or the own address, or `--allow-ffi` is missing.
 *
 * @example A peer by name
 * ```ts
 * import { bindUdp, connectUdp } from "@berkeley/sockets/udp";
 * import { assertEquals } from "@std/assert";
 *
 * using server = bindUdp({ hostname: "127.0.0.1" });
 * using client = await connectUdp({ hostname: "127.0.0.1", port: server.addr.port });
 * await client.send(new TextEncoder().encode("hello"));
 * const [data, from] = await server.receive();
 * assertEquals(new TextDecoder().decode(data), "hello");
 * assertEquals([from, client.remoteAddr], [client.addr, server.addr]);
 * ```
 */
export async function connectUdp<const F extends DatagramField = never>(
  options: ConnectUdpOptions<F>,
): Promise<UdpSocket<F>> {
  object(options, "Cannot connect udp: the options", "{ hostname, port }");
  const hostname = text(options.hostname, "Cannot connect udp: the hostname", "an address or a name");
  if (hostname === "") throw new RangeError('Cannot connect udp: the hostname is "", it must be an address or a name');
  const port = integer(options.port, "Cannot connect udp: the port", 1, 65_535);
  const doing = `Cannot connect udp to ${shownHost(hostname)}:${port}`;
  const { localAddr = {} } = options;
  object(localAddr, `${doing}: localAddr`, "{ hostname, port }");
  const own = localAddr.hostname;
  if (own !== undefined && parseIp(text(own, `${doing}: localAddr.hostname`, "a literal address")) === null) {
    throw new SyntaxError(`${doing}: localAddr.hostname is ${shown(own)}, it must be a literal address`);
  }
  const ownPort = portOf(localAddr.port ?? 0, `${doing}: localAddr.port`);
  const literal = parseIp(hostname);
  const plan = planOf(options, own ?? (literal === null ? "::" : hostname), doing);
  plan.signal?.throwIfAborted();
  // Nothing of Deno's has a peer: whoever can be asked for FFI is asked now.
  if (!goesNative(plan)) libc(doing);
  if (!ffiGranted()) throw notCapable(doing);
  if (OS !== "linux") {
    throw new Deno.errors.NotSupported(
      `${doing}: sockets with a peer are there on Linux alone so far, this is ${OS_NAME}`,
    );
  }
  checkNet(hostname, port, doing);
  if (localAddr.hostname !== undefined || localAddr.port !== undefined) {
    checkNet(own ?? "0.0.0.0", ownPort, doing);
  }
  const peers = literal !== null
    ? [hostname]
    : (await lookUp(hostname, undefined, doing, plan.signal)).map(({ hostname }) => hostname);
  let failure: unknown;
  for (const peer of peers) {
    const inet = !peer.includes(":");
    // An IPv6 socket has IPv4 peers too, if its own address allows it.
    if (own !== undefined && !own.includes(":") && !inet) {
      failure ??= new TypeError(`${doing}: localAddr is an IPv4 address, that of the peer must be one too`);
      continue;
    }
    checkResolved(peer.replace(/%.*$/, ""), port, doing);
    let engine: NativeEngine | undefined;
    try {
      engine = open(own ?? (inet ? "0.0.0.0" : "::"), ownPort, plan);
      const to = encodeAddress(engine.socket.family, { hostname: peer, port }, doing, "linux");
      engine.connectTo(engine.descriptor(), to, doing);
      return wrapped(engine, plan);
    } catch (error) {
      engine?.close();
      failure ??= error;
      if (!ROUTELESS.has((error as { code?: string }).code ?? "")) throw error;
    }
  }
  throw failure;
}

/** Another address of the same name may have what this one lacks. */
const ROUTELESS: ReadonlySet<string> = new Set(["ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"]);

function shownHost(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** Checks the options; opens nothing. */
function planOf(options: BindUdpOptions<DatagramField>, hostname: string, doing: string): Plan {
  const { signal, spin = "adaptive" } = options;
  const plan = {
    doing,
    reuseAddress: boolean(options.reuseAddress ?? false, `${doing}: reuseAddress`),
    loopback: boolean(options.multicast?.loopback ?? true, `${doing}: multicast.loopback`),
    reusePort: boolean(options.reusePort ?? false, `${doing}: reusePort`),
    ipv6Only: boolean(options.ipv6Only ?? false, `${doing}: ipv6Only`),
    gro: boolean(options.gro ?? false, `${doing}: gro`),
    spin: spin === "adaptive" ? spin : integer(spin, `${doing}: spin`, 0, SPIN_MAX),
    fields: fieldsOf(options.metadata, doing),
    signal,
  };
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`${doing}: signal is ${shown(signal)}, it must be an AbortSignal`);
  }
  return { ...plan, steps: stepsOf(options, hostname, doing), settings: settingsOf(options, doing) };
}

/** Whether the socket is to be one of our own; asks for FFI when an option needs it. */
function goesNative(plan: Plan): boolean {
  if (ffiGranted()) return OS === "linux";
  const needed = [
    [plan.reusePort, "reusePort"],
    [plan.ipv6Only, "ipv6Only"],
    [plan.fields.length > 0, "metadata"],
    [plan.gro, "gro"],
    [typeof plan.spin === "number" && plan.spin > 0, "spin"],
    [plan.steps.length > 0, plan.steps[0]?.said],
    [plan.settings.length > 0, plan.settings[0]?.name],
  ].find(([is]) => is);
  if (needed === undefined) return false;
  // Refuses, unless somebody is there to be asked and grants it.
  libc(`${plan.doing}: ${needed[1]}`);
  // It may be open from a time when it was granted.
  if (!ffiGranted()) throw notCapable(`${plan.doing}: ${needed[1]}`);
  return OS === "linux";
}

// ---- Sockets of our own ----

function bindNative<F extends DatagramField>(hostname: string, port: number, plan: Plan): UdpSocket<F> {
  const { doing } = plan;
  checkNet(hostname, port, doing);
  if (parseIp(hostname) !== null) return wrapped(open(hostname, port, plan), plan);
  let failure: unknown;
  for (const { hostname: address } of lookUpNow(hostname, doing)) {
    checkResolved(address.replace(/%.*$/, ""), port, doing);
    try {
      return wrapped(open(address, port, plan), plan);
    } catch (error) {
      failure ??= error;
      if (!ROUTELESS.has((error as { code?: string }).code ?? "")) throw error;
    }
  }
  throw failure;
}

function wrapped<F extends DatagramField>(engine: NativeEngine, { doing, signal }: Plan): UdpSocket<F> {
  if (signal?.aborted) {
    engine.close();
    throw isClosed(doing);
  }
  const socket = wrapEngine<F>(engine, signal);
  engine.owner = socket;
  return socket;
}

/** Opens, sets what there is to set, binds. */
function open(hostname: string, port: number, plan: Plan): NativeEngine {
  const { doing, settings } = plan;
  const ip = parseIp(hostname)!.bytes;
  const family = ip.length === 4 ? "inet" : "inet6";
  const address = encodeAddress(family, { hostname, port }, doing, "linux");
  const socket = Socket.open(family, "dgram") as Socket<Family>;
  try {
    // First what says which packets there will be: other options ask for it.
    const only = settings.filter(({ name }) => name === "IPV6_V6ONLY");
    if (family === "inet6" || plan.ipv6Only) {
      attempt(doing, "ipv6Only", () => IPV6_V6ONLY.set(socket, plan.ipv6Only || !takesIpv4(ip)));
    }
    for (const setting of only) attempt(doing, setting.name, () => setting.apply(socket));
    const families: readonly Family[] = family === "inet" || isMapped(ip)
      ? ["inet"]
      : IPV6_V6ONLY.get(socket)
      ? ["inet6"]
      : ["inet6", "inet"];
    if (plan.reuseAddress) attempt(doing, "reuseAddress", () => SO_REUSEADDR.set(socket, true));
    if (plan.reusePort) attempt(doing, "reusePort", () => SO_REUSEPORT.set(socket, true));
    // As Deno makes them, and as every other system does: what an IPv6 socket without IPv4 has no use for.
    if (families.includes("inet")) SO_BROADCAST.set(socket, true);
    if (!plan.loopback) {
      for (const one of families) (one === "inet" ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP).set(socket, false);
    }
    switchOn(socket, family, families, plan.fields, doing);
    if (plan.gro) attempt(doing, "gro", () => UDP_GRO.set(socket, true));
    for (const step of plan.steps) attempt(doing, step.said, () => step.apply(socket, families));
    for (const setting of settings) {
      if (!only.includes(setting)) attempt(doing, setting.name, () => setting.apply(socket));
    }
    if (failed(libcIo(doing).bind(socket.fd, address))) {
      throw systemErrorOf(lastErrno(), "bind", doing, BIND_REMEDIES);
    }
    if (isMapped(ip)) {
      // That it carries IPv4 alone shows now: what is of IPv6 alone does nothing here, and says so when it is set again.
      for (const setting of settings) {
        if (
          levelOf(setting.name) === "IPPROTO_IPV6" && stageOf(setting.name) === "any" && !REPEATABLE.has(setting.name)
        ) {
          attempt(doing, setting.name, () => setting.apply(socket));
        }
      }
    }
    return new NativeEngine(socket, { family, fields: plan.fields, gro: plan.gro, spin: plan.spin });
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** Whether an IPv6 address to bind to hears IPv4 as well, or alone. */
function takesIpv4(ip: Uint8Array<ArrayBuffer>): boolean {
  return isUnspecified(ip) || isMapped(ip);
}

// ---- Sockets of Deno's ----

function bindPortable<F extends DatagramField>(hostname: string, port: number, plan: Plan): UdpSocket<F> {
  const { doing, reuseAddress, loopback, signal } = plan;
  const impossible = plan.reusePort
    ? "reusePort"
    : plan.ipv6Only
    ? "ipv6Only"
    : plan.gro
    ? "gro"
    : plan.fields.length > 0
    ? "metadata"
    : typeof plan.spin === "number" && plan.spin > 0
    ? "spin"
    : plan.settings.find(({ name }) => name === "UDP_GRO" || name === "IPV6_V6ONLY" || stageOf(name) === "bind")?.name;
  if (impossible !== undefined) {
    throw new Deno.errors.NotSupported(
      `${doing}: ${impossible} is not possible on ${OS_NAME} yet, as the socket is one of Deno's, which is bound when it is made`,
    );
  }
  if (typeof Deno.listenDatagram !== "function") {
    throw new Deno.errors.NotSupported(
      `${doing}: Deno has no listenDatagram here, run again with the --allow-ffi flag, or with --unstable-net or ` +
        '"unstable": ["net"] in deno.json',
    );
  }
  const inner = listen({ hostname, port, reuseAddress, loopback }, doing);
  const socket = wrapEngine<F>(new PortableEngine(inner, parseIp(hostname)?.zone ?? null), signal);
  try {
    if (plan.steps.length + plan.settings.length > 0) {
      const families = familiesOf(socket);
      for (const step of plan.steps) attempt(doing, step.said, () => step.apply(socket, families));
      for (const setting of plan.settings) attempt(doing, setting.name, () => setting.apply(socket));
    }
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

function listen(
  options: { hostname: string; port: number; reuseAddress: boolean; loopback: boolean },
  doing: string,
): DenoDatagramConn {
  // Those that share an address are told apart by the hint alone.
  const hint = lowestFree(options.reuseAddress);
  let inner: DenoDatagramConn;
  try {
    inner = Deno.listenDatagram({ transport: "udp", ...options }) as DenoDatagramConn;
  } catch (error) {
    throw decorated(error, "bind", doing, BIND_REMEDIES);
  }
  note(inner, hint);
  return inner;
}

// ---- Options ----

/** What the fields say, all checked. */
function stepsOf(options: BindUdpOptions<DatagramField>, hostname: string, doing: string): Step[] {
  const { broadcast, receiveBufferSize, sendBufferSize, dscp, hopLimit, multicast } = options;
  const steps: Step[] = [];
  const add = (said: string, apply: Step["apply"]) => void steps.push({ said, apply });
  if (broadcast !== undefined && !boolean(broadcast, `${doing}: broadcast`)) {
    add("broadcast", (socket) => SO_BROADCAST.set(socket, false));
  }
  if (receiveBufferSize !== undefined) {
    const size = integer(receiveBufferSize, `${doing}: receiveBufferSize`, 1, BUFFER_BYTES);
    add("receiveBufferSize", (socket) => SO_RCVBUF.set(socket, size));
  }
  if (sendBufferSize !== undefined) {
    const size = integer(sendBufferSize, `${doing}: sendBufferSize`, 1, BUFFER_BYTES);
    add("sendBufferSize", (socket) => SO_SNDBUF.set(socket, size));
  }
  if (dscp !== undefined) {
    const bits = integer(dscp, `${doing}: dscp`, 0, 63) << 2;
    add("dscp", (socket, families) => {
      for (const family of families) (family === "inet" ? IP_TOS : IPV6_TCLASS).set(socket, bits);
    });
  }
  if (hopLimit !== undefined) {
    const hops = integer(hopLimit, `${doing}: hopLimit`, 1, 255);
    add("hopLimit", (socket, families) => {
      for (const family of families) (family === "inet" ? IP_TTL : IPV6_UNICAST_HOPS).set(socket, hops);
    });
  }
  if (multicast !== undefined) {
    object(multicast, `${doing}: multicast`, "an object");
    multicastSteps(multicast, hostname, doing, add);
  }
  return steps;
}

function multicastSteps(
  multicast: MulticastSendOptions,
  hostname: string,
  doing: string,
  add: (said: string, apply: Step["apply"]) => void,
): void {
  if (multicast.interface !== undefined) {
    const selector: InterfaceSelector = multicast.interface;
    if (typeof selector !== "number") text(selector, `${doing}: multicast.interface`, "a name, an index or an address");
    add("multicast.interface", (socket, families) => {
      for (const family of families) sendBy(socket, family, selector, `${doing}: multicast.interface`);
    });
  }
  if (multicast.hopLimit !== undefined) {
    const hops = integer(multicast.hopLimit, `${doing}: multicast.hopLimit`, 0, 255);
    add("multicast.hopLimit", (socket, families) => {
      for (const family of families) (family === "inet" ? IP_MULTICAST_TTL : IPV6_MULTICAST_HOPS).set(socket, hops);
    });
  }
  // Deno sets it for the family of the socket; "::" sends both.
  const ip = parseIp(hostname)?.bytes;
  if (multicast.loopback === false && ip?.length === 16 && (isUnspecified(ip) || isMapped(ip))) {
    add("multicast.loopback", (socket, families) => {
      for (const family of families) (family === "inet" ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP).set(socket, false);
    });
  }
}

/** The settings by C name, none of which a field says too. */
function settingsOf(options: BindUdpOptions<DatagramField>, doing: string): readonly OptionSetting[] {
  const settings = options.options ?? [];
  if (!Array.isArray(settings)) throw new TypeError(`${doing}: options is ${shown(settings)}, it must be an array`);
  const fields = new Map<string, unknown>([
    ...Object.entries(options),
    ...Object.entries(options.multicast ?? {}).map(([key, value]) => [`multicast.${key}`, value] as const),
  ]);
  for (const setting of settings) {
    if (typeof setting?.apply !== "function" || typeof setting.name !== "string") {
      throw new TypeError(`${doing}: options has ${shown(setting)}, it must have what to() of an option returns`);
    }
    if (!REPEATABLE.has(setting.name) && settings.some((other) => other !== setting && other.name === setting.name)) {
      throw new TypeError(`${doing}: options has ${setting.name} twice, it must be there once`);
    }
    for (const [field, names] of Object.entries(NAMES)) {
      if (names.includes(setting.name) && fields.get(field) !== undefined) {
        throw new TypeError(`${doing}: ${setting.name} is given twice, by ${field} and in options`);
      }
    }
    if (setting.name === "UDP_GRO") {
      throw new Deno.errors.NotSupported(`${doing}: UDP_GRO by hand would glue datagrams together; say \`gro: true\``);
    }
  }
  return settings;
}

function stageOf(name: string): string | undefined {
  return Object.hasOwn(SOCKOPT, name) ? SOCKOPT[name as keyof typeof SOCKOPT][6] : undefined;
}

function levelOf(name: string): string | undefined {
  return Object.hasOwn(SOCKOPT, name) ? SOCKOPT[name as keyof typeof SOCKOPT][0] : undefined;
}

/** The families of the packets that a socket sends: on "::" both, unless the system says otherwise. */
function familiesOf(socket: UdpSocket): readonly Family[] {
  if (socket.addr.family === "inet") return ["inet"];
  const ip = parseIp(socket.addr.hostname)!.bytes;
  if (isMapped(ip)) return ["inet"];
  return isUnspecified(ip) && !IPV6_V6ONLY.get(socket) ? ["inet6", "inet"] : ["inet6"];
}

/** Does it, and says what for when it fails. */
function attempt(doing: string, said: string, call: () => unknown): void {
  try {
    call();
  } catch (error) {
    if (error instanceof Error && !error.message.includes(doing)) {
      error.message = `${doing}: ${said}: ${error.message}`;
    }
    throw error;
  }
}
