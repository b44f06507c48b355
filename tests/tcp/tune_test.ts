// tuneTcp: sockets that exist already, whoever made them, and what the kernel then has.
// New sockets: connect_test.ts, listen_test.ts.
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  DESCRIPTOR,
  IP_TOS,
  IP_TTL,
  IPV6_UNICAST_HOPS,
  SO_KEEPALIVE,
  SO_RCVBUF,
  TCP_CONGESTION,
  TCP_FASTOPEN,
  TCP_KEEPIDLE,
  TCP_NODELAY,
  TCP_QUICKACK,
} from "../../options/mod.ts";
import { findSocket } from "../../socket/mod.ts";
import { connectTcp, listenTcp, type TcpOptions, tuneTcp } from "../../tcp/mod.ts";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "../needs.ts";
import { OTHER_PROGRAM, runWith } from "./other_program.ts";
import { OUTSIDE, seenFromOutside } from "./outside.ts";

const here = { hostname: "127.0.0.1", port: 0 } as const;

/** Two ends of a connection. */
async function pair(hostname = "127.0.0.1") {
  using listener = Deno.listen({ hostname, port: 0 });
  const client = await Deno.connect({ hostname, port: listener.addr.port });
  const conn = await listener.accept();
  return {
    client,
    conn,
    [Symbol.dispose]() {
      client.close();
      conn.close();
    },
  };
}

const ALL: TcpOptions = {
  noDelay: true,
  keepAlive: { idle: 30_000, interval: 10_000, count: 3 },
  linger: false,
  userTimeout: 12_345,
  sendBufferSize: 65_536,
  receiveBufferSize: 131_072,
  dscp: 46,
  hopLimit: 33,
};
/** The same as Linux has it. */
const IN_FORCE = { ...ALL, sendBufferSize: 2 * 65_536, receiveBufferSize: 2 * 131_072 };

test("tuneTcp() sets a connection of Deno's and returns what is in force", { ffi: true, linux: true }, async () => {
  using both = await pair();
  assertEquals<object>(tuneTcp(both.conn, ALL), IN_FORCE);
  assertEquals<object>(tuneTcp(both.client, ALL), IN_FORCE);
  // The two ends of another connection are as they were.
  using other = await pair();
  assertEquals(tuneTcp(other.conn, {}).noDelay, false);
});

test("tuneTcp() with nothing to set only reads", OUTSIDE, async () => {
  using both = await pair();
  const before = await seenFromOutside(both.conn.localAddr, both.conn.remoteAddr);
  const settings = tuneTcp(both.conn, {});
  assertEquals(await seenFromOutside(both.conn.localAddr, both.conn.remoteAddr), before);
  assertEquals(settings, {
    noDelay: before.TCP_NODELAY === 1,
    keepAlive: false,
    linger: false,
    userTimeout: before.TCP_USER_TIMEOUT,
    sendBufferSize: before.SO_SNDBUF,
    receiveBufferSize: before.SO_RCVBUF,
    dscp: before.IP_TOS >> 2,
    hopLimit: before.IP_TTL,
  });
});

test("tuneTcp() sets what another process then sees", OUTSIDE, async () => {
  using both = await pair();
  tuneTcp(both.client, { ...ALL, linger: 1_500 });
  const seen = await seenFromOutside(both.client.localAddr, both.client.remoteAddr);
  assertEquals(seen.SO_KEEPALIVE, 1);
  assertEquals(seen.TCP_KEEPIDLE, 30);
  assertEquals(seen.SO_LINGER, [1, 2]);
  assertEquals(seen.SO_RCVBUF, 2 * 131_072);
  assertEquals(seen.TCP_NODELAY, 1);
  assertEquals(seen.IP_TOS >> 2, 46);
  tuneTcp(both.client, { linger: false });
  assertEquals((await seenFromOutside(both.client.localAddr, both.client.remoteAddr)).SO_LINGER[0], 0);
});

test("tuneTcp() reads and sets by the family of the connection", OUTSIDE, async () => {
  using six = await pair("::1");
  const settings = tuneTcp(six.client, { dscp: 22, hopLimit: 5 });
  assertEquals([settings.dscp, settings.hopLimit], [22, 5]);
  const seen = await seenFromOutside(six.client.localAddr, six.client.remoteAddr);
  assertEquals([seen.IPV6_TCLASS! >> 2, seen.IPV6_UNICAST_HOPS], [22, 5]);
  using listener = Deno.listen({ hostname: "::", port: 0 });
  using _client = await Deno.connect({ port: listener.addr.port });
  using mapped = await listener.accept();
  const four = tuneTcp(mapped, { dscp: 23, hopLimit: 6 });
  assertEquals([four.dscp, four.hopLimit], [23, 6]);
  const outside = await seenFromOutside(mapped.localAddr, mapped.remoteAddr);
  assertEquals([outside.IP_TOS >> 2, outside.IP_TTL], [23, 6]);
  const dual = tuneTcp(listener, { dscp: 24 });
  assertEquals(dual.dscp, 24);
  assertEquals(IP_TOS.get(listener) >> 2, 24);
});

