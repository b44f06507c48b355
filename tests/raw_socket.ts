// Sockets of the tests' own: a second, independent way to the kernel, to look at what the library did from outside it.
// It shares nothing with internal/ but the symbol by which options take any socket; what tests may assume is needs.ts.
import { constants } from "node:os";
import { DESCRIPTOR } from "../options/mod.ts";
import type { Needs } from "./needs.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SYMBOLS = {
  __errno_location: { parameters: [], result: "u64" },
  memcpy: { parameters: ["buffer", "u64", "u32"], result: "u64" },
  memmove: { parameters: ["buffer", "buffer", "u32"], result: "u64" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "u32"], result: "i32" },
  recvfrom: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "buffer"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u32", "buffer"], result: "i32" },
  inet_pton: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  inet_ntop: { parameters: ["i32", "buffer", "buffer", "u32"], result: "u64" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  geteuid: { parameters: [], result: "u32" },
  unshare: { parameters: ["i32"], result: "i32" },
  // long syscall(long number, ...), here for bpf(int cmd, union bpf_attr *attr, unsigned int size) alone
  syscall: { parameters: ["i32", "i32", "buffer", "u32"], result: "i32" },
  uname: { parameters: ["buffer"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** A grant is for a path to the letter, so each is asked for; a grant for everything takes the loader's name. */
const LIBRARIES = [
  "/lib/x86_64-linux-gnu/libc.so.6",
  "/usr/lib/x86_64-linux-gnu/libc.so.6",
  "/lib/aarch64-linux-gnu/libc.so.6",
  "/usr/lib/aarch64-linux-gnu/libc.so.6",
  "/lib64/libc.so.6",
  "/usr/lib64/libc.so.6",
];

function granted(): string | null {
  if (Deno.build.os !== "linux") return null;
  if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") return "libc.so.6";
  return LIBRARIES.find((path) => Deno.permissions.querySync({ name: "ffi", path }).state === "granted") ?? null;
}

function opened() {
  const path = granted();
  if (path === null) return null;
  // Opened when the test is loaded and closed at once, so that no test is found with a library opened in its midst;
  // synchronous symbols keep working.
  const library = Deno.dlopen(path, SYMBOLS);
  const symbols = library.symbols;
  library.close();
  return symbols;
}

const opening = opened();

/** What a test that uses this file needs: nothing more when the C library is there. */
export const RAW: Needs = opening === null ? { ffi: true, linux: true } : { linux: true };

/** The same, and root: this sees it without --allow-sys. */
export const ROOT: Needs = opening?.geteuid() === 0 ? RAW : { ...RAW, root: true };

const c = opening!;
const errnoAt = opening === null ? 0n : opening.__errno_location();
const errno = new Int32Array(1);

const NAMES = new Map<number, string>(
  Object.entries(constants.errno).map(([name, number]) => [number, name] as const).reverse(),
);
// node knows these by no name, or by the other of two.
for (
  const [number, name] of [[95, "EOPNOTSUPP"], [11, "EAGAIN"], [94, "ESOCKTNOSUPPORT"], [96, "EPFNOSUPPORT"]] as const
) {
  NAMES.set(number, name);
}

/** The name of errno as the last call left it. */
function lastError(): string {
  return NAMES.get(errno[0]!) ?? `errno ${errno[0]}`;
}

/** A failed call of a raw socket. */
export class RawError extends Error {
  override name = "RawError";
  /** The name of errno. */
  readonly code: string;

  constructor(call: string, code: string) {
    super(`${call}: ${code}`);
    this.code = code;
  }
}

/** The result of a call; throws when it failed. errno is read before anything else runs. */
function check(call: string, result: number): number {
  if (result < 0) throw new RawError(call, lastError());
  return result;
}

/** The outcome of a call that may be refused: the name of errno, or null. */
export function refusal(call: () => unknown): string | null {
  try {
    call();
    return null;
  } catch (error) {
    if (error instanceof RawError) return error.code;
    throw error;
  }
}

export const AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17, AF_VSOCK = 40;
export const SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_SEQPACKET = 5;
export const IPPROTO_IP = 0,
  IPPROTO_ICMP = 1,
  IPPROTO_TCP = 6,
  IPPROTO_UDP = 17,
  IPPROTO_IPV6 = 41,
  IPPROTO_ICMPV6 = 58;
export const IPPROTO_UDPLITE = 136, IPPROTO_MPTCP = 262, SOL_SOCKET = 1;
const SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
const MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000;
const POLLOUT = 4;

const utf8 = new TextEncoder();

/** Buffers that the kernel is told of by address alone: V8 would free them as soon as nothing else names them. */
const held: Bytes[] = [];

/** Where a buffer lies; it is kept alive until sixteen others were asked for. */
export function addressOf(buffer: Bytes): bigint {
  held.push(buffer);
  if (held.length > 16) held.shift();
  return c.memmove(buffer, buffer, 0);
}

/** Copies memory. */
export function peek(address: bigint, length: number): Bytes {
  const bytes = new Uint8Array(length);
  c.memcpy(bytes, address, length);
  return bytes;
}

/** The version of the kernel. */
export function kernelRelease(): string {
  const names = new Uint8Array(6 * 65);
  c.uname(names);
  return new TextDecoder().decode(names.subarray(130, names.indexOf(0, 130)));
}

/** A C string. */
export function cString(text: string): Bytes {
  return utf8.encode(`${text}\0`);
}

/** An int as bytes. */
export function int(value: number): Bytes {
  return new Uint8Array(Int32Array.of(value).buffer);
}

/** Bytes as an int. */
export function asInt(bytes: Bytes): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
}

/** inet_pton of the C library; null when it says that this is no address. */
export function pton(family: number, text: string): Bytes | null {
  const bytes = new Uint8Array(family === AF_INET ? 4 : 16);
  return c.inet_pton(family, cString(text), bytes) === 1 ? bytes : null;
}

/** inet_ntop of the C library. */
export function ntop(bytes: Bytes): string {
  const text = new Uint8Array(64);
  c.inet_ntop(bytes.length === 4 ? AF_INET : AF_INET6, bytes, text, 64);
  return new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
}

/** struct sockaddr_in or sockaddr_in6. */
export function inet(hostname: string, port: number, scope = 0): Bytes {
  const v6 = hostname.includes(":");
  const bytes = new Uint8Array(v6 ? 28 : 16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v6 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port);
  if (opening === null) return bytes; // for tests that are ignored
  const ip = pton(v6 ? AF_INET6 : AF_INET, hostname);
  if (ip === null) throw new Error(`${hostname} is no address`);
  bytes.set(ip, v6 ? 8 : 4);
  if (v6) view.setUint32(24, scope, true);
  return bytes;
}

/** struct sockaddr_un with an abstract name; without one, the kernel is asked to choose. */
export function abstract(name?: string): Bytes {
  if (name === undefined) return Uint8Array.of(AF_UNIX, 0);
  const bytes = utf8.encode(`\0\0\0${name}`);
  bytes[0] = AF_UNIX;
  return bytes;
}

const anAddress = new Uint8Array(128);
const aLength = new Uint32Array(1);

/** A message with its control messages. */
export interface RawMessage {
  readonly data: Bytes;
  readonly flags: number;
  readonly control: readonly { readonly level: number; readonly type: number; readonly data: Bytes }[];
}

/** A socket that never blocks. */
export class RawSocket implements Disposable {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** socket(). */
  static open(family: number, type: number, protocol = 0): RawSocket {
    const fd = c.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) c.memcpy(errno, errnoAt, 4);
    return new RawSocket(check("socket", fd));
  }

  /** socketpair(). */
  static pair(type: number): [RawSocket, RawSocket] {
    const fds = new Int32Array(2);
    const result = c.socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("socketpair", result);
    return [new RawSocket(fds[0]!), new RawSocket(fds[1]!)];
  }

  get [DESCRIPTOR](): number {
    return this.#fd;
  }

  get fd(): number {
    return this.#fd;
  }

  bind(address: Bytes): this {
    const result = c.bind(this.#fd, address, address.byteLength);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("bind", result);
    return this;
  }

  listen(backlog = 8): this {
    const result = c.listen(this.#fd, backlog);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("listen", result);
    return this;
  }

  /** accept(), after waiting for it at most a second. */
  accept(): RawSocket {
    this.poll(1, 1000);
    aLength[0] = 128;
    const fd = c.accept(this.#fd, anAddress, aLength);
    if (fd < 0) c.memcpy(errno, errnoAt, 4);
    return new RawSocket(check("accept", fd));
  }

  /** connect(), waiting at most `milliseconds` for the end of it; 0 only begins. */
  connect(address: Bytes, milliseconds = 1000): this {
    const result = c.connect(this.#fd, address, address.byteLength);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    if (result < 0 && lastError() === "EINPROGRESS") {
      if (milliseconds === 0) return this;
      if (this.poll(POLLOUT, milliseconds) === 0) throw new RawError("connect", "EINPROGRESS");
      const error = this.getInt(SOL_SOCKET, 4);
      if (error !== 0) throw new RawError("connect", NAMES.get(error) ?? String(error));
      return this;
    }
    check("connect", result);
    return this;
  }

  /** The local address, its port when it has one. */
  get localAddress(): Bytes {
    aLength[0] = 128;
    const result = c.getsockname(this.#fd, anAddress, aLength);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("getsockname", result);
    return anAddress.slice(0, aLength[0]);
  }

  get localPort(): number {
    const address = this.localAddress;
    return address[2]! << 8 | address[3]!;
  }

  get peerAddress(): Bytes {
    aLength[0] = 128;
    const result = c.getpeername(this.#fd, anAddress, aLength);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("getpeername", result);
    return anAddress.slice(0, aLength[0]);
  }

  /** getsockopt(), as many bytes as came. */
  get(level: number, name: number, room = 4): Bytes {
    const value = new Uint8Array(room);
    aLength[0] = room;
    const result = c.getsockopt(this.#fd, level, name, value, aLength);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("getsockopt", result);
    return value.slice(0, aLength[0]);
  }

  /** An option that is an int. */
  getInt(level: number, name: number): number {
    const bytes = this.get(level, name);
    return bytes.length === 4 ? asInt(bytes) : bytes[0]!;
  }

  /** setsockopt(). */
  set(level: number, name: number, value: Bytes | number): this {
    const bytes = typeof value === "number" ? int(value) : value;
    const result = c.setsockopt(this.#fd, level, name, bytes, bytes.byteLength);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("setsockopt", result);
    return this;
  }

  /** sendto(); returns how much was sent. */
  send(data: Bytes | string, to?: Bytes, flags = 0): number {
    const bytes = typeof data === "string" ? utf8.encode(data) : data;
    const result = c.sendto(
      this.#fd,
      bytes,
      bytes.byteLength,
      flags | MSG_DONTWAIT | MSG_NOSIGNAL,
      to ?? null,
      to?.byteLength ?? 0,
    );
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    return check("sendto", result);
  }

  /** sendmsg() with control messages; returns how much was sent. */
  sendMessage(data: Bytes, to: Bytes, control: readonly { level: number; type: number; data: Bytes }[]): number {
    const bytes = new Uint8Array(512);
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (const one of control) {
      view.setBigUint64(at, BigInt(16 + one.data.length), true);
      view.setInt32(at + 8, one.level, true);
      view.setInt32(at + 12, one.type, true);
      bytes.set(one.data, at + 16);
      at += 16 + one.data.length + 7 & ~7;
    }
    const vector = new Uint8Array(BigUint64Array.of(addressOf(data), BigInt(data.byteLength)).buffer);
    const header = new Uint8Array(
      BigUint64Array.of(addressOf(to), BigInt(to.byteLength), addressOf(vector), 1n, addressOf(bytes), BigInt(at), 0n)
        .buffer,
    );
    const result = c.sendmsg(this.#fd, header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    return check("sendmsg", result);
  }

  /** recvfrom(), after waiting at most `milliseconds`. */
  receive(milliseconds = 1000, flags = 0): Bytes {
    if (milliseconds > 0) this.poll(1, milliseconds);
    const data = new Uint8Array(70_000);
    const result = c.recvfrom(this.#fd, data, data.byteLength, flags | MSG_DONTWAIT, null, null);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    return data.slice(0, check("recvfrom", result));
  }

  /** recvmsg(), after waiting at most `milliseconds`. */
  receiveMessage(milliseconds = 1000, flags = 0): RawMessage {
    if (milliseconds > 0) this.poll(1, milliseconds);
    const data = new Uint8Array(70_000);
    const control = new Uint8Array(1024);
    const vector = BigUint64Array.of(c.memmove(data, data, 0), BigInt(data.byteLength));
    const header = new BigUint64Array(7);
    header[2] = c.memmove(new Uint8Array(vector.buffer), new Uint8Array(vector.buffer), 0);
    header[3] = 1n;
    header[4] = c.memmove(control, control, 0);
    header[5] = BigInt(control.byteLength);
    const result = c.recvmsg(this.#fd, header, flags | MSG_DONTWAIT);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("recvmsg", result);
    const length = Number(header[5]);
    const view = new DataView(control.buffer);
    const messages = [];
    for (let at = 0; at + 16 <= length;) {
      const size = Number(view.getBigUint64(at, true));
      messages.push({
        level: view.getInt32(at + 8, true),
        type: view.getInt32(at + 12, true),
        data: control.slice(at + 16, at + size),
      });
      at += size + 7 & ~7;
    }
    return { data: data.slice(0, result), flags: new DataView(header.buffer).getInt32(48, true), control: messages };
  }

  /** poll(); the events that came, 0 when none did in time. */
  poll(events: number, milliseconds: number): number {
    const entry = new Uint8Array(8);
    const view = new DataView(entry.buffer);
    view.setInt32(0, this.#fd, true);
    view.setInt16(4, events, true);
    c.poll(entry, 1, milliseconds);
    return view.getInt16(6, true);
  }

  ioctl(request: number, argument: Bytes): this {
    const result = c.ioctl(this.#fd, request, argument);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("ioctl", result);
    return this;
  }

  shutdown(how: 0 | 1 | 2): this {
    const result = c.shutdown(this.#fd, how);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("shutdown", result);
    return this;
  }

  close(): void {
    if (this.#fd < 0) return;
    c.close(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** An eBPF program that lets all pass, as a descriptor. Needs root. */
export function loadFilter(): RawSocket {
  const program = Uint8Array.of(0xb7, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0x95, 0, 0, 0, 0, 0, 0, 0); // r0 = 0x7fffffff; exit
  const license = cString("MIT");
  const attributes = new Uint8Array(128);
  const view = new DataView(attributes.buffer);
  view.setUint32(0, 1, true); // BPF_PROG_TYPE_SOCKET_FILTER
  view.setUint32(4, 2, true);
  view.setBigUint64(8, addressOf(program), true);
  view.setBigUint64(16, addressOf(license), true);
  const result = c.syscall(Deno.build.arch === "aarch64" ? 280 : 321, 5, attributes, attributes.byteLength); // BPF_PROG_LOAD
  if (result < 0) c.memcpy(errno, errnoAt, 4);
  return new RawSocket(check("bpf", result));
}

const CLONE_NEWNET = 0x40000000;

function openFile(path: string, flags: number): RawSocket {
  const fd = c.open(cString(path), flags | SOCK_CLOEXEC);
  if (fd < 0) c.memcpy(errno, errnoAt, 4);
  return new RawSocket(check(`open ${path}`, fd));
}

function setNamespace(file: RawSocket): void {
  const result = c.setns(file.fd, CLONE_NEWNET);
  if (result < 0) c.memcpy(errno, errnoAt, 4);
  check("setns", result);
}

/** Adds a bridge to the namespace at hand, switched on, with nothing behind it: an interface that leads nowhere. Returns its index. */
export function addBridge(name: string): number {
  using socket = RawSocket.open(AF_INET, SOCK_DGRAM);
  socket.ioctl(0x89a0, cString(name.padEnd(15, "\0"))); // SIOCBRADDBR
  const request = new Uint8Array(40); // struct ifreq
  request.set(cString(name));
  request[16] = 1; // IFF_UP
  socket.ioctl(0x8914, request); // SIOCSIFFLAGS
  socket.ioctl(0x8933, request); // SIOCGIFINDEX
  return asInt(request.slice(16, 20));
}

/**
 * A network namespace of the tests' own, with nothing in it but the loopback interface; with a name, one that ip(8) has
 * made. Needs root.
 */
export class Namespace implements Disposable {
  readonly #file: RawSocket;

  constructor(name?: string) {
    if (name !== undefined) {
      this.#file = openFile(`/run/netns/${name}`, 0);
      return;
    }
    using here = openFile("/proc/thread-self/ns/net", 0);
    const result = c.unshare(CLONE_NEWNET);
    if (result < 0) c.memcpy(errno, errnoAt, 4);
    check("unshare", result);
    try {
      this.#file = openFile("/proc/thread-self/ns/net", 0);
    } finally {
      setNamespace(here);
    }
    this.run(() => {
      using socket = RawSocket.open(AF_INET, SOCK_DGRAM);
      const request = new Uint8Array(40); // struct ifreq
      request.set(cString("lo"));
      request[16] = 1; // IFF_UP
      socket.ioctl(0x8914, request); // SIOCSIFFLAGS
    });
  }

  /** Runs a function there. It must not wait: sockets made there may be used later, from anywhere. */
  run<T>(fn: () => T extends Promise<unknown> ? never : T): T {
    using here = openFile("/proc/thread-self/ns/net", 0);
    setNamespace(this.#file);
    try {
      return fn();
    } finally {
      setNamespace(here);
    }
  }

  /** Writes a value of /proc/sys there. */
  sysctl(name: string, value: string): void {
    this.run(() => {
      using file = openFile(`/proc/sys/${name.replaceAll(".", "/")}`, 1);
      const bytes = utf8.encode(value);
      const result = c.write(file.fd, bytes, bytes.byteLength);
      if (result < 0) c.memcpy(errno, errnoAt, 4);
      check(`write ${name}`, result);
    });
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
