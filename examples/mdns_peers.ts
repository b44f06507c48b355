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
/** Conflicts after which probes become rare, and milliseconds between them then (RFC 6762 section 8.1). */
const CONFLICTS = 15, RARE = 5_000;
/** Records that are remembered at the same time: anybody may send any number. */
const RECORDS = 2_000;

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

  /** Finds a name that nobody has, announces the service under it, and tells the name; null when the signal ends it before. */
  async start(signal: AbortSignal): Promise<string | null> {
    this.#link.receive((message) => message.packet.type === "query" ? this.#answer(message) : this.#check(message));
    await sleep(250 * Math.random());
    let name = this.#service.name;
    for (let i = 2; !await this.#probe(name); i++) {
      if (i > CONFLICTS) await sleep(RARE, signal);
      if (signal.aborted) return null;
      name = `${this.#service.name} (${i})`;
    }
    if (signal.aborted) return null;
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
      const enough = new AbortController();
      const came = await Promise.race([this.#conflict.promise, sleep(250, enough.signal)]);
      enough.abort();
      if (came === "conflict") return false;
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
  /** When it is asked for again, as it is over soon. */
  renewal: number;
  /** What was asked for last because of it, when that is asked for again, and milliseconds between. */
  missing: { readonly name: string; readonly after: number; readonly wait: number } | null;
}

/** Looks for the services of a type. */
export class Browser {
  readonly #link: Link;
  readonly #type: string;
  readonly #tell: (kind: "found" | "changed" | "lost", service: Found) => void;
  /** By interface, type and name; then by what makes a record another one. */
  readonly #cache = new Map<string, Map<string, Entry>>();
  #size = 0;
  readonly #told = new Map<string, Found>();

  constructor(link: Link, type: string, tell: (kind: "found" | "changed" | "lost", service: Found) => void) {
    this.#link = link;
    this.#type = `${type}.local`;
    this.#tell = tell;
  }

  /** Asks now, and ever more seldom; tells what is found and lost until the signal ends it. */
  async run(signal: AbortSignal): Promise<void> {
    this.#link.receive((message) => this.#learn(message));
    await sleep(20 + 100 * Math.random());
    let next = performance.now(), interval = 1_000, last = -Infinity;
    // Nobody there was asked yet.
    this.#link.onChange = () => {
      next = Math.min(next, Math.max(performance.now(), last + 1_000));
      interval = 1_000;
    };
    for (; !signal.aborted; await sleep(100)) {
      this.#look();
      if (performance.now() < next) continue;
      last = performance.now();
      await this.#query(this.#type, "PTR");
      next += interval;
      interval = Math.min(2 * interval, 3_600_000);
    }
  }

  /** Asks, by one interface or by all. Not for unicast: this socket shares its port, and another one might get the answer. */
  async #query(name: string, type: DnsRecord["type"], by?: number): Promise<void> {
    await this.#link.send(({ index }) =>
      by !== undefined && by !== index ? null : {
        questions: [{ name, type }],
        // Those whose time is not half over need not be told.
        answers: this.#known(index, name, type).flatMap(({ record, since, until }) => {
          const ttl = Math.round((until - performance.now()) / 1_000);
          return 2_000 * ttl > until - since ? [{ ...record, ttl, flush: false } as DnsRecord] : [];
        }),
      }
    );
  }

  #known(index: number, name: string, type: DnsRecord["type"]): Entry[] {
    return [...this.#cache.get(among(index, name, type))?.values() ?? []];
  }

  #learn({ packet, datagram: { interfaceIndex: index } }: Message): void {
    if (packet.type !== "response") return;
    const now = performance.now();
    for (const record of [...packet.answers, ...packet.additionals]) {
      if (record.ttl === undefined || !this.#matters(record)) continue;
      // It is the only one there is: what was told before, in another message, holds no longer.
      const others = record.flush ? this.#known(index, record.name, record.type) : [];
      for (const entry of others) {
        if (entry.since < now - 1_000) {
          entry.until = Math.min(entry.until, now + 1_000);
          entry.renewal = Infinity;
        }
      }
      const where = among(index, record.name, record.type);
      const entries = this.#cache.get(where) ?? new Map<string, Entry>();
      const before = entries.get(key(record));
      if (before === undefined && ++this.#size > RECORDS) {
        this.#size = RECORDS;
        continue;
      }
      // Goodbye: a second for others to object.
      const until = now + 1_000 * Math.max(record.ttl, 1);
      const renewal = record.ttl === 0 ? Infinity : now + 800 * record.ttl;
      entries.set(key(record), { record, index, since: now, until, renewal, missing: before?.missing ?? null });
      this.#cache.set(where, entries);
    }
    this.#look();
  }

  /** Whether a record can be part of a service of the type. */
  #matters({ name, type }: DnsRecord): boolean {
    if (type === "PTR") return same(name, this.#type);
    if (type === "SRV" || type === "TXT") return name.toLowerCase().endsWith(`.${this.#type.toLowerCase()}`);
    return type === "A" || type === "AAAA";
  }

  /** Tells what is complete, asks for what is missing, forgets what is over. */
  #look(): void {
    const now = performance.now();
    for (const [where, entries] of this.#cache) {
      for (const [key, { until }] of entries) if (until <= now && entries.delete(key)) this.#size--;
      if (entries.size === 0) this.#cache.delete(where);
    }
    const there = new Set<string>();
    for (const entry of this.#cache.values().flatMap((entries) => entries.values())) {
      const { record, index } = entry;
      if (record.type !== "PTR") continue;
      there.add(`${index} ${record.data}`);
      this.#resolve(entry, record.data);
    }
    for (const [key, service] of this.#told) {
      if (there.has(key)) continue;
      this.#told.delete(key);
      this.#tell("lost", service);
    }
  }

  #resolve(pointer: Entry, instance: string): void {
    const { index } = pointer;
    const used = [pointer];
    const records = <T extends DnsRecord["type"]>(name: string, type: T) => {
      const entries = this.#known(index, name, type);
      used.push(...entries);
      return entries.map(({ record }) => record as DnsRecord & { type: T });
    };
    const [srv] = records(instance, "SRV");
    const [txt] = records(instance, "TXT");
    if (srv === undefined || txt === undefined) return this.#ask(pointer, instance, "SRV", "TXT");
    const { target: host, port } = srv.data;
    const addresses = [...records(host, "A"), ...records(host, "AAAA")].map(({ data }) => data).sort();
    if (addresses.length === 0) return this.#ask(pointer, host, "A", "AAAA");
    this.#renew(used);
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

  /** Asks once more for what is over soon, four times at most (RFC 6762 section 5.2). */
  #renew(entries: readonly Entry[]): void {
    const now = performance.now();
    for (const entry of entries) {
      const { record: { name, type }, index, since, until, renewal } = entry;
      if (now < renewal) continue;
      entry.renewal += (until - since) / 20;
      this.#query(name, type, index);
    }
  }

  /** Asks for what nobody has told yet, ever more seldom. */
  #ask(pointer: Entry, name: string, ...types: DnsQuestion["type"][]): void {
    const now = performance.now();
    const before = pointer.missing?.name === name ? pointer.missing : null;
    if (before !== null && now < before.after) return;
    const wait = before === null ? 1_000 : 2 * before.wait;
    pointer.missing = { name, after: now + wait, wait };
    const questions = types.map((type) => ({ name, type }));
    this.#link.send((place) => place.index === pointer.index ? { questions } : null);
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

/** Under what records of one name are remembered. */
function among(index: number, name: string, type: string): string {
  return `${index} ${type} ${name.toLowerCase()}`;
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Waits so long, or until the signal ends it. */
function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
