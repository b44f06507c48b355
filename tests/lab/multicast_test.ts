// Multicast and broadcast on a network: reports on the wire, what a switch then passes on, links that come and go, routers.
// The network: lab.ts. Single hosts: ../multicast/. Peers in C and Python: multicast_peers_test.ts.
import { assert, assertEquals } from "@std/assert";
import { interfaceIndexOf } from "../../internal/netif.ts";
import { joinGroup, type Membership, networkInterfaces } from "../../multicast/mod.ts";
import {
  IP_MULTICAST_ALL,
  IP_MULTICAST_IF,
  IP_MULTICAST_TTL,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  SO_BROADCAST,
  SO_MEMINFO,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
} from "../../options/mod.ts";
import { Socket } from "../../socket/mod.ts";
import { bindUdp } from "../../udp/mod.ts";
import { test } from "../needs.ts";
import { sleep, until } from "../time.ts";
import { CABLE } from "./cable.ts";
import { changesOf, LAB, type Lab, type Node, passOn, Tap, withLab } from "./lab.ts";

type Udp = Socket<"inet" | "inet6">;
type Family = "inet" | "inet6";

const PORT = 54361;
const FAMILIES = ["inet", "inet6"] as const;
const HOSTS = { inet: ["10.66.0.1", "10.66.0.2", "10.66.0.3"], inet6: ["fd66::1", "fd66::2", "fd66::3"] } as const;

function open(node: Node, family: Family, port = 0): Udp {
  const socket = node.inside(() => Socket.open(family, "dgram")) as Udp;
  (family === "inet" ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL).set(socket, false);
  socket.bind({ hostname: family === "inet" ? "0.0.0.0" : "::", port });
  return socket;
}

/** A socket that sends from an address, by a device. */
function sender(node: Node, family: Family, hostname: string, device = "eth0"): Udp {
  const socket = node.inside(() => Socket.open(family, "dgram")) as Udp;
  socket.bind({ hostname });
  node.inside(() => {
    if (family === "inet") IP_MULTICAST_IF.set(socket, hostname);
    else IPV6_MULTICAST_IF.set(socket, interfaceIndexOf(device, "Cannot test"));
  });
  return socket;
}

