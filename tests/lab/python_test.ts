// Sockets with python3 at the other end: every family and type, either side asking; descriptors and credentials both ways.
// What a peer in Python sees of single calls: the tests in socket/.
import { assert, assertEquals } from "@std/assert";
import { closeSync, openSync } from "node:fs";
import { libcIo } from "../../internal/libc_io.ts";
import { type IncomingMessage, type OwnedDescriptor, Socket } from "../../socket/mod.ts";
import type { AddressInput, Family, SocketAddress } from "../../socket/address.ts";
import { SO_PASSCRED } from "../../options/mod.ts";
import { abstract, bytes, IPV6, PYTHON, test, text } from "../socket/make.ts";
import { start } from "../udp/other_program.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Type = "stream" | "dgram" | "seqpacket";

/** Either side asks with these, and gets each of them back turned round. */
const MESSAGES = [5, 1, 8_000].map((length) => Uint8Array.from({ length }, (_, i) => i * 7 + length));
/** A datagram may be empty; over a stream, and of packets, this is the end. */
const DATAGRAMS = [...MESSAGES, new Uint8Array(0)];
/** A stream is turned round as a whole. */
const STREAM = Uint8Array.from({ length: 1 << 20 }, (_, i) => i * 31 + (i >> 11));
const END = bytes("end");

/** The same side in Python: asks, or turns round what it is asked; tells its own address first and that of its peer last. */
const PEER = `
import json, socket, sys
family, kind, asks, own, there = json.loads(sys.argv[1])
where = lambda a: tuple(a) if isinstance(a, list) else a
def shown(a):
    if isinstance(a, bytes): a = a.decode()
    return json.dumps(a if isinstance(a, str) else a[:2])
s = socket.socket(getattr(socket, {"inet": "AF_INET", "inet6": "AF_INET6", "unix": "AF_UNIX"}[family]),
                  getattr(socket, {"stream": "SOCK_STREAM", "dgram": "SOCK_DGRAM", "seqpacket": "SOCK_SEQPACKET"}[kind]))
s.settimeout(20)
s.bind(where(own))
if not asks and kind != "dgram": s.listen()
print(shown(s.getsockname()))
if asks:
    s.connect(where(there))
    who = s.getpeername()
elif kind != "dgram":
    s, who = s.accept()
    s.settimeout(20)
def everything():
    all = b""
    while part := s.recv(65536): all += part
    return all
messages = [bytes((i * 7 + n) % 256 for i in range(n)) for n in (5, 1, 8000)]
if kind == "stream":
    whole = bytes((i * 31 + (i >> 11)) % 256 for i in range(1 << 20))
    if asks:
        s.sendall(whole)
        s.shutdown(socket.SHUT_WR)
        assert everything() == whole[::-1]
    else:
        s.sendall(everything()[::-1])
elif asks:
    for one in messages + ([b""] if kind == "dgram" else []):
        s.send(one)
        assert s.recv(65536) == one[::-1]
    if kind == "dgram": s.send(b"end")
else:
    while True:
        data, sender = s.recvfrom(65536)
        if kind == "dgram": who = sender
        if data == (b"end" if kind == "dgram" else b""): break
        if kind == "dgram": s.sendto(data[::-1], who)
        else: s.send(data[::-1])
s.close()
print(shown(who))
`;

/** All of a stream. */
async function everything(socket: Socket): Promise<Bytes> {
  const parts: Bytes[] = [];
  for (let part = await socket.receive(); part.byteLength > 0; part = await socket.receive()) parts.push(part);
  return await new Blob(parts).bytes() as Bytes;
}

/** Asks the peer it is connected to; that is who must answer. */
async function ask(socket: Socket, type: Type): Promise<void> {
  if (type === "stream") {
    const sending = socket.sendAll(STREAM).then(() => socket.shutdown("write"));
    assertEquals(await everything(socket), STREAM.toReversed());
    return await sending;
  }
  for (const message of type === "dgram" ? DATAGRAMS : MESSAGES) {
    assertEquals(await socket.send(message), message.byteLength);
    const [answer, from] = await socket.receiveFrom();
    assertEquals(answer, message.toReversed());
    if (type === "dgram") assertEquals(from, socket.remoteAddr!);
  }
  if (type === "dgram") await socket.send(END);
  else socket.shutdown("write");
}

/** Turns round what it is asked, and tells who asked. */
async function answer(socket: Socket, type: Type): Promise<SocketAddress> {
  const peer = socket.remoteAddr!;
  if (type === "stream") {
    const asked = await everything(socket);
    await socket.sendAll(asked.toReversed());
    return peer;
  }
  for (;;) {
    const [asked, from] = await socket.receiveFrom();
    if (type === "dgram" && text(asked) === "end") return from;
    if (type === "seqpacket" && asked.byteLength === 0) return peer;
    if (type === "dgram") await socket.sendTo(asked.toReversed(), from);
    else await socket.send(asked.toReversed());
  }
}

