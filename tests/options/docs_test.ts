// That every option has its constant, and everything public its doc, which says the systems and the stage that the table says.
// What the options do is tested in get_set_test.ts and its like; the numbers of the table in headers_test.ts.
import { assertEquals } from "@std/assert";
import type { OperatingSystem } from "../../internal/os.ts";
import { CHANGED_BY_READING, NAME_ON, type OptionName, SOCKOPT, type SockoptRow } from "../../internal/sockopt.ts";
import * as options from "../../options/mod.ts";
import { test } from "../needs.ts";

const NAMES = Object.keys(SOCKOPT) as OptionName[];
const FILES = ["bluetooth", "ip", "ipv6", "netlink", "packet", "socket", "tcp", "udp", "unix", "vsock"].map((name) =>
  `options/${name}.ts`
);
const SYSTEMS = [["linux", "Linux"], ["darwin", "macOS"], [
  "windows",
  "Windows",
]] as const satisfies readonly (readonly [
  OperatingSystem,
  string,
])[];

/** Exported constants that are no option: values of one. */
const VALUES = /^IP_PMTUDISC_/;

function pathOf(file: string): URL {
  return new URL(`../../${file}`, import.meta.url);
}

/** The doc comment above each exported constant, as its paragraphs; null where there is none. */
async function constantsOf(file: string): Promise<Map<string, string[] | null>> {
  const source = await Deno.readTextFile(pathOf(file));
  const found = new Map<string, string[] | null>();
  for (const match of source.matchAll(/(\/\*\*(?:(?!\*\/)[^])*\*\/\n)?export const (\w+)/g)) {
    const text = match[1]?.replace(/^\/\*\*|\*\/\n$/g, "").replace(/^ ?\* ?/gm, "").trim();
    found.set(
      match[2]!,
      text === undefined ? null : text.split(/\n\n+/).map((part) => part.replaceAll("\n", " ").trim()),
    );
  }
  return found;
}

async function allConstants(): Promise<Map<string, string[] | null>> {
  const all = new Map<string, string[] | null>();
  for (const file of FILES) for (const [name, doc] of await constantsOf(file)) all.set(name, doc);
  return all;
}

/** How a doc must begin its last paragraph: "Linux, macOS (TCP_KEEPALIVE)." */
function systemsOf(name: OptionName): string {
  const numbers = SOCKOPT[name].slice(1, 4);
  const there = SYSTEMS.filter((_, column) => numbers[column] !== null).map(([os, words]) => {
    const other = NAME_ON[name]?.[os];
    return other === undefined ? words : `${words} (${other})`;
  });
  return `${there.join(", ")}. `;
}

Deno.test("options/mod.ts exports one constant for each row of the table, under its C name", () => {
  const exported = Object.keys(options).filter((name) =>
    /^[A-Z][A-Z0-9_]+$/.test(name) && name !== "DESCRIPTOR" && !VALUES.test(name)
  );
  assertEquals(exported.sort(), [...NAMES].sort());
  for (const name of NAMES) assertEquals(options[name].name, name);
});

Deno.test("listOptions() lists each row of the table once", () => {
  assertEquals(options.listOptions().map((option) => option.name).sort(), [...NAMES].sort());
});

test("each option stands in one file, with a doc of a sentence, details and systems", { read: true }, async () => {
  const wrong: string[] = [];
  const seen: string[] = [];
  for (const file of FILES) {
    for (const [name, doc] of await constantsOf(file)) {
      if (seen.includes(name)) wrong.push(`${name}: twice`);
      seen.push(name);
      if (VALUES.test(name)) continue;
      if (!(name in SOCKOPT)) wrong.push(`${name}: no row`);
      else if (doc === null) wrong.push(`${name}: no doc`);
      else if (!/^[A-Z][a-z]+s,? [^]+\.$/.test(doc[0]!)) {
        wrong.push(`${name}: the first paragraph is no sentence like "Sends ...": ${doc[0]}`);
      } else if (doc.filter((part) => part.startsWith(systemsOf(name as OptionName))).length !== 1) {
        wrong.push(`${name}: no paragraph "${systemsOf(name as OptionName)}..."`);
      }
    }
  }
  for (const name of NAMES) if (!seen.includes(name)) wrong.push(`${name}: no constant`);
  assertEquals(wrong, []);
});

