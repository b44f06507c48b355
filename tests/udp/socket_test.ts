// UdpSocket: receive, send, iteration, closing, references; what the kernel and python3 see of it.
// Options at bind: bind_test.ts. Groups: tests/multicast/.
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { DESCRIPTOR, IP_MULTICAST_ALL, SO_RCVBUF, SO_SNDBUF, type SystemError } from "../../options/mod.ts";
import { bindUdp, connectUdp, DatagramBatch, type UdpDestination, UdpSocket } from "../../udp/mod.ts";
import { test } from "../needs.ts";
import { until } from "../time.ts";
import { both } from "./engines.ts";
import { OTHER_PROGRAM, runWith, start } from "./other_program.ts";

const LOCAL = "127.0.0.1";
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

function bind(): UdpSocket {
  return bindUdp({ hostname: LOCAL });
}

/** Lets Deno's own calls come to their end. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

both("UdpSocket.receive() gives the datagram and its sender, in memory of its own", {}, async () => {
  using a = bind();
  using b = bind();
  await b.send(bytes("one"), a.addr);
  const [one, from] = await a.receive();
  await b.send(bytes("two"), a.addr);
  const [two] = await a.receive();
  assertEquals([text(one), text(two)], ["one", "two"]);
  assertNotStrictEquals(one.buffer, two.buffer);
  assertEquals(one.buffer.byteLength, 3);
  assertEquals(from, { family: "inet", transport: "udp", hostname: LOCAL, port: b.addr.port });
});

both("addresses are frozen, and a sender that comes again is the very same object", {}, async () => {
  using socket = bind();
  const batch = new DatagramBatch();
  for (let i = 0; i < 3; i++) await socket.send(bytes("x"), socket.addr);
  const [[, one], [, two]] = [await socket.receive(), await socket.receive()];
  await socket.receiveBatch(batch);
  assertStrictEquals(one, two);
  for (const address of [socket.addr, one, batch.remoteAddr(0)]) assert(Object.isFrozen(address));
});

both("UdpSocket.receive() fills the caller's buffer and gives that part of it", {}, async () => {
  using socket = bind();
  await socket.send(bytes("hello"), socket.addr);
  const buffer = new Uint8Array(10);
  const [data] = await socket.receive(buffer.subarray(2));
  assertStrictEquals(data.buffer, buffer.buffer);
  assertEquals([data.byteOffset, data.byteLength], [2, 5]);
  assertEquals(text(buffer.subarray(2, 7)), "hello");
});

both("UdpSocket.receive() gives an empty datagram, and the largest there is", {}, async () => {
  using socket = bindUdp({ hostname: LOCAL });
  assertEquals(await socket.send(new Uint8Array(), socket.addr), 0);
  assertEquals((await socket.receive())[0].byteLength, 0);
  const large = crypto.getRandomValues(new Uint8Array(65_507));
  assertEquals(await socket.send(large, socket.addr), 65_507);
  assertEquals((await socket.receive())[0], large);
});

both("UdpSocket.receive() rejects with EMSGSIZE when the buffer is too small, naming both sizes", {}, async () => {
  using socket = bind();
  await socket.send(bytes("hello"), socket.addr);
  await socket.send(bytes("next"), socket.addr);
  const error = await assertRejects(() => socket.receive(new Uint8Array(4))) as SystemError;
  assertEquals([error.code, error.syscall], ["EMSGSIZE", "recvfrom"]);
  if (Deno.build.os === "linux") assertEquals(error.errno, 90);
  assertEquals(
    error.message,
    `Cannot receive on udp ${LOCAL}:${socket.addr.port}: EMSGSIZE (message too long); ` +
      `the datagram from ${LOCAL}:${socket.addr.port} has 5 bytes, the buffer 4`,
  );
  assertEquals(text((await socket.receive(new Uint8Array(4)))[0]), "next");
});

both("UdpSocket.receive() rejects when the buffer was transferred while it waited", {}, async () => {
  using socket = bind();
  const buffer = new Uint8Array(10);
  const waiting = socket.receive(buffer);
  structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
  const next = socket.receive();
  await socket.send(bytes("hello"), socket.addr);
  await assertRejects(() => waiting, TypeError, "the buffer is detached");
  assertEquals(text((await next)[0]), "hello", "the datagram goes to the next call");
  await assertRejects(() => socket.receive(buffer), TypeError, "the buffer is detached");
});

both("UdpSocket.receive() hands a datagram to the next call after an abort", {}, async () => {
  using socket = bind();
  const controller = new AbortController();
  const aborted = socket.receive(undefined, { signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => aborted), reason);
  await socket.send(bytes("one"), socket.addr);
  await socket.send(bytes("two"), socket.addr);
  await settle();
  assertEquals(text((await socket.receive())[0]), "one");
  assertEquals(text((await socket.receive())[0]), "two");
});

both(
  "UdpSocket.receive() hands a datagram that came after an abort to a buffer too small as EMSGSIZE",
  {},
  async () => {
    using socket = bind();
    await assertRejects(() => socket.receive(undefined, { signal: AbortSignal.timeout(1) }), DOMException);
    await socket.send(bytes("one"), socket.addr);
    await settle();
    assertEquals((await assertRejects(() => socket.receive(new Uint8Array(1))) as SystemError).code, "EMSGSIZE");
  },
);

both("UdpSocket.receive() with an aborted signal rejects at once and takes nothing", {}, async () => {
  using socket = bind();
  await socket.send(bytes("one"), socket.addr);
  await settle();
  const reason = new Error("before");
  const error = await assertRejects(() => socket.receive(undefined, { signal: AbortSignal.abort(reason) }));
  assertStrictEquals(error, reason);
  assertEquals(text((await socket.receive())[0]), "one");
});

both("UdpSocket.receive() answers several calls in the order they were made", {}, async () => {
  using socket = bind();
  const controller = new AbortController();
  const first = socket.receive();
  const second = socket.receive(new Uint8Array(10), { signal: controller.signal });
  const third = socket.receive();
  controller.abort();
  await assertRejects(() => second, DOMException);
  await socket.send(bytes("one"), socket.addr);
  await socket.send(bytes("two"), socket.addr);
  assertEquals([text((await first)[0]), text((await third)[0])], ["one", "two"]);
});

both("UdpSocket.receive() leaves nothing on the signal of a call that was answered", {}, async () => {
  using socket = bind();
  const controller = new AbortController();
  await socket.send(bytes("one"), socket.addr);
  await socket.receive(undefined, { signal: controller.signal });
  const next = socket.receive();
  controller.abort();
  await socket.send(bytes("two"), socket.addr);
  assertEquals(text((await next)[0]), "two");
});

both("UdpSocket.receive() and send() refuse wrong arguments", {}, async () => {
  using socket = bind();
  const wrong = (value: unknown) => value as never;
  await assertRejects(() => socket.receive(wrong(new ArrayBuffer(5))), TypeError, "it must be a Uint8Array");
  await assertRejects(() => socket.receive(undefined, wrong(5)), TypeError, "the options is 5");
  await assertRejects(() => socket.receive(undefined, wrong({ signal: 5 })), TypeError, "it must be an AbortSignal");
  const send = (data: unknown, to?: unknown) => socket.send(data as Uint8Array, to as UdpDestination);
  await assertRejects(() => send("text", socket.addr), TypeError, 'the data is "text", it must be a Uint8Array');
  await assertRejects(() => send(new Uint8Array(1)), TypeError, "remoteAddr must be given");
  await assertRejects(() => send(new Uint8Array(1), "x"), TypeError, "it must be { hostname, port }");
  await assertRejects(
    () => send(new Uint8Array(1), { transport: "unix", path: "/x" }),
    TypeError,
    "remoteAddr.hostname",
  );
  for (const hostname of ["localhost", "[::1]", "127.1", "127.0.0.01", "", "127.0.0.1 "]) {
    await assertRejects(
      () => send(new Uint8Array(1), { hostname, port: 9 }),
      SyntaxError,
      "it must be a literal address",
    );
  }
  for (const port of [0, -1, 1.5, NaN, 65_536, 2 ** 32 + 9]) {
    const to = { hostname: LOCAL, port };
    await assertRejects(() => send(new Uint8Array(1), to), RangeError, "it must be a whole number from 1 to 65535");
  }
  for (const port of ["9", null, undefined, 9n]) {
    await assertRejects(() => send(new Uint8Array(1), { hostname: LOCAL, port }), TypeError, "remoteAddr.port");
  }
  const gone = new Uint8Array(5);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  await assertRejects(() => send(gone, socket.addr), TypeError, "was transferred");
});

both("UdpSocket.send() takes any shape of address and says how much went out", {}, async () => {
  using socket = bind();
  const { port } = socket.addr;
  const shapes: (UdpDestination | Deno.Addr)[] = [
    socket.addr,
    { hostname: LOCAL, port },
    { transport: "udp", hostname: LOCAL, port },
    { transport: "tcp", hostname: LOCAL, port },
  ];
  for (const to of shapes) {
    assertEquals(await socket.send(bytes("four"), to), 4);
    assertEquals(text((await socket.receive())[0]), "four");
  }
});

both("UdpSocket.send() refuses a datagram that is too large, naming size and limit", {}, async () => {
  using socket = bind();
  const error = await assertRejects(() => socket.send(new Uint8Array(65_508), socket.addr)) as SystemError;
  assertEquals([error.code, error.syscall], ["EMSGSIZE", "sendto"]);
  assert(error.message.endsWith("the datagram has 65508 bytes, it must have at most 65507"), error.message);
});

both("UdpSocket.send() on :: reaches both families, and 65,527 bytes go to an IPv6 address", {
  read: true,
  files: ["/proc/net/if_inet6"],
}, async () => {
  using socket = bindUdp({ hostname: "::" });
  const { port } = socket.addr;
  await socket.send(bytes("four"), { hostname: LOCAL, port });
  assertEquals((await socket.receive())[1].hostname, "::ffff:127.0.0.1");
  await socket.send(bytes("mapped"), { hostname: "::ffff:127.0.0.1", port });
  assertEquals(text((await socket.receive())[0]), "mapped");
  await socket.send(new Uint8Array(65_527), { hostname: "::1", port });
  const [data, from] = await socket.receive();
  assertEquals(data.byteLength, 65_527);
  assertEquals(from, { family: "inet6", transport: "udp", hostname: "::1", port });
  for (const [hostname, most] of [["::1", 65_527], ["::ffff:127.0.0.1", 65_507]] as const) {
    const error = await assertRejects(() => socket.send(new Uint8Array(most + 1), { hostname, port })) as SystemError;
    assert(error.message.endsWith(`at most ${most}`), error.message);
  }
});

both("UdpSocket.send() explains what the system refuses", { linux: true }, async () => {
  using socket = bind();
  const error = await assertRejects(() => socket.send(new Uint8Array(1), { hostname: "::1", port: 9 })) as SystemError;
  assertEquals([error.code, error.errno, error.syscall], ["EAFNOSUPPORT", 97, "sendto"]);
  assert(error.message.startsWith(`Cannot send from udp ${LOCAL}:${socket.addr.port} to [::1]:9: EAFNOSUPPORT (`));
  assert(error.message.includes('one bound to "::" sends to both'), error.message);
});

both("UdpSocket.send() with an aborted signal sends nothing", {}, async () => {
  using socket = bind();
  const reason = new Error("no");
  const options = { signal: AbortSignal.abort(reason) };
  assertStrictEquals(await assertRejects(() => socket.send(bytes("one"), socket.addr, options)), reason);
  await socket.send(bytes("two"), socket.addr, { signal: new AbortController().signal });
  assertEquals(text((await socket.receive())[0]), "two");
});

both("UdpSocket[Symbol.asyncIterator]() gives datagrams until close(), which ends it", {}, async () => {
  const socket = bind();
  for (const word of ["one", "two", "end"]) await socket.send(bytes(word), socket.addr);
  const words: string[] = [];
  for await (const [data, from] of socket) {
    assertEquals(from, socket.addr);
    words.push(text(data));
    if (words.at(-1) === "end") setTimeout(() => socket.close(), 5);
  }
  assertEquals(words, ["one", "two", "end"]);
  for await (const _ of socket) throw new Error("a closed socket gave a datagram");
});

both("UdpSocket[Symbol.asyncIterator]() leaves the socket open when the loop is left", {}, async () => {
  using socket = bind();
  await socket.send(bytes("one"), socket.addr);
  for await (const [data] of socket) {
    assertEquals(text(data), "one");
    break;
  }
  await socket.send(bytes("two"), socket.addr);
  assertEquals(text((await socket.receive())[0]), "two");
});

both("UdpSocket.close() rejects waiting calls and all later ones with BadResource", {}, async () => {
  const socket = bind();
  const waiting = [socket.receive(), socket.receive(undefined, { signal: new AbortController().signal })];
  await settle();
  socket.close();
  for (const one of waiting) await assertRejects(() => one, Deno.errors.BadResource, "the socket is closed");
  await assertRejects(() => socket.receive(), Deno.errors.BadResource, "the socket is closed");
  await assertRejects(() => socket.send(new Uint8Array(1), socket.addr), Deno.errors.BadResource);
  await assertRejects(() => socket.joinMulticastV4("239.0.0.1", LOCAL), Deno.errors.BadResource);
  assertThrows(() => socket.close(), Deno.errors.BadResource, `Cannot close udp ${LOCAL}:${socket.addr.port}`);
  socket[Symbol.dispose]();
  // Deno lets go of the descriptor when the call that was pending has come to its end.
  let again: UdpSocket | undefined;
  await until(() => {
    try {
      again = bindUdp({ hostname: LOCAL, port: socket.addr.port });
    } catch (error) {
      assertInstanceOf(error, Deno.errors.AddrInUse);
    }
    return again !== undefined;
  });
  assertEquals(again!.addr.port, socket.addr.port);
  again!.close();
});

both("UdpSocket.close() drops a datagram that nobody waited for", {}, async () => {
  const socket = bind();
  await assertRejects(() => socket.receive(undefined, { signal: AbortSignal.timeout(1) }));
  await socket.send(bytes("one"), socket.addr);
  await settle();
  socket.close();
  await assertRejects(() => socket.receive(), Deno.errors.BadResource);
});

test(
  "UdpSocket[DESCRIPTOR] is the descriptor, and BadResource once closed",
  { ffi: true, linux: true, read: true },
  () => {
    const socket = bind();
    const fd = socket[DESCRIPTOR];
    const inode = Deno.readLinkSync(`/proc/self/fd/${fd}`).match(/^socket:\[(\d+)\]$/)![1]!;
    const line = Deno.readTextFileSync("/proc/net/udp").split("\n").find((one) => one.includes(` ${inode} `))!;
    assert(line.includes(`0100007F:${socket.addr.port.toString(16).toUpperCase().padStart(4, "0")}`), line);
    socket.close();
    assertThrows(() => socket[DESCRIPTOR], Deno.errors.BadResource, "the socket is closed");
    assertThrows(() => SO_RCVBUF.get(socket), Deno.errors.BadResource);
  },
);

test("UdpSocket.capabilities reads what the kernel granted", { ffi: true }, () => {
  using socket = bindUdp({ hostname: LOCAL, receiveBufferSize: 20_000 });
  const { engine, batch, maxSegments, gro, metadata } = socket.capabilities;
  if (engine === "portable") assertEquals([batch, maxSegments, gro, metadata], [1, 1, false, []]);
  else assertEquals([batch, maxSegments >= 64, gro, metadata.length], [1024, true, false, 7]);
  assertEquals(socket.capabilities.receiveBufferSize, SO_RCVBUF.get(socket));
  assertEquals(socket.capabilities.sendBufferSize, SO_SNDBUF.get(socket));
  SO_RCVBUF.set(socket, 50_000);
  assertEquals(socket.capabilities.receiveBufferSize, SO_RCVBUF.get(socket));
  assertEquals(socket.remoteAddr, null);
});

/** Members that the portable engine has nothing for. */
const NATIVE_ONLY = [
  ...["socket", "tryReceive", "trySend", "receiveMessage", "sendMessage", "reply", "messages"],
  ...["tryReceiveBatch", "trySendBatch", "connect", "disconnect"],
];

