// What an option is to a user: facts, get, set, to; and how one that is not listed is defined.
// The listed ones stand by level in socket.ts, ip.ts, ...; their numbers in internal/sockopt.ts; the calls in internal/option_call.ts.
import { integer, object, shown } from "../internal/argument.ts";
import type { CodecValues, OptionCodec } from "../internal/codec.ts";
import type { HasDescriptor } from "../internal/descriptor.ts";
import {
  checkValue,
  codecNamed,
  codeOf,
  noteStage,
  type OptionCode,
  type OptionSpec,
  readOption,
  specOf,
  writeOption,
} from "../internal/option_call.ts";
import { type OperatingSystem, OS } from "../internal/os.ts";
import { type Access, type OptionName, SOCKOPT, type Stage } from "../internal/sockopt.ts";
import type { Server as NodeServer, Socket as NodeSocket } from "node:net";
import type { Socket as NodeDatagramSocket } from "node:dgram";

/**
 * Anything an option can be read from or set on: connections, listeners and datagram connections of Deno, TLS ones
 * included, sockets and servers of `node:net` and `node:dgram`, and the sockets of this library. A `Deno.HttpServer`
 * stands for its listener.
 */
export type SocketLike =
  | Deno.Conn
  | Deno.Listener
  | Deno.DatagramConn
  | Deno.HttpServer
  | NodeSocket
  | NodeServer
  | NodeDatagramSocket
  | HasDescriptor;

/**
 * The call that must come after the option for it to do anything; "connected": it needs a peer. Only "bind", "listen"
 * and "connect" make a late `set` throw, and only options have them whose late set was seen to change nothing.
 */
export type OptionStage = Stage;
/** Which directions exist. */
export type OptionAccess = Access;

/** What is known of an option. */
export interface OptionFacts {
  /** The C name. */
  readonly name: string;
  /** The C name of the level, such as "SOL_SOCKET". */
  readonly level: string;
  /** Which of `get` and `set` exist. */
  readonly access: OptionAccess;
  /** The latest stage at which setting does its job. */
  readonly when: OptionStage;
  /** Whether reading gives back what was written. */
  readonly exact: boolean;
  /** The numbers, by system; absent where the system lacks the option. */
  readonly codes: Readonly<Partial<Record<OperatingSystem, OptionCode>>>;
  /** Whether this system has the option at all; this kernel's own answer is the `NotSupported` of `get` and `set`. */
  readonly supported: boolean;
}
/** An option that can be read. */
export interface ReadableOption<T> extends OptionFacts {
  /**
   * Asks the kernel.
   *
   * @param socket The socket to ask about.
   * @returns The value in force.
   * @throws {Deno.errors.BadResource} The socket is closed.
   * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
   * @throws {Deno.errors.NotSupported} This system, this kernel or this kind of socket does not have the option.
   */
  get(socket: SocketLike): T;
}
/** An option that can be written. */
export interface WritableOption<T> extends OptionFacts {
  /**
   * Sets it, or throws; never without effect.
   *
   * @param socket The socket to change.
   * @param value The value, in C's unit.
   * @throws {TypeError} The value is of a wrong kind, or it is too late for this option to do anything; with `code`
   * "EINVAL", the kernel takes no such value: the ranges of its own are in the documentation of the options.
   * @throws {RangeError} The value is out of the range of the option's type in C.
   * @throws {Deno.errors.BadResource} The socket is closed.
   * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
   * @throws {Deno.errors.NotSupported} This system, this kernel or this kind of socket does not have the option.
   * @throws {Deno.errors.PermissionDenied} The kernel wants a privilege that the process does not have.
   */
  set(socket: SocketLike, value: T): void;
  /**
   * The option with a value, for the `options` of `connectTcp`, `listenTcp` and `bindUdp`.
   *
   * @param value The value, in C's unit. It is checked here, but for what only the kernel can tell (interfaces, and
   * the requests and filters that name them): that is checked when it is applied.
   * @returns The setting.
   * @throws {TypeError} The value is of a wrong kind.
   * @throws {RangeError} The value is out of range.
   */
  to(value: T): OptionSetting;
}
/** An option that can be read and written. */
export interface SocketOption<T> extends ReadableOption<T>, WritableOption<T> {
  /**
   * Sets it and returns the value now in force.
   *
   * @param socket The socket to change.
   * @param value The value, in C's unit.
   * @returns The value that the kernel has now; some options round (see `exact`).
   * @throws {TypeError} The value is of a wrong kind, or it is too late for this option to do anything; with `code`
   * "EINVAL", the kernel takes no such value: the ranges of its own are in the documentation of the options.
   * @throws {RangeError} The value is out of the range of the option's type in C.
   * @throws {Deno.errors.BadResource} The socket is closed.
   * @throws {Deno.errors.NotCapable} `--allow-ffi` is missing.
   * @throws {Deno.errors.NotSupported} This system, this kernel or this kind of socket does not have the option.
   * @throws {Deno.errors.PermissionDenied} The kernel wants a privilege that the process does not have.
   */
  set(socket: SocketLike, value: T): T;
}
/** An option with a value, made by `to()`. */
export interface OptionSetting {
  /** The C name of the option. */
  readonly name: string;
  /** The value, as given. */
  readonly value: unknown;
  /** Sets it. */
  apply(socket: SocketLike): void;
}
/** Any option. */
export type AnyOption = ReadableOption<unknown> | WritableOption<never> | SocketOption<never>;
/** The interface that an access stands for. */
export type OptionFor<T, A extends OptionAccess> = A extends "get" ? ReadableOption<T>
  : A extends "set" ? WritableOption<T>
  : SocketOption<T>;

