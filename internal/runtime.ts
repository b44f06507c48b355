// What is taken from inside Deno and its node, each thing with what happens where it is gone; the only file that says Deno.internal.
// Public parts of Deno are used where they are needed; which descriptor is behind an object is decided in descriptor.ts.

/** The symbols under which Deno keeps what is asked for here; the same on every object, so looked for once. */
const symbols: { fd?: symbol | undefined; rid?: symbol | undefined } = {};

function internalOf(object: object, which: "fd" | "rid"): unknown {
  const description = `Deno.internal.${which}`;
  const symbol = symbols[which] ??= Object.getOwnPropertySymbols(object).find((one) => one.description === description);
  return symbol === undefined ? undefined : (object as Record<symbol, unknown>)[symbol];
}

/**
 * The descriptor that Deno itself notes on connections it accepted, and node on the handles of its pipes; undefined on
 * all others, and where they no longer do. To be verified like any hint.
 */
export function notedDescriptor(object: object): number | undefined {
  const value = internalOf(object, "fd") ?? nodeHandle(object)?.fd;
  return typeof value === "number" && value >= 0 ? value : undefined;
}

/** The handle of a socket or server of node:net; those of node:dgram, which send, warn when theirs is looked at. */
function nodeHandle(object: object): { fd?: unknown } | null | undefined {
  return "send" in object ? undefined : (object as { _handle?: { fd?: unknown } | null })._handle;
}

/** Whether an object of Deno's carries the number of its resource, so that {@linkcode resourceClosed} can tell. */
export function hasResource(object: object): boolean {
  return typeof internalOf(object, "rid") === "number";
}

/**
 * Whether Deno has closed the resource behind a connection or listener; false where it cannot be told
 * (datagram connections and HTTP servers carry no resource number).
 */
export function resourceClosed(object: object): boolean {
  const rid = internalOf(object, "rid");
  if (typeof rid !== "number") return false;
  try {
    // Sockets cannot be read synchronously; only what is open gets as far as to say so.
    core?.readSync?.(rid, NOTHING);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.BadResource;
  }
}

const NOTHING = new Uint8Array(0);

// deno-lint-ignore no-explicit-any
const core = (Deno as any)[(Deno as any).internal]?.core;

/**
 * Objects of this class have no resource of Deno's; what asks for it, as Deno.startTls does, is told so. Without this it
 * says that it expected another type.
 */
export function refuseResource(prototype: object, why: string): void {
  if (typeof core?.internalRidSymbol !== "symbol") return;
  Object.defineProperty(prototype, core.internalRidSymbol, {
    get() {
      throw new TypeError(why);
    },
  });
}

/** Whether a call that waits in a thread can be told not to keep the program alive. */
export const canUnref: boolean = typeof core?.unrefOpPromise === "function" && typeof core?.refOpPromise === "function";

/** The promise of a nonblocking call keeps the program alive no more. */
export function unrefPromise(promise: Promise<unknown>): void {
  if (canUnref) core.unrefOpPromise(promise);
}

/** It does again. */
export function refPromise(promise: Promise<unknown>): void {
  if (canUnref) core.refOpPromise(promise);
}

/** Whether this is a Worker. */
export const IN_WORKER: boolean = "WorkerGlobalScope" in globalThis;
