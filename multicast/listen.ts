// A socket that hears one group and sends to it.
// Joining on a socket that exists: join.ts. The socket itself: udp/socket.ts.
import { object, port as portOf, shown } from "../internal/argument.ts";
import { ffiGranted } from "../internal/ffi.ts";
import { libc } from "../internal/libc.ts";
import { interfaceIndexOf } from "../internal/netif.ts";
import { OS } from "../internal/os.ts";
import {
  type InterfaceSelector,
  IP_MULTICAST_ALL,
  IP_MULTICAST_IF,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_IF,
} from "../options/mod.ts";
import { bindUdp } from "../udp/bind.ts";
import { sendBy } from "../udp/multicast_interface.ts";
import type { UdpSocket } from "../udp/socket.ts";
import type { WaitOptions } from "../socket/waits.ts";
import type { BindUdpOptions, DatagramField } from "../udp/types.ts";
import { type Group, isLinkScoped } from "./group.ts";
import { join, type JoinOptions, type JoinPlan, planOf } from "./join.ts";
import type { Place } from "./filter.ts";
import { DenoMembership, KernelMembership, type Membership } from "./membership.ts";

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
   * `listenMulticast`; else once by each interface that is joined.
   *
   * A call for an interface that is not the usual one sets `IP_MULTICAST_IF` or `IPV6_MULTICAST_IF` for the time of the
   * call, which a `send()` at the same moment obeys too. Calls wait for each other.
   * Without `--allow-ffi` only what needs no choice works: a group that was joined without naming an interface.
   *
   * @returns The bytes of the datagram.
   */
  sendToGroup(
    data: Uint8Array,
    options?: WaitOptions & { interface?: InterfaceSelector | { all: true } },
  ): Promise<number>;
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
 * Windows cannot bind to a group: there, and for link-local groups (ff02::/16) on several interfaces or on one of the
 * kernel's choice, the socket is bound to the wildcard, and hears everything else that is sent to its port too. On "::" that
 * includes IPv4.
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
  const socket = bindUdp<DatagramField>({ reuseAddress: true, ...rest, ...metadataOf(rest), hostname, port });
  try {
    const membership = await join(socket, plan);
    if (ffiGranted()) shutOthersOut(socket, plan.group, hostname, options.options);
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

/** Linux hands a socket what any other socket has joined, unless told not to. */
function shutOthersOut(
  socket: UdpSocket,
  group: Group,
  hostname: string,
  given: ListenMulticastOptions["options"] = [],
): void {
  const families = hostname === "::"
    ? [IP_MULTICAST_ALL, IPV6_MULTICAST_ALL]
    : [group.family === "inet" ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL];
  for (const option of families) {
    if (option.supported && !given.some(({ name }) => name === option.name)) option.set(socket, false);
  }
}

/** Where the user chose that the socket sends, by field or by C name. */
function chosenInterface(options: ListenMulticastOptions<DatagramField>, group: Group): InterfaceSelector | undefined {
  const name = group.family === "inet" ? "IP_MULTICAST_IF" : "IPV6_MULTICAST_IF";
  const setting = options.options?.find((setting) => setting.name === name);
  return options.multicast?.interface ?? setting?.value as InterfaceSelector | undefined;
}

/** Sends to the group of a socket. */
class GroupSender {
  readonly #socket: UdpSocket;
  readonly #group: Group;
  readonly #membership: KernelMembership | DenoMembership;
  readonly #to: { readonly hostname: string; readonly port: number };
  /** The interface that the socket sends by when a call names none; `undefined` for the kernel's choice. */
  readonly #usual: InterfaceSelector | undefined;
  /** Whether that is where `sendToGroup` shall send: else it goes out once by each that is joined. */
  readonly #settled: boolean;
  /** Calls that change the interface wait for each other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    socket: UdpSocket,
    plan: JoinPlan,
    membership: KernelMembership | DenoMembership,
    chosen: InterfaceSelector | undefined,
  ) {
    this.#socket = socket;
    this.#group = plan.group;
    this.#membership = membership;
    this.#to = { hostname: plan.group.text, port: socket.addr.port };
    const places = this.#joined();
    // Where it follows the machine, it may be one of several soon.
    const sole = plan.selectors !== null && places.length === 1 && places[0]!.index > 0 ? places[0]!.index : undefined;
    this.#usual = chosen ?? sole;
    // Without FFI nothing can be chosen: the kernel did, or the zone that the socket is bound to.
    const free = plan.selectors?.[0] === undefined || socket.addr.hostname.includes("%");
    this.#settled = this.#usual !== undefined || (membership instanceof DenoMembership && free);
    if (chosen === undefined && sole !== undefined) this.#use(sole);
  }

  #doing(): string {
    return `Cannot send to group ${shown(this.#group.text)}`;
  }

  async send(
    data: Uint8Array,
    settings: WaitOptions & { interface?: InterfaceSelector | { all: true } } = {},
  ): Promise<number> {
    object(settings, `${this.#doing()}: the options`, "an object");
    const { interface: where, ...options } = settings;
    if (where !== undefined && typeof where !== "string" && typeof where !== "number" && where?.all !== true) {
      throw new TypeError(
        `${this.#doing()}: the interface is ${shown(where)}, it must be a name, an index or an address`,
      );
    }
    if (where === undefined && this.#settled) return await this.#socket.send(data, this.#to, options);
    libc(`${this.#doing()} by a chosen interface`);
    const turn = this.#turn.then(() => this.#sendBy(where, data, options));
    this.#turn = turn.catch(() => {});
    return await turn;
  }

  async #sendBy(
    where: InterfaceSelector | { all: true } | undefined,
    data: Uint8Array,
    options: WaitOptions,
  ): Promise<number> {
    const indices = where === undefined || typeof where === "object"
      ? this.#joined().map(({ index }) => index)
      : [interfaceIndexOf(where, this.#doing())];
    if (indices.length === 0) throw new Deno.errors.NotFound(`${this.#doing()}: it is joined on no interface now`);
    const before = this.#group.family === "inet"
      ? IP_MULTICAST_IF.get(this.#socket)
      : IPV6_MULTICAST_IF.get(this.#socket);
    let sent = 0;
    let refusal: unknown;
    try {
      for (const index of indices) {
        try {
          this.#use(index);
          await this.#socket.send(data, this.#to, options);
          sent++;
        } catch (error) {
          // An interface that is down is no matter of the others; what would befall each of them is told at once.
          if (typeof (error as { code?: unknown }).code !== "string") throw error;
          refusal ??= error;
        }
      }
    } finally {
      this.#restore(before);
    }
    if (sent === 0) throw refusal;
    return data.byteLength;
  }

  #joined(): readonly Place[] {
    return this.#membership instanceof KernelMembership ? this.#membership.joinedNow() : [];
  }

  #use(selector: InterfaceSelector | undefined): void {
    sendBy(this.#socket, this.#group.family, selector === 0 ? undefined : selector, this.#doing());
  }

  #restore(before: InterfaceSelector): void {
    try {
      // An interface without an IPv4 address reads as "0.0.0.0", as the kernel's choice does.
      this.#use(before === "0.0.0.0" ? this.#usual : before);
    } catch (error) {
      // Closed meanwhile: nothing is left to restore.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}
