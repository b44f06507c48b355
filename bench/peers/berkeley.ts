// This library, as one of those that bench/contestants.ts runs side by side: sends, receives or makes round trips.
// Arguments, time and the line of numbers at the end: slice.js.
import { bindUdp, type BindUdpOptions, DatagramBatch, type DatagramField, type UdpSocket } from "../../udp/mod.ts";
import { bytes, hostname, how, port, Slice, tell, trips, what } from "./slice.js";

/** Destinations of a batch that is to go out as single datagrams: neighbours to one address would become trains. */
const DESTINATIONS = 16;
const MESSAGES = 1024;
/** Peers that single datagrams go to in turn. */
const PEERS = 64;
/** Datagrams of a batch of eight trains: what is larger leaves the nearer caches of the processor before it is sent. */
const TRAINS = 8 * Math.min(128, Math.floor(65_000 / bytes));
/** Five of the seven fields: one of each of five control messages, and those that come in three. */
const FIVE: readonly DatagramField[] = ["localAddr", "hopLimit", "dscp", "timestamp", "drops"];
const THREE: readonly DatagramField[] = ["localAddr", "interfaceIndex", "hopLimit", "dscp", "ecn"];
const FIELDS = how.includes("three") ? THREE : FIVE;

const data = new Uint8Array(bytes).fill(1);
const to = { hostname, port };

async function send(socket: UdpSocket): Promise<void> {
  const slice = new Slice();
  const batch = new DatagramBatch();
  switch (how) {
    case "try":
      while (slice.goesOn(1)) socket.trySend(data, to);
      return;
    case "turn": {
      const peers = Array.from({ length: PEERS }, (_, i) => ({ hostname: `127.0.0.${1 + i}`, port }));
      for (let i = 0; slice.goesOn(1); i++) socket.trySend(data, peers[i % PEERS]);
      return;
    }
    case "await":
      while (slice.goesOn(1)) await socket.send(data, to);
      return;
    case "batch":
      for (let i = 0; i < MESSAGES && batch.add(data, { remoteAddr: { hostname: other(i), port } }); i++);
      while (slice.goesOn(await socket.sendBatch(batch)));
      return;
    case "gso":
      for (let i = 0; i < TRAINS; i++) batch.add(data, { remoteAddr: to });
      while (slice.goesOn(await socket.sendBatch(batch)));
      return;
    case "filled":
      do {
        batch.clear();
        for (let i = 0; i < TRAINS; i++) batch.bytes[batch.reserve(bytes, to)] = i;
      } while (slice.goesOn(await socket.sendBatch(batch)));
  }
}

function other(i: number): string {
  return `127.0.0.${1 + i % DESTINATIONS}`;
}

async function receive(socket: UdpSocket<DatagramField>, read: boolean): Promise<void> {
  const slice = new Slice();
  const into = new Uint8Array(bytes + 1);
  if (how === "await" || how === "gro-await") {
    while (slice.goesOn(1)) await socket.receive(into);
  } else if (how === "fresh") {
    while (slice.goesOn(1)) await socket.receive();
  } else if (how === "try") {
    while (slice.goesOn(1)) socket.tryReceive(into) ?? await socket.receive(into);
  } else {
    const batch = new DatagramBatch({ maxDatagramSize: bytes + 1 });
    const memory = batch.bytes;
    let seen = 0;
    let count = 0;
    do {
      count = await socket.receiveBatch(batch);
      for (let i = 0, run = -1; i < count; i++) {
        seen += memory[batch.byteOffset(i)]!;
        if (!read || batch.run(i) === run) continue;
        run = batch.run(i);
        for (const field of FIELDS) if (batch.metadata(i, field) === undefined) seen = NaN;
      }
    } while (slice.goesOn(count));
    if (!(seen >= 0)) throw new Error("A datagram lacked what was asked for");
  }
}

/** `gro` and `batch` may have `-unread`, `-read`, `-three-read` or the like behind them: with metadata, which is read or is not. */
function receiver(): BindUdpOptions<DatagramField> {
  return { hostname, gro: how.startsWith("gro"), ...(how.endsWith("read") && { metadata: FIELDS }) };
}

if (what === "send") {
  using socket = bindUdp();
  await send(socket);
} else if (what === "receive") {
  using socket = bindUdp(receiver());
  tell(socket.addr.port);
  await receive(socket, how.endsWith("-read"));
} else {
  using socket = bindUdp({ hostname });
  const into = new Uint8Array(bytes);
  await trips(async () => {
    await socket.send(data, to);
    await socket.receive(into);
  });
}
