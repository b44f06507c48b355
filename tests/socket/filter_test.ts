// assembleFilter() against known encodings and tcpdump, runFilter() against the kernel on the same programs and packets.
// The option that attaches: ../options/; numbers against headers: ../headers_test.ts. Checksums: checksum_test.ts.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type FilterInstruction, type FilterProgram, SO_ATTACH_FILTER } from "../../options/mod.ts";
import { assembleFilter, runFilter, Socket } from "../../socket/mod.ts";
import { type Needs, test } from "../needs.ts";
import {
  addressOf,
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_PACKET,
  inet,
  int,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  Namespace,
  RawSocket,
  refusal,
  ROOT,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
} from "../raw_socket.ts";
import { both, bytes, FFI } from "./make.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Four = [code: number, jt: number, jf: number, k: number];

const SOAK = Deno.permissions.querySync({ name: "env", variable: "SOCKETS_SOAK" }).state === "granted" &&
  Deno.env.get("SOCKETS_SOAK") === "1";
const ROUNDS = SOAK ? 1_000_000 : 100_000;
const PACKETS = 10_000;
const TCPDUMP: Needs = { run: ["tcpdump"], read: true, env: true };
/** The instructions that the kernel has: linux/filter.h, as chk_code_allowed() of net/core/filter.c lists them. */
const CODES = [
  ...[0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x94, 0xa4].flatMap((code) => [code, code | 8]),
  ...[0x84, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x00, 0x60, 0x81, 0xb1, 0x01, 0x61, 0x02, 0x03, 0x07, 0x87],
  ...[0x06, 0x16, 0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d],
];
const AD = 0xfffff000;

function program(fours: readonly Four[]): FilterInstruction[] {
  return fours.map(([code, jt, jf, k]) => ({ code, jt, jf, k }));
}

function fours(instructions: FilterProgram): Four[] {
  return instructions.map(({ code, jt, jf, k }) => [code, jt, jf, k]);
}

/** The same numbers each run, so that a failure can be had again. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = this.#state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(this.#state ^ this.#state >>> 15, this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return Math.floor(((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32 * limit);
  }

  of<T>(all: ArrayLike<T>): T {
    return all[this.below(all.length)]!;
  }

  bytes(length: number): Bytes {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

// ---- assembleFilter ----

/** One instruction and its code and k in hexadecimal, from the opcodes of linux/filter.h. */
const ENCODINGS: readonly (readonly [source: string, code: number, k: number])[] = [
  ["ld [14]", 0x20, 14],
  ["ld [x + 14]", 0x40, 14],
  ["ld [%x + 14]", 0x40, 14],
  ["ld [x+14]", 0x40, 14],
  ["ld [x + -4]", 0x40, 0xfffffffc],
  ["ld M[15]", 0x60, 15],
  ["ld #0x12345678", 0x00, 0x12345678],
  ["ld len", 0x80, 0],
  ["ld #len", 0x80, 0],
  ["ldh [14]", 0x28, 14],
  ["ldh [x + 14]", 0x48, 14],
  ["ldb [14]", 0x30, 14],
  ["ldb [x + 14]", 0x50, 14],
  ["ld [-1048576]", 0x20, 0xfff00000],
  ["ldb [0xffe00001]", 0x30, 0xffe00001],
  ["ldi #5", 0x00, 5],
  ["ldi 5", 0x00, 5],
  ["ldx #5", 0x01, 5],
  ["ldx M[3]", 0x61, 3],
  ["ldx len", 0x81, 0],
  ["ldx #len", 0x81, 0],
  ["ldx 4*([14]&0xf)", 0xb1, 14],
  ["ldxi #5", 0x01, 5],
  ["ldxi 5", 0x01, 5],
  ["ldxb 4*([14]&0xf)", 0xb1, 14],
  ["ldxb 4 * ( [ 14 ] & 15 )", 0xb1, 14],
  ["st M[3]", 0x02, 3],
  ["stx M[3]", 0x03, 3],
  ["add #1", 0x04, 1],
  ["add x", 0x0c, 0],
  ["add %x", 0x0c, 0],
  ["sub #1", 0x14, 1],
  ["sub x", 0x1c, 0],
  ["mul #1", 0x24, 1],
  ["mul x", 0x2c, 0],
  ["div #1", 0x34, 1],
  ["div x", 0x3c, 0],
  ["or #1", 0x44, 1],
  ["or x", 0x4c, 0],
  ["and #1", 0x54, 1],
  ["and x", 0x5c, 0],
  ["lsh #1", 0x64, 1],
  ["lsh x", 0x6c, 0],
  ["rsh #1", 0x74, 1],
  ["rsh x", 0x7c, 0],
  ["neg", 0x84, 0],
  ["mod #1", 0x94, 1],
  ["mod x", 0x9c, 0],
  ["xor #1", 0xa4, 1],
  ["xor x", 0xac, 0],
  ["tax", 0x07, 0],
  ["txa", 0x87, 0],
  ["ret #7", 0x06, 7],
  ["ret #-1", 0x06, 0xffffffff],
  ["ret a", 0x16, 0],
  ["ret %a", 0x16, 0],
  ["ld proto", 0x20, AD],
  ["ld type", 0x20, AD + 4],
  ["ld ifidx", 0x20, AD + 8],
  ["ld nla", 0x20, AD + 12],
  ["ld nlan", 0x20, AD + 16],
  ["ld mark", 0x20, AD + 20],
  ["ld queue", 0x20, AD + 24],
  ["ld hatype", 0x20, AD + 28],
  ["ld rxhash", 0x20, AD + 32],
  ["ld cpu", 0x20, AD + 36],
  ["ld vlan_tci", 0x20, AD + 44],
  ["ld vlan_avail", 0x20, AD + 48],
  ["ld vlan_pr", 0x20, AD + 48],
  ["ld poff", 0x20, AD + 52],
  ["ld rand", 0x20, AD + 56],
  ["ld vlan_tpid", 0x20, AD + 60],
  ["ld #proto", 0x20, AD],
  ["ldh proto", 0x28, AD],
  ["ldb #rand", 0x30, AD + 56],
  // Numbers
  ["ld #0", 0x00, 0],
  ["ld #+12", 0x00, 12],
  ["ld #-2147483648", 0x00, 0x80000000],
  ["ld #4294967295", 0x00, 0xffffffff],
  ["ld #0xFf", 0x00, 255],
  ["ld #0XfF", 0x00, 255],
  ["ld #0b1011", 0x00, 11],
  ["ld #017", 0x00, 15],
];

Deno.test("assembleFilter() encodes every instruction in every addressing mode as linux/filter.h has it", () => {
  for (const [source, code, k] of ENCODINGS) {
    // What M[] is loaded was stored, and the program ends.
    const before: Four[] = /M\[\d+\]/.test(source) ? [[0x02, 0, 0, 3], [0x02, 0, 0, 15]] : [];
    const text = `${before.map(([, , , cell]) => `st M[${cell}]\n`).join("")}${source}\nret #0`;
    assertEquals(fours(assembleFilter(text)), [...before, [code, 0, 0, k], [0x06, 0, 0, 0]], source);
    assertEquals(assembleFilter(text.toUpperCase()), assembleFilter(text), `${source} in capitals`);
  }
});

