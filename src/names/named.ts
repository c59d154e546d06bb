/** Events with the names of their numbers. */
import type { ConnEvent } from "../conn/event.ts";
import { isUnspecified } from "../record/address.ts";
import { reverseDns } from "./dns.ts";
import { hostName } from "./host_name.ts";
import { Names } from "./names.ts";
import { userNames } from "./users.ts";

export interface Namer extends Disposable {
  /** Fills in what is known by now; the rest is asked for, and known another time. */
  name(event: ConnEvent): void;
}

/** The name under which an address was found in a network namespace, or `null`. */
export type Answered = (netns: number, address: string) => string | null;

/** `answered` is preferred: the name at the address' owner is often that of a machine of a network of many sites. */
export function openNamer(answered: Answered = () => null): Namer {
  const dns = reverseDns();
  const hosts = new Names({ lookup: dns.lookup, now: () => performance.now() });
  const userOf = userNames();
  return {
    name(event) {
      const { netns, remote, uid } = event;
      const { address } = remote;
      const isKnown = !isUnspecified(address);
      const found = isKnown ? hostName(answered(netns ?? 0, address) ?? undefined) : null;
      remote.name = found ?? (isKnown ? hosts.of(address) : null);
      remote.nameSource = remote.name === null ? null : found === null ? "lookup" : "answer";
      event.user = typeof uid === "number" ? userOf(uid) : null;
    },
    [Symbol.dispose]: () => dns[Symbol.dispose](),
  };
}
