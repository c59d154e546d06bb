import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SOCK_COMMON } from "../../src/guess/fields.ts";
import type { FieldReport } from "../../src/guess/report.ts";
import { decodeSnapshot, encodeSnapshot, type Snapshot } from "../../src/guess/snapshot.ts";
import { solve } from "../../src/guess/solve.ts";
import { requireFields } from "../../src/trace/tcp/fields.ts";

const directory = join(import.meta.dir, "../fixtures/guess");
const kernels = readdirSync(directory)
  .filter((file) => file.endsWith(".snapshot.gz"))
  .map((file) => file.replace(".snapshot.gz", ""));

const snapshotOf = (kernel: string): Snapshot =>
  decodeSnapshot(readFileSync(join(directory, `${kernel}.snapshot.gz`)));
const btfOf = (kernel: string): Record<string, number | null> =>
  JSON.parse(readFileSync(join(directory, `${kernel}.btf.json`), "utf8"));
const offsetsOf = (fields: FieldReport[]) =>
  Object.fromEntries(fields.map(({ field, offset }) => [field, offset]));
const fieldOf = (snapshot: Snapshot, name: string): FieldReport =>
  solve(snapshot).find(({ field }) => field === name)!;

test("each snapshot shows every field", () => {
  for (const kernel of kernels)
    for (const [field, offset] of Object.entries(btfOf(kernel)))
      expect(offset, `${field} in ${kernel}: record it again`).not.toBeNull();
  const fields = kernels.map((kernel) => Object.keys(btfOf(kernel)).toSorted());
  expect(new Set(fields.map((names) => names.join())).size).toBe(1);
});

test("snapshots of ten kernels at least are there to search", () => {
  expect(kernels.length).toBeGreaterThanOrEqual(10);
});

describe.each(kernels)("a snapshot of %s", (kernel) => {
  test("leads to the offsets of the kernel's BTF, every field", () => {
    expect(offsetsOf(solve(snapshotOf(kernel)))).toEqual(btfOf(kernel));
  });

  test("leads to the same offsets whatever the order of its connections", () => {
    const snapshot = snapshotOf(kernel);
    const reversed = { ...snapshot, socks: snapshot.socks.toReversed() };
    expect(offsetsOf(solve(reversed))).toEqual(btfOf(kernel));
  });

  test("leads to the same others without the route keys, as a trace guesses", () => {
    const snapshot = snapshotOf(kernel);
    const isRouteKey = ({ struct }: FieldReport) => struct.startsWith("flowi");
    const others = solve(snapshot).filter((field) => !isRouteKey(field));
    expect(others.length).toBeGreaterThan(30);
    expect(solve({ ...snapshot, sends6: [] }, false)).toEqual(others);
  });

  test("survives being written and read", () => {
    const snapshot = snapshotOf(kernel);
    expect(decodeSnapshot(encodeSnapshot(snapshot))).toEqual(snapshot);
  });
});

