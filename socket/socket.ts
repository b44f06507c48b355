// Socket: the calls of the socket API, with promises where C waits and twins that never do.
// How a call waits is waits.ts, which descriptors are ready internal/reactor.ts; addresses as people write them, address.ts.
import type { Socket as NodeSocket } from "node:net";
import { integer, object, prefixed, shown } from "../internal/argument.ts";
import { constant } from "../internal/constants.ts";
import {
  addressOf,
  describe,
  DESCRIPTOR,
  type Descriptor,
  descriptorOf,
  type HasDescriptor,
  isClosed,
  TIMEOUTS,
} from "../internal/descriptor.ts";
import {
  check,
  errnoNumber,
  failed,
  failedWith,
  lastErrno,
  type Remedies,
  systemErrorOf,
  withSent,
} from "../internal/errno.ts";
import { decodeControl, encodeControl } from "../internal/cmsg.ts";
import { LAYOUT } from "../internal/layout.ts";
import { libc } from "../internal/libc.ts";
import { join, leave, type Place, turnOf } from "../internal/line.ts";
import { type LibcIo, libcIo } from "../internal/libc_io.ts";
import { type RawMessage, receiveMessage, sendMessage, touch } from "../internal/msghdr.ts";
import { specOf } from "../internal/option_call.ts";
import { checkWholeNet } from "../internal/permission.ts";
import {
  afterTurn,
  closing,
  type Entry,
  hold,
  LOOK,
  nobodyWaits,
  PEER_DONE,
  READABLE,
  refWaiters,
  SHORT,
  turn,
  wakeWaiters,
  WRITABLE,
} from "../internal/reactor.ts";
import {
  encodeAddress,
  FAMILIES,
  fillPort,
  isUnbound,
  readSockaddr,
  showAddress,
  SOCKADDR_MAX,
} from "../internal/sockaddr.ts";
import type { AddressInput, Family, PacketAddress, Protocol, SocketAddress, SocketType } from "./address.ts";
import {
  bindRemedies,
  connectRemedies,
  cutsInSilence,
  DESCRIPTOR_REMEDIES,
  hasPorts,
  needsWholeNet,
  openRemedies,
  protocolArgument,
  protocolNumber,
  SEND_REMEDIES,
  TYPES,
  word,
  wordsOf,
} from "./families.ts";
import { LEFT, toldOfLeft } from "./left.ts";
import { type IncomingMessage, type OutgoingMessage, Owned, type ReceiveTarget } from "./message.ts";
import { permitted, type Use } from "./permission.ts";
import { completeMode, SocketFile } from "./socket_file.ts";
import { connOf, listenerOf, nodeSocketOf } from "./conn.ts";
import {
  BACK_OFF,
  DOING,
  isExhausted,
  Pauses,
  readiness,
  signalOf,
  type SocketTimeouts,
  Timeouts,
  type WaitKind,
  type WaitOptions,
} from "./waits.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Flags of sending, those of send(2). */
export interface SendFlags {
  /** MSG_OOB: urgent data of a stream. */
  outOfBand?: boolean;
  /** MSG_DONTROUTE: only to directly connected hosts. */
  dontRoute?: boolean;
  /** MSG_MORE: more follows. */
  more?: boolean;
  /** MSG_EOR: ends a record, on seqpacket sockets. */
  endOfRecord?: boolean;
  /** MSG_CONFIRM: the neighbour has answered. */
  confirm?: boolean;
}
/** Flags of receiving, those of recv(2). */
export interface ReceiveFlags {
  /** MSG_PEEK: the data stay where they are. */
  peek?: boolean;
  /** MSG_OOB: urgent data of a stream. */
  outOfBand?: boolean;
  /** MSG_ERRQUEUE, on `receiveMessage` alone and without the others; unix and netlink sockets have no such queue. */
  errorQueue?: boolean;
}

const ACCEPT_REMEDIES: Remedies = { EINVAL: "the socket does not listen: call listen() first", ...DESCRIPTOR_REMEDIES };

/** Where calls wait for those that were made before them. */
type Line = "#receivers" | "#senders";

/** What calls are called in messages; made once, as thousands may wait. */
const VERBS = { receive: "receive on", send: "send on", accept: "accept on" } as const;
/** What the kernel has no event for is tried again after so many milliseconds: the queue of a unix listener or receiver is full. */
const QUEUE_RETRY = 5;
/** The same where it is the queue of an interface, which is soon sent. */
const INTERFACE_RETRY = 1;

/** Where goes what is received without a buffer; what came is copied out before anything else can be received. */
const frameRoom = new Uint8Array(65_536 + 128);
/** The same without place for a link-layer header before the largest packet. */
const room = frameRoom.subarray(0, 65_536);
const name = new Uint8Array(SOCKADDR_MAX);
const nameLength = new Uint32Array(1);
const now = performance.now.bind(performance);

/** A connect, and all the calls that wait for it. */
interface Attempt {
  readonly bytes: Bytes;
  /** Whether the kernel goes on with it by itself: not where the queue of a unix listener was full. */
  goesOn: boolean;
  /** How it ended, 0 for connected; null before. */
  errno: number | null;
}

/** A descriptor of a socket, as long as that socket owns it. */
interface Held {
  readonly fd: number;
}

/** Descriptors that are open and who has them, to be closed when the program ends or starts anew (`--watch`). */
const open = new Map<number, Held>();

/** The descriptors of the sockets of this isolate that are open: theirs, until they are closed or given away. */
export function openedHere(): ReadonlyMap<number, unknown> {
  return open;
}

function closeAll(): void {
  for (const fd of open.keys()) libc("Cannot close a socket").close(fd);
  open.clear();
}

/** Closes what a program forgot, once V8 collects it; an idle program collects nothing. */
const forgotten = new FinalizationRegistry<Held>((held) => {
  // Another owner may have closed it, and the number may be another's by now.
  if (open.get(held.fd) !== held) return;
  open.delete(held.fd);
  // Else its successor of the same number would be taken for it.
  closing(held.fd, isClosed("Cannot wait for a socket"));
  libc("Cannot close a socket").close(held.fd);
});

let families: Map<number, string> | undefined;
let types: Map<number, string> | undefined;

let make: <F extends Family>(found: Pick<Descriptor, "fd" | "protocol">, family: F, type: SocketType) => Socket<F>;

/** How long the waits of a socket look before they sleep, in milliseconds; undefined, as they are born: as long as it pays. */
export let setLook: (socket: Socket, look: number | undefined) => void;

/** The descriptor of a socket, negative once it is closed. */
export let fdOf: (socket: Socket) => number;

/**
 * Waits as the calls of a socket do, for who makes calls of its own on the descriptor. Resolves to when the call began to
 * wait, which is to be given again, 0 at first.
 */
export let ready: (
  socket: Socket,
  interest: typeof READABLE | typeof WRITABLE,
  signal: AbortSignal | undefined,
  verb: string,
  began: number,
) => Promise<number>;

/** The same while the queue of an interface is full (ENOBUFS), which no event tells the end of: pauses. */
export let drained: (socket: Socket, signal: AbortSignal | undefined, verb: string, began: number) => Promise<number>;

/** Says whether there are datagrams that were taken from a socket and given to nobody yet; those who wait look again. */
export let leaveAbove: (socket: Socket, left: boolean) => void;

/** Its addresses are checked by the caller: those that a name was resolved to need not be granted, as the name is. */
export let trust: (socket: Socket) => void;

/**
 * Accepts by a call that may do more than accept(), until the socket is closed; see {@linkcode Socket}'s iteration. `close`
 * closes the socket by its owner, once or again.
 */
export let eachOf: <T>(socket: Socket, accept: () => Promise<T>, close: () => void) => AsyncIterableIterator<T>;

/** Gives all that a socket is to a new object; the old one is closed from then on. */
export let moved: (socket: Socket) => Socket;

/** Gives the descriptor of a socket to another owner, with the bytes that were taken from it and not told yet. */
export let handOver: <T>(socket: Socket, take: (fd: number) => T) => [owner: T, left: Uint8Array<ArrayBuffer> | null];

