// The reactor from outside: many waiters, numbers that are reused, aborts, Workers, a busy thread pool, and idleness.
// The calls that wait: socket/*_test.ts; longer runs: soak_test.ts, and here with SOCKETS_SOAK=1.
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { setLook, Socket } from "../socket/socket.ts";
import { bindUdp, DatagramBatch, type UdpSocket } from "../udp/mod.ts";
import {
  both,
  bytes,
  FFI,
  fill,
  outcome,
  PROGRAM,
  runProgram,
  sleep,
  test,
  text,
  udp,
  udpPair,
} from "./socket/make.ts";

const SOAK = Deno.permissions.querySync({ name: "env" }).state === "granted" && Deno.env.get("SOCKETS_SOAK") === "1";

test("ten waiters on one socket get ten datagrams", FFI, async () => {
  using pair = await udpPair();
  const waiting = Array.from({ length: 10 }, () => pair[1].receive());
  await sleep(5);
  for (let i = 0; i < 10; i++) await pair[0].send(bytes(`${i}`));
  assertEquals((await Promise.all(waiting)).map(text).sort().join(""), "0123456789");
});

test("reader and writer of one socket wait independently", FFI, async () => {
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  const filled = fill(left);
  const reading = left.receive();
  const writing = left.send(bytes("x"));
  await sleep(5);
  await right.send(bytes("read"));
  assertEquals(text(await reading), "read");
  const again = left.receive();
  for (let got = 0; got < filled;) got += (await right.receive()).byteLength;
  assertEquals(await writing, 1);
  await right.send(bytes("again"));
  assertEquals(text(await again), "again");
});

test("one descriptor adopted twice wakes both owners", FFI, async () => {
  using peer = udp();
  const first = udp();
  const address = first.localAddr!;
  const second = Socket.adopt(first.fd);
  const waiting = Promise.all([first.receive(), second.receive()]);
  await sleep(2);
  await peer.sendTo(bytes("a"), address);
  await peer.sendTo(bytes("b"), address);
  assertEquals((await waiting).map(text).sort().join(""), "ab");
  const left = outcome(second.receive());
  first.detach();
  assertInstanceOf(await left, Deno.errors.BadResource);
  // The number is open still, and the other owner waits again.
  const again = second.receive();
  await peer.sendTo(bytes("c"), address);
  assertEquals(text(await again), "c");
  second.close();
});

test("a number that is closed and reused wakes nobody wrongly", FFI, async () => {
  const rounds = SOAK ? 20_000 : 2000;
  using sender = udp();
  let reused = 0;
  let fd = -1;
  for (let i = 0; i < rounds; i++) {
    const socket = udp();
    if (socket.fd === fd) reused++;
    fd = socket.fd;
    const waiting = outcome(socket.receive());
    if (i % 3 === 0) sender.trySendTo(bytes("for the former owner"), socket.localAddr!);
    if (i % 7 === 0) await sleep(0);
    socket.close();
    const next = udp();
    if (next.fd === fd) reused++;
    const got = outcome(next.receive());
    sender.trySendTo(bytes(`${i}`), next.localAddr!);
    assertEquals(text(await got as Uint8Array), `${i}`);
    next.close();
    const result = await waiting;
    if (result instanceof Uint8Array) assertEquals(text(result), "for the former owner");
    else assertInstanceOf(result, Deno.errors.BadResource);
  }
  assert(reused >= rounds, `${reused} numbers were reused`);
});

test("aborts at any moment lose no datagram", FFI, async () => {
  const rounds = SOAK ? 100_000 : 10_000;
  using pair = await udpPair();
  const [sender, receiver] = pair;
  let sent = 0;
  let received = 0;
  for (let i = 0; i < rounds; i++) {
    const controller = new AbortController();
    const waiting = receiver.receive(undefined, { signal: controller.signal }).then(
      (data) => assertEquals(text(data), `${received++}`),
      (reason) => assertEquals(reason, "enough"),
    );
    const dice = Math.random();
    if (dice < 0.5) sender.trySend(bytes(`${sent++}`));
    if (dice < 0.3) await Promise.resolve();
    if (dice > 0.9 && i % 50 === 0) await sleep(1);
    controller.abort("enough");
    await waiting;
  }
  for (; received < sent; received++) assertEquals(text(receiver.tryReceive()!), `${received}`);
  assertEquals(receiver.tryReceive(), null);
});

