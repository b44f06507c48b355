// Waits for descriptors in Deno's event loop: who waits for what, and one call that is parked for all of an isolate.
// How the kernel is asked is reactor_epoll.ts; the sockets that wait are in socket/.
//
// The rules, each against a hang, a wrong wake or a starvation that was seen:
// - A descriptor is registered at its first wait and armed for one event at a time, by those who wait: traffic for a
//   socket that nobody reads wakes nobody.
// - Events carry slot and generation of their entry; what was meant for the former owner of a number is dropped.
// - An error that stays pending wakes once: that of an error queue may stay for ever.
// - What is ready is drained before a call is parked. The call stays parked, without keeping the program alive, when the
//   last waiter leaves, and ends with the last entry.
// - The runtime's thread pool is shared with files and lookups: a call that was just parked may stand in its queue. While
//   it is new, a 1 ms timer sends a probe behind it, and looks for events by itself until the probe has answered.
// - A turn is yielded at the latest after 64 calls that did not have to wait and 2 ms, and every 6 ms the runtime's own
//   sockets have theirs. A real wait counts as both. Who waits for a descriptor hears of its events after 64 such calls.
// - Waking the parked call takes two changes of threads. While waits are short, the isolate looks for events itself, after
//   all else that was due has run, and for 20 µs at most; every 6 ms it waits for real all the same.
// - In a Worker the call has a limit of 1 s: terminate() leaves its thread in it.
// - A borrowed descriptor that its owner closes gives no event, ever: while one is awaited, it is verified every 200 ms.
//
// Deno's internals that this rests on (refOpPromise, unrefOpPromise) are guarded in runtime.ts; without them the parked
// call ends when nobody that is ref'd waits, and those that are not are served by an unref'd timer of 10 ms.
import { constant } from "./constants.ts";
import { giveWaits, takeWaits, type Waits } from "./ffi.ts";
import { Epoll } from "./reactor_epoll.ts";
import { canUnref, IN_WORKER, refPromise, unrefPromise } from "./runtime.ts";

/** Bits of interest and of events, those of poll(2). */
export const READABLE: number = constant("POLLIN", "linux");
export const PRIORITY: number = constant("POLLPRI", "linux");
export const WRITABLE: number = constant("POLLOUT", "linux");
export const FAILED: number = constant("POLLERR", "linux");
export const HUNG_UP: number = constant("POLLHUP", "linux");
/** No more will come: the peer has finished sending, or this end was shut down. It counts as readable. */
export const PEER_DONE: number = constant("EPOLLRDHUP", "linux");

const DOING = "Cannot wait for sockets";
const PARK_IN_WORKER = 1000;
const TICK = 1;
const VERIFY_EVERY = 200;
const UNREFED_TICK = 10;
/** After so many calls that did not have to wait, those who wait are looked after, and the time since others had a turn. */
const CREDIT = 64;
/** How often others have a turn, and how often the runtime's own sockets; milliseconds. */
const TURN_EVERY = 2;
const DEEP_EVERY = 6;
/** How long the runtime is left idle then; microseconds. */
const IDLE = 20;
/** How long to look before the parked call is left to wake us, and the wait that is short enough for it; milliseconds. */
export const LOOK = 0.02;
export const SHORT = 0.05;

const now = performance.now.bind(performance);

/** A call that waits. */
export interface Waiter {
  /** Bits that it waits for; errors always count. */
  readonly interest: number;
  /** Whether it keeps the program alive. */
  refed: boolean;
  /** How long to look before it sleeps, in milliseconds; absent: as long as it pays. */
  readonly look?: number | undefined;
  /** Whose call it is, where more than one may own the descriptor. */
  readonly owner?: object;
  /** Told the bits that came. */
  ready(events: number): void;
  /** Told that the descriptor is closed. */
  closed(reason: unknown): void;
}

