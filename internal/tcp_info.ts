// Decodes struct tcp_info (Linux) and tcp_connection_info (macOS) into named fields with units.
// Offsets are in layout.ts; the option that reads it is TCP_INFO in options/tcp.ts.
import { LAYOUT, type StructLayout } from "./layout.ts";
import type { OperatingSystem } from "./os.ts";

/** State of a TCP connection (RFC 9293). */
export type TcpState =
  | "established"
  | "syn-sent"
  | "syn-received"
  | "fin-wait-1"
  | "fin-wait-2"
  | "time-wait"
  | "close"
  | "close-wait"
  | "last-ack"
  | "listen"
  | "closing";

/** State of congestion control. */
export type TcpCongestionState = "open" | "disorder" | "cwr" | "recovery" | "loss";

/**
 * What the kernel knows of a TCP connection, decoded from `struct tcp_info`.
 *
 * Fields the kernel does not return are absent. Byte counts and rates are numbers, an unlimited rate is `Infinity`.
 * On macOS, where the struct is `tcp_connection_info`, few fields are there and times have millisecond precision.
 */
export interface TcpInfo {
  /** Connection state. */
  readonly state: TcpState;
  /** Congestion control state. */
  readonly congestionState?: TcpCongestionState;
  /** Retransmits of the segment being retransmitted. */
  readonly retransmits?: number;
  /** Unanswered window or keepalive probes. */
  readonly probes?: number;
  /** Exponential backoff of the timer, doublings. */
  readonly backoff?: number;
  /** Options in use, the flags of `TCPI_OPT_*`. */
  readonly options?: number;
  /** Window scale that the peer announced for the windows it advertises, a shift. */
  readonly sendWindowScale?: number;
  /** Window scale of the windows we advertise, a shift. */
  readonly receiveWindowScale?: number;
  /** Whether `deliveryRate` was limited by the program, not the path. */
  readonly deliveryRateAppLimited?: boolean;
  /** Why fast open failed on the client: 0 unknown, 1 no cookie, 2 no data acknowledged in the SYN, 3 SYN retransmitted. */
  readonly fastOpenClientFail?: number;
  /** Retransmit timeout, microseconds. */
  readonly rto?: number;
  /** Delayed acknowledgement timeout, microseconds. */
  readonly ato?: number;
  /** Segment size we send, bytes. */
  readonly sendMss?: number;
  /** Segment size we receive, bytes. */
  readonly receiveMss?: number;
  /** Unacknowledged segments; of a listener, connections waiting for accept. */
  readonly unacked?: number;
  /** Segments acknowledged out of order; of a listener, its backlog. */
  readonly sacked?: number;
  /** Segments believed lost. */
  readonly lost?: number;
  /** Retransmitted segments not yet acknowledged. */
  readonly retransmitted?: number;
  /** Since data was last sent, milliseconds. */
  readonly lastDataSent?: number;
  /** Since data was last received, milliseconds. */
  readonly lastDataReceived?: number;
  /** Since an acknowledgement was last received, milliseconds. */
  readonly lastAckReceived?: number;
  /** Path MTU, bytes. */
  readonly pathMtu?: number;
  /** Slow start threshold of the receive window, bytes. */
  readonly receiveSlowStartThreshold?: number;
  /** Smoothed round trip, microseconds. */
  readonly rtt?: number;
  /** Its variance, microseconds. */
  readonly rttVariance?: number;
  /** Slow start threshold, segments. */
  readonly slowStartThreshold?: number;
  /** Congestion window, segments. */
  readonly congestionWindow?: number;
  /** Segment size advertised to the peer, bytes. */
  readonly advertisedMss?: number;
  /** Reordering tolerated, segments. */
  readonly reordering?: number;
  /** Round trip as the receiver estimates it, microseconds. */
  readonly receiveRtt?: number;
  /** Receive buffer that autotuning aims at, bytes. */
  readonly receiveSpace?: number;
  /** Segments retransmitted so far. */
  readonly totalRetransmits?: number;
  /** Bytes a second being paced out. */
  readonly pacingRate?: number;
  /** Upper limit of that, bytes a second. */
  readonly maxPacingRate?: number;
  /** Bytes acknowledged. */
  readonly bytesAcked?: number;
  /** Bytes received. */
  readonly bytesReceived?: number;
  /** Segments sent. */
  readonly segmentsOut?: number;
  /** Segments received. */
  readonly segmentsIn?: number;
  /** Bytes not yet sent. */
  readonly notSentBytes?: number;
  /** Smallest round trip seen, microseconds. */
  readonly minRtt?: number;
  /** Segments with data received. */
  readonly dataSegmentsIn?: number;
  /** Segments with data sent. */
  readonly dataSegmentsOut?: number;
  /** Bytes a second delivered. */
  readonly deliveryRate?: number;
  /** Time with data outstanding, microseconds. */
  readonly busyTime?: number;
  /** Part of it limited by the peer's window, microseconds. */
  readonly receiveWindowLimited?: number;
  /** Part of it limited by our send buffer, microseconds. */
  readonly sendBufferLimited?: number;
  /** Segments delivered, retransmits included. */
  readonly delivered?: number;
  /** Segments delivered with a congestion mark. */
  readonly deliveredCe?: number;
  /** Bytes sent, retransmits included (RFC 4898 tcpEStatsPerfHCDataOctetsOut). */
  readonly bytesSent?: number;
  /** Bytes retransmitted. */
  readonly bytesRetransmitted?: number;
  /** Duplicate selective acknowledgements received. */
  readonly duplicateSacks?: number;
  /** Reorderings seen. */
  readonly reorderingSeen?: number;
  /** Segments received out of order. */
  readonly outOfOrderPackets?: number;
  /** Window the peer advertises, bytes. */
  readonly sendWindow?: number;
  /** Window we advertise, bytes. */
  readonly receiveWindow?: number;
  /** Path changes tried after timeouts. */
  readonly rehash?: number;
  /** Retransmit timeouts so far. */
  readonly totalRto?: number;
  /** Recoveries from them, unfinished ones included. */
  readonly totalRtoRecoveries?: number;
  /** Time spent in them, milliseconds. */
  readonly totalRtoTime?: number;
  /** Segments received with a congestion mark (accurate ECN). */
  readonly receivedCe?: number;
  /** Bytes delivered with ECT(1) (accurate ECN). */
  readonly deliveredE1Bytes?: number;
  /** Bytes delivered with ECT(0) (accurate ECN). */
  readonly deliveredE0Bytes?: number;
  /** Bytes delivered with a congestion mark (accurate ECN). */
  readonly deliveredCeBytes?: number;
  /** Bytes received with ECT(1) (accurate ECN). */
  readonly receivedE1Bytes?: number;
  /** Bytes received with ECT(0) (accurate ECN). */
  readonly receivedE0Bytes?: number;
  /** Bytes received with a congestion mark (accurate ECN). */
  readonly receivedCeBytes?: number;
}

