// A group that was joined: where, with which filter, and how it is left.
// How it comes about: join.ts; how it follows the machine: follow.ts. What is done on each interface: filter.ts.
import { shown } from "../internal/argument.ts";
import { decorated } from "../internal/deno_error.ts";
import { descriptorOf } from "../internal/descriptor.ts";
import { notCapable } from "../internal/ffi.ts";
import { canReadFilters, type KernelFilter, leaveGroup, readFilter } from "../internal/membership.ts";
import { interfaceNameOf } from "../internal/netif.ts";
import {
  MCAST_BLOCK_SOURCE,
  MCAST_JOIN_SOURCE_GROUP,
  MCAST_LEAVE_SOURCE_GROUP,
  MCAST_MSFILTER,
  MCAST_UNBLOCK_SOURCE,
  type SocketLike,
  type SourceFilter,
} from "../options/mod.ts";
import { joinAt, limitRemedies, type Place, requestAt, restoreAt } from "./filter.ts";
import { type Group, sourceOf, sourcesOf } from "./group.ts";
import type { InterfaceChange } from "./interfaces.ts";
import { leaveScope } from "./scope.ts";

/**
 * A group that was joined, made by `joinGroup` and `listenMulticast`. It ends with `leave()`, with `await using`, or when
 * the socket is closed.
 *
 * Without `--allow-ffi` it can be left and nothing else: the other methods throw `Deno.errors.NotCapable`.
 */
export interface Membership extends AsyncDisposable {
  /** The group, without a zone. */
  readonly group: string;
  /**
   * The names of the interfaces where it is joined now, asked of the kernel; none once it is left or the socket closed.
   * On macOS, and without `--allow-ffi`, as it was given at the join; none when it was left to the system.
   */
  readonly interfaces: readonly string[];
  /**
   * The filter in force, read from the kernel (on Linux alone); with several interfaces, that of the first.
   *
   * @returns Mode and senders; a membership for any sender is mode "exclude" with no senders (RFC 3376 section 3.2).
   */
  sources(): SourceFilter;
  /** Hears this sender no more: excludes it, or takes it from those included. */
  blockSource(source: string): Promise<void>;
  /** Hears this sender again: excludes it no more, or adds it to those included. */
  unblockSource(source: string): Promise<void>;
  /** Replaces the filter: hears these senders alone, or all but these. */
  setSources(mode: "include" | "exclude", sources: readonly string[]): Promise<void>;
  /**
   * Told of each change of a network interface once the membership has followed it, with `{ all: true }`: `interfaces` is
   * up to date by then. It is called for interfaces that cannot multicast, too.
   */
  onChange?: (change: InterfaceChange) => void;
  /** Leaves the group; a second time throws `Deno.errors.BadResource`. */
  leave(): Promise<void>;
}

/** What both kinds share: a membership is left once. */
abstract class Ended {
  readonly group: string;
  #left = false;

  constructor(group: Group) {
    this.group = group.text;
  }

  protected get left(): boolean {
    return this.#left;
  }

