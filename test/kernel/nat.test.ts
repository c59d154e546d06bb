/**
 * Address translation by this host: each event tells the end that really answers or asks. In guests of the lab alone,
 * which bring nft, iptables and the kernel's modules: the rules are those of the host's own namespace.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import type { VerifyReport } from "../../src/guess/report.ts";
import { conntrackFields } from "../../src/guess/solve_conntrack.ts";
import { ConntrackCopySize } from "../../src/record/layout.gen.ts";
import { tracesUdp } from "./drive/datagrams.ts";
import { type Mode, modes } from "./drive/modes.ts";
import { EntriesMade } from "./drive/nat_events.ts";
import { buildNetwork } from "./drive/nat_network.ts";
import { type OlderFlow, olderFlow } from "./drive/nat_older.ts";
import { addRules, unloadAll } from "./drive/nat_rules.ts";
import { lossyScenarios, type Scenario, scenarios } from "./drive/nat_scenarios.ts";
import type { Link } from "./drive/nat_sockets.ts";
import {
  type Answer,
  arrived,
  misjudged,
  sidesOf,
  tableOfConntrack,
  type Tally,
} from "./drive/nat_truth.ts";
import { pair } from "./drive/peer.ts";
import { run, Tracer } from "./drive/tracer.ts";

setDefaultTimeout(300_000);

/** NAT_CONNECTIONS=2000 is a run for a bench: it prints how many events of each scenario were right. */
const isBench = process.env["NAT_CONNECTIONS"] !== undefined;
const COUNT = Number(process.env["NAT_CONNECTIONS"] ?? 10);

const inGuest = process.env["VM_KERNEL"] !== undefined;
const hasTools = existsSync("/usr/sbin/nft");

test.skipIf(!inGuest)("the lab has brought what translates addresses", () => {
  expect(hasTools).toBe(true);
});

/** The modes that must tell all that a scenario calls exact. In another one whatever is told must be right. */
const follows: Readonly<Record<Mode, boolean>> = { kprobe: true, tracepoint: true };

/** Connections whose entries stay in conntrack's table, which is the second truth about them. */
const kept: [string, Link][] = [];
/** All connections of which entries are made: the kernel tells of each. */
const made: [string, Link][] = [];

describe.skipIf(!inGuest).each(modes.slice(0, 1))("trace --attach %s, at first", (mode) => {
  test("without connection tracking nothing is translated, and no module is loaded", async () => {
    expect(existsSync(conntrackCount)).toBe(false);
    const before = modulesLoaded();
    const tracer = await Tracer.start(mode);
    const { client, server } = pair();
    client.close();
    server.close();
    const sides = sidesOf({ protocol: "tcp", client: client.truth, server: server.truth }, "exact");
    expect(await misjudged(tracer, sides)).toEqual([]);
    expect(modulesLoaded()).toBe(before);
    buildNetwork();
    addRules();
    // The modules have come later. Their first entries tell kprobes where the members of an entry lie.
    const drive = (answer: Answer) =>
      named("a service address")
        .drive({ count: COUNT, mode })
        .sides.map((side) => ({ ...side, answer }));
    for (const answer of ["exact or unknown", "exact or unknown", "exact"] as const)
      expect(await misjudged(tracer, drive(answer))).toEqual([]);
    expect(await tracer.stop()).toBe(0);
  });

  test.skipIf(mode !== "kprobe" || !existsSync("/sys/kernel/btf/vmlinux"))(
    "offsets in an entry are those that BTF tells",
    async () => {
      const { stdout } = await run(["offsets", "verify", "--json", "--attach", "kprobe"]);
      const { fields } = JSON.parse(stdout) as { fields: VerifyReport["rows"] };
      const ofEntry = fields.filter(({ field }) => conntrackFields.some((name) => name === field));
      expect(ofEntry.filter(({ guessed }) => guessed !== null)).toHaveLength(
        conntrackFields.length,
      );
      expect(ofEntry.filter(({ guessed, btf }) => guessed !== btf)).toEqual([]);
    },
  );
});

