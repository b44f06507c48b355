// Registers tests: those that cannot run here are ignored, with the reason; those that leave a descriptor fail.
// With SOCKETS_TEST_ALL=1 (deno task ok, CI) what cannot run is an error. Sockets of the tests' own: raw_socket.ts.
import { ffiGranted } from "../internal/ffi.ts";
import { sleep } from "./time.ts";

/** What a test needs beyond --allow-net and --allow-ffi. */
export interface Needs {
  /** Programs to run, by name; finding them needs read access as well. */
  run?: readonly string[];
  /** Whether it reads files. */
  read?: boolean;
  /** Whether it writes files. */
  write?: boolean;
  /** Whether it reads or sets the environment. */
  env?: boolean;
  /** Whether it asks the system (Deno.networkInterfaces, Deno.uid). */
  sys?: boolean;
  /** Whether the C library must be granted. */
  ffi?: boolean;
  /** Whether the test runs without the grant of the C library, whatever the others have. */
  withoutFfi?: boolean;
  /** Whether it must be root. */
  root?: boolean;
  /** Whether the system must be Linux. */
  linux?: boolean;
  /** Files that must be there. */
  files?: readonly string[];
}

function granted(
  name: "run" | "read" | "write" | "env" | "sys" | "ffi",
): boolean {
  // The C library alone may be granted, by its path.
  if (name === "ffi") return ffiGranted();
  return Deno.permissions.querySync({ name }).state === "granted";
}

// Half a second after its start a program of Deno's would ask for the latest version, over sockets that no test expects.
if (granted("env")) Deno.env.set("DENO_NO_UPDATE_CHECK", "1");

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function reasonAgainst(needs: Needs): string | null {
  if (needs.linux && Deno.build.os !== "linux") return "needs Linux";
  for (const name of ["read", "write", "env", "sys", "ffi"] as const) {
    if (needs[name] && !granted(name)) return `needs --allow-${name}`;
  }
  if (needs.run) {
    if (!granted("run")) return "needs --allow-run";
    if (!granted("read") || !granted("env")) {
      return "needs --allow-read and --allow-env to find programs";
    }
    const path = (Deno.env.get("PATH") ?? "").split(":");
    for (const program of needs.run) {
      if (!path.some((folder) => exists(`${folder}/${program}`))) {
        return `needs the program ${program}`;
      }
    }
  }
  if (needs.files) {
    if (!granted("read")) return "needs --allow-read";
    for (const file of needs.files) {
      if (!exists(file)) return `needs the file ${file}`;
    }
  }
  if (needs.root && (!granted("sys") || Deno.uid() !== 0)) {
    return "needs root, and --allow-sys to see it";
  }
  return null;
}

const INHERITED = {
  env: "inherit",
  import: "inherit",
  net: "inherit",
  read: "inherit",
  run: "inherit",
  sys: "inherit",
  write: "inherit",
} as const;

const told = new Set<string>();

/** Why a test cannot run here, printed once a reason; null when it can. Asks nobody for a permission. */
export function needs(what: Needs): string | null {
  const reason = reasonAgainst(what);
  if (
    reason !== null && granted("env") &&
    Deno.env.get("SOCKETS_TEST_ALL") === "1"
  ) {
    throw new Error(`a test cannot run here, but all must: it ${reason}`);
  }
  if (reason !== null && !told.has(reason)) {
    told.add(reason);
    console.log(`some tests are ignored: ${reason}`);
  }
  return reason;
}

/** What each isolate keeps once one of its sockets has waited: what waits, and what wakes it. */
const KEPT = ["anon_inode:[eventpoll]", "anon_inode:[eventfd]"];

/** The descriptors that this process has open; null where it cannot be seen. */
function openDescriptors(): string[] | null {
  if (Deno.build.os !== "linux" || !granted("read")) return null;
  const found: string[] = [];
  try {
    for (const { name } of Deno.readDirSync("/proc/self/fd")) {
      try {
        const target = Deno.readLinkSync(`/proc/self/fd/${name}`);
        if (!KEPT.includes(target)) found.push(`${name} ${target}`);
      } catch (error) {
        // The descriptor that lists the folder is gone by now.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  } catch (error) {
    // Deno guards this folder more than others: only --allow-all opens it.
    if (error instanceof Deno.errors.NotCapable) return null;
    throw error;
  }
  return found;
}

/** Waits for what is being closed to be gone; what stays is a leak. */
async function assertNoneLeft(before: string[]): Promise<void> {
  let left: string[] = [];
  for (let i = 0; i < 1000; i++) {
    left = openDescriptors()!.filter((one) => !before.includes(one));
    if (left.length === 0) return;
    await sleep(10);
  }
  throw new Error(
    `the test left ${left.length} descriptors open: ${left.join(", ")}`,
  );
}

/** Registers a test that is ignored, with the reason in its name, where it cannot run, and fails if it leaves a descriptor. */
export function test(
  name: string,
  what: Needs,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  const reason = needs(what);
  Deno.test({
    name: reason === null ? name : `${name} (ignored: ${reason})`,
    ignore: reason !== null,
    ...(what.withoutFfi ? { permissions: { ...INHERITED, ffi: false } } : {}),
    async fn(t) {
      const before = openDescriptors();
      await fn(t);
      // The thread that waited for the test's sockets ends a moment after the last of them is closed: later where timers
      // are late too.
      for (let i = 0, late = true; late && i < 10; i++) {
        const since = performance.now();
        await sleep(10);
        late = performance.now() - since > 15;
      }
      if (before !== null) await assertNoneLeft(before);
    },
  });
}
