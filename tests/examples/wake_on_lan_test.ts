// examples/wake_on_lan.ts as its task runs it, and between network namespaces, with Python at the other end.
// What the library's broadcast does: tests/lab/multicast_test.ts, tests/udp/.
import { assertEquals, assertMatch } from "@std/assert";
import { type Namespace, NAMESPACES, withPair } from "../multicast/namespace.ts";
import { test } from "../needs.ts";
import { assertSpeaks, example, task } from "./program.ts";

const LINUX = { run: [], linux: true };
const MAC = "00:11:22:aa:bb:cc";

test("examples/wake_on_lan.ts by itself hears both broadcasts over loopback", LINUX, async () => {
  await using program = task("wake_on_lan");
  const printed = await program.succeeded();
  assertEquals(printed.replaceAll(/:\d+ by/g, ":PORT by").trimEnd().split("\n"), [
    "sent to 127.255.255.255:PORT by lo",
    "sent to 255.255.255.255:PORT by lo",
    "magic packet for 02:00:00:00:00:01, sent to 127.255.255.255, by lo",
    "magic packet for 02:00:00:00:00:01, sent to 255.255.255.255, by lo",
  ]);
});

test("examples/wake_on_lan.ts has help, and names what is wrong", { run: [] }, async () => {
  const six = "it must be six pairs of hexadecimal digits";
  await assertSpeaks("wake_on_lan", [
    [["--port", "0"], /^Wrong value "0" for --port: it must be a whole number from 1 to 65535\n$/],
    [["--count", "many"], /"many" for --count/],
    [[MAC, MAC], /^Give one address/],
    [[MAC, "--listen"], /an address or --listen, not both/],
  ], ["MAC", "--listen", "--port", "--interface"]);
  for (const [flags, said] of [[["00:11:22:aa:bb"], six], [["00:11:22:aa:bb:cg"], six]] as const) {
    await using program = example("wake_on_lan", flags);
    const { code, stderr } = await program.ended();
    assertEquals([code, stderr.includes(`Wrong address "${flags[0]}": ${said}`)], [2, true], stderr);
  }
  await using nowhere = example("wake_on_lan", [MAC, "--interface", "nowhere0"]);
  assertMatch((await nowhere.ended()).stderr, /^No interface is "nowhere0"; there are: .*lo/);
});

/** Gives the ends of the cable networks with broadcast addresses. */
async function prepare(left: Namespace, right: Namespace): Promise<void> {
  for (const [i, end] of [left, right].entries()) {
    await end.ip("address", "add", `10.55.0.${i + 1}/24`, "broadcast", "10.55.0.255", "dev", end.device);
  }
}

test("examples/wake_on_lan.ts is heard by Python, by each interface or by one", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    await prepare(left, right);
    for (
      const [flags, by] of [
        [[], ["left0 10.55.0.255", "left0 255.255.255.255", "spare0 255.255.255.255", "spare1 255.255.255.255"]],
        [["--interface", "left0"], ["left0 10.55.0.255", "left0 255.255.255.255"]],
        [["--interface", "10.77.0.1"], ["left0 10.55.0.255", "left0 255.255.255.255"]],
      ] as const
    ) {
      await using python = right.python(`
import socket
fd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fd.bind(("0.0.0.0", 9))
print("ready")
for _ in range(2):
    data, peer = fd.recvfrom(2048)
    print(data == b"\\xff" * 6 + bytes.fromhex("001122aabbcc") * 16, len(data))
`);
      assertEquals(await python.line(), "ready");
      await using program = example("wake_on_lan", [MAC, ...flags], undefined, left.enter);
      const sent = (await program.succeeded()).matchAll(/^sent to (\S+):9 by (\S+)$/gm);
      assertEquals(Array.from(sent, ([, to, by]) => `${by} ${to}`).toSorted(), [...by]);
      assertEquals(await python.rest(), ["True 102", "True 102"]);
    }
  });
});

test(
  "examples/wake_on_lan.ts sends by the other interfaces when one refuses",
  { ...NAMESPACES, run: ["ip", "nft"] },
  async () => {
    await withPair(async (left, right) => {
      await prepare(left, right);
      // By a firewall: EPERM.
      await left.exec(
        "nft",
        "add table ip f; add chain ip f out { type filter hook output priority 0; }; " +
          'add rule ip f out oifname "spare0" udp dport 9 drop',
      );
      const sent = async (...flags: string[]) => {
        await using program = example("wake_on_lan", [MAC, ...flags], undefined, left.enter);
        const { code, stdout, stderr } = await program.ended();
        return [code, Array.from(stdout.matchAll(/by (\S+)$/gm), ([, by]) => by).toSorted().join(), stderr];
      };
      const refused = "spare0: Cannot send";
      const [code, by, said] = await sent();
      assertEquals([code, by, String(said).slice(0, refused.length)], [0, "left0,left0,spare1", refused]);
      assertEquals((await sent("--interface", "spare0")).slice(0, 2), [1, ""]);
    });
  },
);

test(
  "examples/wake_on_lan.ts --listen hears Python, and takes nothing else for a magic packet",
  NAMESPACES,
  async () => {
    await withPair(async (left, right) => {
      await prepare(left, right);
      await using listener = example("wake_on_lan", ["--listen", "--count", "2"], undefined, left.enter);
      await listener.printed(/^listening on port 9$/m);
      await using python = right.python(`
import socket
fd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fd.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
card = bytes.fromhex("001122aabbcc")
for data in [b"", b"\\xff" * 102, b"\\xff" * 6 + card * 15 + b"\\x00" * 6, b"before" + b"\\xff" * 6 + card * 16 + b"pass"]:
    fd.sendto(data, ("10.55.0.255", 9))
`);
      assertEquals(await python.rest(), []);
      const printed = await listener.succeeded();
      // Six bytes of ones and sixteen times six more are a packet, too, for everybody's card.
      assertEquals(printed.trimEnd().split("\n").slice(1), [
        "magic packet for ff:ff:ff:ff:ff:ff, sent to 10.55.0.255, by left0",
        `magic packet for ${MAC}, sent to 10.55.0.255, by left0`,
      ]);
    });
  },
);
