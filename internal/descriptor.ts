// Which descriptor is behind an object of Deno, of node or of this library: noted, hinted or searched for, always verified.
// What is taken from Deno's inside: runtime.ts. What an address looks like: sockaddr.ts. What to do with it: options/.
//
// A number is never trusted: the kernel's cookie of the socket is read when it is found and compared at every use, so a
// number that was closed and now belongs to another socket is noticed. (macOS has no cookie: there the addresses must do,
// and a successor with the same two addresses is not noticed.)
//
// Gaps that cannot be closed from here: a DatagramConn or HttpServer that was closed before this library ever saw it,
// while another socket has its address by then, is taken for that other; unix connections without names, and listeners
// that share a port, cannot be told apart when they were not made by this library: that is an error that lists them. A
// socket that was closed while one of its own calls waits lives until that call has ended, and answers until then. Where
// no /proc tells how many descriptors there can be, one that stands alone more than 65,536 numbers above all others is not
// found.
import { integer, prefixed, shown } from "./argument.ts";
import { constant, CONSTANTS } from "./constants.ts";
import { check, failed, failedWith, systemError } from "./errno.ts";
import { ffiGranted } from "./ffi.ts";
import { type Libc, libc, libcIfOpen } from "./libc.ts";
import { LAYOUT } from "./layout.ts";
import { type OperatingSystem, OS, OS_NAME } from "./os.ts";
import { hasResource, notedDescriptor, resourceClosed } from "./runtime.ts";
import {
  FAMILIES,
  familyOf,
  ipOf,
  type KernelAddress,
  parseIp,
  readSockaddr,
  showAddress,
  SOCKADDR_MAX,
} from "./sockaddr.ts";
import { SOCKOPT } from "./sockopt.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Where an object of this library keeps its descriptor. */
export const DESCRIPTOR: unique symbol = Symbol("@berkeley/sockets descriptor");

/** An object of this library that has a descriptor. */
export interface HasDescriptor {
  /** The descriptor; throws `Deno.errors.BadResource` once closed, `NotCapable` without `--allow-ffi`. */
  readonly [DESCRIPTOR]: number;
}

/** Where an object of this library keeps the milliseconds that its calls wait, which SO_RCVTIMEO and SO_SNDTIMEO are then. */
export const TIMEOUTS: unique symbol = Symbol("@berkeley/sockets timeouts");

/** Where an object of this library lists the options that would break it, each with the reason and what to do instead. */
export const REFUSED: unique symbol = Symbol("@berkeley/sockets refused options");

/** A descriptor that was found, and what the kernel says it is. */
export interface Descriptor {
  readonly fd: number;
  /** The identity of the socket: the two halves of its cookie. */
  readonly low: number;
  readonly high: number;
  /** Of MPTCP, whose connections have the cookie of the listener that accepted them: which peer it has; 0 for none. */
  readonly peer: number;
  /** AF_, SOCK_ and IPPROTO_ numbers of this system. */
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
  /** Whether another thread may close it at any time: see {@linkcode whileOpen}. */
  readonly shared: boolean;
}

/** What is looked for: a socket with these addresses. `null` for an address that is not compared. */
interface Wanted {
  readonly local: Endpoint | null;
  readonly remote: Endpoint | null;
  readonly type: "stream" | "dgram";
  readonly listening: boolean;
}
type Endpoint = { readonly ip: Bytes; readonly port: number } | { readonly path: string };

/** A part of an address of the Internet, to leave out at a glance what cannot match. `null` for what is not compared. */
export interface Hint {
  /** In IPv6's clothes, where it is an IPv4 address. */
  readonly ip: Bytes | null;
  readonly port: number | null;
}

const held = new WeakMap<object, Descriptor>();
/** The numbers that connections of ours probably have, looked at when they are first touched. */
const hints = new WeakMap<object, number>();

/** The numbers that this file asks the kernel with; read once. */
interface Numbers {
  readonly c: Libc;
  readonly os: OperatingSystem;
  readonly socket: number;
  readonly cookie: number | null;
  readonly type: number;
  readonly domain: number | null;
  readonly protocol: number | null;
  readonly listening: number;
  /** Of TCP_INFO, which begins with the state. */
  readonly state: number;
  readonly inet: number;
  readonly inet6: number;
  readonly unix: number;
  readonly stream: number;
  readonly dgram: number;
  readonly tcp: number;
  readonly mptcp: number | null;
  readonly udp: number;
  readonly noDelay: number;
  /** Where the port stands in a sockaddr_in, and in a sockaddr_in6. */
  readonly port: number;
}
let numbers: Numbers | undefined;