test("UdpSocket members that need the native engine throw NotCapable on the portable one, each naming itself", {
  withoutFfi: true,
  linux: true,
}, async () => {
  using socket = bind();
  const batch = new DatagramBatch();
  const calls: Record<string, () => unknown> = {
    socket: () => socket.socket,
    tryReceive: () => socket.tryReceive(),
    trySend: () => socket.trySend(new Uint8Array(1), socket.addr),
    receiveMessage: () => socket.receiveMessage(),
    sendMessage: () => socket.sendMessage({ data: new Uint8Array(1), remoteAddr: socket.addr }),
    reply: () => socket.reply({} as never, new Uint8Array(1)),
    messages: () => socket.messages(),
    tryReceiveBatch: () => socket.tryReceiveBatch(batch),
    trySendBatch: () => socket.trySendBatch(batch),
    connect: () => socket.connect(socket.addr),
    disconnect: () => socket.disconnect(),
  };
  assertEquals(Object.keys(calls), NATIVE_ONLY);
  for (const [name, call] of Object.entries(calls)) {
    await assertRejects(async () => await call(), Deno.errors.NotCapable, `Cannot use UdpSocket.${name}: `);
  }
  // Those that return promises reject, they do not throw.
  for (const name of ["receiveMessage", "sendMessage", "reply"]) {
    await assertRejects(calls[name] as () => Promise<unknown>, Deno.errors.NotCapable);
  }
  await assertRejects(() => connectUdp(socket.addr), Deno.errors.NotCapable, "Cannot connect udp to 127.0.0.1:");
});

