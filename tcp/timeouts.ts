// withTimeouts: a connection whose reads and writes end when their time is over.
// Limits for all connections of a listener: limits.ts. The time that a connect may take: connect.ts.
import { object, prefixed, shown } from "../internal/argument.ts";
import type { HasDescriptor } from "../options/mod.ts";
import { CHUNK } from "../socket/byte_conn.ts";
import { LEFT } from "../socket/left.ts";
import { LONGEST, refTimer, settable, timer } from "../socket/waits.ts";
import { WrappedConn } from "./wrapped.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Limits of a connection of {@linkcode withTimeouts}, in milliseconds from 1 to 2,147,483,647; absent for ever. */
export interface ConnTimeouts {
  /** Each read, from its call on. */
  read?: number;
  /** Each write, from its call on; afterwards only `close()` is safe, as the data may be on their way, in part or whole. */
  write?: number;
  /** Without a byte either way while a call waits: a read goes on as long as writes get something through. */
  idle?: number;
}

/** A connection with limits on it. */
export interface TimedConn extends HasDescriptor {
  /** May be changed at any time; calls that wait already obey at once. */
  readonly timeouts: ConnTimeouts;
  /**
   * A point in time for all calls, in milliseconds as `Date.now()` has them; once it has passed every call fails at once,
   * those that wait and those to come. null, as at first, for none.
   */
  deadline: number | null;
}

const KINDS: readonly (keyof ConnTimeouts)[] = ["read", "write", "idle"];

/** The limits of one connection, and the calls that wait under them. */
class Limits {
  readonly #values: ConnTimeouts = {};
  readonly #waits = new Set<Wait>();
  readonly visible: ConnTimeouts;
  #deadline: number | null = null;
  #refed = true;
  /** When a byte went through last. */
  moved = performance.now();

