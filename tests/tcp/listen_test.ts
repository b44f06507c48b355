// listenTcp: listeners, what their connections carry, and everything that can go wrong.
// The other end: connect_test.ts. Sockets that exist already: tune_test.ts.
import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  IP_TOS,
  IP_TTL,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
  type OptionSetting,
  SO_ATTACH_FILTER,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_LOCK_FILTER,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  TCP_CONGESTION,
  TCP_DEFER_ACCEPT,
  TCP_FASTOPEN,
  TCP_INFO,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_QUICKACK,
  TCP_ULP,
  TCP_USER_TIMEOUT,
} from "../../options/mod.ts";
import { listenTcp, type ListenTcpOptions } from "../../tcp/mod.ts";
import { test } from "../needs.ts";
import { FFI, PROGRAM, runProgram } from "../socket/make.ts";
import { OTHER_PROGRAM, runWith } from "./other_program.ts";
import { OUTSIDE, seenFromOutside } from "./outside.ts";

const here = { hostname: "127.0.0.1", port: 0 } as const;

/** A client and what the listener accepted for it. */
async function pair(listener: Deno.Listener<Deno.TcpConn, Deno.NetAddr>, hostname = "127.0.0.1") {
  const client = await Deno.connect({ hostname, port: listener.addr.port });
  const conn = await listener.accept();
  return {
    conn,
    [Symbol.dispose]() {
      client.close();
      conn.close();
    },
  };
}

Deno.test("listenTcp() without options gives Deno's listener, with two numbers to ask for", async () => {
  using listener = listenTcp(here);
  using plain = Deno.listen(here);
  assertStrictEquals(Object.getPrototypeOf(listener), Object.getPrototypeOf(plain));
  assertEquals([Object.getOwnPropertyNames(listener), Object.keys(listener)], [["refused", "connections"], []]);
  assertStrictEquals(listener.accept, plain.accept);
  using both = await pair(listener);
  assertEquals(both.conn.localAddr, listener.addr);
});

Deno.test("listenTcp() with options shows no more than Deno's listener does", () => {
  using listener = listenTcp({ ...here, noDelay: true, signal: new AbortController().signal });
  using plain = Deno.listen(here);
  assertEquals(Object.keys(listener), []);
  assertEquals(Deno.inspect(listener), Deno.inspect(plain));
});

Deno.test("listenTcp() listens on every address and both families as Deno does", async () => {
  using any = listenTcp({ port: 0 });
  assertEquals(any.addr.hostname, "0.0.0.0");
  using dual = listenTcp({ hostname: "::", port: 0, ipv6Only: false, reuseAddress: true });
  using four = await pair(dual, "127.0.0.1");
  assertEquals(four.conn.localAddr, { transport: "tcp", hostname: "::ffff:127.0.0.1", port: dual.addr.port });
  using six = await pair(dual, "::1");
  assertEquals((six.conn.localAddr as Deno.NetAddr).hostname, "::1");
  using byName = listenTcp({ hostname: "localhost", port: 0, noDelay: true });
  using named = await pair(byName, "localhost");
  assertEquals((named.conn.localAddr as Deno.NetAddr).port, byName.addr.port);
});

Deno.test("listenTcp() takes noDelay and keepAlive with --allow-net alone", async () => {
  using listener = listenTcp({ ...here, noDelay: true, keepAlive: true });
  using both = await pair(listener);
  assertEquals(both.conn.localAddr, listener.addr);
});

Deno.test("listenTcp() takes no more waiting connections than its backlog", async () => {
  using listener = listenTcp({ ...here, backlog: 1 });
  const clients: Deno.Conn[] = [];
  for (let i = 0; i < 2; i++) clients.push(await Deno.connect({ port: listener.addr.port }));
  await assertRejects(() => Deno.connect({ port: listener.addr.port, signal: AbortSignal.timeout(60) }), DOMException);
  for (const client of clients) client.close();
});

