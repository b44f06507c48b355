// How long it takes to find the descriptor behind a socket, in a process that has 4,000 others open.
// What reading an option costs after that: options.ts. Rounds and tables: harness.ts.
import { descriptorOf } from "../internal/descriptor.ts";
import { SO_TYPE } from "../options/mod.ts";
import { connectTcp, listenTcp } from "../tcp/mod.ts";
import { bindUdp } from "../udp/mod.ts";
import { interleaved, type Measure, median, microseconds, type Row, type Table } from "./harness.ts";
import net from "node:net";
import { once } from "node:events";

/** Pairs of connected sockets that are open all the while. */
const PAIRS = 2_000;
/** Sockets of a kind that are made and touched at a time. */
const SAMPLES = 10;
const SLICES = 3;
const OURS = { atMost: 10 };
const FOREIGN = { atMost: 5_000 };
const AGAIN = { atMost: 1 };

/** Two ends of a connection, or one socket. */
interface Made {
  readonly socket: object;
  close(): void;
}
type Make = () => Made | Promise<Made>;

const HOSTNAME = "127.0.0.1";
const ANY = { hostname: HOSTNAME, port: 0 };

function only<T extends { close(): unknown }>(socket: T): Made {
  return { socket, close: () => void socket.close() };
}

/** The end of a connection that its listener gave. */
async function accepted(listener: Deno.Listener<Deno.TcpConn, Deno.NetAddr>): Promise<Made> {
  const [peer, socket] = await Promise.all([
    Deno.connect({ hostname: HOSTNAME, port: listener.addr.port }),
    listener.accept(),
  ]);
  listener.close();
  return {
    socket,
    close() {
      socket.close();
      peer.close();
    },
  };
}

/** The ways to make a socket; connections go to a listener that is given. */
function makers(listener: Deno.Listener<Deno.TcpConn, Deno.NetAddr>): Record<string, Make> {
  const { port } = listener.addr;
  const pair = async (connecting: Promise<Deno.TcpConn>): Promise<Made> => {
    const [socket, peer] = await Promise.all([connecting, listener.accept()]);
    return {
      socket,
      close() {
        socket.close();
        peer.close();
      },
    };
  };
  return {
    "a connection of `connectTcp`": () => pair(connectTcp({ hostname: HOSTNAME, port })),
    "a listener of `listenTcp`": () => only(listenTcp(ANY)),
    "a connection of a `listenTcp` listener": () => accepted(listenTcp(ANY)),
    "a socket of `bindUdp`": () => only(bindUdp(ANY)),
    "a connection of `Deno.connect`": () => pair(Deno.connect({ hostname: HOSTNAME, port })),
    "a connection of a `Deno.listen` listener": () => accepted(Deno.listen(ANY)),
    "a listener of `Deno.listen`": () => only(Deno.listen(ANY)),
    "a socket of `Deno.listenDatagram`": () => only(Deno.listenDatagram({ transport: "udp", ...ANY })),
    "a socket of `node:net`": async () => {
      const socket = net.connect(port, HOSTNAME);
      const [peer] = await Promise.all([listener.accept(), once(socket, "connect")]);
      return {
        socket,
        close() {
          socket.destroy();
          peer.close();
        },
      };
    },
  };
}

function touch(socket: object): number {
  const start = performance.now();
  descriptorOf(socket, "Cannot measure");
  return microseconds(start, 1);
}

function touchAgain(sockets: readonly Made[]): number {
  const times = 200;
  const start = performance.now();
  for (let i = 0; i < times; i++) {
    for (const { socket } of sockets) descriptorOf(socket, "Cannot measure");
  }
  return microseconds(start, times * sockets.length);
}

/** Median of the first touch of a few new sockets; what touching them again takes goes into `again`. */
async function touchNew(make: Make, again: number[]): Promise<number> {
  const made: Made[] = [];
  for (let i = 0; i < SAMPLES; i++) made.push(await make());
  const took = median(made.map(({ socket }) => touch(socket)));
  again.push(touchAgain(made));
  for (const one of made) one.close();
  return took;
}

function listenAndClose(listen: (options: typeof ANY) => Deno.Listener): number {
  const times = 50;
  const start = performance.now();
  for (let i = 0; i < times; i++) listen(ANY).close();
  return microseconds(start, times);
}

/** The question of this file, answered. */
export async function descriptor(): Promise<Table> {
  using listener = Deno.listen(ANY);
  const crowd: Deno.TcpConn[] = [];
  for (let i = 0; i < PAIRS; i++) {
    crowd.push(
      ...await Promise.all([Deno.connect({ hostname: HOSTNAME, port: listener.addr.port }), listener.accept()]),
    );
  }
  // What our own functions make is noted when it is made, once the C library is open.
  SO_TYPE.get(listener);
  const kinds = makers(listener);
  const again: Record<string, number[]> = {};
  const measures: Record<string, Measure> = {
    listenTcp: () => listenAndClose(listenTcp),
    "Deno.listen": () => listenAndClose(Deno.listen),
  };
  for (const [kind, make] of Object.entries(kinds)) {
    measures[kind] = () => touchNew(make, again[kind] ??= []);
    await measures[kind]();
  }
  const took = await interleaved(measures, SLICES);
  for (const conn of crowd) conn.close();
  const rows = Object.keys(kinds).map((kind): Row => ({
    what: `first touch of ${kind}`,
    values: took[kind]!,
    unit: "µs",
    limit: /Tcp|Udp/.test(kind) ? OURS : FOREIGN,
  }));
  return {
    title: `Finding the descriptor of a socket, with ${(2 * PAIRS).toLocaleString("en")} sockets open:`,
    rows: [
      ...rows,
      { what: "touching any of these again", values: Object.values(again).map(median), unit: "µs", limit: AGAIN },
      {
        what: "`listenTcp` and `close`, the note included",
        values: took.listenTcp!,
        unit: "µs",
        peer: { name: "`Deno.listen`", values: took["Deno.listen"]! },
      },
    ],
  };
}

if (import.meta.main) console.log(JSON.stringify(await descriptor()));
