// How much a TCP connection carries to peers/echo.c and back; socket.ts and tcp_accept.ts ask it of theirs.
// Rounds and tables: harness.ts.
import { type SocketLike, TCP_CONGESTION } from "../options/mod.ts";

const MEGABYTES = 256;
const CHUNK = 65_536;

/** Where BBR is the default, it paces by what it has seen of the path: its guesses would be what is measured. */
export function unpaced(connection: SocketLike): void {
  TCP_CONGESTION.set(connection, "reno");
}

/**
 * Sends and takes back, in chunks of 64 KiB and both at once; megabytes a second. `send` gives how much went out, or nothing
 * for all of it; `receive` what came, or how much.
 */
export async function carried(
  send: (data: Uint8Array<ArrayBuffer>) => Promise<number | void>,
  receive: (into: Uint8Array<ArrayBuffer>) => Promise<Uint8Array | number | null>,
): Promise<number> {
  const data = new Uint8Array(CHUNK).fill(1);
  const into = new Uint8Array(CHUNK);
  const total = MEGABYTES * 2 ** 20;
  const start = performance.now();
  const sending = (async () => {
    for (let sent = 0; sent < total;) {
      const rest = CHUNK - sent % CHUNK;
      sent += await send(rest === CHUNK ? data : data.subarray(0, rest)) ?? rest;
    }
  })();
  for (let got = 0; got < total;) {
    const came = await receive(into);
    if (came === null) throw new Error("the echo ended");
    got += typeof came === "number" ? came : came.byteLength;
  }
  await sending;
  return MEGABYTES / (performance.now() - start) * 1000;
}

/** The same on a connection of Deno's kind. */
export function carriedBy(conn: Deno.Conn): Promise<number> {
  return carried((data) => conn.write(data), (into) => conn.read(into));
}
