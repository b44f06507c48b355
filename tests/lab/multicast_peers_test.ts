// Multicast with programs in C and Python, as textbooks write them: both ways, both families, any sender and chosen ones.
// The programs: peers/. Peers on loopback: ../examples/multicast_test.ts.
import { assert, assertEquals } from "@std/assert";
import { type Namespace, NAMESPACES, withPair } from "../multicast/namespace.ts";
import { type Needs, test } from "../needs.ts";

const PEERS = new URL("peers/", import.meta.url).pathname;

/** How a peer is started, and what removes what that needed. */
const LANGUAGES: readonly (readonly [
  name: string,
  needs: Needs,
  command: () => Promise<readonly [command: readonly string[], remove: () => Promise<void>]>,
])[] = [
  ["C", { ...NAMESPACES, run: ["ip", "gcc"], write: true }, async () => {
    const folder = await Deno.makeTempDir();
    const { success, stderr } = await new Deno.Command("gcc", {
      args: ["-Wall", "-Wextra", "-Werror", "-o", `${folder}/multicast`, `${PEERS}multicast.c`],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return [[`${folder}/multicast`], () => Deno.remove(folder, { recursive: true })];
  }],
  ["Python", NAMESPACES, () => Promise.resolve([["python3", `${PEERS}multicast.py`], () => Promise.resolve()])],
];

/** Addresses: ours, theirs, and a second one at each end, a stranger to those who ask for the first. */
const FAMILIES = [
  {
    family: "IPv4",
    any: "239.0.2.1",
    chosen: "232.0.2.1",
    ends: ["10.77.0.1", "10.77.0.2"],
    others: ["10.77.0.3", "10.77.0.4"],
  },
  {
    family: "IPv6",
    any: "ff05::2:1",
    chosen: "ff35::2:1",
    ends: ["fd77::1", "fd77::2"],
    others: ["fd77::3", "fd77::4"],
  },
] as const;

/** The routes by which programs that name no interface find the cable, and the second addresses. */
async function prepare(end: Namespace, other: string): Promise<void> {
  if (!other.includes(":")) {
    for (const net of ["239.0.0.0/8", "232.0.0.0/8"]) await end.ip("route", "add", net, "dev", end.device);
    return await end.ip("address", "add", `${other}/24`, "dev", end.device);
  }
  for (const net of ["ff05::/16", "ff35::/16"]) {
    await end.ip("-6", "route", "add", "multicast", net, "dev", end.device, "table", "local");
  }
  // One that is not chosen by itself.
  await end.ip("address", "add", `${other}/64`, "dev", end.device, "preferred_lft", "0", "nodad");
}

for (const [language, needs, command] of LANGUAGES) {
  for (const { family, any, chosen, ends: [ours, theirs], others: [ourOther, theirOther] } of FAMILIES) {
    for (const group of [any, chosen]) {
      const specific = group === chosen;
      const what = specific ? "from a chosen sender" : "from any sender";
      test(`listenMulticast() and programs in ${language} hear each other, ${family}, ${what}`, needs, async () => {
        const [[program, ...first], remove] = await command();
        try {
          await withPair(async (left, right) => {
            await prepare(left, ourOther);
            await prepare(right, theirOther);
            const peer = (...args: string[]) => right.program(program!, ...first, ...args);
            await using us = left.start(`
              const group = "${group}";
              using socket = await multicast.listenMulticast({ group, port: 54371, interface: "left0"${
              specific ? `, source: "${theirs}"` : ""
            } });
              using out = await multicast.listenMulticast({ group, port: 54372, interface: "left0" });
              console.log("ready");
              for await (const [data, from] of socket) {
                const text = new TextDecoder().decode(data);
                console.log(text, "from", from.hostname);
                if (text === "end") break;
              }
              using stranger = udp.bindUdp({ hostname: "${ourOther}", multicast: { interface: "left0" } });
              await stranger.send(new TextEncoder().encode("stranger"), { hostname: group, port: 54372 });
              for (const text of ["one", "two", "end"]) await out.sendToGroup(new TextEncoder().encode(text));`);
            await using them = peer("listen", group, "54372", ...specific ? [ours] : []);
            assertEquals([await us.line(), await them.line()], ["ready", "ready"]);
            for (const args of [[theirOther, "stranger"], [theirs, "hello"], ["-", "end"]]) {
              await using sender = peer("send", group, "54371", ...args);
              assertEquals(await sender.rest(), []);
            }
            const strange = (other: string) => specific ? [] : [`stranger from ${other}`];
            assertEquals(await us.rest(), [...strange(theirOther), `hello from ${theirs}`, `end from ${theirs}`]);
            const [one, two, end] = ["one", "two", "end"].map((text) => `${text} from ${ours}`) as [
              string,
              string,
              string,
            ];
            assertEquals(await them.rest(), [...strange(ourOther), one, two, end]);
          });
        } finally {
          await remove();
        }
      });
    }
  }
}
