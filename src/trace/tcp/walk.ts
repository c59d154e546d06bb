/** The sockets of all network namespaces that processes hold: the kernel walks once over the files of all tasks. */
import { fstatSync } from "node:fs";
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM } from "../../kernel/constants.ts";
import { eachRecordInPieces } from "../../kernel/iterator.ts";
import { bind, close, socket } from "../../kernel/libc.ts";
import { sockaddr } from "../../kernel/sockaddr.ts";
import { EventKind, heldSockSize, HeldSockView } from "../../record/layout.gen.ts";
import { Held } from "../held.ts";
import type { Opened, Part, Pieces } from "../part.ts";
import { RECORDS_PER_READ, visitingInPieces } from "./visit.ts";
import { prepareWalk } from "./walk_needs.ts";

const ITERATOR = { program: "list_held", held: true } as const;

export function walk(): Part {
  let prepared = false;
  return {
    name: "walk",
    without:
      "sockets older than the trace are listed one network namespace after the other, which takes longer",
    prepare(host) {
      const values = prepareWalk(host);
      // A reason is no refusal here: without the walk the start is slower and no more.
      prepared = typeof values !== "string";
      return typeof values === "string" ? {} : values;
    },
    points: ({ newer }) => (prepared && newer ? [ITERATOR] : []),
    walk: (on) => (on.object.loaded(ITERATOR.program) ? walked(on) : null),
  };
}

// --- internal ---

/** null: the walk does not find a socket of the tool itself. */
function* walked(on: Opened): Pieces<Held | null> {
  const fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  try {
    if (fd < 0 || bind(fd, sockaddr("127.0.0.1", 0)) < 0) return null;
    const own = fstatSync(fd).ino;
    const records = yield* recordsOf(on);
    const found = records.find((record) => record.ino_number === own);
    if (found !== undefined) return new Held(records, found.tgid === on.tgid);
    forget(on, records);
    return null;
  } finally {
    close(fd);
  }
}

/** The walk is not used: the connections that it has taken up are to be listed after it. */
function forget({ host, object }: Opened, records: readonly HeldSockView[]): void {
  const conns = object.mapFd("conns");
  for (const { event } of records)
    if (event.kind === EventKind.EVENT_OPEN)
      host.shim.mapDelete(conns, BigUint64Array.of(event.sk));
}

/** A walk that breaks off leaves sockets that sockstat counts: their tables are read then. */
function* recordsOf(on: Opened): Pieces<HeldSockView[]> {
  const { host, object } = on;
  const records: HeldSockView[] = [];
  let kept = new DataView(new ArrayBuffer(0));
  let used = 0;
  const each = (view: DataView, at: number) => {
    if (new HeldSockView(view, at).ino_number === 0) return;
    if (used + heldSockSize > kept.byteLength) {
      kept = new DataView(new ArrayBuffer(KEPT_AT_ONCE * heldSockSize));
      used = 0;
    }
    copy(view, at, kept, used);
    records.push(new HeldSockView(kept, used));
    used += heldSockSize;
  };
  const program = object.progFd(ITERATOR.program);
  const walk = eachRecordInPieces(host.shim, program, heldSockSize, each, RECORDS_PER_READ);
  yield* visitingInPieces(on, walk);
  return records;
}

/** Records whose bytes lie in one buffer: one each costs more than the record. */
const KEPT_AT_ONCE = 256;

function copy(from: DataView, at: number, to: DataView, place: number): void {
  const bytes = new Uint8Array(from.buffer, from.byteOffset + at, heldSockSize);
  new Uint8Array(to.buffer, place, heldSockSize).set(bytes);
}
