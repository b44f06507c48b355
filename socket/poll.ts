// poll() and Poller: waits for several sockets at once, also for Deno's own and node's.
// A call that waits for its own socket: socket.ts, waits.ts. How the kernel is asked: internal/reactor_epoll.ts.
import { boolean, integer, object, shown } from "../internal/argument.ts";
import { constant } from "../internal/constants.ts";
import { describe, type Descriptor, descriptorOf } from "../internal/descriptor.ts";
import { check, errnoNumber, systemErrorOf } from "../internal/errno.ts";
import {
  afterTurn,
  type Entry,
  FAILED,
  hold,
  HUNG_UP,
  leave,
  PRIORITY,
  READABLE,
  release,
  wait,
  type Waiter,
  wakeWaiters,
  WRITABLE,
} from "../internal/reactor.ts";
import { OwnEpoll, PollList } from "../internal/reactor_epoll.ts";
import type { SocketLike } from "../options/mod.ts";
import { hasLeft, toldOfLeft } from "./left.ts";
import { Socket } from "./socket.ts";
import { LONGEST, signalOf, type WaitOptions } from "./waits.ts";

/** What to wait for; errors and the peer's end are always watched. */
export interface Readiness {
  /** Data, a connection or the end of the stream: POLLIN. */
  readable?: boolean;
  /** Room to send, or connected: POLLOUT. */
  writable?: boolean;
  /** Urgent data: POLLPRI. */
  priority?: boolean;
}

/** One socket to wait for. */
export interface PollEntry<S extends SocketLike = SocketLike> extends Readiness {
  /** The socket. */
  socket: S;
}

/** What came; only what was asked for is ever true, besides `error` and `hangUp`. */
export interface PollEvent<S extends SocketLike = SocketLike> extends Readonly<Required<Readiness>> {
  /** The socket, the very object given. */
  readonly socket: S;
  /** An error is pending: POLLERR. `SO_ERROR` tells which. */
  readonly error: boolean;
  /**
   * The peer is gone, the connection over in both directions: POLLHUP. A peer of TCP that has closed, as one that has only
   * finished sending, makes the socket readable: the end of the stream. A TCP socket that was never connected has hung up.
   */
  readonly hangUp: boolean;
}

/** Always watched. */
const ALWAYS = FAILED | HUNG_UP;
const INVALID = constant("POLLNVAL", "linux");
const now = performance.now.bind(performance);

/** The bits that someone asks for. */
function interestOf(readiness: Readiness, doing: string): number {
  const { readable = false, writable = false, priority = false } = readiness;
  boolean(readable, `${doing}: readable`);
  boolean(writable, `${doing}: writable`);
  boolean(priority, `${doing}: priority`);
  return ALWAYS | (readable ? READABLE : 0) | (writable ? WRITABLE : 0) | (priority ? PRIORITY : 0);
}

/** When a wait is over, on the clock of `now`. */
function deadlineOf(timeout: unknown, doing: string): number {
  if (timeout === undefined) return Infinity;
  const mustBe = `it must be a number of milliseconds from 0 to ${LONGEST}`;
  if (typeof timeout !== "number") throw new TypeError(`${doing}: timeout is ${shown(timeout)}, ${mustBe}`);
  if (!(timeout >= 0 && timeout <= LONGEST)) throw new RangeError(`${doing}: timeout is ${timeout}, ${mustBe}`);
  return timeout === 0 ? 0 : now() + timeout;
}

function optionsOf<O extends object>(options: O | undefined, doing: string): O {
  return options === undefined ? {} as O : object(options, `${doing}: the options`, "an object") as O;
}

/** The descriptor of an object that may be anything. */
function found(socket: unknown, doing: string): Descriptor {
  return descriptorOf(object(socket, `${doing}: the socket`, "an object"), doing);
}

/** Whether an object still has the descriptor that it had. */
function hasStill(socket: object, fd: number, low: number, high: number): boolean {
  try {
    // A socket of our own says itself when it is closed, at no cost.
    if (socket instanceof Socket) return socket.fd === fd;
    const is = descriptorOf(socket, "Cannot wait");
    return is.fd === fd && is.low === low && is.high === high;
  } catch {
    return false;
  }
}

function eventOf<S extends SocketLike>(socket: S, came: number): PollEvent<S> {
  return {
    socket,
    readable: (came & READABLE) !== 0,
    writable: (came & WRITABLE) !== 0,
    priority: (came & PRIORITY) !== 0,
    error: (came & FAILED) !== 0,
    hangUp: (came & HUNG_UP) !== 0,
  };
}

