// Multicast: a receiver joins a group on one interface, and a sender reaches it there. Without flags both are this
// program, over the loopback interface, so nothing leaves the machine; with flags it talks to any other program.
//
//   deno task example:multicast
//   deno task example:multicast --listen                   in one terminal or more, and in another
//   deno task example:multicast --send "hello, group"
//   deno task example:multicast --listen --group 239.1.2.3 --port 5000 --interface eth0
//
// Without --allow-ffi it runs too: on Linux, when the interface is given by its IPv4 address, as it is by default.
import { isMulticast, listenMulticast, type MulticastSocket } from "@berkeley/sockets/multicast";
import { bindUdp, type UdpSocket } from "@berkeley/sockets/udp";
import { parseArgs } from "@std/cli/parse-args";

const HELP = `Sends and receives multicast. Without flags: a receiver and a sender over loopback.

  --listen           receive, and print every message
  --send TEXT        send TEXT to the group
  --group ADDRESS    the group, IPv4 or IPv6 (default 239.0.0.1)
  --port PORT        its port (default 54321)
  --interface WHICH  name, index or address of an interface (default 127.0.0.1; IPv6 has no default)
  --hops COUNT       how far messages go: 0 this machine, 1 this network, more by routers (default 1)
  --count COUNT      messages to --send (default 1), or until --listen ends (default: never)
  --help             print this`;

const flags = parseArgs(Deno.args, {
  boolean: ["help", "listen"],
  string: ["send", "group", "port", "interface", "hops", "count"],
  unknown: (flag) => quit(`Unknown flag ${flag}; see --help`),
});
if (flags.listen && flags.send !== undefined) quit("Give --listen or --send, not both; see --help");
if (flags.send === "") quit("Give --send a text; see --help");
const group = flags.group ?? "239.0.0.1";
const ipv6 = group.includes(":");
const port = wholeNumber("--port", flags.port, 1, 65535) ?? 54321;
const hopLimit = wholeNumber("--hops", flags.hops, 0, 255);
const count = wholeNumber("--count", flags.count, 1, 1_000_000);
// Linux carries no IPv6 groups over loopback.
if (ipv6 && flags.interface === undefined) quit("Give --interface for an IPv6 group; see --help");
const chosen = flags.interface ?? "127.0.0.1";
const networkInterface = /^\d+$/.test(chosen) ? Number(chosen) : chosen;

/** Joins the group; the socket hears that group alone, and shares the port with other programs. */
async function join(signal?: AbortSignal): Promise<MulticastSocket> {
  const receiver = await listenMulticast({ group, port, interface: networkInterface, ...(signal && { signal }) });
  console.log(`listening to group ${group}, port ${port}, on ${receiver.membership.interfaces}`);
  return receiver;
}

/** Prints so many messages, or for ever all that come; it fails when the socket is closed before that. */
async function receive(receiver: MulticastSocket, count = Infinity): Promise<void> {
  let received = 0;
  for await (const [data, sender] of receiver) {
    const text = new TextDecoder().decode(data);
    const { group, interfaces } = receiver.membership;
    console.log(`message ${++received} from ${sender.hostname} to group ${group} on ${interfaces}: ${text}`);
    if (received === count) return;
  }
  quit(`Only ${received} of ${count} messages came`, 1);
}

/** Opens a socket that sends by the chosen interface, whatever the routes say. */
function openSender(): UdpSocket {
  const multicast = hopLimit === undefined ? {} : { hopLimit };
  const ffi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
  if (!ffi && Deno.build.os === "linux" && chosen.includes(".")) {
    // What is sent from an address goes by its interface, on Linux.
    return bindUdp({ hostname: chosen, multicast });
  }
  return bindUdp({ hostname: ipv6 ? "::" : "0.0.0.0", multicast: { ...multicast, interface: networkInterface } });
}

async function send(sender: UdpSocket, text: string): Promise<void> {
  await sender.send(new TextEncoder().encode(text), { hostname: group, port });
}

function wholeNumber(flag: string, text: string | undefined, low: number, high: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text) && Number(text) >= low && Number(text) <= high) return Number(text);
  quit(`Wrong value "${text}" for ${flag}: it must be a whole number from ${low} to ${high}`);
}

function quit(message: string, code = 2): never {
  console.error(message);
  Deno.exit(code);
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (!isMulticast(group)) quit(`Wrong value "${group}" for --group: it must be in 224.0.0.0/4 or ff00::/8`);
  if (flags.listen) {
    using receiver = await join();
    await receive(receiver, count);
  } else if (flags.send !== undefined) {
    using sender = openSender();
    for (let i = 0; i < (count ?? 1); i++) await send(sender, flags.send);
    console.log(`sent to group ${group}, port ${port}`);
  } else {
    using receiver = await join(AbortSignal.timeout(2_500));
    using sender = openSender();
    const total = count ?? 5;
    const received = receive(receiver, total);
    for (let i = 1; i <= total; i++) await send(sender, `hello ${i}`);
    await received;
  }
}

await main().catch((error) => quit(error.message, 1));
