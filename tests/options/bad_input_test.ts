// What options do with bad input: the class and the message, that nothing reached the kernel, and all of it again after
// 200,000 good calls, when FFI's optimised code would take anything. Good input: matrix_test.ts. Too late: stage_test.ts.
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import * as options from "../../options/mod.ts";
import { DESCRIPTOR, type SocketLike } from "../../options/mod.ts";
import { test } from "../needs.ts";
import * as raw from "../raw_socket.ts";
import { inet, RAW, RawSocket, refusal, ROOT } from "../raw_socket.ts";

/** Options by name, of any type: what a program without types may do. */
interface Untyped {
  readonly codes: { readonly linux?: { readonly level: number; readonly name: number } };
  get(socket: unknown): unknown;
  set(socket: unknown, value?: unknown): unknown;
  to(value?: unknown): unknown;
}
const untyped = options as unknown as Readonly<Record<string, Untyped>>;

function tcp(): RawSocket {
  return RawSocket.open(raw.AF_INET, raw.SOCK_STREAM, raw.IPPROTO_TCP);
}

function udp(): RawSocket {
  return RawSocket.open(raw.AF_INET, raw.SOCK_DGRAM, raw.IPPROTO_UDP);
}

function udp6(): RawSocket {
  return RawSocket.open(raw.AF_INET6, raw.SOCK_DGRAM, raw.IPPROTO_UDP);
}

const RANGE = (min: number, max: number) => `it must be a whole number from ${min} to ${max}`;
const SIZE = RANGE(0, 2147483647), BYTE = RANGE(0, 255), HOPS = RANGE(-1, 255);
const INT = RANGE(-2147483648, 2147483647), UINT = RANGE(0, 4294967295);
const BIGINT = "it must be a BigInt from 0n to 2n ** 64n - 1n";
const FLAG = "it must be true or false";
const NAME = 'it must be the name of an interface, 1 to 15 bytes, or "" for any';
const ALGORITHM = "it must be a name of 1 to 15 bytes without NUL";

type Class = new (message: string) => Error;

