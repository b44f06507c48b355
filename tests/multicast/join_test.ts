// joinGroup: on every socket that can, by every way to name an interface, and every refusal; /proc/net is the witness.
// What a membership then does: membership_test.ts. Without FFI: without_ffi_test.ts.
import dgram from "node:dgram";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { firstLinked } from "../../multicast/join.ts";
import { joinGroup, type JoinOptions, type Membership } from "../../multicast/mod.ts";
import {
  IP_MULTICAST_IF,
  IPV6_MULTICAST_IF,
  MCAST_JOIN_GROUP,
  MCAST_LEAVE_GROUP,
  MCAST_MSFILTER,
  type SocketLike,
  type SystemError,
} from "../../options/mod.ts";
import { interfaceIndexOf } from "../../internal/netif.ts";
import { Socket } from "../../socket/mod.ts";
import { bindUdp } from "../../udp/mod.ts";
import { test } from "../needs.ts";
import { OTHER_PROGRAM, runWith } from "../udp/other_program.ts";
import { joinedAt } from "./kernel.ts";
import { NAMESPACES, withPair } from "./namespace.ts";

const KERNEL = { ffi: true, linux: true, read: true, files: ["/proc/net/igmp"] };
const KERNEL6 = { ...KERNEL, files: ["/proc/net/igmp6"] };
const LO = "127.0.0.1";

test("joinGroup() joins and leave() leaves, as /proc/net/igmp tells", KERNEL, async () => {
  using socket = bindUdp();
  assertEquals(joinedAt("239.0.7.1"), []);
  const membership = await joinGroup(socket, { group: "239.0.7.1", interface: LO });
  assertEquals(joinedAt("239.0.7.1"), ["lo"]);
  assertEquals(membership.group, "239.0.7.1");
  assertEquals(membership.interfaces, ["lo"]);
  await membership.leave();
  assertEquals(joinedAt("239.0.7.1"), []);
  assertEquals(membership.interfaces, []);
});

test("joinGroup() takes an interface by name, index and address", KERNEL, async () => {
  for (const selector of ["lo", 1, LO]) {
    using socket = bindUdp();
    await using membership = await joinGroup(socket, { group: "239.0.7.2", interface: selector });
    assertEquals(joinedAt("239.0.7.2"), ["lo"]);
    assertEquals(membership.interfaces, ["lo"]);
  }
  assertEquals(joinedAt("239.0.7.2"), []);
});

test(
  "joinGroup() joins an IPv6 group, as /proc/net/igmp6 tells, and takes a zone for the interface",
  KERNEL6,
  async () => {
    using socket = bindUdp({ hostname: "::" });
    for (
      const options of [{ interface: "::1" }, { interface: 1 }, { interface: "lo" }, { zone: "%lo" }, { zone: "%1" }]
    ) {
      const { zone = "", ...rest } = options as { zone?: string };
      await using membership = await joinGroup(socket, { group: `ff02::7:2${zone}`, ...rest });
      assertEquals(joinedAt("ff02::7:2"), ["lo"]);
      assertEquals(membership.group, "ff02::7:2");
      assertEquals(membership.interfaces, ["lo"]);
    }
    assertEquals(joinedAt("ff02::7:2"), []);
  },
);

test("joinGroup() joins an IPv4 group on a socket of both families", KERNEL6, async () => {
  using socket = bindUdp({ hostname: "::" });
  await using _membership = await joinGroup(socket, { group: "239.0.7.3", interface: "lo" });
  assertEquals(joinedAt("239.0.7.3"), ["lo"]);
});

test("joinGroup() works on sockets of Deno and of node:dgram", KERNEL, async () => {
  const deno = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
  const membership = await joinGroup(deno, { group: "239.0.7.4", interface: LO });
  assertEquals(joinedAt("239.0.7.4"), ["lo"]);
  await membership.leave();
  assertEquals(joinedAt("239.0.7.4"), []);
  deno.close();

  const node = dgram.createSocket("udp4");
  await new Promise<void>((resolve) => node.bind(0, "0.0.0.0", resolve));
  const second = await joinGroup(node, { group: "239.0.7.4", source: LO, interface: LO });
  assertEquals(second.sources().sources, [LO]);
  assertEquals(joinedAt("239.0.7.4"), ["lo"]);
  await second.leave();
  assertEquals(joinedAt("239.0.7.4"), []);
  await new Promise<void>((resolve) => node.close(resolve));
});

