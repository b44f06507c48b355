// DatagramBatch: room for many datagrams in one arena, with a flat index of where each lies.
// The calls that fill and send one: native.ts, and by loops portable.ts. Headers for the kernel: internal/mmsg.ts.
import { integer, object, shown } from "../internal/argument.ts";
import type { ReceivePlan, Trains } from "../internal/mmsg.ts";
import { DATAGRAM_MAX, ENTRY, MessageArena, MESSAGES_MAX } from "../internal/mmsg.ts";
import { failed } from "../internal/errno.ts";
import { byteLengthOf, type LibcIo } from "../internal/libc_io.ts";
import { addressIn, encodedDestination } from "./address.ts";
import { controlOf, type ControlSender, type RunSettings, sameSettings, settingsOf, wordOf } from "./control.ts";
import { isDetached } from "./engine.ts";
import { bitOf, bitsOf, FieldReader } from "./metadata.ts";
import type { TrainLimits } from "./segments.ts";
import type {
  Datagram,
  DatagramField,
  DatagramMetadata,
  OutgoingDatagram,
  UdpAddress,
  UdpDestination,
} from "./types.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const ARENA = 4 * 2 ** 20;
const ARENA_MAX = 2 ** 30;
/** Datagrams that a batch can hold, however small they are. */
const DATAGRAMS_MAX = 65_536;
/** Trains that one call takes: more of them do not stay in the cache of the processor until they are read. */
const TRAINS = 8;

/** Datagrams with metadata that one call takes: what is told of each is as large as they are, and stays in the cache so. */
const TOLD = 128;

/** Of which socket datagrams were received. */
export interface Receiver {
  readonly plan: ReceivePlan;
  readonly fields: readonly DatagramField[];
  /** Its port, which no control message tells. */
  readonly port: number;
}

/** The socket that a batch is sent by. */
export interface Sender extends ControlSender {
  /** Whether what was received goes to the peer, whoever sent it. */
  readonly connected: boolean;
  readonly trains: TrainLimits;
}

/** What is laid out for sending. */
interface LaidOut {
  readonly start: number;
  readonly end: number;
  readonly limits: TrainLimits;
  readonly version: number;
  readonly connected: boolean;
  readonly family: "inet" | "inet6";
}

/** What the engines do with a batch; none of it is for users. */
export interface BatchAccess {
  /** Takes it for a call; throws when another call has it. */
  take(batch: DatagramBatch, doing: string): void;
  /** Gives it back. */
  give(batch: DatagramBatch): void;
  /** recvmmsg: how many messages came, negative when it failed. */
  receive(batch: DatagramBatch, io: LibcIo, fd: number, from: Receiver, doing: string): number;
  /** Takes over what another batch has from a datagram on, which is of one message. */
  takeOver(batch: DatagramBatch, from: DatagramBatch, first: number, doing: string): void;
  /** Puts one datagram into it that came otherwise: the room for it, and then its length and sender. */
  room(batch: DatagramBatch, doing: string): Bytes;
  put(batch: DatagramBatch, byteLength: number, remoteAddr: UdpAddress): void;
  /** Lays out datagrams to be sent; `trial` is for trains of the first of them, in the place of what the sender says. */
  layOut(batch: DatagramBatch, start: number, end: number, sender: Sender, trial: Trains | null, doing: string): void;
  /** sendmmsg of what is laid out, from a message on. */
  send(batch: DatagramBatch, io: LibcIo, fd: number, message: number): number;
  /** How many messages are laid out, and where each begins. */
  laid(batch: DatagramBatch): number;
  first(batch: DatagramBatch, message: number): number;
  /** Says how many were sent. */
  sent(batch: DatagramBatch, count: number): void;
  /** The destination of a run as bytes; null for the peer. What was received goes to that, where there is one. */
  destination(batch: DatagramBatch, run: number, connected: boolean): Bytes | null;
  /** The destination of a datagram; null for the peer. */
  to(batch: DatagramBatch, i: number): UdpAddress | null;
  /** What is said of it besides that, the first word; undefined when nothing is. */
  word(batch: DatagramBatch, i: number): string | undefined;
}

export let access: BatchAccess;

