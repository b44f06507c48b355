// TCP as people use it: connect, listen, tune. Only re-exports.
// Single options under their C names: options/mod.ts. Datagrams: udp/mod.ts.

/**
 * TCP with everything that Deno leaves out: keepalive times, linger, buffer sizes, DSCP, hop limit, any option by its C
 * name, source addresses, timeouts, limits. What comes back are Deno's own connections and listeners wherever Deno can do
 * what is asked for, else objects with the same interface, so all that is written for Deno works on them.
 *
 * 1. {@linkcode connectTcp} and {@linkcode listenTcp} take the place of `Deno.connect` and `Deno.listen`.
 * 2. {@linkcode tuneTcp} does the same to a socket that exists already, whoever made it, and tells what the kernel has.
 * 3. {@linkcode withTimeouts} ends reads and writes that take too long; {@linkcode resetTcp} ends a connection.
 * 4. {@linkcode TcpLimits} guard a listener against those who come too often, in too great numbers, or say nothing.
 *
 * `noDelay` and `keepAlive: true` work with `--allow-net` alone; everything else needs `--allow-ffi` too.
 *
 * @example A tuned server and client
 * ```ts
 * import { connectTcp, listenTcp, tuneTcp } from "@berkeley/sockets/tcp";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = listenTcp({ hostname: "127.0.0.1", port: 0, noDelay: true, keepAlive: { idle: 30_000 } });
 * using client = await connectTcp({ port: listener.addr.port, dscp: 46 });
 * using served = await listener.accept();
 *
 * const { noDelay, keepAlive } = tuneTcp(served, {});
 * assertEquals(noDelay, true);
 * assertEquals(keepAlive && keepAlive.idle, 30_000);
 * assertEquals(tuneTcp(client, {}).dscp, 46);
 * ```
 *
 * @module
 */

export { connectTcp, type ConnectTcpOptions } from "./connect.ts";
export type { RefusalReason, TcpLimits } from "./limits.ts";
export { listenTcp, type ListenTcpOptions, type TcpListener } from "./listen.ts";
export type { KeepAlive, TcpOptions, TcpSettings } from "./settings.ts";
export { resetTcp } from "./reset.ts";
export { type ConnTimeouts, type TimedConn, withTimeouts } from "./timeouts.ts";
export { tuneTcp } from "./tune.ts";
export { DESCRIPTOR, type HasDescriptor, type OptionSetting, type SocketLike } from "../options/mod.ts";
