// Trains behind routers, at receivers in C, and on paths that turn out to take none: what arrives are the datagrams, each once.
// Over one cable and its queue: udp_wire_test.ts. Refusals without a network: ../udp/lesser_kernel_test.ts.
import { assert, assertEquals } from "@std/assert";
import { IP_MTU, IPV6_MTU } from "../../options/mod.ts";
import { Socket } from "../../socket/mod.ts";
import { bindUdp, DatagramBatch } from "../../udp/mod.ts";
import { type Namespace, NAMESPACES, withRoute } from "../multicast/namespace.ts";
import { type Needs, test } from "../needs.ts";
import { until } from "../time.ts";
import type { Program } from "../udp/other_program.ts";
import { Tap } from "./lab.ts";

const NEEDS: Needs = { ...NAMESPACES, run: ["ip", "gcc"], read: true, write: true };
const PORT = 5007;

/** The farthest address of each family, and all addresses. */
const FAMILIES = [
  { far: "10.77.3.2", any: "0.0.0.0" },
  { far: "fd77:3::2", any: "::" },
] as const;

/** The program of peers/udp.c; gone with its folder. */
class Peer implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async build(): Promise<Peer> {
    const folder = await Deno.makeTempDir();
    const { success, stderr } = await new Deno.Command("gcc", {
      args: ["-Wall", "-Wextra", "-Werror", "-o", `${folder}/udp`, new URL("peers/udp.c", import.meta.url).pathname],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return new Peer(folder);
  }

  /** Starts it there; it hears when this has ended. */
  async receive(where: Namespace, hostname: string, count: number, gro: boolean): Promise<Program> {
    const peer = where.program(
      `${this.#folder}/udp`,
      "receive",
      hostname,
      `${PORT}`,
      `${count}`,
      ...gro ? ["gro"] : [],
    );
    assertEquals(await peer.line(), "ready");
    return peer;
  }

  /** Has it send from there. */
  async send(where: Namespace, hostname: string, count: number, size: number): Promise<void> {
    await where.exec(`${this.#folder}/udp`, "send", hostname, `${PORT}`, `${count}`, `${size}`, "gso");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** A datagram as the peers know it. */
function numbered(i: number, size: number): Uint8Array {
  const data = Uint8Array.from({ length: size }, (_, at) => i + at);
  data.set([i & 255, i >> 8]);
  return data;
}

function filled(hostname: string, count: number, size: number): DatagramBatch {
  const batch = new DatagramBatch();
  for (let i = 0; i < count; i++) assert(batch.add(numbered(i, size), { remoteAddr: { hostname, port: PORT } }));
  return batch;
}

/** The bytes of payload in each packet to the port that passed a device. */
function sizes(tap: Tap): number[] {
  return tap.packets().flatMap((packet) => {
    const six = packet[0]! >> 4 === 6;
    const at = six ? 40 : 20;
    const udp = packet[six ? 6 : 9] === 17 && (packet[at + 2]! << 8 | packet[at + 3]!) === PORT;
    return udp ? [packet.byteLength - at - 8] : [];
  });
}

/** Whether something larger than a cable takes went out in one piece: a train. */
function hasTrain(tap: Tap): boolean {
  return sizes(tap).some((size) => size > 1500);
}

for (const { far: hostname, any } of FAMILIES) {
  for (const cuts of [false, true]) {
    const how = cuts ? "that cuts them" : "that passes them on";
    test(`trains to ${hostname} arrive in C behind a router ${how} as separate datagrams`, NEEDS, async () => {
      await using peer = await Peer.build();
      await withRoute(async (near, first, _second, far) => {
        if (cuts) await first.ip("link", "set", "right2", "gso_max_segs", "1");
        using sender = near.inside(() => bindUdp({ hostname: any }));
        for (const gro of [false, true]) {
          using left = new Tap(near, "right1");
          using arrives = new Tap(far, "left3");
          // Two trains and the beginning of a third; of the last datagram there are fewer bytes.
          await using hears = await peer.receive(far, hostname, 110, gro);
          const batch = filled(hostname, 109, 1200);
          assert(batch.add(numbered(109, 77), { remoteAddr: { hostname, port: PORT } }));
          assertEquals([await sender.sendBatch(batch), batch.sent], [110, 110]);
          const [came, calls, verdict] = (await hears.line()).split(" ");
          assertEquals([came, verdict], ["110", "right"]);
          // They did go as trains, and through a router that cuts them as what they are.
          assert(hasTrain(left));
          assertEquals(hasTrain(arrives), !cuts);
          // There may be more than a packet socket has room for.
          if (cuts) assert(sizes(arrives).length > 10 && sizes(arrives).every((size) => size === 1200 || size === 77));
          if (!gro) assertEquals(calls, "110");
          else if (!cuts) assert(Number(calls) < 110, "they were merged");
        }
      });
    });
  }

  test(`trains from C arrive at ${hostname} behind a router as separate datagrams`, NEEDS, async () => {
    await using peer = await Peer.build();
    await withRoute(async (near, first, _second, far) => {
      for (const cuts of [false, true]) {
        if (cuts) await first.ip("link", "set", "right2", "gso_max_segs", "1");
        for (const gro of [false, true]) {
          using receiver = far.inside(() => bindUdp({ hostname, port: PORT, gro, receiveBufferSize: 4_000_000 }));
          await peer.send(near, hostname, 50, 1200);
          const batch = new DatagramBatch();
          let came = 0;
          while (came < 50) {
            const count = await receiver.receiveBatch(batch, { signal: AbortSignal.timeout(5000) });
            for (let i = 0; i < count; i++) {
              assertEquals(batch.data(i), numbered(came++, 1200) as Uint8Array<ArrayBuffer>);
            }
          }
          assertEquals([came, receiver.tryReceive()], [50, null]);
        }
      }
    });
  });

  test(`a path to ${hostname} that turns out to be narrower gets all datagrams, each once`, NEEDS, async () => {
    await using peer = await Peer.build();
    await withRoute(async (near, _first, second, far) => {
      using sender = near.inside(() => bindUdp({ hostname: any }));
      using tap = new Tap(near, "right1");
      {
        await using hears = await peer.receive(far, hostname, 60, false);
        await sender.sendBatch(filled(hostname, 60, 1400));
        assertEquals(await hears.line(), "60 60 right");
        assert(hasTrain(tap), "trains are taken at first");
      }
      await second.ip("link", "set", "right3", "mtu", "1300");
      using looks = near.inside(() => Socket.open(any === "::" ? "inet6" : "inet", "dgram"));
      await looks.connect({ hostname, port: PORT });
      // One that is too large has the router tell of it; it is lost.
      await until(() => {
        looks.trySend(new Uint8Array(1400));
        return (any === "::" ? IPV6_MTU : IP_MTU).get(looks) === 1300;
      });
      // What fits the path still goes in trains, the rest does not.
      for (const size of [1400, 1200]) {
        const before = sizes(tap).length;
        await using hears = await peer.receive(far, hostname, 60, false);
        const batch = filled(hostname, 60, size);
        assertEquals([await sender.sendBatch(batch), batch.sent], [60, 60]);
        assertEquals(await hears.line(), "60 60 right");
        assertEquals(sizes(tap).slice(before).some((bytes) => bytes > 1500), size === 1200);
      }
    });
  });
}