/** The option, the socket, the value, the class of the error, the end of its message (or what it must match). */
const BAD: readonly (readonly [string, () => RawSocket, unknown, Class, string | RegExp])[] = [
  // Wrong kinds
  ["TCP_NODELAY", tcp, 1, TypeError, `the value is 1, ${FLAG}`],
  ["TCP_NODELAY", tcp, "true", TypeError, `the value is "true", ${FLAG}`],
  ["TCP_NODELAY", tcp, null, TypeError, `the value is null, ${FLAG}`],
  ["TCP_NODELAY", tcp, undefined, TypeError, `the value is undefined, ${FLAG}`],
  ["TCP_KEEPIDLE", tcp, "60", TypeError, `the value is "60", ${SIZE}`],
  ["TCP_KEEPIDLE", tcp, 60n, TypeError, `the value is 60n, ${SIZE}`],
  ["TCP_KEEPIDLE", tcp, true, TypeError, `the value is true, ${SIZE}`],
  ["TCP_KEEPIDLE", tcp, [60], TypeError, `the value is an array, ${SIZE}`],
  ["SO_MAX_PACING_RATE", tcp, 1000, TypeError, `the value is 1000, ${BIGINT}`],
  ["SO_LINGER", tcp, 5, TypeError, "the value is 5, it must be { enabled, seconds }"],
  ["SO_LINGER", tcp, null, TypeError, "the value is null, it must be { enabled, seconds }"],
  ["SO_LINGER", tcp, { enabled: 1, seconds: 5 }, TypeError, `enabled is 1, ${FLAG}`],
  ["SO_LINGER", tcp, { enabled: true }, TypeError, `seconds is undefined, ${SIZE}`],
  ["IP_OPTIONS", udp, [1, 1, 1, 0], TypeError, "the value is an array, it must be a Uint8Array"],
  ["TCP_CONGESTION", tcp, 5, TypeError, `the name is 5, ${ALGORITHM}`],
  ["SO_BINDTODEVICE", udp, 1, TypeError, `the interface is 1, ${NAME}`],
  ["SO_ATTACH_FILTER", udp, "drop", TypeError, 'the filter is "drop", it must be an array of instructions'],
  ["SO_ATTACH_FILTER", udp, [5], TypeError, "instruction 0 is 5, it must be { code, jt, jf, k }"],
  ["IP_ADD_MEMBERSHIP", udp, "239.1.2.3", TypeError, 'the value is "239.1.2.3", it must be { group, interface }'],
  ["IP_ADD_MEMBERSHIP", udp, {}, TypeError, "the group is undefined, it must be an IP address"],
  ["IP_ADD_MEMBERSHIP", udp, { group: "ff02::1" }, TypeError, 'the group is "ff02::1", it must be an IPv4 address'],
  ["IPV6_JOIN_GROUP", udp6, { group: "239.1.2.3" }, TypeError, 'the group is "239.1.2.3", it must be an IPv6 address'],
  ["SO_TXTIME", udp, { clock: "sundial" }, TypeError, /clock is "sundial", it must be .*monotonic/],
  [
    "MCAST_MSFILTER",
    udp,
    { group: "239.1.2.3", mode: "no", sources: [] },
    TypeError,
    'mode is "no", it must be "include" or "exclude"',
  ],

  // Not a number, negative, fractional, too large
  ["TCP_KEEPIDLE", tcp, NaN, RangeError, `the value is NaN, ${SIZE}`],
  ["TCP_KEEPIDLE", tcp, Infinity, RangeError, `the value is Infinity, ${SIZE}`],
  ["TCP_KEEPIDLE", tcp, -1, RangeError, `the value is -1, ${SIZE}`],
  ["TCP_KEEPIDLE", tcp, 1.5, RangeError, `the value is 1.5, ${SIZE}`],
  ["TCP_KEEPIDLE", tcp, 2 ** 31, RangeError, `the value is 2147483648, ${SIZE}`],
  ["TCP_KEEPIDLE", tcp, 2 ** 32 + 5, RangeError, `the value is 4294967301, ${SIZE}`],
  ["TCP_KEEPIDLE", tcp, Number.MAX_SAFE_INTEGER + 1, RangeError, `the value is 9007199254740992, ${SIZE}`],
  ["TCP_LINGER2", tcp, -(2 ** 31) - 1, RangeError, `the value is -2147483649, ${INT}`],
  ["SO_MARK", udp, 2 ** 32, RangeError, `the value is 4294967296, ${UINT}`],
  ["SO_MAX_PACING_RATE", tcp, -1n, RangeError, `the value is -1n, ${BIGINT}`],
  ["SO_MAX_PACING_RATE", tcp, 2n ** 64n, RangeError, `the value is 18446744073709551616n, ${BIGINT}`],
  ["IP_TTL", udp, 256, RangeError, `the value is 256, ${BYTE}`],
  ["IP_TOS", udp, -1, RangeError, `the value is -1, ${BYTE}`],
  ["IPV6_UNICAST_HOPS", udp6, -2, RangeError, `the value is -2, ${HOPS}`],
  ["IPV6_UNICAST_HOPS", udp6, 256, RangeError, `the value is 256, ${HOPS}`],
  ["SO_LINGER", tcp, { enabled: true, seconds: 0.5 }, RangeError, `seconds is 0.5, ${SIZE}`],
  ["SO_LINGER", tcp, { enabled: true, seconds: -1 }, RangeError, `seconds is -1, ${SIZE}`],
  ["IP_LOCAL_PORT_RANGE", udp, { low: 1, high: 65536 }, RangeError, `high is 65536, ${RANGE(0, 65535)}`],
  [
    "IP_LOCAL_PORT_RANGE",
    udp,
    { low: 2000, high: 1000 },
    RangeError,
    "low is 2000, it must be at most high, which is 1000",
  ],
  ["SO_ATTACH_FILTER", udp, [], RangeError, "the filter has 0 instructions, it must have 1 to 4096"],
  ["SO_ATTACH_FILTER", udp, [{ code: 6, jt: 256, jf: 0, k: 0 }], RangeError, `jt of instruction 0 is 256, ${BYTE}`],
  // What the kernel would call EINVAL
  [
    "SO_ATTACH_FILTER",
    udp,
    [{ code: 0x34, jt: 0, jf: 0, k: 0 }, { code: 6, jt: 0, jf: 0, k: 0 }],
    RangeError,
    "instruction 0 of the filter: division by zero, the constant must not be 0",
  ],
  [
    "SO_ATTACH_REUSEPORT_CBPF",
    udp,
    [{ code: 0x15, jt: 0, jf: 2, k: 0 }, { code: 6, jt: 0, jf: 0, k: 0 }],
    RangeError,
    "instruction 0 of the filter: a jump over 2 instructions, only 1 follow",
  ],
  // What the kernel would take, and do nothing
  ["SO_CNX_ADVICE", tcp, 0, RangeError, "the value is 0, it must be 1"],
  ["SO_CNX_ADVICE", tcp, 2, RangeError, "the value is 2, it must be 1"],
  ["IPV6_ADDR_PREFERENCES", udp6, 8, RangeError, "the value is 0x8, it must have no flags but 0x507"],
  ["IPV6_ADDR_PREFERENCES", udp6, 0x801, RangeError, "the value is 0x801, it must have no flags but 0x507"],
  ["IPV6_ADDR_PREFERENCES", udp6, -1, RangeError, `the value is -1, ${SIZE}`],
  // In range here, refused by the kernel
  ["TCP_KEEPIDLE", tcp, 0, TypeError, "EINVAL (invalid argument)"],
  ["TCP_KEEPIDLE", tcp, 32768, TypeError, "EINVAL (invalid argument)"],
  ["TCP_MAXSEG", tcp, 1, TypeError, "EINVAL (invalid argument)"],
  ["IP_TTL", udp, 0, TypeError, "EINVAL (invalid argument)"],

  // Interfaces
  ["SO_BINDTODEVICE", udp, "0123456789abcdef", RangeError, `the interface is "0123456789abcdef", ${NAME}`],
  ["SO_BINDTODEVICE", udp, "ébcdefghijklmno", RangeError, `the interface is "ébcdefghijklmno", ${NAME}`], // 16 bytes
  ["SO_BINDTODEVICE", udp, "lo\0", RangeError, `the interface is "lo\\u0000", ${NAME}`],
  ["SO_BINDTODEVICE", udp, "nowhere0", Error, "ENODEV (no such device)"],
  [
    "SO_BINDTOIFINDEX",
    udp,
    2 ** 31 - 2,
    Deno.errors.NotFound,
    /: the interface index: there is no interface with index 2147483646; there are: lo \(1\)/,
  ],
  ["SO_BINDTOIFINDEX", udp, -1, RangeError, `the interface index is -1, ${SIZE}`],
  [
    "IPV6_MULTICAST_IF",
    udp6,
    2 ** 31 - 2,
    Deno.errors.NotFound,
    /: the interface index: there is no interface with index 2147483646; there are: lo \(1\)/,
  ],
  ["IP_UNICAST_IF", udp, "lo", TypeError, `the interface index is "lo", ${SIZE}`],
  ["IP_MULTICAST_IF", udp, "lo", SyntaxError, 'the address is "lo", it must be a literal IP address'],
  ["IP_MULTICAST_IF", udp, "::1", TypeError, 'the address is "::1", it must be an IPv4 address'],
  [
    "IP_ADD_MEMBERSHIP",
    udp,
    { group: "239.1.2.3", interface: "nowhere0" },
    Deno.errors.NotFound,
    /: there is no interface "nowhere0"; there are: lo \(1\)/,
  ],
  [
    "IP_ADD_MEMBERSHIP",
    udp,
    { group: "239.1.2.3", interface: "" },
    Error,
    /the interface is "", it must be a name, an index or an address$/,
  ],
  [
    "IP_ADD_MEMBERSHIP",
    udp,
    { group: "239.1.2.3", interface: "0123456789abcdef" },
    Error,
    /the interface name "0123456789abcdef" has 16 bytes, it must have at most 15$/,
  ],
  [
    "IP_ADD_MEMBERSHIP",
    udp,
    { group: "239.1.2.3", interface: "lo\0" },
    Error,
    /the interface name "lo\\u0000" has a NUL, it must have none$/,
  ],
  [
    "IP_ADD_MEMBERSHIP",
    udp,
    { group: "239.1.2.3", interface: 2 ** 31 - 2 },
    Deno.errors.NotFound,
    /: there is no interface with index 2147483646; there are: lo \(1\)/,
  ],
  ["IP_ADD_MEMBERSHIP", udp, { group: "239.1.2.3", interface: NaN }, RangeError, /the interface is NaN, /],

  // Groups and addresses
  ["IP_ADD_MEMBERSHIP", udp, { group: "192.0.2.1" }, RangeError, 'the group is "192.0.2.1", it must be in 224.0.0.0/4'],
  ["IPV6_JOIN_GROUP", udp6, { group: "2001:db8::1" }, RangeError, 'the group is "2001:db8::1", it must be in ff00::/8'],
  [
    "IP_ADD_MEMBERSHIP",
    udp,
    { group: "239.1.2" },
    SyntaxError,
    'the group is "239.1.2", it must be a literal IP address',
  ],
  [
    "IP_ADD_MEMBERSHIP",
    udp,
    { group: "0357.1.2.3" },
    SyntaxError,
    'the group is "0357.1.2.3", it must be a literal IP address',
  ],
  [
    "IP_ADD_SOURCE_MEMBERSHIP",
    udp,
    { group: "239.1.2.3", source: "example.org" },
    SyntaxError,
    'the source is "example.org", it must be a literal IP address',
  ],

  // Names
  ["TCP_CONGESTION", tcp, "", RangeError, `the name is "", ${ALGORITHM}`],
  ["TCP_CONGESTION", tcp, "0123456789abcdef", RangeError, `the name is "0123456789abcdef", ${ALGORITHM}`],
  ["TCP_CONGESTION", tcp, "re\0no", RangeError, `the name is "re\\u0000no", ${ALGORITHM}`],
  [
    "TCP_CONGESTION",
    tcp,
    "nonesuch",
    Deno.errors.NotFound,
    /ENOENT .*; this kernel has no such algorithm loaded: see net\.ipv4\.tcp_available/,
  ],
  ["TCP_ULP", tcp, "nonesuch", Deno.errors.NotFound, /ENOENT .*; this kernel has no such upper layer protocol loaded/],
];

