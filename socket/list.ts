// The sockets of the process as one sees them from inside: a list of all, and the one that fits.
// Which descriptor is behind an object that one has: internal/descriptor.ts. Waiting for several: poll.ts.
import { object, port, shown, text } from "../internal/argument.ts";
import { constant, type ConstantName, CONSTANTS } from "../internal/constants.ts";
import {
  addressOf,
  describe,
  DESCRIPTOR,
  type Descriptor,
  everySocket,
  type HasDescriptor,
  heldBy,
  type Hint,
  normal,
  sameSocket,
} from "../internal/descriptor.ts";
import { failed } from "../internal/errno.ts";
import { libc } from "../internal/libc.ts";
import { interfaceIndexOf } from "../internal/netif.ts";
import { OS } from "../internal/os.ts";
import { FAMILIES, formatIp, isMapped, isUnbound, type KernelAddress, parseIp } from "../internal/sockaddr.ts";
import { SOCKOPT } from "../internal/sockopt.ts";
import { type TcpState, tcpStateOf } from "../internal/tcp_info.ts";
import type { Family, SocketAddress, SocketType } from "./address.ts";
import { TYPES } from "./families.ts";
import { openedHere } from "./socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * A socket of this process, as it was when listed.
 *
 * Every option of `@berkeley/sockets/options` can be read from it and set on it. Once the socket is closed, or its number
 * belongs to another, that is a `Deno.errors.BadResource`, and the other stays as it is.
 */
export interface SocketInfo extends HasDescriptor {
  /** Descriptor; of several of one socket that of our {@linkcode Socket}, else the lowest. */
  readonly fd: number;
  /** Whether a {@linkcode Socket} of this isolate has it; those that Deno or a Worker opened are "other". */
  readonly owner: "library" | "other";
  /** Family, or the system's number. */
  readonly family: Family | number;
  /** Type, or the system's number. */
  readonly type: SocketType | number;
  /** Protocol number. */
  readonly protocol: number;
  /** TCP state; absent for other protocols. */
  readonly state?: TcpState;
  /** Own address; null before bind, and for families that this library has no words for. */
  readonly localAddr: SocketAddress | null;
  /** Peer; null when not connected. Most unix peers have no name: their path is "". */
  readonly remoteAddr: SocketAddress | null;
  /**
   * Bytes not yet read. Of sockets that are no streams and no seqpackets, the memory that waiting messages take, headers
   * included, as `ss` shows it; of listeners 0.
   */
  readonly receiveQueue: number;
  /**
   * Bytes not yet sent, and of TCP those not yet acknowledged. Of other sockets than TCP the memory that they take, headers
   * included; what a unix peer has not read counts.
   */
  readonly sendQueue: number;
}

/** An address to compare with, or a part of it; every field given must match. */
export interface AddressFilter {
  /**
   * A literal address. IPv4 and IPv4-mapped IPv6 addresses are the same; the wildcard is itself alone. A zone is compared
   * when there is one.
   */
  hostname?: string;
  /** Port. */
  port?: number;
  /** Unix path; abstract names begin with NUL; "" for a socket without a name. */
  path?: string;
}

/** Which sockets; every field given must match. Addresses of Deno and of this library may be given as they are. */
export interface SocketFilter {
  /** Family. */
  family?: Family;
  /** Type. */
  type?: SocketType;
  /** TCP state. */
  state?: TcpState;
  /** Own address, or a part of it. */
  localAddr?: AddressFilter;
  /** Peer, or a part of it. */
  remoteAddr?: AddressFilter;
}

const STATES: Readonly<Record<TcpState, true>> = {
  established: true,
  "syn-sent": true,
  "syn-received": true,
  "fin-wait-1": true,
  "fin-wait-2": true,
  "time-wait": true,
  close: true,
  "close-wait": true,
  "last-ack": true,
  listen: true,
  closing: true,
};

/** How many sockets an error lists. */
const LISTED = 20;

