// Reads macOS numbers and structs out of the sources of two libraries that generated theirs on a Mac: Go's x/sys and Rust's libc.
// Numbers of the other systems come from compilers: c.ts.

/** A field of a parsed struct. */
export interface Field {
  /** Its name in that source. */
  readonly name: string;
  /** offsetof. */
  readonly offset: number;
  /** sizeof. */
  readonly size: number;
}

/** A parsed struct. */
export interface Struct {
  /** sizeof. */
  readonly size: number;
  /** Largest alignment within. */
  readonly align: number;
  /** In their order. */
  readonly fields: readonly Field[];
}

/** What a source knows. */
export interface Source {
  /** Numbers by C name. */
  readonly numbers: ReadonlyMap<string, number>;
  /** Structs by their name in that source. */
  readonly structs: ReadonlyMap<string, Struct>;
}

/** Lays fields out as C does; `pack` is #pragma pack. */
export function layOut(
  fields: readonly { name: string; size: number; align: number }[],
  pack: number = Infinity,
): Struct {
  let offset = 0, most = 1;
  const placed: Field[] = [];
  for (const field of fields) {
    const align = Math.min(field.align, pack);
    offset = Math.ceil(offset / align) * align;
    placed.push({ name: field.name, offset, size: field.size });
    offset += field.size;
    most = Math.max(most, align);
  }
  return { size: Math.ceil(offset / most) * most, align: most, fields: placed };
}

type Known = { size: number; align: number };

/** Sizes of types by name; structs join as they are parsed. */
class Types {
  readonly #sizes = new Map<string, Known>();

  constructor(scalars: Readonly<Record<string, number>>) {
    for (const [name, size] of Object.entries(scalars)) {
      this.#sizes.set(name, { size, align: size });
    }
  }

  get(name: string): Known | undefined {
    return this.#sizes.get(name);
  }

  add(name: string, struct: Known): void {
    this.#sizes.set(name, struct);
  }
}

/** Parses structs that may use one another, in whatever order. */
function resolve(
  parsed: ReadonlyMap<
    string,
    { fields: readonly (readonly [name: string, type: string])[]; pack: number }
  >,
  types: Types,
  sizeOf: (type: string, types: Types) => Known | undefined,
): Map<string, Struct> {
  const structs = new Map<string, Struct>();
  for (let round = 0; round < 4; round++) {
    for (const [name, { fields, pack }] of parsed) {
      if (structs.has(name)) continue;
      const sized = fields.map(([field, type]) => ({
        name: field,
        ...sizeOf(type, types),
      }));
      if (sized.some((field) => field.size === undefined)) continue;
      const struct = layOut(
        sized as { name: string; size: number; align: number }[],
        pack,
      );
      structs.set(name, struct);
      types.add(name, struct);
    }
  }
  return structs;
}

/** Go's generated files: `NAME = 0x1`, `NAME = syscall.Errno(0x1)`, `type Name struct`. */
export async function readGo(
  folder: string,
  arch: "amd64" | "arm64",
): Promise<Source> {
  const errors = await Deno.readTextFile(`${folder}/zerrors_darwin_${arch}.go`);
  const numbers = new Map<string, number>();
  for (
    const [, name, value] of errors.matchAll(
      /^\t(\w+)\s+= (?:syscall\.Errno\()?(-?(?:0x[0-9a-f]+|\d+))\)?$/gm,
    )
  ) {
    numbers.set(
      name!,
      value!.startsWith("-") ? -Number(value!.slice(1)) : Number(value),
    );
  }
  const text = await Deno.readTextFile(`${folder}/ztypes_darwin_${arch}.go`);
  const parsed = new Map<
    string,
    { fields: [string, string][]; pack: number }
  >();
  for (
    const [, name, body] of text.matchAll(/^type (\w+) struct \{\n([^}]*)\}/gm)
  ) {
    const fields = [...body!.matchAll(/^\t(\w+)\s+(\S+)/gm)].map((
      match,
    ): [string, string] => [match[1]!, match[2]!]);
    parsed.set(name!, { fields, pack: Infinity });
  }
  const types = new Types({
    int8: 1,
    uint8: 1,
    byte: 1,
    int16: 2,
    uint16: 2,
    int32: 4,
    uint32: 4,
    int64: 8,
    uint64: 8,
  });
  const sizeOf = (type: string, known: Types): Known | undefined => {
    if (type.startsWith("*")) return { size: 8, align: 8 };
    const array = /^\[(\d+)\](.*)$/.exec(type);
    const one = known.get(array === null ? type : array[2]!);
    return one &&
      {
        size: one.size * (array === null ? 1 : Number(array[1])),
        align: one.align,
      };
  };
  return { numbers, structs: resolve(parsed, types, sizeOf) };
}

