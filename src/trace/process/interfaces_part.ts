/** The interface of connections between link-local addresses. It needs no programs. */
import { linkLocalsOf } from "../../kernel/interfaces.ts";
import { isLinkLocal } from "../../record/address.ts";
import { ConnMetadata, EVENT_ENDS_METADATA, EVENT_ENDS_SADDR_H } from "../../record/layout.gen.ts";
import type { Part } from "../part.ts";
import { Interfaces } from "./interfaces.ts";

export const interfacesPart = (): Part => ({
  name: "interfaces",
  without: "the interface of a link-local address is not known",
  points: () => [],
  start({ tgid }) {
    const interfaces = new Interfaces({
      linkLocals: (netns, pid) =>
        linkLocalsOf("self", netns) ??
        // In another pid namespace the kernel's numbers name other processes.
        (pid !== null && tgid === process.pid ? linkLocalsOf(pid, netns) : null),
      nowMs: () => performance.now(),
    });
    return {
      enrich(shown) {
        const { local, netns, pid } = shown;
        if (netns === null || !isLinkLocal(local.address)) return;
        const name = interfaces.nameOf(local.address, netns, pid);
        if (name !== null) shown.interface = name;
      },
      holds: (view, p) => !isLinkLocalAt(view, p),
      // Kept texts are by the local address.
      conditions: () => true,
    };
  },
});

// --- internal ---

/** fe80::/10, of this end of the struct event at `p`. */
const isLinkLocalAt = (view: DataView, p: number): boolean =>
  (view.getUint32(p + EVENT_ENDS_METADATA, true) & ConnMetadata.METADATA_IPV6) !== 0 &&
  (view.getUint16(p + EVENT_ENDS_SADDR_H) & 0xffc0) === 0xfe80;
