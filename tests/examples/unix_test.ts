// examples/unix.ts as its task runs it, between two programs, and with a client and a server in Python.
// What the library's unix sockets do: tests/socket/unix_test.ts; descriptors and Python: tests/lab/python_test.ts.
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../needs.ts";
import { assertSpeaks, example, peer, Program, task } from "./program.ts";

const DENO = { run: [], linux: true };
const FILES = { ...DENO, read: true, write: true, sys: true };
const PYTHON = { ...FILES, run: ["python3"] };
/** The permissions of its task. */
const ALLOWED = ["--allow-net", "--allow-ffi", "--allow-read", "--allow-write"];

/** A folder with a file of one line, for as long as a test runs. */
async function withFile(body: (folder: string, file: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/letter.txt`;
  await Deno.writeTextFile(file, "handed over, déjà\n", { mode: 0o600 });
  try {
    await body(folder, file);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

test("examples/unix.ts by itself hands its own text to itself, and both know whom they talk to", DENO, async () => {
  await using program = task("unix");
  const printed = await program.succeeded();
  const [, user] = /^connected by (process \d+ of user \d+ and group \d+)$/m.exec(printed)!;
  assertMatch(printed, new RegExp(`^a packet of ${user}$`, "m"));
  assertMatch(printed, new RegExp(`^handed .*examples/unix\\.ts to ${user}$`, "m"));
  assertMatch(printed, /^answer: unix\.ts: \d+ characters, \d+ ends of lines, begins "\/\/ Unix sockets of packets/m);
});

test("examples/unix.ts has help, and names what is wrong", DENO, async () => {
  await assertSpeaks("unix", [
    [["--listen", "/tmp/a", "--connect", "/tmp/b"], /^Give --listen or --connect, not both; see --help\n$/],
    [["--listen"], /^Give --listen a path\n$/],
    [["--file="], /^Give --file a path\n$/],
  ], ["--listen", "--connect", "--file"]);
});

test("examples/unix.ts says which permission is missing", DENO, async () => {
  for (const missing of ["--allow-ffi", "--allow-net", "--allow-read"]) {
    await using program = example("unix", [], ALLOWED.filter((one) => one !== missing));
    const { code, stderr } = await program.ended();
    assertEquals([code, stderr.includes(missing)], [1, true], stderr);
  }
});

test(
  "examples/unix.ts serves another of its kind by path, and takes the path with it when it is stopped",
  FILES,
  async () => {
    await withFile(async (folder, file) => {
      const path = `${folder}/reader`;
      await using server = example("unix", ["--listen", path], ALLOWED);
      await server.printed(/^listening on /m);
      assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
      for (let i = 0; i < 2; i++) {
        await using client = example("unix", ["--connect", path, "--file", file], ALLOWED);
        const printed = await client.succeeded();
        assertMatch(printed, /^answer: letter\.txt: 18 characters, 1 ends of lines, begins "handed over, déjà"$/m);
      }
      server.interrupt();
      await server.succeeded();
      assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["letter.txt"]);
    });
  },
);

test("examples/unix.ts cuts a line that no packet would hold", FILES, async () => {
  await withFile(async (_folder, file) => {
    await Deno.writeTextFile(file, "x".repeat(1_000_000));
    await using program = example("unix", ["--file", file], ALLOWED);
    const printed = await program.succeeded();
    assertMatch(printed, /^answer: letter\.txt: 1000000 characters, 0 ends of lines, begins "x{200}\.\.\."$/m);
  });
});

test("examples/unix.ts says that nobody is there", FILES, async () => {
  await using client = example("unix", ["--connect", `@nobody-${crypto.randomUUID()}`], ALLOWED);
  const { code, stderr } = await client.ended();
  assertEquals(code, 1);
  assertMatch(stderr, /ECONNREFUSED/);
});

test("examples/unix.ts reads a file that Python hands over, and refuses a pipe", PYTHON, async () => {
  await withFile(async (_folder, file) => {
    const path = `@reader-${crypto.randomUUID()}`;
    await using server = example("unix", ["--listen", path], ALLOWED);
    await server.printed(/^listening on /m);
    {
      await using client = new Program("python3", [peer("unix_client.py"), path, file]);
      assertEquals(
        await client.succeeded(),
        'letter.txt: 18 characters, 1 ends of lines, begins "handed over, déjà"\n',
      );
    }
    const { uid, gid } = Deno.statSync(file);
    await server.printed(new RegExp(`^connected by process \\d+ of user ${uid} and group ${gid}$`, "m"));
    {
      const script = `
import os, socket
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
    client.settimeout(5)
    client.connect("\\0${path.slice(1)}")
    there, here = os.pipe()
    socket.send_fds(client, [b"pipe"], [here])
    print(client.recv(100))
    os.close(here)
    print(os.read(there, 1)) # the end, once nobody has the other one`;
      await using client = new Program("python3", ["-c", script]);
      assertEquals(await client.succeeded(), "b''\nb''\n");
    }
    await server.printed(/^a client is gone: it handed over what is no file that can be read$/m);
  });
});

test("examples/unix.ts tells who connected from who sent, and reads what its sender alone could open", {
  ...PYTHON,
  root: true,
}, async () => {
  await withFile(async (_folder, file) => {
    const path = `@reader-${crypto.randomUUID()}`;
    await using server = example("unix", ["--listen", path], ALLOWED);
    await server.printed(/^listening on /m);
    await using client = new Program("python3", [peer("unix_client.py"), path, file, "65534"]);
    assertMatch(await client.succeeded(), /begins "handed over/);
    await server.printed(
      /^connected by process (\d+) of user 0 and group 0\na packet of process \1 of user 65534 and group 65534$/m,
    );
  });
});

test("examples/unix.ts hands a file to Python, which knows who it is", PYTHON, async () => {
  await withFile(async (folder, file) => {
    const path = `${folder}/reader`;
    await using server = new Program("python3", [peer("unix_server.py"), path]);
    await server.printed(/^listening$/m);
    await using client = example("unix", ["--connect", path, "--file", file], ALLOWED);
    assertMatch(await client.succeeded(), /^answer: 1 read$/m);
    const printed = await server.succeeded();
    const { uid, gid } = Deno.statSync(file);
    assertMatch(printed, new RegExp(`^process \\d+, user ${uid}, group ${gid}$`, "m"));
    assertMatch(printed, /^letter\.txt says 'handed over, déjà\\n'$/m);
  });
});
