// Raw IP sockets: ICMP that the kernel answers and tcpdump judges, whole packets with their headers, a peer in Python.
// The same without privilege: ping_socket_test.ts. Below IP: packet_test.ts. Errors that come back: ../lab/error_queue_test.ts.
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { ICMP6_FILTER, ICMP_FILTER, IP_HDRINCL, IP_TTL, IPV6_RECVHOPLIMIT } from "../../options/mod.ts";
import type { SystemError } from "../../options/mod.ts";
import { listSockets, Socket } from "../../socket/mod.ts";
import { test } from "./make.ts";
import { bytes, text } from "./make.ts";
import { checksum, echoRequest, ipv4Packet, ROOT_PROGRAMS, runAsNobody, SAY, tcpdump } from "./packets.ts";
import { Namespace, ROOT } from "../raw_socket.ts";
import { start } from "../udp/other_program.ts";

const V4 = { hostname: "127.0.0.1" } as const;
const V6 = { hostname: "::1" } as const;
const second = () => ({ signal: AbortSignal.timeout(5_000) });

/** The next packet that fits. */
async function next<S extends Socket<"inet"> | Socket<"inet6">>(
  socket: S,
  fits: (packet: Uint8Array) => boolean,
): Promise<Uint8Array> {
  for (;;) {
    const packet = await socket.receive(undefined, second());
    if (fits(packet)) return packet;
  }
}

test("Socket.open() opens raw sockets of the protocol that was asked for", ROOT, () => {
  const asked = [
    ["inet", "icmp", 1],
    ["inet6", "icmp6", 58],
    ["inet", "udp", 17],
    ["inet", 253, 253],
    ["inet", "ip", 255],
    ["inet6", "ipv6", 255],
  ] as const;
  for (const [family, protocol, number] of asked) {
    using socket = Socket.open(family, "raw", protocol);
    assertEquals([socket.family, socket.type, socket.protocol], [family, "raw", number]);
    assertEquals([socket.localAddr, socket.remoteAddr], [null, null]);
    {
      using adopted = Socket.adopt(socket.dup().detach());
      assertEquals([adopted.family, adopted.type, adopted.protocol], [family, "raw", number]);
    }
    const listed = listSockets({ type: "raw", family }).find(({ fd }) => fd === socket.fd);
    assertEquals([listed?.protocol, listed?.localAddr], [number, null]);
  }
  // Own headers are on where the protocol is that of all.
  using whole = Socket.open("inet", "raw", "ip");
  assertEquals(IP_HDRINCL.get(whole), true);
});

test("the addresses of a raw socket have its protocol as their port, before connect and after", ROOT, async () => {
  for (const [family, address, protocol] of [["inet", V4, 1], ["inet6", V6, 58]] as const) {
    using socket = Socket.open(family, "raw", protocol);
    socket.bind(address);
    const own = { family, ...address, port: protocol };
    assertEquals([socket.localAddr, socket.remoteAddr], [own, null]);
    await socket.connect(address);
    assertEquals([socket.localAddr, socket.remoteAddr], [own, own]);
    socket.disconnect();
    assertEquals(socket.remoteAddr, null);
    // What it gives, it takes.
    await socket.connect(own);
    assertEquals(socket.remoteAddr, own);
  }
});

test("the kernel answers echo requests of raw sockets, and tcpdump finds their checksums right", {
  ...ROOT_PROGRAMS,
  run: ["tcpdump"],
}, async () => {
  const id = 0x4000 + Deno.pid % 0x4000;
  const payload = bytes(`raw ${crypto.randomUUID()}`);
  await using seen = await tcpdump(`icmp and icmp[4:2] = ${id}`, 4);
  using socket = Socket.open("inet", "raw", "icmp");
  const ours = (type: number, sequence: number) => (packet: Uint8Array) =>
    packet[20] === type && packet[24]! * 256 + packet[25]! === id && packet[27] === sequence;
  assertEquals(await socket.sendTo(echoRequest(4, id, 1, payload), V4), 8 + payload.length);
  const reply = await next(socket, ours(0, 1));
  assertEquals(text(reply.subarray(28)), text(payload));
  assertEquals(checksum(reply.subarray(20)), 0);
  // To see that tcpdump looks: one with a wrong checksum, which nobody answers, and another right one behind it.
  const wrong = echoRequest(4, id, 2, payload);
  wrong[2]! ^= 0x55;
  await socket.sendTo(wrong, V4);
  await socket.sendTo(echoRequest(4, id, 3, payload), V4);
  await next(socket, ours(0, 3));
  const lines = (await seen.lines()).split("\n").filter((line) => line.includes("ICMP echo"));
  assertEquals(
    lines.map((line) => [/ICMP echo (\w+).*seq (\d+)/.exec(line)!.slice(1).join(" "), line.includes("wrong")]),
    [["request 1", false], ["reply 1", false], ["request 2", true], ["request 3", false]],
  );
});

