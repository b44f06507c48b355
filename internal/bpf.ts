// Classic BPF: the numbers of its instructions, and which programs the kernel takes.
// The notation for people and the machine that runs a program: socket/filter.ts. How a program becomes bytes: codec.ts.
import { integer, object, shown } from "./argument.ts";
import type { FilterInstruction, FilterProgram } from "./values.ts";

/** Numbers by C name, the same wherever there is BPF. tests/headers_test.ts compares every one with the headers. */
export const BPF = {
  // Classes of instructions (linux/bpf_common.h)
  BPF_LD: 0x00,
  BPF_LDX: 0x01,
  BPF_ST: 0x02,
  BPF_STX: 0x03,
  BPF_ALU: 0x04,
  BPF_JMP: 0x05,
  BPF_RET: 0x06,
  BPF_MISC: 0x07,

  // Sizes and modes of loads
  BPF_W: 0x00,
  BPF_H: 0x08,
  BPF_B: 0x10,
  BPF_IMM: 0x00,
  BPF_ABS: 0x20,
  BPF_IND: 0x40,
  BPF_MEM: 0x60,
  BPF_LEN: 0x80,
  BPF_MSH: 0xa0,

  // Arithmetic
  BPF_ADD: 0x00,
  BPF_SUB: 0x10,
  BPF_MUL: 0x20,
  BPF_DIV: 0x30,
  BPF_OR: 0x40,
  BPF_AND: 0x50,
  BPF_LSH: 0x60,
  BPF_RSH: 0x70,
  BPF_NEG: 0x80,
  BPF_MOD: 0x90,
  BPF_XOR: 0xa0,

  // Jumps
  BPF_JA: 0x00,
  BPF_JEQ: 0x10,
  BPF_JGT: 0x20,
  BPF_JGE: 0x30,
  BPF_JSET: 0x40,

  // Where the second operand is; A is an operand of ret alone (linux/filter.h)
  BPF_K: 0x00,
  BPF_X: 0x08,
  BPF_A: 0x10,
  BPF_TAX: 0x00,
  BPF_TXA: 0x80,

  // Limits
  BPF_MEMWORDS: 16,
  BPF_MAXINSNS: 4096,

  // Offsets below zero are no bytes of the packet from its start on: of Linux's extensions, of the network header,
  // of the link-layer header
  SKF_AD_OFF: -0x1000,
  SKF_NET_OFF: -0x100000,
  SKF_LL_OFF: -0x200000,
  SKF_AD_PROTOCOL: 0,
  SKF_AD_PKTTYPE: 4,
  SKF_AD_IFINDEX: 8,
  SKF_AD_NLATTR: 12,
  SKF_AD_NLATTR_NEST: 16,
  SKF_AD_MARK: 20,
  SKF_AD_QUEUE: 24,
  SKF_AD_HATYPE: 28,
  SKF_AD_RXHASH: 32,
  SKF_AD_CPU: 36,
  SKF_AD_ALU_XOR_X: 40,
  SKF_AD_VLAN_TAG: 44,
  SKF_AD_VLAN_TAG_PRESENT: 48,
  SKF_AD_PAY_OFFSET: 52,
  SKF_AD_RANDOM: 56,
  SKF_AD_VLAN_TPID: 60,

  // What a frame tells of its protocol (linux/if_ether.h)
  ETH_HLEN: 14,
  ETH_P_802_3_MIN: 0x600,
  ETH_P_802_3: 1,
  ETH_P_802_2: 4,

  // Attributes of netlink (linux/netlink.h)
  NLA_TYPE_MASK: ~0xc000,
  NLA_ALIGNTO: 4,
} as const;

/** The bits of a code that tell each part, which C takes out by a macro of this name. */
export const BPF_BITS = {
  BPF_CLASS: 0x07,
  BPF_SIZE: 0x18,
  BPF_MODE: 0xe0,
  BPF_OP: 0xf0,
  BPF_SRC: 0x08,
  BPF_RVAL: 0x18,
  BPF_MISCOP: 0xf8,
} as const;

