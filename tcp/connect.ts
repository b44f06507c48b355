// connectTcp: Deno.connect with a time limit and options; what Deno cannot do in time is done by connect_own.ts.
// The other side is listen.ts; what the options are and how they are applied, settings.ts and steps.ts.
import { boolean, integer, object, prefixed, shown, text } from "../internal/argument.ts";
import { decorated, showPlace } from "../internal/deno_error.ts";
import { lowestFree, note } from "../internal/descriptor.ts";
import { OS, OS_NAME } from "../internal/os.ts";
import { parseIp } from "../internal/sockaddr.ts";
import { LONGEST } from "../socket/waits.ts";
import type { TcpOptions } from "./settings.ts";
import { connectOwn, type OwnAttempt } from "./connect_own.ts";
import { applyToConn, checkSignal, isForConnect, isForSyn, openFor, type Step, stepsOf } from "./steps.ts";

/** Options of {@linkcode connectTcp}. */
export interface ConnectTcpOptions extends TcpOptions {
  /** Port of the peer, 1 to 65535. */
  port: number;
  /** Name or address of the peer, default "127.0.0.1" as in Deno. Of a name all addresses are tried (RFC 8305). */
  hostname?: string;
  /** Source address and port, each the system's choice when left out. Takes a socket of ours, see {@linkcode connectTcp}. */
  localAddr?: {
    /** A literal address of this machine; addresses of the peer of the other family are then not tried. */
    hostname?: string;
    /** A port, 0 for any. */
    port?: number;
  };
  /**
   * Several paths at once where this kernel and the peer have it (Multipath TCP, RFC 8684), plain TCP otherwise;
   * `TCP_IS_MPTCP` tells which. Takes a socket of ours.
   */
  multipath?: boolean;
  /** Ends the attempt; once connected it does nothing. */
  signal?: AbortSignal;
  /** Milliseconds for the attempt, the lookup of the name and all addresses together; 1 to 2,147,483,647. */
  timeout?: number;
}

const REMEDIES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there, or a firewall refuses",
  EADDRNOTAVAIL: "this machine has no address of that family, or no free port left",
  ENETUNREACH: "this machine has no route to that network",
  EHOSTUNREACH: "no machine answers at that address",
  EMFILE: "the process has as many open files as it may, see ulimit -n",
};

interface Attempt {
  readonly hostname: string;
  readonly port: number;
  readonly signal: AbortSignal | undefined;
  readonly timeout: number | undefined;
  readonly localAddr: OwnAttempt["localAddr"];
  readonly multipath: boolean;
  readonly steps: readonly Step[];
  /** Whether a socket of ours is needed. */
  readonly own: boolean;
  readonly doing: string;
}

/**
 * Connects over TCP, as `Deno.connect` does, with options set.
 *
 * What comes back is Deno's own connection: its streams, `Deno.startTls` and all else work as ever. If an option cannot
 * be set, the connection is closed again and the error names the option.
 *
 * What must come before the handshake Deno cannot do. With `localAddr`, `multipath`, `dscp`, `hopLimit` or
 * `receiveBufferSize`, or an option in `options` that matters so early (`SO_BINDTODEVICE`, `SO_MARK`, `TCP_MAXSEG`,
 * `TCP_FASTOPEN_CONNECT`, `IP_LOCAL_PORT_RANGE`, ...), the connection is made on a socket of ours, on Linux: everything is
 * set before the first packet, all addresses of a name are tried as RFC 8305 says, and what comes back has the same
 * interface (see `Socket.asConn`). `Deno.startTls` does not take it: for TLS put node:tls on it,
 * `connect({ socket: Duplex.fromWeb(conn), servername })` with `Duplex` of node:stream. On other systems `dscp`, `hopLimit`
 * and `receiveBufferSize` are set after the handshake, the rest throws.
 *
 * With `TCP_FASTOPEN_CONNECT` there may be no connection yet: the first write makes it and goes along, and fails if there
 * can be none. A read before it waits for ever.
 *
 * Requires `--allow-net`; options other than `noDelay` and `keepAlive: true` or `false` require `--allow-ffi`.
 *
 * @param options Where to connect, and the options of the connection; see {@linkcode TcpOptions}.
 * @returns The connection.
 * @throws {TypeError} An argument is of a wrong kind, or an option is given twice.
 * @throws {RangeError} A number is out of range.
 * @throws {Deno.errors.NotCapable} `--allow-net` is missing, or `--allow-ffi` for an option that needs it.
 * @throws {Deno.errors.NotSupported} This system does not have an option, or none that comes before the handshake.
 * @throws {Deno.errors.TimedOut} There was no connection within `timeout`.
 * @throws {Deno.errors.ConnectionRefused} Nothing listens there. This and other failures of the system have `code`,
 * `errno` and `syscall`.
 * @throws {AggregateError} On a socket of ours: none of several addresses answers; `errors` has one for each, and where
 * all of these have one `code` it has that too.
 *
 * @example Connect with keepalive and a time limit
 * ```ts
 * import { connectTcp } from "@berkeley/sockets/tcp";
 * import { TCP_KEEPIDLE } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await connectTcp({
 *   port: listener.addr.port,
 *   timeout: 5_000,
 *   noDelay: true,
 *   keepAlive: { idle: 30_000, interval: 10_000, count: 3 },
 * });
 * assertEquals(TCP_KEEPIDLE.get(conn), 30);
 * ```
 *
 * @example Any option by its C name
 * ```ts
 * import { connectTcp } from "@berkeley/sockets/tcp";
 * import { TCP_NOTSENT_LOWAT } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await connectTcp({ port: listener.addr.port, options: [TCP_NOTSENT_LOWAT.to(16_384)] });
 * assertEquals(TCP_NOTSENT_LOWAT.get(conn), 16_384);
 * ```
 */