test("the kernel computes the checksums of ICMPv6 and answers", { ...ROOT_PROGRAMS, run: ["tcpdump"] }, async () => {
  const id = 0x4000 + Deno.pid % 0x4000;
  await using seen = await tcpdump(`icmp6 and ip6[44:2] = ${id}`, 2);
  using socket = Socket.open("inet6", "raw", "icmp6");
  await socket.connect(V6);
  await socket.send(echoRequest(6, id, 7, bytes("six")));
  // Raw sockets of IPv6 give no header.
  const reply = await next(socket, (packet) => packet[0] === 129 && packet[4]! * 256 + packet[5]! === id);
  assertEquals([reply[7], text(reply.subarray(8))], [7, "six"]);
  const lines = (await seen.lines()).split("\n").filter((line) => line.includes("echo"));
  assertEquals(lines.map((line) => /\[icmp6 sum ok\].*echo (\w+)/.exec(line)?.[1]), ["request", "reply"]);
});

test("ICMP_FILTER and ICMP6_FILTER let the listed types pass and no other", ROOT, async () => {
  const id = 0x4000 + Deno.pid % 0x4000;
  using four = Socket.open("inet", "raw", "icmp");
  assertEquals(ICMP_FILTER.set(four, [0]), [0]);
  using six = Socket.open("inet6", "raw", "icmp6");
  assertEquals(ICMP6_FILTER.set(six, [129]), [129]);
  await four.sendTo(echoRequest(4, id, 1, bytes("x")), V4);
  await six.sendTo(echoRequest(6, id, 1, bytes("x")), V6);
  const types: number[] = [];
  // The request came back to this socket as well, before the reply.
  for (const [socket, at] of [[four, 20], [six, 0]] as const) {
    types.push((await socket.receive(undefined, second()))[at]!);
  }
  assertEquals(types, [0, 129]);
});

test("a raw socket that is connected hears its peer alone", ROOT, async () => {
  using socket = Socket.open("inet", "raw", 253);
  await socket.connect({ hostname: "127.0.0.2" });
  using other = Socket.open("inet", "raw", 253);
  other.bind({ hostname: "127.0.0.3" });
  using peer = Socket.open("inet", "raw", 253);
  peer.bind({ hostname: "127.0.0.2" });
  const here = { hostname: socket.localAddr!.hostname };
  await other.sendTo(bytes("other"), here);
  await peer.sendTo(bytes("peer"), here);
  const [packet, from] = await socket.receiveFrom(undefined, second());
  assertEquals([text(packet.subarray(20)), from.hostname], ["peer", "127.0.0.2"]);
  assertEquals(socket.tryReceive(), null);
});

const PYTHON_PEER = `
import socket, sys
def line(*words): print(*words, flush=True)
heard = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253); heard.settimeout(10); heard.bind(("127.0.0.1", 0))
line("ready")
for _ in range(2):
    packet, peer = heard.recvfrom(65535)
    line(peer[0], packet[4:6].hex(), packet[8], packet[20:].decode())
whole = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
header = bytes.fromhex("4500001c00000000" "2bfd0000" "7f000007" "7f000001")
whole.sendto(header[:2] + (28).to_bytes(2, "big") + (0x1234).to_bytes(2, "big") + header[6:] + b"by hand!", ("127.0.0.1", 0))
line("sent")
`;

