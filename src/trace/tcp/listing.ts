/**
 * The connections that were open before the trace. The handlers are attached by now, so whatever opens or closes
 * meanwhile is seen by them; the kernel side takes up only what they do not know.
 */
import { parsePortRange } from "../../conn/direction.ts";
import { EAGAIN } from "../../kernel/constants.ts";
import { close, read } from "../../kernel/libc.ts";
import type { AttachMode, Host } from "../../kernel/host.ts";
import {
  inNamespace,
  localPortRange,
  networkNamespaces,
  type Namespace,
} from "../../kernel/namespaces.ts";
import type { KernelObject } from "../../kernel/object.ts";
import { allPids, findOwners } from "../../kernel/owners.ts";
import { readRows } from "../../kernel/proc_net.ts";
import { KernelError } from "../../kernel/shim.ts";
import { ConnFact, EventKind, eventSize, readEvent, type Event } from "../../record/layout.gen.ts";
import { Census } from "./census.ts";
import { meanwhile } from "../stream/meanwhile.ts";
import { listIterator, listKprobes } from "../opening/programs.ts";
import { UdpDirections } from "../udp/directions.ts";

export interface ListingOf {
  host: Host;
  mode: AttachMode;
  object: KernelObject;
  /** The tool's own, as the kernel numbers it. */
  tgid: number;
  /** Empties the rings: the listing fills them. */
  drain: () => Event[];
}

export interface Listing {
  /** All that was drained meanwhile, and the connections found, not in order. */
  events: Event[];
  /** Why connections are missing, for the user. */
  notes: string[];
  udp: UdpDirections;
}

export function listOpen(of: ListingOf): Listing {
  const events: Event[] = [];
  const notes: string[] = [];
  const census = new Census();
  const udp = new UdpDirections();
  const keep = () => {
    for (const event of of.drain()) events.push(event);
  };
  {
    using walk = of.mode === "kprobe" ? byKprobes(of, notes) : byIterator(of, events, notes);
    for (const namespace of networkNamespaces()) {
      const entered = inNamespace(namespace, () => walkOne(namespace, { census, udp }, walk, keep));
      if (entered === null) notes.push(`network namespace ${namespace.netns} cannot be entered`);
    }
  }
  keep();
  return { events: describe(events, census, of.tgid, meanwhile(keep)), notes, udp };
}

// --- internal ---

/** Makes the kernel walk over the socks of the calling thread's namespace. */
interface Walk extends Disposable {
  /** Reading /proc/net/tcp is the walk itself, or nothing but reading. */
  walk(): void;
}

interface Books {
  census: Census;
  udp: UdpDirections;
}

function walkOne({ netns }: Namespace, books: Books, { walk }: Walk, keep: () => void): true {
  walk();
  const ephemeral = parsePortRange(localPortRange()) ?? undefined;
  books.census.add(netns, [...readRows("tcp", keep), ...readRows("tcp6", keep)], ephemeral);
  books.udp.add(netns, [...readRows("udp", keep), ...readRows("udp6", keep)], ephemeral);
  return true;
}

/** The kernel prints a sock: a probe there sees it. Attached only for so long, because others read these files too. */
function byKprobes({ host, object, tgid }: ListingOf, notes: string[]): Walk {
  const set = (value: number) =>
    host.shim.mapUpdate(object.mapFd("lister"), new Uint32Array(1), Uint32Array.of(value));
  const attached: Disposable[] = [];
  for (const { program, symbol } of listKprobes) {
    if (!object.loaded(program)) {
      notes.push(
        "connections older than the trace are not listed: this kernel refused the program",
      );
      break;
    }
    try {
      attached.push(host.kprobes!.attach(object.progFd(program), { symbol, retprobe: false }));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Without IPv6 there is no tcp6_seq_show, and nothing that it would print.
      if (symbol === "tcp6_seq_show") continue;
      notes.push(`connections older than the trace are not listed: no probe on ${symbol}`);
    }
  }
  set(tgid);
  return {
    walk: () => {},
    [Symbol.dispose]() {
      set(0);
      for (const attachment of attached) attachment[Symbol.dispose]();
    },
  };
}

/** Records per read: the kernel's buffer is 32 KiB. */
const ITERATOR_BUFFER = 1 << 16;

function byIterator({ host, object }: ListingOf, events: Event[], notes: string[]): Walk {
  const buffer = new Uint8Array(ITERATOR_BUFFER);
  const view = new DataView(buffer.buffer);
  if (!object.loaded(listIterator)) {
    notes.push(
      "connections older than the trace are not listed: with tracepoints that takes Linux 5.9 and its BTF",
    );
    return { walk: () => {}, [Symbol.dispose]: () => {} };
  }
  return {
    walk() {
      const fd = host.shim.iterator(object.progFd(listIterator));
      try {
        for (;;) {
          const bytes = read(fd, buffer);
          if (bytes === -EAGAIN) continue; // a million socks without a record
          if (bytes <= 0) break;
          for (let at = 0; at + eventSize <= bytes; at += eventSize) {
            events.push(readEvent(view, at));
          }
        }
      } finally {
        close(fd);
      }
    },
    [Symbol.dispose]: () => {},
  };
}

/** Also the closes of connections that ended before they were listed: their direction is as unknown. */
const isOlder = ({ kind, flags }: Event): boolean =>
  kind === EventKind.EVENT_OPEN ||
  (kind === EventKind.EVENT_CLOSE && (flags & ConnFact.FACT_UNSEEN_OPEN) !== 0);

/** `between` adds events while it runs. */
function describe(events: Event[], census: Census, tgid: number, between: () => void): Event[] {
  const older = events.filter(isOlder);
  // In a pid namespace /proc numbers processes otherwise than the events do.
  if (older.length > 0 && tgid === process.pid) {
    const inodes = new Set(older.map((event) => census.inodeOf(event)).filter((ino) => ino !== 0));
    census.setOwners(findOwners(inodes, allPids(), between));
  }
  return events.map((event) => (isOlder(event) ? census.describe(event) : event));
}
