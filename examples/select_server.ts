// A server that never blocks and has no callbacks: one loop asks poll() which sockets are ready, and does for each what can
// be done now, as the textbooks write it with select(2). Without flags ten clients of this program talk to it, over the
// loopback interface; with flags any other program may.
//
//   deno task example:select_server
//   deno task example:select_server --listen               in one terminal, and in another
//   nc 127.0.0.1 7777
import { SO_RCVBUF, SO_SNDBUF } from "@berkeley/sockets/options";
import { poll, Socket } from "@berkeley/sockets/socket";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";

const HELP =
  `A server over poll(): it sends back what it gets, in capitals. Without flags: with ten clients of its own, over loopback.

  --listen       serve 127.0.0.1 and --port, until it is stopped
  --port PORT    port (default 7777 with --listen, else 0); 0 serves on any that is free
  --help         print this`;

const flags = parseArgs(Deno.args, {
  boolean: ["help", "listen"],
  string: ["port"],
  unknown: unknownFlag,
});
const port = wholeNumber("--port", flags.port, 0, 65535);

const CLIENTS = 10;
/** Small buffers, so that a socket is full at times even over loopback. */
const BUFFER = 16 * 1024;
/** A client that sends and does not read: so many bytes of answers are kept for it, then no more is received from it. */
const PATIENCE = 64 * 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What the server knows of a client. */
interface Client {
  readonly name: string;
  /** Answers that did not fit into the socket yet. */
  readonly pending: Uint8Array<ArrayBuffer>[];
  pendingBytes: number;
  received: number;
  sent: number;
  /** How often the socket had no room. */
  full: number;
  /** The client sends no more. */
  ended: boolean;
}

/** Opens the socket that waits for clients. */
function listenOn(port: number): Socket<"inet"> {
  const listener = Socket.open("inet", "stream");
  SO_SNDBUF.set(listener, BUFFER); // what is accepted inherits it
  listener.bind({ hostname: "127.0.0.1", port });
  listener.listen();
  console.log(`listening on ${at(listener.localAddr)}`);
  return listener;
}

/** Serves so many clients, all in this one loop. */
async function serve(listener: Socket<"inet">, count: number): Promise<void> {
  const clients = new Map<Socket<"inet">, Client>();
  let most = 0;
  for (let gone = 0; gone < count;) {
    const events = await poll([
      { socket: listener, readable: true },
      ...Array.from(clients, ([socket, { pendingBytes, ended }]) => ({
        socket,
        readable: !ended && pendingBytes < PATIENCE,
        writable: pendingBytes > 0,
      })),
    ]);
    for (const { socket, readable, writable, error, hangUp } of events) {
      const client = clients.get(socket);
      if (client === undefined) {
        welcome(listener, clients);
        most = Math.max(most, clients.size);
        continue;
      }
      try {
        if (readable) receive(socket, client);
        if (writable || client.pending.length > 0) send(socket, client);
        const broken = (error || hangUp) && !readable;
        if (!broken && (!client.ended || client.pending.length > 0)) continue;
        const waits = client.full === 0 ? "" : `, and had to wait ${client.full} times`;
        console.log(`${client.name} is gone: sent ${client.received} bytes, got ${client.sent}${waits}`);
      } catch (error) {
        console.log(`${client.name} is gone: ${(error as Error).message}`);
      }
      clients.delete(socket);
      socket.close();
      gone++;
    }
  }
  console.log(`served ${count} clients, ${most} at once, with one loop`);
}

/** Takes all who wait. */
function welcome(listener: Socket<"inet">, clients: Map<Socket<"inet">, Client>): void {
  for (let socket = listener.tryAccept(); socket !== null; socket = listener.tryAccept()) {
    const name = at(socket.remoteAddr);
    console.log(`${name} is here`);
    clients.set(socket, { name, pending: [], pendingBytes: 0, received: 0, sent: 0, full: 0, ended: false });
  }
}

/** Takes what one client has sent, as far as there is patience with it: the others wait. */
function receive(socket: Socket<"inet">, client: Client): void {
  while (client.pendingBytes < PATIENCE) {
    const data = socket.tryReceive();
    if (data === null) return;
    if (data.length === 0) {
      client.ended = true;
      return;
    }
    client.received += data.length;
    client.pendingBytes += data.length;
    client.pending.push(capitals(data));
  }
}

/** Sends what is pending, as far as there is room; the rest waits until poll() finds the socket writable. */
function send(socket: Socket<"inet">, client: Client): void {
  while (client.pending.length > 0) {
    const first = client.pending[0]!;
    const count = socket.trySend(first);
    if (count === null) {
      client.full++;
      return;
    }
    client.sent += count;
    client.pendingBytes -= count;
    if (count < first.length) client.pending[0] = first.subarray(count);
    else client.pending.shift();
  }
}

/** ASCII letters, byte by byte: text may come in pieces that end in the midst of others. */
function capitals(data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return data.map((byte) => byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte);
}

/** A client: sends text, reads the answer slowly, and compares. The last ones send more than sockets take at once. */
async function talk(number: number, port: number): Promise<void> {
  const text = `client ${number} says hello. `.repeat(number < CLIENTS - 1 ? number : 10_000 * (number - CLIENTS + 2));
  using socket = Socket.open("inet", "stream");
  SO_RCVBUF.set(socket, BUFFER);
  await socket.connect({ hostname: "127.0.0.1", port });
  const sending = socket.sendAll(encoder.encode(text)).then(() => socket.shutdown("write"));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    const part = await socket.receive();
    if (part.length === 0) break;
    parts.push(part);
  }
  await sending;
  const answer = decoder.decode(await new Blob(parts).arrayBuffer());
  if (answer !== text.toUpperCase()) quit(`Client ${number} got a wrong answer of ${answer.length} characters`, 1);
  console.log(`client ${number}: ${answer.length} characters came back in capitals`);
}

function at(address: { hostname: string; port: number } | null): string {
  return address === null ? "someone" : `${address.hostname}:${address.port}`;
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (flags.listen) {
    using listener = listenOn(port ?? 7777);
    return await serve(listener, Infinity);
  }
  using listener = listenOn(port ?? 0);
  const clients = Array.from({ length: CLIENTS }, (_, i) => talk(i + 1, listener.localAddr!.port));
  await Promise.all([serve(listener, CLIENTS), ...clients]);
}

await main().catch((error) => quit(error.message, 1));
