/** Struct events that lie in one buffer. */
export interface Records {
  view: DataView;
  /** Where each lies in `view`. */
  places: Int32Array;
  /** The first of `places`, and the end of them. */
  from: number;
  to: number;
  /** Address of a struct line_conditions, on which each is shown as it is. */
  conditions: number;
}
