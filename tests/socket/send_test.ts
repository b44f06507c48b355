// Socket.send, trySend and sendAll: what goes out, what does not fit, and what an abort leaves.
// To an address: sendto_test.ts; after shutdown: shutdown_test.ts.
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { SO_SNDBUF } from "../../options/mod.ts";
import { poll } from "../../socket/poll.ts";
import { Socket } from "../../socket/socket.ts";
import {
  assertFails,
  both,
  bytes,
  drain,
  FFI,
  fill,
  fillUp,
  outcome,
  sleep,
  tcpPair,
  test,
  text,
  udp,
  udpPair,
  unusedPort,
} from "./make.ts";

test("send() resolves to the number of bytes", FFI, async () => {
  using pair = await tcpPair();
  assertEquals(await pair[0].send(bytes("hello")), 5);
  assertEquals(pair[0].trySend(bytes("hello")), 5);
  assertEquals(text(await pair[1].receive(new Uint8Array(10), { waitAll: true })), "hellohello");
});

test("send() sends the part of the memory that the view shows", FFI, async () => {
  using pair = await udpPair();
  const memory = bytes("0123456789");
  await pair[0].send(memory.subarray(3, 6));
  assertEquals(text(await pair[1].receive()), "345");
  const shared = new Uint8Array(new SharedArrayBuffer(4));
  shared.set(bytes("shar"));
  await pair[0].send(shared);
  assertEquals(text(await pair[1].receive()), "shar");
  const resizable = new Uint8Array(new ArrayBuffer(4, { maxByteLength: 8 }));
  resizable.set(bytes("size"));
  await pair[0].send(resizable);
  assertEquals(text(await pair[1].receive()), "size");
});

test("send() of a datagram of no bytes arrives as one", FFI, async () => {
  using pair = await udpPair();
  assertEquals(await pair[0].send(new Uint8Array(0)), 0);
  assertEquals((await pair[1].receive()).byteLength, 0);
  assertStrictEquals(pair[1].tryReceive(), null);
});

test("send() of a datagram that is too large fails with EMSGSIZE, and sends none of it", FFI, async () => {
  using pair = await udpPair();
  assertEquals(await pair[0].send(new Uint8Array(65_507)), 65_507);
  const error = await assertFails(() => pair[0].send(new Uint8Array(65_508)), "EMSGSIZE", "send");
  assert(error.message.includes("larger"), error.message);
  assertEquals((await pair[1].receive()).byteLength, 65_507);
  assertStrictEquals(pair[1].tryReceive(), null);
});

test("send() without a destination fails with EDESTADDRREQ, of a stream with ENOTCONN or EPIPE", FFI, async () => {
  using socket = udp();
  const error = await assertFails(() => socket.send(bytes("x")), "EDESTADDRREQ", "send");
  assert(error.message.includes("sendTo()"), error.message);
  using stream = Socket.open("inet", "stream");
  await assertFails(() => stream.send(bytes("x")), "EPIPE", "send", Deno.errors.BrokenPipe);
  using unix = Socket.open("unix", "dgram");
  await assertFails(() => unix.send(bytes("x")), "ENOTCONN", "send", Deno.errors.NotConnected);
});

test("send() to a port where nothing is tells so at the next call", FFI, async () => {
  using socket = udp();
  await socket.connect({ hostname: "127.0.0.1", port: unusedPort("dgram") });
  await socket.send(bytes("lost"));
  await assertFails(() => socket.send(bytes("lost")), "ECONNREFUSED", "send", Deno.errors.ConnectionRefused);
  // The error is told once.
  assertEquals(await socket.send(bytes("lost")), 4);
});

test("send() when the peer has closed fails with EPIPE, and no signal", FFI, async () => {
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  right.close();
  await assertFails(() => left.send(bytes("x")), "EPIPE", "send", Deno.errors.BrokenPipe);
});

test("trySend() gives null when there is no room, send() waits for it", FFI, async () => {
  using pair = await tcpPair();
  const [from, to] = pair;
  const before = await fillUp(from);
  assertStrictEquals(from.trySend(bytes("x")), null);
  let sent = false;
  const sending = from.send(bytes("x")).then((count) => {
    sent = true;
    return count;
  });
  await sleep(20);
  assert(!sent);
  let received = 0;
  let last = bytes("");
  while (received <= before) received += (last = await to.receive()).byteLength;
  assertEquals(await sending, 1);
  assertEquals([received, last.at(-1)], [before + 1, "x".charCodeAt(0)]);
});

