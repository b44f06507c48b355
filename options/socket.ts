// The options of SOL_SOCKET, one constant a row of internal/sockopt.ts; those of every family are here.
// Those of one protocol stand in tcp.ts, ip.ts, ipv6.ts, udp.ts, of one family in unix.ts, packet.ts, vsock.ts; what an option is: option.ts.
import type { FilterProgram, Linger, MemoryInfo, PeerCredentials, Timeval, TransmitTime } from "../internal/values.ts";
import { option, type ReadableOption, type SocketOption, type WritableOption } from "./option.ts";

/**
 * Says whether the socket listens.
 *
 * Linux, macOS, Windows. socket(7).
 */
export const SO_ACCEPTCONN: ReadableOption<boolean> = option("SO_ACCEPTCONN");

/**
 * Attaches a classic BPF program that decides which packets the socket receives.
 *
 * `assembleFilter` of `@berkeley/sockets/socket` makes one from the notation of bpf_asm, and `runFilter` there tries it;
 * what tcpdump -dd prints will do, too. It answers how many bytes of the packet to keep, 0 drops it. One that the kernel
 * would refuse is a `RangeError` that says which instruction and why. What was queued before is not filtered: attach it
 * before bind() where that matters; a packet socket is opened without a protocol, and gets one at bind(). Another program
 * replaces it. On TCP recent kernels want CAP_NET_ADMIN (seen on 6.18), on UDP nothing is wanted.
 *
 * Linux. socket(7), Linux Documentation/networking/filter.rst.
 */
export const SO_ATTACH_FILTER: WritableOption<FilterProgram> = option("SO_ATTACH_FILTER");

/**
 * Removes the filter, classic or eBPF.
 *
 * Takes no value: `SO_DETACH_FILTER.set(socket, undefined)`. Throws when there is none, or when `SO_LOCK_FILTER` is
 * on.
 *
 * Linux. socket(7).
 */
export const SO_DETACH_FILTER: WritableOption<void> = option("SO_DETACH_FILTER");

/**
 * Forbids to change or remove the filter of the socket.
 *
 * One way: once on it cannot be turned off. Inherited by accepted connections.
 *
 * Linux. socket(7).
 */
export const SO_LOCK_FILTER: SocketOption<boolean> = option("SO_LOCK_FILTER");

/**
 * Attaches an eBPF program, by its descriptor, that decides which packets the socket receives.
 *
 * The program is of type BPF_PROG_TYPE_SOCKET_FILTER and was loaded by somebody else. `SO_DETACH_FILTER` removes it.
 *
 * Linux. socket(7).
 */
export const SO_ATTACH_BPF: WritableOption<number> = option("SO_ATTACH_BPF");

/**
 * Attaches a classic BPF program that chooses which socket of a `SO_REUSEPORT` group gets a packet or connection.
 *
 * The program, of `assembleFilter` or whoever makes such, answers an index into the group, in the order of their bind() or
 * listen(). Set it on one socket with `SO_REUSEPORT`; it governs the whole group.
 *
 * Linux. socket(7).
 */
export const SO_ATTACH_REUSEPORT_CBPF: WritableOption<FilterProgram> = option("SO_ATTACH_REUSEPORT_CBPF");

/**
 * Attaches an eBPF program, by its descriptor, that chooses which socket of a `SO_REUSEPORT` group gets a packet or
 * connection.
 *
 * Set it on one socket with `SO_REUSEPORT`; it governs the whole group.
 *
 * Linux. socket(7).
 */
export const SO_ATTACH_REUSEPORT_EBPF: WritableOption<number> = option("SO_ATTACH_REUSEPORT_EBPF");

/**
 * Removes the program that chooses within a `SO_REUSEPORT` group.
 *
 * Takes no value: `SO_DETACH_REUSEPORT_BPF.set(socket, undefined)`.
 *
 * Linux. Linux net/core/sock.c.
 */
export const SO_DETACH_REUSEPORT_BPF: WritableOption<void> = option("SO_DETACH_REUSEPORT_BPF");

