/** Records become events, and the right ones of them are shown. */
import { describe, expect, test } from "bun:test";
import {
  ConnFact,
  ConnMetadata,
  EventKind,
  eventSize,
  EventView,
  readEvent,
  writeEvent,
  type Event,
} from "../../src/record/layout.gen.ts";
import { Acceptors, portOf, type HolderSource } from "../../src/trace/tcp/acceptors.ts";
import { Accepts, type AcceptState } from "../../src/trace/tcp/accepts.ts";
import type { Show, Working } from "../../src/trace/part.ts";
import { applied } from "../../src/trace/stream/apply.ts";
import { NO_FILTER, type KernelFilter } from "../../src/trace/kernel_filter.ts";
import { Opens } from "../../src/trace/tcp/opens.ts";
import { tellOne, tellRecord } from "../../src/trace/tcp/tell.ts";
import { workingTcp } from "../../src/trace/tcp/working.ts";
import { chosen, showable, type Choice, type Obstacles } from "../../src/trace/stream/show.ts";
import { holderOf, ownerOf, walkAt } from "./drive/holders.ts";

interface Of {
  kind?: number;
  sk?: bigint;
  pid?: number;
  at?: bigint;
  cookie?: number;
  flags?: number;
  port?: number;
  group?: bigint;
}

/** Of TCP, by a process that is not the tool. */
function event({ kind = EventKind.EVENT_CONNECT, at = 1000n, pid = 500, ...of }: Of = {}): Event {
  const blank = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  const { sk = 1n, flags = ConnFact.FACT_ACCEPTED, group = 5n, cookie = 11, port = 40_000 } = of;
  const metadata = ConnMetadata.METADATA_TCP;
  return {
    ...blank,
    kind,
    sk,
    flags,
    cookie,
    timestamp: at,
    ends: { ...blank.ends, metadata, sport: port, dport: 443 },
    owner: { ...blank.owner, pid, cgroup_id: group },
  };
}

function record(of: Of = {}): [view: DataView, p: number] {
  const view = new DataView(new ArrayBuffer(eventSize));
  writeEvent(view, 0, event(of));
  return [view, 0];
}

/** A `show` that keeps the events it is given, in order. */
function gathered(): { texts: string[]; show: Show } {
  const texts: string[] = [];
  return {
    texts,
    show: ({ owner }, kind) => void texts.push(`${kind} of ${owner.pid}`),
  };
}

/** The processes of the tests hold the listener of all connections, of which it is not known. */
const allHold: HolderSource = {
  walk: () => ({
    ...walkAt(0, {}),
    listeners: new Map([[portOf(0, 40_000), [500, 600].map(holderOf)]]),
  }),
  owner: ({ pid }) => ownerOf(pid),
};

function noAccepts(states = new Map<bigint, AcceptState>()): Accepts {
  const acceptors = new Acceptors(allHold);
  acceptors.begin();
  return new Accepts((sk) => states.get(sk) ?? { state: "gone" }, acceptors);
}

/** TCP's part and others, with nothing in the way of a record that is shown as it is. */
const appliedBy = (opens = new Opens(), ...others: Working[]) =>
  applied([workingTcp(noAccepts(), opens), ...others], () => true);

/** As sampling does: each record is revised, if only to the same. */
const sampler = (renewed: (event: Event) => void = () => {}): Working => ({
  revises: () => true,
  revise: (one) => one,
  repeated: renewed,
});

