// UDP as people use it: one socket that sends and receives datagrams. Only re-exports.
// Groups are joined in multicast/mod.ts; single options under their C names are in options/mod.ts.

/**
 * UDP: a socket that is a `Deno.DatagramConn`, tells where a datagram came in, and moves many in one call.
 *
 * 1. {@linkcode bindUdp} opens a {@linkcode UdpSocket} at an address, {@linkcode connectUdp} one with a peer.
 * 2. `receive` and `send` move single datagrams; `for await` gives them as they come; `tryReceive` and `trySend` never wait.
 * 3. `metadata: ["localAddr", "hopLimit"]` at bind is what `receiveMessage` then tells; `sendMessage` takes the same words,
 *    and `reply` answers from the address that was asked.
 * 4. A {@linkcode DatagramBatch} moves many: `receiveBatch`, `sendBatch`, and with `gro` whole trains at once.
 * 5. Buffer sizes, DSCP, hop limit, multicast interface and any option by its C name are options of `bindUdp`.
 *
 * Linux with `--allow-net` and `--allow-ffi` has all of it. Elsewhere, and without `--allow-ffi`, the socket is one of
 * `Deno.listenDatagram`, which needs `--unstable-net` (or `"unstable": ["net"]` in deno.json): receive, send, iterate, join,
 * and batches by loops; `capabilities.engine` tells which it is.
 *
 * @example A question and its answer
 * ```ts
 * import { bindUdp } from "@berkeley/sockets/udp";
 * import { assertEquals } from "@std/assert";
 *
 * using server = bindUdp({ hostname: "127.0.0.1" });
 * using client = bindUdp({ hostname: "127.0.0.1" });
 *
 * await client.send(new TextEncoder().encode("ping"), server.addr);
 * const [question, from] = await server.receive();
 * await server.send(question, from);
 *
 * const [answer] = await client.receive();
 * assertEquals(new TextDecoder().decode(answer), "ping");
 * ```
 *
 * @module
 */

export { DatagramBatch } from "./batch.ts";
export { bindUdp, connectUdp } from "./bind.ts";
export { UdpSocket } from "./socket.ts";
export type {
  BindUdpOptions,
  ConnectUdpOptions,
  Datagram,
  DatagramField,
  DatagramMetadata,
  MulticastSendOptions,
  OutgoingDatagram,
  UdpAddress,
  UdpCapabilities,
  UdpDestination,
} from "./types.ts";
export type { WaitOptions } from "../socket/waits.ts";
export { DESCRIPTOR } from "../options/mod.ts";
export type { HasDescriptor, InetAddress, InterfaceSelector, OptionSetting, SocketLike } from "../options/mod.ts";
