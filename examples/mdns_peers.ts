// The two sides of multicast DNS (RFC 6762) and its services (RFC 6763): one announces a service, one looks for them.
// The program, with its flags: mdns.ts. The sockets: mdns_link.ts.
//
// Left out: the tie-break of two that probe for one name at the same moment, conflicts after the announcement, known
// answers over several messages, negative answers, and names with a dot in a label, which dns-packet cannot write.
// @ts-types="./dns_packet.d.ts"
import { AUTHORITATIVE_ANSWER } from "npm:dns-packet@5.6.1";
import type { DnsPacket, DnsQuestion, DnsRecord } from "./dns_packet.d.ts";
import { type Link, type Message, type Place, PORT } from "./mdns_link.ts";

/** Seconds that a record holds: those that name a host or its addresses, and the others. */
const HOST_TTL = 120, OTHER_TTL = 4_500;
/** The class of a question that wants its answer by unicast: IN, with the highest bit set. */
const UNICAST_RESPONSE = `UNKNOWN_${0x8001}`;

/** A service to announce. */
export interface Service {
  /** The name that people see, without a dot. */
  readonly name: string;
  /** Such as "_http._tcp". */
  readonly type: string;
  readonly port: number;
  /** What else is to be known, as "key=value". */
  readonly txt: readonly string[];
}

/** Announces a service. */
export class Announcer {
  readonly #link: Link;
  readonly #service: Service;
  readonly #host = `deno-${crypto.randomUUID().slice(0, 8)}.local`;
  /** When records were sent last, by place and record. */
  readonly #sent = new Map<string, number>();
  #instance = "";
  #state: "probing" | "announced" | "over" = "probing";
  #conflict = Promise.withResolvers<"conflict">();
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(link: Link, service: Service) {
    this.#link = link;
    this.#service = service;
  }

  /** Finds a name that nobody has, announces the service under it, and tells the name. */
  async start(): Promise<string> {
    this.#link.receive((message) => message.packet.type === "query" ? this.#answer(message) : this.#check(message));
    await sleep(250 * Math.random());
    let name = this.#service.name;
    for (let i = 2; !await this.#probe(name); i++) name = `${this.#service.name} (${i})`;
    this.#state = "announced";
    this.#link.onChange = (place) => this.#state === "announced" && this.#announce(1, [place]);
    await this.#announce(1);
    // Once more, as the first may be lost.
    this.#again = setTimeout(() => this.#announce(1), 1_000);
    return name;
  }

  /** Says goodbye: the records hold no longer. */
  async stop(): Promise<void> {
    this.#state = "over";
    clearTimeout(this.#again);
    await this.#announce(0);
  }

  /** Asks three times whether anybody has the names already; no answer is consent. */
  async #probe(name: string): Promise<boolean> {
    this.#instance = `${name}.${this.#service.type}.local`;
    this.#conflict = Promise.withResolvers();
    for (let i = 0; i < 3; i++) {
      await this.#link.send((place) => ({
        questions: [this.#instance, this.#host].map((name) => ({ name, type: "ANY" })),
        authorities: this.#records(place).flatMap(({ flush, ...record }) => flush ? [record as DnsRecord] : []),
      }));
      if (await Promise.race([this.#conflict.promise, sleep(250)]) === "conflict") return false;
    }
    return true;
  }

  #check({ packet: { answers } }: Message): void {
    if (answers.some(({ name }) => same(name, this.#instance))) this.#conflict.resolve("conflict");
  }

  async #announce(factor: 0 | 1, places?: readonly Place[]): Promise<void> {
    await this.#link.send((place) => {
      // Others may have services of this type too.
      const records = this.#records(place).filter(({ data }) => factor === 1 || data !== `${this.#service.type}.local`);
      this.#limit(place, records);
      return response(records.map((record) => ({ ...record, ttl: factor * record.ttl! })));
    }, places);
  }

  /** All that there is to say, with the addresses that count on this interface. Flush: nobody else has such a record. */
  #records({ addresses }: Place): DnsRecord[] {
    const { type, port, txt } = this.#service;
    const instance = this.#instance, host = this.#host;
    return [
      { name: "_services._dns-sd._udp.local", type: "PTR", ttl: OTHER_TTL, data: `${type}.local` },
      { name: `${type}.local`, type: "PTR", ttl: OTHER_TTL, data: instance },
      { name: instance, type: "SRV", ttl: HOST_TTL, flush: true, data: { priority: 0, weight: 0, port, target: host } },
      { name: instance, type: "TXT", ttl: OTHER_TTL, flush: true, data: txt.length > 0 ? [...txt] : [""] },
      ...addresses.map((data): DnsRecord => {
        return { name: host, type: data.includes(":") ? "AAAA" : "A", ttl: HOST_TTL, flush: true, data };
      }),
    ];
  }

