// listenMulticast: what it hears, what it shuts out, where it sends; on lo, and between two namespaces.
// Joining: join_test.ts. Without FFI: without_ffi_test.ts.
import { assert, assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { joinGroup, listenMulticast, type ListenMulticastOptions } from "../../multicast/mod.ts";
import {
  IP_MULTICAST_ALL,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  SO_REUSEADDR,
  type SystemError,
} from "../../options/mod.ts";
import { bindUdp, UdpSocket } from "../../udp/mod.ts";
import { test } from "../needs.ts";
import { until } from "../time.ts";
import { OTHER_PROGRAM, start } from "../udp/other_program.ts";
import { joinedAt } from "./kernel.ts";
import { NAMESPACES, withPair } from "./namespace.ts";

const KERNEL = { ffi: true, linux: true, read: true, files: ["/proc/net/igmp"] };
const KERNEL6 = { ...KERNEL, files: ["/proc/net/igmp6"] };
const LO = "127.0.0.1";
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

test("listenMulticast() binds to the group, joins, and leaves on close", KERNEL, async () => {
  const socket = await listenMulticast({ group: "239.0.6.1", port: 0, interface: LO });
  assert(socket instanceof UdpSocket);
  assertEquals(socket.addr.hostname, "239.0.6.1");
  assertEquals(joinedAt("239.0.6.1"), ["lo"]);
  assertEquals([socket.membership.group, socket.membership.interfaces], ["239.0.6.1", ["lo"]]);
  assertEquals([SO_REUSEADDR.get(socket), IP_MULTICAST_LOOP.get(socket), IP_MULTICAST_ALL.get(socket)], [
    true,
    true,
    false,
  ]);
  assertEquals(IP_MULTICAST_IF.get(socket), LO);
  socket.close();
  assertEquals(joinedAt("239.0.6.1"), []);
  assertEquals(socket.membership.interfaces, []);
});

test("listenMulticast() shares the port: every member hears", KERNEL, async () => {
  using one = await listenMulticast({ group: "239.0.6.2", port: 0, interface: LO });
  using two = await listenMulticast({ group: "239.0.6.2", port: one.addr.port, interface: LO });
  assertEquals(await one.sendToGroup(bytes("hello")), 5);
  for (const socket of [one, two]) {
    const [data, from] = await socket.receive();
    assertEquals([text(data), from.hostname, from.port], ["hello", LO, one.addr.port]);
  }
});

test("listenMulticast() hears its group alone, not the port's unicast and not other groups", KERNEL, async () => {
  using socket = await listenMulticast({ group: "239.0.6.3", port: 0, interface: LO });
  const { port } = socket.addr;
  using other = await listenMulticast({ group: "239.0.6.4", port, interface: LO });
  using sender = bindUdp({ hostname: LO, multicast: { interface: LO } });
  await sender.send(bytes("unicast"), { hostname: LO, port });
  await sender.send(bytes("other"), { hostname: "239.0.6.4", port });
  await sender.send(bytes("group"), { hostname: "239.0.6.3", port });
  assertEquals(text((await socket.receive())[0]), "group");
  assertEquals(text((await other.receive())[0]), "other");
});

test("listenMulticast() does not hear its group on interfaces where others joined it", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(
      `using socket = await multicast.listenMulticast({ group: "239.0.6.5", port: 0, interface: "left0" });
       using open = await multicast.listenMulticast({ group: "239.0.6.5", port: socket.addr.port, interface: "left0",
         options: [options.IP_MULTICAST_ALL.to(true)] });
       using other = udp.bindUdp();
       await multicast.joinGroup(other, { group: "239.0.6.5", interface: "lo" });
       for (const one of ["lo", "left0"]) {
         using sender = udp.bindUdp({ multicast: { interface: one } });
         await sender.send(new TextEncoder().encode(one), { hostname: "239.0.6.5", port: socket.addr.port });
       }
       const heard = async (one) => new TextDecoder().decode((await one.receive())[0]);
       console.log(await heard(socket), await heard(open), await heard(open));`,
    );
    assertEquals(output, "left0 lo left0");
  });
});

