// Asks a C compiler what expressions are worth, without running anything: it compiles an array and the assembly is read.
// Which expressions: numbers.ts, ../headers_test.ts. For macOS, whose compiler is not at hand, darwin.ts parses sources.

/** A number that no expression reaches, added to each so that none is zero: a compiler writes zeros otherwise. */
const BIAS = 1n << 62n;

async function compile(
  compiler: string,
  source: string,
  folder: string,
  flags: readonly string[],
): Promise<{ code: number; errors: string }> {
  await Deno.writeTextFile(`${folder}/ask.c`, source);
  const { code, stderr } = await new Deno.Command(compiler, {
    args: ["-std=gnu11", "-w", ...flags, `${folder}/ask.c`],
    env: { LC_ALL: "C" },
    stderr: "piped",
  }).output();
  return { code, errors: new TextDecoder().decode(stderr) };
}

/**
 * The values of C expressions, undefined for those that do not compile because a name in them is unknown.
 *
 * @param compiler "gcc", "x86_64-w64-mingw32-gcc".
 * @param prelude What to include.
 * @param expressions Integer constant expressions.
 */
export async function evaluate(
  compiler: string,
  prelude: string,
  expressions: readonly string[],
): Promise<(bigint | undefined)[]> {
  const folder = await Deno.makeTempDir();
  try {
    // A plain name that no header so much as mentions is unknown; asking the compiler would have it look for a likely misspelling, for long.
    const { code: absent, errors: why } = await compile(
      compiler,
      prelude,
      folder,
      ["-E", "-dD", "-o", `${folder}/ask.i`],
    );
    if (absent !== 0) throw new Error(why);
    const mentioned = new Set(
      (await Deno.readTextFile(`${folder}/ask.i`)).match(/[A-Za-z_]\w*/g),
    );
    const unheard = (expression: string) => /^\w+$/.test(expression) && !mentioned.has(expression);
    // Then each on a line of its own: the lines with errors are the expressions that headers do not know.
    const lines = prelude.split("\n").length;
    const checks = expressions.map((expression, i) =>
      unheard(expression) ? "" : `static const long long check_${i} = (long long)(${expression});`
    );
    const { errors } = await compile(
      compiler,
      `${prelude}\n${checks.join("\n")}\n`,
      folder,
      ["-fsyntax-only", "-fmax-errors=0"],
    );
    const unknown = new Set<number>();
    for (const line of errors.split("\n")) {
      const found = /ask\.c:(\d+):\d+: (?:fatal )?error: (.*)/.exec(line);
      if (found === null) continue;
      const index = Number(found[1]) - lines - 1;
      if (index < 0) throw new Error(`The prelude does not compile: ${line}`);
      if (
        !/undeclared|has no member|incomplete type|invalid application|not a struct|undefined type/
          .test(found[2]!)
      ) {
        throw new Error(`Cannot evaluate "${expressions[index]}": ${found[2]}`);
      }
      unknown.add(index);
    }
    const known = expressions.flatMap((_, i) => unknown.has(i) || unheard(expressions[i]!) ? [] : [i]);
    const values = known.map((i) => `(long long)(${expressions[i]}) + ${BIAS}LL`);
    const { code, errors: failure } = await compile(
      compiler,
      `${prelude}\nconst long long answers[] = {\n${values.join(",\n")}\n};\n`,
      folder,
      ["-S", "-o", `${folder}/ask.s`],
    );
    if (code !== 0) throw new Error(failure);
    const assembly = await Deno.readTextFile(`${folder}/ask.s`);
    const answers = [
      ...assembly.matchAll(/^\s*\.(?:quad|xword|dword)\s+(-?\d+)\s*$/gm),
    ].map((match) => BigInt(match[1]!) - BIAS);
    if (answers.length !== known.length) {
      throw new Error(
        `The assembly has ${answers.length} numbers: ${known.length} were asked for`,
      );
    }
    const result: (bigint | undefined)[] = expressions.map(() => undefined);
    known.forEach((i, n) => result[i] = answers[n]!);
    return result;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a program prints. */
export async function run(compiler: string, source: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const { code, errors } = await compile(compiler, source, folder, [
      "-o",
      `${folder}/ask`,
    ]);
    if (code !== 0) throw new Error(errors);
    const { stdout } = await new Deno.Command(`${folder}/ask`, {
      stdout: "piped",
    }).output();
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
