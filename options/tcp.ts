// The options of IPPROTO_TCP and SOL_MPTCP, one constant a row of internal/sockopt.ts.
// SO_KEEPALIVE and SO_LINGER are in socket.ts; connecting, listening and tuning in milliseconds: tcp/.
import type { TcpInfo } from "../internal/tcp_info.ts";
import { option, type ReadableOption, type SocketOption, type WritableOption } from "./option.ts";

/**
 * Sends small segments at once instead of merging them (Nagle's algorithm off).
 *
 * Inherited by accepted connections on Linux. `TCP_CORK` outweighs it while on. `noDelay` of `connectTcp` and
 * `listenTcp` is the same.
 *
 * Linux, macOS, Windows. tcp(7), RFC 896.
 *
 * @example Turn Nagle off and on
 * ```ts
 * import { TCP_NODELAY } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await Deno.connect({ port: listener.addr.port });
 *
 * assertEquals(TCP_NODELAY.set(conn, true), true);
 * assertEquals(TCP_NODELAY.set(conn, false), false);
 * assertEquals(TCP_NODELAY.get(conn), false);
 * ```
 */
export const TCP_NODELAY: SocketOption<boolean> = option("TCP_NODELAY");

/**
 * Sets after how many idle seconds the first keepalive probe is sent, once `SO_KEEPALIVE` is on.
 *
 * On Linux 1 to 32767, default 7200, inherited by accepted connections. `keepAlive: { idle }` of `connectTcp` counts
 * milliseconds.
 *
 * Linux, macOS (TCP_KEEPALIVE), Windows. tcp(7), RFC 9293 section 3.8.4.
 *
 * @example A listener passes it on
 * ```ts
 * import { SO_KEEPALIVE, TCP_KEEPIDLE } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * SO_KEEPALIVE.set(listener, true);
 * TCP_KEEPIDLE.set(listener, 30);
 *
 * using client = await Deno.connect({ port: listener.addr.port });
 * using conn = await listener.accept();
 * if (Deno.build.os === "linux") assertEquals(TCP_KEEPIDLE.get(conn), 30);
 * ```
 */
export const TCP_KEEPIDLE: SocketOption<number> = option("TCP_KEEPIDLE");

/**
 * Sets how many seconds lie between keepalive probes.
 *
 * On Linux 1 to 32767, default 75, inherited by accepted connections. `keepAlive: { interval }` of `connectTcp` counts
 * milliseconds.
 *
 * Linux, macOS, Windows. tcp(7).
 */
export const TCP_KEEPINTVL: SocketOption<number> = option("TCP_KEEPINTVL");

/**
 * Sets how many keepalive probes may stay unanswered before the connection is dropped.
 *
 * On Linux 1 to 127, default 9, inherited by accepted connections; with `TCP_USER_TIMEOUT` on, that decides instead.
 *
 * Linux, macOS, Windows. tcp(7).
 */
export const TCP_KEEPCNT: SocketOption<number> = option("TCP_KEEPCNT");

/**
 * Drops the connection when sent data stays unacknowledged for so many milliseconds; 0, the default, is the system's.
 *
 * On Linux it decides, instead of `TCP_KEEPCNT`, when unanswered probes end a connection, and is inherited by accepted
 * connections. macOS counts seconds: there it is rounded up, and reads back so. `userTimeout` of `connectTcp` is the
 * same.
 *
 * Linux, macOS (TCP_RXT_CONNDROPTIME), Windows (TCP_MAXRTMS). tcp(7), RFC 5482.
 *
 * @example Give up after ten seconds without an acknowledgement
 * ```ts
 * import { TCP_USER_TIMEOUT } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await Deno.connect({ port: listener.addr.port });
 *
 * assertEquals(TCP_USER_TIMEOUT.set(conn, 10_000), 10_000);
 * ```
 */
export const TCP_USER_TIMEOUT: SocketOption<number> = option("TCP_USER_TIMEOUT");

/**
 * Sets the largest segment in bytes, as the handshake tells it to the peer.
 *
 * Must be set before connect() on Linux: later it throws. Accepted connections inherit it from their listener. macOS
 * takes it on an open connection, and only lower. On a connection it reads what is in use, which is less by the TCP
 * options.
 *
 * Linux, macOS, Windows. tcp(7), RFC 9293 section 3.7.1.
 */
