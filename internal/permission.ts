// Keeps Deno's promises for sockets made by FFI: what --allow-net, and for unix paths --allow-read and --allow-write, let through.
// Whether the C library may be opened at all is ffi.ts; texts of addresses are taken apart in sockaddr.ts.
import { shown } from "./argument.ts";
import { OS } from "./os.ts";
import { formatIp, isMapped, parseIp } from "./sockaddr.ts";

// To the runtime FFI is all or nothing, so this is good manners of a library, not a sandbox. The checks are Deno's own,
// asked through Deno.permissions; tests/permission_test.ts puts the same questions to Deno's calls. Known differences:
// - An address granted by itself inside a denied network (--allow-net=10.0.0.1 --deny-net=10.0.0.0/8): Deno's calls
//   refuse it, its query says "granted", and nothing else can be asked. It is let through here.
// - A denied IPv4 address written as IPv6 (::ffff:10.0.0.1) passes Deno's own second check; not ours.
// - Abstract unix names under --allow-net with a --deny-net: Deno lets them through, here they need the whole grant.

/** Every permission there is; Deno wants all of them for what the kernel keeps in /dev, /proc and /sys. */
const ALL = ["read", "write", "net", "env", "sys", "run", "ffi", "import"] as const;
type Name = typeof ALL[number];

/** Refuses in Deno's words, after the action. */
function refusal(doing: string, name: Name | "all", what?: string): Deno.errors.NotCapable {
  const access = what === undefined ? `${name} access` : `${name} access to ${shown(what)}`;
  return new Deno.errors.NotCapable(`${doing}: Requires ${access}, run again with the --allow-${name} flag`);
}

/** Whether all of a permission is granted, with nothing denied; then Deno asks nothing about single places either. */
function wholly(name: Name): boolean {
  const status = Deno.permissions.querySync({ name });
  return status.state === "granted" && !status.partial;
}

/**
 * A question about a host that Deno forgets. It keeps an object for every distinct descriptor for ever, 380 bytes, and a
 * server that answers anybody would fill its memory at its peers' pleasure. The host is looked at once to answer and
 * once to remember: the second look finds it empty, so all share one object. An empty host is never granted but an
 * error, so should Deno come to look in another order, no wrong answer comes of it.
 */
class HostOnce implements Deno.NetPermissionDescriptor {
  readonly name = "net";
  #host: string;

  constructor(host: string) {
    this.#host = host;
  }

  get host(): string {
    const host = this.#host;
    this.#host = "";
    return host;
  }
}

/** What Deno says about "host:port", "host" or "unix:/path". */
function netState(host: string): Deno.PermissionState {
  try {
    return Deno.permissions.querySync(new HostOnce(host)).state;
  } catch {
    return Deno.permissions.querySync({ name: "net", host }).state;
  }
}

/** Whether it is granted, or becomes so by asking. What is granted already is never asked for: that would outlive a revoke. */
function allowed(state: Deno.PermissionState, descriptor: Deno.PermissionDescriptor, mayAsk: boolean): boolean {
  if (state === "prompt" && mayAsk) state = Deno.permissions.requestSync(descriptor).state;
  return state === "granted";
}

/** An IP address as Deno's descriptors have it: IPv4 in IPv6's clothes as IPv4, IPv6 in brackets, no zone. */
function inet(bytes: Uint8Array): string {
  if (isMapped(bytes)) return formatIp(bytes.subarray(12));
  return bytes.length === 4 ? formatIp(bytes) : `[${formatIp(bytes)}]`;
}

/** The literal address in a host, in Deno's notation; null when it is a name. */
function literal(hostname: string): string | null {
  const bracketed = hostname.startsWith("[") && hostname.endsWith("]");
  const ip = parseIp(bracketed ? hostname.slice(1, -1) : hostname);
  return ip === null || (bracketed && ip.bytes.length === 4) ? null : inet(ip.bytes);
}

function noHost(doing: string, hostname: string, cause?: unknown): SyntaxError {
  return new SyntaxError(`${doing}: the host is ${shown(hostname)}, it must be a host name or an IP address`, {
    cause,
  });
}

/** Checks a host and port; tells whether all of net is granted, so that no other place need be asked for. */
function net(hostname: string, port: number, doing: string, mayAsk: boolean): boolean {
  if (wholly("net")) return true;
  const address = literal(hostname);
  // A colon would make Deno read something else into it: a port, a unix path, a vsock.
  if (address === null && hostname.includes(":")) throw noHost(doing, hostname);
  // These two words begin descriptors of another kind, in lower case only; in host names case does not matter.
  const name = hostname === "unix" || hostname === "vsock" ? hostname.toUpperCase() : hostname;
  const host = `${address ?? name}:${port}`;
  let granted: boolean;
  try {
    granted = allowed(netState(host), { name: "net", host }, mayAsk);
  } catch (error) {
    throw noHost(doing, hostname, error);
  }
  if (!granted) {
    throw refusal(doing, "net", `${address ?? name.toLowerCase().replace(/\.$/, "")}:${port}`);
  }
  // A literal is its own resolved address.
  if (address !== null) refuseDenied(address, port, doing);
  return false;
}

