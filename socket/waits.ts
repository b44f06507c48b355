// How one call of a socket waits: for readiness, until a signal, a timeout or close() ends it.
// Which descriptors are ready is told by internal/reactor.ts; the calls themselves are in socket.ts.
import { integer, shown } from "../internal/argument.ts";
import { type Entry, leave, wait, type Waiter } from "../internal/reactor.ts";

/** Options of a call that may wait. */
export interface WaitOptions {
  /** Ends the wait; nothing is lost and the socket stays usable. */
  signal?: AbortSignal;
}

/** Default waits in milliseconds, absent for ever; `SO_RCVTIMEO` and `SO_SNDTIMEO` of C say the same. */
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

/** The longest time that a timer takes. */
const LONGEST = 0x7fff_ffff;

/** A call that waits now, as far as its timeout is concerned. */
interface Timed {
  readonly kind: WaitKind;
  readonly since: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  expire(milliseconds: number): void;
}

const KINDS: readonly string[] = ["receive", "send", "accept", "connect"] satisfies WaitKind[];

/** The timeouts of a socket: checked when they are set, and in force at once, also for calls that wait already. */
export class Timeouts {
  readonly #values: SocketTimeouts = {};
  readonly #waiting: Timed[] = [];
  #visible: SocketTimeouts | undefined;
  /** What users see: setting and deleting take effect. */
  get visible(): SocketTimeouts {
    return this.#visible ??= this.#makeVisible();
  }

  #makeVisible(): SocketTimeouts {
    return new Proxy(this.#values, {
      set: (_, kind, value) => {
        if (!KINDS.includes(String(kind))) {
          throw new TypeError(`Cannot set timeouts.${String(kind)}: it must be one of ${KINDS.join(", ")}`);
        }
        this.#change(kind as WaitKind, integer(value, `Cannot set timeouts.${String(kind)}: it`, 0, LONGEST));
        return true;
      },
      deleteProperty: (_, kind) => {
        this.#change(kind as WaitKind, undefined);
        return true;
      },
    });
  }

  #change(kind: WaitKind, value: number | undefined): void {
    if (value === undefined) delete this.#values[kind];
    else this.#values[kind] = value;
    for (const timed of [...this.#waiting]) if (timed.kind === kind) this.#start(timed);
  }

  #start(timed: Timed): void {
    clearTimeout(timed.timer);
    const value = this.#values[timed.kind];
    timed.timer = value === undefined
      ? undefined
      : setTimeout(() => timed.expire(value), Math.max(0, timed.since + value - performance.now()));
  }

  /** Begins to watch a call. */
  enter(kind: WaitKind, since: number, expire: (milliseconds: number) => void): Timed {
    const timed: Timed = { kind, since, timer: undefined, expire };
    this.#waiting.push(timed);
    this.#start(timed);
    return timed;
  }

  /** The call is over. */
  leave(timed: Timed): void {
    clearTimeout(timed.timer);
    const at = this.#waiting.indexOf(timed);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}

/** A signal or nothing, or an error; throws its reason when it came already. */
export function signalOf(options: WaitOptions | undefined, doing: () => string): AbortSignal | undefined {
  const signal = options?.signal;
  if (signal === undefined) return undefined;
  if (!(signal instanceof AbortSignal)) {
    throw new TypeError(`${doing()}: signal is ${shown(signal)}, it must be an AbortSignal`);
  }
  signal.throwIfAborted();
  return signal;
}

/**
 * Waits until a descriptor is ready.
 *
 * @param entry The descriptor.
 * @param interest The bits waited for.
 * @param refed Whether the wait keeps the program alive.
 * @param signal Ends the wait with its reason.
 * @param timed The timeouts that the call obeys, as which kind, and since when; null for none.
 * @param doing The beginning of the message of a timeout.
 */
export function readiness(
  entry: Entry,
  interest: number,
  refed: boolean,
  signal: AbortSignal | undefined,
  timed: { readonly timeouts: Timeouts; readonly kind: WaitKind; readonly since: number } | null,
  doing: () => string,
): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    // It may have come since the call began, between two waits.
    if (signal?.aborted) return reject(signal.reason);
    const over = () => {
      signal?.removeEventListener("abort", abort);
      if (watch !== null) timed!.timeouts.leave(watch);
    };
    const waiter: Waiter = {
      interest,
      refed,
      ready(events) {
        over();
        resolve(events);
      },
      closed(reason) {
        over();
        reject(reason);
      },
    };
    const end = (reason: unknown) => {
      leave(entry, waiter);
      over();
      reject(reason);
    };
    const abort = () => end(signal!.reason);
    const watch = timed === null ? null : timed.timeouts.enter(
      timed.kind,
      timed.since,
      (milliseconds) => end(new Deno.errors.TimedOut(`${doing()}: nothing within ${milliseconds} ms`)),
    );
    signal?.addEventListener("abort", abort);
    try {
      wait(entry, waiter);
    } catch (error) {
      over();
      reject(error);
    }
  });
}
