// Memberships with { all: true }: every interface there is, those that come, those that go, and links that were down.
// Changes of interfaces themselves: watch_test.ts. What is seen on the wire: ../lab/multicast_test.ts.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { joinGroup } from "../../multicast/mod.ts";
import { bindUdp } from "../../udp/mod.ts";
import { Socket } from "../../socket/mod.ts";
import { test } from "../needs.ts";
import { OTHER_PROGRAM, runWith } from "../udp/other_program.ts";
import { NAMESPACES, withPair } from "./namespace.ts";

/** Lines for programs: `at` says where the kernel has a group, `ip` runs ip(8), `soon` waits until something is so. */
const LINES = `
  const at = async (group) => {
    const six = group.includes(":");
    const lines = (await Deno.readTextFile(six ? "/proc/net/igmp6" : "/proc/net/igmp")).split("\\n");
    if (six) return lines.map((line) => line.split(/\\s+/)).filter((line) => line[2]?.endsWith(group.split("::")[1].split(":").map((part) => part.padStart(4, "0")).join(""))).map((line) => line[1]).join();
    const hex = group.split(".").reverse().map((part) => Number(part).toString(16).padStart(2, "0")).join("").toUpperCase();
    const found = [];
    let device = "";
    for (const line of lines) {
      const [index, name] = line.split(/\\s+/);
      if (index !== "") device = name;
      else if (name === hex) found.push(device);
    }
    return found.join();
  };
  const ip = async (line) => {
    const { success, stderr } = await new Deno.Command("ip", { args: line.split(" ") }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  };
  const soon = async (condition, what) => {
    for (let i = 0; !await condition(); i++) {
      if (i === 2000) throw new Error("it does not hold: " + what);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };`;

for (const [family, group, host] of [["IPv4", "239.0.5.1", "0.0.0.0"], ["IPv6", "ff05::5:1", "::"]] as const) {
  test(`joinGroup({ all: true }) joins every interface there is and will be, ${family}`, NAMESPACES, async () => {
    await withPair(async (left) => {
      const output = await left.run(`${LINES}
        const group = "${group}";
        const socket = udp.bindUdp({ hostname: "${host}" });
        const membership = await multicast.joinGroup(socket, { group, interface: { all: true } });
        const heard = [];
        membership.onChange = ({ kind, interface: { name } }) => heard.push(kind + " " + name + " " + membership.interfaces.includes(name));
        console.log(membership.interfaces.toSorted().join(), "|", (await at(group)).split(",").toSorted().join());
        await ip("link add late0 type veth peer name late1");
        await soon(() => membership.interfaces.includes("late0") && membership.interfaces.includes("late1"), "late");
        console.log((await at(group)).split(",").toSorted().join(), heard.includes("added late0 true"));
        await ip("link set late0 up");
        await ip("link set late1 up");
        await soon(() => heard.filter((one) => one.startsWith("changed late0")).length > 0, "up");
        // One goes, and another of the same name and index comes.
        const { index } = multicast.networkInterfaces().find(({ name }) => name === "late0");
        await ip("link delete late0");
        await soon(() => heard.includes("removed late0 false"), "gone");
        console.log(membership.interfaces.toSorted().join());
        await ip("link add late0 index " + index + " type veth peer name late1");
        await soon(() => membership.interfaces.includes("late0"), "back");
        console.log((await at(group)).split(",").toSorted().join());
        await ip("link set late0 down");
        await membership.leave();
        console.log("left", await at(group), membership.interfaces.length);
        await ip("link add later0 type veth peer name later1");
        await new Promise((resolve) => setTimeout(resolve, 50));
        console.log("still", await at(group));
        socket.close();`);
      const usual = "left0,lo,spare0,spare1";
      assertEquals(output.split("\n"), [
        `${usual} | ${usual}`,
        "late0,late1,left0,lo,spare0,spare1 true",
        usual,
        "late0,late1,left0,lo,spare0,spare1",
        "left  0",
        "still ",
      ]);
    });
  });
}

test("joinGroup({ all: true }) gives new interfaces the filter in force", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(`${LINES}
      const filter = async (name) => (await Deno.readTextFile("/proc/net/mcfilter")).split("\\n")
        .map((line) => line.trim().split(/\\s+/)).filter(([, device]) => device === name)
        .map(([, , group, source, including, excluding]) => [group, source, including, excluding].join(" ")).sort().join(", ");
      const socket = udp.bindUdp();
      const blocking = await multicast.joinGroup(socket, { group: "239.0.5.2", interface: { all: true } });
      await blocking.blockSource("10.1.1.1");
      const chosen = await multicast.joinGroup(socket, { group: "232.0.5.2", source: "10.1.1.2", interface: { all: true } });
      await chosen.unblockSource("10.1.1.3");
      const silent = await multicast.joinGroup(socket, { group: "239.0.5.3", interface: { all: true } });
      await silent.setSources("include", []);
      await ip("link add late0 type veth peer name late1");
      await soon(() => blocking.interfaces.includes("late0") && chosen.interfaces.includes("late0"), "late");
      console.log(await filter("late0"));
      console.log(JSON.stringify(silent.interfaces), JSON.stringify(chosen.sources()));
      await silent.setSources("exclude", []);
      console.log(silent.interfaces.includes("left0"));
      socket.close();`);
    assertEquals(output.split("\n"), [
      "0xe8000502 0x0a010102 1 0, 0xe8000502 0x0a010103 1 0, 0xef000502 0x0a010101 0 1",
      '[] {"group":"232.0.5.2","mode":"include","sources":["10.1.1.2","10.1.1.3"]}',
      "true",
    ]);
  });
});

