// Bytes that an aborted receive with waitAll had taken: who hears of them, who gets them, and that nobody loses them.
// The next receive of the same kind: receive_test.ts.
import { assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import tls from "node:tls";
import { poll, Poller } from "../../socket/poll.ts";
import { Socket } from "../../socket/socket.ts";
import { certificate } from "../certificate.ts";
import { both, bytes, FFI, LOCAL, outcome, sleep, tcpPair, test, text } from "./make.ts";
import { assertWithin } from "../time.ts";

/** A stream with bytes left, and its peer. */
async function withLeft(
  left: string,
  pair = Socket.pair() as [Socket, Socket],
): Promise<[Socket, Socket] & Disposable> {
  const [socket, peer] = pair;
  const controller = new AbortController();
  const filling = outcome(socket.receive(new Uint8Array(100), { waitAll: true, signal: controller.signal }));
  await peer.send(bytes(left));
  while ((await poll([{ socket, readable: true }], { timeout: 0 })).length > 0) await sleep(1);
  controller.abort("enough");
  assertEquals(await filling, "enough");
  return both([socket, peer]);
}

test("poll() tells a socket with bytes left readable, at once, until they are received", FFI, async () => {
  using pair = await withLeft("left");
  const [socket, peer] = pair;
  const entries = [{ socket, readable: true }, { socket, writable: true }, { socket: peer, readable: true }];
  for (const options of [{ timeout: 0 }, { timeout: 1000 }]) {
    const events = await poll(entries, options);
    assertEquals(events.map(({ socket, readable, writable }) => [socket.fd, readable, writable]), [
      [socket.fd, true, false],
      [socket.fd, false, true],
    ]);
  }
  assertEquals(text(socket.tryReceive(new Uint8Array(2))!), "le");
  assertEquals((await poll([entries[0]!], { timeout: 0 })).length, 1);
  assertEquals(text(socket.tryReceive()!), "ft");
  assertEquals(await poll([entries[0]!], { timeout: 0 }), []);
});

test("poll(), Poller.wait() and receive() that wait are told when a receive leaves its bytes", FFI, async () => {
  const [socket, peer] = Socket.pair();
  using _pair = both([socket, peer]);
  const controller = new AbortController();
  const filling = outcome(socket.receive(new Uint8Array(100), { waitAll: true, signal: controller.signal }));
  await peer.send(bytes("left"));
  await sleep(5);
  using poller = new Poller<Socket>();
  poller.add(socket, { readable: true });
  const polled = poll([{ socket, readable: true }], { timeout: 5000 });
  const waited = poller.wait({ timeout: 5000 });
  await sleep(5);
  controller.abort("enough");
  assertEquals(await filling, "enough");
  for (const events of await assertWithin(1000, Promise.all([polled, waited]))) {
    assertEquals(events.map(({ socket, readable }) => [socket.fd, readable]), [[socket.fd, true]]);
  }
  assertEquals(text(socket.tryReceive()!), "left");

  const again = new AbortController();
  const refilling = outcome(socket.receive(new Uint8Array(100), { waitAll: true, signal: again.signal }));
  await peer.send(bytes("more"));
  await sleep(5);
  const received = socket.receive();
  await sleep(5);
  again.abort("enough");
  assertEquals(await refilling, "enough");
  assertEquals(text(await received), "more");
});

test("Poller tells of bytes left each time, with edge once, and again at modify()", FFI, async () => {
  using pair = await withLeft("left");
  const [socket, peer] = pair;
  const told = async (poller: Poller<Socket>, max = 10) =>
    (await poller.wait({ timeout: 0, max })).map(({ socket, readable, writable }) => [socket.fd, readable, writable]);
  const readable = [[socket.fd, true, false]];
  using level = new Poller<Socket>();
  using edge = new Poller<Socket>();
  level.add(socket, { readable: true });
  edge.add(socket, { readable: true, edge: true });
  for (let i = 0; i < 3; i++) assertEquals(await told(level), readable);
  assertEquals([await told(edge), await told(edge)], [readable, []]);
  edge.modify(socket, { readable: true, edge: true });
  assertEquals([await told(edge), await told(edge)], [readable, []]);
  // What the kernel tells comes in the same event, and takes no other's place.
  level.modify(socket, { readable: true, writable: true });
  assertEquals(await told(level), [[socket.fd, true, true]]);
  level.modify(socket, { writable: true });
  assertEquals(await told(level), [[socket.fd, false, true]]);
  level.modify(socket, { readable: true });
  level.add(peer, { writable: true });
  assertEquals(await told(level, 1), readable);
  assertEquals((await told(level)).length, 2);
  level.delete(peer);
  socket.tryReceive();
  assertEquals([await told(level), await told(edge)], [[], []]);
  level.delete(socket);
  assertEquals(await told(level), []);
});

test("two receives that are aborted together lose nothing", FFI, async () => {
  const [socket, peer] = Socket.pair();
  using _pair = both([socket, peer]);
  const controller = new AbortController();
  const fill = () => outcome(socket.receive(new Uint8Array(100), { waitAll: true, signal: controller.signal }));
  const first = fill();
  await peer.send(bytes("first, "));
  await sleep(5);
  peer.trySend(bytes("second"));
  const second = fill();
  controller.abort("enough");
  assertEquals([await first, await second], ["enough", "enough"]);
  // The one that waited behind the other had taken nothing.
  assertEquals([text(await socket.receive()), text(await socket.receive())], ["first, ", "second"]);
});

test("a closed socket has nothing left", FFI, async () => {
  using pair = await withLeft("left");
  const [socket] = pair;
  using poller = new Poller<Socket>();
  poller.add(socket, { readable: true });
  socket.close();
  assertEquals(await poller.wait({ timeout: 0 }), []);
  assertInstanceOf(await outcome(poll([{ socket, readable: true }], { timeout: 0 })), Deno.errors.BadResource);
});

test("detach() does not part a descriptor from bytes that were taken from it", FFI, async () => {
  {
    using pair = await withLeft("left");
    const [socket, peer] = pair;
    assertThrows(() => socket.detach(), TypeError, "has taken 4 bytes, end it and receive() them first");
    assertEquals(text(await socket.receive()), "left");
    await peer.send(bytes("after"));
    const fd = socket.detach();
    using adopted = Socket.adopt(fd);
    assertEquals(text(await adopted.receive()), "after");
  }
  // Nor from those that a receive has, which is still to fill its buffer.
  const [socket, peer] = Socket.pair();
  using _pair = both([socket, peer]);
  const filling = socket.receive(new Uint8Array(10), { waitAll: true });
  await peer.send(bytes("01234"));
  await sleep(5);
  for (const give of [() => socket.detach(), () => socket.asConn(), () => socket.toNodeSocket()]) {
    assertThrows(give, TypeError, "has taken 5 bytes");
  }
  await peer.send(bytes("56789"));
  assertEquals(text(await filling), "0123456789");
  using _adopted = Socket.adopt(socket.detach());
});

test("asConn() takes bytes left along, and poll() and Poller know", FFI, async () => {
  using pair = await withLeft("left");
  const [socket, peer] = pair;
  using conn = socket.asConn();
  assertEquals((await poll([{ socket: conn, readable: true }], { timeout: 0 })).map(({ readable }) => readable), [
    true,
  ]);
  using poller = new Poller<Deno.Conn>();
  poller.add(conn, { readable: true });
  const [event] = await poller.wait({ timeout: 0 });
  assertStrictEquals(event?.socket, conn);
  await peer.send(bytes(", and after"));
  peer.shutdown("write");
  assertEquals(await new Response(conn.readable).text(), "left, and after");
});

for (const kind of ["unix", "tcp"] as const) {
  test(`${kind}: toNodeSocket() hands bytes left to node, before what comes after`, FFI, async () => {
    using pair = await withLeft("left", kind === "unix" ? Socket.pair() : await tcpPair());
    const [socket, peer] = pair;
    const node = socket.toNodeSocket();
    await peer.send(bytes(", and after"));
    peer.shutdown("write");
    let all = "";
    node.setEncoding("utf8");
    for await (const part of node) all += part;
    assertEquals(all, "left, and after");
    node.destroy();
    await sleep(5);
  });
}

test("TLS over toNodeSocket() begins with bytes left", { ...FFI, read: true }, async () => {
  const { cert, key } = await certificate();
  using listener = Socket.open("inet", "stream");
  listener.bind(LOCAL);
  listener.listen();
  const { port } = listener.localAddr!;
  const client = tls.connect({ host: "127.0.0.1", port, ca: cert, servername: "localhost" });
  const heard = new Promise((resolve, reject) => client.on("data", resolve).on("error", reject));
  const socket = await listener.accept();
  await poll([{ socket, readable: true }]);
  const controller = new AbortController();
  const filling = outcome(socket.receive(new Uint8Array(10_000), { waitAll: true, signal: controller.signal }));
  while ((await poll([{ socket, readable: true }], { timeout: 0 })).length > 0) await sleep(1);
  controller.abort("enough");
  assertEquals(await filling, "enough");
  const server = new tls.TLSSocket(socket.toNodeSocket(), { isServer: true, cert, key });
  const closed = [client, server].map((one) => new Promise((resolve) => one.on("close", resolve)));
  server.write("hello");
  assertEquals(text(await heard as Uint8Array), "hello");
  client.destroy();
  server.destroy();
  await Promise.all(closed);
});

test("receiveMessage() scatters bytes left over its buffers, and checks them first", FFI, async () => {
  using pair = await withLeft("0123456789");
  const [socket] = pair;
  const gone = new Uint8Array(4);
  gone.buffer.transfer();
  assertThrows(() => socket.tryReceiveMessage({ buffer: [new Uint8Array(2), gone] }), TypeError, "lost its memory");
  const buffer = [new Uint8Array(0), new Uint8Array(2), new Uint8Array(3)];
  for (const peek of [true, false]) {
    const message = socket.tryReceiveMessage({ buffer, peek })!;
    assertEquals([message.byteLength, text(message.data), ...buffer.map(text)], [5, "", "", "01", "234"]);
  }
  const one = socket.tryReceiveMessage({ buffer: new Uint8Array(2) })!;
  assertEquals([one.byteLength, text(one.data)], [2, "56"]);
  assertEquals(socket.tryReceiveMessage({ buffer: [] })!.byteLength, 0);
  assertEquals(text(socket.tryReceiveMessage()!.data), "789");
  assertStrictEquals(socket.tryReceiveMessage(), null);
});