test("joinGroup() works on IPv6 sockets of Deno and of node:dgram", KERNEL6, async () => {
  const [group, source] = ["ff05::7:4", "fd00::1"];
  const deno = Deno.listenDatagram({ transport: "udp", hostname: "::", port: 0 });
  const node = dgram.createSocket("udp6");
  await new Promise<void>((resolve) => node.bind(0, "::", resolve));
  for (const socket of [deno, node]) {
    const membership = await joinGroup(socket, { group, source, interface: "lo" });
    assertEquals([joinedAt(group), membership.sources().sources], [["lo"], [source]]);
    await membership.leave();
    assertEquals(joinedAt(group), []);
  }
  deno.close();
  await new Promise<void>((resolve) => node.close(resolve));
});

test("joinGroup() ends with the socket, and await using does not mind", KERNEL, async () => {
  const socket = bindUdp();
  await using membership = await joinGroup(socket, { group: "239.0.7.5", interface: LO });
  socket.close();
  assertEquals(joinedAt("239.0.7.5"), []);
  assertEquals(membership.interfaces, []);
});

test("joinGroup() with sources hears these alone", KERNEL, async () => {
  using socket = bindUdp();
  await using one = await joinGroup(socket, { group: "232.0.7.1", source: "10.1.1.1", interface: LO });
  assertEquals(one.sources(), { group: "232.0.7.1", interface: "lo", mode: "include", sources: ["10.1.1.1"] });
  await using many = await joinGroup(socket, { group: "232.0.7.2", source: [LO, "127.0.0.9"], interface: LO });
  assertEquals(many.sources(), { group: "232.0.7.2", interface: "lo", mode: "include", sources: [LO, "127.0.0.9"] });
  // In truth: a datagram of another sender does not come.
  using stranger = bindUdp({ hostname: "127.0.0.8", multicast: { interface: LO } });
  using friend = bindUdp({ hostname: "127.0.0.9", multicast: { interface: LO } });
  const to = { hostname: "232.0.7.2", port: socket.addr.port };
  await stranger.send(new Uint8Array([8]), to);
  await friend.send(new Uint8Array([9]), to);
  const [data, from] = await socket.receive();
  assertEquals([data[0], from.hostname], [9, "127.0.0.9"]);
});

test("joinGroup() joins several interfaces, all or none", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(
      `const socket = udp.bindUdp();
       const membership = await multicast.joinGroup(socket, { group: "239.0.7.6", interface: ["left0", "lo"] });
       console.log(membership.interfaces.join());
       console.log((await Deno.readTextFile("/proc/net/igmp")).split("060700EF").length - 1);
       await membership.leave();
       console.log((await Deno.readTextFile("/proc/net/igmp")).includes("060700EF"));
       await multicast.joinGroup(socket, { group: "239.0.7.6", interface: ["left0"] });
       await multicast.joinGroup(socket, { group: "239.0.7.6", interface: ["lo", "left0"] }).catch(say);
       console.log((await Deno.readTextFile("/proc/net/igmp")).split("060700EF").length - 1);
       await multicast.joinGroup(socket, { group: "239.0.7.7", interface: ["lo", "1"] }).catch((error) => console.log(error.name));
       await multicast.joinGroup(socket, { group: "239.0.7.7", interface: ["lo", 1] }).catch(say);
       console.log((await Deno.readTextFile("/proc/net/igmp")).includes("070700EF"));
       socket.close();`,
    );
    const lines = output.split("\n");
    assertEquals(lines.slice(0, 3), ["left0,lo", "2", "false"]);
    assertStringIncludes(lines[3]!, 'AddrInUse: Cannot join group "239.0.7.6": EADDRINUSE');
    assertEquals(lines[4], "1");
    assertEquals(lines[5], "NotFound");
    assertEquals(lines[6], 'TypeError: Cannot join group "239.0.7.7": interface "lo" is given twice');
    assertEquals(lines[7], "false");
  });
});

