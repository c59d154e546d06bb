/** Names of users, from /etc/passwd. */
import { localUsers } from "../kernel/host_names.ts";

/** Users can be added while it runs: for one that is not known the file is read again, so often. */
const READ_EVERY_MS = 1000;

/** Name of a user id, of several the first; `null`: the file has none, as for users of a directory service. */
export function userNames(
  read: () => ReadonlyMap<string, number> = localUsers,
  now: () => number = () => performance.now(),
): (uid: number) => string | null {
  const names = new Map<number, string>();
  let readAt = -Infinity;
  return (uid) => {
    if (!names.has(uid) && now() - readAt >= READ_EVERY_MS) {
      readAt = now();
      names.clear();
      for (const [name, id] of read()) if (!names.has(id)) names.set(id, name);
    }
    return names.get(uid) ?? null;
  };
}
