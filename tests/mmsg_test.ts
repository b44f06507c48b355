// The invariants of internal/mmsg.ts at their edges, on real sockets: whatever comes, no byte outside of its slot moves.
// What people do with batches: udp/batch_test.ts. One message in the caller's own buffers: msghdr_test.ts.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { failed, failedWith } from "../internal/errno.ts";
import { libcIo } from "../internal/libc_io.ts";
import { DATAGRAM_MAX, type Destinations, ENTRY, MessageArena, receivePlan, SINGLE } from "../internal/mmsg.ts";
import { test } from "./needs.ts";
import { AF_INET, inet, RAW, RawSocket, SOCK_DGRAM } from "./raw_socket.ts";

const POISON = 0xa5;
const PLAIN = receivePlan(false, 0);
const TRAINS = { segments: 128, bytes: DATAGRAM_MAX };
const PEER: Destinations = { address: () => null, control: () => null, trains: () => SINGLE };
const TO_PEER: Destinations = { ...PEER, trains: () => TRAINS };

function io() {
  return libcIo("Cannot test batches");
}

/** Two UDP sockets over loopback, connected with each other. */
function pair(): [RawSocket, RawSocket] {
  const [a, b] = [RawSocket.open(AF_INET, SOCK_DGRAM), RawSocket.open(AF_INET, SOCK_DGRAM)];
  for (const one of [a, b]) one.bind(inet("127.0.0.1", 0));
  a.connect(b.localAddress);
  b.connect(a.localAddress);
  return [a, b];
}

/** An arena with datagrams of these lengths, one behind the other, and its index. */
function filled(...lengths: number[]): [MessageArena, Int32Array] {
  const arena = new MessageArena(Math.max(1, lengths.reduce((sum, one) => sum + one, 0)));
  const index = new Int32Array(lengths.length * ENTRY);
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    index.set([at, length, 0, 0], i * ENTRY);
    arena.bytes.fill(i + 1, at, at += length);
  }
  return [arena, index];
}

test("what is received stays within its slot, and its true length is told", RAW, () => {
  const [a, b] = pair();
  using _a = a, _b = b;
  const [out, index] = filled(10, 300, 0, 100, 101);
  assertEquals(out.layOut(index, 0, 5, PEER, true, 0), 5);
  assertEquals(out.send(io(), a.fd, 0), 5);
  const arena = new MessageArena(1252);
  arena.bytes.fill(POISON);
  // Slots of 100 bytes, 128 apart: ten of them.
  assertEquals(arena.receive(io(), b.fd, PLAIN, 100, 10), 5);
  assertEquals([0, 1, 2, 3, 4].map((slot) => arena.length(slot)), [10, 300, 0, 100, 101]);
  for (const [slot, held] of [10, 100, 0, 100, 100].entries()) {
    const at = arena.offset(slot);
    for (let i = 0; i < 128; i++) assertEquals(arena.bytes[at + i], i < held ? slot + 1 : POISON, `${slot}: ${i}`);
  }
  assert(failed(arena.receive(io(), b.fd, PLAIN, 100, 10)) && failedWith("EAGAIN"));
});

test("lengths that the kernel shrank are set anew before the next receive", RAW, () => {
  const [a, b] = pair();
  using _a = a, _b = b;
  const arena = new MessageArena(4096);
  const [out, index] = filled(1, 2, 3);
  for (let round = 0; round < 3; round++) {
    out.layOut(index, 0, 3, PEER, true, 0);
    assertEquals(out.send(io(), a.fd, 0), 3);
    assertEquals(arena.receive(io(), b.fd, PLAIN, 64, 1024), 3);
    for (let slot = 0; slot < 3; slot++) {
      assertEquals([arena.senderLength(slot), arena.length(slot)], [16, slot + 1]);
      const sender = arena.reader.bytes.subarray(arena.sender(slot), arena.sender(slot) + 16);
      assertEquals([...sender], [...a.localAddress]);
    }
  }
});

test("an arena is never smaller than its slots, however many are asked for", RAW, () => {
  const [a, b] = pair();
  using _a = a, _b = b;
  for (
    const [byteLength, size, most, count] of [
      [64, 64, 1024, 1],
      [191, 64, 1024, 2],
      [192, 64, 1024, 3],
      [2 ** 20, 1, 200, 200],
      [
        2 ** 20,
        1,
        5,
        5,
      ],
      [2047, 1024, 9, 1],
      [2048, 1024, 9, 2],
      [1024 + 8 * 1088, 1024, 9, 9],
    ] as const
  ) {
    const arena = new MessageArena(byteLength);
    const [out, index] = filled(...Array(count + 3).fill(1));
    for (let i = 0; i < count + 3;) {
      const end = out.layOut(index, i, count + 3, PEER, true, 0);
      assertEquals(out.send(io(), a.fd, 0), end - i);
      i = end;
    }
    assertEquals(arena.receive(io(), b.fd, PLAIN, size, most), count, `${byteLength} by ${size}`);
    assert(arena.offset(count - 1) + size <= byteLength);
    while (!failed(arena.receive(io(), b.fd, PLAIN, size, most)));
  }
});

