/** Names of users, from /etc/passwd. */
import { readFileSync, statSync } from "node:fs";

/** By user id, of the text of a passwd file: `name:password:uid:...` lines; of several names of an id the first. */
export function parsePasswd(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split("\n")) {
    const [name, , uid] = line.split(":");
    if (!name || uid === undefined || !/^\d+$/.test(uid)) continue;
    if (!names.has(Number(uid))) names.set(Number(uid), name);
  }
  return names;
}

/** Users can be added while it runs: so often the file is looked at. */
const LOOK_EVERY_MS = 1000;

/** Name of a user id; `null`: the file has none, as for users of a directory service. */
export function userNames(
  path = "/etc/passwd",
  now: () => number = () => performance.now(),
): (uid: number) => string | null {
  let names = new Map<number, string>();
  let modified = -1;
  let lookedAt = -Infinity;
  return (uid) => {
    if (now() - lookedAt >= LOOK_EVERY_MS) {
      lookedAt = now();
      try {
        const { mtimeMs } = statSync(path);
        if (mtimeMs !== modified) names = parsePasswd(readFileSync(path, "utf8"));
        modified = mtimeMs;
      } catch {
        names = new Map();
        modified = -1;
      }
    }
    return names.get(uid) ?? null;
  };
}
