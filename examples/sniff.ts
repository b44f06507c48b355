// sniff: what passes an interface, a line a packet, by a packet socket: needs CAP_NET_RAW. A filter in the kernel keeps out
// what is not wanted; a file in pcap's format keeps what was seen for tcpdump and Wireshark. Of packets: packets.ts.
//
//   deno task example:sniff --interface lo --filter icmp
//   deno task example:sniff --filter "port 53" --count 10 --write dns.pcap
import { networkInterfaces } from "@berkeley/sockets/multicast";
import { PACKET_ADD_MEMBERSHIP, PACKET_STATISTICS, SO_ATTACH_FILTER, SO_TIMESTAMPNS } from "@berkeley/sockets/options";
import { assembleFilter, type IncomingMessage, Socket } from "@berkeley/sockets/socket";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";
import { frameText } from "./packets.ts";

const HELP =
  `Prints a line for each packet that an Ethernet or the loopback interface sends or receives; Ctrl-C ends it.

  --interface NAME   listen on this one (default: on every one)
  --filter FILTER    only what it keeps: tcp, udp, icmp, arp, "port N", or a program in the notation of bpf_asm
  --count COUNT      end after so many packets
  --promiscuous      hear also what is for others on the network; needs --interface
  --write FILE       write the packets to FILE too, in pcap's format
  --help             print this`;

const flags = parseArgs(Deno.args, {
  boolean: ["help", "promiscuous"],
  string: ["interface", "filter", "count", "write"],
  unknown: unknownFlag,
});
for (const flag of ["interface", "filter", "write"] as const) {
  if (flags[flag] === "") quit(`Give --${flag} a value; see --help`);
}
if (flags.promiscuous && flags.interface === undefined) quit("Give --interface with --promiscuous; see --help");
const count = wholeNumber("--count", flags.count, 1, 999_999_999) ?? Infinity;

/** Of an Ethernet frame the protocol of IPv4 or IPv6 behind it. */
function protocols(v4: number, v6: number): string {
  return `
          ldh [12]
          jeq #0x86dd, six
          jneq #0x800, drop
          ldb [23]
          jeq #${v4}, keep, drop
    six:  ldb [20]
          jeq #${v6}, keep, drop
    keep: ret #-1
    drop: ret #0`;
}

const ARP = `
          ldh [12]
          jneq #0x806, drop
          ret #-1
    drop: ret #0`;

/** TCP or UDP from or to a port; of a fragment the first alone tells it. */
function port(number: number): string {
  return `
          ldh [12]
          jeq #0x86dd, six
          jneq #0x800, drop
          ldb [23]
          jeq #6, v4
          jneq #17, drop
    v4:   ldh [20]
          jset #0x1fff, drop
          ldxb 4*([14]&0xf)
          ldh [x + 14]
          jeq #${number}, keep
          ldh [x + 16]
          jeq #${number}, keep, drop
    six:  ldb [20]
          jeq #6, v6
          jneq #17, drop
    v6:   ldh [54]
          jeq #${number}, keep
          ldh [56]
          jeq #${number}, keep, drop
    keep: ret #-1
    drop: ret #0`;
}

/** The program that a filter's name stands for, or that it is. */
function programOf(filter: string): string {
  const number = /^port (\d+)$/.exec(filter)?.[1];
  if (number !== undefined) {
    if (Number(number) > 65535) throw new RangeError(`Wrong port ${number} in --filter: it must be 0 to 65535`);
    return port(Number(number));
  }
  switch (filter) {
    case "tcp":
      return protocols(6, 6);
    case "udp":
      return protocols(17, 17);
    case "icmp":
      return protocols(1, 58);
    case "arp":
      return ARP;
    default:
      return filter;
  }
}

/** Opens a socket that hears an interface, or all; what it hears is filtered from the first packet on. */
function open(name: string | undefined): Socket<"packet"> {
  // No protocol yet: else it would hear every interface until it is bound.
  const socket = Socket.open("packet", "raw");
  SO_TIMESTAMPNS.set(socket, true);
  if (flags.filter !== undefined) SO_ATTACH_FILTER.set(socket, assembleFilter(programOf(flags.filter)));
  socket.bind({ interface: name ?? 0, protocol: ALL });
  if (flags.promiscuous) PACKET_ADD_MEMBERSHIP.set(socket, { interface: name!, type: "promiscuous" });
  return socket;
}

