// Calls of a Socket that are made while others wait: whose is what comes, and what goes out first.
// What each call does by itself is in its own file; UDP's line: ../udp/native_test.ts.
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { Socket } from "../../socket/socket.ts";
import { assertWithin } from "../time.ts";
import { abstract, both, bytes, FFI, fill, sleep, tcpPair, test, text } from "./make.ts";

/** Receives so many bytes at most. */
async function part(socket: Socket, length: number): Promise<string> {
  return text(await socket.receive(new Uint8Array(length)));
}

test("receives that wait have what comes first, also when others are made once it has come", FFI, async () => {
  for (const type of ["stream", "seqpacket", "dgram"] as const) {
    const [left, right] = Socket.pair(type);
    using _pair = both([left, right]);
    const calls = [part(left, 1), left.receiveMessage({ buffer: new Uint8Array(1) }).then(({ data }) => text(data))];
    await sleep(2);
    right.trySend(bytes("a"));
    calls.push(part(left, 1));
    for (const word of ["b", "c"]) right.trySend(bytes(word));
    assertEquals(await Promise.all(calls), ["a", "b", "c"], type);
  }
});

test("a receive with waitAll has its bytes in one piece", FFI, async () => {
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  const whole = left.receive(new Uint8Array(6), { waitAll: true });
  right.trySend(bytes("one "));
  await sleep(2);
  // What comes now is there before the one that waits is told.
  right.trySend(bytes("two"));
  const rest = part(left, 6);
  await sleep(2);
  right.trySend(bytes(" end"));
  assertEquals([text(await whole), await rest], ["one tw", "o"]);
});

test("what sendAll() and send() send at once on a stream is not mixed", FFI, async () => {
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  const sends = [
    ...["a", "b"].map((letter) => left.sendAll(new Uint8Array(2_000_000).fill(letter.charCodeAt(0)))),
    left.send(bytes("c")),
    left.sendMessage({ data: bytes("d") }),
    left.sendAll(bytes("e")),
  ];
  const order: number[] = [];
  for (let got = 0; got < 4_000_003;) {
    const data = await right.receive();
    got += data.byteLength;
    for (const byte of data) if (order.at(-1) !== byte) order.push(byte);
  }
  assertEquals(text(Uint8Array.from(order)), "abcde");
  await Promise.all(sends);
});

test("an abort, a timeout and close() end calls that wait behind others", FFI, async () => {
  const [left, right] = Socket.pair();
  fill(left);
  const controller = new AbortController();
  const { signal } = controller;
  const calls = () => [part(left, 1), left.sendAll(bytes("x"))];
  const first = calls();
  const aborted = [left.receive(new Uint8Array(1), { signal }), left.sendAll(bytes("-"), { signal })];
  const later = calls();
  const reason = new Error("enough");
  controller.abort(reason);
  for (const call of aborted) assertStrictEquals(await assertRejects(() => call), reason);
  for (const letter of ["1", "2"]) right.trySend(bytes(letter));
  assertEquals(await Promise.all([first[0], later[0]]), ["1", "2"]);
  while (right.tryReceive() !== null);
  await Promise.all([first[1], later[1]]);
  assertEquals(text(await right.receive()), "xx");
  left.timeouts.receive = 10;
  const late = [part(left, 1), part(left, 1), part(left, 1)];
  for (const call of late) await assertWithin(5_000, assertRejects(() => call, Deno.errors.TimedOut));
  delete left.timeouts.receive;
  const ended = [...calls(), ...calls()].filter((_, i) => i % 2 === 0);
  left.close();
  for (const call of ended) await assertRejects(() => call, Deno.errors.BadResource);
  right.close();
});

test("what comes by another way, or goes to another receiver, waits behind nobody", FFI, async () => {
  using tcp = await tcpPair();
  const waits = part(tcp[0], 1);
  tcp[1].trySend(bytes("!"), { outOfBand: true });
  await sleep(2);
  assertEquals(text(await tcp[0].receive(new Uint8Array(1), { outOfBand: true })), "!");
  tcp[1].trySend(bytes("."));
  assertEquals(await waits, ".");

  using sender = Socket.open("unix", "dgram");
  using full = Socket.open("unix", "dgram");
  using other = Socket.open("unix", "dgram");
  const [there, elsewhere] = [abstract(), abstract()];
  full.bind(there);
  other.bind(elsewhere);
  while (sender.trySendTo(bytes("x"), there) !== null);
  const blocked = sender.sendTo(bytes("late"), there);
  assertEquals(await assertWithin(5_000, sender.sendTo(bytes("here"), elsewhere)), 4);
  assertEquals(text(await other.receive()), "here");
  await full.receive();
  assertEquals(await blocked, 4);
});
