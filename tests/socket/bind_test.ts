// Socket.bind: which address a socket has, who may share it, and the file of a unix socket.
// Names that are no paths, and the types of unix sockets: unix_test.ts.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { constant } from "../../internal/constants.ts";
import { libcIo } from "../../internal/libc_io.ts";
import { IPV6_V6ONLY, SO_REUSEADDR } from "../../options/mod.ts";
import type { AddressInput } from "../../socket/address.ts";
import { Socket } from "../../socket/socket.ts";
import {
  abstract,
  assertFails,
  bytes,
  FFI,
  IPV6,
  LOCAL,
  LOCAL6,
  PATHS,
  PROGRAM,
  PYTHON,
  python,
  runProgram,
  test,
  text,
  udp,
} from "./make.ts";
import { ROOT_PROGRAMS, runAsNobody } from "./packets.ts";

test("bind() to port 0 takes a port that is free, of IPv4 and IPv6", IPV6, () => {
  for (const [family, address] of [["inet", LOCAL], ["inet6", LOCAL6]] as const) {
    for (const type of ["stream", "dgram"] as const) {
      using socket = Socket.open(family, type);
      socket.bind(address);
      const { port, ...rest } = socket.localAddr as { port: number };
      assertEquals(rest as unknown, { family, hostname: address.hostname });
      assert(port > 0);
      using other = Socket.open(family, type);
      other.bind({ hostname: address.hostname });
      assert((other.localAddr as { port: number }).port !== port);
    }
  }
});

