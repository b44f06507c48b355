// withTimeouts: what Go asks of its connections (nettest), and what is asked of ours, on every kind of connection.
// Limits of a whole listener: limits_test.ts. Timeouts of a Socket: ../socket/timeouts_test.ts.
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { SO_KEEPALIVE, TCP_NODELAY } from "../../options/mod.ts";
import { poll } from "../../socket/mod.ts";
import { type TimedConn, withTimeouts } from "../../tcp/mod.ts";
import { certificate } from "../certificate.ts";
import { type Needs, test } from "../needs.ts";
import { bytes, outcome, sleep, tcpPair, text } from "../socket/make.ts";
import { assertWithin } from "../time.ts";
import { OTHER_PROGRAM, runWith } from "./other_program.ts";

const { TimedOut } = Deno.errors;

type Conn = Deno.Conn & TimedConn;

/** Two ends of a connection, closed together; those that are closed already may be. */
interface Ends extends Disposable {
  readonly near: Conn;
  readonly far: Conn;
}

async function plainEnds(): Promise<[Deno.TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [near, far] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
  return [near, far];
}

async function tlsEnds(): Promise<[Deno.TlsConn, Deno.TlsConn]> {
  const { cert, key } = await certificate();
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const accepting = listener.accept();
  const near = await Deno.connectTls({ hostname: "localhost", port: listener.addr.port, caCerts: [cert] });
  const far = await accepting;
  await Promise.all([near.handshake(), far.handshake()]);
  return [near, far];
}

const KINDS: readonly [name: string, needs: Needs, make: () => Promise<readonly [Deno.Conn, Deno.Conn]>][] = [
  ["of Deno", {}, plainEnds],
  ["with limits already", {}, async () => {
    const [near, far] = await plainEnds();
    return [withTimeouts(near, {}), withTimeouts(far, {})];
  }],
  ["of our own", { ffi: true, linux: true }, async () => {
    const [near, far] = await tcpPair();
    return [near.asConn(), far.asConn()];
  }],
  ["of TLS", { read: true }, tlsEnds],
];

/** A test on every kind of connection. */
function each(name: string, body: (ends: Ends) => Promise<void>): void {
  for (const [kind, needs, make] of KINDS) {
    test(`a connection ${kind}: ${name}`, needs, async () => {
      const [near, far] = await make();
      using ends = {
        near: withTimeouts(near, {}),
        far: withTimeouts(far, {}),
        [Symbol.dispose]() {
          this.near[Symbol.dispose]();
          this.far[Symbol.dispose]();
        },
      };
      await body(ends);
      await sleep(5);
    });
  }
}

async function assertLate(call: Promise<unknown>, why: RegExp): Promise<void> {
  assertMatch((await assertRejects(() => call, TimedOut)).message, why);
}

async function readAll(conn: Deno.Conn, byteLength: number): Promise<Uint8Array> {
  const all = new Uint8Array(byteLength);
  for (let got = 0; got < byteLength;) {
    const count = await conn.read(all.subarray(got));
    assert(count !== null, `the stream ended after ${got} bytes`);
    got += count;
  }
  return all;
}

async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let sent = 0; sent < data.byteLength;) sent += await conn.write(data.subarray(sent));
}

/** Writes until it is too late. */
async function writeUntilLate(conn: Deno.Conn): Promise<void> {
  const chunk = new Uint8Array(65_536);
  await assertRejects(async () => {
    for (;;) await conn.write(chunk);
  }, TimedOut);
}

/** Both directions carry what they should, whatever was before it in them. */
async function assertInStep(near: Deno.Conn, far: Deno.Conn): Promise<void> {
  const token = crypto.getRandomValues(new Uint8Array(16));
  const found = async (conn: Deno.Conn) => {
    let seen: number[] = [];
    const room = new Uint8Array(65_536);
    for (;;) {
      const count = await conn.read(room);
      assert(count !== null);
      seen = [...seen.slice(-32), ...room.subarray(Math.max(0, count - 48), count)];
      if (seen.slice(-16).every((byte, i) => byte === token[i]) && seen.length >= 16) return;
    }
  };
  await Promise.all([writeAll(near, token), found(far)]);
  await Promise.all([writeAll(far, token), found(near)]);
}

each("a megabyte goes through whole, both ways at once", async ({ near, far }) => {
  near.timeouts.read = far.timeouts.read = 10_000;
  near.timeouts.write = far.timeouts.write = 10_000;
  const data = Uint8Array.from({ length: 1 << 20 }, (_, i) => i * 31 + (i >> 9));
  const [, , there, back] = await Promise.all([
    writeAll(near, data),
    writeAll(far, data.toReversed()),
    readAll(far, data.byteLength),
    readAll(near, data.byteLength),
  ]);
  assertEquals([there, back], [data, data.toReversed()]);
});

