// deno run --watch: what a program holds is given back when it starts anew, in the same process.
// What its end gives back: close_test.ts.
import { assert } from "@std/assert";
import { PROGRAM, sleep, test, unusedPort } from "./make.ts";

const RESTARTS = 10;

test(
  "a watched program binds its ports anew at each restart, and leaves no thread and no socket",
  PROGRAM,
  async () => {
    const root = new URL("../../", import.meta.url);
    const folder = await Deno.makeTempDir();
    const file = `${folder}/watched.ts`;
    const port = unusedPort("stream");
    const program = (run: number) =>
      Deno.writeTextFile(
        file,
        `import { poll, Poller, Socket } from "${new URL("socket/mod.ts", root)}";
      const address = { hostname: "127.0.0.1", port: ${port} };
      const udp = Socket.open("inet", "dgram");
      udp.bind(address);
      const tcp = Socket.open("inet", "stream");
      tcp.bind(address);
      tcp.listen();
      const poller = new Poller();
      poller.add(udp, { readable: true });
      poller.wait();
      poll([{ socket: tcp, readable: true }]);
      udp.receive();
      tcp.accept();
      setTimeout(() => console.log("run ${run} waits"), 20);
      `,
      );
    await program(0);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--watch", "--no-check", "--config", new URL("deno.json", root).pathname, "-A", file],
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let errors = "";
    const complaints = (async () => {
      for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) errors += part;
    })();
    const late = setTimeout(() => child.kill("SIGKILL"), 100_000);
    const threads = () => [...Deno.readDirSync(`/proc/${child.pid}/task`)].length;
    const sockets = () => {
      const targets = [...Deno.readDirSync(`/proc/${child.pid}/fd`)].map(({ name }) => {
        try {
          return Deno.readLinkSync(`/proc/${child.pid}/fd/${name}`);
        } catch {
          return "";
        }
      });
      return targets.filter((target) => /^socket:|\[event(poll|fd)\]/.test(target)).length;
    };
    /** Threads of Deno's own come and go: the fewest of a while count. */
    const fewest = async (count: () => number) => {
      let least = Infinity;
      for (let i = 0; i < 30; i++) {
        least = Math.min(least, count());
        await sleep(10);
      }
      return least;
    };
    const seen: [threads: number, descriptors: number][] = [];
    try {
      const lines = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
      let printed = "";
      for (let run = 0; run <= RESTARTS; run++) {
        while (!printed.includes(`run ${run} waits\n`)) {
          const { value, done } = await lines.next();
          assert(!done, `run ${run} did not wait: ${errors}`);
          printed += value;
        }
        seen.push([await fewest(threads), await fewest(sockets)]);
        if (run < RESTARTS) await program(run + 1);
      }
    } finally {
      clearTimeout(late);
      child.kill("SIGKILL");
      await child.status;
      await complaints;
      await Deno.remove(folder, { recursive: true });
    }
    console.log(`threads and descriptors of each run: ${seen.join(" ")}`);
    // Threads of Deno's pool come and go; a call that stays parked would be one at each of the other restarts.
    const most = [0, 1].map((which) => Math.max(...seen.slice(0, 3).map((counts) => counts[which]!)));
    const [threadsAfter, socketsAfter] = seen.at(-1)!;
    assert(threadsAfter <= most[0]! + RESTARTS / 2, `${threadsAfter} threads`);
    // Deno opens a pair of sockets for signals after a while.
    assert(socketsAfter <= most[1]! + 2, `${socketsAfter} descriptors`);
  },
);
