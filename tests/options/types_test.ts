// What the types of options allow and refuse: deno check is the judge, a refusal that goes missing is an unused directive.
// The same refusals at run time, for programs without types: bad_input_test.ts.
import { assertEquals } from "@std/assert";
import {
  type AnyOption,
  defineOption,
  DESCRIPTOR,
  type FilterProgram,
  type GroupRequest,
  type HasDescriptor,
  ICMP6_FILTER,
  IP_ADD_MEMBERSHIP,
  IP_LOCAL_PORT_RANGE,
  IP_MTU,
  IP_MULTICAST_IF,
  IP_OPTIONS,
  IP_TOS,
  IP_TTL,
  IPV6_PKTINFO,
  type Linger,
  listOptions,
  MCAST_JOIN_SOURCE_GROUP,
  MCAST_MSFILTER,
  type MemoryInfo,
  type OptionAccess,
  type OptionCodec,
  type OptionFacts,
  type OptionFor,
  type OptionSetting,
  PACKET_ADD_MEMBERSHIP,
  PACKET_FANOUT,
  type PACKET_STATISTICS,
  type PacketFanout,
  type PeerCredentials,
  type PortRange,
  type ReadableOption,
  SO_ACCEPTCONN,
  SO_ATTACH_FILTER,
  SO_BINDTODEVICE,
  SO_COOKIE,
  SO_DETACH_FILTER,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_MARK,
  SO_MAX_PACING_RATE,
  type SO_MEMINFO,
  type SO_ORIGINAL_DST,
  SO_PEERCRED,
  SO_PEERGROUPS,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SO_TXTIME,
  type SocketLike,
  type SocketOption,
  TCP_CONGESTION,
  TCP_INFO,
  TCP_KEEPIDLE,
  TCP_NODELAY,
  type TcpInfo,
  type Timeval,
  type WritableOption,
} from "../../options/mod.ts";
import { connectTcp, type ConnectTcpOptions, listenTcp, type ListenTcpOptions } from "../../tcp/mod.ts";
import { bindUdp, type BindUdpOptions } from "../../udp/mod.ts";
import type { Server as NodeServer, Socket as NodeSocket } from "node:net";
import type { Socket as NodeDatagramSocket } from "node:dgram";
import { test } from "../needs.ts";

/** Whether two types are the same, not only assignable to each other. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Takes the type `true` alone. */
function holds<T extends true>(..._: T[]): void {}

/** Code that is checked and never run: its body would reach the kernel. */
function typesOf(_: (socket: SocketLike) => void): void {}

test("types: reading a write-only option is refused, in all its forms", {}, () => {
  typesOf((socket) => {
    // @ts-expect-error it can only be written
    SO_RCVBUFFORCE.get(socket);
    // @ts-expect-error it can only be written
    IP_ADD_MEMBERSHIP.get(socket);
    // @ts-expect-error it can only be written
    SO_ATTACH_FILTER.get(socket);
    // @ts-expect-error it can only be written
    IPV6_PKTINFO.get(socket);
    // @ts-expect-error it can only be written
    const asReadable: ReadableOption<number> = SO_RCVBUFFORCE;
    // @ts-expect-error it can only be written
    const asBoth: SocketOption<number> = SO_RCVBUFFORCE;
    void [asReadable, asBoth];
    // There is no value to give back.
    const nothing: void = SO_RCVBUFFORCE.set(socket, 1);
    void nothing;
    // @ts-expect-error void is no number
    SO_RCVBUFFORCE.set(socket, 1) + 1;
  });
});

test("types: writing a read-only option is refused, and to() with it", {}, () => {
  typesOf((socket) => {
    // @ts-expect-error it can only be read
    SO_ERROR.set(socket, 0);
    // @ts-expect-error it can only be read
    TCP_INFO.set(socket, { state: "close" });
    // @ts-expect-error it can only be read
    SO_ACCEPTCONN.set(socket, true);
    // @ts-expect-error it can only be read
    SO_ERROR.to(0);
    // @ts-expect-error it can only be read
    IP_MTU.to(1500);
    // @ts-expect-error it can only be read
    SO_PEERCRED.to({ uid: 0, gid: 0 });
    // @ts-expect-error it can only be read
    const asWritable: WritableOption<number> = SO_ERROR;
    // @ts-expect-error it can only be read
    const asBoth: SocketOption<number> = SO_ERROR;
    void [asWritable, asBoth];
  });
});

