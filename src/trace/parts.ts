/** The parts of a trace, in the order in which they are attached and in which their records pass. To add one, add it here. */
import { argsPart } from "./process/args.ts";
import { closersPart } from "./process/closers_part.ts";
import { following } from "./process/following.ts";
import { interfacesPart } from "./process/interfaces_part.ts";
import { firstThreadsPart } from "./process/first_threads_part.ts";
import { groupsPart } from "./process/groups_part.ts";
import { askingPart } from "./nat/ask_part.ts";
import { nat } from "./nat/part.ts";
import type { PartOf } from "./part.ts";
import { flowProtocols } from "./protocols/flows_part.ts";
import { protocols } from "./protocols/part.ts";
import { attempts } from "./tcp/attempts.ts";
import { holders, listeners } from "./tcp/holders.ts";
import { listing } from "./tcp/listing.ts";
import { tcp } from "./tcp/part.ts";
import { sampling } from "./tcp/sampling.ts";
import { sockmap } from "./tcp/sockmap.ts";
import { walk } from "./tcp/walk.ts";
import { udpErrors } from "./udp/errors.ts";
import { udp } from "./udp/part.ts";
import { remoteEnds } from "./udp/remote_ends.ts";

export const PARTS: readonly PartOf[] = [
  // First: where a kernel refuses one part, this is the most likely one, and each part is left out in turn.
  holders,
  walk,
  listing,
  listeners,
  argsPart,
  following,
  tcp,
  udp,
  // Behind UDP: a hook that is there first would leave notes that no tracepoint takes.
  remoteEnds,
  udpErrors,
  attempts,
  nat,
  protocols,
  flowProtocols,
  sockmap,
  sampling,
  closersPart,
  groupsPart,
  interfacesPart,
  firstThreadsPart,
  askingPart,
];
