// A lab of network namespaces: three hosts on a bridge that looks into multicast, a fourth behind a router, IPv4 and IPv6.
// Made for one test and removed after it; needs root and ip(8). Two hosts and a cable are enough: ../multicast/namespace.ts.
import { assert } from "@std/assert";
import { listInterfaces } from "../../internal/netif.ts";
import { Socket } from "../../socket/mod.ts";
import { Namespace } from "../multicast/namespace.ts";
import type { Needs } from "../needs.ts";
import { RawSocket } from "../raw_socket.ts";
import { sleep, until } from "../time.ts";
import { Cable } from "./cable.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What the lab needs. */
export const LAB: Needs = { root: true, linux: true, ffi: true, read: true, run: ["ip"] };

/** Packets that wait for a bad cable rather than be dropped before it, as no netem would. */
const ROOM = "txqueuelen 50000";

/** The hosts: h1, h2 and h3 have 10.66.0.N and fd66::N; h4, behind the router, 10.67.0.4 and fd67::4; each on its "eth0". */
export type HostName = "h1" | "h2" | "h3" | "h4";

async function run(program: string, args: readonly string[], input?: string): Promise<string> {
  const child = new Deno.Command(program, { args: [...args], stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input ?? "")).catch(() => {});
  await writer.close().catch(() => {});
  const { success, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  assert(success, `${program} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** A host, the router or the switch. */
export class Node extends Namespace {
  /** The name of its namespace. */
  readonly netns: string;

  constructor(netns: string) {
    super(netns, "eth0");
    this.netns = netns;
  }

  /** Runs lines of ip(8) in it, in one go. */
  async lines(...lines: readonly string[]): Promise<void> {
    await run("ip", ["-n", this.netns, "-batch", "-"], lines.join("\n"));
  }

  /** Starts a call there that does what it has to do there before it waits, and waits for it. */
  async call<T>(call: () => Promise<T>): Promise<T> {
    return await this.inside(() => ({ promise: call() })).promise;
  }
}

/** The lab. */
export class Lab implements AsyncDisposable {
  readonly h1: Node;
  readonly h2: Node;
  readonly h3: Node;
  readonly h4: Node;
  /** "eth0" to the bridge (10.66.0.254, fd66::254), "eth1" to h4 (10.67.0.254, fd67::254). */
  readonly router: Node;
  /** "br0" with the ports "h1", "h2", "h3" and "router". */
  readonly bridge: Node;
  /** The cable of the host that has a bad one. */
  #line: Cable | null = null;

  private constructor(unique: string) {
    const node = (name: string) => new Node(`sockets${unique}${name}`);
    [this.h1, this.h2, this.h3, this.h4] = [node("h1"), node("h2"), node("h3"), node("h4")];
    [this.router, this.bridge] = [node("r"), node("s")];
  }

  get #all(): readonly Node[] {
    return [this.h1, this.h2, this.h3, this.h4, this.router, this.bridge];
  }

  /** Builds it, ready for use; one of the first three hosts may be on a cable that loses, delays and reorders. */
  static async build(bad?: "h1" | "h2" | "h3"): Promise<Lab> {
    const lab = new Lab(crypto.randomUUID().slice(0, 6));
    try {
      await lab.#build(bad);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
    return lab;
  }

  async #build(bad: HostName | undefined): Promise<void> {
    const { bridge, router, h1, h2, h3, h4 } = this;
    await run("ip", ["-batch", "-"], this.#all.map(({ netns }) => `netns add ${netns}`).join("\n"));
    for (const node of this.#all) {
      // Link-local addresses are there soon, and the second report of each change comes soon after the first.
      for (const which of ["all", "default"]) node.sysctl(`net.ipv6.conf.${which}.accept_dad`, "0");
      node.sysctl("net.ipv4.conf.default.igmpv3_unsolicited_report_interval", "10");
      node.sysctl("net.ipv6.conf.default.mldv2_unsolicited_report_interval", "10");
    }
    for (const key of ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]) router.sysctl(key, "1");
    if (bad !== undefined) {
      this.#line = await Cable.lay(bridge.netns, this[bad].netns, 1, "tap");
      await this[bad].lines(`link set wire0 name eth0 ${ROOM}`);
    }
    // A bridge looks into multicast only where somebody asks the hosts for their groups: it does so itself, and believes
    // the answers after the time that they may take, which must be set before.
    await bridge.lines(
      "link set lo up",
      "link add br0 type bridge mcast_snooping 1 mcast_igmp_version 3 mcast_mld_version 2 forward_delay 0 " +
        "mcast_query_response_interval 10 mcast_startup_query_interval 10 mcast_startup_query_count 2 " +
        "mcast_last_member_interval 10 mcast_last_member_count 1",
      "link set br0 type bridge mcast_querier 1",
      ...[["h1", h1], ["h2", h2], ["h3", h3], ["router", router]].flatMap(([port, node]) => [
        port === bad
          ? `link set wire0 name ${port} ${ROOM}`
          : `link add ${port} type veth peer name eth0 netns ${(node as Node).netns}`,
        `link set ${port} master br0 up`,
      ]),
      // Routers hear every group.
      "link set router type bridge_slave mcast_router 2",
      "link set br0 up",
    );
    await Promise.all([
      ...[h1, h2, h3].map((host, i) =>
        host.lines(
          "link set lo up",
          "link set eth0 up",
          `address add 10.66.0.${i + 1}/24 broadcast 10.66.0.255 dev eth0`,
          `address add fd66::${i + 1}/64 dev eth0 nodad`,
          "route add default via 10.66.0.254",
          "route add ::/0 via fd66::254",
        )
      ),
      router.lines(
        "link set lo up",
        "link set eth0 up",
        "address add 10.66.0.254/24 broadcast 10.66.0.255 dev eth0",
        "address add fd66::254/64 dev eth0 nodad",
        `link add eth1 type veth peer name eth0 netns ${h4.netns}`,
        "link set eth1 up",
        "address add 10.67.0.254/24 broadcast 10.67.0.255 dev eth1",
        "address add fd67::254/64 dev eth1 nodad",
      ),
    ]);
    await h4.lines(
      "link set lo up",
      "link set eth0 up",
      "address add 10.67.0.4/24 broadcast 10.67.0.255 dev eth0",
      "address add fd67::4/64 dev eth0 nodad",
      "route add default via 10.67.0.254",
      "route add ::/0 via fd67::254",
    );
    // Links are noticed some time after both ends are on, and only then does the bridge pass anything.
    await until(() => [h1, h2, h3, h4, router].every((node) => isUp(node, "eth0")));
    while ((await run("ip", ["netns", "exec", bridge.netns, "bridge", "link"])).split("state forwarding").length <= 4) {
      await sleep(2);
    }
  }

  /** The cable of the host that has a bad one. */
  get line(): Cable {
    assert(this.#line !== null, "no host has a bad cable");
    return this.#line;
  }

  /** Joins two hosts by a cable of its own, "eth1" at both ends: 10.68.0.1 and fd68::1, 10.68.0.2 and fd68::2. */
  async cable(one: Node, other: Node): Promise<void> {
    await one.lines(`link add eth1 type veth peer name eth1 netns ${other.netns}`);
    await Promise.all([one, other].map((host, i) =>
      host.lines(
        `address add 10.68.0.${i + 1}/24 broadcast 10.68.0.255 dev eth1`,
        "link set eth1 up",
        `address add fd68::${i + 1}/64 dev eth1 nodad`,
      )
    ));
    await until(() => [one, other].every((host) => isUp(host, "eth1")));
  }

  /** What the bridge knows: groups, with their ports and the senders asked for. */
  async groups(): Promise<string> {
    return await run("ip", ["netns", "exec", this.bridge.netns, "bridge", "-d", "mdb", "show", "dev", "br0"]);
  }

  /** Waits until the bridge knows that a group is asked for at a port: before, it may pass nothing on. */
  async asked(group: string, ...ports: readonly string[]): Promise<void> {
    for (const since = performance.now();; await sleep(2)) {
      const known = await this.groups();
      if (ports.every((port) => known.includes(`port ${port} grp ${group} `))) return;
      assert(performance.now() - since < 10_000, `${group} is not asked for at ${ports}:\n${known}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#line?.stop();
    for (const { netns } of this.#all) {
      await new Deno.Command("ip", { args: ["netns", "delete", netns], stderr: "null" }).output();
    }
  }
}

/** Whether a device of a node has a link. */
function isUp(node: Node, device: string): boolean {
  return node.inside(() => listInterfaces("Cannot test")).some(({ name, up }) => name === device && up);
}

/** Runs a test in a lab, with a host on a bad cable if one is named. */
export async function withLab(body: (lab: Lab) => Promise<void>, bad?: "h1" | "h2" | "h3"): Promise<void> {
  await using lab = await Lab.build(bad);
  await body(lab);
}

/** Words for the records of IGMPv3 (RFC 3376) and MLDv2 (RFC 3810), as tcpdump has them. */
const RECORDS = ["", "is_in", "is_ex", "to_in", "to_ex", "allow", "block"];

/** The records in a packet, without its link-layer header, as "to_ex 239.0.0.1 { 10.0.0.1 }"; none when it is no report. */
export function recordsOf(packet: Bytes): string[] {
  const six = packet[0]! >> 4 === 6;
  let at = six ? 40 : 4 * (packet[0]! & 15);
  if (six) {
    // The report stands behind a header for routers (hop-by-hop).
    if (packet[6] !== 0 || packet[at] !== 58) return [];
    at += 8 * (packet[at + 1]! + 1);
  } else if (packet[9] !== 2) return [];
  if (packet[at] !== (six ? 143 : 0x22)) return [];
  const size = six ? 16 : 4;
  const address = (from: number) => {
    const bytes = packet.subarray(from, from + size);
    if (!six) return bytes.join(".");
    const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8 | bytes[2 * i + 1]!).toString(16));
    return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
  };
  const records: string[] = [];
  const count = packet[at + 6]! << 8 | packet[at + 7]!;
  at += 8;
  for (let i = 0; i < count; i++) {
    const sources = packet[at + 2]! << 8 | packet[at + 3]!;
    const list = Array.from({ length: sources }, (_, j) => address(at + 4 + size * (j + 1)));
    records.push([RECORDS[packet[at]!], address(at + 4), "{", ...list, "}"].join(" "));
    at += 4 + size * (1 + sources) + 4 * packet[at + 1]!;
  }
  return records;
}

