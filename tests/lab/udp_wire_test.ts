// UDP over a cable between two namespaces: trains on the wire, broadcast, answers, sizes above the path.
// Over loopback: tests/udp/. The namespaces: tests/multicast/namespace.ts.
import { assert, assertEquals } from "@std/assert";
import { type Namespace, NAMESPACES, withPair } from "../multicast/namespace.ts";
import { test } from "../needs.ts";

const NEEDS = { ...NAMESPACES, run: ["ip", "tc", "python3"] };

/** Receives datagrams with python3 and tells their lengths, and whether they are the numbered ones, in order. */
function receiver(where: Namespace, count: number) {
  return where.python(`
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8000000)
s.bind(("10.77.0.2", 5004))
s.settimeout(5)
print("ready")
got = [s.recv(70000) for _ in range(${count})]
print([int.from_bytes(one[:2], "little") for one in got] == list(range(${count})))
print(sorted(set(map(len, got))))
s.settimeout(0.1)
try:
    s.recv(70000)
    print("more")
except TimeoutError:
    print("no more")
`);
}

/** Sends numbered datagrams of a size in one batch, and tells what trains are taken afterwards. */
function sender(count: number, size: number, options = "{}"): string {
  return `const socket = udp.bindUdp(${options});
    const batch = new udp.DatagramBatch();
    for (let i = 0; i < ${count}; i++) {
      const data = new Uint8Array(${size});
      data.set([i & 255, i >> 8]);
      batch.add(data, { remoteAddr: { hostname: "10.77.0.2", port: 5004 } });
    }
    const sent = await socket.sendBatch(batch).catch((error) => error.code + " " + error.sent);
    console.log(sent, batch.sent, socket.capabilities.maxSegments > 1);
    socket.close();`;
}

test("trains arrive over a cable as separate datagrams, behind a queue that cuts them too", NEEDS, async () => {
  for (const queue of [[], ["tbf", "rate", "200mbit", "burst", "5000", "limit", "4000000"]]) {
    await withPair(async (left, right) => {
      if (queue.length > 0) await left.tc("qdisc", "add", "dev", "left0", "root", ...queue);
      await using hears = receiver(right, 300);
      assertEquals(await hears.line(), "ready");
      assertEquals(await left.run(sender(300, 1200)), "300 300 true");
      assertEquals([await hears.line(), await hears.line(), await hears.line()], ["True", "[1200]", "no more"]);
    });
  }
});

test("datagrams above the path's size go in fragments, each once, though no train of them can", NEEDS, async () => {
  await withPair(async (left, right) => {
    await using hears = receiver(right, 20);
    assertEquals(await hears.line(), "ready");
    assert((await left.run(sender(20, 8192, "{ sendBufferSize: 4000000 }"))).startsWith("20 20 "));
    assertEquals([await hears.line(), await hears.line(), await hears.line()], ["True", "[8192]", "no more"]);
    // Nor may they be split: the first ends it.
    const whole = "{ options: [options.IP_MTU_DISCOVER.to(2)] }";
    assert((await left.run(sender(20, 8192, whole))).startsWith("EMSGSIZE 0 0 "));
  });
});

test("a path that takes no trains of a size leaves those to other places as they are", NEEDS, async () => {
  await withPair(async (left, right) => {
    await using hears = receiver(right, 40);
    assertEquals(await hears.line(), "ready");
    const output = await left.run(
      `const socket = udp.bindUdp({ sendBufferSize: 4_000_000 });
       const near = udp.bindUdp({ hostname: "127.0.0.1", gro: true, metadata: ["localAddr"] });
       const far = { hostname: "10.77.0.2", port: 5004 };
       const batch = new udp.DatagramBatch();
       const send = async (remoteAddr, count, from = 0) => {
         batch.clear();
         for (let i = from; i < from + count; i++) batch.add(new Uint8Array(8192).fill(i, 0, 1), { remoteAddr });
         return await socket.sendBatch(batch);
       };
       console.log(await send(far, 20));
       // What is told of all at once went as a train.
       const came = new udp.DatagramBatch();
       console.log(await send(near.addr, 7), await near.receiveBatch(came), came.run(6));
       console.log(await send(far, 20, 20));
       socket.close();
       near.close();`,
    );
    assertEquals(output.split("\n"), ["20", "7 7 0", "20"]);
    assertEquals([await hears.line(), await hears.line(), await hears.line()], ["True", "[8192]", "no more"]);
  });
});

test("gro merges what came over a cable, and metadata tells the interface of each train", NEEDS, async () => {
  await withPair(async (left, right) => {
    await using hears = right.start(
      `const socket = udp.bindUdp({ port: 5004, gro: true, receiveBufferSize: 4_000_000, metadata: ["interfaceIndex", "localAddr"] });
       console.log("ready");
       const batch = new udp.DatagramBatch();
       const index = multicast.networkInterfaces().find(({ name }) => name === "right0").index;
       let count = 0, right = true;
       while (count < 300) {
         const came = await socket.receiveBatch(batch);
         for (let i = 0; i < came; i++, count++) {
           right &&= batch.byteLength(i) === 1200 && (batch.data(i)[0] | batch.data(i)[1] << 8) === count;
           right &&= batch.metadata(i, "interfaceIndex") === index && batch.metadata(i, "localAddr").hostname === "10.77.0.2";
         }
       }
       console.log(count, right);
       socket.close();`,
    );
    assertEquals(await hears.line(), "ready");
    await left.run(sender(300, 1200));
    assertEquals(await hears.line(), "300 true");
  });
});

