// What options cannot do for multicast: read a source filter, whose answer depends on its input; leave a group on an
// interface that is gone; send IPv4 by an interface without an address; tell whether packets are filtered.
// All else is an option like others: codec.ts. What people call is in multicast/membership.ts.
import { constant } from "./constants.ts";
import type { Descriptor } from "./descriptor.ts";
import { check, failed, failedWith } from "./errno.ts";
import { LAYOUT } from "./layout.ts";
import { libc } from "./libc.ts";
import { interfaceOf } from "./netif.ts";
import { OS, OS_NAME } from "./os.ts";
import { formatIp, ipOf, parseIpv4, writeInet } from "./sockaddr.ts";
import { SOCKOPT } from "./sockopt.ts";
import type { FilterProgram, InterfaceSelector } from "./values.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a socket hears of a group on an interface. */
export interface KernelFilter {
  readonly mode: "include" | "exclude";
  readonly sources: readonly string[];
}

/** How the kernel says that there is no membership. */
const NOT_JOINED = ["EADDRNOTAVAIL", "ENODEV"] as const;
/** As many senders as are asked for at first. */
const FEW = 16;

/** Whether a filter can be read here at all. */
export function canReadFilters(): boolean {
  return OS === "linux";
}

/**
 * The filter that a socket has for a group on one interface; null when it has not joined the group there.
 *
 * @param found The socket.
 * @param group 4 or 16 bytes.
 * @param index The interface.
 * @param doing The beginning of messages.
 */
export function readFilter(found: Descriptor, group: Bytes, index: number, doing: string): KernelFilter | null {
  if (OS !== "linux") throw new Deno.errors.NotSupported(`${doing}: ${OS_NAME} does not tell the filter of a group`);
  const { fields } = LAYOUT.group_filter.linux;
  const sourceSize = LAYOUT.sockaddr_storage.linux.size;
  const level = constant(group.length === 4 ? "IPPROTO_IP" : "IPPROTO_IPV6", OS);
  const length = new Uint32Array(1);
  for (let room = FEW;;) {
    const bytes = new Uint8Array(fields.gf_slist[0] + room * sourceSize);
    const view = new DataView(bytes.buffer);
    view.setUint32(fields.gf_interface[0], index, true);
    writeInet(bytes, fields.gf_group[0], OS, group, 0);
    view.setUint32(fields.gf_numsrc[0], room, true);
    const result = libc(doing).getsockopt(found.fd, level, SOCKOPT.MCAST_MSFILTER[1], bytes, length);
    // The interface is gone (ENODEV), or the group was not joined there (EADDRNOTAVAIL).
    if (failed(result) && NOT_JOINED.some(failedWith)) return null;
    check(result, "getsockopt", doing);
    const count = view.getUint32(fields.gf_numsrc[0], true);
    if (count > room) {
      room = count;
      continue;
    }
    return {
      mode: view.getUint32(fields.gf_fmode[0], true) === constant("MCAST_INCLUDE", OS) ? "include" : "exclude",
      sources: Array.from({ length: count }, (_, i) => {
        const at = fields.gf_slist[0] + i * sourceSize;
        return formatIp(ipOf(bytes.subarray(at, at + sourceSize), "linux")!);
      }),
    };
  }
}

/** Leaves a group on an interface, also on one that is gone: the socket counts it until then. */
export function leaveGroup(found: Descriptor, group: Bytes, index: number, doing: string): void {
  if (OS !== "linux" && OS !== "darwin") throw new Deno.errors.NotSupported(`${doing}: not possible on ${OS_NAME}`);
  const { size, fields } = LAYOUT.group_req[OS];
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(fields.gr_interface[0], index, true);
  writeInet(bytes, fields.gr_group[0], OS, group, 0);
  const level = constant(group.length === 4 ? "IPPROTO_IP" : "IPPROTO_IPV6", OS);
  const option = SOCKOPT.MCAST_LEAVE_GROUP[OS === "linux" ? 1 : 2];
  check(libc(doing).setsockopt(found.fd, level, option, bytes), "setsockopt", doing);
}

/**
 * Makes an interface the one that IPv4 multicast leaves by; `undefined` for the kernel's choice. IP_MULTICAST_IF takes an
 * address, which an interface may lack, or share with another: so it is given the index, and the address for readers.
 */
export function setMulticastInterface(
  found: Descriptor,
  selector: InterfaceSelector | undefined,
  doing: string,
): void {
  if (OS !== "linux" && OS !== "darwin") throw new Deno.errors.NotSupported(`${doing}: not possible on ${OS_NAME}`);
  const { size, fields } = LAYOUT.ip_mreqn[OS];
  const bytes = new Uint8Array(size);
  const one = selector === undefined ? null : interfaceOf(selector, doing);
  if (one !== null) {
    const given = parseIpv4(String(selector));
    const first = one.addresses.find(({ family }) => family === "inet")?.hostname;
    const address = given ?? (first === undefined ? null : parseIpv4(first));
    if (address !== null) bytes.set(address, fields.imr_address[0]);
    new DataView(bytes.buffer).setInt32(fields.imr_ifindex[0], one.index, true);
  }
  const option = SOCKOPT.IP_MULTICAST_IF[OS === "linux" ? 1 : 2];
  check(libc(doing).setsockopt(found.fd, constant("IPPROTO_IP", OS), option, bytes), "setsockopt", doing);
}

/** Whether a packet filter is attached to a socket, on Linux. */
export function isFiltered(found: Descriptor, doing: string): boolean {
  return filterLength(found, doing) > 0;
}

/** Whether it is this program, and no other; null for none. */
export function hasFilter(found: Descriptor, program: FilterProgram | null, doing: string): boolean {
  const count = filterLength(found, doing);
  if (program === null || program.length !== count) return program === null && count === 0;
  const { size, fields } = LAYOUT.sock_filter.linux;
  const bytes = new Uint8Array(count * size);
  check(getFilter(found, bytes, doing), "getsockopt", doing);
  const view = new DataView(bytes.buffer);
  return program.every(({ code, jt, jf, k }, i) => {
    const at = i * size;
    return view.getUint16(at + fields.code[0], true) === code && view.getUint8(at + fields.jt[0]) === jt &&
      view.getUint8(at + fields.jf[0]) === jf && view.getUint32(at + fields.k[0], true) === k;
  });
}

const filterRoom = new Uint32Array(1);

/** How many instructions the filter of a socket has: told of no room, the kernel says so. Of eBPF it shows none at all. */
function filterLength(found: Descriptor, doing: string): number {
  const result = getFilter(found, new Uint8Array(0), doing);
  if (failed(result) && failedWith("EACCES")) return Infinity;
  check(result, "getsockopt", doing);
  return filterRoom[0]!;
}

/** SO_GET_FILTER has the number of SO_ATTACH_FILTER; its room counts instructions, and the kernel takes what is more. */
function getFilter(found: Descriptor, into: Bytes, doing: string): number {
  const [level, option] = SOCKOPT.SO_ATTACH_FILTER;
  return libc(doing).getsockopt(found.fd, constant(level, "linux"), option, into, filterRoom);
}
