// resolveAddress(): host names and literal addresses, beside python3's getaddrinfo, and with name servers that never answer.
// Reading literal addresses as such: address_test.ts, tests/sockaddr_test.ts.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { resolveAddress } from "../../socket/resolve.ts";
import { type Needs, test } from "../needs.ts";
import { type Program, runArguments, start } from "../udp/other_program.ts";

const LIBC: Needs = { ffi: true, linux: true };

// ---- Literal addresses ----

test("resolveAddress() gives a literal address back at once, as the kernel would write it", {}, async () => {
  const port = 80;
  for (const [given, hostname] of [["127.0.0.1", "127.0.0.1"], ["255.255.255.255", "255.255.255.255"]] as const) {
    assertEquals(await resolveAddress(given, { port }), [{ family: "inet", hostname, port }]);
    assertEquals(await resolveAddress(given, { port, family: "inet" }), [{ family: "inet", hostname, port }]);
  }
  for (
    const [given, hostname] of [
      ["::1", "::1"],
      ["0:0:0::1", "::1"],
      ["2001:DB8::A", "2001:db8::a"],
      ["::ffff:1.2.3.4", "::ffff:1.2.3.4"],
      ["fe80::1%258", "fe80::1%258"],
    ] as const
  ) {
    assertEquals(await resolveAddress(given), [{ family: "inet6", hostname, port: 0 }]);
    assertEquals(await resolveAddress(given, { family: "inet6" }), [{ family: "inet6", hostname, port: 0 }]);
  }
});

test("resolveAddress() makes a number of a zone's name", LIBC, async () => {
  assertEquals(await resolveAddress("fe80::1%lo"), [{ family: "inet6", hostname: "fe80::1%1", port: 0 }]);
  await assertRejects(() => resolveAddress("fe80::1%nosuch"), Deno.errors.NotFound, 'there is no interface "nosuch"');
  await assertRejects(() => resolveAddress("::1%lo"), TypeError, "it must be without a zone");
});

// ---- What is wrong at first sight ----

test(
  "resolveAddress() refuses text that is neither a host name nor an address, without asking anybody",
  {},
  async () => {
    const addresses = [
      "127.1",
      "1.2.3",
      "2130706433",
      "0x7f.0.0.1",
      "0x7f000001",
      "010.0.0.1",
      "1.2.3.4.",
      "a.1",
      "1.2.3.256",
    ];
    const others = [
      "",
      ".",
      " ",
      "a b",
      "a..b",
      ".a",
      "a\0b",
      "a\n",
      "[::1]",
      "::1::",
      "fe80::1%",
      "a:80",
      "a/b",
      "*.a",
    ];
    for (const name of [...addresses, ...others, "münchen.example", "example。com", "x".repeat(255)]) {
      await assertRejects(
        () => resolveAddress(name),
        SyntaxError,
        `Cannot resolve ${JSON.stringify(name)}: it must be a host name or a literal IP address`,
      );
    }
  },
);

test("resolveAddress() refuses arguments of a wrong kind and out of range", {}, async () => {
  for (const value of [undefined, null, 1, {}, ["localhost"]]) {
    await assertRejects(() => resolveAddress(value as string), TypeError, "the hostname is");
  }
  for (const name of ["localhost", "127.0.0.1"]) {
    for (const options of [null, 80, "inet"]) {
      await assertRejects(
        () => resolveAddress(name, options as unknown as object),
        TypeError,
        "it must be an object of options",
      );
    }
    for (const port of [-1, 65536, 0.5, NaN]) {
      await assertRejects(
        () => resolveAddress(name, { port }),
        RangeError,
        "it must be a whole number from 0 to 65535",
      );
    }
    await assertRejects(() => resolveAddress(name, { port: "80" as unknown as number }), TypeError, 'the port is "80"');
    for (const family of ["inet4", "unix", 2, null]) {
      await assertRejects(() => resolveAddress(name, { family: family as "inet" }), TypeError, "the family is");
    }
    for (const signal of [null, {}, new AbortController()]) {
      await assertRejects(() => resolveAddress(name, { signal: signal as AbortSignal }), TypeError, "the signal is");
    }
  }
});