test("a full queue of a unix datagram peer makes send() wait", FFI, async () => {
  const [left, right] = Socket.pair("dgram");
  using _pair = both([left, right]);
  let queued = 0;
  while (left.trySend(bytes(`${queued}`)) !== null) queued++;
  const sending = left.send(bytes("last"));
  for (let i = 0; i < queued; i++) assertEquals(text(await right.receive()), `${i}`);
  await sending;
  assertEquals(text(await right.receive()), "last");
});

test("sendAll() sends more than any buffer takes", FFI, async () => {
  using pair = await tcpPair();
  const data = crypto.getRandomValues(new Uint8Array(65_536));
  const all = new Uint8Array(8_000_000);
  for (let i = 0; i < all.byteLength; i += data.byteLength) all.set(data.subarray(0, all.byteLength - i), i);
  const sending = pair[0].sendAll(all).then(() => pair[0].shutdown("write"));
  const got = await pair[1].receive(new Uint8Array(9_000_000), { waitAll: true });
  await sending;
  assertEquals(got.byteLength, all.byteLength);
  assert(got.every((byte, i) => byte === all[i]));
});

test("sendAll() that is aborted tells how much went out, and the rest can follow", FFI, async () => {
  using pair = await tcpPair();
  const data = new Uint8Array(50_000_000);
  for (let i = 0; i < data.byteLength; i += 1000) data[i] = i / 1000 % 251;
  const controller = new AbortController();
  const sending = outcome(pair[0].sendAll(data, { signal: controller.signal }));
  await sleep(20);
  controller.abort();
  const error = await sending as { name: string; sent: number };
  assertEquals(error.name, "AbortError");
  assert(error.sent > 0 && error.sent < data.byteLength, String(error.sent));
  const rest = pair[0].sendAll(data.subarray(error.sent)).then(() => pair[0].shutdown("write"));
  const got = await pair[1].receive(new Uint8Array(data.byteLength + 1), { waitAll: true });
  await rest;
  assertEquals(got.byteLength, data.byteLength);
  for (let i = 0; i < data.byteLength; i += 1000) if (got[i] !== data[i]) throw new Error(`byte ${i} is wrong`);
});

test("sendAll() that fails tells how much went out", FFI, async () => {
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  const sending = outcome(left.sendAll(new Uint8Array(5_000_000)));
  await sleep(5);
  right.close();
  const error = await sending as { code: string; sent: number };
  assert(["EPIPE", "ECONNRESET"].includes(error.code), error.code);
  assert(error.sent > 0, String(error.sent));
  const early = await outcome(left.sendAll(new Uint8Array(1))) as { code: string; sent: number };
  assertEquals([early.code, early.sent], ["EPIPE", 0]);
});

test("sendAll() of nothing sends an empty datagram", FFI, async () => {
  using pair = await udpPair();
  await pair[0].sendAll(new Uint8Array(0));
  assertEquals((await pair[1].receive()).byteLength, 0);
});

test("aborting send() sends nothing later", FFI, async () => {
  using pair = await tcpPair();
  const before = await fillUp(pair[0]);
  const controller = new AbortController();
  const sending = outcome(pair[0].send(bytes("never"), { signal: controller.signal }));
  await sleep(5);
  const reason = { plain: "any value" };
  controller.abort(reason);
  assertStrictEquals(await sending, reason);
  pair[0].shutdown("write");
  assertEquals(await drain(pair[1]), before);
});

test("close() rejects a send() that waits", FFI, async () => {
  const [left, right] = Socket.pair();
  fill(left);
  const sending = outcome(left.send(bytes("x")));
  left.close();
  assertInstanceOf(await sending, Deno.errors.BadResource);
  right.close();
});

test("a buffer that is transferred while send() waits is an error, never a short send", FFI, async () => {
  using pair = await tcpPair();
  await fillUp(pair[0]);
  const data = bytes("to be taken away");
  const sending = outcome(pair[0].send(data));
  const all = bytes("to be taken away");
  const sendingAll = outcome(pair[0].sendAll(all));
  await sleep(1);
  data.buffer.transfer();
  all.buffer.transfer();
  while (pair[1].tryReceive() !== null) await sleep(1);
  assertInstanceOf(await sending, TypeError);
  assertInstanceOf(await sendingAll, TypeError);
});