test("Workers that are terminated while their sockets wait leave no thread", PROGRAM, async () => {
  const { output, errors } = await runProgram(
    `
    const threads = () => [...Deno.readDirSync("/proc/self/task")].length;
    const code = 'import { Socket } from "' + SOCKET + '"; for (let i = 0; i < 3; i++) { const s = Socket.open("inet", "dgram"); ' +
      's.bind({ hostname: "127.0.0.1", port: 0 }); s.receive().catch(() => {}); } postMessage("waiting");';
    const url = URL.createObjectURL(new Blob([code], { type: "text/typescript" }));
    async function round() {
      const worker = new Worker(url, { type: "module" });
      await new Promise((resolve, reject) => { worker.onmessage = resolve; worker.onerror = reject; });
      worker.terminate();
    }
    await round();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const before = threads();
    for (let i = 0; i < ${SOAK ? 100 : 10}; i++) await round();
    const most = threads();
    const since = performance.now();
    while (threads() > before && performance.now() - since < 3000) await new Promise((resolve) => setTimeout(resolve, 50));
    console.log(JSON.stringify({ before, most, after: threads() }));
  `.replace("SOCKET +", `"${new URL("../socket/socket.ts", import.meta.url)}" +`),
    { env: { MALLOC_PERTURB_: "165" }, within: SOAK ? 120_000 : 30_000 },
  );
  const { before, most, after } = JSON.parse(output || `{"before":0,"most":0,"after":"${errors}"}`);
  console.log(`threads: ${before} before, ${most} at most, ${after} after`);
  assert(after <= before, output + errors);
});

/** Wakes a socket a few times while the thread pool is stuck with what `crowd` begins; the slowest wake in milliseconds. */
async function slowestWake(crowd: string, under?: string[]): Promise<number> {
  const { output, errors } = await runProgram(
    `
    const receiver = Socket.open("inet", "dgram");
    receiver.bind({ hostname: "127.0.0.1", port: 0 });
    const sender = Socket.open("inet", "dgram");
    const address = receiver.localAddr!;
    let sentAt = 0;
    async function wake(delay: number) {
      const waiting = receiver.receive();
      await new Promise((resolve) => setTimeout(resolve, delay));
      sentAt = performance.now();
      sender.trySendTo(new Uint8Array(1), address);
      await waiting;
      return performance.now() - sentAt;
    }
    for (let i = 0; i < 20; i++) await wake(1);
    let ended = 0;
    const end = () => ended++;
    ${crowd}
    let worst = 0;
    const since = performance.now();
    while (performance.now() - since < 800) worst = Math.max(worst, await wake(Math.random() * 8));
    console.log(ended === 0 ? worst : ended + " of the crowd had ended");
    Deno.exit(0);
  `,
    under === undefined ? {} : { under },
  );
  const worst = Number(output || "NaN");
  assert(worst >= 0, output + errors);
  return worst;
}

for (const jobs of [40, 64]) {
  test(`${jobs} sleeping calls in the thread pool delay no wake`, PROGRAM, async () => {
    const worst = await slowestWake(`
      const c = Deno.dlopen("libc.so.6", { usleep: { parameters: ["u32"], result: "i32", nonblocking: true } });
      for (let i = 0; i < ${jobs}; i++) c.symbols.usleep(1_500_000).then(end);
    `);
    console.log(`slowest wake beside ${jobs} sleeping calls: ${worst.toFixed(2)} ms`);
    assert(worst < 500, `${worst} ms`);
  });
}

/** A network of its own, where a program may be the name server. */
const OWN_NAMES = [
  "unshare",
  "--net",
  "--mount",
  "sh",
  "-c",
  `ip link set lo up && echo nameserver 127.0.0.1 >/tmp/resolv.$$ && mount --bind /tmp/resolv.$$ /etc/resolv.conf &&
   rm /tmp/resolv.$$ && exec "$@"`,
  "sh",
];

test("64 lookups that nobody answers delay no wake", {
  ...PROGRAM,
  root: true,
  run: ["unshare", "ip", "mount", "sh"],
}, async () => {
  const worst = await slowestWake(
    `const names = Socket.open("inet", "dgram");
     names.bind({ hostname: "127.0.0.1", port: 53 });
     for (let i = 0; i < 64; i++) Deno.connect({ hostname: "stuck-" + i + ".example", port: 1 }).then(end, end);`,
    OWN_NAMES,
  );
  console.log(`slowest wake beside 64 lookups: ${worst.toFixed(2)} ms`);
  assert(worst < 500, `${worst} ms`);
});

