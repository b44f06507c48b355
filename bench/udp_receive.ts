// How many UDP datagrams a second each runtime receives over loopback, and what processor time one takes.
// Sending: udp_send.ts. Who takes part: contestants.ts. A C program sends, more than anybody receives.
import { Comparison, contestants, type Demand, receives, trainOf, type Way } from "./contestants.ts";
import { type Answer, compiled } from "./harness.ts";

const SECONDS = 0.25;
/** Datagrams that one call of sendmmsg, or of recvmmsg in C, takes. */
const MESSAGES = 64;
/** Trains that one call of recvmmsg takes in C. */
const TRAINS = 16;

/** How the datagrams come, `gso` unless it is said, and in trains of how many. */
interface Fed extends Way {
  readonly how: string;
  readonly feed?: "gso" | "mmsg";
  readonly train?: number;
}

const FIVE = "five metadata of five control messages";
const THREE = "five metadata of three control messages";

const WAYS = {
  cSingle: { who: "c", what: "`recvfrom`", how: "single" },
  cSingleMmsg: { who: "c", what: "`recvfrom`, sent by `sendmmsg`", how: "single", feed: "mmsg" },
  cBatch: { who: "c", what: "`recvmmsg`", how: "mmsg" },
  cTold: { who: "c", what: "`recvmmsg`, five control messages unread", how: "told" },
  cTrains: { who: "c", what: "GRO", how: "gro" },
  cTrains64: { who: "c", what: "GRO, trains of 64", how: "gro", train: 64 },
  await: { who: "berkeley", what: "`await receive`", how: "await" },
  awaitMmsg: { who: "berkeley", what: "`await receive`, sent by `sendmmsg`", how: "await", feed: "mmsg" },
  awaitTrains: { who: "berkeley", what: "`await receive` with `gro`", how: "gro-await" },
  fresh: { who: "berkeley", what: "`await receive` without a buffer", how: "fresh" },
  try: { who: "berkeley", what: "`tryReceive`", how: "try" },
  batch: { who: "berkeley", what: "`receiveBatch`", how: "batch" },
  trains: { who: "berkeley", what: "`receiveBatch` with `gro`", how: "gro" },
  trains64: { who: "berkeley", what: "`receiveBatch` with `gro`, trains of 64", how: "gro", train: 64 },
  unread: { who: "berkeley", what: `\`receiveBatch\`, ${FIVE} unread`, how: "batch-unread" },
  read: { who: "berkeley", what: `\`receiveBatch\`, ${FIVE} read`, how: "batch-read" },
  threeUnread: { who: "berkeley", what: `\`receiveBatch\`, ${THREE} unread`, how: "batch-three-unread" },
  threeRead: { who: "berkeley", what: `\`receiveBatch\`, ${THREE} read`, how: "batch-three-read" },
  trainsUnread: { who: "berkeley", what: `\`receiveBatch\` with \`gro\`, ${FIVE} unread`, how: "gro-unread" },
  trainsRead: { who: "berkeley", what: `\`receiveBatch\` with \`gro\`, ${FIVE} read`, how: "gro-read" },
  bun: { who: "bun", what: "`data`", how: "single" },
  node: { who: "node", what: '`"message"`', how: "single" },
  deno: { who: "deno", what: "`await receive`", how: "single" },
  denoFresh: { who: "deno", what: "`await receive` without a buffer", how: "fresh" },
  dgram: { who: "dgram", what: '`"message"`', how: "single" },
  python: { who: "python", what: "`recvfrom_into`", how: "single" },
} as const satisfies Record<string, Fed>;

type Name = keyof typeof WAYS;

const SIZES: readonly (readonly [bytes: number, ways: readonly Name[]])[] = [
  [64, Object.keys(WAYS) as Name[]],
  [512, ["cTrains", "trains", "deno"]],
  [1_200, ["cBatch", "cTrains", "await", "batch", "trains", "bun", "deno"]],
  [8_192, ["cTrains", "trains", "deno"]],
];

