// resetTcp: ends a connection so that its peer sees a reset, whoever made it.
// Orderly ends are the connection's own calls, closeWrite() and close(); what turns connections away is limits.ts.
import { object, prefixed, shown } from "../internal/argument.ts";
import { describe, descriptorOf } from "../internal/descriptor.ts";
import { check } from "../internal/errno.ts";
import { libcIo } from "../internal/libc_io.ts";
import { SO_ACCEPTCONN } from "../options/mod.ts";
import { UNSPECIFIED } from "../socket/socket.ts";
import { isTcp } from "./settings.ts";

const DOING = "Cannot reset a TCP connection";

/**
 * Closes a connection so that its peer sees a reset (RFC 9293 section 3.5.2): its next read fails with ECONNRESET, and
 * what neither side has read yet is thrown away.
 *
 * Takes connections of Deno, TLS ones too, and of this library. `close()` with `linger: 0` does the same to our own
 * sockets only: Deno ends the sending half first, so that the peer may read an orderly end. This disconnects the socket
 * by connect(2) to AF_UNSPEC, then closes it; calls that wait end as they do by `close()`. Linux. Requires `--allow-ffi`.
 *
 * @param conn The connection; it is closed afterwards.
 * @throws {TypeError} It is no TCP connection.
 * @throws {Deno.errors.BadResource} It is closed.
 * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
 *
 * @example The peer learns that something went wrong
 * ```ts
 * import { connectTcp, resetTcp } from "@berkeley/sockets/tcp";
 * import { assertRejects } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const conn = await connectTcp({ port: listener.addr.port });
 * using peer = await listener.accept();
 * resetTcp(conn);
 * await assertRejects(() => peer.read(new Uint8Array(8)), Deno.errors.ConnectionReset);
 * ```
 */
export function resetTcp(conn: Deno.TcpConn): void {
  try {
    const { close } = object(conn, "the connection", "a TCP connection of Deno or of this library");
    if (typeof close !== "function") {
      throw new TypeError(`the connection is ${shown(conn)}, it must be a TCP connection of Deno or of this library`);
    }
  } catch (error) {
    throw prefixed(error, DOING);
  }
  const io = libcIo(DOING);
  const found = descriptorOf(conn, DOING);
  if (!isTcp(found)) throw new TypeError(`${DOING}: the socket is ${describe(found)}, it must be a TCP connection`);
  if (SO_ACCEPTCONN.get(conn)) {
    throw new TypeError(`${DOING}: ${describe(found)} is a listener, it must be a connection`);
  }
  check(io.connect(found.fd, UNSPECIFIED), "connect", DOING);
  conn.close();
}
