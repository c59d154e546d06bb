/** With tracepoints: to whom a datagram goes, and from whom it comes. bpf/udp/named.h has the kernel's side. */
import { undisturbed } from "../../guess/netns.ts";
import { namingSize, writeNaming } from "../../record/layout.gen.ts";
import { NO_FILTER, wantsProtocol } from "../kernel_filter.ts";
import type { TraceOptions } from "../options.ts";
import type { Finding, Ground, HeldPoint, Opened, Part, SocketHookPoint } from "../part.ts";
import { COPIER, copySock } from "../sock_copy.ts";
import { namesAreSeen, pendingOffset } from "./remote_ends_check.ts";

export const remoteEnds = ({ filter = NO_FILTER }: TraceOptions): Part => ({
  name: "remote ends of UDP",
  completes: ["UDP"],
  asked: wantsProtocol(filter, "udp"),
  without:
    "UDP: the remote end of what is sent is not known, nor that of a socket that is not connected",
  missing: (on) =>
    isNeeded(on) && !on.host.features.has("socket_hooks") ? "there are no socket hooks" : null,
  points: (on) => (isNeeded(on) ? points : []),
  check: (on) => (isNeeded(on) ? check(on) : {}),
});

// --- internal ---

/** kprobe mode reads the datagram's own headers; a kernel without the tracepoints has no UDP in this mode. */
const isNeeded = ({ host, mode }: Ground): boolean =>
  mode === "tracepoint" && host.features.has("udp_lengths");

const points: readonly (SocketHookPoint | HeldPoint)[] = [
  { program: "on_sendmsg4", socketHook: "HOOK_SENDMSG4" },
  { program: "on_sendmsg6", socketHook: "HOOK_SENDMSG6" },
  { program: "on_recvmsg4", socketHook: "HOOK_RECVMSG4" },
  { program: "on_recvmsg6", socketHook: "HOOK_RECVMSG6" },
  COPIER,
];

/** Until it has passed, the programs take no remote end of a send for known. */
function check(on: Opened): Finding {
  const { host, object } = on;
  const tell = (attached: 0 | 1, pending_at: number) => {
    const value = new Uint8Array(namingSize);
    writeNaming(new DataView(value.buffer), 0, { attached, pending_at, elsewhere: 0, zero: 0 });
    host.shim.mapUpdate(object.mapFd("naming"), Uint32Array.of(0), value);
  };
  const pending = undisturbed(
    (place) => pendingOffset(place, on.drain, (sk) => copySock(on, sk)),
    (at) => at !== null,
  );
  tell(1, pending ?? 0);
  const right = undisturbed(
    (place) => namesAreSeen(place, on.drain),
    (seen) => seen,
  );
  if (right) return {};
  tell(0, 0);
  return { refused: "the hooks did not see the tool's own datagrams" };
}
