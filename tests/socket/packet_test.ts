// Packet sockets on the loopback interface: what they hear, how they say from whom, what they send, and what they refuse.
// On a cable, with a peer in Python, with groups of sockets and promiscuous: ../lab/packet_test.ts.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { PACKET_AUXDATA, PACKET_IGNORE_OUTGOING, PACKET_ORIGDEV, SO_RCVBUF, SO_SNDBUF } from "../../options/mod.ts";
import type { SystemError } from "../../options/mod.ts";
import { findSocket, type PacketAddress, Socket } from "../../socket/mod.ts";
import { Namespace, ROOT } from "../raw_socket.ts";
import { bytes, LOCAL, test, text } from "./make.ts";

/** Ethertypes for experiments (IEEE 802), which nobody else here uses. */
const OURS = 0x88b5, OTHER = 0x88b6;
const NOBODY = "00:00:00:00:00:00";
const second = () => ({ signal: AbortSignal.timeout(5_000) });

/** Runs a test in a namespace, where nobody else sends; the loopback interface has index 1. */
function inside<T>(open: () => T extends Promise<unknown> ? never : T): T {
  using namespace = new Namespace();
  return namespace.run(open);
}

test("Socket.open() takes ethertypes by name and in host order, and tells what a packet socket hears", ROOT, () => {
  const asked = [["ip", 0x0800], ["ipv6", 0x86dd], ["arp", 0x0806], ["all", 3], [OURS, OURS], [0, 0]] as const;
  for (const [protocol, number] of asked) {
    for (const type of ["raw", "dgram"] as const) {
      using socket = Socket.open("packet", type, protocol);
      assertEquals([socket.family, socket.type, socket.protocol], ["packet", type, number]);
      const own = number === 0 ? null : { family: "packet", interface: 0, protocol: number, packetType: "host" };
      assertEquals(socket.localAddr as unknown, own);
      assertEquals(socket.remoteAddr, null);
      using adopted = Socket.adopt(socket.dup().detach());
      assertEquals([adopted.family, adopted.type, adopted.protocol], ["packet", type, number]);
    }
  }
});

test("bind() names interface and ethertype; what is left out stays", ROOT, () => {
  const bound = (address: Partial<PacketAddress>) => ({
    family: "packet",
    interface: 1,
    address: NOBODY,
    packetType: "host",
    ...address,
  });
  using socket = Socket.open("packet", "raw", OURS);
  for (const selector of [1, "lo", "127.0.0.1"]) {
    socket.bind({ interface: selector });
    assertEquals(socket.localAddr as unknown, bound({ protocol: OURS }));
  }
  socket.bind({ interface: "lo", protocol: OTHER });
  assertEquals(socket.localAddr as unknown, bound({ protocol: OTHER }));
  socket.bind({ interface: 1 });
  assertEquals(socket.localAddr as unknown, bound({ protocol: OTHER }));
  assertEquals(findSocket({ family: "packet", type: "raw" }).localAddr as unknown, bound({ protocol: OTHER }));
  // What it gives, it takes.
  socket.bind(socket.localAddr!);
  assertEquals(socket.localAddr as unknown, bound({ protocol: OTHER }));
});

test("a packet socket of all ethertypes hears what goes out and what comes in, and says which", ROOT, async () => {
  const [socket, udp] = inside(() => {
    const socket = Socket.open("packet", "dgram", "all");
    socket.bind({ interface: "lo" });
    const udp = Socket.open("inet", "dgram");
    udp.bind(LOCAL);
    return [socket, udp] as const;
  });
  using _socket = socket;
  using _udp = udp;
  await udp.sendTo(bytes("over lo"), udp.localAddr!);
  const heard: [string, PacketAddress][] = [];
  for (let i = 0; i < 2; i++) {
    const [packet, from] = await socket.receiveFrom(undefined, second());
    // Of type dgram: from the IP header on.
    heard.push([text(packet.subarray(28)), from]);
  }
  const from = { family: "packet", interface: 1, protocol: 0x0800, address: NOBODY } as const;
  assertEquals(heard, [
    ["over lo", { ...from, packetType: "outgoing" }],
    ["over lo", { ...from, packetType: "host" }],
  ]);
  assertEquals(PACKET_IGNORE_OUTGOING.set(socket, true), true);
  await udp.sendTo(bytes("again"), udp.localAddr!);
  assertEquals((await socket.receiveFrom(undefined, second()))[1].packetType, "host");
  assertEquals(socket.tryReceive(), null);
});

test(
  "dgram writes the header, raw takes it written; each hears the other, with the ethertype of the address",
  ROOT,
  async () => {
    const [dgram, raw] = inside(() => {
      const dgram = Socket.open("packet", "dgram", OURS);
      const raw = Socket.open("packet", "raw", OURS);
      for (const one of [dgram, raw]) {
        PACKET_IGNORE_OUTGOING.set(one, true);
        one.bind({ interface: "lo" });
      }
      return [dgram, raw] as const;
    });
    using _dgram = dgram;
    using _raw = raw;
    const to = "02:00:5e:10:00:01";
    assertEquals(await dgram.sendTo(bytes("payload"), { interface: 1, address: to }), 7);
    const frame = await raw.receive(undefined, second());
    assertEquals([frame.subarray(0, 6).toHex(), frame.subarray(12, 14).toHex()], [to.replaceAll(":", ""), "88b5"]);
    assertEquals(text(frame.subarray(14)), "payload");
    const [payload, from] = await dgram.receiveFrom(undefined, second());
    // The sender's address, which on loopback is none; it was for somebody else.
    assertEquals([text(payload), from.address, from.packetType], ["payload", NOBODY, "otherHost"]);
    // Back, as a whole frame.
    await raw.sendTo(Uint8Array.of(...frame.subarray(6, 12), ...frame.subarray(0, 6), 0x88, 0xb5, ...bytes("whole")), {
      interface: 1,
    });
    const [whole, sender] = await dgram.receiveFrom(undefined, second());
    assertEquals([text(whole), sender.address, sender.packetType], ["whole", to, "host"]);
    await raw.receive(undefined, second());
    // Another ethertype than the socket's own, which bind() may have changed.
    await dgram.sendTo(bytes("other"), { interface: 1, protocol: OTHER });
    assertEquals(raw.tryReceive(), null);
    dgram.bind({ interface: 1, protocol: OTHER });
    raw.bind({ interface: 1, protocol: OTHER });
    await dgram.sendTo(bytes("own"), { interface: 1 });
    assertEquals((await raw.receive(undefined, second())).subarray(12, 14).toHex(), "88b6");
  },
);

