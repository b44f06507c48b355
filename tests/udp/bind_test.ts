// bindUdp: addresses, every option as the kernel has it, and everything that can go wrong.
// What the socket then does: socket_test.ts.
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  IP_ADD_MEMBERSHIP,
  IP_FREEBIND,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IP_TOS,
  IP_TTL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
  SO_BROADCAST,
  SO_PRIORITY,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_SNDBUF,
  type SystemError,
  TCP_NODELAY,
  UDP_GRO,
} from "../../options/mod.ts";
import { bindUdp, type BindUdpOptions, type DatagramField } from "../../udp/mod.ts";
import { NAMESPACES, withPair } from "../multicast/namespace.ts";
import { test } from "../needs.ts";
import { until } from "../time.ts";
import { both } from "./engines.ts";
import { OTHER_PROGRAM, runWith } from "./other_program.ts";

const LOCAL = "127.0.0.1";
const IPV6 = { read: true, files: ["/proc/net/if_inet6"] };

both("bindUdp() without options binds any port of 0.0.0.0", {}, () => {
  using socket = bindUdp();
  assertEquals({ ...socket.addr, port: 0 }, { family: "inet", transport: "udp", hostname: "0.0.0.0", port: 0 });
  assert(socket.addr.port > 0);
});

both("bindUdp() binds the address and port that were asked for, and looks a name up", {}, () => {
  using any = bindUdp({ hostname: "localhost" });
  assert(["127.0.0.1", "::1"].includes(any.addr.hostname));
  const { port } = any.addr;
  any.close();
  using same = bindUdp({ hostname: LOCAL, port });
  assertEquals(same.addr, { family: "inet", transport: "udp", hostname: LOCAL, port });
});

both("bindUdp() binds IPv6", IPV6, () => {
  using one = bindUdp({ hostname: "::1" });
  assertEquals([one.addr.family, one.addr.hostname], ["inet6", "::1"]);
  using all = bindUdp({ hostname: "::" });
  assertEquals([all.addr.family, all.addr.hostname], ["inet6", "::"]);
});

test("bindUdp() leaves the socket as Deno makes it, but with multicast loopback on", { ffi: true }, () => {
  using socket = bindUdp({ hostname: LOCAL });
  assertEquals(SO_BROADCAST.get(socket), true);
  assertEquals(IP_MULTICAST_LOOP.get(socket), true);
  assertEquals(SO_REUSEADDR.get(socket), false);
  const theirs = Deno.listenDatagram({ transport: "udp", hostname: LOCAL, port: 0 });
  assertEquals(IP_MULTICAST_LOOP.get(theirs), false);
  for (const option of [SO_RCVBUF, SO_SNDBUF, IP_TTL, IP_TOS, IP_MULTICAST_TTL]) {
    assertEquals(option.get(socket), option.get(theirs), option.name);
  }
  theirs.close();
});

test("bindUdp() sets each option on an IPv4 socket, as the kernel tells", { ffi: true, linux: true }, () => {
  using socket = bindUdp({
    hostname: LOCAL,
    reuseAddress: true,
    broadcast: false,
    receiveBufferSize: 30_000,
    sendBufferSize: 40_000,
    dscp: 46,
    hopLimit: 17,
    multicast: { interface: "lo", hopLimit: 3, loopback: false },
    options: [SO_PRIORITY.to(4)],
  });
  assertEquals(SO_REUSEADDR.get(socket), true);
  assertEquals(SO_BROADCAST.get(socket), false);
  assertEquals([SO_RCVBUF.get(socket), SO_SNDBUF.get(socket)], [60_000, 80_000]);
  assertEquals(IP_TOS.get(socket), 46 << 2);
  assertEquals(IP_TTL.get(socket), 17);
  assertEquals(IP_MULTICAST_IF.get(socket), LOCAL);
  assertEquals(IP_MULTICAST_TTL.get(socket), 3);
  assertEquals(IP_MULTICAST_LOOP.get(socket), false);
  assertEquals(SO_PRIORITY.get(socket), 4);
});

