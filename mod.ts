// The whole library under one import; each room can be imported by itself too.
// Nothing is defined here, all of it is in the rooms: options/, socket/, tcp/, udp/, multicast/.

/**
 * The Berkeley socket API for Deno: typed options on any socket of the process, tuned TCP, UDP and multicast.
 *
 * `connectTcp` and `listenTcp` give Deno's own connections and listeners with options applied, `tuneTcp` tunes what
 * is open already, a running `Deno.serve` included. `bindUdp` gives a UDP socket, `joinGroup` and `listenMulticast`
 * the groups, `Socket` every other family, type and protocol. Every option is a constant under its C name, with `get` and
 * `set`, on sockets of Deno, of node and ours.
 *
 * Importing opens nothing and asks for nothing. What Deno itself offers works with `--allow-net`; reading and setting
 * options calls the C library and needs `--allow-ffi` as well.
 *
 * @example A tuned connection
 * ```ts
 * import { connectTcp, listenTcp, TCP_NODELAY, tuneTcp } from "@berkeley/sockets";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = listenTcp({ hostname: "127.0.0.1", port: 0, keepAlive: { idle: 30_000 } });
 * using conn = await connectTcp({ port: listener.addr.port, noDelay: true });
 * using accepted = await listener.accept();
 * assertEquals(TCP_NODELAY.get(conn), true);
 *
 * const settings = tuneTcp(accepted, {});
 * assertEquals(settings.keepAlive && settings.keepAlive.idle, 30_000);
 * ```
 *
 * @module
 */
import "./internal/files.ts";
export * from "./multicast/mod.ts";
export * from "./options/mod.ts";
export * from "./socket/mod.ts";
export * from "./tcp/mod.ts";
export * from "./udp/mod.ts";
