// Packet sockets on a cable between two namespaces: a peer in Python, promiscuous mode, groups that share, what is counted.
// What needs no cable: ../socket/packet_test.ts. Filters: ../socket/filter_test.ts.
import { assert, assertEquals } from "@std/assert";
import {
  PACKET_ADD_MEMBERSHIP,
  PACKET_DROP_MEMBERSHIP,
  PACKET_FANOUT,
  PACKET_STATISTICS,
  SO_RCVBUF,
} from "../../options/mod.ts";
import { type PacketAddress, Socket } from "../../socket/mod.ts";
import { type Namespace, NAMESPACES, withPair } from "../multicast/namespace.ts";
import { bytes, sleep, test, text } from "../socket/make.ts";

/** An ethertype for experiments, which nobody else uses. */
const OURS = 0x88b5;
const second = () => ({ signal: AbortSignal.timeout(5_000) });

/** A socket that hears what comes in on a device of a namespace. */
function hears(end: Namespace, device: string, type: "raw" | "dgram" = "dgram"): Socket<"packet"> {
  return end.inside(() => {
    const socket = Socket.open("packet", type);
    socket.bind({ interface: device, protocol: OURS });
    return socket;
  });
}

/** A frame from nobody in particular. */
function frame(to: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const header = Uint8Array.fromHex(`${to.replaceAll(":", "")}02005e10000f88b5`);
  return Uint8Array.of(...header, ...payload);
}

const index = (socket: Socket<"packet">) => ({ interface: socket.localAddr!.interface });

const PYTHON = `
import socket
def line(*words): print(*words, flush=True)
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5)); raw.bind(("right0", 0x88b5)); raw.settimeout(10)
dgram = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x88b5)); dgram.bind(("right0", 0x88b5)); dgram.settimeout(10)
own = raw.getsockname()[4]
line(own.hex(":"))
for _ in range(2):
    frame, sender = raw.recvfrom(2048)
    payload, again = dgram.recvfrom(2048)
    assert sender == again, (sender, again)
    line(frame[:6].hex(":"), frame[6:12].hex(":"), frame[12:14].hex(), payload.decode(), sender[0], hex(sender[1]), sender[2], sender[4].hex(":"))
peer = sender[4]
dgram.sendto(b"dgram from python", ("right0", 0x88b5, 0, 0, peer))
raw.send(b"\\xff" * 6 + own + b"\\x88\\xb5" + b"raw from python")
raw.send(b"\\x01\\x00\\x5e\\x00\\x00\\x01" + own + b"\\x88\\xb5" + b"to a group")
raw.send(b"\\x02\\x00\\x5e\\x10\\x00\\x99" + own + b"\\x88\\xb5" + b"to another")
`;

test("a peer in Python and ours understand each other, raw and dgram", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    await using python = right.python(PYTHON);
    const theirs = await python.line();
    using dgram = hears(left, "left0");
    using raw = hears(left, "left0", "raw");
    const ours = dgram.localAddr!.address!;
    assert(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(ours) && ours !== theirs, `${ours} ${theirs}`);
    await dgram.sendTo(bytes("dgram"), { ...index(dgram), address: theirs });
    assertEquals(await python.line(), `${theirs} ${ours} 88b5 dgram right0 0x88b5 0 ${ours}`);
    const sent = frame("ff:ff:ff:ff:ff:ff", bytes("raw"));
    sent.set(Uint8Array.fromHex(ours.replaceAll(":", "")), 6);
    await raw.sendTo(sent, index(raw));
    assertEquals(await python.line(), `ff:ff:ff:ff:ff:ff ${ours} 88b5 raw right0 0x88b5 1 ${ours}`);
    const heard: [string, PacketAddress["packetType"]][] = [];
    for (let i = 0; i < 4; i++) {
      const [payload, from] = await dgram.receiveFrom(undefined, second());
      assertEquals([from.address, from.protocol, from.interface], [theirs, OURS, dgram.localAddr!.interface]);
      heard.push([text(payload), from.packetType]);
      const whole = await raw.receive(undefined, second());
      assertEquals([text(whole.subarray(14)), whole.subarray(6, 12).toHex()], [
        text(payload),
        theirs.replaceAll(":", ""),
      ]);
    }
    assertEquals(heard, [
      ["dgram from python", "host"],
      ["raw from python", "broadcast"],
      ["to a group", "multicast"],
      ["to another", "otherHost"],
    ]);
    await python.rest();
  });
});

