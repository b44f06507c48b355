// The network interfaces as people see them.
// How they are read, and how a name becomes an index: internal/netif.ts.
import { listInterfaces, type NetworkInterface } from "../internal/netif.ts";

export type { InterfaceAddress, NetworkInterface } from "../internal/netif.ts";

/** A change of a network interface. */
export interface InterfaceChange {
  /** What happened. */
  readonly kind: "added" | "removed" | "changed";
  /** The interface, as it is or was. */
  readonly interface: NetworkInterface;
}

/**
 * The network interfaces of this machine, in the system's order, those that are down included.
 *
 * With `--allow-ffi` all is known (getifaddrs(3)). Without, `--allow-sys` is needed and Deno's list tells less: only
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
