/** struct sk_buff: its sock, and where its headers lie, proved by the UDP header they lead to. Pure. */
import { IPV4_HEADER } from "../kernel/constants.ts";
import { judge, viewOf, without } from "./search.ts";
import { solveSkbEnd } from "./solve_skb_end.ts";
import type { FieldReport } from "./report.ts";
import type { SkbSample, Snapshot } from "./snapshot.ts";

const FIELDS = [
  "skb_sk",
  "skb_head",
  "skb_transport_header",
  "skb_network_header",
  "skb_end",
  "skb_users",
] as const;

interface Headers {
  head: number;
  transport: number;
  network: number;
}

export function solveSkb(snapshot: Snapshot): FieldReport[] {
  if (snapshot.attach === "tracepoint") {
    const how = "only a kprobe sees the sk_buff of the tool's own send";
    return [
      ...FIELDS.map((field) => without(field, "sk_buff", "kprobe-only", how)),
      without("gso_segs", "skb_shared_info", "kprobe-only", how),
    ];
  }
  const samples = snapshot.skbs;
  const headers = headersOf(samples);
  const how = `leads to the UDP header of ${samples.length} sends`;
  return [
    judge("skb_sk", "sk_buff", common(samples.map(sksIn), String), undefined, "the sender's sock"),
    judge("skb_head", "sk_buff", unique(headers.map((h) => h.head)), undefined, how),
    judge(
      "skb_transport_header",
      "sk_buff",
      unique(headers.map((h) => h.transport)),
      undefined,
      how,
    ),
    judge("skb_network_header", "sk_buff", unique(headers.map((h) => h.network)), undefined, how),
    ...solveSkbEnd(
      snapshot,
      unique(headers.map((h) => h.transport)),
      unique(headers.map((h) => h.head)),
    ),
  ];
}

/** Where head and end stand, as far as these sends show it without doubt. */
export function skbPlaces(skbs: readonly SkbSample[]): { head: number; end: number } | null {
  const headers = headersOf(skbs);
  const [transports, heads] = [
    unique(headers.map((h) => h.transport)),
    unique(headers.map((h) => h.head)),
  ];
  const end = solveSkbEnd({ skbs }, transports, heads).find(
    ({ field }) => field === "skb_end",
  )?.offset;
  return end == null ? null : { head: heads[0]!, end };
}

// --- internal ---

const unique = (values: number[]) => [...new Set(values)];

const headersOf = (samples: readonly SkbSample[]): Headers[] =>
  common(samples.map(headersIn), (h) => `${h.head} ${h.transport} ${h.network}`);

function sksIn({ bytes, sk }: SkbSample): number[] {
  const offsets: number[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    if (viewOf(bytes).getBigUint64(at, true) === sk) offsets.push(at);
  }
  return offsets;
}

/** head + transport_header is the UDP header, head + network_header the IPv4 header 20 bytes before it. */
function headersIn(sample: SkbSample): Headers[] {
  const view = viewOf(sample.bytes);
  const found: Headers[] = [];
  for (let transport = 0; transport + 2 <= sample.bytes.length; transport += 2) {
    const t = view.getUint16(transport, true);
    if (t < IPV4_HEADER || t > 248) continue;
    // It has stood right before network_header since both are 16 bits wide (3.11); csum_start holds a copy.
    const network = transport + 2;
    if (network + 2 > sample.bytes.length) break;
    if (view.getUint16(network, true) !== t - IPV4_HEADER) continue;
    sample.behind.forEach((bytes, word) => {
      if (bytes && isOurs(bytes, t, sample)) found.push({ head: word * 8, transport, network });
    });
  }
  return found;
}

function isOurs(bytes: Uint8Array, transport: number, { truth }: SkbSample): boolean {
  if (transport + 4 > bytes.length) return false; // memory that could not be read as far
  const view = viewOf(bytes);
  return (
    view.getUint8(transport - IPV4_HEADER) === 0x45 &&
    view.getUint16(transport) === truth.sport &&
    view.getUint16(transport + 2) === truth.dport
  );
}

/** The items that are in every list. */
function common<T>(lists: T[][], key: (item: T) => string): T[] {
  const [head = [], ...rest] = lists;
  return head.filter((item) =>
    rest.every((list) => list.some((other) => key(other) === key(item))),
  );
}