test("a flooded socket does not starve a timer", FFI, async () => {
  using pair = await udpPair();
  const [sender, receiver] = pair;
  const data = new Uint8Array(64);
  let stop = false;
  let received = 0;
  // One loop sends and receives without ever having to wait.
  const flood = (async () => {
    while (!stop) {
      sender.trySend(data);
      await receiver.receive();
      received++;
    }
  })();
  let ticks = 0;
  let latest = 0;
  let expected = performance.now() + 10;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      latest = Math.max(latest, performance.now() - expected);
      expected = performance.now() + 10;
      if (++ticks === 30) {
        clearInterval(timer);
        resolve();
      }
    }, 10);
  });
  stop = true;
  await flood;
  console.log(`${received} datagrams, timer at most ${latest.toFixed(1)} ms late`);
  assert(latest < 100, `${latest} ms late`);
});

// A large datagram counts as several calls, as it takes as long.
for (const [size, most] of [[1, 130], [32_768, 24]] as const) {
  test(`who waits is told of events while a socket is flooded with ${size} bytes at a time`, FFI, async () => {
    using pair = await udpPair();
    const [sender, receiver] = pair;
    const [left, right] = Socket.pair();
    using _other = both([left, right]);
    let received = 0;
    let over = false;
    // One loop sends and receives without ever having to wait.
    const flood = (async () => {
      for (const data = new Uint8Array(size); !over; received++) {
        sender.trySend(data);
        await receiver.receive();
      }
    })();
    const meanwhile: number[] = [];
    for (let i = 0; i < 25; i++) {
      const waits = right.receive();
      const before = received;
      left.trySend(bytes("x"));
      await waits;
      meanwhile.push(received - before);
    }
    over = true;
    await flood;
    const median = meanwhile.toSorted((a, b) => a - b)[12]!;
    console.log(`after ${median} receives of the other socket`);
    assert(median <= most, `${meanwhile}`);
  });
}

/**
 * Reads a flood of trains by `read`, which gives how many datagrams it took, until Deno's own TCP has made so many round
 * trips and a timer of 10 ms has ticked 20 times, or so many datagrams have gone by.
 */
async function assertServed(most: number, enough: number, gro: boolean, read: (from: UdpSocket) => Promise<number>) {
  using receiver = bindUdp({ hostname: "127.0.0.1", receiveBufferSize: 4_000_000, gro });
  using sender = bindUdp({ hostname: "127.0.0.1" });
  const trains = new DatagramBatch();
  for (let i = 0; i < 1024; i++) trains.add(new Uint8Array(64), { remoteAddr: receiver.addr });
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const [client, server] = await Promise.all([Deno.connect({ hostname: "127.0.0.1", port }), listener.accept()]);
  using _client = client, _server = server;
  const echo = server.readable.pipeTo(server.writable);
  let [received, trips, ticks] = [0, 0, 0];
  const timer = setInterval(() => ticks++, 10);
  const isOver = () => received >= most || trips >= enough && ticks >= 20;
  const talk = (async () => {
    const buffer = new Uint8Array(8);
    while (!isOver()) {
      await client.write(buffer);
      for (let got = 0; got < 8;) got += (await client.read(buffer))!;
      trips++;
    }
  })();
  // It is fed by the loop itself, before it runs dry: a receive that has to wait would give all others their turn.
  for (let fed = 0; !isOver(); received += await read(receiver)) {
    if (received === fed) fed += sender.trySendBatch(trains)!;
  }
  clearInterval(timer);
  await talk;
  await client.closeWrite();
  await echo;
  console.log(`${received} datagrams, ${trips} round trips of Deno's TCP, ${ticks} ticks of 10 ms`);
  assert(trips >= enough, `${trips} round trips`);
  assert(ticks >= 20, `${ticks} ticks`);
}

for (const gro of [false, true]) {
  const how = gro ? "gives trains one by one" : "is read one by one";
  // Where only one turn in 61 looks at the runtime's sockets, there are a dozen round trips by then.
  test(`a flood that ${how} starves neither Deno's own sockets nor a timer`, FFI, async () => {
    await assertServed(1_000_000, 50, gro, async (socket) => {
      await socket.receive();
      return 1;
    });
  });
}

