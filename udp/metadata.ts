// What is told of a datagram besides data and sender: which options ask for it, and how it is read from what came.
// The fields themselves: types.ts. Where control messages lie in their bytes: internal/cmsg_reader.ts.
import { shown } from "../internal/argument.ts";
import {
  ControlFinder,
  type ControlReader,
  controlSpace,
  type Sought,
  sought,
  SoughtTable,
} from "../internal/cmsg_reader.ts";
import { LAYOUT } from "../internal/layout.ts";
import { isLinkScoped, writeInet } from "../internal/sockaddr.ts";
import {
  IP_PKTINFO,
  IP_RECVTOS,
  IP_RECVTTL,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  SO_RXQ_OVFL,
  SO_TIMESTAMPNS,
  type SocketLike,
  type SocketOption,
} from "../options/mod.ts";
import { addressIn } from "./address.ts";
import type { DatagramField, DatagramMetadata, UdpAddress } from "./types.ts";

type Family = "inet" | "inet6";
type Bytes = Uint8Array<ArrayBuffer>;

/** How a field is had: the option by the family of the packets, or of the socket; the bytes that its message takes. */
interface Source {
  readonly by: "packets" | "socket";
  readonly inet: SocketOption<boolean>;
  readonly inet6: SocketOption<boolean>;
  readonly space: number;
}

const INFO_SIZE = LAYOUT.in6_pktinfo.linux.size;
const packetInfo: Source = {
  by: "socket",
  inet: IP_PKTINFO,
  inet6: IPV6_RECVPKTINFO,
  space: controlSpace(INFO_SIZE),
};
const trafficClass: Source = { by: "packets", inet: IP_RECVTOS, inet6: IPV6_RECVTCLASS, space: controlSpace(4) };

/** Fields that come by one option share their source. */
const SOURCES: Readonly<Record<DatagramField, Source>> = {
  localAddr: packetInfo,
  interfaceIndex: packetInfo,
  hopLimit: { by: "packets", inet: IP_RECVTTL, inet6: IPV6_RECVHOPLIMIT, space: controlSpace(4) },
  dscp: trafficClass,
  ecn: trafficClass,
  timestamp: {
    by: "socket",
    inet: SO_TIMESTAMPNS,
    inet6: SO_TIMESTAMPNS,
    space: controlSpace(LAYOUT.timespec.linux.size),
  },
  drops: { by: "socket", inet: SO_RXQ_OVFL, inet6: SO_RXQ_OVFL, space: controlSpace(4) },
};

/** Every field there is. */
export const FIELDS: readonly DatagramField[] = Object.freeze(Object.keys(SOURCES) as DatagramField[]);

/** The bit of a field in a set of fields; 0 for what is no field. A switch, as it is done for every field of a datagram. */
export function bitOf(field: DatagramField): number {
  switch (field) {
    case "localAddr":
      return LOCAL_ADDR;
    case "interfaceIndex":
      return INTERFACE_INDEX;
    case "hopLimit":
      return HOP_LIMIT;
    case "dscp":
      return DSCP;
    case "ecn":
      return ECN;
    case "timestamp":
      return TIMESTAMP;
    case "drops":
      return DROPPED;
    default:
      return 0;
  }
}
const LOCAL_ADDR = 1, INTERFACE_INDEX = 2, HOP_LIMIT = 4, DSCP = 8, ECN = 16, TIMESTAMP = 32, DROPPED = 64;

/** The bits of fields. */
export function bitsOf(fields: readonly DatagramField[]): number {
  return fields.reduce((bits, field) => bits | bitOf(field), 0);
}

/** The fields that were asked for, each once. */
export function fieldsOf(metadata: unknown, doing: string): readonly DatagramField[] {
  if (metadata === undefined) return NONE;
  if (!Array.isArray(metadata)) {
    throw new TypeError(`${doing}: metadata is ${shown(metadata)}, it must be an array of names of fields`);
  }
  for (const field of metadata) {
    if (typeof field !== "string" || !Object.hasOwn(SOURCES, field)) {
      throw new TypeError(`${doing}: metadata has ${shown(field)}, it must be one of ${FIELDS.join(", ")}`);
    }
  }
  return metadata.length === 0 ? NONE : Object.freeze([...new Set<DatagramField>(metadata)]);
}
const NONE: readonly DatagramField[] = Object.freeze([]);

/** The bytes of control messages that the fields take, at most. */
export function spaceOf(fields: readonly DatagramField[]): number {
  return [...new Set(fields.map((field) => SOURCES[field]))].reduce((sum, { space }) => sum + space, 0);
}

