// Sockets with the interfaces of others: a connected stream as Deno.Conn, a listening one as Deno.Listener, both for node:net.
// The socket itself, whose calls these make: socket.ts. What tcp/ gives are Deno's own objects, not these.
import type { Socket as NodeSocket } from "node:net";
import { shown } from "../internal/argument.ts";
import { DESCRIPTOR, type HasDescriptor } from "../internal/descriptor.ts";
import { errnoNumber, systemErrorOf } from "../internal/errno.ts";
import { SO_ACCEPTCONN, SO_KEEPALIVE, TCP_NODELAY } from "../options/mod.ts";
import type { SocketAddress } from "./address.ts";
import { LEFT } from "./left.ts";
import { handOver, moved, type Socket } from "./socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** As much as a read of the stream may bring, as with Deno's. */
const CHUNK = 65_536;

/** Calls of one direction, one after the other in the order they were made, as Deno does them. */
class Queue {
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

/** A connected stream. Where Deno closes a whole connection when one of its streams ends, this closes half where it can. */
class StreamConn<A extends Deno.Addr> implements Deno.Conn<A>, HasDescriptor {
  readonly #socket: Socket;
  readonly #reads = new Queue();
  readonly #writes = new Queue();
  #open = true;
  #readable: ReadableStream<Bytes> | undefined;
  #writable: WritableStream<Uint8Array> | undefined;
  /** Whether the readable ended or was cancelled. */
  #readEnded = false;
  /** Whether closeWrite() was called, by the writable too. */
  #writeEnded = false;
  readonly localAddr: A;
  readonly remoteAddr: A;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.localAddr = denoAddress(socket, socket.localAddr) as A;
    this.remoteAddr = denoAddress(socket, socket.remoteAddr) as A;
  }

  get [DESCRIPTOR](): number {
    return this.#socket.fd;
  }

  get [LEFT](): boolean {
    return this.#socket[LEFT];
  }

  async read(p: Uint8Array): Promise<number | null> {
    this.#check(p, "read");
    if (p.byteLength === 0) return 0;
    if (this.#readEnded) return null;
    return await this.#reads.run(() => this.#receive(p as Bytes));
  }

  async #receive(into: Bytes): Promise<number | null> {
    try {
      const { byteLength } = await this.#socket.receive(into);
      return byteLength === 0 ? null : byteLength;
    } catch (error) {
      throw this.#interrupted(error);
    }
  }

  async write(p: Uint8Array): Promise<number> {
    this.#check(p, "write");
    if (p.byteLength === 0) return 0;
    return await this.#writes.run(() => this.#send(p));
  }