function tryAll(): void {
  for (const [name, open, value, Class, ending] of BAD) {
    using socket = open();
    const { level, name: number } = untyped[name]!.codes.linux!;
    const kernel = () => {
      let bytes: Uint8Array | undefined;
      return refusal(() => bytes = socket.get(level, number, 64)) ?? bytes;
    };
    const before = kernel();
    const error = assertThrows(
      () => untyped[name]!.set(socket, value),
      Class,
      undefined,
      `${name} of ${String(value)}`,
    );
    assertMatch(error.message, new RegExp(`^Cannot set ${name}( on (tcp|udp) \\S+)?: `));
    if (typeof ending === "string") assert(error.message.endsWith(`: ${ending}`), error.message);
    else assertMatch(error.message, ending);
    assertEquals(kernel(), before, `${name} was refused, but changed`);
  }
}

test("bad values throw before anything reaches the kernel, each with a class and words of its own", RAW, tryAll);

test("a first group in vain is not joined, so that joining it rightly is the first time", RAW, () => {
  using socket = udp();
  assertThrows(() => untyped.IP_ADD_MEMBERSHIP!.set(socket, { group: "239.1.2.3", interface: "nowhere0" }), Error);
  assertEquals(untyped.IP_ADD_MEMBERSHIP!.set(socket, { group: "239.1.2.3", interface: "lo" }), undefined);
});

test(
  "bad values throw after 200,000 good calls, when optimised FFI code would take NaN for 0 and 2^32 + 5 for 5",
  RAW,
  () => {
    using socket = tcp();
    let value = 0;
    for (let i = 0; i < 200_000; i++) value = options.TCP_KEEPIDLE.set(socket, 1 + i % 1000);
    assertEquals(value, 200_000 % 1000 || 1000);
    for (const bad of [NaN, -1, 1.5, 2 ** 32 + 5, Infinity]) {
      assertThrows(
        () => options.TCP_KEEPIDLE.set(socket, bad),
        RangeError,
        `Cannot set TCP_KEEPIDLE: the value is ${bad}, ${SIZE}`,
      );
    }
    for (const bad of ["5", 5n, null, undefined, true, {}]) {
      assertThrows(() => untyped.TCP_KEEPIDLE!.set(socket, bad), TypeError, "Cannot set TCP_KEEPIDLE: the value is ");
    }
    assertEquals(socket.getInt(raw.IPPROTO_TCP, 4), value, "the kernel's value");
    for (const [bad, Class] of [[NaN, TypeError], [5, TypeError], [{}, TypeError]] as const) {
      assertThrows(() => untyped.TCP_KEEPIDLE!.get(bad), Class);
    }
    tryAll();
  },
);

test("what is no socket is a TypeError that says what it is", RAW, () => {
  for (
    const [wrong, shown] of [
      [5, "5"],
      [null, "null"],
      [undefined, "undefined"],
      ["tcp", '"tcp"'],
      [true, "true"],
      [{}, "an object (Object)"],
      [[], "an array"],
      [Symbol.iterator, "Symbol(Symbol.iterator)"],
      [() => {}, "a function"],
      [new Map(), "an object (Map)"],
    ] as const
  ) {
    for (const doing of [() => untyped.SO_KEEPALIVE!.get(wrong), () => untyped.SO_KEEPALIVE!.set(wrong, true)]) {
      const { message } = assertThrows(doing, TypeError);
      assertMatch(message, /^Cannot (read|set) SO_KEEPALIVE: the socket is /);
      assertStringIncludes(message, `the socket is ${shown}, it must be a`);
    }
  }
});

test("a descriptor that is none of a socket, or of nothing at all, is a closed socket", RAW, () => {
  for (const fd of [1 << 29, 2 ** 31 - 1, -1]) {
    const it = { [DESCRIPTOR]: fd } as SocketLike;
    assertThrows(() => options.SO_TYPE.get(it), Deno.errors.BadResource, "Cannot read SO_TYPE: the socket is closed");
  }
  for (const fd of [NaN, 1.5, 2 ** 32, 2 ** 32 + 1, "1", null, undefined, 1n]) {
    const it = { [DESCRIPTOR]: fd };
    assertThrows(() => untyped.SO_TYPE!.get(it), Error);
  }
});