/**
 * Restricts the socket to one interface, by name, for receiving and sending; "" for any.
 *
 * It acts from when it is set. Set before bind() it also lets sockets on different interfaces have one port, set
 * before connect() it governs the route. Accepted connections inherit it. The first time needs no privilege, to change it
 * needs CAP_NET_RAW. An alternative name (`ip link property`) reads back as the interface's own. `IP_UNICAST_IF` chooses
 * the interface for sending alone.
 *
 * Linux. socket(7).
 */
export const SO_BINDTODEVICE: SocketOption<string> = option("SO_BINDTODEVICE");

/**
 * Restricts the socket to one interface, by index, for receiving and sending; 0 for any.
 *
 * The same setting as `SO_BINDTODEVICE`, with the same rules: to change it needs CAP_NET_RAW.
 *
 * Linux. Linux net/core/sock.c.
 */
export const SO_BINDTOIFINDEX: SocketOption<number> = option("SO_BINDTOIFINDEX");

/**
 * Says how many ancillary loads (`SKF_AD_*`) a classic BPF filter may use on this kernel.
 *
 * Linux. socket(7).
 */
export const SO_BPF_EXTENSIONS: ReadableOption<number> = option("SO_BPF_EXTENSIONS");

/**
 * Allows sending to broadcast addresses, which fails with EACCES without it.
 *
 * Deno turns it on for the sockets of `Deno.listenDatagram`. Needs no privilege.
 *
 * Linux, macOS, Windows. socket(7).
 */
export const SO_BROADCAST: SocketOption<boolean> = option("SO_BROADCAST");

/**
 * Says which buffer sizes the kernel leaves as they are: 1 the send buffer, 2 the receive buffer, 3 both, 0 none.
 *
 * Setting `SO_SNDBUF` or `SO_RCVBUF` sets its bit, which ends TCP's autotuning; clearing the bit brings it back.
 *
 * Linux. Linux net/core/sock.c.
 */
export const SO_BUF_LOCK: SocketOption<number> = option("SO_BUF_LOCK");

/**
 * Polls the network card for so many microseconds when nothing is there to receive, instead of sleeping at once.
 *
 * 0 is off; the default is net.core.busy_read. Costs processor time, and needs a driver with NAPI. Older kernels want
 * CAP_NET_ADMIN to raise it.
 *
 * Linux. socket(7).
 */
export const SO_BUSY_POLL: SocketOption<number> = option("SO_BUSY_POLL");

/**
 * Lets busy polling go before the interrupts of the network card.
 *
 * For programs that poll all the time, together with `SO_BUSY_POLL`. To turn it on needs CAP_NET_ADMIN.
 *
 * Linux. Linux Documentation/networking/napi.rst.
 */
export const SO_PREFER_BUSY_POLL: SocketOption<boolean> = option("SO_PREFER_BUSY_POLL");

/**
 * Sets how many packets one busy poll may take from the network card.
 *
 * 0 to 65535. To raise it needs CAP_NET_ADMIN. Cannot be read.
 *
 * Linux. Linux Documentation/networking/napi.rst.
 */
export const SO_BUSY_POLL_BUDGET: WritableOption<number> = option("SO_BUSY_POLL_BUDGET");

/**
 * Tells the kernel that the path of a connection is bad, so that it looks for another one.
 *
 * 1 is the only value there is. Needs a connected socket. The route is looked up anew, and IPv6 gets a new flow label, by which routers may choose
 * another path. Cannot be read.
 *
 * Linux. Linux net/core/sock.c.
 */
export const SO_CNX_ADVICE: WritableOption<number> = option("SO_CNX_ADVICE");

/**
 * Says the kernel's identity of this socket, a number that no other socket gets until the next boot.
 *
 * Two descriptors with one cookie are the same socket.
 *
 * Linux. Linux net/core/sock_diag.c.
 *
 * @example Two sockets are never taken for one another
 * ```ts
 * import { SO_COOKIE } from "@berkeley/sockets/options";
 * import { assertNotEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await Deno.connect({ port: listener.addr.port });
 *
 * if (SO_COOKIE.supported) assertNotEquals(SO_COOKIE.get(conn), SO_COOKIE.get(listener));
 * ```
 */
export const SO_COOKIE: ReadableOption<bigint> = option("SO_COOKIE");

