/**
 * The values that an event holds, each once, by its place in ConnEvent. The recording's codec, the equality of events and
 * the key of each text that is kept come from here; table.ts says how a value is printed. To add one, add a member of
 * ConnEvent and a row here: types miss either. Pure.
 */
import type { ConnEvent, Endpoint, Totals, Translation } from "../conn/event.ts";
import type { DnsDetails } from "../protocols/dns.ts";
import type { TlsDetails } from "../protocols/hello.ts";
import type { QuicDetails } from "../protocols/quic.ts";
import type { Application } from "../protocols/stack.ts";
import { attributeNames, type AttributeName } from "./attributes.ts";
import { eventKinds, nameSources, protocols, protocolSources } from "./table.ts";

type End = "local" | "remote";
/** The members that are objects; the first two are always there. */
export type Inside = End | "totals";

/** `pid`; of a member of an object `local.port`. */
export type Leaf =
  | Exclude<keyof ConnEvent, Inside>
  | `${End}.${keyof Endpoint}`
  | `totals.${keyof Totals}`;

type ValueAt<L extends Leaf> = L extends keyof ConnEvent
  ? ConnEvent[L]
  : L extends `${infer O extends Inside}.${infer M}`
    ? Required<ConnEvent>[O][M & keyof Required<ConnEvent>[O]]
    : never;

/** Both ends of the range included. A 64-bit number has them as bigints. */
export type Form =
  | { form: "text" | "address" | "id" }
  | { form: "oneOf"; values: readonly (string | number)[] }
  | { form: "integer"; least: number; most: number }
  | { form: "integer64" }
  /** A whole Translation, or false. */
  | { form: "translation" }
  /** A whole Application; equal ones are one object. */
  | { form: "application" }
  /** A whole TlsDetails. */
  | { form: "tls" }
  /** A whole DnsDetails. */
  | { form: "dns" }
  /** A whole QuicDetails. */
  | { form: "quic" };

/** The forms that values of a type can have. */
type FormOf<T> = [T] extends [bigint]
  ? Form & { form: "integer64" }
  : [T] extends [number]
    ? number extends T
      ? Form & { form: "integer" }
      : { form: "oneOf"; values: readonly T[] }
    : [T] extends [Translation | false]
      ? { form: "translation" }
      : [T] extends [Application]
        ? { form: "application" }
        : [T] extends [TlsDetails]
          ? { form: "tls" }
          : [T] extends [DnsDetails]
            ? { form: "dns" }
            : [T] extends [QuicDetails]
              ? { form: "quic" }
              : string extends T
                ? { form: "text" | "address" | "id" }
                : { form: "oneOf"; values: readonly T[] };

/** `null`: not known. Optional: some events lack it. */
export interface Held {
  as: Form;
  orNull?: true;
  optional?: true;
}

type HeldAs<T> = { as: FormOf<NonNullable<T>> } & (null extends T
  ? { orNull: true }
  : { orNull?: never }) &
  (undefined extends T ? { optional: true } : { optional?: never });

const integer = (most: number, least = 0) => ({ form: "integer", least, most }) as const;
const [port, id] = [integer(2 ** 16 - 1), integer(2 ** 32 - 1)];
const errno = integer(4095, 1);
const count = { as: integer(Number.MAX_SAFE_INTEGER), orNull: true } as const;
const integer64 = { form: "integer64" } as const;
const count64 = { as: integer64, orNull: true } as const;
const text = { form: "text" } as const;
const address = { form: "address" } as const;

type Rows = { readonly [L in Leaf]: HeldAs<ValueAt<L>> };

/** As the kernel side tells them. */
const attributesHeld = Object.fromEntries(
  attributeNames.map((name) => [name, { as: id, orNull: true, optional: true }]),
) as Pick<Rows, AttributeName>;

const rows: Rows = {
  kind: { as: { form: "oneOf", values: eventKinds } },
  id: { as: { form: "id" }, orNull: true, optional: true },
  protocol: { as: { form: "oneOf", values: protocols } },
  pid: { as: id, orNull: true },
  comm: { as: text, orNull: true },
  thread: { as: text, optional: true },
  family: { as: { form: "oneOf", values: [4, 6] } },
  direction: { as: { form: "oneOf", values: ["outgoing", "incoming", "unknown"] } },
  netns: { as: id, orNull: true },
  interface: { as: text, optional: true },
  ...attributesHeld,
  user: { as: text, orNull: true, optional: true },
  cgroup: { as: text, orNull: true, optional: true },
  container: { as: text, orNull: true, optional: true },
  containerName: { as: text, optional: true },
  image: { as: text, optional: true },
  pod: { as: text, optional: true },
  podNamespace: { as: text, optional: true },
  args: { as: text, orNull: true, optional: true },
  exe: { as: text, orNull: true, optional: true },
  parentPid: { as: id, orNull: true, optional: true },
  parentComm: { as: text, orNull: true, optional: true },
  nat: { as: { form: "translation" }, orNull: true, optional: true },
  application: { as: { form: "application" }, orNull: true, optional: true },
  protocolSource: { as: { form: "oneOf", values: protocolSources }, orNull: true, optional: true },
  tls: { as: { form: "tls" }, orNull: true, optional: true },
  dns: { as: { form: "dns" }, optional: true },
  quic: { as: { form: "quic" }, optional: true },
  connectNs: { as: integer64, orNull: true, optional: true },
  acceptNs: { as: integer64, orNull: true, optional: true },
  failure: { as: errno, orNull: true, optional: true },
  atNs: { as: integer64 },
  "local.address": { as: address },
  "local.port": { as: port },
  "local.name": { as: text, orNull: true, optional: true },
  "local.nameSource": { as: { form: "oneOf", values: nameSources }, orNull: true, optional: true },
  "remote.address": { as: address },
  "remote.port": { as: port },
  "remote.name": { as: text, orNull: true, optional: true },
  "remote.nameSource": { as: { form: "oneOf", values: nameSources }, orNull: true, optional: true },
  "totals.bytesSent": count64,
  "totals.bytesReceived": count64,
  "totals.segsOut": count,
  "totals.segsIn": count,
  "totals.rttUs": count,
  "totals.rttVarUs": count,
  "totals.retransmits": count,
  "totals.durationNs": count64,
};

export const held: Readonly<Record<Leaf, Held>> = rows;
export const leaves = Object.keys(held) as Leaf[];

/** Objects that some events lack. */
export const optionalObjects: readonly Inside[] = ["totals"];

/** `local.port` as `local` and `port`; the outer part of `pid` is empty. */
export function partsOf(leaf: Leaf): { outer: Inside | ""; inner: string } {
  const [first = "", second] = leaf.split(".");
  return second === undefined
    ? { outer: "", inner: first }
    : { outer: first as Inside, inner: second };
}

/** The slot of what is remembered of an event's process: another one for each kind but `fail`, by its second letter. */
export const slotOf = ({ pid, kind, direction }: Pick<ConnEvent, "pid" | "kind" | "direction">) =>
  (pid ?? 0) * 8 + (kind.charCodeAt(1) & 7) + direction.length * 64;