/**
 * Reusable room for many datagrams, one arena: fill and send it, receive and read it, or receive and send it on, by the
 * same socket or another. One call at a time may use it; a second one rejects with `Deno.errors.Busy`.
 *
 * The fast loop reads `bytes`, `byteOffset(i)`, `byteLength(i)` and `run(i)` and allocates nothing. Sender and metadata are
 * made once a run when they are asked for. `data(i)` makes a view and iteration makes objects; both show the arena itself,
 * which the next receive overwrites.
 *
 * The memory is the batch's: `bytes` may be read and written at any time but while a call is pending, and its buffer may
 * not be transferred; a batch that lost it throws a `TypeError`.
 *
 * @example Filled and sent, received and read
 * ```ts
 * import { bindUdp, DatagramBatch } from "@berkeley/sockets/udp";
 * import { assertEquals } from "@std/assert";
 *
 * using socket = bindUdp({ hostname: "127.0.0.1" });
 * const batch = new DatagramBatch();
 * for (const size of [3, 3, 1]) batch.add(new Uint8Array(size).fill(size), { remoteAddr: socket.addr });
 * assertEquals(await socket.sendBatch(batch), 3);
 *
 * const sizes: number[] = [];
 * while (sizes.length < 3) {
 *   const count = await socket.receiveBatch(batch);
 *   for (let i = 0; i < count; i++) {
 *     assertEquals(batch.bytes[batch.byteOffset(i)], batch.byteLength(i));
 *     sizes.push(batch.byteLength(i));
 *   }
 * }
 * assertEquals(sizes, [3, 3, 1]);
 * ```
 */
export class DatagramBatch implements Iterable<Datagram<DatagramField>> {
  readonly #arena: MessageArena;
  readonly #size: number;
  #index: Int32Array = new Int32Array(64 * ENTRY);
  #length = 0;
  #sent = 0;
  #runs = 0;
  #busy = false;
  /** Bytes that are filled. */
  #used = 0;
  #received = false;
  /** Whether it came by messages, whose headers have the senders. */
  #byMessages = false;
  /** Received: the message of each run. */
  #messages: Int32Array = new Int32Array(64);
  #fields: readonly DatagramField[] = NO_FIELDS;
  /** The same as bits. */
  #asked = 0;
  #port = 0;
  /** What reads the fields of runs, of which headers, and the run that it has turned to. */
  #reader: FieldReader | null = null;
  #readerOf: object | null = null;
  #turned = -1;
  /** The senders that were asked for, or the one that is known otherwise. */
  readonly #senders: (UdpAddress | undefined)[] = [];
  /** Filled: what the datagrams of a run share. */
  readonly #settings: RunSettings[] = [];
  /** What is laid out for sending; anything but a send makes it void. */
  #laidOut: LaidOut | null = null;

