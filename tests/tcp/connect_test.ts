// connectTcp: connections, their options as the kernel has them, and everything that can go wrong.
// Accepted connections: listen_test.ts. Sockets that exist already: tune_test.ts.
import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  defineOption,
  IP_PMTUDISC_DO,
  IP_TOS,
  IP_TTL,
  IPV6_MTU_DISCOVER,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  type Linger,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_RCVBUF,
  SO_SNDBUF,
  TCP_CONGESTION,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_NOTSENT_LOWAT,
  TCP_USER_TIMEOUT,
} from "../../options/mod.ts";
import { connectTcp, type ConnectTcpOptions } from "../../tcp/mod.ts";
import { test } from "../needs.ts";
import { assertWithin } from "../time.ts";
import { OTHER_PROGRAM, runWith } from "./other_program.ts";
import { OUTSIDE, seenFromOutside } from "./outside.ts";

function listen(hostname = "127.0.0.1"): Deno.TcpListener {
  return Deno.listen({ hostname, port: 0 });
}

/** A port where nothing listens. */
function closedPort(hostname = "127.0.0.1"): number {
  using listener = listen(hostname);
  return listener.addr.port;
}

/** A listener that takes no more connections: the kernel drops the next attempt and the client tries again and again. */
async function fullListener(): Promise<Disposable & { port: number }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const waiting: Deno.Conn[] = [];
  for (let i = 0; i < 2; i++) waiting.push(await Deno.connect({ port: listener.addr.port }));
  return {
    port: listener.addr.port,
    [Symbol.dispose]() {
      for (const conn of waiting) conn.close();
      listener.close();
    },
  };
}

Deno.test("connectTcp() gives a connection of Deno's that carries data both ways", async () => {
  using listener = listen();
  using conn = await connectTcp({ port: listener.addr.port });
  using served = await listener.accept();
  assertStrictEquals(Object.getPrototypeOf(conn), Object.getPrototypeOf(served));
  assertEquals(conn.remoteAddr, listener.addr);
  const writer = served.writable.getWriter();
  await writer.write(new TextEncoder().encode("hello"));
  writer.releaseLock();
  const buffer = new Uint8Array(8);
  assertEquals(await conn.read(buffer), 5);
  assertEquals(new TextDecoder().decode(buffer.subarray(0, 5)), "hello");
  await conn.write(buffer.subarray(0, 2));
  assertEquals(await served.read(buffer), 2);
});

Deno.test("connectTcp() connects over IPv6 and to a host name", async () => {
  using six = listen("::1");
  using overSix = await connectTcp({ hostname: "::1", port: six.addr.port });
  assertEquals(overSix.remoteAddr.hostname, "::1");
  using bracketed = await connectTcp({ hostname: "[::1]", port: six.addr.port });
  assertEquals(bracketed.remoteAddr.hostname, "::1");
  using four = listen();
  using byName = await connectTcp({ hostname: "localhost", port: four.addr.port });
  assertEquals(byName.remoteAddr.hostname, "127.0.0.1");
});

Deno.test("connectTcp() takes noDelay and keepAlive with --allow-net alone", async () => {
  using listener = listen();
  using conn = await connectTcp({ port: listener.addr.port, noDelay: true, keepAlive: true });
  assertEquals(conn.remoteAddr.port, listener.addr.port);
});

test("connectTcp() sets every field, as the kernel then has it", { ffi: true, linux: true }, async () => {
  using listener = listen();
  using conn = await connectTcp({
    port: listener.addr.port,
    noDelay: true,
    keepAlive: { idle: 30_000, interval: 10_000, count: 3 },
    linger: 2_000,
    userTimeout: 12_345,
    sendBufferSize: 65_536,
    receiveBufferSize: 131_072,
    dscp: 46,
    hopLimit: 33,
    options: [TCP_NOTSENT_LOWAT.to(16_384)],
  });
  assertEquals(TCP_NODELAY.get(conn), true);
  assertEquals(SO_KEEPALIVE.get(conn), true);
  assertEquals(TCP_KEEPIDLE.get(conn), 30);
  assertEquals(TCP_KEEPINTVL.get(conn), 10);
  assertEquals(TCP_KEEPCNT.get(conn), 3);
  assertEquals(SO_LINGER.get(conn), { enabled: true, seconds: 2 });
  assertEquals(TCP_USER_TIMEOUT.get(conn), 12_345);
  assertEquals(SO_SNDBUF.get(conn), 2 * 65_536);
  assertEquals(SO_RCVBUF.get(conn), 2 * 131_072);
  assertEquals(IP_TOS.get(conn) >> 2, 46);
  assertEquals(IP_TTL.get(conn), 33);
  assertEquals(TCP_NOTSENT_LOWAT.get(conn), 16_384);
});

