// Control messages, which go beside the data of sendmsg and recvmsg: as people have them, to struct cmsghdr and back.
// Their numbers: cmsg_table.ts. The message around them: msghdr.ts. Options of the same names: codec.ts.
import { integer, object, prefixed, shown, text } from "./argument.ts";
import { CMSG, type CmsgName, type CmsgRow, type ControlCodec, NAME_ON, type ReadBy } from "./cmsg_table.ts";
import { constant, type ConstantName } from "./constants.ts";
import { DESCRIPTOR, type HasDescriptor } from "./descriptor.ts";
import { errnoName } from "./errno.ts";
import { LAYOUT } from "./layout.ts";
import { interfaceIndexOf } from "./netif.ts";
import { column, type OperatingSystem, OS, OS_NAME } from "./os.ts";
import { formatIp, type InetAddress, parseIp, readSockaddr } from "./sockaddr.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** An error that the kernel queued for a socket with `IP_RECVERR` or `IPV6_RECVERR` on: what `receiveMessage({ errorQueue: true })` gives. */
export interface QueuedError {
  /** The C name of the error, such as "ECONNREFUSED"; "" for a report that is no error (of zero-copy sending). */
  readonly code: string;
  /** Who reported: this machine, a host or router by ICMP, or the kernel about a timestamp, a zero-copy send, a late one. */
  readonly origin: "local" | "icmp" | "icmp6" | "timestamp" | "zerocopy" | "txtime";
  /** Type of the ICMP message; 0 for other origins. */
  readonly type: number;
  /** Code of the ICMP message; other origins have uses of their own for it. */
  readonly icmpCode: number;
  /** The extra value of the report: the path's MTU for EMSGSIZE, the first notification for zero-copy. */
  readonly info: number;
  /** The router or host that complained, with port 0; null when nobody is named. */
  readonly offender: InetAddress | null;
}

/** A received descriptor, as far as this room knows it: the room above makes a socket of it, too. */
export interface ReceivedDescriptor extends Disposable {
  /** Its number. */
  readonly fd: number;
  /** Gives up ownership. */
  detach(): number;
  /** Closes it. */
  close(): void;
}

/**
 * A control message, by its C name. What a kernel ignores on a socket is refused there when it is sent. What each one says
 * is told where people see them, socket/message.ts.
 */
export type ControlMessage<Owned extends ReceivedDescriptor = ReceivedDescriptor> =
  | { readonly name: "IP_PKTINFO" | "IPV6_PKTINFO"; readonly hostname: string; readonly interfaceIndex: number }
  | {
    readonly name:
      | "IP_TTL"
      | "IPV6_HOPLIMIT"
      | "IP_TOS"
      | "IPV6_TCLASS"
      | "SO_RXQ_OVFL"
      | "UDP_GRO"
      | "UDP_SEGMENT"
      | "SO_MARK";
    readonly value: number;
  }
  | { readonly name: "SCM_TIMESTAMPNS" | "SCM_TXTIME"; readonly nanoseconds: bigint }
  | { readonly name: "SCM_RIGHTS"; readonly descriptors: readonly (Owned | HasDescriptor | number)[] }
  | { readonly name: "SCM_CREDENTIALS"; readonly pid: number; readonly uid: number; readonly gid: number }
  | { readonly name: "IP_RECVERR" | "IPV6_RECVERR"; readonly error: QueuedError }
  | { readonly name: "other"; readonly level: number; readonly type: number; readonly data: Bytes };

/** What is known of the socket that is to send, beyond its family; a `Socket` will do. What is left out is not judged. */
export interface Sender {
  /** "stream", "dgram", "raw", "seqpacket". */
  readonly type?: string;
  /** Protocol number. */
  readonly protocol?: number;
  /** Of an inet6 socket: whether the peer of this message is an IPv4 one (::ffff:0:0/96). */
  readonly mapped?: boolean;
}

/** The most bytes of control messages that one call takes, either way; a kernel takes far less (net.core.optmem_max). */
export const CONTROL_MAX: number = 2 ** 20;

const MAX_INT = 2 ** 31 - 1;
const MAX_UINT = 2 ** 32 - 1;
/** SCM_MAX_FD of Linux. */
const MAX_DESCRIPTORS = 253;

/** Where the data of a message begin, and to what its end is rounded up: to the width of its length field. */
function framing(os: OperatingSystem): { readonly header: number; readonly align: number } {
  const { size, fields } = LAYOUT.cmsghdr[os];
  return { header: size, align: fields.cmsg_len[1] === "u64" ? 8 : 4 };
}

