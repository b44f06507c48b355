// Socket.open, pair, adopt, detach and dup: which sockets there are, and who owns a descriptor.
// What to do with them: the files named after the calls.
import { assert, assertEquals, assertInstanceOf, assertNotEquals, assertThrows } from "@std/assert";
import { DESCRIPTOR, SO_DOMAIN, SO_PROTOCOL, SO_TYPE } from "../../options/mod.ts";
import type { SocketType } from "../../socket/address.ts";
import { Socket } from "../../socket/socket.ts";
import { both, bytes, FFI, LOCAL, PATHS, PROGRAM, runProgram, test, text, udp } from "./make.ts";

const [AF_UNIX, AF_INET, AF_INET6] = [1, 2, 10];
const TYPES = { stream: 1, dgram: 2, seqpacket: 5 } as const;

test("Socket.open() opens what was asked for, as the kernel tells", FFI, () => {
  const asked = [
    ["inet", "stream", 0, AF_INET, 6],
    ["inet", "dgram", 0, AF_INET, 17],
    ["inet6", "stream", 0, AF_INET6, 6],
    ["inet6", "dgram", 0, AF_INET6, 17],
    ["inet", "stream", "tcp", AF_INET, 6],
    ["inet", "dgram", "udp", AF_INET, 17],
    ["inet", "dgram", 17, AF_INET, 17],
    ["unix", "stream", 0, AF_UNIX, 0],
    ["unix", "dgram", 0, AF_UNIX, 0],
    ["unix", "seqpacket", 0, AF_UNIX, 0],
  ] as const;
  for (const [family, type, protocol, domain, number] of asked) {
    using socket = Socket.open(family, type, protocol);
    assertEquals([socket.family, socket.type, socket.protocol], [family, type, number]);
    assertEquals([SO_DOMAIN.get(socket), SO_PROTOCOL.get(socket)], [domain, number]);
    assertEquals(SO_TYPE.get(socket), TYPES[type]);
  }
});

test("Socket.open() knows udplite and mptcp where the kernel does", FFI, () => {
  for (const [type, protocol, number] of [["dgram", "udplite", 136], ["stream", "mptcp", 262]] as const) {
    try {
      using socket = Socket.open("inet", type, protocol);
      assertEquals(socket.protocol, number);
    } catch (error) {
      assertInstanceOf(error, Deno.errors.NotSupported);
      assert(error.message.includes("EPROTONOSUPPORT"), error.message);
    }
  }
});

test("Socket.open() names what the kernel, or this library, does not have", FFI, () => {
  assertThrows(() => Socket.open("inet", "dgram", "tcp"), Deno.errors.NotSupported, "EPROTONOSUPPORT");
  assertThrows(() => Socket.open("inet", "seqpacket"), Deno.errors.NotSupported, "ESOCKTNOSUPPORT");
  assertThrows(() => Socket.open("nonsense" as "inet", "dgram"), Deno.errors.NotSupported, "nonsense");
  assertThrows(() => Socket.open("inet", "nonsense" as SocketType), Deno.errors.NotSupported, "nonsense");
  assertThrows(() => Socket.open("inet", "dgram", "nonsense" as "udp"), Deno.errors.NotSupported, "nonsense");
  assertThrows(() => Socket.open("toString" as "inet", "dgram"), Deno.errors.NotSupported);
  assertThrows(() => Socket.open("inet", "constructor" as SocketType), Deno.errors.NotSupported);
  assertThrows(() => Socket.open("inet", "dgram", "toString" as "udp"), Deno.errors.NotSupported);
});

test("Socket.open() takes no protocol number that is none", FFI, () => {
  assertThrows(() => Socket.open("inet", "dgram", NaN), RangeError);
  assertThrows(() => Socket.open("inet", "dgram", 1.5), RangeError);
  assertThrows(() => Socket.open("inet", "dgram", -1), RangeError);
  assertThrows(() => Socket.open("inet", "dgram", 2 ** 32 + 17), RangeError);
  assertThrows(() => Socket.open("inet", "dgram", null as unknown as number), Error);
  // Linux would open it, and send packets of another protocol: their header has a byte for it.
  for (const family of ["inet", "inet6"] as const) {
    assertThrows(() => Socket.open(family, "raw", 256), RangeError, "255");
  }
});

