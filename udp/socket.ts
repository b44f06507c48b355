// UdpSocket: what people call. It checks nothing and does nothing by itself: one of two engines does.
// Sockets of our own: native.ts. Those of Deno: portable.ts. How one is made and given options: bind.ts.
import { DESCRIPTOR, REFUSED } from "../internal/descriptor.ts";
import { afterTurn } from "../internal/reactor.ts";
import type { HasDescriptor } from "../options/mod.ts";
import { LEFT } from "../socket/left.ts";
import type { Socket } from "../socket/socket.ts";
import type { WaitOptions } from "../socket/waits.ts";
import { DatagramBatch } from "./batch.ts";
import { type Engine, isClosed, nameOf, type Received } from "./engine.ts";
import { GLUES } from "./native.ts";
import type {
  Datagram,
  DatagramField,
  OutgoingDatagram,
  UdpAddress,
  UdpCapabilities,
  UdpDestination,
} from "./types.ts";

let make: <F extends DatagramField>(engine: Engine, signal: AbortSignal | undefined) => UdpSocket<F>;

/** Makes the socket; the class itself has no public constructor. */
export function wrapEngine<F extends DatagramField>(engine: Engine, signal: AbortSignal | undefined): UdpSocket<F> {
  return make(engine, signal);
}

/**
 * A UDP socket, made by `bindUdp` or `connectUdp`: a `Deno.DatagramConn` that tells more and does more.
 *
 * With `--allow-ffi` on Linux it is a socket of this library's own (`capabilities.engine` is "native"): everything here works,
 * and `--unstable-net` is not needed. Otherwise it is one of Deno's ("portable"): `receive`, `send`, iteration, joining, and
 * `receiveBatch` and `sendBatch` as loops; all else throws `Deno.errors.NotCapable`, or `NotSupported` on other systems.
 * Every option of `@berkeley/sockets/options` takes it.
 *
 * What the network reports of datagrams that were sent (ICMP) does not end a loop. A socket without a peer never hears of
 * it; a connected one has it from the next `receive()` or `send()`, as "ECONNREFUSED" for one, while iteration and
 * `sendBatch` go on. Who wants to know sets `IP_RECVERR` or `IPV6_RECVERR` and reads the error queue, where each report
 * has the datagram that it is about: `socket.receiveMessage({ errorQueue: true })`.
 *
 * @typeParam F The metadata that every datagram has: what `metadata` of `bindUdp` asked for.
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
 *
 * @example Where a datagram came in, and an answer from there
 * ```ts
 * import { bindUdp } from "@berkeley/sockets/udp";
 * import { assertEquals } from "@std/assert";
 *
 * using server = bindUdp({ metadata: ["localAddr", "hopLimit"] });
 * using client = bindUdp({ hostname: "127.0.0.1" });
 * await client.send(new TextEncoder().encode("ping"), { hostname: "127.0.0.2", port: server.addr.port });
 *
 * const question = await server.receiveMessage();
 * assertEquals([question.localAddr.hostname, question.hopLimit], ["127.0.0.2", 64]);
 * await server.reply(question, new TextEncoder().encode("pong"));
 * assertEquals((await client.receive())[1].hostname, "127.0.0.2");
 * ```
 */
export class UdpSocket<F extends DatagramField = never> implements Deno.DatagramConn, HasDescriptor, Disposable {
  /** It would glue datagrams together, and cut those that do not fit. */
  get [REFUSED](): Readonly<Record<string, string>> {
    return GLUES;
  }
  readonly #engine: Engine;
  readonly #signal: AbortSignal | undefined;
  readonly #abort: (() => void) | undefined;

  static {
    make = (engine, signal) => new UdpSocket(engine, signal);
  }

