// Runs a few lines that use the library in a program of their own: with fewer flags, or in a network namespace.
// The namespaces are made by tests/multicast/namespace.ts; the same for tcp/ is tests/tcp/other_program.ts.
import { assert, assertEquals } from "@std/assert";
import type { Needs } from "../needs.ts";

/** What running another program needs. */
export const OTHER_PROGRAM: Needs = { run: [] };

const decoder = new TextDecoder();

/** A program that runs; what it prints can be read line by line. */
export class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = linesOf(child.stdout);
  }

  /** The next line that it prints; fails when it ends instead. */
  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    assert(!done, "the program ended");
    return value;
  }

  /** Waits for its end, which must be a good one, and tells the rest of what it printed. */
  async rest(): Promise<string[]> {
    const lines: string[] = [];
    for (let next = await this.#lines.next(); !next.done; next = await this.#lines.next()) lines.push(next.value);
    assertEquals((await this.#child.status).code, 0, lines.join("\n"));
    return lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#lines.return?.();
    await this.#child.status;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** Starts a program; errors go to this one's. */
export function start(command: string, args: readonly string[], script = ""): Program {
  const child = new Deno.Command(command, {
    args: [...args],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  writer.write(new TextEncoder().encode(script)).then(() => writer.close(), () => {});
  return new Program(child);
}

/** The arguments of `deno` that run a script from its input. */
export function runArguments(flags: readonly string[]): string[] {
  return ["run", "--no-prompt", "--no-config", "--no-lock", "--quiet", ...flags, "-"];
}

/** A script that finds what the rooms export in `tcp`, `udp`, `multicast`, `socket` and `options`; `say` prints an error. */
export function script(code: string): string {
  const rooms = ["tcp", "udp", "multicast", "socket", "options"];
  return rooms.map((room) =>
    `import * as ${room} from ${JSON.stringify(import.meta.resolve(`../../${room}/mod.ts`))};\n`
  )
    .join("") + `const say = (error) => console.log(error.name + ": " + error.message);\n${code}`;
}

/** Runs code with `deno run --no-prompt` and these flags alone, and tells what it printed. */
export async function runWith(flags: readonly string[], code: string): Promise<string> {
  await using program = start(Deno.execPath(), runArguments(flags), script(code));
  return (await program.rest()).join("\n");
}