/**
 * The sockets of this process: those of Deno, of node's modules, of npm packages, of Workers and our own. Linux, macOS.
 *
 * A socket with several descriptors is listed once. What is told is a picture of the moment; nothing is read whose reading
 * changes the socket. Needs `--allow-ffi`, as there is no other way to see them. Four thousand sockets take about nine
 * milliseconds once the program is warm, thirty the first time. Ports and IP addresses of the filter are compared before
 * anything else is asked: the few that match among as many take two.
 *
 * @param filter Which; default all.
 * @returns The sockets, by descriptor.
 * @throws {TypeError} A field of the filter is unknown, or no such family, type or state exists.
 * @throws {SyntaxError} A hostname is no literal address.
 * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
 *
 * @example The connections of a server, and keepalive on those of one peer
 * ```ts
 * import { listSockets } from "@berkeley/sockets/socket";
 * import { SO_KEEPALIVE } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
 * using _served = await listener.accept();
 *
 * const here = listSockets({ localAddr: { port: listener.addr.port } });
 * assertEquals(here.map((one) => one.state), ["listen", "established"]);
 *
 * for (const one of listSockets({ remoteAddr: client.localAddr })) SO_KEEPALIVE.set(one, true);
 * ```
 */
export function listSockets(filter: SocketFilter = {}): SocketInfo[] {
  const doing = "Cannot list sockets";
  return list(wantedOf(filter, doing), doing);
}

/**
 * The only socket of this process that matches.
 *
 * All sockets are looked at each time, as another might match by now. A TCP connection that was found by both addresses,
 * IP and port, is found again without a search: no two have the same. (`type: "stream"`, a state or the `transport` of
 * Deno's addresses must say that it is one of TCP.)
 *
 * @param filter Which; every field given must match.
 * @returns The socket.
 * @throws {Deno.errors.NotFound} None matches.
 * @throws {Error} Several match; the message lists them.
 * @throws {TypeError} A field of the filter is unknown, or no such family, type or state exists.
 * @throws {SyntaxError} A hostname is no literal address.
 * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
 *
 * @example The connection behind a fetch, whose object tells no address
 * ```ts
 * import { findSocket } from "@berkeley/sockets/socket";
 * import { TCP_KEEPIDLE } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("ok"));
 * using client = Deno.createHttpClient({});
 * const response = await fetch(`http://127.0.0.1:${server.addr.port}`, { client });
 *
 * const connection = findSocket({ remoteAddr: server.addr });
 * assertEquals(TCP_KEEPIDLE.set(connection, 30), 30);
 * await response.text();
 * ```
 */
export function findSocket(filter: SocketFilter): SocketInfo {
  const doing = "Cannot find a socket";
  const wanted = wantedOf(filter, doing);
  const connection = connectionOf(wanted);
  const again = connection === null ? null : foundAgain(connection, wanted, doing);
  if (again !== null) return again;
  const found = list(wanted, doing);
  if (found.length === 1) {
    if (connection !== null) keep(connection, found[0]!);
    return found[0]!;
  }
  const which = `${doing} with ${shownFilter(filter)}`;
  if (found.length === 0) throw new Deno.errors.NotFound(`${which}: no socket of this process matches`);
  const listed = found.slice(0, LISTED).map((one) => one.shown()).join(", ");
  const more = found.length > LISTED ? ` and ${found.length - LISTED} more` : "";
  throw new Error(`${which}: ${found.length} sockets of this process match: ${listed}${more}`);
}

/** What is looked for, in the words of the kernel. */
interface Wanted {
  readonly family: Family | undefined;
  readonly type: SocketType | undefined;
  readonly state: TcpState | undefined;
  readonly local: Place | null;
  readonly remote: Place | null;
}
interface Place {
  /** As {@linkcode unmapped} writes it. */
  readonly ip: string | undefined;
  readonly hint: Hint | null;
  readonly zone: string | undefined;
  readonly port: number | undefined;
  readonly path: string | undefined;
  readonly protocol: "tcp" | "udp" | undefined;
  readonly unixType: SocketType | undefined;
}

function list(wanted: Wanted, doing: string): Listed[] {
  const ours = openedHere();
  const k = kernel(doing);
  const hint = (place: Place | null) => place === null ? null : place.hint;
  return everySocket(
    ours,
    hint(wanted.local),
    hint(wanted.remote),
    doing,
    (found, state, address) => infoOf(k, found, state, address, wanted, ours.has(found.fd)),
  );
}

/** The connections of TCP that were found by both addresses: no two have the same, so that these need no second search. */
const connections = new Map<string, Listed>();
const CONNECTIONS = 1024;

/** The two addresses of the only connection that can match; null when several might. */
function connectionOf({ type, state, local, remote }: Wanted): string | null {
  if (local?.hint?.ip == null || remote?.hint?.ip == null) return null;
  if (local.port === undefined || remote.port === undefined) return null;
  // Sockets of UDP may have all in common.
  if (type !== "stream" && state === undefined && local.protocol !== "tcp" && remote.protocol !== "tcp") return null;
  // Addresses of one link may be there on every link.
  if (local.ip!.startsWith("fe")) return null;
  return `${local.ip} ${local.port} ${remote.ip} ${remote.port}`;
}

