// One tuning for sockets that others opened, and the look from outside that it is in force.
// How one looks from outside: ../tcp/outside.ts.
import { assertEquals } from "@std/assert";
import type { InetAddress, SocketInfo } from "../../socket/mod.ts";
import { seenFromOutside } from "../tcp/outside.ts";

/** Values that nobody has by default. */
export const TUNING = { keepAlive: { idle: 31_000, interval: 11_000, count: 4 }, userTimeout: 12_345 } as const;

/** Asserts that another process sees this tuning on a socket. */
export async function assertTunedOutside({ localAddr, remoteAddr }: SocketInfo): Promise<void> {
  const seen = await seenFromOutside(
    localAddr as InetAddress & Deno.NetAddr,
    remoteAddr === null ? undefined : remoteAddr as InetAddress & Deno.NetAddr,
  );
  assertEquals(seen.SO_KEEPALIVE, 1);
  assertEquals([seen.TCP_KEEPIDLE, seen.TCP_KEEPINTVL, seen.TCP_KEEPCNT], [31, 11, 4]);
  assertEquals(seen.TCP_USER_TIMEOUT, 12_345);
}
