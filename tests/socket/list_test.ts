// listSockets() and findSocket(): what they see of sockets of every origin, and that no successor is ever touched.
// Finding the descriptor of an object that one has: ../descriptor_test.ts. The calls of a socket: the other files here.
import { assert, assertEquals, assertThrows } from "@std/assert";
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import {
  DESCRIPTOR,
  SO_BROADCAST,
  SO_COOKIE,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_SNDBUF,
  SO_TYPE,
  TCP_INFO,
  TCP_USER_TIMEOUT,
} from "../../options/mod.ts";
import type { InetAddress } from "../../socket/address.ts";
import { findSocket, listSockets, type SocketFilter, type SocketInfo } from "../../socket/list.ts";
import { poll } from "../../socket/poll.ts";
import { Socket } from "../../socket/socket.ts";
import { test } from "../needs.ts";
import { Namespace } from "../raw_socket.ts";
import { until } from "../time.ts";
import { abstract, bytes, FFI, fill, IPV6, LOCAL, PATHS, sleep, tcpListener, tcpPair, udp, udpPair } from "./make.ts";

/** Raw and packet sockets want root. */
const ALL_FAMILIES = { ...FFI, root: true };

async function denoPair(): Promise<{ client: Deno.TcpConn; server: Deno.TcpConn } & Disposable> {
  using listener = Deno.listen(LOCAL);
  const [client, server] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  return { client, server, [Symbol.dispose]: () => (client.close(), server.close()) };
}

function listed(socket: { readonly [DESCRIPTOR]: number }): SocketInfo {
  const found = listSockets().filter((one) => one.fd === socket[DESCRIPTOR]);
  assertEquals(found.length, 1);
  return found[0]!;
}

/** Those that were not there before. */
function since(before: readonly SocketInfo[]): SocketInfo[] {
  const known = new Set(before.map((one) => one.fd));
  return listSockets().filter((one) => !known.has(one.fd));
}

test("listSockets() tells what our sockets are, and that they are ours", FFI, async () => {
  using socket = udp();
  const one = listed(socket);
  assertEquals({ ...one }, {
    fd: socket.fd,
    owner: "library",
    family: "inet",
    type: "dgram",
    protocol: 17,
    localAddr: socket.localAddr,
    remoteAddr: null,
    receiveQueue: 0,
    sendQueue: 0,
  });
  using pair = await tcpPair();
  const [client, server] = pair;
  const { owner, state, localAddr, remoteAddr } = listed(client);
  assertEquals({ owner, state, localAddr, remoteAddr }, {
    owner: "library",
    state: "established",
    localAddr: client.localAddr,
    remoteAddr: server.localAddr,
  });
});

test("listSockets() no longer calls a descriptor ours that was given away", FFI, () => {
  const socket = udp();
  assertEquals(listed(socket).owner, "library");
  const fd = socket.detach();
  assertEquals(listed({ [DESCRIPTOR]: fd }).owner, "other");
  using adopted = Socket.adopt(fd);
  assertEquals(listed(adopted).owner, "library");
});

test("listSockets() sees Deno's listeners, connections and datagram sockets", FFI, async () => {
  const before = listSockets();
  using listener = Deno.listen(LOCAL);
  using pair = await denoPair();
  const datagram = Deno.listenDatagram({ transport: "udp", ...LOCAL });
  try {
    const now = since(before);
    assertEquals(now.map((one) => one.owner), ["other", "other", "other", "other"]);
    const { port } = listener.addr;
    assertEquals(
      now.filter((one) => one.state === "listen").map((one) => one.localAddr),
      [{ family: "inet", hostname: "127.0.0.1", port }],
    );
    assertEquals(
      findSocket({ remoteAddr: pair.server.localAddr }).localAddr,
      { family: "inet", hostname: "127.0.0.1", port: pair.client.localAddr.port },
    );
    assertEquals(findSocket({ localAddr: datagram.addr as Deno.NetAddr }).type, "dgram");
  } finally {
    datagram.close();
  }
});

