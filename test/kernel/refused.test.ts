/** A part that a kernel refuses costs itself alone: it is told once, with its reason, and the rest goes on. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { openPair, receiveBytes, sendBytes } from "../../src/guess/loopback.ts";
import { DatagramSocket } from "../../src/guess/datagram_socket.ts";
import { guessOn } from "../../src/guess/run.ts";
import { EINVAL, EPERM } from "../../src/kernel/constants.ts";
import { openHost, type Host } from "../../src/kernel/host.ts";
import * as libc from "../../src/kernel/libc.ts";
import { KernelError } from "../../src/kernel/shim.ts";
import { heldSockSize, HeldSockView } from "../../src/record/layout.gen.ts";
import { pointsOf } from "../../src/trace/opening/attach.ts";
import { NO_FILTER } from "../../src/trace/kernel_filter.ts";
import { missingParts } from "../../src/trace/opening/open_checked.ts";
import type { TraceOptions } from "../../src/trace/options.ts";
import { programsOf, type Part, type PartOf, type Point } from "../../src/trace/part.ts";
import { PARTS } from "../../src/trace/parts.ts";
import type { Trace } from "../../src/trace/trace.ts";
import { openTrace } from "../../src/trace/tracer.ts";
import { Actor } from "./drive/actors.ts";
import { attachAsked } from "./drive/attached.ts";
import { asBefore510, linuxAtLeast, modes, sparing } from "./drive/modes.ts";
import { expectConnection } from "./drive/expect.ts";
import { ownGroup } from "./drive/groups.ts";
import { pair, type Truth, until } from "./drive/peer.ts";
import { redirect } from "./drive/sockmap.ts";
import { Tracer } from "./drive/tracer.ts";

setDefaultTimeout(120_000);

/** Of a host that has a sockmap more is attached. Held until the process ends. */
if (linuxAtLeast(4, 18)) {
  const { client, server } = pair();
  redirect(client.fd, server.fd);
}

