/** The kernel's side of UDP flows: its two maps. */
import type { AttachMode } from "../../kernel/host.ts";
import { mapDumper, type Dumped } from "../../kernel/map_dump.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import {
  EVENT_ENDED_AT,
  EventView,
  traceEntries,
  flowKeySize,
  flowSize,
  readFlow,
  writeFlowKey,
  type Event,
  type Flow,
} from "../../record/layout.gen.ts";
import type { DumpedFlow, FlowSource } from "./flows.ts";

/** `most`: entries of each map. `between` is called all the time: ten thousands of flows take longer than the rings have room for. */
export function flowSource(
  shim: Shim,
  object: KernelObject,
  mode: AttachMode,
  between: () => void = () => {},
  most: number = traceEntries.udp_flows,
): FlowSource {
  const socks = mapReader(shim, object.mapFd("udp_socks"), 8, most);
  const flows = mapReader(shim, object.mapFd("udp_flows"), flowKeySize, most);
  const flowsFd = object.mapFd("udp_flows");
  const key = new Uint8Array(flowKeySize);
  const value = new Uint8Array(flowSize);

  return {
    // In this order: a flow whose socket is missing belongs to one that has ended.
    *dump(sinceNs = 0n) {
      for (const read of [flows, socks]) {
        for (const flow of read(Number(sinceNs))) {
          between();
          if (flow !== null) yield flow;
        }
      }
    },
    take(flow) {
      between();
      writeKey(key, flow);
      return shim.mapTake(flowsFd, key, value) ? readFlow(new DataView(value.buffer), 0) : null;
    },
    lookAfter(firsts) {
      // Only the kprobes see the end of a socket themselves.
      if (mode === "kprobe") return;
      const args = new BigUint64Array(2);
      for (const { sk, cookie } of firsts) {
        between();
        args[0] = sk;
        args[1] = BigInt(cookie);
        shim.testRun(object.progFd("run_udp_gone"), args);
      }
    },
  };
}

// --- internal ---

/** The last datagram of the flow at `at`, as a number. */
const lastAt = (view: DataView, at: number): number =>
  view.getUint32(at + EVENT_ENDED_AT, true) +
  view.getUint32(at + EVENT_ENDED_AT + 4, true) * 2 ** 32;

function writeKey(key: Uint8Array, { sk, cookie, ends }: Readonly<Event>): void {
  const { saddr_h, saddr_l, daddr_h, daddr_l, sport, dport, metadata } = ends;
  const from = { saddr_h, saddr_l, daddr_h, daddr_l, sport, dport, metadata };
  writeFlowKey(new DataView(key.buffer), 0, { ...from, sk, cookie, zero: 0 });
}

/** No function is made for each: there are tens of thousands. */
class FlowAt implements DumpedFlow {
  readonly event: EventView;

  constructor(view: DataView, at: number) {
    this.event = new EventView(view, at);
  }

  copy(): Flow {
    return readFlow(this.event.view, this.event.p);
  }
}

/** A flow whose last datagram is older than asked for is not read: null stands for it. */
function mapReader(
  shim: Shim,
  fd: number,
  keySize: number,
  most: number,
): (sinceNs: number) => Iterable<DumpedFlow | null> {
  const entrySize = keySize + flowSize;
  const dump = mapDumper(shim, fd, keySize, flowSize, most);
  return (sinceNs) => read(dump(), sinceNs);

  function* read({ count, view }: Dumped, sinceNs: number): Iterable<DumpedFlow | null> {
    for (let i = 0; i < count; i++) {
      const at = i * entrySize + keySize;
      yield sinceNs > 0 && lastAt(view, at) < sinceNs ? null : new FlowAt(view, at);
    }
  }
}