/** Names that are not the C name in camelCase; null for a field that is not shown (always 0, or kept for old programs). */
const NAMES: Readonly<Record<string, keyof TcpInfo | null>> = {
  tcpi_ca_state: "congestionState",
  tcpi_snd_wscale: "sendWindowScale",
  tcpi_rcv_wscale: "receiveWindowScale",
  tcpi_fastopen_client_fail: "fastOpenClientFail",
  tcpi_snd_mss: "sendMss",
  tcpi_rcv_mss: "receiveMss",
  tcpi_retrans: "retransmitted",
  tcpi_fackets: null,
  tcpi_last_ack_sent: null,
  tcpi_last_data_recv: "lastDataReceived",
  tcpi_last_ack_recv: "lastAckReceived",
  tcpi_pmtu: "pathMtu",
  tcpi_rcv_ssthresh: "receiveSlowStartThreshold",
  tcpi_rttvar: "rttVariance",
  tcpi_snd_ssthresh: "slowStartThreshold",
  tcpi_snd_cwnd: "congestionWindow",
  tcpi_advmss: "advertisedMss",
  tcpi_rcv_rtt: "receiveRtt",
  tcpi_rcv_space: "receiveSpace",
  tcpi_total_retrans: "totalRetransmits",
  tcpi_segs_out: "segmentsOut",
  tcpi_segs_in: "segmentsIn",
  tcpi_notsent_bytes: "notSentBytes",
  tcpi_data_segs_in: "dataSegmentsIn",
  tcpi_data_segs_out: "dataSegmentsOut",
  tcpi_rwnd_limited: "receiveWindowLimited",
  tcpi_sndbuf_limited: "sendBufferLimited",
  tcpi_bytes_retrans: "bytesRetransmitted",
  tcpi_dsack_dups: "duplicateSacks",
  tcpi_reord_seen: "reorderingSeen",
  tcpi_rcv_ooopack: "outOfOrderPackets",
  tcpi_snd_wnd: "sendWindow",
  tcpi_rcv_wnd: "receiveWindow",
};

/** Bits of a byte that several fields share, on Linux: shift and mask. */
const BITS: Readonly<Record<string, readonly [shift: number, mask: number]>> = {
  tcpi_snd_wscale: [0, 0xf],
  tcpi_rcv_wscale: [4, 0xf],
  tcpi_delivery_rate_app_limited: [0, 1],
  tcpi_fastopen_client_fail: [1, 3],
};

