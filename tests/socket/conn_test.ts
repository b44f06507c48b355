// asConn, asListener and toNodeSocket: what is written for Deno's connections, or on node:net, runs on sockets of our own.
// The sockets themselves are tested a file per call beside this one; Deno's own connections in tests/tcp/.
import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import http from "node:http";
import net from "node:net";
import tls from "node:tls";
import { DESCRIPTOR } from "../../internal/descriptor.ts";
import { SO_KEEPALIVE, SO_RCVBUF, SO_SNDBUF, TCP_NODELAY } from "../../options/mod.ts";
import { Socket } from "../../socket/socket.ts";
import { certificate } from "../certificate.ts";
import { type Needs, test as registered } from "../needs.ts";

const NEEDS = { linux: true, ffi: true } as const;
const LOCAL = { hostname: "127.0.0.1", port: 0 };

/** A test, and a while after it: the call that is parked in a thread ends a moment after the last close. */
function test(name: string, needs: Needs, fn: () => void | Promise<void>): void {
  registered(name, needs, async () => {
    await fn();
    await soon();
  });
}

function listening(): Socket<"inet"> {
  const listener = Socket.open("inet", "stream");
  listener.bind(LOCAL);
  listener.listen();
  return listener;
}

/** Two connected TCP sockets, client first. */
async function tcpPair(): Promise<[Socket<"inet">, Socket<"inet">]> {
  using listener = listening();
  const client = Socket.open("inet", "stream");
  await client.connect(listener.localAddr!);
  return [client, await listener.accept()];
}

function unixPair(): Promise<[Socket, Socket]> {
  return Promise.resolve(Socket.pair());
}

const KINDS = { tcp: tcpPair, unix: unixPair } as const;

async function conns(kind: keyof typeof KINDS = "tcp"): Promise<[Deno.Conn, Deno.Conn]> {
  const [left, right] = await KINDS[kind]();
  return [left.asConn(), right.asConn()];
}

function pattern(byteLength: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(byteLength);
  for (let i = 0; i < byteLength; i++) bytes[i] = (i * 31 + (i >> 8) * seed) & 0xff;
  return bytes;
}

function streamOf(bytes: Uint8Array<ArrayBuffer>, chunk: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.byteLength) return controller.close();
      controller.enqueue(bytes.subarray(at, at += chunk));
    },
  });
}

/** Reads to the end. */
async function readAll(conn: Deno.Conn): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const buffer = new Uint8Array(65_536);;) {
    const count = await conn.read(buffer);
    if (count === null) return await new Response(new Blob(parts)).bytes();
    parts.push(buffer.slice(0, count));
  }
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (words: string) => new TextEncoder().encode(words);
const soon = () => new Promise((resolve) => setTimeout(resolve, 20));

function isClosed(conn: Deno.Conn): boolean {
  try {
    return (conn as unknown as { [DESCRIPTOR]: number })[DESCRIPTOR] < 0;
  } catch (error) {
    assert(error instanceof Deno.errors.BadResource);
    return true;
  }
}

