// The types of npm's dns-packet as mdns_link.ts and mdns_peers.ts use it. Those on npm bring the types of node along, which
// would be taken for those of the whole project.
import type { Buffer } from "node:buffer";

/** The records that services are made of, and others as far as they are passed over. */
export type DnsRecord =
  & { readonly name: string; readonly ttl?: number; readonly flush?: boolean; readonly class?: string }
  & (
    | { readonly type: "A" | "AAAA" | "PTR"; readonly data: string }
    | {
      readonly type: "SRV";
      readonly data: {
        readonly priority: number;
        readonly weight: number;
        readonly port: number;
        readonly target: string;
      };
    }
    | { readonly type: "TXT"; readonly data: readonly (string | Buffer)[] }
    | { readonly type: "NSEC" | "HINFO" | "OPT"; readonly data?: unknown }
  );

export interface DnsQuestion {
  readonly name: string;
  readonly type: DnsRecord["type"] | "ANY";
  /** "IN", "ANY", or "UNKNOWN_" and the number. */
  readonly class?: string;
}

export interface DnsPacket {
  readonly type?: "query" | "response";
  readonly id?: number;
  readonly flags?: number;
  readonly questions?: readonly DnsQuestion[];
  readonly answers?: readonly DnsRecord[];
  readonly authorities?: readonly DnsRecord[];
  readonly additionals?: readonly DnsRecord[];
}

export declare const AUTHORITATIVE_ANSWER: number;
/** What comes back has all four lists. */
export declare function decode(bytes: Buffer): Required<DnsPacket>;
export declare function encode(packet: DnsPacket): Uint8Array<ArrayBuffer>;
