/**
 * On some virtual machines no tracepoint fires, for anybody, while a thread of the machine's own keeper is on the CPU. An interrupt
 * can end a connection then, which no tracer sees, so a test that waits for the close fails. A witness tells that apart from a fault: a
 * program of the tests' own on the same tracepoint, which knows each sock's last state and so what it was not told.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ARCHES, HOST } from "../../src/build/arch.ts";
import { gettid } from "../../src/kernel/libc.ts";
import { mapDumper, type Dumped } from "../../src/kernel/map_dump.ts";
import { readRows } from "../../src/kernel/proc_net.ts";
import { openShim, type Shim } from "../../src/kernel/shim.ts";

export interface Witness extends Disposable {
  /** Changes of state that were not told to it, since it was asked last. */
  silences(): number;
  /** The map of socks that are followed, for the witness' own test. */
  socks: number;
}

/** `null`: this kernel takes no such program. */
export function openWitness(): Witness | null {
  const shim = openShim();
  const object = shim.open(compiled(), "silence");
  try {
    shim.load(object);
    shim.rawTracepoint(shim.progFd(object, "on_state"), "inet_sock_set_state");
  } catch {
    shim.close(object);
    return null;
  }
  const words = shim.mapFd(object, "words");
  learnNamespace(shim, words);
  const socks = shim.mapFd(object, "socks");
  const dump = mapDumper(shim, socks, 8, FOLLOWED_BYTES);
  let told = 0;
  /** Socks that are not there any more, and whose end was not told: each counts once. */
  let gone = new Set<bigint>();
  return {
    socks,
    silences() {
      const counted = Number(read(shim, words, 2));
      const absent = withoutRow(dump());
      // A sock that ended between the two looks is not in the map any more.
      const still = socksOf(dump());
      const goneNow = new Set([...absent].filter((sk) => still.has(sk)));
      const more = counted - told + [...goneNow].filter((sk) => !gone.has(sk)).length;
      told = counted;
      gone = goneNow;
      return more;
    },
    [Symbol.dispose]: () => shim.close(object),
  };
}

// --- internal ---

/** struct followed. */
const FOLLOWED_BYTES = 8;

function compiled(): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), "silence-"));
  try {
    const out = join(directory, "silence.bpf.o");
    const source = join(import.meta.dir, "silence.bpf.c");
    const flags = `-O2 -g -target bpf -I/usr/include/${ARCHES[HOST].triplet}`.split(" ");
    const clang = Bun.spawnSync(["clang", ...flags, "-c", source, "-o", out], {
      stderr: "inherit",
    });
    if (!clang.success) throw new Error('clang is needed: run "bun run build", which installs it');
    return readFileSync(out);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The program takes the namespace of the first listener of this thread. */
function learnNamespace(shim: Shim, words: number): void {
  const thread = (BigInt(process.pid) << 32n) | BigInt(gettid());
  shim.mapUpdate(words, Uint32Array.of(1), BigUint64Array.of(thread));
  const listen = () =>
    Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }).stop(true);
  for (let n = 0; n < 100 && read(shim, words, 0) === 0n; n++) listen();
}

function read(shim: Shim, words: number, at: number): bigint {
  const value = new BigUint64Array(1);
  shim.mapLookup(words, Uint32Array.of(at), value);
  return value[0]!;
}

/** The socks that no table of the namespace has. */
function withoutRow(dumped: Dumped): Set<bigint> {
  const ports = new Set<string>();
  for (const table of ["tcp", "tcp6"])
    for (const row of readRows(`/proc/self/net/${table}`))
      ports.add(`${row.localPort} ${row.remotePort}`);
  const absent = (at: number, { view }: Dumped): boolean =>
    !ports.has(`${view.getUint16(at + 12, true)} ${view.getUint16(at + 14, false)}`);
  return socksOf(dumped, absent);
}

function socksOf(dumped: Dumped, meets = (_at: number, _of: Dumped): boolean => true): Set<bigint> {
  const socks = new Set<bigint>();
  for (let n = 0; n < dumped.count; n++) {
    const at = n * (8 + FOLLOWED_BYTES);
    if (meets(at, dumped)) socks.add(dumped.view.getBigUint64(at, true));
  }
  return socks;
}
