// examples/sniff.ts on a cable: its lines and its file beside tcpdump's, its filters, promiscuous mode, what is dropped.
// On loopback, its flags and its words: ../examples/sniff_test.ts. What packet sockets do: packet_test.ts.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { example, type Program } from "../examples/program.ts";
import { type Namespace, NAMESPACES, withPair } from "../multicast/namespace.ts";
import { test, text } from "../socket/make.ts";

const LAB = { ...NAMESPACES, read: true, write: true, env: true };
const TCPDUMP = { ...LAB, run: [...LAB.run!, "tcpdump", "ping"] };

async function sniff(at: Namespace, ...flags: string[]): Promise<Program> {
  const program = example("sniff", flags, ["--allow-net", "--allow-ffi", "--allow-write"], at.enter);
  await program.printed(/^listening on /m);
  return program;
}

/** The lines of packets. */
function packets(printed: string): string[] {
  return printed.split("\n").filter((line) => /^\d\d:/.test(line));
}

/** Sends some of everything from left to right; the receivers print what came and end. */
async function talk(left: Namespace, right: Namespace): Promise<void> {
  await using server = right.python(`
import socket
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); udp.bind(("::", 7777))
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); other.bind(("10.77.0.2", 7778))
tcp = socket.create_server(("10.77.0.2", 7777))
print("listening", flush=True)
print(udp.recv(100), udp.recv(100), other.recv(4000), flush=True)
conn, _ = tcp.accept()
print(conn.recv(100), flush=True)
conn.sendall(b"thanks")
print(conn.recv(100), flush=True)`);
  assertEquals(await server.line(), "listening");
  await using client = left.python(`
import socket
v4 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
v4.sendto(b"hello", ("10.77.0.2", 7777))
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"hello, six", ("fd77::2", 7777))
v4.sendto(b"x" * 3000, ("10.77.0.2", 7778))
v4.sendto(b"nobody", ("10.77.0.2", 7779))
tcp = socket.create_connection(("10.77.0.2", 7777))
tcp.sendall(b"over tcp")
print(tcp.recv(100))`);
  await client.rest();
  await server.rest();
  for (const host of ["10.77.0.2", "fd77::2"]) await left.program("ping", "-c", "1", "-W", "10", host).rest();
}

/** What tcpdump -r makes of a file, without the options of TCP, and with the words of ours for what it looks deeper into. */
async function tcpdump(file: string): Promise<string[]> {
  const { stdout, stderr, success } = await new Deno.Command("tcpdump", { args: ["-e", "-n", "-S", "-r", file] })
    .output();
  assert(success, text(stderr));
  assertMatch(text(stderr), /link-type EN10MB \(Ethernet\), snapshot length 262144/);
  return packets(text(stdout)).map((line) => line.replace(/, options \[[^\]]*\]/, ""));
}

/** Whether a line is about what any machine says at times by itself: of its own addresses, to groups and to routers. */
function isChatter(line: string): boolean {
  return /: (::|fe80::\S+) > | > fe80::|ff02::(2|16)|ICMP6, (type|router|multicast)/.test(line);
}

test("examples/sniff.ts prints what tcpdump prints of its file", TCPDUMP, async () => {
  const file = await Deno.makeTempFile({ suffix: ".pcap" });
  try {
    await withPair(async (left, right) => {
      await using sniffer = await sniff(right, "--interface", "right0", "--write", file);
      await talk(left, right);
      await sniffer.printed(/fd77::2 > fd77::1: ICMP6, echo reply/);
      sniffer.interrupt();
      const printed = await sniffer.succeeded();
      const [ours, theirs] = [packets(printed), await tcpdump(file)];
      assertEquals(ours.length, theirs.length);
      // Of a fragment without its header tcpdump says no more than the protocol.
      const said = (line: string) => line.replace(/: fragment at .*/, ": ip-proto-17");
      assertEquals(
        ours.filter((line) => !isChatter(line)).map(said),
        theirs.filter((line) => !isChatter(line)),
      );
      for (
        const pattern of [
          /ff:ff:ff:ff:ff:ff, ethertype ARP \(0x0806\), length 42: Request who-has 10\.77\.0\.2 tell 10\.77\.0\.1, length 28$/m,
          /: Reply 10\.77\.0\.2 is-at ([0-9a-f]{2}:){5}[0-9a-f]{2}, length 28$/m,
          /ethertype IPv4 \(0x0800\), length 47: 10\.77\.0\.1\.\d+ > 10\.77\.0\.2\.7777: UDP, length 5$/m,
          /ethertype IPv6 \(0x86dd\), length 72: fd77::1\.\d+ > fd77::2\.7777: UDP, length 10$/m,
          /: 10\.77\.0\.1 > 10\.77\.0\.2: fragment at 1480, length 1480$/m,
          /: 10\.77\.0\.2 > 10\.77\.0\.1: ICMP 10\.77\.0\.2 udp port 7779 unreachable, length 42$/m,
          /\.7777: Flags \[S\], seq \d+, win \d+, length 0$/m,
          /\.7777: Flags \[P\.\], seq \d+:\d+, ack \d+, win \d+, length 8$/m,
          /: 10\.77\.0\.1 > 10\.77\.0\.2: ICMP echo request, id \d+, seq 1, length 64$/m,
          /: fd77::2 > fd77::1: ICMP6, echo reply, id \d+, seq 1, length 64$/m,
        ]
      ) assertMatch(printed, pattern);
      const [, seen, kept, dropped] = /^(\d+) packets seen, (\d+) kept by the filter, (\d+) of them dropped/m.exec(
        printed,
      )!;
      assertEquals([Number(seen), Number(kept), dropped], [ours.length, ours.length, "0"]);
    });
  } finally {
    await Deno.remove(file);
  }
});

