// Reads and writes an option of a socket: whether it does anything there, and what the kernel says.
// What the options are: sockopt.ts. How values become bytes: codec.ts. What people call: options/.
import { begunWith, shown } from "./argument.ts";
import { ASKS_KERNEL, codecsOf, type CodecValues, type OptionCodec } from "./codec.ts";
import { constant, type ConstantName } from "./constants.ts";
import {
  addressOf,
  carries,
  describe,
  type Descriptor,
  descriptorOf,
  REFUSED,
  TIMEOUTS,
  whileOpen,
} from "./descriptor.ts";
import { type ErrnoName, failed, type SystemError, systemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { type OperatingSystem, OS, OS_NAME } from "./os.ts";
import { isGroup, isUnbound, parseIp } from "./sockaddr.ts";
import {
  type Access,
  CODEC_ON,
  type CodecName,
  LEVEL_FOLLOWS_GROUP,
  LEVEL_ON,
  type OptionName,
  type Scope,
  SCOPE_ON,
  SCOPES,
  SOCKOPT,
  type Stage,
  WHEN_ON,
} from "./sockopt.ts";
import type { Timeval } from "./values.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Level and number of an option on one system. */
export interface OptionCode {
  /** First argument after the descriptor. */
  readonly level: number;
  /** Second argument after the descriptor. */
  readonly name: number;
}

/** An option as a call needs it. */
export interface OptionSpec {
  readonly name: string;
  /** The numbers of this system; null where it lacks the option. */
  readonly code: OptionCode | null;
  readonly codec: OptionCodec<unknown>;
  /** Whether a value can be checked without asking the kernel. */
  readonly checkable: boolean;
  /** Whether the codec is a user's, who may keep the bytes it is given, and give what are no bytes. */
  readonly foreign: boolean;
  readonly access: Access;
  readonly when: Stage;
  readonly exact: boolean;
  readonly scope: Scope;
}

/** Level and number of a listed option on a system; null where it lacks the option. */
export function codeOf(name: OptionName, os: OperatingSystem): OptionCode | null {
  const row = SOCKOPT[name];
  const number = os === "linux" ? row[1] : os === "darwin" ? row[2] : row[3];
  return number === null ? null : { level: constant(LEVEL_ON[name]?.[os] ?? row[0], os), name: number };
}

let codecs: ReturnType<typeof codecsOf> | undefined;

/** The codec of a name, with this system's widths. */
export function codecNamed<N extends CodecName>(name: N): OptionCodec<CodecValues[N]> {
  return (codecs ??= codecsOf(OS ?? "linux"))[name];
}

/** A listed option as this system has it. */
export function specOf(name: OptionName): OptionSpec {
  const row = SOCKOPT[name];
  const os = OS ?? "linux";
  return {
    name,
    code: OS === null ? null : codeOf(name, OS),
    codec: codecNamed(CODEC_ON[name]?.[os] ?? row[4]) as OptionCodec<unknown>,
    checkable: !ASKS_KERNEL.has(row[4]),
    foreign: false,
    access: row[5],
    when: WHEN_ON[name]?.[os] ?? row[6],
    exact: row[7],
    scope: SCOPE_ON[name]?.[os] ?? row[8],
  };
}

/** Options that tell a blocking call how long to wait, and the timeout that is the same; on a socket that never blocks they would do nothing. */
export const BLOCKING_ONLY: Readonly<Record<string, "receive" | "send">> = {
  SO_RCVTIMEO: "receive",
  SO_SNDTIMEO: "send",
};

interface Waits {
  readonly [TIMEOUTS]: { receive?: number; send?: number };
}

/** The value of SO_RCVTIMEO or SO_SNDTIMEO on a socket whose calls wait by themselves. */
function readTimeout(socket: Waits, kind: "receive" | "send"): Timeval {
  const milliseconds = socket[TIMEOUTS][kind] ?? 0;
  // To C, nothing at all means for ever.
  if (socket[TIMEOUTS][kind] === 0) return { seconds: 0, microseconds: 1 };
  return { seconds: Math.floor(milliseconds / 1000), microseconds: milliseconds % 1000 * 1000 };
}

/** Sets it: rounded up to milliseconds, 0 for ever. */
function writeTimeout(socket: Waits, kind: "receive" | "send", { seconds, microseconds }: Timeval): void {
  const milliseconds = seconds * 1000 + Math.ceil(microseconds / 1000);
  if (milliseconds === 0) delete socket[TIMEOUTS][kind];
  else socket[TIMEOUTS][kind] = milliseconds;
}

/** Options that the kernel takes without a peer, and does nothing with. */
const NEEDS_PEER: ReadonlySet<string> = new Set<OptionName>(["SO_CNX_ADVICE"]);

/** What the kernel wants to see for options that not everybody may set. */
const PRIVILEGES: Readonly<Partial<Record<OptionName, string>>> = {
  SO_BINDTODEVICE: "to change the interface of a socket needs CAP_NET_RAW",
  SO_BINDTOIFINDEX: "to change the interface of a socket needs CAP_NET_RAW",
  SO_MARK: "this needs CAP_NET_ADMIN or CAP_NET_RAW",
  SO_RCVBUFFORCE: "this needs CAP_NET_ADMIN; SO_RCVBUF does not",
  SO_SNDBUFFORCE: "this needs CAP_NET_ADMIN; SO_SNDBUF does not",
  SO_PRIORITY: "priorities above 6 need CAP_NET_ADMIN or CAP_NET_RAW",
  SO_DEBUG: "this needs CAP_NET_ADMIN",
  SO_BUSY_POLL: "to raise it needs CAP_NET_ADMIN",
  SO_PREFER_BUSY_POLL: "this needs CAP_NET_ADMIN",
  SO_BUSY_POLL_BUDGET: "to raise it needs CAP_NET_ADMIN",
  SO_TXTIME: "this clock needs CAP_NET_ADMIN",
  IP_TRANSPARENT: "this needs CAP_NET_ADMIN or CAP_NET_RAW",
  IPV6_TRANSPARENT: "this needs CAP_NET_ADMIN or CAP_NET_RAW",
  TCP_REPAIR: "this needs CAP_NET_ADMIN, and a socket that does not listen",
  TCP_CONGESTION: "algorithms outside net.ipv4.tcp_allowed_congestion_control need CAP_NET_ADMIN",
  TCP_TIMESTAMP: "this works in repair mode alone (TCP_REPAIR)",
  IPV6_HOPOPTS: "this needs CAP_NET_RAW",
  IPV6_DSTOPTS: "this needs CAP_NET_RAW",
  IPV6_RTHDRDSTOPTS: "this needs CAP_NET_RAW",
};

const NOT_JOINED = "this socket has not joined the group there";

/** What other refusals mean, where the number says too little. */
const REFUSALS: Readonly<Partial<Record<OptionName, Readonly<Partial<Record<ErrnoName, string>>>>>> = {
  TCP_CONGESTION: { ENOENT: "this kernel has no such algorithm loaded: see net.ipv4.tcp_available_congestion_control" },
  TCP_ULP: { ENOENT: "this kernel has no such upper layer protocol loaded", ENOTCONN: "the socket must be connected" },
  IP_MTU: { ENOTCONN: "the socket must be connected, by a route that is known still" },
  IPV6_MTU: { ENOTCONN: "the socket must be connected, by a route that is known still" },
  IPV6_PATHMTU: { ENOTCONN: "the socket must be connected" },
  IPV6_V6ONLY: { EINVAL: "it must be set before bind()" },
  SO_ATTACH_FILTER: {
    EPERM: "the filter is locked (SO_LOCK_FILTER), or this is TCP, where recent kernels want CAP_NET_ADMIN",
  },
  SO_DETACH_FILTER: { EPERM: "the filter is locked (SO_LOCK_FILTER)", ENOENT: "there is no filter" },
  SO_ATTACH_REUSEPORT_CBPF: { EINVAL: "SO_REUSEPORT must be set before bind()" },
  SO_ATTACH_REUSEPORT_EBPF: { EINVAL: "SO_REUSEPORT must be set before bind()" },
  PACKET_FANOUT: { EINVAL: "it must be set after bind(), and the members of a group must agree" },
  IP_DROP_MEMBERSHIP: { EADDRNOTAVAIL: NOT_JOINED },
  IPV6_LEAVE_GROUP: { EADDRNOTAVAIL: NOT_JOINED },
  MCAST_LEAVE_GROUP: { EADDRNOTAVAIL: NOT_JOINED },
  TCP_FASTOPEN: { EINVAL: "it must be set before the socket is connected" },
  TCP_FASTOPEN_CONNECT: { EINVAL: "it must be set before the socket listens or is connected" },
};

function remediesOf(name: string): Readonly<Partial<Record<ErrnoName, string>>> {
  const privilege = PRIVILEGES[name as OptionName];
  return {
    ENOPROTOOPT: "this kernel does not have the option for this kind of socket",
    EOPNOTSUPP: "this kernel does not have the option for this kind of socket",
    ...(privilege === undefined ? {} : { EPERM: privilege, EACCES: privilege }),
    ...REFUSALS[name as OptionName],
  };
}

/** The congestion algorithms that are loaded, as far as the program may read where the kernel lists them. */
function algorithms(): string {
  const path = "/proc/sys/net/ipv4/tcp_available_congestion_control";
  // Never by asking the user.
  if (Deno.permissions.querySync({ name: "read", path }).state === "granted") {
    try {
      return `, which has ${Deno.readTextFileSync(path).trim().split(/\s+/).join(", ")}`;
    } catch {
      // Deno wants every permission for what lies there.
    }
  }
  return "";
}

function kernelError(spec: OptionSpec, call: "getsockopt" | "setsockopt", found: Descriptor): SystemError {
  // The error is made first: describing the socket makes calls of its own.
  const error = systemError(call, doing(spec, call), remediesOf(spec.name));
  error.message = error.message.replace(doing(spec, call), `${doing(spec, call)} on ${describe(found)}`);
  if (spec.name === "TCP_CONGESTION" && error.code === "ENOENT") error.message += algorithms();
  return error;
}

function doing(spec: OptionSpec, call: "getsockopt" | "setsockopt"): string {
  return call === "getsockopt" ? `Cannot read ${spec.name}` : `Cannot set ${spec.name}`;
}

function codeHere(spec: OptionSpec, call: "getsockopt" | "setsockopt"): OptionCode {
  if (spec.code === null) throw new Deno.errors.NotSupported(`${doing(spec, call)}: ${OS_NAME} has no such option`);
  return spec.code;
}

const length = new Uint32Array(1);
const int = new Uint8Array(4);

/** Reads an option. */
export function readOption(spec: OptionSpec, socket: object): unknown {
  const code = codeHere(spec, "getsockopt");
  if (spec.access === "set") throw new TypeError(`Cannot read ${spec.name}: it can only be written`);
  const found = locate(spec, socket, "getsockopt");
  if (!found.shared) return readAt(spec, code, socket, found);
  return whileOpen(found, doing(spec, "getsockopt"), (held) => readAt(spec, code, socket, held));
}

function readAt(spec: OptionSpec, code: OptionCode, socket: object, found: Descriptor): unknown {
  checkSocket(spec, socket, found, "getsockopt");
  const timeout = BLOCKING_ONLY[spec.name];
  return timeout === undefined ? readFrom(spec, code, found) : readTimeout(socket as Waits, timeout);
}

function readFrom(spec: OptionSpec, code: OptionCode, found: Descriptor): unknown {
  const size = spec.codec.byteLength;
  const bytes: Bytes = size === 4 && !spec.foreign ? int : new Uint8Array(size);
  const c = libc("Cannot read an option");
  if (failed(c.getsockopt(found.fd, code.level, code.name, bytes, length))) {
    throw kernelError(spec, "getsockopt", found);
  }
  return spec.codec.decode(length[0] === size ? bytes : bytes.subarray(0, length[0]));
}

/** Sets an option; returns what is now in force, undefined for options that cannot be read. */
export function writeOption(spec: OptionSpec, socket: object, value: unknown): unknown {
  const code = codeHere(spec, "setsockopt");
  if (spec.access === "get") throw new TypeError(`Cannot set ${spec.name}: it can only be read`);
  // What was encoded lies where nothing but the next encoding writes, and locating encodes nothing.
  const checked = spec.checkable ? encode(spec, value) : null;
  const found = locate(spec, socket, "setsockopt");
  if (!found.shared) return writeAt(spec, code, socket, found, value, checked);
  return whileOpen(found, doing(spec, "setsockopt"), (held) => writeAt(spec, code, socket, held, value, checked));
}

function writeAt(
  spec: OptionSpec,
  code: OptionCode,
  socket: object,
  found: Descriptor,
  value: unknown,
  checked: Bytes | null,
): unknown {
  checkSocket(spec, socket, found, "setsockopt");
  if (REFUSED in socket) checkRefused(spec, code, socket as Refusing, found);
  const timeout = BLOCKING_ONLY[spec.name];
  if (timeout !== undefined) {
    writeTimeout(socket as Waits, timeout, value as Timeval);
    return readTimeout(socket as Waits, timeout);
  }
  if (spec.when !== "any") checkStage(spec, found);
  const level = LEVEL_FOLLOWS_GROUP.has(spec.name) ? levelOfGroup(spec, found, value) : code.level;
  const bytes = checked ?? encode(spec, value);
  const c = libc("Cannot set an option");
  if (failed(c.setsockopt(found.fd, level, code.name, bytes))) throw kernelError(spec, "setsockopt", found);
  if (spec.access === "set") return undefined;
  const now = readFrom(spec, code, found);
  // What a codec rounds is rounded before the kernel sees it.
  if (spec.exact && typeof now !== "object" && now !== spec.codec.decode(bytes)) {
    throw new Error(
      `Cannot set ${spec.name} on ${describe(found)}: the kernel took ${shown(value)} without an error, but has ${
        shown(now)
      }`,
    );
  }
  return now;
}

type Refusing = { readonly [REFUSED]: Readonly<Partial<Record<OptionName, string>>> };

/** Refuses what an object lists as breaking it, under whatever name it is defined. */
function checkRefused(spec: OptionSpec, code: OptionCode, socket: Refusing, found: Descriptor): void {
  for (const [name, why] of Object.entries(socket[REFUSED])) {
    const { level, name: number } = codeOf(name as OptionName, OS!) ?? code;
    if (level !== code.level || number !== code.name) continue;
    throw new Deno.errors.NotSupported(`Cannot set ${spec.name} on ${describe(found)}: ${why}`);
  }
}

function encode(spec: OptionSpec, value: unknown): Bytes {
  try {
    const bytes: unknown = spec.codec.encode(value);
    if (!spec.foreign) return bytes as Bytes;
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(`encode() of the codec gave ${shown(bytes)}, it must give a Uint8Array`);
    }
    // A copy: its length is then its own, whatever the codec's object says of itself.
    return new Uint8Array(bytes);
  } catch (error) {
    throw begunWith(error, doing(spec, "setsockopt"));
  }
}

