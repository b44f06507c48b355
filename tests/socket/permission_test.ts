// What the sockets of each family need of --allow-net: all of it at open, or what they bind, connect and send to.
// What single hosts, paths and vsocks need, beside Deno's own calls: ../permission_test.ts.
import { assertEquals } from "@std/assert";
import { type Namespace, NAMESPACES, withPair } from "../multicast/namespace.ts";
import { ROOT } from "../raw_socket.ts";
import { start } from "../udp/other_program.ts";
import { PROGRAM, test } from "./make.ts";

const MODULE = import.meta.resolve("../../socket/mod.ts");
const CODE = `import { Socket } from ${JSON.stringify(MODULE)};
const say = async (call) => {
  try { await call(); console.log("yes"); } catch (e) { console.log(e.name + ": " + e.message); }
};
`;

/** Runs code with these flags and --allow-ffi, nobody there to be asked; in a namespace, if one is given. */
async function run(flags: readonly string[], code: string, end?: Namespace): Promise<string[]> {
  const file = await Deno.makeTempFile({ suffix: ".js" });
  try {
    await Deno.writeTextFile(file, CODE + code);
    const args = ["run", "--no-prompt", "--no-config", "--no-lock", "--quiet", "--allow-ffi", ...flags, file];
    await using program = end === undefined ? start(Deno.execPath(), args) : end.program(Deno.execPath(), ...args);
    return await program.rest();
  } finally {
    await Deno.remove(file);
  }
}

const KINDS = [
  ["inet", "raw", "icmp"],
  ["inet6", "raw", "icmp6"],
  ["packet", "raw", "all"],
  ["packet", "dgram", "ip"],
  ["netlink", "raw", "route"],
  ["bluetooth", "stream", "rfcomm"],
] as const;
const OPENS = KINDS.map(([family, type, protocol]) =>
  `await say(() => Socket.open("${family}", "${type}", "${protocol}").close());`
).join("\n");

test(
  "raw, packet, netlink and Bluetooth sockets need all of --allow-net, at open",
  { ...PROGRAM, ...ROOT },
  async () => {
    const refused = KINDS.map(([family, type]) =>
      `NotCapable: Cannot open a socket of family "${family}" and type "${type}": ` +
      "Requires net access, run again with the --allow-net flag"
    );
    for (const flags of [[], ["--allow-net=127.0.0.1,vsock:1:1"], ["--deny-net"]]) {
      assertEquals(await run(flags, OPENS), refused, flags.join());
    }
    const partial = await run(["--allow-net", "--deny-net=127.0.0.1"], OPENS);
    assertEquals(partial, refused.map((one) => `${one}; --deny-net withholds a part, and this needs all of it`));
    const opened = await run(["--allow-net"], OPENS);
    assertEquals(opened.slice(0, -1), refused.slice(0, -1).map(() => "yes"));
    assertEquals(opened.at(-1)!.startsWith("NotCapable"), false, "what comes then is the kernel's answer");
  },
);

test("what is bound and sent to is asked for again when all of net was revoked", { ...PROGRAM, ...ROOT }, async () => {
  const output = await run(
    ["--allow-net"],
    `const packet = Socket.open("packet", "dgram", 0x88b5);
     const netlink = Socket.open("netlink", "raw");
     const send = () => packet.trySendTo(new Uint8Array(1), { interface: "lo" });
     await say(send);
     Deno.permissions.revokeSync({ name: "net" });
     await new Promise((resolve) => setImmediate(resolve));
     await say(send);
     await say(() => packet.bind({ interface: "lo" }));
     await say(() => netlink.connect({ pid: 0 }));`,
  );
  const words = "Requires net access, run again with the --allow-net flag";
  assertEquals(output, [
    "yes",
    `NotCapable: Cannot send on packet dgram: ${words}`,
    `NotCapable: Cannot bind packet dgram: ${words}`,
    `NotCapable: Cannot connect netlink raw: ${words}`,
  ]);
});

test("vsock sockets are opened by all, and bound and connected as Deno's are", { ...PROGRAM, ...ROOT }, async () => {
  const code = `using socket = Socket.open("vsock", "stream");
    await say(() => socket.bind({ cid: -1, port: 45003 }));
    await say(() => socket.connect({ cid: 2, port: 45003 }));`;
  const refused = (verb: string, place: string) =>
    `NotCapable: Cannot ${verb} vsock stream: Requires net access to "${place}", run again with the --allow-net flag`;
  assertEquals(await run([], code), [refused("bind", "vsock:4294967295:45003"), refused("connect", "vsock:2:45003")]);
  assertEquals(await run(["--allow-net=vsock:4294967295:45003"], code), ["yes", refused("connect", "vsock:2:45003")]);
});

test("ping sockets need the hosts that they send to, and no more", { ...PROGRAM, ...NAMESPACES }, async () => {
  await withPair(async (left) => {
    left.sysctl("net.ipv4.ping_group_range", "0 2147483647");
    const code = `using socket = Socket.open("inet", "dgram", "icmp");
      const request = Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 1);
      await say(() => socket.sendTo(request, { hostname: "10.77.0.2" }));
      console.log((await socket.receive())[0]);
      await say(() => socket.sendTo(request, { hostname: "10.77.0.1" }));`;
    assertEquals(await run(["--allow-net=10.77.0.2"], code, left), [
      "yes",
      "0",
      'NotCapable: Cannot send on inet dgram: Requires net access to "10.77.0.1:0", run again with the --allow-net flag',
    ]);
  });
});

test(
  "listen() without bind() needs what bind() and Deno.listen() need: the address that the kernel takes",
  PROGRAM,
  async () => {
    const code = `for (const [family, hostname] of [["inet", "0.0.0.0"], ["inet6", "::"]]) {
      using listening = Socket.open(family, "stream"), bound = Socket.open(family, "stream");
      await say(() => listening.listen());
      await say(() => bound.bind({ hostname, port: 0 }));
      await say(() => Deno.listen({ hostname, port: 0 }).close());
    }`;
    const refused = (family: string, host: string) => {
      const words = `Requires net access to "${host}", run again with the --allow-net flag`;
      return [
        `NotCapable: Cannot bind ${family} stream: ${words}`,
        `NotCapable: Cannot bind ${family} stream: ${words}`,
        `NotCapable: ${words}`,
      ];
    };
    const granted = ["yes", "yes", "yes"];
    const four = refused("inet", "0.0.0.0:0"), six = refused("inet6", "[::]:0");
    for (const flags of [[], ["--allow-net=127.0.0.1"]]) assertEquals(await run(flags, code), [...four, ...six]);
    assertEquals(await run(["--allow-net=0.0.0.0:0"], code), [...granted, ...six]);
    assertEquals(await run(["--allow-net=[::]:0"], code), [...four, ...granted]);
  },
);