/**
 * Turns on the debugging of protocols in the kernel, of which little is left.
 *
 * To turn it on needs CAP_NET_ADMIN on Linux.
 *
 * Linux, macOS, Windows. socket(7).
 */
export const SO_DEBUG: SocketOption<boolean> = option("SO_DEBUG");

/**
 * Says the family of the socket, as Linux numbers it: 2 is IPv4, 10 IPv6, 1 unix.
 *
 * Linux. socket(7).
 */
export const SO_DOMAIN: ReadableOption<number> = option("SO_DOMAIN");

/**
 * Sends to hosts on directly connected networks only, never through a gateway.
 *
 * Inherited by accepted connections on Linux.
 *
 * Linux, macOS, Windows. socket(7).
 */
export const SO_DONTROUTE: SocketOption<boolean> = option("SO_DONTROUTE");

/**
 * Says which error waits on the socket, by its number; 0 for none.
 *
 * Reading it clears it, and then no receive or send of Deno reports that error any more.
 *
 * Linux, macOS, Windows. socket(7).
 */
export const SO_ERROR: ReadableOption<number> = option("SO_ERROR");

/**
 * Keeps every other socket from binding the address, even one with `SO_REUSEADDR`.
 *
 * Does its job only before bind(), and cannot be on together with `SO_REUSEADDR`.
 *
 * Windows. Microsoft Winsock, "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE".
 */
export const SO_EXCLUSIVEADDRUSE: SocketOption<boolean> = option("SO_EXCLUSIVEADDRUSE");

/**
 * Says which processor last received for this socket, -1 for none so far; setting it asks for that processor.
 *
 * In a `SO_REUSEPORT` group the socket set to the receiving processor is preferred. Once packets have come, it reads
 * back what the kernel saw.
 *
 * Linux. socket(7).
 */
export const SO_INCOMING_CPU: SocketOption<number> = option("SO_INCOMING_CPU");

/**
 * Says from which receive queue of a network card the last packet came, by its NAPI id; 0 when unknown.
 *
 * Useful to hand the connections of one queue to one thread. Loopback has no queues.
 *
 * Linux. socket(7).
 */
export const SO_INCOMING_NAPI_ID: ReadableOption<number> = option("SO_INCOMING_NAPI_ID");

/**
 * Probes the peer of an idle connection, and drops the connection when nothing answers.
 *
 * Off by default. `TCP_KEEPIDLE`, `TCP_KEEPINTVL` and `TCP_KEEPCNT` say when and how often; without them two hours
 * pass first. Inherited by accepted connections on Linux; on macOS set it on these, not on the listener. `keepAlive`
 * of `connectTcp` and `listenTcp` sets all four.
 *
 * Linux, macOS, Windows. socket(7), RFC 9293 section 3.8.4.
 *
 * @example Probe after a minute of silence
 * ```ts
 * import { SO_KEEPALIVE, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL } from "@berkeley/sockets/options";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await Deno.connect({ port: listener.addr.port });
 *
 * SO_KEEPALIVE.set(conn, true);
 * TCP_KEEPIDLE.set(conn, 60);
 * TCP_KEEPINTVL.set(conn, 10);
 * TCP_KEEPCNT.set(conn, 5);
 * assert(SO_KEEPALIVE.get(conn));
 * assertEquals(TCP_KEEPIDLE.get(conn), 60);
 * ```
 */
export const SO_KEEPALIVE: SocketOption<boolean> = option("SO_KEEPALIVE");

/**
 * Says what close() does with data that is not sent yet: send it in the background (the default), wait, or drop it.
 *
 * `{ enabled: true, seconds: 0 }` drops what is unsent and resets the connection (RST); connections of Deno end their
 * stream before that, so the peer reads the end (FIN), and only its writes meet the reset. With more seconds, closing
 * blocks the whole thread (the event loop) until the peer has acknowledged all or the time is over, also on sockets
 * that otherwise never block. Inherited by accepted connections on Linux. macOS takes at most 32767 seconds, Windows
 * 65535.
 *
 * Linux, macOS (SO_LINGER_SEC), Windows. socket(7).
 *
 * @example Leave no trace of a connection
 * ```ts
 * import { SO_LINGER } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using conn = await Deno.connect({ port: listener.addr.port });
 *
 * const reset = { enabled: true, seconds: 0 };
 * assertEquals(SO_LINGER.set(conn, reset), reset);
 * ```
 */
