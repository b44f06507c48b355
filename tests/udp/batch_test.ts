// DatagramBatch and the calls that fill and send it: what comes, what goes, in which order, whatever the kernel refuses.
// Single datagrams: socket_test.ts, native_test.ts. The arenas beneath: tests/mmsg_test.ts. Over a cable: tests/lab/udp_wire_test.ts.
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { IP_MTU_DISCOVER, IP_RECVERR, SO_NO_CHECK, type SystemError, UDP_SEGMENT } from "../../options/mod.ts";
import { Socket } from "../../socket/mod.ts";
import {
  bindUdp,
  type BindUdpOptions,
  connectUdp,
  DatagramBatch,
  type DatagramField,
  type OutgoingDatagram,
  type UdpSocket,
} from "../../udp/mod.ts";
import { test } from "../needs.ts";
import { until } from "../time.ts";
import { both } from "./engines.ts";
import { OTHER_PROGRAM, runWith } from "./other_program.ts";

const NATIVE = { ffi: true, linux: true };
const NATIVE6 = { ...NATIVE, read: true, files: ["/proc/net/if_inet6"] };
const LOCAL = "127.0.0.1";
const ROOM = 4_000_000;
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

function bind<const F extends DatagramField = never>(options: BindUdpOptions<F> = {}): UdpSocket<F> {
  return bindUdp<F>({ hostname: LOCAL, ...options });
}

/** A datagram that tells its number, of a length. */
function numbered(i: number, byteLength: number): Uint8Array {
  const data = new Uint8Array(byteLength).fill(i);
  if (byteLength >= 2) data.set([i & 255, i >> 8]);
  return data;
}

/** Receives so many, one by one, and tells number and length of each. */
async function receiveAll(socket: UdpSocket, count: number): Promise<[number, number][]> {
  const all: [number, number][] = [];
  const signal = AbortSignal.timeout(5000);
  while (all.length < count) {
    const [data] = await socket.receive(undefined, { signal });
    all.push([data.byteLength < 2 ? 0 : data[0]! | data[1]! << 8, data.byteLength]);
  }
  assertEquals(socket.tryReceive(), null, "more came than was sent");
  return all;
}

/** Sends datagrams of these lengths and fails unless they come, all of them, once, in order. */
async function assertArrive(sender: UdpSocket, lengths: readonly number[], gro = false): Promise<void> {
  using receiver = bind({ receiveBufferSize: ROOM, gro });
  const batch = new DatagramBatch();
  for (const [i, length] of lengths.entries()) {
    assert(batch.add(numbered(i, length), sender.remoteAddr === null ? { remoteAddr: receiver.addr } : {}));
  }
  if (sender.remoteAddr !== null) sender.connect(receiver.addr);
  assertEquals(await sender.sendBatch(batch), lengths.length);
  assertEquals(batch.sent, lengths.length);
  assertEquals(
    await receiveAll(receiver, lengths.length),
    lengths.map((length, i) => [length < 2 ? 0 : i, length] as [number, number]),
  );
}

async function receiveWords(socket: UdpSocket, count: number): Promise<string[]> {
  const words: string[] = [];
  while (words.length < count) words.push(text((await socket.receive())[0]));
  return words;
}

// ---- The batch itself ----

test("DatagramBatch is an arena with a flat index", NATIVE, () => {
  const batch = new DatagramBatch();
  assertEquals([batch.bytes.byteLength, batch.length, batch.sent], [4 * 2 ** 20, 0, 0]);
  assertThrows(() => batch.data(0), RangeError, "the batch is empty");
  const to = { hostname: LOCAL, port: 9 };
  assertEquals(batch.add(bytes("abc"), { remoteAddr: to }), true);
  assertEquals(batch.add(bytes(""), { remoteAddr: { ...to } }), true);
  const at = batch.reserve(2, { hostname: LOCAL, port: 10 });
  batch.bytes.set(bytes("de"), at);
  assertEquals(batch.add(bytes("fgh"), { segmentSize: 2, remoteAddr: to }), true);
  const seen = [0, 1, 2, 3, 4].map((
    i,
  ) => [text(batch.data(i)), batch.byteOffset(i), batch.byteLength(i), batch.run(i)]);
  assertEquals(seen, [["abc", 0, 3, 0], ["", 3, 0, 0], ["de", 3, 2, 1], ["fg", 5, 2, 2], ["h", 7, 1, 2]]);
  assertEquals(batch.remoteAddr(2), { family: "inet", transport: "udp", hostname: LOCAL, port: 10 });
  assert(Object.isFrozen(batch.remoteAddr(2)));
  assertStrictEquals(batch.remoteAddr(3), batch.remoteAddr(4));
  assertEquals([...batch].map(({ data, truncated }) => [text(data), truncated])[2], ["de", false]);
  assertThrows(() => batch.metadata(0, "hopLimit"), TypeError, "must be a received one");
  batch.clear();
  assertEquals(batch.length, 0);
  for (const i of [0, -1, 0.5, NaN, "0"]) {
    assertThrows(() => batch.byteOffset(i as number), RangeError, "Cannot look at datagram");
  }
});

test("DatagramBatch is full when its bytes are, or its datagrams, and takes no part of one then", NATIVE, () => {
  const batch = new DatagramBatch({ byteLength: 10, maxDatagramSize: 6 });
  assertEquals([batch.add(new Uint8Array(6)), batch.add(new Uint8Array(5)), batch.length], [true, false, 1]);
  assertEquals([batch.reserve(4), batch.reserve(1), batch.reserve(0)], [6, -1, 10]);
  batch.clear();
  assertEquals([batch.add(new Uint8Array(11), { segmentSize: 2 }), batch.length], [false, 0]);
  assertEquals([batch.add(new Uint8Array(9), { segmentSize: 2 }), batch.length], [true, 5]);
  assertThrows(() => batch.add(new Uint8Array(7)), RangeError, "at most maxDatagramSize, 6");
  const many = new DatagramBatch({ byteLength: 1 });
  let count = 0;
  while (many.add(new Uint8Array())) count++;
  assertEquals(count, 65_536);
});

