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
/** To what the end of a message is rounded up. */
const ALIGN = 8;

/** The bytes that a control message with a value of so many takes: CMSG_SPACE. */
export function controlSpace(valueLength: number): number {
  return Math.ceil((HEADER + valueLength) / ALIGN) * ALIGN;
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

/** Places of what is sought, found in one walk; levels and types are small numbers, so a table tells which is which. */
export class SoughtTable {
  readonly #places = new Uint8Array(LEVELS * TYPES);
  readonly #least: readonly number[];

  constructor(wanted: readonly Sought[]) {
    this.#least = wanted.map(({ least }) => least);
    for (const [i, { level, type }] of wanted.entries()) this.#places[level * TYPES + type] = i + 1;
  }

  /**
   * Walks over the control messages from `at` to `end`.
   *
   * @param found Where the value of each begins, in the order in which they were given; negative for what is not there.
   */
  walk(reader: ControlReader, at: number, end: number, found: Int32Array): void {
    for (let i = 0; i < found.length; i++) found[i] = -2;
    while (end - at >= HEADER) {
      const length = reader.uint(at + LENGTH);
      if (length < HEADER || length > end - at) break;
      const level = reader.uint(at + LEVEL);
      const type = reader.uint(at + TYPE);
      const place = level < LEVELS && type < TYPES ? this.#places[level * TYPES + type]! : 0;
      if (place > 0 && length - HEADER >= this.#least[place - 1]!) found[place - 1] = at + HEADER;
      at += (length + ALIGN - 1) & -ALIGN;
    }
  }
}
const LEVELS = 64;
const TYPES = 128;

/** Control messages somewhere in some bytes. Any bytes will do: nothing is read beyond them. */
export class ControlReader {
  readonly bytes: Bytes;
  readonly #view: DataView;

  constructor(bytes: Bytes) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Where the value of a message begins, among those from `at` to `end`; negative when it is not there. */
  find(at: number, end: number, { level, type, least }: Sought): number {
    const view = this.#view;
    while (end - at >= HEADER) {
      const length = view.getUint32(at + LENGTH, true);
      if (length < HEADER || length > end - at) break;
      if (view.getInt32(at + LEVEL, true) === level && view.getInt32(at + TYPE, true) === type) {
        return length - HEADER < least ? -2 : at + HEADER;
      }
      at += (length + ALIGN - 1) & -ALIGN;
    }
    return -2;
  }

  /** One byte: the TOS of IPv4, and the lower end of any small int. */
  byte(at: number): number {
    return this.bytes[at]!;
  }

  uint(at: number): number {
    return this.#view.getUint32(at, true);
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
    return this.#seconds + BigInt(this.uint(at + NANOSECONDS[0]));
  }
  #low = 0;
  #high = 0;
  #seconds = 0n;

  /** The interface of a packet info, of 4 or 16 bytes of address. */
  interfaceIndex(at: number, width: 4 | 16): number {
    return this.#view.getUint32(at + (width === 4 ? INFO.ipi_ifindex : INFO6.ipi6_ifindex)[0], true);
  }

  /** Where the address of a packet info begins: that which the datagram was sent to. */
  address(at: number, width: 4 | 16): number {
    return at + (width === 4 ? INFO.ipi_addr : INFO6.ipi6_addr)[0];
  }
}
