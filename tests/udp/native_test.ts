// UdpSocket over sockets of our own: peers, metadata, answers, marks, reports of the network, waits.
// What both engines do: socket_test.ts. Batches and trains: batch_test.ts. Over a cable: tests/lab/udp_wire_test.ts.
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  IP_FREEBIND,
  IP_RECVERR,
  IP_RECVTTL,
  IP_TOS,
  IP_TTL,
  IPV6_RECVERR,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
  SO_BROADCAST,
  SO_PRIORITY,
  SO_RCVBUF,
  SO_REUSEPORT,
  type SystemError,
  UDP_GRO,
} from "../../options/mod.ts";
import { poll } from "../../socket/mod.ts";
import {
  bindUdp,
  type BindUdpOptions,
  connectUdp,
  DatagramBatch,
  type DatagramField,
  type UdpSocket,
} from "../../udp/mod.ts";
import { test } from "../needs.ts";
import { assertWithin, until } from "../time.ts";
import { OTHER_PROGRAM, runArguments, runWith, script, start } from "./other_program.ts";

const NATIVE = { ffi: true, linux: true };
const NATIVE6 = { ...NATIVE, read: true, files: ["/proc/net/if_inet6"] };
const LOCAL = "127.0.0.1";
const ALL = ["localAddr", "interfaceIndex", "hopLimit", "dscp", "ecn", "timestamp", "drops"] as const;
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

function bind<const F extends DatagramField = never>(options: BindUdpOptions<F> = {}): UdpSocket<F> {
  return bindUdp<F>({ hostname: LOCAL, ...options });
}

/** An address where nobody receives. */
function nobody(hostname = LOCAL): { hostname: string; port: number } {
  using socket = bindUdp({ hostname });
  return { hostname, port: socket.addr.port };
}

// ---- Opening ----

test("bindUdp() and connectUdp() need --allow-net and --allow-ffi alone", OTHER_PROGRAM, async () => {
  const output = await runWith(
    ["--allow-net=127.0.0.1", "--allow-ffi"],
    `using socket = udp.bindUdp({ hostname: "127.0.0.1" });
     using client = await udp.connectUdp({ hostname: "127.0.0.1", port: socket.addr.port });
     await client.send(new Uint8Array(3));
     console.log((await socket.receive())[0].length, socket.capabilities.engine, typeof Deno.listenDatagram);
     await socket.send(new Uint8Array(3), { hostname: "127.0.0.2", port: 9 }).catch(say);
     await udp.connectUdp({ hostname: "127.0.0.2", port: 9 }).catch(say);
     try { socket.connect({ hostname: "127.0.0.2", port: 9 }) } catch (error) { say(error) }
     const batch = new udp.DatagramBatch();
     batch.add(new Uint8Array(1), { remoteAddr: socket.addr });
     batch.add(new Uint8Array(1), { remoteAddr: { hostname: "127.0.0.2", port: 9 } });
     await socket.sendBatch(batch).catch((error) => console.log(error.name, error.sent));`,
  );
  const lines = output.split("\n");
  assertEquals(lines[0], "3 native undefined");
  for (const line of lines.slice(1, 4)) {
    assert(/^NotCapable: Cannot .*: Requires net access to "127.0.0.2:9", run again with/.test(line), line);
  }
  assertEquals(lines[4], "NotCapable 0");
});

test("bindUdp() sets options before bind: IP_FREEBIND binds to an address that is not there", NATIVE, () => {
  using socket = bindUdp({ hostname: "203.0.113.7", options: [IP_FREEBIND.to(true), SO_PRIORITY.to(3)] });
  assertEquals([socket.addr.hostname, SO_PRIORITY.get(socket)], ["203.0.113.7", 3]);
});

test("bindUdp({ reusePort }) shares a port, and a socket without it is refused", NATIVE, () => {
  using one = bind({ reusePort: true });
  using two = bind({ reusePort: true, port: one.addr.port });
  assertEquals([SO_REUSEPORT.get(one), two.addr], [true, one.addr]);
  assertThrows(() => bind({ port: one.addr.port }), Deno.errors.AddrInUse);
});

test("bindUdp({ ipv6Only }) leaves the port to IPv4, and without it :: hears both", NATIVE6, async () => {
  using only = bindUdp({ hostname: "::", ipv6Only: true });
  assertEquals(IPV6_V6ONLY.get(only), true);
  using four = bindUdp({ port: only.addr.port });
  assertEquals(four.addr.port, only.addr.port);
  using both = bindUdp({ hostname: "::" });
  await four.send(bytes("four"), { hostname: LOCAL, port: both.addr.port });
  assertEquals((await both.receive())[1].hostname, "::ffff:127.0.0.1");
  assertThrows(() => bind({ ipv6Only: true }), Deno.errors.NotSupported, "ipv6Only");
  assertThrows(() => bindUdp({ hostname: "::1", options: [IP_TTL.to(9)] }), Deno.errors.NotSupported, "IP_TTL");
  const mapped = { hostname: "::ffff:127.0.0.1", options: [IPV6_UNICAST_HOPS.to(9)] };
  assertThrows(() => bindUdp(mapped), Deno.errors.NotSupported, "IPV6_UNICAST_HOPS");
});