test("listenMulticast() with a source hears that sender alone", KERNEL, async () => {
  using socket = await listenMulticast({ group: "232.0.6.1", port: 0, source: "127.0.0.9", interface: LO });
  for (const hostname of ["127.0.0.8", "127.0.0.9"]) {
    using sender = bindUdp({ hostname, multicast: { interface: LO } });
    await sender.send(bytes(hostname), { hostname: "232.0.6.1", port: socket.addr.port });
  }
  assertEquals(text((await socket.receive())[0]), "127.0.0.9");
  assertEquals(socket.membership.sources().sources, ["127.0.0.9"]);
});

test("listenMulticast() passes the socket's options on", KERNEL, async () => {
  const options = { group: "239.0.6.6", port: 0, interface: LO };
  using socket = await listenMulticast({
    ...options,
    receiveBufferSize: 30_000,
    multicast: { hopLimit: 4, loopback: false, interface: LO },
    options: [IP_MULTICAST_ALL.to(true)],
  });
  assertEquals(socket.capabilities.receiveBufferSize, 60_000);
  assertEquals([IP_MULTICAST_TTL.get(socket), IP_MULTICAST_LOOP.get(socket)], [4, false]);
  assertEquals(IP_MULTICAST_ALL.get(socket), true);
  using alone = await listenMulticast({ ...options, reuseAddress: false });
  const error = await assertRejects(() => listenMulticast({ ...options, port: alone.addr.port })) as SystemError;
  assertEquals(error.code, "EADDRINUSE");
});

test("listenMulticast({ signal }) closes the socket and ends iteration", KERNEL, async () => {
  const controller = new AbortController();
  const socket = await listenMulticast({ group: "239.0.6.7", port: 0, interface: LO, signal: controller.signal });
  setTimeout(() => controller.abort(), 5);
  for await (const _ of socket) throw new Error("a datagram from nowhere");
  // Deno lets go of the descriptor when the call that was pending has come to its end.
  await until(() => joinedAt("239.0.6.7").length === 0);
  const reason = new Error("no");
  const aborted = { group: "239.0.6.7", port: 0, interface: LO, signal: AbortSignal.abort(reason) };
  assertStrictEquals(await assertRejects(() => listenMulticast(aborted)), reason);
});

test("listenMulticast() refuses what cannot be, and leaves nothing open", KERNEL, async () => {
  const good = { group: "239.0.6.8", port: 0, interface: LO };
  const refused = (options: Record<string, unknown>, kind: new (...args: never[]) => Error, words: string) =>
    assertRejects(
      () => listenMulticast({ ...good, ...options } as ListenMulticastOptions),
      kind as ErrorConstructor,
      words,
    );
  await refused({ group: "10.0.0.1" }, RangeError, "the address must be in 224.0.0.0/4");
  await refused({ group: "nonsense" }, SyntaxError, "no IPv4 or IPv6 address");
  for (const port of [-1, 1.5, NaN, 65_536]) await refused({ port }, RangeError, "the port is");
  for (const port of ["5", undefined]) {
    await refused({ port }, TypeError, 'Cannot listen to group "239.0.6.8": the port is');
  }
  await refused({ interface: "nosuchif0" }, Deno.errors.NotFound, "there is no interface");
  await refused({ interface: { all: 1 } }, TypeError, "or { all: true } alone");
  await refused({ source: "::1" }, TypeError, "family of the group");
  await refused({ metadata: ["ttl"] }, TypeError, 'metadata has "ttl", it must be one of localAddr');
  await assertRejects(() => listenMulticast(5 as never), TypeError, "it must be { group, port }");
  assertEquals(joinedAt("239.0.6.8"), []);
});

test("MulticastSocket.sendToGroup() refuses wrong arguments, and a closed socket", KERNEL, async () => {
  const socket = await listenMulticast({ group: "239.0.6.9", port: 0, interface: LO });
  const data = new Uint8Array(1);
  await assertRejects(() => socket.sendToGroup("x" as never), TypeError, "it must be a Uint8Array");
  await assertRejects(
    () => socket.sendToGroup(data, { interface: { all: false } as never }),
    TypeError,
    "it must be a name, an index or an address",
  );
  await assertRejects(() => socket.sendToGroup(data, { interface: "nosuchif0" }), Deno.errors.NotFound);
  await assertRejects(() => socket.sendToGroup(data, { interface: 0 }), RangeError);
  const reason = new Error("no");
  assertStrictEquals(
    await assertRejects(() => socket.sendToGroup(data, { signal: AbortSignal.abort(reason) })),
    reason,
  );
  // A refusal holds up no later call.
  assertEquals(await socket.sendToGroup(data, { interface: LO }), 1);
  assertEquals(await socket.sendToGroup(data), 1);
  socket.close();
  await assertRejects(() => socket.sendToGroup(data), Deno.errors.BadResource);
  await assertRejects(() => socket.sendToGroup(data, { interface: LO }), Deno.errors.BadResource);
  await assertRejects(() => socket.sendToGroup(data, { interface: { all: true } }), Deno.errors.BadResource);
});

