// The file that a unix socket is bound to, which its owner removes: that file, wherever the program is by then, and no other.
// Binding itself, and who closes when: socket.ts. Whether the path may be used: permission.ts.
import { libcIo } from "../internal/libc_io.ts";

const DOING = "Cannot remove the path of a socket";

/** The file of a bound socket. */
export class SocketFile {
  readonly #path: string;
  #file: Pick<Deno.FileInfo, "dev" | "ino"> | null = null;

  /** Takes the path before bind() makes the file; a relative one is of the working directory of now. */
  constructor(bytes: Uint8Array<ArrayBuffer>, doing: string) {
    let path: string;
    try {
      path = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\0$/, "");
    } catch {
      throw new TypeError(`${doing}: unlinkOnClose needs a path that is UTF-8`);
    }
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
