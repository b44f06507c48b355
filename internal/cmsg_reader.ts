// Reads single values out of received control messages where they lie, for datagrams that come by the million.
// All of them, as people have them: cmsg.ts. Their numbers: cmsg_table.ts.
import { CMSG, type CmsgName } from "./cmsg_table.ts";
import { constant } from "./constants.ts";
import { LAYOUT } from "./layout.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A control message that is looked for, by its numbers on Linux. */
export interface Sought {
  readonly level: number;
  readonly type: number;
  /** The least that its value must have; what is shorter is not found. */
  readonly least: number;
}

/** What to look for. */
export function sought(name: CmsgName, least: number): Sought {
  return { level: constant(CMSG[name][0], "linux"), type: CMSG[name][1], least };
}

const { size: HEADER, fields: FIELDS } = LAYOUT.cmsghdr.linux;
const LENGTH = FIELDS.cmsg_len[0];
const LEVEL = FIELDS.cmsg_level[0];
const TYPE = FIELDS.cmsg_type[0];
const LENGTH_WORD = LENGTH >>> 2;
const LEVEL_WORD = LEVEL >>> 2;
const TYPE_WORD = TYPE >>> 2;
/** To what the end of a message is rounded up. */
const ALIGN = 8;

function aligned(length: number): number {
  return (length + ALIGN - 1) & -ALIGN;
}

/** The bytes that a control message with a value of so many takes: CMSG_SPACE. */
export function controlSpace(valueLength: number): number {
  return aligned(HEADER + valueLength);
}

/** Writes a control message with a value of two bytes; the bytes that it takes. */
export function writeShort(view: DataView, at: number, { level, type }: Sought, value: number): number {
  view.setUint32(at + LENGTH, HEADER + 2, true);
  // The upper half of the length: what was there before may have been something else.
  view.setUint32(at + LENGTH + 4, 0, true);
  view.setInt32(at + LEVEL, level, true);
  view.setInt32(at + TYPE, type, true);
  view.setUint16(at + HEADER, value, true);
  return controlSpace(2);
}

const { tv_sec: SECONDS, tv_nsec: NANOSECONDS } = LAYOUT.timespec.linux.fields;
/** Where the address of a packet info begins, behind the interface in IPv4's. */
const INFO = LAYOUT.in_pktinfo.linux.fields;
const INFO6 = LAYOUT.in6_pktinfo.linux.fields;

/** What is sought, by level and type: both are small numbers, so a table tells which is which. */
export class SoughtTable {
  readonly places: Uint8Array = new Uint8Array(LEVELS * TYPES);
  readonly least: readonly number[];

  constructor(wanted: readonly Sought[]) {
    this.least = wanted.map(({ least }) => least);
    for (const [i, { level, type }] of wanted.entries()) this.places[level * TYPES + type] = i + 1;
  }
}
const LEVELS = 64;
const TYPES = 128;

/**
 * Finds the control messages of one datagram after the other. Nearly all of a socket have the same messages in the same
 * order, so the headers are first compared with those of the last one, which is quicker than to take them apart.
 */
export class ControlFinder {
  readonly #reader: ControlReader;
  readonly #table: SoughtTable;
  /** Where the value of each begins, counted from the start; negative for what is not there. */
  readonly #found: Int32Array;
  /** Length, level and type of each message, and the bytes of all. */
  readonly #headers: Uint32Array = new Uint32Array(3 * KNOWN);
  #count = 0;
  #length = -1;
  #start = 0;

  constructor(reader: ControlReader, table: SoughtTable) {
    this.#reader = reader;
    this.#table = table;
    this.#found = new Int32Array(table.least.length);
  }

  /** Turns to the datagram whose control messages lie from `start`, a multiple of 8, to `end`. */
  turnTo(start: number, end: number): void {
    this.#start = start;
    if (end - start !== this.#length || !this.#same(start)) this.#walk(start, end);
  }

  /** Where the value of what is sought begins; negative when it is not there. */
  at(place: number): number {
    const found = this.#found[place]!;
    return found < 0 ? found : this.#start + found;
  }

  #same(at: number): boolean {
    const { words } = this.#reader;
    const headers = this.#headers;
    for (let i = 0, end = 3 * this.#count; i < end; i += 3) {
      const word = at >>> 2;
      const length = headers[i]!;
      if (
        words[word + LENGTH_WORD] !== length || words[word + LEVEL_WORD] !== headers[i + 1] ||
        words[word + TYPE_WORD] !== headers[i + 2]
      ) return false;
      at += aligned(length);
    }
    return true;
  }

