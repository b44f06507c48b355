// The shapes of option values: what a user writes where C has a struct. Types alone, no code.
// How they become bytes: codec.ts. The decoded struct tcp_info is its own file: tcp_info.ts.

/** `struct linger`. */
export interface Linger {
  /** Whether close() waits. */
  enabled: boolean;
  /** For how long; 0 resets the connection. */
  seconds: number;
}
/** `struct timeval`. */
export interface Timeval {
  /** Whole seconds. */
  seconds: number;
  /** Rest, below 1,000,000. */
  microseconds: number;
}
/** `struct ucred`; `pid` is absent where the system does not tell. */
export interface PeerCredentials {
  /** Process. */
  pid?: number;
  /** User. */
  uid: number;
  /** Group. */
  gid: number;
}
/** An interface by name ("eth0"), index (2) or one of its addresses ("192.0.2.1"). */
export type InterfaceSelector = string | number;
/** `struct ip_mreqn` and `group_req`. */
export interface GroupRequest {
  /** The group. */
  group: string;
  /** Default: the kernel's choice. */
  interface?: InterfaceSelector;
}
/** `struct group_source_req`. */
export interface SourceRequest extends GroupRequest {
  /** The sender. */
  source: string;
}
/** `struct group_filter`. */
export interface SourceFilter extends GroupRequest {
  /** Only these, or all but these. */
  mode: "include" | "exclude";
  /** The senders. */
  sources: readonly string[];
}
/** Lowest and highest port. */
export interface PortRange {
  /** Lowest, 0 for the system's. */
  low: number;
  /** Highest, 0 for the system's. */
  high: number;
}
/** `SO_TXTIME`. */
export interface TransmitTime {
  /** Clock of the launch times. */
  clock: "monotonic" | "tai" | "realtime";
  /** Times are deadlines. */
  deadlineMode?: boolean;
  /** Late packets go to the error queue. */
  reportErrors?: boolean;
}
/** `SO_MEMINFO`, the fields in the kernel's order: eight in bytes, then a count of drops. */
export type MemoryInfo = readonly number[];
/** One instruction of classic BPF, `struct sock_filter`. */
export interface FilterInstruction {
  /** Operation. */
  readonly code: number;
  /** Jump if true. */
  readonly jt: number;
  /** Jump if false. */
  readonly jf: number;
  /** Operand. */
  readonly k: number;
}
/** A classic BPF program. */
export type FilterProgram = readonly FilterInstruction[];
/** `struct packet_mreq`. */
export interface PacketMembership {
  /** The interface. */
  interface: InterfaceSelector;
  /** What to hear. */
  type: "promiscuous" | "allMulticast" | "multicast" | "unicast";
  /** Hardware address, for the last two. */
  address?: string;
}
/** `struct tpacket_stats`. */
export interface PacketStatistics {
  /** Seen since the last reading. */
  packets: number;
  /** Lost since the last reading. */
  drops: number;
}
/** `PACKET_FANOUT`. */
export interface PacketFanout {
  /** Group number. */
  id: number;
  /** How to share. */
  mode: "hash" | "loadBalance" | "cpu" | "rollover" | "random" | "queue" | "cbpf" | "ebpf";
  /** Reassemble fragments first. */
  defragment?: boolean;
}
/** `struct bt_security`. */
export interface BluetoothSecurity {
  /** What a connection must have. */
  level: "sdp" | "low" | "medium" | "high" | "fips";
  /** Bytes of the key of an encrypted connection; read, and 0 when set. */
  keySize?: number;
}
/** `struct hci_filter`: which packets a socket of protocol hci receives. */
export interface HciFilter {
  /** A bit for each type of packet: HCI_COMMAND_PKT 1, HCI_ACLDATA_PKT 2, HCI_SCODATA_PKT 3, HCI_EVENT_PKT 4. */
  typeMask: number;
  /** A bit for each event, of 64. */
  eventMask: bigint;
  /** Of completed and answered commands only those of this one; 0 for all. */
  opcode: number;
}