export async function connectTcp(options: ConnectTcpOptions): Promise<Deno.TcpConn> {
  const attempt = checked(options);
  const { hostname, port, signal, timeout, steps, own, doing } = attempt;
  openFor(steps, doing);
  signal?.throwIfAborted();
  const limit = timeout === undefined ? null : limited(timeout, signal, doing);
  const until = limit === null ? signal : limit.signal;
  let conn: Deno.TcpConn;
  try {
    if (own) return await connectOwn({ ...attempt, remedies: REMEDIES }, until);
    const hint = lowestFree();
    conn = await Deno.connect(until === undefined ? { hostname, port } : { hostname, port, signal: until });
    note(conn, hint);
  } catch (error) {
    // What went wrong on a socket of ours has been said there.
    if (own || (until?.aborted && error === until.reason)) throw error;
    throw decorated(error, "connect", doing, REMEDIES);
  } finally {
    limit?.[Symbol.dispose]();
  }
  try {
    applyToConn(steps, conn);
  } catch (error) {
    conn.close();
    throw error;
  }
  return conn;
}

function checked(options: ConnectTcpOptions): Attempt {
  let doing = "Cannot connect over TCP";
  try {
    object(options, "the argument", "an object with a port");
    const port = integer(options.port, "the port", 1, 65535);
    const hostname = text(options.hostname ?? "127.0.0.1", "hostname", "a name or an address");
    if (hostname === "") throw new TypeError('hostname is "", it must be a name or an address');
    doing = `Cannot connect to ${showPlace("tcp", hostname, port)}`;
    const { signal, timeout } = options;
    checkSignal(signal);
    if (timeout !== undefined) integer(timeout, "timeout", 1, LONGEST);
    const steps = stepsOf(options);
    const localAddr = checkedLocal(options.localAddr, hostname);
    const { multipath = false } = options;
    boolean(multipath, "multipath");
    const early = localAddr !== null ? "localAddr" : multipath ? "multipath" : steps.find(isForConnect)?.said;
    if (early !== undefined && OS !== "linux") {
      throw new Deno.errors.NotSupported(
        `${doing}: ${early} must come before the handshake, which is possible on Linux alone, this is ${OS_NAME}`,
      );
    }
    const own = OS === "linux" && (early !== undefined || steps.some(isForSyn));
    return { hostname, port, signal, timeout, localAddr, multipath, steps, own, doing };
  } catch (error) {
    throw prefixed(error, doing);
  }
}

/** The source address, a literal one of the family of the peer where that is known. */
function checkedLocal(given: unknown, peer: string): OwnAttempt["localAddr"] {
  if (given === undefined) return null;
  const { hostname, port = 0 } = object(given, "localAddr", "an object with a hostname, a port or both");
  integer(port, "localAddr.port", 0, 65535);
  if (hostname === undefined) return { hostname, port: port as number };
  text(hostname, "localAddr.hostname", "a literal address of this machine");
  const [own, there] = [hostname as string, peer].map((host) => parseIp(host.replace(/^\[(.*)\]$/, "$1")));
  if (!own) {
    throw new SyntaxError(`localAddr.hostname is ${shown(hostname)}, it must be a literal address of this machine`);
  }
  if (there && there.bytes.length !== own.bytes.length) {
    throw new TypeError(`localAddr.hostname is ${shown(hostname)}, it must be of the family of the peer`);
  }
  return { hostname: hostname as string, port: port as number };
}

/** A signal that comes when the time is over, or when the other comes; nothing of it stays once it is disposed. */
function limited(
  timeout: number,
  signal: AbortSignal | undefined,
  doing: string,
): Disposable & { signal: AbortSignal } {
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  const timer = setTimeout(
    () => controller.abort(new Deno.errors.TimedOut(`${doing}: no connection within ${timeout} ms`)),
    timeout,
  );
  signal?.addEventListener("abort", abort);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    },
  };
}
