// How long a UDP round trip over loopback takes in each runtime, to a C program that echoes.
// Trips among many sockets, and of TCP: reactor.ts, socket.ts. Who takes part: contestants.ts.
import { type Contestants, contestants, SHOWN } from "./contestants.ts";
import { type Answer, compiled, echo, type Measure, measured, median, rounds, type Row, start } from "./harness.ts";

const BYTES = 64;
const TRIPS = 8_000;

type Who = keyof typeof SHOWN;
/** The middle one, and what 99 in a hundred stay below. */
type Trip = readonly [middle: number, late: number];

async function trip(command: readonly (string | number)[]): Promise<Trip> {
  const client = start(measured(command));
  const [middle, late] = await client.numbers();
  await client.stop();
  return [middle!, late!];
}

async function main(): Promise<Answer> {
  const all = await contestants();
  const client = await compiled("udp_trip");
  const { udp: port, stop } = await echo();
  const measures: Partial<Record<Who, Measure<Trip>>> = { c: () => trip([client, port, BYTES, TRIPS]) };
  for (const who of Object.keys(all) as (keyof Contestants)[]) {
    const command = all[who];
    if (command !== null) measures[who] = () => trip([...command, "trip", port, BYTES, TRIPS]);
  }
  const seen: Partial<Record<Who, Trip[][]>> = await rounds(measures as Record<Who, Measure<Trip>>);
  await stop();
  const figures = (who: Who, which: 0 | 1) => (seen[who] ?? []).map(([one]) => one![which]);
  const whos = Object.keys(SHOWN) as Who[];
  const row = (who: Who, which: 0 | 1, beside: Who, limit?: Row["limit"]): Row => ({
    what: `${SHOWN[who]}, ${which === 0 ? "the middle one" : "99 in a hundred"}`,
    values: figures(who, which),
    unit: "µs",
    ...(who !== beside && { peer: { name: SHOWN[beside], values: figures(beside, which) } }),
    ...(limit && { limit }),
  });
  const middle = (who: Who) => [who, seen[who] === undefined ? null : median(figures(who, 0))];
  return {
    tables: [
      {
        title: `UDP round trips of ${BYTES} bytes`,
        rows: whos.flatMap((who) => [row(who, 0, "deno"), row(who, 1, "deno")]),
      },
      {
        title: "Round trips: what must be reached",
        rows: [row("berkeley", 0, "c", { ratioAtMost: 1 }), row("berkeley", 1, "deno", { ratioAtMost: 1 })],
      },
    ],
    summary: [{
      what: `round trip of ${BYTES} bytes`,
      unit: "µs",
      of: Object.fromEntries(whos.map(middle)),
    }],
  };
}

console.log(JSON.stringify(await main()));
