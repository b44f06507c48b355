// examples/multicast.ts as its task runs it, without --allow-ffi, and with programs in C and Python; all over loopback.
// What the library's multicast does: tests/multicast/.
import { assertEquals, assertMatch } from "@std/assert";
import { getAvailablePort } from "@std/net";
import { bindUdp } from "../../udp/mod.ts";
import { type Namespace, NAMESPACES, withPair } from "../multicast/namespace.ts";
import { test } from "../needs.ts";
import { assertSpeaks, example, peer, Program, task } from "./program.ts";

const DENO = { run: [] };
const GROUP = "239.0.0.1";

test("examples/multicast.ts by itself prints five messages with sender, group and interface", DENO, async () => {
  await using program = task("multicast");
  const printed = await program.succeeded();
  // The group and port are fixed: it may hear another that runs at the same time.
  const lines = printed.matchAll(/^message (\d) from 127\.0\.0\.1 to group 239\.0\.0\.1 on (\w+): hello \d$/gm);
  assertEquals(
    Array.from(lines, ([, n, where]) => `${n} ${where}`),
    [1, 2, 3, 4, 5].map((n) => `${n} ${Deno.build.os === "linux" ? "lo" : "lo0"}`),
  );
});

test("examples/multicast.ts runs without --allow-ffi, on Linux", { run: [], linux: true }, async () => {
  await using program = example("multicast", ["--port", `${getAvailablePort()}`], ["--allow-net"]);
  const printed = await program.succeeded();
  const lines = printed.matchAll(/^message \d from 127\.0\.0\.1 to group 239\.0\.0\.1 on 127\.0\.0\.1: (hello \d)$/gm);
  assertEquals(Array.from(lines, ([, text]) => text), [1, 2, 3, 4, 5].map((i) => `hello ${i}`));
});

test("examples/multicast.ts has help, and names what is wrong", DENO, async () => {
  await assertSpeaks("multicast", [
    [["--port", "0"], /^Wrong value "0" for --port: it must be a whole number from 1 to 65535\n$/],
    [["--hops", "256"], /"256" for --hops/],
    [["--count", "few"], /"few" for --count/],
    [["--group", "10.0.0.1"], /"10\.0\.0\.1" for --group: it must be in 224\.0\.0\.0\/4 or ff00::\/8/],
    [["--group", "ff02::1234"], /--interface for an IPv6 group/],
    [["--send"], /--send a text/],
    [["--listen", "--send", "x"], /--listen or --send, not both/],
    [["--send", "x", "--explain"], /--explain where something receives/],
    [["--group", "ff02::1%lo", "--interface", "lo"], /by --group or --interface/],
  ], ["--listen", "--port", "--source", "--interface", "--explain"]);
});

test("examples/multicast.ts says what is wrong with a group or an interface", DENO, async () => {
  for (
    const [flags, said] of [
      [["--group", "home"], /"home"/],
      [["--interface", "nowhere0"], /"nowhere0"/],
      [["--source", "home"], /the source "home"/],
      [["--source", "::1"], /of the family of the group/],
    ] as const
  ) {
    await using program = example("multicast", flags);
    const { code, stderr } = await program.ended();
    assertEquals(code, 1);
    assertMatch(stderr, said);
    assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
  }
});

test("examples/multicast.ts takes the interface by name and by index", { run: [], linux: true }, async () => {
  for (const where of ["lo", "1"]) {
    await using program = example("multicast", [
      "--port",
      `${getAvailablePort()}`,
      "--interface",
      where,
      "--hops",
      "0",
    ]);
    assertMatch(await program.succeeded(), /^message 5 from 127\.0\.0\.1 to group 239\.0\.0\.1 on lo: hello 5$/m);
  }
});

/** A peer's receiver hears the example, and the example hears the peer's sender. */
async function talkWith(receiver: readonly string[], sender: readonly string[]): Promise<void> {
  const port = `${getAvailablePort()}`;
  {
    await using theirs = new Program(receiver[0]!, [...receiver.slice(1), GROUP, port, "2"]);
    await theirs.printed(/^ready$/m);
    await using ours = example("multicast", ["--send", "from Deno", "--port", port, "--count", "2"]);
    await ours.succeeded();
    assertEquals(await theirs.succeeded(), "ready\n127.0.0.1: from Deno\n127.0.0.1: from Deno\n");
  }
  await using ours = example("multicast", ["--listen", "--port", port, "--count", "2"]);
  await ours.printed(/^listening/);
  await using theirs = new Program(sender[0]!, [...sender.slice(1), GROUP, port, "to Deno", "2"]);
  await theirs.succeeded();
  const printed = await ours.succeeded();
  assertEquals(
    printed.match(/^message \d from 127\.0\.0\.1 to group 239\.0\.0\.1 on \w+: to Deno$/gm)?.length,
    2,
    printed,
  );
}

