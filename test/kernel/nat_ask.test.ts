/**
 * NAT of connections by asking conntrack. The entries are the tests' own, made through ctnetlink for the tuples of real
 * connections: no packet is translated, and no rule of the host is touched.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { CAP_NET_ADMIN } from "../../src/kernel/constants.ts";
import { Ctnetlink, ctnetlinkIsThere } from "../../src/kernel/ctnetlink.ts";
import { deleteEntry, newEntry, turned, type Tuple } from "../../src/kernel/ctnetlink_codec.ts";
import * as libc from "../../src/kernel/libc.ts";
import {
  attribute,
  errnoOf,
  message,
  NetlinkSocket,
  NLM_F_ACK,
  NLM_F_REQUEST,
} from "../../src/kernel/netlink.ts";
import { inNamespace } from "../../src/kernel/namespaces.ts";
import { readSockaddr, sockaddr } from "../../src/kernel/sockaddr.ts";
import { asBefore510, linuxAtLeast, lists, modes } from "./drive/modes.ts";
import { check, dial, families, Listener, type Family, type Pair } from "./drive/peer.ts";
import { Tracer, type Event } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const inGuest = process.env["VM_KERNEL"] !== undefined;
// Nothing of a host's kernel is loaded.
if (inGuest) Bun.spawnSync(["modprobe", "nf_conntrack_netlink"], { stderr: "inherit" });
const canAsk = ctnetlinkIsThere();

test("a guest of the lab has conntrack", () => {
  if (inGuest) expect(canAsk).toBe(true);
});

/** CONFIRMED and SEEN_REPLY. */
const ANSWERED = 10;
const BACKEND = { address: "10.96.0.99", port: 8443 };
const BACKEND_V6 = { ...BACKEND, address: "2001:db8::99" };

describe.skipIf(!canAsk).each(modes.filter(lists))(
  "trace --attach %s, older connections",
  (mode) => {
    test("translated, plain and without an entry, in the host's namespace and in another", async () => {
      using place = new Place();
      const here = threePairs();
      const there = inNamespace(place.namespace, () => {
        libc.bringInterfaceUp("lo");
        return threePairs();
      })!;
      const tracer = await Tracer.start(mode);
      for (const { translated, plain, absent } of [here, there]) {
        expect(await natOfClient(tracer, "open", translated)).toEqual({
          local: null,
          remote: BACKEND,
        });
        // Of the loopback of another namespace too: its packets pass no other table.
        expect(await natOfClient(tracer, "open", plain)).toBe(false);
        expect(await natOfClient(tracer, "open", absent)).toBeNull();
      }
      for (const one of [here, there]) one.forget();
      for (const { translated, plain } of [here, there]) {
        for (const { client, server } of [translated, plain]) {
          client.close();
          server.close();
        }
        expect((await tracer.take("close", translated.client.truth)).nat).toEqual({
          local: null,
          remote: BACKEND,
        });
        expect((await tracer.take("close", plain.client.truth)).nat).toBe(false);
        expect((await tracer.take("close", plain.server.truth)).nat).toBe(false);
      }
      await tracer.stop();
    });
  },
);

/** Each way to ask, by the feature that is switched off. */
const ways = [
  { name: "by the program", without: "", keeps: false },
  { name: "by ctnetlink", without: "conntrack_lookup", keeps: true },
];
const live = modes.includes("tracepoint") && canAsk && !asBefore510;

describe.skipIf(!live).each(ways)(
  "trace --attach tracepoint, asking $name",
  ({ without, keeps }) => {
    test.skipIf(!keeps && !linuxAtLeast(5, 18))(
      "a connection: translated for its client, plain, absent; the capability is kept only where it is needed",
      async () => {
        const tracer = await Tracer.start(
          "tracepoint",
          [],
          ["env", `TRACER_BPF_WITHOUT=${without}`],
        );
        expect((capabilitiesOf(tracer.pid) & (1n << BigInt(CAP_NET_ADMIN))) !== 0n).toBe(keeps);
        for (const [family, backend] of [
          ["IPv4", BACKEND],
          ["IPv6", BACKEND_V6],
        ] as const) {
          const pairs = threePairs(family);
          for (const [of, nat] of [
            [pairs.translated, { local: null, remote: backend }],
            [pairs.plain, false],
            [pairs.absent, null],
          ] as const) {
            await expectNat(tracer, of, nat);
          }
          pairs.forget();
        }
        await tracer.stop();
      },
    );
  },
);