function kernel(doing: string): Numbers {
  if (numbers !== undefined) return numbers;
  const c = libc(doing);
  const os = OS;
  // libc() has refused any system without columns of numbers and without small integers for descriptors.
  if (os === null || os === "windows") throw new Deno.errors.NotSupported(`${doing}: not possible on ${OS_NAME}`);
  const option = os === "linux" ? 1 : 2;
  return numbers = {
    c,
    os,
    socket: constant("SOL_SOCKET", os),
    cookie: SOCKOPT.SO_COOKIE[option],
    type: SOCKOPT.SO_TYPE[option],
    domain: SOCKOPT.SO_DOMAIN[option],
    protocol: SOCKOPT.SO_PROTOCOL[option],
    listening: SOCKOPT.SO_ACCEPTCONN[option],
    state: SOCKOPT.TCP_INFO[option]!,
    inet: constant("AF_INET", os),
    inet6: constant("AF_INET6", os),
    unix: constant("AF_UNIX", os),
    stream: constant("SOCK_STREAM", os),
    dgram: constant("SOCK_DGRAM", os),
    tcp: constant("IPPROTO_TCP", os),
    mptcp: CONSTANTS.IPPROTO_MPTCP[os === "linux" ? 0 : 1],
    udp: constant("IPPROTO_UDP", os),
    noDelay: SOCKOPT.TCP_NODELAY[option],
    port: LAYOUT.sockaddr_in[os].fields.sin_port[0],
  };
}

const cookie = new Uint8Array(8);
const cookieWords = new Uint32Array(cookie.buffer);
const int = new Uint8Array(4);
const intWord = new Int32Array(int.buffer);
const length = new Uint32Array(1);
const name = new Uint8Array(SOCKADDR_MAX);

const NO_COOKIE = "Cannot tell sockets apart: this kernel has no SO_COOKIE, which Linux has since 4.12";

/** Puts the identity of a descriptor into `cookie`; false when it is no open socket. */
function identify(k: Numbers, fd: number): boolean {
  if (k.cookie !== null) {
    if (!failed(k.c.getsockopt(fd, k.socket, k.cookie, cookie, length))) return true;
    // To all that asks, a socket without an identity would be closed.
    if (failedWith("ENOPROTOOPT")) throw new Deno.errors.NotSupported(NO_COOKIE);
    return false;
  }
  if (failed(k.c.getsockname(fd, name, length))) return false;
  let hash = hashOf(name.subarray(0, length[0]), 0x811c9dc5);
  cookieWords[0] = hash;
  if (!failed(k.c.getpeername(fd, name, length))) hash = hashOf(name.subarray(0, length[0]), hash);
  cookieWords[1] = hash;
  return true;
}

