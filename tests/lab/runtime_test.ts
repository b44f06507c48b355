// Sockets that Deno and node opened and whose objects tell no descriptor: tuned while they are in use, seen from outside.
// Objects that tell their addresses: ../descriptor_test.ts, ../tcp/tune_test.ts. Drivers from npm: drivers_test.ts.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { getAvailablePort } from "@std/net/get-available-port";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { SO_KEEPALIVE, SO_PRIORITY, SO_RCVBUF, TCP_INFO, TCP_NODELAY, TCP_USER_TIMEOUT } from "../../options/mod.ts";
import { findSocket, type InetAddress, listSockets, type SocketInfo } from "../../socket/mod.ts";
import { tuneTcp } from "../../tcp/mod.ts";
import { certificate } from "../certificate.ts";
import { test } from "../needs.ts";
import { OUTSIDE, seenFromOutside } from "../tcp/outside.ts";
import { sleep, until } from "../time.ts";
import { assertTunedOutside, TUNING } from "./tuned.ts";

const LOCAL = "127.0.0.1";
const HERE = { hostname: LOCAL, port: 0, onListen() {} } as const;
const FILES = { ...OUTSIDE, read: true };

/** The client's end of the only connection to a port of ours. */
function clientOf(port: number): SocketInfo {
  return findSocket({ remoteAddr: { hostname: LOCAL, port } });
}

/** The server's end of a connection that the client's end is known of. */
function serverOf(client: SocketInfo): SocketInfo {
  return findSocket({ localAddr: client.remoteAddr as InetAddress, remoteAddr: client.localAddr as InetAddress });
}

async function assertTunable(socket: SocketInfo): Promise<void> {
  const { keepAlive, userTimeout } = tuneTcp(socket, TUNING);
  assertEquals<object>({ keepAlive, userTimeout }, TUNING);
  await assertTunedOutside(socket);
}

/** The answer of a server that has yet to start. */
async function answered(url: string): Promise<Response> {
  for (let i = 0;; i++) {
    try {
      return await fetch(url, { signal: AbortSignal.timeout(20_000) });
    } catch (error) {
      if (i === 1000 || !(error instanceof TypeError)) throw error;
      await sleep(10);
    }
  }
}

/** What was open to a port is gone. */
async function gone(port: number): Promise<void> {
  await until(() => listSockets({ localAddr: { port } }).length + listSockets({ remoteAddr: { port } }).length === 0);
}

test("fetch: a pooled connection is tuned between two requests, and goes on as it is", OUTSIDE, async () => {
  await using server = Deno.serve(HERE, (_request, { remoteAddr }) => Response.json(remoteAddr.port));
  const { port } = server.addr;
  using client = Deno.createHttpClient({});
  const get = async () => await (await fetch(`http://${LOCAL}:${port}`, { client })).json();
  const first = await get();
  const connection = clientOf(port);
  assertEquals([(connection.localAddr as InetAddress).port, connection.owner], [first, "other"]);
  await assertTunable(connection);
  assertEquals(SO_PRIORITY.set(connection, 3), 3);
  assertEquals(await get(), first, "it is the same connection");
  await assertTunedOutside(connection);
  assert(TCP_INFO.get(connection).bytesReceived! > 0);
  // The server's end is another socket.
  assertEquals(SO_KEEPALIVE.get(serverOf(connection)), false);
});

test("fetch: of several connections to one server each is told apart by its own port", OUTSIDE, async () => {
  const waiting: ((response: Response) => void)[] = [];
  await using server = Deno.serve(HERE, () => new Promise<Response>((resolve) => waiting.push(resolve)));
  const { port } = server.addr;
  using client = Deno.createHttpClient({});
  const fetched = [1, 2].map(() => fetch(`http://${LOCAL}:${port}`, { client }));
  await until(() => waiting.length === 2);
  assertThrows(() => clientOf(port), Error, "2 sockets of this process match");
  const [one, other] = listSockets({ remoteAddr: { hostname: LOCAL, port } });
  await assertTunable(one!);
  assertEquals(SO_KEEPALIVE.get(other!), false);
  for (const answer of waiting) answer(new Response("ok"));
  for (const response of fetched) assertEquals(await (await response).text(), "ok");
});

