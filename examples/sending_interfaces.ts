// Where messages to a group of the local network can go out: what mdns.ts and ssdp.ts both need.
import { networkInterfaces } from "@berkeley/sockets/multicast";

/** An interface that can send to a group. */
export interface SendingInterface {
  readonly name: string;
  readonly index: number;
  /** All its addresses, of both families, without zones. */
  readonly addresses: readonly string[];
}

/**
 * The interfaces that are up and have an address that messages to this group can come from: on IPv6 a link-local one,
 * which Linux's loopback lacks.
 */
export function sendingInterfaces(group: string): SendingInterface[] {
  const ipv6 = group.includes(":");
  return networkInterfaces().flatMap(({ name, index, up, multicast, loopback, addresses: all }) => {
    const addresses = all.map(({ hostname }) => hostname.split("%")[0]!);
    const source = addresses.some((address) => ipv6 ? address.startsWith("fe80:") : !address.includes(":"));
    return up && (multicast || loopback) && source ? [{ name, index, addresses }] : [];
  });
}
