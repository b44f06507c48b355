// How much a TCP connection carries to peers/echo.c and back; socket.ts and tcp_accept.ts ask it of theirs.
// Rounds and tables: harness.ts.
import { type SocketLike, TCP_CONGESTION } from "../options/mod.ts";

const MEGABYTES = 256;
const CHUNK = 65_536;

/** Where BBR is the default, it paces by what it has seen of the path: its guesses would be what is measured. */
export function unpaced(connection: SocketLike): void {
  TCP_CONGESTION.set(connection, "reno");
}

/** Sends and takes back, in chunks of 64 KiB and both at once; megabytes a second. */
export async function carried(
  send: (data: Uint8Array<ArrayBuffer>) => Promise<unknown>,
  receive: (into: Uint8Array<ArrayBuffer>) => Promise<number>,
): Promise<number> {
  const data = new Uint8Array(CHUNK).fill(1);
  const into = new Uint8Array(CHUNK);
  const total = MEGABYTES * 2 ** 20;
  const start = performance.now();
  const sending = (async () => {
    for (let sent = 0; sent < total; sent += CHUNK) await send(data);
  })();
  for (let got = 0; got < total;) got += await receive(into);
  await sending;
  return MEGABYTES / (performance.now() - start) * 1000;
}

/** The same on a connection of Deno's kind. */
export function carriedBy(conn: Deno.Conn): Promise<number> {
  const send = async (data: Uint8Array) => {
    for (let sent = 0; sent < data.byteLength;) sent += await conn.write(data.subarray(sent));
  };
  return carried(send, async (into) => await conn.read(into) ?? 0);
}
