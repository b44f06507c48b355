// The addresses that datagrams are sent to and come from, as they are remembered: never one for another.
// How an address looks in bytes: tests/sockaddr_test.ts. What goes where: native_test.ts.
import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { encodeAddress, readSockaddr } from "../../internal/sockaddr.ts";
import { addressIn, encodedDestination } from "../../udp/address.ts";
import { NAMESPACES, withPair } from "../multicast/namespace.ts";
import { test } from "../needs.ts";

const WHO = { doing: () => "Cannot send" };
/** More than are remembered. */
const MANY = 10_000;

function peer(i: number): { hostname: string; port: number } {
  const hostname = i % 3 === 0
    ? `127.0.${i >> 8 & 255}.${i & 255}`
    : i % 3 === 1
    ? "127.0.0.1"
    : `fd00::${i.toString(16)}`;
  return { hostname, port: 1 + i };
}

test("encodedDestination() has the bytes of each of many peers, on sockets of both families", {}, () => {
  for (const round of [1, 2]) {
    for (let i = 0; i < MANY; i++) {
      const { hostname, port } = peer(i);
      for (const family of ["inet", "inet6"] as const) {
        const own = hostname.includes(":") ? "inet6" : family;
        const right = encodeAddress(own, { hostname, port }, "x", "linux");
        assertEquals(
          encodedDestination(family, { hostname, port }, WHO),
          right,
          `${hostname} ${port} in round ${round}`,
        );
        // Other neighbours in what is remembered.
        encodedDestination(family, peer(i >> 1), WHO);
      }
    }
  }
});

test("encodedDestination() refuses what only looks like one that it remembers", {}, () => {
  const good = { hostname: "127.0.0.1", port: 80 };
  const bytes = encodedDestination("inet", good, WHO);
  assertStrictEquals(encodedDestination("inet", { ...good }, WHO), bytes);
  assertThrows(() => encodedDestination("inet", { ...good, port: "80" }, WHO), TypeError, 'port is "80"');
  assertThrows(() => encodedDestination("inet", { ...good, port: 80.5 }, WHO), RangeError, "port is 80.5");
  assertThrows(() => encodedDestination("inet", { ...good, port: NaN }, WHO), RangeError, "port is NaN");
  assertThrows(() => encodedDestination("inet", { hostname: ["127.0.0.1"], port: 80 }, WHO), TypeError, "hostname");
  assertThrows(() => encodedDestination("inet", { port: 80 }, WHO), TypeError, "hostname is undefined");
});

test("addressIn() tells each of many peers, in any order", {}, () => {
  for (let i = 0; i < MANY; i++) {
    for (const { hostname, port } of [peer(i), peer(i >> 1), peer(i)]) {
      const bytes = encodeAddress(hostname.includes(":") ? "inet6" : "inet", { hostname, port }, "x", "linux");
      const expected = { ...readSockaddr(bytes, "linux"), transport: "udp" };
      assertEquals(addressIn(bytes, 0, bytes.byteLength), expected as ReturnType<typeof addressIn>);
    }
  }
});

test(
  "encodedDestination() looks at what the name of an interface means each time, also at 6to4",
  NAMESPACES,
  async () => {
    await withPair(async (left) => {
      const output = await left.run(
        `const { encodedDestination } = await import(${JSON.stringify(import.meta.resolve("../../udp/address.ts"))});
       const rename = async (from, to) => {
         for (const change of [["down"], ["name", to]]) {
           await new Deno.Command("ip", { args: ["link", "set", from, ...change] }).output();
         }
       };
       const index = () => encodedDestination("inet6", { hostname: "fe80::9%6to4", port: 9 }, { doing: () => "Cannot send" })[24];
       const [one, two] = ["left0", "spare0"].map((name) => multicast.networkInterfaces().find((i) => i.name === name).index);
       await rename("left0", "6to4");
       console.log(index() === one);
       await rename("6to4", "left0");
       await rename("spare0", "6to4");
       console.log(index() === two);`,
      );
      assertEquals(output.split("\n"), ["true", "true"]);
    });
  },
);