each("a read that is too late leaves what comes to the next", async ({ near, far }) => {
  near.timeouts.read = 30;
  const late = new Uint8Array(8);
  await assertLate(near.read(late), /^Cannot read from \S+ \S+:\d+: nothing within 30 ms$/);
  await far.write(bytes("hello"));
  await sleep(20);
  assertEquals(late, new Uint8Array(8), "the buffer is the caller's again");
  const room = new Uint8Array(3);
  assertEquals([await near.read(room), text(room)], [3, "hel"]);
  assertEquals([await near.read(room), text(room.subarray(0, 2))], [2, "lo"]);
});

each("a readable that was too late closes nothing, and the next goes on", async ({ near, far }) => {
  near.timeouts.read = 30;
  const reader = near.readable.getReader();
  await assertRejects(() => reader.read(), TimedOut);
  reader.releaseLock();
  await far.write(bytes("late"));
  const next = near.readable.getReader();
  assertEquals(text((await next.read()).value!), "late");
  delete near.timeouts.read;
  const ending = next.read();
  await far.closeWrite();
  assertEquals((await ending).done, true);
});

each("what came late through read() is the first in readable", async ({ near, far }) => {
  near.deadline = Date.now() + 30;
  await assertLate(near.read(new Uint8Array(8)), /: the deadline has passed$/);
  near.deadline = null;
  await far.write(bytes("first"));
  await far.closeWrite();
  assertEquals(await new Response(near.readable).text(), "first");
});

each("past deadline: calls fail at once, and all is well without it", async ({ near, far }) => {
  await far.write(bytes("waiting"));
  await sleep(20);
  near.deadline = Date.now() - 1;
  for (let i = 0; i < 3; i++) {
    await assertLate(near.read(new Uint8Array(8)), /^Cannot read from .*: the deadline has passed$/);
    await assertLate(near.write(new Uint8Array(8)), /^Cannot write to .*: the deadline has passed$/);
  }
  near.deadline = null;
  assertEquals(text(await readAll(near, 7)), "waiting");
  await assertInStep(near, far);
});

each("present deadline: calls that wait fail at once", async ({ near, far }) => {
  const reads = [outcome(near.read(new Uint8Array(8))), outcome(near.read(new Uint8Array(8)))];
  const writing = writeUntilLate(near);
  await sleep(50);
  near.deadline = Date.now();
  for (const read of reads) assertInstanceOf(await assertWithin(500, read), TimedOut);
  await assertWithin(500, writing);
  near.deadline = null;
  await assertInStep(near, far);
});

each("future deadline: reads and writes fail when it comes, not before", async ({ near, far }) => {
  const start = performance.now();
  near.deadline = Date.now() + 100;
  const reading = assertRejects(() => near.read(new Uint8Array(8)), TimedOut);
  await assertWithin(900, Promise.all([reading, writeUntilLate(near)]));
  const waited = performance.now() - start;
  assert(waited >= 95, `waited ${waited} ms`);
  near.deadline = null;
  await assertInStep(near, far);
});

each("a deadline that moves while calls wait: further away and nearer", async ({ near, far }) => {
  near.deadline = Date.now() + 40;
  const patient = near.read(new Uint8Array(8));
  near.deadline = Date.now() + 60_000;
  await sleep(80);
  await far.write(bytes("x"));
  assertEquals(await patient, 1);
  const start = performance.now();
  const impatient = outcome(near.read(new Uint8Array(8)));
  near.deadline = Date.now() + 40;
  assertInstanceOf(await assertWithin(900, impatient), TimedOut);
  assert(performance.now() - start >= 35);
});

each("timeouts that move while a call waits count from its start", async ({ near }) => {
  near.timeouts.read = 60_000;
  const reading = outcome(near.read(new Uint8Array(8)));
  await sleep(60);
  // It has waited long enough already: it ends before any timer could.
  near.timeouts.read = 50;
  const ended = await Promise.race([reading, sleep(0)]);
  assertMatch(String(ended), /nothing within 50 ms/);
  near.timeouts.read = 20;
  const unlimited = near.read(new Uint8Array(8));
  delete near.timeouts.read;
  assertEquals(await Promise.race([unlimited, sleep(60).then(() => "still waits")]), "still waits");
  near.close();
  await assertRejects(() => unlimited);
});

each("idle: bytes either way keep a read alive, silence ends it", async ({ near, far }) => {
  near.timeouts.idle = 300;
  const start = performance.now();
  const reading = outcome(near.read(new Uint8Array(8)));
  for (let i = 0; i < 5; i++) {
    await sleep(50);
    await near.write(new Uint8Array(1));
  }
  const last = performance.now();
  assertMatch(String(await reading), /no byte either way within 300 ms/);
  assert(performance.now() - start >= 250 + 290, `it ended after ${performance.now() - start} ms`);
  assert(performance.now() - last >= 290);
  await far.write(bytes("y"));
  assertEquals(await near.read(new Uint8Array(8)), 1);
});