const ALU = [
  BPF.BPF_ADD,
  BPF.BPF_SUB,
  BPF.BPF_MUL,
  BPF.BPF_DIV,
  BPF.BPF_MOD,
  BPF.BPF_AND,
  BPF.BPF_OR,
  BPF.BPF_XOR,
  BPF.BPF_LSH,
  BPF.BPF_RSH,
];
const CONDITIONS = [BPF.BPF_JEQ, BPF.BPF_JGT, BPF.BPF_JGE, BPF.BPF_JSET];
const SIZES = [BPF.BPF_W, BPF.BPF_H, BPF.BPF_B];
const DIVIDE = BPF.BPF_ALU | BPF.BPF_DIV | BPF.BPF_K;
const REMAINDER = BPF.BPF_ALU | BPF.BPF_MOD | BPF.BPF_K;
const LEFT = BPF.BPF_ALU | BPF.BPF_LSH | BPF.BPF_K;
const RIGHT = BPF.BPF_ALU | BPF.BPF_RSH | BPF.BPF_K;
const LOAD_MEMORY = BPF.BPF_LD | BPF.BPF_MEM;
const LOAD_MEMORY_X = BPF.BPF_LDX | BPF.BPF_MEM;
const ALWAYS = BPF.BPF_JMP | BPF.BPF_JA;
const RETURN_K = BPF.BPF_RET | BPF.BPF_K;
const RETURN_A = BPF.BPF_RET | BPF.BPF_A;

/** The codes that the kernel knows: of all that the bits allow, these alone. */
function knownCodes(): Set<number> {
  return new Set([
    ...ALU.flatMap((operation) => [BPF.BPF_ALU | operation | BPF.BPF_K, BPF.BPF_ALU | operation | BPF.BPF_X]),
    BPF.BPF_ALU | BPF.BPF_NEG,
    ...SIZES.flatMap((size) => [BPF.BPF_LD | size | BPF.BPF_ABS, BPF.BPF_LD | size | BPF.BPF_IND]),
    BPF.BPF_LD | BPF.BPF_W | BPF.BPF_LEN,
    BPF.BPF_LD | BPF.BPF_IMM,
    LOAD_MEMORY,
    BPF.BPF_LDX | BPF.BPF_W | BPF.BPF_LEN,
    BPF.BPF_LDX | BPF.BPF_B | BPF.BPF_MSH,
    BPF.BPF_LDX | BPF.BPF_IMM,
    LOAD_MEMORY_X,
    BPF.BPF_ST,
    BPF.BPF_STX,
    BPF.BPF_MISC | BPF.BPF_TAX,
    BPF.BPF_MISC | BPF.BPF_TXA,
    RETURN_K,
    RETURN_A,
    ALWAYS,
    ...CONDITIONS.flatMap((condition) => [BPF.BPF_JMP | condition | BPF.BPF_K, BPF.BPF_JMP | condition | BPF.BPF_X]),
  ]);
}

/** The offsets of extensions, by which the kernel knows them in a load of any size. */
function knownExtensions(): Set<number> {
  return new Set(
    Object.entries(BPF).filter(([name]) => /^SKF_AD_(?!OFF)/.test(name)).map(([, number]) =>
      BPF.SKF_AD_OFF + number >>> 0
    ),
  );
}

// Most programs that import the library filter nothing: these are made for the first filter.
let codes: ReadonlySet<number> | undefined;
let extensions: ReadonlySet<number> | undefined;

/** The instructions of a user's program, each read once, or an error: reading a field may run code of the caller's. */
export function instructionsOf(program: FilterProgram): FilterInstruction[] {
  if (!Array.isArray(program)) {
    throw new TypeError(`the filter is ${shown(program)}, it must be an array of instructions`);
  }
  const count = program.length;
  if (count < 1 || count > BPF.BPF_MAXINSNS) {
    throw new RangeError(`the filter has ${count} instructions, it must have 1 to ${BPF.BPF_MAXINSNS}`);
  }
  const copied: FilterInstruction[] = [];
  for (let i = 0; i < count; i++) {
    const given = program[i];
    const { code, jt, jf, k } = object(given, `instruction ${i}`, "{ code, jt, jf, k }");
    // The messages are made for wrong values alone: this runs for each packet of runFilter().
    copied.push(
      fits(code, 0xffff) && fits(jt, 0xff) && fits(jf, 0xff) && fits(k, 0xffffffff) ? { code, jt, jf, k } : {
        code: integer(code, `code of instruction ${i}`, 0, 0xffff),
        jt: integer(jt, `jt of instruction ${i}`, 0, 0xff),
        jf: integer(jf, `jf of instruction ${i}`, 0, 0xff),
        k: integer(k, `k of instruction ${i}`, 0, 0xffffffff),
      },
    );
  }
  return copied;
}