/**
 * Refuses an address that a --deny-net covers. Deno's query stops at the first rule that fits, and rules with a port
 * come first: a grant of the port hides that the whole address is denied, which counts; so that is asked as well.
 */
function refuseDenied(address: string, port: number, doing: string): void {
  if (netState(`${address}:${port}`) === "denied" || netState(address) === "denied") {
    throw refusal(doing, "net", `${address}:${port}`);
  }
}

/**
 * Checks that a place may be bound or connected to, as Deno.listen and Deno.connect do. The addresses that a name
 * resolves to are to be checked as well, with {@linkcode checkResolved}; for a literal this is all.
 *
 * @param hostname The host as the user wrote it, IPv6 with or without brackets; what stands for an omitted one is the caller's to say.
 * @param port The port, 0 when the kernel shall choose.
 * @param doing The beginning of the message: `Cannot bind tcp 127.0.0.1:80`.
 * @param mayAsk Whether the user may be prompted.
 */
export function checkNet(hostname: string, port: number, doing: string, mayAsk = true): void {
  net(hostname, port, doing, mayAsk);
}

/**
 * Checks an address that a granted name resolved to: it is refused when it is denied, and need not be granted.
 *
 * @param address Literal IP address; a zone does not matter.
 */
export function checkResolved(address: string, port: number, doing: string): void {
  if (wholly("net")) return;
  const host = literal(address);
  if (host === null) throw noHost(doing, address);
  refuseDenied(host, port, doing);
}

/**
 * Checks that all of net is granted and nothing of it denied, as for sockets that no rule can name: abstract unix names,
 * raw, packet, netlink and Bluetooth sockets.
 */
export function checkWholeNet(doing: string, mayAsk = true): void {
  const { state } = Deno.permissions.querySync({ name: "net" });
  if (!allowed(state, { name: "net" }, mayAsk)) throw refusal(doing, "net");
  if (wholly("net")) return;
  throw new Deno.errors.NotCapable(
    `${refusal(doing, "net").message}; --deny-net withholds a part, and this needs all of it`,
  );
}

/**
 * Checks that a vsock may be bound, connected or sent to, as Deno does: a grant is "vsock:CID:PORT", both in decimal and
 * any as all ones.
 *
 * @param cid The context id, -1 for any.
 * @param port The port, -1 for any.
 */
export function checkVsock(cid: number, port: number, doing: string, mayAsk = true): void {
  if (wholly("net")) return;
  const host = `vsock:${cid >>> 0}:${port >>> 0}`;
  if (!allowed(netState(host), { name: "net", host }, mayAsk)) throw refusal(doing, "net", host);
}

/**
 * Checks that a unix socket may be bound or connected to (`use` "both": read and write of the path, and net for
 * unix:/absolute/path) or sent to ("write": without read), as Deno 2.9 does. Abstract names and the empty one, which
 * becomes abstract, need the whole net. Symbolic links are not followed: what is granted is a place, not what lies there.
 *
 * @param path The path, relative ones to the working directory.
 * @returns The path to give to the kernel: ".." is taken out of it by its text, as it was for the check, because the
 * kernel would follow a symbolic link first and arrive elsewhere.
 */
export function checkUnix(path: string, doing: string, mayAsk = true, use: "both" | "write" = "both"): string {
  if (path === "" || path.startsWith("\0")) {
    checkWholeNet(doing, mayAsk);
    return path;
  }
  // The kernel would stop there, at a path that was not checked.
  if (path.includes("\0")) throw new TypeError(`${doing}: the path is ${shown(path)}, it must not contain NUL`);
  const all = ALL.every(wholly);
  if (all) return path;
  const absolute = normalized(path.startsWith("/") ? path : `${Deno.cwd()}/${path}`);
  for (const name of use === "both" ? ["read", "write"] as const : ["write"] as const) {
    // A part denied below the path is of no matter.
    const { state } = wholly(name) ? { state: "granted" as const } : Deno.permissions.querySync({ name, path });
    if (!allowed(state, { name, path }, mayAsk)) throw refusal(doing, name, path.startsWith("/") ? absolute : path);
  }
  if ((OS === "darwin" ? /^\/dev(\/|$)/ : /^\/(dev|proc|sys)(\/|$)/).test(absolute)) {
    throw refusal(doing, "all", absolute);
  }
  const host = `unix:${absolute}`;
  if (!wholly("net") && !allowed(netState(host), { name: "net", host }, mayAsk)) throw refusal(doing, "net", host);
  return path.split("/").includes("..") ? absolute : path;
}