test("types: values of a wrong type are refused", {}, () => {
  typesOf((socket) => {
    // @ts-expect-error a flag is true or false
    TCP_NODELAY.set(socket, 1);
    // @ts-expect-error a flag is true or false
    TCP_NODELAY.set(socket, "true");
    // @ts-expect-error a flag is true or false
    TCP_NODELAY.set(socket, null);
    // @ts-expect-error a flag is true or false
    TCP_NODELAY.set(socket, undefined);
    // @ts-expect-error a flag has a value
    TCP_NODELAY.set(socket);
    // @ts-expect-error a flag is true or false
    TCP_NODELAY.to(0);
    // @ts-expect-error seconds are a number
    TCP_KEEPIDLE.set(socket, "60");
    // @ts-expect-error seconds are a number
    TCP_KEEPIDLE.set(socket, 60n);
    // @ts-expect-error seconds are a number
    TCP_KEEPIDLE.set(socket, true);
    // @ts-expect-error a byte is a number
    IP_TOS.set(socket, null);
    // @ts-expect-error a mark is a number
    SO_MARK.to({ mark: 1 });
    // @ts-expect-error a rate is a BigInt
    SO_MAX_PACING_RATE.set(socket, 1_000_000);
    // @ts-expect-error a name is text
    TCP_CONGESTION.set(socket, 5);
    // @ts-expect-error an interface is bound to by name
    SO_BINDTODEVICE.set(socket, 1);
    // @ts-expect-error an address is text
    IP_MULTICAST_IF.set(socket, 0x7f000001);
    // @ts-expect-error bytes are a Uint8Array
    IP_OPTIONS.set(socket, [1, 1, 1, 0]);
    // @ts-expect-error bytes are a Uint8Array
    IP_OPTIONS.set(socket, new Uint16Array(2));
    // @ts-expect-error a call without a value
    SO_DETACH_FILTER.set(socket, true);
    SO_DETACH_FILTER.set(socket, undefined);
  });
});

test("types: what is no socket is refused", {}, () => {
  typesOf(() => {
    // @ts-expect-error a number is no socket
    TCP_NODELAY.get(5);
    // @ts-expect-error nothing is no socket
    TCP_NODELAY.get(null);
    // @ts-expect-error text is no socket
    TCP_NODELAY.set("tcp", true);
    // @ts-expect-error an address is no socket
    TCP_NODELAY.get({ hostname: "127.0.0.1", port: 80 });
    // @ts-expect-error an empty object is no socket
    TCP_NODELAY.get({});
    // @ts-expect-error a file is no socket
    TCP_NODELAY.get(Deno.openSync("/dev/null"));
    // @ts-expect-error a descriptor is a number
    TCP_NODELAY.get({ [DESCRIPTOR]: "5" });
  });
});

