// The invariants of internal/msghdr.ts at their edges, on real sockets: whatever a caller gives, no byte outside of it moves.
// What stands in the control bytes: cmsg_test.ts. The calls of Socket that stand on it: socket/.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { failed, failedWith } from "../internal/errno.ts";
import { libc } from "../internal/libc.ts";
import { type LibcIo, libcIo } from "../internal/libc_io.ts";
import { type RawMessage, receiveMessage, sendMessage } from "../internal/msghdr.ts";
import { test } from "./needs.ts";
import { AF_INET, AF_UNIX, inet, int, RAW, RawSocket, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET } from "./raw_socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SOAK = Deno.permissions.querySync({ name: "env", variable: "SOCKETS_SOAK" }).state === "granted" &&
  Deno.env.get("SOCKETS_SOAK") === "1";
const ROUNDS = SOAK ? 1_000_000 : 20_000;
const MSG_CTRUNC = 0x8, MSG_TRUNC = 0x20;
const SCM_RIGHTS = 1, SO_RCVBUF = 8;
/** What lies around every buffer of these tests. */
const POISON = 0xa5;

const utf8 = new TextEncoder();

function calls(): LibcIo {
  return libcIo("Cannot test messages");
}

function bytes(text: string): Bytes {
  return utf8.encode(text);
}

function textOf(...parts: readonly Uint8Array[]): string {
  return parts.map((part) => new TextDecoder().decode(part.slice())).join("|");
}

/** Sends all of it, to the other end of a pair. */
function send(socket: RawSocket, data: readonly Uint8Array[], control: Bytes | null = null): number {
  const sent = sendMessage(calls(), socket.fd, data, null, control, 0);
  assert(!failed(sent));
  return sent;
}

/** Receives what is there, or must be. */
function receive(socket: RawSocket, data: readonly Uint8Array[], control = 0, flags = 0): RawMessage {
  const message = receiveMessage(calls(), socket.fd, data as readonly Bytes[], false, control, flags);
  assert(message !== null);
  return message;
}

/** Whether nothing has been sent to it. */
function isEmpty(socket: RawSocket): boolean {
  return receiveMessage(calls(), socket.fd, [new Uint8Array(8)], false, 0, 0) === null && failedWith("EAGAIN");
}

/** A view of `length` bytes amid poison. */
function amid(length: number, before = 16, after = 16): Bytes {
  return new Uint8Array(before + length + after).fill(POISON).subarray(before, before + length);
}

/** Fails when a byte around a view is no longer what it was. */
function assertUntouched(view: Uint8Array): void {
  const all = new Uint8Array(view.buffer);
  for (let i = 0; i < all.length; i++) {
    if (i === view.byteOffset) i += view.byteLength;
    if (i < all.length) assertEquals(all[i], POISON, `byte ${i - view.byteOffset} of a buffer of ${view.byteLength}`);
  }
}

// ---- What it does ----

test("buffers are gathered and filled in order, whatever their sizes", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  assertEquals(send(a, [bytes("abc"), bytes(""), bytes("defgh")]), 8);
  const into = [amid(2), amid(0), amid(5), amid(4)];
  const message = receive(b, into);
  assertEquals(message.byteLength, 8);
  assertEquals(message.flags, 0);
  assertEquals(textOf(into[0]!, into[2]!, into[3]!.subarray(0, 1)), "ab|cdefg|h");
  assertEquals([...into[3]!.subarray(1)], [POISON, POISON, POISON]);
  for (const view of into) assertUntouched(view);
});

test("no buffers, and buffers of no bytes, are a message of no bytes", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  for (const data of [[], [bytes("")], [bytes(""), bytes("")], [new Uint8Array(new ArrayBuffer(0))]]) {
    assertEquals(send(a, data), 0);
    const into = amid(4);
    assertEquals(receive(b, [into]).byteLength, 0);
    assertEquals(into[0], POISON);
  }
  for (const into of [[], [bytes("")]]) {
    assertEquals(send(a, [bytes("four")]), 4);
    const message = receive(b, into, 0, MSG_TRUNC);
    assertEquals([message.byteLength, message.flags & MSG_TRUNC], [4, MSG_TRUNC]);
  }
  assert(isEmpty(b));
});