test(
  "reply() leaves by the interface and from the address that was asked, of broadcast and groups too",
  NEEDS,
  async () => {
    await withPair(async (left, right) => {
      await right.ip("address", "add", "10.77.0.9/24", "dev", "right0");
      await using server = right.start(
        `const socket = udp.bindUdp({ port: 5004, metadata: ["localAddr", "interfaceIndex"] });
       await multicast.joinGroup(socket, { group: "239.1.2.3", interface: "right0" });
       console.log("ready");
       for (let i = 0; i < 4; i++) {
         const question = await socket.receiveMessage();
         await socket.reply(question, new TextEncoder().encode(question.localAddr.hostname));
       }
       socket.close();`,
      );
      assertEquals(await server.line(), "ready");
      const output = await left.run(
        `const socket = udp.bindUdp({ multicast: { interface: "left0" } });
       for (const hostname of ["10.77.0.2", "10.77.0.9", "10.77.0.255", "239.1.2.3"]) {
         await socket.send(new Uint8Array(1), { hostname, port: 5004 });
         const [data, from] = await socket.receive(undefined, { signal: AbortSignal.timeout(5000) });
         console.log(new TextDecoder().decode(data), from.hostname);
       }
       socket.close();`,
      );
      assertEquals(output.split("\n"), [
        "10.77.0.2 10.77.0.2",
        "10.77.0.9 10.77.0.9",
        "10.77.0.255 10.77.0.2",
        "239.1.2.3 10.77.0.2",
      ]);
    });
  },
);

test(
  "broadcast goes to the address that networkInterfaces() tells, and without a route explains itself",
  NEEDS,
  async () => {
    await withPair(async (left, right) => {
      for (const [end, i] of [[left, 1], [right, 2]] as const) {
        await end.ip("address", "delete", `10.77.0.${i}/24`, "dev", end.device);
        await end.ip("address", "add", `10.77.0.${i}/24`, "brd", "+", "dev", end.device);
      }
      await left.ip("address", "add", "10.79.0.1/24", "dev", "left0");
      await using hears = right.python(`
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5005))
s.settimeout(5)
print("ready")
print(s.recv(100).decode())
`);
      assertEquals(await hears.line(), "ready");
      const output = await left.run(
        `const addresses = multicast.networkInterfaces().find(({ name }) => name === "left0").addresses;
       // That of an address that has none is not told, as the C library would have it, as the address itself.
       console.log(addresses.find(({ hostname }) => hostname === "10.79.0.1").broadcast);
       const { broadcast } = addresses.find((one) => one.broadcast !== undefined);
       const socket = udp.bindUdp();
       await socket.send(new TextEncoder().encode("to all"), { hostname: broadcast, port: 5005 });
       console.log(broadcast);
       await socket.send(new Uint8Array(1), { hostname: "255.255.255.255", port: 9 }).catch((error) => console.log(error.message));
       socket.close();`,
      );
      assertEquals(await hears.line(), "to all");
      const [none, broadcast, refused] = output.split("\n");
      assertEquals([none, broadcast], ["undefined", "10.77.0.255"]);
      assert(refused!.includes("ENETUNREACH") && refused!.includes("networkInterfaces() tells"), refused);
    });
  },
);

test("a link-local sender has its zone, and can be answered as it is", NEEDS, async () => {
  await withPair(async (left, right) => {
    await using server = right.start(
      `const socket = udp.bindUdp({ hostname: "::", port: 5006, metadata: ["localAddr", "interfaceIndex"] });
       console.log("ready");
       const question = await socket.receiveMessage();
       await socket.send(question.data, question.remoteAddr);
       await socket.reply(question, question.data);
       console.log(question.remoteAddr.hostname.split("%")[0], question.localAddr.hostname.split("%")[0]);
       console.log(question.localAddr.hostname.endsWith("%" + question.interfaceIndex));
       socket.close();`,
    );
    assertEquals(await server.line(), "ready");
    const output = await left.run(
      `const socket = udp.bindUdp({ hostname: "fe80::1%left0" });
       await socket.send(new Uint8Array(7), { hostname: "fe80::2%left0", port: 5006 });
       for (let i = 0; i < 2; i++) {
         const [data, from] = await socket.receive(undefined, { signal: AbortSignal.timeout(5000) });
         console.log(data.length, from.hostname.split("%")[0], from.hostname.includes("%"));
       }
       socket.close();`,
    );
    // The kernel chooses one of the two addresses of right0; reply() does not leave it to it.
    const [sent, replied] = output.split("\n");
    assert(/^7 fe80::[25] true$/.test(sent!), sent);
    assertEquals(replied, "7 fe80::2 true");
    assertEquals([await server.line(), await server.line()], ["fe80::1 fe80::2", "true"]);
  });
});
