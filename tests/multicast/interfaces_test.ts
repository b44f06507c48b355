// networkInterfaces: the public function. What the list has, beside ip(8): tests/netif_test.ts.
// Joining by name, index and address: join_test.ts.
import { assert, assertEquals } from "@std/assert";
import { networkInterfaces } from "../../multicast/mod.ts";
import { test } from "../needs.ts";
import { OTHER_PROGRAM, runWith } from "../udp/other_program.ts";

test("networkInterfaces() has the loopback interface with its address", { ffi: true }, () => {
  const lo = networkInterfaces().find((one) => one.loopback);
  assert(lo?.up && lo.index > 0 && lo.mtu > 0);
  assert(
    lo.addresses.some(({ family, hostname, prefix }) => family === "inet" && hostname === "127.0.0.1" && prefix === 8),
  );
  assertEquals(lo.hardwareAddr, undefined);
});

test("networkInterfaces() needs --allow-ffi or --allow-sys, nothing else", OTHER_PROGRAM, async () => {
  const code = `try { console.log(multicast.networkInterfaces().length > 0); } catch (error) { say(error) }`;
  assertEquals(await runWith(["--allow-ffi"], code), "true");
  assertEquals(await runWith(["--allow-sys"], code), "true");
  const refusal = await runWith([], code);
  assert(refusal.startsWith("NotCapable: Cannot list the network interfaces: "), refusal);
  assert(refusal.includes("--allow-sys") && refusal.includes("--allow-ffi"), refusal);
});
