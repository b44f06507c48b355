// The symbols of the C library on macOS, each beside its C prototype where it differs from Linux's.
// What calls them is libc.ts. Never run by the authors, who have no Mac: the prototypes are from Apple's manual pages.
import { SYMBOLS as LINUX } from "./libc_linux.ts";

const { ioctl: _ioctl, fcntl: _fcntl, open: _open, read: _read, ...shared } = LINUX;

/**
 * No ioctl, no fcntl: they are variadic, and Apple's ARM calling convention passes variadic arguments elsewhere. And
 * nothing to read: what Linux tells in files is told by calls.
 */
export const SYMBOLS = {
  ...shared,
  // int *__error(void)
  errnoLocation: { name: "__error", parameters: [], result: "u64" },
  // int dup(int fd)
  dup: { parameters: ["i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;
