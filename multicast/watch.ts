// Hears what becomes of the network interfaces: from the kernel of Linux, elsewhere by looking once a second.
// What people call: interfaces.ts. Memberships that follow the machine: follow.ts. The kernel's messages: internal/rtnetlink.ts.
import { ffiGranted } from "../internal/ffi.ts";
import { listInterfaces, type NetworkInterface } from "../internal/netif.ts";
import { changesBetween, type InterfaceChange } from "../internal/netlink.ts";
import { InterfaceEvents } from "../internal/rtnetlink.ts";
import { Socket } from "../socket/socket.ts";

/** How often to look where nobody tells. */
const LOOK_EVERY = 1000;

/** Somebody who hears of changes. */
export interface Watch {
  /** The interfaces as far as was heard; nothing is before the first next(). */
  list(): readonly NetworkInterface[];
  /** The next change; null when it is closed, also while this waits. */
  next(): Promise<InterfaceChange | null>;
  /** Ends it; may be called again. */
  close(): void;
}

/**
 * Begins to hear of changes.
 *
 * @param doing The beginning of messages.
 * @param refed Whether waiting for them keeps the program alive.
 */
export function watch(doing: string, refed = true): Watch {
  const events = ffiGranted() ? InterfaceEvents.open(doing) : null;
  return events === null ? new LookingWatch(doing, refed) : new KernelWatch(events, doing, refed);
}

/** What both share: changes wait in line, and calls wait for each other. */
abstract class Line implements Watch {
  readonly #changes: InterfaceChange[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  abstract list(): readonly NetworkInterface[];
  abstract close(): void;
  /** Waits for changes, maybe none; null when closed. */
  protected abstract more(): Promise<readonly InterfaceChange[] | null>;

  next(): Promise<InterfaceChange | null> {
    const next = this.#turn.then(() => this.#next());
    this.#turn = next.catch(() => {});
    return next;
  }

  async #next(): Promise<InterfaceChange | null> {
    for (;;) {
      const change = this.#changes.shift();
      if (change !== undefined) return change;
      const more = await this.more();
      if (more === null) return null;
      this.#changes.push(...more);
    }
  }
}

class KernelWatch extends Line {
  readonly #events: InterfaceEvents;
  readonly #socket: Socket;
  readonly #doing: string;

  constructor(events: InterfaceEvents, doing: string, refed: boolean) {
    super();
    this.#events = events;
    this.#doing = doing;
    this.#socket = Socket.adopt(events.fd);
    if (!refed) this.#socket.unref();
  }

  override list(): readonly NetworkInterface[] {
    return this.#events.table.list();
  }

  protected override async more(): Promise<readonly InterfaceChange[] | null> {
    try {
      return this.#events.take(await this.#socket.receive());
    } catch (error) {
      if (error instanceof Deno.errors.BadResource) return null;
      // More came than there was room for: what was lost shows in a new list.
      if ((error as { code?: string }).code !== "ENOBUFS") throw error;
      const before = this.#events.again(this.#doing);
      return before === null ? [] : changesBetween(before.list(), this.list());
    }
  }

  override close(): void {
    this.#socket[Symbol.dispose]();
  }
}

class LookingWatch extends Line {
  readonly #doing: string;
  readonly #refed: boolean;
  #known: readonly NetworkInterface[];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(doing: string, refed: boolean) {
    super();
    this.#doing = doing;
    this.#refed = refed;
    this.#known = listInterfaces(doing);
  }

  override list(): readonly NetworkInterface[] {
    return this.#known;
  }

  protected override async more(): Promise<readonly InterfaceChange[] | null> {
    if (this.#closed) return null;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#timer = setTimeout(resolve, LOOK_EVERY);
      if (!this.#refed) Deno.unrefTimer(this.#timer as unknown as number);
    });
    if (this.#closed) return null;
    const before = this.#known;
    this.#known = listInterfaces(this.#doing);
    return changesBetween(before, this.#known);
  }

  override close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#wake?.();
  }
}