/** What both engines have; all else is above. */
const COMMON = [
  ...["addr", "remoteAddr", "capabilities", "receive", "send", "receiveBatch", "sendBatch", "batches"],
  ...["joinMulticastV4", "joinMulticastV6", "ref", "unref", "close"],
];

test("UdpSocket has no member that neither engine is tested for", {}, () => {
  const members = Object.getOwnPropertyNames(UdpSocket.prototype).filter((name) => name !== "constructor");
  assertEquals(members.toSorted(), [...COMMON, ...NATIVE_ONLY].toSorted());
});

test("UdpSocket.sendBatch() on the portable engine refuses what Deno has nothing for, naming it", {
  withoutFfi: true,
  linux: true,
}, async () => {
  using socket = bind();
  const words = { localAddr: { hostname: LOCAL }, interfaceIndex: 1, hopLimit: 3, dscp: 46, ecn: 1 };
  for (const [word, value] of Object.entries(words)) {
    const settings = { remoteAddr: socket.addr, [word]: value };
    const batch = new DatagramBatch();
    batch.add(bytes("plain"), { remoteAddr: socket.addr });
    batch.add(bytes("more"), settings);
    const array = [{ data: bytes("plain"), remoteAddr: socket.addr }, { data: bytes("more"), ...settings }];
    for (const what of [batch, array]) {
      const error = await assertRejects(() => socket.sendBatch(what), Deno.errors.NotCapable, `with ${word}: `);
      assertEquals((error as unknown as { sent: number }).sent, 1);
      assertEquals(text((await socket.receive())[0]), "plain");
    }
    assertEquals(batch.sent, 1);
  }
});

