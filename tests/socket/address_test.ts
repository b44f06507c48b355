// Addresses: the public functions, the public types, and what the kernel and python3 make of the bytes.
// Every byte of them, for every system, and the fuzzing: tests/sockaddr_test.ts. Host names: resolve_test.ts.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { networkInterfaces } from "../../multicast/mod.ts";
import { encodeAddress, readSockaddr } from "../../internal/sockaddr.ts";
import { type AddressInput, formatIpAddress, parseIpAddress, type SocketAddress } from "../../socket/address.ts";
import { test } from "../needs.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_IPV6,
  RAW,
  RawSocket,
  refusal,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../raw_socket.ts";
import { start } from "../udp/other_program.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const utf8 = new TextEncoder();

// ---- parseIpAddress and formatIpAddress ----

test("parseIpAddress() gives 4 or 16 bytes in network order", {}, () => {
  assertEquals(parseIpAddress("192.0.2.1"), Uint8Array.of(192, 0, 2, 1));
  assertEquals(parseIpAddress("::ffff:192.0.2.1").toHex(), "00000000000000000000ffffc0000201");
  assertEquals(parseIpAddress("FE80::A").toHex(), "fe80000000000000000000000000000a");
});

test("parseIpAddress() gives a new array each time", {}, () => {
  const first = parseIpAddress("192.0.2.1");
  const second = parseIpAddress("192.0.2.2");
  assertEquals(first, Uint8Array.of(192, 0, 2, 1));
  first.fill(0);
  assertEquals(second, Uint8Array.of(192, 0, 2, 2));
  assertEquals(parseIpAddress("192.0.2.1"), Uint8Array.of(192, 0, 2, 1));
});

test("parseIpAddress() throws a SyntaxError for what is no address", {}, () => {
  for (
    const text of ["", "localhost", "127.1", "127.0.0.01", "0x7f.0.0.1", "1.2.3.4 ", "[::1]", "::1/128", "1::2::3"]
  ) {
    assertThrows(() => parseIpAddress(text), SyntaxError, `it is ${JSON.stringify(text)}, it must be a literal IPv4`);
  }
  assertThrows(() => parseIpAddress("fe80::1%lo"), SyntaxError, "IPv6 address without a zone");
  for (const value of [undefined, null, 1, {}, new Uint8Array(4)]) {
    assertThrows(() => parseIpAddress(value as string), TypeError, "it must be text");
  }
});

test("formatIpAddress() writes 4 or 16 bytes, and nothing else", {}, () => {
  assertEquals(formatIpAddress(Uint8Array.of(192, 0, 2, 1)), "192.0.2.1");
  assertEquals(formatIpAddress(new Uint8Array(16)), "::");
  assertEquals(formatIpAddress(parseIpAddress("2001:0DB8::0:1")), "2001:db8::1");
  assertEquals(formatIpAddress(new Uint8Array(8).subarray(2, 6)), "0.0.0.0");
  for (const length of [0, 3, 5, 15, 17]) assertThrows(() => formatIpAddress(new Uint8Array(length)), RangeError);
  for (const value of [undefined, null, "1234", [1, 2, 3, 4], new ArrayBuffer(4), new Uint16Array(4)]) {
    assertThrows(() => formatIpAddress(value as unknown as Uint8Array), TypeError, "it must be a Uint8Array");
  }
});

// ---- The types ----

