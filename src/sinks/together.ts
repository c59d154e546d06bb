/** Several sinks as one. Pure. */
import type { TracedEvent } from "../conn/identity.ts";
import type { Sink } from "./sink.ts";

/** Each gets everything, in the order of the list, in which they end as well. */
export function together(sinks: readonly Sink[]): Sink {
  const limits = sinks.filter((sink) => "full" in sink);
  const isFull = (): boolean => limits.some((sink) => sink.full === true);
  const ofEvents = sinks.filter((sink) => sink.event !== undefined);
  const telling = sinks.filter((sink) => sink.lost !== undefined);
  const record = recordFor(sinks, isFull);
  const all: Sink = {
    event(event, clocks) {
      if (isFull()) return;
      for (const sink of ofEvents) sink.event!(event, clocks);
    },
    ...(record === null ? {} : { record }),
    ...recordsFor(sinks, limits),
    tick() {
      for (const sink of sinks) sink.tick?.();
    },
    ...(telling.length > 0 && {
      lost(losses, now) {
        for (const sink of telling) sink.lost!(losses, now);
      },
    }),
    async end(losses, now) {
      let failed: { error: unknown } | null = null;
      for (const sink of sinks)
        try {
          await sink.end?.(losses, now);
        } catch (error) {
          failed ??= { error };
        }
      if (failed !== null) throw failed.error;
    },
    losses: () => sinks.flatMap((sink) => sink.losses?.() ?? []),
    get done() {
      return sinks.some((sink) => sink.done === true);
    },
    get dueMs() {
      return Math.min(...sinks.map((sink) => sink.dueMs ?? Infinity));
    },
  };
  // Where no sink has a limit nobody need ask, for each event.
  if (limits.length === 0) return all;
  return Object.defineProperties(all, {
    full: { get: isFull },
    room: { get: () => roomOf(limits) },
  });
}

/** The same sink for some events only; `full` counts among those. `siftsRecords`: it leaves out records by itself. */
export function sieved(
  shows: (event: TracedEvent) => boolean,
  sink: Sink,
  siftsRecords = false,
): Sink {
  const { record, records } = sink;
  return {
    ...withoutRecord(sink),
    ...(siftsRecords && record !== undefined && { record }),
    ...(siftsRecords && records !== undefined && { records }),
    event(event, clocks) {
      if (sink.full !== true && shows(event)) sink.event?.(event, clocks);
    },
    get done() {
      return sink.done === true;
    },
    get dueMs() {
      return sink.dueMs ?? Infinity;
    },
  };
}

// --- internal ---

type RecordTaker = NonNullable<Sink["record"]>;

/** The first sink that can do with records decides; those that cannot get the event of one. null: none can. */
function recordFor(sinks: readonly Sink[], isFull: () => boolean): RecordTaker | null {
  const first = sinks.find((sink) => sink.record !== undefined);
  if (first === undefined) return null;
  const rest = sinks.filter(
    (sink) => sink !== first && sink.carried !== true && (sink.record ?? sink.event) !== undefined,
  );
  if (rest.length === 0 && !sinks.some((sink) => "full" in sink))
    return (view, p, clocks, describe) => first.record!(view, p, clocks, describe);
  return (view, p, clocks, describe) => {
    if (isFull()) return true;
    if (!first.record!(view, p, clocks, describe)) return false;
    let event: TracedEvent | null = null;
    for (const sink of rest)
      if (sink.record?.(view, p, clocks, describe) !== true)
        sink.event?.((event ??= describe(view, p)), clocks);
    return true;
  };
}

/** A close may bring the accept of its connection along. */
const EVENTS_OF_RECORD = 2;

/** Only where one sink gets all events. Near a limit it gets as few at once as cannot go beyond it. */
function recordsFor(sinks: readonly Sink[], limits: readonly Sink[]): Pick<Sink, "records"> {
  const of = sinks.filter(
    (sink) => sink.carried !== true && (sink.record ?? sink.event) !== undefined,
  );
  const { records } = of.length === 1 ? of[0]! : {};
  if (records === undefined) return {};
  if (limits.length === 0) return { records };
  return {
    records(many, clocks, describe) {
      const most = Math.floor(roomOf(limits) / EVENTS_OF_RECORD);
      if (many.to - many.from <= most) return records(many, clocks, describe);
      return most < 1 ? 0 : records({ ...many, to: many.from + most }, clocks, describe);
    },
  };
}

/** A sink that does not say how many more it takes may be full after the next one. */
const roomOf = (limits: readonly Sink[]): number => Math.min(...limits.map(({ room = 0 }) => room));

const withoutRecord = ({ tick, lost, end, losses }: Sink): Sink => ({
  ...(tick && { tick }),
  ...(lost && { lost }),
  ...(end && { end }),
  ...(losses && { losses }),
});
