/** An event as the JSON of a recording's line. Its names are those of ConnEvent; its members are those of members/held.ts. Pure. */

import type { ConnEvent, Endpoint, Translation } from "../conn/event.ts";
import {
  held,
  leaves,
  optionalObjects,
  partsOf,
  slotOf,
  type Form,
  type Inside,
  type Leaf,
} from "../members/held.ts";
import { segment, type Segment } from "../output/lines.ts";
import { slots } from "../output/straight/slots.ts";
import type { Hole, Piece } from "../output/straight/template.ts";
import type { DnsDetails } from "../protocols/dns.ts";
import type { TlsDetails } from "../protocols/hello.ts";
import type { QuicDetails } from "../protocols/quic.ts";
import { highestOf, stackOf, type Application } from "../protocols/stack.ts";
import {
  namesOf,
  type Api,
  type ApplicationProtocol,
  type Encryption,
  type Layer,
  type ProtocolName,
} from "../protocols/table.ts";
import { isId } from "../record/id.ts";
import { addressText, isUnspecified, parseAddress } from "../record/address.ts";
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
  type ObjectCodec,
} from "./codec.ts";

const FALSE = segment("false");

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

/** Conntrack has no entries of other ends. */
const translatedEnd = object<Pick<Endpoint, "address" | "port">>({
  address: {
    ...address,
    read: textLike((value) => isAddress(value) && !isUnspecified(value)).read,
  },
  port: integer(2 ** 16 - 1, 1),
});
const ends = object<Translation>({ local: orNull(translatedEnd), remote: orNull(translatedEnd) });

/** `false`, or an object of which one end at least is translated. */
const translation: Codec<Translation | false> = {
  write: (lines, value) => (value === false ? lines.segment(FALSE) : ends.write(lines, value)),
  read(json) {
    if (json === false) return false;
    const value = ends.read(json);
    return value?.local === null && value.remote === null ? undefined : value;
  },
};

const layer = <T extends ProtocolName>(of: Layer) => orNull(oneOf(namesOf(of) as T[]));
const layers = object<Application>({
  api: layer<Api>("api"),
  application: layer<ApplicationProtocol>("application"),
  encryption: layer<Encryption>("encryption"),
});
/** Of one layer at least. */
const application: Codec<Application> = {
  write: layers.write,
  read(json) {
    const value = layers.read(json);
    if (value === undefined || highestOf(value) === null) return undefined;
    return stackOf(value.api, value.application, value.encryption);
  },
};

const tls = object<TlsDetails>({
  version: orNull(text),
  serverName: orNull(text),
  alpn: orNull(text),
  alpnOffered: orNull(text),
});

const dns = object<DnsDetails>({ questionName: orNull(text), responseCode: orNull(text) });
const quic = object<QuicDetails>({ version: text });

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

function codecOf(as: Form): Codec<never> {
  switch (as.form) {
    case "text":
      return text as Codec<never>;
    case "id":
      return textLike(isId) as Codec<never>;
    case "address":
      return address as Codec<never>;
    case "oneOf":
      return oneOf(as.values) as Codec<never>;
    case "integer":
      return integer(as.most, as.least) as Codec<never>;
    case "integer64":
      return integer64() as Codec<never>;
    case "translation":
      return translation as Codec<never>;
    case "application":
      return application as Codec<never>;
    case "tls":
      return tls as Codec<never>;
    case "dns":
      return dns as Codec<never>;
    case "quic":
      return quic as Codec<never>;
  }
}

/** The members of an object of the event; `""`: those of the event itself, without the named. */
function objectOf<T extends object>(outer: Inside | "", without: readonly string[] = []) {
  const codecs: Record<string, Codec<unknown>> = {};
  const optional: string[] = [];
  for (const leaf of leaves) {
    const { outer: itsOuter, inner } = partsOf(leaf);
    if (itsOuter !== outer || without.includes(inner)) continue;
    const { as, orNull: mayBeNull, optional: mayLack } = held[leaf];
    codecs[inner] = mayBeNull ? orNull(codecOf(as)) : codecOf(as);
    if (mayLack) optional.push(inner);
  }
  return object(codecs, ...(optional as never[])) as ObjectCodec<unknown> as ObjectCodec<T>;
}

/** Members that the events of one process have in common: their text is made once for many events. */
type Common = Omit<ConnEvent, Inside | Own>;
const OWN = ["atNs", "id", "connectNs", "acceptNs"] as const;
type Own = (typeof OWN)[number];
const common = objectOf<Common>("", OWN);

const own = object<Pick<ConnEvent, Inside | Own>>(
  {
    atNs: integer64(),
    id: orNull(textLike(isId)),
    local: objectOf("local"),
    remote: objectOf("remote"),
    totals: objectOf("totals"),
    connectNs: orNull(integer64()),
    acceptNs: orNull(integer64()),
  },
  "id",
  "connectNs",
  "acceptNs",
  ...(optionalObjects as "totals"[]),
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

/** The same with holes, for the straight way: see src/output/straight. */
export const eventPieces = (event: ConnEvent): Piece[] => [
  `{${textOf((lines) => common.members(lines, event))},`,
  ...own.pieces(event, (path) => holes.get(path)),
  "}",
];

/** Numbers of 64 bits are texts. */
const holes: ReadonlyMap<string, readonly Piece[]> = new Map(
  (
    [
      ["id", { form: "id" }],
      ["remote.address", { form: "address" }],
      ...Object.entries(slots).map(([slot, { leaf }]) => [
        leaf,
        { form: leaf.endsWith("Ns") ? "nanoseconds" : "integer", slot },
      ]),
    ] as [Leaf, Hole][]
  ).map(([leaf, hole]) => {
    const quote = held[leaf].as.form === "integer" ? "" : '"';
    return [leaf, [quote, hole, quote]];
  }),
);

function remembering(write: (value: Common) => Segment): (value: Common) => Segment {
  const slots: ({ of: Common; written: Segment } | undefined)[] = Array.from({ length: SLOTS });
  return (event) => {
    const slot = slotOf(event) & (SLOTS - 1);
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