test("AddressInput takes addresses with and without tag and port, those of Deno, and what is received", {}, () => {
  const inet = (address: AddressInput<"inet" | "inet6">) => address;
  const unix = (address: AddressInput<"unix">) => address;
  const any = (address: AddressInput) => address;
  const net: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: 1 };
  const local: Deno.UnixAddr = { transport: "unix", path: "/a" };
  const received: SocketAddress<"inet6"> = { family: "inet6", hostname: "::1", port: 1, flowInfo: 1 };
  assertEquals([inet({ hostname: "::1" }), inet(net), inet(received), any(received), any(net)].length, 5);
  assertEquals([unix({ path: "" }), unix(local), unix({ path: "", bytes: new Uint8Array(1) }), any(local)].length, 4);
  // @ts-expect-error A unix socket has no hostname.
  assertEquals(unix({ hostname: "::1" }), { hostname: "::1" });
  // @ts-expect-error The family is not that of the socket.
  assertEquals(inet({ family: "unix", hostname: "::1" }).family, "unix");
});

// ---- In the kernel ----

function encoded(family: "inet" | "inet6" | "unix", address: unknown): Bytes {
  return encodeAddress(family, address, "Cannot bind", "linux");
}

/** Binds a socket to an address and tells what the kernel says of it. */
function bound(family: "inet" | "inet6" | "unix", address: unknown, type = SOCK_DGRAM): unknown {
  using socket = RawSocket.open({ inet: AF_INET, inet6: AF_INET6, unix: AF_UNIX }[family], type);
  socket.bind(encoded(family, address));
  return readSockaddr(socket.localAddress, "linux");
}

/** A port that nobody has. */
function freePort(): number {
  using socket = RawSocket.open(AF_INET6, SOCK_DGRAM).bind(encoded("inet6", { hostname: "::" }));
  return socket.localPort;
}

test("an IPv4 or IPv6 address binds, and getsockname gives it back", RAW, () => {
  const port = freePort();
  for (
    const [family, hostname] of [["inet", "127.0.0.1"], ["inet", "0.0.0.0"], ["inet6", "::1"], ["inet6", "::"]] as const
  ) {
    assertEquals(bound(family, { hostname, port }), { family, hostname, port });
  }
  assertEquals(bound("inet6", { hostname: "127.0.0.1", port }), {
    family: "inet6",
    hostname: "::ffff:127.0.0.1",
    port,
  });
});

test("a zone by name or number binds, and comes back as a number", RAW, () => {
  const port = freePort();
  const wanted = { family: "inet6", hostname: "ff02::4242%1", port };
  assertEquals(bound("inet6", { hostname: "ff02::4242%lo", port }), wanted);
  assertEquals(bound("inet6", { hostname: "ff02::4242%1", port }), wanted);
  // Numbers go to the kernel as they are, and it knows which there are.
  assertEquals(refusal(() => bound("inet6", { hostname: "ff02::4242%99999" })), "ENODEV");
  assertEquals(refusal(() => bound("inet6", { hostname: "ff02::4242" })), "EINVAL");
});

test("a link-local address of this machine binds with its zone", RAW, () => {
  for (const { name, index, up, addresses } of networkInterfaces()) {
    const own = addresses.find(({ hostname }) => hostname.startsWith("fe80:"));
    if (!up || own === undefined) continue;
    assert(own.hostname.endsWith(`%${index}`));
    const port = freePort();
    const wanted = { family: "inet6", hostname: own.hostname, port };
    assertEquals(bound("inet6", { hostname: own.hostname, port }), wanted);
    assertEquals(bound("inet6", { hostname: own.hostname.replace(/%.*/, `%${name}`), port }), wanted);
  }
});

test("the kernel ignores a zone after other addresses, so that encodeAddress refuses it", RAW, () => {
  for (const hostname of ["::1", "::", "ff05::1"]) {
    using socket = RawSocket.open(AF_INET6, SOCK_DGRAM);
    const bytes = encoded("inet6", { hostname });
    bytes.set([99, 0x42], 24);
    socket.bind(bytes);
    assertEquals(readSockaddr(socket.localAddress, "linux"), { family: "inet6", hostname, port: socket.localPort });
  }
});

