// Opens UDP sockets: checks the options, binds by Deno, applies what must be applied after it.
// What the socket then does: socket.ts. What the options are: types.ts.
import { boolean, integer, object, port as portOf, shown, text } from "../internal/argument.ts";
import { decorated } from "../internal/deno_error.ts";
import { lowestFree, note } from "../internal/descriptor.ts";
import { libc } from "../internal/libc.ts";
import { isMapped, isUnspecified, parseIp } from "../internal/sockaddr.ts";
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
  SO_SNDBUF,
} from "../options/mod.ts";
import { sendBy } from "./multicast_interface.ts";
import { type DenoDatagramConn, type UdpSocket, wrapDatagramConn } from "./socket.ts";
import type { BindUdpOptions, DatagramField, MulticastSendOptions } from "./types.ts";

/** Linux doubles the size, in an int. */
const BUFFER_BYTES = 0x3fff_ffff;

type Family = "inet" | "inet6";

/** One thing to set once the socket is bound. */
interface Step {
  /** What the user wrote. */
  readonly said: string;
  /** Sets it; `families` are those of the packets that the socket can send. */
  apply(socket: UdpSocket, families: readonly Family[]): void;
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

const BIND_REMEDIES: Readonly<Record<string, string>> = {
  EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE",
  EADDRINUSE: "another socket has the address; to share it both must say `reuseAddress: true`",
  EADDRNOTAVAIL: "no interface of this machine has the address",
  EINVAL: 'a link-local address needs its zone, as in "fe80::1%eth0"',
};

/**
 * Opens a UDP socket at an address of this machine.
 *
 * A host name is looked up synchronously, as in `Deno.listen`. `Deno.listenDatagram` does the work, so the program must
 * run with `--unstable-net`. Which options need `--allow-ffi` is said with each; without that permission they throw before
 * anything is opened. If an option cannot be set, the socket is closed again.
 *
 * @param options The address, and what to set.
 * @returns The socket, bound and ready.
 * @throws {TypeError} An option is of the wrong kind, or given twice.
 * @throws {RangeError} An option is out of range.
 * @throws {SystemError} The system refuses the address or an option: `Deno.errors.AddrInUse` with code "EADDRINUSE",
 * `Deno.errors.PermissionDenied` with "EACCES" for a port below 1024, and others of bind(2).
 * @throws {Deno.errors.NotCapable} `--allow-net` does not cover the address, or `--allow-ffi` is missing for an option.
 * @throws {Deno.errors.NotSupported} `--unstable-net` is missing; or an option is not possible yet.
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
  const doing = `Cannot bind udp ${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  const reuseAddress = boolean(options.reuseAddress ?? false, `${doing}: reuseAddress`);
  const loopback = boolean(options.multicast?.loopback ?? true, `${doing}: multicast.loopback`);
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`${doing}: signal is ${shown(signal)}, it must be an AbortSignal`);
  }
  refuseImpossible(options, doing);
  const steps = stepsOf(options, hostname, doing);
  signal?.throwIfAborted();
  if (typeof Deno.listenDatagram !== "function") {
    throw new Deno.errors.NotSupported(
      `${doing}: Deno has no listenDatagram here, run again with the --unstable-net flag, or with "unstable": ["net"] in deno.json`,
    );
  }
  if (steps.length > 0) libc(`${doing}: ${steps[0]!.said}`);
  const inner = listen({ hostname, port, reuseAddress, loopback }, doing);
  const socket = wrapDatagramConn<F>(inner, parseIp(hostname)?.zone ?? null, signal);
  try {
    if (steps.length > 0) {
      const families = familiesOf(socket);
      for (const step of steps) apply(step, socket, families, doing);
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

/** What must precede bind, or needs more than Deno's socket. */
function refuseImpossible(options: BindUdpOptions<DatagramField>, doing: string): void {
  const { reusePort = false, ipv6Only = false, metadata = [], gro = false, spin = 0 } = options;
  const given = boolean(reusePort, `${doing}: reusePort`)
    ? "reusePort"
    : boolean(ipv6Only, `${doing}: ipv6Only`)
    ? "ipv6Only"
    : boolean(gro, `${doing}: gro`)
    ? "gro"
    : spin === "adaptive" || integer(spin, `${doing}: spin`, 0, 0x7fff_ffff) > 0
    ? "spin"
    : null;
  if (!Array.isArray(metadata)) {
    throw new TypeError(`${doing}: metadata is ${shown(metadata)}, it must be an array of names of fields`);
  }
  const impossible = given ?? (metadata.length > 0 ? "metadata" : null);
  if (impossible !== null) throw notYet(impossible, doing);
}

function notYet(what: string, doing: string): Deno.errors.NotSupported {
  return new Deno.errors.NotSupported(
    `${doing}: ${what} is not possible yet, as the socket is one of Deno's, which is bound when it is made`,
  );
}

/** What is to be set after bind, all checked. */
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
  for (const setting of settingsOf(options, doing)) add(setting.name, (socket) => setting.apply(socket));
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
    if (setting.name === "UDP_GRO" || setting.name === "IPV6_V6ONLY" || stageOf(setting.name) === "bind") {
      throw notYet(setting.name, doing);
    }
  }
  return settings;
}

function stageOf(name: string): string | undefined {
  return Object.hasOwn(SOCKOPT, name) ? SOCKOPT[name as keyof typeof SOCKOPT][6] : undefined;
}

/** The families of the packets that a socket sends: on "::" both, unless the system says otherwise. */
function familiesOf(socket: UdpSocket): readonly Family[] {
  if (socket.addr.family === "inet") return ["inet"];
  const ip = parseIp(socket.addr.hostname)!.bytes;
  if (isMapped(ip)) return ["inet"];
  return isUnspecified(ip) && !IPV6_V6ONLY.get(socket) ? ["inet6", "inet"] : ["inet6"];
}

function apply(step: Step, socket: UdpSocket, families: readonly Family[], doing: string): void {
  try {
    step.apply(socket, families);
  } catch (error) {
    if (error instanceof Error && !error.message.includes(doing)) {
      error.message = `${doing}: ${step.said}: ${error.message}`;
    }
    throw error;
  }
}
