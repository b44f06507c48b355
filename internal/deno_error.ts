// Errors of Deno's own calls, given what our own have: code, errno, syscall, the action, the remedy.
// Errors of calls into the C library are made by errno.ts; the checks of arguments stand in argument.ts.
import { ERRNO, type ErrnoName, errnoName, errnoNumber } from "./errno.ts";

/** How Deno ends the words of the system. */
const OS_ERROR = / \(os error (\d+)\)$/;
/** How Deno begins the words of getaddrinfo, which come without a code. */
const LOOKUP = "failed to lookup address information: ";

/**
 * The error that a call of Deno's failed with, in this library's words: of the same class, with `code`, `errno` and
 * `syscall`, the original as `cause`. A host name that was not found gets `syscall` "getaddrinfo" and no code, as Deno
 * tells none. What no system call refused (a missing permission, the reason of a signal, a wrong argument) comes back as
 * it is.
 *
 * @param error What was thrown.
 * @param syscall The call that Deno made: "connect".
 * @param doing The beginning of the message: `Cannot connect to tcp 127.0.0.1:80`.
 * @param remedies What to do about single errors, where it is known.
 */
export function decorated(
  error: unknown,
  syscall: string,
  doing: string,
  remedies: Readonly<Partial<Record<string, string>>> = {},
): unknown {
  if (!(error instanceof Error)) return error;
  if (error.message.startsWith(LOOKUP)) {
    const message = `${doing}: the name cannot be looked up (${error.message.slice(LOOKUP.length)})`;
    return Object.assign(sameClass(error, message), { syscall: "getaddrinfo" });
  }
  const number = OS_ERROR.exec(error.message)?.[1];
  // Errors of joining a group have the number alone.
  const code: unknown = (error as { code?: unknown }).code ??
    (number === undefined ? undefined : errnoName(Number(number)));
  if (typeof code !== "string" || (number === undefined && !(code in ERRNO))) return error;
  const words = code in ERRNO ? ERRNO[code as ErrnoName][4] : lowered(error.message.replace(OS_ERROR, ""));
  const remedy = remedies[code];
  const message = `${doing}: ${code} (${words})${remedy === undefined ? "" : `; ${remedy}`}`;
  const errno = number === undefined ? errnoNumber(code as ErrnoName) : Number(number);
  return Object.assign(sameClass(error, message), { code, errno, syscall });
}

function sameClass(error: Error, message: string): Error {
  return new (error.constructor as ErrorConstructor)(message, { cause: error });
}

function lowered(words: string): string {
  return words.charAt(0).toLowerCase() + words.slice(1);
}

/** A place as messages show it, the host as the user wrote it: `tcp [::1]:80`. */
export function showPlace(transport: string, hostname: string, port: number): string {
  return `${transport} ${hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname}:${port}`;
}