/** FNV-1a. */
function hashOf(bytes: Bytes, hash: number): number {
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

function isStill(k: Numbers, found: Descriptor): boolean {
  if (!identify(k, found.fd) || cookieWords[0] !== found.low || cookieWords[1] !== found.high) return false;
  if (found.peer === 0) return true;
  // A connection may lose its peer, and never gets another.
  const peer = peerOf(k, found.fd);
  return peer === 0 || peer === found.peer;
}

/** A number that stands for the peer, 0 when there is none. */
function peerOf(k: Numbers, fd: number): number {
  return hasPeer(k, fd) ? hashOf(name.subarray(0, length[0]), 0x811c9dc5) || 1 : 0;
}

function ask(k: Numbers, fd: number, option: number): number | null {
  return failed(k.c.getsockopt(fd, k.socket, option, int, length)) ? null : intWord[0]!;
}

/** What {@linkcode look} saw besides, if it was to: the first byte of TCP_INFO, negative for sockets without. */
let seenState = -1;
const stateByte = new Uint8Array(1);

/** The state is what TCP_INFO begins with, and the kernel writes as much as there is room for. */
function stateOf(k: Numbers, fd: number): number {
  return failed(k.c.getsockopt(fd, k.tcp, k.state, stateByte, length)) ? -1 : stateByte[0]!;
}

/** Looks at a descriptor; null when it is no open socket. Its own address is in `name` then, if it has any. */
function look(k: Numbers, fd: number, withState = false): Descriptor | null {
  // The identity first: what another socket answers, that took the number meanwhile, then has that of a closed one.
  if (!identify(k, fd)) return null;
  const low = cookieWords[0]!;
  const high = cookieWords[1]!;
  if (k.protocol === null || k.domain === null) return lookByAddress(k, fd, low, high, withState);
  const protocol = ask(k, fd, k.protocol);
  if (protocol === null) return null;
  const tcp = protocol === k.tcp || protocol === k.mptcp;
  seenState = tcp && withState ? stateOf(k, fd) : -1;
  // What tells a state is a stream, and not a raw socket of TCP's number.
  const type = seenState < 0 ? ask(k, fd, k.type) : k.stream;
  if (type === null) return null;
  const peer = protocol === k.mptcp ? peerOf(k, fd) : 0;
  // TCP and UDP have addresses of their family; others may borrow them. The address comes last, as it is read from `name`.
  const told = tcp || protocol === k.udp ? null : ask(k, fd, k.domain);
  const named = hasName(k, fd);
  const family = told ?? (named ? familyOf(name, k.os) : null);
  if (family === null) return null;
  if (!named) length[0] = 0;
  return { fd, low, high, peer, family, type, protocol, shared: false };
}

/** The same on macOS, which cannot be asked for family and protocol: streams of the Internet are TCP, datagrams UDP. */
function lookByAddress(k: Numbers, fd: number, low: number, high: number, withState: boolean): Descriptor | null {
  const type = ask(k, fd, k.type);
  if (type === null || !hasName(k, fd)) return null;
  const family = familyOf(name, k.os);
  const inet = family === k.inet || family === k.inet6;
  const protocol = !inet ? 0 : type === k.stream ? k.tcp : type === k.dgram ? k.udp : 0;
  seenState = protocol === k.tcp && withState ? stateOf(k, fd) : -1;
  return { fd, low, high, peer: 0, family, type, protocol, shared: false };
}

/** The address of a descriptor, or of its peer, as the kernel has it; null when there is none. */
export function addressOf(fd: number, which: "local" | "remote"): KernelAddress | null {
  const k = kernel("Cannot read an address");
  const result = which === "local" ? k.c.getsockname(fd, name, length) : k.c.getpeername(fd, name, length);
  return failed(result) ? null : nameAsAddress(k);
}

/** A socket as messages show it: `tcp 127.0.0.1:80`. */
export function describe(found: Descriptor): string {
  const k = kernel("Cannot describe a socket");
  const kind = kindOf(k, found);
  const local = addressOf(found.fd, "local");
  const remote = addressOf(found.fd, "remote");
  return [kind, local && showAddress(local), remote && `to ${showAddress(remote)}`].filter(Boolean).join(" ");
}

const TYPES = ["stream", "dgram", "raw", "rdm", "seqpacket"] as const;
const PROTOCOLS = {
  tcp: "IPPROTO_TCP",
  udp: "IPPROTO_UDP",
  mptcp: "IPPROTO_MPTCP",
  udplite: "IPPROTO_UDPLITE",
  icmp: "IPPROTO_ICMP",
  icmp6: "IPPROTO_ICMPV6",
} as const;

function kindOf(k: Numbers, { family, type, protocol }: Descriptor): string {
  const name = TYPES[type - 1] ?? `type ${type}`;
  const column = k.os === "linux" ? 0 : 1;
  if (family !== k.inet && family !== k.inet6) {
    const word = Object.entries(FAMILIES).find(([, constantName]) => CONSTANTS[constantName][column] === family);
    return `${word === undefined ? `family ${family}` : word[0]} ${name}`;
  }
  const known = Object.entries(PROTOCOLS).find(([, constantName]) => CONSTANTS[constantName][column] === protocol);
  return known !== undefined && name !== "raw" ? known[0] : `${name} ${known?.[0] ?? protocol}`;
}

/** What every call on a socket that is closed throws. */
export function isClosed(doing: string): Deno.errors.BadResource {
  return new Deno.errors.BadResource(`${doing}: the socket is closed`);
}

/**
 * The descriptor behind an object, verified now.
 *
 * @param socket An object of Deno, of node or of this library.
 * @param doing The beginning of messages: `Cannot read SO_ERROR`.
 */
export function descriptorOf(socket: object, doing: string): Descriptor {
  const k = numbers ?? kernel(doing);
  if (DESCRIPTOR in socket) {
    const fd = numberOf(socket as HasDescriptor, doing);
    // What was listed notes itself when it is asked.
    const noted = held.get(socket);
    if (noted !== undefined && noted.fd === fd) {
      if (isStill(k, noted)) return noted;
      throw isClosed(doing);
    }
    const seen = look(k, fd);
    if (seen === null) throw isClosed(doing);
    held.set(socket, seen);
    return seen;
  }
  const found = held.get(socket);
  if (found !== undefined) {
    if (!saysClosed(socket) && isStill(k, found)) return found;
    // What node has closed may connect or listen again, by another descriptor.
    if (!("_handle" in socket)) throw isClosed(doing);
  }
  const searched = find(k, socket, doing);
  held.set(socket, searched);
  return searched;
}

/** Whether an object is closed whose socket lives on for a while: TLS tells the peer of the end first, node does it later. */
function saysClosed(socket: object): boolean {
  return (socket as { destroyed?: unknown }).destroyed === true || ("handshake" in socket && resourceClosed(socket));
}

/** The number that an object of this library names, checked: optimised calls would take NaN for 0, which is another file. */
function numberOf(socket: HasDescriptor, doing: string): number {
  try {
    const fd = integer(socket[DESCRIPTOR], "the descriptor", -(2 ** 31), 2 ** 31 - 1);
    if (fd >= 0) return fd;
    throw isClosed(doing);
  } catch (error) {
    throw error instanceof Deno.errors.BadResource ? isClosed(doing) : prefixed(error, doing);
  }
}

/**
 * The number that the next descriptor will have, unless another thread is quicker; a hint. -1 where it cannot be told.
 *
 * @param needed Whether the C library is opened for it, if it is granted.
 */
export function lowestFree(needed = false): number {
  const c = needed && ffiGranted() ? libc("Cannot note a descriptor") : libcIfOpen();
  if (c === undefined) return -1;
  const fd = c.dup(2);
  if (!failed(fd)) c.close(fd);
  return fd;
}

/**
 * Notes the descriptor of an object that was just made, when the hint is right; else it is searched for when first
 * touched. Does nothing while the C library is not open.
 */
export function note(socket: object, hint: number): void {
  if (hint < 0) return;
  // No two connections have the same two addresses, and Deno tells when one is closed: theirs can be verified later.
  if ("remoteAddr" in socket) return void hints.set(socket, hint);
  const k = kernel("Cannot note a descriptor");
  const seen = lookFor(k, hint, wantedOf(socket, "Cannot note a descriptor"));
  if (seen !== null) held.set(socket, seen);
}

function find(k: Numbers, socket: object, doing: string): Descriptor {
  const wanted = wantedOf(socket, doing);
  const hinted = hints.get(socket);
  const first = hinted ?? notedDescriptor(socket);
  if (first !== undefined) {
    // Deno's own note is right or of no use.
    const near = nearby(k, first, hinted === undefined ? 1 : NEARBY, wanted);
    if (near !== null && isOpen(k, socket, near)) return near;
  }
  if (resourceClosed(socket)) throw isClosed(doing);
  // A connection that was reset has no peer any more; of one that Deno notes and has not closed, the rest must do.
  if (first !== undefined) {
    const lone = lookFor(k, first, { ...wanted, remote: null });
    if (lone !== null && !hasPeer(k, first)) return lone;
  }
  if (wanted.local === null && wanted.remote === null) {
    throw new Deno.errors.NotSupported(`${doing}: the socket has no address to be found by; is it connected?`);
  }
  let candidates = search(k, wanted, false, doing);
  if (candidates.length === 0 && wanted.remote !== null && hasResource(socket)) {
    // It is open, so it is there: without its peer.
    candidates = search(k, { ...wanted, remote: null }, false, doing).filter(({ fd }) => !hasPeer(k, fd));
  }
  if (candidates.length === 0) throw isClosed(doing);
  if (candidates.length > 1) {
    throw new Error(
      `${doing}: ${candidates.length} sockets of this process fit and cannot be told apart: ${
        candidates.map((one) => `descriptor ${one.fd} (${describe(one)})`).join(", ")
      }; those made by this library are told apart`,
    );
  }
  return candidates[0]!;
}

/** Deno makes the socket for a host name after the lookup, when others may have been quicker: it is a few numbers on. */
const NEARBY = 16;

function nearby(k: Numbers, first: number, count: number, wanted: Wanted): Descriptor | null {
  for (let fd = first; fd < first + count; fd++) {
    const seen = lookFor(k, fd, wanted);
    if (seen !== null) return seen;
  }
  return null;
}

/** Whether an object whose descriptor seems to be found is open still: a successor may have its addresses. */
function isOpen(k: Numbers, socket: object, seen: Descriptor): boolean {
  const { setNoDelay, read } = socket as Partial<Deno.TcpConn>;
  if (typeof setNoDelay !== "function" || typeof read !== "function" || "_handle" in socket) {
    return !resourceClosed(socket);
  }
  // A connection of Deno's says so when it is set to what it has, twenty times quicker than its resource.
  const noDelay = failed(k.c.getsockopt(seen.fd, k.tcp, k.noDelay, int, length)) ? null : intWord[0] !== 0;
  if (noDelay === null) return !resourceClosed(socket);
  try {
    setNoDelay.call(socket, noDelay);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BadResource) return false;
    throw error;
  }
}