test("listenTcp() gives accepted connections every option", { ffi: true, linux: true }, async () => {
  using listener = listenTcp({
    ...here,
    noDelay: true,
    keepAlive: { idle: 30_000, interval: 10_000, count: 3 },
    linger: 2_000,
    userTimeout: 12_345,
    receiveBufferSize: 131_072,
    dscp: 46,
    hopLimit: 33,
    options: [TCP_CONGESTION.to("reno")],
  });
  using both = await pair(listener);
  const { conn } = both;
  assertEquals(TCP_NODELAY.get(conn), true);
  assertEquals(SO_KEEPALIVE.get(conn), true);
  assertEquals([TCP_KEEPIDLE.get(conn), TCP_KEEPINTVL.get(conn), TCP_KEEPCNT.get(conn)], [30, 10, 3]);
  assertEquals(SO_LINGER.get(conn), { enabled: true, seconds: 2 });
  assertEquals(TCP_USER_TIMEOUT.get(conn), 12_345);
  assertEquals(SO_RCVBUF.get(conn), 2 * 131_072);
  assertEquals(IP_TOS.get(conn) >> 2, 46);
  assertEquals(IP_TTL.get(conn), 33);
  assertEquals(TCP_CONGESTION.get(conn), "reno");
  // The listener has them too: buffers and marks are wanted from the first packet of the handshake.
  assertEquals(SO_RCVBUF.get(listener), 2 * 131_072);
  assertEquals(IP_TOS.get(listener) >> 2, 46);
  assertEquals(SO_KEEPALIVE.get(listener), true);
});

test("listenTcp() gives accepted connections the options even when the listener lost them", OUTSIDE, async () => {
  using listener = listenTcp({
    ...here,
    noDelay: true,
    keepAlive: { idle: 30_000 },
    linger: 2_000,
    receiveBufferSize: 131_072,
    dscp: 46,
    hopLimit: 33,
  });
  // Undone by hand: nothing is left to inherit.
  TCP_NODELAY.set(listener, false);
  SO_KEEPALIVE.set(listener, false);
  TCP_KEEPIDLE.set(listener, 7200);
  SO_LINGER.set(listener, { enabled: false, seconds: 0 });
  SO_RCVBUF.set(listener, 65_536);
  IP_TOS.set(listener, 0);
  IP_TTL.set(listener, 64);

  using plain = Deno.listen(here);
  using other = await pair(plain);
  const untouched = await seenFromOutside(other.conn.localAddr, other.conn.remoteAddr);
  assertEquals([untouched.SO_KEEPALIVE, untouched.TCP_NODELAY], [0, 0]);

  using by = await pair(listener);
  for await (const iterated of (clientOf(listener), listener)) {
    for (const conn of [by.conn, iterated]) {
      const seen = await seenFromOutside(conn.localAddr, conn.remoteAddr);
      assertEquals(seen.TCP_NODELAY, 1);
      assertEquals(seen.SO_KEEPALIVE, 1);
      assertEquals(seen.TCP_KEEPIDLE, 30);
      assertEquals(seen.SO_LINGER, [1, 2]);
      assertEquals(seen.SO_RCVBUF, 2 * 131_072);
      assertEquals(seen.IP_TOS >> 2, 46);
      assertEquals(seen.IP_TTL, 33);
    }
    SO_LINGER.set(iterated, { enabled: false, seconds: 0 });
    iterated.close();
    break;
  }
  SO_LINGER.set(by.conn, { enabled: false, seconds: 0 });
});

/** A client that reads until the end and goes. */
async function clientOf(listener: Deno.Listener<Deno.TcpConn, Deno.NetAddr>): Promise<void> {
  using client = await Deno.connect({ port: listener.addr.port });
  await client.read(new Uint8Array(1));
}

test("listenTcp() without --allow-ffi sets the switches on connections by Deno's calls", OTHER_PROGRAM, async () => {
  // The program has no FFI, so it asks strace's question of the kernel another way: ss tells keepalive timers.
  const { code, output } = await runWith(
    ["--allow-net"],
    `const called = [];
     const listener = tcp.listenTcp({ hostname: "127.0.0.1", port: 0, noDelay: true, keepAlive: true });
     const client = await Deno.connect({ port: listener.addr.port });
     const prototype = Object.getPrototypeOf(client);
     for (const name of ["setNoDelay", "setKeepAlive"]) {
       const original = prototype[name];
       prototype[name] = function (on) { called.push(name + " " + on); return original.call(this, on); };
     }
     const conn = await listener.accept();
     console.log(called.join(", "));
     conn.close(); client.close(); listener.close();
     for (const more of [{ dscp: 1 }, { linger: 0 }, { options: [options.TCP_NODELAY.to(true)] }]) {
       try { tcp.listenTcp({ hostname: "127.0.0.1", port: 1, ...more }); } catch (error) { say(error); }
     }`,
  );
  assertEquals(code, 0, output);
  const lines = output.split("\n");
  assertEquals(lines.length, 4, output);
  assertEquals(lines[0], "setNoDelay true, setKeepAlive true");
  for (const [i, said] of ["dscp", "linger", "TCP_NODELAY"].entries()) {
    assertStringIncludes(
      lines[i + 1]!,
      `NotCapable: Cannot listen on tcp 127.0.0.1:1 with ${said}: Requires ffi access to the C library, run again with the --allow-ffi flag`,
    );
  }
});

