// sendmsg and recvmsg over the caller's own buffers: struct msghdr and its iovecs, filled and followed in one breath.
// What stands in the control bytes: cmsg.ts. The calls themselves: libc_io.ts. Addresses: sockaddr.ts.
//
// A header says where memory lies and how long it is, and neither FFI nor the kernel doubts it: a wrong length is a heap
// overflow, a stale address a write into what has become somebody else's. What keeps that from happening
// (tests/msghdr_test.ts has a test for each):
//
// 1. Lengths are asked of the engine, not of the object: the getter of %TypedArray% itself, which a subclass or an own
//    property of a caller's view cannot shadow, and which throws for what is no typed array. No length is ever passed in.
// 2. The list of buffers is copied before the first length is read. From then to the end of the system call none of the
//    caller's code can run (no getter, no proxy, no conversion, no await), so nothing can be detached or resized between
//    the reading of its length and its use.
// 3. Addresses of a caller's buffers are taken in that same stretch and never kept: the iovecs are written anew by every
//    call. The views are held where the collector sees them until the call is over.
// 4. A buffer that was detached, or shrunk until its view lies outside of it, is a TypeError and never a message of no
//    bytes. Views of zero length are fine. Shared and resizable memory is fine: it is followed only during the call, shared
//    memory never shrinks, and this thread, which alone could resize the other kind, is in the call.
// 5. The only addresses that are kept point into one arena of this file's own, which nobody else ever sees; its size is
//    compared before every call that follows them. Address and control bytes are copied into it, never pointed to.
// 6. At most 1,024 buffers (IOV_MAX) and 2^31 - 1 bytes, so every number fits its field, and the result an int.
//
// Nothing here waits, and nothing calls back, so one arena for all sockets of an isolate is enough.
import { integer, shown } from "./argument.ts";
import { CONTROL_MAX } from "./cmsg.ts";
import { constant } from "./constants.ts";
import { failed } from "./errno.ts";
import { LAYOUT } from "./layout.ts";
import { libc } from "./libc.ts";
import { byteLengthOf, type LibcIo } from "./libc_io.ts";
import { OS } from "./os.ts";
import { SOCKADDR_MAX } from "./sockaddr.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What recvmsg gave. The bytes are copies. */
export interface RawMessage {
  /** The kernel's result: bytes received, or the true length of the message when MSG_TRUNC was asked for or there was a rest. */
  readonly byteLength: number;
  /** The sender's sockaddr; empty when there is none, or it was not asked for. */
  readonly address: Bytes;
  /** The control messages, as many bytes as the kernel wrote. */
  readonly control: Bytes;
  /** msg_flags: MSG_TRUNC, MSG_CTRUNC, MSG_EOR, ... */
  readonly flags: number;
}

/** IOV_MAX of Linux and macOS. */
const MAX_BUFFERS = 1024;
const MAX_BYTES = 2 ** 31 - 1;

const SYSTEM = OS === "darwin" ? "darwin" : "linux";
const { size: HEADER_SIZE, fields: HEADER } = LAYOUT.msghdr[SYSTEM];
const { size: VECTOR_SIZE, fields: VECTOR } = LAYOUT.iovec[SYSTEM];

/** Of received descriptors. */
const CLOSE_ON_EXEC = SYSTEM === "linux" ? constant("MSG_CMSG_CLOEXEC", SYSTEM) : 0;
const TRUNCATED = constant("MSG_TRUNC", SYSTEM);

// The arena: header, address, iovecs, control bytes, in this order; each begins at a multiple of eight.
const NAME_AT = Math.ceil(HEADER_SIZE / 8) * 8;
const VECTORS_AT = NAME_AT + SOCKADDR_MAX;
const CONTROL_AT = VECTORS_AT + MAX_BUFFERS * VECTOR_SIZE;
const CONTROL_ROOM = 4096;

/** Throws where a view has lost its memory; tells an empty one from it. */
export const touch = Function.prototype.call.bind(Uint8Array.prototype.at) as unknown as (
  view: Uint8Array,
  at: number,
) => void;

const NONE: readonly Uint8Array[] = [];
const EMPTY = new Uint8Array(0);

let arena: Bytes = EMPTY;
let fields = new DataView(arena.buffer);
let header: Bytes = EMPTY;
let nameAddress = 0n;
let controlAddress = 0n;
/** The buffers of the call at hand, so that none is collected while the kernel follows its address. */
const held = { views: NONE };

/** Makes sure that the arena is what the addresses in the header say, with room for so many control bytes. */
function prepare(room: number): void {
  if (arena.byteLength >= CONTROL_AT + room) return;
  const larger = new Uint8Array(CONTROL_AT + Math.max(CONTROL_ROOM, room));
  const base = libc("Cannot exchange a message").addressOf(larger);
  arena = larger;
  fields = new DataView(arena.buffer);
  header = arena.subarray(0, HEADER_SIZE);
  nameAddress = base + BigInt(NAME_AT);
  controlAddress = base + BigInt(CONTROL_AT);
  // Written here once: this field alone never changes.
  fields.setBigUint64(HEADER.msg_iov[0], base + BigInt(VECTORS_AT), true);
}

/** The caller's list, copied and checked; the last moment at which code of the caller's can run. */
function copied(data: readonly Uint8Array[]): Uint8Array[] {
  if (!Array.isArray(data)) {
    throw new TypeError(`the buffer is ${shown(data)}, it must be a Uint8Array or an array of them`);
  }
  const count = data.length;
  if (count > MAX_BUFFERS) {
    throw new RangeError(`there are ${count} buffers, there must be at most ${MAX_BUFFERS}`);
  }
  const views: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const view = data[i];
    if (!(view instanceof Uint8Array)) {
      throw new TypeError(`buffer ${i} is ${shown(view)}, it must be a Uint8Array`);
    }
    views[i] = view;
  }
  return views;
}

