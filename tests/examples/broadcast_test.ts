// examples/broadcast.ts as its task runs it, without --allow-ffi, and with socat and Python. Loopback broadcasts on
// Linux alone. What the library's UDP does: tests/udp/.
import { assertEquals, assertMatch } from "@std/assert";
import { getAvailablePort } from "@std/net";
import { test } from "../needs.ts";
import { assertSpeaks, example, peer, Program, task } from "./program.ts";

const LINUX = { run: [], linux: true };
const WORDS = ["first", "second"].flatMap((who) => [1, 2, 3].map((i) => `${who}: hello ${i}`));

function heard(printed: string): string[] {
  const lines = printed.matchAll(/^(first|second): 127\.0\.0\.1:\d+ -> 127\.255\.255\.255:\d+: (.*)$/gm);
  return Array.from(lines, ([, who, text]) => `${who}: ${text}`).sort();
}

test("examples/broadcast.ts by itself reaches two receivers", LINUX, async () => {
  await using program = task("broadcast");
  // The port is fixed: it may hear another that runs at the same time.
  const who = heard(await program.succeeded()).map((line) => line.split(":")[0]);
  assertEquals(who, ["first", "first", "first", "second", "second", "second"]);
});

test("examples/broadcast.ts runs without --allow-ffi", LINUX, async () => {
  await using program = example("broadcast", ["--port", `${getAvailablePort()}`], ["--allow-net"]);
  assertEquals(heard(await program.succeeded()), WORDS);
});

test("examples/broadcast.ts has help, and names what is wrong", { run: [] }, async () => {
  await assertSpeaks("broadcast", [
    [["--port", "0"], /^Wrong value "0" for --port: it must be a whole number from 1 to 65535\n$/],
    [["--count", "many"], /"many" for --count/],
    [["--send"], /--send a text/],
    [["--listen", "--send", "x"], /--listen or --send, not both/],
  ]);
});

test("examples/broadcast.ts hears socat", { run: ["socat", "sh"], linux: true }, async () => {
  const port = getAvailablePort();
  await using receiver = example("broadcast", ["--listen", "--count", "1", "--port", `${port}`]);
  await receiver.printed(/^listening/m);
  const command = `printf 'hello from socat' | socat -u - UDP4-DATAGRAM:127.255.255.255:${port},broadcast`;
  await using sender = new Program("sh", ["-c", command]);
  await sender.succeeded();
  assertMatch(await receiver.succeeded(), /^received: 127\.0\.0\.1:\d+ -> 127\.255\.255\.255:\d+: hello from socat$/m);
});

test("examples/broadcast.ts is heard by Python", { run: ["python3"], linux: true }, async () => {
  await using receiver = new Program("python3", [peer("udp_receiver.py"), "127.255.255.255"]);
  const [port] = await receiver.printed(/^\d+$/m);
  await using sender = example("broadcast", ["--send", "hello", "--port", port!]);
  assertEquals(await sender.succeeded(), `sent to 127.255.255.255:${port}: hello\n`);
  assertMatch(await receiver.succeeded(), /^127\.0\.0\.1: hello$/m);
});