test("whole packets go out with the header that was written, to a peer in Python, and come back so", {
  ...ROOT_PROGRAMS,
  run: ["python3"],
}, async () => {
  await using python = start("python3", ["-u", "-"], PYTHON_PEER);
  assertEquals(await python.line(), "ready");
  using hears = Socket.open("inet", "raw", 253);
  hears.bind(V4);
  // By the protocol that stands for all, and by the option on one.
  using whole = Socket.open("inet", "raw", "ip");
  await whole.sendTo(ipv4Packet("127.0.0.9", "127.0.0.1", 253, 0xbeef, bytes("whole")), V4);
  assertEquals(await python.line(), "127.0.0.9 beef 64 whole");
  using one = Socket.open("inet", "raw", 253);
  assertEquals(IP_TTL.set(one, 33), 33);
  await one.sendTo(bytes("payload"), V4);
  assertEquals((await python.line()).replace(/ [0-9a-f]{4} /, " id "), "127.0.0.1 id 33 payload");
  IP_HDRINCL.set(one, true);
  assertThrows(() => one.trySendTo(bytes("payload"), V4), TypeError, "EINVAL");
  assertEquals(await python.line(), "sent");
  const packet = await next(hears, (packet) => packet[4] === 0x12 && packet[5] === 0x34);
  assertEquals([packet[8], packet.subarray(12, 16).join("."), text(packet.subarray(20))], [
    0x2b,
    "127.0.0.7",
    "by hand!",
  ]);
  await python.rest();
});

test("whole IPv6 packets go out by the protocol ipv6", ROOT, async () => {
  using whole = Socket.open("inet6", "raw", "ipv6");
  using hears = Socket.open("inet6", "raw", 253);
  IPV6_RECVHOPLIMIT.set(hears, true);
  hears.bind(V6);
  const loopback = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
  const packet = Uint8Array.of(0x60, 0, 0, 0, 0, 3, 253, 77, ...loopback, ...loopback, ...bytes("six"));
  assertEquals(await whole.sendTo(packet, V6), 43);
  const message = await hears.receiveMessage(second());
  assertEquals([text(message.data), message.remoteAddr], ["six", { family: "inet6", ...V6, port: 0 }]);
  assertEquals(message.control, [{ name: "IPV6_HOPLIMIT", value: 77 }]);
});

test("a message that is no raw socket's is refused with the reason", ROOT, () => {
  const none = assertThrows(() => Socket.open("inet", "raw"), Deno.errors.NotSupported) as unknown as SystemError;
  assertEquals([none.code, none.syscall], ["EPROTONOSUPPORT", "socket"]);
  assertStringIncludes(none.message, 'a raw socket needs a protocol, such as "icmp" or a number');
  assertThrows(() => Socket.open("inet6", "raw", 256), RangeError, "from 0 to 255");
  assertThrows(
    () => Socket.open("inet", "raw", "arp"),
    Deno.errors.NotSupported,
    'the protocol is "arp", it must be a number or one of tcp, udp, udplite, mptcp, icmp, icmp6, ip',
  );
  assertThrows(() => Socket.open("inet6", "raw", "ip"), Deno.errors.NotSupported, "icmp6, ipv6");
  assertThrows(() => Socket.open("inet", "dgram", "ip"), Deno.errors.NotSupported, 'the protocol is "ip"');
  assertThrows(
    () => Socket.open("unix", "raw"),
    Deno.errors.NotSupported,
    "the type must be one of stream, dgram, seqpacket",
  );
});

test("a user without the privilege reads CAP_NET_RAW", { ...ROOT_PROGRAMS, run: ["setpriv"] }, async () => {
  const output = await runAsNobody(`${SAY}
    say(() => Socket.open("inet", "raw", "icmp"));
    say(() => Socket.open("inet6", "raw", "icmp6"));
    say(() => Socket.open("packet", "raw", "all"));
    say(() => Socket.open("netlink", "raw", "route"));
  `);
  const refused = (family: string) =>
    `PermissionDenied: Cannot open a socket of family "${family}" and type "raw": EPERM (operation not permitted); ` +
    "this needs CAP_NET_RAW";
  assertEquals(output.split("\n"), [refused("inet"), refused("inet6"), refused("packet"), "opened"]);
});

test("a wait for a raw packet ends with its signal, and loses none", ROOT, async () => {
  using namespace = new Namespace();
  using socket = namespace.run(() => Socket.open("inet", "raw", 253));
  namespace.run(() => socket.bind({ hostname: "127.0.0.4" }));
  const error = await socket.receive(undefined, { signal: AbortSignal.timeout(10) }).catch((error) => error);
  assertInstanceOf(error, DOMException);
  assert(error.name === "TimeoutError");
  await socket.sendTo(bytes("late"), { hostname: "127.0.0.4" });
  assertEquals(text((await socket.receive(undefined, second())).subarray(20)), "late");
});
