// Addresses: text to bytes and back beside the C library's own functions, and struct sockaddr of the three systems.
// Which interface a zone names: netif_test.ts. Addresses inside the structs of options: options/codec_test.ts.
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { OperatingSystem } from "../internal/os.ts";
import {
  familyOf,
  formatIp,
  ipOf,
  isGroup,
  isMapped,
  isUnspecified,
  type KernelAddress,
  parseIp,
  parseIpv4,
  parseIpv6,
  readSockaddr,
  showAddress,
  writeInet,
} from "../internal/sockaddr.ts";
import { test } from "./needs.ts";
import { AF_INET, AF_INET6, AF_UNIX, ntop, pton, RAW, RawSocket, SOCK_DGRAM } from "./raw_socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SYSTEMS: readonly OperatingSystem[] = ["linux", "darwin", "windows"];
const ROUNDS = 100_000;
const utf8 = new TextEncoder();

/** Random numbers that are the same at every run (mulberry32), so that a failure comes back. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return Math.floor(((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32 * below);
  };
}

function hex(text: string): Bytes {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}

// ---- Text to bytes ----

test("parseIpv4 takes four decimal numbers", {}, () => {
  const good: Readonly<Record<string, string>> = {
    "0.0.0.0": "00000000",
    "127.0.0.1": "7f000001",
    "192.0.2.10": "c000020a",
    "255.255.255.255": "ffffffff",
    "1.20.200.0": "0114c800",
  };
  for (const [text, bytes] of Object.entries(good)) assertEquals(parseIpv4(text)?.toHex(), bytes, text);
});

test("parseIpv4 takes no octal or hexadecimal, no fewer parts, nothing around it", {}, () => {
  const bad = [
    ...["", ".", "...", "1", "1.2.3", "1.2.3.", ".1.2.3", "1.2.3.4.", ".1.2.3.4", "1..2.3", "1.2.3.4.5", "127.1"],
    ...["01.2.3.4", "1.2.3.04", "00.0.0.0", "1.2.3.00", "010.0.0.1", "0x7f.0.0.1", "1.2.3.0x4", "2130706433"],
    ...["256.0.0.1", "1.2.3.256", "1.2.3.999", "1.2.3.1000", "99999999999.1.1.1", "1.2.3.4294967300"],
    ...[" 1.2.3.4", "1.2.3.4 ", "1.2. 3.4", "1.2.3.4\n", "\t1.2.3.4", "1.2.3.4\0", "1.2.3.4x", "1.2.3.4/8"],
    ...[
      "1.2.3.4:80",
      "1.2.3.-4",
      "1.2.3.+4",
      "+1.2.3.4",
      "-1.2.3.4",
      "1e1.0.0.1",
      "1,2,3,4",
      "1.2.3.4e0",
      "a.b.c.d",
      "localhost",
    ],
    ...["١.٢.٣.٤", "１.2.3.4", "1。2。3。4", "1.2.3.4%1", "::1", "1.2.3.4.5.6.7.8.9"],
  ];
  for (const text of bad) assertEquals(parseIpv4(text), null, JSON.stringify(text));
});

test("parseIpv6 takes all forms of RFC 4291", {}, () => {
  const good: Readonly<Record<string, string>> = {
    "::": "00000000000000000000000000000000",
    "::1": "00000000000000000000000000000001",
    "1::": "00010000000000000000000000000000",
    "1:2:3:4:5:6:7:8": "00010002000300040005000600070008",
    "1:2:3:4:5:6:7::": "00010002000300040005000600070000",
    "::2:3:4:5:6:7:8": "00000002000300040005000600070008",
    "1:2:3::5:6:7:8": "00010002000300000005000600070008",
    "2001:DB8::Ff": "20010db80000000000000000000000ff",
    "0001:0000::000a": "0001000000000000000000000000000a",
    "::1.2.3.4": "00000000000000000000000001020304",
    "::ffff:1.2.3.4": "00000000000000000000ffff01020304",
    "64:ff9b::192.0.2.33": "0064ff9b0000000000000000c0000221",
    "1:2:3:4:5:6:7.8.9.10": "000100020003000400050006" + "0708090a",
    "1::5:6:7.8.9.10": "000100000000000000050006" + "0708090a",
  };
  for (const [text, bytes] of Object.entries(good)) assertEquals(parseIpv6(text)?.toHex(), bytes, text);
});

test("parseIpv6 takes no second ::, no wrong number of groups, nothing around it", {}, () => {
  const bad = [
    ...["", ":", ":::", "::::", "1::2::3", ":::1", "1:::2", "::1::", "1:::", "1::2:", ":1::2", "::1:"],
    ...["1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:", ":1:2:3:4:5:6:7:8"],
    ...["1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9:10:11"],
    ...["12345::", "::12345", "1:00002::", "g::", "::x", "1:2:3:4:5:6:7:-8", "0x1::", "::+1"],
    ...[" ::1", "::1 ", "::1\n", ":: 1", "::1\0", "[::1]", "::1/128", "::1%1", "::%"],
    ...["1.2.3.4", "1.2.3.4::", "::1.2.3.4:5", "::1.2.3", "::01.2.3.4", "::1.2.3.256", "::1.2.3.4.5", "::1.2.3.4 "],
    ...["1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:1.2.3.4", "::1.2.3.4::", "1.2.3.4:5:6:7:8:9:10", "1.2::3"],
    "localhost",
  ];
  for (const text of bad) assertEquals(parseIpv6(text), null, JSON.stringify(text));
});

test("parseIp takes a zone after an IPv6 address, and nowhere else", {}, () => {
  assertEquals(parseIp("fe80::1%2"), { bytes: hex("fe80 000000000000 0000000000000001"), zone: "2" });
  assertEquals(parseIp("fe80::1%eth0.5")?.zone, "eth0.5");
  assertEquals(parseIp("::ffff:1.2.3.4%lo")?.zone, "lo");
  assertEquals(parseIp("fe80::1")?.zone, null);
  assertEquals(parseIp("127.0.0.1"), { bytes: hex("7f000001"), zone: null });
  assertEquals(parseIp("fe80::%1%")?.zone, "1%"); // what is after the first is a name
  for (const text of ["fe80::1%", "1.2.3.4%1", "1.2.3.4%", "%1", "%", "", "fe80%1::1", "x%1"]) {
    assertEquals(parseIp(text), null, JSON.stringify(text));
  }
});

/** A text that is an address, nearly one, or nothing of the kind. */
function someText(below: (n: number) => number): string {
  const pick = <T>(of: readonly T[]): T => of[below(of.length)]!;
  const rarely = () => below(40) === 0;
  const decimal = () => rarely() ? pick([String(below(1000)), `0${below(10)}`, "00", ""]) : String(below(256));
  const ipv4 = () => Array.from({ length: rarely() ? below(6) : 4 }, decimal).join(".");
  const group = () => rarely() ? pick(["00000", "12345", "fffff", ""]) : below(pick([2, 256, 65536])).toString(16);
  const side = (most: number) => Array.from({ length: below(most + 1) }, group).join(":");
  let text = pick([
    () => ipv4(),
    () => Array.from({ length: rarely() ? below(10) : 8 }, group).join(":"),
    () => `${side(5)}::${side(3)}`,
    () => `${side(4)}::${group()}:${ipv4()}`,
    () => `::${pick(["", "ffff:", "0:", "FFFF:0:"])}${ipv4()}`,
    () => Array.from({ length: below(24) }, () => pick([..."0123456789abcdefABCDEF:::..%x "])).join(""),
  ])();
  for (let changes = pick([0, 0, 0, 1, 1, 2]); changes > 0; changes--) {
    const at = below(text.length + 1);
    const put = pick(["", "", ":", "::", ".", "0", "1", "f", "F", "g", " ", "\n", "%1", "é"]);
    text = text.slice(0, at) + put + text.slice(at + below(3));
  }
  return text;
}

