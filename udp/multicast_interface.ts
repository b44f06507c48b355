// Which interface the multicast of a socket leaves by: one word for both families.
// Where a socket listens: multicast/join.ts. The options behind it: IP_MULTICAST_IF and IPV6_MULTICAST_IF, in options/.
import { descriptorOf } from "../internal/descriptor.ts";
import { setMulticastInterface } from "../internal/membership.ts";
import { interfaceIndexOf } from "../internal/netif.ts";
import { type InterfaceSelector, IPV6_MULTICAST_IF, type SocketLike } from "../options/mod.ts";

/** Makes an interface the one that multicast of a family leaves by; `undefined` for the kernel's choice. */
export function sendBy(
  socket: SocketLike,
  family: "inet" | "inet6",
  selector: InterfaceSelector | undefined,
  doing: string,
): void {
  if (family === "inet6") IPV6_MULTICAST_IF.set(socket, interfaceIndexOf(selector, doing));
  else setMulticastInterface(descriptorOf(socket, doing), selector, doing);
}
