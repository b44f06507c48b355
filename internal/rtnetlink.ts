// Asks the kernel of Linux for its interfaces and routes, and hears of changes, over netlink (rtnetlink(7)).
// The messages as bytes: netlink.ts. Where netlink is not to be had: netif.ts. Who listens: multicast/watch.ts.
//
// These questions change nothing and send nothing to anybody: no --allow-net is asked for them, as getifaddrs(3), which
// asks the same in the same way, needs none either.
import { constant } from "./constants.ts";
import { errnoNumber, failed, failedWith } from "./errno.ts";
import { LAYOUT } from "./layout.ts";
import { libc } from "./libc.ts";
import { type LibcIo, libcIo } from "./libc_io.ts";
import {
  endOf,
  type InterfaceChange,
  InterfaceTable,
  listQuestion,
  type NetlinkMessage,
  readMessages,
  readRoute,
  routeQuestion,
} from "./netlink.ts";
import { OS } from "./os.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The kernel makes no datagram of a list larger than half of this. */
const ROOM = 65_536;
/** A list that the kernel says was changed while it was made is made again, so often at most. */
const ATTEMPTS = 10;

/** A netlink socket, bound to groups; null where there is none to be had. */
function openNetlink(groups: number, doing: string): number | null {
  if (OS !== "linux") return null;
  const io = libcIo(doing);
  const type = constant("SOCK_RAW", OS) | constant("SOCK_CLOEXEC", OS) | constant("SOCK_NONBLOCK", OS);
  const fd = libc(doing).socket(constant("AF_NETLINK", OS), type, constant("NETLINK_ROUTE", OS));
  if (failed(fd)) return null;
  const { size, fields } = LAYOUT.sockaddr_nl.linux;
  const address = new Uint8Array(size);
  const view = new DataView(address.buffer);
  view.setUint16(fields.nl_family[0], constant("AF_NETLINK", OS), true);
  view.setUint32(fields.nl_groups[0], groups, true);
  if (!failed(io.bind(fd, address))) return fd;
  libc(doing).close(fd);
  return null;
}

/** Tells the answers of this isolate from what others have asked for: what is not asked may have any number. */
let sequence = 0x7365_6b00;

/** What came of a question. */
interface Answer {
  /** The answer, and what the socket heard by itself since it began. */
  readonly messages: readonly NetlinkMessage[];
  /** The error number at its end, 0 for none. */
  readonly error: number;
  /** Whether it may lack something: it changed while it was made, or what the socket should have heard was lost. */
  readonly torn: boolean;
}

/**
 * Asks, and reads the answer, without waiting: the kernel has made it, or makes it while it is read. Null when it cannot
 * be read to its end.
 *
 * @param first Whether this is the first question of several: what the socket had heard before is older, and dropped.
 */
function ask(io: LibcIo, fd: number, first: boolean, questionOf: (sequence: number) => Bytes): Answer | null {
  const mine = ++sequence;
  if (failed(io.send(fd, questionOf(mine), 0))) return null;
  const messages: NetlinkMessage[] = [];
  let torn = false;
  let begun = !first;
  for (const room = new Uint8Array(ROOM);;) {
    const count = io.recv(fd, room, constant("MSG_TRUNC", "linux"));
    if (failed(count)) {
      if (failedWith("EINTR")) continue;
      if (!failedWith("ENOBUFS")) return null;
      torn ||= begun;
      continue;
    }
    if (count > ROOM) return null;
    for (const message of readMessages(room.slice(0, count))) {
      const answers = message.sequence === mine;
      const error = answers ? endOf(message) : null;
      if (answers) torn ||= (message.flags & constant("NLM_F_DUMP_INTR", "linux")) !== 0;
      if (error !== null) return { messages, error, torn };
      begun ||= answers;
      if (begun) messages.push(message);
    }
  }
}

/** A new table of all interfaces, by a socket that may hear of changes meanwhile; null when it cannot be had. */
function tableBy(fd: number, doing: string): InterfaceTable | null {
  const io = libcIo(doing);
  for (let attempt = 1;; attempt++) {
    const links = ask(io, fd, true, (mine) => listQuestion("links", mine));
    if (links === null || links.error !== 0) return null;
    const addresses = ask(io, fd, false, (mine) => listQuestion("addresses", mine));
    if (addresses === null || addresses.error !== 0) return null;
    if ((links.torn || addresses.torn) && attempt < ATTEMPTS) continue;
    const table = new InterfaceTable();
    for (const message of [...links.messages, ...addresses.messages]) table.apply(message);
    return table;
  }
}

/** Uses a socket for one question, and closes it. */
function asking<T>(doing: string, use: (fd: number) => T): T | null {
  const fd = openNetlink(0, doing);
  if (fd === null) return null;
  try {
    return use(fd);
  } finally {
    libc(doing).close(fd);
  }
}

/** The table of interfaces as it is now; null where netlink is not to be had. */
export function interfaceTable(doing: string): InterfaceTable | null {
  return asking(doing, (fd) => tableBy(fd, doing));
}

/**
 * By which interface an address, 4 or 16 bytes, is reached: its index; "none" when no route leads there; null where it is
 * not to be known.
 */
export function routeTo(address: Bytes, doing: string): number | "none" | null {
  return asking(doing, (fd) => {
    const io = libcIo(doing);
    if (failed(io.send(fd, routeQuestion(address, ++sequence), 0))) return null;
    const room = new Uint8Array(ROOM);
    const count = io.recv(fd, room, 0);
    if (failed(count)) return null;
    for (const message of readMessages(room.subarray(0, count))) {
      const index = readRoute(message);
      if (index !== null) return index;
      const error = endOf(message);
      if (error !== null) return NO_ROUTE.some((name) => errnoNumber(name) === error) ? "none" : null;
    }
    return null;
  });
}

/** How the kernel says that it has no route. */
const NO_ROUTE = ["ENETUNREACH", "EHOSTUNREACH", "EACCES", "EINVAL"] as const;

/** Interfaces and what becomes of them, heard on a netlink socket that its caller reads and closes. */
export class InterfaceEvents {
  /** The socket, which never blocks. */
  readonly fd: number;
  #table: InterfaceTable;

  private constructor(fd: number, table: InterfaceTable) {
    this.fd = fd;
    this.#table = table;
  }

  /** Begins to listen; null where netlink is not to be had. */
  static open(doing: string): InterfaceEvents | null {
    const groups = constant("RTMGRP_LINK", "linux") | constant("RTMGRP_IPV4_IFADDR", "linux") |
      constant("RTMGRP_IPV6_IFADDR", "linux");
    const fd = openNetlink(groups, doing);
    if (fd === null) return null;
    const table = tableBy(fd, doing);
    if (table !== null) return new InterfaceEvents(fd, table);
    libc(doing).close(fd);
    return null;
  }

  /** The table as far as it was heard. */
  get table(): InterfaceTable {
    return this.#table;
  }

  /** Takes a datagram that came. */
  take(datagram: Bytes): InterfaceChange[] {
    const changes: InterfaceChange[] = [];
    for (const message of readMessages(datagram)) {
      const change = this.#table.apply(message);
      if (change !== null) changes.push(change);
    }
    return changes;
  }

  /** Lists everything again, as datagrams were lost; the table that was, null when it stays. */
  again(doing: string): InterfaceTable | null {
    const table = tableBy(this.fd, doing);
    if (table === null) return null;
    const before = this.#table;
    this.#table = table;
    return before;
  }
}
