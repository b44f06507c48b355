// The shapes of UDP: addresses, datagrams, options and capabilities. Types alone, no code.
// What has them: socket.ts and bind.ts; memory for many datagrams is batch.ts.
import type { InetAddress, InterfaceSelector, OptionSetting } from "../options/mod.ts";

/** An address of a datagram, one of ours and one of Deno's at once: `{ family, transport, hostname, port }`. */
export interface UdpAddress extends InetAddress {
  /** Deno's tag; always "udp". */
  readonly transport: "udp";
}

/** Where to send: a `Deno.NetAddr`, a {@linkcode UdpAddress}, or just these two. */
export interface UdpDestination {
  /** Literal address, IPv4 or IPv6; a zone belongs to it ("fe80::1%2"). */
  readonly hostname: string;
  /** Port, 1 to 65535. */
  readonly port: number;
  /** Ignored: there so that addresses of Deno fit. */
  readonly transport?: string;
}

/** What can be told of a datagram besides data and sender. Asked for at bind, since the kernel forgets it otherwise. */
export interface DatagramMetadata {
  /** Address it was sent to. */
  readonly localAddr: UdpAddress;
  /** Index of the interface it came in on. */
  readonly interfaceIndex: number;
  /** Its hop limit (IPv4: TTL) on arrival, 0 to 255. */
  readonly hopLimit: number;
  /** Its differentiated services code point, 0 to 63 (RFC 2474). */
  readonly dscp: number;
  /** Its congestion bits, 0 to 3 (RFC 3168). */
  readonly ecn: number;
  /** Arrival, in nanoseconds since 1970. */
  readonly timestamp: bigint;
  /** Datagrams that this socket had dropped by then, for want of room. */
  readonly drops: number;
}

/** The name of a field of metadata. */
export type DatagramField = keyof DatagramMetadata;

/** A received datagram, with the metadata that was asked for and none else. */
export type Datagram<F extends DatagramField = never> =
  & {
    /** Payload. */
    readonly data: Uint8Array<ArrayBuffer>;
    /** Sender. */
    readonly remoteAddr: UdpAddress;
    /** Length on the wire, also when truncated. */
    readonly byteLength: number;
    /** Whether `data` is cut. */
    readonly truncated: boolean;
  }
  & Pick<DatagramMetadata, F>;

/** A datagram to send; the same words as on receive. */
export interface OutgoingDatagram {
  /** One buffer, or several in order. */
  data: Uint8Array | readonly Uint8Array[];
  /** Destination; absent when connected. */
  remoteAddr?: UdpDestination;
  /** Source address, one of ours. */
  localAddr?: { readonly hostname: string };
  /**
   * Index of the outgoing interface. The kernel chooses the source: to a group by the loopback interface it takes an address
   * of another interface, if there is one, unless `localAddr` says 127.0.0.1.
   */
  interfaceIndex?: number;
  /** Hop limit, 1 to 255. */
  hopLimit?: number;
  /** Differentiated services code point, 0 to 63. */
  dscp?: number;
  /** Congestion bits, 0 to 3. */
  ecn?: number;
  /** Splits `data` into datagrams of this size in bytes; the last may be shorter. */
  segmentSize?: number;
}

/** What applies to the multicast that a socket sends. */
export interface MulticastSendOptions {
  /**
   * Where it goes out: a name, an index or an address. Default: the routing table decides. `IP_MULTICAST_IF`,
   * `IPV6_MULTICAST_IF`, on "::" both. Needs `--allow-ffi`.
   */
  interface?: InterfaceSelector;
  /**
   * Routers it may pass, 0 to 255; default 1, the local network. 0 stays on this machine. Needs `--allow-ffi`.
   * `IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`.
   */
  hopLimit?: number;
  /**
   * Whether members on this machine get it too. Default true, as on every system, though Deno itself turns it off. What
   * goes out by the loopback interface they get all the same. To turn it off on "::" needs `--allow-ffi`.
   * `IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`.
   */
  loopback?: boolean;
}

/**
 * Options of {@linkcode bindUdp}. A field that is left out leaves the socket as Deno makes it, with one exception that is
 * told there: `multicast.loopback`. All are in force before the socket is bound, where it is one of this library's own.
 */
