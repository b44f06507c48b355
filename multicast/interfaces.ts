// The network interfaces as people see them: as they are, and what becomes of them.
// How they are read, and how a name becomes an index: internal/netif.ts. How changes are heard: watch.ts.
import { listInterfaces, type NetworkInterface } from "../internal/netif.ts";
import type { InterfaceChange } from "../internal/netlink.ts";
import { signalOf } from "../socket/waits.ts";
import type { WaitOptions } from "../socket/waits.ts";
import { type Watch, watch } from "./watch.ts";

export type { InterfaceAddress, NetworkInterface } from "../internal/netif.ts";
export type { InterfaceChange } from "../internal/netlink.ts";

/**
 * The network interfaces of this machine, in the system's order, those that are down included.
 *
 * With `--allow-ffi` all is known (by netlink on Linux, rtnetlink(7); else by getifaddrs(3)): no `--allow-net` is needed, as
 * nothing is sent to anybody. Without, `--allow-sys` is needed and Deno's list tells less: only
 * interfaces that are up and have an address; `index` is 0 unless the interface has a link-local IPv6 address; `mtu` is 0;
 * `up` is always true; `multicast` and `broadcast` are always false; broadcast addresses are absent; and `loopback` is
 * judged by the addresses.
 *
 * @returns The interfaces as they are now.
 * @throws {Deno.errors.NotCapable} Neither `--allow-ffi` nor `--allow-sys` is given.
 *
 * @example Where multicast can go
 * ```ts
 * import { networkInterfaces } from "@berkeley/sockets/multicast";
 * import { assert } from "@std/assert";
 *
 * const loopback = networkInterfaces().find((one) => one.loopback);
 * assert(loopback?.addresses.some((address) => address.hostname === "127.0.0.1"));
 * ```
 */
export function networkInterfaces(): NetworkInterface[] {
  return listInterfaces("Cannot list the network interfaces");
}

/**
 * Changes of the network interfaces of this machine as they come, from the call on: interfaces that appear, vanish, go up or
 * down, are renamed, gain or lose an address.
 *
 * On Linux with `--allow-ffi` the kernel tells them, by netlink. Elsewhere, and without, the list is compared once a second,
 * with `--allow-sys` where `--allow-ffi` is missing. Each change has the interface as it was then; changes that came too
 * fast to be told one by one are told as one. What is not read waits in the kernel, in bounded room.
 *
 * Leaving the loop ends it, and so does the signal; until then it holds a socket, which nothing else closes.
 *
 * @param options A signal that ends the iteration.
 * @returns The changes.
 * @throws {Deno.errors.NotCapable} Neither `--allow-ffi` nor `--allow-sys` is given.
 *
 * @example Until the network changes, or a moment has passed
 * ```ts
 * import { watchInterfaces } from "@berkeley/sockets/multicast";
 *
 * for await (const { kind, interface: { name } } of watchInterfaces({ signal: AbortSignal.timeout(10) })) {
 *   console.log(`${name} was ${kind}`);
 * }
 * ```
 */
export function watchInterfaces(options: WaitOptions = {}): AsyncIterableIterator<InterfaceChange> {
  const doing = "Cannot watch the network interfaces";
  const signal = signalOf(options, () => doing);
  return new Changes(watch(doing), signal);
}

/** Changes one by one, until somebody ends them. */
class Changes implements AsyncIterableIterator<InterfaceChange> {
  readonly #watch: Watch;
  readonly #signal: AbortSignal | undefined;
  readonly #end = () => {
    this.#signal?.removeEventListener("abort", this.#end);
    this.#watch.close();
  };

  constructor(watch: Watch, signal: AbortSignal | undefined) {
    this.#watch = watch;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#end);
  }

  async next(): Promise<IteratorResult<InterfaceChange>> {
    try {
      const change = await this.#watch.next();
      return change === null ? { done: true, value: undefined } : { done: false, value: change };
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  return(): Promise<IteratorResult<InterfaceChange>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    return Promise.resolve();
  }
}
