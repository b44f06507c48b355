// UDP where less goes out than is sent: a full send buffer (EAGAIN), a full queue of the interface (ENOBUFS), and what is
// closed or aborted while it waits for either. Over a cable between two namespaces: tests/multicast/namespace.ts.
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { IP_RECVERR, type SystemError } from "../../options/mod.ts";
import { bindUdp, type BindUdpOptions, DatagramBatch, type UdpDestination, type UdpSocket } from "../../udp/mod.ts";
import { type Namespace, NAMESPACES, withPair } from "../multicast/namespace.ts";
import { test } from "../needs.ts";
import { assertWithin, sleep, until } from "../time.ts";
import type { Program } from "../udp/other_program.ts";

const NEEDS = { ...NAMESPACES, run: ["ip", "tc", "python3"] };
const BYTES = 500;
const END = 0xffff_ffff;

type Failure = SystemError & { sent: number };

/** A queue that holds all, but lets it go slowly: what is on its way fills the send buffer. */
const SLOW = ["tbf", "rate", "20mbit", "burst", "5000", "limit", "4000000"];
/** One that lets nothing go, after some, for as long as a test looks; to be made a slow one in the end. */
const STUCK = ["tbf", "rate", "8kbit", "burst", "5000", "limit", "4000000"];
/** A queue that holds little, and lets it go in whole trains, as it would cut others up and lose a part of them silently. */
const SHORT = ["tbf", "rate", "40mbit", "burst", "70000", "limit", "150000"];

/** One that holds little, and lets nothing go after it. */
const CLOSED = ["tbf", "rate", "8bit", "burst", "5000", "limit", "5000"];

function numbered(i: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(BYTES);
  new DataView(data.buffer).setUint32(0, i);
  return data;
}

/** Two ends with such a queue between them: sockets that send, and one that hears. */
class Ends implements Disposable {
  readonly #left: Namespace;
  readonly #receiver: UdpSocket;
  readonly #sockets: UdpSocket[] = [];

  constructor(left: Namespace, right: Namespace) {
    this.#left = left;
    this.#receiver = right.inside(() => bindUdp({ hostname: "10.77.0.2", receiveBufferSize: 4_000_000 }));
    this.#sockets.push(this.#receiver);
  }

  get to() {
    return this.#receiver.addr;
  }

  sender(options: BindUdpOptions = {}): UdpSocket {
    const socket = this.#left.inside(() => bindUdp(options));
    this.#sockets.push(socket);
    return socket;
  }

  /** Starts a program where the senders are. */
  start(code: string): Program {
    return this.#left.start(code);
  }

  /** Numbered datagrams in a batch. */
  batch(first: number, count: number): DatagramBatch {
    const batch = new DatagramBatch();
    for (let i = 0; i < count; i++) assert(batch.add(numbered(first + i), { remoteAddr: this.to }));
    return batch;
  }

  /** Changes the queue, and keeps what is in it. */
  async change(queue: readonly string[]): Promise<void> {
    await this.#left.tc("qdisc", "change", "dev", "left0", "root", ...queue);
  }

  /** The numbers of all that was sent until now. What is sent now comes behind it, as the queue has one end. */
  async arrived(): Promise<number[]> {
    const last = this.sender({ options: [IP_RECVERR.to(true)] });
    const numbers: number[] = [];
    const batch = new DatagramBatch();
    await last.send(numbered(END), this.to);
    while (numbers.at(-1) !== END) {
      const count = await this.#receiver.receiveBatch(batch, { signal: AbortSignal.timeout(10_000) });
      for (let i = 0; i < count; i++) {
        numbers.push(new DataView(batch.bytes.buffer, batch.byteOffset(i)).getUint32(0));
      }
    }
    return numbers.slice(0, -1);
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket[Symbol.dispose]();
  }
}

async function withQueue(queue: readonly string[], body: (ends: Ends) => Promise<void>): Promise<void> {
  await withPair(async (left, right) => {
    await left.tc("qdisc", "add", "dev", "left0", "root", ...queue);
    using ends = new Ends(left, right);
    await body(ends);
  });
}

/** Sends until the queue is full. */
function fill(sender: UdpSocket, to: { hostname: string; port: number }): void {
  const error = assertThrows(() => {
    for (;;) sender.trySend(numbered(0), to);
  });
  assertEquals((error as SystemError).code, "ENOBUFS");
}