test("flowInfo reaches the kernel once IPV6_FLOWINFO_SEND is on, 28 bits of it", RAW, () => {
  const IPV6_FLOWINFO_SEND = 33;
  for (const flowInfo of [1, 0xfffff, 0x100000, 0xfffffff]) {
    using socket = RawSocket.open(AF_INET6, SOCK_DGRAM);
    socket.set(IPPROTO_IPV6, IPV6_FLOWINFO_SEND, 1);
    const address = { family: "inet6" as const, hostname: "::1", port: 9, flowInfo };
    socket.connect(encoded("inet6", address));
    assertEquals(readSockaddr(socket.peerAddress, "linux"), address);
  }
  // The four bits above are the version's; the kernel drops them, encodeAddress refuses them.
  using socket = RawSocket.open(AF_INET6, SOCK_DGRAM);
  socket.set(IPPROTO_IPV6, IPV6_FLOWINFO_SEND, 1);
  const bytes = encoded("inet6", { hostname: "::1", port: 9, flowInfo: 0xfffffff });
  bytes[4] = 0xff;
  socket.connect(bytes);
  const seen = readSockaddr(socket.peerAddress, "linux");
  assert("flowInfo" in seen && seen.flowInfo === 0xfffffff);
});

test("abstract names of every length bind, NULs and all bytes in them, and come back", RAW, () => {
  const unique = crypto.randomUUID();
  for (let length = unique.length; length <= 107; length++) {
    const path = `\0${unique.padEnd(length, "\0x")}`;
    assertEquals(bound("unix", { path }), { family: "unix", path });
  }
  const bytes = utf8.encode(`\0${unique}`);
  bytes.set([0xff, 0, 0xc3], 5);
  const address = bound("unix", { bytes }, SOCK_SEQPACKET) as SocketAddress<"unix">;
  assertEquals(address.bytes, bytes);
  assertEquals(address.path.at(5), "\ufffd");
});

test("the empty path lets the kernel choose", RAW, () => {
  for (const type of [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET]) {
    const { path } = bound("unix", { path: "" }, type) as SocketAddress<"unix">;
    assert(/^\0[0-9a-f]{5}$/.test(path), Deno.inspect(path));
  }
});

