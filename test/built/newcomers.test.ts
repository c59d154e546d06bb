/**
 * Two parts are added to a copy of the sources in the steps of CONTRIBUTING.md, as a newcomer would: one only counts, one
 * adds a member to each event. They touch the files that CONTRIBUTING.md names; the copy builds, its tests pass, a trace
 * tells what both are for, and a kernel that refuses one of them costs the user that one alone.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dial, Listener } from "../kernel/drive/peer.ts";
import { bunTest, contributing, Copies, edit, run, type Step, top, Trace, TSC } from "./copy.ts";

setDefaultTimeout(900_000);

/** Counts the resets that this host sends. */
const resets: readonly Step[] = [
  [
    "bpf/tcp/resets.h",
    null,
    `/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Resets that this host sends. */
#ifndef TCP_RESETS_H
#define TCP_RESETS_H

#include "lib/maps.h"

/* One counter. Added to by the handler, read by the tool, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} resets SEC(".maps");

inline_always void count_reset(void)
{
	u32 first = 0;
	u64 *count = bpf_map_lookup_elem(&resets, &first);

	if (count)
		__sync_fetch_and_add(count, 1);
}

#endif
`,
  ],
  [
    "bpf/trace.bpf.c",
    '#include "tcp/sample.h"',
    '#include "tcp/resets.h"\n#include "tcp/sample.h"',
  ],
  [
    "bpf/trace.bpf.c",
    "/* int ip_send_skb(",
    `/* void tcp_send_active_reset(struct sock *sk, ...) */
SEC("kprobe/tcp_send_active_reset")
int on_tcp_send_active_reset(void *ctx __attribute__((unused)))
{
	count_reset();
	return 0;
}

/* int ip_send_skb(`,
  ],
  [
    "bpf/trace.bpf.c",
    "/*\n * (struct sock *sk, int ret, int flags), 6.3",
    `/* (const struct sock *sk, const struct sk_buff *skb, ...), 4.16 and later */
SEC("raw_tp/tcp_send_reset")
int on_tcp_send_reset(void *ctx __attribute__((unused)))
{
	count_reset();
	return 0;
}

/*
 * (struct sock *sk, int ret, int flags), 6.3`,
  ],
  [
    "src/trace/tcp/resets.ts",
    null,
    `/** Counts the resets that this host sends. */
import type { Part } from "../part.ts";

export const resets = (): Part => ({
  name: "resets",
  without: "resets that this host sends are not counted",
  points: ({ mode }) =>
    mode === "kprobe"
      ? [{ program: "on_tcp_send_active_reset", kprobe: "tcp_send_active_reset" }]
      : [{ program: "on_tcp_send_reset", tracepoint: "tcp_send_reset" }],
  start({ host, object }) {
    const count = new BigUint64Array(1);
    return {
      counts() {
        host.shim.mapLookup(object.mapFd("resets"), new Uint32Array(1), count);
        return [{ what: "resets sent", count: count[0]! }];
      },
    };
  },
});
`,
  ],
  [
    "src/trace/parts.ts",
    "import { sampling }",
    'import { resets } from "./tcp/resets.ts";\nimport { sampling }',
  ],
  ["src/trace/parts.ts", "  sampling,\n", "  sampling,\n  resets,\n"],
];

/** Adds `ppid` to each event: the parent of its process. */
const parents: readonly Step[] = [
  [
    "src/trace/process/parents.ts",
    null,
    `/** The parent of an event's process, from /proc: of processes that are still there. */
import { readFileSync } from "node:fs";
import { monotonicNs } from "../../kernel/clock.ts";
import { lifeOf } from "../../kernel/process.ts";
import type { Part } from "../part.ts";
import { endOf } from "./ticks.ts";

export const parents = (): Part => ({
  name: "parents",
  without: "parents of processes are not known",
  points: () => [],
  start: ({ tgid }) => ({
    enrich(shown, { owner }) {
      // In a pid namespace /proc numbers processes otherwise than the events do.
      const seen = tgid === process.pid && shown.pid !== null;
      shown.ppid = seen ? parentOf(shown.pid!, owner.owned_at) : null;
    },
  }),
});

// --- internal ---

function parentOf(pid: number, ownedAt: number): number | null {
  try {
    const stat = readFileSync(\`/proc/\${pid}/stat\`, "latin1");
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    // A process that began later has only got the number.
    return lifeOf(pid).startedNs <= endOf(ownedAt, monotonicNs()) ? parent : null;
  } catch {
    return null;
  }
}
`,
  ],
  [
    "src/trace/parts.ts",
    "import type { PartOf }",
    'import { parents } from "./process/parents.ts";\nimport type { PartOf }',
  ],
  ["src/trace/parts.ts", "  groupsPart,\n", "  groupsPart,\n  parents,\n"],
  [
    "src/members/attributes.ts",
    "const ofParts = {}",
    `const ofParts = {
  ppid: {
    description: "process id of the parent of the process, as long as the process is there",
    column: { title: "PPID", width: 7, meaning: "process id of that process's parent" },
    names: { openTelemetry: "\`process.parent_pid\`", ecs: "\`process.parent.pid\`" },
  },
}`,
  ],
];

const filesOf = (steps: readonly Step[]) => [...new Set(steps.map(([file]) => file))];

const copies = new Copies("newcomers");
let copy: string;

beforeAll(async () => {
  copy = copies.of(top, "both");
  for (const step of [...resets, ...parents]) edit(copy, step);
  for (const command of [
    ["build.ts", "--dev"],
    ["run", "docs"],
  ]) {
    const { exitCode, text } = await run(copy, [process.execPath, ...command]);
    expect(exitCode, text).toBe(0);
  }
});
afterAll(() => copies[Symbol.dispose]());

