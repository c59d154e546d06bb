/**
 * The straight way to a line: byte by byte what a format's own `line` gives, made several times faster. Nothing outside of
 * this folder knows how; a test compares the two for whatever an event can hold.
 */
import { utc, type ClockPair, type OffsetAt } from "../../conn/clock.ts";
import type { ConnEvent } from "../../conn/event.ts";
import { addressText, endpointText, isUnspecified } from "../../record/address.ts";
import {
  ConnMetadata,
  EVENT_ENDS_DADDR_H,
  EVENT_ENDS_METADATA,
  EVENT_TIMESTAMP,
} from "../../record/layout.gen.ts";
import type { Records } from "../../record/records.ts";
import { recurring } from "../../record/recurring.ts";
import { segment, type Lines, type Segment } from "../lines.ts";
import { withBeside, type Beside } from "./beside.ts";
import { EventTemplates, RecordTemplates, type Describe, type Shape } from "./keys.ts";
import { enter, isOf } from "./moment.ts";
import { NativeLines, type Native } from "./native.ts";
import { notOfKey, sifted, UNWANTED, wantsPorts, type PortLists, type Sifting } from "./sifting.ts";
import type { Template } from "./template.ts";
import { write, writeBesides, writeNative, type Source } from "./write.ts";

export type { Beside, RecordedLines, Recording, Watch } from "./beside.ts";
export type { Describe, Shape } from "./keys.ts";
export type { Native } from "./native.ts";
export type { Sifting } from "./sifting.ts";

export interface Straight {
  /** `false`: nothing was written, so the line is to be made the other way. */
  event(lines: Lines, event: ConnEvent, clocks: ClockPair): boolean;
  /** The same of the struct event at `p`; `true` also where nobody wants the line. */
  record(lines: Lines, view: DataView, p: number, clocks: ClockPair, describe: Describe): boolean;
  /** The same of several, up to the first for which `record` is to be called. Returns how many it took. */
  records(lines: Lines, of: Records, clocks: ClockPair, describe: Describe): number;
  /** Tells what is watched of all that it was not told of yet. */
  settle(): void;
}

/**
 * `native`: writes lines of records; `null`: they are written here. `sifting`: of the records that it does not want there is no
 * line; the events have been sifted before. `beside`: it is told of the records; without `native` it gets events.
 */
export function straight(
  shape: Shape,
  offsetAt: OffsetAt = utc,
  events = new EventTemplates(shape),
  records: RecordTemplates | null = null,
  native: Native | null = null,
  sifting: Sifting | null = null,
  beside: Beside | null = null,
): Straight {
  const wanted = sifting === null ? shape : sifted(shape, sifting);
  const byRemote = sifting?.byRemote === true || beside?.watch?.byRemote === true;
  records ??= new RecordTemplates(
    beside === null ? wanted : withBeside(wanted, beside),
    notOfKey(byRemote),
  );
  return straightBy(events, records, offsetAt, native, sifting?.ports ?? null, beside);
}

// --- internal ---

function straightBy(
  events: EventTemplates,
  records: RecordTemplates,
  offsetAt: OffsetAt,
  native: Native | null,
  ports: PortLists | null,
  beside: Beside | null,
): Straight {
  const shim = native && new NativeLines(native, records.table, ports, beside);
  const source: Source = { view: new DataView(new ArrayBuffer(0)), p: 0, event: null };
  return {
    event(lines, event, clocks) {
      // The zone of an address stands behind it.
      if (event.interface !== undefined) return false;
      const template = events.of(event);
      if (template === undefined || template === null) return false;
      const remote = template.remote === null ? NOWHERE : ofText(event.remote.address);
      if (remote === null) return false;
      enterAt(event.atNs, clocks, offsetAt);
      source.event = event;
      return write(
        lines,
        template,
        template.remote === "endpoint" ? remote.endpoint : remote.address,
        source,
      );
    },
    record(lines, view, p, clocks, describe) {
      const low = view.getUint32(p + EVENT_TIMESTAMP, true);
      enter(low, view.getUint32(p + EVENT_TIMESTAMP + 4, true), clocks, offsetAt);
      const template = records.of(view, p, describe);
      if (template === undefined) return false;
      shim?.keep(records.slot, template);
      if (template === null) return false;
      if (template === UNWANTED) return true;
      const wanted = ports === null || wantsPorts(ports, view, p);
      if (wanted !== true) return wanted === false;
      if (beside !== null && shim === null) return false;
      const isV6 =
        (view.getUint32(p + EVENT_ENDS_METADATA, true) & ConnMetadata.METADATA_IPV6) !== 0;
      // The shim writes an IPv4 address itself.
      const remote =
        !asksRemote(template) || (shim !== null && !isV6)
          ? NOWHERE
          : (isV6 ? ofV6 : ofV4)(view, p + EVENT_ENDS_DADDR_H);
      if (remote === null) return false;
      const end = template.remote === "endpoint" ? remote.endpoint : remote.address;
      if (shim !== null && beside !== null && template.beside !== null) {
        const told = { beside, of: template.beside, remote: remote.address, clocks };
        return writeBesides(lines, template, end, shim, view, p, told);
      }
      if (shim !== null) return writeNative(lines, template, end, shim, view, p);
      source.view = view;
      source.p = p;
      source.event = null;
      return write(lines, template, end, source);
    },
    records(lines, of, clocks, describe) {
      if (shim === null || !isOf(clocks, offsetAt) || !records.isCurrent(describe)) return 0;
      return shim.putMany(lines, of, clocks);
    },
    settle: () => shim?.settle(),
  };
}

const asksRemote = ({ remote, beside }: Template): boolean =>
  (remote ?? beside?.recorded?.remote ?? null) !== null;

/** Halves of a bigint cost as much as half a line. */
function enterAt(atNs: bigint, clocks: ClockPair, offsetAt: OffsetAt): void {
  const at = Number(atNs);
  if (at <= Number.MAX_SAFE_INTEGER) enter(at >>> 0, Math.floor(at / 2 ** 32), clocks, offsetAt);
  else enter(Number(atNs & 0xffff_ffffn), Number(atNs >> 32n), clocks, offsetAt);
}

interface Remote {
  address: Segment;
  /** With what stands between an address and its port. */
  endpoint: Segment;
}

const NOWHERE: Remote = { address: segment(""), endpoint: segment("") };

/** `null`: what stands for none is written another way. */
function remoteOf(address: string): Remote | null {
  if (isUnspecified(address)) return null;
  const endpoint = endpointText({ address, port: 0 }).slice(0, -1);
  return { address: segment(address), endpoint: segment(endpoint) };
}

const ofV6 = recurring((bytes) => remoteOf(addressText(bytes, 6).address));
const ofV4 = recurring((bytes) => remoteOf(addressText(bytes.subarray(8), 4).address));

/** As many as are likely to be talked to at a time; beyond it they are made anew. */
const REMOTES_MAX = 4096;
const remotes = new Map<string, Remote | null>();

function ofText(address: string): Remote | null {
  const known = remotes.get(address);
  if (known !== undefined) return known;
  if (remotes.size >= REMOTES_MAX) remotes.clear();
  const remote = remoteOf(address);
  remotes.set(address, remote);
  return remote;
}
