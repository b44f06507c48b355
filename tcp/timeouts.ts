// withTimeouts: a connection whose reads and writes end when their time is over.
// Limits for all connections of a listener: limits.ts. The time that a connect may take: connect.ts.
import { object, prefixed, shown } from "../internal/argument.ts";
import type { HasDescriptor } from "../options/mod.ts";
import { CHUNK } from "../socket/byte_conn.ts";
import { LEFT } from "../socket/left.ts";
import { LONGEST, refTimer, settable, timer } from "../socket/waits.ts";
import { WrappedConn } from "./wrapped.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Limits of a connection of {@linkcode withTimeouts}, in milliseconds from 1 to 2,147,483,647; absent (`delete`, or set to
 * undefined) for ever.
 */
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

/** A call that waits. */
interface Wait {
  readonly kind: "read" | "write";
  readonly since: number;
  /** Called when its time is over. */
  readonly late: (why: string) => void;
  /** Whether it has ended, one way or the other. */
  over: boolean;
}

/** The limits of one connection, and the calls that wait under them. */
class Limits {
  readonly #values: ConnTimeouts = {};
  readonly #waits = new Set<Wait>();
  readonly visible: ConnTimeouts;
  #deadline: number | null = null;
  // One timer for all calls, which stays when they end and finds out later that nobody needs it: a timer for each would
  // take longer than most calls. It keeps no program alive, as the calls do that wait.
  #timer: number | undefined;
  #timerAt = Infinity;
  /** When a byte went through last. */
  moved = performance.now();

  constructor(given: ConnTimeouts) {
    this.visible = settable(this.#values, KINDS, 1, (kind, value) => {
      if (value === undefined) delete this.#values[kind];
      else this.#values[kind] = value;
      this.#look();
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
    this.#look();
  }

  /** A call begins to wait; `late` is called if its time is over first, which may be now. */
  begin(kind: "read" | "write", late: (why: string) => void): Wait {
    const since = performance.now();
    const wait = { kind, since, late, over: false };
    const at = this.#due(wait, since);
    if (at <= since) {
      wait.over = true;
      late(this.#why(wait, since));
    } else {
      this.#waits.add(wait);
      if (at < this.#timerAt) this.#arm(at, since);
    }
    return wait;
  }

  /** A call waits no more. */
  end(wait: Wait): void {
    wait.over = true;
    this.#waits.delete(wait);
  }

  /** Nothing is to wait any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timerAt = Infinity;
  }

  /** When a call must end, in the time of performance.now(). */
  #due({ kind, since }: Wait, now: number): number {
    const { idle, [kind]: own } = this.#values;
    let at = own === undefined ? Infinity : since + own;
    if (idle !== undefined) at = Math.min(at, Math.max(since, this.moved) + idle);
    if (this.#deadline !== null) at = Math.min(at, now + this.#deadline - Date.now());
    return at;
  }

  /** Which limit it was. */
  #why({ kind, since }: Wait, now: number): string {
    const { idle, [kind]: own } = this.#values;
    if (own !== undefined && since + own <= now) return `nothing within ${own} ms`;
    if (idle !== undefined && Math.max(since, this.moved) + idle <= now) return `no byte either way within ${idle} ms`;
    return "the deadline has passed";
  }

  /** Ends the calls whose time is over, and sees to the others. */
  #look(): void {
    const now = performance.now();
    let next = Infinity;
    for (const wait of [...this.#waits]) {
      const at = this.#due(wait, now);
      if (at > now) next = Math.min(next, at);
      else if (!wait.over) {
        this.end(wait);
        wait.late(this.#why(wait, now));
      }
    }
    this.#arm(next, now);
  }

  #arm(at: number, now: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = at;
    if (at === Infinity) return;
    this.#timer = timer(() => this.#look(), Math.min(Math.ceil(at - now), LONGEST));
    refTimer(this.#timer, false);
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
  /** What a write has copied its data into, and left. */
  #spare: Bytes | undefined;
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
      this.#limits.end(first.wait);
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

  #copy(data: Uint8Array): Bytes {
    const part = data.byteLength > CHUNK ? data.subarray(0, CHUNK) : data;
    const room = this.#spare;
    if (room === undefined || room.buffer.byteLength < part.byteLength) return new Uint8Array(part);
    this.#spare = undefined;
    const copy = new Uint8Array(room.buffer, 0, part.byteLength);
    copy.set(part);
    return copy;
  }

  protected override closeInner(): void {
    this.#limits.close();
    super.closeInner();
  }

  override ref(): void {
    this.#refed = true;
    if (!this.#idle) this.inner.ref();
    this.#keepAlive();
  }

  override unref(): void {
    this.#refed = false;
    this.inner.unref();
  }

  override async write(p: Uint8Array): Promise<number> {
    this.check(p, "write");
    if (p.byteLength === 0) return 0;
    return await new Promise((resolve, reject) => {
      const wait = this.#limits.begin("write", (why) => reject(this.#tooLate("write to", why)));
      if (wait.over) return;
      // A copy: the caller's buffer is the caller's again when the time is over, the data may still be on their way.
      const data = this.#copy(p);
      const end = (settle: () => void) => {
        this.#limits.end(wait);
        settle();
      };
      this.writes.run(async () => {
        // What was too late while it queued is not sent at all.
        if (wait.over) return 0;
        const count = await this.inner.write(data);
        this.#spare = data;
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
 * A read that was too late has done no harm: what comes later goes to the next read. `readable` fails by it without
 * closing the connection, and `readable` asked for anew goes on. A write that was too late leaves it open whether the data
 * went out; `writable` closes the connection then. Otherwise the streams end one by one, as those of `Socket.asConn()`:
 * closing the writable closes the sending half alone, where Deno's own streams close the whole connection.
 *
 * To start TLS on such a connection is refused, as the limits would be lost: put them on the connection that
 * `Deno.startTls` gives, or use node:tls over `Duplex.fromWeb(conn)` of node:stream.
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
