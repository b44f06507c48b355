// Two network namespaces with a cable between them that can be cut, loses, delays and reorders, and tells what went over it.
// The cable itself is cable.py: not every kernel has netem. Namespaces with a cable of the kernel's: ../multicast/namespace.ts;
// a whole network that may have one such cable: lab.ts.
import { assertEquals } from "@std/assert";
import { Namespace, NAMESPACES } from "../multicast/namespace.ts";
import type { Needs } from "../needs.ts";

/** What a cable needs. */
export const CABLE: Needs = { ...NAMESPACES, files: ["/dev/net/tun"] };

/** A TCP segment that was put on the cable. */
export interface Segment {
  /** Milliseconds by a clock of the cable. */
  readonly at: number;
  readonly wire: number;
  readonly from: "left" | "right";
  /** Whether the cable carried it. */
  readonly passed: boolean;
  readonly tos: number;
  readonly source: string;
  readonly sport: number;
  readonly dport: number;
  readonly seq: number;
  readonly ack: number;
  /** Of F, S, R, P, A and U those that are set. */
  readonly flags: string;
  /** Length of the data. */
  readonly bytes: number;
  readonly mss?: number;
  readonly wscale?: number;
  /** Length of a fast open cookie. */
  readonly cookie?: number;
  readonly mptcp?: boolean;
}

/** What became of the UDP datagrams to a port, and how many packets to any were refused at the other end. */
export interface Datagrams {
  readonly passed: number;
  readonly dropped: number;
  readonly refused: number;
}

/** A cable that runs. */
export class Cable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  #rest = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Lays wires between two namespaces, which are called "wire0" and so on at both ends: for IP, or for Ethernet. */
  static async lay(left: string, right: string, wires: number, kind: "tun" | "tap"): Promise<Cable> {
    const cable = new Cable(
      new Deno.Command("python3", {
        args: ["-u", new URL("cable.py", import.meta.url).pathname, left, right, `${wires}`, kind],
        stdin: "piped",
        stdout: "piped",
      }).spawn(),
    );
    assertEquals(await cable.#line(), "ready");
    return cable;
  }

  /** The next line of the program. */
  async #line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#output.read();
      if (done) throw new Error("the cable ended");
      this.#rest += value;
    }
  }

  /** Tells it something: "cut", "cut left", "mend", "loss 0.1", "reorder 0.1", "delay 5". */
  async tell(command: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${command}\n`));
    assertEquals(await this.#line(), "done");
  }

  /** What was put on it since it was asked last. */
  async seen(): Promise<Segment[]> {
    await this.#input.write(new TextEncoder().encode("seen\n"));
    return JSON.parse(await this.#line());
  }

  /** What became of all datagrams to a port. */
  async datagrams(port: number): Promise<Datagrams> {
    await this.#input.write(new TextEncoder().encode(`datagrams ${port}\n`));
    return JSON.parse(await this.#line());
  }

  async stop(): Promise<void> {
    await this.#input.close();
    await this.#output.cancel();
    await this.#child.status;
  }
}

let made = 0;

/**
 * Runs a test with two namespaces and wires between them: "wire0" has 10.78.0.1 on the left and 10.78.0.2 on the right,
 * "wire1" 10.78.1.1 and 10.78.1.2; wire0 also 2001:db8:78::1 and ::2; 10.78.9.9 is on the right, behind either, by wire0 unless told otherwise.
 */
export async function withCable(
  body: (left: Namespace, right: Namespace, cable: Cable) => Promise<void>,
): Promise<void> {
  const names = ["l", "r"].map((end) => `socketscable${Deno.pid}${made}${end}`);
  made++;
  const [l, r] = names as [string, string];
  let cable: Cable | undefined;
  try {
    for (const name of names) {
      assertEquals((await new Deno.Command("ip", { args: ["netns", "add", name] }).output()).code, 0);
    }
    cable = await Cable.lay(l, r, 2, "tun");
    const ends = [new Namespace(l, "wire0"), new Namespace(r, "wire0")] as const;
    for (const [i, end] of ends.entries()) {
      for (const device of ["lo", "wire0", "wire1"]) await end.ip("link", "set", device, "up");
      await end.ip("address", "add", `2001:db8:78::${i + 1}/64`, "dev", "wire0", "nodad");
      for (const wire of [0, 1]) await end.ip("address", "add", `10.78.${wire}.${i + 1}/24`, "dev", `wire${wire}`);
    }
    const [left, right] = ends;
    await right.ip("address", "add", "10.78.9.9/32", "dev", "lo");
    await left.ip("route", "add", "10.78.9.9", "dev", "wire0", "metric", "100");
    await left.ip("route", "add", "10.78.9.9", "dev", "wire1", "metric", "200");
    await left.ip("route", "add", "default", "dev", "wire1", "table", "78");
    await left.ip("rule", "add", "from", "10.78.1.1", "lookup", "78");
    await body(left, right, cable);
  } finally {
    await cable?.stop();
    for (const name of names) await new Deno.Command("ip", { args: ["netns", "delete", name] }).output();
  }
}
