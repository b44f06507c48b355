// listenTcp: Deno.listen with options, which the accepted connections carry too, and with limits.
// What must come before bind() is listen_own.ts, the limits limits.ts. The other side is connect.ts; the options, steps.ts.
import { boolean, integer, object, port as portOf, prefixed, shown, text } from "../internal/argument.ts";
import { decorated, showPlace } from "../internal/deno_error.ts";
import { acceptedBy, descriptorOf, lowestFree, note } from "../internal/descriptor.ts";
import { ffiGranted } from "../internal/ffi.ts";
import { libcIfOpen } from "../internal/libc.ts";
import { libcIo } from "../internal/libc_io.ts";
import { OS, OS_NAME } from "../internal/os.ts";
import { notedDescriptor } from "../internal/runtime.ts";
import { parseIp } from "../internal/sockaddr.ts";
import { BACK_OFF, isExhausted, Pauses } from "../socket/waits.ts";
import { checkedLimits, Guard, noRefusals, type RefusalReason, type TcpLimits } from "./limits.ts";
import { listenOwn, type OwnPlace } from "./listen_own.ts";
import type { TcpOptions } from "./settings.ts";
import {
  applyAll,
  applyToConn,
  checkSignal,
  denoCan,
  isForBind,
  ofVersion,
  onAccepted,
  onListener,
  openFor,
  peerOf,
  refuseNamed,
  type Step,
  stepsOf,
} from "./steps.ts";

/** Options of {@linkcode listenTcp}. */
export interface ListenTcpOptions extends TcpOptions {
  /** Port, 0 for any that is free. */
  port: number;
  /** Address to listen on, default "0.0.0.0" as in Deno; "::" takes IPv4 and IPv6. */
  hostname?: string;
  /**
   * Connections that may wait to be accepted, default 511. Linux takes no more than `net.core.somaxconn`, without a word;
   * see listen(2).
   */
  backlog?: number;
  /**
   * Listens although connections of an earlier listener linger on. Deno does so on Unix and not on Windows; the other
   * way takes a socket of ours, see {@linkcode listenTcp}.
   */
  reuseAddress?: boolean;
  /**
   * Lets several listeners have the port; Linux shares the connections out among them. Without the `--unstable-net` flag
   * it takes a socket of ours. Throws `Deno.errors.NotSupported` on other systems.
   */
  reusePort?: boolean;
  /** No IPv4 on "::"; `true` takes a socket of ours. */
  ipv6Only?: boolean;
  /** Takes connections of several paths (Multipath TCP, RFC 8684) too, where the kernel has it; takes a socket of ours. */
  multipath?: boolean;
  /** Guards against abuse; what is accepted is then no object of Deno's, but has the same interface. */
  limits?: TcpLimits;
  /** Closes the listener; iteration ends. */
  signal?: AbortSignal;
}

/** A listener whose connections carry its options: Deno's own object, unless something must come before bind(). */
export interface TcpListener extends Deno.Listener<Deno.TcpConn, Deno.NetAddr> {
  /** Turned away by `limits` so far, by reason. */
  readonly refused: Readonly<Record<RefusalReason, number>>;
  /**
   * Open now. With `limits` those that were let in; without, as nothing stands in the way of the connections then, those
   * of this process at the listener's address, however they were accepted, which needs `--allow-ffi` and the listener to be
   * open. Those that still wait for `accept()` do not count.
   */
  readonly connections: number;
}

interface Place extends OwnPlace {
  readonly signal: AbortSignal | undefined;
  readonly guard: Guard | null;
  /** Whether a socket of ours is needed. */
  readonly own: boolean;
}

