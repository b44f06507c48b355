// A socket that hears one group and sends to it: how it is bound, and what it shuts out.
// Joining on a socket that exists: join.ts. Sending: send.ts. The socket itself: udp/socket.ts.
import { object, port as portOf, shown } from "../internal/argument.ts";
import { ffiGranted } from "../internal/ffi.ts";
import { interfaceIndexOf } from "../internal/netif.ts";
import { OS } from "../internal/os.ts";
import {
  type FilterProgram,
  type InterfaceSelector,
  IP_MULTICAST_ALL,
  IPV6_MULTICAST_ALL,
  type OptionSetting,
  SO_ATTACH_FILTER,
} from "../options/mod.ts";
import { assembleFilter } from "../socket/filter.ts";
import { bindUdp } from "../udp/bind.ts";
import type { UdpSocket } from "../udp/socket.ts";
import type { BindUdpOptions, DatagramField } from "../udp/types.ts";
import { type Group, isLinkScoped } from "./group.ts";
import { join, type JoinOptions, type JoinPlan, planOf } from "./join.ts";
import type { Membership } from "./membership.ts";
import { GroupSender, type SendToGroupOptions } from "./send.ts";

/** Options of {@linkcode listenMulticast}: what to join, and the socket. */
export interface ListenMulticastOptions<F extends DatagramField = never>
  extends JoinOptions, Omit<BindUdpOptions<F>, "hostname" | "port"> {
  /** Port of the group, 1 to 65535; 0 takes any that is free. */
  port: number;
  /** Whether others that say so too may have the port as well. Default true here. */
  reuseAddress?: boolean;
}

/**
 * A UDP socket in a group, made by {@linkcode listenMulticast}.
 *
 * Where the socket is one of this library's own (Linux, `--allow-ffi`), `receiveMessage`, `messages` and batches always tell
 * `localAddr` and `interfaceIndex` of a datagram, whatever `metadata` asks for besides.
 */
export interface MulticastSocket<F extends DatagramField = never>
  extends UdpSocket<F | "localAddr" | "interfaceIndex"> {
  /** What it joined; left when the socket closes. */
  readonly membership: Membership;
  /**
   * Sends to the group and its port: by `interface`; else by `multicast.interface`, when that was given to
   * `listenMulticast`; else once by each interface that is joined. `hopLimit` and `loopback` hold for this datagram alone.
   *
   * What differs from the usual is never seen by another call where the socket is one of this library's own (Linux,
   * `--allow-ffi`). Without `--allow-ffi` only what needs no choice works: a group that was joined without naming an
   * interface.
   *
   * @param data The datagram.
   * @param options By which interface, how far, whether heard on this machine, and a signal that ends the wait.
   * @returns The bytes of the datagram.
   */
  sendToGroup(data: Uint8Array, options?: SendToGroupOptions): Promise<number>;
}

/**
 * Opens a socket that hears a group, and that group alone.
 *
 * It is bound to the group's address, so that datagrams to other addresses of the same port do not reach it, with
 * `reuseAddress`, so that others may listen too. With `--allow-ffi` on Linux, groups that other sockets joined are shut out
 * (`IP_MULTICAST_ALL` and `IPV6_MULTICAST_ALL` off), and when one interface is joined the socket sends there as well, unless
 * `multicast.interface` says otherwise.
 *
 * On IPv6, Linux does not tell interfaces apart: a group that is not link-local is heard on every interface where any socket
 * of the machine has joined it. `SO_BINDTOIFINDEX` ties a socket to one.
 *
 * For link-local groups (ff02::/16) on several interfaces, or on one of the kernel's choice, the socket is bound to "::", and
 * a packet filter (`SO_ATTACH_FILTER`) keeps out what is sent to other addresses; the kernel counts that among `drops`.
 * Without `--allow-ffi`, and on Windows, which cannot bind to a group at all, a socket that is bound to the wildcard hears
 * all else that is sent to its port too, on "::" IPv4 as well.
 *
 * @param options Group, port, interfaces, senders, and options of the socket.
 * @returns The socket, which leaves the group when it is closed.
 * @throws {SyntaxError} The group or a source is no address.
 * @throws {RangeError} The group is no multicast address; the port is out of range.
 * @throws {Deno.errors.NotFound} There is no such interface.
 * @throws {SystemError} The system refuses: "EADDRINUSE" when a socket that does not share has the port.
 * @throws {Deno.errors.NotCapable} `--allow-net` does not cover the group, or an option needs `--allow-ffi`.
 *
 * @example Over the loopback interface
 * ```ts
 * import { listenMulticast } from "@berkeley/sockets/multicast";
 * import { assertEquals } from "@std/assert";
 *
 * using socket = await listenMulticast({ group: "239.0.0.1", port: 0, interface: "127.0.0.1" });
 * await socket.sendToGroup(new TextEncoder().encode("hello"));
 * for await (const [data] of socket) {
 *   assertEquals(new TextDecoder().decode(data), "hello");
 *   break;
 * }
 * ```
 */
