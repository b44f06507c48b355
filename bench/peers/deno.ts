// Deno.listenDatagram, as one of those that bench/contestants.ts runs side by side: sends, receives or makes round trips.
// Arguments, time and the line of numbers at the end: slice.js.
import { bytes, hostname, how, port, Slice, tell, trips, what } from "./slice.js";

const socket = Deno.listenDatagram({ transport: "udp", hostname: what === "send" ? "0.0.0.0" : hostname, port: 0 });
const data = new Uint8Array(bytes).fill(1);
const to = { transport: "udp", hostname, port } as const;

if (what === "send") {
  const slice = new Slice();
  while (slice.goesOn(1)) await socket.send(data, to);
} else if (what === "receive") {
  tell((socket.addr as Deno.NetAddr).port);
  const slice = new Slice();
  const into = how === "fresh" ? undefined : new Uint8Array(bytes + 1);
  while (slice.goesOn(1)) await socket.receive(into);
} else {
  const into = new Uint8Array(bytes);
  await trips(async () => {
    await socket.send(data, to);
    await socket.receive(into);
  });
}
socket.close();
