// How many UDP datagrams a second each runtime sends over loopback, and what processor time one takes.
// Receiving: udp_receive.ts. Who takes part: contestants.ts. Into a socket that nobody reads, so that senders alone count.
import { Comparison, contestants, type Demand, sends, trainOf, type Way } from "./contestants.ts";
import { type Answer, compiled, peer } from "./harness.ts";

const SECONDS = 0.25;
/** Destinations in turn where datagrams are to go out as single ones, in one call. */
const DESTINATIONS = 16;
const MESSAGES = 1024;
/** Destinations in turn of single datagrams. */
const PEERS = 64;

const TURN = `${DESTINATIONS} destinations in turn`;

const WAYS = {
  cSingle: { who: "c", what: "`sendto`", how: "single" },
  cTurn: { who: "c", what: `\`sendto\`, ${PEERS} destinations in turn`, how: "single" },
  cBatch: { who: "c", what: `\`sendmmsg\`, ${TURN}`, how: "mmsg" },
  cTrains: { who: "c", what: "GSO, its size an option of the socket", how: "gso" },
  cTold: { who: "c", what: "GSO, its size in control messages", how: "told" },
  try: { who: "berkeley", what: "`trySend`", how: "try" },
  turn: { who: "berkeley", what: `\`trySend\`, ${PEERS} destinations in turn`, how: "turn" },
  await: { who: "berkeley", what: "`await send`", how: "await" },
  batch: { who: "berkeley", what: `\`sendBatch\`, ${TURN}`, how: "batch" },
  trains: { who: "berkeley", what: "`sendBatch`, one destination (GSO)", how: "gso" },
  filled: { who: "berkeley", what: "the same, filled anew each time", how: "filled" },
  bun: { who: "bun", what: "`send`", how: "single" },
  bunMany: { who: "bun", what: `\`sendMany\`, ${TURN}`, how: "many" },
  node: { who: "node", what: "`send`", how: "single" },
  deno: { who: "deno", what: "`await send`", how: "single" },
  dgram: { who: "dgram", what: "`send`", how: "single" },
  python: { who: "python", what: "`sendto`", how: "single" },
} as const satisfies Record<string, Way & { readonly how: string }>;

type Name = keyof typeof WAYS;

const SIZES: readonly (readonly [bytes: number, ways: readonly Name[]])[] = [
  [64, Object.keys(WAYS) as Name[]],
  [512, ["cTrains", "trains", "deno"]],
  [1_200, ["cSingle", "cBatch", "cTrains", "cTold", "try", "batch", "trains", "bun", "bunMany", "deno"]],
  [8_192, ["cSingle", "cTrains", "try", "trains", "deno"]],
];

const DEMANDS: readonly Demand<Name>[] = [
  { bytes: 64, what: "batch", beside: "cBatch", limit: { ratioAtLeast: 0.95 } },
  { bytes: 64, what: "batch", beside: "deno", limit: { ratioAtLeast: 3 } },
  { bytes: 64, what: "batch", beside: "bunMany", limit: { ratioAtLeast: 1 } },
  { bytes: 64, what: "trains", beside: "cTrains", limit: { ratioAtLeast: 0.9 } },
  { bytes: 64, what: "trains", beside: "cTold", limit: { ratioAtLeast: 0.9 } },
  { bytes: 64, what: "trains", beside: "deno", limit: { ratioAtLeast: 10 } },
  { bytes: 1_200, what: "trains", beside: "cTrains", limit: { ratioAtLeast: 0.9 } },
  { bytes: 1_200, what: "trains", beside: "cTold", limit: { ratioAtLeast: 0.9 } },
  { bytes: 1_200, what: "trains", beside: "deno", limit: { ratioAtLeast: 10 } },
  { bytes: 64, what: "try", beside: "cSingle", limit: { ratioAtLeast: 0.85 } },
  { bytes: 64, what: "try", beside: "deno", limit: { ratioAtLeast: 2.3 } },
  { bytes: 64, what: "await", beside: "deno", limit: { ratioAtLeast: 2.2 } },
];

async function main(): Promise<Answer> {
  const all = await contestants();
  const sender = await compiled("udp_send");
  const sink = await peer("udp_receive", "sink");
  const [port] = await sink.numbers();
  const comparison = new Comparison(WAYS);
  for (const [bytes, ways] of SIZES) {
    await comparison.run("Sending datagrams", bytes, ways, "deno", (way) => {
      const { who, how } = WAYS[way];
      if (who === "c") {
        const many = how === "gso" || how === "told" ? trainOf(bytes) : how === "mmsg" ? MESSAGES : 1;
        const destinations = way === "cTurn" ? PEERS : way === "cBatch" ? DESTINATIONS : 1;
        return () => sends([sender, how, port!, bytes, many, SECONDS, destinations]);
      }
      const command = all[who];
      return command && (() => sends([...command, "send", how, port!, bytes, SECONDS]));
    });
  }
  await sink.stop();
  comparison.demand("Sending: what must be reached", DEMANDS);
  const others = { node: "node", deno: "deno", dgram: "dgram", python: "python" } as const;
  return {
    tables: comparison.tables,
    summary: [
      comparison.summary("sent one at a time", 64, { berkeley: "try", c: "cSingle", bun: "bun", ...others }),
      comparison.summary("sent many at a time", 64, { berkeley: "trains", c: "cTrains", bun: "bunMany", ...others }),
    ],
  };
}

console.log(JSON.stringify(await main()));
