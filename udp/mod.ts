// UDP as people use it: one socket that sends and receives datagrams. Only re-exports.
// Groups are joined in multicast/mod.ts; single options under their C names are in options/mod.ts.

/**
 * UDP: a socket that is a `Deno.DatagramConn` and takes the options that Deno leaves out.
 *
 * 1. {@linkcode bindUdp} opens a {@linkcode UdpSocket} at an address.
 * 2. `receive` and `send` move single datagrams; `for await` gives them as they come.
 * 3. Buffer sizes, DSCP, hop limit, multicast interface and any option by its C name are options of `bindUdp`.
 *
 * The socket is made by `Deno.listenDatagram`, so `--unstable-net` (or `"unstable": ["net"]` in deno.json) is needed
 * besides `--allow-net`. Options need `--allow-ffi` too.
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

export type { DatagramBatch } from "./batch.ts";
export { bindUdp } from "./bind.ts";
export { UdpSocket } from "./socket.ts";
export type {
  BindUdpOptions,
  Datagram,
  DatagramField,
  DatagramMetadata,
  MulticastSendOptions,
  OutgoingDatagram,
  UdpAddress,
  UdpCapabilities,
  UdpDestination,
  WaitOptions,
} from "./types.ts";
export { DESCRIPTOR } from "../options/mod.ts";
export type { HasDescriptor, InetAddress, InterfaceSelector, OptionSetting, SocketLike } from "../options/mod.ts";
