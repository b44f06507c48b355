// The guards of a listener: who is let in, how many, how fast, and who has been silent for too long.
// Where they stand in the listener's way: listen.ts. Limits of single calls: timeouts.ts.
import { integer, object, shown } from "../internal/argument.ts";
import { ffiGranted } from "../internal/ffi.ts";
import { libcIfOpen } from "../internal/libc.ts";
import { formatIp, isMapped, parseIp } from "../internal/sockaddr.ts";
import { TCP_INFO } from "../options/mod.ts";
import { LONGEST, refTimer, timer } from "../socket/waits.ts";
import { resetTcp } from "./reset.ts";
import { WrappedConn } from "./wrapped.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Why a connection was turned away. */
export type RefusalReason =
  | "maxConnections"
  | "maxConnectionsPerAddress"
  | "acceptRate"
  | "blocked"
  | "firstByteTimeout"
  | "idleTimeout";

/**
 * Guards of a listener of `listenTcp`; they do not reach `Deno.serve`, which makes its own: let that listen on a unix
 * socket, and a listener with limits pass connections on to it, as the recipe in the README does.
 *
 * Connections are looked at when they are accepted, so a call of `accept()` or a loop must be waiting; those turned away
 * are never seen by it. What it gives counts as open until it is closed: by `close()`, by its streams (which end one by
 * one, and close it as those of `Socket.asConn()` do), by a timeout of these limits, or when it is forgotten and V8
 * collects it.
 *
 * An IPv4 address written as IPv6 ("::ffff:10.0.0.1") counts as IPv4. Times are milliseconds up to 2,147,483,647. A limit
 * that another makes pointless is a `RangeError`.
 *
 * For TLS put node:tls on what is let in, as `listenTcp` says, or pass it on to a `Deno.serve` that has the certificate.
 *
 * Set `maxConnections` well below what the process may have open (`ulimit -n`): without a descriptor left Deno cannot even
 * accept in order to refuse, and fails to start a Worker.
 *
 * @example Four from one address at most, silent ones go
 * ```ts
 * import { connectTcp, listenTcp } from "@berkeley/sockets/tcp";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * using listener = listenTcp({
 *   hostname: "127.0.0.1",
 *   port: 0,
 *   limits: { maxConnections: 1000, maxConnectionsPerAddress: 1, firstByteTimeout: 5_000 },
 * });
 * using first = await connectTcp({ port: listener.addr.port });
 * using second = await connectTcp({ port: listener.addr.port });
 * using served = await listener.accept();
 * const waiting = listener.accept().catch(() => {});
 * await assertRejects(() => second.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
 * assertEquals([listener.connections, listener.refused.maxConnectionsPerAddress], [1, 1]);
 * listener.close();
 * await waiting;
 * assertEquals(served.remoteAddr, first.localAddr);
 * ```
 */
export interface TcpLimits {
  /** Open at once, 1 or more. */
  maxConnections?: number;
  /** Open at once from one IPv4 address, or from one /64 of IPv6, which is what a single customer has. */
  maxConnectionsPerAddress?: number;
  /** Accepted within any second, 1 to 1,000,000. */
  acceptRate?: number;
  /** Until the first byte arrives, from accept on; without `--allow-ffi` until it is read. */
  firstByteTimeout?: number;
  /** Without a byte either way. Whether some went by unread is asked of the kernel, with `--allow-ffi`. */
  idleTimeout?: number;
  /** Addresses and CIDR ranges let in ("10.0.0.0/8", "2001:db8::/32"), all when absent; bits beyond the prefix do not count. */
  allowList?: readonly string[];
  /** Addresses and CIDR ranges kept out; wins. */
  blockList?: readonly string[];
  /**
   * How to turn away: "reset" (default), which leaves nothing behind and needs `--allow-ffi`, or "close", in an orderly
   * way that leaves the port of the connection waiting for a minute.
   */
  refuseBy?: "reset" | "close";
  /** Told of each one turned away; what it throws is reported as an uncaught error, and the listener goes on. */
  onRefuse?: (reason: RefusalReason, remoteAddr: Deno.NetAddr) => void;
}

/** A range of addresses of one family. */
interface Range {
  readonly bytes: Bytes;
  readonly bits: number;
}

