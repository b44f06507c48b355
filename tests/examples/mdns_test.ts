// examples/mdns.ts as its task runs it, over loopback, and what it says. With Avahi and zeroconf: tests/lab/mdns_test.ts.
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../needs.ts";
import { assertSpeaks, example, task } from "./program.ts";

test("examples/mdns.ts by itself finds a service, and that it goes", { run: [], linux: true, ffi: true }, async () => {
  await using program = task("mdns");
  const printed = await program.succeeded();
  const service = `"Demo \\d+" on lo: deno-[0-9a-f]{8}\\.local:8080 127\\.0\\.0\\.1( ::1)?`;
  assertMatch(printed, /^announced "Demo \d+" as _http\._tcp, port 8080$/m);
  assertMatch(printed, new RegExp(`^found ${service}$`, "m"));
  assertMatch(printed, /^said goodbye$/m);
  assertMatch(printed, new RegExp(`^lost ${service}$`, "m"));
});

test("examples/mdns.ts has help, and names what is wrong", { run: [] }, async () => {
  await assertSpeaks("mdns", [
    [["--browse", "http"], /^Wrong value "http" for --browse: it must be a type such as _http\._tcp\n$/],
    [["--announce", "a.b"], /"a\.b" for --announce: it must be 1 to 58 bytes without a dot/],
    [["--announce", "x", "--type", "_http"], /"_http" for --type/],
    [["--announce", "x", "--port", "0"], /"0" for --port: it must be a whole number from 1 to 65535/],
    [["--announce", "x", "--txt", "path"], /"path" for --txt: it must be KEY=VALUE/],
    [["--browse", "_http._tcp", "--count", "few"], /"few" for --count/],
    [["--browse", "_http._tcp", "--timeout", "0"], /"0" for --timeout/],
    [["--interface"], /--interface a name/],
    [["--browse", "_http._tcp", "--announce", "x"], /--browse or --announce, not both/],
  ], ["--browse", "--announce", "--interface"]);
});

test("examples/mdns.ts says what is wrong with an interface", { run: [], ffi: true }, async () => {
  for (const flags of [["--browse", "_http._tcp"], ["--announce", "x"]]) {
    await using program = example("mdns", [...flags, "--interface", "nowhere0"]);
    const { code, stdout, stderr } = await program.ended();
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^.*"nowhere0".*\n$/);
  }
});
