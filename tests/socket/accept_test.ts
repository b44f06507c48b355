// Socket.accept, its twin, and iteration over connections.
// Connecting: connect_test.ts; timeouts: timeouts_test.ts.
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { Socket } from "../../socket/socket.ts";
import {
  abstract,
  assertFails,
  bytes,
  FFI,
  IPV6,
  LOCAL6,
  outcome,
  PROGRAM,
  PYTHON,
  python,
  runProgram,
  sleep,
  tcpListener,
  tcpPair,
  test,
  text,
  udp,
} from "./make.ts";
import { assertWithin } from "../time.ts";

test("accept() takes a connection, with both addresses", FFI, async () => {
  using listener = tcpListener();
  using client = Socket.open("inet", "stream");
  await client.connect(listener.localAddr!);
  using accepted = await listener.accept();
  assertEquals(accepted.remoteAddr, client.localAddr);
  assertEquals(accepted.localAddr, client.remoteAddr);
  assertEquals([accepted.family, accepted.type, accepted.protocol], ["inet", "stream", 6]);
});

test("accept() waits for a connection that comes later, of IPv6", IPV6, async () => {
  using listener = Socket.open("inet6", "stream");
  listener.bind(LOCAL6);
  listener.listen();
  const accepting = listener.accept();
  await sleep(20);
  using client = Socket.open("inet6", "stream");
  await client.connect(listener.localAddr!);
  using accepted = await accepting;
  assertEquals(accepted.remoteAddr, client.localAddr);
});

test("accept() on a socket that does not listen fails with EINVAL", FFI, async () => {
  using socket = Socket.open("inet", "stream");
  const error = await assertFails(() => socket.accept(), "EINVAL", "accept", TypeError);
  assert(error.message.includes("listen()"), error.message);
  await assertFails(() => socket.tryAccept(), "EINVAL", "accept", TypeError);
  using pair = await tcpPair();
  await assertFails(() => pair[0].accept(), "EINVAL", "accept", TypeError);
  using datagrams = udp();
  await assertFails(() => datagrams.accept(), "EOPNOTSUPP", "accept", Deno.errors.NotSupported);
});

test("tryAccept() gives null while nobody waits", FFI, async () => {
  using listener = tcpListener();
  assertStrictEquals(listener.tryAccept(), null);
  using client = Socket.open("inet", "stream");
  await client.connect(listener.localAddr!);
  using accepted = listener.tryAccept()!;
  assertEquals(accepted.remoteAddr, client.localAddr);
  assertStrictEquals(listener.tryAccept(), null);
});

test("aborting accept() loses no connection", FFI, async () => {
  using listener = tcpListener();
  const reason = new Error("enough");
  const controller = new AbortController();
  const accepting = outcome(listener.accept({ signal: controller.signal }));
  controller.abort(reason);
  assertStrictEquals(await accepting, reason);
  using client = Socket.open("inet", "stream");
  await client.connect(listener.localAddr!);
  using accepted = await listener.accept();
  assertEquals(accepted.remoteAddr, client.localAddr);
});

test("accept() with a signal that came already takes nothing", FFI, async () => {
  using listener = tcpListener();
  using client = Socket.open("inet", "stream");
  await client.connect(listener.localAddr!);
  await assertRejects(
    () => listener.accept({ signal: AbortSignal.abort(new RangeError("early")) }),
    RangeError,
    "early",
  );
  await assertRejects(() => listener.accept({ signal: "now" as unknown as AbortSignal }), TypeError, "AbortSignal");
  using accepted = listener.tryAccept()!;
  assert(accepted instanceof Socket);
});

test("close() rejects those who accept", FFI, async () => {
  const listener = tcpListener();
  const waiting = [outcome(listener.accept()), outcome(listener.accept())];
  listener.close();
  for (const error of await Promise.all(waiting)) assertInstanceOf(error, Deno.errors.BadResource);
});

test("ten who accept get ten connections", FFI, async () => {
  using listener = tcpListener();
  const accepting = Array.from({ length: 10 }, () => listener.accept());
  const clients = Array.from({ length: 10 }, () => Socket.open("inet", "stream"));
  await Promise.all(clients.map((client) => client.connect(listener.localAddr!)));
  const accepted = await Promise.all(accepting);
  assertEquals(
    accepted.map(({ remoteAddr }) => remoteAddr!.port).sort(),
    clients.map(({ localAddr }) => localAddr!.port).sort(),
  );
  for (const socket of [...accepted, ...clients]) socket.close();
});

test("iteration accepts until the socket is closed", FFI, async () => {
  const listener = tcpListener();
  const address = listener.localAddr!;
  const seen: number[] = [];
  const iterating = (async () => {
    for await (using socket of listener) seen.push(socket.remoteAddr!.port);
  })();
  const ports: number[] = [];
  for (let i = 0; i < 5; i++) {
    using client = Socket.open("inet", "stream");
    await client.connect(address);
    ports.push(client.localAddr!.port);
    await client.receive();
  }
  listener.close();
  await iterating;
  assertEquals(seen, ports);
});