test("bindUdp() refuses UDP_GRO by hand, before and after", NATIVE, () => {
  assertThrows(() => bind({ options: [UDP_GRO.to(true)] }), Deno.errors.NotSupported, "say `gro: true`");
  using socket = bind({ gro: true });
  assertEquals([UDP_GRO.get(socket), socket.capabilities.gro], [true, true]);
  assertThrows(() => UDP_GRO.set(socket, false), Deno.errors.NotSupported, "glue");
  assertThrows(() => UDP_GRO.set(socket.socket, false), Deno.errors.NotSupported, "glue");
});

test("connectUdp() looks names up, binds where it is told, and refuses wrong arguments", NATIVE, async () => {
  using server = bindUdp({ hostname: "localhost" });
  const { port } = server.addr;
  using named = await connectUdp({ hostname: "localhost", port });
  assertEquals(named.remoteAddr?.port, port);
  using client = await connectUdp({ hostname: LOCAL, port: 9, localAddr: { hostname: "127.0.0.5" }, dscp: 8 });
  assertEquals([client.addr.hostname, IP_TOS.get(client)], ["127.0.0.5", 32]);
  assertEquals(client.remoteAddr, { family: "inet", transport: "udp", hostname: LOCAL, port: 9 });
  const refused = (options: Record<string, unknown>, kind: new (...args: never[]) => Error, words: string) =>
    assertRejects(
      () => connectUdp({ hostname: LOCAL, port: 9, ...options } as never),
      kind as ErrorConstructor,
      words,
    );
  await refused({ port: 0 }, RangeError, "the port is 0");
  await refused({ hostname: 5 }, TypeError, "the hostname is 5");
  await refused({ localAddr: { hostname: "x" } }, SyntaxError, "localAddr.hostname");
  await refused({ localAddr: { hostname: "203.0.113.9" } }, Deno.errors.AddrNotAvailable, "EADDRNOTAVAIL");
  await refused({ hostname: "::1", localAddr: { hostname: LOCAL } }, Error, "Cannot connect udp to [::1]:9");
  await refused({ signal: AbortSignal.abort(new Error("no")) }, Error, "no");
  const unknown = await assertRejects(() => connectUdp({ hostname: "nosuchname.invalid", port: 9 })) as SystemError;
  assertEquals(unknown.syscall, "getaddrinfo");
});

// ---- Peers ----

test("UdpSocket.connect() filters peers and hears refusals, disconnect() undoes both", NATIVE, async () => {
  using socket = bind();
  const own = socket.addr;
  using peer = bind();
  using other = bind();
  socket.connect(peer.addr);
  assertEquals(socket.remoteAddr, peer.addr);
  await other.send(bytes("other"), own);
  await peer.send(bytes("peer"), own);
  assertEquals(text((await socket.receive())[0]), "peer");
  assertEquals(await socket.send(bytes("to peer")), 7);
  assertEquals(socket.trySend(bytes("again")), 5);
  await assertRejects(() => socket.send(bytes("x"), peer.addr), TypeError, "remoteAddr must be left out");
  assertThrows(() => socket.trySend(bytes("x"), peer.addr), TypeError, "remoteAddr must be left out");
  socket.disconnect();
  assertEquals([socket.remoteAddr, socket.addr], [null, own], "it keeps its port");
  await other.send(bytes("heard"), own);
  assertEquals(text((await socket.receive())[0]), "heard");
  await assertRejects(() => socket.send(bytes("x")), TypeError, "remoteAddr must be given");
  assertEquals(await socket.send(bytes("to other"), other.addr), 8);
});

test(
  "UdpSocket.connect() and disconnect() do so on IPv6, and with a peer of either family on ::",
  NATIVE6,
  async () => {
    for (
      const [own, hostname, seen] of [["::1", "::1", "::1"], ["::", "::1", "::1"], ["::", LOCAL, `::ffff:${LOCAL}`]]
    ) {
      using socket = bindUdp({ hostname: own! });
      const { port } = socket.addr;
      using peer = bindUdp({ hostname: hostname! });
      using other = bindUdp({ hostname: hostname! });
      socket.connect(peer.addr);
      assertEquals(socket.remoteAddr, { family: "inet6", transport: "udp", hostname: seen!, port: peer.addr.port });
      assertEquals(await socket.send(bytes("to peer")), 7);
      const [, from] = await peer.receive();
      await other.send(bytes("other"), { hostname: hostname!, port });
      await peer.send(bytes("peer"), from);
      assertEquals(text((await socket.receive())[0]), "peer");
      socket.disconnect();
      assertEquals([socket.remoteAddr, socket.addr.port, socket.addr.hostname], [null, port, own]);
      await other.send(bytes("heard"), { hostname: hostname!, port });
      assertEquals(text((await socket.receive())[0]), "heard");
      const gone = nobody(hostname);
      socket.connect(gone);
      await socket.send(bytes("x"));
      await assertRejects(() => socket.receive(), Deno.errors.ConnectionRefused);
    }
  },
);

