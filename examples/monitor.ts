// A live table of all sockets of the program that it runs in: state, addresses, queues, round trips, retransmits, bytes
// a second. By itself it watches a small server and its clients; loaded before another program, that program:
//
//   deno task example:monitor
//   deno run -A --preload examples/monitor.ts server.ts        the table goes to stderr, SOCKETS_MONITOR=--json to lines
//
// In a terminal the table is redrawn in place, elsewhere it is printed again and again.
// Imports by path and no others: so this file can be loaded before programs that know nothing of this library.
import { parseArgs } from "node:util";
import { SO_COOKIE, TCP_INFO, type TcpInfo } from "../options/mod.ts";
import { listSockets, type SocketAddress, type SocketInfo } from "../socket/mod.ts";

const HELP = `Shows the sockets of the program that it runs in, once a second.

  --interval MS    milliseconds between two looks (default 1000)
  --count NUMBER   end after so many looks; 0 goes on (default 0)
  --json           print an object a look, on a line of its own
  --help           print this

Loaded before another program by --preload, it takes these from SOCKETS_MONITOR, and prints to stderr.`;

/** How many looks back the bars go. */
const HISTORY = 16;
const BARS = "▁▂▃▄▅▆▇█";
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: "icmp",
  6: "tcp",
  17: "udp",
  58: "icmp6",
  136: "udplite",
  262: "mptcp",
};

/** What is known of a socket from looking at it several times. */
interface Watched {
  readonly socket: SocketInfo;
  readonly info: TcpInfo | null;
  /** Bytes a second since the last look; null for sockets that do not count them. */
  readonly inRate: number | null;
  readonly outRate: number | null;
  /** Bytes a second in both directions, the latest last. */
  readonly history: readonly number[];
}

/** Looks at all sockets, and remembers what they had counted. */
class Watch {
  #before = new Map<bigint, { bytesIn: number; bytesOut: number; history: readonly number[] }>();
  #at = performance.now();

  look(): Watched[] {
    const now = performance.now();
    const seconds = (now - this.#at) / 1000;
    this.#at = now;
    const before = this.#before;
    this.#before = new Map();
    const watched: Watched[] = [];
    for (const socket of listSockets()) {
      try {
        const cookie = SO_COOKIE.get(socket);
        const info = socket.state === undefined || socket.state === "listen" ? null : TCP_INFO.get(socket);
        if (info === null) {
          watched.push({ socket, info, inRate: null, outRate: null, history: [] });
          continue;
        }
        const bytesIn = info.bytesReceived ?? 0;
        const bytesOut = info.bytesSent ?? info.bytesAcked ?? 0;
        const known = before.get(cookie);
        const inRate = known === undefined ? 0 : (bytesIn - known.bytesIn) / seconds;
        const outRate = known === undefined ? 0 : (bytesOut - known.bytesOut) / seconds;
        const history = [...known?.history ?? [], inRate + outRate].slice(-HISTORY);
        this.#before.set(cookie, { bytesIn, bytesOut, history });
        watched.push({ socket, info, inRate, outRate, history });
      } catch (error) {
        // It was closed since it was listed.
        if (!(error instanceof Deno.errors.BadResource)) throw error;
      }
    }
    return watched;
  }
}

function line({ socket, info, inRate, outRate }: Watched): Record<string, unknown> {
  const { fd, owner, family, type, protocol, state, localAddr, remoteAddr, receiveQueue, sendQueue } = socket;
  const tcp = info === null ? {} : { rtt: info.rtt, retransmits: info.totalRetransmits, inRate, outRate };
  return { fd, owner, family, type, protocol, state, localAddr, remoteAddr, receiveQueue, sendQueue, ...tcp };
}

const HEADS = [
  "FD",
  "SOCKET",
  "STATE",
  "LOCAL",
  "REMOTE",
  "RECV-Q",
  "SEND-Q",
  "RTT",
  "RETR",
  "IN/S",
  "OUT/S",
  "TRAFFIC",
];
/** Columns of numbers, which stand to the right. */
const NUMBERS: readonly number[] = [0, 5, 6, 7, 8, 9, 10];

/** The table as lines of text. */
function table(all: readonly Watched[]): string[] {
  const rows = all.map(({ socket, info, inRate, outRate, history }) => [
    String(socket.fd),
    kind(socket),
    socket.state ?? "",
    at(socket.localAddr),
    at(socket.remoteAddr),
    amount(socket.receiveQueue),
    amount(socket.sendQueue),
    info?.rtt === undefined ? "" : time(info.rtt),
    info?.totalRetransmits === undefined ? "" : String(info.totalRetransmits),
    inRate === null ? "" : amount(inRate),
    outRate === null ? "" : amount(outRate),
    bars(history),
  ]);
  const widths = HEADS.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]!.length)));
  const shown = (row: readonly string[]) =>
    row.map((cell, i) => NUMBERS.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)).join(" ").trimEnd();
  return [HEADS, ...rows].map(shown);
}

