/** Whole maps, however full: entries are keys followed by their values. */
import type { Shim } from "./shim.ts";

/** Entries that a dump begins with; a map that holds more is read again into more room. */
const FIRST_ENTRIES = 256;
/** Large, so that the rooms that were too small are small. */
const GROWTH = 8;

export interface Dumped {
  count: number;
  /** Over the entries; good until the next dump. */
  view: DataView;
}

/**
 * A dump of the same map each time it is called, into the same room. `most`: entries that the map can have. On kernels before
 * 5.6 an entry may come twice.
 */
export function mapDumper(
  shim: Pick<Shim, "mapDump">,
  fd: number,
  keySize: number,
  valueSize: number,
  most = Infinity,
): () => Dumped {
  const entrySize = keySize + valueSize;
  let buffer = new Uint8Array(FIRST_ENTRIES * entrySize);
  return () => {
    for (;;) {
      const count = shim.mapDump(fd, keySize, valueSize, buffer);
      if (count * entrySize < buffer.length) return { count, view: new DataView(buffer.buffer) };
      // One more than there can be tells that it was all; where entries come twice that may not be enough.
      const enough = (most + 1) * entrySize;
      const more = buffer.length < enough ? Math.min(GROWTH * buffer.length, enough) : 0;
      buffer = new Uint8Array(more || 2 * buffer.length);
    }
  };
}