test("types: fields of structured values that are unknown, missing or of a wrong type are refused", {}, () => {
  typesOf((socket) => {
    // @ts-expect-error seconds is missing
    SO_LINGER.set(socket, { enabled: true });
    // @ts-expect-error enabled is missing
    SO_LINGER.set(socket, { seconds: 1 });
    // @ts-expect-error enabled is true or false
    SO_LINGER.set(socket, { enabled: 1, seconds: 1 });
    // @ts-expect-error there is no field of C's name
    SO_LINGER.set(socket, { enabled: true, seconds: 1, l_linger: 1 });
    // @ts-expect-error linger is a struct
    SO_LINGER.set(socket, 5);
    // @ts-expect-error microseconds is missing
    SO_RCVTIMEO.set(socket, { seconds: 1 });
    // @ts-expect-error there are no milliseconds
    SO_RCVTIMEO.set(socket, { seconds: 1, microseconds: 0, milliseconds: 5 });
    // @ts-expect-error there is no such clock
    SO_TXTIME.set(socket, { clock: "boottime" });
    // @ts-expect-error clock is missing
    SO_TXTIME.set(socket, { deadlineMode: true });
    // @ts-expect-error a group is text
    IP_ADD_MEMBERSHIP.set(socket, { group: 0xe0000001 });
    // @ts-expect-error the group is missing
    IP_ADD_MEMBERSHIP.set(socket, { interface: "lo" });
    // @ts-expect-error the interface is a name, an index or an address; it may be left out, but it is never undefined
    IP_ADD_MEMBERSHIP.set(socket, { group: "239.0.0.1", interface: undefined });
    // @ts-expect-error the interface is a name, an index or an address
    IP_ADD_MEMBERSHIP.set(socket, { group: "239.0.0.1", interface: null });
    // @ts-expect-error this one takes no source
    IP_ADD_MEMBERSHIP.set(socket, { group: "239.0.0.1", source: "192.0.2.1" });
    // @ts-expect-error the source is missing
    MCAST_JOIN_SOURCE_GROUP.set(socket, { group: "232.0.0.1" });
    // @ts-expect-error there is no such mode
    MCAST_MSFILTER.set(socket, { group: "232.0.0.1", mode: "only", sources: [] });
    // @ts-expect-error sources are text
    MCAST_MSFILTER.set(socket, { group: "232.0.0.1", mode: "include", sources: [1] });
    // @ts-expect-error high is missing
    IP_LOCAL_PORT_RANGE.set(socket, { low: 1024 });
    // @ts-expect-error there is no such membership
    PACKET_ADD_MEMBERSHIP.set(socket, { interface: 1, type: "all" });
    // @ts-expect-error the interface is missing
    PACKET_ADD_MEMBERSHIP.set(socket, { type: "promiscuous" });
    // @ts-expect-error there is no such mode
    PACKET_FANOUT.set(socket, { id: 1, mode: "roundRobin" });
    // @ts-expect-error types are numbers
    ICMP6_FILTER.set(socket, ["echo"]);
    // @ts-expect-error k is missing
    SO_ATTACH_FILTER.set(socket, [{ code: 6, jt: 0, jf: 0 }]);
    // @ts-expect-error a program is instructions
    SO_ATTACH_FILTER.set(socket, "drop");
    // @ts-expect-error a program is an array
    SO_ATTACH_FILTER.set(socket, { code: 6, jt: 0, jf: 0, k: 0 });
    // @ts-expect-error to() is no wider than set()
    SO_LINGER.to({ enabled: true });
    // What may be left out
    IP_ADD_MEMBERSHIP.set(socket, { group: "239.1.2.3" });
    IP_ADD_MEMBERSHIP.set(socket, { group: "239.1.2.3", interface: "eth0" });
    MCAST_JOIN_SOURCE_GROUP.set(socket, { group: "232.1.2.3", source: "192.0.2.1", interface: 2 });
    MCAST_MSFILTER.set(socket, { group: "ff02::1", mode: "include", sources: [] });
    PACKET_ADD_MEMBERSHIP.set(socket, { interface: "eth0", type: "promiscuous" });
    SO_ATTACH_FILTER.set(socket, [{ code: 6, jt: 0, jf: 0, k: 0 }]);
    SO_TXTIME.set(socket, { clock: "tai" });
  });
});

