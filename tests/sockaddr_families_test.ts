// Addresses of packet, vsock, netlink and Bluetooth sockets: bytes written by hand, both ways, and what is refused.
// Where the fields lie, against the headers: headers_test.ts. What the kernel makes of them: socket/packet_test.ts and its like.
import { assertEquals, assertThrows } from "@std/assert";
import { encodeAddress, isUnbound, readSockaddr, showAddress } from "../internal/sockaddr.ts";
import type { LinkAddress } from "../internal/sockaddr_families.ts";
import { test } from "./needs.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Family = "packet" | "vsock" | "netlink" | "bluetooth";

const L2CAP = 0, HCI = 1, SCO = 2, RFCOMM = 3;

function hex(text: string): Bytes {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}

/** Addresses, the protocol of their socket, their bytes, and how messages show them. */
const SAMPLES: readonly (readonly [address: LinkAddress, own: number, bytes: string, shown: string])[] = [
  [
    { family: "packet", interface: 258, protocol: 0x86dd, address: "02:00:5e:10:00:ff", packetType: "otherHost" },
    0,
    "1100 86dd 02010000 0000 03 06 02005e1000ff 0000",
    "interface 258 0x86dd 02:00:5e:10:00:ff",
  ],
  [
    { family: "packet", interface: 0, protocol: 3, packetType: "host" },
    0,
    "1100 0003 00000000 0000 00 00 0000000000000000",
    "interface 0 0x0003",
  ],
  [
    {
      family: "packet",
      interface: 1,
      protocol: 0x0806,
      address: "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13",
      packetType: "outgoing",
    },
    0,
    "1100 0806 01000000 0000 04 14 000102030405060708090a0b0c0d0e0f10111213",
    "interface 1 0x0806 00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13",
  ],
  [{ family: "vsock", cid: 3, port: 258 }, 0, "2800 0000 02010000 03000000 00000000", "3:258"],
  [{ family: "vsock", cid: -1, port: -1 }, 0, "2800 0000 ffffffff ffffffff 00000000", "any:any"],
  [{ family: "vsock", cid: 0xfffffffe, port: 0 }, 0, "2800 0000 00000000 feffffff 00000000", "4294967294:0"],
  [{ family: "netlink", pid: 0 }, 0, "1000 0000 00000000 00000000", "pid 0"],
  [
    { family: "netlink", pid: 4294963200, groups: 0x80000011 },
    0,
    "1000 0000 00f0ffff 11000080",
    "pid 4294963200 groups 0x80000011",
  ],
  [
    { family: "bluetooth", protocol: "l2cap", address: "00:1A:7D:DA:71:13", channel: 0x1001 },
    L2CAP,
    "1f00 0110 1371da7d1a00 0000 00 00",
    "l2cap 00:1A:7D:DA:71:13 4097",
  ],
  [
    {
      family: "bluetooth",
      protocol: "l2cap",
      address: "00:1A:7D:DA:71:13",
      channel: 0,
      addressType: "leRandom",
      cid: 4,
    },
    L2CAP,
    "1f00 0000 1371da7d1a00 0400 02 00",
    "l2cap 00:1A:7D:DA:71:13 0",
  ],
  [
    { family: "bluetooth", protocol: "rfcomm", address: "FF:00:00:00:00:01", channel: 30 },
    RFCOMM,
    "1f00 0100000000ff 1e 00",
    "rfcomm FF:00:00:00:00:01 30",
  ],
  [{ family: "bluetooth", protocol: "hci", channel: 0xffff, hciChannel: 3 }, HCI, "1f00 ffff 0300", "hci 65535"],
  [{ family: "bluetooth", protocol: "hci", channel: 0 }, HCI, "1f00 0000 0000", "hci 0"],
  [
    { family: "bluetooth", protocol: "sco", address: "00:1A:7D:DA:71:13" },
    SCO,
    "1f00 1371da7d1a00",
    "sco 00:1A:7D:DA:71:13",
  ],
];

test("packet, vsock, netlink and Bluetooth addresses become bytes and back", {}, () => {
  for (const [address, own, bytes, shown] of SAMPLES) {
    const { family, ...untagged } = address;
    assertEquals(encodeAddress(family, address, "Cannot bind", "linux", own), hex(bytes));
    assertEquals(encodeAddress(family, untagged, "Cannot bind", "linux", own), hex(bytes));
    assertEquals(readSockaddr(hex(bytes), "linux"), address);
    assertEquals(showAddress(readSockaddr(hex(bytes), "linux")), shown);
    // A byte less is no address any more; a packet address may end after its hardware address.
    const cut = hex(bytes).slice(0, family === "packet" ? 11 : -1);
    assertEquals(readSockaddr(cut, "linux"), { family: hex(bytes)[0]!, bytes: cut });
  }
});

