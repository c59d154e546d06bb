/**
 * Address translation (NAT): events tell which end really answers or asks. conntrack's entries are stored as they are made,
 * and looked up by the programs that see connections and flows. Its module may come, go and come again meanwhile.
 */
import { conntrackIsBuiltIn, conntrackIsThere, modulesCanCome } from "../../kernel/ctnetlink.ts";
import { IPPROTO_UDP } from "../../kernel/constants.ts";
import type { Tuple } from "../../kernel/ctnetlink_codec.ts";
import type { Host } from "../../kernel/host.ts";
import type { Row } from "../../kernel/proc_net.ts";
import { addressOfRow } from "../../record/row_address.ts";
import { findSymbol } from "../../kernel/kallsyms.ts";
import type { GuessReport } from "../../guess/report.ts";
import {
  Constant,
  ConntrackCopySize,
  EventKind,
  LINE_CONDITIONS_PLAIN_ONLY,
  type ConntrackLayout,
} from "../../record/layout.gen.ts";
import { asView, kindAt } from "../event.ts";
import type { TraceOptions } from "../options.ts";
import type { Ground, Opened, Part, Point, Prepared, Stocktaking, Working } from "../part.ts";
import type { Asked } from "./ask.ts";
import { askAtStart } from "./ask_start.ts";
import { Inquiry } from "./ask_live.ts";
import { KnownNat } from "./ask_known.ts";
import { EntryMap } from "./entry_map.ts";
import { conntrackLayout, unknownLayout, writeLayout } from "./layout.ts";
import { Learner } from "./learn.ts";
import { Translations } from "./translations.ts";

/** Entries of conntrack that are kept, the newest. */
const ENTRIES = 65_536;
/** The same on a host that has no conntrack yet, and may never have it. */
const ENTRIES_IN_CASE = 16_384;

export function nat({ nat: asked = true, maxConnections = ENTRIES }: TraceOptions): Part {
  let layout: ConntrackLayout | null = null;
  return {
    name: "NAT",
    asked,
    without: "address translation (NAT) is not known",
    symbols: [INSERT, FREE],
    prepare(host, report) {
      if (report.attach !== "kprobe" || !(conntrackIsThere() || modulesCanCome())) return {};
      layout = layoutOf(host, report);
      return made(layout, host, maxConnections);
    },
    points: (ground) => (layout === null ? [] : points(ground, layout)),
    takesStock(on) {
      const isFollowed = layout !== null && on.mode === "kprobe" && conntrackIsThere();
      return isFollowed ? olderFlows(on) : { visit: () => {} };
    },
    start(on) {
      if (layout === null || on.mode !== "kprobe") return telling();
      writeLayout(on.host, on.object, layout);
      return { ...telling(on.newer ? {} : flowsAsked(on, layout)), ...following(on, layout) };
    },
  };
}

// --- internal ---

const INSERT = "__nf_conntrack_hash_insert";
const CONFIRM = "__nf_conntrack_confirm";
const FREE = "nf_conntrack_free";

/** With `tuple_orig` 0: from entries that pass it is still to be learned. */
function layoutOf(host: Host, report: GuessReport): ConntrackLayout {
  const hasInsert = host.features.has("conntrack_insert");
  if (!conntrackIsThere()) return unknownLayout(!hasInsert);
  if (!hasInsert || findSymbol(INSERT) === null) return unknownLayout(true);
  const known = conntrackLayout(host, report);
  return typeof known === "string" ? unknownLayout(false) : known;
}

function made(layout: ConntrackLayout, host: Host, maxConnections: number): Prepared {
  const inCase = !conntrackIsThere() && host.features.has("lru_maps");
  return {
    constants: new Map([[Constant.CONSTANT_NAT, 1n]]),
    mapSizes: {
      conntrack: inCase ? Math.min(maxConnections, ENTRIES_IN_CASE) : maxConnections,
      ...(layout.tuple_orig === 0 && { conntrack_copies: ConntrackCopySize.CONNTRACK_COPIES }),
    },
  };
}