  async #send(data: Uint8Array): Promise<number> {
    try {
      return await this.#socket.send(data);
    } catch (error) {
      throw this.#interrupted(error);
    }
  }

  #check(buffer: Uint8Array | null, verb: string): void {
    if (!this.#open) throw new Deno.errors.BadResource(`Cannot ${verb}: the connection is closed`);
    if (buffer !== null && !(buffer instanceof Uint8Array)) {
      throw new TypeError(`Cannot ${verb}: the buffer is ${shown(buffer)}, it must be a Uint8Array`);
    }
  }

  /** Calls that wait when their connection is closed end so, in Deno's words. */
  #interrupted(error: unknown): unknown {
    return this.#open || !(error instanceof Deno.errors.BadResource)
      ? error
      : new Deno.errors.Interrupted("operation canceled");
  }

  async closeWrite(): Promise<void> {
    this.#check(null, "close the writing half");
    await this.#writes.run(() =>
      Promise.try(() => {
        if (!this.#open) throw new Deno.errors.Interrupted("operation canceled");
        this.#socket.shutdown("write");
        this.#writeEnded = true;
      })
    );
  }

  close(): void {
    this.#check(null, "close");
    this.#open = false;
    this.#socket.close();
  }

  ref(): void {
    if (this.#open) this.#socket.ref();
  }

  unref(): void {
    if (this.#open) this.#socket.unref();
  }

  [Symbol.dispose](): void {
    if (this.#open) this.close();
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
      if (this.#readEnded) return;
      if (count !== null) return request.respond(count);
    } catch (error) {
      if (this.#readEnded) return;
      this.#readEnded = true;
      this[Symbol.dispose]();
      throw error;
    }
    this.#endRead();
    controller.close();
    request.respond(0);
  }

  #cancelRead(): void {
    if (!this.#endRead()) return;
    // A read that waits ends with it.
    this.#shutdown("read");
  }

  /** The readable is over; whether the connection stays open, for a writable that is in use. */
  #endRead(): boolean {
    this.#readEnded = true;
    if (this.#writable !== undefined && !this.#writeEnded) return this.#open;
    this.#writes.whenIdle(() => this[Symbol.dispose]());
    return this.#open;
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
      this.#writeEnded = true;
      this[Symbol.dispose]();
      throw error;
    }
  }

  async #endWrite(): Promise<void> {
    if (!this.#open) return;
    await this.#writes.run(() => Promise.try(() => this.#shutdown("write")));
    this.#writeEnded = true;
    if (this.#readEnded) this[Symbol.dispose]();
  }

  /** Shuts down a half; of a connection that the peer has reset there is none left. */
  #shutdown(how: "read" | "write"): void {
    if (!this.#open) return;
    try {
      this.#socket.shutdown(how);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotConnected)) throw error;
    }
  }
}

/** A connected TCP stream. */
class TcpStreamConn extends StreamConn<Deno.NetAddr> implements Deno.TcpConn {
  setNoDelay(noDelay = true): void {
    TCP_NODELAY.set(this, noDelay);
  }

  setKeepAlive(keepAlive = true): void {
    SO_KEEPALIVE.set(this, keepAlive);
  }
}

/** A listening stream. */
class StreamListener implements Deno.Listener, HasDescriptor {
  readonly #socket: Socket;
  #open = true;
  readonly addr: Deno.Addr;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.addr = denoAddress(socket, socket.localAddr);
  }

  get [DESCRIPTOR](): number {
    return this.#socket.fd;
  }

  async accept(): Promise<Deno.Conn> {
    try {
      return connection(await this.#socket.accept());
    } catch (error) {
      throw this.#open ? error : new Deno.errors.BadResource("Listener has been closed");
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Deno.Conn> {
    try {
      // Of the socket: it waits a while where no descriptor is left.
      for await (const accepted of this.#socket) yield connection(accepted);
    } finally {
      this[Symbol.dispose]();
    }
  }

  close(): void {
    if (!this.#open) throw new Deno.errors.BadResource("Cannot close: the listener is closed");
    this.#open = false;
    this.#socket[Symbol.dispose]();
  }

  ref(): void {
    if (this.#open) this.#socket.ref();
  }

  unref(): void {
    if (this.#open) this.#socket.unref();
  }

  [Symbol.dispose](): void {
    if (this.#open) this.close();
  }
}

/** An address in Deno's shape; one that the kernel no longer tells, or never had, is unspecified. */
function denoAddress(socket: Socket, address: SocketAddress | null): Deno.Addr {
  if (socket.family === "unix") {
    return { transport: "unix", path: address !== null && "path" in address ? address.path : "" };
  }
  if (address !== null && "hostname" in address) {
    return { transport: "tcp", hostname: address.hostname, port: address.port };
  }
  return { transport: "tcp", hostname: socket.family === "inet" ? "0.0.0.0" : "::", port: 0 };
}

/** What Deno's writables take. */
function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError(`Cannot write: the chunk is ${shown(chunk)}, it must be an ArrayBuffer or a view of one`);
}

function connection(socket: Socket): Deno.Conn {
  return socket.family === "unix" ? new StreamConn<Deno.UnixAddr>(socket) : new TcpStreamConn(socket);
}

/** Refuses what is no stream of TCP or unix, before anything is taken from its owner. */
function checkStream(socket: Socket, doing: string): void {
  // A closed one says so itself.
  void socket.fd;
  if (socket.type === "stream" && ["inet", "inet6", "unix"].includes(socket.family)) return;
  throw new TypeError(
    `${doing} of a ${socket.family} ${socket.type} socket: it must be a stream of family inet, inet6 or unix`,
  );
}

function checkConnected(socket: Socket, doing: string, listening: string): void {
  checkStream(socket, doing);
  if (socket.remoteAddr !== null) return;
  const remedy = SO_ACCEPTCONN.get(socket) ? `it listens: ${listening}` : "connect() it first";
  throw systemErrorOf(errnoNumber("ENOTCONN"), "getpeername", doing, { ENOTCONN: remedy });
}

/** A connected stream as Deno has it; the socket is closed from then on, its descriptor lives in the connection. */
export function connOf(socket: Socket): Deno.Conn {
  checkConnected(socket, "Cannot make a Deno.Conn", "use asListener()");
  return connection(moved(socket));
}

/** A listening stream as Deno has it; the socket is closed from then on, its descriptor lives in the listener. */
export function listenerOf(socket: Socket): Deno.Listener {
  const doing = "Cannot make a Deno.Listener";
  checkStream(socket, doing);
  if (!SO_ACCEPTCONN.get(socket)) {
    const remedy = "the socket does not listen: call listen() first";
    throw systemErrorOf(errnoNumber("EINVAL"), "accept", doing, { EINVAL: remedy });
  }
  return new StreamListener(moved(socket));
}

/** What is taken of `process`: node's modules are loaded, which takes 20 ms, by those alone who ask for one. */
interface Builtins {
  readonly process: { getBuiltinModule(name: "node:net"): typeof import("node:net") };
}

/** A connected stream as node:net has it; the socket is closed from then on, its descriptor belongs to node. */
export function nodeSocketOf(socket: Socket): NodeSocket {
  checkConnected(socket, "Cannot make a socket of node:net", "use server.listen({ fd: socket.detach() }) of node:net");
  const { Socket: NetSocket } = (globalThis as unknown as Builtins).process.getBuiltinModule("node:net");
  const [made, left] = handOver(socket, (fd) => new NetSocket({ fd, readable: true, writable: true }));
  if (left !== null) made.unshift(left);
  return made;
}
