// What the headers at hand cannot answer, each with the place that does: numbers newer than they are, numbers only Apple's own headers have.
// Names that a header has and a table refuses are here too, with the reason. The tables themselves: ../../internal/.
import type { OperatingSystem } from "../../internal/os.ts";

/** A number and where it is written. */
export type Sourced = readonly [value: number, source: string];

/** Numbers that headers may not know. Where they do know one, it must be this. */
export const NEWER: Readonly<
  Record<OperatingSystem, Readonly<Record<string, Sourced>>>
> = {
  linux: {
    SO_PASSPIDFD: [76, "include/uapi/asm-generic/socket.h, 6.5"],
    SO_PEERPIDFD: [77, "include/uapi/asm-generic/socket.h, 6.5"],
    SO_PASSRIGHTS: [83, "include/uapi/asm-generic/socket.h, 6.16"],
    SOL_UDPLITE: [
      136,
      "include/linux/socket.h, which is not exported to userspace; udplite(7)",
    ],
    UDPLITE_SEND_CSCOV: [
      10,
      "include/net/udplite.h, which is not exported to userspace; udplite(7)",
    ],
    UDPLITE_RECV_CSCOV: [
      11,
      "include/net/udplite.h, which is not exported to userspace; udplite(7)",
    ],
    SOL_VSOCK: [287, "include/linux/socket.h, 6.7"],
    TCP_IS_MPTCP: [43, "include/uapi/linux/tcp.h, 6.7"],
    TCP_RTO_MAX_MS: [44, "include/uapi/linux/tcp.h, 6.15"],
    TCP_RTO_MIN_US: [45, "include/uapi/linux/tcp.h, 6.15"],
    TCP_DELACK_MAX_US: [46, "include/uapi/linux/tcp.h, 6.15"],
    PACKET_VNET_HDR_SZ: [24, "include/uapi/linux/if_packet.h, 6.5"],
  },
  darwin: {
    SO_RECV_ANYIF: [0x1104, "xnu bsd/sys/socket_private.h"],
    SO_TRAFFIC_CLASS: [0x1086, "xnu bsd/sys/socket_private.h"],
    PERSIST_TIMEOUT: [0x40, "xnu bsd/netinet/tcp.h"],
  },
  windows: {
    AF_LINK: [33, "Windows SDK ws2def.h"],
    MSG_ERRQUEUE: [0x1000, "Windows SDK ws2def.h"],
    SO_RANDOMIZE_PORT: [0x3005, "Windows SDK ws2def.h"],
    SO_PORT_SCALABILITY: [0x3006, "Windows SDK ws2def.h"],
    SO_REUSE_UNICASTPORT: [0x3007, "Windows SDK ws2def.h"],
    SO_REUSE_MULTICASTPORT: [0x3008, "Windows SDK ws2def.h"],
    SO_ORIGINAL_DST: [0x300f, "Windows SDK ws2def.h"],
    IP6T_SO_ORIGINAL_DST: [0x300f, "Windows SDK ws2def.h"],
    IP_PMTUDISC_DO: [1, "Windows SDK ws2ipdef.h, PMTUD_STATE"],
    IP_PMTUDISC_DONT: [2, "Windows SDK ws2ipdef.h, PMTUD_STATE"],
    IP_PMTUDISC_PROBE: [3, "Windows SDK ws2ipdef.h, PMTUD_STATE"],
    IP_RECVECN: [50, "Windows SDK ws2ipdef.h"],
    IPV6_RECVECN: [50, "Windows SDK ws2ipdef.h"],
    TCP_KEEPIDLE: [3, "Windows SDK ws2ipdef.h, 10.0.16299"],
    TCP_MAXSEG: [4, "Windows SDK ws2ipdef.h"],
    TCP_MAXRT: [5, "Windows SDK ws2ipdef.h"],
    TCP_TIMESTAMPS: [10, "Windows SDK ws2ipdef.h"],
    TCP_MAXRTMS: [14, "Windows SDK ws2ipdef.h"],
    TCP_FASTOPEN: [15, "Windows SDK ws2ipdef.h"],
    TCP_KEEPCNT: [16, "Windows SDK ws2ipdef.h"],
    TCP_KEEPINTVL: [17, "Windows SDK ws2ipdef.h"],
    TCP_FAIL_CONNECT_ON_ICMP_ERROR: [18, "Windows SDK ws2ipdef.h"],
    TCP_ICMP_ERROR_INFO: [19, "Windows SDK ws2ipdef.h"],
    UDP_SEND_MSG_SIZE: [2, "Windows SDK ws2ipdef.h"],
    UDP_RECV_MAX_COALESCED_SIZE: [3, "Windows SDK ws2ipdef.h"],
  },
};

