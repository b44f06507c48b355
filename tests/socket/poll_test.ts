// poll() and Poller: readiness as the kernel has it, on sockets of this library, of Deno and of node; closing, numbers that
// are reused, wrong input. A server over poll(): tests/examples/select_server_test.ts.
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import * as net from "node:net";
import process from "node:process";
import { descriptorOf } from "../../internal/descriptor.ts";
import { libc } from "../../internal/libc.ts";
import { DESCRIPTOR, type SocketLike, type SystemError, TCP_INFO } from "../../options/mod.ts";
import { poll, Poller, type PollEvent } from "../../socket/poll.ts";
import { Socket } from "../../socket/socket.ts";
import { bytes, FFI, LOCAL, PYTHON, sleep, test } from "./make.ts";
import { assertWithin } from "../time.ts";

const NOTHING = { readable: false, writable: false, priority: false, error: false, hangUp: false };

/** What is true of an event. */
function said(event: PollEvent | undefined): string {
  const { readable, writable, priority, error, hangUp } = event!;
  return Object.entries({ readable, writable, priority, error, hangUp }).filter(([, is]) => is).map(([name]) => name)
    .join(" ");
}

async function tcpPair(): Promise<[Socket<"inet">, Socket<"inet">]> {
  using listener = Socket.open("inet", "stream");
  listener.bind(LOCAL);
  listener.listen();
  const client = Socket.open("inet", "stream");
  await client.connect(listener.localAddr!);
  return [client, await listener.accept()];
}

async function denoPair(): Promise<[Deno.TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen(LOCAL);
  const [client, served]: [Deno.TcpConn, Deno.TcpConn] = await Promise.all([
    Deno.connect({ ...LOCAL, port: listener.addr.port }),
    listener.accept(),
  ]);
  return [client, served];
}

function python(script: string): Deno.ChildProcess {
  return new Deno.Command("python3", { args: ["-c", script], stdout: "piped", stderr: "inherit" }).spawn();
}

test("poll() tells what is ready now, each time, with the very objects", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  using _b = b;
  assertEquals(await poll([{ socket: a, readable: true }], { timeout: 0 }), []);
  assertEquals(await poll([{ socket: a, writable: true }]), [{ ...NOTHING, socket: a, writable: true }]);
  b.trySend(bytes("hello"));
  for (let i = 0; i < 3; i++) {
    const events = await poll([{ socket: b, readable: true }, { socket: a, readable: true }]);
    assertEquals(events.length, 1);
    assertStrictEquals(events[0]!.socket, a);
    assertEquals(said(events[0]), "readable");
  }
  a.tryReceive();
  assertEquals(await poll([{ socket: a, readable: true }], { timeout: 0 }), []);
});

test("poll() waits, and tells all that is ready by then", FFI, async () => {
  const pairs = Array.from({ length: 5 }, () => Socket.pair());
  const waiting = poll(pairs.map(([socket]) => ({ socket, readable: true })));
  await sleep(20);
  pairs[3]![1].trySend(bytes("x"));
  pairs[1]![1].trySend(bytes("y"));
  assertEquals((await waiting).map(({ socket }) => socket), [pairs[1]![0], pairs[3]![0]]);
  for (const pair of pairs) for (const socket of pair) socket.close();
});

test("poll() is over after its timeout, not before", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  using _b = b;
  for (const timeout of [1, 20.5, 100]) {
    const since = performance.now();
    assertEquals(await assertWithin(timeout + 150, poll([{ socket: a, readable: true }], { timeout })), []);
    assert(performance.now() - since >= timeout);
  }
  const since = performance.now();
  assertEquals(await poll([], { timeout: 30 }), []);
  assert(performance.now() - since >= 30);
});

test("poll() rejects with the signal's reason, and leaves nothing behind", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  using _b = b;
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 10);
  const entries = [{ socket: a, readable: true }];
  assertStrictEquals(await poll(entries, { signal: controller.signal }).catch((error) => error), reason);
  assertStrictEquals(await poll(entries, { signal: controller.signal, timeout: 0 }).catch((error) => error), reason);
  for (let i = 0; i < 1000; i++) {
    const each = new AbortController();
    const waiting = poll([...entries, { socket: b, readable: true }], { signal: each.signal });
    each.abort(reason);
    assertStrictEquals(await waiting.catch((error) => error), reason);
  }
  // Nothing was taken, and the socket still receives.
  b.trySend(bytes("still here"));
  assertEquals(await a.receive(), bytes("still here"));
});

