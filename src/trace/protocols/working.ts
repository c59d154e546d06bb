/** The part at work: payload goes to its connection's recogniser, and what that has found to the connection's events. */
import type { TracedEvent } from "../../conn/identity.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import {
  Counter,
  EVENT_COOKIE,
  EventKind,
  EventView,
  GateSize,
  readPayload,
  type Event,
} from "../../record/layout.gen.ts";
import { asView, kindAt } from "../event.ts";
import type { Opened, PartCount, Working } from "../part.ts";
import { sockAt, sockOf } from "../sock.ts";
import { closeGates, renewRoom } from "./gates.ts";
import { Streams, type Recogniser } from "./streams.ts";

export interface Describing extends Recogniser {
  /** Adds what is known to an event of the connection. */
  describe(shown: TracedEvent): void;
  /** Whether anything is known. */
  readonly known: boolean;
}

export function recognising({ host, object }: Opened, make: () => Describing): Working {
  const streams = new Streams(make);
  /** Recognised, and perhaps still looked at. */
  const recognised = new Map<number, bigint>();
  const ended: [sock: number, cookie: number][] = [];
  /** Since the last tick. */
  let hasCome = false;
  const afterPoll = roomFor(host.shim, object);
  const unknown: Unknown = { silent: 0n, unrecognised: 0n, missed: 0n };
  const count = (event: Event, found: Describing | null): void => {
    if (found?.known === true) return;
    if (found !== null) unknown.unrecognised++;
    else if (event.sent_bytes === 0n && event.recv_bytes === 0n) unknown.silent++;
    else unknown.missed++;
  };
  return {
    kinds: [EventKind.EVENT_PAYLOAD],
    tell(event) {
      const { view, p } = asView(event);
      const payload = readPayload(view, p);
      hasCome = true;
      if (streams.look(payload)) recognised.set(sockOf(payload), payload.sk);
      // The record's memory is used again; this copy is not kept.
      payload.bytes.fill(0);
    },
    shown(event) {
      // An accept: what came before it is its own from now on.
      streams.of(event);
      if (!ENDS.has(event.kind)) return true;
      const sock = sockOf(event);
      ended.push([sock, event.cookie]);
      recognised.delete(sock);
      return true;
    },
    enrich(shown, event) {
      if (shown.protocol === "tcp") streams.of(event)?.describe(shown);
    },
    complete(shown, event, kind) {
      if (shown.protocol === "tcp" && kind === "close") count(event, streams.of(event));
    },
    holds: (view, p) => !streams.concern(sockAt(view, p), view.getUint32(p + EVENT_COOKIE, true)),
    passed(view, p) {
      if (kindAt(view, p) === EventKind.EVENT_CLOSE) count(new EventView(view, p), null);
    },
    tick() {
      for (const [sock, cookie] of ended.splice(0)) streams.delete(sock, cookie);
      if (recognised.size > 0) closeGates(host.shim, object, recognised.values());
      recognised.clear();
      afterPoll(hasCome);
      hasCome = false;
    },
    counts: () => countsOf(unknown, sparedBy(host.shim, object)),
  };
}

// --- internal ---

/** Connections that ended, by the reason why nothing is known of their protocol. */
interface Unknown {
  silent: bigint;
  unrecognised: bigint;
  missed: bigint;
}

const ENDS: ReadonlySet<number> = new Set([EventKind.EVENT_CLOSE, EventKind.EVENT_FAIL]);

/** In one line: each trace of a usual host has some. */
function countsOf({ silent, unrecognised, missed }: Unknown, spared: bigint): PartCount[] {
  const count = silent + unrecognised + missed;
  if (count === 0n) return [];
  const reasons = `${silent} moved no data, ${unrecognised} spoke none that is known here, the first bytes of ${missed} were not seen`;
  const limit =
    spared === 0n
      ? ""
      : `; ${spared} ends were left out, as no more than ${GateSize.LOOKED_AT} a second are looked at, and ${GateSize.LOOKED_AT_OF_PORT} of one port`;
  return [{ what: `connections with an unknown application protocol: ${reasons}${limit}`, count }];
}

/** Ends of connections that the kernel side has not begun to look at: see may_begin() in bpf/protocols/gate.h. */
function sparedBy(shim: Shim, object: KernelObject): bigint {
  const count = new BigUint64Array(1);
  shim.mapLookup(object.mapFd("losses"), Uint32Array.of(Counter.COUNTER_LOOK_SPARED), count);
  return count[0]!;
}

/** Where all records were lost, none comes that could say so. */
const RENEWED_MS = 1000;

/** To be called after each poll; `isUsed`: records have come since. */
function roomFor(shim: Shim, object: KernelObject): (isUsed: boolean) => void {
  let renewedAt = performance.now();
  return (isUsed) => {
    const now = performance.now();
    if (!isUsed && now - renewedAt < RENEWED_MS) return;
    renewedAt = now;
    renewRoom(shim, object);
  };
}