const stages = new WeakMap<object, Stage>();

/** Notes the stage of an option with a value, for those who are to apply it. */
export function noteStage(setting: object, { when }: OptionSpec): void {
  stages.set(setting, when);
}

/** The stage of an option with a value, of a user's own too; null where nobody has noted any. */
export function stageOf(setting: object): Stage | null {
  return stages.get(setting) ?? null;
}

/** Checks a value as far as that goes without asking the kernel. */
export function checkValue(spec: OptionSpec, value: unknown): void {
  if (spec.access === "get") throw new TypeError(`Cannot set ${spec.name}: it can only be read`);
  if (spec.checkable) encode(spec, value);
}

/** The descriptor behind the object. */
function locate(spec: OptionSpec, socket: object, call: "getsockopt" | "setsockopt"): Descriptor {
  if ((typeof socket !== "object" && typeof socket !== "function") || socket === null) {
    throw new TypeError(
      `${doing(spec, call)}: the socket is ${shown(socket)}, it must be a socket, connection or listener`,
    );
  }
  return descriptorOf(socket, doing(spec, call));
}

/** Refuses a socket that the option does nothing on. */
function checkSocket(spec: OptionSpec, socket: object, found: Descriptor, call: "getsockopt" | "setsockopt"): void {
  if (spec.scope !== "any" && !actsOn(numbersOf(spec.scope), found)) throw wrongSocket(spec, call, found);
  if (spec.name in BLOCKING_ONLY && !(TIMEOUTS in socket)) {
    throw new Deno.errors.NotSupported(
      `${doing(spec, call)} on ${describe(found)}: the socket never blocks, so this would do nothing; ` +
        "use an AbortSignal with the call that waits",
    );
  }
}

