// The network interfaces of this machine: their list, and which one a name, an index or an address means.
// The public functions are in multicast/interfaces.ts; how an index is written into a struct: codec.ts.
import { integer, shown } from "./argument.ts";
import { constant } from "./constants.ts";
import { check, failed } from "./errno.ts";
import { ffiGranted, notCapable } from "./ffi.ts";
import { formatHardware } from "./hardware_addr.ts";
import { LAYOUT } from "./layout.ts";
import { type Libc, libc } from "./libc.ts";
import { OS, OS_NAME } from "./os.ts";
import { interfaceTable } from "./rtnetlink.ts";
import { familyOf, formatIp, ipOf, isMapped, isUnspecified, parseIp, readSockaddr } from "./sockaddr.ts";
import type { InterfaceSelector } from "./values.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** An address of a network interface, with its prefix. */
export interface InterfaceAddress {
  /** Family of the address. */
  readonly family: "inet" | "inet6";
  /** The literal address; link-local IPv6 addresses carry their zone as the index of the interface ("fe80::1%2"). */
  readonly hostname: string;
  /** Prefix length in bits: 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly prefix: number;
  /** Directed broadcast address; IPv4 only, absent where the interface has none and where it is not known. */
  readonly broadcast?: string;
}

/** A network interface of this machine, as it was when asked. */
export interface NetworkInterface {
  /** Name, such as "eth0". */
  readonly name: string;
  /** Index, from 1; 0 where the system did not tell it (without `--allow-ffi`, on an interface without a link-local address). */
  readonly index: number;
  /** Largest packet in bytes; 0 where it is not known (without `--allow-ffi`). */
  readonly mtu: number;
  /** Whether it is switched on and has a link (`IFF_UP` and `IFF_RUNNING`). */
  readonly up: boolean;
  /** Whether it leads back to this machine. */
  readonly loopback: boolean;
  /** Whether the system says it can multicast (`IFF_MULTICAST`; Linux's loopback can without saying so). False where it is not known. */
  readonly multicast: boolean;
  /** Whether it can broadcast (`IFF_BROADCAST`). False where it is not known. */
  readonly broadcast: boolean;
  /** Hardware address in lower-case hexadecimal, such as "02:00:5e:10:00:01"; absent when it has none. */
  readonly hardwareAddr?: string;
  /** Its addresses, in the system's order; may be empty. */
  readonly addresses: readonly InterfaceAddress[];
}

/** The largest index an interface can have: an int of C. */
const INDEX_MAX = 2 ** 31 - 1;
/** Bytes of an interface name with its NUL, on every system here. */
const NAME_SIZE = 16;

/** What is known of an interface while its list is read. */
interface Draft {
  index: number;
  flags: number;
  mtu: number;
  hardwareAddr: string | null;
  readonly addresses: InterfaceAddress[];
}

/** The interfaces of this machine. Without FFI, as far as Deno tells. */
export function listInterfaces(doing: string): NetworkInterface[] {
  if (!ffiGranted()) return listOfDeno(doing);
  return interfaceTable(doing)?.list() ?? listOfLibc(doing);
}

/** By getifaddrs(3): what macOS has, and Linux where nobody may open netlink sockets. */
export function listOfLibc(doing: string): NetworkInterface[] {
  const c = libc(doing);
  const os = unix(doing);
  const list = new BigUint64Array(1);
  check(c.getifaddrs(list), "getifaddrs", doing);
  const drafts = new Map<string, Draft>();
  try {
    for (let at = list[0]!; at !== 0n;) at = readEntry(c, os, at, drafts);
  } finally {
    c.freeifaddrs(list[0]!);
  }
  if (os === "linux") readMtus(c, drafts);
  const flag = (
    name:
      | "IFF_UP"
      | "IFF_RUNNING"
      | "IFF_LOOPBACK"
      | "IFF_MULTICAST"
      | "IFF_BROADCAST",
  ) => constant(name, os);
  const up = flag("IFF_UP") | flag("IFF_RUNNING");
  return Array.from(
    drafts,
    ([name, { index, flags, mtu, hardwareAddr, addresses }]) => ({
      name,
      index: index === 0 ? c.ifNameToIndex(nameBytes(name)) : index,
      mtu,
      up: (flags & up) === up,
      loopback: (flags & flag("IFF_LOOPBACK")) !== 0,
      multicast: (flags & flag("IFF_MULTICAST")) !== 0,
      broadcast: (flags & flag("IFF_BROADCAST")) !== 0,
      ...(hardwareAddr === null ? {} : { hardwareAddr }),
      addresses,
    }),
  );
}

/** The system, one that has getifaddrs. */
function unix(doing: string): "linux" | "darwin" {
  if (OS === "linux" || OS === "darwin") return OS;
  throw new Deno.errors.NotSupported(`${doing}: not possible on ${OS_NAME}`);
}

