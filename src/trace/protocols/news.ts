/**
 * Events of their own that tell a connection's protocol once it is known, where they are asked for. Each has what was known
 * of the connection when it began. Pure.
 */
import type { EventKind as ShownKind } from "../../conn/event.ts";
import type { Application } from "../../protocols/stack.ts";
import { EventKind, type Event } from "../../record/layout.gen.ts";
import { isLast, plainEvent } from "../event.ts";
import type { Show } from "../part.ts";
import type { Stream } from "./streams.ts";

interface Speaking {
  readonly application: Application | null;
}

/** Connections whose close does not come (they are filtered out): the oldest go first. */
const MOST = 65_536;

export class News<R extends Speaking> {
  readonly #most: number;
  /** By cookie, the event that told of the connection's beginning. */
  readonly #begun = new Map<number, Event>();
  /** Looked at since what is known of them was told. */
  readonly #looked = new Set<Stream<R>>();
  readonly #told = new WeakMap<Stream<R>, Application>();

  constructor(most = MOST) {
    this.#most = most;
  }

  /** An event of TCP is about to be shown, perhaps one of those made here. */
  shown(event: Event): void {
    if (isLast(event.kind)) {
      this.#begun.delete(event.cookie);
      return;
    }
    if (event.kind === EventKind.EVENT_PAYLOAD) return;
    this.#begun.set(event.cookie, plainEvent(event));
    if (this.#begun.size > this.#most) this.#begun.delete(this.#begun.keys().next().value!);
  }

  looked(stream: Stream<R>): void {
    this.#looked.add(stream);
    if (this.#looked.size > this.#most) this.#looked.delete(this.#looked.keys().next().value!);
  }

  /** Before the close of this connection: what is known of it and was not told; `null`: nothing. */
  brings(stream: Stream<R>): readonly [Event, ShownKind] | null {
    const { application } = stream.recogniser;
    const event = this.#begun.get(stream.cookie);
    this.#looked.delete(stream);
    if (event === undefined || application === null) return null;
    if (this.#told.get(stream) === application) return null;
    this.#told.set(stream, application);
    // Of a kind that no other part takes for the beginning.
    const { EVENT_PAYLOAD: kind } = EventKind;
    return [{ ...event, kind, timestamp: stream.lookedAt }, "protocol"];
  }

  /** All records of a poll are applied. A connection that is not accepted yet waits for its accept. */
  tell(show: Show): void {
    for (const stream of this.#looked) {
      if (stream.recogniser.application === null) this.#looked.delete(stream);
      if (!this.#begun.has(stream.cookie)) continue;
      const news = this.brings(stream);
      if (news !== null) show(...news);
    }
  }
}

// --- internal ---