/** A descriptor that is waited for, shared by all who do. */
export class Entry {
  readonly fd: number;
  readonly slot: number;
  readonly generation: number;
  /** How many hold it. */
  holders = 0;
  /** Whether the kernel knows of it. */
  registered = false;
  /** The bits it is armed for. */
  armed = 0;
  /** Whether an error or a hang-up is told of, which may stay so however often the waiters look. */
  failing = false;
  /** Whether it is armed for changes, and stays so: what is pending must not wake again. */
  edge = false;
  waiters: Waiter[] = [];
  /** Those who hold it without waiting and are told when it is closed. */
  leavers: Set<() => void> | null = null;
  /** Whether it is open still and the same, for descriptors that others may close; null for our own. */
  readonly verify: (() => boolean) | null;

  constructor(fd: number, slot: number, generation: number, verify: (() => boolean) | null) {
    this.fd = fd;
    this.slot = slot;
    this.generation = generation;
    this.verify = verify;
  }
}

class Reactor {
  readonly #epoll = new Epoll();
  readonly #entries: (Entry | null)[] = [];
  readonly #free: number[] = [];
  readonly #byFd = new Map<number, Entry>();
  #generation = 0;
  #waits: Waits | null = null;
  #parked: Promise<number> | null = null;
  #parkNumber = 0;
  #completionsAtPark = 0;
  #parkRefed = true;
  #waiting = 0;
  #waitingRefed = 0;
  #borrowed = 0;
  #watchdog: Timer | undefined;
  #verifier: Timer | undefined;
  #unrefedTimer: Timer | undefined;
  /** When the last wait began. */
  #began = 0;
  /** Whether the last wait was short. */
  #short = false;
  /** Until when to look. */
  #until = 0;
  #looking: ReturnType<typeof setImmediate> | undefined;

  get waiting(): number {
    return this.#waiting;
  }

