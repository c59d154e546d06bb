/** The error that the decoders and setters of the records throw. */

/** Bytes that are no record, or a value that a record cannot hold. `record` names which, `why` says what is wrong. */
export class RecordError extends RangeError {
  override readonly name = "RecordError";
  readonly record: string;
  readonly why: string;

  constructor(record: string, why: string) {
    super(`${record}: ${why}`);
    this.record = record;
    this.why = why;
  }
}

/** An unsigned whole number of so many bits, or a RecordError. */
export function unsigned(record: string, what: string, value: number, bits: 8 | 16 | 32): number {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** bits) return value;
  throw new RecordError(record, `${what} is ${value}, no whole number from 0 to ${2 ** bits - 1}`);
}
