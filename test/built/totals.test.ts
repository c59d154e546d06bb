/**
 * The totals of a connection are read without the sock's lock. Here the sock changes between any two of the reads, as other
 * CPUs change it: in each order the answer is a number that was right at some moment of the reading, or "not stable".
 */
import { dlopen, ptr, type Pointer } from "bun:ffi";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { SOCK_DONE } from "../../src/kernel/constants.ts";
import { buildNative } from "./native.ts";

// A compiler is run.
setDefaultTimeout(300_000);

/** As in enum field of sock_race.c. */
const fields = [
  "snd_una",
  "bytes_acked",
  "write_seq",
  "rcv_nxt",
  "bytes_received",
  "copied_seq",
  "sk_flags",
  "note_fin",
] as const;
type Field = (typeof fields)[number];
type Sock = Record<Exclude<Field, "note_fin">, number>;
type Step = [field: Field, amount: number];

/** The application has written 103 bytes, of which 3 are not acknowledged, and has read 101 of the 106 that have come. */
const WRITTEN = 103;
const READ = 101;
/** Sequence numbers begin anew in the middle of it. */
const FIRST = 2 ** 32 - 100;
const u32 = (n: number): number => n % 2 ** 32;
const busy: Sock = {
  bytes_acked: WRITTEN - 3,
  snd_una: u32(FIRST + WRITTEN - 3),
  write_seq: u32(FIRST + WRITTEN),
  bytes_received: READ + 5,
  rcv_nxt: u32(FIRST + READ + 5),
  copied_seq: u32(FIRST + READ),
  sk_flags: 0,
};
const idle: Sock = {
  ...busy,
  bytes_acked: WRITTEN,
  snd_una: u32(FIRST + WRITTEN),
  bytes_received: READ,
  rcv_nxt: u32(FIRST + READ),
};

/** Stores of the kernel, in its order. */
const arrives = (bytes: number): Step[] => [
  ["bytes_received", bytes],
  ["rcv_nxt", bytes],
];
const acknowledged = (bytes: number): Step[] => [
  ["bytes_acked", bytes],
  ["snd_una", bytes],
];
const finArrives = (payload: number): Step[] => [
  ...arrives(payload + 1),
  ["sk_flags", 1 << SOCK_DONE],
];
const shutsDown: Step[] = [
  ["note_fin", 0],
  ["write_seq", 1],
];

interface Change {
  sock: Sock;
  steps: Step[];
  /** Bytes that the application has written and read, at each moment of the change. */
  written?: number[];
  read?: number[];
}

/** The same after 12 GiB each way: sequence numbers have begun anew three times. */
const LONG = 3 * 2 ** 32;
const long: Sock = {
  ...busy,
  bytes_acked: busy.bytes_acked + LONG,
  bytes_received: busy.bytes_received + LONG,
};

/** Work of softirqs while the application closes. To add a change, add a row. */
const atClose: Record<string, Change> = {
  nothing: { sock: busy, steps: [] },
  "data arrives, after 12 GiB": {
    sock: long,
    steps: arrives(7),
    written: [WRITTEN + LONG],
    read: [READ + LONG],
  },
  "data is acknowledged, after 12 GiB": {
    sock: long,
    steps: acknowledged(3),
    written: [WRITTEN + LONG],
    read: [READ + LONG],
  },
  "data arrives": { sock: idle, steps: arrives(7) },
  "more data arrives": { sock: busy, steps: arrives(7) },
  "a FIN arrives": { sock: idle, steps: finArrives(0) },
  "a FIN arrives behind data that is not read": { sock: busy, steps: finArrives(0) },
  "a FIN arrives with data": { sock: idle, steps: finArrives(7) },
  "data is acknowledged": { sock: busy, steps: acknowledged(3) },
  "data is acknowledged by a FIN": {
    sock: { ...idle, bytes_acked: WRITTEN - 3, snd_una: u32(FIRST + WRITTEN - 3) },
    steps: [...acknowledged(3), ...finArrives(0)],
  },
};

