/** The running trace: drain, put in order, decide, show. Each part has its share; see part.ts. */
import type { TracedEvent } from "../conn/identity.ts";
import { monotonicNs } from "../kernel/clock.ts";
import { explained } from "../kernel/host.ts";
import { KernelError } from "../kernel/shim.ts";
import { openWaiter } from "../kernel/waiter.ts";
import { EventView, Loss } from "../record/layout.gen.ts";
import { kindOf, toConnEvent, type Enrich } from "./event.ts";
import { timeSource, TimeWindows } from "./health/kernel_time.ts";
import { lossSource, type MissedBy } from "./health/loss_source.ts";
import { meanwhile } from "./meanwhile.ts";
import { NO_FILTER } from "./kernel_filter.ts";
import { closeAttached, type Checked } from "./opening/open_checked.ts";
import { dropCapabilities } from "./opening/privileges.ts";
import type { TraceOptions } from "./options.ts";
import { programsOf, type Part, type ShowRecord } from "./part.ts";
import { conditionsOf } from "./stream/conditions.ts";
import { applied } from "./stream/apply.ts";
import { batchByTool } from "./stream/batches.ts";
import { EventQueue, type Each, type Several } from "./stream/queue.ts";
import { stockTaking } from "./opening/stock_taking.ts";
import { chosen, isAskedAgain, showable } from "./stream/show.ts";
import type { Describe, EventSink, Trace } from "./trace.ts";

/** How much older than the drain an event must be to be sure that no other CPU still writes an earlier one. */
export const SETTLED_NS = 1_000_000n;

/** No CPU has this number. */
const NO_CPU = 0xffff_ffffn;

/** An opened trace, ready to run. */
export interface Found extends Checked {
  /** Also those that nobody asked for. */
  all: readonly Part[];
  description: string;
}

