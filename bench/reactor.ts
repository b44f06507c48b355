// What waiting costs where there is much of it: many sockets, floods, a runtime whose threads are all taken.
// How fast one socket answers: socket.ts. Rounds and tables: harness.ts. Run with --expose-gc.
import { Socket } from "../socket/mod.ts";
import { interleaved, median, type Peer, peer, quantile, type Row, type Table, trips } from "./harness.ts";

const LOCAL = "127.0.0.1";
const FEW = 10;
const MANY = 10_000;
const ROUND_TRIPS = 1_000;
const SLICES = 3;
/** Seconds of a flood. */
const FLOOD = 2;
/** What a sender of 64 bytes splits for itself. */
const SEGMENTS = 64;
const TICK = 10;
/** Calls that sleep in the runtime's threads, twice as many as there are, and for how long, in seconds. */
const SLEEPERS = 64;
const ASLEEP = 2;

const { gc } = globalThis as unknown as { gc(): void };
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function receivers(count: number): { readonly sockets: Socket<"inet">[]; close(): void } {
  const sockets = Array.from({ length: count }, () => {
    const socket = Socket.open("inet", "dgram");
    socket.bind({ hostname: LOCAL, port: 0 });
    return socket;
  });
  return { sockets, close: () => sockets.forEach((socket) => socket.close()) };
}

function ignore(): void {}

/** Waits that are not for what comes: their end is of no interest. */
function wait(sockets: readonly Socket<"inet">[]): void {
  for (const socket of sockets) socket.receive().catch(ignore);
}

/** The median of round trips to the echo by one socket, while so many others wait. */
async function tripsAmong(count: number, port: number): Promise<number> {
  const others = receivers(count);
  wait(others.sockets);
  const socket = Socket.open("inet", "dgram");
  await socket.connect({ hostname: LOCAL, port });
  const data = new Uint8Array(64);
  const taken = await trips(ROUND_TRIPS, async () => {
    await socket.send(data);
    await socket.receive();
  });
  socket.close();
  others.close();
  return quantile(taken, 0.5);
}

/** Bytes of JavaScript heap that each of many sockets takes, idle and with a call that waits. */
async function heap(): Promise<{ idle: number; waiting: number }> {
  const used = () => {
    gc();
    return Deno.memoryUsage().heapUsed;
  };
  const before = used();
  const { sockets, close } = receivers(MANY);
  const idle = used();
  wait(sockets);
  const waiting = used();
  close();
  await pause(0);
  return { idle: (idle - before) / MANY, waiting: (waiting - before) / MANY };
}

const flood = (port: number): Promise<Peer> => peer("udp_send", "gso", port, 64, SEGMENTS, FLOOD);

/** A flood into `receive()`, one at a time: how late a timer is at most, and what round trips of Deno's own TCP take. */
async function flooded(tcp: number): Promise<{ late: number; echo: number; received: number }> {
  const { sockets: [socket], close } = receivers(1);
  const conn = await Deno.connect({ hostname: LOCAL, port: tcp });
  const data = new Uint8Array(64);
  const sender = await flood(socket!.localAddr!.port);
  let received = 0;
  const receiving = (async () => {
    const into = new Uint8Array(2048);
    for (;; received++) await socket!.receive(into);
  })().catch(() => {});
  let late = 0;
  let due = performance.now() + TICK;
  const timer = setInterval(() => {
    late = Math.max(late, performance.now() - due);
    due = performance.now() + TICK;
  }, TICK);
  const taken: number[] = [];
  for (const end = performance.now() + FLOOD * 900; performance.now() < end;) {
    const [trip] = await trips(1, async () => {
      await conn.write(data);
      await conn.read(data);
    });
    taken.push(trip! / 1000);
  }
  clearInterval(timer);
  close();
  conn.close();
  await receiving;
  await sender.stop();
  return { late, echo: quantile(new Float64Array(taken).sort(), 0.99), received };
}

/** Parts of a hundred of a processor that a flood costs whose socket nobody reads; another waits beside it. */
async function unread(): Promise<number> {
  const { sockets: [socket, other], close } = receivers(2);
  // It was waited for once, so that the reactor knows it.
  await socket!.receive(undefined, { signal: AbortSignal.timeout(1) }).catch(() => {});
  wait([other!]);
  const sender = await flood(socket!.localAddr!.port);
  await pause(100);
  const before = ticks();
  await pause(FLOOD * 800);
  const used = ticks() - before;
  await sender.stop();
  close();
  // A tick is a hundredth of a second.
  return used / (FLOOD * 0.8);
}

/** Processor time of this program, in ticks. */
function ticks(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** How late waits end, 99 in a hundred, while all threads of the runtime sleep; milliseconds. */
async function crowded(): Promise<number> {
  const library = Deno.dlopen("libc.so.6", { usleep: { parameters: ["u32"], result: "i32", nonblocking: true } });
  const { sockets: [receiver, sender], close } = receivers(2);
  const address = receiver!.localAddr!;
  const sleeping = Array.from({ length: SLEEPERS }, () => library.symbols.usleep(ASLEEP * 1_000_000));
  const taken: number[] = [];
  for (const end = performance.now() + ASLEEP * 900; performance.now() < end;) {
    const waiting = receiver!.receive();
    await pause(1 + Math.random() * 8);
    const sent = performance.now();
    sender!.trySendTo(new Uint8Array(1), address);
    await waiting;
    taken.push(performance.now() - sent);
  }
  close();
  await Promise.all(sleeping);
  library.close();
  return quantile(new Float64Array(taken).sort(), 0.99);
}

async function main(): Promise<Table> {
  const { idle, waiting } = await heap();
  // Not on a core of its own, as floods take both.
  const echo = await peer("echo");
  const [[udp], [tcp]] = [await echo.numbers(), await echo.numbers()];
  const { few, many } = await interleaved({
    few: () => tripsAmong(FEW, udp!),
    many: () => tripsAmong(MANY, udp!),
  }, SLICES);
  const floods = [];
  for (let i = 0; i < 5; i++) floods.push(await flooded(tcp!));
  await echo.stop();
  const quiet = [];
  for (let i = 0; i < 3; i++) quiet.push(await unread());
  const wakes = [];
  for (let i = 0; i < 3; i++) wakes.push(await crowded());
  const rows: Row[] = [
    {
      what: "round trip of 64 bytes while 10,000 other sockets wait",
      values: many,
      unit: "µs",
      peer: { name: "ten", values: few },
      limit: { ratioAtMost: 1.15 },
    },
    { what: "JavaScript heap of a socket", values: [idle], unit: "bytes", limit: { atMost: 512 } },
    { what: "the same, while a call waits", values: [waiting], unit: "bytes", limit: { atMost: 2048 } },
    {
      what: `a 10 ms timer beside \`receive()\` of ${
        median(floods.map((one) => one.received / FLOOD)).toPrecision(2)
      } datagrams/s: at most late`,
      values: floods.map(({ late }) => late),
      unit: "ms",
      limit: { atMost: 5 },
    },
    {
      what: "Deno's TCP round trip beside it, one in a hundred is slower",
      values: floods.map((one) => one.echo),
      unit: "ms",
      limit: { atMost: 15 },
    },
    { what: "a flooded socket that nobody reads", values: quiet, unit: "% CPU", limit: { atMost: 1 } },
    {
      what: "a wake while 64 FFI calls sleep, one in a hundred is slower",
      values: wakes,
      unit: "ms",
      limit: { atMost: 5 },
    },
  ];
  return { title: "Waiting for much at once", rows };
}

console.log(JSON.stringify(await main()));
