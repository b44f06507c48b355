// listenTcp({ limits }): who is let in, what is counted, and who is sent away, by every way that a connection can end.
// Thousands of silent clients: ../lab/tcp_test.ts. Limits of single calls: timeouts_test.ts.
import { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { TCP_KEEPIDLE, TCP_NODELAY } from "../../options/mod.ts";
import {
  connectTcp,
  listenTcp,
  type ListenTcpOptions,
  type RefusalReason,
  resetTcp,
  type TcpLimits,
  type TcpListener,
} from "../../tcp/mod.ts";
import { certificate } from "../certificate.ts";
import { type Needs, test } from "../needs.ts";
import { bytes, FFI, outcome, sleep, text } from "../socket/make.ts";
import { assertWithin, until } from "../time.ts";
import { OTHER_PROGRAM, runWith } from "./other_program.ts";

const here = { hostname: "127.0.0.1", port: 0 } as const;

/** Both kinds of listener, Deno's and ours. */
const LISTENERS: readonly [name: string, needs: Needs, options: Partial<ListenTcpOptions>][] = [
  ["Deno's listener", { ffi: true }, {}],
  ["a listener of our own", FFI, { reuseAddress: false }],
];

function each(name: string, body: (options: Partial<ListenTcpOptions>) => Promise<void>): void {
  for (const [kind, needs, options] of LISTENERS) {
    test(`limits at ${kind}: ${name}`, needs, async () => {
      await body(options);
      await sleep(5);
    });
  }
}

interface Told {
  readonly reason: RefusalReason;
  readonly remoteAddr: Deno.NetAddr;
}

/** A listener that keeps what it accepts, and writes down whom it turned away. */
class Server implements Disposable {
  readonly conns: Deno.TcpConn[] = [];
  readonly told: Told[] = [];
  readonly listener: TcpListener;

  constructor(limits: TcpLimits, options: Partial<ListenTcpOptions> = {}) {
    this.listener = listenTcp({
      ...here,
      ...options,
      limits: { onRefuse: (reason, remoteAddr) => void this.told.push({ reason, remoteAddr }), ...limits },
    });
    // Ends when the listener is closed.
    void this.#serve();
  }

  async #serve(): Promise<void> {
    for await (const conn of this.listener) this.conns.push(conn);
  }

  connect(from = "127.0.0.1"): Promise<Deno.TcpConn> {
    const { hostname, port } = this.listener.addr;
    return connectTcp({
      hostname: hostname === "::" && from.includes(".") ? "127.0.0.1" : hostname === "::" ? "::1" : hostname,
      port,
      ...(from !== "127.0.0.1" && { localAddr: { hostname: from } }),
    });
  }

  /** Connects and waits until it was let in. */
  async enter(from?: string): Promise<[client: Deno.TcpConn, served: Deno.TcpConn]> {
    const before = this.conns.length;
    const client = await this.connect(from);
    await until(() => this.conns.length > before);
    return [client, this.conns[before]!];
  }

  /** Connects and waits until it was turned away, as the client sees it. */
  async knock(from?: string): Promise<unknown> {
    const before = this.told.length;
    // The reset may be there before the connect has ended.
    const client = await outcome(this.connect(from));
    const seen = client instanceof Error ? client : await outcome((client as Deno.TcpConn).read(new Uint8Array(1)));
    if (!(client instanceof Error)) (client as Deno.TcpConn).close();
    await until(() => this.told.length > before);
    return seen;
  }

  get refused(): Partial<Record<RefusalReason, number>> {
    return Object.fromEntries(Object.entries(this.listener.refused).filter(([, count]) => count > 0));
  }

  [Symbol.dispose](): void {
    this.listener[Symbol.dispose]();
    for (const conn of this.conns) conn[Symbol.dispose]();
  }
}

