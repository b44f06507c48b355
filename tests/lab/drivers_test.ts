// Sockets that drivers from npm opened: what is set on them while they are in use is seen from outside the process.
// The servers are PostgreSQL and Redis, started and ended here. What Deno and node open: runtime_test.ts.
import { assertEquals } from "@std/assert";
import { getAvailablePort } from "@std/net/get-available-port";
import { findSocket, listSockets } from "../../socket/mod.ts";
import { tuneTcp } from "../../tcp/mod.ts";
import { type Needs, test } from "../needs.ts";
import { OUTSIDE } from "../tcp/outside.ts";
import { sleep, until } from "../time.ts";
import { assertTunedOutside, TUNING } from "./tuned.ts";

/** Servers refuse to run as root: this is nobody. */
const UID = 65_534;
const LOCAL = "127.0.0.1";

/** The folder of PostgreSQL's programs, of whatever version; they are in nobody's PATH. */
function postgresFolder(): string {
  const versions = "/usr/lib/postgresql";
  if (Deno.permissions.querySync({ name: "read" }).state !== "granted") return versions;
  try {
    return `${versions}/${[...Deno.readDirSync(versions)].map(({ name }) => name).sort().at(-1)}/bin`;
  } catch {
    return versions;
  }
}

const PROGRAMS = postgresFolder();
const ALL: Needs = { ...OUTSIDE, read: true, write: true, env: true, sys: true };
const POSTGRES: Needs = { ...ALL, files: [`${PROGRAMS}/initdb`, `${PROGRAMS}/postgres`] };
const REDIS: Needs = { ...ALL, run: [...ALL.run!, "redis-server"] };

/** A server that runs as nobody, in a folder of its own that goes with it. */
class Server implements AsyncDisposable {
  readonly port = getAvailablePort();
  readonly folder: string;
  #child: Deno.ChildProcess | undefined;

  constructor() {
    this.folder = Deno.makeTempDirSync();
    Deno.chownSync(this.folder, UID, UID);
  }

  command(program: string, ...args: string[]): Deno.Command {
    return new Deno.Command(program, {
      args,
      cwd: this.folder,
      uid: UID,
      gid: UID,
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
  }

  /** Starts it, and waits until it takes connections. */
  async start(program: string, ...args: string[]): Promise<void> {
    this.#child = this.command(program, ...args).spawn();
    for (let i = 0;; i++) {
      try {
        return (await Deno.connect({ hostname: LOCAL, port: this.port })).close();
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionRefused) || i === 1000) throw error;
        await sleep(10);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // PostgreSQL takes it as: now.
    this.#child?.kill("SIGINT");
    await this.#child?.status;
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Tunes the only connection to a server, in use by then, from nothing but its address; looks from outside. */
async function assertTunable(port: number): Promise<void> {
  const connection = findSocket({ remoteAddr: { hostname: LOCAL, port }, state: "established" });
  const settings = tuneTcp(connection, TUNING);
  assertEquals<object>(settings.keepAlive as object, TUNING.keepAlive);
  await assertTunedOutside(connection);
}

test("keepalive and user timeout are set on the connection of pg to PostgreSQL", POSTGRES, async () => {
  await using server = new Server();
  const { port, folder } = server;
  const data = `${folder}/data`;
  const made = await server.command(`${PROGRAMS}/initdb`, "-D", data, "-U", "tester", "-A", "trust", "--no-sync")
    .output();
  assertEquals(made.success, true);
  await server.start(`${PROGRAMS}/postgres`, "-D", data, "-p", `${port}`, "-h", LOCAL, "-k", "", "-F");
  const { default: pg } = await import("npm:pg@8.23.1");
  const client = new pg.Client({ host: LOCAL, port, user: "tester", database: "postgres" });
  // It takes connections a moment before it answers.
  for (let i = 0;; i++) {
    try {
      await client.connect();
      break;
    } catch (error) {
      if (i === 1000) throw error;
      await sleep(10);
    }
  }
  try {
    assertEquals((await client.query("select 1 + 1 as sum")).rows, [{ sum: 2 }]);
    await assertTunable(port);
    assertEquals((await client.query("select 2 + 2 as sum")).rows, [{ sum: 4 }]);
    // The driver's own socket is one of node:net.
    assertEquals(tuneTcp(client.connection.stream, { userTimeout: 54_321 }).userTimeout, 54_321);
  } finally {
    await client.end();
  }
  await until(() => listSockets({ remoteAddr: { port } }).length === 0);
});

test("keepalive and user timeout are set on the connection of ioredis to Redis", REDIS, async () => {
  await using server = new Server();
  const { port } = server;
  await server.start("redis-server", "--port", `${port}`, "--bind", LOCAL, "--save", "", "--appendonly", "no");
  const { Redis } = await import("npm:ioredis@5.8.2");
  const redis = new Redis({ host: LOCAL, port });
  try {
    await redis.set("greeting", "hello");
    await assertTunable(port);
    assertEquals(await redis.get("greeting"), "hello");
    assertEquals(tuneTcp(redis.stream as never, { userTimeout: 54_321 }).userTimeout, 54_321);
  } finally {
    redis.disconnect();
  }
  await until(() => listSockets({ remoteAddr: { port } }).length === 0);
});
