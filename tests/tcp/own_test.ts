// connectTcp and listenTcp where something must come before bind() or the handshake: what the kernel has, and what can go wrong.
// What only the wire shows (SYN, window scale, paths): ../lab/tcp_test.ts. Deno's way: connect_test.ts, listen_test.ts.
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Duplex } from "node:stream";
import tls from "node:tls";
import {
  defineOption,
  IP_BIND_ADDRESS_NO_PORT,
  IP_FREEBIND,
  IP_LOCAL_PORT_RANGE,
  IP_MINTTL,
  IP_MTU_DISCOVER,
  IP_TOS,
  IP_TRANSPARENT,
  IP_TTL,
  IPV6_MINHOPCOUNT,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
  type OptionSetting,
  SO_BINDTODEVICE,
  SO_MARK,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_TIMESTAMPING,
  type SystemError,
  TCP_CONGESTION,
  TCP_DEFER_ACCEPT,
  TCP_FASTOPEN,
  TCP_FASTOPEN_CONNECT,
  TCP_IS_MPTCP,
  TCP_KEEPIDLE,
  TCP_MAXSEG,
  TCP_NODELAY,
  TCP_QUICKACK,
  TCP_SYNCNT,
} from "../../options/mod.ts";
import { listSockets, resolveAddress, Socket } from "../../socket/mod.ts";
import { connectTcp, listenTcp, type ListenTcpOptions, resetTcp, tuneTcp, withTimeouts } from "../../tcp/mod.ts";
import { certificate } from "../certificate.ts";
import { type Needs, test } from "../needs.ts";
import { bytes, FFI, sleep, text } from "../socket/make.ts";
import { assertWithin } from "../time.ts";
import { OTHER_PROGRAM, runWith } from "./other_program.ts";

const ROOT: Needs = { ...FFI, root: true };
const here = { hostname: "127.0.0.1", port: 0 } as const;
/** SOF_TIMESTAMPING_OPT_ID and SOF_TIMESTAMPING_SOFTWARE. */
const OPT_ID = 0x80, SOFTWARE = 0x10;

/** Whether it is an object of Deno's, which Deno's own listener makes. */
function isDenos(conn: Deno.Conn): boolean {
  return Object.getOwnPropertySymbols(conn).some((one) => one.description === "Deno.internal.rid");
}

async function assertEcho(one: Deno.Conn, other: Deno.Conn): Promise<void> {
  const room = new Uint8Array(16);
  await one.write(bytes("there"));
  assertEquals([await other.read(room), text(room.subarray(0, 5))], [5, "there"]);
  await other.write(bytes("back"));
  assertEquals([await one.read(room), text(room.subarray(0, 4))], [4, "back"]);
}

function sockets(): number {
  return listSockets().length;
}

test("connectTcp() comes from the address and port that it is told to", FFI, async () => {
  using listener = Deno.listen(here);
  const port = (() => {
    using free = Deno.listen({ hostname: "127.0.0.3", port: 0 });
    return free.addr.port;
  })();
  using conn = await connectTcp({
    port: listener.addr.port,
    localAddr: { hostname: "127.0.0.3", port },
    noDelay: true,
  });
  using served = await listener.accept();
  assertEquals(served.remoteAddr, { transport: "tcp", hostname: "127.0.0.3", port });
  assertEquals([conn.localAddr, conn.remoteAddr], [served.remoteAddr, served.localAddr]);
  assertEquals([TCP_NODELAY.get(conn), tuneTcp(conn, {}).noDelay], [true, true]);
  await assertEcho(conn, served);
});

test("connectTcp() takes either part of a source address alone, and over IPv6", FFI, async () => {
  using four = Deno.listen(here);
  using byHost = await connectTcp({ port: four.addr.port, localAddr: { hostname: "127.0.0.5" } });
  assertEquals(byHost.localAddr.hostname, "127.0.0.5");
  using six = Deno.listen({ hostname: "::1", port: 0 });
  using overSix = await connectTcp({ hostname: "[::1]", port: six.addr.port, localAddr: { port: 0 } });
  assertEquals([overSix.localAddr.hostname, overSix.remoteAddr.port], ["::1", six.addr.port]);
});

