/**
 * Learns where the members of struct nf_conn lie from entries that pass, once conntrack is there: it came after the start, or
 * no entry of the tool's own could be made. Then the programs are told.
 */
import { learnConntrack } from "../../guess/learn_conntrack.ts";
import type { Host } from "../../kernel/host.ts";
import { networkNamespaces } from "../../kernel/namespaces.ts";
import type { KernelObject } from "../../kernel/object.ts";
import {
  ConntrackCopySize,
  conntrackCopySize,
  readConntrackCopy,
  type ConntrackCopy,
  type ConntrackLayout,
} from "../../record/layout.gen.ts";
import { log } from "../../log.ts";
import { writeLayout } from "./layout.ts";

/** `unknown`: what the programs were told at the start. */
export class Learner {
  readonly #host: Host;
  readonly #object: KernelObject;
  readonly #unknown: ConntrackLayout;
  #copied = 0n;

  constructor(host: Host, object: KernelObject, unknown: ConntrackLayout) {
    this.#host = host;
    this.#object = object;
    this.#unknown = unknown;
  }

  /** Whether the programs have been told. To be called until then; one system call while nothing passes. */
  look(): boolean {
    const copied = this.#count();
    if (copied === this.#copied) return false;
    this.#copied = copied;
    const namespaces = networkNamespaces().map(({ netns }) => netns);
    const learned = learnConntrack({
      copies: this.#copies(),
      throughSkb: this.#unknown.through_skb === 1,
      namespaces: namespaces[0] === 0 ? null : new Set(namespaces),
    });
    if (learned === null) return false;
    log.debug(`struct nf_conn, from entries that passed: ${JSON.stringify(learned)}`);
    writeLayout(this.#host, this.#object, { ...this.#unknown, ...learned });
    return true;
  }

  #count(): bigint {
    const count = new BigUint64Array(1);
    this.#host.shim.mapLookup(this.#object.mapFd("conntrack_copied"), new Uint32Array(1), count);
    return count[0]!;
  }

  #copies(): ConntrackCopy[] {
    const bytes = new Uint8Array(conntrackCopySize);
    const map = this.#object.mapFd("conntrack_copies");
    return Array.from({ length: ConntrackCopySize.CONNTRACK_COPIES }, (_, n) => {
      this.#host.shim.mapLookup(map, Uint32Array.of(n), bytes);
      return readConntrackCopy(new DataView(bytes.buffer), 0);
    });
  }
}
