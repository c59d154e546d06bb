/**
 * The control group and the container that the process of an event was in. The kernel side tells the group's id in the
 * hierarchy of version 2; where all processes are at its root, because those of version 1 are in use, /proc tells of
 * processes that are still there. Pure, but for the source.
 */
import { Numbers } from "../../record/numbers.ts";
import { containerOf } from "../../conn/container.ts";
import {
  LINE_CONDITIONS_EVERYBODY,
  LINE_CONDITIONS_GROUPS,
  type OwnerView,
} from "../../record/layout.gen.ts";
import { GroupTable } from "./group_table.ts";
import { endOf, wasThere, type SeenProcess } from "./ticks.ts";

export interface Group {
  cgroup: string | null;
  container: string | null;
}

/** How long a process has been there. */
export interface Life {
  /** When it began, nanoseconds of CLOCK_MONOTONIC, to 10 ms. */
  startedNs: bigint;
  /** On its way out: then hierarchies of version 1, and its memory, have let go of it. */
  exiting: boolean;
}

/** A process as it is now. */
export interface Placed extends Life {
  /** Its path in the hierarchy of version 2, and that in the most telling one of version 1. */
  v2: string | null;
  v1: string | null;
}

/** A process as /proc has told of it. */
interface Told {
  startedNs: bigint;
  group: Group;
}

export const LATER = Symbol("later");

export interface GroupSource {
  /** Whether there are hierarchies of version 1. */
  readonly mixed: boolean;
  /**
   * Path of the group with this id. `null`: it is gone, or not seen from here; `undefined`: this host does not tell;
   * `LATER`: to find out would take too much time just now.
   */
  pathOf(id: bigint): string | null | undefined | typeof LATER;
  /** `null`: there is no such process any more. */
  process(pid: number): Placed | null;
  /** CLOCK_MONOTONIC in nanoseconds. */
  nowNs(): bigint;
}

/** The members of an owner that are needed. */
export type Owned = Pick<OwnerView, "owned_at" | "cgroup_id" | "cgroup_id_number">;

/** Ids of the kernel are given one after the other: no host has made so many groups. Still exact as a number. */
const FIRST_NUMBERED = 0x1f_ffff * 2 ** 32;
/** Groups without a number have slower lines. */
const NUMBERED_MAX = 65_536;

const UNKNOWN: Group = { cgroup: null, container: null };

/** As many are remembered of each kind; beyond it they are asked for anew. */
const REMEMBERED_MAX = 65_536;

export class Groups {
  readonly #source: GroupSource;
  /** By id, which is not given again. `null`: /proc is to be asked. */
  readonly #byId = new Map<number, Group | null>();
  /** Only for one poll: a process may be moved, and its pid used again. */
  readonly #byPid = new Map<number, Told | null>();
  /** Answers of /proc by process and moment: a close has the process and the moment of its connect, and the process may be gone by then. */
  readonly #byMoment = new Map<number, Group>();
  /** The newest answer of each process that the shim was told of: the moments of records that it took are not known here. */
  readonly #byProcess = new Map<number, Told & SeenProcess>();
  /** Answers of this poll, for the shim. */
  readonly table = new GroupTable();
  /** The newest id that tells nothing: on most hosts that have some, all processes have it. */
  #everybody = 0n;

  /** Groups that have a number, which a record may hold in place of an id. A number keeps its group, as kept lines hold the text. */
  readonly #numbers = new Numbers<Group>(0, NUMBERED_MAX - 1);

  #lastTold = -1;

  constructor(source: GroupSource) {
    this.#source = source;
  }

