/**
 * How fast the tool itself is: records as a drain leaves them, decoded and made into lines. Needs no kernel. Run alone, it
 * prints and writes nothing: bun test/bench/throughput.ts
 */
import { wallTime } from "../../src/conn/clock.ts";
import type { ConnEvent } from "../../src/conn/event.ts";
import { openShim } from "../../src/kernel/shim.ts";
import { formatOf, formats, type Format } from "../../src/output/index.ts";
import { Lines } from "../../src/output/lines.ts";
import {
  ConnDirection,
  ConnFact,
  ConnMetadata,
  eventSize,
  EventKind,
  EventView,
  ownerSize,
  readOwner,
  writeEvent,
} from "../../src/record/layout.gen.ts";
import { lineWriter, readLine } from "../../src/recording/format.ts";
import { table } from "./table.ts";
import { kindOf, toConnEvent, type Enrich } from "../../src/trace/event.ts";
import { addTotals } from "../../src/trace/tcp/totals.ts";
import { EventQueue, type Each } from "../../src/trace/stream/queue.ts";

interface Throughput {
  what: string;
  perSecond: number;
}

const shim = openShim();
const RECORDS = 600;
const SECONDS = 2;
const tcp = {
  bytesSent: true,
  bytesReceived: true,
  segs: true,
  rtt: true,
  rttVar: true,
  retransmits: true,
};
const enrich: readonly Enrich[] = [
  (shown) => void (shown.cgroup = "/system.slice/nginx.service"),
  addTotals(tcp),
];

/** A line of each; to add one, add a row. */
const printed: Readonly<Record<string, Format>> = {
  "JSON line": formats.json,
  "CSV line": formats.csv,
  "table line": formats.table,
  "wide table line": formatOf("table", { wide: true }),
};

function measureThroughput(): Throughput[] {
  const drained = syntheticDrain(RECORDS);
  const clocks = { monoNs: 5_000_000_000_000n, wallNs: 1_790_000_000_000_000_000n };
  const describe = (view: DataView, p: number) => {
    const event = new EventView(view, p);
    return toConnEvent(event, kindOf(event)!, enrich);
  };
  const queue = new EventQueue();
  const taken = (each: Each) => {
    queue.room(drained.length).set(drained);
    queue.filled(drained.length);
    queue.take(Infinity, each);
  };
  const decoded = () => {
    const events: ConnEvent[] = [];
    taken((view, p) => void events.push(describe(view, p)));
    return events;
  };
  const events = decoded();
  const lines = new Lines();
  const print = (format: Format, some: readonly ConnEvent[]) => {
    for (const event of some) {
      if (format.append === undefined) lines.line(format.line(event, wallTime(event.atNs, clocks)));
      else format.append(lines, event, clocks);
    }
    lines.take().done();
  };
  const printRecords = (format: Format) => {
    taken((view, p) => {
      if (format.appendRecord!(lines, view, p, clocks, describe)) return;
      format.append!(lines, describe(view, p), clocks);
    });
    lines.take().done();
  };
  const recording = lineWriter(clocks.monoNs);
  const recorded = events.map((event) => {
    recording.appendEvent(lines, event, clocks, 1);
    return lines.take(true).bytes.subarray(0, -1);
  });
  return [
    rate("decode", () => void decoded()),
    ...Object.entries(printed).flatMap(([name, format]) => [
      rate(`${name} of an event`, () => print(format, events)),
      rate(`${name} of a record`, () => printRecords(format)),
    ]),
    ...(["json", "csv"] as const).map((name) => {
      const format = formatOf(name, {}, shim);
      return rate(`${name.toUpperCase()} line of a record, by the shim`, () =>
        printRecords(format),
      );
    }),
    rate("record", () => {
      for (const [n, event] of events.entries()) recording.appendEvent(lines, event, clocks, n + 1);
      lines.take().done();
    }),
    rate("read a recording", () => {
      for (const line of recorded) readLine(line);
    }),
    rate("decode, and a JSON line of it", () => print(formats.json, decoded())),
  ];
}

