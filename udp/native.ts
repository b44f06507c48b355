// UDP over sockets of our own: single datagrams, messages with what goes with them, batches, trains; all of the kernel's.
// Without FFI: portable.ts. How a socket waits: socket/socket.ts. The memory of batches: internal/mmsg.ts.
import { shown } from "../internal/argument.ts";
import { constant } from "../internal/constants.ts";
import { addressOf as kernelAddressOf, REFUSED } from "../internal/descriptor.ts";
import {
  type ErrnoName,
  errnoNumber,
  failed,
  failedWith,
  lastErrno,
  systemErrorOf,
  withSent,
} from "../internal/errno.ts";
import { byteLengthOf, type LibcIo, libcIo } from "../internal/libc_io.ts";
import { DATAGRAM_MAX, MessageArena, type ReceivePlan, receivePlan, SINGLE, type Trains } from "../internal/mmsg.ts";
import { sendMessage } from "../internal/msghdr.ts";
import { checkDestination, checkNet, isGranted } from "../internal/permission.ts";
import { afterTurn, LOOK, nobodyWaits, READABLE, SHORT, turn, WRITABLE } from "../internal/reactor.ts";
import {
  encodeAddress,
  formatIp,
  type InetAddress,
  ipOf,
  isGroup,
  isMapped,
  parseIp,
  readSockaddr,
  showAddress,
  SOCKADDR_MAX,
} from "../internal/sockaddr.ts";
import { IP_TOS, IPV6_TCLASS, SO_RCVBUF, SO_SNDBUF } from "../options/mod.ts";
import { toldOfLeft } from "../socket/left.ts";
import { drained, fdOf, leaveAbove, ready, setLook, type Socket } from "../socket/socket.ts";
import { signalOf, type WaitOptions } from "../socket/waits.ts";
import { addressIn, encodedDestination, MOST_IPV4, MOST_IPV6, samePlace } from "./address.ts";
import { sendArray } from "./array.ts";
import { access, DatagramBatch, type Receiver, type Sender } from "./batch.ts";
import { controlOf, settingsOf } from "./control.ts";
import {
  detached,
  type Engine,
  isClosed,
  isDetached,
  nameOf,
  outgoing,
  type Part,
  partOf,
  type Received,
  sendRemedies,
  tooLong,
  whole,
} from "./engine.ts";
import { join, leave, type Place, turnOf } from "../internal/line.ts";
import { bitOf, FieldReader, FIELDS, spaceOf } from "./metadata.ts";
import { joinNativeV4, joinNativeV6 } from "./native_join.ts";
import { TrainLimits } from "./segments.ts";
import type {
  Datagram,
  DatagramField,
  OutgoingDatagram,
  UdpAddress,
  UdpCapabilities,
  UdpDestination,
} from "./types.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Family = "inet" | "inet6";

/** What bindUdp asks of the engine. */
export interface NativeOptions {
  readonly family: Family;
  readonly fields: readonly DatagramField[];
  readonly gro: boolean;
  /** Microseconds to look before sleeping. */
  readonly spin: number | "adaptive";
}

/** Where single datagrams go that come without a buffer or with metadata; copied out before anything else can be received. */
const inbox = new MessageArena(DATAGRAM_MAX);
/** Room for whatever a socket was asked to tell. */
const INBOX: ReceivePlan = receivePlan(false, spaceOf(FIELDS));
let inboxReader: FieldReader | undefined;
const name: Bytes = new Uint8Array(SOCKADDR_MAX);
const nameLength = new Uint32Array(1);
const now = performance.now.bind(performance);

const QUIET = constant("MSG_NOSIGNAL", "linux");
const TRUNC = constant("MSG_TRUNC", "linux");
/** An address of family AF_UNSPEC: connecting to it disconnects. */
const UNSPECIFIED: Bytes = new Uint8Array(16);

/** What the network reports of earlier datagrams (ICMP), by whatever call comes next. A call that fails so took nothing. */
const REPORTS: readonly ErrnoName[] = [
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENOPROTOOPT",
  "EOPNOTSUPP",
  "ENONET",
  "EPROTO",
  "EACCES",
];
let reports: ReadonlySet<number> | undefined;
/** How often a call is made again that failed by what may be a report; what comes each time is the call's own. */
const REPEATS = 8;

/** Refusals of a train that single datagrams may not meet. */
const NO_TRAINS: readonly ErrnoName[] = ["EINVAL", "EIO", "EOPNOTSUPP", "ENOPROTOOPT"];
/** Segments that every kernel with trains takes. */
const OLD_SEGMENTS = 64;
/** Buffers that one message may be made of: UIO_MAXIOV. */
const PARTS_MAX = 1024;

/** The beginnings of messages of wrong arguments; to name the socket takes longer than most calls. */
const RECEIVING = "Cannot receive on a UDP socket";
const SENDING = "Cannot send on a UDP socket";

