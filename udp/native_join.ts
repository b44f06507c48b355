// joinMulticastV4 and joinMulticastV6 on sockets of our own, with what Deno's give.
// The same by Deno's own calls: deno_join.ts. Joining with everything the kernel offers: multicast/join.ts.
import { decorated } from "../internal/deno_error.ts";
import { errnoNumber, systemErrorOf } from "../internal/errno.ts";
import {
  IP_ADD_MEMBERSHIP,
  IP_DROP_MEMBERSHIP,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IPV6_JOIN_GROUP,
  IPV6_LEAVE_GROUP,
  IPV6_MULTICAST_LOOP,
} from "../options/mod.ts";
import type { Socket } from "../socket/socket.ts";
import { checkJoinV4, checkJoinV6, JOIN_REMEDIES } from "./deno_join.ts";

/** Joins an IPv4 group by an address of the interface, "0.0.0.0" for the kernel's choice. */
export async function joinNativeV4(
  socket: Socket<"inet" | "inet6">,
  group: string,
  networkInterface: string,
): Promise<Deno.MulticastV4Membership> {
  const doing = checkJoinV4(group, networkInterface);
  const request = { group, interface: networkInterface };
  await step(doing, () => IP_ADD_MEMBERSHIP.set(socket, request));
  return {
    leave: () => step(`Cannot leave group ${JSON.stringify(group)}`, () => IP_DROP_MEMBERSHIP.set(socket, request)),
    setLoopback: (loopback) => step(doing, () => IP_MULTICAST_LOOP.set(socket, loopback)),
    setTTL: (ttl) => step(doing, () => IP_MULTICAST_TTL.set(socket, ttl)),
  };
}

/** Joins an IPv6 group by the index of the interface, 0 for the kernel's choice. */
export async function joinNativeV6(
  socket: Socket<"inet" | "inet6">,
  group: string,
  networkInterface: number,
): Promise<Deno.MulticastV6Membership> {
  const doing = checkJoinV6(group, networkInterface);
  const request = networkInterface === 0 ? { group } : { group, interface: networkInterface };
  await step(doing, () => {
    // As the kernel says it of an IPv4 socket.
    if (socket.family === "inet") {
      throw systemErrorOf(errnoNumber("ENOPROTOOPT"), "setsockopt", doing, JOIN_REMEDIES);
    }
    IPV6_JOIN_GROUP.set(socket, request);
  });
  return {
    leave: () => step(`Cannot leave group ${JSON.stringify(group)}`, () => IPV6_LEAVE_GROUP.set(socket, request)),
    setLoopback: (loopback) => step(doing, () => IPV6_MULTICAST_LOOP.set(socket, loopback)),
  };
}

/** Deno's own calls are asynchronous, so are these. */
function step(doing: string, call: () => unknown): Promise<void> {
  return Promise.try(() => {
    try {
      call();
    } catch (error) {
      // The kernel has not seen an interface that could not be found.
      if (error instanceof Deno.errors.NotFound && !("code" in error)) {
        throw systemErrorOf(errnoNumber("ENODEV"), "setsockopt", doing, JOIN_REMEDIES);
      }
      throw decorated(error, "setsockopt", doing, JOIN_REMEDIES);
    }
  });
}
