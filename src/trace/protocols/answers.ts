/**
 * Names of addresses, as name servers of UDP port 53 gave them to programs of this host. An answer counts only in the flow
 * in which its question was seen to leave, and only in that network namespace. Pure.
 */
import { addressText } from "../../record/address.ts";
import { ConnDirection, DatagramSize, type DatagramLook } from "../../record/layout.gen.ts";
import { readAnswer, readQuery } from "../../protocols/dns_answer.ts";

/** A flow to a name server. */
interface Asked {
  /** The questions whose answers are to come, `id name`. */
  questions: Set<string>;
  /** The first bytes of the datagram that is being told of, of each direction. */
  sent: Uint8Array;
  received: Uint8Array;
}

/** Flows, and names, that are remembered: the oldest go first. */
const FLOWS_MOST = 1024;
const NAMES_MOST = 16_384;
/** A socket asks for an address of each family; a flow of many questions is looked at no more by then. */
const QUESTIONS_MOST = 4;

export class Answers {
  readonly #flows = new Map<string, Asked>();
  readonly #names = new Map<string, string>();

  /** `flow`: the key of the flow of this look. The bytes are copied. */
  see(flow: string, look: DatagramLook): void {
    if (
      look.ends.dport !== DatagramSize.DNS_PORT ||
      look.direction !== ConnDirection.DIRECTION_OUTGOING
    )
      return;
    const asked = this.#flow(flow);
    const which = look.sent === 1 ? "sent" : "received";
    const before = look.offset === 0 ? NOTHING : asked[which];
    // A piece is missing.
    if (before.length !== look.offset) return;
    const bytes = new Uint8Array(look.offset + look.got);
    bytes.set(before);
    bytes.set(look.bytes.subarray(0, look.got), look.offset);
    asked[which] = bytes;
    if (which === "sent") ask(asked, bytes);
    else this.#answer(asked, bytes, look.netns);
    if (look.got === look.len) asked[which] = NOTHING;
  }

  /** The last name under which this address was found; `null`: nobody was seen to look for it. */
  nameOf(netns: number, address: string): string | null {
    return this.#names.get(`${netns} ${address}`) ?? null;
  }

  #flow(key: string): Asked {
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    const asked: Asked = { questions: new Set(), sent: NOTHING, received: NOTHING };
    this.#flows.set(key, asked);
    if (this.#flows.size > FLOWS_MOST) this.#flows.delete(this.#flows.keys().next().value!);
    return asked;
  }

  #answer({ questions }: Asked, bytes: Uint8Array, netns: number): void {
    const answer = readAnswer(bytes);
    if (answer === null || !questions.has(keyOf(answer))) return;
    for (const of of answer.addresses) {
      const { address } = addressText(of, of.length === 4 ? 4 : 6);
      const key = `${netns} ${address}`;
      // Anew, so that the oldest come first.
      this.#names.delete(key);
      this.#names.set(key, answer.name);
    }
    while (this.#names.size > NAMES_MOST) this.#names.delete(this.#names.keys().next().value!);
  }
}

// --- internal ---

const NOTHING = new Uint8Array();

const keyOf = ({ id, name }: { id: number; name: string }): string => `${id} ${name}`;

function ask({ questions }: Asked, bytes: Uint8Array): void {
  const query = readQuery(bytes);
  if (query !== null && questions.size < QUESTIONS_MOST) questions.add(keyOf(query));
}
