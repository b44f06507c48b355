// Socket.connect, its twin, and disconnect: peers, refusals, and attempts that were aborted and made again.
// Accepting: accept_test.ts; unix paths: unix_test.ts.
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { SO_ERROR, TCP_INFO } from "../../options/mod.ts";
import { Socket } from "../../socket/socket.ts";
import { assertWithin, until } from "../time.ts";
import {
  assertFails,
  bytes,
  FFI,
  IPV6,
  LOCAL,
  LOCAL6,
  outcome,
  PYTHON,
  sleep,
  tcpListener,
  tcpPair,
  test,
  text,
  udp,
  unusedPort,
} from "./make.ts";

/** A listener whose queue is full: the next handshake stays in progress, as nobody answers it. */
async function fullListener(): Promise<{ listener: Socket<"inet">; close(): void }> {
  const listener = tcpListener(0);
  const filler = Socket.open("inet", "stream");
  await filler.connect(listener.localAddr!);
  // Of a listener these are how many wait to be accepted, and how many may before it is full.
  await until(() => TCP_INFO.get(listener).unacked! > TCP_INFO.get(listener).sacked!);
  return {
    listener,
    close() {
      listener[Symbol.dispose]();
      filler.close();
    },
  };
}

test("connect() connects over IPv4 and IPv6, from a port that was chosen", IPV6, async () => {
  for (const [family, address] of [["inet", LOCAL], ["inet6", LOCAL6]] as const) {
    using listener = Socket.open(family, "stream");
    listener.bind(address);
    listener.listen();
    using client = Socket.open(family, "stream");
    client.bind(address);
    const own = client.localAddr!;
    await client.connect(listener.localAddr!);
    assertEquals([client.localAddr, client.remoteAddr], [own, listener.localAddr]);
    using accepted = await listener.accept();
    assertEquals(accepted.remoteAddr, own);
  }
});

test("connect() where nothing listens fails with ECONNREFUSED, and may be tried again", FFI, async () => {
  using client = Socket.open("inet", "stream");
  const port = unusedPort("stream");
  const call = () => client.connect({ hostname: "127.0.0.1", port });
  const error = await assertFails(call, "ECONNREFUSED", "connect", Deno.errors.ConnectionRefused);
  assert(error.message.includes(`127.0.0.1:${port}`), error.message);
  using listener = tcpListener();
  await client.connect(listener.localAddr!);
  assertEquals(client.remoteAddr, listener.localAddr);
});

test("connect() a second time fails with EISCONN, and changes nothing", FFI, async () => {
  using pair = await tcpPair();
  using other = tcpListener();
  const [client, accepted] = pair;
  const before = client.remoteAddr;
  await assertFails(() => client.connect(other.localAddr!), "EISCONN", "connect");
  await assertFails(() => client.connect(before!), "EISCONN", "connect");
  await assertFails(() => client.tryConnect(before!), "EISCONN", "connect");
  assertEquals(client.remoteAddr, before);
  await client.send(bytes("still"));
  assertEquals(text(await accepted.receive()), "still");
});

test("connect() of a socket that listens fails", FFI, async () => {
  using listener = tcpListener();
  using other = tcpListener();
  await assertFails(() => listener.connect(other.localAddr!), "EISCONN", "connect");
});

test("connect() to a network without a route, or from no address, fails as the kernel says", FFI, async () => {
  using client = Socket.open("inet", "stream");
  client.bind(LOCAL);
  // From loopback to elsewhere: EINVAL or ENETUNREACH by kernel.
  const error = await outcome(client.connect({ hostname: "192.0.2.1", port: 9 }));
  assert(["EINVAL", "ENETUNREACH"].includes((error as { code: string }).code), String(error));
  using broadcast = Socket.open("inet", "dgram");
  await assertFails(
    () => broadcast.connect({ hostname: "127.255.255.255", port: 9 }),
    "EACCES",
    "connect",
    Deno.errors.PermissionDenied,
  );
});

test("tryConnect() says null while in progress, SO_ERROR how it went", FFI, async () => {
  using listener = tcpListener();
  using client = Socket.open("inet", "stream");
  const state = client.tryConnect(listener.localAddr!);
  assert(state === true || state === null);
  await client.connect(listener.localAddr!).catch((error) => {
    // Over loopback it may be connected at once, and a second connect says so.
    if (state === null || error.code !== "EISCONN") throw error;
  });
  assertEquals([SO_ERROR.get(client), client.remoteAddr], [0, listener.localAddr]);
});

