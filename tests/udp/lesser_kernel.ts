// Programs whose kernel takes fewer segments, no trains, or no batches: the calls of the C library are answered for it,
// and all else goes to the real one. What such a program is: other_program.ts.

/** What the kernel of a program is like. Code in it is run there, with what comes first in `script`. */
export interface LesserKernel {
  /** Datagrams that it splits a send into; more are EINVAL. Before Linux 6.9 it was 64. */
  segments?: number;
  /** Whether it never heard of UDP_SEGMENT and takes no notice of it, as Linux before 4.18. */
  ignores?: boolean;
  /** The calls that it does not have: ENOSYS. */
  lacks?: readonly ("sendmmsg" | "recvmmsg")[];
  /**
   * So many trains are taken from each socket, then it refuses all with an errno, as where a route changes to another
   * device; `port` limits that to one destination, in the order of the network.
   */
  refuses?: { after: number; errno: number; port?: number };
  /** The errno of every receive, as where a security module forbids it; a program that asks on for 5 seconds is ended. */
  denies?: number;
  /** Whether there are no descriptors left for sockets: EMFILE. */
  full?: boolean;
  /** The most messages that one call takes. */
  messages?: number;
}

/** Code to be run before the library is used: it is not opened before. */
export function on(kernel: LesserKernel): string {
  return `const kernel = ${JSON.stringify(kernel)};
${PRELUDE}`;
}

// struct mmsghdr is 64 bytes: name at 0, iovecs at 16, their count at 24, control at 32, its length at 40. A message of
// struct cmsghdr: its length at 0, level at 8, type at 12, data at 16. On both processors that Deno is there for.
const PRELUDE = `
{
  const real = Deno.dlopen;
  const own = real("libc.so.6", {
    __errno_location: { parameters: [], result: "pointer" },
    memcpy: { parameters: ["pointer", "buffer", "usize"], result: "pointer" },
  }).symbols;
  const fail = (errno) => {
    own.memcpy(own.__errno_location(), new Int32Array([errno]), 4n);
    return -1;
  };
  const SOL_UDP = 17, UDP_SEGMENT = 103, EINVAL = 22, EMFILE = 24, ENOSYS = 38, ENOPROTOOPT = 92;
  const memory = (address) => new Deno.UnsafePointerView(Deno.UnsafePointer.create(address));
  /** Where the control message with the size of segments is in memory, or null. */
  const segmentAt = (header) => {
    const start = header.getBigUint64(32, true), end = start + header.getBigUint64(40, true);
    for (let at = start; at + 16n <= end;) {
      const one = memory(at);
      if (one.getInt32(8) === SOL_UDP && one.getInt32(12) === UDP_SEGMENT) return at;
      at += (one.getBigUint64(0) + 7n) & ~7n;
    }
    return null;
  };
  const portOf = (header) => header.getBigUint64(0, true) === 0n ? 0 : memory(header.getBigUint64(0, true)).getUint16(2);
  const seen = new Map();
  globalThis.told = { trains: 0, refused: 0 };
  /** The errno that a message meets, 0 for none. */
  const answer = (fd, header, many) => {
    const at = segmentAt(header);
    if (at === null) return 0;
    if (kernel.ignores) {
      // A level that no kernel knows is one that it takes no notice of.
      own.memcpy(Deno.UnsafePointer.create(at + 8n), new Int32Array([0x7777]), 4n);
      return 0;
    }
    const size = memory(at).getUint16(16);
    const vectors = memory(header.getBigUint64(16, true));
    let total = 0;
    for (let i = 0; i < Number(header.getBigUint64(24, true)); i++) total += Number(vectors.getBigUint64(16 * i + 8));
    const count = Math.ceil(total / size);
    if (kernel.segments !== undefined && count > kernel.segments) return globalThis.told.refused++, EINVAL;
    if (kernel.refuses && many && (!kernel.refuses.port || portOf(header) === kernel.refuses.port)) {
      const trains = seen.get(fd) ?? 0;
      if (trains >= kernel.refuses.after) return globalThis.told.refused++, kernel.refuses.errno;
      seen.set(fd, trains + 1);
    }
    if (count > 1) globalThis.told.trains++;
    return 0;
  };
  let since = 0;
  const deny = () => {
    since ||= performance.now();
    if (performance.now() - since > 5000) Deno.exit(3);
    return fail(kernel.denies);
  };
  const viewOf = (bytes, at = 0) => new DataView(bytes.buffer, bytes.byteOffset + at, 56);
  Deno.dlopen = (name, symbols) => {
    const library = real(name, symbols);
    const { socket, getsockopt, sendmsg, sendmmsg, recvfrom, recvmmsg } = library.symbols;
    const changed = {
      ...library.symbols,
      socket(family, type, protocol) {
        const fd = kernel.full ? fail(EMFILE) : socket(family, type, protocol);
        seen.delete(fd);
        return fd;
      },
      getsockopt(fd, level, name, value, length) {
        const unheard = kernel.ignores && level === SOL_UDP && name === UDP_SEGMENT;
        return unheard ? fail(ENOPROTOOPT) : getsockopt(fd, level, name, value, length);
      },
      sendmsg(fd, header, flags) {
        const errno = answer(fd, viewOf(header), kernel.lacks?.includes("sendmmsg"));
        return errno === 0 ? sendmsg(fd, header, flags) : fail(errno);
      },
      sendmmsg(fd, headers, count, flags) {
        if (kernel.lacks?.includes("sendmmsg")) return fail(ENOSYS);
        // As the kernel does: the first that fails ends the call, and its error is told if nothing went before.
        let good = 0;
        const most = Math.min(count, kernel.messages ?? count);
        for (let errno; good < most; good++) {
          errno = answer(fd, viewOf(headers, 64 * good), true);
          if (errno !== 0 && good === 0) return fail(errno);
          if (errno !== 0) break;
        }
        return sendmmsg(fd, headers, good, flags);
      },
      recvfrom(fd, data, length, flags, from, fromLength) {
        return kernel.denies ? deny() : recvfrom(fd, data, length, flags, from, fromLength);
      },
      recvmmsg(fd, headers, count, flags, timeout) {
        if (kernel.denies) return deny();
        if (kernel.lacks?.includes("recvmmsg")) return fail(ENOSYS);
        return recvmmsg(fd, headers, Math.min(count, kernel.messages ?? count), flags, timeout);
      },
    };
    return { symbols: changed, close: () => library.close() };
  };
}
`;
