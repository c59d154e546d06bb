/** The ids of a trace's lines: each is of one connection, whose lines stand between its first and its last. */
import type { Event } from "./tracer.ts";

export class Ids {
  /** Faults, in words; empty in a right trace. */
  readonly wrong: string[] = [];
  readonly #ends = new Map<string, { of: string; over: boolean }>();

  see(event: Event): void {
    const { id, event: kind } = event;
    // Without its name, which is known later than the address.
    const ends = [event.local, event.remote].map(({ address, port }) => [address, port]);
    const of = JSON.stringify([event.protocol, event.netns, ...ends]);
    const known = this.#ends.get(id);
    // A flow of UDP goes on.
    const isFailed = kind === "fail" && event.protocol === "tcp";
    const first = isFailed || ["connect", "accept", "open", "begin"].includes(kind);
    if (!/^[0-9a-f]{20}$/.test(id)) this.wrong.push(`${id} of a ${kind} is no id`);
    else if (known === undefined) {
      if (!first && kind !== "close") this.wrong.push(`${id} begins with a ${kind} of ${of}`);
    } else if (known.of !== of) this.wrong.push(`${id} is of ${known.of} and of ${of}`);
    else if (known.over) this.wrong.push(`${id} goes on with a ${kind} when it is over: ${of}`);
    else if (first) this.wrong.push(`${id} begins again with a ${kind} of ${of}`);
    this.#ends.set(id, { of, over: kind === "close" || isFailed });
  }
}
