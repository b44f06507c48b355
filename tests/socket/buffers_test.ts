// Buffers at their edges, for every call that sends or receives: empty, parts of others, shared, resizable, gone, and what
// becomes of them while a call waits. The bytes around them and the lists of messages: ../msghdr_test.ts.
import { assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { Socket } from "../../socket/socket.ts";
import { abstract, both, bytes, FFI, fill, outcome, sleep, test, text } from "./make.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Unix = Socket<"unix">;

/** What of a message came, or went out. */
interface Sending {
  /** Now. */
  readonly now: (socket: Unix, data: Uint8Array) => number | null;
  /** When there is room. */
  readonly waits: (socket: Unix, data: Uint8Array) => Promise<unknown>;
}
interface Receiving {
  /** Now: what came into the buffer. */
  readonly now: (socket: Unix, buffer: Bytes) => Uint8Array | null;
  /** When it comes. */
  readonly waits: (socket: Unix, buffer: Bytes) => Promise<Uint8Array>;
}

const SENDING: Readonly<Record<string, Sending>> = {
  "send()": {
    now: (socket, data) => socket.trySend(data),
    waits: (socket, data) => socket.send(data),
  },
  "sendAll()": {
    now: (socket, data) => socket.trySend(data),
    waits: (socket, data) => socket.sendAll(data),
  },
  "sendTo()": {
    now: (socket, data) => socket.trySendTo(data, socket.remoteAddr!),
    waits: (socket, data) => socket.sendTo(data, socket.remoteAddr!),
  },
  "sendMessage()": {
    now: (socket, data) => socket.trySendMessage({ data }),
    waits: (socket, data) => socket.sendMessage({ data }),
  },
  "sendMessage() of several": {
    now: (socket, data) => socket.trySendMessage({ data: [new Uint8Array(0), data, new Uint8Array(0)] }),
    waits: (socket, data) => socket.sendMessage({ data: [new Uint8Array(0), data, new Uint8Array(0)] }),
  },
};

/** What of a message is in the second of three buffers, of which the others are empty. */
function second(buffer: Bytes, byteLength: number): Uint8Array {
  return buffer.subarray(0, byteLength);
}
function among(buffer: Bytes): Bytes[] {
  return [new Uint8Array(0), buffer, new Uint8Array(0)];
}

const RECEIVING: Readonly<Record<string, Receiving>> = {
  "receive()": {
    now: (socket, buffer) => socket.tryReceive(buffer),
    waits: (socket, buffer) => socket.receive(buffer),
  },
  "receiveFrom()": {
    now: (socket, buffer) => socket.tryReceiveFrom(buffer)?.[0] ?? null,
    waits: async (socket, buffer) => (await socket.receiveFrom(buffer))[0],
  },
  "receiveMessage()": {
    now: (socket, buffer) => socket.tryReceiveMessage({ buffer })?.data ?? null,
    waits: async (socket, buffer) => (await socket.receiveMessage({ buffer })).data,
  },
  "receiveMessage() into several": {
    now(socket, buffer) {
      const message = socket.tryReceiveMessage({ buffer: among(buffer) });
      return message === null ? null : second(buffer, message.byteLength);
    },
    waits: async (socket, buffer) =>
      second(buffer, (await socket.receiveMessage({ buffer: among(buffer) })).byteLength),
  },
};

/** Views of eight bytes, of every kind of memory. */
const KINDS: Readonly<Record<string, () => Uint8Array>> = {
  "a part of another": () => new Uint8Array(24).subarray(8, 16),
  "shared memory": () => new Uint8Array(new SharedArrayBuffer(16), 8),
  "shared memory that can grow": () => new Uint8Array(new SharedArrayBuffer(8, { maxByteLength: 64 })),
  "resizable memory": () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 64 })),
  "a part of resizable memory": () => new Uint8Array(new ArrayBuffer(24, { maxByteLength: 64 }), 8, 8),
  "memory of WebAssembly": () => new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 65_528),
};