// ---- Names of this machine ----

/** What python3 says of names: the addresses of each, or the number of the error. */
async function inPython(names: readonly string[]): Promise<(string[] | number)[]> {
  const script = `
import json, socket, sys
for name in json.loads(sys.argv[1]):
    try: print(json.dumps(list(dict.fromkeys(one[4][0] for one in socket.getaddrinfo(name, 80, 0, socket.SOCK_STREAM)))))
    except socket.gaierror as error: print(error.errno)
`;
  await using program = start("python3", ["-", JSON.stringify(names)], script);
  return (await program.rest()).map((line) => JSON.parse(line));
}

test("resolveAddress() gives the addresses that python3's getaddrinfo gives, in its order", {
  ...LIBC,
  run: ["python3"],
  sys: true,
}, async () => {
  const names = ["localhost", Deno.hostname(), "LocalHost", "no-such-name.invalid"];
  for (const [i, wanted] of (await inPython(names)).entries()) {
    if (typeof wanted === "number") {
      const error = await assertRejects(() => resolveAddress(names[i]!), Error);
      assertEquals((error as Error & { errno: number }).errno, wanted, error.message);
    } else {
      const found = await resolveAddress(names[i]!, { port: 80 });
      assertEquals(found.map(({ hostname }) => hostname), wanted);
      for (const { hostname, family, port } of found) {
        assertEquals([family, port], [hostname.includes(":") ? "inet6" : "inet", 80]);
      }
    }
  }
});

test("resolveAddress() rejects as Deno.connect does for a name that is not there, with a code", LIBC, async () => {
  const name = "no-such-name.invalid";
  const error = await assertRejects(() => resolveAddress(name), Error, `Cannot resolve "${name}": EAI_`);
  const ofDeno = await assertRejects(() => Deno.connect({ hostname: name, port: 1 }), Error);
  assertEquals(error.constructor, ofDeno.constructor);
  const { code, syscall } = error as Error & { code: string; syscall: string };
  assert(code === "EAI_NONAME" || code === "EAI_AGAIN", code);
  assertEquals(syscall, "getaddrinfo");
});

test("resolveAddress() rejects for a literal address of the other family, as the system does", LIBC, async () => {
  await assertRejects(() => resolveAddress("127.0.0.1", { family: "inet6" }), Error, "EAI_");
  await assertRejects(() => resolveAddress("::1", { family: "inet" }), Error, "EAI_");
});

test("resolveAddress() rejects with the reason of a signal that has been given already", {}, async () => {
  const reason = { why: "enough" };
  for (const name of ["localhost", "127.0.0.1"]) {
    const seen = await resolveAddress(name, { signal: AbortSignal.abort(reason) }).catch((error) => error);
    assertEquals(seen, reason);
  }
});

test("resolveAddress() resolves many names at once, and leaves no listener on the signal", LIBC, async () => {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal), remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  const all = await Promise.all(
    Array.from({ length: 200 }, (_, i) => resolveAddress("localhost", { port: i, family: "inet", signal })),
  );
  all.forEach((found, port) => assertEquals(found[0], { family: "inet", hostname: "127.0.0.1", port }));
  assertEquals(listeners, 0);
});

// ---- Permissions ----

const LIBRARY = new URL("../../socket/resolve.ts", import.meta.url).href;

/** Runs lines that print, in a program with these flags. */
async function printed(flags: readonly string[], lines: string): Promise<string[]> {
  const say = "const say = (promise) => promise.then((all) => console.log(all[0].hostname), " +
    "(error) => console.log(`${error.name}: ${error.message}`));";
  const script = `import { resolveAddress } from "${LIBRARY}";\n${say}\n${lines}`;
  await using program = start(Deno.execPath(), runArguments(flags), script);
  return await program.rest();
}

