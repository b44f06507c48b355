// Opens, binds and closes sockets without end in sight: no descriptor and no memory may stay behind.
// How often is the first argument; run by ../soak_test.ts.
import { Socket } from "../../socket/socket.ts";

const rounds = Number(Deno.args[0] ?? 100_000);
// The runtime opens some of its own, also sockets, but few.
const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
let before = 0;
let early = 0;
let most = 0;

async function cycles(): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const socket = Socket.open("inet", "dgram");
    socket.bind({ hostname: "127.0.0.1", port: 0 });
    socket.close();
    if (i % 1000 === 0) {
      await new Promise((resolve) => setTimeout(resolve));
      const { rss } = Deno.memoryUsage();
      if (i === 0) before = descriptors();
      if (i <= Math.max(rounds / 10, 100_000)) early = Math.max(early, rss);
      else most = Math.max(most, rss);
    }
  }
}

await cycles();
console.log(JSON.stringify({ rounds, early, most, left: descriptors() - before }));