describe("the files that a part touches", () => {
  const named = Array.from(
    contributing("To add a part").matchAll(/`((?:bpf|src)\/[\w/.]+)`/g),
    ([, path]) => path!,
  );
  /** SUBJECT is the folder of a subject; a folder stands for a file in it. */
  const isAt = (file: string, path: string) =>
    new RegExp(`^${path.replace("SUBJECT", "\\w+").replace(/\/$/, "/\\w+\\.(h|ts)")}$`).test(file);

  test("are four for the one that counts, three for the one that adds a member", () => {
    expect(filesOf(resets)).toHaveLength(4);
    expect(filesOf(parents)).toHaveLength(3);
  });

  test("are those that CONTRIBUTING.md names, and no others", () => {
    const touched = [...filesOf(resets), ...filesOf(parents)];
    expect(touched.filter((file) => !named.some((path) => isAt(file, path)))).toEqual([]);
    expect(named.filter((path) => !touched.some((file) => isAt(file, path)))).toEqual([
      // It is read, not touched.
      "src/trace/part.ts",
    ]);
  });
});

test("the types fit, those of the tests too", async () => {
  expect(await run(copy, [TSC, "-p", "."])).toMatchObject({ exitCode: 0, text: "" });
});

test("the tests of layers, names, members, lines, recordings and documents pass", async () => {
  const names = ["architecture", "english", "exports", "straight", "recording", "schema"];
  const files = [...names, "documents", "layout", "state"].map(
    (name) => `./test/unit/${name}.test.ts`,
  );
  const { exitCode, text } = await bunTest(copy, ["--parallel=2", ...files]);
  expect(exitCode, text).toBe(0);
});

test("the trace tells how many resets were sent, as the kernel's own counter does", async () => {
  // Others on this host may send some in another network namespace.
  for (let told = NaN, sent = 0; !(told >= 5 && told <= sent);) {
    const before = sentResets();
    await using trace = await Trace.start(copy, []);
    for (let n = 0; n < 5; n++) reset();
    expect(await trace.stop()).toBe(0);
    sent = sentResets() - before;
    told = Number(/(\d+) resets? sent$/m.exec(trace.told.join("\n"))?.[1]);
    expect(told, trace.told.join("\n")).not.toBeNaN();
  }
});

test("each event has the parent of its own process", async () => {
  using listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data() {}, open: (socket) => void socket.end() },
  });
  const flags = ["--events", "connect", "--remoteport", `${listener.port}`];
  await using trace = await Trace.start<Shown>(copy, flags);
  // They stay until the end, so that /proc tells of each.
  await using processes = new AsyncDisposableStack();
  const truth = new Map<number, number>();
  const seen = new Set<number>();
  // On a busy machine the tracepoint mode can miss an event.
  while (seen.size < 2) {
    const child = processes.use(await Connected.start([], listener.port));
    const by = ["sh", "-c", '"$@"; :', "sh"];
    const grandchild = processes.use(await Connected.start(by, listener.port));
    expect(child.ppid).toBe(process.pid);
    expect(grandchild.ppid).not.toBe(process.pid);
    for (const { port, ppid } of [child, grandchild]) truth.set(port, ppid);
    const { ppid, local } = await trace.next();
    expect(ppid).toBe(truth.get(local.port)!);
    seen.add(ppid!);
  }
  expect(await trace.stop()).toBe(0);
});

test("a kernel that refuses the counting part costs the user that one alone", async () => {
  const { exitCode, text } = await bunTest(copy, [
    "./test/kernel/refused.test.ts",
    ...["-t", "tracepoints .*without resets"],
  ]);
  expect(exitCode, text).toBe(0);
  expect(text).toMatch(/^ 2 pass$/m);
});

// --- internal ---

interface Shown {
  ppid: number | null;
  local: { port: number };
}

/** Of this network namespace. */
function sentResets(): number {
  const [names, values] = readFileSync("/proc/net/snmp", "latin1")
    .split("\n")
    .filter((line) => line.startsWith("Tcp:"))
    .map((line) => line.split(" "));
  return Number(values![names!.indexOf("OutRsts")]);
}

function reset(): void {
  const listener = new Listener("127.0.0.1");
  const client = dial("127.0.0.1", listener.port);
  const server = listener.accept();
  client.abort();
  server.close();
  listener.close();
}

type Child = Bun.Subprocess<"pipe", "pipe", "inherit">;

/** A process that has a connection, and stays until it is disposed of. */
class Connected implements AsyncDisposable {
  readonly port: number;
  readonly ppid: number;
  readonly #child: Child;

  private constructor(child: Child, { port, ppid }: { port: number; ppid: number }) {
    this.#child = child;
    this.port = port;
    this.ppid = ppid;
  }

  /** `by`: the command that starts it. */
  static async start(by: readonly string[], port: number): Promise<Connected> {
    const script = `
      const socket = await Bun.connect({
        hostname: "127.0.0.1", port: ${port}, socket: { data() {}, end() {} },
      });
      console.log(JSON.stringify({ port: socket.localPort, ppid: process.ppid }));
      await Bun.stdin.text();
      socket.end();`;
    const child = Bun.spawn([...by, process.execPath, "-e", script], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    for await (const bytes of child.stdout)
      return new Connected(child, JSON.parse(Buffer.from(bytes).toString()));
    throw new Error("the process has ended");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.end();
    await this.#child.exited;
  }
}
