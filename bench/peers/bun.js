// Bun.udpSocket, as one of those that bench/contestants.ts runs side by side: sends, receives or makes round trips.
// Arguments, time and the line of numbers at the end: slice.js.
import process from "node:process";
import { bytes, hostname, how, port, Slice, tell, trips, what } from "./slice.js";

const { Bun } = globalThis;
/** As this library's batch of single datagrams (berkeley.ts). */
const DESTINATIONS = 16;
const MESSAGES = 1024;

const data = new Uint8Array(bytes).fill(1);

if (what === "send") {
  const socket = await Bun.udpSocket({});
  const slice = new Slice();
  if (how === "many") {
    const packets = [];
    for (let i = 0; i < MESSAGES; i++) packets.push(data, port, `127.0.0.${1 + i % DESTINATIONS}`);
    while (slice.goesOn(socket.sendMany(packets)));
  } else {
    while (slice.goesOn(1)) socket.send(data, port, hostname);
  }
} else if (what === "receive") {
  const slice = new Slice();
  const socket = await Bun.udpSocket({
    hostname,
    socket: {
      data() {
        if (!slice.goesOn(1)) process.exit();
      },
    },
  });
  tell(socket.port);
} else {
  let came;
  const socket = await Bun.udpSocket({ hostname, socket: { data: () => came() } });
  await trips(() =>
    new Promise((resolve) => {
      came = resolve;
      socket.send(data, port, hostname);
    })
  );
}
if (what !== "receive") process.exit();