test("joinGroup() without an interface tells which one the kernel chose, for both families", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(
      `using socket = udp.bindUdp({ hostname: "::" });
       // No route leads to IPv4 groups here until there is one; to IPv6 groups every interface is one.
       await multicast.joinGroup(socket, { group: "239.0.7.8" }).catch(say);
       await new Deno.Command("ip", { args: ["route", "add", "239.0.0.0/8", "dev", "left0"] }).output();
       for (const group of ["239.0.7.8", "ff05::7:8"]) {
         const membership = await multicast.joinGroup(socket, { group });
         console.log(membership.interfaces.join());
         await multicast.joinGroup(socket, { group }).catch((error) => console.log(error.code));
         // A source must not slip into the membership for any sender.
         const source = group.includes(":") ? "fd77::9" : "10.77.0.9";
         await multicast.joinGroup(socket, { group, source }).catch((error) => console.log(error.code));
         console.log(JSON.stringify(membership.sources()));
         await membership.leave();
         const sourced = await multicast.joinGroup(socket, { group, source });
         console.log(sourced.interfaces.join(), sourced.sources().sources.join());
         await sourced.leave();
       }
       console.log((await Deno.readTextFile("/proc/net/igmp")).includes("080700EF"));`,
    );
    const [no4, ...lines] = output.split("\n");
    assertStringIncludes(no4!, 'Error: Cannot join group "239.0.7.8": ENODEV');
    assertStringIncludes(no4!, "no route to choose one by: give the interface");
    assertEquals(lines, [
      "left0",
      "EADDRINUSE",
      "EADDRINUSE",
      '{"group":"239.0.7.8","interface":"left0","mode":"exclude","sources":[]}',
      "left0 10.77.0.9",
      lines[5]!,
      "EADDRINUSE",
      "EADDRINUSE",
      `{"group":"ff05::7:8","interface":"${lines[5]}","mode":"exclude","sources":[]}`,
      `${lines[5]} fd77::9`,
      "false",
    ]);
    assert(["left0", "spare0", "spare1"].includes(lines[5]!), lines[5]);
  });
});

test("joinGroup() twice on one interface is EADDRINUSE, explained, and changes nothing", KERNEL, async () => {
  using socket = bindUdp();
  const options = { group: "239.0.7.9", interface: LO };
  await using membership = await joinGroup(socket, options);
  for (const again of [options, { ...options, source: "10.1.1.1" }]) {
    const error = await assertRejects(() => joinGroup(socket, again));
    assertInstanceOf(error, Deno.errors.AddrInUse);
    const { code, errno, syscall } = error as unknown as SystemError;
    assertEquals([code, errno, syscall], ["EADDRINUSE", 98, "setsockopt"]);
    assertStringIncludes(error.message, "this socket has joined the group there already");
  }
  assertEquals(membership.sources(), { group: "239.0.7.9", interface: "lo", mode: "exclude", sources: [] });
});

test("joinGroup() explains ENOBUFS, of groups and of sources, and leaves nothing behind", KERNEL, async () => {
  using socket = bindUdp();
  let failure: unknown;
  for (let i = 0; i < 300 && failure === undefined; i++) {
    await joinGroup(socket, { group: `239.7.${i >> 7}.${i & 127}`, interface: LO }).catch((error) => failure = error);
  }
  assertEquals((failure as SystemError).code, "ENOBUFS");
  assertStringIncludes((failure as SystemError).message, "net.ipv4.igmp_max_memberships");
  using other = bindUdp();
  const source = Array.from({ length: 300 }, (_, i) => `10.1.${i >> 7}.${i & 127}`);
  const error = await assertRejects(() =>
    joinGroup(other, { group: "232.0.7.10", source, interface: LO })
  ) as SystemError;
  assertEquals(error.code, "ENOBUFS");
  assertStringIncludes(error.message, "net.ipv4.igmp_max_msf");
  assertEquals(joinedAt("232.0.7.10"), []);
});

test("joinGroup() refuses addresses that are no group", { ffi: true }, async () => {
  using socket = bindUdp();
  const refused = async (group: unknown, kind: new () => Error, message: string) => {
    const error = await assertRejects(() => joinGroup(socket, { group: group as string, interface: LO }));
    assertInstanceOf(error, kind);
    assertEquals(error.message, message);
  };
  await refused("10.0.0.1", RangeError, 'Cannot join group "10.0.0.1": the address must be in 224.0.0.0/4');
  await refused("240.0.0.1", RangeError, 'Cannot join group "240.0.0.1": the address must be in 224.0.0.0/4');
  await refused("fe80::1", RangeError, 'Cannot join group "fe80::1": the address must be in ff00::/8');
  await refused("nonsense", SyntaxError, 'Cannot join group "nonsense": the text is no IPv4 or IPv6 address');
  await refused("", SyntaxError, 'Cannot join group "": the text is no IPv4 or IPv6 address');
  await refused(5, TypeError, "Cannot join a group: the group is 5, it must be an IPv4 or IPv6 address");
  await refused(
    undefined,
    TypeError,
    "Cannot join a group: the group is undefined, it must be an IPv4 or IPv6 address",
  );
  await assertRejects(() => joinGroup(socket, undefined as never), TypeError, "it must be { group }");
});

