// Runs the benchmarks, prints their tables and writes RESULTS.md, udp.svg and the table of the README: deno task bench.
// What is measured stands in a file for each question beside this one; rounds and tables in harness.ts.
import { parseArgs } from "@std/cli/parse-args";
import { SHOWN, versions } from "./contestants.ts";
import { type Answer, formatted, markdown, shown, type Summary, type Table } from "./harness.ts";
import { picture } from "./picture.ts";

const QUESTIONS = [
  "options",
  "descriptor",
  "list",
  "tcp_connect",
  "tcp_accept",
  "socket",
  "reactor",
  "capture",
  "udp_send",
  "udp_receive",
  "udp_round_trip",
  "udp_memory",
  "multicast",
  "import",
];
/** Besides UDP, what the README shows of a question: the row, and its name there. */
const HEADLINES: readonly (readonly [question: string, row: string, name: string])[] = [
  ["options", "`SO_KEEPALIVE.get`", "reading an option"],
  ["options", "`SO_KEEPALIVE.set`", "setting one and reading it back"],
  ["list", "`listSockets()`", "`listSockets()` of 4,000 sockets"],
  ["list", "`findSocket()` by the own address", "`findSocket()` among them"],
  ["tcp_connect", "without options", "connecting, accepting and closing"],
  ["tcp_accept", "accepting 1,000 that wait", "accepting those that wait"],
  ["socket", "TCP round trip of 64 bytes, the middle one", "TCP round trip of 64 bytes"],
  ["socket", "TCP echo in chunks of 64 KiB", "TCP echo in chunks of 64 KiB"],
  ["import", "what the import adds", "importing the whole library"],
];
const HELP = `Runs the benchmarks and writes bench/RESULTS.md, bench/udp.svg and the table of README.md.

  --only NAME   runs one, and writes nothing: ${QUESTIONS.join(", ")}
  --dry-run     runs all, and writes nothing
  --help        prints this`;

const README = new URL("../README.md", import.meta.url);
const RESULTS = new URL("RESULTS.md", import.meta.url);
const PICTURE = new URL("udp.svg", import.meta.url);
const BEGIN = "<!-- bench: begin, written by deno task bench -->";
const END = "<!-- bench: end -->";

/** Answers a question in a process of its own, where nothing was warmed or burdened by another. */
async function answer(question: string): Promise<Answer> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", new URL(`${question}.ts`, import.meta.url).href],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`bench/${question}.ts failed`);
  const answer: Answer | Table = JSON.parse(new TextDecoder().decode(stdout));
  return "tables" in answer ? answer : { tables: [answer], summary: [] };
}

/** The kind of machine, the date, and what runs beside. */
async function machine(): Promise<string> {
  const cpus = await Deno.readTextFile("/proc/cpuinfo");
  const model = /^model name\s*: (.*)$/m.exec(cpus)?.[1] ?? "an unknown processor";
  return `${new Date().toISOString().slice(0, 10)}: Deno ${Deno.version.deno}, Linux ${Deno.osRelease()}, ` +
    `${navigator.hardwareConcurrency} cores of ${model}, load average ${
      Deno.loadavg()[0]!.toFixed(1)
    } before; beside ` +
    await versions();
}

/** The headlines of what was found, by question, as a table. */
function headlines(found: ReadonlyMap<string, Answer>): string {
  const rows = HEADLINES.map(([question, row, name]) => {
    const there = found.get(question)!.tables.flatMap(({ rows }) => rows).find(({ what }) => what === row);
    if (there === undefined) throw new Error(`bench/${question}.ts has no row ${row}`);
    const { values, unit, peer } = there;
    return { what: name, values, unit, ...(peer && { peer }) };
  });
  return markdown({ title: "Everything else, beside what does the same otherwise:", rows });
}

async function write(found: ReadonlyMap<string, Answer>, where: string): Promise<void> {
  const tables = [...found.values()].flatMap(({ tables }) => tables.map(markdown));
  const summary = [...found.values()].flatMap(({ summary }) => summary);
  const results = [
    "# Results",
    `Measured with \`deno task bench\` on ${where}.`,
    "Five interleaved rounds: their median, the lowest and the highest; a ratio is the median of the ratios to what was " +
    "measured beside it in the same round. CPU is the processor time of the measured process, in the kernel too, for one " +
    "datagram or call. In round trips and echoes, who is measured has the first core and who answers the last. All " +
    "traffic is over the loopback interface.",
    ...tables,
  ];
  await Deno.writeTextFile(RESULTS, `${await formatted(results.join("\n\n"))}\n`);
  await Deno.writeTextFile(PICTURE, `${await formatted(picture(summary, SHOWN, "berkeley"), "svg")}\n`);
  const [head, rest] = (await Deno.readTextFile(README)).split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`README.md lacks the line ${BEGIN} or ${END}`);
  const short = [
    "![UDP datagrams a second, this library beside others](bench/udp.svg)",
    `UDP over loopback, datagrams of 64 bytes, medians of \`deno task bench\` on ${where}.`,
    besides(summary),
    headlines(found),
    "All that was measured, with spreads, processor time and what must be reached: " +
    "[bench/RESULTS.md](bench/RESULTS.md).",
  ];
  await Deno.writeTextFile(README, `${head}${BEGIN}\n\n${await formatted(short.join("\n\n"))}\n\n${END}${tail}`);
}

/** A line for each summary, and a column for each of those in it. */
function besides(summaries: readonly Summary[]): string {
  const whos = Object.keys(SHOWN) as (keyof typeof SHOWN)[];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const figure = (value: number | null | undefined) =>
    value === null || value === undefined ? "not measured" : shown(value);
  return [
    line(["UDP", "Unit", ...whos.map((who) => SHOWN[who])]),
    line(["---", "---", ...whos.map(() => "---:")]),
    ...summaries.map(({ what, unit, of }) => line([what, unit, ...whos.map((who) => figure(of[who]))])),
  ].join("\n");
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
  const found = new Map<string, Answer>();
  for (const question of flags.only === undefined ? QUESTIONS : [flags.only as string]) {
    const answered = await answer(question);
    found.set(question, answered);
    for (const table of answered.tables) console.log(`\n${await formatted(markdown(table))}`);
  }
  if (flags.only === undefined && !flags["dry-run"]) await write(found, where);
}

await main();
