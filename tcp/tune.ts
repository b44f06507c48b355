// tuneTcp: settings for TCP sockets that exist already, and what is now in force.
// New sockets get theirs from connect.ts and listen.ts; single options are set by options/.
import { object, prefixed } from "../internal/argument.ts";
import { acceptedBy, describe, descriptorOf, type HasDescriptor } from "../internal/descriptor.ts";
import { libc } from "../internal/libc.ts";
import type { SocketLike } from "../options/mod.ts";
import { carryAlso } from "./listen.ts";
import { isTcp, readSettings, type TcpOptions, type TcpSettings } from "./settings.ts";
import { applyAll, ofVersion, onConnection, onListener, peerOf, type Step, stepsOf } from "./steps.ts";

const DOING = "Cannot tune a TCP socket";

/**
 * Sets options on a TCP socket that exists already, whoever made it, and tells what is now in force.
 *
 * Takes connections and listeners of Deno, TLS ones included, sockets and servers of `node:net` (and so of `node:http`
 * and `node:tls`), and a running `Deno.serve`: that is its listener and all its connections that are open now. On Linux
 * connections that come later have what the listener has, but for `SO_PRIORITY`, `SO_INCOMING_CPU` and `IP_OPTIONS`; a
 * listener of `listenTcp` with options gives all of it to them on every system. On "::" an option of one IP version is for
 * the connections that carry it.
 *
 * All arguments are checked before anything is set. The settings are set in the order of {@linkcode TcpOptions}; if one
 * fails, those after it are not set, and the error names it. Requires `--allow-ffi`.
 *
 * @param socket The socket.
 * @param options What to set; `{}` only reads.
 * @returns What the kernel has now; of a `Deno.HttpServer`, what its listener has.
 * @throws {TypeError} The socket is no TCP socket, an argument is of a wrong kind, or an option is given twice.
 * @throws {RangeError} A number is out of range.
 * @throws {Deno.errors.BadResource} The socket is closed.
 * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
 * @throws {Deno.errors.NotSupported} This system or this kernel does not have an option.
 *
 * @example A connection of Deno's
 * ```ts
 * import { tuneTcp } from "@berkeley/sockets/tcp";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await Deno.connect({ port: listener.addr.port });
 * const settings = tuneTcp(conn, { keepAlive: { idle: 1_500 }, linger: 0, dscp: 10 });
 * // The kernel counts whole seconds.
 * assertEquals(settings.keepAlive && settings.keepAlive.idle, 2_000);
 * assertEquals(settings.linger, 0);
 * assertEquals(settings.dscp, 10);
 * ```
 *
 * @example A running server
 * ```ts
 * import { tuneTcp } from "@berkeley/sockets/tcp";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("hello"));
 * assertEquals(tuneTcp(server, { userTimeout: 20_000 }).userTimeout, 20_000);
 * ```
 */
export function tuneTcp(socket: SocketLike, options: TcpOptions): TcpSettings {
  const steps = checked(socket, options);
  libc(steps.length === 0 ? DOING : `${DOING} with ${steps[0]!.said}`);
  const found = descriptorOf(socket, DOING);
  if (!isTcp(found)) throw new TypeError(`${DOING}: the socket is ${describe(found)}, it must be a TCP socket`);
  if (isHttpServer(socket)) {
    applyAll(onListener(steps), socket);
    tuneAll(acceptedBy(found, DOING), onConnection(steps));
  } else {
    applyAll(steps, socket);
    carryAlso(socket, steps);
  }
  return readSettings(socket, found);
}

function checked(socket: SocketLike, options: TcpOptions): Step[] {
  try {
    object(socket, "the socket", "a TCP socket of Deno, of node:net or of this library");
    return stepsOf(object(options, "the second argument", "an object of settings"));
  } catch (error) {
    throw prefixed(error, DOING);
  }
}

/** Whether it is what `Deno.serve` gave: it alone has no `accept()` and ends by `shutdown()`. */
function isHttpServer(socket: SocketLike): boolean {
  return "finished" in socket && "shutdown" in socket;
}

/** Tunes the connections of a server, but for those that end while this goes on. */
function tuneAll(connections: readonly HasDescriptor[], steps: readonly Step[]): void {
  for (const connection of connections) {
    const peer = peerOf(connection);
    if (peer === null) continue;
    try {
      applyAll(ofVersion(steps, peer), connection);
    } catch (error) {
      if (peerOf(connection) !== null) throw error;
    }
  }
}