Deno.test("assembleFilter() encodes every jump as linux/filter.h has it", () => {
  const condition = { jeq: 0x15, jgt: 0x25, jge: 0x35, jset: 0x45 };
  const contrary = { jneq: 0x15, jne: 0x15, jlt: 0x35, jle: 0x25 };
  const rest = "\nret #1\none: ret #2\ntwo: ret #3";
  for (const [name, code] of [...Object.entries(condition), ...Object.entries(contrary)]) {
    for (const [operand, encoded, k] of [["#9", code, 9], ["x", code | 8, 0], ["%x", code | 8, 0]] as const) {
      const jumps: Four = name in condition ? [encoded, 1, 0, k] : [encoded, 0, 1, k];
      assertEquals(fours(assembleFilter(`${name} ${operand}, one${rest}`))[0], jumps, name);
      if (name in condition) {
        assertEquals(fours(assembleFilter(`${name} ${operand},two , one${rest}`))[0], [encoded, 2, 1, k], name);
      }
    }
  }
  for (const name of ["jmp", "ja"]) {
    assertEquals(fours(assembleFilter(`${name} two${rest}`))[0], [0x05, 0, 0, 2], name);
  }
});

Deno.test("assembleFilter() makes of the examples of the kernel's filter.rst what bpf_asm makes of them", () => {
  // The output is printed there.
  assertEquals(fours(assembleFilter("ldh [12]\njne #0x806, drop\nret #-1\ndrop: ret #0\n")), [
    [40, 0, 0, 12],
    [21, 0, 1, 2054],
    [6, 0, 0, 4294967295],
    [6, 0, 0, 0],
  ]);
  assertEquals(
    fours(assembleFilter(`
  ldh [12]
  jne #0x800, drop
  ldb [23]
  jneq #1, drop
  # get a random uint32 number
  ld rand
  mod #4
  jneq #1, drop
  ret #-1
  drop: ret #0
`)),
    [
      [0x28, 0, 0, 12],
      [0x15, 0, 6, 0x800],
      [0x30, 0, 0, 23],
      [0x15, 0, 4, 1],
      [0x20, 0, 0, 0xfffff038],
      [0x94, 0, 0, 4],
      [0x15, 0, 1, 1],
      [0x06, 0, 0, 0xffffffff],
      [0x06, 0, 0, 0],
    ],
  );
  const seccomp = assembleFilter(`
  ld [4]                  /* offsetof(struct seccomp_data, arch) */
  jne #0xc000003e, bad    /* AUDIT_ARCH_X86_64 */
  ld [0]                  /* offsetof(struct seccomp_data, nr) */
  jeq #15, good           /* __NR_rt_sigreturn */
  jeq #231, good          /* __NR_exit_group */
  jeq #60, good           /* __NR_exit */
  bad: ret #0             /* SECCOMP_RET_KILL_THREAD */
  good: ret #0x7fff0000   /* SECCOMP_RET_ALLOW */
`);
  assertEquals(fours(seccomp), [
    [0x20, 0, 0, 4],
    [0x15, 0, 4, 0xc000003e],
    [0x20, 0, 0, 0],
    [0x15, 3, 0, 15],
    [0x15, 2, 0, 231],
    [0x15, 1, 0, 60],
    [0x06, 0, 0, 0],
    [0x06, 0, 0, 0x7fff0000],
  ]);
});

Deno.test("assembleFilter() takes comments, any layout, labels of their own line and two labels for one instruction", () => {
  const wanted: Four[] = [[0x28, 0, 0, 12], [0x15, 1, 0, 5], [0x06, 0, 0, 0], [0x06, 0, 0, 1]];
  for (
    const source of [
      "ldh [12] jeq #5, keep ret #0 keep: ret #1",
      "\tldh\n[\n12 ]\r\njeq #5\n,keep\n\n\nret\n #0\nkeep:\n\n  ret #1\r\n",
      "; jump nowhere\nldh [12] ; don't ~\njeq #5, keep /* ; */ ret /* \n * jmp keep\n **/ #0;\nkeep: ret #1;",
      "#!bpf don't\n#\nldh [12]\n# jmp keep\n   # it's indented\njeq #5, keep\nret #0\nkeep: ret #1\n#",
      "# first\nldh\n# the type's\n[12] jeq #5,\n#else\nkeep ret #0 keep: ret #1",
      "   # first\nldh[12]jeq#5,other ret#0 keep:other:ret#1",
      "/**/ldh [12]/*/ a */jeq #5, K/* */ret #0\nk: K: ret #1",
    ]
  ) {
    assertEquals(fours(assembleFilter(source)), wanted, source);
  }
});

Deno.test("assembleFilter() makes jumps of 255 instructions, by jmp of more, and programs of 4096", () => {
  const longest = fours(assembleFilter(`jeq #1, far\n${"tax\n".repeat(255)}far: ret #0`));
  assertEquals([longest.length, longest[0]], [257, [0x15, 255, 0, 1]]);
  const full = fours(assembleFilter(`jmp far\n${"tax\n".repeat(4094)}far: ret #0`));
  assertEquals([full.length, full[0]], [4096, [0x05, 0, 0, 4094]]);
});

const WORDS =
  "ld ldh ldb ldi ldx ldxi ldxb st stx jmp ja jeq jgt jge jset jneq jne jlt jle add sub mul div mod and or xor lsh rsh neg tax txa ret";