export const SO_LINGER: SocketOption<Linger> = option("SO_LINGER");

/**
 * Marks every packet of the socket, for routing rules (`ip rule fwmark`) and firewalls.
 *
 * An unsigned 32-bit number, 0 by default. Needs CAP_NET_ADMIN or, since Linux 5.17, CAP_NET_RAW. Where it chooses the
 * route, set it before connect(). Inherited by accepted connections.
 *
 * Linux. socket(7).
 */
export const SO_MARK: SocketOption<number> = option("SO_MARK");

/**
 * Delivers the mark of each received packet as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux. Linux net/core/sock.c.
 */
export const SO_RCVMARK: SocketOption<boolean> = option("SO_RCVMARK");

/**
 * Limits how fast the kernel sends for this socket, in bytes a second.
 *
 * All ones (`2n ** 64n - 1n`), the default, is no limit. TCP paces by itself; other protocols are limited only where
 * the interface has the fq queue discipline. Inherited by accepted connections.
 *
 * Linux. tc-fq(8).
 */
export const SO_MAX_PACING_RATE: SocketOption<bigint> = option("SO_MAX_PACING_RATE");

/**
 * Says how much memory the socket uses, as nine numbers.
 *
 * In this order, in bytes: receive queue, receive buffer, handed to the network, send buffer, reserved ahead, written
 * but unsent, option memory, backlog; and last the count of dropped packets. Newer kernels may add more.
 *
 * Linux. Linux include/uapi/linux/sock_diag.h.
 */
export const SO_MEMINFO: ReadableOption<MemoryInfo> = option("SO_MEMINFO");

/**
 * Says the kernel's identity of the network namespace that the socket is in.
 *
 * Some kernels refuse with EINVAL.
 *
 * Linux. Linux net/core/sock.c.
 */
export const SO_NETNS_COOKIE: ReadableOption<bigint> = option("SO_NETNS_COOKIE");

/**
 * Names the kind of traffic, by which the system chooses queues and marks.
 *
 * 0 best effort, 1 background, 2 signaling, 3 interactive video, 4 interactive voice, 5 responsive audio and video, 6
 * streaming, 7 operations, 8 responsive data.
 *
 * macOS. Apple sys/socket.h.
 */
export const SO_NET_SERVICE_TYPE: SocketOption<number> = option("SO_NET_SERVICE_TYPE");

/**
 * Sends UDP datagrams of IPv4 without a checksum.
 *
 * Then only the link protects them from damage. For IPv6 there is `UDP_NO_CHECK6_TX`.
 *
 * Linux. RFC 768.
 */
export const SO_NO_CHECK: SocketOption<boolean> = option("SO_NO_CHECK");

/**
 * Keeps a send on a broken connection from raising SIGPIPE.
 *
 * The send fails with EPIPE instead.
 *
 * macOS. Apple setsockopt(2).
 */
export const SO_NOSIGPIPE: SocketOption<boolean> = option("SO_NOSIGPIPE");

/**
 * Says how many bytes can be received at once; of a datagram socket, those of the first datagram.
 *
 * macOS. Apple setsockopt(2).
 */
export const SO_NREAD: ReadableOption<number> = option("SO_NREAD");

/**
 * Says how many bytes of the send buffer the protocol has not sent yet.
 *
 * macOS. Apple setsockopt(2).
 */
export const SO_NWRITE: ReadableOption<number> = option("SO_NWRITE");

/**
 * Leaves urgent data in the stream of received bytes, instead of setting it aside.
 *
 * RFC 6093 advises against urgent data, and for this option where it comes. Inherited by accepted connections on
 * Linux.
 *
 * Linux, macOS, Windows. socket(7), tcp(7).
 */
export const SO_OOBINLINE: SocketOption<boolean> = option("SO_OOBINLINE");

/**
 * Delivers process, user and group of the sender as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux. unix(7).
 */