test("a descriptor beyond 32 bits is refused after 200,000 good calls, and not taken for its lower half", RAW, () => {
  using socket = tcp();
  for (let i = 0; i < 200_000; i++) options.TCP_NODELAY.get(socket);
  for (const fd of [socket.fd + 2 ** 32, socket.fd + 0.5, NaN]) {
    const it = { [DESCRIPTOR]: fd } as SocketLike;
    assertThrows(() => options.TCP_NODELAY.set(it, true), Error);
  }
  assertEquals(socket.getInt(raw.IPPROTO_TCP, 1), 0, "the kernel's value");
});

test(
  "a closed socket throws BadResource for get and set, also when its number belongs to another socket by now",
  RAW,
  () => {
    const first = tcp();
    assertEquals(options.TCP_NODELAY.set(first, true), true);
    first.close();
    assertThrows(
      () => options.TCP_NODELAY.get(first),
      Deno.errors.BadResource,
      "Cannot read TCP_NODELAY: the socket is closed",
    );
    assertThrows(
      () => options.TCP_NODELAY.set(first, false),
      Deno.errors.BadResource,
      "Cannot set TCP_NODELAY: the socket is closed",
    );

    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    assertEquals(options.SO_ACCEPTCONN.get(listener), true);
    listener.close();
    assertThrows(
      () => options.SO_ACCEPTCONN.get(listener),
      Deno.errors.BadResource,
      "Cannot read SO_ACCEPTCONN: the socket is closed",
    );
    // Descriptors are given lowest first: one of these has the listener's number.
    const successors = Array.from({ length: 8 }, () => tcp().bind(inet("127.0.0.1", 0)).listen());
    try {
      assertThrows(
        () => options.SO_ACCEPTCONN.get(listener),
        Deno.errors.BadResource,
        "Cannot read SO_ACCEPTCONN: the socket is closed",
      );
      assertThrows(
        () => options.SO_REUSEPORT.set(listener, true),
        Deno.errors.BadResource,
        "Cannot set SO_REUSEPORT: the socket is closed",
      );
      for (const socket of successors) assertEquals(socket.getInt(raw.SOL_SOCKET, 15), 0, "the successor's value");
    } finally {
      for (const socket of successors) socket.close();
    }
  },
);

test("an option that is only written cannot be read, one that is only read cannot be written", RAW, () => {
  using socket = udp();
  using stream = tcp();
  assertThrows(
    () => untyped.IP_ADD_MEMBERSHIP!.get(socket),
    TypeError,
    "Cannot read IP_ADD_MEMBERSHIP: it can only be written",
  );
  assertThrows(
    () => untyped.SO_ATTACH_FILTER!.get(socket),
    TypeError,
    "Cannot read SO_ATTACH_FILTER: it can only be written",
  );
  assertThrows(() => untyped.SO_TYPE!.set(socket, 1), TypeError, "Cannot set SO_TYPE: it can only be read");
  assertThrows(() => untyped.TCP_INFO!.set(stream, {}), TypeError, "Cannot set TCP_INFO: it can only be read");
  assertThrows(() => untyped.SO_ERROR!.to(1), TypeError, "Cannot set SO_ERROR: it can only be read");
  assertEquals(options.SO_TYPE.get(socket), raw.SOCK_DGRAM);
});

test("an option that Linux lacks throws NotSupported, naming option and system, for get and set", RAW, () => {
  using socket = tcp();
  for (const name of ["SO_NOSIGPIPE", "TCP_CONNECTIONTIMEOUT", "SO_EXCLUSIVEADDRUSE"]) {
    assertThrows(
      () => untyped[name]!.get(socket),
      Deno.errors.NotSupported,
      `Cannot read ${name}: Linux has no such option`,
    );
    assertThrows(
      () => untyped[name]!.set(socket, true),
      Deno.errors.NotSupported,
      `Cannot set ${name}: Linux has no such option`,
    );
  }
});

test("SO_RCVTIMEO and SO_SNDTIMEO throw NotSupported, as no socket here ever blocks", RAW, () => {
  using socket = tcp();
  for (const name of ["SO_RCVTIMEO", "SO_SNDTIMEO"]) {
    const { message } = assertThrows(
      () => untyped[name]!.set(socket, { seconds: 1, microseconds: 0 }),
      Deno.errors.NotSupported,
    );
    assertMatch(
      message,
      new RegExp(`^Cannot set ${name} on tcp 0\\.0\\.0\\.0:0: the socket never blocks, so this would do nothing; `),
    );
    assertEquals(socket.get(raw.SOL_SOCKET, name === "SO_RCVTIMEO" ? 20 : 21, 16), new Uint8Array(16));
  }
});

test("a failed call tells code, errno and syscall, and names the socket", RAW, () => {
  using socket = tcp();
  const error = assertThrows(
    () => options.TCP_CONGESTION.set(socket, "nonesuch"),
    Deno.errors.NotFound,
  ) as options.SystemError;
  assertEquals([error.code, error.errno, error.syscall], ["ENOENT", 2, "setsockopt"]);
  assertMatch(
    error.message,
    /^Cannot set TCP_CONGESTION on tcp 0\.0\.0\.0:0: ENOENT \(no such file or directory\); this kernel/,
  );
  const read = assertThrows(() => options.IP_MTU.get(socket), Deno.errors.NotConnected) as options.SystemError;
  assertEquals([read.code, read.errno, read.syscall], ["ENOTCONN", 107, "getsockopt"]);
  assertMatch(
    read.message,
    /^Cannot read IP_MTU on tcp 0\.0\.0\.0:0: ENOTCONN .+; the socket must be connected, by a route that is known still$/,
  );
});

