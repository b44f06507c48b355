// examples/ssdp.ts with minissdpd, which keeps the list of devices for other programs and answers searches, in network
// namespaces. Needs root. By itself, over loopback: tests/examples/ssdp_test.ts.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { listenMulticast } from "../../multicast/mod.ts";
import { bindUdp } from "../../udp/mod.ts";
import { example, Program } from "../examples/program.ts";
import { test } from "../needs.ts";
import { sleep, until } from "../time.ts";
import { LAB, type Node, Tap, withLab } from "./lab.ts";

const NEEDS = { ...LAB, run: [...LAB.run!, "minissdpd"], write: true };
const TYPE = "urn:schemas-upnp-org:device:Basic:1";
const UUID = "01234567-89ab-cdef-0123-456789abcdef";
/** The group, flags of minissdpd, and how the hosts are seen to ask and answer: over IPv6 by a link-local address. */
const FAMILIES = [
  ["IPv4", "239.255.255.250", [], "10\\.66\\.0\\."],
  ["IPv6", "ff02::c", ["-6"], "fe80::"],
] as const;

function ssdp(host: Node, ...flags: readonly string[]): Program {
  return example("ssdp", flags, undefined, host.enter);
}

/** How many messages of a kind were sent to a group. */
function sent(tap: Tap, kind: string, group: string): number {
  return tap.datagrams(1900).filter((text) => text.startsWith(kind) && text.includes(group)).length;
}

/** minissdpd on a host; programs talk to it over a unix socket. */
class Minissdpd implements AsyncDisposable {
  readonly #folder: string;
  readonly #program: Program;

  private constructor(folder: string, program: Program) {
    this.#folder = folder;
    this.#program = program;
  }

  static async start(host: Node, flags: readonly string[]): Promise<Minissdpd> {
    const folder = await Deno.makeTempDir();
    const [program, ...args] = [...host.enter, "minissdpd", "-d", "-i", "eth0", "-s", `${folder}/socket`, ...flags];
    const started = new Minissdpd(folder, new Program(program!, [...args, "-p", `${folder}/pid`]));
    for (let i = 0;; i++) {
      try {
        await started.devices();
        return started;
      } catch (error) {
        if (i === 1000) throw error;
        await sleep(10);
      }
    }
  }

