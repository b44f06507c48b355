// A program that has just started and asks an empty socket 400 times: errno must be EAGAIN each time, null here.
// Started many times on a loaded machine by ../soak_test.ts; warm programs: warm_errno.ts.
import { Socket } from "../../socket/socket.ts";

const socket = Socket.open("inet", "dgram");
socket.bind({ hostname: "127.0.0.1", port: 0 });
let wrong = 0;
for (let i = 0; i < 400; i++) {
  try {
    if (socket.tryReceive() !== null) wrong++;
  } catch {
    wrong++;
  }
}
socket.close();
console.log(wrong);
