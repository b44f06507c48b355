// ping: asks a host for an answer once a second, and tells how long each took and how many never came. It needs no
// privilege where net.ipv4.ping_group_range allows the user ICMP datagram sockets, and CAP_NET_RAW elsewhere.
//
//   deno task example:ping localhost -c 3
//   deno task example:ping ::1 -i 0.2 -t 5
import {
  ICMP6_FILTER,
  ICMP_FILTER,
  IP_MULTICAST_TTL,
  IP_RECVERR,
  IP_RECVTTL,
  IP_TTL,
  IPV6_MULTICAST_HOPS,
  IPV6_RECVERR,
  IPV6_RECVHOPLIMIT,
  IPV6_UNICAST_HOPS,
  SO_BINDTODEVICE,
} from "@berkeley/sockets/options";
import {
  type IncomingMessage,
  type InetAddress,
  internetChecksum,
  poll,
  type QueuedError,
  resolveAddress,
  Socket,
} from "@berkeley/sockets/socket";
import { isMulticast } from "@berkeley/sockets/multicast";
import { parseArgs } from "@std/cli/parse-args";
import { errorOf, hopLimitOf, next } from "./error_queue.ts";
import { number, quit, unknownFlag, wholeNumber } from "./flags.ts";

const HELP = `Usage: ping [flags] HOST
Sends echo requests to HOST, a name or an address, and prints the answers; Ctrl-C ends it and prints the summary.

  -c, --count COUNT          how many requests (default: until it is ended)
  -i, --interval SECONDS     time from one to the next (default 1)
  -W, --timeout SECONDS      how long to wait for answers after the last request (default 1)
  -w, --deadline SECONDS     end after so long, whatever was answered
  -s, --size BYTES           data in each request (default 56)
  -t, --ttl HOPS             hop limit of the requests (default: that of the system)
  -I, --interface NAME       send by this interface, or from this address
  -4, -6                     IPv4 alone, IPv6 alone
  -q, --quiet                print the summary alone
  -h, --help                 print this

It ends with 0 when there was an answer, with 1 when there was none, and with 2 when it could not ask.`;

const flags = parseArgs(Deno.args, {
  alias: {
    count: "c",
    interval: "i",
    timeout: "W",
    deadline: "w",
    size: "s",
    ttl: "t",
    interface: "I",
    quiet: "q",
    help: "h",
  },
  boolean: ["4", "6", "quiet", "help"],
  string: ["_", "count", "interval", "timeout", "deadline", "size", "ttl", "interface"],
  unknown: (flag, key) => key === undefined || unknownFlag(flag),
});
const count = wholeNumber("--count", flags.count, 1, 1e9) ?? Infinity;
const interval = (number("--interval", flags.interval, 0.002, 3600) ?? 1) * 1000;
const timeout = (number("--timeout", flags.timeout, 0.001, 3600) ?? 1) * 1000;
const deadline = number("--deadline", flags.deadline, 0.001, 1e6);
const size = wholeNumber("--size", flags.size, 0, 65_507) ?? 56;
const ttl = wholeNumber("--ttl", flags.ttl, 1, 255);
if (flags.interface === "") quit("Give --interface a name or an address; see --help");
if (flags["4"] && flags["6"]) quit("Give -4 or -6, not both; see --help");

/** What ICMP and ICMPv6 call the same things. */
const FAMILIES = {
  inet: {
    protocol: "icmp",
    request: 8,
    reply: 0,
    filter: ICMP_FILTER,
    errors: IP_RECVERR,
    tellHops: IP_RECVTTL,
    hops: [IP_TTL, IP_MULTICAST_TTL],
  },
  inet6: {
    protocol: "icmp6",
    request: 128,
    reply: 129,
    filter: ICMP6_FILTER,
    errors: IPV6_RECVERR,
    tellHops: IPV6_RECVHOPLIMIT,
    hops: [IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS],
  },
} as const;
/** Type, identifier and the like, before the data of a request. */
const HEADER = 8;
/** What the network says of a request, by type and code of ICMP, or by type alone. */
const REASONS: Readonly<Record<string, string>> = {
  "icmp 3 0": "Destination Net Unreachable",
  "icmp 3 1": "Destination Host Unreachable",
  "icmp 3 2": "Destination Protocol Unreachable",
  "icmp 3 3": "Destination Port Unreachable",
  "icmp 3 4": "Frag needed and DF set",
  "icmp 3 13": "Packet filtered",
  "icmp 3": "Destination Unreachable",
  "icmp 11 0": "Time to live exceeded",
  "icmp 11 1": "Frag reassembly time exceeded",
  "icmp 12": "Parameter problem",
  "icmp6 1 0": "Destination unreachable: No route",
  "icmp6 1 1": "Destination unreachable: Administratively prohibited",
  "icmp6 1 3": "Destination unreachable: Address unreachable",
  "icmp6 1 4": "Destination unreachable: Port unreachable",
  "icmp6 1": "Destination unreachable",
  "icmp6 2": "Packet too big",
  "icmp6 3 0": "Time exceeded: Hop limit",
  "icmp6 3 1": "Time exceeded: Defragmentation failure",
  "icmp6 4": "Parameter problem",
};

