// Makes, tunes and closes TCP connections by every way there is: no descriptor, timer, listener or memory may stay behind.
// How many of each way is the first argument; run by ../soak_test.ts, with --expose-gc. Bare sockets: cycles.ts.
import { connectTcp, listenTcp, resetTcp, tuneTcp, withTimeouts } from "../../tcp/mod.ts";

const rounds = Number(Deno.args[0] ?? 10_000);
const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
const { gc } = globalThis as unknown as { gc(): void };

const here = { hostname: "127.0.0.1", port: 0, noDelay: true } as const;
const limits = {
  maxConnections: 1_000,
  maxConnectionsPerAddress: 1_000,
  firstByteTimeout: 60_000,
  idleTimeout: 60_000,
};
const stop = new AbortController();
const listeners = [listenTcp({ ...here }), listenTcp({ ...here, reuseAddress: false }), listenTcp({ ...here, limits })];
const room = new Uint8Array(8);

/** One connection each way; resets leave no port behind that waits for a minute. */
async function one(i: number): Promise<void> {
  const listener = listeners[i % listeners.length]!;
  const conn = await connectTcp({
    port: listener.addr.port,
    timeout: 10_000,
    signal: stop.signal,
    ...(i % 2 === 0 && { localAddr: {} }),
  });
  const served = await listener.accept();
  tuneTcp(conn, { keepAlive: { idle: 30_000 }, userTimeout: 5_000 });
  const timed = withTimeouts(conn, { read: 60_000, write: 60_000 });
  await timed.write(room);
  await served.read(room);
  resetTcp(timed);
  served.close();
}

const early = { rss: 0, heap: 0, descriptors: 0 };
const late = { rss: Infinity, heap: Infinity };
for (let i = 0; i <= rounds; i++) {
  await one(i);
  if (i % 1000 !== 0) continue;
  await new Promise((resolve) => setTimeout(resolve, 1));
  gc();
  const { rss, heapUsed } = Deno.memoryUsage();
  if (i <= Math.max(rounds / 5, 6_000)) {
    early.rss = Math.max(early.rss, rss);
    early.heap = Math.max(early.heap, heapUsed);
    early.descriptors = descriptors();
  } else {
    late.rss = Math.min(late.rss, rss);
    late.heap = Math.min(late.heap, heapUsed);
  }
}
const left = descriptors() - early.descriptors;
const open = listeners[2]!.connections;
for (const listener of listeners) listener.close();
// What keeps the program alive now, a timer or a wait, keeps it from ending.
console.log(JSON.stringify({ rounds, early, late, left, open }));