test("joinGroup() refuses interfaces that are none", { ffi: true }, async () => {
  using socket = bindUdp();
  const group = "239.0.7.11";
  const refused = (where: unknown, kind: new (...args: never[]) => Error, words: string) =>
    assertRejects(() => joinGroup(socket, { group, interface: where as string }), kind as ErrorConstructor, words);
  await refused("nosuchif0", Deno.errors.NotFound, 'Cannot join group "239.0.7.11": there is no interface "nosuchif0"');
  await refused(2 ** 31 - 1, Deno.errors.NotFound, "there is no interface with index 2147483647; there are: ");
  await refused("203.0.113.7", Deno.errors.NotFound, "there is no interface with address 203.0.113.7");
  await refused("", RangeError, 'the interface is ""');
  await refused("sixteen_bytes_xx", RangeError, "has 16 bytes, it must have at most 15");
  for (const index of [0, -1, NaN, 1.5, 2 ** 31, 2 ** 32 + 1]) await refused(index, RangeError, "from 1 to 2147483647");
  await refused([], RangeError, "interface is an empty array");
  await refused(["lo", {}], TypeError, "it must be a name, an index or an address");
  await refused(null, TypeError, "the interface is null");
  await refused({ all: false }, TypeError, "or { all: true } alone");
  await refused({}, TypeError, "or { all: true } alone");
  await refused([{ all: true }], TypeError, "it must be a name, an index or an address");
  await assertRejects(
    () => joinGroup(socket, { group: "ff02::1%lo", interface: "lo" }),
    TypeError,
    "the interface is given twice",
  );
});

test("joinGroup() refuses sources that are none", { ffi: true }, async () => {
  using socket = bindUdp();
  const refused = (source: unknown, kind: ErrorConstructor, words: string) =>
    assertRejects(
      () => joinGroup(socket, { group: "232.0.7.12", source: source as string, interface: LO }),
      kind,
      words,
    );
  await refused("nonsense", SyntaxError, 'the source "nonsense" is no IPv4 or IPv6 address');
  await refused("::1", TypeError, 'the source "::1" must be of the family of the group');
  await refused("224.0.0.1", RangeError, 'the source "224.0.0.1" is a group, it must be one sender');
  await refused([], RangeError, "source is an empty array");
  await refused([LO, LO], TypeError, 'the source "127.0.0.1" is given twice');
  await refused(5, TypeError, "the source is 5");
  await refused([5], TypeError, "the source is 5");
});

test("joinGroup() refuses sockets that cannot hear the group", KERNEL6, async () => {
  const refused = async (socket: unknown, group: string, words: string) => {
    const error = await assertRejects(() => joinGroup(socket as SocketLike, { group, interface: "lo" }));
    assertInstanceOf(error, Deno.errors.NotSupported);
    assertStringIncludes(error.message, words);
  };
  using four = bindUdp({ hostname: LO });
  await refused(
    four,
    "ff02::1",
    `Cannot join group "ff02::1" on udp ${LO}:${four.addr.port}: the group is of IPv6, the socket of IPv4`,
  );
  using six = bindUdp({ hostname: "::1" });
  await refused(six, "239.0.7.13", 'the group is of IPv4, the socket of IPv6 alone; bind it to "0.0.0.0"');
  const listener = Deno.listen({ hostname: LO, port: 0 });
  await refused(listener, "239.0.7.13", "the socket must be a UDP or raw socket");
  listener.close();
  for (const wrong of [null, undefined, 5, "socket"]) {
    await assertRejects(() => joinGroup(wrong as never, { group: "239.0.7.13" }), TypeError, "it must be a UDP socket");
  }
  await assertRejects(() => joinGroup({} as never, { group: "239.0.7.13" }), TypeError);
});

test("joinGroup() on a closed socket is BadResource", { ffi: true }, async () => {
  const socket = bindUdp();
  socket.close();
  await assertRejects(() => joinGroup(socket, { group: "239.0.7.14", interface: LO }), Deno.errors.BadResource);
  const deno = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
  const membership = await joinGroup(deno, { group: "239.0.7.14", interface: LO });
  deno.close();
  await assertRejects(() => membership.leave(), Deno.errors.BadResource);
});

