/**
 * A small guess of its own: offsets in struct nf_conn, an entry of the kernel's connection tracking. The tool makes entries in
 * a network namespace of its own, through ctnetlink, and copies what the kernel has made of them. No rule and no packet is
 * needed for that, and no module is loaded.
 */
import { Failure } from "../errors.ts";
import {
  AF_INET,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_CLOEXEC,
  SOCK_STREAM,
} from "../kernel/constants.ts";
import { conntrackIsThere, Ctnetlink, ctnetlinkIsThere } from "../kernel/ctnetlink.ts";
import { deleteEntry, newEntry, type NewEntry, type Tuple } from "../kernel/ctnetlink_codec.ts";
import type { AttachMode, Host } from "../kernel/host.ts";
import { findSymbol } from "../kernel/kallsyms.ts";
import { close, errnoName, socket } from "../kernel/libc.ts";
import { KernelError } from "../kernel/shim.ts";
import { bytesOf, check, LoopbackError } from "./loopback.ts";
import { inFreshNamespace, type Place } from "./netns.ts";
import type { FieldReport } from "./report.ts";
import {
  CONNTRACK_INSERT,
  openConntrackSampler,
  SamplerDeaf,
  type ConntrackSampler,
} from "./sampler.ts";
import { viewOf } from "./search.ts";
import {
  noConntrack,
  solveConntrack,
  type ConntrackSample,
  type NfTuple,
} from "./solve_conntrack.ts";

/** `fields`: what has been guessed before; skc_net is needed. Never throws: a field without an offset says why. */
export function guessConntrack(
  host: Host,
  mode: AttachMode,
  fields: readonly FieldReport[],
): FieldReport[] {
  if (mode !== "kprobe" || host.kprobes === null)
    return noConntrack("kprobe-only", "it takes a kprobe");
  if (!conntrackIsThere()) return noConntrack("not-applicable", "conntrack is not loaded");
  if (findSymbol(CONNTRACK_INSERT) === null)
    return noConntrack("not-applicable", `this kernel has no function ${CONNTRACK_INSERT}`);
  if (!ctnetlinkIsThere())
    return noConntrack("not-applicable", "the module nf_conntrack_netlink is not loaded");
  try {
    return solveConntrack(
      sampleEntries(
        host,
        fields.find(({ field }) => field === "skc_net"),
      ),
    );
  } catch (error) {
    const known =
      error instanceof KernelError ||
      error instanceof SamplerDeaf ||
      error instanceof LoopbackError ||
      error instanceof Failure;
    if (!known) throw error;
    return noConntrack("failed", error.message);
  }
}

// --- internal ---

/** Of two protocols and families, with zones; no byte of an address or a port is another one's at the same place. */
const ENTRIES: readonly (NewEntry & { zone: number })[] = [
  {
    orig: tuple(IPPROTO_TCP, ["10.21.32.43", 0x5161], ["10.24.35.46", 0x5264]),
    reply: tuple(IPPROTO_TCP, ["10.27.38.49", 0x5367], ["10.29.31.41", 0x5469]),
    zone: 0x5a17,
    timeoutSeconds: 60,
  },
  {
    orig: tuple(
      IPPROTO_UDP,
      ["fd11:2233:4455:6677::89", 0x6171],
      ["fd12:2334:4556:6778::9a", 0x6272],
    ),
    reply: tuple(
      IPPROTO_UDP,
      ["fd13:2435:4657:6879::ab", 0x6373],
      ["fd14:2536:4758:697a::bc", 0x6474],
    ),
    zone: 0x4b28,
    timeoutSeconds: 60,
  },
];

function sampleEntries(host: Host, skcNet: FieldReport | undefined): ConntrackSample[] {
  using sampler = openConntrackSampler(host.shim, host.kprobes!);
  return inFreshNamespace(
    (place) => {
      const net = place.netns === 0 ? null : netOf(sampler, skcNet);
      const conntrack = Ctnetlink.open();
      if (typeof conntrack === "number") throw refused("a socket of it", -conntrack);
      try {
        return ENTRIES.filter((entry) => isPossible(entry.orig, place)).map((entry) =>
          sampleEntry(sampler, conntrack, entry, net),
        );
      } finally {
        conntrack[Symbol.dispose]();
      }
    },
    new LoopbackError("unshare", 1),
  );
}

const isPossible = ({ source }: Tuple, { no_ipv6 }: Place): boolean =>
  source.family === 4 || no_ipv6 === null;

/** The address of the namespace that the calling thread is in. */
function netOf(sampler: ConntrackSampler, skcNet: FieldReport | undefined): bigint | null {
  if (skcNet?.offset == null) throw new Failure("skc_net: not known");
  const fd = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "TCP");
  try {
    return viewOf(sampler.copySock(fd)).getBigUint64(skcNet.offset, true);
  } finally {
    close(fd);
  }
}

function sampleEntry(
  sampler: ConntrackSampler,
  conntrack: Ctnetlink,
  entry: (typeof ENTRIES)[number],
  net: bigint | null,
): ConntrackSample {
  const { zone, ...plain } = entry;
  let errno = 0;
  const made = (of: NewEntry): Uint8Array | null =>
    sampler.entry(() => {
      const [answer] = conntrack.ask([newEntry(of)]);
      errno = typeof answer === "number" ? answer : -1;
    });
  let zoned: number | null = zone;
  let bytes = made(entry);
  if (errno !== 0) {
    // Without CONFIG_NF_CONNTRACK_ZONES the kernel refuses it.
    zoned = null;
    bytes = made(plain);
  }
  if (errno !== 0) throw refused("an entry", errno);
  conntrack.ask([deleteEntry(entry.orig, zoned ?? undefined)]);
  if (bytes === null) throw new SamplerDeaf(CONNTRACK_INSERT);
  return { bytes, orig: nfTuple(entry.orig), reply: nfTuple(entry.reply), net, zone: zoned };
}

const refused = (what: string, errno: number): Failure =>
  new Failure(`ctnetlink: ${what} is refused (${errnoName(errno)})`);

function tuple(
  protocol: number,
  from: readonly [string, number],
  to: readonly [string, number],
): Tuple {
  const end = ([address, port]: readonly [string, number]) =>
    ({ family: address.includes(":") ? 6 : 4, address, port }) as const;
  return { protocol, source: end(from), destination: end(to) };
}

const nfTuple = ({ protocol, source, destination }: Tuple): NfTuple => ({
  src: bytesOf(source.address),
  sport: source.port,
  dst: bytesOf(destination.address),
  dport: destination.port,
  protocol,
});
