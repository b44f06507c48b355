// deno-fmt-ignore-file: a table is read down its columns, and the formatter would undo them.
// Where the fields of each C struct lie, on each system. Only 64-bit processors: pointers, size_t and SOCKET are "u64".
// What the fields mean and how they are written: sockaddr.ts, codec.ts, cmsg.ts, msghdr.ts, netif.ts.
import type { OperatingSystem } from "./os.ts";

/** How a field is read; "be" is network order, "bytes" has a length. */
export type FieldType = "u8" | "u16" | "u32" | "u64" | "i32" | "i64" | "u16be" | "u32be" | "bytes";

/** A struct: its size and its fields by C name. */
export interface StructLayout {
  /** sizeof. */
  readonly size: number;
  /** offsetof, and how the field is read. */
  readonly fields: Readonly<Record<string, readonly [offset: number, type: FieldType, length?: number]>>;
}

const no = null;

/**
 * Structs by C name, null where a system lacks one or the library has no use for it there.
 * tests/headers_test.ts compares every size, offset and width with the headers.
 *
 * An epoll_event is packed on x86_64 alone; everywhere else it is epoll_event_aligned.
 * Bit-fields have the byte they lie in: tcpi_snd_wscale is the low half of its byte and tcpi_rcv_wscale the high one,
 * tcpi_delivery_rate_app_limited bit 0 and tcpi_fastopen_client_fail bits 1 and 2.
 * A kernel fills as much of tcp_info as it knows and says how much.
 */
