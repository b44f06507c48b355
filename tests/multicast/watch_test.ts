// watchInterfaces: what becomes of interfaces, told by the kernel and by looking; nothing lost, nothing left open.
// The messages themselves: ../netlink_test.ts. Memberships that follow the machine: follow_test.ts.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type InterfaceChange, watchInterfaces } from "../../multicast/mod.ts";
import { SO_RCVBUF } from "../../options/mod.ts";
import { listSockets } from "../../socket/mod.ts";
import { test } from "../needs.ts";
import { OTHER_PROGRAM, runWith } from "../udp/other_program.ts";
import { type Namespace, NAMESPACES, withPair } from "./namespace.ts";

const FFI = { ffi: true, linux: true };

/** Changes until one fits, as "kind name", with the one that fits. */
async function until(
  changes: AsyncIterator<InterfaceChange>,
  fits: (change: InterfaceChange) => boolean,
): Promise<[InterfaceChange, string[]]> {
  const heard: string[] = [];
  for (;;) {
    const { value, done } = await changes.next();
    assert(!done, heard.join());
    heard.push(`${value.kind} ${value.interface.name}`);
    if (fits(value)) return [value, heard];
  }
}

test(
  "watchInterfaces() tells what appears, goes down and up, gains an address, is renamed, and vanishes",
  NAMESPACES,
  async () => {
    await withPair(async (left) => {
      const changes = left.inside(() => watchInterfaces());
      const is = (kind: string, name: string) => (one: InterfaceChange) =>
        one.kind === kind && one.interface.name === name;
      await left.ip("link", "add", "late0", "type", "veth", "peer", "name", "late1");
      const [{ interface: added }] = await until(changes, is("added", "late0"));
      assertEquals([added.up, added.multicast, added.mtu, added.addresses], [false, true, 1500, []]);
      await left.ip("link", "set", "late0", "up");
      await left.ip("link", "set", "late1", "up");
      await until(changes, (one) => one.interface.name === "late0" && one.interface.up);
      await left.ip("address", "add", "10.76.0.1/24", "dev", "late0");
      const [{ interface: addressed }] = await until(
        changes,
        (one) => one.interface.addresses.some(({ hostname }) => hostname === "10.76.0.1"),
      );
      assertEquals([addressed.name, addressed.index], ["late0", added.index]);
      await left.ip("link", "set", "late0", "down");
      await until(changes, (one) => one.interface.name === "late0" && !one.interface.up);
      await left.ip("link", "set", "late0", "name", "other0");
      const [{ kind, interface: renamed }] = await until(changes, (one) => one.interface.name === "other0");
      assertEquals([kind, renamed.index], ["changed", added.index]);
      await left.ip("link", "delete", "other0");
      const [{ interface: removed }] = await until(changes, is("removed", "other0"));
      assertEquals(removed.index, added.index);
      await changes.return!();
    });
  },
);

test("watchInterfaces() tells nothing of what changes nothing", NAMESPACES, async () => {
  await withPair(async (left) => {
    const changes = left.inside(() => watchInterfaces());
    // A port that leaves a bridge is told of as deleted, and is not.
    await left.ip("link", "add", "bridge0", "type", "bridge");
    await left.ip("link", "set", "spare0", "master", "bridge0");
    await left.ip("link", "set", "spare0", "nomaster");
    await left.ip("link", "delete", "bridge0");
    const [, heard] = await until(changes, ({ kind, interface: { name } }) => kind === "removed" && name === "bridge0");
    assertEquals(heard.filter((one) => one.startsWith("removed") || one.startsWith("added")), [
      "added bridge0",
      "removed bridge0",
    ]);
    await changes.return!();
  });
});

/** Adds interfaces by the hundred, in one program. */
async function addMany(left: Namespace, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, i) => `link add many${i} type bridge`);
  await using program = left.program(
    "sh",
    "-c",
    `printf '%s\n' ${lines.map((line) => `'${line}'`).join(" ")} | ip -batch -`,
  );
  await program.rest();
}

