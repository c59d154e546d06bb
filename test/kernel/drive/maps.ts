/** How full the kernel's maps are, as `trace --debug` says it. */
import { expect } from "bun:test";

/** Entries by the map's name. */
export type Maps = Map<string, number>;

/** `debug: map conns: 0 of 65536`, before the trace and after it. */
export function mapsOf(stderr: string): [Maps, Maps] {
  const lines = [...stderr.matchAll(/^debug: map (\w+): (\d+) of \d+$/gm)];
  const maps = lines.map(([, name, entries]): [string, number] => [name!, Number(entries)]);
  expect(maps.length).toBeGreaterThanOrEqual(4);
  return [new Map(maps.slice(0, maps.length / 2)), new Map(maps.slice(maps.length / 2))];
}