  static {
    access = {
      take: (batch, doing) => {
        if (!(batch instanceof DatagramBatch)) {
          throw new TypeError(`${doing}: the batch is ${shown(batch)}, it must be a DatagramBatch`);
        }
        batch.#free(doing);
        batch.#arena.verify(doing);
        batch.#busy = true;
      },
      give: (batch) => {
        batch.#busy = false;
      },
      receive: (batch, io, fd, from, doing) => batch.#receive(io, fd, from, doing),
      takeOver: (batch, from, first, doing) => batch.#takeOver(from, first, doing),
      room: (batch, doing) => {
        batch.#arena.verify(doing);
        return batch.#arena.bytes.subarray(0, batch.#size);
      },
      put: (batch, byteLength, remoteAddr) => {
        batch.#empty();
        batch.#received = true;
        const held = Math.min(byteLength, batch.#size);
        batch.#enter(0, held, 0, held < byteLength ? byteLength : 0);
        batch.#length = batch.#runs = 1;
        batch.#senders[0] = remoteAddr;
      },
      layOut: (batch, start, end, sender, trial, doing) => batch.#layOut(start, end, sender, trial, doing),
      send: (batch, io, fd, message) => batch.#arena.send(io, fd, message),
      laid: (batch) => batch.#arena.laid,
      first: (batch, message) => batch.#arena.first(message),
      sent: (batch, count) => {
        batch.#sent = count;
      },
      destination: (batch, run, connected) => batch.#address(run, connected),
      to: (batch, i) => batch.#received ? batch.remoteAddr(i) : batch.#settings[batch.run(i)]!.remoteAddr,
      word: (batch, i) => batch.#received ? undefined : wordOf(batch.#settings[batch.run(i)]!),
    };
  }

  /**
   * Makes room.
   *
   * @param options `byteLength` is that of the arena, default 4 MiB, at most 1 GiB; `maxDatagramSize`, default 65,535,
   * is the room for each datagram that is received: 2,048 takes 1,024 datagrams at once where 65,535 takes 64; with
   * metadata it is 128 at most. A socket with `gro` takes 8 trains at once and has 65,535 bytes for each, whatever is said
   * here, so the arena must have as many.
   * @throws {RangeError} There is no room for one datagram.
   */
  constructor(options: { byteLength?: number; maxDatagramSize?: number } = {}) {
    const doing = "Cannot make a batch";
    const { byteLength = ARENA, maxDatagramSize = DATAGRAM_MAX } = object(
      options,
      `${doing}: the options`,
      "an object",
    ) as { byteLength?: unknown; maxDatagramSize?: unknown };
    integer(byteLength, `${doing}: byteLength`, 1, ARENA_MAX);
    // An arena that is smaller than the default for a datagram is for smaller ones.
    const most = options.maxDatagramSize === undefined
      ? Math.min(DATAGRAM_MAX, byteLength as number)
      : integer(maxDatagramSize, `${doing}: maxDatagramSize`, 1, DATAGRAM_MAX);
    if (most > (byteLength as number)) {
      throw new RangeError(
        `${doing}: byteLength is ${byteLength}, it must be at least maxDatagramSize, which is ${most}`,
      );
    }
    this.#arena = new MessageArena(byteLength as number);
    this.#size = most;
  }

  /** The arena; valid for the life of the batch, overwritten by the next receive. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#arena.bytes;
  }

  /** Datagrams in it; with `gro` there may be more than there were messages. */
  get length(): number {
    return this.#length;
  }

  /** Datagrams of it that the kernel took in the last send, counted from its start. */
  get sent(): number {
    return this.#sent;
  }

  /** Where a datagram starts in `bytes`. Allocates nothing. */
  byteOffset(i: number): number {
    return this.#index[this.#entry(i)]!;
  }

  /** Its bytes in the arena. Allocates nothing. */
  byteLength(i: number): number {
    return this.#index[this.#entry(i) + 1]!;
  }

  /**
   * Number of its run: datagrams of a run follow each other and share sender and metadata, so look those up when it
   * changes. Allocates nothing.
   */
  run(i: number): number {
    return this.#index[this.#entry(i) + 2]!;
  }

  /** Whether it is cut, as it was larger than `maxDatagramSize`. Allocates nothing. */
  truncated(i: number): boolean {
    return this.#index[this.#entry(i) + 3]! > 0;
  }

  /** Its bytes, a view into the arena. */
  data(i: number): Uint8Array<ArrayBuffer> {
    const at = this.#entry(i);
    const offset = this.#index[at]!;
    return this.#arena.bytes.subarray(offset, offset + this.#index[at + 1]!);
  }

  /**
   * Its sender, or once filled its destination; frozen, made once a run.
   *
   * @throws {TypeError} It was added without a destination.
   */
  remoteAddr(i: number): UdpAddress {
    const run = this.run(i);
    if (this.#received) {
      return this.#senders[run] ??= addressIn(
        this.#arena.reader.bytes,
        this.#arena.sender(this.#messages[run]!),
        this.#arena.senderLength(this.#messages[run]!),
      );
    }
    const { remoteAddr } = this.#settings[run]!;
    if (remoteAddr === null) {
      throw new TypeError(`Cannot tell the destination of datagram ${i}: it was added without one`);
    }
    return remoteAddr;
  }

