// vsock sockets as far as a machine without a transport within itself has them: open, bound, listening, never connected.
// Where the kernel has vsock_loopback a stream is sent through, too. What Deno's own permissions say: ../permission_test.ts.
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { SO_VM_SOCKETS_BUFFER_SIZE, SO_VM_SOCKETS_CONNECT_TIMEOUT } from "../../options/mod.ts";
import type { SystemError } from "../../options/mod.ts";
import { connectRemedies } from "../../socket/families.ts";
import { listSockets, Socket } from "../../socket/mod.ts";
import { AF_VSOCK, RAW, RawSocket, refusal, SOCK_STREAM } from "../raw_socket.ts";
import type { Needs } from "../needs.ts";
import { bytes, PATHS, test, text } from "./make.ts";

/** This machine itself, VMADDR_CID_LOCAL. */
const LOCAL = 1;

/** Whether the kernel has the family at all. */
const there = RAW.ffi === true || refusal(() => RawSocket.open(AF_VSOCK, SOCK_STREAM).close()) === null;
const VSOCK: Needs = there ? RAW : { ...RAW, files: ["a kernel with vsock"] };

test("vsock sockets are opened and bound, to any port or one of their own", VSOCK, () => {
  for (const type of ["stream", "seqpacket"] as const) {
    using socket = Socket.open("vsock", type);
    assertEquals([socket.family, socket.type, socket.protocol], ["vsock", type, 0]);
    assertEquals([socket.localAddr, socket.remoteAddr], [null, null]);
    socket.bind({ cid: -1 });
    const { port } = socket.localAddr!;
    assertEquals(socket.localAddr, { family: "vsock", cid: -1, port });
    assert(port > 1023);
    using adopted = Socket.adopt(socket.dup().detach());
    assertEquals([adopted.family, adopted.type, adopted.localAddr], ["vsock", type, socket.localAddr]);
    using other = Socket.open("vsock", type);
    const used = assertThrows(() => other.bind(socket.localAddr!), Deno.errors.AddrInUse);
    assertStringIncludes(used.message, `Cannot bind vsock ${type} any:${port}: EADDRINUSE`);
    // A Deno.VsockAddr will do, with its number for any.
    other.bind({ transport: "vsock", cid: 0xffffffff, port: port + 1000 });
    assertEquals(other.localAddr, { family: "vsock", cid: -1, port: port + 1000 });
    const listed = listSockets({ family: "vsock", type }).find(({ fd }) => fd === other.fd);
    assertEquals(listed?.localAddr, other.localAddr);
  }
});

test("a vsock listener waits, and nobody comes", VSOCK, async () => {
  using listener = Socket.open("vsock", "stream");
  listener.bind({ cid: -1 });
  listener.listen();
  assertEquals(listener.tryAccept(), null);
  const error = await listener.accept({ signal: AbortSignal.timeout(10) }).catch((error) => error);
  assertEquals(error.name, "TimeoutError");
});

test("a vsock context that is not this machine's cannot be bound, and the message says which can", VSOCK, () => {
  using socket = Socket.open("vsock", "stream");
  const error = assertThrows(() => socket.bind({ cid: 0x7fff_ff00, port: 5000 }), Deno.errors.AddrNotAvailable);
  assertEquals((error as unknown as SystemError).code, "EADDRNOTAVAIL");
  assertStringIncludes(error.message, "the cid must be that of this machine, or -1 for any");
});

test("types and protocols that vsock does not have are told apart", VSOCK, () => {
  const raw = assertThrows(() => Socket.open("vsock", "raw"), Deno.errors.NotSupported) as unknown as SystemError;
  assertEquals([raw.code, raw.message.includes("this family has no such type")], ["ESOCKTNOSUPPORT", true]);
  const protocol = assertThrows(() => Socket.open("vsock", "stream", 5), Deno.errors.NotSupported);
  assertStringIncludes(protocol.message, "EPROTONOSUPPORT");
  assertThrows(() => Socket.open("vsock", "stream", "tcp"), Deno.errors.NotSupported, 'is "tcp", it must be a number');
  try {
    Socket.open("vsock", "dgram").close();
  } catch (error) {
    // Only VMCI, VMware's, has them.
    assertEquals((error as SystemError).code, "ENODEV");
    assertStringIncludes((error as Error).message, "no vsock transport of this kernel has datagrams");
  }
});

/** Whether a module of the kernel is loaded, or built in. */
function hasModule(name: string): boolean {
  try {
    return Deno.statSync(`/sys/module/${name}`).isDirectory;
  } catch {
    return false;
  }
}
/** Transports that would carry a connection to this machine out of it, to the host or a guest, where loopback is missing. */
const OUTWARD = ["vmw_vsock_virtio_transport", "vhost_vsock", "hv_sock", "vmw_vsock_vmci_transport"];

test("connecting to this machine works by vsock_loopback, and without any transport the reason is said", {
  ...VSOCK,
  ...PATHS,
}, async () => {
  using listener = Socket.open("vsock", "stream");
  listener.bind({ cid: -1 });
  listener.listen();
  const { port } = listener.localAddr!;
  using client = Socket.open("vsock", "stream");
  assertEquals(SO_VM_SOCKETS_CONNECT_TIMEOUT.set(client, { seconds: 0, microseconds: 100_000 }).seconds, 0);
  SO_VM_SOCKETS_BUFFER_SIZE.set(client, 65_536n);
  if (!hasModule("vsock_loopback")) {
    // What is sent must stay on this machine.
    if (OUTWARD.some(hasModule)) return assertStringIncludes(connectRemedies("vsock").ETIMEDOUT!, "vsock_loopback");
    const error = await client.connect({ cid: LOCAL, port }).catch((error) => error as SystemError) as SystemError;
    assertEquals([error.code, error.syscall], ["ENODEV", "connect"]);
    assertMatch(error.message, new RegExp(`^Cannot connect vsock stream to 1:${port}: .*vsock_loopback`));
    return assertEquals(client.remoteAddr, null);
  }
  await client.connect({ cid: LOCAL, port }, { signal: AbortSignal.timeout(5_000) });
  using served = await listener.accept();
  assertEquals(served.remoteAddr?.cid, LOCAL);
  assertEquals(client.remoteAddr, { family: "vsock", cid: LOCAL, port });
  await client.sendAll(bytes("over vsock"));
  assertEquals(text(await served.receive()), "over vsock");
  using nobody = Socket.open("vsock", "stream");
  listener.close();
  const reset = await nobody.connect({ cid: LOCAL, port }).catch((error) => error);
  assertEquals(reset.code, "ECONNRESET");
});
