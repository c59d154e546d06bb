/** The numbers of a session's lines as they are read: the missing ones and the repeated ones. Bounded memory. Pure. */

/** Numbers from `first` to `last`. */
interface Gap {
  first: number;
  last: number;
}

/** A file with more holes than this is told of as damaged anyway; a line of a forgotten gap counts as repeated. */
const GAPS_MAX = 4096;

export class SessionLines {
  readonly startNs: bigint;
  /** Damaged lines, whose numbers are not known. Each fills a gap. */
  damaged = 0;
  ended = false;
  /** The number after the highest so far. */
  #next = 1;
  /** Numbers below it that have not come, in rising order. */
  readonly #gaps: Gap[] = [];
  #forgotten = 0;

  constructor(startNs: bigint) {
    this.startNs = startNs;
  }

  /** Whether the line is new. Lines without a number are taken to follow one another. */
  see(number = this.#next): boolean {
    if (number < this.#next) return this.#fill(number);
    if (number > this.#next) this.#open({ first: this.#next, last: number - 1 });
    this.#next = number + 1;
    return true;
  }

  /** `before`: the lines before the end that was just seen. */
  end(before: number): void {
    this.ended = true;
    // Of an end without a number.
    const seen = this.#next - 2;
    if (before > seen) this.#open({ first: seen + 1, last: before });
  }

  /** So far. */
  get missing(): number {
    const open = this.#gaps.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    return Math.max(0, open + this.#forgotten - this.damaged);
  }

  #open(gap: Gap): void {
    this.#gaps.push(gap);
    if (this.#gaps.length <= GAPS_MAX) return;
    const { first, last } = this.#gaps.shift()!;
    this.#forgotten += last - first + 1;
  }

  /** A line out of its order fills a gap; `false`: there is none, so the line has come before. */
  #fill(number: number): boolean {
    const at = this.#gaps.findIndex(({ first, last }) => first <= number && number <= last);
    if (at < 0) return false;
    const { first, last } = this.#gaps[at]!;
    const rest = [
      { first, last: number - 1 },
      { first: number + 1, last },
    ];
    this.#gaps.splice(at, 1, ...rest.filter((gap) => gap.first <= gap.last));
    return true;
  }
}