test("poll() takes one socket in two entries, and beside a call that waits for it", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  using _b = b;
  const both = [{ socket: a, readable: true }, { socket: a, writable: true }];
  assertEquals((await poll(both)).map(said), ["writable"]);
  const received = a.receive();
  const polled = [poll([both[0]!, both[0]!]), poll([both[0]!])];
  b.trySend(bytes("1"));
  assertEquals(await received, bytes("1"));
  b.trySend(bytes("2"));
  assertEquals((await Promise.all(polled)).map((events) => events.map(said)), [["readable", "readable"], ["readable"]]);
  assertEquals((await poll(both)).map(said), ["readable", "writable"]);
});

test("poll() tells listeners of connections, and connections of being connected", FFI, async () => {
  using listener = Socket.open("inet", "stream");
  listener.bind(LOCAL);
  listener.listen();
  assertEquals(await poll([{ socket: listener, readable: true }], { timeout: 0 }), []);
  using client = Socket.open("inet", "stream");
  // As Linux has it: a TCP socket that was never connected has hung up.
  assertEquals((await poll([{ socket: client }], { timeout: 0 })).map(said), ["hangUp"]);
  client.tryConnect(listener.localAddr!);
  assertEquals((await poll([{ socket: client, writable: true }], { timeout: 1000 })).map(said), ["writable"]);
  assertEquals((await poll([{ socket: listener, readable: true }], { timeout: 1000 })).map(said), ["readable"]);
  listener.tryAccept()!.close();
});

test("poll() tells a connection that was refused of the error", FFI, async () => {
  using taken = Socket.open("inet", "stream");
  taken.bind(LOCAL); // nobody listens
  using client = Socket.open("inet", "stream");
  client.tryConnect(taken.localAddr!);
  const [event] = await poll([{ socket: client }], { timeout: 1000 });
  assertEquals(said(event), "error hangUp");
});

test("poll() tells of urgent data apart from others", FFI, async () => {
  const [client, served] = await tcpPair();
  using _client = client;
  using _served = served;
  const waiting = poll([{ socket: served, priority: true }], { timeout: 1000 });
  await sleep(10);
  client.trySend(bytes("common"));
  assertEquals(await poll([{ socket: served, priority: true }], { timeout: 20 }), []);
  client.trySend(bytes("!"), { outOfBand: true });
  assertEquals((await waiting).map(said), ["priority"]);
  using poller = new Poller<Socket>();
  poller.add(served, { priority: true });
  assertEquals((await poller.wait({ timeout: 1000 })).map(said), ["priority"]);
  assertEquals(served.tryReceive(new Uint8Array(1), { outOfBand: true }), bytes("!"));
  assertEquals(await poll([{ socket: served, priority: true, readable: true }]).then((all) => all.map(said)), [
    "readable",
  ]);
});

test("poll() tells of the peer's end, also those who ask for nothing", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  assertEquals(await poll([{ socket: a }], { timeout: 10 }), []);
  const waiting = poll([{ socket: a }], { timeout: 1000 });
  b.close();
  assertEquals((await waiting).map(said), ["hangUp"]);
  assertEquals((await poll([{ socket: a, readable: true }])).map(said), ["readable hangUp"]);
});

test("poll() tells what a peer in Python does: sends, finishes, resets", PYTHON, async () => {
  using listener = Socket.open("inet", "stream");
  listener.bind(LOCAL);
  listener.listen();
  const child = python(`
import socket, struct, time
s = socket.create_connection(("127.0.0.1", ${listener.localAddr!.port}))
s.sendall(b"a"); assert s.recv(1) == b"1"
s.shutdown(socket.SHUT_WR); assert s.recv(1) == b"2"
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()`);
  assertEquals((await poll([{ socket: listener, readable: true }], { timeout: 5000 })).map(said), ["readable"]);
  using served = listener.tryAccept()!;
  const asked = [{ socket: served, readable: true }];
  assertEquals((await poll(asked, { timeout: 5000 })).map(said), ["readable"]);
  assertEquals(served.tryReceive(), bytes("a"));
  served.trySend(bytes("1"));
  // A peer that has only finished sending is not gone: the end of the stream can be read.
  assertEquals((await poll(asked, { timeout: 5000 })).map(said), ["readable"]);
  assertEquals(served.tryReceive(), new Uint8Array());
  served.trySend(bytes("2"));
  assertEquals((await poll([{ socket: served }], { timeout: 5000 })).map(said), ["error hangUp"]);
  assertEquals((await child.output()).code, 0);
});

