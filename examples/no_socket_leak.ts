// A check for tests: a piece of a program leaves no socket open that it did not find open. To be copied, or imported from
// a checkout; by itself it shows what it says of a piece that closes all it opened, and of one that does not.
//
//   deno task example:no_socket_leak
//
//   Deno.test("a client leaves nothing behind", async () => {
//     await using _ = assertNoSocketLeak();
//     await talkToTheServer();
//   });
//
// `using` looks once; `await using` gives what is being closed a moment, as HTTP clients and servers take.
import { SO_COOKIE } from "@berkeley/sockets/options";
import { listSockets, type SocketInfo } from "@berkeley/sockets/socket";

/**
 * Remembers the sockets that are open, whoever opened them; those that are there at the end and were not, are an error.
 * Sockets that another test or a Worker opens meanwhile count too: run such tests one after the other.
 *
 * @param patience Milliseconds that `await using` waits for what is being closed; default 1000.
 * @returns What looks again when it is disposed of.
 */
export function assertNoSocketLeak(patience = 1000): Disposable & AsyncDisposable {
  const before = new Set(cookies().keys());
  const left = () => [...cookies()].filter(([cookie]) => !before.has(cookie)).map(([, socket]) => socket);
  return {
    [Symbol.dispose]() {
      refuse(left());
    },
    async [Symbol.asyncDispose]() {
      for (const start = performance.now(); performance.now() - start < patience;) {
        if (left().length === 0) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      refuse(left());
    },
  };
}

/** The sockets by the kernel's name for each: their numbers are given again and again. */
function cookies(): Map<bigint, SocketInfo> {
  const result = new Map<bigint, SocketInfo>();
  for (const socket of listSockets()) {
    try {
      result.set(SO_COOKIE.get(socket), socket);
    } catch (error) {
      // It was closed since it was listed.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
  return result;
}

function refuse(left: readonly SocketInfo[]): void {
  if (left.length === 0) return;
  const count = left.length === 1 ? "1 socket was" : `${left.length} sockets were`;
  throw new Error(`${count} left open: ${left.map(shown).join(", ")}`);
}

function shown({ fd, family, type, state, localAddr, remoteAddr }: SocketInfo): string {
  const at = [localAddr, remoteAddr].map((address) => address === null ? "none" : JSON.stringify(address)).join(" to ");
  return `descriptor ${fd} (${[family, type, state].filter(Boolean).join(" ")}, ${at})`;
}

async function main(): Promise<void> {
  if (Deno.args.length > 0) {
    const help = Deno.args[0] === "--help";
    (help ? console.log : console.error)(
      help
        ? "Shows what assertNoSocketLeak() says. It takes no flags.\n\n  --help    print this"
        : `Unknown flag ${Deno.args[0]}; see --help`,
    );
    Deno.exit(help ? 0 : 2);
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  {
    using _ = assertNoSocketLeak();
    using _conn = await Deno.connect({ hostname: "127.0.0.1", port });
    (await listener.accept()).close();
  }
  console.log("the first piece left no socket open");
  const conns: Deno.Conn[] = [];
  try {
    using _ = assertNoSocketLeak();
    conns.push(await Deno.connect({ hostname: "127.0.0.1", port }));
    (await listener.accept()).close();
  } catch (error) {
    console.log(`the second piece: ${(error as Error).message}`);
  }
  for (const conn of conns) conn.close();
  listener.close();
}

if (import.meta.main) {
  await main().catch((error) => {
    console.error(error.message);
    Deno.exit(1);
  });
}
