// Every number, size and offset of the tables against the headers of its system: a wrong one in any column fails here.
// What options do once set: options/. How headers are asked: headers/.
import { assert, assertEquals } from "@std/assert";
import { LAYOUT, type StructLayout } from "../internal/layout.ts";
import { ARM64, type OperatingSystem } from "../internal/os.ts";
import { evaluate, run } from "./headers/c.ts";
import { layOut, readGo, readRust, type Source, type Struct } from "./headers/darwin.ts";
import { APPLE, BIT_FIELDS, NEWER, NEWER_TCP_INFO, REFUSED, TCP_INFO_UNNAMED } from "./headers/known.ts";
import { questions } from "./headers/numbers.ts";
import { test } from "./needs.ts";

const LINUX = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/mptcp.h>
#include <linux/net_tstamp.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/vm_sockets.h>
#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>
#include <bluetooth/l2cap.h>
#include <bluetooth/rfcomm.h>
#include <bluetooth/sco.h>
struct epoll_event_aligned { uint32_t events; uint64_t data; };
`;

const WINDOWS = `
#define _WIN32_WINNT 0x0a00
#define NTDDI_VERSION 0x0a00000c
#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <mstcpip.h>
#include <afunix.h>
#include <stddef.h>
`;

/** The C type of a struct where that is not "struct NAME". */
const C_TYPE: Readonly<Record<string, string>> = {
  "windows cmsghdr": "WSACMSGHDR",
  "windows WSABUF": "WSABUF",
  "windows WSAMSG": "WSAMSG",
};

const WIDTH: Readonly<Record<string, number>> = {
  u8: 1,
  u16: 2,
  u16be: 2,
  u32: 4,
  u32be: 4,
  i32: 4,
  u64: 8,
  i64: 8,
};

type Layouts = [name: string, layout: StructLayout][];

/** The structs of one column. */
function layouts(os: OperatingSystem): Layouts {
  const all = LAYOUT as Readonly<
    Record<string, Readonly<Record<OperatingSystem, StructLayout | null>>>
  >;
  return Object.entries(all).flatMap(([name, row]): Layouts => row[os] === null ? [] : [[name, row[os]]]);
}

function widthOf([, type, length]: StructLayout["fields"][string]): number {
  return type === "bytes" ? length! : WIDTH[type]!;
}

/** The numbers of a column that headers contradict; `answer` gives undefined for a name they do not know. */
function wrongNumbers(
  os: OperatingSystem,
  answer: (cName: string) => bigint | number | undefined,
): string[] {
  const wrong: string[] = [];
  for (const { row, cName, value } of questions(os)) {
    const found = answer(cName);
    const newer = NEWER[os][cName];
    if (
      found !== undefined && newer !== undefined &&
      BigInt(found) !== BigInt(newer[0])
    ) {
      wrong.push(
        `known.ts ${cName}: ${newer[0]}, but the headers say ${found}`,
      );
    }
    const truth = found ?? newer?.[0];
    if (value === null) {
      if (truth !== undefined && REFUSED[os][cName] === undefined) {
        wrong.push(`${row}: null on ${os}, but ${cName} is ${truth}`);
      }
    } else if (truth === undefined) {
      wrong.push(`${row}: ${value} on ${os}, but nothing knows ${cName}`);
    } else if (BigInt(truth) !== BigInt(value)) {
      wrong.push(`${row}: ${value} on ${os}, but ${cName} is ${truth}`);
    }
  }
  return wrong;
}

/** Asks a compiler for the numbers of a column. */
async function compiledNumbers(
  os: OperatingSystem,
  compiler: string,
  prelude: string,
): Promise<string[]> {
  const names = [...new Set(questions(os).map(({ cName }) => cName))];
  const answers = await evaluate(compiler, prelude, names);
  const byName = new Map(names.map((name, i) => [name, answers[i]]));
  return wrongNumbers(os, (name) => byName.get(name));
}

/** Asks a compiler for the structs of a column. */
async function compiledLayouts(
  os: OperatingSystem,
  compiler: string,
  prelude: string,
): Promise<string[]> {
  const asked: {
    what: string;
    expression: string;
    value: number;
    newer: boolean;
  }[] = [];
  for (const [name, { size, fields }] of layouts(os)) {
    // Packed on x86_64 alone; elsewhere the C struct is the aligned one, which every compiler can lay out.
    if (name === "epoll_event" && ARM64) continue;
    const type = C_TYPE[`${os} ${name}`] ?? `struct ${name}`;
    const growing = name === "tcp_info";
    asked.push({
      what: `sizeof ${name}`,
      expression: `sizeof(${type})`,
      value: size,
      newer: growing,
    });
    for (const [field, where] of Object.entries(fields)) {
      if (BIT_FIELDS[name]?.[field] !== undefined) continue;
      const newer = growing && NEWER_TCP_INFO[field] !== undefined;
      asked.push({
        what: `offset of ${name}.${field}`,
        expression: `offsetof(${type}, ${field})`,
        value: where[0],
        newer,
      });
      asked.push({
        what: `width of ${name}.${field}`,
        expression: `sizeof(((${type} *) 0)->${field})`,
        value: widthOf(where),
        newer,
      });
    }
  }
  const answers = await evaluate(
    compiler,
    prelude,
    asked.map(({ expression }) => expression),
  );
  return asked.flatMap(({ what, value, newer }, i) => {
    const answer = answers[i];
    if (answer === undefined) {
      return newer ? [] : [
        `layout.ts ${what}: ${value} on ${os}, but the headers do not know it`,
      ];
    }
    if (what === "sizeof tcp_info") {
      return answer > BigInt(value) ? [`layout.ts ${what}: ${value}, but the headers have ${answer}`] : [];
    }
    return answer === BigInt(value) ? [] : [`layout.ts ${what}: ${value} on ${os}, but it is ${answer}`];
  });
}

const GO = "/usr/share/gocode/src/golang.org/x/sys/unix";
const GO_FILES = ["amd64", "arm64"].flatMap((
  arch,
) => [`${GO}/zerrors_darwin_${arch}.go`, `${GO}/ztypes_darwin_${arch}.go`]);
const CARGO = "/usr/share/cargo/registry";

/** The folder of Rust's libc, whatever its version. */
function rustFolder(): string {
  for (const { name } of Deno.readDirSync(CARGO)) {
    if (/^libc-0\.2\.\d+$/.test(name)) return `${CARGO}/${name}`;
  }
  throw new Error(`No libc crate in ${CARGO}: librust-libc-dev has it`);
}

async function appleSources(): Promise<Record<string, Source>> {
  return {
    "x/sys amd64": await readGo(GO, "amd64"),
    "x/sys arm64": await readGo(GO, "arm64"),
    libc: await readRust(rustFolder()),
  };
}

/** Go's name of each struct; its fields lose the prefix of C and get a capital. */
const GO_STRUCT: Readonly<Record<string, string>> = {
  sockaddr: "RawSockaddr",
  sockaddr_in: "RawSockaddrInet4",
  sockaddr_in6: "RawSockaddrInet6",
  sockaddr_un: "RawSockaddrUnix",
  sockaddr_dl: "RawSockaddrDatalink",
  sockaddr_vm: "RawSockaddrVM",
  in_pktinfo: "Inet4Pktinfo",
  in6_pktinfo: "Inet6Pktinfo",
  ip_mreqn: "IPMreqn",
  ip_mreq: "IPMreq",
  ipv6_mreq: "IPv6Mreq",
  linger: "Linger",
  timeval: "Timeval",
  timespec: "Timespec",
  xucred: "Xucred",
  ip6_mtuinfo: "IPv6MTUInfo",
  icmp6_filter: "ICMPv6Filter",
  tcp_connection_info: "TCPConnectionInfo",
  iovec: "Iovec",
  msghdr: "Msghdr",
  cmsghdr: "Cmsghdr",
  kevent: "Kevent_t",
  if_data: "IfData",
};

function goField(field: string): string {
  const bare = field.replace(
    /^(sa|sin6?|sun|sdl|svm|ipi6?|imr|ipv6mr|l|tv|cr|ip6m|icmp6|tcpi|iov|msg|cmsg|ifi)_/,
    "",
  );
  return bare[0]!.toUpperCase() + bare.slice(1);
}

function wrongLayout(
  source: string,
  name: string,
  layout: StructLayout,
  struct: Struct,
  called: (field: string) => string,
): string[] {
  const wrong: string[] = [];
  if (struct.size !== layout.size) {
    wrong.push(
      `layout.ts sizeof ${name}: ${layout.size} on darwin, but ${source} says ${struct.size}`,
    );
  }
  for (const [field, where] of Object.entries(layout.fields)) {
    const found = struct.fields.find((one) => one.name === called(field));
    if (found === undefined) {
      wrong.push(`layout.ts ${name}.${field}: ${source} does not have it`);
    } else if (found.offset !== where[0] || found.size !== widthOf(where)) {
      wrong.push(
        `layout.ts ${name}.${field}: at ${where[0]}, ${
          widthOf(where)
        } wide on darwin, but ${source} says ${found.offset}, ${found.size}`,
      );
    }
  }
  return wrong;
}

const GCC = {
  run: ["gcc"],
  read: true,
  write: true,
  env: true,
  linux: true,
  files: ["/usr/include/bluetooth/bluetooth.h"],
};
const MINGW = {
  run: ["x86_64-w64-mingw32-gcc"],
  read: true,
  write: true,
  env: true,
};
const APPLE_FILES = { read: true, files: [...GO_FILES, CARGO] };

test("the linux column has the numbers of the Linux headers", GCC, async () => {
  assertEquals(await compiledNumbers("linux", "gcc", LINUX), []);
});

test(
  "the windows column has the numbers of the mingw-w64 headers",
  MINGW,
  async () => {
    assertEquals(
      await compiledNumbers("windows", "x86_64-w64-mingw32-gcc", WINDOWS),
      [],
    );
  },
);

test(
  "the darwin column has the numbers that Go and Rust took from Apple's headers",
  APPLE_FILES,
  async () => {
    const sources = await appleSources();
    const wrong = Object.values(sources).flatMap((source) => {
      // A source that lacks a name says nothing of it; the other one, or the list, must know it.
      const others = Object.values(sources);
      return wrongNumbers(
        "darwin",
        (name) =>
          source.numbers.get(name) ??
            others.find((one) => one.numbers.has(name))?.numbers.get(name),
      );
    });
    assertEquals([...new Set(wrong)], []);
  },
);

test("the linux structs lie as gcc lays them out", GCC, async () => {
  assertEquals(await compiledLayouts("linux", "gcc", LINUX), []);
});

test("the windows structs lie as mingw-w64 lays them out", MINGW, async () => {
  assertEquals(
    await compiledLayouts("windows", "x86_64-w64-mingw32-gcc", WINDOWS),
    [],
  );
});

test(
  "the darwin structs lie as Go, Rust and Apple's source have them",
  APPLE_FILES,
  async () => {
    const wrong: string[] = [];
    const sources = await appleSources();
    for (const [name, layout] of layouts("darwin")) {
      let seen = 0;
      for (const [source, { structs }] of Object.entries(sources)) {
        const go = source !== "libc";
        const struct = structs.get(go ? GO_STRUCT[name] ?? "" : name);
        if (struct === undefined) continue;
        seen++;
        wrong.push(
          ...wrongLayout(
            source,
            name,
            layout,
            struct,
            go ? goField : (field) => field,
          ),
        );
      }
      const apple = APPLE[name];
      if (apple !== undefined) {
        seen++;
        wrong.push(
          ...wrongLayout(
            apple.source,
            name,
            layout,
            layOut(apple.fields, apple.pack),
            (field) => field,
          ),
        );
      }
      if (seen === 0) {
        wrong.push(`layout.ts ${name}: nothing knows it on darwin`);
      }
    }
    assertEquals(wrong, []);
  },
);

test("the bit-fields of tcp_info lie where the table says", GCC, async () => {
  const table: StructLayout = LAYOUT.tcp_info.linux;
  const fields = Object.entries(BIT_FIELDS["tcp_info"]!);
  const source = `${LINUX}