test("leaving the iteration closes the listener, as with Deno's", FFI, async () => {
  const listener = tcpListener();
  using client = Socket.open("inet", "stream");
  await client.connect(listener.localAddr!);
  for await (const socket of listener) {
    socket.close();
    break;
  }
  assertThrows(() => listener.fd, Deno.errors.BadResource);
});

test(
  "an iteration ends at once when it is left while an accept waits, and before the first, as with Deno's",
  FFI,
  async () => {
    for (const wrapped of [false, true]) {
      for (const begun of [true, false]) {
        const socket = tcpListener();
        const listener = wrapped ? socket.asListener() : socket;
        const iterator = listener[Symbol.asyncIterator]();
        const next = begun ? iterator.next() : null;
        const over = { value: undefined, done: true };
        assertEquals<unknown>(await assertWithin<unknown>(2000, iterator.return!()), over);
        assertThrows(() => listener.close(), Deno.errors.BadResource);
        assertEquals<unknown>(await next, begun ? over : null);
        assertEquals<unknown>(await iterator.next(), over);
      }
    }
  },
);

test("iteration over a socket that does not listen fails, and closes it", FFI, async () => {
  const socket = Socket.open("inet", "stream");
  await assertFails(
    async () => {
      for await (const accepted of socket) accepted.close();
    },
    "EINVAL",
    "accept",
  );
  assertThrows(() => socket.fd, Deno.errors.BadResource);
});

test("without a descriptor left accept() rejects with EMFILE, iteration goes on", PROGRAM, async () => {
  const { output, errors } = await runProgram(
    `
    import { assertWithin } from "${new URL("../time.ts", import.meta.url)}";
    const listener = Socket.open("inet", "stream");
    listener.bind({ hostname: "127.0.0.1", port: 0 });
    listener.listen();
    const client = Socket.open("inet", "stream");
    await client.connect(listener.localAddr!);
    const held: Socket[] = [];
    let full = "";
    try {
      for (;;) held.push(Socket.open("inet", "dgram"));
    } catch (error) {
      full = error.code + " " + error.message.includes("close sockets");
    }
    const refused = await listener.accept().then(() => "accepted", (error) => error.code);
    const iterating = (async () => {
      for await (const socket of listener) return socket.remoteAddr!.port === client.localAddr!.port;
    })();
    await new Promise((resolve) => setTimeout(resolve, 30));
    for (const one of held.splice(0)) one.close();
    console.log(full, refused, await assertWithin(500, iterating));
  `,
  );
  assertEquals(output, "EMFILE true EMFILE true", errors);
});

test("Python connects over TCP and over unix streams and seqpackets", PYTHON, async () => {
  using tcp = tcpListener();
  const overTcp = python(
    `import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
s.sendall(b"tcp")
print(s.recv(100).decode())`,
    String(tcp.localAddr!.port),
  );
  {
    using accepted = await tcp.accept();
    assertEquals(text(await accepted.receive()), "tcp");
    await accepted.send(bytes("tcp back"));
    assertEquals(await overTcp, "tcp back");
  }
  for (const type of ["stream", "seqpacket"] as const) {
    const address = abstract();
    using listener = Socket.open("unix", type);
    listener.bind(address);
    listener.listen();
    const peer = python(
      `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_${type.toUpperCase()})
s.settimeout(10)
s.connect("\\0" + sys.argv[1])
s.send(b"one")
s.send(b"two")
print(s.recv(100).decode())`,
      address.path.slice(1),
    );
    using accepted = await listener.accept();
    if (type === "stream") {
      assertEquals(text(await accepted.receive(new Uint8Array(6), { waitAll: true })), "onetwo");
    } else {
      assertEquals(text(await accepted.receive()), "one");
      assertEquals(text(await accepted.receive()), "two");
    }
    await accepted.send(bytes(`${type} back`));
    assertEquals(await peer, `${type} back`);
  }
});

test("close() ends an iteration at once that has no descriptor left and pauses", PROGRAM, async () => {
  const { output, errors } = await runProgram(`
    import { assertWithin } from "${new URL("../time.ts", import.meta.url)}";
    const listener = Socket.open("inet", "stream");
    listener.bind({ hostname: "127.0.0.1", port: 0 });
    listener.listen();
    const client = Socket.open("inet", "stream");
    await client.connect(listener.localAddr!);
    const held: Socket[] = [];
    try {
      for (;;) held.push(listener.dup());
    } catch (error) {
      console.log(error.code);
    }
    const iterating = (async () => {
      for await (const socket of listener) return socket;
      return "ended";
    })();
    // By then it pauses for more than half a second.
    await new Promise((resolve) => setTimeout(resolve, 700));
    listener.close();
    console.log(await assertWithin(200, iterating));
    Deno.exit(0);
  `);
  assertEquals(output, "EMFILE\nended", errors);
});
