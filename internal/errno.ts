// deno-fmt-ignore-file: the table is aligned by hand, so that a wrong number stands out
// What a failed system call means: name, numbers, class and words of every errno, and the one place that judges a result.
// Where errno is saved: libc.ts. Checks of arguments, before any call: argument.ts.
import { saved } from "./libc.ts";
import { column } from "./os.ts";

const no = null;
/** Numbers on linux, darwin and windows (WSA), the name of Deno's own class (null: Error), the words of strerror. */
type ErrnoRow = readonly [linux: number | null, darwin: number | null, windows: number | null, error: ErrorName | null, words: string];
type ErrorName = Exclude<keyof typeof Deno.errors, "prototype"> | "TypeError";

// -- table begin --
export const ERRNO = {
  EPERM:           [1,   1,   no,    "PermissionDenied",   "operation not permitted"],
  ENOENT:          [2,   2,   no,    "NotFound",           "no such file or directory"],
  ESRCH:           [3,   3,   no,    null,                 "no such process"],
  EINTR:           [4,   4,   10004, "Interrupted",        "interrupted system call"],
  EIO:             [5,   5,   no,    null,                 "input/output error"],
  ENXIO:           [6,   6,   no,    null,                 "no such device or address"],
  E2BIG:           [7,   7,   no,    null,                 "argument list too long"],
  EBADF:           [9,   9,   10009, "BadResource",        "bad file descriptor"],
  EAGAIN:          [11,  35,  10035, "WouldBlock",         "resource temporarily unavailable"],
  ENOMEM:          [12,  12,  no,    null,                 "cannot allocate memory"],
  EACCES:          [13,  13,  10013, "PermissionDenied",   "permission denied"],
  EFAULT:          [14,  14,  10014, null,                 "bad address"],
  EBUSY:           [16,  16,  no,    "Busy",               "device or resource busy"],
  EEXIST:          [17,  17,  no,    "AlreadyExists",      "file exists"],
  EXDEV:           [18,  18,  no,    null,                 "invalid cross-device link"],
  ENODEV:          [19,  19,  no,    null,                 "no such device"],
  ENOTDIR:         [20,  20,  no,    "NotADirectory",      "not a directory"],
  EISDIR:          [21,  21,  no,    "IsADirectory",       "is a directory"],
  EINVAL:          [22,  22,  10022, "TypeError",          "invalid argument"],
  ENFILE:          [23,  23,  no,    null,                 "too many open files in system"],
  EMFILE:          [24,  24,  10024, null,                 "too many open files"],
  ENOTTY:          [25,  25,  no,    null,                 "inappropriate ioctl for device"],
  EFBIG:           [27,  27,  no,    null,                 "file too large"],
  ENOSPC:          [28,  28,  no,    null,                 "no space left on device"],
  ESPIPE:          [29,  29,  no,    null,                 "illegal seek"],
  EROFS:           [30,  30,  no,    null,                 "read-only file system"],
  EPIPE:           [32,  32,  no,    "BrokenPipe",         "broken pipe"],
  EDOM:            [33,  33,  no,    null,                 "numerical argument out of domain"],
  ERANGE:          [34,  34,  no,    null,                 "numerical result out of range"],
  EDEADLK:         [35,  11,  no,    null,                 "resource deadlock avoided"],
  ENAMETOOLONG:    [36,  63,  10063, null,                 "file name too long"],
  ENOSYS:          [38,  78,  no,    "NotSupported",       "function not implemented"],
  ENOTEMPTY:       [39,  66,  10066, null,                 "directory not empty"],
  ELOOP:           [40,  62,  10062, "FilesystemLoop",     "too many levels of symbolic links"],
  ENOMSG:          [42,  91,  no,    null,                 "no message of desired type"],
  ENOSTR:          [60,  99,  no,    null,                 "device not a stream"],
  ENODATA:         [61,  96,  no,    null,                 "no data available"],
  ETIME:           [62,  101, no,    null,                 "timer expired"],
  ENOSR:           [63,  98,  no,    null,                 "out of streams resources"],
  ENONET:          [64,  no,  no,    null,                 "machine is not on the network"],
  ENOLINK:         [67,  97,  no,    null,                 "link has been severed"],
  ECOMM:           [70,  no,  no,    null,                 "communication error on send"],
  EPROTO:          [71,  100, no,    null,                 "protocol error"],
  EBADMSG:         [74,  94,  no,    "InvalidData",        "bad message"],
  EOVERFLOW:       [75,  84,  no,    null,                 "value too large for defined data type"],
  EILSEQ:          [84,  92,  no,    "InvalidData",        "invalid or incomplete multibyte or wide character"],
  EUSERS:          [87,  68,  10068, null,                 "too many users"],
  ENOTSOCK:        [88,  38,  10038, "BadResource",        "socket operation on non-socket"],
  EDESTADDRREQ:    [89,  39,  10039, null,                 "destination address required"],
  EMSGSIZE:        [90,  40,  10040, null,                 "message too long"],
  EPROTOTYPE:      [91,  41,  10041, null,                 "protocol wrong type for socket"],
  ENOPROTOOPT:     [92,  42,  10042, "NotSupported",       "protocol not available"],
  EPROTONOSUPPORT: [93,  43,  10043, "NotSupported",       "protocol not supported"],
  ESOCKTNOSUPPORT: [94,  44,  10044, "NotSupported",       "socket type not supported"],
  EOPNOTSUPP:      [95,  102, 10045, "NotSupported",       "operation not supported"],
  ENOTSUP:         [95,  45,  no,    "NotSupported",       "operation not supported"],
  EPFNOSUPPORT:    [96,  46,  10046, "NotSupported",       "protocol family not supported"],
  EAFNOSUPPORT:    [97,  47,  10047, "NotSupported",       "address family not supported by protocol"],
  EADDRINUSE:      [98,  48,  10048, "AddrInUse",          "address already in use"],
  EADDRNOTAVAIL:   [99,  49,  10049, "AddrNotAvailable",   "cannot assign requested address"],
  ENETDOWN:        [100, 50,  10050, null,                 "network is down"],
  ENETUNREACH:     [101, 51,  10051, "NetworkUnreachable", "network is unreachable"],
  ENETRESET:       [102, 52,  10052, null,                 "network dropped connection on reset"],
  ECONNABORTED:    [103, 53,  10053, "ConnectionAborted",  "software caused connection abort"],
  ECONNRESET:      [104, 54,  10054, "ConnectionReset",    "connection reset by peer"],
  ENOBUFS:         [105, 55,  10055, null,                 "no buffer space available"],
  EISCONN:         [106, 56,  10056, null,                 "transport endpoint is already connected"],
  ENOTCONN:        [107, 57,  10057, "NotConnected",       "transport endpoint is not connected"],
  ESHUTDOWN:       [108, 58,  10058, null,                 "cannot send after transport endpoint shutdown"],
  ETOOMANYREFS:    [109, 59,  10059, null,                 "too many references: cannot splice"],
  ETIMEDOUT:       [110, 60,  10060, "TimedOut",           "connection timed out"],
  ECONNREFUSED:    [111, 61,  10061, "ConnectionRefused",  "connection refused"],
  EHOSTDOWN:       [112, 64,  10064, null,                 "host is down"],
  EHOSTUNREACH:    [113, 65,  10065, null,                 "no route to host"],
  EALREADY:        [114, 37,  10037, null,                 "operation already in progress"],
  EINPROGRESS:     [115, 36,  10036, null,                 "operation now in progress"],
  ESTALE:          [116, 70,  10070, null,                 "stale file handle"],
  EREMOTEIO:       [121, no,  no,    null,                 "remote I/O error"],
  EDQUOT:          [122, 69,  10069, null,                 "disk quota exceeded"],
  ECANCELED:       [125, 89,  no,    null,                 "operation canceled"],
  ENOKEY:          [126, no,  no,    null,                 "required key not available"],
  EKEYREJECTED:    [129, no,  no,    null,                 "key was rejected by service"],
  ERFKILL:         [132, no,  no,    null,                 "operation not possible due to RF-kill"],
} as const satisfies Record<string, ErrnoRow>;
// -- table end --

