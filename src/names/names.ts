/**
 * Names for numbers, asked for in the background: whoever asks gets what is known by then, at once. Pure but for what it
 * is given to ask with.
 */

export interface NamesOptions {
  /** `null`: it has none. A lookup that fails is the same. */
  lookup(key: string): Promise<string | null>;
  /** Milliseconds of any clock that does not jump. */
  now(): number;
}

/** Lookups at a time. More wait, and what does not even find room to wait is asked for when it comes again. */
const AT_ONCE = 16;
const WAITING_MAX = 1024;
/** Names that are remembered; the oldest go first. */
const KNOWN_MAX = 4096;
/** How long a name is believed, and that there is none. */
const KEEP_MS = 600_000;
const KEEP_NONE_MS = 60_000;
/** After that the answer is no longer waited for. */
export const PATIENCE_MS = 2_000;

interface Known {
  name: string | null;
  until: number;
}

export class Names {
  readonly #options: NamesOptions;
  readonly #known = new Map<string, Known>();
  /** Being looked up, or waiting for it; in this order. */
  readonly #asked = new Set<string>();
  readonly #waiting: string[] = [];
  #running = 0;

  constructor(options: NamesOptions) {
    this.#options = options;
  }

  /** Whether an answer is still to come: only the event loop brings it. */
  get asking(): boolean {
    return this.#asked.size > 0;
  }

  /** `null`: not known, or not yet. An old name is told while a new one is asked for. */
  of(key: string): string | null {
    const known = this.#known.get(key);
    if (known === undefined || known.until <= this.#options.now()) this.#ask(key);
    return known?.name ?? null;
  }

  #ask(key: string): void {
    if (this.#asked.has(key) || this.#waiting.length >= WAITING_MAX) return;
    this.#asked.add(key);
    this.#waiting.push(key);
    this.#start();
  }

  #start(): void {
    while (this.#running < AT_ONCE && this.#waiting.length > 0) {
      this.#running++;
      void this.#look(this.#waiting.shift()!);
    }
  }

  async #look(key: string): Promise<void> {
    const name = await this.#options.lookup(key).catch(() => null);
    this.#running--;
    this.#asked.delete(key);
    // Anew, so that the oldest come first.
    this.#known.delete(key);
    const until = this.#options.now() + (name === null ? KEEP_NONE_MS : KEEP_MS);
    this.#known.set(key, { name, until });
    if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!);
    this.#start();
  }
}
