// Multicast DNS: services of the local network, announced and found without any server (RFC 6762, RFC 6763). Without flags
// an announcer and a browser are this program, over the loopback interface, so nothing leaves the machine; with flags it
// talks to all that do the same: Avahi, Bonjour, printers, televisions.
//
//   deno task example:mdns
//   deno task example:mdns --browse _http._tcp                             in one terminal, and in another
//   deno task example:mdns --announce "My page" --type _http._tcp --port 8080 --txt path=/
//
// Both sides of the protocol are in mdns_peers.ts, their sockets in mdns_link.ts. It needs --allow-ffi: by which interface
// a message came is not told without.
import { networkInterfaces } from "@berkeley/sockets/multicast";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";
import { Link } from "./mdns_link.ts";
import { Announcer, Browser, type Found } from "./mdns_peers.ts";

const HELP = `Announces and finds services by multicast DNS. Without flags: both, over loopback.

  --browse TYPE      print the services of a type as they come and go, such as _http._tcp
  --announce NAME    announce a service until Ctrl-C, or for --timeout seconds
  --type TYPE        its type (default _http._tcp)
  --port PORT        its port (default 8080)
  --txt KEY=VALUE    what else is to be known of it; may be given several times
  --interface WHICH  name of an interface, or all, those that appear later too (default all)
  --count COUNT      end --browse after so many services; to find fewer is a failure
  --timeout SECONDS  end after so long (default: never)
  --help             print this`;

const flags = parseArgs(Deno.args, {
  boolean: ["help"],
  string: ["browse", "announce", "type", "port", "txt", "interface", "count", "timeout"],
  collect: ["txt"],
  unknown: unknownFlag,
});
if (flags.browse !== undefined && flags.announce !== undefined) {
  quit("Give --browse or --announce, not both; see --help");
}
if (flags.interface === "") quit("Give --interface a name; see --help");
const browse = typeOf("--browse", flags.browse);
const service = {
  name: labelOf("--announce", flags.announce) ?? `Demo ${Deno.pid}`,
  type: typeOf("--type", flags.type) ?? "_http._tcp",
  port: wholeNumber("--port", flags.port, 1, 65535) ?? 8080,
  txt: flags.txt.map((text: string) => pairOf("--txt", text)),
};
const chosen: string = flags.interface ?? "all";
const where = chosen === "all" ? { all: true } as const : chosen;
const count = wholeNumber("--count", flags.count, 1, 1_000_000);
const timeout = wholeNumber("--timeout", flags.timeout, 1, 1_000_000);

/** Aborted by Ctrl-C, or when the time is over. */
function untilEnd(): AbortSignal {
  const interrupt = new AbortController();
  Deno.addSignalListener("SIGINT", () => interrupt.abort());
  if (timeout === undefined) return interrupt.signal;
  return AbortSignal.any([interrupt.signal, AbortSignal.timeout(1_000 * timeout)]);
}

function print(what: string, { name, interface: where, host, port, addresses, txt }: Found): void {
  const line = `${what} "${name}" on ${where}: ${[`${host}:${port}`, ...addresses, ...txt].join(" ")}`;
  // Anybody may send anything, and terminals obey control characters.
  console.log(line.replaceAll(/\p{Cc}/gu, "?"));
}

/** Prints services until so many are found; tells how many were. */
async function find(link: Link, type: string, signal: AbortSignal, count = Infinity): Promise<number> {
  let found = 0;
  const enough = new AbortController();
  const browser = new Browser(link, type, (what, service) => {
    print(what, service);
    if (what === "found" && ++found === count) enough.abort();
  });
  await browser.run(AbortSignal.any([signal, enough.signal]));
  return found;
}

async function announce(link: Link, signal: AbortSignal): Promise<void> {
  const announcer = new Announcer(link, service);
  const name = await announcer.start(signal);
  if (name === null) return;
  console.log(`announced "${name}" as ${service.type}, port ${service.port}`);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  await announcer.stop();
  console.log("said goodbye");
}

/** The whole story on one machine: a service comes, is found, and goes. */
async function demonstrate(): Promise<void> {
  const loopback = networkInterfaces().find((one) => one.loopback)?.name ?? quit("There is no loopback interface", 1);
  using ours = await Link.open(loopback);
  using theirs = await Link.open(loopback);
  const over = new AbortController();
  const gone = new AbortController();
  const { name } = service;
  const browser = new Browser(theirs, service.type, (what, service) => {
    if (service.name !== name) return;
    print(what, service);
    (what === "lost" ? gone : over).abort();
  });
  const announcing = announce(ours, over.signal);
  await browser.run(AbortSignal.any([gone.signal, AbortSignal.timeout(10_000)]));
  over.abort();
  await announcing;
  if (!gone.signal.aborted) quit("The service was not found and lost", 1);
}

function typeOf(flag: string, text: string | undefined): string | undefined {
  if (text === undefined || /^_[a-z0-9-]{1,15}\._(tcp|udp)$/i.test(text)) return text;
  quit(`Wrong value "${text}" for ${flag}: it must be a type such as _http._tcp`);
}

function labelOf(flag: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const { length } = new TextEncoder().encode(text);
  if (length >= 1 && length <= 58 && !text.includes(".")) return text;
  quit(`Wrong value "${text}" for ${flag}: it must be 1 to 58 bytes without a dot`);
}

function pairOf(flag: string, text: string): string {
  if (/^[^=]+=/.test(text) && new TextEncoder().encode(text).length <= 255) return text;
  quit(`Wrong value "${text}" for ${flag}: it must be KEY=VALUE, 255 bytes at most`);
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (browse === undefined && flags.announce === undefined) return await demonstrate();
  using link = await Link.open(where);
  const signal = untilEnd();
  if (browse === undefined) return await announce(link, signal);
  console.log(`looking for ${browse}`);
  const found = await find(link, browse, signal, count);
  if (count !== undefined && found < count) quit(`Only ${found} of ${count} services were found`, 1);
}

// Whoever waits for Ctrl-C does not end by itself.
await main().then(() => Deno.exit(), (error) => quit(error.message, 1));