/** An address as Python tells it. */
function toldAs(address: SocketAddress | null): unknown {
  if (address !== null && "hostname" in address) return [address.hostname, address.port];
  return address !== null && "path" in address ? address.path : address;
}

/** An address that Python told. */
function told<F extends Family>(address: unknown): AddressInput<F> {
  const input = Array.isArray(address) ? { hostname: address[0], port: address[1] } : { path: address };
  return input as unknown as AddressInput<F>;
}

async function talk<F extends Family>(family: F, type: Type, own: AddressInput<F>, its: unknown): Promise<void> {
  {
    await using peer = start("python3", ["-u", "-", JSON.stringify([family, type, false, its, null])], PEER);
    const there = JSON.parse(await peer.line());
    using socket = Socket.open(family, type);
    socket.bind(own, { unlinkOnClose: true });
    await socket.connect(told(there));
    assertEquals(toldAs(socket.remoteAddr), there);
    const here = toldAs(socket.localAddr);
    await ask(socket, type);
    assertEquals(JSON.parse(await peer.line()), here);
    await peer.rest();
  }
  using listener = Socket.open(family, type);
  listener.bind(own);
  if (type !== "dgram") listener.listen();
  const here = toldAs(listener.localAddr);
  // Its own address of before is taken, if it is a path.
  const again = typeof its === "string" ? `${its}-again` : its;
  await using peer = start("python3", ["-u", "-", JSON.stringify([family, type, true, again, here])], PEER);
  const there = JSON.parse(await peer.line());
  const socket = type === "dgram" ? listener : await listener.accept();
  try {
    assertEquals(toldAs(await answer(socket, type)), there);
    // A stream ends for its peer when it is closed.
    socket.close();
    assertEquals(JSON.parse(await peer.line()), here);
    await peer.rest();
  } finally {
    socket[Symbol.dispose]();
  }
}

for (const [name, type] of [["TCP", "stream"], ["UDP", "dgram"]] as const) {
  test(
    `python3 asks and answers over ${name} of IPv4`,
    PYTHON,
    () => talk("inet", type, { hostname: "127.0.0.1", port: 0 }, ["127.0.0.1", 0]),
  );

  test(
    `python3 asks and answers over ${name} of IPv6`,
    { ...PYTHON, ...IPV6 },
    () => talk("inet6", type, { hostname: "::1", port: 0 }, ["::1", 0]),
  );
}

