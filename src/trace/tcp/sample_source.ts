/** Asks the kernel side for the counters of a batch of connections: one way on every kernel, a faster one from 5.10. */
import { AF_INET, SOCK_CLOEXEC, SOCK_STREAM, SOL_TCP } from "../../kernel/constants.ts";
import { Failure } from "../../errors.ts";
import type { Host } from "../../kernel/host.ts";
import { close, getsockopt, socket } from "../../kernel/libc.ts";
import type { KernelObject } from "../../kernel/object.ts";
import { Sampling, sampleSize, type TraceProgram } from "../../record/layout.gen.ts";
import type { SampleSource } from "./samples.ts";

const { SAMPLES, SAMPLES_OF_PROBE, ASK_SAMPLES } = Sampling;

/** Asks for the counters of open connections, from Linux 5.10 on. */
export const sampleByTool: TraceProgram = "run_samples";
/** The same before; attached from the first use on. */
export const sampleKprobe = { program: "on_tcp_getsockopt", symbol: "tcp_getsockopt" } as const;

/** `tgid` is the tool's own, as the kernel numbers it. `between` is called before each batch. */
export function sampleSource(
  host: Host,
  object: KernelObject,
  tgid: number,
  between: () => void = () => {},
): SampleSource {
  if (host.features.has("test_run") && object.loaded(sampleByTool))
    return byRun(host, object, between);
  if (host.kprobes && object.loaded(sampleKprobe.program))
    return byProbe(host, object, tgid, between);
  throw new Failure("what open connections have moved: this kernel refused the program", {
    hint: "trace without --interval; --debug prints why, please report it",
  });
}

// --- internal ---

const zero = new Uint32Array(1);

function byRun({ shim }: Host, object: KernelObject, between: () => void): SampleSource {
  const map = object.mapFd("samples");
  const program = object.progFd(sampleByTool);
  const count = new BigUint64Array(1);
  return {
    batch: SAMPLES,
    ask(samples, n) {
      between();
      count[0] = BigInt(n);
      shim.mapUpdate(map, zero, samples);
      shim.testRun(program, count);
      shim.mapLookup(map, zero, samples);
    },
  };
}

/** A program cannot be run on request: a probe on a system call of the tool's own, attached from the first use on. */
function byProbe(
  { shim, kprobes }: Host,
  object: KernelObject,
  tgid: number,
  between: () => void,
): SampleSource {
  const map = object.mapFd("samples");
  const { program, symbol } = sampleKprobe;
  const samples = new Uint8Array(SAMPLES * sampleSize);
  const option = new Uint8Array(4);
  const fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  object.own(kprobes!.attach(object.progFd(program), { symbol, retprobe: false }));
  object.own({ [Symbol.dispose]: () => void close(fd) });
  shim.mapUpdate(object.mapFd("lister"), zero, Uint32Array.of(tgid));
  return {
    batch: SAMPLES_OF_PROBE,
    ask(wanted) {
      between();
      samples.set(wanted);
      shim.mapUpdate(map, zero, samples);
      getsockopt(fd, SOL_TCP, ASK_SAMPLES, option);
      shim.mapLookup(map, zero, samples);
      wanted.set(samples.subarray(0, wanted.length));
    },
  };
}