test("a connected UdpSocket has refusals from receive() and send(), and its iteration goes on", NATIVE, async () => {
  using socket = bind();
  const gone = nobody();
  socket.connect(gone);
  await socket.send(bytes("1"));
  const error = await assertRejects(() => socket.receive()) as SystemError;
  assertInstanceOf(error, Deno.errors.ConnectionRefused);
  assertEquals([error.code, error.syscall], ["ECONNREFUSED", "recvfrom"]);
  await socket.send(bytes("2"));
  await assertRejects(() => socket.send(bytes("3")), Deno.errors.ConnectionRefused, "nothing receives there");
  const heard: string[] = [];
  const loop = (async () => {
    for await (const [data] of socket) {
      heard.push(text(data));
      break;
    }
  })();
  socket.trySend(bytes("4"));
  await new Promise((resolve) => setTimeout(resolve, 10));
  using peer = bind({ port: gone.port });
  await peer.send(bytes("here"), socket.addr);
  await loop;
  assertEquals(heard, ["here"]);
});

// ---- Metadata ----

test("metadata tells everything that was asked for, on IPv4", NATIVE, async () => {
  using socket = bindUdp({ metadata: ALL });
  using sender = bind();
  const before = BigInt(Date.now() - 1000) * 1_000_000n;
  await sender.sendMessage({
    data: bytes("hello"),
    remoteAddr: { hostname: "127.0.0.3", port: socket.addr.port },
    hopLimit: 7,
    dscp: 46,
    ecn: 2,
  });
  const got = await socket.receiveMessage();
  const { data, timestamp, ...rest } = got;
  assertEquals(text(data), "hello");
  assert(timestamp > before && timestamp < before + 60_000_000_000n, String(timestamp));
  assertEquals(rest, {
    remoteAddr: sender.addr,
    byteLength: 5,
    truncated: false,
    localAddr: { family: "inet", transport: "udp", hostname: "127.0.0.3", port: socket.addr.port },
    interfaceIndex: 1,
    hopLimit: 7,
    dscp: 46,
    ecn: 2,
    drops: 0,
  });
});

test("metadata tells everything that was asked for, on IPv6 and on both at once", NATIVE6, async () => {
  for (const [own, to] of [["::1", "::1"], ["::", "::1"], ["::", LOCAL]] as const) {
    using socket = bindUdp({ hostname: own, metadata: ALL });
    const { port } = socket.addr;
    await socket.sendMessage({ data: bytes("x"), remoteAddr: { hostname: to, port }, hopLimit: 9, dscp: 10, ecn: 1 });
    const got = await socket.receiveMessage();
    const hostname = to === LOCAL ? "::ffff:127.0.0.1" : to;
    assertEquals(got.localAddr, { family: "inet6", transport: "udp", hostname, port });
    assertEquals([got.interfaceIndex, got.hopLimit, got.dscp, got.ecn, got.drops], [1, 9, 10, 1, 0]);
    assertEquals(typeof got.timestamp, "bigint");
  }
});

test(
  "metadata has exactly the fields that were asked for, and messages() gives them until close()",
  NATIVE,
  async () => {
    using socket = bind({ metadata: ["hopLimit", "hopLimit"] });
    await socket.send(bytes("one"), socket.addr);
    await socket.send(bytes("end"), socket.addr);
    const seen: string[] = [];
    for await (const message of socket.messages()) {
      assertEquals(Object.keys(message).sort(), ["byteLength", "data", "hopLimit", "remoteAddr", "truncated"]);
      seen.push(text(message.data));
      if (seen.length === 2) socket.close();
    }
    assertEquals(seen, ["one", "end"]);
    assertThrows(
      () => bind({ metadata: ["ttl" as never] }),
      TypeError,
      'metadata has "ttl", it must be one of localAddr',
    );
  },
);

test("metadata is true of the very first datagram: it is asked for before bind", NATIVE, async () => {
  using first = bind({ reusePort: true, metadata: ["interfaceIndex", "localAddr"] });
  using sender = bind();
  sender.trySend(bytes("at once"), first.addr);
  const { interfaceIndex, localAddr } = await first.receiveMessage();
  assertEquals([interfaceIndex, localAddr.hostname], [1, LOCAL]);
});

test("metadata drops counts what the socket lost for want of room", NATIVE, async () => {
  using socket = bind({ metadata: ["drops"], receiveBufferSize: 2_000 });
  using sender = bind();
  for (let i = 0; i < 200; i++) sender.trySend(new Uint8Array(500), socket.addr);
  while (socket.tryReceive() !== null);
  sender.trySend(bytes("x"), socket.addr);
  assert((await socket.receiveMessage()).drops > 100);
});

test("receiveMessage() with a buffer too small cuts, and tells the true length", NATIVE, async () => {
  using socket = bind();
  await socket.send(bytes("hello"), socket.addr);
  const buffer = new Uint8Array(3);
  const { data, byteLength, truncated } = await socket.receiveMessage({ buffer });
  assertEquals([text(data), byteLength, truncated], ["hel", 5, true]);
  assertStrictEquals(data.buffer, buffer.buffer);
});

