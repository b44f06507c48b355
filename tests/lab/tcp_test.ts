// TCP over a cable that is cut, loses and tells: what a peer that vanishes, an early option and a bad line come to.
// What the kernel says of the same options: ../tcp/. The cable: cable.ts.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "../needs.ts";
import { sleep } from "../time.ts";
import { CABLE, type Segment, withCable } from "./cable.ts";

/** What goes over a bad line; in full with SOCKETS_SOAK=1. */
const BYTES = Deno.permissions.querySync({ name: "env" }).state === "granted" && Deno.env.get("SOCKETS_SOAK") === "1"
  ? 100_000_000
  : 3_000_000;

/** Accepts connections on port 5000, sends back what they say, and ends those that say "bye" or "reset". */
const PEER = `
import socket, struct, threading
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("", 5000)); s.listen()
print("listening")
held = []
def serve(c):
    try:
        while data := c.recv(65536):
            if data == b"reset": c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if data in (b"reset", b"bye"): break
            c.sendall(data)
        held.remove(c)
        c.close()
    except OSError as error: print(type(error).__name__)
while True:
    c, _ = s.accept()
    held.append(c)
    threading.Thread(target=serve, args=[c], daemon=True).start()
`;

const LINES = `
const lines = [];
const input = Deno.stdin;
const bytes = (text) => new TextEncoder().encode(text);
const since = async (call) => { const start = performance.now(); const result = await call().then((value) => ({ value }), (error) => ({ error })); return { ...result, took: Math.round(performance.now() - start) }; };
const tell = ({ error, value, took }) => console.log(JSON.stringify({ took, value: value ?? null, name: error?.name ?? null, code: error?.code ?? null }));
const echo = async (conn) => { const room = new Uint8Array(64); await conn.write(bytes("hello")); return await conn.read(room); };
void lines, input;
`;

interface Told {
  readonly took: number;
  readonly value: unknown;
  readonly name: string | null;
  readonly code: string | null;
}

function ofConnection(seen: readonly Segment[]): Segment[] {
  return seen.filter(({ sport, dport }) => sport === 5000 || dport === 5000);
}

test("keepalive notices a peer that vanished, after idle and so many intervals, never before", CABLE, async () => {
  await withCable(async (left, right, cable) => {
    await using peer = right.python(PEER);
    await peer.line();
    await using program = left.start(`${LINES}
      const conn = await tcp.connectTcp({ hostname: "10.78.0.2", port: 5000, keepAlive: { idle: 1_000, interval: 1_000, count: 2 } });
      console.log(await echo(conn));
      tell(await since(() => conn.read(new Uint8Array(1))));
      conn.close();`);
    assertEquals(await program.line(), "5");
    // Probes are answered: nothing happens, for longer than it takes to give up.
    await sleep(3_600);
    const answered = ofConnection(await cable.seen());
    const probes = answered.filter(({ from, flags, bytes }) => from === "left" && flags === "A" && bytes <= 1);
    assert(probes.length >= 3, `${probes.length} probes`);
    await cable.tell("cut");
    const { took, name } = JSON.parse(await program.line()) as Told;
    assertEquals(name, "TimedOut");
    const sent = ofConnection(await cable.seen()).filter(({ from, flags, passed }) =>
      from === "left" && flags === "A" && !passed
    );
    assertEquals(sent.length, 2, "so many probes without an answer");
    // From the last answer on: idle, then two intervals.
    assert(took > 3_600 + 1_500 && took < 3_600 + 4_500, `it took ${took} ms`);
    const [first, second] = sent.map(({ at }) => at);
    assert(Math.abs(second! - first! - 1_000) < 400, `${second! - first!} ms between the probes`);
  });
});

test("userTimeout ends a connection with data in flight, and no idle one", CABLE, async () => {
  await withCable(async (left, right, cable) => {
    await using peer = right.python(PEER);
    await peer.line();
    await using program = left.start(`${LINES}
      const [idle, busy] = await Promise.all([1, 2].map(() => tcp.connectTcp({ hostname: "10.78.0.2", port: 5000, userTimeout: 1_000 })));
      console.log(await echo(idle) + await echo(busy));
      await new Promise((resolve) => setTimeout(resolve, 500));
      await busy.write(bytes("lost"));
      const waiting = since(() => idle.read(new Uint8Array(1)));
      tell(await since(() => busy.read(new Uint8Array(1))));
      console.log(await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 1_000, "idle goes on"))]));
      idle.close();
      busy.close();`);
    assertEquals(await program.line(), "10");
    await cable.tell("cut");
    const { took, name } = JSON.parse(await program.line()) as Told;
    assertEquals(name, "TimedOut");
    assert(took > 800 && took < 3_500, `it took ${took} ms`);
    assertEquals(await program.line(), "idle goes on");
  });
});

