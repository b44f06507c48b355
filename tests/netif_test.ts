// Network interfaces: their list beside what the kernel says elsewhere, and what names, indices and addresses mean.
// The public function is the same list: tests/multicast/interfaces_test.ts.
import { assert, assertEquals, assertFalse, assertInstanceOf, assertThrows } from "@std/assert";
import {
  interfaceIndexOf,
  interfaceNameOf,
  interfaceOf,
  ipv4AddressOf,
  listInterfaces,
  listOfLibc,
  type NetworkInterface,
} from "../internal/netif.ts";
import { test } from "./needs.ts";
import { until } from "./time.ts";
import { OTHER_PROGRAM, runWith } from "./udp/other_program.ts";

/** Interfaces of a namespace are made by ip(8). */
const IP = { ffi: true, root: true, linux: true, run: ["ip"] };
const NETIF = JSON.stringify(import.meta.resolve("../internal/netif.ts"));

function loopback(): NetworkInterface {
  return listInterfaces("Cannot test").find((one) => one.loopback)!;
}

test("listInterfaces() tells what ip(8) tells", { ffi: true, linux: true, run: ["ip"] }, async () => {
  const { stdout } = await new Deno.Command("ip", { args: ["-json", "address"] }).output();
  const told = JSON.parse(new TextDecoder().decode(stdout)) as {
    ifname: string;
    ifindex: number;
    mtu: number;
    flags: string[];
    address: string;
    addr_info: { family: "inet" | "inet6"; local: string; prefixlen: number; broadcast?: string; scope: string }[];
  }[];
  const list = listInterfaces("Cannot test");
  assertEquals(list.map(({ name }) => name), told.map(({ ifname }) => ifname));
  for (const [i, one] of list.entries()) {
    const { ifindex, mtu, flags, address, addr_info } = told[i]!;
    assertEquals(one.index, ifindex);
    assertEquals(one.mtu, mtu);
    assertEquals(one.up, flags.includes("UP") && flags.includes("LOWER_UP"), one.name);
    assertEquals(one.loopback, flags.includes("LOOPBACK"));
    assertEquals(one.multicast, flags.includes("MULTICAST"));
    assertEquals(one.broadcast, flags.includes("BROADCAST"));
    assertEquals(one.hardwareAddr, /^(00:?)+$/.test(address ?? "00") ? undefined : address);
    const wanted = addr_info.map(({ family, local, prefixlen, broadcast, scope }) => ({
      family,
      hostname: family === "inet6" && scope === "link" ? `${local}%${ifindex}` : local,
      prefix: prefixlen,
      ...(broadcast === undefined ? {} : { broadcast }),
    }));
    assertEquals(one.addresses, wanted);
  }
});

test("listInterfaces() leaves no descriptor", { ffi: true, linux: true, read: true }, async () => {
  const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
  listInterfaces("Cannot test");
  const before = count();
  for (let i = 0; i < 10; i++) listInterfaces("Cannot test");
  // Deno may be about to close some of its own.
  await until(() => count() <= before);
});

test("listInterfaces() without FFI tells what Deno tells, and nothing it does not know", OTHER_PROGRAM, async () => {
  const output = await runWith(
    ["--allow-sys"],
    `import { listInterfaces } from ${NETIF};
     console.log(JSON.stringify(listInterfaces("Cannot test")));`,
  );
  const list = JSON.parse(output) as NetworkInterface[];
  const lo = list.find((one) => one.loopback)!;
  assert(
    lo.addresses.some(({ family, hostname, prefix }) => family === "inet" && hostname === "127.0.0.1" && prefix === 8),
  );
  for (const one of list) {
    assertEquals([one.mtu, one.up, one.multicast, one.broadcast], [0, true, false, false]);
    assert(one.index === 0 || one.addresses.some(({ hostname }) => hostname.endsWith(`%${one.index}`)));
  }
});

test("listInterfaces() without FFI and without sys names both flags", OTHER_PROGRAM, async () => {
  const output = await runWith(
    [],
    `import { listInterfaces } from ${NETIF};
    try { listInterfaces("Cannot test"); } catch (error) { say(error); }`,
  );
  assertEquals(
    output,
    'NotCapable: Cannot test: Requires sys access to "networkInterfaces", run again with the --allow-sys flag, ' +
      "or with the --allow-ffi flag",
  );
});

