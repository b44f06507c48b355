// The calls into the C library, errno saved by each before anything else can run. What they mean to a user is said above.
// Results are judged by errno.ts; addresses and structs are made by sockaddr.ts and codec.ts; symbols stand in libc_*.ts.
//
// What a system must provide to be listed in libc_*.ts: the symbols of libc_linux.ts with these meanings, errno at a
// fixed address a thread, and descriptors that are small integers, lowest free one first. (Windows has none of the last.)
import { constant } from "./constants.ts";
import { openLibc } from "./ffi.ts";
import { SYMBOLS as DARWIN } from "./libc_darwin.ts";
import { INTERFACE_SYMBOLS, SYMBOLS as LINUX } from "./libc_linux.ts";
import { OS } from "./os.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The calls. Integers are checked by the caller: optimised FFI calls coerce silently. A failure is -1, errno in {@linkcode saved}. */
export interface Libc {
  getsockopt(fd: number, level: number, name: number, value: Bytes, length: Uint32Array<ArrayBuffer>): number;
  /** The length is the value's own. */
  setsockopt(fd: number, level: number, name: number, value: Bytes): number;
  getsockname(fd: number, address: Bytes, length: Uint32Array<ArrayBuffer>): number;
  getpeername(fd: number, address: Bytes, length: Uint32Array<ArrayBuffer>): number;
  /** The two as the symbols themselves, for loops over thousands: errno is not saved, the length is set by the caller. */
  readonly bare: Pick<Libc, "getsockname" | "getpeername">;
  socket(family: number, type: number, protocol: number): number;
  /** The lowest free number for the same; on Linux no other program inherits it. */
  dup(fd: number): number;
  close(fd: number): number;
  /** How many descriptors the process may have. */
  limit(): number;
  /** The beginning of a file of the kernel's, `path` with its NUL: how many bytes of `into` were filled. Linux, else -1. */
  readFile(path: Bytes, into: Bytes): number;
  /** Looks, never waits; `fds` is an array of `struct pollfd`, all of it used. */
  pollNow(fds: Bytes): number;
  /** Index of an interface name (with its NUL); 0 when there is none. */
  ifNameToIndex(name: Bytes): number;
  /** Writes the name of an interface into 16 bytes; false when there is none. */
  ifIndexToName(index: number, name: Bytes): boolean;
  /** Address of the list of interfaces in `list`, to be freed. */
  getifaddrs(list: BigUint64Array<ArrayBuffer>): number;
  freeifaddrs(list: bigint): void;
  /** `ioctl` with a struct; only where a variadic call is safe, else -1. */
  ioctl(fd: number, request: number, argument: Bytes): number;
  /** Address of a buffer that the caller keeps alive as long as the address is used. */
  addressOf(buffer: Bytes): bigint;
  /** Copies memory of the C library, `into.byteLength` bytes. */
  peek(address: bigint, into: Uint8Array<ArrayBuffer>): void;
  /** The NUL-terminated text at an address. */
  text(address: bigint): string;
}

/** errno of the call that failed last. Read by errno.ts alone. */
export const saved: Int32Array<ArrayBuffer> = new Int32Array(1);

const DUPLICATE = constant("F_DUPFD_CLOEXEC", "linux");
/** O_RDONLY is 0. */
const READ_ONLY = constant("O_CLOEXEC", "linux");

let loaded: Libc | undefined;

/** The calls; opens the C library at the first use. `wanted` begins the message of a refusal: `Cannot read SO_ERROR`. */
export function libc(wanted: string): Libc {
  return loaded ??= load(wanted);
}

/** Where the C library keeps errno of this thread, for the wrappers of libc_io.ts. */
export function errnoAddress(wanted: string): bigint {
  libc(wanted);
  return where;
}
let where = 0n;

/** The calls if the C library is open already. */
export function libcIfOpen(): Libc | undefined {
  return loaded;
}

function load(wanted: string): Libc {
  const linux = OS === "linux" ? openLibc(LINUX, wanted) : null;
  const darwin = linux === null ? openLibc(DARWIN, wanted) : null;
  const c = linux ?? darwin!;
  const here = where = c.errnoLocation();
  const peek = c.memcpy;
  // A wrapper by hand for each symbol: nothing may run between the call and the reading of errno, not even the entry
  // of a function (V8 compiles and collects there), and a wrapper shared by several symbols would never be optimised.
  const { getsockopt, setsockopt, getsockname, getpeername, socket, close, poll } = c;
  const ioctl = linux?.ioctl;
  const fcntl = linux?.fcntl;
  const open = linux?.open;
  const read = linux?.read;
  const dup = darwin?.dup;
  const decoder = new TextDecoder();
  let opened: ReturnType<typeof openLibc<typeof INTERFACE_SYMBOLS>> | undefined;
  const interfaces = () => opened ??= openLibc(INTERFACE_SYMBOLS, wanted);
  return {
    getsockopt(fd, level, name, value, length) {
      length[0] = value.byteLength;
      const result = getsockopt(fd, level, name, value, length);
      if (result < 0) peek(saved, here, 4);
      return result;
    },
    setsockopt(fd, level, name, value) {
      const result = setsockopt(fd, level, name, value, value.byteLength);
      if (result < 0) peek(saved, here, 4);
      return result;
    },
    getsockname(fd, address, length) {
      length[0] = address.byteLength;
      const result = getsockname(fd, address, length);
      if (result < 0) peek(saved, here, 4);
      return result;
    },
    getpeername(fd, address, length) {
      length[0] = address.byteLength;
      const result = getpeername(fd, address, length);
      if (result < 0) peek(saved, here, 4);
      return result;
    },
    bare: { getsockname, getpeername },
    socket(family, type, protocol) {
      const result = socket(family, type, protocol);
      if (result < 0) peek(saved, here, 4);
      return result;
    },
    dup(fd) {
      const result = fcntl !== undefined ? fcntl(fd, DUPLICATE, 0) : dup!(fd);
      if (result < 0) peek(saved, here, 4);
      return result;
    },
    close(fd) {
      const result = close(fd);
      if (result < 0) peek(saved, here, 4);
      return result;
    },
    limit() {
      return c.getdtablesize();
    },
    readFile(path, into) {
      if (open === undefined || read === undefined) return -1;
      const fd = open(path, READ_ONLY);
      if (fd < 0) return -1;
      const result = read(fd, into, into.byteLength);
      close(fd);
      return result;
    },
    pollNow(fds) {
      const result = poll(fds, fds.byteLength >>> 3, 0);
      if (result < 0) peek(saved, here, 4);
      return result;
    },
    ifNameToIndex(name) {
      return interfaces().if_nametoindex(name);
    },
    ifIndexToName(index, name) {
      return name.byteLength >= 16 && interfaces().if_indextoname(index, name) !== 0n;
    },
    getifaddrs(list) {
      const result = interfaces().getifaddrs(list);
      if (result < 0) peek(saved, here, 4);
      return result;
    },
    freeifaddrs(list) {
      interfaces().freeifaddrs(list);
    },
    ioctl(fd, request, argument) {
      if (ioctl === undefined) return -1;
      const result = ioctl(fd, request, argument);
      if (result < 0) peek(saved, here, 4);
      return result;
    },
    addressOf(buffer) {
      return c.memmove(buffer, buffer, 0);
    },
    peek(address, into) {
      peek(into, address, into.byteLength);
    },
    text(address) {
      const bytes = new Uint8Array(interfaces().strlen(address));
      peek(bytes, address, bytes.byteLength);
      return decoder.decode(bytes);
    },
  };
}
