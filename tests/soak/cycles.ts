// Opens, binds and closes sockets without end in sight: no descriptor and no memory may stay behind.
// How often is the first argument; run by ../soak_test.ts, with --expose-gc: what V8 has yet to collect is no leak.
import { Socket } from "../../socket/socket.ts";

const rounds = Number(Deno.args[0] ?? 100_000);
// The runtime opens some of its own, also sockets, but few.
const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
const { gc } = globalThis as unknown as { gc(): void };
let before = 0;
const early = { rss: 0, heap: 0 };
// The least of the last rounds: what stays behind is there always, what a thread of V8 uses for a moment is not.
const late = { rss: Infinity, heap: Infinity };

async function cycles(): Promise<void> {
  for (let i = 0; i <= rounds; i++) {
    const socket = Socket.open("inet", "dgram");
    socket.bind({ hostname: "127.0.0.1", port: 0 });
    socket.close();
    if (i % 5000 === 0) {
      await new Promise((resolve) => setTimeout(resolve));
      gc();
      const { rss, heapUsed } = Deno.memoryUsage();
      if (i === 0) before = descriptors();
      if (i <= Math.max(rounds / 10, 100_000)) {
        early.rss = Math.max(early.rss, rss);
        early.heap = Math.max(early.heap, heapUsed);
      } else if (i > rounds * 0.8) {
        late.rss = Math.min(late.rss, rss);
        late.heap = Math.min(late.heap, heapUsed);
      }
    }
  }
}

await cycles();
console.log(JSON.stringify({ rounds, early, late, left: descriptors() - before }));