test("bind() takes what localAddr and Deno give", FFI, () => {
  using first = udp();
  const address = first.localAddr!;
  first.close();
  using second = Socket.open("inet", "dgram");
  second.bind(address);
  assertEquals(second.localAddr, address);
  using third = Socket.open("inet", "stream");
  third.bind({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
});

test("bind() a second time fails with EINVAL", FFI, async () => {
  using socket = udp();
  const before = socket.localAddr;
  const error = await assertFails(() => socket.bind(LOCAL), "EINVAL", "bind", TypeError);
  assert(error.message.includes("bound already"), error.message);
  assertEquals(socket.localAddr, before);
});

test("bind() to an address in use fails with EADDRINUSE, and names it", FFI, async () => {
  for (const type of ["dgram", "stream"] as const) {
    using first = Socket.open("inet", type);
    first.bind(LOCAL);
    if (type === "stream") first.listen();
    using second = Socket.open("inet", type);
    const error = await assertFails(() => second.bind(first.localAddr!), "EADDRINUSE", "bind", Deno.errors.AddrInUse);
    assert(error.message.includes(`127.0.0.1:${first.localAddr!.port}`), error.message);
    assert(error.message.includes("SO_REUSEADDR"), error.message);
    // The socket is as it was.
    assertEquals(second.localAddr, null);
    second.bind(LOCAL);
  }
});

test("bind() shares a port where SO_REUSEADDR allows it", FFI, () => {
  using first = Socket.open("inet", "dgram");
  SO_REUSEADDR.set(first, true);
  first.bind(LOCAL);
  using second = Socket.open("inet", "dgram");
  SO_REUSEADDR.set(second, true);
  second.bind(first.localAddr!);
  assertEquals(second.localAddr, first.localAddr);
});

test("bind() to an address of another machine fails with EADDRNOTAVAIL", FFI, async () => {
  using socket = Socket.open("inet", "dgram");
  const call = () => socket.bind({ hostname: "192.0.2.1", port: 0 });
  const error = await assertFails(call, "EADDRNOTAVAIL", "bind", Deno.errors.AddrNotAvailable);
  assert(error.message.includes("192.0.2.1"), error.message);
});

test("bind() to a low port works for root and says CAP_NET_BIND_SERVICE to others", PYTHON, async () => {
  // Seen by a process of its own that gives root up; whether low ports are low is a setting of the system.
  const lowest = Number(Deno.readTextFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start"));
  if (lowest < 2 || Deno.uid() === 0) return;
  using socket = Socket.open("inet", "dgram");
  const call = () => socket.bind({ hostname: "127.0.0.1", port: 1 });
  const error = await assertFails(call, "EACCES", "bind", Deno.errors.PermissionDenied);
  assert(error.message.includes("CAP_NET_BIND_SERVICE"), error.message);
});

test("bind() of IPv6 with V6ONLY off takes the IPv4 port as well", IPV6, async () => {
  using dual = Socket.open("inet6", "dgram");
  IPV6_V6ONLY.set(dual, false);
  dual.bind({ hostname: "::", port: 0 });
  const { port } = dual.localAddr!;
  using sender = Socket.open("inet", "dgram");
  await sender.sendTo(bytes("four"), { hostname: "127.0.0.1", port });
  const [data, from] = await dual.receiveFrom();
  assertEquals([text(data), from.hostname], ["four", "::ffff:127.0.0.1"]);
  // What came is where an answer goes.
  await dual.sendTo(bytes("back"), from);
  assertEquals(text(await sender.receive()), "back");
});

test("bind() checks the address before any call", FFI, () => {
  using socket = Socket.open("inet", "dgram");
  const wrong = (address: unknown) => () => socket.bind(address as typeof LOCAL);
  assertThrows(wrong(undefined), TypeError);
  assertThrows(wrong(null), TypeError);
  assertThrows(wrong("127.0.0.1:80"), TypeError);
  assertThrows(wrong({}), TypeError);
  assertThrows(wrong({ hostname: 1, port: 1 }), TypeError);
  assertThrows(wrong({ hostname: "localhost", port: 1 }), SyntaxError);
  assertThrows(wrong({ hostname: "127.0.0.1", port: NaN }), RangeError);
  assertThrows(wrong({ hostname: "127.0.0.1", port: 65_536 }), RangeError);
  assertThrows(wrong({ hostname: "127.0.0.1", port: -1 }), RangeError);
  assertThrows(wrong({ hostname: "127.0.0.1", port: "80" }), TypeError);
  assertThrows(wrong({ hostname: "::1", port: 0 }), TypeError);
  assertThrows(wrong({ path: "/tmp/x" }), TypeError);
  assertThrows(wrong({ hostname: "127.0.0.1", port: 0, transport: "unix" }), TypeError);
  assertEquals(socket.localAddr, null);
});

test("bind() of a unix socket makes a file, which stays when the socket closes", PATHS, async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/socket`;
  const socket = Socket.open("unix", "dgram");
  socket.bind({ path });
  assertEquals(socket.localAddr, { family: "unix", path });
  assert(Deno.lstatSync(path).isSocket);
  socket.close();
  assert(Deno.lstatSync(path).isSocket);
  using next = Socket.open("unix", "dgram");
  const error = await assertFails(() => next.bind({ path }), "EADDRINUSE", "bind", Deno.errors.AddrInUse);
  assert(error.message.includes(path), error.message);
  await assertFails(() => next.bind({ path: `${folder}/no/such` }), "ENOENT", "bind", Deno.errors.NotFound);
  await Deno.remove(folder, { recursive: true });
});

test("bind() gives the file its mode before anyone can connect", PATHS, async () => {
  const folder = await Deno.makeTempDir();
  for (const mode of [0o600, 0o660, 0o777, 0]) {
    using socket = Socket.open("unix", "stream");
    const path = `${folder}/${mode}`;
    socket.bind({ path }, { mode });
    assertEquals(Deno.lstatSync(path).mode! & 0o777, mode);
  }
  using socket = Socket.open("unix", "stream");
  const path = { path: `${folder}/wrong` };
  assertThrows(() => socket.bind(path, { mode: NaN }), RangeError);
  assertThrows(() => socket.bind(path, { mode: 0o10000 }), RangeError);
  assertThrows(() => socket.bind(path, { mode: "600" as unknown as number }), TypeError);
  assertEquals(socket.localAddr, null);
  await Deno.remove(folder, { recursive: true });
});

test("bind() gives the file a mode that the mask of the process forbids, also where the path is no text", {
  ...PATHS,
  sys: true,
  run: ["sh", "stat"],
}, async () => {
  const folder = await Deno.makeTempDir();
  const before = Deno.umask(0o077);
  try {
    for (const mode of [0o600, 0o666, 0o1777]) {
      using socket = Socket.open("unix", "stream");
      const path = `${folder}/${mode}`;
      socket.bind({ path }, { mode, unlinkOnClose: true });
      assertEquals(Deno.lstatSync(path).mode! & 0o7777, mode);
    }
    const [path, full] = ["text", "x".repeat(108 - folder.length - 1)].map((name) => `${folder}/${name}`);
    for (const address of [{ path: full! }, { path: "", bytes: new Uint8Array([...bytes(path!), 0xff]) }]) {
      using socket = Socket.open("unix", "stream");
      socket.bind(address, { mode: 0o606 });
    }
    assertEquals(Deno.lstatSync(full!).mode! & 0o777, 0o606);
    // The library has no text for the other's name, a shell's pattern finds it.
    const { stdout } = await new Deno.Command("sh", { args: ["-c", 'stat -c %a "$1"?', "sh", path!] }).output();
    assertEquals(text(stdout).trim(), "606");
  } finally {
    Deno.umask(before);
    await Deno.remove(folder, { recursive: true });
  }
});

test("unlinkOnClose removes the path once its owner closes it", PATHS, async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/socket`;
  const there = () => {
    try {
      return Deno.lstatSync(path).isSocket;
    } catch {
      return false;
    }
  };
  const socket = Socket.open("unix", "stream");
  socket.bind({ path }, { unlinkOnClose: true });
  const copy = socket.dup();
  copy.close();
  assert(there(), "a duplicate is not the owner");
  socket.close();
  assert(!there(), "the owner removes it");
  // One that is detached goes on, and so does its path.
  const detached = Socket.open("unix", "stream");
  detached.bind({ path }, { unlinkOnClose: true });
  const again = Socket.adopt(detached.detach());
  assert(there());
  again.close();
  assert(there());
  // A bind that fails owns nothing.
  const failing = Socket.open("unix", "stream");
  await assertFails(() => failing.bind({ path }, { unlinkOnClose: true }), "EADDRINUSE", "bind");
  failing.close();
  assert(there(), "the path of another is not removed");
  await Deno.remove(folder, { recursive: true });
});

test("Python reaches a socket that is bound", PYTHON, async () => {
  using socket = udp();
  const { port } = socket.localAddr!;
  const sender = python(
    `import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.sendto(b"from python", ("127.0.0.1", int(sys.argv[1])))
print(s.recvfrom(100)[0].decode())`,
    String(port),
  );
  const [data, from] = await socket.receiveFrom();
  assertEquals(text(data), "from python");
  await socket.sendTo(bytes("and back"), from);
  assertEquals(await sender, "and back");
});

test("bind() takes a mode for unix paths alone: nothing else has one", FFI, () => {
  const wrong = (socket: Socket, address: AddressInput) => {
    assertThrows(() => socket.bind(address, { mode: 0o600 }), TypeError, "mode is of unix paths alone");
    assertEquals(socket.localAddr, null);
    socket.close();
  };
  wrong(Socket.open("inet", "dgram"), LOCAL);
  wrong(Socket.open("unix", "dgram"), abstract());
  wrong(Socket.open("unix", "dgram"), { path: "" });
});

test("bind() that may not set the mode says so, by the kernel's own error", {
  ...ROOT_PROGRAMS,
  run: ["setpriv"],
}, async () => {
  // What root made, another user may not change.
  using socket = Socket.open("unix", "dgram");
  const io = libcIo("Cannot hand a socket to another program");
  assertEquals(io.fcntl(socket.fd, constant("F_SETFD", "linux"), 0), 0);
  const output = await runAsNobody(`
    const socket = Socket.adopt(${socket.fd});
    try {
      socket.bind({ path: "made-by-nobody" }, { mode: 0o600 });
    } catch (error) {
      console.log([error instanceof Deno.errors.PermissionDenied, error.code, error.syscall, error.message].join(" | "));
    }
    console.log(socket.localAddr);
  `);
  assertEquals(
    output,
    "true | EPERM | fchmod | Cannot set the mode of unix dgram (unnamed): EPERM (operation not permitted)\nnull",
  );
});

test("unlinkOnClose removes the path that was bound, wherever the program is by then", PROGRAM, async () => {
  const folder = await Deno.makeTempDir();
  const { output, errors } = await runProgram(
    `
    const [there, elsewhere] = ["there", "elsewhere"].map((name) => Deno.args[0] + "/" + name);
    for (const one of [there, elsewhere]) Deno.mkdirSync(one);
    Deno.writeTextFileSync(elsewhere + "/socket", "precious");
    Deno.chdir(there);
    const socket = Socket.open("unix", "dgram");
    socket.bind({ path: "socket" }, { unlinkOnClose: true });
    Deno.chdir(elsewhere);
    socket.close();
    console.log([there, elsewhere].map((one) => [...Deno.readDirSync(one)].length).join());
  `,
    { args: [folder] },
  );
  assertEquals(output, "0,1", errors);
  await Deno.remove(folder, { recursive: true });
});

test("unlinkOnClose leaves the path to whoever has it by then", PATHS, async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/socket`;
  const former = Socket.open("unix", "dgram");
  former.bind({ path }, { unlinkOnClose: true });
  await Deno.remove(path);
  const next = Socket.open("unix", "dgram");
  next.bind({ path }, { unlinkOnClose: true });
  former.close();
  assert(Deno.lstatSync(path).isSocket);
  // Gone already: close() has nothing to remove, and closes.
  await Deno.remove(path);
  next.close();
  await Deno.remove(folder, { recursive: true });
});
