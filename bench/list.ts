// How long it takes to list the sockets of a process that has 4,000, and to find one of them by its address.
// Finding the descriptor behind an object that one has: descriptor.ts. Rounds and tables: harness.ts.
import { libc } from "../internal/libc.ts";
import { SO_KEEPALIVE } from "../options/mod.ts";
import { findSocket, listSockets, type SocketFilter } from "../socket/mod.ts";
import { interleaved, type Measure, microseconds, type Row, type Table } from "./harness.ts";

/** Pairs of connected sockets that are open all the while. */
const PAIRS = 2_000;
const SLICES = 3;
const HOSTNAME = "127.0.0.1";

/** The connections, and the ways to look at them; each takes one step and tells its microseconds. */
interface Crowd extends Disposable {
  readonly list: Measure;
  readonly filtered: Measure;
  readonly find: Measure;
  readonly again: Measure;
  readonly use: Measure;
}

async function crowd(): Promise<Crowd> {
  const listener = Deno.listen({ hostname: HOSTNAME, port: 0 });
  const there = { hostname: HOSTNAME, port: listener.addr.port };
  const conns: Deno.TcpConn[] = [];
  for (let i = 0; i < PAIRS; i++) conns.push(...await Promise.all([Deno.connect(there), listener.accept()]));
  const one = conns[PAIRS]!;
  const own: SocketFilter = { localAddr: one.localAddr };
  const both: SocketFilter = { localAddr: one.localAddr, remoteAddr: one.remoteAddr };
  const taken = (count: number, times: number, look: () => number) => () => {
    const start = performance.now();
    for (let i = 0; i < times; i++) if (look() !== count) throw new Error("what was found is not what is there");
    return microseconds(start, times);
  };
  const AGAIN = 1_000;
  return {
    list: taken(2 * PAIRS + 1, 1, () => {
      let count = 0;
      for (const { protocol } of listSockets()) if (protocol === 6) count++;
      return count;
    }),
    filtered: taken(PAIRS + 1, 1, () => listSockets({ localAddr: there }).length),
    find: taken(1, 1, () => findSocket(own).state === "established" ? 1 : 0),
    again: taken(1, AGAIN, () => findSocket(both).state === "established" ? 1 : 0),
    use() {
      const found = findSocket(own);
      return taken(0, AGAIN, () => SO_KEEPALIVE.get(found) ? 1 : 0)();
    },
    [Symbol.dispose]() {
      for (const conn of conns) conn.close();
      listener.close();
    },
  };
}

/** The first look of a program, which has used the C library before, or not. */
async function first(what: "list" | "find", opened: boolean): Promise<number> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.url, what, opened ? "opened" : "closed"],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("the first look of a program failed");
  return Number(new TextDecoder().decode(stdout));
}

/** The question of this file, answered. */
export async function list(): Promise<Table> {
  using these = await crowd();
  const { list, filtered, find, again, use } = these;
  const measures = { list, filtered, find, again, use };
  for (const measure of Object.values(measures)) for (let i = 0; i < 20; i++) await measure();
  const took = await interleaved(measures, SLICES);
  const cold = await interleaved({
    list: () => first("list", true),
    listOpening: () => first("list", false),
    find: () => first("find", true),
    findOpening: () => first("find", false),
  }, 1);
  const row = (what: string, values: readonly number[], unit: "ms" | "µs", atMost?: number): Row => ({
    what,
    values: unit === "ms" ? values.map((value) => value / 1000) : values,
    unit,
    ...(atMost === undefined ? {} : { limit: { atMost } }),
  });
  return {
    title: `Seeing the sockets of a process that has ${(2 * PAIRS).toLocaleString("en")} connections:`,
    rows: [
      row("`listSockets()`", took.list, "ms", 15),
      row("the same, the first look of a program", cold.list, "ms"),
      row("the same, the C library opened for it", cold.listOpening, "ms"),
      row("`listSockets()` of half of them, by address and port", took.filtered, "ms"),
      row("`findSocket()` by the own address", took.find, "ms", 5),
      row("the same, the first look of a program", cold.find, "ms", 5),
      row("the same, the C library opened for it", cold.findOpening, "ms"),
      row("`findSocket()` by both addresses again", took.again, "µs", 10),
      row("reading an option of what was found", took.use, "µs", 10),
    ],
  };
}

if (import.meta.main) {
  if (Deno.args.length === 0) {
    console.log(JSON.stringify(await list()));
  } else {
    using these = await crowd();
    if (Deno.args[1] === "opened") libc("Cannot measure");
    console.log(await these[Deno.args[0] === "list" ? "list" : "find"]());
  }
}