test("connectTcp() takes a socket of ours for what is early alone", FFI, async () => {
  using listener = Deno.listen(here);
  const port = listener.addr.port;
  const own: object[] = [
    { localAddr: {} },
    { dscp: 46 },
    { hopLimit: 3 },
    { options: [IP_TTL.to(3)] },
    { receiveBufferSize: 65_536 },
    { multipath: true },
    { options: [TCP_MAXSEG.to(1000)] },
  ];
  const denos: object[] = [
    {},
    { noDelay: true, keepAlive: { idle: 5_000 }, linger: 0, userTimeout: 1, sendBufferSize: 65_536 },
    { options: [TCP_CONGESTION.to("cubic")] },
  ];
  for (const [given, expected] of [...own.map((one) => [one, false]), ...denos.map((one) => [one, true])] as const) {
    using conn = await connectTcp({ port, ...given as object });
    assertStrictEquals(isDenos(conn), expected, JSON.stringify(given));
    (await listener.accept()).close();
  }
});

test("connectTcp() has its hop limit in the first packet, as a peer wants that checks it (RFC 5082)", FFI, async () => {
  const places = [
    { hostname: "127.0.0.1", checks: IP_MINTTL.to(255), sends: IP_TTL.to(255) },
    { hostname: "::1", checks: IPV6_MINHOPCOUNT.to(255), sends: IPV6_UNICAST_HOPS.to(255) },
  ];
  for (const { hostname, checks, sends } of places) {
    using listener = listenTcp({ hostname, port: 0, options: [checks] });
    const to = { hostname, port: listener.addr.port };
    for (const given of [{ hopLimit: 255 }, { options: [sends] }]) {
      using conn = await connectTcp({ ...to, timeout: 5_000, ...given });
      assertEquals(tuneTcp(conn, {}).hopLimit, 255);
      (await listener.accept()).close();
    }
    await assertRejects(() => connectTcp({ ...to, timeout: 100 }), Deno.errors.TimedOut);
  }
});

test("connectTcp() refuses an option of one IP version for a peer of the other, before it connects", FFI, async () => {
  using listener = listenTcp({ hostname: "::", port: 0 });
  const { port } = listener.addr;
  const [four, six] = [[IP_TOS.to(4), IP_TTL.to(4), IP_MTU_DISCOVER.to(2)], [IPV6_TCLASS.to(4)]];
  for (const [hostname, wrong, carries] of [["::1", four, "IPv6"], ["::ffff:127.0.0.1", six, "IPv4"]] as const) {
    for (const setting of wrong) {
      const { message } = await assertRejects(
        () => connectTcp({ hostname, port, localAddr: {}, options: [setting] }),
        Deno.errors.NotSupported,
        `: ${setting.name} works on `,
      );
      assertMatch(message, new RegExp(`^Cannot connect to tcp .*; this connection carries ${carries} traffic alone$`));
    }
  }
  for (const [hostname, right] of [["::ffff:127.0.0.1", four], ["127.0.0.1", four], ["::1", six]] as const) {
    using _conn = await connectTcp({ hostname, port, localAddr: {}, options: right });
    (await listener.accept()).close();
  }
});

test("connectTcp() sets early options, as the kernel then has them", ROOT, async () => {
  using listener = Deno.listen(here);
  const early: OptionSetting[] = [
    SO_BINDTODEVICE.to("lo"),
    SO_MARK.to(7),
    TCP_MAXSEG.to(800),
    TCP_SYNCNT.to(2),
    IP_BIND_ADDRESS_NO_PORT.to(true),
    IP_LOCAL_PORT_RANGE.to({ low: 40_100, high: 40_199 }),
    IP_TRANSPARENT.to(true),
  ];
  using conn = await connectTcp({
    port: listener.addr.port,
    dscp: 46,
    receiveBufferSize: 70_000,
    sendBufferSize: 80_000,
    keepAlive: { idle: 9_000 },
    localAddr: { hostname: "127.0.0.1" },
    options: early,
  });
  assertEquals([SO_BINDTODEVICE.get(conn), SO_MARK.get(conn), TCP_SYNCNT.get(conn)], ["lo", 7, 2]);
  assertEquals([SO_RCVBUF.get(conn), SO_SNDBUF.get(conn), IP_TOS.get(conn) >> 2], [140_000, 160_000, 46]);
  assertEquals(TCP_KEEPIDLE.get(conn), 9);
  assert(TCP_MAXSEG.get(conn) <= 800);
  assert(conn.localAddr.port >= 40_100 && conn.localAddr.port <= 40_199, `port ${conn.localAddr.port}`);
});