/** The ethertype that stands for all. */
const ALL = 3;
/** Bytes of a packet, at most: more than any has. */
const MOST = 262_144;
/** Magic number of pcap files whose times are in nanoseconds, and that of Ethernet. */
const PCAP = [0xa1b23c4d, 1] as const;

/** A file in pcap's format. */
class PcapFile implements Disposable {
  readonly #file: Deno.FsFile;

  constructor(path: string) {
    this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
    this.#write(Uint32Array.of(PCAP[0], 2 | 4 << 16, 0, 0, MOST, PCAP[1])); // the version is 2.4
  }

  /** Adds a packet that came at a time. */
  add(nanoseconds: bigint, packet: Uint8Array, byteLength: number): void {
    const second = 1_000_000_000n;
    this.#write(
      Uint32Array.of(Number(nanoseconds / second), Number(nanoseconds % second), packet.byteLength, byteLength),
    );
    this.#write(packet);
  }

  #write(data: Uint32Array<ArrayBuffer> | Uint8Array): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let at = 0; at < bytes.byteLength;) at += this.#file.writeSync(bytes.subarray(at));
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** The time of day, as tcpdump writes it. */
function timeOf(nanoseconds: bigint): string {
  const time = new Date(Number(nanoseconds / 1_000_000n));
  const parts = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => `${part}`.padStart(2, "0"));
  return `${parts.join(":")}.${`${nanoseconds / 1000n % 1_000_000n}`.padStart(6, "0")}`;
}

/** Prints and writes packets until there are enough of them, or the signal says so; how many there were. */
async function listen(socket: Socket<"packet">, loopback: unknown, signal: AbortSignal): Promise<number> {
  using file = flags.write === undefined ? null : new PcapFile(flags.write);
  const buffer = new Uint8Array(MOST);
  let seen = 0;
  const show = ({ data, byteLength, remoteAddr, control }: IncomingMessage<"packet">) => {
    // What loopback sends it receives, too.
    if (remoteAddr!.packetType === "outgoing" && remoteAddr!.interface === loopback) return;
    const stamp = control.find((one) => one.name === "SCM_TIMESTAMPNS");
    const time = stamp?.name === "SCM_TIMESTAMPNS" ? stamp.nanoseconds : BigInt(Date.now()) * 1_000_000n;
    file?.add(time, data, byteLength);
    console.log(`${timeOf(time)} ${frameText(data, byteLength)}`);
    seen++;
  };
  try {
    while (seen < count) show(await socket.receiveMessage({ buffer, signal }));
  } catch (error) {
    if (!signal.aborted) throw error;
    // What came until now is there still; from here on nothing comes.
    SO_ATTACH_FILTER.set(socket, assembleFilter("ret #0"));
    for (let one; seen < count && (one = socket.tryReceiveMessage({ buffer })) !== null;) show(one);
  }
  return seen;
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  const end = new AbortController();
  const interfaces = networkInterfaces();
  const chosen = interfaces.find(({ name }) => name === flags.interface);
  if (chosen !== undefined && !chosen.loopback && chosen.hardwareAddr === undefined) {
    quit(`Cannot listen on ${chosen.name}: it must have the frames of Ethernet`, 1);
  }
  using socket = open(flags.interface);
  Deno.addSignalListener("SIGINT", () => end.abort());
  console.log(`listening on ${flags.interface ?? "every interface"}`);
  const seen = await listen(socket, interfaces.find(({ loopback }) => loopback)?.index, end.signal);
  const { packets, drops } = PACKET_STATISTICS.get(socket);
  console.log(`${seen} packets seen, ${packets} kept by the filter, ${drops} of them dropped by the kernel`);
  Deno.exit();
}

await main().catch((error) => quit(error.message, 1));
