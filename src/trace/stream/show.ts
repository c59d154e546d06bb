/** Which events are shown, and which of them as the record they came in. Pure. */
import { EventKind, type Event } from "../../record/layout.gen.ts";
import type { Show } from "./apply.ts";
import { cgroupIdAt, kindAt, pidAt } from "../event.ts";
import type { Descendants } from "../process/descendants.ts";
import type { Groups } from "../process/groups.ts";
import { asksForAll, mayMatch, type KernelFilter } from "../opening/kernel_filter.ts";
import type { Samples } from "../tcp/samples.ts";

export interface Choice {
  /** The tool's own, as the kernel numbers it: what it does itself is not shown. */
  tgid: number;
  /** Shows it all the same, but for what it did to get ready: before `beganNs`, on the events' clock. */
  self: boolean;
  beganNs: bigint;
  filter: KernelFilter;
  /** null: not only those of a command are shown. */
  descendants: Pick<Descendants, "acceptOf" | "own"> | null;
  samples: Pick<Samples, "shown"> | null;
}

/** Of what it is given, `show` gets what is asked for. */
export function chosen(choice: Choice): (show: Show) => Show {
  const { tgid, self, beganNs, descendants, samples } = choice;
  const matches = mayMatch(choice.filter);
  const isOwn = ({ kind, owner, timestamp }: Event) =>
    owner.pid === tgid && !(self && (timestamp >= beganNs || kind === EventKind.EVENT_OPEN));
  return (show) => {
    const choose: Show = (event, kind) => {
      const accept = kind === "close" ? descendants?.acceptOf(event) : null;
      if (accept) choose(accept, "accept");
      const followed = descendants?.own(event, kind) !== false;
      const asked = followed && !isOwn(event) && matches(event);
      // Of a connection that was accepted by one process the close may be another's.
      if (!asked && kind !== "close") return;
      if (samples?.shown(event) !== false && asked) show(event, kind);
    };
    return choose;
  };
}

/** What can keep a record from being shown as it is. */
export interface Obstacles {
  tgid: number;
  filter: KernelFilter;
  groups: Pick<Groups, "tells">;
  /** Whether events have command lines. */
  args: boolean;
}

/** Whether a plain record is shown as it is: it is no mere handshake, and has nothing that /proc must be asked for. */
export function showable(of: Obstacles): (view: DataView, p: number) => boolean {
  const { tgid, groups } = of;
  const each = asksForAll(of.filter) && !of.args;
  return (view, p) =>
    each &&
    kindAt(view, p) !== EventKind.EVENT_PASSIVE &&
    pidAt(view, p) !== tgid &&
    groups.tells(cgroupIdAt(view, p));
}