  /** Sends a request with texts, each behind its length, and reads as much as is said to come back. */
  async #request(kind: number, texts: readonly string[], answers: boolean): Promise<string[]> {
    const bytes = texts.flatMap((text) => [text.length, ...new TextEncoder().encode(text)]);
    using connection = await Deno.connect({ transport: "unix", path: `${this.#folder}/socket` });
    await connection.write(Uint8Array.from([kind, ...bytes]));
    if (!answers) return [];
    const next = async (length: number): Promise<Uint8Array> => {
      const buffer = new Uint8Array(length);
      for (let filled = 0; filled < length;) {
        const got = await connection.read(buffer.subarray(filled));
        if (got === null) throw new Error("minissdpd ended the answer");
        filled += got;
      }
      return buffer;
    };
    const [count] = await next(1);
    const list: string[] = [];
    for (let i = 0; i < 3 * count!; i++) {
      const [length] = await next(1);
      list.push(new TextDecoder().decode(await next(length!)));
    }
    return list;
  }

  /** The devices that announced themselves: of each where its description is, what it is, and its name. */
  async devices(): Promise<string[]> {
    return await this.#request(3, ["ssdp:all"], true);
  }

  /** Waits until it knows these devices and no others. */
  async knows(devices: readonly string[]): Promise<void> {
    for (let i = 0;; i++) {
      const known = await this.devices();
      if (known.length === devices.length && devices.every((text) => known.includes(text))) return;
      assert(i < 1000, `it knows ${JSON.stringify(known)}`);
      await sleep(10);
    }
  }

  /** Has it answer for a service. */
  async submit(target: string, name: string, server: string, location: string): Promise<void> {
    await this.#request(4, [target, name, server, location], false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

test("examples/ssdp.ts without flags keeps to the loopback interface", LAB, async () => {
  await withLab(async ({ h1 }) => {
    using tap = new Tap(h1, "eth0");
    await using program = ssdp(h1);
    assertMatch(await program.succeeded(), /^found/m);
    assertEquals([tap.datagrams(1900), tap.changes("239.255.255.250"), tap.changes("ff02::c")], [[], [], []]);
  });
});

test("examples/ssdp.ts believes what answers its question alone, and prints no control characters", LAB, async () => {
  await withLab(async ({ h1, h2 }) => {
    using socket = await h2.call(() => listenMulticast({ group: "239.255.255.250", port: 1900, interface: "eth0" }));
    await using search = ssdp(h1, "--search", TYPE, "--count", "1");
    const asked = await socket.receiveMessage({ signal: AbortSignal.timeout(20_000) });
    assertMatch(
      new TextDecoder().decode(asked.data),
      new RegExp(`^M-SEARCH \\* HTTP/1\\.1\r\nHOST: 239\\.255\\.255\\.250:1900\r\n(.*\r\n)*ST: ${TYPE}\r\n\r\n$`),
    );
    const answer = (first: string, target: string, name: string) =>
      socket.reply(asked, new TextEncoder().encode(`${first}\r\nst:${target}\r\nUsn: ${name}\r\nLOCATION: x\r\n\r\n`));
    await answer("NOTIFY * HTTP/1.1", TYPE, "uuid:1");
    // Much space is much to think about for one who tries every way to part it.
    await answer(`HTTP/1.1 200 OK\r\nX:${" ".repeat(15_000)}\u2028x\u2028x`, "urn:other", "uuid:0");
    await answer("HTTP/1.1 404 Not Found", TYPE, "uuid:2");
    await answer("HTTP/1.1 200 OK", "urn:other", "uuid:3");
    await answer("HTTP/1.1 200 OK", TYPE, "uuid:4\x1b[0m");
    assertEquals(await search.succeeded(), "found uuid:4?[0m at x from 10.66.0.2 on eth0\n1 answered\n");
  });
});

test("examples/ssdp.ts answers who says how long to wait for it, and nobody else", LAB, async () => {
  await withLab(async (lab) => {
    const { h1, h2 } = lab;
    await using device = ssdp(h1, "--serve", TYPE, "--uuid", UUID);
    await device.printed(/^serving/m);
    const group = "239.255.255.250";
    await lab.asked(group, "h1");
    using socket = h2.inside(() => bindUdp({ multicast: { interface: "eth0" } }));
    const search = (ST: string, ...more: string[]) => {
      const lines = [
        "M-SEARCH * HTTP/1.1",
        `HOST: ${group}:1900`,
        'MAN: "ssdp:discover"',
        `ST: ${ST}`,
        ...more,
        "",
        "",
      ];
      return socket.send(new TextEncoder().encode(lines.join("\r\n")), { hostname: group, port: 1900 });
    };
    // What is answered at once would come before what may wait.
    for (const more of [[], ["MX: 0"], ["MX: -1"], ["MX: soon"]]) await search("upnp:rootdevice", ...more);
    await search(TYPE, "MX: 1");
    const [data] = await socket.receive(undefined, { signal: AbortSignal.timeout(20_000) });
    assertMatch(new TextDecoder().decode(data), new RegExp(`\r\nST: ${TYPE}\r\n`));
  });
});

for (const [family, group, flags, prefix] of FAMILIES) {
  test(`examples/ssdp.ts finds what minissdpd answers for, ${family}`, NEEDS, async () => {
    await withLab(async ({ h1, h2 }) => {
      await using peer = await Minissdpd.start(h2, flags);
      const name = `uuid:${UUID}::${TYPE}`;
      await peer.submit(TYPE, name, "Lab/1 UPnP/1.1 Test/1", "http://10.66.0.2:8080/theirs.xml");
      using tap = new Tap(h1, "eth0");
      await using search = ssdp(h1, "--search", TYPE, "--timeout", "20");
      await search.printed(
        new RegExp(
          `^found ${name} at http://10\\.66\\.0\\.2:8080/theirs\\.xml from ${prefix}\\S+ on eth0$`,
          "m",
        ),
      );
      // It asks twice.
      await until(() => sent(tap, "M-SEARCH", group) === 2);
      // It has no other.
      await using other = ssdp(h1, "--search", `uuid:${UUID}`, "--timeout", "2");
      assertMatch(await other.succeeded(), /^0 answered$/m);
    });
  });

  test(`minissdpd knows what examples/ssdp.ts announces, until its goodbye, ${family}`, NEEDS, async () => {
    await withLab(async (lab) => {
      const { h1, h2 } = lab;
      // Alone it is the one that is heard.
      if (family === "IPv6") await h1.ip("-4", "address", "flush", "dev", "eth0");
      const location = family === "IPv4" ? "http://10.66.0.1:8080/ours.xml" : "http://[fd66::1]:8080/ours.xml";
      const start = () => ssdp(h1, "--serve", TYPE, "--uuid", UUID, "--location", location);
      const known = [
        ...[location, "upnp:rootdevice", `uuid:${UUID}::upnp:rootdevice`],
        ...[location, `uuid:${UUID}`, `uuid:${UUID}`],
        ...[location, TYPE, `uuid:${UUID}::${TYPE}`],
      ];
      {
        await using peer = await Minissdpd.start(h2, flags);
        await lab.asked(group, "h2");
        await using device = start();
        await peer.knows(known);
        device.interrupt();
        assertMatch(await device.succeeded(), /^said goodbye$/m);
        await peer.knows([]);
      }
      // One that starts when all is announced, which is done twice, asks at its start, and is answered.
      using tap = new Tap(h1, "eth0");
      await using device = start();
      await device.printed(/^serving/m);
      await until(() => sent(tap, "NOTIFY", group) === 6);
      await lab.asked(group, "h1");
      await using peer = await Minissdpd.start(h2, flags);
      await peer.knows(known);
    });
  });
}
