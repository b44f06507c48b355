// Zones of IPv6, as "%name" and as "%index": wherever an address is taken, they say which interface is meant.
// What the calls do besides: join_test.ts, membership_test.ts, listen_test.ts, explain_test.ts.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "../needs.ts";
import { NAMESPACES, withPair } from "./namespace.ts";

/** The interfaces of a namespace: both have the address fe80::5, so that only the zone tells them apart. */
const DEVICES = ["left0", "spare0"] as const;

const PRELUDE = `const indexOf = (name) => multicast.networkInterfaces().find((one) => one.name === name).index;
  const zones = (name) => [name, indexOf(name)];`;

test("zones choose the interface of a join, by name and by index", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(
      `${PRELUDE}
       for (const name of ${JSON.stringify(DEVICES)}) {
         for (const zone of zones(name)) {
           using socket = udp.bindUdp({ hostname: "::" });
           const joined = [];
           const other = name === "left0" ? "spare0" : "left0";
           for (const options of [
             { group: "ff02::7:1%" + zone },
             { group: "ff05::7:1%" + zone },
             { group: "ff05::7:2", interface: "fe80::5%" + zone },
             { group: "ff05::7:3", interface: ["fe80::5%" + zone, other] },
           ]) joined.push((await multicast.joinGroup(socket, options)).interfaces.join("+"));
           using listening = await multicast.listenMulticast({ group: "ff02::7:1%" + zone, port: 0 });
           joined.push(...listening.membership.interfaces, listening.addr.hostname === "ff02::7:1%" + indexOf(name));
           console.log(joined.join());
         }
       }`,
    );
    const both = (name: string, other: string) => `${name},${name},${name},${name}+${other},${name},true`;
    const [left0, spare0] = DEVICES;
    assertEquals(output.split("\n"), [
      both(left0, spare0),
      both(left0, spare0),
      both(spare0, left0),
      both(spare0, left0),
    ]);
  });
});

test("zones of senders are taken, and say nothing to the kernel's filters", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(
      `${PRELUDE}
       for (const zone of zones("left0")) {
         using socket = udp.bindUdp({ hostname: "::" });
         const at = { group: "ff35::7:1", interface: "left0" };
         const membership = await multicast.joinGroup(socket, { ...at, source: "fe80::2%" + zone });
         const filter = () => { const { mode, sources } = membership.sources(); return [mode, ...sources].join(" "); };
         console.log(filter());
         await membership.unblockSource("fe80::3%" + zone);
         await membership.blockSource("fe80::2%" + zone);
         console.log(filter());
         await membership.setSources("exclude", ["fe80::4%" + zone]);
         console.log(filter());
         const verdict = (source) => multicast.explainMulticast(socket, { ...at, port: socket.addr.port, source })
           .find(({ check }) => check === "source").verdict;
         console.log(verdict("fe80::4%" + zone), verdict("fe80::2%" + zone));
       }`,
    );
    const once = ["include fe80::2", "include fe80::3", "exclude fe80::4", "fault fine"];
    assertEquals(output.split("\n"), [...once, ...once]);
  });
});

