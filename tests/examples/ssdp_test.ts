// examples/ssdp.ts as its task runs it, over loopback, and what it says. With minissdpd: tests/lab/ssdp_test.ts.
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../needs.ts";
import { assertSpeaks, example, task } from "./program.ts";

test("examples/ssdp.ts by itself finds a device", { run: [], linux: true, ffi: true }, async () => {
  await using program = task("ssdp");
  const lines = (await program.succeeded()).trimEnd().split("\n");
  const [, uuid] = /^serving urn:schemas-upnp-org:device:Basic:1 as (uuid:[0-9a-f-]{36})$/.exec(lines[0]!)!;
  assertEquals(lines.slice(1), [
    `found ${uuid} at http://127.0.0.1:8080/device.xml from 127.0.0.1 on lo`,
    "said goodbye",
  ]);
});

test("examples/ssdp.ts has help, and names what is wrong", { run: [] }, async () => {
  await assertSpeaks("ssdp", [
    [
      ["--search", "television"],
      /^Wrong value "television" for --search: it must be such as ssdp:all or urn:\.\.\.\n$/,
    ],
    [["--serve", "basic"], /"basic" for --serve: it must be a type/],
    [["--serve", "urn:x", "--uuid", "1"], /"1" for --uuid/],
    [["--serve", "urn:x", "--location", "here"], /"here" for --location: it must be an http URL/],
    [["--search", "ssdp:all", "--count", "0"], /"0" for --count: it must be a whole number from 1 to 1000000/],
    [["--search", "ssdp:all", "--timeout", "long"], /"long" for --timeout/],
    [["--interface"], /--interface a name/],
    [["--search", "ssdp:all", "--serve", "urn:x"], /--search or --serve, not both/],
  ], ["--search", "--serve", "--interface"]);
});

test("examples/ssdp.ts says what is wrong with an interface", { run: [], ffi: true }, async () => {
  for (const flags of [["--search", "ssdp:all"], ["--serve", "urn:x"]]) {
    await using program = example("ssdp", [...flags, "--interface", "nowhere0"]);
    const { code, stdout, stderr } = await program.ended();
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^.*"nowhere0".*\n$/);
  }
});
