// How Linux is asked which descriptors are ready: epoll, its events, the call that is parked in it; and poll(2).
// Who waits for what, and when to park: reactor.ts.
import { constant } from "./constants.ts";
import { check, failed, failedWith } from "./errno.ts";
import { LAYOUT } from "./layout.ts";
import { libc } from "./libc.ts";
import { libcIo } from "./libc_io.ts";
import { ARM64 } from "./os.ts";
import type { Waits } from "./ffi.ts";

/** What is told of a ready descriptor. */
export type Ready = (slot: number, generation: number, events: number) => void;

/** Events that one call can give; what does not fit comes with the next. */
const ROOM = 256;
const DOING = "Cannot wait for sockets";
/** The slot of the descriptor that ends the parked call. */
const WAKE = 0xffff_ffff;
/** How long the end of a program waits for the parked call to end, in milliseconds; it does so at once, unless it is still queued. */
const END_WITHIN = 50;

// Packed on x86_64 alone.
const { size: SIZE, fields: FIELDS } = ARM64 ? LAYOUT.epoll_event_aligned.linux : LAYOUT.epoll_event.linux;
const EVENTS = FIELDS.events[0];
const SLOT = FIELDS.data[0];
const GENERATION = SLOT + 4;

const ONCE = constant("EPOLLONESHOT", "linux");
const EDGE = constant("EPOLLET", "linux");

/** What is armed: a descriptor, and how its events are told from those of others. */
interface Armed {
  readonly fd: number;
  readonly slot: number;
  readonly generation: number;
  /** Whether it was armed before, and not forgotten since. */
  readonly registered: boolean;
}

const NO_EVENT = new Uint8Array(SIZE);

/** An epoll descriptor. The bits of interests and events are those of poll(2), which are epoll's too. */
export class Epoll {
  readonly #io = libcIo(DOING);
  readonly #fd: number;
  readonly #wake: number;
  readonly #event = new Uint8Array(SIZE);
  readonly #eventView = new DataView(this.#event.buffer);
  readonly #found = new Uint8Array(SIZE * ROOM);
  readonly #foundView = new DataView(this.#found.buffer);
  // Memory of the C library, never freed: a parked call keeps nothing alive, and outlives a Worker that is terminated.
  readonly #memory = this.#io.calloc(ROOM, SIZE);
  readonly #parkedMemory = this.#io.calloc(ROOM, SIZE);
  #parked = false;