test("poll() takes sockets of Deno, of node and of this library together", FFI, async () => {
  const [client, served] = await denoPair();
  using listener = Deno.listen(LOCAL);
  const datagrams = Deno.listenDatagram({ ...LOCAL, transport: "udp" });
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const ours = Socket.open("inet", "dgram");
  ours.bind(LOCAL);
  const entries = [served, listener, datagrams, server, ours].map((socket) => ({
    socket: socket as SocketLike,
    readable: true,
  }));
  assertEquals(await poll(entries, { timeout: 10 }), []);

  const first = poll(entries);
  await client.write(bytes("hello"));
  assertStrictEquals((await first)[0]!.socket, served);
  // Deno itself has not lost it.
  const buffer = new Uint8Array(10);
  assertEquals(await served.read(buffer), 5);
  assertEquals(await poll(entries, { timeout: 0 }), []);

  const second = poll(entries);
  ours.trySendTo(bytes("x"), datagrams.addr as Deno.NetAddr);
  assertStrictEquals((await second)[0]!.socket, datagrams);
  await datagrams.receive();

  const nodeClient = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  const [nodeServed] = await Promise.all([
    new Promise<net.Socket>((resolve) => server.once("connection", resolve)),
    new Promise((resolve) => nodeClient.once("connect", resolve)),
  ]);
  nodeServed.pause();
  nodeClient.pause();
  assertEquals((await poll([{ socket: nodeClient, readable: true, writable: true }])).map(said), ["writable"]);
  for (const socket of [nodeClient, nodeServed]) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  for (const socket of [datagrams, ours, client, served]) socket.close();
});

test("poll() rejects within 500 ms when Deno closes a connection that it waits for", FFI, async () => {
  const [client, served] = await denoPair();
  const [ours, other] = Socket.pair();
  const waiting = assertRejects(
    () => poll([{ socket: ours as SocketLike, readable: true }, { socket: served, readable: true }]),
    Deno.errors.BadResource,
    "closed",
  );
  await sleep(20);
  served.close();
  await assertWithin(500, waiting);
  await assertRejects(() => poll([{ socket: served }]), Deno.errors.BadResource, "closed");
  for (const socket of [client, ours, other]) socket.close();
});

test("poll() rejects when a socket is closed or detached, also while a duplicate is open", FFI, async () => {
  for (const end of ["close", "detach"] as const) {
    const [a, b] = Socket.pair();
    using duplicate = a.dup();
    const waiting = assertRejects(
      () => poll([{ socket: a, readable: true }, { socket: b, readable: true }]),
      Deno.errors.BadResource,
      "closed",
    );
    await sleep(10);
    const fd = a[end]();
    await assertWithin(500, waiting);
    await assertRejects(() => poll([{ socket: a }]), Deno.errors.BadResource, "closed");
    b.trySend(bytes("x"));
    assertEquals((await poll([{ socket: duplicate, readable: true }])).map(said), ["readable"]);
    if (fd !== undefined) Socket.adopt(fd).close();
    b.close();
  }
});

test("poll() tells nobody of a number that was closed and belongs to another", FFI, async () => {
  let early = 0;
  for (let i = 0; i < 20; i++) {
    const [client, served] = await denoPair();
    let soon = true;
    const timer = setTimeout(() => soon = false, 100);
    const waiting = poll([{ socket: served, readable: true }]).then(() => "told", (error) => error);
    await sleep(1);
    served.close();
    // One of these has the number of the connection.
    const sockets = Array.from({ length: 3 }, () => Socket.pair()).flat();
    const received = Promise.all(sockets.map((socket) => socket.receive()));
    const polled = poll(sockets.map((socket) => ({ socket, readable: true })));
    await sleep(1);
    for (const socket of sockets) socket.trySend(bytes("x"));
    assertEquals((await received).length, 6);
    assert((await polled).length > 0);
    assertInstanceOf(await waiting, Deno.errors.BadResource);
    if (soon) early++;
    clearTimeout(timer);
    for (const socket of [...sockets, client]) socket.close();
  }
  // The successor is noticed at once when it is waited for, not with the next look at the borrowed ones.
  assert(early > 0);
});