/** Names that headers have and the table has as null, and why. */
export const REFUSED: Readonly<
  Record<OperatingSystem, Readonly<Record<string, string>>>
> = {
  linux: {
    SO_SNDLOWAT: "reads 1 and cannot be set: ENOPROTOOPT",
    IPV6_USE_MIN_MTU: "a number without code behind it: ENOPROTOOPT",
    IPV6_NEXTHOP: "a number without code behind it: ENOPROTOOPT",
  },
  darwin: {},
  windows: {
    SO_RCVLOWAT: "a number without code behind it: WSAENOPROTOOPT",
    SO_SNDLOWAT: "a number without code behind it: WSAENOPROTOOPT",
    SO_TIMESTAMP: "the type of a control message; what turns it on is an ioctl, SIO_TIMESTAMPING",
    IPV6_PKTINFO: "what others call IPV6_RECVPKTINFO, under which it is in the table",
  },
};

/** Fields of tcp_info that headers may not know, in their order, with the kernel that added them. */
export const NEWER_TCP_INFO: Readonly<Record<string, string>> = {
  tcpi_rcv_wnd: "6.2",
  tcpi_rehash: "6.2",
  tcpi_total_rto: "6.7",
  tcpi_total_rto_recoveries: "6.7",
  tcpi_total_rto_time: "6.7",
  tcpi_received_ce: "6.18",
  tcpi_delivered_e1_bytes: "6.18",
  tcpi_delivered_e0_bytes: "6.18",
  tcpi_delivered_ce_bytes: "6.18",
  tcpi_received_e1_bytes: "6.18",
  tcpi_received_e0_bytes: "6.18",
  tcpi_received_ce_bytes: "6.18",
};

/** Bytes at the end of tcp_info that the table names no field for: AccECN bits, which changed their layout after 6.18. */
export const TCP_INFO_UNNAMED = 4;

/** Bit-fields by struct: the bits of their byte, lowest first. */
export const BIT_FIELDS: Readonly<
  Record<
    string,
    Readonly<Record<string, readonly [shift: number, bits: number]>>
  >
> = {
  tcp_info: {
    tcpi_snd_wscale: [0, 4],
    tcpi_rcv_wscale: [4, 4],
    tcpi_delivery_rate_app_limited: [0, 1],
    tcpi_fastopen_client_fail: [1, 2],
  },
};

/** Structs of macOS that neither source has, as Apple's header writes them; `pack` is its #pragma pack. */
export const APPLE: Readonly<
  Record<
    string,
    {
      source: string;
      pack: number;
      fields: readonly { name: string; size: number; align: number }[];
    }
  >
> = {
  group_req: {
    source: "xnu bsd/netinet/in.h",
    pack: 4,
    fields: [{ name: "gr_interface", size: 4, align: 4 }, {
      name: "gr_group",
      size: 128,
      align: 8,
    }],
  },
  group_source_req: {
    source: "xnu bsd/netinet/in.h",
    pack: 4,
    fields: [
      { name: "gsr_interface", size: 4, align: 4 },
      { name: "gsr_group", size: 128, align: 8 },
      { name: "gsr_source", size: 128, align: 8 },
    ],
  },
};
