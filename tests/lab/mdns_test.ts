// examples/mdns.ts with others that do the same, in network namespaces: Avahi, and Python's zeroconf. Needs root.
// By itself, over loopback: tests/examples/mdns_test.ts.
import { Buffer } from "node:buffer";
import { assert, assertEquals, assertMatch } from "@std/assert";
// @ts-types="../../examples/dns_packet.d.ts"
import { decode, encode } from "npm:dns-packet@5.6.1";
import type { DnsPacket, DnsQuestion, DnsRecord } from "../../examples/dns_packet.d.ts";
import { listenMulticast, type MulticastSocket } from "../../multicast/mod.ts";
import { bindUdp, type UdpSocket } from "../../udp/mod.ts";
import { example, Program } from "../examples/program.ts";
import { type Needs, test } from "../needs.ts";
import { sleep } from "../time.ts";
import { LAB, type Lab, type Node, Tap, withLab } from "./lab.ts";

const TYPE = "_http._tcp";
/** With the address of the peer. */
/** What differs between them: the address of the other machine, the group, and all addresses of this one. */
const FAMILIES = [
  { family: "IPv4", theirs: "10.66.0.2", group: "224.0.0.251", wildcard: "0.0.0.0" },
  { family: "IPv6", theirs: "fd66::2", group: "ff02::fb", wildcard: "::" },
] as const;
/** zeroconf is Debian's, for Debian's Python, which may not be the first one in PATH. */
const PYTHON = "/usr/bin/python3";
const AVAHI = {
  ...LAB,
  run: [...LAB.run!, "dbus-daemon", "avahi-daemon", "avahi-browse", "avahi-publish"],
  write: true,
};
const ZEROCONF = { ...LAB, files: [PYTHON, "/usr/lib/python3/dist-packages/zeroconf"] };

function mdns(host: Node, ...flags: readonly string[]): Program {
  return example("mdns", flags, undefined, host.enter);
}

/** Finds and announces services on another host, over one family alone. */
interface Peer {
  /** Prints services; `found`, with host, address, port and text, and `lost` say how. */
  browse(): Program;
  found(name: string, device?: string): RegExp;
  lost(name: string): RegExp;
  /** Announces "NAME", port 9090, "color=blue". */
  announce(name: string): Program;
  readonly announced: RegExp;
  /** What it calls its host. */
  readonly host: string;
}