test(
  "tuneTcp() of a listener of listenTcp() is what its next connections carry",
  { ffi: true, linux: true },
  async () => {
    using listener = listenTcp({ ...here, noDelay: true, keepAlive: { idle: 60_000 }, hopLimit: 9 });
    const settings = tuneTcp(listener, { noDelay: false, keepAlive: { idle: 20_000 } });
    assertEquals(settings.noDelay, false);
    using _client = await Deno.connect({ port: listener.addr.port });
    using conn = await listener.accept();
    const carried = tuneTcp(conn, {});
    assertEquals(carried.noDelay, false);
    assertEquals(carried.keepAlive && carried.keepAlive.idle, 20_000);
    assertEquals(carried.hopLimit, 9);
  },
);

test(
  "tuneTcp() of a running Deno.serve sets its listener and its live connection, as seen from outside",
  OUTSIDE,
  async () => {
    await using server = Deno.serve({ ...here, onListen() {} }, () => new Response("hello"));
    using client = await Deno.connect({ port: server.addr.port });
    const request = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    await client.write(request);
    const buffer = new Uint8Array(1024);
    assert(await client.read(buffer));

    const settings = tuneTcp(server, { ...ALL, linger: 0 });
    assertEquals(settings.keepAlive, { idle: 30_000, interval: 10_000, count: 3 });
    const listening = await seenFromOutside(server.addr);
    const live = await seenFromOutside(client.remoteAddr, client.localAddr);
    for (const seen of [listening, live]) {
      assertEquals(seen.SO_KEEPALIVE, 1);
      assertEquals([seen.TCP_KEEPIDLE, seen.TCP_KEEPINTVL, seen.TCP_KEEPCNT], [30, 10, 3]);
      assertEquals(seen.SO_LINGER, [1, 0]);
      assertEquals(seen.SO_RCVBUF, 2 * 131_072);
      assertEquals(seen.TCP_NODELAY, 1);
      assertEquals(seen.IP_TOS >> 2, 46);
    }
    // The client's own end is as it was, and the server goes on.
    assertEquals((await seenFromOutside(client.localAddr, client.remoteAddr)).SO_KEEPALIVE, 0);
    await client.write(request);
    assertStringIncludes(new TextDecoder().decode(buffer.subarray(0, (await client.read(buffer))!)), "hello");
    // Connections that come later have it from the listener.
    using later = await Deno.connect({ port: server.addr.port });
    await later.write(request);
    assert(await later.read(buffer));
    assertEquals((await seenFromOutside(later.remoteAddr, later.localAddr)).TCP_KEEPIDLE, 30);
  },
);

test(
  "tuneTcp() of Deno.serve gives each option to the sockets it means something on",
  { ffi: true, linux: true },
  async () => {
    await using server = Deno.serve({ ...here, onListen() {} }, () => new Response("hello"));
    using client = await Deno.connect({ port: server.addr.port });
    await client.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: here\r\n\r\n"));
    assert(await client.read(new Uint8Array(1024)));
    // TCP_FASTOPEN is refused by every connected socket.
    tuneTcp(server, { options: [TCP_FASTOPEN.to(3), TCP_QUICKACK.to(true)] });
    assertEquals(TCP_FASTOPEN.get(server), 3);
  },
);

test(
  "tuneTcp() of a Deno.serve on both families gives an option of one to its connections alone",
  { ffi: true, linux: true },
  async () => {
    await using server = Deno.serve({ hostname: "::", port: 0, onListen() {} }, () => new Response("hello"));
    const { port } = server.addr;
    using four = await Deno.connect({ hostname: "127.0.0.1", port });
    using six = await Deno.connect({ hostname: "::1", port });
    for (const client of [four, six]) {
      await client.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: here\r\n\r\n"));
      assert(await client.read(new Uint8Array(1024)));
    }
    tuneTcp(server, { options: [IP_TTL.to(9), IPV6_UNICAST_HOPS.to(11)] });
    assertEquals([IP_TTL.get(server), IPV6_UNICAST_HOPS.get(server)], [9, 11]);
    const hopLimits = [four, six].map(({ localAddr: { port } }) =>
      tuneTcp(findSocket({ remoteAddr: { port } }), {}).hopLimit
    );
    assertEquals(hopLimits, [9, 11]);
  },
);