test("listSockets() sees the sockets of node:net and node:dgram, and sets options on them", FFI, async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const accepted = once(server, "connection");
  const client = net.connect(port, "127.0.0.1");
  await once(client, "connect");
  const [served] = await accepted as [net.Socket];
  const datagram = dgram.createSocket("udp4");
  datagram.bind(0, "127.0.0.1");
  await once(datagram, "listening");
  try {
    assertEquals(
      listSockets({ localAddr: { hostname: "127.0.0.1", port } }).map((one) => one.state).sort(),
      ["established", "listen"],
    );
    const one = findSocket({ remoteAddr: { port } });
    assertEquals(SO_KEEPALIVE.set(one, true), true);
    assertEquals(SO_KEEPALIVE.get(client), true);
    assertEquals(findSocket({ localAddr: { port: datagram.address().port }, type: "dgram" }).protocol, 17);
  } finally {
    client.destroy();
    served.destroy();
    server.close();
    await once(server, "close");
    datagram.close();
    await once(datagram, "close");
  }
});

test("listSockets() sees unix sockets with their paths, and pairs without a name", PATHS, async () => {
  const before = listSockets();
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/socket`;
    using _listener = Deno.listen({ transport: "unix", path });
    const name = abstract();
    using socket = Socket.open("unix", "seqpacket");
    socket.bind(name);
    const [left, right] = Socket.pair("dgram");
    using _left = left;
    using _right = right;
    const now = since(before);
    assertEquals(
      now.map(({ type, state, localAddr, remoteAddr }) => [
        type,
        state,
        localAddr && "path" in localAddr && localAddr.path,
        remoteAddr && "path" in remoteAddr && remoteAddr.path,
      ]),
      [["stream", undefined, path, null], ["seqpacket", undefined, name.path, null], [
        "dgram",
        undefined,
        null,
        "",
      ], ["dgram", undefined, null, ""]],
    );
    assertEquals(findSocket({ localAddr: { path } }).family, "unix");
    assertEquals(findSocket({ localAddr: { transport: "unix", path } as Deno.UnixAddr }).family, "unix");
    assertEquals(findSocket({ localAddr: name }).fd, socket.fd);
    const unnamed = listSockets({ type: "dgram", localAddr: { path: "" }, remoteAddr: { path: "" } });
    assertEquals(unnamed.map((one) => one.fd), [left.fd, right.fd].sort((a, b) => a - b));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("listSockets() sees the sockets of Workers, and options reach them", FFI, async () => {
  const code = `
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    postMessage(listener.addr.port);
    onmessage = () => { listener.close(); postMessage("closed"); };
  `;
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
  const message = () => new Promise<unknown>((resolve) => worker.onmessage = ({ data }) => resolve(data));
  const port = await message() as number;
  const one = findSocket({ localAddr: { hostname: "127.0.0.1", port } });
  assertEquals([one.owner, one.state], ["other", "listen"]);
  assertEquals(SO_KEEPALIVE.set(one, true), true);
  const closed = message();
  worker.postMessage("close");
  await closed;
  await until(() => listSockets({ localAddr: { port } }).length === 0);
  assertThrows(() => SO_KEEPALIVE.get(one), Deno.errors.BadResource, "the socket is closed");
  worker.terminate();
});

test("listSockets() tells IPv6 addresses, and finds mapped ones by either family", IPV6, async () => {
  using listener = Socket.open("inet6", "stream");
  listener.bind({ hostname: "::", port: 0 });
  listener.listen();
  const { port } = listener.localAddr!;
  using client = Socket.open("inet", "stream");
  await client.connect({ hostname: "127.0.0.1", port });
  using served = await listener.accept();
  for (const hostname of ["127.0.0.1", "::ffff:127.0.0.1", "0:0:0:0:0:FFFF:7F00:1"]) {
    assertEquals(findSocket({ localAddr: { hostname, port } }).fd, served.fd);
    assertEquals(findSocket({ remoteAddr: { hostname, port } }).fd, client.fd);
  }
  assertEquals(findSocket({ localAddr: { hostname: "::", port } }).fd, listener.fd);
  assertEquals(findSocket({ localAddr: served.localAddr!, state: "established" }).family, "inet6");
  assertEquals(findSocket({ remoteAddr: served.localAddr! }).fd, client.fd);
});

test("listSockets() tells the states of TCP", FFI, async () => {
  using fresh = Socket.open("inet", "stream");
  using listener = tcpListener();
  using client = Socket.open("inet", "stream");
  await client.connect(listener.localAddr!);
  using server = await listener.accept();
  const states = () => [fresh, listener, client, server].map((one) => listed(one).state);
  assertEquals(states(), ["close", "listen", "established", "established"]);
  client.shutdown("write");
  await until(() => listed(server).state === "close-wait" && listed(client).state !== "fin-wait-1");
  assertEquals(states(), ["close", "listen", "fin-wait-2", "close-wait"]);
  assertEquals(listSockets({ state: "close-wait" }).map((one) => one.fd), [server.fd]);
  assertEquals(listed(fresh).localAddr, null);
});

test("listSockets() tells the bytes that a stream has not read, and those not yet sent", FFI, async () => {
  using pair = await tcpPair();
  const [client, server] = pair;
  await client.send(new Uint8Array(1000));
  await until(() => listed(server).receiveQueue === 1000);
  assertEquals(listed(client).receiveQueue, 0);
  await until(() => listed(client).sendQueue === 0);
  assertEquals((await server.receive()).byteLength, 1000, "nothing was taken");
  assertEquals(listed(server).receiveQueue, 0);

  const sent = fill(client);
  await until(() => listed(client).sendQueue + listed(server).receiveQueue === sent);
  assert(listed(client).sendQueue > 0);
  assert(listed(server).receiveQueue > 0);
});

test("listSockets() tells no queues of listeners, whatever waits to be accepted", FFI, async () => {
  using listener = tcpListener();
  using client = Socket.open("inet", "stream");
  await client.connect(listener.localAddr!);
  const { receiveQueue, sendQueue } = listed(listener);
  assertEquals([receiveQueue, sendQueue], [0, 0]);
});

test("listSockets() tells the memory of all waiting datagrams", FFI, async () => {
  using pair = await udpPair();
  const [left, right] = pair;
  for (let i = 1; i <= 3; i++) {
    await left.send(new Uint8Array(500));
    await until(() => listed(right).receiveQueue >= 500 * i);
  }
  for (let i = 0; i < 3; i++) await right.receive();
  assertEquals(listed(right).receiveQueue, 0);
});

test("listSockets() tells the bytes that a unix stream has not read", FFI, async () => {
  const [left, right] = Socket.pair();
  using _left = left;
  using _right = right;
  await left.send(new Uint8Array(300));
  assertEquals(listed(right).receiveQueue, 300);
  assert(listed(left).sendQueue >= 300);
  await right.receive();
  assertEquals([listed(right).receiveQueue, listed(left).sendQueue], [0, 0]);
});

test("listSockets() lists a socket with two descriptors once, under ours", FFI, () => {
  const before = listSockets();
  using first = udp();
  const second = first.dup();
  assertEquals(since(before).map((one) => one.fd), [Math.min(first.fd, second.fd)]);
  // The lower number is no longer ours, the socket still is.
  const [lower, higher] = first.fd < second.fd ? [first, second] : [second, first];
  const fd = lower.detach();
  assertEquals(since(before).map((one) => [one.fd, one.owner]), [[higher.fd, "library"]]);
  Socket.adopt(fd).close();
  higher.close();
});

test("listSockets() tells MPTCP connections apart from the listener whose cookie they have", FFI, async () => {
  using listener = Socket.open("inet", "stream", "mptcp");
  listener.bind(LOCAL);
  listener.listen();
  const connect = async () => {
    const client = Socket.open("inet", "stream", "mptcp");
    await client.connect(listener.localAddr!);
    return [client, await listener.accept()] as const;
  };
  const [client, server] = await connect();
  using _client = client;
  const [client2, server2] = await connect();
  using _client2 = client2;
  using _server2 = server2;
  await client.send(new Uint8Array(70));
  await until(() => listed(server).receiveQueue === 70);
  assertEquals([listener, client, server, server2].map((one) => listed(one).state), [
    "listen",
    "established",
    "established",
    "established",
  ]);
  const one = listed(server);
  assertEquals(SO_KEEPALIVE.get(one), false);
  const fd = server.fd;
  server.close();
  const successor = server2.dup();
  using _successor = successor;
  assertEquals(successor.fd, fd);
  assertThrows(() => SO_KEEPALIVE.set(one, true), Deno.errors.BadResource);
  assertEquals(SO_KEEPALIVE.get(server2), false);
});

test("a socket that was closed after it was listed is BadResource, and its successor stays as it is", FFI, () => {
  const first = tcpListener();
  const fd = first.fd;
  const touched = listed(first);
  const untouched = listed(first);
  assertEquals(SO_KEEPALIVE.get(touched), false);
  first.close();
  for (const one of [touched, untouched]) {
    assertThrows(() => one[DESCRIPTOR], Deno.errors.BadResource, "the socket is closed");
    assertThrows(() => SO_KEEPALIVE.set(one, true), Deno.errors.BadResource, "Cannot set SO_KEEPALIVE");
  }
  using successor = tcpListener();
  assertEquals(successor.fd, fd, "the number is used again");
  const size = SO_RCVBUF.get(successor);
  for (const one of [touched, untouched]) {
    assertThrows(() => one[DESCRIPTOR], Deno.errors.BadResource);
    assertThrows(() => SO_KEEPALIVE.set(one, true), Deno.errors.BadResource, "the socket is closed");
    assertThrows(() => SO_RCVBUF.set(one, 4096), Deno.errors.BadResource);
    assertThrows(() => TCP_INFO.get(one), Deno.errors.BadResource);
  }
  assertEquals([SO_KEEPALIVE.get(successor), SO_RCVBUF.get(successor)], [false, size]);
});

test("a socket that was closed after it was listed is BadResource when its number is a file", PATHS, async () => {
  const socket = udp();
  const one = listed(socket);
  socket.close();
  using _file = await Deno.open(new URL(import.meta.url));
  assertThrows(() => SO_TYPE.get(one), Deno.errors.BadResource);
});

test("a number that is used again at once is never taken for what was listed", FFI, () => {
  let reused = 0;
  for (let i = 0; i < 2000; i++) {
    const first = udp();
    const one = listSockets({ localAddr: first.localAddr! })[0]!;
    first.close();
    using second = udp();
    // A thread of the runtime may have taken it first.
    if (second.fd === one.fd) reused++;
    assertThrows(() => SO_BROADCAST.set(one, true), Deno.errors.BadResource);
    assertEquals(SO_BROADCAST.get(second), false);
  }
  assert(reused > 1000, `${reused} numbers were used again`);
});

test("sockets that Workers close and open all the time are listed whole, or are closed", FFI, async () => {
  const code = `
    let going = true;
    onmessage = () => going = false;
    while (going) {
      for (let i = 0; i < 20; i++) {
        const socket = i % 2 ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
          : Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
        socket.close();
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
    postMessage("ended");
  `;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const workers = [1, 2].map(() => new Worker(url, { type: "module" }));
  const ended = Promise.all(workers.map((worker) => new Promise((resolve) => worker.onmessage = resolve)));
  try {
    using ours = udp();
    const outcomes = { whole: 0, closed: 0 };
    for (const end = performance.now() + 500; performance.now() < end; await sleep(0)) {
      for (const one of listSockets({ localAddr: { hostname: "127.0.0.1" } })) {
        try {
          assertEquals(SO_TYPE.get(one), one.type === "stream" ? 1 : 2);
          outcomes.whole++;
        } catch (error) {
          if (!(error instanceof Deno.errors.BadResource)) throw error;
          outcomes.closed++;
        }
      }
      assertEquals(listed(ours).owner, "library");
    }
    assert(outcomes.whole > 0);
  } finally {
    for (const worker of workers) worker.postMessage("end");
    await ended;
    for (const worker of workers) worker.terminate();
  }
});

test("a port is never found in the letters of a unix path", PATHS, async () => {
  const folder = await Deno.makeTempDir({ dir: "/tmp" });
  try {
    using _listener = Deno.listen({ transport: "unix", path: `${folder}/socket` });
    // A path begins where addresses of the Internet have their port.
    const port = "/".charCodeAt(0) << 8 | "t".charCodeAt(0);
    assertEquals(listSockets({ localAddr: { port } }), []);
    assertEquals(listSockets({ localAddr: { path: `${folder}/socket` } }).length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("sockets are seen whether most of the numbers about theirs are open or closed", FFI, () => {
  let open = Array.from({ length: 3000 }, udp);
  try {
    for (const left of [() => true, (i: number) => i % 5 !== 0, (i: number) => i % 7 === 0]) {
      open.forEach((one, i) => left(i) || one.close());
      open = open.filter((_, i) => left(i));
      const fds = new Set(listSockets().map((one) => one.fd));
      assertEquals(open.filter((one) => !fds.has(one.fd)), []);
      for (const one of [open[0]!, open.at(-1)!]) assertEquals(findSocket({ localAddr: one.localAddr! }).fd, one.fd);
    }
  } finally {
    for (const one of open) one.close();
  }
});

test("listSockets() does not take the error that a socket keeps", FFI, async () => {
  using socket = udp();
  using gone = udp();
  await socket.connect(gone.localAddr!);
  gone.close();
  await socket.send(bytes("x"));
  // Looking does not take it either.
  assertEquals((await poll([{ socket }], { timeout: 5000 })).map(({ error }) => error), [true]);
  listSockets();
  listed(socket);
  assertEquals(SO_ERROR.get(socket), 111);
});

test("listSockets() takes every field of its filter into account", FFI, async () => {
  using datagram = udp();
  using pair = await tcpPair();
  const [client, server] = pair;
  const of = (filter: SocketFilter) => {
    const fds = listSockets(filter).map((one) => one.fd);
    return [datagram, client, server].map((one) => fds.includes(one.fd));
  };
  assertEquals(of({}), [true, true, true]);
  assertEquals(of({ type: "dgram" }), [true, false, false]);
  assertEquals(of({ type: "stream" }), [false, true, true]);
  assertEquals(of({ family: "inet" }), [true, true, true]);
  assertEquals(of({ family: "inet6" }), [false, false, false]);
  assertEquals(of({ family: "vsock" }), [false, false, false]);
  assertEquals(of({ state: "established" }), [false, true, true]);
  assertEquals(of({ state: "listen" }), [false, false, false]);
  assertEquals(of({ localAddr: { hostname: "127.0.0.1" } }), [true, true, true]);
  assertEquals(of({ localAddr: { hostname: "127.0.0.2" } }), [false, false, false]);
  assertEquals(of({ remoteAddr: { hostname: "127.0.0.1" } }), [false, true, true]);
  assertEquals(of({ localAddr: client.localAddr! }), [false, true, false]);
  assertEquals(of({ remoteAddr: client.localAddr! }), [false, false, true]);
  assertEquals(of({ localAddr: { path: "" } }), [false, false, false]);
  assertEquals(of({ localAddr: { ...LOCAL, transport: "udp", port: datagram.localAddr!.port } as Deno.NetAddr }), [
    true,
    false,
    false,
  ]);
  assertEquals(of({ localAddr: { ...LOCAL, transport: "tcp", port: datagram.localAddr!.port } as Deno.NetAddr }), [
    false,
    false,
    false,
  ]);
  assertEquals(of({ type: "stream", localAddr: client.localAddr!, remoteAddr: client.localAddr! }), [
    false,
    false,
    false,
  ]);
});

test("a filter that cannot be meant is refused with what it must be", FFI, () => {
  // deno-lint-ignore no-explicit-any
  const refused: [any, abstract new (...args: any[]) => Error, string][] = [
    [null, TypeError, "the filter is null, it must be an object"],
    [{ port: 80 }, TypeError, 'the filter has a field "port", it can have family, type, state, localAddr and'],
    [{ family: "inet4" }, TypeError, 'the family is "inet4", it must be one of "inet", "inet6", "unix"'],
    [{ family: 2 }, TypeError, "the family is 2"],
    [{ type: "datagram" }, TypeError, 'the type is "datagram", it must be one of "stream", "dgram"'],
    [{ state: "ESTABLISHED" }, TypeError, 'the state is "ESTABLISHED", it must be one of "established"'],
    [{ state: "toString" }, TypeError, "the state is"],
    [{ localAddr: "127.0.0.1:80" }, TypeError, 'localAddr is "127.0.0.1:80", it must be an object'],
    [{ localAddr: { host: "::1" } }, TypeError, 'localAddr has a field "host", it can have hostname, port and path'],
    [
      { remoteAddr: { hostname: "localhost" } },
      SyntaxError,
      'remoteAddr.hostname is "localhost", it must be a literal',
    ],
    [{ remoteAddr: { hostname: "127.1" } }, SyntaxError, 'remoteAddr.hostname is "127.1"'],
    [{ localAddr: { port: 65536 } }, RangeError, "localAddr.port is 65536"],
    [{ localAddr: { port: "80" } }, TypeError, 'localAddr.port is "80"'],
    [{ localAddr: { path: 1 } }, TypeError, "localAddr.path is 1"],
    [{ localAddr: { path: "/a", port: 1 } }, TypeError, "localAddr has a path and a hostname or port"],
  ];
  for (const [filter, errorClass, message] of refused) {
    assertThrows(() => listSockets(filter), errorClass, message);
    assertThrows(() => findSocket(filter), errorClass, `Cannot find a socket: ${message}`);
  }
  assertThrows(() => findSocket(undefined as never), TypeError, "the filter is undefined");
});

test("findSocket() gives the only one, says what is not there, and lists those that fit", FFI, async () => {
  using pair = await tcpPair();
  const [client, server] = pair;
  const { port } = client.localAddr!;
  assertEquals(findSocket({ localAddr: { port } }).fd, client.fd);
  assertThrows(
    () => findSocket({ type: "seqpacket", remoteAddr: { hostname: "192.0.2.1", port: 9 } }),
    Deno.errors.NotFound,
    'Cannot find a socket with {"type":"seqpacket","remoteAddr":{"hostname":"192.0.2.1","port":9}}: no socket',
  );
  using other = Socket.open("inet", "stream");
  using listener = Socket.open("inet", "stream");
  listener.bind({ hostname: "127.0.0.3", port: 0 });
  listener.listen();
  await other.connect(listener.localAddr!);
  const { message } = assertThrows(() => findSocket({ type: "stream", state: "established" }), Error, "match:");
  for (const one of [client, server, other]) {
    assert(
      message.includes(
        `descriptor ${one.fd} (tcp 127.0.0.1:${one.localAddr!.port} to ` +
          `${one.remoteAddr!.hostname}:${one.remoteAddr!.port}, established)`,
      ),
      message,
    );
  }
});

test("listSockets() tells packet, netlink and vsock sockets by their own words", ALL_FAMILIES, async () => {
  using packet = Socket.open("packet", "raw");
  packet.bind({ interface: "lo", protocol: 0x88b5 });
  using netlink = Socket.open("netlink", "raw", "route");
  netlink.bind({ pid: 0, groups: 1 });
  using vsock = Socket.open("vsock", "stream");
  vsock.bind({ cid: -1, port: -1 });
  vsock.listen();
  const of = (socket: Socket) => {
    const { owner, family, type, protocol, state, localAddr, remoteAddr } = listed(socket);
    return { owner, family, type, protocol, state, localAddr, remoteAddr };
  };
  const ours = { owner: "library", state: undefined, remoteAddr: null };
  assertEquals<object>(of(packet), {
    ...ours,
    family: "packet",
    type: "raw",
    protocol: listed(packet).protocol,
    localAddr: packet.localAddr,
  });
  assertEquals((packet.localAddr as { protocol?: number }).protocol, 0x88b5);
  assertEquals<object>(of(netlink), {
    ...ours,
    family: "netlink",
    type: "raw",
    protocol: 0,
    localAddr: netlink.localAddr,
    remoteAddr: listed(netlink).remoteAddr,
  });
  assertEquals<object>(of(vsock), {
    ...ours,
    family: "vsock",
    type: "stream",
    protocol: 0,
    localAddr: vsock.localAddr,
  });
  assert(vsock.localAddr!.port > 0);
  for (const family of ["packet", "netlink", "vsock"] as const) {
    const fds = listSockets({ family }).map((one) => one.fd);
    assertEquals([packet, netlink, vsock].filter(({ fd }) => fds.includes(fd)).map((one) => one.family), [family]);
  }
  // What waits in them counts too: an answer of the kernel, and its memory.
  const request = new Uint8Array(Uint32Array.of(32, 18 | 1 << 16, 0, 0, 0, 1, 0, 0).buffer);
  await netlink.sendTo(request, { pid: 0 });
  await until(() => listed(netlink).receiveQueue > 0);
  assertEquals((await netlink.receiveFrom())[1].pid, 0);
  await until(() => listed(netlink).receiveQueue === 0);
});

test("options set on what was listed reach the sockets of every family", ALL_FAMILIES, () => {
  for (
    const [family, type] of [["packet", "dgram"], ["netlink", "raw"], ["vsock", "stream"], ["unix", "seqpacket"], [
      "inet6",
      "raw",
    ]] as const
  ) {
    using socket = Socket.open(family, type, family === "inet6" ? "udp" : undefined);
    const size = SO_SNDBUF.set(listed(socket), 20_480);
    assertEquals(SO_SNDBUF.get(socket), size, family);
  }
});

test("findSocket() finds a connection again by both addresses, until it is another", FFI, async () => {
  using listener = tcpListener();
  const connect = async (port: number) => {
    const client = Socket.open("inet", "stream");
    // A reset leaves the port free at once.
    SO_LINGER.set(client, { enabled: true, seconds: 0 });
    SO_REUSEADDR.set(client, true);
    client.bind({ hostname: "127.0.0.1", port });
    await client.connect(listener.localAddr!);
    return { client, server: await listener.accept() };
  };
  const first = await connect(0);
  const { port } = first.client.localAddr!;
  const filter: SocketFilter = {
    type: "stream",
    localAddr: { hostname: "127.0.0.1", port },
    remoteAddr: listener.localAddr!,
  };
  const one = findSocket(filter);
  assertEquals([one.fd, one.state], [first.client.fd, "established"]);
  first.server.shutdown("write");
  await until(() => findSocket(filter).state === "close-wait");
  assertThrows(() => findSocket({ ...filter, state: "established" }), Deno.errors.NotFound);
  assertEquals(findSocket(filter).fd, one.fd);
  first.client.close();
  first.server.close();
  assertThrows(() => findSocket(filter), Deno.errors.NotFound);
  // The same two addresses, and very likely the same number: another connection.
  const second = await connect(port);
  const other = findSocket(filter);
  assertEquals([other.fd, other.state], [second.client.fd, "established"]);
  assertEquals(SO_COOKIE.get(other), SO_COOKIE.get(second.client));
  assertThrows(() => SO_KEEPALIVE.set(one, true), Deno.errors.BadResource);
  second.client.close();
  second.server.close();
});

test(
  "sockets are seen in whatever network namespace, and two of one address are never taken for one",
  ALL_FAMILIES,
  () => {
    using there = new Namespace();
    const here = udp();
    const filter: SocketFilter = { type: "dgram", localAddr: here.localAddr! };
    const twin = there.run(() => {
      const socket = Socket.open("inet", "dgram");
      socket.bind(here.localAddr!);
      return socket;
    });
    using _twin = twin;
    assertThrows(() => findSocket(filter), Error, "2 sockets of this process match");
    assertEquals(there.run(() => listSockets(filter).map((one) => one.fd)), [here.fd, twin.fd].sort((a, b) => a - b));
    here.close();
    assertEquals(findSocket(filter).fd, twin.fd);
  },
);

test("findSocket() never takes a twin of UDP for the only one", FFI, async () => {
  const open = (to: number) => {
    const socket = Socket.open("inet", "dgram");
    SO_REUSEADDR.set(socket, true);
    socket.bind({ hostname: "127.0.0.1", port: to });
    return socket;
  };
  using first = open(0);
  using peer = udp();
  await first.connect(peer.localAddr!);
  const filter: SocketFilter = { localAddr: first.localAddr!, remoteAddr: peer.localAddr! };
  assertEquals(findSocket(filter).fd, first.fd);
  using second = open(first.localAddr!.port);
  await second.connect(peer.localAddr!);
  assertThrows(() => findSocket(filter), Error, "2 sockets of this process match");
});

test(
  "a socket of a Worker takes no option that is meant for its predecessor, and is not kept open by one",
  FFI,
  async () => {
    const code = `
    let listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    postMessage(listener.addr.port);
    onmessage = () => { listener.close(); listener = Deno.listen({ hostname: "127.0.0.1", port: 0 }); postMessage(listener.addr.port); };
  `;
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
    const message = () => new Promise<unknown>((resolve) => worker.onmessage = ({ data }) => resolve(data));
    const first = findSocket({ localAddr: { port: await message() as number } });
    const before = listSockets().length;
    assertEquals(TCP_USER_TIMEOUT.set(first, 1234), 1234);
    assertEquals(listSockets().length, before, "no duplicate is left");
    const next = message();
    worker.postMessage("next");
    const second = findSocket({ localAddr: { port: await next as number } });
    assertThrows(() => TCP_USER_TIMEOUT.set(first, 4321), Deno.errors.BadResource, "Cannot set TCP_USER_TIMEOUT");
    assertThrows(() => TCP_USER_TIMEOUT.get(first), Deno.errors.BadResource, "Cannot read TCP_USER_TIMEOUT");
    assertEquals(TCP_USER_TIMEOUT.get(second), 0);
    // Closing it frees its port at once.
    worker.terminate();
    await until(() => listSockets({ localAddr: second.localAddr as InetAddress }).length === 0);
  },
);