function fits(value: unknown, max: number): value is number {
  return typeof value === "number" && value >= 0 && value <= max && Number.isInteger(value);
}

/** What the kernel has against a program: the first instruction it stumbles over, and why. */
export interface Refusal {
  /** Which instruction, counted from 0. */
  readonly index: number;
  /** What is wrong, and what would be right. */
  readonly why: string;
}

/**
 * Why the kernel would refuse a program, as its bpf_check_classic() has it; null for a good one.
 *
 * @param program What `instructionsOf` gave, or the like of it.
 */
export function refusalOf(program: FilterProgram): Refusal | null {
  const count = program.length;
  const last = count - 1;
  let loadsMemory = false;
  const taken = codes ??= knownCodes();
  for (let index = 0; index < count; index++) {
    const { code, jt, jf, k } = program[index]!;
    if (!taken.has(code)) return { index, why: `0x${code.toString(16)} is no code of an instruction` };
    switch (code & BPF_BITS.BPF_CLASS) {
      case BPF.BPF_ALU:
        if ((code === DIVIDE || code === REMAINDER) && k === 0) {
          return { index, why: "division by zero, the constant must not be 0" };
        }
        if ((code === LEFT || code === RIGHT) && k > 31) {
          return { index, why: `a shift by ${k} bits, it must be 0 to 31` };
        }
        break;
      case BPF.BPF_LD:
      case BPF.BPF_LDX:
      case BPF.BPF_ST:
      case BPF.BPF_STX: {
        const loads = code === LOAD_MEMORY || code === LOAD_MEMORY_X;
        loadsMemory ||= loads;
        if ((loads || code === BPF.BPF_ST || code === BPF.BPF_STX) && k >= BPF.BPF_MEMWORDS) {
          return { index, why: `there is no M[${k}], it must be M[0] to M[${BPF.BPF_MEMWORDS - 1}]` };
        }
        const absolute = (code & (BPF_BITS.BPF_CLASS | BPF_BITS.BPF_MODE)) === (BPF.BPF_LD | BPF.BPF_ABS);
        if (absolute && k >= BPF.SKF_AD_OFF >>> 0 && !(extensions ??= knownExtensions()).has(k)) {
          return { index, why: `the offset ${k | 0} is no extension's, it must be 0 or above, or of the headers` };
        }
        break;
      }
      case BPF.BPF_JMP: {
        const furthest = code === ALWAYS ? k : Math.max(jt, jf);
        if (index + 1 + furthest > last) {
          return { index, why: `a jump over ${furthest} instructions, only ${last - index} follow` };
        }
        break;
      }
    }
  }
  const { code } = program[last]!;
  if (code !== RETURN_K && code !== RETURN_A) {
    return { index: last, why: "the filter goes on past its end, the last instruction must be ret" };
  }
  return loadsMemory ? unstored(program) : null;
}

/** The load of a word of M[] that some way to it has not stored, as the kernel's check_load_and_stores() finds it. */
function unstored(program: FilterProgram): Refusal | null {
  const ALL = 0xffff;
  // What every jump to an instruction found stored, a bit a word.
  const arriving = new Uint16Array(program.length).fill(ALL);
  let stored = 0;
  for (let index = 0; index < program.length; index++) {
    const { code, jt, jf, k } = program[index]!;
    stored &= arriving[index]!;
    if (code === BPF.BPF_ST || code === BPF.BPF_STX) stored |= 1 << k;
    else if (code === LOAD_MEMORY || code === LOAD_MEMORY_X) {
      if ((stored & 1 << k) === 0) {
        return { index, why: `M[${k}] is loaded before it is stored, on some way through the filter` };
      }
    } else if ((code & BPF_BITS.BPF_CLASS) === BPF.BPF_JMP) {
      if (code === ALWAYS) arriving[index + 1 + k]! &= stored;
      else {
        arriving[index + 1 + jt]! &= stored;
        arriving[index + 1 + jf]! &= stored;
      }
      stored = ALL;
    }
  }
  return null;
}