/** 0, 1, 2 and so on. */
function count(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

test("close() ends sendBatch() that waits: what went out is told, nothing goes out afterwards", NEEDS, async () => {
  await withQueue(STUCK, async (ends) => {
    const sender = ends.sender({ sendBufferSize: 20_000 });
    const batch = ends.batch(0, 1000);
    const sending = sender.sendBatch(batch);
    const { sent } = batch;
    assert(sent > 0 && sent < 1000, `${sent}`);
    await assertRejects(() => sender.sendBatch(batch), Deno.errors.Busy);
    sender.close();
    const error = await assertRejects(() => sending, Deno.errors.BadResource, "closed") as unknown as Failure;
    assertEquals([error.sent, batch.sent], [sent, sent]);
    await ends.change(SLOW);
    assertEquals(await ends.arrived(), count(sent));
    // The batch is free, and goes on by another socket.
    assertEquals(await ends.sender().sendBatch(batch, { start: sent }), 1000 - sent);
    assertEquals(await ends.arrived(), count(1000).slice(sent));
  });
});

test("an abort ends sendBatch() that waits: what went out is told, nothing goes out afterwards", NEEDS, async () => {
  await withQueue(SLOW, async (ends) => {
    const sender = ends.sender({ sendBufferSize: 20_000 });
    const batch = ends.batch(0, 1000);
    const seen: number[] = [];
    // An abort at once, one in the midst of the wait, one after some more went out.
    for (let at = 0, round = 0; at < 1000; round++) {
      const controller = new AbortController();
      const reason = new Error("enough");
      const sending = sender.sendBatch(batch, { start: at, signal: controller.signal });
      const { sent: before } = batch;
      if (round === 1) await new Promise((resolve) => setTimeout(resolve, 1));
      if (round === 2) await until(() => batch.sent > before || at + batch.sent === 1000);
      if (round < 3) controller.abort(reason);
      const sent = await sending.catch((error: Failure) => {
        assertStrictEquals<unknown>(error, reason);
        assertEquals(error.sent, batch.sent);
        return error.sent;
      });
      assertEquals(sent, batch.sent);
      seen.push(...await ends.arrived());
      assertEquals(seen, count(at += sent));
    }
    batch.clear();
    assertEquals(batch.length, 0);
  });
});

test("an abort of sendBatch() with an array tells how many of it went out", NEEDS, async () => {
  await withQueue(STUCK, async (ends) => {
    const sender = ends.sender({ sendBufferSize: 20_000 });
    const all = count(1000).map((i) => ({ data: numbered(i), remoteAddr: ends.to }));
    const signal = AbortSignal.timeout(1);
    const error = await assertRejects(() => sender.sendBatch(all, { signal })) as unknown as Failure;
    assert(error.sent > 0 && error.sent < 1000, `${error.sent}`);
    await ends.change(SLOW);
    assertEquals(await ends.arrived(), count(error.sent));
  });
});

test("send() and sendMessage() wait for room in the send buffer, and end by abort and close()", NEEDS, async () => {
  await withQueue(STUCK, async (ends) => {
    const sender = ends.sender({ sendBufferSize: 20_000 });
    let sent = 0;
    const fill = () => {
      while (sender.trySend(numbered(sent), ends.to) !== null) sent++;
      for (let more: number | null = 1; more !== null; sent += more ?? 0) {
        more = sender.trySendBatch(ends.batch(sent, 1));
      }
    };
    fill();
    const controller = new AbortController();
    const aborted = [
      sender.send(numbered(END - 1), ends.to, { signal: controller.signal }),
      sender.sendMessage({ data: numbered(END - 1), remoteAddr: ends.to, hopLimit: 5 }, { signal: controller.signal }),
    ];
    controller.abort("enough");
    for (const one of aborted) assertEquals(await one.catch((reason) => reason), "enough");
    await ends.change(SLOW);
    assertEquals(await sender.send(numbered(sent++), ends.to), BYTES);
    assertEquals(await sender.sendMessage({ data: numbered(sent++), remoteAddr: ends.to, hopLimit: 5 }), BYTES);
    await ends.change(STUCK);
    fill();
    const closed = [
      sender.send(numbered(END - 1), ends.to),
      sender.sendMessage({ data: numbered(END - 1), remoteAddr: ends.to }),
    ];
    sender.close();
    for (const one of closed) await assertRejects(() => one, Deno.errors.BadResource, "closed");
    await ends.change(SLOW);
    assertEquals(await ends.arrived(), count(sent));
  });
});

test("what is sent while others wait for room waits behind them, and goes where it was told to go", NEEDS, async () => {
  for (
    const [queue, options] of [
      [SLOW, { sendBufferSize: 20_000 }],
      [SHORT, { sendBufferSize: 4_000_000, options: [IP_RECVERR.to(true)] }],
    ] as const
  ) {
    await withQueue(queue, async (ends) => {
      const sender = ends.sender(options);
      const ended: number[] = [];
      const calls: Promise<unknown>[] = [];
      let most = 0;
      // Some more with each turn, so that there are calls at all times, while room comes and goes.
      for (let i = 0; i < 2000; await sleep(0)) {
        // Each turn in another way: to end takes more or less, where nothing has to wait.
        const send = [
          (data: Uint8Array, remoteAddr: UdpDestination) => sender.send(data, remoteAddr),
          (data: Uint8Array, remoteAddr: UdpDestination) => sender.sendMessage({ data, remoteAddr, hopLimit: 9 }),
          (data: Uint8Array, remoteAddr: UdpDestination) => sender.sendBatch([{ data, remoteAddr }]),
        ][i / 250 % 3]!;
        for (const end = i + 250; i < end;) {
          const [number, remoteAddr] = [i++, { ...ends.to }];
          calls.push(send(numbered(number), remoteAddr).then(() => ended.push(number)));
          remoteAddr.port = 9;
        }
        most = Math.max(most, calls.length - ended.length);
      }
      await Promise.all(calls);
      assert(most > 250, `${most} waited at once`);
      assertEquals(ended, count(2000));
      // Two processors may carry them over a cable, and change the order of some.
      assertEquals((await ends.arrived()).toSorted((a, b) => a - b), count(2000));
    });
  }
});

test(
  "a send that waits behind others is told of what is wrong at once, and ends by abort and close()",
  NEEDS,
  async () => {
    await withQueue(STUCK, async (ends) => {
      const sender = ends.sender({ sendBufferSize: 20_000 });
      let sent = 0;
      while (sender.trySend(numbered(sent), ends.to) !== null) sent++;
      const first = sender.send(numbered(sent), ends.to);
      await assertRejects(() => sender.send("x" as never, ends.to), TypeError, "it must be a Uint8Array");
      await assertRejects(
        () => sender.send(numbered(END - 1), { hostname: "x", port: 7 }),
        SyntaxError,
        "literal address",
      );
      await assertRejects(() => sender.sendBatch(ends.batch(0, 1), { start: 2 }), RangeError);
      const controller = new AbortController();
      const { signal } = controller;
      const batch = ends.batch(END - 1, 1);
      const aborted = [
        sender.send(numbered(END - 1), ends.to, { signal }),
        sender.sendMessage({ data: numbered(END - 1), remoteAddr: ends.to }, { signal }),
        sender.sendBatch(batch, { signal }),
      ];
      const last = sender.sendBatch(ends.batch(sent + 1, 3));
      controller.abort("enough");
      for (const one of aborted) assertEquals(await one.catch((reason) => reason), "enough");
      assertEquals(batch.sent, 0);
      await ends.change(SLOW);
      assertEquals([await first, await last], [BYTES, 3]);
      sent += 4;
      await ends.change(STUCK);
      while (sender.trySend(numbered(sent), ends.to) !== null) sent++;
      const closed = [
        sender.send(numbered(END - 1), ends.to),
        sender.send(numbered(END - 1), ends.to),
        sender.sendBatch(batch),
      ];
      sender.close();
      for (const one of closed) await assertRejects(() => one, Deno.errors.BadResource, "closed");
      assertEquals(batch.sent, 0);
      await ends.change(SLOW);
      assertEquals(await ends.arrived(), count(sent));
    });
  },
);

test(
  "what Deno's own socket sends after an abort is what it was given, whatever became of the memory",
  NEEDS,
  async () => {
    await withQueue(SLOW, async (ends) => {
      await using program = ends.start(`
      Deno.permissions.revokeSync({ name: "ffi" });
      const socket = udp.bindUdp();
      const to = ${JSON.stringify(ends.to)};
      const calls = Array.from({ length: 500 }, () => socket.send(new Uint8Array(${BYTES}), to));
      const data = new Uint8Array(${BYTES}).fill(1);
      const controller = new AbortController();
      const aborted = socket.send(data, to, { signal: controller.signal });
      controller.abort("enough");
      await aborted.catch((reason) => console.log(socket.capabilities.engine, reason));
      data.fill(2);
      await Promise.all(calls);
      // Nothing tells when it is sent, but that there is room for others.
      for (let i = 0; i < 500; i++) await socket.send(new Uint8Array(${BYTES}), to);
    `);
      assertEquals(await program.rest(), ["portable enough"]);
      const numbers = new Set(await ends.arrived());
      // Whether it goes out is Deno's affair.
      numbers.delete(0x0101_0101);
      assertEquals([...numbers], [0]);
    });
  },
);

test(
  "a full queue of the interface (ENOBUFS) is waited out: nothing is lost that was told as sent, the order is kept",
  NEEDS,
  async () => {
    await withQueue(SHORT, async (ends) => {
      // Linux tells of it only those who want to hear of errors.
      const sender = ends.sender({ sendBufferSize: 4_000_000, options: [IP_RECVERR.to(true)] });
      let i = 0;
      const full = { trySend: 0, trySendBatch: 0 };
      for (; i < 1500; i++) {
        try {
          assertEquals(sender.trySend(numbered(i), ends.to), BYTES);
        } catch (error) {
          assertInstanceOf(error, Error);
          assertEquals((error as SystemError).code, "ENOBUFS", error.message);
          assert(error.message.endsWith("the queue of the interface is full: try again a little later"), error.message);
          full.trySend++;
          if (i % 2 === 0) await sender.send(numbered(i), ends.to);
          else await sender.sendMessage({ data: numbered(i), remoteAddr: ends.to, hopLimit: 9 });
        }
      }
      while (i < 6000) {
        const batch = ends.batch(i, 500);
        const now = sender.trySendBatch(batch);
        if (now === null || now < 500) full.trySendBatch++;
        assertEquals(batch.sent, now ?? 0);
        const rest = await sender.sendBatch(batch, { start: now ?? 0 });
        assertEquals([rest, batch.sent], [500 - (now ?? 0), rest]);
        i += 500;
      }
      assert(full.trySend > 0 && full.trySendBatch > 0, Deno.inspect(full));
      assert(sender.capabilities.maxSegments > 1, "trains are not to blame");
      assertEquals(await ends.arrived(), count(6000));
    });
  },
);

test("without IP_RECVERR Linux drops what does not fit the queue, and says that it was sent", NEEDS, async () => {
  await withQueue(SHORT, async (ends) => {
    const sender = ends.sender({ sendBufferSize: 4_000_000 });
    assertEquals(await sender.sendBatch(ends.batch(0, 2000)), 2000);
    const arrived = await ends.arrived();
    assert(arrived.length > 0 && arrived.length < 2000, `${arrived.length}`);
    assertEquals(arrived, arrived.toSorted((a, b) => a - b));
  });
});

test("what waits for the queue of the interface keeps no program alive whose socket is unref'd", NEEDS, async () => {
  // A group needs no neighbour, whose address would have to be asked for first.
  const code = `
    const data = new Uint8Array(${BYTES});
    const settings = { sendBufferSize: 4_000_000, options: [options.IP_RECVERR.to(true)] };
    const to = { hostname: "239.1.2.3", port: 7 };
    const socket = udp.bindUdp({ ...settings, multicast: { interface: "left0" } });
    const group = await multicast.listenMulticast({ group: "239.1.2.4", port: 7, interface: "left0", ...settings });
    for (const one of [socket, group]) one.unref();
    try {
      for (;;) socket.trySend(data, to);
    } catch (error) {
      console.log(error.code);
    }
    const batch = new udp.DatagramBatch();
    for (let i = 0; i < 9; i++) batch.add(data, { remoteAddr: to });
    const calls = [socket.send(data, to), socket.sendBatch(batch), group.sendToGroup(data, { hopLimit: 3 })];
    for (const call of calls) call.then(() => console.log("sent"), (error) => console.log(error.name));
    setTimeout(() => console.log("over"), 20);
  `;
  await withPair(async (left) => {
    await left.tc("qdisc", "add", "dev", "left0", "root", ...CLOSED);
    await using program = left.start(code);
    assertEquals(await assertWithin(20_000, program.rest()), ["ENOBUFS", "over"]);
  });
});

test("a timeout ends what waits for the queue of the interface", NEEDS, async () => {
  await withQueue(CLOSED, async (ends) => {
    const sender = ends.sender({ sendBufferSize: 4_000_000, options: [IP_RECVERR.to(true)] });
    fill(sender, ends.to);
    sender.socket.timeouts.send = 20;
    await assertWithin(5_000, assertRejects(() => sender.send(numbered(0), ends.to), Deno.errors.TimedOut));
  });
});

test("an abort and close() end what waits for the queue of the interface", NEEDS, async () => {
  await withQueue(SHORT, async (ends) => {
    const options = { sendBufferSize: 4_000_000, options: [IP_RECVERR.to(true)] };
    const sender = ends.sender(options);
    const batch = ends.batch(0, 2000);
    const controller = new AbortController();
    const aborted = sender.sendBatch(batch, { signal: controller.signal });
    const { sent } = batch;
    assert(sent > 0 && sent < 2000, `${sent}`);
    controller.abort("enough");
    assertEquals(await aborted.catch((reason) => reason), "enough");
    assertEquals(batch.sent, sent);
    const second = ends.sender(options);
    const closed = second.sendBatch(batch, { start: sent });
    const { sent: more } = batch;
    second.close();
    const error = await assertRejects(() => closed, Deno.errors.BadResource) as unknown as Failure;
    assertEquals([error.sent, batch.sent], [more, more]);
    assertEquals(await ends.arrived(), count(sent + more));
  });
});
