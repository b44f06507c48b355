// Connections with the interface of Deno's whose streams are made of their own calls, for all that are no objects of Deno's.
// Over a Socket: conn.ts. Over a connection of somebody else's, with limits on it: tcp/wrapped.ts.
import { shown } from "../internal/argument.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** As much as a read of the stream may bring, as with Deno's. */
export const CHUNK = 65_536;

/** Calls of one direction, one after the other in the order they were made, as Deno does them. */
export class Queue {
  #last: Promise<unknown> | null = null;

  /** Makes the call when those before are over. */
  run<T>(call: () => Promise<T>): Promise<T> {
    const mine = this.#last === null ? call() : this.#last.then(call, call);
    this.#last = mine;
    const over = () => {
      if (this.#last === mine) this.#last = null;
    };
    mine.then(over, over);
    return mine;
  }

  /** Calls back when nothing is under way, which may be now. */
  whenIdle(then: () => void): void {
    if (this.#last === null) then();
    else this.#last.then(() => this.whenIdle(then), () => this.whenIdle(then));
  }
}

/**
 * A connection by its calls; the streams are made of them. Where Deno closes a whole connection when one of its streams
 * ends, this closes half where it can.
 */
export abstract class ByteConn<A extends Deno.Addr> implements Deno.Conn<A> {
  #readable: ReadableStream<Bytes> | undefined;
  #writable: WritableStream<Uint8Array> | undefined;
  /** The writes, which an end of the readable does not cut off. */
  protected readonly writes: Queue = new Queue();
  /** Whether the readable ended or was cancelled. */
  protected readEnded = false;
  /** Whether closeWrite() was called, by the writable too. */
  protected writeEnded = false;

  abstract readonly localAddr: A;
  abstract readonly remoteAddr: A;
  abstract read(p: Uint8Array): Promise<number | null>;
  abstract write(p: Uint8Array): Promise<number>;
  abstract closeWrite(): Promise<void>;
  abstract close(): void;
  abstract ref(): void;
  abstract unref(): void;
  /** Whether it is open. */
  protected abstract get isOpen(): boolean;
  /** Shuts down a half, for a stream that ended; of what the peer has reset there is none left, which is no error. */
  protected abstract shutdown(how: "read" | "write"): void | Promise<void>;

  /** Whether the connection outlives that a read of the readable fails so; the next readable then goes on. */
  protected outlives(_error: unknown): boolean {
    return false;
  }

  /** Refuses calls of a closed connection, and buffers that are none. */
  protected check(buffer: Uint8Array | null, verb: string): void {
    if (!this.isOpen) throw new Deno.errors.BadResource(`Cannot ${verb}: the connection is closed`);
    if (buffer !== null && !(buffer instanceof Uint8Array)) {
      throw new TypeError(`Cannot ${verb}: the buffer is ${shown(buffer)}, it must be a Uint8Array`);
    }
  }

  [Symbol.dispose](): void {
    if (this.isOpen) this.close();
  }

  get readable(): ReadableStream<Bytes> {
    return this.#readable ??= new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: CHUNK,
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#cancelRead(),
    }) as ReadableStream<Bytes>;
  }

  async #pull(controller: ReadableByteStreamController): Promise<void> {
    const request = controller.byobRequest!;
    try {
      const count = await this.read(request.view as Uint8Array);
      // What was cancelled meanwhile takes nothing more.
      if (this.readEnded) return;
      if (count !== null) return request.respond(count);
    } catch (error) {
      if (this.readEnded) return;
      if (this.outlives(error)) this.#readable = undefined;
      else {
        this.readEnded = true;
        this[Symbol.dispose]();
      }
      throw error;
    }
    this.#endRead();
    controller.close();
    request.respond(0);
  }

  #cancelRead(): void | Promise<void> {
    // A read that waits ends with it.
    if (this.#endRead()) return this.shutdown("read");
  }

  /** The readable is over; whether the connection stays open, for a writable that is in use. */
  #endRead(): boolean {
    this.readEnded = true;
    if (this.#writable !== undefined && !this.writeEnded) return this.isOpen;
    this.writes.whenIdle(() => this[Symbol.dispose]());
    return this.isOpen;
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#writable ??= new WritableStream<Uint8Array>({
      start: (controller) => {
        // Comes before a write that waits is over, and ends it; abort() would come after.
        controller.signal.addEventListener("abort", () => this[Symbol.dispose](), { once: true });
      },
      write: (chunk) => this.#writeAll(chunk),
      close: () => this.#endWrite(),
    });
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    try {
      const data = bytesOf(chunk);
      for (let sent = 0; sent < data.byteLength;) sent += await this.write(data.subarray(sent));
    } catch (error) {
      this.writeEnded = true;
      this[Symbol.dispose]();
      throw error;
    }
  }

  async #endWrite(): Promise<void> {
    if (!this.isOpen) return;
    await this.writes.run(async () => {
      if (this.isOpen) await this.shutdown("write");
    });
    this.writeEnded = true;
    if (this.readEnded) this[Symbol.dispose]();
  }
}

/** What Deno's writables take. */
function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError(`Cannot write: the chunk is ${shown(chunk)}, it must be an ArrayBuffer or a view of one`);
}
