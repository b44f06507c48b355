// Ends and edges of a TCP stream: reset, half-close both ways, urgent data, queue sizes, as peers of other kinds see them.
// Options of a connection: tune_test.ts. The same calls on a Socket by themselves: ../socket/.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import net from "node:net";
import { SO_OOBINLINE, TCP_INFO } from "../../options/mod.ts";
import { findSocket, Socket } from "../../socket/mod.ts";
import { connectTcp, listenTcp, resetTcp, withTimeouts } from "../../tcp/mod.ts";
import { certificate } from "../certificate.ts";
import { type Needs, test } from "../needs.ts";
import { bytes, FFI, fill, outcome, PYTHON, tcpPair, text } from "../socket/make.ts";
import { assertWithin, until } from "../time.ts";
import { start } from "../udp/other_program.ts";

const here = { hostname: "127.0.0.1", port: 0 } as const;

/** Accepts connections and tells what a read of each gives. */
const READER = `
import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print(s.getsockname()[1])
while True:
    c, _ = s.accept()
    print("accepted")
    try:
        while data := c.recv(100): print("data", data.decode())
        print("end")
    except OSError as error: print(type(error).__name__)
    c.close()
`;

/** Connections of every kind, to be reset. */
const KINDS: readonly [name: string, needs: Needs, connect: (port: number) => Promise<Deno.TcpConn>][] = [
  ["of Deno", {}, (port) => Deno.connect({ port })],
  ["of connectTcp", {}, (port) => connectTcp({ port, noDelay: true })],
  ["of our own", {}, (port) => connectTcp({ port, localAddr: {} })],
  ["with timeouts", {}, async (port) => withTimeouts(await Deno.connect({ port }), { read: 5_000 })],
];

test("resetTcp() shows the peer a reset, whatever the connection was doing", PYTHON, async (t) => {
  await using peer = start("python3", ["-u", "-"], READER);
  const port = Number(await peer.line());
  for (const [kind, , connect] of KINDS) {
    await t.step(`a connection ${kind}`, async () => {
      const idle = await connect(port);
      assertEquals(await peer.line(), "accepted");
      resetTcp(idle);
      assertEquals(await peer.line(), "ConnectionResetError");
      assertThrows(() => idle.close(), Deno.errors.BadResource);
      assertThrows(() => resetTcp(idle), Deno.errors.BadResource);

      const reading = await connect(port);
      assertEquals(await peer.line(), "accepted");
      const read = outcome(reading.read(new Uint8Array(8)));
      await reading.write(bytes("some"));
      assertEquals(await peer.line(), "data some");
      resetTcp(reading);
      assertEquals(await peer.line(), "ConnectionResetError");
      assert(await assertWithin(900, read) instanceof Error);

      // An orderly end is told from it.
      const orderly = await connect(port);
      assertEquals(await peer.line(), "accepted");
      orderly.close();
      assertEquals(await peer.line(), "end");
    });
  }
});

