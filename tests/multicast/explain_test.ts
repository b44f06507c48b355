// explainMulticast: every fault is produced, silences the receiver where that can be seen, and is found, alone; and with
// nothing wrong nothing is called a fault. What it reads of filters: membership_test.ts; of routes: ../netlink_test.ts.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { interfaceIndexOf } from "../../internal/netif.ts";
import { explainMulticast, isMulticast, listenMulticast, type MulticastFinding } from "../../multicast/mod.ts";
import {
  IP_MULTICAST_ALL,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  IPV6_V6ONLY,
  MCAST_BLOCK_SOURCE,
  MCAST_JOIN_GROUP,
  MCAST_JOIN_SOURCE_GROUP,
  SO_BINDTODEVICE,
  SO_RCVBUF,
} from "../../options/mod.ts";
import { internetChecksum, Socket } from "../../socket/mod.ts";
import { bindUdp } from "../../udp/mod.ts";
import { test } from "../needs.ts";
import { assertWithin, sleep, until } from "../time.ts";
import { OTHER_PROGRAM, runWith } from "../udp/other_program.ts";
import { type Namespace, NAMESPACES, withPair } from "./namespace.ts";

type Udp = Socket<"inet" | "inet6">;

/** What a test over the loopback interface needs. */
const LOOPBACK = { ffi: true, linux: true };
const PORT = 54351;
const ORDER: readonly MulticastFinding["check"][] = [
  "membership",
  "interface",
  "bind",
  "port",
  "hopLimit",
  "loopback",
  "source",
  "link",
  "route",
  "reversePath",
  "igmpVersion",
  "drops",
  "firewall",
];

/** A group of a family, its receiver on the left, and a sender on the right. */
class Stage implements Disposable {
  readonly six: boolean;
  readonly group: string;
  readonly source: string;
  readonly receiver: Udp;
  readonly sender: Udp;
  readonly #left: Namespace;

  constructor(left: Namespace, right: Namespace, family: "inet" | "inet6", hostname?: string, port = PORT) {
    this.six = family === "inet6";
    this.group = this.six ? "ff05::4:1" : "239.0.4.1";
    this.source = this.six ? "fd77::2" : "10.77.0.2";
    this.#left = left;
    this.receiver = left.inside(() => Socket.open(family, "dgram"));
    this.sender = right.inside(() => Socket.open(family, "dgram"));
    // What others join is not what is looked at here.
    (this.six ? IPV6_MULTICAST_ALL : IP_MULTICAST_ALL).set(this.receiver, false);
    if (port > 0) this.receiver.bind({ hostname: hostname ?? (this.six ? "::" : "0.0.0.0"), port });
    this.sender.bind({ hostname: this.source });
    right.inside(() => {
      if (this.six) IPV6_MULTICAST_IF.set(this.sender, interfaceIndexOf("right0", "Cannot test"));
      else IP_MULTICAST_IF.set(this.sender, this.source);
    });
  }

  join(device = "left0", source?: string): void {
    const request = { group: this.group, interface: device };
    this.#left.inside(() =>
      source === undefined
        ? MCAST_JOIN_GROUP.set(this.receiver, request)
        : MCAST_JOIN_SOURCE_GROUP.set(this.receiver, { ...request, source })
    );
  }

  block(source: string): void {
    const request = { group: this.group, interface: "left0", source };
    this.#left.inside(() => MCAST_BLOCK_SOURCE.set(this.receiver, request));
  }

  /** All that is found, with everything said that can be. */
  explain(options: Partial<Parameters<typeof explainMulticast>[1]> = {}): MulticastFinding[] {
    const all = { group: this.group, port: PORT, interface: "left0", source: this.source, ...options };
    const findings = this.#left.inside(() => explainMulticast(this.receiver, all));
    assertEquals(findings.map(({ check }) => check), ORDER);
    for (const { message } of findings) assert(message.length > 0);
    return findings;
  }

  /** The faults that are found, and the message of the first. */
  faults(options?: Partial<Parameters<typeof explainMulticast>[1]>): [checks: string, message: string] {
    const found = this.explain(options).filter(({ verdict }) => verdict === "fault");
    return [found.map(({ check }) => check).join(), found[0]?.message ?? ""];
  }

  verdict(check: MulticastFinding["check"], options?: Partial<Parameters<typeof explainMulticast>[1]>): string {
    return this.explain(options).find((one) => one.check === check)!.verdict;
  }

  /** Whether a datagram of the sender arrives. */
  async hears(sender = this.sender): Promise<boolean> {
    await sender.sendTo(Uint8Array.of(1), { hostname: this.group, port: PORT });
    for (let i = 0; i < 10; i++) {
      if (this.receiver.tryReceive() !== null) return true;
      await sleep(5);
    }
    return false;
  }

  [Symbol.dispose](): void {
    this.receiver[Symbol.dispose]();
    this.sender[Symbol.dispose]();
  }
}

