// Socket.receive and tryReceive: streams to their end, datagrams whole, waitAll, peeking, and what an abort leaves.
// With addresses: sendto_test.ts; timeouts: timeouts_test.ts.
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { SO_LINGER } from "../../options/mod.ts";
import { Socket } from "../../socket/socket.ts";
import {
  assertFails,
  both,
  bytes,
  FFI,
  IPV6,
  LOCAL6,
  outcome,
  PYTHON,
  python,
  sleep,
  tcpPair,
  test,
  text,
  udp,
  udpPair,
  unusedPort,
} from "./make.ts";

test("receive() gives the filled part of the buffer it was given", FFI, async () => {
  using pair = await udpPair();
  await pair[0].send(bytes("abc"));
  const memory = new Uint8Array(100);
  const got = await pair[1].receive(memory.subarray(10, 20));
  assertStrictEquals(got.buffer, memory.buffer);
  assertEquals([got.byteOffset, text(got)], [10, "abc"]);
  assertEquals([memory[9], memory[13]], [0, 0]);
});

test("receive() without a buffer gives memory of its own", FFI, async () => {
  using pair = await udpPair();
  await pair[0].send(bytes("first"));
  await pair[0].send(bytes("other"));
  const first = await pair[1].receive();
  const second = pair[1].tryReceive()!;
  assertEquals([text(first), text(second)], ["first", "other"]);
  assertEquals([first.buffer.byteLength, first.byteOffset], [5, 0]);
  await pair[0].send(new Uint8Array(65_507));
  assertEquals((await pair[1].receive()).byteLength, 65_507);
});

test("receiving without a buffer takes 64 KiB at most", FFI, async () => {
  using pair = both(Socket.pair());
  await pair[0].send(new Uint8Array(200_000));
  assertEquals((await pair[1].receive()).byteLength, 65_536);
  assertEquals((await pair[1].receiveFrom())[0].byteLength, 65_536);
  assertEquals((await pair[1].receiveMessage()).byteLength, 65_536);
  using datagrams = both(Socket.pair("dgram"));
  for (const length of [65_536, 65_537]) await datagrams[0].send(new Uint8Array(length));
  assertEquals((await datagrams[1].receive()).byteLength, 65_536);
  const { message } = await assertFails(() => datagrams[1].receive(), "EMSGSIZE", "recv");
  assert(message.endsWith("the datagram has 65537 bytes, the buffer 65536"), message);
});

test("tryReceive() gives null when there is nothing, and for nothing else", FFI, async () => {
  using pair = await tcpPair();
  assertStrictEquals(pair[0].tryReceive(), null);
  pair[1].shutdown("write");
  assertEquals((await pair[0].receive()).byteLength, 0);
  assertEquals(pair[0].tryReceive()!.byteLength, 0);
  using datagrams = await udpPair();
  await datagrams[0].send(new Uint8Array(0));
  await datagrams[1].receive(undefined, { peek: true });
  assertEquals(datagrams[1].tryReceive()!.byteLength, 0);
  assertStrictEquals(datagrams[1].tryReceive(), null);
});

test("receive() at the end of a stream is empty, again and again", FFI, async () => {
  using pair = await tcpPair();
  const waiting = pair[0].receive();
  await pair[1].send(bytes("last"));
  pair[1].close();
  assertEquals(text(await waiting), "last");
  for (let i = 0; i < 3; i++) assertEquals((await pair[0].receive()).byteLength, 0);
});

test("receive() on a connection that was reset fails with ECONNRESET", FFI, async () => {
  using pair = await tcpPair();
  const waiting = outcome(pair[0].receive());
  SO_LINGER.set(pair[1], { enabled: true, seconds: 0 });
  pair[1].close();
  const error = await waiting as { code: string; syscall: string };
  assertInstanceOf(error, Deno.errors.ConnectionReset);
  assertEquals([error.code, error.syscall], ["ECONNRESET", "recv"]);
  // The error is told once; then it is the end.
  assertEquals((await pair[0].receive()).byteLength, 0);
});

test("receive() on a stream without a peer fails with ENOTCONN", FFI, async () => {
  using socket = Socket.open("inet", "stream");
  await assertFails(() => socket.receive(), "ENOTCONN", "recv", Deno.errors.NotConnected);
  await assertFails(() => socket.tryReceive(), "ENOTCONN", "recv", Deno.errors.NotConnected);
});

