// listenTcp by a Socket of ours: for what must be set before bind().
// Which way is taken, and Deno's: listen.ts. The connecting side: connect_own.ts.
import { decorated } from "../internal/deno_error.ts";
import { lookUpNow } from "../internal/getaddrinfo.ts";
import { checkNet, checkResolved } from "../internal/permission.ts";
import { parseIp } from "../internal/sockaddr.ts";
import { IPV6_V6ONLY, SO_REUSEADDR, SO_REUSEPORT } from "../options/mod.ts";
import { listenerOf } from "../socket/conn.ts";
import { trust } from "../socket/socket.ts";
import { familyOf, openStream } from "./connect_own.ts";
import { applyAll, isForBind, onListener, type Step } from "./steps.ts";

/** Where to listen, and how. */
export interface OwnPlace {
  readonly hostname: string;
  readonly port: number;
  readonly backlog: number | undefined;
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  readonly ipv6Only: boolean;
  readonly multipath: boolean;
  readonly steps: readonly Step[];
  readonly doing: string;
  /** What to do about single errors of bind(2) and listen(2). */
  readonly remedies: Readonly<Partial<Record<string, string>>>;
}

/** Listens; the connections are to get their options by the caller. */
export function listenOwn(place: OwnPlace): Deno.Listener<Deno.TcpConn, Deno.NetAddr> {
  const { hostname, port, backlog, reuseAddress, reusePort, ipv6Only, multipath, steps, doing, remedies } = place;
  checkNet(hostname, port, doing);
  const address = literal(hostname, port, doing);
  using socket = openStream(familyOf(address), multipath);
  if (reuseAddress) SO_REUSEADDR.set(socket, true);
  if (reusePort) SO_REUSEPORT.set(socket, true);
  if (ipv6Only) IPV6_V6ONLY.set(socket, true);
  const all = onListener(steps);
  applyAll(all.filter(isForBind), socket);
  trust(socket);
  try {
    socket.bind({ hostname: address, port });
  } catch (error) {
    throw decorated(error, "bind", doing, remedies);
  }
  applyAll(all.filter((step) => !isForBind(step)), socket);
  try {
    socket.listen(backlog);
  } catch (error) {
    throw decorated(error, "listen", doing, remedies);
  }
  return listenerOf(socket) as Deno.Listener<Deno.TcpConn, Deno.NetAddr>;
}

/** The first address of a name, looked up at once and allowed, as Deno.listen does it. */
function literal(hostname: string, port: number, doing: string): string {
  const address = hostname.startsWith("[") && hostname.endsWith("]") ? hostname.slice(1, -1) : hostname;
  if (parseIp(address) !== null) return address;
  const [first] = lookUpNow(hostname, doing);
  checkResolved(first!.hostname, port, doing);
  return first!.hostname;
}