for (const kind of ["tcp", "unix"] as const) {
  test(`${kind}: 1 MiB goes both ways at once through the streams, and both connections close`, NEEDS, async () => {
    const [left, right] = await conns(kind);
    const [there, back] = [pattern(1 << 20, 3), pattern(1 << 20, 7)];
    const [, gotBack, , gotThere] = await Promise.all([
      streamOf(there, 100_000).pipeTo(left.writable),
      new Response(left.readable).bytes(),
      streamOf(back, 7_777).pipeTo(right.writable),
      new Response(right.readable).bytes(),
    ]);
    assertEquals(gotThere, there);
    assertEquals(gotBack, back);
    assertEquals([isClosed(left), isClosed(right)], [true, true]);
    assertThrows(() => left.close(), Deno.errors.BadResource);
  });

  test(`${kind}: a writable stops taking while nobody reads at the other end`, NEEDS, async () => {
    const [left, right] = await conns(kind);
    SO_SNDBUF.set(left, 16_384);
    if (kind === "tcp") SO_RCVBUF.set(right, 16_384);
    let taken = 0;
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        taken++;
        if (taken > 256) controller.close();
        else controller.enqueue(new Uint8Array(65_536));
      },
    });
    const piped = source.pipeTo(left.writable);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert(taken < 128, `${taken} chunks of 64 KiB were taken, nobody has read one`);
    let received = 0;
    for await (const chunk of right.readable) received += chunk.byteLength;
    await piped;
    assertEquals(received, 256 * 65_536);
    left.close();
  });

  test(`${kind}: a readable takes nothing from the kernel that nobody asked for`, NEEDS, async () => {
    const [left, right] = await conns(kind);
    const reader = right.readable.getReader();
    await left.write(bytes("one"));
    assertEquals(text((await reader.read()).value!), "one");
    await left.write(bytes("two"));
    await soon();
    reader.releaseLock();
    const buffer = new Uint8Array(8);
    assertEquals(await right.read(buffer), 3);
    assertEquals(text(buffer.subarray(0, 3)), "two");
    left.close();
    right.close();
  });

  test(`${kind}: an echo by pipeTo serves a half-closing client to the end and closes`, NEEDS, async () => {
    const [client, server] = await conns(kind);
    const served = server.readable.pipeTo(server.writable);
    const sent = pattern(300_000, 5);
    const [got] = await Promise.all([readAll(client), streamOf(sent, 65_536).pipeTo(client.writable)]);
    await served;
    assertEquals(got, sent);
    assertEquals(isClosed(server), true);
    assertEquals(isClosed(client), false, "its readable was never taken");
    client.close();
  });

  test(`${kind}: closeWrite ends what the peer reads, and the other direction goes on`, NEEDS, async () => {
    const [left, right] = await conns(kind);
    await left.write(bytes("question"));
    await left.closeWrite();
    await left.closeWrite();
    assertEquals(text(await readAll(right)), "question");
    await assertRejects(() => left.write(bytes("more")), Deno.errors.BrokenPipe);
    await right.write(bytes("answer"));
    right.close();
    assertEquals(text(await readAll(left)), "answer");
    assertEquals(await left.read(new Uint8Array(1)), null);
    left.close();
  });

  test(
    `${kind}: a read that waits when the connection is closed is interrupted, later calls find no resource`,
    NEEDS,
    async () => {
      const [left, right] = await conns(kind);
      const pending = assertRejects(() => left.read(new Uint8Array(8)), Deno.errors.Interrupted, "operation canceled");
      const behind = assertRejects(() => left.read(new Uint8Array(8)), Deno.errors.Interrupted);
      await soon();
      left.close();
      await pending;
      await behind;
      await assertRejects(() => left.read(new Uint8Array(8)), Deno.errors.BadResource);
      await assertRejects(() => left.write(new Uint8Array(8)), Deno.errors.BadResource);
      await assertRejects(() => left.closeWrite(), Deno.errors.BadResource);
      assertThrows(() => left.close(), Deno.errors.BadResource);
      left[Symbol.dispose]();
      left.ref();
      left.unref();
      right.close();
    },
  );
}

test(
  "streams of a connection that is closed: the reader is interrupted, writes fail, close does not",
  NEEDS,
  async () => {
    const [left, right] = await conns();
    const pending = assertRejects(() => left.readable.getReader().read(), Deno.errors.Interrupted);
    const writer = left.writable.getWriter();
    await soon();
    left.close();
    await pending;
    await assertRejects(() => writer.write(bytes("x")), Deno.errors.BadResource);
    await assertRejects(() => writer.closed, Deno.errors.BadResource);
    right.writable.getWriter();
    right.close();
    const [a, b] = await conns();
    const idle = a.writable;
    a.close();
    await idle.close();
    b.close();
  },
);