describe.skipIf(!inGuest || !modes.includes("kprobe"))("trace --attach kprobe", () => {
  test("as on other kernels: the function that inserts entries is inlined, UDP has no room for lookups", async () => {
    const without = ["env", "TRACER_BPF_WITHOUT=conntrack_insert,test_run"];
    const tracer = await Tracer.start("kprobe", [], without);
    const drive = (name: string, answer: Answer) =>
      named(name)
        .drive({ count: COUNT, mode: "kprobe" })
        .sides.map((side) => ({ ...side, answer }));
    // One word of a sk_buff after the other is tried.
    for (let entries = -COUNT; entries < ConntrackCopySize.CONNTRACK_COPIES; entries += COUNT)
      expect(await misjudged(tracer, drive("a service address", "exact or unknown"))).toEqual([]);
    for (const name of [
      "a service address",
      "no rule",
      "UDP: a service address",
      "UDP: masquerade",
    ])
      expect(await misjudged(tracer, drive(name, "exact"))).toEqual([]);
    expect(await tracer.stop()).toBe(0);
  });
});

describe.skipIf(!inGuest).each(modes)("trace --attach %s", (mode) => {
  let tracer: Tracer;
  let older: OlderFlow | null = null;
  let told: EntriesMade | null = null;
  const first = mode === modes[0];

  beforeAll(async () => {
    told = first ? new EntriesMade() : null;
    older = tracesUdp(mode) ? olderFlow() : null;
    older?.ask();
    tracer = await Tracer.start(mode);
  });

  afterAll(async () => {
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(/none lost/);
  });

  test.if(tracesUdp(mode))("UDP: a socket that is older than the trace", async () => {
    const sides = sidesOf(older!.ask(), "exact");
    older![Symbol.dispose]();
    // By tracepoints a datagram to a socket that is not connected does not tell where it came from.
    expect(await misjudged(tracer, mode === "kprobe" ? sides : sides.slice(0, 1))).toEqual([]);
  });

  test.each(seen(scenarios))("$name", (scenario) => judge(scenario));

  test.if(first)("what the sockets say is what conntrack's table says", () => {
    const beyond = tableOfConntrack();
    const differ = kept.filter(([, link]) => beyond(link) !== arrived(link));
    expect(differ.slice(0, 5)).toEqual([]);
    expect(new Set(kept.map(([name]) => name)).size).toBeGreaterThan(30);
  });

  test.each(seen(lossyScenarios))("$name", (scenario) => judge(scenario));

  test.if(first)("what the sockets say is what the kernel told of each entry that it made", () => {
    const changes = told!.changes(made.at(-1)![1]);
    const differ = made.filter(([, link]) => !changes(link).has(arrived(link)));
    expect(told!.losses).not.toMatch(/No buffer space/i);
    told![Symbol.dispose]();
    expect(differ.slice(0, 5)).toEqual([]);
    expect(new Set(made.map(([name]) => name)).size).toBeGreaterThan(30);
  });

  test.if(first && mode === "kprobe")(
    "the modules go, although the trace runs, and come again",
    async () => {
      unloadAll();
      expect(existsSync(conntrackCount)).toBe(false);
      await judge(named("no rule"), "exact or unknown");
      addRules();
      await judge(named("a service address"));
      await judge(named("UDP: a service address"));
    },
  );

  function seen(all: readonly Scenario[]): Scenario[] {
    return all.filter(({ udp }) => !udp || tracesUdp(mode));
  }

  async function judge({ name, kept: isKept, drive }: Scenario, least?: Answer): Promise<void> {
    const driven = drive({ count: COUNT, mode });
    const { links } = driven;
    const answer = follows[mode] ? least : "exact or unknown";
    const sides =
      answer === undefined ? driven.sides : driven.sides.map((side) => ({ ...side, answer }));
    const isTracked = driven.sides.every(({ answer }) => answer !== "unknown");
    if (first)
      for (const link of links) {
        if (isKept) kept.push([name, link]);
        if (isTracked) made.push([name, link]);
      }
    const tally: Tally = { right: 0, unknown: 0, wrong: 0 };
    const wrong = await misjudged(tracer, sides, tally);
    if (isBench) console.log(`nat: ${mode}, ${name}: ${JSON.stringify(tally)}`);
    expect(wrong.slice(0, 5)).toEqual([]);
  }
});

/** There while connections are tracked. */
const conntrackCount = "/proc/sys/net/netfilter/nf_conntrack_count";

function named(name: string): Scenario {
  return scenarios.find((scenario) => scenario.name === name)!;
}

/** Their names. A use count may change; a kernel without modules has no list. */
function modulesLoaded(): string {
  if (!existsSync("/proc/modules")) return "";
  const lines = readFileSync("/proc/modules", "latin1").split("\n");
  return lines.map((line) => line.split(" ")[0]).join(" ");
}
