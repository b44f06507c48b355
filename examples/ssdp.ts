// SSDP: devices of the local network, found by multicast (UPnP Device Architecture, section 1). Without flags a device and
// one that looks for it are this program, over the loopback interface, so nothing leaves the machine; with flags it talks
// to all that do the same: televisions, routers, media servers.
//
//   deno task example:ssdp
//   deno task example:ssdp --search ssdp:all                               in one terminal, and in another
//   deno task example:ssdp --serve urn:schemas-upnp-org:device:Basic:1 --location http://192.0.2.1:8080/device.xml
//
// It needs --allow-ffi: by which interface a message came is not told without.
import { listenMulticast, type MulticastSocket, networkInterfaces } from "@berkeley/sockets/multicast";
import { bindUdp, type Datagram } from "@berkeley/sockets/udp";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";
import { type SendingInterface, sendingInterfaces } from "./sending_interfaces.ts";

const HELP = `Finds devices by SSDP, and lets one be found. Without flags: both, over loopback.

  --search TARGET    look for devices: "ssdp:all", "upnp:rootdevice", "uuid:...", or a type, "urn:..."
  --serve TYPE       be a device of a type, until Ctrl-C, or for --timeout seconds
  --location URL     where its description is (default http://127.0.0.1:8080/device.xml)
  --uuid UUID        what tells it from others (default: one made up)
  --interface WHICH  name of an interface, or all; those that appear later too for --serve (default all)
  --count COUNT      end --search after so many answers; fewer are a failure
  --timeout SECONDS  time for answers, or of service (default: 3 for --search, else no end)
  --help             print this`;

const GROUPS = ["239.255.255.250", "ff02::c"];
const PORT = 1900;
/** Routers that a group of a larger network may pass. */
const HOP_LIMIT = 2;
/** Seconds within which devices shall answer, each when it likes, so that not all do at once. */
const MX = 1;
/** Milliseconds after which a message is sent once more. */
const AGAIN = 400;
/** Seconds that an announcement holds. */
const MAX_AGE = 1_800;

const flags = parseArgs(Deno.args, {
  boolean: ["help"],
  string: ["search", "serve", "location", "uuid", "interface", "count", "timeout"],
  unknown: unknownFlag,
});
if (flags.search !== undefined && flags.serve !== undefined) quit("Give --search or --serve, not both; see --help");
if (flags.interface === "") quit("Give --interface a name; see --help");
const search = matching("--search", flags.search, /^(ssdp|upnp|uuid|urn):\S+$/, "such as ssdp:all or urn:...");
const type = matching("--serve", flags.serve, /^urn:\S+$/, "a type, urn:...") ?? "urn:schemas-upnp-org:device:Basic:1";
const uuid = matching("--uuid", flags.uuid, /^[0-9a-f-]{36}$/i, "a UUID") ?? crypto.randomUUID();
const location = matching("--location", flags.location, /^http:\/\/\S+$/, "an http URL") ??
  "http://127.0.0.1:8080/device.xml";
const chosen: string = flags.interface ?? "all";
const count = wholeNumber("--count", flags.count, 1, 1_000_000);
const timeout = wholeNumber("--timeout", flags.timeout, 1, 1_000_000);

/** The interfaces among those asked for that can send to a group. */
function interfacesOf(group: string, where: string): SendingInterface[] {
  return sendingInterfaces(group).filter(({ name }) => where === "all" || name === where);
}

/** The groups that one of the interfaces asked for can send to. */
function groupsOf(where: string): string[] {
  const groups = GROUPS.filter((group) => interfacesOf(group, where).length > 0);
  if (groups.length > 0) return groups;
  const which = where === "all" ? "No interface" : `No interface "${where}"`;
  throw new Error(`${which} is up with an address to send to ${GROUPS.join(" or ")} from`);
}

function hostOf(group: string): string {
  return group.includes(":") ? `[${group}]:${PORT}` : `${group}:${PORT}`;
}

