// examples/chat.ts as its task runs it, several members that talk, and what a member is sent that is no chat.
// What the library's multicast does: tests/multicast/.
import { assertEquals, assertMatch } from "@std/assert";
import { getAvailablePort } from "@std/net";
import { bindUdp } from "../../udp/mod.ts";
import { NAMESPACES, withPair } from "../multicast/namespace.ts";
import { test } from "../needs.ts";
import { assertSpeaks, example, type Program, task } from "./program.ts";

const LINUX = { run: [], linux: true };
const GROUP = "239.0.0.2";

function member(name: string, flags: readonly string[], by: readonly string[] = []): Program {
  return example("chat", ["--name", name, ...flags], undefined, by, "piped");
}

test("examples/chat.ts by itself has two members talk over loopback", LINUX, async () => {
  await using program = task("chat");
  const printed = await program.succeeded();
  assertEquals(printed.trimEnd().split("\n"), [
    `* alice is in group ${GROUP}, port 54323, on lo`,
    `* bob is in group ${GROUP}, port 54323, on lo`,
    "alice hears  * bob joined",
    "bob   hears  alice: hello, bob",
    "alice hears  bob: hello, alice",
    "alice hears  * bob left",
  ]);
});

test("examples/chat.ts has help, and names what is wrong", { run: [] }, async () => {
  await assertSpeaks("chat", [
    [["--port", "0"], /^Wrong value "0" for --port: it must be a whole number from 1 to 65535\n$/],
    [["--hops", "256"], /"256" for --hops/],
    [["--group", "10.0.0.1"], /"10\.0\.0\.1" for --group: it must be in 224\.0\.0\.0\/4 or ff00::\/8/],
    [["--group", "ff02::1234"], /--interface for an IPv6 group/],
    [["--name"], /^Give --name a name/],
    [["--name", "\x1b\x07"], /^Give --name a name/],
  ], ["--name", "--group", "--interface", "--hops"]);
});

/** Three members talk, and go. */
async function talk(start: (name: string) => Program): Promise<void> {
  await using alice = start("alice");
  await alice.printed(/^\* alice is in group/m);
  await using bob = start("bob");
  await bob.printed(/^\* bob is in group/m);
  await alice.printed(/^\* bob joined$/m);
  await using carol = start("carol");
  await carol.printed(/^\* carol is in group/m);
  for (const one of [alice, bob]) await one.printed(/^\* carol joined$/m);
  await bob.type("hello, all");
  for (const one of [alice, carol]) await one.printed(/^bob: hello, all$/m);
  await alice.type("hello, bob");
  for (const one of [bob, carol]) await one.printed(/^alice: hello, bob$/m);
  // By Ctrl-C, and by the end of the input.
  carol.interrupt();
  for (const one of [alice, bob]) await one.printed(/^\* carol left$/m);
  await carol.succeeded();
  await bob.endInput();
  const heardByBob = (await bob.succeeded()).trimEnd().split("\n").slice(1);
  assertEquals(heardByBob, ["* carol joined", "alice: hello, bob", "* carol left"]);
  await alice.printed(/^\* bob left$/m);
  await alice.endInput();
  // What they say themselves comes back to them, and is not shown.
  const heard = (await alice.succeeded()).trimEnd().split("\n").slice(1);
  assertEquals(heard, ["* bob joined", "* carol joined", "bob: hello, all", "* carol left", "* bob left"]);
}

test("examples/chat.ts has members of several programs talk", LINUX, async () => {
  const port = `${getAvailablePort()}`;
  await talk((name) => member(name, ["--port", port]));
});

test("examples/chat.ts on every interface, IPv4 and IPv6, shows each message once", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    for (const group of [GROUP, "ff02::4321", "ff05::4321"]) {
      const flags = ["--group", group, "--interface", "all"];
      await talk((name) => member(name, flags, (name === "bob" ? right : left).enter));
    }
  });
});

test("examples/chat.ts tells of lost messages, and shows nothing that is no chat", LINUX, async () => {
  const port = getAvailablePort();
  await using alice = member("alice", ["--port", `${port}`]);
  await alice.printed(/^\* alice is in group/m);
  using stranger = bindUdp({ hostname: "127.0.0.1", multicast: { interface: "127.0.0.1" } });
  const send = (data: unknown) =>
    stranger.send(new TextEncoder().encode(typeof data === "string" ? data : JSON.stringify(data)), {
      hostname: GROUP,
      port,
    });
  const say = (number: number, text: string) => send({ id: "1", number, name: "mallory", kind: "say", text });
  for (const nothing of ["", "null", "[]", "{", "\xff\xfe", { id: 1 }, { id: "1", number: 0, name: "x", kind: "?" }]) {
    await send(nothing);
  }
  await say(0, "first");
  await say(0, "doubled");
  await say(3, "\x1b[2Jfourth\n* alice left");
  await say(2, "late");
  await say(4, "x".repeat(5000));
  await send({ id: "1", number: 5, name: "mallory", kind: "leave", text: "" });
  await alice.printed(/^\* mallory left$/m);
  await alice.endInput();
  assertEquals((await alice.succeeded()).trimEnd().split("\n").slice(1), [
    "mallory: first",
    "* 2 of mallory's messages were lost",
    "mallory: [2Jfourth* alice left",
    `mallory: ${"x".repeat(250)}`,
    "* mallory left",
  ]);
});

test("examples/chat.ts says what is wrong with an interface", LINUX, async () => {
  await using program = example("chat", ["--name", "alice", "--interface", "nowhere0"]);
  const { code, stderr } = await program.ended();
  assertEquals(code, 1);
  assertMatch(stderr, /^Cannot join group .* there is no interface "nowhere0"/);
});