/**
 * A socket of any family, type and protocol that this library opens itself: for what Deno cannot open, or what must be set
 * before a socket is bound or connected.
 *
 * It never blocks, is closed on exec, and waits in Deno's event loop. A call that waits takes a signal; aborting it loses
 * nothing, and the socket stays usable. The `try` twins never wait: they give `null` where C says EAGAIN, and for nothing
 * else. Every option of `@berkeley/sockets/options` takes a socket.
 *
 * What the system refuses has the class that Deno would use, and `code`, `errno` and `syscall` (`SystemError`); each call
 * names here what is usual of it. An address that is none is a `SyntaxError`, one of another family a `TypeError`. A call
 * whose time in `timeouts` is over rejects with `Deno.errors.TimedOut`, one that a signal ends with its reason. Calls on a
 * closed socket throw `Deno.errors.BadResource`, and those that wait when it is closed reject with it.
 *
 * Linux. Needs `--allow-ffi`, and `--allow-net` for what it binds, connects and sends to, as Deno's own sockets do; unix
 * paths need `--allow-read` and `--allow-write` too. Close sockets before a Worker is terminated: what it leaves open stays
 * open. A socket that is not closed is when V8 collects it, which an idle program never does.
 *
 * @example A datagram over unix sockets, which Deno has no client for
 * ```ts
 * import { Socket } from "@berkeley/sockets/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = Socket.pair("dgram");
 * await left.send(new TextEncoder().encode("hello"));
 * assertEquals(new TextDecoder().decode(await right.receive()), "hello");
 * assertEquals(right.tryReceive(), null);
 * left.close();
 * right.close();
 * ```
 *
 * @example A TCP connection from a chosen port
 * ```ts
 * import { Socket } from "@berkeley/sockets/socket";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Socket.open("inet", "stream");
 * listener.bind({ hostname: "127.0.0.1", port: 0 });
 * listener.listen();
 * using client = Socket.open("inet", "stream");
 * client.bind({ hostname: "127.0.0.1", port: 0 });
 * await client.connect(listener.localAddr!);
 * using served = await listener.accept();
 * assertEquals(served.remoteAddr, client.localAddr);
 * ```
 */
export class Socket<F extends Family = Family> implements HasDescriptor, Disposable, AsyncIterable<Socket<F>> {
  readonly #io: LibcIo = libcIo("Cannot open a socket");
  #fd: number;
  #entry: Entry | null = null;
  #refed = true;
  #timeouts: Timeouts | null = null;
  #pauses: Pauses | null = null;
  /** Whether a datagram socket was told to read no more: the kernel says so by an event, and never by a result. */
  #deaf = false;
  #lastWait = Infinity;
  /** How long its waits look before they sleep, in milliseconds; undefined: as long as it pays. */
  #look: number | undefined = undefined;
  /** What a receive that was to fill its buffer had taken when it was aborted. */
  #left: Bytes | null = null;
  /** Whether who made this socket has datagrams that came by it and that nobody received yet. */
  #leftAbove = false;
  /** How many bytes those have taken that are still to fill their buffers. */
  #taken = 0;
  /** The last of the calls that wait to receive, and of those that wait to send: who comes later waits behind it. */
  #receivers: Place | null = null;
  #senders: Place | null = null;
  /** The connect that is not over, as far as is known. */
  #attempt: Attempt | null = null;
  #unlink: SocketFile | null = null;
  /** Whether permissions were asked for already. */
  #trusted = false;
  /** Whether datagrams must be received whole to know how long they are. */
  readonly #cuts: boolean;

  /** Family. */
  readonly family: F;
  /** Type. */
  readonly type: SocketType;
  /** Protocol number; of a packet socket the ethertype that it was opened with. */
  readonly protocol: number;