test("explainMulticast() blames no sender for what the loopback interface does not heed", LOOPBACK, async () => {
  for (const multicast of [{ loopback: false }, { hopLimit: 0 }, { hopLimit: 0, loopback: false }]) {
    const group = "239.0.4.9";
    using receiver = await listenMulticast({ group, port: 0, interface: "lo" });
    const { port } = receiver.addr;
    using sender = bindUdp({ multicast: { ...multicast, interface: "lo" } });
    await sender.send(new Uint8Array(3), { hostname: group, port });
    const [data] = await assertWithin(5_000, receiver.receive());
    assertEquals(data.byteLength, 3);
    const findings = explainMulticast(receiver, { group, port, sender });
    assertEquals(findings.filter(({ verdict }) => verdict === "fault"), []);
  }
});

const FAMILIES = ["inet", "inet6"] as const;

for (const family of FAMILIES) {
  const stages = (name: string, body: (left: Namespace, right: Namespace) => Promise<void>) =>
    test(`explainMulticast(): ${name}, ${family}`, NAMESPACES, () => withPair(body));

  stages("with nothing wrong nothing is a fault, whatever is told", async (left, right) => {
    for (const hostname of [undefined, family === "inet" ? "239.0.4.1" : "ff05::4:1"]) {
      using stage = new Stage(left, right, family, hostname);
      stage.join();
      assert(await stage.hears());
      assertEquals(stage.faults(), ["", ""]);
      const verdicts = stage.explain({ sender: stage.sender }).map(({ check, verdict }) => `${check} ${verdict}`);
      assertEquals(verdicts, ORDER.map((check) => `${check} ${check === "firewall" ? "unknown" : "fine"}`));
      const nothing = left.inside(() => explainMulticast(stage.receiver, { group: stage.group }));
      assertEquals(nothing.filter(({ verdict }) => verdict === "fault"), []);
      const open = nothing.filter(({ verdict }) => verdict === "unknown").map(({ check }) => check);
      assertEquals(open, ["interface", "port", "hopLimit", "loopback", "firewall"]);
      // With a filter that lets the sender pass, too.
      stage.block(family === "inet" ? "10.77.0.9" : "fd77::9");
      assertEquals(stage.faults(), ["", ""]);
      assertEquals(stage.verdict("source", { source: undefined as never }), "unknown");
      assert(await stage.hears());
    }
  });

  stages("a sender that is bound to the group sends from another address, which is no fault", async (left, right) => {
    using stage = new Stage(left, right, family);
    stage.join("left0", stage.source);
    using sender = right.inside(() => Socket.open(family, "dgram")) as Udp;
    sender.bind({ hostname: stage.group, port: PORT });
    right.inside(() => {
      if (stage.six) IPV6_MULTICAST_IF.set(sender, interfaceIndexOf("right0", "Cannot test"));
      else IP_MULTICAST_IF.set(sender, stage.source);
    });
    const told = { sender, source: undefined as never };
    assertEquals(stage.faults(told), ["", ""]);
    assertEquals([stage.verdict("source", told), stage.verdict("route", told)], ["unknown", "fine"]);
    const { message } = stage.explain(told).find(({ check }) => check === "source")!;
    assertStringIncludes(message, `heard on left0 are only ${stage.source}: give`);
    if (!stage.six) assert(await stage.hears(sender));
  });

  stages("not joined, and joined on another interface", async (left, right) => {
    using stage = new Stage(left, right, family);
    assert(!await stage.hears());
    const [check, message] = stage.faults();
    assertEquals(check, "membership");
    assertStringIncludes(message, "call joinGroup()");
    stage.join("spare0");
    assert(!await stage.hears());
    const [second, words] = stage.faults();
    assertEquals(second, "interface");
    assertStringIncludes(words, "joined on spare0, but expected on left0");
    stage.join("left0");
    assert(await stage.hears());
    assertEquals(stage.faults(), ["", ""]);
    // Bound to another interface, it hears nothing of this one.
    left.inside(() => SO_BINDTODEVICE.set(stage.receiver, "spare0"));
    assert(!await stage.hears());
    const [third, reason] = stage.faults();
    assertEquals(third, "interface");
    assertStringIncludes(reason, "bound to interface spare0 (SO_BINDTODEVICE)");
  });

  stages("what others have joined is heard while they have, and no fault", async (left, right) => {
    using stage = new Stage(left, right, family);
    using other = new Stage(left, right, family, undefined, PORT + 1);
    other.join();
    assertEquals([await stage.hears(), stage.faults()[0]], [false, "membership"]);
    (stage.six ? IPV6_MULTICAST_ALL : IP_MULTICAST_ALL).set(stage.receiver, true);
    assertEquals([await stage.hears(), stage.faults()], [true, ["", ""]]);
    const [{ message }] = stage.explain() as [MulticastFinding];
    assertStringIncludes(message, "this socket has not joined, but other sockets of this machine have, on left0");
  });

  stages("bound to an own address, to another group, to nothing, connected", async (left, right) => {
    const own = family === "inet" ? "10.77.0.1" : "fd77::1";
    for (const hostname of [own, family === "inet" ? "239.0.4.9" : "ff05::4:9"]) {
      using stage = new Stage(left, right, family, hostname);
      stage.join();
      assert(!await stage.hears());
      const [check, message] = stage.faults();
      assertEquals(check, "bind");
      assertStringIncludes(message, `bound to ${hostname}`);
      assertEquals(isMulticast(hostname), hostname !== own);
    }
    using stage = new Stage(left, right, family, undefined, 0);
    stage.join();
    assertEquals(stage.faults()[0], "port");
    // Connecting chooses an own address, which the group is not; bound to the group, it hears its peer alone.
    using alone = new Stage(left, right, family);
    alone.join();
    await alone.receiver.connect({ hostname: alone.source, port: alone.sender.localAddr!.port });
    assertEquals([await alone.hears(), alone.faults()[0]], [false, "bind"]);
    alone.receiver.close();
    const group = family === "inet" ? "239.0.4.1" : "ff05::4:1";
    const other = family === "inet" ? "10.77.0.9" : "fd77::9";
    for (const hostname of [other, alone.source]) {
      using connected = new Stage(left, right, family, group);
      connected.join();
      await connected.receiver.connect({ hostname, port: connected.sender.localAddr!.port });
      const deaf = hostname === other;
      assertEquals([await connected.hears(), connected.faults()[0]], [!deaf, deaf ? "bind" : ""]);
      assertEquals(connected.verdict("bind", { source: undefined as never }), "unknown");
    }
  });

  stages("the wrong port", async (left, right) => {
    using stage = new Stage(left, right, family, undefined, PORT + 1);
    stage.join();
    assert(!await stage.hears());
    const [check, message] = stage.faults();
    assertEquals(check, "port");
    assertStringIncludes(message, `hears port ${PORT + 1}, but port ${PORT} is sent to`);
    assertEquals(stage.verdict("port", { port: undefined as never }), "unknown");
  });

  stages("a sender whose hop limit is 0, or whose loopback is off", async (left, right) => {
    using stage = new Stage(left, right, family);
    stage.join();
    const { sender } = stage;
    assert(await stage.hears());
    const hops = stage.six ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL;
    hops.set(sender, 0);
    // Linux keeps it in only when somebody has joined on the sender's own machine.
    assert(await stage.hears());
    using there = right.inside(() => Socket.open(family, "dgram")) as Udp;
    right.inside(() => MCAST_JOIN_GROUP.set(there, { group: stage.group, interface: "right0" }));
    assert(!await stage.hears());
    assertEquals(stage.faults({ sender })[0], "hopLimit");
    hops.set(sender, 1);
    // For loopback the sender is on the receiver's machine.
    using here = left.inside(() => Socket.open(family, "dgram")) as Udp;
    left.inside(() => {
      if (stage.six) IPV6_MULTICAST_IF.set(here, interfaceIndexOf("left0", "Cannot test"));
      else IP_MULTICAST_IF.set(here, "10.77.0.1");
    });
    assert(await stage.hears(here));
    assertEquals(stage.faults({ sender: here, interface: undefined as never })[0], "");
    const loop = stage.six ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP;
    loop.set(here, false);
    assert(!await stage.hears(here));
    const [check, message] = stage.faults({ sender: here });
    assertEquals(check, "loopback");
    assertStringIncludes(message, `${loop.name} of the sender is off`);
    // On another machine it is nothing to this one, and neither is the index of an interface there.
    loop.set(sender, false);
    hops.set(sender, 1);
    assert(await stage.hears());
    for (const device of ["right0", "spare0"]) {
      if (stage.six) right.inside(() => IPV6_MULTICAST_IF.set(sender, interfaceIndexOf(device, "Cannot test")));
      assertEquals(stage.faults({ sender, interface: undefined as never }), ["", ""]);
      assertEquals(stage.faults({ sender }), ["", ""]);
    }
  });

  stages("a source that is blocked, or not included", async (left, right) => {
    using blocking = new Stage(left, right, family);
    blocking.join();
    blocking.block(blocking.source);
    assert(!await blocking.hears());
    const [check, message] = blocking.faults();
    assertEquals(check, "source");
    assertStringIncludes(message, `${blocking.source} is blocked on left0: call unblockSource()`);
    const other = family === "inet" ? "10.77.0.9" : "fd77::9";
    assertEquals(blocking.faults({ source: other }), ["", ""]);
    blocking.receiver.close();
    using picky = new Stage(left, right, family);
    picky.join("left0", other);
    assert(!await picky.hears());
    const [second, words] = picky.faults();
    assertEquals(second, "source");
    assertStringIncludes(words, `not among the senders that are included on left0, ${other}`);
    picky.join("left0", picky.source);
    assert(await picky.hears());
    assertEquals(picky.faults(), ["", ""]);
  });

  stages("an interface that is down, that has no link, or does not multicast", async (left, right) => {
    using stage = new Stage(left, right, family);
    stage.join();
    for (const [end, device] of [[left, "left0"], [right, "right0"]] as const) {
      await end.ip("link", "set", device, "down");
      const [check, message] = stage.faults();
      assertEquals(check, "link");
      assertStringIncludes(message, "left0 is down or has no link");
      await end.ip("link", "set", device, "up");
    }
    await left.ip("link", "set", "left0", "multicast", "off");
    const [check, message] = stage.faults();
    assertEquals(check, "link");
    assertStringIncludes(message, "left0 does not multicast");
    await left.ip("link", "set", "left0", "multicast", "on");
  });

  stages("no route for a sender or a join that names no interface", async (left, right) => {
    using stage = new Stage(left, right, family);
    stage.join();
    using lost = left.inside(() => Socket.open(family, "dgram")) as Udp;
    // IPv4 does not tell by which interface without an address a socket was told to send, so there is to be none.
    assertEquals(stage.faults({ sender: lost })[0], "");
    for (const device of ["spare0", "spare1"]) {
      await left.ip("address", "add", `10.48.${device.at(-1)}.1/24`, "dev", device);
    }
    if (stage.six) {
      // Every interface is a route to IPv6 groups, as long as there is one.
      for (const device of ["left0", "spare0", "spare1"]) {
        await left.ip("-6", "route", "del", "multicast", "ff00::/8", "dev", device, "table", "local");
      }
    }
    const [check, message] = stage.faults({ sender: lost });
    assertEquals(check, "route");
    assertStringIncludes(message, "the sender was told no interface");
    const error = await lost.sendTo(Uint8Array.of(1), { hostname: stage.group, port: PORT }).catch((error) => error);
    assertEquals(error.code, "ENETUNREACH");
    // One that has a route is in order.
    const net = stage.six ? "ff05::/16" : "239.0.0.0/8";
    await left.ip(...stage.six ? ["-6"] : [], "route", "add", ...stage.six ? ["multicast"] : [], net, "dev", "left0");
    assertEquals(stage.faults({ sender: lost }), ["", ""]);
  });

  stages("IGMP or MLD of another version", async (left, right) => {
    using stage = new Stage(left, right, family);
    stage.join();
    const [key, old] = stage.six
      ? ["net.ipv6.conf.left0.force_mld_version", "1"]
      : ["net.ipv4.conf.left0.force_igmp_version", "2"];
    left.sysctl(key, old);
    const [check, message] = stage.faults();
    assertEquals(check, "igmpVersion");
    assertStringIncludes(message, `is forced to version ${old} on left0`);
    assertStringIncludes(message, key);
    left.sysctl(key, stage.six ? "2" : "3");
    assertEquals(stage.faults(), ["", ""]);
    left.sysctl(key, "0");
    left.sysctl(key.replace("left0", "all"), old);
    assertEquals(stage.faults()[0], "igmpVersion");
    await Promise.resolve();
  });

  stages("a buffer that overflowed", async (left, right) => {
    using stage = new Stage(left, right, family);
    stage.join();
    SO_RCVBUF.set(stage.receiver, 2000);
    for (let i = 0; i < 50; i++) {
      await stage.sender.sendTo(new Uint8Array(1000), { hostname: stage.group, port: PORT });
    }
    const [check, message] = stage.faults();
    assertEquals(check, "drops");
    const lost = Number(/^(\d+) datagrams/.exec(message)?.[1]);
    let kept = 0;
    while (stage.receiver.tryReceive() !== null) kept++;
    assertEquals(lost + kept, 50);
  });
}

