/** struct sk_buff from `tail` on, and where struct skb_shared_info, which lies at head + end, counts segments. Pure. */
import { UDP_HEADER } from "../kernel/constants.ts";
import { judge, viewOf, without } from "./search.ts";
import type { FieldReport } from "./report.ts";
import { USUAL_PAYLOAD, type SharedSample, type SkbSample, type Snapshot } from "./snapshot.ts";

/** The alignment of skb_shared_info is that of a cache line, which no machine has shorter. */
const ALIGNMENT = 32;
/** A buffer of one small datagram. */
const BUFFER_MAX = 1 << 16;
/** The counts of skb_shared_info stand in its first bytes. */
const COUNTS_BELOW = 64;

type Copies = Pick<Snapshot, "shared" | "no_udp_segment"> & { skbs: readonly SkbSample[] };

/** The candidates for transport_header and head: with more or less than one of either nothing is found. */
export function solveSkbEnd(
  snapshot: Copies,
  transports: readonly number[],
  heads: readonly number[],
): FieldReport[] {
  const [transport, head] = [transports[0], heads[0]];
  if (transport === undefined || head === undefined || transports.length + heads.length > 2) {
    const why = "needs skb_head and skb_transport_header";
    return [
      without("skb_end", "sk_buff", "failed", why),
      without("skb_users", "sk_buff", "failed", why),
      without("gso_segs", "skb_shared_info", "failed", why),
    ];
  }
  const { skbs } = snapshot;
  const how = `in ${skbs.length} sends`;
  const ends = offsetsIn(skbs, 0).filter((at) =>
    skbs.every((sample) => isEnd(sample, at, transport)),
  );
  const end = judge("skb_end", "sk_buff", ends, undefined, `right behind tail ${how}`);
  const users = offsetsIn(skbs, head + 8).filter(
    (at) => end.offset !== null && skbs.every((sample) => isUsers(sample, at, end.offset!)),
  );
  return [
    end,
    judge("skb_users", "sk_buff", users, undefined, `right behind truesize ${how}`),
    solveSegments(snapshot),
  ];
}

// --- internal ---

const u16 = ({ bytes }: SharedSample, at: number): number => viewOf(bytes).getUint16(at, true);
const u32 = ({ bytes }: SkbSample, at: number): number => viewOf(bytes).getUint32(at, true);

/** Places of numbers of `size` bytes in all samples, each with another number in front of it. */
function offsetsIn(samples: readonly { bytes: Uint8Array }[], from: number, size = 4): number[] {
  if (samples.length === 0) return [];
  const length = Math.min(...samples.map(({ bytes }) => bytes.length));
  const offsets: number[] = [];
  for (let at = Math.max(size, from); at + size <= length; at += size) offsets.push(at);
  return offsets;
}

/** tail, where what was written ends, is known; end has followed it since both are distances (2.6.22). */
function isEnd(sample: SkbSample, at: number, transport: number): boolean {
  const payload = sample.payload ?? USUAL_PAYLOAD;
  const tail = viewOf(sample.bytes).getUint16(transport, true) + UDP_HEADER + payload;
  const end = u32(sample, at);
  return u32(sample, at - 4) === tail && end >= tail && end < BUFFER_MAX && end % ALIGNMENT === 0;
}

/** Nobody else holds what is being sent; truesize, the memory of buffer and struct together, comes before the count. */
function isUsers(sample: SkbSample, at: number, end: number): boolean {
  const truesize = u32(sample, at - 4);
  return u32(sample, at) === 1 && truesize > u32(sample, end) && truesize < 2 * BUFFER_MAX;
}

/** gso_segs stands behind gso_size since 2.6.18. Before 4.20 a send has the size alone. */
function solveSegments({ shared, no_udp_segment }: Copies): FieldReport {
  const name = ["gso_segs", "skb_shared_info"] as const;
  if (no_udp_segment === undefined)
    return without(...name, "not-applicable", "an older snapshot, which does not show it");
  if (no_udp_segment !== null) return without(...name, "not-applicable", no_udp_segment);
  const samples = shared ?? [];
  const places = offsetsIn(samples, 0, 2).filter(
    (at) =>
      at <= COUNTS_BELOW &&
      samples.every((s) => u16(s, at - 2) === s.gso_size) &&
      (samples.every((s) => u16(s, at) === s.gso_segs) || samples.every((s) => u16(s, at) === 0)),
  );
  return judge(...name, places, undefined, `in ${samples.length} sends of several datagrams`);
}
