// The error queue: what routers and hosts send back by ICMP, by UDP, ping and raw sockets, IPv4 and IPv6, over a cable.
// How single messages are read from their bytes: ../cmsg_test.ts. That a wait is woken: ../socket/error_queue_test.ts.
import { assertEquals } from "@std/assert";
import {
  IP_MTU_DISCOVER,
  IP_PMTUDISC_DO,
  IP_RECVERR,
  IP_TTL,
  IPV6_MTU_DISCOVER,
  IPV6_RECVERR,
  IPV6_UNICAST_HOPS,
} from "../../options/mod.ts";
import { type QueuedError, Socket } from "../../socket/mod.ts";
import { type Namespace, NAMESPACES, withPair } from "../multicast/namespace.ts";
import { test } from "../socket/make.ts";
import { echoRequest } from "../socket/packets.ts";

/** Right is a router. */
async function withRouter(body: (left: Namespace) => Promise<void>): Promise<void> {
  await withPair(async (left, right) => {
    right.sysctl("net.ipv4.ip_forward", "1");
    right.sysctl("net.ipv6.conf.all.forwarding", "1");
    // A machine is not to send many errors a second: here all are wanted.
    right.sysctl("net.ipv4.icmp_ratelimit", "0");
    right.sysctl("net.ipv6.icmp.ratelimit", "0");
    for (const net of ["10.88.0.0/16", "10.89.0.0/16"]) await left.ip("route", "add", net, "via", "10.77.0.2");
    for (const net of ["fd88::/64", "fd89::/64"]) await left.ip("-6", "route", "add", net, "via", "fd77::2");
    // It knows a way to the first of them.
    await right.ip("route", "add", "10.88.0.0/16", "dev", "spare0");
    await right.ip("-6", "route", "add", "fd88::/64", "dev", "spare0");
    left.sysctl("net.ipv4.ping_group_range", "0 2147483647");
    await body(left);
  });
}

/** What the network did not deliver: whom it was for, what it was, and the error that came of it. */
async function queued(socket: Socket): Promise<{ data: Uint8Array; to: unknown; error: QueuedError }> {
  const { data, remoteAddr, control } = await socket.receiveMessage({
    errorQueue: true,
    signal: AbortSignal.timeout(5_000),
  });
  const [message] = control.filter(({ name }) => name === "IP_RECVERR" || name === "IPV6_RECVERR");
  if (message?.name !== "IP_RECVERR" && message?.name !== "IPV6_RECVERR") throw new Error(Deno.inspect(control));
  assertEquals(message.name, socket.family === "inet" ? "IP_RECVERR" : "IPV6_RECVERR");
  return { data, to: remoteAddr, error: message.error };
}

const KINDS = {
  udp: [() => Socket.open("inet", "dgram", "udp"), () => Socket.open("inet6", "dgram", "udp")],
  ping: [() => Socket.open("inet", "dgram", "icmp"), () => Socket.open("inet6", "dgram", "icmp6")],
  raw: [() => Socket.open("inet", "raw", "icmp"), () => Socket.open("inet6", "raw", "icmp6")],
} as const;

/** The address of the router, one that it would pass a packet on to, one that it has no route to, and what it then says. */
const FAMILIES = [
  {
    version: 4,
    router: "10.77.0.2",
    behind: "10.88.0.1",
    nowhere: "10.89.0.1",
    origin: "icmp",
    exceeded: 11,
    noRoute: [3, 0],
  },
  {
    version: 6,
    router: "fd77::2",
    behind: "fd88::1",
    nowhere: "fd89::1",
    origin: "icmp6",
    exceeded: 3,
    noRoute: [1, 0],
  },
] as const;

