// examples/no_socket_leak.ts as tests use it, and as its task runs it.
// What listSockets() sees: tests/socket/list_test.ts.
import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { assertNoSocketLeak } from "../../examples/no_socket_leak.ts";
import { test } from "../needs.ts";
import { assertSpeaks, example, task } from "./program.ts";

const FFI = { ffi: true, linux: true };
const HERE = { hostname: "127.0.0.1", port: 0 } as const;

test("assertNoSocketLeak() says nothing of what was open before, and of what was closed", FFI, async () => {
  using listener = Deno.listen(HERE);
  using _ = assertNoSocketLeak();
  using _conn = await Deno.connect({ port: listener.addr.port });
  (await listener.accept()).close();
});

test("assertNoSocketLeak() names what was left open, though its number was used before", FFI, () => {
  const before = Deno.listen(HERE);
  let after: Deno.Listener<Deno.TcpConn, Deno.NetAddr> | undefined;
  const leak = () => {
    using _ = assertNoSocketLeak();
    before.close();
    after = Deno.listen(HERE);
  };
  const { message } = assertThrows(leak, Error, "1 socket was left open: descriptor ");
  assertMatch(message, new RegExp(`inet stream listen, .*"port":${after!.addr.port}`));
  after!.close();
});

test("assertNoSocketLeak() awaited lets what is being closed go, and no longer than it was told", FFI, async () => {
  {
    await using _ = assertNoSocketLeak();
    const listener = Deno.listen(HERE);
    setTimeout(() => listener.close(), 50);
  }
  let listener: Deno.Listener | undefined;
  const leak = async () => {
    await using _ = assertNoSocketLeak(20);
    listener = await Promise.resolve(Deno.listen(HERE));
  };
  await assertRejects(leak, Error, "1 socket was left open");
  listener!.close();
});

test("assertNoSocketLeak() sees what fetch keeps in its pool", FFI, async () => {
  await using server = Deno.serve({ ...HERE, onListen() {} }, () => new Response("ok"));
  const client = Deno.createHttpClient({});
  const leak = async () => {
    using _ = assertNoSocketLeak();
    await (await fetch(`http://127.0.0.1:${server.addr.port}`, { client })).text();
  };
  await assertRejects(leak, Error, "2 sockets were left open");
  client.close();
});

test(
  "examples/no_socket_leak.ts shows a piece that closes all, and one that does not",
  { run: [], linux: true },
  async () => {
    await using program = task("no_socket_leak");
    const lines = (await program.succeeded()).trimEnd().split("\n");
    assertEquals(lines[0], "the first piece left no socket open");
    assertMatch(lines[1]!, /^the second piece: 1 socket was left open: descriptor \d+ \(inet stream close-wait, /);
  },
);

test("examples/no_socket_leak.ts has help, and names what is wrong", { run: [] }, async () => {
  await assertSpeaks("no_socket_leak", [], []);
  await using program = example("no_socket_leak", [], ["--allow-net"]);
  const { code, stderr } = await program.ended();
  assertEquals(code, 1);
  assertMatch(stderr, /^Cannot list sockets: Requires ffi access [^\n]*--allow-ffi[^\n]*\n$/);
});