/** Waits until one of several descriptors is ready, the time is over, or the signal comes. Nothing is waited for any more afterwards. */
function oneReady(
  watched: readonly (readonly [entry: Entry, interest: number])[],
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const entered: [Entry, Waiter][] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const end = (settle: () => void) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      for (const [entry, waiter] of entered) leave(entry, waiter);
      settle();
    };
    const abort = () => end(() => reject(signal!.reason));
    signal?.addEventListener("abort", abort);
    if (deadline < Infinity) timer = setTimeout(() => end(resolve), Math.ceil(Math.max(0, deadline - now())));
    try {
      for (const [entry, interest] of watched) {
        const waiter: Waiter = {
          interest,
          refed: true,
          ready: () => end(resolve),
          closed: (reason) => end(() => reject(reason)),
        };
        entered.push([entry, waiter]);
        // This may tell at once.
        wait(entry, waiter);
        if (over) return;
      }
    } catch (error) {
      end(() => reject(error));
    }
  });
}

/** A descriptor that poll() looks at, for all entries that name it. */
interface Polled {
  readonly socket: object;
  readonly found: Descriptor;
  /** Where it stands in the list. */
  readonly at: number;
  interest: number;
}

/**
 * Waits until one of several sockets is ready, or tells which are ready now: poll(2), and what select(2) is for.
 *
 * What is ready is told each time, until it is used up. The sockets may be of this library, of Deno and of node, mixed; one
 * may stand in several entries. An entry that asks for nothing is told of errors and of the end of the connection. A call
 * looks at every entry: for thousands of sockets see {@linkcode Poller}.
 *
 * Linux. Needs `--allow-ffi`.
 *
 * @param entries The sockets, and what is waited for on each.
 * @param options `timeout` in milliseconds: 0 only looks, absent waits for ever; a signal that ends the wait.
 * @returns The ready ones, in the order of the entries; empty when the time is over.
 * @throws {Deno.errors.BadResource} A socket is closed, or was closed by its owner during the wait (told within 200 ms
 * when it is none of this library).
 *
 * @example Whichever comes first
 * ```ts
 * import { poll, Socket } from "@berkeley/sockets/socket";
 * import { assertEquals, assertStrictEquals } from "@std/assert";
 *
 * const [left, right] = Socket.pair();
 * const [other, silent] = Socket.pair();
 * const entries = [{ socket: left, readable: true }, { socket: other, readable: true }];
 * assertEquals(await poll(entries, { timeout: 0 }), []);
 *
 * right.trySend(new TextEncoder().encode("hello"));
 * const [event] = await poll(entries, { timeout: 1000 });
 * assertStrictEquals(event?.socket, left);
 * assertEquals(event?.readable, true);
 * for (const socket of [left, right, other, silent]) socket.close();
 * ```
 */
export async function poll<S extends SocketLike>(
  entries: readonly PollEntry<S>[],
  options?: WaitOptions & { timeout?: number },
): Promise<PollEvent<S>[]> {
  const doing = "Cannot poll";
  if (!Array.isArray(entries)) {
    throw new TypeError(`${doing}: the entries are ${shown(entries)}, they must be an array`);
  }
  const given = optionsOf(options, doing);
  const deadline = deadlineOf(given.timeout, doing);
  const signal = signalOf(given, () => doing);
  const byFd = new Map<number, Polled>();
  const asked = Array.from(entries as readonly PollEntry<S>[], (entry, i) => {
    const here = `${doing} entry ${i}`;
    const { socket } = object(entry, `${here}: it`, "an object with a socket") as unknown as PollEntry<S>;
    const interest = interestOf(entry, here);
    const descriptor = found(socket, here);
    let polled = byFd.get(descriptor.fd);
    if (polled === undefined) {
      polled = { socket, found: descriptor, at: byFd.size, interest: 0 };
      byFd.set(descriptor.fd, polled);
    }
    polled.interest |= interest;
    return { socket, interest, at: polled.at };
  });
  const all = [...byFd.values()];
  const list = new PollList(all.length);
  for (const { at, found, interest } of all) list.set(at, found.fd, interest);

  const look = (): PollEvent<S>[] => {
    if (list.look(doing) === 0 && !asked.some(({ socket }) => hasLeft(socket))) return [];
    for (const { at, socket, found: { fd, low, high } } of all) {
      const came = list.came(at);
      if (came !== 0 && ((came & INVALID) !== 0 || !hasStill(socket, fd, low, high))) {
        throw new Deno.errors.BadResource(`${doing}: the socket is closed`);
      }
    }
    const ready: PollEvent<S>[] = [];
    for (const { socket, interest, at } of asked) {
      const came = (list.came(at) | (hasLeft(socket) ? READABLE : 0)) & interest;
      if (came !== 0) ready.push(eventOf(socket, came));
    }
    return ready;
  };

  const ready = look();
  if (ready.length > 0 || deadline === 0) {
    return await afterTurn(ready);
  }
  const held: [Entry, number][] = [];
  try {
    for (const { socket, found: { fd, low, high }, interest } of all) {
      held.push([hold(fd, socket instanceof Socket ? null : () => hasStill(socket, fd, low, high)), interest]);
    }
    for (;;) {
      await oneReady(held, deadline, signal);
      // Another call may have been quicker to take it.
      const ready = look();
      if (ready.length > 0 || now() >= deadline) return ready;
    }
  } finally {
    for (const [entry] of held) release(entry);
  }
}

