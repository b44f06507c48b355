// SO_RCVTIMEO and SO_SNDTIMEO of a socket of ours are its timeouts, and still refused on sockets that never block.
// What the timeouts do is in timeouts_test.ts.
import { SO_RCVTIMEO, SO_SNDTIMEO } from "../../options/mod.ts";
import { Socket } from "../../socket/mod.ts";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "../needs.ts";

test("SO_RCVTIMEO.set() on a Socket is its timeouts.receive, in force at once", { ffi: true }, async () => {
  const [left, right] = Socket.pair();
  using _left = left;
  using _right = right;
  assertEquals(SO_RCVTIMEO.get(left), { seconds: 0, microseconds: 0 });
  assertEquals(SO_RCVTIMEO.set(left, { seconds: 0, microseconds: 20_001 }), { seconds: 0, microseconds: 21_000 });
  assertEquals(left.timeouts.receive, 21);
  await assertRejects(() => left.receive(), Deno.errors.TimedOut, "nothing within 21 ms");
  left.timeouts.receive = 1_500;
  assertEquals(SO_RCVTIMEO.get(left), { seconds: 1, microseconds: 500_000 });
  SO_RCVTIMEO.set(left, { seconds: 0, microseconds: 0 });
  assertEquals(left.timeouts.receive, undefined);
});

test("SO_SNDTIMEO.set() on a Socket is its timeouts.send", { ffi: true }, async () => {
  const [left, right] = Socket.pair();
  using _left = left;
  using _right = right;
  SO_SNDTIMEO.set(left, { seconds: 0, microseconds: 20_000 });
  const fill = async () => {
    for (;;) await left.send(new Uint8Array(65_536));
  };
  await assertRejects(fill, Deno.errors.TimedOut, "nothing within 20 ms");
});

test("SO_RCVTIMEO is refused on a socket of Deno's, which never blocks", { ffi: true }, () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assertThrows(() => SO_RCVTIMEO.get(listener), Deno.errors.NotSupported, "the socket never blocks");
  const value = { seconds: 1, microseconds: 0 };
  assertThrows(() => SO_RCVTIMEO.set(listener, value), Deno.errors.NotSupported, "the socket never blocks");
});

test(
  "SO_RCVTIMEO and SO_SNDTIMEO of a timeout of 0 are not the nothing that means for ever in C",
  { ffi: true },
  () => {
    using socket = Socket.open("inet", "dgram");
    socket.timeouts.receive = socket.timeouts.send = 0;
    for (const option of [SO_RCVTIMEO, SO_SNDTIMEO]) {
      assertEquals(option.get(socket), { seconds: 0, microseconds: 1 });
      assertEquals(option.set(socket, { seconds: 0, microseconds: 0 }), { seconds: 0, microseconds: 0 });
    }
    assertEquals({ ...socket.timeouts }, {});
  },
);