/** A scope in the numbers of this system. */
interface ScopeNumbers {
  readonly families: readonly number[] | null;
  readonly types: readonly number[] | null;
  readonly protocols: readonly number[] | null;
  /** Families that may not be, with the type of them or null for all. */
  readonly except: readonly (readonly [family: number, type: number | null])[];
  /** The family whose packets the option governs, where a socket may carry either. */
  readonly traffic: "inet" | "inet6" | null;
}

const scopes = new Map<Scope, ScopeNumbers>();

function numbersOf(scope: Scope): ScopeNumbers {
  let numbers = scopes.get(scope);
  if (numbers === undefined) {
    const { families, types, protocols, except = [], traffic = null } = SCOPES[scope];
    const os = OS!;
    const here = (names?: readonly ConstantName[]) =>
      names?.map((name) => constantOrNull(name, os)).filter((value) => value !== null) ?? null;
    scopes.set(
      scope,
      numbers = {
        families: here(families),
        types: here(types),
        protocols: here(protocols),
        except: except.flatMap(([family, type]) => {
          const number = constantOrNull(family, os);
          return number === null ? [] : [[number, type === undefined ? null : constantOrNull(type, os)] as const];
        }),
        traffic,
      },
    );
  }
  return numbers;
}

function constantOrNull(name: ConstantName, os: OperatingSystem): number | null {
  try {
    return constant(name, os);
  } catch {
    return null;
  }
}

