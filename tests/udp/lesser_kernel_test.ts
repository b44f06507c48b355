// Kernels that can do less, and paths that refuse what the kernel can: the datagrams that arrive are the same everywhere.
// What such a kernel is: lesser_kernel.ts. Refusals that the kernel at hand can be brought to: batch_test.ts.
import { assert, assertEquals } from "@std/assert";
import { test } from "../needs.ts";
import { type LesserKernel, on } from "./lesser_kernel.ts";
import { OTHER_PROGRAM, runWith } from "./other_program.ts";

/** What each datagram must be: its number, its length, and the hop limit that tells the second half from the first. */
const LENGTHS = [
  ...Array(300).fill(60),
  59,
  ...[100, 100, 0, 0, 100, 7, 7, 3],
  ...Array(20).fill(1200),
  65_507,
  ...Array(70).fill(1000),
];

/** Sends all that by every call there is, receives it by every call there is, and prints what came. */
const PROGRAM = `
  const lengths = ${JSON.stringify(LENGTHS)};
  const hostname = "127.0.0.1";
  const signal = AbortSignal.timeout(20_000);
  const data = (i) => {
    const all = new Uint8Array(lengths[i]).fill(i);
    if (all.length > 1) all.set([i & 255, i >> 8]);
    return all;
  };
  const numberOf = (bytes) => bytes.length < 2 ? -1 : bytes[0] | bytes[1] << 8;
  for (const gro of [false, true]) {
    using receiver = udp.bindUdp({ hostname, gro, receiveBufferSize: 4_000_000, metadata: ["hopLimit"] });
    const remoteAddr = receiver.addr;
    const batchOf = (settings) => {
      const batch = new udp.DatagramBatch();
      for (let i = 0; i < lengths.length; i++) batch.add(data(i), settings);
      return batch;
    };
    const sends = {
      sendBatch: (sender) => sender.sendBatch(batchOf({ remoteAddr, hopLimit: 9 })),
      trySendBatch: (sender) => sender.trySendBatch(batchOf({ remoteAddr, hopLimit: 9 })),
      parts: async (sender) => {
        const batch = batchOf({ remoteAddr, hopLimit: 9 });
        let sent = await sender.sendBatch(batch, { end: 131 });
        sent += await sender.sendBatch(batch, { start: 131 });
        if (batch.sent !== lengths.length - 131) throw new Error("sent is " + batch.sent);
        return sent;
      },
      connected: async (sender) => {
        sender.connect(remoteAddr);
        return await sender.sendBatch(batchOf({ hopLimit: 9 }));
      },
      array: (sender) => sender.sendBatch(lengths.map((_, i) => ({ data: data(i), remoteAddr, hopLimit: 9 }))),
    };
    const receives = {
      receiveBatch: async (all) => {
        const batch = new udp.DatagramBatch();
        const count = await receiver.receiveBatch(batch, { signal });
        for (let i = 0; i < count; i++) {
          all.push([numberOf(batch.data(i)), batch.byteLength(i), batch.metadata(i, "hopLimit")]);
        }
      },
      receiveMessage: async (all) => {
        const { data, hopLimit } = await receiver.receiveMessage({ signal });
        all.push([numberOf(data), data.length, hopLimit]);
      },
      receive: async (all) => {
        const [data] = await receiver.receive(undefined, { signal });
        all.push([numberOf(data), data.length, 9]);
      },
    };
    let most = 0;
    for (const [send, sendAll] of Object.entries(sends)) {
      for (const [receive, receiveSome] of Object.entries(receives)) {
        using sender = udp.bindUdp({ hostname, sendBufferSize: 4_000_000 });
        most = Math.max(most, sender.capabilities.maxSegments);
        const sent = await sendAll(sender);
        const all = [];
        while (all.length < lengths.length) await receiveSome(all);
        const right = all.every(([number, length, hopLimit], i) =>
          length === lengths[i] && hopLimit === 9 && number === (length < 2 ? -1 : i)
        );
        if (sent !== lengths.length || !right || receiver.tryReceive() !== null) {
          console.log(send, receive, sent, JSON.stringify(all));
        }
      }
    }
    console.log(gro, most);
  }
  console.log(JSON.stringify(globalThis.told ?? null));`;

interface Told {
  readonly trains: number;
  readonly refused: number;
}

/** Runs it on such a kernel: every datagram must arrive, once, in order. Tells what the kernel was asked for. */
async function assertSame(kernel: LesserKernel, segments: number): Promise<Told> {
  const output = (await runWith(["-A"], `${on(kernel)}${PROGRAM}`)).split("\n");
  assertEquals(output.slice(0, -1), [`false ${segments}`, `true ${segments}`]);
  return JSON.parse(output.at(-1)!);
}

test("a kernel of 64 segments gets trains of 64, and nothing is lost or sent twice", OTHER_PROGRAM, async () => {
  const { trains, refused } = await assertSame({ segments: 64 }, 64);
  assert(trains > 0);
  // It was asked once.
  assertEquals(refused, 1);
});

test("a kernel that refuses segments is sent single datagrams", OTHER_PROGRAM, async () => {
  const { trains, refused } = await assertSame({ segments: 1 }, 1);
  assertEquals([trains, refused], [0, 2]);
});

