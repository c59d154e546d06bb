/**
 * Where a sock that came in tells its listener: the offset of a list head that was copied from the listener and not made
 * anew yet, so that it points into the listener. bpf/tcp/listeners.h says why there is one. Pure.
 */
import type { SockCopy } from "../../record/layout.gen.ts";

/** In struct sock the copy has list heads of its own. */
const LIST_HEADS_BEGIN = 512;

/** Returns 0 where no list head of any of the socks tells. */
export function listenerHead(socks: readonly SockCopy[]): number {
  for (const { sk, listener, bytes } of socks) {
    if (sk === 0n) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = LIST_HEADS_BEGIN; at + 8 <= bytes.length; at += 8)
      if (view.getBigUint64(at, true) === listener + BigInt(at)) return at;
  }
  return 0;
}
