/**
 * A process of its own that drives connections: `bun actor.ts NAME ARGUMENTS`. Prints JSON lines, waits for a line on
 * stdin where it must keep still. actors.ts starts it. To add one: a name and a function in the table.
 */
import { writeFileSync, writeSync } from "node:fs";
import * as k from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { ofOwnThread } from "../../../src/kernel/own_thread.ts";
import { sockaddr } from "../../../src/kernel/sockaddr.ts";
import { awaitGo, say } from "./actor_io.ts";
import { Attempt, refusing } from "./attempt.ts";
import { Udp } from "./datagrams.ts";
import { startBriefThread } from "./brief_thread.ts";
import { startLoneThread } from "./lone_thread.ts";
import { servers } from "./servers.ts";
import { linuxAtLeast, type Mode } from "./modes.ts";
import {
  type Pair,
  Listener,
  Peer,
  type Truth,
  check,
  dial,
  familyOf,
  pair,
  self,
  transfer,
} from "./peer.ts";

const actors: Readonly<Record<string, (...args: string[]) => unknown>> = {
  /** Connects, writes and exits with the socket open. */
  "connect-and-exit": (port, bytes) => {
    const client = dial("127.0.0.1", Number(port));
    client.write(Number(bytes));
    say(client.truth);
    process.exit(0);
  },

  /** The same in another control group, for another user. */
  "connect-as": (port, uid, group) => {
    become(uid!, group!);
    const client = dial("127.0.0.1", Number(port));
    say(client.truth);
    process.exit(0);
  },

  /** Sends a datagram from there, and exits. */
  "datagram-as": (mode, port, uid, group) => {
    become(uid!, group!);
    const client = new Udp("127.0.0.1").connect({ address: "127.0.0.1", port: Number(port) });
    client.send(47);
    say(client.truths(mode as Mode)[0]);
    process.exit(0);
  },

  /** Two sockets of its own exchange datagrams, as fast as it goes. */
  chatter: (mode, count) => {
    const one = new Udp("127.0.0.1");
    const other = new Udp("127.0.0.1").connect(one.local);
    one.connect(other.local);
    say(self());
    awaitGo();
    for (let i = 0; i < Number(count); i++) {
      one.send(7);
      other.receive();
      other.send(11);
      one.receive();
    }
    for (const end of [one, other]) end.close();
    say([one, other].flatMap((end) => end.truths(mode as Mode)));
    awaitGo();
  },

  /** Connects to itself, exchanges a little and closes both ends, again and again, as fast as it goes. */
  redialer: (count) => {
    const listener = new Listener("127.0.0.1");
    say({ ...self(), port: listener.port });
    awaitGo();
    for (let i = 0; i < Number(count); i++) {
      const client = dial(listener.address, listener.port);
      const server = listener.accept();
      transfer(client, server, 7);
      transfer(server, client, 11);
      client.close();
      server.close();
    }
    say({});
    awaitGo();
  },

  /** Accepts two connections there, and keeps both until it is told. */
  "accept-as": (uid, group) => {
    become(uid!, group!);
    const listener = new Listener("127.0.0.1");
    say({ port: listener.port });
    const servers = [listener.accept(), listener.accept()];
    say(servers.map(({ truth }) => truth));
    awaitGo();
    for (const server of servers) server.close();
  },

  /** Is refused, and exits at once. */
  "refused-and-exit": (port) => {
    const attempt = new Attempt("127.0.0.1", Number(port));
    if (attempt.connect() !== -k.ECONNREFUSED) throw new Error("not refused");
    say(attempt.failedWith("ECONNREFUSED"));
    process.exit(0);
  },

  /** Leaves a SYN under way to a child that only keeps the socket, and exits. */
  "connect-and-leave": (port) => {
    const attempt = new Attempt("127.0.0.1", Number(port), { nonblock: true, retries: 1 });
    if (attempt.connect() !== -k.EINPROGRESS) throw new Error("not under way");
    const child = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore", attempt.fd] });
    say({ child: child.pid, truth: attempt.failedWith("ETIMEDOUT") });
    process.exit(0);
  },

  /** Hangs in connect(2). */
  "block-in-connect": (port) => {
    const attempt = new Attempt("127.0.0.1", Number(port));
    say(attempt.failedWith("ECANCELED"));
    attempt.connect();
  },

  /** In a namespace that has loopback and nothing else: destinations to which there is no route. */
  "no-route": () => {
    enterNetns();
    const remotes = [
      { address: "203.0.113.7", port: 7001, family: 4 },
      { address: "2001:db8::7", port: 7002, family: 6 },
      { address: "::ffff:203.0.113.8", port: 7003, family: 4 },
    ];
    for (const { address, port } of remotes) {
      const fd = check(libc.socket(familyOf(address), k.SOCK_STREAM, 0), "socket");
      const result = libc.connect(fd, sockaddr(address, port));
      if (result !== -k.ENETUNREACH) throw new Error(`connect: ${libc.errnoName(result)}`);
    }
    say({ ...self(), remotes });
    awaitGo();
  },

  /** An established connection whose network goes away. */
  starved: () => {
    enterNetns();
    const { client, server } = pair();
    client.write(101);
    server.read(101);
    client.awaitInfo("idle", (info) => info.unacked === 0);
    client.set(k.SOL_TCP, k.TCP_USER_TIMEOUT, 500);
    check(libc.bringInterfaceDown("lo"), "lo");
    client.write(103);
    client.awaitInfo("the timeout", (info) => info.state === k.TCP_CLOSE);
    client.close();
    check(libc.bringInterfaceUp("lo"), "lo");
    server.close();
    say([{ ...client.truth, failure: "ETIMEDOUT" }, server.truth]);
    awaitGo();
  },

  /** Refused and successful connections, evenly and not faster than a ring can take. */
  churn: (count) => {
    const refused = refusing("127.0.0.1");
    const listener = new Listener("127.0.0.1", 0, 128);
    say(self());
    awaitGo();
    churn(Number(count), refused.port, listener, () => say({ done: Number(count) }));
  },

  /** Says its port, then hangs in accept(2), then in read until the end of the stream. */
  "block-in-accept": () => {
    const listener = new Listener("127.0.0.1");
    say({ ...self(), port: listener.port });
    const server = listener.acceptBlocking();
    server.readToEnd();
    server.close();
    say(server.truth);
  },

  /** Says its port, then hangs in recvfrom(2), twice, with room for so many bytes. */
  "block-in-receive": (mode, room) => {
    const server = new Udp("127.0.0.1");
    say({ port: server.local.port });
    for (let i = 0; i < 2; i++) server.receiveBlocking(Number(room));
    server.close();
    say(server.truths(mode as Mode)[0]);
  },

  /** Accepts in a thread whose descriptors the first thread does not have: see lone_thread.ts. */
  "lone-thread": startLoneThread,

  /** Connects from a thread that has a name of its own at times: see brief_thread.ts. */
  "brief-thread": startBriefThread,

  ...servers,

  /** Says its port, accepts, and hangs in one read that waits for so many bytes. */
  "block-in-waitall": (bytes) => {
    const listener = new Listener("127.0.0.1");
    say({ ...self(), port: listener.port });
    const server = listener.acceptBlocking();
    const got = libc.recv(server.fd, new Uint8Array(Number(bytes)), k.MSG_WAITALL);
    server.truth.received += check(got, "recv");
    say({ got });
    server.readToEnd();
    server.close();
    say(server.truth);
  },

  /** Opens a connection, hands it to a child process, closes its own descriptor, and tells when the child is done. */
  "hand-to-child": (port, bytes) => {
    const client = dial("127.0.0.1", Number(port));
    client.write(Number(bytes));
    const child = Bun.spawn([process.execPath, import.meta.path, "write-inherited", bytes!], {
      stdio: ["pipe", "pipe", "inherit", client.fd],
      env: { ...process.env, BUN_BE_BUN: "1" },
    });
    client.close();
    client.truth.sent += Number(bytes);
    say(client.truth);
    awaitGo();
    void child.stdin.write("go\n");
    void child.stdin.end();
    void child.exited.then((code) => say({ code }));
  },

  /** The child of hand-to-child: the connection is its descriptor 3. */
  "write-inherited": (bytes) => {
    awaitGo();
    check(libc.send(3, new Uint8Array(Number(bytes)), k.MSG_NOSIGNAL), "send");
    process.exit(0);
  },

  /** Many connections to itself; as many at a time as a listener's queue holds on every kernel. */
  storm: (count) => say(storm(Number(count), new Listener("127.0.0.1", 0, 128))),

  /** The same when told. Its listener is there before, and its port is said. */
  "storm-on-go": (count) => {
    const listener = new Listener("127.0.0.1", 0, 128);
    say({ ...self(), port: listener.port });
    awaitGo();
    say(storm(Number(count), listener));
  },

  /** One connection, whose both ends it keeps until it is told. */
  "pair-on-go": () => {
    say(self());
    awaitGo();
    const { client, server } = pair();
    say([client, server].map(({ truth }) => truth));
    awaitGo();
    for (const end of [client, server]) end.close();
    say([client, server].map(({ truth }) => truth));
    awaitGo();
  },

  /** Connections at a steady rate, for as long as it lives. */
  traffic: (perSecond) => {
    const listener = new Listener("127.0.0.1", 0, 128);
    say({ ...self(), port: listener.port });
    let made = 0;
    const start = performance.now();
    setInterval(() => {
      const due = ((performance.now() - start) / 1000) * Number(perSecond);
      for (let batch = 0; made < due && batch < 200; made++, batch++) {
        const client = dial("127.0.0.1", listener.port);
        const server = listener.accept();
        client.write(13);
        client.close();
        server.close();
      }
    }, 5);
    process.on("SIGTERM", () => {
      say({ made, perSecond: made / ((performance.now() - start) / 1000) });
      process.exit(0);
    });
  },

  /** The same two ports as the caller's, in a network namespace of its own. */
  "own-netns": (listenPort, clientPort) => {
    enterNetns();
    const listener = new Listener("127.0.0.1", Number(listenPort));
    const client = dial("127.0.0.1", listener.port, { port: Number(clientPort) });
    const server = listener.accept();
    client.write(307);
    server.read(307);
    say([client.truth, server.truth]);
    awaitGo();
    client.close();
    server.close();
  },

  /** By another name, in the caller's network namespace (`shared`) or one of its own: a connection each time it is told to go. */
  stranger: (name, namespace) => {
    writeFileSync(ofOwnThread("comm"), name!);
    if (namespace !== "shared") enterNetns();
    say(self());
    while (awaitGo()) {
      const { client, server } = pair();
      client.close();
      server.close();
      say([client.truth, server.truth]);
    }
  },

  /** Data in the SYN, both ways of asking for it. In a namespace of its own, because it needs a sysctl. */
  "fast-open": () => {
    // Before 4.15 the setting is not a namespace's own, and stands in the first namespace alone.
    const isOwn = linuxAtLeast(4, 15);
    if (isOwn) enterNetns();
    // Client and server on, data in the SYN without a cookie, every listener.
    writeFileSync("/proc/sys/net/ipv4/tcp_fastopen", String(1 | 2 | 4 | 0x200 | 0x400));
    if (!isOwn) enterNetns();
    const listener = new Listener("127.0.0.1");
    check(libc.setsockoptInt(listener.fd, k.SOL_TCP, k.TCP_FASTOPEN, 16), "TCP_FASTOPEN");
    const pairs = [fastOpenBySendto(listener)];
    if (linuxAtLeast(4, 11)) pairs.push(fastOpenByConnect(listener));
    for (const { client, server } of pairs) {
      server.read(client.truth.sent);
      const TCPI_OPT_SYN_DATA = 32;
      const acknowledged = client.awaitInfo(
        "the data's acknowledgement",
        (info) => info.unacked === 0,
      );
      if (!(acknowledged.options! & TCPI_OPT_SYN_DATA)) throw new Error("no data was in the SYN");
      client.close();
      server.close();
    }
    say(pairs.flatMap(({ client, server }) => [client.truth, server.truth]));
  },

  /** One long stream, thrown away in the kernel as it arrives. Writer and reader are two processes. */
  "stream-writer": (port, bytes) => {
    const client = dial("127.0.0.1", Number(port));
    const pipe = libc.pipe2(k.O_CLOEXEC);
    if (typeof pipe === "number") throw new Error(libc.errnoName(pipe));
    // A piece must fit the pipe: nobody empties it while it is being filled.
    const data = new Uint8Array(check(libc.fcntl(pipe[1], k.F_SETPIPE_SZ, 1 << 20), "pipe size"));
    // Every other piece by splice, so that both ways into the socket carry their share.
    for (let i = 0; client.truth.sent < Number(bytes); i++) {
      const piece = data.subarray(0, Math.min(Number(bytes) - client.truth.sent, data.length));
      client.truth.sent +=
        i % 2 === 0
          ? check(libc.send(client.fd, piece, 0), "send")
          : throughPipe(pipe, client.fd, piece);
    }
    client.close();
    say(client.truth);
  },

  "stream-reader": () => {
    const listener = new Listener("127.0.0.1");
    say({ port: listener.port });
    const server = listener.acceptBlocking();
    for (;;) {
      const r = check(libc.recv(server.fd, null, k.MSG_TRUNC, 1 << 30), "recv");
      if (r === 0) break;
      server.truth.received += r;
    }
    server.close();
    say(server.truth);
  },

  /** Bun's own sockets: a server that answers HTTP by hand, and counts. */
  "http-server": () => {
    const body = "x".repeat(104_729);
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
    const answer = Buffer.from(head + body);
    const server = Bun.listen<{ received: number; sent: number; asked: string }>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open(socket) {
          socket.data = { received: 0, sent: 0, asked: "" };
        },
        data(socket, chunk) {
          socket.data.received += chunk.length;
          socket.data.asked += chunk.toString("latin1");
          if (socket.data.asked.endsWith("\r\n\r\n")) flush(socket);
        },
        drain: (socket) => flush(socket),
        close(socket) {
          say({ sent: socket.data.sent, received: socket.data.received });
        },
      },
    });
    function flush(socket: import("bun").Socket<{ received: number; sent: number }>): void {
      socket.data.sent += socket.write(answer.subarray(socket.data.sent));
      if (socket.data.sent === answer.length) socket.end();
    }
    say({ ...self(), port: server.port });
  },

  "http-client": async (port) => {
    const body = await (await fetch(`http://127.0.0.1:${port}/`, { keepalive: false })).text();
    say({ ...self(), length: body.length });
  },

  /** Sends a datagram, then has a child send another through the same socket, and closes it when told. */
  "datagrams-with-child": (port, bytes) => {
    const client = new Udp("127.0.0.1").connect({ address: "127.0.0.1", port: Number(port) });
    client.send(Number(bytes));
    const child = Bun.spawn([process.execPath, import.meta.path, "write-inherited", bytes!], {
      stdio: ["pipe", "pipe", "inherit", client.fd],
      env: { ...process.env, BUN_BE_BUN: "1" },
    });
    client.sent({ address: "127.0.0.1", port: Number(port) }, Number(bytes), 1);
    say([...client.flows.values()][0]);
    void child.stdin.write("go\n");
    void child.stdin.end();
    void child.exited.then((code) => {
      say({ code });
      awaitGo();
      client.close();
    });
  },

  "datagram-and-exit": (port, bytes) => {
    const client = new Udp("127.0.0.1").connect({ address: "127.0.0.1", port: Number(port) });
    client.send(Number(bytes));
    say([...client.flows.values()][0]);
    process.exit(0);
  },

  /** The same two ports as the caller's, in a network namespace of its own. */
  "datagram-in-netns": (mode, serverPort, clientPort, bytes) => {
    enterNetns();
    const server = new Udp("127.0.0.1", { port: Number(serverPort) });
    const client = new Udp("127.0.0.1", { port: Number(clientPort) }).connect(server.local);
    client.send(Number(bytes));
    server.receive();
    client.close();
    server.close();
    say([client, server].flatMap((sock) => sock.truths(mode as Mode)));
  },

  /** Many sockets, each of which sends one datagram to the same server. */
  "datagram-storm": (count) => {
    const server = new Udp("127.0.0.1");
    let sent = 0;
    for (let i = 0; i < Number(count); i++) {
      const client = new Udp("127.0.0.1").connect(server.local);
      client.send((i % 97) + 1);
      client.close();
      sent += (i % 97) + 1;
      server.receive();
    }
    server.close();
    say({ port: server.local.port, sent, ends: server.flows.size });
  },

  /** Runs a command in a namespace of its own: `in-netns lo|nolo v6|nov6 COMMAND ARGUMENTS`. */
  "in-netns": (lo, v6, ...command) => {
    check(libc.unshare(k.CLONE_NEWNET), "unshare");
    if (v6 === "nov6") writeFileSync("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    if (lo === "lo") check(libc.bringInterfaceUp("lo"), "lo");
    const { BUN_BE_BUN: _, ...env } = process.env;
    const child = Bun.spawn(command, { stdio: ["inherit", "inherit", "inherit"], env });
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.on(signal, () => child.kill(signal));
    void child.exited.then((code) => {
      writeSync(2, `afterwards lo is ${libc.interfaceIsUp("lo") === true ? "up" : "down"}\n`);
      process.exit(code);
    });
  },
};