test("a message that does not fit is cut at the end of the buffers, its true length told when asked for", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  for (const [flags, length] of [[0, 8], [MSG_TRUNC, 64]] as const) {
    send(a, [new Uint8Array(64).fill(7)]);
    const into = [amid(3), amid(5)];
    const message = receive(b, into, 0, flags);
    assertEquals([message.byteLength, message.flags & MSG_TRUNC], [length, MSG_TRUNC]);
    for (const view of into) {
      assert(view.every((byte) => byte === 7));
      assertUntouched(view);
    }
  }
});

test("what does not fit goes to the rest, and tells the true length where the kernel does not", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  const rest = new Uint8Array(100);
  for (const [sent, room, buffers] of [[30, 20, 2], [20, 20, 2], [10, 20, 2], [5, 0, 0], [1030, 1024, 1024]] as const) {
    send(a, [new Uint8Array(sent).fill(5)]);
    const views = Array.from({ length: buffers }, () => new Uint8Array(room / buffers));
    const got = receiveMessage(calls(), b.fd, views, false, 0, 0, true, rest)!;
    // Of as many buffers as there may be, none is left for it.
    assertEquals(got.byteLength, buffers === 1024 ? 1024 : sent);
    assertEquals((got.flags & MSG_TRUNC) !== 0, sent > room);
    for (const view of views.slice(0, sent / (room / buffers) | 0)) assert(view.every((byte) => byte === 5));
  }
});

test("an address says where to, and whence, when it is asked for", RAW, () => {
  using a = RawSocket.open(AF_INET, SOCK_DGRAM).bind(inet("127.0.0.1", 0));
  using b = RawSocket.open(AF_INET, SOCK_DGRAM).bind(inet("127.0.0.1", 0));
  for (const wanted of [true, false, true]) {
    assertEquals(sendMessage(calls(), a.fd, [bytes("hello")], b.localAddress, null, 0), 5);
    b.poll(1, 1000);
    const message = receiveMessage(calls(), b.fd, [new Uint8Array(8)], wanted, 0, 0);
    assertEquals(message?.address, wanted ? a.localAddress : new Uint8Array());
  }
  const [c, d] = RawSocket.pair(SOCK_STREAM);
  using _c = c, _d = d;
  send(c, [bytes("x")]);
  assertEquals(
    receiveMessage(calls(), d.fd, [new Uint8Array(8)], true, 0, 0)?.address,
    new Uint8Array(),
    "an unnamed socket has none",
  );
});

test("an address as long as they get is told whole", RAW, () => {
  using a = RawSocket.open(AF_UNIX, SOCK_DGRAM);
  using b = RawSocket.open(AF_UNIX, SOCK_DGRAM);
  const longest = new Uint8Array(110).fill(0x61);
  longest.set([AF_UNIX, 0, 0]);
  longest.set(crypto.getRandomValues(new Uint8Array(16)), 3);
  a.bind(longest);
  const other = longest.slice();
  other[109] = 0x62;
  b.bind(other);
  assertEquals(sendMessage(calls(), a.fd, [bytes("x")], other, null, 0), 1);
  assertEquals(receiveMessage(calls(), b.fd, [new Uint8Array(8)], true, 0, 0)?.address, longest);
});

test("a failure is -1 or null, with errno saved", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  assertEquals(receiveMessage(calls(), a.fd, [new Uint8Array(8)], true, 64, 0), null);
  assert(failedWith("EAGAIN"));
  assertEquals(receiveMessage(calls(), 1_000_000, [new Uint8Array(8)], true, 64, 0), null);
  assert(failedWith("EBADF"));
  assert(failed(sendMessage(calls(), 1_000_000, [bytes("x")], null, null, 0)));
  assert(failedWith("EBADF"));
  b.close();
  assert(failed(sendMessage(calls(), a.fd, [bytes("x")], null, null, 0)));
  assert(failedWith("ECONNREFUSED"));
});

// ---- Memory of every kind ----

test("parts of buffers, shared memory, resizable memory and WebAssembly's are followed where they lie", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  const shared = new Uint8Array(new SharedArrayBuffer(24), 8, 8);
  const growing = new Uint8Array(new SharedArrayBuffer(8, { maxByteLength: 64 }));
  const resizable = new ArrayBuffer(8, { maxByteLength: 1 << 20 });
  const tracking = new Uint8Array(resizable);
  const fixed = new Uint8Array(resizable, 2, 4);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 4 });
  const webAssembly = new Uint8Array(memory.buffer, 65_528);
  class Mine extends Uint8Array {}
  for (const view of [shared, growing, tracking, fixed, webAssembly, new Mine(8), amid(8)]) {
    view.set(bytes("12345678").subarray(0, view.byteLength));
    assertEquals(send(a, [view, bytes("!")]), view.byteLength + 1);
    view.fill(0);
    const more = new Uint8Array(4);
    assertEquals(receive(b, [view, more]).byteLength, view.byteLength + 1);
    assertEquals(textOf(view, more.subarray(0, 1)), `${"12345678".slice(0, view.byteLength)}|!`);
  }
  assert(new Uint8Array(shared.buffer, 16).every((byte) => byte === 0));
});

