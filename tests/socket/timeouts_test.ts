// Socket.timeouts: how long each kind of call waits, and what comes after it did in vain.
// Signals: in the files named after the calls.
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { Socket } from "../../socket/socket.ts";
import type { SocketTimeouts } from "../../socket/waits.ts";
import { assertWithin } from "../time.ts";
import { abstract, both, bytes, FFI, fill, outcome, sleep, tcpListener, tcpPair, test, text, udpPair } from "./make.ts";

/** Asserts that a call times out after about so long. */
async function assertTimesOut(call: () => Promise<unknown>, milliseconds: number): Promise<void> {
  const since = performance.now();
  const error = await assertWithin(milliseconds + 200, outcome(call()));
  const took = performance.now() - since;
  assertInstanceOf(error, Deno.errors.TimedOut);
  assert(error.message.includes(`${milliseconds} ms`), error.message);
  assert(took > milliseconds - 2, `${took} ms`);
}

test("timeouts are absent until they are set", FFI, async () => {
  using pair = await udpPair();
  assertEquals({ ...pair[0].timeouts }, {});
  pair[0].timeouts.receive = 20;
  assertEquals({ ...pair[0].timeouts }, { receive: 20 });
  assertEquals({ ...pair[1].timeouts }, {});
});

test("receive, send, accept and connect time out each by its own", FFI, async () => {
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  left.timeouts.receive = 20;
  left.timeouts.send = 30;
  await assertTimesOut(() => left.receive(), 20);
  await assertTimesOut(() => left.receiveFrom(), 20);
  await assertTimesOut(() => left.receive(new Uint8Array(4), { waitAll: true }), 20);
  fill(left);
  await assertTimesOut(() => left.send(bytes("x")), 30);
  await assertTimesOut(() => left.sendAll(bytes("x")), 30);
  using listener = tcpListener();
  listener.timeouts.accept = 20;
  await assertTimesOut(() => listener.accept(), 20);
  using unix = Socket.open("unix", "stream");
  const address = abstract();
  unix.bind(address);
  unix.listen(0);
  using first = Socket.open("unix", "stream");
  await first.connect(address);
  using second = Socket.open("unix", "stream");
  second.timeouts.connect = 30;
  await assertTimesOut(() => second.connect(address), 30);
  // Accepted sockets have none of their listener's.
  using accepted = await unix.accept();
  assertEquals({ ...accepted.timeouts }, {});
});

test("a connect that was too late names the address that did not answer", FFI, async () => {
  using listener = Socket.open("inet", "stream");
  listener.bind({ hostname: "127.0.0.1", port: 0 });
  listener.listen(0);
  using clients = new DisposableStack();
  let error: unknown;
  // Those for whom the queue of the listener has no room wait, as the kernel throws their segments away.
  for (let i = 0; error === undefined && i < 10; i++) {
    const client = clients.use(Socket.open("inet", "stream"));
    client.timeouts.connect = 50;
    error = await client.connect(listener.localAddr!).then(() => undefined, (error) => error);
  }
  assertInstanceOf(error, Deno.errors.TimedOut);
  const { port } = listener.localAddr!;
  assertEquals(error.message, `Cannot connect inet stream to 127.0.0.1:${port}: nothing within 50 ms`);
});

test("what comes after the timeout is not lost", FFI, async () => {
  using pair = await udpPair();
  pair[1].timeouts.receive = 10;
  await assertTimesOut(() => pair[1].receive(), 10);
  await pair[0].send(bytes("late"));
  assertEquals(text(await pair[1].receive()), "late");
  using stream = await tcpPair();
  stream[1].timeouts.receive = 30;
  await stream[0].send(bytes("some"));
  await assertTimesOut(() => stream[1].receive(new Uint8Array(8), { waitAll: true }), 30);
  await stream[0].send(bytes("more"));
  assertEquals(text(await stream[1].receive(new Uint8Array(8), { waitAll: true })), "somemore");
});

test("a timeout that is set while a call waits counts from its start", FFI, async () => {
  using pair = await udpPair();
  const waiting = outcome(pair[1].receive());
  await sleep(5);
  pair[1].timeouts.receive = 40;
  const late = outcome(pair[1].receive());
  pair[1].timeouts.receive = 15;
  for (const error of await assertWithin(100, Promise.all([waiting, late]))) {
    assertInstanceOf(error, Deno.errors.TimedOut);
  }
});