each("maxConnections lets in so many, and the next when one has gone", async (options) => {
  using server = new Server({ maxConnections: 2 }, options);
  const [one, first] = await server.enter();
  const [two] = await server.enter();
  assertEquals(server.listener.connections, 2);
  assertInstanceOf(await server.knock(), Deno.errors.ConnectionReset);
  assertEquals([server.refused, server.listener.connections], [{ maxConnections: 1 }, 2]);
  first.close();
  assertEquals(server.listener.connections, 1);
  const [three, third] = await server.enter();
  await third.write(bytes("in"));
  assertEquals(await three.read(new Uint8Array(4)), 2);
  assertEquals(server.told.map(({ reason, remoteAddr }) => [reason, remoteAddr.hostname]), [[
    "maxConnections",
    "127.0.0.1",
  ]]);
  for (const client of [one, two, three]) client.close();
});

each("maxConnectionsPerAddress counts each address by itself", async (options) => {
  using server = new Server({ maxConnectionsPerAddress: 1 }, options);
  const [one] = await server.enter();
  assertInstanceOf(await server.knock(), Deno.errors.ConnectionReset);
  const [other] = await server.enter("127.0.0.2");
  assertInstanceOf(await server.knock("127.0.0.2"), Deno.errors.ConnectionReset);
  assertEquals([server.refused, server.listener.connections], [{ maxConnectionsPerAddress: 2 }, 2]);
  server.conns[1]!.close();
  const [again] = await server.enter("127.0.0.2");
  for (const client of [one, other, again]) client.close();
});

each("acceptRate lets in so many within a second", async (options) => {
  using server = new Server({ acceptRate: 3 }, options);
  const start = performance.now();
  const clients = [];
  for (let i = 0; i < 3; i++) clients.push((await server.enter())[0]);
  assertInstanceOf(await server.knock(), Deno.errors.ConnectionReset);
  assertInstanceOf(await server.knock(), Deno.errors.ConnectionReset);
  assert(performance.now() - start < 1000, "the machine was too slow for this test");
  assertEquals(server.refused, { acceptRate: 2 });
  await sleep(1010 - (performance.now() - start));
  clients.push((await server.enter())[0]);
  for (const client of clients) client.close();
});

each("lists keep out and let in, the block list wins", async (options) => {
  using server = new Server(
    { allowList: ["127.0.0.0/29", "127.9.0.0/16"], blockList: ["127.0.0.4", "127.9.9.0/24"] },
    options,
  );
  const entered = ["127.0.0.1", "127.0.0.7", "127.9.8.7"];
  for (const from of entered) (await server.enter(from))[0].close();
  const kept = ["127.0.0.8", "127.0.0.4", "127.9.9.1", "127.10.0.1"];
  for (const from of kept) assertInstanceOf(await server.knock(from), Deno.errors.ConnectionReset);
  assertEquals(server.refused, { blocked: kept.length });
  assertEquals(server.told.map(({ remoteAddr }) => remoteAddr.hostname), kept);
});

each("IPv4 in IPv6's clothes counts as IPv4", async (options) => {
  using server = new Server({ maxConnectionsPerAddress: 1, blockList: ["127.0.0.3/32", "::ffff:127.0.1.0/120"] }, {
    ...options,
    hostname: "::",
  });
  const [one, served] = await server.enter();
  assertEquals(served.remoteAddr.hostname, "::ffff:127.0.0.1");
  assertInstanceOf(await server.knock(), Deno.errors.ConnectionReset);
  assertInstanceOf(await server.knock("127.0.0.3"), Deno.errors.ConnectionReset);
  assertInstanceOf(await server.knock("127.0.1.9"), Deno.errors.ConnectionReset);
  assertEquals(server.refused, { maxConnectionsPerAddress: 1, blocked: 2 });
  one.close();
});

each("a whole family can be kept out, and is not the other", async (options) => {
  using server = new Server({ blockList: ["::/0"] }, { ...options, hostname: "::" });
  const [four] = await server.enter();
  four.close();
  assertInstanceOf(await server.knock("::1"), Deno.errors.ConnectionReset);
});