test("receiveMessage() refuses control messages that were cut by more than was asked for", NATIVE, async () => {
  using socket = bind({ metadata: ["hopLimit"] });
  const { socket: beneath } = socket;
  // Options by hand, more than there is spare room for.
  const { IP_PKTINFO, IP_RECVTOS, SO_TIMESTAMPNS, IP_RECVORIGDSTADDR, SO_RCVMARK, IP_RECVOPTS, ...more } = await import(
    "../../options/mod.ts"
  );
  for (const option of [IP_PKTINFO, IP_RECVTOS, SO_TIMESTAMPNS, IP_RECVORIGDSTADDR, SO_RCVMARK, IP_RECVOPTS]) {
    option.set(beneath, true);
  }
  // Three times more, and 40 options of IP that do nothing.
  more.SO_TIMESTAMPING.set(beneath, 1 << 3 | 1 << 4);
  more.IP_OPTIONS.set(beneath, new Uint8Array(40).fill(1));
  await socket.send(bytes("x"), socket.addr);
  await assertRejects(() => socket.receiveMessage(), Error, "MSG_CTRUNC");
});

test("control messages go and come by the socket beneath, for those who know more", NATIVE, async () => {
  using socket = bind();
  using sender = bind();
  IP_RECVTTL.set(socket, true);
  const remoteAddr = socket.addr;
  await sender.socket.sendMessage({ data: bytes("x"), remoteAddr, control: [{ name: "IP_TTL", value: 11 }] });
  const { control, data } = await socket.socket.receiveMessage();
  assertEquals([text(data), control], ["x", [{ name: "IP_TTL", value: 11 }]]);
});

// ---- Sending with words ----

test("sendMessage() chooses source, interface and hop limit, for both families of ::", NATIVE6, async () => {
  using receiver = bindUdp({ hostname: "::", metadata: ["hopLimit", "interfaceIndex"] });
  using sender = bindUdp({ hostname: "::" });
  const { port } = receiver.addr;
  for (const [hostname, source] of [["::1", "::1"], [LOCAL, "127.0.0.6"], ["::ffff:127.0.0.1", "::ffff:127.0.0.6"]]) {
    await sender.sendMessage({
      data: [bytes("a"), bytes("b")],
      remoteAddr: { hostname: hostname!, port },
      localAddr: { hostname: source! },
      interfaceIndex: 1,
      hopLimit: 5,
    });
    const { data, remoteAddr, hopLimit } = await receiver.receiveMessage();
    const shown = source === "::1" ? "::1" : "::ffff:127.0.0.6";
    assertEquals([text(data), remoteAddr.hostname, hopLimit], ["ab", shown, 5]);
  }
});

test("sendMessage() with one half of the traffic class keeps the other as the socket has it", NATIVE, async () => {
  using receiver = bind({ metadata: ["dscp", "ecn"] });
  using sender = bind({ dscp: 46 });
  const send = async (marks: { dscp?: number; ecn?: number }) => {
    await sender.sendMessage({ data: bytes("x"), remoteAddr: receiver.addr, ...marks });
    const { dscp, ecn } = await receiver.receiveMessage();
    return [dscp, ecn];
  };
  assertEquals(await send({ ecn: 1 }), [46, 1]);
  assertEquals(await send({ dscp: 8 }), [8, 0]);
  assertEquals(await send({}), [46, 0]);
});

test("sendMessage({ segmentSize }) splits, also what no train could hold", NATIVE, async () => {
  using receiver = bind({ receiveBufferSize: 4_000_000 });
  using sender = bind();
  const data = new Uint8Array(150_001).map((_, i) => i * 7 + (i >> 8));
  assertEquals(await sender.sendMessage({ data, remoteAddr: receiver.addr, segmentSize: 1000 }), 150_001);
  const parts: Uint8Array[] = [];
  for (let part = receiver.tryReceive(); part !== null; part = receiver.tryReceive()) parts.push(part[0]);
  assertEquals(parts.map(({ byteLength }) => byteLength), [...Array(150).fill(1000), 1]);
  assertEquals(new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()), data);
});

test(
  "nothing is sent by another socket when a getter of the destination closes the one that was meant",
  NATIVE,
  async () => {
    using receiver = bind();
    const { hostname, port } = receiver.addr;
    for (const call of ["trySend", "send", "sendMessage"] as const) {
      const socket = bind();
      const others: UdpSocket[] = [];
      const remoteAddr = {
        get hostname() {
          // The next one has the number of the descriptor.
          if (others.length === 0) {
            socket.close();
            others.push(bind());
          }
          return hostname;
        },
        port,
      };
      const send = async () => {
        if (call === "sendMessage") return await socket.sendMessage({ data: bytes("x"), remoteAddr });
        return await socket[call](bytes("x"), remoteAddr);
      };
      await assertRejects(send, Deno.errors.BadResource, "the socket is closed");
      assertEquals(receiver.tryReceive(), null, call);
      for (const other of others) other.close();
    }
  },
);

test(
  "receives show nobody the memory that sockets share, not even a buffer with methods of its own",
  NATIVE,
  async () => {
    let seen = 0;
    class Odd extends Uint8Array<ArrayBuffer> {
      override set(data: ArrayLike<number>): void {
        seen++;
        super.set(data);
      }
    }
    for (const gro of [false, true]) {
      using socket = bind({ gro });
      for (const length of [3, 5]) {
        await socket.send(new Uint8Array(length).fill(7), socket.addr);
        const { data, byteLength } = await socket.receiveMessage({ buffer: new Odd(new ArrayBuffer(4)) });
        assertEquals([[...data], byteLength], [Array(Math.min(length, 4)).fill(7), length]);
      }
      await socket.send(bytes("abc"), socket.addr);
      assertEquals(text((await socket.receive(new Odd(new ArrayBuffer(4))))[0]), "abc");
    }
    assertEquals(seen, 0);
  },
);

