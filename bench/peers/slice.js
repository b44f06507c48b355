// What the JavaScript programs here share: arguments, a slice of time, and the line of numbers that it ends with.
// Who runs them side by side: bench/contestants.ts.
import process from "node:process";

/** Seconds before it counts: compilers are done by then, and the sender is under way. */
const WARM = 0.4;

const [asked = "", ...rest] = process.argv.slice(2);
const numbers = (asked === "trip" ? rest : rest.slice(1)).map(Number);

/** What was asked for: `send HOW PORT BYTES SECONDS`, `receive HOW BYTES SECONDS`, `trip PORT BYTES TRIPS`. */
export const what = asked;
export const how = rest[0] ?? "";
export const [port = 0, bytes = 0, amount = 0] = asked === "receive" ? [0, ...numbers] : numbers;
export const hostname = "127.0.0.1";

const now = performance.now.bind(performance);

/** @param {...number} figures */
export function tell(...figures) {
  process.stdout.write(`${figures.join(" ")}\n`);
}

/** A slice of time: it begins with the first thing that is counted, and tells count, seconds and microseconds of CPU. */
export class Slice {
  #milliseconds = amount * 1000;
  #warm = true;
  #count = 0;
  #looked = 0;
  #began = 0;
  #end = 0;
  #cpu;

  /**
   * Counts so many more; false when the time is over.
   *
   * @param {number} count
   */
  goesOn(count) {
    this.#count += count;
    // The clock is looked at once in 64.
    if (this.#count - this.#looked < 64 && this.#end > 0) return true;
    this.#looked = this.#count;
    const time = now();
    if (this.#end === 0) this.#end = time + WARM * 1000;
    if (time < this.#end) return true;
    if (this.#warm) {
      this.#warm = false;
      this.#count = this.#looked = 0;
      this.#cpu = process.cpuUsage();
      this.#began = now();
      this.#end = this.#began + this.#milliseconds;
      return true;
    }
    const { user, system } = process.cpuUsage(this.#cpu);
    tell(this.#count, (time - this.#began) / 1000, user + system);
    return false;
  }
}

/**
 * Round trips, the first quarter for warming up: tells the middle one, and what 99 in a hundred stay below.
 *
 * @param {() => Promise<unknown>} once
 */
export async function trips(once) {
  const taken = new Float64Array(amount);
  for (let i = -amount / 4; i < amount; i++) {
    const start = now();
    await once();
    if (i >= 0) taken[Math.floor(i)] = (now() - start) * 1000;
  }
  taken.sort();
  tell(taken[Math.floor(amount / 2)], taken[Math.floor(amount * 0.99)]);
}
