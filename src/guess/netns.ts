/** Where the guess makes its connections: here, or, if loopback does not work here, in a namespace of its own. */
import { closeSync, openSync } from "node:fs";
import {
  AF_INET6,
  CLONE_NEWNET,
  EAFNOSUPPORT,
  SOCK_CLOEXEC,
  SOCK_STREAM,
} from "../kernel/constants.ts";
import * as libc from "../kernel/libc.ts";
import { ownNetns, ownNetnsPath } from "../kernel/namespaces.ts";
import { check, LoopbackError, openPair } from "./loopback.ts";

export interface Place {
  /** Inode number of the network namespace the connections are made in; 0: this kernel has none (CONFIG_NET_NS). */
  netns: number;
  /** Why IPv6 sockets cannot be had in it, or null. */
  no_ipv6: string | null;
}

/**
 * Runs `work` where 127.0.0.0/8 works. A namespace whose lo is down, as `unshare -n` leaves it, is not touched: only
 * this thread enters a fresh one for the time of `work`. So it does, and begins `work` anew, when a LoopbackError comes
 * out of it: any user can disturb connections in a namespace that he shares, and nobody those in another. Throws a
 * LoopbackError when neither is to be had.
 */
export function withLoopback<T>(work: (place: Place) => T): T {
  try {
    // Sooner than `work`, which may load programs first, would find it out.
    openPair("v4")[Symbol.dispose]();
    return work(here());
  } catch (error) {
    if (!(error instanceof LoopbackError) || ownNetns() === 0) throw error;
    return inFreshNamespace(work, error);
  }
}

/**
 * The same for work that others can disturb so that its result is wrong: then it is done once more where nobody can. Its
 * first result counts where no such place is to be had.
 */
export function undisturbed<T>(work: (place: Place) => T, isRight: (result: T) => boolean): T {
  const result = withLoopback(work);
  if (isRight(result) || ownNetns() === 0) return result;
  try {
    return inFreshNamespace(work, new LoopbackError("disturbed", 0));
  } catch (error) {
    if (error instanceof LoopbackError) return result;
    throw error;
  }
}

/**
 * Runs `work` in a fresh namespace that this thread alone enters; where the kernel has none (CONFIG_NET_NS), in the only
 * place there is. Throws `refused` where it must not be made.
 */
export function inFreshNamespace<T>(work: (place: Place) => T, refused: Error): T {
  if (ownNetns() === 0) return work(here());
  const home = openSync(ownNetnsPath(), "r");
  try {
    if (libc.unshare(CLONE_NEWNET) < 0) throw refused;
    try {
      libc.bringInterfaceUp("lo");
      return work(here());
    } finally {
      check(libc.setns(home, CLONE_NEWNET), "return to the host's network namespace");
    }
  } finally {
    closeSync(home);
  }
}

// --- internal ---

const here = (): Place => ({ netns: ownNetns(), no_ipv6: ipv6Missing() });

/** Only a kernel without IPv6 sockets has none to show; whatever else stops ours leaves those of others. */
function ipv6Missing(): string | null {
  const fd = libc.socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) libc.close(fd);
  return fd === -EAFNOSUPPORT ? "no IPv6 sockets on this host (EAFNOSUPPORT)" : null;
}