test("poll() names what is wrong with its input", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  using _b = b;
  const wrong = (entries: unknown, options?: unknown) => () => poll(entries as [], options as { timeout: number });
  await assertRejects(wrong(undefined), TypeError, "Cannot poll: the entries are undefined, they must be an array");
  await assertRejects(wrong({ socket: a }), TypeError, "must be an array");
  await assertRejects(wrong([a]), TypeError, "Cannot poll entry 0: the socket is undefined, it must be an object");
  await assertRejects(wrong([{ socket: a }, null]), TypeError, "Cannot poll entry 1: it is null");
  // deno-lint-ignore no-sparse-arrays
  await assertRejects(wrong([, { socket: a }]), TypeError, "Cannot poll entry 0: it is undefined");
  await assertRejects(wrong([{ readable: true }]), TypeError, "Cannot poll entry 0: the socket is undefined");
  await assertRejects(wrong([{ socket: 7 }]), TypeError, "the socket is 7");
  await assertRejects(wrong([{ socket: {} }]), TypeError, "Cannot poll entry 0: the socket is an object");
  await assertRejects(wrong([{ socket: a, readable: 1 }]), TypeError, "Cannot poll entry 0: readable is 1");
  await assertRejects(wrong([{ socket: a }], 100), TypeError, "the options is 100, it must be an object");
  await assertRejects(wrong([{ socket: a }], { timeout: "1" }), TypeError, 'timeout is "1", it must be a number');
  for (const timeout of [NaN, -1, Infinity, 2 ** 31]) {
    await assertRejects(wrong([{ socket: a }], { timeout }), RangeError, `timeout is ${timeout}, it must be a number`);
  }
  await assertRejects(wrong([{ socket: a }], { signal: {} }), TypeError, "it must be an AbortSignal");
});

test("poll() that only looks lets the rest of the program have its turn", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  using _b = b;
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const until = performance.now() + 200;
  while (performance.now() < until) await poll([{ socket: a, readable: true }], { timeout: 0 });
  clearInterval(timer);
  // A loop that is starved has none.
  assert(ticks >= 3, `${ticks} ticks in 200 ms`);
});

test("Poller.wait() tells what is ready each time, and with edge once for each change", FFI, async () => {
  const [level, toLevel] = Socket.pair();
  const [edge, toEdge] = Socket.pair();
  {
    using poller = new Poller<Socket>();
    poller.add(level, { readable: true });
    poller.add(edge, { readable: true, edge: true });
    assertEquals(await poller.wait({ timeout: 0 }), []);
    toLevel.trySend(bytes("1"));
    toEdge.trySend(bytes("1"));
    const socketsOf = (events: PollEvent<Socket>[]) => new Set(events.map(({ socket }) => socket));
    assertEquals(socketsOf(await poller.wait()), new Set([level, edge]));
    assertEquals(socketsOf(await poller.wait()), new Set([level]));
    toEdge.trySend(bytes("2"));
    assertEquals(socketsOf(await poller.wait()), new Set([level, edge]));
    level.tryReceive();
    assertEquals(await poller.wait({ timeout: 20 }), []);
    assertEquals(edge.tryReceive(), bytes("12"));
    // It also waits for them.
    for (const [socket, peer] of [[level, toLevel], [edge, toEdge]] as const) {
      const waiting = poller.wait();
      await sleep(10);
      peer.trySend(bytes("3"));
      const events = await waiting;
      assertStrictEquals(events[0]!.socket, socket);
      assertEquals(events, [{ ...NOTHING, socket, readable: true }]);
      socket.tryReceive();
    }
  }
  // The sockets are open.
  assertEquals(level.trySend(bytes("x")), 1);
  for (const socket of [level, toLevel, edge, toEdge]) socket.close();
});

