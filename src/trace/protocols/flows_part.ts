/**
 * Application protocols of UDP: the first bytes of a flow's datagrams tell what is spoken. The programs that count datagrams see
 * these bytes; this part needs no program of its own.
 */
import { undisturbed } from "../../guess/netns.ts";
import { features } from "../../kernel/feature_table.ts";
import { Constant, DatagramLooking, DatagramWay } from "../../record/layout.gen.ts";
import { NO_FILTER, wantsProtocol } from "../kernel_filter.ts";
import type { TraceOptions } from "../options.ts";
import type { Finding, Opened, Part, PartOf } from "../part.ts";
import { Answers } from "./answers.ts";
import { checkDatagrams } from "./flows_check.ts";
import { recognisingFlows } from "./flows.ts";
import { renewRoom } from "./gates.ts";
import { Recognised } from "./recognised.ts";
import type { Describing } from "./working.ts";

/** `make` makes what recognises one flow. */
export const flowProtocolsBy =
  (make: () => Describing): PartOf =>
  ({
    protocols: asked = true,
    filter = NO_FILTER,
    protocolEvents = false,
    answers = false,
  }: TraceOptions): Part => ({
    name: "application protocols of UDP",
    completes: ["UDP", "application protocols"],
    asked: asked && wantsProtocol(filter, "udp"),
    without: "application protocols of UDP are not known",
    prepare({ features: has }) {
      if (!has.has("test_run")) return "it takes Linux 5.10";
      const way = has.has("task_registers")
        ? DatagramWay.DATAGRAMS_IN_CALL
        : DatagramWay.DATAGRAMS_IN_SKB;
      return {
        constants: new Map([
          [Constant.CONSTANT_DATAGRAMS, BigInt(way)],
          [Constant.CONSTANT_ANSWERS, answers ? 1n : 0n],
        ]),
      };
    },
    missing({ newer, mode, host }) {
      if (!newer) return "this kernel refuses the programs for Linux 5.10";
      if (mode === "kprobe" || host.features.has("task_registers")) return null;
      return `with tracepoints it takes the kernel's types, and Linux ${features.task_registers.since}`;
    },
    points: () => [],
    check,
    start: (on) => recognisingFlows(on, make, protocolEvents, answers ? new Answers() : null),
  });

export const flowProtocols: PartOf = flowProtocolsBy(() => new Recognised("udp"));

// --- internal ---

const { DATAGRAMS_PASSED_OVER, DATAGRAMS_LOOKED_AT, DATAGRAMS_UNLIMITED } = DatagramLooking;

function check(on: Opened): Finding {
  const {
    host: { shim },
    object,
  } = on;
  const tell = (looking: number): void =>
    shim.mapUpdate(object.mapFd("datagram_looking"), new Uint32Array(1), Uint32Array.of(looking));
  tell(DATAGRAMS_UNLIMITED);
  renewRoom(shim, object);
  const wrong = undisturbed(
    (place) => checkDatagrams(place, on.drain),
    (wrong) => wrong === null,
  );
  tell(wrong === null ? DATAGRAMS_LOOKED_AT : DATAGRAMS_PASSED_OVER);
  return wrong === null ? {} : { refused: wrong };
}
