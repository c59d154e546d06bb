/** The keys of the live view. Pure. */
import { ESC } from "./codes.ts";
import { columns, rateOrder } from "./columns.ts";
import { topGroupingNames } from "./groupings.ts";
import type { Row } from "./rows.ts";
import type { View } from "./state.ts";

/** The rows as they are shown, and how many fit. */
export interface Screenful {
  rows: readonly Row[];
  fits: number;
}

interface Key {
  /** Names as of `keysOf`. */
  keys: readonly string[];
  /** For the help; a key without is the same as another one. */
  shown: string;
  meaning: string;
  press(view: View, screen: Screenful): View;
}

/** To add a key, add a row: the help is made of this table. Where text is typed, keys have no meaning. */
export const keys: readonly Key[] = [
  {
    keys: ["q", "^C"],
    shown: "q, Ctrl-C",
    meaning: "quit",
    press: (view) => ({ ...view, quit: true }),
  },
  {
    keys: ["h", "?"],
    shown: "h, ?",
    meaning: "this help; the same key or Esc leaves it",
    press: (view) => ({ ...view, help: !view.help, scroll: 0 }),
  },
  {
    keys: ["up", "k"],
    shown: "Up, Down",
    meaning: "select a row; also k and j, Page Up, Page Down, Home, End",
    press: (view, screen) => moved(view, screen, -1),
  },
  { keys: ["down", "j"], shown: "", meaning: "", press: (view, screen) => moved(view, screen, 1) },
  {
    keys: ["pageup"],
    shown: "",
    meaning: "",
    press: (view, screen) => moved(view, screen, -screen.fits),
  },
  {
    keys: ["pagedown"],
    shown: "",
    meaning: "",
    press: (view, screen) => moved(view, screen, screen.fits),
  },
  {
    keys: ["home"],
    shown: "",
    meaning: "",
    press: (view, screen) => moved(view, screen, -Infinity),
  },
  { keys: ["end"], shown: "", meaning: "", press: (view, screen) => moved(view, screen, Infinity) },
  {
    keys: ["enter"],
    shown: "Enter",
    meaning: "details of the selected row and its connections; again or Esc: back",
    press(view, { rows }) {
      if (view.details !== null) return left(view);
      const row = selectedOf(view, rows) ?? rows[0];
      if (row === undefined) return view;
      return { ...view, details: { by: view.by, key: row.key, row }, selected: null, frozen: null };
    },
  },
  {
    keys: [" "],
    shown: "Space",
    meaning: "also show the remote ends of the selected row, or no longer",
    press(view, { rows }) {
      const row = selectedOf(view, rows) ?? rows[0];
      if (row === undefined || view.details !== null) return view;
      const expanded = new Set(view.expanded);
      if (!expanded.delete(row.key)) expanded.add(row.key);
      return { ...view, expanded, selected: row.key };
    },
  },
  {
    keys: ["g"],
    shown: "g, G",
    meaning: `put together by the next or the previous: ${topGroupingNames.join(", ")}`,
    press: (view) => grouped(view, 1),
  },
  { keys: ["G"], shown: "", meaning: "", press: (view) => grouped(view, -1) },
  {
    keys: ["s"],
    shown: "s",
    meaning: "sort by the next column",
    press: (view) => ({ ...view, sort: after(sortable(view), view.sort, 1), frozen: null }),
  },
  {
    keys: ["S"],
    shown: "S",
    meaning: "sort the other way round",
    press: (view) => ({ ...view, reverse: !view.reverse, frozen: null }),
  },
  {
    keys: ["/"],
    shown: "/",
    meaning:
      "filter: a part of a name, or flags as of the command line: --remoteport 443 --comm curl",
    press: (view) => ({ ...view, typing: view.filter }),
  },
  {
    keys: ["f"],
    shown: "f",
    meaning: "freeze the order of the rows, or let them move again",
    press: (view, { rows }) => ({
      ...view,
      frozen: view.frozen === null ? rows.map(({ key }) => key) : null,
    }),
  },
  {
    keys: ["p"],
    shown: "p",
    meaning: "pause, or go on; counting goes on meanwhile",
    press: (view) => ({ ...view, paused: !view.paused }),
  },
  {
    keys: ["t"],
    shown: "t",
    meaning: "also show rows in which all has ended, or no longer",
    press: (view) => ({ ...view, ended: !view.ended }),
  },
  {
    keys: ["n"],
    shown: "n",
    meaning: "names of remote addresses (asks the DNS), or numbers again",
    press: (view) => ({ ...view, names: !view.names }),
  },
  {
    keys: ["b"],
    shown: "b",
    meaning: "rates in bits (1k = 1000), or in bytes again (1K = 1024)",
    press: (view) => ({ ...view, bits: !view.bits }),
  },
  {
    keys: ["+", "="],
    shown: "+, -",
    meaning: "longer or shorter intervals",
    press: (view) => ({
      ...view,
      intervalMs: intervals.find((ms) => ms > view.intervalMs) ?? view.intervalMs,
    }),
  },
  {
    keys: ["-"],
    shown: "",
    meaning: "",
    press: (view) => ({
      ...view,
      intervalMs: intervals.findLast((ms) => ms < view.intervalMs) ?? view.intervalMs,
    }),
  },
  {
    keys: ["escape", "backspace"],
    shown: "",
    meaning: "",
    press: (view) => (view.help ? { ...view, help: false } : left(view)),
  },
];