type Echo = Socket<"inet" | "inet6">;

/** A ping socket, which the kernel makes for everybody it is told to; else a raw one, which needs a privilege. */
function open(family: InetAddress["family"]): Echo {
  const { protocol, filter, reply } = FAMILIES[family];
  try {
    return Socket.open(family, "dgram", protocol);
  } catch (refused) {
    if (!(refused instanceof Deno.errors.PermissionDenied)) throw refused;
    try {
      const socket: Echo = Socket.open(family, "raw", protocol);
      filter.set(socket, [reply]);
      return socket;
    } catch (error) {
      // What the ping socket was refused for names both ways out.
      throw error instanceof Deno.errors.PermissionDenied ? refused : error;
    }
  }
}

/** Sends requests, takes answers and errors, and counts. */
class Pinger {
  readonly #socket: Echo;
  readonly #to: InetAddress;
  readonly #facts: typeof FAMILIES[InetAddress["family"]];
  readonly #packet = new Uint8Array(HEADER + size);
  readonly #id = crypto.getRandomValues(new Uint16Array(1))[0]!;
  /** When each number was sent that waits for its answer; the numbers come round after 65,536. */
  readonly #waiting = new Map<number, number>();
  readonly #answered = new Set<number>();
  #connected = false;
  #sent = 0;
  #received = 0;
  #duplicates = 0;
  #errors = 0;
  #sum = 0;
  #squares = 0;
  #least = Infinity;
  #most = 0;

  constructor(socket: Echo, to: InetAddress) {
    this.#socket = socket;
    this.#to = to;
    this.#facts = FAMILIES[to.family];
    this.#facts.errors.set(socket, true);
    this.#facts.tellHops.set(socket, true);
    if (ttl !== undefined) { for (const option of this.#facts.hops) option.set(socket, ttl); }
    this.#packet.set([this.#facts.request, 0, 0, 0, this.#id >> 8, this.#id & 0xff]);
    for (let i = 0; i < size; i++) this.#packet[HEADER + i] = i;
  }

  /** Asks until all is asked and answered, or the signal ends it; whether there was an answer. */
  async run(signal: AbortSignal): Promise<boolean> {
    // A group has no answer of its own: all its members answer. Connected, a request is sooner on its way.
    if (!isMulticast(this.#to.hostname)) {
      await this.#socket.connect(this.#to);
      this.#connected = true;
    }
    this.#take(); // so that the first answer is not late for what is compiled only now
    const begin = performance.now();
    for (let due = begin; this.#sent < count && !signal.aborted;) {
      await this.#send();
      due = Math.max(due + interval, performance.now());
      const last = this.#sent === count;
      await this.#listen(last ? performance.now() + timeout : due, last, signal);
    }
    this.#summarize(performance.now() - begin);
    return this.#received > 0;
  }

  async #send(): Promise<void> {
    const sequence = ++this.#sent & 0xffff;
    this.#packet.set([0, 0], 2);
    this.#packet.set([sequence >> 8, sequence & 0xff], 6);
    // ICMPv6 has addresses in its checksum: there the kernel computes it.
    const sum = this.#to.family === "inet" ? internetChecksum(this.#packet) : 0;
    this.#packet.set([sum >> 8, sum & 0xff], 2);
    this.#answered.delete(sequence);
    this.#waiting.set(sequence, performance.now());
    try {
      // An earlier request that failed may be told here; it is in the error queue too, and this one was not sent yet.
      await this.#request().catch(() => this.#request());
    } catch (error) {
      this.#waiting.delete(sequence);
      this.#errors++;
      console.error(`ping: ${(error as Error).message}`);
    }
  }

  #request(): Promise<number> {
    return this.#connected ? this.#socket.send(this.#packet) : this.#socket.sendTo(this.#packet, this.#to);
  }

  /** Takes what comes until a time, or until nothing is waited for. */
  async #listen(until: number, last: boolean, signal: AbortSignal): Promise<void> {
    for (;;) {
      this.#take();
      const left = until - performance.now();
      if (left <= 0 || signal.aborted || (last && this.#waiting.size === 0)) return;
      await poll([{ socket: this.#socket, readable: true }], { timeout: Math.ceil(left), signal }).catch((error) => {
        if (!signal.aborted) throw error;
      });
    }
  }

  /** Takes all answers and errors that are there. */
  #take(): void {
    const arrival = performance.now();
    for (let one; (one = next(this.#socket)) !== null;) {
      const error = errorOf(one.control);
      if (error === undefined) this.#answer(one, arrival);
      else this.#failed(one.data, error);
    }
  }

  /** The number of an ICMP message, if it is of this kind and from us. */
  #sequenceOf(icmp: Uint8Array, type: number): number | undefined {
    const [kind, , , , high, low, upper, lower] = icmp;
    if (kind !== type || lower === undefined) return undefined;
    // A ping socket hears of nothing but its own, by an id of the kernel's choice.
    if (this.#socket.type === "raw" && (high! << 8 | low!) !== this.#id) return undefined;
    return upper! << 8 | lower;
  }

  #answer({ data, remoteAddr, control }: IncomingMessage<"inet" | "inet6">, arrival: number): void {
    // Raw sockets of IPv4 hear the header of IP too.
    const header = this.#socket.type === "raw" && this.#to.family === "inet" ? (data[0]! & 0xf) * 4 : 0;
    const icmp = data.subarray(header);
    const sequence = this.#sequenceOf(icmp, this.#facts.reply);
    if (sequence === undefined) return;
    const sent = this.#waiting.get(sequence);
    const again = sent === undefined;
    if (again && !this.#answered.has(sequence)) return;
    let took = "";
    if (again) this.#duplicates++;
    else {
      this.#waiting.delete(sequence);
      this.#answered.add(sequence);
      took = ` time=${this.#count(arrival - sent)} ms`;
    }
    this.#tell(
      `${icmp.byteLength} bytes from ${remoteAddr!.hostname}: icmp_seq=${sequence} ttl=${hopLimitOf(control)}${took}${
        again ? " (DUP!)" : ""
      }`,
    );
  }

  /** Counts an answer in; its time as ping writes it. */
  #count(milliseconds: number): string {
    this.#received++;
    this.#sum += milliseconds;
    this.#squares += milliseconds ** 2;
    this.#least = Math.min(this.#least, milliseconds);
    this.#most = Math.max(this.#most, milliseconds);
    return milliseconds.toFixed(milliseconds >= 100 ? 0 : milliseconds >= 10 ? 1 : milliseconds >= 1 ? 2 : 3);
  }

  #failed(request: Uint8Array, error: QueuedError): void {
    const sequence = this.#sequenceOf(request, this.#facts.request);
    // One of this machine itself is what the send failed with.
    if (sequence === undefined || error.origin === "local") return;
    this.#waiting.delete(sequence);
    this.#errors++;
    this.#tell(`From ${error.offender?.hostname} icmp_seq=${sequence} ${reason(error)}`);
  }

  #tell(line: string): void {
    if (!flags.quiet) console.log(line);
  }

