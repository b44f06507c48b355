// The socket API as people use it: Socket, its addresses, waiting for several. Only re-exports.
// Single options under their C names: options/mod.ts. What Deno itself opens: tcp/mod.ts, udp/mod.ts.

/**
 * Sockets that this library opens itself: the calls of the Berkeley API, with promises where C waits.
 *
 * Linux. Needs `--allow-ffi`, and `--allow-net` for what is bound, connected and sent to.
 *
 * @example A server and a client over a unix socket that keeps records apart
 * ```ts
 * import { Socket } from "@berkeley/sockets/socket";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Socket.open("unix", "seqpacket");
 * listener.bind({ path: "\0example" }); // an abstract name: no file
 * listener.listen();
 * using client = Socket.open("unix", "seqpacket");
 * await client.connect({ path: "\0example" });
 * using served = await listener.accept();
 *
 * await client.send(new TextEncoder().encode("one"));
 * await client.send(new TextEncoder().encode("two"));
 * assertEquals(new TextDecoder().decode(await served.receive()), "one");
 * assertEquals(new TextDecoder().decode(await served.receive()), "two");
 * ```
 *
 * @module
 */
export { type ReceiveFlags, type SendFlags, Socket } from "./socket.ts";
export type { ControlMessage, IncomingMessage, OutgoingMessage, OwnedDescriptor, ReceiveTarget } from "./message.ts";
export type { QueuedError } from "../internal/cmsg.ts";
export type { SocketTimeouts, WaitOptions } from "./waits.ts";
export * from "./address.ts";
export { assembleFilter, runFilter } from "./filter.ts";
export { internetChecksum } from "./checksum.ts";
export { resolveAddress } from "./resolve.ts";
export { type AddressFilter, findSocket, listSockets, type SocketFilter, type SocketInfo } from "./list.ts";
export { poll, Poller } from "./poll.ts";
export type { PollEntry, PollEvent, Readiness } from "./poll.ts";
export {
  DESCRIPTOR,
  type FilterInstruction,
  type FilterProgram,
  type HasDescriptor,
  type SocketLike,
  type TcpState,
} from "../options/mod.ts";
