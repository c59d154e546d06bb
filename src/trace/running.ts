/** The running trace: drain, put in order, decide, show. */
import type { TracedEvent } from "../conn/identity.ts";
import type { GuessReport } from "../guess/report.ts";
import { monotonicNs } from "../kernel/clock.ts";
import type { Host } from "../kernel/host.ts";
import { openWaiter } from "../kernel/waiter.ts";
import { EventView, Loss, readEvent } from "../record/layout.gen.ts";
import { acceptSources } from "./tcp/accept_sources.ts";
import { Accepts } from "./tcp/accepts.ts";
import { applied, applyOne, applyRecord, type ShowRecord } from "./stream/apply.ts";
import { checkedCommands } from "./process/args.ts";
import { closeAttached, type Checked } from "./opening/open_checked.ts";
import { chosen, showable } from "./stream/show.ts";
import { CommandLines } from "./process/command_lines.ts";
import { commandSource } from "./process/command_source.ts";
import { kindOf, toConnEvent, type Known } from "./event.ts";
import { Descendants } from "./process/descendants.ts";
import { flowSource } from "./udp/flow_source.ts";
import { DEFAULT_FLOW_TIMEOUTS, Flows } from "./udp/flows.ts";
import { groupSource } from "./process/group_source.ts";
import { Groups } from "./process/groups.ts";
import { NO_FILTER } from "./opening/kernel_filter.ts";
import { timeSource, TimeWindows } from "./health/kernel_time.ts";
import { lossSource } from "./health/loss_source.ts";
import { ACCEPT_UNKNOWN } from "./health/losses.ts";
import { meanwhile } from "./stream/meanwhile.ts";
import { knownTotals } from "./opening/offsets.ts";
import { Opens } from "./tcp/opens.ts";
import type { TraceOptions } from "./options.ts";
import { dropCapabilities } from "./opening/privileges.ts";
import { batchByTool } from "./opening/programs.ts";
import { EventQueue } from "./stream/queue.ts";
import { sampleSource } from "./tcp/sample_source.ts";
import { Samples } from "./tcp/samples.ts";
import type { Describe, EventSink, Trace } from "./trace.ts";
import type { UdpDirections } from "./udp/directions.ts";

/** How much older than the drain an event must be to be sure that no other CPU still writes an earlier one. */
export const SETTLED_NS = 1_000_000n;

/** No CPU has this number. */
const NO_CPU = 0xffff_ffffn;

/** By the second poll all that was drained before the first has been applied, and by the third its races. */
const SETTLED_POLLS = 3;

/** What the opening found. */
export interface Found extends Checked {
  host: Host;
  report: GuessReport;
  directions: UdpDirections;
  description: string;
  notes: string[];
}

