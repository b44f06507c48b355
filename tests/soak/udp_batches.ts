// Moves datagrams by batches, in trains and one by one, with gro and without: nothing of any of them may stay in the heap.
// How many is the first argument; run by ../soak_test.ts, with --expose-gc. What a call allocates: ../udp/batch_test.ts.
import { bindUdp, DatagramBatch } from "../../udp/mod.ts";

const datagrams = Number(Deno.args[0] ?? 10_000_000);
const LOOKS = 10;
const { gc } = globalThis as unknown as { gc(): void };
const hostname = "127.0.0.1";

/** What so many datagrams add to the heap: sent, received, and looked at. */
async function move(gro: boolean, trains: boolean) {
  using receiver = bindUdp({ hostname, gro, receiveBufferSize: 4_000_000 });
  using sender = bindUdp({ hostname });
  const out = new DatagramBatch();
  // Every other one is larger, where they shall not go as trains.
  for (let i = 0; i < 1024; i++) out.add(new Uint8Array(trains ? 64 : 64 + i % 2), { remoteAddr: receiver.addr });
  const batch = new DatagramBatch({ maxDatagramSize: 512 });
  const { bytes } = batch;
  let sum = 0;
  async function some(count: number): Promise<void> {
    for (let moved = 0; moved < count; moved += 1024) {
      await sender.sendBatch(out);
      for (let got = 0; got < 1024;) {
        const came = await receiver.receiveBatch(batch);
        for (let i = 0; i < came; i++) sum += bytes[batch.byteOffset(i)]! + batch.byteLength(i) + batch.run(i);
        got += came;
      }
    }
  }
  await some(datagrams / 5);
  const looks: number[] = [];
  for (let look = 0; look < LOOKS; look++) {
    await some(datagrams / LOOKS);
    gc();
    looks.push(Deno.memoryUsage().heapUsed);
  }
  // What the compilers make on the way comes and goes: the least of each half.
  const grown = Math.min(...looks.slice(LOOKS / 2)) - Math.min(...looks.slice(0, LOOKS / 2));
  return { gro, trains, grown, sum };
}

const results = [];
for (const gro of [false, true]) {
  for (const trains of [false, true]) results.push(await move(gro, trains));
}
console.log(JSON.stringify(results));
