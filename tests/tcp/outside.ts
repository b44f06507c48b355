// Looks at a socket of this process from outside: a python3 process duplicates the descriptor and asks the kernel.
// What it asks is in outside.py; whether it can run here, tests/needs.ts.
import { assertEquals } from "@std/assert";
import type { Needs } from "../needs.ts";

/** What looking from outside needs: python3, and the right to take descriptors of another process. */
export const OUTSIDE: Needs = { ffi: true, linux: true, root: true, run: ["python3"] };

/** What the kernel has, by C name. */
export interface Seen {
  SO_KEEPALIVE: number;
  SO_LINGER: [onoff: number, seconds: number];
  SO_RCVBUF: number;
  SO_SNDBUF: number;
  TCP_NODELAY: number;
  TCP_KEEPIDLE: number;
  TCP_KEEPINTVL: number;
  TCP_KEEPCNT: number;
  TCP_USER_TIMEOUT: number;
  IP_TOS: number;
  IP_TTL: number;
  IPV6_TCLASS: number | null;
  IPV6_UNICAST_HOPS: number | null;
}

/** The one TCP socket of this process with these addresses. */
export async function seenFromOutside(local: Deno.Addr, remote?: Deno.Addr): Promise<Seen> {
  const script = new URL("./outside.py", import.meta.url).pathname;
  const { hostname, port } = local as Deno.NetAddr;
  const { hostname: peer, port: peerPort } = (remote ?? { hostname: "-", port: 0 }) as Deno.NetAddr;
  const { code, stdout, stderr } = await new Deno.Command("python3", {
    args: [script, String(Deno.pid), hostname, String(port), peer, String(peerPort)],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const sockets: Seen[] = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(sockets.length, 1, `${sockets.length} sockets have these addresses`);
  return sockets[0]!;
}
