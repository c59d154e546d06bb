/** The kernel's side of UDP flows: its two maps. */
import type { AttachMode } from "../kernel/host.ts";
import type { KernelObject } from "../kernel/object.ts";
import type { Shim } from "../kernel/shim.ts";
import {
  flowKeySize,
  flowSize,
  readFlow,
  writeFlowKey,
  type Event,
  type Flow,
} from "../record/layout.gen.ts";
import type { FlowSource } from "./flows.ts";

export function flowSource(shim: Shim, object: KernelObject, mode: AttachMode): FlowSource {
  const socks = mapReader(shim, object.mapFd("udp_socks"), 8);
  const flows = mapReader(shim, object.mapFd("udp_flows"), flowKeySize);
  const flowsFd = object.mapFd("udp_flows");
  const key = new Uint8Array(flowKeySize);
  const value = new Uint8Array(flowSize);

  return {
    // In this order: a flow whose socket is missing belongs to one that has ended.
    dump: () => [...flows(), ...socks()],
    take(flow) {
      writeKey(key, flow);
      return shim.mapTake(flowsFd, key, value) ? readFlow(new DataView(value.buffer), 0) : null;
    },
    lookAfter(firsts) {
      // Only the kprobes see the end of a socket themselves.
      if (mode === "kprobe") return;
      const program = object.progFd("run_udp_gone");
      for (const { sk, conn } of firsts)
        shim.testRun(program, BigUint64Array.of(sk, BigInt(conn.conn_stats.cookie)));
    },
  };
}

// --- internal ---

function writeKey(key: Uint8Array, { sk, conn: { tup, conn_stats } }: Event): void {
  const { saddr_h, saddr_l, daddr_h, daddr_l, sport, dport, metadata } = tup;
  const ends = { saddr_h, saddr_l, daddr_h, daddr_l, sport, dport, metadata };
  writeFlowKey(new DataView(key.buffer), 0, { ...ends, sk, cookie: conn_stats.cookie, zero: 0 });
}

/** Entries that a read begins with; a map that holds more is read again into twice the room. */
const FIRST_ENTRIES = 256;

function mapReader(shim: Shim, fd: number, keySize: number): () => Flow[] {
  const entrySize = keySize + flowSize;
  let buffer = new Uint8Array(FIRST_ENTRIES * entrySize);
  return () => {
    for (;;) {
      const count = shim.mapDump(fd, keySize, flowSize, buffer);
      if (count * entrySize < buffer.length) return read(count);
      buffer = new Uint8Array(2 * buffer.length);
    }
  };

  function read(count: number): Flow[] {
    const view = new DataView(buffer.buffer);
    return Array.from({ length: count }, (_, i) => readFlow(view, i * entrySize + keySize));
  }
}
