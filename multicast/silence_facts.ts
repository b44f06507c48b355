// What Linux tells of multicast in files under /proc, which Deno lets nobody read without --allow-all; null where it may not.
// What is made of it: explain.ts. What the kernel tells of a single socket: internal/membership.ts.

/** Where the kernel tells of groups: of the network that this thread is in, which need not be that of the process. */
const GROUPS = "/proc/thread-self/net";

/** A file of the system; null where it may not be read, or is not there. */
function read(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** A setting that is there for all interfaces and for each: the greater counts. */
function setting(family: "ipv4" | "ipv6", name: string, key: string): number | null {
  // A dot in the name of an interface is no folder.
  const values = ["all", name].map((one) => read(`/proc/sys/net/${family}/conf/${one}/${key}`));
  return values.some((value) => value === null) ? null : Math.max(...values.map(Number));
}

/** The reverse path filter in force on an interface: 0 off, 1 strict, 2 loose (ip-sysctl of the kernel). */
export function reversePathFilter(name: string): number | null {
  return setting("ipv4", name, "rp_filter");
}

/** The version of IGMP or MLD that is forced on an interface, 0 for none. */
export function forcedVersion(family: "inet" | "inet6", name: string): number | null {
  return family === "inet" ? setting("ipv4", name, "force_igmp_version") : setting("ipv6", name, "force_mld_version");
}

/** The lines of the file "igmp", each with the interface it is about. */
function* igmpLines(): Generator<{ name: string; fields: readonly string[] }> {
  let name = "";
  for (const line of (read(`${GROUPS}/igmp`) ?? "").split("\n").slice(1)) {
    // A line of an interface begins with its index, one of a group with tabs.
    const fields = line.split(/[\s:]+/);
    if (fields[0] !== "") name = fields[1]!;
    yield { name, fields };
  }
}

/** The version of IGMP that is spoken on an interface, as routers there ask for it; null where it is not told. */
export function querierVersion(family: "inet" | "inet6", name: string): number | null {
  if (family === "inet6") return null;
  for (const line of igmpLines()) {
    if (line.name === name && line.fields[0] !== "") {
      return Number(/V(\d)/.exec(line.fields.join(" "))?.[1] ?? 0) || null;
    }
  }
  return null;
}

/** The interfaces on which any socket of this machine has joined a group. */
export function joinedOnMachine(group: Uint8Array): string[] | null {
  const hex = Array.from(group, (byte) => byte.toString(16).padStart(2, "0"));
  if (group.length === 4) {
    if (read(`${GROUPS}/igmp`) === null) return null;
    // In the order of the processor, which is the other one.
    const wanted = hex.toReversed().join("").toUpperCase();
    return [...igmpLines()].filter(({ fields }) => fields[0] === "" && fields[1] === wanted).map(({ name }) => name);
  }
  const lines = read(`${GROUPS}/igmp6`)?.split("\n").map((line) => line.trim().split(/\s+/));
  return lines?.filter(([, , address]) => address === hex.join("")).map(([, name]) => name!) ?? null;
}
