/**
 * Filters of `trace`: beside a trace without any runs one with the filter. Of the same connections it must show exactly
 * the lines that the other shows and that the filter is meant to let through.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import * as k from "../../src/kernel/constants.ts";
import { netnsAt } from "../../src/kernel/host_names.ts";
import { Attempt, refusing, type Port } from "./drive/attempt.ts";
import { Actor } from "./drive/actors.ts";
import { expectFlowClosed, expectFlowOpen, tracesUdp, Udp } from "./drive/datagrams.ts";
import { expectConnection, expectFailed } from "./drive/expect.ts";
import { startGuessed } from "./drive/guessed.ts";
import { modes, sparing, type Mode } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { traced } from "./drive/traced.ts";
import { run, Tracer, type Event } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

interface Stranger {
  actor: Actor;
  pid: number;
  comm: string;
  netns: number;
}

/** The listeners that all tests of a mode connect to. The second IPv4 address sets a connection apart by its network. */
interface Stage {
  ipv4: peer.Listener;
  second: peer.Listener;
  ipv6: peer.Listener;
  refusing: Port;
  stranger: Stranger;
  /** In a network namespace of its own. */
  remote: Stranger;
}

interface Row {
  args(stage: Stage): (string | number)[];
  /** True for the events that the filter must let through. */
  picks(event: Event, stage: Stage): boolean;
  /** In a guest as well. The kernel's share of the others is in kernel_filter.test.ts, and user space decides them in one way. */
  inGuest?: true;
  /** In tracepoint mode the process of an accept is looked up, and one of the two traces may come too late. */
  byProcess?: true;
}

const ports = ({ local, remote }: Event) => [local.port, remote.port];

/** To add a filter, add a row. */
const rows: readonly Row[] = [
  {
    inGuest: true,
    args: ({ stranger }) => ["-p", stranger.pid],
    picks: ({ pid }, { stranger }) => pid === stranger.pid,
    byProcess: true,
  },
  {
    args: ({ stranger, remote }) => ["--pid", `1,${stranger.pid}`, "--pid", remote.pid],
    picks: ({ pid }, { stranger, remote }) => pid === stranger.pid || pid === remote.pid,
    byProcess: true,
  },
  {
    args: ({ stranger }) => ["--comm", stranger.comm],
    picks: ({ comm }, { stranger }) => comm === stranger.comm,
    byProcess: true,
  },
  {
    inGuest: true,
    args: ({ ipv4, refusing }) => ["-P", `${ipv4.port},${refusing.port}`],
    picks: (event, { ipv4, refusing }) =>
      ports(event).some((port) => port === ipv4.port || port === refusing.port),
  },
  {
    args: ({ ipv6 }) => ["-P", `${ipv6.port}-${ipv6.port + 1}`],
    picks: (event, { ipv6 }) =>
      ports(event).some((port) => port === ipv6.port || port === ipv6.port + 1),
  },
  {
    args: ({ ipv4 }) => ["-L", ipv4.port],
    picks: ({ local }, { ipv4 }) => local.port === ipv4.port,
  },
  {
    args: ({ ipv6, refusing }) => ["-D", ipv6.port, "--remoteport", refusing.port],
    picks: ({ remote }, { ipv6, refusing }) =>
      remote.port === ipv6.port || remote.port === refusing.port,
  },
  {
    args: () => ["--laddr", "127.0.0.2"],
    picks: ({ local }) => local.address === "127.0.0.2",
  },
  {
    args: () => ["--raddr", "127.0.0.2/31"],
    picks: ({ remote }) => remote.address === "127.0.0.2",
  },
  {
    args: () => ["--raddr", "::1,10.0.0.0/8"],
    picks: ({ remote }) => remote.address === "::1",
  },
  { args: () => ["-4"], picks: ({ family }) => family === 4 },
  { args: () => ["-6"], picks: ({ family }) => family === 6 },
  { args: () => ["--tcp"], picks: ({ protocol }) => protocol === "tcp" },
  { inGuest: true, args: () => ["--udp"], picks: ({ protocol }) => protocol === "udp" },
  {
    args: ({ remote }) => ["-N", remote.netns],
    picks: ({ netns }, { remote }) => netns === remote.netns,
  },
  {
    inGuest: true,
    args: ({ remote }) => ["--netns", `pid:${remote.pid}`],
    picks: ({ netns }, { remote }) => netns === remote.netns,
  },
  {
    args: ({ stranger }) => ["--netns", `/proc/${stranger.pid}/ns/net`],
    picks: ({ netns }, { stranger }) => netns === stranger.netns,
  },
  {
    args: () => ["--events", "connect,fail"],
    picks: ({ event }) => event === "connect" || event === "fail",
  },
  { inGuest: true, args: () => ["--failed"], picks: (event) => event.failure !== undefined },
  {
    inGuest: true,
    args: ({ ipv4 }) => ["-4", "--tcp", "-P", ipv4.port, "--events", "close"],
    picks: (event, { ipv4 }) =>
      event.event === "close" && event.family === 4 && ports(event).includes(ipv4.port),
  },
];

