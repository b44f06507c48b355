// Sockets that nobody closes: what V8's collection does for them, and what a process without descriptors is told.
// That memory stays flat over many rounds: ../soak_test.ts.
import { assertEquals } from "@std/assert";
import { PROGRAM, runProgram, test } from "./make.ts";

/** Code that lets V8 collect all that nobody has, and finalisers run. */
const COLLECT = `
  async function collected(until: () => boolean, rounds = 300) {
    for (let i = 0; i < rounds && !until(); i++) {
      (globalThis as unknown as { gc(): void }).gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return until();
  }
  function isOpen(fd: number) {
    try {
      return Deno.readLinkSync("/proc/self/fd/" + fd).startsWith("socket:");
    } catch {
      return false;
    }
  }`;
const GC = { env: { DENO_V8_FLAGS: "--expose-gc" } };

test("a forgotten socket is closed by a collection, its number free for the next one", PROGRAM, async () => {
  const { output, errors } = await runProgram(
    `${COLLECT}
    function forget() {
      const socket = Socket.open("inet", "dgram");
      socket.bind({ hostname: "127.0.0.1", port: 0 });
      return [socket.fd, socket.localAddr!.port];
    }
    const [fd, port] = forget();
    const before = isOpen(fd);
    const closed = await collected(() => !isOpen(fd));
    const next = Socket.open("inet", "dgram");
    next.bind({ hostname: "127.0.0.1", port });
    console.log(before, closed, next.fd === fd, next.localAddr!.port === port);
    // The finaliser of the former owner of the number has run: the next one stays.
    await collected(() => false, 20);
    console.log(isOpen(next.fd));
  `,
    GC,
  );
  assertEquals(output, "true true true true\ntrue", errors);
});

test("a socket that is waited for, closed or detached is not closed by a collection", PROGRAM, async () => {
  const { output, errors } = await runProgram(
    `${COLLECT}
    function forget() {
      const waiting = Socket.open("inet", "dgram");
      waiting.bind({ hostname: "127.0.0.1", port: 0 });
      const received = waiting.receive();
      const detached = Socket.open("inet", "dgram").detach();
      const closed = Socket.open("inet", "dgram");
      const number = closed.fd;
      closed.close();
      return { fd: waiting.fd, address: waiting.localAddr!, received, detached, number };
    }
    const { fd, address, received, detached, number } = forget();
    const reused = Socket.open("inet", "stream");
    await collected(() => false, 20);
    console.log(isOpen(fd), isOpen(detached), reused.fd === number, isOpen(reused.fd));
    Socket.open("inet", "dgram").trySendTo(new Uint8Array(3), address);
    console.log((await received).byteLength);
  `,
    GC,
  );
  assertEquals(output, "true true true true\n3", errors);
});

test(
  "a forgotten connection, a received descriptor and a socket of asConn() are closed by a collection",
  PROGRAM,
  async () => {
    const { output, errors } = await runProgram(
      `${COLLECT}
    async function forget() {
      const [left, right] = Socket.pair();
      const conn = left.asConn();
      conn.readable;
      const [a, b] = Socket.pair("dgram");
      await a.sendMessage({ data: new Uint8Array(1), control: [{ name: "SCM_RIGHTS", descriptors: [right] }] });
      const { control } = await b.receiveMessage();
      const received = control[0]!.name === "SCM_RIGHTS" ? control[0]!.descriptors[0] as { fd: number } : null;
      return [right.fd, a.fd, b.fd, received!.fd];
    }
    const fds = await forget();
    const before = fds.every(isOpen);
    console.log(before, await collected(() => !fds.some(isOpen)));
  `,
      GC,
    );
    assertEquals(output, "true true", errors);
  },
);

test("Socket.open() without a descriptor left says EMFILE and to close sockets, and works again when some are", {
  ...PROGRAM,
  run: ["prlimit"],
}, async () => {
  const { output, errors } = await runProgram(`
    await new Deno.Command("prlimit", { args: ["--pid", String(Deno.pid), "--nofile=200"] }).output();
    const held: Socket[] = [];
    let error: { name: string; code: string; syscall: string; message: string } | undefined;
    try {
      for (;;) held.push(Socket.open("inet", "dgram"));
    } catch (thrown) {
      error = thrown as typeof error;
    }
    console.log(error!.code, error!.syscall, held.length > 50 && held.length < 200);
    console.log(error!.message);
    for (const call of [() => Socket.pair(), () => held[0]!.dup()]) {
      try {
        call();
      } catch (thrown) {
        console.log((thrown as typeof error)!.code, (thrown as typeof error)!.message.includes("close sockets"));
      }
    }
    held.pop()!.close();
    Socket.open("inet", "dgram").close();
    console.log("again");
  `);
  assertEquals(
    output,
    'EMFILE socket true\nCannot open a socket of family "inet" and type "dgram": EMFILE (too many open files); the ' +
      "process has as many open files as it may: close sockets that are not needed, an idle program collects none\n" +
      "EMFILE true\nEMFILE true\nagain",
    errors,
  );
});

test(
  "a forgotten owner of a number that another owner closed leaves the next one of that number alone",
  PROGRAM,
  async () => {
    const { output, errors } = await runProgram(
      `${COLLECT}
    const first = Socket.open("inet", "dgram");
    const fd = first.fd;
    let owners = 2;
    const registry = new FinalizationRegistry(() => owners--);
    (() => registry.register(Socket.adopt(fd), 0))();
    first.close();
    const next = Socket.open("inet", "dgram");
    next.bind({ hostname: "127.0.0.1", port: 0 });
    const waiting = next.receive().then((data) => data.byteLength, (error) => error.message);
    const gone = await collected(() => owners === 1);
    // The finaliser of the socket itself runs in the same round, or the next.
    await collected(() => false, 5);
    console.log(gone, next.fd === fd, isOpen(fd));
    Socket.open("inet", "dgram").trySendTo(new Uint8Array(3), next.localAddr!);
    console.log(await waiting);
    Deno.exit(0);
  `,
      GC,
    );
    assertEquals(output, "true true true\n3", errors);
  },
);

test("a wait that begins without a descriptor left rejects with EMFILE, keeps none, and works again when some are", {
  ...PROGRAM,
  run: ["prlimit"],
}, async () => {
  const { output, errors } = await runProgram(`
    await new Deno.Command("prlimit", { args: ["--pid", String(Deno.pid), "--nofile=100"] }).output();
    const [left, right] = Socket.pair("dgram");
    const held: Socket[] = [];
    const take = () => {
      try {
        for (;;) held.push(left.dup());
      } catch (error) {
        return error.code;
      }
    };
    const full = take();
    const receive = () => left.receive(undefined, { signal: AbortSignal.timeout(5000) })
      .then((data) => data.byteLength, (error) => error.code + " of " + error.syscall);
    console.log(full, await receive());
    // Enough for the first of two.
    held.pop()!.close();
    for (let i = 0; i < 3; i++) console.log(await receive());
    const before = held.length;
    take();
    console.log(held.length - before);
    for (const one of held) one.close();
    const received = receive();
    right.trySend(new Uint8Array(7));
    console.log(await received);
    Deno.exit(0);
  `);
  assertEquals(
    output,
    "EMFILE EMFILE of epoll_create1\n" + "EMFILE of eventfd\n".repeat(3) + "1\n7",
    errors,
  );
});
