// The "newc" archive that a kernel unpacks as its first file system.

export type Entry = { path: string; mode: number; data: Uint8Array };

export const file = (path: string, data: Uint8Array | string, executable = false): Entry => ({
  path,
  mode: 0o100000 | (executable ? 0o755 : 0o644),
  data: typeof data === "string" ? new TextEncoder().encode(data) : data,
});

const directory = (path: string): Entry => ({ path, mode: 0o040755, data: new Uint8Array() });

/** The archive's pieces in order. Missing parent directories are added; a path may occur once. */
export function cpio(entries: readonly Entry[]): Uint8Array[] {
  const seen = new Set<string>();
  const pieces: Uint8Array[] = [];
  let inode = 0;
  const add = (entry: Entry) => {
    if (seen.has(entry.path)) return;
    seen.add(entry.path);
    const slash = entry.path.lastIndexOf("/");
    if (slash > 0) add(directory(entry.path.slice(0, slash)));
    pieces.push(header(entry, ++inode), entry.data, padding(entry.data.length));
  };
  for (const entry of entries) add(entry);
  pieces.push(header({ path: "TRAILER!!!", mode: 0, data: new Uint8Array() }, 0));
  return pieces;
}

/** An empty directory that nothing is packed into. */
export { directory };

function header(entry: Entry, inode: number): Uint8Array {
  const name = new TextEncoder().encode(entry.path);
  const fields = [
    inode,
    entry.mode,
    0, // uid
    0, // gid
    1, // links
    0, // mtime
    entry.data.length,
    0, // device of the file
    0,
    0, // device it stands for
    0,
    name.length + 1,
    0, // checksum, unused in this format
  ];
  const hex = fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  const bytes = new Uint8Array(round4(110 + name.length + 1));
  bytes.set(new TextEncoder().encode(`070701${hex}`));
  bytes.set(name, 110);
  return bytes;
}

const round4 = (length: number) => (length + 3) & ~3;

const padding = (length: number) => new Uint8Array(round4(length) - length);