/** A socket that a Poller watches. */
interface Watched<S> {
  readonly socket: S;
  readonly found: Descriptor;
  readonly slot: number;
  readonly generation: number;
  /** Whoever closes the descriptor finds the Poller by this. */
  readonly entry: Entry;
  readonly leaves: () => void;
  interest: number;
  edge: boolean;
}

/** The descriptors of all Pollers, to be closed when the program ends or starts anew (`--watch`). */
const open = new Set<OwnEpoll>();

function closeAll(): void {
  for (const epoll of open) epoll.close();
  open.clear();
}

function opened(doing: string): OwnEpoll {
  const epoll = new OwnEpoll(doing);
  if (open.size === 0) globalThis.addEventListener("unload", closeAll);
  open.add(epoll);
  return epoll;
}

function closed(epoll: OwnEpoll): void {
  if (!open.delete(epoll)) return;
  epoll.close();
  if (open.size === 0) globalThis.removeEventListener("unload", closeAll);
}

/** Why those are woken who wait for a descriptor that was replaced. */
const RENEWED = Symbol("renewed");

/**
 * Waits for many sockets at once, at a cost that depends on how many are ready and not on how many there are: epoll(7).
 *
 * What is ready is told at each wait until it is used up. With `edge` it is told once, and again when more comes: so receive
 * or send until the `try` method gives null. Several waits may go on at once; each is told what is ready, but with `edge`
 * one of them alone. A socket may be in several Pollers.
 *
 * The sockets stay their owners': closing the Poller leaves them open, and one that is closed drops out, unasked. Close a
 * Poller when it is needed no more; until then it keeps its sockets from being collected.
 *
 * Linux. Needs `--allow-ffi`.
 *
 * @example Two watched sockets, one of which has something to tell
 * ```ts
 * import { Poller, Socket } from "@berkeley/sockets/socket";
 * import { assertEquals, assertStrictEquals } from "@std/assert";
 *
 * const [left, right] = Socket.pair();
 * using poller = new Poller<Socket>();
 * poller.add(left, { readable: true });
 * poller.add(right, { readable: true, edge: true });
 *
 * left.trySend(new TextEncoder().encode("hello"));
 * const events = await poller.wait({ timeout: 1000 });
 * assertEquals(events.length, 1);
 * assertStrictEquals(events[0]?.socket, right);
 * // It was told; nothing has changed since.
 * assertEquals(await poller.wait({ timeout: 0 }), []);
 * left.close();
 * right.close();
 * ```
 */
export class Poller<S extends SocketLike = SocketLike> implements Disposable {
  #epoll: OwnEpoll | null;
  /** Of the epoll descriptor, since the first wait. */
  #entry: Entry | null = null;
  readonly #bySocket = new Map<S, Watched<S>>();
  readonly #byFd = new Map<number, Watched<S>>();
  readonly #slots: (Watched<S> | null)[] = [];
  readonly #free: number[] = [];
  /** Those that have bytes which the kernel knows no more; with `edge`, until that was told. */
  readonly #withLeft = new Set<Watched<S>>();
  readonly #hasLeft = (socket: object): void => {
    const watched = this.#bySocket.get(socket as S);
    if (watched === undefined) return;
    this.#withLeft.add(watched);
    if (this.#entry !== null) wakeWaiters(this.#entry);
  };
  #generation = 0;