test("connectTcp() sets options that another process then sees", OUTSIDE, async () => {
  using listener = listen();
  using conn = await connectTcp({
    port: listener.addr.port,
    noDelay: true,
    keepAlive: { idle: 31_000, interval: 7_000, count: 4 },
    linger: 3_000,
    receiveBufferSize: 100_000,
    dscp: 10,
  });
  const seen = await seenFromOutside(conn.localAddr, conn.remoteAddr);
  assertEquals(seen.TCP_NODELAY, 1);
  assertEquals(seen.SO_KEEPALIVE, 1);
  assertEquals([seen.TCP_KEEPIDLE, seen.TCP_KEEPINTVL, seen.TCP_KEEPCNT], [31, 7, 4]);
  assertEquals(seen.SO_LINGER, [1, 3]);
  assertEquals(seen.SO_RCVBUF, 200_000);
  assertEquals(seen.IP_TOS >> 2, 10);
});

test("connectTcp() leaves what is not asked for as the system has it", OUTSIDE, async () => {
  using listener = listen();
  using plain = await Deno.connect({ port: listener.addr.port });
  using conn = await connectTcp({ port: listener.addr.port, hopLimit: 9 });
  const before = await seenFromOutside(plain.localAddr, plain.remoteAddr);
  const after = await seenFromOutside(conn.localAddr, conn.remoteAddr);
  assertEquals({ ...after, IP_TTL: 0 }, { ...before, IP_TTL: 0 });
  assertEquals(after.IP_TTL, 9);
});

test("connectTcp() sets dscp and hopLimit by the family of the connection", { ffi: true }, async () => {
  using six = listen("::1");
  using native = await connectTcp({ hostname: "::1", port: six.addr.port, dscp: 20, hopLimit: 7 });
  assertEquals(IPV6_TCLASS.get(native) >> 2, 20);
  assertEquals(IPV6_UNICAST_HOPS.get(native), 7);
  using both = listen("::");
  using mapped = await connectTcp({ hostname: "::ffff:127.0.0.1", port: both.addr.port, dscp: 21, hopLimit: 8 });
  assertEquals(IP_TOS.get(mapped) >> 2, 21);
  assertEquals(IP_TTL.get(mapped), 8);
});

test("connectTcp() rounds milliseconds up to the kernel's seconds, never to zero", { ffi: true }, async () => {
  using listener = listen();
  const port = listener.addr.port;
  using one = await connectTcp({ port, keepAlive: { idle: 1, interval: 1_001 }, linger: 1 });
  assertEquals(TCP_KEEPIDLE.get(one), 1);
  assertEquals(TCP_KEEPINTVL.get(one), 2);
  assertEquals(SO_LINGER.get(one), { enabled: true, seconds: 1 });
  using reset = await connectTcp({ port, linger: 0 });
  assertEquals(SO_LINGER.get(reset), { enabled: true, seconds: 0 });
  using off = await connectTcp({ port, linger: false, keepAlive: false });
  assertEquals<Linger["enabled"]>(SO_LINGER.get(off).enabled, false);
  assertEquals(SO_KEEPALIVE.get(off), false);
  using most = await connectTcp({ port, keepAlive: { idle: 32_767_000, interval: 32_767_000, count: 127 } });
  assertEquals([TCP_KEEPIDLE.get(most), TCP_KEEPINTVL.get(most), TCP_KEEPCNT.get(most)], [32_767, 32_767, 127]);
});