function actsOn(scope: ScopeNumbers, found: Descriptor): boolean {
  return (scope.families === null || scope.families.includes(found.family)) &&
    (scope.types === null || scope.types.includes(found.type)) &&
    (scope.protocols === null || scope.protocols.includes(found.protocol)) &&
    !scope.except.some(([family, type]) => family === found.family && (type === null || type === found.type)) &&
    (scope.traffic === null || hasTraffic(found, scope.traffic));
}

/**
 * Whether a socket can carry packets of a family: an IPv6 socket carries IPv4 ones too, unless it is raw or V6ONLY, and
 * those of one family alone when it has a peer or is bound to an address.
 */
function hasTraffic(found: Descriptor, traffic: "inet" | "inet6"): boolean {
  const os = OS!;
  if (found.family === constant("AF_INET", os)) return traffic === "inet";
  if (found.type === constant("SOCK_RAW", os)) return traffic === "inet6";
  if (traffic === "inet" && v6Only(found)) return false;
  return carries(found, traffic);
}

let v6OnlySpec: OptionSpec | undefined;

function v6Only(found: Descriptor): boolean {
  v6OnlySpec ??= specOf("IPV6_V6ONLY");
  return readFrom(v6OnlySpec, v6OnlySpec.code!, found) === true;
}

