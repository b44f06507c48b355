// The calls into the C library that sockets of our own need, errno saved by each before anything else can run.
// Options, names and interfaces go through libc.ts; the calls that wait are handed out by ffi.ts; symbols stand in libc_*.ts.
import { failedWith } from "./errno.ts";
import { openLibc } from "./ffi.ts";
import { LAYOUT } from "./layout.ts";
import { errnoAddress, saved } from "./libc.ts";
import { IO_SYMBOLS } from "./libc_linux.ts";
import { OS, OS_NAME } from "./os.ts";

type Bytes = Uint8Array<ArrayBuffer>;
/** What a caller gives: its memory may be shared or resizable. */
type View = Uint8Array;
type Length = Uint32Array<ArrayBuffer>;

/**
 * The length of a view as the engine has it: a getter of the caller's own could say anything, and FFI would believe it. Throws
 * for what is no typed array.
 */
export const byteLengthOf: (view: Uint8Array) => number = Function.prototype.call.bind(
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), "byteLength")!.get!,
);

/** The calls. Lengths are those of the views, read in the statement that calls. A failure is -1, errno in `saved`. */
export interface LibcIo {
  socketpair(family: number, type: number, protocol: number, fds: Int32Array<ArrayBuffer>): number;
  bind(fd: number, address: Bytes): number;
  listen(fd: number, backlog: number): number;
  /** The new descriptor is born with `flags`: SOCK_NONBLOCK, SOCK_CLOEXEC. */
  accept(fd: number, address: Bytes, length: Length, flags: number): number;
  connect(fd: number, address: Bytes): number;
  send(fd: number, data: View, flags: number): number;
  recv(fd: number, data: View, flags: number): number;
  sendto(fd: number, data: View, flags: number, to: Bytes): number;
  recvfrom(fd: number, data: View, flags: number, from: Bytes, length: Length): number;
  /** The header's pointers must point into memory whose size was just compared: msghdr.ts. */
  sendmsg(fd: number, header: Bytes, flags: number): number;
  recvmsg(fd: number, header: Bytes, flags: number): number;
  /** Of as many headers as there are bytes of; their pointers likewise: mmsg.ts. */
  sendmmsg(fd: number, headers: Bytes, flags: number): number;
  recvmmsg(fd: number, headers: Bytes, flags: number): number;
  shutdown(fd: number, how: number): number;
  fchmod(fd: number, mode: number): number;
  /** The path ends with NUL. */
  fchmodat(folder: number, path: Bytes, mode: number, flags: number): number;
  /** The path ends with NUL. */
  unlink(path: Bytes): number;
  fcntl(fd: number, command: number, argument: number): number;
  epollCreate(flags: number): number;
  epollCtl(epoll: number, operation: number, fd: number, event: Bytes): number;
  /** Looks, never waits. */
  epollNow(epoll: number, events: Deno.PointerObject, count: number): number;
  eventfd(flags: number): number;
  read(fd: number, data: Bytes): number;
  write(fd: number, data: Bytes): number;
  /** Memory of the C library, zeroed. */
  calloc(count: number, size: number): Deno.PointerObject;
  free(memory: Deno.PointerObject): void;
  peek(memory: Deno.PointerObject, into: Bytes, byteLength: number): void;
  poke(memory: Deno.PointerObject, bytes: Bytes): void;
  /** Looks a name up at once, which may take seconds. All memory is the C library's. */
  getaddrinfoNow(node: Deno.PointerObject, hints: Deno.PointerObject, list: Deno.PointerObject): number;
  freeaddrinfo(list: bigint): void;
  /** Address of the words for an error of getaddrinfo. */
  gaiStrerror(error: number): bigint;
}

/** The size of struct mmsghdr, a power of two, as the bits to shift by: a division would go by way of a float. */
const MMSGHDR = Math.log2(LAYOUT.mmsghdr.linux.size);
const MMSGHDR_LENGTH = LAYOUT.mmsghdr.linux.fields.msg_len[0];

let loaded: LibcIo | undefined;

/** The calls; opens the C library at the first use. `wanted` begins the message of a refusal: `Cannot open a socket`. */
export function libcIo(wanted: string): LibcIo {
  return loaded ??= load(wanted);
}

