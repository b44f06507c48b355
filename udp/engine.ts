// What an engine of UdpSocket has to do, and the checks and errors that all engines share.
// Sockets of our own by FFI: native.ts. Those of Deno: portable.ts. What people call: socket.ts.
import { integer, object, shown } from "../internal/argument.ts";
import { errnoNumber, type Remedies } from "../internal/errno.ts";
import { showAddress } from "../internal/sockaddr.ts";
import type { Socket } from "../socket/socket.ts";
import type { WaitOptions } from "../socket/waits.ts";
import type { DatagramBatch } from "./batch.ts";
import type {
  Datagram,
  DatagramField,
  OutgoingDatagram,
  UdpAddress,
  UdpCapabilities,
  UdpDestination,
} from "./types.ts";

export { isClosed } from "../internal/descriptor.ts";

/** A datagram and its sender. */
export type Received = [Uint8Array<ArrayBuffer>, UdpAddress];

/** Which part of a batch. */
export interface Part {
  readonly start?: number;
  readonly end?: number;
}

/** What is beneath a UdpSocket. Its members are those of UdpSocket, of the same names. */
export interface Engine {
  readonly addr: UdpAddress;
  readonly remoteAddr: UdpAddress | null;
  readonly capabilities: UdpCapabilities;
  readonly socket: Socket<"inet" | "inet6">;
  readonly closed: boolean;
  /** Whether there are datagrams that the kernel has given and nobody has received. */
  readonly left: boolean;
  /** Throws where it has nothing for a member. */
  require(member: string): void;
  /** The number of the descriptor. */
  descriptor(): number;
  receive(buffer?: Uint8Array, options?: WaitOptions): Promise<Received>;
  tryReceive(buffer?: Uint8Array): Received | null;
  send(data: Uint8Array, remoteAddr?: UdpDestination | Deno.Addr, options?: WaitOptions): Promise<number>;
  trySend(data: Uint8Array, remoteAddr?: UdpDestination): number | null;
  receiveMessage(options?: WaitOptions & { buffer?: Uint8Array<ArrayBuffer> }): Promise<Datagram<DatagramField>>;
  sendMessage(datagram: OutgoingDatagram, options?: WaitOptions): Promise<number>;
  reply(to: Datagram<"localAddr">, data: Uint8Array): Promise<number>;
  receiveBatch(batch: DatagramBatch, options?: WaitOptions): Promise<number>;
  tryReceiveBatch(batch: DatagramBatch): number | null;
  sendBatch(batch: DatagramBatch | readonly OutgoingDatagram[], options?: WaitOptions & Part): Promise<number>;
  trySendBatch(batch: DatagramBatch, options?: Part): number | null;
  connect(remoteAddr: UdpDestination): void;
  disconnect(): void;
  joinMulticastV4(address: string, networkInterface: string): Promise<Deno.MulticastV4Membership>;
  joinMulticastV6(address: string, networkInterface: number): Promise<Deno.MulticastV6Membership>;
  /** Whether an error is one that the network reported of an earlier datagram: no reason for a loop to end. */
  reported(error: unknown): boolean;
  ref(): void;
  unref(): void;
  close(): void;
}

/** A socket in messages. */
export function nameOf(addr: UdpAddress): string {
  return `udp ${showAddress(addr)}`;
}

/** What refusals to bind mean. */
export const BIND_REMEDIES: Remedies = {
  EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE",
  EADDRINUSE: "another socket has the address; to share it both must say `reuseAddress: true`",
  EADDRNOTAVAIL: "no interface of this machine has the address",
  EINVAL: 'a link-local address needs its zone, as in "fe80::1%eth0"',
};

/** What refusals to send mean, from an address to an address. */
export function sendRemedies(from: UdpAddress, to: UdpAddress | null): Remedies {
  const everyone = to?.hostname === "255.255.255.255" || to?.hostname === "::ffff:255.255.255.255";
  const loopback = /^(::ffff:)?127\./.test(from.hostname);
  return {
    EACCES: "a broadcast address needs `broadcast: true`",
    EPERM: "a firewall of this machine forbids it",
    EAFNOSUPPORT: 'the socket is of the other family; one bound to "::" sends to both',
    EMSGSIZE: "the path takes no datagram of this size, and IP_MTU_DISCOVER forbids to split it",
    ENOBUFS: "the queue of the interface is full: try again a little later",
    ECONNREFUSED: "an earlier datagram was refused: nothing receives there",
    EDESTADDRREQ: "the socket has no peer, so remoteAddr must be given",
    EINVAL: loopback
      ? 'the socket is bound to loopback, from where nothing leaves this machine: bind it to "0.0.0.0" or to an address of ' +
        "the interface that it shall leave by"
      : 'a link-local address needs its zone, as in "fe80::1%eth0", and that of the socket; a source address must be one ' +
        "of this machine",
    ENETUNREACH: everyone
      ? "255.255.255.255 goes out by the default route, and there is none: send to the broadcast address of an interface, " +
        "which networkInterfaces() tells, or tie the socket to one with SO_BINDTODEVICE"
      : "there is no route to this address from the address the socket is bound to; a source address must be one of this " +
        "machine",
  };
}

/** A datagram that does not fit, one way or the other. */
export function tooLong(syscall: string, doing: string, why: string): Error {
  const error = new Error(`${doing}: EMSGSIZE (message too long); ${why}`);
  return Object.assign(error, { code: "EMSGSIZE", errno: errnoNumber("EMSGSIZE"), syscall });
}

/** Whether the memory of a buffer went elsewhere, to another thread for one. */
export function isDetached(buffer: Uint8Array): boolean {
  return buffer.byteLength === 0 && buffer.buffer instanceof ArrayBuffer && buffer.buffer.detached;
}

export function detached(doing: string): TypeError {
  return new TypeError(`${doing}: the buffer is detached, it must be one that still has its memory`);
}

/** The range of a batch that is meant. */
export function partOf(options: Part | undefined, length: number, doing: string): { start: number; end: number } {
  if (options === undefined) return { start: 0, end: length };
  const { start = 0, end = length } = options;
  integer(start, `${doing}: start`, 0, length);
  integer(end, `${doing}: end`, 0, length);
  if (start > end) throw new RangeError(`${doing}: start is ${start}, it must not be above end, ${end}`);
  return { start, end };
}

/** A datagram to send, or an error that begins with what it is. */
export function outgoing(datagram: unknown, what: string): OutgoingDatagram {
  return object(datagram, what, "an object with data") as unknown as OutgoingDatagram;
}

/** The bytes of a datagram in one piece. */
export function whole(data: Uint8Array | readonly Uint8Array[], doing: string): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (!Array.isArray(data)) {
    throw new TypeError(`${doing}: the data is ${shown(data)}, it must be a Uint8Array or an array of them`);
  }
  const parts: readonly unknown[] = data;
  let length = 0;
  for (const part of parts) {
    if (!(part instanceof Uint8Array)) {
      throw new TypeError(`${doing}: a part of the data is ${shown(part)}, it must be a Uint8Array`);
    }
    if (isDetached(part)) throw detached(doing);
    length += part.byteLength;
  }
  const result = new Uint8Array(length);
  let at = 0;
  for (const part of parts as readonly Uint8Array[]) {
    result.set(part, at);
    at += part.byteLength;
  }
  return result;
}