/** A descriptor that was found, as a socket that options take: closed once its number belongs to another. */
function asSocket(found: Descriptor): HasDescriptor {
  return {
    get [DESCRIPTOR](): number {
      return heldBy(this, found, true);
    },
  };
}

/** All connections that a listener at this address has accepted and that are open now. */
export function acceptedBy(listener: Descriptor, doing: string): HasDescriptor[] {
  const k = kernel(doing);
  const local = addressOf(listener.fd, "local");
  if (local === null || !("hostname" in local)) return [];
  const ip = parseIp(local.hostname)!.bytes;
  const any = ip.every((byte) => byte === 0);
  const endpoint = { ip: normal(ip), port: local.port };
  return search(k, { local: null, remote: null, type: "stream", listening: false }, true, doing)
    .filter((one) => {
      if (one.protocol !== listener.protocol || addressOf(one.fd, "remote") === null) return false;
      if (failed(k.c.getsockname(one.fd, name, length))) return false;
      return any ? portOf(k) === local.port : isAt(k, endpoint);
    })
    .map(asSocket);
}

/**
 * So many closed numbers in a row end a search: where what was found must be the only one of its kind, and where nobody
 * tells how large the table of descriptors is. Numbers are given lowest first, so the open ones lie close together.
 */
const GAP = 4096;
const WIDE_GAP = 65_536;
const CHUNK = 1024;

