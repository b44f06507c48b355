// TCP: an echo server and a client whose sockets are tuned, and what the kernel then has. Without flags both are this
// program, over the loopback interface; with flags it talks to any other program.
//
//   deno task example:tcp
//   deno task example:tcp --listen                         in one terminal, and in another
//   deno task example:tcp --connect 127.0.0.1 --message hello --message goodbye
//
// Without --allow-ffi it runs too, tuned as far as Deno itself can.
import { TCP_INFO } from "@berkeley/sockets/options";
import { connectTcp, listenTcp, type TcpListener, type TcpOptions, tuneTcp } from "@berkeley/sockets/tcp";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";

const HELP = `An echo server and its client, both tuned. Without flags: the two over loopback.

  --listen         serve on --host and --port
  --connect HOST   connect to HOST and --port, send each --message and wait for its echo
  --host ADDRESS   address to serve on (default 127.0.0.1)
  --port PORT      port (default 7777); 0 serves on any that is free
  --message TEXT   what to send; may be given several times (default: hello)
  --idle MS        milliseconds without traffic before the peer is probed (default 30000)
  --interval MS    milliseconds between probes (default 10000)
  --probes COUNT   probes without an answer before the connection is dropped (default 3)
  --dscp NUMBER    traffic class, 0 to 63 (default 0)
  --help           print this`;

const flags = parseArgs(Deno.args, {
  boolean: ["help", "listen"],
  string: ["connect", "host", "port", "message", "idle", "interval", "probes", "dscp"],
  collect: ["message"],
  unknown: unknownFlag,
});
if (flags.listen && flags.connect !== undefined) quit("Give --listen or --connect, not both; see --help");
if (flags.message.includes("")) quit("Give --message a text; see --help");
const host = flags.host ?? "127.0.0.1";
const port = wholeNumber("--port", flags.port, 0, 65535);
const messages: string[] = flags.message.length > 0 ? flags.message : ["hello"];
const idle = wholeNumber("--idle", flags.idle, 1, 32_767_000) ?? 30_000;
const interval = wholeNumber("--interval", flags.interval, 1, 32_767_000) ?? 10_000;
const probes = wholeNumber("--probes", flags.probes, 1, 127) ?? 3;
const dscp = wholeNumber("--dscp", flags.dscp, 0, 63) ?? 0;

const ffi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
const tuning: TcpOptions = ffi
  ? { noDelay: true, keepAlive: { idle, interval, count: probes }, dscp }
  : { noDelay: true, keepAlive: true };

/** Echoes what each connection sends, until the listener is closed. */
async function serve(listener: TcpListener): Promise<void> {
  console.log(`listening on ${at(listener.addr)}`);
  for await (const conn of listener) {
    console.log(`${at(conn.remoteAddr)} connected`);
    show("server", conn);
    conn.readable.pipeTo(conn.writable).catch((error) => console.error(`${at(conn.remoteAddr)}: ${error.message}`));
  }
}

/** Sends each message and waits for its echo. */
async function talk(hostname: string, port: number): Promise<void> {
  using conn = await connectTcp({ hostname, port, timeout: 5_000, ...tuning });
  const writer = conn.writable.getWriter();
  const reader = conn.readable.getReader({ mode: "byob" });
  for (const message of messages) {
    const bytes = new TextEncoder().encode(message);
    await writer.write(bytes);
    const { value, done } = await reader.read(new Uint8Array(bytes.length), { min: bytes.length });
    if (done) quit(`The peer closed the connection before its echo of "${message}"`, 1);
    console.log(`sent "${message}", echo "${new TextDecoder().decode(value)}"`);
  }
  show("client", conn);
}

/** Prints what the kernel has. */
function show(who: string, conn: Deno.TcpConn): void {
  if (!ffi) return;
  console.log(`${who}:`, tuneTcp(conn, {}));
  if (!TCP_INFO.supported) return;
  const { state, rtt } = TCP_INFO.get(conn);
  console.log(`${who}: ${state}, round trip ${rtt} µs`);
}

function at({ hostname, port }: Deno.NetAddr): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (!ffi) {
    console.log("Without --allow-ffi: noDelay and keepAlive are set, with the system's times, and nothing is read");
  }
  if (flags.listen) {
    await serve(listenTcp({ hostname: host, port: port ?? 7777, ...tuning }));
  } else if (flags.connect !== undefined) {
    await talk(flags.connect, port ?? 7777);
  } else {
    const listener = listenTcp({ hostname: host, port: port ?? 0, ...tuning });
    const served = serve(listener);
    await talk(host, listener.addr.port);
    listener.close();
    await served;
  }
}

await main().catch((error) => quit(error.message, 1));