test("explainMulticast(): a reverse path filter that drops what comes from another way", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    using stage = new Stage(left, right, "inet");
    stage.join();
    // The way back to 10.50.0.0/16 is another interface; to 10.51.0.0/16 there is none.
    await left.ip("address", "add", "10.49.0.1/24", "dev", "spare0");
    await left.ip("route", "add", "10.50.0.0/16", "dev", "spare0");
    for (const source of ["10.50.0.2", "10.51.0.2"]) {
      await right.ip("address", "add", `${source}/32`, "dev", "right0");
      using sender = right.inside(() => Socket.open("inet", "dgram"));
      sender.bind({ hostname: source });
      right.inside(() => IP_MULTICAST_IF.set(sender, "10.77.0.2"));
      const nowhere = source === "10.51.0.2";
      for (const where of ["left0", "all"]) {
        for (const mode of [0, 1, 2]) {
          left.sysctl(`net.ipv4.conf.${where}.rp_filter`, String(mode));
          const drops = mode === 1 || (mode === 2 && nowhere);
          assertEquals(await stage.hears(sender), !drops, `${source} ${where} ${mode}`);
          const [checks, message] = stage.faults({ source });
          assertEquals(
            checks,
            !drops ? "" : nowhere ? "route,reversePath" : "reversePath",
            `${source} ${where} ${mode}`,
          );
          if (drops && !nowhere) {
            assertStringIncludes(message, `rp_filter of left0 is ${mode}, and the way back to ${source} is spare0`);
          }
          // The neighbour is in order whatever the filter.
          assertEquals([await stage.hears(), stage.faults()], [true, ["", ""]]);
        }
        left.sysctl(`net.ipv4.conf.${where}.rp_filter`, "0");
      }
    }
  });
});