test("DatagramBatch refuses wrong sizes and values", NATIVE, () => {
  for (const byteLength of [0, -1, 1.5, NaN, 2 ** 31]) {
    assertThrows(() => new DatagramBatch({ byteLength }), RangeError, "byteLength is");
  }
  for (const maxDatagramSize of [0, 65_536]) {
    assertThrows(() => new DatagramBatch({ maxDatagramSize }), RangeError, "maxDatagramSize is");
  }
  assertThrows(
    () => new DatagramBatch({ byteLength: 10, maxDatagramSize: 11 }),
    RangeError,
    "at least maxDatagramSize",
  );
  assertThrows(() => new DatagramBatch(5 as never), TypeError, "the options is 5");
  const batch = new DatagramBatch();
  assertThrows(() => batch.add("x" as never), TypeError, "must be a Uint8Array");
  assertThrows(() => batch.reserve(-1), RangeError, "byteLength is -1");
  assertThrows(() => batch.add(bytes("x"), { remoteAddr: { hostname: "x", port: 9 } }), SyntaxError, "literal");
  assertThrows(() => batch.remoteAddr(0), RangeError);
  batch.add(bytes("x"));
  assertThrows(() => batch.remoteAddr(0), TypeError, "added without one");
});

test(
  "DatagramBatch.add() lays nothing outside of the arena, whatever getters of its arguments do",
  NATIVE,
  async () => {
    using socket = bind();
    const { hostname, port } = socket.addr;
    const filling = (batch: DatagramBatch, fill: () => unknown) => ({
      get hostname() {
        if (batch.length === 0) fill();
        return hostname;
      },
      port,
    });
    const batch = new DatagramBatch({ byteLength: 100 });
    const inner = () => assert(batch.add(new Uint8Array(60).fill(1), { remoteAddr: socket.addr }));
    assertEquals(batch.add(new Uint8Array(60).fill(2), { remoteAddr: filling(batch, inner) }), false);
    assertEquals([batch.length, batch.data(0)], [1, new Uint8Array(60).fill(1)]);
    assert(batch.add(new Uint8Array(40).fill(3), { remoteAddr: socket.addr }));
    assertEquals(await socket.sendBatch(batch), 2);
    assertEquals(await receiveAll(socket, 2), [[257, 60], [771, 40]]);
    batch.clear();
    assertEquals([batch.reserve(60, filling(batch, inner)), batch.length], [-1, 1]);
    batch.clear();
    const data = new Uint8Array(60);
    const transfer = () => data.buffer.detached || structuredClone(data, { transfer: [data.buffer] });
    assertThrows(() => batch.add(data, { remoteAddr: filling(batch, transfer) }), TypeError);
    assertEquals(batch.length, 0);
    for (const byteLength of [NaN, -1000, 1000, 0.5]) {
      const liar = Object.defineProperty(new Uint8Array(1), "byteLength", { value: byteLength });
      assert(batch.add(liar, { remoteAddr: socket.addr }));
    }
    assertEquals(Array.from({ length: 4 }, (_, i) => [batch.byteOffset(i), batch.byteLength(i)]), [
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
  },
);

test("DatagramBatch.add() makes another run of another flow label", NATIVE, () => {
  const batch = new DatagramBatch({ byteLength: 10 });
  for (const flowInfo of [1, 1, 2, undefined]) {
    const remoteAddr = { hostname: "::1", port: 9, ...(flowInfo === undefined ? {} : { flowInfo }) };
    batch.add(bytes("x"), { remoteAddr });
  }
  assertEquals([0, 1, 2, 3].map((i) => batch.run(i)), [0, 0, 1, 2]);
});

test("a batch whose memory was transferred is a TypeError, in every call", NATIVE, async () => {
  using socket = bind();
  const batch = new DatagramBatch();
  batch.add(bytes("x"), { remoteAddr: socket.addr });
  structuredClone(batch.bytes.buffer, { transfer: [batch.bytes.buffer] });
  const said = "the memory of the batch was transferred";
  assertThrows(() => batch.add(bytes("x")), TypeError, said);
  assertThrows(() => batch.reserve(1), TypeError, said);
  assertThrows(() => socket.trySendBatch(batch), TypeError, said);
  assertThrows(() => socket.tryReceiveBatch(batch), TypeError, said);
  await assertRejects(() => socket.sendBatch(batch), TypeError, said);
  await assertRejects(() => socket.receiveBatch(batch), TypeError, said);
  const waiting = new DatagramBatch();
  const pending = socket.receiveBatch(waiting);
  structuredClone(waiting.bytes.buffer, { transfer: [waiting.bytes.buffer] });
  await socket.send(bytes("y"), socket.addr);
  await assertRejects(() => pending, TypeError, said);
  assertEquals(text((await socket.receive())[0]), "y", "nothing was taken");
});

// ---- Both engines ----

both("UdpSocket.sendBatch() and receiveBatch() move datagrams in order", {}, async () => {
  using socket = bind();
  const batch = new DatagramBatch();
  for (const word of ["one", "two", "six", "last"]) batch.add(bytes(word), { remoteAddr: socket.addr });
  assertEquals([await socket.sendBatch(batch, { start: 1 }), batch.sent], [3, 3]);
  const got = new DatagramBatch();
  const words: string[] = [];
  while (words.length < 3) {
    const count = await socket.receiveBatch(got);
    assertEquals(count, got.length);
    for (let i = 0; i < count; i++) words.push(text(got.data(i)));
    assertEquals(got.remoteAddr(0), socket.addr);
  }
  assertEquals(words, ["two", "six", "last"]);
  const remoteAddr = socket.addr;
  const three = ["a", "b", "c"].map((word) => ({ data: [bytes(word), bytes("!")], remoteAddr }));
  assertEquals(await socket.sendBatch(three, { end: 2 }), 2);
  assertEquals(text((await socket.receive())[0]), "a!");
  assertEquals(text((await socket.receive())[0]), "b!");
});

both("UdpSocket.sendBatch() takes received datagrams as an array, and words that say nothing", {}, async () => {
  using server = bind();
  using client = bind();
  const batch = new DatagramBatch();
  await client.send(bytes("question"), server.addr);
  await server.receiveBatch(batch);
  assertEquals(await server.sendBatch([...batch]), 1);
  assertEquals(text((await client.receive())[0]), "question");
  const nothing = { hopLimit: undefined, localAddr: undefined, ttl: 1 };
  const datagram = {
    data: bytes("abc"),
    remoteAddr: server.addr,
    segmentSize: 2,
    ...nothing,
  } as unknown as OutgoingDatagram;
  assertEquals(await client.sendBatch([datagram]), 2);
  assertEquals(text((await server.receive())[0]), "ab");
  assertEquals(text((await server.receive())[0]), "c");
  for (const wrong of [null, 5]) {
    await assertRejects(() => client.sendBatch([datagram, wrong as never]), TypeError, "datagram 1 is");
  }
});

both("UdpSocket.sendBatch() of nothing rejects all the same when closed or aborted", {}, async () => {
  const socket = bind();
  const reason = new Error("before");
  for (const nothing of [[], new DatagramBatch()]) {
    assertEquals(await socket.sendBatch(nothing), 0);
    const error = await assertRejects(() => socket.sendBatch(nothing, { signal: AbortSignal.abort(reason) }));
    assertStrictEquals(error, reason);
  }
  socket.close();
  for (const nothing of [[], new DatagramBatch()]) {
    await assertRejects(() => socket.sendBatch(nothing), Deno.errors.BadResource, "closed");
  }
});

both("UdpSocket.batches() gives one batch over and over until close(), and it can be sent back", {}, async () => {
  using client = bind();
  const server = bind();
  const batch = new DatagramBatch();
  await client.send(bytes("one"), server.addr);
  let rounds = 0;
  for await (const same of server.batches({ batch })) {
    assertStrictEquals(same, batch);
    await server.sendBatch(same);
    assertEquals(text((await client.receive())[0]), ["one", "two"][rounds]);
    if (++rounds === 2) setTimeout(() => server.close(), 5);
    else await client.send(bytes("two"), server.addr);
  }
  assertEquals(rounds, 2);
});

both("a batch takes one call at a time, and is free again after an abort", {}, async () => {
  using socket = bind();
  const batch = new DatagramBatch();
  const controller = new AbortController();
  const pending = socket.receiveBatch(batch, { signal: controller.signal });
  await assertRejects(() => socket.receiveBatch(batch), Deno.errors.Busy, "another call uses the batch");
  await assertRejects(() => socket.sendBatch(batch), Deno.errors.Busy);
  assertThrows(() => batch.add(bytes("x")), Deno.errors.Busy);
  assertThrows(() => batch.clear(), Deno.errors.Busy);
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => pending), reason);
  await socket.send(bytes("next"), socket.addr);
  assertEquals([await socket.receiveBatch(batch), text(batch.data(0))], [1, "next"]);
});