  /**
   * Opens an epoll descriptor.
   *
   * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
   */
  constructor() {
    this.#epoll = opened("Cannot make a Poller");
    toldOfLeft.add(this.#hasLeft);
  }

  #open(doing: string): OwnEpoll {
    if (this.#epoll === null) throw new Deno.errors.BadResource(`${doing}: the Poller is closed`);
    return this.#epoll;
  }

  /**
   * Watches a socket.
   *
   * @param socket The socket; it stays its owner's.
   * @param interest What is waited for; `edge`: told once for each change instead of as long as it is so.
   * @throws {Deno.errors.AlreadyExists} The Poller watches it already: see {@linkcode Poller.modify}.
   */
  add(socket: S, interest: Readiness & { edge?: boolean }): void {
    const doing = "Cannot add a socket to a Poller";
    const epoll = this.#open(doing);
    const [bits, edge] = this.#interest(interest, doing);
    const descriptor = found(socket, doing);
    const { fd } = descriptor;
    for (const one of [this.#bySocket.get(socket), this.#byFd.get(fd)]) {
      if (one === undefined) continue;
      if (this.#isStill(one)) {
        const remedy = one.socket === socket
          ? "the Poller watches it already, use modify()"
          : "the Poller watches its descriptor already, by another object";
        throw systemErrorOf(errnoNumber("EEXIST"), "epoll_ctl", `Cannot add ${describe(descriptor)} to a Poller`, {
          EEXIST: remedy,
        });
      }
      this.#drop(one);
    }
    const slot = this.#free.pop() ?? this.#slots.length;
    const generation = this.#generation = (this.#generation + 1) >>> 0;
    try {
      check(epoll.watch(fd, bits, edge, slot, generation, false), "epoll_ctl", doing, {
        ENOSPC: "the user watches as many sockets as fs.epoll.max_user_watches allows",
      });
    } catch (error) {
      this.#slots[slot] ??= null;
      this.#free.push(slot);
      throw error;
    }
    const entry = hold(
      fd,
      socket instanceof Socket ? null : () => hasStill(socket, fd, descriptor.low, descriptor.high),
    );
    const watched: Watched<S> = {
      socket,
      found: descriptor,
      slot,
      generation,
      entry,
      leaves: () => this.#drop(watched),
      interest: bits,
      edge,
    };
    (entry.leavers ??= new Set()).add(watched.leaves);
    this.#slots[slot] = watched;
    this.#bySocket.set(socket, watched);
    this.#byFd.set(fd, watched);
    if (hasLeft(socket)) this.#withLeft.add(watched);
  }

  /**
   * Watches a socket for something else; what is so already is told, also with `edge`.
   *
   * @param socket The socket.
   * @param interest What is waited for from now on.
   * @throws {Deno.errors.NotFound} The Poller does not watch it.
   */
  modify(socket: S, interest: Readiness & { edge?: boolean }): void {
    const doing = "Cannot modify a socket of a Poller";
    const epoll = this.#open(doing);
    const [bits, edge] = this.#interest(interest, doing);
    const watched = this.#watched(socket, doing);
    const { found: { fd }, slot, generation } = watched;
    check(epoll.watch(fd, bits, edge, slot, generation, true), "epoll_ctl", doing);
    watched.interest = bits;
    watched.edge = edge;
    if (hasLeft(socket)) this.#hasLeft(socket);
  }

  /**
   * Watches a socket no more.
   *
   * @param socket The socket.
   * @throws {Deno.errors.NotFound} The Poller does not watch it.
   * @throws {Deno.errors.BadResource} The socket is closed; it has dropped out.
   */
  delete(socket: S): void {
    const doing = "Cannot delete a socket from a Poller";
    this.#open(doing);
    this.#drop(this.#watched(socket, doing));
  }

  #interest(interest: Readiness & { edge?: boolean }, doing: string): [bits: number, edge: boolean] {
    object(interest, `${doing}: the interest`, "an object");
    const { edge = false } = interest;
    return [interestOf(interest, doing), boolean(edge, `${doing}: edge`)];
  }

  /** What is known of a socket that is open and watched. */
  #watched(socket: S, doing: string): Watched<S> {
    object(socket, `${doing}: the socket`, "an object");
    const watched = this.#bySocket.get(socket);
    if (watched !== undefined && this.#isStill(watched)) return watched;
    if (watched !== undefined) this.#drop(watched);
    const descriptor = found(socket, doing);
    throw systemErrorOf(errnoNumber("ENOENT"), "epoll_ctl", `${doing}: ${describe(descriptor)}`, {
      ENOENT: "the Poller does not watch it, add() it first",
    });
  }

  #isStill({ socket, found: { fd, low, high } }: Watched<S>): boolean {
    return hasStill(socket, fd, low, high);
  }