/**
 * Listens for TCP connections, as `Deno.listen` does, with options set.
 *
 * What comes back is Deno's own listener, and what it accepts are Deno's own connections. The options are set on it as
 * far as they mean something there, so that they hold from the first packet of a handshake, and again on every connection
 * that `accept()` or iteration gives, as only Linux hands them on; of a listener on "::" those of one IP version (`IP_TOS`)
 * on the connections that carry it. A connection that its peer has reset by then is passed over, and where no descriptor
 * is left iteration waits until there is one. Without options nothing about the listener is changed: Deno's `accept()`
 * rejects with `NotConnected` for such a connection, and its loop ends with EMFILE.
 *
 * What must come before bind() Deno cannot do: `ipv6Only`, `multipath`, `reuseAddress: false`, `reusePort` without
 * `--unstable-net`, `IP_FREEBIND`, `IP_TRANSPARENT`, `SO_BINDTODEVICE` and the like in `options`. The listener is then a
 * socket of ours with the same interface, on Linux, and so are its connections (see `Socket.asListener`). `limits` puts each
 * connection into one of ours too, and only the listener stays Deno's. `Deno.startTls` does not take such connections: TLS
 * is put on them by node:tls, `new TLSSocket(Duplex.fromWeb(conn), { isServer: true, cert, key })` with `Duplex` of
 * node:stream.
 *
 * Requires `--allow-net`; options other than `noDelay` and `keepAlive: true` or `false`, and `limits` unless they refuse by
 * "close", require `--allow-ffi`.
 *
 * @param options Where to listen, and the options of the connections; see {@linkcode TcpOptions}.
 * @returns The listener.
 * @throws {TypeError} An argument is of a wrong kind, or an option is given twice.
 * @throws {RangeError} A number is out of range.
 * @throws {Deno.errors.NotCapable} `--allow-net` is missing, or `--allow-ffi` for an option that needs it.
 * @throws {Deno.errors.NotSupported} Something that Deno's listener cannot do; the message names it.
 * @throws {Deno.errors.AddrInUse} Another socket has the port. This and other failures of the system have `code`,
 * `errno` and `syscall`.
 *
 * @example Accepted connections carry the options
 * ```ts
 * import { connectTcp, listenTcp } from "@berkeley/sockets/tcp";
 * import { TCP_KEEPIDLE, TCP_NODELAY } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = listenTcp({ hostname: "127.0.0.1", port: 0, noDelay: true, keepAlive: { idle: 60_000 } });
 * using _client = await connectTcp({ port: listener.addr.port });
 * using conn = await listener.accept();
 * assertEquals(TCP_NODELAY.get(conn), true);
 * assertEquals(TCP_KEEPIDLE.get(conn), 60);
 * ```
 *
 * @example A signal ends the loop
 * ```ts
 * import { connectTcp, listenTcp } from "@berkeley/sockets/tcp";
 * import { assertEquals } from "@std/assert";
 *
 * const stop = new AbortController();
 * const listener = listenTcp({ hostname: "127.0.0.1", port: 0, signal: stop.signal });
 * using _client = await connectTcp({ port: listener.addr.port });
 * let served = 0;
 * for await (const conn of listener) {
 *   conn.close();
 *   served++;
 *   stop.abort();
 * }
 * assertEquals(served, 1);
 * ```
 */
export function listenTcp(options: ListenTcpOptions): TcpListener {
  const place = checked(options);
  const { hostname, steps, signal, guard, own, doing } = place;
  openFor(steps, doing);
  if (own) libcIo(doing);
  if (guard?.limits.refuseBy === "reset") libcIo(`${doing} with limits that reset`);
  signal?.throwIfAborted();
  // Those that share an address are told apart by the hint alone.
  const hint = own || parseIp(hostname) === null ? -1 : lowestFree(place.reusePort);
  const listener = own ? listenOwn(place) : listenByDeno(place);
  try {
    note(listener, hint);
    // What Deno's calls can do on the connections is set here as well when that takes no new permission.
    if (!own && steps.length > 0 && (libcIfOpen() !== undefined || ffiGranted())) {
      applyAll(onListener(steps).filter(outlives), listener);
    }
  } catch (error) {
    listener.close();
    throw error;
  }
  if (own || steps.length > 0 || guard !== null) carry(listener, { steps: onAccepted(steps), guard });
  if (signal !== undefined) closeOn(listener, signal);
  return counted(listener, guard);
}

type Listener = Deno.Listener<Deno.TcpConn, Deno.NetAddr>;

function listenByDeno({ hostname, port, backlog, reusePort, doing, remedies }: Place): Listener {
  try {
    return Deno.listen({
      hostname,
      port,
      ...(backlog !== undefined && { tcpBacklog: backlog }),
      ...(reusePort && { reusePort }),
    });
  } catch (error) {
    throw decorated(error, "bind", doing, remedies);
  }
}

