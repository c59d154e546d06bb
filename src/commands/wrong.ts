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

/** The number that a text is in decimal digits; `null`: it is none from `min` to `max`. */
export function wholeNumber(text: string, min: number, max: number): number | null {
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  return number >= min && number <= max ? number : null;
}
