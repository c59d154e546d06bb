/** NAT by asking the kernel's tables of connection tracking: of connections that are older than the trace. */
import { EventKind, type Event } from "../../record/layout.gen.ts";
import { plainEvent } from "../event.ts";
import type { Part } from "../part.ts";
import { tellRefusal } from "../refusal.ts";
import { tupleOf, type Asked } from "./ask.ts";
import { KnownNat } from "./ask_known.ts";
import { askAtStart } from "./ask_start.ts";

const OF_PART = {
  name: "NAT by asking",
  without: "the translation of connections older than the trace is not known",
} as const;

export const askingPart = (): Part => {
  const known = new KnownNat();
  return {
    ...OF_PART,
    points: () => [],
    takesStock: ({ notes }) => ({
      visit: () => {},
      describe(events, between) {
        const older = events.filter(isOpen);
        const asked = older.map(askedOf);
        const { nat, refused } = askAtStart(
          asked.filter((of) => of !== null),
          between,
        );
        const answers = nat.values();
        for (const [n, event] of older.entries())
          if (asked[n] !== null) known.set(event, answers.next().value ?? null);
        if (refused !== null) tellRefusal(OF_PART, refused, notes);
        return [...events];
      },
    }),
    start: () => ({
      shown(event) {
        if (event.kind === EventKind.EVENT_CLOSE) known.ends(plainEvent(event));
        return true;
      },
      enrich(shown, event) {
        shown.nat ??= known.of(event);
      },
      holds: (view, p) => !known.concern(view, p),
      tick: () => known.forgetEnded(),
    }),
  };
};

// --- internal ---

const isOpen = ({ kind }: Event): boolean =>
  kind === EventKind.EVENT_OPEN || kind === EventKind.EVENT_PASSIVE;

function askedOf(event: Event): Asked | null {
  const tuple = tupleOf(event);
  return tuple === null ? null : { netns: event.netns, tuple };
}
