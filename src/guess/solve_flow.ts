/** flowi4 and flowi6: the route key that ip_make_skb and ip6_make_skb get of an unconnected or connected send. Pure. */
import { judge, viewOf, without } from "./search.ts";
import { GuessSize } from "../record/layout.gen.ts";
import type { FieldReport } from "./report.ts";
import type { DatagramTruth, SendSample, Snapshot } from "./snapshot.ts";

const FLOW4 = ["fl4_saddr", "fl4_daddr", "fl4_sport", "fl4_dport"] as const;
const FLOW6 = ["fl6_argument", "fl6_saddr", "fl6_daddr", "fl6_sport", "fl6_dport"] as const;

const KPROBE_ONLY = "only a kprobe sees the arguments of a function";

export function solveFlows(snapshot: Snapshot): FieldReport[] {
  if (snapshot.attach === "tracepoint") {
    return [
      ...FLOW4.map((field) => without(field, "flowi4", "kprobe-only", KPROBE_ONLY)),
      ...FLOW6.map((field) => without(field, "flowi6", "kprobe-only", KPROBE_ONLY)),
    ];
  }
  const no_ipv6 = snapshot.no_ipv6 ?? snapshot.no_ipv6_address ?? null;
  const flow6 =
    no_ipv6 === null
      ? solveFlow6(snapshot.sends6)
      : FLOW6.map((f) => without(f, "flowi6", "not-applicable", no_ipv6));
  return [...solveFlow4(snapshot.sends4), ...flow6];
}

// --- internal ---

/** struct flowi4 *fl4 has been argument 2 of ip_make_skb since 2.6.39. */
function solveFlow4(sends: SendSample[]): FieldReport[] {
  const candidates = (value: (t: DatagramTruth) => Uint8Array) => offsetsIn(sends, 1, value);
  const how = `in ${sends.length} sends`;
  return [
    judge(
      "fl4_saddr",
      "flowi4",
      candidates((t) => t.saddr),
      undefined,
      how,
    ),
    judge(
      "fl4_daddr",
      "flowi4",
      candidates((t) => t.daddr),
      undefined,
      how,
    ),
    judge(
      "fl4_sport",
      "flowi4",
      candidates((t) => be16(t.sport)),
      undefined,
      how,
    ),
    judge(
      "fl4_dport",
      "flowi4",
      candidates((t) => be16(t.dport)),
      undefined,
      how,
    ),
  ];
}

/** No version takes it further back; what follows on the stack is the caller's own. */
const LAST_ARGUMENT = 9;

/**
 * The argument behind which all four stand: from 4.7 struct flowi6 *fl6 (argument 7), from 5.18 the cork that holds
 * it (argument 9). Both lie on the stack, so what is behind their neighbours may reach into them: the argument from
 * which it is least far is the one.
 */
function solveFlow6(sends: SendSample[]): FieldReport[] {
  const count = Math.min(LAST_ARGUMENT, ...sends.map((send) => send.arguments.length));
  const places = Array.from({ length: count }, (_, i) => flow6Behind(sends, i)).filter(
    (place) => place !== null,
  );
  const place = places.toSorted((a, b) => a.daddr - b.daddr)[0];
  if (!place) {
    const how = "no argument of ip6_make_skb leads to the addresses and ports";
    return FLOW6.map((field) => without(field, "flowi6", "failed", how));
  }
  const { argument, daddr, sports, dports } = place;
  const how = `behind argument ${argument} in ${sends.length} sends`;
  return [
    judge("fl6_argument", "flowi6", [argument], undefined, how),
    judge("fl6_saddr", "flowi6", [daddr + 16], undefined, `${how}; behind daddr`),
    judge("fl6_daddr", "flowi6", [daddr], undefined, `${how}; before saddr`),
    judge("fl6_sport", "flowi6", sports, undefined, how),
    judge("fl6_dport", "flowi6", dports, undefined, how),
  ];
}

interface Flow6Place {
  /** 1 is the first. */
  argument: number;
  daddr: number;
  sports: number[];
  dports: number[];
}

/** ::1 is both ends on loopback, so the addresses are told apart by their order: daddr has stood before saddr since 2.5. */
function flow6Behind(sends: SendSample[], index: number): Flow6Place | null {
  const addresses = offsetsIn(sends, index, (t) => t.daddr);
  const daddr = addresses.find((at) => addresses.includes(at + 16));
  if (daddr === undefined) return null;
  // The ports end the struct; what lies further on is another's.
  const near = (at: number) => at > daddr && at < daddr + 64;
  const sports = offsetsIn(sends, index, (t) => be16(t.sport)).filter(near);
  const dports = offsetsIn(sends, index, (t) => be16(t.dport)).filter(near);
  if (sports.length === 0 || dports.length === 0) return null;
  return { argument: index + 1, daddr, sports, dports };
}

function offsetsIn(
  sends: SendSample[],
  argument: number,
  value: (truth: DatagramTruth) => Uint8Array,
): number[] {
  if (sends.length === 0) return [];
  const step = value(sends[0]!.truth).length === 2 ? 2 : 4;
  const offsets: number[] = [];
  for (let at = 0; at < GuessSize.CHUNK; at += step) {
    if (sends.every((send) => has(send.arguments[argument], at, value(send.truth))))
      offsets.push(at);
  }
  return offsets;
}

function has(bytes: Uint8Array | null | undefined, at: number, value: Uint8Array): boolean {
  if (!bytes || at + value.length > bytes.length) return false;
  return value.every((byte, i) => bytes[at + i] === byte);
}

function be16(port: number): Uint8Array {
  const bytes = new Uint8Array(2);
  viewOf(bytes).setUint16(0, port);
  return bytes;
}