test("the ends of streams close what Deno closes, but for a half that is in use", NEEDS, async () => {
  // The readable ends, nobody has a writable: closed, as Deno does.
  let [left, right] = await conns();
  left.close();
  assertEquals(await new Response(right.readable).text(), "");
  assertEquals(isClosed(right), true);
  // With a writable in use the answer can go out.
  [left, right] = await conns();
  const writer = right.writable.getWriter();
  await left.closeWrite();
  assertEquals(await new Response(right.readable).text(), "");
  await writer.write(bytes("answer"));
  assertEquals(isClosed(right), false);
  await writer.close();
  assertEquals(isClosed(right), true);
  assertEquals(text(await readAll(left)), "answer");
  left.close();
  // cancel() alone closes; with a writable in use it ends reading alone, also for a read that waits.
  [left, right] = await conns();
  await right.readable.cancel();
  assertEquals(isClosed(right), true);
  left.close();
  [left, right] = await conns();
  const answer = right.writable.getWriter();
  const reader = right.readable.getReader();
  const pending = reader.read();
  await soon();
  await reader.cancel();
  assertEquals((await pending).done, true);
  await left.write(bytes("nobody reads this"));
  assertEquals(await right.read(new Uint8Array(8)), null);
  await answer.write(bytes("still"));
  const buffer = new Uint8Array(8);
  assertEquals(await left.read(buffer), 5);
  await answer.close();
  assertEquals(isClosed(right), true);
  left.close();
  // abort() closes, a write that waits or not.
  [left, right] = await conns();
  await left.writable.abort("reason");
  assertEquals(isClosed(left), true);
  assertEquals(await right.read(new Uint8Array(8)), null);
  right.close();
  [left, right] = await conns();
  const stuck = left.writable.getWriter();
  const write = assertRejects(() => stuck.write(new Uint8Array(30_000_000)));
  await soon();
  await stuck.abort("reason");
  await write;
  assertEquals(isClosed(left), true);
  right.close();
  // So does a chunk that is none.
  [left, right] = await conns();
  const wrong = left.writable.getWriter();
  await assertRejects(() => wrong.write("text" as unknown as Uint8Array), TypeError);
  await assertRejects(() => wrong.closed, TypeError);
  assertEquals(isClosed(left), true);
  right.close();
});

test("an explicit write that is under way is not cut off by the end of the readable", NEEDS, async () => {
  const [left, right] = await conns();
  const big = new Uint8Array(20_000_000);
  const write = right.write(big);
  await left.closeWrite();
  assertEquals(await new Response(right.readable).text(), "");
  const got = await readAll(left);
  assertEquals(got.byteLength, await write);
  assertEquals(isClosed(right), true);
  left.close();
});

test("a connection that is reset fails its streams and closes", NEEDS, async () => {
  const [left, right] = await conns();
  const reader = right.readable.getReader();
  const pending = assertRejects(() => reader.read(), Deno.errors.ConnectionReset);
  await right.write(bytes("never read"));
  await soon();
  left.close();
  await pending;
  assertEquals(isClosed(right), true);
});

test("BYOB readers read into their own memory", NEEDS, async () => {
  const [left, right] = await conns();
  const reader = right.readable.getReader({ mode: "byob" });
  await left.write(bytes("hello"));
  const first = await reader.read(new Uint8Array(3));
  assertEquals([text(first.value!), first.value!.buffer.byteLength], ["hel", 3]);
  left.close();
  assertEquals(text((await reader.read(new Uint8Array(100))).value!), "lo");
  assertEquals((await reader.read(new Uint8Array(100))).done, true);
});

test("writes of one connection go out in the order they were made, reads take turns", NEEDS, async () => {
  const [left, right] = await conns();
  const lengths = [3_000_000, 1_000_000, 10];
  const writes = Promise.all(lengths.map((length, i) => left.write(new Uint8Array(length).fill(i + 1))));
  const ended = writes.then(() => left.closeWrite());
  const got = await readAll(right);
  await ended;
  const counts = await writes;
  let at = 0;
  for (const [i, count] of counts.entries()) {
    assert(got.subarray(at, at += count).every((byte) => byte === i + 1), `write ${i}`);
  }
  assertEquals(at, got.byteLength);
  const reads = Promise.all([left.read(new Uint8Array(2)), left.read(new Uint8Array(8))]);
  await soon();
  await right.write(bytes("abcdef"));
  assertEquals(await reads, [2, 4]);
  left.close();
  right.close();
});

test("nothing to read or write is done at once, and what is no buffer is refused", NEEDS, async () => {
  const [left, right] = await conns();
  assertEquals(await left.read(new Uint8Array(0)), 0);
  assertEquals(await left.write(new Uint8Array(0)), 0);
  await assertRejects(() => left.read("x" as unknown as Uint8Array), TypeError);
  await assertRejects(() => left.write([1] as unknown as Uint8Array), TypeError);
  left.close();
  right.close();
});

