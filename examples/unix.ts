// Unix sockets of packets: the server knows from the kernel who its client is, and gets an open file from it, which it
// reads without a right to its path. Without flags server and client are this program; with flags either may be another.
//
//   deno task example:unix
//   deno task example:unix --listen /tmp/reader            in one terminal, and in another
//   deno task example:unix --connect /tmp/reader --file LICENSE
import { closeSync, openSync } from "node:fs";
import { basename } from "node:path";
import { type PeerCredentials, SO_PASSCRED, SO_PEERCRED } from "@berkeley/sockets/options";
import { type IncomingMessage, type OwnedDescriptor, Socket } from "@berkeley/sockets/socket";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag } from "./flags.ts";

const HELP =
  `Hands an open file to a server that tells how it begins, over a unix socket of packets. Without flags: both.

  --listen PATH    serve at PATH, until it is stopped; "@name" is an abstract name, which is no file
  --connect PATH   hand a file to the server at PATH
  --file FILE      the file (default: this program)
  --help           print this`;

const flags = parseArgs(Deno.args, {
  boolean: ["help"],
  string: ["listen", "connect", "file"],
  unknown: unknownFlag,
});
if (flags.listen !== undefined && flags.connect !== undefined) quit("Give --listen or --connect, not both; see --help");
for (const flag of ["listen", "connect", "file"] as const) if (flags[flag] === "") quit(`Give --${flag} a path`);

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** No more of a file is read: it may have no end. */
const MOST = 2 ** 24;
/** No more of a line is told: the answer is one packet. */
const MOST_TOLD = 200;

/** Opens the socket that waits for clients; of a path only the own user may come. */
function listenOn(path: string): Socket<"unix"> {
  const listener = Socket.open("unix", "seqpacket");
  listener.bind(addressOf(path), path.startsWith("@") ? {} : { mode: 0o600, unlinkOnClose: true });
  SO_PASSCRED.set(listener, true); // what is accepted inherits it
  listener.listen();
  console.log(`listening on ${path}`);
  return listener;
}

/** Serves all who come, until the listener is closed. */
async function serve(listener: Socket<"unix">): Promise<void> {
  for await (const client of listener) {
    answer(client).catch((error) => console.log(`a client is gone: ${error.message}`));
  }
}

/** Answers each packet of a client. */
async function answer(client: Socket<"unix">): Promise<void> {
  using socket = client;
  console.log(`connected by ${who(SO_PEERCRED.get(socket))}`);
  for (;;) {
    const message = await socket.receiveMessage();
    const descriptors = descriptorsOf(message);
    try {
      if (message.byteLength === 0) return;
      for (const one of message.control) if (one.name === "SCM_CREDENTIALS") console.log(`a packet of ${who(one)}`);
      const name = decoder.decode(message.data);
      const answers = descriptors.map(({ fd }) => tell(name, fd));
      if (answers.length === 0) answers.push(`${name}: no file came with it`);
      for (const one of answers) console.log(one);
      await socket.send(encoder.encode(answers.join("\n")));
    } finally {
      for (const descriptor of descriptors) descriptor.close();
    }
  }
}

/** The descriptors that came with a message, which are ours to close. */
function descriptorsOf(message: IncomingMessage<"unix">): OwnedDescriptor[] {
  // What is received is owned; only what is sent may be a plain number.
  return message.control.flatMap((one) => one.name === "SCM_RIGHTS" ? one.descriptors as OwnedDescriptor[] : []);
}

/** What is in an open file. */
function tell(name: string, fd: number): string {
  const text = readText(fd);
  const lines = text.split("\n");
  const first = lines[0]!;
  const begin = first.length > MOST_TOLD ? `${first.slice(0, MOST_TOLD)}...` : first;
  return `${name}: ${text.length} characters, ${lines.length - 1} ends of lines, begins ${JSON.stringify(begin)}`;
}

/** Reads an open file by pread(2): Deno has files by their paths alone. What might block, as a pipe, pread refuses. */
function readText(fd: number): string {
  const c = Deno.dlopen("libc.so.6", { pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" } });
  const chunk = new Uint8Array(65_536);
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (let at = 0; at < MOST;) {
      const count = Number(c.symbols.pread(fd, chunk, BigInt(chunk.byteLength), BigInt(at)));
      if (count < 0) throw new Error("it handed over what is no file that can be read");
      if (count === 0) break;
      text += decoder.decode(chunk.subarray(0, count), { stream: true });
      at += count;
    }
  } finally {
    c.close();
  }
  return text + decoder.decode();
}

/** Opens a file, hands it over, and prints what the server says. */
async function deliver(path: string, file: string): Promise<void> {
  using socket = Socket.open("unix", "seqpacket");
  await socket.connect(addressOf(path));
  // Of node, as Deno's files tell no number.
  const fd = openSync(file, "r");
  try {
    await socket.sendMessage({
      data: encoder.encode(basename(file)),
      control: [{ name: "SCM_RIGHTS", descriptors: [fd] }],
    });
  } finally {
    // The packet has a descriptor of its own.
    closeSync(fd);
  }
  console.log(`handed ${file} to ${who(SO_PEERCRED.get(socket))}`);
  const said = await socket.receive(undefined, { signal: AbortSignal.timeout(5_000) });
  if (said.byteLength === 0) throw new Error("the server closed without an answer");
  console.log(`answer: ${decoder.decode(said)}`);
}

/** "@name" is how tools write the abstract name that begins with a NUL. */
function addressOf(path: string): { path: string } {
  return { path: path.replace(/^@/, "\0") };
}

function who({ pid, uid, gid }: PeerCredentials): string {
  return `process ${pid} of user ${uid} and group ${gid}`;
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  const file = flags.file ?? import.meta.filename!;
  if (flags.connect !== undefined) return await deliver(flags.connect, file);
  const path = flags.listen ?? `@example-${crypto.randomUUID()}`;
  using listener = listenOn(path);
  if (flags.listen !== undefined) {
    const stop = () => {
      listener[Symbol.dispose](); // the path goes with it
      Deno.exit();
    };
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
    return await serve(listener);
  }
  const served = serve(listener);
  await deliver(path, file);
  listener.close();
  await served;
}

await main().catch((error) => quit(error.message, 1));