test("joinGroup({ all: true }) takes what it can get, and throws when that is nothing", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(`${LINES}
      const group = "239.0.5.4";
      using socket = udp.bindUdp();
      const single = await multicast.joinGroup(socket, { group, interface: "left0" });
      const rest = await multicast.joinGroup(socket, { group, interface: { all: true } });
      console.log(rest.interfaces.toSorted().join());
      await multicast.joinGroup(socket, { group, interface: { all: true } }).catch(say);
      // What the other has joined is not left with it.
      await rest.leave();
      console.log(await at(group), single.interfaces.join());
      await ip("link delete left0");
      await ip("link delete spare0");
      Deno.writeTextFileSync("/proc/sys/net/ipv4/igmp_max_memberships", "0");
      using other = udp.bindUdp();
      await multicast.joinGroup(other, { group, interface: { all: true } }).catch(say);`);
    const lines = output.split("\n");
    assertEquals(lines[0], "lo,spare0,spare1");
    assertStringIncludes(lines[1]!, 'AddrInUse: Cannot join group "239.0.5.4": EADDRINUSE');
    assertEquals(lines[2], "left0 left0");
    assertStringIncludes(lines[3]!, 'Error: Cannot join group "239.0.5.4": ENOBUFS');
    assertStringIncludes(lines[3]!, "net.ipv4.igmp_max_memberships");
  });
});

test(
  "joinGroup({ all: true }) ends with its socket, whoever made it, and keeps no program alive",
  NAMESPACES,
  async () => {
    // The test itself fails if the socket that listens to the kernel is left.
    await withPair(async (left) => {
      const group = "239.0.5.5";
      const all = { group, interface: { all: true } } as const;
      const ours = left.inside(() => Socket.open("inet", "dgram"));
      const first = left.inside(() => ({ promise: joinGroup(ours, all) }));
      assert((await first.promise).group === group);
      ours.close();
      const deno = left.inside(() => bindUdp());
      const second = left.inside(() => ({ promise: joinGroup(deno, all) }));
      assert((await second.promise).group === group);
      deno.close();
      const output = await left.run(`
      const socket = udp.bindUdp();
      await multicast.joinGroup(socket, { group: "${group}", interface: { all: true } });
      console.log("end");`);
      assertEquals(output, "end");
    });
  },
);

test("an error in onChange is the program's, and ends nothing", NAMESPACES, async () => {
  await withPair(async (left) => {
    const output = await left.run(`${LINES}
      const socket = udp.bindUdp();
      const membership = await multicast.joinGroup(socket, { group: "239.0.5.6", interface: { all: true } });
      const caught = [];
      addEventListener("error", (event) => { event.preventDefault(); caught.push(event.error.message); });
      membership.onChange = () => { throw new Error("mine"); };
      await ip("link add late0 type veth peer name late1");
      await soon(() => membership.interfaces.includes("late0") && membership.interfaces.includes("late1"), "late");
      console.log(caught[0]);
      socket.close();`);
    assertEquals(output, "mine");
  });
});

test("joinGroup({ all: true }) needs --allow-ffi", OTHER_PROGRAM, async () => {
  const output = await runWith(
    ["--allow-net", "--allow-sys", "--unstable-net"],
    `using socket = udp.bindUdp();
     await multicast.joinGroup(socket, { group: "239.0.5.7", interface: { all: true } }).catch(say);`,
  );
  assertStringIncludes(output, 'NotCapable: Cannot join group "239.0.5.7" on every interface: Requires ffi access');
});

test("listenMulticast({ all: true }) hears on every interface, and sends by each", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    for (const [group, port] of [["239.0.5.8", 54341], ["ff02::5:8", 54342]] as const) {
      const all = `{ group: "${group}", port: ${port}, interface: { all: true } }`;
      await using listener = right.start(`
        using socket = await multicast.listenMulticast({ group: "${group}", port: ${port}, interface: "right0" });
        console.log("ready");
        console.log(new TextDecoder().decode((await socket.receive())[0]));
        await socket.sendToGroup(new TextEncoder().encode("from right"));`);
      assertEquals(await listener.line(), "ready");
      const output = await left.run(`${LINES}
        using socket = await multicast.listenMulticast(${all});
        await ip("link add late0 type veth peer name late1");
        await soon(() => ["late0", "late1"].every((name) => socket.membership.interfaces.includes(name)), "late");
        for (const name of ["late0", "late1"]) await ip("link set " + name + " up");
        // spare0 is down: the others do not mind.
        await ip("link set spare0 down");
        console.log(await socket.sendToGroup(new TextEncoder().encode("from left"), { interface: { all: true } }));
        const heard = async () => new TextDecoder().decode((await socket.receive())[0]);
        const all = new Set();
        while (!all.has("from right")) all.add(await heard());
        console.log([...all].join());
        await ip("link delete late0");
        await ip("link set spare0 up");`);
      assertEquals(output, "9\nfrom left,from right");
      assertEquals(await listener.rest(), ["from left"]);
    }
  });
});
