// connectTcp by a Socket of ours: for what must be set before the handshake. All addresses of a name, RFC 8305.
// Which way is taken, and Deno's: connect.ts. The listener's side: listen_own.ts.
import { begunWith } from "../internal/argument.ts";
import { decorated, showPlace } from "../internal/deno_error.ts";
import type { SystemError } from "../internal/errno.ts";
import { checkNet, checkResolved } from "../internal/permission.ts";
import { type InetAddress, parseIp } from "../internal/sockaddr.ts";
import { connTo } from "../socket/conn.ts";
import { resolveAddress } from "../socket/resolve.ts";
import { Socket, trust } from "../socket/socket.ts";
import { applyAll, isForPeer, refuseOtherVersion, type Step } from "./steps.ts";

/** Milliseconds after which the next address is tried beside the one that has not answered; RFC 8305 section 5. */
const ATTEMPT_DELAY = 250;

/** What is to be connected. */
export interface OwnAttempt {
  readonly hostname: string;
  readonly port: number;
  readonly localAddr: { readonly hostname: string | undefined; readonly port: number } | null;
  readonly multipath: boolean;
  readonly steps: readonly Step[];
  readonly doing: string;
  /** What to do about single errors of connect(2). */
  readonly remedies: Readonly<Partial<Record<string, string>>>;
}

type Inet = "inet" | "inet6";

/** Connects to whichever address of the peer answers first; `until` ends it with its reason. */
export async function connectOwn(attempt: OwnAttempt, until: AbortSignal | undefined): Promise<Deno.TcpConn> {
  const addresses = await candidates(attempt, until);
  until?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Deno.TcpConn>();
  const failures: unknown[] = [];
  const losers = new AbortController();
  let begun = 0;
  let next: ReturnType<typeof setTimeout> | undefined;
  const end = () => {
    clearTimeout(next);
    losers.abort();
    until?.removeEventListener("abort", abort);
  };
  const abort = () => {
    end();
    reject(until!.reason);
  };
  const begin = () => {
    clearTimeout(next);
    const address = addresses[begun++]!;
    if (begun < addresses.length) next = setTimeout(begin, ATTEMPT_DELAY);
    connectTo(address, attempt, losers.signal).then((conn) => {
      // Two may have been connected in the same turn.
      if (losers.signal.aborted) return conn.close();
      end();
      resolve(conn);
    }, (error) => {
      if (losers.signal.aborted) return;
      failures.push(error);
      if (begun < addresses.length) return begin();
      if (failures.length < addresses.length) return;
      end();
      reject(failure(failures, attempt));
    });
  };
  until?.addEventListener("abort", abort, { once: true });
  begin();
  return await promise;
}

/** The addresses to be tried, those of either family by turns, all allowed. */
async function candidates(
  { hostname, port, localAddr, doing }: OwnAttempt,
  until: AbortSignal | undefined,
): Promise<InetAddress[]> {
  const host = unbracketed(hostname);
  const family = localAddr?.hostname === undefined ? undefined : familyOf(localAddr.hostname);
  if (parseIp(host) !== null) checkNet(host, port, doing);
  let found: InetAddress[];
  try {
    found = await resolveAddress(host, { port, ...(family && { family }), ...(until && { signal: until }) });
  } catch (error) {
    throw until?.aborted ? error : begunWith(error, doing);
  }
  for (const address of found) checkResolved(address.hostname, port, doing);
  const first = found.filter((one) => one.family === found[0]!.family);
  const second = found.filter((one) => one.family !== found[0]!.family);
  return first.flatMap((one, i) => i < second.length ? [one, second[i]!] : [one]).concat(second.slice(first.length));
}

function unbracketed(hostname: string): string {
  return hostname.startsWith("[") && hostname.endsWith("]") ? hostname.slice(1, -1) : hostname;
}

/** The family of a literal address. */
export function familyOf(hostname: string): Inet {
  return parseIp(unbracketed(hostname))?.bytes.length === 4 ? "inet" : "inet6";
}

async function connectTo(
  address: InetAddress,
  { localAddr, multipath, steps, remedies }: OwnAttempt,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  const family = address.family as Inet;
  const doing = `Cannot connect to ${showPlace("tcp", address.hostname, address.port)}`;
  refuseOtherVersion(steps, address.hostname, doing);
  using socket = openStream(family, multipath);
  applyAll(steps.filter((step) => !isForPeer(step)), socket);
  if (localAddr !== null) {
    const { hostname = family === "inet" ? "0.0.0.0" : "::", port } = localAddr;
    try {
      socket.bind({ hostname: unbracketed(hostname), port });
    } catch (error) {
      throw decorated(error, "bind", `${doing} from ${showPlace("tcp", hostname, port)}`, BIND_REMEDIES);
    }
  }
  trust(socket);
  try {
    await socket.connect(address, { signal });
  } catch (error) {
    throw decorated(error, "connect", doing, remedies);
  }
  const conn = connTo(socket, address);
  try {
    applyAll(steps.filter(isForPeer), conn);
    return conn;
  } catch (error) {
    conn.close();
    throw error;
  }
}

const BIND_REMEDIES = {
  EADDRINUSE: "another socket has this port; port 0 takes one that is free",
  EADDRNOTAVAIL: "localAddr must be one of this machine's addresses; see IP_FREEBIND",
  EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE",
};

/** Opens a stream; of several paths where the kernel has that, else of one. */
export function openStream(family: Inet, multipath: boolean): Socket<Inet> {
  if (multipath) {
    try {
      return Socket.open(family, "stream", "mptcp");
    } catch (error) {
      // Not built in, or switched off by net.mptcp.enabled: plain TCP, as a peer without it makes of it too.
      if (!NO_MPTCP.has(String((error as { code?: unknown }).code))) throw error;
    }
  }
  return Socket.open(family, "stream");
}

const NO_MPTCP = new Set(["EPROTONOSUPPORT", "ENOPROTOOPT", "EINVAL"]);

/** What a failed attempt throws: what went wrong, or with several addresses all that did, each with its own. */
function failure(failures: unknown[], { doing }: OwnAttempt): unknown {
  const refused = failures.filter((error) => (error as { syscall?: unknown }).syscall === "connect");
  // What was wrong before any peer was asked, as an option, is wrong with all addresses alike.
  if (failures.length === 1 || refused.length === 0) return failures[0];
  const each = failures.map((error) => error instanceof Error ? error.message : String(error));
  const all = new AggregateError(
    failures,
    `${doing}: none of its ${failures.length} addresses answers: ${each.join("; ")}`,
  );
  const { code, errno, syscall } = failures[0] as Partial<SystemError>;
  const alike = failures.every((error) => (error as Partial<SystemError>).code === code);
  return alike ? Object.assign(all, { code, errno, syscall }) : all;
}
