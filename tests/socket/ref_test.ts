// Socket.ref and unref where a timer waits, not the reactor: connecting to a full queue, backing off, and timeouts.
// Where the reactor waits: close_test.ts.
import { assertEquals } from "@std/assert";
import { abstract, assertFails, FFI, outcome, PROGRAM, runProgram, sleep, test } from "./make.ts";
import { Socket } from "../../socket/socket.ts";

/** Runs a program with a unix listener whose queue is full, and a socket that may wait for it; what it said and how it ended. */
async function withFullQueue(lines: string): Promise<string> {
  const { output, code, errors } = await runProgram(
    `
    const address = { path: "\\0sockets-test-" + crypto.randomUUID() };
    const listener = Socket.open("unix", "stream");
    listener.bind(address);
    listener.listen(0);
    const first = Socket.open("unix", "stream");
    await first.connect(address);
    const socket = Socket.open("unix", "stream");
    Deno.unrefTimer(setTimeout(() => { console.log("alive"); Deno.exit(); }, 1000));
    ${lines}
  `,
    { within: 20_000 },
  );
  return code === 0 ? output : `${code} ${errors}`;
}

test("a connect() that waits for a full queue keeps the program alive, unless it was unref'd", PROGRAM, async () => {
  const during = 'await new Promise((resolve) => setTimeout(resolve, 50)); console.log("changed");';
  const said = await Promise.all([
    withFullQueue("socket.connect(address);"),
    withFullQueue("socket.unref(); socket.connect(address);"),
    withFullQueue(`socket.connect(address); ${during} socket.unref();`),
    withFullQueue(`socket.unref(); socket.connect(address); ${during} socket.ref();`),
    withFullQueue(`socket.unref(); socket.connect(address); socket.ref(); ${during} socket.unref();`),
  ]);
  assertEquals(said, ["alive", "", "changed", "changed\nalive", "changed"]);
});

test("an unref'd connect() goes on while something else keeps the program", PROGRAM, async () => {
  const said = await withFullQueue(`
    socket.unref();
    const connected = socket.connect(address).then(() => console.log("connected"));
    setTimeout(() => listener.tryAccept(), 50);
    await new Promise((resolve) => setTimeout(resolve, 200));
  `);
  assertEquals(said, "connected");
});

test("a timeout keeps no program alive whose socket was unref'd", PROGRAM, async () => {
  const said = await Promise.all([
    withFullQueue("first.timeouts.receive = 60_000; first.receive();"),
    withFullQueue("first.timeouts.receive = 60_000; first.unref(); first.receive();"),
    withFullQueue("first.unref(); first.receive(); first.timeouts.receive = 60_000;"),
    withFullQueue("first.timeouts.receive = 60_000; first.receive(); first.unref();"),
    withFullQueue("first.unref(); first.timeouts.receive = 60_000; first.receive(); first.ref();"),
  ]);
  assertEquals(said, ["alive", "", "", "", "alive"]);
});

test("a connect() that waits for a full queue ends by its signal, its timeout and close()", FFI, async () => {
  const address = abstract();
  using listener = Socket.open("unix", "stream");
  listener.bind(address);
  listener.listen(0);
  using first = Socket.open("unix", "stream");
  await first.connect(address);
  using socket = Socket.open("unix", "stream");
  const controller = new AbortController();
  const aborted = outcome(socket.connect(address, { signal: controller.signal }));
  await sleep(12);
  controller.abort("enough");
  assertEquals(await aborted, "enough");
  socket.timeouts.connect = 20;
  const late = await outcome(socket.connect(address));
  assertEquals(late instanceof Deno.errors.TimedOut, true, String(late));
  delete socket.timeouts.connect;
  const closing = outcome(socket.connect(address));
  await sleep(2);
  socket.close();
  assertEquals(await closing instanceof Deno.errors.BadResource, true);
  using second = Socket.open("unix", "stream");
  assertEquals(second.tryConnect(address), null);
  listener.close();
  await assertFails(() => second.connect(address), "ECONNREFUSED", "connect");
});

test("unref() of one owner of a descriptor leaves the waits of the others alone", PROGRAM, async () => {
  const program = async (lines: string) => {
    const { output, code, errors } = await runProgram(`
      import { poll } from "${new URL("../../socket/mod.ts", import.meta.url)}";
      const [socket, peer] = Socket.pair("dgram");
      const first = socket.receive();
      setTimeout(() => peer.trySend(new Uint8Array(1)), 20);
      await first;
      const second = Socket.adopt(socket.fd);
      ${lines}
      globalThis.kept = [socket, peer, second];
      Deno.unrefTimer(setTimeout(() => { console.log("alive"); Deno.exit(); }, 1000));
    `);
    return code === 0 ? output : `${code} ${errors}`;
  };
  const said = await Promise.all([
    program("second.receive(); socket.unref();"),
    program("poll([{ socket, readable: true }]); socket.unref();"),
    program("second.receive(); socket.receive(); socket.unref(); second.unref();"),
  ]);
  assertEquals(said, ["alive", "alive", ""]);
});