/** Filters, and what is to be said of each line that they let pass, at least so many. */
const FILTERS = [
  ["tcp", /: Flags \[/, 6],
  ["udp", /: UDP, length |: fragment at /, 4],
  ["icmp", /: ICMP6?[ ,]/, 5],
  ["arp", /, ethertype ARP /, 2],
  ["port 7777", /\.7777(:| >)/, 8],
  ["port 7778", /\.7778: UDP, length 3000/, 1],
  ["ldh [12]\njne #0x86dd, drop\nret #-1\ndrop: ret #0", /ethertype IPv6 /, 3],
] as const;

test("examples/sniff.ts hears only what its filter lets pass, and all of that", TCPDUMP, async () => {
  await withPair(async (left, right) => {
    await using all = await sniff(right, "--interface", "right0");
    const filtered: Program[] = [];
    try {
      for (const [filter] of FILTERS) filtered.push(await sniff(right, "--interface", "right0", "--filter", filter));
      await talk(left, right);
      await all.printed(/fd77::2 > fd77::1: ICMP6, echo reply/);
      all.interrupt();
      const everything = packets(await all.succeeded());
      for (const [i, [filter, pattern, least]] of FILTERS.entries()) {
        filtered[i]!.interrupt();
        // Without the times, which two sockets of the kernel need not have alike.
        const heard = packets(await filtered[i]!.succeeded()).filter((line) => !isChatter(line)).map(untimed);
        const wanted = everything.filter((line) => !isChatter(line) && pattern.test(line)).map(untimed);
        assert(heard.length >= least, `${filter}: ${heard.join("\n")}`);
        assertEquals(heard, wanted, filter);
      }
    } finally {
      for (const one of filtered) await one[Symbol.asyncDispose]();
    }
  });
});

function untimed(line: string): string {
  return line.slice(line.indexOf(" ") + 1);
}

test("examples/sniff.ts makes the interface promiscuous for as long as it runs, when told to", LAB, async () => {
  await withPair(async (_left, right) => {
    const promiscuity = async () => {
      await using program = right.program("ip", "-d", "-j", "link", "show", "right0");
      return JSON.parse((await program.rest()).join(""))[0].promiscuity;
    };
    {
      await using plain = await sniff(right, "--interface", "right0");
      assertEquals(await promiscuity(), 0);
      await using curious = await sniff(right, "--interface", "right0", "--promiscuous");
      assertEquals(await promiscuity(), 1);
      for (const one of [plain, curious]) {
        one.interrupt();
        await one.succeeded();
      }
    }
    assertEquals(await promiscuity(), 0);
  });
});

test("examples/sniff.ts refuses an interface without the frames of Ethernet", LAB, async () => {
  await withPair(async (_left, right) => {
    await right.ip("tuntap", "add", "tun0", "mode", "tun");
    await using program = example("sniff", ["--interface", "tun0"], undefined, right.enter);
    const { code, stderr } = await program.ended();
    assertEquals([code, stderr], [1, "Cannot listen on tun0: it must have the frames of Ethernet\n"]);
  });
});

test("examples/sniff.ts tells how many packets it lost, and shows all others", LAB, async () => {
  await withPair(async (left, right) => {
    await using sniffer = await sniff(right, "--interface", "right0", "--filter", "port 7777");
    // While it stands still its socket has room for some of them.
    sniffer.signal("SIGSTOP");
    await left.python(`
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(5000):
    try: sender.sendto(b"x" * 100, ("10.77.0.2", 7777))
    except ConnectionRefusedError: pass`).rest();
    sniffer.interrupt();
    sniffer.signal("SIGCONT");
    const printed = await sniffer.succeeded();
    const summary = /^(\d+) packets seen, 5000 kept by the filter, (\d+) of them dropped by the kernel$/m.exec(printed);
    const [seen, dropped] = [Number(summary![1]), Number(summary![2])];
    assertEquals([packets(printed).length, seen + dropped], [seen, 5000]);
    assert(seen > 0 && dropped > 0, printed);
  });
});
