// Host names to addresses, for the calls that take literal addresses only.
// The lookup itself, in a thread: internal/getaddrinfo.ts. What a literal address is: address.ts.
import { object, port, shown, text } from "../internal/argument.ts";
import { lookUp } from "../internal/getaddrinfo.ts";
import { OS } from "../internal/os.ts";
import { checkNet } from "../internal/permission.ts";
import { encodeAddress, type InetAddress, parseIp, readSockaddr } from "../internal/sockaddr.ts";

/** What Deno's own calls take for a host name. */
const NAME = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$/;
/** Of RFC 1035, its final dot included. */
const LONGEST = 254;
/** What ends so is meant as an IPv4 address; getaddrinfo would read octal and hexadecimal parts, and fewer than four. */
const NUMBER_AT_THE_END = /(^|\.)([0-9]+|0[xX][0-9a-fA-F]*)\.?$/;

/**
 * Resolves a host name as getaddrinfo(3) does, best address first, without blocking.
 *
 * The C library does it in a thread, so /etc/hosts, nsswitch.conf and whatever else the system has are honoured, and the
 * order is that of RFC 6724: the first address is the one to try first. No address comes twice. The zone of a link-local
 * address stays in its `hostname`, so each result can be given to `connect`, `bind` or `sendTo` as it is; on a dual-stack
 * IPv6 socket IPv4 results as well.
 *
 * A literal address resolves to itself at once, in the form the kernel gives it ("0:0::1" becomes "::1", the zone in
 * "fe80::1%eth0" a number). Reading is as strict as inet_pton(3): what getaddrinfo would take for an old way to write an
 * IPv4 address ("127.1", "0x7f.0.0.1", "010.0.0.1") is refused.
 *
 * A lookup cannot be interrupted. `signal` ends the waiting; the thread goes on to the end without keeping the program
 * alive. The runtime has 32 such threads, shared with its file operations: more lookups than that queue.
 *
 * Host names are ASCII; internationalised ones are written in their "xn--" form, as everywhere in Deno.
 *
 * Permissions: `--allow-ffi`, and `--allow-net` for the host as written with the port (`host:0` when there is none, which
 * a grant of the whole host covers), as `Deno.connect` has it. A literal address needs neither, as nobody is asked;
 * a zone by name needs `--allow-ffi` or `--allow-sys`.
 *
 * @param hostname Host name or literal IP address.
 * @param options `port` is the port of each result, 0 by default, and goes into the permission check; `family` restricts
 * the results to IPv4 ("inet") or IPv6 ("inet6"); `signal` ends the waiting.
 * @returns The addresses, at least one.
 * @throws {SyntaxError} The text is neither a host name nor an address.
 * @throws {Error} The name has no address or cannot be looked up: `code` is "EAI_NONAME", "EAI_AGAIN" (try again later)
 * and so on, `syscall` is "getaddrinfo". A plain `Error`, as of `Deno.connect`.
 * @throws {Deno.errors.NotFound} There is no interface of the zone's name.
 * @throws {Deno.errors.NotCapable} A permission is missing.
 * @throws {unknown} The reason of `signal`.
 *
 * @example A name of this machine
 * ```ts
 * import { resolveAddress } from "@berkeley/sockets/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const [first] = await resolveAddress("localhost", { port: 80, family: "inet" });
 * assertEquals(first, { family: "inet", hostname: "127.0.0.1", port: 80 });
 * ```
 *
 * @example A literal address
 * ```ts
 * import { resolveAddress } from "@berkeley/sockets/socket";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await resolveAddress("2001:DB8:0::1"), [{ family: "inet6", hostname: "2001:db8::1", port: 0 }]);
 * ```
 */
export async function resolveAddress(
  hostname: string,
  options: { port?: number; family?: "inet" | "inet6"; signal?: AbortSignal } = {},
): Promise<InetAddress[]> {
  text(hostname, "Cannot resolve an address: the hostname", "a host name or a literal IP address");
  const doing = `Cannot resolve ${shown(hostname)}`;
  const given = object(options, `${doing}: the second argument`, "an object of options");
  const number = given.port === undefined ? 0 : port(given.port, `${doing}: the port`);
  const { family, signal } = given;
  if (family !== undefined && family !== "inet" && family !== "inet6") {
    throw new TypeError(`${doing}: the family is ${shown(family)}, it must be "inet" or "inet6"`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`${doing}: the signal is ${shown(signal)}, it must be an AbortSignal`);
  }
  signal?.throwIfAborted();
  const ip = parseIp(hostname);
  if (ip !== null) {
    const own = ip.bytes.length === 4 ? "inet" : "inet6";
    if (family === undefined || family === own) {
      const os = OS ?? "linux";
      // By the kernel's form and back: the text that it would give.
      return [readSockaddr(encodeAddress(own, { hostname, port: number }, doing, os), os) as InetAddress];
    }
    // Of the other family: the system says what it says to such names.
  } else if (hostname.length > LONGEST || !NAME.test(hostname) || NUMBER_AT_THE_END.test(hostname)) {
    throw new SyntaxError(`${doing}: it must be a host name or a literal IP address`);
  }
  checkNet(hostname, number, doing);
  const found = await lookUp(hostname, family, doing, signal);
  return found.map((one) => ({ ...one, port: number }));
}
