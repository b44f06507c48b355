// The rules of the house that a program can check: who may import whom, which words belong to one room alone.
// What the code does is tested room by room; numbers from headers in headers_test.ts.
import { assertEquals } from "@std/assert";
import { test } from "./needs.ts";

const ROOT = new URL("../", import.meta.url);
/** From the top down; a file imports from its own room or from one further right. */
const ROOMS = [
  "mod.ts",
  "tcp",
  "multicast",
  "udp",
  "socket",
  "options",
  "internal",
] as const;
/** tcp stands beside multicast and udp, not on them. */
const NEVER: Readonly<Record<string, readonly string[]>> = {
  tcp: ["multicast", "udp"],
};

/** The list that mod.ts imports first: it defines nothing, and nothing imports it otherwise. */
const EVERY_FILE = "internal/files.ts";

/** Words, and the only places that may say them in code. */
const WORDS: readonly (readonly [word: RegExp, places: RegExp])[] = [
  [/\bDeno\.build\b/, /^internal\/os\.ts$/],
  [/\bDeno\.dlopen\b/, /^internal\/ffi\.ts$/],
  [/\.symbols\b/, /^internal\/ffi\.ts$/],
  [/\bDeno[^\n]{0,12}\binternal\b/, /^internal\/runtime\.ts$/],
  [/\bnonblocking: true\b/, /^internal\/libc_\w+\.ts$/],
  [/\bDataView\b/, /^internal\//],
  [/[!=]==? -1\b/, /^internal\/errno\.ts$/],
  [/\bDeno\.UnsafePointer/, /^$/],
  [
    /\bDeno\.(connect|listen|listenDatagram|connectTls|listenTls)\b/,
    /^(tcp|udp)\//,
  ],
  [/\b(saved)\b.*\blibc\.ts/, /^internal\/(errno|libc_io)\.ts$/],
  [/\bTODO|FIXME|XXX\b/, /^$/],
];

interface Source {
  readonly path: string;
  readonly text: string;
  readonly code: string;
}

async function sources(): Promise<Source[]> {
  const found: Source[] = [];
  async function add(path: string): Promise<void> {
    const text = await Deno.readTextFile(new URL(path, ROOT));
    found.push({
      path,
      text,
      code: text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g, ""),
    });
  }
  async function walk(folder: string): Promise<void> {
    for await (const entry of Deno.readDir(new URL(folder, ROOT))) {
      const path = folder + entry.name;
      if (entry.isDirectory) await walk(`${path}/`);
      else if (entry.name.endsWith(".ts")) await add(path);
    }
  }
  await add("mod.ts");
  const present = new Set<string>();
  for await (const entry of Deno.readDir(ROOT)) present.add(entry.name);
  for (const room of ROOMS) {
    if (room !== "mod.ts" && present.has(room)) await walk(`${room}/`);
  }
  return found;
}

test("imports of the library go down only, and to nothing outside it", {
  read: true,
}, async () => {
  const wrong: string[] = [];
  for (const { path, code } of await sources()) {
    const room = path.split("/")[0]!;
    if (path === EVERY_FILE) continue;
    for (const [, target] of code.matchAll(/\b(?:from|import) "([^"]+)"/g)) {
      if (
        target!.startsWith("node:") && /import type[^;]*from "node:/.test(code)
      ) continue;
      const to = new URL(target!, new URL(path, ROOT)).href.slice(
        ROOT.href.length,
      ).split("/")[0]!;
      const down = ROOMS.indexOf(to as "tcp") >= ROOMS.indexOf(room as "tcp");
      if (!target!.startsWith(".") || !down || NEVER[room]?.includes(to)) {
        wrong.push(`${path} imports ${target}`);
      }
    }
  }
  assertEquals(wrong, []);
});

test(
  "words that belong to one room are said nowhere else",
  { read: true },
  async () => {
    const wrong: string[] = [];
    for (const { path, code } of await sources()) {
      for (const [word, places] of WORDS) {
        const said = code.match(word);
        if (said !== null && !places.test(path)) {
          wrong.push(
            `${path} says ${said[0]}`,
          );
        }
      }
    }
    assertEquals(wrong, []);
  },
);

test(
  "every file opens with two lines: what is here, and where the neighbour lives",
  { read: true },
  async () => {
    const wrong: string[] = [];
    for (const { path, text } of await sources()) {
      const [first, second] = text.replace(
        /^\/\/ deno-(fmt|lint)-ignore-file[^\n]*\n/,
        "",
      ).split("\n");
      if (!first?.startsWith("// ") || !second?.startsWith("// ")) {
        wrong.push(
          path,
        );
      }
    }
    assertEquals(wrong, []);
  },
);

test("internal/files.ts names every file that is there at run time, and mod.ts imports it first", {
  read: true,
}, async () => {
  const all = await sources();
  const code = (path: string): string => all.find((source) => source.path === path)!.code;
  const listed = [...code(EVERY_FILE).matchAll(/^import "(\.\.?\/[^"]+)";$/gm)].map(([, path]) =>
    new URL(path!, new URL(EVERY_FILE, ROOT)).href.slice(ROOT.href.length)
  );
  const there = all.filter(({ path, code }) =>
    /\/(?!mod\.ts$)/.test(path) && /^(export )?(abstract |async )?(const|let|function|class)\b/m.test(code)
  );
  assertEquals(listed.toSorted(), there.map(({ path }) => path).toSorted());
  assertEquals(code("mod.ts").match(/^(import|export)\b[^\n]*/m)?.[0], `import "./${EVERY_FILE}";`);
});

test("the sources are found at all", { read: true }, async () => {
  const paths = (await sources()).map(({ path }) => path);
  for (
    const path of [
      "mod.ts",
      "internal/ffi.ts",
      "options/option.ts",
      "tcp/mod.ts",
      "udp/mod.ts",
      "multicast/mod.ts",
    ]
  ) {
    assertEquals(paths.includes(path), true, path);
  }
});