test("explainMulticast(): a sender by an interface whose address another has too", NAMESPACES, async () => {
  await withPair(async (left) => {
    await left.ip("address", "add", "10.77.0.1/32", "dev", "spare0");
    const output = await left.run(
      `for (const name of ["left0", "spare0"]) {
         const to = { group: "239.0.4.2", interface: name };
         using socket = await multicast.listenMulticast({ ...to, port: 0 });
         await socket.sendToGroup(new Uint8Array(1));
         await socket.receive();
         const { port } = socket.addr;
         const faults = multicast.explainMulticast(socket, { group: to.group, port, sender: socket })
           .filter(({ verdict }) => verdict === "fault");
         console.log(faults.map(({ message }) => message).join() || "none");
       }`,
    );
    assertEquals(output.split("\n"), ["none", "none"]);
  });
});

test(
  "explainMulticast(): a socket of listenMulticast() that filters by group and by interface",
  NAMESPACES,
  async () => {
    await withPair(async (left) => {
      const output = await left.run(
        `const explained = (socket, options) => {
         const found = multicast.explainMulticast(socket, { port: socket.addr.port, ...options })
           .filter(({ verdict }) => verdict === "fault");
         console.log(found.map(({ check, message }) => check + ": " + message).join() || "none");
       };
       // Somebody else has joined on spare0, and what comes there is heard by whoever has joined anywhere.
       using other = udp.bindUdp({ hostname: "::" });
       await multicast.joinGroup(other, { group: "ff05::4:2", interface: "spare0" });
       using far = await multicast.listenMulticast({ group: "ff05::4:2", port: 0, interface: "left0" });
       explained(far, { group: "ff05::4:2", interface: "left0" });
       explained(far, { group: "ff05::4:2", interface: "spare0" });
       using near = await multicast.listenMulticast({ group: "ff02::4:2", port: 0, interface: ["left0", "spare0"] });
       await multicast.joinGroup(near, { group: "ff02::4:3", interface: "left0" });
       explained(near, { group: "ff02::4:2", interface: "left0" });
       explained(near, { group: "ff02::4:3", interface: "left0" });`,
      );
      assertEquals(output.split("\n"), [
        "none",
        'interface: joined on left0, but expected on spare0: join there too, joinGroup({ interface: "spare0" }), or ' +
        "everywhere with { all: true }",
        "none",
        "bind: the socket listens to group ff02::4:2, and filters out all else: use another one for this group",
      ]);
    });
  },
);

