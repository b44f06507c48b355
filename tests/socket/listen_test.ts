// Socket.listen: who may connect, and how many may wait.
// Taking the connections: accept_test.ts.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { SO_ACCEPTCONN } from "../../options/mod.ts";
import { Socket } from "../../socket/socket.ts";
import { abstract, assertFails, FFI, LOCAL, tcpListener, tcpPair, test, udp } from "./make.ts";

test("listen() makes the socket listen, as the kernel tells", FFI, () => {
  using socket = Socket.open("inet", "stream");
  socket.bind(LOCAL);
  assertEquals(SO_ACCEPTCONN.get(socket), false);
  socket.listen();
  assertEquals(SO_ACCEPTCONN.get(socket), true);
});

test("listen() before bind takes a port of TCP, and fails for unix", FFI, async () => {
  using tcp = Socket.open("inet", "stream");
  tcp.listen();
  assert(tcp.localAddr!.port > 0);
  assertEquals(tcp.localAddr!.hostname, "0.0.0.0");
  using unix = Socket.open("unix", "stream");
  const error = await assertFails(() => unix.listen(), "EINVAL", "listen", TypeError);
  assert(error.message.includes("bind()"), error.message);
});

test("listen() a second time changes the backlog", FFI, async () => {
  using listener = tcpListener(1);
  listener.listen(20);
  const clients = Array.from({ length: 10 }, () => Socket.open("inet", "stream"));
  await Promise.all(clients.map((client) => client.connect(listener.localAddr!)));
  for (const client of clients) client.close();
});

test("listen() on a connected or datagram socket fails", FFI, async () => {
  using pair = await tcpPair();
  const { message } = await assertFails(() => pair[0].listen(), "EINVAL", "listen");
  assert(message.endsWith("; it is connected"), message);
  using datagrams = udp();
  await assertFails(() => datagrams.listen(), "EOPNOTSUPP", "listen", Deno.errors.NotSupported);
});

test("listen() on a port in use fails with EADDRINUSE", FFI, async () => {
  using first = tcpListener();
  using second = Socket.open("inet", "stream");
  await assertFails(() => second.bind(first.localAddr!), "EADDRINUSE", "bind", Deno.errors.AddrInUse);
});

test("listen() checks the backlog", FFI, () => {
  using socket = Socket.open("inet", "stream");
  socket.bind(LOCAL);
  assertThrows(() => socket.listen(NaN), RangeError);
  assertThrows(() => socket.listen(-1), RangeError);
  assertThrows(() => socket.listen(1.5), RangeError);
  assertThrows(() => socket.listen(2 ** 32 + 5), RangeError);
  assertThrows(() => socket.listen("5" as unknown as number), TypeError);
  assertEquals(SO_ACCEPTCONN.get(socket), false);
  socket.listen(0);
});

test("the backlog bounds how many unix streams may wait", FFI, async () => {
  using listener = Socket.open("unix", "stream");
  const address = abstract();
  listener.bind(address);
  listener.listen(0);
  using first = Socket.open("unix", "stream");
  assertEquals(first.tryConnect(address), true);
  using second = Socket.open("unix", "stream");
  assertEquals(second.tryConnect(address), null);
  // It waits until there is room.
  const connected = second.connect(address);
  using accepted = await listener.accept();
  await connected;
  using next = await listener.accept();
  assertEquals([accepted.family, next.family], ["unix", "unix"]);
});