  #walk(start: number, end: number): void {
    const { words } = this.#reader;
    const { places, least } = this.#table;
    const headers = this.#headers;
    const found = this.#found.fill(-1);
    let count = 0;
    let at = start;
    for (; end - at >= HEADER; count++) {
      const word = at >>> 2;
      const length = words[word + LENGTH_WORD]!;
      if (length < HEADER || length > end - at) break;
      const level = words[word + LEVEL_WORD]!;
      const type = words[word + TYPE_WORD]!;
      const place = level < LEVELS && type < TYPES ? places[level * TYPES + type]! : 0;
      if (place > 0 && length - HEADER >= least[place - 1]!) found[place - 1] = at + HEADER - start;
      if (count < KNOWN) {
        headers[count * 3] = length;
        headers[count * 3 + 1] = level;
        headers[count * 3 + 2] = type;
      }
      at += aligned(length);
    }
    // Only what was understood to its end is compared with.
    this.#length = count <= KNOWN && at >= end ? end - start : -1;
    this.#count = count;
  }
}
/** Messages of a datagram that are remembered: there are fewer fields. */
const KNOWN = 8;

/** Control messages somewhere in some bytes, which begin with their buffer. Any bytes will do: nothing is read beyond them. */
export class ControlReader {
  readonly bytes: Bytes;
  /** The same in words: messages are aligned, and a DataView takes longer. */
  readonly words: Uint32Array;
  readonly #longs: BigUint64Array;

  constructor(bytes: Bytes) {
    this.bytes = bytes;
    this.words = new Uint32Array(bytes.buffer, 0, bytes.byteLength >>> 2);
    this.#longs = new BigUint64Array(bytes.buffer, 0, bytes.byteLength >>> 3);
  }

  /** Where the value of a message begins, among those from `at`, a multiple of 8, to `end`; negative when it is not there. */
  find(at: number, end: number, { level, type, least }: Sought): number {
    const { words } = this;
    while (end - at >= HEADER) {
      const word = at >>> 2;
      const length = words[word + LENGTH_WORD]!;
      if (length < HEADER || length > end - at) break;
      if (words[word + LEVEL_WORD] === level && words[word + TYPE_WORD] === type) {
        return length - HEADER < least ? -2 : at + HEADER;
      }
      at += aligned(length);
    }
    return -2;
  }

  /** One byte: the TOS of IPv4, and the lower end of any small int. */
  byte(at: number): number {
    return this.bytes[at]!;
  }

  uint(at: number): number {
    return this.words[at >>> 2]!;
  }

  /** A timespec, in nanoseconds. */
  nanoseconds(at: number): bigint {
    const low = this.uint(at + SECONDS[0]);
    const high = this.uint(at + SECONDS[0] + 4);
    // Arithmetic of BigInts allocates, and seconds are many datagrams long.
    if (low !== this.#low || high !== this.#high) {
      this.#low = low;
      this.#high = high;
      this.#seconds = (BigInt(high) << 32n | BigInt(low)) * 1_000_000_000n;
    }
    // So that it is added as a machine word, and made a BigInt once.
    return BigInt.asUintN(64, this.#seconds + this.#longs[(at + NANOSECONDS[0]) >>> 3]!);
  }
  #low = 0;
  #high = 0;
  #seconds = 0n;

  /** The interface of a packet info, of 4 or 16 bytes of address. */
  interfaceIndex(at: number, width: 4 | 16): number {
    return this.uint(at + (width === 4 ? INFO.ipi_ifindex : INFO6.ipi6_ifindex)[0]);
  }

  /** Where the address of a packet info begins: that which the datagram was sent to. */
  address(at: number, width: 4 | 16): number {
    return at + (width === 4 ? INFO.ipi_addr : INFO6.ipi6_addr)[0];
  }
}
