// Host names, looked up by the C library in a thread of the runtime: /etc/hosts, nsswitch and all that it does.
// Literal addresses are taken apart in sockaddr.ts; who may look up what, and the checks, are in socket/resolve.ts.
import { shown } from "./argument.ts";
import { constant, type ConstantName, CONSTANTS } from "./constants.ts";
import { giveWaits, takeWaits, type Waits } from "./ffi.ts";
import { LAYOUT } from "./layout.ts";
import { libc } from "./libc.ts";
import { type LibcIo, libcIo } from "./libc_io.ts";
import { OS } from "./os.ts";
import { unrefPromise } from "./runtime.ts";
import { familyOf, type InetAddress, readSockaddr, SOCKADDR_MAX } from "./sockaddr.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A lookup that failed. `errno` is the number that getaddrinfo returned, as this system has it (negative on Linux). */
export interface LookupError extends Error {
  /** The C name of the error, such as "EAI_NONAME". */
  readonly code: string;
  /** Its number. */
  readonly errno: number;
  /** The call. */
  readonly syscall: "getaddrinfo";
}

const utf8 = new TextEncoder();

/**
 * The addresses of a name in the order of getaddrinfo, best first (RFC 6724), each once, with port 0; never none.
 *
 * The signal ends the waiting only: a lookup cannot be interrupted, it goes on in its thread without keeping the program
 * alive, and gives its memory back when it ends.
 *
 * @param family Only addresses of this family.
 * @param doing The beginning of messages: `Cannot resolve "example.com"`.
 */
export function lookUp(
  hostname: string,
  family: "inet" | "inet6" | undefined,
  doing: string,
  signal: AbortSignal | undefined,
): Promise<InetAddress[]> {
  const question = new Question(hostname, family, doing);
  let waits: Waits | undefined;
  let call: Promise<number>;
  try {
    waits = takeWaits(doing);
    call = waits.getaddrinfo(question.node, null, question.hints, question.list);
  } catch (error) {
    question.free();
    if (waits !== undefined) giveWaits();
    throw error;
  }
  const ended = call.then((result) => question.answer(result)).finally(() => {
    question.free();
    giveWaits();
  });
  return new Promise((resolve, reject) => {
    const abort = () => {
      unrefPromise(call);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    ended.then(resolve, reject).finally(() => signal?.removeEventListener("abort", abort));
  });
}

/** The same at once, as Deno.listen does it: nothing else runs meanwhile. */
export function lookUpNow(hostname: string, doing: string): InetAddress[] {
  const question = new Question(hostname, undefined, doing);
  try {
    return question.answer(libcIo(doing).getaddrinfoNow(question.node, question.hints, question.list));
  } finally {
    question.free();
  }
}

/** What getaddrinfo is asked, in memory of the C library, and what it answers. */
class Question {
  readonly #doing: string;
  readonly #io: LibcIo;
  readonly #memory: Deno.PointerObject[] = [];
  readonly node: Deno.PointerObject;
  readonly hints: Deno.PointerObject;
  /** Where the address of the answer goes. */
  readonly list: Deno.PointerObject;

  constructor(hostname: string, family: "inet" | "inet6" | undefined, doing: string) {
    // To the C library a name ends there: it would look up another.
    if (hostname.includes("\0")) {
      throw new SyntaxError(`${doing}: the host is ${shown(hostname)}, it must not contain NUL`);
    }
    this.#doing = doing;
    this.#io = libcIo(doing);
    const os = OS as "linux" | "darwin";
    const { size, fields } = LAYOUT.addrinfo[os];
    const hints = new Uint8Array(size);
    const view = new DataView(hints.buffer);
    const af = family === undefined ? "AF_UNSPEC" : family === "inet" ? "AF_INET" : "AF_INET6";
    view.setInt32(fields.ai_family[0], constant(af, os), true);
    // Of one type, else every address comes once for each; which type makes no difference to a name.
    view.setInt32(fields.ai_socktype[0], constant("SOCK_STREAM", os), true);
    try {
      this.list = this.#allocated(new Uint8Array(8));
      this.node = this.#allocated(utf8.encode(`${hostname}\0`));
      this.hints = this.#allocated(hints);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** A nonblocking call keeps no buffer alive, and may outlast the program's interest, or its Worker. */
  #allocated(bytes: Bytes): Deno.PointerObject {
    const pointer = this.#io.calloc(1, bytes.byteLength);
    this.#memory.push(pointer);
    this.#io.poke(pointer, bytes);
    return pointer;
  }

  /** The addresses, or the error that the result is. */
  answer(result: number): InetAddress[] {
    const c = libc(this.#doing);
    if (result !== 0) throw lookupError(result, c.text(this.#io.gaiStrerror(result)), this.#doing);
    return readList(this.#io, this.list, OS as "linux" | "darwin", c.peek);
  }

  free(): void {
    for (const one of this.#memory) this.#io.free(one);
  }
}

/** Reads the list that getaddrinfo made, and gives it back. */
function readList(
  io: LibcIo,
  list: Deno.PointerObject,
  os: "linux" | "darwin",
  peek: (address: bigint, into: Bytes) => void,
): InetAddress[] {
  const first = new Uint8Array(8);
  io.peek(list, first, 8);
  const head = new DataView(first.buffer).getBigUint64(0, true);
  const { size, fields } = LAYOUT.addrinfo[os];
  const entry = new Uint8Array(size);
  const view = new DataView(entry.buffer);
  const found = new Map<string, InetAddress>();
  try {
    for (let at = head; at !== 0n; at = view.getBigUint64(fields.ai_next[0], true)) {
      peek(at, entry);
      const address = new Uint8Array(Math.min(view.getUint32(fields.ai_addrlen[0], true), SOCKADDR_MAX));
      peek(view.getBigUint64(fields.ai_addr[0], true), address);
      if (address.byteLength < 2 || !isInternet(familyOf(address, os), os)) continue;
      const known = readSockaddr(address, os);
      if ("hostname" in known && !found.has(known.hostname)) found.set(known.hostname, known);
    }
  } finally {
    if (head !== 0n) io.freeaddrinfo(head);
  }
  return [...found.values()];
}

function isInternet(family: number, os: "linux" | "darwin"): boolean {
  return family === constant("AF_INET", os) || family === constant("AF_INET6", os);
}

/** Deno's own calls throw a plain Error for a name that cannot be looked up; this has the code besides. */
function lookupError(result: number, words: string, doing: string): LookupError {
  const name = (Object.keys(CONSTANTS) as ConstantName[])
    .find((name) => name.startsWith("EAI_") && CONSTANTS[name][OS === "darwin" ? 1 : 0] === result);
  const code = name ?? `EAI_${Math.abs(result)}`;
  const error = new Error(`${doing}: ${code} (${words.charAt(0).toLowerCase()}${words.slice(1)})`);
  return Object.assign(error, { code, errno: result, syscall: "getaddrinfo" as const });
}
