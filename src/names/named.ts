/** Events with the names of their numbers. */
import type { ConnEvent } from "../conn/event.ts";
import { isUnspecified } from "../record/address.ts";
import { reverseDns } from "./dns.ts";
import { Names } from "./names.ts";
import { userNames } from "./users.ts";

export interface Namer extends Disposable {
  /** Fills in what is known by now; the rest is asked for, and known another time. */
  name(event: ConnEvent): void;
}

export function openNamer(): Namer {
  const dns = reverseDns();
  const hosts = new Names({ lookup: dns.lookup, now: () => performance.now() });
  const userOf = userNames();
  return {
    name(event) {
      const { remote, uid } = event;
      remote.name = isUnspecified(remote.address) ? null : hosts.of(remote.address);
      event.user = typeof uid === "number" ? userOf(uid) : null;
    },
    [Symbol.dispose]: () => dns[Symbol.dispose](),
  };
}
