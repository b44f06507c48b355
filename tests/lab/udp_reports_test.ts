// What the network reports of datagrams (ICMP): it ends no loop and no send to others, and the error queue tells of which it is.
// Over a cable and two routers; refusals over loopback: ../udp/native_test.ts. What else the error queue has: error_queue_test.ts.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { IP_MTU, IP_RECVERR, IPV6_MTU, IPV6_RECVERR, type SystemError } from "../../options/mod.ts";
import { bindUdp, DatagramBatch, type UdpSocket } from "../../udp/mod.ts";
import { type Namespace, NAMESPACES, withPair, withRoute } from "../multicast/namespace.ts";
import { test } from "../needs.ts";
import { until } from "../time.ts";

const NEEDS = { ...NAMESPACES, run: ["ip", "nft"] };
/** Where a firewall refuses everything, and where it does not. */
const REFUSING = 5008;
const HEALTHY = 5009;
const soon = () => ({ signal: AbortSignal.timeout(10_000) });
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const bytes = (text: string) => new TextEncoder().encode(text);

/** By family: any address, those of the two ends, and what each refusal is to a socket with a peer, null for nothing. */
const FAMILIES = [
  {
    any: "0.0.0.0",
    near: "10.77.0.1",
    far: "10.77.0.2",
    icmp: "icmp",
    option: IP_RECVERR,
    kinds: {
      "net-unreachable": ["ENETUNREACH", false],
      "host-unreachable": ["EHOSTUNREACH", false],
      "prot-unreachable": ["ENOPROTOOPT", true],
      "port-unreachable": ["ECONNREFUSED", true],
      "net-prohibited": ["ENETUNREACH", true],
      "host-prohibited": ["EHOSTUNREACH", true],
      "admin-prohibited": ["EHOSTUNREACH", true],
    },
  },
  {
    any: "::",
    near: "fd77::1",
    far: "fd77::2",
    icmp: "icmpv6",
    option: IPV6_RECVERR,
    kinds: {
      "no-route": ["ENETUNREACH", false],
      "admin-prohibited": ["EACCES", true],
      "addr-unreachable": ["EHOSTUNREACH", false],
      "port-unreachable": ["ECONNREFUSED", true],
    },
  },
] as const;

/** The loops of a socket; each gives what it hears. */
const LOOPS: Readonly<Record<string, (socket: UdpSocket) => AsyncIterable<string>>> = {
  async *"for await"(socket) {
    for await (const [data] of socket) yield text(data);
  },
  async *"messages()"(socket) {
    for await (const { data } of socket.messages()) yield text(data);
  },
  async *"batches()"(socket) {
    for await (const batch of socket.batches()) for (let i = 0; i < batch.length; i++) yield text(batch.data(i));
  },
};

/** Has the other end refuse so, by a firewall that is gone with its namespace. */
async function refuse(where: Namespace, icmp: string, kind: string): Promise<void> {
  await where.exec(
    "nft",
    `flush ruleset; add table inet test; add chain inet test input { type filter hook input priority 0; }; ` +
      `add rule inet test input udp dport ${REFUSING} reject with ${icmp} type ${kind}`,
  );
}

/** Asserts that no loop ends while `provoke` has something reported. */
async function assertLoopsGoOn(
  socket: UdpSocket,
  answer: (word: Uint8Array) => Promise<number>,
  provoke: () => Promise<void>,
): Promise<void> {
  for (const [name, loop] of Object.entries(LOOPS)) {
    const heard: string[] = [];
    const over = (async () => {
      for await (const word of loop(socket)) {
        heard.push(word);
        if (word === "end") break;
      }
    })();
    for (const word of ["one", "end"]) {
      await provoke();
      await answer(bytes(word));
      await Promise.race([over, until(() => heard.includes(word))]);
    }
    await over;
    assertEquals(heard, ["one", "end"], name);
  }
}