both("UdpSocket.joinMulticastV4() joins as in Deno, and explains refusals", {}, async () => {
  using socket = bindUdp();
  const membership = await socket.joinMulticastV4("239.0.0.1", LOCAL);
  const error = await assertRejects(() => socket.joinMulticastV4("239.0.0.1", LOCAL));
  assertInstanceOf(error, Deno.errors.AddrInUse);
  assertEquals([(error as unknown as SystemError).code, (error as unknown as SystemError).syscall], [
    "EADDRINUSE",
    "setsockopt",
  ]);
  assert(error.message.startsWith('Cannot join group "239.0.0.1": EADDRINUSE'), error.message);
  await membership.leave();
  await (await socket.joinMulticastV4("239.0.0.1", LOCAL)).leave();
  await assertRejects(() => socket.joinMulticastV4("10.0.0.1", LOCAL), RangeError, "must be in 224.0.0.0/4");
  await assertRejects(() => socket.joinMulticastV4("nonsense", LOCAL), SyntaxError, "no IPv4 address");
  await assertRejects(() => socket.joinMulticastV4("239.0.0.1", "lo"), SyntaxError, "it must be an IPv4 address");
  await assertRejects(() => socket.joinMulticastV4(5 as never, LOCAL), TypeError);
  await assertRejects(() => socket.joinMulticastV4("239.0.0.1", 1 as never), TypeError);
  const unknown = await assertRejects(() => socket.joinMulticastV4("239.0.0.1", "203.0.113.9")) as SystemError;
  if (Deno.build.os === "linux") assertEquals([unknown.code, unknown.errno], ["ENODEV", 19]);
});

