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
  // int fcntl(int fd, int command, ...): variadic, but Linux passes the third argument as a fixed one
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
  // int open(const char *path, int flags, ...): variadic, but nothing follows
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // ssize_t read(int fd, void *data, size_t length)
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int getdtablesize(void)
  getdtablesize: { parameters: [], result: "i32" },
  // int ioctl(int fd, unsigned long request, ...): variadic, but Linux passes the third argument as a fixed one
  ioctl: { parameters: ["i32", "u32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What tells of interfaces, and text of the C library; opened when it is first needed, as every symbol takes its time. */
export const INTERFACE_SYMBOLS = {
  // size_t strlen(const char *s)
  strlen: { parameters: ["u64"], result: "i32" },
  // int getifaddrs(struct ifaddrs **list)
  getifaddrs: { parameters: ["buffer"], result: "i32" },
  // void freeifaddrs(struct ifaddrs *list)
  freeifaddrs: { parameters: ["u64"], result: "void" },
  // unsigned int if_nametoindex(const char *name)
  if_nametoindex: { parameters: ["buffer"], result: "i32" },
  // char *if_indextoname(unsigned int index, char *name)
  if_indextoname: { parameters: ["u32", "buffer"], result: "u64" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What sockets of our own need besides; opened with the first of them. */
export const IO_SYMBOLS = {
  // int socketpair(int domain, int type, int protocol, int fds[2])
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // int bind(int fd, const struct sockaddr *address, socklen_t length)
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int listen(int fd, int backlog)
  listen: { parameters: ["i32", "i32"], result: "i32" },
  // int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  // int connect(int fd, const struct sockaddr *address, socklen_t length)
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // ssize_t send(int fd, const void *data, size_t length, int flags)
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  // ssize_t recv(int fd, void *data, size_t length, int flags)
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  // ssize_t sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t toLength)
  sendto: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "u32"], result: "i32" },
  // ssize_t recvfrom(int fd, void *data, size_t length, int flags, struct sockaddr *from, socklen_t *fromLength)
  recvfrom: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "buffer"], result: "i32" },
  // ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  // ssize_t recvmsg(int fd, struct msghdr *message, int flags)
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  // int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
  sendmmsg: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  // int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout): the last is always null
  recvmmsg: { parameters: ["i32", "buffer", "u32", "i32", "pointer"], result: "i32" },
  // int shutdown(int fd, int how)
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  // int fchmod(int fd, mode_t mode)
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  // int fchmodat(int folder, const char *path, mode_t mode, int flags)
  fchmodat: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  // int unlink(const char *path)
  unlink: { parameters: ["buffer"], result: "i32" },
  // int fcntl(int fd, int command, ...): variadic, but Linux passes the third argument as a fixed one
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int epoll_create1(int flags)
  epoll_create1: { parameters: ["i32"], result: "i32" },
  // int epoll_ctl(int epfd, int operation, int fd, struct epoll_event *event)
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // int epoll_wait(int epfd, struct epoll_event *events, int count, int timeout): with timeout 0 alone
  epoll_wait: { parameters: ["i32", "pointer", "i32", "i32"], result: "i32" },
  // int eventfd(unsigned int value, int flags)
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // ssize_t read(int fd, void *data, size_t length)
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // ssize_t write(int fd, const void *data, size_t length)
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // void *calloc(size_t count, size_t size)
  calloc: { parameters: ["u32", "u32"], result: "pointer" },
  // void free(void *memory)
  free: { parameters: ["pointer"], result: "void" },
  // void *memcpy(void *dest, const void *src, size_t n), out of memory of the C library and into it
  memcpyOut: { name: "memcpy", parameters: ["buffer", "pointer", "u32"], result: "u64" },
  memcpyIn: { name: "memcpy", parameters: ["pointer", "buffer", "u32"], result: "u64" },
  // int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list), at once
  getaddrinfoNow: {
    name: "getaddrinfo",
    parameters: ["pointer", "pointer", "pointer", "pointer"],
    result: "i32",
  },
  // void freeaddrinfo(struct addrinfo *list)
  freeaddrinfo: { parameters: ["u64"], result: "void" },
  // const char *gai_strerror(int error)
  gai_strerror: { parameters: ["i32"], result: "u64" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The calls that wait, in a thread of the runtime; they keep no buffer alive, so all their memory is the C library's. */
export const WAIT_SYMBOLS = {
  epoll_wait: { parameters: ["i32", "pointer", "i32", "i32"], result: "i32", nonblocking: true },
  // pid_t getpid(void): asks whether the thread pool has come so far
  getpid: { parameters: [], result: "i32", nonblocking: true },
  // int usleep(useconds_t microseconds): long enough for the runtime to go idle meanwhile
  usleep: { parameters: ["u32"], result: "i32", nonblocking: true },
  // int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
  getaddrinfo: { parameters: ["pointer", "pointer", "pointer", "pointer"], result: "i32", nonblocking: true },
} as const satisfies Deno.ForeignLibraryInterface;
