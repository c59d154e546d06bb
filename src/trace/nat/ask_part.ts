/**
 * NAT by asking the kernel's tables of connection tracking: of connections that are older than the trace, and with
 * tracepoints of those that begin while it runs.
 */
import { capability } from "../../kernel/capability.ts";
import { CAP_NET_ADMIN } from "../../kernel/constants.ts";
import { monotonicNs } from "../../kernel/clock.ts";
import { conntrackIsThere, modulesCanCome } from "../../kernel/ctnetlink.ts";
import { hostNamespace } from "../../kernel/namespaces.ts";
import { ConnFact, EventKind, type Event } from "../../record/layout.gen.ts";
import { isLast } from "../event.ts";
import type { TraceOptions } from "../options.ts";
import type { Opened, Part, Working } from "../part.ts";
import { tellRefusal } from "../refusal.ts";
import { Absence } from "./absence.ts";
import { tupleOf, type Asked } from "./ask.ts";
import { identityOf, KnownNat } from "./ask_known.ts";
import { Inquiry } from "./ask_live.ts";
import { Tables } from "./ask_tables.ts";
import { askAtStart, hasEntries } from "./ask_start.ts";

const OF_PART = {
  name: "NAT by asking",
  without: "the translation of connections older than the trace is not known",
} as const;

export const askingPart = ({ nat: asked = true }: TraceOptions): Part => {
  let kept: KnownNat | null = null;
  const knownIn = ({ marks }: Opened): KnownNat => (kept ??= new KnownNat(marks.map()));
  return {
    ...OF_PART,
    asked,
    points: () => [],
    takesStock: (on) => {
      const known = knownIn(on);
      /** Namespaces that were visited, and whether their tables have entries: most track nothing. */
      const tracking = new Map<number, boolean>();
      const mayTrack = (netns: number | undefined) =>
        netns !== undefined && tracking.get(netns) !== false;
      return {
        visit: ({ netns }) => void tracking.set(netns, conntrackIsThere() && hasEntries()),
        describe: (events, between) => {
          // To ask of many connections takes long, also where there is nothing to be found.
          const all = mayTrack(hostNamespace()?.netns);
          const asked = all ? events : events.filter(({ netns }) => mayTrack(netns));
          const refused = askOlder(asked, known, between);
          if (refused !== null) tellRefusal(OF_PART, refused, on.notes);
          return [...events];
        },
      };
    },
    start(on) {
      const known = knownIn(on);
      const absence = new Absence(() => Number(monotonicNs()));
      const { learns = () => {}, ...live } =
        on.mode === "tracepoint" ? asking(on, known, absence.look()) : {};
      return {
        ...live,
        renew: () => learns(absence.look()),
        shown(event) {
          if (isOver(event.kind)) known.ends(event);
          return true;
        },
        enrich(shown, event) {
          shown.nat ??=
            known.of(event) ?? ((event.flags & ConnFact.FACT_PLAIN) !== 0 ? false : null);
        },
        complete(shown, event) {
          if (shown.nat === null && absence.of(event)) shown.nat = false;
        },
        holds(view, p) {
          if (known.concern(view, p)) return false;
          absence.mark(view, p);
          return true;
        },
        conditions(to) {
          absence.conditions(to);
          return true;
        },
        tick: () => known.forgetEnded(),
      };
    },
  };
};

// --- internal ---

/** A flow that was silent for long and goes on may be translated in another way. */
const isOver = (kind: number): boolean => isLast(kind) || kind === EventKind.EVENT_UDP_CLOSE;

/** Why some could not be asked for, for the user. */
function askOlder(events: readonly Event[], known: KnownNat, between: () => void): string | null {
  const older: Event[] = [];
  const asked: Asked[] = [];
  for (const event of events) {
    const tuple = OLDER.has(event.kind) ? tupleOf(event) : null;
    if (tuple === null) continue;
    older.push(event);
    asked.push({ netns: event.netns, tuple });
  }
  const { nat, refused } = askAtStart(asked, between);
  for (const [n, event] of older.entries()) known.set(identityOf(event), nat[n]!);
  return refused;
}

const OLDER: ReadonlySet<number> = new Set([EventKind.EVENT_OPEN, EventKind.EVENT_PASSIVE]);

interface Asking extends Working {
  /** To be told at each poll. */
  learns(isAbsent: boolean): void;
}

/**
 * To enter other namespaces takes capabilities that are dropped. The module may come later, and may then be asked through
 * ctnetlink, or by a program that is still to be loaded: both take CAP_NET_ADMIN.
 */
function asking({ host, object }: Opened, known: KnownNat, isAbsent: boolean): Partial<Asking> {
  if (isAbsent && !modulesCanCome()) return {};
  const tables = new Tables(host);
  object.own(tables);
  const needsNothing = tables.isThere(!isAbsent);
  const root = hostNamespace()?.netns ?? null;
  const inquiry = new Inquiry(
    known,
    root,
    (netns, asked) => tables.ask(netns, asked),
    // The packets of another namespace pass the host's table too, which is asked where it is known.
    (netns) => (root !== null && netns !== root) || tables.mayTrack(netns),
  );
  let asks = !isAbsent;
  return {
    learns(isAbsentNow) {
      asks = !isAbsentNow;
      tables.isThere(asks);
    },
    looks: () => asks,
    drained: (view, p) => inquiry.drained(view, p),
    drainedAll: () => inquiry.ask(),
    ...(needsNothing ? {} : { capabilities: capability(CAP_NET_ADMIN) }),
  };
}