test("connectTcp() with linger 0 resets the peer when closed", { ffi: true }, async () => {
  using listener = listen();
  const conn = await connectTcp({ port: listener.addr.port, linger: 0 });
  using served = await listener.accept();
  conn.close();
  // Deno shuts the sending half down first, so the end of the stream is read; an orderly close would let this write pass.
  assertEquals(await served.read(new Uint8Array(1)), null);
  await assertRejects(() => served.write(new Uint8Array(1)), Deno.errors.BrokenPipe);
});

test("connectTcp() takes keepAlive: true beside a time by C name", { ffi: true }, async () => {
  using listener = listen();
  using conn = await connectTcp({ port: listener.addr.port, keepAlive: true, options: [TCP_KEEPIDLE.to(44)] });
  assertEquals([SO_KEEPALIVE.get(conn), TCP_KEEPIDLE.get(conn)], [true, 44]);
});

test("connectTcp() serves many at once, each with its own options", { ffi: true }, async () => {
  using listener = listen();
  const conns = await Promise.all(
    Array.from({ length: 50 }, (_, i) => connectTcp({ port: listener.addr.port, hopLimit: i + 1 })),
  );
  assertEquals(conns.map((conn) => IP_TTL.get(conn)), conns.map((_, i) => i + 1));
  for (const conn of conns) conn.close();
});

test("connectTcp() closes the connection when an option fails, and names it", { ffi: true }, async () => {
  using listener = listen();
  const error = await assertRejects(
    () => connectTcp({ port: listener.addr.port, noDelay: true, options: [TCP_CONGESTION.to("no_such")] }),
    Error,
    "TCP_CONGESTION",
  );
  assertEquals((error as { code?: unknown }).code, "ENOENT");
  using served = await listener.accept();
  assertEquals(await served.read(new Uint8Array(1)), null);
});

test("connectTcp() refuses an option of the other family and closes", { ffi: true, linux: true }, async () => {
  using listener = listen();
  await assertRejects(
    () => connectTcp({ port: listener.addr.port, options: [IPV6_MTU_DISCOVER.to(IP_PMTUDISC_DO)] }),
    Deno.errors.NotSupported,
    "IPV6_MTU_DISCOVER",
  );
  using served = await listener.accept();
  assertEquals(await served.read(new Uint8Array(1)), null);
});

test("connectTcp() takes options that the library does not list", { ffi: true, linux: true }, async () => {
  const mine = defineOption({
    name: "MY_LINGER2",
    codes: { linux: { level: 6, name: 8 } },
    codec: "int",
    access: "both",
  });
  using listener = listen();
  using conn = await connectTcp({ port: listener.addr.port, options: [mine.to(7)] });
  assertEquals(mine.get(conn), 7);
});

Deno.test("connectTcp() keeps Deno's class of a refusal and tells code, errno, syscall and address", async () => {
  for (const [hostname, place] of [["127.0.0.1", "127.0.0.1"], ["::1", "[::1]"], ["localhost", "localhost"]] as const) {
    const port = closedPort();
    const error = await assertRejects(() => connectTcp({ hostname, port }), Deno.errors.ConnectionRefused);
    assertStringIncludes(error.message, `Cannot connect to tcp ${place}:${port}: ECONNREFUSED (`);
    const { code, errno, syscall } = error as Error & Record<string, unknown>;
    assertEquals([code, syscall], ["ECONNREFUSED", "connect"]);
    if (Deno.build.os === "linux") assertEquals(errno, 111);
    assertInstanceOf(error.cause, Deno.errors.ConnectionRefused);
  }
});

Deno.test("connectTcp() says that a name cannot be looked up", async () => {
  const error = await assertRejects(() => connectTcp({ hostname: "no-such-host.invalid", port: 1 }), Error);
  assertMatch(error.message, /^Cannot connect to tcp no-such-host\.invalid:1: the name cannot be looked up \(.+\)$/);
  assertEquals((error as Error & { syscall?: string }).syscall, "getaddrinfo");
});

Deno.test("connectTcp() gives up after `timeout`, naming the milliseconds and the address", async () => {
  using full = await fullListener();
  const start = performance.now();
  const error = await assertRejects(
    () => assertWithin(900, connectTcp({ port: full.port, timeout: 60 })),
    Deno.errors.TimedOut,
  );
  assertEquals(error.message, `Cannot connect to tcp 127.0.0.1:${full.port}: no connection within 60 ms`);
  const waited = performance.now() - start;
  assert(waited >= 55, `waited ${waited} ms`);
});

