/** Clients of the library are told every byte of a UDP flow once, however often they ask. */
import { expect, test } from "bun:test";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { ConnectionState, type ConnectionDelta } from "../../src/state/state.ts";
import { toConnEvent } from "../../src/trace/event.ts";
import { addFlowTotals } from "../../src/trace/udp/totals.ts";
import type { ShownFlow } from "../../src/trace/udp/flows.ts";
import { rig, SECOND, step } from "./drive/udp_kernel.ts";
import { fc, runs } from "./drive/random.ts";

const enrich = [addFlowTotals({ bytes: true, packets: true })];
const asEvents = (shown: ShownFlow[]): TracedEvent[] =>
  shown.map(({ event, kind }) => toConnEvent(event, kind, enrich));

/** One socket with two remote ends that is never closed: its flows fall silent, wake and are looked at. */
const idling = fc.oneof(
  fc.record({
    do: fc.constant("datagram" as const),
    sk: fc.constant(1n),
    dport: fc.integer({ min: 1, max: 2 }),
    bytes: fc.bigInt({ min: 1n, max: 1000n }),
    received: fc.boolean(),
  }),
  fc.record({ do: fc.constantFrom("poll" as const, "sample" as const) }),
  fc.record({ do: fc.constant("wait" as const), seconds: fc.constantFrom(2n, 121n) }),
);
const steps = fc.oneof(
  fc.array(step, { maxLength: 60, size: "max" }),
  fc.array(idling, { maxLength: 60, size: "max" }),
);

test("any interleaving of datagrams, closes, waits, polls and samples tells each client every byte and packet once", () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 7 }), (happening, n) => {
      const { kernel, poll, sample } = rig();
      const state = new ConnectionState({ clientIdleMs: Infinity });
      const nowMs = () => Number(kernel.now / 1_000_000n);
      const told: Record<string, ConnectionDelta[]> = { often: [], rarely: [] };
      for (const id of Object.keys(told)) state.register(id, nowMs());
      const ask = (id: string) => {
        const { active, closed } = state.take(id, nowMs());
        told[id]!.push(...active, ...closed);
      };
      for (const [i, now] of happening.entries()) {
        if (now.do === "datagram") kernel.datagram(now.sk, now.dport, now.bytes, now.received);
        else if (now.do === "destroy") kernel.destroy(now.sk);
        else if (now.do === "wait") kernel.now += now.seconds * SECOND;
        else state.observe(asEvents(now.do === "poll" ? poll() : sample()), nowMs());
        ask("often");
        if (i % n === 0) ask("rarely");
      }
      for (const sk of [1n, 2n, 3n]) kernel.destroy(sk);
      kernel.now += SECOND * 5n;
      state.observe(asEvents(poll()), nowMs());
      for (const [id, deltas] of Object.entries(told)) {
        ask(id);
        const sum = (of: (delta: ConnectionDelta["delta"]) => bigint | number | null) =>
          deltas.reduce((s, { delta }) => s + BigInt(of(delta) ?? 0), 0n);
        expect({
          sent: sum((d) => d.bytesSent),
          received: sum((d) => d.bytesReceived),
          packetsSent: sum((d) => d.segsOut),
          packetsReceived: sum((d) => d.segsIn),
        }).toEqual(kernel.counted);
        expect(deltas.every(({ delta }) => delta.bytesSent === null || delta.bytesSent >= 0n)).toBe(
          true,
        );
      }
      expect(state.counts()).toMatchObject({ underflows: 0n, repeatedCloses: 0n, open: 0 });
    }),
    runs(500),
  );
});
