/** The start on a host whose conntrack table is large: the table is asked for each open socket, and never listed. */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { IPPROTO_TCP } from "../../src/kernel/constants.ts";
import { Ctnetlink, ctnetlinkIsThere } from "../../src/kernel/ctnetlink.ts";
import { newEntry, turned, type NewEntry, type Tuple } from "../../src/kernel/ctnetlink_codec.ts";
import { inNamespace } from "../../src/kernel/namespaces.ts";
import { readRows } from "../../src/kernel/proc_net.ts";
import { addressOfRow } from "../../src/record/row_address.ts";
import { executable, prepare, type Native } from "./native.ts";
import { table } from "./table.ts";

const RUNS = 5;
const ENTRIES = 500_000;
/** Each connection has both ends here. */
const SOCKETS = 5_000;
/** Processes that hold them, each no more descriptors than a process gets without asking. */
const HOLDERS = 10;

const HOW = `On this machine, not emulated. ${SOCKETS} TCP sockets are open in one namespace. Of every second one the namespace's table has a
translated entry: the host's own table is asked for these as well. Time is from the start of the command until all sockets
are printed and it has ended.`;

/** In this order: the table fills. */
const cases = [
  { entries: 0, flags: [] },
  { entries: ENTRIES, flags: ["--no-nat"] },
  { entries: ENTRIES, flags: [] },
] as const;

export async function startWithEntries(): Promise<string> {
  if (!ctnetlinkIsThere()) throw new Error("this machine's kernel has no ctnetlink");
  await using native = await prepare();
  await using host = await inhabit(native);
  using _ = room();
  const rows: string[][] = [];
  let entries = 0;
  for (const { entries: wanted, flags } of cases) {
    if (entries < wanted) fill(host.pid, wanted);
    entries = wanted;
    const runs = Array.from({ length: RUNS }, () => once(host.pid, flags));
    const times = runs.map(({ ms }) => ms).toSorted((a, b) => a - b);
    const [least, median, most] = [times[0]!, times[RUNS >> 1]!, times.at(-1)!];
    rows.push([
      String(entries),
      flags.join(" ") || "-",
      `${median.toFixed(0)} (${least.toFixed(0)} to ${most.toFixed(0)}, ${RUNS} runs)`,
      runs.map(({ known }) => known).join(", "),
    ]);
  }
  const titles = ["entries", "flags", "ms", "sockets whose translation is known, by run"];
  return `${HOW}\n\n${table(titles, rows)}`;
}

// --- internal ---

const MAX = "/proc/sys/net/netfilter/nf_conntrack_max";

/** The limit is that of all namespaces together. */
function room(): Disposable {
  const before = readFileSync(MAX, "latin1");
  writeFileSync(MAX, String(Math.max(Number(before), 2 * ENTRIES)));
  return { [Symbol.dispose]: () => writeFileSync(MAX, before) };
}

interface Inhabited extends AsyncDisposable {
  /** Of a process in the namespace. */
  pid: number;
}

async function inhabit({ load }: Native): Promise<Inhabited> {
  const share = String(SOCKETS / 2 / HOLDERS);
  const first = await held([
    "unshare",
    "-n",
    "sh",
    "-c",
    `ip link set lo up; exec ${load} hold ${share}`,
  ]);
  const inside = ["nsenter", `--net=/proc/${first.pid}/ns/net`, load, "hold", share];
  const others = await Promise.all(Array.from({ length: HOLDERS - 1 }, () => held(inside)));
  return {
    pid: first.pid,
    async [Symbol.asyncDispose]() {
      for (const child of [first, ...others]) {
        await child.stdin.end();
        await child.exited;
      }
    },
  };
}

async function held(command: string[]) {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe" });
  await child.stdout.getReader().read();
  return child;
}

function fill(pid: number, count: number): void {
  const path = `/proc/${pid}/ns/net`;
  const made = inNamespace({ netns: statSync(path).ino, path }, () => {
    const opened = Ctnetlink.open();
    if (typeof opened === "number") throw new Error(`ctnetlink: errno ${-opened}`);
    using conntrack = opened;
    const make = (entries: NewEntry[]) =>
      conntrack.ask(entries.map(newEntry)).filter((answer) => answer === 0).length;
    const ofSockets = make(openTuples().flatMap(entriesOf));
    if (ofSockets !== (SOCKETS / 4) * 3) throw new Error(`${ofSockets} entries of sockets`);
    let others = 0;
    for (let from = ofSockets; from < count; from += MADE_AT_ONCE)
      others += make(
        Array.from({ length: Math.min(MADE_AT_ONCE, count - from) }, (_, n) =>
          plain(foreign(from + n)),
        ),
      );
    return ofSockets + others;
  });
  if (made !== count) throw new Error(`${made} entries were made, not ${count}`);
}

const MADE_AT_ONCE = 6_400;

/** Of the client's end. */
function openTuples(): Tuple[] {
  const rows = readRows("/proc/thread-self/net/tcp").filter(({ remotePort }) => remotePort !== 0);
  const listening = new Set(
    readRows("/proc/thread-self/net/tcp")
      .filter(({ remotePort }) => remotePort === 0)
      .map(({ local, localPort }) => `${local} ${localPort}`),
  );
  return rows
    .filter(({ remote, remotePort }) => listening.has(`${remote} ${remotePort}`))
    .map(({ local, localPort, remote, remotePort }) => ({
      protocol: IPPROTO_TCP,
      source: { ...addressOfRow(local), port: localPort },
      destination: { ...addressOfRow(remote), port: remotePort },
    }));
}

/** Of every second connection each end has an entry that leads elsewhere; of the others one tells of both ends. */
function entriesOf(tuple: Tuple, n: number): NewEntry[] {
  if (n % 2 === 0) return [plain(tuple)];
  const { source, destination } = tuple;
  const elsewhere = { family: 4, address: "192.0.2.1", port: 1024 + n } as const;
  return [
    { ...plain(tuple), reply: { ...tuple, source: elsewhere, destination: source } },
    { ...plain(tuple), orig: { ...tuple, source: elsewhere, destination }, reply: turned(tuple) },
  ];
}

const plain = (orig: Tuple): NewEntry => ({
  orig,
  reply: turned(orig),
  timeoutSeconds: 3600,
  status: ANSWERED,
});

/** IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED: without the last one it would be a change of what a new entry is. */
const ANSWERED = 0b1110;

/** One that no socket here has. */
const foreign = (n: number): Tuple => ({
  protocol: IPPROTO_TCP,
  source: { family: 4, address: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, port: 40_000 },
  destination: { family: 4, address: "198.51.100.1", port: 443 },
});

function once(pid: number, flags: readonly string[]): { ms: number; known: number } {
  const command = [executable, "trace", "--json", "--netns", `pid:${pid}`, "--events", "open"];
  const begun = performance.now();
  const child = Bun.spawnSync([...command, "--count", String(SOCKETS), ...flags], {
    stdin: "ignore",
    stderr: "pipe",
    timeout: 60_000,
  });
  const ms = performance.now() - begun;
  if (child.exitCode !== 0) throw new Error(child.stderr.toString());
  const lines = child.stdout.toString().split("\n");
  return { ms, known: lines.filter((line) => /"nat":(false|\{)/.test(line)).length };
}