test("a value of a wrong kind is refused by every kind of value, before the kernel is asked", RAW, () => {
  using udp4 = udp();
  using six = udp6();
  using stream = tcp();
  const program = [{ code: 6, jt: 0, jf: 0, k: -1 }];
  /** The options of each kind of value that a socket here takes, the class for each, and what none of them is. */
  const kinds: readonly (readonly [names: string, socket: RawSocket, right: string])[] = [
    ["SO_KEEPALIVE TCP_CORK", stream, "boolean"],
    ["SO_RCVBUF SO_SNDBUF TCP_KEEPCNT TCP_USER_TIMEOUT TCP_LINGER2 SO_MARK TCP_NOTSENT_LOWAT", stream, "number"],
    ["IP_TTL IP_TOS IP_MULTICAST_TTL IP_UNICAST_IF SO_BINDTOIFINDEX SO_PRIORITY", udp4, "number"],
    ["IPV6_UNICAST_HOPS IPV6_TCLASS IPV6_MULTICAST_HOPS IPV6_MULTICAST_IF", six, "number"],
    ["SO_MAX_PACING_RATE", stream, "bigint"],
    ["TCP_CONGESTION TCP_ULP", stream, "string"],
    ["SO_BINDTODEVICE IP_MULTICAST_IF", udp4, "string"],
    ["IP_OPTIONS", udp4, "bytes"],
    ["IPV6_PKTINFO IPV6_HOPOPTS", six, "bytes"],
    ["TCP_FASTOPEN_KEY TCP_REPAIR_WINDOW", stream, "bytes"],
    ["SO_LINGER", stream, "none"],
    ["SO_TXTIME IP_LOCAL_PORT_RANGE SO_ATTACH_FILTER IP_ADD_MEMBERSHIP IP_DROP_MEMBERSHIP", udp4, "none"],
    ["IP_ADD_SOURCE_MEMBERSHIP IP_BLOCK_SOURCE MCAST_JOIN_GROUP MCAST_JOIN_SOURCE_GROUP MCAST_MSFILTER", udp4, "none"],
    ["IPV6_JOIN_GROUP IPV6_LEAVE_GROUP IPV6_JOIN_ANYCAST", six, "none"],
  ];
  const values: readonly (readonly [string, unknown])[] = [
    ["boolean", true],
    ["number", 7],
    ["bigint", 7n],
    ["string", "7"],
    ["bytes", new Uint8Array(4)],
    ["nothing", null],
    ["nothing", undefined],
    ["object", {}],
    ["array", [7]],
    ["array", program],
    ["symbol", Symbol("7")],
    ["function", () => 7],
  ];
  for (const [names, socket, right] of kinds) {
    for (const name of names.split(" ")) {
      const { level, name: number } = untyped[name]!.codes.linux!;
      const kernel = () => {
        let bytes: Uint8Array | undefined;
        return refusal(() => bytes = socket.get(level, number, 64)) ?? bytes;
      };
      const before = kernel();
      for (const [kind, value] of values) {
        if (kind === right) continue;
        const what = `${name} of ${kind}`;
        // An array of instructions is of the right kind, one of them is out of range.
        const Class = name === "SO_ATTACH_FILTER" && value === program ? RangeError : TypeError;
        const error = assertThrows(() => untyped[name]!.set(socket, value), Class, undefined, what);
        assertMatch(error.message, new RegExp(`^Cannot set ${name}: .+ it must be `), what);
        assertEquals("code" in error, false, `${what} reached the kernel`);
      }
      assertEquals(kernel(), before, `${name} was refused, but changed`);
    }
  }
});

test(
  "values of packet and raw sockets of a wrong kind or out of range are refused before the kernel is asked",
  ROOT,
  () => {
    using packet = RawSocket.open(raw.AF_PACKET, raw.SOCK_RAW);
    using icmp = RawSocket.open(raw.AF_INET, raw.SOCK_RAW, raw.IPPROTO_ICMP);
    using icmp6 = RawSocket.open(raw.AF_INET6, raw.SOCK_RAW, raw.IPPROTO_ICMPV6);
    const MAC = 'it must be a hardware address such as "01:00:5e:00:00:01"';
    const bad: readonly (readonly [string, RawSocket, unknown, Class, string])[] = [
      ["PACKET_ADD_MEMBERSHIP", packet, null, TypeError, "the value is null, it must be { interface, type }"],
      [
        "PACKET_ADD_MEMBERSHIP",
        packet,
        { interface: "lo", type: "all" },
        TypeError,
        'type is "all", it must be one of ',
      ],
      ["PACKET_ADD_MEMBERSHIP", packet, { interface: "lo", type: "constructor" }, TypeError, 'type is "constructor", '],
      [
        "PACKET_ADD_MEMBERSHIP",
        packet,
        { interface: "lo", type: "multicast" },
        TypeError,
        `address is undefined, ${MAC}`,
      ],
      [
        "PACKET_ADD_MEMBERSHIP",
        packet,
        { interface: "lo", type: "unicast", address: "1:2:3:4:5:6" },
        SyntaxError,
        `address is "1:2:3:4:5:6", ${MAC}`,
      ],
      [
        "PACKET_ADD_MEMBERSHIP",
        packet,
        { interface: "lo", type: "unicast", address: "01:02:03:04:05:06:07:08:09" }, // nine octets, there is room for eight
        SyntaxError,
        MAC,
      ],
      ["PACKET_ADD_MEMBERSHIP", packet, { interface: 1.5, type: "promiscuous" }, RangeError, "the interface is 1.5, "],
      ["PACKET_FANOUT", packet, 5, TypeError, "the value is 5, it must be { id, mode }"],
      ["PACKET_FANOUT", packet, { id: 65536, mode: "hash" }, RangeError, "id is 65536, it must be "],
      ["PACKET_FANOUT", packet, { id: 1, mode: "best" }, TypeError, 'mode is "best", it must be one of hash, '],
      ["PACKET_FANOUT", packet, { id: 1, mode: "hash", defragment: 1 }, TypeError, `defragment is 1, ${FLAG}`],
      ["ICMP_FILTER", icmp, 8, TypeError, "the value is 8, it must be an array of types"],
      ["ICMP_FILTER", icmp, [0, "8"], TypeError, `a type is "8", ${RANGE(0, 31)}`],
      ["ICMP_FILTER", icmp, [32], RangeError, `a type is 32, ${RANGE(0, 31)}`],
      ["ICMP_FILTER", icmp, [NaN], RangeError, `a type is NaN, ${RANGE(0, 31)}`],
      ["ICMP6_FILTER", icmp6, [256], RangeError, `a type is 256, ${RANGE(0, 255)}`],
      ["ICMP6_FILTER", icmp6, [-1], RangeError, `a type is -1, ${RANGE(0, 255)}`],
      ["IPV6_CHECKSUM", icmp6, 2.5, RangeError, `the value is 2.5, ${INT}`],
    ];
    const filter = icmp.get(255, 1, 4), filter6 = icmp6.get(raw.IPPROTO_ICMPV6, 1, 32);
    for (const [name, socket, value, Class, words] of bad) {
      const { message } = assertThrows(() => untyped[name]!.set(socket, value), Class, words);
      assertMatch(message, new RegExp(`^Cannot set ${name}: `));
    }
    assertEquals([icmp.get(255, 1, 4), icmp6.get(raw.IPPROTO_ICMPV6, 1, 32)], [filter, filter6]);
  },
);

