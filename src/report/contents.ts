/** The contents of a report's page. Pure. */
import type { OffsetAt } from "../conn/clock.ts";
import { overview } from "../summary/render.ts";
import { groupSection, sectionsOf } from "../summary/sections.ts";
import type { Summary } from "../summary/tally.ts";
import { connectionTable, sectionTable } from "./columns.ts";
import type { Gathered } from "./gather.ts";
import type { Page } from "./html.ts";
import { sankeySvg } from "./sankey.ts";
import { timelineSvg } from "./timeline.ts";

export interface About {
  /** Of the recording. */
  name: string;
  sessions: readonly { tool: string; kernel: string; description: string }[];
  /** Lines that say what is missing. */
  warnings: readonly string[];
  offsetAt: OffsetAt;
}

export function pageOf(summary: Summary, gathered: Gathered, about: About): Page {
  const { rows, older, groups, links, bins, openBefore } = gathered;
  const { name, sessions, warnings, offsetAt } = about;
  // The first one, by process, is among the groups.
  const [, ...sections] = sectionsOf(summary, ROWS, offsetAt);
  const note = older === 0 ? "" : `The newest ones: ${older} older ones are only in the sums.`;
  const sankey = sankeySvg(links);
  return {
    title: `Connections of ${name}`,
    facts: [
      ...sessions
        .slice(0, MOST_SESSIONS)
        .map(({ tool, description }) => `tracer-bpf ${tool}: ${description}`),
      ...(sessions.length > MOST_SESSIONS ? [`${sessions.length} traces in all`] : []),
      ...overview(summary),
    ],
    warnings,
    pictures: [
      ...(bins.length === 0
        ? []
        : [{ title: "Over time", note: TIMELINE_NOTE, svg: timelineSvg(bins, openBefore) }]),
      ...(sankey === null
        ? []
        : [{ title: "Processes and services", note: SANKEY_NOTE, svg: sankey }]),
    ],
    tables: [
      ...groups
        .filter(({ groups: all }) => all.some((group) => group.name !== null))
        .map(({ by, groups: all }) => ({
          ...sectionTable(groupSection(by, all.slice(0, MOST_GROUPS))),
          title: `by ${by}`,
        })),
      ...sections.map(sectionTable),
      connectionTable(rows, note),
    ].filter((table) => table.rows > 0),
  };
}

// --- internal ---

const ROWS = 100;
const MOST_GROUPS = 10_000;
const MOST_SESSIONS = 5;

const TIMELINE_NOTE =
  "Times are UTC. Connections and flows that began, and attempts that failed in red; below how many were open.";
const SANKEY_NOTE =
  "As thick as the bytes that both ends sent. A service is the port that its server listens on; here: on the traced host.";