test("an aborted connect() goes on, and the next one to that address joins it", FFI, async () => {
  const full = await fullListener();
  using client = Socket.open("inet", "stream");
  const address = full.listener.localAddr!;
  const controller = new AbortController();
  const aborted = outcome(client.connect(address, { signal: controller.signal }));
  await sleep(20);
  controller.abort(new Error("too slow"));
  assertEquals((await aborted as Error).message, "too slow");
  const own = client.localAddr!;
  const joined = client.connect(address);
  const accepted: Socket[] = [];
  const accepting = (async () => {
    for await (const socket of full.listener) accepted.push(socket);
  })();
  await joined;
  assertEquals([client.localAddr, client.remoteAddr], [own, address]);
  full.close();
  await accepting;
  for (const socket of accepted) socket.close();
});

test("an aborted connect() is undone by one to another address", FFI, async () => {
  const full = await fullListener();
  using client = Socket.open("inet", "stream");
  const aborted = outcome(client.connect(full.listener.localAddr!, { signal: AbortSignal.timeout(20) }));
  assertEquals((await aborted as Error).name, "TimeoutError");
  using other = tcpListener();
  await client.connect(other.localAddr!);
  assertEquals(client.remoteAddr, other.localAddr);
  using accepted = await other.accept();
  assertEquals(accepted.remoteAddr, client.localAddr);
  full.close();
});

test("an aborted connect() that succeeded meanwhile is joined at once", FFI, async () => {
  using listener = tcpListener();
  using client = Socket.open("inet", "stream");
  const state = client.tryConnect(listener.localAddr!);
  using accepted = await listener.accept();
  if (state === null) await client.connect(listener.localAddr!);
  assertEquals(accepted.remoteAddr, client.localAddr);
});

test("connect() with a signal that came already does nothing", FFI, async () => {
  using listener = tcpListener();
  using client = Socket.open("inet", "stream");
  const signal = AbortSignal.abort(new RangeError("early"));
  await assertRejects(() => client.connect(listener.localAddr!, { signal }), RangeError, "early");
  assertEquals(client.localAddr, null);
  assertStrictEquals(listener.tryAccept(), null);
});

test("close() rejects a connect() that waits", FFI, async () => {
  const full = await fullListener();
  const client = Socket.open("inet", "stream");
  const connecting = outcome(client.connect(full.listener.localAddr!));
  await sleep(10);
  client.close();
  assertInstanceOf(await connecting, Deno.errors.BadResource);
  full.close();
});

test("connect() of a datagram socket sets the peer, again and again", FFI, async () => {
  using socket = udp();
  using first = udp();
  using second = udp();
  await socket.connect(first.localAddr!);
  assertEquals(socket.remoteAddr, first.localAddr);
  assertEquals(socket.tryConnect(second.localAddr!), true);
  assertEquals(socket.remoteAddr, second.localAddr);
  await socket.send(bytes("for the second"));
  assertEquals(text(await second.receive()), "for the second");
  // It hears its peer alone.
  await first.sendTo(bytes("unheard"), socket.localAddr!);
  await sleep(5);
  assertStrictEquals(socket.tryReceive(), null);
});

test("disconnect() gives a datagram socket no peer", FFI, async () => {
  using socket = udp();
  using peer = udp();
  using other = udp();
  await socket.connect(peer.localAddr!);
  socket.disconnect();
  assertEquals(socket.remoteAddr, null);
  await assertFails(() => socket.send(bytes("x")), "EDESTADDRREQ", "send");
  using chosen = Socket.open("inet", "dgram");
  chosen.bind({ hostname: "127.0.0.1", port: unusedPort("dgram") });
  await chosen.connect(peer.localAddr!);
  chosen.disconnect();
  await other.sendTo(bytes("from anyone"), chosen.localAddr!);
  assertEquals(text(await chosen.receive()), "from anyone");
  chosen.disconnect();
  using pair = await tcpPair();
  assertThrows(() => pair[0].disconnect(), TypeError, "stream");
});

