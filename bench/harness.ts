// What the benchmarks share: interleaved rounds, medians, spreads, and tables that say which limits are reached.
// What is measured stands in a file for each question (options.ts, ...); mod.ts runs them and writes the README.

/** One line of a table. Every array has a figure for each round; one without any was not measured. */
export interface Row {
  readonly what: string;
  readonly values: readonly number[];
  readonly unit: string;
  /** Nanoseconds of processor time that the measured process took for each. */
  readonly cpu?: readonly number[];
  /** What it is compared with, measured in the same rounds. */
  readonly peer?: { readonly name: string; readonly values: readonly number[] };
  readonly limit?: Limit;
}

/** What must be reached: by the median of the figures, or of their ratios to the peer's in the same round. */
export type Limit = { readonly atMost: number } | { readonly ratioAtLeast: number } | { readonly ratioAtMost: number };

/** The answer to one question, or a part of it. */
export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** Medians that the README and its picture show side by side. */
export interface Summary {
  readonly what: string;
  readonly unit: string;
  /** By whose they are; null when not measured. */
  readonly of: Readonly<Record<string, number | null>>;
}

/** The answer to one question, in several tables. */
export interface Answer {
  readonly tables: readonly Table[];
  readonly summary: readonly Summary[];
}

/** Lines of a text that comes in pieces. */
class TextLineStream extends TransformStream<string, string> {
  constructor() {
    let rest = "";
    super({
      transform(piece, controller) {
        const lines = (rest + piece).split("\n");
        rest = lines.pop()!;
        for (const line of lines) controller.enqueue(line);
      },
    });
  }
}

/** A measurement: something is done, and what was seen comes back: a figure, or several. */
export type Measure<T = number> = () => T | Promise<T>;

const ROUNDS = 5;

/**
 * Runs measurements in turn, forwards and backwards, so that whatever else the machine does meets them all alike.
 *
 * @param contestants The measurements by name.
 * @param slices How often each is run in a round.
 * @returns What each saw, a list for each round.
 */
export async function rounds<K extends string, T>(
  contestants: Readonly<Record<K, Measure<T>>>,
  slices = 1,
): Promise<Record<K, T[][]>> {
  const names = Object.keys(contestants) as K[];
  const result = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, T[][]>;
  for (let round = 0, turn = 0; round < ROUNDS; round++) {
    for (const name of names) result[name].push([]);
    for (let slice = 0; slice < slices; slice++, turn++) {
      // Each begins in its turn: nobody always comes behind the one that leaves the most to be cleared away.
      const first = (turn >>> 1) % names.length;
      const order = [...names.slice(first), ...names.slice(0, first)];
      for (const name of turn % 2 === 0 ? order : order.toReversed()) {
        result[name][round]!.push(await contestants[name]());
      }
    }
  }
  return result;
}

/** As {@linkcode rounds}, of measurements that give a figure: that of a round is the median. */
export async function interleaved<K extends string>(
  contestants: Readonly<Record<K, Measure>>,
  slices: number,
): Promise<Record<K, number[]>> {
  const seen = await rounds<K, number>(contestants, slices);
  const names = Object.keys(seen) as K[];
  return Object.fromEntries(names.map((name) => [name, seen[name].map(median)])) as Record<K, number[]>;
}

/** The middle figure. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >>> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Microseconds that each of `count` calls took, which began at `start`. */
export function microseconds(start: number, count: number): number {
  return (performance.now() - start) * 1000 / count;
}

/** A program of peers/ that runs. */
export interface Peer {
  /** The next line that it prints, as numbers. */
  numbers(): Promise<number[]>;
  /** Ends its input, and waits for it. */
  stop(): Promise<void>;
  /** Ends it. */
  end(): Promise<void>;
}

const built = new Map<string, Promise<string>>();

/** Compiles a C program of peers/, once; gives its path. */
export function compiled(program: string): Promise<string> {
  let path = built.get(program);
  if (path === undefined) built.set(program, path = compile(program));
  return path;
}