describe("a snapshot with something wrong in it", () => {
  const kernel = kernels[0]!;

  test("one copy that holds other values leaves no offset, and the field says failed", () => {
    const snapshot = snapshotOf(kernel);
    snapshot.socks[0]!.truth.total_retrans = 77_777;
    expect(fieldOf(snapshot, "total_retrans")).toMatchObject({
      status: "failed",
      offset: null,
      candidates: [],
    });
  });

  test("connections that never differ leave several offsets, and the field says ambiguous with them", () => {
    const snapshot = snapshotOf(kernel);
    snapshot.socks = snapshot.socks.filter(({ name }) => name === "idle");
    const field = fieldOf(snapshot, "snd_una");
    expect(field).toMatchObject({ status: "ambiguous", offset: null });
    expect(field.candidates).toContain(btfOf(kernel)["snd_una"]!);
  });

  test("without connections every field fails and none throws", () => {
    const snapshot = { ...snapshotOf(kernel), socks: [], contrast: [], sends4: [], sends6: [] };
    const found = solve({ ...snapshot, skbs: [] }).filter(({ status }) => status === "found");
    expect(found).toEqual([]);
  });

  test("without IPv6 its fields are not applicable, with the reason, and the others are found", () => {
    const snapshot = snapshotOf(kernel);
    snapshot.no_ipv6 = "IPv6 is off";
    snapshot.socks = snapshot.socks.filter(({ truth }) => truth.family === 2);
    const fields = solve({ ...snapshot, sends6: [] });
    const without = fields.filter(({ status }) => status === "not-applicable");
    expect(without.map(({ field }) => field)).toEqual([
      "skc_v6_daddr",
      "skc_v6_rcv_saddr",
      "fl6_argument",
      "fl6_saddr",
      "fl6_daddr",
      "fl6_sport",
      "fl6_dport",
    ]);
    expect(without.every(({ how }) => how === "IPv6 is off")).toBe(true);
    const others = fields.filter(({ status }) => status !== "not-applicable");
    expect(others.filter(({ status }) => status !== "found")).toEqual([]);
  });

  test("without network namespaces their fields are not applicable, and the others are found", () => {
    const snapshot = snapshotOf(kernel);
    for (const sample of snapshot.socks) sample.truth.netns = 0;
    const fields = solve(snapshot);
    const without = fields.filter(({ status }) => status === "not-applicable");
    expect(without.map(({ field }) => field)).toEqual(["skc_net", "net_ns_inum"]);
    expect(fields.filter((f) => f.status !== "found" && !without.includes(f))).toEqual([]);
    const report = { kernel: snapshot.kernel, attach: snapshot.attach, ms: 0, fields };
    expect(() => requireFields(report, "kprobe")).not.toThrow();
    expect(() => requireFields(report, "tracepoint")).not.toThrow();
  });

  test("a network namespace that is not found, where there are some, is too little to trace", () => {
    const snapshot = snapshotOf(kernel);
    for (const sample of snapshot.socks) sample.truth.netns = 77_777;
    const report = { kernel: snapshot.kernel, attach: snapshot.attach, ms: 0 };
    expect(() => requireFields({ ...report, fields: solve(snapshot) }, "kprobe")).toThrow(
      /skc_net/,
    );
  });

  test("the namespace is found wherever in its struct it stands, as where that is laid out at random", () => {
    const snapshot = snapshotOf(kernel);
    for (const { truth, behind } of snapshot.socks)
      for (const found of behind.filter(({ offset }) => offset === btfOf(kernel)["skc_net"])) {
        found.bytes = new Uint8Array(6144);
        new DataView(found.bytes.buffer).setUint32(5000, truth.netns, true);
      }
    expect(fieldOf(snapshot, "net_ns_inum")).toMatchObject({ status: "found", offset: 5000 });
  });

  // Each lock of struct sock has 72 bytes there rather than 4, and other debugging adds to it.
  test.each([
    ["sk_socket", 900],
    ["sk_socket", 2000],
    ["sk_protocol", 1400],
    ["sk_userlocks", 1400],
    ["rcv_nxt", 2000],
    ["copied_seq", 2000],
  ])("%s is found where lockdep's %d bytes lie before it", (field, locks) => {
    const snapshot = snapshotOf("6.12");
    const usual = btfOf("6.12");
    const at = SOCK_COMMON;
    const insert = (bytes: Uint8Array) =>
      new Uint8Array(
        Buffer.concat([bytes.subarray(0, at), new Uint8Array(locks), bytes.subarray(at)]),
      );
    for (const sample of snapshot.socks) {
      sample.bytes = insert(sample.bytes);
      for (const found of sample.behind) if (found.offset >= at) found.offset += locks;
    }
    for (const sample of snapshot.contrast) sample.bytes = insert(sample.bytes);
    expect(fieldOf(snapshot, field)).toMatchObject({
      status: "found",
      offset: usual[field]! + locks,
    });
    expect(fieldOf(snapshot, "skc_daddr").offset).toBe(0);
  });

  test("sk_protocol is found where a timer's jiffies read as IPPROTO_TCP and SOCK_STREAM", () => {
    const snapshot = snapshotOf("7.3");
    const timer = btfOf("7.3")["sk_protocol"]! - 88; // sk_timer.expires there
    const expires = (sample: { bytes: Uint8Array }, jiffies: bigint) => {
      sample.bytes = sample.bytes.slice();
      new DataView(sample.bytes.buffer).setBigUint64(timer, jiffies, true);
    };
    for (const [i, sample] of snapshot.socks.entries()) expires(sample, 0x1_0006_1d00n + BigInt(i));
    snapshot.contrast = [];
    expect(fieldOf(snapshot, "sk_protocol").status).toBe("ambiguous");

    const listener = { bytes: snapshot.socks[0]!.bytes, protocol: 6, type: 1 };
    expires(listener, 0n);
    snapshot.contrast = [listener];
    expect(fieldOf(snapshot, "sk_protocol")).toMatchObject({
      status: "found",
      offset: btfOf("7.3")["sk_protocol"],
    });
  });

  test("end and users of an sk_buff are found where reserved bytes lie before them, as in RHEL 8", () => {
    const snapshot = snapshotOf("6.12");
    const { skb_network_header, skb_head, skb_end, skb_users } = btfOf("6.12");
    const at = skb_network_header! + 4;
    for (const sample of snapshot.skbs) {
      sample.bytes = new Uint8Array(
        Buffer.concat([
          sample.bytes.subarray(0, at),
          new Uint8Array(16),
          sample.bytes.subarray(at),
        ]),
      );
      sample.behind.splice(skb_head! / 8, 0, null, null);
    }
    expect(offsetsOf(solve(snapshot))).toMatchObject({
      skb_head: skb_head! + 16,
      skb_end: skb_end! + 16,
      skb_users: skb_users! + 16,
    });
  });

  test.each([4, 6, 30])("the count of segments is found at %d, where two sends show it", (at) => {
    const snapshot = snapshotOf("6.12");
    snapshot.no_udp_segment = null;
    snapshot.shared = [
      [100, 3],
      [61, 5],
    ].map(([gso_size, gso_segs]) => {
      const bytes = new Uint8Array(256);
      const view = new DataView(bytes.buffer);
      view.setUint16(at - 2, gso_size!, true);
      view.setUint16(at, gso_segs!, true);
      return { bytes, gso_size: gso_size!, gso_segs: gso_segs! };
    });
    expect(fieldOf(snapshot, "gso_segs")).toMatchObject({ status: "found", offset: at });
    // Before 4.20 sends are not counted: their size alone shows the place.
    for (const { bytes } of snapshot.shared) new DataView(bytes.buffer).setUint16(at, 0, true);
    expect(fieldOf(snapshot, "gso_segs")).toMatchObject({ status: "found", offset: at });
    const second = snapshot.shared[1]!;
    // A snapshot is read from a file, and may hold less than the kernel gave.
    snapshot.shared[1] = { ...second, bytes: second.bytes.subarray(0, at) };
    expect(fieldOf(snapshot, "gso_segs")).toMatchObject({ status: "failed", offset: null });
    snapshot.shared[1] = { ...second, bytes: new Uint8Array(256) };
    expect(fieldOf(snapshot, "gso_segs")).toMatchObject({ status: "failed", offset: null });
  });

  test("the sock of another connection behind a sock is not searched where its own fields are found", () => {
    const snapshot = snapshotOf("6.12");
    // Slab neighbours: each holds the same values, one object further.
    for (const sample of snapshot.socks)
      sample.bytes = new Uint8Array(Buffer.concat([sample.bytes, sample.bytes]));
    expect(offsetsOf(solve(snapshot))).toEqual(btfOf("6.12"));
  });

  test("where a timer repeats what was lost, the end of what came last is not taken for snd_una", () => {
    const snapshot = snapshotOf("6.12");
    // Their segments, repeated one by one, show it as well.
    snapshot.socks = snapshot.socks.filter(({ name }) => !name.startsWith("retransmitted"));
    expect(fieldOf(snapshot, "snd_una").offset).toBe(btfOf("6.12")["snd_una"]!);
    snapshot.socks = snapshot.socks.filter(({ name }) => name !== "sacked");
    expect(fieldOf(snapshot, "snd_una").status).toBe("ambiguous");
  });

  test("a copy that ends early is searched as far as it goes", () => {
    const snapshot = snapshotOf(kernel);
    for (const sample of snapshot.socks) sample.bytes = sample.bytes.subarray(0, 512);
    expect(fieldOf(snapshot, "skc_daddr").status).toBe("found");
    expect(fieldOf(snapshot, "srtt_us").status).toBe("failed");
  });

  test.each([
    ["no gzip", Buffer.from("no snapshot")],
    ["nothing", Buffer.alloc(0)],
    ["JSON of something else", Bun.gzipSync(Buffer.from('{"format":"other"}'))],
  ])("a file that is %s is refused", (_, bytes) => {
    expect(() => decodeSnapshot(bytes)).toThrow();
  });
});