test("the doc of an option says its stage when it has one, and none when it has none", { read: true }, async () => {
  const wrong: string[] = [];
  for (const [name, doc] of await allConstants()) {
    if (!(name in SOCKOPT) || doc === null) continue;
    const row: SockoptRow = SOCKOPT[name as OptionName];
    const when = row[6];
    const text = doc.join(" ");
    const said = /Must be set before (\w+)\(\)/.exec(text)?.[1];
    const wanted = when === "bind" || when === "listen" || when === "connect" ? when : undefined;
    if (said !== wanted) wrong.push(`${name}: says ${said}, the table ${when}`);
    if (wanted !== undefined && !/\bit throws\b/.test(text)) wrong.push(`${name}: does not say that a late set throws`);
    if (when === "connected" && !text.includes("Needs a connected socket")) {
      wrong.push(`${name}: does not say that it needs a peer`);
    }
  }
  assertEquals(wrong, []);
});

test(
  "the doc of an option whose reading changes the socket says so",
  { read: true },
  async () => {
    const changes: Partial<Record<OptionName, RegExp>> = {
      SO_ERROR: /clears it/,
      SO_PEERPIDFD: /makes a new descriptor/,
      TCP_SAVED_SYN: /Reading frees/,
      PACKET_STATISTICS: /Reading starts both counts anew/,
    };
    assertEquals(Object.keys(changes).sort(), [...CHANGED_BY_READING].sort());
    const docs = await allConstants();
    for (const [name, words] of Object.entries(changes)) {
      assertEquals(
        words.test(docs.get(name)!.join(" ")),
        true,
        name,
      );
    }
  },
);

test("the doc of an option that delivers a control message says who receives such", { read: true }, async () => {
  const silent: string[] = [];
  for (const [name, doc] of await allConstants()) {
    const text = doc?.join(" ") ?? "";
    if (/^Delivers/.test(text) && !text.includes("A socket of Deno receives no control messages")) silent.push(name);
  }
  assertEquals(silent, []);
});

/** What `deno doc --json` tells of a declaration, as far as it is read here. */
interface DocNode {
  readonly name?: string;
  readonly kind?: string;
  readonly accessibility?: string;
  readonly declarationKind?: string;
  readonly jsDoc?: { readonly doc?: string };
  readonly declarations?: readonly DocNode[];
  readonly def?: Readonly<Record<string, unknown>>;
}

const MEMBERS = ["properties", "methods", "members", "elements", "indexSignatures", "callSignatures"] as const;

/** Names below a node that lack a doc. Overloads need one doc together, and a class its constructor none. */
function undocumented(nodes: readonly DocNode[], prefix: string): string[] {
  const missing: string[] = [];
  const documented = new Set(nodes.filter((node) => node.jsDoc?.doc).map((node) => node.name));
  for (const node of nodes) {
    if (node.accessibility === "private" || node.declarationKind === "private") continue;
    const name = `${prefix}${node.name ?? "(index)"}`;
    const declarations = node.declarations ?? [node];
    if (node.declarations === undefined ? !documented.has(node.name) : !declarations.some((one) => one.jsDoc?.doc)) {
      missing.push(name);
    }
    for (const declaration of declarations) {
      const { tsType, ...rest } = declaration.def ?? {};
      // The members of a type alias that is an object literal are in its type.
      const literal = tsType as { kind?: string; value?: Record<string, unknown> } | undefined;
      for (const def of [rest, literal?.kind === "typeLiteral" ? literal.value ?? {} : {}]) {
        for (const key of MEMBERS) {
          const members = (def as Record<string, unknown>)[key];
          if (Array.isArray(members)) missing.push(...undocumented(members as DocNode[], `${name}.`));
        }
      }
    }
  }
  return [...new Set(missing)];
}

for (const room of ["options", "tcp", "udp", "multicast"]) {
  test(
    `everything that ${room}/mod.ts exports has a doc, members too`,
    { read: true, run: [], env: true },
    async () => {
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["doc", "--json", pathOf(`${room}/mod.ts`).href],
        cwd: pathOf("."),
      }).output();
      const text = new TextDecoder();
      if (!success) throw new Error(text.decode(stderr));
      const { nodes } = JSON.parse(text.decode(stdout)) as {
        nodes: Record<string, { module_doc?: { doc?: string }; symbols?: DocNode[] }>;
      };
      const [module] = Object.values(nodes);
      assertEquals(undocumented(module?.symbols ?? [], ""), []);
      assertEquals(module?.module_doc?.doc?.length ? [] : [`${room}/mod.ts`], [], "the module has no doc");
    },
  );
}
