// Messages of rtnetlink: bytes written by hand, bytes of chance, and the kernel's own beside a table kept by them.
// What is made of them: netif_test.ts, multicast/watch_test.ts. The numbers against the headers: headers_test.ts.
import { assert, assertEquals } from "@std/assert";
import {
  changesBetween,
  endOf,
  InterfaceTable,
  listQuestion,
  type NetlinkMessage,
  readMessages,
  readRoute,
  routeQuestion,
} from "../internal/netlink.ts";
import type { NetworkInterface } from "../internal/netif.ts";
import { interfaceTable, routeTo } from "../internal/rtnetlink.ts";
import { test } from "./needs.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SOAK = Deno.permissions.querySync({ name: "env", variable: "SOCKETS_SOAK" }).state === "granted" &&
  Deno.env.get("SOCKETS_SOAK") === "1";
const ROUNDS = SOAK ? 1_000_000 : 100_000;

function hex(text: string): Bytes {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}

/** struct nlmsghdr and what follows it; the type in hexadecimal. */
function message(type: number, body: string, sequence = "00000000"): Bytes {
  const bytes = hex(`00000000 0000 0000 ${sequence} 00000000 ${body}`);
  new DataView(bytes.buffer).setUint32(0, bytes.length, true);
  new DataView(bytes.buffer).setUint16(4, type, true);
  return bytes;
}

const sole = (bytes: Bytes): NetlinkMessage => [...readMessages(bytes)][0]!;

const NEWLINK = 16, DELLINK = 17, NEWADDR = 20, DELADDR = 21, NEWROUTE = 24;
/** struct ifinfomsg: family 0, interface 258, up, running, broadcast, multicast; then a name, an MTU, a hardware address. */
const INFO = "00 00 0100 02010000 43100000 00000000";
const NAME = "0900 0300 6162637400 000000";
const MTU = "0800 0400 dc050000";
const HARDWARE = "0a00 0100 02005e100001 0000";
const LINK = message(NEWLINK, `${INFO} ${NAME} ${MTU} ${HARDWARE}`);
/** struct ifaddrmsg: inet, prefix 24, interface 258; then the address of the other end, the own one, the broadcast one. */
const INET = message(NEWADDR, "02 18 00 00 02010000 0800 0100 0a000002 0800 0200 0a000001 0800 0400 0a0000ff");
const INET6 = message(NEWADDR, "0a 40 00 00 02010000 1400 0100 fe80000000000000 0000000000000001");

const SHOWN: NetworkInterface = {
  name: "abct",
  index: 258,
  mtu: 1500,
  up: true,
  loopback: false,
  multicast: true,
  broadcast: true,
  hardwareAddr: "02:00:5e:10:00:01",
  addresses: [],
};

function together(...parts: readonly Bytes[]): Bytes {
  return Uint8Array.from(parts.flatMap((part) => [...part, ...new Uint8Array(-part.length & 3)]));
}

test("InterfaceTable tells what appears, changes and vanishes, and nothing twice", {}, () => {
  const table = new InterfaceTable();
  const tell = (bytes: Bytes) => table.apply(sole(bytes));
  assertEquals(tell(LINK), { kind: "added", interface: SHOWN });
  assertEquals(tell(LINK), null);
  const inet = { family: "inet", hostname: "10.0.0.1", prefix: 24, broadcast: "10.0.0.255" } as const;
  assertEquals(tell(INET), { kind: "changed", interface: { ...SHOWN, addresses: [inet] } });
  assertEquals(tell(INET), null);
  const inet6 = { family: "inet6", hostname: "fe80::1%258", prefix: 64 } as const;
  const full = { ...SHOWN, addresses: [inet, inet6] };
  assertEquals(tell(INET6), { kind: "changed", interface: full });
  assertEquals(table.list(), [full]);
  // A message that says less leaves the rest as it was.
  const down = { ...full, up: false };
  assertEquals(tell(message(NEWLINK, "00 00 0100 02010000 02100000 00000000")), { kind: "changed", interface: down });
  const other = DELADDR;
  const gone = INET.slice();
  new DataView(gone.buffer).setUint16(4, other, true);
  assertEquals(tell(gone), { kind: "changed", interface: { ...down, addresses: [inet6] } });
  assertEquals(tell(gone), null);
  assertEquals(tell(message(DELLINK, `${INFO} ${NAME}`)), {
    kind: "removed",
    interface: { ...down, addresses: [inet6] },
  });
  assertEquals(tell(message(DELLINK, `${INFO} ${NAME}`)), null);
  assertEquals(table.list(), []);
});

test("InterfaceTable takes no port that leaves its bridge for an interface that is gone", {}, () => {
  const table = new InterfaceTable();
  table.apply(sole(LINK));
  assertEquals(table.apply(sole(message(DELLINK, `07${INFO.slice(2)} ${NAME}`))), null);
  assertEquals(table.list(), [SHOWN]);
});

test("InterfaceTable takes no address of an interface it does not know, and none of another size", {}, () => {
  const table = new InterfaceTable();
  assertEquals(table.apply(sole(INET)), null);
  table.apply(sole(LINK));
  assertEquals(table.apply(sole(message(NEWADDR, "02 18 00 00 02010000 0600 0200 0a00 0000"))), null);
  assertEquals(table.apply(sole(message(NEWADDR, "0a 18 00 00 02010000 0800 0200 0a000001"))), null);
  assertEquals(table.list(), [SHOWN]);
});