test("a socket has no address before bind, and no peer before connect", FFI, () => {
  for (const [family, type] of [["inet", "stream"], ["inet6", "dgram"], ["unix", "seqpacket"]] as const) {
    using socket = Socket.open(family, type);
    assertEquals([socket.localAddr, socket.remoteAddr], [null, null]);
  }
});

test("a socket is non-blocking and closed on exec from birth", { ...PATHS, run: ["sh"] }, async () => {
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  using single = Socket.open("inet", "dgram");
  using copy = single.dup();
  for (const { fd } of [left, right, single, copy]) {
    const flags = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`).match(/^flags:\s*(\d+)/m)![1]!;
    // O_NONBLOCK and O_CLOEXEC, in octal as they stand there.
    assertEquals(parseInt(flags, 8) & 0o2004000, 0o2004000, flags);
  }
  const { stdout } = await new Deno.Command("sh", { args: ["-c", "ls -l /proc/self/fd"] }).output();
  assert(!text(stdout).includes("socket:"), text(stdout));
});

test("the closed socket refuses every call with BadResource", FFI, async () => {
  const socket = Socket.open("inet", "dgram");
  socket.close();
  const data = bytes("x");
  const calls: (() => unknown)[] = [
    () => socket.fd,
    () => socket[DESCRIPTOR],
    () => socket.localAddr,
    () => socket.remoteAddr,
    () => socket.bind(LOCAL),
    () => socket.listen(),
    () => socket.accept(),
    () => socket.tryAccept(),
    () => socket.connect({ hostname: "127.0.0.1", port: 9 }),
    () => socket.tryConnect({ hostname: "127.0.0.1", port: 9 }),
    () => socket.disconnect(),
    () => socket.send(data),
    () => socket.trySend(data),
    () => socket.sendAll(data),
    () => socket.sendTo(data, { hostname: "127.0.0.1", port: 9 }),
    () => socket.trySendTo(data, { hostname: "127.0.0.1", port: 9 }),
    () => socket.receive(),
    () => socket.receive(new Uint8Array(1), { waitAll: true }),
    () => socket.tryReceive(),
    () => socket.receiveFrom(),
    () => socket.tryReceiveFrom(),
    () => socket.shutdown("both"),
    () => socket.dup(),
    () => socket.detach(),
    () => socket.close(),
  ];
  for (const call of calls) {
    let error: unknown;
    try {
      await call();
    } catch (thrown) {
      error = thrown;
    }
    assertInstanceOf(error, Deno.errors.BadResource, String(call));
  }
  // These do nothing any more.
  socket.ref();
  socket.unref();
  socket[Symbol.dispose]();
});

test("Socket.pair() gives two ends of each type", FFI, async () => {
  for (const type of ["stream", "dgram", "seqpacket"] as const) {
    const [left, right] = Socket.pair(type);
    using _pair = both([left, right]);
    assertEquals([left.family, left.type, right.type], ["unix", type, type]);
    await left.send(bytes("over"));
    assertEquals(text(await right.receive()), "over");
    await right.send(bytes("back"));
    assertEquals(text(await left.receive()), "back");
    assertEquals([left.localAddr, left.remoteAddr?.path], [null, ""]);
  }
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  assertEquals(left.type, "stream");
  assertThrows(() => Socket.pair("raw" as "dgram"), TypeError, "raw");
  assertThrows(() => Socket.pair("toString" as "dgram"), TypeError);
});

test("detach() and adopt() hand a descriptor over", FFI, async () => {
  using peer = udp();
  const before = udp();
  const { port } = before.localAddr!;
  const fd = before.detach();
  assertThrows(() => before.fd, Deno.errors.BadResource);
  assertThrows(() => before.close(), Deno.errors.BadResource);
  using after = Socket.adopt(fd);
  assertEquals([after.fd, after.family, after.type, after.protocol], [fd, "inet", "dgram", 17]);
  assertEquals((after.localAddr as { port: number }).port, port);
  await peer.sendTo(bytes("hello"), { hostname: "127.0.0.1", port });
  assertEquals(text(await after.receive()), "hello");
});

test("adopt() finds family and type of each socket", FFI, () => {
  for (const [family, type] of [["inet", "stream"], ["inet6", "dgram"], ["unix", "seqpacket"]] as const) {
    using socket = Socket.adopt(Socket.open(family, type).detach());
    assertEquals([socket.family, socket.type], [family, type]);
  }
});

test("detach() rejects those who wait, and the descriptor lives", FFI, async () => {
  const socket = udp();
  const waiting = socket.receive().catch((error) => error);
  const fd = socket.detach();
  assertInstanceOf(await waiting, Deno.errors.BadResource);
  using again = Socket.adopt(fd);
  using peer = udp();
  await peer.sendTo(bytes("still"), again.localAddr as { hostname: string; port: number });
  assertEquals(text(await again.receive()), "still");
});

test("adopt() refuses a file, a closed number and what is no number", PATHS, async () => {
  const path = await Deno.makeTempFile();
  const file = await Deno.open(path);
  const fd = Number(
    [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => name).find((name) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`) === path;
      } catch {
        return false;
      }
    }),
  );
  const flags = () => Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`).match(/^flags:.*$/m)![0];
  const before = flags();
  assertThrows(() => Socket.adopt(fd), TypeError, "no socket");
  assertEquals(flags(), before);
  // It was not closed.
  assertEquals(file.statSync().isFile, true);
  file.close();
  await Deno.remove(path);
  assertThrows(() => Socket.adopt(fd), Deno.errors.BadResource, "EBADF");
  assertThrows(() => Socket.adopt(-1), RangeError);
  assertThrows(() => Socket.adopt(2 ** 32 + 5), RangeError);
  assertThrows(() => Socket.adopt(NaN), RangeError);
  assertThrows(() => Socket.adopt("3" as unknown as number), TypeError);
});

test("dup() gives a second descriptor of the same socket", FFI, async () => {
  const first = udp();
  using second = first.dup();
  assertNotEquals(first.fd, second.fd);
  assertEquals(first.localAddr, second.localAddr);
  const address = first.localAddr!;
  first.close();
  using peer = udp();
  await peer.sendTo(bytes("to either"), address);
  assertEquals(text(await second.receive()), "to either");
});

test("close() of one duplicate wakes nobody who waits on the other", FFI, async () => {
  const first = udp();
  using second = first.dup();
  using peer = udp();
  const onFirst = first.receive().catch((error) => error);
  const onSecond = second.receive();
  first.close();
  assertInstanceOf(await onFirst, Deno.errors.BadResource);
  await peer.sendTo(bytes("here"), second.localAddr!);
  assertEquals(text(await onSecond), "here");
});

test("a socket that is not closed is closed once V8 has collected it", PROGRAM, async () => {
  const { output, errors } = await runProgram(`
    const sockets = () => [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
      try { return Deno.readLinkSync("/proc/self/fd/" + name).startsWith("socket:"); } catch { return false; }
    }).length;
    const before = sockets();
    function forget() { for (let i = 0; i < 50; i++) Socket.open("inet", "dgram"); }
    forget();
    const most = sockets() - before;
    let garbage: unknown[] = [];
    for (let i = 0; i < 300 && sockets() > before + 5; i++) {
      garbage = []; for (let j = 0; j < 100; j++) garbage.push(new Array(10_000).fill(i));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    console.log(most, sockets() - before <= 5);
  `);
  assertEquals(output, "50 true", errors);
});
