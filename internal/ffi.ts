// Opens the C library, at the first call that needs it; the only file that says Deno.dlopen.
// Which symbols there are stands in libc_linux.ts and libc_darwin.ts; who may call them, in libc.ts.
import { WAIT_SYMBOLS } from "./libc_linux.ts";
import { OS, OS_NAME } from "./os.ts";

/** What a refusal tells the user to do. */
const REMEDY = "run again with the --allow-ffi flag, or with --allow-ffi=/absolute/path/of/the/C/library";

/**
 * Where the C library lives, tried in this order when the grant is not for everything. A grant is for a path to the
 * letter (symbolic links are not followed by the permission check), and it cannot be read back, so it is asked for.
 */
const PATHS: Readonly<Record<"linux" | "darwin", readonly string[]>> = {
  linux: [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/usr/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/lib/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
    "/lib/libc.musl-x86_64.so.1",
    "/lib/libc.musl-aarch64.so.1",
  ],
  darwin: ["/usr/lib/libSystem.B.dylib", "/usr/lib/libSystem.dylib", "/usr/lib/libc.dylib"],
};
/** With a grant for everything a bare name will do, and the loader knows best. */
const NAMES: Readonly<Record<"linux" | "darwin", readonly string[]>> = {
  linux: ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"],
  darwin: ["libSystem.B.dylib"],
};

function grantedPaths(system: "linux" | "darwin"): readonly string[] {
  return PATHS[system].filter((path) => Deno.permissions.querySync({ name: "ffi", path }).state === "granted");
}

function allGranted(): boolean {
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}

/** Whether the C library can be opened without asking anybody; opens and prompts nothing. */
export function ffiGranted(): boolean {
  if (OS !== "linux" && OS !== "darwin") return false;
  return allGranted() || grantedPaths(OS).length > 0;
}

/** Refuses in Deno's words, naming what wanted the C library and what works without. */
export function notCapable(wanted: string): Deno.errors.NotCapable {
  return new Deno.errors.NotCapable(
    `${wanted}: Requires ffi access to the C library, ${REMEDY}; what Deno itself offers works without`,
  );
}

/** Opens the C library; the caller closes the handle. */
function open<const S extends Deno.ForeignLibraryInterface>(symbols: S, wanted: string): Deno.DynamicLibrary<S> {
  if (OS !== "linux" && OS !== "darwin") {
    throw new Deno.errors.NotSupported(
      `${wanted}: this library calls the C library on Linux and macOS, this is ${OS_NAME}`,
    );
  }
  let names = allGranted() ? [...NAMES[OS], ...PATHS[OS]] : grantedPaths(OS);
  if (names.length === 0) {
    if (Deno.permissions.requestSync({ name: "ffi" }).state !== "granted") throw notCapable(wanted);
    names = [...NAMES[OS], ...PATHS[OS]];
  }
  let reason: unknown;
  for (const name of names) {
    try {
      return Deno.dlopen(name, symbols);
    } catch (error) {
      reason = error;
    }
  }
  throw new Deno.errors.NotSupported(
    `${wanted}: no C library could be opened (tried ${names.join(", ")}): ${reason}; ${REMEDY}`,
  );
}

/**
 * Opens the C library. The handle is closed at once: the symbols keep working (the process has its C library anyway),
 * and a test that runs with sanitizers does not find a library opened in its midst.
 *
 * @param symbols The symbols wanted.
 * @param wanted What for, as the beginning of a message: `Cannot read SO_ERROR`.
 */
export function openLibc<const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
  wanted: string,
): Deno.DynamicLibrary<S>["symbols"] {
  const library = open(symbols, wanted);
  library.close();
  return library.symbols;
}

/** The calls that wait in a thread of the runtime's pool, while the handle is open. */
export type Waits = Deno.DynamicLibrary<typeof WAIT_SYMBOLS>["symbols"];

let waits: Deno.DynamicLibrary<typeof WAIT_SYMBOLS> | undefined;
let waiting = 0;

/** Takes the handle of the calls that wait: they need it open when they are called. To be given back. */
export function takeWaits(wanted: string): Waits {
  waits ??= open(WAIT_SYMBOLS, wanted);
  waiting++;
  return waits.symbols;
}

/** Gives the handle back; the last to do so closes it. Calls on their way survive. */
export function giveWaits(): void {
  if (--waiting > 0) return;
  waits?.close();
  waits = undefined;
}