each("refuseBy close ends in an orderly way", async (options) => {
  using server = new Server({ maxConnections: 1, refuseBy: "close" }, options);
  const [one] = await server.enter();
  assertStrictEquals(await server.knock(), null);
  one.close();
});

each("firstByteTimeout sends the silent away, not those who spoke once", async (options) => {
  using server = new Server({ firstByteTimeout: 400 }, options);
  const [silent, served] = await server.enter();
  const [spoke, heard] = await server.enter();
  const [unread] = await server.enter();
  const start = performance.now();
  const reading = outcome(served.read(new Uint8Array(8)));
  await spoke.write(bytes("x"));
  assertEquals(await heard.read(new Uint8Array(8)), 1);
  // Nobody reads this one: the kernel knows that it spoke.
  await unread.write(bytes("y"));
  assertInstanceOf(await assertWithin(900, outcome(silent.read(new Uint8Array(1)))), Deno.errors.ConnectionReset);
  assert(performance.now() - start > 200);
  const error = await reading;
  assertInstanceOf(error, Deno.errors.TimedOut);
  assertMatch(error.message, /no byte within 400 ms \(firstByteTimeout\)/);
  await assertRejects(() => served.write(new Uint8Array(1)), Deno.errors.TimedOut);
  // What a handler does at last is no error.
  served.close();
  assertThrows(() => served.close(), Deno.errors.BadResource);
  await sleep(500);
  assertEquals([server.refused, server.listener.connections], [{ firstByteTimeout: 1 }, 2]);
  assertEquals(await server.conns[2]!.read(new Uint8Array(8)), 1);
  for (const client of [silent, spoke, unread]) client.close();
});

each("idleTimeout sends away where no byte goes either way", async (options) => {
  using server = new Server({ idleTimeout: 400 }, options);
  const [quiet] = await server.enter();
  const [talker, listened] = await server.enter();
  const [listener, talked] = await server.enter();
  const [unread] = await server.enter();
  const ended = outcome(quiet.read(new Uint8Array(1)));
  for (let i = 0; i < 12; i++) {
    await sleep(50);
    await talker.write(bytes("x"));
    await listened.read(new Uint8Array(8));
    await talked.write(bytes("y"));
    await unread.write(bytes("z"));
  }
  assertInstanceOf(await ended, Deno.errors.ConnectionReset);
  assertEquals([server.refused, server.listener.connections], [{ idleTimeout: 1 }, 3]);
  await until(() => server.listener.connections === 0);
  assertEquals(server.refused, { idleTimeout: 4 });
  for (const client of [quiet, talker, listener, unread]) client.close();
});

each("connections is exact however they end", async (options) => {
  using server = new Server({ maxConnections: 100 }, options);
  const { listener } = server;
  const ways: Record<string, (client: Deno.TcpConn, served: Deno.TcpConn) => unknown> = {
    "close()": (_, served) => served.close(),
    "dispose": (_, served) => served[Symbol.dispose](),
    "a reset of ours": (_, served) => resetTcp(served),
    "a reset that a read meets": async (client, served) => {
      const reading = outcome(served.read(new Uint8Array(1)));
      resetTcp(client);
      assertInstanceOf(await reading, Deno.errors.ConnectionReset);
      assertEquals(listener.connections, 1, "it is open until it is closed");
      served.close();
    },
    "a reset that a readable meets": async (client, served) => {
      const reading = outcome(new Response(served.readable).text());
      resetTcp(client);
      assertInstanceOf(await reading, Error);
    },
    "the end that a readable meets": async (client, served) => {
      client.close();
      assertEquals(await new Response(served.readable).text(), "");
    },
    "the end of both streams": async (client, served) => {
      const answered = served.readable.pipeTo(served.writable);
      await client.write(bytes("echo"));
      await client.closeWrite();
      assertEquals(await new Response(client.readable).text(), "echo");
      await answered;
    },
    "a writable that fails": async (client, served) => {
      resetTcp(client);
      const writer = served.writable.getWriter();
      await assertRejects(async () => {
        for (let i = 0; i < 50; i++) {
          await writer.write(new Uint8Array(1000));
          await sleep(2);
        }
      });
    },
    "a readable that is cancelled": (_, served) => served.readable.cancel(),
  };
  for (const [way, end] of Object.entries(ways)) {
    const [client, served] = await server.enter();
    assertEquals(listener.connections, 1, way);
    await end(client, served);
    await until(() => listener.connections === 0);
    try {
      client.close();
    } catch {
      // It ended by its own stream.
    }
  }
  assertEquals(listener.connections, 0);
  assertEquals(server.refused, {});
});