/** What is wrong, in which line, and what is said of it. */
const WRONG: readonly (readonly [source: string, line: number, message: string])[] = [
  ["", 1, "there is no instruction, the least is ret #0"],
  ["; nothing\n# at all\n", 1, "there is no instruction, the least is ret #0"],
  ["ret #0\n\nfoo #1", 3, `there is no instruction "foo", it must be one of ${WORDS}`],
  ["ret #0\nconstructor [1]", 2, `there is no instruction "constructor", it must be one of ${WORDS}`],
  ["ret #0\n[12]", 2, 'an instruction or a label must be here, not "["'],
  ["ret #0\n 12", 2, 'an instruction or a label must be here, not "12"'],
  ["ret #0 # all", 1, 'an instruction or a label must be here, not "#"'],
  ["tax\nret\n\n\n", 2, "ret takes #k or a, not the end"],
  ["tax\nret x", 2, "ret takes #k or a, not x"],
  ["ld\nret a", 1, 'ld takes [k], [x + k], an extension, #k, M[k] or len, not "ret"'],
  ["tax\nld x\nret a", 2, "ld takes [k], [x + k], an extension, #k, M[k] or len, not x"],
  ["tax\nld 5\nret a", 2, "ld takes [k], [x + k], an extension, #k, M[k] or len, not k"],
  ["tax\nld 4*([1]&0xf)\nret a", 2, "ld takes [k], [x + k], an extension, #k, M[k] or len, not 4*([k]&0xf)"],
  ["tax\nldh #1\nret a", 2, "ldh takes [k], [x + k] or an extension, not #k"],
  ["tax\nldb len\nret a", 2, "ldb takes [k], [x + k] or an extension, not len"],
  ["tax\nldb M[1]\nret a", 2, "ldb takes [k], [x + k] or an extension, not M[k]"],
  ["tax\nldx [1]\nret a", 2, "ldx takes #k, M[k], 4*([k]&0xf) or len, not [k]"],
  ["tax\nldx proto\nret a", 2, "ldx takes #k, M[k], 4*([k]&0xf) or len, not an extension"],
  ["tax\nldxb [1]\nret a", 2, "ldxb takes 4*([k]&0xf), not [k]"],
  ["tax\nldi [1]\nret a", 2, "ldi takes #k or k, not [k]"],
  ["tax\nst #1\nret a", 2, "st takes M[k], not #k"],
  ["tax\nadd a\nret a", 2, "add takes #k or x, not a"],
  ["tax\nadd 5\nret a", 2, "add takes #k or x, not k"],
  ["tax\njeq a, l\nl: ret a", 2, "jeq takes #k or x, not a"],
  ["neg x\nret a", 1, `there is no instruction "x", it must be one of ${WORDS}`],
  ["tax\nld [12\nret a", 2, '"]" must be here for [k], not "ret"'],
  ["tax\nld [x 12]", 2, '"+" must be here for [x + k], not "12"'],
  ["tax\nld [x-12]", 2, '"+" must be here for [x + k], not "-12"'],
  ["tax\nld [%a + 1]", 2, '"x" must be here for [x + k], not "a"'],
  ["tax\nld []", 2, 'a number must be here for [k], such as 12, -1, 014, 0xc or 0b1100, not "]"'],
  ["tax\nld [12 + x]", 2, '"]" must be here for [k], not "+"'],
  ["tax\nld M 3", 2, '"[" must be here for M[k], not "3"'],
  ["tax\nld M[x]", 2, 'a number must be here for M[k], such as 12, -1, 014, 0xc or 0b1100, not "x"'],
  ["tax\nld M[3", 2, '"]" must be here for M[k], not the end'],
  ["tax\nld %3", 2, '"a" must be here for %x or %a, not "3"'],
  ["tax\nldxb 3*([14]&0xf)", 2, "the factor is 3, it must be 4 as in 4*([k]&0xf)"],
  ["tax\nldxb 4*([14]&0xff)", 2, "the mask is 255, it must be 0xf as in 4*([k]&0xf)"],
  ["tax\nldxb 4*[14]&0xf", 2, '"(" must be here for 4*([k]&0xf), not "["'],
  ["tax\nldxb 4*(14&0xf)", 2, '"[" must be here for 4*([k]&0xf), not "14"'],
  ["tax\nldxb 4*([14]+0xf)", 2, '"&" must be here for 4*([k]&0xf), not "+0xf"'],
  ["tax\nldxb 4*([14]&0xf", 2, '")" must be here for 4*([k]&0xf), not the end'],
  ["ret #", 1, "a number must be here for #k, such as 12, -1, 014, 0xc or 0b1100, not the end"],
  ["ret #08", 1, 'a number must be here for #k, such as 12, -1, 014, 0xc or 0b1100, not "08"'],
  ["ret #0x", 1, 'a number must be here for #k, such as 12, -1, 014, 0xc or 0b1100, not "0x"'],
  ["ret #0b2", 1, 'a number must be here for #k, such as 12, -1, 014, 0xc or 0b1100, not "0b2"'],
  ["ret #-0x1", 1, 'a number must be here for #k, such as 12, -1, 014, 0xc or 0b1100, not "-0x1"'],
  ["ret #12k", 1, 'a number must be here for #k, such as 12, -1, 014, 0xc or 0b1100, not "12k"'],
  ["ret #4294967296", 1, "4294967296 does not fit in 32 bits, it must be -2147483648 to 4294967295"],
  ["ret #-2147483649", 1, "-2147483649 does not fit in 32 bits, it must be -2147483648 to 4294967295"],
  ["ret #0x100000000", 1, "0x100000000 does not fit in 32 bits, it must be -2147483648 to 4294967295"],
  ["tax\n\n  ld ~5", 3, '"~" has no meaning, a comment is between /* and */ or after ;'],
  ["tax\n// no", 2, '"/" has no meaning, a comment is between /* and */ or after ;'],
  ["tax\n😀", 2, '"😀" has no meaning, a comment is between /* and */ or after ;'],
  ["tax\nret a /* to\n the end\n", 2, "the comment must end with */"],
  ["tax\nret a /*/", 2, "the comment must end with */"],
  ["/* one\ntwo */ ret #x", 2, 'a number must be here for #k, such as 12, -1, 014, 0xc or 0b1100, not "x"'],
  // Labels
  ["tax\njmp\nret a", 2, 'a label must be here for jmp, not "ret"'],
  ["tax\njmp 3\nret a", 2, 'a label must be here for jmp, not "3"'],
  ["tax\njmp LEN\nret a", 2, 'a label must be here for jmp, not "LEN"'],
  ["tax\njeq #1\nret a", 2, '"," must be here for the label of jeq, not "ret"'],
  ["tax\njeq #1,", 2, "a label must be here for jeq, not the end"],
  ["tax\njeq #1, l,\nl: ret a", 3, 'an instruction or a label must be here, not ":"'],
  ["tax\njlt #1, l, l\nl: ret a", 2, "jlt takes one label, jeq, jgt, jge and jset take a second one"],
  ["tax\njeq #1, l, n\nl: ret a", 2, 'there is no label "n", it must stand before an instruction'],
  ["tax\njmp Drop\ndrop: ret a", 2, 'there is no label "Drop", it must stand before an instruction'],
  ["tax\nback: tax\njmp back\nret a", 3, '"back" is in line 2, a jump must go forward'],
  ["tax\nback: jeq #1, back\nret a", 2, '"back" is in line 2, a jump must go forward'],
  [
    `tax\njeq #1, far\n${"tax\n".repeat(256)}far: ret a`,
    2,
    '"far" is 256 instructions ahead, it must be at most 255; jmp goes further',
  ],
  [`jle x, far\n${"tax\n".repeat(300)}far: ret a`, 1, '"far" is 300 instructions ahead, it must be at most 255'],
  ["l: tax\n\nl: ret a", 3, 'the label "l" is in line 1 too, it must be one place'],
  ["ret a\nl:", 2, 'the label "l" must have an instruction after it'],
  ["l:", 1, 'the label "l" must have an instruction after it'],
  ["tax\nret: ret a", 2, '"ret" is a word of the notation, it cannot be a label'],
  ["tax\nProto: ret a", 2, '"Proto" is a word of the notation, it cannot be a label'],
  ["tax\nM: ret a", 2, '"M" is a word of the notation, it cannot be a label'],
  // What the kernel refuses
  ["tax\n\n", 1, "the filter goes on past its end, the last instruction must be ret"],
  ["ret a\njeq #1, l\nl: tax", 3, "the filter goes on past its end, the last instruction must be ret"],
  ["tax\ndiv #0\nret a", 2, "division by zero, the constant must not be 0"],
  ["tax\nmod #0\nret a", 2, "division by zero, the constant must not be 0"],
  ["tax\nlsh #32\nret a", 2, "a shift by 32 bits, it must be 0 to 31"],
  ["tax\nrsh #-1\nret a", 2, "a shift by 4294967295 bits, it must be 0 to 31"],
  ["tax\nst M[16]\nret a", 2, "there is no M[16], it must be M[0] to M[15]"],
  ["tax\nldx M[-1]\nret a", 2, "there is no M[4294967295], it must be M[0] to M[15]"],
  ["tax\nld M[0]\nret a", 2, "M[0] is loaded before it is stored, on some way through the filter"],
  ["jeq #1, l\nst M[2]\nl: ldx M[2]\nret a", 3, "M[2] is loaded before it is stored, on some way through the filter"],
  ["tax\nld [-1]\nret a", 2, "the offset -1 is no extension's, it must be 0 or above, or of the headers"],
  ["tax\nldb [0xfffff001]\nret a", 2, "the offset -4095 is no extension's, it must be 0 or above, or of the headers"],
  [`${"tax\n".repeat(4096)}ret a`, 4097, "the filter must have at most 4096 instructions"],
];