/** Reads one `struct ifaddrs` and returns the address of the next. */
function readEntry(
  c: Libc,
  os: "linux" | "darwin",
  at: bigint,
  drafts: Map<string, Draft>,
): bigint {
  const { size, fields } = LAYOUT.ifaddrs[os];
  const entry = new Uint8Array(size);
  c.peek(at, entry);
  const view = new DataView(entry.buffer);
  const pointer = ([offset]: readonly [number, "u64"]) => view.getBigUint64(offset, true);
  // Linux gives the label of an IPv4 address ("eth0:1"), which begins with the name of its interface.
  const name = c.text(pointer(fields.ifa_name)).split(":", 1)[0]!;
  const flags = view.getUint32(fields.ifa_flags[0], true);
  let draft = drafts.get(name);
  if (draft === undefined) {
    drafts.set(
      name,
      draft = { index: 0, flags, mtu: 0, hardwareAddr: null, addresses: [] },
    );
  }
  const address = readAddress(c, os, pointer(fields.ifa_addr));
  if (address !== null) {
    const ip = ipOf(address, os);
    if (ip === null) {
      readLink(c, os, address, pointer(fields.ifa_data), draft);
    } else {
      const broadcast = ip.length === 4 && (flags & constant("IFF_BROADCAST", os)) !== 0
        ? readAddress(
          c,
          os,
          pointer("ifa_ifu" in fields ? fields.ifa_ifu : fields.ifa_dstaddr),
        )
        : null;
      // The BSDs may leave the family of a mask out: it has that of the address.
      const mask = pointer(fields.ifa_netmask);
      draft.addresses.push(
        interfaceAddress(
          os,
          address,
          mask === 0n ? null : copied(c, os, mask, address.length),
          broadcast,
        ),
      );
    }
  }
  return pointer(fields.ifa_next);
}

/** A sockaddr in the C library's memory, as long as its family says; null for none, and families not known here. */
function readAddress(
  c: Libc,
  os: "linux" | "darwin",
  at: bigint,
): Bytes | null {
  if (at === 0n) return null;
  const start = new Uint8Array(2);
  c.peek(at, start);
  const size = sizeOfFamily(familyOf(start, os), os);
  return size === null ? null : copied(c, os, at, size);
}

function sizeOfFamily(family: number, os: "linux" | "darwin"): number | null {
  if (family === constant("AF_INET", os)) return LAYOUT.sockaddr_in[os].size;
  if (family === constant("AF_INET6", os)) return LAYOUT.sockaddr_in6[os].size;
  if (os === "linux") {
    return family === constant("AF_PACKET", os) ? LAYOUT.sockaddr_ll.linux.size : null;
  }
  return family === constant("AF_LINK", os) ? LAYOUT.sockaddr_dl.darwin.size : null;
}

/** Copies a sockaddr. The BSDs begin with its length, and a mask there ends with its last byte that is not zero. */
function copied(
  c: Libc,
  os: "linux" | "darwin",
  at: bigint,
  size: number,
): Bytes {
  const bytes = new Uint8Array(size);
  if (os === "darwin") c.peek(at, bytes.subarray(0, 1));
  c.peek(
    at,
    os === "darwin" ? bytes.subarray(0, Math.min(bytes[0]!, size)) : bytes,
  );
  return bytes;
}

/** Notes the index, hardware address and, on macOS, the size of packets. */
function readLink(
  c: Libc,
  os: "linux" | "darwin",
  address: Bytes,
  data: bigint,
  draft: Draft,
): void {
  const view = new DataView(address.buffer);
  let hardware: Bytes;
  if (os === "linux") {
    const { fields } = LAYOUT.sockaddr_ll.linux;
    draft.index = view.getInt32(fields.sll_ifindex[0], true);
    const length = address[fields.sll_halen[0]]!;
    const [offset, , room] = fields.sll_addr;
    // InfiniBand's 20 bytes do not fit the struct: better none than a cut one.
    hardware = address.subarray(
      offset,
      length > room ? offset : offset + length,
    );
  } else {
    const { fields } = LAYOUT.sockaddr_dl.darwin;
    draft.index = view.getUint16(fields.sdl_index[0], true);
    const offset = fields.sdl_data[0] + address[fields.sdl_nlen[0]]!;
    hardware = address.subarray(offset, offset + address[fields.sdl_alen[0]]!);
    if (data !== 0n) {
      const word = new Uint8Array(4);
      c.peek(data + BigInt(LAYOUT.if_data.darwin.fields.ifi_mtu[0]), word);
      draft.mtu = new DataView(word.buffer).getUint32(0, true);
    }
  }
  if (hardware.some((byte) => byte !== 0)) {
    draft.hardwareAddr = formatHardware(hardware);
  }
}

