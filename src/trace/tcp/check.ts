/** Before anything is shown: connections of the tool's own must come back exactly as they were. */
import { Failure } from "../../errors.ts";
import {
  openPair,
  receiveBytes,
  receiveEnd,
  sendBytes,
  type Kind,
  type Pair,
} from "../../guess/loopback.ts";
import { loseAndRepeat, LOSSY_BYTES } from "../../guess/loss.ts";
import { tcpInfo, waitForState } from "../../guess/measure.ts";
import type { Place } from "../../guess/netns.ts";
import { SHUT_WR, TCP_CLOSE } from "../../kernel/constants.ts";
import * as libc from "../../kernel/libc.ts";
import type { TcpInfo } from "../../kernel/tcp_info.ts";
import { addressOfWords } from "../../record/address.ts";
import { EventKind, type Event } from "../../record/layout.gen.ts";
import { wrongTotals, type WrongTotal } from "./counters.ts";
import type { KnownTotals } from "./totals.ts";

export interface SelfCheck {
  /** The tool's process id as the kernel numbers it; in a pid namespace not what getpid says. */
  tgid: number;
  /** Whether accept(2) itself was seen. */
  sawAccept: boolean;
  /** Counters that are not what TCP_INFO says. */
  wrong: WrongTotal[];
}

const SENT = 1237;
const RECEIVED = 2039;
/** Events are there at once; a machine that stands still for a while must not fail. */
const PATIENCE_MS = 2000;

/**
 * Throws a Failure that names the first thing that came back wrong. `drain` returns what has been recorded. The totals
 * that are known are compared too: bytes of a plain close, and all of one after shutdown(2) at both ends.
 */
export function selfCheck(place: Place, drain: () => Event[], known: KnownTotals): SelfCheck {
  const check = checkOne("v4", false, place, drain, known);
  const kind = place.no_ipv6 === null ? "v4-mapped" : "v4";
  const { wrong } = checkOne(kind, true, place, drain, known);
  if (wrong.length === 0) return check;
  // Once more: between TCP_INFO and the close something may have come that nobody expects.
  return { ...check, wrong: checkOne(kind, true, place, drain, known).wrong };
}

// --- internal ---

type End = Pair["local"];

function checkOne(
  kind: Kind,
  halfClose: boolean,
  place: Place,
  drain: () => Event[],
  known: KnownTotals,
): SelfCheck {
  const seen: Event[] = [];
  /** Drains until it is there, or patience ends. */
  const find = (event: number, from: End, to: End): Event | undefined => {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      seen.push(...drain());
      const found = seen.find((e) => e.kind === event && connects(e, from, to));
      if (found || performance.now() > deadline) return found;
      libc.usleep(1000);
    }
  };
  const wrong = (what: string): Failure =>
    new Failure(`the self-check: a connection of the tracer's own (${kind}) came back wrong`, {
      why: what,
      hint: "run it again; if it stays, report it with the file of: tracer-bpf offsets snapshot --save FILE",
    });

  const pair = openPair(kind);
  const { local, remote } = pair;
  let connect: Event | undefined;
  let info: TcpInfo | null = null;
  try {
    exchange(pair);
    // Before the close, which would make up for a connect that was missed.
    connect = find(EventKind.EVENT_CONNECT, local, remote);
    if (halfClose) info = endBoth(pair);
  } finally {
    pair[Symbol.dispose]();
  }
  if (!connect) throw wrong("its connect was not seen");
  const close = find(EventKind.EVENT_CLOSE, local, remote);
  if (!close) throw wrong("its close was not seen");
  if (close.netns !== place.netns)
    throw wrong(`network namespace ${close.netns}, not ${place.netns}`);
  if (connect.owner.pid !== close.owner.pid) throw wrong("connect and close name two processes");
  const totals = known.bytesSent && known.bytesReceived;
  const sent = halfClose ? SENT + LOSSY_BYTES : SENT;
  if (totals && close.sent_bytes !== BigInt(sent))
    throw wrong(`${close.sent_bytes} bytes sent, not ${sent}`);
  if (totals && close.recv_bytes !== BigInt(RECEIVED))
    throw wrong(`${close.recv_bytes} bytes received, not ${RECEIVED}`);
  const accepted = [EventKind.EVENT_ACCEPT, EventKind.EVENT_PASSIVE] as number[];
  const sawAccept = seen.some((e) => accepted.includes(e.kind) && connects(e, remote, local));
  const counters = info === null ? [] : wrongTotals(close, info, known);
  return { tgid: close.owner.pid, sawAccept, wrong: counters };
}

function exchange({ client, server }: Pair): void {
  sendBytes(client, SENT);
  receiveBytes(server, SENT);
  sendBytes(server, RECEIVED);
  receiveBytes(client, RECEIVED);
}

/**
 * Loses segments, then ends both directions. The client is in the state CLOSE then: its counters do not change any more,
 * and they are what the close tells. Returns them.
 */
function endBoth(pair: Pair): TcpInfo {
  const { client, server } = pair;
  loseAndRepeat(pair);
  receiveBytes(server, LOSSY_BYTES);
  libc.shutdown(client, SHUT_WR);
  receiveEnd(server);
  libc.shutdown(server, SHUT_WR);
  receiveEnd(client);
  waitForState(client, TCP_CLOSE);
  return tcpInfo(client);
}

/** Both kinds of check are IPv4 on the wire, so the low word holds the address. */
function connects({ ends }: Event, from: End, to: End): boolean {
  return (
    ends.sport === from.port &&
    ends.dport === to.port &&
    addressOfWords(0n, ends.saddr_l, 4).address === from.address &&
    addressOfWords(0n, ends.daddr_l, 4).address === to.address
  );
}
