// One UDP port served by one socket per core: Workers bind the same port with `reusePort`, and the kernel shares the
// datagrams out. By itself it goes by the address of the peer; here a classic BPF program decides, by the first byte of each
// datagram, so that what belongs together goes to one Worker. Without flags clients of this program ask, over loopback.
//
//   deno task example:udp_workers
//   deno task example:udp_workers --listen                 in one terminal, and in another
//   printf '2hello' | socat - UDP4:127.0.0.1:7777
import { SO_ATTACH_REUSEPORT_CBPF } from "@berkeley/sockets/options";
import { bindUdp, DatagramBatch } from "@berkeley/sockets/udp";
import { parseArgs } from "@std/cli/parse-args";
import { quit, unknownFlag, wholeNumber } from "./flags.ts";

const HELP =
  `Serves one UDP port by one socket per core, each in a Worker of its own. Without flags: with clients, over loopback.

  --listen         serve 127.0.0.1 and --port until it is stopped; the first byte of a datagram chooses the Worker
  --port PORT      port (default 7777 with --listen, else 0)
  --workers COUNT  how many (default: one per core, 2 at least)
  --help           print this`;

/** What the Workers are told. */
interface Task {
  readonly port: number;
  readonly number: number;
  readonly workers: number;
}

/** What a Worker says and hears; the types of the main program know nothing of it. */
interface WorkerScope {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent<Task>) => void) | null;
}

const scope = "WorkerGlobalScope" in globalThis ? globalThis as unknown as WorkerScope : null;

/**
 * Picks a Worker by the first byte of the payload: A = byte[0]; A = A mod count; return A. The number that the program
 * returns is that of the socket in the order in which they were bound.
 */
function steering(workers: number): { code: number; jt: number; jf: number; k: number }[] {
  return [
    { code: 0x30, jt: 0, jf: 0, k: 0 }, // ldb [0]
    { code: 0x94, jt: 0, jf: 0, k: workers }, // mod #workers
    { code: 0x16, jt: 0, jf: 0, k: 0 }, // ret a
  ];
}

/** What a Worker does: answers whole batches at once, each datagram to its sender. */
async function serve({ port, number, workers }: Task, scope: WorkerScope): Promise<void> {
  using socket = bindUdp({ hostname: "127.0.0.1", port, reusePort: true });
  // The last to bind says for all of them how datagrams are shared out.
  if (number === workers - 1) SO_ATTACH_REUSEPORT_CBPF.set(socket, steering(workers));
  scope.postMessage({ port: socket.addr.port });
  const mark = "0".charCodeAt(0) + number;
  for await (const batch of socket.batches({ batch: new DatagramBatch({ maxDatagramSize: 2048 }) })) {
    for (let i = 0; i < batch.length; i++) {
      // The answer is the question, marked by who answers.
      if (batch.byteLength(i) > 0) batch.bytes[batch.byteOffset(i)] = mark;
    }
    await socket.sendBatch(batch);
  }
}

/** Starts the Workers one after the other, so that their sockets are bound in their order. */
async function start(port: number, workers: number): Promise<{ port: number; all: Worker[] }> {
  const all: Worker[] = [];
  for (let number = 0; number < workers; number++) {
    const worker = new Worker(import.meta.url, { type: "module" });
    all.push(worker);
    const bound = new Promise<number>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data.port);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
    });
    worker.postMessage({ port, number, workers });
    port = await bound;
  }
  return { port, all };
}

/** Asks each Worker, from sockets of many ports: who answers goes by the first byte, not by them. */
async function ask(port: number, workers: number): Promise<void> {
  const answered = new Map<number, number>();
  for (let i = 0; i < 8 * workers; i++) {
    using client = bindUdp({ hostname: "127.0.0.1" });
    await client.send(new Uint8Array([i % workers, 1, 2, 3]), { hostname: "127.0.0.1", port });
    const [data] = await client.receive(undefined, { signal: AbortSignal.timeout(2_000) });
    const number = data[0]! - "0".charCodeAt(0);
    if (number !== i % workers) quit(`Worker ${number} has answered instead of Worker ${i % workers}`, 1);
    answered.set(number, (answered.get(number) ?? 0) + 1);
  }
  for (const [number, count] of answered) console.log(`Worker ${number} answered ${count} datagrams`);
}

async function main(): Promise<void> {
  const flags = parseArgs(Deno.args, {
    boolean: ["help", "listen"],
    string: ["port", "workers"],
    unknown: unknownFlag,
  });
  const port = wholeNumber("--port", flags.port, 0, 65535) ?? (flags.listen ? 7777 : 0);
  const workers = wholeNumber("--workers", flags.workers, 1, 64) ?? Math.max(2, navigator.hardwareConcurrency);
  if (flags.help) return console.log(HELP);
  const started = await start(port, workers);
  console.log(`${workers} Workers serve 127.0.0.1:${started.port}`);
  if (flags.listen) return;
  await ask(started.port, workers);
  // What a Worker leaves open stays open until the program ends, which is now.
  for (const worker of started.all) worker.terminate();
}

if (scope !== null) scope.onmessage = ({ data }) => void serve(data, scope);
else await main().catch((error) => quit(error.message, 1));