test("calls that take as long as many, as those of batches do, let others run as soon", FFI, async (t) => {
  using receiver = bindUdp({ hostname: "127.0.0.1", receiveBufferSize: 4_000_000 });
  using sender = bindUdp({ hostname: "127.0.0.1" });
  const out = new DatagramBatch();
  for (let i = 0; i < 1024; i++) out.add(new Uint8Array(64), { remoteAddr: receiver.addr });
  const batch = new DatagramBatch({ maxDatagramSize: 512 });
  /** The most calls without a turn for others, of 500. */
  async function mostInARow(call: () => Promise<unknown>): Promise<number> {
    let [inARow, most, over] = [0, 0, false];
    const others = () => {
      inARow = 0;
      if (!over) setImmediate(others);
    };
    setImmediate(others);
    for (let i = 0; i < 500; i++) {
      await call();
      most = Math.max(most, ++inARow);
    }
    over = true;
    return most;
  }
  // One after a millisecond: no machine moves 32,000 datagrams meanwhile.
  await t.step("receiveBatch()", async () => {
    const most = await mostInARow(async () => {
      sender.trySendBatch(out);
      await receiver.receiveBatch(batch);
    });
    assert(most < 32, `${most}`);
  });
  await t.step("sendBatch()", async () => {
    const most = await mostInARow(async () => {
      await sender.sendBatch(out);
      receiver.tryReceiveBatch(batch);
    });
    assert(most < 32, `${most}`);
  });
});

test(
  "an isolate whose waits are short looks for events itself, beside others that wait, and others have their turn",
  FFI,
  async () => {
    using pair = await udpPair();
    const [left, right] = pair;
    using idle = udp();
    const ended = outcome(idle.receive());
    const answering = (async () => {
      for (let i = 0; i < 2000; i++) await right.send(await right.receive());
    })();
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const since = performance.now();
    for (let i = 0; i < 2000; i++) {
      await left.send(bytes("x"));
      assertEquals((await left.receive()).byteLength, 1);
    }
    const took = performance.now() - since;
    await answering;
    clearInterval(timer);
    // A timer of a millisecond comes, if not as often as it would.
    assert(ticks >= took / 20, `${ticks} ticks in ${took} ms`);
    idle.close();
    assertInstanceOf(await ended, Deno.errors.BadResource);
  },
);

test("a socket that looks for long keeps nobody from running, and sleeps then", FFI, async () => {
  using socket = udp();
  using peer = udp();
  setLook(socket, 50);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const waiting = socket.receive();
  await sleep(100);
  clearInterval(timer);
  assert(turns >= 10, `${turns} turns`);
  await peer.sendTo(bytes("late"), socket.localAddr!);
  assertEquals(text(await waiting), "late");
});

test("waiting idly makes no system call", { ...PROGRAM, run: ["strace"] }, async () => {
  const waiting = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--ext=ts",
      `import { Socket } from "${new URL("../socket/socket.ts", import.meta.url)}";
      const socket = Socket.open("inet", "dgram");
      socket.bind({ hostname: "127.0.0.1", port: 0 });
      socket.receive();`,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const file = await Deno.makeTempFile();
  await sleep(1500);
  const strace = new Deno.Command("strace", {
    args: ["-f", "-o", file, "-p", String(waiting.pid)],
    stdout: "null",
    stderr: "null",
  }).spawn();
  // Attaching interrupts what waits, which then waits again.
  await sleep(700);
  const before = await Deno.readTextFile(file);
  await sleep(2000);
  const after = await Deno.readTextFile(file);
  strace.kill("SIGINT");
  await strace.status;
  waiting.kill("SIGKILL");
  await waiting.status;
  await Deno.remove(file);
  assert(before.includes("epoll_wait("), before);
  assertEquals(after.slice(before.length), "");
});

/** Code that fills the thread pool for a while, which is `over` then. */
function fullPool(milliseconds: number): string {
  return `const c = Deno.dlopen("libc.so.6", { usleep: { parameters: ["u32"], result: "i32", nonblocking: true } });
    const over = Promise.all(Array.from({ length: 32 }, () => c.symbols.usleep(${milliseconds * 1000})));`;
}