describe.each(modes)("with %ss", (mode) => {
  const host = openHost(mode);
  const report = guessOn(host);
  const options: TraceOptions = {
    ...{ attach: mode, offsets: report, self: true, sampling: true, args: true, debug: false },
  };
  const fentry = mode === "kprobe" && host.features.has("fentry");
  const ground = { host, report, mode, newer: host.features.has("test_run"), fentry };
  const asked = PARTS.map((part) => part(options)).filter((part) => part.asked !== false);
  const missing = missingParts(asked, ground);
  const there = asked.filter((part) => !missing.has(part));
  const points = pointsOf(ground, there, 0);
  // A refusal with fentry is tried once more by kprobes, which may be other programs.
  const byKprobes = pointsOf({ ...ground, fentry: false }, there, 0);
  const programs = (part: Part) => programsOf([...points.get(part)!, ...byKprobes.get(part)!]);
  const optional = there.filter((part) => part.without !== null && programs(part).length > 0);

  /** Programs that no other part has as well. */
  const ownPrograms = (part: Part) =>
    programs(part).filter((program) =>
      there.every((other) => other === part || !programs(other).includes(program)),
    );

  test("there are optional parts with programs: UDP, sampling, the listing and command lines", () => {
    const names = optional.map(({ name }) => name);
    expect(names).toContain("listing");
    expect(names).toContain("sampling");
    expect(names).toContain("command lines");
    expect(names.includes("UDP")).toBe(mode === "kprobe" || linuxAtLeast(6, 3));
    expect(names).toContain("failing connects");
    expect(names.includes("remote ends of UDP")).toBe(mode === "tracepoint" && linuxAtLeast(6, 3));
  });

  describe.each(optional.map((part) => [part.name, part] as const))("without %s", (name, part) => {
    // In a guest the load of two: of one with points and of one without. The rest is as where a point is refused.
    const loads = !sparing || name === "UDP" || name === "listing";
    test.skipIf(!loads)(
      "when its programs do not load, all other parts work and the user is told once",
      async () => {
        await using trace = await openTrace(options, PARTS, refusing(host, ownPrograms(part)));
        expectToldOnce(trace, part, asked);
        await expectOthers(trace, name);
      },
    );

    const attached = points.get(part)!.some((point) => !("held" in point));
    test.skipIf(!attached)(
      "when one of its points cannot be attached, all other parts work and the user is told once",
      async () => {
        const parts = PARTS.map((of) => (of(options).name === name ? misplaced(of) : of));
        await using trace = await openTrace(options, parts, host);
        expectToldOnce(trace, part, asked);
        expect(trace.notes.join()).toContain(NOWHERE);
        await expectOthers(trace, name);
      },
    );
  });

  const REASON = "there is no reason";

  /** Every other moment at which a part can be refused: when its needs are found out, and by its own check. */
  test.each<[string, string, Partial<Part>]>([
    ["this host cannot", "command lines", { prepare: () => REASON }],
    ["the kernel lacks something", "UDP", { missing: () => REASON }],
    ["its check finds it wrong", "UDP", { check: () => ({ refused: REASON }) }],
  ])("when %s, all but %s works and the user is told once", async (_, name, refused) => {
    const parts = PARTS.map((of): PartOf => {
      return (given) => (of(given).name === name ? { ...of(given), ...refused } : of(given));
    });
    await using trace = await openTrace(options, parts, host);
    const part = asked.find((one) => one.name === name)!;
    expectToldOnce(trace, part, asked);
    // A check is made of what is there.
    const why = refused.check === undefined ? REASON : (missing.get(part) ?? REASON);
    expect(trace.notes).toContain(`${part.without}: ${why}`);
    await expectOthers(trace, name);
  });

  test("with nothing refused nothing is told of but what this kernel lacks", async () => {
    await using trace = await openTrace(options, PARTS, host);
    for (const part of optional)
      expect(trace.notes.filter((note) => note.startsWith(part.without!))).toEqual([]);
    await expectOthers(trace, null);
  });

  test.skipIf(!optional.some(({ name }) => name === "UDP"))(
    "whoever asks for UDP alone is told that there is none",
    async () => {
      const alone = { ...options, filter: { ...NO_FILTER, protocols: ["udp"] as const } };
      const udp = optional.find(({ name }) => name === "UDP")!;
      const opened = openTrace(alone, PARTS, refusing(host, programs(udp)));
      expect(opened).rejects.toThrow(/UDP/);
      await opened.catch(() => {});
    },
  );

  test.skipIf(mode !== "tracepoint" || !host.features.has("socket_hooks"))(
    "where another program has the root control group for itself, each part with a hook says so once",
    async () => {
      const refuse = () => {
        throw new KernelError("cgroup hook", EPERM);
      };
      const on = { ...host, shim: { ...host.shim, cgroupHook: refuse } };
      await using trace = await openTrace(options, PARTS, on);
      const hooked = optional.filter((part) => points.get(part)!.some((p) => "socketHook" in p));
      const told = trace.notes.filter((note) => note.includes("another program is attached"));
      expect(hooked.length).toBeGreaterThan(0);
      expect(told).toHaveLength(hooked.length);
      await expectOthers(trace, "hooks");
    },
  );

  test.skipIf(mode !== "tracepoint" || !host.features.has("socket_hooks"))(
    "in a cgroup namespace that shows a part of the groups, each part with a hook says so once",
    async () => {
      using group = ownGroup("part-of-the-groups");
      const top = dirname(group.directory);
      const inside = `umount ${top} && mount -t cgroup2 none ${top} && exec "$@"`;
      const join = `echo $$ > ${group.directory}/cgroup.procs`;
      const enter = `${join} && exec unshare -C -m sh -c "$0" sh "$@"`;
      const tracer = await Tracer.start(mode, [], ["sh", "-c", enter, inside]);
      const { client, server } = pair();
      client.close();
      server.close();
      await expectConnection(tracer, client);
      await expectConnection(tracer, server);
      expect(await tracer.stop()).toBe(0);
      const hooked = optional.filter((part) => points.get(part)!.some((p) => "socketHook" in p));
      const why = ": the tracer runs in a cgroup namespace that shows only a part";
      for (const { without } of hooked)
        expect(tracer.stderr.split(`${without}${why}`)).toHaveLength(2);
      expect(tracer.stderr.split(why)).toHaveLength(1 + hooked.length);
    },
  );

  test.skipIf(mode !== "tracepoint" || !host.features.has("socket_hooks"))(
    "where control groups are hidden, the reason is told in the words of the system",
    async () => {
      const hide = 'mount -t tmpfs none /sys/fs && exec "$@"';
      const tracer = await Tracer.start(mode, [], ["unshare", "-m", "sh", "-c", hide, "sh"]);
      expect(await tracer.stop()).toBe(0);
      expect(tracer.stderr).toMatch(
        /: the root control group cannot be opened: ENOENT: no such file/,
      );
    },
  );

  test.skipIf(!host.features.has("holder_iterator"))(
    "where the walk does not find the tool itself, each older connection is listed all the same, once",
    async () => {
      await using other = new Other();
      const ports = await other.connected();
      await using trace = await openTrace(options, PARTS, walkingPast(host, process.pid));
      const opens = trace.poll().filter(({ kind }) => kind === "open");
      for (const port of ports)
        expect(opens.filter(({ local }) => local.port === port)).toHaveLength(1);
    },
  );

  test("what batches need costs the trace nothing else", () => {
    const refuse = () => {
      throw new KernelError("map batches", EPERM);
    };
    const on = { ...host, shim: { ...host.shim, mapMappable: refuse } };
    const { object } = attachAsked({ host: on, report, mode });
    using _ = object;
    expect(object.loaded("run_batch")).toBe(false);
    expect(object.mapFd("conns")).toBeGreaterThan(0);
  });

  test("of all that a trace can have nothing is refused by a kernel of the lab, batches neither", () => {
    const filter = { ...NO_FILTER, descendants: true };
    const { object, refused } = attachAsked({
      host,
      report,
      mode,
      options: { ...options, filter },
    });
    using _ = object;
    expect([...refused].map(([{ name }]) => name)).toEqual([]);
    const batched = !asBefore510 && (mode === "kprobe" || !linuxAtLeast(7, 0));
    expect(object.loaded("run_batch")).toBe(batched);
  });

  test("where nobody asks for a part, none of its programs is loaded", () => {
    const filter = { ...NO_FILTER, protocols: ["tcp"] as const };
    const { object, refused } = attachAsked({ host, report, mode, options: { filter } });
    using _ = object;
    expect(refused.size).toBe(0);
    for (const part of optional.filter(({ name }) => /UDP|sampling|command/.test(name)))
      expect(ownPrograms(part).filter((program) => object.loaded(program))).toEqual([]);
  });
});

