// How a value of an option becomes the bytes of its C type and back: one codec a C type, the systems' widths inside.
// Addresses alone: sockaddr.ts. Offsets and sizes: layout.ts. Which option has which codec: sockopt.ts.
import { boolean, integer, object, shown, text } from "./argument.ts";
import { instructionsOf, refusalOf } from "./bpf.ts";
import { constant } from "./constants.ts";
import { parseHardware } from "./hardware_addr.ts";
import { LAYOUT } from "./layout.ts";
import { libc } from "./libc.ts";
import { interfaceIndexOf, ipv4AddressOf } from "./netif.ts";
import type { OperatingSystem } from "./os.ts";
import {
  formatIp,
  type InetAddress,
  type IpAddress,
  isGroup,
  parseIp,
  readSockaddr,
  SOCKADDR_MAX,
  writeInet,
} from "./sockaddr.ts";
import type { CodecName } from "./sockopt.ts";
import { decodeTcpInfo, type TcpInfo } from "./tcp_info.ts";
import type {
  BluetoothSecurity,
  FilterProgram,
  GroupRequest,
  HciFilter,
  Linger,
  MemoryInfo,
  PacketFanout,
  PacketMembership,
  PacketStatistics,
  PeerCredentials,
  PortRange,
  SourceFilter,
  SourceRequest,
  Timeval,
  TransmitTime,
} from "./values.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How a value becomes bytes and back. */
export interface OptionCodec<T> {
  /** Bytes to offer when reading. */
  readonly byteLength: number;
  /** Value to bytes; throws `TypeError` or `RangeError`. */
  encode(value: T): Uint8Array<ArrayBuffer>;
  /** Bytes the kernel returned, as many as it returned, to the value. */
  decode(bytes: Uint8Array<ArrayBuffer>): T;
}

/** Codecs that ask the kernel to encode a value: which interface has a name, where a program lies. */
export const ASKS_KERNEL: ReadonlySet<CodecName> = new Set<CodecName>([
  "filterProgram",
  "interfaceIndex",
  "interfaceIndexNet",
  "mreq",
  "mreqSource",
  "mreq6",
  "anycast",
  "groupRequest",
  "groupSourceRequest",
  "groupFilter",
  "packetMreq",
]);

/** The value that each codec of the option table carries. */
export interface CodecValues {
  flag: boolean;
  flagAsSize: boolean;
  sizeAsFlag: number;
  int: number;
  size: number;
  uint: number;
  byte: number;
  word: number;
  hops: number;
  advice: number;
  sourcePreferences: number;
  uint64: bigint;
  none: void;
  text: string;
  interfaceName: string;
  algorithm: string;
  bytes: Bytes;
  packetInfo6: Bytes;
  repairWindow: Bytes;
  linger: Linger;
  timeval: Timeval;
  userTimeout: number;
  credentials: PeerCredentials;
  groups: readonly number[];
  memberships: readonly number[];
  memoryInfo: MemoryInfo;
  filterProgram: FilterProgram;
  transmitTime: TransmitTime;
  portRange: PortRange;
  pathMtu: number;
  interfaceIndex: number;
  interfaceIndexNet: number;
  ipv4Address: string;
  mreq: GroupRequest;
  mreqSource: SourceRequest;
  mreq6: GroupRequest;
  anycast: GroupRequest;
  groupRequest: GroupRequest;
  groupSourceRequest: SourceRequest;
  groupFilter: SourceFilter;
  socketAddress: InetAddress;
  packetMreq: PacketMembership;
  packetStatistics: PacketStatistics;
  packetFanout: PacketFanout;
  icmpFilter: readonly number[];
  icmp6Filter: readonly number[];
  bluetoothSecurity: BluetoothSecurity;
  hciFilter: HciFilter;
  tcpInfo: TcpInfo;
}

const MAX_INT = 2 ** 31 - 1;
const MAX_UINT = 2 ** 32 - 1;

// Scalars are encoded into one place each, read by the kernel before anything else can be encoded there.
const scratch = new Uint8Array(8);
const scratchInt = new Int32Array(scratch.buffer, 0, 1);
const scratchBig = new BigUint64Array(scratch.buffer);
const fourBytes = scratch.subarray(0, 4);

function encodeInt(value: number): Bytes {
  scratchInt[0] = value;
  return fourBytes;
}

/** An int of as many bytes as the kernel gave, little-endian; some options answer with one byte. */
function decodeInt(bytes: Bytes): number {
  return bytes.byteLength >= 4
    ? bytes[0]! | bytes[1]! << 8 | bytes[2]! << 16 | bytes[3]! << 24
    : (bytes[0] ?? 0) | (bytes[1] ?? 0) << 8;
}