type Fields = Readonly<Record<string, string>>;

/** A message: a line that says what it is, and fields, as in HTTP. */
function encode(first: string, fields: Fields): Uint8Array<ArrayBuffer> {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return new TextEncoder().encode(`${first}\r\n${lines.join("")}\r\n`);
}

function decode(data: Uint8Array): { first: string; fields: Fields } {
  const [first, ...lines] = new TextDecoder().decode(data).split(/\r?\n/);
  const fields = lines.flatMap((line) => {
    const [name, ...value] = line.split(":");
    return value.length === 0 ? [] : [[name!.toUpperCase(), value.join(":").trim()] as const];
  });
  return { first: first!, fields: Object.fromEntries(fields) };
}

/** Asks by every interface, over both families, and prints who answers; tells how many did. */
async function find(target: string, where: string, signal: AbortSignal, count = Infinity): Promise<number> {
  const enough = new AbortController();
  const end = AbortSignal.any([signal, enough.signal]);
  const answers = new Set<string>();
  await Promise.all(groupsOf(where).flatMap((group) => interfacesOf(group, where).map((one) => ask(group, one))));
  return answers.size;

  async function ask(group: string, { name, index }: SendingInterface): Promise<void> {
    // The answers come to the port that asked.
    using socket = bindUdp({
      hostname: group.includes(":") ? "::" : "0.0.0.0",
      multicast: { interface: index, hopLimit: HOP_LIMIT },
      signal: end,
    });
    const request = { HOST: hostOf(group), MAN: '"ssdp:discover"', MX: `${MX}`, ST: target };
    // An interface that goes down meanwhile is no matter of the others.
    const send = () =>
      socket.send(encode("M-SEARCH * HTTP/1.1", request), { hostname: group, port: PORT })
        .catch((error) => console.error(`${name}: ${error.message}`));
    await send();
    // Once more, as the first may be lost.
    const again = setTimeout(send, AGAIN);
    end.addEventListener("abort", () => clearTimeout(again));
    for await (const [data, { hostname }] of socket) {
      const { first, fields } = decode(data);
      const answer = `${fields.USN} at ${fields.LOCATION} from ${hostname} on ${name}`;
      const asked = fields.ST !== undefined && (target === "ssdp:all" || target === fields.ST);
      if (!/^HTTP\/1\.\d 200\b/.test(first) || !asked || answers.has(answer)) continue;
      answers.add(answer);
      // Anybody may send anything, and terminals obey control characters.
      console.log(`found ${answer.replaceAll(/\p{Cc}/gu, "?")}`);
      if (answers.size === count) enough.abort();
    }
  }
}

/** A device that is found: it announces itself, answers who asks for it, and says goodbye. */
class Device implements Disposable {
  readonly #sockets: readonly MulticastSocket[];
  /** All names under which it is found. */
  readonly #targets = ["upnp:rootdevice", `uuid:${uuid}`, type];

  private constructor(sockets: readonly MulticastSocket[]) {
    this.#sockets = sockets;
    for (const socket of sockets) this.#serve(socket);
  }

  static async open(where: string): Promise<Device> {
    return new Device(
      await Promise.all(
        groupsOf(where).map((group) =>
          listenMulticast({
            group,
            port: PORT,
            interface: where === "all" ? { all: true } : where,
            multicast: { hopLimit: HOP_LIMIT },
          })
        ),
      ),
    );
  }

