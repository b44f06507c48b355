// Room for many datagrams: the shape of a batch. The calls that fill and send one are members of UdpSocket, in socket.ts.
// Nothing can make a batch yet; the shapes of single datagrams are in types.ts.
import type {
  Datagram,
  DatagramField,
  DatagramMetadata,
  OutgoingDatagram,
  UdpAddress,
  UdpDestination,
} from "./types.ts";

/**
 * Reusable room for many datagrams, one arena; fill and send, or receive and read, or receive and send on. One call at a
 * time may use it. Not to be had yet: this is the shape it will have.
 */
export interface DatagramBatch extends Iterable<Datagram<DatagramField>> {
  /** The arena; valid for the life of the batch, overwritten by the next receive. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Datagrams in it. */
  readonly length: number;
  /** Datagrams of it that the kernel took in the last send. */
  readonly sent: number;
  /** Where datagram `i` starts in `bytes`. Allocates nothing. */
  byteOffset(i: number): number;
  /** Its length in bytes. Allocates nothing. */
  byteLength(i: number): number;
  /** Number of its run: datagrams of a run follow each other and share sender and metadata. Allocates nothing. */
  run(i: number): number;
  /** Whether it is cut. Allocates nothing. */
  truncated(i: number): boolean;
  /** Its bytes, a view into the arena. */
  data(i: number): Uint8Array<ArrayBuffer>;
  /** Its sender, or once filled its destination; frozen, made once a run. */
  remoteAddr(i: number): UdpAddress;
  /** One field of its metadata; throws `TypeError` if the socket was not asked for it. */
  metadata<K extends DatagramField>(i: number, field: K): DatagramMetadata[K];
  /** Empties it. */
  clear(): void;
  /** Copies a datagram in; false when full. With `segmentSize`, as many datagrams as it splits into. */
  add(data: Uint8Array, settings?: Omit<OutgoingDatagram, "data">): boolean;
  /** Room for a datagram to be written in place: its offset, or -1 when full. */
  reserve(byteLength: number, remoteAddr?: UdpDestination): number;
  /** Views with all that is known, valid until the next receive. */
  [Symbol.iterator](): IterableIterator<Datagram<DatagramField>>;
}