test("trains are of one size but for the last, of one run, and below what a packet holds", RAW, () => {
  const trains = (lengths: number[], segments = 128, runs?: number[]) => {
    const [arena, index] = filled(...lengths);
    for (const [i, run] of (runs ?? []).entries()) index[i * ENTRY + 2] = run;
    const all: number[] = [];
    for (let at = 0; at < lengths.length;) {
      const end = arena.layOut(
        index,
        at,
        lengths.length,
        { ...PEER, trains: () => ({ ...TRAINS, segments }) },
        true,
        0,
      );
      for (let i = 0; i < arena.laid; i++) all.push(arena.first(i + 1) - arena.first(i));
      at = end;
    }
    return all;
  };
  assertEquals(trains(Array(300).fill(1)), [128, 128, 44]);
  assertEquals(trains(Array(130).fill(1), 64), [64, 64, 2]);
  assertEquals(trains(Array(5).fill(1), 1), [1, 1, 1, 1, 1]);
  assertEquals(trains([5, 5, 3, 3, 5]), [3, 1, 1]);
  assertEquals(trains([3, 5, 5, 0, 5, 0, 0]), [1, 2, 1, 1, 1, 1]);
  assertEquals(trains([5, 5, 5, 5], 128, [0, 0, 1, 1]), [2, 2]);
  assertEquals(trains(Array(60).fill(1300)), [50, 10], "65,000 bytes and no more");
  assertEquals(trains([32_501, 32_501]), [1, 1]);
  assertEquals(trains(Array(2000).fill(0)).length, 2000, "as many calls as it takes");
});

test("datagrams that lie apart are gathered, and what lies between them is not sent", RAW, () => {
  const [a, b] = pair();
  using _a = a, _b = b;
  const arena = new MessageArena(1000);
  arena.bytes.fill(POISON);
  const index = new Int32Array(3 * ENTRY);
  for (const [i, at] of [700, 100, 400].entries()) {
    arena.bytes.fill(i + 1, at, at + 50);
    index.set([at, 50, 0, 0], i * ENTRY);
  }
  arena.layOut(index, 0, 3, TO_PEER, true, 0);
  assertEquals(arena.laid, 1);
  assertEquals(arena.send(io(), a.fd, 0), 1);
  const got = new MessageArena(1000);
  assertEquals(got.receive(io(), b.fd, PLAIN, 64, 9), 3);
  for (let slot = 0; slot < 3; slot++) {
    const at = got.offset(slot);
    assertEquals([...got.bytes.subarray(at, at + got.length(slot))], Array(50).fill(slot + 1));
  }
});

test("a call goes on from the message where the last one ended", RAW, () => {
  const [a, b] = pair();
  using _a = a, _b = b;
  const [out, index] = filled(1, 70_000, 2);
  out.layOut(index, 0, 3, PEER, true, 0);
  assertEquals(out.send(io(), a.fd, 0), 1, "sendmmsg swallows what is not the first one's");
  assert(failed(out.send(io(), a.fd, 1)) && failedWith("EMSGSIZE"));
  assertEquals(out.send(io(), a.fd, 2), 1);
  const got = new MessageArena(200);
  assertEquals(got.receive(io(), b.fd, PLAIN, 64, 9), 2);
  assertEquals([got.length(0), got.length(1)], [1, 2]);
});

test("an arena that was transferred is a TypeError before the call, and nothing is taken", RAW, () => {
  const [a, b] = pair();
  using _a = a, _b = b;
  const [out, index] = filled(3);
  out.layOut(index, 0, 1, PEER, true, 0);
  const arena = new MessageArena(100);
  assert(failed(arena.receive(io(), b.fd, PLAIN, 64, 9)));
  out.send(io(), a.fd, 0);
  structuredClone(arena.bytes.buffer, { transfer: [arena.bytes.buffer] });
  structuredClone(out.bytes.buffer, { transfer: [out.bytes.buffer] });
  assertThrows(() => arena.receive(io(), b.fd, PLAIN, 64, 9), TypeError, "transferred");
  assertThrows(() => out.send(io(), a.fd, 0), TypeError, "transferred");
  assertEquals(new MessageArena(100).receive(io(), b.fd, PLAIN, 64, 9), 1);
});
