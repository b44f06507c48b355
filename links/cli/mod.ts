// parseArgs of std for a checkout that reaches only the npm registry; see links in deno.json. Never published.
// JSR users get jsr:@std/cli itself; the code is std's own, taken from npm.

export * from "./parse_args.ts";