test(
  "MulticastSocket.sendToGroup() sends by the chosen interface, else once by each that is joined",
  NAMESPACES,
  async () => {
    await withPair(async (left) => {
      for (const group of ["239.0.6.10", "ff02::6:10"]) {
        const output = await left.run(
          `const group = "${group}", six = group.includes(":");
         // spare0 has no IPv4 address.
         const far = six ? "spare0" : "lo";
         using socket = await multicast.listenMulticast({ group, port: 0, interface: ["left0", far] });
         const on = {};
         for (const name of ["left0", far]) {
           on[name] = await multicast.listenMulticast({ group, port: socket.addr.port, interface: name });
         }
         const data = (text) => new TextEncoder().encode(text);
         const heard = async () => {
           const all = [];
           for (const [name, one] of Object.entries(on)) {
             // What was sent before has arrived when this does.
             await one.sendToGroup(data("end"));
             for (;;) {
               const text = new TextDecoder().decode((await one.receive())[0]);
               if (text === "end") break;
               all.push(name + " " + text);
             }
           }
           console.log(all.join(", "));
         };
         console.log(await socket.sendToGroup(data("each")));
         await heard();
         await Promise.all([
           socket.sendToGroup(data("first"), { interface: far }),
           socket.sendToGroup(data("second"), { interface: "left0" }),
           socket.sendToGroup(data("third"), { interface: far }),
         ]);
         await heard();
         const usual = six ? options.IPV6_MULTICAST_IF : options.IP_MULTICAST_IF;
         console.log(usual.get(socket));
         using chosen = await multicast.listenMulticast({ group, port: socket.addr.port, interface: ["left0", far], multicast: { interface: far } });
         await chosen.sendToGroup(data("chosen"));
         await heard();
         await on.left0.sendToGroup(data("sole"));
         await heard();
         await socket.membership.leave();
         await socket.sendToGroup(data("none")).catch(say);
         for (const one of Object.values(on)) one.close();`,
        );
        const six = group.includes(":");
        const far = six ? "spare0" : "lo";
        assertEquals(output.split("\n"), [
          "4",
          `left0 each, ${far} each`,
          `left0 second, ${far} first, ${far} third`,
          six ? "0" : "0.0.0.0",
          `${far} chosen`,
          "left0 sole",
          `NotFound: Cannot send to group "${group}": it is joined on no interface now`,
        ]);
      }
    });
  },
);

for (const [what, address] of [["that has no IPv4 address", null], ["whose address another has too", "10.77.0.1/32"]]) {
  test(
    `MulticastSocket.sendToGroup() sends IPv4 by an interface ${what}, and goes back to it`,
    NAMESPACES,
    async () => {
      await withPair(async (left) => {
        if (address) await left.ip("address", "add", address, "dev", "spare0");
        const output = await left.run(
          `const to = { group: "239.0.6.11", interface: "spare0" };
       using socket = await multicast.listenMulticast({ ...to, port: 0 });
       const heard = async () => new TextDecoder().decode((await socket.receive())[0]);
       await socket.sendToGroup(new TextEncoder().encode("one"));
       console.log(await heard());
       await socket.sendToGroup(new TextEncoder().encode("elsewhere"), { interface: "left0" });
       await socket.sendToGroup(new TextEncoder().encode("two"));
       console.log(await heard());`,
        );
        assertEquals(output.split("\n"), ["one", "two"]);
      });
    },
  );
}

