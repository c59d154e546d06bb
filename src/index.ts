/**
 * tracer-bpf as a library. It runs under Bun, as root, from a checkout in which `bun build.ts --dev` has run.
 *
 *     await using tracer = await openTracer();
 *     for await (const event of tracer.events()) console.log(event.kind, event.remote.address);
 *
 * Units: times in ns of CLOCK_MONOTONIC (`tracer.wallTimeNs` makes wall time of them), round-trip times in µs, ports in
 * host order, addresses as text; 64-bit counters are bigint. `null` = not known.
 *
 * Errors: what this host or a file cannot do is a Failure (`message` what, `why`, `hint`) or one of its subclasses; bytes
 * that are no record, and values that a record cannot hold, are a RecordError, which is a RangeError.
 */

// The steps: guess, then load and attach in one, then poll.
export {
  openTracer,
  type ReaderOptions,
  type Tracer,
  type TracerOptions,
} from "./library/tracer.ts";
export { guessOffsets, type GuessOptions } from "./guess/run.ts";
export { loadOffsets, saveOffsets } from "./guess/file.ts";
export type { FieldReport, FieldStatus, GuessReport } from "./guess/report.ts";
export type { AttachMode } from "./kernel/host.ts";
export type { LossCount } from "./trace/health/losses.ts";

// The events of a trace.
export type {
  ConnEvent,
  Direction,
  Endpoint,
  EventKind,
  Protocol,
  Totals,
  Translation,
} from "./conn/event.ts";
export { natOf } from "./conn/nat.ts";
export type { DnsDetails } from "./protocols/dns.ts";
export type { QuicDetails } from "./protocols/quic.ts";
export type { TlsDetails } from "./protocols/hello.ts";
export type { Application } from "./protocols/stack.ts";
export type { TracedEvent } from "./conn/identity.ts";
export type { Counters } from "./state/counters.ts";
export type { ConnectionDelta, Deltas, StateCounts, StateOptions } from "./state/state.ts";
export { aggregate, type Aggregate } from "./state/aggregate.ts";
export { formats } from "./output/index.ts";

// The records of bpf/public.h: exact sizes, strict decoders.
export { ConntrackTuple, type ConntrackTupleParts } from "./public/conntrack_tuple.ts";
export { ConnTuple, type ConnTupleParts } from "./public/conn_tuple.ts";
export { Batch, BATCH_ROOM, Conn, ConnStats, SkpConn, TCPStats } from "./public/conn.ts";
export { Batches } from "./public/batches.ts";
export * from "./public/constants.ts";
export * from "./public/records.ts";
export { RecordError } from "./record/error.ts";

export {
  Failure,
  GuessError,
  PrivilegeError,
  UnsupportedError,
  UsageError,
  VerifierError,
} from "./errors.ts";