function foundAgain(connection: string, wanted: Wanted, doing: string): Listed | null {
  const known = connections.get(connection);
  if (known === undefined) return null;
  const k = kernel(doing);
  const again = sameSocket(
    known.found,
    doing,
    (found, state, address) => infoOf(k, found, state, address, wanted, openedHere().has(found.fd)),
  );
  if (again === null) connections.delete(connection);
  return again;
}

function keep(connection: string, found: Listed): void {
  // The oldest goes.
  if (connections.size === CONNECTIONS) connections.delete(connections.keys().next().value!);
  connections.set(connection, found);
}

function wantedOf(filter: unknown, doing: string): Wanted {
  const { family, type, state, localAddr, remoteAddr, ...others } = object(
    filter,
    `${doing}: the filter`,
    'an object such as { state: "listen" }',
  );
  known(others, "the filter", "family, type, state, localAddr and remoteAddr", doing);
  return {
    family: oneOf(family, FAMILIES, "the family", doing),
    type: oneOf(type, TYPES, "the type", doing),
    state: oneOf(state, STATES, "the state", doing),
    local: placeOf(localAddr, "localAddr", doing),
    remote: placeOf(remoteAddr, "remoteAddr", doing),
  };
}

function known(others: Readonly<Record<string, unknown>>, what: string, fields: string, doing: string): void {
  for (const [name, value] of Object.entries(others)) {
    if (value === undefined) continue;
    throw new TypeError(`${doing}: ${what} has a field ${shown(name)}, it can have ${fields}`);
  }
}

function oneOf<K extends string>(value: unknown, all: Readonly<Record<K, unknown>>, what: string, doing: string) {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !Object.hasOwn(all, value)) {
    const names = Object.keys(all).map((name) => `"${name}"`).join(", ");
    throw new TypeError(`${doing}: ${what} is ${shown(value)}, it must be one of ${names}`);
  }
  return value as K;
}

const TRANSPORTS = { tcp: true, udp: true, unix: true, unixpacket: true } as const;

function placeOf(address: unknown, name: string, doing: string): Place | null {
  if (address === undefined) return null;
  const what = `${doing}: ${name}`;
  // The family of an address says nothing that its other fields do not, bytes of a path are in it as it is shown, and a
  // flow belongs to one packet.
  const { hostname, port: number, path, transport, family: _f, bytes: _b, flowInfo: _flow, ...others } = object(
    address,
    what,
    'an object such as { hostname: "192.0.2.1", port: 80 }',
  );
  known(others, name, "hostname, port and path", doing);
  const kind = oneOf(transport, TRANSPORTS, `the transport of ${name}`, doing);
  if (hostname === undefined && number === undefined && path === undefined && kind === undefined) return null;
  if (path !== undefined && (hostname !== undefined || number !== undefined)) {
    throw new TypeError(`${what} has a path and a hostname or port, no socket has both`);
  }
  const ip = hostname === undefined ? null : ipOf(hostname, `${what}.hostname`);
  const wantedPort = number === undefined ? undefined : port(number, `${what}.port`);
  return {
    ip: ip?.text,
    zone: ip?.zone,
    port: wantedPort,
    hint: ip === null && wantedPort === undefined ? null : { ip: ip?.bytes ?? null, port: wantedPort ?? null },
    // A unix address of Deno's without a name has no path.
    path: path === undefined
      ? (kind === "unix" || kind === "unixpacket" ? "" : undefined)
      : text(path, `${what}.path`, "text"),
    protocol: kind === "tcp" || kind === "udp" ? kind : undefined,
    unixType: kind === "unix" ? "stream" : kind === "unixpacket" ? "dgram" : undefined,
  };
}

function ipOf(hostname: unknown, what: string): { text: string; bytes: Bytes; zone: string | undefined } {
  const parsed = parseIp(text(hostname, what, "a literal address"));
  if (parsed === null) {
    throw new SyntaxError(
      `${what} is ${shown(hostname)}, it must be a literal IPv4 or IPv6 address; ` +
        "resolveAddress() gives those of a host name",
    );
  }
  const { bytes, zone } = parsed;
  const index = zone === null || /^[0-9]+$/.test(zone) ? zone ?? undefined : String(interfaceIndexOf(zone, what));
  return { text: formatIp(isMapped(bytes) ? bytes.subarray(12) : bytes), bytes: normal(bytes), zone: index };
}