test("explainMulticast(): a router that speaks IGMPv2 alone hears of no senders", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    using any = new Stage(left, right, "inet");
    any.join();
    using chosen = new Stage(left, right, "inet", undefined, PORT + 1);
    chosen.join("left0", chosen.source);
    const port = PORT + 1;
    assertEquals([any.faults(), chosen.faults({ port })], [["", ""], ["", ""]]);
    using router = right.inside(() => Socket.open("inet", "raw", 2));
    right.inside(() => IP_MULTICAST_IF.set(router, "10.77.0.2"));
    // A general query of ten seconds (RFC 2236).
    const query = Uint8Array.of(0x11, 100, 0, 0, 0, 0, 0, 0);
    new DataView(query.buffer).setUint16(2, internetChecksum(query));
    await router.sendTo(query, { hostname: "224.0.0.1" });
    await until(() => chosen.faults({ port })[0] !== "");
    const [check, message] = chosen.faults({ port });
    assertEquals(check, "igmpVersion");
    assertStringIncludes(message, "a router on the link of left0 asks in IGMP version 2");
    // Who hears everybody does not mind.
    assertEquals(any.faults(), ["", ""]);
  });
});

test("explainMulticast(): sockets of the other family", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    using four = new Stage(left, right, "inet");
    const six = left.inside(() => explainMulticast(four.receiver, { group: "ff05::4:1", interface: "left0" }));
    const bind = six.find(({ check }) => check === "bind")!;
    assertEquals(bind.verdict, "fault");
    assertStringIncludes(bind.message, "the socket is of IPv4, the group is not");
    using only = left.inside(() => Socket.open("inet6", "dgram"));
    IPV6_V6ONLY.set(only, true);
    only.bind({ hostname: "::", port: PORT });
    const other = left.inside(() => explainMulticast(only, { group: "239.0.4.1" })).find(({ check }) =>
      check === "bind"
    )!;
    assertEquals(other.verdict, "fault");
    assertStringIncludes(other.message, "the socket is of IPv6 alone");
    // One of both families hears both.
    only.close();
    using both = left.inside(() => Socket.open("inet6", "dgram"));
    both.bind({ hostname: "::", port: PORT + 1 });
    left.inside(() => MCAST_JOIN_GROUP.set(both, { group: "239.0.4.1", interface: "left0" }));
    const options = { group: "239.0.4.1", port: PORT + 1, interface: "left0", source: "10.77.0.2" };
    const findings = left.inside(() => explainMulticast(both, options));
    assertEquals(findings.filter(({ verdict }) => verdict === "fault"), []);
    await Promise.resolve();
  });
});

