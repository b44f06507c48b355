// Who else does UDP: the programs of peers/ that the UDP benchmarks run side by side, and the versions that are pinned.
// What is asked of them: udp_send.ts, udp_receive.ts, udp_round_trip.ts. Rounds and tables: harness.ts.
import { compiled, type Measure, median, rounds, type Row, start, type Summary, type Table } from "./harness.ts";

/** What npm installs into a folder for temporary files; everything else is what the machine has. */
const PINNED = { bun: "1.4.5", node: "24.21.0" };

/** A runtime, or way in, with a program of its own. */
export type Name = keyof typeof SHOWN;

/** As the tables show them. */
export const SHOWN = {
  berkeley: "this library",
  c: "C",
  bun: "Bun",
  node: "Node",
  deno: "Deno",
  dgram: "`node:dgram` in Deno",
  python: "python3",
} as const;

type Command = readonly string[];

/** What starts each, without arguments; null for what cannot be had here. C has a program for each question. */
export type Contestants = Readonly<Record<Exclude<Name, "c">, Command | null>>;

/** What a slice of time saw. */
export interface Seen {
  /** Datagrams a second. */
  readonly rate: number;
  /** Nanoseconds of processor time for each. */
  readonly cpu: number;
}

/** Installs and finds them. */
export async function contestants(): Promise<Contestants> {
  const [bun, node] = [await installed("bun"), await installed("node")];
  const deno = (program: string): Command => [Deno.execPath(), "run", "-A", "--no-check", here(program)];
  return {
    berkeley: deno("berkeley.ts"),
    bun: bun === null ? null : [bun, here("bun.js")],
    node: node === null ? null : [node, here("node_dgram.js")],
    deno: deno("deno.ts"),
    dgram: deno("node_dgram.js"),
    python: await said(["python3", "--version"]) === null ? null : ["python3", here("python.py")],
  };
}

/** What runs here, for the head of the tables. */
export async function versions(): Promise<string> {
  const [bun, node, python, gcc] = await Promise.all([
    installed("bun").then((path) => path && `Bun ${PINNED.bun}`),
    installed("node").then((path) => path && `Node ${PINNED.node}`),
    said(["python3", "--version"]),
    said(["gcc", "-dumpfullversion"]).then((version) => version && `C by gcc ${version}`),
  ]);
  return [bun, node, python, gcc].filter((one) => one !== null).join(", ");
}

function here(program: string): string {
  return new URL(`peers/${program}`, import.meta.url).pathname;
}

/** The path of a runtime from npm, in the version that is pinned; null where npm is not, or has no access. */
async function installed(name: keyof typeof PINNED): Promise<string | null> {
  const version = PINNED[name];
  const folder = `${Deno.env.get("TMPDIR") ?? "/tmp"}/berkeley-sockets-bench/${name}-${version}`;
  const path = `${folder}/node_modules/.bin/${name}`;
  const is = async () => (await said([path, "--version"]))?.replace("v", "") === version ? path : null;
  if (await is() === null) {
    await Deno.mkdir(folder, { recursive: true });
    await said(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, `${name}@${version}`]);
  }
  return await is();
}