/** Limits that were checked. */
export interface CheckedLimits extends Omit<TcpLimits, "allowList" | "blockList" | "refuseBy"> {
  readonly allowed: readonly Range[] | null;
  readonly blocked: readonly Range[];
  readonly refuseBy: "reset" | "close";
}

const COUNTS = { maxConnections: LONGEST, maxConnectionsPerAddress: LONGEST, acceptRate: 1_000_000 } as const;
const TIMES = { firstByteTimeout: LONGEST, idleTimeout: LONGEST } as const;
const NUMBERS = { ...COUNTS, ...TIMES };
const OTHERS = ["allowList", "blockList", "refuseBy", "onRefuse"];
/** Those that mean nothing beyond another, which comes first then. */
const WITHIN = [["maxConnectionsPerAddress", "maxConnections"], ["firstByteTimeout", "idleTimeout"]] as const;

/** Checks limits as a user gives them. */
export function checkedLimits(given: unknown): CheckedLimits {
  const limits = object(given, "limits", "an object of limits") as TcpLimits;
  for (const name of Object.keys(limits)) {
    if (name in NUMBERS || OTHERS.includes(name)) continue;
    throw new TypeError(
      `limits.${name} is no limit, it must be one of ${[...Object.keys(NUMBERS), ...OTHERS].join(", ")}`,
    );
  }
  for (const [name, max] of Object.entries(NUMBERS)) {
    const value = limits[name as keyof typeof NUMBERS];
    if (value !== undefined) integer(value, `limits.${name}`, 1, max);
  }
  for (const [name, outer] of WITHIN) {
    const [value, bound] = [limits[name], limits[outer]];
    if (value === undefined || bound === undefined || value <= bound) continue;
    throw new RangeError(`limits.${name} is ${value}, it must not be above limits.${outer}, which is ${bound}`);
  }
  const { allowList, blockList, refuseBy = "reset", onRefuse } = limits;
  if (refuseBy !== "reset" && refuseBy !== "close") {
    throw new TypeError(`limits.refuseBy is ${shown(refuseBy)}, it must be "reset" or "close"`);
  }
  if (onRefuse !== undefined && typeof onRefuse !== "function") {
    throw new TypeError(`limits.onRefuse is ${shown(onRefuse)}, it must be a function`);
  }
  if (Array.isArray(allowList) && allowList.length === 0) {
    throw new RangeError("limits.allowList is empty, it must let in somebody; leave it out to let in all");
  }
  return {
    ...limits,
    refuseBy,
    allowed: allowList === undefined ? null : ranges(allowList, "limits.allowList"),
    blocked: blockList === undefined ? [] : ranges(blockList, "limits.blockList"),
  };
}

function ranges(list: unknown, what: string): Range[] {
  if (!Array.isArray(list)) throw new TypeError(`${what} is ${shown(list)}, it must be an array of CIDR ranges`);
  return list.map((text, i) => {
    if (typeof text === "string") {
      const range = rangeOf(text);
      if (range !== null) return range;
    }
    throw new (typeof text === "string" ? SyntaxError : TypeError)(
      `${what}[${i}] is ${shown(text)}, it must be an address or a CIDR range such as "10.0.0.0/8"`,
    );
  });
}

function rangeOf(text: string): Range | null {
  const [, address, prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const ip = address === undefined ? null : parseIp(address);
  if (ip === null || ip.zone !== null) return null;
  const all = ip.bytes.length * 8;
  const bits = prefix === undefined ? all : Number(prefix);
  if (bits > all) return null;
  // IPv4 in IPv6's clothes is IPv4, as the addresses are that are compared.
  return isMapped(ip.bytes) && bits >= 96 ? { bytes: ip.bytes.slice(12), bits: bits - 96 } : { bytes: ip.bytes, bits };
}

function contains({ bytes, bits }: Range, ip: Bytes): boolean {
  if (bytes.length !== ip.length) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== ip[i]) return false;
  const mask = 0xff00 >> (bits & 7) & 0xff;
  return mask === 0 || (bytes[whole]! & mask) === (ip[whole]! & mask);
}