test(
  "a kernel that takes no notice of segments is sent no trains, which would be one datagram",
  OTHER_PROGRAM,
  async () => {
    assertEquals(await assertSame({ ignores: true }, 1), { trains: 0, refused: 0 } as Told);
  },
);

test("where there is no sendmmsg or no recvmmsg, loops do the same", OTHER_PROGRAM, async () => {
  const both = await assertSame({ lacks: ["sendmmsg", "recvmmsg"] }, 128);
  assert(both.trains > 0, "loops send trains too");
  await assertSame({ lacks: ["sendmmsg", "recvmmsg"], segments: 1 }, 1);
});

test("calls that take or give a part of what was asked for are made again from there", OTHER_PROGRAM, async () => {
  await assertSame({ messages: 3 }, 128);
  // Single datagrams in place of a train, too.
  await assertSame({ messages: 3, refuses: { after: 1, errno: 5 } }, 128);
  const { refused } = await assertSame({ lacks: ["sendmmsg"], refuses: { after: 1, errno: 5 } }, 128);
  assert(refused > 0);
});

test("a path that refuses trains after it took some gets the rest as single datagrams", OTHER_PROGRAM, async () => {
  // EIO, EINVAL, EOPNOTSUPP, ENOPROTOOPT
  for (const [errno, after] of [[5, 0], [5, 1], [5, 2], [22, 1], [95, 1], [92, 1]] as const) {
    const { refused } = await assertSame({ refuses: { after, errno } }, 128);
    assert(refused > 0);
  }
});

test("a path that refuses trains keeps another destination of the batch from nothing", OTHER_PROGRAM, async () => {
  const output = await runWith(
    ["-A"],
    `using one = udp.bindUdp({ hostname: "127.0.0.1", port: 0, receiveBufferSize: 4_000_000 });
     using two = udp.bindUdp({ hostname: "127.0.0.1", port: 0, receiveBufferSize: 4_000_000 });
     const network = (port) => (port & 255) << 8 | port >> 8;
     ${on({ refuses: { after: 0, errno: 5 } })}
     kernel.refuses.port = network(two.addr.port);
     using sender = udp.bindUdp({ hostname: "127.0.0.1" });
     const batch = new udp.DatagramBatch();
     for (let i = 0; i < 400; i++) batch.add(new Uint8Array(40).fill(i), { remoteAddr: Math.floor(i / 50) % 2 ? two.addr : one.addr });
     console.log(await sender.sendBatch(batch), batch.sent);
     for (const [which, receiver] of [one, two].entries()) {
       const seen = [];
       for (let got = receiver.tryReceive(); got !== null; got = receiver.tryReceive()) seen.push(got[0][0]);
       const wanted = Array.from({ length: 400 }, (_, i) => i).filter((i) => Math.floor(i / 50) % 2 === which);
       console.log(seen.join() === wanted.map((i) => i & 255).join());
     }`,
  );
  assertEquals(output.split("\n"), ["400 400", "true", "true"]);
});

test(
  "a receive that is forbidden each time is an error, and keeps nobody else from running",
  OTHER_PROGRAM,
  async () => {
    const output = await runWith(
      ["-A"],
      // EACCES: also what a router says, of an earlier datagram.
      `${on({ denies: 13 })}
     using socket = udp.bindUdp({ hostname: "127.0.0.1" });
     const batch = new udp.DatagramBatch();
     const code = (error) => console.log(error.code);
     for (const call of ["tryReceive", "tryReceiveBatch"]) try { socket[call](call === "tryReceive" ? undefined : batch) } catch (error) { code(error) }
     for (const call of ["receive", "receiveMessage"]) await socket[call]().catch(code);
     await socket.receiveBatch(batch).catch(code);
     await socket[Symbol.asyncIterator]().next().catch(code);
     using connected = await udp.connectUdp({ hostname: "127.0.0.1", port: socket.addr.port });
     await connected.receive().catch(code);
     // Each may be a report of an earlier datagram, which ends no loop.
     setTimeout(() => connected.close(), 20);
     for await (const _ of connected);
     console.log("closed");`,
    );
    assertEquals(output.split("\n"), [...Array(7).fill("EACCES"), "closed"]);
  },
);

test(
  "a batch is sent where no other socket can be opened, and by trains as soon as one can",
  OTHER_PROGRAM,
  async () => {
    const output = await runWith(
      ["-A"],
      `${on({})}
     using socket = udp.bindUdp({ hostname: "127.0.0.1" });
     const batch = new udp.DatagramBatch();
     for (let i = 0; i < 9; i++) batch.add(new Uint8Array(9), { remoteAddr: socket.addr });
     kernel.full = true;
     console.log(await socket.sendBatch(batch), globalThis.told.trains);
     kernel.full = false;
     console.log(await socket.sendBatch(batch, { start: 1 }), globalThis.told.trains);
     for (let i = 0; i < 17; i++) if (socket.tryReceive()[0].length !== 9) throw new Error("another length");
     console.log(socket.tryReceive());`,
    );
    // One of them is that by which the kernel is asked.
    assertEquals(output.split("\n"), ["9 0", "8 2", "null"]);
  },
);
