// A connection of somebody else's in the clothes of this library: the same calls, options and extras, streams of its own.
// What is put between: timeouts.ts and limits.ts. A Socket as a connection: socket/conn.ts.
import { DESCRIPTOR, descriptorOf, type HasDescriptor } from "../internal/descriptor.ts";
import { refuseResource } from "../internal/runtime.ts";
import { showPlace } from "../internal/deno_error.ts";
import { ByteConn } from "../socket/byte_conn.ts";

/** A connection around another, which is to be used through this one alone from then on. */
export abstract class WrappedConn<A extends Deno.Addr> extends ByteConn<A> implements HasDescriptor {
  /** The other. */
  protected readonly inner: Deno.Conn<A>;
  #open = true;

  constructor(inner: Deno.Conn<A>) {
    super();
    this.inner = inner;
    forward(this, inner);
  }

  get [DESCRIPTOR](): number {
    return descriptorOf(this.inner, "Cannot use a connection").fd;
  }

  override get localAddr(): A {
    return this.inner.localAddr;
  }

  override get remoteAddr(): A {
    return this.inner.remoteAddr;
  }

  protected override get isOpen(): boolean {
    return this.#open;
  }

  /** The action and the peer, as messages begin. */
  protected doing(action: string): string {
    return `Cannot ${action} ${shownAddress(this.remoteAddr)}`;
  }

  override async closeWrite(): Promise<void> {
    this.check(null, "close the writing half");
    await this.writes.run(() => this.inner.closeWrite());
    this.writeEnded = true;
  }

  override close(): void {
    this.check(null, "close");
    this.#open = false;
    this.closeInner();
  }

  protected closeInner(): void {
    this.inner.close();
  }

  override ref(): void {
    this.inner.ref();
  }

  override unref(): void {
    this.inner.unref();
  }

  protected override async shutdown(how: "read" | "write"): Promise<void> {
    // Deno has no call that ends the reading half; what comes is left where it is.
    if (how === "read") return;
    try {
      await this.inner.closeWrite();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotConnected)) throw error;
    }
  }
}

refuseResource(
  WrappedConn.prototype,
  "Cannot start TLS on a connection with limits, it would lose them: call Deno.startTls first and withTimeouts() on " +
    "what it gives, or use node:tls over Duplex.fromWeb() of the connection",
);

/** An address as messages show it. */
export function shownAddress(address: Deno.Addr): string {
  // Those of TLS connections have no transport.
  if ("hostname" in address) return showPlace(address.transport ?? "tcp", address.hostname, address.port);
  return "path" in address ? `${address.transport} ${address.path}` : address.transport;
}

/** The names that the objects of a class have besides those of every object. */
const MEMBERS = new WeakMap<object, readonly string[]>();

function membersOf(prototype: object): readonly string[] {
  let names = MEMBERS.get(prototype);
  if (names === undefined) {
    const found = new Set<string>();
    for (let level = prototype; level !== null && level !== Object.prototype; level = Object.getPrototypeOf(level)) {
      for (const name of Object.getOwnPropertyNames(level)) found.add(name);
    }
    MEMBERS.set(prototype, names = [...found]);
  }
  return names;
}

/** Gives a connection the members that another has besides: setNoDelay(), handshake() and whatever Deno adds. */
function forward(to: object, from: object): void {
  for (const name of [...Object.getOwnPropertyNames(from), ...membersOf(Object.getPrototypeOf(from))]) {
    if (name in to) continue;
    Object.defineProperty(to, name, {
      configurable: true,
      get() {
        const value = (from as Record<string, unknown>)[name];
        return typeof value === "function" ? value.bind(from) : value;
      },
    });
  }
}