test("parseIpv4 and parseIpv6 say of 100,000 texts what inet_pton says", RAW, () => {
  const below = random(1);
  let good = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const text = someText(below);
    const wanted4 = pton(AF_INET, text)?.toHex();
    const wanted6 = pton(AF_INET6, text)?.toHex();
    if (parseIpv4(text)?.toHex() !== wanted4) assertEquals(parseIpv4(text)?.toHex(), wanted4, JSON.stringify(text));
    if (parseIpv6(text)?.toHex() !== wanted6) assertEquals(parseIpv6(text)?.toHex(), wanted6, JSON.stringify(text));
    if (!text.includes("%") && parseIp(text)?.bytes.toHex() !== (wanted4 ?? wanted6)) {
      assertEquals(parseIp(text)?.bytes.toHex(), wanted4 ?? wanted6, JSON.stringify(text));
    }
    if (wanted4 !== undefined || wanted6 !== undefined) good++;
  }
  // Of both kinds enough to have been a test.
  assert(good > ROUNDS / 5 && good < ROUNDS * 4 / 5, `${good} of ${ROUNDS} were addresses`);
});

// ---- Bytes to text ----

test("formatIp writes as inet_ntop: the longest run of zeros, the first of equals, never a single group", {}, () => {
  const good: Readonly<Record<string, string>> = {
    "00000000": "0.0.0.0",
    "c0000221": "192.0.2.33",
    "00000000000000000000000000000000": "::",
    "00000000000000000000000000000001": "::1",
    "00010000000000000000000000000000": "1::",
    "00010002000300040005000600070008": "1:2:3:4:5:6:7:8",
    "00010000000300040005000600070008": "1:0:3:4:5:6:7:8",
    "00000002000300040005000600070008": "0:2:3:4:5:6:7:8",
    "00010002000300040005000600070000": "1:2:3:4:5:6:7:0",
    "00010000000000040005000600000000": "1::4:5:6:0:0",
    "00010000000000040000000000000008": "1:0:0:4::8",
    "00000000000300040000000000070008": "::3:4:0:0:7:8",
    "20010db8000000000000000000000abc": "2001:db8::abc",
    "fe800000000000000000000000000000": "fe80::",
    "00000000000000000000ffff01020304": "::ffff:1.2.3.4",
    "00000000000000000000ffff00000000": "::ffff:0.0.0.0",
    "00000000000000000000000001020304": "::1.2.3.4",
    "00000000000000000000000000010000": "::0.1.0.0",
    "0000000000000000000000000000ffff": "::ffff",
    "00000000000000000000fffe01020304": "::fffe:102:304",
    "0000000000000000ffff000001020304": "::ffff:0:102:304",
    "0064ff9b0000000000000000c0000221": "64:ff9b::c000:221",
  };
  for (const [bytes, text] of Object.entries(good)) assertEquals(formatIp(hex(bytes)), text);
});