function load(wanted: string): LibcIo {
  if (OS !== "linux") {
    throw new Deno.errors.NotSupported(
      `${wanted}: sockets of this library are there on Linux alone so far, this is ${OS_NAME}`,
    );
  }
  const where = errnoAddress(wanted);
  const c = openLibc({ ...IO_SYMBOLS, memcpy: { parameters: ["buffer", "u64", "u32"], result: "u64" } }, wanted);
  const peek = c.memcpy;
  // By hand, each of its own, as in libc.ts.
  const { socketpair, bind, listen, accept4, connect, send, recv, sendto, recvfrom, sendmsg, recvmsg, shutdown } = c;
  const { sendmmsg, recvmmsg } = c;
  const { fchmod, fchmodat, unlink, fcntl, epoll_create1, epoll_ctl, epoll_wait, eventfd, read, write, memcpyOut } = c;
  return {
    socketpair(family, type, protocol, fds) {
      const result = socketpair(family, type, protocol, fds);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    bind(fd, address) {
      const result = bind(fd, address, address.byteLength);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    listen(fd, backlog) {
      const result = listen(fd, backlog);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    accept(fd, address, length, flags) {
      length[0] = address.byteLength;
      const result = accept4(fd, address, length, flags);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    connect(fd, address) {
      const result = connect(fd, address, address.byteLength);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    send(fd, data, flags) {
      const result = send(fd, data as Bytes, byteLengthOf(data), flags);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    recv(fd, data, flags) {
      const result = recv(fd, data as Bytes, byteLengthOf(data), flags);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    sendto(fd, data, flags, to) {
      const result = sendto(fd, data as Bytes, byteLengthOf(data), flags, to, to.byteLength);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    recvfrom(fd, data, flags, from, length) {
      length[0] = from.byteLength;
      const result = recvfrom(fd, data as Bytes, byteLengthOf(data), flags, from, length);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    sendmsg(fd, header, flags) {
      const result = sendmsg(fd, header, flags);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    recvmsg(fd, header, flags) {
      const result = recvmsg(fd, header, flags);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    sendmmsg(fd, headers, flags) {
      const result = sendmmsg(fd, headers, headers.byteLength >>> MMSGHDR, flags);
      if (result < 0) {
        peek(saved, where, 4);
        if (failedWith("ENOSYS")) return oneByOne(headers, (header) => this.sendmsg(fd, header, flags));
      }
      return result;
    },
    recvmmsg(fd, headers, flags) {
      const result = recvmmsg(fd, headers, headers.byteLength >>> MMSGHDR, flags, null);
      if (result < 0) {
        peek(saved, where, 4);
        if (failedWith("ENOSYS")) return oneByOne(headers, (header) => this.recvmsg(fd, header, flags));
      }
      return result;
    },
    shutdown(fd, how) {
      const result = shutdown(fd, how);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    fchmod(fd, mode) {
      const result = fchmod(fd, mode);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    fchmodat(folder, path, mode, flags) {
      const result = fchmodat(folder, path, mode, flags);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    unlink(path) {
      const result = unlink(path);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    fcntl(fd, command, argument) {
      const result = fcntl(fd, command, argument);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    epollCreate(flags) {
      const result = epoll_create1(flags);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    epollCtl(epoll, operation, fd, event) {
      const result = epoll_ctl(epoll, operation, fd, event);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    epollNow(epoll, events, count) {
      const result = epoll_wait(epoll, events, count, 0);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    eventfd(flags) {
      const result = eventfd(0, flags);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    read(fd, data) {
      const result = read(fd, data, data.byteLength);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    write(fd, data) {
      const result = write(fd, data, data.byteLength);
      if (result < 0) peek(saved, where, 4);
      return result;
    },
    calloc(count, size) {
      const memory = c.calloc(count, size);
      if (memory === null) throw new Error(`${wanted}: the C library has no memory left`);
      return memory;
    },
    free(memory) {
      c.free(memory);
    },
    peek(memory, into, byteLength) {
      memcpyOut(into, memory, Math.min(byteLength, into.byteLength));
    },
    poke(memory, bytes) {
      c.memcpyIn(memory, bytes, bytes.byteLength);
    },
    getaddrinfoNow(node, hints, list) {
      return c.getaddrinfoNow(node, null, hints, list);
    },
    freeaddrinfo(list) {
      c.freeaddrinfo(list);
    },
    gaiStrerror(error) {
      return c.gai_strerror(error);
    },
  };
}

/**
 * Many messages where the kernel, or what fences the program in, has no call for them. As in that call, what fails behind
 * the first one ends it and is not told: who goes on from there meets it again, unless it was a report of the network.
 */
function oneByOne(headers: Bytes, call: (header: Bytes) => number): number {
  const fields = new DataView(headers.buffer);
  const count = headers.byteLength >>> MMSGHDR;
  for (let i = 0; i < count; i++) {
    const header = headers.subarray(i << MMSGHDR, i + 1 << MMSGHDR);
    const result = call(header);
    if (result < 0) return i === 0 ? result : i;
    fields.setUint32(header.byteOffset + MMSGHDR_LENGTH, result, true);
  }
  return count;
}
