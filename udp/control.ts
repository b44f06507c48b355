// What goes with a datagram that is sent: source, interface, hop limit, traffic class, checked and made control messages.
// What comes with one that is received: metadata.ts. How control messages look: internal/cmsg.ts.
import { integer, object, shown, text } from "../internal/argument.ts";
import { type ControlMessage, encodeControl } from "../internal/cmsg.ts";
import { constant } from "../internal/constants.ts";
import { familyOf, type InetAddress, ipOf, isMapped, parseIp } from "../internal/sockaddr.ts";
import { addressOf, encodedDestination } from "./address.ts";
import type { OutgoingDatagram, UdpAddress } from "./types.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Settings = Omit<OutgoingDatagram, "data" | "segmentSize">;

/** What datagrams to one destination share, checked. */
export interface RunSettings {
  /** Where to; null for the peer. */
  readonly remoteAddr: UdpAddress | null;
  /** Its sockaddr. */
  readonly address: Bytes | null;
  /** What is in the sockaddr besides host and port: an address of `Socket` may say it. */
  readonly flowInfo: number | undefined;
  readonly source: string | undefined;
  readonly interfaceIndex: number | undefined;
  readonly hopLimit: number | undefined;
  readonly dscp: number | undefined;
  readonly ecn: number | undefined;
}

/** Whether these settings say the same as those before. */
export function sameSettings(one: RunSettings, settings: Settings): boolean {
  const { remoteAddr, localAddr } = settings;
  return one.remoteAddr?.hostname === remoteAddr?.hostname && one.remoteAddr?.port === remoteAddr?.port &&
    one.flowInfo === (remoteAddr as InetAddress | undefined)?.flowInfo && one.source === localAddr?.hostname &&
    one.interfaceIndex === settings.interfaceIndex &&
    one.hopLimit === settings.hopLimit && one.dscp === settings.dscp && one.ecn === settings.ecn;
}

/** Checks them. */
export function settingsOf(settings: Settings, doing: string): RunSettings {
  const { remoteAddr, localAddr, interfaceIndex, hopLimit, dscp, ecn } = object(
    settings,
    `${doing}: the settings`,
    "an object",
  ) as Settings;
  const address = remoteAddr === undefined ? null : encodedDestination("inet", remoteAddr, { doing: () => doing });
  const source = localAddr === undefined
    ? undefined
    : text(object(localAddr, `${doing}: localAddr`, "{ hostname }").hostname, `${doing}: localAddr.hostname`, LITERAL);
  if (source !== undefined && parseIp(source) === null) {
    throw new SyntaxError(`${doing}: localAddr.hostname is ${shown(source)}, it must be ${LITERAL}`);
  }
  const number = (value: number | undefined, name: string, min: number, max: number) =>
    value === undefined ? undefined : integer(value, `${doing}: ${name}`, min, max);
  return {
    remoteAddr: remoteAddr === undefined ? null : addressOf(remoteAddr.hostname, remoteAddr.port),
    address,
    flowInfo: (remoteAddr as InetAddress | undefined)?.flowInfo,
    source,
    interfaceIndex: number(interfaceIndex, "interfaceIndex", 1, 0x7fff_ffff),
    hopLimit: number(hopLimit, "hopLimit", 1, 255),
    dscp: number(dscp, "dscp", 0, 63),
    ecn: number(ecn, "ecn", 0, 3),
  };
}
const LITERAL = "a literal address";

/** What is said besides where to: the first such word, as people write it. */
export function wordOf(settings: RunSettings): keyof Settings | undefined {
  if (settings.source !== undefined) return "localAddr";
  return (["interfaceIndex", "hopLimit", "dscp", "ecn"] as const).find((name) => settings[name] !== undefined);
}

/** A socket that is to send. */
export interface ControlSender {
  readonly family: "inet" | "inet6";
  /** The address of the peer, when it is connected. */
  readonly peer: Bytes | null;
  /** The TOS or traffic class that the socket has: for those that say one half of it alone. */
  trafficClass(ipv4: boolean): number;
}

/** The control messages that say so; null where there is nothing to say. */
export function controlOf(settings: RunSettings, sender: ControlSender, doing: string): Bytes | null {
  const { source, interfaceIndex, hopLimit, dscp, ecn } = settings;
  const any = source ?? interfaceIndex ?? hopLimit ?? dscp ?? ecn;
  if (any === undefined) return null;
  const { family } = sender;
  const ipv4 = goesByIpv4(settings.address ?? sender.peer, family);
  const messages: ControlMessage[] = [];
  if (source !== undefined || interfaceIndex !== undefined) {
    messages.push({
      name: family === "inet" ? "IP_PKTINFO" : "IPV6_PKTINFO",
      hostname: sourceOn(family, source, ipv4),
      interfaceIndex: interfaceIndex ?? 0,
    });
  }
  if (hopLimit !== undefined) messages.push({ name: ipv4 ? "IP_TTL" : "IPV6_HOPLIMIT", value: hopLimit });
  if (dscp !== undefined || ecn !== undefined) {
    const other = dscp === undefined || ecn === undefined ? sender.trafficClass(ipv4) : 0;
    messages.push({
      name: ipv4 ? "IP_TOS" : "IPV6_TCLASS",
      value: (dscp ?? other >>> 2) << 2 | (ecn ?? other & 3),
    });
  }
  return encodeControl(messages, family, doing, {
    type: "dgram",
    protocol: constant("IPPROTO_UDP", "linux"),
    mapped: family === "inet6" && ipv4,
  }, "linux");
}

function goesByIpv4(address: Bytes | null, family: "inet" | "inet6"): boolean {
  if (family === "inet" || address === null) return family === "inet";
  if (familyOf(address, "linux") === constant("AF_INET", "linux")) return true;
  const ip = ipOf(address, "linux");
  return ip !== null && isMapped(ip);
}

/** A source in the family of the socket; without one the kernel chooses it. */
function sourceOn(family: "inet" | "inet6", source: string | undefined, ipv4: boolean): string {
  if (family === "inet") return source ?? "0.0.0.0";
  if (source === undefined) return ipv4 ? "::ffff:0.0.0.0" : "::";
  return source.includes(":") ? source : `::ffff:${source}`;
}