/** Runs a test with Avahi on a host: in its namespace, with a folder /run and a D-Bus of its own. */
async function withAvahi(host: Node, family: string, body: (peer: Peer) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const address = `unix:path=${folder}/bus`;
    await Deno.writeTextFile(
      `${folder}/bus.conf`,
      `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
        "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
      <busconfig>
        <type>system</type>
        <listen>${address}</listen>
        <auth>EXTERNAL</auth>
        <policy context="default">
          <allow send_destination="*" eavesdrop="true"/><allow receive_sender="*"/><allow own="*"/>
        </policy>
      </busconfig>`,
    );
    await Deno.writeTextFile(
      `${folder}/avahi.conf`,
      `[server]
host-name=avahi-peer
use-ipv4=${family === "IPv4" ? "yes" : "no"}
use-ipv6=${family === "IPv6" ? "yes" : "no"}
[wide-area]
enable-wide-area=no
[publish]
publish-workstation=no
publish-aaaa-on-ipv4=no
publish-a-on-ipv6=no
`,
    );
    await using bus = new Program("dbus-daemon", [`--config-file=${folder}/bus.conf`, "--nofork", "--print-address"]);
    await bus.printed(/^unix:/m);
    const inside = (...command: readonly string[]) => {
      const [program, ...args] = [...host.enter, "env", `DBUS_SYSTEM_BUS_ADDRESS=${address}`, ...command];
      return new Program(program!, args);
    };
    const daemon = `mount -t tmpfs none /run && exec avahi-daemon --no-drop-root --no-chroot --no-rlimits ` +
      `--file=${folder}/avahi.conf 2>&1`;
    await using avahi = inside("sh", "-c", daemon);
    await avahi.printed(/Server startup complete/);
    // It writes spaces as "\032".
    const escaped = (name: string) => name.replaceAll(/[ ()]/g, (c) => `\\\\0${c.charCodeAt(0)}`);
    await body({
      browse: () => inside("avahi-browse", "--resolve", "--parsable", "--no-db-lookup", TYPE),
      found: (name, device = "eth0") =>
        new RegExp(
          `^=;${device};${family};${
            escaped(name)
          };${TYPE};local;(?<host>.*);(?<address>.*);(?<port>\\d+);"?(?<text>.*?)"?$`,
          "m",
        ),
      lost: (name) => new RegExp(`^-;eth0;${family};${escaped(name)};${TYPE};local$`, "m"),
      announce: (name) => inside("sh", "-c", `exec avahi-publish -s '${name}' ${TYPE} 9090 color=blue 2>&1`),
      announced: /^Established/m,
      host: "avahi-peer.local",
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function withZeroconf(host: Node, family: string, body: (peer: Peer) => Promise<void>): Promise<void> {
  const { theirs: address } = FAMILIES.find((one) => one.family === family)!;
  const inside = (...args: readonly string[]) => {
    const [program, ...rest] = [...host.enter, PYTHON, "tests/lab/peers/zeroconf_peer.py", family, ...args];
    return new Program(program!, rest);
  };
  const escaped = (name: string) => name.replaceAll(/[()]/g, "\\$&");
  await body({
    browse: () => inside("browse", TYPE),
    found: (name) =>
      new RegExp(
        `^found ${escaped(name)}\\.${TYPE}\\.local\\. (?<host>.*)\\. (?<port>\\d+) (?<address>.*) (?<text>.*)$`,
        "m",
      ),
    lost: (name) => new RegExp(`^lost ${escaped(name)}\\.${TYPE}\\.local\\.$`, "m"),
    announce: (name) => inside("announce", name, TYPE, "9090", address, "color=blue"),
    announced: /^announced$/m,
    host: "zeroconf-peer.local",
  });
}

/** A test over IPv4 and IPv6, both at once, as most of it is waiting. */
function overBoth(name: string, needs: Needs, body: (over: typeof FAMILIES[number]) => Promise<void>): void {
  test(`${name}, IPv4 and IPv6`, needs, async () => {
    const ended = await Promise.allSettled(FAMILIES.map(body));
    for (const one of ended) if (one.status === "rejected") throw one.reason;
  });
}

for (const [name, needs, withPeer] of [["Avahi", AVAHI, withAvahi], ["zeroconf", ZEROCONF, withZeroconf]] as const) {
  overBoth(`${name} finds and loses what examples/mdns.ts announces`, needs, async ({ family }) => {
    await withLab(({ h1, h2 }) =>
      withPeer(h2, family, async (peer) => {
        await using browser = peer.browse();
        await using service = mdns(h1, "--announce", "Our page", "--port", "8081", "--txt", "path=/x");
        await service.printed(/^announced "Our page" as _http\._tcp, port 8081$/m);
        const { host, address, port, text } = (await browser.printed(peer.found("Our page"))).groups!;
        assertMatch(host!, /^deno-[0-9a-f]{8}\.local$/);
        // Which of them Avahi shows is its own choice.
        for (const one of address!.split(" ")) assertMatch(one, /^(10\.66\.0\.1|fd66::1|fe80::.*)$/);
        assertEquals([port, text], ["8081", "path=/x"]);
        service.interrupt();
        assertMatch(await service.succeeded(), /^said goodbye$/m);
        await browser.printed(peer.lost("Our page"));
      })
    );
  });

  overBoth(`examples/mdns.ts finds and loses what ${name} announces`, needs, async ({ family, theirs }) => {
    await withLab(({ h1, h2 }) =>
      withPeer(h2, family, async (peer) => {
        await using browser = mdns(h1, "--browse", TYPE);
        await browser.printed(/^looking/);
        await using service = peer.announce("Their page");
        await service.printed(peer.announced);
        const [, host, what] = await browser.printed(
          /^(?:found|changed) "Their page" on eth0: (\S+):9090 (.*) color=blue$/m,
        );
        assertEquals(host, peer.host);
        assertEquals(what!.split(" ").includes(theirs), true, what);
        service.interrupt();
        await browser.printed(/^lost "Their page" on eth0/m);
        // One that comes later asks, and is told what was announced before.
        await using again = peer.announce("Their page");
        await again.printed(peer.announced);
        await using late = mdns(h1, "--browse", TYPE, "--count", "1", "--timeout", "20");
        assertMatch(await late.succeeded(), /^found "Their page" on eth0: /m);
      })
    );
  });

  overBoth(`examples/mdns.ts and ${name} share a machine and its port`, needs, async ({ family }) => {
    await withLab(({ h2 }) =>
      withPeer(h2, family, async (peer) => {
        await using browser = peer.browse();
        await using ours = mdns(h2, "--announce", "Our page", "--port", "8081", "--txt", "path=/x");
        await ours.printed(/^announced "Our page"/m);
        assertEquals((await browser.printed(peer.found("Our page"))).groups!.port, "8081");
        await using search = mdns(h2, "--browse", TYPE);
        await using theirs = peer.announce("Their page");
        await theirs.printed(peer.announced);
        await search.printed(/^found "Their page" on eth0: /m);
        await search.printed(/^found "Our page" on eth0: /m);
      })
    );
  });

  overBoth(`examples/mdns.ts takes another name than one that ${name} has`, needs, async ({ family }) => {
    await withLab(({ h1, h2 }) =>
      withPeer(h2, family, async (peer) => {
        await using theirs = peer.announce("Page");
        await theirs.printed(peer.announced);
        await using browser = peer.browse();
        await using ours = mdns(h1, "--announce", "Page", "--port", "8081");
        await ours.printed(/^announced "Page \(2\)"/m);
        assertEquals((await browser.printed(peer.found("Page"))).groups!.port, "9090");
        assertEquals((await browser.printed(peer.found("Page (2)"))).groups!.port, "8081");
      })
    );
  });
}

test("examples/mdns.ts without flags keeps to the loopback interface", LAB, async () => {
  await withLab(async ({ h1 }) => {
    using tap = new Tap(h1, "eth0");
    await using program = mdns(h1);
    assertMatch(await program.succeeded(), /^found/m);
    assertEquals([tap.datagrams(5353), tap.changes("224.0.0.251"), tap.changes("ff02::fb")], [[], [], []]);
  });
});

test("examples/mdns.ts is found on an interface that appears later, with the addresses of that", AVAHI, async () => {
  await withLab((lab) =>
    withAvahi(lab.h2, "IPv4", async (peer) => {
      await using browser = peer.browse();
      await using service = mdns(lab.h1, "--announce", "Page");
      await service.printed(/^announced/m);
      await browser.printed(peer.found("Page"));
      await lab.cable(lab.h1, lab.h2);
      assertMatch(
        (await browser.printed(peer.found("Page", "eth1"))).groups!.address!,
        /^(10\.68\.0\.1|fd68::1|fe80::.*)$/,
      );
    })
  );
});

/** A message with questions; with the bit, if so, that asks for an answer by unicast, which the encoder does not know. */
function query(
  questions: readonly DnsQuestion[],
  answers: readonly DnsRecord[] = [],
  unicast = false,
  id = 0,
): Uint8Array {
  const bytes = encode({ id, questions, answers });
  if (unicast) bytes[bytes.byteLength - 2]! |= 0x80;
  return bytes;
}

function typesOf(records: readonly DnsRecord[]): string {
  return [...new Set(records.map(({ type }) => type))].sort().join(" ");
}

/** Opens a socket in the group on h2, and waits until the bridge knows, which passes on 224.0.0.0/24 in any case. */
async function listen(lab: Lab, group: string): Promise<MulticastSocket<"hopLimit" | "timestamp">> {
  const socket = await lab.h2.call(() =>
    listenMulticast({ group, port: 5353, interface: "eth0", metadata: ["hopLimit", "timestamp"] })
  );
  if (group.includes(":")) await lab.asked(group, "h2");
  return socket;
}

/** The next response, or query, that comes; with its hop limit, and the second in which it came. */
async function next(
  socket: UdpSocket<"hopLimit" | "timestamp">,
  type: "query" | "response",
): Promise<Required<DnsPacket> & { hopLimit: number; seconds: number }> {
  while (true) {
    const { data, hopLimit, timestamp } = await socket.receiveMessage({ signal: AbortSignal.timeout(20_000) });
    const packet = decode(Buffer.from(data));
    if (packet.type === type) return { ...packet, hopLimit, seconds: Number(timestamp / 1_000_000n) / 1_000 };
  }
}

overBoth(
  "examples/mdns.ts probes, announces twice and says goodbye, as is seen on the wire",
  LAB,
  async ({ group }) => {
    await withLab(async (lab) => {
      using socket = await listen(lab, group);
      await using service = mdns(lab.h1, "--announce", "Page");
      const hopLimits: number[] = [];
      for (let i = 0; i < 3; i++) {
        const { questions, authorities, hopLimit } = await next(socket, "query");
        assertEquals(questions[0], { name: `Page.${TYPE}.local`, type: "ANY", class: "IN" });
        assertEquals(typesOf(authorities), "A AAAA SRV TXT");
        hopLimits.push(hopLimit);
      }
      const announcements = [await next(socket, "response"), await next(socket, "response")] as const;
      for (const { answers, flags, hopLimit } of announcements) {
        assertEquals(typesOf(answers), "A AAAA PTR SRV TXT");
        // It has the authority, and a record is the only one of its kind unless many may have it.
        assertEquals(flags! & 0x0400, 0x0400);
        assert(answers.every(({ type, flush, ttl }) => flush === (type !== "PTR") && ttl! >= 120));
        hopLimits.push(hopLimit);
      }
      const apart = announcements[1].seconds - announcements[0].seconds;
      assert(apart >= 0.99, `${apart}`);
      service.interrupt();
      const goodbye = await next(socket, "response");
      assert(goodbye.answers.every(({ ttl }) => ttl === 0));
      assert(goodbye.answers.some(({ type, data }) => type === "PTR" && data === `Page.${TYPE}.local`));
      assertEquals([...hopLimits, goodbye.hopLimit], Array(6).fill(255));
      await service.succeeded();
    });
  },
);

overBoth("examples/mdns.ts answers whom it should, and how", LAB, async ({ group, wildcard }) => {
  await withLab(async (lab) => {
    using socket = await listen(lab, group);
    await using service = mdns(lab.h1, "--announce", "Page");
    await service.printed(/^announced/m);
    for (let i = 0; i < 2; i++) await next(socket, "response");
    // A second after the last announcement everything may be said again.
    await sleep(1_000);
    const question = { name: `${TYPE}.local`, type: "PTR" } as const;
    const known = { ...question, ttl: 4_500, data: `Page.${TYPE}.local` };

    // Asked twice, it is said once within a second: the next that comes here is another answer.
    for (let i = 0; i < 2; i++) await socket.sendToGroup(query([question]));
    const answer = await next(socket, "response");
    assertEquals([typesOf(answer.answers), typesOf(answer.additionals)], ["PTR", "A AAAA SRV TXT"]);
    await sleep(1_000);
    // What the asker knows is not said.
    await socket.sendToGroup(query([question, { name: `Page.${TYPE}.local`, type: "TXT" }], [known]));
    assertEquals(typesOf((await next(socket, "response")).answers), "TXT");
    // But it is, when that holds for less than half of its time yet.
    await socket.sendToGroup(query([question], [{ ...known, ttl: 2_249 }]));
    assertEquals(typesOf((await next(socket, "response")).answers), "PTR");

    // By unicast: to one that wants it so; and to one that knows DNS alone, as a server would, for a short time.
    const answerOf = async (port: number, bytes: Uint8Array) => {
      using asker = lab.h2.inside(() =>
        bindUdp({ hostname: wildcard, port, reuseAddress: true, multicast: { interface: "eth0", loopback: false } })
      );
      await asker.send(bytes, { hostname: group, port: 5353 });
      const [data] = await asker.receive(undefined, { signal: AbortSignal.timeout(20_000) });
      return decode(Buffer.from(data));
    };
    const wanted = await answerOf(5353, query([question], [], true));
    assertEquals([typesOf(wanted.answers), wanted.answers[0]!.ttl, wanted.questions], ["PTR", 4_500, []]);
    const simple = await answerOf(0, query([question], [], false, 4_711));
    assertEquals(typesOf(simple.answers), "PTR");
    assertEquals([simple.id, simple.questions], [4_711, [{ ...question, class: "IN" }]]);
    assert([...simple.answers, ...simple.additionals].every(({ ttl, flush }) => ttl! <= 10 && !flush));
    // What asks for another operation than a query, or tells of a failure, is no question (RFC 6762 section 18).
    const { name: host } = answer.additionals.find(({ type }) => type === "A")!;
    for (const [at, bit] of [[2, 0x08], [3, 0x01]] as const) {
      const foreign = query([{ name: host, type: "A" }]);
      foreign[at]! |= bit;
      await socket.sendToGroup(foreign);
    }
    // The group heard none of that.
    await socket.sendToGroup(query([{ name: `Page.${TYPE}.local`, type: "SRV" }]));
    assertEquals(typesOf((await next(socket, "response")).answers), "SRV");
  });
});

overBoth(
  "examples/mdns.ts asks for what it lacks, says what it knows and forgets what it should",
  LAB,
  async ({ group, wildcard }) => {
    await withLab(async (lab) => {
      using socket = await listen(lab, group);
      await using browser = mdns(lab.h1, "--browse", TYPE);
      const asked = async (type: string) => {
        while (true) {
          const message = await next(socket, "query");
          if (message.questions.some((question) => question.type === type)) return message;
        }
      };
      const tell = (...answers: readonly DnsRecord[]) => encode({ type: "response", answers });
      const [name, host] = [`Page.${TYPE}.local`, "peer.local"];
      const page: DnsRecord = { name: `${TYPE}.local`, type: "PTR", ttl: 4_500, data: name };
      const at = (port: number): DnsRecord => {
        return { name, type: "SRV", ttl: 120, flush: true, data: { priority: 0, weight: 0, port, target: host } };
      };
      const { questions, answers, hopLimit } = await asked("PTR");
      assertEquals([questions, answers, hopLimit], [[{ name: page.name, type: "PTR", class: "IN" }], [], 255]);
      await socket.sendToGroup(tell(page));
      assertEquals((await asked("SRV")).questions.map(({ name, type }) => [name, type]), [[name, "SRV"], [
        name,
        "TXT",
      ]]);
      // Nobody but a responder, which has its port, is believed.
      using stranger = lab.h2.inside(() => bindUdp({ hostname: wildcard, multicast: { interface: "eth0" } }));
      await stranger.send(tell(at(1)), { hostname: group, port: 5353 });
      await socket.sendToGroup(
        tell(at(9_090), { name, type: "TXT", ttl: 4_500, flush: true, data: ["color=blue\x1b[0m"] }),
      );
      assertEquals((await asked("A")).questions.map(({ name, type }) => [name, type]), [[host, "A"], [host, "AAAA"]]);
      await socket.sendToGroup(tell({ name: host, type: "A", ttl: 120, flush: true, data: "10.66.0.2" }));
      await browser.printed(/^found "Page" on eth0: peer\.local:9090 10\.66\.0\.2 color=blue\?\[0m$/m);
      // It need not be told again.
      const { answers: known } = await asked("PTR");
      assertEquals(known.map(({ name, type, data }) => [name, type, data]), [[page.name, "PTR", name]]);
      assert(known[0]!.ttl! > 4_400 && known[0]!.ttl! <= 4_500, `${known[0]!.ttl}`);
      // What is told now replaces what was told more than a second ago.
      await sleep(1_000);
      await socket.sendToGroup(tell(at(9_091)));
      await browser.printed(/^changed "Page" on eth0: peer\.local:9091 10\.66\.0\.2 color=blue\?\[0m$/m);
      await socket.sendToGroup(tell({ ...page, ttl: 0 }));
      await browser.printed(/^lost "Page" on eth0/m);
      browser.interrupt();
      assertEquals((await browser.succeeded()).trimEnd().split("\n").length, 4);
    });
  },
);
