// How many datagrams one send can be split into: on this machine, which is asked by trying, and to each destination.
// How trains are made of a batch: internal/mmsg.ts. What is done when a path refuses one: native.ts.
import { failed, failedWith } from "../internal/errno.ts";
import { libcIo } from "../internal/libc_io.ts";
import { DATAGRAM_MAX, SINGLE, type Trains } from "../internal/mmsg.ts";
import { sendMessage } from "../internal/msghdr.ts";
import { encodeAddress } from "../internal/sockaddr.ts";
import { encodeControl } from "../internal/cmsg.ts";
import { UDP_SEGMENT } from "../options/mod.ts";
import { Socket } from "../socket/socket.ts";

/** UDP_MAX_SEGMENTS of Linux since 6.9, and before. */
const NEW = 128;
const OLD = 64;
const DOING = "Cannot ask for segments";
/** Destinations that are remembered; one that is forgotten refuses again. */
const MOST = 1024;
/** Where the address begins in a sockaddr, behind family and port: the port is no part of the path. */
const HOST = 4;

type Bytes = Uint8Array<ArrayBuffer>;

/** How far trains go from a socket: as far as the kernel takes them, and less far where the path refused some. */
export class TrainLimits {
  /** Made for the first refusal: most sockets meet none. */
  #less: Map<string, Trains> | null = null;
  /** Another number after every change. */
  version = 0;

  /** How far they go to a destination, a sockaddr; null for the peer. */
  to(destination: Bytes | null): Trains {
    const most = mostTrains();
    return this.#less === null ? most : this.#less.get(keyOf(destination)) ?? most;
  }

  /** Remembers that they go no further. */
  lower(destination: Bytes | null, trains: Trains): void {
    if (this.#less === null || this.#less.size === MOST) this.#less = new Map();
    this.#less.set(keyOf(destination), trains);
    this.version++;
  }

  /** There is another peer, or none. */
  forgetPeer(): void {
    this.#less?.delete(keyOf(null));
    this.version++;
  }

  /** Datagrams that a train may have, wherever it goes. */
  get segments(): number {
    return Math.min(this.to(null).segments, ...[...this.#less?.values() ?? []].map(({ segments }) => segments));
  }
}

function keyOf(destination: Bytes | null): string {
  return destination === null ? "" : destination.subarray(HOST).join();
}

let known: Trains | undefined;

/**
 * How far this kernel takes trains: 128 segments, 64, or 1 where it splits nothing. A socket that is made for it sends
 * itself 65 bytes over loopback, once; nothing leaves the machine. Where not even that works, the most is assumed, as a
 * send that is refused falls back anyway.
 */
function mostTrains(): Trains {
  if (known !== undefined) return known;
  let socket: Socket<"inet">;
  try {
    socket = Socket.open("inet", "dgram");
  } catch {
    // Too many files are open, as it may be: no reason for a send to fail that needs none. The next one asks again.
    return SINGLE;
  }
  using one = socket;
  return known = Object.freeze({ segments: ask(one), bytes: DATAGRAM_MAX });
}

function ask(socket: Socket<"inet">): number {
  // A kernel that never heard of segments takes no notice of their size, and would send a train as one datagram.
  if (!hasSegments(socket)) return 1;
  const io = libcIo(DOING);
  if (failed(io.bind(socket.fd, encodeAddress("inet", { hostname: "127.0.0.1" }, DOING, "linux")))) return NEW;
  const control = encodeControl([{ name: "UDP_SEGMENT", value: 1 }], "inet", DOING, socket, "linux");
  const to = encodeAddress("inet", socket.localAddr!, DOING, "linux");
  if (!failed(sendMessage(io, socket.fd, [new Uint8Array(OLD + 1)], to, control, 0))) return NEW;
  if (failedWith("ENETUNREACH") || failedWith("EAGAIN") || failedWith("ENOBUFS")) return NEW;
  return failed(sendMessage(io, socket.fd, [new Uint8Array(2)], to, control, 0)) ? 1 : OLD;
}

function hasSegments(socket: Socket<"inet">): boolean {
  try {
    UDP_SEGMENT.get(socket);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotSupported) return false;
    throw error;
  }
}