test("formatIp refuses what has neither 4 nor 16 bytes", {}, () => {
  for (const length of [0, 1, 3, 5, 8, 15, 17]) {
    assertThrows(() => formatIp(new Uint8Array(length)), RangeError, `it has ${length} bytes, it must have 4 or 16`);
  }
});

/** 4 or 16 bytes, with runs of zeros and the prefix of mapped addresses far more often than by chance. */
function someIp(below: (n: number) => number): Bytes {
  if (below(5) === 0) return Uint8Array.from({ length: 4 }, () => below(256));
  const bytes = new Uint8Array(16);
  const zeros = below(9);
  for (let i = 0; i < 8; i++) {
    const group = below(8) < zeros ? 0 : below(4) === 0 ? below(16) : below(65536);
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group;
  }
  if (below(6) === 0) bytes.fill(0, 0, below(2) === 0 ? 10 : 12);
  if (below(6) === 0) bytes.fill(0xff, 10, 12);
  return bytes;
}

test("formatIp writes 100,000 addresses as inet_ntop, and parseIp reads them back", RAW, () => {
  const below = random(2);
  for (let i = 0; i < ROUNDS; i++) {
    const bytes = someIp(below);
    const text = formatIp(bytes);
    const wanted = ntop(bytes);
    if (text !== wanted) assertEquals(text, wanted, bytes.toHex());
    const back = parseIp(text)?.bytes.toHex();
    if (back !== bytes.toHex()) assertEquals(back, bytes.toHex(), text);
  }
});

