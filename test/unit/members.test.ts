/** The values that an event holds and the members that a line has belong together. */
import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import { wallTime } from "../../src/conn/clock.ts";
import type { ConnEvent, EventKind } from "../../src/conn/event.ts";
import { held, leaves, type Leaf } from "../../src/members/held.ts";
import { members } from "../../src/members/table.ts";
import { formats } from "../../src/output/index.ts";
import { stackOf } from "../../src/protocols/stack.ts";
import { allAttributes } from "./drive/attributes.ts";
import { anyValue, withValue } from "./drive/leaves.ts";

const clocks = { monoNs: 0n, wallNs: 0n };
const whole: ConnEvent = {
  kind: "close",
  id: "0123456789abcdef0123",
  protocol: "tcp",
  atNs: 5n,
  pid: 1,
  comm: "c",
  ...allAttributes(2),
  user: "u",
  cgroup: "/",
  container: "i",
  args: "a",
  exe: "/e",
  parentPid: 9,
  parentComm: "p",
  family: 4,
  direction: "outgoing",
  netns: 3,
  local: { address: "10.0.0.1", port: 4 },
  remote: { address: "10.0.0.2", port: 5, name: "n", nameSource: "answer" },
  nat: false,
  application: stackOf(null, "postgres", "tls"),
  protocolSource: "seen",
  tls: { version: "1.3", serverName: "s", alpn: "h2", alpnOffered: "h2" },
  dns: { questionName: "q", responseCode: "NOERROR" },
  quic: { version: "1" },
  connectNs: 9_000n,
  acceptNs: 10_000n,
  failure: 104,
  totals: {
    bytesSent: 1n,
    bytesReceived: 2n,
    segsOut: 3,
    segsIn: 4,
    rttUs: 5,
    rttVarUs: 6,
    retransmits: 7,
    durationNs: 8_000n,
  },
};

/** The kinds of events that show a leaf, where others do not. */
const kinds: Partial<Record<Leaf, EventKind>> = { connectNs: "connect", acceptNs: "accept" };
const showing = (leaf: Leaf): ConnEvent => ({ ...whole, kind: kinds[leaf] ?? whole.kind });

/** The resolver names the remote end only. */
const notShown: readonly Leaf[] = ["local.name", "local.nameSource"];

describe.each(["json", "csv"] as const)("a line of %s", (name) => {
  test.each(leaves)("shows %s", (leaf) => {
    const values = fc.sample(anyValue(leaf), { numRuns: 50, seed: 1 });
    const lines = values.map((value) => {
      const event = withValue(showing(leaf), leaf, value);
      return formats[name].line(event, wallTime(event.atNs, clocks));
    });
    expect(new Set(lines).size > 1).toBe(!notShown.includes(leaf));
  });
});

test("a member has one name, and null only where it can be unknown", () => {
  expect(new Set(members.map(({ name }) => name)).size).toBe(members.length);
  for (const leaf of leaves.filter((one) => held[one].orNull)) {
    const known = showing(leaf);
    const unknown = withValue(known, leaf, null);
    const nulls = members.filter(({ of }) => of(unknown, 0n) === null && of(known, 0n) !== null);
    expect(nulls.filter(({ nullable }) => !nullable)).toEqual([]);
    expect(nulls.length > 0).toBe(!notShown.includes(leaf));
  }
});
