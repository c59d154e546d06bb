/** The control group and the container of an event's process. It needs no programs. */
import { containerFacts } from "../../kernel/container_files.ts";
import { EVENT_OWNER_OWNED_AT } from "../../record/layout.gen.ts";
import { cgroupIdAt, pidAt, setCgroupIdAt } from "../event.ts";
import type { Part } from "../part.ts";
import { ContainerNames } from "./container_names.ts";
import { groupSource } from "./group_source.ts";
import { Groups } from "./groups.ts";

export const groupsPart = (): Part => ({
  name: "control groups",
  without: "control groups are not known",
  points: () => [],
  start({ tgid, host }, between) {
    const groups = new Groups(groupSource(tgid, between));
    const tableAt = BigInt(host.shim.addressOf(groups.table.view));
    const names = new ContainerNames({
      facts(id) {
        between();
        return containerFacts(id);
      },
      nowMs: () => performance.now(),
    });
    return {
      renew: () => groups.renew(),
      enrich(shown, { owner }) {
        const { cgroup, container } = groups.of(shown.pid, owner);
        shown.cgroup = cgroup;
        shown.container = container;
        if (container !== null) Object.assign(shown, names.of(container));
      },
      holds(view, p) {
        const id = cgroupIdAt(view, p);
        if (groups.tells(id)) return true;
        const pid = pidAt(view, p);
        if (pid === 0) return false;
        const ownedAt = view.getUint32(p + EVENT_OWNER_OWNED_AT, true);
        const numbered = groups.numberedId(pid, ownedAt, id);
        if (numbered === null) return false;
        setCgroupIdAt(view, p, numbered);
        return true;
      },
      // Kept texts are by the id. One that tells nothing has none: `holds` or the shim puts a number in its place.
      conditions(to) {
        groups.conditions(to, tableAt);
        return true;
      },
    };
  },
});
