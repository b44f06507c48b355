// Finds the descriptor behind objects of Deno and node, and never a wrong one.
// What options then do with it is tested in tests/options/.
import { addressOf, DESCRIPTOR, descriptorOf, lowestFree, note } from "../internal/descriptor.ts";
import {
  SO_COOKIE,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SO_REUSEADDR,
  type SocketLike,
  TCP_INFO,
  TCP_NODELAY,
} from "../options/mod.ts";
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { certificate } from "./certificate.ts";
import { test } from "./needs.ts";
import { OTHER_PROGRAM, runWith } from "./tcp/other_program.ts";
import { until } from "./time.ts";
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";

const LOCAL = { hostname: "127.0.0.1", port: 0 } as const;

async function pair(): Promise<
  { client: Deno.TcpConn; server: Deno.TcpConn } & Disposable
> {
  using listener = Deno.listen(LOCAL);
  const [client, server] = await Promise.all([
    Deno.connect({ port: listener.addr.port, hostname: "127.0.0.1" }),
    listener.accept(),
  ]);
  return {
    client,
    server,
    [Symbol.dispose]: () => (client.close(), server.close()),
  };
}

/** The kernel's own words on the descriptor that was found. */
function namesOf(socket: object): (string | undefined)[] {
  const { fd } = descriptorOf(socket, "Cannot test");
  return (["local", "remote"] as const).map((which) => {
    const address = addressOf(fd, which);
    return address && "hostname" in address ? `${address.hostname}:${address.port}` : undefined;
  });
}
const nameOf = ({ hostname, port }: Deno.NetAddr) => `${hostname}:${port}`;

test(
  "the descriptor of connections of Deno has their addresses",
  { ffi: true },
  async () => {
    using both = await pair();
    for (const conn of [both.client, both.server]) {
      assertEquals(namesOf(conn), [
        nameOf(conn.localAddr),
        nameOf(conn.remoteAddr),
      ]);
    }
    assertNotEquals(SO_COOKIE.get(both.client), SO_COOKIE.get(both.server));
  },
);

test(
  "the descriptor of a listener of Deno is the one that listens, not one it accepted",
  { ffi: true },
  async () => {
    using listener = Deno.listen(LOCAL);
    using client = await Deno.connect({
      port: listener.addr.port,
      hostname: "127.0.0.1",
    });
    using server = await listener.accept();
    assertEquals(namesOf(listener), [nameOf(listener.addr), undefined]);
    assertEquals(
      new Set([listener, client, server].map((socket) => SO_COOKIE.get(socket)))
        .size,
      3,
    );
  },
);

test(
  "the descriptor is found over IPv6, and over IPv4 on a dual-stack listener",
  { ffi: true },
  async () => {
    using listener = Deno.listen({ hostname: "::", port: 0 });
    for (const hostname of ["::1", "127.0.0.1"]) {
      using client = await Deno.connect({ hostname, port: listener.addr.port });
      using server = await listener.accept();
      assertEquals(TCP_NODELAY.set(client, true), true);
      assertEquals(namesOf(server)[0], nameOf(server.localAddr));
      assertNotEquals(SO_COOKIE.get(client), SO_COOKIE.get(server));
    }
  },
);

test(
  "the descriptor of a connection to a host name is found",
  { ffi: true },
  async () => {
    using listener = Deno.listen(LOCAL);
    using client = await Deno.connect({
      hostname: "localhost",
      port: listener.addr.port,
    });
    using _server = await listener.accept();
    assertEquals(namesOf(client), [
      nameOf(client.localAddr),
      nameOf(client.remoteAddr),
    ]);
  },
);

test("the descriptor of a datagram connection of Deno has its address", {
  ffi: true,
}, () => {
  using conn = {
    it: Deno.listenDatagram({ transport: "udp", ...LOCAL }),
    [Symbol.dispose]() {
      this.it.close();
    },
  };
  assertEquals(namesOf(conn.it), [
    nameOf(conn.it.addr as Deno.NetAddr),
    undefined,
  ]);
});