export const SO_PASSCRED: SocketOption<boolean> = option("SO_PASSCRED");

/**
 * Delivers the sender's security label (SELinux and the like) as a control message.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux. unix(7).
 */
export const SO_PASSSEC: SocketOption<boolean> = option("SO_PASSSEC");

/**
 * Delivers a pidfd of the sender as a control message, which the receiver must close.
 *
 * Since Linux 6.5. A socket of Deno receives no control messages: this is for sockets whose messages are read with
 * them.
 *
 * Linux. Linux net/unix/af_unix.c.
 */
export const SO_PASSPIDFD: SocketOption<boolean> = option("SO_PASSPIDFD");

/**
 * Says whether peers may pass descriptors (SCM_RIGHTS) to this socket; on by default.
 *
 * Since Linux 6.16.
 *
 * Linux. Linux net/unix/af_unix.c.
 */
export const SO_PASSRIGHTS: SocketOption<boolean> = option("SO_PASSRIGHTS");

/**
 * Sets the byte at which the next MSG_PEEK begins; -1, the default, always peeks at the start.
 *
 * From 0 on, every peek moves the offset forward by what it saw, and every true receive back by what it took. Deno
 * itself never peeks.
 *
 * Linux. socket(7).
 */
export const SO_PEEK_OFF: SocketOption<number> = option("SO_PEEK_OFF");

/**
 * Says process, user and group at the other end of a unix socket, as of its connect() or listen().
 *
 * Needs a connected socket. `pid` is absent on macOS, where `LOCAL_PEERPID` has it.
 *
 * Linux, macOS (LOCAL_PEERCRED). unix(7).
 */
export const SO_PEERCRED: ReadableOption<PeerCredentials> = option("SO_PEERCRED");

/**
 * Says the supplementary groups of the process at the other end of a unix socket.
 *
 * Needs a connected socket. The main group is in `SO_PEERCRED`.
 *
 * Linux. Linux net/core/sock.c.
 */
export const SO_PEERGROUPS: ReadableOption<readonly number[]> = option("SO_PEERGROUPS");

/**
 * Makes a pidfd of the process at the other end of a unix socket.
 *
 * Needs a connected socket. Since Linux 6.5. Every reading makes a new descriptor, which the caller owns and must
 * close. Unlike a number it cannot come to mean another process.
 *
 * Linux. Linux net/core/sock.c, pidfd_open(2).
 */
export const SO_PEERPIDFD: ReadableOption<number> = option("SO_PEERPIDFD");

/**
 * Says the security label at the other end, as the security module (SELinux, AppArmor, Smack) writes it.
 *
 * Needs a connected socket. Without such a module the kernel does not have the option.
 *
 * Linux. socket(7), unix(7).
 */
export const SO_PEERSEC: ReadableOption<string> = option("SO_PEERSEC");

/**
 * Sets the priority of the packets in the queues of the interface; what that means is up to the queue discipline.
 *
 * 0 to 6; above needs CAP_NET_ADMIN or CAP_NET_RAW. Setting `IP_TOS` overwrites it. Not inherited by accepted
 * connections.
 *
 * Linux. socket(7).
 */
export const SO_PRIORITY: SocketOption<number> = option("SO_PRIORITY");

/**
 * Says the protocol of the socket by its number: 6 is TCP, 17 UDP.
 *
 * Linux. socket(7).
 */
export const SO_PROTOCOL: ReadableOption<number> = option("SO_PROTOCOL");

/**
 * Sets the size of the receive buffer in bytes.
 *
 * Linux doubles it for its bookkeeping and reads back the double, caps it at net.core.rmem_max without an error, and
 * makes it at least 2304; macOS fails with ENOBUFS above kern.ipc.maxsockbuf. Setting it ends TCP's autotuning, which
 * often does better. The handshake settles the window scale of TCP: for large windows set it before connect(), or on
 * the listener, from which accepted connections inherit it (`receiveBufferSize` of `connectTcp` and `listenTcp`).
 *
 * Linux, macOS, Windows. socket(7), tcp(7).
 *
 * @example What the kernel made of it
 * ```ts
 * import { SO_RCVBUF } from "@berkeley/sockets/options";
 * import { assert } from "@std/assert";
 *
 * const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
 *
 * // Linux gives back the double, within its limit.
 * assert(SO_RCVBUF.set(socket, 65_536) >= 65_536);
 * socket.close();
 * ```
 */