/** Records that tell of a change, about groups that begin so. */
export function changesOf(records: readonly string[], prefix: string): string[] {
  return records.filter((record) => !record.startsWith("is_") && record.split(" ")[1]!.startsWith(prefix));
}

/**
 * A packet socket on a device, which hears all that comes in there; with "all" also what goes out. On a port of a bridge
 * only that hears anything.
 */
export class Tap implements Disposable {
  readonly #socket: Socket<"packet">;
  readonly #heard: Bytes[] = [];

  constructor(node: Namespace, device: string, protocol: "ip" | "ipv6" | "all" = "all") {
    this.#socket = node.inside(() => {
      const socket = Socket.open("packet", "dgram");
      const index = RawInterface.indexOf(device);
      socket.bind({ interface: index, protocol: { ip: 0x0800, ipv6: 0x86dd, all: 3 }[protocol] });
      return socket;
    });
  }

  /** All IP packets that came since it was made, outgoing ones too when it hears "all". */
  packets(): readonly Bytes[] {
    for (;;) {
      try {
        const got = this.#socket.tryReceive();
        if (got === null) return this.#heard;
        this.#heard.push(got);
      } catch (error) {
        // Told once, when the device is switched off.
        if ((error as { code?: string }).code !== "ENETDOWN") throw error;
      }
    }
  }

  /** The records of reports that came, about groups that begin so: changes alone, no answers to the switch, which asks now and then. */
  changes(prefix: string): string[] {
    return changesOf(this.packets().flatMap(recordsOf), prefix);
  }

  /** The payloads of UDP datagrams to a port, as text. */
  datagrams(port: number): string[] {
    return this.packets().flatMap((packet) => {
      const six = packet[0]! >> 4 === 6;
      const at = six ? 40 : 4 * (packet[0]! & 15);
      if (packet[six ? 6 : 9] !== 17 || (packet[at + 2]! << 8 | packet[at + 3]!) !== port) return [];
      return [new TextDecoder().decode(packet.subarray(at + 8, at + (packet[at + 4]! << 8 | packet[at + 5]!)))];
    });
  }

  /** Waits until a record comes, behind the first `after` of them. */
  async until(prefix: string, record: string, after: number): Promise<void> {
    try {
      await until(() => this.changes(prefix).slice(after).includes(record));
    } catch {
      throw new Error(`"${record}" is not among ${JSON.stringify(this.changes(prefix).slice(after))}`);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Interfaces without the library. */
class RawInterface {
  static indexOf(device: string): number {
    using socket = RawSocket.open(2, 2);
    const request = new Uint8Array(40); // struct ifreq
    request.set(new TextEncoder().encode(device));
    socket.ioctl(0x8933, request); // SIOCGIFINDEX
    return new DataView(request.buffer).getInt32(16, true);
  }
}

const MRT_INIT = 200, MRT_ADD_VIF = 202, MRT_ADD_MFC = 204;
const IPPROTO_IP = 0, IPPROTO_IGMP = 2, IPPROTO_IPV6 = 41, IPPROTO_ICMPV6 = 58;

/** Has a router pass on the group of a sender from "eth0" to "eth1" as long as the socket that comes back is open. */
export function passOn(router: Node, group: string, source: string): RawSocket {
  const six = group.includes(":");
  const bytes = (text: string): Bytes => {
    if (!six) return Uint8Array.from(text.split("."), Number);
    const [head, tail] = text.split("::").map((half) => half === "" ? [] : half.split(":"));
    const all = [...head!, ...Array(8 - head!.length - tail!.length).fill("0"), ...tail!];
    return Uint8Array.from(all.flatMap((part) => [parseInt(part, 16) >> 8, parseInt(part, 16) & 255]));
  };
  return router.inside(() => {
    const socket = RawSocket.open(six ? 10 : 2, 3, six ? IPPROTO_ICMPV6 : IPPROTO_IGMP);
    const level = six ? IPPROTO_IPV6 : IPPROTO_IP;
    socket.set(level, MRT_INIT, 1);
    for (const [i, device] of ["eth0", "eth1"].entries()) {
      const vif = new Uint8Array(six ? 12 : 16); // struct mif6ctl, vifctl
      const view = new DataView(vif.buffer);
      view.setUint16(0, i, true);
      view.setUint8(2, six ? 0 : 8); // VIFF_USE_IFINDEX
      view.setUint8(3, 1);
      if (six) view.setUint16(4, RawInterface.indexOf(device), true);
      else view.setInt32(8, RawInterface.indexOf(device), true);
      socket.set(level, MRT_ADD_VIF, vif);
    }
    const entry = new Uint8Array(six ? 92 : 60); // struct mf6cctl, mfcctl
    if (six) {
      for (const [i, address] of [source, group].entries()) {
        entry[28 * i] = 10;
        entry.set(bytes(address), 28 * i + 8);
      }
      entry[60] = 1 << 1;
    } else {
      entry.set(bytes(source));
      entry.set(bytes(group), 4);
      // It passes what has more than one hop left.
      entry[10 + 1] = 1;
    }
    socket.set(level, MRT_ADD_MFC, entry);
    return socket;
  });
}
