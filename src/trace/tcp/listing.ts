/**
 * Lists the connections that were open before the trace. The handlers are attached by now, so whatever opens or closes
 * meanwhile is seen by them; the kernel side takes up only what they do not know.
 */
import { eachRecord } from "../../kernel/iterator.ts";
import type { Table } from "../../kernel/sockstat.ts";
import { KernelError } from "../../kernel/shim.ts";
import { eventSize, readEvent, type Event } from "../../record/layout.gen.ts";
import { tellRefusal } from "../refusal.ts";
import type { Opened, Part, Stocktaking } from "../part.ts";

/** Attached only while the tool reads /proc/net/tcp. */
const PROBES = [
  { program: "on_tcp4_seq_show", held: true, symbol: "tcp4_seq_show" },
  { program: "on_tcp6_seq_show", held: true, symbol: "tcp6_seq_show" },
] as const;

/** The same with tracepoints. */
const ITERATOR = { program: "list_tcp", held: true } as const;

const OF_LISTING = {
  name: "listing",
  without: "connections older than the trace are not listed",
} as const;

export const listing = (): Part => ({
  ...OF_LISTING,
  refusal: (mode) =>
    mode === "tracepoint" ? "with tracepoints that takes Linux 5.9 and its BTF" : null,
  points: ({ mode }) => (mode === "kprobe" ? PROBES : [ITERATOR]),
  takesStock: (on) => (on.mode === "kprobe" ? byKprobes(on) : byIterator(on)),
});

// --- internal ---

/** The kernel prints a sock: a probe there sees it. Attached only for so long, because others read these files too. */
function byKprobes(on: Opened): Stocktaking {
  const { host, object, tgid } = on;
  const set = (value: number) =>
    host.shim.mapUpdate(object.mapFd("lister"), new Uint32Array(1), Uint32Array.of(value));
  let attached: Disposable[] | null = null;
  return {
    // TCP's own stocktaking reads the files, and that is the walk.
    visit({ tables }) {
      if (attached !== null || !hasTcp(tables)) return;
      attached = attach(on);
      set(tgid);
    },
    [Symbol.dispose]() {
      if (attached === null) return;
      set(0);
      for (const attachment of attached) attachment[Symbol.dispose]();
    },
  };
}

function attach({ host, object, notes }: Opened): Disposable[] {
  const attached: Disposable[] = [];
  for (const { program, symbol } of PROBES) {
    try {
      attached.push(host.kprobes!.attach(object.progFd(program), { symbol, retprobe: false }));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Without IPv6 there is no tcp6_seq_show, and nothing that it would print.
      if (symbol === "tcp6_seq_show") continue;
      tellRefusal(OF_LISTING, `no probe on ${symbol}`, notes);
    }
  }
  return attached;
}

const hasTcp = (tables: ReadonlySet<Table>): boolean => tables.has("tcp") || tables.has("tcp6");

function byIterator({ host, object, notes }: Opened): Stocktaking {
  const found: Event[] = [];
  const each = (view: DataView, at: number) => void found.push(readEvent(view, at));
  return {
    found,
    visit({ tables }) {
      if (!hasTcp(tables)) return;
      if (!eachRecord(host.shim, object.progFd(ITERATOR.program), eventSize, each))
        tellRefusal(OF_LISTING, "the kernel's walk over its sockets broke off", notes);
    },
  };
}
