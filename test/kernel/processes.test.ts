/** `trace` and processes: who opened a connection, in which namespace, and programs that do not know the test. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Actor } from "./drive/actors.ts";
import { expectClosed, expectConnection, expectListed, expectOpened } from "./drive/expect.ts";
import { loseInFlight } from "./drive/in_flight.ts";
import { loseInRing } from "./drive/ring.ts";
import { linuxAtLeast, lists, many, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { flushed, traced } from "./drive/traced.ts";
import { eventually } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

/** FULL=1 adds what is too slow for an emulated guest. */
const full = process.env["FULL"] === "1";
const AT_ONCE = many(997, 503);

describe.each(modes)("trace --attach %s", (mode) => {
  let acceptor: Actor;
  let blocked: { port: number; pid: number };
  let older: peer.Pair;
  const our = traced(mode, async () => {
    older = peer.pair();
    acceptor = our.actor("block-in-accept");
    blocked = await acceptor.hear();
    peer.until("accept(2)", () => isBlockedInAccept(blocked.pid));
  });

  test("an accept that was waiting before the trace began is reported", async () => {
    expect(isBlockedInAccept(blocked.pid)).toBe(true);
    const client = peer.dial("127.0.0.1", blocked.port);
    client.write(1013);
    client.close();
    await expectConnection(our.tracer, client);
    await expectConnection(our.tracer, await acceptor.hear<peer.Truth>());
  });

  test("a process that connects, writes and exits is named", async () => {
    const listener = new peer.Listener("127.0.0.1");
    const child = our.actor("connect-and-exit", listener.port, 1021);
    const client = await child.hear<peer.Truth>();
    const server = listener.accept();
    server.readToEnd();
    server.close();
    listener.close();
    expect(client).toMatchObject({ pid: child.pid, sent: 1021 });
    await expectConnection(our.tracer, client);
    await expectConnection(our.tracer, server);
  });

  test("a connection handed to a child is closed once, at its last close, for its opener", async () => {
    const listener = new peer.Listener("127.0.0.1");
    const child = our.actor("hand-to-child", listener.port, 1031);
    const client = await child.hear<peer.Truth>();
    const server = listener.accept();
    server.read(1031);
    await expectOpened(our.tracer, client);
    await flushed(our.tracer);
    expect(
      our.tracer.unclaimed(
        (event) => event.event === "close" && event.remote.port === listener.port,
      ),
    ).toEqual([]);
    child.go();
    server.readToEnd();
    server.close();
    listener.close();
    expect(await child.hear<{ code: number }>()).toEqual({ code: 0 });
    expect(server.truth.received).toBe(2062);
    await expectClosed(our.tracer, client);
    await expectConnection(our.tracer, server);
  });

  test.each(["own-table", "first-gone"])(
    "an accept is its process's where the first thread has not the descriptor: %s",
    async (why) => {
      const child = our.actor("lone-thread", why);
      const { port } = await child.hear<{ port: number }>();
      const isFirst = mode === "tracepoint" && why === "first-gone";
      const named = [commOf(child.pid), isFirst ? undefined : "Worker"];
      let tries = 0;
      // All of /proc is searched once a second: before, the owner of the other test's accept was looked for.
      const owner = await eventually("accept with its process", async () => {
        if (tries++ > 0) child.go();
        const client = peer.dial("127.0.0.1", port);
        const server = await child.hear<peer.Truth>();
        const { pid, comm, thread } = await our.tracer.take("accept", server);
        client.close();
        child.go();
        await expectConnection(our.tracer, client);
        await expectClosed(our.tracer, server);
        return pid !== null && [pid, comm, thread];
      });
      expect(owner).toEqual([child.pid, ...named]);
    },
  );

  // Before 4.8 only /proc tells, of a process that is gone by then.
  test.skipIf(!linuxAtLeast(4, 8))(
    "a thread with its process' name is its process, also when that is gone; another name is the thread's",
    async () => {
      const listener = new peer.Listener("127.0.0.1");
      const names = ["ab", "exactly8", "nine long", "fifteen-letters"].flatMap((first) => [
        { first, own: first },
        { first, own: `${first.slice(0, -1)}z` },
      ]);
      const child = our.actor("brief-thread", listener.port, JSON.stringify(names));
      for (const { first, own } of names) {
        const truth = await child.hear<peer.Truth>();
        const { comm, thread } = await our.tracer.take("connect", truth);
        // The first thread may have another name, or be gone, when it is asked for.
        expect(thread ?? comm).toBe(own);
        expect(thread === undefined).toBe(own === first);
        // The process is gone when this line is made: the kernel side has noted the name.
        if (own === names.at(-1)!.own) expect(comm).toBe(first);
        await our.tracer.take("close", truth);
      }
      listener.close();
    },
  );

  test("what the kernel closes is no kworker's: it is its opener's, or nobody's", async () => {
    const { client, server } = peer.pair();
    await expectOpened(our.tracer, client.truth);
    const accepted = await expectOpened(our.tracer, server.truth);
    const olderEnds = [older.client, older.server];
    // Nothing listens on its port any more: before 4.19 no counter tells who connected.
    const counted = { sure: linuxAtLeast(4, 19) };
    if (lists(mode)) for (const end of olderEnds) await expectListed(our.tracer, end, counted);
    loseInFlight([client, server, older.client, older.server].map(({ fd }) => fd));
    const closeOf = ({ truth }: peer.Peer) => our.tracer.take("close", truth);
    expect((await closeOf(client)).pid).toBe(process.pid);
    const unseen = accepted.pid === null ? [server] : [];
    if (accepted.pid !== null) expect((await closeOf(server)).pid).toBe(process.pid);
    for (const end of [...unseen, ...olderEnds]) {
      const close = await closeOf(end);
      // Where the collector runs in the process that closes a socket of AF_UNIX, that is this one.
      if (close.pid !== process.pid)
        expect(close).toMatchObject({ pid: null, comm: null, uid: null, cgroup: null });
    }
  });

  // Linux 5.1 and later.
  test.skipIf(!linuxAtLeast(5, 10))(
    "what io_uring closes after its process has let go is its opener's",
    async () => {
      const { client, server } = peer.pair();
      await expectOpened(our.tracer, client.truth);
      const accepted = await expectOpened(our.tracer, server.truth);
      loseInRing([client.fd, server.fd]);
      expect((await our.tracer.take("close", client.truth)).pid).toBe(process.pid);
      const closed = await our.tracer.take("close", server.truth);
      // On some kernels the files are closed in the process itself.
      expect(closed.pid).toBeOneOf([accepted.pid, process.pid]);
    },
  );

  test("equal endpoints in two network namespaces are two connections", async () => {
    const { client, server } = peer.pair();
    client.write(11);
    server.read(11);
    const { local, remote } = client.truth;
    const child = our.actor("own-netns", remote.port, local.port);
    const [theirClient, theirServer] = await child.hear<[peer.Truth, peer.Truth]>();
    expect(theirClient.local).toEqual(local);
    expect(theirClient.remote).toEqual(remote);
    expect(theirClient.netns).not.toBe(client.truth.netns);
    expect(peer.netnsOf(child.pid)).toBe(theirClient.netns);
    await expectOpened(our.tracer, theirClient);
    child.go();
    await child.process.exited;
    client.close();
    server.close();
    await expectClosed(our.tracer, theirClient);
    await expectConnection(our.tracer, theirServer);
    await expectConnection(our.tracer, client);
    await expectConnection(our.tracer, server);
  });

  test("data in the SYN is counted", async () => {
    for (const truth of await our.actor("fast-open").hear<peer.Truth[]>())
      await expectConnection(our.tracer, truth);
  });

  test(`${AT_ONCE} connections at once: each connect, accept and close exactly once`, async () => {
    const truths = await our.actor("storm", AT_ONCE).hear<peer.Truth[]>();
    expect(truths).toHaveLength(2 * AT_ONCE);
    for (const truth of truths) await expectConnection(our.tracer, truth);
  });

  test("a client and a server that know nothing of the test: their own counts are reported", async () => {
    const web = our.actor("http-server");
    const server = await web.hear<{ port: number; pid: number; comm: string }>();
    const client = await our
      .actor("http-client", server.port)
      .hear<{ pid: number; length: number }>();
    const counts = await web.hear<{ sent: number; received: number }>();
    expect(client.length).toBe(104_729);
    const opened = await our.tracer.until(
      () =>
        our.tracer.events.find(
          ({ event, remote }) => event === "connect" && remote.port === server.port,
        ),
      "the client's connect",
    );
    expect(opened.pid).toBe(client.pid);
    const { local, remote, netns, family } = opened;
    const fromClient = { local, remote, netns: netns!, family };
    await expectConnection(our.tracer, {
      ...fromClient,
      opened: "connect",
      pid: client.pid,
      comm: opened.comm!,
      sent: counts.received,
      received: counts.sent,
    });
    await expectConnection(our.tracer, {
      ...fromClient,
      local: remote,
      remote: local,
      opened: "accept",
      pid: server.pid,
      comm: server.comm,
      ...counts,
    });
    await web.end();
  });

  test.skipIf(!Bun.which("curl"))("curl's own byte counts are reported", async () => {
    const body = "y".repeat(1_299_709);
    const web = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(body) });
    const format = "%{local_port} %{size_request} %{size_upload} %{size_header} %{size_download}";
    const curl = Bun.spawn(
      ["curl", "-s", "-o", "/dev/null", "-w", format, `http://127.0.0.1:${web.port}/`],
      { stdout: "pipe" },
    );
    const answer = (await new Response(curl.stdout).text()).split(" ").map(Number);
    const [localPort, request, upload, header, download] = answer as [
      number,
      number,
      number,
      number,
      number,
    ];
    expect(download).toBe(body.length);
    const client: peer.Truth = {
      ...peer.self(),
      opened: "connect",
      pid: curl.pid,
      comm: "curl",
      family: 4,
      local: { address: "127.0.0.1", port: localPort },
      remote: { address: "127.0.0.1", port: web.port! },
      sent: request + upload,
      received: header + download,
    };
    await expectConnection(our.tracer, client);
    await web.stop(true);
    const server = await our.tracer.take("close", {
      ...client,
      local: client.remote,
      remote: client.local,
    });
    expect(server).toMatchObject({ bytes_sent: client.received, bytes_received: client.sent });
    await our.tracer.take("accept", { ...client, local: client.remote, remote: client.local });
  });

  // Natively two seconds; 2^32 and a little more, by every count wider than 32 bits.
  test.skipIf(!full)("5 GiB through one connection are counted to the byte", async () => {
    const reader = our.actor("stream-reader");
    const { port } = await reader.hear<{ port: number }>();
    const bytes = 5 * 2 ** 30 + 7;
    const client = await our.actor("stream-writer", port, bytes).hear<peer.Truth>();
    const server = await reader.hear<peer.Truth>();
    expect([client.sent, server.received]).toEqual([bytes, bytes]);
    await expectConnection(our.tracer, client);
    await expectConnection(our.tracer, server);
  });
});

// --- internal ---

const commOf = (pid: number): string => readFileSync(`/proc/${pid}/comm`, "latin1").trimEnd();

/** The number of the system call a process sleeps in is the first word of /proc/PID/syscall. */
function isBlockedInAccept(pid: number): boolean {
  const accept4 = process.arch === "arm64" ? "242" : "288";
  return readFileSync(`/proc/${pid}/syscall`, "latin1").startsWith(`${accept4} `);
}