test("receive() that waits hears that its datagram was refused", FFI, async () => {
  using socket = udp();
  await socket.connect({ hostname: "127.0.0.1", port: unusedPort("dgram") });
  const waiting = outcome(socket.receive());
  await socket.send(bytes("x"));
  const error = await waiting as Error;
  assertInstanceOf(error, Deno.errors.ConnectionRefused);
  assert(error.message.includes("earlier datagram"), error.message);
});

test("a datagram that does not fit is an error with its length, and the next one comes", FFI, async () => {
  for (const type of ["dgram", "seqpacket"] as const) {
    const [left, right] = Socket.pair(type);
    using _pair = both([left, right]);
    await left.send(bytes("0123456789"));
    await left.send(bytes("next"));
    const error = await assertFails(() => right.receive(new Uint8Array(4)), "EMSGSIZE", "recv");
    assert(error.message.includes("10 bytes"), error.message);
    assertEquals(text(await right.receive(new Uint8Array(4))), "next");
  }
});

test("receive() peeks without taking", FFI, async () => {
  using pair = await udpPair();
  await pair[0].send(bytes("look"));
  assertEquals(text(await pair[1].receive(undefined, { peek: true })), "look");
  assertEquals(text(pair[1].tryReceive(undefined, { peek: true })!), "look");
  assertEquals(text(await pair[1].receive()), "look");
  assertStrictEquals(pair[1].tryReceive(undefined, { peek: true }), null);
});

test("waitAll fills the buffer, or gives what came before the end", FFI, async () => {
  using pair = await tcpPair();
  const filling = pair[1].receive(new Uint8Array(10), { waitAll: true });
  for (const part of ["012", "345", "6789ab"]) {
    await pair[0].send(bytes(part));
    await sleep(2);
  }
  assertEquals(text(await filling), "0123456789");
  pair[0].shutdown("write");
  assertEquals(text(await pair[1].receive(new Uint8Array(10), { waitAll: true })), "ab");
  assertEquals((await pair[1].receive(new Uint8Array(10), { waitAll: true })).byteLength, 0);
});

test("waitAll that is aborted in the middle loses nothing", FFI, async () => {
  using pair = await tcpPair();
  const abortedAfter = async (sent: string) => {
    const controller = new AbortController();
    const filling = outcome(pair[1].receive(new Uint8Array(10), { waitAll: true, signal: controller.signal }));
    await pair[0].send(bytes(sent));
    await sleep(5);
    controller.abort("enough");
    assertEquals(await filling, "enough");
  };
  await abortedAfter("0123");
  assertEquals(text(pair[1].tryReceive(undefined, { peek: true })!), "0123");
  assertEquals(text(pair[1].tryReceive(new Uint8Array(2))!), "01");
  await abortedAfter("45");
  assertEquals(text((await pair[1].receiveFrom(new Uint8Array(1)))[0]), "2");
  await pair[0].send(bytes("6789"));
  assertEquals(text(await pair[1].receive(new Uint8Array(7), { waitAll: true })), "3456789");
  assertStrictEquals(pair[1].tryReceive(), null);
});

test("waitAll takes one datagram, and goes neither with peek nor outOfBand", FFI, async () => {
  using pair = await udpPair();
  await pair[0].send(bytes("one"));
  await pair[0].send(bytes("two"));
  assertEquals(text(await pair[1].receive(new Uint8Array(10), { waitAll: true })), "one");
  await assertRejects(() => pair[1].receive(new Uint8Array(9), { waitAll: true, peek: true }), TypeError, "peek");
});

test("aborting receive() rejects with the reason, keeps the socket and every datagram", FFI, async () => {
  using pair = await udpPair();
  const reason = new Error("enough");
  const controller = new AbortController();
  const waiting = outcome(pair[1].receive(undefined, { signal: controller.signal }));
  controller.abort(reason);
  assertStrictEquals(await waiting, reason);
  await pair[0].send(bytes("kept"));
  const again = outcome(pair[1].receive(undefined, { signal: controller.signal }));
  assertStrictEquals(await again, reason);
  assertEquals(text(await pair[1].receive()), "kept");
});

test("an abort between two waits of one call is seen", FFI, async () => {
  using pair = await udpPair();
  // Both are woken by one datagram; the winner aborts the other, which is about to look and wait again.
  for (let i = 0; i < 50; i++) {
    const controller = new AbortController();
    const winner = pair[1].receive().then((got) => {
      controller.abort("lost");
      return got;
    });
    const loser = outcome(pair[1].receive(undefined, { signal: controller.signal }));
    await pair[0].send(bytes(`${i}`));
    assertEquals(text(await winner), `${i}`);
    assertEquals(await loser, "lost");
  }
});

