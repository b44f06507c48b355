// Socket.receiveMessage({ errorQueue: true }): waits for an error that is not there yet.
// How queued errors are read from their bytes: tests/cmsg_test.ts.
import { IP_RECVERR } from "../../options/mod.ts";
import { Socket } from "../../socket/mod.ts";
import { assertEquals } from "@std/assert";
import { FFI, sleep, test } from "./make.ts";

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
