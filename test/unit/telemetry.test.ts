import { expect, test } from "bun:test";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { toBytes, toTelemetry } from "../../src/public/records.ts";
import { TelemetryCounts } from "../../src/state/telemetry.ts";

const event = (kind: TracedEvent["kind"], more: Partial<TracedEvent> = {}): TracedEvent => ({
  kind,
  protocol: "tcp",
  atNs: 1n,
  pid: 1,
  comm: "a",
  family: 4,
  direction: "outgoing",
  netns: 1,
  local: { address: "10.0.0.1", port: 1 },
  remote: { address: "10.0.0.2", port: 2 },
  cookie: 1,
  ...more,
});

test("the 17 counters are filled from events and losses, in the order of the record", () => {
  const counts = new TelemetryCounts();
  for (const failure of [111, 110, 125, null]) counts.observe(event("fail", { failure }));
  counts.observe(event("fail", { failure: 104, pid: null }));
  for (const kind of ["connect", "accept", "open", "close"] as const) counts.observe(event(kind));
  counts.observe(event("close", { failure: 104 }));
  counts.observe(event("close", { protocol: "udp" }));
  expect(counts.datagramsSent).toBe(0n);
  const telemetry = counts.telemetry({
    unreadableTuples: 1009n,
    unfollowedConnects: 7001n,
    repeatedCloses: 2003n,
    repeatedFailures: 3001n,
    datagramsSent: 4001n,
    datagramsMissed: 5003n,
  });
  const words = new BigUint64Array(toBytes("Telemetry", telemetry).buffer);
  expect([...words]).toEqual([
    ...[5n, 0n, 0n, 0n, 4001n, 5003n, 0n, 2003n],
    ...[3001n, 1n, 1n, 7001n, 0n, 1009n, 1n, 4n, 3n],
  ]);
  expect(toTelemetry(new Uint8Array(words.buffer))).toEqual(telemetry);
});
