// Socket.receiveMessage({ errorQueue: true }): waits for an error that is not there yet.
// An error queue that nobody reads costs nothing: it is pending for ever.
// How queued errors are read from their bytes: tests/cmsg_test.ts.
import { IP_RECVERR } from "../../options/mod.ts";
import { poll, Socket } from "../../socket/mod.ts";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  both,
  bytes,
  FFI,
  idling,
  LOCAL,
  PROGRAM,
  runProgram,
  sleep,
  tcpListener,
  test,
  text,
  udp,
  unusedPort,
  USED,
} from "./make.ts";

test("receiveMessage({ errorQueue: true }) is woken by an error that comes while it waits", FFI, async () => {
  using socket = Socket.open("inet", "dgram");
  IP_RECVERR.set(socket, true);
  using closed = Socket.open("inet", "dgram");
  closed.bind({ hostname: "127.0.0.1", port: 0 });
  const nobody = closed.localAddr!;
  closed.close();
  socket.bind({ hostname: "127.0.0.1", port: 0 });
  const waiting = socket.receiveMessage({ errorQueue: true, signal: AbortSignal.timeout(5_000) });
  await sleep(5);
  await socket.sendTo(new Uint8Array([1, 2, 3]), nobody);
  const { control, data } = await waiting;
  assertEquals([...data], [1, 2, 3], "the datagram that was refused comes back");
  const [message] = control;
  assertEquals(message?.name === "IP_RECVERR" && [message.error.code, message.error.origin], ["ECONNREFUSED", "icmp"]);
});

test("a datagram that comes back tells its true length also where it does not fit", FFI, async () => {
  using socket = udp();
  IP_RECVERR.set(socket, true);
  await socket.sendTo(new Uint8Array(100), { ...LOCAL, port: unusedPort("dgram") });
  await poll([{ socket }], { timeout: 5_000 });
  const { data, byteLength, truncated } = socket.tryReceiveMessage({ errorQueue: true, buffer: new Uint8Array(10) })!;
  assertEquals([data.byteLength, byteLength, truncated], [10, 100, true]);
});

test(
  "receiveMessage({ errorQueue: true }) is refused where the kernel would give data, or take what peek is to leave",
  FFI,
  async () => {
    for (const type of ["stream", "dgram", "seqpacket"] as const) {
      using pair = both(Socket.pair(type));
      await pair[0].send(bytes("data"));
      const error = await assertRejects(() => pair[1].receiveMessage({ errorQueue: true }), Deno.errors.NotSupported);
      assertEquals(error.message, `Cannot receive on unix ${type}: unix sockets have no error queue`);
      assertEquals(text(await pair[1].receive()), "data");
    }
    using socket = udp();
    IP_RECVERR.set(socket, true);
    await socket.sendTo(bytes("data"), { ...LOCAL, port: unusedPort("dgram") });
    await poll([{ socket }], { timeout: 5_000 });
    for (const flag of [{ peek: true }, { outOfBand: true }]) {
      assertThrows(
        () => socket.tryReceiveMessage({ errorQueue: true, ...flag }),
        TypeError,
        "neither peek nor outOfBand",
      );
    }
    assertEquals(text(socket.tryReceiveMessage({ errorQueue: true })!.data), "data");
  },
);

test("an error queue that nobody reads wakes a receive() once, which then gets its datagram", PROGRAM, async () => {
  const { output, errors } = await runProgram(`
    import { IP_RECVERR } from "${new URL("../../options/mod.ts", import.meta.url)}";
    const socket = Socket.open("inet", "dgram");
    socket.bind({ hostname: "127.0.0.1", port: 0 });
    IP_RECVERR.set(socket, true);
    const closed = Socket.open("inet", "dgram");
    closed.bind({ hostname: "127.0.0.1", port: 0 });
    const nobody = closed.localAddr;
    closed.close();
    socket.trySendTo(new Uint8Array(1), nobody);
    const receiving = [];
    // The first takes the error of the socket itself; two may wait as well as one.
    await socket.receive().catch(() => {});
    for (let i = 0; i < 2; i++) receiving.push(socket.receive());
    ${USED}
    const before = used();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const ticks = used() - before;
    for (let i = 0; i < 2; i++) socket.trySendTo(new Uint8Array(5), socket.localAddr);
    const got = (await Promise.all(receiving)).map((data) => data.byteLength);
    const queued = socket.tryReceiveMessage({ errorQueue: true }).control[0].error.code;
    console.log(JSON.stringify({ busy: ticks > 30, got, queued }));
    Deno.exit(0);
  `);
  assertEquals(output, '{"busy":false,"got":[5,5],"queued":"ECONNREFUSED"}', errors);
});

test("receiveMessage({ errorQueue: true }) sleeps on a socket that is hung up", PROGRAM, async () => {
  const said = await idling(
    'const waiting = Socket.open("inet", "stream").receiveMessage({ errorQueue: true });',
    `
      const listener = Socket.open("inet", "stream");
      listener.bind({ hostname: "127.0.0.1", port: 0 });
      listener.listen();
      const client = Socket.open("inet", "stream");
      await client.connect(listener.localAddr);
      (await listener.accept()).close();
      client.shutdown("write");
      const waiting = client.receiveMessage({ errorQueue: true });
    `,
    `
      const socket = Socket.open("inet", "dgram");
      await socket.connect({ hostname: "127.0.0.1", port: 9 });
      socket.shutdown("both");
      const waiting = socket.receiveMessage({ errorQueue: true });
    `,
  );
  assertEquals(said, ["pending, idle", "pending, idle", "pending, idle"]);
});

test("a wait for errors on a socket that is not connected yet keeps it from nothing", FFI, async () => {
  using listener = tcpListener();
  using client = Socket.open("inet", "stream");
  const errors = client.receiveMessage({ errorQueue: true }).catch((error) => error.name);
  // By then it was told that the socket is hung up.
  await sleep(5);
  await client.connect(listener.localAddr!);
  using served = await listener.accept();
  for (const word of ["one", "two", "three"]) {
    const receiving = client.receive(undefined, { signal: AbortSignal.timeout(5_000) });
    await sleep(2);
    await served.send(bytes(word));
    assertEquals(text(await receiving), word);
  }
  client.close();
  assertEquals(await errors, "BadResource");
});
