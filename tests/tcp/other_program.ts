// Runs a few lines in a program of their own, with fewer flags than the tests have.
// What another program sees of this process's sockets: outside.ts.
import type { Needs } from "../needs.ts";

/** What running another program needs. */
export const OTHER_PROGRAM: Needs = { run: [] };

/**
 * Runs code with `deno run --no-prompt` and these flags, without this project's configuration, and tells its exit code
 * and what it printed. The code finds what tcp/mod.ts and options/mod.ts export in `tcp` and `options`.
 */
export async function runWith(flags: readonly string[], code: string): Promise<{ code: number; output: string }> {
  const tcp = import.meta.resolve("../../tcp/mod.ts");
  const options = import.meta.resolve("../../options/mod.ts");
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-config", "--no-lock", "--quiet", ...flags, "-"],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(
    new TextEncoder().encode(
      `import * as tcp from ${JSON.stringify(tcp)};
       import * as options from ${JSON.stringify(options)};
       const say = (error) => console.log(error.name + ": " + error.message);
       ${code}
       void options, say, tcp;`,
    ),
  );
  await writer.close();
  const { code: exit, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code: exit, output: (decoder.decode(stdout) + decoder.decode(stderr)).trim() };
}