test("joinGroup() checks its arguments after 200,000 good checks too", { ffi: true }, async () => {
  using socket = bindUdp();
  await using membership = await joinGroup(socket, { group: "239.0.7.15", interface: LO });
  for (let i = 0; i < 200_000; i++) if (i % 20_000 === 0) membership.sources();
  const wrong: JoinOptions = { group: "239.0.7.16", interface: 2 ** 32 + 1 };
  await assertRejects(() => joinGroup(socket, wrong), RangeError);
});

test("joinGroup() sees memberships that were made by option as well", KERNEL, async () => {
  using socket = bindUdp();
  MCAST_JOIN_GROUP.set(socket, { group: "239.0.7.17", interface: "lo" });
  MCAST_MSFILTER.set(socket, { group: "239.0.7.17", interface: "lo", mode: "include", sources: ["10.0.0.1"] });
  const options = { group: "239.0.7.17", source: "10.0.0.2", interface: "lo" };
  const error = await assertRejects(() => joinGroup(socket, options)) as SystemError;
  assertEquals(error.code, "EADDRINUSE");
});

test("joinGroup() refuses a socket that is bound to an address of one machine, as it would never hear the group", {
  ffi: true,
}, async () => {
  using socket = bindUdp({ hostname: "127.0.0.1" });
  await assertRejects(
    () => joinGroup(socket, { group: "239.0.7.3", interface: "127.0.0.1" }),
    Deno.errors.NotSupported,
    'the socket hears its own address alone; bind it to "0.0.0.0" or to the group',
  );
  using group = bindUdp({ hostname: "239.0.7.3" });
  await using membership = await joinGroup(group, { group: "239.0.7.3", interface: "127.0.0.1" });
  assertEquals(membership.interfaces, ["lo"]);
});

test(
  "joinGroup() works on a Socket, bound or not, and on raw ones, whose datagrams come with it alone",
  KERNEL,
  async () => {
    const group = "239.0.7.18";
    using late = Socket.open("inet", "dgram");
    await using membership = await joinGroup(late, { group, interface: LO });
    assertEquals([joinedAt(group), membership.interfaces], [["lo"], ["lo"]]);
    late.bind({ hostname: group, port: 0 });
    using sender = bindUdp({ hostname: LO, multicast: { interface: LO } });
    const second = () => ({ signal: AbortSignal.timeout(5_000) });
    await sender.send(Uint8Array.of(1), { hostname: group, port: late.localAddr!.port });
    assertEquals([...await late.receive(undefined, second())], [1]);
  },
);

test("joinGroup() works on raw sockets of both families, with senders", NAMESPACES, async () => {
  await withPair(async (left) => {
    // A protocol for experiments (RFC 3692).
    const PROTOCOL = 253;
    const second = () => ({ signal: AbortSignal.timeout(5_000) });
    const families = [
      ["inet", "232.0.7.19", "10.77.0.1", "10.77.0.9", 20],
      ["inet6", "ff35::7:19", "fd77::1", "fd77::9", 0],
    ] as const;
    for (const [family, group, source, other, header] of families) {
      /** Calls that begin in the namespace, and are over before they wait. */
      const inside = async <T>(call: () => Promise<T>) => await left.inside(() => ({ promise: call() })).promise;
      using receiver = left.inside<Socket>(() => Socket.open(family, "raw", PROTOCOL));
      using sender = left.inside<Socket>(() => Socket.open(family, "raw", PROTOCOL));
      sender.bind({ hostname: source });
      left.inside(() => {
        if (family === "inet") IP_MULTICAST_IF.set(sender, source);
        else IPV6_MULTICAST_IF.set(sender, interfaceIndexOf(left.device, "Cannot test"));
      });
      const place = { group, interface: left.device };
      const membership = await inside(() => joinGroup(receiver, { ...place, source }));
      assertEquals(left.inside(() => membership.sources()), { ...place, mode: "include", sources: [source] });
      await sender.sendTo(Uint8Array.of(1), { hostname: group });
      assertEquals([...(await receiver.receive(undefined, second())).subarray(header)], [1]);
      await inside(() => membership.setSources("include", [other]));
      await sender.sendTo(Uint8Array.of(2), { hostname: group });
      assertEquals(receiver.tryReceive(), null);
      await inside(() => membership.setSources("exclude", [other]));
      await sender.sendTo(Uint8Array.of(3), { hostname: group });
      assertEquals([...(await receiver.receive(undefined, second())).subarray(header)], [3]);
      await inside(() => membership.leave());
    }
  });
});

