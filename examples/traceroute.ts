// traceroute: the routers on the way to a host, hop by hop. Datagrams are sent with a rising hop limit; each router at which
// one runs out says so, and the kernel puts that into the error queue of the socket that sent it: no privilege is needed.
//
//   deno task example:traceroute localhost
//   deno task example:traceroute -q 1 -m 5 --back ::1
import {
  IP_MTU_DISCOVER,
  IP_PMTUDISC_DONT,
  IP_RECVERR,
  IP_RECVTTL,
  IP_TTL,
  IPV6_RECVERR,
  IPV6_RECVHOPLIMIT,
  IPV6_UNICAST_HOPS,
  SO_BINDTODEVICE,
} from "@berkeley/sockets/options";
import { type IncomingMessage, type InetAddress, poll, resolveAddress, Socket } from "@berkeley/sockets/socket";
import { parseArgs } from "@std/cli/parse-args";
import { errorOf, hopLimitOf, next } from "./error_queue.ts";
import { number, quit, unknownFlag, wholeNumber } from "./flags.ts";

const HELP = `Usage: traceroute [flags] HOST [BYTES]
Prints the routers on the way to HOST, a name or an address, by UDP datagrams; BYTES is the length of their packets.

  -f, --first HOPS           begin with this hop limit (default 1)
  -m, --max-hops HOPS        end with this one (default 30)
  -q, --queries COUNT        datagrams for each hop (default 3)
  -w, --wait SECONDS         how long to wait for the answers of a hop (default 3)
  -p, --port PORT            port of the first datagram; each has its own (default 33434)
  -s, --source ADDRESS       send from this address
  -i, --interface NAME       send by this interface
      --back                 print the hop limit with which each answer came
  -4, -6                     IPv4 alone, IPv6 alone
  -h, --help                 print this

*: no answer; !N, !H, !P: no way to the network, to the host, to its protocol; !X: forbidden; !F-MTU: the packet is too long.
It ends with 0 when HOST was reached, with 1 when it was not, and with 2 when it could not ask.`;

const flags = parseArgs(Deno.args, {
  alias: {
    first: "f",
    "max-hops": "m",
    queries: "q",
    wait: "w",
    port: "p",
    source: "s",
    interface: "i",
    help: "h",
  },
  boolean: ["4", "6", "back", "help"],
  string: ["_", "first", "max-hops", "queries", "wait", "port", "source", "interface"],
  unknown: (flag, key) => key === undefined || unknownFlag(flag),
});
const most = wholeNumber("--max-hops", flags["max-hops"], 1, 255) ?? 30;
const first = wholeNumber("--first", flags.first, 1, most) ?? 1;
const queries = wholeNumber("--queries", flags.queries, 1, 10) ?? 3;
const wait = (number("--wait", flags.wait, 0.001, 60) ?? 3) * 1000;
const port = wholeNumber("--port", flags.port, 1, 65535 - most * queries) ?? 33434;
if (flags["4"] && flags["6"]) quit("Give -4 or -6, not both; see --help");
for (const flag of ["source", "interface"] as const) if (flags[flag] === "") quit(`Give --${flag} a value; see --help`);

const FAMILIES = {
  inet: { hops: IP_TTL, errors: IP_RECVERR, tellHops: IP_RECVTTL, headers: 28 },
  inet6: { hops: IPV6_UNICAST_HOPS, errors: IPV6_RECVERR, tellHops: IPV6_RECVHOPLIMIT, headers: 48 },
} as const;
/** What an answer means, by origin, type and code; all other answers are of a router that did what it should. */
const UNREACHABLE: Readonly<Record<string, string>> = {
  "icmp 3 0": "!N",
  "icmp 3 1": "!H",
  "icmp 3 2": "!P",
  "icmp 3 9": "!X",
  "icmp 3 10": "!X",
  "icmp 3 13": "!X",
  "icmp6 1 0": "!N",
  "icmp6 1 1": "!X",
  "icmp6 1 3": "!H",
  "icmp6 2 0": "!F",
};
/** The host has the datagram, and nobody on that port. */
const REACHED = ["icmp 3 3", "icmp6 1 4"];

type Udp = Socket<"inet" | "inet6">;
type Message = IncomingMessage<"inet" | "inet6">;

/** What came back for a datagram. */
interface Answer {
  readonly from: string;
  /** Milliseconds. */
  readonly took: number;
  /** The hop limit it had left. */
  readonly hops: number | undefined;
  /** "" for a good one. */
  readonly mark: string;
  readonly reached: boolean;
}

