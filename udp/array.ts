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
  let batch = spare ?? new DatagramBatch({ byteLength: SPARE });
  spare = null;
  try {
    const signal = signalOf(options, doing);
    const { start, end } = partOf(options, datagrams.length, doing);
    let i = start;
    // Also when there are none: of a closed socket the engine says so.
    do {
      batch.clear();
      for (; i < end; i++) {
        const { data, ...settings } = outgoing(datagrams[i], `${doing}: datagram ${i}`);
        const bytes = whole(data, doing);
        if (batch.add(bytes, settings)) continue;
        if (batch.length > 0) break;
        batch = new DatagramBatch();
        if (batch.add(bytes, settings)) continue;
        throw new RangeError(
          `${doing}: datagram ${i} is larger than a batch, it must have at most 4 MiB, and no more than 65,536 segments`,
        );
      }
      await engine.sendBatch(batch, signal && { signal });
      sent += batch.length;
    } while (i < end);
    return sent;
  } catch (error) {
    throw withSent(error, sent + ((error as { sent?: number } | undefined)?.sent ?? 0));
  } finally {
    batch.clear();
    if (batch.bytes.byteLength === SPARE) spare = batch;
  }
}