const ASK = `
  await say(resolveAddress("localhost"));
  await say(resolveAddress("localhost", { port: 80, family: "inet" }));
  await say(resolveAddress("127.0.0.1"));
  await say(resolveAddress("no-such-name.invalid", { port: 80 }));`;

function needsNet(host: string): string {
  const name = host.replace(/:.*/, "");
  return `NotCapable: Cannot resolve "${name}": Requires net access to "${host}", run again with the --allow-net flag`;
}

test("resolveAddress() asks for the host as it is written, with the port, and for nothing beside literals", {
  ...LIBC,
  run: [],
}, async () => {
  const nowhere = needsNet("no-such-name.invalid:80");
  const local = "127.0.0.1";
  assertEquals(await printed(["--allow-ffi"], ASK), [
    needsNet("localhost:0"),
    needsNet("localhost:80"),
    local,
    nowhere,
  ]);
  assertEquals(await printed(["--allow-ffi", "--allow-net=localhost:80"], ASK), [
    needsNet("localhost:0"),
    local,
    local,
    nowhere,
  ]);
  const [, second, third, fourth] = await printed(["--allow-ffi", "--allow-net=localhost"], ASK);
  assertEquals([second, third, fourth], [local, local, nowhere]);
  // Resolving alone does not go to the address that is denied: who goes there checks it.
  assertEquals((await printed(["--allow-ffi", "--allow-net", "--deny-net=127.0.0.1"], ASK))[1], local);
  assertEquals(
    (await printed(["--allow-ffi", "--allow-net", "--deny-net=localhost"], ASK))[1],
    needsNet("localhost:80"),
  );
});

test("resolveAddress() needs --allow-ffi for names, not for literals", { linux: true, run: [] }, async () => {
  const [first, , third] = await printed(["--allow-net"], ASK);
  assert(first!.startsWith('NotCapable: Cannot resolve "localhost": Requires ffi access to the C library'), first);
  assertEquals(third, "127.0.0.1");
});

// ---- With files and name servers of the tests' own ----

const OWN_FILES: Needs = { ...LIBC, root: true, read: true, write: true, run: ["unshare", "mount", "sh", "python3"] };
/** Loopback has all of 127.0.0.0/8; this address is of this process alone, as the port cannot be chosen. */
const SERVER = `127.${64 + (Deno.pid >> 16 & 63)}.${Deno.pid >> 8 & 255}.${Deno.pid & 255}`;
const HOSTS = `127.0.0.1 localhost
10.1.1.1 many
fd00::99 many
10.1.1.1 many alias
127.0.0.9 many
`;

/** Starts a program that has a /etc/hosts of its own, and a name server that may never answer: it is given up after so many seconds. */
function withFiles(folder: string, command: string, args: readonly string[], script: string, seconds = 1): Program {
  Deno.writeTextFileSync(`${folder}/hosts`, HOSTS);
  Deno.writeTextFileSync(`${folder}/resolv.conf`, `nameserver ${SERVER}\noptions timeout:${seconds} attempts:1\n`);
  const mount = 'mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"';
  return start("unshare", ["-m", "sh", "-c", mount, folder, command, ...args], script);
}