describe("a record", () => {
  test("of a connect or a close is shown at once", () => {
    const { texts, show } = gathered();
    const { any } = appliedBy();
    any(event(), show);
    any(event({ kind: EventKind.EVENT_CLOSE }), show);
    expect(texts).toEqual(["connect of 500", "close of 500"]);
  });

  test("of a handshake waits, and the close of its connection brings the accept along, before itself", () => {
    const { texts, show } = gathered();
    const { any } = appliedBy();
    any(event({ kind: EventKind.EVENT_PASSIVE }), show);
    expect(texts).toEqual([]);
    any(event({ kind: EventKind.EVENT_CLOSE }), show);
    expect(texts).toEqual(["accept of 500", "close of 500"]);
  });

  test("of the close of what nobody accepted is not shown", () => {
    const { texts, show } = gathered();
    const accepts = noAccepts();
    tellOne(event({ kind: EventKind.EVENT_PASSIVE }), accepts, show);
    tellOne(event({ kind: EventKind.EVENT_CLOSE, flags: 0 }), accepts, show);
    expect(texts).toEqual([]);
  });

  test("of an unknown kind is not shown", () => {
    const { texts, show } = gathered();
    appliedBy().any(event({ kind: 99 }), show);
    expect(texts).toEqual([]);
  });

  test("that has been told already goes to the samples alone", () => {
    const renewed: bigint[] = [];
    const { texts, show } = gathered();
    const { any } = appliedBy(
      new Opens(),
      sampler(({ sk }) => void renewed.push(sk)),
    );
    any(event({ kind: EventKind.EVENT_OPEN, sk: 7n }), show);
    any(event({ kind: EventKind.EVENT_OPEN, sk: 7n }), show);
    expect(texts).toEqual(["open of 500"]);
    expect(renewed).toEqual([7n]);
  });

  test("of a flow is what the flows make of it, be it nothing", () => {
    const { texts, show } = gathered();
    const told = event({ kind: EventKind.EVENT_UDP_CLOSE, pid: 700 });
    const flows: Working = {
      kinds: [EventKind.EVENT_UDP_OPEN, EventKind.EVENT_UDP_CLOSE],
      tell({ kind }, showIt) {
        if (kind === EventKind.EVENT_UDP_CLOSE) showIt(told, "close");
      },
    };
    const { any } = appliedBy(new Opens(), flows);
    any(event({ kind: EventKind.EVENT_UDP_OPEN }), show);
    any(event({ kind: EventKind.EVENT_UDP_CLOSE }), show);
    any(event(), show);
    expect(texts).toEqual(["close of 700", "connect of 500"]);
  });

  test("is plain if it is of TCP, was not open before, and nobody samples", () => {
    const opens = new Opens();
    const { isPlain } = appliedBy(opens);
    // Until the listing has been applied anything can concern it.
    expect(isPlain(...record())).toBe(false);
    opens.apply(event({ kind: EventKind.EVENT_OPEN, sk: 7n }));
    opens.settle();
    expect(isPlain(...record())).toBe(true);
    expect(isPlain(...record({ sk: 7n }))).toBe(false);
    for (const kind of [EventKind.EVENT_UDP_OPEN, EventKind.EVENT_FAIL, EventKind.EVENT_OPEN])
      expect(isPlain(...record({ kind }))).toBe(false);
    expect(appliedBy(opens, sampler()).isPlain(...record())).toBe(false);
  });
});

describe("a record that a part revises", () => {
  const shownBy = (...others: Working[]) => {
    const { texts, show } = gathered();
    const { apply } = appliedBy(new Opens(), ...others);
    const asRecord = (view: DataView, p: number) => {
      texts.push(`record of ${new EventView(view, p).owner.pid}`);
      return true;
    };
    apply(...record(), asRecord, show);
    return texts;
  };

  test("is shown as it came if the part returns it, and else as the event that the part makes of it", () => {
    expect(shownBy()).toEqual(["record of 500"]);
    const renames: Working = {
      revises: () => true,
      revise: (one) => ({ ...one, owner: { ...one.owner, pid: 700 } }),
    };
    expect(shownBy(renames)).toEqual(["connect of 700"]);
  });

  test("is an event for a part that is to see what is shown", () => {
    expect(shownBy({ ...sampler(), shown: () => true })).toEqual(["connect of 500"]);
  });
});