test("examples/multicast.ts talks with a program in C", { run: ["gcc"], write: true }, async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["multicast_receiver", "multicast_sender"]) {
      await using gcc = new Program("gcc", ["-Wall", "-Werror", "-o", `${folder}/${name}`, peer(`${name}.c`)]);
      await gcc.succeeded();
    }
    await talkWith([`${folder}/multicast_receiver`], [`${folder}/multicast_sender`]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("examples/multicast.ts talks with a program in Python", { run: ["python3"] }, async () => {
  await talkWith(["python3", peer("multicast_receiver.py")], ["python3", peer("multicast_sender.py")]);
});

test("examples/multicast.ts --source hears that sender alone", { run: [], linux: true }, async () => {
  const port = `${getAvailablePort()}`;
  await using picky = example("multicast", [
    ...["--listen", "--port", port, "--count", "1"],
    ...["--source", "127.0.0.8", "--source", "127.0.0.9"],
  ]);
  await picky.printed(/^listening to group 239\.0\.0\.1, port \d+, on lo from 127\.0\.0\.8, 127\.0\.0\.9$/m);
  for (const [text, from] of [["no", "127.0.0.7"], ["yes", "127.0.0.9"]] as const) {
    using sender = bindUdp({ hostname: from, multicast: { interface: "127.0.0.1" } });
    await sender.send(new TextEncoder().encode(text), { hostname: GROUP, port: Number(port) });
  }
  assertMatch(await picky.succeeded(), /^message 1 from 127\.0\.0\.9 to group 239\.0\.0\.1 on lo: yes$/m);
});

test("examples/multicast.ts --explain finds no fault where messages arrive", { run: [], linux: true }, async () => {
  await using program = example("multicast", ["--port", `${getAvailablePort()}`, "--explain", "--count", "1"]);
  const printed = await program.succeeded();
  assertEquals(printed.match(/^(fine|unknown|fault) /gm)?.length, 13);
  assertEquals(printed.match(/^fault.*$/gm), null);
  assertMatch(printed, /^message 1 /m);
});

test("examples/multicast.ts --explain names the fault", { ...NAMESPACES, run: ["ip"] }, async () => {
  await withPair(async (left) => {
    await left.ip("link", "set", "spare0", "down");
    const flags = ["--listen", "--interface", "spare0", "--explain"];
    await using program = example("multicast", flags, ["--allow-net", "--allow-ffi"], left.enter);
    const [found] = await program.printed(/^fault .*$/m);
    assertMatch(found!, /link: spare0 is down or has no link: switch it on/);
  });
});

test("examples/multicast.ts takes every interface, and IPv6 with its zone, seen between network namespaces", {
  ...NAMESPACES,
  run: ["ip"],
}, async () => {
  await withPair(async (left, right) => {
    const start = (where: Namespace, ...flags: string[]) =>
      example("multicast", flags, ["--allow-net", "--allow-ffi"], where.enter);
    for (const group of [GROUP, "ff02::1234", "ff05::1234"]) {
      await using all = start(left, "--listen", "--group", group, "--interface", "all", "--count", "2", "--explain");
      const [, on] = await all.printed(/^listening to group \S+, port 54321, on (\S+)$/m);
      assertEquals(on!.split(",").toSorted(), ["left0", "lo", "spare0", "spare1"]);
      await all.printed(/^unknown firewall/m);
      const far = group.includes(":") ? ["--group", `${group}%right0`] : ["--group", group, "--interface", "right0"];
      await using there = start(right, ...far, "--send", "from afar");
      await there.succeeded();
      await all.printed(/^message 1 from \S+ to group \S+ on left0: from afar$/m);
      await using here = start(left, "--group", group, "--interface", "spare0", "--send", "from here");
      await here.succeeded();
      const printed = await all.succeeded();
      assertMatch(printed, /^message 2 from \S+ to group \S+ on spare[01]: from here$/m);
      assertEquals(printed.match(/^fault.*$/gm), null);
      // And once by each, of which one leads to the other namespace.
      await using listener = start(right, "--listen", ...far, "--count", "1");
      await listener.printed(/^listening/m);
      await using each = start(left, "--group", group, "--interface", "all", "--send", "by each");
      await each.succeeded();
      assertMatch(await listener.succeeded(), /^message 1 from \S+ to group \S+ on right0: by each$/m);
    }
  });
});

test("examples/multicast.ts takes IPv6 groups, seen in a network namespace", {
  run: ["unshare", "sh", "ip"],
  root: true,
  linux: true,
}, async () => {
  // Loopback carries no IPv6 groups. Without duplicate address detection the link's address serves at once.
  const network = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad && ip link add v0 type veth peer name v1 && " +
    "ip addr add 192.0.2.1/32 dev v0 && ip link set v0 up && ip link set v1 up";
  const deno = `exec '${Deno.execPath()}' run --no-prompt --unstable-net --allow-net --allow-ffi examples/multicast.ts`;
  for (const group of ["ff02::1234", "ff05::1234"]) {
    const script = `${network} && ${deno} --group ${group} --interface v0`;
    await using program = new Program("unshare", ["--net", "sh", "-c", script]);
    const printed = await program.succeeded();
    assertMatch(printed, new RegExp(`^message 5 from fe80::[^ ]+ to group ${group} on v0: hello 5$`, "m"));
  }
});
