// Messages with several buffers and control data: what sendMessage takes and receiveMessage gives, and received descriptors.
// The calls themselves are in socket.ts; control messages become bytes in internal/cmsg.ts.
import type { QueuedError } from "../internal/cmsg.ts";
import type { HasDescriptor } from "../internal/descriptor.ts";
import { libc } from "../internal/libc.ts";
import type { AddressInput, Family, SocketAddress } from "./address.ts";
import type { Socket } from "./socket.ts";

/** A received descriptor: owned until it is adopted, given up or closed. A forgotten one is closed when V8 collects it. */
export interface OwnedDescriptor extends Disposable {
  /** Its number. */
  readonly fd: number;
  /** Gives up ownership. */
  detach(): number;
  /** Closes it. */
  close(): void;
  /** Makes a socket of it, which owns it from then on. */
  adopt(): Socket;
}
/**
 * A control message, by its C name. What a kernel ignores on a socket is refused there when it is sent.
 *
 * - `IP_PKTINFO`, `IPV6_PKTINFO`: received, the address that the datagram was sent to and the interface it came in on;
 *   sent, the address it comes from (a wildcard leaves it to the kernel) and the interface it leaves by (0 likewise).
 *   Echoing what came to a group or a broadcast address needs another address: nothing may come from those.
 * - `IP_TTL`, `IPV6_HOPLIMIT`, `IP_TOS`, `IPV6_TCLASS`: of this datagram, 0 to 255. The first two go to an IPv4
 *   peer, the others to an IPv6 one, whatever the family of the socket.
 * - `UDP_SEGMENT`: sent, the size of the datagrams that the data are cut into. `UDP_GRO`: received, the size of those
 *   that were glued together. `SO_RXQ_OVFL`: received, how many the socket has dropped so far. `SO_MARK`: needs
 *   `CAP_NET_ADMIN` (or `CAP_NET_RAW`) to be sent.
 * - `SCM_TIMESTAMPNS`: when it came, in nanoseconds since 1970; with `SO_TIMESTAMP` on, in whole microseconds of them.
 *   `SCM_TXTIME`: when to send it, by the clock of `SO_TXTIME`, which must be on.
 * - `SCM_RIGHTS`: descriptors, 1 to 253 of them. The receiver gets duplicates, so what is sent stays the sender's; each
 *   received one is owned and must be adopted, detached or closed. On a stream they go with data alone, as all of these do.
 * - `SCM_CREDENTIALS`: process, user and group of the sender, whom the kernel checks.
 * - `IP_RECVERR`, `IPV6_RECVERR`: received from the error queue.
 * - `other`: as the kernel gave it, or is to get it. A level that the socket does not read is ignored in silence. What is
 *   received so may hold a descriptor that somebody must close (that of `SO_PASSPIDFD` does).
 */
export type ControlMessage =
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
  | { readonly name: "SCM_RIGHTS"; readonly descriptors: readonly (OwnedDescriptor | HasDescriptor | number)[] }
  | { readonly name: "SCM_CREDENTIALS"; readonly pid: number; readonly uid: number; readonly gid: number }
  | { readonly name: "IP_RECVERR" | "IPV6_RECVERR"; readonly error: QueuedError }
  | { readonly name: "other"; readonly level: number; readonly type: number; readonly data: Uint8Array<ArrayBuffer> };

/** What `sendMessage` takes. */
export interface OutgoingMessage<F extends Family = Family> {
  /** One buffer, or several in order, at most 1,024. */
  data: Uint8Array | readonly Uint8Array[];
  /** Destination; absent when connected. */
  remoteAddr?: AddressInput<F>;
  /** Control messages. */
  control?: readonly ControlMessage[];
}
/** What `receiveMessage` gives. */
export interface IncomingMessage<F extends Family = Family> {
  /** The part of the buffer that was filled; of several buffers, of the first. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** True length of the whole, also when truncated. */
  readonly byteLength: number;
  /** Sender; null on connected streams. */
  readonly remoteAddr: SocketAddress<F> | null;
  /** Control messages. */
  readonly control: readonly ControlMessage[];
  /** MSG_TRUNC: the message did not fit. */
  readonly truncated: boolean;
  /** MSG_CTRUNC: the control messages did not fit. Descriptors that did are in `control`. */
  readonly controlTruncated: boolean;
  /** MSG_EOR. */
  readonly endOfRecord: boolean;
}
/** Where a message is to go. */
export interface ReceiveTarget {
  /** One buffer, or several filled in order; default 64 KiB of its own. */
  buffer?: Uint8Array<ArrayBuffer> | readonly Uint8Array<ArrayBuffer>[];
  /** Room for control messages in bytes, default 1,024; 0 for none. */
  controlLength?: number;
}

const forgotten = new FinalizationRegistry<number>((fd) => libc("Cannot close a descriptor").close(fd));

/** The owner of a received descriptor. */
export class Owned implements OwnedDescriptor {
  #fd: number;
  readonly #adopt: (fd: number) => Socket;

  constructor(fd: number, adopt: (fd: number) => Socket) {
    this.#fd = fd;
    this.#adopt = adopt;
    forgotten.register(this, fd, this);
  }

  get fd(): number {
    if (this.#fd < 0) {
      throw new Deno.errors.BadResource("Cannot use a received descriptor: it is closed, or has an owner");
    }
    return this.#fd;
  }

  adopt(): Socket {
    const socket = this.#adopt(this.fd);
    this.detach();
    return socket;
  }

  detach(): number {
    const fd = this.fd;
    this.#fd = -1;
    forgotten.unregister(this);
    return fd;
  }

  close(): void {
    libc("Cannot close a descriptor").close(this.detach());
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) this.close();
  }
}
