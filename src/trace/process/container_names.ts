/** The names of containers, as the files of the host tell them. Pure, but for the source. */
import type { ContainerFacts } from "../../kernel/container_files.ts";
import type { ConnEvent } from "../../conn/event.ts";

/** The members of an event that tell of its container; those that are not known are left out. */
export type ContainerMembers = Pick<ConnEvent, "containerName" | "image" | "pod" | "podNamespace">;

export interface ContainerSource {
  /** `null`: nothing is known of it, by now. */
  facts(id: string): ContainerFacts | null;
  /** Milliseconds of any clock that does not jump. */
  nowMs(): number;
}

/** An engine may write its files after the container's first connection. */
const ASK_AGAIN_MS = 5_000;
/** A container that has had no names for so long gets none. */
const GIVE_UP_MS = 60_000;
const REMEMBERED_MAX = 4096;

interface Known {
  members: ContainerMembers | null;
  firstMs: number;
  askedMs: number;
}

export class ContainerNames {
  readonly #source: ContainerSource;
  readonly #known = new Map<string, Known>();

  constructor(source: ContainerSource) {
    this.#source = source;
  }

  /** `null`: nothing is known. */
  of(container: string): ContainerMembers | null {
    const known = this.#known.get(container);
    if (known !== undefined && known.members !== null) return known.members;
    if (!isId.test(container)) return null;
    const nowMs = this.#source.nowMs();
    if (known !== undefined && !mayAsk(known, nowMs)) return null;
    if (this.#known.size >= REMEMBERED_MAX) this.#known.clear();
    const members = membersOf(this.#source.facts(container));
    this.#known.set(container, { members, firstMs: known?.firstMs ?? nowMs, askedMs: nowMs });
    return members;
  }
}

// --- internal ---

/** Others (LXC, systemd-nspawn) are named by their control group. */
const isId = /^[0-9a-f]{64}$/;

const mayAsk = ({ firstMs, askedMs }: Known, nowMs: number): boolean =>
  nowMs - askedMs >= ASK_AGAIN_MS && askedMs - firstMs < GIVE_UP_MS;

function membersOf(facts: ContainerFacts | null): ContainerMembers | null {
  if (facts === null) return null;
  const { name, image, pod, podNamespace } = facts;
  return {
    ...(name !== undefined && { containerName: name }),
    ...(image !== undefined && { image }),
    ...(pod !== undefined && { pod }),
    ...(podNamespace !== undefined && { podNamespace }),
  };
}
