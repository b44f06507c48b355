// examples/ping.ts over a cable and through routers: hop limits, loss, what the network says, and ping of iputils beside it.
// Over loopback, its flags and its users: ../examples/ping_test.ts.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { example, Program } from "../examples/program.ts";
import { type Namespace, NAMESPACES, withPair, withRoute } from "../multicast/namespace.ts";
import { sleep, test } from "../socket/make.ts";

const LAB = { ...NAMESPACES, read: true, write: true, env: true };
/** The first router, the second, and what is behind them. */
const HOPS = {
  4: ["10.77.1.2", "10.77.2.2", "10.77.3.2"],
  6: ["fd77:1::2", "fd77:2::2", "fd77:3::2"],
} as const;

function ping(from: Namespace, ...flags: string[]): Program {
  return example("ping", flags, undefined, from.enter);
}

/** Answers of ping of both kinds without the times, which differ, and a blank that ping has and later ones have not. */
function plain(text: string): string {
  return text.replace(/^PING (\S+?) ?\(/, "PING $1 (")
    .replaceAll(/time=[\d.]+ ms/g, "time=T ms").replaceAll(/time \d+ms/g, "time T")
    .replace(/= [\d.\/]+ ms/, "= T ms").trim();
}

test("examples/ping.ts prints what ping of iputils prints", { ...LAB, run: [...LAB.run!, "ping"] }, async () => {
  await withRoute(async (near) => {
    // The first packets of all find neighbours.
    for (const hosts of Object.values(HOPS)) {
      await using program = ping(near, hosts[2], "-c", "1", "-W", "10");
      await program.succeeded();
    }
    for (const hosts of Object.values(HOPS)) {
      for (
        const flags of [[], ["-t", "3"], ["-s", "1400"], ["-q"], ["-t", "1"], ["-t", "2"], ["-I", "right1", "-s", "16"]]
      ) {
        const all = ["-c", "2", "-i", "0.2", "-W", "1", ...flags, hosts[2]];
        await using ours = ping(near, ...all);
        const [enter, ...rest] = near.enter;
        await using theirs = new Program(enter!, [...rest, "ping", ...all]);
        const [our, their] = [await ours.ended(), await theirs.ended()];
        // It names the address that belongs to an interface.
        const wanted = plain(their.stdout).replace(/from \S+ right1:/, "from right1:");
        assertEquals([our.code, plain(our.stdout)], [their.code, wanted], `${all}: ${our.stderr}`);
      }
    }
  });
});

test("examples/ping.ts shows the hop limit that is left of an answer", LAB, async () => {
  await withRoute(async (near) => {
    for (const hosts of Object.values(HOPS)) {
      for (const [i, host] of hosts.entries()) {
        await using program = ping(near, host, "-c", "1", "-W", "5");
        assertMatch(
          await program.succeeded(),
          new RegExp(`^64 bytes from ${host}: icmp_seq=1 ttl=${64 - i} time=`, "m"),
        );
      }
    }
  });
});

test("examples/ping.ts counts what is dropped, and says who refused", LAB, async () => {
  await withRoute(async (near) => {
    {
      await using program = ping(near, "10.98.0.1", "-c", "3", "-i", "0.1", "-W", "0.2");
      const { code, stdout } = await program.ended();
      assertEquals(code, 1);
      assertMatch(
        stdout,
        /^PING .*\n\n--- 10\.98\.0\.1 ping statistics ---\n3 packets transmitted, 0 received, 100% packet loss, time \d+ms\n$/,
      );
    }
    await using program = ping(near, "10.99.0.1", "-c", "1", "-W", "5");
    const { code, stdout } = await program.ended();
    assertEquals(code, 1);
    assertMatch(
      stdout,
      /\nFrom 10\.77\.2\.2 icmp_seq=1 Destination Host Unreachable\n\n.*\n1 packets transmitted, 0 received, \+1 errors, 100% packet loss, /,
    );
  });
});

test("examples/ping.ts counts a part of the answers lost when a router begins to drop them", LAB, async () => {
  await withRoute(async (near, _first, second) => {
    await using program = ping(near, "10.77.3.2", "-i", "0.05");
    await program.printed(/icmp_seq=3 /);
    await second.ip("route", "add", "blackhole", "10.77.1.0/24");
    await sleep(500);
    program.interrupt();
    const printed = await program.succeeded();
    const answers = printed.match(/^64 bytes from/gm)!.length;
    const [, sent, received, loss] = /^(\d+) packets transmitted, (\d+) received, ([\d.]+)% packet loss/m.exec(
      printed,
    )!;
    assertEquals(Number(received), answers);
    assert(answers >= 3 && Number(sent) > answers, printed);
    assertEquals(Number(loss), Number(((1 - answers / Number(sent)) * 100).toPrecision(6)));
  });
});

test("examples/ping.ts tells the answers of all members of a group, the later ones as duplicates", LAB, async () => {
  await withPair(async (left) => {
    await using program = ping(left, "ff02::1%left0", "-i", "0.2");
    const [, sequence] = await program.printed(/icmp_seq=(\d+) ttl=64 \(DUP!\)$/m);
    program.interrupt();
    const printed = await program.succeeded();
    const answers = printed.match(new RegExp(`^64 bytes from fe80::\\S+: icmp_seq=${sequence} ttl=64 .*$`, "gm"))!;
    assertEquals(answers.map((line) => line.endsWith(" (DUP!)")), [false, true], printed);
    assertEquals(new Set(answers.map((line) => line.split(" ")[3])).size, 2);
    assertMatch(printed, /^\d+ packets transmitted, \d+ received, \+\d+ duplicates, /m);
  });
});
