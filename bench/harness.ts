// What the benchmarks share: interleaved rounds, medians, spreads, and tables that say which limits are reached.
// What is measured stands in a file for each question (options.ts, ...); mod.ts runs them and writes the README.

/** One line of a table. Every array has a figure for each round. */
export interface Row {
  readonly what: string;
  readonly values: readonly number[];
  readonly unit: string;
  /** What it is compared with, measured in the same rounds. */
  readonly peer?: { readonly name: string; readonly values: readonly number[] };
  readonly limit?: Limit;
}

/** What must be reached: by the median of the figures, or of their ratios to the peer's in the same round. */
export type Limit = { readonly atMost: number } | { readonly ratioAtLeast: number } | { readonly ratioAtMost: number };

/** The answer to one question. */
export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
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

/** A measurement: something is done, and a figure comes back. */
export type Measure = () => number | Promise<number>;

const ROUNDS = 5;

/**
 * Runs measurements in turn, forwards and backwards, so that whatever else the machine does meets them all alike.
 *
 * @param contestants The measurements by name.
 * @param slices How often each is run in a round; the figure of a round is the median.
 * @returns The figures of each, one for a round.
 */
export async function interleaved<K extends string>(
  contestants: Readonly<Record<K, Measure>>,
  slices: number,
): Promise<Record<K, number[]>> {
  const names = Object.keys(contestants) as K[];
  const result = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, number[]>;
  for (let round = 0; round < ROUNDS; round++) {
    const figures = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, number[]>;
    for (let slice = 0; slice < slices; slice++) {
      for (const name of slice % 2 === 0 ? names : names.toReversed()) {
        figures[name].push(await contestants[name]());
      }
    }
    for (const name of names) result[name].push(median(figures[name]));
  }
  return result;
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

/** A C program of peers/ that runs. */
export interface Peer {
  /** The next line that it prints, as numbers. */
  numbers(): Promise<number[]>;
  /** Ends its input, and waits for it. */
  stop(): Promise<void>;
}

/** Compiles a C program of peers/ and starts it. */
export async function peer(program: string, ...args: (string | number)[]): Promise<Peer> {
  const folder = await Deno.makeTempDir();
  const source = new URL(`peers/${program}.c`, import.meta.url).pathname;
  const built = await new Deno.Command("gcc", { args: ["-O2", "-pthread", "-o", `${folder}/peer`, source] }).output();
  if (!built.success) throw new Error(new TextDecoder().decode(built.stderr));
  const child = new Deno.Command(`${folder}/peer`, { args: args.map(String), stdin: "piped", stdout: "piped" }).spawn();
  // The program is in memory by now.
  await Deno.remove(folder, { recursive: true });
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

/** The table in Markdown. */
export function markdown({ title, rows }: Table): string {
  return [
    title,
    "",
    "| What | Median | Unit | Spread | Beside | Ratio | Limit |",
    "| --- | ---: | --- | --- | --- | ---: | --- |",
    ...rows.map((row) => `| ${cells(row).join(" | ")} |`),
  ].join("\n");
}

function cells({ what, values, unit, peer, limit }: Row): string[] {
  const measured = median(values);
  const ratios = peer?.values.map((value, round) => values[round]! / value);
  const ratio = ratios && median(ratios);
  return [
    what,
    shown(measured),
    unit,
    `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`,
    peer === undefined ? "" : `${peer.name}: ${shown(median(peer.values))}`,
    ratio === undefined ? "" : ratio.toPrecision(3),
    limit === undefined ? "" : verdict(limit, measured, ratio),
  ];
}

function verdict(limit: Limit, measured: number, ratio: number | undefined): string {
  const [words, reached] = "atMost" in limit
    ? [`at most ${limit.atMost}`, measured <= limit.atMost]
    : "ratioAtMost" in limit
    ? [`ratio at most ${limit.ratioAtMost}`, ratio !== undefined && ratio <= limit.ratioAtMost]
    : [`ratio at least ${limit.ratioAtLeast}`, ratio !== undefined && ratio >= limit.ratioAtLeast];
  return `${words}: ${reached ? "reached" : "missed"}`;
}

/** Three digits that mean something. */
function shown(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}

/** Markdown as `deno fmt` wants it. */
export async function formatted(text: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--no-config", "--line-width", "120", "--ext", "md", "-"],
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