test(
  "listenTcp() sets dscp and hopLimit of both families on a listener for both",
  { ffi: true, linux: true },
  async () => {
    using listener = listenTcp({ hostname: "::", port: 0, dscp: 30, hopLimit: 20 });
    using four = await pair(listener, "127.0.0.1");
    assertEquals([IP_TOS.get(four.conn) >> 2, IP_TTL.get(four.conn)], [30, 20]);
    using six = await pair(listener, "::1");
    assertEquals([IPV6_TCLASS.get(six.conn) >> 2, IPV6_UNICAST_HOPS.get(six.conn)], [30, 20]);
    assertEquals([IP_TOS.get(listener) >> 2, IPV6_TCLASS.get(listener) >> 2], [30, 30]);
    using only = listenTcp({ hostname: "::1", port: 0, dscp: 12 });
    using native = await pair(only, "::1");
    assertEquals(IPV6_TCLASS.get(native.conn) >> 2, 12);
  },
);

test("listenTcp() on both families gives an option of one to its connections alone, and accepts all", {
  ffi: true,
  linux: true,
}, async () => {
  for (const early of [{}, { reuseAddress: false }]) {
    using listener = listenTcp({
      hostname: "::",
      port: 0,
      ...early,
      options: [IP_TOS.to(40), IP_TTL.to(9), IPV6_TCLASS.to(80)],
    });
    using six = await pair(listener, "::1");
    assertEquals(IPV6_TCLASS.get(six.conn), 80);
    using four = await pair(listener, "127.0.0.1");
    assertEquals([IP_TOS.get(four.conn), IP_TTL.get(four.conn)], [40, 9]);
  }
});

test("listenTcp() gives each option to the sockets it means something on", { ffi: true, linux: true }, async () => {
  using listener = listenTcp({
    ...here,
    options: [TCP_FASTOPEN.to(5), TCP_DEFER_ACCEPT.to(0), TCP_QUICKACK.to(true), SO_REUSEPORT.to(true)],
  });
  assertEquals(TCP_FASTOPEN.get(listener), 5);
  assertEquals(SO_REUSEPORT.get(listener), true);
  using both = await pair(listener);
  assertEquals(both.conn.localAddr, listener.addr);
});

test(
  "listenTcp() rejects accept() when a connection cannot have an option, and closes it",
  { ffi: true, linux: true },
  async () => {
    // An upper layer protocol that no kernel has; it is set on connections alone.
    using listener = listenTcp({ ...here, options: [TCP_ULP.to("no_such")] });
    using client = await Deno.connect({ port: listener.addr.port });
    await assertRejects(() => listener.accept(), Error, "TCP_ULP");
    assertEquals(await client.read(new Uint8Array(1)), null);
  },
);

test("listenTcp() closes the listener when an option fails on it, and names it", { ffi: true, linux: true }, () => {
  using free = listenTcp(here);
  const { port } = free.addr;
  free.close();
  assertThrows(() => listenTcp({ ...here, port, options: [TCP_CONGESTION.to("no_such")] }), Error, "TCP_CONGESTION");
  // The port is free again.
  listenTcp({ ...here, port }).close();
});

test(
  "listenTcp() passes over a connection that its peer reset before it was accepted",
  { ffi: true, linux: true },
  async () => {
    using listener = listenTcp({ ...here, noDelay: true, keepAlive: { idle: 5_000 }, userTimeout: 1_000 });
    for (let i = 0; i < 3; i++) {
      const gone = await Deno.connect({ port: listener.addr.port });
      SO_LINGER.set(gone, { enabled: true, seconds: 0 });
      gone.close();
    }
    using client = await Deno.connect({ port: listener.addr.port });
    using conn = await listener.accept();
    assertEquals(conn.remoteAddr, client.localAddr);
    assertEquals(TCP_KEEPIDLE.get(conn), 5);
  },
);

