/**
 * Address translation (NAT): events tell which end really answers or asks. conntrack's entries are stored as they are made,
 * and looked up by the programs that see connections and flows.
 */
import { conntrackIsThere } from "../../kernel/ctnetlink.ts";
import { builtInSymbols } from "../../kernel/kallsyms.ts";
import {
  Constant,
  EventKind,
  readTranslation,
  type ConntrackLayout,
} from "../../record/layout.gen.ts";
import { asView } from "../event.ts";
import type { TraceOptions } from "../options.ts";
import type { Ground, Opened, Part, Point, Working } from "../part.ts";
import { conntrackLayout, writeLayout } from "./layout.ts";
import { beyondOf, Translations } from "./translations.ts";

/** Entries of conntrack that are kept, the newest. */
const ENTRIES = 65_536;

export function nat({ nat: asked = true, maxConnections = ENTRIES }: TraceOptions): Part {
  let layout: ConntrackLayout | string = "conntrack is not there";
  return {
    name: "NAT",
    asked,
    without: "address translation (NAT) is not known",
    symbols: [INSERT, FREE],
    prepare(host, report) {
      if (report.attach !== "kprobe" || !conntrackIsThere()) return {};
      layout = conntrackLayout(host, report);
      if (typeof layout === "string") return layout;
      return {
        constants: new Map([[Constant.CONSTANT_NAT, 1n]]),
        mapSizes: { conntrack: maxConnections },
      };
    },
    points: (ground) => (typeof layout === "string" ? [] : points(ground)),
    start(on) {
      if (typeof layout !== "string") writeLayout(on.host, on.object, layout);
      return start(on);
    },
  };
}

// --- internal ---

const INSERT = "__nf_conntrack_hash_insert";
const FREE = "nf_conntrack_free";

function points({ host, mode }: Ground): readonly Point[] {
  if (mode !== "kprobe") return [];
  const builtIn = builtInSymbols([INSERT]).has(INSERT);
  const of = builtIn ? {} : { module: "nf_conntrack" };
  return [
    { program: "on_conntrack_insert", kprobe: INSERT, ...of },
    ...(host.features.has("lru_maps")
      ? []
      : [{ program: "on_conntrack_free", kprobe: FREE, ...of } as const]),
  ];
}

function start(_on: Opened): Working {
  const translations = new Translations();
  return {
    kinds: [EventKind.EVENT_TRANSLATION],
    tell(event) {
      const { view, p } = asView(event);
      translations.set(event, beyondOf(readTranslation(view, p)));
    },
    enrich(shown, event, kind) {
      shown.nat = translations.of(event, kind);
    },
    holds: (view, p) => translations.isTold(view, p),
  };
}
