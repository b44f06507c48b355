// What UDP costs of JavaScript's heap: a loop over batches, and a socket that never saw one. Run with --expose-gc.
// How fast those loops are: udp_send.ts, udp_receive.ts. Rounds and tables: harness.ts.
import v8 from "node:v8";
import { bindUdp, DatagramBatch, type UdpSocket } from "../udp/mod.ts";
import { median, peer, type Row, type Table } from "./harness.ts";

const DATAGRAMS = 10_000_000;
/** Looks at the heap while these go by. */
const LOOKS = 10;
const WARM = 1_000_000;
const SOCKETS = 5_000;
const ROUNDS = 5;
/** Loops that send; they come first. */
const SENDING = 2;
const BYTES = 64;
const TRAIN = 128;
const hostname = "127.0.0.1";

const { gc } = globalThis as unknown as { gc(): void };

function used(): number {
  gc();
  return Deno.memoryUsage().heapUsed;
}

/** Bytes that were ever allocated in the heap. */
function allocated(): number {
  const statistics = v8.getHeapStatistics() as unknown as { total_allocated_bytes: number };
  return statistics.total_allocated_bytes;
}

interface Loop {
  /** Bytes that the heap has more of in the second half of ten million datagrams than in the first. */
  readonly grown: number;
  /** Bytes that were allocated for each, its share of the calls included. */
  readonly each: number;
}

/** Moves ten million datagrams, `step` of them at a time. */
async function loop(step: () => Promise<number>): Promise<Loop> {
  let count = 0;
  while (count < WARM) count += await step();
  const looks: number[] = [];
  let each = 0;
  for (let look = 0; look < LOOKS; look++) {
    const start = allocated();
    for (count = 0; count < DATAGRAMS / LOOKS;) count += await step();
    each += (allocated() - start) / count / LOOKS;
    looks.push(used());
  }
  return { each, grown: median(looks.slice(LOOKS / 2)) - median(looks.slice(0, LOOKS / 2)) };
}

/** Ten million received, each looked at. */
async function receiving(gro: boolean): Promise<Loop> {
  using socket = bindUdp({ hostname, gro });
  const batch = new DatagramBatch({ maxDatagramSize: 2_048 });
  const { bytes } = batch;
  const sender = await peer("udp_send", "gso", socket.addr.port, BYTES, TRAIN, 60);
  let seen = 0;
  const result = await loop(async () => {
    const count = await socket.receiveBatch(batch);
    for (let i = 0; i < count; i++) seen += bytes[batch.byteOffset(i)]! + batch.byteLength(i) + batch.run(i);
    return count;
  });
  await sender.end();
  if (seen === 0) throw new Error("Nothing was received");
  return result;
}

/** Ten million sent, trains to one destination or single ones to two in turn. */
async function sending(port: number, trains: boolean): Promise<Loop> {
  using socket = bindUdp();
  const batch = new DatagramBatch();
  for (let i = 0; i < 1024; i++) {
    batch.add(new Uint8Array(BYTES), {
      remoteAddr: { hostname: trains || i % 2 === 0 ? hostname : "127.0.0.2", port },
    });
  }
  return await loop(() => socket.sendBatch(batch));
}

/** Bytes that each of many sockets takes. */
function idle(): number {
  const before = used();
  const sockets: UdpSocket[] = [];
  for (let i = 0; i < SOCKETS; i++) sockets.push(bindUdp({ hostname }));
  const bytes = (used() - before) / SOCKETS;
  for (const socket of sockets) socket.close();
  return bytes;
}

async function main(): Promise<Table> {
  const sink = await peer("udp_receive", "sink");
  const [port] = await sink.numbers();
  const loops = [
    ["sending trains", await sending(port!, true)],
    ["sending single ones", await sending(port!, false)],
    ["receiving with `gro`", await receiving(true)],
    ["receiving without", await receiving(false)],
  ] as const;
  await sink.stop();
  idle();
  return {
    title: "The JavaScript heap of UDP",
    rows: [
      ...loops.map(([what, { grown }]): Row => ({
        what: `${what}: what ten million datagrams in batches add to the heap`,
        values: [grown / 1024],
        unit: "KiB",
        limit: { atMost: 256 },
      })),
      ...loops.map(([what, { each }], i): Row => ({
        what: `${what}: allocated for a datagram, its share of the call`,
        values: [each],
        unit: "bytes",
        // Less than the smallest object. How many a receive gets, and whether it has to wait, is up to the sender.
        ...(i < SENDING && { limit: { atMost: 8 } }),
      })),
      {
        what: "a socket that never used a batch",
        values: Array.from({ length: ROUNDS }, idle),
        unit: "bytes",
        limit: { atMost: 1024 },
      },
    ],
  };
}

console.log(JSON.stringify(await main()));