/** By the kernel's numbers: TCP_ESTABLISHED is 1, TCP_NEW_SYN_RECV is 12. */
const LINUX_STATES: readonly TcpState[] = [
  "close",
  "established",
  "syn-sent",
  "syn-received",
  "fin-wait-1",
  "fin-wait-2",
  "time-wait",
  "close",
  "close-wait",
  "last-ack",
  "listen",
  "closing",
  "syn-received",
];
/** TCPS_CLOSED is 0. */
const DARWIN_STATES: readonly TcpState[] = [
  "close",
  "listen",
  "syn-sent",
  "syn-received",
  "established",
  "close-wait",
  "fin-wait-1",
  "closing",
  "last-ack",
  "fin-wait-2",
  "time-wait",
];

/** The state that a kernel's number stands for. */
export function tcpStateOf(number: number, os: OperatingSystem): TcpState {
  return (os === "darwin" ? DARWIN_STATES : LINUX_STATES)[number] ?? "close";
}

const CONGESTION_STATES: readonly TcpCongestionState[] = ["open", "disorder", "cwr", "recovery", "loss"];

const UNLIMITED = 2n ** 64n - 1n;

/** The integer fields of a struct that the kernel filled, by C name. */
function filled(bytes: Uint8Array<ArrayBuffer>, layout: StructLayout, shared: typeof BITS): Map<string, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const result = new Map<string, number>();
  for (const [name, [offset, type]] of Object.entries(layout.fields)) {
    const size = type === "u64" ? 8 : type === "u32" ? 4 : type === "u16" ? 2 : 1;
    if (offset + size > bytes.byteLength) continue;
    if (type === "u64") {
      const value = view.getBigUint64(offset, true);
      result.set(name, value === UNLIMITED ? Infinity : Number(value));
      continue;
    }
    const value = size === 4
      ? view.getUint32(offset, true)
      : size === 2
      ? view.getUint16(offset, true)
      : bytes[offset]!;
    const bits = shared[name];
    result.set(name, bits === undefined ? value : value >> bits[0] & bits[1]);
  }
  return result;
}

/** Decodes as many bytes as the kernel returned. */
export function decodeTcpInfo(bytes: Uint8Array<ArrayBuffer>, os: OperatingSystem): TcpInfo {
  return os === "darwin" ? decodeDarwin(bytes) : decodeLinux(bytes);
}

/** What each field of the struct is called here; null for those that are not shown. */
let linuxNames: ReadonlyMap<string, string | null> | undefined;

function namesOnLinux(): ReadonlyMap<string, string | null> {
  return linuxNames ??= new Map(
    Object.keys(LAYOUT.tcp_info.linux.fields).map((name) => [
      name,
      NAMES[name] === undefined
        ? name.slice("tcpi_".length).replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
        : NAMES[name],
    ]),
  );
}

function decodeLinux(bytes: Uint8Array<ArrayBuffer>): TcpInfo {
  const info: Record<string, unknown> = {};
  const names = namesOnLinux();
  for (const [name, value] of filled(bytes, LAYOUT.tcp_info.linux, BITS)) {
    const shown = names.get(name)!;
    if (shown === null) continue;
    info[shown] = shown === "state"
      ? tcpStateOf(value, "linux")
      : shown === "congestionState"
      ? CONGESTION_STATES[value] ?? "open"
      : shown === "deliveryRateAppLimited"
      ? value === 1
      : value;
  }
  return info as unknown as TcpInfo;
}

/** macOS tells times in milliseconds and windows in bytes. */
function decodeDarwin(bytes: Uint8Array<ArrayBuffer>): TcpInfo {
  const of = filled(bytes, LAYOUT.tcp_connection_info.darwin, {});
  const mss = of.get("tcpi_maxseg");
  const scaled = (name: string, by: (value: number) => number) => {
    const value = of.get(name);
    return value === undefined ? undefined : by(value);
  };
  const milliseconds = (value: number) => value * 1000;
  const segments = (value: number) => mss ? Math.ceil(value / mss) : value;
  const found = {
    state: tcpStateOf(of.get("tcpi_state") ?? 0, "darwin"),
    sendWindowScale: of.get("tcpi_snd_wscale"),
    receiveWindowScale: of.get("tcpi_rcv_wscale"),
    rto: scaled("tcpi_rto", milliseconds),
    sendMss: mss,
    slowStartThreshold: scaled("tcpi_snd_ssthresh", segments),
    congestionWindow: scaled("tcpi_snd_cwnd", segments),
    sendWindow: of.get("tcpi_snd_wnd"),
    receiveWindow: of.get("tcpi_rcv_wnd"),
    rtt: scaled("tcpi_srtt", milliseconds),
    rttVariance: scaled("tcpi_rttvar", milliseconds),
    segmentsOut: of.get("tcpi_txpackets"),
    bytesSent: of.get("tcpi_txbytes"),
    bytesRetransmitted: of.get("tcpi_txretransmitbytes"),
    totalRetransmits: of.get("tcpi_txretransmitpackets"),
    segmentsIn: of.get("tcpi_rxpackets"),
    bytesReceived: of.get("tcpi_rxbytes"),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as unknown as TcpInfo;
}
