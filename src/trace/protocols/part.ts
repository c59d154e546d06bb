/**
 * Application protocols: the first bytes of a connection's segments tell what is spoken. The kernel side sends these bytes, a
 * recogniser decides, and the connection's events name the protocol.
 */
import { Failure } from "../../errors.ts";
import { guessSegments, type Guessed } from "../../guess/segments.ts";
import { features } from "../../kernel/feature_table.ts";
import type { Host } from "../../kernel/host.ts";
import { findSymbols } from "../../kernel/kallsyms.ts";
import { Constant } from "../../record/layout.gen.ts";
import type { TraceOptions } from "../options.ts";
import type { Ground, KprobePoint, Part, PartOf, Point } from "../part.ts";
import { GATES } from "./gates.ts";
import { writeLayout } from "./layout.ts";
import { checkLooks } from "./check.ts";
import { Lease, LEASED, unleased, type Leased } from "./lease.ts";
import { Recognised } from "./recognised.ts";
import { recognising, type Describing } from "./working.ts";

/** `make` makes what recognises one connection. `loud`: see LOUD in lease.ts. */
export const protocolsBy =
  (make: () => Describing, loud?: number): PartOf =>
  ({ protocols: asked = true, protocolEvents = false }: TraceOptions): Part => {
    let guessed: Guessed | string = "it was not guessed";
    let lease: Leased = unleased;
    return {
      name: "application protocols",
      asked,
      without: "application protocols are not known",
      prepare(host) {
        if (!seesSegments(host) && host.kprobes === null)
          return `it takes kprobes, or Linux ${features.segment_tracepoint.since}`;
        guessed = guessSegments(host);
        if (typeof guessed === "string") return guessed;
        return {
          constants: new Map([[Constant.CONSTANT_PROTOCOLS, 1n]]),
          mapSizes: { gates: GATES },
        };
      },
      missing: (on) => (seesSegments(on.host) ? null : missingFunction()),
      symbols: [...BESIDE_TRAFFIC, ...AT_HANDSHAKES].map(({ kprobe }) => kprobe),
      points,
      check(on) {
        if (typeof guessed === "string") return { refused: guessed };
        writeLayout(on, guessed, true);
        try {
          if (seesSegments(on.host)) lease = new Lease(on, loud);
        } catch (error) {
          if (error instanceof Failure) return { refused: error.message };
          throw error;
        }
        const wrong = checkLooks(on.drain);
        writeLayout(on, guessed, false);
        if (wrong !== null) {
          lease[Symbol.dispose]?.();
          return { refused: wrong };
        }
        return guessed.pages === null ? {} : { notes: [`${SOME_ONLY}: ${guessed.pages}`] };
      },
      start: (on) => recognising(on, lease, make, protocolEvents),
    };
  };

export const protocols: PartOf = protocolsBy(() => new Recognised());

// --- internal ---

const SOME_ONLY = "application protocols are known of some connections only";

const seesSegments = ({ features: has }: Pick<Host, "features">): boolean =>
  has.has("segment_tracepoint");

/** Before 4.17: see bpf/protocols/queues.h. */
const BESIDE_TRAFFIC: readonly KprobePoint[] = [
  { program: "on_segment_checked", kprobe: "tcp_validate_incoming" },
  { program: "on_acknowledging", kprobe: "tcp_send_ack" },
  { program: "on_taking", kprobe: "security_sock_graft" },
  { program: "on_listen", kprobe: "inet_csk_listen_start" },
];

function missingFunction(): string | null {
  const there = findSymbols(BESIDE_TRAFFIC.map(({ kprobe }) => kprobe));
  const missing = BESIDE_TRAFFIC.find(({ kprobe }) => !there.has(kprobe));
  return missing === undefined ? null : `this kernel has no function ${missing.kprobe}`;
}

/** In place of a tracepoint that tells each change of a state: nearly all are none of these. */
const AT_HANDSHAKES: readonly KprobePoint[] = [
  { program: "on_established", kprobe: "tcp_init_transfer", fentry: true },
  { program: "on_listen", kprobe: "inet_csk_listen_start" },
];

function points({ mode, host, fentry }: Ground): readonly Point[] {
  if (!seesSegments(host)) return BESIDE_TRAFFIC;
  if (mode === "tracepoint") return [LEASED];
  const there = findSymbols(AT_HANDSHAKES.map(({ kprobe }) => kprobe));
  if (fentry && AT_HANDSHAKES.every(({ kprobe }) => there.get(kprobe) === kprobe))
    return [LEASED, ...AT_HANDSHAKES];
  return [LEASED, { program: "on_handshake", tracepoint: "inet_sock_set_state" }];
}
