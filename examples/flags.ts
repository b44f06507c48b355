// What the examples do with flags that mean nothing to them: they say which and what would be right, and end with 2.
// The flags themselves are taken apart by @std/cli, in each example.

/** The whole number in a flag; undefined when the flag was not given. */
export function wholeNumber(flag: string, text: string | undefined, low: number, high: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text) && Number(text) >= low && Number(text) <= high) return Number(text);
  quit(`Wrong value "${text}" for ${flag}: it must be a whole number from ${low} to ${high}`);
}

/** The same of a number that may have a fraction. */
export function number(flag: string, text: string | undefined, low: number, high: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d*\.?\d+$/.test(text) && Number(text) >= low && Number(text) <= high) return Number(text);
  quit(`Wrong value "${text}" for ${flag}: it must be a number from ${low} to ${high}`);
}

/** What parseArgs is to do with what it does not know; empty text, as of a variable that is not set, it takes for no value. */
export function unknownFlag(flag: string): never {
  quit(flag === "" ? "Give each flag a value that is not empty; see --help" : `Unknown flag ${flag}; see --help`);
}

/** Ends the program with a word. */
export function quit(message: string, code = 2): never {
  console.error(message);
  Deno.exit(code);
}