/** Searches the process's descriptors; duplicates of one socket are folded. */
function search(k: Numbers, wanted: Wanted, all: boolean, doing: string): Descriptor[] {
  const result: Descriptor[] = [];
  const unique = !all && wanted.local !== null && wanted.remote !== null && "ip" in wanted.local &&
    "ip" in wanted.remote;
  scan(k, doing, () => unique && result.length > 0, (first, end) => {
    for (let fd = first; fd < end; fd++) {
      const seen = fits(k, fd, wanted) ? look(k, fd) : null;
      if (seen !== null && !result.some((one) => isSame(one, seen))) result.push(seen);
    }
  });
  return result;
}

/**
 * Every socket of the process, of whatever thread, in the order of their descriptors; of the duplicates of one the first.
 *
 * @param preferred Descriptors to be taken before others of the same socket.
 * @param local What is asked of own addresses; sockets that have it may be left out all the same if they are closed.
 * @param remote What is asked of peers.
 * @param doing The beginning of messages.
 * @param make Makes of a socket what is wanted, null to leave it out. It gets the first byte of TCP_INFO, negative for
 * sockets without, and the own address, null for sockets without.
 */
export function everySocket<T>(
  preferred: { has(fd: number): boolean },
  local: Hint | null,
  remote: Hint | null,
  doing: string,
  make: (found: Descriptor, state: number, address: KernelAddress | null) => T | null,
): T[] {
  const k = kernel(doing);
  const result: T[] = [];
  /** By one half of the cookie; sockets that share it take the next free place. */
  const places = new Map<number, { found: Descriptor; at: number }>();
  scan(k, doing, () => false, (first, end) => {
    for (const fd of candidates(k, first, end, local, remote)) {
      const found = look(k, fd, true);
      if (found === null) continue;
      let key = found.low;
      let twin = places.get(key);
      while (twin !== undefined && !isSame(twin.found, found)) twin = places.get(++key);
      if (twin !== undefined && (!preferred.has(fd) || preferred.has(twin.found.fd))) continue;
      const made = make(found, seenState, nameAsAddress(k));
      if (made === null) continue;
      places.set(key, { found, at: twin?.at ?? result.length });
      result[twin?.at ?? result.length] = made;
    }
  });
  return result;
}

/** A socket that was seen before, as {@linkcode everySocket} would make it; null once it is closed. */
export function sameSocket<T>(
  found: Descriptor,
  doing: string,
  make: (found: Descriptor, state: number, address: KernelAddress | null) => T | null,
): T | null {
  const k = kernel(doing);
  const seen = look(k, found.fd, true);
  return seen === null || !isSame(seen, found) ? null : make(seen, seenState, nameAsAddress(k));
}

/** The address in `name`. */
function nameAsAddress(k: Numbers): KernelAddress | null {
  return length[0] === 0 ? null : readSockaddr(name.subarray(0, Math.min(length[0]!, name.byteLength)), k.os);
}

