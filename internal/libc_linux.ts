// The symbols of the C library on Linux (glibc and musl), each beside its C prototype.
// What calls them is libc.ts; the same for macOS is libc_darwin.ts.

/** Lengths are 32-bit on purpose: a JavaScript number given to a 64-bit parameter takes FFI's slow path. */
export const SYMBOLS = {
  // int *__errno_location(void)
  errnoLocation: { name: "__errno_location", parameters: [], result: "u64" },
  // void *memcpy(void *dest, const void *src, size_t n)
  memcpy: { parameters: ["buffer", "u64", "u32"], result: "u64" },
  // void *memmove(void *dest, const void *src, size_t n): of nothing, it tells the address of a buffer
  memmove: { parameters: ["buffer", "buffer", "u32"], result: "u64" },
  // size_t strlen(const char *s)
  strlen: { parameters: ["u64"], result: "i32" },
  // int socket(int domain, int type, int protocol)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  // int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // int getsockname(int fd, struct sockaddr *address, socklen_t *length)
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int getpeername(int fd, struct sockaddr *address, socklen_t *length)
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int poll(struct pollfd *fds, nfds_t count, int timeout)
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32" },
  // int dup(int fd)
  dup: { parameters: ["i32"], result: "i32" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
  // int getdtablesize(void)
  getdtablesize: { parameters: [], result: "i32" },
  // int getifaddrs(struct ifaddrs **list)
  getifaddrs: { parameters: ["buffer"], result: "i32" },
  // void freeifaddrs(struct ifaddrs *list)
  freeifaddrs: { parameters: ["u64"], result: "void" },
  // unsigned int if_nametoindex(const char *name)
  if_nametoindex: { parameters: ["buffer"], result: "i32" },
  // char *if_indextoname(unsigned int index, char *name)
  if_indextoname: { parameters: ["u32", "buffer"], result: "u64" },
  // int ioctl(int fd, unsigned long request, ...): variadic, but Linux passes the third argument as a fixed one
  ioctl: { parameters: ["i32", "u32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;
