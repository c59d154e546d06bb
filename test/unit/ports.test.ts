/** Filters by ports. */
import { expect, test } from "bun:test";
import { portTest, type PortFilter } from "../../src/conn/ports.ts";

const none: PortFilter = { ports: [], localPorts: [], remotePorts: [] };

test("a filter without a port asks for nothing", () => {
  expect(portTest(none)).toBeNull();
});

test.each<[Partial<PortFilter>, local: number, remote: number, boolean | null]>([
  [{ ports: [443] }, 40_000, 443, true],
  [{ ports: [443] }, 443, 40_000, true],
  [{ ports: [443] }, 40_000, 80, false],
  [{ ports: [443] }, 443, 0, true],
  [{ ports: [443] }, 40_000, 0, null],
  [{ ports: [443] }, 0, 443, true],
  [{ ports: [443] }, 0, 80, false],
  [{ localPorts: [443] }, 443, 0, true],
  [{ localPorts: [443] }, 80, 0, false],
  [{ localPorts: [443] }, 0, 443, false],
  [{ remotePorts: [443] }, 0, 443, true],
  [{ remotePorts: [443] }, 443, 80, false],
  [{ remotePorts: [443] }, 443, 0, null],
  [{ ports: [80], remotePorts: [443] }, 80, 443, true],
  [{ ports: [80], remotePorts: [443] }, 80, 0, null],
  [{ ports: [80], remotePorts: [443] }, 40_000, 443, false],
  [{ localPorts: [80], remotePorts: [443] }, 81, 0, false],
])("%j and %d to %d: %p", (some, local, remote, met) => {
  expect(portTest({ ...none, ...some })!(local, remote)).toBe(met);
});
