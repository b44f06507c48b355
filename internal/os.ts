// The system this runs on; the only file that reads Deno.build.
// What differs from system to system is a column of a table: constants.ts, sockopt.ts, errno.ts, layout.ts.

/** A system that the tables have a column for. */
export type OperatingSystem = "linux" | "darwin" | "windows";

/** This system, or null where the library has no numbers for it. */
export const OS: OperatingSystem | null =
  Deno.build.os === "linux" || Deno.build.os === "darwin" || Deno.build.os === "windows" ? Deno.build.os : null;

/** This system's name in messages. */
export const OS_NAME: string = OS === null
  ? Deno.build.os
  : { linux: "Linux", darwin: "macOS", windows: "Windows" }[OS];

/** Whether this is a 64-bit ARM processor; some layouts differ there. */
export const ARM64: boolean = Deno.build.arch === "aarch64";

/** Column of this system in a table of linux, darwin, windows; throws where there is none. */
export function column(): 0 | 1 | 2 {
  if (OS === null) {
    throw new Deno.errors.NotSupported(`This library has no numbers for ${OS_NAME}: Linux, macOS and Windows have`);
  }
  return OS === "linux" ? 0 : OS === "darwin" ? 1 : 2;
}
