// What the library leaves alone: after importing all of it and calling what reaches furthest into the runtime, every
// global and every prototype is as it was. What importing opens and asks for: import_test.ts.
import { assertEquals } from "@std/assert";
import { test } from "./needs.ts";
import { OTHER_PROGRAM } from "./tcp/other_program.ts";

const CONFIG = new URL("../deno.json", import.meta.url).pathname;

async function run(code: string): Promise<unknown> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", CONFIG, "-"],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  assertEquals(success, true, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Remembers the own properties of everything that can be reached from the globals and from node's modules. */
const SNAPSHOT = `
  import net from "node:net"; import dgram from "node:dgram"; import http from "node:http"; import tls from "node:tls";
  import events from "node:events"; import stream from "node:stream";
  const seen = new Map();
  function walk(path, object) {
    if ((typeof object !== "object" && typeof object !== "function") || object === null || seen.has(object)) return;
    // Deno's inside, and whoever listens to events: the library closes what is open at "unload".
    if (path.includes("internal") || path.endsWith(".listeners")) return;
    const properties = new Map(Reflect.ownKeys(object).map((key) => [key, Object.getOwnPropertyDescriptor(object, key)]));
    seen.set(object, { path, properties, prototype: Object.getPrototypeOf(object), open: Object.isExtensible(object) });
    walk(path + ".__proto__", Object.getPrototypeOf(object));
    for (const [key, { value, get, set }] of properties) {
      for (const one of [value, get, set]) walk(path + "." + String(key), one);
    }
  }
  function changed() {
    const changes = [];
    for (const [object, { path, properties, prototype, open }] of seen) {
      if (Object.getPrototypeOf(object) !== prototype) changes.push(path + " has another prototype");
      if (Object.isExtensible(object) !== open) changes.push(path + " was closed");
      const now = Reflect.ownKeys(object);
      for (const key of now) if (!properties.has(key)) changes.push(path + " got " + String(key));
      for (const [key, before] of properties) {
        const after = Object.getOwnPropertyDescriptor(object, key);
        const same = after !== undefined && ["value", "get", "set", "writable", "enumerable", "configurable"]
          .every((field) => Object.is(before[field], after[field]));
        if (!same) changes.push(path + " has another " + String(key));
      }
    }
    return changes;
  }
  function snapshot() {
    walk("globalThis", globalThis);
    Object.entries({ net, dgram, http, tls, events, stream }).forEach(([name, module]) => walk(name, module));
  }
  const here = { hostname: "127.0.0.1", port: 0 };
`;

/** What Deno does to itself when its parts are first used is not the library's doing: they are used before. */
const RUNTIME = `
  async function runtime(use) {
    const server = Deno.serve({ ...here, onListen() {} }, (request) => {
      if (request.headers.get("upgrade") !== "websocket") return new Response("ok");
      return Deno.upgradeWebSocket(request).response;
    });
    const { port } = server.addr;
    const client = Deno.createHttpClient({});
    await (await fetch("http://127.0.0.1:" + port, { client })).text();
    const socket = new WebSocket("ws://127.0.0.1:" + port);
    await new Promise((resolve) => socket.onopen = resolve);
    const listener = Deno.listen(here);
    const [conn, accepted] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
    const datagram = Deno.listenDatagram({ ...here, transport: "udp" });
    const node = net.createServer().listen(0, "127.0.0.1");
    await events.once(node, "listening");
    const nodeSocket = net.connect(node.address().port, "127.0.0.1");
    await events.once(nodeSocket, "connect");
    const nodeDatagram = dgram.createSocket("udp4");
    await new Promise((resolve) => nodeDatagram.bind(0, "127.0.0.1", resolve));
    const timer = AbortSignal.timeout(60_000);
    void [timer.aborted, performance.now(), crypto.randomUUID(), Deno.permissions.querySync({ name: "net" })];
    await use({ server, listener, conn, accepted, datagram, node, nodeSocket, nodeDatagram });
    for (const one of [conn, accepted, listener, datagram, client]) one.close();
    nodeSocket.destroy();
    nodeDatagram.close();
    node.close();
    socket.close();
    void server.shutdown();
  }
`;

test("no global and no prototype is changed by importing the library and using it on what is there", {
  ...OTHER_PROGRAM,
  ffi: true,
  linux: true,
  read: true,
  env: true,
}, async () => {
  const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const result = await run(`
    ${SNAPSHOT}
    ${RUNTIME}
    await runtime(() => {});
    let count = 0;
    await runtime(async ({ server, ...others }) => {
      snapshot();
      const { SO_KEEPALIVE, SO_RCVBUF, TCP_INFO, tuneTcp, connectTcp, listenTcp, bindUdp } = await import(${
    module("../mod.ts")
  });
      const { findSocket, listSockets, poll, Socket } = await import(${module("../socket/mod.ts")});
      for (const socket of [server, ...Object.values(others)]) count += SO_RCVBUF.set(socket, 65_536) > 0 ? 1 : 0;
      for (const socket of [server, others.conn, others.listener, others.node, others.nodeSocket]) {
        tuneTcp(socket, { keepAlive: { idle: 30_000 }, userTimeout: 20_000 });
      }
      for (const one of listSockets({ remoteAddr: server.addr, state: "established" })) SO_KEEPALIVE.set(one, true);
      TCP_INFO.get(findSocket({ localAddr: server.addr, state: "listen" }));
      const listening = listenTcp(here);
      const conn = await connectTcp({ port: listening.addr.port, noDelay: true });
      const udp = bindUdp(here);
      const [left, right] = Socket.pair();
      await left.send(new Uint8Array(1));
      await poll([{ socket: right, readable: true }]);
      await right.receive();
      for (const one of [conn, listening, udp, left, right]) one.close();
    });
    console.log(JSON.stringify({ count, seen: seen.size > 2_500 || seen.size, changes: changed() }));
    Deno.exit();
  `);
  assertEquals(result, { count: 8, seen: true, changes: [] });
});

test("what compares globals and prototypes sees a change of either", {
  ...OTHER_PROGRAM,
  read: true,
  env: true,
}, async () => {
  const result = await run(`
    ${SNAPSHOT}
    snapshot();
    globalThis.fetch = () => {};
    Deno.listen = () => {};
    net.Socket.prototype.tune = () => {};
    Object.getPrototypeOf(Object.getPrototypeOf(new Uint8Array(1))).at = () => {};
    console.log(JSON.stringify(changed().map((change) => change.split(".").at(-1))));
  `);
  assertEquals(
    new Set(result as string[]),
    new Set([
      "globalThis has another fetch",
      "Deno has another listen",
      "prototype got tune",
      "prototype has another at",
    ]),
  );
});
