/** Events of their own that tell a flow's protocol once it is known, where they are asked for; see news.ts. Pure. */
import type { EventKind as ShownKind } from "../../conn/event.ts";
import type { Application } from "../../protocols/stack.ts";
import { EventKind, type Event } from "../../record/layout.gen.ts";
import { plainEvent } from "../event.ts";
import type { Show } from "../part.ts";

interface Flow {
  /** The event that told of its beginning; null: none did yet. */
  begun: Event | null;
  /** Known by now, and told. */
  application: Application | null;
  told: Application | null;
  lookedAt: bigint;
}

/** Flows whose close does not come (they are filtered out): the oldest go first. */
const MOST = 16_384;

export class FlowNews {
  readonly #byKey = new Map<string, Flow>();
  /** Keys of flows of which something may be told. */
  readonly #fresh = new Set<string>();

  /** The beginning of the flow is about to be shown. */
  begun(key: string, event: Event): void {
    this.#of(key).begun = plainEvent(event);
    this.#fresh.add(key);
  }

  looked(key: string, application: Application | null, lookedAt: bigint): void {
    const flow = this.#of(key);
    flow.application = application;
    flow.lookedAt = lookedAt;
    this.#fresh.add(key);
  }

  /** Before the close of this flow: what is known of it and was not told; `null`: nothing. */
  brings(key: string): readonly [Event, ShownKind] | null {
    const flow = this.#byKey.get(key);
    if (flow === undefined || flow.begun === null || flow.application === flow.told) return null;
    flow.told = flow.application;
    // Of a kind that no other part takes for the beginning.
    const { EVENT_DATAGRAM: kind } = EventKind;
    return [{ ...flow.begun, kind, timestamp: flow.lookedAt }, "protocol"];
  }

  /** All records of a poll are applied. */
  tell(show: Show): void {
    for (const key of this.#fresh) {
      const news = this.brings(key);
      if (news !== null) show(...news);
    }
    this.#fresh.clear();
  }

  delete(key: string): void {
    this.#byKey.delete(key);
    this.#fresh.delete(key);
  }

  // --- internal ---

  #of(key: string): Flow {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const flow: Flow = { begun: null, application: null, told: null, lookedAt: 0n };
    this.#byKey.set(key, flow);
    if (this.#byKey.size > MOST) this.#byKey.delete(this.#byKey.keys().next().value!);
    return flow;
  }
}
