// Bytes that a receive had taken when it was aborted: how those who wait learn of them, as the kernel knows them no more.
// Who keeps them, and gives them to the next receive: socket.ts. Who asks: poll.ts.

/** Says of an object of ours whether it has such bytes: it is readable, whatever the kernel says. */
export const LEFT: unique symbol = Symbol("@berkeley/sockets left");

/** Whether there are bytes left that an object, of anyone's, has taken from the kernel. */
export function hasLeft(socket: object): boolean {
  return (socket as { readonly [LEFT]?: boolean })[LEFT] === true;
}

/** Those who are told when a socket comes to have bytes left. */
export const toldOfLeft: Set<(socket: object) => void> = new Set();
