/**
 * Servers that share a listener or hand connections on. Each says where it listens, and of each connection the truth about
 * the end that was accepted, with the process that has called accept(2); who closes the connection does so when the client
 * has closed.
 */
import { fileURLToPath } from "node:url";
import { awaitGo, say } from "./actor_io.ts";
import { receiveDescriptor, sendDescriptors, unixPair } from "./in_flight.ts";
import { Listener, Peer, self } from "./peer.ts";
import { IPPROTO_MPTCP } from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";

export const servers: Readonly<Record<string, (...args: string[]) => unknown>> = {
  /** Hands each connection to a process that is older than the listener. */
  "hand-to-older": async () => {
    const [own, others] = unixPair();
    const older = startOne("take-handed", others);
    await older.ready();
    const listener = new Listener("127.0.0.1");
    say({ port: listener.port, pid: self().pid, closer: older.pid });
    for (;;) {
      const server = listener.acceptBlocking();
      sendDescriptors(own, [server.fd]);
      server.close();
      say(server.truth);
    }
  },
  "take-handed": () => {
    say("ready");
    for (let fd = receiveDescriptor(GIVEN); fd !== null; fd = receiveDescriptor(GIVEN)) drain(fd);
    process.exit(0);
  },

  /** Two workers accept in turn from one listener, which their parent keeps open. */
  "two-workers": async () => {
    const listener = new Listener("127.0.0.1");
    const workers = [0, 1].map(() => startOne("accept-when-told", listener.fd));
    for (const worker of workers) await worker.ready();
    say({ port: listener.port, pids: workers.map(({ pid }) => pid) });
    for (let n = 0; awaitGo(); n++) {
      const worker = workers[n % workers.length]!;
      worker.go();
      say(await worker.hear());
    }
    process.exit(0);
  },
  "accept-when-told": () => {
    say("ready");
    while (awaitGo()) {
      const server = new Peer(libc.accept4(GIVEN, 0), "accept");
      say(server.truth);
      drain(server.fd);
    }
    process.exit(0);
  },

  /** A child for each connection, which alone has it from then on. */
  "child-for-each": () => {
    const listener = new Listener("127.0.0.1");
    say({ port: listener.port, pid: self().pid });
    while (awaitGo()) {
      const server = listener.acceptBlocking();
      const child = startOne("drain-given", server.fd);
      server.close();
      say({ ...server.truth, closer: child.pid });
    }
    process.exit(0);
  },
  "drain-given": () => {
    drain(GIVEN);
    process.exit(0);
  },

  /** Listens by MPTCP, answers each connection with so many bytes, reads it to the end and closes it, or exits with it. */
  mptcp: (answer, end) => {
    const listener = new Listener("127.0.0.1", 0, 64, IPPROTO_MPTCP);
    say({ port: listener.port });
    for (;;) {
      const server = listener.acceptBlocking();
      server.write(Number(answer));
      server.readToEnd();
      say(server.truth);
      if (end === "exit") process.exit(0);
      server.close();
    }
  },

  /** Listens, accepts, reads to the end and exits with both sockets open. */
  "accept-and-exit": () => {
    const listener = new Listener("127.0.0.1");
    say({ port: listener.port });
    const server = listener.acceptBlocking();
    server.readToEnd();
    say(server.truth);
    process.exit(0);
  },
};

// --- internal ---

/** The descriptor that a started process gets. */
const GIVEN = 3;

/** Reads until the client has closed, and closes. */
function drain(fd: number): void {
  const bytes = new Uint8Array(64);
  while (libc.recv(fd, bytes, 0) > 0);
  libc.close(fd);
}

function startOne(name: string, fd: number) {
  const actor = fileURLToPath(new URL("actor.ts", import.meta.url));
  const child = Bun.spawn([process.execPath, actor, name], {
    stdio: ["pipe", "pipe", "inherit", fd],
    env: { ...process.env, BUN_BE_BUN: "1" },
  });
  const reader = child.stdout.getReader();
  let text = "";
  const hear = async (): Promise<unknown> => {
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`${name} said nothing`);
      text += new TextDecoder().decode(value);
    }
    const end = text.indexOf("\n");
    const line = text.slice(0, end);
    text = text.slice(end + 1);
    return JSON.parse(line);
  };
  return {
    pid: child.pid,
    hear,
    ready: hear,
    go: () => {
      void child.stdin.write("go\n");
      void child.stdin.flush();
    },
  };
}