each("connections outlive their listener, and are counted on", async (options) => {
  using server = new Server({ maxConnections: 5 }, options);
  const [client, served] = await server.enter();
  server.listener.close();
  await client.write(bytes("still"));
  assertEquals(await served.read(new Uint8Array(8)), 5);
  assertEquals(server.listener.connections, 1);
  served.close();
  assertEquals(server.listener.connections, 0);
  client.close();
});

each("what is let in carries the options of the listener and all of its own calls", async (options) => {
  using server = new Server({ maxConnections: 5 }, { ...options, noDelay: true, keepAlive: { idle: 12_000 } });
  const [client, served] = await server.enter();
  assertEquals([TCP_NODELAY.get(served), TCP_KEEPIDLE.get(served)], [true, 12]);
  served.setNoDelay(false);
  assertEquals(TCP_NODELAY.get(served), false);
  assertEquals([served.remoteAddr, served.localAddr], [client.localAddr, client.remoteAddr]);
  await client.write(bytes("half"));
  await client.closeWrite();
  const room = new Uint8Array(8);
  assertEquals([await served.read(room), await served.read(room)], [4, null]);
  await served.write(bytes("answer"));
  await served.closeWrite();
  assertEquals(await new Response(client.readable).text(), "answer");
});

test("a megabyte goes through a connection with limits, whole", FFI, async () => {
  using server = new Server({ idleTimeout: 5_000, firstByteTimeout: 1_000 });
  const [client, served] = await server.enter();
  const echoing = served.readable.pipeTo(served.writable);
  const data = Uint8Array.from({ length: 1 << 20 }, (_, i) => i * 7 + (i >> 8));
  const got = new Response(client.readable).bytes();
  const writer = client.writable.getWriter();
  await writer.write(data);
  await client.closeWrite();
  assertEquals(await got, data);
  await echoing;
  assertEquals(server.listener.connections, 0);
});

test("Deno.startTls() of a connection with limits is refused", { ffi: true }, async () => {
  using server = new Server({});
  const [client, served] = await server.enter();
  await assertRejects(() => Deno.startTls(served), TypeError, "Cannot start TLS on a connection with limits");
  client.close();
});

test(
  "node:tls speaks TLS over a connection with limits, which counts and ends it",
  { ffi: true, read: true },
  async () => {
    const { cert, key } = await certificate();
    using server = new Server({ idleTimeout: 1_000 });
    const { port } = server.listener.addr;
    const connecting = Deno.connectTls({ hostname: "localhost", port, caCerts: [cert] });
    await until(() => server.conns.length > 0);
    const duplex = Duplex.fromWeb(server.conns[0]!);
    const ended = new Promise<Error>((resolve) => duplex.on("error", resolve));
    const secure = new TLSSocket(duplex, { isServer: true, cert, key });
    secure.on("data", (data) => secure.write(data));
    using client = await connecting;
    await client.write(bytes("over TLS"));
    const echo = new Uint8Array(64);
    assertEquals(text(echo.subarray(0, await client.read(echo) ?? 0)), "over TLS");
    assertEquals(server.listener.connections, 1);
    // It is silent from here on, and its limit reaches through.
    await assertRejects(() => client.read(echo), Deno.errors.ConnectionReset);
    assertMatch((await ended).message, /^The connection was turned away: .*idleTimeout/);
    assertEquals([server.listener.connections, server.listener.refused.idleTimeout], [0, 1]);
  },
);

