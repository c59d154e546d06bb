/** The control group and the container of an event's process. It needs no programs. */
import { cgroupIdAt } from "../event.ts";
import type { Part } from "../part.ts";
import { groupSource } from "./group_source.ts";
import { Groups } from "./groups.ts";

export const groupsPart = (): Part => ({
  name: "control groups",
  without: "control groups are not known",
  points: () => [],
  start({ tgid }, between) {
    const groups = new Groups(groupSource(tgid, between));
    return {
      renew: () => groups.renew(),
      enrich(shown, { owner }) {
        const { cgroup, container } = groups.of(shown.pid, owner);
        shown.cgroup = cgroup;
        shown.container = container;
      },
      holds: (view, p) => groups.tells(cgroupIdAt(view, p)),
    };
  },
});