export function running(of: Found, options: TraceOptions): Trace {
  const { host, mode, object, rings, tgid, into: drain, description, notes } = of;
  const queue = new EventQueue(host.shim);
  for (const event of of.early) queue.push(event);
  /** Long work calls this so that the rings do not fill up; the records wait for the next poll, as they would in the rings. */
  const between = meanwhile(() => drain.into(queue));
  const parts = of.working.flatMap((part) => part.start?.(of, between) ?? []);
  const looking = parts.filter((part) => part.drained !== undefined);
  const enrich: readonly Enrich[] = parts.flatMap((part) => part.enrich ?? []);
  const complete = [...enrich, ...parts.flatMap((part) => part.complete ?? [])];
  const passing = parts.filter((part) => part.passed !== undefined);
  const time = options.timed === true ? new TimeWindows(timeSource(host.shim, object)) : null;
  const losses = lossSource(host.shim, object, missedBy(of), batchByTool, () => drain.lost());
  const waiter = openWaiter(host.shim, rings);
  const stock = stockTaking(of, parts, queue, between);
  let over = false;
  let closed = false;
  const { filter = NO_FILTER, self = false } = options;
  const choose = chosen({ tgid, self, beganNs: monotonicNs(), filter, parts });
  const { apply } = applied(parts, showable({ tgid, filter, parts }));
  const conditions = isAskedAgain(filter)
    ? conditionsOf(parts, of.marks, tgid, host.shim.addressOf)
    : null;
  const describe: Describe = (view, p) => {
    const event = new EventView(view, p);
    return toConnEvent(event, kindOf(event)!, enrich);
  };

  /** The time up to which the poll that is under way takes events. */
  let until = 0;
  const beginPoll = (last: boolean): void => {
    over ||= last;
    const beganNs = monotonicNs();
    for (const part of parts) part.renew?.(beganNs);
    until = last ? Infinity : Number(monotonicNs() - SETTLED_NS);
    drain.into(queue);
    const now = looking.filter(({ looks }) => looks?.() !== false);
    if (now.length > 0)
      queue.look((view, p) => {
        for (const part of now) part.drained!(view, p);
      });
    for (const part of looking) part.drainedAll?.();
  };
  const takeInto = (sink: EventSink, last: boolean, enough?: () => boolean): boolean => {
    const whole = last || enough === undefined;
    if (whole && !queue.underWay) stock.finish();
    if (!queue.underWay) beginPoll(last);
    const showRecord: ShowRecord = (view, p) => {
      if (!sink.record!(view, p, describe)) return false;
      for (const part of passing) part.passed!(view, p);
      return true;
    };
    const record = sink.record === undefined ? null : showRecord;
    const show = choose((event, kind) => sink.event(toConnEvent(event, kind, complete)));
    const each = (view: DataView, p: number) => apply(view, p, record, show);
    const now = stock.taken ? each : unless(stock.keep, each);
    const several = stock.taken ? severalInto(sink) : undefined;
    if (!queue.take(until, now, enough, several)) return false;
    for (const part of parts)
      if (stock.taken || part.needsStock !== true) part.tick?.(monotonicNs(), show, last);
    time?.polled(monotonicNs());
    if (!whole) stock.goOn();
    return true;
  };
  const severalInto = ({ records }: EventSink): Several | undefined => {
    if (records === undefined || conditions === null) return undefined;
    return (view, places, from, to) => {
      const at = conditions();
      return at === 0 ? 0 : records({ view, places, from, to, conditions: at }, describe);
    };
  };
  const pollInto: Trace["pollInto"] = (sink, last, enough) => {
    try {
      // A connection that is gone counts as lost at the second look, as its close may be drained between both.
      if (last && !over) {
        if (!takeInto(sink, false, enough)) return false;
        for (const part of parts) part.ending?.();
      }
      return takeInto(sink, last, enough);
    } catch (error) {
      throw error instanceof KernelError ? explained(error, { subject: error.op }) : error;
    }
  };

  return {
    description,
    native: host.shim,
    notes,
    pollInto,
    poll(last = false) {
      const events: TracedEvent[] = [];
      pollInto({ event: (event) => void events.push(event) }, last);
      return events;
    },
    wait(leastMs, mostMs, readerFd) {
      if (!stock.taken) return waiter.wait(0, 0, readerFd);
      const nowNs = monotonicNs();
      const due = [time, ...parts].map((of) => of?.dueMs?.(nowNs) ?? Infinity);
      const untilMs = queue.empty ? Math.min(mostMs, ...due) : leastMs;
      return waiter.wait(leastMs, untilMs, readerFd);
    },
    sample(all = false) {
      if ((options.sampling ?? false) === false)
        throw new RangeError("the trace was opened without `sampling`");
      stock.finish();
      const nowNs = monotonicNs();
      const sampled = parts.flatMap((part) => part.sample?.(nowNs, all) ?? []);
      for (const { moved } of sampled) for (const event of moved) queue.push(event);
      const gone = sampled.flatMap((of) => of.gone);
      return gone.map((event) => toConnEvent(event, "open", complete));
    },
    losses: () => [...losses.all(over), ...parts.flatMap((part) => part.losses?.() ?? [])],
    counts: () => parts.flatMap((part) => part.counts?.() ?? []),
    kernelTime: () => time?.total(monotonicNs()) ?? null,
    maps: () => object.hashMaps(),
    nameOf(netns, address) {
      for (const part of parts) {
        const name = part.nameOf?.(netns, address) ?? null;
        if (name !== null) return name;
      }
      return null;
    },
    takeStock: () => stock.finish(),
    afterStock: (then) => stock.after(then),
    launch(start) {
      const part = parts.find(({ launch }) => launch !== undefined);
      if (part === undefined) throw new RangeError("the trace was opened without `descendants`");
      return part.launch!(start);
    },
    dropCapabilities: () => {
      // Measuring is asked for with CAP_SYS_ADMIN, so the first window begins before it is gone.
      time?.polled(monotonicNs());
      const more = parts.reduce((all, part) => all | (part.capabilities ?? 0n), 0n);
      return dropCapabilities(host, mode, more, () => {
        losses.counted(Loss.LOSS_EVENT_RING_FULL);
        for (const part of parts) part.rehearse?.();
        if (object.loaded(batchByTool))
          host.shim.testRun(object.progFd(batchByTool), BigUint64Array.of(NO_CPU));
      });
    },
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      time?.[Symbol.dispose]();
      stock[Symbol.dispose]();
      waiter[Symbol.dispose]();
      closeAttached(host, of);
    },
  };
}

// --- internal ---

const unless =
  (taken: (view: DataView, p: number) => boolean, each: Each): Each =>
  (view, p) => {
    if (!taken(view, p)) each(view, p);
  };

/** Also of the parts that are not there: they have missed nothing. */
const missedBy = ({ all, points, mode }: Found): MissedBy[] =>
  all.flatMap(({ name, misses }) => {
    if (misses === undefined) return [];
    const own = [...points].find(([part]) => part.name === name)?.[1] ?? [];
    const programs = programsOf(
      own.filter((point) => point.missesAreLost).map(({ program }) => ({ program, held: true })),
    );
    const { rescued, unit } = misses;
    const loss = { cause: misses.cause(mode), ...(unit === undefined ? {} : { unit }) };
    return [{ ...loss, programs, rescued }];
  });
