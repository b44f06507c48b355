// Sockets with the interfaces of others: a connected stream as Deno.Conn, a listening one as Deno.Listener, both for node:net.
// The socket itself, whose calls these make: socket.ts. What tcp/ gives are Deno's own objects, not these.
import type { Socket as NodeSocket } from "node:net";
import { DESCRIPTOR, type HasDescriptor } from "../internal/descriptor.ts";
import { errnoNumber, systemErrorOf } from "../internal/errno.ts";
import { SO_ACCEPTCONN, SO_KEEPALIVE, TCP_NODELAY } from "../options/mod.ts";
import { refuseResource } from "../internal/runtime.ts";
import type { SocketAddress } from "./address.ts";
import { ByteConn, Queue } from "./byte_conn.ts";
import { LEFT } from "./left.ts";
import { eachOf, handOver, moved, type Socket } from "./socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A connected stream. Where Deno closes a whole connection when one of its streams ends, this closes half where it can. */
class StreamConn<A extends Deno.Addr> extends ByteConn<A> implements HasDescriptor {
  readonly #socket: Socket;
  readonly #reads = new Queue();
  #open = true;
  override readonly localAddr: A;
  override readonly remoteAddr: A;

  constructor(socket: Socket, remoteAddr: SocketAddress | null) {
    super();
    this.#socket = socket;
    this.localAddr = denoAddress(socket, socket.localAddr) as A;
    this.remoteAddr = denoAddress(socket, remoteAddr) as A;
  }

  get [DESCRIPTOR](): number {
    return this.#socket.fd;
  }

  get [LEFT](): boolean {
    return this.#socket[LEFT];
  }

  protected override get isOpen(): boolean {
    return this.#open;
  }

  override async read(p: Uint8Array): Promise<number | null> {
    this.check(p, "read");
    if (p.byteLength === 0) return 0;
    if (this.readEnded) return null;
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

  override async write(p: Uint8Array): Promise<number> {
    this.check(p, "write");
    if (p.byteLength === 0) return 0;
    return await this.writes.run(() => this.#send(p));
  }

  async #send(data: Uint8Array): Promise<number> {
    try {
      return await this.#socket.send(data);
    } catch (error) {
      throw this.#interrupted(error);
    }
  }

  /** Calls that wait when their connection is closed end so, in Deno's words. */
  #interrupted(error: unknown): unknown {
    return this.#open || !(error instanceof Deno.errors.BadResource)
      ? error
      : new Deno.errors.Interrupted("operation canceled");
  }

  override async closeWrite(): Promise<void> {
    this.check(null, "close the writing half");
    await this.writes.run(() =>
      Promise.try(() => {
        if (!this.#open) throw new Deno.errors.Interrupted("operation canceled");
        this.#socket.shutdown("write");
        this.writeEnded = true;
      })
    );
  }

  override close(): void {
    this.check(null, "close");
    this.#open = false;
    this.#socket.close();
  }

  override ref(): void {
    if (this.#open) this.#socket.ref();
  }

  override unref(): void {
    if (this.#open) this.#socket.unref();
  }

  /** Shuts down a half; of a connection that the peer has reset there is none left. */
  protected override shutdown(how: "read" | "write"): void {
    try {
      this.#socket.shutdown(how);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotConnected)) throw error;
    }
  }
}

refuseResource(
  StreamConn.prototype,
  "Cannot start TLS on a socket of this library: Deno.startTls takes Deno's own connections alone; " +
    "use node:tls over Duplex.fromWeb() of it, or over a Socket and its toNodeSocket()",
);

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

  [Symbol.asyncIterator](): AsyncIterableIterator<Deno.Conn> {
    // It waits a while where no descriptor is left. By accept() of the object, which others may have replaced.
    return eachOf(this.#socket, () => this.accept(), () => this[Symbol.dispose]());
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

function connection(socket: Socket, remoteAddr = socket.remoteAddr): Deno.Conn {
  return socket.family === "unix"
    ? new StreamConn<Deno.UnixAddr>(socket, remoteAddr)
    : new TcpStreamConn(socket, remoteAddr);
}

/** Refuses what is no stream of TCP or unix, before anything is taken from its owner. */
function checkStream(socket: Socket, doing: string): void {
  // A closed one says so itself.
  void socket.fd;
  if (socket.type === "stream" && ["inet", "inet6", "unix"].includes(socket.family)) return;
  throw new TypeError(
    `${doing} of ${socket.family} ${socket.type}: it must be a stream of family inet, inet6 or unix`,
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

/** The same of a TCP stream whose peer is known and may not be there yet: with fast open the first write connects. */
export function connTo(socket: Socket, remoteAddr: SocketAddress): Deno.TcpConn {
  return new TcpStreamConn(moved(socket), remoteAddr);
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
