/** The mounts that this process sees: the one reader of mountinfo. */
import { readFileSync } from "node:fs";

export interface Mount {
  /** The directory it is mounted on, as the kernel has its name: bytes in no promised encoding. */
  at: Buffer;
  /** The part of its file system that is mounted: `/` is the whole; a namespace's file has `net:[INODE]`. */
  root: string;
  /** The file system's name, `cgroup2`. */
  type: string;
}

/** In the order of the kernel; none where the kernel does not tell. */
export function mounts(): Mount[] {
  try {
    return parseMounts(readFileSync("/proc/self/mountinfo", "latin1"));
  } catch {
    return [];
  }
}

/** `mountinfo` is the text of /proc/PID/mountinfo, read as latin1, which keeps every byte apart. Pure. */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split("\n").flatMap((line) => {
    // id parent major:minor root mountpoint options [optional]... - type source options
    const [before = "", after = ""] = line.split(" - ", 2);
    const [, , , root, at] = before.split(" ");
    const type = after.split(" ", 1)[0]!;
    if (root === undefined || at === undefined || type === "") return [];
    return [{ at: Buffer.from(unescape(at), "latin1"), root: unescape(root), type }];
  });
}

// --- internal ---

/** The kernel writes space, tab, line break and backslash as \ooo. */
const unescape = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