both("a batch that one socket waits with is refused to another", {}, async () => {
  using one = bind();
  using two = bind();
  const batch = new DatagramBatch();
  const pending = one.receiveBatch(batch);
  for (const other of [one, two]) {
    await assertRejects(() => other.receiveBatch(batch), Deno.errors.Busy, "another call uses the batch");
    await assertRejects(() => other.sendBatch(batch), Deno.errors.Busy, "another call uses the batch");
    if (other.capabilities.engine === "portable") continue;
    assertThrows(() => other.tryReceiveBatch(batch), Deno.errors.Busy);
    assertThrows(() => other.trySendBatch(batch), Deno.errors.Busy);
  }
  await two.send(bytes("ping"), one.addr);
  assertEquals([await pending, text(batch.data(0))], [1, "ping"]);
  // Received by the one, sent on by the other: back to itself.
  assertEquals(await two.sendBatch(batch), 1);
  assertEquals((await two.receive())[1], two.addr);
});

both("closing the socket ends receiveBatch() and frees the batch", {}, async () => {
  const socket = bind();
  const batch = new DatagramBatch();
  const pending = socket.receiveBatch(batch);
  socket.close();
  await assertRejects(() => pending, Deno.errors.BadResource, "closed");
  await assertRejects(() => socket.receiveBatch(batch), Deno.errors.BadResource);
  await assertRejects(() => socket.sendBatch([{ data: bytes("x"), remoteAddr: socket.addr }]), Deno.errors.BadResource);
  batch.clear();
});

both("UdpSocket.sendBatch() refuses wrong parts and batches, and tells how far it came", {}, async () => {
  using socket = bind();
  const batch = new DatagramBatch();
  batch.add(bytes("x"), { remoteAddr: socket.addr });
  for (const part of [{ start: -1 }, { end: 2 }, { start: 1, end: 0 }, { start: 0.5 }]) {
    await assertRejects(() => socket.sendBatch(batch, part), RangeError);
  }
  await assertRejects(() => socket.sendBatch(batch, { start: "0" as never }), TypeError, "start is");
  await assertRejects(() => socket.sendBatch({} as never), TypeError, "it must be a DatagramBatch");
  await assertRejects(() => socket.receiveBatch([] as never), TypeError, "it must be a DatagramBatch");
  assertEquals(await socket.sendBatch(batch, { start: 1 }), 0);
  assertEquals([await socket.sendBatch(batch), batch.sent], [1, 1]);
  // What is refused at once counts as well: who goes on from there misses nothing.
  const late = await assertRejects(() => socket.sendBatch(batch, { signal: AbortSignal.abort() }));
  assertEquals([(late as unknown as { sent: number }).sent, batch.sent], [0, 0]);
  assertEquals([await socket.sendBatch(batch), batch.sent], [1, 1]);
  await assertRejects(() => socket.sendBatch(batch, { end: 2 }), RangeError);
  assertEquals(batch.sent, 0);
  batch.add(bytes("no peer"));
  batch.add(bytes("after"), { remoteAddr: socket.addr });
  const error = await assertRejects(() => socket.sendBatch(batch), TypeError, "remoteAddr");
  assertEquals((error as unknown as { sent: number }).sent, batch.sent);
});