export const TCP_MAXSEG: SocketOption<number> = option("TCP_MAXSEG");

/**
 * Holds back segments that are not full; turning it off sends them.
 *
 * Linux holds them for 200 ms at most. Turn it on, write header and body, turn it off. Inherited by accepted
 * connections on Linux.
 *
 * Linux, macOS (TCP_NOPUSH). tcp(7).
 */
export const TCP_CORK: SocketOption<boolean> = option("TCP_CORK");

/**
 * Acknowledges at once what arrives, instead of waiting for data to go with the acknowledgement.
 *
 * It does not last: the kernel turns it off and on by itself, so set it again after each receive. Reads what holds
 * now.
 *
 * Linux. tcp(7), RFC 1122 section 4.2.3.2.
 */
export const TCP_QUICKACK: SocketOption<boolean> = option("TCP_QUICKACK");

/**
 * Sets how many times the SYN is sent again before connect() gives up.
 *
 * 1 to 127, default net.ipv4.tcp_syn_retries. Must be set before connect(): later it throws. `timeout` of `connectTcp`
 * says it in milliseconds.
 *
 * Linux. tcp(7).
 */
export const TCP_SYNCNT: SocketOption<number> = option("TCP_SYNCNT");

/**
 * Sets how many seconds a closed connection waits in FIN-WAIT-2 for the end of its peer.
 *
 * 1 to 120, more reads back as 120, or -1 for not at all; default net.ipv4.tcp_fin_timeout. Inherited by accepted
 * connections. `SO_LINGER` is about unsent data, this is not.
 *
 * Linux. tcp(7).
 */
export const TCP_LINGER2: SocketOption<number> = option("TCP_LINGER2");

/**
 * Lets accept() have a connection only when data has come on it, or after so many seconds.
 *
 * For listeners. The kernel counts in retransmits, so it is rounded up: 5 reads back as 7. Must be set before
 * connect(): on a connection it throws.
 *
 * Linux. tcp(7).
 */
export const TCP_DEFER_ACCEPT: SocketOption<number> = option("TCP_DEFER_ACCEPT");

/**
 * Limits the receive window that is advertised, in bytes; 0 is no limit.
 *
 * Raised to half of the smallest receive buffer (1152 as a rule); 0 is taken only before the socket is connected.
 * Inherited by accepted connections.
 *
 * Linux. tcp(7).
 */
export const TCP_WINDOW_CLAMP: SocketOption<number> = option("TCP_WINDOW_CLAMP");

/**
 * Chooses the congestion control algorithm by name: "cubic", "reno", "bbr".
 *
 * What this kernel has is in net.ipv4.tcp_available_congestion_control; algorithms outside
 * net.ipv4.tcp_allowed_congestion_control need CAP_NET_ADMIN. Inherited by accepted connections.
 *
 * Linux. tcp(7), RFC 5681.
 */
export const TCP_CONGESTION: SocketOption<string> = option("TCP_CONGESTION");

/**
 * Reads the state of the congestion control algorithm: the bytes of `union tcp_cc_info`.
 *
 * The layout is the algorithm's: `tcp_bbr_info`, `tcpvegas_info`, `tcp_dctcp_info`; empty for those that tell nothing.
 *
 * Linux. Linux include/uapi/linux/inet_diag.h.
 */
export const TCP_CC_INFO: ReadableOption<Uint8Array<ArrayBuffer>> = option("TCP_CC_INFO");

/**
 * Reads all that the kernel knows of a connection: state, round trip, congestion window, retransmits, rates.
 *
 * Decodes the whole struct; fields that this kernel lacks are absent, and macOS has few of them. The units are in the
 * docs of {@linkcode TcpInfo}.
 *
 * Linux, macOS (TCP_CONNECTION_INFO). tcp(7).
 *
 * @example State and round trip
 * ```ts
 * import { TCP_INFO } from "@berkeley/sockets/options";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await Deno.connect({ port: listener.addr.port });
 *
 * const info = TCP_INFO.get(conn);
 * assertEquals(info.state, "established");
 * assert(info.rtt === undefined || info.rtt >= 0);
 * ```
 */