Deno.test("connectTcp() forgets its timer when it connected or failed", async () => {
  using listener = listen();
  // A timer that stays would keep the program alive for hours, and the sanitizers would find it.
  using _conn = await connectTcp({ port: listener.addr.port, timeout: 10_000_000 });
  await assertRejects(
    () => connectTcp({ port: closedPort(), timeout: 10_000_000 }),
    Deno.errors.ConnectionRefused,
  );
});

Deno.test("connectTcp() ends with the reason of its signal, with and without a timeout", async () => {
  using full = await fullListener();
  for (const timeout of [{}, { timeout: 10_000 }]) {
    const reason = new Error("changed my mind");
    const stop = new AbortController();
    const attempt = connectTcp({ port: full.port, signal: stop.signal, ...timeout });
    setTimeout(() => stop.abort(reason), 20);
    assertStrictEquals(await attempt.catch((error) => error), reason);
    assertStrictEquals(
      await connectTcp({ port: full.port, signal: stop.signal, ...timeout }).catch((error) => error),
      reason,
      "an aborted signal ends it at once",
    );
  }
});

Deno.test("connectTcp() gives the signal's reason even when it looks like an error of the system", async () => {
  const reason = Object.assign(new Deno.errors.ConnectionReset("mine (os error 104)"), { code: "ECONNRESET" });
  using full = await fullListener();
  const stop = new AbortController();
  const attempt = connectTcp({ port: full.port, signal: stop.signal });
  stop.abort(reason);
  assertStrictEquals(await attempt.catch((error) => error), reason);
});

Deno.test("connectTcp() does nothing more with the signal once connected", async () => {
  using listener = listen();
  const stop = new AbortController();
  let listening = 0;
  const { signal } = stop;
  const [add, remove] = [signal.addEventListener, signal.removeEventListener];
  signal.addEventListener = function (...given: Parameters<typeof add>) {
    listening++;
    add.apply(signal, given);
  };
  signal.removeEventListener = function (...given: Parameters<typeof remove>) {
    listening--;
    remove.apply(signal, given);
  };
  using conn = await connectTcp({ port: listener.addr.port, signal, timeout: 5_000 });
  assertEquals(listening, 0);
  stop.abort();
  using served = await listener.accept();
  assertEquals(await conn.write(new Uint8Array(3)), 3);
  assertEquals(await served.read(new Uint8Array(8)), 3);
});