  /** Lets a socket go; false when the kernel may go on to tell of it. */
  #drop(watched: Watched<S>): boolean {
    if (this.#slots[watched.slot] !== watched) return true;
    this.#slots[watched.slot] = null;
    this.#free.push(watched.slot);
    this.#bySocket.delete(watched.socket);
    this.#withLeft.delete(watched);
    const { fd } = watched.found;
    if (this.#byFd.get(fd) === watched) this.#byFd.delete(fd);
    const forgotten = this.#epoll!.forget(fd);
    watched.entry.leavers?.delete(watched.leaves);
    release(watched.entry);
    return forgotten;
  }

  /**
   * Waits until a socket is ready.
   *
   * @param options `timeout` in milliseconds: 0 only looks, absent waits for ever; `max`, how many to tell of at most (the
   * others come next time); a signal that ends the wait.
   * @returns The ready ones; empty when the time is over.
   * @throws {Deno.errors.BadResource} The Poller is closed, or was during the wait.
   */
  async wait(options?: WaitOptions & { timeout?: number; max?: number }): Promise<PollEvent<S>[]> {
    const doing = "Cannot wait for the sockets of a Poller";
    const given = optionsOf(options, doing);
    const deadline = deadlineOf(given.timeout, doing);
    const max = given.max === undefined ? Infinity : integer(given.max, `${doing}: max`, 1, 2 ** 31 - 1);
    const signal = signalOf(given, () => doing);
    for (let waited = false;; waited = true) {
      const ready = this.#look(max, doing);
      if (ready.length > 0 || deadline === 0 || now() >= deadline) {
        return waited ? ready : await afterTurn(ready);
      }
      try {
        await oneReady([[this.#entry ??= hold(this.#open(doing).fd), READABLE]], deadline, signal);
      } catch (error) {
        if (error !== RENEWED) throw error;
      }
    }
  }

  #look(max: number, doing: string): PollEvent<S>[] {
    for (;;) {
      const came: [slot: number, generation: number, events: number][] = [];
      const left = this.#lookLeft(max);
      const room = Math.min(max - left.size, Math.max(1, this.#bySocket.size));
      if (room > 0) this.#open(doing).look(room, (...event) => came.push(event));
      const ready: PollEvent<S>[] = [];
      let orphaned = false;
      for (const [slot, generation, events] of came) {
        const watched = this.#slots[slot];
        if (!watched || watched.generation !== generation) orphaned = true;
        else if (this.#isStill(watched)) {
          ready.push(eventOf(watched.socket, left.delete(watched) ? events | READABLE : events));
        } else if (!this.#drop(watched)) orphaned = true;
      }
      for (const { socket } of left) ready.push(eventOf(socket, READABLE));
      if (orphaned) this.#renew(doing);
      // What was told of closed sockets alone may have left no room for others.
      if (ready.length > 0 || came.length === 0) return ready;
    }
  }

  /** Those that are readable by what the kernel knows no more, `max` at most. */
  #lookLeft(max: number): Set<Watched<S>> {
    const ready = new Set<Watched<S>>();
    for (const watched of this.#withLeft) {
      const has = hasLeft(watched.socket);
      const told = has && (watched.interest & READABLE) !== 0 && ready.size < max;
      if (told) ready.add(watched);
      if (!has || (told && watched.edge)) this.#withLeft.delete(watched);
    }
    return ready;
  }

  /**
   * Begins anew with a fresh descriptor: a socket was closed by its owner while a duplicate of it is open somewhere, so the
   * kernel goes on to tell of it, and it can no longer be named to have it forgotten.
   */
  #renew(doing: string): void {
    const old = this.#epoll!;
    const epoll = opened(doing);
    for (const watched of [...this.#bySocket.values()]) {
      if (!this.#isStill(watched)) {
        this.#drop(watched);
        continue;
      }
      const { found: { fd }, interest, edge, slot, generation } = watched;
      epoll.watch(fd, interest, edge, slot, generation, false);
    }
    this.#epoll = epoll;
    if (this.#entry !== null) release(this.#entry, RENEWED);
    this.#entry = null;
    closed(old);
  }

  /** Ends it: waits reject with `BadResource`. The sockets stay open. A second time throws. */
  close(): void {
    const epoll = this.#open("Cannot close a Poller");
    for (const watched of [...this.#bySocket.values()]) this.#drop(watched);
    this.#epoll = null;
    if (this.#entry !== null) {
      release(this.#entry, new Deno.errors.BadResource("Cannot wait for the sockets of a Poller: it is closed"));
    }
    this.#entry = null;
    closed(epoll);
    toldOfLeft.delete(this.#hasLeft);
  }

  /** `close()`, without an error when closed already. */
  [Symbol.dispose](): void {
    if (this.#epoll !== null) this.close();
  }
}