test("a length is that of the moment of the call: grown, shrunk, and grown again", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  const buffer = new ArrayBuffer(8, { maxByteLength: 1 << 20 });
  const view = new Uint8Array(buffer);
  const memory = new SharedArrayBuffer(8, { maxByteLength: 1 << 20 });
  for (const length of [8, 100_000, 3, 4096, 0, 1]) {
    buffer.resize(length);
    view.fill(9);
    assertEquals(send(a, [view]), length);
    const into = new Uint8Array(200_000);
    assertEquals(receive(b, [into]).byteLength, length);
    assertEquals(into.indexOf(0), length);
    send(a, [new Uint8Array(50_000).fill(5)]);
    assertEquals(receive(b, [view]).byteLength, Math.min(length, 50_000));
    if (length >= memory.byteLength) memory.grow(length);
    assertEquals(send(a, [new Uint8Array(memory)]), memory.byteLength);
    assertEquals(receive(b, [into]).byteLength, memory.byteLength);
  }
});

test("memory that is gone is a TypeError, and never a message of no bytes", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  const detached = new Uint8Array(8);
  structuredClone(detached, { transfer: [detached.buffer] });
  const empty = new Uint8Array(new ArrayBuffer(8), 8);
  empty.buffer.transfer();
  const resizable = new ArrayBuffer(16, { maxByteLength: 32 });
  const outside = new Uint8Array(resizable, 8, 8);
  const started = new Uint8Array(resizable, 12);
  resizable.resize(10);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 4 });
  const grown = new Uint8Array(memory.buffer);
  memory.grow(1);
  send(a, [bytes("still here")]);
  for (const gone of [detached, empty, outside, started, grown]) {
    assertEquals(gone.byteLength, 0);
    for (const data of [[gone], [bytes("abc"), gone]]) {
      assertThrows(() => sendMessage(calls(), a.fd, data, null, null, 0), TypeError, "lost its memory");
      assertThrows(
        () => receiveMessage(calls(), b.fd, data as Bytes[], false, 0, 0),
        TypeError,
        "lost its memory",
      );
    }
  }
  const into = new Uint8Array(16);
  assertEquals(receive(b, [into]).byteLength, 10);
  assert(isEmpty(b), "nothing was sent, nothing was taken");
});

test("a view that says another length than it has is taken for what it is", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  class Liar extends Uint8Array<ArrayBuffer> {
    override get byteLength(): number {
      return 4096;
    }
    override get length(): number {
      return 4096;
    }
    override get byteOffset(): number {
      return 0;
    }
  }
  function liar(): Uint8Array {
    return new Liar(new Uint8Array(40).fill(POISON).buffer, 16, 8);
  }
  const own = amid(8);
  for (const name of ["byteLength", "length", "byteOffset"]) Object.defineProperty(own, name, { value: 4096 });
  for (const view of [liar(), own]) {
    assertEquals(view.byteLength, 4096);
    assertEquals(send(a, [view]), 8);
    assertEquals(receive(b, [new Uint8Array(64)]).byteLength, 8);
    send(a, [new Uint8Array(64).fill(1)]);
    assertEquals(receive(b, [view]).byteLength, 8);
    const all = [...new Uint8Array(view.buffer)];
    assertEquals(all, all.map((_, i) => i >= 16 && i < 24 ? 1 : POISON));
  }
  const address = new Liar(new ArrayBuffer(16));
  assert(failed(sendMessage(calls(), a.fd, [bytes("x")], address, null, 0)));
  assertEquals(sendMessage(calls(), a.fd, [bytes("x")], null, new Liar(new ArrayBuffer(0)), 0), 1);
});

test("what is no Uint8Array is a TypeError", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  const wrong: unknown[] = [
    ...[null, undefined, 1, "text", [1, 2], {}, new ArrayBuffer(8), new DataView(new ArrayBuffer(8))],
    ...[new Float64Array(2), Object.create(Uint8Array.prototype), new Proxy(new Uint8Array(8), {})],
  ];
  for (const one of wrong) {
    const data = [bytes("abc"), one] as Bytes[];
    assertThrows(() => sendMessage(calls(), a.fd, data, null, null, 0), TypeError, "buffer 1");
    assertThrows(() => receiveMessage(calls(), b.fd, data, false, 0, 0), TypeError, "buffer 1");
  }
  assert(isEmpty(b));
});

