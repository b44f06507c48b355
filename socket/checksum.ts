// The checksum of IP, ICMP, UDP and TCP, for packets that a program makes itself.
// The sockets that send such: socket.ts. Filters that look at packets: filter.ts.
import { shown } from "../internal/argument.ts";

/** So many 16-bit words add up to less than 2 ** 31, which the engine keeps in a register. */
const WORDS_AT_ONCE = 0x7fff;

/**
 * The Internet checksum of some bytes: RFC 1071.
 *
 * The parts count as one run of bytes, in order, also where one of odd length stands in the midst; so a pseudo header, a
 * header and a payload need not be copied together. A last odd byte counts as if a zero followed.
 *
 * The result is the number to write big-endian into the field, which must be zero while the sum is taken. Over data whose
 * field is filled in, the result is 0 when it is right.
 *
 * UDP over IPv4 has no checksum when the field is 0: a sum that comes out as 0 is sent as 0xffff there (RFC 768).
 *
 * Works on every system and without permissions. The parts are only read.
 *
 * @param parts The bytes.
 * @returns 0 to 0xffff.
 * @throws {TypeError} A part is no `Uint8Array`.
 *
 * @example An ICMP echo request
 * ```ts
 * import { internetChecksum } from "@berkeley/sockets/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const header = new Uint8Array([8, 0, 0, 0, 0x12, 0x34, 0, 1]); // type, code, checksum, identifier, sequence number
 * const payload = new TextEncoder().encode("hello");
 * const sum = internetChecksum(header, payload);
 * header[2] = sum >> 8;
 * header[3] = sum & 0xff;
 *
 * assertEquals(sum, 0xa1f8);
 * assertEquals(internetChecksum(header, payload), 0);
 * ```
 */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  let odd = false;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (!(part instanceof Uint8Array)) {
      throw new TypeError(`Cannot take a checksum: part ${i} is ${shown(part)}, it must be a Uint8Array`);
    }
    const own = wordsOf(part);
    // After an odd byte each byte stands in the other half of its word, and so does the sum of them.
    sum += odd ? (own & 0xff) << 8 | own >> 8 : own;
    odd = odd !== (part.length % 2 === 1);
  }
  return ~folded(sum) & 0xffff;
}

/** The sum of the 16-bit words of a part, with the carries added in. */
function wordsOf(part: Uint8Array): number {
  const { length } = part;
  let total = 0;
  for (let from = 0; from < length; from += 2 * WORDS_AT_ONCE) {
    const end = Math.min(from + 2 * WORDS_AT_ONCE, length);
    let sum = 0;
    let i = from;
    for (; i + 1 < end; i += 2) sum += part[i]! << 8 | part[i + 1]!;
    if (i < end) sum += part[i]! << 8;
    total += sum;
  }
  return folded(total);
}

/** Adds the carries to the 16 bits they left, till none is left. */
function folded(sum: number): number {
  let rest = sum;
  while (rest > 0xffff) rest = rest % 0x10000 + Math.floor(rest / 0x10000);
  return rest;
}