/** Work of softirqs and of the application while a sample is taken. */
const atSample: Record<string, Change> = {
  ...atClose,
  "the application writes": {
    sock: busy,
    steps: [["write_seq", 7]],
    written: [WRITTEN, WRITTEN + 7],
  },
  "the application reads": {
    sock: busy,
    steps: [["copied_seq", 5]],
    read: [READ, READ + 5],
  },
  "data arrives and is read": {
    sock: idle,
    steps: [...arrives(7), ["copied_seq", 7]],
    read: [READ, READ + 7],
  },
  "a reader that sleeps takes a segment itself, before 4.13": {
    sock: idle,
    steps: [["copied_seq", 7], ...arrives(7)],
    read: [READ, READ + 7],
  },
  "a FIN arrives and is read": { sock: idle, steps: [...finArrives(0), ["copied_seq", 1]] },
  "a FIN that had come is read": {
    sock: {
      ...idle,
      bytes_received: READ + 1,
      rcv_nxt: u32(FIRST + READ + 1),
      sk_flags: 1 << SOCK_DONE,
    },
    steps: [["copied_seq", 1]],
  },
  "the application shuts down, and the FIN is acknowledged": {
    sock: idle,
    steps: [...shutsDown, ...acknowledged(1)],
  },
  "the application shuts down behind data": { sock: busy, steps: shutsDown },
  "the application shuts down and closes: in tracepoint mode a handler is called twice": {
    sock: busy,
    steps: [...shutsDown, ["note_fin", 0]],
  },
};

const signature = { args: ["ptr", "ptr", "ptr", "u32", "ptr"], returns: "u32" } as const;
const load = (file: string) =>
  dlopen(file, {
    close_during: signature,
    sample_during: signature,
    see_beginning: { args: ["u32"], returns: "void" },
  }).symbols;
type Readings = ReturnType<typeof load>;
type During = Readings["close_during"];
let directory: string;
let readings: Readings;

beforeAll(() => {
  const built = buildNative("sock_race");
  directory = built.directory;
  readings = load(built.library);
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A connection whose beginning was seen is never unstable, even if a CPU stands still between the two stores of a segment. */
describe.each([
  ["was seen", true],
  ["was not seen", false],
])("of a connection whose beginning %s", (_, seen) => {
  const of = (during: keyof Omit<Readings, "see_beginning">, change: Change) => {
    readings.see_beginning(Number(seen));
    return wrongOnes(readings[during], change, seen);
  };

  describe("the totals that a close reads are exact, or are told to be unstable, while", () => {
    test.each(Object.entries(atClose))("%s", (_, change) => {
      expect(of("close_during", change)).toEqual([]);
    });
  });

  describe("the totals that a sample reads are right at that moment, or it is not taken, while", () => {
    test.each(Object.entries(atSample))("%s", (_, change) => {
      expect(of("sample_during", change)).toEqual([]);
    });
  });
});

// --- internal ---

/** Reads between the two stores that a segment makes one after the other. With more, a CPU stands still there for the whole reading. */
const APART = 4;
/** Reads after which nothing changes any more: the counters have been read twice by then. */
const CHANGING = 24;

/** The schedules by which the answer is wrong, or unstable though the beginning was seen, with the answer. */
function wrongOnes(
  during: During,
  { sock, steps, written = [WRITTEN], read = [READ] }: Change,
  seen: boolean,
): string[] {
  const before = BigUint64Array.from(fields, (f) => (f === "note_fin" ? 0n : BigInt(sock[f])));
  const packed = Uint32Array.from(steps.flatMap(([f, amount]) => [fields.indexOf(f), amount]));
  const due = new Uint32Array(steps.length);
  const result = new BigUint64Array(3);
  const at = (array: NodeJS.TypedArray): Pointer | null => (array.length ? ptr(array) : null);
  // A sample is not taken while a FIN is being queued.
  const mayBeUnstable = !seen || steps.some(([field]) => field === "note_fin");
  const wrong: string[] = [];
  let stable = 0;
  for (const _ of schedules(steps, due, seen ? CHANGING : APART)) {
    during(ptr(before), at(packed), at(due), steps.length, ptr(result));
    if (result[0] === 0n && mayBeUnstable) continue;
    stable++;
    const [sent, received] = [Number(result[1]), Number(result[2])];
    if (written.includes(sent) && read.includes(received)) continue;
    const schedule = steps.map(([f], n) => `${f} after ${due[n]}`);
    wrong.push(`${schedule.join(", ")}: ${sent} written, ${received} read`);
  }
  // With the change before, and behind, all of the reading at least.
  expect(stable).toBeGreaterThanOrEqual(steps.length === 0 ? 1 : 2);
  return wrong;
}

/** Fills `due` in every way: how many reads come before each step. */
function* schedules(steps: Step[], due: Uint32Array, apart: number, n = 0): Generator<void> {
  const step = steps[n];
  if (step === undefined) return yield;
  const earliest = n === 0 ? 0 : due[n - 1]!;
  const second = n > 0 && ["rcv_nxt", "snd_una"].includes(step[0]);
  const latest = second ? Math.min(earliest + apart, CHANGING) : CHANGING;
  for (let reads = earliest; reads <= latest; reads++) {
    due[n] = reads;
    yield* schedules(steps, due, apart, n + 1);
  }
}
