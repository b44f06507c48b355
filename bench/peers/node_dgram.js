// node:dgram, in Node and in Deno, as one of those that bench/contestants.ts runs side by side.
// Arguments, time and the line of numbers at the end: slice.js.
import dgram from "node:dgram";
import process from "node:process";
import { bytes, hostname, port, Slice, tell, trips, what } from "./slice.js";

/** Sends that are under way at once. */
const PENDING = 64;

const socket = dgram.createSocket("udp4");
const data = new Uint8Array(bytes).fill(1);

if (what === "send") {
  const slice = new Slice();
  const next = () => {
    if (slice.goesOn(1)) socket.send(data, port, hostname, next);
    else process.exit();
  };
  for (let i = 0; i < PENDING; i++) next();
} else if (what === "receive") {
  const slice = new Slice();
  socket.on("message", () => {
    if (!slice.goesOn(1)) process.exit();
  });
  socket.bind(0, hostname, () => tell(socket.address().port));
} else {
  let came;
  socket.on("message", () => came());
  await new Promise((resolve) => socket.bind(0, hostname, resolve));
  await trips(() =>
    new Promise((resolve) => {
      came = resolve;
      socket.send(data, port, hostname);
    })
  );
  socket.close();
}
