// Settings as a user gives them, checked, made into steps that can be applied to a socket again and again.
// What the fields mean and how they are read back: settings.ts. Which socket gets them when: connect.ts, listen.ts, tune.ts.
import { boolean, integer, object, shown } from "../internal/argument.ts";
import { addressOf, descriptorOf } from "../internal/descriptor.ts";
import { libc } from "../internal/libc.ts";
import { specOf, stageOf } from "../internal/option_call.ts";
import { isMapped, parseIp } from "../internal/sockaddr.ts";
import { type OptionName, type ScopeFacts, SCOPES, SOCKOPT, type Stage } from "../internal/sockopt.ts";
import {
  type OptionSetting,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_RCVBUF,
  SO_SNDBUF,
  type SocketLike,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from "../options/mod.ts";
import { BY_FAMILY, familiesOf, type TcpOptions } from "./settings.ts";

/** One thing to set. */
export interface Step {
  /** What the user wrote: `keepAlive`, `TCP_QUICKACK`. */
  readonly said: string;
  /** The C names that it sets. */
  readonly names: readonly string[];
  /** The call after which it is of no use. */
  readonly stage: Stage;
  /** The sockets that it works on, where it is an option by its C name. */
  readonly works?: ScopeFacts;
  /** Sets it. */
  apply(socket: SocketLike): void;
  /** Sets it by Deno's own call, where there is one. */
  readonly byDeno?: (conn: Deno.TcpConn) => void;
}

/** What Linux takes at most (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT); the others take more. */
const KEEPALIVE_SECONDS = 32_767;
const KEEPALIVE_COUNT = 127;
/** What an unsigned short of Windows holds; the others take more. */
const LINGER_SECONDS = 65_535;
/** Linux doubles the size, in an int. */
const BUFFER_BYTES = 0x3fff_ffff;
const INT_MAX = 0x7fff_ffff;

/** The settings as steps, all checked; nothing is asked of the kernel. */
export function stepsOf(options: TcpOptions): Step[] {
  const {
    noDelay,
    keepAlive,
    linger,
    userTimeout,
    sendBufferSize,
    receiveBufferSize,
    dscp,
    hopLimit,
  } = options;
  const steps: Step[] = [];
  if (noDelay !== undefined) {
    boolean(noDelay, "noDelay");
    steps.push({ ...step("noDelay", TCP_NODELAY.to(noDelay)), byDeno: (conn) => conn.setNoDelay(noDelay) });
  }
  if (typeof keepAlive === "boolean") {
    steps.push({ ...step("keepAlive", SO_KEEPALIVE.to(keepAlive)), byDeno: (conn) => conn.setKeepAlive(keepAlive) });
  } else if (keepAlive !== undefined) {
    const { idle, interval, count } = object(keepAlive, "keepAlive", "true, false or an object");
    const settings: OptionSetting[] = [];
    if (idle !== undefined) {
      settings.push(TCP_KEEPIDLE.to(seconds(idle, "keepAlive.idle", 1, KEEPALIVE_SECONDS)));
    }
    if (interval !== undefined) {
      settings.push(TCP_KEEPINTVL.to(seconds(interval, "keepAlive.interval", 1, KEEPALIVE_SECONDS)));
    }
    if (count !== undefined) {
      settings.push(TCP_KEEPCNT.to(integer(count, "keepAlive.count", 1, KEEPALIVE_COUNT)));
    }
    // The switch comes last: the timer then starts once, with these times.
    steps.push(step("keepAlive", ...settings, SO_KEEPALIVE.to(true)));
  }
  if (linger === false) {
    steps.push(step("linger", SO_LINGER.to({ enabled: false, seconds: 0 })));
  } else if (linger !== undefined) {
    if (typeof linger !== "number") {
      throw new TypeError(`linger is ${shown(linger)}, it must be a number of milliseconds or false`);
    }
    steps.push(
      step("linger", SO_LINGER.to({ enabled: true, seconds: seconds(linger, "linger", 0, LINGER_SECONDS) })),
    );
  }
  if (userTimeout !== undefined) {
    steps.push(step("userTimeout", TCP_USER_TIMEOUT.to(integer(userTimeout, "userTimeout", 0, INT_MAX))));
  }
  if (sendBufferSize !== undefined) {
    steps.push(step("sendBufferSize", SO_SNDBUF.to(integer(sendBufferSize, "sendBufferSize", 1, BUFFER_BYTES))));
  }
  if (receiveBufferSize !== undefined) {
    steps.push(
      step("receiveBufferSize", SO_RCVBUF.to(integer(receiveBufferSize, "receiveBufferSize", 1, BUFFER_BYTES))),
    );
  }
  if (dscp !== undefined) {
    const bits = integer(dscp, "dscp", 0, 63) << 2;
    steps.push({
      said: "dscp",
      names: Object.values(BY_FAMILY).map((of) => of.trafficClass.name),
      stage: "any",
      apply(socket) {
        for (const family of familiesOf(socket, descriptorOf(socket, "Cannot set dscp"))) {
          const { trafficClass } = BY_FAMILY[family];
          trafficClass.set(socket, bits | trafficClass.get(socket) & 3);
        }
      },
    });
  }
  if (hopLimit !== undefined) {
    integer(hopLimit, "hopLimit", 1, 255);
    steps.push({
      said: "hopLimit",
      names: Object.values(BY_FAMILY).map((of) => of.hopLimit.name),
      stage: "any",
      apply(socket) {
        for (const family of familiesOf(socket, descriptorOf(socket, "Cannot set hopLimit"))) {
          BY_FAMILY[family].hopLimit.set(socket, hopLimit);
        }
      },
    });
  }
  return addNamed(steps, options.options);
}

/** Milliseconds as whole seconds, rounded up. */
function seconds(value: unknown, what: string, min: number, max: number): number {
  return Math.ceil(integer(value, what, min, max * 1000) / 1000);
}

function step(said: string, ...settings: OptionSetting[]): Step {
  return {
    said,
    names: settings.map((setting) => setting.name),
    stage: "any",
    apply(socket) {
      for (const setting of settings) setting.apply(socket);
    },
  };
}

/** Options that say the same as another, to be given once between them. */
const SAME: Readonly<Record<string, string>> = { SO_SNDBUFFORCE: "SO_SNDBUF", SO_RCVBUFFORCE: "SO_RCVBUF" };

/** Adds those given by C name. */
function addNamed(steps: Step[], settings: unknown): Step[] {
  if (settings === undefined) return steps;
  if (!Array.isArray(settings)) {
    throw new TypeError(`options is ${shown(settings)}, it must be an array of options with values, made by to()`);
  }
  const fields = steps.length;
  for (const [i, setting] of settings.entries()) {
    if (typeof setting?.name !== "string" || typeof setting.apply !== "function") {
      throw new TypeError(`options[${i}] is ${shown(setting)}, it must be an option with a value, made by to()`);
    }
    const name: string = setting.name;
    const same = SAME[name] ?? name;
    const at = steps.findIndex((other) => other.names.includes(same) || other.names.includes(name));
    if (at >= fields) throw new TypeError(`options has ${name} twice, it must be there once`);
    if (at >= 0) throw new TypeError(`${steps[at]!.said} and ${name} in options set the same, only one may be given`);
    steps.push({ ...step(name, setting), names: [...new Set([name, same])], ...factsOf(setting, name) });
  }
  return steps;
}

/** What is known of an option with a value: of a user's own its stage alone, unless the table has its name. */
function factsOf(setting: OptionSetting, name: string): Pick<Step, "stage" | "works"> {
  const stage = stageOf(setting) ?? "any";
  if (!Object.hasOwn(SOCKOPT, name)) return { stage };
  const { when, scope } = specOf(name as OptionName);
  return { stage: stage === "any" ? when : stage, works: SCOPES[scope] };
}

/** A signal or nothing, or an error. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`signal is ${shown(signal)}, it must be an AbortSignal`);
  }
}

/** A fact of a listener that `options` may not repeat by its C name. */
export function refuseNamed(steps: readonly Step[], field: string, name: string, given: unknown): void {
  if (given !== undefined && steps.some((step) => step.names.includes(name))) {
    throw new TypeError(`${field} and ${name} in options set the same, only one may be given`);
  }
}

/** Whether Deno's own calls can do all of it on a connection: no C library, no permission, no search for a descriptor. */
export function denoCan(steps: readonly Step[]): boolean {
  return steps.every((step) => step.byDeno !== undefined);
}

/** The IP version of the packets that go to a peer. */
function versionOf(peer: string): "inet" | "inet6" {
  const { bytes } = parseIp(peer)!;
  return bytes.length === 4 || isMapped(bytes) ? "inet" : "inet6";
}

/**
 * Refuses an option for the packets of one IP version where the peer is of the other: before connect() the socket could
 * carry either.
 */
export function refuseOtherVersion(steps: readonly Step[], peer: string, doing: string): void {
  const version = versionOf(peer);
  for (const { said, works } of steps) {
    if (works?.traffic === undefined || works.traffic === version) continue;
    throw new Deno.errors.NotSupported(
      `${doing}: ${said} works on ${works.words}; this connection carries ${
        version === "inet" ? "IPv4" : "IPv6"
      } traffic alone`,
    );
  }
}

/** The steps that do something on a connection with this peer: a listener on "::" has connections of both versions. */
export function ofVersion(steps: readonly Step[], peer: string): readonly Step[] {
  if (steps.every(({ works }) => works?.traffic === undefined)) return steps;
  const version = versionOf(peer);
  return steps.filter(({ works }) => (works?.traffic ?? version) === version);
}

/** Opens the C library if a step needs it, so that a refusal comes before anything is done. */
export function openFor(steps: readonly Step[], doing: string): void {
  const beyond = steps.find((step) => step.byDeno === undefined);
  if (beyond !== undefined) libc(`${doing} with ${beyond.said}`);
}

/** Applies all, or throws at the first that fails. */
export function applyAll(steps: readonly Step[], socket: SocketLike): void {
  for (const step of steps) step.apply(socket);
}

/** Applies all to a connection of Deno's, by Deno's own calls where there are some: they are the quicker way. */
export function applyToConn(steps: readonly Step[], conn: Deno.TcpConn): void {
  for (const step of steps) {
    if (step.byDeno === undefined) step.apply(conn);
    else step.byDeno(conn);
  }
}

/** The peer of a connection; null when it has none any more: it was reset, and the kernel refuses options with various errors. */
export function peerOf(socket: SocketLike): string | null {
  try {
    const remote = addressOf(descriptorOf(socket, "Cannot look for the peer").fd, "remote");
    return remote !== null && "hostname" in remote ? remote.hostname : null;
  } catch (error) {
    // A connection without its peer is not found among the descriptors.
    if (error instanceof Deno.errors.BadResource) return null;
    throw error;
  }
}

/** Options that a listener has for itself and its connections have no use for. */
const OF_LISTENERS: ReadonlySet<string> = new Set([
  "SO_REUSEADDR",
  "SO_REUSEPORT",
  "SO_EXCLUSIVEADDRUSE",
  "SO_ATTACH_REUSEPORT_CBPF",
  "SO_ATTACH_REUSEPORT_EBPF",
  "SO_DETACH_REUSEPORT_BPF",
]);

/** Options of Linux that connections inherit from the listener, and cannot be given again once locked or without a privilege. */
const INHERITED: ReadonlySet<string> = new Set([
  "SO_BINDTODEVICE",
  "SO_BINDTOIFINDEX",
  "SO_ATTACH_FILTER",
  "SO_ATTACH_BPF",
  "SO_DETACH_FILTER",
  "SO_LOCK_FILTER",
]);

/** Options that could be set later, and do not work as they should unless it is before bind(). */
const BEFORE_BIND: ReadonlySet<string> = new Set([
  "SO_REUSEADDR",
  "SO_REUSEPORT",
  "SO_BINDTODEVICE",
  "SO_BINDTOIFINDEX",
  "IP_TRANSPARENT",
  "IPV6_TRANSPARENT",
  "IPV6_FREEBIND",
]);

/** Options that could be set later, and shape the first packet of a connection: how it is sent, and what it offers. */
const BEFORE_CONNECT: ReadonlySet<string> = new Set([
  "SO_MARK",
  "SO_PRIORITY",
  "SO_RCVBUF",
  "SO_RCVBUFFORCE",
  "TCP_WINDOW_CLAMP",
  "SO_DONTROUTE",
  "IP_TOS",
  "IPV6_TCLASS",
  "IP_TTL",
  "IPV6_UNICAST_HOPS",
  "IP_OPTIONS",
  "IPV6_HOPOPTS",
  "IPV6_DSTOPTS",
  "IPV6_RTHDR",
  "IPV6_RTHDRDSTOPTS",
  "IPV6_AUTOFLOWLABEL",
]);

/** Options that could be set earlier, but connecting undoes the one, and the other is refused in part. */
const AFTER_CONNECT: ReadonlySet<string> = new Set(["TCP_QUICKACK", "SO_TIMESTAMPING"]);

/** Whether a step is for a connection that is there already. */
export function isForPeer({ stage, names }: Step): boolean {
  return stage === "connected" || names.some((name) => AFTER_CONNECT.has(name));
}

/** Whether a step must come before bind(). */
export function isForBind({ stage, names }: Step): boolean {
  return stage === "bind" || names.some((name) => BEFORE_BIND.has(name));
}

/** Whether a step is nothing that can be set on a connection that is there already. */
export function isForConnect(step: Step): boolean {
  return isForBind(step) || step.stage === "listen" || step.stage === "connect";
}

/** Whether a step is better set before connect(), where that can be done. */
export function isForSyn(step: Step): boolean {
  return isForConnect(step) || step.names.some((name) => BEFORE_CONNECT.has(name));
}

/** The steps that do something on a listener. */
export function onListener(steps: readonly Step[]): Step[] {
  return steps.filter((step) => !isForPeer(step));
}

/** The steps that do something on a connection of a listener. */
export function onConnection(steps: readonly Step[]): Step[] {
  return steps.filter((step) => {
    if (step.stage !== "any" && step.stage !== "connected") return false;
    return !step.names.some((name) => OF_LISTENERS.has(name));
  });
}

/** The steps that a connection needs when it is accepted. */
export function onAccepted(steps: readonly Step[]): Step[] {
  return onConnection(steps).filter((step) => !step.names.some((name) => INHERITED.has(name)));
}