describe.skipIf(!live || !linuxAtLeast(5, 18))(
  "trace --attach tracepoint, another namespace",
  () => {
    test("is asked if the tracer's own knows it by a number; else nothing is known of it", async () => {
      using place = new Place();
      using stranger = new Place();
      place.giveNumber();
      const tracer = await Tracer.start("tracepoint");
      const pairsIn = ({ namespace }: Place) =>
        inNamespace(namespace, () => {
          libc.bringInterfaceUp("lo");
          return threePairs();
        })!;
      const [known, unknown] = [pairsIn(place), pairsIn(stranger)];
      for (const [pairs, isAsked] of [
        [known, true],
        [unknown, false],
      ] as const)
        for (const [of, nat] of [
          [pairs.translated, isAsked ? { local: null, remote: BACKEND } : null],
          [pairs.plain, isAsked ? false : null],
          [pairs.absent, null],
        ] as const) {
          await expectNat(tracer, of, nat);
        }
      for (const one of [known, unknown]) one.forget();
      await tracer.stop();
    });
  },
);

// --- internal ---

/** The client's connect and close tell it; the pair is closed. */
async function expectNat(tracer: Tracer, of: Pair, nat: Event["nat"]): Promise<void> {
  expect(await natOfClient(tracer, "connect", of)).toEqual(nat);
  of.client.close();
  of.server.close();
  expect((await tracer.take("close", of.client.truth)).nat).toEqual(nat);
}

/** A network namespace with a process in it. */
class Place implements Disposable {
  readonly #child = Bun.spawn(["unshare", "-n", "sleep", "600"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  readonly namespace: { netns: number; path: string };

  constructor() {
    const path = `/proc/${this.#child.pid}/ns/net`;
    const own = statSync("/proc/self/ns/net").ino;
    for (;;) {
      const netns = statSync(path).ino;
      if (netns !== own) {
        this.namespace = { netns, path };
        return;
      }
      libc.usleep(1000);
    }
  }

  /** By which the own namespace knows it, as it would if a veth led there. */
  giveNumber(): void {
    const [RTM_NEWNSID, NETNSA_NSID, NETNSA_PID] = [88, 1, 2];
    const word = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
    const socket = NetlinkSocket.open(0);
    if (typeof socket === "number") throw new Error(libc.errnoName(socket));
    const request = message(RTM_NEWNSID, NLM_F_REQUEST | NLM_F_ACK, 1, [
      new Uint8Array(4),
      attribute(NETNSA_NSID, word(-1)),
      attribute(NETNSA_PID, word(this.#child.pid)),
    ]);
    const answers = socket.ask([request]);
    socket[Symbol.dispose]();
    expect(Array.isArray(answers) && answers.map(errnoOf)).toEqual([0]);
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

interface Pairs {
  translated: Pair;
  plain: Pair;
  absent: Pair;
  /** Deletes the entries. */
  forget(): void;
}

/** The entries are there before the connections, as when a packet makes them. */
function threePairs(family: Family = "IPv4"): Pairs {
  const conntrack = Ctnetlink.open();
  if (typeof conntrack === "number") throw new Error(libc.errnoName(conntrack));
  const entries: Tuple[] = [];
  const enter = (reply: (orig: Tuple) => Tuple) => (orig: Tuple) => {
    const entry = { orig, reply: reply(orig), timeoutSeconds: 600, status: ANSWERED };
    expect(conntrack.ask([newEntry(entry)])).toEqual([0]);
    entries.push(orig);
  };
  return {
    translated: pairAfter(family, enter(asTranslated)),
    plain: pairAfter(family, enter(turned)),
    absent: pairAfter(family, () => {}),
    forget() {
      const deleted = conntrack.ask(entries.map((orig) => deleteEntry(orig)));
      conntrack[Symbol.dispose]();
      expect(deleted).toEqual([0, 0]);
    },
  };
}

/** `before` gets the tuple that the client is going to have. */
function pairAfter(family: Family, before: (tuple: Tuple) => void): Pair {
  const listener = new Listener(families[family]);
  const end = (port: number) => ({
    family: family === "IPv4" ? (4 as const) : (6 as const),
    address: families[family],
    port,
  });
  const client = dial(listener.address, listener.port, {
    prepare(fd) {
      check(libc.bind(fd, sockaddr(families[family], 0)), "bind");
      const name = new Uint8Array(128);
      check(libc.getsockname(fd, name), "getsockname");
      const { port } = readSockaddr(name)!;
      before({ protocol: 6, source: end(port), destination: end(listener.port) });
    },
  });
  const server = listener.accept();
  listener.close();
  return { client, server };
}

/** The reply of an entry that translates the destination. */
function asTranslated({ protocol, source }: Tuple): Tuple {
  const address = source.family === 4 ? BACKEND.address : BACKEND_V6.address;
  return { protocol, source: { ...BACKEND, family: source.family, address }, destination: source };
}

async function natOfClient(
  tracer: Tracer,
  event: "open" | "connect",
  { client }: Pair,
): Promise<Event["nat"]> {
  return (await tracer.take(event, client.truth)).nat;
}

const capabilitiesOf = (pid: number): bigint =>
  BigInt(`0x${/^CapPrm:\s*(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]}`);
