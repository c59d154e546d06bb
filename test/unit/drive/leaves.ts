/** Two events that differ in one value, for each value that an event holds. */
import { fc } from "./random.ts";
import type { ConnEvent, Translation } from "../../../src/conn/event.ts";
import type { DnsDetails } from "../../../src/protocols/dns.ts";
import type { QuicDetails } from "../../../src/protocols/quic.ts";
import type { TlsDetails } from "../../../src/protocols/hello.ts";
import { stackOf, type Application } from "../../../src/protocols/stack.ts";
import { held, leaves, optionalObjects, partsOf, type Leaf } from "../../../src/members/held.ts";

export { leaves };

/** The event with another value at this place; `undefined`: without one. Events without the object stay without. */
export function withValue(event: ConnEvent, leaf: Leaf, value: unknown): ConnEvent {
  const other = structuredClone(event) as unknown as Record<string, unknown>;
  const { outer, inner } = partsOf(leaf);
  const of = outer === "" ? other : (other[outer] as Record<string, unknown> | undefined);
  if (of === undefined && optionalObjects.includes(outer as never)) return event;
  if (value === undefined) delete of![inner];
  else of![inner] = value;
  return other as unknown as ConnEvent;
}

const translatedEnd = fc.record({
  address: fc.constantFrom("10.0.0.1", "192.0.2.1", "2001:db8::1"),
  port: fc.constantFrom(1, 8080, 65535),
});

/** Few values, so that they meet again. */
export const anyTranslation: fc.Arbitrary<Translation> = fc
  .record({
    local: fc.option(translatedEnd, { nil: null }),
    remote: fc.option(translatedEnd, { nil: null }),
  })
  .filter(({ local, remote }) => local !== null || remote !== null);

export const anyApplication: fc.Arbitrary<Application> = fc.constantFrom(
  stackOf("grpc", "http2", null),
  stackOf(null, "postgres", "tls"),
  stackOf(null, null, "tls"),
);

const name = fc.constantFrom(null, "example.com", 'b"\u{202e}');
export const anyTls: fc.Arbitrary<TlsDetails> = fc.record({
  version: fc.constantFrom(null, "1.2", "1.3"),
  serverName: name,
  alpn: name,
  alpnOffered: fc.constantFrom(null, "h2,http/1.1"),
});

export const anyDns: fc.Arbitrary<DnsDetails> = fc.record({
  questionName: name,
  responseCode: fc.constantFrom(null, "NOERROR", "NXDOMAIN"),
});
export const anyQuic: fc.Arbitrary<QuicDetails> = fc.record({
  version: fc.constantFrom("1", "draft-29"),
});

/** Few values, so that they meet again; all that the place may have. */
export function anyValue(leaf: Leaf): fc.Arbitrary<unknown> {
  const { as, orNull, optional } = held[leaf];
  const others = [...(orNull ? [null] : []), ...(optional ? [undefined] : [])];
  switch (as.form) {
    case "text":
      return fc.constantFrom("", "x", 'b"\u{202e}', ...others);
    case "id":
      return fc.constantFrom("0123456789abcdef0123", "f".repeat(20), ...others);
    case "address":
      return fc.constantFrom("10.0.0.1", "::1", "0.0.0.0", ...others);
    case "oneOf":
      return fc.constantFrom(...as.values, ...others);
    case "integer":
      return fc.constantFrom(as.least, 1, 80, as.most, ...others);
    case "integer64":
      return fc.constantFrom(0n, 80n, 2n ** 53n, 2n ** 64n - 1n, ...others);
    case "translation":
      return fc.oneof(anyTranslation, fc.constantFrom(false, ...others));
    case "application":
      return fc.oneof(anyApplication, fc.constantFrom(...others));
    case "tls":
      return fc.oneof(anyTls, fc.constantFrom(...others));
    case "dns":
      return fc.oneof(anyDns, fc.constantFrom(...others));
    case "quic":
      return fc.oneof(anyQuic, fc.constantFrom(...others));
  }
}
