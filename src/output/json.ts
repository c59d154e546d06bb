/** One JSON object per line, for programs. `v` is raised when a member changes its meaning or goes away. */

import { isoMicros } from "../conn/clock.ts";
import type { Endpoint, ConnEvent, Totals } from "../conn/event.ts";
import { jsonString } from "./escape.ts";

const VERSION = 1;

export function jsonLine(event: ConnEvent, wallNs: bigint): string {
  return object([
    ["v", number(VERSION)],
    ["time", jsonString(isoMicros(wallNs))],
    ["event", jsonString(event.kind)],
    ["protocol", jsonString(event.protocol)],
    ["pid", number(event.pid)],
    ["comm", event.comm === null ? "null" : jsonString(event.comm)],
    ["family", number(event.family)],
    ["direction", jsonString(event.direction)],
    ["netns", number(event.netns)],
    ["local", endpoint(event.local)],
    ["remote", endpoint(event.remote)],
    ...(event.totals === undefined ? [] : totals(event.totals)),
  ]);
}

type Member = [name: string, value: string];

function totals(of: Totals): Member[] {
  return [
    ["bytes_sent", number(of.bytesSent)],
    ["bytes_received", number(of.bytesReceived)],
    ["segs_out", number(of.segsOut)],
    ["segs_in", number(of.segsIn)],
    ["rtt_us", number(of.rttUs)],
    ["rtt_var_us", number(of.rttVarUs)],
    ["retransmits", number(of.retransmits)],
    ["duration_us", number(of.durationNs === null ? null : of.durationNs / 1000n)],
  ];
}

function endpoint({ address, port }: Endpoint): string {
  return object([
    ["address", jsonString(address)],
    ["port", number(port)],
  ]);
}

/** By hand, because JSON.stringify refuses a bigint and a Number would round it above 2^53. */
function number(value: number | bigint | null): string {
  return value === null ? "null" : value.toString();
}

function object(members: Member[]): string {
  return `{${members.map(([name, value]) => `"${name}":${value}`).join(",")}}`;
}