  /** To be called before each drain: later questions are about events that were drained later. */
  renew(): void {
    if (this.#byPid.size > 0) this.#byPid.clear();
    this.table.clear();
  }

  /** Records of processes that are in the table need no look. `tableAt`: its address. */
  conditions(to: DataView, tableAt: bigint): void {
    to.setBigUint64(LINE_CONDITIONS_GROUPS, tableAt, true);
    to.setBigUint64(LINE_CONDITIONS_EVERYBODY, this.#everybody, true);
  }

  /** Whether the group of whoever has this id follows from it alone, as far as is known by now. */
  tells(id: number): boolean {
    // A busy process asks again and again.
    if (id === this.#lastTold || id >= FIRST_NUMBERED) return true;
    const group = this.#byId.get(id);
    if (group === undefined || group === null) return false;
    this.#lastTold = id;
    return true;
  }

  /**
   * The id that the record of this process may hold, so that it tells by itself what /proc tells of the process when it was
   * noted. `null`: there is none, or /proc is not to be asked, as far as is known by now.
   */
  numberedId(pid: number, ownedAt: number, id: number): number | null {
    if (id !== 0 && this.#byId.get(id) !== null) return null;
    const group = this.#ofProcess(pid, ownedAt);
    const number = this.#numbers.give(group, group.cgroup);
    if (number === null) return null;
    const given = FIRST_NUMBERED + number;
    const told = this.#byPid.get(pid);
    // An answer of this poll: other records of the process have the same.
    if (told?.group === group && group !== UNKNOWN) this.#share(pid, told, given);
    return given;
  }

  #share(pid: number, told: Told, id: number): void {
    const seenNs = this.#source.nowNs();
    this.table.set(pid, told.startedNs, seenNs, id);
    remember(this.#byProcess, pid, { ...told, seenNs });
  }

  /** Of the process `pid` when it was noted. */
  of(pid: number | null, owner: Owned): Group {
    if (pid === null) return UNKNOWN;
    const id = owner.cgroup_id_number;
    if (id >= FIRST_NUMBERED) return this.#numbers.of(id - FIRST_NUMBERED) ?? UNKNOWN;
    let group = id === 0 ? null : this.#byId.get(id);
    if (group === undefined) group = this.#learn(id, owner.cgroup_id);
    return group ?? this.#ofProcess(pid, owner.owned_at);
  }

  #learn(key: number, id: bigint): Group | null {
    const path = this.#source.pathOf(id);
    if (path === LATER) return UNKNOWN;
    const isEverybody = path === undefined || (this.#source.mixed && path === "/");
    if (isEverybody) this.#everybody = id;
    const group = isEverybody ? null : groupAt(path);
    remember(this.#byId, key, group);
    return group;
  }

  #ofProcess(pid: number, ownedAt: number): Group {
    const moment = pid * 2 ** 31 + (ownedAt & 0x7fff_ffff);
    const known = this.#byMoment.get(moment) ?? this.#look(pid, ownedAt);
    if (known !== UNKNOWN) remember(this.#byMoment, moment, known);
    return known;
  }

  #look(pid: number, ownedAt: number): Group {
    let found = this.#byPid.get(pid);
    if (found === undefined) {
      const placed = this.#source.process(pid);
      found = placed && {
        startedNs: placed.startedNs,
        group: groupAt(pathOf(placed, this.#source.mixed)),
      };
      this.#byPid.set(pid, found);
    }
    const end = endOf(ownedAt, this.#source.nowNs());
    // One that began later has only got its number.
    if (found !== null && found.startedNs <= end && found.group !== UNKNOWN) return found.group;
    // It is gone, or on its way out, and its group has let go of it.
    const seen = this.#byProcess.get(pid);
    return seen !== undefined && wasThere(seen, end) ? seen.group : UNKNOWN;
  }
}

// --- internal ---

function remember<T>(known: Map<number, T>, key: number, value: T): void {
  if (known.size >= REMEMBERED_MAX) known.clear();
  known.set(key, value);
}

const groupAt = (cgroup: string | null): Group =>
  cgroup === null ? UNKNOWN : { cgroup, container: containerOf(cgroup) };

function pathOf({ v2, v1, exiting }: Placed, mixed: boolean): string | null {
  if (v2 !== null && (v2 !== "/" || !mixed)) return v2;
  return exiting ? null : (v1 ?? v2);
}