test(
  "MulticastSocket.sendToGroup() changes and sends nothing where the socket's own interface is gone and cannot be chosen again",
  NAMESPACES,
  async () => {
    await withPair(async (left) => {
      const output = await left.run(
        `const sockets = await Promise.all(["239.0.6.19", "ff05::6:19"].map((group) =>
           multicast.listenMulticast({ group, port: 0, interface: "spare0" })));
         await new Deno.Command("ip", { args: ["link", "delete", "spare0"] }).output();
         for (const socket of sockets) {
           const six = socket.membership.group.includes(":");
           const [hops, loopback] = six
             ? [options.IPV6_MULTICAST_HOPS, options.IPV6_MULTICAST_LOOP]
             : [options.IP_MULTICAST_TTL, options.IP_MULTICAST_LOOP];
           using other = await multicast.listenMulticast({
             group: socket.membership.group,
             port: socket.addr.port,
             interface: "left0",
           });
           const how = { interface: "left0", hopLimit: 7, loopback: true };
           loopback.set(socket, false);
           await socket.sendToGroup(new Uint8Array(1), how).catch(({ name, message }) => console.log(name, message));
           await other.sendToGroup(new Uint8Array(2));
           console.log(hops.get(socket), loopback.get(socket), (await other.receive())[0].length);
           socket.close();
         }`,
      );
      const lines = output.split("\n");
      assertEquals(lines.length, 4);
      for (const [i, group] of ["239.0.6.19", "ff05::6:19"].entries()) {
        const begin =
          `NotFound Cannot send to group "${group}" by another interface than the usual one, which is gone: `;
        assertEquals(lines[2 * i]!.slice(0, begin.length), begin);
        assertEquals(lines[2 * i + 1], "1 false 2");
      }
    });
  },
);

for (const six of [false, true]) {
  const group = six ? "ff05::6:12" : "239.0.6.12";
  const wheres = six
    ? '["left0", index, "fd77::1", "fe80::1%left0", "fe80::1%" + index]'
    : '["left0", index, "10.77.0.1"]';

  test(
    `MulticastSocket.sendToGroup() with options for one datagram, ${six ? "IPv6" : "IPv4"}`,
    NAMESPACES,
    async () => {
      await withPair(async (left, right) => {
        await using receiver = right.start(
          `using socket = await multicast.listenMulticast({ group: "${group}", port: 54326, interface: "right0", metadata: ["hopLimit"] });
         console.log("ready");
         for await (const { data, hopLimit } of socket.messages()) {
           const text = new TextDecoder().decode(data);
           console.log(text, hopLimit);
           if (text === "end") break;
         }`,
        );
        assertEquals(await receiver.line(), "ready");
        const here = await left.run(
          `const data = (text) => new TextEncoder().encode(text);
         const to = { group: "${group}", port: 54326, interface: ["left0", "spare0"] };
         const index = multicast.networkInterfaces().find(({ name }) => name === "left0").index;
         using socket = await multicast.listenMulticast({ ...to, multicast: { interface: "left0", hopLimit: 2 } });
         using other = await multicast.listenMulticast(to);
         const state = () => ["IF", "LOOP", "${six ? "HOPS" : "TTL"}"].map((name) =>
           options["${six ? "IPV6" : "IP"}_MULTICAST_" + name].get(socket)).join();
         const before = state();
         const send = (text, options) => socket.sendToGroup(data(text), options);
         // All at once: none is sent as another is.
         await Promise.all([
           send("usual"),
           send("far", { hopLimit: 9 }),
           send("unheard here", { loopback: false }),
           socket.send(data("beside"), { hostname: to.group, port: to.port }),
           send("both", { interface: "left0", hopLimit: 255, loopback: false }),
           send("stays", { hopLimit: 0 }),
           send("elsewhere", { interface: "spare0", hopLimit: 3 }),
         ]);
         for (const one of ${wheres}) await send("by " + typeof one, { interface: one });
         for (const options of [{ hopLimit: -1 }, { hopLimit: 256 }, { hopLimit: "1" }, { loopback: 1 }]) await send("wrong", options).catch(say);
         console.log(before === state());
         await send("end");
         const heard = [];
         for await (const [data] of other) {
           heard.push(new TextDecoder().decode(data));
           if (heard.at(-1) === "end") break;
         }
         console.log(heard.join());`,
        );
        const by = ["by string", "by number", ...Array(six ? 3 : 1).fill("by string")];
        const wrong = `Error: Cannot send to group "${group}":`;
        assertEquals(here.split("\n"), [
          `Range${wrong} hopLimit is -1, it must be a whole number from 0 to 255`,
          `Range${wrong} hopLimit is 256, it must be a whole number from 0 to 255`,
          `Type${wrong} hopLimit is "1", it must be a whole number from 0 to 255`,
          `Type${wrong} loopback is 1, it must be true or false`,
          "true",
          ["usual", "far", "beside", "stays", "elsewhere", ...by, "end"].join(),
        ]);
        assertEquals(
          await receiver.rest(),
          ["usual 2", "far 9", "unheard here 2", "beside 2", "both 255", ...by.map((one) => `${one} 2`), "end 2"],
        );
      });
    },
  );
}