Deno.test("connectTcp() checks every argument before it connects", async () => {
  using listener = listen();
  const port = listener.addr.port;
  const to = `Cannot connect to tcp 127.0.0.1:${port}: `;
  const bad: [given: unknown, error: ErrorConstructor, message: string][] = [
    [undefined, TypeError, "Cannot connect over TCP: the argument is undefined, it must be an object with a port"],
    [null, TypeError, "Cannot connect over TCP: the argument is null"],
    [{}, TypeError, "Cannot connect over TCP: the port is undefined, it must be a whole number from 1 to 65535"],
    [{ port: "80" }, TypeError, 'the port is "80"'],
    [
      { port: 65536 },
      RangeError,
      "Cannot connect over TCP: the port is 65536, it must be a whole number from 1 to 65535",
    ],
    [{ port: 0 }, RangeError, "the port is 0"],
    [{ port: -1 }, RangeError, "the port is -1"],
    [{ port: 1.5 }, RangeError, "the port is 1.5"],
    [{ port: NaN }, RangeError, "the port is NaN"],
    [{ port, hostname: "" }, TypeError, 'Cannot connect over TCP: hostname is "", it must be a name or an address'],
    [{ port, hostname: 127 }, TypeError, "hostname is 127"],
    [{ port, signal: {} }, TypeError, to + "signal is an object (Object), it must be an AbortSignal"],
    [{ port, timeout: 0 }, RangeError, to + "timeout is 0, it must be a whole number from 1 to 2147483647"],
    [{ port, timeout: NaN }, RangeError, "timeout is NaN"],
    [{ port, timeout: -5 }, RangeError, "timeout is -5"],
    [{ port, timeout: 2 ** 31 }, RangeError, "timeout is 2147483648"],
    [{ port, timeout: "1s" }, TypeError, 'timeout is "1s"'],
    [{ port, noDelay: 1 }, TypeError, to + "noDelay is 1, it must be true or false"],
    [{ port, keepAlive: "yes" }, TypeError, to + 'keepAlive is "yes", it must be true, false or an object'],
    [{ port, keepAlive: null }, TypeError, "keepAlive is null"],
    [
      { port, keepAlive: { idle: 0 } },
      RangeError,
      to + "keepAlive.idle is 0, it must be a whole number from 1 to 32767000",
    ],
    [{ port, keepAlive: { idle: NaN } }, RangeError, "keepAlive.idle is NaN"],
    [{ port, keepAlive: { idle: 0.5 } }, RangeError, "keepAlive.idle is 0.5"],
    [{ port, keepAlive: { idle: 32_767_001 } }, RangeError, "keepAlive.idle is 32767001"],
    [{ port, keepAlive: { interval: -1 } }, RangeError, "keepAlive.interval is -1"],
    [{ port, keepAlive: { interval: "5s" } }, TypeError, 'keepAlive.interval is "5s"'],
    [
      { port, keepAlive: { count: 128 } },
      RangeError,
      "keepAlive.count is 128, it must be a whole number from 1 to 127",
    ],
    [{ port, keepAlive: { count: 0 } }, RangeError, "keepAlive.count is 0"],
    [{ port, linger: true }, TypeError, to + "linger is true, it must be a number of milliseconds or false"],
    [{ port, linger: -1 }, RangeError, "linger is -1, it must be a whole number from 0 to 65535000"],
    [{ port, linger: NaN }, RangeError, "linger is NaN"],
    [{ port, linger: 2.5 }, RangeError, "linger is 2.5"],
    [{ port, userTimeout: -1 }, RangeError, to + "userTimeout is -1, it must be a whole number from 0 to 2147483647"],
    [{ port, userTimeout: 2 ** 31 }, RangeError, "userTimeout is 2147483648"],
    [{ port, sendBufferSize: 0 }, RangeError, to + "sendBufferSize is 0"],
    [{ port, sendBufferSize: 2 ** 32 + 5 }, RangeError, "sendBufferSize is 4294967301"],
    [{ port, receiveBufferSize: NaN }, RangeError, "receiveBufferSize is NaN"],
    [{ port, receiveBufferSize: 10n }, TypeError, "receiveBufferSize is 10n"],
    [{ port, dscp: 64 }, RangeError, to + "dscp is 64, it must be a whole number from 0 to 63"],
    [{ port, dscp: -1 }, RangeError, "dscp is -1"],
    [{ port, dscp: 1.5 }, RangeError, "dscp is 1.5"],
    [{ port, hopLimit: 0 }, RangeError, to + "hopLimit is 0, it must be a whole number from 1 to 255"],
    [{ port, hopLimit: 256 }, RangeError, "hopLimit is 256"],
    [
      { port, options: TCP_NODELAY.to(true) },
      TypeError,
      to + "options is an object (Object), it must be an array of options",
    ],
    [
      { port, options: [TCP_NODELAY] },
      TypeError,
      "options[0] is an object (Option), it must be an option with a value, made by to()",
    ],
    [{ port, options: [TCP_NODELAY.to(true), undefined] }, TypeError, "options[1] is undefined"],
    [
      { port, noDelay: true, options: [TCP_NODELAY.to(true)] },
      TypeError,
      to + "noDelay and TCP_NODELAY in options set the same, only one may be given",
    ],
    [
      { port, keepAlive: { idle: 5 }, options: [TCP_KEEPIDLE.to(5)] },
      TypeError,
      "keepAlive and TCP_KEEPIDLE in options",
    ],
    [{ port, keepAlive: {}, options: [SO_KEEPALIVE.to(true)] }, TypeError, "keepAlive and SO_KEEPALIVE in options"],
    [
      { port, linger: 0, options: [SO_LINGER.to({ enabled: true, seconds: 1 })] },
      TypeError,
      "linger and SO_LINGER in options",
    ],
    [
      { port, userTimeout: 1, options: [TCP_USER_TIMEOUT.to(1)] },
      TypeError,
      "userTimeout and TCP_USER_TIMEOUT in options",
    ],
    [{ port, sendBufferSize: 1, options: [SO_SNDBUF.to(1)] }, TypeError, "sendBufferSize and SO_SNDBUF in options"],
    [
      { port, receiveBufferSize: 1, options: [SO_RCVBUF.to(1)] },
      TypeError,
      "receiveBufferSize and SO_RCVBUF in options",
    ],
    [{ port, dscp: 1, options: [IP_TOS.to(4)] }, TypeError, "dscp and IP_TOS in options"],
    [{ port, dscp: 1, options: [IPV6_TCLASS.to(4)] }, TypeError, "dscp and IPV6_TCLASS in options"],
    [{ port, hopLimit: 1, options: [IP_TTL.to(4)] }, TypeError, "hopLimit and IP_TTL in options"],
    [
      { port, options: [TCP_NODELAY.to(true), TCP_NODELAY.to(false)] },
      TypeError,
      to + "options has TCP_NODELAY twice, it must be there once",
    ],
  ];
  for (const [given, error, message] of bad) {
    const thrown = await assertRejects(() => connectTcp(given as ConnectTcpOptions), Error, message);
    assertStrictEquals(thrown.constructor, error, message);
  }
  // Nothing has knocked: the first to come is this one.
  using mine = await Deno.connect({ port });
  using served = await listener.accept();
  assertEquals(served.remoteAddr, mine.localAddr);
});

