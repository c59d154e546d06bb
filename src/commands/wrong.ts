/** Why a text is no value: what a parser returns, for its caller to make a UsageError of it with the flag's name. */
export class Wrong {
  readonly what: string;
  readonly why: string;
  /** A value that may have been meant. */
  readonly instead: string | null;

  constructor(what: string, why: string, instead: string | null = null) {
    this.what = what;
    this.why = why;
    this.instead = instead;
  }
}