test("bindUdp() sets both families of a socket on ::", { ffi: true, linux: true, ...IPV6 }, () => {
  using socket = bindUdp({
    hostname: "::",
    dscp: 10,
    hopLimit: 18,
    multicast: { interface: "lo", hopLimit: 0, loopback: false },
  });
  assertEquals(IPV6_V6ONLY.get(socket), false);
  assertEquals([IP_TOS.get(socket), IPV6_TCLASS.get(socket)], [40, 40]);
  assertEquals([IP_TTL.get(socket), IPV6_UNICAST_HOPS.get(socket)], [18, 18]);
  assertEquals([IP_MULTICAST_IF.get(socket), IPV6_MULTICAST_IF.get(socket)], [LOCAL, 1]);
  assertEquals([IP_MULTICAST_TTL.get(socket), IPV6_MULTICAST_HOPS.get(socket)], [0, 0]);
  assertEquals([IP_MULTICAST_LOOP.get(socket), IPV6_MULTICAST_LOOP.get(socket)], [false, false]);
  using other = bindUdp({ hostname: "::" });
  assertEquals([IP_MULTICAST_LOOP.get(other), IPV6_MULTICAST_LOOP.get(other)], [true, true]);
});

test(
  "bindUdp() sets only IPv6 on an IPv6 address, and only IPv4 on a mapped one",
  { ffi: true, linux: true, ...IPV6 },
  () => {
    const options = { dscp: 1, hopLimit: 9, multicast: { interface: 1, hopLimit: 5, loopback: false } };
    using six = bindUdp({ ...options, hostname: "::1" });
    assertEquals([IPV6_TCLASS.get(six), IPV6_UNICAST_HOPS.get(six), IPV6_MULTICAST_IF.get(six)], [4, 9, 1]);
    assertEquals([IPV6_MULTICAST_HOPS.get(six), IPV6_MULTICAST_LOOP.get(six)], [5, false]);
    using mapped = bindUdp({ ...options, hostname: "::ffff:127.0.0.1" });
    assertEquals([IP_TOS.get(mapped), IP_TTL.get(mapped), IP_MULTICAST_IF.get(mapped)], [4, 9, LOCAL]);
    assertEquals([IP_MULTICAST_TTL.get(mapped), IP_MULTICAST_LOOP.get(mapped)], [5, false]);
  },
);

test("bindUdp({ multicast: { interface } }) takes a name, an index or an address", { ffi: true, linux: true }, () => {
  for (const selector of ["lo", 1, LOCAL]) {
    using socket = bindUdp({ hostname: LOCAL, multicast: { interface: selector } });
    assertEquals(IP_MULTICAST_IF.get(socket), LOCAL);
  }
  assertThrows(
    () => bindUdp({ hostname: LOCAL, multicast: { interface: "nosuchif0" } }),
    Deno.errors.NotFound,
    "multicast.interface",
  );
});

both("bindUdp({ reuseAddress: true }) lets others that say so too have the address", {}, () => {
  using one = bindUdp({ hostname: LOCAL, reuseAddress: true });
  using two = bindUdp({ hostname: LOCAL, port: one.addr.port, reuseAddress: true });
  assertEquals(two.addr, one.addr);
});

both("bindUdp() on an address in use says how to share it", {}, () => {
  using one = bindUdp({ hostname: LOCAL });
  const error = assertThrows(() => bindUdp({ hostname: LOCAL, port: one.addr.port, reuseAddress: true }));
  assertInstanceOf(error, Deno.errors.AddrInUse);
  const { code, syscall } = error as unknown as SystemError;
  assertEquals([code, syscall], ["EADDRINUSE", "bind"]);
  assertEquals(
    error.message,
    `Cannot bind udp ${LOCAL}:${one.addr.port}: EADDRINUSE (address already in use); ` +
      "another socket has the address; to share it both must say `reuseAddress: true`",
  );
});

