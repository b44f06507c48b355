// How fast sockets of our own answer and carry, beside Deno's, over a C program that echoes.
// How long options and descriptors take: options.ts, descriptor.ts. Rounds and tables: harness.ts.
import { Socket } from "../socket/mod.ts";
import { interleaved, median, type Row, type Table } from "./harness.ts";

const ROUND_TRIPS = 2_000;
const MEGABYTES = 64;
const CHUNK = 65_536;
const SLICES = 3;
const LOCAL = "127.0.0.1";

async function echo(): Promise<{ udp: number; tcp: number; stop(): Promise<void> }> {
  const folder = await Deno.makeTempDir();
  const source = new URL("echo.c", import.meta.url).pathname;
  const built = await new Deno.Command("gcc", { args: ["-O2", "-pthread", "-o", `${folder}/echo`, source] }).output();
  if (!built.success) throw new Error(new TextDecoder().decode(built.stderr));
  const child = new Deno.Command(`${folder}/echo`, { stdin: "piped", stdout: "piped" }).spawn();
  let text = "";
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    if (text.split("\n").length > 2) break;
  }
  const [udp, tcp] = text.split("\n").map(Number);
  const stop = async () => {
    await child.stdin.close();
    await child.status;
    await Deno.remove(folder, { recursive: true });
  };
  return { udp: udp!, tcp: tcp!, stop };
}

/** What single round trips took: the middle one and the slowest in a hundred, microseconds. */
async function trips(once: () => Promise<unknown>): Promise<{ middle: number; slow: number }> {
  const taken = new Float64Array(ROUND_TRIPS);
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const start = performance.now();
    await once();
    taken[i] = (performance.now() - start) * 1000;
  }
  taken.sort();
  return { middle: taken[ROUND_TRIPS >> 1]!, slow: taken[Math.floor(ROUND_TRIPS * 0.99)]! };
}

/** Sends and takes back as much as MEGABYTES, at once; megabytes a second. */
async function carried(
  send: (data: Uint8Array<ArrayBuffer>) => Promise<unknown>,
  receive: (into: Uint8Array<ArrayBuffer>) => Promise<number>,
): Promise<number> {
  const data = new Uint8Array(CHUNK).fill(1);
  const into = new Uint8Array(CHUNK);
  const total = MEGABYTES * 2 ** 20;
  const start = performance.now();
  const sending = (async () => {
    for (let sent = 0; sent < total; sent += CHUNK) await send(data);
  })();
  for (let got = 0; got < total;) got += await receive(into);
  await sending;
  return MEGABYTES / (performance.now() - start) * 1000;
}

async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let sent = 0; sent < data.byteLength;) sent += await conn.write(data.subarray(sent));
}

async function main(): Promise<Table> {
  const { udp, tcp, stop } = await echo();
  const peer = { hostname: LOCAL, port: udp };
  const data = new Uint8Array(64).fill(1);
  const into = new Uint8Array(64);

  const ours = Socket.open("inet", "dgram");
  await ours.connect(peer);
  const denos = Deno.listenDatagram({ transport: "udp", hostname: LOCAL, port: 0 });
  const to = { transport: "udp", ...peer } as const;
  const stream = Socket.open("inet", "stream");
  await stream.connect({ hostname: LOCAL, port: tcp });
  const conn = await Deno.connect({ hostname: LOCAL, port: tcp });

  const slow: Record<string, number[]> = {};
  const measured = (name: string, once: () => Promise<unknown>) => async () => {
    const { middle, slow: late } = await trips(once);
    (slow[name] ??= []).push(late);
    return middle;
  };
  const udpOurs = measured("udpOurs", async () => {
    await ours.send(data);
    await ours.receive(into);
  });
  const udpDeno = measured("udpDeno", async () => {
    await denos.send(data, to);
    await denos.receive(into);
  });
  const tcpOurs = measured("tcpOurs", async () => {
    await stream.send(data);
    await stream.receive(into);
  });
  const tcpDeno = measured("tcpDeno", async () => {
    await conn.write(data);
    await conn.read(into);
  });
  const figures = await interleaved({
    udpOurs,
    udpDeno,
    tcpOurs,
    tcpDeno,
    bulkOurs: () => carried((bytes) => stream.sendAll(bytes), async (room) => (await stream.receive(room)).byteLength),
    bulkDeno: () => carried((bytes) => writeAll(conn, bytes), async (room) => await conn.read(room) ?? 0),
  }, SLICES);

  ours.close();
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
  const beside = (values: readonly number[]) => ({ name: "Deno", values });
  const rows: Row[] = [
    {
      what: "UDP round trip of 64 bytes, the middle one",
      values: figures.udpOurs,
      unit: "µs",
      peer: beside(figures.udpDeno),
      limit: { ratioAtMost: 1 },
    },
    {
      what: "the same, one in a hundred is slower",
      values: late("udpOurs"),
      unit: "µs",
      peer: beside(late("udpDeno")),
      limit: { ratioAtMost: 1 },
    },
    {
      what: "TCP round trip of 64 bytes, the middle one",
      values: figures.tcpOurs,
      unit: "µs",
      peer: beside(figures.tcpDeno),
      limit: { ratioAtMost: 1 },
    },
    {
      what: "the same, one in a hundred is slower",
      values: late("tcpOurs"),
      unit: "µs",
      peer: beside(late("tcpDeno")),
      limit: { ratioAtMost: 2 },
    },
    {
      what: "TCP echo in chunks of 64 KiB",
      values: figures.bulkOurs,
      unit: "MB/s",
      peer: beside(figures.bulkDeno),
      limit: { ratioAtLeast: 1 },
    },
  ];
  return { title: "Sockets of our own, over a C program that echoes", rows };
}

console.log(JSON.stringify(await main()));
