/**
 * The scenarios of NAT, each driven for real. Truth is what both sockets say: see nat_truth.ts. Most are rows of
 * nat_services.ts; here are those that take more than to connect.
 */
import * as k from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import type { Mode } from "./modes.ts";
import { sockaddr } from "../../../src/kernel/sockaddr.ts";
import { addresses, runIn } from "./nat_network.ts";
import { at, flows, hardToAsk, on, type Service, services, vip } from "./nat_services.ts";
import {
  answerOne,
  askOnce,
  bound,
  connectTo,
  end,
  type Link,
  listenAt,
  netnsOf,
  refusedBy,
  talk,
  type Waiting,
} from "./nat_sockets.ts";
import {
  type Answer,
  arrived,
  repeatedAreHardToAsk,
  type Side,
  sidesOf,
  tableOfConntrack,
} from "./nat_truth.ts";
import { SecondThread } from "./nat_two_threads.ts";
import { awaitReadable, check, type Endpoint } from "./peer.ts";

/** How to drive it this time. */
export interface Round {
  /** Connections, where they cost little. */
  count: number;
  mode: Mode;
}

export interface Scenario {
  name: string;
  udp?: true;
  /** Its entries stay in conntrack's table. */
  kept: boolean;
  drive(round: Round): Driven;
}

export interface Driven {
  sides: Side[];
  /** For the comparison with conntrack's table. */
  links: Link[];
}

const { p1, p2, p3 } = addresses;

export const scenarios: readonly Scenario[] = [
  ...services.map(ofService),
  ...flows.map(ofFlow),
  {
    // The socket of the first hop is in a third namespace, whose table nobody asks for the server.
    name: "SNAT in the pod, then a service address",
    kept: true,
    drive(round) {
      const driven = overService(
        {
          name: "",
          from: "p3",
          to: vip(11),
          servers: [on("p2", 8011)],
          // The first hop is in the pod's own namespace.
          answers: hardToAsk,
        },
        round,
      );
      const sides = driven.sides.map((side) =>
        side.opened === "accept" ? { ...side, nat: { local: vip(11), remote: null } } : side,
      );
      return { ...driven, sides };
    },
  },
  {
    name: "a source port that is taken by an older connection",
    kept: true,
    drive({ count, mode }) {
      const servers = [listenAt("p2", at(p2[4], 8016))];
      const links = Array.from({ length: Math.min(count, 20) }, () => {
        const port = nextPort();
        const older = connectTo(servers, { from: "p1", to: vip(16), port });
        end(older);
        const link = connectTo(servers, { from: "p1", to: at(p2[4], 8016), port });
        end(link);
        if (link.server.remote.port === port) throw new Error("the port was not taken");
        return [older, link];
      }).flat();
      closeAll(servers);
      return { links, sides: links.flatMap((link) => sidesOf(link, answerOf(mode))) };
    },
  },
  {
    name: "refused by the backend",
    kept: false,
    drive({ count, mode }) {
      const answer = answerOf(mode);
      const sides = Array.from({ length: count }, (): Side => ({
        ...refusedBy({ from: "p1", to: vip(17, 1) }, p1[4]),
        opened: "fail",
        nat: { local: null, remote: at(p2[4], 1) },
        answer,
      }));
      return { links: [], sides };
    },
  },
  {
    name: "the same four names again, with another backend",
    kept: false,
    drive({ count, mode }) {
      const servers = [p2, p3].map((pod, n) => listenAt(n === 0 ? "p2" : "p3", at(pod[4], 8018)));
      const port = nextPort();
      const links = Array.from({ length: Math.min(count, 20) }, () => {
        const link = connectTo(servers, { from: "p1", to: vip(18, 8018), port });
        end(link, "reset");
        return link;
      });
      closeAll(servers);
      if (new Set(links.map(({ server }) => server.local.address)).size !== 2)
        throw new Error("all had the same backend");
      const answer = answerOf(mode);
      return { links, sides: links.flatMap((link) => sidesOf(link, answer)) };
    },
  },
  {
    name: "the same four names again, now past conntrack",
    kept: false,
    drive: ({ count, mode }) => passBy(Math.min(count, 5), mode),
  },
  {
    name: "UDP: two threads ask on one socket at once, and two backends answer",
    udp: true,
    kept: false,
    drive: ({ mode }) => raceFor(mode),
  },
];

