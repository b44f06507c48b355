// How many waiting connections a second listenTcp accepts beside Deno.listen, and what a connection of ours carries beside Deno's.
// Making connections one after the other: tcp_connect.ts. The Socket beneath: socket.ts. Rounds and tables: harness.ts.
import { SO_LINGER } from "../options/mod.ts";
import { Socket } from "../socket/mod.ts";
import { connectTcp, listenTcp, type ListenTcpOptions, withTimeouts } from "../tcp/mod.ts";
import { carriedBy, unpaced } from "./carried.ts";
import { echo, interleaved, measureHere, quantile, type Row, type Table, trips } from "./harness.ts";

/** Connections that wait to be accepted; below what the kernel lets a listener have. */
const CONNECTIONS = 1_000;
const SLICES = 5;
const ROUND_TRIPS = 2_000;
const HOSTNAME = "127.0.0.1";
const BACKLOG = 4_096;

/** Accepted connections a second, of those that wait already. */
async function accepted(listener: Deno.Listener<Deno.TcpConn, Deno.NetAddr>): Promise<number> {
  const clients = Array.from({ length: CONNECTIONS }, () => {
    const socket = Socket.open("inet", "stream");
    // It leaves no port behind that waits for a minute.
    SO_LINGER.set(socket, { enabled: true, seconds: 0 });
    socket.tryConnect({ hostname: HOSTNAME, port: listener.addr.port });
    return socket;
  });
  const conns: Deno.TcpConn[] = [];
  const start = performance.now();
  while (conns.length < CONNECTIONS) conns.push(await listener.accept());
  const rate = CONNECTIONS * 1000 / (performance.now() - start);
  for (const client of clients) client.close();
  for (const conn of conns) conn.close();
  return rate;
}

function listenOurs(options: Partial<ListenTcpOptions>): Deno.Listener<Deno.TcpConn, Deno.NetAddr> {
  return listenTcp({ hostname: HOSTNAME, port: 0, backlog: BACKLOG, ...options });
}

async function storms(): Promise<Row[]> {
  const listeners = {
    denos: Deno.listen({ hostname: HOSTNAME, port: 0, tcpBacklog: BACKLOG }),
    plain: listenOurs({}),
    own: listenOurs({ reuseAddress: false }),
    limits: listenOurs({ limits: { maxConnections: 100_000, maxConnectionsPerAddress: 100_000, idleTimeout: 60_000 } }),
  };
  for (const listener of Object.values(listeners)) await accepted(listener);
  const figures = await interleaved({
    denos: () => accepted(listeners.denos),
    plain: () => accepted(listeners.plain),
    own: () => accepted(listeners.own),
    limits: () => accepted(listeners.limits),
  }, SLICES);
  for (const listener of Object.values(listeners)) listener.close();
  const row = (what: string, values: readonly number[], limit?: Row["limit"]): Row => ({
    what,
    values,
    unit: "1/s",
    peer: { name: "`Deno.listen`", values: figures.denos },
    ...(limit && { limit }),
  });
  return [
    row("accepting 1,000 that wait", figures.plain, { ratioAtLeast: 1 }),
    row("the same by a listener of our own", figures.own),
    row("the same with limits", figures.limits),
  ];
}

async function connections(): Promise<Row[]> {
  const { tcp, stop } = await echo();
  await measureHere();
  const to = { hostname: HOSTNAME, port: tcp };
  const denos = await Deno.connect(to);
  const own = await connectTcp({ ...to, localAddr: {} });
  const timed = withTimeouts(await connectTcp(to), { read: 60_000, write: 60_000 });
  for (const conn of [denos, own, timed]) unpaced(conn);
  const data = new Uint8Array(64).fill(1);
  const into = new Uint8Array(64);
  const trip = (conn: Deno.Conn) => async () => {
    const taken = await trips(ROUND_TRIPS, async () => {
      await conn.write(data);
      await conn.read(into);
    });
    return quantile(taken, 0.5);
  };
  const figures = await interleaved({
    tripDenos: trip(denos),
    tripOwn: trip(own),
    tripTimed: trip(timed),
    bulkDenos: () => carriedBy(denos),
    bulkOwn: () => carriedBy(own),
    bulkTimed: () => carriedBy(timed),
  }, SLICES);
  for (const conn of [denos, own, timed]) conn.close();
  await stop();
  const row = (what: string, unit: string, values: readonly number[], theirs: number[], limit?: Row["limit"]): Row => ({
    what,
    values,
    unit,
    peer: { name: "`Deno.connect`", values: theirs },
    ...(limit && { limit }),
  });
  return [
    row("round trip of 64 bytes on a connection of our own", "µs", figures.tripOwn, figures.tripDenos, {
      ratioAtMost: 1.1,
    }),
    row("the same with `withTimeouts`, on Deno's", "µs", figures.tripTimed, figures.tripDenos),
    row("echo in chunks of 64 KiB on a connection of our own", "MB/s", figures.bulkOwn, figures.bulkDenos, {
      ratioAtLeast: 0.9,
    }),
    row("the same with `withTimeouts`, on Deno's", "MB/s", figures.bulkTimed, figures.bulkDenos),
  ];
}

/** The question of this file, answered. */
export async function tcpAccept(): Promise<Table> {
  return {
    title: "Storms of connections, and connections that needed a socket of our own:",
    rows: [...await storms(), ...await connections()],
  };
}

if (import.meta.main) console.log(JSON.stringify(await tcpAccept()));