function points({ host, mode }: Ground, { through_skb }: ConntrackLayout): readonly Point[] {
  if (mode !== "kprobe") return [];
  const kprobe = through_skb === 1 ? CONFIRM : INSERT;
  // Without tracefs there is no probe that waits for a module: then nobody is told, as most hosts never load it.
  const of = conntrackIsBuiltIn() ? {} : { module: "nf_conntrack", optional: !conntrackIsThere() };
  return [
    { program: "on_conntrack_insert", kprobe, ...of },
    ...(host.features.has("lru_maps")
      ? []
      : [{ program: "on_conntrack_free", kprobe: FREE, ...of } as const]),
  ];
}

interface FlowsAsked extends Pick<Required<Working>, "drained" | "drainedAll" | "shown"> {
  known: KnownNat;
}

function telling({ known, ...looks }: Partial<FlowsAsked> = {}): Working {
  const translations = new Translations();
  return {
    kinds: [EventKind.EVENT_TRANSLATION],
    plainKinds: [EventKind.EVENT_TRANSLATION],
    tell(event) {
      const { view, p } = asView(event);
      translations.set(view, p);
    },
    enrich(shown, event, kind) {
      shown.nat = translations.of(event, kind) ?? known?.of(event) ?? null;
    },
    // Records of UDP are never shown as they are, and no others are asked for.
    holds: (view, p) => translations.tells(view, p),
    passed: (view, p) => translations.passed(view, p),
    conditions(to) {
      to.setUint32(LINE_CONDITIONS_PLAIN_ONLY, translations.areNone ? 0 : 1, true);
      return true;
    },
    tick() {
      translations.forgetEnded();
      known?.forgetEnded();
    },
    ...looks,
  };
}

/** The object for older kernels has no room for lookups in the programs of UDP: the tool does them, at each poll. */
function flowsAsked({ host, object }: Opened, { root_netns }: ConntrackLayout): FlowsAsked {
  const entries = new EntryMap(host.shim, object);
  const known = new KnownNat();
  const inquiry = new Inquiry(known, root_netns, (netns, of) => entries.ask(netns, of));
  return {
    known,
    drained(view, p) {
      if (kindAt(view, p) === EventKind.EVENT_UDP_OPEN) inquiry.drained(view, p);
    },
    drainedAll: () => inquiry.ask(),
    shown(event) {
      if (event.kind === EventKind.EVENT_UDP_CLOSE) known.ends(event);
      return true;
    },
  };
}

/** Entries of UDP sockets that have spoken before the trace: for the programs they are as if they had been made now. */
function olderFlows({ host, object }: Opened): Stocktaking {
  const asked: Asked[] = [];
  return {
    visit({ netns, rows }, keep) {
      for (const row of [...rows("udp", keep), ...rows("udp6", keep)])
        if (row.remotePort !== 0) asked.push({ netns, tuple: tupleOfRow(row) });
    },
    describe(events, between) {
      const entries = new EntryMap(host.shim, object);
      askAtStart(asked, between, (netns, tuple, out) => entries.add(netns, tuple, out));
      return [...events];
    },
  };
}

function tupleOfRow(row: Row): Tuple {
  return {
    protocol: IPPROTO_UDP,
    source: { ...addressOfRow(row.local), port: row.localPort },
    destination: { ...addressOfRow(row.remote), port: row.remotePort },
  };
}

/** How often it is looked whether conntrack has gone. */
const LOOK_NS = 1_000_000_000n;

/** Learns where that is still to be done, and empties the map when the module has gone, as the kernel has its own table. */
function following({ host, object }: Opened, layout: ConntrackLayout): Working {
  const learner = layout.tuple_orig === 0 ? new Learner(host, object, layout) : null;
  let learned = learner === null;
  let wasThere = conntrackIsThere();
  let nextNs = 0n;
  return {
    renew(nowNs) {
      learned ||= learner!.look();
      if (nowNs < nextNs) return;
      nextNs = nowNs + LOOK_NS;
      const isThere = conntrackIsThere();
      if (wasThere && !isThere) new EntryMap(host.shim, object).empty();
      wasThere = isThere;
    },
  };
}
