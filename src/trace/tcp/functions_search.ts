/** Where a sock has the pointer to its functions, and which ones they are. Pure. */
import type { SockFunctions } from "../../record/layout.gen.ts";

/** The beginning of a sock of TCP, before it entered a sockmap and after. */
export interface InSockmap {
  outside: Uint8Array;
  inside: Uint8Array;
}

/** `v6` undefined: there are no such socks. `null`: the copies do not tell. */
export function functionsIn(v4: InSockmap, v6: InSockmap | undefined): SockFunctions | null {
  const samples = v6 === undefined ? [v4] : [v4, v6];
  const places = Array.from({ length: BELOW / 8 }, (_, n) => 8 * n).filter((at) =>
    samples.every(({ outside, inside }) => {
      const [before, after] = [wordAt(outside, at), wordAt(inside, at)];
      return before !== after && isAddress(before) && isAddress(after);
    }),
  );
  if (places.length !== 1) return null;
  const at = places[0]!;
  const sockmaps = wordAt(v4.inside, at);
  const tcp = { at: BigInt(at), tcp_v4: wordAt(v4.outside, at), sockmaps };
  if (v6 === undefined) return { ...tcp, tcp_v6: 0n, sockmaps_bytes: ROW_MAX };
  const row = wordAt(v6.inside, at) - sockmaps;
  if (row <= 0n || row > ROW_MAX) return null;
  return { ...tcp, tcp_v6: wordAt(v6.outside, at), sockmaps_bytes: 2n * row };
}

// --- internal ---

/** skc_prot is in struct sock_common, which is longer. Behind it come pointers that also change in a sockmap. */
const BELOW = 96;

/**
 * tcp_bpf_prots has a row of four or more tables for IPv4, and behind it one for IPv6; a sock without programs uses the
 * first of its row. A table, struct proto, has some 450 bytes.
 */
const ROW_MAX = 4096n;

const wordAt = ({ buffer, byteOffset, length }: Uint8Array, at: number): bigint =>
  new DataView(buffer, byteOffset, length).getBigUint64(at, true);

/** Of the kernel: on arm64 with 52 bits of address the highest 12 are set, elsewhere more. */
const isAddress = (word: bigint): boolean => word >> 52n === 0xfffn;
