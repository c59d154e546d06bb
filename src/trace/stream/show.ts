/** Chooses the events that are shown, and those that are shown as the record they came in. Pure. */
import { EventKind, type Event } from "../../record/layout.gen.ts";
import { kindAt, pidAt } from "../event.ts";
import { mayMatch, type KernelFilter } from "../kernel_filter.ts";
import type { Show, Working } from "../part.ts";

export interface Choice {
  /** The tool's own, as the kernel numbers it: what it does itself is not shown. */
  tgid: number;
  /** Shows it all the same, but for what it did to get ready: before `beganNs`, on the events' clock. */
  self: boolean;
  beganNs: bigint;
  filter: KernelFilter;
  parts: readonly Pick<Working, "brings" | "wants" | "shown">[];
}

/** Of what it is given, `show` gets what is asked for. */
export function chosen({ tgid, self, beganNs, filter, parts }: Choice): (show: Show) => Show {
  const matches = mayMatch(filter);
  const isOwn = ({ kind, owner, timestamp }: Event) =>
    owner.pid === tgid && !(self && (timestamp >= beganNs || kind === EventKind.EVENT_OPEN));
  const bringing = parts.filter((part) => part.brings !== undefined);
  const wanting = parts.filter((part) => part.wants !== undefined);
  const seeing = parts.filter((part) => part.shown !== undefined);
  return (show) => {
    const choose: Show = (event, kind) => {
      for (const part of bringing) {
        const earlier = part.brings!(event, kind);
        if (earlier !== null) choose(...earlier);
      }
      let asked = true;
      for (const part of wanting) asked = part.wants!(event, kind) && asked;
      asked = asked && !isOwn(event) && matches(event);
      // Of a connection that was accepted by one process the close may be another's.
      if (!asked && kind !== "close") return;
      let fresh = true;
      for (const part of seeing) fresh = part.shown!(event) && fresh;
      if (fresh && asked) show(event, kind);
    };
    return choose;
  };
}

/**
 * Whether records may be shown as they are: the sink asks all of the filter of each of them, but for what a command leads to.
 * The kernel side has left out most of the others.
 */
export const isAskedAgain = (filter: KernelFilter): boolean => filter.descendants !== true;

/** Everything that can keep a record from being shown as it is. */
export interface Obstacles {
  tgid: number;
  filter: KernelFilter;
  parts: readonly Pick<Working, "enrich" | "holds">[];
}

/** Whether a plain record is shown as it is: it is no mere handshake, and no part has anything to add to it. */
export function showable({
  tgid,
  filter,
  parts,
}: Obstacles): (view: DataView, p: number) => boolean {
  const adding = parts.filter((part) => part.enrich !== undefined);
  const each = isAskedAgain(filter) && adding.every((part) => part.holds !== undefined);
  const hold = (view: DataView, p: number) => {
    for (const part of adding) if (!part.holds!(view, p)) return false;
    return true;
  };
  return (view, p) =>
    each && kindAt(view, p) !== EventKind.EVENT_PASSIVE && pidAt(view, p) !== tgid && hold(view, p);
}
