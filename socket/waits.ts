// How one call of a socket waits: for readiness, until a signal, a timeout or close() ends it.
// Which descriptors are ready is told by internal/reactor.ts; the calls themselves are in socket.ts.
import { integer, object, shown } from "../internal/argument.ts";
import { type Entry, leave, wait, type Waiter } from "../internal/reactor.ts";

/** Options of a call that may wait. */
export interface WaitOptions {
  /** Ends the wait; nothing is lost and the socket stays usable. */
  signal?: AbortSignal;
}

/**
 * Default waits in milliseconds, 0 to 2,147,483,647; absent (`delete`, or set to undefined) for ever. A call that takes
 * longer rejects with `Deno.errors.TimedOut`. `SO_RCVTIMEO` and `SO_SNDTIMEO` are `receive` and `send` in C's unit.
 */
export interface SocketTimeouts {
  /** Every receive. */
  receive?: number;
  /** Every send. */
  send?: number;
  /** accept(). */
  accept?: number;
  /** connect(). */
  connect?: number;
}

/** Which of the timeouts a call obeys. */
export type WaitKind = keyof SocketTimeouts;

/** The longest time that a timer takes; above, it fires at once. */
export const LONGEST = 0x7fff_ffff;

type Timer = ReturnType<typeof setTimeout>;

const KINDS: readonly WaitKind[] = ["receive", "send", "accept", "connect"];

/** The timeouts of a socket: checked when they are set, and in force at once, also for calls that wait already. */
export class Timeouts {
  readonly #values: SocketTimeouts = {};
  readonly #waiting: () => readonly Waiter[];
  /** What users see: setting and deleting take effect. */
  readonly visible: SocketTimeouts;

  /** `waiting` tells who waits for the socket's descriptor, others' calls too. */
  constructor(owner: object, waiting: () => readonly Waiter[]) {
    this.#waiting = waiting;
    const change = (kind: WaitKind, value: number | undefined) => {
      if (value === undefined) delete this.#values[kind];
      else this.#values[kind] = value;
      for (const wait of this.#waiting()) {
        if (wait instanceof Wait && wait.owner === owner && wait.kind === kind) wait.limit(value);
      }
    };
    this.visible = settable(this.#values, KINDS, 0, change);
  }
}

/** Accepting without a descriptor left fails at once, again and again: milliseconds to wait, at first and at most. */
export const BACK_OFF = [5, 1000] as const;

/** Whether accepting failed for what others may give back: descriptors, memory. */
export function isExhausted(error: unknown): boolean {
  return ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"].includes((error as { code?: string } | null)?.code ?? "");
}

/**
 * Milliseconds that users set and delete as they like: checked, and told of at once.
 *
 * @param values What they are kept in.
 * @param kinds The names that there are.
 * @param min The least number of milliseconds that means something.
 * @param change Takes a new value, undefined for none.
 */
export function settable<K extends string>(
  values: { [kind in K]?: number },
  kinds: readonly K[],
  min: number,
  change: (kind: K, value: number | undefined) => void,
): { [kind in K]?: number } {
  const set = (kind: string | symbol, value: unknown) => {
    if (!kinds.includes(kind as K)) {
      throw new TypeError(`Cannot set timeouts.${String(kind)}: it must be one of ${kinds.join(", ")}`);
    }
    change(kind as K, integer(value, `Cannot set timeouts.${String(kind)}: it`, min, LONGEST));
    return true;
  };
  const lift = (kind: string | symbol) => {
    change(kind as K, undefined);
    return true;
  };
  return new Proxy(values, {
    set: (_, kind, value) => value === undefined ? lift(kind) : set(kind, value),
    defineProperty: (_, kind, { value }) => set(kind, value),
    deleteProperty: (_, kind) => lift(kind),
  });
}

/**
 * The signal of a call's options or nothing, or an error; throws its reason when it came already. `doing` begins the
 * messages: text, or what makes it where that takes system calls.
 */
export function signalOf(options: unknown, doing: string | (() => string)): AbortSignal | undefined {
  if (options === undefined) return undefined;
  const words = () => typeof doing === "string" ? doing : doing();
  if (typeof options !== "object" || options === null) object(options, `${words()}: the options`, "an object");
  const { signal } = options as WaitOptions;
  if (signal === undefined) return undefined;
  if (!(signal instanceof AbortSignal)) {
    throw new TypeError(`${words()}: signal is ${shown(signal)}, it must be an AbortSignal`);
  }
  signal.throwIfAborted();
  return signal;
}

/** A timer by the number that Deno knows it by. */
export function timer(end: () => void, milliseconds: number): number {
  return setTimeout(end, milliseconds) as unknown as number;
}

/** Whether a timer keeps the program alive. */
export function refTimer(timer: number, refed: boolean): void {
  if (refed) Deno.refTimer(timer);
  else Deno.unrefTimer(timer);
}

/** The beginning of the message of a call that ended without its event, by the verb of the call. */
export const DOING: unique symbol = Symbol("@berkeley/sockets doing");

/** Whose call it is; no function for each, as there may be thousands. */
interface Owner {
  [DOING](verb: string): string;
}

/** One wait of a call, until its descriptor is ready; one object, as there may be thousands. */
export class Wait implements Waiter, EventListenerObject {
  readonly interest: number;
  readonly look: number | undefined;
  /** Whose call it is, and which of its timeouts the call obeys. */
  readonly owner: Owner;
  readonly kind: WaitKind;
  readonly #entry: Entry;
  readonly #since: number;
  readonly #signal: AbortSignal | undefined;
  readonly #verb: string;
  readonly #resolve: (events: number) => void;
  readonly #reject: (reason: unknown) => void;
  #refed: boolean;
  #timer: number | undefined = undefined;

