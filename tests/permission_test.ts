// Sockets made by FFI are granted and refused what Deno's own calls are, under the same flags; and grants are not remembered too long.
// The other side of the table, which asks Deno and the library in a process of its own: permission/subject.ts.
import {
  checkDestination,
  checkNet,
  checkResolved,
  checkUnix,
  checkUnixDestination,
  checkVsock,
  checkWholeDestination,
  checkWholeNet,
  forgetGrants,
  isGranted,
} from "../internal/permission.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "./needs.ts";
import type { Answer, Question } from "./permission/subject.ts";

const SUBJECT = new URL("./permission/subject.ts", import.meta.url).href;
const PERMISSION = new URL("../internal/permission.ts", import.meta.url).href;

/** Runs a program with these flags and no others, nobody there to be asked; gives what it prints. */
async function run(args: string[], cwd?: string): Promise<string> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--no-check", "--no-config", "--unstable-net", "--unstable-vsock", ...args],
    env: { NO_COLOR: "1" },
    ...(cwd === undefined ? {} : { cwd }),
  }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`${args.join(" ")}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}

/** Runs a module that imports the file under test. */
function runModule(flags: string[], code: string): Promise<string> {
  const module = `import * as permission from ${JSON.stringify(PERMISSION)};\n${code}`;
  return run([...flags, `data:application/typescript,${encodeURIComponent(module)}`]);
}

/** What a set of flags lets through, by Deno's calls and ours alike. */
interface Row {
  flags: string[];
  granted?: Question[];
  refused?: Question[];
  /** No host at all, which is found out before anybody looks it up. */
  malformed?: Question[];
  /** Where they are known to differ: granted by Deno, refused here. */
  stricter?: Question[];
  /** Where they are known to differ: refused by Deno, granted here. */
  laxer?: Question[];
}

async function hold(rows: Row[], cwd?: string): Promise<void> {
  const results = await Promise.allSettled(rows.map(async ({ flags, ...expected }) => {
    const { granted = [], refused = [], malformed = [], stricter = [], laxer = [] } = expected;
    const questions = [...granted, ...refused, ...malformed, ...stricter, ...laxer];
    const answers = JSON.parse(await run([...flags, SUBJECT, JSON.stringify(questions)], cwd)) as Answer[];
    for (const [i, question] of questions.entries()) {
      const [deno, ours] = answers[i]!;
      const said = `${flags.join(" ")}: ${question.join(" ")}: Deno says ${deno}; the library says ${ours}`;
      const kinds = answers[i]!.map((one) => /^Requires (net|read|write|all) access/.test(one) ? "refused" : one);
      if (granted.includes(question)) assertEquals(kinds, ["granted", "granted"], said);
      if (refused.includes(question)) {
        assertEquals(kinds, ["refused", "refused"], said);
        // In Deno's own words; names that no rule can name apart.
        if (!String(question[1]).startsWith("\0")) assertEquals(ours, deno, said);
      }
      if (malformed.includes(question)) assertEquals(kinds, ["malformed", "malformed"], said);
      if (stricter.includes(question)) assertEquals(kinds, ["granted", "refused"], said);
      if (laxer.includes(question)) assertEquals(kinds, ["refused", "granted"], said);
    }
  }));
  // All have ended by now; no process outlives its test.
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

const NEEDS = { run: [], read: true, env: true } as const;

test("hosts and ports are granted and refused as by Deno.connect, listen and listenDatagram", NEEDS, async () => {
  await hold([
    {
      flags: [],
      refused: [
        ["connect", "127.0.0.1", 1],
        ["connect", "localhost", 1],
        ["connect", "LocalHost.", 1],
        ["connect", "unix", 1],
        ["connect", "vsock", 1],
        ["connect", "127.0.0.0/8", 1],
        ["listen", "0.0.0.0", 0],
        ["listen", "::", 0],
        ["listen", "::1", 0],
        ["listen", "[::1]", 0],
        ["listen", "0:0::1", 0],
        ["listen", "::1%lo", 0],
        ["datagram", "::ffff:127.0.0.1", 0],
      ],
      malformed: [
        ["connect", "", 1],
        ["connect", "a b", 1],
        ["connect", "::g", 1],
        ["connect", "[127.0.0.1]", 1],
        ["connect", "[::1", 1],
        ["connect", "127.0.0.1.", 1],
        ["connect", "127.0.0.1:1", 1],
        ["connect", "unix:/tmp/x", 1],
        ["connect", "http://localhost", 1],
      ],
    },
    {
      flags: ["--allow-net"],
      granted: [
        ["connect", "127.0.0.1", 1],
        ["connect", "127.1", 1],
        ["listen", "127.0.0.2", 0],
        ["listen", "[::1]", 0],
        ["datagram", "0.0.0.0", 0],
        ["send", "127.0.0.1", 1],
      ],
    },
    {
      flags: ["--deny-net"],
      refused: [["connect", "127.0.0.1", 1], ["listen", "localhost", 0], ["datagram", "::1", 0]],
    },
    {
      flags: ["--allow-net=127.0.0.1:0,127.0.0.1:1"],
      granted: [
        ["connect", "127.0.0.1", 1],
        ["connect", "::ffff:127.0.0.1", 1],
        ["listen", "127.0.0.1", 0],
        ["datagram", "127.0.0.1", 0],
        ["send", "127.0.0.1", 1],
      ],
      refused: [
        ["connect", "127.0.0.1", 2],
        ["connect", "127.1", 1],
        ["connect", "localhost", 1],
        ["listen", "127.0.0.2", 0],
        ["listen", "0.0.0.0", 0],
        ["datagram", "127.0.0.1", 2],
        ["send", "127.0.0.1", 2],
        ["send", "127.0.0.2", 1],
      ],
    },
    {
      flags: ["--allow-net=localhost,127.0.0.2"],
      granted: [["connect", "localhost", 1], ["connect", "LOCALHOST", 1], ["listen", "127.0.0.2", 0]],
      refused: [["connect", "127.0.0.1", 1], ["listen", "127.0.0.1", 0], ["connect", "a.localhost", 1]],
    },
    {
      flags: ["--allow-net=[::1]:1"],
      granted: [["connect", "::1", 1], ["connect", "[::1]", 1], ["connect", "0:0:0:0:0:0:0:1", 1]],
      refused: [["connect", "::1", 2], ["connect", "127.0.0.1", 1], ["listen", "::", 1]],
    },
    {
      flags: ["--allow-net=[::ffff:127.0.0.1]"],
      granted: [["connect", "127.0.0.1", 1], ["connect", "::ffff:7f00:1", 1]],
      refused: [["connect", "127.0.0.2", 1]],
    },
    // Names that need no server to be resolved: what inet_aton reads as an address is a name to Deno.
    {
      flags: ["--allow-net=*.1"],
      granted: [["connect", "127.1", 1], ["listen", "127.1", 0]],
      refused: [["connect", "127.0.0.1", 1], ["connect", "2130706433", 1]],
    },
    {
      flags: ["--allow-net=127.0.0.0/31"],
      granted: [["connect", "127.0.0.1", 1], ["listen", "127.0.0.1", 0], ["connect", "::ffff:127.0.0.1", 1]],
      refused: [["connect", "127.0.0.2", 1], ["listen", "127.0.0.2", 0], ["connect", "127.1", 1]],
    },
    {
      flags: ["--allow-net", "--deny-net=127.0.0.2,[::1]:1"],
      granted: [["connect", "127.0.0.1", 1], ["connect", "::1", 2], ["listen", "0.0.0.0", 0]],
      refused: [["connect", "127.0.0.2", 1], ["listen", "127.0.0.2", 0], ["connect", "::1", 1], [
        "send",
        "127.0.0.2",
        1,
      ]],
      malformed: [["connect", "a b", 1]],
    },
    {
      flags: ["--allow-net", "--deny-net=*.localhost"],
      granted: [["connect", "127.0.0.1", 1]],
      refused: [["connect", "a.localhost", 1], ["connect", "A.B.localhost.", 1]],
    },
  ]);
});

test("a name is refused when it resolves to a denied address", NEEDS, async () => {
  await hold([
    {
      flags: ["--allow-net", "--deny-net=127.0.0.1"],
      granted: [["listen", "127.0.0.2", 0]],
      refused: [["connect", "127.1", 1], ["connect", "2130706433", 1], ["listen", "127.1", 0], [
        "datagram",
        "127.1",
        0,
      ]],
    },
    {
      flags: ["--allow-net=127.1", "--deny-net=127.0.0.0/8:1"],
      granted: [["connect", "127.1", 2]],
      refused: [["connect", "127.1", 1]],
    },
    {
      flags: ["--allow-net=127.1", "--deny-net"],
      refused: [["connect", "127.1", 1]],
    },
    {
      flags: ["--allow-net=127.1,127.0.0.1:0", "--deny-net=127.0.0.1:1"],
      granted: [["send", "127.1", 2]],
      refused: [["send", "127.1", 1]],
    },
  ]);
});

test("a deny of an address weighs more than a grant of it", NEEDS, async () => {
  await hold([
    {
      flags: ["--allow-net=127.0.0.1:1", "--deny-net=127.0.0.1"],
      refused: [["connect", "127.0.0.1", 1], ["connect", "127.0.0.1", 2]],
      // Deno's second check, of the resolved address, forgets to unmap it.
      stricter: [["connect", "::ffff:127.0.0.1", 1]],
    },
    {
      flags: ["--allow-net=127.0.0.1:1,127.0.0.2", "--deny-net=127.0.0.0/8:1"],
      granted: [["connect", "127.0.0.2", 2]],
      refused: [["connect", "127.0.0.2", 1]],
    },
    { flags: ["--allow-net=127.0.0.1:1", "--deny-net=127.0.0.1:1"], refused: [["connect", "127.0.0.1", 1]] },
    { flags: ["--allow-net=127.0.0.0/8", "--deny-net=127.0.0.1"], refused: [["connect", "127.0.0.1", 1]] },
    { flags: ["--allow-net=127.0.0.0/8", "--deny-net=127.0.0.0/8"], refused: [["connect", "127.0.0.1", 1]] },
    // The query stops at the grant, and there is nothing else to ask.
    { flags: ["--allow-net=127.0.0.1", "--deny-net=127.0.0.0/8"], laxer: [["connect", "127.0.0.1", 1]] },
  ]);
});

test("unix paths are granted and refused as by Deno's calls", { ...NEEDS, write: true, linux: true }, async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await Deno.mkdir(`${folder}/real`);
    await Deno.symlink("real", `${folder}/link`);
    const at = (name: string) => `${folder}/${name}`;
    const all: Question[] = [
      ["unix connect", at("a")],
      ["unix listen", at("b")],
      ["unix datagram", at("c")],
      ["unix connect", "a"],
      ["unix connect", at("real/../a")],
    ];
    const abstract: Question[] = [["unix connect", "\0@berkeley/sockets"]];
    await hold([
      { flags: [], refused: [...all, ...abstract, ["unix listen", "/dev/shm/x"]] },
      { flags: ["--allow-net"], refused: all, granted: abstract },
      { flags: ["--allow-read", "--allow-net"], refused: all },
      { flags: ["--allow-write", "--allow-net"], refused: all },
      { flags: ["--allow-read", "--allow-write"], refused: [...all, ...abstract] },
      { flags: ["--allow-read", "--allow-write", "--allow-net=127.0.0.1"], refused: [...all, ...abstract] },
      {
        flags: ["--allow-read", "--allow-write", "--allow-net"],
        granted: [...all, ...abstract],
        refused: [["unix listen", "/dev/shm/../shm/x"], ["unix connect", "/proc/self/x"]],
      },
      { flags: ["-A"], granted: [...all, ["unix connect", "/dev/shm/@berkeley"]] },
      {
        flags: [`--allow-read=${at("a")}`, `--allow-write=${at("a")}`, `--allow-net=unix:${at("a")}`],
        granted: [all[0]!, all[3]!, all[4]!, ["unix connect", `${folder}//./a`], ["unix connect", at("link/../a")]],
        refused: [all[1]!, all[2]!, ["unix connect", at("real/a")], ["unix connect", at("link/a")]],
      },
      // A folder is no grant for what lies in it.
      { flags: ["--allow-read", "--allow-write", `--allow-net=unix:${folder}`], refused: all },
      {
        flags: [`--allow-read=${folder}`, `--allow-write=${folder}`, `--allow-net=unix:${at("link/a")}`],
        granted: [["unix connect", at("link/a")]],
        refused: [["unix connect", at("real/a")]],
      },
      {
        flags: ["--allow-read", "--allow-write", "--allow-net", `--deny-net=unix:${at("a")}`],
        granted: [all[1]!, ["unix connect", at("link/a")]],
        refused: [all[0]!, all[3]!, all[4]!],
        // Deno knows no rule that could deny them.
        stricter: abstract,
      },
      {
        flags: ["--allow-read", `--deny-read=${at("a")}`, "--allow-write", `--deny-write=${at("b")}`, "--allow-net"],
        granted: [all[2]!],
        refused: [all[0]!, all[1]!, all[3]!],
      },
      // A part denied below the path is of no matter.
      {
        flags: [
          "--allow-read",
          `--deny-read=${at("a/b")}`,
          "--allow-write",
          `--deny-write=${at("a/b")}`,
          "--allow-net",
        ],
        granted: [all[0]!],
      },
    ], folder);
    // What is sent to is written, not read. One after the other: each binds the sender.
    await hold([
      {
        flags: [`--allow-read=${at("sender")}`, `--allow-write=${folder}`, `--deny-write=${at("b")}`, "--allow-net"],
        granted: [["unix send", at("a")], ["unix send", "\0@berkeley/sockets"]],
        refused: [["unix send", at("b")], ["unix connect", at("a")]],
      },
    ], folder);
    await hold([
      {
        flags: ["--allow-read", "--allow-write", `--allow-net=unix:${at("sender")},unix:${at("a")}`],
        granted: [["unix send", at("a")], ["unix send", "a"]],
        refused: [["unix send", at("b")], ["unix send", "\0@berkeley/sockets"]],
      },
    ], folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test(
  "vsock contexts and ports are granted and refused as by Deno.connect and listen",
  { ...NEEDS, linux: true },
  async () => {
    // Nothing is connected where that is granted: on some machines the host would answer.
    const one: Question = ["vsock listen", -1, 45_001];
    const two: Question = ["vsock listen", -1, 45_002];
    const host: Question[] = [["vsock connect", 2, 45_001], ["vsock connect", 3, 45_001]];
    await hold([
      { flags: [], refused: [one, two, ...host] },
      { flags: ["--deny-net"], refused: [one, ...host] },
      { flags: ["--allow-net=127.0.0.1,localhost:45001"], refused: [one, ...host] },
    ]);
    // One after the other: each binds the port.
    await hold([{ flags: ["--allow-net"], granted: [one, two] }]);
    await hold([
      { flags: ["--allow-net=vsock:4294967295:45001,vsock:2:45002"], granted: [one], refused: [two, ...host] },
    ]);
    await hold([{ flags: ["--allow-net", "--deny-net=vsock:2:45001"], granted: [one, two], refused: [host[0]!] }]);
  },
);

test("checkWholeNet() wants all of net, and a part is not enough", NEEDS, async () => {
  const code =
    `try { permission.checkWholeNet("Cannot open"); console.log("granted") } catch (e) { console.log(String(e)) }`;
  const words = "NotCapable: Cannot open: Requires net access, run again with the --allow-net flag";
  assertEquals(await runModule(["--allow-net"], code), "granted\n");
  assertEquals(await runModule([], code), `${words}\n`);
  assertEquals(await runModule(["--allow-net=127.0.0.1"], code), `${words}\n`);
  assertEquals(await runModule(["--deny-net"], code), `${words}\n`);
  assertEquals(
    await runModule(["--allow-net", "--deny-net=127.0.0.1"], code),
    `${words}; --deny-net withholds a part, and this needs all of it\n`,
  );
});

test("a revoke is seen after 1,000 sends, or in the next turn of the event loop", NEEDS, async () => {
  for (
    const [grant, revoke] of [
      ["--allow-net", `{ name: "net" }`],
      ["--allow-net=127.0.0.1", `{ name: "net", host: "127.0.0.1" }`],
    ]
  ) {
    for (const key of [`"one"`, `Uint8Array.of(2, 0, 0, 53, 127, 0, 0, 1)`]) {
      const out = await runModule(
        [grant!],
        `
        const key = ${key};
        const send = () => permission.checkDestination(key, "127.0.0.1", 53, "Cannot send");
        const refused = () => { try { send(); return false } catch (e) { return e.name === "NotCapable" } };
        send();
        Deno.permissions.revokeSync(${revoke});
        let sent = 1;
        while (sent < 5_000 && !refused()) sent++;
        console.log(sent <= 1_000, refused());
      `,
      );
      assertEquals(out, "true true\n", `${grant} ${key}`);
    }
    const out = await runModule(
      [grant!],
      `
      const send = () => permission.checkDestination("one", "127.0.0.1", 53, "Cannot send");
      send();
      Deno.permissions.revokeSync(${revoke});
      await new Promise((resolve) => setImmediate(resolve));
      try { send(); console.log("sent") } catch (e) { console.log(e.name) }
    `,
    );
    assertEquals(out, "NotCapable\n", grant);
  }
});

test("asking for ever new destinations takes no memory", NEEDS, async () => {
  const out = await runModule(
    ["--allow-net=127.0.0.0/8", "--v8-flags=--expose-gc"],
    `
    function ask(from) {
      for (let i = from; i < from + 30_000; i++) {
        permission.checkDestination("to " + i, \`127.\${i >> 16}.\${i >> 8 & 255}.\${i & 255}\`, 53, "Cannot send");
      }
      gc();
      return Deno.memoryUsage().heapUsed;
    }
    const before = ask(0);
    const grown = ask(30_000) - before;
    // Deno's own notes would be 380 bytes a question, two questions a destination.
    console.log(grown / 30_000 < 50 ? "no" : grown / 30_000);
  `,
  );
  assertEquals(out, "no\n");
});

test("checkDestination() costs less than an eighth of asking Deno when the destination is known", NEEDS, async () => {
  const out = await runModule(
    ["--allow-net=127.0.0.1,[::1]"],
    `
    const bytes = new Uint8Array(28).map((_, i) => i);
    function time(key, host) {
      const start = performance.now();
      for (let i = 0; i < 2_000; i++) permission.checkDestination(key, host, 53, "Cannot send");
      return (performance.now() - start) / 2_000;
    }
    function timeOfDeno(host) {
      const start = performance.now();
      for (let i = 0; i < 100; i++) Deno.permissions.querySync({ name: "net", host });
      return (performance.now() - start) / 100;
    }
    for (const [key, host] of [["127.0.0.1 53", "127.0.0.1"], [bytes.subarray(0, 16), "127.0.0.1"], [bytes, "::1"]]) {
      // The best of many short runs, so that a machine with other things to do does not matter.
      let [best, deno] = [Infinity, Infinity];
      for (let i = 0; i < 500; i++) {
        best = Math.min(best, time(key, host));
        deno = Math.min(deno, timeOfDeno(host.includes(":") ? "[::1]:53" : "127.0.0.1:53"));
      }
      console.log(best < deno / 8 ? "fast" : best + " of " + deno + " ms");
    }
  `,
  );
  assertEquals(out, "fast\nfast\nfast\n");
});

/** Puts answers of our own in Deno's place and notes what was asked; nothing is left over. */
function answering(state: (host: string | undefined) => Deno.PermissionState): { asked: string[] } & Disposable {
  const { querySync, requestSync } = Deno.permissions;
  const asked: string[] = [];
  const say = (how: string) => (descriptor: Deno.PermissionDescriptor) => {
    const { host } = descriptor as Deno.NetPermissionDescriptor;
    const what = `${how} ${descriptor.name}${host === undefined ? "" : ` ${host}`}`;
    asked.push(what);
    const answer = state(host);
    return {
      state: how === "request" && answer === "prompt" ? "denied" : answer,
      partial: false,
    } as Deno.PermissionStatus;
  };
  Object.assign(Deno.permissions, { querySync: say("query"), requestSync: say("request") });
  forgetGrants();
  return {
    asked,
    [Symbol.dispose]: () => {
      Object.assign(Deno.permissions, { querySync, requestSync });
      forgetGrants();
    },
  };
}

const DOING = "Cannot send";
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test("a known destination is asked for once a turn", {}, async () => {
  using deno = answering((host) => host === undefined ? "prompt" : "granted");
  for (const key of ["127.0.0.1 53", Uint8Array.of(2, 0, 0, 53, 127, 0, 0, 1)]) {
    for (let turn = 0; turn < 3; turn++) {
      deno.asked.length = 0;
      for (let i = 0; i < 10; i++) checkDestination(key, "127.0.0.1", 53, DOING);
      assertEquals(deno.asked, [
        "query net",
        "query net 127.0.0.1:53",
        "query net 127.0.0.1:53",
        "query net 127.0.0.1",
      ]);
      await nextTurn();
    }
  }
});

test("one grant of everything serves all destinations of a turn", {}, async () => {
  using deno = answering(() => "granted");
  for (let i = 0; i < 100; i++) checkDestination(`127.0.0.${i} 53`, `127.0.0.${i}`, 53, DOING);
  assertEquals(deno.asked, ["query net"]);
  await nextTurn();
  assertEquals(isGranted("127.0.0.1 53"), false);
});

test("a destination that no rule can name is asked for once a turn", {}, async () => {
  using deno = answering(() => "granted");
  for (let turn = 0; turn < 2; turn++) {
    deno.asked.length = 0;
    for (let i = 0; i < 10; i++) checkWholeDestination(DOING);
    assertEquals(new Set(deno.asked), new Set(["query net"]));
    assert(deno.asked.length < 4, deno.asked.join());
    await nextTurn();
  }
});

test("a destination is asked for again after 1,000 sends, new ones counted", {}, () => {
  using deno = answering((host) => host === undefined ? "prompt" : "granted");
  for (let i = 0; i < 1_000; i++) checkDestination("one", "localhost", 53, DOING);
  assertEquals(deno.asked, ["query net", "query net localhost:53"]);
  checkDestination("one", "localhost", 53, DOING);
  assertEquals(deno.asked.length, 4);

  forgetGrants();
  for (let i = 0; i < 5_000; i++) checkDestination(`to ${i}`, "localhost", 53, DOING);
  let known = 0;
  for (let i = 0; i < 5_000; i++) if (isGranted(`to ${i}`)) known++;
  assert(known <= 1_000, `${known} destinations are remembered`);
});

test("a refusal is not remembered", {}, () => {
  let state: Deno.PermissionState = "denied";
  using _ = answering((host) => host === undefined ? "prompt" : state);
  for (const key of ["one", Uint8Array.of(1)]) {
    state = "denied";
    assertThrows(
      () => checkDestination(key, "localhost", 53, DOING),
      Deno.errors.NotCapable,
      `Cannot send: Requires net access to "localhost:53", run again with the --allow-net flag`,
    );
    assertEquals(isGranted(key), false);
    state = "granted";
    checkDestination(key, "localhost", 53, DOING);
    assertEquals(isGranted(key), true);
  }
});

test("destinations that differ in one byte, or in length, are told apart", {}, () => {
  using _ = answering((host) => host === undefined ? "prompt" : "granted");
  const key = crypto.getRandomValues(new Uint8Array(28));
  checkDestination(key, "localhost", 53, DOING);
  for (let i = 0; i < key.length; i++) {
    const other = key.slice();
    other[i]! ^= 1 << i % 8;
    assertEquals(isGranted(other), false, `byte ${i}`);
    assertEquals(isGranted(key.slice(0, i)), false, `the first ${i} bytes`);
  }
  // So many that some fall into the same slot.
  for (let i = 0; i < 50_000; i++) assertEquals(isGranted(crypto.getRandomValues(new Uint8Array(28))), false);
  assertEquals(isGranted(key.slice()), true);
  // The key is copied: what becomes of the caller's bytes changes nothing.
  const grown = new Uint8Array(30);
  grown.set(key);
  assertEquals(isGranted(grown), false);
  const before = key.slice();
  key.fill(0);
  assertEquals([isGranted(before), isGranted(key)], [true, false]);
  // What is longer than a slot is asked for each time, never cut.
  const long = new Uint8Array(33);
  checkDestination(long, "localhost", 53, DOING);
  assertEquals([isGranted(long), isGranted(long.subarray(0, 32)), isGranted(new Uint8Array(0))], [false, false, false]);
});

test("the user is asked where Deno would ask, and only there", {}, () => {
  using deno = answering(() => "prompt");
  const checks: ((mayAsk: boolean) => void)[] = [
    (mayAsk) => checkNet("localhost", 80, DOING, mayAsk),
    (mayAsk) => checkDestination("one", "localhost", 80, DOING, mayAsk),
    (mayAsk) => checkWholeNet(DOING, mayAsk),
    (mayAsk) => checkWholeDestination(DOING, mayAsk),
    (mayAsk) => checkVsock(1, 2, DOING, mayAsk),
    (mayAsk) => checkUnix("/tmp/x", DOING, mayAsk),
    (mayAsk) => checkUnixDestination("/tmp/x", DOING, mayAsk),
  ];
  for (const check of checks) {
    deno.asked.length = 0;
    assertThrows(() => check(false), Deno.errors.NotCapable);
    assertEquals(deno.asked.filter((one) => one.startsWith("request")), []);
    assertThrows(() => check(true), Deno.errors.NotCapable);
    assertEquals(deno.asked.filter((one) => one.startsWith("request")).length, 1);
  }
  // A resolved address need not be granted.
  deno.asked.length = 0;
  checkResolved("127.0.0.1", 80, DOING);
  assertEquals(deno.asked.filter((one) => one.startsWith("request")), []);
});

test("what is granted is never asked for, as that would outlive a revoke", {}, () => {
  using deno = answering((host) => host === undefined ? "prompt" : "granted");
  checkNet("localhost", 80, DOING);
  checkNet("::1", 80, DOING);
  assertEquals(deno.asked.filter((one) => one.startsWith("request")), []);
});

test("addresses are asked for in Deno's notation: brackets, no zone, IPv4 unmapped", {}, () => {
  for (
    const [address, notation] of [
      ["127.0.0.1", "127.0.0.1"],
      ["::ffff:127.0.0.1", "127.0.0.1"],
      ["::FFFF:7f00:1", "127.0.0.1"],
      ["fe80::1%2", "[fe80::1]"],
      ["[fe80::1%eth0]", "[fe80::1]"],
      ["0:0:0::1", "[::1]"],
    ] as const
  ) {
    using deno = answering((host) => host === undefined ? "prompt" : "granted");
    checkResolved(address, 80, DOING);
    assertEquals(deno.asked, ["query net", `query net ${notation}:80`, `query net ${notation}`]);
  }
  using _ = answering((host) => host === undefined ? "prompt" : "granted");
  assertThrows(() => checkResolved("localhost", 80, DOING), SyntaxError, "Cannot send: the host is");
});

test("a Deno that looks at the host more often is asked again, plainly", {}, () => {
  const { querySync } = Deno.permissions;
  const answers: Record<string, Deno.PermissionState> = { "localhost:80": "granted" };
  Deno.permissions.querySync = (descriptor) => {
    const looked = descriptor as Deno.NetPermissionDescriptor;
    if (!("host" in looked)) return { state: "prompt", partial: false } as Deno.PermissionStatus;
    void looked.host;
    const host = looked.host!;
    if (host === "") throw new URIError("invalid empty host: ''");
    return { state: answers[host] ?? "denied", partial: false } as Deno.PermissionStatus;
  };
  try {
    checkNet("localhost", 80, DOING);
    assertThrows(() => checkNet("127.0.0.1", 80, DOING), Deno.errors.NotCapable);
  } finally {
    Deno.permissions.querySync = querySync;
  }
});

test("the path that was checked is the path to use", {}, () => {
  using _ = answering((host) => host === undefined ? "prompt" : "granted");
  const { querySync } = Deno.permissions;
  // Read and write are granted, but not everything, so that paths are looked at.
  Deno.permissions.querySync = (descriptor) =>
    descriptor.name === "read" || descriptor.name === "write"
      ? { state: "granted", partial: false } as Deno.PermissionStatus
      : querySync(descriptor);
  assertEquals(checkUnix("/tmp/./a//b", DOING), "/tmp/./a//b");
  assertEquals(checkUnix("/tmp/link/../a", DOING), "/tmp/a");
  assertEquals(checkUnix("/../../tmp/..a/...", DOING), "/../../tmp/..a/...".replace("/../..", ""));
  assertEquals(checkUnix("a", DOING), "a");
  assertThrows(() => checkUnix("/tmp/a\0/../../b", DOING), TypeError, "must not contain NUL");
  assertEquals(checkUnixDestination("/tmp/link/../a", DOING), "/tmp/a");
  assertEquals(checkUnixDestination("/tmp/link/../a", DOING), "/tmp/a");
});

test("a relative path is asked for each time, as the working directory may have changed", {}, () => {
  using deno = answering((host) => host === undefined ? "prompt" : "granted");
  const { querySync } = Deno.permissions;
  Deno.permissions.querySync = (descriptor) =>
    descriptor.name === "write" ? { state: "granted", partial: false } as Deno.PermissionStatus : querySync(descriptor);
  for (const [path, questions] of [["/tmp/x", 1], ["x", 3]] as const) {
    deno.asked.length = 0;
    for (let i = 0; i < 3; i++) checkUnixDestination(path, DOING);
    assertEquals(deno.asked.filter((one) => one.startsWith("query net unix:/")).length, questions);
  }
});