/** Views that have lost their memory. */
const GONE: Readonly<Record<string, () => Bytes>> = {
  "transferred memory"() {
    const view = new Uint8Array(8);
    view.buffer.transfer();
    return view;
  },
  "memory that has shrunk below its end"() {
    const buffer = new ArrayBuffer(24, { maxByteLength: 64 });
    const view = new Uint8Array(buffer, 8, 8);
    buffer.resize(12);
    return view;
  },
  "memory that has shrunk below its beginning"() {
    const buffer = new ArrayBuffer(24, { maxByteLength: 64 });
    const view = new Uint8Array(buffer, 16);
    buffer.resize(12);
    return view;
  },
  "memory of WebAssembly that has grown"() {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
    const view = new Uint8Array(memory.buffer);
    memory.grow(1);
    return view as Bytes;
  },
};

/** Two datagram sockets that are connected with each other, each with a name. */
async function named(): Promise<[Unix, Unix] & Disposable> {
  const [a, b] = [Socket.open("unix", "dgram"), Socket.open("unix", "dgram")];
  const pair = both([a, b]);
  for (const socket of pair) socket.bind(abstract());
  await a.connect(b.localAddr!);
  await b.connect(a.localAddr!);
  return pair;
}

/** Sends until there is no room; how many went out. */
function stuff(socket: Unix): number {
  let count = 0;
  while (socket.trySend(bytes("full")) !== null) count++;
  return count;
}

function drain(socket: Unix, count: number): void {
  for (let i = 0; i < count; i++) assertEquals(text(socket.tryReceive()!), "full");
}

for (const [name, { now, waits }] of Object.entries(SENDING)) {
  test(`${name} sends nothing, the eight bytes of every kind of memory, and none that is gone`, FFI, async () => {
    using pair = await named();
    const [from, to] = pair;
    for (const make of Object.values(KINDS)) {
      const data = make();
      data.set(bytes("8 bytes."));
      assertEquals(now(from, data), 8);
      await waits(from, data);
      assertEquals([text(to.tryReceive()!), text(to.tryReceive()!)], ["8 bytes.", "8 bytes."]);
      assertEquals(now(from, data.subarray(3, 3)), 0);
      await waits(from, data.subarray(3, 3));
      assertEquals([to.tryReceive()!.byteLength, to.tryReceive()!.byteLength], [0, 0]);
    }
    for (const make of Object.values(GONE)) {
      assertThrows(() => now(from, make()), TypeError, "lost its memory");
      assertInstanceOf(await outcome(waits(from, make())), TypeError);
    }
    assertStrictEquals(to.tryReceive(), null);
  });

  test(`${name} that waits takes its buffer as it is when there is room, and none that is gone`, FFI, async () => {
    using pair = await named();
    const [from, to] = pair;
    const count = stuff(from);
    const gone = [
      (buffer: ArrayBuffer) => buffer.transfer(),
      (buffer: ArrayBuffer) => buffer.resize(4),
      (buffer: ArrayBuffer) => structuredClone(buffer, { transfer: [buffer] }),
    ];
    const results: Promise<unknown>[] = [];
    for (const lose of gone) {
      const buffer = new ArrayBuffer(8, { maxByteLength: 64 });
      results.push(outcome(waits(from, new Uint8Array(buffer, 0, 8))));
      await sleep(1);
      lose(buffer);
    }
    const buffer = new ArrayBuffer(8, { maxByteLength: 64 });
    const tracking = new Uint8Array(buffer);
    const last = waits(from, tracking);
    await sleep(1);
    buffer.resize(name === "sendAll()" ? 8 : 10);
    tracking.set(bytes("resized...").subarray(0, buffer.byteLength));
    drain(to, count);
    for (const result of results) assertInstanceOf(await result, TypeError);
    await last;
    assertEquals(text(to.tryReceive()!), "resized...".slice(0, buffer.byteLength));
    assertStrictEquals(to.tryReceive(), null);
  });
}