export function running(of: Found, options: TraceOptions): Trace {
  const { host, mode, object, rings, tgid, drain, description, notes } = of;
  const queue = new EventQueue();
  for (const event of of.early) queue.push(event);
  /** What takes long keeps the rings from filling up; it waits for the next poll, as it would in the rings. */
  const between = meanwhile(() => drain.into(queue));
  const parts = partsOf(of, options, between);
  const { accepting, accepts, commands, descendants, flows, groups, opens, samples } = parts;
  const known = knownOf(of, parts);
  const time = options.timed === true ? new TimeWindows(timeSource(host.shim, object)) : null;
  const losses = lossSource(host.shim, object, mode, () => drain.lost());
  const waiter = openWaiter(host.shim, rings);
  let polls = 0;
  let over = false;
  let closed = false;
  const { filter = NO_FILTER, self = false } = options;
  const choice = { tgid, self, beganNs: monotonicNs(), filter, descendants, samples };
  const choose = chosen(choice);
  const apply = applied(parts);
  const isDirect = showable({ tgid, filter, groups, args: commands !== null });
  const describe: Describe = (view, p) => {
    const event = new EventView(view, p);
    return toConnEvent(event, kindOf(event)!, known);
  };

  /** The time up to which the poll that is under way takes events. */
  let until = 0;
  const beginPoll = (last: boolean): void => {
    over ||= last;
    groups.renew();
    commands?.renew();
    descendants?.renew(monotonicNs());
    until = last ? Infinity : Number(monotonicNs() - SETTLED_NS);
    drain.into(queue);
  };
  const pollInto = (to: EventSink, last: boolean, enough?: () => boolean): boolean => {
    const sink = time?.counting(monotonicNs()) === true ? time.counted(to) : to;
    if (!queue.underWay) beginPoll(last);
    const record: ShowRecord | null =
      sink.record === undefined ? null : (view, p) => sink.record!(view, p, describe);
    const show = choose((event, kind) => sink.event(toConnEvent(event, kind, known)));
    const each = (view: DataView, p: number): void => {
      if (!apply.isPlain(view, p)) return apply.any(readEvent(view, p), show);
      if (record !== null && isDirect(view, p) && applyRecord(view, p, accepts, record, show))
        return;
      applyOne(new EventView(view, p), accepts, show);
    };
    if (!queue.take(until, each, enough)) return false;
    if (++polls === SETTLED_POLLS) opens.settle();
    for (const event of accepts.poll()) show(event, "accept");
    for (const one of flows?.tick(monotonicNs()) ?? []) show(one.event, one.kind);
    time?.polled(monotonicNs());
    return true;
  };

  return {
    description,
    notes,
    pollInto,
    poll(last = false) {
      const events: TracedEvent[] = [];
      pollInto({ event: (event) => void events.push(event) }, last);
      return events;
    },
    wait(leastMs, mostMs, readerFd) {
      const waits = !queue.empty || accepts.waiting || polls <= SETTLED_POLLS;
      const untilMs = waits ? leastMs : Math.min(mostMs, flows?.dueMs(monotonicNs()) ?? Infinity);
      return waiter.wait(leastMs, untilMs, readerFd);
    },
    sample() {
      if (samples === null) throw new RangeError("the trace was opened without `sampling`");
      for (const event of samples.take()) queue.push(event);
      for (const event of flows?.sample(monotonicNs()) ?? []) queue.push(event);
      return samples.takeLost().map((event) => toConnEvent(event, "open", known));
    },
    losses: () => [...losses.all(over), { cause: ACCEPT_UNKNOWN, count: accepts.lost }],
    kernelTime: () => time?.total(monotonicNs()) ?? null,
    maps: () => object.hashMaps(),
    launch(start) {
      if (descendants === null) throw new RangeError("the trace was opened without `descendants`");
      return descendants.launch(start);
    },
    dropCapabilities: () => {
      // Measuring is asked for with CAP_SYS_ADMIN, so the first window begins before it is gone.
      time?.polled(monotonicNs());
      return dropCapabilities(host, mode, () => {
        losses.counted(Loss.LOSS_EVENT_RING_FULL);
        if (mode === "tracepoint") accepting.ask(0n, 0);
        if (object.loaded(batchByTool))
          host.shim.testRun(object.progFd(batchByTool), BigUint64Array.of(NO_CPU));
      });
    },
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      time?.[Symbol.dispose]();
      waiter[Symbol.dispose]();
      closeAttached(host, of);
    },
  };
}

// --- internal ---

type Parts = ReturnType<typeof partsOf>;

/** Each knows one kind of thing, and asks the kernel about it. */
function partsOf(of: Found, options: TraceOptions, between: () => void) {
  const { host, mode, object, tgid, udp } = of;
  const { shim } = host;
  const { filter = NO_FILTER, sampling = false, flowTimeouts = DEFAULT_FLOW_TIMEOUTS } = options;
  const accepting = acceptSources(shim, object, tgid, between);
  const sampler = () => sampleSource(host, object, tgid, between);
  const flowMaps = flowSource(shim, object, mode, between);
  return {
    accepting,
    accepts: new Accepts(accepting),
    commands: options.args === true ? commandLines(of, between) : null,
    descendants: filter.descendants === true ? new Descendants(shim, object, tgid) : null,
    flows: udp && new Flows(flowMaps, flowTimeouts, of.directions),
    groups: new Groups(groupSource(tgid, between)),
    opens: new Opens(),
    samples: sampling === false ? null : new Samples(sampler()),
  };
}

function commandLines(of: Found, between: () => void): CommandLines {
  const { host, object, tgid, early, notes } = of;
  const source = commandSource(host.shim, object, tgid, between);
  return new CommandLines(checkedCommands(source, early, tgid, notes));
}

function knownOf({ report, udp }: Found, { groups, commands }: Parts): Known {
  return {
    tcp: knownTotals(report),
    udp: udp ?? { bytes: false, packets: false },
    groupOf: (pid, event) => groups.of(pid, event),
    ...(commands === null ? {} : { argsOf: (pid, event) => commands.of(pid, event) }),
  };
}