/** The bytes of a peer's address, IPv4 as IPv4. */
function bytesOf(hostname: string): Bytes {
  const { bytes } = parseIp(hostname)!;
  return isMapped(bytes) ? bytes.slice(12) : bytes;
}

/** Bytes of IPv6 that one customer shares. */
const PREFIX = 8;

/** What stands for all addresses that are counted as one. */
function keyOf(ip: Bytes): string {
  return ip.length === 4 ? formatIp(ip) : ip.subarray(0, PREFIX).join();
}

/** Nobody was turned away. */
export function noRefusals(): Record<RefusalReason, number> {
  return {
    maxConnections: 0,
    maxConnectionsPerAddress: 0,
    acceptRate: 0,
    blocked: 0,
    firstByteTimeout: 0,
    idleTimeout: 0,
  };
}

/** Stands at a listener: lets in, counts and turns away. */
export class Guard {
  readonly limits: CheckedLimits;
  readonly refused: Record<RefusalReason, number> = noRefusals();
  readonly #byAddress = new Map<string, number>();
  /** When the last so many were accepted, as many as one second may have; the oldest is at `#oldest`. */
  readonly #accepted: Float64Array | null;
  #oldest = 0;
  #connections = 0;

  constructor(limits: CheckedLimits) {
    this.limits = limits;
    this.#accepted = limits.acceptRate === undefined ? null : new Float64Array(limits.acceptRate).fill(-Infinity);
  }

  /** How many that were let in are open. */
  get connections(): number {
    return this.#connections;
  }

  /** Lets a new connection in; null when it was turned away. */
  admit(conn: Deno.TcpConn): Deno.TcpConn | null {
    const ip = bytesOf(conn.remoteAddr.hostname);
    const key = keyOf(ip);
    const reason = this.#against(ip, key);
    if (reason !== null) {
      this.turnAway(conn, reason);
      return null;
    }
    if (this.#accepted !== null) {
      this.#accepted[this.#oldest] = performance.now();
      this.#oldest = (this.#oldest + 1) % this.#accepted.length;
    }
    this.#connections++;
    this.#byAddress.set(key, (this.#byAddress.get(key) ?? 0) + 1);
    return limited(conn, new Visit(this, conn, key));
  }

  #against(ip: Bytes, key: string): RefusalReason | null {
    const { allowed, blocked, maxConnections = Infinity, maxConnectionsPerAddress = Infinity } = this.limits;
    if (blocked.some((range) => contains(range, ip))) return "blocked";
    if (allowed !== null && !allowed.some((range) => contains(range, ip))) return "blocked";
    if (this.#connections >= maxConnections) return "maxConnections";
    if ((this.#byAddress.get(key) ?? 0) >= maxConnectionsPerAddress) return "maxConnectionsPerAddress";
    const oldest = this.#accepted?.[this.#oldest] ?? -Infinity;
    return performance.now() - oldest < 1000 ? "acceptRate" : null;
  }

  /** Ends a connection, counts it and tells of it. */
  turnAway(conn: Deno.TcpConn, reason: RefusalReason): void {
    const { remoteAddr } = conn;
    this.refused[reason]++;
    this.#end(conn);
    try {
      this.limits.onRefuse?.(reason, remoteAddr);
    } catch (error) {
      reportError(error);
    }
  }

  #end(conn: Deno.TcpConn): void {
    try {
      if (this.limits.refuseBy === "reset") return resetTcp(conn);
    } catch {
      // Its peer has reset it meanwhile: there is nothing left to reset.
    }
    conn.close();
  }

  /** A connection that was let in is closed. */
  leave(key: string): void {
    this.#connections--;
    const left = this.#byAddress.get(key)! - 1;
    if (left === 0) this.#byAddress.delete(key);
    else this.#byAddress.set(key, left);
  }
}

/** A connection that was let in, until it ends. Holds nothing that users hold: what they forget can be collected. */
class Visit {
  readonly #guard: Guard;
  readonly #conn: Deno.TcpConn;
  readonly #key: string;
  readonly #since = performance.now();
  /** When a byte went by last. */
  #moved = this.#since;
  /** Whether any has arrived. */
  #heard = false;
  #timer: number | undefined;
  #open = true;
  /** What the calls of a connection fail with that was turned away. */
  turnedAway: Deno.errors.TimedOut | null = null;