both("bindUdp() explains other refusals of the system", { linux: true }, () => {
  const foreign = assertThrows(() => bindUdp({ hostname: "203.0.113.7", port: 9 }));
  assertInstanceOf(foreign, Deno.errors.AddrNotAvailable);
  assert(foreign.message.startsWith("Cannot bind udp 203.0.113.7:9: EADDRNOTAVAIL"), foreign.message);
  const zoneless = assertThrows(() => bindUdp({ hostname: "fe80::1", port: 9 })) as SystemError;
  assertEquals([zoneless.code, zoneless.errno, zoneless.syscall], ["EINVAL", 22, "bind"]);
  assert(zoneless.message.includes("needs its zone"), zoneless.message);
  const name = assertThrows(() => bindUdp({ hostname: "nosuchname.invalid" })) as SystemError;
  assertEquals(name.syscall, "getaddrinfo");
  assert(name.message.startsWith("Cannot bind udp nosuchname.invalid:0: "), name.message);
});

test(
  "bindUdp() on a low port without the privilege names it",
  { linux: true, root: true, run: ["setpriv"] },
  async () => {
    const deno = ["run", "--no-prompt", "--no-config", "--no-lock", "--quiet", "--unstable-net", "--allow-net", "-"];
    const child = new Deno.Command("setpriv", {
      args: ["--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service", Deno.execPath(), ...deno],
      stdin: "piped",
      stdout: "piped",
      env: { NO_COLOR: "1" },
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(
      `import { bindUdp } from ${JSON.stringify(import.meta.resolve("../../udp/mod.ts"))};
     try { bindUdp({ hostname: "127.0.0.1", port: 99 }); } catch (error) { console.log(error.name, error.code, error.message); }`,
    ));
    await writer.close();
    const { stdout } = await child.output();
    assertEquals(
      new TextDecoder().decode(stdout).trim(),
      "PermissionDenied EACCES Cannot bind udp 127.0.0.1:99: EACCES (permission denied); " +
        "ports below 1024 need CAP_NET_BIND_SERVICE",
    );
  },
);

test(
  "bindUdp({ broadcast }) decides whether a broadcast address may be sent to",
  { ffi: true, linux: true },
  async () => {
    // 127.255.255.255 is the broadcast address of lo.
    using allowed = bindUdp({ hostname: "0.0.0.0" });
    const to = { hostname: "127.255.255.255", port: allowed.addr.port };
    assertEquals(await allowed.send(new Uint8Array(3), to), 3);
    assertEquals((await allowed.receive())[0].byteLength, 3);
    using forbidden = bindUdp({ broadcast: false });
    const error = await assertRejects(() => forbidden.send(new Uint8Array(3), to));
    assertInstanceOf(error, Deno.errors.PermissionDenied);
    assert(
      error.message.endsWith("EACCES (permission denied); a broadcast address needs `broadcast: true`"),
      error.message,
    );
  },
);

test("bindUdp({ multicast: { loopback } }) decides whether members on this machine hear", NAMESPACES, async () => {
  // Over lo everything comes back, whatever the option says: this needs an interface with a cable.
  await withPair(async (left) => {
    for (const [hostname, group] of [["0.0.0.0", "239.1.2.3"], ["::", "ff05::77"], ["::", "239.1.2.3"]] as const) {
      const output = await left.run(
        `const receiver = udp.bindUdp({ hostname: ${JSON.stringify(hostname)} });
         await multicast.joinGroup(receiver, { group: "${group}", interface: "left0" });
         const to = { hostname: "${group}", port: receiver.addr.port };
         for (const loopback of [false, true]) {
           using sender = udp.bindUdp({ hostname: receiver.addr.hostname, multicast: { interface: "left0", loopback } });
           await sender.send(new TextEncoder().encode(String(loopback)), to);
         }
         console.log(new TextDecoder().decode((await receiver.receive())[0]));
         receiver.close();`,
      );
      assertEquals(output, "true", `${group} on ${hostname}`);
    }
  });
});

test("bindUdp() without FFI refuses what Deno has nothing for, naming it", { withoutFfi: true, linux: true }, () => {
  const refused = (options: BindUdpOptions<DatagramField>, name: string) => {
    const error = assertThrows(() => bindUdp({ hostname: LOCAL, ...options }), Deno.errors.NotCapable);
    assert(error.message.startsWith(`Cannot bind udp ${LOCAL}:0: ${name}: Requires ffi access`), error.message);
  };
  refused({ reusePort: true }, "reusePort");
  refused({ ipv6Only: true }, "ipv6Only");
  refused({ metadata: ["localAddr"] }, "metadata");
  refused({ gro: true }, "gro");
  refused({ spin: 20 }, "spin");
  refused({ options: [IP_FREEBIND.to(true)] }, "IP_FREEBIND");
  for (const spin of [0, "adaptive"] as const) {
    using socket = bindUdp({
      hostname: LOCAL,
      reusePort: false,
      ipv6Only: false,
      metadata: [],
      gro: false,
      spin,
      options: [],
    });
    assertEquals(socket.capabilities.engine, "portable");
  }
});

both("bindUdp() refuses an option that is given twice", {}, () => {
  const twice = (options: BindUdpOptions, name: string, field: string) => {
    const error = assertThrows(() => bindUdp({ hostname: LOCAL, ...options }), TypeError);
    assertEquals(error.message, `Cannot bind udp ${LOCAL}:0: ${name} is given twice, by ${field} and in options`);
  };
  twice({ dscp: 1, options: [IP_TOS.to(1)] }, "IP_TOS", "dscp");
  twice({ dscp: 1, options: [IPV6_TCLASS.to(1)] }, "IPV6_TCLASS", "dscp");
  twice({ hopLimit: 1, options: [IP_TTL.to(1)] }, "IP_TTL", "hopLimit");
  twice({ broadcast: true, options: [SO_BROADCAST.to(false)] }, "SO_BROADCAST", "broadcast");
  twice({ reuseAddress: true, options: [SO_REUSEADDR.to(false)] }, "SO_REUSEADDR", "reuseAddress");
  twice({ receiveBufferSize: 5000, options: [SO_RCVBUF.to(5000)] }, "SO_RCVBUF", "receiveBufferSize");
  twice({ sendBufferSize: 5000, options: [SO_SNDBUF.to(5000)] }, "SO_SNDBUF", "sendBufferSize");
  twice({ multicast: { hopLimit: 1 }, options: [IP_MULTICAST_TTL.to(1)] }, "IP_MULTICAST_TTL", "multicast.hopLimit");
  twice(
    { multicast: { loopback: true }, options: [IP_MULTICAST_LOOP.to(true)] },
    "IP_MULTICAST_LOOP",
    "multicast.loopback",
  );
  twice(
    { multicast: { interface: LOCAL }, options: [IP_MULTICAST_IF.to(LOCAL)] },
    "IP_MULTICAST_IF",
    "multicast.interface",
  );
});

both("bindUdp() refuses values of a wrong kind or out of range", {}, () => {
  const wrong = (options: Record<string, unknown>, kind: typeof TypeError | typeof RangeError, words: string) =>
    assertThrows(() => bindUdp({ hostname: LOCAL, ...options } as BindUdpOptions), kind, words);
  for (const port of [-1, 1.5, NaN, 65_536, Infinity]) wrong({ port }, RangeError, "the port is");
  for (const port of ["80", null, 5n]) {
    if (port !== null) wrong({ port }, TypeError, "the port is");
  }
  wrong({ hostname: 5 }, TypeError, "the hostname is 5");
  wrong({ hostname: "" }, RangeError, 'the hostname is "", it must be an address or a name');
  for (const name of ["reuseAddress", "reusePort", "broadcast", "ipv6Only", "gro"]) {
    wrong({ [name]: 1 }, TypeError, `${name} is 1, it must be true or false`);
  }
  for (
    const [name, low, high] of [
      ["receiveBufferSize", 1, 0x3fff_ffff],
      ["sendBufferSize", 1, 0x3fff_ffff],
      ["dscp", 0, 63],
      ["hopLimit", 1, 255],
    ] as const
  ) {
    const words = `it must be a whole number from ${low} to ${high}`;
    for (const value of [low - 1, high + 1, low + 0.5, NaN, 2 ** 32 + low]) wrong({ [name]: value }, RangeError, words);
    wrong({ [name]: String(low) }, TypeError, words);
  }
  wrong({ multicast: 5 }, TypeError, "multicast is 5");
  for (const value of [-1, 256, 0.5, NaN]) {
    wrong({ multicast: { hopLimit: value } }, RangeError, "multicast.hopLimit is");
  }
  wrong({ multicast: { hopLimit: "1" } }, TypeError, "multicast.hopLimit is");
  wrong({ multicast: { loopback: 1 } }, TypeError, "multicast.loopback is 1");
  wrong({ multicast: { interface: {} } }, TypeError, "multicast.interface is");
  wrong({ spin: -1 }, RangeError, "spin is -1");
  wrong({ spin: "fast" }, TypeError, 'spin is "fast"');
  wrong({ metadata: "ttl" }, TypeError, 'metadata is "ttl"');
  wrong({ options: 5 }, TypeError, "options is 5");
  wrong({ options: [5] }, TypeError, "options has 5");
  wrong({ signal: {} }, TypeError, "it must be an AbortSignal");
  assertThrows(() => bindUdp(5 as never), TypeError, "the options is 5");
});

test(
  "bindUdp() closes the socket when an option fails, and names the option",
  { ffi: true, linux: true, read: true },
  async () => {
    const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
    bindUdp({ hostname: LOCAL }).close();
    const before = open();
    const error = assertThrows(() => bindUdp({ hostname: LOCAL, options: [SO_PRIORITY.to(1), TCP_NODELAY.to(true)] }));
    assertInstanceOf(error, Deno.errors.NotSupported);
    assert(error.message.startsWith(`Cannot bind udp ${LOCAL}:0: TCP_NODELAY: Cannot set TCP_NODELAY`), error.message);
    assertThrows(
      () => bindUdp({ hostname: "::1", options: [IP_TTL.to(9)] }),
      Deno.errors.NotSupported,
      "Cannot bind udp [::1]:0: IP_TTL: ",
    );
    assertThrows(() => bindUdp({ hostname: LOCAL, options: [IP_TTL.to(999)] }), RangeError, "IP_TTL");
    // Deno may be about to close some of its own.
    await until(() => open() <= before);
  },
);

both("bindUdp({ signal }) closes the socket and ends its iteration", {}, async () => {
  const controller = new AbortController();
  using socket = bindUdp({ hostname: LOCAL, signal: controller.signal });
  setTimeout(() => controller.abort(), 5);
  for await (const _ of socket) throw new Error("a datagram from nowhere");
  await assertRejects(() => socket.receive(), Deno.errors.BadResource);
  assertThrows(() => socket.close(), Deno.errors.BadResource);
});

both("bindUdp({ signal }) rejects waiting calls, and does not mind a socket that is closed", {}, async () => {
  const controller = new AbortController();
  const closed = bindUdp({ hostname: LOCAL, signal: controller.signal });
  closed.close();
  using socket = bindUdp({ hostname: LOCAL, signal: controller.signal });
  const waiting = socket.receive();
  controller.abort();
  await assertRejects(() => waiting, Deno.errors.BadResource);
});

both("bindUdp({ signal }) lets go of the signal when the socket is closed", {}, () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  const socket = bindUdp({ hostname: LOCAL, signal });
  assertEquals(listeners, 1);
  socket.close();
  assertEquals(listeners, 0);
});