/** Value types of the codecs that have a name. */
export interface NamedCodecs {
  /** An int, 0 or 1. */
  flag: boolean;
  /** A signed 32-bit integer. */
  int: number;
  /** An unsigned 32-bit integer. */
  uint: number;
  /** An unsigned 64-bit integer. */
  uint64: bigint;
  /** NUL-terminated UTF-8. */
  text: string;
  /** The bytes themselves. */
  bytes: Uint8Array<ArrayBuffer>;
}
/** An option this library does not list. */
export interface OptionDefinition<C, A extends OptionAccess> {
  /** The C name, for messages. */
  name: string;
  /** The numbers by system. */
  codes: Readonly<Partial<Record<OperatingSystem, OptionCode>>>;
  /** How values are written. */
  codec: C;
  /** Which directions exist. */
  access: A;
  /** Default "any"; `connectTcp` and `listenTcp` set it in time for "bind", "listen" and "connect". */
  when?: OptionStage;
}

const SYSTEMS: readonly OperatingSystem[] = ["linux", "darwin", "windows"];

type Codes = Readonly<Partial<Record<OperatingSystem, OptionCode>>>;

/** Where an option has its numbers from. One for all listed options: closures of their own would slow down importing. */
interface Source {
  codes(name: string): Codes;
  spec(name: string): OptionSpec;
}

const TABLE: Source = {
  codes(name) {
    const found = SYSTEMS.map((os) => [os, codeOf(name as OptionName, os)] as const).filter(([, code]) =>
      code !== null
    );
    return Object.freeze(Object.fromEntries(found)) as Codes;
  },
  spec: (name) => specOf(name as OptionName),
};

class Option<T> implements SocketOption<T> {
  readonly name: string;
  readonly level: string;
  readonly access: OptionAccess;
  readonly when: OptionStage;
  readonly exact: boolean;
  // What a call needs is looked up at the first call: importing the library makes hundreds of options.
  readonly #source: Source;
  #spec: OptionSpec | undefined;

  constructor(
    name: string,
    level: string,
    access: OptionAccess,
    when: OptionStage,
    exact: boolean,
    source: Source,
  ) {
    this.name = name;
    this.level = level;
    this.access = access;
    this.when = when;
    this.exact = exact;
    this.#source = source;
  }

  get codes(): Codes {
    return this.#source.codes(this.name);
  }

  get supported(): boolean {
    return OS !== null && this.codes[OS] !== undefined;
  }

