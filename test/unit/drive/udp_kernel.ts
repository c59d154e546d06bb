/** The kernel's side of UDP flows, as bpf/udp/flow.h has it, for tests of what the tool makes of it. */
import fc from "fast-check";
import {
  ConnFact,
  ConnFlags,
  EventKind,
  type Event,
  type Flow,
} from "../../../src/record/layout.gen.ts";
import { Flows, type FlowSource, type ShownFlow } from "../../../src/trace/udp/flows.ts";

export const SECOND = 1_000_000_000n;
const timeouts = { silentNs: 30n * SECOND, assuredNs: 120n * SECOND };

/** Two maps, and events that may be lost on their way. */
export class Kernel implements FlowSource {
  now = 1_000n * SECOND;
  readonly events: Event[] = [];
  readonly socks = new Map<bigint, Flow>();
  readonly others = new Map<string, Flow>();
  /** What every datagram has added, by direction. */
  readonly counted = { sent: 0n, received: 0n, packetsSent: 0n, packetsReceived: 0n };
  #cookie = 0;

  datagram(sk: bigint, dport: number, bytes: bigint, received: boolean): void {
    this.now += 1n;
    const first = this.socks.get(sk);
    const flow =
      first?.event.conn.tup.dport === dport ? first : first && this.others.get(keyOf(first, dport));
    if (flow) this.#add(flow, bytes, received);
    else this.#begin(sk, dport, bytes, received, first);
    this.counted[received ? "received" : "sent"] += bytes;
    this.counted[received ? "packetsReceived" : "packetsSent"] += 1n;
  }

  destroy(sk: bigint): void {
    const first = this.socks.get(sk);
    if (!first) return;
    this.now += 1n;
    this.socks.delete(sk);
    const close = structuredClone(first.event);
    const stats = close.conn.conn_stats;
    close.kind = EventKind.EVENT_UDP_CLOSE;
    stats.duration = stats.timestamp - stats.duration;
    stats.timestamp = this.now;
    stats.sent_packets = Number(first.sent_packets & 0xffff_ffffn);
    stats.recv_packets = Number(first.recv_packets & 0xffff_ffffn);
    close.conn.tcp_stats.rtt = Number(first.sent_packets >> 32n);
    close.conn.tcp_stats.rtt_var = Number(first.recv_packets >> 32n);
    this.events.push(close);
  }

  dump = (sinceNs = 0n): Flow[] =>
    structuredClone([...this.others.values(), ...this.socks.values()]).filter(
      ({ event }) => event.conn.conn_stats.timestamp >= sinceNs,
    );

  take = (event: Event): Flow | null => {
    const key = `${event.sk} ${event.conn.conn_stats.cookie} ${event.conn.tup.dport}`;
    const flow = this.others.get(key) ?? null;
    this.others.delete(key);
    return flow;
  };

  lookAfter = (): void => {};

  drain = (): Event[] => this.events.splice(0);

  #begin(sk: bigint, dport: number, bytes: bigint, received: boolean, first?: Flow): void {
    const cookie = first?.event.conn.conn_stats.cookie ?? ++this.#cookie;
    const flow = flowOf(sk, cookie, dport, this.now, first === undefined);
    flow.event.conn.conn_stats.direction = received ? 1 : 2;
    this.#add(flow, bytes, received);
    if (first) this.others.set(keyOf(first, dport), flow);
    else this.socks.set(sk, flow);
    this.events.push(structuredClone(flow.event));
  }

  #add(flow: Flow, bytes: bigint, received: boolean): void {
    const stats = flow.event.conn.conn_stats;
    const both = ConnFlags.CONN_L_INIT | ConnFlags.CONN_R_INIT;
    if ((stats.flags & both) === both) stats.flags |= ConnFlags.CONN_ASSURED;
    stats.flags |= received ? ConnFlags.CONN_R_INIT : ConnFlags.CONN_L_INIT;
    stats.timestamp = this.now;
    if (received) {
      stats.recv_bytes += bytes;
      flow.recv_packets += 1n;
    } else {
      stats.sent_bytes += bytes;
      flow.sent_packets += 1n;
    }
  }
}

const keyOf = ({ event }: Flow, dport: number) =>
  `${event.sk} ${event.conn.conn_stats.cookie} ${dport}`;

function flowOf(sk: bigint, cookie: number, dport: number, now: bigint, first: boolean): Flow {
  const tup = { saddr_h: 0n, saddr_l: 1n, daddr_h: 0n, daddr_l: 2n, sport: Number(sk), dport };
  const event: Event = {
    sk,
    conn: {
      tup: { ...tup, netns: 1, pid: 7, metadata: 0 },
      tcp_stats: { rtt: 0, rtt_var: 0, retransmits: 0, state_transitions: 0, failure_reason: 0 },
      conn_stats: {
        sent_bytes: 0n,
        recv_bytes: 0n,
        sent_packets: 0,
        recv_packets: 0,
        timestamp: now,
        duration: now,
        cookie,
        protocol_stack: { api: 0, application: 0, encryption: 0, flags: 0 },
        flags: 0,
        direction: 0,
      },
    },
    comm: new Uint8Array(16),
    kind: EventKind.EVENT_UDP_OPEN,
    flags: first ? ConnFact.FACT_FIRST_FLOW : 0,
    uid: 0,
    owned_at: 0,
    cgroup_id: 0n,
    program: 0n,
  };
  return { event, sent_packets: 0n, recv_packets: 0n, socket_ino: 0n };
}

export interface Rig {
  kernel: Kernel;
  flows: Flows;
  /** One poll of the tool; with `lose`, nothing of what was sent arrives. */
  poll(lose?: boolean): ShownFlow[];
  /** Looks at the flows, and polls. */
  sample(lose?: boolean): ShownFlow[];
}

export function rig(): Rig {
  const kernel = new Kernel();
  const flows = new Flows(kernel, timeouts);
  const polled = (events: Event[]): ShownFlow[] => {
    const shown = events.flatMap((event) => flows.event(event) ?? []);
    return [...shown, ...flows.tick(kernel.now)];
  };
  const drained = (lose: boolean) => (lose ? kernel.drain().slice(0, 0) : kernel.drain());
  const poll = (lose = false) => polled(drained(lose));
  const sample = (lose = false) => {
    // As in src/trace/running.ts: what it gives is put among the events, in order of time.
    const events = [...flows.sample(kernel.now), ...drained(lose)];
    const timeOf = ({ conn }: Event) => Number(conn.conn_stats.timestamp);
    return polled(events.sort((a, b) => timeOf(a) - timeOf(b)));
  };
  return { kernel, flows, poll, sample };
}

/** What can happen: the sockets are 1 to 3, their remote ports 1 to 4. */
export const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("datagram" as const),
      sk: fc.bigInt({ min: 1n, max: 3n }),
      dport: fc.integer({ min: 1, max: 4 }),
      bytes: fc.bigInt({ min: 0n, max: 1000n }),
      received: fc.boolean(),
    }),
  },
  fc.record({ do: fc.constant("destroy" as const), sk: fc.bigInt({ min: 1n, max: 3n }) }),
  fc.record({ do: fc.constantFrom("poll" as const, "sample" as const) }),
  fc.record({
    do: fc.constant("wait" as const),
    seconds: fc.constantFrom(1n, 10n, 31n, 121n),
  }),
);