Deno.test("assembleFilter() refuses what is no program with the line and what would be right", () => {
  for (const [source, line, message] of WRONG) {
    const shown = source.length > 100 ? `${source.slice(0, 30)}...` : source;
    const error = assertThrows(() => assembleFilter(source), SyntaxError, undefined, shown);
    assert(
      error.message.startsWith(`Cannot assemble the filter: line ${line}: ${message}`),
      `${shown}: ${error.message}`,
    );
  }
  for (const wrong of [undefined, 5, new Uint8Array(4)]) {
    assertThrows(
      () => assembleFilter(wrong as unknown as string),
      TypeError,
      "it must be text in the notation of bpf_asm",
    );
  }
});

// ---- runFilter ----

const FRAME = Uint8Array.from({ length: 64 }, (_, i) => i * 7 + 0x81 & 0xff);

/** A program that ends with `ret a`, and A. */
const RESULTS: readonly (readonly [source: string, a: number])[] = [
  ["", 0],
  ["txa", 0],
  ["ld #-1", 0xffffffff],
  ["ld [0]", 0x81888f96],
  ["ld [1]", 0x888f969d],
  ["ldh [62]", 0x333a],
  ["ldb [63]", 0x3a],
  ["ldx #3\nld [x + 1]", 0x9da4abb2],
  ["ldx #-2\nldb [x + 3]", 0x88],
  ["ldx #7\nldb [x + -7]", 0x81],
  ["ldxb 4*([1]&0xf)\ntxa", 32],
  ["ld #7\nldxb 4*([1]&0xf)", 7],
  ["ld len", 64],
  ["ldx len\ntxa", 64],
  ["ld #9\nst M[15]\nld #0\nldx M[15]\ntxa", 9],
  ["ldx #9\nstx M[0]\nld M[0]", 9],
  ["ld #-1\nadd #2", 1],
  ["ld #1\nsub #2", 0xffffffff],
  ["ld #0x12345678\nmul #0x9abcdef1", 0x366176f8],
  ["ld #-1\ndiv #3", 0x55555555],
  ["ld #-1\nldx #-2\nmod x", 1],
  ["ld #0xf0\nor #0x8000000f", 0x800000ff],
  ["ld #-1\nand #0xf0000001", 0xf0000001],
  ["ld #-1\nxor #1", 0xfffffffe],
  ["ld #3\nlsh #31", 0x80000000],
  ["ld #-1\nrsh #31", 1],
  ["ld #3\nldx #33\nlsh x", 6],
  ["ld #5\nldx #32\nrsh x", 5],
  ["ld #1\nneg", 0xffffffff],
  ["neg", 0],
  ["ld #-1\njgt #0x7fffffff, l\nld #5\nl: tax", 0xffffffff],
  ["ld #4\njset #3, l\nld #5\nl: tax", 5],
  ["ldx #4\nld #4\njge x, l\nld #5\nl: tax", 4],
  // As the frame says it, whatever the size of the load
  ["ld proto", 0xd5dc],
  ["ldb proto", 0xd5dc],
  // The network header and the link-layer header
  ["ld [-1048576]", 0xe3eaf1f8],
  ["ldb [-2097152]", 0x81],
  ["ldx #0xfff00000\nldh [x + 2]", 0xf1f8],
];

Deno.test("runFilter() computes what the instructions say, in unsigned 32-bit numbers", () => {
  for (const [source, a] of RESULTS) assertEquals(runFilter(assembleFilter(`${source}\nret a`), FRAME), a, source);
});

Deno.test("runFilter() answers 0 for a load past the end and for a division by an X of 0", () => {
  for (
    const source of [
      "ld [61]",
      "ldh [63]",
      "ldb [64]",
      "ld [0x7fffffff]",
      "ldxb 4*([64]&0xf)",
      "ldx #60\nld [x + 1]",
      "ldx #-1\nldb [x + 0]",
      "ldx #1\nldb [x + 0x7fffffff]",
      "ldb [-1048526]",
      "ldb [-2097153]",
      "ldb [-2097088]",
      "ldxb 4*([-1]&0xf)",
      "ld #7\ndiv x",
      "ld #7\nmod x",
    ]
  ) {
    assertEquals(runFilter(assembleFilter(`${source}\nret #5`), FRAME), 0, source);
  }
  assertEquals(runFilter(assembleFilter("ldb [0]\nret #5"), new Uint8Array()), 0);
  assertEquals(runFilter(assembleFilter("ret #5"), new Uint8Array()), 5);
});

Deno.test("runFilter() tells a frame with a length from one with a type, as the kernel does", () => {
  const filter = assembleFilter("ld proto\nret a");
  const frame = new Uint8Array(20);
  for (
    const [type, payload, wanted] of [[0x0600, 0, 0x0600], [0x05ff, 0x42, 4], [6, 0xff, 1], [
      0x86dd,
      0xff,
      0x86dd,
    ]] as const
  ) {
    frame.set([type >> 8, type & 0xff, payload, payload], 12);
    assertEquals(runFilter(filter, frame), wanted);
  }
  frame.set([0, 6], 12);
  assertEquals(runFilter(filter, frame.subarray(0, 14)), 4);
});

Deno.test("runFilter() gives random numbers where the filter asks for such", () => {
  const filter = assembleFilter("ld rand\nret a");
  const numbers = Array.from({ length: 100 }, () => runFilter(filter, FRAME));
  assertEquals(new Set(numbers).size, 100);
  assert(numbers.some((number) => number > 2 ** 31) && numbers.every((number) => number === number >>> 0));
});

Deno.test("runFilter() refuses an extension that the bytes do not tell, when the filter gets there", () => {
  const names = "type poff ifidx mark queue hatype rxhash cpu vlan_tci vlan_avail vlan_tpid".split(" ");
  for (const name of names) {
    const filter = assembleFilter(`ldb [0]\njeq #0x81, ask\nret #1\nask: ld ${name}\nret a`);
    assertEquals(runFilter(filter, new Uint8Array(20)), 1);
    assertThrows(
      () => runFilter(filter, FRAME),
      Deno.errors.NotSupported,
      `Cannot run the filter: instruction 3 loads "${name}", which the bytes of a packet do not tell: it must be attached to a socket to be tried`,
    );
  }
  assertThrows(
    () => runFilter(assembleFilter("ld proto\nret a"), new Uint8Array(13)),
    Deno.errors.NotSupported,
    'Cannot run the filter: instruction 0 loads "proto", which a packet of 13 bytes does not tell: it must be an Ethernet frame, of 14 bytes or more',
  );
});

