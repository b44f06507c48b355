// How long reading and setting an option takes, beside a bare FFI call on the same socket.
// How long a socket's first touch takes: descriptor.ts. Rounds and tables: harness.ts.
import { descriptorOf } from "../internal/descriptor.ts";
import {
  IP_TOS,
  IPV6_TCLASS,
  type ReadableOption,
  SO_KEEPALIVE,
  SO_LINGER,
  type SocketOption,
  TCP_INFO,
} from "../options/mod.ts";
import { interleaved, type Measure, microseconds, type Row, type Table } from "./harness.ts";

const CALLS = 20_000;
const SLICES = 6;
const GET = { atMost: 1.5 };
const SET = { atMost: 2.5 };

const { getsockopt, setsockopt } = Deno.dlopen("libc.so.6", {
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
}).symbols;
const value = new Uint8Array(4);
const length = Uint32Array.of(4);

function get(option: ReadableOption<unknown>, conn: Deno.TcpConn): number {
  const start = performance.now();
  for (let i = 0; i < CALLS; i++) option.get(conn);
  return microseconds(start, CALLS);
}

function set<T>(option: SocketOption<T>, conn: Deno.TcpConn, values: readonly [T, T]): number {
  const start = performance.now();
  for (let i = 0; i < CALLS; i++) option.set(conn, values[i & 1]!);
  return microseconds(start, CALLS);
}

function bareGet(fd: number, level: number, name: number): number {
  const start = performance.now();
  for (let i = 0; i < CALLS; i++) {
    length[0] = 4;
    if (getsockopt(fd, level, name, value, length) !== 0) throw new Error("getsockopt failed");
  }
  return microseconds(start, CALLS);
}

function bareSet(fd: number, level: number, name: number, values: readonly [number, number]): number {
  const start = performance.now();
  for (let i = 0; i < CALLS; i++) {
    value[0] = values[i & 1]!;
    if (setsockopt(fd, level, name, value, 4) !== 0) throw new Error("setsockopt failed");
    length[0] = 4;
    if (getsockopt(fd, level, name, value, length) !== 0) throw new Error("getsockopt failed");
  }
  return microseconds(start, CALLS);
}

/** Level and number as numbers. */
function numbers(option: ReadableOption<unknown>): readonly [level: number, name: number] {
  const { level, name } = option.codes.linux!;
  return [level, name];
}

/** The question of this file, answered. */
export async function options(): Promise<Table> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using listener6 = Deno.listen({ hostname: "::1", port: 0 });
  using conn = await Deno.connect({ port: listener.addr.port });
  using conn6 = await Deno.connect({ hostname: "::1", port: listener6.addr.port });
  const { fd } = descriptorOf(conn, "Cannot measure");
  const fd6 = descriptorOf(conn6, "Cannot measure").fd;
  const measures = {
    keepAlive: () => get(SO_KEEPALIVE, conn),
    keepAliveBare: () => bareGet(fd, ...numbers(SO_KEEPALIVE)),
    tos: () => get(IP_TOS, conn),
    tosBare: () => bareGet(fd, ...numbers(IP_TOS)),
    tclass: () => get(IPV6_TCLASS, conn6),
    tclassBare: () => bareGet(fd6, ...numbers(IPV6_TCLASS)),
    linger: () => get(SO_LINGER, conn),
    info: () => get(TCP_INFO, conn),
    setKeepAlive: () => set(SO_KEEPALIVE, conn, [true, false]),
    setKeepAliveBare: () => bareSet(fd, ...numbers(SO_KEEPALIVE), [1, 0]),
    setTos: () => set(IP_TOS, conn, [0x10, 0]),
    setTosBare: () => bareSet(fd, ...numbers(IP_TOS), [0x10, 0]),
    setTclass: () => set(IPV6_TCLASS, conn6, [0x10, 0]),
    setTclassBare: () => bareSet(fd6, ...numbers(IPV6_TCLASS), [0x10, 0]),
  } satisfies Record<string, Measure>;
  for (const measure of Object.values(measures)) measure();
  const took = await interleaved(measures, SLICES);
  const row = (what: string, of: keyof typeof took, beside?: keyof typeof took, limit?: Row["limit"]): Row => ({
    what,
    values: took[of],
    unit: "µs",
    ...(beside !== undefined && { peer: { name: "bare FFI", values: took[beside] } }),
    ...(limit !== undefined && { limit }),
  });
  return {
    title: "Reading an option, and setting one and reading it back, on a socket that was touched before:",
    rows: [
      row("`SO_KEEPALIVE.get`", "keepAlive", "keepAliveBare", GET),
      row("`IP_TOS.get`", "tos", "tosBare", GET),
      row("`IPV6_TCLASS.get`", "tclass", "tclassBare", GET),
      row("`SO_LINGER.get`, a struct", "linger"),
      row("`TCP_INFO.get`, decoded in full", "info"),
      row("`SO_KEEPALIVE.set`", "setKeepAlive", "setKeepAliveBare", SET),
      row("`IP_TOS.set`", "setTos", "setTosBare", SET),
      row("`IPV6_TCLASS.set`", "setTclass", "setTclassBare", SET),
    ],
  };
}

if (import.meta.main) console.log(JSON.stringify(await options()));