export const TCP_INFO: ReadableOption<TcpInfo> = option("TCP_INFO");

/**
 * Retransmits at even intervals for a while, before doubling them, on connections with few segments on their way.
 *
 * For games and the like, which send little and wait for it. Inherited by accepted connections.
 *
 * Linux. Linux Documentation/networking/tcp-thin.rst.
 */
export const TCP_THIN_LINEAR_TIMEOUTS: SocketOption<boolean> = option("TCP_THIN_LINEAR_TIMEOUTS");

/**
 * Takes data in the SYN of clients that hold a cookie; the value is how many such connections may wait.
 *
 * For listeners; 0 is off, and net.core.somaxconn the most. The server's bit (2) of net.ipv4.tcp_fastopen must be on:
 * without it, as by default, the kernel takes the number and does nothing, which this library cannot see. On macOS and
 * Windows it is 0 or 1. Such data may arrive twice. Must be set before connect(): on a connection it throws.
 *
 * Linux, macOS, Windows. tcp(7), RFC 7413.
 */
export const TCP_FASTOPEN: SocketOption<number> = option("TCP_FASTOPEN");

/**
 * Lets connect() return at once, and puts what is written first into the SYN.
 *
 * Without a cookie from an earlier connection it is an ordinary handshake. Must be set before connect(): later it
 * throws.
 *
 * Linux. tcp(7), RFC 7413.
 */
export const TCP_FASTOPEN_CONNECT: SocketOption<boolean> = option("TCP_FASTOPEN_CONNECT");

/**
 * Sets the key of the fast open cookies of this listener: 16 bytes, or 32 for the key and the one before it.
 *
 * Listeners that stand for one another need the same key. Empty until it is set. Must be set before connect(): on a
 * connection it throws.
 *
 * Linux. Linux net/ipv4/tcp.c, RFC 7413.
 */
export const TCP_FASTOPEN_KEY: SocketOption<Uint8Array<ArrayBuffer>> = option("TCP_FASTOPEN_KEY");

/**
 * Sends and takes data in the SYN without a cookie.
 *
 * For networks where nobody forges source addresses. Must be set before connect(): later it throws.
 *
 * Linux. Linux net/ipv4/tcp.c, RFC 7413.
 */
export const TCP_FASTOPEN_NO_COOKIE: SocketOption<boolean> = option("TCP_FASTOPEN_NO_COOKIE");

/**
 * Counts the socket as writable only while fewer than so many bytes wait unsent.
 *
 * Then what is written goes out soon, instead of waiting in a full send buffer. On Linux 0 stands for
 * net.ipv4.tcp_notsent_lowat, and accepted connections inherit it.
 *
 * Linux, macOS. Linux Documentation/networking/ip-sysctl.rst.
 */
export const TCP_NOTSENT_LOWAT: SocketOption<number> = option("TCP_NOTSENT_LOWAT");

/**
 * Keeps the headers of the SYN of each connection that a listener accepts, for `TCP_SAVED_SYN`.
 *
 * For listeners. Must be set before connect(): on a connection it throws.
 *
 * Linux. Linux net/ipv4/tcp.c.
 */
export const TCP_SAVE_SYN: SocketOption<boolean> = option("TCP_SAVE_SYN");

/**
 * Reads the IP and TCP headers of the SYN that began this connection.
 *
 * Needs a connected socket, accepted from a listener with `TCP_SAVE_SYN`. Reading frees them: the next reading is
 * empty.
 *
 * Linux. Linux net/ipv4/tcp.c.
 */
export const TCP_SAVED_SYN: ReadableOption<Uint8Array<ArrayBuffer>> = option("TCP_SAVED_SYN");

/**
 * Gives the connection to a protocol above TCP in the kernel, such as "tls".
 *
 * Needs a connected socket, and the module of the protocol. There is no way back. Reads as "" while there is none.
 *
 * Linux. Linux Documentation/networking/tls.rst.
 */
export const TCP_ULP: SocketOption<string> = option("TCP_ULP");