test(
  "a program ends whose last event came otherwise than by the call that stands in a full pool",
  PROGRAM,
  async () => {
    const program = (lines: string) =>
      runProgram(`
    import { setLook } from "${new URL("../socket/socket.ts", import.meta.url)}";
    ${fullPool(500)}
    const [left, right] = Socket.pair("dgram");
    ${lines}
    await over;
    console.log("end of module");
    globalThis.kept = [left, right];
    Deno.unrefTimer(setTimeout(() => Deno.exit(7), 5000));
  `);
    const [byWatchdog, byLook] = await Promise.all([
      program(`
      setTimeout(() => right.trySend(new Uint8Array(1)), 50);
      await left.receive();`),
      program(`
      // What is parked for one stands in the queue when another looks.
      const [parked, other] = Socket.pair("dgram");
      const controller = new AbortController();
      const aborted = parked.receive(undefined, { signal: controller.signal }).catch(() => {});
      setLook(left, 50);
      const received = left.receive();
      controller.abort();
      right.trySend(new Uint8Array(1));
      await Promise.all([received, aborted]);
      globalThis.others = [parked, other];`),
    ]);
    assertEquals([byWatchdog.code, byWatchdog.output], [0, "end of module"], byWatchdog.errors);
    assertEquals([byLook.code, byLook.output], [0, "end of module"], byLook.errors);
  },
);

test("a wake is not late when the call that was parked for closed sockets stands in a full pool", PROGRAM, async () => {
  const { output, errors } = await runProgram(`
    import { assertWithin } from "${new URL("time.ts", import.meta.url)}";
    ${fullPool(2500)}
    const soon = () => new Promise((resolve) => setTimeout(resolve, 30));
    await soon();
    const [first, itsPeer] = Socket.pair("dgram");
    const closed = first.receive().catch((error) => error.name);
    await soon();
    first.close();
    itsPeer.close();
    const [left, right] = Socket.pair("dgram");
    const received = left.receive();
    await soon();
    right.trySend(new Uint8Array(3));
    console.log(await closed, (await assertWithin(500, received)).byteLength);
    Deno.exit(0);
  `);
  assertEquals(output, "BadResource 3", errors);
});

test("calls that never have to wait let a timer tick, those that fail as well", FFI, async (t) => {
  /** Makes a call again and again, until a timer of 10 ms has ticked ten times, or did not in 2 s. */
  async function assertLetsTick(call: () => Promise<unknown>): Promise<void> {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 10);
    for (const since = performance.now(); ticks < 10 && performance.now() - since < 2000;) await call();
    clearInterval(timer);
    assertEquals(ticks, 10);
  }
  await t.step("waitAll", async () => {
    const [left, right] = Socket.pair();
    using _pair = both([left, right]);
    const buffer = new Uint8Array(64);
    await assertLetsTick(() => {
      right.trySend(buffer);
      return left.receive(buffer, { waitAll: true });
    });
  });
  await t.step("datagrams that do not fit", async () => {
    using pair = await udpPair();
    const [data, buffer] = [new Uint8Array(64), new Uint8Array(8)];
    await assertLetsTick(async () => {
      pair[0].trySend(data);
      assertEquals((await outcome(pair[1].receive(buffer)) as { code: string }).code, "EMSGSIZE");
    });
  });
  await t.step("connect() of UDP", async () => {
    using pair = await udpPair();
    const address = pair[1].localAddr!;
    await assertLetsTick(() => pair[0].connect(address));
  });
  await t.step("connect() of unix streams", async () => {
    using listener = Socket.open("unix", "stream");
    listener.bind({ path: "" });
    listener.listen();
    const address = listener.localAddr!;
    await assertLetsTick(async () => {
      using client = Socket.open("unix", "stream");
      await client.connect(address);
      listener.tryAccept()!.close();
    });
  });
});

test("a revoke of ffi rejects waits that begin, and no call that is over", PROGRAM, async () => {
  const { output, errors } = await runProgram(`
    const [left, right] = Socket.pair("dgram");
    Deno.permissions.revokeSync({ name: "ffi" });
    const waited = await left.receive().then(() => "received", (error) => error.name);
    let received = 0;
    // Long enough for the runtime's own sockets to be given their turn, many times.
    for (const since = performance.now(); performance.now() - since < 100;) {
      right.trySend(new Uint8Array(1));
      received += (await left.receive()).byteLength;
    }
    console.log(waited, received > 64);
  `);
  assertEquals(output, "NotCapable true", errors);
});
