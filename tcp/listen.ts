// listenTcp: Deno.listen with options, which the accepted connections carry too.
// The other side is connect.ts; what the options are and how they are applied, settings.ts and steps.ts.
import { boolean, integer, object, port as portOf, prefixed, text } from "../internal/argument.ts";
import { decorated, showPlace } from "../internal/deno_error.ts";
import { lowestFree, note } from "../internal/descriptor.ts";
import { ffiGranted } from "../internal/ffi.ts";
import { libcIfOpen } from "../internal/libc.ts";
import { OS, OS_NAME } from "../internal/os.ts";
import { notedDescriptor } from "../internal/runtime.ts";
import { parseIp } from "../internal/sockaddr.ts";
import type { TcpOptions } from "./settings.ts";
import {
  applyAll,
  applyToConn,
  checkSignal,
  denoCan,
  onAccepted,
  onListener,
  openFor,
  peerIsGone,
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
   * way throws `Deno.errors.NotSupported`.
   */
  reuseAddress?: boolean;
  /**
   * Lets several listeners have the port; Linux shares the connections out among them. Needs the `--unstable-net` flag,
   * without which it throws `Deno.errors.NotSupported`, as it does on other systems.
   */
  reusePort?: boolean;
  /** No IPv4 on "::". Not yet possible: `true` throws `Deno.errors.NotSupported`, `false` is what the system does. */
  ipv6Only?: boolean;
  /** Closes the listener; iteration ends. */
  signal?: AbortSignal;
}

/** A listener whose connections carry its options: Deno's own object. */
export type TcpListener = Deno.Listener<Deno.TcpConn, Deno.NetAddr>;

interface Place {
  readonly hostname: string;
  readonly port: number;
  readonly backlog: number | undefined;
  readonly reusePort: boolean;
  readonly signal: AbortSignal | undefined;
  readonly steps: readonly Step[];
  readonly doing: string;
}

/**
 * Listens for TCP connections, as `Deno.listen` does, with options set.
 *
 * What comes back is Deno's own listener. The options are set on it as far as they mean something there, so that they
 * hold from the first packet of a handshake, and again on every connection that `accept()` or iteration gives, as only
 * Linux hands them on. A connection that its peer has reset by then is passed over. Without options nothing about the
 * listener is changed; Deno's `accept()` then rejects with `NotConnected` for such a connection.
 *
 * Requires `--allow-net`; options other than `noDelay` and `keepAlive: true` or `false` require `--allow-ffi`.
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
  const { hostname, port, backlog, reusePort, signal, steps, doing } = checked(options);
  openFor(steps, doing);
  signal?.throwIfAborted();
  // Those that share an address are told apart by the hint alone.
  const hint = parseIp(hostname) === null ? -1 : lowestFree(reusePort);
  let listener: TcpListener;
  try {
    listener = Deno.listen({
      hostname,
      port,
      ...(backlog !== undefined && { tcpBacklog: backlog }),
      ...(reusePort && { reusePort }),
    });
  } catch (error) {
    throw decorated(error, "bind", doing, remedies(port));
  }
  try {
    note(listener, hint);
    // What Deno's calls can do on the connections is set here as well when that takes no new permission.
    if (steps.length > 0 && (libcIfOpen() !== undefined || ffiGranted())) {
      applyAll(onListener(steps).filter(outlives), listener);
    }
  } catch (error) {
    listener.close();
    throw error;
  }
  const carried = onAccepted(steps);
  if (carried.length > 0) carry(listener, { steps: carried });
  if (signal !== undefined) closeOn(listener, signal);
  return listener;
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
    refuseUnsupported(options, steps, doing);
    return { hostname, port, backlog, reusePort, signal, steps, doing };
  } catch (error) {
    throw prefixed(error, doing);
  }
}

/** Deno sets SO_REUSEADDR on every listener, but not on Windows, where it would let others take the port. */
const REUSED_BY_DENO = OS !== "windows";

function refuseUnsupported(options: ListenTcpOptions, steps: readonly Step[], doing: string): void {
  const no = (what: string) => new Deno.errors.NotSupported(`${doing}: ${what}`);
  if ((options as { limits?: unknown }).limits !== undefined) throw no("limits is not supported yet");
  if (options.ipv6Only === true) throw no("ipv6Only: true is not supported yet");
  if (options.reuseAddress === !REUSED_BY_DENO) {
    throw no(`reuseAddress: ${options.reuseAddress} is not supported yet, Deno does the opposite on ${OS_NAME}`);
  }
  if (options.reusePort === true) {
    // Deno ignores it elsewhere; on Linux, without the flag, it would end the whole process.
    if (OS !== "linux") throw no(`reusePort: true is not supported on ${OS_NAME}`);
    if (typeof Deno.listenDatagram !== "function") {
      throw no("reusePort: true needs the --unstable-net flag, run again with it");
    }
  }
  const early = steps.find((step) => step.stage === "bind" || step.stage === "listen");
  if (early !== undefined) {
    throw no(`${early.said} must be set before the call "${early.stage}", which is not supported yet`);
  }
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
}
const carriedBy = new WeakMap<object, Carried>();

function own(object: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(object, key, { value, configurable: true, writable: true, enumerable: false });
}

/** Makes a listener's connections carry the steps. Iteration calls `accept()` of the object, so it carries them too. */
function carry(listener: TcpListener, carried: Carried): void {
  carriedBy.set(listener, carried);
  const accept = listener.accept;
  own(listener, "accept", async function (): Promise<Deno.TcpConn> {
    for (;;) {
      const conn = await accept.call(listener).catch((error) => unlessReset(error, listener.addr));
      if (conn !== null && made(conn, carried)) return conn;
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
    applyToConn(steps, conn);
    return true;
  } catch (error) {
    // Deno's calls are two switches, which nothing but a closed connection refuses.
    const gone = denoCan(steps) || peerIsGone(conn);
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
function closeOn(listener: TcpListener, signal: AbortSignal): void {
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
