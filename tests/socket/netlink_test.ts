// Netlink sockets: the kernel's answers beside those of ip(8), groups and their messages, words in acknowledgements.
// What watches interfaces by them: multicast/. Their options one by one: ../options/matrix_test.ts.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_CAP_ACK,
  NETLINK_DROP_MEMBERSHIP,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_LIST_MEMBERSHIPS,
  NETLINK_NO_ENOBUFS,
  NETLINK_PKTINFO,
  SO_RCVBUF,
} from "../../options/mod.ts";
import type { SystemError } from "../../options/mod.ts";
import { findSocket, Socket } from "../../socket/mod.ts";
import { addBridge, Namespace, ROOT } from "../raw_socket.ts";
import { FFI, PATHS, test, text } from "./make.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const RTM_NEWLINK = 16, RTM_GETLINK = 18, RTM_GETADDR = 22, NLMSG_ERROR = 2, NLMSG_DONE = 3;
const NLM_F_REQUEST = 1, NLM_F_ACK = 4, NLM_F_DUMP = 0x300;
const IFLA_ADDRESS = 1, IFLA_IFNAME = 3, IFLA_MTU = 4;
const KERNEL = { family: "netlink", pid: 0 } as const;
const second = () => ({ signal: AbortSignal.timeout(5_000) });

/** struct nlmsghdr and what follows it. */
function message(type: number, flags: number, payload: Uint8Array): Bytes {
  const bytes = new Uint8Array(16 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, 7, true);
  bytes.set(payload, 16);
  return bytes;
}

interface Answer {
  readonly type: number;
  readonly flags: number;
  readonly payload: DataView;
}

function* answers(bytes: Bytes): Generator<Answer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 16 <= bytes.length;) {
    const length = view.getUint32(at, true);
    const payload = new DataView(bytes.buffer, bytes.byteOffset + at + 16, length - 16);
    yield { type: view.getUint16(at + 4, true), flags: view.getUint16(at + 6, true), payload };
    at += length + 3 & ~3;
  }
}

/** The attributes behind a struct. */
function attributes(payload: DataView, start: number): Map<number, Bytes> {
  const found = new Map<number, Bytes>();
  for (let at = start; at + 4 <= payload.byteLength;) {
    const length = payload.getUint16(at, true);
    const from = payload.byteOffset + at + 4;
    found.set(
      payload.getUint16(at + 2, true) & 0x3fff,
      new Uint8Array(payload.buffer as ArrayBuffer, from, length - 4),
    );
    at += Math.max(length + 3 & ~3, 4);
  }
  return found;
}

/** struct ifinfomsg. */
function link(index: number): Bytes {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setInt32(4, index, true);
  return bytes;
}

async function ask(socket: Socket<"netlink">, request: Bytes): Promise<Answer[]> {
  await socket.sendTo(request, { pid: 0 });
  const all: Answer[] = [];
  for (;;) {
    const [bytes, from] = await socket.receiveFrom(undefined, second());
    assertEquals(from, KERNEL);
    all.push(...answers(bytes));
    if (all.at(-1)!.type === NLMSG_DONE || all.at(-1)!.type === NLMSG_ERROR) return all;
  }
}

test("a dump of the interfaces is what ip -j link says", { ...PATHS, run: ["ip"], env: true }, async () => {
  using socket = Socket.open("netlink", "raw", "route");
  const dump = await ask(socket, message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, link(0)));
  const found = dump.filter(({ type }) => type === RTM_NEWLINK).map(({ payload }) => {
    const all = attributes(payload, 16);
    const hardware = all.get(IFLA_ADDRESS);
    return {
      ifindex: payload.getInt32(4, true),
      ifname: text(all.get(IFLA_IFNAME)!).replace("\0", ""),
      mtu: new DataView(all.get(IFLA_MTU)!.slice().buffer).getUint32(0, true),
      address: hardware === undefined
        ? undefined
        : Array.from(hardware, (byte) => byte.toString(16).padStart(2, "0")).join(":"),
    };
  });
  const { stdout } = await new Deno.Command("ip", { args: ["-j", "link"] }).output();
  const wanted = (JSON.parse(text(stdout)) as typeof found).map(({ ifindex, ifname, mtu, address }) => ({
    ifindex,
    ifname,
    mtu,
    address,
  }));
  assert(found.length > 0);
  // Other tests make and remove interfaces meanwhile: those of both lists are compared, and lo is in both.
  const both = (list: typeof found, other: typeof found) =>
    list.filter(({ ifindex }) => other.some((one) => one.ifindex === ifindex));
  assertEquals(both(found, wanted), both(wanted, found));
  assertEquals(found.find(({ ifindex }) => ifindex === 1)?.ifname, "lo");
});