const DEMANDS: readonly Demand<Name>[] = [
  { bytes: 64, what: "batch", beside: "cBatch", limit: { ratioAtLeast: 0.9 } },
  { bytes: 64, what: "batch", beside: "deno", limit: { ratioAtLeast: 3.2 } },
  { bytes: 64, what: "batch", beside: "bun", limit: { ratioAtLeast: 1.5 } },
  { bytes: 64, what: "trains64", beside: "cTrains64", limit: { ratioAtLeast: 0.85 } },
  { bytes: 64, what: "trains", beside: "cTrains", limit: { ratioAtLeast: 0.85 } },
  { bytes: 64, what: "trains", beside: "deno", limit: { ratioAtLeast: 50 } },
  { bytes: 1_200, what: "trains", beside: "cTrains", limit: { ratioAtLeast: 0.85 } },
  { bytes: 1_200, what: "trains", beside: "deno", limit: { ratioAtLeast: 13 } },
  { bytes: 64, what: "awaitMmsg", beside: "cSingleMmsg", limit: { ratioAtLeast: 0.85 } },
  { bytes: 64, what: "await", beside: "deno", limit: { ratioAtLeast: 2.5 } },
  { bytes: 64, what: "fresh", beside: "denoFresh", limit: { ratioAtLeast: 2.5 } },
  { bytes: 64, what: "awaitTrains", beside: "deno", limit: { ratioAtLeast: 2.5 } },
  { bytes: 64, what: "batch", beside: "cBatch", cpu: true, limit: { ratioAtMost: 1.2 } },
  { bytes: 64, what: "batch", beside: "deno", cpu: true, limit: { ratioAtMost: 0.5 } },
  { bytes: 64, what: "unread", beside: "batch", cpu: true, limit: { ratioAtMost: 1.3 } },
  { bytes: 64, what: "read", beside: "batch", cpu: true, limit: { ratioAtMost: 1.5 } },
  { bytes: 64, what: "cTold", beside: "cBatch", cpu: true, limit: { ratioAtMost: 1.3 } },
  { bytes: 64, what: "threeUnread", beside: "batch", cpu: true, limit: { ratioAtMost: 1.3 } },
  { bytes: 64, what: "threeRead", beside: "batch", cpu: true, limit: { ratioAtMost: 1.5 } },
  { bytes: 64, what: "trainsUnread", beside: "trains", cpu: true, limit: { ratioAtMost: 1.15 } },
  { bytes: 64, what: "trainsRead", beside: "trains", cpu: true, limit: { ratioAtMost: 1.15 } },
];

async function main(): Promise<Answer> {
  const all = await contestants();
  const receiver = await compiled("udp_receive");
  const comparison = new Comparison(WAYS);
  for (const [bytes, ways] of SIZES) {
    await comparison.run("Receiving datagrams", bytes, ways, "deno", (way) => {
      const { who, how, feed = "gso", train }: Fed = WAYS[way];
      const fed = { how: feed, bytes, many: feed === "gso" ? trainOf(bytes, train) : MESSAGES };
      if (who === "c") return () => receives([receiver, how, bytes, SECONDS, how === "gro" ? TRAINS : MESSAGES], fed);
      const command = all[who];
      return command && (() => receives([...command, "receive", how, bytes, SECONDS], fed));
    });
  }
  comparison.demand("Receiving: what must be reached", DEMANDS);
  const others = { bun: "bun", node: "node", deno: "deno", dgram: "dgram", python: "python" } as const;
  return {
    tables: comparison.tables,
    summary: [
      comparison.summary("received one at a time", 64, { berkeley: "await", c: "cSingle", ...others }),
      comparison.summary("received many at a time", 64, { berkeley: "trains", c: "cTrains", ...others }),
    ],
  };
}

console.log(JSON.stringify(await main()));