  async #answer(message: Message): Promise<void> {
    const { packet, datagram } = message;
    const place = this.#link.placeOf(message);
    if (this.#state !== "announced" || place === undefined) return;
    const records = this.#records(place);
    const answered = (question: DnsQuestion) =>
      records.filter(({ name, type }) => same(name, question.name) && [type, "ANY"].includes(question.type));
    // What the asker knows, for more than half of its time yet, is not said again.
    let answers = [...new Set(packet.questions.flatMap(answered))].filter((record) =>
      !packet.answers.some((known) => key(known) === key(record) && known.ttl! >= record.ttl! / 2)
    );
    if (answers.length === 0) return;
    // One that asks from another port knows DNS alone, and is answered as by a server, for a short time.
    if (datagram.remoteAddr.port !== PORT) {
      const { id, questions } = packet;
      const simple = answers.map((record) => ({ ...record, ttl: Math.min(record.ttl!, 10), flush: false }));
      return await this.#link.reply(message, { ...response(simple), id, questions });
    }
    if (packet.questions.every((question) => question.class === UNICAST_RESPONSE)) {
      return await this.#link.reply(message, response(answers, this.#additionals(answers, records)));
    }
    // Several may have an answer: they shall not all speak at once.
    if (answers.some(({ flush }) => !flush)) await sleep(20 + 100 * Math.random());
    // Nothing is said twice within a second, except to those who want the name.
    if (packet.authorities.length === 0) answers = this.#limit(place, answers);
    if (answers.length > 0) {
      await this.#link.send(() => response(answers, this.#additionals(answers, records)), [place]);
    }
  }

