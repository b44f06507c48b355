// examples/sniff.ts on the loopback interface, its flags and its words. On a cable, beside tcpdump: ../lab/sniff_test.ts.
import { assertEquals, assertMatch } from "@std/assert";
import { Socket } from "../../socket/mod.ts";
import { bytes, FFI, test } from "../socket/make.ts";
import { assertSpeaks, example, withNobody } from "./program.ts";

const DENO = { run: [], linux: true };
const ROOT = { ...FFI, ...DENO, root: true };

test("examples/sniff.ts hears a datagram on loopback once, by a port as its filter", ROOT, async () => {
  using receiver = Socket.open("inet", "dgram");
  receiver.bind({ hostname: "127.0.0.1", port: 0 });
  const { port } = receiver.localAddr!;
  await using program = example("sniff", ["--interface", "lo", "--filter", `port ${port}`, "--count", "2"]);
  await program.printed(/^listening on lo$/m);
  await receiver.sendTo(bytes("one"), receiver.localAddr!);
  await receiver.sendTo(bytes("three"), receiver.localAddr!);
  const zeros = "00:00:00:00:00:00";
  const line = (frame: number, length: number) =>
    `\\d\\d:\\d\\d:\\d\\d\\.\\d{6} ${zeros} > ${zeros}, ethertype IPv4 \\(0x0800\\), length ${frame}: ` +
    `127\\.0\\.0\\.1\\.${port} > 127\\.0\\.0\\.1\\.${port}: UDP, length ${length}\n`;
  assertMatch(
    await program.succeeded(),
    new RegExp(
      `^listening on lo\n${line(45, 3)}${line(47, 5)}` +
        "2 packets seen, 4 kept by the filter, 0 of them dropped by the kernel\n$",
    ),
  );
});

test("examples/sniff.ts ends at Ctrl-C, also before anything came", ROOT, async () => {
  await using program = example("sniff", ["--filter", "ret #0"]);
  await program.printed(/^listening on every interface$/m);
  program.interrupt();
  assertEquals(
    await program.succeeded(),
    "listening on every interface\n0 packets seen, 0 kept by the filter, 0 of them dropped by the kernel\n",
  );
});

test("examples/sniff.ts has help, and names what is wrong", DENO, async () => {
  await assertSpeaks("sniff", [
    [["--count", "0"], /^Wrong value "0" for --count: it must be a whole number from 1 to 999999999\n$/],
    [["--interface="], /^Give --interface a value; see --help\n$/],
    [["--promiscuous"], /^Give --interface with --promiscuous; see --help\n$/],
    [["lo"], /^Unknown flag lo; see --help\n$/],
  ], ["--interface", "--filter", "--count", "--promiscuous", "--write"]);
});

test("examples/sniff.ts says what is wrong with a filter or an interface, and which permission is missing", {
  ...ROOT,
  read: true,
}, async () => {
  for (
    const [flags, permissions, said] of [
      [["--filter", "tpc"], undefined, /^Cannot assemble the filter: line 1: .*tpc/],
      [["--filter", "ld [0]\nret #70000 0"], undefined, /^Cannot assemble the filter: line 2: /],
      [["--filter", "port 70000"], undefined, /^Wrong port 70000 in --filter: it must be 0 to 65535\n$/],
      [["--interface", "nothere0"], undefined, /nothere0/],
      [["--count", "1", "--interface", "lo", "--write", "nowhere.pcap"], undefined, /--allow-write/],
      [[], ["--allow-ffi"], /--allow-net/],
      [[], ["--allow-net"], /--allow-ffi/],
    ] as const
  ) {
    await using program = example("sniff", flags, permissions);
    const { code, stderr } = await program.ended();
    assertEquals([code, said.test(stderr)], [1, true], stderr);
  }
});

test("examples/sniff.ts tells a user without privileges which one it needs", {
  ...ROOT,
  read: true,
  write: true,
  run: ["setpriv", "cp", "chmod", "env"],
}, async () => {
  await withNobody(async (nobody) => {
    await using program = example("sniff", [], undefined, nobody);
    const { code, stderr } = await program.ended();
    assertEquals(code, 1);
    assertMatch(stderr, /^Cannot open a socket of family "packet".*EPERM.*this needs CAP_NET_RAW\n$/);
  });
});