test("close() rejects a receive() that waits", FFI, async () => {
  const socket = udp();
  const waiting = outcome(socket.receive());
  socket.close();
  assertInstanceOf(await waiting, Deno.errors.BadResource);
  const [left, right] = Socket.pair();
  const filling = outcome(left.receive(new Uint8Array(10), { waitAll: true }));
  await right.send(bytes("some"));
  await sleep(2);
  left.close();
  assertInstanceOf(await filling, Deno.errors.BadResource);
  right.close();
});

test("a buffer that is transferred while receive() waits is an error, and the datagram stays", FFI, async () => {
  using pair = await udpPair();
  const buffer = new Uint8Array(10);
  const waiting = outcome(pair[1].receive(buffer));
  await sleep(1);
  buffer.buffer.transfer();
  await pair[0].send(bytes("stays"));
  assertInstanceOf(await waiting, TypeError);
  assertEquals(text(await pair[1].receive()), "stays");
});

test("receive() takes no buffer but bytes, and no errorQueue", FFI, async () => {
  using pair = await udpPair();
  await pair[0].send(bytes("stays"));
  await pair[1].receive(undefined, { peek: true });
  const detached = new Uint8Array(4);
  detached.buffer.transfer();
  for (const wrong of [null, "text", 5, NaN, [1], {}, new ArrayBuffer(4), new Uint16Array(2), detached]) {
    const buffer = wrong as Uint8Array<ArrayBuffer>;
    await assertRejects(() => pair[1].receive(buffer), TypeError);
    await assertRejects(() => pair[1].receive(buffer, { waitAll: true }), TypeError);
    assertThrows(() => pair[1].tryReceive(buffer), TypeError);
    assertThrows(() => pair[1].tryReceiveFrom(buffer), TypeError);
  }
  await assertRejects(() => pair[1].receive(undefined, { errorQueue: true }), TypeError, "receiveMessage()");
  assertEquals(text(await pair[1].receive()), "stays");
});

test("receive() into no bytes takes an empty datagram, and fails on others", FFI, async () => {
  using pair = await udpPair();
  await pair[0].send(new Uint8Array(0));
  assertEquals((await pair[1].receive(new Uint8Array(0))).byteLength, 0);
  await pair[0].send(bytes("x"));
  await assertFails(() => pair[1].receive(new Uint8Array(0)), "EMSGSIZE", "recv");
});

test("receive() of IPv6 datagrams and streams", IPV6, async () => {
  using receiver = Socket.open("inet6", "dgram");
  receiver.bind(LOCAL6);
  using sender = Socket.open("inet6", "dgram");
  await sender.connect(receiver.localAddr!);
  await sender.send(bytes("six"));
  assertEquals(text(await receiver.receive()), "six");
});

test("Python's datagrams arrive, whole and in order", PYTHON, async () => {
  using receiver = udp();
  const sending = python(
    `import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(100): s.sendto(str(i).encode() * i, ("127.0.0.1", int(sys.argv[1])))`,
    String(receiver.localAddr!.port),
  );
  for (let i = 0; i < 100; i++) assertEquals(text(await receiver.receive()), String(i).repeat(i));
  await sending;
});

test("waitAll needs a buffer to fill", FFI, async () => {
  using pair = await udpPair();
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  await pair[0].send(bytes("x"));
  right.trySend(bytes("x"));
  for (const socket of [pair[1], left]) {
    await assertRejects(
      () => socket.receive(undefined, { waitAll: true }),
      TypeError,
      "waitAll needs a buffer to fill",
    );
    assertEquals(text(await socket.receive()), "x");
  }
});

test("options that are no object are refused by every call that waits, and nothing is taken", FFI, async () => {
  const [left, right] = Socket.pair("dgram");
  using _pair = both([left, right]);
  await right.send(bytes("kept"));
  const wrong = 5 as never;
  for (
    const call of [
      () => left.receive(undefined, wrong),
      () => left.receiveFrom(undefined, wrong),
      () => left.receiveMessage(wrong),
      () => left.send(bytes("x"), wrong),
      () => left.accept(wrong),
    ]
  ) await assertRejects(call, TypeError, "the options is 5, it must be an object");
  assertEquals([text(left.tryReceive()!), right.tryReceive()], ["kept", null]);
});
