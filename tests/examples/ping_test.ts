// examples/ping.ts over loopback: with a raw socket, with a ping socket, and without either; its flags and its words.
// Over cables and routers, and beside another ping: ../lab/ping_test.ts. What ping sockets do: ../socket/ping_socket_test.ts.
import { assertEquals, assertMatch } from "@std/assert";
import { IPV6, test } from "../socket/make.ts";
import { assertSpeaks, example, withNobody } from "./program.ts";

const DENO = { run: [], linux: true };
const ROOT = { ...IPV6, ...DENO, root: true };
/** Programs in a namespace that unshare(1) makes for them alone, where only these groups may open ping sockets. */
const alone = (groups: string) => [
  ...["unshare", "--net", "sh", "-c"],
  `ip link set lo up && echo "${groups}" > /proc/sys/net/ipv4/ping_group_range && exec "$@"`,
  "sh",
];
const ALONE = { ...ROOT, write: true, run: ["unshare", "setpriv", "ip", "sh", "cp", "chmod", "env"] };

/** Two answers of loopback. */
function answers(host: string, bytes: string, size = 64): RegExp {
  const line = (i: number) => `${size} bytes from ${host}: icmp_seq=${i} ttl=64 time=\\d+(\\.\\d+)? ms\n`;
  return new RegExp(
    `^PING ${host} \\(${host}\\) ${bytes}\n${line(1)}${line(2)}\n--- ${host} ping statistics ---\n` +
      "2 packets transmitted, 2 received, 0% packet loss, time \\d+ms\n" +
      "rtt min/avg/max/mdev = \\d+\\.\\d{3}/\\d+\\.\\d{3}/\\d+\\.\\d{3}/\\d+\\.\\d{3} ms\n$",
  );
}

const TWICE = ["-c", "2", "-i", "0.05"];
const HOSTS = [["127.0.0.1", "56\\(84\\) bytes of data\\."], ["::1", "56 data bytes"]] as const;

test("examples/ping.ts has answers of 127.0.0.1 and ::1 by a raw socket, as root", ALONE, async () => {
  for (const [host, bytes] of HOSTS) {
    await using program = example("ping", [host, ...TWICE], undefined, alone("1 0"));
    assertMatch(await program.succeeded(), answers(host, bytes));
  }
});

test("examples/ping.ts has answers by a ping socket, as a user without privileges", ALONE, async () => {
  await withNobody(async (nobody) => {
    for (const [host, bytes] of HOSTS) {
      await using program = example("ping", [host, ...TWICE], undefined, [...alone("0 2147483647"), ...nobody]);
      assertMatch(await program.succeeded(), answers(host, bytes));
    }
  });
});

test("examples/ping.ts says what to allow where neither socket may be had", ALONE, async () => {
  await withNobody(async (nobody) => {
    for (const [host] of HOSTS) {
      await using program = example("ping", [host, ...TWICE], undefined, [...alone("1 0"), ...nobody]);
      const { code, stdout, stderr } = await program.ended();
      assertEquals([code, stdout], [2, ""], stderr);
      assertMatch(stderr, /^Cannot open a socket .* EACCES .*net\.ipv4\.ping_group_range.*CAP_NET_RAW\n$/);
    }
  });
});

test("examples/ping.ts sends as many bytes as it is told, and looks names up", ROOT, async () => {
  {
    await using program = example("ping", ["-s1000", "127.0.0.1", ...TWICE]);
    assertMatch(await program.succeeded(), answers("127.0.0.1", "1000\\(1028\\) bytes of data\\.", 1008));
  }
  await using program = example("ping", ["-4", "-s", "0", "localhost", "-c", "1", "-I", "lo"]);
  const printed = await program.succeeded();
  assertMatch(
    printed,
    /^PING localhost \(127\.0\.0\.1\) from lo: 0\(28\) bytes of data\.\n8 bytes from 127\.0\.0\.1: /,
  );
  assertMatch(printed, /^--- localhost ping statistics ---$/m);
});

test(
  "examples/ping.ts ends at Ctrl-C and at its deadline with the summary, which is all that -q prints",
  ROOT,
  async () => {
    {
      await using program = example("ping", ["127.0.0.1", "-i", "0.1"]);
      await program.printed(/icmp_seq=3 /);
      program.interrupt();
      assertMatch(await program.succeeded(), /\n(\d+) packets transmitted, \1 received, 0% packet loss, /);
    }
    await using program = example("ping", ["127.0.0.1", "-i", "0.1", "-w", "0.35", "-q"]);
    assertMatch(
      await program.succeeded(),
      /^PING .*\n\n--- 127\.0\.0\.1 ping statistics ---\n[2-4] packets transmitted, [2-4] received, .*\nrtt .*\n$/,
    );
  },
);

test("examples/ping.ts has help, and names what is wrong", DENO, async () => {
  await assertSpeaks("ping", [
    [[], /^Give one host; see --help\n$/],
    [["a", "b"], /^Give one host; see --help\n$/],
    [["-c", "0", "a"], /^Wrong value "0" for --count: it must be a whole number from 1 to 1000000000\n$/],
    [["-i", "0", "a"], /^Wrong value "0" for --interval: it must be a number from 0\.002 to 3600\n$/],
    [["-t", "1.5", "a"], /"1\.5" for --ttl: it must be a whole number from 1 to 255/],
    [["-s", "65508", "a"], /"65508" for --size/],
    [["-4", "-6", "a"], /^Give -4 or -6, not both; see --help\n$/],
    [["-I=", "a"], /^Give --interface a name or an address; see --help\n$/],
  ], ["-c", "-i", "-W", "-w", "-s", "-t", "-I", "-4", "-q"]);
});

test("examples/ping.ts says which permission is missing, and which name or interface there is not", ROOT, async () => {
  for (
    const [flags, permissions, said] of [
      [["127.0.0.1"], ["--allow-ffi"], /--allow-net/],
      [["127.0.0.1"], ["--allow-net"], /--allow-ffi/],
      [["127.0.0.1", "-I", "nothere0"], undefined, /SO_BINDTODEVICE.*ENODEV/],
      [["-6", "127.0.0.1"], undefined, /Cannot resolve "127\.0\.0\.1"/],
    ] as const
  ) {
    await using program = example("ping", flags, permissions);
    const { code, stderr } = await program.ended();
    assertEquals([code, said.test(stderr)], [2, true], stderr);
  }
});