both(
  "UdpSocket.sendBatch() ends at what is too large, naming size and limit, and receiveBatch() cuts what is",
  {},
  async () => {
    using socket = bind();
    const remoteAddr = socket.addr;
    const batch = new DatagramBatch();
    const lengths = [3, 0, 65_508, 4];
    for (const [i, length] of lengths.entries()) batch.add(numbered(i, length), { remoteAddr });
    const error = await assertRejects(() => socket.sendBatch(batch)) as SystemError & { sent: number };
    assertEquals([error.code, error.sent, batch.sent], ["EMSGSIZE", 2, 2]);
    assert(error.message.includes("has 65508 bytes, it must have at most 65507"), error.message);
    assertEquals([await socket.sendBatch(batch, { start: 3 }), batch.sent], [1, 1]);
    const small = new DatagramBatch({ byteLength: 400, maxDatagramSize: 2 });
    const seen: [number, boolean, number][] = [];
    while (seen.length < 3) {
      await socket.receiveBatch(small);
      for (const { data, truncated, byteLength } of small) seen.push([data.byteLength, truncated, byteLength]);
    }
    assertEquals(seen, [[2, true, 3], [0, false, 0], [2, true, 4]]);
  },
);

// ---- What the kernel does with them ----

test("an arena is shared out to as many datagrams as it has room for", NATIVE, () => {
  for (const metadata of [[], ["hopLimit"]] as const) {
    for (const [count, size] of [[1, 65_535], [2, 65_535], [64, 65_535], [10, 2048], [4, 100], [7, 1]] as const) {
      using receiver = bind<"hopLimit">({ metadata, receiveBufferSize: ROOM });
      using sender = bind();
      const length = Math.min(size, 1000);
      for (let i = 0; i < count + 2; i++) sender.trySend(numbered(i, length), receiver.addr);
      const batch = new DatagramBatch({ byteLength: count * size, maxDatagramSize: size });
      assertEquals([receiver.tryReceiveBatch(batch), receiver.tryReceiveBatch(batch)], [count, Math.min(count, 2)]);
      for (let i = 0; i < batch.length; i++) assertEquals(batch.data(i), numbered(count + i, length));
    }
  }
});