Deno.test("runFilter() refuses programs that the kernel refuses, and what is none", () => {
  const end: Four = [0x06, 0, 0, 0];
  for (
    const [four, why] of [
      [[0x17, 0, 0, 0], "0x17 is no code of an instruction"],
      [[0x0e, 0, 0, 0], "0xe is no code of an instruction"],
      [[0x8c, 0, 0, 0], "0x8c is no code of an instruction"],
      [[0x106, 0, 0, 0], "0x106 is no code of an instruction"],
      [[0x05, 0, 0, 1], "a jump over 1 instructions, only 1 follow"],
      [[0x05, 0, 0, 0xffffffff], "a jump over 4294967295 instructions, only 1 follow"],
      [[0x15, 0, 255, 0], "a jump over 255 instructions, only 1 follow"],
      [[0x15, 255, 0, 0], "a jump over 255 instructions, only 1 follow"],
      [[0x34, 0, 0, 0], "division by zero, the constant must not be 0"],
      [[0x94, 0, 0, 0], "division by zero, the constant must not be 0"],
      [[0x64, 0, 0, 32], "a shift by 32 bits, it must be 0 to 31"],
      [[0x02, 0, 0, 16], "there is no M[16], it must be M[0] to M[15]"],
      [[0x61, 0, 0, 0], "M[0] is loaded before it is stored, on some way through the filter"],
      [[0x20, 0, 0, 0xfffff040], "the offset -4032 is no extension's, it must be 0 or above, or of the headers"],
    ] as const
  ) {
    assertThrows(
      () => runFilter(program([[0x07, 0, 0, 0], [...four], end]), FRAME),
      RangeError,
      `Cannot run the filter: instruction 1: ${why}`,
    );
  }
  assertThrows(
    () => runFilter(program([end, [0x07, 0, 0, 0]]), FRAME),
    RangeError,
    "Cannot run the filter: instruction 1: the filter goes on past its end, the last instruction must be ret",
  );
  for (
    const [wrong, errorClass, message] of [
      ["ret #0", TypeError, 'the filter is "ret #0", it must be an array of instructions'],
      [[], RangeError, "the filter has 0 instructions, it must have 1 to 4096"],
      [program(Array(4097).fill(end)), RangeError, "the filter has 4097 instructions, it must have 1 to 4096"],
      [[...program([end]), null], TypeError, "instruction 1 is null, it must be { code, jt, jf, k }"],
      [[end], TypeError, "code of instruction 0 is undefined, it must be a whole number from 0 to 65535"],
      [
        program([[6.5, 0, 0, 0]]),
        RangeError,
        "code of instruction 0 is 6.5, it must be a whole number from 0 to 65535",
      ],
      [
        program([[6, 0, 0, -1]]),
        RangeError,
        "k of instruction 0 is -1, it must be a whole number from 0 to 4294967295",
      ],
      [program([[6, 256, 0, 0]]), RangeError, "jt of instruction 0 is 256, it must be a whole number from 0 to 255"],
      [program([[6, 0, NaN, 0]]), RangeError, "jf of instruction 0 is NaN, it must be a whole number from 0 to 255"],
    ] as const
  ) {
    assertThrows(
      () => runFilter(wrong as unknown as FilterProgram, FRAME),
      errorClass,
      `Cannot run the filter: ${message}`,
    );
  }
  for (const wrong of [undefined, "bytes", [1, 2], new ArrayBuffer(4)]) {
    assertThrows(
      () => runFilter(program([end]), wrong as unknown as Uint8Array),
      TypeError,
      "Cannot run the filter: the packet is ",
    );
  }
});

// ---- Beside the kernel ----

/** Some instruction, more often than not a good one. */
function someInstruction(random: Random, left: number): Four {
  const code = random.below(40) === 0 ? random.below(0x110) : random.of(CODES);
  const jump = random.below(8) === 0 ? 2 : 1;
  const near = () => random.below(Math.min(left, 256) + jump);
  const constants = [
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    12,
    15,
    16,
    31,
    32,
    64,
    255,
    0x7fffffff,
    0x80000000,
    0xfffffffe,
    0xffffffff,
  ];
  let k = random.below(4) === 0 ? random.below(2 ** 32) : random.of(constants);
  if (code === 0x05) k = near();
  else if ([0x02, 0x03, 0x60, 0x61].includes(code)) k = random.below(random.below(8) === 0 ? 17 : 3);
  // Extensions that a unix socket's packets have: nla, nlan, A ^= X.
  else if ([0x20, 0x28, 0x30].includes(code) && random.below(4) === 0) k = AD + random.of([12, 16, 40]);
  else if ([0x20, 0x28, 0x30, 0xb1].includes(code) && random.below(8) > 0) k = random.below(70);
  else if ((code & 0xef) === 0x64 || (code & 0xef) === 0x74) k = random.below(random.below(8) === 0 ? 40 : 32);
  return [code, (code & 7) === 5 ? near() : 0, (code & 7) === 5 ? near() : 0, k];
}

function someProgram(random: Random, longest: number): Four[] {
  const length = random.below(longest) + 1;
  const made = Array.from({ length }, (_, i) => someInstruction(random, length - i));
  made.push(random.below(30) === 0 ? [0x07, 0, 0, 0] : random.below(3) > 0 ? [0x16, 0, 0, 0] : [0x06, 0, 0, 40]);
  return made;
}

/** Random bytes, and such that look like netlink attributes. */
function somePacket(random: Random): Bytes {
  return random.below(2) === 0
    ? random.bytes(random.of([0, 1, 3, 4, 20, 64, 100, 200]))
    : attributes(random, random.below(200));
}

function attributes(random: Random, length: number): Bytes {
  const packet = random.bytes(length);
  for (let at = 0; at + 4 <= length;) {
    const own = random.below(20) === 0 ? random.below(300) : 4 + random.below(30);
    packet.set([own, 0, random.below(5), random.of([0, 0, 0x40, 0x80])], at);
    // A nest holds attributes of its own.
    at += random.below(3) === 0 ? 4 : own + 3 & ~3;
  }
  return packet;
}

/** A pair of unix sockets: what the filter of the second makes of what the first sends. */
class Kernel implements Disposable {
  readonly #ends = both(Socket.pair("dgram"));
  readonly #room = new Uint8Array(2048);

