// Packet filters for people: classic BPF from the notation of the kernel's bpf_asm, and a trial run without a socket.
// Which programs the kernel takes: internal/bpf.ts. What an instruction does: internal/bpf_machine.ts. Options: options/socket.ts.
import { prefixed, shown, text } from "../internal/argument.ts";
import { BPF, instructionsOf, refusalOf } from "../internal/bpf.ts";
import { runProgram } from "../internal/bpf_machine.ts";
import type { FilterInstruction, FilterProgram } from "../internal/values.ts";

/** The ways to write an operand, as the notation's own table has them. */
type Mode = "#k" | "k" | "[k]" | "[x + k]" | "M[k]" | "4*([k]&0xf)" | "x" | "a" | "len" | "an extension";

/** A line of the table of instructions. */
interface Form {
  /** The code for each way to write the operand; null takes none. */
  readonly codes: Readonly<Partial<Record<Mode, number>>> | number;
  /** Where the labels that follow the operand go, or the one that is the operand. */
  readonly labels?: readonly ("k" | "jt" | "jf")[];
}

function load(size: number): Form {
  const absolute = BPF.BPF_LD | size | BPF.BPF_ABS;
  return { codes: { "[k]": absolute, "[x + k]": BPF.BPF_LD | size | BPF.BPF_IND, "an extension": absolute } };
}

function jump(condition: number, ...labels: ("jt" | "jf")[]): Form {
  const code = BPF.BPF_JMP | condition;
  return { codes: { "#k": code | BPF.BPF_K, x: code | BPF.BPF_X }, labels };
}

function arithmetic(operation: number): Form {
  const code = BPF.BPF_ALU | operation;
  return { codes: { "#k": code | BPF.BPF_K, x: code | BPF.BPF_X } };
}

const NIBBLE = BPF.BPF_LDX | BPF.BPF_B | BPF.BPF_MSH;
const ALWAYS: Form = { codes: BPF.BPF_JMP | BPF.BPF_JA, labels: ["k"] };
const UNEQUAL = jump(BPF.BPF_JEQ, "jf");

const FORMS: ReadonlyMap<string, Form> = new Map<string, Form>([
  ["ld", {
    codes: {
      ...load(BPF.BPF_W).codes as Readonly<Partial<Record<Mode, number>>>,
      "#k": BPF.BPF_LD | BPF.BPF_IMM,
      "M[k]": BPF.BPF_LD | BPF.BPF_MEM,
      len: BPF.BPF_LD | BPF.BPF_W | BPF.BPF_LEN,
    },
  }],
  ["ldh", load(BPF.BPF_H)],
  ["ldb", load(BPF.BPF_B)],
  ["ldi", { codes: { "#k": BPF.BPF_LD | BPF.BPF_IMM, k: BPF.BPF_LD | BPF.BPF_IMM } }],
  ["ldx", {
    codes: {
      "#k": BPF.BPF_LDX | BPF.BPF_IMM,
      "M[k]": BPF.BPF_LDX | BPF.BPF_MEM,
      "4*([k]&0xf)": NIBBLE,
      len: BPF.BPF_LDX | BPF.BPF_W | BPF.BPF_LEN,
    },
  }],
  ["ldxi", { codes: { "#k": BPF.BPF_LDX | BPF.BPF_IMM, k: BPF.BPF_LDX | BPF.BPF_IMM } }],
  ["ldxb", { codes: { "4*([k]&0xf)": NIBBLE } }],
  ["st", { codes: { "M[k]": BPF.BPF_ST } }],
  ["stx", { codes: { "M[k]": BPF.BPF_STX } }],
  ["jmp", ALWAYS],
  ["ja", ALWAYS],
  ["jeq", jump(BPF.BPF_JEQ, "jt", "jf")],
  ["jgt", jump(BPF.BPF_JGT, "jt", "jf")],
  ["jge", jump(BPF.BPF_JGE, "jt", "jf")],
  ["jset", jump(BPF.BPF_JSET, "jt", "jf")],
  // The contrary of one that there is: it jumps where that one does not.
  ["jneq", UNEQUAL],
  ["jne", UNEQUAL],
  ["jlt", jump(BPF.BPF_JGE, "jf")],
  ["jle", jump(BPF.BPF_JGT, "jf")],
  ["add", arithmetic(BPF.BPF_ADD)],
  ["sub", arithmetic(BPF.BPF_SUB)],
  ["mul", arithmetic(BPF.BPF_MUL)],
  ["div", arithmetic(BPF.BPF_DIV)],
  ["mod", arithmetic(BPF.BPF_MOD)],
  ["and", arithmetic(BPF.BPF_AND)],
  ["or", arithmetic(BPF.BPF_OR)],
  ["xor", arithmetic(BPF.BPF_XOR)],
  ["lsh", arithmetic(BPF.BPF_LSH)],
  ["rsh", arithmetic(BPF.BPF_RSH)],
  ["neg", { codes: BPF.BPF_ALU | BPF.BPF_NEG }],
  ["tax", { codes: BPF.BPF_MISC | BPF.BPF_TAX }],
  ["txa", { codes: BPF.BPF_MISC | BPF.BPF_TXA }],
  ["ret", { codes: { "#k": BPF.BPF_RET | BPF.BPF_K, a: BPF.BPF_RET | BPF.BPF_A } }],
]);

