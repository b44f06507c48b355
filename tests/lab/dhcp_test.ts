// A host without an address asks everybody on its link for one, and a DHCP server (RFC 2131), dnsmasq, answers: limited
// broadcasts both ways, by an interface that has no IPv4 yet. Other broadcasts: multicast_test.ts.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { networkInterfaces } from "../../multicast/mod.ts";
import { SO_BINDTODEVICE } from "../../options/mod.ts";
import { bindUdp, type Datagram } from "../../udp/mod.ts";
import { type Namespace, NAMESPACES, withPair } from "../multicast/namespace.ts";
import { test } from "../needs.ts";
import { assertWithin } from "../time.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SERVER = 67, CLIENT = 68;
const EVERYBODY = { hostname: "255.255.255.255", port: SERVER };
/** Types of messages, as option 53 has them (RFC 2132 section 9.6). */
const DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5;
const MESSAGE_TYPE = 53, REQUESTED_ADDRESS = 50, SERVER_IDENTIFIER = 54, END = 255;
/** Where the options begin, behind the fields and the magic cookie. */
const OPTIONS = 240;

/** A message of the client, which wants the answer by broadcast. */
function message(transaction: number, hardware: Bytes, options: readonly (readonly [code: number, value: number[]])[]) {
  const bytes = new Uint8Array(300);
  const view = new DataView(bytes.buffer);
  bytes.set([1, 1, 6]); // A request, Ethernet, the length of its addresses.
  view.setUint32(4, transaction);
  view.setUint16(10, 0x8000); // Broadcast, as without an address no other answer arrives.
  bytes.set(hardware, 28);
  view.setUint32(OPTIONS - 4, 0x63825363);
  bytes.set([...options.flatMap(([code, value]) => [code, value.length, ...value]), END], OPTIONS);
  return bytes;
}

/** What the server says: of which transaction, for whom, the address, and the options. */
function answer(data: Bytes) {
  assertEquals(data[0], 2);
  const options = new Map<number, number[]>();
  for (let at = OPTIONS; data[at] !== END; at += 2 + data[at + 1]!) {
    options.set(data[at]!, Array.from(data.subarray(at + 2, at + 2 + data[at + 1]!)));
  }
  return {
    transaction: new DataView(data.buffer, data.byteOffset).getUint32(4),
    address: data.subarray(16, 20).join("."),
    hardware: data.slice(28, 34),
    type: options.get(MESSAGE_TYPE)?.[0],
    server: options.get(SERVER_IDENTIFIER),
  };
}

/** Starts the server in a namespace, of the addresses 10.77.0.100 and 10.77.0.101. */
async function serve(where: Namespace, leases: string) {
  const args = [
    "--keep-in-foreground --conf-file=/dev/null --user=root --pid-file --no-resolv --no-hosts --port=0 --log-facility=-",
    `--interface=${where.device} --bind-interfaces --no-ping --dhcp-authoritative --dhcp-leasefile=${leases}`,
    "--dhcp-range=10.77.0.100,10.77.0.101,255.255.255.0,2m",
  ];
  const program = where.program("sh", "-c", `exec dnsmasq ${args.join(" ")} 2>&1`);
  while (!(await program.line()).includes("DHCP, sockets bound exclusively to interface")) continue;
  return program;
}

for (const how of ["a socket bound to the interface", "the interface named with the datagram"]) {
  test(`a DHCP discover is answered by a server on the link, by ${how}`, {
    ...NAMESPACES,
    run: ["ip", "dnsmasq", "sh"],
    read: true,
    write: true,
  }, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await withPair(async (left, right) => {
        await left.ip("address", "flush", "dev", "left0", "scope", "global");
        // Without a route back, what the server sends would not pass the filter of sources.
        for (const one of ["all", "left0"]) left.sysctl(`net.ipv4.conf.${one}.rp_filter`, "0");
        await using _server = await serve(right, `${folder}/leases`);
        const link = left.inside(networkInterfaces).find(({ name }) => name === "left0")!;
        assertEquals(link.addresses.filter(({ family }) => family === "inet"), []);
        const hardware = Uint8Array.from(link.hardwareAddr!.split(":"), (part) => parseInt(part, 16));
        const bound = how.startsWith("a socket");
        using socket = left.inside(() =>
          bindUdp({
            port: CLIENT,
            metadata: ["localAddr", "interfaceIndex"],
            ...(bound && { options: [SO_BINDTODEVICE.to("left0")] }),
          })
        );
        const transaction = crypto.getRandomValues(new Uint32Array(1))[0]!;
        const ask = async (...options: Parameters<typeof message>[2]) => {
          const data = message(transaction, hardware, options);
          if (bound) await socket.send(data, EVERYBODY);
          else await socket.sendMessage({ data, remoteAddr: EVERYBODY, interfaceIndex: link.index });
          const got: Datagram<"localAddr" | "interfaceIndex"> = await assertWithin(10_000, socket.receiveMessage());
          assertEquals([got.localAddr.hostname, got.interfaceIndex], ["255.255.255.255", link.index]);
          assertEquals([got.remoteAddr.hostname, got.remoteAddr.port], ["10.77.0.2", SERVER]);
          return answer(got.data);
        };
        const offer = await ask([MESSAGE_TYPE, [DISCOVER]]);
        assertEquals([offer.type, offer.transaction, offer.hardware], [OFFER, transaction, hardware]);
        assertEquals(offer.server, [10, 77, 0, 2]);
        assert(["10.77.0.100", "10.77.0.101"].includes(offer.address), offer.address);
        const wanted = offer.address.split(".").map(Number);
        const ack = await ask(
          [MESSAGE_TYPE, [REQUEST]],
          [REQUESTED_ADDRESS, wanted],
          [SERVER_IDENTIFIER, offer.server!],
        );
        assertEquals([ack.type, ack.transaction, ack.address], [ACK, transaction, offer.address]);
        assertStringIncludes(await Deno.readTextFile(`${folder}/leases`), `${link.hardwareAddr} ${offer.address}`);
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