Deno.test("connectTcp() ignores fields that it does not know, as Deno does", async () => {
  using listener = listen();
  const options = { port: listener.addr.port, nodelay: "typo", options: [] };
  using conn = await connectTcp(options);
  assertEquals(conn.remoteAddr.port, listener.addr.port);
});

test(
  "connectTcp() without --allow-ffi sets the switches and refuses the rest before it connects",
  OTHER_PROGRAM,
  async () => {
    using listener = listen();
    const port = listener.addr.port;
    const { code, output } = await runWith(
      ["--allow-net"],
      `const conn = await tcp.connectTcp({ port: ${port}, noDelay: true, keepAlive: false });
     conn.close();
     await tcp.connectTcp({ port: ${port}, noDelay: true, dscp: 4 }).catch(say);
     await tcp.connectTcp({ port: ${port}, keepAlive: { idle: 1 } }).catch(say);
     await tcp.connectTcp({ port: ${port}, options: [options.TCP_NODELAY.to(true)] }).catch(say);`,
    );
    assertEquals(code, 0, output);
    const lines = output.split("\n");
    const to = `NotCapable: Cannot connect to tcp 127.0.0.1:${port} with`;
    assertEquals(lines.length, 3, output);
    assertStringIncludes(lines[0]!, `${to} dscp: Requires ffi access`);
    assertStringIncludes(lines[0]!, "run again with the --allow-ffi flag");
    assertStringIncludes(lines[1]!, `${to} keepAlive: Requires ffi access`);
    assertStringIncludes(lines[2]!, `${to} TCP_NODELAY: Requires ffi access`);
    // The refused ones never knocked: after the first comes this one.
    (await listener.accept()).close();
    using mine = await Deno.connect({ port });
    using served = await listener.accept();
    assertEquals(served.remoteAddr, mine.localAddr);
  },
);

test("connectTcp() without --allow-net says what Deno says", OTHER_PROGRAM, async () => {
  const { code, output } = await runWith(
    ["--allow-net=127.0.0.1:1"],
    `await tcp.connectTcp({ port: 2 }).catch(say);
     await tcp.connectTcp({ port: 1 }).catch(say);`,
  );
  assertEquals(code, 0, output);
  const [denied, refused] = output.split("\n");
  assertEquals(
    denied,
    'NotCapable: Requires net access to "127.0.0.1:2", run again with the --allow-net flag',
  );
  assertStringIncludes(refused!, "ConnectionRefused: Cannot connect to tcp 127.0.0.1:1: ECONNREFUSED");
  assertFalse(output.includes("ffi"));
});