test(
  "paths bind up to 108 bytes, which is what Linux takes, and come back",
  { ...RAW, read: true, write: true },
  () => {
    const folder = Deno.makeTempDirSync({ dir: "/tmp", prefix: "s" });
    try {
      for (const length of [folder.length + 2, 91, 106, 107, 108]) {
        const path = `${folder}/`.padEnd(length, "x");
        assertEquals(bound("unix", { path }), { family: "unix", path });
        assert(Deno.lstatSync(path).isSocket);
        // Found again under the same bytes.
        using peer = RawSocket.open(AF_UNIX, SOCK_DGRAM);
        assertEquals(refusal(() => peer.connect(encoded("unix", { path }))), "ECONNREFUSED");
        Deno.removeSync(path);
      }
      const bytes = utf8.encode(`${folder}/ab`);
      bytes[bytes.length - 1] = 0xff;
      assertEquals(bound("unix", { bytes }), { family: "unix", path: `${folder}/a\ufffd`, bytes });
      // Without encodeAddress: one byte more is refused by the kernel too.
      using socket = RawSocket.open(AF_UNIX, SOCK_DGRAM);
      assertEquals(refusal(() => socket.bind(Uint8Array.of(1, 0, ...utf8.encode("/tmp/".padEnd(109, "x"))))), "EINVAL");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
);

// ---- From outside ----

const PEER = `
import json, os, socket, sys
given = json.loads(sys.argv[1])
kinds = {"inet": socket.AF_INET, "inet6": socket.AF_INET6, "unix": socket.AF_UNIX}
for one in given:
    s = socket.socket(kinds[one["family"]], socket.SOCK_DGRAM)
    s.settimeout(5)
    s.bind(bytes.fromhex(one["name"]) if "name" in one else (one["host"], 0, *one.get("rest", [])))
    name = s.getsockname()
    if isinstance(name, str): name = os.fsencode(name)
    print(json.dumps(name.hex() if isinstance(name, bytes) else name[1:]))
    data, sender = s.recvfrom(100)
    if isinstance(sender, str): sender = os.fsencode(sender)
    print(json.dumps([data.decode(), sender.hex() if isinstance(sender, bytes) else sender]))
    s.sendto(b"back", sender)
`;

test("python3 is reached under the addresses that it bound, and answers those that were bound here", {
  ...RAW,
  read: true,
  write: true,
  run: ["python3"],
}, async () => {
  const folder = Deno.makeTempDirSync({ dir: "/tmp", prefix: "s" });
  const unique = crypto.randomUUID();
  const hex = (text: string) => utf8.encode(text).toHex();
  const linkLocal = networkInterfaces().filter(({ up }) => up).flatMap(({ name, index, addresses }) =>
    addresses.map(({ hostname }) => hostname).filter((hostname) => hostname.startsWith("fe80:"))
      .map((hostname) => ({ bare: hostname.replace(/%.*/, ""), name, index }))
  ).slice(0, 1);
  const cases: { peer: Record<string, unknown>; to: Record<string, unknown>; from: Record<string, unknown> }[] = [
    { peer: { family: "inet", host: "127.0.0.1" }, to: { hostname: "127.0.0.1" }, from: { hostname: "127.0.0.2" } },
    { peer: { family: "inet6", host: "::1" }, to: { hostname: "::1" }, from: { hostname: "::1" } },
    ...linkLocal.map(({ bare, name, index }) => ({
      peer: { family: "inet6", host: bare, rest: [0, index] },
      to: { hostname: `${bare}%${name}` },
      from: { hostname: `${bare}%${index}` },
    })),
    ...[
      [`\0${unique}\0in\0ner`, `\0${unique}\0\0other`],
      [`\0${unique}`.padEnd(108, "y"), `\0${unique}`.padEnd(107, "y")],
      [`${folder}/peer`, `${folder}/own`],
      [`${folder}/`.padEnd(107, "z"), `${folder}/`.padEnd(106, "z")],
    ].map(([peer, own]) => ({ peer: { family: "unix", name: hex(peer!) }, to: { path: peer }, from: { path: own } })),
    {
      peer: { family: "unix", name: `${hex(`${folder}/`)}ff` },
      to: { bytes: Uint8Array.of(...utf8.encode(`${folder}/`), 0xff) },
      from: { bytes: Uint8Array.of(...utf8.encode(`${folder}/`), 0xfe) },
    },
  ];
  await using peer = start("python3", ["-u", "-", JSON.stringify(cases.map((one) => one.peer))], PEER);
  try {
    for (const { peer: { family }, to, from } of cases) {
      const kind = family as "inet" | "inet6" | "unix";
      const name: unknown = JSON.parse(await peer.line());
      using socket = RawSocket.open({ inet: AF_INET, inet6: AF_INET6, unix: AF_UNIX }[kind], SOCK_DGRAM);
      socket.bind(encoded(kind, from));
      const port = Array.isArray(name) ? { port: name[0] as number } : {};
      socket.send(`to ${kind}`, encoded(kind, { ...to, ...port }));
      const [data, sender] = JSON.parse(await peer.line());
      assertEquals(data, `to ${kind}`);
      const own = readSockaddr(socket.localAddress, "linux");
      if ("hostname" in own) {
        assertEquals(sender.slice(0, 2), [own.hostname.replace(/%.*/, ""), own.port]);
        assertEquals(sender[3] ?? 0, Number(/%(.*)/.exec(own.hostname)?.[1] ?? 0));
      } else if ("path" in own) {
        assertEquals(sender, (own.bytes ?? utf8.encode(own.path)).toHex());
      }
      assertEquals(new TextDecoder().decode(socket.receive()), "back");
    }
    await peer.rest();
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
