// A chat without a server: everybody who joins the group hears what everybody says. Without flags two members of this
// program chat over the loopback interface, so nothing leaves the machine; with a name you are a member, and so are others.
//
//   deno task example:chat
//   deno task example:chat --name alice                    in one terminal, and --name bob in another
//   deno task example:chat --name alice --interface all
//   deno task example:chat --name alice --group ff02::4321 --interface eth0
//
// Multicast promises nothing: what was lost is told when the next message of the same member shows that it is missing.
import { isMulticast, listenMulticast, type MulticastSocket } from "@berkeley/sockets/multicast";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";

const HELP = `A chat in a multicast group. Without flags: two members of its own, over loopback.

  --name NAME        your name; what you type is said to all, until the end of the input
  --group ADDRESS    the group, IPv4 or IPv6 (default 239.0.0.2)
  --port PORT        its port (default 54323)
  --interface WHICH  name, index or address of an interface, or "all" (default 127.0.0.1; IPv6 has no default)
  --hops COUNT       how far messages go: 0 this machine, 1 this network, more by routers (default 1)
  --help             print this`;

/** Characters of a message that are sent, so that it fits into a datagram that no network splits. */
const LONGEST = 250;
/** Members whose messages are counted at the same time. */
const MEMBERS = 1000;

const flags = parseArgs(Deno.args, {
  boolean: ["help"],
  string: ["name", "group", "port", "interface", "hops"],
  unknown: unknownFlag,
});
if (flags.name !== undefined && plain(flags.name) === "") quit("Give --name a name; see --help");
const group = flags.group ?? "239.0.0.2";
const port = wholeNumber("--port", flags.port, 1, 65535) ?? 54323;
const hopLimit = wholeNumber("--hops", flags.hops, 0, 255);
const chosen = flags.interface ??
  (group.includes(":") ? quit("Give --interface for an IPv6 group; see --help") : "127.0.0.1");

/** What is sent: who says it, and the how manieth it is of that member's. */
interface Message {
  readonly id: string;
  readonly number: number;
  readonly name: string;
  readonly kind: "join" | "say" | "leave";
  readonly text: string;
}

/** Text without what would take over a terminal; others may send anything. */
function plain(text: string): string {
  return text.replace(/\p{C}/gu, "").slice(0, LONGEST).trim();
}

/** The message in a datagram; null for what is none. */
function read(data: Uint8Array): Message | null {
  try {
    const { id, number, name, kind, text } = JSON.parse(new TextDecoder().decode(data));
    if (typeof id !== "string" || !Number.isInteger(number) || !["join", "say", "leave"].includes(kind)) return null;
    return { id: plain(id), number, name: plain(String(name)), kind, text: plain(String(text)) };
  } catch {
    return null;
  }
}

/** A member of the chat. */
class Member implements Disposable {
  readonly #id = crypto.randomUUID();
  readonly #name: string;
  readonly #socket: MulticastSocket;
  /** The last number heard of each other member. */
  readonly #others = new Map<string, number>();
  #number = 0;

  private constructor(name: string, socket: MulticastSocket) {
    this.#name = name;
    this.#socket = socket;
  }

  /** Joins, and tells the others. */
  static async join(name: string): Promise<Member> {
    const networkInterface = chosen === "all" ? { all: true as const } : /^\d+$/.test(chosen) ? Number(chosen) : chosen;
    const socket = await listenMulticast({
      group,
      port,
      interface: networkInterface,
      ...(hopLimit !== undefined && { multicast: { hopLimit } }),
    });
    const member = new Member(name, socket);
    console.log(`* ${name} is in group ${group}, port ${port}, on ${socket.membership.interfaces.join(", ")}`);
    await member.#send("join", "");
    return member;
  }

  async say(text: string): Promise<void> {
    if (plain(text) !== "") await this.#send("say", plain(text));
  }

  async leave(): Promise<void> {
    await this.#send("leave", "");
  }

  async #send(kind: Message["kind"], text: string): Promise<void> {
    const message: Message = { id: this.#id, number: this.#number++, name: this.#name, kind, text };
    await this.#socket.sendToGroup(new TextEncoder().encode(JSON.stringify(message)));
  }

  /** What the others say, a line for each message, until the socket is closed. */
  async *hear(): AsyncIterableIterator<string> {
    for await (const [data] of this.#socket) {
      const message = read(data);
      // What it says itself is heard by others on this machine, and so by itself.
      if (message === null || message.id === this.#id) continue;
      const { id, number, name, kind, text } = message;
      const last = this.#others.get(id);
      // It came by another interface already, or late.
      if (last !== undefined && number <= last) continue;
      if (last !== undefined && number > last + 1) yield `* ${number - last - 1} of ${name}'s messages were lost`;
      this.#others.set(id, number);
      if (this.#others.size > MEMBERS) this.#others.delete(this.#others.keys().next().value!);
      yield kind === "join" ? `* ${name} joined` : kind === "leave" ? `* ${name} left` : `${name}: ${text}`;
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/** The lines that are typed. */
async function* typed(): AsyncIterableIterator<string> {
  let rest = "";
  for await (const part of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + part).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  yield rest;
}

/** Chats as one member. */
async function chat(name: string): Promise<void> {
  using member = await Member.join(name);
  const showing = (async () => {
    for await (const line of member.hear()) console.log(line);
  })();
  const leave = async () => {
    await member.leave();
    member[Symbol.dispose]();
  };
  Deno.addSignalListener("SIGINT", () => leave().finally(() => Deno.exit(0)));
  for await (const line of typed()) await member.say(line);
  await leave();
  await showing;
}

/** Two members say something each, and hear each other. */
async function demonstrate(): Promise<void> {
  using alice = await Member.join("alice");
  using bob = await Member.join("bob");
  const [toAlice, toBob] = [alice.hear(), bob.hear()];
  const show = async (who: string, from: AsyncIterableIterator<string>) => {
    const late = setTimeout(() => quit("Nothing was heard", 1), 2_500);
    const { value } = await from.next();
    clearTimeout(late);
    console.log(`${who} hears  ${value}`);
  };
  await show("alice", toAlice);
  await alice.say("hello, bob");
  await show("bob  ", toBob);
  await bob.say("hello, alice");
  await show("alice", toAlice);
  await bob.leave();
  await show("alice", toAlice);
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (!isMulticast(group)) quit(`Wrong value "${group}" for --group: it must be in 224.0.0.0/4 or ff00::/8`);
  if (flags.name === undefined) await demonstrate();
  else await chat(plain(flags.name));
}

await main().catch((error) => quit(error.message, 1));
