// examples/select_server.ts by itself, and with clients in Python that come one after the other and all at once.
// What poll() does: tests/socket/poll_test.ts.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "../needs.ts";
import { assertSpeaks, example, peer, Program } from "./program.ts";

const DENO = { run: [], linux: true };
const PYTHON = { run: ["python3"], linux: true };

/** How long an example runs, in milliseconds, and what it prints. */
async function timed(flags: readonly string[]): Promise<[milliseconds: number, printed: string]> {
  const since = performance.now();
  await using program = example("select_server", flags);
  const printed = await program.succeeded();
  return [performance.now() - since, printed];
}

test("examples/select_server.ts by itself serves ten clients at once, within 3 s", DENO, async () => {
  const [start] = await timed(["--help"]);
  const [took, printed] = await timed([]);
  // A start takes 50 ms; where it takes longer, so may the rest.
  assert(took < 3000 + 10 * start, `it took ${took} ms, its start ${start}`);
  assertMatch(printed, /^listening on 127\.0\.0\.1:\d+\n/);
  for (let i = 1; i <= 10; i++) {
    assertMatch(printed, new RegExp(`^client ${i}: \\d+ characters came back in capitals$`, "m"));
  }
  assertEquals(printed.match(/ is here$/gm)?.length, 10);
  // Those that sent much had answers pending while the others were served.
  assertEquals(printed.match(/and had to wait \d+ times$/gm)?.length, 2);
  assertMatch(printed, /^served 10 clients, 10 at once, with one loop$/m);
});

test("examples/select_server.ts has help, and names what is wrong", DENO, async () => {
  await assertSpeaks("select_server", [
    [["--port", "65536"], /^Wrong value "65536" for --port: it must be a whole number from 0 to 65535\n$/],
    [["--port", "http"], /"http" for --port/],
    [["--listen", "--port"], /"" for --port/],
  ]);
});

test("examples/select_server.ts says which permission is missing", DENO, async () => {
  await using program = example("select_server", [], ["--allow-net"]);
  const { code, stderr } = await program.ended();
  assertEquals(code, 1);
  assertMatch(stderr, /--allow-ffi/);
});

test("examples/select_server.ts serves clients in Python, and outlives one that resets", PYTHON, async () => {
  await using server = example("select_server", ["--listen", "--port", "0"]);
  const [, port] = await server.printed(/^listening on 127\.0\.0\.1:(\d+)$/m);
  {
    await using client = new Program("python3", [peer("tcp_client.py"), port!, "hello"]);
    assertEquals(await client.succeeded(), "HELLO\n");
  }
  const script = `
import socket, struct, sys
def client():
    s = socket.create_connection(("127.0.0.1", ${port}))
    s.settimeout(5)
    return s
rude = client()
rude.sendall(b"bye")
rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
some = [client() for _ in range(10)]
for i, s in enumerate(some): s.sendall(b"number %d" % i)
rude.close()
for i, s in reversed(list(enumerate(some))): assert s.recv(100) == b"NUMBER %d" % i
for s in some: s.shutdown(socket.SHUT_WR)
for s in some: assert s.recv(100) == b""
print("served")`;
  await using clients = new Program("python3", ["-c", script]);
  assertEquals(await clients.succeeded(), "served\n");
  await server.printed(/ is gone: .*ECONNRESET/);
  await server.printed(/(?: is gone: sent 8 bytes, got 8\n.*){10}/s);
});
