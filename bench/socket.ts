// How fast sockets of our own answer and carry, beside Deno's, over a C program that echoes.
// Many sockets, floods and a busy runtime: reactor.ts. How long options and descriptors take: options.ts, descriptor.ts.
import { Socket } from "../socket/mod.ts";
import { setLook } from "../socket/socket.ts";
import { carried, carriedBy, unpaced } from "./carried.ts";
import { echo, interleaved, measureHere, median, quantile, type Row, type Table, trips } from "./harness.ts";

const ROUND_TRIPS = 2_000;
const PACED_TRIPS = 100;
const PACE = 2;
const SLICES = 3;
const BULK_SLICES = 9;
const WARM = 5;
const LOCAL = "127.0.0.1";

async function main(): Promise<Table> {
  const { udp, tcp, stop } = await echo();
  await measureHere();
  const there = { hostname: LOCAL, port: udp };
  const data = new Uint8Array(64).fill(1);
  const into = new Uint8Array(64);

  const ours = Socket.open("inet", "dgram");
  const sleeping = Socket.open("inet", "dgram");
  setLook(sleeping, 0);
  for (const socket of [ours, sleeping]) await socket.connect(there);
  const denos = Deno.listenDatagram({ transport: "udp", hostname: LOCAL, port: 0 });
  const to = { transport: "udp", ...there } as const;
  const stream = Socket.open("inet", "stream");
  await stream.connect({ hostname: LOCAL, port: tcp });
  const conn = await Deno.connect({ hostname: LOCAL, port: tcp });
  for (const one of [stream, conn]) unpaced(one);

  const slow: Record<string, number[]> = {};
  const measured = (name: string, once: () => Promise<unknown>) => async () => {
    const taken = await trips(ROUND_TRIPS, once);
    (slow[name] ??= []).push(quantile(taken, 0.99));
    return quantile(taken, 0.5);
  };
  const paced = (once: () => Promise<unknown>) => async () => {
    const taken = new Float64Array(PACED_TRIPS);
    for (let i = 0; i < PACED_TRIPS; i++) {
      await new Promise((resolve) => setTimeout(resolve, PACE));
      taken[i] = (await trips(1, once))[0]!;
    }
    return quantile(taken.sort(), 0.5);
  };
  const over = (socket: Socket) => async () => {
    await socket.send(data);
    await socket.receive(into);
  };
  const overDeno = async () => {
    await denos.send(data, to);
    await denos.receive(into);
  };
  const bulk = {
    bulkOurs: () => carried((bytes) => stream.sendAll(bytes), (room) => stream.receive(room)),
    bulkDeno: () => carriedBy(conn),
  };
  // Compilers need more calls than a few slices make.
  for (let i = 0; i < WARM; i++) for (const one of Object.values(bulk)) await one();
  const figures = await interleaved({
    udpOurs: measured("udpOurs", over(ours)),
    udpDeno: measured("udpDeno", overDeno),
    udpSleeping: measured("udpSleeping", over(sleeping)),
    pacedOurs: paced(over(ours)),
    pacedDeno: paced(overDeno),
    tcpOurs: measured("tcpOurs", over(stream)),
    tcpDeno: measured("tcpDeno", async () => {
      await conn.write(data);
      await conn.read(into);
    }),
  }, SLICES);
  // Neither has more than a few per cent before the other: what the machine does besides is more.
  const { bulkOurs, bulkDeno } = await interleaved(bulk, BULK_SLICES);

  ours.close();
  sleeping.close();
  denos.close();
  stream.close();
  conn.close();
  await stop();
  // A figure a round, as the others have.
  const late = (name: string) =>
    Array.from(
      { length: slow[name]!.length / SLICES },
      (_, i) => median(slow[name]!.slice(i * SLICES, (i + 1) * SLICES)),
    );
  const row = (what: string, values: readonly number[], denos: readonly number[], most: number): Row => ({
    what,
    values,
    unit: "µs",
    peer: { name: "Deno", values: denos },
    limit: { ratioAtMost: most },
  });
  const rows: Row[] = [
    row("UDP round trip of 64 bytes, the middle one", figures.udpOurs, figures.udpDeno, 1),
    row("the same, one in a hundred is slower", late("udpOurs"), late("udpDeno"), 1),
    row("the middle one with `spin: 0`", figures.udpSleeping, figures.udpDeno, 1.4),
    row("the middle one, 2 ms after the last", figures.pacedOurs, figures.pacedDeno, 2.2),
    row("TCP round trip of 64 bytes, the middle one", figures.tcpOurs, figures.tcpDeno, 1),
    row("the same, one in a hundred is slower", late("tcpOurs"), late("tcpDeno"), 2),
    {
      what: "TCP echo in chunks of 64 KiB",
      values: bulkOurs,
      unit: "MB/s",
      peer: { name: "Deno", values: bulkDeno },
      limit: { ratioAtLeast: 1 },
    },
  ];
  return { title: "Sockets of our own, over a C program that echoes", rows };
}

console.log(JSON.stringify(await main()));
