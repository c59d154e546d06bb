/** The guess from end to end: connections, copies, search. Blocks its thread for the time it takes. */
import { Failure } from "../errors.ts";
import { explained, openHost, type AttachMode, type Host } from "../kernel/host.ts";
import { ATTACH_MODES } from "../kernel/modes.ts";
import { KernelError } from "../kernel/shim.ts";
import { checkOptions, oneOf } from "../options.ts";
import { guessConntrack } from "./conntrack.ts";
import { sendDatagrams } from "./datagrams.ts";
import { guessLeader } from "./leader.ts";
import { LoopbackError } from "./loopback.ts";
import { loopbackFailure } from "./loopback_failure.ts";
import { withLoopback, type Place } from "./netns.ts";
import type { FieldReport, GuessReport } from "./report.ts";
import {
  openKprobeSampler,
  openTracepointSampler,
  SamplerDeaf,
  type ArgumentSampler,
  type Sampler,
} from "./sampler.ts";
import { encodeSnapshot, type Snapshot } from "./snapshot.ts";
import { solve } from "./solve.ts";
import { copyListener, stimulate } from "./stimulate.ts";

export interface GuessOptions {
  attach: AttachMode | "auto";
}

/**
 * Copies of one round of connections decide on every kernel seen so far. A field that still has several candidates
 * gets further rounds: what is left by chance differs in the next one. A field with none starts over: one copy in
 * which something moved would hide it for ever.
 */
const ROUNDS = 6;

/** Throws a Failure when this host cannot be guessed at all; a field that stays unknown is in the report. */
export async function guessOffsets(
  options: GuessOptions = { attach: "auto" },
): Promise<GuessReport> {
  checkOptions("guessOffsets()", options, { attach: oneOf(...ATTACH_MODES) });
  return guessOn(openHost(options.attach), undefined, "all");
}

/** The raw copies of one guess, for a bug report: a file that the search can be run on anywhere. */
export async function takeSnapshot(options: GuessOptions): Promise<Uint8Array> {
  return encodeSnapshot(sample(openHost(options.attach), undefined, "all").snapshot);
}

/** `refused` is told why each way to attach that was tried before did not do. */
export function guessOn(
  host: Host,
  refused: Refused = () => {},
  extent: Extent = "trace",
): GuessReport {
  const begun = performance.now();
  const { snapshot, fields } = sample(host, refused, extent);
  // A trace does so itself, if NAT is asked for.
  if (extent === "all") fields.push(...guessConntrack(host, snapshot.attach, fields));
  const ms = performance.now() - begun;
  return { kernel: host.kernel, attach: snapshot.attach, ms, fields };
}

/** Turns an error of the loopback, the probes or the kernel into one for the user; others come back as they are. */
export function asFailure(error: unknown): unknown {
  if (error instanceof LoopbackError) return loopbackFailure(error);
  if (error instanceof SamplerDeaf) {
    return new Failure("the probes: attached, but they do not fire", {
      why: error.message,
      hint: "see whether /sys/kernel/debug/kprobes/enabled or sysctl kernel.ftrace_enabled is 0; or try --attach tracepoint",
      cause: error,
    });
  }
  return explained(error, { subject: "the guess" });
}

// --- internal ---

type Refused = (mode: AttachMode, why: Failure) => void;

/** "trace": the fields that each trace reads. "all": also those of conntrack, and flowi4 and flowi6, which take a probe and sends of their own. */
type Extent = "trace" | "all";

interface Sampled {
  snapshot: Snapshot;
  fields: FieldReport[];
}

/** Tries the host's ways to attach in turn: kprobes can be compiled in and yet switched off. */
function sample(host: Host, refused: Refused = () => {}, extent: Extent): Sampled {
  let first: unknown;
  for (const mode of host.modes) {
    try {
      return withLoopback((place) => sampleBy(host, mode, place, extent === "all"));
    } catch (error) {
      first ??= error;
      if (!(error instanceof KernelError) && !(error instanceof SamplerDeaf)) break;
      refused(mode, asFailure(error) as Failure);
    }
  }
  throw asFailure(first);
}

function sampleBy(host: Host, mode: AttachMode, place: Place, flows: boolean): Sampled {
  const helpers = host.features.helpers();
  using sampler =
    mode === "kprobe"
      ? openKprobeSampler(host.shim, host.kprobes!, { helpers, flows })
      : openTracepointSampler(host.shim, helpers);
  const ipv6 = place.no_ipv6 === null;
  let snapshot = empty(host, mode, place);
  let fields: FieldReport[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    if (fields.some((field) => field.status === "failed")) snapshot = empty(host, mode, place);
    snapshot.socks.push(...stimulate(sampler, place.netns, ipv6));
    snapshot.contrast.push(copyListener(sampler));
    if (isArgumentSampler(sampler)) addSends(snapshot, sampler, flows && ipv6);
    fields = solve(snapshot, flows);
    if (!fields.some(({ status }) => status === "ambiguous" || status === "failed")) break;
  }
  return { snapshot, fields: [...fields, ...guessLeader(sampler)] };
}

function empty(host: Host, attach: AttachMode, { no_ipv6 }: Place): Snapshot {
  const none = { socks: [], contrast: [], sends4: [], sends6: [], skbs: [], no_ipv6_address: null };
  return { format: "tracer-bpf snapshot 1", kernel: host.kernel, attach, no_ipv6, ...none };
}

function addSends(snapshot: Snapshot, sampler: ArgumentSampler, ipv6: boolean): void {
  const sends = sendDatagrams(sampler, ipv6);
  snapshot.no_ipv6_address = sends.no_ipv6_address;
  snapshot.contrast.push(...sends.contrast);
  snapshot.sends4.push(...sends.sends4);
  snapshot.sends6.push(...sends.sends6);
  snapshot.skbs.push(...sends.skbs);
  (snapshot.shared ??= []).push(...sends.shared);
  snapshot.no_udp_segment = sends.no_udp_segment;
}

const isArgumentSampler = (sampler: Sampler): sampler is ArgumentSampler =>
  sampler.attach === "kprobe";