/** What has arrived, as text. */
function heard(socket: Udp): string[] {
  const all: string[] = [];
  for (let data; (data = socket.tryReceive()) !== null;) all.push(new TextDecoder().decode(data));
  return all;
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Starts tcpdump, which has begun when this is over; what comes back ends it and tells the records that it saw. */
async function tcpdump(lab: Lab, device: string, prefix: string): Promise<() => Promise<string[]>> {
  const line = `exec tcpdump -l -n -vv --immediate-mode -i ${device} 'igmp or ip6[40] == 58' 2>&1`;
  const program = lab.bridge.program("sh", "-c", line);
  while (!(await program.line()).includes("listening on"));
  const lines: string[] = [];
  const reading = (async () => {
    try {
      for (;;) lines.push(await program.line());
    } catch {
      // It was ended.
    }
  })();
  return async () => {
    await program[Symbol.asyncDispose]();
    await reading;
    const records = lines.join("\n").matchAll(/\[gaddr (\S+) (\w+) ?\{ ?([^}]*)\}/g);
    const words = Array.from(
      records,
      ([, group, kind, list]) => [kind, group, "{", ...list!.split(/[ ,]+/).filter(Boolean), "}"].join(" "),
    );
    return changesOf(words, prefix);
  };
}

for (const family of FAMILIES) {
  const [first, second] = HOSTS[family];
  const six = family === "inet6";

  test(`joins, blocks and leaves are seen on the wire as reports, and tcpdump sees them too, ${family}`, {
    ...LAB,
    run: ["ip", "tcpdump"],
  }, async () => {
    await withLab(async (lab) => {
      const prefix = six ? "ff05::3:" : "239.0.3.";
      const [any, chosen] = [`${prefix}1`, `${prefix}2`];
      using wire = new Tap(lab.bridge, "h2");
      const dump = await tcpdump(lab, "h2", prefix);
      using socket = open(lab.h2, family, PORT);
      const { h2 } = lab;
      const steps: [string, () => Promise<unknown>][] = [];
      let membership: Membership;
      const change = (record: string, call: () => Promise<unknown>) => void steps.push([record, call]);
      const join = (group: string, source?: string) =>
        h2.call(async () =>
          membership = await joinGroup(socket, {
            group,
            interface: "eth0",
            ...(source === undefined ? {} : { source }),
          })
        );
      change(`to_ex ${any} { }`, () => join(any));
      change(`block ${any} { ${first} }`, () => h2.call(() => membership.blockSource(first)));
      change(`allow ${any} { ${first} }`, () => h2.call(() => membership.unblockSource(first)));
      change(`to_in ${any} { ${second} }`, () => h2.call(() => membership.setSources("include", [second])));
      change(`to_ex ${any} { }`, () => h2.call(() => membership.setSources("exclude", [])));
      change(`to_in ${any} { }`, () => h2.call(() => membership.leave()));
      change(`allow ${chosen} { ${first} }`, () => join(chosen, first));
      change(`allow ${chosen} { ${second} }`, () => h2.call(() => membership.unblockSource(second)));
      change(`block ${chosen} { ${first} }`, () => h2.call(() => membership.blockSource(first)));
      change(`block ${chosen} { ${second} }`, () => h2.call(() => membership.leave()));
      for (const [record, call] of steps) {
        const before = wire.changes(prefix).length;
        await call();
        await wire.until(prefix, record, before);
        // Each change is told twice (RFC 3376 section 8.1), within ten milliseconds here: one told in two is another.
        await sleep(40);
      }
      const told = wire.changes(prefix);
      await sleep(50);
      assertEquals(await dump(), told);
    });
  });

  test(`what a switch passes on is what was asked for, by group and by sender, ${family}`, LAB, async () => {
    await withLab(async (lab) => {
      const group = six ? "ff35::3:3" : "232.0.3.3";
      using one = open(lab.h2, family, PORT);
      using other = open(lab.h3, family, PORT);
      using wire = new Tap(lab.h2, "eth0", six ? "ipv6" : "ip");
      using otherWire = new Tap(lab.h3, "eth0", six ? "ipv6" : "ip");
      using from1 = sender(lab.h1, family, first);
      using from4 = sender(lab.router, family, six ? "fd66::254" : "10.66.0.254");
      const far = six ? "fd66::254" : "10.66.0.254";
      const join = (node: Node, socket: Udp, source: string) =>
        node.call(() => joinGroup(socket, { group, source, interface: "eth0" }));
      const membership = await join(lab.h2, one, first);
      await join(lab.h3, other, far);
      await lab.asked(group, "h2", "h3");
      // A switch that has just begun floods, until those who ask must have been heard.
      let round = 0;
      const send = async () => {
        round++;
        await from1.sendTo(bytes(`one ${round}`), { hostname: group, port: PORT });
        await from4.sendTo(bytes(`router ${round}`), { hostname: group, port: PORT });
        await until(() =>
          wire.datagrams(PORT).concat(otherWire.datagrams(PORT)).filter((one) => one.endsWith(` ${round}`)).length > 1
        );
      };
      const floods = () =>
        wire.datagrams(PORT).includes(`router ${round}`) || otherWire.datagrams(PORT).includes(`one ${round}`);
      for (let i = 0; i === 0 || floods(); i++) {
        assert(i < 200, await lab.groups());
        await sleep(20);
        await send();
        await sleep(5);
      }
      // The sockets heard only what they asked for all the time, whatever the switch did.
      const mine = (words: string) => Array.from({ length: round }, (_, i) => `${words} ${i + 1}`);
      assertEquals([heard(one), heard(other)], [mine("one"), mine("router")]);
      // And the switch keeps it so, also when the other sender is asked for instead.
      await lab.h2.call(() => membership.setSources("include", [far]));
      for (let i = 0; i === 0 || wire.datagrams(PORT).includes(`one ${round}`); i++) {
        assert(i < 200, await lab.groups());
        await sleep(20);
        round++;
        await from1.sendTo(bytes(`one ${round}`), { hostname: group, port: PORT });
        await from4.sendTo(bytes(`router ${round}`), { hostname: group, port: PORT });
        await until(() => wire.datagrams(PORT).includes(`router ${round}`));
      }
      assert(heard(one).every((word) => word.startsWith("router")));
      // Nobody asks any more: nothing of it reaches the wire.
      await lab.h2.call(() => membership.leave());
      const count = (words: string) => wire.datagrams(PORT).filter((word) => word === words).length;
      for (let i = 0;; i++) {
        assert(i < 200, await lab.groups());
        await sleep(20);
        await from4.sendTo(bytes(`last ${i}`), { hostname: group, port: PORT });
        await until(() => otherWire.datagrams(PORT).includes(`last ${i}`));
        await sleep(5);
        if (count(`last ${i}`) === 0) break;
      }
    });
  });

  test(`blocking a sender on a network shuts that one out, ${family}`, LAB, async () => {
    await withLab(async (lab) => {
      const group = six ? "ff05::3:4" : "239.0.3.4";
      using socket = open(lab.h2, family, PORT);
      using from1 = sender(lab.h1, family, first);
      using from3 = sender(lab.h3, family, HOSTS[family][2]);
      const membership = await lab.h2.call(() => joinGroup(socket, { group, interface: "eth0" }));
      await lab.asked(group, "h2");
      const round = async (...expected: string[]) => {
        await from1.sendTo(bytes("one"), { hostname: group, port: PORT });
        await from3.sendTo(bytes("three"), { hostname: group, port: PORT });
        const all: string[] = [];
        await until(() => (all.push(...heard(socket)), all.length >= expected.length));
        await sleep(20);
        all.push(...heard(socket));
        assertEquals(all.toSorted(), expected);
      };
      await round("one", "three");
      await lab.h2.call(() => membership.blockSource(first));
      await round("three");
      await lab.h2.call(() => membership.unblockSource(first));
      await round("one", "three");
    });
  });

  test(`two interfaces keep apart, ${family}`, LAB, async () => {
    await withLab(async (lab) => {
      await lab.cable(lab.h1, lab.h2);
      // One for each round: of one that was just left the switch may pass on something or nothing for a moment.
      const [one, two, both] = [5, 55, 555].map((n) => six ? `ff02::3:${n}` : `239.0.3.${n % 250}`) as [
        string,
        string,
        string,
      ];
      using bridge = sender(lab.h1, family, first);
      using cable = sender(lab.h1, family, six ? "fd68::1" : "10.68.0.1", "eth1");
      using socket = open(lab.h2, family, PORT);
      const hears = async (group: string, expected: readonly string[]) => {
        for (const [words, from] of [["by eth0", bridge], ["by eth1", cable]] as const) {
          const device = from === bridge ? "eth0" : "eth1";
          const zone = six ? `%${lab.h1.inside(() => interfaceIndexOf(device, "Cannot test"))}` : "";
          await from.sendTo(bytes(words), { hostname: `${group}${zone}`, port: PORT });
        }
        const all: string[] = [];
        await until(() => (all.push(...heard(socket)), all.length >= expected.length));
        await sleep(20);
        all.push(...heard(socket));
        assertEquals(all.toSorted(), [...expected]);
      };
      for (const [group, where] of [[one, "eth0"], [two, "eth1"]] as const) {
        const membership = await lab.h2.call(() => joinGroup(socket, { group, interface: where }));
        if (where === "eth0") await lab.asked(group, "h2");
        await hears(group, [`by ${where}`]);
        await lab.h2.call(() => membership.leave());
        await hears(group, []);
      }
      await lab.h2.call(() => joinGroup(socket, { group: both, interface: ["eth0", "eth1"] }));
      await lab.asked(both, "h2");
      await hears(both, ["by eth0", "by eth1"]);
    });
  });

  test(`{ all: true } joins an interface that appears, and a link that flaps recovers, ${family}`, LAB, async () => {
    await withLab(async (lab) => {
      const group = six ? "ff05::3:6" : "239.0.3.6";
      using socket = open(lab.h2, family, PORT);
      const membership = await lab.h2.call(() => joinGroup(socket, { group, interface: { all: true } }));
      const changes: string[] = [];
      membership.onChange = ({ kind, interface: { name, up } }) => changes.push(`${kind} ${name} ${up}`);
      using from1 = sender(lab.h1, family, first);
      const arrives = async (from: Udp, words: string) => {
        await until(() => {
          // Nothing may be asked for, as addresses and links settle.
          try {
            from.trySendTo(bytes(words), { hostname: group, port: PORT });
          } catch (error) {
            if ((error as { code?: string }).code === undefined) throw error;
          }
          return heard(socket).includes(words);
        });
      };
      await arrives(from1, "at first");
      // A cable that was not there.
      await lab.cable(lab.h1, lab.h2);
      {
        using late = sender(lab.h1, family, six ? "fd68::1" : "10.68.0.1", "eth1");
        await arrives(late, "by the new cable");
      }
      assert(changes.includes("added eth1 false"), changes.join());
      // The host's end is switched off and on; then the switch's end, which forgets what was asked for.
      using wire = new Tap(lab.bridge, "h2");
      for (const [node, device] of [[lab.h2, "eth0"], [lab.bridge, "h2"]] as const) {
        changes.length = 0;
        // What was told before is told again no more.
        await sleep(100);
        await node.lines(`link set ${device} down`);
        await until(() => changes.includes("changed eth0 false"));
        const before = wire.changes(group).length;
        await node.lines(`link set ${device} up`);
        await until(() => changes.includes("changed eth0 true"));
        if (six && node === lab.h2) await lab.h2.lines("address replace fd66::2/64 dev eth0");
        await until(() => wire.changes(group).slice(before).includes(`to_ex ${group} { }`));
        await arrives(from1, `after ${device} was down`);
      }
      // The cable goes, and the rest stays.
      await lab.h1.lines("link delete eth1");
      await until(() => changes.some((change) => change.startsWith("removed eth1")));
      assertEquals(lab.h2.inside(() => membership.interfaces).toSorted(), ["eth0", "lo"]);
      await arrives(from1, "at last");
      await lab.h2.call(() => membership.leave());
    });
  });

  test(`the hop limit bounds the reach of a group, ${family}`, LAB, async () => {
    await withLab(async (lab) => {
      const group = six ? "ff05::3:7" : "239.0.3.7";
      using _routing = passOn(lab.router, group, first);
      using near = open(lab.h2, family, PORT);
      using far = open(lab.h4, family, PORT);
      for (const [node, socket] of [[lab.h2, near], [lab.h4, far]] as const) {
        await node.call(() => joinGroup(socket, { group, interface: "eth0" }));
      }
      await lab.asked(group, "h2");
      using from = sender(lab.h1, family, first);
      const hops = six ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL;
      const [atNear, atFar]: [string[], string[]] = [[], []];
      const collect = () => {
        atNear.push(...heard(near));
        atFar.push(...heard(far));
      };
      for (const limit of [1, 2, 3, 1, 2]) {
        hops.set(from, limit);
        await from.sendTo(bytes(`${limit}`), { hostname: group, port: PORT });
      }
      await until(() => {
        collect();
        return atNear.length === 5 && atFar.length === 3;
      });
      await sleep(20);
      collect();
      assertEquals([atNear, atFar], [["1", "2", "3", "1", "2"], ["2", "3", "2"]]);
    });
  });
}

test(
  "broadcast reaches its link, directed and limited, by the interface that is named, and no other",
  LAB,
  async () => {
    await withLab(async (lab) => {
      await lab.cable(lab.h1, lab.h2);
      const receivers = [lab.h2, lab.h3, lab.h4].map((node) => open(node, "inet", PORT));
      try {
        using from = lab.h1.inside(() => bindUdp({ broadcast: false }));
        const error = await from.send(bytes("no"), { hostname: "10.66.0.255", port: PORT }).catch((error) => error);
        assertEquals(error.code, "EACCES");
        SO_BROADCAST.set(from, true);
        const all: string[][] = [[], [], []];
        const collect = () => receivers.forEach((socket, i) => all[i]!.push(...heard(socket)));
        // Each interface says where its link's broadcasts go to.
        const directed = lab.h1.inside(networkInterfaces).flatMap(({ name, index, addresses }) =>
          addresses.flatMap(({ broadcast }) => broadcast === undefined ? [] : [{ name, index, broadcast }])
        );
        assertEquals(directed.map(({ name, broadcast }) => `${name} ${broadcast}`).toSorted(), [
          "eth0 10.66.0.255",
          "eth1 10.68.0.255",
        ]);
        for (const { name, index, broadcast } of directed) {
          await from.send(bytes(`directed ${name}`), { hostname: broadcast, port: PORT });
          const limited = { hostname: "255.255.255.255", port: PORT };
          await from.sendMessage({ data: bytes(`limited ${name}`), remoteAddr: limited, interfaceIndex: index });
        }
        // By no interface in particular it goes out by the route it has.
        await from.send(bytes("limited"), { hostname: "255.255.255.255", port: PORT });
        // To the link behind the router: routers pass no broadcast on (bc_forwarding is off).
        await from.send(bytes("behind"), { hostname: "10.67.0.255", port: PORT });
        await until(() => {
          collect();
          return all[0]!.length === 5 && all[1]!.length === 3;
        });
        await sleep(30);
        collect();
        const bridge = ["directed eth0", "limited", "limited eth0"];
        assertEquals(all.map((one) => one.toSorted()), [
          ["directed eth0", "directed eth1", "limited", "limited eth0", "limited eth1"],
          bridge,
          [],
        ]);
      } finally {
        for (const socket of receivers) socket.close();
      }
    });
  },
);

/** What a path does to datagrams. */
const PATHS: readonly { does: string; loss?: number; delay?: number; reorder?: number }[] = [
  { does: "nothing" },
  { does: "loss", loss: 0.1 },
  { does: "delay", delay: 20 },
  { does: "reordering", reorder: 0.1 },
  { does: "all of it", loss: 0.05, delay: 10, reorder: 0.05 },
];

/** One of ten that hear a group, and what it heard: each datagram by its number. */
class Receiver {
  readonly node: Node;
  readonly socket: Udp;
  readonly times: Uint8Array;
  count = 0;
  inOrder = true;
  /** The shortest way, in milliseconds. */
  fastest = Infinity;
  /** Length of the last datagram that only tries whether the way is open. */
  tried = 0;
  #last = -1;

  constructor(node: Node, family: Family, group: string, total: number) {
    this.node = node;
    this.socket = node.inside(() => Socket.open(family, "dgram")) as Udp;
    this.times = new Uint8Array(total);
    SO_REUSEADDR.set(this.socket, true);
    this.socket.bind({ hostname: group, port: PORT });
    SO_RCVBUFFORCE.set(this.socket, 8_000_000);
  }

  drain(buffer: Uint8Array<ArrayBuffer>): void {
    for (let data; (data = this.socket.tryReceive(buffer)) !== null;) {
      if (data.byteLength < 16) {
        this.tried = data.byteLength;
        continue;
      }
      const view = new DataView(data.buffer, data.byteOffset);
      const number = view.getUint32(0);
      this.count++;
      this.times[number]!++;
      this.inOrder &&= number > this.#last;
      this.#last = number;
      this.fastest = Math.min(this.fastest, performance.now() - view.getFloat64(8));
    }
  }
}

for (const family of FAMILIES) {
  test(`ten receivers at 20,000 datagrams a second lose what the path drops and nothing else, ${family}`, {
    ...LAB,
    ...CABLE,
  }, async () => {
    await withLab(async (lab) => {
      const RATE = 20_000, TOTAL = 20_000, BURST = 100;
      using from = sender(lab.h1, family, HOSTS[family][0]);
      const message = new Uint8Array(1200);
      const view = new DataView(message.buffer);
      const buffer = new Uint8Array(2048);
      // A group of its own for each: of one that was just left and joined again the switch may pass nothing for a moment.
      for (const [i, { does, loss = 0, delay = 0, reorder = 0 }] of PATHS.entries()) {
        const group = family === "inet" ? `239.0.3.${80 + i}` : `ff05::3:${80 + i}`;
        const receivers = Array.from(
          { length: 10 },
          (_, i) => new Receiver(i % 2 === 0 ? lab.h2 : lab.h3, family, group, TOTAL),
        );
        const drain = () => {
          for (const receiver of receivers) receiver.drain(buffer);
        };
        try {
          for (const { node, socket } of receivers) {
            await node.call(() => joinGroup(socket, { group, interface: "eth0" }));
          }
          await lab.asked(group, "h2", "h3");
          const to = { hostname: group, port: PORT };
          // The switch passes a group on once it has looked at the report. When the last of these is there, all are.
          for (const length of [1, 2]) {
            await until(() => {
              if (length === 1) from.trySendTo(new Uint8Array(length), to);
              drain();
              return receivers.every(({ tried }) => tried === length);
            });
            if (length === 1) assertEquals(from.trySendTo(new Uint8Array(2), to), 2);
          }
          const before = await lab.line.datagrams(PORT);
          for (const [name, value] of Object.entries({ loss, delay, reorder })) await lab.line.tell(`${name} ${value}`);
          const since = performance.now();
          for (let i = 0; i < TOTAL;) {
            for (let j = 0; j < BURST; j++) {
              view.setUint32(0, i++);
              view.setFloat64(8, performance.now());
              assertEquals(from.trySendTo(message, to), message.length);
            }
            drain();
            while (performance.now() - since < 1000 * i / RATE) await sleep(1);
          }
          const rate = Math.round(1000 * TOTAL / (performance.now() - since));
          const seen = async () => {
            const { passed, dropped, refused } = await lab.line.datagrams(PORT);
            return {
              passed: passed - before.passed,
              dropped: dropped - before.dropped,
              refused: refused - before.refused,
            };
          };
          let path = await seen();
          for (const end = performance.now() + 20_000; path.passed + path.dropped < TOTAL; path = await seen()) {
            assert(performance.now() < end, JSON.stringify(path));
            drain();
          }
          await until(() => (drain(),
            receivers.every((one) => one.count === (one.node === lab.h3 ? path.passed : TOTAL)))
          );
          // What came twice would come by now.
          await sleep(30);
          drain();
          console.log(`a path that does ${does}: ${rate} datagrams a second, ${path.dropped} of ${TOTAL} dropped`);
          assertEquals([path.passed + path.dropped, path.refused], [TOTAL, 0]);
          assertEquals(path.dropped > 0, loss > 0);
          for (const { node, socket, count, inOrder, times, fastest } of receivers) {
            const far = node === lab.h3;
            assertEquals([count, inOrder], [far ? TOTAL - path.dropped : TOTAL, !far || reorder === 0]);
            assert(times.every((one) => one <= 1), "one came twice");
            assert(fastest >= (far ? delay : 0), `after ${fastest} ms`);
            assertEquals(SO_MEMINFO.get(socket)[8], 0);
          }
        } finally {
          for (const name of ["loss", "delay", "reorder"]) await lab.line.tell(`${name} 0`);
          for (const { socket } of receivers) socket.close();
        }
      }
    }, "h3");
  });
}