test("tuneTcp() takes sockets and servers of node:net", { ffi: true, linux: true }, async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const accepting = once(server, "connection");
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  const [accepted] = await accepting;
  assertEquals(tuneTcp(server, { keepAlive: { idle: 9_000 } }).keepAlive && TCP_KEEPIDLE.get(server), 9);
  assertEquals<object>(tuneTcp(socket, ALL), IN_FORCE);
  assertEquals(tuneTcp(accepted, { hopLimit: 3 }).hopLimit, 3);
  socket.destroy();
  accepted.destroy();
  server.close();
  await Promise.all([once(server, "close"), once(socket, "close")]);
});

test("tuneTcp() takes a descriptor that another object of this library has", { ffi: true, linux: true }, async () => {
  using both = await pair();
  tuneTcp(both.conn, { hopLimit: 77 });
  const settings = tuneTcp(both.conn, {});
  assertEquals(settings.hopLimit, 77);
  assertThrows(() => tuneTcp({ [DESCRIPTOR]: 1 << 19 }, {}), Deno.errors.BadResource, "Cannot tune a TCP socket");
});

test("tuneTcp() rounds milliseconds up, never to zero", { ffi: true }, async () => {
  using both = await pair();
  const { keepAlive, linger } = tuneTcp(both.conn, { keepAlive: { idle: 1, interval: 1_001 }, linger: 1 });
  assertEquals(keepAlive && [keepAlive.idle, keepAlive.interval], [1_000, 2_000]);
  assertEquals(linger, 1_000);
  tuneTcp(both.conn, { linger: false });
});

test("tuneTcp() keeps the two ECN bits when it sets dscp", { ffi: true, linux: true }, async () => {
  using both = await pair();
  const before = IP_TOS.get(both.conn) & 3;
  tuneTcp(both.conn, { dscp: 63 });
  assertEquals(IP_TOS.get(both.conn), 63 << 2 | before);
});

test("tuneTcp() sets nothing after an option that failed, and names it", { ffi: true, linux: true }, async () => {
  using both = await pair();
  const before = tuneTcp(both.conn, {});
  const error = assertThrows(
    () => tuneTcp(both.conn, { noDelay: true, options: [TCP_CONGESTION.to("no_such"), TCP_KEEPIDLE.to(99)] }),
    Error,
    "TCP_CONGESTION",
  );
  assertEquals((error as Error & { code?: string }).code, "ENOENT");
  assertEquals(TCP_NODELAY.get(both.conn), true, "those before it are set");
  assertNotEquals(TCP_KEEPIDLE.get(both.conn), 99);
  assertEquals(tuneTcp(both.conn, { noDelay: before.noDelay }), before);
});

test("tuneTcp() checks all arguments before it sets anything", { ffi: true }, async () => {
  using both = await pair();
  const before = tuneTcp(both.conn, {});
  const at = "Cannot tune a TCP socket: ";
  const bad: [given: unknown, error: ErrorConstructor, message: string][] = [
    [undefined, TypeError, at + "the second argument is undefined, it must be an object of settings"],
    [{ noDelay: true, hopLimit: 0 }, RangeError, at + "hopLimit is 0, it must be a whole number from 1 to 255"],
    [{ noDelay: true, dscp: NaN }, RangeError, at + "dscp is NaN"],
    [{ noDelay: true, userTimeout: 0.5 }, RangeError, at + "userTimeout is 0.5"],
    [{ noDelay: true, linger: "0" }, TypeError, at + 'linger is "0"'],
    [{ noDelay: true, keepAlive: { count: -1 } }, RangeError, at + "keepAlive.count is -1"],
    [{ noDelay: true, options: ["TCP_QUICKACK"] }, TypeError, at + 'options[0] is "TCP_QUICKACK"'],
    [{ noDelay: true, options: [TCP_NODELAY.to(true)] }, TypeError, at + "noDelay and TCP_NODELAY in options"],
    [{ noDelay: true, options: [SO_RCVBUF.to(9), SO_RCVBUF.to(9)] }, TypeError, at + "options has SO_RCVBUF twice"],
  ];
  for (const [given, error, message] of bad) {
    const thrown = assertThrows(() => tuneTcp(both.conn, given as TcpOptions), Error, message);
    assertStrictEquals(thrown.constructor, error, message);
  }
  assertEquals(tuneTcp(both.conn, {}), before);
});