test("types: what reading gives has its own type", {}, () => {
  typesOf((socket) => {
    // @ts-expect-error a flag is no number
    const flag: number = TCP_NODELAY.get(socket);
    // @ts-expect-error a cookie is a BigInt
    const cookie: number = SO_COOKIE.get(socket);
    // @ts-expect-error this kernel may not tell it
    const rtt: number = TCP_INFO.get(socket).rtt;
    // @ts-expect-error macOS does not tell it
    const pid: number = SO_PEERCRED.get(socket).pid;
    // @ts-expect-error there is no such field
    const cwnd = TCP_INFO.get(socket).tcpi_snd_cwnd;
    // @ts-expect-error what the kernel said cannot be changed
    TCP_INFO.get(socket).state = "close";
    // @ts-expect-error what the kernel said cannot be changed
    SO_PEERGROUPS.get(socket).push(0);
    void [flag, cookie, rtt, pid, cwnd];
  });
  holds<Same<ReturnType<typeof TCP_NODELAY.get>, boolean>>();
  holds<Same<ReturnType<typeof TCP_NODELAY.set>, boolean>>();
  holds<Same<ReturnType<typeof SO_RCVBUF.set>, number>>();
  holds<Same<ReturnType<typeof SO_COOKIE.get>, bigint>>();
  holds<Same<ReturnType<typeof TCP_INFO.get>, TcpInfo>>();
  holds<Same<ReturnType<typeof SO_LINGER.set>, Linger>>();
  holds<Same<ReturnType<typeof SO_RCVTIMEO.get>, Timeval>>();
  holds<Same<ReturnType<typeof SO_PEERCRED.get>, PeerCredentials>>();
  holds<Same<ReturnType<typeof IP_OPTIONS.get>, Uint8Array<ArrayBuffer>>>();
  holds<Same<ReturnType<typeof SO_ORIGINAL_DST.get>["family"], "inet" | "inet6">>();
  holds<Same<ReturnType<typeof PACKET_STATISTICS.get>["drops"], number>>();
  holds<Same<ReturnType<typeof IP_ADD_MEMBERSHIP.set>, void>>();
  holds<Same<ReturnType<typeof SO_LINGER.to>, OptionSetting>>();
  holds<Same<ReturnType<typeof TCP_CONGESTION.set>, string>>();
  holds<Same<ReturnType<typeof SO_MAX_PACING_RATE.set>, bigint>>();
  holds<Same<ReturnType<typeof ICMP6_FILTER.set>, readonly number[]>>();
  holds<Same<ReturnType<typeof IP_LOCAL_PORT_RANGE.get>, PortRange>>();
  holds<Same<ReturnType<typeof PACKET_FANOUT.set>, PacketFanout>>();
  holds<Same<ReturnType<typeof SO_MEMINFO.get>, MemoryInfo>>();
});

test("types: the facts of an option cannot be changed", {}, () => {
  typesOf(() => {
    // @ts-expect-error a fact
    TCP_NODELAY.name = "x";
    // @ts-expect-error a fact
    TCP_NODELAY.codes.linux = { level: 0, name: 0 };
    // @ts-expect-error a fact
    TCP_NODELAY.codes.linux!.level = 0;
    // @ts-expect-error a system without columns
    void TCP_NODELAY.codes.freebsd;
    // @ts-expect-error a setting says what it was made of
    TCP_NODELAY.to(true).value = false;
    // @ts-expect-error the list is a list to read
    listOptions().push(TCP_NODELAY);
    // @ts-expect-error a system may lack the option
    const level: number = SO_KEEPALIVE.codes.linux?.level;
    // @ts-expect-error a setting is not changed
    TCP_NODELAY.to(true).name = "SO_DEBUG";
    void level;
  });
});

