// The README's availability table says what the option table says.
// How it is made is availability.ts; whether the option table is right is tested in headers_test.ts.
import { listOptions } from "../options/mod.ts";
import { readmeWithTable } from "./availability.ts";
import { assertEquals } from "@std/assert";
import { test } from "./needs.ts";

test("the README's availability table is the option table's; else run deno task table", { read: true }, async () => {
  const { now, wanted } = await readmeWithTable();
  // deno fmt pads the cells; what they say is compared.
  const said = (text: string) => text.replaceAll(/ *\| */g, "|").replaceAll(/-{3,}/g, "---");
  assertEquals(said(now), said(wanted));
});

test("the README's availability table names every option once", { read: true }, async () => {
  const { now } = await readmeWithTable();
  for (const { name } of listOptions()) {
    const rows = now.split("\n").filter((line) => line.startsWith(`| \`${name}\` `));
    assertEquals(rows.length, 1, `rows of ${name}`);
  }
});