test(
  "joinGroup() asks --allow-net for the group and the port of the socket, as a destination",
  OTHER_PROGRAM,
  async () => {
    const code = `for (const options of [{ group: "239.0.7.20" }, { group: "ff05::7:20", interface: 1 }]) {
      using socket = udp.bindUdp({ hostname: options.group.includes(":") ? "::" : "0.0.0.0", port: 54339 });
      await multicast.joinGroup(socket, { interface: "127.0.0.1", ...options }).then(() => console.log("joined"), say);
    }`;
    const wildcards = "0.0.0.0:54339,[::]:54339";
    for (const flags of [["--allow-ffi"], []]) {
      const run = (net: string) => runWith(["--unstable-net", `--allow-net=${net}`, ...flags], code);
      assertEquals(
        await run(wildcards),
        'NotCapable: Cannot join group "239.0.7.20": Requires net access to "239.0.7.20:54339", run again with the ' +
          '--allow-net flag\nNotCapable: Cannot join group "ff05::7:20": Requires net access to "[ff05::7:20]:54339", ' +
          "run again with the --allow-net flag",
      );
      assertEquals(await run(`${wildcards},239.0.7.20:54339,[ff05::7:20]:54339`), "joined\njoined");
      assertEquals(await run(`${wildcards},239.0.7.20,[ff05::7:20]`), "joined\njoined");
      assertMatch(await run(`${wildcards},239.0.7.20:1,[ff05::7:20]:1`), /^NotCapable: .*\nNotCapable: /);
    }
  },
);

test("joinGroup() explains the limits of IPv6, which are others", KERNEL6, async () => {
  using socket = bindUdp({ hostname: "::" });
  const source = Array.from({ length: 200 }, (_, i) => `fd00::${(i + 1).toString(16)}`);
  const group = "ff35::7:21";
  const many = await assertRejects(() => joinGroup(socket, { group, source, interface: "lo" })) as SystemError;
  assertEquals(many.code, "ENOBUFS");
  assertStringIncludes(many.message, "net.ipv6.mld_max_msf");
  assertEquals(joinedAt(group), []);
  let failure: SystemError | undefined;
  const all: Membership[] = [];
  for (let i = 1; i < 20_000 && failure === undefined; i++) {
    const one = `ff05::7:${i.toString(16)}`;
    await joinGroup(socket, { group: one, interface: "lo" }).then((it) => all.push(it), (error) => failure = error);
  }
  assert(["ENOMEM", "ENOBUFS"].includes(failure!.code), failure!.message);
  assertStringIncludes(failure!.message, "net.core.optmem_max");
});

test("a group is not left by another socket's membership", KERNEL, async () => {
  using one = bindUdp();
  using two = bindUdp();
  const group = "239.0.7.22";
  await using membership = await joinGroup(one, { group, interface: LO });
  // The kernel knows whose it is, and so do memberships: leaving twice is no leaving for another.
  const error = assertThrows(() => MCAST_LEAVE_GROUP.set(two, { group, interface: LO })) as SystemError;
  assertEquals(error.code, "EADDRNOTAVAIL");
  assertStringIncludes(error.message, "this socket has not joined the group there");
  const other = await joinGroup(two, { group, interface: LO });
  await other.leave();
  await assertRejects(() => other.leave(), Deno.errors.BadResource, "the group was left already");
  // What was left and joined anew is another membership, which the old one does not end.
  await using again = await joinGroup(two, { group, interface: LO });
  await assertRejects(() => other.leave(), Deno.errors.BadResource);
  await other[Symbol.asyncDispose]();
  assertEquals([membership.interfaces, again.interfaces, joinedAt(group)], [["lo"], ["lo"], ["lo"]]);
});

test("joinGroup() on IPv6 is given the first interface with a link where a system makes no choice", {}, () => {
  const one = (name: string, up: boolean, loopback: boolean, ...hostnames: string[]) => ({
    ...{ name, index: name.length, mtu: 1500, up, loopback, multicast: true, broadcast: true },
    addresses: hostnames.map((hostname) => ({ family: "inet6" as const, hostname, prefix: 64 })),
  });
  const lo0 = one("lo0", true, true, "::1", "fe80::1%1");
  const off = one("en0", false, false, "fe80::2%4");
  const bare = one("utun0", true, false, "fd00::1");
  const en1 = one("en1", true, false, "2001:db8::1", "fe80::3%5");
  const en2 = one("en2", true, false, "feb0::3%6");
  assertEquals(firstLinked([lo0, off, bare, en1, en2]), en1);
  assertEquals(firstLinked([lo0, en2, en1]), en2);
  assertEquals(firstLinked([lo0, off, bare]), undefined);
});
