// What a socket that listens to an IPv6 group is to hear on Linux: that group alone, by its own interfaces alone.
// What IPv4 needs for that is an option, IP_MULTICAST_ALL: listen.ts. Joining on one more interface: join.ts.
import { descriptorOf } from "../internal/descriptor.ts";
import { hasFilter } from "../internal/membership.ts";
import { type FilterProgram, SO_ATTACH_FILTER, SO_DETACH_FILTER, type SocketLike } from "../options/mod.ts";
import { assembleFilter } from "../socket/filter.ts";
import type { Group } from "./group.ts";

/** More than a filter can tell apart: a jump leads over 255 instructions at most. */
const MOST = 200;

/** What a socket lets pass. */
export interface Scope {
  readonly group: Group;
  /** Whether the socket is bound to "::", so that it would hear what is sent to any address. */
  readonly wide: boolean;
  /** The interfaces, by index; null for all. */
  readonly indices: readonly number[] | null;
}

const scopes = new WeakMap<SocketLike, Scope>();

/**
 * The packet filter that says so; null where nothing has to be said. To the kernel a socket that joined an IPv6 group has
 * joined it wherever anybody has.
 */
export function filterOf({ group, wide, indices }: Scope): FilterProgram | null {
  const told = indices === null || indices.length > MOST ? [] : indices;
  if (!wide && told.length === 0) return null;
  // Offsets from here on are in the header of IP, where the destination is at 24 (RFC 8200 section 3).
  const header = 0xfff00000;
  const words = wide ? [0, 4, 8, 12] : [];
  return assembleFilter(`
          ${told.length > 0 ? "ld ifidx" : ""}
          ${told.map((index) => `jeq #${index}, here`).join("\n")}
          ${told.length > 0 ? "ret #0" : ""}
    here: ldb [${header}]
          rsh #4
          jne #6, drop
          ${words.map((at) => `ld [${header + 24 + at}]\njne #${wordAt(group.bytes, at)}, drop`).join("\n")}
          ret #-1
    drop: ret #0
  `);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes.subarray(at, at + 4).reduce((word, byte) => word * 256 + byte, 0);
}

/** Remembers what the filter of a socket says. */
export function setScope(socket: SocketLike, scope: Scope): void {
  scopes.set(socket, scope);
}

/** What the filter that this library gave a socket says; null where there is none, or the user set another since. */
export function getScope(socket: SocketLike): Scope | null {
  const scope = scopes.get(socket);
  if (scope === undefined) return null;
  const doing = "Cannot read the packet filter";
  if (hasFilter(descriptorOf(socket, doing), filterOf(scope), doing)) return scope;
  scopes.delete(socket);
  return null;
}

/** Lets pass what comes by these interfaces alone. */
export function narrowScope(socket: SocketLike, indices: readonly number[]): void {
  const scope = getScope(socket);
  if (scope !== null) change(socket, scope, indices);
}

/**
 * Lets pass what comes by one more interface, where the group is about to be joined on a socket that listens to it.
 *
 * @returns Whether it did not pass before.
 */
export function widenScope(socket: SocketLike, group: Group, index: number): boolean {
  const scope = getScope(socket);
  if (scope?.group.text !== group.text || scope.indices === null || scope.indices.includes(index)) return false;
  change(socket, scope, [...scope.indices, index]);
  return true;
}

/** Lets pass no more what comes by an interface, where the group was left. On the last of them it is not heard anyway. */
export function leaveScope(socket: SocketLike, group: Group, index: number): void {
  const scope = getScope(socket);
  if (scope?.group.text !== group.text || scope.indices === null || scope.indices.length === 1) return;
  const others = scope.indices.filter((one) => one !== index);
  if (others.length < scope.indices.length) change(socket, scope, others);
}

function change(socket: SocketLike, before: Scope, indices: readonly number[]): void {
  const scope = { ...before, indices };
  const filter = filterOf(scope);
  if (filter !== null) SO_ATTACH_FILTER.set(socket, filter);
  else if (filterOf(before) !== null) SO_DETACH_FILTER.set(socket, undefined);
  scopes.set(socket, scope);
}