// --- internal ---

/** The fastest round: a round is short, so other programs of the machine leave some rounds alone. */
function rate(what: string, once: () => void): Throughput {
  for (let i = 0; i < 200; i++) once();
  const ends = performance.now() + SECONDS * 1000;
  let fastest = Infinity;
  for (let now = performance.now(); now < ends;) {
    once();
    const then = performance.now();
    fastest = Math.min(fastest, then - now);
    now = then;
  }
  return { what, perSecond: (RECORDS / fastest) * 1000 };
}

/** As crr leaves them: a connect, an accept and two closes per connection. */
export function syntheticDrain(records: number): Uint8Array {
  const size = eventSize + 4; // as the kernel pads it
  const drained = new Uint8Array(records * (8 + size + 4));
  const view = new DataView(drained.buffer);
  const kinds = [
    EventKind.EVENT_CONNECT,
    EventKind.EVENT_ACCEPT,
    EventKind.EVENT_CLOSE,
    EventKind.EVENT_CLOSE,
  ];
  for (let n = 0; n < records; n++) {
    const at = n * (8 + size + 4);
    const kind = kinds[n % 4]!;
    const incoming = n % 2 === 1;
    const client = 32768 + ((n >> 2) % 28000);
    view.setUint32(at, size, true);
    writeEvent(view, at + 8, {
      sk: 0xffff_8880_0000_0000n + BigInt(n) * 64n,
      ends: {
        saddr_h: 0n,
        saddr_l: 0x0100007fn,
        daddr_h: 0n,
        daddr_l: 0x0100007fn,
        sport: incoming ? 8080 : client,
        dport: incoming ? client : 8080,
        metadata: ConnMetadata.METADATA_TCP,
      },
      owner: {
        ...readOwner(new DataView(new ArrayBuffer(ownerSize)), 0),
        pid: incoming ? 4711 : 4712,
        uid: 1000,
        cgroup_id: 7n,
        comm: Uint8Array.from({ length: 15 }, (_, i) => "load\0".charCodeAt(i) || 0),
      },
      sent_bytes: 64n,
      recv_bytes: 64n,
      sent_packets: 4n,
      recv_packets: 4n,
      timestamp: 5_000_000_000_000n + BigInt(n) * 100_000n,
      started_at: 5_000_000_000_000n + BigInt(n) * 100_000n - BigInt(300_000 + (n % 1000) * 100),
      ended_at: 5_000_000_000_000n + BigInt(n) * 100_000n,
      netns: 4026531840,
      cookie: n,
      flags: ConnFact.FACT_ESTABLISHED | (incoming ? ConnFact.FACT_ACCEPTED : 0),
      rtt: 20 + (n % 7),
      rtt_var: 8 + (n % 3),
      retransmits: 0,
      state_transitions: 130,
      failure_reason: 0,
      kind,
      direction: incoming ? ConnDirection.DIRECTION_INCOMING : ConnDirection.DIRECTION_OUTGOING,
      legs: 0,
      endpoint_speaks: 0,
    });
  }
  return drained;
}

export function throughput(): string {
  const rows = measureThroughput().map(({ what, perSecond }) => [
    what,
    Math.round(perSecond / 1000).toLocaleString("en"),
    (1e9 / perSecond).toFixed(0),
  ]);
  return `On this machine, one thread, synthetic records of short connections; the fastest round of ${RECORDS} lines.\n\n${table(
    ["", "1,000 events per second", "ns per event"],
    rows,
  )}`;
}

if (import.meta.main) {
  for (const { what, perSecond } of measureThroughput())
    console.log(
      `${what.padEnd(30)} ${(perSecond / 1000).toFixed(0)} k/s  ${(1e9 / perSecond).toFixed(0)} ns`,
    );
}
