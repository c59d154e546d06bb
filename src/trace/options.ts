/** The options of a trace. */
import type { GuessReport } from "../guess/report.ts";
import type { AttachMode } from "../kernel/host.ts";
import type { KernelFilter } from "./kernel_filter.ts";

export interface TraceOptions {
  /** When a silent UDP flow is over; 30 s, or 120 s where both ends have been heard, unless given. */
  flowTimeouts?: FlowTimeouts;
  attach: AttachMode | "auto";
  offsetsFile?: string;
  /** Offsets that were guessed before; used if they are of the running kernel. */
  offsets?: GuessReport;
  /** Also shows the connections that this process makes once the trace runs. */
  self?: boolean;
  /** Connections, UDP flows and UDP sockets that are followed at once, of each so many; default 65,536. */
  maxConnections?: number;
  /** Whether `sample()` is going to be called. */
  sampling?: boolean;
  /** Events that certainly do not match are left out, most of them by the kernel side; see KernelFilter for unknown values. */
  filter?: KernelFilter;
  /** Whether `kernelTime()` is going to be asked. Measuring takes time itself, so it is done now and then only. */
  timed?: boolean;
  /** Whether each event has the command line of its process. */
  args?: boolean;
  /** Whether events tell how their ends are translated (NAT); true unless given. */
  nat?: boolean;
  /** Whether events tell which application protocol is spoken; true unless given. */
  protocols?: boolean;
  /** Whether `nameOf()` is going to be asked. */
  answers?: boolean;
  /** Whether an event of its own tells the protocol of a connection once it is known. */
  protocolEvents?: boolean;
  debug: boolean;
}

export interface FlowTimeouts {
  /** A flow that is silent for so long is over. */
  silentNs: bigint;
  /** The same for one in which both ends have been heard, and one of them again. */
  assuredNs: bigint;
}