export interface BindUdpOptions<F extends DatagramField = never> {
  /** Port, 0 to 65535; default 0, any that is free. Below 1024 may need a privilege. */
  port?: number;
  /**
   * An address of this machine, or a name, which is looked up. Default "0.0.0.0", all of IPv4; "::" is all of IPv6, and
   * IPv4 too. A group address is possible on Linux and macOS, and hears that group alone.
   */
  hostname?: string;
  /** Others that say so too may bind the address as well: `SO_REUSEADDR`, and on macOS `SO_REUSEPORT`. Default false. */
  reuseAddress?: boolean;
  /**
   * Shares the port with others of this user that say so too, as with one socket in each Worker: `SO_REUSEPORT`. Which of
   * them gets a datagram goes by the peer's address and port, or as a program of `SO_ATTACH_REUSEPORT_CBPF` says. Linux,
   * needs `--allow-ffi`. Default false.
   */
  reusePort?: boolean;
  /** May send to broadcast addresses: `SO_BROADCAST`. Default true, as in Deno; `false` needs `--allow-ffi`. */
  broadcast?: boolean;
  /** No IPv4 on "::": `IPV6_V6ONLY`. Linux, needs `--allow-ffi`. Default false, whatever the system's own is. */
  ipv6Only?: boolean;
  /**
   * Bytes of the receive buffer: `SO_RCVBUF`. Linux doubles them for its own use and goes no higher than
   * `net.core.rmem_max`; `capabilities` has what was granted. Needs `--allow-ffi`.
   */
  receiveBufferSize?: number;
  /** Bytes of the send buffer: `SO_SNDBUF`, up to `net.core.wmem_max`, else the same. Needs `--allow-ffi`. */
  sendBufferSize?: number;
  /**
   * Differentiated services code point of what is sent, 0 to 63 (RFC 2474): `IP_TOS`, `IPV6_TCLASS`, on "::" both. The
   * two bits of congestion stay 0. Needs `--allow-ffi`.
   */
  dscp?: number;
  /** Routers that unicast may pass, 1 to 255: `IP_TTL`, `IPV6_UNICAST_HOPS`, on "::" both. Needs `--allow-ffi`. */
  hopLimit?: number;
  /** What applies to the multicast that is sent. */
  multicast?: MulticastSendOptions;
  /**
   * Fields that every datagram shall have, from the first one on; one that cannot be had throws `NotSupported`. They are
   * read by `receiveMessage`, `messages` and `DatagramBatch.metadata`. Linux, needs `--allow-ffi`.
   */
  metadata?: readonly F[];
  /**
   * Merged receive (`UDP_GRO`): the kernel hands over trains of datagrams of one sender, which come split all the same, so
   * that batches are many times faster. Each batch then has 65,535 bytes for a train. Linux, needs `--allow-ffi`. Default
   * false.
   */
  gro?: boolean;
  /**
   * Microseconds to look for a datagram before sleeping, 0 to 1,000,000: what comes meanwhile is had sooner, at the cost of
   * the processor. "adaptive", the default, looks for 20 µs after short waits alone; 0 never looks. Other numbers need
   * `--allow-ffi`.
   */
  spin?: number | "adaptive";
  /**
   * Anything else, by C name: `[SO_PRIORITY.to(4)]`, from `@berkeley/sockets/options`. One that a field above also sets is
   * a `TypeError`. On other systems than Linux one that must be set before bind throws. Needs `--allow-ffi`.
   */
  options?: readonly OptionSetting[];
  /** Closes the socket; iteration ends. */
  signal?: AbortSignal;
}

/** Options of {@linkcode connectUdp}; `localAddr` takes the place of the address to bind to. */
export interface ConnectUdpOptions<F extends DatagramField = never> extends BindUdpOptions<F> {
  /** Address or name of the peer; a name is looked up. */
  hostname: string;
  /** Port of the peer, 1 to 65535. */
  port: number;
  /** Own address, a literal one, and port; default: of the kernel's choice. */
  localAddr?: { hostname?: string; port?: number };
}

/** What a socket can do here. */
export interface UdpCapabilities {
  /** "native": sockets of our own by FFI; "portable": `Deno.listenDatagram`, without `try*`, batches by loop, no metadata. */
  readonly engine: "native" | "portable";
  /** Datagrams that a system call can take. */
  readonly batch: number;
  /** Datagrams that a send can be split into (`UDP_SEGMENT`); 1 without; lowered when the path refuses. */
  readonly maxSegments: number;
  /** Whether receives are merged. */
  readonly gro: boolean;
  /** Fields that `metadata` may ask for. */
  readonly metadata: readonly DatagramField[];
  /** Bytes of the receive buffer as the kernel counts them, twice what was asked for on Linux. Reading it needs `--allow-ffi`. */
  readonly receiveBufferSize: number;
  /** Bytes of the send buffer, likewise. Reading it needs `--allow-ffi`. */
  readonly sendBufferSize: number;
}