test("a packet that does not fit is EMSGSIZE, or truncated with its true length", ROOT, async () => {
  const [socket] = inside(() => {
    const socket = Socket.open("packet", "raw", OURS);
    socket.bind({ interface: "lo" });
    return [socket] as const;
  });
  using _socket = socket;
  const frame = new Uint8Array(114);
  frame.set([0x88, 0xb5], 12);
  for (let i = 0; i < 2; i++) await socket.sendTo(frame, { interface: 1 });
  const error = await socket.receive(new Uint8Array(20), second()).catch((error) => error);
  assertEquals((error as SystemError).code, "EMSGSIZE");
  const cut = await socket.receiveMessage({ buffer: new Uint8Array(20), ...second() });
  assertEquals([cut.data.byteLength, cut.byteLength, cut.truncated], [20, 114, true]);
  assertEquals(cut.remoteAddr?.interface, 1);
});

test("PACKET_AUXDATA delivers struct tpacket_auxdata as a control message", ROOT, async () => {
  const [socket] = inside(() => {
    const socket = Socket.open("packet", "raw", OURS);
    socket.bind({ interface: "lo" });
    return [socket] as const;
  });
  using _socket = socket;
  assertEquals([PACKET_AUXDATA.set(socket, true), PACKET_ORIGDEV.set(socket, true)], [true, true]);
  const frame = new Uint8Array(60);
  frame.set([0x88, 0xb5], 12);
  await socket.sendTo(frame, { interface: 1 });
  const { control } = await socket.receiveMessage({ buffer: new Uint8Array(32), ...second() });
  assertEquals(control.length, 1);
  const [message] = control;
  assert(message?.name === "other");
  assertEquals([message.level, message.type, message.data.byteLength], [263, 8, 20]); // SOL_PACKET, PACKET_AUXDATA
  const [, length, captured] = new Uint32Array(message.data.buffer);
  assertEquals([length, captured], [60, 60]);
});

test("what packet sockets cannot do is refused with the reason", ROOT, async () => {
  using socket = Socket.open("packet", "dgram", OURS);
  for (const selector of ["nosuch0", 99_999] as const) {
    const error = assertThrows(() => socket.bind({ interface: selector }), Deno.errors.NotFound);
    assertStringIncludes(
      error.message,
      `Cannot bind packet dgram: there is no interface ${
        typeof selector === "string" ? `"${selector}"` : `with index ${selector}`
      }; there are: lo (1)`,
    );
  }
  const sent = assertThrows(() => socket.trySendTo(bytes("x"), { interface: 99_999 })) as unknown as SystemError;
  assertEquals([sent.code, sent.syscall], ["ENXIO", "sendto"]);
  assertStringIncludes(sent.message, "there is no such interface");
  const connected = await socket.connect({ interface: 1 }).catch((error) => error);
  assert(connected instanceof Deno.errors.NotSupported);
  assertStringIncludes(connected.message, "packet sockets have no peer: bind() to an interface, and use sendTo()");
  assertThrows(() => Socket.open("packet", "stream"), Deno.errors.NotSupported, "ESOCKTNOSUPPORT");
  assertThrows(
    () => Socket.open("packet", "raw", "tcp"),
    Deno.errors.NotSupported,
    'the protocol is "tcp", it must be a number or one of ip, ipv6, arp, all',
  );
  assertThrows(() => Socket.open("packet", "raw", 0x10000), RangeError, "the protocol is 65536");
});

test("receive() without a buffer takes the largest frame of the loopback interface", ROOT, async () => {
  const [socket, udp] = inside(() => {
    const socket = Socket.open("packet", "raw", 0);
    SO_RCVBUF.set(socket, 1_000_000);
    socket.bind({ interface: "lo", protocol: 0x0800 });
    const udp = Socket.open("inet", "dgram");
    udp.bind(LOCAL);
    return [socket, udp] as const;
  });
  using _socket = socket;
  using _udp = udp;
  SO_SNDBUF.set(udp, 400_000);
  // The most that an IPv4 packet holds, and the header of Ethernet before it.
  for (
    const receive of [
      () => socket.receive(undefined, second()),
      async () => (await socket.receiveFrom(undefined, second()))[0],
      async () => (await socket.receiveMessage(second())).data,
    ]
  ) {
    await udp.sendTo(new Uint8Array(65_507), udp.localAddr!);
    assertEquals((await receive()).byteLength, 14 + 20 + 8 + 65_507);
    await udp.receive();
    while (socket.tryReceive() !== null);
  }
});
