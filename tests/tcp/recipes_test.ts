// The recipes of the README: each is a program of its own, and prints what it should.
// Their examples are type-checked and run by `deno test --doc` too; that a peer is noticed when it vanishes: ../lab/tcp_test.ts.
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../needs.ts";
import { PROGRAM } from "../socket/make.ts";

/** What each prints, by how its introduction begins; and what is waited for, as it may complain until then. */
const PRINTED: readonly (readonly [recipe: string, printed: RegExp, until?: string])[] = [
  ["A client of Redis or Postgres", /^\+PONG$/],
  ["A server behind a load balancer", /^true 1$/],
  ["Low latency", /^16384$/],
  ["Bulk transfer", /^cubic$/],
  ["Voice", /^46$/],
  ["A graceful close", /^last words\nConnectionReset$/],
  ["Behind a NAT", /^\d+$/],
  ["One port shared", /^true$/],
  // A client that ends first is nothing to complain of.
  ["Limits before `Deno.serve`", /^served$/, "listener.connections === 0"],
];

async function recipes(): Promise<[text: string, code: string][]> {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const section = readme.split("<summary>Recipes</summary>")[1]!.split("</details>")[0]!;
  return [...section.matchAll(/\n\n([^`#\n](?:[^\n]|\n(?!\n))*)\n\n```ts\n([\s\S]*?)\n```/g)].map(([, text, code]) => [
    text!,
    code!,
  ]);
}

test("every recipe of the README runs and prints what it should", PROGRAM, async (t) => {
  const found = await recipes();
  assertEquals(found.length, PRINTED.length);
  for (const [i, [recipe, printed, until = "true"]] of PRINTED.entries()) {
    const [text, code] = found[i]!;
    await t.step(recipe, async () => {
      assertEquals(text.slice(0, recipe.length), recipe);
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--no-lock", "-A", "--ext=ts", "-"],
        cwd: new URL("../../", import.meta.url),
        env: { NO_COLOR: "1" },
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      // A recipe may leave something running, as a server does.
      const end = `while (!(${until})) await new Promise((resolve) => setTimeout(resolve, 10));\nDeno.exit(0);`;
      await writer.write(new TextEncoder().encode(`${code}\n${end}\n`));
      await writer.close();
      const { code: status, stdout, stderr } = await child.output();
      assertEquals([status, new TextDecoder().decode(stderr)], [0, ""]);
      assertMatch(new TextDecoder().decode(stdout).trim(), printed);
    });
  }
});