test("a TCP connection has Deno's addresses, also when closed, and Deno.TcpConn's options", NEEDS, async () => {
  const [client, server] = await tcpPair();
  const { hostname, port } = client.localAddr!;
  const left = client.asConn() as Deno.TcpConn;
  const right = server.asConn() as Deno.TcpConn;
  assertEquals(left.localAddr, { transport: "tcp", hostname, port });
  assertEquals(right.remoteAddr, left.localAddr);
  assertEquals(left.remoteAddr, right.localAddr);
  left.setNoDelay();
  left.setKeepAlive();
  assertEquals([TCP_NODELAY.get(left), SO_KEEPALIVE.get(left)], [true, true]);
  left.setNoDelay(false);
  left.setKeepAlive(false);
  assertEquals([TCP_NODELAY.get(left), SO_KEEPALIVE.get(left)], [false, false]);
  left.close();
  right.close();
  assertEquals(left.localAddr, { transport: "tcp", hostname, port });
  assertThrows(() => left.setNoDelay(), Deno.errors.BadResource);
  const [one, other] = await conns("unix");
  assertEquals(one.localAddr, { transport: "unix", path: "" });
  assertEquals(one.remoteAddr, { transport: "unix", path: "" });
  assertEquals("setNoDelay" in one, false);
  one.close();
  other.close();
});

test("ownership moves: the socket is closed, the descriptor lives on in the connection", NEEDS, async () => {
  const [client, server] = await tcpPair();
  const { fd } = client;
  const waiting = assertRejects(() => client.receive(), Deno.errors.BadResource);
  const conn = client.asConn();
  await waiting;
  assertEquals((conn as unknown as { [DESCRIPTOR]: number })[DESCRIPTOR], fd);
  assertThrows(() => client.fd, Deno.errors.BadResource);
  assertThrows(() => client.trySend(bytes("x")), Deno.errors.BadResource);
  await assertRejects(() => client.receive(), Deno.errors.BadResource);
  assertThrows(() => client.close(), Deno.errors.BadResource);
  for (const taken of ["asConn", "asListener", "toNodeSocket"] as const) {
    assertThrows(() => client[taken](), Deno.errors.BadResource);
  }
  client[Symbol.dispose]();
  await conn.write(bytes("alive"));
  assertEquals(text(await server.receive()), "alive");
  conn.close();
  server.close();
});

test("what is no connected stream stays with its owner", NEEDS, () => {
  using datagrams = Socket.open("inet", "dgram");
  using listener = listening();
  using fresh = Socket.open("inet", "stream");
  const [packets, peer] = Socket.pair("seqpacket");
  for (const socket of [datagrams, packets]) {
    for (const taken of ["asConn", "asListener", "toNodeSocket"] as const) {
      assertThrows(() => socket[taken](), TypeError, "it must be a stream of family inet, inet6 or unix");
    }
  }
  for (const taken of ["asConn", "toNodeSocket"] as const) {
    assertThrows(() => fresh[taken](), Deno.errors.NotConnected, "connect() it first");
  }
  assertThrows(() => fresh.asListener(), TypeError, "call listen() first");
  assertThrows(() => listener.asConn(), Deno.errors.NotConnected, "use asListener()");
  assertThrows(() => listener.toNodeSocket(), Deno.errors.NotConnected, "server.listen({ fd: socket.detach() })");
  for (const socket of [datagrams, listener, fresh, packets, peer]) assert(socket.fd >= 0);
  packets.close();
  peer.close();
});

test("a listener gives Deno's connections, and iteration ends when it is closed", NEEDS, async () => {
  const socket = listening();
  const { hostname, port } = socket.localAddr!;
  const listener = socket.asListener();
  assertThrows(() => socket.fd, Deno.errors.BadResource);
  assertEquals(listener.addr, { transport: "tcp", hostname, port });
  const served = (async () => {
    let count = 0;
    for await (const conn of listener) {
      count++;
      await conn.readable.pipeTo(conn.writable);
    }
    return count;
  })();
  for (const words of ["first", "second"]) {
    using conn = await Deno.connect({ hostname, port });
    await conn.write(bytes(words));
    await conn.closeWrite();
    assertEquals(text(await readAll(conn)), words);
  }
  listener.ref();
  listener.close();
  assertEquals(await served, 2);
  assertThrows(() => listener.close(), Deno.errors.BadResource);
  await assertRejects(() => listener.accept(), Deno.errors.BadResource, "Listener has been closed");
  for await (const _ of listener) throw new Error("it is closed");
  listener[Symbol.dispose]();
  assertEquals(listener.addr, { transport: "tcp", hostname, port });
});