describe.each(modes)("trace --attach %s", (mode) => {
  let stage: Stage;
  const our = traced(mode);
  beforeAll(async () => {
    stage = {
      ipv4: new peer.Listener("127.0.0.1"),
      second: new peer.Listener("127.0.0.2"),
      ipv6: new peer.Listener("::1"),
      refusing: refusing("127.0.0.1"),
      stranger: await strangerOf(our.actor("stranger", "a-stranger", "shared")),
      remote: await strangerOf(our.actor("stranger", "from-elsewhere", "own")),
    };
  });

  afterAll(() => {
    for (const listener of [stage.ipv4, stage.second, stage.ipv6]) listener.close();
    stage.refusing[Symbol.dispose]();
  });

  // Where UDP is not traced, one of these shows everything and the other is refused.
  const protocols = tracesUdp(mode) ? [] : ["--tcp", "--udp"];
  const named = rows
    .map((row) => [argsText(row), row] as const)
    .filter(([args, { inGuest }]) => !protocols.includes(args) && (!sparing || inGuest));

  test.each(named)("%s", async (_, { args, picks, byProcess }) => {
    const filtered = await startGuessed(mode, args(stage).map(String));
    const told = await drive(mode, our.tracer, stage);
    const unsure = byProcess === true && mode === "tracepoint";
    const sure = ({ event }: Event) => !(unsure && event === "accept");
    const wanted = told.filter((event) => sure(event) && picks(event, stage));
    expect(wanted).not.toBeEmpty();
    expect(wanted.length).toBeLessThan(told.length);
    for (const event of wanted)
      await filtered.until(
        () => filtered.events.some((shown) => keyOf(shown) === keyOf(event)),
        keyOf(event),
      );
    // Its last poll shows what happened before: all of the scene has.
    expect(await filtered.stop()).toBe(0);
    expect(filtered.stderr).toMatch(/none lost/);
    const scene = new Set(told.map(keyOf));
    const shown = filtered.events.filter((event) => scene.has(keyOf(event)));
    expect(shown.filter((event) => !picks(event, stage))).toEqual([]);
    expect(shown.filter(sure).map(keyOf).sort()).toEqual(wanted.map(keyOf).sort());
    // Nor anything else: every line is one that the filter is meant to let through, whosever it is.
    expect(filtered.events.filter((event) => !picks(event, stage))).toEqual([]);
  });

  test("--count counts what is shown", async () => {
    const args = ["-D", String(stage.ipv4.port), "--events", "connect", "--count", "3"];
    const filtered = await startGuessed(mode, args);
    // Two of the connections are to this port, among many others.
    await drive(mode, our.tracer, stage);
    await filtered.until(() => filtered.events.length === 2, "two connects");
    await drive(mode, our.tracer, stage);
    expect(await filtered.ended()).toBe(0);
    const { port } = stage.ipv4;
    expect(filtered.events.map(({ remote }) => remote.port)).toEqual([port, port, port]);
    expect(filtered.stderr).toMatch(/^3 events in .*none lost$/m);
  });

  test("events that are hidden only because their process is not known are counted", async () => {
    // Older connections that two processes hold are listed without a process.
    const pair = peer.pair();
    const holder = Bun.spawn(["sleep", "60"], {
      stdio: ["ignore", "ignore", "ignore", pair.client.fd],
    });
    const { client, server } = pair;
    const flags = ["--tcp", "--events", "open", "-P", String(client.truth.local.port)];
    const tracer = await startGuessed(mode, ["-p", String(process.pid), ...flags]);
    expect((await tracer.take("open", server.truth)).pid).toBe(process.pid);
    expect(await tracer.stop()).toBe(0);
    expect(tracer.events).toHaveLength(1);
    expect(tracer.stderr).toMatch(
      /^1 event in .*, none lost; 1 not shown, because their value for the filter is not known$/m,
    );
    holder.kill();
    await holder.exited;
    client.close();
    server.close();
    await expectConnection(our.tracer, client);
    await expectConnection(our.tracer, server);
  });
});