test("readMessages() ends at what is cut short or lies about its length", {}, () => {
  const types = (bytes: Bytes) => [...readMessages(bytes)].map(({ type }) => type);
  const two = together(LINK, INET);
  assertEquals(types(two), [NEWLINK, NEWADDR]);
  assertEquals(types(two.slice(0, two.length - 1)), [NEWLINK]);
  for (const length of [0, 1, 15, 2 ** 31, 2 ** 32 - 1, LINK.length + 1]) {
    const lying = LINK.slice();
    new DataView(lying.buffer).setUint32(0, length, true);
    assertEquals(types(lying), []);
  }
  assertEquals(types(new Uint8Array(15)), []);
});

test("endOf() tells the end of an answer and its error, readRoute() the way out", {}, () => {
  assertEquals(endOf(sole(message(3, "00000000"))), 0);
  assertEquals(endOf(sole(message(2, "9bffffff"))), 101);
  assertEquals(endOf(sole(message(3, ""))), 0);
  assertEquals(endOf(sole(LINK)), null);
  assertEquals(readRoute(sole(message(NEWROUTE, "02 20 00 00 fe 02 00 01 00000000 0800 0400 07000000"))), 7);
  assertEquals(readRoute(sole(message(NEWROUTE, "02 20 00 00 fe 02 00 01 00000000"))), null);
  assertEquals(readRoute(sole(message(NEWROUTE, "02"))), null);
  assertEquals(readRoute(sole(LINK)), null);
});

test("questions are as the kernel wants them", {}, () => {
  assertEquals(listQuestion("links", 7), hex(`20000000 1200 0103 07000000 00000000 ${"00".repeat(16)}`));
  assertEquals(listQuestion("addresses", 7), hex(`18000000 1600 0103 07000000 00000000 ${"00".repeat(8)}`));
  assertEquals(
    routeQuestion(Uint8Array.of(127, 0, 0, 1), 1),
    hex("24000000 1a00 0100 01000000 00000000 02200000 00000000 00000000 08000100 7f000001"),
  );
});

test("changesBetween() finds what became of two lists", {}, () => {
  const other = { ...SHOWN, index: 3, name: "other" };
  assertEquals(changesBetween([SHOWN], [SHOWN]), []);
  assertEquals(changesBetween([SHOWN], [other]), [
    { kind: "removed", interface: SHOWN },
    { kind: "added", interface: other },
  ]);
  assertEquals(changesBetween([SHOWN], [{ ...SHOWN, up: false }]), [
    { kind: "changed", interface: { ...SHOWN, up: false } },
  ]);
  // Without FFI indices are 0, and names must do.
  const blind = { ...SHOWN, index: 0 };
  assertEquals(changesBetween([blind], [{ ...blind, name: "other" }]).map(({ kind }) => kind), ["removed", "added"]);
});

test("whatever comes, the parser ends, reads nothing beyond it, and lists nothing that was not told", {}, () => {
  // A generator with a seed, so that a failure can be had again.
  let state = 20_261_122;
  const random = (below: number) => {
    state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 >>> 0;
    return ((state ^ state >>> 13) >>> 0) % below;
  };
  const seeds = [
    LINK,
    INET,
    INET6,
    together(LINK, INET, INET6),
    together(LINK, message(DELLINK, `${INFO} ${NAME}`), LINK, INET),
    message(NEWROUTE, "02 20 00 00 fe 02 00 01 00000000 0800 0400 07000000"),
    message(2, "9bffffff"),
  ];
  let table = new InterfaceTable();
  let read = 0;
  let told = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const seed = seeds[random(seeds.length)]!;
    // Around it lies what must not be seen.
    const memory = new Uint8Array(seed.length + 64).fill(0xee);
    const input = memory.subarray(32, 32 + seed.length);
    input.set(seed);
    for (let i = random(6); i > 0; i--) input[random(input.length)] = random(256);
    const bytes = input.subarray(0, random(3) === 0 ? random(input.length + 1) : input.length);
    let end = 0;
    for (const one of readMessages(bytes)) {
      read++;
      assert(one.bytes.byteOffset >= input.byteOffset + end, "messages lie behind each other");
      end = one.bytes.byteOffset - input.byteOffset + one.bytes.byteLength;
      assert(end <= bytes.byteLength, "a message ends with its datagram");
      endOf(one);
      readRoute(one);
      if (table.apply(one) !== null) told++;
    }
    if (round % 64 === 0) {
      for (const { name, index, mtu, addresses } of table.list()) {
        assert(name !== "" && index > 0 && mtu >= 0);
        for (const { family, prefix, hostname } of addresses) {
          assert(prefix >= 0 && prefix <= (family === "inet" ? 32 : 128) && hostname !== "");
        }
      }
      table = new InterfaceTable();
    }
  }
  assert(read > ROUNDS / 2 && told > ROUNDS / 10, `${read} messages, ${told} changes`);
});

test(
  "routeTo() tells the way, and that there is none",
  { ffi: true, linux: true, root: true, run: ["ip"] },
  async () => {
    const { withPair } = await import("./multicast/namespace.ts");
    await withPair((left) => {
      const [to, index] = left.inside(() => [
        [[10, 77, 0, 2], [10, 78, 0, 1], [127, 0, 0, 1]].map((ip) => routeTo(Uint8Array.from(ip), "Cannot test")),
        interfaceTable("Cannot test")!.list().find(({ name }) => name === left.device)!.index,
      ]);
      assertEquals(to, [index, "none", 1]);
      const six = hex("fd770000000000000000000000000002");
      const far = hex("20010db8000000000000000000000001");
      assertEquals(left.inside(() => [routeTo(six, "Cannot test"), routeTo(far, "Cannot test")]), [index, "none"]);
      return Promise.resolve();
    });
  },
);