test("what onRefuse throws is reported, and the listener goes on", { ffi: true }, async () => {
  const boom = new Error("boom");
  const reported: unknown[] = [];
  const report = (event: ErrorEvent) => {
    event.preventDefault();
    reported.push(event.error);
  };
  globalThis.addEventListener("error", report);
  using server = new Server({
    maxConnections: 1,
    onRefuse() {
      throw boom;
    },
  });
  const [client, served] = await server.enter();
  using second = await server.connect();
  assertInstanceOf(await outcome(second.read(new Uint8Array(1))), Deno.errors.ConnectionReset);
  served.close();
  (await server.enter())[0].close();
  globalThis.removeEventListener("error", report);
  assertEquals(reported, [boom]);
  client.close();
});

test("limits that reset need FFI, those that close do not", OTHER_PROGRAM, async () => {
  const { code, output } = await runWith(
    ["--allow-net"],
    `try { tcp.listenTcp({ port: 0, limits: {} }); } catch (error) { say(error); }
     const listener = tcp.listenTcp({ hostname: "127.0.0.1", port: 0, limits: { maxConnections: 1, firstByteTimeout: 100, refuseBy: "close" } });
     const one = await Deno.connect({ port: listener.addr.port });
     const served = await listener.accept();
     const two = await Deno.connect({ port: listener.addr.port });
     listener.accept().catch(() => {});
     console.log(await two.read(new Uint8Array(1)), listener.connections, listener.refused.maxConnections);
     await served.read(new Uint8Array(1)).catch(say);
     console.log(await one.read(new Uint8Array(1)), listener.connections, listener.refused.firstByteTimeout);
     listener.close(); one.close(); two.close();`,
  );
  assertEquals(code, 0, output);
  const lines = output.split("\n");
  assertMatch(lines[0]!, /^NotCapable: Cannot listen on tcp 0\.0\.0\.0:0 with limits that reset: Requires ffi access/);
  assertEquals(lines[1], "null 1 1");
  assertMatch(lines[2]!, /^TimedOut: .*\(firstByteTimeout\)$/);
  assertEquals(lines[3], "null 0 1");
});

test("limits that close see what arrived unread where FFI is granted, though nothing has used it yet", {
  ...OTHER_PROGRAM,
  ffi: true,
}, async () => {
  const program = `
    const limits = { firstByteTimeout: 100, refuseBy: "close" };
    const listener = tcp.listenTcp({ hostname: "127.0.0.1", port: 0, limits });
    const client = await Deno.connect({ port: listener.addr.port });
    const served = await listener.accept();
    await client.write(new Uint8Array(3));
    // Longer than the limit: it is looked at meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 300));
    console.log(await served.read(new Uint8Array(8)).catch((error) => error.name), listener.refused.firstByteTimeout);
    served.close(); client.close(); listener.close();`;
  assertEquals((await runWith(["--allow-net", "--allow-ffi"], program)).output, "3 0");
  assertEquals((await runWith(["--allow-net"], program)).output, "TimedOut 1");
});

test("connections that a program forgot are closed and counted off when V8 collects them", {
  ...OTHER_PROGRAM,
  ffi: true,
}, async () => {
  const { code, output } = await runWith(
    ["--allow-net", "--allow-ffi", "--v8-flags=--expose-gc"],
    `const listener = tcp.listenTcp({ hostname: "127.0.0.1", port: 0, limits: { maxConnections: 50, maxConnectionsPerAddress: 50, idleTimeout: 60_000 } });
     const clients = [];
     let reading;
     await (async () => {
       for (let i = 0; i < 50; i++) {
         clients.push(await Deno.connect({ port: listener.addr.port }));
         const served = await listener.accept();
         // One that waits is not forgotten.
         if (i === 0) reading = served.read(new Uint8Array(1));
       }
     })();
     console.log(listener.connections);
     for (let i = 0; i < 100 && listener.connections > 1; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 10)); }
     console.log(listener.connections, await clients[7].read(new Uint8Array(1)));
     await clients[0].write(new Uint8Array(1));
     console.log(await reading);
     Deno.exit(0);`,
  );
  assertEquals([code, output], [0, "50\n1 null\n1"]);
});

