// UDP over Deno.listenDatagram, for programs that may not call the C library: receive, send, join, batches by loops.
// With all the rest, over sockets of our own: native.ts. What both must do: engine.ts.
import { shown } from "../internal/argument.ts";
import { decorated } from "../internal/deno_error.ts";
import { descriptorOf } from "../internal/descriptor.ts";
import { withSent } from "../internal/errno.ts";
import { notCapable } from "../internal/ffi.ts";
import { OS, OS_NAME } from "../internal/os.ts";
import { showAddress } from "../internal/sockaddr.ts";
import { SO_RCVBUF, SO_SNDBUF, type SocketLike } from "../options/mod.ts";
import { signalOf, type WaitOptions } from "../socket/waits.ts";
import { addressOf, destinationOf } from "./address.ts";
import { sendArray } from "./array.ts";
import { access, type DatagramBatch } from "./batch.ts";
import { joinV4, joinV6 } from "./deno_join.ts";
import {
  detached,
  type Engine,
  isClosed,
  isDetached,
  nameOf,
  type Part,
  partOf,
  type Received,
  sendRemedies,
  tooLong,
} from "./engine.ts";
import type { DatagramField, OutgoingDatagram, UdpAddress, UdpCapabilities, UdpDestination } from "./types.ts";

/** What Deno.listenDatagram really returns: its type leaves two methods out. */
export interface DenoDatagramConn extends Deno.DatagramConn {
  ref(): void;
  unref(): void;
}

/** A receive that waits. */
interface Waiter {
  readonly buffer: Uint8Array | undefined;
  resolve(received: Received): void;
  reject(reason: unknown): void;
}

/** No UDP datagram is larger. */
const ROOM = 65_536;

