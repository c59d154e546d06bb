/**
 * With tracepoints: connects that failed before a SYN, of sockets that live on. bpf/tcp/begun.h tells of the others itself,
 * when their sock is destroyed.
 */
import { mapDumper } from "../../kernel/map_dump.ts";
import { parseStat } from "../../kernel/proc_text.ts";
import { textOf } from "../../kernel/text_file.ts";
import {
  begunSize,
  eventSize,
  failedKeySize,
  readBegun,
  readEvent,
} from "../../record/layout.gen.ts";
import type { Opened, Show, Working } from "../part.ts";

export function failedConnects({ host: { shim }, object, tgid }: Opened): Working {
  const dumpBegun = mapDumper(shim, object.mapFd("begun"), SK_SIZE, begunSize);
  const failedFd = object.mapFd("failed_connects");
  const dumpFailed = mapDumper(shim, failedFd, failedKeySize, eventSize);
  let nextNs = 0n;

  /** Between the hook and SYN_SENT a thread does not sleep: one that sleeps, or is gone, has failed to connect. */
  const findFailed = () => {
    // In a pid namespace /proc numbers threads otherwise than the events do.
    if (tgid !== process.pid) return;
    const { count, view } = dumpBegun();
    for (let i = 0; i < count; i++) {
      const { event, thread } = readBegun(view, i * (SK_SIZE + begunSize) + SK_SIZE);
      if (mayRun(thread)) continue;
      const args = BigUint64Array.of(event.sk, BigInt(event.cookie));
      shim.testRun(object.progFd("run_connect_failed"), args);
    }
  };
  const showFailed = (show: Show) => {
    const { count, view } = dumpFailed();
    for (let i = 0; i < count; i++) {
      const at = i * (failedKeySize + eventSize);
      const key = new Uint8Array(view.buffer, at, failedKeySize);
      if (shim.mapDelete(failedFd, key)) show(readEvent(view, at + failedKeySize), "fail");
    }
  };
  return {
    tick(nowNs, show, last) {
      if (nowNs < nextNs && !last) return;
      nextNs = nowNs + EVERY_NS;
      findFailed();
      showFailed(show);
    },
    // Nothing wakes the tool for a connect that failed so.
    dueMs: () => REST_MS,
    rehearse: findFailed,
  };
}

// --- internal ---

const SK_SIZE = 8;
/** To find a map empty is a walk over its buckets. */
const EVERY_NS = 500_000_000n;
/** Where nothing else happens. */
const REST_MS = 15_000;

/** R: it runs or could; D: it waits for a lock, as it can on PREEMPT_RT. */
function mayRun(thread: number): boolean {
  const stat = parseStat(textOf(`/proc/${thread}/stat`) ?? "");
  return stat !== null && ["R", "D"].includes(stat.state);
}
