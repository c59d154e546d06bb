/** Room for what a trace keeps open: a descriptor for each program, map and probe, and a ring for each processor. */
import { cpus } from "node:os";
import { RLIMIT_NOFILE } from "./constants.ts";
import { getrlimit, setrlimit } from "./libc.ts";

/** Programs, maps, probes and what the runtime holds are below 200. */
const BESIDE_RINGS = 256;
/** Two kinds of rings, and one more of each that comes for a processor which went and came. */
const PER_PROCESSOR = 4;

/**
 * Raises this process's limit if it is too low, as `ulimit -n 64` of some init script is; above the hard limit only root
 * may. Where that is refused, the call that needs the descriptor will say so.
 */
export function makeRoomForDescriptors(): void {
  const limit = getrlimit(0, RLIMIT_NOFILE);
  const wanted = BigInt(BESIDE_RINGS + PER_PROCESSOR * cpus().length);
  if (typeof limit === "number" || limit.soft >= wanted) return;
  const hard = limit.hard > wanted ? limit.hard : wanted;
  if (setrlimit(0, RLIMIT_NOFILE, { soft: wanted, hard }) < 0)
    setrlimit(0, RLIMIT_NOFILE, { soft: limit.hard, hard: limit.hard });
}
