/** The events of a trace for one reader: they wait until it takes them. */

export interface Reader<T> extends AsyncIterableIterator<T> {
  push(items: readonly T[]): void;
  /** After what waits is taken, it ends; with an error, it throws. */
  end(error?: unknown): void;
  /** Items that found no room. */
  readonly dropped: bigint;
}

/** `ended` is called once, when nobody takes any more. */
export function createReader<T>(most: number, ended: () => void): Reader<T> {
  let waiting: T[] = [];
  let taken = 0;
  let dropped = 0n;
  let over: { error?: unknown } | null = null;
  const askers: PromiseWithResolvers<IteratorResult<T>>[] = [];

  const answer = () => {
    while (askers.length > 0 && taken < waiting.length) {
      askers.shift()!.resolve({ done: false, value: waiting[taken++]! });
    }
    if (taken === waiting.length) {
      waiting = [];
      taken = 0;
    }
    if (over === null) return;
    for (const asker of askers.splice(0)) {
      if ("error" in over) asker.reject(over.error);
      else asker.resolve({ done: true, value: undefined });
    }
  };
  const finish = (how: { error?: unknown }) => {
    if (over !== null) return;
    over = how;
    ended();
    answer();
  };

  return {
    push(items) {
      if (over !== null) return;
      const room = Math.max(0, most - (waiting.length - taken));
      dropped += BigInt(Math.max(0, items.length - room));
      for (const item of items.slice(0, room)) waiting.push(item);
      answer();
    },
    end(...error) {
      finish(error.length === 0 ? {} : { error: error[0] });
    },
    get dropped() {
      return dropped;
    },
    next() {
      const asker = Promise.withResolvers<IteratorResult<T>>();
      askers.push(asker);
      answer();
      return asker.promise;
    },
    /** As `break` in a `for await` does: what waits is given up. */
    async return() {
      waiting = [];
      taken = 0;
      finish({});
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