test("resetTcp() resets what is half closed already", FFI, async () => {
  using listener = Deno.listen(here);
  const conn = await Deno.connect({ port: listener.addr.port });
  using served = await listener.accept();
  await conn.closeWrite();
  assertEquals(await served.read(new Uint8Array(1)), null);
  resetTcp(conn);
  await assertRejects(async () => {
    for (;;) {
      await served.write(new Uint8Array(1));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
});

test("resetTcp() resets a TLS connection", { ...FFI, read: true }, async () => {
  const { cert, key } = await certificate();
  using listener = Deno.listenTls({ ...here, cert, key });
  const accepting = listener.accept();
  const conn = await Deno.connectTls({ hostname: "localhost", port: listener.addr.port, caCerts: [cert] });
  using served = await accepting;
  await Promise.all([conn.handshake(), served.handshake()]);
  resetTcp(conn as unknown as Deno.TcpConn);
  await assertRejects(() => served.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
});

test("resetTcp() refuses what is no TCP connection", FFI, () => {
  assertThrows(() => resetTcp(null as never), TypeError, "Cannot reset a TCP connection: the connection is null");
  using listener = Deno.listen(here);
  assertThrows(() => resetTcp(listener as never), TypeError, "is a listener, it must be a connection");
  using udp = Socket.open("inet", "dgram");
  assertThrows(() => resetTcp(udp as never), TypeError, "it must be a TCP connection");
});

test("resetTcp() leaves alone what it cannot close, as a socket of node:net", FFI, async () => {
  using listener = Deno.listen(here);
  const socket = net.connect(listener.addr.port, "127.0.0.1");
  using served = await listener.accept();
  await new Promise((resolve) => socket.once("connect", resolve));
  assertThrows(
    () => resetTcp(socket as never),
    TypeError,
    "Cannot reset a TCP connection: the connection is an object",
  );
  await new Promise((resolve) => socket.end("unharmed", resolve as () => void));
  assertEquals(await served.read(new Uint8Array(16)), 8);
  await new Promise((resolve) => socket.once("close", resolve).destroy());
});

test("either end may close its half first, and the other goes on", FFI, async () => {
  for (const options of [{}, { localAddr: {} }]) {
    using listener = listenTcp({ ...here, ...("localAddr" in options && { reuseAddress: false }) });
    for (const order of ["client first", "server first"]) {
      using client = await connectTcp({ port: listener.addr.port, ...options });
      using served = await listener.accept();
      const [first, second] = order === "client first" ? [client, served] : [served, client];
      await first.write(bytes("question"));
      await first.closeWrite();
      const room = new Uint8Array(16);
      assertEquals([await second.read(room), await second.read(room)], [8, null]);
      await until(() => TCP_INFO.get(first).state === "fin-wait-2" && TCP_INFO.get(second).state === "close-wait");
      await second.write(bytes("answer"));
      assertEquals([await first.read(room), text(room.subarray(0, 6))], [6, "answer"]);
      await second.closeWrite();
      assertEquals(await first.read(room), null);
      await assertRejects(() => first.write(room), Deno.errors.BrokenPipe);
    }
  }
});

test("urgent data overtakes, or stays in line where that is asked for", FFI, async () => {
  using pair = await tcpPair();
  const [near, far] = pair;
  await near.send(bytes("ab"));
  await near.send(bytes("!"), { outOfBand: true });
  await near.send(bytes("cd"));
  assertEquals(text(await far.receive(new Uint8Array(1), { outOfBand: true })), "!");
  const rest = new Uint8Array(4);
  // A read stops at the mark.
  assertEquals(text(await far.receive(rest)), "ab");
  assertEquals(text(await far.receive(rest)), "cd");

  SO_OOBINLINE.set(far, true);
  await near.send(bytes("x"));
  await near.send(bytes("?"), { outOfBand: true });
  assertEquals(text(await far.receive(new Uint8Array(2), { waitAll: true })), "x?");
});

test("urgent data reaches python3, and comes from it", PYTHON, async () => {
  await using peer = start(
    "python3",
    ["-u", "-"],
    `
import socket, select
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print(s.getsockname()[1])
c, _ = s.accept()
select.select([], [], [c], 10)
print(c.recv(1, socket.MSG_OOB).decode())
print(c.recv(10).decode())
c.send(b"#", socket.MSG_OOB)
try: c.recv(1)
except ConnectionResetError: pass
`,
  );
  using socket = Socket.open("inet", "stream");
  await socket.connect({ hostname: "127.0.0.1", port: Number(await peer.line()) });
  await socket.send(bytes("plain"));
  await socket.send(bytes("%"), { outOfBand: true });
  assertEquals([await peer.line(), await peer.line()], ["%", "plain"]);
  await until(() => {
    try {
      return socket.tryReceive(new Uint8Array(1), { outOfBand: true }) !== null;
    } catch (error) {
      // Nothing urgent is there yet.
      assertEquals((error as { code?: string }).code, "EINVAL");
      return false;
    }
  });
});

test("queue sizes of Deno's connections are those of the kernel", FFI, async () => {
  using listener = Deno.listen(here);
  using conn = await Deno.connect({ port: listener.addr.port });
  using served = await listener.accept();
  const sizes = () => {
    const found = (one: Deno.TcpConn) => findSocket({ localAddr: one.localAddr, remoteAddr: one.remoteAddr });
    return [found(conn)!.sendQueue, found(served)!.receiveQueue];
  };
  assertEquals(sizes(), [0, 0]);
  await conn.write(new Uint8Array(1234));
  await until(() => sizes()[0] === 0 && sizes()[1] === 1234);
  await served.read(new Uint8Array(1000));
  assertEquals(sizes(), [0, 234]);
});

test("queue sizes tell what a peer that does not read leaves behind", FFI, async () => {
  using pair = await tcpPair();
  const [near, far] = pair;
  const sent = fill(near);
  const sizes = () =>
    [near, far].map(({ localAddr, remoteAddr }) => findSocket({ localAddr: localAddr!, remoteAddr: remoteAddr! })!);
  await until(() => {
    const [a, b] = sizes();
    return a!.sendQueue > 0 && a!.sendQueue + b!.receiveQueue >= sent;
  });
});
