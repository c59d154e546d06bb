/** Takes stock of what is there already: each part does so in each network namespace of the host. */
import { parsePortRange } from "../../conn/direction.ts";
import { inNamespace, localPortRange, networkNamespaces } from "../../kernel/namespaces.ts";
import type { Event } from "../../record/layout.gen.ts";
import { meanwhile } from "../meanwhile.ts";
import type { Opened, Part, Stocktaking } from "../part.ts";

/** Everything that was drained since the opening, and what was found, described; not in order. */
export function takeStock(on: Opened, parts: readonly Part[]): Event[] {
  const takers: Stocktaking[] = [];
  let events: Event[] = [];
  const keep = () => {
    for (const event of on.drain()) events.push(event);
  };
  try {
    for (const part of parts) if (part.takesStock) takers.push(part.takesStock(on));
    for (const { netns, ...namespace } of networkNamespaces()) {
      const entered = inNamespace({ netns, ...namespace }, () => {
        const ephemeral = parsePortRange(localPortRange()) ?? undefined;
        for (const taker of takers) taker.visit(netns, ephemeral, keep);
        return true;
      });
      if (entered === null) on.notes.push(`network namespace ${netns} cannot be entered`);
    }
  } finally {
    for (const taker of takers) taker[Symbol.dispose]?.();
  }
  keep();
  for (const { found = [] } of takers) for (const event of found) events.push(event);
  const between = meanwhile(keep);
  for (const taker of takers) events = taker.describe?.(events, between) ?? events;
  return events;
}
