// The packet filter of a socket that listens to an IPv6 group, run over packets. What comes of it: listen_test.ts.
import { assert, assertEquals } from "@std/assert";
import { descriptorOf } from "../../internal/descriptor.ts";
import { isFiltered } from "../../internal/membership.ts";
import { groupOf } from "../../multicast/group.ts";
import { filterOf, getScope, narrowScope, setScope, widenScope } from "../../multicast/scope.ts";
import { runFilter } from "../../socket/mod.ts";
import { bindUdp } from "../../udp/mod.ts";
import { test } from "../needs.ts";

const group = groupOf("ff02:1:2:3:4:5:6:7");

/** An Ethernet frame with a packet to an address. */
function frame(to: Uint8Array, version = 6): Uint8Array {
  const bytes = new Uint8Array(14 + 40 + 8 + 4);
  bytes.set([version === 6 ? 0x86 : 0x08, version === 6 ? 0xdd : 0x00], 12);
  bytes[14] = version << 4 | 0xf; // A traffic class stands behind the version.
  bytes.set(to, 14 + 24);
  return bytes;
}

test("a socket on :: lets pass what is sent to its group, and to no address that differs in any bit", {}, () => {
  const filter = filterOf({ group, wide: true, indices: null })!;
  assert(runFilter(filter, frame(group.bytes)) > 0);
  for (let bit = 0; bit < 128; bit++) {
    const other = group.bytes.slice();
    other[bit >> 3]! ^= 1 << (bit & 7);
    assertEquals(runFilter(filter, frame(other)), 0, `bit ${bit}`);
  }
  assertEquals(runFilter(filter, frame(group.bytes, 4)), 0);
});

test("as many interfaces are told apart as a filter can, then none", {}, () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
  for (const wide of [false, true]) {
    const length = (count: number) => filterOf({ group, wide, indices: many(count) })?.length;
    assertEquals(length(200)! - length(1)!, 199);
    assertEquals(length(201), filterOf({ group, wide, indices: null })?.length);
  }
  // A socket that is bound to its group and hears it everywhere needs none.
  assertEquals(filterOf({ group, wide: false, indices: null }), null);
  assertEquals(filterOf({ group, wide: false, indices: [] }), null);
});

test(
  "a filter is changed as interfaces come to it, and goes when they are too many",
  { ffi: true, linux: true },
  () => {
    using socket = bindUdp({ hostname: "::" });
    const filtered = () => isFiltered(descriptorOf(socket, "Cannot test"), "Cannot test");
    const told = () => getScope(socket)?.indices?.length;
    widenScope(socket, group, 1);
    assertEquals([told(), filtered()], [undefined, false]);
    setScope(socket, { group, wide: false, indices: null });
    widenScope(socket, group, 1);
    assertEquals([told(), filtered()], [undefined, false]);
    narrowScope(socket, [1]);
    assertEquals([told(), filtered()], [1, true]);
    widenScope(socket, group, 1);
    widenScope(socket, groupOf("ff02::1"), 2);
    assertEquals(told(), 1);
    for (let index = 2; index <= 200; index++) widenScope(socket, group, index);
    assertEquals([told(), filtered()], [200, true]);
    for (let index = 201; index <= 202; index++) widenScope(socket, group, index);
    assertEquals([told(), filtered()], [202, false]);
  },
);