function kind({ family, type, protocol }: SocketInfo): string {
  if (family !== "inet" && family !== "inet6") return `${family} ${type}`;
  const name = type === "raw" ? `raw ${PROTOCOLS[protocol] ?? protocol}` : PROTOCOLS[protocol] ?? `${type} ${protocol}`;
  return family === "inet6" && !name.endsWith("6") ? `${name}6` : name;
}

function at(address: SocketAddress | null): string {
  if (address === null) return "-";
  if ("hostname" in address) {
    const { hostname, port } = address;
    return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
  }
  if ("path" in address) return address.path.replace(/^\0/, "@") || "-";
  const { family: _family, ...rest } = address;
  return Object.values(rest).join(":");
}

/** Bytes, in at most five characters. */
function amount(bytes: number): string {
  let unit = 0;
  while (bytes >= 9999.5 && unit < 4) {
    bytes /= 1000;
    unit++;
  }
  return `${Math.round(bytes)}${["", "k", "M", "G", "T"][unit]}`;
}

function time(microseconds: number): string {
  return microseconds < 1000
    ? `${microseconds}µs`
    : `${(microseconds / 1000).toFixed(microseconds < 100_000 ? 1 : 0)}ms`;
}

/** What was, beside the most of it. */
function bars(history: readonly number[]): string {
  const most = Math.max(...history, 1);
  return history.map((rate) => BARS[Math.ceil(rate / most * (BARS.length - 1))]).join("");
}

/** Prints looks, in place where that can be done. */
class Screen {
  readonly #json: boolean;
  readonly #out: typeof Deno.stdout | typeof Deno.stderr;
  /** Lines that stand on the terminal. */
  #drawn = 0;

  constructor(json: boolean, out: typeof Deno.stdout | typeof Deno.stderr) {
    this.#json = json;
    this.#out = out;
  }