  /** What whoever gets these answers will ask for next. */
  #additionals(answers: readonly DnsRecord[], records: readonly DnsRecord[]): DnsRecord[] {
    const all = answers.some(({ data }) => data === this.#instance);
    return records.filter((record) => record.flush && !answers.includes(record) && (all || record.name === this.#host));
  }

  /** Those that were not sent there within the last second; from now on they are. */
  #limit({ index, socket }: Place, records: readonly DnsRecord[]): DnsRecord[] {
    const now = performance.now();
    return records.filter((record) => {
      const which = `${index} ${socket.membership.group} ${key(record)}`;
      const due = now - (this.#sent.get(which) ?? -Infinity) >= 1_000;
      if (due) this.#sent.set(which, now);
      return due;
    });
  }
}

/** A service that was found, on one interface. */
export interface Found {
  readonly name: string;
  readonly interface: string;
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly string[];
  readonly txt: readonly string[];
}

/** What is known, and until when. */
interface Entry {
  readonly record: DnsRecord;
  readonly index: number;
  readonly since: number;
  until: number;
}

/** Looks for the services of a type. */
export class Browser {
  readonly #link: Link;
  readonly #type: string;
  readonly #tell: (kind: "found" | "changed" | "lost", service: Found) => void;
  readonly #cache = new Map<string, Entry>();
  readonly #told = new Map<string, Found>();
  readonly #asked = new Set<string>();

  constructor(link: Link, type: string, tell: (kind: "found" | "changed" | "lost", service: Found) => void) {
    this.#link = link;
    this.#type = `${type}.local`;
    this.#tell = tell;
  }

  /** Asks now, and ever more seldom; tells what is found and lost until the signal ends it. */
  async run(signal: AbortSignal): Promise<void> {
    this.#link.receive((message) => this.#learn(message));
    await sleep(20 + 100 * Math.random());
    let next = performance.now(), interval = 1_000;
    for (; !signal.aborted; await sleep(100)) {
      this.#look();
      if (performance.now() < next) continue;
      this.#asked.clear();
      // Not by unicast: this socket shares its port, and another one might get the answer.
      await this.#link.send(({ index }) => ({
        questions: [{ name: this.#type, type: "PTR" }],
        answers: this.#known(index, this.#type, "PTR").flatMap(({ record, since, until }) => {
          const ttl = Math.round((until - performance.now()) / 1_000);
          return 2_000 * ttl > until - since ? [{ ...record, ttl, flush: false }] : [];
        }),
      }));
      next += interval;
      interval = Math.min(2 * interval, 3_600_000);
    }
  }

  #known(index: number, name: string, type: DnsRecord["type"]): Entry[] {
    return this.#cache.values().filter((entry) =>
      entry.index === index && entry.record.type === type && same(entry.record.name, name)
    ).toArray();
  }

  #learn({ packet, datagram: { interfaceIndex: index } }: Message): void {
    if (packet.type !== "response") return;
    const now = performance.now();
    for (const record of [...packet.answers, ...packet.additionals]) {
      if (record.ttl === undefined) continue;
      // It is the only one there is: what was told before, in another message, holds no longer.
      const others = record.flush ? this.#known(index, record.name, record.type) : [];
      for (const entry of others) if (entry.since < now - 1_000) entry.until = Math.min(entry.until, now + 1_000);
      // Goodbye: a second for others to object.
      const until = now + 1_000 * Math.max(record.ttl, 1);
      this.#cache.set(`${index} ${key(record)}`, { record, index, since: now, until });
    }
    this.#look();
  }

  /** Tells what is complete, asks for what is missing, forgets what is over. */
  #look(): void {
    const now = performance.now();
    for (const [key, { until }] of this.#cache) if (until <= now) this.#cache.delete(key);
    const there = new Set<string>();
    for (const { record, index } of this.#cache.values()) {
      if (record.type !== "PTR" || !same(record.name, this.#type)) continue;
      there.add(`${index} ${record.data}`);
      this.#resolve(index, record.data);
    }
    for (const [key, service] of this.#told) {
      if (there.has(key)) continue;
      this.#told.delete(key);
      this.#tell("lost", service);
    }
  }

  #resolve(index: number, instance: string): void {
    const records = <T extends DnsRecord["type"]>(name: string, type: T) =>
      this.#known(index, name, type).map(({ record }) => record as DnsRecord & { type: T });
    const [srv] = records(instance, "SRV");
    const [txt] = records(instance, "TXT");
    if (srv === undefined || txt === undefined) return this.#ask(index, instance, "SRV", "TXT");
    const { target: host, port } = srv.data;
    const addresses = [...records(host, "A"), ...records(host, "AAAA")].map(({ data }) => data).sort();
    if (addresses.length === 0) return this.#ask(index, host, "A", "AAAA");
    const service: Found = {
      name: instance.slice(0, -this.#type.length - 1),
      interface: this.#link.nameOf(index),
      host,
      port,
      addresses,
      txt: txt.data.map(String).filter((text) => text !== ""),
    };
    const before = this.#told.get(`${index} ${instance}`);
    if (JSON.stringify(before) === JSON.stringify(service)) return;
    this.#told.set(`${index} ${instance}`, service);
    this.#tell(before === undefined ? "found" : "changed", service);
  }

  /** Asks for what nobody has told yet, once until the next round. */
  #ask(index: number, name: string, ...types: DnsQuestion["type"][]): void {
    const which = `${index} ${name}`;
    if (this.#asked.has(which)) return;
    this.#asked.add(which);
    const questions = types.map((type) => ({ name, type }));
    this.#link.send((place) => place.index === index ? { questions } : null);
  }
}

function response(answers: readonly DnsRecord[], additionals: readonly DnsRecord[] = []): DnsPacket {
  // The encoder changes the texts it is given.
  const copy = (record: DnsRecord) => record.type === "TXT" ? { ...record, data: [...record.data] } : record;
  return {
    type: "response",
    flags: AUTHORITATIVE_ANSWER,
    answers: answers.map(copy),
    additionals: additionals.map(copy),
  };
}

/** What makes a record another one. */
function key({ name, ...record }: DnsRecord): string {
  const { type, data } = record;
  return JSON.stringify([name.toLowerCase(), type, record.type === "TXT" ? record.data.map(String) : data]);
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
