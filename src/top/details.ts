/** All that is known of one row. Pure. */
import { natOf } from "../conn/nat.ts";
import { escapeText } from "../output/escape.ts";
import { errnoText } from "../record/errno.ts";
import { endpointText } from "../record/address.ts";
import type { Tick } from "./facts.ts";
import { groupingOf, partText, type TopGrouping } from "./groupings.ts";
import { rowsOf, type Row } from "./rows.ts";
import { knownOf, meanOf, type Amount } from "./sums.ts";

/** Each is one line, if the screen is wide enough. */
export function detailLines(row: Row, by: TopGrouping, tick: Tick): string[] {
  const { event, sums } = currentOf(row, by, tick);
  const all = { ...event, container: event.container ?? null, cgroup: event.cgroup ?? null };
  const name = groupingOf(by)
    .parts.map((part) => `${part.name} ${partText(part, event, true)}`)
    .join(", ");
  const lines = [
    name,
    `moved: sent ${exact(sums.txTotal)}, received ${exact(sums.rxTotal)} bytes; sent again ${sums.retransmits.known === 0 ? "-" : sums.retransmits.sum} segments; failed ${sums.failed}`,
    `round-trip time ${micros(meanOf(sums.rttUs))}, connecting took ${micros(meanOf(sums.connectUs))}`,
  ];
  if (by === "process" || by === "connection" || by === "unit")
    lines.push(
      `user id ${event.uid ?? "-"}, control group ${shown(all.cgroup)}, container ${shown(all.container)}`,
    );
  if (by !== "connection") return lines;
  const nat = natOf(event);
  const failure = event.failure === undefined || event.failure === null ? null : event.failure;
  return [
    ...lines,
    `socket ${endpointText(event.local)} to ${endpointText(event.remote)}; on the wire ${
      nat === null ? "not known" : `${endpointText(nat.local)} to ${endpointText(nat.remote)}`
    }`,
    `network namespace ${event.netns ?? "-"}, protocol ${layers(event.application)}, server name ${shown(event.tls?.serverName)}`,
    ...(failure === null ? [] : [`ended by ${errnoText(failure)}`]),
  ];
}

// --- internal ---

/** The row as it is in this interval; as it was, when it is gone. */
function currentOf(row: Row, by: TopGrouping, tick: Tick): Row {
  const query = { by, sort: "rate", reverse: false, ended: true, text: "", most: 1 };
  return rowsOf(tick, { ...query, within: { by, key: row.key } }).rows[0] ?? row;
}

const shown = (text: string | null | undefined): string => (text ? escapeText(text) : "-");

function exact(amount: Amount): string {
  const sum = knownOf(amount);
  return sum === null ? "-" : `${sum}${amount.unknown > 0 ? "+" : ""}`;
}

const micros = (us: number | null): string => (us === null ? "-" : `${Math.round(us)} us`);

function layers(application: Row["event"]["application"]): string {
  if (!application) return "-";
  const { api, application: protocol, encryption } = application;
  return [encryption, protocol, api].filter((layer) => layer !== null).join(" > ") || "-";
}
