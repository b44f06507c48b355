// The settings of a TCP socket in people's units: their types, and how they are read from the kernel.
// How they are checked and set: steps.ts. The single options behind them, in C's units: options/.
import { constant, type ConstantName } from "../internal/constants.ts";
import { addressOf, type Descriptor } from "../internal/descriptor.ts";
import { OS } from "../internal/os.ts";
import { isMapped, parseIp } from "../internal/sockaddr.ts";
import {
  IP_TOS,
  IP_TTL,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
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

/**
 * When and how often an idle connection is probed; what is left out stays as the system has it.
 *
 * Linux by default waits two hours and then probes nine times, 75 seconds apart. Its unit is the second: milliseconds are
 * rounded up. See tcp(7), and RFC 9293 section 3.8.4.
 *
 * @example A dead peer noticed within 40 seconds
 * ```ts
 * import { connectTcp, type KeepAlive, tuneTcp } from "@berkeley/sockets/tcp";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const keepAlive: Required<KeepAlive> = { idle: 10_000, interval: 10_000, count: 3 };
 * using conn = await connectTcp({ port: listener.addr.port, keepAlive });
 * assertEquals(tuneTcp(conn, {}).keepAlive, keepAlive);
 * ```
 */
export interface KeepAlive {
  /** Milliseconds without traffic before the first probe, 1 to 32,767,000. `TCP_KEEPIDLE`. */
  idle?: number;
  /** Milliseconds between probes, 1 to 32,767,000. `TCP_KEEPINTVL`. */
  interval?: number;
  /** Probes without an answer before the connection is dropped, 1 to 127. `TCP_KEEPCNT`. */
  count?: number;
}

/**
 * Settings of a TCP socket that take several options, choose by family or differ by system; all else goes by its C name
 * in `options`.
 *
 * Times are milliseconds, rounded up to the kernel's unit, never to zero. A field that is left out leaves the socket as
 * it is. `noDelay` and `keepAlive: true` or `false` work with `--allow-net` alone, the others need `--allow-ffi`.
 */
export interface TcpOptions {
  /** Sends small segments at once instead of merging them (Nagle's algorithm off, RFC 896). `TCP_NODELAY`. */
  noDelay?: boolean;
  /** Probes an idle connection, so that a peer that vanished is noticed; an object also says when. `SO_KEEPALIVE`. */
  keepAlive?: boolean | KeepAlive;
  /**
   * Milliseconds that `close()` waits for data that is not sent yet, 0 to 65,535,000. `SO_LINGER`, in seconds; see
   * socket(7). While it waits the whole program stands still. 0 throws the data away and resets the connection; as Deno
   * ends the sending half first, the peer may read an end before it meets the reset. `false`, the system's default,
   * returns at once and lets the kernel send the rest. `resetTcp` resets without that end.
   */
  linger?: number | false;
  /**
   * Milliseconds that sent data may stay unacknowledged before the connection is dropped, up to 2,147,483,647; 0 is the
   * system's own limit. `TCP_USER_TIMEOUT`, RFC 5482.
   */
  userTimeout?: number;
  /** Bytes of the send buffer. Linux doubles them for its own use, up to `net.core.wmem_max`. `SO_SNDBUF`. */
  sendBufferSize?: number;
  /**
   * Bytes of the receive buffer. Linux doubles them for its own use, up to `net.core.rmem_max`. `SO_RCVBUF`. The
   * handshake settles how large a window can be told to the peer: connections of `listenTcp` have it from the listener,
   * and for this `connectTcp` takes a socket of ours, see there.
   */
  receiveBufferSize?: number;
  /**
   * Differentiated services code point of what is sent, 0 to 63 (RFC 2474). The two ECN bits stay the kernel's. So that
   * the first packet has it too `connectTcp` takes a socket of ours, see there; `tuneTcp` sets it on Deno's own.
   */
  dscp?: number;
  /**
   * Routers that a packet may pass, 1 to 255: the TTL of IPv4, the hop limit of IPv6. As with `dscp` the first packet has
   * it too, which a peer that checks it wants (RFC 5082, `IP_MINTTL`).
   */
  hopLimit?: number;
  /**
   * Anything else, by C name: `[TCP_NOTSENT_LOWAT.to(16384)]`, from `@berkeley/sockets/options`. One that a field above
   * also sets is a `TypeError`.
   */
  options?: readonly OptionSetting[];
}

/**
 * What the kernel has, as `tuneTcp` reads it; a field is absent where the system cannot tell.
 *
 * Times are milliseconds, as in {@linkcode TcpOptions}. Of a listener on both families, `dscp` and `hopLimit` are those
 * of IPv6.
 */
export interface TcpSettings {
  /** Whether small segments go at once. */
  readonly noDelay: boolean;
  /** When an idle connection is probed; `false` when it is not. */
  readonly keepAlive: false | Required<KeepAlive>;
  /** Milliseconds that `close()` waits; 0 resets, `false` leaves it to the kernel. */
  readonly linger: number | false;
  /** Milliseconds that sent data may stay unacknowledged; 0 is the system's own limit. Absent where there is no such option. */
  readonly userTimeout?: number;
  /** Bytes, as the kernel counts: twice what was asked for on Linux. */
  readonly sendBufferSize: number;
  /** Bytes, as the kernel counts: twice what was asked for on Linux. */
  readonly receiveBufferSize: number;
  /** 0 to 63. */
  readonly dscp: number;
  /** 1 to 255; absent with several paths (MPTCP). */
  readonly hopLimit: number;
}

/** Number of a constant on this system, which has a column: the C library was opened on it. */
function number(name: ConstantName): number {
  return constant(name, OS!);
}

/** Whether a descriptor is a TCP socket; MPTCP (Linux) takes the same options. */
export function isTcp(found: Descriptor): boolean {
  if (found.family !== number("AF_INET") && found.family !== number("AF_INET6")) return false;
  return found.protocol === number("IPPROTO_TCP") || isMultipath(found);
}

function isMultipath({ protocol }: Descriptor): boolean {
  return OS === "linux" && protocol === number("IPPROTO_MPTCP");
}

/**
 * The families of the packets that a socket sends, its own last. An IPv6 socket sends IPv4 to a mapped peer, and a
 * listener on "::" accepts both.
 */
export function familiesOf(socket: SocketLike, found: Descriptor): readonly ("ipv4" | "ipv6")[] {
  if (found.family === number("AF_INET")) return ["ipv4"];
  const remote = addressOf(found.fd, "remote");
  const decisive = remote ?? addressOf(found.fd, "local");
  if (
    decisive !== null && decisive.family === "inet6" &&
    isMapped(parseIp(decisive.hostname)!.bytes)
  ) return ["ipv4"];
  return remote !== null || IPV6_V6ONLY.get(socket) ? ["ipv6"] : ["ipv4", "ipv6"];
}

/** The options of the traffic class and of the hop limit, by family. */
export const BY_FAMILY = {
  ipv4: { trafficClass: IP_TOS, hopLimit: IP_TTL },
  ipv6: { trafficClass: IPV6_TCLASS, hopLimit: IPV6_UNICAST_HOPS },
} as const;

/** Reads all settings from the kernel. */
export function readSettings(socket: SocketLike, found: Descriptor): TcpSettings {
  const linger = SO_LINGER.get(socket);
  const { trafficClass, hopLimit } = BY_FAMILY[familiesOf(socket, found).at(-1)!];
  return {
    noDelay: TCP_NODELAY.get(socket),
    keepAlive: SO_KEEPALIVE.get(socket) && {
      idle: TCP_KEEPIDLE.get(socket) * 1000,
      interval: TCP_KEEPINTVL.get(socket) * 1000,
      count: TCP_KEEPCNT.get(socket),
    },
    linger: linger.enabled && linger.seconds * 1000,
    ...(TCP_USER_TIMEOUT.supported && !isMultipath(found) &&
      { userTimeout: TCP_USER_TIMEOUT.get(socket) }),
    sendBufferSize: SO_SNDBUF.get(socket),
    receiveBufferSize: SO_RCVBUF.get(socket),
    dscp: trafficClass.get(socket) >> 2,
    // Of several paths each has its own; the kernel tells none.
    ...(isMultipath(found) ? {} as { hopLimit: number } : { hopLimit: hopLimit.get(socket) }),
  };
}
