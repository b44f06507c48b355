// The assertions of std for a checkout that reaches only the npm registry; see links in deno.json. Never published.
// JSR users get jsr:@std/assert itself; the code here is std's own, taken from npm.

// @ts-types="./mod.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