test("watchInterfaces() that was not read lists everything again, and misses nothing", NAMESPACES, async () => {
  await withPair(async (left) => {
    const before = new Set(listSockets({ family: "netlink" }).map(({ fd }) => fd));
    const changes = left.inside(() => watchInterfaces());
    // The smallest buffer there is, so that it overflows.
    const [heard] = listSockets({ family: "netlink" }).filter(({ fd }) => !before.has(fd));
    SO_RCVBUF.set(heard!, 1);
    await addMany(left, 60);
    await left.ip("link", "delete", "many7");
    await left.ip("link", "delete", "spare0");
    const present = new Set(["spare0"]);
    const wanted = (name: string) => name.startsWith("many") || name === "spare0";
    const enough = () => present.size === 59 && !present.has("many7") && !present.has("spare0");
    for (let count = 0; !enough(); count++) {
      assert(count < 2000, `${present.size}`);
      const { value: { kind, interface: { name } } } = await changes.next();
      if (!wanted(name)) continue;
      if (kind === "removed") present.delete(name);
      else present.add(name);
    }
    await changes.return!();
  });
});

test("watchInterfaces() ends with its loop, its signal and return(), also while it waits", FFI, async () => {
  const controller = new AbortController();
  const changes = watchInterfaces({ signal: controller.signal });
  const waiting = [changes.next(), changes.next()];
  controller.abort();
  assertEquals(await Promise.all(waiting), [{ done: true, value: undefined }, { done: true, value: undefined }]);
  assertEquals(await changes.next(), { done: true, value: undefined });
  const other = watchInterfaces();
  const next = other.next();
  await other.return!();
  assertEquals((await next).done, true);
  for await (const _ of watchInterfaces({ signal: AbortSignal.timeout(20) })) {
    // Others may change interfaces meanwhile.
  }
  const reason = new Error("no");
  assertEquals(assertThrows(() => watchInterfaces({ signal: AbortSignal.abort(reason) })), reason);
  assertThrows(() => watchInterfaces({ signal: 5 as never }), TypeError, "it must be an AbortSignal");
});

test("watchInterfaces() needs --allow-ffi or --allow-sys, and looks once a second with the latter", {
  ...OTHER_PROGRAM,
  root: true,
  linux: true,
  run: ["ip"],
}, async () => {
  const refusal = await runWith([], `try { multicast.watchInterfaces(); } catch (error) { say(error) }`);
  assert(refusal.startsWith("NotCapable: Cannot watch the network interfaces: "), refusal);
  assert(refusal.includes("--allow-sys") && refusal.includes("--allow-ffi"), refusal);
  // No net is asked for.
  const code = `const changes = multicast.watchInterfaces({ signal: AbortSignal.timeout(30) });
    for await (const _ of changes); console.log("ended");`;
  for (const flag of ["--allow-ffi", "--allow-sys"]) assertEquals(await runWith([flag], code), "ended");
  await withPair(async (left) => {
    const output = await left.run(
      `Deno.permissions.revokeSync({ name: "ffi" });
       const changes = multicast.watchInterfaces();
       const next = changes.next();
       await new Deno.Command("ip", { args: ["address", "add", "10.75.0.1/24", "dev", "spare0"] }).output();
       const { value: { kind, interface: one } } = await next;
       console.log(kind, one.name, one.addresses.map(({ hostname }) => hostname).includes("10.75.0.1"));
       await changes.return();
       console.log((await changes.next()).done);`,
    );
    assertEquals(output, "changed spare0 true\ntrue");
  });
});

test("watchInterfaces() keeps a program alive that waits, and no longer", OTHER_PROGRAM, async () => {
  const output = await runWith(
    ["--allow-ffi"],
    `const changes = multicast.watchInterfaces();
     const timer = setTimeout(async () => { console.log("still here"); await changes.return(); }, 50);
     Deno.unrefTimer(timer);
     console.log((await changes.next()).done);`,
  );
  assertEquals(output, "still here\ntrue");
});