  constructor(given: ConnTimeouts) {
    this.visible = settable(this.#values, KINDS, 1, (kind, value) => {
      if (value === undefined) delete this.#values[kind];
      else this.#values[kind] = value;
      this.#changed();
    });
    for (const [kind, value] of Object.entries(given)) {
      if (value !== undefined) this.visible[kind as keyof ConnTimeouts] = value;
    }
  }

  get deadline(): number | null {
    return this.#deadline;
  }

  set deadline(value: number | null) {
    if (value !== null && typeof value !== "number") {
      throw new TypeError(`Cannot set the deadline: it is ${shown(value)}, it must be a number or null`);
    }
    if (value !== null && !Number.isFinite(value)) {
      throw new RangeError(`Cannot set the deadline: it is ${value}, it must be milliseconds as Date.now() has them`);
    }
    this.#deadline = value;
    this.#changed();
  }

  #changed(): void {
    for (const wait of [...this.#waits]) wait.arm();
  }

  /** Whether timers keep the program alive, as the calls do that wait under them. */
  ref(refed: boolean): void {
    this.#refed = refed;
    for (const wait of this.#waits) wait.ref(refed);
  }

  /** A call begins to wait; `late` is called if its time is over first, which may be now. */
  begin(kind: "read" | "write", late: (why: string) => void): Wait {
    const wait = new Wait(this, kind, late);
    this.#waits.add(wait);
    wait.arm();
    return wait;
  }

  /** A call waits no more. */
  end(wait: Wait): void {
    this.#waits.delete(wait);
  }

  /** When a call must end, in the time of performance.now(), and why. */
  due(kind: "read" | "write", since: number): [at: number, why: string] {
    const { idle, [kind]: own } = this.#values;
    let due: [number, string] = [Infinity, ""];
    const consider = (at: number, why: string) => {
      if (at < due[0]) due = [at, why];
    };
    if (own !== undefined) consider(since + own, `nothing within ${own} ms`);
    if (idle !== undefined) consider(Math.max(since, this.moved) + idle, `no byte either way within ${idle} ms`);
    if (this.#deadline !== null) {
      consider(performance.now() + this.#deadline - Date.now(), "the deadline has passed");
    }
    return due;
  }

  get refed(): boolean {
    return this.#refed;
  }
}

/** A call that waits. */
class Wait {
  readonly #limits: Limits;
  readonly #kind: "read" | "write";
  readonly #late: (why: string) => void;
  readonly #since = performance.now();
  #timer: number | undefined;
  /** Whether it has ended, one way or the other. */
  over = false;

  constructor(limits: Limits, kind: "read" | "write", late: (why: string) => void) {
    this.#limits = limits;
    this.#kind = kind;
    this.#late = late;
  }

  /** Looks how much time there is, and waits for its end. */
  arm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [at, why] = this.#limits.due(this.#kind, this.#since);
    if (at === Infinity) return;
    const left = at - performance.now();
    if (left <= 0) {
      this.end();
      return this.#late(why);
    }
    // Timers count whole milliseconds, and the time moves while calls wait: it is looked at again.
    this.#timer = timer(() => this.arm(), Math.min(Math.ceil(left), LONGEST));
    refTimer(this.#timer, this.#limits.refed);
  }

  ref(refed: boolean): void {
    if (this.#timer !== undefined) refTimer(this.#timer, refed);
  }

  end(): void {
    this.over = true;
    clearTimeout(this.#timer);
    this.#limits.end(this);
  }
}

/** A read that waits. */
interface Reader {
  readonly into: Uint8Array;
  readonly resolve: (count: number | null) => void;
  readonly reject: (error: unknown) => void;
  readonly wait: Wait;
}

/** A connection with limits. */
class Timed<A extends Deno.Addr> extends WrappedConn<A> implements TimedConn {
  readonly #limits: Limits;
  /** Reads in the order they were made; those whose time is over have left. */
  readonly #readers: Reader[] = [];
  /** Whether a read of the other connection is under way. It cannot be taken back, so it never gets a caller's buffer. */
  #reading = false;
  #room: Bytes | undefined;
  /** What came when nobody waited for it any more. */
  #left: Bytes | undefined;
  /** An error that came so. */
  #failure: { readonly error: unknown } | undefined;
  /** What reads ended with that were too late, and did no harm. */
  readonly #late = new WeakSet<Deno.errors.TimedOut>();
  #refed = true;
  /** Whether the read that is under way was told to keep no program alive. */
  #idle = false;

  constructor(inner: Deno.Conn<A>, limits: Limits) {
    super(inner);
    this.#limits = limits;
  }

  get timeouts(): ConnTimeouts {
    return this.#limits.visible;
  }

  get deadline(): number | null {
    return this.#limits.deadline;
  }

  set deadline(value: number | null) {
    this.#limits.deadline = value;
  }

  get [LEFT](): boolean {
    return this.#left !== undefined || (this.inner as { [LEFT]?: boolean })[LEFT] === true;
  }

  protected override outlives(error: unknown): boolean {
    return this.#late.has(error as Deno.errors.TimedOut);
  }

  #tooLate(action: string, why: string): Deno.errors.TimedOut {
    return new Deno.errors.TimedOut(`${this.doing(action)}: ${why}`);
  }

  override async read(p: Uint8Array): Promise<number | null> {
    this.check(p, "read");
    if (p.byteLength === 0) return 0;
    if (this.readEnded) return null;
    return await new Promise((resolve, reject) => {
      const wait = this.#limits.begin("read", (why) => {
        const at = this.#readers.findIndex((one) => one.wait.over);
        if (at >= 0) this.#readers.splice(at, 1);
        this.#keepAlive();
        const error = this.#tooLate("read from", why);
        this.#late.add(error);
        reject(error);
      });
      if (wait.over) return;
      this.#readers.push({ into: p, resolve, reject, wait });
      this.#serve();
    });
  }

  /** Gives what has come to those who wait, and reads on for those who still do. */
  #serve(): void {
    while (this.#readers.length > 0) {
      const first = this.#readers[0]!;
      const { byteLength } = first.into;
      if (this.#left === undefined && this.#failure === undefined && byteLength > 0) {
        if (!this.#reading) this.#read(Math.min(byteLength, CHUNK));
        break;
      }
      this.#readers.shift();
      first.wait.end();
      this.#give(first);
    }
    this.#keepAlive();
  }

  #give({ into, resolve, reject }: Reader): void {
    if (into.byteLength === 0) return reject(new TypeError("Cannot read: the buffer has lost its memory meanwhile"));
    const left = this.#left;
    if (left === undefined) {
      const { error } = this.#failure!;
      this.#failure = undefined;
      return reject(error);
    }
    // The end of the stream is nothing that came.
    if (left.byteLength === 0) {
      this.#left = undefined;
      return resolve(null);
    }
    const count = Math.min(left.byteLength, into.byteLength);
    into.set(left.subarray(0, count));
    this.#left = count < left.byteLength ? left.subarray(count) : undefined;
    resolve(count);
  }

  #read(byteLength: number): void {
    if (this.#room === undefined || this.#room.byteLength < byteLength) this.#room = new Uint8Array(byteLength);
    const room = this.#room.subarray(0, byteLength);
    this.#reading = true;
    this.inner.read(room).then((count) => {
      if (count !== null) this.#limits.moved = performance.now();
      this.#left = room.subarray(0, count ?? 0);
    }, (error) => {
      this.#failure = { error };
    }).then(() => {
      this.#reading = false;
      this.#serve();
    });
  }

  /** A read that nobody waits for keeps no program alive. */
  #keepAlive(): void {
    const idle = this.#reading && this.#readers.length === 0;
    if (!this.#refed || idle === this.#idle) return;
    this.#idle = idle;
    if (idle) this.inner.unref();
    else this.inner.ref();
  }

  override ref(): void {
    this.#refed = true;
    this.#limits.ref(true);
    if (!this.#idle) this.inner.ref();
    this.#keepAlive();
  }

  override unref(): void {
    this.#refed = false;
    this.#limits.ref(false);
    this.inner.unref();
  }

  override async write(p: Uint8Array): Promise<number> {
    this.check(p, "write");
    if (p.byteLength === 0) return 0;
    return await new Promise((resolve, reject) => {
      const wait = this.#limits.begin("write", (why) => reject(this.#tooLate("write to", why)));
      if (wait.over) return;
      // A copy: the caller's buffer is the caller's again when the time is over, the data may still be on their way.
      const data = p.slice(0, CHUNK);
      const end = (settle: () => void) => {
        wait.end();
        settle();
      };
      this.writes.run(async () => {
        // What was too late while it queued is not sent at all.
        if (wait.over) return 0;
        const count = await this.inner.write(data);
        this.#limits.moved = performance.now();
        return count;
      }).then((count) => end(() => resolve(count)), (error) => end(() => reject(error)));
    });
  }
}

/**
 * Puts limits on a connection: a read or write that takes longer rejects with `Deno.errors.TimedOut`.
 *
 * Takes any connection: of Deno (TLS and unix ones too), of `connectTcp` and `listenTcp`, of `Socket.asConn()`. What comes
 * back is to be used in its place; it has all that the other has, and options take it. It works with the permissions of
 * the connection.
 *
 * A read that was too late has done no harm: what comes later goes to the next read. `readable` fails by it without closing the
 * connection, and `readable` asked for anew goes on. A write that was too late leaves it open whether the data went out;
 * `writable` closes the connection then. To start TLS on such a connection is refused, as the limits would be lost: put
 * them on the connection that `Deno.startTls` gives.
 *
 * @param conn The connection.
 * @param timeouts The limits in milliseconds; `{}` for none yet.
 * @returns The connection with limits, which may be changed at any time.
 * @throws {TypeError} An argument is of a wrong kind.
 * @throws {RangeError} A limit is out of range.
 *
 * @example A peer that says nothing
 * ```ts
 * import { connectTcp, withTimeouts } from "@berkeley/sockets/tcp";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = withTimeouts(await connectTcp({ port: listener.addr.port }), { read: 50 });
 * using peer = await listener.accept();
 * await assertRejects(() => conn.read(new Uint8Array(8)), Deno.errors.TimedOut);
 *
 * // What comes late is not lost.
 * await peer.write(new Uint8Array(3));
 * assertEquals(await conn.read(new Uint8Array(8)), 3);
 * ```
 *
 * @example A deadline for a whole exchange
 * ```ts
 * import { connectTcp, withTimeouts } from "@berkeley/sockets/tcp";
 * import { assertRejects } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = withTimeouts(await connectTcp({ port: listener.addr.port }), {});
 * conn.deadline = Date.now() + 50;
 * await conn.write(new TextEncoder().encode("PING\r\n"));
 * await assertRejects(() => conn.read(new Uint8Array(8)), Deno.errors.TimedOut);
 * conn.deadline = null;
 * ```
 */
export function withTimeouts<C extends Deno.Conn>(conn: C, timeouts: ConnTimeouts): C & TimedConn {
  try {
    const { read, write } = object(conn, "the connection", "a connection of Deno or of this library");
    if (typeof read !== "function" || typeof write !== "function") {
      throw new TypeError(`the connection is ${shown(conn)}, it must be a connection of Deno or of this library`);
    }
    object(timeouts, "the second argument", "an object of milliseconds");
    return new Timed(conn, new Limits(timeouts)) as unknown as C & TimedConn;
  } catch (error) {
    throw prefixed(error, "Cannot put limits on a connection");
  }
}
