/** The ends of a connection beyond address translation. Pure. */
import type { ConnEvent, Endpoint, Translation } from "./event.ts";

/** An event, or anything else that has these members of one. */
export type Translated = Pick<ConnEvent, "local" | "remote" | "nat">;

/** The translation; `null`: there is none, or it is not known. */
export const translationOf = ({ nat }: Pick<ConnEvent, "nat">): Translation | null => nat || null;

/**
 * Both ends as the other side knows them: `remote` is the end that really answers or asks, `local` is this end as that one
 * knows it. Of a connection that is not translated they are the socket's. `null`: not known.
 */
export function natOf({
  local,
  remote,
  nat,
}: Translated): Record<"local" | "remote", Endpoint> | null {
  if (nat === null || nat === undefined) return null;
  if (nat === false) return { local, remote };
  return { local: nat.local ?? local, remote: nat.remote ?? remote };
}
