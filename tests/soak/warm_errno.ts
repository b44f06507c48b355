// Asks an empty socket again and again while garbage is collected: errno must be EAGAIN each time, null here.
// How often is the first argument; run by ../soak_test.ts.
import { Socket } from "../../socket/socket.ts";

const rounds = Number(Deno.args[0] ?? 1_000_000);
const socket = Socket.open("inet", "dgram");
socket.bind({ hostname: "127.0.0.1", port: 0 });
let garbage: unknown[] = [];

function ask(): number {
  let wrong = 0;
  for (let i = 0; i < rounds; i++) {
    garbage.push(i % 64 === 0 ? new ArrayBuffer(1024) : { i });
    if (garbage.length > 10_000) garbage = [];
    try {
      if (socket.tryReceive() !== null) wrong++;
    } catch {
      wrong++;
    }
  }
  return wrong;
}

console.log(ask());
socket.close();