const [name, ...args] = process.argv.slice(2);
actors[name!]!(...args);

// --- internal ---

function storm(count: number, listener: Listener): Truth[] {
  const truths: Truth[] = [];
  for (let left = count; left > 0; left -= 100) {
    const clients = Array.from({ length: Math.min(left, 100) }, () =>
      dial("127.0.0.1", listener.port),
    );
    const servers = clients.map(() => listener.accept());
    for (const [i, client] of clients.entries()) client.write(i + 1);
    for (const peer of [...clients, ...servers]) peer.close();
    truths.push(...[...clients, ...servers].map((peer) => peer.truth));
  }
  return truths;
}

/** Each pair of connections leaves no TIME_WAIT behind, so that the ports never run out. */
function churn(count: number, refusing: number, listener: Listener, done: () => void): void {
  const start = performance.now();
  let made = 0;
  const timer = setInterval(() => {
    const due = Math.min(count, ((performance.now() - start) / 1000) * CHURN_PER_SECOND);
    for (let batch = 0; made < due && batch < 100; made++, batch++) {
      const fd = check(libc.socket(k.AF_INET, k.SOCK_STREAM, 0), "socket");
      if (libc.connect(fd, loopback(refusing)) !== -k.ECONNREFUSED) throw new Error("not refused");
      libc.close(fd);
      const client = check(libc.socket(k.AF_INET, k.SOCK_STREAM, 0), "socket");
      check(libc.connect(client, loopback(listener.port)), "connect");
      const server = check(libc.accept4(listener.fd, k.SOCK_CLOEXEC), "accept4");
      abort(client);
      libc.close(server);
    }
    if (made < count) return;
    clearInterval(timer);
    done();
  }, 5);
}

