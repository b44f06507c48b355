// Wake-on-LAN: a magic packet, by broadcast, has the network card of a machine that sleeps switch it on. Without arguments
// it goes over the loopback interface (which broadcasts on Linux alone) to a receiver in this program, so nothing leaves
// the machine; with the address of a card it goes out by every interface that can broadcast, or by one.
//
//   deno task example:wake_on_lan
//   deno task example:wake_on_lan 00:11:22:33:44:55
//   deno task example:wake_on_lan 00:11:22:33:44:55 --interface eth0
//   deno task example:wake_on_lan --listen                 shows the magic packets that arrive here
import { type NetworkInterface, networkInterfaces } from "@berkeley/sockets/multicast";
import { SO_BINDTODEVICE } from "@berkeley/sockets/options";
import { bindUdp, type UdpSocket } from "@berkeley/sockets/udp";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";

const HELP = `Wakes a machine by its network card. Without arguments: a packet over loopback, and what arrived.

  MAC                address of the card to wake, as 00:11:22:33:44:55
  --interface WHICH  name, index or address of the one interface to send by (default: all that can broadcast)
  --port PORT        port; cards do not care, some programs do (default 9)
  --listen           receive, and print every magic packet
  --count COUNT      packets until --listen ends (default: never)
  --help             print this`;

const flags = parseArgs(Deno.args, {
  boolean: ["help", "listen"],
  string: ["interface", "port", "count", "_"],
  unknown: (flag) => !flag.startsWith("-") || unknownFlag(flag),
});
const [target, ...rest] = flags._.map(String);
if (rest.length > 0) quit("Give one address; see --help");
if (flags.listen && target !== undefined) quit("Give an address or --listen, not both; see --help");
const port = wholeNumber("--port", flags.port, 1, 65535);
const count = wholeNumber("--count", flags.count, 1, 1_000_000);

/** Where broadcasts go to on whatever link they are sent by. */
const LIMITED = "255.255.255.255";
/** Bytes of the address of a card, and how often a magic packet repeats it. */
const CARD = 6, TIMES = 16;

/** A magic packet: six bytes of ones, and the address of the card sixteen times. */
function magicPacket(card: Uint8Array): Uint8Array {
  const packet = new Uint8Array(CARD * (1 + TIMES)).fill(0xff, 0, CARD);
  for (let i = 1; i <= TIMES; i++) packet.set(card, CARD * i);
  return packet;
}

/** The card that a packet wakes, which may stand anywhere in it; null for none. */
function cardIn(data: Uint8Array): string | null {
  for (let at = 0; at + CARD * (1 + TIMES) <= data.length; at++) {
    const card = data.subarray(at + CARD, at + 2 * CARD);
    if (magicPacket(card).every((byte, i) => data[at + i] === byte)) return shown(card);
  }
  return null;
}

function cardOf(text: string): Uint8Array {
  const parts = text.split(/[:-]/);
  if (parts.length === CARD && parts.every((part) => /^[0-9a-f]{2}$/i.test(part))) {
    return Uint8Array.from(parts, (part) => parseInt(part, 16));
  }
  quit(`Wrong address "${text}": it must be six pairs of hexadecimal digits, as 00:11:22:33:44:55`);
}

function shown(card: Uint8Array): string {
  return Array.from(card, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** The interfaces to send by. */
function senders(): NetworkInterface[] {
  const all = networkInterfaces();
  const which = flags.interface;
  if (which === undefined) return all.filter(({ up, broadcast }) => up && broadcast);
  const is = ({ name, index, addresses }: NetworkInterface) =>
    which === name || which === String(index) || addresses.some(({ hostname }) => hostname === which);
  return all.find(is) !== undefined
    ? all.filter(is)
    : quit(`No interface is "${which}"; there are: ${all.map(({ name }) => name).join(", ")}`);
}

/** Sends a packet by an interface: to the broadcast address of each of its networks, and to everybody on its link. */
async function send(socket: UdpSocket, packet: Uint8Array, by: NetworkInterface, port: number): Promise<void> {
  const directed = by.loopback ? ["127.255.255.255"] : by.addresses.flatMap(({ broadcast }) => broadcast ?? []);
  for (const hostname of [...directed, LIMITED]) {
    await socket.sendMessage({ data: packet, remoteAddr: { hostname, port }, interfaceIndex: by.index });
    console.log(`sent to ${hostname}:${port} by ${by.name}`);
  }
}

/** Opens a receiver of broadcasts, which knows of each how it came; by one interface alone, if that is given. */
function open(port: number, by?: NetworkInterface): UdpSocket<"localAddr" | "interfaceIndex"> {
  return bindUdp({
    port,
    reuseAddress: true,
    metadata: ["localAddr", "interfaceIndex"],
    ...(by && { options: [SO_BINDTODEVICE.to(by.name)], signal: AbortSignal.timeout(2_500) }),
  });
}

/** Prints so many magic packets, or for ever all that come; a failure is when the socket is closed before that. */
async function receive(socket: UdpSocket<"localAddr" | "interfaceIndex">, count = Infinity): Promise<void> {
  let received = 0;
  for await (const { data, localAddr, interfaceIndex } of socket.messages()) {
    const card = cardIn(data);
    if (card === null) continue;
    const by = networkInterfaces().find(({ index }) => index === interfaceIndex)?.name ?? interfaceIndex;
    console.log(`magic packet for ${card}, sent to ${localAddr.hostname}, by ${by}`);
    if (++received === count) return;
  }
  quit(`Only ${received} of ${count} magic packets came`, 1);
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (flags.listen) {
    using socket = open(port ?? 9);
    console.log(`listening on port ${socket.addr.port}`);
    await receive(socket, count);
  } else if (target !== undefined) {
    const packet = magicPacket(cardOf(target));
    using socket = bindUdp();
    const all = senders();
    if (all.length === 0) quit("No interface can broadcast", 1);
    let failed = 0;
    for (const one of all) {
      // One that refuses is no matter of the others.
      await send(socket, packet, one, port ?? 9).catch(({ message }) => {
        console.error(`${one.name}: ${message}`);
        failed++;
      });
    }
    if (failed === all.length) Deno.exit(1);
  } else {
    const loopback = networkInterfaces().find(({ loopback }) => loopback) ?? quit("There is no loopback interface", 1);
    using receiver = open(port ?? 0, loopback);
    using socket = bindUdp();
    const received = receive(receiver, 2);
    await send(socket, magicPacket(cardOf("02:00:00:00:00:01")), loopback, receiver.addr.port);
    await received;
  }
}

await main().catch((error) => quit(error.message, 1));
