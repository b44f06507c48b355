// Whether receiving a group is as fast as receiving what is sent to a socket alone, by the same calls over loopback.
// UDP beside other runtimes: udp_receive.ts. What is to be received is there already, so that no sender is measured.
import { listenMulticast } from "../multicast/mod.ts";
import { SO_RCVBUFFORCE } from "../options/mod.ts";
import { bindUdp, DatagramBatch, type UdpSocket } from "../udp/mod.ts";
import { interleaved, microseconds, type Row, type Table } from "./harness.ts";

const LOCAL = "127.0.0.1";
const GROUP = "239.0.0.77";
const BYTES = 64;
/** Datagrams that are there. */
const COUNT = 1024;
const SLICES = 60;

/** What a `MulticastSocket` always tells of a datagram, which the kernel has to write down. */
const TOLD = ["localAddr", "interfaceIndex"] as const;

/** Ways to receive so many datagrams, by a socket of `bindUdp` that tells as much, or nothing. */
const WAYS: readonly {
  what: string;
  gro: boolean;
  metadata?: typeof TOLD;
  drain: (socket: UdpSocket) => Promise<void>;
}[] = [
  {
    what: "`await receive`",
    gro: false,
    async drain(socket) {
      const into = new Uint8Array(BYTES + 1);
      for (let i = 0; i < COUNT; i++) await socket.receive(into);
    },
  },
  { what: "`receiveBatch`", gro: false, drain: drainInBatches },
  { what: "`receiveBatch`", gro: false, metadata: TOLD, drain: drainInBatches },
  { what: "`receiveBatch` with `gro`", gro: true, drain: drainInBatches },
];

const batch = new DatagramBatch({ maxDatagramSize: BYTES + 1 });

async function drainInBatches(socket: UdpSocket): Promise<void> {
  for (let count = 0; count < COUNT;) count += await socket.receiveBatch(batch);
}

/** Millions of datagrams a second by a call; they are sent before the time begins. */
function measure(sender: UdpSocket, receiver: UdpSocket, drain: (socket: UdpSocket) => Promise<void>) {
  const sent = new DatagramBatch();
  const data = new Uint8Array(BYTES);
  for (let i = 0; i < COUNT; i++) sent.add(data, { remoteAddr: receiver.addr });
  return async () => {
    await sender.sendBatch(sent);
    const start = performance.now();
    await drain(receiver);
    return 1 / microseconds(start, COUNT);
  };
}

async function main(): Promise<Table> {
  const rows: Row[] = [];
  using sender = bindUdp({ multicast: { interface: LOCAL } });
  for (const { what, gro, metadata, drain } of WAYS) {
    using alone = bindUdp({ hostname: LOCAL, gro, metadata: metadata ?? [] });
    using member = await listenMulticast({ group: GROUP, port: 0, interface: LOCAL, gro });
    for (const one of [alone, member]) SO_RCVBUFFORCE.set(one, 4_000_000);
    const measures = { unicast: measure(sender, alone, drain), group: measure(sender, member, drain) };
    // Compilers are done by then.
    for (let i = 0; i < 100; i++) for (const one of Object.values(measures)) await one();
    const { unicast, group } = await interleaved(measures, SLICES);
    rows.push({
      what: `${what} of a \`MulticastSocket\``,
      values: group,
      unit: "M/s",
      peer: { name: `of \`bindUdp\`${metadata ? " with the same metadata" : ""}, sent to it alone`, values: unicast },
      limit: { ratioAtLeast: 0.95 },
    });
  }
  return { title: `Receiving a group, datagrams of ${BYTES} bytes that wait`, rows };
}

console.log(JSON.stringify(await main()));