  static {
    make = (found, family, type) => new Socket(found, family, type);
    fdOf = (socket) => socket.#fd;
    ready = async (socket, interest, signal, verb, began) => {
      const since = began || now();
      if (interest === READABLE) socket.#refuseDeaf("recvfrom");
      socket.#heard(
        await socket.#ready(interest, interest === READABLE ? "receive" : "send", signal, verb, since),
      );
      return since;
    };
    drained = async (socket, signal, verb, began) => {
      const since = began || now();
      await socket.#pause("send", verb, signal, since, INTERFACE_RETRY);
      return since;
    };
    leaveAbove = (socket, left) => {
      socket.#leftAbove = left;
      if (left) socket.#tellOfLeft();
    };
    setLook = (socket, look) => {
      socket.#look = look;
    };
    trust = (socket) => {
      socket.#trusted = true;
    };
    eachOf = (socket, accept, close) => socket.#each(accept, close);
    handOver = (socket, take) => {
      socket.#refuseTaken("give away", socket.#taken);
      const left = socket.#left;
      const owner = take(socket.fd);
      socket.#giveUp("give away");
      return [owner, left];
    };
    moved = (socket) => {
      socket.#refuseTaken("give away", socket.#taken);
      const { family, type, protocol } = socket;
      const [refed, left, unlink, timeouts] = [socket.#refed, socket.#left, socket.#unlink, socket.#timeouts?.visible];
      const to = new Socket({ fd: socket.#giveUp("move"), protocol }, family, type);
      to.#refed = refed;
      to.#left = left;
      to.#unlink = unlink;
      to.#look = socket.#look;
      if (timeouts !== undefined) Object.assign(to.timeouts, timeouts);
      return to;
    };
  }

  private constructor(found: Pick<Descriptor, "fd" | "protocol">, family: F, type: SocketType) {
    this.#fd = found.fd;
    this.family = family;
    this.type = type;
    this.protocol = found.protocol;
    this.#cuts = cutsInSilence(family, type, found.protocol);
    if (open.size === 0) globalThis.addEventListener("unload", closeAll);
    const held = { fd: found.fd };
    open.set(found.fd, held);
    forgotten.register(this, held, this);
  }

  /**
   * Opens a socket: socket(2).
   *
   * - inet, inet6: "stream" is TCP, "dgram" UDP, or a ping socket with "icmp" and "icmp6", which `net.ipv4.ping_group_range`
   *   must allow. "raw" takes any protocol and needs `CAP_NET_RAW`; with `IP_HDRINCL` on, or the protocol "ip" ("ipv6" on
   *   inet6), what is sent begins with its header. Where there are no ports, an address has the protocol as its port: the
   *   own one of a raw socket, and the peer of a raw or ping socket. That of a ping socket is its id.
   * - unix: "stream", "dgram", "seqpacket".
   * - packet: "raw" with the link-layer header, "dgram" without; needs `CAP_NET_RAW`. Only with "all" it hears what this
   *   machine sends, too. With a protocol it hears every interface until bind(): to miss nothing and hear nothing else,
   *   open it without one, attach the filter, and name the protocol at bind().
   * - vsock: "stream", "seqpacket" and "dgram", as far as the transport has them.
   * - netlink: "raw" or "dgram", which are the same.
   * - bluetooth: l2cap "seqpacket", "stream" or "dgram", rfcomm "stream" or "raw", hci "raw", sco "seqpacket".
   *
   * Raw, packet, netlink and bluetooth sockets need all of `--allow-net`, at once; of the others, what they bind, connect
   * and send to is asked for.
   *
   * Not all of it was run. The machine of the tests has no vsock transport within itself: vsock sockets were opened, bound
   * and refused, but never connected. Its kernel has no Bluetooth at all: addresses and options of that are compared with
   * BlueZ's headers, and that is all.
   *
   * @param family The family.
   * @param type The type.
   * @param protocol By name or number; default: the usual one of family and type.
   * @returns The socket, not bound.
   * @throws {Deno.errors.NotSupported} This kernel has no such family, type or protocol; the message says which.
   * @throws {Deno.errors.PermissionDenied} The user may not; the message names the privilege.
   * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing, or all of `--allow-net`.
   *
   * @example The kernel answers a question by netlink: the name of the first interface
   * ```ts
   * import { Socket } from "@berkeley/sockets/socket";
   * import { assert, assertEquals } from "@std/assert";
   *
   * using socket = Socket.open("netlink", "raw", "route");
   * // struct nlmsghdr: length, RTM_GETLINK and NLM_F_REQUEST; struct ifinfomsg: interface 1
   * const request = new Uint8Array(Uint32Array.of(32, 18 | 1 << 16, 0, 0, 0, 1, 0, 0).buffer);
   * await socket.sendTo(request, { pid: 0 });
   * const [answer, from] = await socket.receiveFrom();
   * assertEquals(from, { family: "netlink", pid: 0 });
   * assert(new TextDecoder().decode(answer).includes("lo\0"));
   * ```
   */
  static open<F extends Family>(family: F, type: SocketType, protocol: Protocol = 0): Socket<F> {
    const doing = `Cannot open a socket of family ${shown(family)} and type ${shown(type)}`;
    const domain = word(FAMILIES, family);
    const kind = word(TYPES, type);
    if (domain === undefined) {
      throw new Deno.errors.NotSupported(
        `${doing}: the family must be one of ${Object.keys(FAMILIES).join(", ")}`,
      );
    }
    // The kernel would make a dgram socket of a raw unix one, without a word.
    if (kind === undefined || (family === "unix" && type === "raw")) {
      const types = Object.keys(TYPES).filter((one) => family !== "unix" || one !== "raw");
      throw new Deno.errors.NotSupported(`${doing}: the type must be one of ${types.join(", ")}`);
    }
    const number = protocolNumber(family, type, protocol, doing);
    const { socket } = libc(doing);
    if (needsWholeNet(family, type)) checkWholeNet(doing);
    const argument = protocolArgument(family, number);
    const result = socket(constant(domain, "linux"), constant(kind, "linux") | BIRTH, argument);
    return made<F>(check(result, "socket", doing, openRemedies(family, type, number)), doing);
  }

  /**
   * Two unix sockets that are connected with each other: socketpair(2).
   *
   * @param type Default "stream".
   * @returns The two.
   */
  static pair(type: Exclude<SocketType, "raw"> = "stream"): [Socket<"unix">, Socket<"unix">] {
    const doing = `Cannot open a pair of sockets of type ${shown(type)}`;
    const kind = word(TYPES, type);
    if (kind === undefined || kind === "SOCK_RAW") {
      throw new TypeError(`${doing}: the type must be one of stream, dgram, seqpacket`);
    }
    const io = libcIo(doing);
    const fds = new Int32Array(2);
    const result = io.socketpair(constant("AF_UNIX", "linux"), constant(kind, "linux") | BIRTH, 0, fds);
    check(result, "socketpair", doing, DESCRIPTOR_REMEDIES);
    return [made<"unix">(fds[0]!, doing), made<"unix">(fds[1]!, doing)];
  }

  /**
   * Takes ownership of a descriptor that is open already; it never blocks from then on, and is closed on exec.
   *
   * @param fd The descriptor.
   * @returns The socket; its family, type and protocol are asked of the kernel.
   * @throws {TypeError} It is no socket.
   * @throws {Deno.errors.NotSupported} It is of a family or type that this library has no words for.
   */
  static adopt(fd: number): Socket {
    const doing = `Cannot adopt descriptor ${shown(fd)}`;
    integer(fd, `${doing}: it`, 0, 2 ** 31 - 1);
    const io = libcIo(doing);
    const flags = io.fcntl(fd, constant("F_GETFL", "linux"), 0);
    check(flags, "fcntl", doing);
    try {
      descriptorOf({ [DESCRIPTOR]: fd }, doing);
    } catch (error) {
      if (error instanceof Deno.errors.BadResource) throw new TypeError(`${doing}: it is no socket`);
      throw error;
    }
    const socket = made<Family>(fd, doing, false);
    try {
      check(io.fcntl(fd, constant("F_SETFL", "linux"), flags | constant("O_NONBLOCK", "linux")), "fcntl", doing);
      check(io.fcntl(fd, constant("F_SETFD", "linux"), constant("FD_CLOEXEC", "linux")), "fcntl", doing);
    } catch (error) {
      // It stays the caller's.
      socket.#giveUp("adopt");
      throw error;
    }
    return socket;
  }

  /** The descriptor, for `@berkeley/sockets/options`. */
  get [DESCRIPTOR](): number {
    return this.fd;
  }

  /**
   * The descriptor, for other FFI.
   *
   * @throws {Deno.errors.BadResource} The socket is closed.
   */
  get fd(): number {
    if (this.#fd < 0) throw isClosed("Cannot use a socket");
    return this.#fd;
  }

  /** Own address, getsockname(2); null before bind. */
  get localAddr(): SocketAddress<F> | null {
    const address = addressOf(this.fd, "local");
    const raw = this.type === "raw" && (this.family === "inet" || this.family === "inet6");
    return address === null || isUnbound(address, raw) ? null : address as SocketAddress<F>;
  }

  /** The peer's address, getpeername(2); null when not connected. Most unix peers have no name: their path is "". */
  get remoteAddr(): SocketAddress<F> | null {
    return addressOf(this.fd, "remote") as SocketAddress<F> | null;
  }

  /** Default waits in milliseconds; may be changed at any time, also while a call waits. */
  get timeouts(): SocketTimeouts {
    return (this.#timeouts ??= new Timeouts(this, () => this.#entry?.waiters ?? [])).visible;
  }

  /** What SO_RCVTIMEO and SO_SNDTIMEO read and set. */
  get [TIMEOUTS](): SocketTimeouts {
    return this.timeouts;
  }

  /** Whether `poll` is to take it for readable, whatever the kernel says. */
  get [LEFT](): boolean {
    return this.#left !== null || this.#leftAbove;
  }

  /** What a call does, in the message of a timeout. */
  [DOING](verb: string): string {
    // Who is not reached matters, not the port at this end.
    if (verb === "connect" && this.#attempt !== null) return this.#connectDoing(this.#attempt.bytes);
    return `Cannot ${verb} ${this.#shown()}`;
  }

  /** The socket in messages; the calls that it takes leave errno behind, so errors are kept before. */
  #shown(): string {
    return this.#fd < 0 ? `${this.family} ${this.type}` : describe(descriptorOf(this, "Cannot describe"));
  }

  #error(syscall: string, verb: string, remedies?: Remedies, errno = lastErrno()): Error {
    return systemErrorOf(errno, syscall, `Cannot ${verb} ${this.#shown()}`, remedies);
  }

  #open(verb: string): number {
    if (this.#fd < 0) throw isClosed(`Cannot ${verb} ${this.#shown()}`);
    return this.#fd;
  }

  #encode(address: AddressInput<F>, use: Use): Bytes {
    // bind() may have changed what a packet socket hears.
    const asks = this.family === "packet" && (address as Partial<PacketAddress> | null)?.protocol === undefined;
    const own = asks ? ethertypeOf(this.fd) : this.protocol;
    const doing = `Cannot ${use === "send" ? "send on" : use} ${this.family} ${this.type}`;
    return this.#trusted
      ? encodeAddress(this.family, address, doing, "linux", own)
      : permitted(this.family, address, use, doing, own);
  }

  /** Waits; resolves to the bits that came. What a timeout counts from is `since`. */
  #ready(
    interest: number,
    kind: WaitKind,
    signal: AbortSignal | undefined,
    verb: string,
    since: number,
  ): Promise<number> {
    // Another owner of the same number gave it up: it may be open still.
    if (this.#entry?.holders === 0) this.#entry = null;
    return readiness({
      entry: this.#entry ??= hold(this.#open(verb)),
      interest,
      refed: this.#refed,
      look: this.#look,
      signal,
      owner: this,
      kind,
      since,
      timeout: this.#timeouts?.visible[kind],
      verb,
    });
  }

  /** Waits a while for what the kernel tells no event of. */
  async #pause(
    kind: WaitKind,
    verb: string,
    signal: AbortSignal | undefined,
    since: number,
    milliseconds = QUEUE_RETRY,
  ): Promise<void> {
    const limit = this.#timeouts?.visible[kind] ?? Infinity;
    if (now() - since >= limit) {
      throw new Deno.errors.TimedOut(`Cannot ${verb} ${this.#shown()}: nothing within ${limit} ms`);
    }
    await (this.#pauses ??= new Pauses(this.#refed)).pause(milliseconds, signal);
  }

  /** In which line a call stands when it waits; null for those that nobody has to wait behind. */
  #lineOf(kind: WaitKind, interest: number, options: WaitOptions & ReceiveFlags | undefined): Line | null {
    // What the error queue has, and what is urgent, comes by another way than the data.
    if (kind === "receive") return interest === 0 || options?.outOfBand === true ? null : "#receivers";
    // Datagrams may go to several receivers, and one of them may be full.
    return kind === "send" && (this.type === "stream" || this.type === "seqpacket") ? "#senders" : null;
  }

  #lastOf(line: Line | null): Place | null {
    return line === null ? null : line === "#receivers" ? this.#receivers : this.#senders;
  }

