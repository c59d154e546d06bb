/** The recogniser of a connection, and the members of an event that it fills. */
import type { TracedEvent } from "../../conn/identity.ts";
import { Recognition, type Look } from "../../protocols/recognition.ts";
import type { Describing } from "./working.ts";

export class Recognised implements Describing {
  readonly #recognition = new Recognition();

  get known(): boolean {
    return this.#recognition.outcome === "known";
  }

  see(look: Look): boolean {
    return this.#recognition.see(look);
  }

  describe(shown: TracedEvent): void {
    const { application, tls } = this.#recognition;
    shown.application = application;
    shown.tls = tls;
  }
}
