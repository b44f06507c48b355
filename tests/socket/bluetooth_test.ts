// Bluetooth sockets: a kernel without them says so by the family; one that has them opens each protocol.
// Their addresses as bytes: ../sockaddr_families_test.ts; numbers and structs against BlueZ's headers: ../headers_test.ts.
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { BT_SECURITY } from "../../options/mod.ts";
import type { SystemError } from "../../options/mod.ts";
import { Socket } from "../../socket/mod.ts";
import { RawSocket, refusal, ROOT } from "../raw_socket.ts";
import { FFI, test } from "./make.ts";

const AF_BLUETOOTH = 31;
const KINDS = [
  ["l2cap", "seqpacket", 0],
  ["l2cap", "stream", 0],
  ["l2cap", "dgram", 0],
  ["hci", "raw", 1],
  ["sco", "seqpacket", 2],
  ["rfcomm", "stream", 3],
] as const;
const SOCK = { stream: 1, dgram: 2, raw: 3, seqpacket: 5 } as const;

test("Socket.open() opens the Bluetooth sockets that the kernel has, and says what it has not", ROOT, () => {
  for (const [protocol, type, number] of KINDS) {
    // What a plain socket(2) says.
    const refused = refusal(() => RawSocket.open(AF_BLUETOOTH, SOCK[type], number).close());
    if (refused === null) {
      using socket = Socket.open("bluetooth", type, protocol);
      assertEquals([socket.family, socket.type, socket.protocol], ["bluetooth", type, number]);
      assertEquals(socket.localAddr?.protocol, protocol);
      continue;
    }
    const error = assertThrows(() => Socket.open("bluetooth", type, protocol)) as SystemError;
    assertEquals([error.code, error.syscall], [refused, "socket"]);
    assertStringIncludes(error.message, `Cannot open a socket of family "bluetooth" and type "${type}": `);
    if (refused !== "EAFNOSUPPORT") continue;
    assertEquals(error instanceof Deno.errors.NotSupported, true);
    assertStringIncludes(error.message, "this kernel has no such family built in");
  }
});

test("a protocol that is not Bluetooth's is refused before the kernel is asked", FFI, () => {
  assertThrows(
    () => Socket.open("bluetooth", "stream", "tcp"),
    Deno.errors.NotSupported,
    'the protocol is "tcp", it must be a number or one of l2cap, hci, sco, rfcomm',
  );
});

test("an option of Bluetooth on another socket says what it works on", FFI, () => {
  using socket = Socket.open("inet", "stream");
  assertThrows(
    () => BT_SECURITY.get(socket),
    Deno.errors.NotSupported,
    "Cannot read BT_SECURITY on tcp 0.0.0.0:0: it works on Bluetooth sockets",
  );
});