test("a netlink socket has the port that bind() gave it or the kernel chose; its peer is the kernel", FFI, () => {
  using socket = Socket.open("netlink", "dgram");
  assertEquals([socket.family, socket.type, socket.protocol], ["netlink", "dgram", 0]);
  assertEquals([socket.localAddr, socket.remoteAddr], [null, KERNEL]);
  socket.bind({ pid: 0, groups: 0b10001 });
  const { pid, groups } = socket.localAddr!;
  assert(pid > 0);
  assertEquals(groups, 0b10001);
  assertEquals(NETLINK_LIST_MEMBERSHIPS.get(socket), [1, 5]);
  using other = Socket.open("netlink", "raw", "route");
  const error = assertThrows(() => other.bind({ pid }), Deno.errors.AddrInUse) as unknown as SystemError;
  assertEquals([error.code, error.syscall], ["EADDRINUSE", "bind"]);
  assertStringIncludes(error.message, `Cannot bind netlink raw pid ${pid}: `);
  assertStringIncludes(error.message, "0 lets the kernel choose");
  other.bind({ pid: 4_294_967_000 });
  assertEquals(other.localAddr, { family: "netlink", pid: 4_294_967_000 });
  assertEquals(findSocket({ family: "netlink", type: "raw" }).localAddr, other.localAddr);
  using adopted = Socket.adopt(other.dup().detach());
  assertEquals([adopted.family, adopted.type, adopted.localAddr], ["netlink", "raw", other.localAddr]);
});

test("connect() and send() go to the kernel as sendTo() does", FFI, async () => {
  using socket = Socket.open("netlink", "raw", "route");
  await socket.send(message(RTM_GETLINK, NLM_F_REQUEST, link(1)));
  const [first] = answers(await socket.receive(undefined, second()));
  assertEquals(first?.type, RTM_NEWLINK);
  await socket.connect({ pid: 0 });
  await socket.sendMessage({ data: [message(RTM_GETLINK, NLM_F_REQUEST, link(1))] });
  const got = await socket.receiveMessage(second());
  assertEquals([got.remoteAddr, got.truncated], [KERNEL, false]);
  // A buffer too small tells the true length.
  await socket.send(message(RTM_GETLINK, NLM_F_REQUEST, link(1)));
  const cut = await socket.receiveMessage({ buffer: new Uint8Array(16), ...second() });
  assertEquals([cut.truncated, cut.data.byteLength], [true, 16]);
  assert(Math.abs(cut.byteLength - got.byteLength) < 200 && cut.byteLength > 100);
});

/** The words that came with an answer, where its flags say that there are any (NLM_F_ACK_TLVS). */
function words({ flags, payload }: Answer, start: number): string | undefined {
  const found = (flags & 0x200) === 0 ? undefined : attributes(payload, start).get(1);
  return found && text(found).replace("\0", "");
}

test("NETLINK_GET_STRICT_CHK refuses what would be ignored, NETLINK_EXT_ACK says what it was", FFI, async () => {
  using socket = Socket.open("netlink", "raw", "route");
  // A dump of addresses, with a prefix length that says nothing. The error is at its end.
  const wrong = message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, Uint8Array.of(0, 24, 0, 0, 0, 0, 0, 0));
  const end = async () => {
    const answer = (await ask(socket, wrong)).at(-1)!;
    return [answer.type, answer.payload.getInt32(0, true), words(answer, 4)];
  };
  assertEquals(await end(), [NLMSG_DONE, 0, undefined]);
  assertEquals(NETLINK_GET_STRICT_CHK.set(socket, true), true);
  assertEquals(await end(), [NLMSG_DONE, -22, undefined]);
  assertEquals(NETLINK_EXT_ACK.set(socket, true), true);
  const [type, error, told] = await end();
  assertEquals([type, error], [NLMSG_DONE, -22]);
  assertStringIncludes(String(told), "Invalid values in header");
});