for (const { any, near, far, icmp, option, kinds } of FAMILIES) {
  test(`what a firewall refuses by ${icmp} ends no loop, and is told of its own destination alone`, NEEDS, async () => {
    await withPair(async (left, right) => {
      // A machine is not to send many errors a second: here all are wanted.
      for (
        const [name, value] of [["ipv4.icmp_ratemask", "0"], ["ipv6.icmp.ratelimit", "0"], [
          "ipv6.icmp.ratemask",
          "255",
        ]]
      ) {
        right.sysctl(`net.${name}`, value!);
      }
      using refusing = right.inside(() => bindUdp({ hostname: far, port: REFUSING }));
      using healthy = right.inside(() => bindUdp({ hostname: far, port: HEALTHY }));
      using marks = left.inside(() => bindUdp({ hostname: any }));
      /** Waits until the other end has answered all that was sent to it. */
      const answered = async () => {
        await marks.send(new Uint8Array(), healthy.addr);
        while ((await healthy.receive(undefined, soon()))[0].byteLength > 0);
      };
      for (const [kind, [code, isTold]] of Object.entries(kinds)) {
        await refuse(right, icmp, kind);

        // With a peer: the next call is told, a loop goes on.
        using connected = left.inside(() => bindUdp({ hostname: any }));
        connected.connect(refusing.addr);
        connected.trySend(bytes("x"));
        await answered();
        if (isTold) {
          const error = await assertRejects(() => connected.receive(undefined, soon())) as SystemError;
          assertEquals(error.code, code, kind);
        }
        assertEquals(connected.tryReceive(), null);
        await assertLoopsGoOn(connected, (word) => refusing.send(word, connected.addr), async () => {
          try {
            connected.trySend(bytes("x"));
          } catch (error) {
            // Two of them may come before the loop has its turn.
            assertEquals((error as SystemError).code, code);
          }
          await answered();
        });

        // Without: nobody is told who did not ask, and who asks, by the error queue alone.
        for (const asks of [false, true]) {
          using socket = left.inside(() => bindUdp({ hostname: any, options: asks ? [option.to(true)] : [] }));
          const { port } = socket.addr;
          await assertLoopsGoOn(socket, (word) => refusing.send(word, { hostname: near, port }), async () => {
            await socket.send(bytes("x"), refusing.addr);
            await answered();
          });
          const batch = new DatagramBatch();
          for (let i = 0; i < 20; i++) {
            batch.add(Uint8Array.of(i, i), { remoteAddr: (i % 2 ? refusing : healthy).addr });
            await socket.send(Uint8Array.of(i, i), refusing.addr);
            assertEquals(await socket.send(Uint8Array.of(i), healthy.addr), 1);
            assertEquals((await healthy.receive(undefined, soon()))[0][0], i);
          }
          assertEquals([await socket.sendBatch(batch), batch.sent], [20, 20]);
          for (let i = 0; i < 20; i += 2) assertEquals((await healthy.receive(undefined, soon()))[0][0], i);
          await answered();
          let reports = 0;
          for (;;) {
            const report = socket.socket.tryReceiveMessage({ errorQueue: true });
            if (report === null) break;
            const [about] = report.control;
            assert(about?.name === "IP_RECVERR" || about?.name === "IPV6_RECVERR");
            assertEquals([about.error.code, about.error.origin], [code, icmp === "icmp" ? "icmp" : "icmp6"]);
            const { hostname, port } = report.remoteAddr as { hostname: string; port: number };
            assertEquals([hostname, port], [far, REFUSING]);
            reports++;
          }
          // One for each that went there, by a loop, by send() and by the batch.
          assertEquals(reports, asks ? 2 * Object.keys(LOOPS).length + 20 + 10 : 0, kind);
        }
      }
    });
  });
}

for (
  const [any, hostname, option, header] of [
    ["0.0.0.0", "10.77.3.2", IP_RECVERR, 28],
    ["::", "fd77:3::2", IPV6_RECVERR, 48],
  ] as const
) {
  test(
    `a router to ${hostname} that takes no datagram of a size ends no loop, and fails none of another size`,
    NEEDS,
    async () => {
      await withRoute(async (near, _first, second, far) => {
        let known = 1500;
        using peer = far.inside(() => bindUdp({ hostname }));
        for (const kind of ["connected", "asking"]) {
          // The path gets narrower each time, and the first datagram to find out is lost.
          const provoke = async () => {
            await second.ip("link", "set", "right3", "mtu", `${known - 10}`);
            socket.trySend(new Uint8Array(known - header), to);
            known -= 10;
            // A socket has what was known when it was connected.
            await until(() => {
              using looks = near.inside(() => bindUdp({ hostname: any }));
              looks.connect(peer.addr);
              return (any === "::" ? IPV6_MTU : IP_MTU).get(looks) === known;
            });
          };
          const options = kind === "asking" ? [option.to(true)] : [];
          using socket = near.inside(() => bindUdp({ hostname: any, options }));
          if (kind === "connected") socket.connect(peer.addr);
          const to = kind === "connected" ? undefined : peer.addr;
          // An own address, by which the peer can answer.
          await socket.send(bytes("first"), to);
          const [, from] = await peer.receive(undefined, soon());
          await assertLoopsGoOn(socket, (word) => peer.send(word, from), provoke);
          // Who sends next is not blamed for it.
          await provoke();
          assertEquals(socket.trySend(bytes("small"), to), 5);
          await provoke();
          assertEquals(await socket.sendMessage({ data: bytes("small"), ...(to && { remoteAddr: to }) }), 5);
          await provoke();
          assertEquals(await socket.sendBatch([{ data: bytes("small"), ...(to && { remoteAddr: to }) }]), 1);
          for (let i = 0; i < 3; i++) assertEquals(text((await peer.receive(undefined, soon()))[0]), "small");
          if (kind === "connected") {
            await provoke();
            const error = await assertRejects(() => socket.receive(undefined, soon())) as SystemError;
            assertEquals(error.code, "EMSGSIZE");
            assert(error.message.endsWith("an earlier datagram was larger than the path takes"), error.message);
          }
        }
      });
    },
  );
}
