/**
 * Application protocols: the first bytes of a connection's segments tell what is spoken. The kernel side sends these bytes, a
 * recogniser decides, and the connection's events name the protocol.
 */
import { Failure } from "../../errors.ts";
import { guessSegments, type Guessed } from "../../guess/segments.ts";
import { features } from "../../kernel/feature_table.ts";
import { Constant } from "../../record/layout.gen.ts";
import type { TraceOptions } from "../options.ts";
import type { Ground, Part, PartOf, Point } from "../part.ts";
import { GATES } from "./gates.ts";
import { writeLayout } from "./layout.ts";
import { checkLooks } from "./check.ts";
import { Lease, LEASED } from "./lease.ts";
import { Recognised } from "./recognised.ts";
import { recognising, type Describing } from "./working.ts";

/** `make` makes what recognises one connection. `loud`: see LOUD in lease.ts. */
export const protocolsBy =
  (make: () => Describing, loud?: number): PartOf =>
  ({ protocols: asked = true, protocolEvents = false }: TraceOptions): Part => {
    let guessed: Guessed | string = "it was not guessed";
    let lease: Lease | null = null;
    return {
      name: "application protocols",
      asked,
      without: "application protocols are not known",
      prepare(host) {
        if (!host.features.has("segment_tracepoint"))
          return `it takes Linux ${features.segment_tracepoint.since}`;
        guessed = guessSegments(host);
        if (typeof guessed === "string") return guessed;
        return {
          constants: new Map([[Constant.CONSTANT_PROTOCOLS, 1n]]),
          mapSizes: { gates: GATES },
        };
      },
      points,
      check(on) {
        if (typeof guessed === "string") return { refused: guessed };
        writeLayout(on, guessed, true);
        try {
          lease = new Lease(on, loud);
        } catch (error) {
          if (error instanceof Failure) return { refused: error.message };
          throw error;
        }
        const wrong = checkLooks(on.drain);
        writeLayout(on, guessed, false);
        if (wrong !== null) {
          lease[Symbol.dispose]();
          return { refused: wrong };
        }
        return guessed.pages === null ? {} : { notes: [`${SOME_ONLY}: ${guessed.pages}`] };
      },
      start: (on) => recognising(on, lease!, make, protocolEvents),
    };
  };

export const protocols: PartOf = protocolsBy(() => new Recognised());

// --- internal ---

const SOME_ONLY = "application protocols are known of some connections only";

const points = ({ mode }: Ground): readonly Point[] => [
  LEASED,
  ...(mode === "kprobe"
    ? [{ program: "on_handshake", tracepoint: "inet_sock_set_state" } as const]
    : []),
];
