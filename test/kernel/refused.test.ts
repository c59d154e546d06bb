/** A kernel that refuses what only a part of the trace needs is traced without that part. */
import { expect, test } from "bun:test";
import { guessOn } from "../../src/guess/run.ts";
import { EPERM } from "../../src/kernel/constants.ts";
import { openHost } from "../../src/kernel/host.ts";
import { KernelError } from "../../src/kernel/shim.ts";
import { attachTrace } from "../../src/trace/attach.ts";
import { traceConstants } from "../../src/trace/offsets.ts";
import { acceptPoints, udpPrograms } from "../../src/trace/programs.ts";
import { asBefore510, linuxAtLeast } from "./drive/modes.ts";

const host = openHost("auto");
const mode = host.modes[0]!;
const made = { constants: traceConstants(guessOn(host)) };
const none = { kprobes: [], tracepoints: [] };
const attach = (udp: Parameters<typeof attachTrace>[4], on = host) =>
  attachTrace(on, mode, made, acceptPoints[0]!, udp, () => {});

test("a point of UDP that this kernel lacks costs the trace nothing else", () => {
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
  const { object: usual } = attach(none);
  using __ = usual;
  const batched = !asBefore510 && (mode === "kprobe" || !linuxAtLeast(7, 0));
  expect(usual.loaded("run_batch")).toBe(batched);
});

test("without points of UDP nothing is refused, and none of its programs is loaded", () => {
  const { object, udpRefused } = attach(none);
  using _ = object;
  expect(udpRefused).toBeNull();
  expect(udpPrograms.filter((program) => object.loaded(program))).toEqual([]);
});
