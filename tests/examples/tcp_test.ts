// examples/tcp.ts as its task runs it, without --allow-ffi, and with a client and a server in Python.
// What the library's TCP does: tests/tcp/.
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../needs.ts";
import { assertSpeaks, example, peer, Program, task } from "./program.ts";

const DENO = { run: [] };
const PYTHON = { run: ["python3"] };

test("examples/tcp.ts by itself echoes, and prints what the kernel has on both sides", DENO, async () => {
  await using program = task("tcp");
  const printed = await program.succeeded();
  assertMatch(printed, /sent "hello", echo "hello"/);
  for (const who of ["server", "client"]) {
    assertMatch(
      printed,
      new RegExp(`${who}: {\\n  noDelay: true,\\n  keepAlive: { idle: 30000, interval: 10000, count: 3 }`),
    );
    if (Deno.build.os === "linux") assertMatch(printed, new RegExp(`${who}: established, round trip \\d+ µs`));
  }
});

test("examples/tcp.ts runs without --allow-ffi, and says what that leaves out", DENO, async () => {
  await using program = example("tcp", ["--message", "a", "--message", "b"], ["--allow-net"]);
  const printed = await program.succeeded();
  assertMatch(printed, /^Without --allow-ffi/);
  assertMatch(printed, /sent "a", echo "a"\nsent "b", echo "b"\n/);
});

test("examples/tcp.ts has help, and names what is wrong", DENO, async () => {
  await assertSpeaks("tcp", [
    [["--port", "65536"], /^Wrong value "65536" for --port: it must be a whole number from 0 to 65535\n$/],
    [["--port", "http"], /"http" for --port/],
    [["--port"], /"" for --port/],
    // As a shell has it that knows no $HOST.
    [["--connect", ""], /^Give each flag a value that is not empty; see --help\n$/],
    [["--idle", "0"], /"0" for --idle/],
    [["--probes", "1.5"], /"1.5" for --probes/],
    [["--dscp", "64"], /"64" for --dscp/],
    [["--listen", "--connect", "127.0.0.1"], /--listen or --connect, not both/],
  ]);
});

test("examples/tcp.ts serves a client in Python", PYTHON, async () => {
  await using server = example("tcp", ["--listen", "--port", "0", "--idle", "12000", "--dscp", "46"]);
  const [, port] = await server.printed(/^listening on 127\.0\.0\.1:(\d+)$/m);
  for (const text of ["one", "zwei, très"]) {
    await using client = new Program("python3", [peer("tcp_client.py"), port!, text]);
    assertEquals(await client.succeeded(), `${text}\n`);
  }
  await server.printed(/keepAlive: { idle: 12000, interval: 10000, count: 3 }[^}]*dscp: 46/);
});

test("examples/tcp.ts is the client of a server in Python", PYTHON, async () => {
  await using server = new Program("python3", [peer("tcp_server.py")]);
  const [port] = await server.printed(/^\d+$/m);
  await using client = example("tcp", ["--connect", "127.0.0.1", "--port", port!, "--message", "hello, Python"]);
  assertMatch(await client.succeeded(), /^sent "hello, Python", echo "hello, Python"\nclient: {/);
  await server.succeeded();
});
