/** An `accept` is of the process that called accept(2), whoever has the connection afterwards. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Actor } from "./drive/actors.ts";
import { linuxAtLeast, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { PATIENCE_MS } from "./drive/tracer.ts";
import { flushed, traced } from "./drive/traced.ts";

setDefaultTimeout(180_000);

/** Without the walk over the files of all processes an acceptor may be unknown; in an emulated guest each walk takes long. */
const guest = process.env["VM_KERNEL"] !== undefined;
const walks = !guest && linuxAtLeast(5, 11) && existsSync("/sys/kernel/btf/vmlinux");

const CONNECTIONS = 4;

interface Server {
  port: number;
  closer?: number;
}

type Accepted = peer.Truth & { closer?: number };

describe.each(modes)("trace --attach %s", (mode) => {
  const our = traced(mode);

  /** Connects, and closes at once or, each second time, when the accept has been noticed. Returns the pids of the lines. */
  async function serve(server: Actor, port: number, n: number) {
    const client = peer.dial("127.0.0.1", port);
    server.go();
    const accepted = await server.hear<Accepted>();
    if (n % 2 === 1) await flushed(our.tracer);
    client.close();
    const { pid } = await our.tracer.take("accept", accepted);
    const close = await our.tracer.take("close", accepted);
    await our.tracer.take("connect", client.truth);
    await our.tracer.take("close", client.truth);
    return { accepted, pid, closedBy: close.pid };
  }

  /**
   * Never another process. A busy machine has no time for a look at all processes at each accept, and without one the acceptor
   * may be unknown. So there are more connections until `CONNECTIONS` of them have been named.
   */
  async function untilNamed(each: (n: number) => Promise<{ pid: number | null; right: number }>) {
    let named = 0;
    const end = performance.now() + 3 * PATIENCE_MS;
    for (let n = 0; n < CONNECTIONS || (walks && named < CONNECTIONS); n++) {
      const { pid, right } = await each(n);
      if (mode === "kprobe") expect(pid).toBe(right);
      else expect([right, null]).toContain(pid);
      if (pid !== null) named++;
      if (performance.now() > end) break;
    }
    if (walks) expect(named).toBeGreaterThanOrEqual(CONNECTIONS);
  }

  test.each(["hand-to-older", "child-for-each"])(
    "a connection that somebody else has and closes is its acceptor's: %s",
    async (how) => {
      const server = our.actor(how);
      const { port, closer: older } = await server.hear<Server>();
      await untilNamed(async (n) => {
        const { accepted, pid, closedBy } = await serve(server, port, n);
        expect(closedBy).toBe(mode === "kprobe" ? server.pid : (older ?? accepted.closer!));
        return { pid, right: server.pid };
      });
    },
  );

  test("of processes that share a listener the one that accepted is named", async () => {
    const server = our.actor("two-workers");
    const { port, pids } = await server.hear<Server & { pids: number[] }>();
    // The workers are known to hold the listener.
    await flushed(our.tracer);
    await untilNamed(async (n) => {
      const { accepted, pid } = await serve(server, port, n);
      expect(accepted.pid).toBe(pids[n % 2]!);
      return { pid, right: accepted.pid };
    });
  });

  test("a server that accepts and exits at once is named", async () => {
    await untilNamed(async () => {
      const server = our.actor("accept-and-exit");
      const { port } = await server.hear<Server>();
      const client = peer.dial("127.0.0.1", port);
      client.close();
      const accepted = await server.hear<peer.Truth>();
      const { pid } = await our.tracer.take("accept", accepted);
      expect((await our.tracer.take("close", accepted)).pid).toBe(server.pid);
      await our.tracer.take("connect", client.truth);
      await our.tracer.take("close", client.truth);
      return { pid, right: server.pid };
    });
  });
});