  /** Attaches a filter past the library, which would refuse it first; whether the kernel takes it. */
  attach(filter: FilterProgram): boolean {
    const instructions = new Uint8Array(filter.length * 8);
    const view = new DataView(instructions.buffer);
    for (const [i, { code, jt, jf, k }] of filter.entries()) {
      view.setUint16(i * 8, code, true);
      instructions.set([jt, jf], i * 8 + 2);
      view.setUint32(i * 8 + 4, k, true);
    }
    const program = new Uint8Array(BigUint64Array.of(BigInt(filter.length), addressOf(instructions)).buffer);
    const why = refusal(() => new RawSocket(this.#ends[1].fd).set(1, 26, program)); // SOL_SOCKET, SO_ATTACH_FILTER
    assert(why === null || why === "EINVAL", `${why}`);
    return why === null;
  }

  /** The bytes that are kept of a packet, null when it is dropped. */
  verdict(packet: Bytes): number | null {
    assertEquals(this.#ends[0].trySend(packet), packet.byteLength);
    const kept = this.#ends[1].tryReceive(this.#room);
    if (kept === null) return null;
    for (let i = 0; i < kept.byteLength; i++) if (kept[i] !== packet[i]) throw new Error(`byte ${i} is another`);
    return kept.byteLength;
  }

  [Symbol.dispose](): void {
    this.#ends[Symbol.dispose]();
  }
}

/** What the kernel is to do with a packet, by runFilter. */
function expected(filter: FilterProgram, packet: Bytes): number | null {
  const answer = runFilter(filter, packet);
  return answer === 0 ? null : Math.min(answer, packet.byteLength);
}

function refused(filter: FilterProgram): boolean {
  try {
    runFilter(filter, new Uint8Array());
    return false;
  } catch (error) {
    assert(error instanceof RangeError, `${error}`);
    return true;
  }
}

test("runFilter() takes the programs that the kernel takes, and refuses those that it refuses", FFI, () => {
  const random = new Random(1);
  using kernel = new Kernel();
  const rounds = SOAK ? 200_000 : 20_000;
  let good = 0;
  for (let round = 0; round < rounds; round++) {
    const made = someProgram(random, 12);
    const filter = program(made);
    const taken = kernel.attach(filter);
    if (taken) good++;
    assertEquals(refused(filter), !taken, `round ${round}: ${JSON.stringify(made)}`);
  }
  assert(good > rounds / 20 && good < rounds * 19 / 20, `${good} of ${rounds} were good`);
});

test("runFilter() knows every code that the kernel knows, and no other", FFI, () => {
  using kernel = new Kernel();
  const known: number[] = [];
  for (let code = 0; code < 0x10000; code = code < 0x200 ? code + 1 : code + 251) {
    const filter = program([[0x02, 0, 0, 1], [code, 0, 0, 1], [0x06, 0, 0, 0], [0x06, 0, 0, 0]]);
    const taken = kernel.attach(filter);
    if (taken) known.push(code);
    assertEquals(refused(filter), !taken, `0x${code.toString(16)}`);
  }
  assertEquals(known, CODES.toSorted((a, b) => a - b));
  // Extensions, and the offsets between them.
  for (let k = AD - 8; k <= 0xffffffff; k = k < AD + 80 ? k + 1 : k + 97) {
    for (const code of [0x20, 0x28, 0x30, 0x40, 0xb1]) {
      const filter = program([[0x06, 0, 0, 0], [code, 0, 0, k], [0x06, 0, 0, 0]]);
      assertEquals(refused(filter), !kernel.attach(filter), `0x${code.toString(16)} 0x${k.toString(16)}`);
    }
  }
});

test(`runFilter() says of random programs over ${PACKETS} random packets what the kernel does`, FFI, () => {
  const random = new Random(2);
  using kernel = new Kernel();
  const seen = { kept: 0, cut: 0, dropped: 0 };
  for (let packets = 0; packets < (SOAK ? 10 * PACKETS : PACKETS);) {
    const made = someProgram(random, 30);
    const filter = program(made);
    if (refused(filter)) continue;
    assert(kernel.attach(filter));
    for (let i = 0; i < 4; i++, packets++) {
      const packet = somePacket(random);
      const wanted = expected(filter, packet);
      assertEquals(kernel.verdict(packet), wanted, `${JSON.stringify(made)} on ${packet.toHex()}`);
      if (wanted === null) seen.dropped++;
      else if (wanted < packet.byteLength) seen.cut++;
      else seen.kept++;
    }
  }
  for (const [what, count] of Object.entries(seen)) assert(count > PACKETS / 50, `${what}: ${count}`);
});

test("runFilter() has in all 32 bits of A and X what the kernel has", FFI, () => {
  const random = new Random(3);
  using kernel = new Kernel();
  let done = 0;
  while (done < (SOAK ? 50_000 : 5000)) {
    // Straight programs that end in A; jumps would leave out what is to be seen.
    const body = Array.from({ length: random.below(30) + 3 }, () => someInstruction(random, 1))
      .filter(([code]) => (code & 7) !== 5 && (code & 7) !== 6);
    body.unshift([0x20, 0, 0, random.below(20)], [0x07, 0, 0, 0], [0x02, 0, 0, 1], [0x20, 0, 0, 4]);
    const filter = program([...body, [0x16, 0, 0, 0]]);
    if (refused(filter)) continue;
    const packet = random.bytes(200);
    const a = runFilter(filter, packet);
    if (a === 0) continue;
    for (const [k, wanted] of [[a, 200], [(a ^ 1 << random.below(32)) >>> 0, null]] as const) {
      assert(kernel.attach(program([...body, [0x15, 0, 1, k], [0x06, 0, 0, 200], [0x06, 0, 0, 0]])));
      assertEquals(kernel.verdict(packet), wanted, `${a}: ${JSON.stringify(body)} on ${packet.toHex()}`);
    }
    done++;
  }
});

test("runFilter() finds netlink attributes where the kernel finds them", FFI, () => {
  const random = new Random(4);
  using kernel = new Kernel();
  // One of 5 bytes, then a nest of two whose last is empty, then an empty one, and nothing behind.
  const row = Uint8Array.fromHex("0500010011000000 0c000280 04000300 04000400 04000500".replaceAll(" ", ""));
  for (
    const [load, from, type, at] of [
      ["nla", 0, 2, 8],
      ["nla", 0, 3, 0],
      ["nla", 0, 5, 20],
      ["nla", 12, 4, 16],
      ["nla", 20, 5, 20],
      ["nla", 21, 5, 0],
      ["nla", 1000, 5, 0],
      ["nlan", 8, 3, 12],
      ["nlan", 8, 4, 16],
      ["nlan", 8, 5, 0],
      ["nlan", 20, 5, 0],
    ] as const
  ) {
    const filter = assembleFilter(`ld #${from}\nldx #${type}\nld ${load}\nadd #1\nret a`);
    assertEquals(runFilter(filter, row), at + 1, `${load} of type ${type} from ${from}`);
    assert(kernel.attach(filter));
    assertEquals(kernel.verdict(row), at + 1, `${load} of type ${type} from ${from}, by the kernel`);
  }
  let found = 0;
  for (let round = 0; round < PACKETS; round++) {
    const packet = attributes(random, random.below(200));
    const source = `ld #${random.of([0, 0, 4, 8, 1, packet.length - 4, packet.length - 3])}\nldx #${random.below(5)}\n`;
    const filter = assembleFilter(`${source}ld ${random.of(["nla", "nlan"])}\nadd #1\nret a`);
    assert(kernel.attach(filter));
    const wanted = expected(filter, packet);
    if (wanted! > 1) found++;
    assertEquals(kernel.verdict(packet), wanted, `${source} on ${packet.toHex()}`);
  }
  assert(found > PACKETS / 50, `${found} were found`);
});

test("runFilter() sees headers, proto and len as a packet socket of type raw does", ROOT, () => {
  using namespace = new Namespace();
  const everything = new Uint8Array([AF_PACKET, 0, 0, 3, 1, ...new Uint8Array(15)]); // ETH_P_ALL on lo
  const [sender, receiver] = namespace.run(() => [
    RawSocket.open(AF_PACKET, SOCK_RAW),
    RawSocket.open(AF_PACKET, SOCK_RAW),
  ]);
  using _sender = sender;
  using _receiver = receiver;
  // What is sent is heard once, on its way in.
  receiver.set(263, 23, int(1)); // PACKET_IGNORE_OUTGOING
  sender.bind(everything.with(3, 0));
  receiver.bind(everything);
  const random = new Random(5);
  const NET = -0x100000, LINK = -0x200000;
  const loads = ["ld", "ldh", "ldb"];
  let kept = 0, known = 0;
  for (let round = 0; round < 3000; round++) {
    const frame = random.bytes(14 + random.below(60));
    // None of a VLAN: the kernel takes the tag off.
    const type = random.of([0x0800, 0x0806, 0x86dd, 0x88b5, 0x05ff, 0x0600, 0x0003, 0x0042]);
    frame.set([type >> 8, type & 0xff], 12);
    if (random.below(4) === 0) frame.set([0xff, 0xff].slice(0, frame.length - 14), 14);
    const at = random.below(3) > 0 ? random.of([NET, LINK]) + random.below(70) : random.below(70);
    const source = random.of([
      `${random.of(loads)} [${at}]`,
      `ldx #${random.below(20)}\n${random.of(loads)} [x + ${at}]`,
      `ldx #${at}\n${random.of(loads)} [x + ${random.below(20)}]`,
      `ldxb 4*([${at}]&0xf)\ntxa`,
      `${random.of(loads)} proto`,
      "ld len",
    ]);
    const a = runFilter(assembleFilter(`${source}\nret a`), frame);
    // A load out of the packet ends the filter with 0, whatever would come.
    const answers = runFilter(assembleFilter(`${source}\nret #1`), frame) === 1;
    const filter = assembleFilter(`${source}\njeq #${a}, keep\nret #1\nkeep: ret #${frame.length}`);
    SO_ATTACH_FILTER.set(receiver, filter);
    sender.send(frame);
    if (answers) {
      kept++;
      if (a !== 0) known++;
      assertEquals(receiver.receive(2000), frame, `${source} on ${frame.toHex()}`);
    } else {
      // The next one comes through a filter that lets all pass; had this one passed it would be first.
      SO_ATTACH_FILTER.set(receiver, assembleFilter("ret #-1"));
      const next = frame.with(0, frame[0]! ^ 2);
      sender.send(next);
      assertEquals(receiver.receive(2000), next, `${source} on ${frame.toHex()}`);
    }
    assertEquals(refusal(() => receiver.receive(0)), "EAGAIN");
  }
  assert(kept > 1000 && known > 500 && kept < 2900, `${kept} of 3000 answered, ${known} with more than 0`);
});

test("the offset 0 is where the doc of assembleFilter() says, on each socket", ROOT, () => {
  using namespace = new Namespace();
  const open = (family: number, type: number, protocol = 0) =>
    namespace.run(() => RawSocket.open(family, type, protocol));
  const keep = (test: string) => assembleFilter(`${test}, keep\nret #0\nkeep: ret #-1`);
  {
    using receiver = open(AF_INET, SOCK_DGRAM);
    using sender = open(AF_INET, SOCK_DGRAM);
    receiver.bind(inet("127.0.0.1", 7777));
    SO_ATTACH_FILTER.set(receiver, keep("ldh [2]\njeq #7777"));
    sender.send("datagram", inet("127.0.0.1", 7777));
    assertEquals(receiver.receive(), bytes("datagram"), "UDP: its header");
    SO_ATTACH_FILTER.set(receiver, keep("ldb [0xfff00009]\njeq #17"));
    sender.send("again", inet("127.0.0.1", 7777));
    assertEquals(receiver.receive(), bytes("again"), "UDP: the IP header below zero");
  }
  {
    using listener = open(AF_INET, SOCK_STREAM);
    using client = open(AF_INET, SOCK_STREAM);
    listener.bind(inet("127.0.0.1", 7778)).listen();
    SO_ATTACH_FILTER.set(listener, keep("ldh [2]\njeq #7778"));
    client.connect(inet("127.0.0.1", 7778));
    using served = listener.accept();
    client.send("segment");
    assertEquals(served.receive(), bytes("segment"), "TCP: its header");
  }
  for (
    const [family, protocol, type, address, what] of [
      [AF_INET, IPPROTO_ICMP, 0x45, "127.0.0.1", "raw: the IP header"],
      [AF_INET6, IPPROTO_ICMPV6, 128, "::1", "raw: what follows the IPv6 header"],
    ] as const
  ) {
    using raw = open(family, SOCK_RAW, protocol);
    SO_ATTACH_FILTER.set(raw, keep(`ldb [0]\njeq #${type}`));
    raw.send(new Uint8Array([family === AF_INET ? 8 : 128, 0, 0, 0, 0, 0, 0, 0]), inet(address, 0));
    assertEquals(raw.receive()[0], type, what);
  }
  {
    using netlink = open(AF_NETLINK, SOCK_RAW);
    SO_ATTACH_FILTER.set(netlink, keep("ldh [4]\njeq #0x1000"));
    const request = new Uint8Array(32); // RTM_GETLINK, NLM_F_REQUEST, of interface 1, answered by RTM_NEWLINK
    request.set([32, 0, 0, 0, 18, 0, 1, 0]);
    request[20] = 1;
    netlink.send(request, new Uint8Array([AF_NETLINK, ...new Uint8Array(11)]));
    assertEquals([...netlink.receive().subarray(4, 6)], [16, 0], "netlink: the message");
  }
});

test("the kernel takes every extension that assembleFilter() knows", FFI, () => {
  using kernel = new Kernel();
  for (const [source] of ENCODINGS) {
    if (/M\[/.test(source)) continue;
    assert(kernel.attach(assembleFilter(`${source}\nret #0`)), source);
  }
});

// ---- Beside tcpdump ----

const EXPRESSIONS = [
  "arp",
  "ip",
  "ip6",
  "udp port 53",
  "tcp port 80",
  "tcp dst portrange 1000-3000",
  "host 10.1.2.3 and not icmp",
  "src net 10.0.0.0/8 or dst net 192.168.0.0/16",
  "ip6 host fd00::1",
  "ether host 02:00:00:00:00:01",
  "ether broadcast or ether multicast",
  "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
  "ip[6:2] & 0x1fff = 0 and udp[8:4] = 0x70696e67",
  "icmp[icmptype] = icmp-echo or icmp6",
  "vlan and udp",
  "greater 80 and less 300",
  "ip[ip[0] & 0xf] > 3 and len - 14 = ip[2:2]",
  "(ip[2:2] - ((ip[0]&0xf)<<2)) % 7 = 3 or ether[5] * 3 / 2 > 100",
  "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
  "arp[6:2] = 1 and arp[24:4] = 0x0a010203",
];

async function tcpdump(...args: string[]): Promise<string> {
  // EN10MB is Ethernet: with the link type given no interface is opened.
  const { success, stdout, stderr } = await new Deno.Command("tcpdump", {
    args: ["-y", "EN10MB", "--snapshot-length=96", ...args],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** The program as `tcpdump -dd` prints it: { 0x28, 0, 0, 0x0000000c }. */
async function compiled(expression: string): Promise<FilterInstruction[]> {
  const output = await tcpdump("-dd", expression);
  const rows = [...output.matchAll(/^\{ (\S+), (\d+), (\d+), (\S+) \},$/gm)];
  assert(rows.length > 0, output);
  return program(rows.map(([, ...numbers]) => numbers.map(Number) as Four));
}

/** What `tcpdump -d` prints in our notation: "(003) jeq #0x6 jt 4 jf 5" is "l3: jeq #0x6, l4, l5". */
function translated(listing: string): string {
  return listing.replaceAll(/^\((\d+)\)\s+/gm, (_, number) => `l${Number(number)}: `)
    .replaceAll(/\s+jt (\d+)\s+jf (\d+)/g, ", l$1, l$2")
    .replaceAll(/\bja\s+(\d+)/g, "ja l$1")
    .replaceAll("#pktlen", "#len");
}

/** Whether an instruction does not look at its k. */
function unused(code: number): boolean {
  return (code & 7) === 7 || ((code & 7) === 4 || (code & 7) === 5) && (code & 8) !== 0;
}

/** Frames as they are on a wire. */
function frames(): Bytes[] {
  const ethernet = "020000000001 020000000002";
  const ip = (protocol: string, options = "", flags = "0000") =>
    `${ethernet} 0800 4${options === "" ? 5 : 6}00 0048 1234 ${flags} 40 ${protocol} 0000 0a010203 c0a80001 ${options}`;
  const ip6 = (next: string) =>
    `${ethernet} 86dd 60000000 0020 ${next} 40 fd00${"00".repeat(13)}01 fd00${"00".repeat(13)}02`;
  const udp = "d431 0035 0034 0000 70696e67".padEnd(80, "0");
  const tcp = "d431 0050 00000001 00000002 5012 ffff 0000 0000 474554202f".padEnd(90, "1");
  return [
    `ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 0a010204 000000000000 0a010203 ${
      "00".repeat(18)
    }`,
    ip("11") + udp,
    ip("06") + tcp,
    ip("06", "01010101") + tcp,
    ip("11", "", "2000") + udp,
    ip("11", "", "00b9") + udp,
    ip("01") + "0800 0000 0001 0002" + "ab".repeat(40),
    ip6("11") + udp,
    ip6("06") + tcp,
    ip6("3a") + "8000 0000 0001 0002" + "cd".repeat(200),
    `${ethernet} 8100 0005 0800 4500 0048 1234 0000 40 11 0000 0a010203 c0a80001 ${udp}`,
    `${ethernet} 05ff 4242 03 ${"00".repeat(50)}`,
  ].map((hex) => {
    const digits = hex.replaceAll(" ", "");
    return Uint8Array.fromHex(digits.slice(0, digits.length & ~1));
  });
}

function mutated(random: Random, seeds: readonly Bytes[]): Bytes {
  let frame = random.of(seeds).slice();
  for (let i = random.below(4); i > 0; i--) {
    const at = random.below(random.below(2) === 0 ? Math.min(60, frame.length) : frame.length);
    frame[at] = random.below(2) === 0 ? random.below(256) : frame[at]! ^ 1 << random.below(8);
  }
  if (random.below(8) === 0) frame = frame.slice(0, random.below(frame.length) + 1);
  return frame;
}

test("assembleFilter() makes of what tcpdump -d prints the numbers that tcpdump -dd prints", TCPDUMP, async () => {
  for (const expression of EXPRESSIONS) {
    const listing = await tcpdump("-d", expression);
    // tcpdump leaves something in k where tax, txa and operands that are X do not look at it.
    const wanted = (await compiled(expression)).map((one) => unused(one.code) ? { ...one, k: 0 } : one);
    assertEquals(assembleFilter(translated(listing)), wanted, `${expression}\n${listing}`);
  }
});

test(
  `runFilter() says of ${PACKETS} mutated frames what the kernel does with filters of tcpdump`,
  { ...FFI, ...TCPDUMP },
  async () => {
    const random = new Random(6);
    const seeds = frames();
    const packets = Array.from({ length: PACKETS }, (_, i) => seeds[i] ?? mutated(random, seeds));
    using kernel = new Kernel();
    for (const expression of EXPRESSIONS) {
      const filter = await compiled(expression);
      assert(kernel.attach(filter));
      let passed = 0;
      for (const packet of packets) {
        const wanted = expected(filter, packet);
        const verdict = kernel.verdict(packet);
        if (verdict !== wanted) assertEquals(verdict, wanted, `${expression} on ${packet.toHex()}`);
        if (verdict !== null) passed++;
      }
      assert(passed > 0 && passed < PACKETS, `${expression}: ${passed} passed`);
    }
  },
);

// ---- Anything at all ----

Deno.test(`assembleFilter() makes of ${ROUNDS} random and mutated texts a program or a clear error`, () => {
  const random = new Random(7);
  const seeds = [
    "ldh [12]\njne #0x806, drop\nret #-1\ndrop: ret #0",
    "ld rand ; c\nmod #4 /* d */\njeq #1, one, two\none: ret #-1\ntwo: ret a",
    "ldx 4*([14]&0xf)\nst M[3]\nldh [x + 16]\nldx M[3]\njlt %x, l2\nl2: ja l3\nl3: ret %a",
    ENCODINGS.map(([source]) => source).join("\n") + "\nret a",
  ];
  const pieces = [
    ...WORDS.split(" "),
    ..."# [ ] ( ) , : + * & % x a M 4 0xf -1 0 8 16 l1 l2 len proto /* */ ; \n ~ \0 é 1e9 08"
      .split(/(?<=.) /),
  ];
  let good = 0;
  const messages = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    let source: string;
    if (random.below(4) === 0) {
      source = Array.from({ length: random.below(12) }, () => random.of(pieces)).join(random.of([" ", "", "\n"]));
    } else {
      source = random.of(seeds);
      for (let i = random.below(3); i >= 0; i--) {
        const at = random.below(source.length + 1);
        source = source.slice(0, at) + (random.below(2) === 0 ? random.of(pieces) : "") +
          source.slice(at + random.below(random.below(8) === 0 ? 40 : 3));
      }
    }
    try {
      const made = assembleFilter(source);
      good++;
      // What it makes, the machine takes.
      if (round % 8 === 0) runsOrSays(made, FRAME);
    } catch (error) {
      const { message } = error as Error;
      const [, line] = /^Cannot assemble the filter: line (\d+): [^]+$/.exec(message) ?? [];
      if (!(error instanceof SyntaxError) || !(Number(line) >= 1 && Number(line) <= source.split("\n").length)) {
        throw new Error(`round ${round}: ${JSON.stringify(source)}`, { cause: error });
      }
      messages.add(message.replaceAll(/line \d+: |"[^]*?"|-?\d\w*/g, ""));
    }
  }
  assert(good > ROUNDS / 20 && good < ROUNDS * 19 / 20, `${good} were good`);
  assert(messages.size > 40, `${messages.size} messages`);
});

/** Runs a program; whether it answered. What it may say instead is that it does not know, or what is wrong. */
function runsOrSays(filter: FilterProgram, packet: Bytes): boolean {
  try {
    const answer = runFilter(filter, packet);
    if (answer !== answer >>> 0) throw new Error(`${answer} is no unsigned number of 32 bits`);
    return true;
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof RangeError && /^Cannot run the filter: instruction \d+: ./.test(message)) return false;
    if (error instanceof Deno.errors.NotSupported && /^Cannot run the filter: instruction \d+ loads "/.test(message)) {
      return true;
    }
    throw new Error(JSON.stringify(filter), { cause: error });
  }
}

Deno.test(`runFilter() gives for ${ROUNDS} random and mutated programs a number or a clear error`, () => {
  const random = new Random(8);
  const seeds = [
    assembleFilter("ldh [12]\njne #0x806, drop\nret #-1\ndrop: ret #0"),
    assembleFilter("ldx 4*([14]&0xf)\nst M[3]\nldh [x + 16]\nldx M[3]\njlt %x, l2\nl2: ja l3\nl3: ret %a"),
    assembleFilter(ENCODINGS.map(([source]) => `st M[3]\nst M[15]\n${source}`).join("\n") + "\nret a"),
  ].map(fours);
  let good = 0;
  for (let round = 0; round < ROUNDS; round++) {
    let made: Four[];
    switch (random.below(3)) {
      case 0:
        made = Array.from(
          { length: random.below(6) + 1 },
          () => [random.below(0x120), random.below(6), random.below(6), random.below(2 ** 32)] as Four,
        );
        break;
      case 1:
        made = someProgram(random, 20);
        break;
      default: {
        made = random.of(seeds).slice();
        const at = random.below(made.length);
        const [code, jt, jf, k] = made[at]!;
        made[at] = random.of<Four>([
          [random.of(CODES), jt, jf, k],
          [code, random.below(256), jf, k],
          [code, jt, jf, random.below(2 ** 32)],
          [code ^ 1 << random.below(16), jt, jf, k],
        ]);
      }
    }
    if (runsOrSays(program(made), round % 2 === 0 ? FRAME : somePacket(random))) good++;
  }
  assert(good > ROUNDS / 10 && good < ROUNDS * 9 / 10, `${good} ran`);
});
