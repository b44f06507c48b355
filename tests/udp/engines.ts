// Registers tests of what both engines of UdpSocket do: once over sockets of our own, once over Deno's.
// What needs more than Deno has is tested in the files of native_*; how tests are registered: tests/needs.ts.
import { type Needs, test } from "../needs.ts";

/** Registers a test for each engine. */
export function both(name: string, needs: Needs, fn: (t: Deno.TestContext) => void | Promise<void>): void {
  test(`${name}, native`, { ...needs, ffi: true, linux: true }, fn);
  test(`${name}, portable`, { ...needs, withoutFfi: true }, fn);
}