export const SO_RCVBUF: SocketOption<number> = option("SO_RCVBUF");

/**
 * Sets the size of the send buffer in bytes.
 *
 * Linux doubles it for its bookkeeping and reads back the double, caps it at net.core.wmem_max without an error, and
 * makes it at least 4608; macOS fails with ENOBUFS above kern.ipc.maxsockbuf. Setting it ends TCP's autotuning.
 * Inherited by accepted connections on Linux.
 *
 * Linux, macOS, Windows. socket(7), tcp(7).
 */
export const SO_SNDBUF: SocketOption<number> = option("SO_SNDBUF");

/**
 * Sets the size of the receive buffer in bytes, beyond net.core.rmem_max too.
 *
 * Needs CAP_NET_ADMIN. Cannot be read: `SO_RCVBUF` shows the result, doubled.
 *
 * Linux. socket(7).
 */
export const SO_RCVBUFFORCE: WritableOption<number> = option("SO_RCVBUFFORCE");

/**
 * Sets the size of the send buffer in bytes, beyond net.core.wmem_max too.
 *
 * Needs CAP_NET_ADMIN. Cannot be read: `SO_SNDBUF` shows the result, doubled.
 *
 * Linux. socket(7).
 */
export const SO_SNDBUFFORCE: WritableOption<number> = option("SO_SNDBUFFORCE");

/**
 * Sets how many bytes must have come before the socket counts as readable; 1, the default, is the least.
 *
 * A read then waits for so many, or for the end of the stream. Linux cuts it to half of the receive buffer that TCP
 * may have, and reads back what is left. Inherited by accepted connections on Linux.
 *
 * Linux, macOS. socket(7).
 */
export const SO_RCVLOWAT: SocketOption<number> = option("SO_RCVLOWAT");

/**
 * Sets how many bytes of the send buffer must be free before the socket counts as writable.
 *
 * Linux cannot change it; `TCP_NOTSENT_LOWAT` is the better tool for TCP.
 *
 * macOS. Apple setsockopt(2).
 */
export const SO_SNDLOWAT: SocketOption<number> = option("SO_SNDLOWAT");

/**
 * Limits how long a receive waits; zero, the default, is for ever.
 *
 * Of a `Socket` of this library it is `timeouts.receive`, read and set in seconds and microseconds, rounded up to
 * milliseconds. All other sockets here, those of Deno, of node and `UdpSocket`, never block: it would do nothing there,
 * and reading and setting it throw `NotSupported`. Use an `AbortSignal`, `withTimeouts`, or the `socket` of a `UdpSocket`.
 *
 * Linux, macOS, Windows. socket(7).
 */
export const SO_RCVTIMEO: SocketOption<Timeval> = option("SO_RCVTIMEO");

/**
 * Limits how long a send waits; zero, the default, is for ever.
 *
 * Of a `Socket` of this library it is `timeouts.send`, with the same rules as `SO_RCVTIMEO`.
 *
 * Linux, macOS, Windows. socket(7).
 */
export const SO_SNDTIMEO: SocketOption<Timeval> = option("SO_SNDTIMEO");

/**
 * Receives from every interface, also from those that the system keeps from ordinary sockets.
 *
 * macOS. Apple sys/socket.h.
 */
export const SO_RECV_ANYIF: SocketOption<boolean> = option("SO_RECV_ANYIF");

/**
 * Reserves so many bytes of memory for the socket ahead of need.
 *
 * Rounded up to whole pages. Only in a memory cgroup: elsewhere the kernel refuses with EOPNOTSUPP.
 *
 * Linux. Linux net/core/sock.c.
 */
export const SO_RESERVE_MEM: SocketOption<number> = option("SO_RESERVE_MEM");