test(
  "the descriptor of a running Deno.serve is its listener",
  { ffi: true },
  async () => {
    const server = Deno.serve(
      { ...LOCAL, onListen() {} },
      () => new Response("ok"),
    );
    try {
      assertEquals(namesOf(server), [nameOf(server.addr), undefined]);
      assertEquals(SO_KEEPALIVE.set(server, true), true);
    } finally {
      await server.shutdown();
    }
  },
);

test("the descriptors of node:net sockets and servers have their addresses", {
  ffi: true,
}, async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const accepted = once(server, "connection");
  const client = net.connect(port, "127.0.0.1");
  await once(client, "connect");
  const [served] = await accepted as [net.Socket];
  try {
    assertEquals(namesOf(server), [`127.0.0.1:${port}`, undefined]);
    assertEquals(namesOf(client), [
      `127.0.0.1:${client.localPort}`,
      `127.0.0.1:${port}`,
    ]);
    assertEquals(namesOf(served), [
      `127.0.0.1:${port}`,
      `127.0.0.1:${client.localPort}`,
    ]);
    assertEquals(SO_KEEPALIVE.set(client, true), true);
    client.destroy();
    assertThrows(
      () => SO_KEEPALIVE.get(client),
      Deno.errors.BadResource,
      "the socket is closed",
    );
  } finally {
    client.destroy();
    served.destroy();
    server.close();
    await once(server, "close");
  }
});

test(
  "the descriptor of a node:dgram socket has its address",
  { ffi: true },
  async () => {
    const socket = dgram.createSocket("udp4");
    assertThrows(() => SO_RCVBUF.get(socket), Deno.errors.BadResource);
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    assertEquals(namesOf(socket), [
      `127.0.0.1:${socket.address().port}`,
      undefined,
    ]);
    socket.close();
    await once(socket, "close");
    assertThrows(() => SO_RCVBUF.get(socket), Deno.errors.BadResource);
  },
);

