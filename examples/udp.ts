// UDP: a question and its answer between two sockets. Without flags both are this program, over the loopback interface;
// with flags it talks to any other program.
//
//   deno task example:udp
//   deno task example:udp --listen                         in one terminal, and in another
//   deno task example:udp --send "what time is it"
//
// Without --allow-ffi it runs too, with the receive buffer as Deno makes it.
import { bindUdp, type UdpDestination, type UdpSocket } from "@berkeley/sockets/udp";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";

const HELP = `Asks and answers over UDP; the answer is the question in capitals. Without flags: both, over loopback.

  --listen         answer on --host and --port
  --send TEXT      send TEXT to --host and --port, and wait two seconds for the answer
  --host ADDRESS   an IPv4 or IPv6 address (default 127.0.0.1)
  --port PORT      port (default 7777); 0 listens on any that is free
  --buffer BYTES   size of the receive buffer
  --count COUNT    questions to --send (default 1), or until --listen ends (default: never)
  --help           print this`;

const flags = parseArgs(Deno.args, {
  boolean: ["help", "listen"],
  string: ["send", "host", "port", "buffer", "count"],
  unknown: unknownFlag,
});
if (flags.listen && flags.send !== undefined) quit("Give --listen or --send, not both; see --help");
if (flags.send === "") quit("Give --send a text; see --help");
const host = flags.host ?? "127.0.0.1";
const port = wholeNumber("--port", flags.port, 0, 65535);
const receiveBufferSize = wholeNumber("--buffer", flags.buffer, 1, 2 ** 30 - 1);
const count = wholeNumber("--count", flags.count, 1, 1_000_000);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Opens a socket that answers. */
function open(hostname: string, port: number): UdpSocket {
  const socket = bindUdp({ hostname, port, ...(receiveBufferSize && { receiveBufferSize }) });
  console.log(`listening on ${at(socket.addr)}`);
  if (receiveBufferSize) {
    console.log(`receive buffer: asked for ${receiveBufferSize} bytes, have ${socket.capabilities.receiveBufferSize}`);
  }
  return socket;
}

/** Answers so many questions, or for as long as the socket is open. */
async function answer(socket: UdpSocket, count = Infinity): Promise<void> {
  let answered = 0;
  for await (const [data, sender] of socket) {
    const question = decoder.decode(data);
    console.log(`${at(sender)} asks: ${question}`);
    await socket.send(encoder.encode(question.toUpperCase()), sender);
    if (++answered === count) break;
  }
}

/** Asks, and waits for the answer: UDP itself does not tell when there is nobody. */
async function ask(question: string, to: UdpDestination): Promise<void> {
  using socket = bindUdp({ hostname: to.hostname.includes(":") ? "::" : "0.0.0.0" });
  await socket.send(encoder.encode(question), to);
  const [data, sender] = await socket.receive(undefined, { signal: AbortSignal.timeout(2_000) })
    .catch((error) => quit(`No answer from ${at(to)}: ${error.message}`, 1));
  console.log(`${at(sender)} answers: ${decoder.decode(data)}`);
}

function at({ hostname, port }: UdpDestination): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (flags.listen) {
    using socket = open(host, port ?? 7777);
    await answer(socket, count);
  } else if (flags.send !== undefined) {
    for (let i = 0; i < (count ?? 1); i++) await ask(flags.send, { hostname: host, port: port ?? 7777 });
  } else {
    using socket = open(host, port ?? 0);
    const total = count ?? 3;
    const answered = answer(socket, total);
    for (let i = 1; i <= total; i++) await ask(`hello ${i}`, socket.addr);
    await answered;
  }
}

await main().catch((error) => quit(error.message, 1));