/** Asks for the size of packets by ioctl, through a socket made for it. */
function readMtus(c: Libc, drafts: Map<string, Draft>): void {
  const type = constant("SOCK_DGRAM", "linux") |
    constant("SOCK_CLOEXEC", "linux");
  // Any socket will do; a kernel without IPv4 still has unix sockets.
  let fd = c.socket(constant("AF_INET", "linux"), type, 0);
  if (failed(fd)) fd = c.socket(constant("AF_UNIX", "linux"), type, 0);
  if (failed(fd)) return;
  const { size, fields } = LAYOUT.ifreq.linux;
  for (const [name, draft] of drafts) {
    const request = new Uint8Array(size);
    request.set(nameBytes(name), fields.ifr_name[0]);
    // An interface may be gone by now: its size stays unknown.
    if (failed(c.ioctl(fd, constant("SIOCGIFMTU", "linux"), request))) continue;
    draft.mtu = new DataView(request.buffer).getInt32(fields.ifr_mtu[0], true);
  }
  c.close(fd);
}

function interfaceAddress(
  os: "linux" | "darwin",
  address: Bytes,
  mask: Bytes | null,
  broadcast: Bytes | null,
): InterfaceAddress {
  const known = readSockaddr(address, os);
  const ip = ipOf(address, os)!;
  // Where an interface has none, glibc gives the address itself.
  const to = broadcast === null ? null : ipOf(broadcast, os);
  const none = to === null || to.every((byte, i) => byte === ip[i]);
  const at = ip.byteOffset;
  return {
    family: ip.length === 4 ? "inet" : "inet6",
    hostname: "hostname" in known ? known.hostname : formatIp(ip),
    prefix: mask === null ? 8 * ip.length : ones(mask.subarray(at, at + ip.length)),
    ...(none ? {} : { broadcast: formatIp(to) }),
  };
}

/** How many bits are set. */
function ones(mask: Uint8Array): number {
  let count = 0;
  for (let byte of mask) for (; byte !== 0; byte &= byte - 1) count++;
  return count;
}

/** A name with its NUL, in as much room as the kernel takes. */
function nameBytes(name: string): Bytes {
  const bytes = new Uint8Array(NAME_SIZE);
  new TextEncoder().encodeInto(name, bytes.subarray(0, NAME_SIZE - 1));
  return bytes;
}

function listOfDeno(doing: string): NetworkInterface[] {
  let told: Deno.NetworkInterfaceInfo[];
  try {
    told = Deno.networkInterfaces();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw new Deno.errors.NotCapable(
      `${doing}: ${error.message}, or with the --allow-ffi flag`,
      { cause: error },
    );
  }
  const byName = Map.groupBy(told, (one) => one.name);
  return Array.from(byName, ([name, all]) => {
    const mac = all.map((one) => one.mac).find((mac) => mac !== "" && mac !== "00:00:00:00:00:00");
    const addresses = all.map((one): InterfaceAddress => ({
      family: one.family === "IPv4" ? "inet" : "inet6",
      hostname: one.scopeid ? `${one.address}%${one.scopeid}` : one.address,
      prefix: ones(parseIp(one.netmask)?.bytes ?? new Uint8Array()),
    }));
    return {
      name,
      index: all.find((one) => one.scopeid)?.scopeid ?? 0,
      mtu: 0,
      up: true,
      loopback: addresses.some((one) => one.hostname === "::1" || one.hostname.startsWith("127.")),
      multicast: false,
      broadcast: false,
      ...(mac === undefined ? {} : { hardwareAddr: mac.toLowerCase() }),
      addresses,
    };
  });
}

/**
 * The index of an interface that exists; 0, the kernel's choice, for `undefined` and for a wildcard address.
 *
 * @param selector A name, an index, or one of the interface's addresses.
 * @param doing The beginning of messages: `Cannot join group "239.0.0.1"`.
 */
export function interfaceIndexOf(
  selector: InterfaceSelector | undefined,
  doing: string,
): number {
  if (selector === undefined) return 0;
  if (!ffiGranted()) {
    const one = interfaceOf(selector, doing);
    // Deno tells the index only beside a link-local address; 0 would be the kernel's choice.
    if (one?.index === 0) {
      throw notCapable(
        `${doing}: Deno does not tell the index of interface ${shown(one.name)}`,
      );
    }
    return one?.index ?? 0;
  }
  if (typeof selector === "number") {
    const index = checkedIndex(selector, doing);
    if (interfaceNameOf(index, doing) === null) {
      throw missing(`with index ${index}`, doing);
    }
    return index;
  }
  const name = checkedName(selector, doing);
  if (parseIp(name) !== null) return byAddress(name, doing)?.index ?? 0;
  const index = libc(doing).ifNameToIndex(nameBytes(name));
  if (index === 0) throw missing(shown(name), doing);
  return index;
}