both("UdpSocket.joinMulticastV6() joins as in Deno, and explains refusals", {
  linux: true,
  read: true,
  files: ["/proc/net/if_inet6"],
}, async () => {
  using socket = bindUdp({ hostname: "::" });
  const membership = await socket.joinMulticastV6("ff02::4242", 1);
  // Deno guards the file: only a program that may do everything can look.
  const native = socket.capabilities.engine === "native";
  const joined = () => Deno.readTextFileSync("/proc/net/igmp6").includes("ff020000000000000000000000004242");
  assert(!native || joined());
  await membership.leave();
  assert(!native || !joined());
  await assertRejects(() => socket.joinMulticastV6("fe80::1", 1), RangeError, "must be in ff00::/8");
  await assertRejects(() => socket.joinMulticastV6("239.0.0.1", 1), SyntaxError, "no IPv6 address");
  for (const index of [-1, NaN, 1.5, 2 ** 31]) {
    await assertRejects(() => socket.joinMulticastV6("ff02::1", index), RangeError, "from 0 to 2147483647");
  }
  const unknown = await assertRejects(() => socket.joinMulticastV6("ff02::4242", 2 ** 31 - 1)) as SystemError;
  assertEquals([unknown.code, unknown.errno, unknown.syscall], ["ENODEV", 19, "setsockopt"]);
  using four = bindUdp();
  const family = await assertRejects(() => four.joinMulticastV6("ff02::4242", 1)) as SystemError;
  assertEquals(family.code, "ENOPROTOOPT");
  assert(family.message.includes("of the other family"), family.message);
});

