/** Whole maps, however full: entries are keys followed by their values. */
import type { Shim } from "./shim.ts";

/** Entries that a dump begins with; a map that holds more is read again into twice the room. */
const FIRST_ENTRIES = 256;

export interface Dumped {
  count: number;
  /** Over the entries; good until the next dump. */
  view: DataView;
}

/** A dump of the same map each time it is called, into the same room. On kernels before 5.6 an entry may come twice. */
export function mapDumper(
  shim: Pick<Shim, "mapDump">,
  fd: number,
  keySize: number,
  valueSize: number,
): () => Dumped {
  const entrySize = keySize + valueSize;
  let buffer = new Uint8Array(FIRST_ENTRIES * entrySize);
  return () => {
    for (;;) {
      const count = shim.mapDump(fd, keySize, valueSize, buffer);
      if (count * entrySize < buffer.length) return { count, view: new DataView(buffer.buffer) };
      buffer = new Uint8Array(2 * buffer.length);
    }
  };
}