  show(all: readonly Watched[]): void {
    const now = new Date();
    if (this.#json) return this.#write(`${JSON.stringify({ time: now, sockets: all.map(line) })}\n`);
    const title = `${now.toISOString().slice(11, 19)}  ${all.length} sockets of process ${Deno.pid}`;
    if (!this.#out.isTerminal()) return this.#write(`${[title, ...table(all)].join("\n")}\n\n`);
    const { columns, rows } = Deno.consoleSize();
    let lines = [title, ...table(all)];
    // What scrolled away could not be redrawn.
    if (lines.length >= rows) lines = [...lines.slice(0, rows - 2), `and ${lines.length - rows + 2} more`];
    const up = this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A`;
    this.#write(`${up}\r\x1b[J${lines.map((one) => one.slice(0, columns)).join("\n")}\n`);
    this.#drawn = lines.length;
  }

  #write(text: string): void {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += this.#out.writeSync(bytes.subarray(done));
  }
}

interface Flags {
  readonly interval: number;
  readonly count: number;
  readonly json: boolean;
  readonly help: boolean;
}

/** The flags; a TypeError says what is wrong with them. */
function flagsOf(args: string[]): Flags {
  const { values: { interval, count, json, help, ...others }, positionals } = parseArgs({
    args,
    options: {
      interval: { type: "string" },
      count: { type: "string" },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
    strict: false,
  });
  const unknown = Object.keys(others).map((name) => name.length === 1 ? `-${name}` : `--${name}`).concat(positionals);
  if (unknown.length > 0) throw new TypeError(`Unknown flag ${unknown[0]}; see --help`);
  return {
    interval: wholeNumber("--interval", interval ?? "1000", 10),
    count: wholeNumber("--count", count ?? "0", 0),
    json: json === true,
    help: help === true,
  };
}

function wholeNumber(flag: string, text: string | boolean, least: number): number {
  if (/^\d{1,9}$/.test(String(text)) && Number(text) >= least) return Number(text);
  throw new TypeError(`Wrong value "${text}" for ${flag}: it must be a whole number from ${least} to 999999999`);
}

/** A server and clients of all kinds, so that there is something to see. */
function play(): void {
  const here = { hostname: "127.0.0.1", port: 0, onListen() {} } as const;
  const server = Deno.serve(here, (request) => {
    if (request.headers.get("upgrade") === "websocket") {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onmessage = ({ data }) => socket.send(data);
      return response;
    }
    return new Response(new Uint8Array(Number(new URL(request.url).searchParams.get("bytes"))));
  });
  const { port } = server.addr;
  const again = (milliseconds: number, step: () => unknown) => setInterval(step, milliseconds);
  const client = Deno.createHttpClient({});
  let turn = 0;
  again(100, async () => {
    const bytes = Math.round(300_000 * (1 + Math.sin(turn++ / 10)));
    await (await fetch(`http://127.0.0.1:${port}/?bytes=${bytes}`, { client })).arrayBuffer();
  });
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  socket.onopen = () => again(50, () => socket.send("x".repeat(1000 * Math.random())));
  const udp = Deno.listenDatagram?.({ ...here, transport: "udp" });
  if (udp !== undefined) again(1000, () => udp.send(new Uint8Array(100), udp.addr));
}

/** Looks again and again, for as long as the program runs; it alone keeps no program running. */
function monitor(
  { interval, count, json }: Flags,
  out: typeof Deno.stdout | typeof Deno.stderr,
  end: (code: number) => void,
): void {
  const watch = new Watch();
  const screen = new Screen(json, out);
  let looks = 0;
  const look = () => {
    try {
      screen.show(watch.look());
    } catch (error) {
      // The program that is watched goes on without.
      clearInterval(timer);
      console.error(`No sockets are shown: ${(error as Error).message}`);
      return end(1);
    }
    if (++looks !== count) return;
    clearInterval(timer);
    end(0);
  };
  const timer = setInterval(look, interval);
  timer.unref();
}

/** What to do in a program of one's own. */
function main(): void {
  let flags: Flags;
  try {
    flags = flagsOf(Deno.args);
  } catch (error) {
    console.error((error as Error).message);
    Deno.exit(2);
  }
  if (flags.help) return console.log(HELP);
  play();
  monitor(flags, Deno.stdout, Deno.exit);
}

/** What to do in another's. */
function preloaded(): void {
  const allowed = Deno.permissions.querySync({ name: "env", variable: "SOCKETS_MONITOR" }).state === "granted";
  const args = allowed ? Deno.env.get("SOCKETS_MONITOR")?.split(" ").filter(Boolean) : undefined;
  try {
    monitor(flagsOf(args ?? []), Deno.stderr, () => {});
  } catch (error) {
    // The program that is watched goes on without.
    console.error(`No sockets are shown: SOCKETS_MONITOR: ${(error as Error).message}`);
  }
}

if (import.meta.main) main();
else preloaded();
