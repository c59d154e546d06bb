/** A record of the ring to an event. Pure. */
import type { Direction, EventKind } from "../conn/event.ts";
import type { TracedEvent } from "../conn/identity.ts";
import { ownerAttributes } from "../members/attributes.ts";
import { addressText, type AddressText } from "../record/address.ts";
import { readComm } from "../record/comm.ts";
import {
  ConnDirection,
  ConnMetadata,
  EVENT_ENDS_DADDR_H,
  EVENT_ENDS_SADDR_H,
  EVENT_KIND,
  EVENT_OWNER_CGROUP_ID,
  EVENT_OWNER_COMM,
  EVENT_OWNER_PID,
  EVENT_TIMESTAMP,
  eventPlaces,
  eventSize,
  EventKind as Kind,
  EventView,
  readEvent,
  writeEvent,
  type Event,
} from "../record/layout.gen.ts";
import { idAt } from "../record/id.ts";
import { recurring } from "../record/recurring.ts";

/** Adds members to an event that is shown. */
export type Enrich = (shown: TracedEvent, event: EventView, kind: EventKind) => void;

export function toConnEvent(of: Event, kind: EventKind, enrich: readonly Enrich[]): TracedEvent {
  const event = asView(of);
  const { ends, owner, netns, view, p } = event;
  const { metadata } = ends;
  const pid = owner.pid || null;
  const tcp = (metadata & ConnMetadata.METADATA_TCP) !== 0;
  const local = addressAt(view, p + EVENT_ENDS_SADDR_H, metadata);
  const remote = addressAt(view, p + EVENT_ENDS_DADDR_H, metadata);
  const shown: TracedEvent = {
    kind,
    id: idAt(view, p),
    cookie: event.cookie,
    protocol: tcp ? "tcp" : "udp",
    atNs: event.timestamp,
    pid,
    comm: pid === null ? null : commAt(view, p + EVENT_OWNER_COMM),
    cgroup: null,
    container: null,
    family: local.family,
    direction: directionOf(event.direction),
    netns: netns === 0 ? null : netns,
    local: { address: local.address, port: ends.sport },
    remote: { address: remote.address, port: ends.dport },
    nat: null,
  };
  for (const name of ownerAttributes) shown[name] = pid === null ? null : owner[name];
  for (const add of enrich) add(shown, event, kind);
  return shown;
}

/** Kinds of the ring that are shown as they are. To add one, add a row. */
const kinds: ReadonlyMap<number, EventKind> = new Map([
  [Kind.EVENT_CONNECT, "connect"],
  [Kind.EVENT_ACCEPT, "accept"],
  [Kind.EVENT_CLOSE, "close"],
  [Kind.EVENT_FAIL, "fail"],
  [Kind.EVENT_OPEN, "open"],
  [Kind.EVENT_SAMPLE, "sample"],
]);

export const kindOf = (event: Event): EventKind | null => kinds.get(event.kind) ?? null;

/** Of the struct event at `p`, without a view of it. */
export const kindAt = (view: DataView, p: number): number => view.getUint8(p + EVENT_KIND);
export const cgroupIdAt = (view: DataView, p: number): number =>
  view.getUint32(p + EVENT_OWNER_CGROUP_ID, true) +
  view.getUint32(p + EVENT_OWNER_CGROUP_ID + 4, true) * 2 ** 32;
export function setCgroupIdAt(view: DataView, p: number, id: number): void {
  view.setUint32(p + EVENT_OWNER_CGROUP_ID, id >>> 0, true);
  view.setUint32(p + EVENT_OWNER_CGROUP_ID + 4, Math.floor(id / 2 ** 32), true);
}
/** `timestamp` of the event at `p`. */
export const timeAt = (view: DataView, p: number): number =>
  view.getUint32(p + EVENT_TIMESTAMP, true) +
  view.getUint32(p + EVENT_TIMESTAMP + 4, true) * 2 ** 32;
export const pidAt = (view: DataView, p: number): number =>
  view.getUint32(p + EVENT_OWNER_PID, true);

/** The address whose two words lie at `p`; `metadata`: that of the ends that it belongs to. */
export const addressAt = (view: DataView, p: number, metadata: number): AddressText =>
  ((metadata & ConnMetadata.METADATA_IPV6) !== 0 ? ipv6At : ipv4At)(view, p);

/** Whether a record of this kind is the last one of its connection. */
export const isLast = (kind: number): boolean =>
  kind === Kind.EVENT_CLOSE || kind === Kind.EVENT_FAIL;

/** From its start to its end, in nanoseconds. */
export const lastedNs = ({ started_at, ended_at }: Event): bigint =>
  BigInt.asUintN(64, ended_at - started_at);

/** With members that can be spread into another event, which those of a view cannot. */
export const plainEvent = (event: Event): Event =>
  event instanceof EventView ? readEvent(event.view, event.p) : event;

/** Most events come from a ring and are read there; one that was put together by the tool is laid out the same way. */
export function asView(event: Event): EventView {
  if (event instanceof EventView) return event;
  const view = new DataView(new ArrayBuffer(eventSize));
  writeEvent(view, 0, event);
  return new EventView(view, 0);
}

// --- internal ---

/** A full name has no NUL: what lies behind it is of_thread. */
const commAt = recurring((bytes) => readComm(bytes.subarray(0, eventPlaces.owner_comm[1])));
const ipv6At = recurring((bytes) => addressText(bytes, 6));
/** The low word holds it. */
const ipv4At = recurring((bytes) => addressText(bytes.subarray(8), 4));

function directionOf(direction: number): Direction {
  if (direction === ConnDirection.DIRECTION_INCOMING) return "incoming";
  return direction === ConnDirection.DIRECTION_OUTGOING ? "outgoing" : "unknown";
}
