// Bad input, one after the other on one socket: each is a clear error, and no membership of it is any other than before.
// What good input does: join_test.ts, membership_test.ts; wrong kinds of every argument are there, too.
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { joinGroup, type Membership } from "../../multicast/mod.ts";
import { IPV6_LEAVE_GROUP, MCAST_LEAVE_GROUP, type SocketLike, type SystemError } from "../../options/mod.ts";
import { bindUdp, type UdpSocket } from "../../udp/mod.ts";
import { test } from "../needs.ts";

const KERNEL = {
  ffi: true,
  linux: true,
  read: true,
  files: ["/proc/net/igmp6", "/proc/net/mcfilter6"],
};

/** A system's limit is passed by more senders than this. */
const MANY = 300;

/** What is joined, for two families: what can be wrong with each. */
const FAMILIES = [
  {
    hostname: "0.0.0.0",
    group: "239.0.3.21",
    other: "239.0.3.22",
    unicast: "10.0.0.1",
    foreign: "ff05::3:21",
    source: "127.0.0.2",
    foreignSource: "fd00::2",
    sources: Array.from({ length: MANY }, (_, i) => `10.1.${i >> 7}.${i & 127}`),
    limit: "net.ipv4.igmp_max_msf",
  },
  {
    hostname: "::",
    group: "ff05::3:21",
    other: "ff05::3:22",
    unicast: "fd00::1",
    foreign: null,
    source: "fd00::2",
    foreignSource: "127.0.0.2",
    sources: Array.from({ length: MANY }, (_, i) => `fd00::${(i + 1).toString(16)}`),
    limit: "net.ipv6.mld_max_msf",
  },
] as const;

for (const { hostname, group, other, unicast, foreign, source, foreignSource, sources, limit } of FAMILIES) {
  test(`bad input changes no membership of a socket on ${hostname}`, KERNEL, async () => {
    using socket = bindUdp({ hostname });
    using stranger = bindUdp({ hostname });
    const closed = bindUdp({ hostname });
    closed.close();
    await using any = await joinGroup(socket, { group, interface: "lo" });
    await any.blockSource(source);
    const gone = await joinGroup(stranger, { group: other, interface: "lo" });
    await gone.leave();

    const state = () => JSON.stringify([any.sources(), any.interfaces, filters(any), joined()]);
    const join = (options: Record<string, unknown>, on: UdpSocket = socket) => () =>
      joinGroup(on, { group: other, interface: "lo", ...options } as Parameters<typeof joinGroup>[1]);
    const leaves = (on: SocketLike) => () => {
      MCAST_LEAVE_GROUP.set(on, { group, interface: "lo" });
      return Promise.resolve();
    };
    const cases: [string, () => Promise<unknown>, new (...args: never[]) => Error, string][] = [
      ["a unicast group", join({ group: unicast }), RangeError, "the address must be in"],
      [
        "a source of the other family",
        join({ source: foreignSource }),
        TypeError,
        "must be of the family of the group",
      ],
      ["sources of both", join({ source: [source, foreignSource] }), TypeError, "must be of the family of the group"],
      ["an unknown interface", join({ interface: "nosuchif0" }), Deno.errors.NotFound, "there is no interface"],
      ["an unknown one among others", join({ interface: ["lo", 99_999] }), Deno.errors.NotFound, "with index 99999"],
      ["more sources than the kernel takes", join({ source: sources }), Error, limit],
      ["the same again", join({ group }), Deno.errors.AddrInUse, "this socket has joined the group there already"],
      [
        "the same for a source",
        join({ group, source }),
        Deno.errors.AddrInUse,
        "its Membership can change the sources",
      ],
      ["a closed socket", join({}, closed), Deno.errors.BadResource, "closed"],
      ["a filter of more", () => any.setSources("include", sources), Error, limit],
      ["a filter of more to block", () => any.setSources("exclude", sources), Error, limit],
      ["blocking the other family", () => any.blockSource(foreignSource), TypeError, "family of the group"],
      ["blocking twice", () => any.blockSource(source), Deno.errors.AddrNotAvailable, "the filter is so already"],
      ["unblocking who is not blocked", () => any.unblockSource(sources[0]!), Error, "the filter is so already"],
      ["leaving twice", () => gone.leave(), Deno.errors.BadResource, "the group was left already"],
      ["leaving by another socket", leaves(stranger), Error, "this socket has not joined the group there"],
    ];
    if (foreign !== null) {
      cases.push([
        "a group of the other family",
        join({ group: foreign }),
        Deno.errors.NotSupported,
        "the socket of IPv4",
      ]);
    } else {
      const leave = () => {
        IPV6_LEAVE_GROUP.set(stranger, { group, interface: "lo" });
        return Promise.resolve();
      };
      cases.push(["leaving so by another socket", leave, Error, "this socket has not joined the group there"]);
    }
    for (const [what, call, kind, words] of cases) {
      const before = state();
      assert(before.includes(source), before);
      const error = await assertRejects(async () => await call()) as SystemError;
      assertInstanceOf(error, kind, what);
      assert(error.message.includes(words), `${what}: ${error.message}`);
      assert(error.message.startsWith("Cannot "), error.message);
      assertEquals(state(), before, what);
    }
  });
}

/** The groups that the kernel has on lo, those of other tests left out. */
function joined(): string[] {
  const lines = (path: string) => Deno.readTextFileSync(path).split("\n").map((line) => line.trim().split(/\s+/));
  return [
    ...lines("/proc/net/igmp").map(([group]) => group!).filter((group) => /^1[56]0300EF$/.test(group)),
    ...lines("/proc/net/igmp6").map(([, , group]) => group!).filter((group) => /000300(21|22)$/.test(group ?? "")),
  ];
}

/** The filter of the group, as the kernel lists it beside the sockets. */
function filters({ group }: Membership): string[] {
  const six = group.includes(":");
  const text = Deno.readTextFileSync(six ? "/proc/net/mcfilter6" : "/proc/net/mcfilter");
  const wanted = six ? "ff050000000000000000000000030021" : "0xef000315";
  return text.split("\n").filter((line) => line.includes(wanted)).map((line) => line.trim().replace(/\s+/g, " "));
}
