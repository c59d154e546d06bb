/**
 * sk_protocol and sk_type, found together because each alone holds the same small number in every TCP sock. Pure.
 */
import { judge, nearest, SOCK_ENDS, viewOf, without, type Placed } from "./search.ts";
import type { FieldReport } from "./report.ts";
import type { ContrastSample, SockSample } from "./snapshot.ts";

/** How the two stand to each other. To add a layout: a row, with the version that brought it. */
const LAYOUTS = [
  // To 5.5: an 8-bit field, and a u16 behind it.
  { protocolWidth: 1, typeAfterProtocol: 1 },
  // 5.6: both u16, the type first.
  { protocolWidth: 2, typeAfterProtocol: -2 },
  // 6.10: both u16, the protocol first.
  { protocolWidth: 2, typeAfterProtocol: 2 },
] as const;

const TCP: Omit<ContrastSample, "bytes"> = { protocol: 6, type: 1 };

export function solveProtocol(
  socks: SockSample[],
  contrast: ContrastSample[],
  placed: Placed,
): FieldReport[] {
  const samples = [...socks.map(({ bytes }) => ({ bytes, ...TCP })), ...contrast];
  const pairs = nearest(SOCK_ENDS, (end) => pairsBelow(end, samples, placed));
  const how = contrast.some(({ protocol }) => protocol !== TCP.protocol)
    ? "TCP against UDP"
    : "TCP only";
  const protocol = judge(
    "sk_protocol",
    "sock",
    pairs.map((p) => p.protocol),
    undefined,
    how,
  );
  const type = pairs.find((p) => p.protocol === protocol.offset)?.type;
  if (type === undefined) {
    return [protocol, without("sk_type", "sock", protocol.status, "stands beside sk_protocol")];
  }
  return [protocol, judge("sk_type", "sock", [type], undefined, how)];
}

// --- internal ---

interface Pair {
  protocol: number;
  type: number;
}

function pairsBelow(limit: number, samples: ContrastSample[], placed: Placed): Pair[] {
  const end = Math.min(limit, ...samples.map((s) => s.bytes.length)) - 4;
  const pairs: Pair[] = [];
  for (let protocol = 2; protocol < end; protocol++) {
    for (const { protocolWidth, typeAfterProtocol } of LAYOUTS) {
      const type = protocol + typeAfterProtocol;
      if (type % 2 !== 0 || protocol % protocolWidth !== 0 || placed.overlaps(protocol, 1))
        continue;
      if (samples.every((s) => holds(s, protocol, protocolWidth, type)))
        pairs.push({ protocol, type });
    }
  }
  return pairs;
}

function holds(sample: ContrastSample, protocol: number, width: 1 | 2, type: number): boolean {
  const view = viewOf(sample.bytes);
  const value = width === 1 ? view.getUint8(protocol) : view.getUint16(protocol, true);
  return value === sample.protocol && view.getUint16(type, true) === sample.type;
}
