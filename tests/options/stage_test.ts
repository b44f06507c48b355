// Options that come too late: for each row with a stage, the kernel is shown to refuse a late set or to do nothing with it.
// What is refused on other sockets whatever their state: effect_test.ts. What the kernel answers elsewhere: matrix_test.ts.
import { assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import { listOptions, type SocketOption } from "../../options/mod.ts";
import {
  IP_BIND_ADDRESS_NO_PORT,
  IP_FREEBIND,
  IP_LOCAL_PORT_RANGE,
  IP_TRANSPARENT,
  IPV6_ADDR_PREFERENCES,
  IPV6_FREEBIND,
  IPV6_TRANSPARENT,
  SO_BINDTOIFINDEX,
  SO_CNX_ADVICE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  TCP_DEFER_ACCEPT,
  TCP_FASTOPEN_KEY,
  TCP_MAXSEG,
  TCP_SAVE_SYN,
} from "../../options/mod.ts";
import { type Needs, test } from "../needs.ts";
import { sleep, until } from "../time.ts";
import * as raw from "../raw_socket.ts";
import { inet, Namespace, RAW, RawSocket, refusal, ROOT } from "../raw_socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Set = (socket: RawSocket) => void;

/** An option, and what can be seen of it. Each function sets it where the experiment says, or does not, and tells what it saw. */
interface Experiment {
  /** What the library is given. */
  readonly value: unknown;
  /** What the kernel is given. */
  readonly bytes: Bytes | number;
  /** Set in time: what is seen must be otherwise than without. */
  readonly early: (set: Set) => unknown | Promise<unknown>;
  /** Set too late: what is seen must be as without, if the kernel does not refuse. */
  readonly late: (set: Set) => unknown | Promise<unknown>;
  /** Whether it needs a network namespace, where settings of the kernel can be changed. */
  readonly namespace?: true;
}

// ---- What the experiments are made of ----

const IP = raw.IPPROTO_IP, IPV6 = raw.IPPROTO_IPV6, TCP = raw.IPPROTO_TCP, SOCKET = raw.SOL_SOCKET;
const LOOPBACK = inet("127.0.0.1", 0);
/** Nobody's address: TEST-NET-1. */
const FOREIGN = inet("192.0.2.1", 0), FOREIGN6 = inet("2001:db8::99", 0);

function tcp(): RawSocket {
  return RawSocket.open(raw.AF_INET, raw.SOCK_STREAM, TCP);
}

function udp(): RawSocket {
  return RawSocket.open(raw.AF_INET, raw.SOCK_DGRAM, raw.IPPROTO_UDP);
}

function udp6(): RawSocket {
  return RawSocket.open(raw.AF_INET6, raw.SOCK_DGRAM, raw.IPPROTO_UDP);
}

function to(socket: RawSocket): Bytes {
  return inet("127.0.0.1", socket.localPort);
}

/** Sockets of an experiment, closed at its end. */
class Sockets implements Disposable {
  readonly #all: RawSocket[] = [];

  keep(socket: RawSocket): RawSocket {
    this.#all.push(socket);
    return socket;
  }

  listener(prepare: Set = () => {}): RawSocket {
    const listener = this.keep(tcp());
    prepare(listener);
    return listener.bind(LOOPBACK).listen();
  }

  /** A connection: the client, then the accepted socket. */
  connection(prepare: Set = () => {}, listener = this.listener()): [RawSocket, RawSocket] {
    const client = this.keep(tcp());
    prepare(client);
    client.connect(to(listener));
    return [client, this.keep(listener.accept())];
  }

  [Symbol.dispose](): void {
    for (const socket of this.#all) socket.close();
  }
}

/** The TCP options of a SYN that TCP_SAVE_SYN kept (IPv4 and TCP header before them): kind to bytes. */
function optionsOfSyn(syn: Bytes): Map<number, Bytes> {
  const options = new Map<number, Bytes>();
  for (let at = 40; at < syn.length;) {
    if (syn[at]! < 2) at++;
    else {
      options.set(syn[at]!, syn.slice(at + 2, at + syn[at + 1]!));
      at += syn[at + 1]!;
    }
  }
  return options;
}

const FAST_OPEN = 34, EXPERIMENT = 254, MSG_FASTOPEN = 0x2000_0000;
const KEY = Uint8Array.of(7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7);

/** The fast open cookie that a listener gives out, in hexadecimal: seen in the second SYN of a client; "" for none. */
function cookieOf(listener: RawSocket): string {
  listener.set(TCP, 27, 1); // TCP_SAVE_SYN
  let syn: Bytes | undefined;
  for (let i = 0; i < 3; i++) {
    using client = tcp();
    refusal(() => client.send("hello", to(listener), MSG_FASTOPEN));
    using accepted = listener.accept();
    syn = accepted.get(TCP, 28, 256);
  }
  return optionsOfSyn(syn!).get(FAST_OPEN)?.toHex() ?? "";
}

/** Drops every packet: a filter of one instruction, "return 0". */
function deafen(socket: RawSocket): void {
  const program = new Uint8Array(16);
  const instruction = Uint8Array.of(6, 0, 0, 0, 0, 0, 0, 0);
  program[0] = 1;
  new DataView(program.buffer).setBigUint64(8, raw.addressOf(instruction), true);
  socket.set(SOCKET, 26, program);
}

/** A message from an address that is not this machine's, by control message: the errno, null if it was sent. */
function sendFrom(socket: RawSocket, source: Bytes, destination: Bytes): string | null {
  const v6 = source.length === 28;
  // struct in_pktinfo has the index first, in6_pktinfo the address
  const info = v6
    ? Uint8Array.of(...source.slice(8, 24), 0, 0, 0, 0)
    : Uint8Array.of(0, 0, 0, 0, ...source.slice(4, 8), 0, 0, 0, 0);
  return refusal(() =>
    socket.sendMessage(Uint8Array.of(1), destination, [{ level: v6 ? IPV6 : IP, type: v6 ? 50 : 8, data: info }])
  );
}

/** Gives the loopback interface 2001:db8:7::2/64, and with it a temporary address (RFC 8981), which is not preferred. */
function temporaryAddress(): void {
  const attribute = (type: number, data: Bytes) => Uint8Array.of(4 + data.length, 0, type, 0, ...data);
  const address = raw.pton(raw.AF_INET6, "2001:db8:7::2")!;
  const message = Uint8Array.of(
    ...[0, 0, 0, 0, 20, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0], // struct nlmsghdr: RTM_NEWADDR, NLM_F_REQUEST | NLM_F_CREATE
    ...[raw.AF_INET6, 64, 0, 0, 1, 0, 0, 0], // struct ifaddrmsg
    ...attribute(2, address), // IFA_LOCAL
    ...attribute(8, Uint8Array.of(2, 1, 0, 0)), // IFA_FLAGS: IFA_F_NODAD | IFA_F_MANAGETEMPADDR
  );
  message[0] = message.length;
  using netlink = RawSocket.open(raw.AF_NETLINK, raw.SOCK_RAW);
  netlink.send(message);
  // The kernel makes it usable a moment later, and nothing may be awaited in a namespace.
  for (const since = performance.now();;) {
    using socket = udp6();
    socket.set(IPV6, 72, 1);
    const source = socket.connect(inet("2001:db8:7::9", 9)).localAddress.slice(8, 24);
    if (source.some((byte, i) => byte !== address[i])) return;
    if (performance.now() - since > 2000) throw new Error("the temporary address is not there");
  }
}

// ---- The experiments, one for each row with a stage ----

const EXPERIMENTS: Readonly<Record<string, Experiment>> = {
  IP_FREEBIND: {
    value: true,
    bytes: 1,
    early(set) {
      using socket = udp();
      set(socket);
      return refusal(() => socket.bind(FOREIGN));
    },
    late(set) {
      using socket = udp().bind(LOOPBACK);
      set(socket);
      const again = refusal(() => socket.bind(FOREIGN)) !== null;
      const sent = sendFrom(socket, FOREIGN, LOOPBACK.with(3, 9) as Bytes);
      return [again, sent, refusal(() => socket.connect(to(socket))), socket.localAddress.slice(4, 8)];
    },
  },
  IP_BIND_ADDRESS_NO_PORT: {
    value: true,
    bytes: 1,
    early(set) {
      using socket = tcp();
      set(socket);
      return socket.bind(LOOPBACK).localPort === 0;
    },
    late(set) {
      using all = new Sockets();
      const socket = all.keep(tcp()).bind(LOOPBACK);
      const port = socket.localPort;
      set(socket);
      return [socket.localPort === port, socket.connect(to(all.listener())).localPort === port];
    },
  },
  IP_LOCAL_PORT_RANGE: {
    value: { low: 45_000, high: 45_031 },
    bytes: 45_000 | 45_031 << 16,
    early(set) {
      using all = new Sockets();
      // Three, as any one might be in the range by chance.
      return [tcp(), udp(), udp()].map((socket) => {
        set(all.keep(socket));
        const { localPort } = socket.bind(LOOPBACK);
        return localPort >= 45_000 && localPort <= 45_031;
      });
    },
    late(set) {
      using all = new Sockets();
      return [tcp(), udp()].map((socket) => {
        const { localPort } = all.keep(socket).bind(LOOPBACK);
        set(socket);
        return socket.connect(to(all.listener())).localPort === localPort;
      });
    },
  },
  IPV6_V6ONLY: {
    value: true,
    bytes: 1,
    early(set) {
      using all = new Sockets();
      const listener = all.keep(RawSocket.open(raw.AF_INET6, raw.SOCK_STREAM, TCP));
      set(listener);
      listener.bind(inet("::", 0)).listen();
      return refusal(() => all.keep(tcp()).connect(to(listener)));
    },
    late(set) {
      using socket = RawSocket.open(raw.AF_INET6, raw.SOCK_STREAM, TCP).bind(inet("::", 0));
      set(socket);
      return socket.getInt(IPV6, 26);
    },
  },
  IPV6_ADDR_PREFERENCES: {
    value: 1, // IPV6_PREFER_SRC_TMP
    bytes: 1,
    namespace: true,
    early(set) {
      temporaryAddress();
      using socket = udp6();
      set(socket);
      return socket.connect(inet("2001:db8:7::9", 9)).localAddress.slice(8, 24);
    },
    late(set) {
      temporaryAddress();
      using socket = udp6().connect(inet("2001:db8:7::9", 9));
      set(socket);
      const addresses = [socket.localAddress.slice(8, 24)];
      addresses.push(socket.connect(inet("2001:db8:7::8", 9)).localAddress.slice(8, 24));
      return addresses;
    },
  },
  TCP_MAXSEG: {
    value: 1000,
    bytes: 1000,
    early(set) {
      using all = new Sockets();
      const [client, accepted] = all.connection(set);
      return [client.getInt(TCP, 2) <= 1000, accepted.getInt(TCP, 2) <= 1000];
    },
    late(set) {
      using all = new Sockets();
      const [client, accepted] = all.connection();
      set(client);
      for (const [from, into] of [[client, accepted], [accepted, client]] as const) {
        from.send(new Uint8Array(60_000));
        into.receive();
      }
      return [client.getInt(TCP, 2) > 1000, accepted.getInt(TCP, 2) > 1000];
    },
  },
  TCP_SYNCNT: {
    value: 1,
    bytes: 1,
    namespace: true,
    async early(set) {
      using all = new Sockets();
      const listener = all.listener(deafen);
      const client = all.keep(tcp());
      set(client);
      client.set(TCP, 44, 1000); // TCP_RTO_MAX_MS: a SYN a second
      client.connect(to(listener), 0);
      // One SYN more, so it is given up after 2 s; without after 7.
      let error = 0;
      for (const since = performance.now(); error === 0 && performance.now() - since < 4000; await sleep(50)) {
        error = client.getInt(SOCKET, 4);
      }
      return error === 110; // ETIMEDOUT
    },
    async late(set) {
      using all = new Sockets();
      const [client, accepted] = all.connection();
      deafen(accepted);
      set(client);
      client.send("nobody hears this");
      await until(() => client.get(TCP, 11, 104)[2]! >= 3); // sent thrice more
      return [client.getInt(SOCKET, 4), client.get(TCP, 11, 104)[0]]; // no error, established
    },
  },
  TCP_DEFER_ACCEPT: {
    value: 5,
    bytes: 5,
    early(set) {
      using all = new Sockets();
      const listener = all.listener(set);
      all.keep(tcp()).connect(to(listener));
      return listener.poll(1, 50);
    },
    late(set) {
      using all = new Sockets();
      const [client, accepted] = all.connection();
      set(client);
      set(accepted);
      return [client.send("a"), accepted.receive().length, accepted.send("b"), client.receive().length];
    },
  },
  TCP_FASTOPEN: {
    value: 5,
    bytes: 5,
    namespace: true,
    early(set) {
      using all = new Sockets();
      return cookieOf(all.listener(set)) !== "";
    },
    late(set) {
      using all = new Sockets();
      const [client] = all.connection();
      set(client);
      return client.getInt(TCP, 23);
    },
  },
  TCP_FASTOPEN_CONNECT: {
    value: true,
    bytes: 1,
    early(set) {
      using all = new Sockets();
      const [, accepted] = all.connection(set, all.listener((listener) => void listener.set(TCP, 27, 1)));
      // With a cookie from before connect() would have sent nothing; without one it asks for it.
      const options = optionsOfSyn(accepted.get(TCP, 28, 256));
      return options.has(FAST_OPEN) || options.has(EXPERIMENT); // the latter after a server that ignored the former
    },
    late(set) {
      using all = new Sockets();
      const [client] = all.connection();
      set(client);
      return client.getInt(TCP, 30);
    },
  },
  TCP_FASTOPEN_KEY: {
    value: KEY,
    bytes: KEY,
    namespace: true,
    early(set) {
      using all = new Sockets();
      const cookies = [1, 2].map(() =>
        cookieOf(all.listener((listener) => {
          listener.set(TCP, 23, 5);
          set(listener);
        }))
      );
      assertEquals(cookies[0], cookies[1]);
      return cookies[0];
    },
    late(set) {
      using all = new Sockets();
      const listener = all.listener((listener) => void listener.set(TCP, 23, 5));
      const before = cookieOf(listener);
      const [client, accepted] = all.connection(undefined, listener);
      set(client);
      set(accepted);
      assertNotEquals(before, "");
      return cookieOf(listener) === before;
    },
  },
  TCP_FASTOPEN_NO_COOKIE: {
    value: true,
    bytes: 1,
    namespace: true,
    early(set) {
      using all = new Sockets();
      const listener = all.listener((listener) => {
        listener.set(TCP, 23, 5);
        set(listener);
      });
      const client = all.keep(tcp());
      client.set(TCP, 34, 1);
      client.send("hello", to(listener), MSG_FASTOPEN);
      all.keep(listener.accept());
      return (client.get(TCP, 11, 104)[5]! & 32) !== 0; // TCPI_OPT_SYN_DATA: the data of the SYN was taken
    },
    late(set) {
      using all = new Sockets();
      const [client] = all.connection();
      set(client);
      return client.getInt(TCP, 34);
    },
  },
  TCP_SAVE_SYN: {
    value: true,
    bytes: 1,
    early(set) {
      using all = new Sockets();
      const [, accepted] = all.connection(undefined, all.listener(set));
      return accepted.get(TCP, 28, 256).length > 0;
    },
    late(set) {
      using all = new Sockets();
      const [client, accepted] = all.connection();
      set(client);
      set(accepted);
      return [client.get(TCP, 28, 256).length, accepted.get(TCP, 28, 256).length];
    },
  },
};

const rows = listOptions().filter((option) => option.codes.linux !== undefined) as SocketOption<unknown>[];

Deno.test("every option with a stage has an experiment, and no other", () => {
  const staged = rows.filter(({ when }) => when === "bind" || when === "listen" || when === "connect");
  assertEquals(staged.map(({ name }) => name).sort(), Object.keys(EXPERIMENTS).sort());
});

for (const [name, experiment] of Object.entries(EXPERIMENTS)) {
  const option = rows.find((row) => row.name === name)!;
  const { level, name: number } = option.codes.linux!;
  const needs: Needs = experiment.namespace ? ROOT : RAW;

  /** Runs one of the two, in a namespace when it needs one. Only the beginning of an asynchronous one has to be there. */
  const run = async (experiment: Experiment, which: "early" | "late", set: Set): Promise<unknown> => {
    if (!experiment.namespace) return await experiment[which](set);
    using namespace = new Namespace();
    namespace.sysctl("net.ipv4.tcp_fastopen", "3");
    namespace.sysctl("net.ipv4.tcp_syn_linear_timeouts", "0");
    namespace.sysctl("net.ipv6.conf.lo.use_tempaddr", "1");
    let result: unknown;
    namespace.run(() => {
      result = experiment[which](set);
    });
    return await result;
  };
  const nothing: Set = () => {};
  const kernel: Set = (socket) => void socket.set(level, number, experiment.bytes);

  test(`${name} set before ${option.when}() takes effect`, needs, async () => {
    const [without, withIt] = await Promise.all([run(experiment, "early", nothing), run(experiment, "early", kernel)]);
    assertNotEquals(withIt, without);
  });

  test(
    `${name} set after ${option.when}() is refused by the kernel or changes nothing, and throws`,
    needs,
    async () => {
      let refused: string | null = null;
      const [without, withIt] = await Promise.all([
        run(experiment, "late", nothing),
        run(experiment, "late", (socket) => {
          refused = refusal(() => kernel(socket));
        }),
        run(experiment, "late", (socket) => {
          const before = socket.get(level, number, 64);
          const error = assertThrows(() => option.set(socket, experiment.value), TypeError);
          assertMatch(
            error.message,
            new RegExp(
              `^Cannot set ${name} on .+: the socket is (bound|connected) already, it must be set before ${option.when}\\(\\)`,
            ),
          );
          assertEquals(socket.get(level, number, 64), before, "the kernel's value");
        }),
      ]);
      assertEquals(withIt, without, `set too late, which the kernel answers with ${refused}`);
    },
  );
}

// ---- Options that are of use after bind() and listen(), though one might think otherwise ----

test("SO_REUSEADDR set on a bound UDP socket lets others bind its address", RAW, () => {
  using first = udp().bind(LOOPBACK);
  using second = udp();
  SO_REUSEADDR.set(second, true);
  assertEquals(refusal(() => second.bind(to(first))), "EADDRINUSE");
  SO_REUSEADDR.set(first, true);
  assertEquals(refusal(() => second.bind(to(first))), null);
});

test("SO_REUSEPORT set on a listening TCP socket lets others listen on its port", RAW, () => {
  using all = new Sockets();
  const first = all.listener().listen(64);
  const second = all.keep(tcp());
  SO_REUSEPORT.set(second, true);
  assertEquals(refusal(() => second.bind(to(first))), "EADDRINUSE");
  SO_REUSEPORT.set(first, true);
  second.bind(to(first)).listen(64);
  for (let i = 0; i < 64; i++) all.keep(tcp()).connect(to(first));
  assertEquals([first.poll(1, 100), second.poll(1, 100)], [1, 1], "both have connections");
});

test("SO_BINDTOIFINDEX set on a bound UDP socket keeps other interfaces out", ROOT, () => {
  using namespace = new Namespace();
  namespace.run(() => {
    const bridge = raw.addBridge("br0");
    using receiver = udp().bind(LOOPBACK);
    using sender = udp().connect(to(receiver));
    sender.send("heard");
    assertEquals(receiver.receive().length, 5);
    receiver.set(SOCKET, 62, bridge);
    assertEquals(SO_BINDTOIFINDEX.get(receiver), bridge);
    sender.send("not heard");
    assertEquals(refusal(() => receiver.receive(20)), "EAGAIN");
  });
});

test("IP_TRANSPARENT set on a bound UDP socket lets it send from addresses of others", ROOT, () => {
  using socket = udp().bind(LOOPBACK);
  assertEquals(sendFrom(socket, FOREIGN, to(socket)), "ENETUNREACH");
  IP_TRANSPARENT.set(socket, true);
  assertEquals(sendFrom(socket, FOREIGN, to(socket)), null);
});

for (const option of [IPV6_FREEBIND, IPV6_TRANSPARENT]) {
  test(`${option.name} set on a bound UDP socket lets it send from addresses of others`, ROOT, () => {
    using socket = udp6().bind(inet("::1", 0));
    const here = inet("::1", socket.localPort);
    assertEquals(sendFrom(socket, FOREIGN6, here), "EINVAL");
    option.set(socket, true);
    assertEquals(sendFrom(socket, FOREIGN6, here), null);
  });
}

test("IP_FREEBIND set on a bound raw socket serves its next bind()", ROOT, () => {
  using socket = RawSocket.open(raw.AF_INET, raw.SOCK_RAW, 253).bind(LOOPBACK);
  assertEquals(refusal(() => socket.bind(FOREIGN)), "EADDRNOTAVAIL");
  assertEquals(IP_FREEBIND.set(socket, true), true);
  assertEquals(refusal(() => socket.bind(FOREIGN)), null);
});

test("IP_LOCAL_PORT_RANGE is taken after bind() while connect() has still to choose the port", RAW, () => {
  using all = new Sockets();
  const socket = all.keep(tcp());
  IP_BIND_ADDRESS_NO_PORT.set(socket, true);
  socket.bind(LOOPBACK);
  assertEquals(IP_LOCAL_PORT_RANGE.set(socket, { low: 45_100, high: 45_131 }), { low: 45_100, high: 45_131 });
  const { localPort } = socket.connect(to(all.listener()));
  assertEquals(localPort >= 45_100 && localPort <= 45_131, true, `port ${localPort}`);
});

test(
  "TCP_MAXSEG, TCP_SAVE_SYN, TCP_DEFER_ACCEPT set on a listening socket are those of its next connections",
  RAW,
  () => {
    using all = new Sockets();
    const listener = all.listener();
    assertEquals(TCP_MAXSEG.set(listener, 1000), 1000);
    assertEquals(TCP_SAVE_SYN.set(listener, true), true);
    const [client, accepted] = all.connection(undefined, listener);
    assertEquals(client.getInt(TCP, 2) <= 1000, true);
    assertEquals(accepted.get(TCP, 28, 256).length > 0, true);
    TCP_DEFER_ACCEPT.set(listener, 5);
    all.keep(tcp()).connect(to(listener));
    assertEquals(listener.poll(1, 50), 0);
  },
);

test("TCP_FASTOPEN_KEY set on a listening socket changes its cookies", ROOT, () => {
  using namespace = new Namespace();
  namespace.sysctl("net.ipv4.tcp_fastopen", "3");
  namespace.run(() => {
    using all = new Sockets();
    const listener = all.listener((listener) => void listener.set(TCP, 23, 5));
    const before = cookieOf(listener);
    TCP_FASTOPEN_KEY.set(listener, KEY);
    assertNotEquals(cookieOf(listener), before);
  });
});

test("SO_CNX_ADVICE on a socket without a peer throws, as there is no path to doubt", RAW, () => {
  using socket = tcp();
  const error = assertThrows(() => SO_CNX_ADVICE.set(socket, 1), TypeError);
  assertMatch(
    error.message,
    /^Cannot set SO_CNX_ADVICE on tcp 0\.0\.0\.0:0: the socket is not connected, it must be set after connect\(\)$/,
  );
  using all = new Sockets();
  assertEquals(SO_CNX_ADVICE.set(all.connection()[0], 1), undefined);
});

test("a set that is too late names the calls that take the option in time", RAW, () => {
  using all = new Sockets();
  const [client] = all.connection();
  using six = RawSocket.open(raw.AF_INET6, raw.SOCK_DGRAM, raw.IPPROTO_UDP).connect(inet("::1", 9));
  const late = [
    [() => IP_FREEBIND.set(all.listener(), true), "bind(): give it to listenTcp() or connectTcp()"],
    [() => IP_FREEBIND.set(all.keep(udp()).bind(LOOPBACK), true), "bind(): give it to bindUdp()"],
    [
      () => TCP_MAXSEG.set(client, 1000),
      "connect(): for accepted connections, on their listener; for others, give it to connectTcp()",
    ],
    [() => IPV6_ADDR_PREFERENCES.set(six, 1), "connect(): give it to connectUdp()"],
  ] as const;
  for (const [set, ending] of late) {
    const { message } = assertThrows(set, TypeError);
    assertEquals(message.slice(message.indexOf("it must be set before ") + 22), ending);
  }
});
