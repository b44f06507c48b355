// examples/traceroute.ts through two routers: each hop with its hop limits, what does not answer, what refuses.
// Over loopback, its flags and its users: ../examples/traceroute_test.ts. The error queue itself: error_queue_test.ts.
import { assertEquals, assertMatch } from "@std/assert";
import { example, type Program, withNobody } from "../examples/program.ts";
import { type Namespace, NAMESPACES, withRoute } from "../multicast/namespace.ts";
import { test } from "../socket/make.ts";

const LAB = {
  ...NAMESPACES,
  read: true,
  write: true,
  env: true,
  run: [...NAMESPACES.run!, "setpriv", "cp", "chmod", "env"],
};
const WAYS = [
  ["10.77.1.2", "10.77.2.2", "10.77.3.2"],
  ["fd77:1::2", "fd77:2::2", "fd77:3::2"],
] as const;

function traceroute(from: Namespace, flags: readonly string[], by: readonly string[] = []): Program {
  return example("traceroute", flags, undefined, [...from.enter, ...by]);
}

/** What a program printed, with single blanks. */
function plain(text: string): string {
  return text.replaceAll(/ +/g, " ");
}

/** The whole of what is printed for a way of three hops with two datagrams each. */
function printedFor(way: readonly string[]): RegExp {
  const lines = way.map((address, i) => {
    const answer = `\\d+\\.\\d{3} ms \\(ttl ${64 - i}\\)`;
    return ` ${i + 1}  ${address}  ${answer}  ${answer}\n`;
  });
  const bytes = way[2]!.includes(":") ? 80 : 60;
  return new RegExp(`^traceroute to ${way[2]} \\(${way[2]}\\), 30 hops max, ${bytes} byte packets\n${lines.join("")}$`);
}

test("examples/traceroute.ts shows each hop, and answers with ever fewer hops left", LAB, async () => {
  await withRoute(async (near) => {
    for (const way of WAYS) {
      await using program = traceroute(near, [way[2], "--back", "-q", "2", "-w", "10"]);
      assertMatch(await program.succeeded(), printedFor(way));
    }
  });
});

test("examples/traceroute.ts needs no privilege", LAB, async () => {
  await withRoute(async (near) => {
    await withNobody(async (nobody) => {
      for (const way of WAYS) {
        await using program = traceroute(near, [way[2], "--back", "-q", "2", "-w", "10"], nobody);
        assertMatch(await program.succeeded(), printedFor(way));
      }
    });
  });
});

test("examples/traceroute.ts begins and ends at the hops it is told, at its ports, by its interface", LAB, async () => {
  await withRoute(async (near, _first, _second, far) => {
    await using answers = far.python(`
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("", 40001))
    print("listening")
    data, (address, _) = server.recvfrom(2048)
    print(len(data), address)
    server.sendto(b"here", (address, _))`);
    assertEquals(await answers.line(), "listening");
    const flags = ["-f", "2", "-q", "1", "-p", "40000", "-i", "right1", "-s", "10.77.1.1", "10.77.3.2", "100"];
    await using program = traceroute(near, flags);
    // The second datagram reaches somebody, who answers.
    assertMatch(
      plain(await program.succeeded()),
      /byte packets\n 2 10\.77\.2\.2 [\d.]+ ms\n 3 10\.77\.3\.2 [\d.]+ ms\n$/,
    );
    assertEquals(await answers.rest(), ["72 10.77.1.1"]);
    await using short = traceroute(near, ["-m", "2", "-q", "1", "10.77.3.2"]);
    const { code, stdout } = await short.ended();
    assertEquals([code, stdout.trim().split("\n").length], [1, 3], stdout);
  });
});

test("examples/traceroute.ts shows what does not answer, and ends where there is no way", LAB, async () => {
  await withRoute(async (near) => {
    {
      await using program = traceroute(near, ["10.98.0.1", "-m", "4", "-w", "0.3"]);
      const { code, stdout } = await program.ended();
      assertEquals(code, 1);
      // The second router drops it without a look at the hop limit.
      assertMatch(
        plain(stdout),
        /packets\n 1 10\.77\.1\.2( [\d.]+ ms){3}\n 2 \* \* \*\n 3 \* \* \*\n 4 \* \* \*\n$/,
      );
    }
    await using program = traceroute(near, ["10.99.0.1", "-q", "1", "-w", "5"]);
    const { code, stdout } = await program.ended();
    assertEquals(code, 1);
    assertMatch(plain(stdout), /\n 1 10\.77\.1\.2 [\d.]+ ms\n 2 10\.77\.2\.2 [\d.]+ ms !H\n$/);
  });
});

test("examples/traceroute.ts of IPv6 says where a packet was too long", LAB, async () => {
  await withRoute(async (near, _first, second, far) => {
    await second.ip("link", "set", "right3", "mtu", "1280");
    await far.ip("link", "set", "left3", "mtu", "1280");
    await using program = traceroute(near, ["fd77:3::2", "1400", "-q", "2", "-w", "10"]);
    assertMatch(
      plain(await program.succeeded()),
      /\n 3 fd77:2::2 [\d.]+ ms !F-1280 fd77:3::2 [\d.]+ ms\n$/,
    );
  });
});
