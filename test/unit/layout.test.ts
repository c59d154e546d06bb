import { expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { HOST } from "../../src/build/arch.ts";
import { LAYOUT, layoutOf, objectFile, OBJECTS } from "../../src/build/native.ts";
import * as layout from "../../src/record/layout.gen.ts";
import {
  connSize,
  connStatsSize,
  connTupleSize,
  eventSize,
  readEvent,
  ownerSize,
  readOwner,
  tcpStatsSize,
  writeEvent,
} from "../../src/record/layout.gen.ts";

test("layout.gen.ts is what the BPF objects say", () => {
  const missing = OBJECTS.map((name) => objectFile(HOST, name)).filter((file) => !existsSync(file));
  if (missing.length > 0) throw new Error(`${missing.join(", ")} not built: run "bun run build"`);
  if (readFileSync(LAYOUT, "utf8") !== layoutOf(HOST))
    throw new Error(`${LAYOUT} is not up to date: run "bun run build" and commit it`);
});

test("the sizes that other tools know are kept", () => {
  expect({ connTupleSize, tcpStatsSize, connStatsSize, connSize }).toEqual({
    connTupleSize: 48,
    tcpStatsSize: 16,
    connStatsSize: 56,
    connSize: 120,
  });
});

const eventBytes = fc.uint8Array({ minLength: eventSize, maxLength: eventSize });
const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);
/** Of random bytes, so that it has every member of the struct. */
const event = eventBytes.map((bytes) => readEvent(viewOf(bytes), 0));

test("an event written at any place in a buffer is read back", () => {
  fc.assert(
    fc.property(event, fc.nat(64), (value, at) => {
      const view = new DataView(new Uint8Array(at + 8 + eventSize).buffer, 8);
      writeEvent(view, at, value);
      expect(readEvent(view, at)).toEqual(value);
    }),
  );
});

test("the current process fills each member of struct owner", () => {
  const text = readFileSync(join(import.meta.dir, "../../bpf/process/owner.h"), "utf8");
  const body = /void own_by_current[^{]*\{([^]*?)^\}/m.exec(text)![1]!;
  const filled = body.matchAll(/^\towner->(\w+) = |^\tbpf_get_current_comm\(owner->(\w+)/gm);
  const owner = readOwner(new DataView(new ArrayBuffer(ownerSize)), 0);
  expect(Array.from(filled, ([, set, copied]) => (set ?? copied)!).toSorted()).toEqual(
    Object.keys(owner).toSorted(),
  );
});

test("a place is where the reader finds the member, whatever the bytes", () => {
  fc.assert(
    fc.property(eventBytes, (some) => {
      const view = viewOf(some);
      const { ends, owner, ...event } = readEvent(view, 0);
      expect(view.getBigUint64(layout.EVENT_ENDS_DADDR_L, true)).toBe(ends.daddr_l);
      expect(view.getUint16(layout.EVENT_ENDS_DPORT, true)).toBe(ends.dport);
      expect(readOwner(view, layout.EVENT_OWNER)).toEqual(owner);
      expect(view.getUint32(layout.EVENT_OWNER_UID, true)).toBe(owner.uid);
      expect(some[layout.EVENT_OWNER_COMM]).toBe(owner.comm[0]!);
      expect(view.getBigUint64(layout.EVENT_ENDED_AT, true)).toBe(event.ended_at);
      expect(view.getUint8(layout.EVENT_DIRECTION)).toBe(event.direction);
    }),
  );
});

test("bytes that were read stay when the buffer is used again", () => {
  const bytes = new Uint8Array(eventSize).fill(7);
  const { comm } = readEvent(new DataView(bytes.buffer), 0).owner;
  bytes.fill(9);
  expect([...comm]).toEqual(Array(15).fill(7));
});