/**
 * Freezes a connection in the kernel, so that its state can be read and set: 1 on, 0 off, -1 off without a window
 * probe.
 *
 * For moving connections to another process or machine. Needs CAP_NET_ADMIN, and a socket that does not listen.
 *
 * Linux. Linux net/ipv4/tcp.c.
 */
export const TCP_REPAIR: SocketOption<number> = option("TCP_REPAIR");

/**
 * Chooses the queue that repair mode works on: 0 none, 1 receive, 2 send.
 *
 * In repair mode (`TCP_REPAIR`) alone.
 *
 * Linux. Linux net/ipv4/tcp.c.
 */
export const TCP_REPAIR_QUEUE: SocketOption<number> = option("TCP_REPAIR_QUEUE");

/**
 * Reads or sets the sequence number of the queue that `TCP_REPAIR_QUEUE` chose.
 *
 * In repair mode (`TCP_REPAIR`) alone, and set only while the socket is not connected.
 *
 * Linux. Linux net/ipv4/tcp.c.
 */
export const TCP_QUEUE_SEQ: SocketOption<number> = option("TCP_QUEUE_SEQ");

/**
 * Sets what the handshake would have settled: the bytes of an array of `struct tcp_repair_opt`.
 *
 * In repair mode (`TCP_REPAIR`) alone, on a connection. Cannot be read.
 *
 * Linux. Linux include/uapi/linux/tcp.h.
 */
export const TCP_REPAIR_OPTIONS: WritableOption<Uint8Array<ArrayBuffer>> = option("TCP_REPAIR_OPTIONS");

/**
 * Reads or sets the windows of a connection: the bytes of `struct tcp_repair_window`.
 *
 * In repair mode (`TCP_REPAIR`) alone.
 *
 * Linux. Linux include/uapi/linux/tcp.h.
 */
export const TCP_REPAIR_WINDOW: SocketOption<Uint8Array<ArrayBuffer>> = option("TCP_REPAIR_WINDOW");

/**
 * Says the clock that the timestamps of this connection are taken from.
 *
 * It can be set in repair mode (`TCP_REPAIR`) alone, and is refused with EPERM otherwise.
 *
 * Linux. Linux net/ipv4/tcp.c, RFC 7323.
 */
export const TCP_TIMESTAMP: SocketOption<number> = option("TCP_TIMESTAMP");

/**
 * Delivers with each receive how many bytes are left to read, as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux. Linux include/uapi/linux/tcp.h.
 */
export const TCP_INQ: SocketOption<boolean> = option("TCP_INQ");

/**
 * Delays all that is sent by so many microseconds, to try out a longer path.
 *
 * Inherited by accepted connections.
 *
 * Linux. Linux net/ipv4/tcp.c.
 */
export const TCP_TX_DELAY: SocketOption<number> = option("TCP_TX_DELAY");

/**
 * Says whether a connection truly is Multipath TCP: false on plain TCP, and where the peer did not speak it.
 *
 * Linux. Linux Documentation/networking/mptcp.rst, RFC 8684.
 */
export const TCP_IS_MPTCP: ReadableOption<boolean> = option("TCP_IS_MPTCP");

/**
 * Sets the longest retransmit timeout, in milliseconds.
 *
 * 1000 to 120000, the default; rounded up to the kernel's ticks. Only newer kernels have it. Inherited by accepted
 * connections.
 *
 * Linux. Linux Documentation/networking/ip-sysctl.rst, RFC 6298.
 */
export const TCP_RTO_MAX_MS: SocketOption<number> = option("TCP_RTO_MAX_MS");

/**
 * Sets the shortest retransmit timeout, in microseconds.
 *
 * At most 200000, the default; rounded up to the kernel's ticks: 10000 may read back as 12000. Only newer kernels have
 * it. Inherited by accepted connections.
 *
 * Linux. Linux net/ipv4/tcp.c, RFC 6298.
 */
export const TCP_RTO_MIN_US: SocketOption<number> = option("TCP_RTO_MIN_US");