test(
  "explainMulticast() without --allow-all leaves open what is in files, and finds the rest",
  OTHER_PROGRAM,
  async () => {
    const output = await runWith(
      ["--allow-net", "--allow-ffi", "--unstable-net"],
      `using socket = udp.bindUdp();
     const options = { group: "239.0.4.2", port: socket.addr.port, interface: "127.0.0.1" };
     const told = () => console.log(multicast.explainMulticast(socket, options).map(({ check, verdict }) => check + " " + verdict).join());
     told();
     await multicast.joinGroup(socket, options);
     told();`,
    );
    const rest = "link fine,route fine,reversePath unknown,igmpVersion unknown,drops fine,firewall unknown";
    assertEquals(output.split("\n"), [
      `membership fault,interface unknown,bind fine,port fine,hopLimit unknown,loopback unknown,source unknown,${rest}`,
      `membership fine,interface fine,bind fine,port fine,hopLimit unknown,loopback unknown,source fine,${rest}`,
    ]);
    const refusal = await runWith(
      ["--allow-net", "--unstable-net"],
      `using socket = udp.bindUdp();
     try { multicast.explainMulticast(socket, { group: "239.0.4.2" }); } catch (error) { say(error); }`,
    );
    assert(refusal.startsWith("NotCapable: "), refusal);
  },
);