for (const [kind, opens] of Object.entries(KINDS)) {
  test(`errors of ${kind} sockets name the router that complained, its type and code`, NAMESPACES, async () => {
    await withRouter(async (left) => {
      for (const [i, { version, router, behind, nowhere, origin, exceeded, noRoute }] of FAMILIES.entries()) {
        const family = version === 4 ? "inet" : "inet6";
        using socket = left.inside<Socket<"inet" | "inet6">>(opens[i]!);
        (version === 4 ? IP_RECVERR : IPV6_RECVERR).set(socket, true);
        const payload = kind === "udp" ? Uint8Array.of(1, 2, 3) : echoRequest(version, 0, 1, Uint8Array.of(1, 2, 3));
        const port = kind === "udp" ? { port: 33434 } : {};
        // This one first: Linux says so no more than once a second, unless nothing was said before.
        await socket.sendTo(payload, { hostname: nowhere, ...port });
        const { error } = await queued(socket);
        assertEquals([error.code, error.type, error.icmpCode], ["ENETUNREACH", ...noRoute]);
        assertEquals(error.offender?.hostname, router);
        // One hop is not enough.
        (version === 4 ? IP_TTL : IPV6_UNICAST_HOPS).set(socket, 1);
        await socket.sendTo(payload, { hostname: behind, ...port });
        const first = await queued(socket);
        assertEquals(first.error, {
          code: "EHOSTUNREACH",
          origin,
          type: exceeded,
          icmpCode: 0,
          info: 0,
          offender: { family, hostname: router, port: 0 },
        });
        assertEquals((first.to as { hostname: string }).hostname, behind);
        if (kind === "udp") assertEquals([[...first.data], (first.to as { port: number }).port], [[1, 2, 3], 33434]);
        else assertEquals([...first.data.subarray(-3)], [1, 2, 3], "what was sent comes back");
        assertEquals(socket.tryReceiveMessage({ errorQueue: true }), null);
      }
    });
  });
}

test("an error of this machine itself has origin local, and the path's MTU as info", NAMESPACES, async () => {
  await withRouter(async (left) => {
    await left.ip("link", "set", left.device, "mtu", "1400");
    for (const { version, router } of FAMILIES) {
      using socket = left.inside(() => Socket.open(version === 4 ? "inet" : "inet6", "dgram"));
      (version === 4 ? IP_RECVERR : IPV6_RECVERR).set(socket, true);
      (version === 4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER).set(socket, IP_PMTUDISC_DO);
      const failed = await socket.sendTo(new Uint8Array(1500), { hostname: router, port: 9 }).catch((error) => error);
      assertEquals(failed.code, "EMSGSIZE");
      const { error } = await queued(socket);
      assertEquals(error, { code: "EMSGSIZE", origin: "local", type: 0, icmpCode: 0, info: 1400, offender: null });
    }
  });
});

test("the MTU of a narrower link comes from the router before it", NAMESPACES, async () => {
  await withPair(async (left, right) => {
    right.sysctl("net.ipv4.ip_forward", "1");
    right.sysctl("net.ipv6.conf.all.forwarding", "1");
    await right.ip("link", "set", "spare0", "mtu", "1300");
    await right.ip("address", "add", "10.99.0.1/24", "dev", "spare0");
    await right.ip("address", "add", "fd99::1/64", "dev", "spare0", "nodad");
    await left.ip("route", "add", "10.99.0.0/24", "via", "10.77.0.2");
    await left.ip("-6", "route", "add", "fd99::/64", "via", "fd77::2");
    for (const { version, router, origin } of FAMILIES) {
      using socket = left.inside(() => Socket.open(version === 4 ? "inet" : "inet6", "dgram"));
      (version === 4 ? IP_RECVERR : IPV6_RECVERR).set(socket, true);
      (version === 4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER).set(socket, IP_PMTUDISC_DO);
      await socket.sendTo(new Uint8Array(1400), { hostname: version === 4 ? "10.99.0.2" : "fd99::2", port: 9 });
      const { error } = await queued(socket);
      assertEquals([error.code, error.origin, error.info], ["EMSGSIZE", origin, 1300]);
      assertEquals([error.type, error.icmpCode], version === 4 ? [3, 4] : [2, 0]);
      assertEquals(error.offender?.hostname, router);
    }
  });
});