each("a write that is too late does not lose its place", async ({ near, far }) => {
  near.timeouts.write = 50;
  const chunk = new Uint8Array(65_536).fill(7);
  let sent = 0;
  await assertRejects(async () => {
    for (;;) sent += await near.write(chunk);
  }, TimedOut);
  // The buffer is the caller's again: what goes out late is what it was.
  chunk.fill(9);
  delete near.timeouts.write;
  const more = near.write(bytes("end"));
  const room = new Uint8Array(65_536);
  let got = 0;
  for (;;) {
    const count = await far.read(room);
    assert(count !== null);
    const ended = text(room.subarray(0, count)).endsWith("end");
    for (const byte of room.subarray(0, ended ? count - 3 : count)) assertEquals(byte, 7);
    got += count;
    if (ended) break;
  }
  assertEquals(await more, 3);
  assert(got - 3 >= sent, `${got} bytes of ${sent}`);
});

each("close in mid-wait ends reads and writes, with limits and without", async ({ near }) => {
  const reads = [near.read(new Uint8Array(8)), near.read(new Uint8Array(8))].map(outcome);
  near.timeouts.read = 60_000;
  const limited = outcome(near.read(new Uint8Array(8)));
  const writing = outcome((async () => {
    for (;;) await near.write(new Uint8Array(65_536));
  })());
  await sleep(50);
  near.close();
  for (const call of [...reads, limited, writing]) {
    const error = await assertWithin(500, call);
    assert(error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource, String(error));
  }
  await assertRejects(() => near.read(new Uint8Array(1)), Deno.errors.BadResource);
  await assertRejects(() => near.write(new Uint8Array(1)), Deno.errors.BadResource);
  assertThrows(() => near.close(), Deno.errors.BadResource);
  near[Symbol.dispose]();
});

each("readers and writers that race with deadlines lose no byte and no order", async ({ near, far }) => {
  const total = 400_000;
  const data = Uint8Array.from({ length: total }, (_, i) => i % 251);
  let over = false;
  const mover = (async () => {
    while (!over) {
      near.deadline = Math.random() < 0.5 ? Date.now() + Math.random() * 3 : Date.now() - 1;
      await sleep(1);
      near.deadline = null;
      await sleep(1);
    }
  })();
  const sending = (async () => {
    for (let sent = 0; sent < total;) {
      sent += await far.write(data.subarray(sent, sent + 1 + Math.random() * 4000));
      if (Math.random() < 0.1) await sleep(1);
    }
  })();
  const got = new Uint8Array(total);
  let filled = 0;
  let late = 0;
  // Two at a time, in the order they were made.
  const read = async () => {
    const room = new Uint8Array(1 + Math.random() * 6000);
    try {
      return room.subarray(0, await near.read(room) ?? 0);
    } catch (error) {
      assertInstanceOf(error, TimedOut);
      late++;
      // A deadline that has passed fails without a turn of the event loop, in which it could be moved.
      await sleep(0);
      return room.subarray(0, 0);
    }
  };
  while (filled < total) {
    for (const part of await Promise.all([read(), read()])) {
      got.set(part, filled);
      filled += part.byteLength;
    }
  }
  over = true;
  await Promise.all([mover, sending]);
  assertEquals(got, data);
  assert(late > 0, "no read was too late: nothing was tested");
});

each("the end of the stream comes through, also late", async ({ near, far }) => {
  near.timeouts.read = 30;
  await assertRejects(() => near.read(new Uint8Array(8)), TimedOut);
  await far.closeWrite();
  await sleep(20);
  assertEquals(await near.read(new Uint8Array(8)), null);
  assertEquals(await near.read(new Uint8Array(8)), null);
});

test("withTimeouts() keeps what a connection has besides", { ffi: true }, async () => {
  const [near, far] = await plainEnds();
  using conn = withTimeouts(near, {});
  using _far = far;
  conn.setNoDelay(true);
  conn.setKeepAlive(true);
  assertEquals([TCP_NODELAY.get(conn), SO_KEEPALIVE.get(conn)], [true, true]);
  assertEquals([TCP_NODELAY.get(near), conn.remoteAddr, conn.localAddr], [true, near.remoteAddr, near.localAddr]);
});

test("withTimeouts() keeps the handshake of TLS", { read: true }, async () => {
  const [near, far] = await tlsEnds();
  using conn = withTimeouts(near, { read: 1000 });
  using _far = far;
  assertEquals(await conn.handshake(), await near.handshake());
});