test("send() and iteration give what a getter or a signal threw, whatever it is", NATIVE, async () => {
  using socket = bind();
  const remoteAddr = {
    get hostname(): string {
      throw undefined;
    },
    port: 9,
  };
  const thrown = (promise: Promise<unknown>) => promise.then(() => "nothing", (reason: unknown) => reason);
  assertEquals(await thrown(socket.send(bytes("x"), remoteAddr)), undefined);
  assertEquals(await thrown(socket.batches({ signal: AbortSignal.abort(null) }).next()), null);
});

test("sendMessage() and sendBatch() refuse words that are wrong, before anything is sent", NATIVE, async () => {
  using socket = bind();
  const refused = async (settings: Record<string, unknown>, kind: new (...args: never[]) => Error, words: string) => {
    const message = { data: bytes("x"), remoteAddr: socket.addr, ...settings } as never;
    await assertRejects(() => socket.sendMessage(message), kind as ErrorConstructor, words);
    await assertRejects(() => socket.sendBatch([message]), kind as ErrorConstructor, words);
  };
  await refused({ hopLimit: 0 }, RangeError, "hopLimit is 0");
  await refused({ hopLimit: 256 }, RangeError, "hopLimit is 256");
  await refused({ dscp: 64 }, RangeError, "dscp is 64");
  await refused({ ecn: "1" }, TypeError, "ecn is");
  await refused({ interfaceIndex: -1 }, RangeError, "interfaceIndex is -1");
  await refused({ localAddr: { hostname: "x" } }, SyntaxError, "localAddr.hostname");
  await refused({ localAddr: "127.0.0.1" }, TypeError, "localAddr is");
  await refused({ remoteAddr: { hostname: "localhost", port: 9 } }, SyntaxError, "literal address");
  await refused({ remoteAddr: undefined }, TypeError, "remoteAddr");
  await refused({ data: "x" }, TypeError, "must be a Uint8Array");
  await refused({ segmentSize: 0 }, RangeError, "segmentSize is 0");
  await refused({ data: new Uint8Array(65_537), segmentSize: 1 }, RangeError, "more than 65,536 segments");
  await refused({ localAddr: { hostname: "203.0.113.8" } }, Error, "a source address must be one of this machine");
  assertEquals(socket.tryReceive(), null);
});

test(
  "reply() answers from the address that was asked, and of a broadcast from an address of its own",
  NATIVE,
  async () => {
    using server = bindUdp({ metadata: ["localAddr", "interfaceIndex"] });
    using client = bindUdp();
    const { port } = server.addr;
    for (
      const [asked, answers] of [["127.0.0.8", "127.0.0.8"], ["127.255.255.255", LOCAL], ["127.0.0.77", "127.0.0.77"]]
    ) {
      await client.send(bytes("?"), { hostname: asked!, port });
      const question = await server.receiveMessage();
      assertEquals(question.localAddr.hostname, asked);
      assertEquals(await server.reply(question, bytes("!")), 1);
      assertEquals((await client.receive())[1], { family: "inet", transport: "udp", hostname: answers!, port });
    }
    using plain = bind();
    await plain.send(bytes("x"), plain.addr);
    const without = await plain.receiveMessage();
    await assertRejects(() => plain.reply(without as never, bytes("y")), TypeError, 'metadata: ["localAddr"]');
  },
);

// ---- Reports of the network ----

test("an unconnected UdpSocket never hears of refusals, nor do its healthy peers", NATIVE, async () => {
  for (const options of [[], [IP_RECVERR.to(true)]]) {
    using socket = bind({ options });
    using healthy = bind();
    const gone = nobody();
    const heard: string[] = [];
    const loop = (async () => {
      for await (const [data] of socket) {
        heard.push(text(data));
        if (data.byteLength === 0) break;
      }
    })();
    for (let i = 0; i < 20; i++) {
      await socket.send(bytes("gone"), gone);
      assertEquals(await socket.send(bytes(`${i}`), healthy.addr), `${i}`.length);
      await healthy.send(bytes(`${i}`), socket.addr);
    }
    await healthy.send(new Uint8Array(), socket.addr);
    await loop;
    assertEquals(heard.slice(0, -1), Array.from({ length: 20 }, (_, i) => `${i}`));
    for (let i = 0; i < 20; i++) assertEquals(text(healthy.tryReceive()![0]), `${i}`);
  }
});

test("the error queue tells each refusal with the destination that it is about", NATIVE6, async () => {
  for (const [hostname, option] of [[LOCAL, IP_RECVERR], ["::1", IPV6_RECVERR]] as const) {
    using socket = bindUdp({ hostname, options: [option.to(true)] });
    const gone = [nobody(hostname), nobody(hostname)];
    for (const [i, to] of gone.entries()) await socket.send(bytes(`${i}`), to);
    for (const [i, to] of gone.entries()) {
      const { control, data, remoteAddr } = await socket.socket.receiveMessage({ errorQueue: true });
      const [about] = control;
      assert(about?.name === "IP_RECVERR" || about?.name === "IPV6_RECVERR");
      assertEquals(about.name, option.name as "IP_RECVERR");
      const origin = hostname === LOCAL ? "icmp" : "icmp6";
      assertEquals([about.error.code, about.error.origin, text(data)], ["ECONNREFUSED", origin, `${i}`]);
      assertEquals((remoteAddr as { port: number }).port, to.port);
    }
    assertEquals(socket.socket.tryReceiveMessage({ errorQueue: true }), null);
  }
});