test(
  "connectTcp() on a socket of ours sets what connecting would undo, or refuses without a peer, when it has one",
  FFI,
  async () => {
    using listener = listenTcp({ ...here, options: [TCP_QUICKACK.to(false), SO_TIMESTAMPING.to(OPT_ID | SOFTWARE)] });
    for (const own of [{}, { localAddr: {} }]) {
      using conn = await connectTcp({
        port: listener.addr.port,
        ...own,
        options: [TCP_QUICKACK.to(false), SO_TIMESTAMPING.to(OPT_ID | SOFTWARE)],
      });
      using served = await listener.accept();
      for (const end of [conn, served]) {
        assertEquals([TCP_QUICKACK.get(end), SO_TIMESTAMPING.get(end)], [false, OPT_ID | SOFTWARE]);
      }
    }
  },
);

test("an option of one's own is set when its definition says, connecting and listening", FFI, async () => {
  const define = <W extends "bind" | "listen" | "connect">(when: W, level: number, name: number) =>
    defineOption({ name: `OWN_${when}`, codes: { linux: { level, name } }, codec: "int", access: "both", when });
  const synCount = define("connect", 6, 7).to(3);
  const freeBind = define("bind", 0, 15).to(1);
  const deferAccept = define("listen", 6, 9).to(0);

  using plain = Deno.listen(here);
  using conn = await connectTcp({ port: plain.addr.port, options: [synCount, freeBind] });
  assertEquals([TCP_SYNCNT.get(conn), IP_FREEBIND.get(conn)], [3, true]);

  // Nobody's address: TEST-NET-1.
  listenTcp({ hostname: "192.0.2.1", port: 0, options: [freeBind] }).close();
  using listener = listenTcp({ ...here, options: [synCount, freeBind, deferAccept] });
  assertEquals([TCP_SYNCNT.get(listener), IP_FREEBIND.get(listener)], [3, true]);
  using _client = await Deno.connect({ port: listener.addr.port });
  (await listener.accept()).close();
});

test(
  "connectTcp() tells the capability that an option wants",
  { ...ROOT, ...OTHER_PROGRAM, run: ["setpriv"] },
  async () => {
    const url = (room: string) => JSON.stringify(import.meta.resolve(`../../${room}/mod.ts`));
    const code = `
    import { connectTcp } from ${url("tcp")};
    import { IP_TRANSPARENT, SO_MARK } from ${url("options")};
    for (const setting of [SO_MARK.to(1), IP_TRANSPARENT.to(true)]) {
      await connectTcp({ port: 1, options: [setting] }).catch((e) => console.log(e.name, e.code, e.message));
    }`;
    const { stdout, stderr } = await new Deno.Command("setpriv", {
      args: ["--inh-caps=-all", "--bounding-set=-all", Deno.execPath(), "eval", "--no-config", "--no-lock", code],
      env: { NO_COLOR: "1" },
    }).output();
    const lines = new TextDecoder().decode(stdout).trim().split("\n");
    assertEquals(lines.length, 2, new TextDecoder().decode(stderr));
    assertMatch(lines[0]!, /^PermissionDenied EPERM Cannot set SO_MARK .*CAP_NET_(ADMIN|RAW)/);
    assertMatch(lines[1]!, /^PermissionDenied EPERM Cannot set IP_TRANSPARENT .*CAP_NET_(ADMIN|RAW)/);
  },
);

test("connectTcp() lists the congestion algorithms that are there when one is not", FFI, async () => {
  using listener = Deno.listen(here);
  for (const localAddr of [undefined, {}]) {
    const error = await assertRejects(() =>
      connectTcp({ port: listener.addr.port, options: [TCP_CONGESTION.to("no_such")], ...(localAddr && { localAddr }) })
    );
    assertEquals((error as { code?: unknown }).code, "ENOENT");
    assertMatch(
      (error as Error).message,
      /^Cannot set TCP_CONGESTION .*no such algorithm loaded: see net\.ipv4\.tcp_available_congestion_control(, which has .*\bcubic\b.*)?$/,
    );
  }
});

test("connectTcp() falls back to plain TCP where the peer has one path alone", FFI, async () => {
  using listener = Deno.listen(here);
  using conn = await connectTcp({ port: listener.addr.port, multipath: true });
  using served = await listener.accept();
  assertEquals(TCP_IS_MPTCP.get(conn), false);
  await assertEcho(conn, served);
});