/** What a program prints; null when it fails or is not there. */
async function said([program, ...args]: Command): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command(program!, { args: [...args], stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** The last line of figures that a program prints, as what was seen. */
export function seen([count, seconds, cpu]: readonly number[]): Seen {
  return { rate: count! / seconds!, cpu: cpu! * 1000 / count! };
}

/** Runs a program that sends, to its end. */
export async function sends(command: readonly (string | number)[]): Promise<Seen> {
  const sender = start(command);
  const figures = await sender.numbers();
  await sender.stop();
  return seen(figures);
}

/** Runs a program that receives what a C program sends it: a train, or what one call of sendmmsg takes, after the other. */
export async function receives(
  command: readonly (string | number)[],
  feed: { readonly how: "gso" | "mmsg"; readonly bytes: number; readonly many: number },
): Promise<Seen> {
  const receiver = start(command);
  const [port] = await receiver.numbers();
  // It would end by itself; the receiver is long done then.
  const sender = start([await compiled("udp_send"), feed.how, port!, feed.bytes, feed.many, 10]);
  const figures = await receiver.numbers();
  await sender.end();
  await receiver.stop();
  return seen(figures);
}

/** Datagrams that a train may have: above 65,000 bytes the kernel cuts it up at once. */
export function trainOf(bytes: number, most = 128): number {
  return Math.min(most, Math.floor(65_000 / bytes));
}

/** Something that is measured: who, and how it is done. */
export interface Way {
  readonly who: Name;
  readonly what: string;
}

/** What must be reached: of which size, what, beside what. */
export interface Demand<K> {
  readonly bytes: number;
  readonly what: K;
  readonly beside: K;
  readonly limit: NonNullable<Row["limit"]>;
  /** Compares processor time instead of rates. */
  readonly cpu?: boolean;
}

/** Datagrams of several sizes in many ways, side by side. */
export class Comparison<K extends string> {
  readonly tables: Table[] = [];
  readonly #ways: Readonly<Record<K, Way>>;
  readonly #seen = new Map<string, Rounds>();

  constructor(ways: Readonly<Record<K, Way>>) {
    this.#ways = ways;
  }

  /** Five rounds with one size; `measure` gives null for what cannot be had. All are put beside one of them. */
  async run(
    title: string,
    bytes: number,
    ways: readonly K[],
    beside: K,
    measure: (way: K) => Measure<Seen> | null,
  ): Promise<void> {
    const measures = ways.map((way) => [way, measure(way)]).filter(([, one]) => one !== null);
    const seen: Partial<Record<K, Seen[][]>> = await rounds(Object.fromEntries(measures));
    for (const way of ways) this.#seen.set(`${way} ${bytes}`, roundsOf(seen[way] ?? []));
    const peer = { name: SHOWN[this.#ways[beside].who], values: thousands(this.#of(beside, bytes).rate) };
    this.tables.push({
      title: `${title} of ${bytes.toLocaleString("en")} bytes`,
      rows: ways.map((way) => {
        const { rate, cpu } = this.#of(way, bytes);
        return { what: this.#shown(way), values: thousands(rate), unit: "k/s", cpu, ...(way !== beside && { peer }) };
      }),
    });
  }

  /** A table of what must be reached. */
  demand(title: string, demands: readonly Demand<K>[]): void {
    const values = ({ rate, cpu }: Rounds, byCpu = false) => byCpu ? cpu : thousands(rate);
    this.tables.push({
      title,
      rows: demands.map(({ bytes, what, beside, limit, cpu }) => ({
        what: `${bytes.toLocaleString("en")} bytes, ${this.#ways[what].what}`,
        values: values(this.#of(what, bytes), cpu),
        unit: cpu ? "ns of CPU" : "k/s",
        peer: { name: this.#shown(beside), values: values(this.#of(beside, bytes), cpu) },
        limit,
      })),
    });
  }

  /** Medians side by side, in millions a second. */
  summary(what: string, bytes: number, ways: Partial<Record<Name, K>>): Summary {
    const figures = Object.entries<K>(ways as Record<Name, K>).map(([who, way]) => {
      const { rate } = this.#of(way, bytes);
      return [who, rate.length === 0 ? null : median(rate) / 1e6];
    });
    return { what, unit: "M/s", of: Object.fromEntries(figures) };
  }

  #of(way: K, bytes: number): Rounds {
    return this.#seen.get(`${way} ${bytes}`)!;
  }

  #shown(way: K): string {
    const { who, what } = this.#ways[way];
    return `${SHOWN[who]}: ${what}`;
  }
}

interface Rounds {
  readonly rate: readonly number[];
  readonly cpu: readonly number[];
}

/** One figure of each round. */
function roundsOf(all: readonly (readonly Seen[])[]): Rounds {
  const one = (of: (seen: Seen) => number) => all.map((slices) => median(slices.map(of)));
  return { rate: one(({ rate }) => rate), cpu: one(({ cpu }) => cpu) };
}

function thousands(values: readonly number[]): number[] {
  return values.map((value) => value / 1000);
}