test("interfaceIndexOf() finds an interface by name, index and address", { ffi: true }, () => {
  const { name, index } = loopback();
  assertEquals(interfaceIndexOf(name, "Cannot test"), index);
  assertEquals(interfaceIndexOf(index, "Cannot test"), index);
  assertEquals(interfaceIndexOf("127.0.0.1", "Cannot test"), index);
  assertEquals(interfaceIndexOf("::ffff:127.0.0.1", "Cannot test"), index);
  assertEquals(interfaceNameOf(index), name);
});

test("interfaceIndexOf() finds an IPv6 interface by its address", { ffi: true, files: ["/proc/net/if_inet6"] }, () => {
  const { name, index } = loopback();
  assertEquals(interfaceIndexOf("::1", "Cannot test"), index);
  assertEquals(interfaceIndexOf(`::1%${name}`, "Cannot test"), index);
  assertThrows(() => interfaceIndexOf("::1%999", "Cannot test"), Deno.errors.NotFound, "with address ::1%999");
});

test("interfaceIndexOf() leaves the choice to the kernel for nothing and for a wildcard", { ffi: true }, () => {
  assertEquals(interfaceIndexOf(undefined, "Cannot test"), 0);
  assertEquals(interfaceIndexOf("0.0.0.0", "Cannot test"), 0);
  assertEquals(interfaceIndexOf("::", "Cannot test"), 0);
});

test("interfaceIndexOf() lists the interfaces there are when there is no such one", { ffi: true }, () => {
  const { name, index } = loopback();
  for (
    const [selector, words] of [
      ["nosuchif0", 'there is no interface "nosuchif0"'],
      [2 ** 31 - 1, "there is no interface with index 2147483647"],
      ["203.0.113.77", "there is no interface with address 203.0.113.77"],
      ["2001:db8::77", "there is no interface with address 2001:db8::77"],
    ] as const
  ) {
    const error = assertThrows(() => interfaceIndexOf(selector, "Cannot test"));
    assertInstanceOf(error, Deno.errors.NotFound);
    assert(error.message.startsWith(`Cannot test: ${words}; there are: `), error.message);
    assert(error.message.includes(`${name} (${index})`), error.message);
  }
});

test("interfaceIndexOf() refuses what can be no interface", { ffi: true }, () => {
  const refused = (selector: unknown, words: string) =>
    assertThrows(() => interfaceIndexOf(selector as string, "Cannot test"), RangeError, words);
  for (const index of [0, -1, 1.5, NaN, Infinity, 2 ** 31, 2 ** 32 + 1]) {
    refused(index, `Cannot test: the interface is ${index}, it must be a whole number from 1 to 2147483647`);
  }
  refused("", 'Cannot test: the interface is "", it must be a name, an index or an address');
  refused("sixteen_bytes_xx", 'the interface name "sixteen_bytes_xx" has 16 bytes, it must have at most 15');
  refused("éééééééé", 'the interface name "éééééééé" has 16 bytes');
  refused("lo\0", "has a NUL, it must have none");
  for (const wrong of [true, null, {}, 1n, ["lo"]]) {
    assertThrows(() => interfaceIndexOf(wrong as unknown as string, "Cannot test"), TypeError, "it must be a name");
  }
});

test("interfaceIndexOf() checks indices after 200,000 good calls too", { ffi: true }, () => {
  const { index } = loopback();
  for (let i = 0; i < 200_000; i++) interfaceNameOf(index);
  assertThrows(() => interfaceIndexOf(2 ** 32 + index, "Cannot test"), RangeError);
  assertThrows(() => interfaceIndexOf(NaN, "Cannot test"), RangeError);
});

test(
  "interfaceIndexOf() without FFI never takes an index that Deno did not tell for the kernel's choice",
  OTHER_PROGRAM,
  async () => {
    const output = await runWith(
      ["--allow-sys"],
      `import { interfaceIndexOf } from ${NETIF};
     for (const selector of ["127.0.0.1", "lo", 1]) {
       try { console.log(interfaceIndexOf(selector, "Cannot test")); } catch (error) { console.log(error.name); }
     }`,
    );
    assertEquals(output, "NotCapable\nNotCapable\nNotCapable");
  },
);