test("tryReceiveBatch() gives null when there is nothing, else all that are there and fit", NATIVE, async () => {
  using socket = bind({ receiveBufferSize: ROOM });
  using other = bind();
  const batch = new DatagramBatch({ byteLength: 2112 * 10, maxDatagramSize: 2048 });
  assertEquals(socket.tryReceiveBatch(batch), null);
  for (let i = 0; i < 12; i++) (i === 5 ? other : socket).trySend(numbered(i, i), socket.addr);
  assertEquals(socket.tryReceiveBatch(batch), 10);
  assertEquals(Array.from({ length: 10 }, (_, i) => batch.byteLength(i)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assertEquals([batch.run(4), batch.run(5), batch.run(6), batch.run(9)], [0, 1, 2, 2]);
  assertEquals([batch.remoteAddr(5), batch.remoteAddr(9)], [other.addr, socket.addr]);
  assertThrows(() => batch.add(bytes("x")), TypeError, "clear()");
  assertEquals([socket.tryReceiveBatch(batch), batch.length], [2, 2]);
  assertEquals(socket.tryReceiveBatch(batch), null);
  await socket.send(new Uint8Array(3000), socket.addr);
  await socket.receiveBatch(batch);
  assertEquals([batch.truncated(0), batch.byteLength(0), [...batch][0]!.byteLength], [true, 2048, 3000]);
});

test("tryReceiveBatch() empties a batch of what was received, where nothing came", NATIVE, async () => {
  using socket = bind({ metadata: ["hopLimit"] });
  using other = bind({ gro: true });
  for (const empty of [socket, other]) {
    const batch = new DatagramBatch();
    await socket.send(bytes("x"), socket.addr);
    assertEquals([socket.tryReceiveBatch(batch), batch.metadata(0, "hopLimit")], [1, 64]);
    // What was told of it lies where the next is received, by whatever socket.
    assertEquals([empty.tryReceiveBatch(batch), batch.length, [...batch]], [null, 0, []]);
    assert(batch.add(bytes("y"), { remoteAddr: socket.addr }));
    assertEquals([empty.tryReceiveBatch(batch), batch.length], [null, 1]);
    assertEquals([await socket.sendBatch(batch), text((await socket.receive())[0])], [1, "y"]);
  }
});

test(
  "DatagramBatch.metadata() is that of the last receive, also when more is told than of the one before",
  NATIVE,
  async () => {
    using socket = bind({ metadata: ["drops"], receiveBufferSize: 4096 });
    using sender = bind();
    const batch = new DatagramBatch();
    const next = async () => {
      await sender.send(bytes("x"), socket.addr);
      assertEquals(await socket.receiveBatch(batch), 1);
      return batch.metadata(0, "drops");
    };
    // The kernel says nothing of drops while there are none.
    assertEquals(await next(), 0);
    const data = new Uint8Array(1000);
    for (let i = 0; i < 100; i++) assertEquals(sender.trySend(data, socket.addr), 1000);
    let kept = 0;
    for (let count; (count = socket.tryReceiveBatch(batch)) !== null;) kept += count;
    assert(kept < 100);
    assertEquals(await next(), 100 - kept);
  },
);

test("metadata on :: is that of IPv4 and of IPv6, which tell it by other messages", NATIVE, async () => {
  using socket = bindUdp({ hostname: "::", metadata: ["localAddr", "hopLimit", "dscp"] });
  const { port } = socket.addr;
  const batch = new DatagramBatch();
  for (const [i, hostname] of ["127.0.0.1", "::1", "127.0.0.2", "127.0.0.3", "::1"].entries()) {
    using sender = bindUdp({ hostname: hostname.includes(":") ? "::1" : LOCAL, hopLimit: 20 + i, dscp: 30 + i });
    await sender.send(new Uint8Array(1), { hostname, port });
    assertEquals(await socket.receiveBatch(batch), 1);
    assertEquals(batch.metadata(0, "localAddr").hostname.replace("::ffff:", ""), hostname);
    assertEquals([batch.metadata(0, "hopLimit"), batch.metadata(0, "dscp")], [20 + i, 30 + i]);
  }
});

test("receiveBatch() has metadata of each datagram, and none that was not asked for", NATIVE, async () => {
  using socket = bindUdp({ metadata: ["localAddr", "hopLimit", "ecn", "timestamp", "drops"] });
  using sender = bind();
  const { port } = socket.addr;
  for (let i = 1; i < 6; i++) {
    const remoteAddr = { hostname: `127.0.0.${i}`, port };
    await sender.sendMessage({ data: bytes("x"), remoteAddr, hopLimit: 10 * i, ecn: i & 3 });
  }
  const batch = new DatagramBatch();
  assertEquals(await socket.receiveBatch(batch), 5);
  let last = 0n;
  // In no order: each look is at another datagram.
  for (const i of [4, 0, 3, 1, 2]) {
    assertEquals(batch.metadata(i, "localAddr").hostname, `127.0.0.${i + 1}`);
    assertEquals([batch.metadata(i, "hopLimit"), batch.metadata(i, "ecn")], [10 * (i + 1), (i + 1) & 3]);
    assertEquals(batch.metadata(i, "drops"), 0);
  }
  for (const { timestamp } of batch) {
    assert(timestamp >= last);
    last = timestamp;
  }
  assertThrows(() => batch.metadata(0, "dscp"), TypeError, "the socket was not asked for it");
});

test("gro gives trains split, with one run each, and single receives serve the rest", NATIVE, async () => {
  for (const segments of [64, 128]) {
    using receiver = bind({ gro: true, receiveBufferSize: ROOM, metadata: ["localAddr"] });
    using sender = bind();
    if (sender.capabilities.maxSegments < segments) continue;
    const train = new DatagramBatch();
    for (let i = 0; i < segments; i++) {
      train.add(numbered(i, i === segments - 1 ? 3 : 40), { remoteAddr: receiver.addr });
    }
    await sender.sendBatch(train);
    await sender.send(new Uint8Array(), receiver.addr);
    await sender.send(bytes("single"), receiver.addr);
    const batch = new DatagramBatch();
    assertEquals(await receiver.receiveBatch(batch), segments + 2);
    for (let i = 0; i < segments; i++) {
      assertEquals([batch.bytes[batch.byteOffset(i)], batch.run(i)], [i, 0]);
      assertEquals(batch.byteLength(i), i === segments - 1 ? 3 : 40);
    }
    assertEquals([batch.byteLength(segments), text(batch.data(segments + 1)), batch.run(segments + 1)], [
      0,
      "single",
      2,
    ]);
    assertEquals(batch.metadata(0, "localAddr"), receiver.addr);
    // Singles first, and a batch that takes what they left.
    await sender.sendBatch(train);
    assertEquals((await receiver.receive())[0][0], 0);
    assertEquals((await receiver.receiveMessage()).localAddr, receiver.addr);
    assertEquals(receiver.tryReceive(new Uint8Array(100))![0][0], 2);
    const cut = await receiver.receiveMessage({ buffer: new Uint8Array(10) });
    assertEquals([cut.data[0], cut.truncated, cut.byteLength], [3, true, 40]);
    assertEquals(await receiver.receiveBatch(batch), segments - 4);
    assertEquals([batch.data(0)[0], batch.remoteAddr(0), batch.metadata(0, "localAddr")], [
      4,
      sender.addr,
      receiver.addr,
    ]);
    assertEquals(receiver.tryReceive(), null);
  }
});

test("gro never cuts a train: a batch has 65,535 bytes for each, or is refused", NATIVE, async () => {
  using receiver = bind({ gro: true, receiveBufferSize: ROOM });
  using sender = bind();
  assertThrows(() => receiver.tryReceiveBatch(new DatagramBatch({ byteLength: 65_534 })), RangeError, "65535");
  const train = new DatagramBatch();
  for (let i = 0; i < 50; i++) train.add(numbered(i, 1300), { remoteAddr: receiver.addr });
  await sender.sendBatch(train);
  const batch = new DatagramBatch({ byteLength: 65_535, maxDatagramSize: 64 });
  let total = 0;
  while (total < 50) {
    const count = await receiver.receiveBatch(batch);
    for (let i = 0; i < count; i++) assertEquals([batch.byteLength(i), batch.truncated(i)], [1300, false]);
    total += count;
  }
});

test("gro refuses control messages that were cut, which tell what a train is made of", NATIVE, async () => {
  using receiver = bind({ gro: true });
  const { IP_PKTINFO, IP_RECVTOS, SO_TIMESTAMPNS, IP_RECVORIGDSTADDR, SO_RCVMARK, IP_RECVTTL } = await import(
    "../../options/mod.ts"
  );
  for (const option of [IP_PKTINFO, IP_RECVTOS, SO_TIMESTAMPNS, IP_RECVORIGDSTADDR, SO_RCVMARK, IP_RECVTTL]) {
    option.set(receiver.socket, true);
  }
  using sender = bind();
  await sender.sendMessage({ data: new Uint8Array(100), segmentSize: 10, remoteAddr: receiver.addr });
  assertThrows(() => receiver.tryReceiveBatch(new DatagramBatch()), Error, "MSG_CTRUNC");
  await sender.sendMessage({ data: new Uint8Array(100), segmentSize: 10, remoteAddr: receiver.addr });
  await assertRejects(() => receiver.receive(), Error, "MSG_CTRUNC");
});

// ---- Trains ----

test("sendBatch() makes trains of equal sizes, and keeps all else as it is", NATIVE, async () => {
  for (const gro of [false, true]) {
    using sender = bind();
    await assertArrive(sender, Array(300).fill(64), gro);
    await assertArrive(sender, [...Array(129).fill(100), 50, 100, 100, 0, 0, 7, 7, 7, 3, 200, 1, 1, 1], gro);
    await assertArrive(sender, [9, 8, 7, 6, 5, 4, 3, 2], gro);
    await assertArrive(sender, [1, 2, 3, 4, 5, 6], gro);
    assert(sender.capabilities.maxSegments >= 64, "nothing was refused");
  }
});

test(
  "sendBatch() keeps trains below what a packet holds, and single datagrams up to 65,507 bytes",
  NATIVE,
  async () => {
    using sender = bind({ sendBufferSize: ROOM });
    // 65,507 in one train, and sizes of which two, or just not two, fit 65,000.
    for (const size of [511, 1_310, 13_101, 32_500, 32_501, 32_753, 65_493, 65_507]) {
      await assertArrive(sender, Array(Math.ceil(131_000 / size)).fill(size));
    }
  },
);

test(
  "sendBatch() takes datagrams that lie apart: what was received is sent on, by another socket too",
  NATIVE,
  async () => {
    using first = bind({ receiveBufferSize: ROOM });
    using second = bind();
    using target = bind({ receiveBufferSize: ROOM });
    const lengths = [...Array(150).fill(64), 10, ...Array(20).fill(33)];
    const batch = new DatagramBatch({ maxDatagramSize: 512 });
    for (const [i, length] of lengths.entries()) batch.add(numbered(i, length), { remoteAddr: first.addr });
    await target.sendBatch(batch);
    assertEquals(await first.receiveBatch(batch), lengths.length);
    // Back to the sender.
    assertEquals(await second.sendBatch(batch), lengths.length);
    const expected = lengths.map((length, i) => [i, length] as [number, number]);
    assertEquals(await receiveAll(target, lengths.length), expected);
    // On to a peer, whoever sent it.
    second.connect(target.addr);
    assertEquals(await second.sendBatch(batch, { start: 5, end: 160 }), 155);
    assertEquals(await receiveAll(target, 155), expected.slice(5, 160));
  },
);

test("a batch received by a socket of both families is sent on by one of IPv4, and the other way round", {
  ...NATIVE,
  read: true,
  files: ["/proc/net/if_inet6"],
}, async () => {
  using six = bindUdp({ hostname: "::" });
  using four = bind();
  using client = bind();
  const batch = new DatagramBatch();
  await client.send(bytes("one"), { hostname: LOCAL, port: six.addr.port });
  await six.receiveBatch(batch);
  assertEquals(batch.remoteAddr(0).hostname, "::ffff:127.0.0.1");
  await four.sendBatch(batch);
  assertEquals((await client.receive())[1], four.addr);
  await client.send(bytes("two"), four.addr);
  await four.receiveBatch(batch);
  await six.sendBatch(batch);
  assertEquals((await client.receive())[1].port, six.addr.port);
});

test("a path that refuses trains gets single datagrams, nothing lost or twice, and is remembered", NATIVE, async () => {
  // The kernel makes no trains of what has no checksum: EINVAL.
  using sender = bind({ options: [SO_NO_CHECK.to(true)] });
  assert(sender.capabilities.maxSegments >= 64);
  await assertArrive(sender, [5, ...Array(200).fill(64), 3, 3]);
  assertEquals(sender.capabilities.maxSegments, 1);
  await assertArrive(sender, Array(100).fill(20));
  // One that took trains until now.
  using turned = bind();
  await assertArrive(turned, Array(100).fill(20));
  assert(turned.capabilities.maxSegments >= 64);
  SO_NO_CHECK.set(turned, true);
  await assertArrive(turned, [5, ...Array(200).fill(64), 3, 3]);
  assertEquals(turned.capabilities.maxSegments, 1);
  // What is refused of each datagram is no fault of trains.
  using other = bind();
  const batch = new DatagramBatch();
  const settings = { remoteAddr: other.addr, localAddr: { hostname: "203.0.113.5" } };
  for (let i = 0; i < 4; i++) batch.add(bytes("x"), settings);
  const error = await assertRejects(() => other.sendBatch(batch)) as SystemError & { sent: number };
  assertEquals([error.syscall, error.sent, batch.sent], ["sendmmsg", 0, 0]);
  assert(other.capabilities.maxSegments >= 64);
});

test("a size by hand for all sends does not cut the datagrams of a train", NATIVE, async () => {
  using sender = bind();
  UDP_SEGMENT.set(sender, 30);
  await assertArrive(sender, [...Array(70).fill(50), 20]);
});

test(
  "a datagram that is too large ends sendBatch() there, naming size and limit, and sent tells how far",
  NATIVE,
  async () => {
    using receiver = bind({ receiveBufferSize: ROOM });
    using sender = bind({ options: [IP_MTU_DISCOVER.to(2)] });
    const batch = new DatagramBatch();
    for (const [i, length] of [10, 10, 10, 65_508, 10].entries()) {
      batch.add(numbered(i, length), { remoteAddr: receiver.addr });
    }
    const error = await assertRejects(() => sender.sendBatch(batch)) as SystemError & { sent: number };
    assertEquals([error.code, error.sent, batch.sent], ["EMSGSIZE", 3, 3]);
    assert(
      error.message.includes("has 65508 bytes, it must have at most 65507 (datagram 3 of the batch)"),
      error.message,
    );
    assertEquals(sender.trySendBatch(batch, { start: 4 }), 1);
    assertEquals((await receiveAll(receiver, 4)).map(([i]) => i), [0, 1, 2, 4]);
  },
);

test(
  "a socket that was connected by way of `socket` sends batches to its peer, as it does single datagrams",
  NATIVE,
  async () => {
    using receiver = bind();
    using sender = bind();
    sender.socket.connect(receiver.addr);
    const batch = new DatagramBatch();
    for (let i = 0; i < 9; i++) batch.add(numbered(i, 9));
    assertEquals(await sender.send(numbered(9, 9)), 9);
    assertEquals([await sender.sendBatch(batch), batch.sent], [9, 9]);
    assertEquals((await receiveAll(receiver, 10)).map(([i]) => i), [9, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
  },
);

test(
  "a batch that is too small for trains is refused by a socket with gro, also for the rest of one",
  NATIVE,
  async () => {
    using receiver = bind({ gro: true });
    using sender = bind();
    const small = new DatagramBatch({ byteLength: 4000 });
    const said = "the batch has 4000 bytes, it must have at least 65535";
    assertThrows(() => receiver.tryReceiveBatch(small), RangeError, said);
    const batch = new DatagramBatch();
    for (let i = 0; i < 3; i++) batch.add(numbered(i, 1000), { remoteAddr: receiver.addr });
    assertEquals(await sender.sendBatch(batch), 3);
    assertEquals((await receiver.receive())[0][0], 0);
    assertThrows(() => receiver.tryReceiveBatch(small), RangeError, said);
    assertEquals(await receiveAll(receiver, 2), [[1, 1000], [2, 1000]]);
  },
);

test("refusals do not end a batch in its midst: nothing is skipped", { ...NATIVE, run: [] }, async () => {
  using sender = bind();
  const gone = bind();
  const to = gone.addr;
  sender.connect(to);
  gone.close();
  const batch = new DatagramBatch();
  // Of unequal sizes, so that each is one of its own.
  for (let i = 0; i < 64; i++) batch.add(numbered(i, 10 + i));
  assertEquals([await sender.sendBatch(batch), batch.sent], [64, 64]);
  using receiver = bind({ port: to.port, receiveBufferSize: ROOM });
  assertEquals(await sender.sendBatch(batch), 64);
  assertEquals((await receiveAll(receiver, 64)).map(([i]) => i), Array.from({ length: 64 }, (_, i) => i));
  await assertRejects(
    () => sender.sendBatch([{ data: bytes("x"), remoteAddr: to }]).then(() => sender.send(bytes("x"), to)),
    TypeError,
  );
});

test(
  "refusals in the midst of a batch are told by the error queue, each of its own destination, and to no other",
  NATIVE,
  async () => {
    using sender = bind({ options: [IP_RECVERR.to(true)] });
    const receivers = [bind({ receiveBufferSize: ROOM }), bind({ receiveBufferSize: ROOM })];
    const gone = [bind(), bind()];
    const to = [receivers[0]!, gone[0]!, receivers[1]!, gone[1]!].map(({ addr }) => addr);
    for (const one of gone) one.close();
    const batch = new DatagramBatch();
    for (let i = 0; i < 64; i++) batch.add(numbered(i, 10), { remoteAddr: to[i % 4]! });
    // Reports of what went before are there when the next goes out.
    assertEquals([await sender.sendBatch(batch), batch.sent], [64, 64]);
    assertEquals(sender.trySendBatch(batch, { start: 32 }), 32);
    for (const [which, receiver] of receivers.entries()) {
      const numbers = (await receiveAll(receiver, 24)).map(([i]) => i);
      const once = Array.from({ length: 64 }, (_, i) => i).filter((i) => i % 4 === 2 * which);
      assertEquals(numbers, [...once, ...once.filter((i) => i >= 32)]);
      receiver.close();
    }
    const told: number[] = [];
    for (;;) {
      const report = sender.socket.tryReceiveMessage({ errorQueue: true });
      if (report === null) break;
      const [about] = report.control;
      assert(about?.name === "IP_RECVERR");
      assertEquals([about.error.code, about.error.origin], ["ECONNREFUSED", "icmp"]);
      const { port } = report.remoteAddr as { port: number };
      // What came back is the datagram that it is about.
      assertEquals(to[report.data[0]! % 4]!.port, port);
      told.push(port);
    }
    assert(told.includes(to[1]!.port) && told.includes(to[3]!.port), `${told}`);
    // Nothing is left of it that would meet the next call.
    using last = bind();
    assertEquals(sender.trySend(bytes("x"), last.addr), 1);
    assertEquals(sender.tryReceiveBatch(batch), null);
  },
);

test("refusals end no loop of batches() or messages(), of a connected socket either", NATIVE, async () => {
  for (const loop of ["batches", "messages"] as const) {
    using socket = bind();
    const gone = bind();
    const { port } = gone.addr;
    socket.connect(gone.addr);
    gone.close();
    const heard: string[] = [];
    const over = (async () => {
      for await (const one of socket[loop]()) {
        heard.push(text(one instanceof DatagramBatch ? one.data(0) : one.data));
        if (heard.at(-1) === "end") break;
      }
    })();
    for (const word of ["one", "end"]) {
      // Refused at once, of which the loop hears before all else.
      socket.trySend(bytes("nobody"));
      using peer = bind({ port });
      await peer.send(bytes(word), socket.addr);
      await until(() => heard.includes(word));
    }
    await over;
    assertEquals(heard, ["one", "end"]);
  }
});

test("connectUdp() sends a batch to the peer without addresses", NATIVE, async () => {
  using receiver = bind({ receiveBufferSize: ROOM });
  using sender = await connectUdp({ hostname: LOCAL, port: receiver.addr.port });
  const batch = new DatagramBatch();
  for (let i = 0; i < 130; i++) batch.add(numbered(i, 8));
  assertEquals(sender.trySendBatch(batch), 130);
  assertEquals((await receiveAll(receiver, 130)).map(([i]) => i), Array.from({ length: 130 }, (_, i) => i));
});

test("a batch that is filled goes where it says, by a connected socket to its peer alone", NATIVE6, async () => {
  using peer = bind();
  using other = bind();
  for (const hostname of [LOCAL, "::"]) {
    using sender = await connectUdp({ ...peer.addr, localAddr: { hostname } });
    const batch = new DatagramBatch();
    for (const remoteAddr of [peer.addr, { hostname: `::ffff:${LOCAL}`, port: peer.addr.port }]) {
      batch.add(bytes("peer"), { remoteAddr });
    }
    batch.add(bytes("peer"));
    assertEquals(await sender.sendBatch(batch), 3);
    assertEquals(await receiveWords(peer, 3), ["peer", "peer", "peer"]);
    batch.add(bytes("other"), { remoteAddr: other.addr });
    const said = "the socket has a peer, so remoteAddr must be left out, or be that of the peer";
    await assertRejects(() => sender.sendBatch(batch), TypeError, said);
    assertThrows(() => sender.trySendBatch(batch), TypeError, said);
    await assertRejects(() => sender.sendBatch([{ data: bytes("other"), remoteAddr: other.addr }]), TypeError, said);
    assertEquals([batch.sent, peer.tryReceive(), other.tryReceive()], [0, null, null]);
    assertEquals(await sender.sendBatch(batch, { start: 2, end: 3 }), 1);
    assertEquals(await receiveWords(peer, 1), ["peer"]);
    // What the peer sent goes back to it, as a batch and as an array.
    await peer.send(bytes("echo"), { hostname: LOCAL, port: sender.addr.port });
    await sender.receiveBatch(batch);
    assertEquals([await sender.sendBatch(batch), await sender.sendBatch([...batch])], [1, 1]);
    assertEquals(await receiveWords(peer, 2), ["echo", "echo"]);
  }
});

test("datagrams of a batch have settings of their own", NATIVE, async () => {
  using receiver = bind({ metadata: ["hopLimit", "dscp"] });
  using sender = bindUdp();
  const batch = new DatagramBatch();
  const remoteAddr = receiver.addr;
  batch.add(bytes("a"), { remoteAddr, hopLimit: 3 });
  batch.add(bytes("b"), { remoteAddr, hopLimit: 3 });
  batch.add(bytes("c"), { remoteAddr, dscp: 8, localAddr: { hostname: "127.0.0.4" } });
  batch.add(bytes("d"), { remoteAddr });
  assertEquals([0, 1, 2, 3].map((i) => batch.run(i)), [0, 0, 1, 2]);
  await sender.sendBatch(batch);
  const seen: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    const { data, remoteAddr, hopLimit, dscp } = await receiver.receiveMessage();
    seen.push([text(data), remoteAddr.hostname, hopLimit, dscp]);
  }
  assertEquals(seen, [["a", LOCAL, 3, 0], ["b", LOCAL, 3, 0], ["c", "127.0.0.4", 64, 8], ["d", LOCAL, 64, 0]]);
});

// ---- Pressure ----

/** A socket whose send buffer stays full: a unix socket beneath would do, but UDP over loopback never blocks; so does this. */
test("a full send buffer waits, keeps the order, and loses nothing that was told as sent", {
  ...NATIVE,
  root: true,
  run: ["ip", "tc"],
}, async () => {
  const { withPair } = await import("../multicast/namespace.ts");
  await withPair(async (left, right) => {
    // A slow cable: the queue holds what is sent until it is on its way.
    await left.tc("qdisc", "add", "dev", "left0", "root", "tbf", "rate", "40mbit", "burst", "4000", "limit", "4000000");
    await using receiver = right.python(`
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8000000)
s.bind(("10.77.0.2", 5004))
print("ready")
seen = [int.from_bytes(s.recv(2000)[:4], "little") for _ in range(4000)]
print(seen == list(range(4000)))
`);
    assertEquals(await receiver.line(), "ready");
    const output = await left.run(
      `const socket = udp.bindUdp({ sendBufferSize: 20000 });
       const to = { hostname: "10.77.0.2", port: 5004 };
       const data = (i) => { const all = new Uint8Array(500); new DataView(all.buffer).setUint32(0, i, true); return all; };
       let i = 0, blocked = 0, aborted = 0;
       const batch = new udp.DatagramBatch();
       // One at a time, then by batches; sometimes not to the end.
       for (; i < 1000; i++) if (i % 2 || socket.trySend(data(i), to) === null) { blocked++; await socket.send(data(i), to); }
       while (i < 4000) {
         batch.clear();
         for (let k = i; k < Math.min(i + 200, 4000); k++) batch.add(data(k), { remoteAddr: to });
         const now = socket.trySendBatch(batch);
         if (now === null) blocked++;
         const start = now ?? 0;
         const ended = await socket.sendBatch(batch, { start, signal: AbortSignal.timeout(3) }).catch((error) => { aborted++; return error.sent; });
         if (ended !== batch.sent) throw new Error("sent tells otherwise");
         i += start + ended;
       }
       console.log(i, blocked > 0, aborted > 0);
       socket.close();`,
    );
    assertEquals(output, "4000 true true");
    assertEquals(await receiver.line(), "True");
  });
});

test("a batch loop allocates nothing for each datagram", OTHER_PROGRAM, async () => {
  const output = await runWith(
    ["--allow-net", "--allow-ffi", "--v8-flags=--expose-gc"],
    `for (const options of [{}, { gro: true }]) {
       using receiver = udp.bindUdp({ hostname: "127.0.0.1", receiveBufferSize: 4_000_000, ...options });
       using sender = udp.bindUdp({ hostname: "127.0.0.1" });
       const out = new udp.DatagramBatch();
       const batch = new udp.DatagramBatch({ maxDatagramSize: 512 });
       const data = new Uint8Array(64);
       const settings = { remoteAddr: receiver.addr };
       let sum = 0;
       const rounds = (count) => {
         for (let round = 0; round < count; round++) {
           out.clear();
           for (let i = 0; i < 1024; i++) out.add(data, settings);
           sender.trySendBatch(out);
           for (;;) {
             const count = receiver.tryReceiveBatch(batch);
             if (count === null) break;
             for (let i = 0, run = -1; i < count; i++) {
               sum += batch.byteLength(i) + batch.bytes[batch.byteOffset(i)];
               if (batch.run(i) !== run) { run = batch.run(i); sum += batch.remoteAddr(i).port & 0; }
             }
           }
         }
       };
       rounds(500);
       gc();
       const before = Deno.memoryUsage().heapUsed;
       rounds(100);
       // Without a collection: what was allocated is still there.
       const bytes = (Deno.memoryUsage().heapUsed - before) / (100 * 1024);
       console.log(sum === 600 * 1024 * 64, bytes < 4 ? "nothing" : bytes);
     }`,
  );
  assertEquals(output.split("\n"), ["true nothing", "true nothing"]);
});

test("what one socket sends in trains, a socket without gro receives as separate datagrams", NATIVE, () => {
  using sender = bind();
  using receiver = Socket.open("inet", "dgram");
  receiver.bind({ hostname: LOCAL, port: 0 });
  const batch = new DatagramBatch();
  const { port } = receiver.localAddr!;
  for (let i = 0; i < 128; i++) batch.add(numbered(i, 300), { remoteAddr: { hostname: LOCAL, port } });
  assertEquals(sender.trySendBatch(batch), 128);
  for (let i = 0; i < 128; i++) assertEquals([...receiver.tryReceive()!], [...numbered(i, 300)]);
  assertEquals(receiver.tryReceive(), null);
});