/**
 * Sets how long an acknowledgement may be delayed, in microseconds.
 *
 * At most 200000, the default; rounded up to the kernel's ticks. Only newer kernels have it. Inherited by accepted
 * connections.
 *
 * Linux. Linux net/ipv4/tcp.c.
 */
export const TCP_DELACK_MAX_US: SocketOption<number> = option("TCP_DELACK_MAX_US");

/**
 * Sends segments without TCP options.
 *
 * macOS. Apple tcp(4).
 */
export const TCP_NOOPT: SocketOption<boolean> = option("TCP_NOOPT");

/**
 * Limits how many seconds connect() tries.
 *
 * Does its job only before connect(). `timeout` of `connectTcp` works on every system.
 *
 * macOS. Apple tcp(4).
 */
export const TCP_CONNECTIONTIMEOUT: SocketOption<number> = option("TCP_CONNECTIONTIMEOUT");

/**
 * Drops the connection when the peer's window stays closed for so many seconds.
 *
 * macOS. Apple netinet/tcp.h.
 */
export const PERSIST_TIMEOUT: SocketOption<number> = option("PERSIST_TIMEOUT");

/**
 * Drops a closed connection once its FIN has been sent three times without an answer.
 *
 * macOS. Apple netinet/tcp.h.
 */
export const TCP_RXT_FINDROP: SocketOption<boolean> = option("TCP_RXT_FINDROP");

/**
 * Acknowledges every other segment, rather than fewer.
 *
 * macOS. Apple netinet/tcp.h.
 */
export const TCP_SENDMOREACKS: SocketOption<boolean> = option("TCP_SENDMOREACKS");

/**
 * Offers congestion marks (ECN) in the handshake.
 *
 * Does its job only before connect().
 *
 * macOS. Apple netinet/tcp.h, RFC 3168.
 */
export const TCP_ENABLE_ECN: SocketOption<boolean> = option("TCP_ENABLE_ECN");

/**
 * Reads the urgent pointer as RFC 1122 says, not as BSD does, which differs by one byte.
 *
 * Windows. Microsoft Winsock, "IPPROTO_TCP socket options".
 */
export const TCP_EXPEDITED_1122: SocketOption<boolean> = option("TCP_EXPEDITED_1122");

/**
 * Sets for how many seconds unanswered data is sent again before the connection is dropped; -1 for ever.
 *
 * `TCP_USER_TIMEOUT` is the same in milliseconds.
 *
 * Windows. Microsoft Winsock, "IPPROTO_TCP socket options".
 */
export const TCP_MAXRT: SocketOption<number> = option("TCP_MAXRT");

/**
 * Offers timestamps in the handshake.
 *
 * Does its job only before connect().
 *
 * Windows. Microsoft Winsock, "IPPROTO_TCP socket options", RFC 7323.
 */
export const TCP_TIMESTAMPS: SocketOption<boolean> = option("TCP_TIMESTAMPS");

/**
 * Lets connect() fail as soon as an ICMP error comes, instead of trying on.
 *
 * Does its job only before connect(); `TCP_ICMP_ERROR_INFO` then tells the error.
 *
 * Windows. Microsoft Winsock, "IPPROTO_TCP socket options".
 */
export const TCP_FAIL_CONNECT_ON_ICMP_ERROR: SocketOption<boolean> = option("TCP_FAIL_CONNECT_ON_ICMP_ERROR");

/**
 * Reads the ICMP error that ended connect(): the bytes of `ICMP_ERROR_INFO`.
 *
 * With `TCP_FAIL_CONNECT_ON_ICMP_ERROR` on.
 *
 * Windows. Microsoft Winsock, "IPPROTO_TCP socket options".
 */
export const TCP_ICMP_ERROR_INFO: ReadableOption<Uint8Array<ArrayBuffer>> = option("TCP_ICMP_ERROR_INFO");

/**
 * Reads the state of a Multipath TCP connection: the bytes of `struct mptcp_info`.
 *
 * Refused with EOPNOTSUPP on plain TCP, and where the peer did not speak Multipath TCP.
 *
 * Linux. Linux include/uapi/linux/mptcp.h, RFC 8684.
 */
export const MPTCP_INFO: ReadableOption<Uint8Array<ArrayBuffer>> = option("MPTCP_INFO");
