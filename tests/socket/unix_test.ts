// Unix sockets: streams, datagrams and sequenced packets, by path and by abstract name, with Python as the peer.
// The file's mode and removal: bind_test.ts.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SO_PASSCRED, SO_PEERCRED } from "../../options/mod.ts";
import type { OutgoingMessage, OwnedDescriptor, ReceiveTarget } from "../../socket/message.ts";
import { Socket } from "../../socket/socket.ts";
import { abstract, assertFails, both, bytes, FFI, PATHS, PYTHON, python, test, text } from "./make.ts";

test("an abstract name is an address like any other, and goes with its socket", FFI, async () => {
  const address = abstract();
  const listener = Socket.open("unix", "stream");
  listener.bind(address);
  listener.listen();
  assertEquals(listener.localAddr, { family: "unix", ...address });
  using client = Socket.open("unix", "stream");
  await client.connect(address);
  assertEquals(client.remoteAddr, { family: "unix", ...address });
  using accepted = await listener.accept();
  assertEquals([accepted.localAddr, accepted.remoteAddr], [{ family: "unix", ...address }, {
    family: "unix",
    path: "",
  }]);
  listener.close();
  using next = Socket.open("unix", "stream");
  next.bind(address);
});

test("an abstract name may hold NULs", FFI, () => {
  const id = crypto.randomUUID();
  for (const name of [`\0${id}\0inner`, `\0${id}\0`, `\0${id}\0\0`]) {
    using socket = Socket.open("unix", "dgram");
    socket.bind({ path: name });
    assertEquals(socket.localAddr!.path, name);
  }
});

test("an abstract name may be bytes that are no text", PATHS, async () => {
  const raw = new Uint8Array([0, 0xff, 0xfe, ...bytes(crypto.randomUUID())]);
  using socket = Socket.open("unix", "dgram");
  socket.bind({ path: "", bytes: raw });
  assertEquals(socket.localAddr!.bytes, raw);
  using sender = Socket.open("unix", "dgram");
  await sender.sendTo(bytes("by bytes"), socket.localAddr!);
  assertEquals(text(await socket.receive()), "by bytes");
});

test('bind({ path: "" }) takes a name of the kernel\'s choice', FFI, async () => {
  using first = Socket.open("unix", "dgram");
  using second = Socket.open("unix", "dgram");
  first.bind({ path: "" });
  second.bind({ path: "" });
  assert(first.localAddr!.path.startsWith("\0") && first.localAddr!.path !== second.localAddr!.path);
  await first.sendTo(bytes("hello"), second.localAddr!);
  assertEquals((await second.receiveFrom())[1], first.localAddr!);
});

test("paths carry streams, datagrams and packets", PATHS, async () => {
  const folder = await Deno.makeTempDir();
  for (const type of ["stream", "seqpacket"] as const) {
    const path = `${folder}/${type}`;
    using listener = Socket.open("unix", type);
    listener.bind({ path });
    listener.listen();
    using client = Socket.open("unix", type);
    await client.connect({ path });
    using accepted = await listener.accept();
    await client.send(bytes("a"));
    await client.send(bytes("b"));
    assertEquals(text(await accepted.receive()), type === "stream" ? "ab" : "a");
  }
  using receiver = Socket.open("unix", "dgram");
  receiver.bind({ path: `${folder}/dgram` });
  using sender = Socket.open("unix", "dgram");
  sender.bind({ path: `${folder}/sender` });
  await sender.sendTo(bytes("x"), { path: `${folder}/dgram` });
  assertEquals((await receiver.receiveFrom())[1], { family: "unix", path: `${folder}/sender` });
  await Deno.remove(folder, { recursive: true });
});

test("connecting to what is not there, or of another type, fails as the kernel says", PATHS, async () => {
  const folder = await Deno.makeTempDir();
  using client = Socket.open("unix", "stream");
  await assertFails(() => client.connect({ path: `${folder}/no` }), "ENOENT", "connect", Deno.errors.NotFound);
  await assertFails(() => client.connect(abstract()), "ECONNREFUSED", "connect", Deno.errors.ConnectionRefused);
  await Deno.writeTextFile(`${folder}/file`, "");
  await assertFails(() => client.connect({ path: `${folder}/file` }), "ECONNREFUSED", "connect");
  using datagrams = Socket.open("unix", "dgram");
  datagrams.bind({ path: `${folder}/dgram` });
  await assertFails(() => client.connect({ path: `${folder}/dgram` }), "EPROTOTYPE", "connect");
  await Deno.remove(folder, { recursive: true });
});

test("seqpackets keep their bounds, end like streams, and endOfRecord is taken", FFI, async () => {
  const [left, right] = Socket.pair("seqpacket");
  using _pair = both([left, right]);
  await left.send(bytes("first"));
  await left.send(bytes("second"), { endOfRecord: true });
  assertEquals(text(await right.receive()), "first");
  assertEquals(text(await right.receive()), "second");
  left.close();
  assertEquals((await right.receive()).byteLength, 0);
});