test("isGroup, isMapped and isUnspecified know their addresses by the edges", {}, () => {
  const ip = (text: string) => parseIp(text)!.bytes;
  for (const text of ["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "ffff::"]) assert(isGroup(ip(text)), text);
  for (const text of ["223.255.255.255", "240.0.0.0", "0.0.0.0", "feff::", "::ffff:224.0.0.1", "::"]) {
    assert(!isGroup(ip(text)), text);
  }
  assert(isMapped(ip("::ffff:0.0.0.0")) && isMapped(ip("::ffff:255.255.255.255")));
  for (const text of ["::1.2.3.4", "::fffe:1.2.3.4", "1::ffff:1.2.3.4", "::ffff:0:1.2.3.4", "1.2.3.4"]) {
    assert(!isMapped(ip(text)), text);
  }
  assert(isUnspecified(ip("::")) && isUnspecified(ip("0.0.0.0")));
  for (const text of ["::1", "0.0.0.1", "::ffff:0.0.0.0", "8000::"]) assert(!isUnspecified(ip(text)), text);
});

// ---- struct sockaddr ----

/** sockaddr_in and sockaddr_in6 written down by hand: family (with the length before it on macOS), port, address ... */
const INET: Readonly<Record<OperatingSystem, string>> = {
  linux: "0200 1f90 c0000221 0000000000000000",
  darwin: "1002 1f90 c0000221 0000000000000000",
  windows: "0200 1f90 c0000221 0000000000000000",
};
/** ... port, flow label in network order, address, index of the interface in host order. */
const INET6: Readonly<Record<OperatingSystem, string>> = {
  linux: "0a00 1f90 000abcde fe800000000000000000000000000001 02010000",
  darwin: "1c1e 1f90 000abcde fe800000000000000000000000000001 02010000",
  windows: "1700 1f90 000abcde fe800000000000000000000000000001 02010000",
};

test("writeInet writes sockaddr_in and sockaddr_in6 of each system", {}, () => {
  for (const os of SYSTEMS) {
    const bytes = new Uint8Array(34);
    assertEquals(writeInet(bytes, 3, os, hex("c0000221"), 8080), 16);
    assertEquals(bytes.toHex(), `000000${INET[os].replaceAll(" ", "")}`.padEnd(68, "0"), os);
    bytes.fill(0);
    assertEquals(writeInet(bytes, 3, os, parseIp("fe80::1")!.bytes, 8080, 0x102, 0xabcde), 28);
    assertEquals(bytes.toHex(), `000000${INET6[os].replaceAll(" ", "")}`.padEnd(68, "0"), os);
  }
});

test("readSockaddr reads IPv4 and IPv6 addresses of each system, the zone within the hostname", {}, () => {
  for (const os of SYSTEMS) {
    assertEquals(readSockaddr(hex(INET[os]), os), { family: "inet", hostname: "192.0.2.33", port: 8080 });
    const inet6 = hex(INET6[os]);
    const flowInfo = 0xabcde;
    assertEquals(readSockaddr(inet6, os), { family: "inet6", hostname: "fe80::1%258", port: 8080, flowInfo });
    inet6.fill(0, 4, 8);
    inet6.fill(0, 24);
    assertEquals(readSockaddr(inet6, os), { family: "inet6", hostname: "fe80::1", port: 8080 });
    // A view into more, and more behind it, as the kernel's buffer is.
    const room = new Uint8Array(200).fill(0xaa);
    room.set(hex(INET[os]), 5);
    assertEquals(readSockaddr(room.subarray(5, 133), os), { family: "inet", hostname: "192.0.2.33", port: 8080 });
    assertEquals(ipOf(room.subarray(5, 21), os)?.toHex(), "c0000221");
  }
});

test("readSockaddr gives the bytes of a family it does not know, and of an address that is cut", {}, () => {
  const packet = hex("1100 0003 01000000 0403 00 06 000000000000 0000");
  assertEquals(readSockaddr(packet, "linux"), { family: 17, bytes: packet });
  assertEquals(showAddress(readSockaddr(packet, "linux")), "an address of family 17");
  const cut = hex(INET.linux).subarray(0, 15);
  assertEquals(readSockaddr(cut, "linux"), { family: 2, bytes: cut.slice() });
  assertEquals(readSockaddr(hex(INET6.darwin).subarray(0, 27), "darwin").family, 30);
  assertEquals(readSockaddr(new Uint8Array(), "linux"), { family: 0, bytes: new Uint8Array() });
  assertEquals(readSockaddr(hex("02"), "linux"), { family: 0, bytes: hex("02") });
});

test("readSockaddr gives a value for random bytes of every length and system, its own copy", {}, () => {
  const below = random(3);
  const families: Readonly<Record<OperatingSystem, readonly string[]>> = {
    linux: ["0200", "0a00", "0100", "1100", "1000", "2800"],
    darwin: ["1002", "1c1e", "1c01", "1412", "0002", "ff1e"],
    windows: ["0200", "1700", "0100"],
  };
  for (const os of SYSTEMS) {
    for (let length = 0; length <= 128; length++) {
      for (let round = 0; round < 30; round++) {
        const bytes = Uint8Array.from({ length }, () => below(4) === 0 ? 0 : below(256));
        if (length >= 2 && round > 0) bytes.set(hex(families[os][below(families[os].length)]!));
        const given = bytes.toHex();
        const address = readSockaddr(bytes, os);
        assertWellFormed(address, bytes, os);
        const before = Deno.inspect(address);
        assertEquals(bytes.toHex(), given);
        bytes.fill(0xee);
        if (Deno.inspect(address) !== before) assertEquals(Deno.inspect(address), before, given);
      }
    }
  }
});

function assertWellFormed(address: KernelAddress, bytes: Bytes, os: OperatingSystem): void {
  assert(showAddress(address).length > 0);
  if (address.family === "inet" || address.family === "inet6") {
    const ip = parseIp(address.hostname);
    assertEquals(ip?.bytes.length, address.family === "inet" ? 4 : 16, address.hostname);
    assert(address.port >= 0 && address.port <= 65535);
    assert(address.flowInfo !== 0);
  } else if (address.family === "unix") {
    if (address.bytes === undefined) assert(!address.path.includes("\ufffd") || bytes.includes(0xef), address.path);
    else assert(address.path.includes("\ufffd"));
  } else if (!("hostname" in address)) {
    assertEquals(address.bytes, bytes);
    assertEquals(address.family, bytes.length < 2 ? 0 : familyOf(bytes, os));
  }
}

/** sockaddr_un of a system: `path` is put where sun_path is. */
function unix(os: OperatingSystem, path: Bytes): Bytes {
  const start = os === "darwin" ? [2 + path.length, 1] : [1, 0];
  return Uint8Array.of(...start, ...path);
}

test("readSockaddr reads the path of a unix socket, up to its NUL or the end", {}, () => {
  const path = "/run/ü.socket";
  for (const os of SYSTEMS) {
    for (const rest of ["", "\0", "\0\0\0", "\0junk"]) {
      assertEquals(readSockaddr(unix(os, utf8.encode(path + rest)), os), { family: "unix", path });
    }
    const long = `/${"x".repeat(os === "darwin" ? 103 : 107)}`;
    assertEquals(readSockaddr(unix(os, utf8.encode(long)), os), { family: "unix", path: long });
    assertEquals(showAddress({ family: "unix", path }), '"/run/ü.socket"');
  }
});

test("readSockaddr keeps a byte order mark in a path, as the file has it in its name", {}, () => {
  assertEquals(readSockaddr(unix("linux", hex("efbbbf2f61")), "linux"), { family: "unix", path: "\ufeff/a" });
});

test("readSockaddr reads an abstract name whole, its NULs included, on Linux alone", {}, () => {
  const name = utf8.encode("\0a\0b\0");
  assertEquals(readSockaddr(unix("linux", name), "linux"), { family: "unix", path: "\0a\0b\0" });
  assertEquals(showAddress(readSockaddr(unix("linux", utf8.encode("\0name")), "linux")), '"@name" (abstract)');
  assertEquals(readSockaddr(unix("linux", utf8.encode("\0")), "linux"), { family: "unix", path: "\0" });
  const full = `\0${"x".repeat(107)}`;
  assertEquals(readSockaddr(unix("linux", utf8.encode(full)), "linux"), { family: "unix", path: full });
  // macOS gives an unnamed socket 14 zeros.
  for (const os of ["darwin", "windows"] as const) {
    assertEquals(readSockaddr(unix(os, name), os), { family: "unix", path: "" });
    assertEquals(readSockaddr(unix(os, new Uint8Array(14)), os), { family: "unix", path: "" });
  }
});

test("readSockaddr gives an unnamed unix socket an empty path", {}, () => {
  for (const os of SYSTEMS) {
    assertEquals(readSockaddr(unix(os, new Uint8Array()), os), { family: "unix", path: "" });
    assertEquals(showAddress({ family: "unix", path: "" }), "(unnamed)");
  }
});

test("readSockaddr keeps the bytes of a unix address that is not UTF-8", {}, () => {
  for (const os of SYSTEMS) {
    const path = hex("2f 61 ff 62");
    const with0 = Uint8Array.of(...path, 0, 0x63);
    assertEquals(readSockaddr(unix(os, with0), os), { family: "unix", path: "/a\ufffdb", bytes: path });
  }
  const abstract = hex("00 61 00 c3");
  assertEquals(readSockaddr(unix("linux", abstract), "linux"), {
    family: "unix",
    path: "\0a\0\ufffd",
    bytes: abstract,
  });
});

test("readSockaddr reads what getsockname says of unix sockets without and with an abstract name", RAW, () => {
  using unnamed = RawSocket.open(AF_UNIX, SOCK_DGRAM);
  assertEquals(readSockaddr(unnamed.localAddress, "linux"), { family: "unix", path: "" });
  const unique = crypto.randomUUID();
  for (const name of [`\0${unique}`, `\0${unique}\0inner\0`, `\0${unique}`.padEnd(108, "x")]) {
    using socket = RawSocket.open(AF_UNIX, SOCK_DGRAM);
    socket.bind(unix("linux", utf8.encode(name)));
    assertEquals(readSockaddr(socket.localAddress, "linux"), { family: "unix", path: name });
  }
  using chosen = RawSocket.open(AF_UNIX, SOCK_DGRAM);
  chosen.bind(unix("linux", new Uint8Array()));
  const address = readSockaddr(chosen.localAddress, "linux");
  assert(address.family === "unix" && /^\0[0-9a-f]{5}$/.test(address.path), Deno.inspect(address));
});
