/** The functions that a sock uses tell what MPTCP's worker opened, and what a sockmap may have moved. */
import { dlopen } from "bun:ffi";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { ConnFact } from "../../src/record/layout.gen.ts";
import { buildNative } from "./native.ts";

// A compiler is run.
setDefaultTimeout(300_000);

const { FACT_OPENED_FOR_OTHER, FACT_REDIRECTED } = ConnFact;
/** As in functions.c; the last one is of MPTCP or kTLS. */
const [TCP_V4, TCP_V6, SOCKMAP, LAST_SOCKMAP, BEHIND, OTHER] = [1000, 2000, 5000, 5799, 5800, 9000];

let directory: string;
let native: {
  flags_of_connect: (comm: Buffer, used: bigint, known: number) => number;
  flags_of_send: (used: bigint, known: number) => number;
};

beforeAll(() => {
  const built = buildNative("functions");
  directory = built.directory;
  native = dlopen(built.library, {
    flags_of_connect: { args: ["ptr", "u64", "u32"], returns: "u32" },
    flags_of_send: { args: ["u64", "u32"], returns: "u32" },
  }).symbols as unknown as typeof native;
});
afterAll(() => rmSync(directory, { recursive: true }));

const comm = (name: string) => Buffer.from(`${name}\0`);

test.each([
  [
    "a worker, with functions that are not TCP's own",
    "kworker/1:2",
    OTHER,
    1,
    FACT_OPENED_FOR_OTHER,
  ],
  ["a worker, with TCP's own: NFS", "kworker/1:2", TCP_V4, 1, 0],
  ["a worker, with TCP's own for IPv6", "kworker/u8:0", TCP_V6, 1, 0],
  ["a worker, where the functions are not known", "kworker/1:2", TCP_V4, 0, FACT_OPENED_FOR_OTHER],
  ["a program with MPTCP", "nginx", OTHER, 1, 0],
  ["a program with nearly the name of a worker", "kworker", OTHER, 1, 0],
])("connect by %s", (_, name, used, known, flags) => {
  expect(native.flags_of_connect(comm(name), BigInt(used), known)).toBe(flags);
});

test.each([
  ["a sock in a sockmap", SOCKMAP, 1, FACT_REDIRECTED],
  ["a sock with the last table of sockmaps", LAST_SOCKMAP, 1, FACT_REDIRECTED],
  ["a sock with what lies behind them", BEHIND, 1, 0],
  ["a sock with TCP's own functions", TCP_V4, 1, 0],
  ["a sock with kTLS", OTHER, 1, 0],
  ["a sock where the functions are not known", SOCKMAP, 0, 0],
])("a send of %s", (_, used, known, flags) => {
  expect(native.flags_of_send(BigInt(used), known)).toBe(flags);
});