  #setLast(line: Line, last: Place | null): void {
    if (line === "#receivers") this.#receivers = last;
    else this.#senders = last;
  }

  #join(line: Line): Place {
    const place = join(this.#lastOf(line));
    this.#setLast(line, place);
    return place;
  }

  #giveUpPlace(line: Line, place: Place): void {
    this.#setLast(line, leave(place, this.#lastOf(line)));
  }

  /**
   * Makes a call again and again until it has not to wait, and lets others have their turn also when it never had to.
   * Calls that wait are served in the order in which they were made.
   *
   * @param attempt The call, now; null when it would block.
   * @param silent Whether the kernel has no event for what is waited for.
   */
  #until<T>(
    attempt: () => T | null,
    interest: number,
    kind: "receive" | "send" | "accept",
    options: WaitOptions | undefined,
    silent = false,
  ): Promise<T> {
    // What need not wait needs no asynchronous function, which costs as much as a short call.
    try {
      const signal = options === undefined ? undefined : signalOf(options, () => this.#doing(kind));
      const line = this.#lineOf(kind, interest, options);
      if (this.#lastOf(line) === null) {
        const result = attempt();
        if (result !== null) return afterTurn(result, weight(result));
      } else this.#open(VERBS[kind]);
      return this.#untilReady(attempt, interest, kind, signal, silent, line);
    } catch (error) {
      return afterTurn(null).then(() => {
        throw error;
      });
    }
  }

  async #untilReady<T>(
    attempt: () => T | null,
    interest: number,
    kind: "receive" | "send" | "accept",
    signal: AbortSignal | undefined,
    silent: boolean,
    line: Line | null,
  ): Promise<T> {
    const verb = VERBS[kind];
    const place = line === null ? null : this.#join(line);
    try {
      const others = place === null ? null : turnOf(place, signal);
      for (let since = 0, behind = others !== null;; behind = false) {
        const began = now();
        since ||= began;
        if (behind) await others;
        else if (silent) await this.#pause(kind, verb, signal, since);
        else this.#heard(await this.#ready(interest, kind, signal, verb, since));
        this.#lastWait = now() - began;
        let result: T | null;
        try {
          result = attempt();
        } catch (error) {
          await afterTurn(null);
          throw error;
        }
        if (result !== null) return await afterTurn(result, weight(result));
      }
    } finally {
      if (place !== null) this.#giveUpPlace(line!, place);
    }
  }

  #doing(kind: "receive" | "send" | "accept"): string {
    return `Cannot ${VERBS[kind]} ${this.#shown()}`;
  }

  /** Of a socket without connections, the kernel says by an event alone that it was told to receive no more. */
  #heard(events: number): void {
    if ((events & PEER_DONE) !== 0 && this.type !== "stream") this.#deaf = true;
  }

  /** Whether a call that failed is to be made again once the socket is ready; throws what is no such failure. */
  #blocked(syscall: string, verb: string, remedies?: Remedies): boolean {
    if (failedWith("EAGAIN")) return true;
    if (failedWith("EINTR")) return false;
    throw this.#error(syscall, verb, remedies);
  }

  /**
   * Binds to an address of this machine: bind(2).
   *
   * @param address The address; port 0 for any that is free, a unix path of "" for a name of the kernel's choice.
   * @param options The mode of a unix path, whatever the mask of the process is, in force before anyone can connect whom
   * it keeps out; whether close() removes the path, unless it is another socket's by then.
   * @throws {Deno.errors.AddrInUse} "EADDRINUSE": another socket has the address, or left its unix path behind.
   * @throws {Deno.errors.AddrNotAvailable} "EADDRNOTAVAIL": the address is none of this machine's.
   * @throws {Deno.errors.PermissionDenied} "EACCES": a port below 1024, or a folder that may not be written.
   * @throws {Deno.errors.NotCapable} `--allow-net` does not cover the address, or the unix path is not granted.
   * @throws {TypeError} "EINVAL": the socket is bound already, or a link-local address lacks its zone.
   */
  bind(address: AddressInput<F>, options: { mode?: number; unlinkOnClose?: boolean } = {}): void {
    const fd = this.#open("bind");
    const bytes = this.#encode(address, "bind");
    const { mode, unlinkOnClose = false } = options;
    const path = this.family === "unix" ? bytes.subarray(UNIX_PATH) : nothing();
    const isFile = path.byteLength > 0 && path[0] !== 0;
    if (mode !== undefined) {
      if (!isFile) {
        throw new TypeError(`Cannot bind ${this.#shown()}: mode is of unix paths alone, nothing else has one`);
      }
      integer(mode, "Cannot bind: mode", 0, 0o7777);
      // On Linux the file of a unix socket is born with the mode of the socket, less the mask: nobody can connect before.
      if (failed(this.#io.fchmod(fd, mode))) throw this.#error("fchmod", "set the mode of");
    }
    const file = unlinkOnClose && isFile ? new SocketFile(path, `Cannot bind ${this.#shown()}`) : null;
    if (failed(this.#io.bind(fd, bytes))) {
      const errno = lastErrno();
      const shownAddress = showAddress(readSockaddr(bytes, "linux"));
      throw systemErrorOf(
        errno,
        "bind",
        `Cannot bind ${this.family} ${this.type} ${shownAddress}`,
        bindRemedies(this.family),
      );
    }
    file?.note();
    this.#unlink = file;
    if (mode !== undefined && !completeMode(this.#io, path, mode)) throw this.#error("fchmodat", "set the mode of");
  }

  /**
   * Waits for connections: listen(2).
   *
   * @param backlog How many may wait to be accepted, default 511; the system has a limit of its own (net.core.somaxconn).
   */
  listen(backlog = 511): void {
    const fd = this.#open("listen on");
    integer(backlog, "Cannot listen: the backlog", 0, 2 ** 31 - 1);
    if ((this.family === "inet" || this.family === "inet6") && this.localAddr === null) {
      // The kernel binds it then, to any address and port.
      const any: AddressInput<"inet" | "inet6"> = { hostname: this.family === "inet" ? "0.0.0.0" : "::", port: 0 };
      this.#encode(any as unknown as AddressInput<F>, "bind");
    }
    if (failed(this.#io.listen(fd, backlog))) {
      const errno = lastErrno();
      const remedy = this.remoteAddr === null ? "bind() it first" : "it is connected";
      throw this.#error("listen", "listen on", { EINVAL: remedy }, errno);
    }
  }

  /**
   * Takes a connection: accept(2).
   *
   * @param options A signal that ends the wait.
   * @returns The connection.
   * @throws {TypeError} "EINVAL": the socket does not listen.
   */
  accept(options?: WaitOptions): Promise<Socket<F>> {
    return this.#until(() => this.tryAccept(), READABLE, "accept", options);
  }

  /** Takes a connection, now; null when nobody waits. */
  tryAccept(): Socket<F> | null {
    const fd = this.#open("accept on");
    for (;;) {
      const result = this.#io.accept(fd, name, nameLength, BIRTH);
      if (!failed(result)) return made<F>(result, "Cannot accept");
      if (this.#blocked("accept", "accept on", ACCEPT_REMEDIES)) return null;
    }
  }

  /**
   * Connects: connect(2). Of a datagram socket only the peer is set.
   *
   * Calls to one address share an attempt, and how it ends. After an abort it goes on in the kernel: the next call to the
   * same address joins it, one to another address undoes it first, unless it has connected by then.
   *
   * @param address The peer, a literal address: see `resolveAddress`.
   * @param options A signal that ends the wait.
   * @throws {Deno.errors.ConnectionRefused} "ECONNREFUSED": nothing listens there.
   * @throws {SystemError} "EISCONN": a stream is connected already; "ENETUNREACH", "ENOENT" of a unix path, and others.
   * @throws {Deno.errors.NotCapable} `--allow-net` does not cover the address, or the unix path is not granted.
   */
  async connect(address: AddressInput<F>, options?: WaitOptions): Promise<void> {
    const signal = signalOf(options, () => `Cannot connect ${this.#shown()}`);
    let since = 0;
    const attempt = this.#begin(address);
    for (let waited = false;; waited = true) {
      // The second call tells how the first went, and ends the attempt in the kernel, which reading SO_ERROR does not.
      const state = this.#connectNow(attempt, waited);
      if (state === "connected") {
        return await afterTurn(undefined);
      }
      since ||= now();
      if (state === "queue full") await this.#pause("connect", "connect", signal, since);
      else await this.#ready(WRITABLE, "connect", signal, "connect", since);
    }
  }

  /**
   * Connects, now; null while in progress: wait for writable, then read `SO_ERROR`. On a unix stream null means that the
   * listener's queue is full, which cannot be waited for: call it again.
   */
  tryConnect(address: AddressInput<F>): true | null {
    return this.#connectNow(this.#begin(address), false) === "connected" ? true : null;
  }

  /** The attempt to connect to an address: the one that is under way already, or a new one in the place of any other. */
  #begin(address: AddressInput<F>): Attempt {
    this.#open("connect");
    const bytes = this.#encode(address, "connect");
    if (!hasPorts(this.type, this.protocol)) fillPort(bytes, "linux", this.protocol);
    const before = this.#attempt;
    if (before !== null) {
      if (sameBytes(before.bytes, bytes)) return before;
      this.#end(before, this.#undo(before));
    }
    return { bytes, goesOn: false, errno: null };
  }

  /** How an attempt ended, an errno or 0. It is undone only while it goes on: what is connected stays so. */
  #undo({ bytes, goesOn }: Attempt): number {
    if (goesOn) {
      if (!failed(this.#io.connect(this.#fd, bytes)) || failedWith("EISCONN")) return 0;
      if (!failedWith("EALREADY")) return lastErrno();
      this.#io.connect(this.#fd, UNSPECIFIED);
    }
    return errnoNumber("ECONNABORTED");
  }

  /** Notes how an attempt ended, for all who wait for it. */
  #end(attempt: Attempt, errno: number): void {
    attempt.errno = errno;
    if (this.#attempt !== attempt) return;
    this.#attempt = null;
    // The kernel tells one of them, and perhaps no more once another attempt has begun.
    if (this.#entry !== null) wakeWaiters(this.#entry);
  }

  #connectNow(attempt: Attempt, waited: boolean): "connected" | "in progress" | "queue full" {
    const fd = this.#open("connect");
    const { bytes } = attempt;
    if (waited && attempt.errno === null && (this.family === "vsock" || this.family === "bluetooth")) {
      // Here a second call would begin anew, or say for ever that the first goes on.
      const errno = pendingError(fd);
      if (errno !== 0) this.#end(attempt, errno);
    }
    while (attempt.errno === null) {
      if (!failed(this.#io.connect(fd, bytes)) || (failedWith("EISCONN") && attempt.goesOn)) this.#end(attempt, 0);
      else if (failedWith("EINTR")) continue;
      else if (failedWith("ECONNABORTED") && attempt.goesOn && !waited) {
        // The attempt failed, and its error was read from SO_ERROR: this is the next one.
        attempt.goesOn = false;
      } else {
        const full = failedWith("EAGAIN") && this.family === "unix";
        attempt.goesOn = failedWith("EINPROGRESS") || failedWith("EALREADY");
        if (full || attempt.goesOn) {
          this.#attempt = attempt;
          return full ? "queue full" : "in progress";
        }
        this.#end(attempt, lastErrno());
      }
    }
    if (attempt.errno !== 0) throw this.#connectError(bytes, attempt.errno);
    return "connected";
  }

  #connectDoing(bytes: Bytes): string {
    return `Cannot connect ${this.family} ${this.type} to ${showAddress(readSockaddr(bytes, "linux"))}`;
  }

  #connectError(bytes: Bytes, errno: number): Error {
    return systemErrorOf(errno, "connect", this.#connectDoing(bytes), connectRemedies(this.family));
  }

  /** Undoes connect on a datagram socket, by a connect(2) to AF_UNSPEC. One that was bound to port 0 loses its port on Linux. */
  disconnect(): void {
    const fd = this.#open("disconnect");
    if (this.type === "stream") {
      throw new TypeError(`Cannot disconnect ${this.#shown()}: it is a stream, use shutdown() or close()`);
    }
    if (failed(this.#io.connect(fd, UNSPECIFIED))) throw this.#error("connect", "disconnect");
  }

  /**
   * Sends: send(2).
   *
   * @param data The bytes; of a stream, as many as there is room for.
   * @param options Flags, and a signal that ends the wait.
   * @returns The number of bytes sent, which may be less than there are on streams.
   * @throws {Deno.errors.BrokenPipe} "EPIPE": this end was shut down, or the peer is gone, or never was.
   * @throws {SystemError} "ECONNRESET", "ECONNREFUSED" of an earlier datagram, "EMSGSIZE" and others.
   */
  send(data: Uint8Array, options?: WaitOptions & SendFlags): Promise<number> {
    return this.#until(() => this.trySend(data, options), WRITABLE, "send", options);
  }

  /** Sends, now; null when it would block. */
  trySend(data: Uint8Array, flags?: SendFlags): number | null {
    const fd = this.#open("send on");
    const view = usable(data, "send");
    const bits = flags === undefined ? QUIET : sendBits(flags);
    for (;;) {
      const result = this.#io.send(fd, view, bits);
      if (!failed(result)) return result;
      if (this.#blocked("send", "send on", SEND_REMEDIES)) return null;
    }
  }

  /**
   * Sends all of it. On failure the error's `sent` says how much went out; the reason of a signal gets it too, so calls
   * that are to be told apart need a signal each. Of two at once on a stream the second begins when the first has ended.
   */
  sendAll(data: Uint8Array, options?: WaitOptions & SendFlags): Promise<void> {
    try {
      const signal = signalOf(options, () => this.#doing("send"));
      // Its length is asked once: a buffer that is transferred meanwhile is an error, not the end.
      const { byteLength } = usable(data, "send");
      const line = this.#lineOf("send", WRITABLE, options);
      const count = this.#lastOf(line) === null ? this.trySend(data, options) : null;
      return count === byteLength
        ? afterTurn(undefined, weight(count))
        : this.#sendRest(data, byteLength, count, signal, options, line);
    } catch (error) {
      return Promise.reject(withSent(error, 0));
    }
  }

  /** What is left of it once `count` bytes went out, null when there was no room. */
  async #sendRest(
    data: Uint8Array,
    byteLength: number,
    count: number | null,
    signal: AbortSignal | undefined,
    options: (WaitOptions & SendFlags) | undefined,
    line: Line | null,
  ): Promise<void> {
    let sent = 0;
    let since = 0;
    const place = line === null ? null : this.#join(line);
    try {
      for (let others = place === null ? null : turnOf(place, signal);; others = null) {
        if (others !== null) {
          since = now();
          await others;
        } else if (count === null) {
          since ||= now();
          await this.#ready(WRITABLE, "send", signal, "send on", since);
        } else {
          // Each part has the whole timeout.
          since = 0;
          sent += count;
          const others = turn(weight(count));
          if (others !== null) await others;
          if (sent >= byteLength) return;
          signal?.throwIfAborted();
        }
        if (sent < byteLength && data.byteLength <= sent) {
          throw new TypeError("Cannot send: the buffer has shrunk meanwhile");
        }
        count = this.trySend(sent === 0 ? data : data.subarray(sent), options);
      }
    } catch (error) {
      throw withSent(error, sent);
    } finally {
      if (place !== null) this.#giveUpPlace(line!, place);
    }
  }

  /**
   * Sends to an address: sendto(2).
   *
   * @param data The datagram.
   * @param address Where to, a literal address.
   * @param options Flags, and a signal that ends the wait.
   * @returns The number of bytes sent.
   * @throws {SystemError} "EMSGSIZE": the datagram is too large; "ENETUNREACH", "EACCES" of a broadcast, and others.
   * @throws {Deno.errors.NotCapable} `--allow-net` does not cover the address, or the unix path is not granted.
   */
  sendTo(data: Uint8Array, address: AddressInput<F>, options?: WaitOptions & SendFlags): Promise<number> {
    return this.#until(() => this.trySendTo(data, address, options), WRITABLE, "send", options, this.#silent());
  }

  /** Whether a receiver that is full makes a send wait without an event: room at this end is told of, always. */
  #silent(): boolean {
    return (this.family === "unix" && this.type === "dgram") || this.family === "netlink";
  }

  /** Sends to an address, now; null when it would block. */
  trySendTo(data: Uint8Array, address: AddressInput<F>, flags?: SendFlags): number | null {
    const fd = this.#open("send on");
    const view = usable(data, "send");
    const bytes = this.#encode(address, "send");
    const bits = flags === undefined ? QUIET : sendBits(flags);
    for (;;) {
      const result = this.#io.sendto(fd, view, bits, bytes);
      if (!failed(result)) return result;
      if (this.#blocked("sendto", "send on", SEND_REMEDIES)) return null;
    }
  }

  /**
   * Receives: recv(2).
   *
   * @param buffer Where to; taken anew at each attempt, so it may not be transferred while the call waits. Without it, up
   * to 64 KiB of its own.
   * @param options Flags, a signal that ends the wait, and `waitAll` to fill the buffer unless the
   * stream ends; other types end with each message.
   * @returns The filled part of the buffer; empty at the end of a stream, and for an empty datagram.
   * @throws {SystemError} "EMSGSIZE": a datagram does not fit; the rest of it is lost. "ECONNRESET": the peer has reset the
   * connection; "ECONNREFUSED": nothing received an earlier datagram.
   */
  receive(
    buffer?: Uint8Array<ArrayBuffer>,
    options?: WaitOptions & ReceiveFlags & { waitAll?: boolean },
  ): Promise<Uint8Array<ArrayBuffer>> {
    return options?.waitAll === true ? this.#fill(buffer, options) : this.#receive(buffer, options);
  }

  #receive(buffer: Bytes | undefined, options: (WaitOptions & ReceiveFlags) | undefined): Promise<Bytes> {
    return this.#until(
      () => this.tryReceive(buffer, options) ?? this.#spin(buffer, options) ?? (this.#deaf ? nothing() : null),
      READABLE,
      "receive",
      options,
    );
  }

  /** Looks at the socket for a while, after a wait that was short: the reactor looks too, but takes a turn for it. */
  #spin(buffer: Bytes | undefined, flags: ReceiveFlags | undefined): Bytes | null {
    // Where somebody else waits too, it may be for the one who would be kept from running.
    if (this.#lastWait > SHORT || this.#look === 0 || !nobodyWaits()) return null;
    const since = now();
    do {
      const got = this.tryReceive(buffer, flags);
      if (got !== null) {
        this.#lastWait = now() - since;
        return got;
      }
    } while (now() - since < LOOK);
    return null;
  }

  async #fill(buffer: Bytes | undefined, options: WaitOptions & ReceiveFlags): Promise<Bytes> {
    this.#open("receive on");
    const doing = `Cannot receive on ${this.#shown()}`;
    if (options.peek === true || options.outOfBand === true) {
      throw new TypeError(`${doing}: waitAll goes with neither peek nor outOfBand`);
    }
    if (buffer === undefined) throw new TypeError(`${doing}: waitAll needs a buffer to fill`);
    if (this.type !== "stream") return await this.#receive(buffer, options);
    const signal = signalOf(options, () => doing);
    let filled = 0;
    let since = 0;
    const place = this.#join("#receivers");
    try {
      const before = turnOf(place, signal);
      if (before !== null) {
        since = now();
        await before;
      }
      while (filled < usable(buffer, "receive").byteLength) {
        const got = this.tryReceive(buffer.subarray(filled), options);
        if (got === null) {
          since ||= now();
          await this.#ready(READABLE, "receive", signal, "receive on", since);
          continue;
        }
        if (got.byteLength === 0) break;
        filled += got.byteLength;
        this.#taken += got.byteLength;
        const others = turn(weight(got));
        if (others !== null) await others;
        signal?.throwIfAborted();
      }
      if (filled > buffer.byteLength) throw new TypeError("Cannot receive: the buffer has shrunk below what is in it");
      return buffer.subarray(0, filled);
    } catch (error) {
      // What was taken goes to the next receive, unless it went with the buffer.
      if (filled > 0 && filled <= buffer.byteLength && this.#fd >= 0) this.#leave(buffer.subarray(0, filled));
      throw error;
    } finally {
      this.#taken -= filled;
      this.#giveUpPlace("#receivers", place);
    }
  }

  /** Keeps bytes for the next receive, and tells those who wait for some. */
  #leave(taken: Bytes): void {
    const before = this.#left ?? nothing();
    const left = new Uint8Array(before.byteLength + taken.byteLength);
    left.set(before);
    left.set(taken, before.byteLength);
    this.#left = left;
    this.#tellOfLeft();
  }

  #tellOfLeft(): void {
    if (this.#entry !== null) wakeWaiters(this.#entry);
    for (const tell of toldOfLeft) tell(this);
  }

  /** Receives, now; null when it would block. */
  tryReceive(buffer?: Uint8Array<ArrayBuffer>, flags?: ReceiveFlags): Uint8Array<ArrayBuffer> | null {
    const fd = this.#open("receive on");
    const into = buffer === undefined ? this.#room() : usable(buffer, "receive") as Bytes;
    if (this.#left !== null && flags?.outOfBand !== true) {
      return this.#takeLeft(into, buffer === undefined, flags?.peek === true);
    }
    const bits = this.#receiveBits(flags);
    const first = this.#cuts ? room : into;
    for (;;) {
      const result = this.#io.recv(fd, first, bits);
      if (!failed(result)) return this.#received(first, into, result, buffer === undefined);
      if (this.#blocked("recv", "receive on", RECEIVE_REMEDIES)) return null;
    }
  }

  #room(): Bytes {
    return this.family === "packet" ? frameRoom : room;
  }

  #takeLeft(into: Bytes, own: boolean, peek: boolean): Bytes {
    const left = this.#left!;
    const count = Math.min(left.byteLength, into.byteLength);
    into.set(left.subarray(0, count));
    if (!peek) this.#left = count < left.byteLength ? left.subarray(count) : null;
    return own ? into.slice(0, count) : into.subarray(0, count);
  }

  #receiveBits(flags: ReceiveFlags | undefined): number {
    if (flags?.errorQueue === true) throw new TypeError("Cannot receive: errorQueue is of receiveMessage() alone");
    // UDP would give the next datagram, as if nobody had asked for more.
    if (flags?.outOfBand === true && this.type === "dgram" && (this.family === "inet" || this.family === "inet6")) {
      throw this.#error(
        "recv",
        "receive on",
        { EOPNOTSUPP: "outOfBand is of streams alone" },
        errnoNumber("EOPNOTSUPP"),
      );
    }
    // A datagram tells its true length, whatever fits.
    const bits = this.type === "stream" ? 0 : TRUNCATES;
    return flags === undefined
      ? bits
      : bits | (flags.peek === true ? PEEK : 0) | (flags.outOfBand === true ? OUT_OF_BAND : 0);
  }

  /** What came, in `first` now, where it is to go. */
  #received(first: Bytes, into: Bytes, count: number, own: boolean): Bytes {
    if (count > into.byteLength) {
      throw systemErrorOf(errnoNumber("EMSGSIZE"), "recv", `Cannot receive on ${this.#shown()}`, {
        EMSGSIZE: `the datagram has ${count} bytes, the buffer ${into.byteLength}`,
      });
    }
    if (own) return first.slice(0, count);
    if (first !== into) into.set(first.subarray(0, count));
    return into.subarray(0, count);
  }

  /**
   * Receives with the sender's address: recvfrom(2).
   *
   * @param buffer Where to; without it, up to 64 KiB of its own.
   * @param options Flags, and a signal that ends the wait.
   * @returns The filled part of the buffer, and the sender: of a stream its peer, of one that has lost its peer "0.0.0.0"
   * or "::".
   * @throws {SystemError} "EMSGSIZE": a datagram does not fit; the rest of it is lost.
   */
  receiveFrom(
    buffer?: Uint8Array<ArrayBuffer>,
    options?: WaitOptions & ReceiveFlags,
  ): Promise<[Uint8Array<ArrayBuffer>, SocketAddress<F>]> {
    return this.#until(
      () => this.tryReceiveFrom(buffer, options) ?? this.#refuseDeaf("recvfrom"),
      READABLE,
      "receive",
      options,
    );
  }

  /** Who is at the other end of a stream. At its end the kernel may tell that no more. */
  #peer(): SocketAddress<F> {
    return (this.remoteAddr ?? LOST.get(this.family) ?? null) as SocketAddress<F>;
  }

  /** Null, unless it was told to receive no more: there is no sender to tell of an end. */
  #refuseDeaf(syscall: string): null {
    if (this.#deaf) throw this.#error(syscall, "receive on", DEAF, errnoNumber("ESHUTDOWN"));
    return null;
  }

  /** Receives with the sender's address, now; null when it would block. */
  tryReceiveFrom(
    buffer?: Uint8Array<ArrayBuffer>,
    flags?: ReceiveFlags,
  ): [Uint8Array<ArrayBuffer>, SocketAddress<F>] | null {
    const fd = this.#open("receive on");
    const into = buffer === undefined ? this.#room() : usable(buffer, "receive") as Bytes;
    if (this.#left !== null && flags?.outOfBand !== true) {
      const left = this.#takeLeft(into, buffer === undefined, flags?.peek === true);
      return [left, this.#peer()];
    }
    const bits = this.#receiveBits(flags);
    const first = this.#cuts ? room : into;
    for (;;) {
      const result = this.#io.recvfrom(fd, first, bits, name, nameLength);
      if (!failed(result)) {
        // Streams give no address, and unix sockets that have no name.
        const length = Math.min(nameLength[0]!, name.byteLength);
        const from = length > 0
          ? readSockaddr(name.subarray(0, length), "linux")
          : this.family === "unix"
          ? UNNAMED
          : this.#peer();
        return [this.#received(first, into, result, buffer === undefined), from as SocketAddress<F>];
      }
      if (this.#blocked("recvfrom", "receive on", RECEIVE_REMEDIES)) return null;
    }
  }

  /**
   * Sends several buffers as one message, with control data: sendmsg(2).
   *
   * @param message The buffers, the destination when the socket is not connected, the control messages.
   * @param options Flags, and a signal that ends the wait.
   * @returns The number of bytes sent, which may be less than there are on streams.
   */
  sendMessage(message: OutgoingMessage<F>, options?: WaitOptions & SendFlags): Promise<number> {
    const silent = message?.remoteAddr !== undefined && this.#silent();
    return this.#until(() => this.trySendMessage(message, options), WRITABLE, "send", options, silent);
  }

  /** Sends a message, now; null when it would block. */
  trySendMessage(message: OutgoingMessage<F>, flags?: SendFlags): number | null {
    const fd = this.#open("send on");
    const doing = `Cannot send on ${this.family} ${this.type}`;
    object(message, `${doing}: the message`, "an object with data");
    const data = message.data instanceof Uint8Array ? [message.data] : message.data;
    if (!Array.isArray(data)) {
      throw new TypeError(`${doing}: data is ${shown(data)}, it must be a Uint8Array or an array of them`);
    }
    const address = message.remoteAddr === undefined ? null : this.#encode(message.remoteAddr, "send");
    const control = message.control === undefined ? null : encodeControl(message.control, this.family, doing, this);
    const bits = flags === undefined ? QUIET : sendBits(flags);
    for (;;) {
      let result: number;
      try {
        result = sendMessage(this.#io, fd, data, address, control, bits);
      } catch (error) {
        throw prefixed(error, doing);
      }
      if (!failed(result)) {
        if (result > 0 || this.type !== "stream" || control === null || control.byteLength === 0) return result;
        throw new TypeError(`${doing}: data has no bytes, on a stream control messages must go with one at least`);
      }
      if (this.#blocked("sendmsg", "send on", SEND_REMEDIES)) return null;
    }
  }

  /**
   * Receives a message with all that the kernel tells of it: recvmsg(2). A message that does not fit is no error:
   * `truncated` says so, and `byteLength` is the true length.
   *
   * @param options Where to, the room for control messages, flags, and a signal that ends the wait.
   * @returns The message. Descriptors in it are owned: adopt, give up or close them.
   */
  receiveMessage(options?: WaitOptions & ReceiveFlags & ReceiveTarget): Promise<IncomingMessage<F>> {
    const queued = options?.errorQueue === true;
    return this.#until(
      () => this.tryReceiveMessage(options) ?? (queued ? null : this.#refuseDeaf("recvmsg")),
      // The error queue is told of as an error, which every wait hears.
      queued ? 0 : READABLE,
      "receive",
      options,
    );
  }

  /** Receives a message, now; null when it would block. */
  tryReceiveMessage(options: ReceiveFlags & ReceiveTarget = {}): IncomingMessage<F> | null {
    const fd = this.#open("receive on");
    if (typeof options !== "object" || options === null) {
      object(options, `${this.#receiving()}: the options`, "an object");
    }
    const { buffer, controlLength = CONTROL_ROOM, errorQueue = false } = options;
    const views = buffer === undefined ? [this.#room()] : buffer instanceof Uint8Array ? [buffer] : buffer;
    if (!Array.isArray(views)) {
      const mustBe = "it must be a Uint8Array or an array of them";
      throw new TypeError(`${this.#receiving()}: the buffer is ${shown(views)}, ${mustBe}`);
    }
    if (errorQueue) this.#checkErrorQueue(options);
    if (this.#left !== null && !errorQueue) {
      return this.#leftAsMessage(views, buffer === undefined, options.peek === true);
    }
    const { errorQueue: _, ...flags } = options;
    const bits = this.#receiveBits(flags) | (errorQueue ? ERROR_QUEUE : 0);
    const rest = buffer !== undefined && (this.#cuts || errorQueue) ? room : null;
    for (;;) {
      const named = this.type !== "stream";
      let raw: RawMessage | null;
      try {
        raw = receiveMessage(this.#io, fd, views, named, controlLength, bits, this.family !== "packet", rest);
      } catch (error) {
        throw prefixed(error, this.#receiving());
      }
      if (raw !== null) return this.#message(raw, views, buffer === undefined);
      if (this.#blocked("recvmsg", "receive on", RECEIVE_REMEDIES)) return null;
    }
  }

  /** Refuses what the kernel would take for a receive of data, or for one that leaves nothing behind. */
  #checkErrorQueue(flags: ReceiveFlags): void {
    if (this.family === "unix" || this.family === "netlink") {
      throw new Deno.errors.NotSupported(`${this.#receiving()}: ${this.family} sockets have no error queue`);
    }
    if (flags.peek === true || flags.outOfBand === true) {
      throw new TypeError(`${this.#receiving()}: errorQueue goes with neither peek nor outOfBand`);
    }
  }

  /** The beginning of messages about the arguments of a receive. */
  #receiving(): string {
    return `Cannot receive on ${this.family} ${this.type}`;
  }

  #message(raw: RawMessage, views: readonly Bytes[], own: boolean): IncomingMessage<F> {
    const first = views[0] ?? room.subarray(0, 0);
    const filled = first.subarray(0, Math.min(raw.byteLength, first.byteLength));
    return {
      data: own ? filled.slice() : filled,
      byteLength: raw.byteLength,
      remoteAddr: raw.address.byteLength > 0
        ? readSockaddr(raw.address, "linux") as SocketAddress<F>
        : this.family === "unix" && this.type !== "stream"
        ? UNNAMED as SocketAddress<F>
        : null,
      control: decodeControl(raw.control, (fd) => new Owned(fd, Socket.adopt)),
      truncated: (raw.flags & TRUNCATES) !== 0,
      controlTruncated: (raw.flags & CONTROL_TRUNCATED) !== 0,
      endOfRecord: (raw.flags & END_OF_RECORD) !== 0,
    };
  }

  #leftAsMessage(views: readonly Bytes[], own: boolean, peek: boolean): IncomingMessage<F> {
    const left = this.#left!;
    let count = 0;
    for (const view of views) {
      const part = left.subarray(count, count + usable(view, "receive").byteLength);
      view.set(part);
      count += part.byteLength;
    }
    if (!peek) this.#left = count < left.byteLength ? left.subarray(count) : null;
    const filled = (views[0] ?? room).subarray(0, Math.min(count, views[0]?.byteLength ?? 0));
    return {
      data: own ? filled.slice() : filled,
      byteLength: count,
      remoteAddr: null,
      control: [],
      truncated: false,
      controlTruncated: false,
      endOfRecord: false,
    };
  }

  /** Ends sending, receiving or both: shutdown(2). The peer reads the end of the stream. */
  shutdown(how: "read" | "write" | "both"): void {
    const fd = this.#open("shut down");
    if (how !== "read" && how !== "write" && how !== "both") {
      throw new TypeError(
        `Cannot shut down ${this.#shown()}: it is ${shown(how)}, it must be "read", "write" or "both"`,
      );
    }
    const number = constant(how === "read" ? "SHUT_RD" : how === "write" ? "SHUT_WR" : "SHUT_RDWR", "linux");
    if (failed(this.#io.shutdown(fd, number))) throw this.#error("shutdown", "shut down");
    // The kernel wakes no writer of a unix socket for it, full as it is.
    if (this.#entry !== null) wakeWaiters(this.#entry);
  }

  /** Closes: close(2). Calls that wait reject with `BadResource`, iteration ends. A second time throws. */
  close(): void {
    libc("Cannot close").close(this.#giveUp("close"));
    this.#unlink?.remove();
  }

  /**
   * Gives up ownership: the object is closed, the descriptor lives.
   *
   * @returns The descriptor.
   * @throws {TypeError} A receive that was to fill its buffer has taken bytes that nobody has received yet.
   */
  detach(): number {
    this.#refuseTaken("detach", this.#taken + (this.#left?.byteLength ?? 0));
    return this.#giveUp("detach");
  }

  /** Refuses to part the descriptor from bytes that were taken from it. */
  #refuseTaken(verb: string, count: number): void {
    if (count === 0) return;
    throw new TypeError(
      `Cannot ${verb} ${this.#shown()}: a receive with waitAll has taken ${count} bytes, end it and receive() them first`,
    );
  }

  #giveUp(verb: string): number {
    const fd = this.#open(verb);
    const reason = isClosed(`Cannot wait for ${this.family} ${this.type}`);
    this.#fd = -1;
    // Before it is closed: a duplicate of it would keep its events coming.
    closing(fd, reason);
    this.#pauses?.end();
    this.#entry = null;
    open.delete(fd);
    forgotten.unregister(this);
    return fd;
  }

  /** A second descriptor of the same socket; timeouts and unref() are of the object, and not taken along. */
  dup(): Socket<F> {
    const fd = this.#io.fcntl(this.#open("duplicate"), constant("F_DUPFD_CLOEXEC", "linux"), 0);
    if (failed(fd)) throw this.#error("fcntl", "duplicate", DESCRIPTOR_REMEDIES);
    return made<F>(fd, "Cannot duplicate");
  }

  /** Calls that wait keep the program alive (default). */
  ref(): void {
    this.#refed = true;
    this.#pauses?.ref(true);
    if (this.#entry !== null) refWaiters(this.#entry, true, this);
  }

  /** They do not. */
  unref(): void {
    this.#refed = false;
    this.#pauses?.ref(false);
    if (this.#entry !== null) refWaiters(this.#entry, false, this);
  }

  /**
   * A connected stream as Deno has it; it owns the descriptor from then on, and this object is closed.
   *
   * What differs from Deno's own connections: closing the writable closes the sending half alone, and the end of the
   * readable, or its cancelling, leaves a writable open that is in use. The connection closes when both have ended, when
   * the readable has ended and nobody took the writable, and when a stream fails or is aborted. `Deno.startTls` does not
   * take it: see {@linkcode Socket.toNodeSocket}.
   *
   * @returns The connection; a `Deno.TcpConn` where the family is inet or inet6. A peer without a name has the path "".
   * @throws {TypeError} It is no stream.
   * @throws {Deno.errors.NotConnected} It has no peer, or none any more.
   *
   * @example A connection read as text
   * ```ts
   * import { Socket } from "@berkeley/sockets/socket";
   * import { assertEquals } from "@std/assert";
   *
   * const [left, right] = Socket.pair();
   * using client = left.asConn();
   * using server = right.asConn();
   * await ReadableStream.from(["hello"]).pipeThrough(new TextEncoderStream()).pipeTo(client.writable);
   * assertEquals(await new Response(server.readable).text(), "hello");
   * ```
   */
  asConn(): Deno.Conn {
    return connOf(this);
  }

  /**
   * A listening stream as Deno has it; it owns the descriptor from then on, and this object is closed.
   *
   * @returns The listener. What it accepts is as {@linkcode Socket.asConn} gives it.
   * @throws {TypeError} It is no stream, or does not listen.
   */
  asListener(): Deno.Listener {
    return listenerOf(this);
  }

  /**
   * A connected TCP or unix stream as node:net has it, for TLS and HTTP on top; it owns the descriptor from then on, and
   * this object is closed. A listening socket goes to node by `server.listen({ fd: socket.detach() })`.
   *
   * @returns The socket of node.
   * @throws {TypeError} It is no stream.
   * @throws {Deno.errors.NotConnected} It has no peer, or it listens.
   *
   * @example HTTP from a chosen port
   * ```ts
   * import { Socket } from "@berkeley/sockets/socket";
   * import { get } from "node:http";
   *
   * await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("hello"));
   * const socket = Socket.open("inet", "stream");
   * socket.bind({ hostname: "127.0.0.1", port: 0 });
   * await socket.connect(server.addr as Deno.NetAddr);
   * await new Promise<void>((done) => {
   *   get("http://127.0.0.1/", { createConnection: () => socket.toNodeSocket() }, (response) => {
   *     response.resume().on("end", done);
   *   });
   * });
   * ```
   */
  toNodeSocket(): NodeSocket {
    return nodeSocketOf(this);
  }

  /**
   * Accepts until the socket is closed. Where the process has no descriptor left it waits, 5 ms at first and 1 s at most,
   * and goes on; leaving the loop closes the socket, as with Deno's listeners.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Socket<F>> {
    return this.#each(() => this.accept(), () => this[Symbol.dispose]());
  }

  #each<T>(accept: () => Promise<T>, close: () => void): AsyncIterableIterator<T> {
    const iterator = this.#accepted(accept, close);
    const end = iterator.return.bind(iterator);
    // A generator would end after the accept that waits, whenever that is.
    iterator.return = (value) => {
      close();
      return end(value);
    };
    return iterator;
  }

  async *#accepted<T>(accept: () => Promise<T>, close: () => void): AsyncGenerator<T, undefined> {
    let delay: number = BACK_OFF[0];
    try {
      for (;;) {
        let accepted: T;
        try {
          accepted = await accept();
        } catch (error) {
          if (this.#fd < 0) return;
          if (!isExhausted(error)) throw error;
          await (this.#pauses ??= new Pauses(this.#refed)).pause(delay, undefined);
          delay = Math.min(delay * 2, BACK_OFF[1]);
          continue;
        }
        delay = BACK_OFF[0];
        yield accepted;
      }
    } finally {
      close();
    }
  }

  /** `close()`, without an error when closed already. */
  [Symbol.dispose](): void {
    if (this.#fd >= 0) this.close();
  }
}

const RECEIVE_REMEDIES: Remedies = {
  ENOTCONN: "the socket is not connected",
  ECONNREFUSED: "an earlier datagram was refused: nothing receives there",
};

const DEAF: Remedies = { ESHUTDOWN: 'it was told to receive no more, by shutdown("read")' };

const error = new Uint8Array(4);
const errorWord = new Int32Array(error.buffer);
const errorLength = new Uint32Array(1);

/** Every socket is born so: it never blocks, and no child inherits it. */
const BIRTH = constant("SOCK_NONBLOCK", "linux") | constant("SOCK_CLOEXEC", "linux");
/** A peer that is gone is an error, no signal. */
const QUIET = constant("MSG_NOSIGNAL", "linux");
const TRUNCATES = constant("MSG_TRUNC", "linux");
const PEEK = constant("MSG_PEEK", "linux");
const ERROR_QUEUE = constant("MSG_ERRQUEUE", "linux");
const CONTROL_TRUNCATED = constant("MSG_CTRUNC", "linux");
const END_OF_RECORD = constant("MSG_EOR", "linux");
/** Room for control messages that nobody asked for otherwise. */
const CONTROL_ROOM = 1024;
const OUT_OF_BAND = constant("MSG_OOB", "linux");
/** Where the path begins in an address. */
const UNIX_PATH = LAYOUT.sockaddr_un.linux.fields.sun_path[0];
function nothing(): Bytes {
  return new Uint8Array(0);
}
/** The address of a unix socket without one. */
const UNNAMED = { family: "unix", path: "" } as const;
/** The peer of a stream that has none any more. */
const LOST: ReadonlyMap<Family, SocketAddress> = new Map([
  ["inet", { family: "inet", hostname: "0.0.0.0", port: 0 }],
  ["inet6", { family: "inet6", hostname: "::", port: 0 }],
]);
/** An address of family AF_UNSPEC: connecting to it disconnects. */
export const UNSPECIFIED: Uint8Array<ArrayBuffer> = new Uint8Array(16);

function sendBits(flags: SendFlags): number {
  return QUIET | (flags.outOfBand === true ? OUT_OF_BAND : 0) |
    (flags.dontRoute === true ? constant("MSG_DONTROUTE", "linux") : 0) |
    (flags.more === true ? constant("MSG_MORE", "linux") : 0) |
    (flags.endOfRecord === true ? constant("MSG_EOR", "linux") : 0) |
    (flags.confirm === true ? constant("MSG_CONFIRM", "linux") : 0);
}

/** The object of a new descriptor, which is closed when there can be none. */
function made<F extends Family>(fd: number, doing: string, own = true): Socket<F> {
  try {
    const found = descriptorOf({ [DESCRIPTOR]: fd }, doing);
    families ??= wordsOf(FAMILIES);
    types ??= wordsOf(TYPES);
    const family = families.get(found.family);
    const type = types.get(found.type);
    if (family === undefined || type === undefined) {
      throw new Deno.errors.NotSupported(`${doing}: it is ${describe(found)}, which this library has no words for yet`);
    }
    const protocol = family === "packet" ? ethertypeOf(fd) : found.protocol;
    return make({ fd: found.fd, protocol }, family as F, type as SocketType);
  } catch (error) {
    if (own) libc(doing).close(fd);
    throw error;
  }
}

/** What a packet socket hears, which SO_PROTOCOL does not tell. */
function ethertypeOf(fd: number): number {
  return (addressOf(fd, "local") as PacketAddress).protocol ?? 0;
}

/** Reads SO_ERROR, which clears it. */
function pendingError(fd: number): number {
  const { level, name } = specOf("SO_ERROR").code!;
  return failed(libc("Cannot connect").getsockopt(fd, level, name, error, errorLength)) ? 0 : errorWord[0]!;
}

/** A buffer whose memory is there, cut to what a call can take. */
function usable(view: Uint8Array, verb: string): Uint8Array {
  if (!(view instanceof Uint8Array)) {
    throw new TypeError(`Cannot ${verb}: the buffer is ${shown(view)}, it must be a Uint8Array`);
  }
  if (view.byteLength === 0) {
    try {
      touch(view, 0);
    } catch (cause) {
      throw new TypeError(`Cannot ${verb}: the buffer has lost its memory, it must not be detached or outgrow it`, {
        cause,
      });
    }
  }
  return view.byteLength > 0x7fff_f000 ? view.subarray(0, 0x7fff_f000) : view;
}

/** As how many calls one counts that carried this: a page of memory takes as long as a call. */
function weight(carried: unknown): number {
  const bytes = typeof carried === "number" ? carried : carried instanceof Uint8Array ? carried.byteLength : 0;
  return 1 + (bytes >>> 12);
}

function sameBytes(a: Bytes, b: Bytes): boolean {
  return a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);
}