#include <stdio.h>
#include <string.h>
int main(void) {
  union { struct tcp_info info; unsigned char bytes[sizeof(struct tcp_info)]; } it;
${
    fields.map(([field, [, bits]]) =>
      `  memset(&it, 0, sizeof it); it.info.${field} = ${(1 << bits) - 1};
  for (unsigned i = 0; i < sizeof it; i++) if (it.bytes[i]) printf("${field} %u %u\\n", i, it.bytes[i]);`
    ).join("\n")
  }
  return 0;
}
`;
  const expected = fields.map(([field, [shift, bits]]) =>
    `${field} ${table.fields[field]![0]} ${((1 << bits) - 1) << shift}\n`
  );
  assertEquals(await run("gcc", source), expected.join(""));
});

test(
  "the fields of tcp_info that headers may not know follow one another to the end",
  {},
  () => {
    const table: StructLayout = LAYOUT.tcp_info.linux;
    const names = Object.keys(table.fields);
    let end = table.fields["tcpi_snd_wnd"]![0] + 4;
    for (const name of Object.keys(NEWER_TCP_INFO)) {
      const where = table.fields[name];
      assert(where !== undefined, `known.ts ${name} is not in layout.ts`);
      assertEquals(where[0], end, name);
      assertEquals(where[0] % widthOf(where), 0, name);
      end = where[0] + widthOf(where);
    }
    assertEquals(table.size, end + TCP_INFO_UNNAMED);
    assertEquals(
      names.slice(-Object.keys(NEWER_TCP_INFO).length),
      Object.keys(NEWER_TCP_INFO),
    );
  },
);

test("the lists of known.ts name rows of the tables", {}, () => {
  for (const os of ["linux", "darwin", "windows"] as const) {
    const names = new Set(questions(os).map(({ cName }) => cName));
    for (
      const name of [...Object.keys(NEWER[os]), ...Object.keys(REFUSED[os])]
    ) assert(names.has(name), `${os}: ${name}`);
  }
});