/** Writes the iovecs of buffers; how many bytes they have. Calls nothing of the caller's: see 2 above. */
function point(views: readonly Uint8Array[]): number {
  const { addressOf } = libc("Cannot exchange a message");
  let total = 0;
  for (let i = 0, at = VECTORS_AT; i < views.length; i++, at += VECTOR_SIZE) {
    const view = views[i]!;
    const length = lengthOf(view, i);
    total += length;
    if (total > MAX_BYTES) throw new RangeError(`the buffers have ${total} bytes, they must have at most ${MAX_BYTES}`);
    fields.setBigUint64(at + VECTOR.iov_base[0], length === 0 ? 0n : addressOf(view as Bytes), true);
    // Its upper half is never written, so it is zero; so are those of the lengths in the header.
    fields.setUint32(at + VECTOR.iov_len[0], length, true);
  }
  fields.setUint32(HEADER.msg_iovlen[0], views.length, true);
  held.views = views;
  return total;
}

function lengthOf(view: Uint8Array, i: number): number {
  let length: number;
  try {
    length = byteLengthOf(view);
    if (length === 0) touch(view, 0);
  } catch (error) {
    throw new TypeError(`buffer ${i} has lost its memory, it must not be detached or outgrow it`, { cause: error });
  }
  return length;
}

/**
 * sendmsg(2), now.
 *
 * @param io The calls.
 * @param fd The socket.
 * @param data The buffers, in order.
 * @param address Where to; null for the peer of a connected socket.
 * @param control Control messages, as encodeControl() makes them; null for none.
 * @param flags MSG_ flags.
 * @returns Bytes sent; a failure is -1, its errno saved.
 */
export function sendMessage(
  io: LibcIo,
  fd: number,
  data: readonly Uint8Array[],
  address: Bytes | null,
  control: Bytes | null,
  flags: number,
): number {
  const views = copied(data);
  const nameLength = address === null ? 0 : byteLengthOf(address);
  const controlLength = control === null ? 0 : byteLengthOf(control);
  integer(nameLength, "the length of the address", 0, SOCKADDR_MAX);
  integer(controlLength, "the length of the control messages", 0, CONTROL_MAX);
  prepare(controlLength);
  if (address !== null) arena.set(address, NAME_AT);
  if (control !== null) arena.set(control, CONTROL_AT);
  describe(nameLength, controlLength);
  point(views);
  const result = io.sendmsg(fd, header, flags);
  held.views = NONE;
  return result;
}

/**
 * recvmsg(2), now. Received descriptors are close-on-exec from birth.
 *
 * @param io The calls.
 * @param fd The socket.
 * @param data The buffers, filled in order.
 * @param address Whether the sender is wanted.
 * @param controlLength Room for control messages.
 * @param flags MSG_ flags.
 * @param descriptors Whether such may come, which are then closed on exec: packet sockets, which have none, refuse the flag.
 * @param rest Takes what does not fit, where the kernel tells no true length otherwise.
 * @returns What came; null for a failure, its errno saved.
 */
export function receiveMessage(
  io: LibcIo,
  fd: number,
  data: readonly Uint8Array<ArrayBuffer>[],
  address: boolean,
  controlLength: number,
  flags: number,
  descriptors = true,
  rest: Bytes | null = null,
): RawMessage | null {
  const views = copied(data);
  const more = rest === null || views.length === MAX_BUFFERS ? 0 : rest.byteLength;
  if (more > 0) views.push(rest!);
  integer(controlLength, "the length of the control messages", 0, CONTROL_MAX);
  prepare(controlLength);
  describe(address ? SOCKADDR_MAX : 0, controlLength);
  const room = point(views) - more;
  const result = io.recvmsg(fd, header, descriptors ? flags | CLOSE_ON_EXEC : flags);
  held.views = NONE;
  if (failed(result)) return null;
  // A kernel tells the true length of an address, which may be more than there was room for.
  const nameEnd = NAME_AT + Math.min(fields.getUint32(HEADER.msg_namelen[0], true), address ? SOCKADDR_MAX : 0);
  const controlEnd = CONTROL_AT + Math.min(fields.getUint32(HEADER.msg_controllen[0], true), controlLength);
  return {
    byteLength: result,
    address: nameEnd === NAME_AT ? EMPTY : arena.slice(NAME_AT, nameEnd),
    control: controlEnd === CONTROL_AT ? EMPTY : arena.slice(CONTROL_AT, controlEnd),
    // Linux repeats what we asked for.
    flags: fields.getInt32(HEADER.msg_flags[0], true) & ~CLOSE_ON_EXEC | (more > 0 && result > room ? TRUNCATED : 0),
  };
}

/** Writes what stands in the header besides the buffers; the kernel changes all of it when it receives. */
function describe(nameLength: number, controlLength: number): void {
  fields.setBigUint64(HEADER.msg_name[0], nameLength === 0 ? 0n : nameAddress, true);
  fields.setUint32(HEADER.msg_namelen[0], nameLength, true);
  fields.setBigUint64(HEADER.msg_control[0], controlLength === 0 ? 0n : controlAddress, true);
  fields.setUint32(HEADER.msg_controllen[0], controlLength, true);
  fields.setInt32(HEADER.msg_flags[0], 0, true);
}
