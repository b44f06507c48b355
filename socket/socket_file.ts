// The file that a unix socket is bound to: its mode, and its owner who removes it, wherever the program is by then, and no other.
// Binding itself, and who closes when: socket.ts. Whether the path may be used: permission.ts.
import { constant } from "../internal/constants.ts";
import { failed } from "../internal/errno.ts";
import { type LibcIo, libcIo } from "../internal/libc_io.ts";

const DOING = "Cannot remove the path of a socket";
const PERMISSIONS = 0o7777;

/** The text of a path as bind() takes it; null when it is not UTF-8. */
function textOf(bytes: Uint8Array<ArrayBuffer>): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\0$/, "");
  } catch {
    return null;
  }
}

/**
 * Gives the file of a bound socket all of its mode: the mask of the process may have taken bits from what was asked for,
 * which keeps others out until then. A link that took its place is not followed.
 *
 * @returns Whether the file has the mode; if not, errno is saved.
 */
export function completeMode(io: LibcIo, bytes: Uint8Array<ArrayBuffer>, mode: number): boolean {
  const path = textOf(bytes);
  if (path !== null && (Deno.lstatSync(path).mode! & PERMISSIONS) === mode) return true;
  // A path that fills its field has no NUL at its end.
  const terminated = new Uint8Array(bytes.byteLength + 1);
  terminated.set(bytes);
  return !failed(
    io.fchmodat(constant("AT_FDCWD", "linux"), terminated, mode, constant("AT_SYMLINK_NOFOLLOW", "linux")),
  );
}

/** The file of a bound socket. */
export class SocketFile {
  readonly #path: string;
  #file: Pick<Deno.FileInfo, "dev" | "ino"> | null = null;

  /** Takes the path before bind() makes the file; a relative one is of the working directory of now. */
  constructor(bytes: Uint8Array<ArrayBuffer>, doing: string) {
    const path = textOf(bytes);
    if (path === null) throw new TypeError(`${doing}: unlinkOnClose needs a path that is UTF-8`);
    this.#path = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  }

  /** Notes which file it is, once it is there. */
  note(): void {
    this.#file = Deno.lstatSync(this.#path);
  }

  /** Removes it, unless another has taken its place. */
  remove(): void {
    let now: Deno.FileInfo;
    try {
      now = Deno.lstatSync(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    if (now.dev !== this.#file?.dev || now.ino !== this.#file.ino) return;
    libcIo(DOING).unlink(new TextEncoder().encode(`${this.#path}\0`));
  }
}