test("WebSocket: both ends are tuned while messages go on", OUTSIDE, async () => {
  const upgraded: Deno.NetAddr[] = [];
  await using server = Deno.serve(HERE, (request, { remoteAddr }) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(`${data}!`);
    upgraded.push(remoteAddr);
    return response;
  });
  const { port } = server.addr;
  const socket = new WebSocket(`ws://${LOCAL}:${port}`);
  await once(socket, "open");
  const say = async (text: string) => {
    const answer = once(socket, "message");
    socket.send(text);
    return ((await answer)[0] as MessageEvent).data;
  };
  assertEquals(await say("hello"), "hello!");
  const client = clientOf(port);
  // What a handler is told of its client finds the server's end.
  const served = findSocket({ remoteAddr: upgraded[0]! });
  assertEquals(served.fd, serverOf(client).fd);
  for (const end of [client, served]) await assertTunable(end);
  assertEquals(await say("goodbye"), "goodbye!");
  const closed = once(socket, "close");
  socket.close();
  await closed;
});

test("Deno.serve over TLS: listener, live connections and later ones are tuned", FILES, async () => {
  const { cert, key } = await certificate();
  await using server = Deno.serve({ ...HERE, cert, key }, () => new Response("hello"));
  const { port } = server.addr;
  using client = Deno.createHttpClient({ caCerts: [cert] });
  const get = async () => await (await fetch(`https://localhost:${port}`, { client })).text();
  assertEquals(await get(), "hello");
  tuneTcp(server, TUNING);
  await assertTunedOutside(findSocket({ localAddr: { port }, state: "listen" }));
  const connection = findSocket({ remoteAddr: { port } });
  await assertTunedOutside(serverOf(connection));
  await assertTunable(connection);
  assertEquals(await get(), "hello");
  using later = await Deno.connect({ hostname: LOCAL, port });
  await until(() => listSockets({ localAddr: later.remoteAddr, remoteAddr: later.localAddr }).length === 1);
  await assertTunedOutside(findSocket({ remoteAddr: later.localAddr }));
});

test("single options reach the listener of a running Deno.serve", OUTSIDE, async () => {
  await using server = Deno.serve(HERE, () => new Response("hello"));
  assertEquals(TCP_NODELAY.set(server, true), true);
  assertEquals(TCP_USER_TIMEOUT.set(server, 23_456), 23_456);
  const size = SO_RCVBUF.set(server, 65_536);
  const seen = await seenFromOutside(server.addr);
  assertEquals([seen.TCP_NODELAY, seen.TCP_USER_TIMEOUT, seen.SO_RCVBUF], [1, 23_456, size]);
});

test("node:net: server, accepted and connecting socket are tuned", OUTSIDE, async () => {
  const server = net.createServer((socket) => socket.pipe(socket)).listen(0, LOCAL);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const accepting = once(server, "connection");
  const socket = net.connect(port, LOCAL);
  const [[accepted]] = await Promise.all([accepting, once(socket, "connect")]) as unknown as [[net.Socket], unknown];
  for (const one of [server, socket, accepted]) {
    assertEquals<object>(tuneTcp(one, TUNING).keepAlive as object, TUNING.keepAlive);
  }
  await assertTunedOutside(findSocket({ localAddr: { port }, state: "listen" }));
  const client = clientOf(port);
  await assertTunedOutside(client);
  await assertTunedOutside(serverOf(client));
  const echo = once(socket, "data");
  socket.write("hello");
  assertEquals(String((await echo)[0]), "hello");
  socket.destroy();
  server.close();
  await once(server, "close");
  await gone(port);
});

test("node:http: the server, the socket of a request and that of an agent are tuned", OUTSIDE, async () => {
  const sockets: net.Socket[] = [];
  const server = http.createServer((request, response) => {
    sockets.push(request.socket);
    response.end("hello");
  }).listen(0, LOCAL);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const get = async () => {
    const request = http.get({ host: LOCAL, port, agent });
    const [response] = await once(request, "response") as [http.IncomingMessage];
    let text = "";
    for await (const piece of response) text += piece;
    return text;
  };
  assertEquals(await get(), "hello");
  const client = clientOf(port);
  await assertTunable(client);
  tuneTcp(server, { userTimeout: 23_456 });
  assertEquals(TCP_USER_TIMEOUT.get(findSocket({ localAddr: { port }, state: "listen" })), 23_456);
  await assertTunable(serverOf(client));
  assertEquals(await get(), "hello");
  assertEquals(clientOf(port).localAddr, client.localAddr, "it is the same connection");
  agent.destroy();
  server.close();
  await once(server, "close");
  await gone(port);
});

