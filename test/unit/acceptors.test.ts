/** The process that accepted: only a process that held the listener, and nobody where several may have. */
import { expect, test } from "bun:test";
import { EventKind, eventSize, readEvent, type Event } from "../../src/record/layout.gen.ts";
import { Acceptors, portOf, type Walk } from "../../src/trace/tcp/acceptors.ts";
import { holderOf, ownerOf, walkAt } from "./drive/holders.ts";

const SECOND = 1e9;
const [LISTENER, ACCEPTED] = [70, 71];
const [SERVER, WORKER, CHILD] = [500, 600, 700];
const PORT = 80;

function eventOf(kind: number, atNs: number, listener: number, pid = 0): Event {
  const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  const owner = { ...event.owner, pid, listener_ino: listener };
  return { ...event, kind, timestamp: BigInt(atNs), owner, ends: { ...event.ends, sport: PORT } };
}
const passive = (atNs: number, listener = LISTENER) =>
  eventOf(EventKind.EVENT_PASSIVE, atNs, listener);
const listen = (atNs: number, pid: number) => eventOf(EventKind.EVENT_LISTEN, atNs, LISTENER, pid);

/** Each walk finds the next of these; a process began when `born` says, else with the host. */
function acceptorsOf(walks: (Walk | null)[], born: Record<number, number> = {}) {
  let n = 0;
  const acceptors = new Acceptors({
    walk: () => walks[n++] ?? null,
    owner: ({ pid }) => ownerOf(pid, BigInt(born[pid] ?? 0)),
  });
  acceptors.begin();
  return acceptors;
}

test("a listener that begins is looked for at the next poll, but for one of the tool's own", () => {
  const OWN = 800;
  for (const [pid, walks] of [
    [SERVER, 1],
    [OWN, 0],
  ] as const) {
    let asked = 0;
    const source = { walk: () => (asked++, null), owner: () => null };
    const acceptors = new Acceptors(source, OWN);
    acceptors.listening(listen(SECOND, pid));
    acceptors.refresh();
    acceptors.refresh();
    expect(asked).toBe(walks);
  }
});

test("an old walk is done anew, also when all that came in was accepted elsewhere", () => {
  for (const [newestNs, walks] of [
    [0.9 * SECOND, 1],
    [1.1 * SECOND, 2],
  ] as const) {
    let asked = 0;
    const source = { walk: () => (asked++, walkAt(0, {})), owner: () => null };
    const acceptors = new Acceptors(source, 0, { newestNs, teach() {}, forgetHolders() {} });
    acceptors.begin();
    acceptors.refresh();
    expect(asked).toBe(walks);
  }
});

/** The process that accepted an open connection, of which the handshake was done at second 2. */
function acceptorOf(walks: (Walk | null)[], born: Record<number, number> = {}): number | null {
  const acceptors = acceptorsOf(walks, born);
  const handshake = acceptors.handshake(passive(2 * SECOND));
  const owners = acceptors.ofAccepted(new Map([[ACCEPTED, handshake]]), false);
  return owners?.get(ACCEPTED)?.pid ?? null;
}

test("the process that held the listener alone has accepted, whoever has the connection by now", () => {
  const before = walkAt(SECOND, { [LISTENER]: [SERVER] });
  for (const holders of [[SERVER], [WORKER], [SERVER, CHILD], []])
    expect(
      acceptorOf([before, walkAt(3 * SECOND, { [LISTENER]: [SERVER], [ACCEPTED]: holders })]),
    ).toBe(SERVER);
});

test("of several that held the listener it is the one that has the connection", () => {
  const before = walkAt(SECOND, { [LISTENER]: [SERVER, WORKER] });
  const after = (holders: number[]) =>
    walkAt(3 * SECOND, { [LISTENER]: [SERVER, WORKER], [ACCEPTED]: holders });
  expect(acceptorOf([before, after([WORKER])])).toBe(WORKER);
  expect(acceptorOf([before, after([SERVER, WORKER])])).toBeNull();
  // To which it was handed.
  expect(acceptorOf([before, after([CHILD])])).toBeNull();
});

test("a child that was born after the handshake is not the acceptor, though it has all that its parent had", () => {
  const before = walkAt(SECOND, { [LISTENER]: [SERVER] });
  const after = walkAt(3 * SECOND, { [LISTENER]: [SERVER, CHILD], [ACCEPTED]: [CHILD] });
  expect(acceptorOf([before, after], { [CHILD]: 2.1 * SECOND })).toBeNull();
  // /proc counts in hundredths of a second.
  expect(acceptorOf([before, after], { [CHILD]: 2 * SECOND - 5e6 })).toBeNull();
  expect(acceptorOf([before, after], { [CHILD]: 1.9 * SECOND })).toBe(CHILD);
  const both = walkAt(3 * SECOND, { [LISTENER]: [SERVER, CHILD], [ACCEPTED]: [SERVER, CHILD] });
  expect(acceptorOf([before, both], { [CHILD]: 2.1 * SECOND })).toBe(SERVER);
});