/** The numbers whose addresses two hints do not rule out. */
function candidates(k: Numbers, first: number, end: number, local: Hint | null, remote: Hint | null): number[] {
  const { getsockname, getpeername } = k.c.bare;
  if (local === null && remote === null) return Array.from({ length: end - first }, (_, i) => first + i);
  if (local === null) return withAddress(k, first, end, getpeername, remote!);
  const fds = withAddress(k, first, end, getsockname, local);
  return remote === null ? fds : fds.filter((fd) => withAddress(k, fd, fd + 1, getpeername, remote).length > 0);
}

/**
 * The numbers whose address a hint does not rule out. A short loop: in a program that has thousands of sockets and looks at
 * them for the first time, what stands here runs as slowly as can be.
 */
function withAddress(k: Numbers, first: number, end: number, ask: Libc["getsockname"], { ip, port }: Hint): number[] {
  const result: number[] = [];
  const at = k.port;
  const high = port === null ? 0 : port >> 8;
  const low = port === null ? 0 : port & 0xff;
  for (let fd = first; fd < end; fd++) {
    length[0] = SOCKADDR_MAX;
    const asked = ask(fd, name, length);
    // If this one failed, the address of an earlier one stands there still.
    if (port !== null && (name[at] !== high || name[at + 1] !== low)) continue;
    if (!failed(asked) && (ip === null || hasIp(k, ip))) result.push(fd);
  }
  return result;
}

function isSame(one: Descriptor, other: Descriptor): boolean {
  return one.low === other.low && one.high === other.high && one.peer === other.peer;
}

/**
 * The number of a socket that was seen, from now on that of this object; BadResource once it is closed.
 *
 * @param shared Whether another thread may close it.
 */
export function heldBy(object: HasDescriptor, found: Descriptor, shared: boolean): number {
  if (!isStill(kernel("Cannot use a socket"), found)) throw isClosed("Cannot use a socket");
  if (!held.has(object)) held.set(object, shared ? { ...found, shared } : found);
  return found.fd;
}

/**
 * Does something with a socket that another thread may close at any time. It is given a number of its own meanwhile:
 * whoever gets the old one between two calls is not mistaken for it. If the owner closes it meanwhile, it closes here, at
 * the end, and what SO_LINGER makes close() wait for is waited for here.
 *
 * @param found The socket; one that is not `shared` needs none of this.
 * @param doing The beginning of messages.
 * @param use What to do, with that number.
 */
export function whileOpen<T>(found: Descriptor, doing: string, use: (found: Descriptor) => T): T {
  const k = kernel(doing);
  const fd = k.c.dup(found.fd);
  if (failed(fd)) throw failedWith("EBADF") ? isClosed(doing) : systemError("fcntl", doing, DUPLICATE_REMEDIES);
  try {
    const duplicate = { ...found, fd };
    if (!isStill(k, duplicate)) throw isClosed(doing);
    return use(duplicate);
  } finally {
    k.c.close(fd);
  }
}

const DUPLICATE_REMEDIES = {
  EMFILE: "a socket that another thread may close needs a free descriptor for the time of a call",
};

/** Of so many numbers one is asked, to see whether most of them are open. */
const SAMPLE = 32;

/**
 * Visits ranges of numbers, lowest first, every open descriptor in one of them. Where most numbers are open none is left
 * out: poll(2) takes as long to tell whether one is open as its name takes to read.
 */
function scan(k: Numbers, doing: string, enough: () => boolean, visit: (first: number, end: number) => void): void {
  const entries = new Entries(k, doing);
  const limit = k.c.limit();
  const size = tableSize(k);
  // poll(2) takes no more entries than the process may have descriptors.
  const chunk = Math.max(1, Math.min(CHUNK, limit));
  const last = size ?? limit;
  let lastOpen = 0;
  for (let first = 0; first < last; first += chunk) {
    const gap = enough() ? GAP : size === null ? WIDE_GAP : Infinity;
    if (first - lastOpen > gap) break;
    const end = Math.min(first + chunk, last);
    if (entries.open(first, end, SAMPLE).length > (end - first) / SAMPLE / 2) {
      visit(first, end);
      lastOpen = end - 1;
    } else {
      for (const fd of entries.open(first, end, 1)) visit(lastOpen = fd, fd + 1);
    }
  }
}

const STATUS = new TextEncoder().encode("/proc/thread-self/status\0");
/** The line stands among the first dozen. */
const STATUS_ROOM = 512;
const TABLE_SIZE = "\nFDSize:";

