// Runs the benchmarks, prints their tables and writes them into the README: deno task bench.
// What is measured stands in a file for each question beside this one; rounds and tables in harness.ts.
import { parseArgs } from "@std/cli/parse-args";
import { formatted, markdown, type Table } from "./harness.ts";

const HELP = `Runs the benchmarks and writes their tables into README.md.

  --only NAME   runs one: options, descriptor, list, tcp_connect, tcp_accept, socket, reactor,
                capture or import; the README stays as it is
  --dry-run     runs all, the README stays as it is
  --help        prints this`;

const QUESTIONS = [
  "options",
  "descriptor",
  "list",
  "tcp_connect",
  "tcp_accept",
  "socket",
  "reactor",
  "capture",
  "import",
];
const README = new URL("../README.md", import.meta.url);
const BEGIN = "<!-- bench: begin, written by deno task bench -->";
const END = "<!-- bench: end -->";

/** Answers a question in a process of its own, where nothing was warmed or burdened by another. */
async function answer(question: string): Promise<Table> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", new URL(`${question}.ts`, import.meta.url).href],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`bench/${question}.ts failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** The kind of machine and the date. */
async function machine(): Promise<string> {
  const cpus = await Deno.readTextFile("/proc/cpuinfo");
  const model = /^model name\s*: (.*)$/m.exec(cpus)?.[1] ?? Deno.build.arch;
  return `${new Date().toISOString().slice(0, 10)}: Deno ${Deno.version.deno}, Linux ${Deno.osRelease()}, ` +
    `${navigator.hardwareConcurrency} cores of ${model}`;
}

async function write(tables: readonly string[], where: string): Promise<void> {
  const [head, rest] = (await Deno.readTextFile(README)).split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`README.md lacks the line ${BEGIN} or ${END}`);
  const how =
    `Measured with \`deno task bench\` on ${where}. Five interleaved rounds: their median, the lowest and the ` +
    "highest; a ratio is the median of the ratios to what was measured beside it in the same round.";
  const text = await formatted([how, ...tables].join("\n\n"));
  await Deno.writeTextFile(README, `${head}${BEGIN}\n\n${text}\n\n${END}${tail}`);
}

async function main(): Promise<void> {
  const flags = parseArgs(Deno.args, {
    boolean: ["dry-run", "help"],
    string: ["only"],
    unknown(flag) {
      console.error(`Unknown argument ${flag}; see --help`);
      Deno.exit(2);
    },
  });
  if (flags.help) return console.log(HELP);
  if (flags.only !== undefined && !QUESTIONS.includes(flags.only)) {
    console.error(`Wrong value "${flags.only}" for --only: it must be one of ${QUESTIONS.join(", ")}`);
    Deno.exit(2);
  }
  const where = await machine();
  console.log(where);
  const tables: string[] = [];
  for (const question of flags.only === undefined ? QUESTIONS : [flags.only as string]) {
    const table = markdown(await answer(question));
    console.log(`\n${await formatted(table)}`);
    tables.push(table);
  }
  if (flags.only === undefined && !flags["dry-run"]) await write(tables, where);
}

await main();
