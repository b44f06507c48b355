// std's parseArgs under the path "@std/cli/parse-args", as on JSR. Never published.
// Its types, as far as this project uses them, are in parse_args.d.ts.

// @ts-types="./parse_args.d.ts"
export { parseArgs } from "npm:deno-std@1.4.0/cli/parse_args.js";