function wrongSocket(spec: OptionSpec, call: "getsockopt" | "setsockopt", found: Descriptor): Deno.errors.NotSupported {
  const { families, types, protocols, traffic } = numbersOf(spec.scope);
  // An IPv6 socket that would be right, if it were not for the packets it carries.
  const why = traffic !== null && found.family === constant("AF_INET6", OS!) &&
      actsOn({ families, types, protocols, except: [], traffic: null }, found)
    ? `; this one carries ${traffic === "inet" ? "IPv6" : "IPv4"} traffic alone`
    : "";
  return new Deno.errors.NotSupported(
    `${doing(spec, call)} on ${describe(found)}: it works on ${SCOPES[spec.scope].words}${why}`,
  );
}

function checkStage(spec: OptionSpec, found: Descriptor): void {
  const peer = addressOf(found.fd, "remote");
  const local = addressOf(found.fd, "local");
  // The port of a raw socket is its protocol, and it may be bound again and again.
  const bound = found.type !== constant("SOCK_RAW", OS!) && local !== null && !isUnbound(local, false);
  const listening = readFrom(ACCEPTING ??= specOf("SO_ACCEPTCONN"), ACCEPTING.code!, found) === true;
  const is = peer !== null ? "connected" : listening ? "listening" : "bound";
  const late = spec.when === "bind"
    ? bound || listening || peer !== null
    : spec.when === "listen"
    ? listening || peer !== null
    : spec.when === "connect" && peer !== null;
  if (NEEDS_PEER.has(spec.name) && peer === null) {
    throw new TypeError(
      `Cannot set ${spec.name} on ${describe(found)}: the socket is not connected, it must be set after connect()`,
    );
  }
  if (late) {
    throw new TypeError(
      `Cannot set ${spec.name} on ${
        describe(found)
      }: the socket is ${is} already, it must be set before ${spec.when}(): ${inTime(spec, found)}`,
    );
  }
}
let ACCEPTING: OptionSpec | undefined;

