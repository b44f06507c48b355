// How many datagrams one send can be split into on this machine: asked of the kernel, by trying.
// How trains are made of a batch: internal/mmsg.ts. What a path refuses later: native.ts.
import { failed, failedWith } from "../internal/errno.ts";
import { libcIo } from "../internal/libc_io.ts";
import { sendMessage } from "../internal/msghdr.ts";
import { encodeAddress } from "../internal/sockaddr.ts";
import { encodeControl } from "../internal/cmsg.ts";
import { Socket } from "../socket/socket.ts";

/** UDP_MAX_SEGMENTS of Linux since 6.9, and before. */
const NEW = 128;
const OLD = 64;
const DOING = "Cannot ask for segments";

let known: number | undefined;

/**
 * The segments that this kernel takes: 128, 64, or 1 where it splits nothing. A socket that is made for it sends itself 65
 * bytes over loopback, once; nothing leaves the machine. Where not even that works, the most is assumed, as a send that is
 * refused falls back anyway.
 */
export function mostSegments(): number {
  return known ??= ask();
}

function ask(): number {
  using socket = Socket.open("inet", "dgram");
  const io = libcIo(DOING);
  if (failed(io.bind(socket.fd, encodeAddress("inet", { hostname: "127.0.0.1" }, DOING, "linux")))) return NEW;
  const control = encodeControl([{ name: "UDP_SEGMENT", value: 1 }], "inet", DOING, socket, "linux");
  const to = encodeAddress("inet", socket.localAddr!, DOING, "linux");
  if (!failed(sendMessage(io, socket.fd, [new Uint8Array(OLD + 1)], to, control, 0))) return NEW;
  if (failedWith("ENETUNREACH") || failedWith("EAGAIN") || failedWith("ENOBUFS")) return NEW;
  return failed(sendMessage(io, socket.fd, [new Uint8Array(2)], to, control, 0)) ? 1 : OLD;
}