test("Poller.modify() and Poller.delete() change what is told", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  using poller = new Poller();
  poller.add(a, {});
  b.trySend(bytes("x"));
  assertEquals(await poller.wait({ timeout: 10 }), []);
  poller.modify(a, { writable: true });
  assertEquals((await poller.wait({ timeout: 10 })).map(said), ["writable"]);
  // Also what is so already is told, once more.
  poller.modify(a, { readable: true, edge: true });
  assertEquals((await poller.wait({ timeout: 10 })).map(said), ["readable"]);
  assertEquals(await poller.wait({ timeout: 10 }), []);
  poller.modify(a, { readable: true });
  const waiting = poller.wait({ timeout: 50 });
  assertEquals((await waiting).map(said), ["readable"]);
  poller.delete(a);
  assertEquals(await poller.wait({ timeout: 10 }), []);
  // What is asked for while a wait goes on counts in it.
  const later = poller.wait({ timeout: 1000 });
  await sleep(10);
  poller.add(a, { readable: true, writable: true });
  assertEquals((await later).map(said), ["readable writable"]);
  poller.modify(a, {});
  b.close();
  assertEquals((await poller.wait({ timeout: 10 })).map(said), ["hangUp"]);
});

test("Poller takes 1,000 sockets, and tells of those that are ready, max at a time", FFI, async () => {
  const pairs = Array.from({ length: 1000 }, () => Socket.pair("dgram"));
  {
    using poller = new Poller<Socket>();
    for (const [socket] of pairs) poller.add(socket, { readable: true });
    const waiting = poller.wait();
    pairs[777]![1].trySend(bytes("x"));
    assertEquals((await waiting).map(({ socket }) => socket), [pairs[777]![0]]);
    for (const [, peer] of pairs) peer.trySend(bytes("y"));
    assertEquals(new Set((await poller.wait()).map(({ socket }) => socket)).size, 1000);
    // Those that did not fit come next: everyone has their turn.
    const seen = new Set<Socket>();
    for (let i = 0; i < 10; i++) {
      const events = await poller.wait({ max: 100 });
      assertEquals(events.length, 100);
      for (const { socket } of events) seen.add(socket);
    }
    assertEquals(seen.size, 1000);
    for (const [socket] of pairs) while (socket.tryReceive() !== null);
    assertEquals(await poller.wait({ timeout: 0 }), []);
    for (const [socket] of pairs.slice(0, 500)) poller.delete(socket);
    for (const [, peer] of pairs) peer.trySend(bytes("z"));
    assertEquals((await poller.wait()).length, 500);
  }
  for (const pair of pairs) for (const socket of pair) socket.close();
});

test("Poller takes sockets of Deno; one that Deno closes drops out", FFI, async () => {
  const [client, served] = await denoPair();
  using poller = new Poller();
  poller.add(served, { readable: true, edge: true });
  poller.add(client, { writable: true });
  assertEquals((await poller.wait({ timeout: 1000 })).map(({ socket }) => socket), [client]);
  poller.modify(client, { readable: true });
  const waiting = poller.wait({ timeout: 1000 });
  await client.write(bytes("hello"));
  assertStrictEquals((await waiting)[0]!.socket, served);
  served.close();
  assertThrows(() => poller.modify(served, {}), Deno.errors.BadResource, "closed");
  assertThrows(() => poller.delete(served), Deno.errors.BadResource, "closed");
  // The other one is told of the end of the stream.
  assertEquals((await poller.wait({ timeout: 1000 })).map(({ socket }) => socket), [client]);
  client.close();
  assertEquals(await poller.wait({ timeout: 10 }), []);
});

test("Poller lets a socket go that is closed, also while a duplicate is open", FFI, async () => {
  using poller = new Poller<Socket>();
  for (let i = 0; i < 5; i++) {
    const [a, b] = Socket.pair();
    const [c, d] = Socket.pair();
    const duplicate = a.dup();
    poller.add(a, { readable: true });
    poller.add(c, { readable: true });
    const waiting = poller.wait({ timeout: 1000 });
    await sleep(1);
    a.close();
    b.trySend(bytes("for the duplicate"));
    await sleep(1);
    d.trySend(bytes("x"));
    assertEquals((await waiting).map(({ socket }) => socket), [c]);
    // A successor of the number is itself.
    const [e, f] = Socket.pair();
    poller.add(e, { readable: true });
    poller.add(f, { readable: true });
    assertEquals((await poller.wait({ timeout: 0 })).map(({ socket }) => socket), [c]);
    assertThrows(() => poller.modify(a, { readable: true }), Deno.errors.BadResource, "closed");
    poller.add(duplicate, { readable: true });
    assertEquals(new Set((await poller.wait()).map(({ socket }) => socket)), new Set([c, duplicate]));
    for (const socket of [b, c, d, duplicate, e, f]) socket.close();
    // It sleeps: nothing of the closed ones keeps it busy.
    const since = performance.now();
    assertEquals(await poller.wait({ timeout: 30 }), []);
    assert(performance.now() - since >= 30);
  }
});

