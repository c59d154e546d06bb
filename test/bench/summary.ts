/** The first table of RESULTS.md: each target, what its section has measured, and whether that meets it. Pure. */
import { figure, TOLERANCE, versionOf } from "./rows.ts";
import { table, tablesOf } from "./table.ts";

/** The sections of RESULTS.md by their titles. */
export type Sections = ReadonlyMap<string, string>;

export function summary(sections: Sections): string {
  return [ratesTable(sections), LEGEND, othersTable(sections), completeness(sections)].join("\n");
}

// --- internal ---

const FEATURES = "The cost of one feature";
const LEGEND = `Rates are shares of the untraced rate, instruction by instruction, and the columns are versions of Linux. The other
figures are of the machine that each section names, where other programs may have run.
`;

const KPROBES = "tracer-bpf, kprobes";
const TRACEPOINTS = "tracer-bpf, tracepoints";

interface Target {
  text: string;
  /** `rateOf` is that of the same name and kernel by another tracer; undefined: no target there. */
  on: (kernel: string, rateOf: (tracer: string) => number) => number | undefined;
}

const always = (rate: number): Target => ({ text: rate.toFixed(2), on: () => rate });
const since = (version: string, rate: number, before: number): Target => ({
  text: `${rate.toFixed(2)}, before ${version} ${before.toFixed(2)}`,
  on: (kernel) => (compare(kernel, version) >= 0 ? rate : before),
});
const asFastAs = (tracer: string, what: string, less: number): Target => ({
  text: `as ${what}`,
  on: (_, rateOf) => rateOf(tracer) - less,
});
const NONE: Target = { text: "-", on: () => undefined };

const plainLine = asFastAs(KPROBES, "JSON", 0);
const cold = (name: string, what: string) =>
  [KPROBES, TRACEPOINTS].map((tracer) => ({
    ...{ name, tracer, what },
    target: tracer === KPROBES ? always(0.78) : NONE,
  }));
const filter = (flags: string, target = plainLine) => ({
  ...{ name: "filters", what: "crr", target },
  tracer: `${KPROBES} ${flags}`,
});

interface RateLine {
  /** Of the section's row. */
  name: string;
  tracer: string;
  what: string;
  target: Target;
}

/** To add a line, add a row: its name and tracer are those of features.ts. */
const rates: readonly RateLine[] = [
  { name: "stream", tracer: KPROBES, what: "stream", target: always(0.99) },
  { name: "stream", tracer: TRACEPOINTS, what: "stream", target: always(0.99) },
  { name: "rr", tracer: KPROBES, what: "rr", target: always(0.99) },
  { name: "rr", tracer: TRACEPOINTS, what: "rr", target: always(0.99) },
  { name: "rr", tracer: `${TRACEPOINTS} --tcp`, what: "rr", target: always(0.99) },
  { name: "udprr", tracer: KPROBES, what: "udprr", target: since("6.2", 0.92, 0.88) },
  { name: "udprr", tracer: TRACEPOINTS, what: "udprr", target: always(0.9) },
  { name: "udp1000", tracer: KPROBES, what: "udprr, 1,000 sockets", target: NONE },
  { name: "udp1000", tracer: TRACEPOINTS, what: "udprr, 1,000 sockets", target: NONE },
  { name: "plain", tracer: KPROBES, what: "crr", target: since("6.2", 0.9, 0.86) },
  {
    ...{ name: "plain", tracer: TRACEPOINTS, what: "crr" },
    target: {
      text: "0.85, from 7.0 0.79",
      on: (kernel) => (compare(kernel, "7.0") >= 0 ? 0.79 : 0.85),
    },
  },
  {
    ...{ name: "endpoint", tracer: KPROBES, what: "crr, HTTP" },
    target: asFastAs(`${KPROBES} --no-protocols`, "without protocols - 0.007", 0.007),
  },
  ...cold("first-second", "crr, first second"),
  ...cold("first-10-seconds", "crr, first 10 s"),
  {
    ...{ name: "cgroups-v1", tracer: `${KPROBES}, cgroup v1`, what: "crr" },
    target: asFastAs(KPROBES, "cgroup v2 - 0.01", 0.01),
  },
  filter("--pid !1"),
  filter("--comm load"),
  filter("--port 1024-65535"),
  filter("--events close", always(0.91)),
  filter("--expect event==fail --within 10h"),
  filter("--record /tmp/record"),
  filter("--count 1000000000"),
  filter("--output table"),
];