test("groups end where 224.0.0.0/4 and ff00::/8 end", RAW, () => {
  using socket = udp();
  using six = udp6();
  for (const group of ["223.255.255.255", "240.0.0.0", "0.0.0.0", "127.0.0.1", "255.255.255.255"]) {
    const words = `the group is "${group}", it must be in 224.0.0.0/4`;
    for (const name of ["IP_ADD_MEMBERSHIP", "IP_DROP_MEMBERSHIP", "MCAST_JOIN_GROUP", "MCAST_LEAVE_GROUP"]) {
      assertThrows(
        () => untyped[name]!.set(socket, { group, interface: "lo" }),
        RangeError,
        `Cannot set ${name}: ${words}`,
      );
    }
    for (const name of ["IP_ADD_SOURCE_MEMBERSHIP", "IP_BLOCK_SOURCE", "MCAST_JOIN_SOURCE_GROUP"]) {
      const value = { group, source: "127.0.0.1", interface: "lo" };
      assertThrows(() => untyped[name]!.set(socket, value), RangeError, `Cannot set ${name}: ${words}`);
    }
    const value = { group, mode: "include", sources: ["127.0.0.1"], interface: "lo" };
    assertThrows(() => untyped.MCAST_MSFILTER!.set(socket, value), RangeError, `Cannot set MCAST_MSFILTER: ${words}`);
  }
  // A mapped group is none either: the kernel would look for it among IPv6's.
  for (const group of ["fe80::1", "feff::", "::", "::1", "::ffff:224.0.0.1"]) {
    const words = `the group is "${group}", it must be in ff00::/8`;
    for (const name of ["IPV6_JOIN_GROUP", "IPV6_LEAVE_GROUP", "MCAST_JOIN_GROUP", "MCAST_LEAVE_GROUP"]) {
      assertThrows(
        () => untyped[name]!.set(six, { group, interface: "lo" }),
        RangeError,
        `Cannot set ${name}: ${words}`,
      );
    }
  }
});

test("a group and its sources are of one family, which the socket must carry", RAW, () => {
  using four = udp();
  using both = udp6();
  using only = udp6().set(raw.IPPROTO_IPV6, 26, 1); // IPV6_V6ONLY
  const { NotSupported } = Deno.errors;
  const v4 = { group: "239.1.2.3", interface: "lo" }, v6 = { group: "ff02::1:2", interface: "lo" };
  const carry = (v: number, group: string) =>
    `is of IPv${v}, the socket must carry IPv${v} traffic`.replace(/^/, `the group "${group}" `);
  for (const name of ["MCAST_JOIN_GROUP", "MCAST_LEAVE_GROUP"]) {
    assertThrows(() => untyped[name]!.set(four, v6), NotSupported, carry(6, v6.group));
    assertThrows(() => untyped[name]!.set(only, v4), NotSupported, carry(4, v4.group));
  }
  assertThrows(() => untyped.IP_ADD_MEMBERSHIP!.set(only, v4), NotSupported, "and IPv6 ones that are not V6ONLY");
  assertThrows(
    () => untyped.IPV6_JOIN_GROUP!.set(four, v6),
    NotSupported,
    "it works on UDP, ping and raw sockets of IPv6",
  );
  const mixed = { group: "239.1.2.3", source: "2001:db8::1", interface: "lo" };
  const words = 'the source is "2001:db8::1", it must be an IPv4 address';
  assertThrows(() => untyped.MCAST_JOIN_SOURCE_GROUP!.set(four, mixed), TypeError, words);
  assertThrows(() => untyped.IP_ADD_SOURCE_MEMBERSHIP!.set(four, mixed), TypeError, words);
  const mixed6 = { group: "ff02::1:2", source: "192.0.2.1", interface: "lo" };
  assertThrows(() => untyped.MCAST_JOIN_SOURCE_GROUP!.set(both, mixed6), TypeError, "it must be an IPv6 address");
  const filter = { group: "239.1.2.3", mode: "include", sources: ["192.0.2.1", "::1"], interface: "lo" };
  assertThrows(
    () => untyped.MCAST_MSFILTER!.set(four, filter),
    TypeError,
    'source 1 is "::1", it must be an IPv4 address',
  );
  // None of this has joined anything: each is the first time.
  for (const socket of [four, both]) assertEquals(untyped.MCAST_JOIN_GROUP!.set(socket, v4), undefined);
  for (const socket of [only, both]) assertEquals(untyped.MCAST_JOIN_GROUP!.set(socket, v6), undefined);
});