export const LAYOUT = {
  // Addresses; the BSD ones begin with their length
  sockaddr: {
    linux:   { size: 16, fields: { sa_family: [0, "u16"], sa_data: [2, "bytes", 14] } },
    darwin:  { size: 16, fields: { sa_len: [0, "u8"], sa_family: [1, "u8"], sa_data: [2, "bytes", 14] } },
    windows: { size: 16, fields: { sa_family: [0, "u16"], sa_data: [2, "bytes", 14] } },
  },
  sockaddr_storage: {
    linux:   { size: 128, fields: { ss_family: [0, "u16"] } },
    darwin:  { size: 128, fields: { ss_len: [0, "u8"], ss_family: [1, "u8"] } },
    windows: { size: 128, fields: { ss_family: [0, "u16"] } },
  },
  sockaddr_in: {
    linux:   { size: 16, fields: { sin_family: [0, "u16"], sin_port: [2, "u16be"], sin_addr: [4, "bytes", 4] } },
    darwin:  { size: 16, fields: { sin_len: [0, "u8"], sin_family: [1, "u8"], sin_port: [2, "u16be"], sin_addr: [4, "bytes", 4] } },
    windows: { size: 16, fields: { sin_family: [0, "u16"], sin_port: [2, "u16be"], sin_addr: [4, "bytes", 4] } },
  },
  sockaddr_in6: {
    linux:   { size: 28, fields: { sin6_family: [0, "u16"], sin6_port: [2, "u16be"], sin6_flowinfo: [4, "u32be"], sin6_addr: [8, "bytes", 16], sin6_scope_id: [24, "u32"] } },
    darwin:  { size: 28, fields: { sin6_len: [0, "u8"], sin6_family: [1, "u8"], sin6_port: [2, "u16be"], sin6_flowinfo: [4, "u32be"], sin6_addr: [8, "bytes", 16], sin6_scope_id: [24, "u32"] } },
    windows: { size: 28, fields: { sin6_family: [0, "u16"], sin6_port: [2, "u16be"], sin6_flowinfo: [4, "u32be"], sin6_addr: [8, "bytes", 16], sin6_scope_id: [24, "u32"] } },
  },
  sockaddr_un: {
    linux:   { size: 110, fields: { sun_family: [0, "u16"], sun_path: [2, "bytes", 108] } },
    darwin:  { size: 106, fields: { sun_len: [0, "u8"], sun_family: [1, "u8"], sun_path: [2, "bytes", 104] } },
    windows: { size: 110, fields: { sun_family: [0, "u16"], sun_path: [2, "bytes", 108] } },
  },
  sockaddr_ll: {
    linux:   { size: 20, fields: { sll_family: [0, "u16"], sll_protocol: [2, "u16be"], sll_ifindex: [4, "i32"], sll_hatype: [8, "u16"], sll_pkttype: [10, "u8"], sll_halen: [11, "u8"], sll_addr: [12, "bytes", 8] } },
    darwin:  no,
    windows: no,
  },
  sockaddr_vm: {
    linux:   { size: 16, fields: { svm_family: [0, "u16"], svm_reserved1: [2, "u16"], svm_port: [4, "u32"], svm_cid: [8, "u32"], svm_flags: [12, "u8"] } },
    darwin:  { size: 12, fields: { svm_len: [0, "u8"], svm_family: [1, "u8"], svm_reserved1: [2, "u16"], svm_port: [4, "u32"], svm_cid: [8, "u32"] } },
    windows: no,
  },
  sockaddr_nl: {
    linux:   { size: 12, fields: { nl_family: [0, "u16"], nl_pid: [4, "u32"], nl_groups: [8, "u32"] } },
    darwin:  no,
    windows: no,
  },
  // Bluetooth has a struct for each protocol, and nothing in it says which
  sockaddr_l2: {
    linux:   { size: 14, fields: { l2_family: [0, "u16"], l2_psm: [2, "u16"], l2_bdaddr: [4, "bytes", 6], l2_cid: [10, "u16"], l2_bdaddr_type: [12, "u8"] } },
    darwin:  no,
    windows: no,
  },
  sockaddr_rc: {
    linux:   { size: 10, fields: { rc_family: [0, "u16"], rc_bdaddr: [2, "bytes", 6], rc_channel: [8, "u8"] } },
    darwin:  no,
    windows: no,
  },
  sockaddr_hci: {
    linux:   { size: 6, fields: { hci_family: [0, "u16"], hci_dev: [2, "u16"], hci_channel: [4, "u16"] } },
    darwin:  no,
    windows: no,
  },
  sockaddr_sco: {
    linux:   { size: 8, fields: { sco_family: [0, "u16"], sco_bdaddr: [2, "bytes", 6] } },
    darwin:  no,
    windows: no,
  },
  sockaddr_dl: {
    linux:   no,
    darwin:  { size: 20, fields: { sdl_len: [0, "u8"], sdl_family: [1, "u8"], sdl_index: [2, "u16"], sdl_type: [4, "u8"], sdl_nlen: [5, "u8"], sdl_alen: [6, "u8"], sdl_slen: [7, "u8"], sdl_data: [8, "bytes", 12] } },
    windows: no,
  },

  // Where a datagram came in or goes out
  in_pktinfo: {
    linux:   { size: 12, fields: { ipi_ifindex: [0, "u32"], ipi_spec_dst: [4, "bytes", 4], ipi_addr: [8, "bytes", 4] } },
    darwin:  { size: 12, fields: { ipi_ifindex: [0, "u32"], ipi_spec_dst: [4, "bytes", 4], ipi_addr: [8, "bytes", 4] } },
    windows: { size: 8, fields: { ipi_addr: [0, "bytes", 4], ipi_ifindex: [4, "u32"] } },
  },
  in6_pktinfo: {
    linux:   { size: 20, fields: { ipi6_addr: [0, "bytes", 16], ipi6_ifindex: [16, "u32"] } },
    darwin:  { size: 20, fields: { ipi6_addr: [0, "bytes", 16], ipi6_ifindex: [16, "u32"] } },
    windows: { size: 20, fields: { ipi6_addr: [0, "bytes", 16], ipi6_ifindex: [16, "u32"] } },
  },

  // Group membership
  ip_mreqn: {
    linux:   { size: 12, fields: { imr_multiaddr: [0, "bytes", 4], imr_address: [4, "bytes", 4], imr_ifindex: [8, "i32"] } },
    darwin:  { size: 12, fields: { imr_multiaddr: [0, "bytes", 4], imr_address: [4, "bytes", 4], imr_ifindex: [8, "i32"] } },
    windows: no,
  },
  ip_mreq: {
    linux:   { size: 8, fields: { imr_multiaddr: [0, "bytes", 4], imr_interface: [4, "bytes", 4] } },
    darwin:  { size: 8, fields: { imr_multiaddr: [0, "bytes", 4], imr_interface: [4, "bytes", 4] } },
    windows: { size: 8, fields: { imr_multiaddr: [0, "bytes", 4], imr_interface: [4, "bytes", 4] } },
  },
  ip_mreq_source: {
    linux:   { size: 12, fields: { imr_multiaddr: [0, "bytes", 4], imr_interface: [4, "bytes", 4], imr_sourceaddr: [8, "bytes", 4] } },
    darwin:  { size: 12, fields: { imr_multiaddr: [0, "bytes", 4], imr_sourceaddr: [4, "bytes", 4], imr_interface: [8, "bytes", 4] } },
    windows: { size: 12, fields: { imr_multiaddr: [0, "bytes", 4], imr_sourceaddr: [4, "bytes", 4], imr_interface: [8, "bytes", 4] } },
  },
  ipv6_mreq: {
    linux:   { size: 20, fields: { ipv6mr_multiaddr: [0, "bytes", 16], ipv6mr_interface: [16, "u32"] } },
    darwin:  { size: 20, fields: { ipv6mr_multiaddr: [0, "bytes", 16], ipv6mr_interface: [16, "u32"] } },
    windows: { size: 20, fields: { ipv6mr_multiaddr: [0, "bytes", 16], ipv6mr_interface: [16, "u32"] } },
  },
  group_req: {
    linux:   { size: 136, fields: { gr_interface: [0, "u32"], gr_group: [8, "bytes", 128] } },
    darwin:  { size: 132, fields: { gr_interface: [0, "u32"], gr_group: [4, "bytes", 128] } },
    windows: { size: 136, fields: { gr_interface: [0, "u32"], gr_group: [8, "bytes", 128] } },
  },
  group_source_req: {
    linux:   { size: 264, fields: { gsr_interface: [0, "u32"], gsr_group: [8, "bytes", 128], gsr_source: [136, "bytes", 128] } },
    darwin:  { size: 260, fields: { gsr_interface: [0, "u32"], gsr_group: [4, "bytes", 128], gsr_source: [132, "bytes", 128] } },
    windows: { size: 264, fields: { gsr_interface: [0, "u32"], gsr_group: [8, "bytes", 128], gsr_source: [136, "bytes", 128] } },
  },
  group_filter: { // size with one source; gf_slist goes on for gf_numsrc of them
    linux:   { size: 272, fields: { gf_interface: [0, "u32"], gf_group: [8, "bytes", 128], gf_fmode: [136, "u32"], gf_numsrc: [140, "u32"], gf_slist: [144, "bytes", 128] } },
    darwin:  no,
    windows: { size: 272, fields: { gf_interface: [0, "u32"], gf_group: [8, "bytes", 128], gf_fmode: [136, "u32"], gf_numsrc: [140, "u32"], gf_slist: [144, "bytes", 128] } },
  },
  packet_mreq: {
    linux:   { size: 16, fields: { mr_ifindex: [0, "i32"], mr_type: [4, "u16"], mr_alen: [6, "u16"], mr_address: [8, "bytes", 8] } },
    darwin:  no,
    windows: no,
  },

  // Values of options
  linger: {
    linux:   { size: 8, fields: { l_onoff: [0, "i32"], l_linger: [4, "i32"] } },
    darwin:  { size: 8, fields: { l_onoff: [0, "i32"], l_linger: [4, "i32"] } },
    windows: { size: 4, fields: { l_onoff: [0, "u16"], l_linger: [2, "u16"] } },
  },
  timeval: { // Windows has the struct, its timeouts are milliseconds
    linux:   { size: 16, fields: { tv_sec: [0, "i64"], tv_usec: [8, "i64"] } },
    darwin:  { size: 16, fields: { tv_sec: [0, "i64"], tv_usec: [8, "i32"] } },
    windows: { size: 8, fields: { tv_sec: [0, "i32"], tv_usec: [4, "i32"] } },
  },
  timespec: {
    linux:   { size: 16, fields: { tv_sec: [0, "i64"], tv_nsec: [8, "i64"] } },
    darwin:  { size: 16, fields: { tv_sec: [0, "i64"], tv_nsec: [8, "i64"] } },
    windows: no,
  },
  ucred: {
    linux:   { size: 12, fields: { pid: [0, "i32"], uid: [4, "u32"], gid: [8, "u32"] } },
    darwin:  no,
    windows: no,
  },
  xucred: {
    linux:   no,
    darwin:  { size: 76, fields: { cr_version: [0, "u32"], cr_uid: [4, "u32"], cr_ngroups: [8, "u16"], cr_groups: [12, "bytes", 64] } },
    windows: no,
  },
  sock_fprog: {
    linux:   { size: 16, fields: { len: [0, "u16"], filter: [8, "u64"] } },
    darwin:  no,
    windows: no,
  },
  sock_filter: {
    linux:   { size: 8, fields: { code: [0, "u16"], jt: [2, "u8"], jf: [3, "u8"], k: [4, "u32"] } },
    darwin:  no,
    windows: no,
  },
  nlattr: {
    linux:   { size: 4, fields: { nla_len: [0, "u16"], nla_type: [2, "u16"] } },
    darwin:  no,
    windows: no,
  },
  sock_txtime: {
    linux:   { size: 8, fields: { clockid: [0, "i32"], flags: [4, "u32"] } },
    darwin:  no,
    windows: no,
  },
  tpacket_stats: {
    linux:   { size: 8, fields: { tp_packets: [0, "u32"], tp_drops: [4, "u32"] } },
    darwin:  no,
    windows: no,
  },
  ip6_mtuinfo: {
    linux:   { size: 32, fields: { ip6m_addr: [0, "bytes", 28], ip6m_mtu: [28, "u32"] } },
    darwin:  { size: 32, fields: { ip6m_addr: [0, "bytes", 28], ip6m_mtu: [28, "u32"] } },
    windows: no,
  },
  tcp_repair_window: {
    linux:   { size: 20, fields: { snd_wl1: [0, "u32"], snd_wnd: [4, "u32"], max_window: [8, "u32"], rcv_wnd: [12, "u32"], rcv_wup: [16, "u32"] } },
    darwin:  no,
    windows: no,
  },
  bt_security: {
    linux:   { size: 2, fields: { level: [0, "u8"], key_size: [1, "u8"] } },
    darwin:  no,
    windows: no,
  },
  hci_filter: {
    linux:   { size: 16, fields: { type_mask: [0, "u32"], event_mask: [4, "bytes", 8], opcode: [12, "u16"] } },
    darwin:  no,
    windows: no,
  },
  icmp_filter: {
    linux:   { size: 4, fields: { data: [0, "u32"] } },
    darwin:  no,
    windows: no,
  },
  icmp6_filter: { // Linux drops the types whose bit is set, macOS lets them pass
    linux:   { size: 32, fields: { icmp6_filt: [0, "bytes", 32] } },
    darwin:  { size: 32, fields: { icmp6_filt: [0, "bytes", 32] } },
    windows: no,
  },
  tcp_info: {
    linux: {
      size: 280,
      fields: {
        tcpi_state: [0, "u8"], tcpi_ca_state: [1, "u8"], tcpi_retransmits: [2, "u8"], tcpi_probes: [3, "u8"],
        tcpi_backoff: [4, "u8"], tcpi_options: [5, "u8"], tcpi_snd_wscale: [6, "u8"], tcpi_rcv_wscale: [6, "u8"],
        tcpi_delivery_rate_app_limited: [7, "u8"], tcpi_fastopen_client_fail: [7, "u8"],
        tcpi_rto: [8, "u32"], tcpi_ato: [12, "u32"], tcpi_snd_mss: [16, "u32"], tcpi_rcv_mss: [20, "u32"],
        tcpi_unacked: [24, "u32"], tcpi_sacked: [28, "u32"], tcpi_lost: [32, "u32"], tcpi_retrans: [36, "u32"],
        tcpi_fackets: [40, "u32"], tcpi_last_data_sent: [44, "u32"], tcpi_last_ack_sent: [48, "u32"],
        tcpi_last_data_recv: [52, "u32"], tcpi_last_ack_recv: [56, "u32"], tcpi_pmtu: [60, "u32"],
        tcpi_rcv_ssthresh: [64, "u32"], tcpi_rtt: [68, "u32"], tcpi_rttvar: [72, "u32"], tcpi_snd_ssthresh: [76, "u32"],
        tcpi_snd_cwnd: [80, "u32"], tcpi_advmss: [84, "u32"], tcpi_reordering: [88, "u32"], tcpi_rcv_rtt: [92, "u32"],
        tcpi_rcv_space: [96, "u32"], tcpi_total_retrans: [100, "u32"], tcpi_pacing_rate: [104, "u64"],
        tcpi_max_pacing_rate: [112, "u64"], tcpi_bytes_acked: [120, "u64"], tcpi_bytes_received: [128, "u64"],
        tcpi_segs_out: [136, "u32"], tcpi_segs_in: [140, "u32"], tcpi_notsent_bytes: [144, "u32"], tcpi_min_rtt: [148, "u32"],
        tcpi_data_segs_in: [152, "u32"], tcpi_data_segs_out: [156, "u32"], tcpi_delivery_rate: [160, "u64"],
        tcpi_busy_time: [168, "u64"], tcpi_rwnd_limited: [176, "u64"], tcpi_sndbuf_limited: [184, "u64"],
        tcpi_delivered: [192, "u32"], tcpi_delivered_ce: [196, "u32"], tcpi_bytes_sent: [200, "u64"],
        tcpi_bytes_retrans: [208, "u64"], tcpi_dsack_dups: [216, "u32"], tcpi_reord_seen: [220, "u32"],
        tcpi_rcv_ooopack: [224, "u32"], tcpi_snd_wnd: [228, "u32"], tcpi_rcv_wnd: [232, "u32"], tcpi_rehash: [236, "u32"],
        tcpi_total_rto: [240, "u16"], tcpi_total_rto_recoveries: [242, "u16"], tcpi_total_rto_time: [244, "u32"],
        tcpi_received_ce: [248, "u32"], tcpi_delivered_e1_bytes: [252, "u32"], tcpi_delivered_e0_bytes: [256, "u32"],
        tcpi_delivered_ce_bytes: [260, "u32"], tcpi_received_e1_bytes: [264, "u32"], tcpi_received_e0_bytes: [268, "u32"],
        tcpi_received_ce_bytes: [272, "u32"],
        // The last four bytes of 6.18 became bit-fields in a later kernel, of another layout: they are left out.
      },
    },
    darwin:  no,
    windows: no,
  },
  tcp_connection_info: {
    linux:   no,
    darwin: {
      size: 112,
      fields: {
        tcpi_state: [0, "u8"], tcpi_snd_wscale: [1, "u8"], tcpi_rcv_wscale: [2, "u8"], tcpi_options: [4, "u32"],
        tcpi_flags: [8, "u32"], tcpi_rto: [12, "u32"], tcpi_maxseg: [16, "u32"], tcpi_snd_ssthresh: [20, "u32"],
        tcpi_snd_cwnd: [24, "u32"], tcpi_snd_wnd: [28, "u32"], tcpi_snd_sbbytes: [32, "u32"], tcpi_rcv_wnd: [36, "u32"],
        tcpi_rttcur: [40, "u32"], tcpi_srtt: [44, "u32"], tcpi_rttvar: [48, "u32"], tcpi_txpackets: [56, "u64"],
        tcpi_txbytes: [64, "u64"], tcpi_txretransmitbytes: [72, "u64"], tcpi_rxpackets: [80, "u64"], tcpi_rxbytes: [88, "u64"],
        tcpi_rxoutoforderbytes: [96, "u64"], tcpi_txretransmitpackets: [104, "u64"],
      },
    },
    windows: no,
  },

  // Messages
  iovec: {
    linux:   { size: 16, fields: { iov_base: [0, "u64"], iov_len: [8, "u64"] } },
    darwin:  { size: 16, fields: { iov_base: [0, "u64"], iov_len: [8, "u64"] } },
    windows: no,
  },
  msghdr: {
    linux:   { size: 56, fields: { msg_name: [0, "u64"], msg_namelen: [8, "u32"], msg_iov: [16, "u64"], msg_iovlen: [24, "u64"], msg_control: [32, "u64"], msg_controllen: [40, "u64"], msg_flags: [48, "i32"] } },
    darwin:  { size: 48, fields: { msg_name: [0, "u64"], msg_namelen: [8, "u32"], msg_iov: [16, "u64"], msg_iovlen: [24, "i32"], msg_control: [32, "u64"], msg_controllen: [40, "u32"], msg_flags: [44, "i32"] } },
    windows: no,
  },
  mmsghdr: {
    linux:   { size: 64, fields: { msg_hdr: [0, "bytes", 56], msg_len: [56, "u32"] } },
    darwin:  no,
    windows: no,
  },
  cmsghdr: {
    linux:   { size: 16, fields: { cmsg_len: [0, "u64"], cmsg_level: [8, "i32"], cmsg_type: [12, "i32"] } },
    darwin:  { size: 12, fields: { cmsg_len: [0, "u32"], cmsg_level: [4, "i32"], cmsg_type: [8, "i32"] } },
    windows: { size: 16, fields: { cmsg_len: [0, "u64"], cmsg_level: [8, "i32"], cmsg_type: [12, "i32"] } },
  },
  WSABUF: {
    linux:   no,
    darwin:  no,
    windows: { size: 16, fields: { len: [0, "u32"], buf: [8, "u64"] } },
  },
  WSAMSG: {
    linux:   no,
    darwin:  no,
    windows: { size: 56, fields: { name: [0, "u64"], namelen: [8, "i32"], lpBuffers: [16, "u64"], dwBufferCount: [24, "u32"], Control: [32, "bytes", 16], dwFlags: [48, "u32"] } },
  },
  sock_extended_err: {
    linux:   { size: 16, fields: { ee_errno: [0, "u32"], ee_origin: [4, "u8"], ee_type: [5, "u8"], ee_code: [6, "u8"], ee_info: [8, "u32"], ee_data: [12, "u32"] } },
    darwin:  no,
    windows: no,
  },
  scm_timestamping: { // three timespecs: software, nothing, hardware
    linux:   { size: 48, fields: { ts: [0, "bytes", 48] } },
    darwin:  no,
    windows: no,
  },
  tpacket_auxdata: {
    linux:   { size: 20, fields: { tp_status: [0, "u32"], tp_len: [4, "u32"], tp_snaplen: [8, "u32"], tp_mac: [12, "u16"], tp_net: [14, "u16"], tp_vlan_tci: [16, "u16"], tp_vlan_tpid: [18, "u16"] } },
    darwin:  no,
    windows: no,
  },

  // Readiness; the descriptor of Windows is a SOCKET, so its pollfd (WSAPOLLFD) is twice the size
  pollfd: {
    linux:   { size: 8, fields: { fd: [0, "i32"], events: [4, "u16"], revents: [6, "u16"] } },
    darwin:  { size: 8, fields: { fd: [0, "i32"], events: [4, "u16"], revents: [6, "u16"] } },
    windows: { size: 16, fields: { fd: [0, "u64"], events: [8, "u16"], revents: [10, "u16"] } },
  },
  epoll_event: {
    linux:   { size: 12, fields: { events: [0, "u32"], data: [4, "u64"] } },
    darwin:  no,
    windows: no,
  },
  epoll_event_aligned: {
    linux:   { size: 16, fields: { events: [0, "u32"], data: [8, "u64"] } },
    darwin:  no,
    windows: no,
  },
  kevent: {
    linux:   no,
    darwin:  { size: 32, fields: { ident: [0, "u64"], filter: [8, "u16"], flags: [10, "u16"], fflags: [12, "u32"], data: [16, "i64"], udata: [24, "u64"] } },
    windows: no,
  },

  // Names and interfaces
  addrinfo: {
    linux:   { size: 48, fields: { ai_flags: [0, "i32"], ai_family: [4, "i32"], ai_socktype: [8, "i32"], ai_protocol: [12, "i32"], ai_addrlen: [16, "u32"], ai_addr: [24, "u64"], ai_canonname: [32, "u64"], ai_next: [40, "u64"] } },
    darwin:  { size: 48, fields: { ai_flags: [0, "i32"], ai_family: [4, "i32"], ai_socktype: [8, "i32"], ai_protocol: [12, "i32"], ai_addrlen: [16, "u32"], ai_canonname: [24, "u64"], ai_addr: [32, "u64"], ai_next: [40, "u64"] } },
    windows: { size: 48, fields: { ai_flags: [0, "i32"], ai_family: [4, "i32"], ai_socktype: [8, "i32"], ai_protocol: [12, "i32"], ai_addrlen: [16, "u64"], ai_canonname: [24, "u64"], ai_addr: [32, "u64"], ai_next: [40, "u64"] } },
  },
  ifaddrs: { // ifa_ifu is the union of broadcast and destination address, which macOS calls ifa_dstaddr
    linux:   { size: 56, fields: { ifa_next: [0, "u64"], ifa_name: [8, "u64"], ifa_flags: [16, "u32"], ifa_addr: [24, "u64"], ifa_netmask: [32, "u64"], ifa_ifu: [40, "u64"], ifa_data: [48, "u64"] } },
    darwin:  { size: 56, fields: { ifa_next: [0, "u64"], ifa_name: [8, "u64"], ifa_flags: [16, "u32"], ifa_addr: [24, "u64"], ifa_netmask: [32, "u64"], ifa_dstaddr: [40, "u64"], ifa_data: [48, "u64"] } },
    windows: no,
  },
  if_data: { // what ifa_data of a link address points to
    linux:   no,
    darwin:  { size: 96, fields: { ifi_type: [0, "u8"], ifi_mtu: [8, "u32"] } },
    windows: no,
  },
  nlmsghdr: {
    linux:   { size: 16, fields: { nlmsg_len: [0, "u32"], nlmsg_type: [4, "u16"], nlmsg_flags: [6, "u16"], nlmsg_seq: [8, "u32"], nlmsg_pid: [12, "u32"] } },
    darwin:  no,
    windows: no,
  },
  ifinfomsg: {
    linux:   { size: 16, fields: { ifi_family: [0, "u8"], ifi_type: [2, "u16"], ifi_index: [4, "i32"], ifi_flags: [8, "u32"], ifi_change: [12, "u32"] } },
    darwin:  no,
    windows: no,
  },
  ifaddrmsg: {
    linux:   { size: 8, fields: { ifa_family: [0, "u8"], ifa_prefixlen: [1, "u8"], ifa_flags: [2, "u8"], ifa_scope: [3, "u8"], ifa_index: [4, "u32"] } },
    darwin:  no,
    windows: no,
  },
  rtmsg: {
    linux:   { size: 12, fields: { rtm_family: [0, "u8"], rtm_dst_len: [1, "u8"], rtm_src_len: [2, "u8"], rtm_tos: [3, "u8"], rtm_table: [4, "u8"], rtm_protocol: [5, "u8"], rtm_scope: [6, "u8"], rtm_type: [7, "u8"], rtm_flags: [8, "u32"] } },
    darwin:  no,
    windows: no,
  },
  ifreq: { // macOS has one too, but its ioctl is variadic: if_data tells the same
    linux:   { size: 40, fields: { ifr_name: [0, "bytes", 16], ifr_flags: [16, "u16"], ifr_mtu: [16, "i32"] } },
    darwin:  no,
    windows: no,
  },
} as const satisfies Record<string, Record<OperatingSystem, StructLayout | null>>;