test("dscp is on every segment from the SYN on, both of a client and of a listener", CABLE, async () => {
  await withCable(async (left, right, cable) => {
    await using server = right.start(`${LINES}
      const listener = tcp.listenTcp({ hostname: "10.78.0.2", port: 5000, dscp: 10 });
      console.log("listening");
      const conn = await listener.accept();
      await conn.readable.pipeTo(conn.writable);`);
    await server.line();
    const output = await left.run(`${LINES}
      const conn = await tcp.connectTcp({ hostname: "10.78.0.2", port: 5000, dscp: 46 });
      console.log(await echo(conn));
      conn.close();`);
    assertEquals(output, "5");
    await sleep(50);
    const seen = ofConnection(await cable.seen());
    assert(seen.some(({ from, flags }) => from === "left" && flags === "S"), "the SYN");
    assert(seen.some(({ from, flags }) => from === "right" && flags === "SA"), "its answer");
    assert(seen.some(({ from, flags }) => from === "left" && flags.includes("F")), "the FIN");
    for (const one of seen.filter(({ flags }) => !flags.includes("R"))) {
      assertEquals(one.tos >> 2, one.from === "left" ? 46 : 10, JSON.stringify(one));
    }
  });
});

test("TCP_MAXSEG bounds what either end sends", CABLE, async () => {
  await withCable(async (left, right, cable) => {
    await using peer = right.python(PEER);
    await peer.line();
    const output = await left.run(`${LINES}
      const conn = await tcp.connectTcp({ hostname: "10.78.0.2", port: 5000, options: [options.TCP_MAXSEG.to(512)] });
      const room = new Uint8Array(65_536);
      await conn.write(room.subarray(0, 20_000));
      let got = 0;
      while (got < 20_000) got += await conn.read(room);
      console.log(got);
      conn.close();`);
    assertEquals(output, "20000");
    const seen = ofConnection(await cable.seen());
    assertEquals(seen.find(({ flags }) => flags === "S")?.mss, 512);
    for (const side of ["left", "right"]) {
      const largest = Math.max(...seen.filter(({ from }) => from === side).map(({ bytes }) => bytes));
      assert(largest > 400 && largest <= 512, `${side} sent ${largest} bytes at once`);
    }
  });
});

test(
  "a receive buffer set before the handshake decides the window scale, of a client and of a listener",
  CABLE,
  async () => {
    await withCable(async (left, right, cable) => {
      await using server = right.start(`${LINES}
      const listener = tcp.listenTcp({ hostname: "10.78.0.2", port: 5000, receiveBufferSize: 20_000 });
      console.log("listening");
      for await (const conn of listener) conn.close();`);
      await server.line();
      const output = await left.run(`${LINES}
      (await tcp.connectTcp({ hostname: "10.78.0.2", port: 5000, receiveBufferSize: 20_000 })).close();
      (await tcp.connectTcp({ hostname: "10.78.0.2", port: 5000 })).close();
      console.log("done");`);
      assertEquals(output, "done");
      const seen = ofConnection(await cable.seen());
      const [small, usual] = seen.filter(({ flags }) => flags === "S").map(({ wscale }) => wscale);
      const [answer] = seen.filter(({ flags }) => flags === "SA").map(({ wscale }) => wscale);
      assertEquals([small, answer], [0, 0]);
      assert(usual! > 0, `the usual scale is ${usual}`);
    });
  },
);

test("fast open carries data in the SYN once the cookie is known", CABLE, async () => {
  await withCable(async (left, right, cable) => {
    await using server = right.start(`${LINES}
      Deno.writeTextFileSync("/proc/sys/net/ipv4/tcp_fastopen", "3");
      const listener = tcp.listenTcp({ hostname: "10.78.0.2", port: 5000, options: [options.TCP_FASTOPEN.to(16)] });
      console.log("listening");
      for await (const conn of listener) conn.readable.pipeTo(conn.writable).catch(() => {});`);
    await server.line();
    const output = await left.run(`${LINES}
      for (let i = 0; i < 2; i++) {
        const conn = await tcp.connectTcp({ hostname: "10.78.0.2", port: 5000, options: [options.TCP_FASTOPEN_CONNECT.to(true)] });
        console.log(await echo(conn));
        conn.close();
      }`);
    assertEquals(output, "5\n5");
    const seen = ofConnection(await cable.seen());
    const opening = seen.filter(({ flags }) => flags === "S");
    assertEquals(opening.map(({ bytes }) => bytes), [0, 5]);
    assertEquals(opening[0]!.cookie, 0, "it asks for a cookie");
    assert(opening[1]!.cookie! > 0, "it shows the cookie");
  });
});

