// What the tests of raw, ping and packet sockets need: checksums, echo requests, tcpdump, and programs without privileges.
// The library's own checksum is tested elsewhere: this one is written by hand, so that the two can disagree.
import { assert } from "@std/assert";
import type { Needs } from "../needs.ts";
import { ROOT } from "../raw_socket.ts";
import { text } from "./make.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What root needs besides to run programs. */
export const ROOT_PROGRAMS: Needs = { ...ROOT, read: true, write: true, env: true };

/** The ones' complement of the ones' complement sum of 16-bit words. */
export function checksum(data: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < data.length; i += 2) sum += data[i]! * 256 + (data[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An echo request of ICMP, with its checksum; of ICMPv6 without, which the kernel computes. */
export function echoRequest(version: 4 | 6, id: number, sequence: number, payload: Uint8Array): Bytes {
  const bytes = new Uint8Array(8 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = version === 4 ? 8 : 128;
  view.setUint16(4, id);
  view.setUint16(6, sequence);
  bytes.set(payload, 8);
  if (version === 4) view.setUint16(2, checksum(bytes));
  return bytes;
}

/** An IPv4 packet with its header. */
export function ipv4Packet(from: string, to: string, protocol: number, id: number, payload: Uint8Array): Bytes {
  const bytes = new Uint8Array(20 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0]);
  view.setUint16(2, bytes.length);
  view.setUint16(4, id);
  bytes.set([64, protocol], 8);
  bytes.set(from.split(".").map(Number), 12);
  bytes.set(to.split(".").map(Number), 16);
  view.setUint16(10, checksum(bytes.subarray(0, 20)));
  bytes.set(payload, 20);
  return bytes;
}

/** tcpdump on the loopback interface; it has begun to listen when this resolves. */
export async function tcpdump(filter: string, count: number): Promise<{ lines(): Promise<string> } & AsyncDisposable> {
  const child = new Deno.Command("tcpdump", {
    args: ["-i", "lo", "-n", "-vv", "-l", "--immediate-mode", "-Q", "in", "-c", String(count), filter],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = child.stderr.getReader();
  let said = "";
  while (!said.includes("listening on")) {
    const { value, done } = await errors.read();
    assert(!done, `tcpdump ended: ${said}`);
    said += text(value);
  }
  errors.releaseLock();
  const ignored = child.stderr.pipeTo(new WritableStream());
  const output = new Response(child.stdout).text();
  return {
    lines: () => output,
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has seen as many packets as it was to see.
      }
      await Promise.all([output, ignored, child.status]);
    },
  };
}

/** Runs what follows as a user without any privilege but to read files: Deno itself may lie in a folder of root's. */
export const AS_NOBODY: readonly string[] = [
  "setpriv",
  ...["--reuid=65534", "--regid=65534", "--clear-groups"],
  ...["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"],
];

/** Runs a module as a user without any privilege but to read files, `Socket` imported; gives what it printed. */
export async function runAsNobody(code: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.chmod(folder, 0o777);
    const module = import.meta.resolve("../../socket/mod.ts");
    const file = `${folder}/program.ts`;
    await Deno.writeTextFile(file, `import { Socket } from ${JSON.stringify(module)};\n${code}`);
    const [setpriv, ...nobody] = AS_NOBODY;
    const { success, stdout, stderr } = await new Deno.Command(setpriv!, {
      args: [
        ...nobody,
        ...[Deno.execPath(), "run", "--no-config", "--no-lock", "--no-check", "--quiet", "-A", file],
      ],
      env: { NO_COLOR: "1", DENO_DIR: folder },
    }).output();
    assert(success, text(stderr));
    return text(stdout).trim();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Prints class and message of what a call throws, in a program. */
export const SAY = `function say(call) {
  try { call().close(); console.log("opened"); } catch (e) { console.log(e.constructor.name + ": " + e.message); }
}`;
