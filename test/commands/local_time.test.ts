/** The times that people read are those of date(1), however the time zone is given. */

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "zone-"));
afterAll(() => rmSync(folder, { recursive: true }));

const main = join(import.meta.dir, "../../src/main.ts");
const recording = join(import.meta.dir, "../fixtures/recording/two_sessions.recording");

/**
 * A zone file (tzfile(5), version 2) that is no part of the zone database: 5 h 45 min and 7 s ahead of UTC, always, as
 * its one type of local time and as the rule behind the table says.
 */
function zoneFile(): string {
  const seconds = 5 * 3600 + 45 * 60 + 7;
  const header = Buffer.alloc(44);
  header.write("TZif2");
  // One type of local time, and four bytes of abbreviation.
  header.writeUInt32BE(1, 36);
  header.writeUInt32BE(4, 40);
  const type = Buffer.alloc(6);
  type.writeInt32BE(seconds);
  const table = Buffer.concat([header, type, Buffer.from("LAB\0")]);
  const path = join(folder, "zone");
  writeFileSync(path, Buffer.concat([table, table, Buffer.from("\nLAB-5:45:07\n")]));
  return path;
}

/** To add a way to give a time zone, add a row. */
test.each<[string, string | undefined]>([
  ["nothing", undefined],
  ["a name of the zone database", "America/New_York"],
  ["a rule", "CET-1CEST,M3.5.0,M10.5.0/3"],
  ["a rule with a name in brackets", "<+0330>-3:30"],
  ["the path of the host's zone", ":/etc/localtime"],
  ["the path of a file of no database", `:${zoneFile()}`],
])("with %s as TZ", (_, zone) => {
  const env: Record<string, string | undefined> = { ...process.env, NO_COLOR: "1", TZ: zone };
  if (zone === undefined) delete env["TZ"];
  const run = (command: string[]) => Bun.spawnSync(command, { env }).stdout.toString().trim();
  const replay = [process.execPath, main, "replay", recording];
  const times = run([...replay, "-T", "-H"])
    .split("\n")
    .map((line) => line.slice(0, 12));
  const instants = run([...replay, "--json"])
    .split("\n")
    .map((line) => (JSON.parse(line) as { time: string }).time);
  expect(instants.length).toBeGreaterThan(20);
  const [first, last] = [instants[0]!, instants.at(-1)!];
  const truth = [first, last].map((at) => run(["date", "-d", at, "+%H:%M:%S.%3N"]));
  expect([times[0]!, times.at(-1)!]).toEqual(truth);
});
