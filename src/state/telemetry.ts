/**
 * The 17 counters that tracers of this family have, in their order, filled from the counts of this design. A counter of
 * something that cannot happen here stays 0; its comment says why. Pure.
 */
import type { TracedEvent } from "../conn/identity.ts";
import type { Telemetry } from "../record/layout.gen.ts";
import { FailureReason } from "../record/layout.gen.ts";

/** The counts that come from the losses of the kernel side. */
export interface TelemetrySources {
  /** Socks whose addresses could not be read when a connection was established or accepted. */
  unreadableTuples: bigint;
  /** Calls of connect(2) that could not be followed to their return. */
  unfollowedConnects: bigint;
  /** Ends that were told again, and counted once. */
  repeatedCloses: bigint;
  repeatedFailures: bigint;
  /** Datagrams sent, as counted in the flows that were seen. */
  datagramsSent: bigint;
  /** Datagrams that were given to no flow: there was no room for it, or the probe was busy. */
  datagramsMissed: bigint;
}

/** Counts what passes by. */
export class TelemetryCounts {
  #datagramsSent = 0n;
  #failures = 0n;
  #cancelled = 0n;
  #unexplained = 0n;
  #withoutProcess = 0n;
  #closes = 0n;
  #closesWithFailure = 0n;

  /** Of the UDP flows that have ended. */
  get datagramsSent(): bigint {
    return this.#datagramsSent;
  }

  observe({ kind, protocol, failure, pid, totals }: TracedEvent): void {
    if (protocol !== "tcp") {
      if (kind === "close") this.#datagramsSent += BigInt(totals?.segsOut ?? 0);
      return;
    }
    if (kind === "close") {
      this.#closes++;
      if (failure !== undefined && failure !== null) this.#closesWithFailure++;
    }
    if (kind !== "fail") return;
    this.#failures++;
    if (failure === FailureReason.FAILURE_CANCELLED) this.#cancelled++;
    if (failure === undefined || failure === null) this.#unexplained++;
    if (pid === null) this.#withoutProcess++;
  }

  telemetry(sources: TelemetrySources): Telemetry {
    return {
      /** Attempts to connect that came to nothing: `fail` events. */
      tcp_failed_connect: this.#failures,
      /** 0: it counts mistakes of a probe on the send path, and there is none. */
      tcp_sent_miscounts: 0n,
      /** 0, both: closes that found their CPU's batch full. Here a close waits for no batch; rings count their losses. */
      unbatched_tcp_close: 0n,
      unbatched_udp_close: 0n,
      /** Datagrams sent, counted in a flow. */
      udp_sends_processed: sources.datagramsSent,
      /** Datagrams, either way, that could not be counted in a flow. */
      udp_sends_missed: sources.datagramsMissed,
      /** 0: sockets whose flow is gone before they close. Here a flow goes with its socket, or was told before. */
      udp_dropped_conns: 0n,
      /** Ends that were told again by a close. */
      double_flush_attempts_close: sources.repeatedCloses,
      /** Ends that were told again by a failure. */
      double_flush_attempts_done: sources.repeatedFailures,
      /** Failures without a known errno. (Every errno that is known is told: none is unsupported.) */
      unsupported_tcp_failures: this.#unexplained,
      /** Failures whose process is not known. */
      tcp_done_missing_pid: this.#withoutProcess,
      /** Calls of connect(2) that could not be followed: if they fail before a SYN, nobody knows. */
      tcp_connect_failed_tuple: sources.unfollowedConnects,
      /** 0: the tuple of a failure is the one that connect(2) had. */
      tcp_done_failed_tuple: 0n,
      /** Established or accepted, but the addresses could not be read. */
      tcp_finish_connect_failed_tuple: sources.unreadableTuples,
      /** Closes of connections that had ended by an error. */
      tcp_close_target_failures: this.#closesWithFailure,
      /** Failures told when the kernel gave the attempt up. */
      tcp_done_connection_flush: this.#failures - this.#cancelled,
      /** Ends told because the application closed: closes, and attempts that it cancelled. */
      tcp_close_connection_flush: this.#closes + this.#cancelled,
    };
  }
}