test("a timeout that is deleted, set to undefined or raised while a call waits does not end it", FFI, async () => {
  using pair = await udpPair();
  const timeouts: { receive?: number | undefined } = pair[1].timeouts;
  for (const lift of [() => void delete timeouts.receive, () => void (timeouts.receive = undefined)]) {
    timeouts.receive = 20;
    // This timer is over before the timeout, however late both are.
    const soon = sleep(2).then(lift);
    const waiting = pair[1].receive();
    await soon;
    await sleep(40);
    await pair[0].send(bytes("in time"));
    assertEquals(text(await waiting), "in time");
    assertEquals({ ...timeouts }, {});
  }
  pair[1].timeouts.receive = 20;
  const raised = pair[1].receive();
  pair[1].timeouts.receive = 5000;
  await sleep(40);
  await pair[0].send(bytes("as well"));
  assertEquals(text(await raised), "as well");
});

test("a timeout is of the whole call, also when others take what it was woken for", FFI, async () => {
  using pair = await udpPair();
  const [sender, receiver] = pair;
  receiver.timeouts.receive = 60;
  // Those who came first are served first; the last one is woken each time, and finds nothing.
  let served = 0;
  const greedy = setInterval(() => {
    sender.trySend(bytes("x"));
    while (receiver.tryReceive() !== null) served++;
  }, 5);
  const error = await assertWithin(200, outcome(receiver.receive()));
  clearInterval(greedy);
  assertInstanceOf(error, Deno.errors.TimedOut);
  assert(served > 0);
});

test("the try twins know no timeout, and 0 is one", FFI, async () => {
  using pair = await udpPair();
  pair[1].timeouts.receive = 0;
  assertEquals(pair[1].tryReceive(), null);
  await assertTimesOut(() => pair[1].receive(), 0);
  await pair[0].send(bytes("there"));
  await sleep(1);
  assertEquals(text(await pair[1].receive()), "there");
});

test("timeouts take milliseconds of the four kinds, and nothing else", FFI, async () => {
  using pair = await udpPair();
  const timeouts = pair[0].timeouts as Record<string, unknown>;
  assertThrows(() => timeouts.receive = NaN, RangeError);
  assertThrows(() => timeouts.receive = -1, RangeError);
  assertThrows(() => timeouts.receive = 1.5, RangeError);
  assertThrows(() => timeouts.receive = Infinity, RangeError);
  assertThrows(() => timeouts.receive = "5", TypeError);
  assertThrows(() => timeouts.recieve = 5, TypeError, "recieve");
  assertThrows(() => Object.assign(pair[0].timeouts, { nothing: 1 } as SocketTimeouts), TypeError);
  assertEquals({ ...pair[0].timeouts }, {});
});

test("a timeout and a signal may both be there: the first one ends the call", FFI, async () => {
  using pair = await udpPair();
  pair[0].timeouts.receive = 10;
  const controller = new AbortController();
  const waiting = outcome(pair[0].receive(undefined, { signal: controller.signal }));
  assertInstanceOf(await waiting, Deno.errors.TimedOut);
  controller.abort();
  pair[0].timeouts.receive = 10_000;
  const error = await outcome(pair[0].receive(undefined, { signal: AbortSignal.timeout(5) }));
  assertEquals((error as Error).name, "TimeoutError");
});

test("timeouts are checked however they are set, and in force", FFI, async () => {
  using pair = await udpPair();
  const define = (kind: string, value: unknown) => () =>
    Object.defineProperty(pair[0].timeouts, kind, { value, writable: true, enumerable: true, configurable: true });
  assertThrows(define("receive", -1), RangeError);
  assertThrows(define("receive", "5"), TypeError);
  assertThrows(define("recieve", 5), TypeError, "recieve");
  assertEquals({ ...pair[0].timeouts }, {});
  const waiting = outcome(pair[0].receive());
  define("receive", 10)();
  assertEquals({ ...pair[0].timeouts }, { receive: 10 });
  assertInstanceOf(await assertWithin(5_000, waiting), Deno.errors.TimedOut);
});