/** A listener that tells whom it has turned away and how many are there. */
function counted(listener: Listener, guard: Guard | null): TcpListener {
  const refused = guard?.refused ?? Object.freeze(noRefusals());
  return Object.defineProperties(listener, {
    refused: { get: () => ({ ...refused }), configurable: true },
    connections: { get: () => guard?.connections ?? countOf(listener), configurable: true },
  }) as TcpListener;
}

function countOf(listener: Listener): number {
  const doing = "Cannot count the connections of a listener";
  return acceptedBy(descriptorOf(listener, doing), doing).length;
}

function checked(options: ListenTcpOptions): Place {
  let doing = "Cannot listen on TCP";
  try {
    object(options, "the argument", "an object with a port");
    const port = portOf(options.port);
    const hostname = text(options.hostname ?? "0.0.0.0", "hostname", "an address or a name");
    if (hostname === "") throw new TypeError('hostname is "", it must be an address or a name');
    doing = `Cannot listen on ${showPlace("tcp", hostname, port)}`;
    const { backlog, reuseAddress, reusePort = false, ipv6Only, signal } = options;
    if (backlog !== undefined) integer(backlog, "backlog", 0, 0x7fff_ffff);
    if (reuseAddress !== undefined) boolean(reuseAddress, "reuseAddress");
    boolean(reusePort, "reusePort");
    if (ipv6Only !== undefined) boolean(ipv6Only, "ipv6Only");
    checkSignal(signal);
    const steps = stepsOf(options);
    refuseNamed(steps, "reuseAddress", "SO_REUSEADDR", reuseAddress);
    refuseNamed(steps, "reusePort", "SO_REUSEPORT", options.reusePort);
    refuseNamed(steps, "ipv6Only", "IPV6_V6ONLY", ipv6Only);
    const { multipath = false, limits } = options;
    boolean(multipath, "multipath");
    if (ipv6Only === true && parseIp(hostname.replace(/^\[(.*)\]$/, "$1"))?.bytes.length === 4) {
      throw new TypeError(`ipv6Only is true, the hostname ${shown(hostname)} must then be no IPv4 address`);
    }
    const guard = limits === undefined ? null : new Guard(checkedLimits(limits));
    const needsOwn = ownReason(options, steps);
    if (needsOwn !== null && OS !== "linux") {
      throw new Deno.errors.NotSupported(
        `${doing}: ${needsOwn} must come before bind(), which is possible on Linux alone, this is ${OS_NAME}`,
      );
    }
    return {
      hostname,
      port,
      backlog,
      reuseAddress: reuseAddress ?? REUSED_BY_DENO,
      reusePort,
      ipv6Only: ipv6Only === true,
      multipath,
      signal,
      steps,
      guard,
      own: needsOwn !== null,
      doing,
      remedies: remedies(port),
    };
  } catch (error) {
    throw prefixed(error, doing);
  }
}

/** Deno sets SO_REUSEADDR on every listener, but not on Windows, where it would let others take the port. */
const REUSED_BY_DENO = OS !== "windows";

/** What needs a socket of ours; null where Deno can do all of it. */
function ownReason(options: ListenTcpOptions, steps: readonly Step[]): string | null {
  if (options.multipath === true) return "multipath: true";
  if (options.ipv6Only === true) return "ipv6Only: true";
  if (options.reuseAddress === !REUSED_BY_DENO) return `reuseAddress: ${options.reuseAddress}`;
  // Deno ignores it elsewhere; on Linux, without the flag, it would end the whole process.
  if (options.reusePort === true && (OS !== "linux" || typeof Deno.listenDatagram !== "function")) {
    return "reusePort: true";
  }
  return steps.find((step) => isForBind(step) || step.stage === "listen")?.said ?? null;
}

