// What ping.ts and traceroute.ts both need: what comes back to a socket whose errors are queued (IP_RECVERR), answers and
// errors alike. What they ask and print is their own.
import type { ControlMessage, IncomingMessage, QueuedError, Socket } from "@berkeley/sockets/socket";

type Ip = "inet" | "inet6";

/** The next error of the network, or the next answer; null when there is neither. */
export function next(socket: Socket<Ip>): IncomingMessage<Ip> | null {
  const failed = socket.tryReceiveMessage({ errorQueue: true });
  if (failed !== null) return failed;
  try {
    return socket.tryReceiveMessage();
  } catch (error) {
    // One that came in between is told twice: here, and in the queue, with who sent it.
    const late = socket.tryReceiveMessage({ errorQueue: true });
    if (late === null) throw error;
    return late;
  }
}

/** What went wrong, if that is what a message tells. */
export function errorOf(control: readonly ControlMessage[]): QueuedError | undefined {
  for (const one of control) if (one.name === "IP_RECVERR" || one.name === "IPV6_RECVERR") return one.error;
}

/** The hop limit that a message had left; it must have been asked for. */
export function hopLimitOf(control: readonly ControlMessage[]): number | undefined {
  for (const one of control) if (one.name === "IP_TTL" || one.name === "IPV6_HOPLIMIT") return one.value;
}
