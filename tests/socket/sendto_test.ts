// Socket.sendTo and trySendTo, receiveFrom and tryReceiveFrom: datagrams with addresses.
// Without: send_test.ts and receive_test.ts.
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { SO_BROADCAST } from "../../options/mod.ts";
import { Socket } from "../../socket/socket.ts";
import { abstract, assertFails, bytes, FFI, IPV6, LOCAL, LOCAL6, outcome, tcpPair, test, text, udp } from "./make.ts";

test("sendTo() and receiveFrom() carry addresses, of IPv4 and IPv6", IPV6, async () => {
  for (const [family, local] of [["inet", LOCAL], ["inet6", LOCAL6]] as const) {
    using a = Socket.open(family, "dgram");
    using b = Socket.open(family, "dgram");
    a.bind(local);
    b.bind(local);
    assertEquals(await a.sendTo(bytes("there"), b.localAddr!), 5);
    const [data, from] = await b.receiveFrom();
    assertEquals([text(data), from], ["there", a.localAddr!]);
    assertEquals(b.trySendTo(bytes("back"), from), 4);
    const buffer = new Uint8Array(100);
    const [again, sender] = await a.receiveFrom(buffer);
    assertStrictEquals(again.buffer, buffer.buffer);
    assertEquals([text(again), sender], ["back", b.localAddr!]);
  }
});

test("sendTo() binds a socket that is not bound", FFI, async () => {
  using receiver = udp();
  using sender = Socket.open("inet", "dgram");
  await sender.sendTo(bytes("x"), receiver.localAddr!);
  const [, from] = await receiver.receiveFrom();
  assertEquals(from.port, sender.localAddr!.port);
});

test("receiveFrom() tells each sender apart", FFI, async () => {
  using receiver = udp();
  const senders = Array.from({ length: 5 }, udp);
  for (const [i, sender] of senders.entries()) await sender.sendTo(bytes(`${i}`), receiver.localAddr!);
  for (const [i, sender] of senders.entries()) {
    const [data, from] = await receiver.receiveFrom();
    assertEquals([text(data), from], [`${i}`, sender.localAddr!]);
    sender.close();
  }
  assertStrictEquals(receiver.tryReceiveFrom(), null);
});

test("receiveFrom() tells the name of a unix sender, and that there is none", FFI, async () => {
  using receiver = Socket.open("unix", "dgram");
  const address = abstract();
  receiver.bind(address);
  using nameless = Socket.open("unix", "dgram");
  await nameless.sendTo(bytes("who"), address);
  assertEquals((await receiver.receiveFrom())[1], { family: "unix", path: "" });
  using named = Socket.open("unix", "dgram");
  const own = abstract();
  named.bind(own);
  await named.sendTo(bytes("me"), address);
  assertEquals((await receiver.receiveFrom())[1], { family: "unix", ...own });
});

test("receiveFrom() rejects a datagram that does not fit, and goes on with the next", FFI, async () => {
  using receiver = udp();
  using sender = udp();
  await sender.sendTo(bytes("too long for it"), receiver.localAddr!);
  await sender.sendTo(bytes("fits"), receiver.localAddr!);
  const buffer = new Uint8Array(4);
  const error = await assertFails(() => receiver.receiveFrom(buffer), "EMSGSIZE", "recv");
  assert(error.message.includes("15 bytes"), error.message);
  assertEquals(text((await receiver.receiveFrom(buffer))[0]), "fits");
});

test("receiveFrom() peeks, and takes an empty datagram", FFI, async () => {
  using receiver = udp();
  using sender = udp();
  await sender.sendTo(new Uint8Array(0), receiver.localAddr!);
  for (const peek of [true, true, false]) {
    const [data, from] = await receiver.receiveFrom(undefined, { peek });
    assertEquals([data.byteLength, from], [0, sender.localAddr!]);
  }
  assertStrictEquals(receiver.tryReceiveFrom(), null);
});

test("aborting receiveFrom() loses no datagram", FFI, async () => {
  using receiver = udp();
  using sender = udp();
  const controller = new AbortController();
  const aborted = outcome(receiver.receiveFrom(undefined, { signal: controller.signal }));
  await sender.sendTo(bytes("kept"), receiver.localAddr!);
  controller.abort(7);
  const first = await aborted;
  const got = first === 7 ? (await receiver.receiveFrom())[0] : (first as [Uint8Array])[0];
  assertEquals(text(got), "kept");
});

test("sendTo() fails as the kernel says", FFI, async () => {
  using socket = udp();
  const large = new Uint8Array(65_508);
  const to = { hostname: "127.0.0.1", port: 9 };
  await assertFails(() => socket.sendTo(large, to), "EMSGSIZE", "sendto");
  await assertFails(() => socket.sendTo(bytes("x"), { hostname: "127.0.0.1", port: 0 }), "EINVAL", "sendto", TypeError);
  assertEquals(SO_BROADCAST.get(socket), false);
  using anywhere = Socket.open("inet", "dgram");
  const error = await assertFails(
    () => anywhere.sendTo(bytes("x"), { hostname: "127.255.255.255", port: 9 }),
    "EACCES",
    "sendto",
    Deno.errors.PermissionDenied,
  );
  assert(error.message.includes("SO_BROADCAST"), error.message);
  using unix = Socket.open("unix", "dgram");
  await assertFails(
    () => unix.sendTo(bytes("x"), abstract()),
    "ECONNREFUSED",
    "sendto",
    Deno.errors.ConnectionRefused,
  );
  using pair = await tcpPair();
  assertEquals(await pair[0].sendTo(bytes("ignored on streams"), to), 18);
});

test("sendTo() checks the address at each call", FFI, async () => {
  using socket = udp();
  const data = bytes("x");
  for (
    const [address, error] of [
      [undefined, TypeError],
      [null, TypeError],
      ["127.0.0.1:9", TypeError],
      [{ hostname: "localhost", port: 9 }, SyntaxError],
      [{ hostname: "127.0.0.1", port: NaN }, RangeError],
      [{ hostname: "127.0.0.1", port: 2 ** 32 + 9 }, RangeError],
      [{ hostname: "::1", port: 9 }, TypeError],
    ] as const
  ) {
    await assertRejects(() => socket.sendTo(data, address as typeof LOCAL), error);
    assertThrows(() => socket.trySendTo(data, address as typeof LOCAL), error);
  }
  await assertRejects(() => socket.receiveFrom("x" as unknown as Uint8Array<ArrayBuffer>), TypeError);
});