test(
  "the descriptors of unix sockets are found, and those that cannot be told apart are listed",
  { ffi: true, read: true, write: true },
  async () => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/socket`;
    try {
      using listener = Deno.listen({ transport: "unix", path });
      using client = await Deno.connect({ transport: "unix", path });
      using server = await listener.accept();
      assertEquals(
        new Set(
          [listener, client, server].map((socket) => SO_COOKIE.get(socket)),
        ).size,
        3,
      );
      using second = await Deno.connect({ transport: "unix", path });
      using _other = await listener.accept();
      const { message } = assertThrows(
        () => SO_COOKIE.get(second),
        Error,
        "cannot be told apart",
      );
      assertEquals(
        message.match(/descriptor \d+ \(unix stream/g)?.length,
        2,
        message,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

test(
  "the descriptors of node:net unix sockets and servers are found",
  { ffi: true, read: true, write: true },
  async () => {
    const folder = await Deno.makeTempDir();
    const server = net.createServer().listen(`${folder}/socket`);
    await once(server, "listening");
    const accepted = once(server, "connection");
    const client = net.connect(`${folder}/socket`);
    await once(client, "connect");
    const [served] = await accepted as [net.Socket];
    try {
      const found = [server, client, served].map((socket) => descriptorOf(socket, "Cannot test").fd);
      assertEquals(new Set(found).size, 3);
      const paths = found.map((fd) => addressOf(fd, "local")).map((address) =>
        address && "path" in address && address.path
      );
      assertEquals(paths, [`${folder}/socket`, "", `${folder}/socket`]);
    } finally {
      client.destroy();
      served.destroy();
      server.close();
      await once(server, "close");
      await Deno.remove(folder, { recursive: true });
    }
    assertThrows(() => SO_COOKIE.get(client), Deno.errors.BadResource, "the socket is closed");
  },
);

test(
  "a node:net socket or server that is used again after its end is found again",
  { ffi: true, linux: true },
  async () => {
    const server = net.createServer((accepted) => void accepted.resume());
    const socket = new net.Socket();
    const refused = (one: net.Socket | net.Server) =>
      assertThrows(() => SO_COOKIE.get(one), Deno.errors.BadResource, "the socket is closed");
    const seen: bigint[] = [];
    for (let i = 0; i < 2; i++) {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as net.AddressInfo;
      socket.connect(port, "127.0.0.1");
      await once(socket, "connect");
      assertEquals(namesOf(server), [`127.0.0.1:${port}`, undefined]);
      assertEquals(namesOf(socket), [`127.0.0.1:${socket.localPort}`, `127.0.0.1:${port}`]);
      seen.push(SO_COOKIE.get(server), SO_COOKIE.get(socket));
      const ends = [once(server, "close"), once(socket, "close")];
      socket.destroy();
      refused(socket);
      server.close();
      await Promise.all(ends);
      refused(socket);
      refused(server);
    }
    assertEquals(new Set(seen).size, 4);
  },
);

test("a node:net socket that is not connected yet is refused", { ffi: true }, () => {
  const socket = new net.Socket();
  assertThrows(() => SO_COOKIE.get(socket), Deno.errors.NotSupported, "is it connected?");
  socket.destroy();
});

test("two sockets that share an address are an error that lists both", {
  ffi: true,
}, () => {
  const first = Deno.listenDatagram({
    transport: "udp",
    ...LOCAL,
    reuseAddress: true,
  });
  const port = (first.addr as Deno.NetAddr).port;
  const second = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port,
    reuseAddress: true,
  });
  try {
    assertThrows(
      () => SO_REUSEADDR.get(first),
      Error,
      "2 sockets of this process fit and cannot be told apart",
    );
  } finally {
    first.close();
    second.close();
  }
});

test("a noted descriptor tells sockets apart that share an address", {
  ffi: true,
}, () => {
  using opensTheLibrary = Deno.listen(LOCAL);
  SO_RCVBUF.get(opensTheLibrary);
  const open = (port: number) => {
    const hint = lowestFree();
    const conn = Deno.listenDatagram({
      transport: "udp",
      hostname: "127.0.0.1",
      port,
      reuseAddress: true,
    });
    note(conn, hint);
    return conn;
  };
  const first = open(0);
  const second = open((first.addr as Deno.NetAddr).port);
  try {
    assertNotEquals(SO_COOKIE.get(first), SO_COOKIE.get(second));
  } finally {
    first.close();
    second.close();
  }
});

test(
  "a closed connection stays closed when its number belongs to another socket",
  { ffi: true },
  async () => {
    const { client, server } = await pair();
    const { fd } = descriptorOf(client, "Cannot test");
    SO_KEEPALIVE.set(client, true);
    client.close();
    server.close();
    assertThrows(
      () => SO_KEEPALIVE.get(client),
      Deno.errors.BadResource,
      "Cannot read SO_KEEPALIVE: the socket is closed",
    );
    const successors: Deno.Listener[] = [];
    try {
      while (
        !successors.some((one) => descriptorOf(one, "Cannot test").fd === fd)
      ) {
        assert(successors.length < 200, "the number was never used again");
        successors.push(Deno.listen(LOCAL));
      }
      assertThrows(
        () => SO_KEEPALIVE.set(client, true),
        Deno.errors.BadResource,
        "the socket is closed",
      );
      for (const one of successors) assertEquals(SO_KEEPALIVE.get(one), false);
    } finally {
      for (const one of successors) one.close();
    }
  },
);

test(
  "a connection closed before it was ever touched is closed, and its successor is not taken for it",
  { ffi: true },
  async () => {
    const { client, server } = await pair();
    client.close();
    server.close();
    for (const conn of [client, server]) {
      assertThrows(
        () => SO_KEEPALIVE.get(conn),
        Deno.errors.BadResource,
        "the socket is closed",
      );
    }
    const first = Deno.listen(LOCAL);
    first.close();
    using successor = Deno.listen({ ...LOCAL, port: first.addr.port });
    assertThrows(
      () => SO_KEEPALIVE.set(first, true),
      Deno.errors.BadResource,
      "the socket is closed",
    );
    assertEquals(SO_KEEPALIVE.get(successor), false);
  },
);

test("a closed connection stays closed when its number belongs to a file", {
  ffi: true,
  read: true,
}, async () => {
  const { client, server } = await pair();
  const { fd } = descriptorOf(client, "Cannot test");
  client.close();
  server.close();
  using _file = await Deno.open(new URL(import.meta.url));
  using _other = await Deno.open(new URL(import.meta.url));
  assertThrows(
    () => SO_KEEPALIVE.get({ [DESCRIPTOR]: fd }),
    Deno.errors.BadResource,
    "the socket is closed",
  );
  assertThrows(
    () => SO_KEEPALIVE.get(client),
    Deno.errors.BadResource,
    "the socket is closed",
  );
});

test("an object of this library is asked for its number at every use", {
  ffi: true,
}, () => {
  using first = Deno.listen(LOCAL);
  using second = Deno.listen(LOCAL);
  const object = { [DESCRIPTOR]: descriptorOf(first, "Cannot test").fd };
  assertEquals(SO_COOKIE.get(object), SO_COOKIE.get(first));
  object[DESCRIPTOR] = descriptorOf(second, "Cannot test").fd;
  assertEquals(SO_COOKIE.get(object), SO_COOKIE.get(second));
});

test(
  "what is no socket is refused with what would be one",
  { ffi: true },
  () => {
    for (const wrong of [{}, [], new Map(), () => {}]) {
      assertThrows(
        () => SO_COOKIE.get(wrong as never),
        TypeError,
        "it must be a connection, listener",
      );
    }
    for (const wrong of [undefined, null, 3, "127.0.0.1:80"]) {
      assertThrows(
        () => SO_COOKIE.get(wrong as never),
        TypeError,
        "Cannot read SO_COOKIE: the socket is ",
      );
    }
  },
);

test("TLS connections of Deno and node are found by address", {
  ffi: true,
  read: true,
}, async () => {
  const { cert, key } = await certificate();
  using listener = Deno.listenTls({ ...LOCAL, cert, key });
  const [client, server] = await Promise.all([
    Deno.connectTls({
      hostname: "localhost",
      port: listener.addr.port,
      caCerts: [cert],
    }),
    listener.accept().then(async (conn) => (await conn.handshake(), conn)),
  ]);
  try {
    for (const conn of [client, server]) {
      assertEquals(namesOf(conn), [
        nameOf(conn.localAddr as Deno.NetAddr),
        nameOf(conn.remoteAddr as Deno.NetAddr),
      ]);
      assertEquals(SO_KEEPALIVE.set(conn, true), true);
    }
    assertEquals(namesOf(listener), [
      nameOf(listener.addr as Deno.NetAddr),
      undefined,
    ]);
    const { connect } = await import("node:tls");
    const accepted = listener.accept();
    const socket = connect({
      host: "127.0.0.1",
      port: listener.addr.port,
      ca: cert,
      servername: "localhost",
    });
    await Promise.all([
      once(socket, "secureConnect"),
      accepted.then((conn) => conn.handshake()),
    ]);
    assertEquals(namesOf(socket), [
      `127.0.0.1:${socket.localPort}`,
      `127.0.0.1:${listener.addr.port}`,
    ]);
    const closed = (conn: object) =>
      assertThrows(() => SO_KEEPALIVE.get(conn as SocketLike), Deno.errors.BadResource, "the socket is closed");
    socket.destroy();
    closed(socket);
    (await accepted).close();
    await once(socket, "close");
    // The socket lives on, to tell its peer of the end.
    client.close();
    closed(client);
    assertEquals(SO_KEEPALIVE.get(server), true);
  } finally {
    server.close();
  }
});

test("sockets of another Worker do not confuse the search", {
  ffi: true,
  read: true,
}, async () => {
  const code = `
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    postMessage(listener.addr.port);
    onmessage = () => { listener.close(); postMessage("closed"); };
  `;
  const worker = new Worker(
    URL.createObjectURL(new Blob([code], { type: "text/javascript" })),
    { type: "module" },
  );
  const message = () => new Promise<unknown>((resolve) => worker.onmessage = ({ data }) => resolve(data));
  await message();
  using listener = Deno.listen(LOCAL);
  assertEquals(namesOf(listener), [nameOf(listener.addr), undefined]);
  const closed = message();
  worker.postMessage("close");
  await closed;
  worker.terminate();
});

test("an accepted connection that its peer has reset is found as long as it is open", { ffi: true }, async () => {
  const { client, server } = await pair();
  // Deno says goodbye before it closes; unread data make a reset of it all the same.
  await server.write(new Uint8Array(64));
  await until(() => TCP_INFO.get(client).bytesReceived === 64);
  client.close();
  await server.read(new Uint8Array(1)).catch(() => {});
  assertEquals(namesOf({ [DESCRIPTOR]: descriptorOf(server, "Cannot test").fd })[1], undefined, "the peer is gone");
  assertEquals(SO_KEEPALIVE.set(server, true), true);
  server.close();
  assertThrows(() => SO_KEEPALIVE.get(server), Deno.errors.BadResource, "the socket is closed");
});

test("a connection that its peer has reset is found, though nobody noted it, as long as it is open", {
  ffi: true,
  linux: true,
}, async () => {
  for (const closed of [false, true]) {
    const { client, server } = await pair();
    await client.write(new Uint8Array(64));
    await until(() => TCP_INFO.get(server).bytesReceived === 64);
    server.close();
    await client.read(new Uint8Array(1)).catch(() => {});
    if (closed) client.close();
    // Others without a peer are not taken for it.
    using _other = Deno.listen(LOCAL);
    if (closed) {
      assertThrows(() => TCP_INFO.get(client), Deno.errors.BadResource, "the socket is closed");
    } else {
      assertEquals([TCP_INFO.get(client).state, SO_KEEPALIVE.set(client, true)], ["close", true]);
      client.close();
    }
  }
});

test("an object of this library is closed when its number belongs to another socket", { ffi: true }, () => {
  const first = Deno.listen(LOCAL);
  const object = { [DESCRIPTOR]: descriptorOf(first, "Cannot test").fd };
  assertEquals(SO_COOKIE.get(object), SO_COOKIE.get(first));
  first.close();
  const successors: Deno.Listener[] = [];
  try {
    while (!successors.some((one) => descriptorOf(one, "Cannot test").fd === object[DESCRIPTOR])) {
      assert(successors.length < 200, "the number was never used again");
      successors.push(Deno.listen(LOCAL));
    }
    assertThrows(() => SO_KEEPALIVE.set(object, true), Deno.errors.BadResource, "the socket is closed");
  } finally {
    for (const one of successors) one.close();
  }
});

test("a number that is none is refused before the kernel sees it", { ffi: true }, () => {
  for (const fd of [NaN, 1.5, 2 ** 32 + 5]) {
    assertThrows(() => SO_COOKIE.get({ [DESCRIPTOR]: fd }), RangeError, `the descriptor is ${fd}`);
  }
  assertThrows(() => SO_COOKIE.get({ [DESCRIPTOR]: -1 }), Deno.errors.BadResource, "the socket is closed");
});

/** What a program of its own prints, run by a shell that prepares for it, which runs where `around` puts it. */
async function shell(prepare: string, program: string, around: readonly string[] = []): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/program.ts`, program);
    const [command, ...args] = [...around, "sh"];
    const { stdout, stderr } = await new Deno.Command(command!, {
      args: [
        ...args,
        "-c",
        `${prepare}; exec "$0" run -A --no-check --config "$1" "$2"`,
        Deno.execPath(),
        CONFIG,
        `${folder}/program.ts`,
      ],
      env: { NO_COLOR: "1" },
    }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
const CONFIG = new URL("../deno.json", import.meta.url).pathname;
const MOD = JSON.stringify(new URL("../mod.ts", import.meta.url).href);
const SOCKET = JSON.stringify(new URL("../socket/mod.ts", import.meta.url).href);
const SHELL = { ffi: true, run: ["sh"], read: true, write: true, linux: true } as const;

test("a socket is found where few descriptors are allowed", SHELL, async () => {
  const out = await shell(
    "ulimit -n 200",
    `import { SO_TYPE } from ${MOD};
    console.log(SO_TYPE.get(Deno.listen({ hostname: "127.0.0.1", port: 0 })));
    Deno.exit();`,
  );
  assertEquals(out, "1\n");
});

test(
  "a kernel without SO_COOKIE is said to be one, and no socket to be closed",
  { ...OTHER_PROGRAM, linux: true },
  async () => {
    const { output } = await runWith(
      ["--allow-net", "--allow-ffi"],
      `
    const real = Deno.dlopen;
    Deno.dlopen = (path, symbols) => {
      const library = real(path, symbols);
      const { getsockopt } = library.symbols;
      // A number that no kernel knows in place of SO_COOKIE.
      const asked = (fd, level, name, ...rest) => getsockopt(fd, level, level === 1 && name === 57 ? 9999 : name, ...rest);
      return { close: () => library.close(), symbols: { ...library.symbols, ...(getsockopt && { getsockopt: asked }) } };
    };
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    for (const socket of [listener, { [options.DESCRIPTOR]: 0 }]) {
      try { options.TCP_NODELAY.get(socket); } catch (error) { say(error); }
    }`,
    );
    assertEquals(output.split("\n"), [
      "NotSupported: Cannot tell sockets apart: this kernel has no SO_COOKIE, which Linux has since 4.12",
      "BadResource: Cannot read TCP_NODELAY: the socket is closed",
    ]);
  },
);

test("sockets are found where no /proc tells how many descriptors there can be", {
  ...SHELL,
  root: true,
  run: ["unshare", "sh", "mount"],
}, async () => {
  const out = await shell(
    "mount -t tmpfs none /proc",
    `import { findSocket, Socket } from ${SOCKET};
    const sockets = Array.from({ length: 3000 }, () => {
      const socket = Socket.open("inet", "dgram");
      socket.bind({ hostname: "127.0.0.1", port: 0 });
      return socket;
    });
    console.log(sockets.every((one, i) => i % 100 > 0 || findSocket({ localAddr: one.localAddr }).fd === one.fd));
    Deno.exit();`,
    ["unshare", "--mount"],
  );
  assertEquals(out, "true\n");
});

test("sockets are found whose numbers are higher than those of new ones may be", {
  ...SHELL,
  run: ["sh", "prlimit"],
}, async () => {
  const out = await shell(
    ":",
    `import { listSockets, Socket } from ${SOCKET};
    const [first, ...others] = Array.from({ length: 100 }, () => Socket.open("inet", "dgram"));
    await new Deno.Command("prlimit", { args: ["--pid", String(Deno.pid), "--nofile=40:40"] }).output();
    first.close();
    const fds = new Set(listSockets().map((one) => one.fd));
    console.log(others.every((one) => fds.has(one.fd)), others.at(-1).fd > 100);
    Deno.exit();`,
  );
  assertEquals(out, "true true\n");
});

test("sockets of this library that share an address are told apart, whatever was touched before", SHELL, async () => {
  const out = await shell(
    ":",
    `import { bindUdp, SO_COOKIE } from ${MOD};
    const first = bindUdp({ hostname: "127.0.0.1", reuseAddress: true });
    const second = bindUdp({ hostname: "127.0.0.1", reuseAddress: true, port: first.addr.port });
    console.log(SO_COOKIE.get(first) !== SO_COOKIE.get(second));
    Deno.exit();`,
  );
  assertEquals(out, "true\n");
});

test("what another thread may close is used with a descriptor to spare, else the error says so", SHELL, async () => {
  const out = await shell(
    "ulimit -n 200",
    `import { SO_KEEPALIVE } from ${MOD};
    import { findSocket } from ${SOCKET};
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const one = findSocket({ localAddr: listener.addr });
    console.log(SO_KEEPALIVE.set(one, true));
    const files = [];
    try {
      for (;;) files.push(Deno.openSync(Deno.execPath()));
    } catch {
      try {
        SO_KEEPALIVE.set(one, false);
      } catch (error) {
        console.log(error.code, error.message);
      }
    }
    // What has no number of its own to lose is used as it is.
    console.log(SO_KEEPALIVE.get(listener));
    files.pop().close();
    console.log(SO_KEEPALIVE.set(one, false));
    Deno.exit();`,
  );
  assertEquals(out.split("\n"), [
    "true",
    "EMFILE Cannot set SO_KEEPALIVE: EMFILE (too many open files); a socket that another thread may close needs a free " +
    "descriptor for the time of a call",
    "true",
    "false",
    "",
  ]);
});