/** The view after a key; the same object if it has no meaning. */
export function press(view: View, key: string, screen: Screenful): View {
  if (view.typing !== null) return typed(view, view.typing, key);
  const row = keys.find((of) => of.keys.includes(key));
  return row === undefined ? view : row.press(view, screen);
}

/** The sequences of usual terminals, without their escape character. To add one, add a row. */
const sequences: Readonly<Record<string, string>> = {
  "[A": "up",
  OA: "up",
  "[B": "down",
  OB: "down",
  "[5~": "pageup",
  "[6~": "pagedown",
  "[H": "home",
  OH: "home",
  "[1~": "home",
  "[F": "end",
  OF: "end",
  "[4~": "end",
};

/** The keys that some input is: characters, and names of the others. A sequence that is not known is no key. */
export function keysOf(input: string): string[] {
  const found = input.matchAll(
    new RegExp(`${ESC}(\\[[0-9;?<]*[ -/]*[@-~]|O[ -~])|${ESC}(?!.)|[^]`, "gu"),
  );
  return Array.from(found, ([all, sequence]) => {
    if (sequence !== undefined) return sequences[sequence] ?? [];
    if (all === ESC) return "escape";
    const code = all.codePointAt(0)!;
    if (code === 13 || code === 10) return "enter";
    if (code === 127 || code === 8) return "backspace";
    return code < 32 ? `^${String.fromCharCode(code + 64)}` : all;
  }).flat();
}

// --- internal ---

const intervals = [200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];
const MOST_TYPED = 200;
const MOST_SCROLL = 50;

/** The one that stands so many places behind in the list, which goes round. */
const after = <T>(list: readonly T[], one: T, step: number): T =>
  list[(list.indexOf(one) + step + list.length) % list.length]!;

const sortable = ({ by, details }: View): string[] => {
  const single = by === "connection" || details !== null;
  const shown = columns.filter(
    ({ groupsOnly, saidBy }) => !(groupsOnly && single) && saidBy !== by,
  );
  return [rateOrder.name, ...shown.map(({ name }) => name)];
};

const selectedOf = ({ selected }: View, rows: readonly Row[]): Row | undefined =>
  rows.find(({ key }) => key === selected);

function moved(view: View, { rows }: Screenful, step: number): View {
  // The screen knows where the help ends.
  if (view.help) return { ...view, scroll: Math.min(Math.max(view.scroll + step, 0), MOST_SCROLL) };
  if (rows.length === 0) return view;
  const at = rows.findIndex(({ key }) => key === view.selected);
  const to = at < 0 && Math.abs(step) === 1 ? 0 : Math.max(at, 0) + step;
  return { ...view, selected: rows[Math.min(Math.max(to, 0), rows.length - 1)]!.key };
}

const grouped = (view: View, step: number): View => {
  if (view.details !== null) return view;
  const by = after(topGroupingNames, view.by, step);
  const next = { ...view, by, selected: null, frozen: null, expanded: new Set<string>() };
  return sortable(next).includes(view.sort) ? next : { ...next, sort: rateOrder.name };
};

/** Out of the details, to the row that they are of; else no filter any more. */
const left = (view: View): View =>
  view.details === null
    ? { ...view, filter: "", selected: null }
    : { ...view, details: null, selected: view.details.key, frozen: null };

function typed(view: View, text: string, key: string): View {
  if (key === "enter") return { ...view, filter: text.trim(), typing: null };
  if (key === "escape") return { ...view, typing: null };
  if (key === "^C") return { ...view, quit: true };
  if (key === "^U") return { ...view, typing: "" };
  if (key === "backspace") return { ...view, typing: [...text].slice(0, -1).join("") };
  // Names of keys are longer than a character.
  if ([...key].length !== 1 || text.length >= MOST_TYPED) return view;
  return { ...view, typing: text + key };
}