test("Poller is not kept busy by a connection that Deno closed while a duplicate of it is open", FFI, async () => {
  const [client, served] = await denoPair();
  using duplicate = Socket.adopt(libc("Cannot test").dup(descriptorOf(served, "Cannot test").fd));
  const [a, b] = Socket.pair();
  using _a = a;
  using _b = b;
  using poller = new Poller();
  poller.add(served, { readable: true });
  poller.add(a, { readable: true });
  const waits = [poller.wait({ timeout: 1000 }), poller.wait({ timeout: 1000 })];
  await sleep(1);
  served.close();
  await client.write(bytes("for the duplicate"));
  await sleep(20);
  b.trySend(bytes("x"));
  for (const events of await Promise.all(waits)) assertEquals(events.map(({ socket }) => socket), [a]);
  a.tryReceive();
  const before = process.cpuUsage();
  assertEquals(await poller.wait({ timeout: 500 }), []);
  const after = process.cpuUsage();
  assert(after.user + after.system - before.user - before.system < 250_000, "it spins");
  assertEquals(duplicate.tryReceive(), bytes("for the duplicate"));
  client.close();
});

test("Poller tells of the right object when numbers are reused, 2,000 times", FFI, async () => {
  using poller = new Poller<Socket>();
  const [first, last] = Socket.pair();
  poller.add(first, { readable: true });
  for (let i = 0; i < 2000; i++) {
    const [a, b] = Socket.pair();
    poller.add(a, { readable: true, edge: i % 2 === 0 });
    b.trySend(bytes("x"));
    const events = await poller.wait({ timeout: 1000 });
    assertEquals(events.length, 1);
    assertStrictEquals(events[0]!.socket, a);
    if (i % 3 === 0) poller.delete(a);
    a.close();
    b.close();
  }
  last.close();
  assertEquals((await poller.wait()).map(said), ["readable hangUp"]);
  first.close();
});

test("Poller serves two waits at once", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  using _b = b;
  using poller = new Poller<Socket>();
  poller.add(a, { readable: true });
  const level = [poller.wait({ timeout: 1000 }), poller.wait({ timeout: 1000 })];
  await sleep(10);
  b.trySend(bytes("x"));
  assertEquals((await Promise.all(level)).map((events) => events.map(said)), [["readable"], ["readable"]]);
  a.tryReceive();
  // A change is told to one; the other gets the next.
  poller.modify(a, { readable: true, edge: true });
  const edge = [poller.wait({ timeout: 1000 }), poller.wait({ timeout: 1000 })];
  await sleep(10);
  b.trySend(bytes("y"));
  await Promise.race(edge);
  b.trySend(bytes("z"));
  assertEquals((await Promise.all(edge)).map((events) => events.map(said)), [["readable"], ["readable"]]);
});

test("two Pollers, poll() and receive() wait for one socket", FFI, async () => {
  const [a, b] = Socket.pair("dgram");
  using one = new Poller<Socket>();
  using two = new Poller<Socket>();
  one.add(a, { readable: true });
  two.add(a, { readable: true, edge: true });
  const all = Promise.all([one.wait(), two.wait(), poll([{ socket: a, readable: true }])]);
  const received = a.receive();
  await sleep(10);
  b.trySend(bytes("x"));
  assertEquals(await received, bytes("x"));
  b.trySend(bytes("y"));
  b.trySend(bytes("z"));
  assertEquals((await all).map((events) => events.map(said)), [["readable"], ["readable"], ["readable"]]);
  const rejected = assertRejects(() => poll([{ socket: a, priority: true }]), Deno.errors.BadResource);
  a.close();
  await rejected;
  assertEquals(await Promise.all([one.wait({ timeout: 5 }), two.wait({ timeout: 5 })]), [[], []]);
  b.close();
});