  constructor(guard: Guard, conn: Deno.TcpConn, key: string) {
    this.#guard = guard;
    this.#conn = conn;
    this.#key = key;
    this.#arm();
  }

  /** A byte went by. */
  moved(arrived: boolean): void {
    this.#moved = performance.now();
    this.#heard ||= arrived;
  }

  /** When it has been silent for too long, and by which limit. */
  #due(): [at: number, reason: "firstByteTimeout" | "idleTimeout"] {
    const { firstByteTimeout = Infinity, idleTimeout = Infinity } = this.#guard.limits;
    const first = this.#heard ? Infinity : this.#since + firstByteTimeout;
    const idle = this.#moved + idleTimeout;
    return first <= idle ? [first, "firstByteTimeout"] : [idle, "idleTimeout"];
  }

  /** Looks again when it would be too long; bytes that go by meanwhile touch no timer. */
  #arm(): void {
    const [at] = this.#due();
    if (at === Infinity) return;
    this.#timer = timer(() => this.#look(), Math.min(Math.ceil(Math.max(at - performance.now(), 0)), LONGEST));
    refTimer(this.#timer, false);
  }

  #look(): void {
    if (performance.now() >= this.#due()[0]) this.#ask();
    const [at, reason] = this.#due();
    if (performance.now() < at) return this.#arm();
    if (!this.end()) return;
    const limit = this.#guard.limits[reason];
    this.turnedAway = new Deno.errors.TimedOut(
      `The connection was turned away: no byte ${
        reason === "idleTimeout" ? "either way " : ""
      }within ${limit} ms (${reason})`,
    );
    this.#guard.turnAway(this.#conn, reason);
  }

  /** Asks the kernel what went by that nobody has read or was told of. */
  #ask(): void {
    if (libcIfOpen() === undefined && !ffiGranted()) return;
    try {
      const { bytesReceived = 0, lastDataReceived = Infinity, lastDataSent = Infinity } = TCP_INFO.get(this.#conn);
      this.#heard ||= bytesReceived > 0;
      this.#moved = Math.max(this.#moved, performance.now() - Math.min(lastDataReceived, lastDataSent));
    } catch {
      // It has no peer any more, and cannot be found by it: nothing went by.
    }
  }

  /** It has ended, whichever way; false when it had already. */
  end(): boolean {
    if (!this.#open) return false;
    this.#open = false;
    clearTimeout(this.#timer);
    forgotten.unregister(this);
    this.#guard.leave(this.#key);
    return true;
  }

  /** Closes what a program forgot. */
  close(): void {
    if (this.end()) this.#conn.close();
  }
}

const forgotten = new FinalizationRegistry<Visit>((visit) => visit.close());

/** A connection that a guard has let in. */
class LimitedConn extends WrappedConn<Deno.NetAddr> {
  readonly #visit: Visit;

  constructor(conn: Deno.TcpConn, visit: Visit) {
    super(conn);
    this.#visit = visit;
    forgotten.register(this, visit, visit);
  }

  override async read(p: Uint8Array): Promise<number | null> {
    this.check(p, "read");
    if (this.#visit.turnedAway !== null) throw this.#visit.turnedAway;
    if (this.readEnded) return null;
    try {
      const count = await this.inner.read(p);
      if (count !== null && count > 0) this.#visit.moved(true);
      return count;
    } catch (error) {
      throw this.#visit.turnedAway ?? error;
    }
  }

  override async write(p: Uint8Array): Promise<number> {
    this.check(p, "write");
    if (this.#visit.turnedAway !== null) throw this.#visit.turnedAway;
    try {
      const count = await this.writes.run(() => this.inner.write(p));
      if (count > 0) this.#visit.moved(false);
      return count;
    } catch (error) {
      throw this.#visit.turnedAway ?? error;
    }
  }

  protected override closeInner(): void {
    this.#visit.close();
  }
}

function limited(conn: Deno.TcpConn, visit: Visit): Deno.TcpConn {
  // It has the members of the other, setNoDelay() and setKeepAlive() among them.
  return new LimitedConn(conn, visit) as unknown as Deno.TcpConn;
}