test("connect() checks the address before any call", FFI, async () => {
  using socket = Socket.open("inet", "dgram");
  for (
    const [address, error] of [
      [undefined, TypeError],
      ["127.0.0.1:9", TypeError],
      [{ hostname: "localhost", port: 9 }, SyntaxError],
      [{ hostname: "127.0.0.1", port: NaN }, RangeError],
      [{ hostname: "127.0.0.1", port: 65_536 }, RangeError],
      [{ hostname: "::1", port: 9 }, TypeError],
      [{ hostname: "127.0.0.1x", port: 9 }, SyntaxError],
      [{ hostname: "127.1", port: 9 }, SyntaxError],
    ] as const
  ) {
    await assertRejects(() => socket.connect(address as typeof LOCAL), error);
    assertThrows(() => socket.tryConnect(address as typeof LOCAL), error);
  }
  assertEquals(socket.remoteAddr, null);
});

test("connect() reaches a server in Python, over TCP", PYTHON, async () => {
  const child = new Deno.Command("python3", {
    args: [
      "-c",
      `import socket
s = socket.create_server(("127.0.0.1", 0))
s.settimeout(10)
print(s.getsockname()[1], flush=True)
c, _ = s.accept()
data = b""
while (chunk := c.recv(65536)): data += chunk
c.sendall(data[::-1])
c.close()`,
    ],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const port = Number(text((await reader.read()).value!));
  using client = Socket.open("inet", "stream");
  await client.connect({ hostname: "127.0.0.1", port });
  await client.sendAll(bytes("to be turned round"));
  client.shutdown("write");
  const all = new Uint8Array(100);
  assertEquals(text(await client.receive(all, { waitAll: true })), "dnuor denrut eb ot");
  await reader.cancel();
  assert((await child.status).success);
});

test("a connect() that is over when another comes has connected, and the other fails", FFI, async () => {
  using first = tcpListener();
  using second = tcpListener();
  using client = Socket.open("inet", "stream");
  // Over loopback the kernel has connected when the call returns.
  const connected = client.connect(first.localAddr!);
  await assertFails(() => client.connect(second.localAddr!), "EISCONN", "connect");
  await connected;
  assertEquals(client.remoteAddr, first.localAddr);
  assertEquals(second.tryAccept(), null);
});

test("connects to one address share its end, whatever comes after them", FFI, async () => {
  using other = tcpListener();
  using client = Socket.open("inet", "stream");
  const nobody = { hostname: "127.0.0.1", port: unusedPort("stream") };
  // The second call is told of the refusal, the first one waits for it yet when the third begins.
  const refused = [client.connect(nobody), client.connect(nobody)].map((one) =>
    assertFails(() => one, "ECONNREFUSED", "connect", Deno.errors.ConnectionRefused)
  );
  const connected = client.connect(other.localAddr!);
  await assertWithin(5_000, Promise.all([...refused, connected]));
  assertEquals(client.remoteAddr, other.localAddr);
});

test(
  "a connect() that waits for a full queue of a unix listener is told when another takes its place",
  FFI,
  async () => {
    using full = Socket.open("unix", "stream");
    full.bind({ path: "" });
    full.listen(0);
    using filler = Socket.open("unix", "stream");
    await filler.connect(full.localAddr!);
    using other = Socket.open("unix", "stream");
    other.bind({ path: "" });
    other.listen();
    using client = Socket.open("unix", "stream");
    const undone = assertFails(() => client.connect(full.localAddr!), "ECONNABORTED", "connect");
    assertEquals(client.tryConnect(full.localAddr!), null);
    await client.connect(other.localAddr!);
    assert((await assertWithin(5_000, undone)).message.includes("another connect()"));
    assertEquals(client.remoteAddr, other.localAddr);
  },
);

test("a connect() that waits is told when another takes its place, which connects", FFI, async () => {
  const full = await fullListener();
  using other = tcpListener();
  using client = Socket.open("inet", "stream");
  const address = full.listener.localAddr!;
  const undone = assertFails(
    () => client.connect(address),
    "ECONNABORTED",
    "connect",
    Deno.errors.ConnectionAborted,
  );
  await sleep(5);
  const connected = client.connect(other.localAddr!);
  const error = await assertWithin(5_000, undone);
  assert(error.message.includes(`127.0.0.1:${address.port}`), error.message);
  assert(error.message.includes("another connect()"), error.message);
  await assertWithin(5_000, connected);
  assertEquals(client.remoteAddr, other.localAddr);
  full.close();
});
