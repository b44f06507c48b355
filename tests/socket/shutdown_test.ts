// Socket.shutdown: ending one direction, or both.
// Closing: close_test.ts.
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { Socket } from "../../socket/socket.ts";
import { ROOT } from "../raw_socket.ts";
import {
  assertFails,
  both,
  bytes,
  drain,
  FFI,
  fill,
  idling,
  outcome,
  PROGRAM,
  sleep,
  tcpPair,
  test,
  text,
  udp,
  udpPair,
} from "./make.ts";

test('shutdown("write") is the end of the stream for the peer, who can still answer', FFI, async () => {
  using pair = await tcpPair();
  await pair[0].send(bytes("question"));
  pair[0].shutdown("write");
  assertEquals(text(await pair[1].receive()), "question");
  assertEquals((await pair[1].receive()).byteLength, 0);
  await pair[1].send(bytes("answer"));
  assertEquals(text(await pair[0].receive()), "answer");
});

test("send() after shutdown fails with EPIPE", FFI, async () => {
  using pair = await tcpPair();
  pair[0].shutdown("write");
  const error = await assertFails(() => pair[0].send(bytes("x")), "EPIPE", "send", Deno.errors.BrokenPipe);
  assert(error.message.includes("shut down"), error.message);
  await assertFails(() => pair[0].trySend(bytes("x")), "EPIPE", "send", Deno.errors.BrokenPipe);
  await assertFails(() => pair[0].sendAll(bytes("x")), "EPIPE", "send", Deno.errors.BrokenPipe);
});

test('shutdown("read") ends one\'s own reading, also that which waits', FFI, async () => {
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  const waiting = left.receive();
  await sleep(2);
  left.shutdown("read");
  assertEquals((await waiting).byteLength, 0);
  await left.send(bytes("still"));
  assertEquals(text(await right.receive()), "still");
});

test('shutdown("both") ends both', FFI, async () => {
  using pair = await tcpPair();
  const waiting = pair[0].receive();
  pair[0].shutdown("both");
  assertEquals((await waiting).byteLength, 0);
  await assertFails(() => pair[0].send(bytes("x")), "EPIPE", "send");
  assertEquals((await pair[1].receive()).byteLength, 0);
});

test("shutdown() lets out what was sent before", FFI, async () => {
  using pair = await tcpPair();
  const sent = fill(pair[0]);
  pair[0].shutdown("write");
  assertEquals(await drain(pair[1]), sent);
});

test("shutdown() wakes a send() that waits, which fails with EPIPE", FFI, async () => {
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  fill(left);
  const sending = outcome(left.send(bytes("x")));
  await sleep(2);
  left.shutdown("write");
  assertInstanceOf(await sending, Deno.errors.BrokenPipe);
});

test("shutdown() without a peer fails with ENOTCONN", FFI, async () => {
  using stream = Socket.open("inet", "stream");
  await assertFails(() => stream.shutdown("both"), "ENOTCONN", "shutdown", Deno.errors.NotConnected);
  using datagrams = udp();
  await assertFails(() => datagrams.shutdown("read"), "ENOTCONN", "shutdown", Deno.errors.NotConnected);
});

test("shutdown() of a datagram socket wakes its reader with nothing", FFI, async () => {
  using pair = await udpPair();
  const waiting = pair[0].receive();
  await sleep(2);
  pair[0].shutdown("read");
  assertEquals((await waiting).byteLength, 0);
});

test("shutdown() a second time is no error", FFI, async () => {
  using pair = await tcpPair();
  pair[0].shutdown("write");
  pair[0].shutdown("write");
});

test("shutdown() takes one of three words", FFI, async () => {
  using pair = await tcpPair();
  for (const wrong of [undefined, null, "", "all", 2, NaN]) {
    assertThrows(() => pair[0].shutdown(wrong as "both"), TypeError, '"read", "write" or "both"');
  }
  await pair[0].send(bytes("open"));
  assertEquals(text(await pair[1].receive()), "open");
});

test(
  'receiveFrom() and receiveMessage() after shutdown("read") of a datagram socket say so instead of waiting',
  FFI,
  async () => {
    const [left, right] = Socket.pair("dgram");
    using _pair = both([left, right]);
    const waiting = [outcome(left.receiveFrom()), outcome(left.receiveMessage())];
    await sleep(2);
    left.shutdown("read");
    for (const one of await Promise.all(waiting)) {
      assertInstanceOf(one, Error);
      assert(one.message.includes("ESHUTDOWN") && one.message.includes('by shutdown("read")'), one.message);
    }
    await assertFails(() => left.receiveFrom(), "ESHUTDOWN", "recvfrom", Error);
  },
);

test("receive() ends on a socket that was told to receive no more, though shutdown() failed or was another's", {
  ...PROGRAM,
  ...ROOT,
}, async () => {
  const said = await idling(
    // It says ENOTCONN, and does it.
    `
      const socket = Socket.open("inet", "dgram");
      socket.bind({ hostname: "127.0.0.1", port: 0 });
      try { socket.shutdown("read"); } catch {}
      const waiting = socket.receive();`,
    `
      const socket = Socket.open("inet", "raw", 253);
      try { socket.shutdown("read"); } catch {}
      const waiting = socket.receive();`,
    `
      const socket = Socket.open("inet", "raw", 253);
      await socket.connect({ hostname: "127.0.0.1" });
      socket.shutdown("read");
      const waiting = socket.receive();`,
    `
      const [left] = Socket.pair("dgram");
      left.shutdown("read");
      const waiting = left.dup().receive();`,
  );
  assertEquals(said, said.map(() => "got {}, idle"));
});
