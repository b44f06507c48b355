// examples/udp_workers.ts as its task runs it, and with socat.
// What the library's UDP does: tests/udp/.
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../needs.ts";
import { assertSpeaks, example, Program, task } from "./program.ts";

const LINUX = { run: [], linux: true };

test("examples/udp_workers.ts by itself has every Worker answer what is its own", LINUX, async () => {
  await using program = task("udp_workers");
  const printed = await program.succeeded();
  const counts = [...printed.matchAll(/^Worker (\d+) answered (\d+) datagrams$/gm)].map((
    [, who, count],
  ) => [who, count]);
  const workers = Number(/^(\d+) Workers serve/.exec(printed)![1]);
  assertEquals(counts, Array.from({ length: workers }, (_, i) => [`${i}`, "8"]));
});

test("examples/udp_workers.ts has help, and names what is wrong", LINUX, async () => {
  await assertSpeaks("udp_workers", [
    [["--port", "70000"], /^Wrong value "70000" for --port: it must be a whole number from 0 to 65535\n$/],
    [["--workers", "0"], /"0" for --workers/],
  ]);
});

test("examples/udp_workers.ts answers socat from the Worker that the first byte chooses", {
  ...LINUX,
  run: ["socat", "sh"],
}, async () => {
  await using server = example("udp_workers", ["--listen", "--port", "0", "--workers", "3"], [
    "--allow-net",
    "--allow-ffi",
    "--allow-read",
  ]);
  const [, port] = await server.printed(/^3 Workers serve 127\.0\.0\.1:(\d+)$/m);
  for (const [byte, number] of [["\\003", 0], ["\\004", 1], ["\\005", 2]] as const) {
    await using client = new Program("sh", ["-c", `printf '${byte}hello' | socat -t 2 - UDP4:127.0.0.1:${port}`]);
    assertMatch(await client.succeeded(), new RegExp(`^${number}hello$`));
  }
});
