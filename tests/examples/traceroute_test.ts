// examples/traceroute.ts over loopback, its flags and its words. Through routers: ../lab/traceroute_test.ts.
import { assertEquals, assertMatch } from "@std/assert";
import { IPV6, test } from "../socket/make.ts";
import { assertSpeaks, example } from "./program.ts";

const DENO = { ...IPV6, run: [] };

test("examples/traceroute.ts reaches this machine at the first hop", DENO, async () => {
  for (const [host, bytes] of [["127.0.0.1", 60], ["::1", 80]] as const) {
    await using program = example("traceroute", [host]);
    assertMatch(
      await program.succeeded(),
      new RegExp(
        `^traceroute to ${host} \\(${host}\\), 30 hops max, ${bytes} byte packets\n 1  ${host}(  [\\d.]+ ms){3}\n$`,
      ),
    );
  }
});

test("examples/traceroute.ts has help, and names what is wrong", DENO, async () => {
  await assertSpeaks("traceroute", [
    [[], /^Give one host, and the bytes of a packet if need be; see --help\n$/],
    [["a", "60", "b"], /^Give one host, /],
    [["-m", "0", "a"], /^Wrong value "0" for --max-hops: it must be a whole number from 1 to 255\n$/],
    [["-f", "31", "a"], /"31" for --first: it must be a whole number from 1 to 30/],
    [["-p", "65500", "a"], /"65500" for --port/],
    [["-w", "x", "a"], /^Wrong value "x" for --wait: it must be a number from 0\.001 to 60\n$/],
    [["-4", "-6", "a"], /^Give -4 or -6, not both; see --help\n$/],
    [["-i=", "a"], /^Give --interface a value; see --help\n$/],
  ], ["-f", "-m", "-q", "-w", "-p", "-s", "-i", "--back", "-4"]);
});

test("examples/traceroute.ts says which permission is missing, and what is no host or too short", DENO, async () => {
  for (
    const [flags, permissions, said] of [
      [["127.0.0.1"], ["--allow-ffi"], /--allow-net/],
      [["127.0.0.1"], ["--allow-net"], /--allow-ffi/],
      [["::1", "47"], undefined, /"47" for BYTES: it must be a whole number from 48 to 65000/],
      [["-4", "::1"], undefined, /Cannot resolve "::1"/],
      [["127.0.0.1", "-i", "nothere0"], undefined, /SO_BINDTODEVICE.*ENODEV/],
    ] as const
  ) {
    await using program = example("traceroute", flags, permissions);
    const { code, stderr } = await program.ended();
    assertEquals([code, said.test(stderr)], [2, true], stderr);
  }
});
