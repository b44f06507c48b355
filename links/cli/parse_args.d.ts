// The types of parseArgs as the examples and benchmarks use it; the code is std's own, from npm (parse_args.ts).
// JSR's own types are finer (they know each flag by name); what checks here checks there.

export interface ParseOptions {
  alias?: Record<string, string | readonly string[]>;
  boolean?: boolean | string | readonly string[];
  collect?: string | readonly string[];
  default?: Record<string, unknown>;
  negatable?: string | readonly string[];
  stopEarly?: boolean;
  string?: string | readonly string[];
  "--"?: boolean;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}
// deno-lint-ignore no-explicit-any
export type Args = { [name: string]: any; _: (string | number)[] };
export declare function parseArgs(args: string[], options?: ParseOptions): Args;