/** An address of the kernel's without IPv6's clothes and without its zone. */
function unmapped(hostname: string): string {
  const end = hostname.indexOf("%");
  const ip = end < 0 ? hostname : hostname.slice(0, end);
  return ip.startsWith("::ffff:") && ip.includes(".") ? ip.slice("::ffff:".length) : ip;
}

function isAt(address: SocketAddress | null, place: Place, found: Descriptor, k: Kernel): boolean {
  if (place.protocol !== undefined) {
    const is = found.protocol === k.tcp || found.protocol === k.mptcp
      ? "tcp"
      : found.protocol === k.udp || found.protocol === k.udplite
      ? "udp"
      : null;
    if (is !== place.protocol || (found.family !== k.inet && found.family !== k.inet6)) return false;
  }
  if (place.unixType !== undefined && k.types.get(found.type) !== place.unixType) return false;
  if (place.path !== undefined) {
    return found.family === k.unix && (address === null ? "" : (address as { path: string }).path) === place.path;
  }
  if (place.port === undefined && place.ip === undefined) return true;
  if (address === null || !("hostname" in address)) return false;
  if (place.port !== undefined && place.port !== address.port) return false;
  if (place.ip === undefined) return true;
  return unmapped(address.hostname) === place.ip &&
    (place.zone === undefined || address.hostname.endsWith(`%${place.zone}`));
}

/** The numbers that this file asks the kernel with; read once. */
interface Kernel {
  readonly families: ReadonlyMap<number, Family>;
  readonly types: ReadonlyMap<number, SocketType>;
  readonly inet: number;
  readonly inet6: number;
  readonly unix: number;
  readonly stream: number;
  readonly seqpacket: number;
  readonly tcp: number;
  readonly mptcp: number | null;
  readonly udp: number;
  readonly udplite: number | null;
  readonly socket: number;
  /** Options of the level of sockets; null where the system has none. */
  readonly memory: number | null;
  readonly unread: number | null;
  readonly unsent: number | null;
}
let numbers: Kernel | undefined;

function kernel(doing: string): Kernel {
  if (numbers !== undefined) return numbers;
  libc(doing);
  const option = OS === "darwin" ? 2 : 1;
  return numbers = {
    families: byNumber(FAMILIES),
    types: byNumber(TYPES),
    inet: numberOf("AF_INET")!,
    inet6: numberOf("AF_INET6")!,
    unix: numberOf("AF_UNIX")!,
    stream: numberOf("SOCK_STREAM")!,
    seqpacket: numberOf("SOCK_SEQPACKET")!,
    tcp: numberOf("IPPROTO_TCP")!,
    mptcp: numberOf("IPPROTO_MPTCP"),
    udp: numberOf("IPPROTO_UDP")!,
    udplite: numberOf("IPPROTO_UDPLITE"),
    socket: numberOf("SOL_SOCKET")!,
    memory: SOCKOPT.SO_MEMINFO[option],
    unread: SOCKOPT.SO_NREAD[option],
    unsent: SOCKOPT.SO_NWRITE[option],
  };
}

function numberOf(name: ConstantName): number | null {
  return CONSTANTS[name][OS === "darwin" ? 1 : 0];
}

function byNumber<K extends string>(names: Readonly<Record<K, ConstantName>>): Map<number, K> {
  const result = new Map<number, K>();
  for (const word of Object.keys(names) as K[]) {
    const number = numberOf(names[word]);
    if (number !== null) result.set(number, word);
  }
  return result;
}

/** A socket that was seen. */
class Listed implements SocketInfo {
  readonly fd: number;
  readonly owner: "library" | "other";
  readonly family: Family | number;
  readonly type: SocketType | number;
  readonly protocol: number;
  declare readonly state?: TcpState;
  readonly localAddr: SocketAddress | null;
  readonly remoteAddr: SocketAddress | null;
  readonly receiveQueue: number;
  readonly sendQueue: number;
  readonly #found: Descriptor;

  /** What it was found as. */
  get found(): Descriptor {
    return this.#found;
  }

  constructor(
    found: Descriptor,
    owner: "library" | "other",
    family: Family | number,
    type: SocketType | number,
    state: TcpState | undefined,
    localAddr: SocketAddress | null,
    remoteAddr: SocketAddress | null,
    receiveQueue: number,
    sendQueue: number,
  ) {
    this.fd = found.fd;
    this.owner = owner;
    this.family = family;
    this.type = type;
    this.protocol = found.protocol;
    if (state !== undefined) this.state = state;
    this.localAddr = localAddr;
    this.remoteAddr = remoteAddr;
    this.receiveQueue = receiveQueue;
    this.sendQueue = sendQueue;
    this.#found = found;
  }

