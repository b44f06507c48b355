// sendBatch() of an array: the datagrams are packed into a batch, and into the next one when it is full.
// What a batch is: batch.ts. How one is sent: native.ts, and by loops portable.ts.
import { withSent } from "../internal/errno.ts";
import { signalOf, type WaitOptions } from "../socket/waits.ts";
import { DatagramBatch } from "./batch.ts";
import { type Engine, outgoing, type Part, partOf, whole } from "./engine.ts";
import type { OutgoingDatagram } from "./types.ts";

/** The batch that is used when no other call has it, and its bytes. A new one for each would take longer than they do. */
let spare: DatagramBatch | null = null;
const SPARE = 256 * 1024;

/** Sends the datagrams of an array by an engine; how many. */
export async function sendArray(
  engine: Pick<Engine, "sendBatch">,
  datagrams: readonly OutgoingDatagram[],
  options: (WaitOptions & Part) | undefined,
  doing: string,
): Promise<number> {
  let sent = 0;
  /** Of which datagram of the array each of the batch is one, or a segment. */
  let places: number[] = [];
  let batch = spare ?? new DatagramBatch({ byteLength: SPARE });
  spare = null;
  try {
    const signal = signalOf(options, doing);
    const { start, end } = partOf(options, datagrams.length, doing);
    let i = start;
    // Also when there are none: of a closed socket the engine says so.
    do {
      batch.clear();
      places = [];
      for (; i < end; i++) {
        const { data, ...settings } = outgoing(datagrams[i], `${doing}: datagram ${i}`);
        const bytes = whole(data, doing);
        let fits = batch.add(bytes, settings);
        if (!fits && batch.length > 0) break;
        if (!fits) fits = (batch = new DatagramBatch()).add(bytes, settings);
        if (!fits) {
          throw new RangeError(
            `${doing}: datagram ${i} is larger than a batch, it must have at most 4 MiB, and no more than 65,536 segments`,
          );
        }
        while (places.length < batch.length) places.push(i);
      }
      await engine.sendBatch(batch, signal && { signal });
      sent += batch.length;
    } while (i < end);
    return sent;
  } catch (error) {
    const here = ` (datagram ${batch.sent} of the batch)`;
    if (error instanceof Error && error.message.endsWith(here)) {
      error.message = `${error.message.slice(0, -here.length)} (datagram ${places[batch.sent]} of the array)`;
    }
    throw withSent(error, sent + batch.sent);
  } finally {
    batch.clear();
    if (batch.bytes.byteLength === SPARE) spare = batch;
  }
}