test("types: options are assignable to the interfaces they have", {}, () => {
  const both: SocketOption<boolean> = TCP_NODELAY;
  const readable: readonly ReadableOption<unknown>[] = [TCP_NODELAY, SO_ERROR, TCP_INFO, SO_LINGER];
  const flags: readonly ReadableOption<boolean>[] = [TCP_NODELAY, SO_KEEPALIVE, SO_ACCEPTCONN];
  const writable: readonly WritableOption<never>[] = [TCP_NODELAY, SO_RCVBUFFORCE, IP_ADD_MEMBERSHIP, SO_LINGER];
  const numbers: readonly WritableOption<number>[] = [SO_RCVBUF, SO_RCVBUFFORCE, IP_TTL];
  const groups: WritableOption<GroupRequest> = IP_ADD_MEMBERSHIP;
  const programs: WritableOption<FilterProgram> = SO_ATTACH_FILTER;
  const any: readonly AnyOption[] = [TCP_NODELAY, SO_ERROR, SO_RCVBUFFORCE, TCP_INFO, SO_LINGER, IP_ADD_MEMBERSHIP];
  const facts: readonly OptionFacts[] = any;
  const all: readonly AnyOption[] = listOptions();
  // @ts-expect-error a flag is no number
  const wrongRead: ReadableOption<number> = TCP_NODELAY;
  // @ts-expect-error a size is no BigInt
  const wrongBoth: SocketOption<bigint> = SO_RCVBUF;
  // @ts-expect-error a flag is no number
  const wrongWritten: WritableOption<number> = TCP_NODELAY;
  // @ts-expect-error nobody can set what may be any option
  const unusable: (socket: SocketLike) => void = (socket) => any[0].set(socket, true);
  void [
    both,
    readable,
    flags,
    writable,
    numbers,
    groups,
    programs,
    facts,
    all,
    wrongRead,
    wrongBoth,
    wrongWritten,
    unusable,
  ];
  assertEquals(any.every((option) => all.includes(option)), true);
});

test("types: OptionFor is the interface of an access", {}, () => {
  holds<Same<OptionFor<number, "get">, ReadableOption<number>>>();
  holds<Same<OptionFor<number, "set">, WritableOption<number>>>();
  holds<Same<OptionFor<number, "both">, SocketOption<number>>>();
  holds<Same<OptionAccess, "get" | "set" | "both">>();
  const read: OptionFor<number, "get"> = SO_ERROR;
  const written: OptionFor<number, "set"> = SO_RCVBUFFORCE;
  const both: OptionFor<boolean, "both"> = TCP_NODELAY;
  // @ts-expect-error it can only be read
  const wrong: OptionFor<number, "both"> = SO_ERROR;
  void [read, written, both, wrong];
});

test("types: all sockets of Deno, of node and of this library are taken", {}, () => {
  typesOf((socket) => {
    const sockets = [] as unknown as [
      Deno.TcpConn,
      Deno.TlsConn,
      Deno.UnixConn,
      Deno.Conn,
      Deno.TcpListener,
      Deno.TlsListener,
      Deno.UnixListener,
      Deno.DatagramConn,
      Deno.HttpServer,
      NodeSocket,
      NodeServer,
      NodeDatagramSocket,
      HasDescriptor,
      Awaited<ReturnType<typeof connectTcp>>,
      ReturnType<typeof listenTcp>,
      ReturnType<typeof bindUdp>,
    ];
    for (const one of sockets) SO_ERROR.get(one);
    SO_ERROR.get(socket);
  });
});

