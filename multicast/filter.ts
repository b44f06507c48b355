// A group on one interface of one socket: joined with its filter, filtered anew, left; each all or nothing.
// On which interfaces: join.ts, follow.ts. Reading filters and what options cannot do: internal/membership.ts.
import { decorated } from "../internal/deno_error.ts";
import type { Descriptor } from "../internal/descriptor.ts";
import { canReadFilters, type KernelFilter, readFilter } from "../internal/membership.ts";
import {
  MCAST_JOIN_GROUP,
  MCAST_JOIN_SOURCE_GROUP,
  MCAST_LEAVE_GROUP,
  MCAST_MSFILTER,
  type SocketLike,
} from "../options/mod.ts";
import { JOIN_REMEDIES } from "../udp/deno_join.ts";
import type { Group } from "./group.ts";
import { leaveScope, widenScope } from "./scope.ts";

/** A place where a group is joined; index 0 where the kernel chose and does not tell. */
export interface Place {
  readonly index: number;
  readonly name: string | null;
}

/** The group on an interface, as options take it. */
export function requestAt(group: Group, index: number): { group: string; interface?: number } {
  return index === 0 ? { group: group.text } : { group: group.text, interface: index };
}

/** What to do about the kernel's limits: on groups of a socket, or on senders of a group. */
export function limitRemedies(group: Group, senders: boolean): Readonly<Record<string, string>> {
  const limit = !senders
    ? "it has joined as many groups as a socket may, net.ipv4.igmp_max_memberships: raise that, or use another socket"
    : `it names more senders than a group may have, ${
      group.family === "inet" ? "net.ipv4.igmp_max_msf" : "net.ipv6.mld_max_msf"
    }: raise that, or name fewer`;
  const memory =
    "the socket has no memory left for groups and senders, net.core.optmem_max: raise that, or use another socket";
  // IPv6 has no limit on groups but that of memory.
  return { ENOBUFS: group.family === "inet6" && !senders ? memory : limit, ENOMEM: memory };
}

/** Joins: with an empty filter of the mode "include" nothing is done, as that is no membership (RFC 3376 section 3.2). */
export function joinAt(socket: SocketLike, group: Group, filter: KernelFilter, index: number, doing: string): void {
  const request = requestAt(group, index);
  const { mode, sources } = filter;
  let widened = false, joined = false;
  try {
    widened = index !== 0 && widenScope(socket, group, index);
    if (mode === "exclude") {
      MCAST_JOIN_GROUP.set(socket, request);
      joined = true;
      if (sources.length > 0) MCAST_MSFILTER.set(socket, { ...request, mode, sources });
    } else {
      for (const source of sources) {
        MCAST_JOIN_SOURCE_GROUP.set(socket, { ...request, source });
        joined = true;
      }
    }
  } catch (error) {
    if (joined) MCAST_LEAVE_GROUP.set(socket, request);
    if (widened) leaveScope(socket, group, index);
    throw decorated(error, "setsockopt", doing, { ...JOIN_REMEDIES, ...limitRemedies(group, joined) });
  }
}

/** Brings back a filter that was read before; null for no membership. */
export function restoreAt(
  socket: SocketLike,
  found: Descriptor,
  group: Group,
  before: KernelFilter | null,
  index: number,
  doing: string,
): void {
  if (!canReadFilters()) return;
  const now = readFilter(found, group.bytes, index, doing);
  if (before === null) {
    if (now !== null) MCAST_LEAVE_GROUP.set(socket, requestAt(group, index));
  } else if (now === null) joinAt(socket, group, before, index, doing);
  else MCAST_MSFILTER.set(socket, { ...requestAt(group, index), ...before });
}
