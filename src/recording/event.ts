/** An event as the JSON of a recording's line. Its names are those of ConnEvent. Pure. */

import type { ConnEvent, Endpoint, Totals } from "../conn/event.ts";
import { attributeNames, type AttributeName } from "../members/attributes.ts";
import { eventKinds, protocols } from "../members/table.ts";
import { segment, type Segment } from "../output/lines.ts";
import { addressText, parseAddress } from "../record/address.ts";
import {
  integer,
  integer64,
  object,
  oneOf,
  orNull,
  text,
  textLike,
  textOf,
  type Codec,
} from "./codec.ts";

const U16 = 2 ** 16 - 1;
const U32 = 2 ** 32 - 1;
const MAX_ERRNO = 4095;
const count = orNull(integer(Number.MAX_SAFE_INTEGER));
const count64 = orNull(integer64());

/** As the tracer writes them, so that nothing else reaches a terminal. */
const isAddress = (value: string): boolean => {
  const found = parseAddress(value);
  return found !== null && addressText(found.bytes, found.family).address === value;
};

const addressSegment = recurringText((value) => segment(JSON.stringify(value)));
const address: Codec<string> = {
  ...textLike(isAddress),
  write: (lines, value) => lines.segment(addressSegment(value)),
};

/** As many as are likely to be talked to at a time; beyond it they are made anew. */
function recurringText(make: (value: string) => Segment): (value: string) => Segment {
  const known = new Map<string, Segment>();
  return (value) => {
    const before = known.get(value);
    if (before !== undefined) return before;
    if (known.size >= 4096) known.clear();
    const made = make(value);
    known.set(value, made);
    return made;
  };
}

const endpoint = object<Endpoint>({ address, port: integer(U16), name: orNull(text) }, "name");

const totals = object<Totals>({
  bytesSent: count64,
  bytesReceived: count64,
  segsOut: count,
  segsIn: count,
  rttUs: count,
  rttVarUs: count,
  retransmits: count,
  durationNs: count64,
});

/** Numbers that the kernel side tells of a process. */
const attributeCodecs = () =>
  Object.fromEntries(attributeNames.map((name) => [name, orNull(integer(U32))])) as Record<
    AttributeName,
    Codec<number | null>
  >;

/** Members that the events of one process have in common: their text is made once for many events. */
type Common = Pick<
  ConnEvent,
  | ("kind" | "protocol" | "pid" | "comm" | "family" | "direction" | "netns")
  | ("cgroup" | "container" | "args")
  | AttributeName
>;

const common = object<Common>(
  {
    kind: oneOf(eventKinds),
    protocol: oneOf(protocols),
    pid: orNull(integer(U32)),
    comm: orNull(text),
    family: oneOf([4, 6]),
    direction: oneOf(["outgoing", "incoming", "unknown"]),
    netns: orNull(integer(U32)),
    ...attributeCodecs(),
    cgroup: orNull(text),
    container: orNull(text),
    args: orNull(text),
  },
  ...attributeNames,
  "cgroup",
  "container",
  "args",
);

const own = object<Omit<ConnEvent, keyof Common>>(
  {
    atNs: integer64(),
    user: orNull(text),
    local: endpoint,
    remote: endpoint,
    failure: orNull(integer(MAX_ERRNO, 1)),
    totals,
  },
  "user",
  "failure",
  "totals",
);

const [OPEN, COMMA, CLOSE] = [segment("{"), segment(","), segment("}")];

/** A power of two; what falls into the same slot takes its place. */
const SLOTS = 1024;

const commonOf = remembering((value) => segment(textOf((lines) => common.members(lines, value))));

export const eventCodec: Codec<ConnEvent> = {
  write(lines, event) {
    lines.segment(OPEN);
    lines.segment(commonOf(event));
    lines.segment(COMMA);
    own.members(lines, event);
    lines.segment(CLOSE);
  },
  read(json) {
    const [one, other] = [common.read(json), own.read(json)];
    return one === undefined || other === undefined ? undefined : { ...one, ...other };
  },
};

function remembering(write: (value: Common) => Segment): (value: Common) => Segment {
  const slots: ({ of: Common; written: Segment } | undefined)[] = Array.from({ length: SLOTS });
  return (event) => {
    // A connect, an accept and a close differ in length; so do the directions.
    const slot =
      ((event.pid ?? 0) * 4 + event.kind.length + event.direction.length * 64) & (SLOTS - 1);
    const known = slots[slot];
    if (known !== undefined && isSame(known.of, event)) return known.written;
    const written = write(event);
    slots[slot] = { of: event, written };
    return written;
  };
}

/** In all that is written. */
function isSame(a: Common, b: Common): boolean {
  for (let n = 0; n < common.names.length; n++)
    if (a[common.names[n]!] !== b[common.names[n]!]) return false;
  return true;
}
