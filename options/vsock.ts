// The options of vsock sockets, one constant a row of internal/sockopt.ts; set and read back, but no data was ever sent so far.
// SO_LINGER and SO_RCVLOWAT, which they obey as well, are in socket.ts.
import type { Timeval } from "../internal/values.ts";
import { option, type SocketOption } from "./option.ts";

/**
 * Sets how many bytes the socket buffers, within the least and the most of the two options below.
 *
 * A BigInt; default 262144. Outside of the limits it is moved to the nearer one without an error. Set it before
 * connect() or listen().
 *
 * Linux. vsock(7).
 */
export const SO_VM_SOCKETS_BUFFER_SIZE: SocketOption<bigint> = option("SO_VM_SOCKETS_BUFFER_SIZE");

/**
 * Sets the least that `SO_VM_SOCKETS_BUFFER_SIZE` may be, in bytes.
 *
 * A BigInt; default 128.
 *
 * Linux. vsock(7).
 */
export const SO_VM_SOCKETS_BUFFER_MIN_SIZE: SocketOption<bigint> = option("SO_VM_SOCKETS_BUFFER_MIN_SIZE");

/**
 * Sets the most that `SO_VM_SOCKETS_BUFFER_SIZE` may be, in bytes.
 *
 * A BigInt; default 262144. Raise it before the size.
 *
 * Linux. vsock(7).
 */
export const SO_VM_SOCKETS_BUFFER_MAX_SIZE: SocketOption<bigint> = option("SO_VM_SOCKETS_BUFFER_MAX_SIZE");

/**
 * Limits how long connect() tries: then it fails with ETIMEDOUT.
 *
 * Default two seconds, which zero asks for as well; rounded up to the kernel's ticks. Does its job only before
 * connect().
 *
 * Linux. Linux net/vmw_vsock/af_vsock.c.
 */
export const SO_VM_SOCKETS_CONNECT_TIMEOUT: SocketOption<Timeval> = option("SO_VM_SOCKETS_CONNECT_TIMEOUT");
