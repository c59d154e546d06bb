/**
 * Numbers of translations that many connections have in common, as that to the backend of a service. A record has room for a
 * number, in `legs`, which is used for UDP alone otherwise: so it tells its translation itself. A number keeps its
 * translation, because kept lines hold the text. Pure.
 */
import type { Translation } from "../../conn/event.ts";
import {
  ConnMetadata,
  EVENT_ENDS_METADATA,
  EVENT_LEGS,
  type Event,
} from "../../record/layout.gen.ts";
import { Numbers } from "../../record/numbers.ts";

/** In place of a number: the translation has none. */
export const NO_NUMBER = 0;

/** So many connections have a translation in common before it gets a number: ports that a gateway chooses get none. */
const COMMON = 4;

/** Translations without a number that are counted; beyond it they are counted anew. */
const COUNTED_MAX = 1024;

export class TranslationNumbers {
  readonly #numbers = new Numbers<Translation>(NO_NUMBER + 1);
  readonly #counts = new Map<string, number>();

  /** To be called once for each connection. */
  numberOf(translation: Translation): number {
    const text = textOf(translation);
    const known = this.#numbers.known(text);
    if (known !== undefined) return known;
    if (this.#numbers.isFull) return NO_NUMBER;
    const count = (this.#counts.get(text) ?? 0) + 1;
    if (count < COMMON) {
      if (this.#counts.size >= COUNTED_MAX) this.#counts.clear();
      this.#counts.set(text, count);
      return NO_NUMBER;
    }
    this.#counts.delete(text);
    return this.#numbers.give(frozen(translation), text) ?? NO_NUMBER;
  }

  /** One object for all that have it; `undefined`: nothing has the number. */
  translation(number: number): Translation | undefined {
    return this.#numbers.of(number);
  }

  /** The translation that a record tells by its number; `null`: the record has none. */
  of({ legs, ends: { metadata } }: Pick<Event, "legs" | "ends">): Translation | null {
    const isTcp = (metadata & ConnMetadata.METADATA_TCP) !== 0;
    return (isTcp && this.#numbers.of(legs)) || null;
  }
}

/** From here on the record at `p` tells the translation of this number. `false`: there is no room for it in a record. */
export function tellNumber(view: DataView, p: number, number: number): boolean {
  const metadata = view.getUint32(p + EVENT_ENDS_METADATA, true);
  if (number === NO_NUMBER || (metadata & ConnMetadata.METADATA_TCP) === 0) return false;
  view.setUint8(p + EVENT_LEGS, number);
  return true;
}

/** The number that the record at `p` tells, one that was shown as it is: so of TCP. */
export const numberAt = (view: DataView, p: number): number => view.getUint8(p + EVENT_LEGS);

// --- internal ---

/** Kept lines are found by it. */
function frozen(translation: Translation): Translation {
  for (const end of [translation.local, translation.remote]) if (end !== null) Object.freeze(end);
  return Object.freeze(translation);
}

const textOf = ({ local, remote }: Translation): string =>
  [local, remote].map((end) => (end === null ? "" : `${end.address} ${end.port}`)).join(",");
