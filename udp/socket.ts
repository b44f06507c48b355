// The UDP socket: receive, send, iterate, close, over one of Deno's datagram connections.
// How it is made and given options: bind.ts. Joining groups with more than Deno has: multicast/join.ts.
import { integer, object, shown, text } from "../internal/argument.ts";
import { decorated } from "../internal/deno_error.ts";
import { DESCRIPTOR, descriptorOf, REFUSED } from "../internal/descriptor.ts";
import { errnoNumber } from "../internal/errno.ts";
import { isMapped, parseIp, showAddress } from "../internal/sockaddr.ts";
import { type HasDescriptor, SO_RCVBUF, SO_SNDBUF } from "../options/mod.ts";
import type { DatagramBatch } from "./batch.ts";
import { joinV4, joinV6 } from "./deno_join.ts";
import type {
  Datagram,
  DatagramField,
  OutgoingDatagram,
  UdpAddress,
  UdpCapabilities,
  UdpDestination,
  WaitOptions,
} from "./types.ts";

/** What Deno.listenDatagram really returns: its type leaves two methods out. */
export interface DenoDatagramConn extends Deno.DatagramConn {
  ref(): void;
  unref(): void;
}

type Received = [Uint8Array<ArrayBuffer>, UdpAddress];

/** A receive that waits. */
interface Waiter {
  readonly buffer: Uint8Array | undefined;
  resolve(received: Received): void;
  reject(reason: unknown): void;
}

/** No UDP datagram is larger. */
const ROOM = 65_536;
/** The largest payload: 65,535 less the UDP header, and for IPv4 less the IP header (RFC 768, RFC 791). */
const MOST_IPV4 = 65_507;
const MOST_IPV6 = 65_527;

const GLUES: Readonly<Record<string, string>> = {
  UDP_GRO: "it would glue datagrams together; ask for `gro` in bindUdp, once that is possible",
};

let make: <F extends DatagramField>(
  inner: DenoDatagramConn,
  zone: string | null,
  signal: AbortSignal | undefined,
) => UdpSocket<F>;

/** Makes the socket; the class itself has no public constructor. */
export function wrapDatagramConn<F extends DatagramField>(
  inner: DenoDatagramConn,
  zone: string | null,
  signal: AbortSignal | undefined,
): UdpSocket<F> {
  return make(inner, zone, signal);
}

/**
 * A UDP socket, made by `bindUdp`: a `Deno.DatagramConn` that tells more and does more.
 *
 * It is one of Deno's own sockets beneath, so `receive`, `send`, iteration and joining work with `--allow-net` alone. The
 * members that Deno has nothing for throw `Deno.errors.NotSupported` for now; `capabilities.engine` is "portable".
 * Every option of `@berkeley/sockets/options` takes it.
 *
 * @typeParam F The metadata that every datagram has; none for now.
 *
 * @example Datagrams as they come
 * ```ts
 * import { bindUdp } from "@berkeley/sockets/udp";
 * import { assertEquals } from "@std/assert";
 *
 * using socket = bindUdp({ hostname: "127.0.0.1" });
 * for (const word of ["one", "two"]) await socket.send(new TextEncoder().encode(word), socket.addr);
 *
 * const words: string[] = [];
 * for await (const [data] of socket) {
 *   words.push(new TextDecoder().decode(data));
 *   if (words.length === 2) break; // the socket stays open
 * }
 * assertEquals(words, ["one", "two"]);
 * ```
 */
export class UdpSocket<F extends DatagramField = never> implements Deno.DatagramConn, HasDescriptor, Disposable {
  /** It would glue datagrams together, and cut those that do not fit. */
  readonly [REFUSED]: Readonly<Record<string, string>> = GLUES;
  readonly #inner: DenoDatagramConn;
  readonly #zone: string | null;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => this[Symbol.dispose]();
  readonly #room = new Uint8Array(ROOM);
  readonly #waiters: Waiter[] = [];
  /** A datagram that came when nobody waited any more; it lies in the room. */
  #kept: [Uint8Array<ArrayBuffer>, Deno.Addr] | null = null;
  #pending = false;
  #refed = true;
  #innerRefed = true;
  #closed = false;