test("UdpSocket keeps the program alive while a call waits, unless unref() was called", OTHER_PROGRAM, async () => {
  for (const flag of ["--unstable-net", "--allow-ffi"]) await keepsAlive(["--allow-net", flag]);
});

async function keepsAlive(flags: string[]): Promise<void> {
  const program = (code: string) =>
    runWith(
      flags,
      `const socket = udp.bindUdp({ hostname: "127.0.0.1" });\n${code}; addEventListener("unload", () => console.log("end"));`,
    );
  // Ends at once, with the receive pending.
  assertEquals(await program(`socket.unref(); socket.receive()`), "end");
  assertEquals(await program(`socket.receive(); socket.unref()`), "end");
  // A receive that was aborted keeps nothing alive.
  assertEquals(await program(`socket.receive(undefined, { signal: AbortSignal.abort() }).catch(() => {})`), "end");
  assertEquals(
    await program(`const it = new AbortController();
      socket.receive(undefined, it).catch(() => console.log("aborted")); it.abort()`),
    "aborted\nend",
  );
  // The next one does again: a timer that does not count sends what it waits for.
  const sender =
    `const late = (after) => Deno.unrefTimer(setTimeout(() => socket.send(new Uint8Array(1), socket.addr), after))`;
  assertEquals(
    await program(
      `${sender}; const it = new AbortController(); socket.receive(undefined, it).catch(() => {}); it.abort();
      late(100); socket.receive().then(() => console.log("received"))`,
    ),
    "received\nend",
  );
  assertEquals(
    await program(
      `${sender}; socket.unref(); socket.ref(); late(100); socket.receive().then(() => console.log("received"))`,
    ),
    "received\nend",
  );
  // unref() holds for the receive after an abort as well.
  assertEquals(
    await program(
      `${sender}; const it = new AbortController(); socket.receive(undefined, it).catch(() => {}); it.abort();
      socket.unref(); late(60_000); socket.receive().then(() => console.log("received"))`,
    ),
    "end",
  );
}