describe("a record that is shown as it is", () => {
  const close: Of = { kind: EventKind.EVENT_CLOSE, pid: 600 };
  /** Tells for each line whether it was shown as a record or as an event; `takes`: the kinds that can be a record's line. */
  function shownAs(of: Of, accepts: Accepts, takes: number[], direct = takes) {
    const { texts, show } = gathered();
    const taken = (view: DataView, p: number) => {
      const { kind, owner } = new EventView(view, p);
      if (takes.includes(kind)) texts.push(`record ${kind} of ${owner.pid}`);
      return takes.includes(kind);
    };
    const isDirect = (view: DataView, p: number) => direct.includes(new EventView(view, p).kind);
    return { done: tellRecord(...record(of), accepts, taken, show, isDirect), texts };
  }
  const waiting = (of: Of = {}) => {
    const accepts = noAccepts();
    accepts.established(event({ kind: EventKind.EVENT_PASSIVE, pid: 0, flags: 0, ...of }));
    return accepts;
  };
  const { EVENT_ACCEPT, EVENT_CLOSE } = EventKind;
  const all = [EVENT_ACCEPT, EVENT_CLOSE];

  test("brings along the accept of its connection, by its own process, once and before itself", () => {
    const accepts = waiting();
    expect(shownAs(close, accepts, all)).toEqual({
      done: true,
      texts: [`record ${EVENT_ACCEPT} of 600`, `record ${EVENT_CLOSE} of 600`],
    });
    expect(shownAs(close, accepts, all).texts).toEqual([`record ${EVENT_CLOSE} of 600`]);
  });

  test("is not shown where nobody accepted its connection", () => {
    expect(shownAs({ ...close, flags: 0 }, waiting(), all)).toEqual({ done: true, texts: [] });
  });

  test("brings along no accept of another connection on the same sock", () => {
    expect(shownAs(close, waiting({ cookie: 13 }), all).texts).toEqual([
      `record ${EVENT_CLOSE} of 600`,
    ]);
  });

  test("that cannot be shown so is left to be applied, its accept not twice", () => {
    const accepts = waiting();
    expect(shownAs(close, accepts, [EVENT_ACCEPT])).toEqual({
      done: false,
      texts: [`record ${EVENT_ACCEPT} of 600`],
    });
    const { texts, show } = gathered();
    tellOne(event(close), accepts, show);
    expect(texts).toEqual(["close of 600"]);
    expect(shownAs(close, waiting(), [EVENT_CLOSE])).toEqual({
      done: true,
      texts: ["accept of 600", `record ${EVENT_CLOSE} of 600`],
    });
  });

  test("brings along as an event an accept to which a part has something to add", () => {
    expect(shownAs(close, waiting(), all, [EVENT_CLOSE]).texts).toEqual([
      "accept of 600",
      `record ${EVENT_CLOSE} of 600`,
    ]);
  });
});

describe("the close of a connection that nobody is known to have closed", () => {
  const { EVENT_PASSIVE, EVENT_CLOSE } = EventKind;
  const close: Of = { kind: EVENT_CLOSE, pid: 0 };
  /** Process 600 holds listener 9, and socket 7, which it has accepted. */
  const holds: HolderSource = {
    walk: () => walkAt(0, { 9: [600], 7: [600] }),
    owner: ({ pid }) => ownerOf(pid),
  };
  function accepting(state: AcceptState) {
    const acceptors = new Acceptors(holds);
    acceptors.begin();
    const accepts = new Accepts(() => state, acceptors);
    const passive = event({ kind: EVENT_PASSIVE, flags: 0 });
    accepts.established({ ...passive, owner: { ...passive.owner, pid: 0, listener_ino: 9 } });
    return { accepts, ...gathered() };
  }

  test("names who accepted it, where the accept was told before", () => {
    const { accepts, texts, show } = accepting({ state: "accepted", ino: 7 });
    for (const accept of accepts.poll(0n)) show(accept, "accept");
    expect(
      tellRecord(
        ...record(close),
        accepts,
        () => true,
        show,
        () => true,
      ),
    ).toBe(false);
    tellOne(event(close), accepts, show);
    expect(texts).toEqual(["accept of 600", "close of 600"]);
  });

  test("names who accepted it, where the close brings the accept along", () => {
    const { accepts, texts, show } = accepting({ state: "waiting" });
    tellOne(event(close), accepts, show);
    expect(texts).toEqual(["accept of 600", "close of 600"]);
  });

  test("names nobody where the sock carried another connection then", () => {
    const { accepts, texts, show } = accepting({ state: "accepted", ino: 7 });
    accepts.poll(0n);
    tellOne(event({ ...close, cookie: 13 }), accepts, show);
    expect(texts).toEqual(["close of 0"]);
  });
});