const EXTENSIONS: ReadonlyMap<string, number> = new Map([
  ["proto", BPF.SKF_AD_PROTOCOL],
  ["type", BPF.SKF_AD_PKTTYPE],
  ["ifidx", BPF.SKF_AD_IFINDEX],
  ["nla", BPF.SKF_AD_NLATTR],
  ["nlan", BPF.SKF_AD_NLATTR_NEST],
  ["mark", BPF.SKF_AD_MARK],
  ["queue", BPF.SKF_AD_QUEUE],
  ["hatype", BPF.SKF_AD_HATYPE],
  ["rxhash", BPF.SKF_AD_RXHASH],
  ["cpu", BPF.SKF_AD_CPU],
  ["vlan_tci", BPF.SKF_AD_VLAN_TAG],
  ["vlan_avail", BPF.SKF_AD_VLAN_TAG_PRESENT],
  ["vlan_pr", BPF.SKF_AD_VLAN_TAG_PRESENT],
  ["vlan_tpid", BPF.SKF_AD_VLAN_TPID],
  ["poff", BPF.SKF_AD_PAY_OFFSET],
  ["rand", BPF.SKF_AD_RANDOM],
]);

/** Words that cannot be labels, in any case. */
const RESERVED: ReadonlySet<string> = new Set([...FORMS.keys(), ...EXTENSIONS.keys(), "len", "a", "x", "m"]);