/**
 * Lets the socket bind an address that another socket has or lately had.
 *
 * On Unix, TCP may listen again while old connections are in TIME-WAIT, which is why `Deno.listen` sets it; UDP
 * sockets that all set it share the port. On Windows it takes the port from a program that uses it: see
 * `SO_EXCLUSIVEADDRUSE`. It matters at bind(), of this socket and of later ones, so set it before that (`reuseAddress`
 * of `listenTcp`).
 *
 * Linux, macOS, Windows. socket(7).
 *
 * @example Deno sets it on listeners
 * ```ts
 * import { SO_REUSEADDR } from "@berkeley/sockets/options";
 * import { assert } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 *
 * assert(Deno.build.os === "windows" || SO_REUSEADDR.get(listener));
 * ```
 */
export const SO_REUSEADDR: SocketOption<boolean> = option("SO_REUSEADDR");

/**
 * Lets several sockets have one address and port, if each of them sets it and all are of one user.
 *
 * Linux spreads connections and datagrams over them by a hash of the addresses; macOS does not balance. Each socket
 * needs it before its bind() (`reusePort` of `listenTcp`). Unix sockets do not have it.
 *
 * Linux, macOS. socket(7).
 */
export const SO_REUSEPORT: SocketOption<boolean> = option("SO_REUSEPORT");

/**
 * Chooses the port at random where bind() leaves it to the system.
 *
 * Does its job only before bind().
 *
 * Windows. Microsoft Winsock, "SOL_SOCKET Socket Options".
 */
export const SO_RANDOMIZE_PORT: SocketOption<boolean> = option("SO_RANDOMIZE_PORT");

/**
 * Lets the system give one ephemeral port to several local addresses, so that more are left.
 *
 * Does its job only before bind().
 *
 * Windows. Microsoft Winsock, "SOL_SOCKET Socket Options".
 */
export const SO_PORT_SCALABILITY: SocketOption<boolean> = option("SO_PORT_SCALABILITY");

/**
 * Puts off the choice of an ephemeral port to the connection, so that connections to different peers share ports.
 *
 * Does its job only before bind(). On Linux there is `IP_BIND_ADDRESS_NO_PORT`.
 *
 * Windows. Microsoft Winsock, "SOL_SOCKET Socket Options".
 */
export const SO_REUSE_UNICASTPORT: SocketOption<boolean> = option("SO_REUSE_UNICASTPORT");

/**
 * Says that the socket never receives unicast, so that others that hear groups may share its port.
 *
 * Does its job only before bind().
 *
 * Windows. Microsoft Winsock, "SOL_SOCKET Socket Options".
 */
export const SO_REUSE_MULTICASTPORT: SocketOption<boolean> = option("SO_REUSE_MULTICASTPORT");

/**
 * Leaves it to the program to accept or refuse a connection before the handshake is answered.
 *
 * Does its job only before listen().
 *
 * Windows. Microsoft Winsock, "SOL_SOCKET Socket Options".
 */
export const SO_CONDITIONAL_ACCEPT: SocketOption<boolean> = option("SO_CONDITIONAL_ACCEPT");

/**
 * Gives a socket that AcceptEx accepted the properties of its listener, whose handle is the value.
 *
 * Before that, getpeername() and shutdown() do not work on it.
 *
 * Windows. Microsoft Winsock, "AcceptEx".
 */
export const SO_UPDATE_ACCEPT_CONTEXT: WritableOption<bigint> = option("SO_UPDATE_ACCEPT_CONTEXT");

/**
 * Completes a socket that ConnectEx connected, so that getpeername() and shutdown() work on it.
 *
 * Takes no value: pass `undefined`.
 *
 * Windows. Microsoft Winsock, "ConnectEx".
 */
export const SO_UPDATE_CONNECT_CONTEXT: WritableOption<void> = option("SO_UPDATE_CONNECT_CONTEXT");

/**
 * Says for how many seconds the socket has been connected; 4294967295 when it is not.
 *
 * Windows. Microsoft Winsock, "SOL_SOCKET Socket Options".
 */
export const SO_CONNECT_TIME: ReadableOption<number> = option("SO_CONNECT_TIME");

/**
 * Says how many bytes the largest message of a datagram socket may have.
 *
 * Windows. Microsoft Winsock, "SOL_SOCKET Socket Options".
 */
export const SO_MAX_MSG_SIZE: ReadableOption<number> = option("SO_MAX_MSG_SIZE");