both("bindUdp() with an aborted signal opens nothing", {}, () => {
  const reason = new Error("no");
  assertStrictEquals(assertThrows(() => bindUdp({ hostname: LOCAL, signal: AbortSignal.abort(reason) })), reason);
});

test("bindUdp() without --unstable-net names the flag", OTHER_PROGRAM, async () => {
  const output = await runWith(["--allow-net"], `try { udp.bindUdp(); } catch (error) { say(error) }`);
  assertEquals(
    output,
    "NotSupported: Cannot bind udp 0.0.0.0:0: Deno has no listenDatagram here, run again with the --allow-ffi flag, " +
      'or with --unstable-net or "unstable": ["net"] in deno.json',
  );
});

test(
  "bindUdp() without --allow-ffi opens nothing when an option needs it, naming the option and the flag",
  OTHER_PROGRAM,
  async () => {
    const output = await runWith(
      ["--allow-net", "--unstable-net"],
      `const asked = [{ receiveBufferSize: 5000 }, { sendBufferSize: 5000 }, { dscp: 1 }, { hopLimit: 1 }, { broadcast: false },
       { multicast: { interface: "127.0.0.1" } }, { multicast: { hopLimit: 1 } }, { options: [options.SO_PRIORITY.to(1)] }];
     for (const one of asked) try { udp.bindUdp({ hostname: "127.0.0.1", ...one }); } catch (error) { say(error) }
     try { udp.bindUdp({ hostname: "::", multicast: { loopback: false } }); } catch (error) { say(error) }
     using socket = udp.bindUdp({ hostname: "127.0.0.1", broadcast: true, multicast: { loopback: false } });
     console.log("bound");`,
    );
    const lines = output.split("\n");
    const names = ["receiveBufferSize", "sendBufferSize", "dscp", "hopLimit", "broadcast", "multicast.interface"];
    names.push("multicast.hopLimit", "SO_PRIORITY");
    for (const name of names) {
      const line = lines.shift()!;
      assert(line.startsWith(`NotCapable: Cannot bind udp 127.0.0.1:0: ${name}: Requires ffi access`), line);
      assert(line.includes("--allow-ffi"), line);
    }
    assert(lines.shift()!.startsWith("NotCapable: Cannot bind udp [::]:0: multicast.loopback: Requires ffi access"));
    assertEquals(lines, ["bound"]);
  },
);