/** Asks the kernel for the fields; to be done before bind, as it forgets what it queued before. */
export function switchOn(
  socket: SocketLike,
  family: Family,
  packets: readonly Family[],
  fields: readonly DatagramField[],
  doing: string,
): void {
  for (const field of fields) {
    const source = SOURCES[field];
    for (const one of source.by === "socket" ? [family] : packets) {
      try {
        source[one].set(socket, true);
      } catch (cause) {
        throw new Deno.errors.NotSupported(`${doing}: metadata ${shown(field)} cannot be had: ${message(cause)}`, {
          cause,
        });
      }
    }
  }
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** What is looked for; the places in this list are the numbers below. */
const SOUGHT: readonly Sought[] = [
  sought("IP_PKTINFO", LAYOUT.in_pktinfo.linux.size),
  sought("IPV6_PKTINFO", INFO_SIZE),
  sought("IP_TTL", 4),
  sought("IPV6_HOPLIMIT", 4),
  sought("IP_TOS", 1),
  sought("IPV6_TCLASS", 4),
  sought("SCM_TIMESTAMPNS", LAYOUT.timespec.linux.size),
  sought("SO_RXQ_OVFL", 4),
];
const INFO = 0, INFO6 = 1, TTL = 2, HOPS = 3, TOS = 4, CLASS = 5, TIME = 6, DROPS = 7;

let table: SoughtTable | undefined;

/** The fields of datagrams whose control messages lie in some bytes; one datagram at a time. */
export class FieldReader {
  readonly #reader: ControlReader;
  readonly #finder: ControlFinder;
  /** The last own address: few sockets have many. */
  #local: UdpAddress | null = null;
  readonly #localBytes: Bytes = new Uint8Array(LAYOUT.sockaddr_in6.linux.size);
  readonly #bytes: Bytes = new Uint8Array(LAYOUT.sockaddr_in6.linux.size);

  constructor(reader: ControlReader) {
    this.#reader = reader;
    this.#finder = new ControlFinder(reader, table ??= new SoughtTable(SOUGHT));
  }

  /** Turns to the datagram whose control messages lie from `start` to `end`. */
  turnTo(start: number, end: number): void {
    this.#finder.turnTo(start, end);
  }

  /** The field with a bit; `port` is that of the socket, which no control message tells. */
  field(bit: number, port: number): DatagramMetadata[DatagramField] {
    const finder = this.#finder;
    const reader = this.#reader;
    switch (bit) {
      case LOCAL_ADDR: {
        const at = finder.at(INFO);
        return at >= 0 ? this.#localAddr(at, 4, port) : this.#localAddr(this.#at(INFO6, bit), 16, port);
      }
      case INTERFACE_INDEX: {
        const at = finder.at(INFO);
        return at >= 0 ? reader.interfaceIndex(at, 4) : reader.interfaceIndex(this.#at(INFO6, bit), 16);
      }
      case HOP_LIMIT:
        return reader.byte(this.#either(TTL, HOPS, bit));
      case DSCP:
        return reader.byte(this.#either(TOS, CLASS, bit)) >>> 2;
      case ECN:
        return reader.byte(this.#either(TOS, CLASS, bit)) & 3;
      case TIMESTAMP:
        return reader.nanoseconds(this.#at(TIME, bit));
      default: {
        // The kernel says nothing while there are none.
        const at = finder.at(DROPS);
        return at < 0 ? 0 : reader.uint(at);
      }
    }
  }

  #either(place: number, other: number, bit: number): number {
    const at = this.#finder.at(place);
    return at >= 0 ? at : this.#at(other, bit);
  }

  #at(place: number, bit: number): number {
    const at = this.#finder.at(place);
    if (at >= 0) return at;
    const field = FIELDS.find((one) => bitOf(one) === bit);
    throw new Error(`Cannot read ${field} of a datagram: the kernel did not tell it`);
  }

  #localAddr(info: number, width: 4 | 16, port: number): UdpAddress {
    const { bytes } = this.#reader;
    const at = this.#reader.address(info, width);
    const last = this.#localBytes;
    if (this.#local !== null && this.#local.port === port && this.#width === width) {
      let same = 0;
      while (same < width && last[same] === bytes[at + same]) same++;
      if (same === width && (width === 4 || this.#scope === this.#reader.interfaceIndex(info, width))) {
        return this.#local;
      }
    }
    const ip = bytes.subarray(at, at + width);
    last.set(ip);
    this.#width = width;
    this.#scope = this.#reader.interfaceIndex(info, width);
    const length = writeInet(this.#bytes, 0, "linux", ip, port, isLinkScoped(ip) ? this.#scope : 0);
    return this.#local = addressIn(this.#bytes, 0, length);
  }
  #width = 0;
  #scope = 0;
}