/** What lies in the inbox, in memory of its own; this way is quicker than slice(). */
function copied(byteLength: number): Bytes {
  return new Uint8Array(inbox.bytes.subarray(0, byteLength));
}

/** The beginning of a buffer, with as much of these bytes in it as fits. */
function filled(buffer: Bytes, data: Bytes): Bytes {
  const length = Math.min(data.byteLength, byteLengthOf(buffer));
  set(buffer, data.subarray(0, length));
  return buffer.subarray(0, length);
}

/** Not a method of the caller's own: it would get a view of the memory that all sockets share. */
const set: (into: Uint8Array, data: Uint8Array) => void = Function.prototype.call.bind(Uint8Array.prototype.set);

function isReport(errno: number): boolean {
  return (reports ??= new Set(REPORTS.map(errnoNumber))).has(errno);
}

/** Whether a receive failed with a report: one that a datagram was larger than the path takes is no fault of what it receives. */
function isReceivedReport(errno: number): boolean {
  return isReport(errno) || errno === errnoNumber("EMSGSIZE");
}

/** How often a send is made that fails so, as it may be by a report of an earlier datagram; what it has to a peer is told. */
function attempts(errno: number, to: Bytes | null): number {
  if (errno === errnoNumber("EMSGSIZE")) return 2;
  return to !== null && isReport(errno) ? REPEATS : 1;
}

/** A socket of our own. */
export class NativeEngine implements Engine, Receiver, Sender {
  readonly socket: Socket<Family>;
  /** Who has this engine, as those who poll know it. */
  owner: object | null = null;
  readonly #io: LibcIo = libcIo("Cannot use a UDP socket");
  readonly family: Family;
  readonly fields: readonly DatagramField[];
  readonly plan: ReceivePlan;
  /** The port; as of bind, connect and disconnect. */
  port: number;
  /** The peer, when connected by this object. */
  peer: Bytes | null = null;
  readonly #look: number | undefined;
  #addr: UdpAddress;
  readonly trains: TrainLimits = new TrainLimits();
  /** With `gro`: the train whose datagrams are given one by one, and the next of them. */
  #train: DatagramBatch | null = null;
  #next = 0;
  /** The last of the calls that wait: who comes later waits behind it. */
  #receivers: Place | null = null;
  #senders: Place | null = null;
  #lastWait = Infinity;
  #capabilities: UdpCapabilities | null = null;

  constructor(socket: Socket<Family>, { family, fields, gro, spin }: NativeOptions) {
    this.socket = socket;
    this.family = family;
    this.fields = fields;
    this.plan = receivePlan(gro, spaceOf(fields));
    this.#look = spin === "adaptive" ? undefined : spin / 1000;
    if (this.#look !== undefined) setLook(socket as Socket, this.#look);
    Object.assign(socket, { [REFUSED]: GLUES });
    this.#addr = this.#ownAddress();
    this.port = this.#addr.port;
  }

  get closed(): boolean {
    return fdOf(this.socket as Socket) < 0;
  }

  get left(): boolean {
    return this.#train !== null && this.#next < this.#train.length;
  }

  get addr(): UdpAddress {
    return this.closed ? this.#addr : this.#addr = this.#ownAddress();
  }

  get remoteAddr(): UdpAddress | null {
    if (this.closed) return null;
    const peer = kernelAddressOf(fdOf(this.socket as Socket), "remote");
    return peer === null ? null : Object.freeze({ ...peer as InetAddress, transport: "udp" });
  }

  get capabilities(): UdpCapabilities {
    return this.#capabilities ??= new NativeCapabilities(this);
  }

  /** Datagrams that one send can be split into; asked of the kernel once. */
  get maxSegments(): number {
    return this.trains.segments;
  }

  descriptor(): number {
    return this.#open("use");
  }

  #ownAddress(): UdpAddress {
    const own = kernelAddressOf(fdOf(this.socket as Socket), "local") as InetAddress;
    return Object.freeze({ ...own, transport: "udp" });
  }

  get connected(): boolean {
    return this.peer !== null;
  }

  trafficClass(ipv4: boolean): number {
    return (ipv4 ? IP_TOS : IPV6_TCLASS).get(this.socket);
  }

  doing(): string {
    return `Cannot send on ${this.#name()}`;
  }

