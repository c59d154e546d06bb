/** The table of what the tracer asks of the kernel's BPF names what the built objects hold, no more and no less. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { HOST } from "../../src/build/arch.ts";
import { objectFile, OBJECTS } from "../../src/build/native.ts";
import { bpfUses, type BpfUse } from "../../src/kernel/bpf_uses.ts";
import { Placeholder } from "../../src/record/layout.gen.ts";
import { readUses } from "./bpf_object.ts";

const objects = OBJECTS.map((name) => {
  const file = objectFile(HOST, name);
  if (!existsSync(file)) throw new Error(`${file} is not built: run "bun build.ts"`);
  return readUses(readFileSync(file), Placeholder.HELPER_MAGIC);
});

const numbersOf = (kind: BpfUse["kind"]): number[] =>
  bpfUses.flatMap((use) => (use.kind === kind ? [use.number!] : []));

const BPF_MAP_TYPE_SOCKMAP = 15;

const sorted = (numbers: Iterable<number>): number[] =>
  [...new Set(numbers)].toSorted((a, b) => a - b);

describe("the objects", () => {
  test("call the helpers of the table", () => {
    const called = objects.flatMap(({ helpers }) => helpers);
    // That placeholder becomes the call of a function of the kernel.
    const helpers = called.filter((number) => number !== Placeholder.CAST_MAGIC);
    expect(helpers.length).toBeLessThan(called.length);
    expect(sorted(helpers)).toEqual(sorted(numbersOf("helper")));
  });

  test("have maps of the types of the table", () => {
    // The tool makes the sockmap itself.
    const ours = numbersOf("map type").filter((number) => number !== BPF_MAP_TYPE_SOCKMAP);
    expect(sorted(objects.flatMap(({ mapTypes }) => mapTypes))).toEqual(sorted(ours));
  });

  /** By the section's name; the type is libbpf's, but for iterators, of which the shim has libbpf know nothing. */
  const types: Readonly<Record<string, string>> = {
    kprobe: "BPF_PROG_TYPE_KPROBE",
    kretprobe: "BPF_PROG_TYPE_KPROBE",
    raw_tp: "BPF_PROG_TYPE_RAW_TRACEPOINT",
    tc: "BPF_PROG_TYPE_SCHED_CLS",
    "raw_tp/iter": "BPF_PROG_TYPE_TRACING",
    cgroup: "BPF_PROG_TYPE_CGROUP_SOCK_ADDR",
  };

  test("have programs of the types of the table", () => {
    const used = objects.flatMap(({ sections }) => sections.map((name) => types[name] ?? name));
    const named = bpfUses.filter(({ kind }) => kind === "program type").map(({ name }) => name);
    // libbpf loads the socket filter.
    const ours = named.filter((name) => name !== "BPF_PROG_TYPE_SOCKET_FILTER");
    expect([...new Set(used)].toSorted()).toEqual([...new Set(ours)].toSorted());
  });
});
