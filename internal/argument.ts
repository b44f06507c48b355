// Checks of values that users give, one wording for all: what it is, and what it must be.
// The caller puts "Cannot do this" before it; what the kernel refuses is errno.ts.

/** A value as a message shows it. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return `an object (${value.constructor?.name ?? "no class"})`;
  return String(value);
}

/** A whole number of a range, or an error: TypeError for a wrong kind, RangeError out of range. */
export function integer(value: unknown, what: string, min: number, max: number): number {
  if (typeof value !== "number") {
    throw new TypeError(`${what} is ${shown(value)}, it must be a whole number from ${min} to ${max}`);
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${what} is ${value}, it must be a whole number from ${min} to ${max}`);
  }
  return value;
}

/** A port, or an error. */
export function port(value: unknown, what = "the port"): number {
  return integer(value, what, 0, 65535);
}

/** True or false, or an error. */
export function boolean(value: unknown, what: string): boolean {
  if (typeof value !== "boolean") throw new TypeError(`${what} is ${shown(value)}, it must be true or false`);
  return value;
}

/** Text, or an error. */
export function text(value: unknown, what: string, mustBe: string): string {
  if (typeof value !== "string") throw new TypeError(`${what} is ${shown(value)}, it must be ${mustBe}`);
  return value;
}

/** An object (of options, of a struct's fields), or an error. */
export function object(value: unknown, what: string, mustBe: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null) {
    throw new TypeError(`${what} is ${shown(value)}, it must be ${mustBe}`);
  }
  return value as Record<string, unknown>;
}

/** The same error with what was being done before it. */
export function prefixed(error: unknown, doing: string): unknown {
  if (error instanceof RangeError) return new RangeError(`${doing}: ${error.message}`, { cause: error });
  if (error instanceof SyntaxError) return new SyntaxError(`${doing}: ${error.message}`, { cause: error });
  if (error instanceof TypeError) return new TypeError(`${doing}: ${error.message}`, { cause: error });
  return error;
}

/** The same, whatever its class and with what it tells besides: an interface that is not there is NotFound. */
export function begunWith(error: unknown, doing: string): unknown {
  const begun = prefixed(error, doing);
  if (begun !== error || !(error instanceof Error) || error.message.startsWith(doing)) return begun;
  return Object.assign(
    new (error.constructor as ErrorConstructor)(`${doing}: ${error.message}`, { cause: error }),
    error,
  );
}
