/** Losses are totals that grow; whoever tells of them says what has come since the last time. Pure. */

export interface Loss {
  cause: string;
  /** Since the trace was opened. */
  count: bigint;
}

export interface News extends Loss {
  /** Since the trace was opened; `count` is what came since it was told of. */
  total: bigint;
}

export class Told {
  readonly #told = new Map<string, bigint>();

  /** Causes of which nothing is new are left out. */
  news(losses: readonly Loss[]): News[] {
    return losses
      .map(({ cause, count }) => ({
        cause,
        count: count - (this.#told.get(cause) ?? 0n),
        total: count,
      }))
      .filter(({ count }) => count > 0n);
  }

  tell({ cause, total }: News): void {
    this.#told.set(cause, total);
  }
}