test("explainMulticast() refuses what is no group, no socket, no interface", { ffi: true, linux: true }, () => {
  using socket = Socket.open("inet", "dgram");
  const good = { group: "239.0.4.3" };
  const refused = (options: unknown, kind: new (...args: never[]) => Error, words: string) =>
    assertThrows(() => explainMulticast(socket, options as typeof good), kind as ErrorConstructor, words);
  refused(undefined, TypeError, "it must be { group }");
  refused({ group: "10.0.0.1" }, RangeError, "the address must be in 224.0.0.0/4");
  refused({ group: "x" }, SyntaxError, "no IPv4 or IPv6 address");
  refused({ ...good, port: 65_536 }, RangeError, "the port is 65536");
  refused({ ...good, port: "5" }, TypeError, "the port is");
  refused({ ...good, interface: "nosuchif0" }, Deno.errors.NotFound, "there is no interface");
  refused({ ...good, interface: 0 }, RangeError, "from 1 to");
  refused({ group: "ff02::1%lo", interface: "lo" }, TypeError, "the interface is given twice");
  refused({ ...good, source: "::1" }, TypeError, "must be of the family of the group");
  refused({ ...good, source: "239.0.0.1" }, RangeError, "is a group, it must be one sender");
  refused({ ...good, sender: 5 }, TypeError, "the sender is 5, it must be a UDP or raw socket");
  using tcp = Socket.open("inet", "stream");
  refused({ ...good, sender: tcp }, Deno.errors.NotSupported, "the sender is tcp");
  assertThrows(() => explainMulticast(tcp, good), Deno.errors.NotSupported, "the receiver is tcp");
  assertThrows(() => explainMulticast(null as never, good), TypeError, "the receiver is null");
  const closed = Socket.open("inet", "dgram");
  closed.close();
  assertThrows(() => explainMulticast(closed, good), Deno.errors.BadResource);
});
