// examples/udp.ts as its task runs it, without --allow-ffi, and with a client and a server in Python.
// What the library's UDP does: tests/udp/.
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../needs.ts";
import { assertSpeaks, example, peer, Program, task } from "./program.ts";

const DENO = { run: [] };
const PYTHON = { run: ["python3"] };
const ANSWERS = ["HELLO 1", "HELLO 2", "HELLO 3"];

test("examples/udp.ts by itself asks and answers", DENO, async () => {
  await using program = task("udp");
  const printed = await program.succeeded();
  assertEquals([...printed.matchAll(/ answers: (.*)/g)].map(([, answer]) => answer), ANSWERS);
});

test("examples/udp.ts runs without --allow-ffi", DENO, async () => {
  await using program = example("udp", [], ["--allow-net"]);
  const printed = await program.succeeded();
  assertEquals([...printed.matchAll(/ answers: (.*)/g)].map(([, answer]) => answer), ANSWERS);
});

test("examples/udp.ts has help, and names what is wrong", DENO, async () => {
  await assertSpeaks("udp", [
    [["--port", "70000"], /^Wrong value "70000" for --port: it must be a whole number from 0 to 65535\n$/],
    [["--count", "0"], /"0" for --count/],
    [["--buffer=-1"], /"-1" for --buffer/],
    [["--send"], /--send a text/],
    [["--listen", "--send", "x"], /--listen or --send, not both/],
  ]);
});

test(
  "examples/udp.ts --buffer prints what the kernel gave, and without --allow-ffi says what it needs",
  DENO,
  async () => {
    await using program = example("udp", ["--buffer", "50000"]);
    const [, bytes] = /asked for 50000 bytes, have (\d+)/.exec(await program.succeeded())!;
    assertEquals(Number(bytes) >= 50_000, true);
    await using refused = example("udp", ["--buffer", "50000"], ["--allow-net"]);
    const { code, stderr } = await refused.ended();
    assertEquals(code, 1);
    assertMatch(stderr, /--allow-ffi/);
  },
);

test("examples/udp.ts answers a client in Python", PYTHON, async () => {
  await using server = example("udp", ["--listen", "--port", "0", "--count", "1"]);
  const [, port] = await server.printed(/^listening on 127\.0\.0\.1:(\d+)$/m);
  await using client = new Program("python3", [peer("udp_client.py"), port!, "hello"]);
  assertEquals(await client.succeeded(), "HELLO\n");
  assertMatch(await server.succeeded(), /^127\.0\.0\.1:\d+ asks: hello$/m);
});

test("examples/udp.ts asks a server in Python", PYTHON, async () => {
  await using server = new Program("python3", [peer("udp_receiver.py"), "127.0.0.1"]);
  const [port] = await server.printed(/^\d+$/m);
  await using client = example("udp", ["--send", "hello", "--port", port!]);
  assertEquals(await client.succeeded(), `127.0.0.1:${port} answers: hello\n`);
  assertMatch(await server.succeeded(), /^127\.0\.0\.1: hello$/m);
});
