/** Segments that are lost and repeated, without a timer. */
import { SOL_TCP, TCP_QUICKACK } from "../kernel/constants.ts";
import { dropArriving, stopDropping } from "../kernel/filter.ts";
import * as libc from "../kernel/libc.ts";
import { sendBytes, type Pair } from "./loopback.ts";
import { tcpInfo } from "./measure.ts";

const DROPPED = [100, 101, 102];
const FOLLOWING = [50, 51, 52, 53];

/** The bytes that the client sends in a round. */
export const LOSSY_BYTES = [...DROPPED, ...FOLLOWING].reduce((sum, bytes) => sum + bytes, 0);

/**
 * The segments that follow tell the client of those that were lost, and it repeats them at once. The server reads nothing.
 * `late`: it acknowledges the last ones only when the client repeats one of them too, after 8 ms: then more was repeated than
 * was lost.
 */
export function loseAndRepeat({ client, server }: Pair, late = false): void {
  dropArriving(server);
  for (const bytes of DROPPED) sendBytes(client, bytes);
  stopDropping(server);
  if (!late) libc.setsockoptInt(server, SOL_TCP, TCP_QUICKACK, 1);
  for (const bytes of FOLLOWING) sendBytes(client, bytes);
  for (let i = 0; i < 2000 && tcpInfo(client).unacked !== 0; i++) libc.usleep(200);
}