function viewOf(bytes: Bytes): DataView<ArrayBuffer> {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function system(): OperatingSystem {
  column();
  return OS!;
}

// ---- To bytes ----

/**
 * The bytes of control messages, empty for none.
 *
 * @param messages The messages.
 * @param family The family of the socket: "inet", "inet6", "unix", "packet", "netlink", ...
 * @param doing The beginning of messages: `Cannot send a message`.
 * @param sender What else is known of the socket.
 * @param os Whose layout.
 */
export function encodeControl(
  messages: readonly ControlMessage[],
  family: string,
  doing: string,
  sender: Sender = {},
  os: OperatingSystem = system(),
): Bytes {
  try {
    if (!Array.isArray(messages)) {
      throw new TypeError(`control is ${shown(messages)}, it must be an array of control messages`);
    }
    const { header, align } = framing(os);
    const parts: (readonly [level: number, type: number, data: Bytes])[] = [];
    let total = 0;
    // The messages are the caller's: whatever is read of them is read once, before anything is laid out.
    for (let i = 0; i < messages.length; i++) {
      const message = object(messages[i], `control message ${i}`, "an object with the name of one");
      const part = encodeOne(message, family, sender, os);
      total += Math.ceil((header + part[2].byteLength) / align) * align;
      if (total > CONTROL_MAX) {
        throw new RangeError(`the control messages have ${total} bytes and more, there must be at most ${CONTROL_MAX}`);
      }
      parts.push(part);
    }
    const result = new Uint8Array(total);
    const view = viewOf(result);
    const { fields } = LAYOUT.cmsghdr[os];
    let at = 0;
    for (const [level, type, data] of parts) {
      // Little-endian, and below 2^32: the upper half of a wider length is zero.
      view.setUint32(at + fields.cmsg_len[0], header + data.byteLength, true);
      view.setInt32(at + fields.cmsg_level[0], level, true);
      view.setInt32(at + fields.cmsg_type[0], type, true);
      result.set(data, at + header);
      at += Math.ceil((header + data.byteLength) / align) * align;
    }
    return result;
  } catch (error) {
    if (error instanceof Deno.errors.NotSupported) {
      throw new Deno.errors.NotSupported(`${doing}: ${error.message}`, { cause: error });
    }
    throw prefixed(error, doing);
  }
}

function encodeOne(
  message: Record<string, unknown>,
  family: string,
  sender: Sender,
  os: OperatingSystem,
): readonly [level: number, type: number, data: Bytes] {
  const name = message.name;
  if (name === "other") {
    const { level, type, data } = message;
    if (!(data instanceof Uint8Array)) throw new TypeError(`data is ${shown(data)}, it must be a Uint8Array`);
    // A copy without the class of the value: a subclass might say another length than it has.
    return [integer(level, "level", -MAX_INT - 1, MAX_INT), integer(type, "type", -MAX_INT - 1, MAX_INT), copy(data)];
  }
  if (typeof name !== "string" || !Object.hasOwn(CMSG, name)) {
    const names = Object.entries(CMSG).filter(([, row]) => row[5] !== "none").map(([one]) => one);
    throw new TypeError(
      `the name of a control message is ${shown(name)}, it must be one of ${names.join(", ")}, other`,
    );
  }
  const row: CmsgRow = CMSG[name as CmsgName];
  const [level, , , , codec, readBy] = row;
  if (readBy === "none") throw new TypeError(`${name} is only received, it cannot be sent`);
  const type = row[TYPE_AT[os]];
  if (type === null || NAME_ON[name as CmsgName]?.[os] !== undefined) {
    throw new Deno.errors.NotSupported(`${name} cannot be sent on ${OS_NAME}`);
  }
  const reason = ignored(name as CmsgName, readBy, family, sender);
  if (reason !== null) throw new TypeError(`${name} is ignored ${reason}`);
  return [constant(level, os), type, ENCODE[codec](message, name, os)];
}

const TYPE_AT: Readonly<Record<OperatingSystem, 1 | 2 | 3>> = { linux: 1, darwin: 2, windows: 3 };

function copy(data: Uint8Array): Bytes {
  return new Uint8Array(data);
}

/** Where the kernel would take the message and do nothing; null where it does something, or that is not known. */
function ignored(name: CmsgName, readBy: ReadBy, family: string, { type, protocol, mapped }: Sender): string | null {
  const ip = family === "inet" || family === "inet6";
  switch (readBy) {
    case "unix":
      return family === "unix" ? null : `on ${family} sockets: unix sockets alone pass descriptors`;
    case "unixOrNetlink":
      return family === "unix" || family === "netlink" ? null : `on ${family} sockets: it is for unix and netlink ones`;
    case "udp": {
      const udp = type !== "stream" &&
        (protocol === undefined || protocol === constant("IPPROTO_UDP", "linux") ||
          protocol === constant("IPPROTO_UDPLITE", "linux"));
      return ip && udp ? null : "on this socket: UDP sockets alone cut into segments";
    }
  }
  if (!ip && !(readBy === "ipOrPacket" && family === "packet")) return `on ${family} sockets`;
  if (type === "stream") return "on streams: they have an option for all they send, if at all";
  // The address may be an IPv4 one in IPv6's clothes, the rest of IPv6's are not for it.
  if (readBy === "ipv6" && family === "inet") return "on inet sockets";
  if (readBy === "ipv6" && mapped === true && name !== "IPV6_PKTINFO") return "when it goes to an IPv4 peer";
  if (readBy === "ipv4" && family === "inet6" && mapped === false) return "when it goes to an IPv6 peer";
  return null;
}

type Encode = (message: Record<string, unknown>, name: string, os: OperatingSystem) => Bytes;

function int(value: number): Bytes {
  const result = new Uint8Array(4);
  viewOf(result).setUint32(0, value, true);
  return result;
}

function never(_message: Record<string, unknown>, name: string): never {
  throw new TypeError(`${name} is only received, it cannot be sent`);
}

const ENCODE: Readonly<Record<ControlCodec, Encode>> = {
  packetInfo: (message, name, os) => encodePacketInfo(message, name, 4, os),
  packetInfo6: (message, name, os) => encodePacketInfo(message, name, 16, os),
  byte: (message, name) => int(integer(message.value, `the value of ${name}`, 0, 255)),
  uint: (message, name) => int(integer(message.value, `the value of ${name}`, 0, MAX_UINT)),
  segment(message, name) {
    const result = new Uint8Array(2);
    viewOf(result).setUint16(0, integer(message.value, `the value of ${name}`, 0, 65535), true);
    return result;
  },
  nanoseconds(message, name) {
    const { nanoseconds } = message;
    const mustBe = "it must be a BigInt from 0n to 2n ** 64n - 1n";
    if (typeof nanoseconds !== "bigint") {
      throw new TypeError(`nanoseconds of ${name} is ${shown(nanoseconds)}, ${mustBe}`);
    }
    if (nanoseconds !== BigInt.asUintN(64, nanoseconds)) {
      throw new RangeError(`nanoseconds of ${name} is ${nanoseconds}n, ${mustBe}`);
    }
    const result = new Uint8Array(8);
    viewOf(result).setBigUint64(0, nanoseconds, true);
    return result;
  },
  descriptors(message, name) {
    const { descriptors } = message;
    if (!Array.isArray(descriptors)) {
      throw new TypeError(
        `descriptors of ${name} is ${shown(descriptors)}, it must be an array of descriptors or sockets`,
      );
    }
    const count = descriptors.length;
    // With none at all the kernel would say nothing.
    if (count < 1 || count > MAX_DESCRIPTORS) {
      throw new RangeError(`${name} has ${count} descriptors, it must have 1 to ${MAX_DESCRIPTORS}`);
    }
    const result = new Uint8Array(4 * count);
    const view = viewOf(result);
    for (let i = 0; i < count; i++) view.setInt32(4 * i, numberOf(descriptors[i], `descriptor ${i} of ${name}`), true);
    return result;
  },
  credentials(message, name) {
    const { size, fields } = LAYOUT.ucred.linux;
    const result = new Uint8Array(size);
    const view = viewOf(result);
    view.setInt32(fields.pid[0], integer(message.pid, `pid of ${name}`, 0, MAX_INT), true);
    view.setUint32(fields.uid[0], integer(message.uid, `uid of ${name}`, 0, MAX_UINT), true);
    view.setUint32(fields.gid[0], integer(message.gid, `gid of ${name}`, 0, MAX_UINT), true);
    return result;
  },
  timespec: never,
  timeval: never,
  queuedError: never,
};

/** The number of a descriptor, of one received, or of a socket. */
function numberOf(value: unknown, what: string): number {
  if (typeof value === "number") return integer(value, what, 0, MAX_INT);
  const owner = object(value, what, "a number, a received descriptor or a socket");
  const fd = DESCRIPTOR in owner ? (owner as unknown as HasDescriptor)[DESCRIPTOR] : owner.fd;
  return integer(fd, what, 0, MAX_INT);
}

function encodePacketInfo(message: Record<string, unknown>, name: string, length: 4 | 16, os: OperatingSystem): Bytes {
  const hostname = text(message.hostname, `hostname of ${name}`, "a literal IP address");
  const ip = parseIp(hostname);
  if (ip === null) {
    throw new SyntaxError(`hostname of ${name} is ${shown(hostname)}, it must be a literal IP address`);
  }
  if (ip.bytes.length !== length) {
    const wanted = length === 4 ? "IPv4" : "IPv6";
    throw new TypeError(`hostname of ${name} is ${shown(hostname)}, it must be an ${wanted} address`);
  }
  let index = integer(message.interfaceIndex, `interfaceIndex of ${name}`, 0, MAX_INT);
  if (ip.zone !== null) {
    const zone = interfaceIndexOf(/^[0-9]+$/.test(ip.zone) ? Number(ip.zone) : ip.zone, `the zone of ${name}`);
    if (index !== 0 && index !== zone) {
      throw new RangeError(`interfaceIndex of ${name} is ${index}, it must be ${zone}, the zone of ${shown(hostname)}`);
    }
    index = zone;
  }
  if (length === 16) {
    const { size, fields } = LAYOUT.in6_pktinfo[os];
    const result = new Uint8Array(size);
    result.set(ip.bytes, fields.ipi6_addr[0]);
    viewOf(result).setUint32(fields.ipi6_ifindex[0], index, true);
    return result;
  }
  const { size, fields } = LAYOUT.in_pktinfo[os];
  const result = new Uint8Array(size);
  result.set(ip.bytes, ("ipi_spec_dst" in fields ? fields.ipi_spec_dst : fields.ipi_addr)[0]);
  viewOf(result).setUint32(fields.ipi_ifindex[0], index, true);
  return result;
}

// ---- And back ----

interface Known {
  readonly name: CmsgName;
  readonly codec: ControlCodec;
}

/** The rows of a system by level and type. */
const known = new Map<OperatingSystem, Map<number, Known>>();

/** Levels and types are ints: no two pairs of the table make the same number, and no other pair one of the table's. */
function keyOf(level: number, type: number): number {
  return level * 2 ** 32 + type;
}

function knownOn(os: OperatingSystem): Map<number, Known> {
  let found = known.get(os);
  if (found === undefined) {
    found = new Map();
    for (const [name, row] of Object.entries(CMSG) as [CmsgName, CmsgRow][]) {
      const type = row[TYPE_AT[os]];
      if (type !== null) found.set(keyOf(constant(row[0], os), type), { name, codec: row[4] });
    }
    known.set(os, found);
  }
  return found;
}

/**
 * The control messages in some bytes, as many as the kernel wrote. Any bytes will do: nothing is read beyond them, nothing
 * is thrown, and it ends. What is not known, or is too short for what it says it is, comes as `other`. A message that was
 * cut (MSG_CTRUNC) has the descriptors that are in it: the kernel has installed those and no others.
 *
 * @param bytes What was received.
 * @param own Takes ownership of a descriptor. It must not throw: the descriptors after it would be lost.
 * @param os Whose layout.
 */
export function decodeControl<Owned extends ReceivedDescriptor>(
  bytes: Bytes,
  own: (fd: number) => Owned,
  os: OperatingSystem = system(),
): ControlMessage<Owned>[] {
  const messages: ControlMessage<Owned>[] = [];
  const { header, align } = framing(os);
  const { fields } = LAYOUT.cmsghdr[os];
  const rows = knownOn(os);
  const view = viewOf(bytes);
  const end = bytes.byteLength;
  let at = 0;
  while (end - at >= header) {
    const low = view.getUint32(at + fields.cmsg_len[0], true);
    const length = align === 8 ? low + view.getUint32(at + fields.cmsg_len[0] + 4, true) * 2 ** 32 : low;
    // Less than its own header: whatever follows could not be found. That ends it, as CMSG_NXTHDR does.
    if (length < header) break;
    const level = view.getInt32(at + fields.cmsg_level[0], true);
    const type = view.getInt32(at + fields.cmsg_type[0], true);
    const data = bytes.subarray(at + header, Math.min(end, at + length));
    const row = rows.get(keyOf(level, type));
    const message = row === undefined ? null : decodeOne(row, data, own, os);
    messages.push(message ?? { name: "other", level, type, data: data.slice() });
    // It grows by a header at least; a length beyond the end takes it there.
    at += Math.ceil(length / align) * align;
  }
  return messages;
}

/** One message; null when there are too few bytes for it, or the system has no such struct. */
function decodeOne<Owned extends ReceivedDescriptor>(
  { name, codec }: Known,
  data: Bytes,
  own: (fd: number) => Owned,
  os: OperatingSystem,
): ControlMessage<Owned> | null {
  const view = viewOf(data);
  const length = data.byteLength;
  switch (codec) {
    case "packetInfo": {
      const { size, fields } = LAYOUT.in_pktinfo[os];
      if (length < size) return null;
      const [from, , many] = fields.ipi_addr;
      return {
        name: name as "IP_PKTINFO",
        hostname: formatIp(data.subarray(from, from + many)),
        interfaceIndex: view.getUint32(fields.ipi_ifindex[0], true),
      };
    }
    case "packetInfo6": {
      const { size, fields } = LAYOUT.in6_pktinfo[os];
      if (length < size) return null;
      const [from, , many] = fields.ipi6_addr;
      return {
        name: name as "IPV6_PKTINFO",
        hostname: formatIp(data.subarray(from, from + many)),
        interfaceIndex: view.getUint32(fields.ipi6_ifindex[0], true),
      };
    }
    case "byte":
      if (length < 1) return null;
      return { name: name as "IP_TOS", value: length < 4 ? view.getUint8(0) : view.getInt32(0, true) };
    case "uint":
      return length < 4 ? null : { name: name as "SO_MARK", value: view.getUint32(0, true) };
    case "segment":
      return length < 2 ? null : { name: name as "UDP_SEGMENT", value: view.getUint16(0, true) };
    case "nanoseconds":
      return length < 8 ? null : { name: name as "SCM_TXTIME", nanoseconds: view.getBigUint64(0, true) };
    case "timespec": {
      // A system that has the message has the struct.
      const { size, fields } = LAYOUT.timespec.linux;
      if (length < size) return null;
      const seconds = view.getBigInt64(fields.tv_sec[0], true);
      return {
        name: "SCM_TIMESTAMPNS",
        nanoseconds: seconds * 1_000_000_000n + view.getBigInt64(fields.tv_nsec[0], true),
      };
    }
    case "timeval": {
      const { size, fields } = LAYOUT.timeval[os];
      if (length < size || fields.tv_sec[1] !== "i64") return null;
      const [at, width] = fields.tv_usec;
      const microseconds = width === "i64" ? view.getBigInt64(at, true) : BigInt(view.getInt32(at, true));
      const seconds = view.getBigInt64(fields.tv_sec[0], true);
      return { name: "SCM_TIMESTAMPNS", nanoseconds: seconds * 1_000_000_000n + microseconds * 1000n };
    }
    case "descriptors": {
      const descriptors: Owned[] = [];
      for (let at = 0; at + 4 <= length; at += 4) {
        const fd = view.getInt32(at, true);
        // A negative number is no descriptor, and somebody might take it for one.
        if (fd >= 0) descriptors.push(own(fd));
      }
      return { name: "SCM_RIGHTS", descriptors };
    }
    case "credentials": {
      const { size, fields } = LAYOUT.ucred.linux;
      if (length < size) return null;
      return {
        name: "SCM_CREDENTIALS",
        pid: view.getInt32(fields.pid[0], true),
        uid: view.getUint32(fields.uid[0], true),
        gid: view.getUint32(fields.gid[0], true),
      };
    }
    case "queuedError": {
      const error = os === "linux" ? decodeError(data) : null;
      return error === null ? null : { name: name as "IP_RECVERR", error };
    }
  }
}

const ORIGINS: readonly (readonly [QueuedError["origin"], ConstantName])[] = [
  ["local", "SO_EE_ORIGIN_LOCAL"],
  ["icmp", "SO_EE_ORIGIN_ICMP"],
  ["icmp6", "SO_EE_ORIGIN_ICMP6"],
  ["timestamp", "SO_EE_ORIGIN_TIMESTAMPING"],
  ["zerocopy", "SO_EE_ORIGIN_ZEROCOPY"],
  ["txtime", "SO_EE_ORIGIN_TXTIME"],
];

function decodeError(data: Bytes): QueuedError | null {
  const { size, fields } = LAYOUT.sock_extended_err.linux;
  if (data.byteLength < size) return null;
  const view = viewOf(data);
  const by = view.getUint8(fields.ee_origin[0]);
  const origin = ORIGINS.find(([, name]) => constant(name, "linux") === by)?.[0];
  if (origin === undefined) return null;
  const errno = view.getUint32(fields.ee_errno[0], true);
  // SO_EE_OFFENDER: an address follows, of no family when there is none.
  const offender = readSockaddr(data.subarray(size), "linux");
  return {
    code: errno === 0 ? "" : errnoName(errno) ?? `E${errno}`,
    origin,
    type: view.getUint8(fields.ee_type[0]),
    icmpCode: view.getUint8(fields.ee_code[0]),
    info: view.getUint32(fields.ee_info[0], true),
    offender: "hostname" in offender ? offender : null,
  };
}
