// Socket.receiveMessage({ errorQueue: true }): waits for an error that is not there yet.
// An error queue that nobody reads costs nothing: it is pending for ever.
// How queued errors are read from their bytes: tests/cmsg_test.ts.
import { IP_RECVERR } from "../../options/mod.ts";
import { Socket } from "../../socket/mod.ts";
import { assertEquals } from "@std/assert";
import { FFI, PROGRAM, runProgram, sleep, test } from "./make.ts";

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
    const used = () => Deno.readTextFileSync("/proc/self/stat").split(") ")[1].split(" ").slice(11, 13).reduce((a, b) => a + Number(b), 0);
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
