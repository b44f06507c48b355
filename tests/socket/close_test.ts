// Socket.close, disposal, ref and unref: who is told, what is freed, and when a program ends.
// Each call on a closed socket: open_test.ts; the reactor's part: ../reactor_test.ts.
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { Socket } from "../../socket/socket.ts";
import { both, bytes, FFI, fill, outcome, PROGRAM, runProgram, tcpListener, tcpPair, test, text, udp } from "./make.ts";

test("close() frees the address at once", FFI, () => {
  const first = udp();
  const address = first.localAddr!;
  first.close();
  using second = Socket.open("inet", "dgram");
  second.bind(address);
  assertEquals(second.localAddr, address);
});

test("close() a second time throws BadResource, disposal does not", FFI, () => {
  const socket = udp();
  socket.close();
  assertThrows(() => socket.close(), Deno.errors.BadResource, "closed");
  socket[Symbol.dispose]();
  {
    using disposed = udp();
    disposed.close();
  }
});

test("close() rejects every call that waits, of every kind", FFI, async () => {
  const [left, right] = Socket.pair();
  fill(left);
  const waiting = [
    outcome(left.receive()),
    outcome(left.receive(new Uint8Array(4), { waitAll: true })),
    outcome(left.receiveFrom()),
    outcome(left.send(bytes("x"))),
    outcome(left.sendAll(bytes("x"))),
  ];
  left.close();
  for (const error of await Promise.all(waiting)) {
    assertInstanceOf(error, Deno.errors.BadResource);
    assert(error.message.includes("closed"), error.message);
  }
  right.close();
});

test("close() tells the peer of a stream", FFI, async () => {
  using pair = await tcpPair();
  const waiting = pair[1].receive();
  pair[0].close();
  assertEquals((await waiting).byteLength, 0);
});

test("close() while a duplicate lives keeps the connection", FFI, async () => {
  const [left, right] = Socket.pair();
  const copy = left.dup();
  using _pair = both([copy, right]);
  left.close();
  await copy.send(bytes("alive"));
  assertEquals(text(await right.receive()), "alive");
});

test("a program whose sockets nobody awaits ends", PROGRAM, async () => {
  const { output, errors, code } = await runProgram(
    `
    const socket = Socket.open("inet", "dgram");
    socket.bind({ hostname: "127.0.0.1", port: 0 });
    const controller = new AbortController();
    const waiting = socket.receive(undefined, { signal: controller.signal }).catch(() => console.log("aborted"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    controller.abort();
    await waiting;
  `,
  );
  assertEquals([output, code], ["aborted", 0], errors);
});

test("a program that awaits a socket does not end, unless it was unref'd", PROGRAM, async () => {
  // This timer keeps nothing alive; it is over only where something else does.
  const program = (lines: string) =>
    runProgram(`
    const socket = Socket.open("inet", "dgram");
    socket.bind({ hostname: "127.0.0.1", port: 0 });
    ${lines}
    console.log("end of module");
    Deno.unrefTimer(setTimeout(() => Deno.exit(7), 1500));
  `);
  const [waiting, before, during, again, after] = await Promise.all([
    program("socket.receive();"),
    program("socket.unref(); socket.receive();"),
    program("socket.receive(); setTimeout(() => socket.unref(), 20);"),
    program("socket.unref(); socket.receive(); socket.ref();"),
    program("socket.receive(); socket.unref(); setTimeout(() => { socket.ref(); socket.unref(); }, 20);"),
  ]);
  assertEquals(waiting.code, 7, waiting.errors);
  assertEquals(again.code, 7, again.errors);
  for (const ended of [before, during, after]) {
    assertEquals([ended.output, ended.code], ["end of module", 0], ended.errors);
  }
});

test("an unref'd socket receives while something else keeps the program", PROGRAM, async () => {
  const { output, errors } = await runProgram(`
    const socket = Socket.open("inet", "dgram");
    socket.bind({ hostname: "127.0.0.1", port: 0 });
    socket.unref();
    const sender = Socket.open("inet", "dgram");
    let got = 0;
    (async () => { for (;;) got += (await socket.receive()).byteLength; })();
    for (let i = 0; i < 10; i++) {
      sender.trySendTo(new Uint8Array(1), socket.localAddr!);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (let i = 0; i < 1000 && got < 10; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    console.log(got);
  `);
  assertEquals(output, "10", errors);
});

test("Deno.exit() and the end of a program leave no port bound", PROGRAM, async () => {
  const { output, errors } = await runProgram(`
    const socket = Socket.open("inet", "stream");
    socket.bind({ hostname: "127.0.0.1", port: 0 });
    socket.listen();
    socket.accept();
    console.log(socket.localAddr!.port);
    setTimeout(() => Deno.exit(0), 20);
  `);
  using socket = Socket.open("inet", "stream");
  socket.bind({ hostname: "127.0.0.1", port: Number(output) });
  assertEquals(socket.localAddr!.port, Number(output), errors);
});

test("closing a listener ends every iteration over it", FFI, async () => {
  const listener = tcpListener();
  const iterations = Array.from({ length: 3 }, async () => {
    for await (const socket of listener) socket.close();
    return "ended";
  });
  listener.close();
  assertEquals(await Promise.all(iterations), ["ended", "ended", "ended"]);
});

test("a program ends when what it awaited is closed beside a socket that was waited for before", PROGRAM, async () => {
  const program = (lines: string) =>
    runProgram(`
    import { poll, Poller } from "${new URL("../../socket/mod.ts", import.meta.url)}";
    const soon = () => new Promise((resolve) => setTimeout(resolve, 30));
    const [idle, other] = Socket.pair("dgram");
    const first = idle.receive();
    await soon();
    other.trySend(new Uint8Array(1));
    await first;
    const tell = (error) => console.log(error.name);
    ${lines}
    console.log("end of module");
    globalThis.kept = [idle, other];
    Deno.unrefTimer(setTimeout(() => Deno.exit(7), 5000));
  `);
  const ended = await Promise.all([
    program(`
      const [left, right] = Socket.pair("dgram");
      left.receive().catch(tell);
      await soon();
      left.close();`),
    program(`
      const [left, right] = Socket.pair("dgram");
      const poller = new Poller();
      poller.add(left, { readable: true });
      poller.wait().catch(tell);
      await soon();
      poller.close();`),
    program(`
      const [left, right] = Socket.pair();
      const conn = left.asConn();
      conn.read(new Uint8Array(1)).catch(tell);
      await soon();
      conn.close();`),
    program(`
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const [client, served] = await Promise.all([Deno.connect(listener.addr), listener.accept()]);
      poll([{ socket: served, readable: true }]).catch(tell);
      await soon();
      served.close();
      client.close();
      listener.close();`),
  ]);
  for (const [i, { code, output, errors }] of ended.entries()) {
    const said = output.split("\n").sort();
    assertEquals([i, code, said], [i, 0, [i === 2 ? "Interrupted" : "BadResource", "end of module"]], errors);
  }
});