/** How many descriptors the table of the process has room for by now, at least one; null where that is not told. */
function tableSize(k: Numbers): number | null {
  const bytes = new Uint8Array(STATUS_ROOM);
  if (failed(k.c.readFile(STATUS, bytes))) return null;
  const status = String.fromCharCode(...bytes);
  const at = status.indexOf(TABLE_SIZE);
  return at < 0 ? null : Number.parseInt(status.slice(at + TABLE_SIZE.length)) || null;
}

/** An array of struct pollfd. Whole words and short loops: many numbers are closed, and the first search is never warm. */
class Entries {
  readonly #k: Numbers;
  readonly #doing: string;
  readonly #bytes: Bytes;
  readonly #fds: Int32Array;
  readonly #answers: Uint16Array;
  readonly #invalid: number;
  /** Where the number of an entry stands, in words, and what poll(2) answers, in half words. */
  readonly #fd: readonly [first: number, step: number];
  readonly #answer: readonly [first: number, step: number];

  constructor(k: Numbers, doing: string) {
    const { size, fields } = LAYOUT.pollfd[k.os];
    this.#k = k;
    this.#doing = doing;
    this.#bytes = new Uint8Array(CHUNK * size);
    this.#fds = new Int32Array(this.#bytes.buffer);
    this.#answers = new Uint16Array(this.#bytes.buffer);
    this.#invalid = constant("POLLNVAL", k.os);
    this.#fd = [fields.fd[0] / 4, size / 4];
    this.#answer = [fields.revents[0] / 2, size / 2];
  }

