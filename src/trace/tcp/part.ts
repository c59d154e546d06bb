/** TCP connections: from connect or accept to close. Nothing is traced without this part. */
import type { AttachMode } from "../../kernel/host.ts";
import { possibleCpus } from "../../kernel/cpus.ts";
import { withLoopback } from "../../guess/netns.ts";
import { Counter } from "../../record/layout.gen.ts";
import type { KernelFilter } from "../kernel_filter.ts";
import { NO_FILTER, wantsProtocol } from "../kernel_filter.ts";
import type { TraceOptions } from "../options.ts";
import type { Finding, Opened, Part, Point, Working } from "../part.ts";
import { askAccepted, holderSource } from "./accept_sources.ts";
import { Acceptors } from "./acceptors.ts";
import { Accepts } from "./accepts.ts";
import { selfCheck } from "./check.ts";
import { requireFields } from "./fields.ts";
import { Handshakes } from "./handshakes.ts";
import { learnListeners, rehearseWalk } from "./holders.ts";
import { acceptPoints, INNER_CLOSE, kprobes, runByTool, tracepoints } from "./points.ts";
import { takeStock } from "./stock.ts";
import {
  addTotals,
  askFew,
  holdsTotals,
  knownTotals,
  shownFields,
  type KnownTotals,
} from "./totals.ts";
import { Opens } from "./opens.ts";
import { workingTcp } from "./working.ts";
import { tellYounger } from "./younger.ts";

/** In tracepoint mode: told neither by an accept nor by a close. */
export const ACCEPT_UNKNOWN = "accept possibly missed, its close was lost";

const CAUSES: Record<AttachMode, string> = {
  kprobe: "accept possibly missed, its probe was busy",
  // One program sees all that happens to a connection.
  tracepoint: "TCP event possibly missed, its probe was busy",
};

export function tcp({ filter = NO_FILTER, maxConnections: entries }: TraceOptions): Part {
  /** From the guess, without what the check found wrong. */
  let known: KnownTotals | null = null;
  return {
    name: "TCP",
    without: null,
    ...(wantsTcp(filter) ? { protocol: "TCP" } : {}),
    fields: shownFields,
    symbols: [INNER_CLOSE],
    mapSizes: {
      inodes_before: possibleCpus(),
      ...(entries === undefined ? {} : { conns: entries }),
    },
    missing({ report, mode }) {
      requireFields(report, mode);
      return null;
    },
    points: ({ host, mode }): readonly Point[] =>
      mode === "kprobe"
        ? kprobes()
        : [...tracepoints(host.features.has("preemptible_tracepoints")), ...runByTool],
    alternatives: ({ mode }) => (mode === "kprobe" ? acceptPoints : []),
    misses: { cause: (mode) => CAUSES[mode], rescued: Counter.COUNTER_STATE_RESCUED },
    check(on) {
      known = knownTotals(on.report);
      return check(on, known);
    },
    takesStock: takeStock,
    start: (on, between) => start(on, between, known ?? knownTotals(on.report)),
  };
}

// --- internal ---

const wantsTcp = (filter: KernelFilter): boolean => wantsProtocol(filter, "tcp");

/** A total that came back wrong is not known from then on. */
function check(on: Opened, known: KnownTotals): Finding {
  using _learning = learnListeners(on);
  const { drain } = on;
  const { sawAccept, tgid, wrong } = withLoopback((place) => selfCheck(place, drain, known));
  if (!sawAccept) return { unseen: "accept" };
  for (const { total } of wrong) known[total] = false;
  return { tgid, notes: wrong.map(({ note }) => note) };
}

function start(on: Opened, between: () => void, known: KnownTotals): Working {
  const ask = askAccepted(on, between);
  const isByTool = on.mode === "tracepoint";
  const untold = isByTool ? new Handshakes(on.host.shim.addressOf) : null;
  const acceptors = new Acceptors(holderSource(on, between), on.tgid, untold);
  const accepts = new Accepts(ask, acceptors, on.marks.map(), untold);
  if (isByTool) acceptors.begin();
  tellYounger(on);
  const opens = new Opens(on.marks.map(), on.marks.map());
  const tcp = workingTcp(accepts, opens, isByTool ? undefined : [], untold);
  return {
    ...tcp,
    enrich: addTotals(known),
    // Its totals and its failure are the record's own.
    holds: holdsTotals,
    conditions(to) {
      askFew(to);
      return tcp.conditions(to);
    },
    losses: () => [{ cause: ACCEPT_UNKNOWN, count: accepts.lost }],
    rehearse() {
      if (!isByTool) return;
      ask(0n, 0);
      rehearseWalk(on);
    },
  };
}