/** The name of an errno. */
export type ErrnoName = keyof typeof ERRNO;

/** A failed system call; the class is the `Deno.errors` one that Deno would use, else `Error`. */
export interface SystemError extends Error {
  /** The C name of the error, such as "EADDRINUSE". */
  readonly code: string;
  /** The positive number of this system. */
  readonly errno: number;
  /** The call that failed, such as "bind". */
  readonly syscall: string;
}

let byNumber: Map<number, ErrnoName> | undefined;

/** Name of an error number of this system. */
export function errnoName(number: number): ErrnoName | undefined {
  if (byNumber === undefined) {
    byNumber = new Map();
    const system = column();
    for (const [name, row] of Object.entries(ERRNO)) {
      const value = row[system];
      // Two names for one number (EOPNOTSUPP and ENOTSUP on Linux): the first stands.
      if (value !== null && !byNumber.has(value)) byNumber.set(value, name as ErrnoName);
    }
  }
  return byNumber.get(number);
}

/** Number of an error on this system; -1, which no call gives, where it has none. */
export function errnoNumber(name: ErrnoName): number {
  return ERRNO[name][column()] ?? -1;
}

/** The number of the call that failed last, to be kept while other calls are made. */
export function lastErrno(): number {
  return saved[0]!;
}

/** Whether a call failed. */
export function failed(result: number): boolean {
  return result < 0;
}

/** Whether the call that failed last failed so. */
export function failedWith(name: ErrnoName): boolean {
  return saved[0] === errnoNumber(name);
}

/**
 * The error of the call that failed last.
 *
 * @param syscall The call: "setsockopt".
 * @param doing The beginning of the message: `Cannot set IP_TOS on udp 127.0.0.1:53`.
 * @param remedies What to do about single errors, where it is known.
 */
export function systemError(syscall: string, doing: string, remedies?: Remedies): SystemError {
  return systemErrorOf(saved[0]!, syscall, doing, remedies);
}

/** What to do about single errors. */
export type Remedies = Readonly<Partial<Record<ErrnoName, string>>>;

/** The error of a number that a call told otherwise, such as SO_ERROR. */
export function systemErrorOf(errno: number, syscall: string, doing: string, remedies?: Remedies): SystemError {
  const code = errnoName(errno);
  const [, , , error, words] = code === undefined ? [0, 0, 0, null, "unknown error"] as const : ERRNO[code];
  const remedy = code === undefined ? undefined : remedies?.[code];
  const Class = error === null ? Error : error === "TypeError" ? TypeError : Deno.errors[error];
  const message = `${doing}: ${code ?? `errno ${errno}`} (${words})${remedy === undefined ? "" : `; ${remedy}`}`;
  return Object.assign(new Class(message), { code: code ?? `E${errno}`, errno, syscall });
}

/** The result of a call, or its error thrown. */
export function check(result: number, syscall: string, doing: string, remedies?: Remedies): number {
  if (failed(result)) throw systemError(syscall, doing, remedies);
  return result;
}

/** An error, with how much was sent before it. */
export function withSent(error: unknown, sent: number): unknown {
  return error instanceof Error && Object.isExtensible(error) ? Object.assign(error, { sent }) : error;
}
