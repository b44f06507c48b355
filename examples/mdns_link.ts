// Messages of multicast DNS (RFC 6762): sockets in its groups on every interface, of both families.
// What is said in them: mdns_peers.ts.
import { Buffer } from "node:buffer";
import { type InterfaceSelector, listenMulticast, type MulticastSocket } from "@berkeley/sockets/multicast";
import type { Datagram } from "@berkeley/sockets/udp";
// @ts-types="./dns_packet.d.ts"
import { decode, encode } from "npm:dns-packet@5.6.1";
import type { DnsPacket } from "./dns_packet.d.ts";
import { type SendingInterface, sendingInterfaces } from "./sending_interfaces.ts";

/** The port of all that speak multicast DNS. */
export const PORT = 5353;
/** The bits of OPCODE and RCODE: where one is set, a message says something else (RFC 6762 section 18). */
const FOREIGN = 0x780f;
const GROUPS = ["224.0.0.251", "ff02::fb"];

type Socket = MulticastSocket<"hopLimit">;

/** An interface where a group is joined, and the socket that joined it. */
export interface Place extends SendingInterface {
  readonly socket: Socket;
}

/** A message that came in. */
export interface Message {
  readonly packet: Required<DnsPacket>;
  readonly datagram: Datagram<"localAddr" | "interfaceIndex" | "hopLimit">;
  readonly socket: Socket;
}

/** The groups of multicast DNS, of IPv4 and IPv6, on the interfaces that were asked for. */
export class Link implements Disposable {
  readonly #sockets: readonly Socket[];
  /** Called with an interface that appeared, came up or has another address. */
  onChange?: (place: Place) => unknown;

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
    for (const socket of sockets) {
      socket.membership.onChange = ({ interface: { index } }) => {
        for (const place of this.#places) if (place.socket === socket && place.index === index) this.onChange?.(place);
      };
    }
  }

  /** Joins both groups; one is enough where a machine has no more. */
  static async open(where: InterfaceSelector | { all: true }): Promise<Link> {
    const joined = await Promise.allSettled(GROUPS.map((group) =>
      listenMulticast({
        group,
        port: PORT,
        interface: where,
        // What comes from here has not passed a router, and others may check it.
        hopLimit: 255,
        multicast: { hopLimit: 255 },
        metadata: ["hopLimit"],
      })
    ));
    const sockets = joined.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
    const [refusal] = joined.flatMap((one) => one.status === "rejected" ? [one.reason as Error] : []);
    if (sockets.length === 0) throw refusal;
    if (refusal !== undefined) console.error(`goes on without one family: ${refusal.message}`);
    return new Link(sockets);
  }

  /** Where messages can go out now. */
  get #places(): Place[] {
    return this.#sockets.flatMap((socket) => {
      const { group, interfaces } = socket.membership;
      return sendingInterfaces(group).filter(({ name }) => interfaces.includes(name)).map((one) => ({
        socket,
        ...one,
      }));
    });
  }

  /** The name of an interface, while it is there. */
  nameOf(index: number): string {
    return this.#places.find((place) => place.index === index)?.name ?? `interface ${index}`;
  }

  /** The place where a message came in. */
  placeOf({ socket, datagram }: Message): Place | undefined {
    return this.#places.find((place) => place.socket === socket && place.index === datagram.interfaceIndex);
  }

  /** Sends by each place what belongs there; null is nothing. */
  async send(make: (place: Place) => DnsPacket | null, places: readonly Place[] = this.#places): Promise<void> {
    for (const place of places) {
      const packet = make(place);
      // It may go down or lose its address meanwhile, which is no matter of the others.
      if (packet) await tell(() => place.socket.sendToGroup(encode(packet), { interface: place.index }));
    }
  }

  /** Answers who sent a message, and nobody else. */
  async reply({ socket, datagram }: Message, packet: DnsPacket): Promise<void> {
    await tell(() => socket.reply(datagram, encode(packet)));
  }

  /** Hands over messages until the link is closed. */
  async receive(handle: (message: Message) => void): Promise<void> {
    await Promise.all(this.#sockets.map(async (socket) => {
      for await (const datagram of socket.messages()) {
        const { data, localAddr, hopLimit, remoteAddr } = datagram;
        // Only what was sent on this link counts: to the group, or over no router.
        if (localAddr.hostname.split("%")[0] !== socket.membership.group && hopLimit !== 255) continue;
        let packet: Required<DnsPacket>;
        try {
          packet = decode(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
        } catch {
          continue; // Anybody may send anything.
        }
        if (packet.type === "response" && remoteAddr.port !== PORT) continue;
        if ((packet.flags & FOREIGN) !== 0) continue;
        handle({ packet, datagram, socket });
      }
    }));
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket[Symbol.dispose]();
  }
}

/** Tells of a failure that is no reason to end. */
async function tell(send: () => Promise<unknown>): Promise<void> {
  await send().catch((error) => console.error(error.message));
}