/** These take entries out of the table. */
export const lossyScenarios: readonly Scenario[] = [
  {
    name: "UDP whose entry goes, and another backend afterwards",
    udp: true,
    kept: false,
    drive: ({ mode }) => reroute(mode),
  },
  ofService({
    name: "the table is emptied",
    from: "p1",
    to: vip(19),
    servers: [on("p2", 8019)],
    answers: hardToAsk,
    // Data that follow make new entries: a FIN alone would not.
    meanwhile(links) {
      runIn("root", ["conntrack", "-F"]);
      talk(links);
    },
    kept: false,
  }),
];

// --- internal ---

function ofService(of: Service): Scenario {
  return { name: of.name, kept: of.kept ?? true, drive: (round) => overService(of, round) };
}

function overService(of: Service, { count, mode }: Round): Driven {
  of.before?.();
  const servers = of.servers.map(({ place, listen }) => listenAt(place, listen, of.prepare));
  const links = Array.from({ length: count }, (_, n) =>
    connectTo(servers, { from: of.from, to: typeof of.to === "function" ? of.to(n) : of.to }),
  );
  of.meanwhile?.(links);
  for (const link of links) end(link, of.by);
  closeAll(servers);
  const answer = of.answers?.[mode] ?? "exact";
  return { links, sides: links.flatMap((link) => sidesOf(link, answer)) };
}

function ofFlow(of: (typeof flows)[number]): Scenario {
  return {
    name: `UDP: ${of.name}`,
    udp: true,
    kept: true,
    drive({ count, mode }) {
      const links = Array.from({ length: count }, () =>
        askOnce({
          from: of.from,
          to: of.to as Endpoint,
          servers: of.servers,
          isConnected: mode === "tracepoint",
        }),
      );
      const sides = links.flatMap((link) => sidesOf(link, "exact"));
      // The kernel may choose a port again at once.
      return { links, sides: mode === "kprobe" ? sides : repeatedAreHardToAsk(sides) };
    },
  };
}

const answerOf = (mode: Mode): Answer => hardToAsk[mode as "tracepoint"] ?? "exact";

/**
 * A connection that conntrack translates, then one with the names of one of its ends that conntrack does not see: first the
 * client's, then the server's. The entry is still there. A table that is asked takes it for the second one's too, see
 * KNOWN_ISSUES.md: there the first ones alone are driven.
 */
function passBy(count: number, mode: Mode): Driven {
  const backend = (place: "p2" | "p3", prepare?: (fd: number) => void) =>
    listenAt(place, at(addresses[place][4], 8026), prepare);
  const connectOnce = (server: Waiting, to: Endpoint, port: number, prepare?: typeof passing) => {
    const link = connectTo([server], { from: "p1", to, port, ...(prepare && { prepare }) });
    end(link, "reset");
    closeAll([server]);
    return link;
  };
  const rounds = Array.from({ length: count }, (_, n) => {
    const port = nextPort();
    const tracked = connectOnce(backend("p2"), vip(26, 8026), port);
    if (mode !== "kprobe") return [sidesOf(tracked, answerOf(mode))];
    const past =
      n % 2 === 0
        ? connectOnce(backend("p3"), vip(26, 8026), port, passing)
        : connectOnce(backend("p2", passing), at(p2[4], 8026), port, passing);
    return [sidesOf(tracked, "exact"), sidesOf(past, "unknown")];
  });
  return { links: [], sides: rounds.flat(2) };
}

/** The router does not track such packets. */
const passing = (fd: number): void =>
  void check(libc.setsockoptInt(fd, k.IPPROTO_IP, IP_TOS, 8 << 2), "IP_TOS");
