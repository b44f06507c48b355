// Sends to the group of a socket, each datagram as it is told: by which interface, how far, heard here or not.
// Who makes one: listen.ts. What a socket sends by until told otherwise: udp/multicast_interface.ts.
import { boolean, integer, object, shown } from "../internal/argument.ts";
import { descriptorOf } from "../internal/descriptor.ts";
import { libc } from "../internal/libc.ts";
import { interfaceIndexOf } from "../internal/netif.ts";
import { afterTurn, WRITABLE } from "../internal/reactor.ts";
import {
  type InterfaceSelector,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
} from "../options/mod.ts";
import { drained, ready, type Socket } from "../socket/socket.ts";
import { signalOf, type WaitOptions } from "../socket/waits.ts";
import { sendBy } from "../udp/multicast_interface.ts";
import type { UdpSocket } from "../udp/socket.ts";
import type { MulticastSendOptions } from "../udp/types.ts";
import type { Place } from "./filter.ts";
import type { Group } from "./group.ts";
import type { JoinPlan } from "./join.ts";
import { DenoMembership, KernelMembership } from "./membership.ts";

/**
 * How one datagram goes to the group: what is left out is as the socket sends, as `multicast` of `listenMulticast` said.
 * All but the signal needs `--allow-ffi`.
 */
export interface SendToGroupOptions extends WaitOptions, Omit<MulticastSendOptions, "interface"> {
  /** Where it goes out: a name, an index or an address; or `{ all: true }`, once by each that is joined. */
  interface?: InterfaceSelector | { all: true };
}

const FAMILIES = {
  inet: { interface: IP_MULTICAST_IF, hopLimit: IP_MULTICAST_TTL, loopback: IP_MULTICAST_LOOP },
  inet6: { interface: IPV6_MULTICAST_IF, hopLimit: IPV6_MULTICAST_HOPS, loopback: IPV6_MULTICAST_LOOP },
} as const;

/** What one datagram is sent with, checked; `undefined` for what the socket has. */
interface Way {
  readonly index: number | undefined;
  readonly hopLimit: number | undefined;
  readonly loopback: boolean | undefined;
}

/** Sends to the group of a socket. */
export class GroupSender {
  readonly #socket: UdpSocket;
  readonly #group: Group;
  readonly #membership: KernelMembership | DenoMembership;
  readonly #to: { readonly hostname: string; readonly port: number };
  /** The interface that the socket sends by when a call names none; `undefined` for the kernel's choice. */
  readonly #usual: InterfaceSelector | undefined;
  /** What the kernel says of that: on IPv4 an address, which another interface may have too, or none. */
  #usualReads: InterfaceSelector | undefined;
  /** Whether that is where `sendToGroup` shall send: else it goes out once by each that is joined. */
  readonly #settled: boolean;
  /** Calls that change a socket while they wait, one of Deno's, wait for each other. */
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
    if (this.#usual !== undefined) this.#usualReads = FAMILIES[this.#group.family].interface.get(socket);
  }