test("a list whose reading runs code of the caller's is read to its end before a length is", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  const resizable = new ArrayBuffer(65_536, { maxByteLength: 65_536 });
  const first = new Uint8Array(resizable);
  function trapped(trap: () => void): Uint8Array[] {
    return Object.defineProperty([first], 1, {
      get() {
        trap();
        return new Uint8Array(1);
      },
    });
  }
  assertEquals(send(a, trapped(() => resizable.resize(5))), 6);
  const into = new Uint8Array(64);
  assertEquals(receive(b, [into]).byteLength, 6);
  // The message that is sent amid the other one stays whole, and so does the other one.
  assertEquals(send(a, trapped(() => assertEquals(send(a, [bytes("within"), bytes("!")]), 7))), 6);
  assertEquals(receive(b, [into]).byteLength, 7);
  assertEquals(textOf(into.subarray(0, 7)), "within!");
  assertEquals(receive(b, [into]).byteLength, 6);
  assertThrows(
    () => sendMessage(calls(), a.fd, trapped(() => resizable.transfer()), null, null, 0),
    TypeError,
    "buffer 0 has lost its memory",
  );
  let reads = 0;
  const growing = new Proxy([bytes("a")], {
    get: (list, name) => name === "length" ? ++reads : list[0],
  });
  assertEquals(send(a, growing), 1);
  assertEquals(reads, 1);
  const prototype = new Proxy(bytes("abc"), {
    getPrototypeOf() {
      throw new Error("code of the caller's");
    },
  });
  assertThrows(() => sendMessage(calls(), a.fd, [prototype], null, null, 0), Error, "code of the caller's");
});

// ---- Limits ----

test("1,024 buffers are the most", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  const most = Array.from({ length: 1024 }, (_, i) => Uint8Array.of(i & 0xff));
  assertEquals(send(a, most), 1024);
  const into = Array.from({ length: 1024 }, () => new Uint8Array(1));
  assertEquals(receive(b, into).byteLength, 1024);
  assertEquals(into, most);
  const data = [...most, new Uint8Array(1)];
  assertThrows(() => sendMessage(calls(), a.fd, data, null, null, 0), RangeError, "at most 1024");
  assertThrows(() => receiveMessage(calls(), b.fd, data, false, 0, 0), RangeError, "at most 1024");
  // A view that is given for the options has a `buffer` too, which is no list.
  for (const wrong of [{ length: NaN }, new ArrayBuffer(8), "text"]) {
    const list = wrong as unknown as Bytes[];
    const words = "it must be a Uint8Array or an array of them";
    assertThrows(() => sendMessage(calls(), a.fd, list, null, null, 0), TypeError, words);
    assertThrows(() => receiveMessage(calls(), b.fd, list, false, 0, 0), TypeError, words);
  }
  assertEquals(send(a, most), 1024, "one too many has left nothing behind");
});

test("2^31 - 1 bytes are the most", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_STREAM);
  using _a = a, _b = b;
  const gibibyte = new Uint8Array(2 ** 30);
  const data = [gibibyte, gibibyte];
  assertThrows(() => sendMessage(calls(), a.fd, data, null, null, 0), RangeError, "2147483647");
  assertThrows(() => receiveMessage(calls(), b.fd, data, false, 0, 0), RangeError, "2147483647");
  assert(isEmpty(b));
  const less = [gibibyte, gibibyte.subarray(1)];
  const sent = sendMessage(calls(), a.fd, less, null, null, 0);
  assert(sent > 0 && sent < 2 ** 30, String(sent));
});

test("an address and control messages have lengths that fit", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  const data = [bytes("x")];
  const long = new Uint8Array(129);
  const much = new Uint8Array(2 ** 20 + 1);
  assertThrows(() => sendMessage(calls(), a.fd, data, long, null, 0), RangeError, "0 to 128");
  assertThrows(() => sendMessage(calls(), a.fd, data, null, much, 0), RangeError, "0 to 1048576");
  for (const length of [-1, 2 ** 20 + 1, 1.5, NaN, 2 ** 32 + 8]) {
    assertThrows(() => receiveMessage(calls(), b.fd, data, false, length, 0), RangeError, "0 to 1048576");
  }
  assertThrows(() => receiveMessage(calls(), b.fd, data, false, "8" as unknown as number, 0), TypeError);
  // The kernel takes as many as it likes; here it reads an unknown level, and ignores it.
  const control = new Uint8Array(16_384);
  new DataView(control.buffer).setUint32(0, control.length, true);
  new DataView(control.buffer).setUint32(8, 999, true);
  assertEquals(send(a, data, control), 1);
  assertEquals(send(a, data), 1);
  for (const room of [2 ** 20, 0, 4096, 16]) {
    send(a, data);
    assertEquals(receive(b, [new Uint8Array(1)], room).control.byteLength, 0);
  }
});

