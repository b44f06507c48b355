// internetChecksum() against its definition, against python3 and against the kernel.
// Filters that look at packets: filter_test.ts. Raw sockets for what the kernel answers: ../raw_socket.ts.
import { assertEquals, assertThrows } from "@std/assert";
import { internetChecksum } from "../../socket/mod.ts";
import { test } from "../needs.ts";
import { AF_INET, inet, IPPROTO_ICMP, Namespace, RawSocket, ROOT, SOCK_RAW } from "../raw_socket.ts";
import { PYTHON, python } from "./make.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** RFC 1071 to the letter: the ones' complement of the ones' complement sum of the 16-bit words. */
function byDefinition(data: Uint8Array): number {
  let sum = 0n;
  for (let i = 0; i < data.length; i += 2) sum += BigInt(data[i]! * 256 + (data[i + 1] ?? 0));
  while (sum > 0xffffn) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(0xffffn - sum);
}

function randomBytes(length: number): Bytes {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 65_536) crypto.getRandomValues(bytes.subarray(i, i + 65_536));
  return bytes;
}

function concatenated(parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Cuts bytes into parts at random places, empty ones among them. */
function cut(data: Bytes, pieces: number): Bytes[] {
  const places = Array.from({ length: pieces - 1 }, () => Math.floor(Math.random() * (data.length + 1)));
  places.sort((a, b) => a - b);
  return [0, ...places].map((from, i) => data.subarray(from, places[i] ?? data.length));
}

Deno.test("internetChecksum() of what RFC 1071 and well-known packets have", () => {
  // RFC 1071, section 3: the sum is ddf2.
  assertEquals(internetChecksum(new Uint8Array([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2 ^ 0xffff);
  // An IPv4 header with its checksum field zero, then with it.
  const header = new Uint8Array([0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 192, 168, 0, 1, 192, 168, 0, 199]);
  assertEquals(internetChecksum(header), 0xb861);
  header.set([0xb8, 0x61], 10);
  assertEquals(internetChecksum(header), 0);
});

Deno.test("internetChecksum() of nothing, zeros, ones and odd bytes", () => {
  assertEquals(internetChecksum(), 0xffff);
  assertEquals(internetChecksum(new Uint8Array()), 0xffff);
  assertEquals(internetChecksum(new Uint8Array(7)), 0xffff);
  assertEquals(internetChecksum(new Uint8Array(6).fill(0xff)), 0);
  assertEquals(internetChecksum(new Uint8Array([0xab])), 0x54ff);
  assertEquals(internetChecksum(new Uint8Array([0xab]), new Uint8Array([0xcd])), 0x5432);
  assertEquals(internetChecksum(new Uint8Array([0xab]), new Uint8Array(), new Uint8Array([0xcd, 1])), 0x5332);
});

Deno.test("internetChecksum() is that of the definition, however the bytes are split, and zero with the sum in place", () => {
  for (let round = 0; round < 20_000; round++) {
    // Views at odd offsets of their memory too.
    const data = randomBytes(round % 300 + 1).subarray(round % 2);
    if (round % 5 === 0) data.fill(round % 10 === 0 ? 0xff : 0);
    const wanted = byDefinition(data);
    assertEquals(internetChecksum(data), wanted);
    const parts = cut(data, 2 + round % 5);
    assertEquals(internetChecksum(...parts), wanted, `${parts.map((part) => part.length)}`);
    const sum = new Uint8Array([wanted >> 8, wanted & 0xff]);
    assertEquals(internetChecksum(...data.length % 2 === 0 ? parts : [...parts, new Uint8Array(1)], sum), 0);
  }
});

Deno.test("internetChecksum() of more than fits in 32 bits is right", () => {
  for (const length of [65_533, 65_534, 65_535, 65_536, 131_071, 4_000_003]) {
    for (const data of [randomBytes(length), new Uint8Array(length).fill(0xff)]) {
      const wanted = byDefinition(data);
      assertEquals(internetChecksum(data), wanted, `${length}`);
      assertEquals(internetChecksum(data.subarray(0, 65_537), data.subarray(65_537)), wanted, `${length}`);
      assertEquals(internetChecksum(...cut(data, 7)), wanted, `${length}`);
    }
  }
});

Deno.test("internetChecksum() refuses what is no Uint8Array, and says which part", () => {
  for (
    const [wrong, shown] of [["bytes", '"bytes"'], [[1, 2], "an array"], [null, "null"], [
      new Uint16Array(2),
      "an object (Uint16Array)",
    ]]
  ) {
    assertThrows(
      () => internetChecksum(new Uint8Array(1), wrong as unknown as Uint8Array),
      TypeError,
      `Cannot take a checksum: part 1 is ${shown}, it must be a Uint8Array`,
    );
  }
});

test("internetChecksum() of 500 random splits is what python3 computes", PYTHON, async () => {
  const cases = Array.from({ length: 500 }, (_, i) => cut(randomBytes(i * 3), 1 + i % 4));
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, cases.map((parts) => concatenated(parts).toHex()).join("\n"));
    // Words of this machine's order, added as 32-bit numbers: RFC 1071 says it comes to the same.
    const output = await python(
      `
import struct, sys
for line in open(sys.argv[1]).read().split("\\n"):
    data = bytes.fromhex(line)
    data += b"\\0" * (-len(data) % 4)
    total = sum(struct.unpack("=%dI" % (len(data) // 4), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    print(struct.unpack(">H", struct.pack("=H", ~total & 0xffff))[0])
`,
      file,
    );
    assertEquals(cases.map((parts) => internetChecksum(...parts)), output.split("\n").map(Number));
  } finally {
    await Deno.remove(file);
  }
});

test("internetChecksum() is what the kernel takes and makes: it answers pings with it, and with it alone", ROOT, () => {
  using namespace = new Namespace();
  using socket = namespace.run(() => RawSocket.open(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  const echo = new Uint8Array([8, 0, 0, 0, 0x12, 0x34, 0, 0]);
  for (let round = 0; round < 100; round++) {
    const payload = randomBytes(round * 7);
    for (const wrong of [0x10, 0]) {
      echo.set([0, 0, 0x12, 0x34, round, wrong], 2);
      const sum = internetChecksum(echo, payload) ^ wrong;
      echo.set([sum >> 8, sum & 0xff], 2);
      socket.send(concatenated([echo, payload]), inet("127.0.0.1", 0));
    }
    // The socket hears the requests too; what is answered comes in the order of the requests.
    let reply: Bytes;
    do reply = socket.receive(); while (reply[20] === 8);
    assertEquals([...reply.subarray(26, 28)], [round, 0], "the kernel took a wrong one");
    assertEquals(internetChecksum(reply.subarray(0, 20)), 0, "the IP header");
    assertEquals(internetChecksum(reply.subarray(20)), 0, "the reply");
  }
});