for (const type of ["dgram", "stream", "seqpacket"] as const) {
  test(
    `python3 asks and answers over unix ${type}, by abstract name`,
    PYTHON,
    () => talk("unix", type, abstract(), abstract().path),
  );

  test(`python3 asks and answers over unix ${type}, by path`, PYTHON, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await talk("unix", type, { path: `${folder}/own` }, `${folder}/its`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** Reads a file from where its descriptor stands. */
function read(fd: number): string {
  const room = new Uint8Array(1000);
  return text(room.subarray(0, libcIo("Cannot test").read(fd, room)));
}

/** A unix socket and one in Python, which runs lines with its own, `s`, and `tell(value)`; `line` gives what was told. */
async function withPeer(
  type: Type,
  lines: string,
  body: (socket: Socket<"unix">, line: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const { path } = abstract();
  using listener = Socket.open("unix", type);
  listener.bind({ path });
  if (type !== "dgram") listener.listen();
  await using peer = start(
    "python3",
    ["-u", "-", path.slice(1), type],
    `
import json, os, socket, struct, sys, tempfile
s = socket.socket(socket.AF_UNIX, getattr(socket, "SOCK_" + sys.argv[2].upper()))
s.settimeout(20)
s.bind("\\0" + sys.argv[1] + "-peer")
s.connect("\\0" + sys.argv[1])
def tell(value): print(json.dumps(value))
tell("here")
assert s.recv(5) == b"begin"
${lines}
`,
  );
  const line = async () => JSON.parse(await peer.line());
  assertEquals(await line(), "here");
  if (type === "dgram") await listener.connect({ path: `${path}-peer` });
  const socket = type === "dgram" ? listener : await listener.accept();
  try {
    await socket.send(bytes("begin"));
    await body(socket, line);
    await peer.rest();
  } finally {
    socket[Symbol.dispose]();
  }
}

/** The descriptors of a message. */
function descriptorsOf({ control }: IncomingMessage<"unix">): OwnedDescriptor[] {
  return control.flatMap((one) => one.name === "SCM_RIGHTS" ? one.descriptors as OwnedDescriptor[] : []);
}

for (const type of ["dgram", "stream", "seqpacket"] as const) {
  test(
    `python3 passes a file and a socket over unix ${type}, and they live when it has closed them`,
    PYTHON,
    async () => {
      const lines = `
file = tempfile.TemporaryFile("w+")
file.write("the file of python3")
file.seek(0)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
socket.send_fds(s, [b"take", b"these"], [file.fileno(), udp.fileno()])
port = udp.getsockname()[1]
file.close()
udp.close()
tell(port)`;
      await withPeer(type, lines, async (socket, line) => {
        const buffer = [new Uint8Array(3), new Uint8Array(20)];
        const message = await socket.receiveMessage({ buffer });
        assertEquals([message.byteLength, ...buffer.map(text)].slice(0, 2), [9, "tak"]);
        assert(text(buffer[1]!).startsWith("ethese\0"));
        const [file, passed] = descriptorsOf(message);
        const port = await line();
        assertEquals(read(file!.fd), "the file of python3");
        file!.close();
        using udp = passed!.adopt();
        assertEquals([udp.family, udp.type, udp.localAddr], ["inet", "dgram", {
          family: "inet",
          hostname: "127.0.0.1",
          port: port as number,
        }]);
        using sender = Socket.open("inet", "dgram");
        await sender.sendTo(bytes("through it"), { hostname: "127.0.0.1", port: port as number });
        assertEquals(text(await udp.receive()), "through it");
      });
    },
  );

  test(`a file and a socket are passed to python3 over unix ${type}, and live there when they are closed here`, {
    ...PYTHON,
  }, async () => {
    const lines = `
data, fds, flags, _ = socket.recv_fds(s, 100, 10)
tell("taken")
assert s.recv(100) == b"closed"
udp = socket.socket(fileno=fds[1])
with os.fdopen(fds[0]) as file: tell([data.decode(), len(fds), file.read(), udp.type == socket.SOCK_DGRAM])
udp.send(b"through it")`;
    using receiver = Socket.open("inet", "dgram");
    receiver.bind({ hostname: "127.0.0.1", port: 0 });
    const sender = Socket.open("inet", "dgram");
    await sender.connect(receiver.localAddr!);
    const path = await Deno.makeTempFile();
    await Deno.writeTextFile(path, "the file of Deno");
    const file = openSync(path, "r");
    await Deno.remove(path);
    await withPeer(type, lines, async (socket, line) => {
      const data = [bytes("take"), bytes(" these")];
      await socket.sendMessage({ data, control: [{ name: "SCM_RIGHTS", descriptors: [file, sender] }] });
      assertEquals(await line(), "taken");
      const from = sender.localAddr!;
      closeSync(file);
      sender.close();
      await socket.send(bytes("closed"));
      assertEquals(await line(), ["take these", 2, "the file of Deno", true]);
      assertEquals(await receiver.receiveFrom(), [bytes("through it"), from]);
    });
  });

  test(
    `python3 and this process know each other over unix ${type}, packet by packet`,
    { ...PYTHON, sys: true },
    async () => {
      const lines = `
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
tell([os.getpid(), os.getuid(), os.getgid()])
assert s.recv(100) == b"who?"
s.send(b"me")
data, control, _, _ = s.recvmsg(100, 100)
tell([data.decode(), [struct.unpack("3i", bytes) for _, name, bytes in control if name == socket.SCM_CREDENTIALS]])`;
      await withPeer(type, lines, async (socket, line) => {
        SO_PASSCRED.set(socket, true);
        const [pid, uid, gid] = await line() as number[];
        await socket.send(bytes("who?"));
        const { data, control } = await socket.receiveMessage();
        assertEquals([text(data), control], ["me", [{ name: "SCM_CREDENTIALS", pid: pid!, uid: uid!, gid: gid! }]]);
        const own = { name: "SCM_CREDENTIALS", pid: Deno.pid, uid: Deno.uid()!, gid: Deno.gid()! } as const;
        await socket.sendMessage({ data: bytes("and me"), control: [own] });
        assertEquals(await line(), ["and me", [[own.pid, own.uid, own.gid]]]);
      });
    },
  );
}

test(
  "253 descriptors of python3 come at once where there is room, and those that find none are told of",
  PYTHON,
  async () => {
    const lines = `
with tempfile.TemporaryFile() as file:
    for _ in range(2): socket.send_fds(s, [b"many"], [file.fileno()] * 253)
tell("sent")`;
    await withPeer("seqpacket", lines, async (socket, line) => {
      assertEquals(await line(), "sent");
      for (const [controlLength, count] of [[2048, 253], [64, 12]] as const) {
        const message = await socket.receiveMessage({ controlLength });
        const descriptors = descriptorsOf(message);
        assertEquals([descriptors.length, message.controlTruncated], [count, count < 253]);
        assertEquals(new Set(descriptors.map(({ fd }) => fd)).size, count);
        for (const descriptor of descriptors) descriptor.close();
      }
    });
  },
);