test("a listener that changed hands tells nothing by itself", () => {
  const before = walkAt(SECOND, { [LISTENER]: [SERVER] });
  const after = (holders: number[]) =>
    walkAt(3 * SECOND, { [LISTENER]: [WORKER], [ACCEPTED]: holders });
  expect(acceptorOf([before, after([])])).toBeNull();
  expect(acceptorOf([before, after([WORKER])])).toBe(WORKER);
  expect(acceptorOf([before, after([SERVER])])).toBe(SERVER);
});

test("a walk over some of the processes does not tell that one held the listener alone", () => {
  const walk = { ...walkAt(3 * SECOND, { [LISTENER]: [SERVER] }), whole: false };
  expect(acceptorOf([walkAt(SECOND, { [LISTENER]: [SERVER] }), walk])).toBeNull();
  const more = { ...walkAt(3 * SECOND, { [LISTENER]: [SERVER], [ACCEPTED]: [SERVER] }) };
  expect(acceptorOf([walkAt(SECOND, {}), { ...more, whole: false }])).toBe(SERVER);
});

test("without a walk it is asked again", () => {
  const acceptors = acceptorsOf([walkAt(SECOND, { [LISTENER]: [SERVER] })]);
  const handshake = acceptors.handshake(passive(2 * SECOND));
  expect(acceptors.ofAccepted(new Map([[ACCEPTED, handshake]]), false)).toBeNull();
});

test("a walk that was not over when the handshake was done is not from before it", () => {
  const acceptors = acceptorsOf([walkAt(SECOND, { [LISTENER]: [SERVER] })]);
  expect(acceptors.handshake(passive(SECOND - 1)).before).toEqual([]);
  expect(acceptors.handshake(passive(SECOND)).before).toEqual([holderOf(SERVER)]);
});

test("whoever made it a listener after the last walk held it", () => {
  const acceptors = acceptorsOf([walkAt(SECOND, { [LISTENER]: [WORKER] })]);
  acceptors.listening(listen(1.5 * SECOND, SERVER));
  expect(acceptors.handshake(passive(1.4 * SECOND)).before).toEqual([holderOf(WORKER)]);
  expect(acceptors.handshake(passive(2 * SECOND)).before).toEqual([holderOf(SERVER)]);
});

test("the connection of a server that is gone is the server's, if the server closed it", () => {
  const acceptors = acceptorsOf([walkAt(SECOND, {}), walkAt(4 * SECOND, {})]);
  acceptors.listening(listen(1.5 * SECOND, SERVER));
  const handshake = acceptors.handshake(passive(2 * SECOND));
  expect(acceptors.ofClosed(handshake, SERVER, 3 * SECOND)).toBe("closer");
  expect(acceptors.ofClosed(handshake, CHILD, 3 * SECOND)).toBeNull();
});

test("a connection that its acceptor's child closed, or a worker, or nobody, is the acceptor's", () => {
  const held = { [LISTENER]: [SERVER] };
  const acceptors = acceptorsOf([walkAt(SECOND, held), walkAt(4 * SECOND, held)]);
  const handshake = acceptors.handshake(passive(2 * SECOND));
  for (const closer of [CHILD, WORKER, 0])
    expect(acceptors.ofClosed(handshake, closer, 3 * SECOND)).toMatchObject({ pid: SERVER });
  expect(acceptors.ofClosed(handshake, SERVER, 3 * SECOND)).toBe("closer");
});

test("where the listener is not known, one of its port that has the connection is the acceptor, and nobody else", () => {
  const listeners = new Map([[portOf(0, PORT), [holderOf(SERVER)]]]);
  const found = (atNs: number, holders: number[]) => ({
    ...walkAt(atNs, { [ACCEPTED]: holders }),
    listeners,
  });
  const ask = (holders: number[]) => {
    const acceptors = acceptorsOf([found(SECOND, []), found(3 * SECOND, holders)]);
    const handshake = acceptors.handshake(passive(2 * SECOND, 0));
    return acceptors.ofAccepted(new Map([[ACCEPTED, handshake]]), false)?.get(ACCEPTED)?.pid;
  };
  expect(ask([SERVER])).toBe(SERVER);
  expect(ask([WORKER])).toBeUndefined();
  expect(ask([])).toBeUndefined();
});