  #name(): string {
    return nameOf(this.addr);
  }

  #open(verb: string): number {
    const fd = fdOf(this.socket as Socket);
    if (fd < 0) throw isClosed(`Cannot ${verb} ${this.#name()}`);
    return fd;
  }

  require(): void {}

  // ---- Receiving ----

  tryReceive(buffer?: Uint8Array): Received | null {
    if (buffer !== undefined) this.#check(buffer);
    const fd = this.#open("receive on");
    if (this.plan.gro) return this.#fromTrain(fd, buffer);
    const into = buffer === undefined ? inbox.bytes : buffer;
    for (let repeats = 1;; repeats++) {
      const result = this.#io.recvfrom(fd, into, TRUNC, name, nameLength);
      if (!failed(result)) {
        const from = addressIn(name, 0, nameLength[0]!);
        if (result > into.byteLength) throw this.#doesNotFit(result, into.byteLength, from);
        return [buffer === undefined ? copied(result) : buffer.subarray(0, result) as Bytes, from];
      }
      if (this.#blocked("recvfrom", fd, repeats)) return null;
    }
  }

  #check(buffer: Uint8Array): void {
    if (!(buffer instanceof Uint8Array)) {
      throw new TypeError(
        `Cannot receive on ${this.#name()}: the buffer is ${shown(buffer)}, it must be a Uint8Array`,
      );
    }
    if (isDetached(buffer)) throw detached(`Cannot receive on ${this.#name()}`);
  }

  #doesNotFit(length: number, room: number, from: UdpAddress): Error {
    return tooLong(
      "recvfrom",
      `Cannot receive on ${this.#name()}`,
      `the datagram from ${showAddress(from)} has ${length} bytes, the buffer ${room}`,
    );
  }

  /**
   * Whether nothing is there; false when the call is to be made again, which then is attempt `repeats` plus one. Throws
   * what else came.
   */
  #blocked(syscall: string, fd: number, repeats: number): boolean {
    if (failedWith("EAGAIN")) return true;
    if (failedWith("EINTR")) return false;
    const errno = lastErrno();
    // Without a peer nobody knows to which destination a report belongs: the error queue tells, and this goes on.
    if (repeats < REPEATS && isReceivedReport(errno) && kernelAddressOf(fd, "remote") === null) return false;
    throw systemErrorOf(errno, syscall, `Cannot receive on ${this.#name()}`, {
      ECONNREFUSED: "an earlier datagram was refused: nothing receives there",
      EMSGSIZE: "an earlier datagram was larger than the path takes",
    });
  }

  receive(buffer?: Uint8Array, options?: WaitOptions): Promise<Received> {
    // What is there already needs no asynchronous function, which costs as much as a tenth of the call.
    try {
      const signal = options === undefined ? undefined : signalOf(options, RECEIVING);
      if (this.#receivers === null) {
        const got = this.tryReceive(buffer);
        if (got !== null) return afterTurn(got);
      } else this.#checkReceive(buffer);
      return this.#received(() => this.tryReceive(buffer), signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** What is wrong is told at once, however many wait. */
  #checkReceive(buffer: Uint8Array | undefined): void {
    this.#open("receive on");
    if (buffer !== undefined) this.#check(buffer);
  }

  /**
   * Waits behind those who wait already, and then until there is something: where nobody waits, the caller has looked.
   * Gives back the batch that it is put into.
   */
  async #received<T>(
    attempt: () => T | null,
    signal: AbortSignal | undefined,
    batch: DatagramBatch | null = null,
  ): Promise<T> {
    const place = this.#receivers = join(this.#receivers);
    try {
      let since = 0;
      let got: T | null = null;
      const mine = turnOf(place, signal);
      if (mine !== null) {
        since = now();
        await mine;
        got = attempt();
      }
      while ((got ??= this.#lastWait <= SHORT ? this.#spinFor(attempt) : null) === null) {
        const began = now();
        since = await ready(this.socket as Socket, READABLE, signal, "receive on", since);
        this.#lastWait = now() - began;
        got = attempt();
      }
      return await afterTurn(got, batch === null ? 1 : batch.length);
    } finally {
      this.#receivers = leave(place, this.#receivers);
      if (batch !== null) access.give(batch);
    }
  }

  /** Looks at the socket for a while, after a wait that was short: the reactor looks too, but takes a turn for it. */
  #spinFor<T>(look: () => T | null): T | null {
    // Where somebody else waits too, it may be for the one who would be kept from running.
    const time = this.#look === undefined ? LOOK : Math.min(this.#look, LOOK);
    if (time === 0 || !nobodyWaits()) return null;
    const since = now();
    do {
      const got = look();
      if (got !== null) {
        this.#lastWait = now() - since;
        return got;
      }
    } while (now() - since < time);
    return null;
  }

  /** The batch with the train at hand and the place of its next datagram, or with the next train; null when there is none. */
  #fill(fd: number): DatagramBatch | null {
    const train = this.#train ??= new DatagramBatch({ byteLength: DATAGRAM_MAX });
    if (this.#next < train.length) return train;
    for (let repeats = 1;; repeats++) {
      const count = access.receive(train, this.#io, fd, this, RECEIVING);
      this.#next = 0;
      if (!failed(count)) return train;
      train.clear();
      if (this.#blocked("recvmmsg", fd, repeats)) return null;
    }
  }

  /** One datagram of the train was given. */
  #given(train: DatagramBatch): void {
    const first = this.#next++ === 0;
    if (this.#next === train.length) {
      if (!first) leaveAbove(this.socket as Socket, false);
    } else if (first) {
      leaveAbove(this.socket as Socket, true);
      if (this.owner !== null) { for (const tell of toldOfLeft) tell(this.owner); }
    }
  }

  #fromTrain(fd: number, buffer: Uint8Array | undefined): Received | null {
    const train = this.#fill(fd);
    if (train === null) return null;
    const i = this.#next;
    const from = train.remoteAddr(i);
    const data = train.data(i);
    this.#given(train);
    if (buffer === undefined) return [data.slice(), from];
    const room = byteLengthOf(buffer);
    if (data.byteLength > room) throw this.#doesNotFit(data.byteLength, room, from);
    return [filled(buffer as Bytes, data), from];
  }

  receiveMessage(options?: WaitOptions & { buffer?: Bytes }): Promise<Datagram<DatagramField>> {
    try {
      const signal = signalOf(options, RECEIVING);
      const buffer = options?.buffer;
      const attempt = () => {
        if (buffer !== undefined) this.#check(buffer);
        return this.#message(this.#open("receive on"), buffer);
      };
      if (this.#receivers === null) {
        const got = attempt();
        if (got !== null) return afterTurn(got);
      } else this.#checkReceive(buffer);
      return this.#received(attempt, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #message(fd: number, buffer: Bytes | undefined): Datagram<DatagramField> | null {
    if (this.plan.gro) return this.#messageFromTrain(fd, buffer);
    const { fields, port } = this;
    for (let repeats = 1;; repeats++) {
      if (failed(inbox.receive(this.#io, fd, INBOX, DATAGRAM_MAX, 1))) {
        if (this.#blocked("recvmmsg", fd, repeats)) return null;
        continue;
      }
      if (fields.length > 0 && inbox.controlCut(0)) {
        throw new Error(
          `${RECEIVING}: the control messages were cut (MSG_CTRUNC), and with them what was asked for at bind`,
        );
      }
      const byteLength = inbox.length(0);
      const { reader } = inbox;
      const from = addressIn(reader.bytes, inbox.sender(0), inbox.senderLength(0));
      const data = buffer === undefined ? copied(byteLength) : filled(buffer, inbox.bytes.subarray(0, byteLength));
      if (fields.length === 0) return datagramOf(data, from, byteLength, fields, () => {});
      const told = inboxReader ??= new FieldReader(reader);
      told.turnTo(inbox.controlStart(0), inbox.controlEnd(0));
      return datagramOf(data, from, byteLength, fields, (field) => told.field(bitOf(field), port));
    }
  }

  #messageFromTrain(fd: number, buffer: Bytes | undefined): Datagram<DatagramField> | null {
    const train = this.#fill(fd);
    if (train === null) return null;
    const i = this.#next;
    const data = train.data(i);
    const held = buffer === undefined ? data.slice() : filled(buffer, data);
    const { fields } = this;
    const got = datagramOf(held, train.remoteAddr(i), data.byteLength, fields, (field) => train.metadata(i, field));
    this.#given(train);
    return got;
  }

  receiveBatch(batch: DatagramBatch, options?: WaitOptions): Promise<number> {
    try {
      const signal = signalOf(options, RECEIVING);
      const count = this.#receiveInto(batch, this.#receivers !== null);
      return count > 0 ? gaveBack(batch, count) : this.#received(() => this.#batch(batch) || null, signal, batch);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  tryReceiveBatch(batch: DatagramBatch): number | null {
    const count = this.#receiveInto(batch, false);
    access.give(batch);
    return count || null;
  }

  /** Takes a batch, and what is there, or nothing yet; the caller gives the batch back, unless this throws. */
  #receiveInto(batch: DatagramBatch, later: boolean): number {
    access.take(batch, RECEIVING);
    try {
      if (!later) return this.#batch(batch);
      this.#open("receive on");
      return 0;
    } catch (error) {
      access.give(batch);
      throw error;
    }
  }

  /** How many datagrams came; 0 when there are none. */
  #batch(batch: DatagramBatch): number {
    const fd = this.#open("receive on");
    if (this.left) {
      access.takeOver(batch, this.#train!, this.#next, RECEIVING);
      this.#next = this.#train!.length;
      leaveAbove(this.socket as Socket, false);
      return batch.length;
    }
    for (let repeats = 1;; repeats++) {
      const count = access.receive(batch, this.#io, fd, this, RECEIVING);
      if (!failed(count)) return batch.length;
      if (this.#blocked("recvmmsg", fd, repeats)) return 0;
    }
  }

  // ---- Sending ----

  trySend(data: Uint8Array, remoteAddr?: UdpDestination): number | null {
    if (!(data instanceof Uint8Array)) this.#checkData(data);
    return this.#sendTo(data, this.#to(this.#open("send on"), remoteAddr));
  }

  #sendTo(data: Uint8Array, to: Bytes | null): number | null {
    if (data.byteLength === 0) this.#checkData(data);
    // Only now: getters of the caller's own may have closed the socket, and the number be that of another.
    const fd = this.#open("send on");
    for (let repeats = 0;;) {
      const result = to === null ? this.#io.send(fd, data, QUIET) : this.#io.sendto(fd, data, QUIET, to);
      if (!failed(result)) return result;
      if (failedWith("EAGAIN")) return null;
      if (failedWith("EINTR")) continue;
      const errno = lastErrno();
      // Of an earlier datagram, to somebody else perhaps: this one is none the worse for it.
      if (++repeats < attempts(errno, to)) continue;
      throw this.#sendError(errno, to === null ? "send" : "sendto", data.byteLength, to);
    }
  }

  #checkData(data: unknown): void {
    if (!(data instanceof Uint8Array)) {
      throw new TypeError(`Cannot send on ${this.#name()}: the data is ${shown(data)}, it must be a Uint8Array`);
    }
    if (isDetached(data)) {
      throw new TypeError(`Cannot send on ${this.#name()}: the buffer of the data was transferred, it must be here`);
    }
  }

  /** The destination, allowed; null for the peer. */
  #to(fd: number, remoteAddr: unknown): Bytes | null {
    if (remoteAddr === undefined) {
      // It may have been connected by way of `socket`.
      if (this.peer !== null || kernelAddressOf(fd, "remote") !== null) return null;
      throw new TypeError(`Cannot send on ${this.#name()}: the socket has no peer, so remoteAddr must be given`);
    }
    if (this.peer !== null) {
      throw new TypeError(`Cannot send on ${this.#name()}: the socket has a peer, so remoteAddr must be left out`);
    }
    const to = encodedDestination(this.family, remoteAddr, this);
    if (!isGranted(to)) this.#ask(to, true);
    return to;
  }

  #ask(to: Bytes, mayAsk: boolean): void {
    const { hostname, port } = readSockaddr(to, "linux") as InetAddress;
    checkDestination(to, hostname.replace(/%.*$/, ""), port, `Cannot send from ${this.#name()}`, mayAsk);
  }

  #sendError(errno: number, syscall: string, byteLength: number, to: Bytes | null): Error {
    const addr = to === null ? this.remoteAddr : addressIn(to, 0, to.byteLength);
    const from = this.addr;
    const doing = `Cannot send from ${nameOf(from)}${addr === null ? "" : ` to ${showAddress(addr)}`}`;
    const ip = addr === null ? null : parseIp(addr.hostname)!.bytes;
    const most = ip !== null && ip.length === 16 && !isMapped(ip) ? MOST_IPV6 : MOST_IPV4;
    if (errno === errnoNumber("EMSGSIZE") && byteLength > most) {
      return tooLong(syscall, doing, `the datagram has ${byteLength} bytes, it must have at most ${most}`);
    }
    return systemErrorOf(errno, syscall, doing, sendRemedies(from, addr));
  }

  send(data: Uint8Array, remoteAddr?: UdpDestination | Deno.Addr, options?: WaitOptions): Promise<number> {
    try {
      const signal = options === undefined ? undefined : signalOf(options, SENDING);
      let tried: Tried = null;
      if (this.#senders === null) {
        tried = "full socket";
        try {
          const sent = this.trySend(data, remoteAddr as UdpDestination);
          if (sent !== null) return afterTurn(sent);
        } catch (error) {
          if (!isFull(error)) throw error;
          tried = "full queue";
        }
      }
      // What is wrong is told at once, however many wait; and it goes where it was told to go by then.
      this.#checkData(data);
      const to = this.#to(this.#open("send on"), remoteAddr);
      return this.#untilSent(() => this.#sendTo(data, to), signal, tried);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Sends at once, or behind those who wait already, until there is room; `attempt` gives null where there is none, and
   * `tried` says what the caller has tried already.
   */
  async #untilSent(attempt: () => number | null, signal: AbortSignal | undefined, tried: Tried): Promise<number> {
    const trySend = () => {
      tried = "full socket";
      try {
        return attempt();
      } catch (error) {
        if (!isFull(error)) throw error;
        tried = "full queue";
        return null;
      }
    };
    let sent = tried === null && this.#senders === null ? trySend() : null;
    if (sent !== null) return await afterTurn(sent);
    const place = this.#senders = join(this.#senders);
    try {
      let since = 0;
      const mine = turnOf(place, signal);
      if (mine !== null) {
        since = now();
        await mine;
        sent = trySend();
      }
      while (sent === null) {
        since = await this.#room(tried === "full queue", signal, since);
        sent = trySend();
      }
      return await afterTurn(sent);
    } finally {
      this.#senders = leave(place, this.#senders);
    }
  }

  /** Waits for room: in the queue of the interface where that is `full`, else in the socket. */
  #room(full: boolean, signal: AbortSignal | undefined, since: number): Promise<number> {
    const socket = this.socket as Socket;
    return full ? drained(socket, signal, "send on", since) : ready(socket, WRITABLE, signal, "send on", since);
  }

  async sendMessage(datagram: OutgoingDatagram, options?: WaitOptions): Promise<number> {
    const doing = SENDING;
    const { data, segmentSize, ...settings } = outgoing(datagram, `${doing}: the datagram`);
    const signal = signalOf(options, doing);
    if (segmentSize !== undefined) {
      const bytes = whole(data, doing);
      const batch = new DatagramBatch({ byteLength: Math.max(bytes.byteLength, 1) });
      if (!batch.add(bytes, { segmentSize, ...settings })) {
        throw new RangeError(`${doing}: segmentSize splits the data into more than 65,536 segments`);
      }
      await this.sendBatch(batch, signal && { signal });
      return bytes.byteLength;
    }
    const run = settingsOf(settings, doing);
    const views = data instanceof Uint8Array ? [data] : partsOf(data, doing);
    const to = this.#to(this.#open("send on"), settings.remoteAddr);
    return await this.#untilSent(
      () => {
        const control = controlOf(run, this, doing);
        return this.#sendNow(this.#open("send on"), views, to, control, doing);
      },
      signal,
      null,
    );
  }

  #sendNow(
    fd: number,
    views: readonly Uint8Array[],
    to: Bytes | null,
    control: Bytes | null,
    doing: string,
  ): number | null {
    for (let repeats = 0;;) {
      let result: number;
      try {
        result = sendMessage(this.#io, fd, views, to, control, QUIET);
      } catch (error) {
        throw error instanceof TypeError ? new TypeError(`${doing}: ${error.message}`, { cause: error }) : error;
      }
      if (!failed(result)) return result;
      if (failedWith("EAGAIN")) return null;
      if (failedWith("EINTR")) continue;
      const errno = lastErrno();
      if (++repeats < attempts(errno, to)) continue;
      throw this.#sendError(errno, "sendmsg", views.reduce((sum, { byteLength }) => sum + byteLength, 0), to);
    }
  }

  async reply(to: Datagram<"localAddr">, data: Uint8Array): Promise<number> {
    const { localAddr, remoteAddr, interfaceIndex } = to as Partial<Datagram<"localAddr" | "interfaceIndex">>;
    if (localAddr === undefined) {
      throw new TypeError(
        `${SENDING}: the datagram to answer has no localAddr, it must be asked for in bindUdp by metadata: ["localAddr"]`,
      );
    }
    const message: OutgoingDatagram = {
      data,
      ...(this.peer !== null || remoteAddr === undefined ? {} : { remoteAddr }),
      ...(interfaceIndex !== undefined && interfaceIndex > 0 ? { interfaceIndex } : {}),
    };
    const ip = parseIp(localAddr.hostname);
    const plain = ip === null ? null : isMapped(ip.bytes) ? ip.bytes.subarray(12) : ip.bytes;
    // Nothing may come from a group or from everyone: the kernel takes the address of the interface instead.
    if (plain === null || isGroup(plain) || plain.every((byte) => byte === 255)) return await this.sendMessage(message);
    try {
      return await this.sendMessage({ ...message, localAddr });
    } catch (error) {
      // The broadcast address of a network looks like any other.
      if (!["EINVAL", "ENETUNREACH", "EADDRNOTAVAIL"].includes(String((error as { code?: unknown }).code))) throw error;
      return await this.sendMessage(message);
    }
  }

  sendBatch(batch: DatagramBatch | readonly OutgoingDatagram[], options?: WaitOptions & Part): Promise<number> {
    if (Array.isArray(batch)) return sendArray(this, batch, options, SENDING);
    const one = batch as DatagramBatch;
    try {
      const progress = this.#begin(one, options, this.#senders !== null);
      const { start, end, at } = progress;
      return at === end ? gaveBack(one, at - start) : this.#sendRest(one, progress);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Takes a batch and sends what goes out now, or nothing yet; the caller gives the batch back, unless this throws. */
  #begin(batch: DatagramBatch, options: (WaitOptions & Part) | undefined, later: boolean): Progress {
    access.take(batch, SENDING);
    let progress: Progress | null = null;
    try {
      access.sent(batch, 0);
      const signal = signalOf(options, SENDING);
      const { start, end } = partOf(options, batch.length, SENDING);
      progress = { start, end, at: start, full: false, signal };
      this.#allow(batch, start, end);
      if (!later) this.#push(batch, progress);
      return progress;
    } catch (error) {
      access.give(batch);
      throw withSent(error, progress === null ? 0 : progress.at - progress.start);
    }
  }

  async #sendRest(batch: DatagramBatch, progress: Progress): Promise<number> {
    const { signal } = progress;
    const place = this.#senders = join(this.#senders);
    try {
      let since = 0;
      const mine = turnOf(place, signal);
      if (mine !== null) {
        since = now();
        await mine;
        this.#push(batch, progress);
      }
      while (progress.at < progress.end) {
        since = await this.#room(progress.full, signal, since);
        signal?.throwIfAborted();
        const before = progress.at;
        this.#push(batch, progress);
        if (progress.at > before) since = 0;
      }
      return await afterTurn(progress.at - progress.start, Math.max(1, progress.at - progress.start));
    } catch (error) {
      throw withSent(error, progress.at - progress.start);
    } finally {
      this.#senders = leave(place, this.#senders);
      access.give(batch);
    }
  }

  trySendBatch(batch: DatagramBatch, options?: Part): number | null {
    const { start, end, at } = this.#begin(batch, options, false);
    access.give(batch);
    return at === start && at < end ? null : at - start;
  }

  /** Checks that each destination may be sent to; nobody is asked in the midst of a batch. */
  #allow(batch: DatagramBatch, start: number, end: number): void {
    this.#open("send on");
    if (start === end) return;
    // Runs follow each other: the datagrams of one need not be walked.
    for (let run = batch.run(start), last = batch.run(end - 1); run <= last; run++) {
      const to = access.destination(batch, run, this.connected);
      if (to === null) {
        // It may have been connected by way of `socket`.
        if (this.connected || this.remoteAddr !== null) continue;
        throw new TypeError(`${SENDING}: the socket has no peer, so each datagram must have a remoteAddr`);
      }
      if (this.peer !== null && !samePlace(to, this.peer)) {
        throw new TypeError(
          `${SENDING}: the socket has a peer, so remoteAddr must be left out, or be that of the peer`,
        );
      }
      if (!isGranted(to)) this.#ask(to, false);
    }
  }

  /**
   * Sends as much as goes out now, and tells how far it came whenever the kernel took some. A train that is refused goes
   * out as single datagrams; when those are taken, trains to that destination are shorter from then on, or are no more.
   */
  #push(batch: DatagramBatch, progress: Progress): void {
    const { start, end } = progress;
    let { at } = progress;
    progress.full = false;
    /** What the train at hand is tried with, after a refusal. */
    let trial: Trains | null = null;
    while (at < end) {
      access.layOut(batch, at, end, this, trial, SENDING);
      const laid = access.laid(batch);
      for (let message = 0, repeats = 0; message < laid;) {
        const fd = this.#open("send on");
        const taken = access.send(batch, this.#io, fd, message);
        if (!failed(taken)) {
          if (trial !== null) {
            this.trains.lower(this.#destination(batch, at), trial);
            trial = null;
          }
          repeats = 0;
          message += taken;
          progress.at = at = access.first(batch, message);
          access.sent(batch, at - start);
          continue;
        }
        if (failedWith("EINTR")) continue;
        if (failedWith("EAGAIN")) return;
        progress.full = failedWith("ENOBUFS");
        if (progress.full) return;
        const errno = lastErrno();
        // A report of an earlier datagram: nothing is skipped for it.
        if (++repeats < (isReport(errno) ? REPEATS : 2)) continue;
        const count = access.first(batch, message + 1) - access.first(batch, message);
        const known = this.trains.to(this.#destination(batch, at));
        const size = batch.byteLength(at);
        if (count > 1 && (count > known.segments || size > known.bytes)) {
          // Laid out before the path to there was known.
          trial = null;
          break;
        }
        const less: Trains | null = count > 1 ? fewer(trial ?? known, count, size, errno) : null;
        if (less === null) throw this.#batchError(batch, at, errno);
        trial = less;
        break;
      }
    }
  }

  /** Where a datagram of a batch goes; null for the peer. */
  #destination(batch: DatagramBatch, i: number): Bytes | null {
    return access.destination(batch, batch.run(i), this.connected);
  }

  #batchError(batch: DatagramBatch, at: number, errno: number): Error {
    const error = this.#sendError(errno, "sendmmsg", batch.byteLength(at), this.#destination(batch, at));
    error.message = `${error.message} (datagram ${at} of the batch)`;
    return error;
  }

  // ---- Peers and groups ----

  connect(remoteAddr: UdpDestination): void {
    const fd = this.#open("connect");
    const doing = `Cannot connect ${this.#name()}`;
    const to = encodedDestination(this.family, remoteAddr, { doing: () => doing });
    const { hostname, port } = readSockaddr(to, "linux") as InetAddress;
    checkNet(unmapped(to) ?? hostname, port, doing);
    this.connectTo(fd, to, `${doing} to ${showAddress(addressIn(to, 0, to.byteLength))}`);
  }

  /** Connects to an address that is allowed. */
  connectTo(fd: number, to: Bytes, doing: string): void {
    if (failed(this.#io.connect(fd, to))) {
      throw systemErrorOf(lastErrno(), "connect", doing, sendRemedies(this.addr, addressIn(to, 0, to.byteLength)));
    }
    this.#moved(to);
  }

  disconnect(): void {
    const fd = this.#open("disconnect");
    const before = this.addr;
    const doing = `Cannot disconnect ${nameOf(before)}`;
    if (failed(this.#io.connect(fd, UNSPECIFIED))) throw systemErrorOf(lastErrno(), "connect", doing);
    const after = this.#ownAddress();
    if (after.port === 0) {
      // A port of the kernel's choice goes with the peer: it is taken again.
      const own = encodeAddress(this.family, { hostname: after.hostname, port: before.port }, doing, "linux");
      if (failed(this.#io.bind(fd, own))) throw systemErrorOf(lastErrno(), "bind", doing);
    }
    this.#moved(null);
  }

  #moved(peer: Bytes | null): void {
    this.peer = peer;
    this.trains.forgetPeer();
    this.port = this.addr.port;
  }

  async joinMulticastV4(address: string, networkInterface: string): Promise<Deno.MulticastV4Membership> {
    if (this.closed) throw isClosed(`Cannot join group ${shown(address)}`);
    return await joinNativeV4(this.socket, address, networkInterface);
  }

  async joinMulticastV6(address: string, networkInterface: number): Promise<Deno.MulticastV6Membership> {
    if (this.closed) throw isClosed(`Cannot join group ${shown(address)}`);
    return await joinNativeV6(this.socket, address, networkInterface);
  }

  reported(error: unknown): boolean {
    const errno = error instanceof Error ? (error as { errno?: unknown }).errno : undefined;
    // Without a peer it is not given as one: what is, came each time.
    return typeof errno === "number" && isReceivedReport(errno) && this.remoteAddr !== null;
  }

  ref(): void {
    this.socket.ref();
  }

  unref(): void {
    this.socket.unref();
  }

  close(): void {
    // What it was, for those who ask later.
    this.#addr = this.addr;
    this.#train = null;
    this.socket.close();
  }
}

/** Setting it by hand would break the socket. */
export const GLUES: Readonly<Record<string, string>> = {
  UDP_GRO: "it would glue datagrams together; ask for `gro` in bindUdp",
};

/** What to try after the kernel refused a train; null when trains are not to blame. */
function fewer(trains: Trains, count: number, size: number, errno: number): Trains | null {
  // Larger than the path takes in one piece: single ones are split on their way, where that is allowed.
  if (errno === errnoNumber("EMSGSIZE")) return { ...trains, bytes: size - 1 };
  if (!NO_TRAINS.some((name) => errnoNumber(name) === errno)) return null;
  return count > OLD_SEGMENTS ? { ...trains, segments: OLD_SEGMENTS } : SINGLE;
}

/** The IPv4 address in an address of IPv6, which permissions ask for. */
function unmapped(address: Bytes): string | null {
  const ip = ipOf(address, "linux")!;
  return isMapped(ip) ? formatIp(ip.subarray(12)) : null;
}

/** The parts of a datagram: as they are, or in one piece where they are more than a call of the kernel takes. */
function partsOf(data: readonly Uint8Array[], doing: string): readonly Uint8Array[] {
  return Array.isArray(data) && data.length <= PARTS_MAX ? data : [whole(data, doing)];
}

/** Whether the queue of an interface is full. */
function isFull(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === "ENOBUFS";
}

/** How far a batch was sent. */
interface Progress {
  readonly start: number;
  readonly end: number;
  at: number;
  /** Whether it stopped for the queue of the interface, and not for the socket. */
  full: boolean;
  readonly signal: AbortSignal | undefined;
}

/** What a call with a batch has got without waiting; the batch is given back when the call is over. */
function gaveBack(batch: DatagramBatch, count: number): Promise<number> {
  const others = turn(Math.max(1, count));
  if (others === null) {
    access.give(batch);
    return Promise.resolve(count);
  }
  return others.then(() => {
    access.give(batch);
    return count;
  });
}

function datagramOf(
  data: Bytes,
  remoteAddr: UdpAddress,
  byteLength: number,
  fields: readonly DatagramField[],
  read: (field: DatagramField) => unknown,
): Datagram<DatagramField> {
  const datagram: Record<string, unknown> = { data, remoteAddr, byteLength, truncated: byteLength > data.byteLength };
  for (const field of fields) datagram[field] = read(field);
  return datagram as unknown as Datagram<DatagramField>;
}

/** Where there was no room at the last attempt; null for no attempt. */
type Tried = "full socket" | "full queue" | null;

/** What the kernel has, asked anew each time. */
class NativeCapabilities implements UdpCapabilities {
  readonly engine = "native";
  readonly batch = 1024;
  readonly gro: boolean;
  readonly metadata: readonly DatagramField[] = FIELDS;
  readonly #engine: NativeEngine;

  constructor(engine: NativeEngine) {
    this.#engine = engine;
    this.gro = engine.plan.gro;
  }

  get maxSegments(): number {
    return this.#engine.maxSegments;
  }

  get receiveBufferSize(): number {
    return SO_RCVBUF.get(this.#engine.socket);
  }

  get sendBufferSize(): number {
    return SO_SNDBUF.get(this.#engine.socket);
  }
}