  private constructor(engine: Engine, signal: AbortSignal | undefined) {
    this.#engine = engine;
    this.#signal = signal;
    if (signal === undefined) return;
    this.#abort = () => this[Symbol.dispose]();
    signal.addEventListener("abort", this.#abort);
  }

  /**
   * Own address: of the kernel, with the port that was chosen for port 0. Once closed, as it was.
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
  get addr(): UdpAddress {
    return this.#engine.addr;
  }

  /**
   * What this socket can do here; read anew at each access.
   *
   * @example What is there beneath
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { assert, assertEquals } from "@std/assert";
   *
   * using socket = bindUdp({ hostname: "127.0.0.1", receiveBufferSize: 50_000 });
   * assert(socket.capabilities.receiveBufferSize >= 50_000);
   * assertEquals(socket.capabilities.engine, "native"); // as --allow-ffi is granted
   * ```
   */
  get capabilities(): UdpCapabilities {
    return this.#engine.capabilities;
  }

  /**
   * The descriptor, for `@berkeley/sockets/options`. Needs `--allow-ffi`.
   *
   * @throws {Deno.errors.BadResource} The socket is closed.
   * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
   */
  get [DESCRIPTOR](): number {
    return this.#engine.descriptor();
  }

  /** Whether `poll` is to take it for readable, whatever the kernel says. */
  get [LEFT](): boolean {
    return this.#engine.left;
  }

  /** The peer, when connected; `null` otherwise. */
  get remoteAddr(): UdpAddress | null {
    return this.#engine.remoteAddr;
  }

  /**
   * The socket beneath, of `@berkeley/sockets/socket`: timeouts, the error queue, control messages of any kind.
   *
   * It is one and the same: closing either closes both. What it receives by itself passes the batches and trains of the
   * UdpSocket by, so with `gro` its own receives have datagrams merged as the kernel has them.
   *
   * @throws {Deno.errors.NotCapable} The engine is the portable one.
   *
   * @example What became of a datagram that nobody receives
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { IP_RECVERR } from "@berkeley/sockets/options";
   * import { assertEquals } from "@std/assert";
   *
   * const gone = bindUdp({ hostname: "127.0.0.1" });
   * const nobody = gone.addr;
   * gone.close();
   *
   * using socket = bindUdp({ hostname: "127.0.0.1", options: [IP_RECVERR.to(true)] });
   * await socket.send(new Uint8Array(1), nobody);
   * const report = await socket.socket.receiveMessage({ errorQueue: true });
   * const [about] = report.control;
   * assertEquals(about?.name === "IP_RECVERR" && about.error.code, "ECONNREFUSED");
   * assertEquals(report.remoteAddr, { family: "inet", hostname: "127.0.0.1", port: nobody.port });
   * ```
   */
  get socket(): Socket<"inet" | "inet6"> {
    return this.#engine.socket;
  }

  /**
   * Next datagram, in `buffer` or in memory of its own.
   *
   * Several calls at once are answered in the order they were made. A call that is aborted takes no datagram with it: the
   * one it waited for goes to the next call. A datagram larger than `buffer` is lost, as everywhere with UDP (recv(2)).
   * The sender is frozen; one that comes again is, as a rule, the very same object.
   *
   * @param buffer Where to put it; the caller's again once the promise is settled. Without it there is room for every
   * datagram.
   * @param options A signal that ends the wait.
   * @returns The filled part of the buffer, and the sender. A datagram may be empty. A link-local sender has its
   * zone; on the portable engine only when the socket was bound with one.
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
  receive(buffer?: Uint8Array, options?: WaitOptions): Promise<[Uint8Array<ArrayBuffer>, UdpAddress]> {
    return this.#engine.receive(buffer, options);
  }

  /**
   * Next datagram, now.
   *
   * @param buffer Where to put it; without it, in memory of its own.
   * @returns As of `receive()`; null when there is none.
   * @throws {SystemError} As of `receive()`.
   */
  tryReceive(buffer?: Uint8Array): [Uint8Array<ArrayBuffer>, UdpAddress] | null {
    return this.#engine.tryReceive(buffer);
  }

  /**
   * Sends a datagram.
   *
   * Several calls at once go out in the order they were made; on the portable engine that is left to Deno, which changes
   * it while there is no room.
   *
   * @param data The payload, at most 65,507 bytes to an IPv4 address and 65,527 to an IPv6 one; the caller's again once
   * the promise is settled.
   * @param remoteAddr Where to: a literal address and a port. On "::" an IPv4 address will do. Left out when the
   * socket is connected.
   * @param options A signal that ends the wait. On the portable engine the system may still
   * send the datagram.
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
  send(data: Uint8Array, remoteAddr?: UdpDestination | Deno.Addr, options?: WaitOptions): Promise<number> {
    return this.#engine.send(data, remoteAddr, options);
  }

  /**
   * Sends a datagram, now.
   *
   * @param data The payload.
   * @param remoteAddr Where to; left out when the socket is connected.
   * @returns The number of bytes sent; null when there is no room in the send buffer.
   * @throws {SystemError} As of `send()`; also "ENOBUFS", when the queue of the interface is full, which `send()` waits out.
   * Linux says so where `IP_RECVERR` (`IPV6_RECVERR`) is on; elsewhere it drops the datagram, and the call succeeds.
   */
  trySend(data: Uint8Array, remoteAddr?: UdpDestination): number | null {
    return this.#engine.trySend(data, remoteAddr);
  }

  /**
   * Next datagram with its metadata.
   *
   * @param options A signal that ends the wait, and a buffer; without one it is in memory of its own.
   * @returns The datagram. One that is larger than the buffer is no error: `truncated` says so, and `byteLength` is its
   * true length.
   *
   * @example When it arrived, and how many were lost before
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { assertEquals } from "@std/assert";
   *
   * using socket = bindUdp({ hostname: "127.0.0.1", metadata: ["timestamp", "drops"] });
   * await socket.send(new Uint8Array(100), socket.addr);
   * const datagram = await socket.receiveMessage({ buffer: new Uint8Array(10) });
   * assertEquals([datagram.data.byteLength, datagram.byteLength, datagram.truncated], [10, 100, true]);
   * assertEquals(datagram.drops, 0);
   * assertEquals(typeof datagram.timestamp, "bigint");
   * ```
   */
  receiveMessage(options?: WaitOptions & { buffer?: Uint8Array<ArrayBuffer> }): Promise<Datagram<F>> {
    return this.#engine.receiveMessage(options) as Promise<Datagram<F>>;
  }

  /**
   * Sends a datagram, and says how: from which address, by which interface, with which marks.
   *
   * @param datagram What to send. With `segmentSize` it is split, by the kernel where that is possible.
   * @param options A signal that ends the wait.
   * @returns The number of bytes sent, all of them.
   * @throws {SystemError} As of `send()`; also "EINVAL" or "ENETUNREACH", when `localAddr` is no address of this machine.
   *
   * @example From a chosen address
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { assertEquals } from "@std/assert";
   *
   * using sender = bindUdp();
   * using receiver = bindUdp({ hostname: "127.0.0.1", metadata: ["dscp", "hopLimit"] });
   * await sender.sendMessage({
   *   data: new Uint8Array(1),
   *   remoteAddr: receiver.addr,
   *   localAddr: { hostname: "127.0.0.9" },
   *   dscp: 46,
   *   hopLimit: 3,
   * });
   * const { remoteAddr, dscp, hopLimit } = await receiver.receiveMessage();
   * assertEquals([remoteAddr.hostname, dscp, hopLimit], ["127.0.0.9", 46, 3]);
   * ```
   */
  sendMessage(datagram: OutgoingDatagram, options?: WaitOptions): Promise<number> {
    return this.#engine.sendMessage(datagram, options);
  }

  /**
   * Answers from the address that was asked, and by the interface when `interfaceIndex` is among the metadata.
   *
   * What was sent to a group or a broadcast address is answered from an address of that interface, or else of the kernel's
   * choice, as nothing may come from those.
   *
   * @param to The datagram to answer; the socket needs the metadata "localAddr".
   * @param data The answer.
   * @returns The number of bytes sent.
   */
  reply(to: Datagram<"localAddr">, data: Uint8Array): Promise<number> {
    return this.#engine.reply(to, data);
  }

  /**
   * Datagrams with metadata, until the socket is closed. Leaving the loop does not close it.
   *
   * @param options A signal that ends the iteration with its reason.
   * @returns Datagrams as of `receiveMessage()`.
   */
  messages(options?: WaitOptions): AsyncIterableIterator<Datagram<F>> {
    this.#engine.require("messages");
    return this.#until(() => this.receiveMessage(options));
  }

  /**
   * Waits for a datagram, then takes all that are there and fit: as many as the batch takes at once.
   *
   * @param batch Where to put them; what was in it is gone.
   * @param options A signal that ends the wait.
   * @returns How many came; on the portable engine one.
   * @throws {Deno.errors.Busy} Another call uses the batch.
   *
   * @example Counting without making an object for each
   * ```ts
   * import { bindUdp, DatagramBatch } from "@berkeley/sockets/udp";
   * import { assertEquals } from "@std/assert";
   *
   * using socket = bindUdp({ hostname: "127.0.0.1" });
   * await socket.sendBatch([1, 2, 3].map((size) => ({ data: new Uint8Array(size), remoteAddr: socket.addr })));
   *
   * const batch = new DatagramBatch({ maxDatagramSize: 2048 });
   * let bytes = 0;
   * while (bytes < 6) {
   *   const count = await socket.receiveBatch(batch);
   *   for (let i = 0; i < count; i++) bytes += batch.byteLength(i);
   * }
   * assertEquals(bytes, 6);
   * ```
   */
  receiveBatch(batch: DatagramBatch, options?: WaitOptions): Promise<number> {
    return this.#engine.receiveBatch(batch, options);
  }

  /**
   * Takes the datagrams that are there, now.
   *
   * @param batch Where to put them; what it had received before is gone, also when there are none.
   * @returns How many; null when there are none.
   */
  tryReceiveBatch(batch: DatagramBatch): number | null {
    return this.#engine.tryReceiveBatch(batch);
  }

  /**
   * Sends many datagrams: neighbours of one size to one destination as trains, which the kernel cuts, where kernel and path
   * allow it, the others in one call all the same.
   *
   * A batch that was received goes back to the senders; by a connected socket to its peer. One that was filled goes where
   * it says. Nothing is lost, repeated or sent out of order when a train is refused, the send buffer is full or the call
   * fails: `batch.sent` always tells how many the kernel took.
   *
   * @param batch The datagrams, or an array of them, which is packed into a batch first.
   * @param options Which of them, from `start` to before `end`, and a signal that ends the wait.
   * @returns How many were sent, all of them.
   * @throws {SystemError} As of `send()`; `sent` of the error says how many went out before.
   * @throws {TypeError} A datagram without a destination, and the socket has no peer; or with another than the peer.
   * @throws {Deno.errors.Busy} Another call uses the batch.
   *
   * @example Several at once
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { assertEquals } from "@std/assert";
   *
   * using socket = bindUdp({ hostname: "127.0.0.1" });
   * const remoteAddr = socket.addr;
   * assertEquals(await socket.sendBatch([{ data: new Uint8Array(1), remoteAddr }, { data: new Uint8Array(2), remoteAddr }]), 2);
   * assertEquals((await socket.receive())[0].byteLength, 1);
   * ```
   */
  sendBatch(
    batch: DatagramBatch | readonly OutgoingDatagram[],
    options?: WaitOptions & { start?: number; end?: number },
  ): Promise<number> {
    return this.#engine.sendBatch(batch, options);
  }

  /**
   * Sends as many datagrams as go out now.
   *
   * @param batch The datagrams.
   * @param options Which of them, from `start` to before `end`.
   * @returns How many; null when there is no room for one.
   */
  trySendBatch(batch: DatagramBatch, options?: { start?: number; end?: number }): number | null {
    return this.#engine.trySendBatch(batch, options);
  }

  /**
   * One batch, over and over, until the socket is closed. Leaving the loop does not close it.
   *
   * @param options The batch, else one of its own, and a signal that ends the iteration with its reason.
   * @returns The batch, filled anew each time.
   *
   * @example An echo
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { assertEquals } from "@std/assert";
   *
   * using server = bindUdp({ hostname: "127.0.0.1", gro: true });
   * using client = bindUdp({ hostname: "127.0.0.1" });
   * await client.send(new Uint8Array([1, 2, 3]), server.addr);
   * for await (const batch of server.batches()) {
   *   await server.sendBatch(batch); // back to those it came from
   *   break;
   * }
   * assertEquals([...(await client.receive())[0]], [1, 2, 3]);
   * ```
   */
  batches(options?: WaitOptions & { batch?: DatagramBatch }): AsyncIterableIterator<DatagramBatch> {
    const { batch = new DatagramBatch(), ...wait } = options ?? {};
    return this.#until(async () => {
      await this.receiveBatch(batch, wait);
      return batch;
    });
  }

  /**
   * Connects in the kernel: it then sends to this peer alone and hears of no other. Datagrams that are queued already stay.
   *
   * @param remoteAddr The peer: a literal address and a port.
   * @throws {SystemError} The system refuses: "ENETUNREACH" and others of connect(2).
   *
   * @example Only the peer is heard
   * ```ts
   * import { bindUdp } from "@berkeley/sockets/udp";
   * import { assertEquals } from "@std/assert";
   *
   * using socket = bindUdp({ hostname: "127.0.0.1" });
   * using peer = bindUdp({ hostname: "127.0.0.1" });
   * using other = bindUdp({ hostname: "127.0.0.1" });
   * socket.connect(peer.addr);
   * await other.send(new Uint8Array(9), socket.addr);
   * await peer.send(new Uint8Array(1), socket.addr);
   * assertEquals((await socket.receive())[0].byteLength, 1);
   * assertEquals(await socket.send(new Uint8Array(2)), 2);
   * ```
   */
  connect(remoteAddr: UdpDestination): void {
    this.#engine.connect(remoteAddr);
  }

  /** Undoes `connect`; the socket keeps its port. */
  disconnect(): void {
    this.#engine.disconnect();
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
  joinMulticastV4(address: string, networkInterface: string): Promise<Deno.MulticastV4Membership> {
    return this.#engine.joinMulticastV4(address, networkInterface);
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
  joinMulticastV6(address: string, networkInterface: number): Promise<Deno.MulticastV6Membership> {
    return this.#engine.joinMulticastV6(address, networkInterface);
  }

  /** Makes waiting calls keep the program alive, as they do by default. */
  ref(): void {
    if (!this.#engine.closed) this.#engine.ref();
  }

  /** Makes waiting calls let the program end. */
  unref(): void {
    if (!this.#engine.closed) this.#engine.unref();
  }

  /**
   * Closes the socket; waiting calls reject with `BadResource`, iteration ends, groups are left.
   *
   * @throws {Deno.errors.BadResource} It is closed already; `using` does not mind.
   */
  close(): void {
    if (this.#engine.closed) throw isClosed(`Cannot close ${nameOf(this.addr)}`);
    if (this.#abort !== undefined) this.#signal?.removeEventListener("abort", this.#abort);
    this.#engine.close();
  }

  /** `close()`, without an error when closed already. */
  [Symbol.dispose](): void {
    if (!this.#engine.closed) this.close();
  }

  /**
   * Datagrams as they come, each with its sender, until the socket is closed. Leaving the loop does not close it, as in
   * Deno.
   *
   * @returns Pairs as of `receive()`.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<[Uint8Array<ArrayBuffer>, UdpAddress]> {
    return this.#until<Received>(() => this.receive());
  }

  /** What a call gives, over and over, until the socket is closed; reports of the network do not end it. */
  async *#until<T>(next: () => Promise<T>): AsyncIterableIterator<T> {
    while (true) {
      let got: T;
      try {
        got = await next();
      } catch (error) {
        if (this.#engine.closed) return;
        if (!this.#engine.reported(error)) throw error;
        // It came without a wait.
        await afterTurn(undefined);
        continue;
      }
      yield got;
    }
  }
}