/** A queue that is longer than the send buffer, which is waited for; and one that is shorter, whose end no event tells. */
for (
  const [full, limit, told] of [
    ["send buffer", 4_000_000, "sendBufferSize: 20_000"],
    ["queue", 10_000, "sendBufferSize: 200_000, options: [options.IP_RECVERR.to(true)]"],
  ] as const
) {
  test(`MulticastSocket.sendToGroup() in a way of its own waits for a full ${full}`, {
    ...NAMESPACES,
    run: ["ip", "tc"],
  }, async () => {
    await withPair(async (left, right) => {
      await left.tc(
        "qdisc",
        "add",
        "dev",
        "left0",
        "root",
        "tbf",
        "rate",
        "2mbit",
        "burst",
        "4000",
        "limit",
        `${limit}`,
      );
      await using receiver = right.start(
        `using socket = await multicast.listenMulticast({ group: "239.0.6.18", port: 54327, interface: "right0",
           metadata: ["hopLimit"], receiveBufferSize: 200_000 });
         console.log("ready");
         let wrong = 0, count = 0;
         for await (const { data, hopLimit } of socket.messages()) {
           if (data.byteLength === 1) break;
           if (data.byteLength === 499) continue;
           count++;
           if (new DataView(data.buffer, data.byteOffset).getUint32(0) % 200 + 2 !== hopLimit) wrong++;
         }
         console.log(count, wrong);`,
      );
      assertEquals(await receiver.line(), "ready");
      const output = await left.run(
        `using socket = await multicast.listenMulticast({ group: "239.0.6.18", port: 54327, interface: "left0",
           multicast: { loopback: false }, ${told} });
         const send = (i, options) => {
           const data = new Uint8Array(500);
           new DataView(data.buffer).setUint32(0, i);
           return socket.sendToGroup(data, { hopLimit: i % 200 + 2, ...options });
         };
         // Each waits for itself: what the others set is never seen.
         const sending = Array.from({ length: 150 }, (_, i) => send(i));
         const reason = new Error("no more");
         const given = await send(150, { signal: AbortSignal.abort(reason) }).catch((error) => error === reason);
         const controller = new AbortController();
         // So full that nothing goes out at once.
         let now = "";
         try {
           for (let i = 0; i < 5 && now === ""; i++) {
             const sent = socket.trySend(new Uint8Array(499), { hostname: "239.0.6.18", port: 54327 });
             if (sent === null) now = "would block";
           }
         } catch (error) {
           now = error.code;
         }
         const waiting = Array.from({ length: 20 }, (_, i) => send(i, { signal: controller.signal }).then(() => 0, () => 1));
         controller.abort();
         const late = await Promise.all(waiting);
         console.log((await Promise.all(sending)).every((count) => count === 500), given, late.some((one) => one === 1), now);
         console.log(late.filter((one) => one === 0).length, options.IP_MULTICAST_TTL.get(socket));
         await new Promise((resolve) => setTimeout(resolve, 50));
         await socket.sendToGroup(new Uint8Array(1));`,
      );
      const [all, rest] = output.split("\n");
      assertEquals(all, `true true true ${full === "queue" ? "ENOBUFS" : "would block"}`);
      const [later, hops] = rest!.split(" ").map(Number);
      assertEquals(hops, 1);
      assertEquals(await receiver.rest(), [`${150 + later!} 0`]);
    });
  });
}

test(
  "listenMulticast() binds link-local groups to their interface, others to the group, several to ::",
  KERNEL6,
  async () => {
    using link = await listenMulticast({ group: "ff02::6:1", port: 0, interface: "lo" });
    assertEquals(link.addr.hostname, "ff02::6:1%1");
    using zone = await listenMulticast({ group: "ff02::6:1%1", port: 0 });
    assertEquals([zone.addr.hostname, zone.membership.interfaces], ["ff02::6:1%1", ["lo"]]);
    using site = await listenMulticast({ group: "ff05::6:1", port: 0, interface: "lo" });
    assertEquals(site.addr.hostname, "ff05::6:1");
    for (const socket of [link, zone, site]) {
      assertEquals([IPV6_MULTICAST_LOOP.get(socket), IPV6_MULTICAST_ALL.get(socket)], [true, false]);
      assertEquals(IPV6_MULTICAST_IF.get(socket), 1);
    }
  },
);

