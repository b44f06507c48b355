// Everything of options/ under one import; the module's own documentation.
// Nothing is defined here: options stand in a file a level, what an option is in option.ts.

/**
 * Socket options, one typed constant each, under its C name: read, set and listed on any socket of the process.
 *
 * An option is an object that knows its level, its numbers and the bytes of its value. It works on the connections and
 * listeners of Deno, on the server of `Deno.serve`, on sockets of `node:net` and `node:dgram`, and on those of this
 * library. Reaching the kernel needs `--allow-ffi`; importing and looking at the facts needs nothing.
 *
 * **1. Read.** `get` asks the kernel, each time:
 *
 * ```ts
 * import { SO_KEEPALIVE, TCP_INFO } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await Deno.connect({ port: listener.addr.port });
 *
 * assertEquals(SO_KEEPALIVE.get(conn), false);
 * assertEquals(TCP_INFO.get(conn).state, "established");
 * ```
 *
 * **2. Set.** `set` changes it or throws, and returns the value that is now in force. Where the kernel rounds or doubles
 * (`exact` is false), that is another one than was given. C names take C's units, as in the Linux manual:
 *
 * ```ts
 * import { SO_KEEPALIVE, SO_RCVBUF, TCP_KEEPIDLE } from "@berkeley/sockets/options";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await Deno.connect({ port: listener.addr.port });
 *
 * assertEquals(SO_KEEPALIVE.set(conn, true), true);
 * assertEquals(TCP_KEEPIDLE.set(conn, 60), 60); // seconds
 * assert(SO_RCVBUF.set(conn, 65_536) >= 65_536); // Linux doubles it
 * ```
 *
 * **3. Nothing is ignored.** A value of a wrong kind is a `TypeError`, one out of range a `RangeError`, both before the
 * kernel is asked. An option that this system, this kernel or this kind of socket lacks is `Deno.errors.NotSupported`.
 * And some options the kernel takes at any time, although they matter only before bind() or connect(): for these `when`
 * says so, and a late `set` throws:
 *
 * ```ts
 * import { IP_MULTICAST_TTL, TCP_NODELAY, TCP_SYNCNT } from "@berkeley/sockets/options";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await Deno.connect({ port: listener.addr.port });
 *
 * // @ts-expect-error a flag takes no number
 * assertThrows(() => TCP_NODELAY.set(conn, 1), TypeError);
 * assertThrows(() => IP_MULTICAST_TTL.set(conn, 1), Deno.errors.NotSupported);
 * if (TCP_SYNCNT.supported) {
 *   assertEquals(TCP_SYNCNT.when, "connect");
 *   assertThrows(() => TCP_SYNCNT.set(conn, 3), TypeError, "before connect()");
 * }
 * ```
 *
 * **4. Set in time.** `to` makes a setting, an option with a value. `connectTcp`, `listenTcp` and `bindUdp` take
 * settings in their `options` and apply each when it counts:
 *
 * ```ts
 * import { TCP_KEEPCNT, TCP_SYNCNT } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * // await connectTcp({ port: 80, hostname: "example.com", options: [TCP_SYNCNT.to(3), TCP_KEEPCNT.to(5)] });
 * const settings = [TCP_SYNCNT.to(3), TCP_KEEPCNT.to(5)];
 * assertEquals(settings.map(({ name, value }) => `${name}=${value}`), ["TCP_SYNCNT=3", "TCP_KEEPCNT=5"]);
 *
 * // By hand, on a socket that is there already:
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * TCP_KEEPCNT.to(5).apply(listener);
 * assertEquals(TCP_KEEPCNT.get(listener), 5);
 * ```
 *
 * **5. One that is not listed.** `defineOption` makes an option of a number:
 *
 * ```ts
 * import { defineOption } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * const keepAlive = defineOption({
 *   name: "SO_KEEPALIVE",
 *   codes: { linux: { level: 1, name: 9 }, darwin: { level: 0xffff, name: 8 } },
 *   codec: "flag",
 *   access: "both",
 * });
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * assertEquals(keepAlive.set(listener, true), true);
 * ```
 *
 * **6. All of them.** `listOptions` has the whole table, for tools:
 *
 * ```ts
 * import { listOptions } from "@berkeley/sockets/options";
 * import { assert } from "@std/assert";
 *
 * const early = listOptions().filter((option) => option.supported && option.when === "bind");
 * assert(early.some((option) => option.name === "IPV6_V6ONLY"));
 * ```
 *
 * @module
 */
export * from "./ip.ts";
export * from "./ipv6.ts";
export * from "./packet.ts";
export * from "./socket.ts";
export * from "./tcp.ts";
export * from "./udp.ts";
export * from "./unix.ts";
export * from "./vsock.ts";
export * from "./netlink.ts";
export * from "./bluetooth.ts";
export { defineOption, listOptions } from "./option.ts";
export type {
  AnyOption,
  NamedCodecs,
  OptionAccess,
  OptionDefinition,
  OptionFacts,
  OptionFor,
  OptionSetting,
  OptionStage,
  ReadableOption,
  SocketLike,
  SocketOption,
  WritableOption,
} from "./option.ts";
export type { OptionCodec } from "../internal/codec.ts";
export { DESCRIPTOR, type HasDescriptor } from "../internal/descriptor.ts";
export type { SystemError } from "../internal/errno.ts";
export type { OptionCode } from "../internal/option_call.ts";
export type { OperatingSystem } from "../internal/os.ts";
export type { InetAddress } from "../internal/sockaddr.ts";
export type { TcpCongestionState, TcpInfo, TcpState } from "../internal/tcp_info.ts";
export type {
  BluetoothSecurity,
  FilterInstruction,
  FilterProgram,
  GroupRequest,
  HciFilter,
  InterfaceSelector,
  Linger,
  MemoryInfo,
  PacketFanout,
  PacketMembership,
  PacketStatistics,
  PeerCredentials,
  PortRange,
  SourceFilter,
  SourceRequest,
  Timeval,
  TransmitTime,
} from "../internal/values.ts";
