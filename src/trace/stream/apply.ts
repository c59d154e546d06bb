/** Applies a record: it passes the parts that revise it, and goes to the part that tells of its kind. Pure. */
import { EventView, readEvent, type Event } from "../../record/layout.gen.ts";
import { kindAt } from "../event.ts";
import type { Show, ShowRecord, Working } from "../part.ts";

export interface Applied {
  /** The record at `p`, after all that came before it. `record`, if given, shows records as they are. */
  apply(view: DataView, p: number, record: ShowRecord | null, show: Show): void;
  /** Nearly all records of a busy host: no part but the one that tells of it has to know of it. */
  isPlain(view: DataView, p: number): boolean;
  /** The same for a record that is an object. */
  any(event: Event, show: Show): void;
}

/** `isDirect`: whether a plain record may be shown as it is. */
export function applied(
  parts: readonly Working[],
  isDirect: (view: DataView, p: number) => boolean,
): Applied {
  const tellers = byKind(parts, "kinds");
  const plain = byKind(parts, "plainKinds");
  const revisers = parts.filter((part) => part.revise !== undefined);
  const revised = (event: Event): Event | null => {
    let news: Event | null = event;
    for (const part of revisers) {
      news = part.revise!(news);
      if (news === null) return null;
    }
    return news;
  };
  const isRevised = (view: DataView, p: number) => {
    for (const part of revisers) if (part.revises!(view, p)) return true;
    return false;
  };
  const seeing = revisers.filter((part) => part.shown !== undefined);
  /** A record that is shown as it is passes no `shown`. */
  const isSeen = (view: DataView, p: number) => seeing.some((part) => part.revises!(view, p));
  const tellOf = (event: Event, news: Event | null, show: Show) => {
    if (news !== null) {
      for (const part of tellers.get(news.kind) ?? []) part.tell?.(news, show);
      return;
    }
    for (const part of parts) part.repeated?.(event);
  };
  const any = (event: Event, show: Show) => tellOf(event, revised(event), show);
  return {
    any,
    isPlain: (view, p) => plain.has(kindAt(view, p)) && !isRevised(view, p),
    apply(view, p, record, show) {
      const part = plain.get(kindAt(view, p))?.[0];
      if (part === undefined) return any(readEvent(view, p), show);
      if (isRevised(view, p)) {
        const event = readEvent(view, p);
        const news = revised(event);
        // As long as the listing may still be under way every record is looked at, and nearly all are left as they are.
        if (news !== event || isSeen(view, p)) return tellOf(event, news, show);
      }
      const isShown = record !== null && part.tellRecord !== undefined && isDirect(view, p);
      if (isShown && part.tellRecord!(view, p, record, show, isDirect)) return;
      part.tell!(new EventView(view, p), show);
    },
  };
}

// --- internal ---

/** Each part that takes records of the kind. */
function byKind(
  parts: readonly Working[],
  member: "kinds" | "plainKinds",
): ReadonlyMap<number, readonly Working[]> {
  const takers = new Map<number, Working[]>();
  for (const part of parts)
    for (const kind of part[member] ?? []) takers.set(kind, [...(takers.get(kind) ?? []), part]);
  return takers;
}
