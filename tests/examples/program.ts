// Starts the programs that the tests of the examples talk to, waits for what they print, and ends them.
// The programs: examples/ and peers/. The tests: a file per example beside this one.
import { assertEquals } from "@std/assert";
import { AS_NOBODY } from "../socket/packets.ts";

const ROOT = new URL("../../", import.meta.url);
/** Milliseconds after which something that should have happened is missing. */
const PATIENCE = 30_000;

/** How a program ended. */
export interface Ended {
  /** Its exit code. */
  readonly code: number;
  /** What it printed. */
  readonly stdout: string;
  /** What it complained of. */
  readonly stderr: string;
}

/** A program that runs; `await using` ends it. */
export class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #command: string;
  readonly #printed: [Promise<string>, Promise<string>];
  #stdout = "";
  #woken = Promise.withResolvers<void>();
  #running = true;
  /** What it can be told; null when its input is empty, or was ended. */
  #input: WritableStreamDefaultWriter<Uint8Array> | null = null;

  /** Its input is empty, or with "piped" what is said to it. */
  constructor(program: string, args: readonly string[], input: "null" | "piped" = "null") {
    this.#command = [program, ...args].join(" ");
    this.#child = new Deno.Command(program, {
      args: [...args],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: input,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (input === "piped") this.#input = this.#child.stdin.getWriter();
    this.#printed = [
      this.#collect(this.#child.stdout, (text) => {
        this.#stdout += text;
        this.#wake();
      }),
      this.#collect(this.#child.stderr, () => {}),
    ];
    this.#child.status.then(() => {
      this.#running = false;
    });
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, each: (text: string) => void): Promise<string> {
    let all = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      all += text;
      each(text);
    }
    this.#wake();
    return all;
  }

  #wake(): void {
    this.#woken.resolve();
    this.#woken = Promise.withResolvers();
  }

  /** What a pattern matches in the whole lines printed so far, as soon as it does. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    const look = async () => {
      while (true) {
        const found = pattern.exec(this.#stdout.slice(0, this.#stdout.lastIndexOf("\n") + 1));
        if (found !== null) return found;
        if (!this.#running) throw new Error(`${await this.#story()}\nended without ${pattern}`);
        await Promise.race([this.#woken.promise, this.#child.status]);
      }
    };
    return await this.#inTime(look(), () => `did not print ${pattern}`);
  }

  /** Types a line. */
  async type(line: string): Promise<void> {
    await this.#input!.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Ends its input, also when it is gone. */
  async endInput(): Promise<void> {
    await this.#input?.close().catch(() => {});
    this.#input = null;
  }

  /** Asks it to end, as Ctrl-C does. */
  interrupt(): void {
    this.signal("SIGINT");
  }

  /** Sends it a signal. */
  signal(name: Deno.Signal): void {
    this.#child.kill(name);
  }

  /** Waits until it ends by itself. */
  async ended(): Promise<Ended> {
    const { code } = await this.#inTime(this.#child.status, () => "did not end");
    const [stdout, stderr] = await Promise.all(this.#printed);
    return { code, stdout, stderr };
  }

  /** Waits until it ends by itself, well, and returns what it printed. */
  async succeeded(): Promise<string> {
    const { code, stdout } = await this.ended();
    assertEquals(code, 0, await this.#story());
    return stdout;
  }

  async #inTime<T>(wait: Promise<T>, what: () => string): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(async () => {
      this.#kill();
      late.reject(new Error(`${await this.#story()}\n${what()} within ${PATIENCE} ms`));
    }, PATIENCE);
    try {
      return await Promise.race([wait, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #kill(): void {
    if (!this.#running) return;
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It ended a moment ago.
    }
  }

  async #story(): Promise<string> {
    const [stdout, stderr] = await Promise.all(this.#printed);
    return [this.#command, stdout, stderr].join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    await this.endInput();
    await this.#child.status;
    await Promise.all(this.#printed);
  }
}

/** Starts an example with the permissions of its task, or with others; by another program, if one is given. */
export function example(
  name: string,
  flags: readonly string[],
  permissions: readonly string[] = ["--allow-net", "--allow-ffi"],
  by: readonly string[] = [],
  input?: "piped",
): Program {
  const [program, ...before] = [...by, Deno.execPath()];
  return new Program(program!, [
    ...before,
    "run",
    "--no-prompt",
    "--unstable-net",
    ...permissions,
    `examples/${name}.ts`,
    ...flags,
  ], input);
}

/**
 * Runs tests of examples that a user without privileges starts: `by` begins the commands. Deno asks whether a package is in
 * its cache in a way that no privilege helps with, so the cache is a copy that anybody may read.
 */
export async function withNobody(body: (by: readonly string[]) => Promise<void>): Promise<void> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"], cwd: ROOT }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout)) as { npmCache: string };
  const folder = await Deno.makeTempDir();
  try {
    await new Deno.Command("cp", { args: ["-r", npmCache, `${folder}/npm`] }).output();
    await new Deno.Command("chmod", { args: ["-R", "a+rwX", folder] }).output();
    await body([...AS_NOBODY, "env", `DENO_DIR=${folder}`]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs an example as its task does. */
export function task(name: string): Program {
  return new Program(Deno.execPath(), ["task", "--quiet", `example:${name}`]);
}

/** Where a file of peers/ is. */
export function peer(file: string): string {
  return `tests/examples/peers/${file}`;
}

/** Checks what all examples say of themselves and of wrong flags, without any permission. */
export async function assertSpeaks(
  name: string,
  wrong: readonly (readonly [flags: readonly string[], said: RegExp])[],
  known: readonly string[] = ["--listen", "--port"],
): Promise<void> {
  {
    await using help = example(name, ["--help"], []);
    const text = await help.succeeded();
    for (const flag of [...known, "--help"]) {
      if (!text.includes(flag)) throw new Error(`--help of ${name} does not say ${flag}:\n${text}`);
    }
  }
  for (const [flags, said] of [[["--foo"], /^Unknown flag --foo; see --help\n$/], ...wrong] as const) {
    await using program = example(name, flags, []);
    const { code, stdout, stderr } = await program.ended();
    assertEquals([code, stdout, said.test(stderr)], [2, "", true], `${name} ${flags.join(" ")}: ${stdout}${stderr}`);
  }
}