  /** See {@linkcode readiness}. */
  constructor(call: Call, resolve: (events: number) => void, reject: (reason: unknown) => void) {
    this.interest = call.interest;
    this.#refed = call.refed;
    this.look = call.look;
    this.owner = call.owner;
    this.kind = call.kind;
    this.#entry = call.entry;
    this.#since = call.since;
    this.#signal = call.signal;
    this.#verb = call.verb;
    this.#resolve = resolve;
    this.#reject = reject;
    call.signal?.addEventListener("abort", this);
    if (call.timeout !== undefined) this.limit(call.timeout);
    try {
      wait(this.#entry, this);
    } catch (error) {
      this.closed(error);
    }
  }

  /** Whether it keeps the program alive. */
  get refed(): boolean {
    return this.#refed;
  }

  set refed(refed: boolean) {
    this.#refed = refed;
    if (this.#timer !== undefined) refTimer(this.#timer, refed);
  }

  /** How many milliseconds the call may take, from its start on. */
  limit(milliseconds: number | undefined): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (milliseconds === undefined) return;
    const left = Math.max(0, this.#since + milliseconds - performance.now());
    this.#timer = timer(() => this.#end(timedOut(this.owner, this.#verb, milliseconds)), left);
    refTimer(this.#timer, this.#refed);
  }

  /** The signal came. */
  handleEvent(): void {
    this.#end(this.#signal!.reason);
  }

  #end(reason: unknown): void {
    leave(this.#entry, this);
    this.closed(reason);
  }

  #over(): void {
    this.#signal?.removeEventListener("abort", this);
    clearTimeout(this.#timer);
  }

  ready(events: number): void {
    this.#over();
    this.#resolve(events);
  }

  closed(reason: unknown): void {
    this.#over();
    this.#reject(reason);
  }
}

/** A call that is to wait. */
interface Call {
  /** The descriptor. */
  readonly entry: Entry;
  /** The bits waited for. */
  readonly interest: number;
  /** Whether the wait keeps the program alive. */
  readonly refed: boolean;
  /** How long to look before it sleeps, in milliseconds; undefined: as long as it pays. */
  readonly look: number | undefined;
  /** Ends the wait with its reason. */
  readonly signal: AbortSignal | undefined;
  readonly owner: Owner;
  readonly kind: WaitKind;
  /** When the call began to wait. */
  readonly since: number;
  /** How many milliseconds it may take from then on; undefined: for ever. */
  readonly timeout: number | undefined;
  /** What the call does, as its owner names it in the message of a timeout. */
  readonly verb: string;
}

function timedOut(owner: Owner, verb: string, milliseconds: number): Deno.errors.TimedOut {
  return new Deno.errors.TimedOut(`${owner[DOING](verb)}: nothing within ${milliseconds} ms`);
}

/** Waits until the descriptor of a call is ready; resolves to the bits that came. */
export function readiness(call: Call): Promise<number> {
  const { timeout } = call;
  // It waited behind others until now. No timer: there may be thousands, of which each would wait for the one before.
  if (timeout !== undefined && performance.now() - call.since > timeout) {
    return Promise.reject(timedOut(call.owner, call.verb, timeout));
  }
  // It may have come since the call began, between two waits.
  if (call.signal?.aborted) return Promise.reject(call.signal.reason);
  return new Promise((resolve, reject) => void new Wait(call, resolve, reject));
}

/** The pauses of a socket between attempts at what cannot be waited for; they keep the program alive as its waits do. */
export class Pauses {
  readonly #timers = new Map<number, () => void>();
  #refed: boolean;

  constructor(refed: boolean) {
    this.#refed = refed;
  }

  /** Ends those that last: what was paused for is to be tried at once. */
  end(): void {
    for (const end of [...this.#timers.values()]) end();
  }

  /** Whether pauses keep the program alive, also those that last. */
  ref(refed: boolean): void {
    this.#refed = refed;
    for (const timer of this.#timers.keys()) refTimer(timer, refed);
  }

  /** Pauses, until the signal comes. */
  pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const over = () => {
        clearTimeout(number);
        this.#timers.delete(number);
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => {
        over();
        reject(signal!.reason);
      };
      const end = () => {
        over();
        resolve();
      };
      const number = timer(end, milliseconds);
      this.#timers.set(number, end);
      refTimer(number, this.#refed);
      signal?.addEventListener("abort", abort);
    });
  }
}
