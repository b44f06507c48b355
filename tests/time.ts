// Waiting in tests, so that a slow or busy machine does no harm: until something is so, and limits measured by timers.
// Waiting for other programs: examples/program.ts, udp/other_program.ts.
import { assert, AssertionError } from "@std/assert";

/** Milliseconds after which something that should have happened is missing. */
const PATIENCE = 10_000;

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Waits until a condition holds, which must be soon. */
export async function until(condition: () => boolean): Promise<void> {
  for (const since = performance.now(); !condition(); await sleep(1)) {
    assert(performance.now() - since < PATIENCE, `it does not hold after ${PATIENCE} ms: ${condition}`);
  }
}

/**
 * Asserts that a promise is settled before a timer that begins now. The clock would tell of a machine that stood still;
 * of two timers that are both late the earlier one still comes first.
 */
export async function assertWithin<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = () => reject(new AssertionError(`it takes more than ${milliseconds} ms`));
    // What was ready by then may need a turn of the event loop.
    timer = setTimeout(() => timer = setTimeout(fail, 50), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
