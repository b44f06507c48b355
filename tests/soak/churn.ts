// Sockets that close between being listed and being tuned, in Workers and in this isolate at once: how many rounds ended
// how, and in each isolate how often a socket had what was meant for it, and for another. Run by ../soak_test.ts.
import { SO_COOKIE, TCP_USER_TIMEOUT } from "../../options/mod.ts";
import { listSockets, Socket, type SocketInfo } from "../../socket/mod.ts";

const WORKERS = 2;
/** Sockets that each isolate has at a time. */
const OPEN = 8;

/** A value that is meant for one socket alone: no other of this run has its cookie. */
function markOf(socket: Socket | SocketInfo): number {
  return Number(SO_COOKIE.get(socket) & 0x7fff_ffffn) || 1;
}

/** Closes sockets and opens new ones, which get their numbers. */
class Churn {
  readonly #open: Socket[] = [];
  /** Of the sockets that were closed, how many had their own mark, and how many another's. */
  readonly #right: Int32Array;
  readonly #wrong: Int32Array;

  constructor(counts: Int32Array, isolate: number) {
    this.#right = counts.subarray(2 * isolate, 2 * isolate + 1);
    this.#wrong = counts.subarray(2 * isolate + 1, 2 * isolate + 2);
  }

  turn(): void {
    const count = 1 + Math.floor(Math.random() * OPEN);
    for (const socket of this.#open.splice(0, count)) {
      const found = TCP_USER_TIMEOUT.get(socket);
      if (found !== 0) (found === markOf(socket) ? this.#right : this.#wrong)[0]!++;
      socket.close();
    }
    while (this.#open.length < OPEN) this.#open.push(Socket.open("inet", "stream"));
  }

  end(): void {
    for (const socket of this.#open.splice(0)) socket.close();
  }
}

/** What a Worker has besides; this program is its own Worker. */
type Scope = { postMessage(message: unknown): void } & EventTarget;

function worker(): void {
  const scope = self as unknown as Scope;
  let going = true;
  scope.addEventListener("message", async (event) => {
    const { data } = event as MessageEvent;
    if (data === "end") return void (going = false);
    const churn = new Churn(data.counts, data.isolate);
    while (going) {
      for (let i = 0; i < 200; i++) churn.turn();
      await new Promise((resolve) => setTimeout(resolve));
    }
    churn.end();
    scope.postMessage("ended");
  });
}

/** Lists the sockets, lets some of them go, and tunes them all. */
function round(churn: Churn, outcomes: { tuned: number; closed: number }): void {
  const listed: [SocketInfo, number][] = [];
  for (const one of listSockets({ type: "stream", state: "close" })) {
    try {
      listed.push([one, markOf(one)]);
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
  churn.turn();
  for (const [one, mark] of listed) {
    try {
      TCP_USER_TIMEOUT.set(one, mark);
      outcomes.tuned++;
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
      outcomes.closed++;
    }
  }
}

async function main(rounds: number): Promise<void> {
  const counts = new Int32Array(new SharedArrayBuffer(2 * 4 * (WORKERS + 1)));
  const workers = Array.from({ length: WORKERS }, (_, i) => {
    const worker = new Worker(`${import.meta.url}?worker`, { type: "module" });
    worker.postMessage({ counts, isolate: i + 1 });
    return worker;
  });
  const churn = new Churn(counts, 0);
  const outcomes = { tuned: 0, closed: 0 };
  const right = () => Array.from(counts).filter((_, i) => i % 2 === 0);
  const wrong = () => Array.from(counts).filter((_, i) => i % 2 === 1);
  // Until all have seen enough: a Worker takes its time to start.
  while (outcomes.tuned + outcomes.closed < rounds || right().some((count) => count < 20)) {
    round(churn, outcomes);
    await new Promise((resolve) => setTimeout(resolve));
  }
  churn.end();
  await Promise.all(workers.map((worker) => {
    worker.postMessage("end");
    return new Promise((resolve) => worker.onmessage = resolve);
  }));
  for (const worker of workers) worker.terminate();
  console.log(JSON.stringify({ ...outcomes, right: right(), wrong: wrong() }));
}

if (import.meta.url.endsWith("?worker")) worker();
else await main(Number(Deno.args[0]));