// Names in flags are looked up before anything is traced, in every mode alike.
test.skipIf(sparing)(
  "a process and a control group that are not there are told at the start",
  async () => {
    const asked = ["-p", "4194304,1", "--cgroup", "/none/such"];
    const { exitCode, stderr } = await run(["trace", ...asked, "--duration", "1ms"]);
    expect(exitCode).toBe(0);
    expect(stderr).toContain("warning: --pid 4194304: no such process exists now\n");
    expect(stderr).toContain("--cgroup /none/such: no such control group exists now\n");
    expect(stderr).not.toContain("--pid 1:");
  },
);

test.skipIf(sparing)(
  "a network namespace may have a name, and who misspells it is told those there are",
  async () => {
    const remote = await strangerOf(new Actor("stranger", "by-name", "own"));
    const name = `tracer-bpf-test-${process.pid}`;
    const file = `/run/netns/${name}`;
    mkdirSync("/run/netns", { recursive: true });
    writeFileSync(file, "");
    const sh = (...command: string[]) => expect(Bun.spawnSync(command).exitCode).toBe(0);
    sh("mount", "--bind", `/proc/${remote.pid}/ns/net`, file);
    try {
      const tracer = await startGuessed(modes[0]!, ["--netns", name, "--count", "2"]);
      remote.actor.go();
      const [client] = await remote.actor.hear<peer.Truth[]>();
      expect(await tracer.ended()).toBe(0);
      expect(tracer.events.map(({ netns }) => netns)).toEqual([client!.netns, client!.netns]);
      expect(netnsAt(file)).toBe(remote.netns);
      sh("umount", file);
      sh("mount", "--bind", `/proc/${remote.pid}/ns/uts`, file);
      expect(netnsAt(file)).toBe(`${file} is no network namespace`);
      const { exitCode, stderr } = await run(["trace", "-N", `${name}x`]);
      expect(exitCode).toBe(2);
      expect(stderr).toContain(`error: flag --netns: no network namespace "${name}x"`);
      expect(stderr).toMatch(new RegExp(`because: .* named are .*${name}`));
    } finally {
      sh("umount", file);
      rmSync(file);
      await remote.actor.end();
    }
  },
);

// --- internal ---

/** The flags of a row, its values left out: they are known once the stage is set. */
function argsText({ args }: Row): string {
  const unknown = { port: "PORT", pid: "PID", netns: "INODE", comm: "NAME" };
  const stage = { ipv4: unknown, second: unknown, ipv6: unknown, refusing: unknown };
  return args({ ...stage, stranger: unknown, remote: unknown } as unknown as Stage).join(" ");
}

async function strangerOf(actor: Actor): Promise<Stranger> {
  return { actor, ...(await actor.hear<Omit<Stranger, "actor">>()) };
}

const keyOf = ({ event, protocol, local, remote, netns }: Event): string =>
  `${event} ${protocol} ${local.address} ${local.port} ${remote.address} ${remote.port} ${netns}`;

/** One connection of each kind, and all lines of them that the trace without a filter has shown. */
async function drive(mode: Mode, tracer: Tracer, stage: Stage): Promise<Event[]> {
  const truths: (peer.Peer | peer.Truth)[] = [];
  for (const listener of [stage.ipv4, stage.second, stage.ipv6]) {
    const client = peer.dial(listener.address, listener.port);
    const server = listener.accept();
    peer.transfer(client, server, 101);
    client.close();
    server.close();
    truths.push(client, server);
  }
  const reset = { client: peer.dial("127.0.0.1", stage.ipv4.port), server: stage.ipv4.accept() };
  reset.server.abort();
  reset.client.awaitReset();
  reset.client.close();
  truths.push(reset.client, reset.server);
  const attempt = new Attempt("127.0.0.1", stage.refusing.port);
  expect(attempt.connect()).toBe(-k.ECONNREFUSED);
  attempt.close();
  for (const { actor } of [stage.stranger, stage.remote]) {
    actor.go();
    truths.push(...(await actor.hear<peer.Truth[]>()));
  }
  const told = [await expectFailed(tracer, attempt.failedWith("ECONNREFUSED"))];
  for (const truth of truths) {
    const { opened, closed } = await expectConnection(tracer, truth);
    told.push(opened, closed);
  }
  return tracesUdp(mode) ? [...told, ...(await datagrams(mode, tracer))] : told;
}

async function datagrams(mode: Mode, tracer: Tracer): Promise<Event[]> {
  const server = new Udp("127.0.0.1");
  const client = new Udp("127.0.0.1").connect(server.local);
  client.send(103);
  server.receive();
  client.close();
  server.close();
  const told: Event[] = [];
  for (const truth of [client, server].flatMap((end) => end.truths(mode)))
    told.push(await expectFlowOpen(tracer, truth), await expectFlowClosed(tracer, truth));
  return told;
}
