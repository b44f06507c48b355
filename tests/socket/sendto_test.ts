// Socket.sendTo and trySendTo, receiveFrom and tryReceiveFrom: datagrams with addresses.
// Without: send_test.ts and receive_test.ts.
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { SO_BROADCAST } from "../../options/mod.ts";
import type { SocketAddress } from "../../socket/address.ts";
import { Socket } from "../../socket/socket.ts";
import type { WaitOptions } from "../../socket/waits.ts";
import { assertWithin } from "../time.ts";
import {
  abstract,
  assertFails,
  both,
  bytes,
  FFI,
  idling,
  IPV6,
  LOCAL,
  LOCAL6,
  outcome,
  PROGRAM,
  sleep,
  tcpPair,
  test,
  text,
  udp,
} from "./make.ts";

/** Of netlink, the protocol that is free for programs among themselves. */
const NETLINK_USERSOCK = 2;

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

test("receiveFrom() of a stream tells its peer, and an unspecified address when that is lost", IPV6, async () => {
  for (const [family, address] of [["inet", LOCAL], ["inet6", LOCAL6]] as const) {
    using listener = Socket.open(family, "stream");
    listener.bind(address);
    listener.listen();
    using client = Socket.open(family, "stream");
    await client.connect(listener.localAddr!);
    using served = await listener.accept();
    await served.send(bytes("bye"));
    const [data, from] = await client.receiveFrom();
    assertEquals([text(data), from], ["bye", listener.localAddr]);
    client.shutdown("write");
    served.close();
    // Both have finished: there is no connection any more.
    const [end, nobody] = await client.receiveFrom();
    assertEquals([end.byteLength, client.remoteAddr], [0, null]);
    assertEquals(nobody, { family, hostname: family === "inet" ? "0.0.0.0" : "::", port: 0 });
  }
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

/** The ways to send to an address. */
const WAYS = {
  sendTo: (socket: Socket, data: Uint8Array, address: SocketAddress, options?: WaitOptions) =>
    socket.sendTo(data, address, options),
  sendMessage: (socket: Socket, data: Uint8Array, address: SocketAddress, options?: WaitOptions) =>
    socket.sendMessage({ data, remoteAddr: address }, options),
};

/** Of one length all, as netlink may have room for less. */
const filler = new Uint8Array(2000);
const marked = new Uint8Array(2000).fill(7);

/** A receiver whose queue is full, and who filled it. */
function fullReceiver(family: "unix" | "netlink"): [receiver: Socket, sender: Socket, address: SocketAddress] {
  const [receiver, sender] = [0, 0].map(() =>
    family === "unix" ? Socket.open("unix", "dgram") : Socket.open("netlink", "raw", NETLINK_USERSOCK)
  ) as [Socket, Socket];
  receiver.bind(family === "unix" ? { path: "" } : { pid: 0 });
  const address = receiver.localAddr!;
  while (sender.trySendTo(filler, address) !== null);
  return [receiver, sender, address];
}

for (const family of ["unix", "netlink"] as const) {
  test(`sendTo() and sendMessage() wait until a full receiver of ${family} has room`, FFI, async () => {
    const [receiver, sender, address] = fullReceiver(family);
    using _pair = both([receiver, sender]);
    for (const send of Object.values(WAYS)) {
      let sent = false;
      const sending = send(sender, marked, address).then(() => sent = true);
      await sleep(20);
      assertEquals(sent, false);
      // A receiver of netlink takes no more before it has read half of what it holds.
      while (receiver.tryReceive() !== null && !sent) await sleep(1);
      await assertWithin(5_000, sending);
      let last = filler;
      for (let got = receiver.tryReceive(); got !== null; got = receiver.tryReceive()) last = got;
      assertEquals(last, marked);
      while (sender.trySendTo(filler, address) !== null);
    }
  });

  test(
    `sendTo() and sendMessage() to a full receiver of ${family} end by signal, timeout and close()`,
    FFI,
    async () => {
      const [receiver, sender, address] = fullReceiver(family);
      using _pair = both([receiver, sender]);
      for (const send of Object.values(WAYS)) {
        const controller = new AbortController();
        const aborted = outcome(send(sender, marked, address, { signal: controller.signal }));
        await sleep(12);
        controller.abort("enough");
        assertEquals(await assertWithin(1_000, aborted), "enough");
        sender.timeouts.send = 20;
        assertInstanceOf(await assertWithin(1_000, outcome(send(sender, marked, address))), Deno.errors.TimedOut);
        delete sender.timeouts.send;
      }
      const closing = Object.values(WAYS).map((send) => outcome(send(sender, marked, address)));
      await sleep(12);
      sender.close();
      for (const one of closing) assertInstanceOf(await assertWithin(1_000, one), Deno.errors.BadResource);
      for (let got = receiver.tryReceive(); got !== null; got = receiver.tryReceive()) {
        assertEquals(got, filler);
      }
    },
  );
}

test("sendTo() and sendMessage() to a full receiver keep no processor busy", PROGRAM, async () => {
  const full = (open: string, bind: string, way: string) => `
    const receiver = Socket.open(${open}), sender = Socket.open(${open});
    receiver.bind(${bind});
    const address = receiver.localAddr, data = new Uint8Array(2000);
    while (sender.trySendTo(data, address) !== null);
    const waiting = sender.${way};
  `;
  const said = await idling(
    ...[['"unix", "dgram"', '{ path: "" }'], [`"netlink", "raw", ${NETLINK_USERSOCK}`, "{ pid: 0 }"]].flatMap(
      ([open, bind]) =>
        ["sendTo(data, address)", "sendMessage({ data, remoteAddr: address })"].map((way) => full(open!, bind!, way)),
    ),
  );
  assertEquals(said, said.map(() => "pending, idle"));
});
