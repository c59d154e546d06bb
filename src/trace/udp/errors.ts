/** Datagrams that draw an error: an ICMP message says that they have not arrived. bpf/udp/errors.h has the kernel's side. */
import { DatagramSocket } from "../../guess/datagram_socket.ts";
import { LoopbackError, randomLoopback } from "../../guess/loopback.ts";
import { undisturbed } from "../../guess/netns.ts";
import type { GuessReport } from "../../guess/report.ts";
import { findSymbols } from "../../kernel/kallsyms.ts";
import * as libc from "../../kernel/libc.ts";
import { EventKind } from "../../record/layout.gen.ts";
import { NO_FILTER, wantsProtocol } from "../kernel_filter.ts";
import type { TraceOptions } from "../options.ts";
import type { Finding, Ground, KprobePoint, Opened, Part, TracepointPoint } from "../part.ts";

export const udpErrors = ({ filter = NO_FILTER }: TraceOptions): Part => ({
  name: "failures of UDP",
  completes: ["UDP"],
  asked: wantsProtocol(filter, "udp"),
  without: "UDP: datagrams that draw an error are not told",
  symbols: [...tellers, ...queues].map(({ kprobe }) => kprobe),
  missing: ({ report, mode }) => {
    if (!knowsError(report)) return "the field sk_err is not known";
    return mode === "kprobe" && teller() === undefined
      ? `this kernel has no function ${tellers.at(-1)!.kprobe}`
      : null;
  },
  points,
  misses: { cause: () => "UDP failure possibly missed, its probe was busy" },
  check,
});

// --- internal ---

/** They tell a sock of any protocol of its error; the first one that the kernel has is probed. Since 5.14, and before. */
const tellers: readonly KprobePoint[] = [
  { program: "on_sk_error_report", kprobe: "sk_error_report", missesAreLost: true },
  { program: "on_sk_error_report", kprobe: "sock_def_error_report", missesAreLost: true },
];

/** They queue an error for a socket that has asked for each one with its datagram (IP_RECVERR): it need not be connected. */
const queues: readonly KprobePoint[] = [
  { program: "on_icmp_error", kprobe: "ip_icmp_error", missesAreLost: true, optional: true },
  { program: "on_icmp_error", kprobe: "ipv6_icmp_error", missesAreLost: true, optional: true },
];

/** 5.14 and later, so wherever tracepoints see UDP. */
const reports: readonly TracepointPoint[] = [
  { program: "on_error_report", tracepoint: "inet_sk_error_report", missesAreLost: true },
];

function points({ mode }: Ground): readonly (KprobePoint | TracepointPoint)[] {
  if (mode === "tracepoint") return reports;
  const there = teller();
  return there === undefined ? [] : [there, ...queues];
}

function teller(): KprobePoint | undefined {
  const there = findSymbols(tellers.map(({ kprobe }) => kprobe));
  return tellers.find(({ kprobe }) => there.has(kprobe));
}

const knowsError = ({ fields }: GuessReport): boolean =>
  fields.some(({ field, status }) => field === "sk_err" && status === "found");

/** A kernel answers itself at once; a machine that stands still for a while must not fail. */
const PATIENCE_MS = 1000;

function check({ drain }: Opened): Finding {
  const isSeen = undisturbed(
    () => failureIsSeen(drain),
    (seen) => seen,
  );
  return isSeen ? {} : { refused: "the tool's own datagram drew no error, or none that was seen" };
}

/** Sends to a port at which nobody is any more. */
function failureIsSeen(drain: Opened["drain"]): boolean {
  try {
    using client = new DatagramSocket(randomLoopback());
    {
      using server = new DatagramSocket(randomLoopback());
      client.connect(server);
    }
    client.send(LENGTH);
    const deadline = performance.now() + PATIENCE_MS;
    do {
      const isOurs = drain().some(
        ({ kind, ends }) => kind === EventKind.EVENT_UDP_FAIL && ends.sport === client.port,
      );
      if (isOurs) return true;
      libc.usleep(1000);
    } while (performance.now() < deadline);
    return false;
  } catch (error) {
    if (error instanceof LoopbackError) return false;
    throw error;
  }
}

const LENGTH = 97;