test("what an address leaves out has a default", {}, () => {
  const encoded = (family: Family, address: unknown, own = 0) =>
    encodeAddress(family, address, "Cannot bind", "linux", own).toHex();
  const same = (family: Family, address: object, whole: object, own = 0) =>
    assertEquals(encoded(family, address, own), encoded(family, whole, own));
  same("packet", { interface: 1 }, { interface: 1, protocol: 0x0806, packetType: "host" }, 0x0806);
  same("vsock", { cid: 2 }, { cid: 0x2, port: -1 });
  same("vsock", { cid: 0xffffffff, port: 0xffffffff }, { cid: -1, port: -1 });
  same("vsock", { transport: "vsock", cid: 1, port: 2 }, { cid: 1, port: 2 });
  same("netlink", { pid: 1 }, { pid: 1, groups: 0 });
  const any = "00:00:00:00:00:00";
  same(
    "bluetooth",
    { protocol: "l2cap" },
    { protocol: "l2cap", address: any, channel: 0, addressType: "bredr" },
    L2CAP,
  );
  same("bluetooth", { protocol: "rfcomm" }, { protocol: "rfcomm", address: any, channel: 0 }, RFCOMM);
  same("bluetooth", { protocol: "hci" }, { protocol: "hci", channel: 0, hciChannel: 0 }, HCI);
  same("bluetooth", { protocol: "sco", address: "00:1a:7d:da:71:13" }, {
    protocol: "sco",
    address: "00:1A:7D:DA:71:13",
  }, SCO);
});

test("a vsock address is macOS's too, with its length before it; the other families are Linux's", {}, () => {
  const bytes = hex("0c28 0000 02010000 03000000");
  assertEquals(encodeAddress("vsock", { cid: 3, port: 258 }, "Cannot bind", "darwin"), bytes);
  assertEquals(readSockaddr(bytes, "darwin"), { family: "vsock", cid: 3, port: 258 });
  for (const os of ["darwin", "windows"] as const) {
    for (const [address] of SAMPLES) {
      if (address.family === "vsock" && os === "darwin") continue;
      assertThrows(
        () => encodeAddress(address.family, address, "Cannot bind", os),
        Deno.errors.NotSupported,
        "Cannot bind: ",
      );
    }
  }
});