/** Which calls take the option in time. */
function inTime({ when, scope }: OptionSpec, { protocol }: Descriptor): string {
  if (protocol === constant("IPPROTO_UDP", OS!)) return `give it to ${when === "connect" ? "connectUdp" : "bindUdp"}()`;
  if (protocol !== constant("IPPROTO_TCP", OS!)) return "set it on a Socket that is new";
  if (when !== "connect") return `give it to listenTcp()${when === "bind" ? " or connectTcp()" : ""}`;
  return `${scope === "tcp" ? "for accepted connections, on their listener; for others, " : ""}give it to connectTcp()`;
}

/** IPPROTO_IP or IPPROTO_IPV6, as the group of a request is; the socket must carry that family. */
function levelOfGroup(spec: OptionSpec, found: Descriptor, value: unknown): number {
  const group = (value as { group?: unknown } | null)?.group;
  const ip = typeof group === "string" ? parseIp(group) : null;
  const ipv6 = ip !== null && ip.bytes.length === 16;
  if (ip !== null && isGroup(ip.bytes)) {
    if (!hasTraffic(found, ipv6 ? "inet6" : "inet")) {
      throw new Deno.errors.NotSupported(
        `Cannot set ${spec.name} on ${describe(found)}: the group ${shown(group)} is of ${ipv6 ? "IPv6" : "IPv4"}, ` +
          `the socket must carry ${ipv6 ? "IPv6" : "IPv4"} traffic`,
      );
    }
  }
  return constant(ipv6 ? "IPPROTO_IPV6" : "IPPROTO_IP", OS!);
}