test("refusals of broadcast explain themselves, by whatever call it is sent", NATIVE, async () => {
  const refused = async (options: BindUdpOptions, hostname: string, code: string, words: RegExp) => {
    using socket = bindUdp(options);
    const [data, remoteAddr] = [bytes("x"), { hostname, port: 9 }];
    const calls = {
      send: () => socket.send(data, remoteAddr),
      trySend: async () => await Promise.resolve(socket.trySend(data, remoteAddr)),
      sendMessage: () => socket.sendMessage({ data, remoteAddr, hopLimit: 1 }),
      sendBatch: () => socket.sendBatch([{ data, remoteAddr }, { data, remoteAddr }]),
      connect: async () => await Promise.resolve(socket.connect(remoteAddr)),
    };
    for (const [name, call] of Object.entries(calls)) {
      const error = await assertRejects(call) as SystemError;
      assertEquals(error.code, code, name);
      assert(words.test(error.message), `${name}: ${error.message}`);
    }
  };
  await refused(
    { broadcast: false },
    "127.255.255.255",
    "EACCES",
    /; a broadcast address needs `broadcast: true`( \(|$)/,
  );
  await refused(
    { hostname: LOCAL },
    "203.0.113.255",
    "EINVAL",
    /; the socket is bound to loopback, .*bind it to "0.0.0.0"/,
  );
  using allowed = bind();
  assertEquals(SO_BROADCAST.get(allowed), true);
});

// ---- Waiting ----

test("tryReceive() and trySend() give null where C says EAGAIN, and for nothing else", NATIVE, async () => {
  using socket = bind({ sendBufferSize: 1 });
  assertEquals(socket.tryReceive(), null);
  await socket.send(new Uint8Array(), socket.addr);
  assertEquals(socket.tryReceive()?.[0].byteLength, 0);
  const closed = bind();
  closed.close();
  assertThrows(() => closed.tryReceive(), Deno.errors.BadResource);
  assertThrows(() => closed.trySend(bytes("x"), socket.addr), Deno.errors.BadResource);
  assertThrows(() => closed.socket.fd, Deno.errors.BadResource);
});

test("receive() that waits is answered before one that is called later", NATIVE, async () => {
  using socket = bind();
  const first = socket.receive();
  await new Promise((resolve) => setTimeout(resolve, 5));
  socket.trySend(bytes("one"), socket.addr);
  socket.trySend(bytes("two"), socket.addr);
  const second = socket.receive();
  assertEquals([text((await first)[0]), text((await second)[0])], ["one", "two"]);
});

test("bindUdp({ spin }) looks for as long as it is told, and 0 and adaptive are served as well", NATIVE, async () => {
  for (const spin of [0, 200, 100_000, "adaptive"] as const) {
    using a = bind({ spin });
    using b = bind({ spin });
    const echo = (async () => {
      for (let i = 0; i < 50; i++) {
        const [data, from] = await b.receive();
        await b.send(data, from);
      }
    })();
    for (let i = 0; i < 50; i++) {
      await a.send(bytes(`${i}`), b.addr);
      assertEquals(text((await a.receive())[0]), `${i}`);
    }
    await echo;
    await assertRejects(() => a.receive(undefined, { signal: AbortSignal.timeout(20) }), DOMException);
  }
});

test("timeouts of the socket beneath end waits, and shutdown() is told", NATIVE, async () => {
  using socket = bind();
  socket.socket.timeouts.receive = 10;
  await assertRejects(() => socket.receive(), Deno.errors.TimedOut);
  await assertRejects(() => socket.receiveMessage(), Deno.errors.TimedOut);
  delete socket.socket.timeouts.receive;
  socket.connect(socket.addr);
  const waiting = socket.receive();
  socket.socket.shutdown("read");
  assertEquals((await assertRejects(() => waiting) as SystemError).code, "ESHUTDOWN");
});

test("closing the socket beneath closes the UdpSocket, and either ends waits and iteration", NATIVE, async () => {
  for (const close of [(it: UdpSocket) => it.close(), (it: UdpSocket) => it.socket.close()]) {
    const socket = bind();
    const { port } = socket.addr;
    const waits = [socket.receive(), socket.receiveMessage()];
    const loop = (async () => {
      for await (const _ of socket) throw new Error("a datagram from nowhere");
      return "ended";
    })();
    await new Promise((resolve) => setTimeout(resolve, 5));
    close(socket);
    for (const one of waits) await assertRejects(() => one, Deno.errors.BadResource, "closed");
    assertEquals(await loop, "ended");
    assertThrows(() => socket.close(), Deno.errors.BadResource);
    await assertRejects(() => socket.send(bytes("x"), { hostname: LOCAL, port }), Deno.errors.BadResource);
    socket[Symbol.dispose]();
    assertEquals(socket.remoteAddr, null);
  }
});

test("poll() takes a UdpSocket, and the datagrams of a train that are left make it readable", NATIVE, async () => {
  using socket = bind({ gro: true });
  using sender = bind();
  assertEquals(await poll([{ socket, readable: true }], { timeout: 5 }), []);
  await sender.sendMessage({ data: bytes("aabbc"), segmentSize: 2, remoteAddr: socket.addr });
  assertEquals((await poll([{ socket, readable: true }])).length, 1);
  assertEquals(text((await socket.receive())[0]), "aa");
  for (const one of [socket, socket.socket]) {
    const [event] = await poll([{ socket: one, readable: true }], { timeout: 1000 });
    assertStrictEquals(event?.socket, one);
  }
  assertEquals(text(socket.tryReceive()![0]), "bb");
  assertEquals(text((await socket.receiveMessage()).data), "c");
  for (const one of [socket, socket.socket]) {
    assertEquals(await poll([{ socket: one, readable: true }], { timeout: 5 }), []);
  }
});

test("several receives that wait share the datagrams of one train", NATIVE, async () => {
  using socket = bind({ gro: true });
  using sender = bind();
  const waiting = [socket.receive(), socket.receive(), socket.receive()];
  await new Promise((resolve) => setTimeout(resolve, 5));
  await sender.sendMessage({ data: bytes("aabbcc"), segmentSize: 2, remoteAddr: socket.addr });
  assertEquals((await Promise.all(waiting)).map(([data]) => text(data)), ["aa", "bb", "cc"]);
});

test("UdpSocket in Workers, each with its own, share a port", { ...NATIVE, read: true }, async () => {
  using first = bind({ reusePort: true });
  const { port } = first.addr;
  const code = `
    import { bindUdp } from ${JSON.stringify(import.meta.resolve("../../udp/mod.ts"))};
    const socket = bindUdp({ hostname: "127.0.0.1", port: ${port}, reusePort: true });
    postMessage("ready");
    for await (const [data, from] of socket) {
      if (data.byteLength === 0) break;
      await socket.send(data, from);
    }
    socket.close();
    postMessage("closed");`;
  const workers = [0, 1].map(() =>
    new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" })
  );
  const told = (worker: Worker) => new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
  assertEquals(await Promise.all(workers.map(told)), ["ready", "ready"]);
  first.close();
  // Each socket of ours is another peer to the kernel, and goes to either.
  for (let i = 0; i < 40; i++) {
    using client = bind();
    await client.send(bytes(`${i}`), { hostname: LOCAL, port });
    const [data] = await client.receive(undefined, { signal: AbortSignal.timeout(5000) });
    assertEquals(text(data), `${i}`);
  }
  const closed = workers.map(told);
  let open = 2;
  for (const one of closed) one.then(() => open--);
  await until(() => {
    using client = bind();
    client.trySend(new Uint8Array(), { hostname: LOCAL, port });
    return open === 0;
  });
  for (const worker of workers) worker.terminate();
});

test("a UdpSocket that never used a batch stays under 1 KiB of JavaScript heap", OTHER_PROGRAM, async () => {
  const output = await runWith(
    ["--allow-net", "--allow-ffi", "--v8-flags=--expose-gc"],
    `const open = (count) => Array.from({ length: count }, () => udp.bindUdp({ hostname: "127.0.0.1" }));
     // What V8 makes of the code is no socket's.
     for (let i = 0; i < 3; i++) for (const one of open(300)) one.close();
     gc();
     const before = Deno.memoryUsage().heapUsed;
     const all = open(900);
     gc();
     console.log((Deno.memoryUsage().heapUsed - before) / 900);
     for (const one of all) one.close();`,
  );
  assert(Number(output) > 0 && Number(output) < 1024, output);
});

test("the buffer sizes that were granted are told", NATIVE, () => {
  using socket = bind({ receiveBufferSize: 30_000, sendBufferSize: 20_000 });
  assertEquals(socket.capabilities.receiveBufferSize, SO_RCVBUF.get(socket));
  assertEquals([socket.capabilities.receiveBufferSize, socket.capabilities.sendBufferSize], [60_000, 40_000]);
  assertEquals(IP_RECVTTL.get(socket), false);
});

test("receive() calls that are made at once end in the order in which they were made", NATIVE, async () => {
  const COUNT = 1000;
  using receiver = bind({ receiveBufferSize: 4_000_000 });
  using sender = bind();
  const batch = new DatagramBatch();
  for (let i = 0; i < COUNT; i++) batch.add(new Uint8Array([i & 255, i >> 8]), { remoteAddr: receiver.addr });
  assertEquals(await sender.sendBatch(batch), COUNT);
  const ended: number[] = [];
  await Promise.all(
    Array.from({ length: COUNT }, () => receiver.receive().then(([data]) => ended.push(data[0]! | data[1]! << 8))),
  );
  assertEquals(ended, Array.from({ length: COUNT }, (_, i) => i));
});

test("calls that wait at once take datagrams in the order in which they were made", OTHER_PROGRAM, async () => {
  const COUNT = 4000;
  const socket = bind({ receiveBufferSize: 4_000_000 });
  await using sender = start(
    Deno.execPath(),
    runArguments(["--allow-net", "--allow-ffi"]),
    script(
      `const socket = udp.bindUdp({ hostname: "127.0.0.1" });
       const to = ${JSON.stringify(socket.addr)};
       for (let i = 0; i < ${COUNT}; i++) {
         socket.trySend(new Uint8Array([i & 255, i >> 8]), to);
         // So that there are looks at the socket between one and the next.
         for (const since = performance.now(); performance.now() - since < 0.03;);
       }`,
    ),
  );
  const numbers: number[] = [];
  let calls = 0;
  const loops = Array.from({ length: 8 }, async (_, i) => {
    for (;;) {
      const call = calls++;
      const [a, b] = i % 2 === 0 ? (await socket.receive())[0] : (await socket.receiveMessage()).data;
      numbers[call] = a! | b! << 8;
    }
  });
  assertEquals(await sender.rest(), []);
  // Behind all that came; what was dropped for want of room did not.
  await until(() => {
    socket.trySend(new Uint8Array([255, 255]), socket.addr);
    return numbers.includes(0xffff);
  });
  socket.close();
  for (const loop of loops) await assertRejects(() => loop, Deno.errors.BadResource);
  const seen = numbers.filter((number) => number !== undefined);
  assert(seen.length > COUNT / 2, `${seen.length} came`);
  assertEquals(seen, seen.toSorted((a, b) => a - b));
});

test("receive() waits behind receiveBatch(), and receiveBatch() behind receive()", NATIVE, async () => {
  for (const gro of [false, true]) {
    using socket = bind({ gro });
    const batch = new DatagramBatch();
    const first = socket.receiveBatch(batch);
    socket.trySend(bytes("one"), socket.addr);
    const second = socket.receive();
    assertEquals([await assertWithin(5_000, first), text(batch.data(0))], [1, "one"]);
    const third = socket.receiveBatch(batch);
    assertThrows(() => batch.clear(), Deno.errors.Busy);
    for (const word of ["two", "six"]) socket.trySend(bytes(word), socket.addr);
    assertEquals(text((await second)[0]), "two");
    assertEquals([await third, text(batch.data(0))], [1, "six"]);
  }
});

test(
  "a call that waits behind others is told of what is wrong at once, and ends by abort and close()",
  NATIVE,
  async () => {
    const socket = bind();
    const batch = new DatagramBatch();
    const first = socket.receive();
    await assertRejects(() => socket.receive(5 as never), TypeError, "it must be a Uint8Array");
    await assertRejects(() => socket.receiveMessage({ buffer: 5 as never }), TypeError, "it must be a Uint8Array");
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [socket.receive(undefined, { signal }), socket.receiveBatch(batch, { signal })];
    const last = socket.receiveMessage();
    const reason = new Error("enough");
    controller.abort(reason);
    for (const call of calls) assertStrictEquals(await assertRejects(() => call), reason);
    for (const word of ["one", "two"]) socket.trySend(bytes(word), socket.addr);
    assertEquals([text((await first)[0]), text((await last).data)], ["one", "two"]);
    const closed = [socket.receive(), socket.receiveMessage(), socket.receiveBatch(batch), socket.receive()];
    socket.close();
    for (const call of closed) await assertRejects(() => call, Deno.errors.BadResource, "closed");
    batch.clear();
  },
);

test("calls that wait behind others time out by their own clocks, however many they are", NATIVE, async () => {
  using socket = bind();
  socket.socket.timeouts.receive = 20;
  const calls = Array.from({ length: 4000 }, () => assertRejects(() => socket.receive(), Deno.errors.TimedOut));
  await assertWithin(2_000, Promise.all(calls));
});

test("what there is room for goes out with the call, whatever is called behind it", NATIVE, async () => {
  using receiver = bind();
  const remoteAddr = receiver.addr;
  const sender = bind();
  const batch = new DatagramBatch();
  batch.add(bytes("five"), { remoteAddr });
  const { signal } = new AbortController();
  const calls = [
    sender.sendMessage({ data: bytes("one"), remoteAddr }),
    sender.send(bytes("two"), remoteAddr),
    sender.sendMessage({ data: bytes("three"), remoteAddr, segmentSize: 9 }, { signal }),
    sender.sendBatch([{ data: bytes("four"), remoteAddr }]),
    sender.sendBatch(batch),
    sender.send(bytes("six"), remoteAddr, { signal }),
  ];
  sender.close();
  for (const word of ["one", "two", "three", "four", "five", "six"]) {
    assertEquals(text(receiver.tryReceive()![0]), word);
  }
  await Promise.all(calls);
});

test("UdpSocket.sendMessage() takes any number of parts, and says what is no datagram", NATIVE, async () => {
  using socket = bind();
  const remoteAddr = socket.addr;
  const data = Array.from({ length: 1025 }, (_, i) => new Uint8Array([i]));
  assertEquals(await socket.sendMessage({ data, remoteAddr }), 1025);
  assertEquals((await socket.receive())[0], new Uint8Array(1025).map((_, i) => i));
  for (const wrong of [5, null, undefined]) {
    await assertRejects(() => socket.sendMessage(wrong as never), TypeError, "it must be an object with data");
  }
  for (const wrong of [{}, { data: "x" }, { data: { length: 1 } }]) {
    await assertRejects(() => socket.sendMessage({ ...wrong, remoteAddr } as never), TypeError, "the data is");
  }
});
