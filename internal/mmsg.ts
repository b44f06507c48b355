// sendmmsg and recvmmsg: many datagrams a call, in one arena of data and one of headers beside it.
// One message in the caller's own buffers: msghdr.ts. What a batch is to people: udp/batch.ts. The calls: libc_io.ts.
//
// A header says where memory lies and how long it is, and neither FFI nor the kernel doubts it. What keeps it true
// (tests/mmsg_test.ts has a test for each):
//
// 1. Both arenas are made here, plain ArrayBuffers of a fixed size. Headers point into these two and nowhere else, and the
//    object that makes the call holds both.
// 2. The arena of headers never leaves this file. That of the data is shown to the user, who may transfer it: its size is
//    compared in the statement before every call, and what has lost its memory is a TypeError.
// 3. Where a datagram lies is a number that was checked against the size of the arena when it was laid down; what the
//    kernel says that it wrote is never taken for more than the room that it was given.
// 4. The kernel shrinks lengths and sets flags in the headers: those used last are set anew before every receive.
// 5. Between the writing of headers and the end of the call none of the caller's code runs.
import { constant } from "./constants.ts";
import { ControlReader, controlSpace, type Sought, sought, writeShort } from "./cmsg_reader.ts";
import { failed } from "./errno.ts";
import { LAYOUT } from "./layout.ts";
import { libc } from "./libc.ts";
import { byteLengthOf, type LibcIo } from "./libc_io.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Messages that one call takes: UIO_MAXIOV. */
export const MESSAGES_MAX = 1024;
/** Room for an address of either family. */
const NAME_ROOM = 32;
/** Room for a datagram of any size, and for any train of them that was merged. */
export const DATAGRAM_MAX = 65_535;
/** What a train may have: above 65,493 bytes it is cut up at once, as a packet of 64 KiB is all that a device takes. */
const TRAIN_MAX = 65_000;

/** An entry of the index: where a datagram begins, its bytes there, its run, and the bytes it had when some were cut off. */
export const ENTRY = 4;

const QUIET = constant("MSG_NOSIGNAL", "linux");
const TRUNC = constant("MSG_TRUNC", "linux");
const CONTROL_TRUNC = constant("MSG_CTRUNC", "linux");
const AF_INET = constant("AF_INET", "linux");
const AF_INET6 = constant("AF_INET6", "linux");

// The places of fields, in words of four bytes: headers are written as such, a view a field would cost more than all else.
const MESSAGE = LAYOUT.mmsghdr.linux.size;
const WORDS = MESSAGE >>> 2;
const { msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags } =
  LAYOUT.msghdr.linux.fields;
const NAME = msg_name[0] >>> 2;
const NAME_LENGTH = msg_namelen[0] >>> 2;
const VECTORS = msg_iov[0] >>> 2;
const VECTOR_COUNT = msg_iovlen[0] >>> 2;
const CONTROL = msg_control[0] >>> 2;
const CONTROL_LENGTH = msg_controllen[0] >>> 2;
const FLAGS = msg_flags[0] >>> 2;
const LENGTH = LAYOUT.mmsghdr.linux.fields.msg_len[0] >>> 2;
const VECTOR = LAYOUT.iovec.linux.size;
const VECTOR_BASE = LAYOUT.iovec.linux.fields.iov_base[0] >>> 2;
const VECTOR_LENGTH = LAYOUT.iovec.linux.fields.iov_len[0] >>> 2;

const INET_SIZE = LAYOUT.sockaddr_in.linux.size;
const INET_ADDRESS = LAYOUT.sockaddr_in.linux.fields.sin_addr[0];
const INET6_ADDRESS = LAYOUT.sockaddr_in6.linux.fields.sin6_addr[0];
const PORT = LAYOUT.sockaddr_in.linux.fields.sin_port[0];

const GRO: Sought = sought("UDP_GRO", 4);
const SEGMENT: Sought = sought("UDP_SEGMENT", 2);
/** What the size of the segments takes beside other control messages. */
const SEGMENT_SPACE = controlSpace(2);
/** For control messages that the user switched on by hand. */
const SPARE = 128;

const DOING = "Cannot use a batch";

