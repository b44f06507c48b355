// Importing the library opens nothing, asks for nothing, and refuses by naming the flag; seen from another process.
// What each refusal looks like where it is thrown is tested in its room.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "./needs.ts";

const CONFIG = new URL("../deno.json", import.meta.url).pathname;
const MOD = new URL("../mod.ts", import.meta.url).href;

async function run(program: string, ...flags: string[]): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--config",
      CONFIG,
      ...flags,
      "-",
    ],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(program));
  await writer.close();
  const { stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return text.decode(stdout) + text.decode(stderr);
}

const NEEDS = { run: [], read: true, env: true } as const;

test("importing everything works with no flags at all", NEEDS, async () => {
  const out = await run(`
    const sockets = await import(${JSON.stringify(MOD)});
    console.log(sockets.listOptions().length > 200, sockets.TCP_NODELAY.supported);
  `);
  assertEquals(out, "true true\n");
});

test(
  "importing everything opens no library and asks about no permission",
  NEEDS,
  async () => {
    const out = await run(`
    for (const name of ["query", "querySync", "request", "requestSync"]) {
      Deno.permissions[name] = () => { throw new Error("asked for a permission") };
    }
    Deno.dlopen = () => { throw new Error("opened a library") };
    await import(${JSON.stringify(MOD)});
    console.log("imported");
  `);
    assertEquals(out, "imported\n");
  },
);

test("to() asks nobody anything, not even for the interfaces that a value names", NEEDS, async () => {
  const out = await run(`
    const options = await import(${JSON.stringify(MOD)});
    const four = { group: "239.1.2.3", source: "10.0.0.9", mode: "include", sources: [], interface: "lo" };
    const six = { group: "ff02::1:2%lo", interface: "lo" };
    const values = {
      SO_BINDTODEVICE: "lo", SO_BINDTOIFINDEX: 1, IP_UNICAST_IF: 1, IPV6_UNICAST_IF: 1, IPV6_MULTICAST_IF: 1,
      SO_ATTACH_FILTER: [{ code: 6, jt: 0, jf: 0, k: 0 }], PACKET_ADD_MEMBERSHIP: { interface: "lo", type: "promiscuous" },
      IPV6_JOIN_GROUP: six, IPV6_JOIN_ANYCAST: { group: "2001:db8::1", interface: "lo" },
      ...Object.fromEntries(Object.keys(options).filter((name) => /^(IP_(ADD|DROP)_.*MEMBERSHIP|IP_(UN)?BLOCK_SOURCE|MCAST_.*)$/.test(name)).map((name) => [name, four])),
    };
    for (const [name, value] of Object.entries(values)) options[name].to(value);
    console.log(Object.keys(values).length);
  `);
  assertEquals(out, "22\n");
});

test("importing everything decodes the source maps of short files alone", {
  run: ["strace"],
  read: true,
  env: true,
  linux: true,
}, async () => {
  const strace = new Deno.Command("strace", {
    args: ["-f", "-qq", "-e", "trace=openat", Deno.execPath(), "run", "--no-config", MOD],
  });
  // The first run writes what it compiled; the second opens that once to run it, and once more for its map.
  await strace.output();
  const { stderr } = await strace.output();
  const opened = [...new TextDecoder().decode(stderr).matchAll(/"([^"]+\.ts\.js)"/g)].map(([, path]) => path!);
  const again = opened.filter((path, i) => opened.indexOf(path) < i).map((path) => path.split("/").at(-1)!);
  assert(opened.length > 90, `${opened.length} compiled files were opened`);
  assertEquals(again.toSorted(), ["files.ts.js", "mod.ts.js"]);
});

test(
  "an option without --allow-ffi is refused with the flag's name",
  NEEDS,
  async () => {
    const out = await run(
      `
    const { SO_KEEPALIVE } = await import(${JSON.stringify(MOD)});
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    try { SO_KEEPALIVE.get(listener) } catch (error) { console.log(error.name, error.message) }
  `,
      "--allow-net",
    );
    assertMatch(
      out,
      /^NotCapable Cannot read SO_KEEPALIVE: Requires ffi access .*--allow-ffi/,
    );
  },
);

test("an option works with the C library's path as the only grant", {
  ...NEEDS,
  linux: true,
}, async () => {
  const path = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
  ]
    .find((candidate) => {
      try {
        return Deno.statSync(candidate).isFile;
      } catch {
        return false;
      }
    });
  const out = await run(
    `
    const { SO_KEEPALIVE } = await import(${JSON.stringify(MOD)});
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    console.log(SO_KEEPALIVE.get(listener), SO_KEEPALIVE.set(listener, true));
  `,
    "--allow-net",
    `--allow-ffi=${path}`,
  );
  assertEquals(out, "false true\n");
});