Deno.test("listenTcp() checks limits before it listens", () => {
  const at = "Cannot listen on tcp 127.0.0.1:0: limits";
  const bad: [limits: unknown, error: ErrorConstructor, message: string][] = [
    [null, TypeError, " is null, it must be an object of limits"],
    [5, TypeError, " is 5"],
    [{ maxConnections: 0 }, RangeError, ".maxConnections is 0, it must be a whole number from 1 to 2147483647"],
    [{ maxConnections: -1 }, RangeError, ".maxConnections is -1"],
    [{ maxConnections: 1.5 }, RangeError, ".maxConnections is 1.5"],
    [{ maxConnections: "9" }, TypeError, '.maxConnections is "9"'],
    [{ maxConnectionsPerAddress: 0 }, RangeError, ".maxConnectionsPerAddress is 0"],
    [{ acceptRate: 0 }, RangeError, ".acceptRate is 0, it must be a whole number from 1 to 1000000"],
    [{ acceptRate: NaN }, RangeError, ".acceptRate is NaN"],
    [{ firstByteTimeout: 0 }, RangeError, ".firstByteTimeout is 0"],
    [{ idleTimeout: -5 }, RangeError, ".idleTimeout is -5"],
    [{ idleTimeout: Infinity }, RangeError, ".idleTimeout is Infinity"],
    [{ maxConnection: 5 }, TypeError, ".maxConnection is no limit, it must be one of maxConnections, "],
    [
      { maxConnections: 2, maxConnectionsPerAddress: 3 },
      RangeError,
      ".maxConnectionsPerAddress is 3, it must not be above limits.maxConnections, which is 2",
    ],
    [{ firstByteTimeout: 20, idleTimeout: 10 }, RangeError, ".firstByteTimeout is 20, it must not be above"],
    [{ refuseBy: "drop" }, TypeError, '.refuseBy is "drop", it must be "reset" or "close"'],
    [{ onRefuse: "log" }, TypeError, '.onRefuse is "log", it must be a function'],
    [{ blockList: "10.0.0.0/8" }, TypeError, '.blockList is "10.0.0.0/8", it must be an array of CIDR ranges'],
    [{ blockList: [8] }, TypeError, ".blockList[0] is 8, it must be an address or a CIDR range"],
    [{ blockList: ["10.0.0.0/33"] }, SyntaxError, '.blockList[0] is "10.0.0.0/33", it must be an address or'],
    [{ blockList: ["10.0.0/8"] }, SyntaxError, '.blockList[0] is "10.0.0/8"'],
    [{ blockList: ["10.0.0.0/"] }, SyntaxError, '.blockList[0] is "10.0.0.0/"'],
    [{ blockList: ["10.0.0.0/8/8"] }, SyntaxError, '.blockList[0] is "10.0.0.0/8/8"'],
    [{ allowList: ["::1", "fe80::1%1"] }, SyntaxError, '.allowList[1] is "fe80::1%1"'],
    [{ allowList: ["example.com"] }, SyntaxError, '.allowList[0] is "example.com"'],
    [{ allowList: [] }, RangeError, ".allowList is empty, it must let in somebody"],
  ];
  for (const [limits, error, message] of bad) {
    const thrown = assertThrows(() => listenTcp({ ...here, limits: limits as TcpLimits }), Error, at + message);
    assertStrictEquals(thrown.constructor, error, message);
  }
});