/** The address of an arena. It is below 2^53, as user space ends at 2^47 on the processors there are. */
function addressOf(bytes: Bytes): number {
  return Number(libc(DOING).addressOf(bytes));
}

function writePointer(words: Uint32Array, at: number, address: number): void {
  // Modulo 2^32, and the rest.
  words[at] = address >>> 0;
  words[at + 1] = address / 0x1_0000_0000;
}

/** How datagrams are to be received. */
export interface ReceivePlan {
  /** Whether trains come merged. */
  readonly gro: boolean;
  /** Bytes of control messages; 0 for none, as of a socket that was asked for nothing. */
  readonly control: number;
}

/** Of most sockets. */
const PLAIN: ReceivePlan = Object.freeze({ gro: false, control: 0 });

/** What the socket must tell: bytes of control messages by what was asked for, and whether trains come merged. */
export function receivePlan(gro: boolean, control: number): ReceivePlan {
  if (!gro && control === 0) return PLAIN;
  return { gro, control: control + (gro ? controlSpace(4) : 0) + SPARE };
}

/** Where a batch wants its datagrams; the headers that lead there. */
class Slots {
  readonly count: number;
  readonly size: number;
  readonly stride: number;
  readonly control: number;
  readonly bytes: Bytes;
  readonly words: Uint32Array;
  readonly reader: ControlReader;
  /** All of the headers, and no byte more: their count is the length. */
  readonly headers: Bytes;
  readonly namesAt: number;
  readonly controlAt: number;
  /** Headers that the kernel has written to since they were set. */
  used = 0;

  constructor(base: number, count: number, size: number, stride: number, control: number) {
    this.count = count;
    this.size = size;
    this.stride = stride;
    this.control = control;
    const vectorsAt = count * MESSAGE;
    this.namesAt = vectorsAt + count * VECTOR;
    this.controlAt = this.namesAt + count * NAME_ROOM;
    this.bytes = new Uint8Array(this.controlAt + count * control);
    this.words = new Uint32Array(this.bytes.buffer);
    this.headers = this.bytes.subarray(0, vectorsAt);
    this.reader = new ControlReader(this.bytes);
    const own = addressOf(this.bytes);
    const { words } = this;
    for (let i = 0; i < count; i++) {
      const header = i * WORDS;
      const vector = vectorsAt + i * VECTOR;
      writePointer(words, header + NAME, own + this.namesAt + i * NAME_ROOM);
      writePointer(words, header + VECTORS, own + vector);
      words[header + VECTOR_COUNT] = 1;
      if (control > 0) writePointer(words, header + CONTROL, own + this.controlAt + i * control);
      writePointer(words, (vector >>> 2) + VECTOR_BASE, base + i * stride);
      words[(vector >>> 2) + VECTOR_LENGTH] = size;
    }
    this.used = count;
  }

  /** Says again how much room there is. */
  reset(): void {
    const { words, control, used } = this;
    for (let i = 0, at = 0; i < used; i++, at += WORDS) {
      words[at + NAME_LENGTH] = NAME_ROOM;
      words[at + CONTROL_LENGTH] = control;
      words[at + FLAGS] = 0;
    }
  }

  nameLength(slot: number): number {
    return Math.min(this.words[slot * WORDS + NAME_LENGTH]!, NAME_ROOM);
  }

  controlEnd(slot: number): number {
    return this.controlAt + slot * this.control +
      Math.min(this.words[slot * WORDS + CONTROL_LENGTH]!, this.control);
  }

  /** Whether two datagrams came from one address. */
  sameName(one: number, other: number): boolean {
    const { words } = this;
    if (words[one * WORDS + NAME_LENGTH] !== words[other * WORDS + NAME_LENGTH]) return false;
    const a = (this.namesAt + one * NAME_ROOM) >>> 2;
    const b = (this.namesAt + other * NAME_ROOM) >>> 2;
    for (let i = 0, end = words[one * WORDS + NAME_LENGTH]! >>> 2; i < end; i++) {
      if (words[a + i] !== words[b + i]) return false;
    }
    return true;
  }
}