test(
  "listenTcp() passes over what was reset also with options that are for the listener alone, or a socket of ours",
  { ffi: true, linux: true },
  async () => {
    for (const given of [{ options: [TCP_FASTOPEN.to(5)] }, { reuseAddress: false }]) {
      using listener = listenTcp({ ...here, ...given });
      const gone = await Deno.connect({ port: listener.addr.port });
      SO_LINGER.set(gone, { enabled: true, seconds: 0 });
      gone.close();
      using client = await Deno.connect({ port: listener.addr.port });
      using conn = await listener.accept();
      assertEquals(conn.remoteAddr.port, client.localAddr.port);
    }
  },
);

test(
  "listenTcp() passes over a connection whose peer has ended its half, where an option wants both",
  { ffi: true, linux: true },
  async () => {
    // As TCP_ULP does, of which this kernel may have no protocol.
    const whole: OptionSetting = {
      name: "WHOLE",
      value: true,
      apply(socket) {
        if (TCP_INFO.get(socket).state === "close-wait") {
          throw new Deno.errors.NotConnected("Cannot set WHOLE: ENOTCONN");
        }
      },
    };
    using listener = listenTcp({ ...here, options: [whole] });
    using ended = await Deno.connect({ port: listener.addr.port });
    await ended.closeWrite();
    using client = await Deno.connect({ port: listener.addr.port });
    using conn = await listener.accept();
    assertEquals(conn.remoteAddr, client.localAddr);
  },
);

test(
  "listenTcp() passes over a connection that is reset before its options are set",
  { ffi: true, linux: true },
  async () => {
    using plain = Deno.listen(here);
    const prototype = Object.getPrototypeOf(plain);
    const { accept } = prototype;
    const doomed: Deno.TcpConn[] = [];
    prototype.accept = async function () {
      const conn = await accept.call(this);
      doomed[0]?.close();
      return conn;
    };
    // Linux takes most options on a connection that was reset, macOS refuses all: this one refuses.
    let refused = 0;
    const delicate: OptionSetting = {
      name: "DELICATE",
      value: true,
      apply(socket) {
        if (doomed.length === 0 || !("remoteAddr" in socket)) return;
        doomed.shift();
        refused++;
        throw new TypeError("Cannot set DELICATE: EINVAL (invalid argument)");
      },
    };
    try {
      using listener = listenTcp({ ...here, keepAlive: { idle: 5_000 }, options: [delicate] });
      const first = await Deno.connect({ port: listener.addr.port });
      SO_LINGER.set(first, { enabled: true, seconds: 0 });
      doomed.push(first);
      using second = await Deno.connect({ port: listener.addr.port });
      using conn = await listener.accept();
      assertEquals(refused, 1);
      assertEquals(conn.remoteAddr, second.localAddr);
      assertEquals(TCP_KEEPIDLE.get(conn), 5);
    } finally {
      prototype.accept = accept;
    }
  },
);

test("listenTcp() with options iterates on where no descriptor is left, and accept() rejects with EMFILE", {
  ...PROGRAM,
  linux: true,
  run: ["prlimit"],
}, async () => {
  const { output, errors } = await runProgram(
    `
    import { listenTcp } from ${JSON.stringify(import.meta.resolve("../../tcp/mod.ts"))};
    import { assertWithin } from ${JSON.stringify(import.meta.resolve("../time.ts"))};
    for (const given of [{ noDelay: true }, { reuseAddress: false }, { limits: {} }]) {
      const listener = listenTcp({ hostname: "127.0.0.1", port: 0, ...given });
      using client = await Deno.connect({ port: listener.addr.port });
      const held: Socket[] = [];
      try {
        for (;;) held.push(Socket.open("inet", "dgram"));
      } catch {
        // There is none left.
      }
      const refused = await listener.accept().then(() => "accepted", (error) => error.code);
      const iterating = (async () => {
        for await (const conn of listener) return conn.remoteAddr.port === client.localAddr.port;
      })();
      await new Promise((resolve) => setTimeout(resolve, 30));
      for (const one of held.splice(0)) one.close();
      console.log(refused, await assertWithin(5_000, iterating));
    }
  `,
    { under: ["prlimit", "--nofile=128:128"] },
  );
  assertEquals(output, "EMFILE true\n".repeat(3).trim(), errors);
});

