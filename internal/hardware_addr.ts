// Hardware addresses ("02:00:5e:10:00:00"): text to bytes and back.
// Which struct they stand in: sockaddr_families.ts, netif.ts, codec.ts. IP addresses: sockaddr.ts.
import { text } from "./argument.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Every packet of a packet socket has one: looking two digits up is quicker than making them. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Two lower-case digits a byte, colons between. */
export function formatHardware(bytes: Uint8Array): string {
  let result = "";
  for (let i = 0; i < bytes.length; i++) result += (i === 0 ? "" : ":") + HEX[bytes[i]!]!;
  return result;
}

/**
 * The bytes of a hardware address.
 *
 * @param value As the user gave it.
 * @param what The beginning of messages: `address`.
 * @param least How many bytes it has at least.
 * @param most How many at most.
 */
export function parseHardware(value: unknown, what: string, least: number, most: number): Bytes {
  const mustBe = 'a hardware address such as "01:00:5e:00:00:01"';
  const address = text(value, what, mustBe);
  const parts = /^[0-9a-f]{2}(:[0-9a-f]{2})*$/i.test(address) ? address.split(":") : [];
  if (parts.length < least || parts.length > most) {
    const length = least === most ? `${least}` : `${least} to ${most}`;
    throw new SyntaxError(`${what} is ${JSON.stringify(address)}, it must be ${mustBe}, of ${length} bytes`);
  }
  return Uint8Array.from(parts, (part) => parseInt(part, 16));
}