/** A datagram on its way: with a socket of its own, so that what comes back on that is about nothing else. */
class Probe implements Disposable {
  readonly #socket: Udp;
  #sent = 0;
  answer: Answer | null = null;

  constructor(family: InetAddress["family"], hop: number) {
    const { errors, tellHops, hops } = FAMILIES[family];
    this.#socket = Socket.open(family, "dgram");
    errors.set(this.#socket, true);
    tellHops.set(this.#socket, true);
    hops.set(this.#socket, hop);
    // Routers may cut what is too long for them; those of IPv6 never do.
    if (family === "inet") IP_MTU_DISCOVER.set(this.#socket, IP_PMTUDISC_DONT);
    if (flags.interface !== undefined) SO_BINDTODEVICE.set(this.#socket, flags.interface);
    if (flags.source !== undefined) this.#socket.bind({ hostname: flags.source });
  }

  async send(to: InetAddress, data: Uint8Array): Promise<void> {
    await this.#socket.connect(to);
    this.#sent = performance.now();
    await this.#socket.send(data);
    this.#take();
  }

  /** Waits for what comes of it, until a time. */
  async wait(until: number): Promise<void> {
    while (this.answer === null) {
      const left = until - performance.now();
      if (left <= 0) return;
      await poll([{ socket: this.#socket, readable: true }], { timeout: Math.ceil(left) });
      this.#take();
    }
  }

  /** An error; or the answer of a host that has somebody on the port. */
  #take(): void {
    const now = performance.now();
    const message = next(this.#socket);
    if (message !== null) this.answer = read(message, now - this.#sent);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Sends the datagrams of a hop, each to a port of its own, and waits for what comes of them. */
async function ask(to: InetAddress, hop: number, data: Uint8Array): Promise<(Answer | null)[]> {
  const probes = Array.from({ length: queries }, () => new Probe(to.family, hop));
  try {
    const base = port + (hop - first) * queries;
    for (const [i, probe] of probes.entries()) await probe.send({ ...to, port: base + i }, data);
    const until = performance.now() + wait;
    await Promise.all(probes.map((probe) => probe.wait(until)));
    return probes.map(({ answer }) => answer);
  } finally {
    for (const probe of probes) probe[Symbol.dispose]();
  }
}

/** What an answer says. */
function read({ remoteAddr, control }: Message, took: number): Answer {
  const hops = hopLimitOf(control);
  const error = errorOf(control);
  if (error === undefined) return { from: remoteAddr!.hostname, took, hops, mark: "", reached: true };
  const kind = `${error.origin} ${error.type} ${error.icmpCode}`;
  const mark = UNREACHABLE[kind] ?? "";
  return {
    from: error.offender?.hostname ?? "this machine",
    took,
    hops,
    mark: mark === "!F" ? `!F-${error.info}` : mark,
    reached: REACHED.includes(kind),
  };
}

/** The line of a hop; who answers is said when it changes. */
function line(hop: number, answers: readonly (Answer | null)[]): string {
  let text = `${hop}`.padStart(2) + " ";
  let who = "";
  for (const answer of answers) {
    if (answer === null) {
      text += " *";
      continue;
    }
    if (answer.from !== who) text += ` ${answer.from}`;
    who = answer.from;
    text += `  ${answer.took.toFixed(3)} ms`;
    if (flags.back && answer.hops !== undefined) text += ` (ttl ${answer.hops})`;
    if (answer.mark !== "") text += ` ${answer.mark}`;
  }
  return text;
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  const [host, length, more] = flags._ as string[];
  if (host === undefined || more !== undefined) quit("Give one host, and the bytes of a packet if need be; see --help");
  const [to] = await resolveAddress(host, flags["4"] ? { family: "inet" } : flags["6"] ? { family: "inet6" } : {});
  const { headers } = FAMILIES[to!.family];
  const bytes = wholeNumber("BYTES", length, headers, 65_000) ?? headers + 32;
  console.log(`traceroute to ${host} (${to!.hostname}), ${most} hops max, ${bytes} byte packets`);
  const data = new Uint8Array(bytes - headers).fill(0x40);
  for (let hop = first; hop <= most; hop++) {
    const answers = await ask(to!, hop, data);
    console.log(line(hop, answers));
    if (answers.some((one) => one?.reached)) return;
    // There is no way on; what was too long is cut next time.
    if (answers.some((one) => one !== null && /^!(?!F)/.test(one.mark))) break;
  }
  Deno.exitCode = 1;
}

await main().catch((error) => quit(error.message));