  /** Says that it is there ("ssdp:alive"), or that it goes ("ssdp:byebye"), by every interface and under every name. */
  async notify(state: "ssdp:alive" | "ssdp:byebye"): Promise<void> {
    const more: Fields = state === "ssdp:byebye" ? {} : { ...this.#description() };
    for (const socket of this.#sockets) {
      const { group } = socket.membership;
      const interfaces = sendingInterfaces(group).filter(({ name }) => socket.membership.interfaces.includes(name));
      for (const NT of this.#targets) {
        const data = encode("NOTIFY * HTTP/1.1", { HOST: hostOf(group), NT, NTS: state, USN: this.#usn(NT), ...more });
        for (const { name, index } of interfaces) {
          await socket.sendToGroup(data, { interface: index })
            .catch((error) => console.error(`${name}: ${error.message}`));
        }
      }
    }
  }

  #usn(target: string): string {
    return target.startsWith("uuid:") ? target : `uuid:${uuid}::${target}`;
  }

  #description(): Fields {
    return { "CACHE-CONTROL": `max-age=${MAX_AGE}`, LOCATION: location, SERVER: `${Deno.build.os} UPnP/1.0 Deno/1.0` };
  }

  async #serve(socket: MulticastSocket): Promise<void> {
    for await (const datagram of socket.messages()) {
      const { first, fields } = decode(datagram.data);
      if (!first.startsWith("M-SEARCH * ") || fields.MAN !== '"ssdp:discover"') continue;
      const wanted = this.#targets.filter((target) => fields.ST === "ssdp:all" || fields.ST === target);
      // To be answered at once by all is what nobody may ask.
      if (wanted.length === 0 || !/^[1-9]\d*$/.test(fields.MX ?? "")) continue;
      const wait = 1_000 * Math.min(Number(fields.MX), 5) * Math.random();
      setTimeout(() => this.#answer(socket, datagram, wanted), wait);
    }
  }

  async #answer(
    socket: MulticastSocket,
    asked: Datagram<"localAddr" | "interfaceIndex">,
    targets: readonly string[],
  ): Promise<void> {
    for (const ST of targets) {
      const data = encode("HTTP/1.1 200 OK", { ...this.#description(), EXT: "", ST, USN: this.#usn(ST) });
      await socket.reply(asked, data).catch((error) => console.error(error.message));
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket[Symbol.dispose]();
  }
}

async function serve(where: string, signal: AbortSignal): Promise<void> {
  using device = await Device.open(where);
  await device.notify("ssdp:alive");
  console.log(`serving ${type} as uuid:${uuid}`);
  // Once more, as the first may be lost, and again well before it is over.
  const soon = setTimeout(() => device.notify("ssdp:alive"), AGAIN);
  const later = setInterval(() => device.notify("ssdp:alive"), 1_000 * MAX_AGE / 3);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  clearTimeout(soon);
  clearInterval(later);
  await device.notify("ssdp:byebye");
  console.log("said goodbye");
}

/** Aborted by Ctrl-C, or when the time is over. */
function untilEnd(seconds?: number): AbortSignal {
  const interrupt = new AbortController();
  Deno.addSignalListener("SIGINT", () => interrupt.abort());
  if (seconds === undefined) return interrupt.signal;
  return AbortSignal.any([interrupt.signal, AbortSignal.timeout(1_000 * seconds)]);
}

function matching(flag: string, text: string | undefined, pattern: RegExp, what: string): string | undefined {
  if (text === undefined || pattern.test(text)) return text;
  quit(`Wrong value "${text}" for ${flag}: it must be ${what}`);
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (flags.serve !== undefined) return await serve(chosen, untilEnd(timeout));
  if (search !== undefined) {
    const found = await find(search, chosen, untilEnd(timeout ?? 3), count);
    if (count !== undefined && found < count) quit(`Only ${found} of ${count} answers came`, 1);
    return console.log(`${found} answered`);
  }
  const loopback = networkInterfaces().find((one) => one.loopback)?.name ?? quit("There is no loopback interface", 1);
  const over = new AbortController();
  const served = serve(loopback, over.signal);
  const found = await find(`uuid:${uuid}`, loopback, AbortSignal.timeout(5_000), 1);
  over.abort();
  await served;
  if (found === 0) quit("The device was not found", 1);
}

// Whoever waits for Ctrl-C does not end by itself.
await main().then(() => Deno.exit(), (error) => quit(error.message, 1));
