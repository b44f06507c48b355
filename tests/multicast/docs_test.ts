// The table of what systems do, in the docs of multicast/mod.ts: each line names the code that levels it, which is there.
// That it does level it: the tests of that file.
import { assert, assertEquals } from "@std/assert";
import { test } from "../needs.ts";

test("the table of systems names code that is there", { read: true }, async () => {
  const root = new URL("../../", import.meta.url);
  const docs = await Deno.readTextFile(new URL("multicast/mod.ts", root));
  const lines = docs.split("\n").filter((line) => line.startsWith(" * | ")).map((line) => line.slice(3));
  const cells = lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const [head, , ...rows] = cells;
  assertEquals(head, ["", "Linux", "macOS", "Windows", "Here", "By"]);
  assert(rows.length > 9);
  for (const row of rows) {
    assertEquals([row.length, row.includes("")], [6, false], row.join());
    const [, name, file] = /^`(\w+)` in (\S+\.ts)$/.exec(row[5]!) ?? [];
    assert(name !== undefined && file !== undefined, row[5]);
    const code = await Deno.readTextFile(new URL(file, root));
    assert(new RegExp(`^(export )?(async )?(function|class) ${name}\\b`, "m").test(code), row[5]);
  }
});
