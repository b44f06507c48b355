// Every number of the tables with the C name it has on each system, as questions to put to headers.
// The answers: c.ts for compilers, darwin.ts for parsed sources. What headers cannot answer: known.ts.
import { BPF, BPF_BITS } from "../../internal/bpf.ts";
import { CMSG, type CmsgRow, NAME_ON as RECEIVED_AS } from "../../internal/cmsg_table.ts";
import { CONSTANTS } from "../../internal/constants.ts";
import { ERRNO } from "../../internal/errno.ts";
import type { OperatingSystem } from "../../internal/os.ts";
import { NAME_ON, SOCKOPT, type SockoptRow } from "../../internal/sockopt.ts";

/** A number to look up. */
export interface Question {
  /** Table and row, for messages. */
  readonly row: string;
  /** The name that headers of this system have. */
  readonly cName: string;
  /** What the table says, null for a name the system must not have. */
  readonly value: number | null;
}

type Row = readonly [number | null, number | null, number | null];

/** What Windows calls a constant that the rest of the world calls otherwise. */
const WINDOWS_CONSTANT: Readonly<Record<string, string>> = {
  SHUT_RD: "SD_RECEIVE",
  SHUT_WR: "SD_SEND",
  SHUT_RDWR: "SD_BOTH",
  IFF_POINTOPOINT: "IFF_POINTTOPOINT",
};

/** The same for an errno: WSA and the name, but for this one. */
const WINDOWS_ERRNO: Readonly<Record<string, string>> = {
  EAGAIN: "WSAEWOULDBLOCK",
};

/** Every number of one column. */
export function questions(os: OperatingSystem): Question[] {
  const at = { linux: 0, darwin: 1, windows: 2 }[os] as 0 | 1 | 2;
  const found: Question[] = [];
  for (
    const [name, row] of Object.entries(
      CONSTANTS as Readonly<Record<string, Row>>,
    )
  ) {
    const cName = os === "windows" ? WINDOWS_CONSTANT[name] ?? name : name;
    found.push({ row: `constants.ts ${name}`, cName, value: row[at] });
  }
  for (
    const [name, row] of Object.entries(
      SOCKOPT as Readonly<Record<string, SockoptRow>>,
    )
  ) {
    const cName = (NAME_ON as Readonly<
      Record<string, Readonly<Partial<Record<OperatingSystem, string>>>>
    >)[name]?.[os] ?? name;
    found.push({
      row: `sockopt.ts ${name}`,
      cName,
      value: [row[1], row[2], row[3]][at]!,
    });
  }
  for (
    const [name, row] of Object.entries(
      CMSG as Readonly<Record<string, CmsgRow>>,
    )
  ) {
    const cName = (RECEIVED_AS as Readonly<
      Record<string, Readonly<Partial<Record<OperatingSystem, string>>>>
    >)[name]?.[os] ?? name;
    found.push({
      row: `cmsg_table.ts ${name}`,
      cName,
      value: [row[1], row[2], row[3]][at]!,
    });
  }
  for (
    const [name, row] of Object.entries(
      ERRNO as Readonly<Record<string, readonly unknown[]>>,
    )
  ) {
    found.push({
      row: `errno.ts ${name}`,
      cName: os === "windows" ? WINDOWS_ERRNO[name] ?? `WSA${name}` : name,
      value: row[at] as number | null,
    });
  }
  if (os === "linux") {
    for (const [name, value] of Object.entries(BPF)) found.push({ row: `bpf.ts ${name}`, cName: name, value });
    for (const [name, value] of Object.entries(BPF_BITS)) {
      found.push({ row: `bpf.ts ${name}`, cName: `${name}(~0)`, value });
    }
  }
  return found;
}