test("node:tls and node:https: both ends are tuned under the encryption", FILES, async () => {
  const { cert, key } = await certificate();
  const server = https.createServer({ cert, key }, (_request, response) => void response.end("hello")).listen(0, LOCAL);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const request = https.get({ host: LOCAL, port, agent, ca: cert, servername: "localhost" });
  const [response] = await once(request, "response") as [http.IncomingMessage];
  for await (const piece of response) assertEquals(String(piece), "hello");
  const client = clientOf(port);
  await assertTunable(client);
  await assertTunable(serverOf(client));
  agent.destroy();
  server.close();
  await once(server, "close");
  await gone(port);

  const echo = tls.createServer({ cert, key }, (socket) => socket.pipe(socket)).listen(0, LOCAL);
  await once(echo, "listening");
  const at = echo.address() as net.AddressInfo;
  const socket = tls.connect({ host: LOCAL, port: at.port, ca: cert, servername: "localhost" });
  await once(socket, "secureConnect");
  assertEquals<object>(tuneTcp(socket, TUNING).keepAlive as object, TUNING.keepAlive);
  assertEquals<object>(tuneTcp(echo, TUNING).keepAlive as object, TUNING.keepAlive);
  await assertTunedOutside(clientOf(at.port));
  await assertTunedOutside(findSocket({ localAddr: { port: at.port }, state: "listen" }));
  const answer = once(socket, "data");
  socket.write("hello");
  assertEquals(String((await answer)[0]), "hello");
  socket.destroy();
  echo.close();
  await once(echo, "close");
  await gone(at.port);
});

test(
  "listeners that share an address by reusePort are an error that lists them, and all of them are tuned",
  OUTSIDE,
  async () => {
    await using first = Deno.serve({ ...HERE, reusePort: true }, () => new Response("first"));
    const { port } = first.addr;
    await using second = Deno.serve({ ...HERE, port, reusePort: true }, () => new Response("second"));
    for (const one of [first, second]) {
      assertThrows(() => tuneTcp(one, TUNING), Error, "2 sockets of this process fit and cannot be told apart");
    }
    const listening = { localAddr: first.addr, state: "listen" } as const;
    assertThrows(() => findSocket(listening), Error, "2 sockets of this process match");
    for (const one of listSockets(listening)) tuneTcp(one, TUNING);
    // Whichever of the two takes it, a connection inherits it.
    for (let i = 0; i < 10; i++) {
      using client = await Deno.connect({ hostname: LOCAL, port });
      await until(() => listSockets({ remoteAddr: client.localAddr }).length === 1);
      assertEquals(TCP_USER_TIMEOUT.get(findSocket({ remoteAddr: client.localAddr })), TUNING.userTimeout);
    }
  },
);

test("deno serve --parallel: the one listener of all threads is found, and the connections of each are tuned", {
  ...FILES,
  write: true,
}, async () => {
  const folder = await Deno.makeTempDir();
  const port = getAvailablePort();
  try {
    const file = `${folder}/server.ts`;
    await Deno.writeTextFile(file, PARALLEL);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["serve", "-A", "--no-check", "--config", CONFIG, "--parallel", "--host", LOCAL, "--port", `${port}`, file],
      env: { DENO_JOBS: "3", NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const said = Promise.all([child.stdout, child.stderr].map((stream) => new Response(stream).text()));
    try {
      const seen = await (await answered(`http://${LOCAL}:${port}`)).json();
      assertEquals(seen, { idle: 31, connection: 31 });
    } finally {
      child.kill("SIGKILL");
      await child.status;
      await said;
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const PARALLEL = `
import { TCP_KEEPIDLE } from ${JSON.stringify(new URL("../../options/mod.ts", import.meta.url).href)};
import { findSocket } from ${JSON.stringify(new URL("../../socket/mod.ts", import.meta.url).href)};
import { tuneTcp } from ${JSON.stringify(new URL("../../tcp/mod.ts", import.meta.url).href)};
export default {
  fetch(request, { remoteAddr }) {
    const port = Number(new URL(request.url).port);
    const listener = findSocket({ localAddr: { port }, state: "listen" });
    const connection = findSocket({ remoteAddr });
    const idle = TCP_KEEPIDLE.get(tuned(listener));
    return Response.json({ idle, connection: TCP_KEEPIDLE.get(tuned(connection)) });
  },
};
function tuned(socket) {
  tuneTcp(socket, { keepAlive: { idle: 31_000 } });
  return socket;
}
`;