const TOOL = 42;

/** The events of these that a trace shows which began at 500 ns. */
function shownOf(events: [Event, Parameters<Show>[1]][], of: Partial<Choice> = {}): string[] {
  const none = { tgid: TOOL, self: false, beganNs: 500n, filter: NO_FILTER };
  const { texts, show } = gathered();
  const choose = chosen({ ...none, parts: [], ...of })(show);
  for (const [one, kind] of events) choose(one, kind);
  return texts;
}

describe("an event", () => {
  test("of the tool itself is not shown, unless asked for; what it did to get ready never is, but what it had open", () => {
    const own = event({ pid: TOOL });
    const early = event({ pid: TOOL, at: 499n });
    const listed = event({ pid: TOOL, kind: EventKind.EVENT_OPEN, at: 499n });
    expect(shownOf([[own, "connect"]])).toEqual([]);
    expect(shownOf([[own, "connect"]], { self: true })).toEqual(["connect of 42"]);
    expect(shownOf([[early, "connect"]], { self: true })).toEqual([]);
    expect(shownOf([[listed, "open"]], { self: true })).toEqual(["open of 42"]);
  });

  test("that does not match is not shown; the samples hear of its close, and of nothing else", () => {
    const heard: number[] = [];
    const samples = { shown: ({ owner }: Event) => heard.push(owner.pid) > 0 };
    const filter = { ...NO_FILTER, pids: [600] };
    const events: [Event, Parameters<Show>[1]][] = [
      [event({ pid: 500 }), "connect"],
      [event({ pid: 501 }), "close"],
      [event({ pid: 600 }), "connect"],
    ];
    expect(shownOf(events, { filter, parts: [samples] })).toEqual(["connect of 600"]);
    expect(heard).toEqual([501, 600]);
  });

  test("that the samples have told already is not told again", () => {
    expect(shownOf([[event(), "open"]], { parts: [{ shown: () => false }] })).toEqual([]);
  });

  test("of a process that is not followed is not shown, and a close brings the accept of one that is", () => {
    const accept = event({ pid: 700 });
    const descendants: Working = {
      wants: ({ owner }) => owner.pid === 700,
      brings: ({ owner }, kind) =>
        kind === "close" && owner.pid === 701 ? [accept, "accept"] : null,
    };
    const parts = [descendants];
    expect(shownOf([[event({ pid: 702 }), "connect"]], { parts })).toEqual([]);
    expect(shownOf([[event({ pid: 701 }), "close"]], { parts })).toEqual(["accept of 700"]);
    expect(shownOf([[event({ pid: 700 }), "close"]], { parts })).toEqual(["close of 700"]);
  });
});

describe("a plain record", () => {
  const clear: Obstacles = {
    tgid: TOOL,
    filter: NO_FILTER,
    parts: [{ enrich: () => {}, holds: () => true }],
  };

  test("is shown as it is where nothing is in the way", () => {
    expect(showable(clear)(...record())).toBe(true);
    expect(showable(clear)(...record({ kind: EventKind.EVENT_CLOSE }))).toBe(true);
  });

  test.each<[string, Partial<KernelFilter>]>([
    ["TCP alone is", { protocols: ["tcp"] }],
    ["ports are", { ports: [443] }],
    ["processes are", { pids: [700] }],
  ])("is shown as it is where %s asked for: the sink asks again", (_, asked) => {
    const filter = { ...NO_FILTER, ...asked };
    expect(showable({ ...clear, filter })(...record())).toBe(true);
  });

  test.each<[string, Partial<Obstacles>, Of]>([
    ["a command that is followed", { filter: { ...NO_FILTER, descendants: true } }, {}],
    ["a part that adds to each event", { parts: [{ enrich: () => {} }] }, {}],
    ["a handshake, which waits", {}, { kind: EventKind.EVENT_PASSIVE }],
    ["the tool itself", {}, { pid: TOOL }],
    ["a part that adds to this one", { parts: [{ enrich: () => {}, holds: () => false }] }, {}],
  ])("is not where there is %s", (_, obstacle, of) => {
    expect(showable({ ...clear, ...obstacle })(...record(of))).toBe(false);
  });
});