test("listenMulticast() falls back to :: for link-local groups on several interfaces", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    await using listener = left.start(
      `using socket = await multicast.listenMulticast({ group: "ff02::6:2", port: 54329, interface: ["left0", "spare0"] });
       console.log(socket.addr.hostname, socket.membership.interfaces.join());
       console.log(options.IPV6_MULTICAST_ALL.get(socket), options.IP_MULTICAST_ALL.get(socket));
       const [data, from] = await socket.receive();
       console.log(new TextDecoder().decode(data), from.hostname);`,
    );
    assertEquals([await listener.line(), await listener.line()], [":: left0,spare0", "false false"]);
    await right.run(
      `using sender = udp.bindUdp({ hostname: "::", multicast: { interface: "right0" } });
       await sender.send(new TextEncoder().encode("hello"), { hostname: "ff02::6:2", port: 54329 });`,
    );
    assertStringIncludes((await listener.rest())[0]!, "hello fe80::");
  });
});

test(
  "listenMulticast() on :: hears its group alone, and explains what it keeps out as no fault",
  NAMESPACES,
  async () => {
    await withPair(async (left) => {
      const output = await left.run(
        `const data = (text) => new TextEncoder().encode(text);
       for (const more of [{}, { ipv6Only: true }, { options: [options.SO_PRIORITY.to(4)] }]) {
         const to = { group: "ff02::6:3", interface: ["left0", "spare0"] };
         using socket = await multicast.listenMulticast({ ...to, port: 0, ...more });
         const { port } = socket.addr;
         // The last byte differs, or the first.
         const others = [];
         for (const group of ["ff02::6:4", "ff03::6:3"]) {
           const other = await multicast.listenMulticast({ group, port, interface: "left0" });
           await multicast.joinGroup(socket, { group, interface: "left0" });
           others.push(other);
         }
         using sender = udp.bindUdp({ hostname: "::", multicast: { interface: "left0" } });
         for (const hostname of ["::1", "fd77::1", "::ffff:127.0.0.1", "ff02::6:4", "ff03::6:3", "ff02::6:3"]) {
           await sender.send(data(hostname), { hostname, port });
         }
         const [heard] = await socket.receive();
         const one = (await Promise.all(others.map((other) => other.receive()))).map(([data]) => data);
         console.log([heard, ...one].map((data) => new TextDecoder().decode(data)).join(" "), socket.tryReceive());
         const findings = multicast.explainMulticast(socket, { group: to.group, port, interface: "left0" });
         console.log(findings.filter(({ verdict }) => verdict === "fault").length);
         console.log(findings.find(({ check }) => check === "drops").message);
         for (const other of others) other.close();
       }
       // Who attaches a filter of their own has that one.
       const filter = socket.assembleFilter("ret #-1");
       using open = await multicast.listenMulticast({ group: "ff02::6:3", port: 0, interface: ["left0", "spare0"],
         options: [options.SO_ATTACH_FILTER.to(filter)] });
       using sender = udp.bindUdp({ hostname: "::" });
       await sender.send(data("open"), { hostname: "::1", port: open.addr.port });
       console.log(new TextDecoder().decode((await open.receive())[0]));`,
      );
      const words = ["ff02::6:3 ff02::6:4 ff03::6:3 null", "0"];
      // The socket that is for IPv6 alone is not handed what goes to IPv4.
      const dropped = (count: number) =>
        `${count} datagrams were dropped, by the packet filter of the socket (SO_ATTACH_FILTER) or for want of room`;
      assertEquals(output.split("\n"), [5, 4, 5].flatMap((count) => [...words, dropped(count)]).concat("open"));
    });
  },
);