const BLANK = /[ \t\r\f\v]/;
const TOKEN = /[A-Za-z_][A-Za-z0-9_]*|[-+]?[0-9][A-Za-z0-9_]*|[:,#%[\]()+*&]/y;
const NAME = /^[A-Za-z_]/;
const NUMBER = /^[-+]?(?:0|[1-9][0-9]*)$|^0[xX][0-9a-fA-F]+$|^0[bB][01]+$/;
const OCTAL = /^0[0-7]+$/;

/** An operand as it was written. */
interface Operand {
  readonly mode: Mode;
  readonly k: number;
}

/** A label that an instruction names, to be found when all are known. */
interface Reference {
  readonly label: string;
  readonly index: number;
  readonly field: "k" | "jt" | "jf";
}

class Assembler {
  readonly #source: string;
  #position = 0;
  #line = 1;
  /** The token at hand, "" at the end; and whether it is the first of its line. */
  #token = "";
  #firstOfLine = true;
  /** Where the statement at hand begins, the line for its errors. */
  #statementLine = 1;
  readonly #instructions: { code: number; jt: number; jf: number; k: number }[] = [];
  /** The line of each instruction. */
  readonly #lines: number[] = [];
  readonly #labels = new Map<string, { index: number; line: number }>();
  readonly #references: Reference[] = [];

  constructor(source: string) {
    this.#source = source;
  }

  assemble(): FilterInstruction[] {
    this.#advance();
    for (;;) {
      // In the first column it never gets here; indented, it may be an operand, but not where an instruction begins.
      while (this.#token === "#" && this.#firstOfLine) {
        this.#skipLine();
        this.#advance();
      }
      if (this.#token === "") break;
      this.#statement();
    }
    for (const [label, { index, line }] of this.#labels) {
      if (index === this.#instructions.length) {
        this.#fail(`the label "${label}" must have an instruction after it`, line);
      }
    }
    if (this.#instructions.length === 0) this.#fail("there is no instruction, the least is ret #0");
    for (const reference of this.#references) this.#resolve(reference);
    const refused = refusalOf(this.#instructions);
    if (refused !== null) this.#fail(refused.why, this.#lines[refused.index]);
    return this.#instructions;
  }

  #fail(what: string, line = this.#statementLine): never {
    throw new SyntaxError(`Cannot assemble the filter: line ${line}: ${what}`);
  }

  /** The token at hand in words. */
  #found(): string {
    return this.#token === "" ? "the end" : shown(this.#token);
  }

  /** Goes to the end of the line. */
  #skipLine(): void {
    const end = this.#source.indexOf("\n", this.#position);
    this.#position = end < 0 ? this.#source.length : end;
  }

  /** Goes to behind a comment. */
  #skipComment(): void {
    const end = this.#source.indexOf("*/", this.#position + 2);
    if (end < 0) this.#fail("the comment must end with */", this.#line);
    for (let at = this.#position; at < end; at++) if (this.#source[at] === "\n") this.#line++;
    this.#position = end + 2;
  }

  /** Goes to the next token. */
  #advance(): void {
    this.#firstOfLine = this.#position === 0;
    while (this.#position < this.#source.length) {
      const character = this.#source[this.#position]!;
      if (character === "\n") {
        this.#line++;
        this.#position++;
        this.#firstOfLine = true;
      } else if (BLANK.test(character)) this.#position++;
      else if (character === ";") this.#skipLine();
      else if (character === "#" && this.#source[this.#position - 1] === "\n") this.#skipLine();
      else if (this.#source.startsWith("/*", this.#position)) this.#skipComment();
      else break;
    }
    if (this.#position === this.#source.length) {
      this.#token = "";
      return;
    }
    TOKEN.lastIndex = this.#position;
    const token = TOKEN.exec(this.#source)?.[0];
    if (token === undefined) {
      const character = String.fromCodePoint(this.#source.codePointAt(this.#position)!);
      this.#fail(`${shown(character)} has no meaning, a comment is between /* and */ or after ;`, this.#line);
    }
    this.#token = token;
    this.#position += token.length;
  }

  /** Takes the token at hand if it is this, in any case. */
  #accept(token: string): boolean {
    if (this.#token.toLowerCase() !== token) return false;
    this.#advance();
    return true;
  }

  #expect(token: string, form: string): void {
    if (!this.#accept(token)) this.#fail(`"${token}" must be here for ${form}, not ${this.#found()}`);
  }

  #number(form: string): number {
    const written = this.#token;
    const value = NUMBER.test(written) ? Number(written) : OCTAL.test(written) ? parseInt(written, 8) : null;
    if (value === null) {
      this.#fail(`a number must be here for ${form}, such as 12, -1, 014, 0xc or 0b1100, not ${this.#found()}`);
    }
    if (value < -(2 ** 31) || value >= 2 ** 32) {
      this.#fail(`${written} does not fit in 32 bits, it must be -2147483648 to 4294967295`);
    }
    this.#advance();
    return value >>> 0;
  }

  /** A label, or an instruction with its labels. */
  #statement(): void {
    this.#statementLine = this.#line;
    const name = this.#token;
    if (!NAME.test(name)) this.#fail(`an instruction or a label must be here, not ${this.#found()}`);
    this.#advance();
    if (this.#token === ":") {
      this.#define(name);
      this.#advance();
      return;
    }
    const form = FORMS.get(name.toLowerCase());
    if (form === undefined) {
      this.#fail(`there is no instruction "${name}", it must be one of ${[...FORMS.keys()].join(" ")}`);
    }
    if (this.#instructions.length === BPF.BPF_MAXINSNS) {
      this.#fail(`the filter must have at most ${BPF.BPF_MAXINSNS} instructions`);
    }
    const index = this.#instructions.length;
    const { codes, labels = [] } = form;
    if (typeof codes === "number") {
      this.#instructions.push({ code: codes, jt: 0, jf: 0, k: 0 });
      for (const field of labels) this.#refer(name, index, field);
    } else {
      const { mode, k } = this.#operand(name, codes);
      const code = codes[mode];
      if (code === undefined) this.#fail(`${name} takes ${waysOf(codes)}, not ${mode}`);
      this.#instructions.push({ code, jt: 0, jf: 0, k });
      labels.forEach((field, i) => {
        if (i > 0 && this.#token !== ",") return;
        this.#expect(",", `the label of ${name}`);
        this.#refer(name, index, field);
      });
      if (labels.length === 1 && this.#token === ",") {
        this.#fail(`${name} takes one label, jeq, jgt, jge and jset take a second one`);
      }
    }
    this.#lines.push(this.#statementLine);
  }

  #operand(instruction: string, codes: Readonly<Partial<Record<Mode, number>>>): Operand {
    const word = this.#token.toLowerCase();
    if (word === "#") {
      this.#advance();
      return this.#extension() ?? { mode: "#k", k: this.#number("#k") };
    }
    if (word === "[") {
      this.#advance();
      const mode = this.#accept("%") || this.#token.toLowerCase() === "x" ? "[x + k]" : "[k]";
      if (mode === "[x + k]") {
        this.#expect("x", mode);
        // Without blanks, as in [x+14], the sign has gone to the number.
        if (!this.#token.startsWith("+") || this.#token === "+") this.#expect("+", mode);
      }
      const k = this.#number(mode);
      this.#expect("]", mode);
      return { mode, k };
    }
    if (word === "m") {
      this.#advance();
      this.#expect("[", "M[k]");
      const k = this.#number("M[k]");
      this.#expect("]", "M[k]");
      return { mode: "M[k]", k };
    }
    if (word === "%" || word === "a" || word === "x") {
      this.#accept("%");
      if (this.#accept("x")) return { mode: "x", k: 0 };
      this.#expect("a", "%x or %a");
      return { mode: "a", k: 0 };
    }
    const extension = this.#extension();
    if (extension !== null) return extension;
    if (!/^[-+]?[0-9]/.test(word)) this.#fail(`${instruction} takes ${waysOf(codes)}, not ${this.#found()}`);
    const k = this.#number("k");
    if (!this.#accept("*")) return { mode: "k", k };
    const mode = "4*([k]&0xf)";
    if (k !== 4) this.#fail(`the factor is ${k}, it must be 4 as in ${mode}`);
    this.#expect("(", mode);
    this.#expect("[", mode);
    const at = this.#number(mode);
    this.#expect("]", mode);
    this.#expect("&", mode);
    const mask = this.#number(mode);
    if (mask !== 0xf) this.#fail(`the mask is ${mask}, it must be 0xf as in ${mode}`);
    this.#expect(")", mode);
    return { mode, k: at };
  }

  #extension(): Operand | null {
    if (this.#accept("len")) return { mode: "len", k: 0 };
    const number = EXTENSIONS.get(this.#token.toLowerCase());
    if (number === undefined) return null;
    this.#advance();
    return { mode: "an extension", k: BPF.SKF_AD_OFF + number >>> 0 };
  }

  #define(label: string): void {
    const line = this.#statementLine;
    if (RESERVED.has(label.toLowerCase())) {
      this.#fail(`"${label}" is a word of the notation, it cannot be a label`);
    }
    const before = this.#labels.get(label);
    if (before !== undefined) {
      this.#fail(`the label "${label}" is in line ${before.line} too, it must be one place`);
    }
    this.#labels.set(label, { index: this.#instructions.length, line });
  }

  #refer(instruction: string, index: number, field: Reference["field"]): void {
    const label = this.#token;
    if (!NAME.test(label) || RESERVED.has(label.toLowerCase())) {
      this.#fail(`a label must be here for ${instruction}, not ${this.#found()}`);
    }
    this.#advance();
    this.#references.push({ label, index, field });
  }

  #resolve({ label, index, field }: Reference): void {
    const line = this.#lines[index];
    const target = this.#labels.get(label);
    if (target === undefined) this.#fail(`there is no label "${label}", it must stand before an instruction`, line);
    const distance = target.index - index - 1;
    if (distance < 0) {
      this.#fail(`"${label}" is in line ${target.line}, a jump must go forward`, line);
    }
    if (field !== "k" && distance > 0xff) {
      this.#fail(`"${label}" is ${distance} instructions ahead, it must be at most 255; jmp goes further`, line);
    }
    this.#instructions[index]![field] = distance;
  }
}

/** What an instruction takes, for messages. */
function waysOf(codes: Readonly<Partial<Record<Mode, number>>>): string {
  const ways = Object.keys(codes);
  const last = ways.pop()!;
  return ways.length === 0 ? last : `${ways.join(", ")} or ${last}`;
}

/**
 * Assembles a packet filter, classic BPF, from the notation of the Linux kernel's bpf_asm.
 *
 * The result is what `SO_ATTACH_FILTER` takes (and `SO_ATTACH_REUSEPORT_CBPF`, `PACKET_FANOUT_DATA`); `runFilter` tries it
 * without a socket. What the kernel would refuse is refused here, with the line.
 *
 * A filter has an accumulator A, an index X, both 32 bits, and the words M[0] to M[15]. It runs once for each packet from
 * the top, jumps forward only, and ends at `ret`: with how many bytes of the packet to keep, 0 to drop it, #-1 for all.
 *
 * | Instruction | takes | does |
 * | --- | --- | --- |
 * | `ld` | `[k]`, `[x + k]`, `M[k]`, `#k`, `len`, extension | loads a word into A |
 * | `ldh`, `ldb` | `[k]`, `[x + k]`, extension | loads two bytes, one byte into A |
 * | `ldx` | `M[k]`, `#k`, `len`, `4*([k]&0xf)` | loads X |
 * | `ldi`, `ldxi` | `#k`, `k` | loads a constant into A, X |
 * | `ldxb` | `4*([k]&0xf)` | loads the length of the IP header at k into X |
 * | `st`, `stx` | `M[k]` | stores A, X |
 * | `jmp`, `ja` | `L` | jumps to the label L |
 * | `jeq`, `jgt`, `jge`, `jset` | `#k,L`, `x,L`, `#k,L,L`, `x,L,L` | jumps to the first label if A ==, >, >=, & the operand, else to the second or on |
 * | `jneq`, `jne`, `jlt`, `jle` | `#k,L`, `x,L` | jumps if A !=, !=, <, <= the operand |
 * | `add`, `sub`, `mul`, `div`, `mod`, `and`, `or`, `xor`, `lsh`, `rsh` | `#k`, `x` | changes A |
 * | `neg`, `tax`, `txa` | | negates A, copies A to X, X to A |
 * | `ret` | `#k`, `a` | ends |
 *
 * Bytes of the packet are read in network order. A load past the end of the packet, and a division by an X of 0, end the
 * filter with 0. Below zero lie the network header, from -0x100000 (0xfff00000) on, and the link-layer header, from -0x200000
 * (0xffe00000) on, where the socket gets the packet without them: `ldb [0xfff00009]` is the protocol in the IPv4 header. What the offset 0 is
 * depends on the socket: the link-layer header for packet sockets of type raw, the IPv4 header or what follows the IPv6
 * header for raw ones, the header of UDP and of TCP for theirs, the payload for unix sockets, the message for netlink.
 *
 * Extensions: `len`, the length of the packet; `proto`, its Ethernet type; `type`, to whom it was (0 to 4, as `PACKET_HOST`
 * and so on); `poff`, where the payload begins; `ifidx` and `hatype`, index and type of the interface; `nla` and `nlan`,
 * where the netlink attribute of type X is, from the offset A on or inside the one at A; `mark`, `queue`, `rxhash`, `cpu`;
 * `vlan_tci`, `vlan_avail` (or `vlan_pr`) and `vlan_tpid`, the tag that the kernel took off; `rand`, a random number.
 *
 * Case does not matter but in labels. `x`, `a` and extensions may be written `%x`, `%a` and `#len`. A number is decimal with
 * or without a sign, `0x...`, `0b...` or octal (`0...`). Comments are between slash-star and star-slash, from `;` to the end
 * of the line, and lines that begin with `#`. Beyond bpf_asm, `[x+14]` needs no blanks, such a line may be indented, a label
 * may be one letter, and several may name one instruction; a label given twice and a number beyond 32 bits are errors.
 *
 * Works on every system and without permissions; only Linux attaches the result to sockets.
 * Linux Documentation/networking/filter.rst.
 *
 * @param source The program.
 * @returns Its instructions.
 * @throws {SyntaxError} The text is no program, or one that the kernel would refuse: the line and what would be right. That is
 * a jump backwards or, but for `jmp`, over more than 255 instructions; a constant division by 0 or shift by more than 31; an
 * `M[]` above 15 or one that is loaded before it is stored; a program without `ret` at its end or of more than 4096
 * instructions.
 * @throws {TypeError} The source is no text.
 *
 * @example UDP datagrams that begin with a certain word
 * ```ts
 * import { assembleFilter, Socket } from "@berkeley/sockets/socket";
 * import { SO_ATTACH_FILTER } from "@berkeley/sockets/options";
 * import { assertEquals } from "@std/assert";
 *
 * const filter = assembleFilter(`
 *         ld [8]               ; behind the UDP header
 *         jneq #0x70696e67, drop
 *         ret #-1
 *   drop: ret #0
 * `);
 * using server = Socket.open("inet", "dgram");
 * server.bind({ hostname: "127.0.0.1", port: 0 });
 * SO_ATTACH_FILTER.set(server, filter);
 * using client = Socket.open("inet", "dgram");
 * const text = new TextEncoder();
 * await client.sendTo(text.encode("nothing"), server.localAddr!);
 * await client.sendTo(text.encode("ping me"), server.localAddr!);
 *
 * assertEquals(new TextDecoder().decode(await server.receive()), "ping me");
 * ```
 */
export function assembleFilter(source: string): FilterProgram {
  return new Assembler(text(source, "Cannot assemble the filter: the source", "text in the notation of bpf_asm"))
    .assemble();
}

/**
 * Runs a packet filter over a packet as the Linux kernel does, without a socket.
 *
 * The packet is what a packet socket of type raw gets: an Ethernet frame from its first byte. So the network header, for
 * offsets below zero, is at byte 14, and `proto` is what the frame says. For a filter of another socket, which uses neither,
 * give it the bytes that this one would see from its offset 0 on.
 *
 * The kernel knows more of a packet than its bytes. `len`, `proto`, `nla`, `nlan` and `rand` work here (the last one is random
 * here too); the other extensions throw when the filter gets to them: `type`, `poff`, `ifidx`, `mark`, `queue`, `hatype`,
 * `rxhash`, `cpu`, `vlan_tci`, `vlan_avail`, `vlan_tpid`. The kernel takes the tag off a frame of a VLAN before the filter
 * sees it; here the bytes are as given.
 *
 * Works on every system and without permissions. The program and the packet are only read.
 *
 * @param program The filter, of `assembleFilter`, tcpdump's `-dd` or whoever makes such.
 * @param packet The bytes.
 * @returns The filter's answer, 0 to 4294967295: how many bytes to keep, 0 to drop the packet. A number above the packet's
 * length keeps all of it.
 * @throws {TypeError} The program is no array of instructions, or the packet no `Uint8Array`.
 * @throws {RangeError} The kernel would refuse the program: which instruction and why.
 * @throws {Deno.errors.NotSupported} The filter asked for what the bytes do not tell.
 *
 * @example ARP alone
 * ```ts
 * import { assembleFilter, runFilter } from "@berkeley/sockets/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const filter = assembleFilter(`
 *         ldh [12]
 *         jne #0x806, drop
 *         ret #28
 *   drop: ret #0
 * `);
 * const frame = new Uint8Array(60);
 * assertEquals(runFilter(filter, frame), 0);
 * frame.set([0x08, 0x06], 12);
 * assertEquals(runFilter(filter, frame), 28);
 * ```
 */
export function runFilter(program: FilterProgram, packet: Uint8Array): number {
  const doing = "Cannot run the filter";
  if (!(packet instanceof Uint8Array)) {
    throw new TypeError(`${doing}: the packet is ${shown(packet)}, it must be a Uint8Array`);
  }
  let instructions: FilterInstruction[];
  try {
    instructions = instructionsOf(program);
  } catch (error) {
    throw prefixed(error, doing);
  }
  const refused = refusalOf(instructions);
  if (refused !== null) throw new RangeError(`${doing}: instruction ${refused.index}: ${refused.why}`);
  return runProgram(instructions, packet, doing);
}