/** Rust's libc: `pub const NAME: type = 1;`, `pub struct name`. */
export async function readRust(folder: string): Promise<Source> {
  const numbers = new Map<string, number>();
  const parsed = new Map<
    string,
    { fields: [string, string][]; pack: number }
  >();
  for (
    const file of [
      "unix/mod.rs",
      "unix/bsd/mod.rs",
      "unix/bsd/apple/mod.rs",
      "unix/bsd/apple/b64/mod.rs",
    ]
  ) {
    const text = await Deno.readTextFile(`${folder}/src/${file}`);
    for (
      const [, name, value] of text.matchAll(
        /^\s*pub const (\w+): [^=]+= (-?(?:0x[0-9a-fA-F_]+|\d+|[A-Z_0-9]+));/gm,
      )
    ) {
      const number = value!.startsWith("-") ? -Number(value!.slice(1)) : Number(value!.replaceAll("_", ""));
      const alias = numbers.get(value!);
      if (!Number.isNaN(number)) numbers.set(name!, number);
      else if (alias !== undefined) numbers.set(name!, alias);
    }
    for (
      const [, attributes, name, body] of text.matchAll(
        /((?:^\s*#\[[^\n]*\n)*)^\s*pub struct (\w+)\s*\{\n([^}]*)\}/gm,
      )
    ) {
      const packed = /repr\(packed\((\d+)\)\)/.exec(attributes!);
      // A field under #[cfg(target_os = ...)] or #[cfg(all(...))] is another system's; one under not(...) is ours.
      const ours = body!.replace(/^\s*#\[cfg\((?!not).*\n[^\n]*\n/gm, "");
      const fields = [...ours.matchAll(/^\s*(?:pub )?(\w+): ([^\n]+?),?$/gm)]
        .map((match): [string, string] => [match[1]!, match[2]!]);
      if (!parsed.has(name!)) {
        parsed.set(name!, {
          fields,
          pack: packed === null ? Infinity : Number(packed[1]),
        });
      }
    }
  }
  const scalars = {
    u8: 1,
    i8: 1,
    u16: 2,
    i16: 2,
    u32: 4,
    i32: 4,
    u64: 8,
    i64: 8,
    usize: 8,
    c_char: 1,
    c_uchar: 1,
    c_short: 2,
    c_ushort: 2,
    c_int: 4,
    c_uint: 4,
    c_long: 8,
    c_ulong: 8,
    size_t: 8,
    uintptr_t: 8,
    intptr_t: 8,
    sa_family_t: 1,
    in_port_t: 2,
    in_addr_t: 4,
    socklen_t: 4,
    time_t: 8,
    suseconds_t: 4,
    uid_t: 4,
    gid_t: 4,
    pid_t: 4,
    uint8_t: 1,
    uint16_t: 2,
    uint32_t: 4,
    uint64_t: 8,
    int16_t: 2,
    int32_t: 4,
    int64_t: 8,
  };
  const types = new Types(scalars);
  // align.rs gives it the alignment of its bytes through a macro, which is not parsed.
  types.add("in6_addr", { size: 16, align: 4 });
  const sizeOf = (type: string, known: Types): Known | undefined => {
    if (type.startsWith("*")) return { size: 8, align: 8 };
    const array = /^\[(.+); (\d+)\]$/.exec(type);
    const one = known.get(
      (array === null ? type : array[1]!).replace("::", ""),
    );
    return one &&
      {
        size: one.size * (array === null ? 1 : Number(array[2])),
        align: one.align,
      };
  };
  return { numbers, structs: resolve(parsed, types, sizeOf) };
}