  #summarize(milliseconds: number): void {
    const lost = (this.#sent - this.#received) / Math.max(this.#sent, 1) * 100;
    const parts = [`${this.#sent} packets transmitted`, `${this.#received} received`];
    if (this.#duplicates > 0) parts.push(`+${this.#duplicates} duplicates`);
    if (this.#errors > 0) parts.push(`+${this.#errors} errors`);
    parts.push(`${Number(lost.toPrecision(6))}% packet loss`, `time ${Math.round(milliseconds)}ms`);
    console.log(`\n--- ${flags._[0]} ping statistics ---\n${parts.join(", ")}`);
    if (this.#received === 0) return;
    const average = this.#sum / this.#received;
    const deviation = Math.sqrt(Math.max(this.#squares / this.#received - average ** 2, 0));
    const figures = [this.#least, average, this.#most, deviation].map((one) => one.toFixed(3)).join("/");
    console.log(`rtt min/avg/max/mdev = ${figures} ms`);
  }
}

/** An error of the network in words. */
function reason({ origin, type, icmpCode, info }: QueuedError): string {
  const words = REASONS[`${origin} ${type} ${icmpCode}`] ?? REASONS[`${origin} ${type}`] ?? `type ${type}`;
  return info === 0 ? words : `${words} (mtu = ${info})`;
}

/** The address to ask. */
async function find(host: string): Promise<InetAddress> {
  const [first] = await resolveAddress(host, flags["4"] ? { family: "inet" } : flags["6"] ? { family: "inet6" } : {});
  return first!;
}

/** Sends by an interface, or from an address. */
function sendFrom(socket: Echo, where: string): void {
  if (/[.:]/.test(where)) socket.bind({ hostname: where });
  else SO_BINDTODEVICE.set(socket, where);
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  const [host, another] = flags._ as string[];
  if (host === undefined || another !== undefined) quit("Give one host; see --help");
  const to = await find(host);
  using socket = open(to.family);
  if (flags.interface !== undefined) sendFrom(socket, flags.interface);
  const pinger = new Pinger(socket, to);
  const from = flags.interface === undefined ? "" : `from ${flags.interface}: `;
  const data = to.family === "inet" ? `${size}(${size + 28}) bytes of data.` : `${size} data bytes`;
  console.log(`PING ${host} (${to.hostname}) ${from}${data}`);
  const end = new AbortController();
  Deno.addSignalListener("SIGINT", () => end.abort());
  if (deadline !== undefined) setTimeout(() => end.abort(), deadline * 1000);
  Deno.exit(await pinger.run(end.signal) ? 0 : 1);
}

await main().catch((error) => quit(error.message));
