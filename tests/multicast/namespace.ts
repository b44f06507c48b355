// Two network namespaces with a cable between them, made for one test and removed after it; needs root and ip(8).
// Programs in them are started as in tests/udp/other_program.ts. Nothing in them reaches the machine's own network.
import { assert } from "@std/assert";
import type { Needs } from "../needs.ts";
import * as raw from "../raw_socket.ts";
import { type Program, runArguments, script, start } from "../udp/other_program.ts";

/** What namespaces need. */
export const NAMESPACES: Needs = { root: true, linux: true, ffi: true, run: ["ip", "python3"] };

async function command(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert(success, `${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** One end of the cable. */
export class Namespace {
  /** The cable's interface. */
  readonly device: string;
  /** Its name, as ip(8) has it. */
  readonly name: string;

  constructor(name: string, device: string) {
    this.name = name;
    this.device = device;
  }

  /** Runs in it the program whose name and arguments follow. */
  get enter(): readonly string[] {
    return ["ip", "netns", "exec", this.name];
  }

  /** Runs ip(8) in it. */
  async ip(...args: string[]): Promise<void> {
    await command("ip", "-n", this.name, ...args);
  }

  /** Runs a function in it, which must not wait: sockets made there may be used later, from anywhere. */
  inside<T>(fn: () => T extends Promise<unknown> ? never : T): T {
    using there = new raw.Namespace(this.name);
    return there.run(fn);
  }

  /** Writes a value of /proc/sys there. */
  sysctl(name: string, value: string): void {
    using there = new raw.Namespace(this.name);
    there.sysctl(name, value);
  }

  /** Starts a program in it. */
  program(command: string, ...args: string[]): Program {
    return start("ip", ["netns", "exec", this.name, command, ...args]);
  }

  /** Runs tc(8) in it. */
  async tc(...args: string[]): Promise<void> {
    await command("tc", "-n", this.name, ...args);
  }

  /** Runs another program in it. */
  async exec(program: string, ...args: string[]): Promise<void> {
    await command("ip", "netns", "exec", this.name, program, ...args);
  }

  /** Starts lines that use the library; see `script`. */
  start(code: string): Program {
    return start(
      "ip",
      ["netns", "exec", this.name, Deno.execPath(), ...runArguments(["-A", "--unstable-net"])],
      script(code),
    );
  }

  /** Runs them to their end and tells what they printed. */
  async run(code: string): Promise<string> {
    await using program = this.start(code);
    return (await program.rest()).join("\n");
  }

  /** Starts a python3 script. */
  python(code: string): Program {
    return start("ip", ["netns", "exec", this.name, "python3", "-u", "-"], code);
  }
}

/** Names of namespaces that nobody else has. */
function newNames(...ends: string[]): string[] {
  const unique = crypto.randomUUID().slice(0, 8);
  return ends.map((end) => `sockets${unique}${end}`);
}

async function remove(names: readonly string[]): Promise<void> {
  for (const name of names) await new Deno.Command("ip", { args: ["netns", "delete", name] }).output();
}

/**
 * Runs a test with two namespaces: "left0" (10.77.0.1, fd77::1, fe80::1) and "right0" (10.77.0.2, fd77::2, fe80::2) are
 * the ends of a cable; both have lo, and a second interface "spare0" with fe80::5, an address that the first has too, and no IPv4.
 */
export async function withPair(body: (left: Namespace, right: Namespace) => Promise<void>): Promise<void> {
  const names = newNames("a", "b");
  try {
    for (const name of names) await command("ip", "netns", "add", name);
    const [a, b] = names as [string, string];
    await command("ip", "-n", a, "link", "add", "left0", "type", "veth", "peer", "name", "right0", "netns", b);
    const ends = [new Namespace(a, "left0"), new Namespace(b, "right0")] as const;
    for (const [i, end] of ends.entries()) {
      await end.ip("link", "add", "spare0", "type", "veth", "peer", "name", "spare1");
      for (const device of ["lo", end.device, "spare0", "spare1"]) await end.ip("link", "set", device, "up");
      await end.ip("address", "add", `10.77.0.${i + 1}/24`, "dev", end.device);
      for (const address of [`fd77::${i + 1}/64`, `fe80::${i + 1}/64`, "fe80::5/64"]) {
        await end.ip("address", "add", address, "dev", end.device, "nodad");
      }
      await end.ip("address", "add", "fe80::5/64", "dev", "spare0", "nodad");
    }
    await body(...ends);
  } finally {
    await remove(names);
  }
}

/**
 * Runs a test with two namespaces and two routers between them. The three cables are 10.77.1.0/24, 10.77.2.0/24 and
 * 10.77.3.0/24, and fd77:1::/64 and so on; of each the end that is nearer to the first namespace has 1 as its last number,
 * the other one 2. The routers limit none of the errors that they send, as far as that can be told them.
 */
export async function withRoute(
  body: (near: Namespace, first: Namespace, second: Namespace, far: Namespace) => Promise<void>,
): Promise<void> {
  const names = newNames("a", "b", "c", "d");
  try {
    for (const name of names) await command("ip", "netns", "add", name);
    const all = names.map((name, i) => new Namespace(name, i === 0 ? "right1" : `left${i}`));
    for (const [i, end] of all.entries()) {
      await end.ip("link", "set", "lo", "up");
      for (const [name, value] of [["ipv4.icmp_ratelimit", "0"], ["ipv6.icmp.ratelimit", "0"]]) {
        end.sysctl(`net.${name}`, value!);
      }
      if (i === 1 || i === 2) {
        end.sysctl("net.ipv4.ip_forward", "1");
        end.sysctl("net.ipv6.conf.all.forwarding", "1");
      }
    }
    for (const [i, end] of all.slice(0, -1).entries()) {
      const cable = i + 1;
      await end.ip(
        ...["link", "add", `right${cable}`, "type", "veth"],
        ...["peer", "name", `left${cable}`, "netns", names[cable]!],
      );
      for (const [side, device, number] of [[end, `right${cable}`, 1], [all[cable]!, `left${cable}`, 2]] as const) {
        // An address that the kernel makes of the device's would have to prove itself first.
        await side.ip("link", "set", device, "addrgenmode", "none", "up");
        await side.ip("address", "add", `10.77.${cable}.${number}/24`, "dev", device);
        for (const address of [`fd77:${cable}::${number}/64`, `fe80::${number}/64`]) {
          await side.ip("address", "add", address, "dev", device, "nodad");
        }
      }
    }
    // Everything else is to the right of the first two, and to the left of the others.
    for (const [i, end] of all.entries()) {
      const [cable, number] = i < 2 ? [i + 1, 2] : [i, 1];
      await end.ip("route", "add", "default", "via", `10.77.${cable}.${number}`);
      await end.ip("-6", "route", "add", "default", "via", `fd77:${cable}::${number}`);
    }
    await all[2]!.ip("route", "add", "unreachable", "10.99.0.0/16");
    await all[2]!.ip("route", "add", "blackhole", "10.98.0.0/16");
    const [near, first, second, far] = all;
    await body(near!, first!, second!, far!);
  } finally {
    await remove(names);
  }
}
