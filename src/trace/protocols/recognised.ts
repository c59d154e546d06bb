/** The recogniser of a connection or a flow, and the members of an event that it fills. */
import type { TracedEvent } from "../../conn/identity.ts";
import { Recognition, type Look, type Outcome } from "../../protocols/recognition.ts";
import type { Transport } from "../../protocols/table.ts";
import type { Application } from "../../protocols/stack.ts";
import type { Describing } from "./working.ts";

export class Recognised implements Describing {
  readonly #recognition: Recognition;

  constructor(transport: Transport = "tcp") {
    this.#recognition = new Recognition(transport);
  }

  get application(): Application | null {
    return this.#recognition.application;
  }

  get outcome(): Outcome {
    return this.#recognition.outcome;
  }

  see(look: Look): boolean {
    return this.#recognition.see(look);
  }

  get tellsMore(): boolean {
    const { tls, dns, quic } = this.#recognition;
    return tls !== null || dns !== null || quic !== null;
  }

  describe(shown: TracedEvent): void {
    const { application, tls, dns, quic } = this.#recognition;
    shown.application = application;
    shown.tls = tls;
    if (dns !== null) shown.dns = dns;
    if (quic !== null) shown.quic = quic;
  }
}