/** What the datagrams of a run share when they are sent. */
export interface Destinations {
  /** The sockaddr of a run; null for the peer of a connected socket. */
  address(run: number): Bytes | null;
  /** Its control messages; null for none. */
  control(run: number): Bytes | null;
  /** How far trains may go there. */
  trains(run: number): Trains;
}

/** How far trains may go. */
export interface Trains {
  /** Datagrams that one may have; 1 for no trains at all. */
  readonly segments: number;
  /** The largest datagram that may be part of one. */
  readonly bytes: number;
}

/** No trains at all. */
export const SINGLE: Trains = Object.freeze({ segments: 1, bytes: 0 });

/** The headers of what is to be sent. */
class Outgoing {
  readonly messages: number;
  readonly vectors: number;
  readonly control: number;
  readonly bytes: Bytes;
  readonly words: Uint32Array;
  readonly view: DataView;
  readonly own: number;
  readonly vectorsAt: number;
  readonly namesAt: number;
  readonly controlAt: number;
  /** The first datagram of each message, and behind the last the end. */
  readonly first: Int32Array;

  constructor(messages: number, control: number) {
    this.messages = messages;
    this.vectors = Math.max(256, 4 * messages);
    this.control = control;
    this.vectorsAt = messages * MESSAGE;
    this.namesAt = this.vectorsAt + this.vectors * VECTOR;
    this.controlAt = this.namesAt + messages * NAME_ROOM;
    this.bytes = new Uint8Array(this.controlAt + messages * control);
    this.words = new Uint32Array(this.bytes.buffer);
    this.view = new DataView(this.bytes.buffer);
    this.own = addressOf(this.bytes);
    this.first = new Int32Array(messages + 1);
    for (let i = 0; i < messages; i++) {
      writePointer(this.words, i * WORDS + CONTROL, this.own + this.controlAt + i * control);
    }
  }
}

/** An arena of data, with the headers of what is received into it and sent from it. */
export class MessageArena {
  /** The data: shown to the user, who may take its memory away. */
  readonly bytes: Bytes;
  readonly byteLength: number;
  /** Its address; asked for when headers are made, as what Deno sends and receives by itself needs none. */
  #base = 0;
  #slots: Slots | null = null;
  #out: Outgoing | null = null;
  /** Messages that are laid out, and the view of their headers. */
  #laid = 0;
  #headers: Bytes | null = null;

  constructor(byteLength: number) {
    this.bytes = new Uint8Array(byteLength);
    this.byteLength = byteLength;
  }

