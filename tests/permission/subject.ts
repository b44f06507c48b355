// Puts the same questions to Deno's own calls and to internal/permission.ts, under whatever flags it is run with.
// Started by tests/permission_test.ts, which has the table; questions in the first argument, answers on stdout.
import {
  checkDestination,
  checkNet,
  checkResolved,
  checkUnix,
  checkUnixDestination,
  checkVsock,
} from "../../internal/permission.ts";

/** A question: the call, and the place. */
export type Question =
  | readonly [call: "connect" | "listen" | "datagram" | "send", hostname: string, port: number]
  | readonly [call: "vsock connect", cid: number, port: number]
  | readonly [call: "vsock listen", cid: number, port: number]
  | readonly [call: "unix connect" | "unix listen" | "unix datagram" | "unix send", path: string];

/** What Deno says, and what the library says: "granted", "malformed", or the words of the refusal. */
export type Answer = readonly [deno: string, ours: string];

/** What names resolve to without asking anybody; Deno.connect may try all, the others take the first. */
const RESOLVED: Readonly<Record<string, readonly string[]>> = { "127.1": ["127.0.0.1"], "2130706433": ["127.0.0.1"] };

async function answer(call: () => unknown): Promise<string> {
  try {
    await call();
    return "granted";
  } catch (error) {
    if (error instanceof URIError || error instanceof SyntaxError) return "malformed";
    // A refusal by the kernel comes after the grant.
    return error instanceof Deno.errors.NotCapable ? error.message.replace(/^Asking: /, "") : "granted";
  }
}

/** A socket to send from, in the working directory; a set of flags with sends must let it be. */
function unixSender(): Deno.DatagramConn {
  try {
    const socket = Deno.listenDatagram({ transport: "unixpacket", path: "sender" });
    Deno.removeSync("sender");
    return socket;
  } catch (error) {
    console.error("the flags do not even let a sender be:", error);
    Deno.exit(1);
  }
}

async function deno(question: Question): Promise<void> {
  if (question[0] === "vsock connect" || question[0] === "vsock listen") {
    const [call, cid, port] = question;
    if (call === "vsock connect") (await Deno.connect({ transport: "vsock", cid, port })).close();
    else Deno.listen({ transport: "vsock", cid, port }).close();
    return;
  }
  const [call, where, port = 0] = question;
  if (call === "connect") (await Deno.connect({ hostname: where, port })).close();
  if (call === "listen") Deno.listen({ hostname: where, port }).close();
  if (call === "datagram") Deno.listenDatagram({ transport: "udp", hostname: where, port }).close();
  if (call === "send") {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    await sendFrom(socket, { transport: "udp", hostname: where, port });
  }
  if (call === "unix connect") (await Deno.connect({ transport: "unix", path: where })).close();
  if (call === "unix listen") Deno.listen({ transport: "unix", path: where }).close();
  if (call === "unix datagram") Deno.listenDatagram({ transport: "unixpacket", path: where }).close();
  if (call === "unix send") await sendFrom(unixSender(), { transport: "unixpacket", path: where });
}

async function sendFrom(socket: Deno.DatagramConn, to: Deno.Addr): Promise<void> {
  try {
    await socket.send(new Uint8Array(1), to);
  } finally {
    socket.close();
  }
}

function ours(question: Question): void {
  if (question[0] === "vsock connect" || question[0] === "vsock listen") {
    return checkVsock(question[1], question[2], "Asking");
  }
  const [call, where, port = 0] = question;
  if (call === "unix send") checkUnixDestination(where, "Asking");
  else if (call.startsWith("unix")) checkUnix(where, "Asking");
  else {
    if (call === "send") checkDestination(`${where} ${port}`, where, port, "Asking");
    else checkNet(where, port, "Asking");
    for (const address of RESOLVED[where] ?? []) checkResolved(address, port, "Asking");
  }
}

if (import.meta.main) {
  const answers: Answer[] = [];
  for (const question of JSON.parse(Deno.args[0]!) as Question[]) {
    // Ours first: where Deno's call changes something, it comes too late for it.
    const first = await answer(() => ours(question));
    answers.push([await answer(() => deno(question)), first]);
  }
  console.log(JSON.stringify(answers));
}