  hold(fd: number, verify: (() => boolean) | null): Entry {
    let entry = this.#byFd.get(fd);
    if (entry !== undefined && entry.verify !== null && !entry.verify()) {
      // Its owner closed it, and the number is another's by now.
      this.release(entry, new Deno.errors.BadResource(`${DOING}: the socket is closed`));
      entry = undefined;
    }
    if (entry === undefined) {
      const slot = this.#free.pop() ?? this.#entries.length;
      entry = new Entry(fd, slot, ++this.#generation >>> 0, verify);
      this.#entries[slot] = entry;
      this.#byFd.set(fd, entry);
    }
    entry.holders++;
    return entry;
  }

  /** Gives an entry back; with a reason, for all who hold it: the descriptor is about to be closed. */
  release(entry: Entry, reason?: unknown): void {
    if (this.#entries[entry.slot] !== entry) return;
    entry.holders = reason === undefined ? entry.holders - 1 : 0;
    if (entry.holders > 0) return;
    this.#entries[entry.slot] = null;
    this.#free.push(entry.slot);
    this.#byFd.delete(entry.fd);
    if (entry.registered) this.#epoll.forget(entry.fd);
    for (const waiter of entry.waiters.splice(0)) {
      this.#left(entry, waiter);
      waiter.closed(reason);
    }
    if (entry.leavers !== null) { for (const leaves of [...entry.leavers]) leaves(); }
    if (this.#byFd.size > 0) return this.#refPark();
    clearTimeout(this.#watchdog);
    this.#watchdog = undefined;
    clearImmediate(this.#looking);
    this.#looking = undefined;
    if (this.#parked !== null) this.#epoll.wake();
    this.#rest();
  }

  closing(fd: number, reason: unknown): void {
    const entry = this.#byFd.get(fd);
    if (entry !== undefined) this.release(entry, reason);
  }

  wait(entry: Entry, waiter: Waiter): void {
    // The number may be another's by now.
    if (this.#entries[entry.slot] !== entry) throw new Deno.errors.BadResource(`${DOING}: the socket is closed`);
    // An array that grows makes room for many, and most have one.
    if (entry.waiters.length === 0) entry.waiters = [waiter];
    else entry.waiters.push(waiter);
    this.#waiting++;
    if (waiter.refed) this.#waitingRefed++;
    if (entry.verify !== null && ++this.#borrowed === 1) {
      this.#verifier = unrefed(setInterval(() => this.#verify(), VERIFY_EVERY));
    }
    this.#began = now();
    try {
      this.#arm(entry);
      this.#await(waiter);
    } catch (error) {
      const at = entry.waiters.indexOf(waiter);
      if (at >= 0) {
        entry.waiters.splice(at, 1);
        this.#left(entry, waiter);
      }
      throw error;
    }
    this.#refPark();
  }

  /** Sees to it that a waiter hears of its event: by looking, or by the parked call. */
  #await(waiter: Waiter): void {
    if (this.#parked !== null && this.#waits === null) {
      // What is parked was to end with the last entry: it may stand in a queue still.
      this.#waits = takeWaits(DOING);
      this.#watch();
    }
    const look = waiter.look ?? (this.#short ? LOOK : 0);
    // What looks keeps the program alive.
    if (look > 0 && this.#waitingRefed > 0 && this.#began - lastDeep < DEEP_EVERY) this.#lookUntil(this.#began + look);
    else if (this.#parked === null && this.#looking === undefined) {
      // Who is woken again and again for nothing keeps no others from their turn.
      if (--credit > 0) this.#drainAndPark();
      else this.#lookUntil(this.#began);
    }
  }

  /** Looks for events as soon as all else that is due has run, and parks then. */
  #lookUntil(time: number): void {
    this.#until = Math.max(this.#until, time);
    this.#looking ??= setImmediate(() => this.#look());
  }

  #look(): void {
    this.#looking = undefined;
    // Others have their turn, however long is looked.
    const pause = now() + LOOK;
    while (this.#epoll.look(this.#ready) === 0) {
      const time = now();
      if (time < Math.min(this.#until, pause)) continue;
      if (time < this.#until) return this.#lookUntil(this.#until);
      this.#short = false;
      if (this.#waiting > 0) this.#park();
      return;
    }
    lastTurn = now();
    this.#short = true;
    this.#refPark();
    if (this.#waiting === 0 || this.#parked !== null) return;
    // Those who were told run next, and wait again or not; but the runtime's own sockets must have their turn.
    if (lastTurn - lastDeep < DEEP_EVERY) this.#lookUntil(lastTurn + LOOK);
    else this.#park();
  }

  /** A waiter leaves before anything came. */
  leave(entry: Entry, waiter: Waiter): void {
    const at = entry.waiters.indexOf(waiter);
    if (at < 0) return;
    entry.waiters.splice(at, 1);
    this.#left(entry, waiter);
    this.#refPark();
  }

  ref(entry: Entry, refed: boolean, owner: object): void {
    for (const waiter of entry.waiters) {
      if (waiter.owner !== owner) continue;
      if (waiter.refed !== refed) this.#waitingRefed += refed ? 1 : -1;
      waiter.refed = refed;
    }
    this.#refPark();
  }

  wakeAll(entry: Entry): void {
    for (const waiter of entry.waiters.splice(0)) {
      this.#left(entry, waiter);
      waiter.ready(0);
    }
    this.#refPark();
  }

  #left(entry: Entry, waiter: Waiter): void {
    this.#waiting--;
    if (waiter.refed) this.#waitingRefed--;
    if (entry.verify !== null && --this.#borrowed === 0) clearInterval(this.#verifier);
  }

  #arm(entry: Entry): void {
    let interest = 0;
    // Who waits for nothing but errors must be heard of too.
    for (const waiter of entry.waiters) interest |= waiter.interest | FAILED;
    if ((interest & READABLE) !== 0) interest |= PEER_DONE;
    if (interest === 0 || (entry.edge === entry.failing && (entry.armed & interest) === interest)) return;
    this.#epoll.arm(entry, entry.armed | interest, entry.failing);
    entry.armed |= interest;
    entry.edge = entry.failing;
    entry.registered = true;
  }

  readonly #ready = (slot: number, generation: number, events: number): void => {
    const entry = this.#entries[slot];
    if (!entry || entry.generation !== generation) return;
    if (entry.edge && entry.waiters.length === 0) {
      // Traffic for a socket that nobody reads must not go on waking.
      this.#epoll.forget(entry.fd);
      entry.registered = entry.edge = entry.failing = false;
      entry.armed = 0;
      return;
    }
    if (!entry.edge) entry.armed = 0;
    entry.failing = (events & (FAILED | HUNG_UP)) !== 0;
    const always = events & (FAILED | HUNG_UP);
    const came = always !== 0 ? events | READABLE | WRITABLE : (events & PEER_DONE) !== 0 ? events | READABLE : events;
    for (let i = 0; i < entry.waiters.length;) {
      const waiter = entry.waiters[i]!;
      if ((waiter.interest & came) === 0 && always === 0) {
        i++;
        continue;
      }
      entry.waiters.splice(i, 1);
      this.#left(entry, waiter);
      waiter.ready(events);
    }
    try {
      this.#arm(entry);
    } catch (error) {
      // Its owner has just closed it: the others that are ready must be told all the same.
      this.release(entry, error);
    }
  };

  #verify(): void {
    for (const entry of this.#entries) {
      if (entry === null || entry.verify === null || entry.waiters.length === 0 || entry.verify()) continue;
      this.release(entry, new Deno.errors.BadResource(`${DOING}: the socket is closed`));
    }
  }

  /** Tells those who wait what came by now; false when the parked call has it, which tells it in a turn. */
  glance(): boolean {
    if (this.#parked !== null && this.#epoll.parkedHasEvents()) return false;
    this.#epoll.look(this.#ready);
    this.#refPark();
    return true;
  }

  #drainAndPark(): void {
    this.#epoll.look(this.#ready);
    if (this.#waiting > 0) this.#park();
  }

  #park(): void {
    if (this.#parked !== null) return;
    if (!canUnref && this.#waitingRefed === 0) {
      // Nothing may be parked that cannot be unref'd: a timer looks.
      this.#unrefedTimer ??= unrefed(setTimeout(() => {
        this.#unrefedTimer = undefined;
        this.#drainAndPark();
      }, UNREFED_TICK));
      return;
    }
    this.#waits ??= takeWaits(DOING);
    const parked = this.#parked = this.#epoll.park(this.#waits, IN_WORKER ? PARK_IN_WORKER : -1);
    this.#parkNumber++;
    this.#completionsAtPark = completions;
    this.#parkRefed = true;
    this.#refPark();
    this.#watch();
    parked.then((count) => this.#unparked(count));
  }

  #unparked(count: number): void {
    this.#parked = null;
    this.#short = now() - this.#began < SHORT;
    // Where calls went on meanwhile, the runtime was not idle, and its own sockets had no turn.
    if (completions === this.#completionsAtPark) restoreCredit();
    clearTimeout(this.#watchdog);
    this.#watchdog = undefined;
    this.#epoll.tellParked(count, this.#ready);
    if (this.#waiting === 0) this.#rest();
    else if (this.#short && this.#waitingRefed > 0) this.#lookUntil(now() + LOOK);
    else this.#drainAndPark();
  }

  /** There is nothing left to wait for: the handle of the waiting calls is given back, as opening it takes long. */
  #rest(): void {
    if (this.#waits === null || this.#byFd.size > 0) return;
    this.#waits = null;
    giveWaits();
  }

  #refPark(): void {
    const parked = this.#parked;
    const wanted = this.#waitingRefed > 0;
    if (parked === null || wanted === this.#parkRefed) return;
    this.#parkRefed = wanted;
    if (!canUnref) {
      if (!wanted) this.#epoll.wake();
      return;
    }
    if (wanted) refPromise(parked);
    else unrefPromise(parked);
  }

  /** Looks after a call that was just parked: it may stand in a queue. */
  #watch(): void {
    const number = this.#parkNumber;
    this.#watchdog = unrefed(setTimeout(() => {
      if (this.#parked === null || this.#waits === null) return;
      const probe = this.#waits.getpid();
      unrefPromise(probe);
      let answered = false;
      probe.then(() => {
        answered = true;
        if (number !== this.#parkNumber) return;
        clearTimeout(this.#watchdog);
        this.#watchdog = undefined;
      });
      const look = () => {
        if (answered || this.#parked === null || number !== this.#parkNumber || this.#byFd.size === 0) return;
        this.#epoll.look(this.#ready);
        this.#refPark();
        this.#watchdog = unrefed(setTimeout(look, TICK));
      };
      look();
    }, TICK));
  }
}

type Timer = ReturnType<typeof setTimeout>;

function unrefed(timer: Timer): Timer {
  Deno.unrefTimer(timer as unknown as number);
  return timer;
}

let reactor: Reactor | undefined;

/** Takes the entry of a descriptor, for as long as it may be waited for. `verify` for one that others may close. */
export function hold(fd: number, verify: (() => boolean) | null = null): Entry {
  return (reactor ??= new Reactor()).hold(fd, verify);
}

/** Gives it back. With a reason the descriptor is about to be closed: all who wait are told. */
export function release(entry: Entry, reason?: unknown): void {
  reactor!.release(entry, reason);
}

/** A descriptor of ours is about to be closed or given away: all who hold it or wait for it are told, whoever they are. */
export function closing(fd: number, reason: unknown): void {
  reactor?.closing(fd, reason);
}

/** Waits; one of the waiter's functions is called once, unless it leaves. */
export function wait(entry: Entry, waiter: Waiter): void {
  reactor!.wait(entry, waiter);
}

/** Whether the calls of an owner that wait keep the program alive. */
export function refWaiters(entry: Entry, refed: boolean, owner: object): void {
  reactor!.ref(entry, refed, owner);
}

/** Whether nobody in this isolate waits for a descriptor. */
export function nobodyWaits(): boolean {
  return reactor === undefined || reactor.waiting === 0;
}

/** Wakes all who wait, to look again: what they wait for may have changed without an event. */
export function wakeWaiters(entry: Entry): void {
  reactor!.wakeAll(entry);
}

/** Leaves before anything came. */
export function leave(entry: Entry, waiter: Waiter): void {
  reactor!.leave(entry, waiter);
}

let credit = CREDIT;
let lastTurn = 0;
let lastDeep = 0;
/** How many calls were over without a wait, or after one. */
let completions = 0;

/** All had their turn. */
function restoreCredit(): void {
  credit = CREDIT;
  lastTurn = lastDeep = now();
}

/** The turn that others have now. */
let pending: Promise<void> | null = null;

/**
 * To be awaited, when it is no null, by every call that did not have to wait: lets others have their turn. Who comes while
 * they have it waits for its end too, so that calls end in the order in which they were made. `weight` is as how many calls
 * it counts.
 */
export function turn(weight = 1): Promise<void> | null {
  completions++;
  if (pending !== null) return pending;
  credit -= weight;
  if (credit > 0) return null;
  credit = CREDIT;
  const time = now();
  if (time - lastDeep >= DEEP_EVERY) {
    lastTurn = lastDeep = time;
    return pending = deepTurn().finally(turned);
  }
  if (time - lastTurn < TURN_EVERY && (nobodyWaits() || reactor!.glance())) return null;
  lastTurn = time;
  return pending = new Promise<void>((resolve) => setImmediate(resolve)).finally(turned);
}

function turned(): void {
  pending = null;
}

/** What a call has got without waiting, once others had their turn; `weight` as for {@linkcode turn}. */
export function afterTurn<T>(got: T, weight = 1): Promise<T> {
  const others = turn(weight);
  return others === null ? Promise.resolve(got) : others.then(() => got);
}

/** Lets the runtime go idle, so that it polls its own sockets: a turn of the event loop alone would not. */
async function deepTurn(): Promise<void> {
  let waits: Waits;
  try {
    waits = takeWaits(DOING);
  } catch {
    // The permission was revoked: the call that is over must not fail by it.
    return await new Promise((resolve) => setImmediate(resolve));
  }
  let timer: Timer | undefined;
  // A call that is over at once would leave the runtime no time to go idle; one may queue behind others: no longer than a timer.
  await Promise.race([waits.usleep(IDLE), new Promise((resolve) => timer = setTimeout(resolve, TICK))]);
  clearTimeout(timer);
  giveWaits();
}
