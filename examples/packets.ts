// Packets in words, as tcpdump -e -n has them: Ethernet, ARP, IPv4, IPv6, TCP, UDP, ICMP. What ends early is said to.
// Where the packets come from: sniff.ts.
import { formatIpAddress } from "@berkeley/sockets/socket";

const ETHERNET = 14;
const ETHERTYPES: ReadonlyMap<number, string> = new Map([[0x0800, "IPv4"], [0x0806, "ARP"], [0x86dd, "IPv6"]]);
/** Headers of IPv6 that stand between it and what it carries. */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 44, 60]);
const FRAGMENT = 44;
const TCP_FLAGS = [[2, "S"], [1, "F"], [4, "R"], [8, "P"], [16, "."]] as const;

/** Big-endian numbers of a packet; it throws where there are none. */
class Reader {
  readonly #view: DataView<ArrayBufferLike>;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(at: number): number {
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    return this.#view.getUint16(at);
  }

  u32(at: number): number {
    return this.#view.getUint32(at);
  }

  ip(at: number, length: number): string {
    return formatIpAddress(this.bytes.subarray(at, at + length));
  }

  hardware(at: number): string {
    return this.bytes.subarray(at, at + 6).toHex().replace(/(..)(?!$)/g, "$1:");
  }

  /** What follows, at most so many bytes of it. */
  from(at: number, end?: number): Reader {
    return new Reader(this.bytes.subarray(at, end));
  }
}

/**
 * An Ethernet frame in a line.
 *
 * @param frame Its bytes, or the first of them.
 * @param byteLength How many it had.
 */
export function frameText(frame: Uint8Array, byteLength: number): string {
  const reader = new Reader(frame);
  let text = "";
  try {
    const type = reader.u16(12);
    const number = `0x${type.toString(16).padStart(4, "0")}`;
    const name = ETHERTYPES.get(type);
    text = `${reader.hardware(6)} > ${reader.hardware(0)}, ethertype ${name ?? "Unknown"} (${number}), ` +
      `length ${byteLength}`;
    if (name !== undefined) text += `: ${payloadText(type, reader.from(ETHERNET))}`;
    return text;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return text === "" ? `a frame that ends after ${frame.byteLength} bytes` : `${text}: it ends early`;
  }
}

function payloadText(type: number, packet: Reader): string {
  return type === 0x0806 ? arpText(packet) : type === 0x0800 ? ipv4Text(packet) : ipv6Text(packet);
}

function arpText(packet: Reader): string {
  const length = `length ${packet.bytes.byteLength}`;
  const operation = packet.u16(6);
  const [sender, target] = [packet.ip(14, 4), packet.ip(24, 4)];
  if (operation === 1) return `Request who-has ${target} tell ${sender}, ${length}`;
  if (operation === 2) return `Reply ${sender} is-at ${packet.hardware(8)}, ${length}`;
  return `operation ${operation}, ${length}`;
}

function ipv4Text(packet: Reader): string {
  const header = (packet.u8(0) & 0xf) * 4;
  // A frame may be longer than its packet, as a short one is filled up; 0 is a packet too long for the field.
  const total = packet.u16(2) || packet.bytes.byteLength;
  const [from, to] = [packet.ip(12, 4), packet.ip(16, 4)];
  const offset = (packet.u16(6) & 0x1fff) * 8;
  if (offset > 0) return `${from} > ${to}: fragment at ${offset}, length ${total - header}`;
  return carriedText(packet.u8(9), from, to, packet.from(header, total), total - header);
}

function ipv6Text(packet: Reader): string {
  let protocol = packet.u8(6);
  let at = 40;
  const total = packet.u16(4) === 0 ? packet.bytes.byteLength : at + packet.u16(4);
  const [from, to] = [packet.ip(8, 16), packet.ip(24, 16)];
  while (EXTENSIONS.has(protocol)) {
    const offset = protocol === FRAGMENT ? packet.u16(at + 2) & 0xfff8 : 0;
    const length = protocol === FRAGMENT ? 8 : (packet.u8(at + 1) + 1) * 8;
    protocol = packet.u8(at);
    at += length;
    if (offset > 0) return `${from} > ${to}: fragment at ${offset}, length ${total - at}`;
  }
  return carriedText(protocol, from, to, packet.from(at, total), total - at);
}

/** What IP carries, and how long it is. */
function carriedText(protocol: number, from: string, to: string, packet: Reader, length: number): string {
  const ports = () => `${from}.${packet.u16(0)} > ${to}.${packet.u16(2)}`;
  switch (protocol) {
    case 1:
      return `${from} > ${to}: ICMP ${icmpText(packet)}, length ${length}`;
    case 6:
      return `${ports()}: ${tcpText(packet, length)}`;
    case 17:
      return `${ports()}: UDP, length ${packet.u16(4) - 8}`;
    case 58:
      return `${from} > ${to}: ICMP6, ${icmp6Text(packet)}, length ${length}`;
    default:
      return `${from} > ${to}: protocol ${protocol}, length ${length}`;
  }
}

function tcpText(segment: Reader, byteLength: number): string {
  const bits = segment.u8(13);
  const names = TCP_FLAGS.map(([bit, name]) => (bits & bit) === 0 ? "" : name).join("");
  const length = byteLength - (segment.u8(12) >> 4) * 4;
  const sequence = segment.u32(4);
  const parts = [`Flags [${names || "none"}]`];
  // One that only acknowledges says nothing of its own number.
  if (length > 0) parts.push(`seq ${sequence}:${sequence + length >>> 0}`);
  else if ((bits & 7) !== 0) parts.push(`seq ${sequence}`);
  if ((bits & 16) !== 0) parts.push(`ack ${segment.u32(8)}`);
  parts.push(`win ${segment.u16(14)}`, `length ${length}`);
  return parts.join(", ");
}

/** The identifier and the number of an echo. */
function echoText(message: Reader): string {
  return `id ${message.u16(4)}, seq ${message.u16(6)}`;
}

function icmpText(message: Reader): string {
  const [type, code] = [message.u8(0), message.u8(1)];
  // What an error is about: the header of a packet from here.
  const about = message.from(8);
  const to = () => about.ip(16, 4);
  if (type === 8) return `echo request, ${echoText(message)}`;
  if (type === 0) return `echo reply, ${echoText(message)}`;
  if (type === 11 && code === 0) return "time exceeded in-transit";
  if (type === 3 && code === 0) return `net ${to()} unreachable`;
  if (type === 3 && code === 1) return `host ${to()} unreachable`;
  if (type === 3 && code === 3) {
    const port = about.u16((about.u8(0) & 0xf) * 4 + 2);
    const name = about.u8(9) === 17 ? "udp" : about.u8(9) === 6 ? "tcp" : `protocol ${about.u8(9)}`;
    return `${to()} ${name} port ${port} unreachable`;
  }
  return `type ${type}, code ${code}`;
}

function icmp6Text(message: Reader): string {
  const [type, code] = [message.u8(0), message.u8(1)];
  switch (type) {
    case 1:
      return `destination unreachable, code ${code}, ${message.ip(32, 16)}`;
    case 3:
      return `time exceeded, code ${code}, ${message.ip(32, 16)}`;
    case 128:
      return `echo request, ${echoText(message)}`;
    case 129:
      return `echo reply, ${echoText(message)}`;
    case 135:
      return `neighbor solicitation, who has ${message.ip(8, 16)}`;
    case 136:
      return `neighbor advertisement, tgt is ${message.ip(8, 16)}`;
    default:
      return `type ${type}, code ${code}`;
  }
}