  #doing(): string {
    return `Cannot send to group ${shown(this.#group.text)}`;
  }

  async send(data: Uint8Array, settings: SendToGroupOptions = {}): Promise<number> {
    const doing = this.#doing();
    object(settings, `${doing}: the options`, "an object");
    const { interface: where, hopLimit, loopback, ...options } = settings;
    if (where !== undefined && typeof where !== "string" && typeof where !== "number" && where?.all !== true) {
      throw new TypeError(`${doing}: the interface is ${shown(where)}, it must be a name, an index or an address`);
    }
    if (hopLimit !== undefined) integer(hopLimit, `${doing}: hopLimit`, 0, 255);
    if (loopback !== undefined) boolean(loopback, `${doing}: loopback`);
    const usual = where === undefined && this.#settled;
    if (usual && hopLimit === undefined && loopback === undefined) {
      return await this.#socket.send(data, this.#to, options);
    }
    libc(`${doing} ${usual ? "in a way of its own" : "by a chosen interface"}`);
    const signal = signalOf(options, doing);
    const indices = usual ? [undefined] : this.#indicesOf(where);
    if (indices.length === 0) {
      // Of a closed socket that is another matter.
      descriptorOf(this.#socket, doing);
      throw new Deno.errors.NotFound(`${doing}: it is joined on no interface now`);
    }
    let sent = 0;
    let refusal: unknown;
    for (const index of indices) {
      try {
        await this.#sendOne(data, { index, hopLimit, loopback }, signal);
        sent++;
      } catch (error) {
        // An interface that is down is no matter of the others; what would befall each of them is told at once.
        if (typeof (error as { code?: unknown }).code !== "string") throw error;
        refusal ??= error;
      }
    }
    if (sent === 0) throw refusal;
    return data.byteLength;
  }

  #indicesOf(where: InterfaceSelector | { all: true } | undefined): readonly number[] {
    if (where === undefined || typeof where === "object") return this.#joined().map(({ index }) => index);
    return [interfaceIndexOf(where, this.#doing())];
  }

  /**
   * Sends one. The socket's own options are changed for that and changed back before anything else runs, so that no other
   * call sees it. No control message says all of it: loopback has none, and none lets a hop limit of 0 pass on IPv4.
   */
  async #sendOne(data: Uint8Array, way: Way, signal: AbortSignal | undefined): Promise<void> {
    if (this.#socket.capabilities.engine === "portable") return await this.#sendByDeno(data, way, signal);
    for (let since = 0;;) {
      let full = false;
      const back = this.#change(way);
      try {
        if (this.#socket.trySend(data, this.#to) !== null) break;
      } catch (error) {
        if ((error as { code?: unknown }).code !== "ENOBUFS") throw error;
        full = true;
      } finally {
        back();
      }
      const socket = this.#socket.socket as Socket;
      since = full
        ? await drained(socket, signal, "send on", since)
        : await ready(socket, WRITABLE, signal, "send on", since);
    }
    await afterTurn(undefined);
  }

  /** The same by a socket of Deno's, whose send has to be waited for: a `send()` meanwhile goes the same way. */
  async #sendByDeno(data: Uint8Array, way: Way, signal: AbortSignal | undefined): Promise<void> {
    const sending = this.#turn.then(async () => {
      const back = this.#change(way);
      try {
        await this.#socket.send(data, this.#to, signal && { signal });
      } finally {
        back();
      }
    });
    this.#turn = sending.catch(() => {});
    await sending;
  }

  /** Makes the socket send so; what comes back makes it send as before. */
  #change({ index, hopLimit, loopback }: Way): () => void {
    const socket = this.#socket;
    const options = FAMILIES[this.#group.family];
    const undo: (() => void)[] = [];
    const back = () => {
      const refusals: unknown[] = [];
      for (const one of undo) {
        try {
          one();
        } catch (error) {
          // Closed meanwhile: nothing is left to change back. What else refuses keeps nothing else as it was changed.
          if (!(error instanceof Deno.errors.BadResource)) refusals.push(error);
        }
      }
      if (refusals.length > 0) throw refusals[0];
    };
    try {
      if (index !== undefined) {
        const before = options.interface.get(socket);
        // An interface without an IPv4 address reads as "0.0.0.0", as the kernel's choice does.
        const usual = before === "0.0.0.0" || before === this.#usualReads ? this.#usual : before;
        // What is gone cannot be chosen again, and what others send would take another way.
        interfaceIndexOf(
          usual === 0 ? undefined : usual,
          `${this.#doing()} by another interface than the usual one, which is gone`,
        );
        this.#use(index);
        undo.push(() => this.#use(usual));
      }
      if (hopLimit !== undefined) {
        const before = options.hopLimit.get(socket);
        options.hopLimit.set(socket, hopLimit);
        undo.push(() => options.hopLimit.set(socket, before));
      }
      if (loopback !== undefined) {
        const before = options.loopback.get(socket);
        options.loopback.set(socket, loopback);
        undo.push(() => options.loopback.set(socket, before));
      }
    } catch (error) {
      back();
      throw error;
    }
    return back;
  }

  #joined(): readonly Place[] {
    return this.#membership instanceof KernelMembership ? this.#membership.joinedNow() : [];
  }

  #use(selector: InterfaceSelector | undefined): void {
    sendBy(this.#socket, this.#group.family, selector === 0 ? undefined : selector, this.#doing());
  }
}
