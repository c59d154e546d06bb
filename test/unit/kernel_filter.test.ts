/** The part of the user's filters that goes to the kernel side, and the same decision in user space. */
import { describe, expect, test } from "bun:test";
import {
  filterMaps,
  kindsOf,
  mayMatch,
  NO_FILTER,
  withFilter,
  type KernelFilter,
} from "../../src/trace/kernel_filter.ts";
import {
  Constant,
  ConnMetadata,
  eventSize,
  Filter,
  readEvent,
  type Event,
} from "../../src/record/layout.gen.ts";

const filter = (some: Partial<KernelFilter>): KernelFilter => ({ ...NO_FILTER, ...some });

const { METADATA_TCP, METADATA_IPV6 } = ConnMetadata;
interface Of {
  pid?: number;
  sport?: number;
  dport?: number;
  metadata?: number;
}
function event({ pid = 11, sport = 40_000, dport = 443, metadata = METADATA_TCP }: Of): Event {
  const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  Object.assign(event.ends, { sport, dport, metadata });
  event.owner.pid = pid;
  return event;
}

describe("without a filter", () => {
  test("the programs are told so, and the maps stay as small as can be", () => {
    const made = withFilter({ constants: new Map([[1, 2n]]), entries: { conns: 7 } }, NO_FILTER);
    expect(made.constants).toEqual(
      new Map([
        [1, 2n],
        [Constant.CONSTANT_FILTERS, 0n],
      ]),
    );
    expect(made.entries).toEqual({ conns: 7, filter_pids: 1, filter_ports: 1 });
  });

  test("everything may match", () => {
    expect(mayMatch(NO_FILTER)(event({ pid: 0, sport: 0, dport: 0, metadata: 0 }))).toBe(true);
  });
});

describe("what is written into the maps", () => {
  test("each process once", () => {
    expect(filterMaps(filter({ pids: [5, 7, 5] })).filter_pids).toEqual(
      new Map([
        [5, 1],
        [7, 1],
      ]),
    );
  });

  test("each port once, with every side on which it is asked for", () => {
    const asked = filter({ ports: [80], localPorts: [80, 22], remotePorts: [22, 443, 80] });
    expect(filterMaps(asked).filter_ports).toEqual(
      new Map([
        [80, Filter.FILTER_PORTS | Filter.FILTER_LOCAL_PORTS | Filter.FILTER_REMOTE_PORTS],
        [22, Filter.FILTER_LOCAL_PORTS | Filter.FILTER_REMOTE_PORTS],
        [443, Filter.FILTER_REMOTE_PORTS],
      ]),
    );
  });

  test("a command that is followed is asked for", () => {
    const asked = withFilter({ constants: new Map() }, filter({ descendants: true }));
    expect(asked.constants.get(Constant.CONSTANT_FILTERS)).toBe(BigInt(Filter.FILTER_FOLLOWED));
  });

  test("the maps have room for all of it", () => {
    const asked = filter({ pids: [1, 2, 3], ports: [80, 443] });
    expect(withFilter({ constants: new Map() }, asked).entries).toEqual({
      filter_pids: 3,
      filter_ports: 2,
    });
  });
});

test.each<[Partial<KernelFilter>, number]>([
  [{}, 0],
  [{ pids: [1] }, Filter.FILTER_PIDS],
  [{ ports: [1], localPorts: [2] }, Filter.FILTER_PORTS | Filter.FILTER_LOCAL_PORTS],
  [{ remotePorts: [1], families: [4] }, Filter.FILTER_REMOTE_PORTS | Filter.FILTER_IPV4],
  [{ families: [6, 6] }, Filter.FILTER_IPV6],
  [{ families: [4, 6], protocols: ["tcp", "udp"] }, 0],
  [{ protocols: ["udp"] }, Filter.FILTER_NO_TCP],
  // Its programs are not attached.
  [{ protocols: ["tcp"] }, 0],
])("%j asks the programs for %d", (some, bits) => {
  expect(kindsOf(filter(some))).toBe(bits);
});

describe("on this side", () => {
  test.each<[Partial<KernelFilter>, Parameters<typeof event>[0], boolean]>([
    [{ pids: [11] }, { pid: 11 }, true],
    [{ pids: [11] }, { pid: 12 }, false],
    [{ pids: [11] }, { pid: 0 }, true],
    [{ ports: [443] }, {}, true],
    [{ ports: [40_000] }, {}, true],
    [{ ports: [80] }, {}, false],
    [{ ports: [80] }, { sport: 0 }, false],
    [{ ports: [80] }, { dport: 0 }, true],
    [{ localPorts: [443] }, {}, false],
    [{ localPorts: [443] }, { sport: 0 }, false],
    [{ remotePorts: [443] }, {}, true],
    [{ remotePorts: [40_000] }, {}, false],
    [{ remotePorts: [40_000] }, { dport: 0 }, true],
    [{ ports: [443], remotePorts: [80] }, {}, false],
    [{ families: [6] }, {}, false],
    [{ families: [6] }, { metadata: METADATA_TCP | METADATA_IPV6 }, true],
    [{ families: [4] }, { metadata: METADATA_IPV6 }, false],
    [{ protocols: ["udp"] }, {}, false],
    [{ protocols: ["udp"] }, { metadata: 0 }, true],
    [{ protocols: ["tcp"] }, { metadata: METADATA_IPV6 }, false],
    [{ protocols: ["tcp", "udp"], families: [4, 6] }, {}, true],
  ])("%j and %j: %p", (some, tup, matches) => {
    expect(mayMatch(filter(some))(event(tup))).toBe(matches);
  });
});