test("NETLINK_CAP_ACK leaves the request out of a refusal", FFI, async () => {
  using socket = Socket.open("netlink", "raw", "route");
  const request = message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, link(0x7fff_0000));
  for (const [capped, length] of [[false, 4 + request.length], [true, 4 + 16]] as const) {
    assertEquals(NETLINK_CAP_ACK.set(socket, capped), capped);
    const [answer] = await ask(socket, request);
    assertEquals([answer?.type, answer?.payload.getInt32(0, true)], [NLMSG_ERROR, -19]);
    assertEquals(answer?.payload.byteLength, length);
  }
});

test("NETLINK_ADD_MEMBERSHIP hears of a new interface, NETLINK_PKTINFO says by which group", ROOT, async () => {
  using namespace = new Namespace();
  using socket = namespace.run(() => Socket.open("netlink", "raw", "route"));
  socket.bind({ pid: 0 });
  NETLINK_ADD_MEMBERSHIP.set(socket, 1); // RTNLGRP_LINK
  assertEquals(NETLINK_LIST_MEMBERSHIPS.get(socket), [1]);
  assertEquals(NETLINK_PKTINFO.set(socket, true), true);
  const waiting = socket.receiveMessage(second());
  const index = namespace.run(() => addBridge("heard0"));
  const { data, remoteAddr, control } = await waiting;
  // From the kernel, to group 1.
  assertEquals(remoteAddr, { ...KERNEL, groups: 1 });
  const [first] = answers(data);
  assertEquals([first?.type, first?.payload.getInt32(4, true)], [RTM_NEWLINK, index]);
  assertEquals(text(attributes(first!.payload, 16).get(IFLA_IFNAME)!), "heard0\0");
  assertEquals(control, [{ name: "other", level: 270, type: 3, data: Uint8Array.of(1, 0, 0, 0) }]);
  NETLINK_DROP_MEMBERSHIP.set(socket, 1);
  assertEquals(NETLINK_LIST_MEMBERSHIPS.get(socket), []);
  while (socket.tryReceive() !== null);
  namespace.run(() => addBridge("unheard0"));
  assertEquals(socket.tryReceive(), null);
});

test("messages that found no room are ENOBUFS, once, unless NETLINK_NO_ENOBUFS is on", ROOT, () => {
  using namespace = new Namespace();
  for (const silent of [false, true]) {
    using socket = namespace.run(() => Socket.open("netlink", "raw", "route"));
    SO_RCVBUF.set(socket, 4096);
    assertEquals(NETLINK_NO_ENOBUFS.set(socket, silent), silent);
    socket.bind({ pid: 0, groups: 1 });
    namespace.run(() => {
      for (let i = 0; i < 10; i++) addBridge(`${silent ? "s" : "l"}${i}`);
    });
    const errors: string[] = [];
    for (let i = 0; i < 100; i++) {
      try {
        if (socket.tryReceive() === null) break;
      } catch (error) {
        errors.push((error as SystemError).code);
      }
    }
    assertEquals(errors, silent ? [] : ["ENOBUFS"]);
  }
});

test("what netlink does not have is refused with the reason", FFI, () => {
  const code = (call: () => unknown) => (assertThrows(call, Deno.errors.NotSupported) as unknown as SystemError).code;
  assertEquals(code(() => Socket.open("netlink", "stream")), "ESOCKTNOSUPPORT");
  assertEquals(code(() => Socket.open("netlink", "raw", 31)), "EPROTONOSUPPORT");
  assertThrows(
    () => Socket.open("netlink", "raw", "icmp"),
    Deno.errors.NotSupported,
    'the protocol is "icmp", it must be a number or one of route',
  );
  using socket = Socket.open("netlink", "raw");
  assertThrows(
    () => socket.trySendTo(new Uint8Array(16), { pid: 0, groups: 1, transport: "udp" }),
    TypeError,
    "transport",
  );
});
