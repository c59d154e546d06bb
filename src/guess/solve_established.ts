/**
 * rcvq_space.time: when the kernel made the buffers of a connection that had just been established. Of the times that the
 * sock holds it alone stays the same while a few bytes go there and back. Pure.
 */
import {
  judge,
  NEAR_BYTES,
  nearest,
  offsetsWhere,
  viewOf,
  without,
  type Placed,
} from "./search.ts";
import { notThere, type FieldReport } from "./report.ts";
import type { SockSample } from "./snapshot.ts";

const FIELD = "rcvq_space_time";
const WIDTH = 8;

/** It moves when a program has read a whole segment, which the kernel takes for no smaller than this. */
const FEW_BYTES = 128n;

/** Two values may lie in such a time by chance. */
const LEAST_SAMPLES = 3;

/** Linux before 4.20 has no time there that can be compared with CLOCK_MONOTONIC, so none found is no failure. */
export function solveEstablished(samples: SockSample[], placed: Placed): FieldReport {
  const known = samples.filter(({ truth }) => isShown(truth));
  if (known.length < LEAST_SAMPLES)
    return without(FIELD, "tcp_sock", "not-applicable", "no connection showed its value");
  const found = nearest([NEAR_BYTES, Infinity], (end) =>
    offsetsWhere(
      known,
      ({ bytes }) => bytes.subarray(0, end),
      { step: WIDTH },
      ({ bytes, truth }, at) => {
        const time = viewOf(bytes).getBigUint64(at, true);
        return time >= truth.established_after_us! && time <= truth.established_before_us!;
      },
    ).filter((at) => !placed.overlaps(at, WIDTH)),
  );
  if (found.length === 0)
    return without(FIELD, "tcp_sock", "not-applicable", notThere("Linux before 4.20"));
  return judge(FIELD, "tcp_sock", found, undefined, `in ${known.length} connections`);
}

// --- internal ---

const isShown = ({ established_after_us, bytes_received }: SockSample["truth"]): boolean =>
  established_after_us !== undefined && bytes_received !== undefined && bytes_received < FEW_BYTES;