/** Runs lines of Deno so. */
async function printedWithFiles(lines: string, seconds = 1): Promise<string[]> {
  const folder = Deno.makeTempDirSync();
  try {
    const script = `import { resolveAddress } from "${LIBRARY}";\n${lines}`;
    const flags = runArguments(["--allow-net", "--allow-ffi", "--unstable-net"]);
    await using program = withFiles(folder, Deno.execPath(), flags, script, seconds);
    return await program.rest();
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

test("resolveAddress() reads /etc/hosts, gives each address once, and in the system's order", OWN_FILES, async () => {
  const lines = await printedWithFiles(`
    for (const family of [undefined, "inet", "inet6"]) {
      const found = await resolveAddress("many", family === undefined ? {} : { family });
      console.log(found.map((one) => one.family + " " + one.hostname).join());
    }
    console.log((await resolveAddress("alias"))[0].hostname);
    console.log(await resolveAddress("alias", { family: "inet6" }).catch((error) => error.syscall));`);
  const folder = Deno.makeTempDirSync();
  const script = `
import socket
for family in (0, socket.AF_INET, socket.AF_INET6):
    found = dict.fromkeys((one[0], one[4][0]) for one in socket.getaddrinfo("many", 0, family, socket.SOCK_STREAM))
    print(",".join(("inet6 " if kind == socket.AF_INET6 else "inet ") + host for kind, host in found))
`;
  await using python = withFiles(folder, "python3", ["-"], script);
  const wanted = await python.rest();
  Deno.removeSync(folder, { recursive: true });
  assertEquals(wanted[0]!.split(",").sort(), ["inet 10.1.1.1", "inet 127.0.0.9", "inet6 fd00::99"]);
  assertEquals(lines, [...wanted, "10.1.1.1", "getaddrinfo"]);
});

test(
  "resolveAddress() does not hold the program up while a name server is silent, and says EAI_AGAIN",
  OWN_FILES,
  async () => {
    const [code, ticks] = await printedWithFiles(`
    const silent = Deno.listenDatagram({ transport: "udp", hostname: "${SERVER}", port: 53 });
    let ticks = 0;
    const timer = setInterval(() => ticks++, 10);
    console.log(await resolveAddress("slow.example").catch((error) => error.code));
    clearInterval(timer);
    console.log(ticks);
    silent.close();`);
    assertEquals(code, "EAI_AGAIN");
    // A lookup that held the program up would let none through, a slow machine lets through fewer than a hundred.
    assert(Number(ticks) >= 10, `${ticks} ticks in a second`);
  },
);

test(
  "resolveAddress() rejects with the signal's reason in mid-lookup, which then keeps no program alive",
  OWN_FILES,
  async () => {
    const lines = await printedWithFiles(
      `
    const silent = Deno.listenDatagram({ transport: "udp", hostname: "${SERVER}", port: 53 });
    const controller = new AbortController();
    const reason = new Error("enough");
    const all = Promise.allSettled(Array.from({ length: 20 }, (_, i) =>
      resolveAddress("slow" + i + ".example", { signal: controller.signal })));
    setTimeout(() => controller.abort(reason), 50);
    const limit = setTimeout(() => console.log("late"), 5000);
    console.log((await all).every((one) => one.reason === reason));
    clearTimeout(limit);
    // The threads have room for others meanwhile.
    console.log((await resolveAddress("many"))[0].hostname.length > 0);
    silent.close();
    console.log(Date.now());`,
      20,
    );
    const ended = Date.now();
    assertEquals(lines.slice(0, 2), ["true", "true"]);
    const took = ended - Number(lines[2]);
    assert(took < 10_000, `the program ended ${took} ms after its last line, its lookups take 20 s`);
  },
);

test("resolveAddress() gives its memory back after lookups that ended alone", OWN_FILES, async () => {
  // With freed memory overwritten, what reads or frees it twice crashes.
  Deno.env.set("MALLOC_PERTURB_", "165");
  try {
    const lines = await printedWithFiles(`
      const silent = Deno.listenDatagram({ transport: "udp", hostname: "${SERVER}", port: 53 });
      for (let round = 0; round < 2; round++) {
        const signal = AbortSignal.timeout(20);
        await Promise.allSettled(Array.from({ length: 30 }, (_, i) => resolveAddress("slow" + i + ".example", { signal })));
        await new Promise((resolve) => setTimeout(resolve, 1100));
        for (let i = 0; i < 2000; i++) await resolveAddress("many");
      }
      silent.close();
      console.log("whole");`);
    assertEquals(lines, ["whole"]);
  } finally {
    Deno.env.delete("MALLOC_PERTURB_");
  }
});