test("connectTcp() and listenTcp() agree on several paths", {
  ...FFI,
  read: true,
  files: ["/proc/sys/net/mptcp/enabled"],
}, async () => {
  using listener = listenTcp({ ...here, multipath: true, noDelay: true });
  using conn = await connectTcp({ port: listener.addr.port, multipath: true });
  using served = await listener.accept();
  assertEquals([TCP_IS_MPTCP.get(conn), TCP_IS_MPTCP.get(served)], [true, true]);
  assertEquals(tuneTcp(served, {}).noDelay, true);
  await assertEcho(conn, served);
  resetTcp(conn);
  await assertRejects(() => served.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
});

test("connectTcp() with fast open connects by the first write", ROOT, async () => {
  using listener = listenTcp({ ...here, options: [TCP_FASTOPEN.to(16)] });
  for (let i = 0; i < 2; i++) {
    using conn = await connectTcp({ port: listener.addr.port, options: [TCP_FASTOPEN_CONNECT.to(true)] });
    assertEquals(conn.remoteAddr.port, listener.addr.port);
    await conn.write(bytes("early"));
    using served = await listener.accept();
    assertEquals(await served.read(new Uint8Array(8)), 5);
    await assertEcho(conn, served);
  }
});

test("connectTcp() on a socket of ours fails in the words of Deno's way", FFI, async () => {
  const before = sockets();
  const port = (() => {
    using listener = Deno.listen(here);
    return listener.addr.port;
  })();
  const refused = await assertRejects(() => connectTcp({ port, localAddr: {} }), Deno.errors.ConnectionRefused);
  assertStringIncludes(
    refused.message,
    `Cannot connect to tcp 127.0.0.1:${port}: ECONNREFUSED (connection refused); nothing`,
  );
  assertEquals([(refused as Error & { syscall?: string }).syscall], ["connect"]);
  const foreign = await assertRejects(
    () => connectTcp({ port, localAddr: { hostname: "192.0.2.7" } }),
    Deno.errors.AddrNotAvailable,
  );
  assertStringIncludes(foreign.message, `Cannot connect to tcp 127.0.0.1:${port} from tcp 192.0.2.7:0: EADDRNOTAVAIL`);
  assertStringIncludes(foreign.message, "localAddr must be one of this machine's addresses");
  const taken = Deno.listen(here);
  const used = await assertRejects(
    () => connectTcp({ port, localAddr: { hostname: "127.0.0.1", port: taken.addr.port } }),
    Deno.errors.AddrInUse,
  );
  taken.close();
  assertStringIncludes(used.message, "another socket has this port");
  const unknown = await assertRejects(() => connectTcp({ hostname: "no-such-host.invalid", port, localAddr: {} }));
  assertMatch(
    (unknown as Error).message,
    /^Cannot connect to tcp no-such-host\.invalid:\d+: Cannot resolve "no-such-host\.invalid": EAI_/,
  );
  assertEquals((unknown as { syscall?: string }).syscall, "getaddrinfo");
  assertEquals(sockets(), before);
});

test("connectTcp() on a socket of ours checks a source address", FFI, async () => {
  const bad: [localAddr: unknown, error: ErrorConstructor, message: string][] = [
    [null, TypeError, "localAddr is null, it must be an object"],
    [{ port: -1 }, RangeError, "localAddr.port is -1"],
    [{ port: "1" }, TypeError, 'localAddr.port is "1"'],
    [{ hostname: 5 }, TypeError, "localAddr.hostname is 5"],
    [{ hostname: "localhost" }, SyntaxError, 'localAddr.hostname is "localhost", it must be a literal address'],
    [{ hostname: "::1" }, TypeError, 'localAddr.hostname is "::1", it must be of the family of the peer'],
  ];
  for (const [localAddr, error, message] of bad) {
    const thrown = await assertRejects(() => connectTcp({ port: 1, localAddr: localAddr as object }), Error, message);
    assertStrictEquals(thrown.constructor, error);
    assert(thrown.message.startsWith("Cannot connect to tcp 127.0.0.1:1: "), thrown.message);
  }
  await assertRejects(() => connectTcp({ port: 1, multipath: 1 as never }), TypeError, "multipath is 1");
});

test("connectTcp() on a socket of ours ends by signal and timeout, and leaves nothing", FFI, async () => {
  // A listener whose queue is full answers no more.
  const listener = Deno.listen({ ...here, tcpBacklog: 1 });
  const waiting = [await Deno.connect({ port: listener.addr.port }), await Deno.connect({ port: listener.addr.port })];
  const before = sockets();
  const port = listener.addr.port;
  const late = await assertRejects(
    () => assertWithin(900, connectTcp({ port, localAddr: {}, timeout: 60 })),
    Deno.errors.TimedOut,
  );
  assertEquals(late.message, `Cannot connect to tcp 127.0.0.1:${port}: no connection within 60 ms`);
  const stop = new AbortController();
  const reason = new Error("no more");
  setTimeout(() => stop.abort(reason), 20);
  assertStrictEquals(await connectTcp({ port, localAddr: {}, signal: stop.signal }).catch((e) => e), reason);
  assertStrictEquals(await connectTcp({ port, localAddr: {}, signal: stop.signal }).catch((e) => e), reason);
  assertEquals(sockets(), before);
  for (const conn of [...waiting, listener]) conn.close();
});

test("connectTcp() tries every address of a name, and tells of all that failed", FFI, async () => {
  const before = sockets();
  const port = (() => {
    using listener = Deno.listen({ hostname: "::", port: 0 });
    return listener.addr.port;
  })();
  const found = await resolveAddress("localhost");
  const error = await assertRejects(() => connectTcp({ hostname: "localhost", port, localAddr: {} }), Error);
  // A system may know localhost by one family alone.
  const all = found.length === 1 ? [error] : (error as AggregateError).errors;
  if (found.length > 1) {
    assertInstanceOf(error, AggregateError);
    assertStringIncludes(
      error.message,
      `Cannot connect to tcp localhost:${port}: none of its ${found.length} addresses`,
    );
  }
  assertEquals([(error as SystemError).code, (error as SystemError).syscall], ["ECONNREFUSED", "connect"]);
  assertEquals(all.length, found.length);
  for (const each of all) {
    assertEquals([each.code, each.syscall], ["ECONNREFUSED", "connect"]);
    assertMatch(each.message, /^Cannot connect to tcp (127\.0\.0\.1|\[::1\]):\d+: ECONNREFUSED/);
  }
  assertEquals(sockets(), before);
});

test("connectTcp() reaches a name whose other family refuses", FFI, async () => {
  for (const hostname of ["127.0.0.1", "::1"]) {
    using listener = Deno.listen({ hostname, port: 0 });
    const before = sockets();
    const attempt = connectTcp({ hostname: "localhost", port: listener.addr.port, localAddr: {} });
    const conn = await attempt.catch((error) => {
      // A system that knows localhost by one family alone.
      assertInstanceOf(error, Deno.errors.ConnectionRefused);
      return null;
    });
    if (conn === null) continue;
    assertEquals(conn.remoteAddr.hostname, hostname);
    conn.close();
    (await listener.accept()).close();
    await sleep(5);
    assertEquals(sockets(), before);
  }
});

test("listenTcp() takes what must come before bind()", ROOT, async () => {
  const cases: [given: Partial<ListenTcpOptions>, check: (listener: Deno.Listener) => void][] = [
    [{ hostname: "::", ipv6Only: true }, (listener) => assertEquals(IPV6_V6ONLY.get(listener), true)],
    [{ hostname: "::", options: [IPV6_V6ONLY.to(true)] }, (listener) => assertEquals(IPV6_V6ONLY.get(listener), true)],
    [
      { hostname: "192.0.2.9", options: [IP_FREEBIND.to(true)] },
      (listener) => assertEquals(IP_FREEBIND.get(listener), true),
    ],
    [
      { hostname: "192.0.2.9", options: [IP_TRANSPARENT.to(true)] },
      (listener) => assertEquals(IP_TRANSPARENT.get(listener), true),
    ],
    [{ options: [SO_BINDTODEVICE.to("lo")] }, (listener) => assertEquals(SO_BINDTODEVICE.get(listener), "lo")],
    [{ options: [SO_REUSEPORT.to(true)] }, (listener) => assertEquals(SO_REUSEPORT.get(listener), true)],
    [{ reuseAddress: false }, (listener) => assertEquals(SO_REUSEADDR.get(listener), false)],
  ];
  for (const [given, check] of cases) {
    using listener = listenTcp({ ...here, ...given });
    check(listener);
    assert(listener.addr.port > 0);
    assertEquals(listener.connections, 0);
  }
  await sleep(0);
});

test("listenTcp() on a socket of ours serves by accept and by iteration, with its options", FFI, async () => {
  for (const way of ["accept", "iterate"]) {
    using listener = listenTcp({
      ...here,
      reuseAddress: false,
      noDelay: true,
      keepAlive: { idle: 11_000 },
      options: [TCP_DEFER_ACCEPT.to(1)],
    });
    using client = await Deno.connect({ port: listener.addr.port });
    await client.write(bytes("go"));
    let served: Deno.TcpConn;
    if (way === "accept") served = await listener.accept();
    else {
      const { value } = await listener[Symbol.asyncIterator]().next();
      served = value;
    }
    assertEquals([TCP_NODELAY.get(served), TCP_KEEPIDLE.get(served)], [true, 11]);
    assertEquals(await served.read(new Uint8Array(4)), 2);
    await assertEcho(client, served);
    assertEquals(listener.connections, 1);
    served.close();
  }
});

test("listenTcp() on a socket of ours ends by its signal, by close and by leaving the loop", FFI, async () => {
  const stop = new AbortController();
  const ended = listenTcp({ ...here, reuseAddress: false, signal: stop.signal });
  const iterating = (async () => {
    for await (const conn of ended) conn.close();
    return "ended";
  })();
  await sleep(5);
  stop.abort();
  assertEquals(await assertWithin(500, iterating), "ended");
  const left = listenTcp({ ...here, reuseAddress: false });
  using _client = await Deno.connect({ port: left.addr.port });
  for await (const conn of left) {
    conn.close();
    break;
  }
  assertThrows(() => left.close(), Deno.errors.BadResource);
});

test("listenTcp() on a socket of ours takes a name, and fails in the words of Deno's way", FFI, () => {
  using named = listenTcp({ hostname: "localhost", port: 0, reuseAddress: false });
  assert(["127.0.0.1", "::1"].includes(named.addr.hostname));
  using taken = Deno.listen(here);
  const { port } = taken.addr;
  const used = assertThrows(() => listenTcp({ ...here, port, reuseAddress: false }), Deno.errors.AddrInUse);
  assertStringIncludes(
    used.message,
    `Cannot listen on tcp 127.0.0.1:${port}: EADDRINUSE (address already in use); another`,
  );
  const foreign = assertThrows(
    () => listenTcp({ hostname: "192.0.2.1", port: 0, reuseAddress: false }),
    Deno.errors.AddrNotAvailable,
  );
  assertStringIncludes(foreign.message, "the address must be one of this machine's");
  const four = assertThrows(() => listenTcp({ ...here, ipv6Only: true }), TypeError);
  assertEquals(
    four.message,
    'Cannot listen on tcp 127.0.0.1:0: ipv6Only is true, the hostname "127.0.0.1" must then be no IPv4 address',
  );
});

test("IPv6 alone leaves the IPv4 port to another listener", FFI, () => {
  using six = listenTcp({ hostname: "::", port: 0, ipv6Only: true });
  using four = Deno.listen({ hostname: "0.0.0.0", port: six.addr.port });
  assertEquals(four.addr.port, six.addr.port);
});

test("permissions of a socket of ours are those of Deno's", { ...OTHER_PROGRAM, linux: true }, async () => {
  using listener = Deno.listen(here);
  const port = listener.addr.port;
  const code = `
    await tcp.connectTcp({ hostname: "localhost", port: ${port}, dscp: 4 }).then((c) => { console.log("name"); c.close(); }, say);
    await tcp.connectTcp({ hostname: "127.0.0.1", port: ${port}, dscp: 4 }).then((c) => { console.log("address"); c.close(); }, say);
    try { tcp.listenTcp({ hostname: "127.0.0.1", port: 0, reuseAddress: false }).close(); } catch (error) { say(error); }`;
  const { output } = await runWith([`--allow-net=localhost:${port}`, "--allow-ffi"], code);
  const [name, address, listening] = output.split("\n");
  assertEquals(name, "name");
  assertMatch(address!, /^NotCapable: .*Requires net access to "127\.0\.0\.1:\d+"/);
  assertMatch(listening!, /^NotCapable: .*Requires net access to "127\.0\.0\.1:0"/);
  const free = (() => {
    using listener = Deno.listen(here);
    return listener.addr.port;
  })();
  const byName = `
    for (const own of [{}, { reuseAddress: false }]) {
      try { tcp.listenTcp({ hostname: "localhost", port: ${free}, ...own }).close(); console.log("listened"); } catch (error) { say(error); }
    }`;
  const granted = await runWith([`--allow-net=localhost:${free}`, "--allow-ffi"], byName);
  assertEquals(granted.output, "listened\nlistened");
  const resolved = await runWith(["--allow-net", `--deny-net=127.0.0.1:${free},[::1]:${free}`, "--allow-ffi"], byName);
  for (const line of resolved.output.split("\n")) assertMatch(line, /^NotCapable: .*Requires net access to ".*:\d+"/);
  const denied = await runWith(["--allow-net", "--deny-net=127.0.0.1", "--allow-ffi"], code);
  assertMatch(denied.output.split("\n")[0]!, /^NotCapable|ConnectionRefused/);
});

test("listenTcp() on a socket of ours does not take a name with NUL for what comes before that", FFI, () => {
  const { message } = assertThrows(
    () => listenTcp({ hostname: "localhost\0.example", port: 0, reuseAddress: false }),
    SyntaxError,
    'the host is "localhost\\u0000.example", it must not contain NUL',
  );
  assertMatch(message, /^Cannot listen on tcp /);
});

test("Deno.startTls() of a socket of ours says what to use", FFI, async () => {
  using listener = Deno.listen(here);
  using conn = await connectTcp({ port: listener.addr.port, localAddr: {} });
  const error = await assertRejects(() => Deno.startTls(conn), TypeError);
  assertMatch(
    error.message,
    /^Cannot start TLS on a socket of this library: .*node:tls over Duplex\.fromWeb\(\) of it/,
  );
});

test(
  "TLS over connections of ours by node:tls and Duplex.fromWeb(), client and server",
  { ...FFI, read: true },
  async () => {
    const { cert, key } = await certificate();
    using listener = listenTcp({ ...here, reuseAddress: false });
    const accepting = listener.accept();
    const conn = await connectTcp({ port: listener.addr.port, dscp: 46 });
    const served = await accepting;
    const server = new tls.TLSSocket(Duplex.fromWeb(served), { isServer: true, cert, key });
    server.on("data", (data: Uint8Array) => server.end(data));
    const secure = tls.connect({ socket: Duplex.fromWeb(conn), ca: cert, servername: "localhost" });
    const closed = [secure, server].map((one) => new Promise((resolve) => one.on("close", resolve)));
    let got = "";
    secure.on("data", (data: Uint8Array) => got += text(data));
    await new Promise((resolve, reject) => secure.on("secureConnect", resolve).on("error", reject));
    assertEquals([secure.authorized, tuneTcp(conn, {}).dscp], [true, 46]);
    secure.write("over TLS");
    await Promise.all(closed);
    assertEquals(got, "over TLS");
    // The connections beneath go with it.
    for (const one of [conn, served]) assertThrows(() => one.close(), Deno.errors.BadResource);
  },
);

test("TLS over sockets of ours by node:tls, client and server", { ...FFI, read: true }, async () => {
  const { cert, key } = await certificate();
  using listening = Socket.open("inet", "stream");
  IP_BIND_ADDRESS_NO_PORT.set(listening, true);
  listening.bind(here);
  listening.listen();
  const client = Socket.open("inet", "stream");
  client.bind({ hostname: "127.0.0.9", port: 0 });
  await client.connect(listening.localAddr!);
  const accepted = await listening.accept();
  assertNotStrictEquals(accepted.remoteAddr, null);
  const server = new tls.TLSSocket(accepted.toNodeSocket(), { isServer: true, cert, key });
  server.on("data", (data: Uint8Array) => server.end(data));
  const secure = tls.connect({ socket: client.toNodeSocket(), ca: cert, servername: "localhost" });
  const answer = await new Promise<string>((resolve, reject) => {
    let got = "";
    secure.on("data", (data: Uint8Array) => got += text(data)).on("end", () => resolve(got)).on("error", reject);
    secure.on("secureConnect", () => secure.write("over TLS"));
  });
  assertEquals(answer, "over TLS");
  secure.destroy();
  server.destroy();
  await sleep(20);
});

test("a connection of ours takes limits as any other", FFI, async () => {
  using listener = Deno.listen(here);
  using conn = withTimeouts(await connectTcp({ port: listener.addr.port, localAddr: {} }), { read: 20 });
  await assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.TimedOut);
});