  constructor() {
    this.#fd = check(this.#io.epollCreate(constant("EPOLL_CLOEXEC", "linux")), "epoll_create1", DOING);
    const wake = this.#io.eventfd(constant("SOCK_CLOEXEC", "linux") | constant("SOCK_NONBLOCK", "linux"));
    if (failed(wake)) libc(DOING).close(this.#fd);
    this.#wake = check(wake, "eventfd", DOING);
    this.#control("EPOLL_CTL_ADD", this.#wake, constant("EPOLLIN", "linux"), WAKE, 0);
    globalThis.addEventListener("unload", () => this.#close());
  }

  /** The program ends, or starts anew in the same process (`--watch`), where thread and descriptors would stay. */
  #close(): void {
    if (this.#parked) {
      this.wake();
      const until = performance.now() + END_WITHIN;
      do {
        // One that has not begun yet would wait with numbers that are another's by then: it keeps them.
        if (performance.now() > until) return;
      } while (!this.parkedHasEvents());
    }
    for (const fd of [this.#fd, this.#wake]) libc(DOING).close(fd);
  }

  #control(
    operation: "EPOLL_CTL_ADD" | "EPOLL_CTL_MOD" | "EPOLL_CTL_DEL",
    fd: number,
    events: number,
    slot: number,
    generation: number,
  ): number {
    this.#eventView.setUint32(EVENTS, events, true);
    this.#eventView.setUint32(SLOT, slot, true);
    this.#eventView.setUint32(GENERATION, generation, true);
    return this.#io.epollCtl(this.#fd, constant(operation, "linux"), fd, this.#event);
  }

  /** Arms an entry for one event, or for all changes from now on. */
  arm({ fd, slot, generation, registered }: Armed, interest: number, edge: boolean): void {
    const result = this.#control(
      registered ? "EPOLL_CTL_MOD" : "EPOLL_CTL_ADD",
      fd,
      interest | (edge ? EDGE : ONCE),
      slot,
      generation,
    );
    if (failed(result) && registered && failedWith("ENOENT")) {
      // Its owner closed it, and the number is open again: the caller finds out whose it is.
      throw new Deno.errors.BadResource(`${DOING}: the socket is closed`);
    }
    check(result, "epoll_ctl", DOING);
  }

  /** Watches a descriptor no more; to be called before it is closed, as a duplicate would keep its events coming. */
  forget(fd: number): void {
    this.#control("EPOLL_CTL_DEL", fd, 0, 0, 0);
  }

  /** Tells what is ready now; returns how many were. */
  look(ready: Ready): number {
    const count = this.#io.epollNow(this.#fd, this.#memory, ROOM);
    this.#tell(this.#memory, count, ready);
    return count;
  }

  /** Waits in a thread until something is ready; its number is for {@linkcode tellParked}. The very promise of the call, which can be unref'd. */
  park(waits: Waits, timeout: number): Promise<number> {
    this.#parked = true;
    // No event has no bits: they tell that the call has ended.
    this.#io.poke(this.#parkedMemory, NO_EVENT);
    return waits.epoll_wait(this.#fd, this.#parkedMemory, ROOM, timeout);
  }

  /** Whether the parked call has ended, or is about to, with something to tell; it writes from a thread of its own. */
  parkedHasEvents(): boolean {
    this.#io.peek(this.#parkedMemory, this.#event, SIZE);
    return this.#eventView.getUint32(EVENTS, true) !== 0;
  }

  /** Tells what a parked call found. Its errno is lost with its thread: a failure means to look again. */
  tellParked(count: number, ready: Ready): void {
    this.#parked = false;
    if (count < 0) this.look(ready);
    else this.#tell(this.#parkedMemory, count, ready);
  }

  #tell(memory: Deno.PointerObject, count: number, ready: Ready): void {
    if (count <= 0) return;
    this.#io.peek(memory, this.#found, count * SIZE);
    for (let at = 0; at < count * SIZE; at += SIZE) {
      const slot = this.#foundView.getUint32(at + SLOT, true);
      if (slot === WAKE) this.#io.read(this.#wake, this.#event.subarray(0, 8));
      else ready(slot, this.#foundView.getUint32(at + GENERATION, true), this.#foundView.getUint32(at + EVENTS, true));
    }
  }

  /** Ends a parked call. */
  wake(): void {
    this.#io.write(this.#wake, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
  }
}

/** Where the events of every {@linkcode OwnEpoll} are told: each look ends before another begins. */
let told:
  | { readonly memory: Deno.PointerObject; readonly found: Uint8Array<ArrayBuffer>; readonly room: number }
  | null = null;

/** An epoll descriptor that is only looked at, and waited for as any other descriptor. */
export class OwnEpoll {
  readonly #io = libcIo(DOING);
  readonly #event = new Uint8Array(SIZE);
  readonly #view = new DataView(this.#event.buffer);
  /** The descriptor. */
  readonly fd: number;

  constructor(doing: string) {
    this.fd = check(this.#io.epollCreate(constant("EPOLL_CLOEXEC", "linux")), "epoll_create1", doing);
  }

  /** Watches a descriptor, or for something else when it is `known`. The result is the caller's to check. */
  watch(fd: number, interest: number, edge: boolean, slot: number, generation: number, known: boolean): number {
    this.#view.setUint32(EVENTS, edge ? interest | EDGE : interest, true);
    this.#view.setUint32(SLOT, slot, true);
    this.#view.setUint32(GENERATION, generation, true);
    return this.#io.epollCtl(this.fd, constant(known ? "EPOLL_CTL_MOD" : "EPOLL_CTL_ADD", "linux"), fd, this.#event);
  }

  /** Watches it no more; false when the number is not what was watched any more. */
  forget(fd: number): boolean {
    return !failed(this.#io.epollCtl(this.fd, constant("EPOLL_CTL_DEL", "linux"), fd, this.#event));
  }

  /** Tells what is ready now, `max` at most; returns how many. `ready` must not look again. */
  look(max: number, ready: Ready): number {
    if (told === null || told.room < max) {
      if (told !== null) this.#io.free(told.memory);
      told = null;
      told = { memory: this.#io.calloc(max, SIZE), found: new Uint8Array(SIZE * max), room: max };
    }
    const { memory, found } = told;
    const count = this.#io.epollNow(this.fd, memory, max);
    if (failed(count)) return 0;
    this.#io.peek(memory, found, count * SIZE);
    const view = new DataView(found.buffer);
    for (let at = 0; at < count * SIZE; at += SIZE) {
      ready(view.getUint32(at + SLOT, true), view.getUint32(at + GENERATION, true), view.getUint32(at + EVENTS, true));
    }
    return count;
  }

  /** Closes the descriptor. */
  close(): void {
    libc(DOING).close(this.fd);
  }
}

const POLLFD = LAYOUT.pollfd.linux;

/** Descriptors that poll(2) looks at. */
export class PollList {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  constructor(count: number) {
    this.#bytes = new Uint8Array(count * POLLFD.size);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Puts a descriptor into a place. */
  set(index: number, fd: number, interest: number): void {
    this.#view.setInt32(index * POLLFD.size + POLLFD.fields.fd[0], fd, true);
    this.#view.setUint16(index * POLLFD.size + POLLFD.fields.events[0], interest, true);
  }

  /** Looks, never waits; returns how many are ready. */
  look(doing: string): number {
    const count = libc(doing).pollNow(this.#bytes);
    return failed(count) && failedWith("EINTR") ? 0 : check(count, "poll", doing);
  }

  /** What came at a place. */
  came(index: number): number {
    return this.#view.getUint16(index * POLLFD.size + POLLFD.fields.revents[0], true);
  }
}