interface OtherLine {
  what: string;
  section: string;
  /** The beginning of the row's first cell. */
  row: string;
  /** The column's title; the last one if not given. */
  column?: string;
  atMost: number;
}

const OPEN = "100,000 open connections";
const IDLE = "A trace to which nothing happens";
const START = "From the start to the first event";

/** To add a line, add a row: its section must have a row and a column of these names. */
const others: readonly OtherLine[] = [
  ...[
    { what: "start to the first event, ms", row: "this machine", column: "ms", atMost: 120 },
    { what: "CPU until then, ms", row: "this machine", column: "CPU, ms", atMost: 100 },
  ].map((line) => ({ ...line, section: START })),
  ...[
    { what: "memory at rest, MB", row: "memory at rest", atMost: 45 },
    { what: "wake-ups a second at rest", row: "wake-ups a second", atMost: 1 },
  ].map((line) => ({ ...line, section: IDLE })),
  ...[
    { what: "100,000 open connections: start, ms", row: "command: until it traces", atMost: 1000 },
    { what: "- bytes of each end in the tool", row: "command: growth per end", atMost: 512 },
    { what: "- one look at all, ms", row: "one look and its poll", atMost: 150 },
  ].map((line) => ({ ...line, section: OPEN })),
  { what: "live view, % of a core", section: "The live view", row: "all threads", atMost: 5 },
];

interface Measured {
  name: string;
  kernel: string;
  tracer: string;
  rate: number;
  reported: string;
}

const rowsOf = (sections: Sections): Measured[] =>
  (tablesOf(sections.get(FEATURES) ?? "")[0]?.rows ?? []).map(
    ([name = "", release = "", tracer = "", rate, , reported = ""]) => ({
      ...{ name, tracer, reported },
      kernel: versionOf(release),
      rate: figure(rate),
    }),
  );

function ratesTable(sections: Sections): string {
  const measured = rowsOf(sections);
  const kernels = [...new Set(measured.map(({ kernel }) => kernel))].toSorted(compare);
  const rateOf = (name: string, kernel: string) => (tracer: string) =>
    measured.find((of) => of.name === name && of.kernel === kernel && of.tracer === tracer)?.rate ??
    Number.NaN;
  const lines = rates.map(({ name, tracer, what, target }) => [
    what,
    tracer.replace(/^tracer-bpf, /, ""),
    target.text,
    ...kernels.map((kernel) => {
      const rate = rateOf(name, kernel)(tracer);
      const wanted = target.on(kernel, rateOf(name, kernel));
      const relative = target.text.startsWith("as ");
      return judged(
        rate,
        rate.toFixed(3),
        wanted,
        (goal) => rate >= (relative ? goal * (1 - TOLERANCE) : goal),
      );
    }),
  ]);
  return table(["traffic", "traced by", "target", ...kernels], lines);
}

function othersTable(sections: Sections): string {
  const lines = others.map(({ what, section, row: begin, column, atMost }) => {
    const found = tablesOf(sections.get(section) ?? "")
      .flatMap(({ titles, rows }) => rows.map((row) => ({ titles, row })))
      .find(({ row }) => row[0]!.startsWith(begin));
    const at = column === undefined ? -1 : (found?.titles.indexOf(column) ?? -1);
    const cell = column === undefined ? found?.row.at(-1) : found?.row[at];
    const value = figure(cell);
    return [what, String(atMost), judged(value, String(value), atMost, (goal) => value <= goal)];
  });
  return table(["", "target: at most", "measured"], lines);
}

function judged(
  value: number,
  text: string,
  target: number | undefined,
  meets: (target: number) => boolean,
): string {
  if (Number.isNaN(value)) return "-";
  if (target === undefined || Number.isNaN(target)) return text;
  return `${text} ${meets(target) ? "met" : "**missed**"}`;
}

/** Parts of the text of a row that lost nothing. */
const WHOLE = new Set(["100.0 %", "bytes exact", "none lost"]);

function completeness(sections: Sections): string {
  const counted = rowsOf(sections).filter(({ reported }) => reported !== "-");
  const lossy = counted.filter(
    ({ reported }) => !reported.split(", ").every((part) => WHOLE.has(part)),
  );
  const said = lossy.map(
    ({ name, kernel, tracer, reported }) => `${name}, ${kernel}, ${tracer}: ${reported}`,
  );
  return `Rows that counted events: ${counted.length}; with a loss: ${said.join("; ") || "none"}.\n`;
}

/** Of versions: 6.2 is before 6.12. */
function compare(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
