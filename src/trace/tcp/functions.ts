/**
 * The functions of TCP's socks, and of socks in a sockmap: bpf/tcp/functions.h. A connection of the tool's own tells them,
 * which is put into a sockmap of the tool's own.
 */
import { LoopbackError, openPair, type Kind } from "../../guess/loopback.ts";
import { undisturbed, type Place } from "../../guess/netns.ts";
import { close, usleep } from "../../kernel/libc.ts";
import { KernelError, type Shim } from "../../kernel/shim.ts";
import {
  EventKind,
  sockFunctionsSize,
  writeSockFunctions,
  type Event,
  type SockFunctions,
} from "../../record/layout.gen.ts";
import type { Opened } from "../part.ts";
import { copySock } from "../sock_copy.ts";
import { functionsIn, type InSockmap } from "./functions_search.ts";

/** Tells the programs. false: they are not known, because the kernel has no sockmaps, or for another reason. */
export function learnFunctions(on: Opened): boolean {
  const { host, object } = on;
  const found = undisturbed(
    (place) => search(on, place),
    (functions) => functions !== null,
  );
  if (found === null) return false;
  const value = new Uint8Array(sockFunctionsSize);
  writeSockFunctions(new DataView(value.buffer), 0, found);
  host.shim.mapUpdate(object.mapFd("sock_functions"), new Uint32Array(1), value);
  return true;
}

// --- internal ---

function search(on: Opened, { no_ipv6 }: Place): SockFunctions | null {
  const v4 = sample(on, "v4");
  const v6 = no_ipv6 === null ? sample(on, "v6") : undefined;
  return v4 === null || v6 === null ? null : functionsIn(v4, v6);
}

/** The beginning of one sock, outside a sockmap and in one. */
function sample(on: Opened, kind: Kind): InSockmap | null {
  try {
    using pair = openPair(kind);
    const sk = sockBetween(on.drain, pair.local.port, pair.remote.port);
    if (sk === null) return null;
    const outside = copySock(on, sk);
    using _ = inSockmap(on.host.shim, pair.client);
    return { outside, inside: copySock(on, sk) };
  } catch (error) {
    if (error instanceof LoopbackError || error instanceof KernelError) return null;
    throw error;
  }
}

/** Until it is disposed of. */
function inSockmap(shim: Shim, fd: number): Disposable {
  const map = shim.sockmap(1);
  const entry = { [Symbol.dispose]: () => void close(map) };
  try {
    shim.mapUpdate(map, new Uint32Array(1), Uint32Array.of(fd));
    return entry;
  } catch (error) {
    entry[Symbol.dispose]();
    throw error;
  }
}

/** Events are there at once; a machine that stands still for a while must not fail. */
const PATIENCE_MS = 2000;

function sockBetween(drain: () => Event[], sport: number, dport: number): bigint | null {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    for (const { kind, sk, ends } of drain())
      if (kind === EventKind.EVENT_CONNECT && ends.sport === sport && ends.dport === dport)
        return sk;
    if (performance.now() > deadline) return null;
    usleep(1000);
  }
}