test("wrong addresses of these families are refused with a reason", {}, () => {
  const refused: readonly (readonly [Family, unknown, number, new (...args: never[]) => Error, string])[] = [
    ["packet", undefined, 0, TypeError, 'it must be an object such as { interface: "eth0", protocol: 0x0800 }'],
    ["packet", {}, 0, TypeError, "the interface is undefined, it must be a name"],
    ["packet", { interface: -1 }, 0, RangeError, "the interface is -1"],
    ["packet", { interface: 1.5 }, 0, RangeError, "the interface is 1.5"],
    ["packet", { interface: {} }, 0, TypeError, "it must be a name, an index or an address"],
    ["packet", { interface: "" }, 0, RangeError, "it must be a name, an index or an address"],
    ["packet", { interface: 1, protocol: 0x10000 }, 0, RangeError, "the protocol is 65536"],
    ["packet", { interface: 1, protocol: "ip" }, 0, TypeError, 'the protocol is "ip"'],
    ["packet", { interface: 1, address: "02:00" + ":00".repeat(31) }, 0, SyntaxError, "of 1 to 32 bytes"],
    ["packet", { interface: 1, address: "2:0:0:0:0:0" }, 0, SyntaxError, "it must be a hardware address such as"],
    ["packet", { interface: 1, address: "" }, 0, SyntaxError, "it must be a hardware address such as"],
    ["packet", { interface: 1, packetType: "toString" }, 0, TypeError, "it must be one of host, broadcast"],
    ["packet", { interface: 1, transport: "udp" }, 0, TypeError, 'is "udp", it must be absent'],
    ["packet", { family: "inet", interface: 1 }, 0, TypeError, 'it must be that of the socket, "packet"'],
    ["vsock", {}, 0, TypeError, "the cid is undefined, it must be a whole number from -1 to 4294967295"],
    ["vsock", { cid: -2 }, 0, RangeError, "the cid is -2"],
    ["vsock", { cid: 1, port: 2 ** 32 }, 0, RangeError, "the port is 4294967296"],
    ["vsock", { cid: 1, port: "1" }, 0, TypeError, 'the port is "1"'],
    ["vsock", { transport: "tcp", cid: 1, port: 1 }, 0, TypeError, 'is "tcp", it must be "vsock"'],
    ["netlink", {}, 0, TypeError, "the pid is undefined"],
    ["netlink", { pid: -1 }, 0, RangeError, "the pid is -1"],
    ["netlink", { pid: 0, groups: 2 ** 32 }, 0, RangeError, "groups is 4294967296"],
    ["bluetooth", {}, L2CAP, TypeError, 'the protocol of the address is undefined, it must be one of "l2cap"'],
    ["bluetooth", { protocol: "toString" }, L2CAP, TypeError, "it must be one of"],
    ["bluetooth", { protocol: "rfcomm" }, L2CAP, TypeError, 'is "rfcomm", it must be that of the socket'],
    ["bluetooth", { protocol: "l2cap", address: "00:1A:7D:DA:71" }, L2CAP, SyntaxError, "of 6 bytes"],
    ["bluetooth", { protocol: "l2cap", channel: 65536 }, L2CAP, RangeError, "the channel is 65536"],
    [
      "bluetooth",
      { protocol: "l2cap", addressType: "le" },
      L2CAP,
      TypeError,
      "must be one of bredr, lePublic, leRandom",
    ],
    ["bluetooth", { protocol: "l2cap", hciChannel: 1 }, L2CAP, TypeError, "hciChannel is 1, it must be absent"],
    ["bluetooth", { protocol: "rfcomm", channel: 256 }, RFCOMM, RangeError, "the channel is 256"],
    ["bluetooth", { protocol: "rfcomm", cid: 1 }, RFCOMM, TypeError, "cid is 1, it must be absent"],
    ["bluetooth", { protocol: "hci", address: "00:1A:7D:DA:71:13" }, HCI, TypeError, 'absent in an address of "hci"'],
    ["bluetooth", { protocol: "sco", channel: 1 }, SCO, TypeError, 'absent in an address of "sco"'],
  ];
  for (const [family, address, own, errorClass, message] of refused) {
    const error = assertThrows(() => encodeAddress(family, address, "Cannot bind", "linux", own), errorClass, message);
    assertEquals(error.message.startsWith("Cannot bind: "), true, error.message);
  }
});

test("a packet address names its interface in any way", { ffi: true, linux: true }, () => {
  const wanted = encodeAddress("packet", { interface: 1, protocol: 3 }, "Cannot bind", "linux");
  for (const selector of ["lo", "127.0.0.1"]) {
    assertEquals(encodeAddress("packet", { interface: selector, protocol: 3 }, "Cannot bind", "linux"), wanted);
  }
  assertThrows(
    () => encodeAddress("packet", { interface: "nosuch0" }, "Cannot bind", "linux"),
    Deno.errors.NotFound,
    'Cannot bind: there is no interface "nosuch0"; there are: lo (1)',
  );
});

test("isUnbound() knows an own address that is none", {}, () => {
  const unbound = [
    [{ family: "inet", hostname: "127.0.0.1", port: 0 }, false],
    [{ family: "inet6", hostname: "::", port: 58 }, true],
    [{ family: "inet", hostname: "0.0.0.0", port: 1 }, true],
    [{ family: "unix", path: "" }, false],
    [{ family: "packet", interface: 0, protocol: 0 }, false],
    [{ family: "vsock", cid: -1, port: -1 }, false],
    [{ family: "netlink", pid: 0 }, false],
  ] as const;
  for (const [address, raw] of unbound) assertEquals(isUnbound(address, raw), true, address.family);
  const bound = [
    [{ family: "inet", hostname: "0.0.0.0", port: 1 }, false],
    [{ family: "inet", hostname: "127.0.0.1", port: 1 }, true],
    [{ family: "unix", path: "\0a" }, false],
    [{ family: "packet", interface: 0, protocol: 3 }, false],
    [{ family: "packet", interface: 1, protocol: 0 }, false],
    [{ family: "vsock", cid: -1, port: 0 }, false],
    [{ family: "netlink", pid: 1 }, false],
    [{ family: "bluetooth", protocol: "hci", channel: 0 }, false],
    [{ family: 29, bytes: new Uint8Array() }, false],
  ] as const;
  for (const [address, raw] of bound) assertEquals(isUnbound(address, raw), false, String(address.family));
});