  /**
   * One field of its metadata.
   *
   * @throws {TypeError} The socket was not asked for it at bind, or the batch was not received.
   */
  metadata<K extends DatagramField>(i: number, field: K): DatagramMetadata[K] {
    const run = this.run(i);
    const bit = bitOf(field);
    if ((this.#asked & bit) === 0) {
      const why = this.#received
        ? "the socket was not asked for it, it must be among the fields of `metadata` in bindUdp"
        : "the batch must be a received one";
      throw new TypeError(`Cannot read ${shown(field)} of datagram ${i}: ${why}`);
    }
    if (this.#turned !== run) this.#turnTo(run);
    return this.#reader!.field(bit, this.#port) as DatagramMetadata[K];
  }

  #turnTo(run: number): void {
    const arena = this.#arena;
    const message = this.#messages[run]!;
    if (this.#readerOf !== arena.reader) {
      this.#readerOf = arena.reader;
      this.#reader = new FieldReader(arena.reader);
    }
    this.#reader!.turnTo(arena.controlStart(message), arena.controlEnd(message));
    this.#turned = run;
  }

  /** Empties it. */
  clear(): void {
    this.#free("Cannot clear a batch");
    this.#empty();
  }

  /**
   * Copies a datagram in, behind the others. Neighbours of one size to one destination go out as a train where the kernel
   * can do that.
   *
   * @param data Its bytes; the caller's again afterwards.
   * @param settings Where to, and what else `sendMessage` takes. With `segmentSize`, as many datagrams as it splits into.
   * @returns Whether there was room; nothing was added otherwise.
   * @throws {TypeError} The batch has received datagrams in it: `clear()` it first.
   * @throws {RangeError} It is larger than `maxDatagramSize`.
   */
  add(data: Uint8Array, settings?: Omit<OutgoingDatagram, "data">): boolean {
    const doing = "Cannot add a datagram";
    if (!(data instanceof Uint8Array)) {
      throw new TypeError(`${doing}: the data is ${shown(data)}, it must be a Uint8Array`);
    }
    const byteLength = byteLengthOf(data);
    if (isDetached(data)) throw new TypeError(`${doing}: the buffer of the data was transferred, it must be here`);
    const { segmentSize } = settings ?? NO_SETTINGS;
    const size = segmentSize === undefined
      ? byteLength
      : integer(segmentSize, `${doing}: segmentSize`, 1, DATAGRAM_MAX);
    return this.#reserve(data, byteLength, Math.min(size, byteLength), settings ?? NO_SETTINGS, doing);
  }

  /**
   * Makes room for a datagram to be written in place.
   *
   * @param byteLength Its length.
   * @param remoteAddr Where to.
   * @returns Its offset in `bytes`, or -1 when the batch is full.
   * @throws {TypeError} The batch has received datagrams in it: `clear()` it first.
   * @throws {RangeError} It is larger than `maxDatagramSize`.
   */
  reserve(byteLength: number, remoteAddr?: UdpDestination): number {
    const doing = "Cannot reserve room for a datagram";
    integer(byteLength, `${doing}: byteLength`, 0, DATAGRAM_MAX);
    const settings = remoteAddr === undefined ? NO_SETTINGS : { remoteAddr };
    return this.#reserve(null, byteLength, byteLength, settings, doing) ? this.#used - byteLength : -1;
  }

  /** Views with all that is known, valid until the next receive; no `remoteAddr` where none was given to `add`. */
  *[Symbol.iterator](): IterableIterator<Datagram<DatagramField>> {
    for (let i = 0; i < this.#length; i++) {
      const at = i * ENTRY;
      const whole = this.#index[at + 3]!;
      const datagram: Record<string, unknown> = { data: this.data(i) };
      if (access.to(this, i) !== null) datagram.remoteAddr = this.remoteAddr(i);
      datagram.byteLength = whole > 0 ? whole : this.#index[at + 1]!;
      datagram.truncated = whole > 0;
      for (const field of this.#fields) datagram[field] = this.metadata(i, field);
      yield datagram as unknown as Datagram<DatagramField>;
    }
  }

  #entry(i: number): number {
    // Neither less than 0, nor behind the last, nor between two.
    if (i >>> 0 !== i || i >= this.#length) {
      throw new RangeError(
        `Cannot look at datagram ${shown(i)}: ${
          this.#length === 0 ? "the batch is empty" : `it must be a whole number from 0 to ${this.#length - 1}`
        }`,
      );
    }
    return i * ENTRY;
  }

  #free(doing: string): void {
    if (this.#busy) throw new Deno.errors.Busy(`${doing}: another call uses the batch, wait for its end`);
  }

  #empty(): void {
    this.#length =
      this.#runs =
      this.#used =
      this.#sent =
        0;
    this.#received = this.#byMessages = false;
    this.#fields = NO_FIELDS;
    this.#asked = 0;
    this.#settings.length = 0;
    this.#senders.length = 0;
    this.#laidOut = null;
  }

  // ---- Filling ----

  #reserve(
    data: Uint8Array | null,
    byteLength: number,
    size: number,
    settings: Omit<OutgoingDatagram, "data">,
    doing: string,
  ): boolean {
    // Settings may be getters of the caller's own, which use this very batch: none runs between the checks and the entry.
    const shared = this.#sharedSettings(settings, doing);
    this.#free(doing);
    this.#arena.verify(doing);
    if (this.#received) {
      throw new TypeError(`${doing}: the batch has received datagrams in it, it must be emptied by clear()`);
    }
    if (size > this.#size) {
      throw new RangeError(`${doing}: it has ${size} bytes, it must have at most maxDatagramSize, ${this.#size}`);
    }
    const count = size === 0 ? 1 : Math.ceil(byteLength / size);
    if (this.#used + byteLength > this.#arena.byteLength || this.#length + count > DATAGRAMS_MAX) return false;
    // What was transferred meanwhile throws here.
    if (data !== null) this.#arena.bytes.set(data, this.#used);
    let run = this.#runs - 1;
    if (run < 0 || this.#settings[run] !== shared) {
      this.#settings[++run] = shared;
      this.#runs = run + 1;
    }
    this.#laidOut = null;
    this.#hold(this.#length + count);
    let offset = this.#used;
    for (let left = byteLength, i = 0; i < count; i++, left -= size, offset += size) {
      this.#enter(offset, Math.min(left, size), run, 0);
      this.#length++;
    }
    this.#used += byteLength;
    return true;
  }

  /** The settings, checked: those of the last run when they say the same. */
  #sharedSettings(settings: Omit<OutgoingDatagram, "data">, doing: string): RunSettings {
    const last = this.#settings[this.#runs - 1];
    return last !== undefined && sameSettings(last, settings) ? last : settingsOf(settings, doing);
  }

  /** Makes room in the index. */
  #hold(count: number): void {
    if (count * ENTRY <= this.#index.length) return;
    const larger = new Int32Array(2 ** Math.ceil(Math.log2(count)) * ENTRY);
    larger.set(this.#index);
    this.#index = larger;
  }

  #enter(offset: number, byteLength: number, run: number, whole: number): void {
    const at = this.#length * ENTRY;
    this.#index[at] = offset;
    this.#index[at + 1] = byteLength;
    this.#index[at + 2] = run;
    this.#index[at + 3] = whole;
  }

  // ---- Receiving ----

  #receive(io: LibcIo, fd: number, { plan, fields, port }: Receiver, doing: string): number {
    const arena = this.#arena;
    const size = plan.gro ? DATAGRAM_MAX : this.#size;
    this.#checkRoom(size, doing);
    const most = plan.gro ? TRAINS : plan.control > 0 ? TOLD : MESSAGES_MAX;
    const count = arena.receive(io, fd, plan, size, most);
    if (failed(count)) {
      // Senders and metadata of what it had lay in the headers that were made ready.
      if (this.#byMessages) this.#empty();
      return count;
    }
    this.#begin(fields, port);
    if (this.#messages.length < count) this.#messages = new Int32Array(MESSAGES_MAX);
    if (plan.control > 0) this.#refuseCut(count, doing);
    const own = fields.length > 0;
    let run = -1;
    if (!plan.gro) {
      this.#hold(count);
      const index = this.#index;
      const messages = this.#messages;
      for (let i = 0, at = 0; i < count; i++, at += ENTRY) {
        const length = arena.length(i);
        if (own || i === 0 || !arena.sameSender(i - 1, i)) messages[++run] = i;
        index[at] = arena.offset(i);
        index[at + 1] = length > size ? size : length;
        index[at + 2] = run;
        index[at + 3] = length > size ? length : 0;
      }
      this.#length = count;
    } else {
      for (let i = 0; i < count; i++) {
        if (own || i === 0 || !arena.sameSender(i - 1, i)) this.#messages[++run] = i;
        this.#split(arena.offset(i), arena.length(i), arena.segmentSize(i), run);
      }
    }
    this.#runs = run + 1;
    return count;
  }

  #checkRoom(size: number, doing: string): void {
    const { byteLength } = this.#arena;
    if (byteLength >= size) return;
    throw new RangeError(
      `${doing}: the batch has ${byteLength} bytes, it must have at least ${size} where the socket has gro`,
    );
  }

  #begin(fields: readonly DatagramField[], port: number): void {
    this.#received = this.#byMessages = true;
    if (this.#fields !== fields) {
      this.#fields = fields;
      this.#asked = bitsOf(fields);
    }
    this.#port = port;
    this.#length =
      this.#runs =
      this.#used =
      this.#sent =
        0;
    this.#turned = -1;
    // Those of the last receive; what was not asked for was never made.
    if (this.#senders.length > 0) this.#senders.length = 0;
    if (this.#settings.length > 0) this.#settings.length = 0;
    this.#laidOut = null;
  }

  /** What was cut may have told that a train is one: it is never taken for one large datagram. */
  #refuseCut(count: number, doing: string): void {
    for (let i = 0; i < count; i++) {
      if (!this.#arena.controlCut(i)) continue;
      throw new Error(
        `${doing}: the control messages were cut (MSG_CTRUNC), and ${count} datagrams or trains are lost: the socket has ` +
          "options that tell more than bindUdp was asked for, switch them off or use receiveMessage() of its socket",
      );
    }
  }

  /** Enters the datagrams that a train was merged of; all are of one size, but for the last. */
  #split(offset: number, byteLength: number, size: number, run: number): void {
    const count = size === 0 || byteLength <= size ? 1 : Math.ceil(byteLength / size);
    this.#hold(this.#length + count);
    const index = this.#index;
    const step = count === 1 ? byteLength : size;
    const end = offset + byteLength;
    for (let i = 0, at = this.#length * ENTRY, from = offset; i < count; i++, at += ENTRY, from += step) {
      index[at] = from;
      index[at + 1] = end - from < step ? end - from : step;
      index[at + 2] = run;
      index[at + 3] = 0;
    }
    this.#length += count;
  }

  #takeOver(other: DatagramBatch, first: number, doing: string): void {
    this.#checkRoom(DATAGRAM_MAX, doing);
    const from = other.byteOffset(first);
    const last = other.#length - 1;
    const byteLength = other.byteOffset(last) + other.byteLength(last) - from;
    this.#arena.takeOver(other.#arena, from, byteLength, DATAGRAM_MAX);
    this.#begin(other.#fields, other.#port);
    this.#messages[0] = 0;
    this.#split(0, byteLength, other.byteLength(first), 0);
    this.#runs = 1;
  }

  // ---- Sending ----

  #layOut(start: number, end: number, sender: Sender, trial: Trains | null, doing: string): void {
    const last = this.#laidOut;
    const { connected, family, trains: limits } = sender;
    if (
      last !== null && trial === null && last.start === start && last.end === end && last.limits === limits &&
      last.version === limits.version && last.connected === connected && last.family === family
    ) return;
    this.#laidOut = null;
    const first = this.run(start);
    let most = 0;
    const controls: (Bytes | null)[] = [];
    if (!this.#received) {
      for (let run = first; run <= this.run(end - 1); run++) {
        const control = controlOf(this.#settings[run]!, sender, doing);
        controls[run] = control;
        if (control !== null) most = Math.max(most, control.byteLength);
      }
    }
    const address = (run: number) => this.#address(run, connected);
    this.#arena.layOut(
      this.#index,
      start,
      end,
      {
        address,
        control: (run) => controls[run] ?? null,
        trains: (run) => trial !== null && run === first ? trial : limits.to(address(run)),
      },
      family === "inet",
      most,
    );
    // A half of the traffic class is completed by that of the socket, which may change.
    if (most > 0 || trial !== null) return;
    this.#laidOut = { start, end, limits, version: limits.version, connected, family };
  }

  #address(run: number, connected: boolean): Bytes | null {
    if (!this.#received) return this.#settings[run]!.address;
    if (connected) return null;
    // What came by a socket of Deno's has an address in words alone.
    if (!this.#byMessages) return encodedDestination("inet", this.#senders[run], SENDING);
    const at = this.#arena.sender(this.#messages[run]!);
    return this.#arena.reader.bytes.subarray(at, at + this.#arena.senderLength(this.#messages[run]!));
  }
}

const SENDING = { doing: () => "Cannot send a batch" };
const NO_SETTINGS: Omit<OutgoingDatagram, "data"> = {};
const NO_FIELDS: readonly DatagramField[] = [];