/** A socket of Deno's. */
export class PortableEngine implements Engine {
  readonly addr: UdpAddress;
  readonly capabilities: UdpCapabilities = new PortableCapabilities(() => this.#inner);
  readonly remoteAddr = null;
  readonly left = false;
  readonly #inner: DenoDatagramConn;
  readonly #zone: string | null;
  readonly #room = new Uint8Array(ROOM);
  readonly #waiters: Waiter[] = [];
  /** Who sent the last datagram: most come from whoever sent the one before. */
  #last: UdpAddress | null = null;
  /** A datagram that came when nobody waited any more; it lies in the room. */
  #kept: [Uint8Array<ArrayBuffer>, Deno.Addr] | null = null;
  #pending = false;
  #refed = true;
  #innerRefed = true;
  #closed = false;

  constructor(inner: DenoDatagramConn, zone: string | null) {
    this.#inner = inner;
    this.#zone = zone;
    const { hostname, port } = inner.addr as Deno.NetAddr;
    this.addr = addressOf(zone === null || hostname.includes("%") ? hostname : `${hostname}%${zone}`, port);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get socket(): never {
    throw lacking("socket");
  }

  require(member: string): void {
    throw lacking(member);
  }

  descriptor(): number {
    const doing = `Cannot use ${this.#name()}`;
    if (this.#closed) throw isClosed(doing);
    return descriptorOf(this.#inner, doing).fd;
  }

  async receive(buffer?: Uint8Array, options?: WaitOptions): Promise<Received> {
    const doing = `Cannot receive on ${this.#name()}`;
    if (buffer !== undefined && !(buffer instanceof Uint8Array)) {
      throw new TypeError(`${doing}: the buffer is ${shown(buffer)}, it must be a Uint8Array`);
    }
    if (buffer !== undefined && isDetached(buffer)) throw detached(doing);
    const signal = signalOf(options, doing);
    if (this.#closed) throw isClosed(doing);
    return await new Promise<Received>((resolve, reject) => this.#wait(buffer, signal, resolve, reject));
  }

  #wait(
    buffer: Uint8Array | undefined,
    signal: AbortSignal | undefined,
    resolve: (received: Received) => void,
    reject: (reason: unknown) => void,
  ): void {
    const waiter: Waiter = { buffer, resolve, reject };
    if (this.#kept !== null) {
      const kept = this.#kept;
      this.#kept = null;
      if (!this.#give(waiter, ...kept)) this.#kept = kept;
      return;
    }
    if (signal !== undefined) {
      const abort = () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        this.#refInner();
        reject(signal.reason);
      };
      waiter.resolve = (received) => {
        signal.removeEventListener("abort", abort);
        resolve(received);
      };
      waiter.reject = (reason) => {
        signal.removeEventListener("abort", abort);
        reject(reason);
      };
      signal.addEventListener("abort", abort);
    }
    this.#waiters.push(waiter);
    this.#pump();
  }

  /** Keeps one receive of Deno's going while somebody waits. */
  #pump(): void {
    if (!this.#pending && this.#waiters.length > 0) {
      this.#pending = true;
      this.#inner.receive(this.#room).then(
        ([data, from]) => {
          this.#pending = false;
          this.#deliver(data, from);
          this.#pump();
        },
        (error) => {
          this.#pending = false;
          this.#waiters.shift()?.reject(decorated(error, "recvfrom", `Cannot receive on ${this.#name()}`));
          this.#pump();
        },
      );
    }
    this.#refInner();
  }

  /** A receive of Deno's that nobody waits for must not keep the program alive. */
  #refInner(): void {
    if (!this.#pending) return;
    const wanted = this.#refed && this.#waiters.length > 0;
    if (wanted === this.#innerRefed) return;
    this.#innerRefed = wanted;
    if (wanted) this.#inner.ref();
    else this.#inner.unref();
  }

  /** Gives a datagram to the first call that can take it, or keeps it for the next; it lies in the room. */
  #deliver(data: Uint8Array<ArrayBuffer>, from: Deno.Addr): void {
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      if (this.#give(waiter, data, from)) return;
    }
    this.#kept = [data, from];
  }

  /** Settles a call with a datagram; false when the call is settled without it. */
  #give(waiter: Waiter, data: Uint8Array<ArrayBuffer>, from: Deno.Addr): boolean {
    const remoteAddr = this.#remote(from as Deno.NetAddr);
    const buffer = waiter.buffer ?? new Uint8Array(data.byteLength);
    if (isDetached(buffer)) {
      waiter.reject(detached(`Cannot receive on ${this.#name()}`));
      return false;
    }
    if (data.byteLength > buffer.byteLength) {
      waiter.reject(tooLong(
        "recvfrom",
        `Cannot receive on ${this.#name()}`,
        `the datagram from ${showAddress(remoteAddr)} has ${data.byteLength} bytes, the buffer ${buffer.byteLength}`,
      ));
      return true;
    }
    buffer.set(data);
    waiter.resolve([buffer.subarray(0, data.byteLength) as Uint8Array<ArrayBuffer>, remoteAddr]);
    return true;
  }

  #remote({ hostname, port }: Deno.NetAddr): UdpAddress {
    const zoned = this.#zone !== null && LINK_LOCAL.test(hostname) && !hostname.includes("%");
    const host = zoned ? `${hostname}%${this.#zone}` : hostname;
    if (this.#last?.hostname === host && this.#last.port === port) return this.#last;
    return this.#last = addressOf(host, port);
  }

  async send(data: Uint8Array, remoteAddr?: UdpDestination | Deno.Addr, options?: WaitOptions): Promise<number> {
    const name = `Cannot send on ${this.#name()}`;
    if (!(data instanceof Uint8Array)) {
      throw new TypeError(`${name}: the data is ${shown(data)}, it must be a Uint8Array`);
    }
    if (isDetached(data)) throw new TypeError(`${name}: the buffer of the data was transferred, it must be here`);
    const to = destinationOf(remoteAddr, name);
    const doing = `Cannot send from ${this.#name()} to ${showAddress(to.addr)}`;
    if (data.byteLength > to.most) {
      throw tooLong("sendto", doing, `the datagram has ${data.byteLength} bytes, it must have at most ${to.most}`);
    }
    const signal = signalOf(options, doing);
    if (this.#closed) throw isClosed(doing);
    const { hostname, port } = to.addr;
    // Aborted, it may go out when the caller has its memory back.
    const held = signal === undefined ? data : data.slice();
    try {
      const sending = this.#inner.send(held, { transport: "udp", hostname, port });
      return await (signal === undefined ? sending : untilAborted(sending, signal));
    } catch (error) {
      if (this.#closed) throw isClosed(doing);
      throw decorated(error, "sendto", doing, sendRemedies(this.addr, to.addr));
    }
  }

  /** One datagram at a time: Deno has no call that looks whether there are more. */
  async receiveBatch(batch: DatagramBatch, options?: WaitOptions): Promise<number> {
    const doing = `Cannot receive on ${this.#name()}`;
    access.take(batch, doing);
    try {
      const [data, from] = await this.receive(undefined, options);
      access.room(batch, doing).set(data.subarray(0, access.room(batch, doing).byteLength));
      access.put(batch, data.byteLength, from);
      return 1;
    } finally {
      access.give(batch);
    }
  }

  async sendBatch(
    batch: DatagramBatch | readonly OutgoingDatagram[],
    options?: WaitOptions & Part,
  ): Promise<number> {
    const doing = `Cannot send on ${this.#name()}`;
    if (Array.isArray(batch)) return await sendArray(this, batch, options, doing);
    const one = batch as DatagramBatch;
    access.take(one, doing);
    let sent = 0;
    try {
      access.sent(one, 0);
      const signal = signalOf(options, doing);
      const { start, end } = partOf(options, one.length, doing);
      if (this.#closed) throw isClosed(doing);
      for (; start + sent < end; access.sent(one, ++sent)) {
        const word = access.word(one, start + sent);
        if (word !== undefined) throw lacking("sendBatch", word);
        const to = access.to(one, start + sent) ?? undefined;
        await this.send(one.data(start + sent), to, signal && { signal });
      }
      return sent;
    } catch (error) {
      throw withSent(error, sent);
    } finally {
      access.give(one);
    }
  }

  tryReceive(): never {
    throw lacking("tryReceive");
  }

  trySend(): never {
    throw lacking("trySend");
  }

  receiveMessage(): Promise<never> {
    return Promise.reject(lacking("receiveMessage"));
  }

  sendMessage(): Promise<never> {
    return Promise.reject(lacking("sendMessage"));
  }

  reply(): Promise<never> {
    return Promise.reject(lacking("reply"));
  }

  tryReceiveBatch(): never {
    throw lacking("tryReceiveBatch");
  }

  trySendBatch(): never {
    throw lacking("trySendBatch");
  }

  connect(): never {
    throw lacking("connect");
  }

  disconnect(): never {
    throw lacking("disconnect");
  }

  async joinMulticastV4(address: string, networkInterface: string): Promise<Deno.MulticastV4Membership> {
    if (this.#closed) throw isClosed(`Cannot join group ${shown(address)}`);
    return await joinV4(this.#inner, address, networkInterface);
  }

  async joinMulticastV6(address: string, networkInterface: number): Promise<Deno.MulticastV6Membership> {
    if (this.#closed) throw isClosed(`Cannot join group ${shown(address)}`);
    return await joinV6(this.#inner, address, networkInterface);
  }

  reported(): boolean {
    return false;
  }

  ref(): void {
    this.#refed = true;
    this.#refInner();
  }

  unref(): void {
    this.#refed = false;
    this.#refInner();
  }

  close(): void {
    this.#closed = true;
    this.#kept = null;
    this.#inner.close();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(isClosed(`Cannot receive on ${this.#name()}`));
  }

  #name(): string {
    return nameOf(this.addr);
  }
}

/** What Deno's datagram connections can do; the sizes are asked of the kernel. */
class PortableCapabilities implements UdpCapabilities {
  readonly engine = "portable";
  readonly batch = 1;
  readonly maxSegments = 1;
  readonly gro = false;
  readonly metadata: readonly DatagramField[] = Object.freeze([]);
  readonly #socket: () => SocketLike;

  constructor(socket: () => SocketLike) {
    this.#socket = socket;
  }

  get receiveBufferSize(): number {
    return SO_RCVBUF.get(this.#socket());
  }

  get sendBufferSize(): number {
    return SO_SNDBUF.get(this.#socket());
  }
}

const LINK_LOCAL = /^fe[89ab]/i;

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** What Deno's datagram connections have nothing for. */
function lacking(member: string, part?: string): Error {
  const wanted = `Cannot use UdpSocket.${member}${part === undefined ? "" : ` with ${part}`}: this socket is one of ` +
    'Deno\'s (capabilities.engine is "portable"), which can receive, send, iterate and join alone';
  return OS === "linux"
    ? notCapable(wanted)
    : new Deno.errors.NotSupported(`${wanted}; on ${OS_NAME} there are no others yet`);
}