test("Poller.wait() is over after its timeout, by its signal, and when the Poller is closed", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  using _b = b;
  const poller = new Poller<Socket>();
  poller.add(a, { readable: true });
  const since = performance.now();
  assertEquals(await poller.wait({ timeout: 50 }), []);
  assert(performance.now() - since >= 50);
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 10);
  assertStrictEquals(await poller.wait({ signal: controller.signal }).catch((error) => error), reason);
  const waits = [1, 2].map(() => assertRejects(() => poller.wait(), Deno.errors.BadResource, "closed"));
  await sleep(10);
  poller.close();
  await Promise.all(waits);
  assertThrows(() => poller.close(), Deno.errors.BadResource, "the Poller is closed");
  poller[Symbol.dispose]();
  assertThrows(() => poller.add(a, {}), Deno.errors.BadResource, "the Poller is closed");
  assertThrows(() => poller.modify(a, {}), Deno.errors.BadResource, "the Poller is closed");
  assertThrows(() => poller.delete(a), Deno.errors.BadResource, "the Poller is closed");
  await assertRejects(() => poller.wait({ timeout: 0 }), Deno.errors.BadResource, "the Poller is closed");
});

test("Poller names what is wrong", FFI, async () => {
  const [a, b] = Socket.pair();
  using _a = a;
  using _b = b;
  using poller = new Poller<Socket>();
  poller.add(a, { readable: true });
  const twice = assertThrows(() => poller.add(a, { readable: true }), Deno.errors.AlreadyExists, "use modify()");
  assertEquals((twice as unknown as SystemError).code, "EEXIST");
  assertThrows(
    () => poller.add({} as Socket, {}),
    TypeError,
    "Cannot add a socket to a Poller: the socket is an object",
  );
  assertThrows(() => poller.add({ [DESCRIPTOR]: a.fd } as Socket, {}), Deno.errors.AlreadyExists, "by another object");
  for (const call of [() => poller.modify(b, {}), () => poller.delete(b)]) {
    const missing = assertThrows(call, Deno.errors.NotFound, "add() it first");
    assertEquals((missing as unknown as SystemError).code, "ENOENT");
  }
  assertThrows(() => poller.add(b, undefined as unknown as object), TypeError, "the interest is undefined");
  assertThrows(() => poller.add(b, { edge: "yes" as unknown as boolean }), TypeError, 'edge is "yes"');
  assertThrows(() => poller.add(null as unknown as Socket, {}), TypeError, "the socket is null");
  assertThrows(() => poller.delete(7 as unknown as Socket), TypeError, "the socket is 7");
  for (const max of [0, -1, 1.5, NaN]) await assertRejects(() => poller.wait({ max }), RangeError, `max is ${max}`);
  await assertRejects(() => poller.wait({ timeout: -1 }), RangeError, "timeout is -1");
  await assertRejects(() => poller.wait({ timeout: NaN }), RangeError, "timeout is NaN");
});

test("Poller tells of thousands of changes while a python3 peer makes them", PYTHON, async () => {
  using listener = Socket.open("inet", "stream");
  listener.bind(LOCAL);
  listener.listen();
  const child = python(`
import socket
ss = [socket.create_connection(("127.0.0.1", ${listener.localAddr!.port})) for _ in range(50)]
for _ in range(40):
    for s in ss: s.sendall(b"ping")
    for s in ss: assert s.recv(4, socket.MSG_WAITALL) == b"ping"
for s in ss: s.close()`);
  const poller = new Poller<Socket>();
  poller.add(listener, { readable: true });
  const open = new Set<Socket>();
  let ended = 0;
  while (ended < 50) {
    for (const { socket } of await poller.wait({ timeout: 5000 })) {
      if (socket === listener) {
        for (let one = listener.tryAccept(); one !== null; one = listener.tryAccept()) {
          poller.add(one, { readable: true, edge: true });
          open.add(one);
          assertEquals(TCP_INFO.get(one).state, "established");
        }
        continue;
      }
      for (let data = socket.tryReceive(); data !== null; data = socket.tryReceive()) {
        if (data.length > 0) {
          socket.trySend(data);
          continue;
        }
        open.delete(socket);
        socket.close();
        ended++;
        break;
      }
    }
  }
  poller.close();
  assertEquals([open.size, (await child.output()).code], [0, 0]);
});