const IP_TOS = 1;

/** Each asks twice; its entry goes in between. A table that is asked afterwards knows the second backend alone. */
function reroute(mode: Mode): Driven {
  const isConnected = mode === "tracepoint";
  const answer = answerOf(mode);
  const sides: Side[] = [];
  for (let i = 0; i < 3; i++) {
    const servers = backends(8021);
    const local = at(p1[4], nextPort());
    const fd = bound("p1", k.SOCK_DGRAM, local);
    const ask = () => {
      check(libc.sendto(fd, new Uint8Array(7), 0, sockaddr(vip(21).address, 8021)), "sendto");
      const server = answerOne(servers, isConnected);
      awaitReadable(fd);
      check(libc.recv(fd, new Uint8Array(16), 0), "recv");
      return server;
    };
    if (isConnected) check(libc.connect(fd, sockaddr(vip(21).address, 8021)), "connect");
    const first = ask();
    runIn("root", ["conntrack", "-D", "-p", "udp", "--orig-port-src", String(local.port)]);
    const second = ask();
    if (first.local.address === second.local.address) throw new Error("the same backend twice");
    const ends = { netns: netnsOf("p1"), local, remote: vip(21, 8021) };
    const [[asks, one], [later, other]] = [first, second].map((server) =>
      sidesOf({ protocol: "udp", client: ends, server }, answer),
    ) as [Side[], Side[]];
    sides.push(mode === "kprobe" ? asks! : { ...asks!, or: later!.nat }, one!, other!);
    for (const each of [fd, ...servers.map((one) => one.fd)]) libc.close(each);
  }
  return { links: [], sides };
}

/**
 * Both datagrams have chosen a backend before the table has an entry. It takes one of them: that is the client's. The other
 * one is found by its answer alone, and was never inserted as others are.
 */
function raceFor(mode: Mode): Driven {
  const isConnected = mode === "tracepoint";
  using second = new SecondThread();
  const races = Array.from({ length: 5 }, () => {
    const servers = backends(8020);
    const local = at(p1[4], nextPort());
    const fd = bound("p1", k.SOCK_DGRAM, local);
    check(libc.connect(fd, sockaddr(vip(20).address, 8020)), "connect");
    second.sendTwice(fd);
    const reached = [0, 1].map(() => {
      const server = answerOne(servers, isConnected);
      awaitReadable(fd);
      check(libc.recv(fd, new Uint8Array(16), 0), "recv");
      return server;
    });
    for (const each of [fd, ...servers.map((one) => one.fd)]) libc.close(each);
    const client = { netns: netnsOf("p1"), local, remote: vip(20, 8020) };
    return reached.map((server): Link => ({ protocol: "udp", client, server }));
  });
  const beyond = tableOfConntrack();
  const split = races.filter(([a, b]) => a!.server.local.address !== b!.server.local.address);
  if (split.length === 0) throw new Error("no two datagrams had different backends");
  const sides = split.flatMap((both) => {
    const entered = (link: Link) => beyond(link) === arrived(link);
    const [winner, loser] = both.toSorted((a, b) => Number(entered(b)) - Number(entered(a)));
    if (!entered(winner!)) throw new Error("the table has another backend");
    const [, other] = sidesOf(loser!, "exact or unknown");
    return [...sidesOf(winner!, "exact"), other!];
  });
  return { links: [], sides };
}

const backends = (port: number): Waiting[] =>
  [p2, p3].map((pod, n) => {
    const place = n === 0 ? "p2" : "p3";
    const listen = at(pod[4], port);
    return { fd: bound(place, k.SOCK_DGRAM, listen), place, listen };
  });

function closeAll(servers: readonly Waiting[]): void {
  for (const { fd } of servers) libc.close(fd);
}

/** Outside of the range that the kernel chooses from. */
let lastPort = 20_000;
const nextPort = (): number => ++lastPort;
