// How long a program that only imports the library runs, over one that does nothing.
// That importing opens nothing and asks for nothing is tested in tests/import_test.ts. Rounds and tables: harness.ts.
import { interleaved, type Row, type Table } from "./harness.ts";

const SLICES = 6;
const LIMIT = { atMost: 10 };
const MOD = new URL("../mod.ts", import.meta.url).href;

/** Milliseconds from the start of a program to its end. */
async function run(program: string): Promise<number> {
  const start = performance.now();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-config", program],
    env: { DENO_NO_UPDATE_CHECK: "1" },
    stdout: "null",
    stderr: "null",
  }).output();
  if (!success) throw new Error(`${program} failed`);
  return performance.now() - start;
}

/** The question of this file, answered. */
export async function importing(): Promise<Table> {
  const folder = await Deno.makeTempDir();
  try {
    const empty = `${folder}/empty.ts`;
    const whole = `${folder}/whole.ts`;
    await Deno.writeTextFile(empty, "");
    await Deno.writeTextFile(whole, `import ${JSON.stringify(MOD)};\n`);
    const measures = { empty: () => run(empty), whole: () => run(whole) };
    // The first runs compile, and write what they compiled into Deno's cache.
    for (let i = 0; i < 3; i++) for (const measure of Object.values(measures)) await measure();
    const took = await interleaved(measures, SLICES);
    const row = (what: string, values: number[], limit?: Row["limit"]): Row => ({
      what,
      values,
      unit: "ms",
      ...(limit && { limit }),
    });
    return {
      title: "A whole run of a program, from the start of the process to its end:",
      rows: [
        row("an empty program", took.empty),
        row('`import "@berkeley/sockets"`', took.whole),
        row("what the import adds", took.whole.map((value, round) => value - took.empty[round]!), LIMIT),
      ],
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) console.log(JSON.stringify(await importing()));