test("leaving the iteration closes the listener, an accept that waits is told", NEEDS, async () => {
  const socket = listening();
  const { hostname, port } = socket.localAddr!;
  const listener = socket.asListener();
  using conn = await Deno.connect({ hostname, port });
  for await (const accepted of listener) {
    assertEquals(accepted.remoteAddr, conn.localAddr);
    accepted.close();
    break;
  }
  assertThrows(() => listener.close(), Deno.errors.BadResource);
  const other = listening().asListener();
  const pending = assertRejects(() => other.accept(), Deno.errors.BadResource, "Listener has been closed");
  await soon();
  other.close();
  await pending;
});

test("a unix listener serves Deno's own client", { ...NEEDS, read: true, write: true }, async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/socket`;
    const socket = Socket.open("unix", "stream");
    socket.bind({ path });
    socket.listen();
    using listener = socket.asListener();
    assertEquals(listener.addr, { transport: "unix", path });
    using client = await Deno.connect({ transport: "unix", path });
    using server = await listener.accept();
    assertEquals([server.localAddr, server.remoteAddr], [{ transport: "unix", path }, { transport: "unix", path: "" }]);
    await client.write(bytes("hello"));
    const buffer = new Uint8Array(8);
    assertEquals(await server.read(buffer), 5);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const PYTHON = `
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
got = b""
while len(got) < 1 << 20:
    part = s.recv(65536)
    if not part: break
    got += part
s.sendall(got[::-1])
s.shutdown(socket.SHUT_WR)
print(len(got), s.recv(10))
`;

test("a python3 peer gets 1 MiB, answers with it reversed, and sees both ends", {
  ...NEEDS,
  run: ["python3"],
}, async () => {
  const socket = listening();
  const { port } = socket.localAddr!;
  using listener = socket.asListener();
  const child = new Deno.Command("python3", { args: ["-c", PYTHON, String(port)], stdout: "piped" }).spawn();
  const conn = await listener.accept();
  const sent = pattern(1 << 20, 11);
  const [got] = await Promise.all([
    new Response(conn.readable).bytes(),
    streamOf(sent, 10_000).pipeTo(conn.writable),
  ]);
  assertEquals(got, sent.toReversed());
  assertEquals(isClosed(conn), true);
  assertEquals(text((await child.output()).stdout), "1048576 b''\n");
});

/** A port that was free a moment ago. */
function freePort(): number {
  using probe = Socket.open("inet", "stream");
  probe.bind(LOCAL);
  return probe.localAddr!.port;
}

test("TLS over a socket that was bound to a chosen source port", { ...NEEDS, read: true }, async () => {
  const { cert, key } = await certificate();
  using listener = Deno.listenTls({ ...LOCAL, cert, key });
  const served = (async () => {
    const conn = await listener.accept();
    await conn.readable.pipeTo(conn.writable).catch(() => {});
    return conn.remoteAddr;
  })();
  const port = freePort();
  const socket = Socket.open("inet", "stream");
  socket.bind({ hostname: "127.0.0.1", port });
  await socket.connect(listener.addr as Deno.NetAddr);
  const plain = socket.toNodeSocket();
  assertThrows(() => socket.fd, Deno.errors.BadResource);
  const secure = tls.connect({ socket: plain, ca: cert, servername: "localhost" });
  const closed = new Promise((resolve) => secure.on("close", resolve));
  await new Promise((resolve, reject) => secure.on("secureConnect", resolve).on("error", reject));
  assertEquals(secure.authorized, true);
  const sent = pattern(100_000, 13);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let count = 0;
  const echoed = new Promise<void>((resolve) =>
    secure.on("data", (part: Uint8Array<ArrayBuffer>) => {
      parts.push(part.slice());
      if ((count += part.byteLength) >= sent.byteLength) resolve();
    })
  );
  secure.write(sent);
  await echoed;
  assertEquals(await new Response(new Blob(parts)).bytes(), sent);
  secure.end();
  assertEquals(await served, { transport: "tcp", hostname: "127.0.0.1", port });
  secure.destroy();
  await closed;
});

test("HTTP over a socket that was bound to a chosen source port", NEEDS, async () => {
  let from: Deno.Addr | undefined;
  await using server = Deno.serve({ ...LOCAL, onListen() {} }, async (request, info) => {
    from = info.remoteAddr;
    return new Response(`${request.method} ${await request.text()}`);
  });
  const port = freePort();
  const socket = Socket.open("inet", "stream");
  socket.bind({ hostname: "127.0.0.1", port });
  await socket.connect(server.addr as Deno.NetAddr);
  const said = await new Promise<string>((resolve, reject) => {
    const request = http.request({ method: "POST", createConnection: () => socket.toNodeSocket() }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (part: string) => body += part).on("end", () => resolve(body));
    });
    request.on("error", reject).end("hello");
  });
  assertEquals(said, "POST hello");
  assertEquals(from, { transport: "tcp", hostname: "127.0.0.1", port });
});

for (const kind of ["tcp", "unix"] as const) {
  test(`${kind}: node:net carries 1 MiB both ways and half-closes`, NEEDS, async () => {
    const [left, right] = await KINDS[kind]();
    const node = left.toNodeSocket();
    assertEquals(node instanceof net.Socket, true);
    assertThrows(() => left.close(), Deno.errors.BadResource);
    const conn = right.asConn();
    const sent = pattern(1 << 20, 17);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    node.on("data", (part: Uint8Array<ArrayBuffer>) => parts.push(part.slice()));
    const closed = new Promise((resolve) => node.on("close", resolve));
    const echoed = conn.readable.pipeTo(conn.writable);
    node.end(sent);
    await echoed;
    await closed;
    assertEquals(await new Response(new Blob(parts)).bytes(), sent);
  });
}

test("a listening descriptor goes to a server of node by listen({ fd })", NEEDS, async () => {
  const socket = listening();
  const address = socket.localAddr!;
  const server = net.createServer((peer) => peer.end("from node"));
  await new Promise<void>((resolve) => server.listen({ fd: socket.detach() }, resolve));
  const conn = await Deno.connect({ hostname: address.hostname, port: address.port });
  assertEquals(text(await readAll(conn)), "from node");
  conn.close();
  await new Promise((resolve) => server.close(resolve));
});

test("node:net is loaded by toNodeSocket alone", { ...NEEDS, run: [], read: true, env: true }, async () => {
  const module = new URL("../../socket/socket.ts", import.meta.url).href;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--config", config, module],
    env: { NO_COLOR: "1" },
  }).output();
  const { modules } = JSON.parse(text(stdout)) as {
    modules: { specifier: string; dependencies?: { specifier: string; code?: unknown }[] }[];
  };
  const conn = modules.find(({ specifier }) => specifier.endsWith("/socket/conn.ts"));
  assertNotEquals(conn, undefined);
  const node = modules.flatMap(({ dependencies }) => dependencies ?? [])
    .filter(({ specifier, code }) => specifier.startsWith("node:") && code !== undefined);
  assertEquals(node, []);
});

test("an unref'd connection keeps no program alive, a ref'd one does", {
  ...NEEDS,
  run: [],
  read: true,
  env: true,
}, async () => {
  const module = new URL("../../socket/socket.ts", import.meta.url).href;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const program = (how: string, milliseconds: number) => `
    import { Socket } from ${JSON.stringify(module)};
    const [left, right] = Socket.pair();
    const conn = left.asConn();
    ${how};
    conn.read(new Uint8Array(8)).then((count) => console.log("read", count));
    const timer = setTimeout(() => right.trySend(new Uint8Array(3)), ${milliseconds});
    Deno.unrefTimer(timer);
  `;
  async function run(how: string, milliseconds = 100): Promise<string> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", config, "-"],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(bytes(program(how, milliseconds)));
    await writer.close();
    return text((await child.output()).stdout);
  }
  assertEquals(await run("conn.ref()"), "read 3\n");
  // Far longer than a program takes to end.
  assertEquals(await run("conn.unref()", 60_000), "");
  assertEquals(await run("conn.unref(); conn.ref()"), "read 3\n");
});
