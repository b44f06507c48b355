// examples/monitor.ts by itself, in a terminal, and loaded before a program that knows nothing of this library.
// What listSockets() tells: tests/socket/list_test.ts; speed: bench/list.ts.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "../needs.ts";
import { assertSpeaks, example, peer, Program } from "./program.ts";

const DENO = { run: [], linux: true };
const PYTHON = { ...DENO, run: ["python3"] };
const FILES = { ...DENO, read: true, write: true };

interface Line {
  family: string;
  protocol: number;
  state?: string;
  localAddr: { port: number } | null;
  remoteAddr: { port: number } | null;
  rtt?: number;
  inRate?: number;
  outRate?: number;
}

test("examples/monitor.ts --json tells each socket of its server and clients, and what they carry", DENO, async () => {
  await using program = example("monitor", ["--json", "--count", "3", "--interval", "400"]);
  const looks = (await program.succeeded()).trimEnd().split("\n").map((line) => JSON.parse(line).sockets as Line[]);
  assertEquals(looks.length, 3);
  const last = looks[2]!;
  const { localAddr } = last.find(({ state }) => state === "listen")!;
  const clients = last.filter(({ remoteAddr }) => remoteAddr?.port === localAddr!.port);
  const served = last.filter((one) => one.localAddr?.port === localAddr!.port && one.state === "established");
  assertEquals([clients.length, served.length], [2, 2]);
  for (const { rtt } of clients) assert(rtt! > 0);
  // What one end sends a second, the other receives; fetch alone gets more than 100 kB.
  assert(Math.max(...clients.map(({ inRate }) => inRate!)) > 100_000, JSON.stringify(clients));
  assert(Math.max(...served.map(({ outRate }) => outRate!)) > 100_000, JSON.stringify(served));
  assertEquals(last.filter(({ family, protocol }) => family === "inet" && protocol === 17).length, 1);
});

test("examples/monitor.ts prints plain tables where there is no terminal", DENO, async () => {
  await using program = example("monitor", ["--count=2", "--interval=300"]);
  const text = await program.succeeded();
  assert(!text.includes("\x1b"), text);
  assertEquals(text.match(/^\d\d:\d\d:\d\d {2}\d+ sockets of process \d+$/gm)?.length, 2);
  assertEquals(text.match(/^FD SOCKET/gm)?.length, 2);
  assertMatch(text, /^\d+ tcp +listen +127\.0\.0\.1:\d+ - +0 +0$/m);
  assertMatch(text, /^\d+ tcp +established +127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+ .*[▁▂▃▄▅▆▇█]{2}$/m);
});

test("examples/monitor.ts redraws in place in a terminal, and stays within it", PYTHON, async () => {
  const command = [Deno.execPath(), "run", "-N", "--allow-ffi", "--unstable-net", "examples/monitor.ts"];
  const flags = ["--count", "3", "--interval", "300"];
  await using program = new Program("python3", [peer("terminal.py"), "8", "60", ...command, ...flags]);
  const drawn = (await program.succeeded()).replaceAll("\r\n", "\n").split("\r\x1b[J");
  assertEquals(drawn.length, 4);
  for (const [i, one] of drawn.slice(1).entries()) {
    // Up over the lines that stand there, and cleared from there on.
    const up = i < 2 ? "\x1b[7A" : "";
    assert(one.endsWith(`\n${up}`), JSON.stringify(one));
    const lines = one.slice(0, one.length - up.length).trimEnd().split("\n");
    assertEquals(lines.length, 7, one);
    for (const line of lines) assert(line.length <= 60, line);
    assertMatch(lines[6]!, /^and \d+ more$/);
  }
});

const WATCHED = `
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("ok"));
  console.log(await (await fetch("http://127.0.0.1:" + server.addr.port)).text());
  await new Promise((resolve) => setTimeout(resolve, 1000));
  console.log(Deno.args.join());
  server.shutdown();
`;

test(
  "examples/monitor.ts loaded before another program shows its sockets, and leaves it alone otherwise",
  FILES,
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/deno.json`, "{}");
      await Deno.writeTextFile(`${folder}/main.ts`, WATCHED);
      const monitor = new URL("../../examples/monitor.ts", import.meta.url).pathname;
      const run = async (permissions: string[], env: Record<string, string>) => {
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "--no-prompt", ...permissions, "--preload", monitor, "main.ts", "one", "--two"],
          cwd: folder,
          env: { ...env, NO_COLOR: "1" },
        }).output();
        const decoder = new TextDecoder();
        assertEquals([code, decoder.decode(stdout)], [0, "ok\none,--two\n"], decoder.decode(stderr));
        return decoder.decode(stderr);
      };
      const lines = await run(["-A"], { SOCKETS_MONITOR: "--json --interval 400" });
      const sockets: Line[] = JSON.parse(lines.slice(lines.indexOf("{")).split("\n")[0]!).sockets;
      assertEquals(sockets.filter(({ state }) => state === "listen").length, 1);
      assertEquals(sockets.filter(({ state }) => state === "established").length, 2);
      // Without a word in the environment, or the right to read it, as always; without FFI it says so, once.
      assertMatch(await run(["-N", "--allow-ffi"], {}), /^FD SOCKET/m);
      const said = await run(["-N", "-E"], { SOCKETS_MONITOR: "--interval 100" });
      assertEquals(said.match(/No sockets are shown: .*--allow-ffi/g)?.length, 1, said);
      // A flag that means nothing ends no program that is not its own.
      const wrong = await run(["-A"], { SOCKETS_MONITOR: "--intervall 100" });
      assertEquals(wrong, "No sockets are shown: SOCKETS_MONITOR: Unknown flag --intervall; see --help\n");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

test("examples/monitor.ts has help, and names what is wrong", DENO, async () => {
  await assertSpeaks("monitor", [
    [["--interval", "1"], /^Wrong value "1" for --interval: it must be a whole number from 10 to 999999999\n$/],
    [["--count=-1"], /^Wrong value "-1" for --count/],
    [["server.ts"], /^Unknown flag server\.ts; see --help\n$/],
    [["-x"], /^Unknown flag -x; see --help\n$/],
  ], ["--interval", "--count", "--json"]);
  await using program = example("monitor", ["--interval", "100"], ["--allow-net"]);
  const { code, stderr } = await program.ended();
  assertEquals(code, 1);
  assertStringIncludes(stderr, "No sockets are shown: Cannot list sockets: Requires ffi access");
});