test("peers of a unix socket are known", { ...FFI, sys: true }, () => {
  const [left, right] = Socket.pair();
  using _pair = both([left, right]);
  assertEquals(SO_PEERCRED.get(left), { pid: Deno.pid, uid: Deno.uid()!, gid: Deno.gid()! });
  assertEquals(SO_PASSCRED.set(right, true), true);
});

for (const type of ["dgram", "stream", "seqpacket"] as const) {
  test(`Python serves unix ${type}, by path and by abstract name`, PYTHON, async () => {
    const folder = await Deno.makeTempDir();
    for (const name of [`${folder}/server`, `@${crypto.randomUUID()}`]) {
      const own = { path: name.startsWith("@") ? `\0${name.slice(1)}-client` : `${name}-client` };
      const peer = { path: name.replace(/^@/, "\0") };
      using client = Socket.open("unix", type);
      client.bind(own);
      const serving = python(
        `import os, socket, sys
name = sys.argv[1]
if name[0] == "@": name = "\\0" + name[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_${type.toUpperCase()})
s.settimeout(10)
s.bind(name)
if "${type}" == "dgram":
    for i in range(2):
        data, who = s.recvfrom(100)
        s.sendto(data[::-1], who)
else:
    s.listen()
    c, who = s.accept()
    for i in range(2): c.send(c.recv(100)[::-1])
print(who if isinstance(who, str) else "@" + who[1:].decode())`,
        name,
      );
      if (type === "dgram") {
        for (const word of ["one", "two"]) {
          // Until it is bound.
          while (!await client.sendTo(bytes(word), peer).then(() => true, () => false)) {
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          const [data, from] = await client.receiveFrom();
          assertEquals([text(data), from.path], [[...word].reverse().join(""), peer.path]);
        }
      } else {
        while (!await client.connect(peer).then(() => true, () => false)) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        for (const word of ["one", "two"]) {
          await client.send(bytes(word));
          assertEquals(text(await client.receive()), [...word].reverse().join(""));
        }
      }
      assertEquals(await serving, own.path.replace("\0", "@"));
    }
    await Deno.remove(folder, { recursive: true });
  });
}

test(
  "receiveMessage() tells of a sender without a name as receiveFrom() does, and of none on a stream",
  FFI,
  async () => {
    const unnamed = { family: "unix", path: "" } as const;
    const [left, right] = Socket.pair("dgram");
    using _pair = both([left, right]);
    await left.send(bytes("one"));
    await left.send(bytes("two"));
    assertEquals((await right.receiveFrom())[1], unnamed);
    assertEquals((await right.receiveMessage()).remoteAddr, unnamed);
    const [from, to] = Socket.pair();
    using _streams = both([from, to]);
    await from.send(bytes("three"));
    assertEquals((await to.receiveMessage()).remoteAddr, null);
  },
);

test("sendMessage() of a stream sends no control messages without data, which would be dropped", FFI, async () => {
  using pair = both(Socket.pair());
  const control = [{ name: "SCM_RIGHTS", descriptors: [pair[0]] }] as const;
  for (const data of [[], new Uint8Array(), [new Uint8Array(), new Uint8Array()]]) {
    await assertRejects(() => pair[0].sendMessage({ data, control }), TypeError, "data has no bytes");
  }
  assertEquals(await pair[0].sendMessage({ data: [] }), 0);
  assertEquals(await pair[0].sendMessage({ data: [], control: [] }), 0);
  for (const type of ["dgram", "seqpacket"] as const) {
    using messages = both(Socket.pair(type));
    assertEquals(await messages[0].sendMessage({ data: [], control }), 0);
    const [message] = (await messages[1].receiveMessage()).control;
    assert(message?.name === "SCM_RIGHTS");
    for (const one of message.descriptors) (one as OwnedDescriptor).close();
  }
});

test("sendMessage() and receiveMessage() say what they were doing of whatever is wrong with their buffers", FFI, () => {
  using pair = both(Socket.pair());
  const many = Array.from({ length: 1025 }, () => new Uint8Array(1));
  for (
    const [data, words] of [
      [undefined, "data is undefined, it must be a Uint8Array or an array of them"],
      ["text", 'data is "text", it must be a Uint8Array or an array of them'],
      [[new Uint8Array(1), null], "buffer 1 is null, it must be a Uint8Array"],
      [many, "there are 1025 buffers, there must be at most 1024"],
    ] as const
  ) {
    const Wrong = data === many ? RangeError : TypeError;
    const outgoing = { data } as OutgoingMessage<"unix">;
    assertThrows(() => pair[0].trySendMessage(outgoing), Wrong, `Cannot send on unix stream: ${words}`);
    if (data === undefined) continue;
    const target = { buffer: data } as ReceiveTarget;
    const said = `Cannot receive on unix stream: ${words.replace("data is", "the buffer is")}`;
    assertThrows(() => pair[0].tryReceiveMessage(target), Wrong, said);
  }
  const options = null as unknown as ReceiveTarget;
  assertThrows(() => pair[0].tryReceiveMessage(options), TypeError, "the options is null, it must be an object");
});