/** The name of an interface; null when there is none with this index. */
export function interfaceNameOf(
  index: number,
  doing = "Cannot name an interface",
): string | null {
  const bytes = new Uint8Array(NAME_SIZE);
  if (!libc(doing).ifIndexToName(index, bytes)) return null;
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

/**
 * The first IPv4 address of an interface, or the one that names it; the wildcard for `undefined`. Without FFI a literal
 * address is taken as it is, and names are looked up in Deno's list.
 */
export function ipv4AddressOf(
  selector: InterfaceSelector | undefined,
  doing: string,
): Bytes {
  if (selector === undefined) return new Uint8Array(4);
  const ip = typeof selector === "string" ? parseIp(selector)?.bytes : undefined;
  if (ip?.length === 4) {
    if (ffiGranted()) byAddress(selector as string, doing);
    return ip;
  }
  const one = interfaceOf(selector, doing);
  if (one === null) return new Uint8Array(4);
  const address = one.addresses.find((address) => address.family === "inet");
  if (address === undefined) {
    throw new Deno.errors.AddrNotAvailable(
      `${doing}: interface ${shown(one.name)} has no IPv4 address`,
    );
  }
  return parseIp(address.hostname)!.bytes;
}

/** The interface a selector means, out of the list; null for a wildcard address. */
export function interfaceOf(
  selector: InterfaceSelector,
  doing: string,
): NetworkInterface | null {
  if (typeof selector === "string" && parseIp(selector) !== null) {
    return byAddress(selector, doing);
  }
  const wanted = typeof selector === "number" ? checkedIndex(selector, doing) : checkedName(selector, doing);
  const list = listInterfaces(doing);
  // By its index: the list does not have alternative names.
  const index = typeof wanted === "string" && ffiGranted() ? interfaceIndexOf(wanted, doing) : wanted;
  const one = list.find((one) => typeof index === "number" ? one.index === index : one.name === index);
  if (one === undefined && typeof wanted === "number" && list.some((one) => one.index === 0)) {
    throw notCapable(`${doing}: Deno does not tell the index of every interface`);
  }
  if (one === undefined) {
    throw missing(
      typeof wanted === "number" ? `with index ${wanted}` : shown(wanted),
      doing,
    );
  }
  return one;
}

function checkedIndex(index: number, doing: string): number {
  return integer(index, `${doing}: the interface`, 1, INDEX_MAX);
}

function checkedName(name: unknown, doing: string): string {
  if (typeof name !== "string") {
    throw new TypeError(
      `${doing}: the interface is ${shown(name)}, it must be a name, an index or an address`,
    );
  }
  if (name === "") {
    throw new RangeError(
      `${doing}: the interface is "", it must be a name, an index or an address`,
    );
  }
  if (parseIp(name) !== null) return name;
  const length = new TextEncoder().encode(name).byteLength;
  if (length >= NAME_SIZE) {
    throw new RangeError(
      `${doing}: the interface name ${shown(name)} has ${length} bytes, it must have at most ${NAME_SIZE - 1}`,
    );
  }
  if (name.includes("\0")) {
    throw new RangeError(
      `${doing}: the interface name ${shown(name)} has a NUL, it must have none`,
    );
  }
  return name;
}

/** The one interface with an address; null for a wildcard. */
function byAddress(hostname: string, doing: string): NetworkInterface | null {
  const ip = parseIp(hostname)!;
  if (isUnspecified(ip.bytes)) return null;
  const wanted = formatIp(
    isMapped(ip.bytes) ? ip.bytes.subarray(12) : ip.bytes,
  );
  const found = listInterfaces(doing).filter((one) =>
    (ip.zone === null || ip.zone === one.name ||
      ip.zone === String(one.index)) &&
    one.addresses.some((address) => address.hostname.replace(/%.*/, "") === wanted)
  );
  if (found.length === 0) throw missing(`with address ${hostname}`, doing);
  if (found.length > 1) {
    throw new RangeError(
      `${doing}: several interfaces have address ${hostname}: ${
        found.map((one) => one.name).join(", ")
      }; give the name or index`,
    );
  }
  return found[0]!;
}

function missing(which: string, doing: string): Deno.errors.NotFound {
  const there = listInterfaces(doing).map((one) => [one.name, one.index || null].filter((part) => part !== null));
  const list = there.map(([name, index]) => index === undefined ? name : `${name} (${index})`).join(", ");
  return new Deno.errors.NotFound(
    `${doing}: there is no interface ${which}; there are: ${list || "none"}`,
  );
}