function int(min: number, max: number): OptionCodec<number> {
  const signed = min < 0;
  return {
    byteLength: 4,
    encode: (value) => encodeInt(integer(value, "the value", min, max)),
    decode: (bytes) => signed || max <= MAX_INT ? decodeInt(bytes) : decodeInt(bytes) >>> 0,
  };
}

function viewOf(bytes: Bytes): DataView<ArrayBuffer> {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const flag: OptionCodec<boolean> = {
  byteLength: 4,
  encode: (value) => encodeInt(boolean(value, "the value") ? 1 : 0),
  decode: (bytes) => decodeInt(bytes) !== 0,
};

const flagAsSize: OptionCodec<boolean> = {
  byteLength: 4,
  encode: (value) => encodeInt(boolean(value, "the value") ? 65_535 : 0),
  decode: flag.decode,
};

const sizeAsFlag: OptionCodec<number> = {
  byteLength: 4,
  encode: (value) => encodeInt(integer(value, "the value", 0, MAX_INT) === 0 ? 0 : 1),
  decode: decodeInt,
};

const uint64: OptionCodec<bigint> = {
  byteLength: 8,
  encode(value) {
    if (typeof value !== "bigint") {
      throw new TypeError(`the value is ${shown(value)}, it must be a BigInt from 0n to 2n ** 64n - 1n`);
    }
    if (value !== BigInt.asUintN(64, value)) {
      throw new RangeError(`the value is ${value}n, it must be a BigInt from 0n to 2n ** 64n - 1n`);
    }
    scratchBig[0] = value;
    return scratch;
  },
  decode: (bytes) => bytes.byteLength >= 8 ? viewOf(bytes).getBigUint64(0, true) : BigInt(decodeInt(bytes) >>> 0),
};

/** Linux takes every other number as well, and does nothing. */
const advice: OptionCodec<number> = {
  byteLength: 4,
  encode(value) {
    if (integer(value, "the value", -MAX_INT - 1, MAX_INT) !== 1) {
      throw new RangeError(`the value is ${value}, it must be 1`);
    }
    return encodeInt(1);
  },
  decode: writeOnly,
};

const SOURCE_PREFERENCES = [
  "IPV6_PREFER_SRC_TMP",
  "IPV6_PREFER_SRC_PUBLIC",
  "IPV6_PREFER_SRC_COA",
  "IPV6_PREFER_SRC_PUBTMP_DEFAULT",
  "IPV6_PREFER_SRC_HOME",
] as const;

/** Linux takes every other flag as well, and heeds none. */
const sourcePreferences: OptionCodec<number> = {
  byteLength: 4,
  encode(value) {
    const flags = integer(value, "the value", 0, MAX_INT);
    const known = SOURCE_PREFERENCES.reduce((all, name) => all | constant(name, "linux"), 0);
    if ((flags & ~known) !== 0) {
      throw new RangeError(`the value is 0x${flags.toString(16)}, it must have no flags but 0x${known.toString(16)}`);
    }
    return encodeInt(flags);
  },
  decode: decodeInt,
};

/** A call that takes no value still gets an int: the kernel wants at least four bytes. */
const none: OptionCodec<void> = { byteLength: 4, encode: () => encodeInt(0), decode: () => undefined };

const utf8 = new TextEncoder();
const decoder = new TextDecoder();

function decodeText(bytes: Bytes): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Text that ends with NUL, of at most `max` bytes with it. */
function cText(max: number, what: string, mustBe: string, emptyAllowed: boolean): OptionCodec<string> {
  return {
    byteLength: max,
    encode(value) {
      const bytes = utf8.encode(text(value, what, mustBe));
      if (bytes.length >= max || bytes.includes(0) || (bytes.length === 0 && !emptyAllowed)) {
        throw new RangeError(`${what} is ${shown(value)}, it must be ${mustBe}`);
      }
      const result = new Uint8Array(bytes.length + 1);
      result.set(bytes);
      return result;
    },
    decode: decodeText,
  };
}

const bytes: OptionCodec<Bytes> = {
  byteLength: 1024,
  encode(value) {
    if (!(value instanceof Uint8Array)) throw new TypeError(`the value is ${shown(value)}, it must be a Uint8Array`);
    // A copy without the class of the value: a subclass might say another length than it has, and the kernel would believe it.
    return new Uint8Array(value);
  },
  decode: (got) => got.slice(),
};

/** The IP address that a field of a request names, of a family when one is asked for. */
function ipField(value: unknown, what: string, family?: "inet" | "inet6"): IpAddress {
  const literal = text(value, what, "an IP address");
  const ip = parseIp(literal);
  if (ip === null) throw new SyntaxError(`${what} is ${shown(value)}, it must be a literal IP address`);
  if (family !== undefined && (ip.bytes.length === 4) !== (family === "inet")) {
    throw new TypeError(`${what} is ${shown(value)}, it must be an ${family === "inet" ? "IPv4" : "IPv6"} address`);
  }
  return ip;
}

/** A group, checked to be one. */
function groupField(request: Record<string, unknown>, family?: "inet" | "inet6"): IpAddress {
  const ip = ipField(request.group, "the group", family);
  if (!isGroup(ip.bytes)) {
    throw new RangeError(
      `the group is ${shown(request.group)}, it must be in ${ip.bytes.length === 4 ? "224.0.0.0/4" : "ff00::/8"}`,
    );
  }
  return ip;
}

/** The interface of a request: its field, else the zone of its group, else the kernel's choice. */
function interfaceField(request: Record<string, unknown>, group: IpAddress): number {
  const zone = group.zone === null ? undefined : /^[0-9]+$/.test(group.zone) ? Number(group.zone) : group.zone;
  const selector = request.interface === undefined ? zone : request.interface;
  return interfaceIndexOf(selector as string | number | undefined, "the interface");
}

/** Linux takes an address here and sends from another: tests/options/effect_test.ts. */
function packetInfo6(os: OperatingSystem): OptionCodec<Bytes> {
  const { size, fields } = LAYOUT.in6_pktinfo[os];
  return {
    ...bytes,
    byteLength: size,
    encode(value) {
      const result = bytes.encode(value);
      const [from, , length] = fields.ipi6_addr;
      if (os === "linux" && result.subarray(from, from + length).some((byte) => byte !== 0)) {
        throw new RangeError("the address must be ::, as Linux sends from another all the same: bind() to it instead");
      }
      return result;
    },
  };
}

function mreq6(
  os: OperatingSystem,
  address: (request: Record<string, unknown>) => IpAddress,
): OptionCodec<GroupRequest> {
  const { size, fields } = LAYOUT.ipv6_mreq[os];
  return {
    byteLength: size,
    encode(value) {
      const request = object(value, "the value", "{ group, interface }");
      const ip = address(request);
      const result = new Uint8Array(size);
      result.set(ip.bytes, fields.ipv6mr_multiaddr[0]);
      write(result, fields.ipv6mr_interface, interfaceField(request, ip));
      return result;
    },
    decode: writeOnly,
  };
}

function writeOnly(): never {
  throw new Error("this option cannot be read");
}

function readOnly(): never {
  throw new Error("this option cannot be written");
}

/** All codecs, with the widths and numbers of a system. */
export function codecsOf(os: OperatingSystem): { readonly [N in CodecName]: OptionCodec<CodecValues[N]> } {
  const timevalLayout = LAYOUT.timeval[os];
  const lingerLayout = LAYOUT.linger[os];
  return {
    flag,
    flagAsSize,
    sizeAsFlag,
    int: int(-MAX_INT - 1, MAX_INT),
    size: int(0, MAX_INT),
    uint: int(0, MAX_UINT),
    byte: int(0, 255),
    word: int(0, 65535),
    hops: int(-1, 255),
    advice,
    sourcePreferences,
    uint64,
    none,
    bytes,
    packetInfo6: packetInfo6(os),
    // The kernel refuses to tell more or less.
    repairWindow: { ...bytes, byteLength: LAYOUT.tcp_repair_window.linux.size },
    text: cText(256, "the value", "text of at most 255 bytes without NUL", true),
    interfaceName: cText(16, "the interface", 'the name of an interface, 1 to 15 bytes, or "" for any', true),
    algorithm: cText(16, "the name", "a name of 1 to 15 bytes without NUL", false),

    linger: {
      byteLength: lingerLayout.size,
      encode(value) {
        const fields = object(value, "the value", "{ enabled, seconds }");
        const enabled = boolean(fields.enabled, "enabled");
        // Windows has 16 bits, and macOS multiplies by the clock rate.
        const seconds = integer(
          fields.seconds,
          "seconds",
          0,
          os === "linux" ? MAX_INT : os === "darwin" ? 32767 : 65535,
        );
        const result = new Uint8Array(lingerLayout.size);
        write(result, lingerLayout.fields.l_onoff, enabled ? 1 : 0);
        write(result, lingerLayout.fields.l_linger, seconds);
        return result;
      },
      decode: (got) => ({
        enabled: read(got, lingerLayout.fields.l_onoff) !== 0,
        seconds: read(got, lingerLayout.fields.l_linger),
      }),
    },

    timeval: os === "windows" ? millisecondsTimeval : {
      byteLength: timevalLayout.size,
      encode(value) {
        const { seconds, microseconds } = timevalFields(value);
        const result = new Uint8Array(timevalLayout.size);
        write(result, timevalLayout.fields.tv_sec, seconds);
        write(result, timevalLayout.fields.tv_usec, microseconds);
        return result;
      },
      decode: (got) => ({
        seconds: read(got, timevalLayout.fields.tv_sec),
        microseconds: read(got, timevalLayout.fields.tv_usec),
      }),
    },

    // macOS counts seconds: rounded up, so that a limit never ends early; 0 stays 0.
    userTimeout: os !== "darwin" ? int(0, MAX_INT) : {
      byteLength: 4,
      encode: (value) => encodeInt(Math.ceil(integer(value, "the value", 0, MAX_INT) / 1000)),
      decode: (got) => decodeInt(got) * 1000,
    },

    credentials: credentials(os),
    groups: {
      byteLength: 65536 * 4,
      encode: readOnly,
      decode: (got) => Array.from({ length: got.byteLength >> 2 }, (_, i) => viewOf(got).getUint32(i * 4, true)),
    },
    memberships: {
      byteLength: 512,
      encode: readOnly,
      decode: (got) =>
        Array.from({ length: got.byteLength * 8 }, (_, i) => i + 1).filter((group) =>
          (got[group - 1 >> 3]! >> (group - 1 & 7) & 1) === 1
        ),
    },
    memoryInfo: {
      byteLength: 4 * 16,
      encode: readOnly,
      decode: (got) => Array.from({ length: got.byteLength >> 2 }, (_, i) => viewOf(got).getUint32(i * 4, true)),
    },
    filterProgram: { byteLength: LAYOUT.sock_fprog.linux.size, encode: encodeFilter, decode: writeOnly },
    transmitTime: transmitTime(os),

    portRange: {
      byteLength: 4,
      encode(value) {
        const fields = object(value, "the value", "{ low, high }");
        const low = integer(fields.low, "low", 0, 65535);
        const high = integer(fields.high, "high", 0, 65535);
        if (low > high && high !== 0) throw new RangeError(`low is ${low}, it must be at most high, which is ${high}`);
        return encodeInt(low | high << 16);
      },
      decode: (got) => ({ low: decodeInt(got) & 0xffff, high: decodeInt(got) >>> 16 }),
    },

    pathMtu: {
      byteLength: LAYOUT.ip6_mtuinfo.linux.size,
      encode: readOnly,
      decode: (got) => read(got, LAYOUT.ip6_mtuinfo.linux.fields.ip6m_mtu),
    },
    interfaceIndex,
    interfaceIndexNet: os === "darwin" ? interfaceIndex : networkInterfaceIndex,
    ipv4Address: {
      byteLength: 4,
      encode: (value) => ipField(value, "the address", "inet").bytes,
      decode: (got) => formatIp(got.subarray(0, 4)),
    },

    mreq: {
      byteLength: (LAYOUT.ip_mreqn[os] ?? LAYOUT.ip_mreq[os]).size,
      encode(value) {
        const request = object(value, "the value", "{ group, interface }");
        const group = groupField(request, "inet");
        const mreqn = LAYOUT.ip_mreqn[os];
        if (mreqn !== null) {
          const result = new Uint8Array(mreqn.size);
          result.set(group.bytes, mreqn.fields.imr_multiaddr[0]);
          write(result, mreqn.fields.imr_ifindex, interfaceField(request, group));
          return result;
        }
        const layout = LAYOUT.ip_mreq[os];
        const result = new Uint8Array(layout.size);
        result.set(group.bytes, layout.fields.imr_multiaddr[0]);
        result.set(
          ipv4AddressOf(request.interface as string | number | undefined, "the interface"),
          layout.fields.imr_interface[0],
        );
        return result;
      },
      decode: writeOnly,
    },
    // The order of the fields differs by system; a swap would be silent.
    mreqSource: {
      byteLength: LAYOUT.ip_mreq_source[os].size,
      encode(value) {
        const request = object(value, "the value", "{ group, source, interface }");
        const { size, fields } = LAYOUT.ip_mreq_source[os];
        const result = new Uint8Array(size);
        result.set(groupField(request, "inet").bytes, fields.imr_multiaddr[0]);
        result.set(ipField(request.source, "the source", "inet").bytes, fields.imr_sourceaddr[0]);
        result.set(
          ipv4AddressOf(request.interface as string | number | undefined, "the interface"),
          fields.imr_interface[0],
        );
        return result;
      },
      decode: writeOnly,
    },
    mreq6: mreq6(os, (request) => groupField(request, "inet6")),
    anycast: mreq6(os, (request) => ipField(request.group, "the address", "inet6")),
    groupRequest: {
      byteLength: LAYOUT.group_req[os].size,
      encode(value) {
        const request = object(value, "the value", "{ group, interface }");
        const group = groupField(request);
        const { size, fields } = LAYOUT.group_req[os];
        const result = new Uint8Array(size);
        write(result, fields.gr_interface, interfaceField(request, group));
        writeInet(result, fields.gr_group[0], os, group.bytes, 0);
        return result;
      },
      decode: writeOnly,
    },
    groupSourceRequest: {
      byteLength: LAYOUT.group_source_req[os].size,
      encode(value) {
        const request = object(value, "the value", "{ group, source, interface }");
        const group = groupField(request);
        const source = ipField(request.source, "the source", group.bytes.length === 4 ? "inet" : "inet6");
        const { size, fields } = LAYOUT.group_source_req[os];
        const result = new Uint8Array(size);
        write(result, fields.gsr_interface, interfaceField(request, group));
        writeInet(result, fields.gsr_group[0], os, group.bytes, 0);
        writeInet(result, fields.gsr_source[0], os, source.bytes, 0);
        return result;
      },
      decode: writeOnly,
    },
    groupFilter,

    socketAddress: {
      byteLength: SOCKADDR_MAX,
      encode: readOnly,
      decode(got) {
        const address = readSockaddr(got, os);
        if (!("hostname" in address)) throw new TypeError(`the kernel gave an address of family ${address.family}`);
        return address;
      },
    },
    packetMreq: { byteLength: LAYOUT.packet_mreq.linux.size, encode: encodePacketMembership, decode: writeOnly },
    packetStatistics: {
      byteLength: LAYOUT.tpacket_stats.linux.size,
      encode: readOnly,
      decode: (got) => ({
        packets: read(got, LAYOUT.tpacket_stats.linux.fields.tp_packets),
        drops: read(got, LAYOUT.tpacket_stats.linux.fields.tp_drops),
      }),
    },
    packetFanout,
    icmpFilter: typeFilter(4, 31, true),
    // Linux keeps a bit for each type that is blocked, macOS for each that passes.
    icmp6Filter: typeFilter(32, 255, os !== "darwin"),
    bluetoothSecurity,
    hciFilter,
    tcpInfo: { byteLength: 512, encode: readOnly, decode: (got) => decodeTcpInfo(got, os) },
  };
}

type Field = readonly [offset: number, type: string, length?: number];

/** Writes an integer field of a struct. */
function write(into: Bytes, [offset, type]: Field, value: number): void {
  const view = viewOf(into);
  switch (type) {
    case "u8":
      return view.setUint8(offset, value);
    case "u16":
      return view.setUint16(offset, value, true);
    case "u16be":
      return view.setUint16(offset, value);
    case "i32":
      return view.setInt32(offset, value, true);
    case "u32":
      return view.setUint32(offset, value, true);
    case "i64":
    case "u64":
      return view.setBigInt64(offset, BigInt(value), true);
    default:
      throw new Error(`a field of type ${type} is no integer`);
  }
}

const WIDTHS: Readonly<Record<string, number>> = { u8: 1, u16: 2, u16be: 2, i32: 4, u32: 4, i64: 8, u64: 8 };

/** Reads an integer field of a struct; 64-bit ones as numbers. */
export function read(from: Bytes, [offset, type]: Field): number {
  const end = offset + (WIDTHS[type] ?? 0);
  if (end > from.byteLength) throw new Error(`the kernel gave ${from.byteLength} bytes, there must be at least ${end}`);
  const view = viewOf(from);
  switch (type) {
    case "u8":
      return view.getUint8(offset);
    case "u16":
      return view.getUint16(offset, true);
    case "u16be":
      return view.getUint16(offset);
    case "i32":
      return view.getInt32(offset, true);
    case "u32":
      return view.getUint32(offset, true);
    case "i64":
      return Number(view.getBigInt64(offset, true));
    case "u64":
      return Number(view.getBigUint64(offset, true));
    default:
      throw new Error(`a field of type ${type} is no integer`);
  }
}

function timevalFields(value: unknown): Timeval {
  const fields = object(value, "the value", "{ seconds, microseconds }");
  return {
    seconds: integer(fields.seconds, "seconds", 0, MAX_INT),
    microseconds: integer(fields.microseconds, "microseconds", 0, 999_999),
  };
}

/** Windows takes milliseconds: rounded up, so that a limit never ends early. */
const millisecondsTimeval: OptionCodec<Timeval> = {
  byteLength: 4,
  encode(value) {
    const { seconds, microseconds } = timevalFields(value);
    return encodeInt(integer(seconds * 1000 + Math.ceil(microseconds / 1000), "the time in milliseconds", 0, MAX_UINT));
  },
  decode(got) {
    const milliseconds = decodeInt(got) >>> 0;
    return { seconds: Math.floor(milliseconds / 1000), microseconds: milliseconds % 1000 * 1000 };
  },
};

function existingIndex(value: unknown): number {
  const index = integer(value, "the interface index", 0, MAX_INT);
  return index === 0 ? 0 : interfaceIndexOf(index, "the interface index");
}

const interfaceIndex: OptionCodec<number> = {
  byteLength: 4,
  encode: (value) => encodeInt(existingIndex(value)),
  decode: decodeInt,
};

/** Some indexes travel in network order. */
const networkInterfaceIndex: OptionCodec<number> = {
  byteLength: 4,
  encode: (value) => encodeInt(swapped(existingIndex(value))),
  decode: (got) => swapped(decodeInt(got)),
};

function swapped(value: number): number {
  return (value & 0xff) << 24 | (value & 0xff00) << 8 | value >>> 8 & 0xff00 | value >>> 24;
}

function credentials(os: OperatingSystem): OptionCodec<PeerCredentials> {
  if (os === "darwin") {
    const { size, fields } = LAYOUT.xucred.darwin;
    return {
      byteLength: size,
      encode: readOnly,
      decode: (got) => ({ uid: read(got, fields.cr_uid), gid: read(got, [fields.cr_groups[0], "u32"]) }),
    };
  }
  const { size, fields } = LAYOUT.ucred.linux;
  return {
    byteLength: size,
    encode: readOnly,
    decode: (got) => ({ pid: read(got, fields.pid), uid: read(got, fields.uid), gid: read(got, fields.gid) }),
  };
}

/** The instructions whose address is in the struct: kept here until the next program, the kernel copies them at once. */
let instructions: Bytes;

function encodeFilter(program: FilterProgram): Bytes {
  const copied = instructionsOf(program);
  // The kernel says EINVAL, to this as to much else.
  const refused = refusalOf(copied);
  if (refused !== null) throw new RangeError(`instruction ${refused.index} of the filter: ${refused.why}`);
  const { size, fields } = LAYOUT.sock_filter.linux;
  const encoded = new Uint8Array(copied.length * size);
  copied.forEach(({ code, jt, jf, k }, i) => {
    const one = encoded.subarray(i * size, (i + 1) * size);
    write(one, fields.code, code);
    write(one, fields.jt, jt);
    write(one, fields.jf, jf);
    write(one, fields.k, k);
  });
  instructions = encoded;
  const layout = LAYOUT.sock_fprog.linux;
  const result = new Uint8Array(layout.size);
  write(result, layout.fields.len, copied.length);
  viewOf(result).setBigUint64(layout.fields.filter[0], libc("Cannot attach a filter").addressOf(instructions), true);
  return result;
}

const CLOCKS = ["realtime", "monotonic", "tai"] as const;
/** clockid_t of each, in the same order. */
const CLOCK_IDS = ["CLOCK_REALTIME", "CLOCK_MONOTONIC", "CLOCK_TAI"] as const;

function transmitTime(os: OperatingSystem): OptionCodec<TransmitTime> {
  const { size, fields } = LAYOUT.sock_txtime.linux;
  return {
    byteLength: size,
    encode(value) {
      const wanted = object(value, "the value", "{ clock }") as Partial<TransmitTime>;
      const clock = CLOCKS.indexOf(wanted.clock!);
      if (clock < 0) throw new TypeError(`clock is ${shown(wanted.clock)}, it must be one of ${CLOCKS.join(", ")}`);
      const result = new Uint8Array(size);
      write(result, fields.clockid, constant(CLOCK_IDS[clock]!, os));
      write(
        result,
        fields.flags,
        (boolean(wanted.deadlineMode ?? false, "deadlineMode") ? constant("SOF_TXTIME_DEADLINE_MODE", os) : 0) |
          (boolean(wanted.reportErrors ?? false, "reportErrors") ? constant("SOF_TXTIME_REPORT_ERRORS", os) : 0),
      );
      return result;
    },
    decode(got) {
      const id = read(got, fields.clockid);
      const flags = read(got, fields.flags);
      return {
        clock: CLOCKS[CLOCK_IDS.findIndex((name) => constant(name, os) === id)] ?? "realtime",
        deadlineMode: (flags & constant("SOF_TXTIME_DEADLINE_MODE", os)) !== 0,
        reportErrors: (flags & constant("SOF_TXTIME_REPORT_ERRORS", os)) !== 0,
      };
    },
  };
}

/** The most senders that Linux takes for one group of a socket by default is far less (igmp_max_msf, mld_max_msf). */
const MAX_SOURCES = 4096;

const groupFilter: OptionCodec<SourceFilter> = {
  byteLength: LAYOUT.group_filter.linux.size,
  encode(value) {
    const request = object(value, "the value", "{ group, mode, sources, interface }");
    const group = groupField(request);
    if (request.mode !== "include" && request.mode !== "exclude") {
      throw new TypeError(`mode is ${shown(request.mode)}, it must be "include" or "exclude"`);
    }
    if (!Array.isArray(request.sources)) {
      throw new TypeError(`sources is ${shown(request.sources)}, it must be an array of addresses`);
    }
    if (request.sources.length > MAX_SOURCES) {
      throw new RangeError(`there are ${request.sources.length} sources, there must be at most ${MAX_SOURCES}`);
    }
    const { size, fields } = LAYOUT.group_filter.linux;
    const storage = LAYOUT.sockaddr_storage.linux.size;
    const result = new Uint8Array(Math.max(size, fields.gf_slist[0] + request.sources.length * storage));
    write(result, fields.gf_interface, interfaceField(request, group));
    writeInet(result, fields.gf_group[0], "linux", group.bytes, 0);
    write(result, fields.gf_fmode, constant(request.mode === "include" ? "MCAST_INCLUDE" : "MCAST_EXCLUDE", "linux"));
    write(result, fields.gf_numsrc, request.sources.length);
    request.sources.forEach((source, i) => {
      const ip = ipField(source, `source ${i}`, group.bytes.length === 4 ? "inet" : "inet6");
      writeInet(result, fields.gf_slist[0] + i * storage, "linux", ip.bytes, 0);
    });
    return result;
  },
  decode: writeOnly,
};

const MEMBERSHIPS = {
  multicast: "PACKET_MR_MULTICAST",
  promiscuous: "PACKET_MR_PROMISC",
  allMulticast: "PACKET_MR_ALLMULTI",
  unicast: "PACKET_MR_UNICAST",
} as const;

function encodePacketMembership(value: PacketMembership): Bytes {
  const wanted = object(value, "the value", "{ interface, type }") as Partial<PacketMembership>;
  const { size, fields } = LAYOUT.packet_mreq.linux;
  if (wanted.type === undefined || !Object.hasOwn(MEMBERSHIPS, wanted.type)) {
    throw new TypeError(`type is ${shown(wanted.type)}, it must be one of ${Object.keys(MEMBERSHIPS).join(", ")}`);
  }
  const result = new Uint8Array(size);
  write(result, fields.mr_ifindex, interfaceIndexOf(wanted.interface, "the interface"));
  write(result, fields.mr_type, constant(MEMBERSHIPS[wanted.type], "linux"));
  if (wanted.type === "multicast" || wanted.type === "unicast") {
    const octets = parseHardware(wanted.address, "address", 1, fields.mr_address[2]);
    write(result, fields.mr_alen, octets.length);
    result.set(octets, fields.mr_address[0]);
  }
  return result;
}

/** In the order of PACKET_FANOUT_HASH, _LB, _CPU, _ROLLOVER, _RND, _QM, _CBPF, _EBPF. */
const FANOUT_MODES = ["hash", "loadBalance", "cpu", "rollover", "random", "queue", "cbpf", "ebpf"] as const;

const packetFanout: OptionCodec<PacketFanout> = {
  byteLength: 4,
  encode(value) {
    const wanted = object(value, "the value", "{ id, mode }") as Partial<PacketFanout>;
    const mode = FANOUT_MODES.indexOf(wanted.mode!);
    if (mode < 0) throw new TypeError(`mode is ${shown(wanted.mode)}, it must be one of ${FANOUT_MODES.join(", ")}`);
    const flags = boolean(wanted.defragment ?? false, "defragment")
      ? constant("PACKET_FANOUT_FLAG_DEFRAG", "linux")
      : 0;
    return encodeInt(integer(wanted.id, "id", 0, 65535) | (mode | flags) << 16);
  },
  decode(got) {
    const value = decodeInt(got);
    const flags = value >>> 16;
    return {
      id: value & 0xffff,
      mode: FANOUT_MODES[flags & 0xff] ?? "hash",
      defragment: (flags & constant("PACKET_FANOUT_FLAG_DEFRAG", "linux")) !== 0,
    };
  },
};

const SECURITY_LEVELS = {
  sdp: "BT_SECURITY_SDP",
  low: "BT_SECURITY_LOW",
  medium: "BT_SECURITY_MEDIUM",
  high: "BT_SECURITY_HIGH",
  fips: "BT_SECURITY_FIPS",
} as const;

const bluetoothSecurity: OptionCodec<BluetoothSecurity> = {
  byteLength: LAYOUT.bt_security.linux.size,
  encode(value) {
    const { level, keySize } = object(value, "the value", "{ level }");
    if (typeof level !== "string" || !Object.hasOwn(SECURITY_LEVELS, level)) {
      const words = Object.keys(SECURITY_LEVELS).join(", ");
      throw new TypeError(`level is ${shown(level)}, it must be one of ${words}`);
    }
    const { size, fields } = LAYOUT.bt_security.linux;
    const result = new Uint8Array(size);
    write(result, fields.level, constant(SECURITY_LEVELS[level as keyof typeof SECURITY_LEVELS], "linux"));
    write(result, fields.key_size, keySize === undefined ? 0 : integer(keySize, "keySize", 0, 255));
    return result;
  },
  decode(got) {
    const { fields } = LAYOUT.bt_security.linux;
    const number = read(got, fields.level);
    const names = Object.keys(SECURITY_LEVELS) as (keyof typeof SECURITY_LEVELS)[];
    const level = names.find((name) => constant(SECURITY_LEVELS[name], "linux") === number);
    if (level === undefined) {
      throw new Error(`the kernel gave security level ${number}, which this library does not know`);
    }
    return { level, keySize: read(got, fields.key_size) };
  },
};

const hciFilter: OptionCodec<HciFilter> = {
  byteLength: LAYOUT.hci_filter.linux.size,
  encode(value) {
    const { typeMask, eventMask, opcode } = object(value, "the value", "{ typeMask, eventMask, opcode }");
    const { size, fields } = LAYOUT.hci_filter.linux;
    const result = new Uint8Array(size);
    write(result, fields.type_mask, integer(typeMask, "typeMask", 0, MAX_UINT));
    if (typeof eventMask !== "bigint" || eventMask !== BigInt.asUintN(64, eventMask)) {
      const message = `eventMask is ${shown(eventMask)}, it must be a BigInt from 0n to 2n ** 64n - 1n`;
      throw typeof eventMask === "bigint" ? new RangeError(message) : new TypeError(message);
    }
    viewOf(result).setBigUint64(fields.event_mask[0], eventMask, true);
    write(result, fields.opcode, integer(opcode, "opcode", 0, 65535));
    return result;
  },
  decode(got) {
    const { fields } = LAYOUT.hci_filter.linux;
    const opcode = read(got, fields.opcode);
    return {
      typeMask: read(got, fields.type_mask),
      eventMask: viewOf(got).getBigUint64(fields.event_mask[0], true),
      opcode,
    };
  },
};

/** A bitmap of message types; the value lists those that pass. */
function typeFilter(size: number, highest: number, setBitBlocks: boolean): OptionCodec<readonly number[]> {
  return {
    byteLength: size,
    encode(value) {
      if (!Array.isArray(value)) throw new TypeError(`the value is ${shown(value)}, it must be an array of types`);
      const result = new Uint8Array(size).fill(setBitBlocks ? 0xff : 0);
      for (const type of value) {
        const bit = 1 << (integer(type, "a type", 0, highest) & 7);
        if (setBitBlocks) result[type >> 3]! &= ~bit;
        else result[type >> 3]! |= bit;
      }
      return result;
    },
    decode(got) {
      const passes = (type: number) => (got[type >> 3]! >> (type & 7) & 1) === (setBitBlocks ? 0 : 1);
      return Array.from({ length: got.byteLength * 8 }, (_, type) => type).filter(passes);
    },
  };
}
