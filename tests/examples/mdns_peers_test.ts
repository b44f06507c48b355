// The two sides of examples/mdns_peers.ts without a network: what they ask and when, of peers that are slow, few-worded or
// hostile. On sockets: mdns_test.ts. With Avahi and zeroconf: ../lab/mdns_test.ts.
import { assert, assertEquals } from "@std/assert";
import type { DnsPacket, DnsQuestion, DnsRecord } from "../../examples/dns_packet.d.ts";
import type { Link, Message, Place } from "../../examples/mdns_link.ts";
import { Announcer, Browser, type Found } from "../../examples/mdns_peers.ts";
import { test } from "../needs.ts";
import { assertWithin, until } from "../time.ts";

/** A link to nobody but the test, with one interface. */
class TestLink {
  onChange?: (place: Place) => unknown;
  /** What was sent, and when. */
  readonly sent: { packet: DnsPacket; at: number }[] = [];
  readonly #answer: (packet: DnsPacket) => DnsRecord[];
  #handle: (message: Message) => void = () => {};

  /** Each message that is sent is answered so. */
  constructor(answer: (packet: DnsPacket) => DnsRecord[] = () => []) {
    this.#answer = answer;
  }

  get asLink(): Link {
    return this as unknown as Link;
  }

  receive(handle: (message: Message) => void): Promise<void> {
    this.#handle = handle;
    return Promise.resolve();
  }

  send(make: (place: Place) => DnsPacket | null): Promise<void> {
    const packet = make({ index: 1, name: "eth0", addresses: ["192.0.2.1"] } as unknown as Place);
    if (packet === null) return Promise.resolve();
    this.sent.push({ packet, at: performance.now() });
    const answers = this.#answer(packet);
    if (answers.length > 0) this.hear(answers);
    return Promise.resolve();
  }

  hear(answers: readonly DnsRecord[]): void {
    const packet = { type: "response", questions: [], answers, authorities: [], additionals: [] };
    this.#handle({ packet, datagram: { interfaceIndex: 1 } } as unknown as Message);
  }

  nameOf(): string {
    return "eth0";
  }

  /** How often something was asked. */
  asked(type: DnsQuestion["type"]): number {
    return this.sent.filter(({ packet }) => packet.questions?.some((one) => one.type === type)).length;
  }
}

/** What is tested: they take seconds by the clock of the protocol, so all run at once. */
const CASES = new Map<string, () => Promise<void>>();

const TYPE = "_http._tcp.local";
const INSTANCE = `one.${TYPE}`;

/** What a service says, each record for so long. */
function records(ttl: Partial<Record<DnsRecord["type"], number>> = {}, instance = INSTANCE): DnsRecord[] {
  const data = { priority: 0, weight: 0, port: 80, target: "one.local" };
  return [
    { name: TYPE, type: "PTR", ttl: ttl.PTR ?? 4500, data: instance },
    { name: instance, type: "SRV", ttl: ttl.SRV ?? 120, flush: true, data },
    { name: instance, type: "TXT", ttl: ttl.TXT ?? 4500, flush: true, data: [""] },
    { name: "one.local", type: "A", ttl: ttl.A ?? 120, flush: true, data: "192.0.2.2" },
  ];
}

/** Runs a browser on a link until the body ends; it notes what is told. */
async function browsing(link: TestLink, body: (told: string[]) => Promise<void>): Promise<void> {
  const over = new AbortController();
  const told: string[] = [];
  const tell = (kind: string, { name }: Found) => told.push(`${kind} ${name}`);
  const running = new Browser(link.asLink, "_http._tcp", tell).run(over.signal);
  try {
    await body(told);
  } finally {
    over.abort();
    await running;
  }
}

CASES.set("a browser asks again before what it knows is over, and loses nothing that is still there", async () => {
  await Promise.all((["PTR", "SRV", "A"] as const).map(async (type) => {
    const link = new TestLink(({ questions = [] }) =>
      records({ [type]: 2 }).filter((record) =>
        questions.some((one) => one.name === record.name && one.type === record.type)
      )
    );
    await browsing(link, async (told) => {
      // The rounds alone would take three times as long, and leave what was known to end meanwhile.
      await until(() => link.asked(type) >= 5);
      assertEquals(told, ["found one"]);
    });
  }));
});

CASES.set("a browser asks again for what was not answered, ever more seldom", async () => {
  const link = new TestLink();
  await browsing(link, async (told) => {
    link.hear(records().slice(0, 1));
    await until(() => link.asked("SRV") === 3);
    const at = link.sent.filter(({ packet }) => packet.questions![0]!.type === "SRV").map(({ at }) => at);
    assert(at[1]! - at[0]! >= 950 && at[2]! - at[1]! >= 1_950, `asked at ${at}`);
    link.hear(records().slice(1));
    assertEquals(told, ["found one"]);
  });
});

CASES.set("a browser asks on an interface that appears, however long it has been asking", async () => {
  const link = new TestLink();
  await browsing(link, async () => {
    await until(() => link.asked("PTR") === 3);
    // The next would be after 4 s, and then after 8 s.
    link.onChange!({} as Place);
    await assertWithin(2_000, until(() => link.asked("PTR") === 5));
  });
});

CASES.set("a browser remembers so much and no more, and nothing that is of no use to it", async () => {
  const link = new TestLink();
  await browsing(link, async (told) => {
    await until(() => link.asked("PTR") === 1);
    for (let i = 0; i < 100; i++) {
      link.hear(
        Array.from({ length: 50 }, (_, j) => ({ name: "x.local", type: "PTR", ttl: 4500, data: `${i} ${j}.x.local` })),
      );
    }
    link.hear(records());
    assertEquals(told, ["found one"]);
    for (let i = 0; i < 100; i++) {
      link.hear(
        Array.from({ length: 50 }, (_, j) => ({ name: TYPE, type: "PTR", ttl: 4500, data: `${i} ${j}.${TYPE}` })),
      );
    }
    const before = link.sent.length;
    // What it remembers shows in what it does not ask to be told again.
    await until(() => link.sent.slice(before).some(({ packet }) => packet.questions![0]!.type === "PTR"));
    const { packet } = link.sent.slice(before).find(({ packet }) => packet.questions![0]!.type === "PTR")!;
    assert(packet.answers!.length < 2_000, `${packet.answers!.length} answers are known`);
  });
});

CASES.set("an announcer whose every name is taken probes seldom in the end, and can be stopped", async () => {
  const link = new TestLink(({ questions = [], authorities = [] }) =>
    authorities.length === 0 ? [] : records({}, questions[0]!.name)
  );
  const over = new AbortController();
  const service = { name: "one", type: "_http._tcp", port: 80, txt: [] };
  const starting = new Announcer(link.asLink, service).start(over.signal);
  await until(() => link.sent.length === 16);
  const [fifteenth, next] = link.sent.slice(14).map(({ at }) => at);
  // A timer may be early by what the clock is rounded to.
  assert(next! - fifteenth! >= 4_990, `${next! - fifteenth!} ms between`);
  over.abort();
  assertEquals(await assertWithin(1_000, starting), null);
});

test("the two sides of examples/mdns.ts keep to the times of the protocol", {}, async (t) => {
  const alone = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };
  await Promise.all([...CASES].map(([name, fn]) => t.step({ name, fn, ...alone })));
});