test("zones choose the interface that is sent by, and of the peer", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(
      `${PRELUDE}
       const data = (text) => new TextEncoder().encode(text);
       const group = "ff02::7:2";
       for (const name of ${JSON.stringify(DEVICES)}) {
         for (const zone of zones(name)) {
           using hears = await multicast.listenMulticast({ group: group + "%" + zone, port: 0 });
           const { port } = hears.addr;
           using plain = udp.bindUdp({ hostname: "::" });
           using told = udp.bindUdp({ hostname: "::", multicast: { interface: "fe80::5%" + zone } });
           using raw = socket.Socket.open("inet6", "dgram");
           using peer = udp.bindUdp({ hostname: "fe80::5%" + zone });
           using connected = await udp.connectUdp({ hostname: "fe80::5%" + zone, port: peer.addr.port });
           const to = { hostname: group + "%" + zone, port };
           await plain.send(data("send"), to);
           await plain.sendMessage({ data: data("sendMessage"), remoteAddr: to });
           await plain.sendBatch([{ data: data("sendBatch"), remoteAddr: to }]);
           await told.send(data("multicast.interface"), { hostname: group, port });
           await raw.sendTo(data("sendTo"), to);
           await hears.sendToGroup(data("sendToGroup"), { interface: "fe80::5%" + zone });
           const heard = [];
           for (let i = 0; i < 6; i++) {
             const message = await hears.receiveMessage();
             // Who sent it is told with the zone, and can be answered so.
             const answerable = message.remoteAddr.hostname.endsWith("%" + indexOf(name));
             heard.push(new TextDecoder().decode(message.data), message.interfaceIndex === indexOf(name) && answerable);
           }
           console.log(heard.join(" "));
           await connected.send(data("x"));
           const [, from] = await peer.receive();
           await peer.send(data("y"), from);
           console.log(new TextDecoder().decode((await connected.receive())[0]), peer.addr.hostname === "fe80::5%" + indexOf(name));
         }
       }`,
    );
    const heard = ["send", "sendMessage", "sendBatch", "multicast.interface", "sendTo", "sendToGroup"];
    const once = [heard.map((one) => `${one} true`).join(" "), "y true"];
    assertEquals(output.split("\n"), Array(4).fill(once).flat());
  });
});

test("zones say by which interface a group is expected", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(
      `${PRELUDE}
       using socket = udp.bindUdp({ hostname: "::" });
       await multicast.joinGroup(socket, { group: "ff02::7:3", interface: "left0" });
       const verdict = (options) => multicast.explainMulticast(socket, { port: socket.addr.port, ...options })
         .find(({ check }) => check === "interface").verdict;
       for (const name of ${JSON.stringify(DEVICES)}) {
         for (const zone of zones(name)) {
           console.log(verdict({ group: "ff02::7:3%" + zone }), verdict({ group: "ff02::7:3", interface: "fe80::5%" + zone }));
         }
       }`,
    );
    assertEquals(output.split("\n"), ["fine fine", "fine fine", "fault fault", "fault fault"]);
  });
});

test("zones that are none are refused where they are given", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(
      `using socket = udp.bindUdp({ hostname: "::" });
       for (const zone of ["nosuchif0", "99999"]) {
         for (const options of [{ group: "ff02::7:1%" + zone }, { group: "ff02::7:1", interface: "fe80::5%" + zone }]) {
           await multicast.joinGroup(socket, options).catch(say);
         }
         await socket.send(new Uint8Array(1), { hostname: "ff02::7:1%" + zone, port: 9 }).catch(say);
       }
       await multicast.joinGroup(socket, { group: "ff02::7:1%" }).catch(say);
       await multicast.joinGroup(socket, { group: "ff02::7:1%left0", interface: "left0" }).catch(say);`,
    );
    const refusals = ["nosuchif0", "99999"].flatMap((zone) => [
      `NotFound: Cannot join group "ff02::7:1%${zone}": there is no interface`,
      `NotFound: Cannot join group "ff02::7:1": there is no interface with address fe80::5%${zone}; there are: lo (1)`,
      // What an index means the kernel alone knows when it sends.
      zone === "99999" ? "NetworkUnreachable: Cannot send from" : "NotFound: Cannot send on",
    ]);
    const lines = output.split("\n");
    for (const [i, words] of refusals.entries()) assertStringIncludes(lines[i]!, words);
    assertEquals(lines.slice(refusals.length), [
      'SyntaxError: Cannot join group "ff02::7:1%": the text is no IPv4 or IPv6 address',
      'TypeError: Cannot join group "ff02::7:1%left0": the interface is given twice, by the zone and by interface',
    ]);
  });
});
