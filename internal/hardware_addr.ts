// Hardware addresses ("02:00:5e:10:00:00"): text to bytes and back.
// Which struct they stand in: sockaddr_families.ts, netif.ts, codec.ts. IP addresses: sockaddr.ts.
import { shown, text } from "./argument.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The digits of the bytes seen so far. Every packet of a packet socket has an address: looking them up is quicker. */
const digits: string[] = [];

/** Two lower-case digits a byte, colons between. */
export function formatHardware(bytes: Uint8Array): string {
  let result = "";
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    result += (i === 0 ? "" : ":") + (digits[byte] ??= byte.toString(16).padStart(2, "0"));
  }
  return result;
}

/** The value of a hexadecimal digit, -1 for what is none. */
export function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

const COLON = 0x3a;
/** The longest there is: that of InfiniBand has 20 bytes. */
export const HARDWARE_MAX = 32;
const room = new Uint8Array(HARDWARE_MAX);

/**
 * The bytes of a hardware address.
 *
 * @param value As the user gave it.
 * @param what The beginning of messages: `address`.
 * @param least How many bytes it has at least.
 * @param most How many at most, no more than {@linkcode HARDWARE_MAX}.
 */
export function parseHardware(value: unknown, what: string, least: number, most: number): Bytes {
  const mustBe = 'a hardware address such as "01:00:5e:00:00:01"';
  const address = text(value, what, mustBe);
  const length = (address.length + 1) / 3;
  let good = Number.isInteger(length) && length >= least && length <= most;
  for (let i = 0; good && i < length; i++) {
    const high = hexDigit(address.charCodeAt(3 * i));
    const low = hexDigit(address.charCodeAt(3 * i + 1));
    good = high >= 0 && low >= 0 && (i === length - 1 || address.charCodeAt(3 * i + 2) === COLON);
    room[i] = high << 4 | low;
  }
  if (good) return room.slice(0, length);
  const bytes = least === most ? `${least}` : `${least} to ${most}`;
  throw new SyntaxError(`${what} is ${shown(address)}, it must be ${mustBe}, of ${bytes} bytes`);
}
