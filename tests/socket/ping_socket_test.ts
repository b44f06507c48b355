// ICMP datagram ("ping") sockets, which the kernel of a namespace of the test's own allows to everybody.
// Echo with privilege: raw_test.ts. Errors that routers send back: ../lab/error_queue_test.ts.
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { IP_RECVTTL, IP_TTL, IPV6_RECVHOPLIMIT, SO_REUSEADDR } from "../../options/mod.ts";
import { poll, Socket } from "../../socket/mod.ts";
import { Namespace, ROOT } from "../raw_socket.ts";
import { bytes, test, text } from "./make.ts";
import { echoRequest, ROOT_PROGRAMS, runAsNobody, SAY } from "./packets.ts";

const V4 = { hostname: "127.0.0.1" } as const;
const V6 = { hostname: "::1" } as const;
const second = () => ({ signal: AbortSignal.timeout(5_000) });

/** A namespace in which all groups may open ping sockets. */
function open(): Namespace {
  const namespace = new Namespace();
  namespace.sysctl("net.ipv4.ping_group_range", "0 2147483647");
  return namespace;
}

test("a ping socket is answered by the kernel, which writes id and checksum itself", ROOT, async () => {
  using namespace = open();
  using socket = namespace.run(() => Socket.open("inet", "dgram", "icmp"));
  assertEquals([socket.family, socket.type, socket.protocol], ["inet", "dgram", 1]);
  assertEquals([socket.localAddr, socket.remoteAddr], [null, null]);
  const request = echoRequest(4, 0x1111, 5, bytes("ping"));
  request.set([0xff, 0xff], 2);
  assertEquals(await socket.sendTo(request, V4), 12);
  // Sending gave it its id, which is its port.
  const { port: id } = socket.localAddr!;
  const [reply, from] = await socket.receiveFrom(undefined, second());
  assertEquals(from, { family: "inet", ...V4, port: 0 });
  // No IP header, and the id is the kernel's.
  assertEquals([reply[0], reply[1], reply[4]! * 256 + reply[5]!, reply[7]], [0, 0, id, 5]);
  assertEquals(text(reply.subarray(8)), "ping");
  assertEquals(socket.tryReceive(), null, "its own requests do not come back to it");
});

test("a ping socket of IPv6 is answered, with the hop limit as control message", ROOT, async () => {
  using namespace = open();
  using socket = namespace.run(() => Socket.open("inet6", "dgram", "icmp6"));
  assertEquals(socket.protocol, 58);
  assertEquals(IPV6_RECVHOPLIMIT.set(socket, true), true);
  await socket.connect(V6);
  assertEquals(socket.remoteAddr, { family: "inet6", ...V6, port: 58 });
  await socket.send(echoRequest(6, 0, 9, bytes("six")));
  const message = await socket.receiveMessage(second());
  assertEquals([message.data[0], message.data[7], text(message.data.subarray(8))], [129, 9, "six"]);
  assertEquals(message.control, [{ name: "IPV6_HOPLIMIT", value: 64 }]);
});

test("a ping socket has the id that it was bound to, and options of IP", ROOT, async () => {
  using namespace = open();
  const [socket, other] = namespace.run(() => [
    Socket.open("inet", "dgram", "icmp"),
    Socket.open("inet", "dgram", "icmp"),
  ]);
  using _socket = socket!;
  using _other = other!;
  namespace.run(() => socket!.bind({ ...V4, port: 4242 }));
  assertEquals(socket!.localAddr, { family: "inet", ...V4, port: 4242 });
  // Else they would share it: ping sockets are born so.
  for (const one of [socket!, other!]) assertEquals(SO_REUSEADDR.set(one, false), false);
  assertThrows(() => namespace.run(() => other!.bind({ ...V4, port: 4242 })), Deno.errors.AddrInUse, "EADDRINUSE");
  assertEquals([IP_TTL.set(socket!, 7), IP_RECVTTL.set(socket!, true)], [7, true]);
  await socket!.sendTo(echoRequest(4, 0, 1, bytes("x")), V4);
  const { data, control } = await socket!.receiveMessage(second());
  assertEquals([data[4]! * 256 + data[5]!, control], [4242, [{ name: "IP_TTL", value: 64 }]]);
});

test("a reply that does not fit is an error with its length on a ping socket too, or truncated", ROOT, async () => {
  using namespace = open();
  using socket = namespace.run(() => Socket.open("inet", "dgram", "icmp"));
  const request = echoRequest(4, 0, 1, new Uint8Array(100).fill(7));
  const ask = async () => {
    await socket.sendTo(request, V4);
    await poll([{ socket, readable: true }], { timeout: 5_000 });
  };
  const small = new Uint8Array(20).fill(1);
  for (const receive of [() => socket.tryReceive(small), () => socket.tryReceiveFrom(small)]) {
    await ask();
    assertThrows(receive, Error, "EMSGSIZE (message too long); the datagram has 108 bytes, the buffer 20");
    assertEquals(socket.tryReceive(), null, "the rest is lost");
  }
  await ask();
  const buffer = [new Uint8Array(12), new Uint8Array(8)];
  const cut = socket.tryReceiveMessage({ buffer })!;
  assertEquals([cut.byteLength, cut.truncated, cut.data.byteLength, ...buffer[1]!], [
    108,
    true,
    12,
    ...Array(8).fill(7),
  ]);
  await ask();
  const into = new Uint8Array(200);
  assertEquals(socket.tryReceive(into, { peek: true })?.byteLength, 108);
  const [data] = socket.tryReceiveFrom(into)!;
  assertEquals([data.buffer === into.buffer, data.byteLength, data[107], into[108]], [true, 108, 7, 0]);
  await ask();
  const whole = socket.tryReceiveMessage({ buffer: into })!;
  assertEquals([whole.byteLength, whole.truncated], [108, false]);
  await ask();
  assertEquals(socket.tryReceive()?.byteLength, 108);
});

test("a ping socket sends echo requests and nothing else", ROOT, () => {
  using namespace = open();
  using socket = namespace.run(() => Socket.open("inet", "dgram", "icmp"));
  assertThrows(() => socket.trySendTo(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0), V4), TypeError, "EINVAL");
});

test("where ping sockets are not allowed, the message names net.ipv4.ping_group_range and the way by CAP_NET_RAW", {
  ...ROOT_PROGRAMS,
  run: ["setpriv"],
}, async () => {
  using namespace = new Namespace();
  namespace.sysctl("net.ipv4.ping_group_range", "1 0");
  const message =
    /^Cannot open a socket of family "inet6?" and type "dgram": EACCES \(permission denied\); ping sockets are for the groups of net\.ipv4\.ping_group_range, and no other privilege opens them; a raw socket \("raw" instead of "dgram"\) does the same with CAP_NET_RAW$/;
  for (const [family, protocol] of [["inet", "icmp"], ["inet6", "icmp6"]] as const) {
    const error = assertThrows(
      () => namespace.run(() => Socket.open(family, "dgram", protocol)),
      Deno.errors.PermissionDenied,
    );
    assertMatch(error.message, message);
  }
  // The group of an unprivileged user is asked for in the same way; this machine may allow it.
  const output = await runAsNobody(`${SAY}\nsay(() => Socket.open("inet", "dgram", "icmp"));`);
  const [low, high] = Deno.readTextFileSync("/proc/sys/net/ipv4/ping_group_range").trim().split(/\s+/).map(Number);
  if (low! <= 65534 && 65534 <= high!) assertEquals(output, "opened");
  else assertMatch(output.replace(/^PermissionDenied: /, ""), message);
});