test("listenTcp() takes a filter and its lock, which connections inherit", { ffi: true, linux: true }, async () => {
  const everything = [{ code: 6, jt: 0, jf: 0, k: 0xffff }];
  using listener = listenTcp({
    ...here,
    noDelay: true,
    options: [SO_ATTACH_FILTER.to(everything), SO_LOCK_FILTER.to(true)],
  });
  using both = await pair(listener);
  assertEquals(SO_LOCK_FILTER.get(both.conn), true);
});

Deno.test("listenTcp() ends iteration when closed, with and without options, as Deno does", async () => {
  for (const options of [{}, { noDelay: true }]) {
    const listener = listenTcp({ ...here, ...options });
    const next = listener[Symbol.asyncIterator]().next();
    listener.close();
    assertEquals(await next, { value: undefined, done: true });
    await assertRejects(() => listener.accept(), Deno.errors.BadResource);
    assertThrows(() => listener.close(), Deno.errors.BadResource);
  }
});

Deno.test("listenTcp() closes the listener when it leaves a loop, as Deno does", async () => {
  const listener = listenTcp({ ...here, noDelay: true });
  using client = await Deno.connect({ port: listener.addr.port });
  for await (const conn of listener) {
    conn.close();
    break;
  }
  assertThrows(() => listener.close(), Deno.errors.BadResource);
  assertEquals(await client.read(new Uint8Array(1)), null);
});

Deno.test("listenTcp() is closed by its signal, and iteration ends", async () => {
  for (const options of [{}, { noDelay: true }]) {
    const stop = new AbortController();
    const listener = listenTcp({ ...here, ...options, signal: stop.signal });
    setTimeout(() => stop.abort(), 5);
    let accepted = 0;
    for await (const _ of listener) accepted++;
    assertEquals(accepted, 0);
    assertThrows(() => listener.close(), Deno.errors.BadResource);
    const reason = new Error("too late");
    assertStrictEquals(
      assertThrows(() => listenTcp({ ...here, signal: AbortSignal.abort(reason) })),
      reason,
    );
  }
});

Deno.test("listenTcp() is forgotten by its signal when closed in any way", async () => {
  const ways: ((listener: Deno.Listener<Deno.TcpConn>) => void | Promise<void>)[] = [
    (listener) => listener.close(),
    (listener) => listener[Symbol.dispose](),
    async (listener) => void await listener[Symbol.asyncIterator]().return!(),
  ];
  for (const way of ways) {
    const stop = new AbortController();
    const { signal } = stop;
    const [add, remove] = [signal.addEventListener, signal.removeEventListener];
    const held = new Set<unknown>();
    signal.addEventListener = function (...given: Parameters<typeof add>) {
      held.add(given[1]);
      add.apply(signal, given);
    };
    signal.removeEventListener = function (...given: Parameters<typeof remove>) {
      held.delete(given[1]);
      remove.apply(signal, given);
    };
    const listener = listenTcp({ ...here, signal });
    assertEquals(held.size, 1);
    await way(listener);
    assertEquals(held.size, 0);
    stop.abort();
  }
});

Deno.test("listenTcp() keeps Deno's class of a failure and tells code, errno, syscall and address", () => {
  using listener = listenTcp(here);
  const { port } = listener.addr;
  const used = assertThrows(() => listenTcp({ ...here, port }), Deno.errors.AddrInUse);
  assertStringIncludes(used.message, `Cannot listen on tcp 127.0.0.1:${port}: EADDRINUSE (address already in use); `);
  const { code, errno, syscall } = used as Error & Record<string, unknown>;
  assertEquals([code, syscall], ["EADDRINUSE", "bind"]);
  if (Deno.build.os === "linux") assertEquals(errno, 98);
  assertInstanceOf(used.cause, Deno.errors.AddrInUse);

  const foreign = assertThrows(() => listenTcp({ hostname: "192.0.2.1", port: 0 }), Deno.errors.AddrNotAvailable);
  assertStringIncludes(
    foreign.message,
    "Cannot listen on tcp 192.0.2.1:0: EADDRNOTAVAIL (cannot assign requested address); the address must be one of this machine's",
  );
  const unknown = assertThrows(() => listenTcp({ hostname: "no-such-host.invalid", port: 0 }), Error);
  assertStringIncludes(
    unknown.message,
    "Cannot listen on tcp no-such-host.invalid:0: the name cannot be looked up (",
  );
});