test("listenMulticast() hears python3 over a cable and is heard by it, on IPv4 and IPv6", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    for (const group of ["239.0.6.12", "ff02::6:12", "ff05::6:12"]) {
      await using listener = left.start(
        `using socket = await multicast.listenMulticast({ group: "${group}", port: 54330, interface: "left0" });
         console.log("ready");
         const [data, from] = await socket.receive();
         console.log(new TextDecoder().decode(data), from.hostname);
         // The answer goes to the sender alone, whose zone the socket knows: that of its own address.
         await socket.send(new TextEncoder().encode("answer"), from);
         await socket.sendToGroup(new TextEncoder().encode("to all"));`,
      );
      assertEquals(await listener.line(), "ready");
      const six = group.includes(":");
      const python = right.python(`
import socket, struct
six = ${six ? "True" : "False"}
group = "${group}"
index = socket.if_nametoindex("right0")
family = socket.AF_INET6 if six else socket.AF_INET
receiver = socket.socket(family, socket.SOCK_DGRAM)
receiver.bind(("", 54330))
if six:
    receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(family, group) + struct.pack("@I", index))
else:
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton("10.77.0.2"))
sender = socket.socket(family, socket.SOCK_DGRAM)
if six:
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    sender.bind(("fe80::2" if group.startswith("ff02") else "fd77::2", 0, 0, index))
else:
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.77.0.2"))
for s in (receiver, sender):
    s.settimeout(5)
sender.setsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0) if six else (socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)))
sender.sendto(b"from python", (group, 54330))
print(sender.recvfrom(100)[0].decode())
data, peer = receiver.recvfrom(100)
print(data.decode(), peer[0])
`);
      await using _python = python;
      const [hello] = [await listener.line()];
      const scoped = group.startsWith("ff02") ? "fe80::2%" : six ? "fd77::2" : "10.77.0.2";
      assertStringIncludes(hello, `from python ${scoped}`);
      const [answer, all] = await python.rest();
      assertEquals(answer, "answer");
      assertStringIncludes(all!, six ? "to all f" : "to all 10.77.0.1");
      await listener.rest();
    }
  });
});

test("listenMulticast() hears python3 on loopback and is heard by it", { ...KERNEL, run: ["python3"] }, async () => {
  using socket = await listenMulticast({ group: "239.0.6.13", port: 0, interface: LO });
  await using peer = start(
    "python3",
    ["-u", "-", String(socket.addr.port)],
    `
import socket, sys
port = int(sys.argv[1])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.0.6.13") + socket.inet_aton("127.0.0.1"))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
s.bind(("239.0.6.13", port))
s.settimeout(5)
s.sendto(b"from python", ("239.0.6.13", port))
print(s.recv(100).decode())
print(s.recv(100).decode())
`,
  );
  assertEquals(text((await socket.receive())[0]), "from python");
  await socket.sendToGroup(bytes("from deno"));
  assertEquals((await peer.rest()).toSorted(), ["from deno", "from python"]);
});

test("listenMulticast() needs --allow-net for the group", OTHER_PROGRAM, async () => {
  const { runWith } = await import("../udp/other_program.ts");
  const code =
    `await multicast.listenMulticast({ group: "239.0.6.14", port: 5, interface: "127.0.0.1" }).then((it) => it.close(), say);`;
  assertEquals(
    await runWith(["--unstable-net", "--allow-net=127.0.0.1", "--allow-ffi"], code),
    'NotCapable: Cannot bind udp 239.0.6.14:5: Requires net access to "239.0.6.14:5", run again with the --allow-net flag',
  );
  assertEquals(await runWith(["--unstable-net", "--allow-net=239.0.6.14:5", "--allow-ffi"], code), "");
});

test(
  "joinGroup() refuses a second group on a socket that is bound to one, which would never hear it",
  KERNEL,
  async () => {
    using socket = await listenMulticast({ group: "239.0.6.15", port: 0, interface: LO });
    await assertRejects(
      () => joinGroup(socket, { group: "239.0.6.16", interface: LO }),
      Deno.errors.NotSupported,
      'the socket hears the group it is bound to alone; bind it to "0.0.0.0" or to the group',
    );
    assertEquals(socket.membership.interfaces, ["lo"]);
  },
);