for (const [name, { now, waits }] of Object.entries(RECEIVING)) {
  test(`${name} fills the eight bytes of every kind of memory and no other, and none that is gone`, FFI, async () => {
    using pair = await named();
    const [to, from] = pair;
    for (const make of Object.values(KINDS)) {
      for (const receive of [now, waits]) {
        const buffer = make() as Bytes;
        const around = new Uint8Array(buffer.buffer);
        const waiting = receive === waits ? waits(to, buffer) : null;
        from.trySend(bytes("8 bytes."));
        const got = await (waiting ?? now(to, buffer));
        assertEquals([text(got!.slice()), got!.byteOffset], ["8 bytes.", buffer.byteOffset]);
        assertEquals(around.reduce((sum, byte) => sum + byte), bytes("8 bytes.").reduce((sum, byte) => sum + byte));
      }
      from.trySend(new Uint8Array(0));
      assertEquals(now(to, make().subarray(3, 3) as Bytes)!.byteLength, 0);
    }
    from.trySend(bytes("stays"));
    for (const make of Object.values(GONE)) {
      assertThrows(() => now(to, make()), TypeError, "lost its memory");
      assertInstanceOf(await outcome(waits(to, make())), TypeError);
    }
    assertEquals(text(now(to, new Uint8Array(8))!), "stays");
  });

  test(
    `${name} that waits takes its buffer as it is when something comes, and loses nothing to one that is gone`,
    FFI,
    async () => {
      using pair = await named();
      const [to, from] = pair;
      const gone = [
        (buffer: ArrayBuffer) => buffer.transfer(),
        (buffer: ArrayBuffer) => buffer.resize(4),
        (buffer: ArrayBuffer) => structuredClone(buffer, { transfer: [buffer] }),
      ];
      for (const lose of gone) {
        const buffer = new ArrayBuffer(8, { maxByteLength: 64 });
        const result = outcome(waits(to, new Uint8Array(buffer, 0, 8)));
        await sleep(1);
        lose(buffer);
        from.trySend(bytes("stays"));
        assertInstanceOf(await result, TypeError);
        assertEquals(text(now(to, new Uint8Array(8))!), "stays");
      }
      for (const length of [5, 30]) {
        const buffer = new ArrayBuffer(8, { maxByteLength: 64 });
        const result = waits(to, new Uint8Array(buffer));
        await sleep(1);
        buffer.resize(length);
        from.trySend(bytes("x".repeat(length)));
        assertEquals(text((await result).slice()), "x".repeat(length));
      }
    },
  );
}

test("of a datagram that is larger than its buffers nobody gets more than fits", FFI, async () => {
  using pair = await named();
  const [to, from] = pair;
  const large = bytes("0123456789");
  for (const name of ["receive()", "receiveFrom()"]) {
    const memory = new Uint8Array(20);
    from.trySend(large);
    const error = assertThrows(
      () => RECEIVING[name]!.now(to, memory.subarray(5, 9)),
      Error,
      "the datagram has 10 bytes",
    );
    assertEquals((error as { code?: string }).code, "EMSGSIZE");
    assertEquals(text(memory), "\0".repeat(5) + "0123" + "\0".repeat(11));
  }
  const memory = new Uint8Array(20);
  from.trySend(large);
  const message = to.tryReceiveMessage({ buffer: [memory.subarray(2, 5), memory.subarray(10, 12)] })!;
  assertEquals([message.byteLength, message.truncated, text(message.data)], [10, true, "012"]);
  assertEquals(text(memory), "\0\x00012" + "\0".repeat(5) + "34" + "\0".repeat(8));
  assertStrictEquals(to.tryReceive(), null);
});

