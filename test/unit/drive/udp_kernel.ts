/** The kernel's side of UDP flows, as bpf/udp/flow.h has it, for tests of what the tool makes of it. */
import { fc } from "./random.ts";
import {
  ConnFact,
  ConnFlags,
  EventKind,
  readEvent,
  eventSize,
  type Event,
  type Flow,
} from "../../../src/record/layout.gen.ts";
import {
  Flows,
  type DumpedFlow,
  type FlowSource,
  type ShownFlow,
} from "../../../src/trace/udp/flows.ts";
import { asView, plainEvent } from "../../../src/trace/event.ts";

export const SECOND = 1_000_000_000n;
const timeouts = { silentNs: 30n * SECOND, assuredNs: 120n * SECOND };

/** Two maps, and events that may be lost on their way. */
export class Kernel implements FlowSource {
  now = 1_000n * SECOND;
  readonly events: Event[] = [];
  readonly socks = new Map<bigint, Flow>();
  readonly others = new Map<string, Flow>();
  /** Sums over all datagrams, by direction. */
  readonly counted = { sent: 0n, received: 0n, packetsSent: 0n, packetsReceived: 0n };
  #cookie = 0;

  datagram(sk: bigint, dport: number, bytes: bigint, received: boolean): void {
    this.now += 1n;
    const first = this.socks.get(sk);
    const flow =
      first?.event.ends.dport === dport ? first : first && this.others.get(keyOf(first, dport));
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
    close.kind = EventKind.EVENT_UDP_CLOSE;
    close.timestamp = this.now;
    this.events.push(close);
  }

  /** As they are now: views of copies. */
  dump = (sinceNs = 0n): DumpedFlow[] =>
    [...this.others.values(), ...this.socks.values()]
      .filter(({ event }) => event.ended_at >= sinceNs)
      .map(({ event, ...rest }) => {
        const view = asView(event);
        return { event: view, copy: () => ({ event: plainEvent(view), ...rest }) };
      });

  take = (event: Event): Flow | null => {
    const key = `${event.sk} ${event.cookie} ${event.ends.dport}`;
    const flow = this.others.get(key) ?? null;
    this.others.delete(key);
    return flow;
  };

  lookAfter = (): void => {};

  drain = (): Event[] => this.events.splice(0);

  #begin(sk: bigint, dport: number, bytes: bigint, received: boolean, first?: Flow): void {
    const cookie = first?.event.cookie ?? ++this.#cookie;
    const flow = flowOf(sk, cookie, dport, this.now, first === undefined);
    flow.event.direction = received ? 1 : 2;
    this.#add(flow, bytes, received);
    if (first) this.others.set(keyOf(first, dport), flow);
    else this.socks.set(sk, flow);
    this.events.push(structuredClone(flow.event));
  }

  #add({ event }: Flow, bytes: bigint, received: boolean): void {
    const both = ConnFlags.CONN_L_INIT | ConnFlags.CONN_R_INIT;
    if ((event.legs & both) === both) event.legs |= ConnFlags.CONN_ASSURED;
    event.legs |= received ? ConnFlags.CONN_R_INIT : ConnFlags.CONN_L_INIT;
    event.ended_at = this.now;
    if (received) {
      event.recv_bytes += bytes;
      event.recv_packets += 1n;
    } else {
      event.sent_bytes += bytes;
      event.sent_packets += 1n;
    }
  }
}

const keyOf = ({ event }: Flow, dport: number) => `${event.sk} ${event.cookie} ${dport}`;

function flowOf(sk: bigint, cookie: number, dport: number, now: bigint, first: boolean): Flow {
  const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  Object.assign(event, {
    sk,
    cookie,
    kind: EventKind.EVENT_UDP_OPEN,
    flags: first ? ConnFact.FACT_FIRST_FLOW : 0,
    netns: 1,
    timestamp: now,
    started_at: now,
    ended_at: now,
  });
  Object.assign(event.ends, { saddr_l: 1n, daddr_l: 2n, sport: Number(sk), dport });
  event.owner.pid = 7;
  return { event, socket_ino: 0, looks_received: 0, looks_sent: 0 };
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
    const shown = events.flatMap((event) => [...(flows.event(event) ?? [])]);
    return [...shown, ...flows.tick(kernel.now)];
  };
  const drained = (lose: boolean) => (lose ? kernel.drain().slice(0, 0) : kernel.drain());
  const poll = (lose = false) => polled(drained(lose));
  const sample = (lose = false) => {
    // As in src/trace/running.ts: what it gives is put among the events, in order of time.
    const events = [...flows.sample(kernel.now), ...drained(lose)];
    const timeOf = ({ timestamp }: Event) => Number(timestamp);
    return polled(events.sort((a, b) => timeOf(a) - timeOf(b)));
  };
  return { kernel, flows, poll, sample };
}

/** One thing that can happen: the sockets are 1 to 3, their remote ports 1 to 4. */
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