test("types: defineOption infers the value from the codec, and the interface from the access", {}, () => {
  const facts = { name: "X", codes: { linux: { level: 1, name: 2 } } } as const;
  const flag = defineOption({ ...facts, codec: "flag", access: "both" });
  const int = defineOption({ ...facts, codec: "int", access: "get" });
  const uint = defineOption({ ...facts, codec: "uint", access: "set" });
  const uint64 = defineOption({ ...facts, codec: "uint64", access: "both", when: "connect" });
  const text = defineOption({ ...facts, codec: "text", access: "get" });
  const bytes = defineOption({ ...facts, codec: "bytes", access: "both" });
  holds<Same<typeof flag, SocketOption<boolean>>>();
  holds<Same<typeof int, ReadableOption<number>>>();
  holds<Same<typeof uint, WritableOption<number>>>();
  holds<Same<typeof uint64, SocketOption<bigint>>>();
  holds<Same<typeof text, ReadableOption<string>>>();
  holds<Same<typeof bytes, SocketOption<Uint8Array<ArrayBuffer>>>>();

  const codec: OptionCodec<{ readonly low: number }> = {
    byteLength: 4,
    encode: ({ low }) => Uint8Array.of(low, 0, 0, 0),
    decode: (got) => ({ low: got[0] ?? 0 }),
  };
  const own = defineOption({ ...facts, codec, access: "both" });
  const ownRead = defineOption({ ...facts, codec, access: "get" });
  holds<Same<typeof own, SocketOption<{ readonly low: number }>>>();
  holds<Same<typeof ownRead, ReadableOption<{ readonly low: number }>>>();
  const inferred = defineOption({
    ...facts,
    codec: { byteLength: 4, encode: (value: string) => new TextEncoder().encode(value), decode: String },
    access: "set",
  });
  holds<Same<typeof inferred, WritableOption<string>>>();

  typesOf((socket) => {
    // @ts-expect-error a flag is true or false
    flag.set(socket, 1);
    // @ts-expect-error it can only be read
    int.set(socket, 1);
    // @ts-expect-error it can only be read
    int.to(1);
    // @ts-expect-error it can only be written
    uint.get(socket);
    // @ts-expect-error a BigInt
    uint64.to(1);
    // @ts-expect-error low is missing
    own.set(socket, {});
    // @ts-expect-error there is no such codec
    defineOption({ ...facts, codec: "float", access: "both" });
    // @ts-expect-error codecs of the listed options have no name here
    defineOption({ ...facts, codec: "linger", access: "both" });
    // @ts-expect-error there is no such access
    defineOption({ ...facts, codec: "int", access: "read" });
    // @ts-expect-error there is no such stage
    defineOption({ ...facts, codec: "int", access: "get", when: "accept" });
    // @ts-expect-error the codec is missing
    defineOption({ ...facts, access: "get" });
    // @ts-expect-error the numbers are missing
    defineOption({ name: "X", codec: "int", access: "both" });
    // @ts-expect-error the name is missing
    defineOption({ codes: {}, codec: "int", access: "get" });
    // @ts-expect-error there is no such system
    defineOption({ name: "X", codes: { freebsd: { level: 1, name: 2 } }, codec: "int", access: "get" });
    // @ts-expect-error numbers are numbers
    defineOption({ name: "X", codes: { linux: { level: "SOL_SOCKET", name: 2 } }, codec: "int", access: "get" });
    // @ts-expect-error a codec has a length
    defineOption({ ...facts, codec: { encode: codec.encode, decode: codec.decode }, access: "get" });
  });
  assertEquals([flag.access, int.access, uint.access, uint64.when], ["both", "get", "set", "connect"]);
});

test("types: connectTcp, listenTcp and bindUdp take settings in options, and nothing else there", {}, () => {
  const settings: readonly OptionSetting[] = [
    TCP_NODELAY.to(true),
    SO_LINGER.to({ enabled: true, seconds: 0 }),
    SO_RCVBUFFORCE.to(65_536),
    defineOption({ name: "X", codes: {}, codec: "int", access: "set" }).to(1),
  ];
  const connecting: ConnectTcpOptions = { port: 80, options: settings };
  const listening: ListenTcpOptions = { port: 0, options: settings };
  const binding: BindUdpOptions = { port: 0, options: settings };
  void [connecting, listening, binding];
  typesOf(() => {
    connectTcp({ port: 80, options: [TCP_NODELAY.to(true), IP_TTL.to(5)] });
    listenTcp({ port: 0, options: [TCP_KEEPIDLE.to(60)] });
    bindUdp({ port: 0, options: [IP_ADD_MEMBERSHIP.to({ group: "239.0.0.1" })] });
    // @ts-expect-error an option without a value
    connectTcp({ port: 80, options: [TCP_NODELAY] });
    // @ts-expect-error not a name and a value
    listenTcp({ port: 0, options: [["TCP_NODELAY", true]] });
    // @ts-expect-error not a record
    bindUdp({ port: 0, options: { SO_BROADCAST: true } });
    // @ts-expect-error an option that can only be read has no setting
    connectTcp({ port: 80, options: [SO_ERROR.to(0)] });
  });
  assertEquals(settings.map(({ name, value }) => [name, value]), [
    ["TCP_NODELAY", true],
    ["SO_LINGER", { enabled: true, seconds: 0 }],
    ["SO_RCVBUFFORCE", 65_536],
    ["X", 1],
  ]);
});