/**
 * Delivers how many datagrams the socket has dropped so far, as a control message.
 *
 * A `UdpSocket` has it as the metadata "drops". A socket of Deno receives no control messages: this is for sockets
 * whose messages are read with them.
 *
 * Linux. socket(7).
 */
export const SO_RXQ_OVFL: SocketOption<boolean> = option("SO_RXQ_OVFL");

/**
 * Reports POLLPRI beside POLLERR when the error queue has something.
 *
 * Of little use since Linux 4.16, where POLLERR alone wakes a waiter.
 *
 * Linux. socket(7).
 */
export const SO_SELECT_ERR_QUEUE: SocketOption<boolean> = option("SO_SELECT_ERR_QUEUE");

/**
 * Delivers the time of arrival as a control message, in microseconds.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * Linux, macOS. socket(7).
 */
export const SO_TIMESTAMP: SocketOption<boolean> = option("SO_TIMESTAMP");

/**
 * Delivers the time of arrival as a control message, in nanoseconds.
 *
 * A `UdpSocket` has it as the metadata "timestamp". A socket of Deno receives no control messages: this is for sockets
 * whose messages are read with them.
 *
 * Linux. Linux Documentation/networking/timestamping.rst.
 */
export const SO_TIMESTAMPNS: SocketOption<boolean> = option("SO_TIMESTAMPNS");

/**
 * Asks for timestamps of received and sent packets, by software or by the network card.
 *
 * The value is made of flags SOF_TIMESTAMPING_*. Those of sent packets come on the error queue. A card stamps only once
 * it was switched to it by other means (SIOCSHWTSTAMP, as hwstamp_ctl does). A socket of Deno receives no control messages:
 * this is for sockets whose messages are read with them.
 *
 * Linux. Linux Documentation/networking/timestamping.rst.
 */
export const SO_TIMESTAMPING: SocketOption<number> = option("SO_TIMESTAMPING");

/**
 * Delivers the time of arrival as a control message, in ticks of the monotonic clock.
 *
 * A socket of Deno receives no control messages: this is for sockets whose messages are read with them.
 *
 * macOS. Apple sys/socket.h.
 */
export const SO_TIMESTAMP_MONOTONIC: SocketOption<boolean> = option("SO_TIMESTAMP_MONOTONIC");

/**
 * Sets the traffic class of the packets, one of Apple's SO_TC_*: 0 is best effort, 200 background, 700 video, 800
 * voice.
 *
 * `SO_NET_SERVICE_TYPE` is the public form.
 *
 * macOS. Apple sys/socket.h.
 */
export const SO_TRAFFIC_CLASS: SocketOption<number> = option("SO_TRAFFIC_CLASS");

/**
 * Lets each message carry a launch time, and says by which clock.
 *
 * Nothing is delayed unless the interface has the fq or etf queue discipline; loopback sends at once. Clocks other
 * than "monotonic" need CAP_NET_ADMIN. The time itself is a control message of each send.
 *
 * Linux. tc-etf(8), tc-fq(8).
 */
export const SO_TXTIME: SocketOption<TransmitTime> = option("SO_TXTIME");

/**
 * Says whether a connection tries other paths after retransmit timeouts: 1 yes, 0 no, -1 as the system does.
 *
 * -1 reads back as what net.core.txrehash says. Inherited by accepted connections.
 *
 * Linux. Linux net/core/sock.c.
 */
export const SO_TXREHASH: SocketOption<number> = option("SO_TXREHASH");

/**
 * Says the type of the socket by its number: 1 is a stream, 2 datagrams, 3 raw, 5 seqpacket.
 *
 * Linux, macOS, Windows. socket(7).
 */
export const SO_TYPE: ReadableOption<number> = option("SO_TYPE");

/**
 * Allows sends with MSG_ZEROCOPY, which send from the memory of the program without a copy.
 *
 * The memory must stay as it is until the completion, which comes on the error queue. Deno's own sends do not use it.
 *
 * Linux. Linux Documentation/networking/msg_zerocopy.rst.
 */
export const SO_ZEROCOPY: SocketOption<boolean> = option("SO_ZEROCOPY");
