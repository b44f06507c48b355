// Calls that wait for one socket, in the order in which they were made: the first tries, those behind wait for it.
// Who stands in line: socket/socket.ts, udp/native.ts. How the first of them waits for its socket: socket/waits.ts.

/** The place of a call. A line is known by its last place, null while nobody waits: sockets are many, lines are few. */
export interface Place {
  before: Place | null;
  behind: Place | null;
  /** Tells the call that it is the first. */
  come: (() => void) | null;
}

/** Takes a place, until {@linkcode leave}; it is the last of the line then. */
export function join(last: Place | null): Place {
  const place: Place = { before: last, behind: null, come: null };
  if (last !== null) last.behind = place;
  return place;
}

/** Waits until those before a place have left, or a signal comes; null for the first. */
export function turnOf(place: Place, signal: AbortSignal | undefined): Promise<void> | null {
  if (place.before === null) return null;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal!.reason);
    place.come = () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    };
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Gives a place up and tells whoever is the first then; the last of the line comes back. */
export function leave({ before, behind }: Place, last: Place | null): Place | null {
  if (before !== null) before.behind = behind;
  if (behind === null) return before;
  behind.before = before;
  if (before === null) behind.come?.();
  return last;
}
