// Runs the programs of soak/, at a fraction of their length; with SOCKETS_SOAK=1 (deno task soak) in full.
// Numbers that are reused, aborts and Workers at length: reactor_test.ts.
import { assert, assertEquals } from "@std/assert";
import { test } from "./needs.ts";
import { PROGRAM, text } from "./socket/make.ts";

const SOAK = Deno.permissions.querySync({ name: "env" }).state === "granted" && Deno.env.get("SOCKETS_SOAK") === "1";

async function soak(program: string, ...args: number[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "-A",
      // The young generation has one size: its growth would look like a leak.
      "--v8-flags=--expose-gc,--max-semi-space-size=4",
      new URL(`soak/${program}.ts`, import.meta.url).pathname,
      ...args.map(String),
    ],
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, text(stderr));
  return text(stdout).trim();
}

test("cycles of open, bind and close leave no descriptor and no memory", PROGRAM, async () => {
  const result = await soak("cycles", SOAK ? 1_000_000 : 150_000);
  console.log(result);
  const { early, late, left } = JSON.parse(result);
  assert(left <= 4, result);
  assert(late.heap < early.heap + 1_000_000, result);
  assert(late.rss < early.rss + 8_000_000, result);
});

test(
  "connections made, tuned and closed by every way leave no descriptor, no timer and no memory",
  PROGRAM,
  async () => {
    const result = await soak("connections", SOAK ? 400_000 : 12_000);
    console.log(result);
    const { early, late, left, open } = JSON.parse(result);
    assert(left <= 2 && open === 0, result);
    assert(late.heap < early.heap + 1_000_000, result);
    assert(late.rss < early.rss + 8_000_000, result);
  },
);

test("the heap is flat over millions of datagrams in batches", PROGRAM, async () => {
  const result = await soak("udp_batches", SOAK ? 10_000_000 : 1_000_000);
  console.log(result);
  for (const { grown, sum } of JSON.parse(result)) {
    // A byte that stays of each would be twice as much, at a tenth of their number too.
    assert(grown < 256 * 1024 && sum > 0, result);
  }
});

test("errno is right in programs that have just started on a loaded machine", PROGRAM, async () => {
  const starts = SOAK ? 1000 : 40;
  let started = 0;
  const wrong: string[] = [];
  // More at once than the machine has processors.
  await Promise.all(Array.from({ length: 2 * navigator.hardwareConcurrency }, async () => {
    while (started < starts) {
      started++;
      const result = await soak("cold_errno");
      if (result !== "0") wrong.push(result);
    }
  }));
  assertEquals(wrong, []);
});

test("errno is right in a warm program under garbage collection", PROGRAM, async () => {
  assertEquals(await soak("warm_errno", SOAK ? 10_000_000 : 500_000), "0");
});

test(
  "what closes between being listed and being tuned is BadResource, and no successor is changed",
  PROGRAM,
  async () => {
    const result = await soak("churn", SOAK ? 100_000 : 10_000);
    console.log(result);
    const { tuned, closed, wrong } = JSON.parse(result);
    assertEquals(wrong, [0, 0, 0], result);
    assert(tuned > 0 && closed > 0, result);
  },
);