test(
  "an interface that is not there is NotFound, by name, index or address, and those that are there are named",
  RAW,
  () => {
    using socket = udp();
    using six = udp6();
    const ways: readonly (readonly [unknown, string])[] = [
      ["nowhere0", 'there is no interface "nowhere0"'],
      [2 ** 31 - 2, "there is no interface with index 2147483646"],
      ["192.0.2.77", "there is no interface with address 192.0.2.77"],
      ["2001:db8::77", "there is no interface with address 2001:db8::77"],
    ];
    for (const [one, words] of ways) {
      const v4 = { group: "239.1.2.3", source: "127.0.0.1", mode: "include", sources: [], interface: one };
      for (
        const name of ["IP_ADD_MEMBERSHIP", "IP_ADD_SOURCE_MEMBERSHIP", "MCAST_JOIN_SOURCE_GROUP", "MCAST_MSFILTER"]
      ) {
        const { message } = assertThrows(() => untyped[name]!.set(socket, v4), Deno.errors.NotFound, words);
        assertMatch(message, new RegExp(`^Cannot set ${name}: .*; there are: lo \\(1\\)`));
      }
      for (const name of ["IPV6_JOIN_GROUP", "MCAST_JOIN_GROUP"]) {
        const v6 = { group: "ff02::1:2", interface: one };
        assertThrows(() => untyped[name]!.set(six, v6), Deno.errors.NotFound, words);
      }
    }
    assertThrows(
      () => untyped.IPV6_JOIN_GROUP!.set(six, { group: "ff02::1:2%nowhere0" }),
      Deno.errors.NotFound,
      'there is no interface "nowhere0"',
    );
    for (
      const [one, Class] of [[0, RangeError], [-1, RangeError], [1.5, RangeError], [null, TypeError], [
        {},
        TypeError,
      ]] as const
    ) {
      const { message } = assertThrows(
        () => untyped.IP_ADD_MEMBERSHIP!.set(socket, { group: "239.1.2.3", interface: one }),
        Class,
      );
      assertMatch(message, /^Cannot set IP_ADD_MEMBERSHIP: .*the interface is .*, it must be /);
    }
  },
);

test("to() refuses what set() refuses, without a socket", {}, () => {
  const bad: readonly (readonly [string, unknown, Class, string])[] = [
    ["TCP_NODELAY", 1, TypeError, `the value is 1, ${FLAG}`],
    ["TCP_NODELAY", undefined, TypeError, `the value is undefined, ${FLAG}`],
    ["TCP_KEEPIDLE", NaN, RangeError, `the value is NaN, ${SIZE}`],
    ["TCP_KEEPIDLE", "60", TypeError, `the value is "60", ${SIZE}`],
    ["TCP_KEEPIDLE", 2 ** 31, RangeError, `the value is 2147483648, ${SIZE}`],
    ["TCP_KEEPIDLE", 2 ** 32 + 5, RangeError, `the value is 4294967301, ${SIZE}`],
    ["TCP_KEEPIDLE", -1, RangeError, `the value is -1, ${SIZE}`],
    ["TCP_KEEPIDLE", 0.5, RangeError, `the value is 0.5, ${SIZE}`],
    ["IP_TTL", 256, RangeError, `the value is 256, ${BYTE}`],
    ["IPV6_UNICAST_HOPS", -2, RangeError, `the value is -2, ${HOPS}`],
    ["SO_MARK", 2 ** 32, RangeError, `the value is 4294967296, ${UINT}`],
    ["SO_MAX_PACING_RATE", 5, TypeError, `the value is 5, ${BIGINT}`],
    ["SO_MAX_PACING_RATE", 2n ** 64n, RangeError, `the value is 18446744073709551616n, ${BIGINT}`],
    ["SO_LINGER", { enabled: true }, TypeError, `seconds is undefined, ${SIZE}`],
    ["SO_LINGER", null, TypeError, "the value is null, it must be { enabled, seconds }"],
    ["TCP_CONGESTION", "", RangeError, `the name is "", ${ALGORITHM}`],
    ["SO_BINDTODEVICE", "0123456789abcdef", RangeError, `the interface is "0123456789abcdef", ${NAME}`],
    ["IP_OPTIONS", "01", TypeError, 'the value is "01", it must be a Uint8Array'],
    ["IP_MULTICAST_IF", "lo", SyntaxError, 'the address is "lo", it must be a literal IP address'],
    ["IP_LOCAL_PORT_RANGE", { low: 2, high: 1 }, RangeError, "low is 2, it must be at most high, which is 1"],
    ["SO_TXTIME", {}, TypeError, "clock is undefined, it must be one of "],
    ["SO_TYPE", 1, TypeError, "it can only be read"],
  ];
  for (const [name, value, Class, words] of bad) {
    assertThrows(() => untyped[name]!.to(value), Class, `Cannot set ${name}: ${words}`);
  }
});

test("a setting is checked again when it is applied, as its value may have changed since", RAW, () => {
  using socket = tcp();
  const value = { enabled: true, seconds: 5 };
  const setting = options.SO_LINGER.to(value);
  value.seconds = -1;
  assertThrows(() => setting.apply(socket), RangeError, `Cannot set SO_LINGER: seconds is -1, ${SIZE}`);
  assertEquals(socket.get(raw.SOL_SOCKET, 13, 8), new Uint8Array(8));
  value.seconds = 5;
  assertThrows(() => setting.apply(5 as never), TypeError, "Cannot set SO_LINGER: the socket is 5, it must be ");
  assertThrows(() => Object.assign(setting, { name: "SO_DEBUG" }), TypeError);
});

