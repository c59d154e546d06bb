/**
 * A filter on the straight way. Records with the same text differ in little that a filter can ask for: in ports, which are
 * looked up for each record, and in the remote address, which becomes a part of the key where it is asked for. Pure.
 */
import type { ConnEvent } from "../../conn/event.ts";
import {
  EVENT_ENDS_DPORT,
  EVENT_ENDS_SPORT,
  LinePort,
  type eventPlaces,
} from "../../record/layout.gen.ts";
import type { Shape } from "./keys.ts";
import { apart } from "./slots.ts";
import { lineTemplate, type Template } from "./template.ts";

export interface Sifting {
  /** Whether an event is wanted but for its ports; `null`: something that is asked for is not known of it. */
  wants(event: ConnEvent): boolean | null;
  /** `null`: no port is asked for. */
  ports: PortLists | null;
  /** Whether `wants` looks at the remote address. */
  byRemote: boolean;
}

export interface PortLists {
  /** For each port the lists that it is in: bits of enum line_port. */
  lists: Uint8Array;
  /** The bits of the lists of wanted ports that ask for anything. */
  asked: number;
}

/** Of records that nobody wants. */
export const UNWANTED: Template = lineTemplate([]);

/** The shape of records: what is not known is left to the event. */
export const sifted =
  (shape: Shape, { wants }: Sifting): Shape =>
  (event) => {
    const wanted = wants(event);
    if (wanted === null) return null;
    return wanted ? shape(event) : UNWANTED;
  };

/** See RecordTemplates. */
export const notOfKey = (byRemote: boolean): typeof apart =>
  byRemote ? apart.filter((place) => !REMOTE.has(place)) : apart;

/** Whether the record at `p` has ports that are wanted; `null`: one of its ports is not known. */
export function wantsPorts({ lists, asked }: PortLists, view: DataView, p: number): boolean | null {
  const [sport, dport] = [
    view.getUint16(p + EVENT_ENDS_SPORT, true),
    view.getUint16(p + EVENT_ENDS_DPORT, true),
  ];
  if (sport === 0 || dport === 0) return null;
  const [local, remote] = [lists[sport]!, lists[dport]!];
  const met = ((local | remote) & OF_EITHER) | (local & OF_LOCAL) | (remote & OF_REMOTE);
  return (met & (asked | OF_UNWANTED)) === asked;
}

// --- internal ---

const REMOTE: ReadonlySet<keyof typeof eventPlaces> = new Set(["ends_daddr_h", "ends_daddr_l"]);
const OF_EITHER = LinePort.PORT_WANTED | LinePort.PORT_UNWANTED;
const OF_LOCAL = LinePort.PORT_WANTED_LOCAL | LinePort.PORT_UNWANTED_LOCAL;
const OF_REMOTE = LinePort.PORT_WANTED_REMOTE | LinePort.PORT_UNWANTED_REMOTE;
const OF_UNWANTED =
  LinePort.PORT_UNWANTED | LinePort.PORT_UNWANTED_LOCAL | LinePort.PORT_UNWANTED_REMOTE;