  protected refuseLeft(doing: string): void {
    if (this.#left) throw new Deno.errors.BadResource(`${doing}: the group was left already`);
  }

  /** Leaves, whether or not it succeeds: what fails here is gone already. */
  protected abstract end(doing: string): Promise<void>;

  async leave(): Promise<void> {
    const doing = `Cannot leave group ${shown(this.group)}`;
    this.refuseLeft(doing);
    this.#left = true;
    await this.end(doing);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left) return;
    try {
      await this.leave();
    } catch (error) {
      // The socket was closed before, and the group left with it.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}

/** What refusals to change a filter mean. */
function filterRemedies(group: Group): Readonly<Record<string, string>> {
  const already = "the filter is so already";
  return { ...limitRemedies(group, true), EADDRNOTAVAIL: already, EINVAL: already };
}

/** A membership by FFI. */
export class KernelMembership extends Ended implements Membership {
  onChange?: (change: InterfaceChange) => void;
  readonly #socket: SocketLike;
  readonly #group: Group;
  #places: readonly Place[];
  /** The filter that is to be in force wherever it is joined. */
  #filter: KernelFilter;
  /** Ends what follows the machine. */
  #unfollow: (() => void) | undefined;

  constructor(socket: SocketLike, group: Group, places: readonly Place[], filter: KernelFilter) {
    super(group);
    this.#socket = socket;
    this.#group = group;
    this.#places = places;
    this.#filter = filter;
  }

  get interfaces(): readonly string[] {
    return this.joinedNow().map(({ name }) => name).filter((name) => name !== null);
  }

  /** Where it is joined now. */
  joinedNow(): readonly Place[] {
    if (this.left) return [];
    const doing = `Cannot read the interfaces of group ${shown(this.group)}`;
    try {
      descriptorOf(this.#socket, doing);
    } catch (error) {
      if (error instanceof Deno.errors.BadResource) return [];
      throw error;
    }
    if (!canReadFilters()) return this.#places;
    return this.#here(doing).filter(({ index }) => this.#read(index, doing) !== null);
  }

  /** The places whose interface is still there, under the name it has now; a socket keeps a membership on one that is gone. */
  #here(doing: string): readonly Place[] {
    return this.#places
      .map(({ index, name }) => ({ index, name: index === 0 ? name : interfaceNameOf(index, doing) }))
      .filter(({ index, name }) => index === 0 || name !== null);
  }

  sources(): SourceFilter {
    const doing = `Cannot read the sources of group ${shown(this.group)}`;
    this.refuseLeft(doing);
    const here = this.#here(doing);
    const filters = here.map(({ index }) => this.#read(index, doing));
    // A filter that includes nobody is, to the kernel, no membership (RFC 3376 section 3.2).
    const { mode, sources } = filters.find((filter) => filter !== null) ?? { mode: "include", sources: [] };
    const name = here.length === 1 ? here[0]!.name : null;
    return { group: this.group, ...(name === null ? {} : { interface: name }), mode, sources };
  }

  async blockSource(source: string): Promise<void> {
    const doing = `Cannot block source ${shown(source)} of group ${shown(this.group)}`;
    await this.#change(source, doing, true);
  }

  async unblockSource(source: string): Promise<void> {
    const doing = `Cannot unblock source ${shown(source)} of group ${shown(this.group)}`;
    await this.#change(source, doing, false);
  }

  #change(given: string, doing: string, block: boolean): Promise<void> {
    return this.#tried(doing, filterRemedies(this.#group), () => {
      const source = sourceOf(given, this.#group, doing);
      this.refuseLeft(doing);
      this.#everywhere(doing, (index, before) => {
        const excludes = (canReadFilters() ? before?.mode : this.#filter.mode) === "exclude";
        const option = excludes
          ? block ? MCAST_BLOCK_SOURCE : MCAST_UNBLOCK_SOURCE
          : block
          ? MCAST_LEAVE_SOURCE_GROUP
          : MCAST_JOIN_SOURCE_GROUP;
        option.set(this.#socket, { ...requestAt(this.#group, index), source });
      });
      const { mode, sources } = this.#filter;
      const others = sources.filter((one) => one !== source);
      this.#filter = { mode, sources: block === (mode === "exclude") ? [...others, source] : others };
    });
  }

  async setSources(mode: "include" | "exclude", given: readonly string[]): Promise<void> {
    const doing = `Cannot set the sources of group ${shown(this.group)}`;
    await this.#tried(doing, filterRemedies(this.#group), () => {
      if (mode !== "include" && mode !== "exclude") {
        throw new TypeError(`${doing}: the mode is ${shown(mode)}, it must be "include" or "exclude"`);
      }
      const sources = sourcesOf(given, this.#group, doing);
      this.refuseLeft(doing);
      const filter = { mode, sources };
      this.#everywhere(doing, (index, before) => {
        if (canReadFilters() && before === null) joinAt(this.#socket, this.#group, filter, index, doing);
        else MCAST_MSFILTER.set(this.#socket, { ...requestAt(this.#group, index), ...filter });
      });
      this.#filter = filter;
    });
  }

  /** Changes the filter on every interface, or on none: where one refuses, the others get back what they had. */
  #everywhere(doing: string, change: (index: number, before: KernelFilter | null) => void): void {
    const begun: [number, KernelFilter | null][] = [];
    try {
      for (const { index } of this.#here(doing)) {
        const before = canReadFilters() ? this.#read(index, doing) : null;
        begun.push([index, before]);
        change(index, before);
      }
    } catch (error) {
      const found = descriptorOf(this.#socket, doing);
      for (const [index, before] of begun) restoreAt(this.#socket, found, this.#group, before, index, doing);
      throw error;
    }
  }

  /** From now on it follows the machine, until this is called. */
  follows(unfollow: () => void): void {
    this.#unfollow = unfollow;
  }

  /** Whether it is to be joined on an interface. */
  has(index: number): boolean {
    return this.#places.some((place) => place.index === index);
  }

  /** Joins on one more interface. */
  joinOn({ index, name }: Place, doing: string): void {
    joinAt(this.#socket, this.#group, this.#filter, index, doing);
    this.#places = [...this.#places, { index, name }];
  }

  /** Leaves on one, also when it is gone. */
  leaveOn(index: number, doing: string): void {
    this.#places = this.#places.filter((place) => place.index !== index);
    this.#leaveAt(index, doing);
  }

  #leaveAt(index: number, doing: string): void {
    leaveGroup(descriptorOf(this.#socket, doing), this.#group.bytes, index, doing);
    leaveScope(this.#socket, this.#group, index);
  }

  protected override end(doing: string): Promise<void> {
    this.#unfollow?.();
    return this.#tried(doing, {}, () => {
      // Once closed, all is left.
      descriptorOf(this.#socket, doing);
      for (const { index } of this.#places) {
        // A filter that includes nobody has left the group already.
        if (!canReadFilters() || this.#read(index, doing) !== null) this.#leaveAt(index, doing);
      }
    });
  }

  #read(index: number, doing: string): KernelFilter | null {
    return readFilter(descriptorOf(this.#socket, doing), this.#group.bytes, index, doing);
  }

  /** Runs the calls, whose errors then say what was being done. */
  // deno-lint-ignore require-await -- what is thrown must become a rejection
  async #tried(doing: string, remedies: Readonly<Record<string, string>>, calls: () => void): Promise<void> {
    try {
      calls();
    } catch (error) {
      throw decorated(error, "setsockopt", doing, remedies);
    }
  }
}

/** A membership by Deno's own calls: it can be left. */
export class DenoMembership extends Ended implements Membership {
  onChange?: (change: InterfaceChange) => void;
  readonly #names: readonly string[];
  readonly #parts: readonly (Deno.MulticastV4Membership | Deno.MulticastV6Membership)[];

  constructor(
    group: Group,
    names: readonly string[],
    parts: readonly (Deno.MulticastV4Membership | Deno.MulticastV6Membership)[],
  ) {
    super(group);
    this.#names = names;
    this.#parts = parts;
  }

  get interfaces(): readonly string[] {
    return this.left ? [] : this.#names;
  }

  sources(): SourceFilter {
    throw notCapable(`Cannot read the sources of group ${shown(this.group)}`);
  }

  blockSource(source: string): Promise<void> {
    return Promise.reject(notCapable(`Cannot block source ${shown(source)} of group ${shown(this.group)}`));
  }

  unblockSource(source: string): Promise<void> {
    return Promise.reject(notCapable(`Cannot unblock source ${shown(source)} of group ${shown(this.group)}`));
  }

  setSources(_mode: "include" | "exclude", _sources: readonly string[]): Promise<void> {
    return Promise.reject(notCapable(`Cannot set the sources of group ${shown(this.group)}`));
  }

  protected override async end(doing: string): Promise<void> {
    const results = await Promise.allSettled(this.#parts.map((part) => part.leave()));
    const failure = results.find((result) => result.status === "rejected");
    if (failure !== undefined) throw decorated(failure.reason, "setsockopt", doing);
  }
}