test("defineOption refuses each definition that lacks something or has it wrong", {}, () => {
  const good = { name: "OWN", codes: { linux: { level: 1, name: 2 } }, codec: "int", access: "both" };
  const codec = { byteLength: 4, encode: () => new Uint8Array(4), decode: () => 0 };
  const define = options.defineOption as (definition: unknown) => Untyped;
  const bad: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ name: undefined }, "Cannot define option undefined: the name must be text that is not empty"],
    [{ name: "" }, 'Cannot define option "": the name must be text that is not empty'],
    [{ name: 5 }, "Cannot define option 5: the name must be text that is not empty"],
    [{ codes: undefined }, "codes is undefined, it must be an object of numbers by system"],
    [{ codes: null }, "codes is null, it must be an object of numbers by system"],
    [{ codes: { linux: 5 } }, "codes.linux is 5, it must be { level, name }"],
    [{ codes: { darwin: null } }, "codes.darwin is null, it must be { level, name }"],
    [
      { codes: { linux: { level: 1 } } },
      "codes.linux.name is undefined, it must be a whole number from -2147483648 to 2147483647",
    ],
    [
      { codes: { linux: { name: 1 } } },
      "codes.linux.level is undefined, it must be a whole number from -2147483648 to 2147483647",
    ],
    [
      { codes: { linux: { level: "1", name: 2 } } },
      'codes.linux.level is "1", it must be a whole number from -2147483648 to 2147483647',
    ],
    [
      { codes: { linux: { level: 1n, name: 2 } } },
      "codes.linux.level is 1n, it must be a whole number from -2147483648 to 2147483647",
    ],
    [{ access: undefined }, 'access is undefined, it must be "get", "set" or "both"'],
    [{ access: "read" }, 'access is "read", it must be "get", "set" or "both"'],
    [{ when: "accept" }, 'when is "accept", it must be "any", "bind", "listen", "connect" or "connected"'],
    [{ when: null }, "when is null, it must be "],
    [
      { codec: undefined },
      "codec is undefined, it must be one of flag, int, uint, uint64, text, bytes or an OptionCodec",
    ],
    [{ codec: null }, "codec is null, it must be one of "],
    [{ codec: "float" }, 'codec is "float", it must be one of '],
    [{ codec: "linger" }, 'codec is "linger", it must be one of '],
    [{ codec: "constructor" }, 'codec is "constructor", it must be one of '],
    [{ codec: {} }, "codec is an object (Object), it must be one of "],
    [{ codec: { ...codec, encode: undefined } }, "codec is an object (Object), it must be one of "],
    [{ codec: { ...codec, decode: "text" } }, "codec is an object (Object), it must be one of "],
  ];
  for (const [wrong, words] of bad) {
    const { message } = assertThrows(() => define({ ...good, ...wrong }), TypeError, words);
    assertMatch(message, /^Cannot define option /);
  }
  for (const nothing of [undefined, null, 5]) {
    assertThrows(
      () => define(nothing),
      TypeError,
      `Cannot define an option: the definition is ${nothing}, it must be {`,
    );
  }
  for (const name of [NaN, 2.5, 2 ** 32 + 1]) {
    const codes = { linux: { level: 1, name } };
    assertThrows(
      () => define({ ...good, codes }),
      RangeError,
      `codes.linux.name is ${name}, it must be a whole number`,
    );
  }
  for (const byteLength of [NaN, 4.5, -1, 2 ** 33]) {
    assertThrows(() => define({ ...good, codec: { ...codec, byteLength } }), RangeError, "codec.byteLength is ");
  }
  const listed = options.listOptions().length;
  assertEquals(define({ ...good, codec }).codes.linux, { level: 1, name: 2 });
  assertEquals(options.listOptions().length, listed, "an option of one's own is not listed");
});

test("an option of one's own checks values as its codec does, and says where it has no numbers", RAW, () => {
  using socket = udp();
  const codes = { linux: { level: 1, name: 12 } }; // SO_PRIORITY
  const own = options.defineOption({ name: "OWN", codes, codec: "int", access: "both" });
  assertEquals(own.set(socket, 3), 3);
  for (const bad of [NaN, 2 ** 31, 2 ** 32 + 5, 0.5]) {
    assertThrows(() => own.set(socket, bad), RangeError, `Cannot set OWN: the value is ${bad}, ${INT}`);
    assertThrows(() => own.to(bad), RangeError, `Cannot set OWN: the value is ${bad}, ${INT}`);
  }
  assertEquals(socket.getInt(raw.SOL_SOCKET, 12), 3);
  const elsewhere = options.defineOption({
    name: "OWN",
    codes: { windows: { level: 1, name: 12 } },
    codec: "int",
    access: "both",
  });
  assertEquals(elsewhere.supported, false);
  assertThrows(() => elsewhere.get(socket), Deno.errors.NotSupported, "Cannot read OWN: Linux has no such option");
  assertThrows(() => elsewhere.set(socket, 1), Deno.errors.NotSupported, "Cannot set OWN: Linux has no such option");
  const unknown = options.defineOption({
    name: "OWN",
    codes: { linux: { level: 1, name: 30_000 } },
    codec: "int",
    access: "both",
  });
  assertThrows(() => unknown.get(socket), Deno.errors.NotSupported, "Cannot read OWN on udp 0.0.0.0:0: ENOPROTOOPT");
  const throwing = options.defineOption({
    name: "OWN",
    codes,
    codec: {
      byteLength: 4,
      encode: (): Uint8Array<ArrayBuffer> => {
        throw new RangeError("it is Tuesday");
      },
      decode: () => 0,
    },
    access: "both",
  });
  assertThrows(() => throwing.set(socket, 1), RangeError, "Cannot set OWN: it is Tuesday");
  assertEquals(socket.getInt(raw.SOL_SOCKET, 12), 3);
});

test("a codec of one's own gets bytes of its own, and cannot make the kernel read past those it gives", RAW, () => {
  using socket = tcp();
  const kept: Uint8Array[] = [];
  const codec = {
    byteLength: 4,
    encode: (value: unknown) => value as Uint8Array<ArrayBuffer>,
    decode: (bytes: Uint8Array<ArrayBuffer>) => (kept.push(bytes), bytes),
  };
  // TCP_FASTOPEN_KEY, which reads back as much as was written.
  const own = options.defineOption<unknown, "both">({
    name: "OWN",
    codes: { linux: { level: 6, name: 33 } },
    codec,
    access: "both",
  });
  const priority = options.defineOption<unknown, "get">({
    name: "OWN_PRIORITY",
    codes: { linux: { level: 1, name: 12 } },
    codec,
    access: "get",
  });
  priority.get(socket);
  options.SO_KEEPALIVE.set(socket, true);
  assertEquals(kept[0], new Uint8Array(4), "what was given stays as it was");
  structuredClone(kept[0], { transfer: [kept[0]!.buffer as ArrayBuffer] });
  assertEquals(options.SO_KEEPALIVE.get(socket), true);

  class Longer extends Uint8Array<ArrayBuffer> {
    override get byteLength(): number {
      return 32;
    }
  }
  assertThrows(() => own.set(socket, new Longer(new ArrayBuffer(4))), TypeError, "EINVAL");
  for (const wrong of [null, new ArrayBuffer(16), "0123456789abcdef"]) {
    assertThrows(() => own.set(socket, wrong), TypeError, "Cannot set OWN: encode() of the codec gave ");
  }
});