/** An absolute path without ".", ".." and empty parts, by its text alone. */
function normalized(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

// Grants are remembered for one turn of the event loop or this many sends, whichever ends first; refusals never. So a
// revoke is seen no later than that, and a query (1 to 4 µs) is not paid for every datagram. A new destination counts as
// a send, so that no more than these are ever remembered.
const SENDS = 1_000;
/** Slots for destinations given as bytes. */
const SLOTS = 1_024;
/** Bytes of a destination that are remembered: sockaddr_in has 16, sockaddr_in6 has 28. */
const WIDTH = 32;

/** How many sends may still rely on what is remembered. */
let left = 0;
/** Whether all of net was granted. */
let everything = false;
const texts = new Set<string>();
const paths = new Map<string, string>();
/** Destinations as bytes, each in the only slot that its hash allows; length 0 where there is none. */
let slots: Uint8Array | undefined;
const lengths = new Uint8Array(SLOTS);
let turnEnds = false;

/** Forgets all grants; the next send asks again. */
export function forgetGrants(): void {
  left = 0;
  everything = false;
  texts.clear();
  paths.clear();
  lengths.fill(0);
}

/** Counts a send that had to be asked for, and begins a new count where one has ended. */
function begin(): void {
  if (left <= 0) {
    forgetGrants();
    left = SENDS;
  }
  left--;
  if (turnEnds) return;
  turnEnds = true;
  setImmediate(() => {
    turnEnds = false;
    forgetGrants();
  });
}

function slotOf(key: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key[i]!, 0x01000193);
  return (hash ^ hash >>> 16) & (SLOTS - 1);
}

function remembered(key: string | Uint8Array): boolean {
  if (typeof key === "string") return texts.has(key);
  const length = key.length;
  if (slots === undefined || length === 0) return false;
  const slot = slotOf(key);
  if (lengths[slot] !== length) return false;
  // Byte by byte: a hash alone is no proof.
  for (let i = 0, at = slot * WIDTH; i < length; i++, at++) {
    if (slots[at] !== key[i]) return false;
  }
  return true;
}

function remember(key: string | Uint8Array): void {
  if (typeof key === "string") {
    texts.add(key);
    return;
  }
  if (key.length === 0 || key.length > WIDTH) return;
  slots ??= new Uint8Array(SLOTS * WIDTH);
  const slot = slotOf(key);
  slots.set(key, slot * WIDTH);
  lengths[slot] = key.length;
}

/**
 * Whether a destination was granted a moment ago, so that no message need be prepared for the check. Counts as a send.
 *
 * @param key As for {@linkcode checkDestination}.
 */
export function isGranted(key: string | Uint8Array): boolean {
  if (left <= 0 || !(everything || remembered(key))) return false;
  left--;
  return true;
}

/**
 * Checks the destination of a datagram, as {@linkcode checkNet} does, and remembers the grant.
 *
 * @param key What tells this host and port from all others: the bytes of the sockaddr (more than 32 are not remembered), or text.
 * @param hostname The host as the user wrote it; when it is a name, the address it resolves to is to be checked as well.
 */
export function checkDestination(
  key: string | Uint8Array,
  hostname: string,
  port: number,
  doing: string,
  mayAsk = true,
): void {
  if (isGranted(key)) return;
  const whole = net(hostname, port, doing, mayAsk);
  begin();
  if (whole) everything = true;
  else remember(key);
}

/** Checks a destination that no rule can name, as {@linkcode checkWholeNet} does, and remembers the grant. */
export function checkWholeDestination(doing: string, mayAsk = true): void {
  if (isGranted("")) return;
  checkWholeNet(doing, mayAsk);
  begin();
  everything = true;
}

/** Checks the unix path that a datagram is sent to, and remembers the grant; returns the path to give to the kernel. */
export function checkUnixDestination(path: string, doing: string, mayAsk = true): string {
  if (left > 0) {
    const checked = paths.get(path);
    if (checked !== undefined) {
      left--;
      return checked;
    }
  }
  const checked = checkUnix(path, doing, mayAsk, "write");
  begin();
  // What a relative path means changes with the working directory.
  if (path.startsWith("/") || path.startsWith("\0")) paths.set(path, checked);
  return checked;
}