test(
  "withTimeouts() names the peer of what Deno.startTls() gave, whose addresses tell no transport",
  { read: true },
  async () => {
    const { cert, key } = await certificate();
    using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
    const { port } = listener.addr;
    const accepting = listener.accept();
    const plain = await Deno.connect({ port });
    using conn = withTimeouts(await Deno.startTls(plain, { hostname: "localhost", caCerts: [cert] }), { read: 20 });
    using far = await accepting;
    await Promise.all([conn.handshake(), far.handshake()]);
    const error = await assertRejects(() => conn.read(new Uint8Array(1)), TimedOut);
    assertMatch(error.message, new RegExp(`^Cannot read from tcp 127\\.0\\.0\\.1:${port}: nothing within 20 ms$`));
  },
);

test("poll() sees what a connection with limits has taken from the kernel", { ffi: true, linux: true }, async () => {
  const [near, far] = await plainEnds();
  using conn = withTimeouts(near, { read: 20 });
  using _far = far;
  await assertRejects(() => conn.read(new Uint8Array(8)), TimedOut);
  await far.write(bytes("abc"));
  await sleep(20);
  const [ready] = await poll([{ socket: conn, readable: true }], { timeout: 0 });
  assertEquals(ready?.readable, true);
});

Deno.test("Deno.startTls() of a connection with limits is refused, and the connection goes on", async () => {
  const [near, far] = await plainEnds();
  using conn = withTimeouts(near, {});
  using _far = far;
  const error = await assertRejects(() => Deno.startTls(conn, { hostname: "localhost" }), TypeError);
  assertMatch(error.message, /^Cannot start TLS on a connection with limits.*call Deno\.startTls first/);
  await far.write(new Uint8Array(4));
  assertEquals(await conn.read(new Uint8Array(8)), 4);
});

Deno.test("a writable that is too late closes the connection", async () => {
  const [near, far] = await plainEnds();
  using conn = withTimeouts(near, { write: 50 });
  using _far = far;
  const writer = conn.writable.getWriter();
  await assertRejects(async () => {
    for (;;) await writer.write(new Uint8Array(65_536));
  }, TimedOut);
  assertThrows(() => conn.close(), Deno.errors.BadResource);
});

Deno.test("withTimeouts() checks its arguments", async () => {
  const [near, far] = await plainEnds();
  using _near = near;
  using _far = far;
  const doing = "Cannot put limits on a connection: ";
  const bad: [args: unknown[], error: ErrorConstructor, message: string][] = [
    [[undefined, {}], TypeError, "the connection is undefined, it must be a connection of Deno or of this library"],
    [[{}, {}], TypeError, "the connection is an object (Object)"],
    [[near, undefined], TypeError, "the second argument is undefined, it must be an object of milliseconds"],
    [[near, { read: 0 }], RangeError, "timeouts.read: it is 0, it must be a whole number from 1 to 2147483647"],
    [[near, { write: -1 }], RangeError, "timeouts.write: it is -1"],
    [[near, { idle: 1.5 }], RangeError, "timeouts.idle: it is 1.5"],
    [[near, { read: "9" }], TypeError, 'timeouts.read: it is "9"'],
    [[near, { raed: 9 }], TypeError, "timeouts.raed: it must be one of read, write, idle"],
  ];
  for (const [args, error, message] of bad) {
    const thrown = assertThrows(() => withTimeouts(...args as [Deno.Conn, object]), error, message);
    assert(thrown.message.startsWith(doing), thrown.message);
  }
  const conn = withTimeouts(near, {});
  assertThrows(() => conn.timeouts.read = 0, RangeError, "Cannot set timeouts.read: it is 0");
  assertThrows(() => conn.deadline = NaN, RangeError, "Cannot set the deadline: it is NaN");
  assertThrows(() => conn.deadline = "soon" as unknown as number, TypeError, 'it is "soon"');
  await assertRejects(() => conn.read("x" as unknown as Uint8Array), TypeError, 'the buffer is "x"');
  assertEquals(await conn.read(new Uint8Array(0)), 0);
  assertStrictEquals(conn.timeouts.read, undefined);
  conn.timeouts.read = 5_000;
  // As TypeScript lets a program do that does not tell absent from undefined.
  Object.assign(conn.timeouts, { read: undefined });
  assertEquals({ ...conn.timeouts }, {});
});

test("a read that was too late keeps no program alive", OTHER_PROGRAM, async () => {
  const { code, output } = await assertWithin(
    10_000,
    runWith(
      ["--allow-net"],
      `const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
       const conn = tcp.withTimeouts(await Deno.connect({ port: listener.addr.port }), { read: 20 });
       await conn.read(new Uint8Array(1)).catch(say);`,
    ),
  );
  assertEquals(code, 0);
  assertMatch(output, /^TimedOut: Cannot read from tcp 127\.0\.0\.1:\d+: nothing within 20 ms$/);
});