const NOWHERE = "there_is_no_such_place";

/** A kernel that refuses these programs. */
function refusing(host: Host, programs: readonly string[]): Host {
  const { autoload, load } = host.shim;
  const asked = new Map<unknown, Set<string>>();
  const shim: Host["shim"] = {
    ...host.shim,
    autoload(object, program, on) {
      const set = asked.get(object) ?? new Set();
      asked.set(object, set);
      // An object can lie where an earlier one lay.
      if (on) set.add(program);
      else set.delete(program);
      autoload(object, program, on);
    },
    load(object) {
      if (programs.some((program) => asked.get(object)?.has(program)))
        throw new KernelError("load", EINVAL);
      load(object);
    },
  };
  return { ...host, shim };
}

/** Another process, with both ends of a connection. */
class Other implements AsyncDisposable {
  readonly #actor = new Actor("pair-on-go");

  /** The local ports of the two ends, once they are there. */
  async connected(): Promise<number[]> {
    await this.#actor.hear();
    this.#actor.go();
    const ends = await this.#actor.hear<Truth[]>();
    return ends.map(({ local }) => local.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#actor.end();
  }
}

/** A kernel whose first walk over the files of all tasks has nothing of this process. */
function walkingPast(host: Host, pid: number): Host {
  const directory = mkdtempSync(join(tmpdir(), "walk-"));
  let walks = 0;
  const iterator = (progFd: number): number => {
    const fd = host.shim.iterator(progFd);
    if (walks++ > 0) return fd;
    const records = [...recordsFrom(fd)].filter(
      (record) => new HeldSockView(new DataView(record.buffer), 0).tgid !== pid,
    );
    const file = join(directory, "records");
    writeFileSync(file, Buffer.concat(records));
    const kept = openSync(file, "r");
    rmSync(directory, { recursive: true });
    return kept;
  };
  return { ...host, shim: { ...host.shim, iterator } };
}

function* recordsFrom(fd: number): Iterable<Uint8Array> {
  const buffer = new Uint8Array(heldSockSize);
  while (libc.read(fd, buffer) === heldSockSize) yield buffer.slice();
  libc.close(fd);
}

/** The part, the last of its points at a place that no kernel has. */
function misplaced(of: PartOf): PartOf {
  const nowhere = (points: readonly Point[]): readonly Point[] =>
    points.map((point, n) => {
      if (n < points.findLastIndex((one) => !("held" in one))) return point;
      const { program } = point;
      if ("kprobe" in point) return { program, kprobe: NOWHERE };
      if ("socketHook" in point) return { program, socketHook: NOWHERE as "HOOK_SENDMSG4" };
      return "tracepoint" in point ? { program, tracepoint: NOWHERE } : point;
    });
  return (options) => {
    const part = of(options);
    const moved: Part = { ...part, points: (on) => nowhere(part.points(on)) };
    if (part.beside) moved.beside = (others) => nowhere(part.beside!(others));
    return moved;
  };
}

function expectToldOnce(trace: Trace, part: Part, asked: readonly Part[]): void {
  const told = trace.notes.filter((note) => note.startsWith(`${part.without}: `));
  expect(told).toHaveLength(1);
  expect(told[0]!.length).toBeGreaterThan(`${part.without}: `.length);
  // A part that only completes the events of this one is not there either, and need not be told.
  for (const { completes, without } of asked)
    if (completes?.includes(part.name))
      expect(trace.notes.filter((note) => note.startsWith(without!))).toEqual([]);
  const others = asked.filter(({ name, without }) => name !== part.name && without !== null);
  const toldOfOthers = others.filter(({ without }) =>
    trace.notes.some((note) => note.includes("refused") && note.startsWith(without!)),
  );
  expect(toldOfOthers.map(({ name }) => name)).toEqual([]);
}

/** A connection and a flow of this process's own, with their totals, but for what `without` tells of. */
async function expectOthers(trace: Trace, without: string | null): Promise<void> {
  const events: TracedEvent[] = [];
  const poll = () => void events.push(...trace.poll());
  const find = (kind: string, protocol: string, port: number) =>
    until(`${kind} of ${protocol}`, () => {
      poll();
      return events.find(
        (event) => event.kind === kind && event.protocol === protocol && event.local.port === port,
      );
    });
  poll();
  const pair = openPair("v4");
  const { local } = pair;
  sendBytes(pair.client, 1009);
  receiveBytes(pair.server, 1009);
  const connect = find("connect", "tcp", local.port);
  expect(connect.args).toBe(ownCommandLine());
  expect(connect.cgroup).not.toBeUndefined();
  const sampled = until("a sample", () => {
    trace.sample();
    poll();
    const seen = events.some(({ kind, totals, local: { port } }) => {
      return kind === "sample" && port === local.port && totals?.bytesSent === 1009n;
    });
    return seen || without === "sampling" || undefined;
  });
  expect(sampled).toBe(true);
  pair[Symbol.dispose]();
  expect(find("close", "tcp", local.port).totals).toMatchObject({ bytesSent: 1009n });
  const traced = / and UDP /.test(trace.description);
  expect(traced).toBe(without !== "UDP" && !trace.notes.some((note) => /UDP is not/.test(note)));
  using server = new DatagramSocket("127.0.0.1");
  using client = new DatagramSocket("127.0.0.1");
  client.connect(server);
  client.send(503);
  if (traced) find("begin", "udp", client.port);
  poll();
  expect(events.some(({ protocol }) => protocol === "udp")).toBe(traced);
}

const ownCommandLine = (): string =>
  readFileSync("/proc/self/cmdline", "utf8").replace(/\0$/, "").replaceAll("\0", " ");
