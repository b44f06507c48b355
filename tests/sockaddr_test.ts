// Addresses: text to bytes and back beside the C library's own functions, and struct sockaddr of the three systems.
// Which interface a zone names: netif_test.ts. What the kernel makes of these bytes: socket/address_test.ts.
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { OperatingSystem } from "../internal/os.ts";
import {
  encodeAddress,
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
/** SOCKETS_SOAK=1 takes all; the rest of the time a twentieth or less keeps each test below a second. */
const SOAK = Deno.permissions.querySync({ name: "env", variable: "SOCKETS_SOAK" }).state === "granted" &&
  Deno.env.get("SOCKETS_SOAK") === "1";
const ROUNDS = SOAK ? 1_000_000 : 50_000;
/** Of what takes longer, less. */
const FEWER = SOAK ? 1_000_000 : 10_000;
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

test(`parseIpv4 and parseIpv6 say of ${ROUNDS} texts what inet_pton says`, RAW, () => {
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

test(`formatIp writes ${ROUNDS} addresses as inet_ntop, and parseIp reads them back`, RAW, () => {
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
  const can = hex("1d00 0003 01000000 0403 00 06 000000000000 0000");
  assertEquals(readSockaddr(can, "linux"), { family: 29, bytes: can });
  assertEquals(showAddress(readSockaddr(can, "linux")), "an address of family 29");
  const cut = hex(INET.linux).subarray(0, 15);
  assertEquals(readSockaddr(cut, "linux"), { family: 2, bytes: cut.slice() });
  assertEquals(readSockaddr(hex(INET6.darwin).subarray(0, 27), "darwin").family, 30);
  assertEquals(readSockaddr(new Uint8Array(), "linux"), { family: 0, bytes: new Uint8Array() });
  assertEquals(readSockaddr(hex("02"), "linux"), { family: 0, bytes: hex("02") });
});

test("readSockaddr gives a value for random bytes of every length and system, its own copy", {}, () => {
  const below = random(3);
  const families: Readonly<Record<OperatingSystem, readonly string[]>> = {
    linux: ["0200", "0a00", "0100", "1100", "1000", "2800", "1f00"],
    darwin: ["1002", "1c1e", "1c01", "1412", "0002", "ff1e", "0c28"],
    windows: ["0200", "1700", "0100"],
  };
  for (const os of SYSTEMS) {
    for (let length = 0; length <= 128; length++) {
      for (let round = 0; round < FEWER / (3 * 129); round++) {
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
  } else if ("bytes" in address) {
    assertEquals(address.bytes, bytes);
    assertEquals(address.family, bytes.length < 2 ? 0 : familyOf(bytes, os));
  } else {
    // The others can be sent back as they are. No interface has a negative index, and no packet a type beyond these.
    if (address.family === "packet" && (address.interface as number) < 0) return;
    const again = encodeAddress(address.family, address, "Cannot send", os, bluetoothProtocol(address));
    const typed = address.family === "packet" ? { packetType: "host", ...address } : address;
    assertEquals(readSockaddr(again, os), typed as KernelAddress);
  }
}

function bluetoothProtocol(address: KernelAddress): number {
  return "protocol" in address && typeof address.protocol === "string"
    ? ["l2cap", "hci", "sco", "rfcomm"].indexOf(address.protocol)
    : 0;
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

// ---- Addresses as users give them ----

/** Encodes for a system. */
function encoded(family: "inet" | "inet6" | "unix", address: unknown, os: OperatingSystem = "linux"): Bytes {
  return encodeAddress(family, address, "Cannot bind", os);
}

/** The error of an address, which says what was being done. */
function refused<E extends Error>(
  family: "inet" | "inet6" | "unix",
  address: unknown,
  errorClass: new (...args: never[]) => E,
  message: string,
  os: OperatingSystem = "linux",
): void {
  const error = assertThrows(() => encodeAddress(family, address, "Cannot bind", os), errorClass, message);
  assert(error.message.startsWith("Cannot bind: "), error.message);
}

test("encodeAddress writes IPv4 and IPv6 addresses of each system, of exact length", {}, () => {
  for (const os of SYSTEMS) {
    const inet = { hostname: "192.0.2.33", port: 8080 };
    assertEquals(encoded("inet", inet, os), hex(INET[os]));
    const inet6 = { hostname: "fe80::1%258", port: 8080, flowInfo: 0xabcde };
    assertEquals(encoded("inet6", inet6, os), hex(INET6[os]));
    // Nothing is left of what was written before.
    for (const [family, other] of [["inet", "0.0.0.0"], ["inet6", "::"]] as const) {
      assertEquals(encoded(family, { hostname: other }, os).slice(2).some((byte) => byte !== 0), false);
    }
  }
});

test("encodeAddress takes what readSockaddr gave, with its tag and without", {}, () => {
  for (const os of SYSTEMS) {
    for (
      const bytes of [hex(INET[os]), hex(INET6[os]), unix(os, utf8.encode("/run/a\0")), unix(os, hex("2f61ff6200"))]
    ) {
      const address = readSockaddr(bytes, os);
      const family = address.family as "inet";
      assertEquals(encoded(family, address, os), bytes);
      assertEquals(encoded(family, { ...address, family: undefined }, os), bytes);
    }
  }
});

test("encodeAddress takes port 0 for a port that is left out, and a Deno.Addr", {}, () => {
  assertEquals(encoded("inet", { hostname: "127.0.0.1" }), hex("0200 0000 7f000001 0000000000000000"));
  const addr: Deno.Addr = { transport: "udp", hostname: "127.0.0.1", port: 53 };
  assertEquals(encoded("inet", addr), hex("0200 0035 7f000001 0000000000000000"));
  assertEquals(encoded("inet6", { ...addr, transport: "tcp" }).subarray(0, 4), hex("0a00 0035"));
  const path: Deno.Addr = { transport: "unixpacket", path: "/a" };
  assertEquals(encoded("unix", path), hex("0100 2f61 00"));
  for (const family of ["inet", "inet6"] as const) {
    refused(family, { transport: "unix", hostname: "127.0.0.1" }, TypeError, 'is "unix", it must be "tcp" or "udp"');
    refused(family, path, TypeError, 'is "unixpacket", it must be "tcp" or "udp"');
    refused(family, { transport: "vsock", cid: 1, port: 1 }, TypeError, 'is "vsock"');
    refused(family, { transport: null, hostname: "127.0.0.1" }, TypeError, "is null");
  }
  refused("unix", addr, TypeError, 'is "udp", it must be "unix" or "unixpacket"');
});

test("encodeAddress makes a mapped address of an IPv4 literal for IPv6, whatever was written before", {}, () => {
  const wanted = hex("0a00 0050 00000000 00000000000000000000ffff c0000221 00000000");
  for (const before of ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]) {
    encoded("inet6", { hostname: before, port: 1, flowInfo: 7 });
    for (const hostname of ["192.0.2.33", "::ffff:192.0.2.33", "::ffff:c000:221"]) {
      assertEquals(encoded("inet6", { hostname, port: 80 }), wanted);
    }
  }
  assertEquals(encoded("inet6", { family: "inet", hostname: "192.0.2.33", port: 80 }), wanted);
});

test("encodeAddress refuses an IPv6 address for IPv4, and a tag that is not the socket's", {}, () => {
  for (const hostname of ["::1", "fe80::1%1", "::ffff:192.0.2.33"]) {
    refused("inet", { hostname }, TypeError, `"${hostname}", an IPv6 address; on a socket of family "inet"`);
  }
  refused("inet", { family: "inet6", hostname: "127.0.0.1" }, TypeError, 'is "inet6", it must be that of the socket');
  refused("inet6", { family: "inet", hostname: "::1" }, TypeError, 'is "inet", it must be that of the socket, "inet6"');
  refused("inet", { family: "unix", hostname: "127.0.0.1" }, TypeError, 'is "unix"');
  refused("inet", { family: 2, hostname: "127.0.0.1" }, TypeError, "is 2");
  refused("unix", { family: "inet", path: "/a" }, TypeError, 'is "inet", it must be that of the socket, "unix"');
});

test("encodeAddress takes literal addresses only, and says where names are resolved", {}, () => {
  for (
    const hostname of ["localhost", "", "127.1", "010.0.0.1", "0x7f.0.0.1", "127.0.0.1 ", "[::1]", "1.2.3.4%lo", "*"]
  ) {
    for (const family of ["inet", "inet6"] as const) {
      refused(family, { hostname }, SyntaxError, "resolveAddress() gives those of a host name");
    }
  }
});

test("encodeAddress refuses a wrong kind, and numbers out of range, before anything else happens", {}, () => {
  for (const family of ["inet", "inet6", "unix"] as const) {
    for (const address of [undefined, null, "127.0.0.1:80", 80, () => {}]) {
      refused(family, address, TypeError, "it must be an object such as {");
    }
    refused(family, {}, TypeError, "is undefined");
  }
  for (const hostname of [undefined, null, 1, ["127.0.0.1"], {}]) {
    refused("inet", { hostname }, TypeError, "the hostname is");
  }
  for (const port of [null, "80", 80n, {}]) refused("inet", { hostname: "127.0.0.1", port }, TypeError, "the port is");
  for (const port of [-1, 65536, 1.5, NaN, Infinity, 2 ** 32 + 80]) {
    refused("inet", { hostname: "127.0.0.1", port }, RangeError, "it must be a whole number from 0 to 65535");
  }
  for (const flowInfo of [-1, 2 ** 28, 0.5, NaN]) {
    refused("inet6", { hostname: "::1", flowInfo }, RangeError, "it must be a whole number from 0 to 268435455");
  }
  refused("inet6", { hostname: "::1", flowInfo: null }, TypeError, "flowInfo is null");
  assertEquals(encoded("inet6", { hostname: "::1", flowInfo: 2 ** 28 - 1 }).slice(4, 8), hex("0fffffff"));
  // What would be ignored is refused.
  for (const family of ["inet", "inet6"] as const) {
    refused(family, { hostname: "127.0.0.1", flowInfo: 1 }, TypeError, "must be absent or 0 beside an IPv4 address");
    assertEquals(encoded(family, { hostname: "127.0.0.1", flowInfo: 0 }), encoded(family, { hostname: "127.0.0.1" }));
  }
});

test("encodeAddress takes a zone by number, on addresses whose zone the kernel looks at", {}, () => {
  const scope = (hostname: string) => encoded("inet6", { hostname }).slice(24).toHex();
  for (const address of ["fe80::1", "febf:ffff::", "ff02::1", "ff12::1", "ff01::1", "fff1::"]) {
    assertEquals(scope(`${address}%1`), "01000000");
    assertEquals(scope(`${address}%258`), "02010000");
    assertEquals(scope(`${address}%4294967295`), "ffffffff");
    for (const zone of ["0", "01", "00", "4294967296", "99999999999999999999", "127.0.0.1", "::1", "fe80::1"]) {
      refused("inet6", { hostname: `${address}%${zone}` }, SyntaxError, "its zone must be the name or the index");
    }
  }
  for (const address of ["::1", "::", "2001:db8::1", "fec0::1", "fc00::1", "::ffff:1.2.3.4"]) {
    refused("inet6", { hostname: `${address}%1` }, TypeError, "it must be without a zone");
  }
  for (const group of ["ff05::1", "ff0e::1", "ff03::1", "ff00::"]) {
    refused("inet6", { hostname: `${group}%1` }, TypeError, "IPV6_MULTICAST_IF chooses the interface of other groups");
  }
});

test("encodeAddress takes a zone by name", { ffi: true, linux: true }, () => {
  // Loopback is the first interface of every Linux machine.
  const named = encoded("inet6", { hostname: "fe80::1%lo", port: 80, flowInfo: 3 });
  assertEquals(named, hex("0a00 0050 00000003 fe800000000000000000000000000001 01000000"));
  refused("inet6", { hostname: "fe80::1%nosuch" }, Deno.errors.NotFound, 'there is no interface "nosuch"; there are: ');
  refused("inet6", { hostname: "fe80::1%a-name-too-long-for-one" }, RangeError, "it must have at most 15");
  refused("inet6", { hostname: "fe80::1%lo\0" }, RangeError, "has a NUL, it must have none");
  refused("inet6", { hostname: "fe80::1%lo " }, Deno.errors.NotFound, "there is no interface");
  refused("inet6", { hostname: "::1%lo" }, TypeError, "it must be without a zone");
});

test("encodeAddress writes a path with its NUL, an abstract name without", {}, () => {
  for (const os of SYSTEMS) {
    for (const path of ["a", "/run/ü.socket", "./@a", " "]) {
      assertEquals(encoded("unix", { path }, os), unix(os, utf8.encode(`${path}\0`)));
    }
    assertEquals(encoded("unix", { path: "ignored", bytes: hex("2fff") }, os), unix(os, hex("2fff00")));
    assertEquals(encoded("unix", { bytes: hex("2fff") }, os), unix(os, hex("2fff00")));
  }
  for (const name of ["\0", "\0a", "\0a\0b\0", "\0ü"]) {
    assertEquals(encoded("unix", { path: name }), unix("linux", utf8.encode(name)));
    assertEquals(encoded("unix", { bytes: utf8.encode(name) }), unix("linux", utf8.encode(name)));
  }
  assertEquals(encoded("unix", { path: "" }), hex("0100"));
  assertEquals(encoded("unix", { path: "ignored", bytes: new Uint8Array() }), hex("0100"));
  for (const os of ["darwin", "windows"] as const) {
    refused("unix", { path: "\0a" }, Deno.errors.NotSupported, "an abstract name is Linux's alone", os);
    refused("unix", { path: "" }, Deno.errors.NotSupported, "choosing a name is Linux's alone", os);
  }
});

test("encodeAddress takes paths as long as they fit: 108 bytes on Linux, 107 on Windows, 103 on macOS", {}, () => {
  for (const [os, most] of [["linux", 108], ["windows", 107], ["darwin", 103]] as const) {
    const size = os === "darwin" ? 106 : 110;
    for (const length of [most - 1, most]) {
      const path = "x".repeat(length);
      const bytes = encoded("unix", { path }, os);
      assertEquals(bytes.length, Math.min(length + 3, size));
      assertEquals(new TextDecoder().decode(bytes.subarray(2)).replace("\0", ""), path);
      if (os === "darwin") assertEquals(bytes[0], bytes.length);
    }
    refused(
      "unix",
      { path: "x".repeat(most + 1) },
      RangeError,
      `has ${most + 1} bytes, it must have at most ${most}`,
      os,
    );
    // Bytes count, not letters.
    refused("unix", { path: "ü".repeat(most - 1) }, RangeError, `has ${2 * most - 2} bytes`, os);
  }
  const full = `\0${"x".repeat(107)}`;
  assertEquals(encoded("unix", { path: full }), unix("linux", utf8.encode(full)));
  refused("unix", { path: `${full}x` }, RangeError, "the abstract name has 109 bytes, it must have at most 108");
});

test("encodeAddress refuses a NUL within a path, half a letter, and bytes that are gone", {}, () => {
  for (const path of ["a\0", "/a\0b", "a\0\0"]) refused("unix", { path }, TypeError, "the path has a NUL in it");
  refused("unix", { bytes: hex("6100") }, TypeError, "the path has a NUL in it");
  for (const path of ["\ud800", "/a\udc00b"]) refused("unix", { path }, TypeError, "it must be well-formed");
  const gone = utf8.encode("/run/a");
  gone.buffer.transfer();
  refused("unix", { path: "/a", bytes: gone }, TypeError, "the bytes of the path are detached");
  for (const bytes of [null, "/a", [47], new ArrayBuffer(2), new DataView(new ArrayBuffer(2))]) {
    refused("unix", { path: "/a", bytes }, TypeError, "they must be a Uint8Array");
  }
  for (const path of [undefined, null, 1, new URL("file:///a")]) refused("unix", { path }, TypeError, "the path is");
});

test("encodeAddress copies the bytes of a path, of any memory and any part of it", {}, () => {
  const shared = new Uint8Array(new SharedArrayBuffer(8));
  const resizable = new Uint8Array(new ArrayBuffer(8, { maxByteLength: 16 }));
  const plain = new Uint8Array(8);
  for (const memory of [shared, resizable, plain]) {
    memory.set(utf8.encode("xx/aybcz"));
    const bytes = encoded("unix", { bytes: memory.subarray(2, 4) });
    memory.fill(0);
    assertEquals(bytes, hex("0100 2f61 00"));
  }
});

/** An address as somebody may write it, right or wrong. */
function someAddress(below: (n: number) => number): Record<string, unknown> {
  const pick = <T>(of: readonly T[]): T => of[below(of.length)]!;
  const letter = () => pick(["a", "/", ".", "ü", "\0", "%", "\ud800", "\ufffd", "x".repeat(20), "x".repeat(50)]);
  const words = (most: number) => Array.from({ length: below(most) }, letter).join("");
  const address: Record<string, unknown> = {};
  if (below(3) === 0) {
    address.path = pick(["", "\0", "/"]) + words(12);
    if (below(4) === 0) address.bytes = Uint8Array.from({ length: below(112) }, () => below(8) === 0 ? 0 : below(256));
  } else {
    address.hostname = below(8) === 0 ? words(6) : someText(below);
    if (below(3) === 0) {
      address.hostname = `fe80::${below(65536).toString(16)}%${pick(["1", "7", "4294967295", "0", "x9"])}`;
    }
    if (below(2) === 0) address.port = pick([0, 80, 65535, 65536, -1, NaN, "80"]);
    if (below(8) === 0) address.flowInfo = pick([0, 1, 0xfffff, 0xfffffff, 2 ** 28, -1]);
  }
  if (below(16) === 0) address[pick(["family", "transport", "hostname", "path"])] = pick(["inet", "tcp", "", null, {}]);
  return address;
}

test(`encodeAddress gives of ${FEWER} addresses bytes that read back the same, or a clear error`, {
  ffi: true,
  linux: true,
}, () => {
  const below = random(4);
  const errors = new Set<unknown>([SyntaxError, TypeError, RangeError, Deno.errors.NotFound, Deno.errors.NotSupported]);
  let good = 0;
  for (let i = 0; i < FEWER; i++) {
    const address = someAddress(below);
    const family = "path" in address ? "unix" : below(2) === 0 ? "inet" : "inet6";
    const os = below(4) === 0 ? "darwin" : "linux";
    let bytes: Bytes;
    try {
      bytes = encodeAddress(family, address, "Cannot bind", os);
    } catch (error) {
      if (!errors.has((error as Error).constructor) || !(error as Error).message.startsWith("Cannot bind: ")) {
        throw error;
      }
      continue;
    }
    good++;
    const back = readSockaddr(bytes, os);
    const again = encodeAddress(family, back, "Cannot bind", os);
    if (again.toHex() !== bytes.toHex()) assertEquals(again.toHex(), bytes.toHex(), Deno.inspect(address));
    if (back.family !== family) assertEquals(back.family, family, Deno.inspect(address));
    if ("path" in back && !("bytes" in address)) assertEquals(back.path, address.path as string);
    if ("port" in back) assertEquals(back.port, address.port ?? 0);
  }
  assert(good > FEWER / 5, `${good} of ${FEWER} were addresses`);
});

/** An address of the families that are neither IP nor unix, right or wrong, and the protocol of its socket. */
function someOther(
  below: (n: number) => number,
): [family: "packet" | "vsock" | "netlink" | "bluetooth", address: Record<string, unknown>, own: number] {
  const pick = <T>(of: readonly T[]): T => of[below(of.length)]!;
  const wrong = () => below(12) === 0;
  const number = (most: number) => wrong() ? pick([-1, -2, most + 1, NaN, 0.5, "1", null, undefined]) : below(most + 1);
  const hardware = (length: number) =>
    Array.from({ length: wrong() ? below(40) : length }, () => below(256).toString(16).padStart(wrong() ? 1 : 2, "0"))
      .join(pick([":", ":", ":", ":", "-"]));
  const some = (address: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(address).filter(([name]) => name === "protocol" || below(6) !== 0));
  const family = pick(["packet", "vsock", "netlink", "bluetooth"] as const);
  if (family === "vsock") return [family, some({ cid: number(2 ** 32 - 1), port: number(2 ** 32 - 1) }), 0];
  if (family === "netlink") return [family, some({ pid: number(2 ** 32 - 1), groups: number(2 ** 32 - 1) }), 0];
  if (family === "packet") {
    const packetType = pick(["host", "broadcast", "multicast", "otherHost", "outgoing", "loopback"]);
    const index = number(2 ** 31 - 1);
    // Text would be the name of an interface.
    const address = {
      interface: index === "1" ? {} : index,
      protocol: number(65535),
      address: hardware(6),
      packetType,
    };
    return [family, some(address), below(65536)];
  }
  const own = below(4);
  const protocol = wrong() ? pick(["l2cap", "", 1]) : ["l2cap", "hci", "sco", "rfcomm"][own]!;
  const all: Record<string, unknown> = {
    protocol,
    ...(own === 1 && !wrong() ? {} : { address: hardware(6) }),
    ...(own === 2 && !wrong() ? {} : { channel: number(own === 3 ? 255 : 65535) }),
    ...(own === 0 || wrong() ? { addressType: pick(["bredr", "lePublic", "leRandom", "le"]), cid: number(65535) } : {}),
    ...(own === 1 || wrong() ? { hciChannel: number(65535) } : {}),
  };
  return [family, some(all), own];
}

test(
  `encodeAddress gives of ${FEWER} packet, vsock, netlink and Bluetooth addresses bytes that say the same, or an error`,
  {},
  () => {
    const below = random(6);
    let good = 0;
    for (let i = 0; i < FEWER; i++) {
      const [family, address, own] = someOther(below);
      let bytes: Bytes;
      try {
        bytes = encodeAddress(family, address, "Cannot bind", "linux", own);
      } catch (error) {
        const { constructor, message } = error as Error;
        if (
          ![TypeError, RangeError, SyntaxError].includes(constructor as never) || !message.startsWith("Cannot bind: ")
        ) {
          throw error;
        }
        continue;
      }
      good++;
      const back = readSockaddr(bytes, "linux");
      const again = encodeAddress(family, back, "Cannot bind", "linux", own);
      if (again.toHex() !== bytes.toHex()) assertEquals(again.toHex(), bytes.toHex(), Deno.inspect(address));
      for (const [field, value] of Object.entries(address)) {
        // Absent is what they read as when they say nothing.
        const said = (back as unknown as Record<string, unknown>)[field] ?? (field === "addressType" ? "bredr" : 0);
        const same = typeof value === "string" ? value.toLowerCase() === String(said).toLowerCase() : said === value;
        const any = (family === "vsock" && value === 2 ** 32 - 1) || value === undefined;
        if (!same && !any) assertEquals(said, value, Deno.inspect({ address, back }));
      }
    }
    assert(good > FEWER / 5, `${good} of ${FEWER} were addresses`);
  },
);

test(`encodeAddress writes again ${FEWER} addresses that the kernel could give`, {}, () => {
  const below = random(5);
  for (let i = 0; i < FEWER; i++) {
    const os = SYSTEMS[below(3)]!;
    const bytes = new Uint8Array(28);
    const ip = someIp(below);
    const zoned = ip.length === 16 && below(4) === 0;
    if (zoned) ip.set(below(2) === 0 ? [0xfe, 0x80] : [0xff, 0x02]);
    const scope = zoned ? below(2 ** 32) : 0;
    const flow = below(4) === 0 ? below(2 ** 28) : 0;
    const length = writeInet(bytes, 0, os, ip, below(65536), scope, ip.length === 16 && !isMapped(ip) ? flow : 0);
    const given = bytes.slice(0, length);
    const address = readSockaddr(given, os);
    const back = encodeAddress(address.family as "inet", address, "Cannot send", os);
    if (back.toHex() !== given.toHex()) assertEquals(back.toHex(), given.toHex(), Deno.inspect(address));
  }
});