test("the send calls take nothing but bytes", FFI, async () => {
  using pair = await udpPair();
  const [socket, peer] = pair;
  const detached = new Uint8Array(4);
  detached.buffer.transfer();
  const address = peer.localAddr!;
  for (const wrong of [undefined, null, "text", 5, NaN, [1, 2], {}, new ArrayBuffer(4), new Uint16Array(2), detached]) {
    const data = wrong as Uint8Array;
    await assertRejects(() => socket.send(data), TypeError);
    await assertRejects(() => socket.sendAll(data), TypeError);
    await assertRejects(() => socket.sendTo(data, address), TypeError);
    assertThrows(() => socket.trySend(data), TypeError);
    assertThrows(() => socket.trySendTo(data, address), TypeError);
  }
  await sleep(5);
  assertStrictEquals(peer.tryReceive(), null);
  await assertRejects(
    () => socket.send(bytes("x"), { signal: 5 as unknown as AbortSignal }),
    TypeError,
    "AbortSignal",
  );
});

test("the checks hold when the calls are hot", FFI, async () => {
  using pair = await udpPair();
  const [socket, peer] = pair;
  const one = bytes("x");
  for (let i = 0; i < 20_000; i++) {
    socket.trySend(one);
    peer.tryReceive();
  }
  assertThrows(() => socket.trySend("x" as unknown as Uint8Array), TypeError);
  assertThrows(() => socket.trySend(new DataView(new ArrayBuffer(1)) as unknown as Uint8Array), TypeError);
  assertThrows(() => peer.tryReceive(5 as unknown as Uint8Array<ArrayBuffer>), TypeError);
});

test("more holds a datagram open until one without it", FFI, async () => {
  using pair = await udpPair();
  await pair[0].send(bytes("one "), { more: true });
  await sleep(5);
  assertStrictEquals(pair[1].tryReceive(), null);
  await pair[0].send(bytes("datagram"));
  assertEquals(text(await pair[1].receive()), "one datagram");
});

test("outOfBand is urgent data of a stream", FFI, async () => {
  using pair = await tcpPair();
  await pair[0].send(bytes("usual"));
  await pair[0].send(bytes("!"), { outOfBand: true });
  assertEquals(text(await pair[1].receive(undefined, { outOfBand: true })), "!");
  assertEquals(text(await pair[1].receive(new Uint8Array(5), { waitAll: true })), "usual");
  await assertFails(() => pair[1].tryReceive(undefined, { outOfBand: true }), "EINVAL", "recv");
  // The kernel would take a datagram of UDP for it, which has nothing urgent.
  using datagrams = await udpPair();
  await assertFails(() => datagrams[0].send(bytes("!"), { outOfBand: true }), "EOPNOTSUPP", "send");
  await datagrams[0].send(bytes("plain"));
  await poll([{ socket: datagrams[1], readable: true }], { timeout: 5_000 });
  const NotSupported = Deno.errors.NotSupported;
  for (const call of ["tryReceive", "tryReceiveFrom"] as const) {
    await assertFails(() => datagrams[1][call](undefined, { outOfBand: true }), "EOPNOTSUPP", "recv", NotSupported);
  }
  await assertFails(() => datagrams[1].tryReceiveMessage({ outOfBand: true }), "EOPNOTSUPP", "recv", NotSupported);
  assertEquals(text(datagrams[1].tryReceive()!), "plain");
});

test("dontRoute and confirm are taken by the kernel", FFI, async () => {
  using pair = await udpPair();
  await pair[0].send(bytes("a"), { dontRoute: true });
  await pair[0].send(bytes("b"), { confirm: true });
  assertEquals(text(await pair[1].receive()) + text(await pair[1].receive()), "ab");
});

test("a datagram larger than the send buffer of a unix socket fails with EMSGSIZE", FFI, async () => {
  const [left, right] = Socket.pair("dgram");
  using _pair = both([left, right]);
  SO_SNDBUF.set(left, 8192);
  await assertFails(() => left.send(new Uint8Array(100_000)), "EMSGSIZE", "send");
});

test("sendAll() puts sent on the reason of a signal, but passes on as it is what takes nothing", FFI, async () => {
  for (
    const reason of [
      new Error("mine"),
      Object.freeze(new Error("frozen")),
      "a word",
      Object.freeze({ sent: "its own" }),
    ]
  ) {
    const [left, right] = Socket.pair();
    using _pair = both([left, right]);
    const controller = new AbortController();
    const sending = outcome(left.sendAll(new Uint8Array(5_000_000), { signal: controller.signal }));
    await sleep(5);
    controller.abort(reason);
    assertStrictEquals(await sending, reason);
    let got = 0;
    for (let part = right.tryReceive(); part !== null; part = right.tryReceive()) got += part.byteLength;
    assert(got > 0);
    if (Object.isExtensible(reason)) assertEquals((reason as { sent?: number }).sent, got);
  }
});