  /**
   * Own address: of the kernel, with the port that was chosen for port 0 and the zone that was given.
   *
   * @example The port that was chosen
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { assert, assertEquals } from "@std/assert";
   *
   * using socket = bindUdp({ hostname: "127.0.0.1", port: 0 });
   * assertEquals(socket.addr.family, "inet");
   * assert(socket.addr.port > 0);
   * ```
   */
  readonly addr: UdpAddress;

  /**
   * What this socket can do here.
   *
   * @example What is there beneath
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { assertEquals } from "@std/assert";
   *
   * using socket = bindUdp({ hostname: "127.0.0.1" });
   * assertEquals(socket.capabilities.engine, "portable");
   * ```
   */
  readonly capabilities: UdpCapabilities;

  static {
    make = (inner, zone, signal) => new UdpSocket(inner, zone, signal);
  }

  private constructor(inner: DenoDatagramConn, zone: string | null, signal: AbortSignal | undefined) {
    this.#inner = inner;
    this.#zone = zone;
    this.#signal = signal;
    const { hostname, port } = inner.addr as Deno.NetAddr;
    this.addr = addressOf(zone === null || hostname.includes("%") ? hostname : `${hostname}%${zone}`, port);
    this.capabilities = new PortableCapabilities(this);
    signal?.addEventListener("abort", this.#abort);
  }

  /**
   * The descriptor, for `@berkeley/sockets/options`. Needs `--allow-ffi`.
   *
   * @throws {Deno.errors.BadResource} The socket is closed.
   * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
   */
  get [DESCRIPTOR](): number {
    const doing = `Cannot use ${this.#name()}`;
    if (this.#closed) throw isClosed(doing);
    return descriptorOf(this.#inner, doing).fd;
  }

  /** The peer, when connected: `null`, as this socket cannot be connected for now. */
  get remoteAddr(): UdpAddress | null {
    return null;
  }

  /**
   * The socket beneath, one of `@berkeley/sockets/socket`. Not to be had for now.
   *
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  get socket(): never {
    throw lacking("socket");
  }

  /**
   * Next datagram, in `buffer` or in memory of its own.
   *
   * Several calls at once are answered in the order they were made. A call that is aborted takes no datagram with it: the
   * one it waited for goes to the next call. A datagram larger than `buffer` is lost, as everywhere with UDP (recv(2)).
   *
   * @param buffer Where to put it; the caller's again once the promise is settled. Without it there is room for every
   * datagram.
   * @param options A signal that ends the wait.
   * @returns The filled part of the buffer, and the sender. A datagram may be empty. Of the sender of a link-local IPv6
   * datagram Deno does not tell the zone: it is there only when the socket was bound with one.
   * @throws {SystemError} "EMSGSIZE": the datagram is larger than the buffer; what the network reported otherwise.
   * @throws {Deno.errors.BadResource} The socket is closed, or was while waiting.
   *
   * @example A wait with an end
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * using socket = bindUdp({ hostname: "127.0.0.1" });
   * await assertRejects(() => socket.receive(undefined, { signal: AbortSignal.timeout(10) }), DOMException);
   *
   * await socket.send(new Uint8Array([1, 2, 3]), socket.addr);
   * const [data, from] = await socket.receive();
   * assertEquals([...data], [1, 2, 3]);
   * assertEquals(from, socket.addr);
   * ```
   */
  async receive(buffer?: Uint8Array, options?: WaitOptions): Promise<[Uint8Array<ArrayBuffer>, UdpAddress]> {
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
    return addressOf(zoned ? `${hostname}%${this.#zone}` : hostname, port);
  }

  /**
   * Next datagram, now.
   *
   * @param _buffer Where to put it.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  tryReceive(_buffer?: Uint8Array): [Uint8Array<ArrayBuffer>, UdpAddress] | null {
    throw lacking("tryReceive");
  }

  /**
   * Sends a datagram.
   *
   * @param data The payload, at most 65,507 bytes to an IPv4 address and 65,527 to an IPv6 one; the caller's again once
   * the promise is settled.
   * @param remoteAddr Where to: a literal address and a port. On "::" an IPv4 address will do.
   * @param options A signal that ends the wait. The system may still send the datagram.
   * @returns The number of bytes sent, all of them.
   * @throws {SystemError} "EMSGSIZE": the datagram is too large; "ENETUNREACH", "EACCES" and others of sendto(2).
   * @throws {SyntaxError} The hostname is no literal address.
   * @throws {Deno.errors.NotCapable} `--allow-net` does not cover the address.
   * @throws {Deno.errors.BadResource} The socket is closed.
   *
   * @example Two fields are enough
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { assertEquals } from "@std/assert";
   *
   * using socket = bindUdp({ hostname: "127.0.0.1" });
   * assertEquals(await socket.send(new Uint8Array(5), { hostname: "127.0.0.1", port: socket.addr.port }), 5);
   * assertEquals((await socket.receive())[0].byteLength, 5);
   * ```
   */
  async send(data: Uint8Array, remoteAddr?: UdpDestination | Deno.Addr, options?: WaitOptions): Promise<number> {
    const name = `Cannot send on ${this.#name()}`;
    if (!(data instanceof Uint8Array)) {
      throw new TypeError(`${name}: the data is ${shown(data)}, it must be a Uint8Array`);
    }
    if (data.buffer instanceof ArrayBuffer && data.buffer.detached) {
      throw new TypeError(`${name}: the buffer of the data was transferred, it must be here`);
    }
    const to = destinationOf(remoteAddr, name);
    const doing = `Cannot send from ${this.#name()} to ${showAddress(to.addr)}`;
    if (data.byteLength > to.most) {
      throw tooLong("sendto", doing, `the datagram has ${data.byteLength} bytes, it must have at most ${to.most}`);
    }
    const signal = signalOf(options, doing);
    if (this.#closed) throw isClosed(doing);
    const { hostname, port } = to.addr;
    try {
      const sending = this.#inner.send(data, { transport: "udp", hostname, port });
      return await (signal === undefined ? sending : untilAborted(sending, signal));
    } catch (error) {
      if (this.#closed) throw isClosed(doing);
      throw decorated(error, "sendto", doing, SEND_REMEDIES);
    }
  }

  /**
   * Sends a datagram, now.
   *
   * @param _data The payload.
   * @param _remoteAddr Where to.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  trySend(_data: Uint8Array, _remoteAddr?: UdpDestination): number | null {
    throw lacking("trySend");
  }

  /**
   * Next datagram with its metadata.
   *
   * @param _options A signal that ends the wait, and a buffer.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  receiveMessage(_options?: WaitOptions & { buffer?: Uint8Array<ArrayBuffer> }): Promise<Datagram<F>> {
    return Promise.reject(lacking("receiveMessage"));
  }

  /**
   * Sends a datagram with metadata.
   *
   * @param _datagram What to send.
   * @param _options A signal that ends the wait.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  sendMessage(_datagram: OutgoingDatagram, _options?: WaitOptions): Promise<number> {
    return Promise.reject(lacking("sendMessage"));
  }

  /**
   * Answers from the address and interface that were asked.
   *
   * @param _to The datagram to answer.
   * @param _data The answer.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  reply(_to: Datagram<"localAddr">, _data: Uint8Array): Promise<number> {
    return Promise.reject(lacking("reply"));
  }

  /**
   * Datagrams with metadata until closed.
   *
   * @param _options A signal that ends the iteration.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  messages(_options?: WaitOptions): AsyncIterableIterator<Datagram<F>> {
    throw lacking("messages");
  }

  /**
   * Waits for a datagram, then takes all there are and fit.
   *
   * @param _batch Where to put them.
   * @param _options A signal that ends the wait.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  receiveBatch(_batch: DatagramBatch, _options?: WaitOptions): Promise<number> {
    return Promise.reject(lacking("receiveBatch"));
  }

  /**
   * Takes the datagrams that are there, now.
   *
   * @param _batch Where to put them.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  tryReceiveBatch(_batch: DatagramBatch): number | null {
    throw lacking("tryReceiveBatch");
  }

  /**
   * Sends many datagrams.
   *
   * @param _batch The datagrams.
   * @param _options Which of them, and a signal that ends the wait.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  sendBatch(
    _batch: DatagramBatch | readonly OutgoingDatagram[],
    _options?: WaitOptions & { start?: number; end?: number },
  ): Promise<number> {
    return Promise.reject(lacking("sendBatch"));
  }

  /**
   * Sends as many datagrams as go out now.
   *
   * @param _batch The datagrams.
   * @param _options Which of them.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  trySendBatch(_batch: DatagramBatch, _options?: { start?: number; end?: number }): number | null {
    throw lacking("trySendBatch");
  }

  /**
   * One batch, over and over.
   *
   * @param _options The batch, and a signal that ends the iteration.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  batches(_options?: WaitOptions & { batch?: DatagramBatch }): AsyncIterableIterator<DatagramBatch> {
    throw lacking("batches");
  }

  /**
   * Connects in the kernel.
   *
   * @param _remoteAddr The peer.
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  connect(_remoteAddr: UdpDestination): void {
    throw lacking("connect");
  }

  /**
   * Undoes `connect`.
   *
   * @throws {Deno.errors.NotSupported} Always, for now.
   */
  disconnect(): void {
    throw lacking("disconnect");
  }

  /**
   * Joins an IPv4 group, as in Deno; `joinGroup` of `@berkeley/sockets/multicast` can do more.
   *
   * @param address The group, in 224.0.0.0/4.
   * @param networkInterface The IPv4 address of the interface, "0.0.0.0" for the system's choice.
   * @returns Deno's membership: `leave`, `setLoopback`, `setTTL`.
   * @throws {SystemError} The system refuses: "EADDRINUSE", "ENODEV", "ENOBUFS" and others of ip(7).
   * @throws {Deno.errors.BadResource} The socket is closed.
   *
   * @example On the loopback interface
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   *
   * using socket = bindUdp();
   * const membership = await socket.joinMulticastV4("239.0.0.1", "127.0.0.1");
   * await membership.leave();
   * ```
   */
  async joinMulticastV4(address: string, networkInterface: string): Promise<Deno.MulticastV4Membership> {
    if (this.#closed) throw isClosed(`Cannot join group ${shown(address)}`);
    return await joinV4(this.#inner, address, networkInterface);
  }

  /**
   * Joins an IPv6 group, as in Deno; `joinGroup` of `@berkeley/sockets/multicast` can do more.
   *
   * @param address The group, in ff00::/8.
   * @param networkInterface The index of the interface, 0 for the system's choice.
   * @returns Deno's membership: `leave`, `setLoopback`.
   * @throws {SystemError} The system refuses: "EADDRINUSE", "ENODEV" and others of ipv6(7).
   * @throws {Deno.errors.BadResource} The socket is closed.
   */
  async joinMulticastV6(address: string, networkInterface: number): Promise<Deno.MulticastV6Membership> {
    if (this.#closed) throw isClosed(`Cannot join group ${shown(address)}`);
    return await joinV6(this.#inner, address, networkInterface);
  }

  /** Makes waiting calls keep the program alive, as they do by default. */
  ref(): void {
    this.#refed = true;
    this.#refInner();
  }

  /** Makes waiting calls let the program end. */
  unref(): void {
    this.#refed = false;
    this.#refInner();
  }

  /**
   * Closes the socket; waiting calls reject with `BadResource`, iteration ends, groups are left.
   *
   * @throws {Deno.errors.BadResource} It is closed already; `using` does not mind.
   */
  close(): void {
    if (this.#closed) throw isClosed(`Cannot close ${this.#name()}`);
    this.#closed = true;
    this.#kept = null;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#inner.close();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(isClosed(`Cannot receive on ${this.#name()}`));
  }

  /** `close()`, without an error when closed already. */
  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }

  /**
   * Datagrams as they come, each with its sender, until the socket is closed. Leaving the loop does not close it, as in
   * Deno.
   *
   * @returns Pairs as of `receive()`.
   */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<[Uint8Array<ArrayBuffer>, UdpAddress]> {
    while (true) {
      let received: Received;
      try {
        received = await this.receive();
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
      yield received;
    }
  }

  #name(): string {
    return `udp ${showAddress(this.addr)}`;
  }
}

/** What Deno's datagram connections can do; the sizes are asked of the kernel. */
class PortableCapabilities implements UdpCapabilities {
  readonly engine = "portable";
  readonly batch = 1;
  readonly maxSegments = 1;
  readonly gro = false;
  readonly metadata: readonly DatagramField[] = Object.freeze([]);
  readonly #socket: UdpSocket;

  constructor(socket: UdpSocket) {
    this.#socket = socket;
  }

  get receiveBufferSize(): number {
    return SO_RCVBUF.get(this.#socket);
  }

  get sendBufferSize(): number {
    return SO_SNDBUF.get(this.#socket);
  }
}

const LINK_LOCAL = /^fe[89ab]/i;

const SEND_REMEDIES: Readonly<Record<string, string>> = {
  EACCES: "a broadcast address needs `broadcast: true`",
  EPERM: "a firewall of this machine forbids it",
  EAFNOSUPPORT: 'the socket is of the other family; one bound to "::" sends to both',
  EMSGSIZE: "the path takes no datagram of this size, and IP_MTU_DISCOVER forbids to split it",
  EINVAL: 'a link-local address needs its zone, as in "fe80::1%eth0", and that of the socket',
  ENETUNREACH: "there is no route to this address from the address the socket is bound to",
};

function addressOf(hostname: string, port: number): UdpAddress {
  return { family: hostname.includes(":") ? "inet6" : "inet", transport: "udp", hostname, port };
}

/** Where a datagram goes, and how large it may be. */
function destinationOf(remoteAddr: unknown, doing: string): { addr: UdpAddress; most: number } {
  if (remoteAddr === undefined) throw new TypeError(`${doing}: the socket has no peer, so remoteAddr must be given`);
  const { hostname, port } = object(remoteAddr, `${doing}: remoteAddr`, "{ hostname, port }");
  const ip = parseIp(text(hostname, `${doing}: remoteAddr.hostname`, "a literal address"));
  if (ip === null) {
    throw new SyntaxError(`${doing}: remoteAddr.hostname is ${shown(hostname)}, it must be a literal address`);
  }
  const addr = addressOf(hostname as string, integer(port, `${doing}: remoteAddr.port`, 1, 65_535));
  return { addr, most: ip.bytes.length === 4 || isMapped(ip.bytes) ? MOST_IPV4 : MOST_IPV6 };
}

/** The signal of a call; throws its reason when it is aborted. */
function signalOf(options: unknown, doing: string): AbortSignal | undefined {
  if (options === undefined) return undefined;
  const { signal } = object(options, `${doing}: the options`, "an object");
  if (signal === undefined) return undefined;
  if (!(signal instanceof AbortSignal)) {
    throw new TypeError(`${doing}: signal is ${shown(signal)}, it must be an AbortSignal`);
  }
  signal.throwIfAborted();
  return signal;
}

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

function tooLong(syscall: string, doing: string, why: string): Error {
  const error = new Error(`${doing}: EMSGSIZE (message too long); ${why}`);
  return Object.assign(error, { code: "EMSGSIZE", errno: errnoNumber("EMSGSIZE"), syscall });
}

/** Whether the memory of a buffer went elsewhere, to another thread for one. */
function isDetached(buffer: Uint8Array): boolean {
  return buffer.buffer instanceof ArrayBuffer && buffer.buffer.detached;
}

function detached(doing: string): TypeError {
  return new TypeError(`${doing}: the buffer is detached, it must be one that still has its memory`);
}

function isClosed(doing: string): Deno.errors.BadResource {
  return new Deno.errors.BadResource(`${doing}: the socket is closed`);
}

/** What Deno's datagram connections have nothing for. */
function lacking(member: string): Deno.errors.NotSupported {
  return new Deno.errors.NotSupported(
    `Cannot use UdpSocket.${member}: this socket is one of Deno's (capabilities.engine is "portable"), which can receive, ` +
      "send, iterate and join alone",
  );
}