export async function listenMulticast<const F extends DatagramField = never>(
  options: ListenMulticastOptions<F>,
): Promise<MulticastSocket<F>> {
  object(options, "Cannot listen to a group: the options", "{ group, port }");
  const plan = planOf(options);
  const { group: _group, source: _source, interface: _interface, port, ...rest } = options;
  portOf(port, `Cannot listen to group ${shown(options.group)}: the port`);
  const hostname = bindAddress(plan);
  const shutting = ffiGranted() ? shuttingOut(plan, hostname, rest.options, rest.ipv6Only) : [];
  const socket = bindUdp<DatagramField>({
    reuseAddress: true,
    ...rest,
    ...metadataOf(rest),
    ...(shutting.length > 0 && (rest.options === undefined || Array.isArray(rest.options)) && {
      options: [...shutting, ...rest.options ?? []],
    }),
    hostname,
    port,
  });
  try {
    const membership = await join(socket, plan);
    const sender = new GroupSender(socket, plan, membership, chosenInterface(options, plan.group));
    const sendToGroup: MulticastSocket["sendToGroup"] = (data, options) => sender.send(data, options);
    const told = socket as UdpSocket<F | "localAddr" | "interfaceIndex">;
    return Object.assign(told, { membership, sendToGroup });
  } catch (error) {
    socket[Symbol.dispose]();
    options.signal?.throwIfAborted();
    throw error;
  }
}

/** The metadata that such a socket has, where there is any. */
function metadataOf(
  { metadata = [] }: { metadata?: readonly DatagramField[] },
): { metadata?: readonly DatagramField[] } {
  if (OS !== "linux" || !ffiGranted() || !Array.isArray(metadata)) return { metadata };
  return { metadata: [...metadata, "localAddr", "interfaceIndex"] };
}

/** The group where the system can bind to it, else the wildcard. */
function bindAddress({ group, selectors, doing }: JoinPlan): string {
  if (OS === "windows") return group.family === "inet" ? "0.0.0.0" : "::";
  if (!isLinkScoped(group)) return group.text;
  const [selector] = selectors ?? [];
  if (selectors?.length !== 1 || selector === undefined) return "::";
  return `${group.text}%${typeof selector === "number" ? selector : interfaceIndexOf(selector, doing)}`;
}

/**
 * What keeps all else out on Linux, in force before the socket is bound, unless the user set it: it hands a socket what any
 * other socket has joined, unless told not to; and one that is bound to "::" hears what is sent to any address.
 */
function shuttingOut({ group }: JoinPlan, hostname: string, given: unknown, ipv6Only: unknown): OptionSetting[] {
  if (OS !== "linux") return [];
  const wide = hostname === "::";
  const settings: OptionSetting[] = [
    ...group.family === "inet6" ? [IPV6_MULTICAST_ALL.to(false)] : [],
    ...group.family === "inet" || (wide && ipv6Only !== true) ? [IP_MULTICAST_ALL.to(false)] : [],
    ...wide ? [SO_ATTACH_FILTER.to(sentTo(group))] : [],
  ];
  const names = Array.isArray(given) ? given.map((one) => (one as OptionSetting | null)?.name) : [];
  // Of a socket's filters the last one is in force.
  if (names.includes("SO_ATTACH_BPF")) names.push("SO_ATTACH_FILTER");
  return settings.filter(({ name }) => !names.includes(name));
}

/** A packet filter that lets pass what is sent to an IPv6 group. */
function sentTo({ bytes }: Group): FilterProgram {
  // Offsets from here on are in the header of IP, where the destination is at 24 (RFC 8200 section 3).
  const header = 0xfff00000;
  const words = [0, 4, 8, 12].map((at) => bytes.slice(at, at + 4).reduce((word, byte) => word * 256 + byte, 0));
  return assembleFilter(`
          ldb [${header}]
          rsh #4
          jne #6, drop
          ${words.map((word, i) => `ld [${header + 24 + 4 * i}]\njne #${word}, drop`).join("\n")}
          ret #-1
    drop: ret #0
  `);
}

/** Where the user chose that the socket sends, by field or by C name. */
function chosenInterface(options: ListenMulticastOptions<DatagramField>, group: Group): InterfaceSelector | undefined {
  const name = group.family === "inet" ? "IP_MULTICAST_IF" : "IPV6_MULTICAST_IF";
  const setting = options.options?.find((setting) => setting.name === name);
  return options.multicast?.interface ?? setting?.value as InterfaceSelector | undefined;
}
