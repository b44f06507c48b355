// The machine of classic BPF: runs a program over the bytes of a packet, as the kernel does.
// The numbers, and which programs it takes: bpf.ts. The call for people, and what it promises: socket/filter.ts.
import { BPF, BPF_BITS } from "./bpf.ts";
import { LAYOUT } from "./layout.ts";
import type { FilterProgram } from "./values.ts";

/** The word of the notation for what the machine of a test bench cannot know. */
const UNKNOWN: ReadonlyMap<number, string> = new Map([
  [BPF.SKF_AD_PKTTYPE, "type"],
  [BPF.SKF_AD_IFINDEX, "ifidx"],
  [BPF.SKF_AD_MARK, "mark"],
  [BPF.SKF_AD_QUEUE, "queue"],
  [BPF.SKF_AD_HATYPE, "hatype"],
  [BPF.SKF_AD_RXHASH, "rxhash"],
  [BPF.SKF_AD_CPU, "cpu"],
  [BPF.SKF_AD_VLAN_TAG, "vlan_tci"],
  [BPF.SKF_AD_VLAN_TAG_PRESENT, "vlan_avail"],
  [BPF.SKF_AD_VLAN_TPID, "vlan_tpid"],
  [BPF.SKF_AD_PAY_OFFSET, "poff"],
]);

const ATTRIBUTE = LAYOUT.nlattr.linux;

/**
 * The verdict of a program: an unsigned 32-bit number.
 *
 * @param program One that `refusalOf` has nothing against: jumps go forward and loads stay in M[], so it ends.
 * @param packet An Ethernet frame.
 * @param doing What is being done, for the error of what a frame does not tell.
 */
export function runProgram(program: FilterProgram, packet: Uint8Array, doing: string): number {
  let memory: Uint32Array | undefined;
  let a = 0;
  let x = 0;
  for (let at = 0;; at++) {
    const { code, jt, jf, k } = program[at]!;
    const operand = (code & BPF_BITS.BPF_SRC) === BPF.BPF_X ? x : k;
    switch (code & BPF_BITS.BPF_CLASS) {
      case BPF.BPF_LD:
        switch (code & BPF_BITS.BPF_MODE) {
          case BPF.BPF_ABS: {
            if (k >= BPF.SKF_AD_OFF >>> 0) {
              a = extension(k - (BPF.SKF_AD_OFF >>> 0), a, x, packet, at, doing);
              break;
            }
            const loaded = load(packet, k | 0, code);
            if (loaded === null) return 0;
            a = loaded;
            break;
          }
          case BPF.BPF_IND: {
            const loaded = load(packet, x + k | 0, code);
            if (loaded === null) return 0;
            a = loaded;
            break;
          }
          case BPF.BPF_MEM:
            a = memory![k]!;
            break;
          case BPF.BPF_LEN:
            a = packet.length;
            break;
          default:
            a = k;
        }
        break;
      case BPF.BPF_LDX:
        switch (code & BPF_BITS.BPF_MODE) {
          case BPF.BPF_MSH: {
            const loaded = load(packet, k | 0, code);
            if (loaded === null) return 0;
            x = (loaded & 0xf) << 2;
            break;
          }
          case BPF.BPF_MEM:
            x = memory![k]!;
            break;
          case BPF.BPF_LEN:
            x = packet.length;
            break;
          default:
            x = k;
        }
        break;
      case BPF.BPF_ST:
        (memory ??= new Uint32Array(BPF.BPF_MEMWORDS))[k] = a;
        break;
      case BPF.BPF_STX:
        (memory ??= new Uint32Array(BPF.BPF_MEMWORDS))[k] = x;
        break;
      case BPF.BPF_ALU:
        switch (code & BPF_BITS.BPF_OP) {
          case BPF.BPF_ADD:
            a = a + operand >>> 0;
            break;
          case BPF.BPF_SUB:
            a = a - operand >>> 0;
            break;
          case BPF.BPF_MUL:
            a = Math.imul(a, operand) >>> 0;
            break;
          case BPF.BPF_DIV:
            if (operand === 0) return 0;
            a = a / operand >>> 0;
            break;
          case BPF.BPF_MOD:
            if (operand === 0) return 0;
            a %= operand;
            break;
          case BPF.BPF_OR:
            a = (a | operand) >>> 0;
            break;
          case BPF.BPF_AND:
            a = (a & operand) >>> 0;
            break;
          case BPF.BPF_XOR:
            a = (a ^ operand) >>> 0;
            break;
          case BPF.BPF_LSH:
            // By the lowest five bits of X alone, as JavaScript has it too.
            a = a << operand >>> 0;
            break;
          case BPF.BPF_RSH:
            a >>>= operand;
            break;
          default:
            a = -a >>> 0;
        }
        break;
      case BPF.BPF_JMP:
        switch (code & BPF_BITS.BPF_OP) {
          case BPF.BPF_JEQ:
            at += a === operand ? jt : jf;
            break;
          case BPF.BPF_JGT:
            at += a > operand ? jt : jf;
            break;
          case BPF.BPF_JGE:
            at += a >= operand ? jt : jf;
            break;
          case BPF.BPF_JSET:
            at += (a & operand) !== 0 ? jt : jf;
            break;
          default:
            at += k;
        }
        break;
      case BPF.BPF_RET:
        return (code & BPF_BITS.BPF_RVAL) === BPF.BPF_A ? a : k;
      default:
        if ((code & BPF_BITS.BPF_MISCOP) === BPF.BPF_TXA) a = x;
        else x = a;
    }
  }
}