test("listenTcp() accepts on one interface without the privilege to change it", {
  ...OTHER_PROGRAM,
  root: true,
  linux: true,
  run: ["setpriv"],
}, async () => {
  const url = (room: string) => JSON.stringify(import.meta.resolve(`../../${room}/mod.ts`));
  const code = `
    import { listenTcp } from ${url("tcp")};
    import { SO_BINDTODEVICE, SO_BINDTOIFINDEX } from ${url("options")};
    for (const setting of [SO_BINDTODEVICE.to("lo"), SO_BINDTOIFINDEX.to(1)]) {
      using listener = listenTcp({ hostname: "127.0.0.1", port: 0, noDelay: true, options: [setting] });
      using client = await Deno.connect({ port: listener.addr.port });
      using conn = await listener.accept();
      console.log(SO_BINDTODEVICE.get(listener), SO_BINDTODEVICE.get(conn));
    }`;
  const { stdout, stderr } = await new Deno.Command("setpriv", {
    args: ["--inh-caps=-all", "--bounding-set=-all", Deno.execPath(), "eval", "--no-config", "--no-lock", code],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  assertEquals(decoder.decode(stdout) + decoder.decode(stderr), "lo lo\nlo lo\n");
});

test("listenTcp() says who may listen below port 1024", {
  ...OTHER_PROGRAM,
  root: true,
  linux: true,
  run: ["setpriv"],
}, async () => {
  const module = import.meta.resolve("../../tcp/mod.ts");
  const { stdout, stderr } = await new Deno.Command("setpriv", {
    args: [
      "--inh-caps=-net_bind_service",
      "--bounding-set=-net_bind_service",
      Deno.execPath(),
      "eval",
      "--no-config",
      "--no-lock",
      `import { listenTcp } from ${JSON.stringify(module)};
       try { listenTcp({ hostname: "127.0.0.1", port: 80 }); } catch (e) { console.log(e.name, e.code, e.errno, e.syscall, e.message); }`,
    ],
  }).output();
  assertEquals(
    new TextDecoder().decode(stdout).trim(),
    "PermissionDenied EACCES 13 bind Cannot listen on tcp 127.0.0.1:80: EACCES (permission denied); ports below 1024 need CAP_NET_BIND_SERVICE",
    new TextDecoder().decode(stderr),
  );
});

Deno.test("listenTcp() checks every argument before it listens", () => {
  const at = "Cannot listen on tcp 127.0.0.1:0: ";
  const bad: [given: unknown, error: ErrorConstructor, message: string][] = [
    [undefined, TypeError, "Cannot listen on TCP: the argument is undefined, it must be an object with a port"],
    [{}, TypeError, "Cannot listen on TCP: the port is undefined, it must be a whole number from 0 to 65535"],
    [{ port: 65536 }, RangeError, "Cannot listen on TCP: the port is 65536, it must be a whole number from 0 to 65535"],
    [{ port: -1 }, RangeError, "the port is -1"],
    [{ port: 0.5 }, RangeError, "the port is 0.5"],
    [{ port: NaN }, RangeError, "the port is NaN"],
    [{ port: "0" }, TypeError, 'the port is "0"'],
    [{ port: 0, hostname: "" }, TypeError, 'hostname is "", it must be an address or a name'],
    [{ port: 0, hostname: 0 }, TypeError, "hostname is 0"],
    [{ ...here, backlog: -1 }, RangeError, at + "backlog is -1, it must be a whole number from 0 to 2147483647"],
    [{ ...here, backlog: 1.5 }, RangeError, "backlog is 1.5"],
    [{ ...here, backlog: NaN }, RangeError, "backlog is NaN"],
    [{ ...here, backlog: "many" }, TypeError, 'backlog is "many"'],
    [{ ...here, reuseAddress: 1 }, TypeError, at + "reuseAddress is 1, it must be true or false"],
    [{ ...here, reusePort: "yes" }, TypeError, 'reusePort is "yes"'],
    [{ ...here, ipv6Only: 0 }, TypeError, "ipv6Only is 0"],
    [{ ...here, signal: "now" }, TypeError, at + 'signal is "now", it must be an AbortSignal'],
    [{ ...here, noDelay: "true" }, TypeError, at + 'noDelay is "true", it must be true or false'],
    [{ ...here, keepAlive: { idle: -1 } }, RangeError, "keepAlive.idle is -1"],
    [{ ...here, dscp: 64 }, RangeError, "dscp is 64"],
    [{ ...here, hopLimit: 0 }, RangeError, "hopLimit is 0"],
    [{ ...here, options: {} }, TypeError, "options is an object (Object), it must be an array"],
    [
      { ...here, noDelay: true, options: [TCP_NODELAY.to(true)] },
      TypeError,
      "noDelay and TCP_NODELAY in options set the same",
    ],
    [{ ...here, options: [TCP_QUICKACK.to(true), TCP_QUICKACK.to(true)] }, TypeError, "options has TCP_QUICKACK twice"],
    [
      { ...here, reuseAddress: true, options: [SO_REUSEADDR.to(true)] },
      TypeError,
      "reuseAddress and SO_REUSEADDR in options",
    ],
    [
      { ...here, reusePort: false, options: [SO_REUSEPORT.to(true)] },
      TypeError,
      "reusePort and SO_REUSEPORT in options",
    ],
    [{ ...here, ipv6Only: false, options: [IPV6_V6ONLY.to(true)] }, TypeError, "ipv6Only and IPV6_V6ONLY in options"],
  ];
  for (const [given, error, message] of bad) {
    const thrown = assertThrows(() => listenTcp(given as ListenTcpOptions), Error, message);
    assertStrictEquals(thrown.constructor, error, message);
  }
});

test("listenTcp() counts what the kernel has, where nothing stands in the way of connections", FFI, async () => {
  using listener = listenTcp(here);
  assertEquals(listener.connections, 0);
  {
    using _both = await pair(listener);
    assertEquals(listener.connections, 1);
  }
  assertEquals(listener.connections, 0);
  assertEquals(Object.values(listener.refused), [0, 0, 0, 0, 0, 0]);
});

test("listenTcp() shares a port, with --unstable-net by Deno and without it by a socket of its own", {
  ...OTHER_PROGRAM,
  linux: true,
}, async () => {
  const code = `
    try {
      const one = tcp.listenTcp({ hostname: "127.0.0.1", port: 0, reusePort: true });
      const two = tcp.listenTcp({ hostname: "127.0.0.1", port: one.addr.port, reusePort: true });
      console.log(one.addr.port === two.addr.port);
      one.close(); two.close();
    } catch (error) { say(error); }`;
  assertEquals(await runWith(["--allow-net", "--unstable-net"], code), { code: 0, output: "true" });
  assertEquals(await runWith(["--allow-net", "--allow-ffi"], code), { code: 0, output: "true" });
  const plain = await runWith(["--allow-net"], code);
  assertEquals(plain.code, 0);
  assertStringIncludes(plain.output, "NotCapable: Cannot listen on tcp 127.0.0.1:0: Requires ffi access");
});

test("listenTcp() without --allow-net says what Deno says", OTHER_PROGRAM, async () => {
  const { code, output } = await runWith(
    [],
    `try { tcp.listenTcp({ port: 1 }); } catch (error) { say(error); }`,
  );
  assertEquals(code, 0, output);
  assertEquals(output, 'NotCapable: Requires net access to "0.0.0.0:1", run again with the --allow-net flag');
});

test("listenTcp() keeps a program alive only while it is ref'd, with options too", OTHER_PROGRAM, async () => {
  const { code, output } = await runWith(
    ["--allow-net"],
    `const listener = tcp.listenTcp({ hostname: "127.0.0.1", port: 0, noDelay: true });
     listener.unref();
     listener.accept();
     console.log("done");`,
  );
  assertEquals({ code, output }, { code: 0, output: "done" });
  assert(output.length > 0);
  assertFalse(output.includes("Error"));
});