/** Each pair is five events, which the test has to read. */
const CHURN_PER_SECOND = 2_000;

function abort(fd: number): void {
  check(
    libc.setsockopt(fd, k.SOL_SOCKET, k.SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer)),
    "SO_LINGER",
  );
  libc.close(fd);
}

function become(uid: string, group: string): void {
  writeFileSync(`${group}/cgroup.procs`, String(process.pid));
  process.setuid!(Number(uid));
}

function enterNetns(): void {
  check(libc.unshare(k.CLONE_NEWNET), "unshare");
  check(libc.bringInterfaceUp("lo"), "lo");
}

function throughPipe([from, to]: [number, number], socket: number, data: Uint8Array): number {
  const taken = check(libc.write(to, data), "write to the pipe");
  for (let left = taken; left > 0;)
    left -= check(libc.splice(from, socket, left, k.SPLICE_F_MORE), "splice to the socket");
  return taken;
}

function fastOpenBySendto(listener: Listener): Pair {
  const fd = check(libc.socket(k.AF_INET, k.SOCK_STREAM, 0), "socket");
  const sent = check(
    libc.sendto(fd, new Uint8Array(499), k.MSG_FASTOPEN, loopback(listener.port)),
    "sendto with MSG_FASTOPEN",
  );
  return opened(fd, sent, listener);
}

function fastOpenByConnect(listener: Listener): Pair {
  const fd = check(libc.socket(k.AF_INET, k.SOCK_STREAM, 0), "socket");
  check(libc.setsockoptInt(fd, k.SOL_TCP, k.TCP_FASTOPEN_CONNECT, 1), "TCP_FASTOPEN_CONNECT");
  check(libc.connect(fd, loopback(listener.port)), "connect");
  return opened(fd, check(libc.send(fd, new Uint8Array(503), 0), "send"), listener);
}

function opened(fd: number, sent: number, listener: Listener): Pair {
  const server = listener.accept();
  const client = new Peer(fd, "connect");
  client.truth.sent = sent;
  return { client, server };
}

function loopback(port: number): Uint8Array {
  return sockaddr("127.0.0.1", port);
}