/** A number in network order at an offset, null where the packet has none: the kernel ends the program with 0 then. */
function load(packet: Uint8Array, offset: number, code: number): number | null {
  let from = offset;
  if (offset < BPF.SKF_LL_OFF) return null;
  if (offset < BPF.SKF_NET_OFF) from = offset - BPF.SKF_LL_OFF;
  else if (offset < 0) from = offset - BPF.SKF_NET_OFF + BPF.ETH_HLEN;
  const size = code & BPF_BITS.BPF_SIZE;
  const width = size === BPF.BPF_W ? 4 : size === BPF.BPF_H ? 2 : 1;
  if (from + width > packet.length) return null;
  if (width === 1) return packet[from]!;
  const high = packet[from]! << 8 | packet[from + 1]!;
  return width === 2 ? high : (high << 16 | packet[from + 2]! << 8 | packet[from + 3]!) >>> 0;
}

/** What A is after the load of an extension; the size of the load does not matter to the kernel. */
function extension(number: number, a: number, x: number, packet: Uint8Array, at: number, doing: string): number {
  switch (number) {
    case BPF.SKF_AD_PROTOCOL:
      if (packet.length < BPF.ETH_HLEN) {
        throw new Deno.errors.NotSupported(
          `${doing}: instruction ${at} loads "proto", which a packet of ${packet.length} bytes does not tell: it must be an Ethernet frame, of ${BPF.ETH_HLEN} bytes or more`,
        );
      }
      return protocol(packet);
    case BPF.SKF_AD_NLATTR:
      return attribute(packet, a, packet.length, x);
    case BPF.SKF_AD_NLATTR_NEST: {
      const end = attributeEnd(packet, a, packet.length);
      return end === null ? 0 : attribute(packet, a + ATTRIBUTE.size, end, x);
    }
    case BPF.SKF_AD_ALU_XOR_X:
      return (a ^ x) >>> 0;
    case BPF.SKF_AD_RANDOM:
      return Math.floor(Math.random() * 2 ** 32);
    default:
      throw new Deno.errors.NotSupported(
        `${doing}: instruction ${at} loads "${
          UNKNOWN.get(number)
        }", which the bytes of a packet do not tell: it must be attached to a socket to be tried`,
      );
  }
}

/** What a frame carries, as Linux's eth_type_trans() tells it. */
function protocol(frame: Uint8Array): number {
  const typeAt = BPF.ETH_HLEN - 2;
  const type = frame[typeAt]! << 8 | frame[typeAt + 1]!;
  if (type >= BPF.ETH_P_802_3_MIN) return type;
  // Below, it is the length of what follows, which begins with ones in a Novell frame alone.
  const novell = frame[BPF.ETH_HLEN] === 0xff && frame[BPF.ETH_HLEN + 1] === 0xff;
  return novell ? BPF.ETH_P_802_3 : BPF.ETH_P_802_2;
}

/** A 16-bit number of this machine's, which is little-endian wherever Deno runs. */
function u16(packet: Uint8Array, at: number): number {
  return packet[at]! | packet[at + 1]! << 8;
}

/** Where the netlink attribute at an offset ends, null when there is no whole one before `end`. */
function attributeEnd(packet: Uint8Array, at: number, end: number): number | null {
  if (at + ATTRIBUTE.size > end) return null;
  const length = u16(packet, at + ATTRIBUTE.fields.nla_len[0]);
  return length < ATTRIBUTE.size || at + length > end ? null : at + length;
}

/** The offset of the first attribute of a type in a row of them, 0 for none. */
function attribute(packet: Uint8Array, from: number, end: number, type: number): number {
  for (let at = from;;) {
    const next = attributeEnd(packet, at, end);
    if (next === null) return 0;
    if ((u16(packet, at + ATTRIBUTE.fields.nla_type[0]) & BPF.NLA_TYPE_MASK) === type) return at;
    const length = next - at;
    at += length + BPF.NLA_ALIGNTO - 1 & ~(BPF.NLA_ALIGNTO - 1);
  }
}