  /** Every `step`th number of a range that poll(2) does not call closed. */
  open(first: number, end: number, step: number): number[] {
    const fds = this.#fds;
    const [at, words] = this.#fd;
    let word = at;
    for (let fd = first; fd < end; fd += step, word += words) fds[word] = fd;
    check(this.#k.c.pollNow(this.#bytes.subarray(0, (word - at) * 4)), "poll", this.#doing);
    const answers = this.#answers;
    const invalid = this.#invalid;
    const [answer, halves] = this.#answer;
    const result: number[] = [];
    for (let fd = first, half = answer; fd < end; fd += step, half += halves) {
      if ((answers[half]! & invalid) === 0) result.push(fd);
    }
    return result;
  }
}

/** Whether a descriptor is what is wanted. The cheapest question comes first. */
function fits(k: Numbers, fd: number, wanted: Wanted): boolean {
  return hasName(k, fd) && isThere(k, fd, wanted) && isKind(k, fd, ask(k, fd, k.type), wanted);
}

/** Looks at a descriptor that is very likely what is wanted; null when it is not. */
function lookFor(k: Numbers, fd: number, wanted: Wanted): Descriptor | null {
  const seen = look(k, fd);
  return seen !== null && isThere(k, fd, wanted) && isKind(k, fd, seen.type, wanted) ? seen : null;
}

/** Whether a socket, whose own address is in `name`, has the wanted addresses. */
function isThere(k: Numbers, fd: number, { local, remote }: Wanted): boolean {
  if (local !== null && !isAt(k, local)) return false;
  return remote === null || (hasPeer(k, fd) && isAt(k, remote));
}

/** Whether a socket with the wanted addresses is of the wanted kind as well. */
function isKind(k: Numbers, fd: number, type: number | null, wanted: Wanted): boolean {
  if (type !== (wanted.type === "stream" ? k.stream : k.dgram)) return false;
  // What has a peer does not listen.
  return wanted.type === "dgram" || wanted.remote !== null || (ask(k, fd, k.listening) === 1) === wanted.listening;
}

function hasName(k: Numbers, fd: number): boolean {
  return !failed(k.c.getsockname(fd, name, length));
}

function hasPeer(k: Numbers, fd: number): boolean {
  return !failed(k.c.getpeername(fd, name, length));
}

function portOf(k: Numbers): number {
  return name[k.port]! << 8 | name[k.port + 1]!;
}

/**
 * Whether an IPv6 socket carries packets of a family: with a peer, or bound to one address, it is that of the address;
 * the wildcard carries both. (V6ONLY is another question.)
 */
export function carries(found: Descriptor, family: "inet" | "inet6"): boolean {
  const k = kernel("Cannot read an address");
  if (!hasPeer(k, found.fd) && failed(k.c.getsockname(found.fd, name, length))) return true;
  const ip = ipOf(name, k.os);
  if (ip === null || ip.length !== 16) return true;
  for (let i = 0; i < 10; i++) if (ip[i] !== 0) return family === "inet6";
  if (ip[10] === 0xff && ip[11] === 0xff) return family === "inet";
  for (let i = 10; i < 16; i++) if (ip[i] !== 0) return family === "inet6";
  return true;
}

/** Whether the address in `name` is this one. */
function isAt(k: Numbers, endpoint: Endpoint): boolean {
  // Of a socket without an address, that of another stands there.
  if (length[0] === 0) return false;
  if ("path" in endpoint) {
    if (familyOf(name, k.os) !== k.unix) return false;
    const address = readSockaddr(name.subarray(0, length[0]), k.os);
    return address.family === "unix" && address.path === endpoint.path;
  }
  return portOf(k) === endpoint.port && hasIp(k, endpoint.ip);
}

/** Whether the address in `name` has this IP address. */
function hasIp(k: Numbers, wanted: Bytes): boolean {
  const ip = ipOf(name, k.os);
  if (ip === null) return false;
  // IPv4 is compared in IPv6's clothes: the two are one on dual-stack sockets.
  const offset = 16 - ip.length;
  for (let i = 0; i < ip.length; i++) if (ip[i] !== wanted[offset + i]) return false;
  return ip.length === 16 || MAPPED.every((byte, i) => wanted[i] === byte);
}

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** 16 bytes for either family. */
export function normal(ip: Bytes): Bytes {
  if (ip.length === 16) return ip;
  const bytes = new Uint8Array(16);
  bytes.set(MAPPED);
  bytes.set(ip, 12);
  return bytes;
}

/** What an object of Deno or node says of its addresses. */
function wantedOf(socket: object, doing: string): Wanted {
  const it = socket as Record<string, unknown>;
  if (typeof it.read === "function" && "localAddr" in it && "remoteAddr" in it) {
    const remote = it.remoteAddr as Deno.Addr | undefined;
    return {
      local: denoAddr(it.localAddr, doing),
      remote: remote ? denoAddr(remote, doing) : null,
      type: "stream",
      listening: false,
    };
  }
  if (typeof it.receive === "function" && "addr" in it) {
    return { local: denoAddr(it.addr, doing), remote: null, type: "dgram", listening: false };
  }
  if ((typeof it.accept === "function" || typeof it.shutdown === "function") && "addr" in it) {
    return { local: denoAddr(it.addr, doing), remote: null, type: "stream", listening: true };
  }
  if (typeof it.address === "function") return nodeSocket(it, doing);
  throw new TypeError(
    `${doing}: the socket is ${
      shown(socket)
    }, it must be a connection, listener, datagram connection or HTTP server of ` +
      "Deno, a socket or server of node:net or node:dgram, or a socket of this library",
  );
}

function denoAddr(address: unknown, doing: string): Endpoint {
  const { transport, hostname, port, path } = (address ?? {}) as Record<string, unknown>;
  if (typeof path === "string") return { path };
  // A unix socket without a name: most clients, and the peer of most servers.
  if (transport === "unix" || transport === "unixpacket") return { path: "" };
  if (typeof hostname === "string" && typeof port === "number") return endpoint(hostname, port, doing);
  throw new Deno.errors.NotSupported(`${doing}: sockets of transport ${shown(transport)} cannot be found`);
}

function endpoint(hostname: string, port: number, doing: string): Endpoint {
  const ip = parseIp(hostname);
  if (ip === null) throw new Deno.errors.NotSupported(`${doing}: its address ${shown(hostname)} is no literal address`);
  return { ip: normal(ip.bytes), port };
}

function nodeSocket(it: Record<string, unknown>, doing: string): Wanted {
  if (it.destroyed === true) throw isClosed(doing);
  if (typeof it.remotePort === "number" && typeof it.remoteAddress === "string") {
    return {
      local: endpoint(String(it.localAddress), Number(it.localPort), doing),
      remote: endpoint(it.remoteAddress, it.remotePort, doing),
      type: "stream",
      listening: false,
    };
  }
  const stream = typeof it.connect !== "function" || typeof it.write === "function";
  const listening = typeof it.listen === "function";
  // A unix stream tells no addresses; node notes its descriptor.
  if (stream && !listening) return { local: null, remote: null, type: "stream", listening };
  let address: unknown;
  try {
    address = (it.address as () => unknown)();
  } catch {
    // A dgram socket that is not bound, or was closed, has no address.
  }
  const type = stream ? "stream" : "dgram";
  if (typeof address === "string") return { local: { path: address }, remote: null, type, listening };
  const { address: hostname, port } = (address ?? {}) as Record<string, unknown>;
  if (typeof hostname !== "string" || typeof port !== "number") {
    throw new Deno.errors.BadResource(`${doing}: the socket is closed, or not bound yet`);
  }
  return { local: endpoint(hostname, port, doing), remote: null, type, listening };
}
