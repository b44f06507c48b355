// What is told of a datagram besides data and sender: which options ask for it, and how it is read from what came.
// The fields themselves: types.ts. Where control messages lie in their bytes: internal/cmsg_reader.ts.
import { shown } from "../internal/argument.ts";
import { type ControlReader, controlSpace, type Sought, sought } from "../internal/cmsg_reader.ts";
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
import type { DatagramField, DatagramMetadata } from "./types.ts";

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

const INFO: Sought = sought("IP_PKTINFO", LAYOUT.in_pktinfo.linux.size);
const INFO6: Sought = sought("IPV6_PKTINFO", INFO_SIZE);
const TTL: Sought = sought("IP_TTL", 4);
const HOPS: Sought = sought("IPV6_HOPLIMIT", 4);
const TOS: Sought = sought("IP_TOS", 1);
const CLASS: Sought = sought("IPV6_TCLASS", 4);
const TIME: Sought = sought("SCM_TIMESTAMPNS", LAYOUT.timespec.linux.size);
const DROPS: Sought = sought("SO_RXQ_OVFL", 4);

/** A sockaddr of the address that a datagram was sent to, to look its object up by. */
const local: Bytes = new Uint8Array(LAYOUT.sockaddr_in6.linux.size);

/**
 * A field of a datagram.
 *
 * @param reader The bytes with its control messages, from `start` to `end`.
 * @param port The port of the socket, which no control message tells.
 */
export function fieldOf<K extends DatagramField>(
  reader: ControlReader,
  start: number,
  end: number,
  field: K,
  port: number,
): DatagramMetadata[K] {
  return read(reader, start, end, field, port) as DatagramMetadata[K];
}

function read(
  reader: ControlReader,
  start: number,
  end: number,
  field: DatagramField,
  port: number,
): DatagramMetadata[DatagramField] {
  switch (field) {
    case "localAddr": {
      const info = reader.find(start, end, INFO);
      if (info >= 0) return localAddress(reader, info, 4, port);
      return localAddress(reader, there(reader.find(start, end, INFO6), field), 16, port);
    }
    case "interfaceIndex": {
      const info = reader.find(start, end, INFO);
      return info >= 0
        ? reader.interfaceIndex(info, 4)
        : reader.interfaceIndex(there(reader.find(start, end, INFO6), field), 16);
    }
    case "hopLimit":
      return reader.byte(either(reader, start, end, TTL, HOPS, field));
    case "dscp":
      return reader.byte(either(reader, start, end, TOS, CLASS, field)) >>> 2;
    case "ecn":
      return reader.byte(either(reader, start, end, TOS, CLASS, field)) & 3;
    case "timestamp":
      return reader.nanoseconds(there(reader.find(start, end, TIME), field));
    case "drops": {
      // The kernel says nothing while there are none.
      const at = reader.find(start, end, DROPS);
      return at < 0 ? 0 : reader.uint(at);
    }
  }
}

function localAddress(reader: ControlReader, info: number, width: 4 | 16, port: number): DatagramMetadata["localAddr"] {
  const at = reader.address(info, width);
  const ip = reader.bytes.subarray(at, at + width);
  const scope = isLinkScoped(ip) ? reader.interfaceIndex(info, width) : 0;
  return addressIn(local, 0, writeInet(local, 0, "linux", ip, port, scope));
}

function either(reader: ControlReader, start: number, end: number, one: Sought, other: Sought, field: string): number {
  const at = reader.find(start, end, one);
  return at >= 0 ? at : there(reader.find(start, end, other), field);
}

function there(at: number, field: string): number {
  if (at >= 0) return at;
  throw new Error(`Cannot read ${field} of a datagram: the kernel did not tell it`);
}
