// Multicast: a receiver joins a group on one interface, and a sender reaches it there. Without flags both are this
// program, over the loopback interface, so nothing leaves the machine; with flags it talks to any other program.
//
//   deno task example:multicast
//   deno task example:multicast --listen                   in one terminal or more, and in another
//   deno task example:multicast --send "hello, group"
//   deno task example:multicast --listen --group 239.1.2.3 --port 5000 --interface eth0
//   deno task example:multicast --listen --group ff02::1234%eth0
//   deno task example:multicast --listen --group 232.1.2.3 --source 192.0.2.1 --interface all --explain
//
// Without --allow-ffi it runs too: on Linux, when the interface is given by its IPv4 address, as it is by default.
import {
  explainMulticast,
  isMulticast,
  listenMulticast,
  type MulticastSocket,
  networkInterfaces,
} from "@berkeley/sockets/multicast";
import { bindUdp, type UdpSocket } from "@berkeley/sockets/udp";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";

const HELP = `Sends and receives multicast. Without flags: a receiver and a sender over loopback.

  --listen           receive, and print every message
  --send TEXT        send TEXT to the group
  --group ADDRESS    the group, IPv4 or IPv6, as ff02::1234%eth0 with its interface (default 239.0.0.1)
  --port PORT        its port (default 54321)
  --source ADDRESS   hear this sender alone; may be given several times (default: everybody)
  --interface WHICH  name, index or address of an interface, or "all" (default 127.0.0.1; IPv6 has no default)
  --hops COUNT       how far messages go: 0 this machine, 1 this network, more by routers (default 1)
  --count COUNT      messages to --send (default 1), or until --listen ends (default: never)
  --explain          before it receives, print what could keep messages away, each thing that was checked
  --help             print this`;

const flags = parseArgs(Deno.args, {
  boolean: ["help", "listen", "explain"],
  string: ["send", "group", "port", "source", "interface", "hops", "count"],
  collect: ["source"],
  unknown: unknownFlag,
});
if (flags.listen && flags.send !== undefined) quit("Give --listen or --send, not both; see --help");
if (flags.send === "") quit("Give --send a text; see --help");
if (flags.send !== undefined && flags.explain) {
  quit("Give --explain where something receives, not to --send; see --help");
}
const [group, zone] = (flags.group ?? "239.0.0.1").split("%") as [string, string | undefined];
const ipv6 = group.includes(":");
const port = wholeNumber("--port", flags.port, 1, 65535) ?? 54321;
const hopLimit = wholeNumber("--hops", flags.hops, 0, 255);
const count = wholeNumber("--count", flags.count, 1, 1_000_000);
if (zone !== undefined && flags.interface !== undefined) {
  quit("Give the interface by --group or --interface; see --help");
}
const chosen = flags.interface ?? zone ?? "127.0.0.1";
// Linux carries no IPv6 groups over loopback.
if (ipv6 && (flags.interface ?? zone) === undefined) quit("Give --interface for an IPv6 group; see --help");
const networkInterface = /^\d+$/.test(chosen) ? Number(chosen) : chosen;

/** Joins the group; the socket hears that group alone, and shares the port with other programs. */
async function join(sources: readonly string[], signal?: AbortSignal): Promise<MulticastSocket> {
  return await listenMulticast({
    group,
    port,
    interface: chosen === "all" ? { all: true } : networkInterface,
    ...(sources.length > 0 && { source: sources }),
    ...(hopLimit !== undefined && { multicast: { hopLimit } }),
    ...(signal && { signal }),
  });
}

/** Joins to receive, and says so. */
async function listen(signal?: AbortSignal): Promise<MulticastSocket> {
  const receiver = await join(flags.source, signal);
  const from = flags.source.length > 0 ? ` from ${flags.source.join(", ")}` : "";
  console.log(`listening to group ${group}, port ${port}, on ${receiver.membership.interfaces}${from}`);
  return receiver;
}

/** Prints what could keep messages away from the receiver. */
function explain(receiver: MulticastSocket, sender?: UdpSocket): void {
  if (!flags.explain) return;
  const [source] = flags.source;
  const findings = explainMulticast(receiver, {
    group,
    port,
    ...(chosen !== "all" && { interface: networkInterface }),
    ...(source !== undefined && { source }),
    ...(sender && { sender }),
  });
  for (const { check, verdict, message } of findings) console.log(`${verdict.padEnd(7)} ${check}: ${message}`);
}

/** Messages, each with the interface it came by; where the system does not tell that, with those that were joined. */
async function* messages(
  receiver: MulticastSocket,
): AsyncIterableIterator<{ data: Uint8Array; by: string; on: string }> {
  if (receiver.capabilities.engine === "portable") {
    const on = receiver.membership.interfaces.join();
    for await (const [data, { hostname }] of receiver) yield { data, by: hostname, on };
  } else {
    for await (const { data, remoteAddr, interfaceIndex } of receiver.messages()) {
      const one = networkInterfaces().find(({ index }) => index === interfaceIndex);
      yield { data, by: remoteAddr.hostname, on: one?.name ?? `${interfaceIndex}` };
    }
  }
}

/** Prints so many messages, or for ever all that come; it fails when the socket is closed before that. */
async function receive(receiver: MulticastSocket, count = Infinity): Promise<void> {
  let received = 0;
  for await (const { data, by, on } of messages(receiver)) {
    console.log(`message ${++received} from ${by} to group ${group} on ${on}: ${new TextDecoder().decode(data)}`);
    if (received === count) return;
  }
  quit(`Only ${received} of ${count} messages came`, 1);
}

/** Something that sends. */
interface Sender extends Disposable {
  readonly socket: UdpSocket;
  send(data: Uint8Array): Promise<number>;
}

/** Opens a socket that sends by the chosen interface, whatever the routes say, or once by each. */
async function openSender(): Promise<Sender> {
  if (chosen === "all") {
    const socket = await join([]);
    return { socket, send: (data) => socket.sendToGroup(data), [Symbol.dispose]: () => socket.close() };
  }
  const socket = openSocket();
  return {
    socket,
    send: (data) => socket.send(data, { hostname: group, port }),
    [Symbol.dispose]: () => socket.close(),
  };
}

function openSocket(): UdpSocket {
  const multicast = hopLimit === undefined ? {} : { hopLimit };
  const ffi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
  if (!ffi && Deno.build.os === "linux" && chosen.includes(".")) {
    // What is sent from an address goes by its interface, on Linux.
    return bindUdp({ hostname: chosen, multicast });
  }
  return bindUdp({ hostname: ipv6 ? "::" : "0.0.0.0", multicast: { ...multicast, interface: networkInterface } });
}

async function send(sender: Sender, text: string): Promise<void> {
  await sender.send(new TextEncoder().encode(text));
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (!isMulticast(group)) quit(`Wrong value "${group}" for --group: it must be in 224.0.0.0/4 or ff00::/8`);
  if (flags.listen) {
    using receiver = await listen();
    explain(receiver);
    await receive(receiver, count);
  } else if (flags.send !== undefined) {
    using sender = await openSender();
    for (let i = 0; i < (count ?? 1); i++) await send(sender, flags.send);
    console.log(`sent to group ${group}, port ${port}`);
  } else {
    using receiver = await listen(AbortSignal.timeout(2_500));
    using sender = await openSender();
    explain(receiver, sender.socket);
    const total = count ?? 5;
    const received = receive(receiver, total);
    for (let i = 1; i <= total; i++) await send(sender, `hello ${i}`);
    await received;
  }
}

await main().catch((error) => quit(error.message, 1));