test("tuneTcp() refuses what is no TCP socket", { ffi: true }, () => {
  const at = "Cannot tune a TCP socket: ";
  for (const socket of [undefined, null, 5, "socket", {}, []]) {
    assertThrows(() => tuneTcp(socket as never, {}), TypeError, at + "the socket is");
  }
  const udp = Deno.listenDatagram({ transport: "udp", ...here });
  const error = assertThrows(() => tuneTcp(udp, { hopLimit: 3 }), TypeError);
  const { port } = udp.addr as Deno.NetAddr;
  assertEquals(error.message, `${at}the socket is udp 127.0.0.1:${port}, it must be a TCP socket`);
  udp.close();
});

test("tuneTcp() refuses a unix socket", { ffi: true, read: true, write: true, linux: true }, async () => {
  const path = await Deno.makeTempFile();
  await Deno.remove(path);
  using unix = Deno.listen({ transport: "unix", path });
  assertThrows(() => tuneTcp(unix, {}), TypeError, "it must be a TCP socket");
  await Deno.remove(path);
});

test("tuneTcp() refuses a closed socket, also when its number belongs to another now", { ffi: true }, async () => {
  const both = await pair();
  tuneTcp(both.conn, {});
  both.conn.close();
  both.client.close();
  using next = await pair();
  assertThrows(
    () => tuneTcp(both.conn, { noDelay: true }),
    Deno.errors.BadResource,
    "Cannot tune a TCP socket: the socket is closed",
  );
  assertThrows(() => tuneTcp(both.client, { noDelay: true }), Deno.errors.BadResource);
  assertEquals(TCP_NODELAY.get(next.conn), false);
  assertEquals(TCP_NODELAY.get(next.client), false);
});

test("tuneTcp() works on what connectTcp() and listenTcp() gave", { ffi: true, linux: true }, async () => {
  using listener = listenTcp(here);
  using client = await connectTcp({ port: listener.addr.port });
  using conn = await listener.accept();
  assertEquals<object>(tuneTcp(listener, ALL), IN_FORCE);
  assertEquals<object>(tuneTcp(client, ALL), IN_FORCE);
  assertEquals<object>(tuneTcp(conn, ALL), IN_FORCE);
  assertEquals(SO_KEEPALIVE.get(listener), true);
});

test("tuneTcp() without --allow-ffi says which flag it needs", OTHER_PROGRAM, async () => {
  const { code, output } = await runWith(
    ["--allow-net"],
    `const listener = tcp.listenTcp({ hostname: "127.0.0.1", port: 0 });
     for (const settings of [{}, { noDelay: true }, { noDelay: 1 }]) {
       try { tcp.tuneTcp(listener, settings); } catch (error) { say(error); }
     }
     listener.close();`,
  );
  assertEquals(code, 0, output);
  const lines = output.split("\n");
  assertStringIncludes(lines[0]!, "NotCapable: Cannot tune a TCP socket: Requires ffi access");
  assertStringIncludes(lines[1]!, "NotCapable: Cannot tune a TCP socket with noDelay: Requires ffi access");
  assertStringIncludes(lines[1]!, "run again with the --allow-ffi flag");
  assertEquals(lines[2], "TypeError: Cannot tune a TCP socket: noDelay is 1, it must be true or false");
});

test(
  "tuneTcp() takes a TLS connection",
  { ffi: true, run: ["openssl"], read: true, write: true, linux: true },
  async () => {
    const folder = await Deno.makeTempDir();
    const made = await new Deno.Command("openssl", {
      args: [
        ..."req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout"
          .split(" "),
        `${folder}/key`,
        "-out",
        `${folder}/cert`,
      ],
      stderr: "null",
    }).output();
    assertEquals(made.code, 0);
    const [key, cert] = [await Deno.readTextFile(`${folder}/key`), await Deno.readTextFile(`${folder}/cert`)];
    await Deno.remove(folder, { recursive: true });
    using listener = Deno.listenTls({ ...here, key, cert });
    const accepting = listener.accept();
    using plain = await connectTcp({ hostname: "localhost", port: listener.addr.port });
    tuneTcp(plain, { dscp: 8 });
    using client = await Deno.startTls(plain, { hostname: "localhost", caCerts: [cert] });
    using conn = await accepting;
    await Promise.all([client.handshake(), conn.handshake()]);
    assertEquals(tuneTcp(client, { keepAlive: { idle: 8_000 } }).dscp, 8);
    assertEquals(tuneTcp(conn, { hopLimit: 12 }).hopLimit, 12);
    assertInstanceOf(tuneTcp(listener, { hopLimit: 13 }), Object);
  },
);