test("UdpSocket works without FFI, and says which flag the rest needs", OTHER_PROGRAM, async () => {
  const output = await runWith(
    ["--allow-net=127.0.0.1", "--unstable-net"],
    `const socket = udp.bindUdp({ hostname: "127.0.0.1" });
     await socket.send(new Uint8Array(3), socket.addr);
     console.log((await socket.receive())[0].length, socket.capabilities.engine);
     try { socket.capabilities.receiveBufferSize } catch (error) { say(error) }
     try { socket[udp.DESCRIPTOR] } catch (error) { say(error) }
     await socket.send(new Uint8Array(3), { hostname: "127.0.0.2", port: 9 }).catch(say);
     const batch = new udp.DatagramBatch();
     for (const size of [1, 2]) batch.add(new Uint8Array(size), { remoteAddr: socket.addr });
     await socket.sendBatch(batch);
     for (let i = 0; i < 2; i++) { await socket.receiveBatch(batch); console.log(batch.length, batch.byteLength(0)); }
     socket.close();`,
  );
  const [works, size, descriptor, send, ...batches] = output.split("\n");
  assertEquals(batches, ["1 1", "1 2"]);
  assertEquals(works, "3 portable");
  assert(size!.startsWith("NotCapable: Cannot read SO_RCVBUF: Requires ffi access"), size);
  assert(descriptor!.startsWith("NotCapable: Cannot use udp 127.0.0.1:"), descriptor);
  assertEquals(send, 'NotCapable: Requires net access to "127.0.0.2:9", run again with the --allow-net flag');
});

both("UdpSocket talks to python3, both ways", { run: ["python3"] }, async () => {
  using socket = bind();
  await using peer = start(
    "python3",
    ["-u", "-", String(socket.addr.port)],
    `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b"from python", ("127.0.0.1", int(sys.argv[1])))
data, sender = s.recvfrom(100)
print(data.decode(), sender[1])
`,
  );
  const [question, from] = await socket.receive();
  assertEquals(text(question), "from python");
  await socket.send(bytes("from deno"), from);
  assertEquals(await peer.line(), `from deno ${socket.addr.port}`);
  await peer.rest();
});

both("UdpSocket talks to socat, both ways, and is answered", { run: ["socat"] }, async () => {
  using socket = bind();
  await using sends = start("socat", ["-u", "-", `UDP4-SENDTO:${LOCAL}:${socket.addr.port}`], "from socat");
  assertEquals(text((await socket.receive())[0]), "from socat");
  await sends.rest();
  // It answers with what it is sent.
  const other = bind();
  const { port } = other.addr;
  other.close();
  await using echo = start("socat", [`UDP4-RECVFROM:${port},bind=${LOCAL}`, "EXEC:cat"]);
  const timer = setInterval(() => socket.send(bytes("from us"), { hostname: LOCAL, port }), 50);
  try {
    const [answer, from] = await socket.receive(undefined, { signal: AbortSignal.timeout(10_000) });
    assertEquals([text(answer), from.hostname, from.port], ["from us", LOCAL, port]);
  } finally {
    clearInterval(timer);
  }
  await echo.rest();
});

test("UdpSocket can be given to any option", { ffi: true, linux: true }, () => {
  using socket = bind();
  assertEquals(IP_MULTICAST_ALL.set(socket, false), false);
  assertEquals(IP_MULTICAST_ALL.get(socket), false);
});

both("UdpSocket.joinMulticastV4() and joinMulticastV6() on a closed socket say so", {}, async () => {
  const socket = bind();
  socket.close();
  const { BadResource } = Deno.errors;
  await assertRejects(() => socket.joinMulticastV4("239.0.7.1", LOCAL), BadResource, "the socket is closed");
  await assertRejects(() => socket.joinMulticastV6("ff02::1", 1), BadResource, "the socket is closed");
});