test("ipv4AddressOf() gives the first IPv4 address of an interface", { ffi: true }, () => {
  const { name, index } = loopback();
  for (const selector of [name, index, "127.0.0.1"]) {
    assertEquals([...ipv4AddressOf(selector, "Cannot test")], [127, 0, 0, 1]);
  }
  for (const selector of [undefined, "0.0.0.0", "::"]) {
    assertEquals([...ipv4AddressOf(selector, "Cannot test")], [0, 0, 0, 0]);
  }
  assertThrows(() => ipv4AddressOf("203.0.113.77", "Cannot test"), Deno.errors.NotFound);
  const without = listInterfaces("Cannot test").find((one) => !one.addresses.some(({ family }) => family === "inet"));
  if (without !== undefined) {
    assertThrows(
      () => ipv4AddressOf(without.name, "Cannot test"),
      Deno.errors.AddrNotAvailable,
      `Cannot test: interface "${without.name}" has no IPv4 address`,
    );
  }
});

test("interfaceOf() gives all that is known of one interface", { ffi: true }, () => {
  assertEquals(interfaceOf("127.0.0.1", "Cannot test"), loopback());
  assertEquals(interfaceOf(loopback().index, "Cannot test"), loopback());
  assertEquals(interfaceOf("0.0.0.0", "Cannot test"), null);
  assertFalse(interfaceNameOf(2 ** 31 - 1) !== null);
});

test("listInterfaces() and byte order hold for a link-local address, in a namespace", IP, async () => {
  const { withPair } = await import("./multicast/namespace.ts");
  await withPair(async (left) => {
    await left.ip("address", "add", "10.9.8.7/20", "brd", "+", "dev", left.device, "label", `${left.device}:x`);
    const output = await left.run(
      `import { interfaceIndexOf, listInterfaces } from ${NETIF};
       const one = listInterfaces("Cannot test").find((one) => one.name === ${JSON.stringify(left.device)});
       console.log(JSON.stringify(one));
       const own = one.addresses.find(({ hostname }) => hostname.startsWith("fe80:")).hostname;
       console.log(interfaceIndexOf(own, "Cannot test") === one.index);
       try { interfaceIndexOf("fe80::5", "Cannot test"); } catch (error) { console.log(error.message); }`,
    );
    const [first, second, third] = output.split("\n");
    const one = JSON.parse(first!) as NetworkInterface;
    const labelled = one.addresses.find(({ hostname }) => hostname === "10.9.8.7");
    assertEquals(labelled, { family: "inet", hostname: "10.9.8.7", prefix: 20, broadcast: "10.9.15.255" });
    assert(one.multicast && one.up);
    assertEquals(second, "true");
    // Two interfaces of the namespace were given this address.
    assert(third!.includes("several interfaces have address fe80::5"), third);
  });
});

test("an address without a broadcast address has none, by netlink and by getifaddrs", IP, async () => {
  const { withPair } = await import("./multicast/namespace.ts");
  await withPair(async (left) => {
    await left.ip("address", "add", "10.99.0.2/24", "dev", left.device);
    await left.ip("address", "add", "10.98.0.2/24", "broadcast", "10.98.0.255", "dev", left.device);
    for (const list of [listInterfaces, listOfLibc]) {
      const found = left.inside(() => list("Cannot test")).find(({ name }) => name === left.device)!;
      const told = found.addresses.filter(({ hostname }) => hostname.startsWith("10.9"));
      assertEquals(told, [
        { family: "inet", hostname: "10.99.0.2", prefix: 24 },
        { family: "inet", hostname: "10.98.0.2", prefix: 24, broadcast: "10.98.0.255" },
      ], list.name);
    }
    // Both tell the same of everything.
    assertEquals(left.inside(() => listInterfaces("Cannot test")), left.inside(() => listOfLibc("Cannot test")));
    // The other end of a link is no broadcast address, which getifaddrs cannot tell.
    await left.ip("address", "add", "10.97.0.2", "peer", "10.97.0.3/32", "dev", left.device);
    const found = left.inside(() => listInterfaces("Cannot test")).find(({ name }) => name === left.device)!;
    assertEquals(found.addresses.find(({ hostname }) => hostname === "10.97.0.2"), {
      family: "inet",
      hostname: "10.97.0.2",
      prefix: 32,
    });
  });
});

test("an alternative name of an interface is as good as its name", IP, async () => {
  const { withPair } = await import("./multicast/namespace.ts");
  await withPair(async (left) => {
    await left.ip("link", "property", "add", "dev", left.device, "altname", "other");
    const [byName, byOther] = [left.device, "other"].map((name) =>
      left.inside(() => [
        interfaceIndexOf(name, "Cannot test"),
        interfaceOf(name, "Cannot test"),
        ipv4AddressOf(name, "Cannot test"),
      ])
    );
    assertEquals(byOther, byName);
  });
});