  #address(): number {
    return this.#base ||= addressOf(this.bytes);
  }

  /** Throws when the memory is gone. */
  verify(doing: string): void {
    if (byteLengthOf(this.bytes) === this.byteLength) return;
    throw new TypeError(`${doing}: the memory of the batch was transferred, it must stay where it is`);
  }

  // ---- Receiving ----

  /**
   * recvmmsg(2), now.
   *
   * @param size Room for each datagram; the arena has room for one at least.
   * @param most How many datagrams, at most.
   * @returns How many came; a failure is negative, its errno saved.
   */
  receive(io: LibcIo, fd: number, plan: ReceivePlan, size: number, most: number): number {
    let slots = this.#slots;
    if (slots === null || slots.size !== size || slots.control !== plan.control || slots.count > most) {
      slots = this.#slots = this.#slotsOf(size, most, plan.control);
    }
    slots.reset();
    this.verify(DOING);
    const count = io.recvmmsg(fd, slots.headers, TRUNC);
    slots.used = failed(count) ? 1 : count;
    return count;
  }

  #slotsOf(size: number, most: number, control: number): Slots {
    const count = Math.max(1, Math.min(most, MESSAGES_MAX, Math.floor(this.byteLength / size)));
    // Slots a power of two apart fall on the same lines of the cache: one line more, and they do not, where there is room.
    const rounded = Math.ceil(size / 64) * 64;
    const wide = (rounded & 1023) === 0 ? rounded + 64 : rounded;
    const stride = count === 1 ? size : Math.min(wide, Math.floor((this.byteLength - size) / (count - 1)));
    return new Slots(this.#address(), count, size, stride, control);
  }

  /** Where a message lies. */
  offset(slot: number): number {
    return slot * this.#slots!.stride;
  }

  /** Its true length, of which no more lies there than there was room for. */
  length(slot: number): number {
    return this.#slots!.words[slot * WORDS + LENGTH]!;
  }

  /** Whether its control messages were cut. */
  controlCut(slot: number): boolean {
    return (this.#slots!.words[slot * WORDS + FLAGS]! & CONTROL_TRUNC) !== 0;
  }

  /** The size of the datagrams that it was merged of; 0 for a single one. */
  segmentSize(slot: number): number {
    const slots = this.#slots!;
    const start = slots.controlAt + slot * slots.control;
    const at = slots.reader.find(start, slots.controlEnd(slot), GRO);
    return at < 0 ? 0 : slots.reader.uint(at);
  }

  sameSender(one: number, other: number): boolean {
    return this.#slots!.sameName(one, other);
  }

  /** The bytes in which senders and control messages lie. */
  get reader(): ControlReader {
    return this.#slots!.reader;
  }

  /** Where the sender of a message begins in those bytes, and how long it is. */
  sender(slot: number): number {
    return this.#slots!.namesAt + slot * NAME_ROOM;
  }

  senderLength(slot: number): number {
    return this.#slots!.nameLength(slot);
  }

  /** Where its control messages begin and end. */
  controlStart(slot: number): number {
    return this.#slots!.controlAt + slot * this.#slots!.control;
  }

  controlEnd(slot: number): number {
    return this.#slots!.controlEnd(slot);
  }

  /** Takes over the one message of another arena, from a place on, with its sender and its control messages. */
  takeOver(other: MessageArena, from: number, length: number, size: number): void {
    const source = other.#slots!;
    this.verify(DOING);
    if (this.#slots === null || this.#slots.size !== size || this.#slots.control !== source.control) {
      this.#slots = this.#slotsOf(size, MESSAGES_MAX, source.control);
    }
    const slots = this.#slots;
    this.bytes.set(other.bytes.subarray(from, from + length));
    slots.bytes.set(source.bytes.subarray(source.namesAt, source.namesAt + NAME_ROOM), slots.namesAt);
    slots.bytes.set(source.bytes.subarray(source.controlAt, source.controlAt + source.control), slots.controlAt);
    slots.words[NAME_LENGTH] = source.words[NAME_LENGTH]!;
    slots.words[CONTROL_LENGTH] = source.words[CONTROL_LENGTH]!;
    slots.words[FLAGS] = source.words[FLAGS]!;
    slots.words[LENGTH] = length;
    slots.used = Math.max(slots.used, 1);
  }

  // ---- Sending ----

  /**
   * Lays out the headers of datagrams, as many as one call takes. Neighbours of one run become a train where they may:
   * all of one size, but for the last, which may be shorter.
   *
   * @param index The index: {@linkcode ENTRY} numbers a datagram.
   * @param inet Whether the socket is an IPv4 one, to which IPv4 addresses in IPv6's clothes mean nothing.
   * @param control The most bytes of control messages that a run has.
   * @returns The datagram behind the last that was laid out.
   */
  layOut(
    index: Int32Array,
    start: number,
    end: number,
    to: Destinations,
    inet: boolean,
    control: number,
  ): number {
    const room = control + SEGMENT_SPACE;
    const wanted = Math.min(end - start, MESSAGES_MAX);
    if (this.#out === null || this.#out.messages < wanted || this.#out.control < room) {
      this.#out = new Outgoing(Math.min(MESSAGES_MAX, 2 ** Math.ceil(Math.log2(wanted))), room);
    }
    const out = this.#out;
    const { words, own, first } = out;
    const base = this.#address();
    let message = 0;
    let vector = 0;
    let i = start;
    let run = -2;
    let name: Bytes | null = null;
    let extra: Bytes | null = null;
    let trains = SINGLE;
    while (i < end && message < out.messages && vector < out.vectors) {
      const entry = i * ENTRY;
      const size = index[entry + 1]!;
      if (index[entry + 2] !== run) {
        run = index[entry + 2]!;
        name = to.address(run);
        extra = to.control(run);
        trains = to.trains(run);
      }
      const header = message * WORDS;
      first[message] = i;
      writePointer(words, header + VECTORS, own + out.vectorsAt + vector * VECTOR);
      let at = (out.vectorsAt + vector * VECTOR) >>> 2;
      writePointer(words, at + VECTOR_BASE, base + index[entry]!);
      let behind = index[entry]! + size;
      let held = size;
      let total = size;
      let vectors = 1;
      let count = 1;
      if (size > 0 && size <= trains.bytes) {
        for (let last = size; count < trains.segments && i + count < end && last === size; count++) {
          const next = (i + count) * ENTRY;
          last = index[next + 1]!;
          if (last === 0 || last > size || total + last > TRAIN_MAX || index[next + 2] !== run) break;
          const offset = index[next]!;
          if (offset !== behind) {
            // Elsewhere in the arena: the kernel gathers it.
            if (vector + vectors === out.vectors) break;
            words[at + VECTOR_LENGTH] = held;
            at += VECTOR >>> 2;
            writePointer(words, at + VECTOR_BASE, base + offset);
            held = 0;
            vectors++;
          }
          held += last;
          total += last;
          behind = offset + last;
        }
      }
      words[at + VECTOR_LENGTH] = held;
      words[header + VECTOR_COUNT] = vectors;
      this.#name(out, message, name, inet);
      let length = 0;
      const place = out.controlAt + message * out.control;
      if (extra !== null) {
        out.bytes.set(extra, place);
        length = extra.byteLength;
      }
      if (count > 1) length += writeShort(out.view, place + length, SEGMENT, size);
      words[header + CONTROL_LENGTH] = length;
      vector += vectors;
      message++;
      i += count;
    }
    first[message] = i;
    this.#laid = message;
    if (
      this.#headers === null || this.#headers.buffer !== out.bytes.buffer ||
      this.#headers.byteLength !== message * MESSAGE
    ) {
      this.#headers = out.bytes.subarray(0, message * MESSAGE);
    }
    return i;
  }

  #name(out: Outgoing, message: number, name: Bytes | null, inet: boolean): void {
    const { words, bytes } = out;
    const header = message * WORDS;
    if (name === null) {
      words[header + NAME] = 0;
      words[header + NAME + 1] = 0;
      words[header + NAME_LENGTH] = 0;
      return;
    }
    const at = out.namesAt + message * NAME_ROOM;
    let length = name.byteLength;
    if (inet && length > INET_SIZE && isMapped(name)) {
      // Received by a socket of both families, and sent on by one of IPv4.
      length = INET_SIZE;
      bytes.fill(0, at, at + length);
      bytes[at] = AF_INET;
      bytes[at + PORT] = name[PORT]!;
      bytes[at + PORT + 1] = name[PORT + 1]!;
      for (let i = 0; i < 4; i++) bytes[at + INET_ADDRESS + i] = name[INET6_ADDRESS + 12 + i]!;
    } else {
      for (let i = 0; i < length; i++) bytes[at + i] = name[i]!;
    }
    writePointer(words, header + NAME, out.own + at);
    words[header + NAME_LENGTH] = length;
  }

  /** How many messages are laid out. */
  get laid(): number {
    return this.#laid;
  }

  /** The first datagram of a message that is laid out; of the one behind the last, where the next begins. */
  first(message: number): number {
    return this.#out!.first[message]!;
  }

  /**
   * sendmmsg(2), now, of the messages that are laid out, from one on.
   *
   * @returns How many messages the kernel took; a failure is negative, its errno saved: nothing was taken then.
   */
  send(io: LibcIo, fd: number, from: number): number {
    const headers = from === 0 ? this.#headers! : this.#headers!.subarray(from * MESSAGE);
    this.verify(DOING);
    return io.sendmmsg(fd, headers, QUIET);
  }
}

function isMapped(name: Bytes): boolean {
  if (name[0] !== AF_INET6) return false;
  for (let i = 0; i < 10; i++) if (name[INET6_ADDRESS + i] !== 0) return false;
  return name[INET6_ADDRESS + 10] === 0xff && name[INET6_ADDRESS + 11] === 0xff;
}
