// Makes the README's table of which system has which option, from the option table; run as a program it writes it.
// availability_test.ts fails when the README is stale; the numbers themselves are tested in headers_test.ts.
import { BLOCKING_ONLY, codeOf } from "../internal/option_call.ts";
import type { OperatingSystem } from "../internal/os.ts";
import { NAME_ON, type OptionName, SCOPE_ON, SCOPES, SOCKOPT, WHEN_ON } from "../internal/sockopt.ts";

const README = new URL("../README.md", import.meta.url);
const BEGIN = "<!-- availability: begin, written by deno task table -->";
const END = "<!-- availability: end -->";

function cell(name: OptionName, os: OperatingSystem): string {
  if (codeOf(name, os) === null) return "";
  const other = NAME_ON[name]?.[os];
  return other === undefined ? "yes" : `\`${other}\``;
}

/** The table in Markdown, a row for each option. */
export function availability(): string {
  const lines = [
    "| Option | Linux | macOS | Windows | Access | Set before | Works on (Linux) |",
    "| --- | --- | --- | --- | --- | --- | --- |",
  ];
  for (const [name, row] of Object.entries(SOCKOPT) as [OptionName, (typeof SOCKOPT)[OptionName]][]) {
    const [, , , , , access, when, , scope] = row;
    const stage = when === "any" || when === "connected" ? "" : `${when}()`;
    const cells = (["linux", "darwin", "windows"] as const).map((os) => cell(name, os));
    // Elsewhere the row may differ in more than the number; the difference is in the option's own doc.
    const elsewhere = WHEN_ON[name] !== undefined || SCOPE_ON[name] !== undefined ? " *" : "";
    const sockets = name in BLOCKING_ONLY ? "every `Socket` of this library" : SCOPES[scope].words;
    lines.push(`| \`${name}\` | ${cells.join(" | ")} | ${access} | ${stage} | ${sockets}${elsewhere} |`);
  }
  return lines.join("\n");
}

/** The README with the table as it must be. */
export async function readmeWithTable(): Promise<{ now: string; wanted: string }> {
  const now = await Deno.readTextFile(README);
  const [head, rest] = now.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`README.md lacks the line ${BEGIN} or ${END}`);
  return { now, wanted: `${head}${BEGIN}\n\n${availability()}\n\n${END}${tail}` };
}

if (import.meta.main) await Deno.writeTextFile(README, (await readmeWithTable()).wanted);
