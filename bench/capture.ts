// How fast a packet socket gives packets away, beside a C program, and whether those that it lost are counted. Needs root.
// Sockets with a peer: socket.ts, reactor.ts. Rounds and tables: harness.ts.
import { PACKET_STATISTICS, SO_ATTACH_FILTER, SO_RCVBUFFORCE } from "../options/mod.ts";
import { assembleFilter, Socket } from "../socket/mod.ts";
import { interleaved, peer, type Row, type Table } from "./harness.ts";

/** Bytes of a receive buffer that a flood overruns. */
const SMALL = 2 ** 18;
/** Bytes of one that takes all of a short flood. */
const LARGE = 2 ** 27;
/** Seconds of a flood, and of a short one. */
const FLOOD = 1;
const BURST = 0.1;
/** Milliseconds within which a short one is over. */
const OVER = 500;
/** Milliseconds without a packet that are the end. */
const SILENCE = 100;

/** What was taken, in how many microseconds, and what the kernel counted. */
type Taken = readonly [taken: number, microseconds: number, packets: number, drops: number];

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Takes packets one by one until none come. */
function take(socket: Socket<"packet">): [taken: number, microseconds: number] {
  const into = new Uint8Array(2048);
  let taken = 0;
  const start = performance.now();
  for (let last = start;;) {
    const before = taken;
    for (let i = 0; i < 64 && socket.tryReceiveFrom(into) !== null; i++) taken++;
    const time = performance.now();
    if (taken > before) last = time;
    else if (time - last > SILENCE) return [taken, (last - start) * 1000];
  }
}

/** Floods a port, which has a socket that nobody reads: packets that nobody is to have would cost an answer each. */
async function flooded(seconds: number, receive: () => Promise<Taken>): Promise<Taken> {
  using unread = Socket.open("inet", "dgram");
  unread.bind({ hostname: "127.0.0.1", port: 0 });
  const taking = receive();
  // The receiver is there when it is asked: what comes before it is not counted.
  await pause(OVER);
  const sender = await peer("udp_send", "mmsg", unread.localAddr!.port, 64, 64, seconds);
  const result = await taking;
  await sender.stop();
  return result;
}

async function ours(buffer: number, wait: number): Promise<Taken> {
  using socket = Socket.open("packet", "raw");
  SO_RCVBUFFORCE.set(socket, buffer);
  socket.bind({ interface: "lo", protocol: 0x0800 });
  await socket.receive(undefined, { peek: true });
  await pause(wait);
  const [taken, microseconds] = take(socket);
  // A silence may be one of the machine: what comes now does not count, what came before does.
  SO_ATTACH_FILTER.set(socket, assembleFilter("ret #0"));
  const [late] = take(socket);
  const { packets, drops } = PACKET_STATISTICS.get(socket);
  return [taken + late, microseconds, packets, drops];
}

async function inC(buffer: number, wait: number): Promise<Taken> {
  const receiver = await peer("capture", buffer, wait);
  await receiver.numbers();
  const result = await receiver.numbers();
  await receiver.stop();
  return result as unknown as Taken;
}

async function main(): Promise<Table> {
  // Once before, so that no round is about compiling.
  await flooded(BURST, () => ours(LARGE, OVER));
  const lost: Record<string, number[]> = {};
  const uncounted: Record<string, number[]> = {};
  /** Packets a second. */
  const rate = (name: string, seconds: number, receive: () => Promise<Taken>) => async () => {
    const [taken, microseconds, packets, drops] = await flooded(seconds, receive);
    (lost[name] ??= []).push(drops / packets * 100);
    (uncounted[name] ??= []).push(Math.abs(packets - taken - drops));
    return taken / microseconds * 1e6;
  };
  const figures = await interleaved({
    ours: rate("ours", BURST, () => ours(LARGE, OVER)),
    inC: rate("inC", BURST, () => inC(LARGE, OVER)),
    oursFlooded: rate("oursFlooded", FLOOD, () => ours(SMALL, 0)),
    inCFlooded: rate("inCFlooded", FLOOD, () => inC(SMALL, 0)),
  }, 1);
  const rows: Row[] = [
    {
      what: "`tryReceiveFrom` of what lies there",
      values: figures.ours,
      unit: "1/s",
      peer: { name: "C", values: figures.inC },
      limit: { ratioAtLeast: 0.5 },
    },
    {
      what: "`tryReceiveFrom` during a flood",
      values: figures.oursFlooded,
      unit: "1/s",
      peer: { name: "C", values: figures.inCFlooded },
      limit: { ratioAtLeast: 0.5 },
    },
    {
      what: "lost of that flood",
      values: lost.oursFlooded!,
      unit: "%",
      peer: { name: "C", values: lost.inCFlooded! },
    },
    {
      what: "packets neither received nor counted as drops, at worst",
      values: [Math.max(...Object.values(uncounted).flat())],
      unit: "",
      limit: { atMost: 0 },
    },
  ];
  return { title: "A packet socket, over a flood of UDP datagrams of 64 bytes on loopback", rows };
}

/** Runs this in a network namespace of its own: on the machine's loopback interface others send, too. */
async function alone(): Promise<void> {
  const self = [Deno.execPath(), "run", "-A", import.meta.filename!, "alone"];
  const { success } = await new Deno.Command("unshare", {
    args: ["--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", ...self],
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (!success) Deno.exit(1);
}

if (Deno.args[0] === "alone") console.log(JSON.stringify(await main()));
else await alone();