async function compile(program: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  const source = new URL(`peers/${program}.c`, import.meta.url).pathname;
  const path = `${folder}/${program}`;
  const { success, stderr } = await new Deno.Command("gcc", { args: ["-O2", "-pthread", "-o", path, source] }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return path;
}

/** Who is measured and who answers have a core each, the first and the last: who shares one is not left to the scheduler. */
const LAST_CORE = navigator.hardwareConcurrency - 1;

/** What starts a program on one core; where there is one alone, that is all it can do. */
function onCore(core: number, command: readonly (string | number)[]): readonly (string | number)[] {
  return LAST_CORE === 0 ? command : ["taskset", "-c", core, ...command];
}

/** What starts a program on the first core, to be measured there. */
export function measured(command: readonly (string | number)[]): readonly (string | number)[] {
  return onCore(0, command);
}

/** Keeps this process on the first core, to be measured there. */
export async function measureHere(): Promise<void> {
  if (LAST_CORE === 0) return;
  const { success } = await new Deno.Command("taskset", { args: ["-a", "-p", "-c", "0", `${Deno.pid}`] }).output();
  if (!success) throw new Error("taskset failed");
}

/** peers/echo.c on the last core, and its ports. */
export async function echo(): Promise<{ readonly udp: number; readonly tcp: number; stop(): Promise<void> }> {
  const program = start(onCore(LAST_CORE, [await compiled("echo")]));
  const [[udp], [tcp]] = [await program.numbers(), await program.numbers()];
  return { udp: udp!, tcp: tcp!, stop: () => program.stop() };
}

/** Compiles a C program of peers/ and starts it. */
export async function peer(program: string, ...args: (string | number)[]): Promise<Peer> {
  return start([await compiled(program), ...args]);
}

/** Starts a program. */
export function start([program, ...args]: readonly (string | number)[]): Peer {
  const child = new Deno.Command(String(program), {
    args: args.map(String),
    env: { DENO_NO_UPDATE_CHECK: "1" },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  return {
    async numbers() {
      const { value } = await lines.read();
      if (value === undefined) {
        throw new Error(`${program} ${args.join(" ")} ended before it printed what was expected`);
      }
      return value.split(" ").map(Number);
    },
    async stop() {
      await child.stdin.close();
      await lines.cancel();
      await child.status;
    },
    async end() {
      child.kill("SIGKILL");
      await this.stop();
    },
  };
}

/** What `count` round trips took each, in microseconds and in order. */
export async function trips(count: number, once: () => Promise<unknown>): Promise<Float64Array> {
  const taken = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await once();
    taken[i] = (performance.now() - start) * 1000;
  }
  return taken.sort();
}

/** Of figures in order, the one that so large a part stays below. */
export function quantile(sorted: Float64Array, part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
}

type Column = readonly [heading: string, rule: string, cell: (row: Row) => string];

const COLUMNS: readonly Column[] = [
  ["What", "---", ({ what }) => what],
  ["Median", "---:", ({ values }) => values.length === 0 ? "not measured" : shown(median(values))],
  ["Unit", "---", ({ values, unit }) => values.length === 0 ? "" : unit],
  ["Spread", "---", ({ values }) => spread(values)],
  ["CPU, ns", "---:", ({ cpu }) => cpu === undefined || cpu.length === 0 ? "" : shown(median(cpu))],
  ["Beside", "---", ({ peer }) => peer === undefined ? "" : beside(peer)],
  ["Ratio", "---:", (row) => ratioOf(row)?.toPrecision(3) ?? ""],
  ["Limit", "---", ({ limit, ...row }) => limit === undefined ? "" : verdict(limit, row.values, ratioOf(row))],
];

/** The table in Markdown, with the columns that have something in them. */
export function markdown({ title, rows }: Table): string {
  const columns = COLUMNS.filter(([, , cell]) => rows.some((row) => cell(row) !== ""));
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    title,
    "",
    line(columns.map(([heading]) => heading)),
    line(columns.map(([, rule]) => rule)),
    ...rows.map((row) => line(columns.map(([, , cell]) => cell(row)))),
  ].join("\n");
}

function spread(values: readonly number[]): string {
  return values.length < 2 ? "" : `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`;
}

function beside({ name, values }: NonNullable<Row["peer"]>): string {
  return `${name}: ${values.length === 0 ? "not measured" : shown(median(values))}`;
}

/** The median of the ratios of the rounds. */
function ratioOf({ values, peer }: Row): number | undefined {
  if (peer === undefined || peer.values.length === 0 || values.length === 0) return undefined;
  return median(peer.values.map((value, round) => values[round]! / value));
}

function verdict(limit: Limit, values: readonly number[], ratio: number | undefined): string {
  const [words, figure, reached] = "atMost" in limit
    ? [`at most ${limit.atMost}`, values.length === 0 ? undefined : median(values), (is: number) => is <= limit.atMost]
    : "ratioAtMost" in limit
    ? [`ratio at most ${limit.ratioAtMost}`, ratio, (is: number) => is <= limit.ratioAtMost]
    : [`ratio at least ${limit.ratioAtLeast}`, ratio, (is: number) => is >= limit.ratioAtLeast];
  return `${words}: ${figure === undefined ? "not measured" : reached(figure) ? "reached" : "missed"}`;
}

/** Three digits that mean something. */
export function shown(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}

/** Markdown, or another language, as `deno fmt` wants it. */
export async function formatted(text: string, language = "md"): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--no-config", "--line-width", "120", "--ext", language, "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(text));
  await input.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error("deno fmt refuses the text");
  return new TextDecoder().decode(stdout).trimEnd();
}