test("SO_BINDTODEVICE and localAddr choose the path", CABLE, async () => {
  await withCable(async (left, right, cable) => {
    await using peer = right.python(PEER);
    await peer.line();
    const output = await left.run(`${LINES}
      for (const early of [{}, { options: [options.SO_BINDTODEVICE.to("wire1")] }, { localAddr: { hostname: "10.78.1.1" } }]) {
        const conn = await tcp.connectTcp({ hostname: "10.78.9.9", port: 5000, timeout: 3_000, ...early });
        console.log(conn.localAddr.hostname, await echo(conn));
        conn.close();
      }`);
    assertEquals(output, "10.78.0.1 5\n10.78.1.1 5\n10.78.1.1 5");
    const opening = ofConnection(await cable.seen()).filter(({ flags }) => flags === "S");
    assertEquals(opening.map(({ wire, source }) => [wire, source]), [[0, "10.78.0.1"], [1, "10.78.1.1"], [
      1,
      "10.78.1.1",
    ]]);
  });
});

test("a name's next address is tried beside one that does not answer, and nothing of that stays", CABLE, async () => {
  await withCable(async (left, right) => {
    await using peer = right.python(PEER);
    await peer.line();
    // What ip-netns(8) shows to programs in the namespace as /etc/hosts.
    const folder = `/etc/netns/${left.name}`;
    await Deno.mkdir(folder, { recursive: true });
    try {
      await Deno.writeTextFile(
        `${folder}/hosts`,
        "2001:db8:78::77 two.test\n10.78.0.2 two.test\n2001:db8:78::2 none.test\n10.78.0.2 none.test\n",
      );
      const output = await left.run(`${LINES}
        const open = () => socket.listSockets().filter(({ family }) => family === "inet" || family === "inet6").length;
        const order = (await socket.resolveAddress("two.test")).map(({ family }) => family);
        const { value, took } = await since(() => tcp.connectTcp({ hostname: "two.test", port: 5000, localAddr: {} }));
        console.log(JSON.stringify({ order, to: value.remoteAddr.hostname, took, open: open() }));
        value.close();
        // Neither the one that is refused nor the one that does not answer stays.
        const late = await tcp.connectTcp({ hostname: "two.test", port: 5001, localAddr: {}, timeout: 600 }).catch((error) => error);
        console.log(late.name, open());
        const all = await tcp.connectTcp({ hostname: "none.test", port: 5001, localAddr: {} }).catch((error) => error);
        console.log(JSON.stringify([all.name, all.message, ...all.errors.map(({ name, message }) => [name, message])]), open());`);
      const [connected, late, failed] = output.split("\n");
      const { order, to, took, open } = JSON.parse(connected!);
      assertEquals([order, to, open], [["inet6", "inet"], "10.78.0.2", 1]);
      assert(took > 240 && took < 600, `it took ${took} ms`);
      assertEquals(late, "TimedOut 0");
      assertMatch(failed!, / 0$/);
      const [name, message, ...each] = JSON.parse(failed!.slice(0, -2));
      assertEquals(name, "AggregateError");
      assertMatch(message, /^Cannot connect to tcp none\.test:5001: none of its 2 addresses answers: /);
      assertEquals(each.map(([name]: string[]) => name), ["ConnectionRefused", "ConnectionRefused"]);
      assertMatch(each[0][1], /^Cannot connect to tcp \[2001:db8:78::2\]:5001: ECONNREFUSED/);
      assertMatch(each[1][1], /^Cannot connect to tcp 10\.78\.0\.2:5001: ECONNREFUSED/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});

test("refused, unanswered, an end and a reset are told apart, on Deno's connections and on ours", CABLE, async () => {
  await withCable(async (left, right) => {
    await using peer = right.python(PEER);
    await peer.line();
    await using program = left.start(`${LINES}
      for (const early of [{}, { localAddr: {} }]) {
        const to = { hostname: "10.78.0.2", port: 5000, ...early };
        tell(await since(() => tcp.connectTcp({ ...to, port: 5001, timeout: 3_000 })));
        tell(await since(() => tcp.connectTcp({ ...to, hostname: "10.78.0.77", timeout: 300 })));
        for (const last of ["bye", "reset"]) {
          const conn = await tcp.connectTcp(to);
          await echo(conn);
          await conn.write(bytes(last));
          tell(await since(() => conn.read(new Uint8Array(1))));
          conn.close();
        }
      }`);
    for (let i = 0; i < 2; i++) {
      const told: Told[] = [];
      while (told.length < 4) told.push(JSON.parse(await program.line()));
      assertEquals(told.map(({ name, value }) => name ?? value), [
        "ConnectionRefused",
        "TimedOut",
        null,
        "ConnectionReset",
      ]);
      assert(told[1]!.took >= 290 && told[1]!.took < 1_500, `it took ${told[1]!.took} ms`);
    }
  });
});

test("half-open: a peer that restarted answers with a reset, which the next read meets", CABLE, async () => {
  await withCable(async (left, right, cable) => {
    const peer = right.python(PEER);
    await peer.line();
    await using program = left.start(`${LINES}
      const conn = await tcp.connectTcp({ hostname: "10.78.0.2", port: 5000 });
      console.log(await echo(conn));
      await new Promise((resolve) => setTimeout(resolve, 600));
      await conn.write(bytes("are you there?"));
      tell(await since(() => conn.read(new Uint8Array(1))));
      conn.close();`);
    assertEquals(await program.line(), "5");
    // Its end goes lost with the cable cut: it knows nothing of the connection any more, we do.
    await cable.tell("cut");
    await peer[Symbol.asyncDispose]();
    await right.ip("address", "delete", "10.78.0.2/24", "dev", "wire0");
    await right.exec("ss", "-K", "dst", "10.78.0.1");
    await right.ip("address", "add", "10.78.0.2/24", "dev", "wire0");
    await cable.tell("mend");
    const { name, code } = JSON.parse(await program.line()) as Told;
    assertEquals([name, code], ["ConnectionReset", "ECONNRESET"]);
    assert(ofConnection(await cable.seen()).some(({ from, flags }) => from === "right" && flags.includes("R")));
  });
});

test("a bad line loses no byte: 10% loss and reordering", CABLE, async () => {
  await withCable(async (left, right, cable) => {
    await using server = right.start(`${LINES}
      const listener = tcp.listenTcp({ hostname: "10.78.0.2", port: 5000 });
      console.log("listening");
      const conn = await listener.accept();
      const data = await new Response(conn.readable).bytes();
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
      console.log(data.byteLength, hash.toHex());`);
    await server.line();
    await cable.tell("loss 0.1");
    await cable.tell("reorder 0.2");
    const output = await left.run(`${LINES}
      const data = Uint8Array.from({ length: ${BYTES} }, (_, i) => i * 31 + (i >> 9));
      const conn = await tcp.connectTcp({ hostname: "10.78.0.2", port: 5000, dscp: 8 });
      const writer = conn.writable.getWriter();
      await writer.write(data);
      await writer.close();
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
      console.log(data.byteLength, hash.toHex());`);
    assertMatch(output, new RegExp(`^${BYTES} [0-9a-f]{64}$`));
    assertEquals(await server.line(), output);
    const lost = ofConnection(await cable.seen()).filter(({ passed }) => !passed).length;
    assert(lost > 100, `only ${lost} segments were lost`);
  });
});

test("linger: close waits for what is unsent, resets, or does neither", CABLE, async () => {
  await withCable(async (left, right, cable) => {
    await using peer = right.python(PEER);
    await peer.line();
    for (
      const [linger, localAddr] of [[1_000, false], [1_000, true], [0, true], [false, false], [false, true]] as const
    ) {
      await using program = left.start(`${LINES}
        const conn = await tcp.connectTcp({ hostname: "10.78.0.2", port: 5000, linger: ${linger}${
        localAddr ? ", localAddr: {}" : ""
      } });
        console.log(await echo(conn));
        await new Promise((resolve) => setTimeout(resolve, 300));
        await conn.write(bytes("unsent"));
        const start = performance.now();
        conn.close();
        console.log(Math.round(performance.now() - start));
        await new Promise((resolve) => setTimeout(resolve, 2_000));`);
      assertEquals(await program.line(), "5");
      await cable.seen();
      await cable.tell("cut");
      const took = Number(await program.line());
      const what = `linger ${linger}, ${localAddr ? "ours" : "Deno's"}: close took ${took} ms`;
      if (linger === 1_000) assert(took > 900 && took < 1_900, what);
      else assert(took < 200, what);
      await cable.tell("mend");
      await sleep(900);
      const seen = ofConnection(await cable.seen()).filter(({ from }) => from === "left");
      // At once, that is: later ones answer what the peer sends to a connection that is closed.
      assertEquals(seen.some(({ flags, passed }) => flags.includes("R") && !passed), linger === 0, what);
      assertEquals(seen.some(({ bytes, passed }) => passed && bytes === 6), linger !== 0, what);
    }
  });
});

test("SO_ORIGINAL_DST tells where a redirected connection was going", {
  ...CABLE,
  run: ["ip", "python3", "nft"],
}, async () => {
  await withCable(async (left, right) => {
    await right.exec(
      "nft",
      "add table ip t; add chain ip t c { type nat hook prerouting priority -100; }; add rule ip t c tcp dport 8080 redirect to :5000",
    );
    await using server = right.start(`${LINES}
      const listener = tcp.listenTcp({ hostname: "0.0.0.0", port: 5000 });
      console.log("listening");
      const conn = await listener.accept();
      console.log(JSON.stringify(options.SO_ORIGINAL_DST.get(conn)));`);
    await server.line();
    await left.run(`(await tcp.connectTcp({ hostname: "10.78.0.2", port: 8080 })).close();`);
    assertEquals(JSON.parse(await server.line()), { family: "inet", hostname: "10.78.0.2", port: 8080 });
  });
});

test("5,000 silent clients keep nobody else from being served within 100 ms", {
  ...CABLE,
}, async () => {
  const code = `${LINES}
    const listener = tcp.listenTcp({
      hostname: "127.0.0.1", port: 5000, backlog: 4096,
      limits: { maxConnections: 6_000, maxConnectionsPerAddress: 100, firstByteTimeout: 3_000 },
    });
    console.log("listening");
    let most = 0;
    setInterval(() => console.log("status", most = Math.max(most, listener.connections), listener.connections, JSON.stringify(listener.refused)), 200);
    const serve = async (conn) => {
      const room = new Uint8Array(64);
      try {
        for (let count; (count = await conn.read(room)) !== null;) await conn.write(room.subarray(0, count));
      } catch (error) {
        if (!(error instanceof Deno.errors.TimedOut)) throw error;
      }
      conn.close();
    };
    for await (const conn of listener) void serve(conn);`;
  await withCable(async (left) => {
    await using server = left.start(code);
    await server.line();
    await using crowd = left.python(`
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (9000, 9000))
held = []
for i in range(5000):
    s = socket.socket(); s.settimeout(20)
    s.bind((f"127.0.{1 + i // 50 // 250}.{1 + i // 50 % 250}", 0))
    s.connect(("127.0.0.1", 5000))
    held.append(s)
    # They trickle in: this is no flood.
    time.sleep(0.0003)
print(len(held))
time.sleep(60)
`);
    const honest = left.start(`${LINES}
      const taken = [];
      const room = new Uint8Array(8);
      for (let i = 0; i < 80; i++) {
        const start = performance.now();
        const conn = await tcp.connectTcp({ hostname: "127.0.0.1", port: 5000 });
        await conn.write(bytes("hi"));
        await conn.read(room);
        taken.push(performance.now() - start);
        conn.close();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      taken.sort((a, b) => a - b);
      console.log(JSON.stringify({ middle: taken[40], slow: taken[75], slowest: taken.at(-1) }));`);
    const { slow, slowest, middle } = JSON.parse(await honest.line());
    await honest[Symbol.asyncDispose]();
    console.log(`served in ${middle.toFixed(1)} ms, ${slowest.toFixed(1)} at most`);
    // One in twenty may meet a machine that is busy with something else.
    assert(slow < 100 && slowest < 1_000, `honest clients waited ${slow} ms, and ${slowest}`);
    assertEquals(await crowd.line(), "5000");
    let status = "";
    do status = await server.line(); while (!status.includes('"firstByteTimeout":5000'));
    console.log(status);
    const [, most, open] = status.split(" ").map(Number);
    assert(most! > 2_000, `${most} were open at once`);
    assertEquals(open, 0);
  });
});