  get(socket: SocketLike): T {
    return readOption(this.#spec ??= this.#source.spec(this.name), socket) as T;
  }

  set(socket: SocketLike, value: T): T {
    return writeOption(this.#spec ??= this.#source.spec(this.name), socket, value) as T;
  }

  to(value: T): OptionSetting {
    const spec = this.#spec ??= this.#source.spec(this.name);
    checkValue(spec, value);
    const apply = (socket: SocketLike) => void this.set(socket, value);
    const setting = Object.freeze({ name: this.name, value, apply });
    noteStage(setting, spec);
    return setting;
  }
}

const listed: AnyOption[] = [];

/**
 * The whole table, for tools: every option that this library lists, whatever system has it.
 *
 * @returns The options, those of a level together.
 *
 * @example Which options this system lacks
 * ```ts
 * import { listOptions } from "@berkeley/sockets/options";
 * import { assert } from "@std/assert";
 *
 * const missing = listOptions().filter((option) => !option.supported).map((option) => option.name);
 * assert(!missing.includes("SO_KEEPALIVE"));
 * ```
 */
export function listOptions(): readonly AnyOption[] {
  return listed.slice();
}

/** The option of a row of the table. */
export function option<N extends OptionName>(
  name: N,
): OptionFor<CodecValues[(typeof SOCKOPT)[N][4]], (typeof SOCKOPT)[N][5]> {
  const row = SOCKOPT[name];
  const made = new Option<never>(name, row[0], row[5], row[6], row[7], TABLE);
  listed.push(made);
  return made as OptionFor<never, never> as OptionFor<CodecValues[(typeof SOCKOPT)[N][4]], (typeof SOCKOPT)[N][5]>;
}

const NAMED: readonly (keyof NamedCodecs)[] = ["flag", "int", "uint", "uint64", "text", "bytes"];

/** Defines an option this library does not list, with a codec that has a name. */
export function defineOption<C extends keyof NamedCodecs, A extends OptionAccess>(
  definition: OptionDefinition<C, A>,
): OptionFor<NamedCodecs[C], A>;
/**
 * Defines an option this library does not list.
 *
 * Nothing is known of it but what the definition says: `get` and `set` try it on any socket, and the kernel answers.
 *
 * @param definition Name, numbers by system, codec (by name, or an {@linkcode OptionCodec} of your own) and access.
 * @returns The option.
 * @throws {TypeError} The definition lacks something, or names a codec that does not exist.
 *
 * @example An option by its number
 * ```ts
 * import { defineOption, SO_BUSY_POLL } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * const busyPoll = defineOption({
 *   name: "SO_BUSY_POLL",
 *   codes: { linux: { level: 1, name: 46 } },
 *   codec: "int",
 *   access: "both",
 * });
 * assertEquals(busyPoll.codes, SO_BUSY_POLL.codes);
 * ```
 */
export function defineOption<T, A extends OptionAccess>(
  definition: OptionDefinition<OptionCodec<T>, A>,
): OptionFor<T, A>;
export function defineOption(
  definition: OptionDefinition<keyof NamedCodecs | OptionCodec<unknown>, OptionAccess>,
): AnyOption {
  object(definition, "Cannot define an option: the definition", "{ name, codes, codec, access }");
  const { name, codes, codec, access, when = "any" } = definition;
  const doing = `Cannot define option ${shown(name)}`;
  if (typeof name !== "string" || name === "") throw new TypeError(`${doing}: the name must be text that is not empty`);
  for (const [system, code] of Object.entries(object(codes, `${doing}: codes`, "an object of numbers by system"))) {
    const { level, name: number } = object(code, `${doing}: codes.${system}`, "{ level, name }");
    integer(level, `${doing}: codes.${system}.level`, -(2 ** 31), 2 ** 31 - 1);
    integer(number, `${doing}: codes.${system}.name`, -(2 ** 31), 2 ** 31 - 1);
  }
  if (!["get", "set", "both"].includes(access)) {
    throw new TypeError(`${doing}: access is ${shown(access)}, it must be "get", "set" or "both"`);
  }
  if (!["any", "bind", "listen", "connect", "connected"].includes(when)) {
    throw new TypeError(
      `${doing}: when is ${shown(when)}, it must be "any", "bind", "listen", "connect" or "connected"`,
    );
  }
  if (
    typeof codec === "string"
      ? !NAMED.includes(codec)
      : typeof codec?.encode !== "function" || typeof codec.decode !== "function"
  ) {
    throw new TypeError(`${doing}: codec is ${shown(codec)}, it must be one of ${NAMED.join(", ")} or an OptionCodec`);
  }
  if (typeof codec !== "string") integer(codec.byteLength, `${doing}: codec.byteLength`, 0, 2 ** 20);
  // A copy: what was checked stays so.
  const copies = Object.entries(codes).map(([system, { level, name }]) => [system, Object.freeze({ level, name })]);
  const own: Codes = Object.freeze(Object.fromEntries(copies));
  const spec = (): OptionSpec => ({
    name,
    code: (OS === null ? undefined : own[OS]) ?? null,
    codec: (typeof codec === "string" ? codecNamed(codec) : codec) as OptionCodec<unknown>,
    checkable: true,
    foreign: typeof codec !== "string",
    access,
    when,
    exact: false,
    scope: "any",
  });
  const here = OS === null ? undefined : own[OS];
  const level = here === undefined ? "" : String(here.level);
  return new Option<never>(name, level, access, when, false, { codes: () => own, spec });
}
