/** The owner of a connection and its control group are right for processes that are gone when the trace asks. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { traceObject510 } from "../../src/embedded.ts";
import { openHost } from "../../src/kernel/host.ts";
import { loadObject } from "../../src/kernel/object.ts";
import { Constant, Offset, tracePrograms } from "../../src/record/layout.gen.ts";
import { programsOf } from "../../src/trace/part.ts";
import { acceptPoints, kprobes, tracepoints } from "../../src/trace/tcp/points.ts";
import {
  expectFlowOpen,
  expectFlowClosed,
  tracesUdp,
  Udp,
  type FlowTruth,
} from "./drive/datagrams.ts";
import { expectConnection, expectListed } from "./drive/expect.ts";
import { ownEngine, ownGroup } from "./drive/groups.ts";
import { startGuessed } from "./drive/guessed.ts";
import { lists, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { flushed, traced } from "./drive/traced.ts";

import { eventually, place, Tracer, type Event } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const UID = 1234;
const ID = "5eed".repeat(16);
const NAMED_ID = "4a3e".repeat(16);
const own = `tracer-bpf-${process.pid}`;

const ownerOf = ({ uid, cgroup, container }: Event) => ({ uid, cgroup, container });

describe.each(modes)("trace --attach %s", (mode) => {
  const our = traced(mode);

  /** By a process of the group, which is gone when the peer accepts. */
  async function connectedIn(group: { directory: string }) {
    const listener = new peer.Listener("127.0.0.1");
    const child = our.actor("connect-as", listener.port, UID, group.directory);
    const client = await child.hear<peer.Truth>();
    expect(await child.process.exited).toBe(0);
    const server = listener.accept();
    server.readToEnd();
    server.close();
    listener.close();
    return { client, server };
  }

  test.each([
    ["of docker", `docker-${ID}.scope`, ID],
    ["of a service", "some.service", null],
    // No slash, no NUL and no line break: everything else is allowed.
    ["with a hostile name", 'a"b\\\x1b[2J\t\u202e\r\u009b', null],
  ])("a process of a user in a group %s, gone at once", async (_, name, container) => {
    using group = ownGroup(own, name);
    const { client, server } = await connectedIn(group);
    const { opened, closed } = await expectConnection(our.tracer, client);
    for (const event of [opened, closed])
      expect(ownerOf(event)).toEqual({ uid: UID, cgroup: group.path, container });
    await expectConnection(our.tracer, server);
  });

  test("a container's names are those in the files of its engine, and it is chosen by its name", async () => {
    const hostile = 'web"\x1b[2J';
    using _engine = ownEngine(NAMED_ID, {
      "io.kubernetes.cri.container-name": hostile,
      "io.kubernetes.cri.sandbox-name": "shop-x2x9q",
      "io.kubernetes.cri.sandbox-namespace": "prod",
    });
    using group = ownGroup(own, `cri-containerd-${NAMED_ID}.scope`);
    const tracer = await startGuessed(mode, ["--container", hostile]);
    const { client, server } = await connectedIn(group);
    for (const one of [our.tracer, tracer]) {
      const event = await one.take("connect", client);
      expect(event).toMatchObject({ container: NAMED_ID, container_name: hostile });
      expect(event).toMatchObject({ pod: "shop-x2x9q", pod_namespace: "prod" });
      await one.take("close", client);
    }
    await expectConnection(our.tracer, server);
    expect(tracer.events).toHaveLength(2);
    expect(await tracer.stop()).toBe(0);
  });

  test("only those of a group and a user, where they are asked for", async () => {
    using group = ownGroup(own, "wanted");
    using other = ownGroup(`${own}-other`);
    const tracer = await startGuessed(mode, ["--cgroup", `/${own}`, "--uid", String(UID)]);
    const listener = new peer.Listener("127.0.0.1");
    const connect = async (uid: number, directory: string) => {
      const child = our.actor("connect-as", listener.port, uid, directory);
      const client = await child.hear<peer.Truth>();
      expect(await child.process.exited).toBe(0);
      const server = listener.accept();
      server.readToEnd();
      server.close();
      await expectConnection(our.tracer, client);
      await expectConnection(our.tracer, server);
      return client;
    };
    await connect(0, group.directory);
    await connect(UID, other.directory);
    const wanted = await connect(UID, group.directory);
    listener.close();
    await expectConnection(tracer, wanted);
    expect(tracer.events).toHaveLength(2);
    expect(await tracer.stop()).toBe(0);
  });

  test("where a group must not be opened by its id, it is searched for", async () => {
    using group = ownGroup(own, 'x"\u202e', `docker-${ID}.scope`);
    const tracer = await Tracer.start(mode, [], place("no-dac-read-search"));
    const status = readFileSync(`/proc/${tracer.pid}/status`, "latin1");
    expect(Number.parseInt(/^CapBnd:\s*(\w+)/m.exec(status)![1]!.slice(-1), 16) & 4).toBe(0);
    const listener = new peer.Listener("127.0.0.1");
    const connected = async () => {
      const child = our.actor("connect-as", listener.port, UID, group.directory);
      const client = await child.hear<peer.Truth>();
      expect(await child.process.exited).toBe(0);
      const server = listener.accept();
      server.readToEnd();
      server.close();
      await expectConnection(our.tracer, client);
      await expectConnection(our.tracer, server);
      return expectConnection(tracer, client);
    };
    // Others' groups may just have been searched for: then this one is, at the next poll.
    const expected = { uid: UID, cgroup: group.path, container: ID };
    await eventually("line with its group", async () => (await connected()).closed.cgroup !== null);
    const { opened, closed } = await connected();
    for (const event of [opened, closed]) expect(ownerOf(event)).toEqual(expected);
    listener.close();
    expect(await tracer.stop()).toBe(0);
  });

  test("a server of a user in a group", async () => {
    using group = ownGroup(own);
    const child = our.actor("accept-as", UID, group.directory);
    const { port } = await child.hear<{ port: number }>();
    const clients = [peer.dial("127.0.0.1", port), peer.dial("127.0.0.1", port)];
    const servers = await child.hear<peer.Truth[]>();
    await flushed(our.tracer);
    child.go();
    expect(await child.process.exited).toBe(0);
    for (const client of clients) {
      client.close();
      const { opened } = await expectConnection(our.tracer, client);
      expect(ownerOf(opened)).toEqual({ uid: 0, cgroup: ownPath(), container: null });
    }
    for (const server of servers) {
      const { opened, closed } = await expectConnection(our.tracer, server);
      for (const event of [opened, closed].filter(({ pid }) => pid !== null))
        expect(ownerOf(event)).toEqual({ uid: UID, cgroup: group.path, container: null });
    }
  });

  test.skipIf(!tracesUdp(mode))("a datagram of a user in a group, gone at once", async () => {
    using group = ownGroup(own, `docker-${ID}.scope`);
    const server = new Udp("127.0.0.1");
    const child = our.actor("datagram-as", mode, server.local.port, UID, group.directory);
    const truth = await child.hear<FlowTruth>();
    expect(await child.process.exited).toBe(0);
    for (const event of [
      await expectFlowOpen(our.tracer, truth),
      await expectFlowClosed(our.tracer, truth),
    ])
      expect(ownerOf(event)).toEqual({ uid: UID, cgroup: group.path, container: ID });
    server.close();
  });

  test("a group that was removed before the trace could ask for it is unknown, its user is not", async () => {
    const listener = new peer.Listener("127.0.0.1");
    let client: peer.Truth;
    our.tracer.process.kill("SIGSTOP");
    try {
      using group = ownGroup(own);
      const child = our.actor("connect-as", listener.port, UID, group.directory);
      client = await child.hear<peer.Truth>();
      expect(await child.process.exited).toBe(0);
    } finally {
      our.tracer.process.kill("SIGCONT");
    }
    const server = listener.accept();
    server.readToEnd();
    server.close();
    listener.close();
    const { opened, closed } = await expectConnection(our.tracer, client);
    for (const event of [opened, closed])
      expect(ownerOf(event)).toEqual({ uid: UID, cgroup: null, container: null });
    await expectConnection(our.tracer, server);
  });

  test.skipIf(!lists(mode))(
    "a connection that was open before the trace has its holder's",
    async () => {
      using group = ownGroup(own, `libpod-${ID}.scope`);
      const child = our.actor("accept-as", UID, group.directory);
      const { port } = await child.hear<{ port: number }>();
      const clients = [peer.dial("127.0.0.1", port), peer.dial("127.0.0.1", port)];
      const servers = await child.hear<peer.Truth[]>();
      const later = await startGuessed(mode);
      const listed = await expectListed(later, servers[0]!);
      expect(ownerOf(listed)).toEqual({ uid: UID, cgroup: group.path, container: ID });
      child.go();
      expect(await child.process.exited).toBe(0);
      const close = await later.take("close", servers[0]!);
      expect(ownerOf(close)).toEqual({ uid: UID, cgroup: group.path, container: ID });
      expect(await later.stop()).toBe(0);
      for (const client of clients) {
        client.close();
        await expectConnection(our.tracer, client);
      }
      for (const server of servers) await expectConnection(our.tracer, server);
    },
  );

  test("the programs load as well where the kernel has no helper for the group", () => {
    const host = openHost(mode);
    const load = programsOf(
      mode === "kprobe" ? [...kprobes(), acceptPoints[0]!] : tracepoints(true),
    );
    const constants = new Map(
      [...Object.values(Offset), ...Object.values(Constant)].map((id) => [id as number, 0n]),
    );
    const spec = { name: "trace", file: traceObject510, programs: tracePrograms, constants };
    for (const helpers of [host.features.helpers(), new Set<number>()]) {
      using object = loadObject(host.shim, {
        ...spec,
        helpers,
        load,
      });
      expect(object.loaded(load[0]!)).toBe(true);
    }
    expect([...host.features.helpers()]).toEqual([35, 80]);
  });
});

/** Where this process is: in the hierarchy of version 2, or if that has only a root, in another. */
function ownPath(): string {
  const lines = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
  const paths = new Map(lines.map((line) => [line.split(":")[1]!, line.split(":")[2]!]));
  const order = ["", "name=systemd", "pids", "memory", "cpu"];
  return (
    order.map((name) => paths.get(name)).find((path) => path !== undefined && path !== "/") ?? "/"
  );
}