  get [DESCRIPTOR](): number {
    return heldBy(this, this.#found, this.owner === "other");
  }

  /** The socket in messages. */
  shown(): string {
    return `descriptor ${this.fd} (${[describe(this.#found), this.state].filter(Boolean).join(", ")})`;
  }
}

/** What a socket is; null when it does not match. */
function infoOf(
  k: Kernel,
  found: Descriptor,
  stateByte: number,
  local: KernelAddress | null,
  wanted: Wanted,
  ours: boolean,
): Listed | null {
  const family = k.families.get(found.family) ?? found.family;
  if (wanted.family !== undefined && family !== wanted.family) return null;
  const type = k.types.get(found.type) ?? found.type;
  if (wanted.type !== undefined && type !== wanted.type) return null;
  const inet = found.family === k.inet || found.family === k.inet6;
  const tcp = inet && found.type === k.stream && (found.protocol === k.tcp || found.protocol === k.mptcp);
  const state = stateByte < 0 ? undefined : tcpStateOf(stateByte, OS!);
  if (wanted.state !== undefined && state !== wanted.state) return null;
  const localAddr = local === null || isUnbound(local, inet && type === "raw") ? null : visible(local);
  if (wanted.local !== null && !isAt(localAddr, wanted.local, found, k)) return null;
  const listens = state === "listen";
  const remoteAddr = listens ? null : visible(addressOf(found.fd, "remote"));
  if (wanted.remote !== null && (remoteAddr === null || !isAt(remoteAddr, wanted.remote, found, k))) return null;
  queues(k, found, tcp, listens || (tcp && state === "close"));
  return new Listed(
    found,
    ours ? "library" : "other",
    family,
    type,
    state,
    localAddr,
    remoteAddr,
    received,
    unsent,
  );
}

/** Addresses of families that this library has no words for are numbers and bytes: not shown. */
function visible(address: KernelAddress | null): SocketAddress | null {
  return address === null || typeof address.family === "number" ? null : address as SocketAddress;
}

const length = new Uint32Array(1);

function ask(k: Kernel, option: number | null, found: Descriptor, into: Bytes): boolean {
  return option !== null && !failed(libc("Cannot list sockets").getsockopt(found.fd, k.socket, option, into, length));
}

const UNREAD = constant("FIONREAD", "linux");
const UNSENT = constant("SIOCOUTQ", "linux");
const int = new Int32Array(1);
const intBytes = new Uint8Array(int.buffer);
/** As much of SO_MEMINFO as is of use: memory received, the limit, memory sent, the limit, reserved, memory queued. */
const memory = new Uint32Array(6);
const memoryBytes = new Uint8Array(memory.buffer);
/** What {@linkcode queues} found. */
let received = 0;
let unsent = 0;

/** Of what listens or is not connected, the numbers of waiting bytes mean something else or nothing. */
function queues(k: Kernel, found: Descriptor, tcp: boolean, none: boolean): void {
  received = unsent = 0;
  if (none) return;
  if (OS === "darwin") {
    received = ask(k, k.unread, found, intBytes) ? int[0]! : 0;
    unsent = ask(k, k.unsent, found, intBytes) ? int[0]! : 0;
    return;
  }
  if (found.type !== k.stream && found.type !== k.seqpacket) {
    // FIONREAD tells only the next message.
    if (!ask(k, k.memory, found, memoryBytes)) return;
    received = memory[0]!;
    unsent = memory[2]!;
    return;
  }
  // What takes no memory has no bytes: one question instead of two for the many connections that rest.
  const known = tcp && found.protocol === k.tcp && ask(k, k.memory, found, memoryBytes);
  const c = libc("Cannot list sockets");
  if (!known || memory[0] !== 0) received = failed(c.ioctl(found.fd, UNREAD, intBytes)) ? 0 : int[0]!;
  if (!known || memory[5] !== 0) unsent = failed(c.ioctl(found.fd, UNSENT, intBytes)) ? 0 : int[0]!;
}

/** The filter in messages. */
function shownFilter(filter: SocketFilter): string {
  return JSON.stringify(filter, (_, value) => value instanceof Uint8Array ? undefined : value);
}