function remedies(port: number): Readonly<Partial<Record<string, string>>> {
  return {
    ...(port < 1024 &&
      { EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE" }),
    EADDRINUSE: "another socket has this port; port 0 takes one that is free",
    EADDRNOTAVAIL: "the address must be one of this machine's",
    EMFILE: "the process has as many open files as it may, see ulimit -n",
  };
}

/** A macOS listener with keepalive on is dropped as idle and hears nothing more; its connections get keepalive when accepted. */
const KEEPS_LISTENING = OS !== "darwin";

function outlives(step: Step): boolean {
  return KEEPS_LISTENING || !step.names.includes("SO_KEEPALIVE");
}

interface Carried {
  steps: readonly Step[];
  readonly guard: Guard | null;
}
const carriedBy = new WeakMap<object, Carried>();

function own(object: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(object, key, { value, configurable: true, writable: true, enumerable: false });
}

/** Makes a listener's connections carry the steps. Iteration calls `accept()` of the object, so it carries them too. */
function carry(listener: Listener, carried: Carried): void {
  carriedBy.set(listener, carried);
  iterateOn(listener);
  const accept = listener.accept;
  own(listener, "accept", async function (): Promise<Deno.TcpConn> {
    for (;;) {
      const conn = await accept.call(listener).catch((error) => unlessReset(error, listener.addr));
      if (conn === null) continue;
      // One of ours, reset before it could be asked who the peer is.
      if (conn.remoteAddr.port === 0) {
        conn.close();
        continue;
      }
      const admitted = carried.guard === null ? conn : carried.guard.admit(conn);
      if (admitted !== null && made(admitted, carried)) return admitted;
    }
  });
}

/** Iterates on where no descriptor is left, as a socket of ours does by itself: Deno's way ends the loop, and the server with it. */
function iterateOn(listener: Listener): void {
  const { next } = listener as unknown as Partial<AsyncIterator<Deno.TcpConn>>;
  if (next === undefined) return;
  own(listener, "next", async function (): Promise<IteratorResult<Deno.TcpConn>> {
    for (let delay: number = BACK_OFF[0];; delay = Math.min(delay * 2, BACK_OFF[1])) {
      try {
        return await next.call(listener);
      } catch (error) {
        if (!isExhausted(error)) throw error;
      }
      await new Pauses(true).pause(delay, undefined);
    }
  });
}

/** Deno's accept fails when the connection it took was reset before it could ask who the peer is. */
function unlessReset(error: unknown, { hostname, port }: Deno.NetAddr): null {
  if (error instanceof Deno.errors.NotConnected || error instanceof Deno.errors.ConnectionAborted) return null;
  throw decorated(error, "accept", `Cannot accept on ${showPlace("tcp", hostname, port)}`, remedies(port));
}

/** Applies the steps to a new connection; false when it was closed, as its peer had gone. */
function made(conn: Deno.TcpConn, { steps }: Carried): boolean {
  try {
    if (!denoCan(steps)) note(conn, notedDescriptor(conn) ?? -1);
    applyToConn(ofVersion(steps, conn.remoteAddr.hostname), conn);
    return true;
  } catch (error) {
    // Nothing but a closed connection refuses Deno's two switches; TCP_ULP is refused by one whose peer has ended its half.
    const gone = denoCan(steps) || error instanceof Deno.errors.NotConnected || peerOf(conn) === null;
    conn.close();
    if (gone) return false;
    throw error;
  }
}

/** What a listener of {@linkcode listenTcp} gives its connections from now on, after it was tuned. */
export function carryAlso(listener: object, steps: readonly Step[]): void {
  const carried = carriedBy.get(listener);
  if (carried === undefined) return;
  const added = onAccepted(steps);
  const names = new Set(added.flatMap((step) => step.names));
  carried.steps = [...carried.steps.filter((step) => !step.names.every((name) => names.has(name))), ...added];
}

/** Closes the listener when the signal comes; the signal forgets it when it is closed. */
function closeOn(listener: Listener, signal: AbortSignal): void {
  const { close, [Symbol.dispose]: dispose } = listener;
  const abort = () => dispose.call(listener);
  const forget = () => signal.removeEventListener("abort", abort);
  own(listener, "close", () => {
    forget();
    close.call(listener);
  });
  own(listener, Symbol.dispose, () => {
    forget();
    dispose.call(listener);
  });
  signal.addEventListener("abort", abort, { once: true });
}