test("a receive with waitAll fills every kind of memory, piece by piece", FFI, async () => {
  const [to, from] = Socket.pair();
  using _pair = both([to, from]);
  for (const make of Object.values(KINDS)) {
    const buffer = make() as Bytes;
    const filling = to.receive(buffer, { waitAll: true });
    for (const part of ["8 b", "ytes", "."]) {
      from.trySend(bytes(part));
      await sleep(1);
    }
    const got = await filling;
    assertEquals([text(got.slice()), got.byteOffset], ["8 bytes.", buffer.byteOffset]);
  }
  for (const make of Object.values(GONE)) {
    assertInstanceOf(await outcome(to.receive(make(), { waitAll: true })), TypeError);
  }
  assertEquals((await to.receive(new Uint8Array(0), { waitAll: true })).byteLength, 0);
});

test("a receive with waitAll whose buffer goes or shrinks is an error, and the stream goes on", FFI, async () => {
  const [to, from] = Socket.pair();
  using _pair = both([to, from]);
  for (const lose of [(buffer: ArrayBuffer) => buffer.transfer(), (buffer: ArrayBuffer) => buffer.resize(2)]) {
    for (
      const view of [
        (buffer: ArrayBuffer) => new Uint8Array(buffer),
        (buffer: ArrayBuffer) => new Uint8Array(buffer, 0, 8),
      ]
    ) {
      const buffer = new ArrayBuffer(8, { maxByteLength: 64 });
      const filling = outcome(to.receive(view(buffer), { waitAll: true }));
      from.trySend(bytes("gone"));
      await sleep(2);
      lose(buffer);
      from.trySend(bytes("next"));
      assertInstanceOf(await filling, TypeError);
      assertEquals(text(await to.receive()), "next");
    }
  }
  // One that grows is filled to its new end, one that shrinks to no less than it holds is full.
  for (const length of [12, 4]) {
    const buffer = new ArrayBuffer(8, { maxByteLength: 64 });
    const filling = to.receive(new Uint8Array(buffer), { waitAll: true });
    from.trySend(bytes("0123"));
    await sleep(2);
    buffer.resize(length);
    from.trySend(bytes("456789ab"));
    assertEquals(text((await filling).slice()), "0123456789ab".slice(0, length));
  }
  assertEquals(text(await to.receive()), "456789ab");
});

test(
  "sendAll() whose buffer shrinks while it waits is an error that says how much went out, and never endless",
  FFI,
  async () => {
    for (const length of [4, 2, 0]) {
      const [from, to] = Socket.pair();
      using _pair = both([from, to]);
      const full = fill(from);
      const buffer = new ArrayBuffer(8, { maxByteLength: 8 });
      const sending = outcome(from.sendAll(new Uint8Array(buffer)));
      await sleep(1);
      buffer.resize(length);
      let got = 0;
      while (got < full + length) got += (await to.receive()).byteLength;
      const error = await sending as TypeError & { sent: number };
      assertInstanceOf(error, TypeError);
      assertEquals(error.sent, length);
    }
  },
);

test("sendAll() of nothing waits for room too", FFI, async () => {
  using pair = await named();
  const [from, to] = pair;
  const count = stuff(from);
  const sending = from.sendAll(new Uint8Array(0));
  await sleep(1);
  drain(to, count);
  await sending;
  assertEquals(to.tryReceive()?.byteLength, 0);
});

test("a stream takes no end for a buffer that is gone", FFI, async () => {
  const [to, from] = Socket.pair();
  using _pair = both([to, from]);
  from.trySend(bytes("not the end"));
  for (const make of Object.values(GONE)) {
    for (const { now } of Object.values(RECEIVING)) assertThrows(() => now(to, make()), TypeError, "lost its memory");
  }
  assertEquals(text(await to.receive()), "not the end");
  fill(to);
  for (const make of Object.values(GONE)) {
    for (const { now } of Object.values(SENDING)) {
      if (now === SENDING["sendTo()"]!.now) continue;
      assertThrows(() => now(to, make()), TypeError, "lost its memory");
    }
  }
});