/** How often a device of a namespace was made promiscuous, as ip(8) says. */
async function promiscuity(end: Namespace, device: string): Promise<number> {
  await using program = end.program("ip", "-d", "-j", "link", "show", device);
  return JSON.parse((await program.rest()).join(""))[0].promiscuity;
}

test("promiscuous mode lets a socket on a bridge hear what is for others, until it ends", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    // A cable gives everything it has; a bridge keeps what is not for this machine to itself.
    await right.ip("link", "add", "bridge0", "type", "bridge");
    await right.ip("link", "set", "right0", "master", "bridge0");
    await right.ip("link", "set", "bridge0", "up");
    using sender = hears(left, "left0", "raw");
    using receiver = hears(right, "bridge0", "raw");
    const own = receiver.localAddr!.address!;
    const arrives = async () => {
      // Behind the one in question comes one that arrives in any case.
      await sender.sendTo(frame("02:00:5e:10:00:99", bytes("to another")), index(sender));
      await sender.sendTo(frame(own, bytes("to this one")), index(sender));
      const heard: string[] = [];
      while (heard.at(-1) !== "to this one host") {
        const [packet, from] = await receiver.receiveFrom(undefined, second());
        heard.push(`${text(packet.subarray(14))} ${from.packetType}`);
      }
      return heard.slice(0, -1);
    };
    // The bridge forwards nothing for some time after it was switched on.
    while (
      (await right.program("ip", "-d", "-j", "link", "show", "right0").rest()).join("").match(
        /"state":"forwarding"/,
      ) === null
    ) {
      await sleep(20);
    }
    assertEquals([await promiscuity(right, "bridge0"), await arrives()], [0, []]);
    const all = { interface: index(receiver).interface, type: "promiscuous" } as const;
    right.inside(() => PACKET_ADD_MEMBERSHIP.set(receiver, all));
    assertEquals([await promiscuity(right, "bridge0"), await arrives()], [1, ["to another otherHost"]]);
    right.inside(() => PACKET_DROP_MEMBERSHIP.set(receiver, all));
    assertEquals([await promiscuity(right, "bridge0"), await arrives()], [0, []]);
  });
});

/** Takes all that is there. */
function drain(socket: Socket<"packet">): string[] {
  const all: string[] = [];
  for (let packet; (packet = socket.tryReceive()) !== null;) all.push(text(packet));
  return all;
}

test("PACKET_FANOUT shares packets among two sockets, each packet once", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    using sender = hears(left, "left0");
    const to = { ...index(sender), address: "ff:ff:ff:ff:ff:ff" };
    for (const mode of ["loadBalance", "hash", "rollover"] as const) {
      using first = hears(right, "right0");
      using other = hears(right, "right0");
      const group = { id: 77, mode, defragment: false };
      for (const one of [first, other]) assertEquals(right.inside(() => PACKET_FANOUT.set(one, group)), group);
      const sent = Array.from({ length: 100 }, (_, i) => `${mode} ${i}`);
      for (const one of sent) await sender.sendTo(bytes(one), to);
      const heard = [drain(first), drain(other)];
      assertEquals(heard.flat().sort(), sent.toSorted());
      const counts = heard.map(({ length }) => length).sort((a, b) => a - b);
      // In turn; by flow, of which there is one; to the first as long as it has room.
      assertEquals(counts, mode === "loadBalance" ? [50, 50] : [0, 100], mode);
    }
  });
});

test("PACKET_STATISTICS counts what came and what was lost, and starts anew", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    using sender = hears(left, "left0");
    using receiver = hears(right, "right0");
    SO_RCVBUF.set(receiver, 20_000);
    assertEquals(PACKET_STATISTICS.get(receiver), { packets: 0, drops: 0 });
    const to = { ...index(sender), address: "ff:ff:ff:ff:ff:ff" };
    for (let i = 0; i < 1000; i++) await sender.sendTo(bytes(String(i)), to);
    const heard = drain(receiver);
    assert(heard.length > 5 && heard.length < 500, `${heard.length} of 1000 were there`);
    assertEquals(PACKET_STATISTICS.get(receiver), { packets: 1000, drops: 1000 - heard.length });
    assertEquals(PACKET_STATISTICS.get(receiver), { packets: 0, drops: 0 });
  });
});

test("a socket waits for a cable that was pulled, and hears that it is down", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    using receiver = hears(right, "right0");
    await left.ip("link", "delete", "left0");
    const error = await receiver.receive(undefined, second()).catch((error) => error);
    assertEquals([error.code, error.syscall], ["ENETDOWN", "recv"]);
  });
});
