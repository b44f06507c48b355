// Multicast with Deno's own calls alone: what works, and that the rest is refused by name.
// With FFI: join_test.ts, listen_test.ts.
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../needs.ts";
import { OTHER_PROGRAM, runWith } from "../udp/other_program.ts";

const NET = ["--allow-net", "--unstable-net"];
const BEGIN = `const socket = udp.bindUdp(); const group = "239.0.9.1";
  const to = { group, interface: "127.0.0.1" };
  const join = (options, on = socket) => multicast.joinGroup(on, { group, ...options }).then((it) => it.leave()).then(() => console.log("joined"), say);`;

async function lines(flags: readonly string[], code: string): Promise<string[]> {
  return (await runWith(flags, `${BEGIN}\n${code}\nsocket.close();`)).split("\n");
}

test(
  "joinGroup() without FFI joins by address, on sockets of ours and of Deno, and leaves",
  OTHER_PROGRAM,
  async () => {
    const igmp =
      `new TextDecoder().decode((await new Deno.Command("cat", { args: ["/proc/net/igmp"] }).output()).stdout).includes("010900EF")`;
    const output = await lines(
      [...NET, "--allow-run=cat"],
      `const theirs = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
     for (const on of [socket, theirs]) {
       const membership = await multicast.joinGroup(on, to);
       console.log(membership.group, membership.interfaces.join(), ${igmp});
       await multicast.joinGroup(on, to).catch((error) => console.log(error.name, error.code));
       await membership.leave();
       console.log(membership.interfaces.length, ${igmp});
       await membership.leave().catch(say);
       await membership[Symbol.asyncDispose]();
     }
     theirs.close();`,
    );
    const one = [
      "239.0.9.1 127.0.0.1 true",
      "AddrInUse EADDRINUSE",
      "0 false",
      'BadResource: Cannot leave group "239.0.9.1": the group was left already',
    ];
    assertEquals(output, [...one, ...one]);
  },
);

test("joinGroup() without FFI joins several interfaces, all or none", OTHER_PROGRAM, async () => {
  const output = await lines(
    NET,
    `await join({ interface: ["127.0.0.1", "203.0.113.9"] });
     await join({ interface: ["127.0.0.1"] });`,
  );
  assertMatch(output[0]!, /^(Error|AddrNotAvailable): Cannot join group "239.0.9.1": E\w+ \(/);
  assertEquals(output[1], "joined");
});

test(
  "joinGroup() without FFI joins IPv6 by index",
  { ...OTHER_PROGRAM, linux: true, files: ["/proc/net/igmp6"] },
  async () => {
    const output = await lines(
      NET,
      `const six = udp.bindUdp({ hostname: "::" });
     await join({ group: "ff02::9:1", interface: 1 }, six);
     await join({ group: "ff02::9:1%1" }, six);
     await join({ group: "ff02::9:1", interface: 2 ** 31 }, six);
     six.close();`,
    );
    assertEquals(output.slice(0, 2), ["joined", "joined"]);
    assertMatch(output[2]!, /^RangeError: /);
  },
);

test("joinGroup() without FFI takes names with --allow-sys, and else says so", OTHER_PROGRAM, async () => {
  const code = `await join({ interface: "lo" });`;
  assertEquals(await lines([...NET, "--allow-sys"], code), ["joined"]);
  assertEquals(await lines(NET, code), [
    'NotCapable: Cannot join group "239.0.9.1": Requires sys access to "networkInterfaces", run again with the ' +
    "--allow-sys flag, or with the --allow-ffi flag",
  ]);
  assertMatch((await lines([...NET, "--allow-sys"], `await join({ interface: "nosuchif0" });`))[0]!, /^NotFound: /);
});

test("joinGroup() without FFI refuses what Deno has nothing for, naming it", OTHER_PROGRAM, async () => {
  const output = await lines(
    NET,
    `import dgram from "node:dgram";
     await join({ source: "127.0.0.1", interface: "127.0.0.1" });
     const node = dgram.createSocket("udp4");
     await new Promise((resolve) => node.bind(0, "0.0.0.0", resolve));
     await join({ interface: "127.0.0.1" }, node);
     node.close();
     const membership = await multicast.joinGroup(socket, to);
     try { membership.sources() } catch (error) { say(error) }
     for (const call of ["blockSource", "unblockSource"]) await membership[call]("127.0.0.1").catch(say);
     await membership.setSources("include", []).catch(say);`,
  );
  const flag = ": Requires ffi access to the C library, run again with the --allow-ffi flag";
  const beginnings = [
    `Cannot join group "239.0.9.1" from chosen sources`,
    `Cannot join group "239.0.9.1" on a socket that Deno's own calls do not take`,
    `Cannot read the sources of group "239.0.9.1"`,
    `Cannot block source "127.0.0.1" of group "239.0.9.1"`,
    `Cannot unblock source "127.0.0.1" of group "239.0.9.1"`,
    `Cannot set the sources of group "239.0.9.1"`,
  ];
  for (const [i, beginning] of beginnings.entries()) {
    const wanted = `NotCapable: ${beginning}${flag}`;
    assertEquals(output[i]!.slice(0, wanted.length), wanted);
  }
});

test("joinGroup() without FFI checks its arguments all the same", OTHER_PROGRAM, async () => {
  const output = await lines(
    NET,
    `await join({ group: "10.0.0.1" }); await join({ group: "x" }); await join({ interface: "" });
     socket.close(); await join({ interface: "127.0.0.1" }); socket[Symbol.dispose](); socket.close = () => {};`,
  );
  assertEquals(output.slice(0, 3), [
    'RangeError: Cannot join group "10.0.0.1": the address must be in 224.0.0.0/4',
    'SyntaxError: Cannot join group "x": the text is no IPv4 or IPv6 address',
    'RangeError: Cannot join group "239.0.9.1": the interface is "", it must be a name, an index or an address',
  ]);
  assertMatch(output[3]!, /^BadResource: /);
});

test(
  "listenMulticast() without FFI hears its group, and sends where no choice is asked for",
  OTHER_PROGRAM,
  async () => {
    const output = await lines(
      [...NET, "--allow-sys"],
      `const one = await multicast.listenMulticast({ ...to, port: 0 });
     console.log(one.addr.hostname, one.membership.interfaces.join());
     await one.sendToGroup(new Uint8Array(3)).catch((error) => console.log(error.name, error.message.slice(0, 61)));
     await one.sendToGroup(new Uint8Array(3), { interface: "lo" }).catch((error) => console.log(error.name));
     one.close();`,
    );
    assertEquals(output, [
      "239.0.9.1 127.0.0.1",
      'NotCapable Cannot send to group "239.0.9.1" by a chosen interface: Requi',
      "NotCapable",
    ]);
  },
);
