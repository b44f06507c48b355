// How many connections a second connectTcp and listenTcp make, beside Deno.connect and Deno.listen.
// What finding a descriptor costs: descriptor.ts. Rounds and tables: harness.ts.
import { SO_TYPE } from "../options/mod.ts";
import { connectTcp, listenTcp, type TcpListener, type TcpOptions } from "../tcp/mod.ts";
import { interleaved, type Row, type Table } from "./harness.ts";

/** Connections at a time; a port of the loopback interface lingers a second before it is taken again. */
const CONNECTIONS = 100;
const SLICES = 20;
const LIMIT = { ratioAtLeast: 0.95 };

const HOSTNAME = "127.0.0.1";
const TUNED: TcpOptions = { noDelay: true, keepAlive: true };
/** What Deno cannot do. */
const BEYOND: TcpOptions = { keepAlive: { idle: 30_000 }, userTimeout: 20_000 };

type Connect = (to: { hostname: string; port: number }) => Promise<Deno.TcpConn>;

/** Connections a second, each accepted and closed before the next is made. */
async function rate(listener: Deno.TcpListener, connect: Connect): Promise<number> {
  const to = { hostname: HOSTNAME, port: listener.addr.port };
  const start = performance.now();
  for (let i = 0; i < CONNECTIONS; i++) {
    const accepting = listener.accept();
    const conn = await connect(to);
    (await accepting).close();
    conn.close();
  }
  return CONNECTIONS * 1000 / (performance.now() - start);
}

function listenPlain(): Deno.TcpListener {
  return Deno.listen({ hostname: HOSTNAME, port: 0 });
}

function listenOurs(options: TcpOptions = {}): TcpListener {
  return listenTcp({ hostname: HOSTNAME, port: 0, ...options });
}

/** What Deno's own calls can do to have the same. */
function tuned(conn: Deno.TcpConn): Deno.TcpConn {
  conn.setNoDelay(true);
  conn.setKeepAlive(true);
  return conn;
}

async function plain(what: string): Promise<Row> {
  using theirs = listenPlain();
  using ours = listenOurs();
  return row(
    what,
    await compared({ theirs: () => rate(theirs, Deno.connect), ours: () => rate(ours, connectTcp) }),
    LIMIT,
  );
}

/** With what Deno can do too. */
async function tunedAlike(): Promise<Row> {
  using theirs = listenPlain();
  using ours = listenOurs(TUNED);
  const accept = theirs.accept;
  theirs.accept = async () => tuned(await accept.call(theirs));
  const figures = await compared({
    theirs: () => rate(theirs, async (to) => tuned(await Deno.connect(to))),
    ours: () => rate(ours, (to) => connectTcp({ ...to, ...TUNED })),
  });
  return row("with `noDelay` and `keepAlive`", figures);
}

async function tunedBeyond(): Promise<Row> {
  using theirs = listenPlain();
  using ours = listenOurs(BEYOND);
  const figures = await compared({
    theirs: () => rate(theirs, Deno.connect),
    ours: () => rate(ours, (to) => connectTcp({ ...to, ...BEYOND })),
  });
  return row("with keepalive times and `userTimeout`, beside Deno's without", figures);
}

interface Figures {
  readonly theirs: number[];
  readonly ours: number[];
}

async function compared(measures: Readonly<Record<keyof Figures, () => Promise<number>>>): Promise<Figures> {
  for (const measure of Object.values(measures)) await measure();
  return interleaved(measures, SLICES);
}

function row(what: string, { theirs, ours }: Figures, limit?: Row["limit"]): Row {
  return { what, values: ours, unit: "1/s", peer: { name: "Deno", values: theirs }, ...(limit && { limit }) };
}

function openLibrary(): void {
  using listener = listenPlain();
  SO_TYPE.get(listener);
}

/** The question of this file, answered. */
export async function tcpConnect(): Promise<Table> {
  const rows = [await plain("without options")];
  openLibrary();
  rows.push(await plain("the same when an option was used before, so that descriptors are noted"));
  rows.push(await tunedAlike(), await tunedBeyond());
  return { title: "Connecting, accepting and closing over the loopback interface, one after the other:", rows };
}

if (import.meta.main) console.log(JSON.stringify(await tcpConnect()));
