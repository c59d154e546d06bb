/** A kernel that refuses what only a part of the trace needs is traced without that part. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { guessOn } from "../../src/guess/run.ts";
import { EPERM } from "../../src/kernel/constants.ts";
import { openHost, type Host } from "../../src/kernel/host.ts";
import { KernelError } from "../../src/kernel/shim.ts";
import { attachTrace } from "../../src/trace/opening/attach.ts";
import { traceConstants } from "../../src/trace/opening/offsets.ts";
import { acceptPoints, udpPrograms } from "../../src/trace/opening/programs.ts";
import { NO_UDP, udpPoints } from "../../src/trace/udp/points.ts";
import { asBefore510, linuxAtLeast, modes } from "./drive/modes.ts";

setDefaultTimeout(60_000);

describe.each(modes)("with %ss", (mode) => {
  const host = openHost(mode);
  const report = guessOn(host);
  const made = { constants: traceConstants(report, host.features) };
  const none = NO_UDP.points;
  const attach = (udp = none, on: Host = host, more = {}) =>
    attachTrace(on, mode, made, acceptPoints[0]!, udp, () => {}, more);

  // Before 6.3 its tracepoints are not there, and their programs are more than the kernel takes.
  const hasUdp = mode === "kprobe" || linuxAtLeast(6, 3);

  test.skipIf(!hasUdp)("a point of UDP that this kernel lacks costs the trace nothing else", () => {
    const program = mode === "kprobe" ? "on_ip_send_skb" : "on_sent";
    const name = "there_is_no_such_function";
    const { object, udpRefused } = attach({
      kprobes: mode === "kprobe" ? [{ program, symbol: name }] : [],
      tracepoints: mode === "kprobe" ? [] : [{ program, name }],
    });
    using _ = object;
    expect(udpRefused).toContain(name);
    expect(object.mapFd("conns")).toBeGreaterThan(0);
  });

  test("what batches need costs the trace nothing else", () => {
    const refuse = () => {
      throw new KernelError("map batches", EPERM);
    };
    const { object } = attach(none, { ...host, shim: { ...host.shim, mapMappable: refuse } });
    using _ = object;
    expect(object.loaded("run_batch")).toBe(false);
    expect(object.mapFd("conns")).toBeGreaterThan(0);
  });

  test("of all that a trace can have nothing is refused by a kernel of the lab, batches neither", () => {
    const udp = hasUdp ? udpPoints(host, report, mode).points : none;
    const { object, ...refused } = attach(udp, host, { follow: true, sampling: true });
    using _ = object;
    expect(refused).toEqual({ udpRefused: null, attemptsRefused: null, argsRefused: null });
    const batched = !asBefore510 && (mode === "kprobe" || !linuxAtLeast(7, 0));
    expect(object.loaded("run_batch")).toBe(batched);
  });

  test("without points of UDP nothing is refused, and none of its programs is loaded", () => {
    const { object, udpRefused } = attach();
    using _ = object;
    expect(udpRefused).toBeNull();
    expect(udpPrograms.filter((program) => object.loaded(program))).toEqual([]);
  });
});
