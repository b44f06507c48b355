// The options of unix sockets that macOS has at SOL_LOCAL, one constant a row of internal/sockopt.ts.
// SO_PEERCRED, SO_PASSCRED and their kin are in socket.ts; opening a unix socket: socket/.
import type { PeerCredentials } from "../internal/values.ts";
import { option, type ReadableOption } from "./option.ts";

/**
 * Says user and group at the other end of a unix socket, as of its connect() or listen().
 *
 * Needs a connected socket. `SO_PEERCRED` asks for the same, and works on Linux too.
 *
 * macOS. Apple unix(4).
 */
export const LOCAL_PEERCRED: ReadableOption<PeerCredentials> = option("LOCAL_PEERCRED");

/**
 * Says which process is at the other end of a unix socket.
 *
 * Needs a connected socket.
 *
 * macOS. Apple sys/un.h.
 */
export const LOCAL_PEERPID: ReadableOption<number> = option("LOCAL_PEERPID");

/**
 * Says the effective process at the other end of a unix socket: the one on whose behalf the peer acts.
 *
 * Needs a connected socket.
 *
 * macOS. Apple sys/un.h.
 */
export const LOCAL_PEEREPID: ReadableOption<number> = option("LOCAL_PEEREPID");

/**
 * Says the UUID of the program at the other end of a unix socket, 16 bytes.
 *
 * Needs a connected socket.
 *
 * macOS. Apple sys/un.h.
 */
export const LOCAL_PEERUUID: ReadableOption<Uint8Array<ArrayBuffer>> = option("LOCAL_PEERUUID");

/**
 * Says the UUID of the program on whose behalf the other end of a unix socket acts, 16 bytes.
 *
 * Needs a connected socket.
 *
 * macOS. Apple sys/un.h.
 */
export const LOCAL_PEEREUUID: ReadableOption<Uint8Array<ArrayBuffer>> = option("LOCAL_PEEREUUID");

/**
 * Says the audit token of the process at the other end of a unix socket.
 *
 * Needs a connected socket. Unlike the number of a process it does not come to mean another one.
 *
 * macOS. Apple sys/un.h.
 */
export const LOCAL_PEERTOKEN: ReadableOption<Uint8Array<ArrayBuffer>> = option("LOCAL_PEERTOKEN");
