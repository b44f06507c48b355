// Sockets, programs and errors for the tests of this folder, so that each test says only what it is about.
// Sockets that share nothing with the library: ../raw_socket.ts; what a test may assume: ../needs.ts.
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { Socket } from "../../socket/socket.ts";
import type { SystemError } from "../../options/mod.ts";
import { type Needs, test as plainTest } from "../needs.ts";
import { sleep } from "../time.ts";

export { sleep };

/** What sockets of this library need. */
export const FFI: Needs = { ffi: true, linux: true };
/** What paths of unix sockets need besides. */
export const PATHS: Needs = { ...FFI, read: true, write: true };
/** What IPv6 needs besides. */
export const IPV6: Needs = { ...FFI, read: true, files: ["/proc/net/if_inet6"] };
/** What a peer in Python needs besides. */
export const PYTHON: Needs = { ...PATHS, run: ["python3"] };
/** What another Deno program needs besides. */
export const PROGRAM: Needs = { ...PATHS, run: [] };

/** A test of sockets that waited: the call that was parked for them has ended before the sanitizers look. */
export function test(name: string, what: Needs, fn: (t: Deno.TestContext) => void | Promise<void>): void {
  plainTest(name, what, async (t) => {
    await fn(t);
    await sleep(5);
  });
}

export const LOCAL = { hostname: "127.0.0.1", port: 0 } as const;
export const LOCAL6 = { hostname: "::1", port: 0 } as const;

export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

export function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

/** An abstract name that nobody else has. */
export function abstract(): { path: string } {
  return { path: `\0sockets-test-${crypto.randomUUID()}` };
}

/** A UDP socket bound to loopback. */
export function udp(): Socket<"inet"> {
  const socket = Socket.open("inet", "dgram");
  socket.bind(LOCAL);
  return socket;
}

/** A TCP listener on loopback. */
export function tcpListener(backlog?: number): Socket<"inet"> {
  const socket = Socket.open("inet", "stream");
  socket.bind(LOCAL);
  socket.listen(backlog);
  return socket;
}

/** A TCP connection: the end that connected and the one that accepted. */
export async function tcpPair(): Promise<[Socket<"inet">, Socket<"inet">] & Disposable> {
  using listener = tcpListener();
  const client = Socket.open("inet", "stream");
  await client.connect(listener.localAddr!);
  return both([client, await listener.accept()]);
}

/** Two UDP sockets; the first is connected to the second and back. */
export async function udpPair(): Promise<[Socket<"inet">, Socket<"inet">] & Disposable> {
  const a = udp();
  const b = udp();
  await a.connect(b.localAddr!);
  await b.connect(a.localAddr!);
  return both([a, b]);
}

/** Two sockets that are closed together. */
export function both<S extends Disposable>(pair: [S, S]): [S, S] & Disposable {
  return Object.assign(pair, {
    [Symbol.dispose]() {
      pair[0][Symbol.dispose]();
      pair[1][Symbol.dispose]();
    },
  });
}

/** A port of loopback on which nothing listens now. */
export function unusedPort(type: "stream" | "dgram"): number {
  using socket = Socket.open("inet", type);
  socket.bind(LOCAL);
  return socket.localAddr!.port;
}

/** Fills a stream until it would block; the number of bytes that went in. */
export function fill(socket: Socket): number {
  const chunk = new Uint8Array(65_536);
  let total = 0;
  for (;;) {
    const sent = socket.trySend(chunk);
    if (sent === null) return total;
    total += sent;
  }
}

/** Fills a stream for good, also what acknowledgements that come late (40 ms) make room for; the number of bytes. */
export async function fillUp(socket: Socket): Promise<number> {
  let total = 0;
  for (let more = fill(socket); more > 0; more = fill(socket)) {
    total += more;
    await sleep(50);
  }
  return total;
}

/** Reads a stream to its end; the number of bytes. */
export async function drain(socket: Socket): Promise<number> {
  let total = 0;
  for (;;) {
    const { byteLength } = await socket.receive();
    if (byteLength === 0) return total;
    total += byteLength;
  }
}

/** Asserts that a call fails as the kernel says: class, name, number and call. */
export async function assertFails(
  call: () => unknown,
  code: string,
  syscall: string,
  errorClass: abstract new (...args: never[]) => Error = Error,
): Promise<SystemError> {
  let error: unknown;
  try {
    await call();
  } catch (thrown) {
    error = thrown;
  }
  assert(error !== undefined, `it must fail with ${code}, and did not`);
  assertInstanceOf(error, errorClass);
  const { code: was, syscall: wasCall, errno, message } = error as SystemError;
  assertEquals([was, wasCall], [code, syscall], message);
  assert(errno > 0, message);
  assert(message.includes(code), message);
  return error as SystemError;
}

/** The outcome of a promise, for those that are awaited later. */
export function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.then((value) => value, (error) => error);
}

/** Runs Python with a program of one text; its output and whether it succeeded. */
export async function python(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("python3", {
    args: ["-c", program, ...args],
    stdout: "piped",
    stderr: "piped",
  }).output();
  assert(success, text(stderr));
  return text(stdout).trim();
}

/** Has Deno open its descriptors for signals now: by itself it does so after half a second, and panics when there are none left. */
const SIGNALS = `{
  const nothing = () => {};
  Deno.addSignalListener("SIGINT", nothing);
  Deno.removeSignalListener("SIGINT", nothing);
}`;

/** Runs a module that imports the library as `Socket`; what it printed, how it ended, and after how long. */
export async function runProgram(
  code: string,
  options: { args?: string[]; env?: Record<string, string>; within?: number; under?: string[] } = {},
): Promise<{ output: string; errors: string; code: number; milliseconds: number }> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  const root = new URL("../../", import.meta.url);
  try {
    await Deno.writeTextFile(
      file,
      `import { Socket } from "${new URL("socket/socket.ts", root)}";\nvoid Socket;\n${SIGNALS}\n${code}`,
    );
    const since = performance.now();
    const [command, ...before] = [...options.under ?? [], Deno.execPath()];
    const child = new Deno.Command(command!, {
      args: [
        ...before,
        "run",
        "--no-check",
        "--config",
        new URL("deno.json", root).pathname,
        "-A",
        file,
        ...options.args ?? [],
      ],
      env: { ...options.env, NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const timer = setTimeout(() => child.kill("SIGKILL"), options.within ?? 30_000);
    const { code: status, stdout, stderr } = await child.output();
    clearTimeout(timer);
    return { output: text(stdout).trim(), errors: text(stderr), code: status, milliseconds: performance.now() - since };
  } finally {
    await Deno.remove(file);
  }
}

/** Code of a program that tells how long it computed, in hundredths of a second: `used()`. */
export const USED = `const used = () => Deno.readTextFileSync("/proc/self/stat").split(") ")[1].split(" ").slice(11, 13)
  .reduce((sum, ticks) => sum + Number(ticks), 0);`;

/**
 * Runs programs that begin something as their promise `waiting`; how each stands after a second, and whether it computed all
 * the while. One after the other, as those that do would leave each other too little of the processor to be found out.
 */
export async function idling(...programs: string[]): Promise<string[]> {
  const said: string[] = [];
  for (const code of programs) {
    const { output, errors } = await runProgram(`
    ${USED}
    ${code}
    let state = "pending";
    waiting.then((got) => state = "got " + JSON.stringify(got), (error) => state = error.code ?? error.name);
    const before = used();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const ticks = used() - before;
    console.log(state + (ticks > 15 ? ", busy" : ", idle"));
    Deno.exit(0);
  `);
    said.push(output || errors);
  }
  return said;
}