test("the header is made anew for every call: a kernel shrinks what it says", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  b.set(SOL_SOCKET, 16, 1); // SO_PASSCRED: 32 bytes with every message
  for (const [room, length, flags] of [[0, 0, MSG_CTRUNC], [32, 28, 0], [1024, 32, 0], [20, 20, MSG_CTRUNC]] as const) {
    send(a, [bytes("x")]);
    const message = receive(b, [new Uint8Array(4)], room);
    assertEquals([message.byteLength, message.flags], [1, flags]);
    assert(message.control.byteLength >= length && message.control.byteLength <= room, `${room} bytes of room`);
  }
});

test("received descriptors are close-on-exec", RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  const control = new Uint8Array(24);
  const view = new DataView(control.buffer);
  view.setUint32(0, 20, true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  view.setInt32(16, a.fd, true);
  send(a, [bytes("x")], control);
  const received = receive(b, [new Uint8Array(1)], 64).control;
  const fd = new DataView(received.buffer).getInt32(16, true);
  assert(fd > 2 && fd !== a.fd);
  const F_GETFD = 1, FD_CLOEXEC = 1;
  assertEquals(calls().fcntl(fd, F_GETFD, 0), FD_CLOEXEC);
  libc("Cannot close").close(fd);
});

// ---- All of it at once ----

test(`${ROUNDS} messages over buffers of random kinds and sizes move no byte but theirs`, RAW, () => {
  const [a, b] = RawSocket.pair(SOCK_DGRAM);
  using _a = a, _b = b;
  b.set(SOL_SOCKET, SO_RCVBUF, int(1 << 20));
  let state = 1;
  function random(below: number): number {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return Math.floor(((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32 * below);
  }
  function view(): Uint8Array {
    const before = random(3) * random(9), length = random(3) * random(50), after = random(9);
    const size = before + length + after;
    const kind = random(4);
    const buffer = kind === 0
      ? new SharedArrayBuffer(size)
      : new ArrayBuffer(size, kind === 1 ? { maxByteLength: size + 64 } : {});
    if (kind === 1 && random(2) === 0) (buffer as ArrayBuffer).resize(size + random(64));
    const all = new Uint8Array(buffer).fill(POISON);
    return all.subarray(before, before + length);
  }
  for (let round = 0; round < ROUNDS; round++) {
    const from = Array.from({ length: random(6) }, view);
    const into = Array.from({ length: random(6) }, view);
    let next = round;
    const sent: number[] = [];
    for (const one of from) {
      for (let i = 0; i < one.length; i++) sent.push(one[i] = next++ & 0x7f);
    }
    const around = [from, into].map((views) => views.map((one) => new Uint8Array(one.buffer).slice()));
    const room = into.reduce((sum, one) => sum + one.byteLength, 0);
    if (send(a, from) !== sent.length) throw new Error(`round ${round}: sent less than ${sent.length}`);
    const message = receive(b, into, random(2) * 64, MSG_TRUNC);
    if (message.byteLength !== sent.length) throw new Error(`round ${round}: received ${message.byteLength}`);
    const cut = sent.length > room;
    if ((message.flags & MSG_TRUNC) !== (cut ? MSG_TRUNC : 0)) throw new Error(`round ${round}: cut is ${cut}`);
    for (const [views, wasAround] of [[from, around[0]!], [into, around[1]!]] as const) {
      let at = 0;
      views.forEach((one, i) => {
        const wanted = wasAround[i]!;
        for (let k = 0; k < one.length && at < sent.length; k++) wanted[one.byteOffset + k] = sent[at++]!;
        const all = new Uint8Array(one.buffer);
        for (let k = 0; k < all.length; k++) {
          if (all[k] !== wanted[k]) throw new Error(`round ${round}: byte ${k} is ${all[k]}, it must be ${wanted[k]}`);
        }
      });
    }
  }
});