test(
  "listenMulticast() on IPv6 hears its group by its own interfaces alone, whoever has joined elsewhere",
  NAMESPACES,
  async () => {
    await withPair(async (left) => {
      for (const group of ["ff05::6:17", "ff02::6:17"]) {
        const output = await left.run(
          `const group = "${group}";
         const listen = (where, more = {}) => multicast.listenMulticast({ group, port, interface: where, ...more });
         let port = 0;
         using one = await listen("left0");
         port = one.addr.port;
         using two = await listen("spare0");
         using both = await listen(["left0", "spare0"]);
         using all = await listen({ all: true });
         using more = await listen(["left0", "spare1"]);
         await using _again = await multicast.joinGroup(more, { group, interface: "spare0" });
         using open = await listen(["left0", "spare1"], { options: [options.SO_ATTACH_FILTER.to(socket.assembleFilter("ret #-1"))] });
         using chosen = await multicast.listenMulticast({ group, port });
         using every = await listen("left0");
         // A link-local group is bound to its interface by the kernel.
         await using _every = group.startsWith("ff05") ? await multicast.joinGroup(every, { group, interface: "spare0" }) : undefined;
         for (const name of ["spare0", "left0"]) {
           using sender = udp.bindUdp({ hostname: "::", multicast: { interface: name } });
           await sender.send(new TextEncoder().encode(name), { hostname: group, port });
         }
         // By spare0, by spare1 at its other end, and by left0; the others have heard theirs by then.
         const heard = [];
         const names = new Map(multicast.networkInterfaces().map(({ name, index }) => [index, name]));
         for (let i = 0; i < 3; i++) {
           const { data, interfaceIndex } = await all.receiveMessage();
           heard.push(new TextDecoder().decode(data) + " by " + names.get(interfaceIndex));
         }
         console.log("all", heard.sort().join());
         for (const [name, socket] of Object.entries({ one, two, both, more, open, every, chosen })) {
           const heard = [];
           for (let got; (got = socket.tryReceive()) !== null;) heard.push(new TextDecoder().decode(got[0]));
           if (name !== "chosen") console.log(name, heard.sort().join());
           else console.log(name, socket.membership.interfaces.length, heard.every((name) => socket.membership.interfaces[0].startsWith(name.slice(0, 4))));
         }`,
        );
        const wide = group.startsWith("ff05");
        assertEquals(output.split("\n"), [
          "all left0 by left0,spare0 by spare0,spare0 by spare1",
          "one left0",
          "two spare0",
          "both left0,spare0",
          // By spare1, the other end of spare0, and by that, where it joined later.
          "more left0,spare0,spare0",
          "open left0,spare0,spare0",
          `every left0${wide ? ",spare0" : ""}`,
          "chosen 1 true",
        ]);
      }
    });
  },
);

test(
  "listenMulticast() on IPv6 hears its group no more where it was left, or where joining failed",
  NAMESPACES,
  async () => {
    await withPair(async (left) => {
      const output = await left.run(
        `const group = "ff05::6:20";
         using here = await multicast.listenMulticast({ group, port: 0, interface: "left0" });
         const { port } = here.addr;
         using there = await multicast.listenMulticast({ group, port, interface: "spare0" });
         const heard = async () => {
           await there.sendToGroup(new Uint8Array(1));
           await here.sendToGroup(new Uint8Array(2));
           const lengths = [];
           do lengths.push((await here.receive())[0].length); while (lengths.at(-1) !== 2);
           return lengths.join();
         };
         console.log("before", await heard());
         const again = await multicast.joinGroup(here, { group, interface: "spare0" });
         console.log("joined", await heard());
         await again.leave();
         console.log("left", await heard());
         // One of the two is joined already: neither is then.
         await multicast.joinGroup(here, { group, interface: ["spare0", "left0"] }).catch(({ code }) => console.log(code));
         console.log("in vain", await heard());`,
      );
      assertEquals(output.split("\n"), ["before 2", "joined 1,2", "left 2", "EADDRINUSE", "in vain 2"]);
    });
  },
);

test(
  "joinGroup() on a MulticastSocket leaves alone a packet filter that the user set meanwhile",
  NAMESPACES,
  async () => {
    await withPair(async (left) => {
      const output = await left.run(
        `const group = "ff05::6:21";
         using one = await multicast.listenMulticast({ group, port: 0, interface: "left0" });
         // As long as the library's own, and longer; what passes has one byte, behind the header of UDP.
         for (const lines of ["ld len\\njeq #9, ok\\nret #0\\n", "ld #1\\nld #1\\nld len\\njeq #9, ok\\nret #0\\n"]) {
           options.SO_ATTACH_FILTER.set(one, socket.assembleFilter(lines + "ok: ret #-1"));
           const again = await multicast.joinGroup(one, { group, interface: "spare0" });
           for (const length of [3, 1]) await one.sendToGroup(new Uint8Array(length), { interface: "spare0" });
           console.log((await one.receive())[0].length);
           await again.leave();
         }`,
      );
      assertEquals(output.split("\n"), ["1", "1"]);
    });
  },
);
