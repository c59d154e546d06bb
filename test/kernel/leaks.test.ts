/** Nothing that the programs remember outlives what it is about. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Actor } from "./drive/actors.ts";
import { tracesUdp } from "./drive/datagrams.ts";
import { startGuessed } from "./drive/guessed.ts";
import { mapsOf } from "./drive/maps.ts";
import { modes } from "./drive/modes.ts";
import type { Event } from "./drive/tracer.ts";
import { flushed } from "./drive/traced.ts";

setDefaultTimeout(360_000);

/** FULL=1 adds what is too slow for an emulated guest. */
const guest = process.env["VM_KERNEL"] !== undefined;
const COUNT = process.env["FULL"] === "1" && !guest ? 100_000 : guest ? 211 : 2_003;
/** Other programs of this host connect as well. */
const OTHERS = guest ? 4 : 100;

test.each(modes)(
  `--attach %s: after ${COUNT} refused and ${COUNT} successful connections every map is as full as before, and each was told`,
  async (mode) => {
    const actor = new Actor("churn", COUNT);
    await actor.hear();
    const tracer = await startGuessed(mode, ["--debug"]);
    actor.go();
    expect(await actor.hear<{ done: number }>()).toEqual({ done: COUNT });
    await flushed(tracer);
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(/none lost/);

    const told = (kind: Event["event"]) =>
      tracer.events.filter(
        ({ event, pid, direction }) =>
          event === kind && pid === actor.pid && direction === "outgoing",
      ).length;
    expect([told("fail"), told("connect"), told("close")]).toEqual([COUNT, COUNT, COUNT]);

    const [before, after] = mapsOf(tracer.stderr);
    for (const [name, entries] of after)
      expect([name, entries - before.get(name)! < OTHERS, entries]).toEqual([name, true, entries]);
    await actor.end();
  },
);

test.each(modes.filter(tracesUdp))(
  `--attach %s: after ${COUNT} UDP sockets, all to one server, every map is as full as before`,
  async (mode) => {
    const tracer = await startGuessed(mode, ["--debug"]);
    const storm = new Actor("datagram-storm", COUNT);
    const { port, sent } = await storm.hear<{ port: number; sent: number }>();
    const closes = () =>
      tracer.events.filter(
        ({ event, pid, remote }) => event === "close" && pid === storm.pid && remote.port === port,
      );
    await tracer.until(() => closes().length >= COUNT, `${COUNT} closes`);
    expect(closes().reduce((sum, event) => sum + event.bytes_sent!, 0)).toBe(sent);
    await tracer.until(
      () =>
        tracer.events.some(
          ({ event, pid, local }) => event === "close" && pid === storm.pid && local.port === port,
        ),
      "the server's close",
    );
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(/none lost/);
    const [before, after] = mapsOf(tracer.stderr);
    expect([...after.keys()]).toContain("udp_flows");
    for (const [name, entries] of after)
      expect([name, entries - before.get(name)! < OTHERS, entries]).toEqual([name, true, entries]);
    await storm.end();
  },
);
