// Broadcast: one datagram that every socket on its port receives. Without flags two receivers and a sender are this
// program, over the loopback interface (which broadcasts on Linux alone), so nothing leaves the machine; with flags it
// talks to any other program, by the broadcast address of a network.
//
//   deno task example:broadcast
//   deno task example:broadcast --listen                   in one terminal or more, and in another
//   deno task example:broadcast --send "hello, all"
//   deno task example:broadcast --listen --address 192.0.2.255
//
// Without --allow-ffi it runs too.
import { bindUdp, type UdpSocket } from "@berkeley/sockets/udp";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";

const HELP = `Sends and receives broadcasts. Without flags: two receivers and a sender over loopback.

  --listen           receive, and print every message
  --send TEXT        send TEXT to all
  --address ADDRESS  the broadcast address of a network (default 127.255.255.255, which is that of loopback)
  --port PORT        port (default 54322)
  --count COUNT      messages to --send (default 1), or until --listen ends (default: never)
  --help             print this`;

const flags = parseArgs(Deno.args, {
  boolean: ["help", "listen"],
  string: ["send", "address", "port", "count"],
  unknown: unknownFlag,
});
if (flags.listen && flags.send !== undefined) quit("Give --listen or --send, not both; see --help");
if (flags.send === "") quit("Give --send a text; see --help");
const address = flags.address ?? "127.255.255.255";
const port = wholeNumber("--port", flags.port, 1, 65535) ?? 54322;
const count = wholeNumber("--count", flags.count, 1, 1_000_000);

/**
 * Opens a receiver. Bound to the broadcast address it hears broadcasts of that network alone (Windows: bind to "0.0.0.0");
 * `reuseAddress` lets every program on this machine have the port.
 */
function open(signal?: AbortSignal): UdpSocket {
  const socket = bindUdp({ hostname: address, port, reuseAddress: true, ...(signal && { signal }) });
  console.log(`listening on ${address}:${port}`);
  return socket;
}

/** Prints so many messages, or for ever all that come; a failure is when the socket is closed before that. */
async function receive(socket: UdpSocket, count = Infinity, name = "received"): Promise<void> {
  let received = 0;
  for await (const [data, sender] of socket) {
    console.log(`${name}: ${sender.hostname}:${sender.port} -> ${address}:${port}: ${new TextDecoder().decode(data)}`);
    if (++received === count) return;
  }
  quit(`${name}: only ${received} messages came`, 1);
}

/** Sends to everyone. Sockets of `bindUdp` may broadcast, unless told `broadcast: false`. */
async function send(text: string): Promise<void> {
  using sender = bindUdp();
  await sender.send(new TextEncoder().encode(text), { hostname: address, port });
  console.log(`sent to ${address}:${port}: ${text}`);
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (flags.listen) {
    using socket = open();
    await receive(socket, count);
  } else if (flags.send !== undefined) {
    for (let i = 0; i < (count ?? 1); i++) await send(flags.send);
  } else {
    const signal = AbortSignal.timeout(2_000);
    using first = open(signal);
    using second = open(signal);
    const total = count ?? 3;
    const received = Promise.all([receive(first, total, "first"), receive(second, total, "second")]);
    for (let i = 1; i <= total; i++) await send(`hello ${i}`);
    await received;
  }
}

await main().catch((error) => quit(error.message, 1));