test("bindUdp() without --allow-net is refused in Deno's words", OTHER_PROGRAM, async () => {
  const code = `try { udp.bindUdp({ hostname: "127.0.0.1", port: 5 }) } catch (error) { say(error) }`;
  const words = 'NotCapable: Requires net access to "127.0.0.1:5", run again with the --allow-net flag';
  assertEquals(await runWith(["--unstable-net"], code), words);
  const ours = words.replace("NotCapable:", "NotCapable: Cannot bind udp 127.0.0.1:5:");
  assertEquals(await runWith(["--allow-ffi", "--deny-net"], code), ours);
});

test("UDP_GRO.set() is refused on a UdpSocket, whose datagrams it would glue", { ffi: true }, () => {
  using socket = bindUdp({ hostname: "127.0.0.1" });
  assertThrows(() => UDP_GRO.set(socket, true), Deno.errors.NotSupported, "it would glue datagrams together");
  assertEquals(UDP_GRO.get(socket), false);
});

test("bindUdp({ options }) takes an option once, and a membership as often as there are groups", { ffi: true }, () => {
  const twice = { hostname: "127.0.0.1", options: [IP_TTL.to(3), IP_TTL.to(4)] };
  assertThrows(() => bindUdp(twice), TypeError, "options has IP_TTL twice, it must be there once");
  using _socket = bindUdp({
    options: ["239.0.7.1", "239.0.7.2"].map((group) => IP_ADD_MEMBERSHIP.to({ group, interface: "127.0.0.1" })),
  });
});
