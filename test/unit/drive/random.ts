/** Random inputs of the tests: how many, and text of any characters. */
// oxlint-disable-next-line no-restricted-imports
import fc from "fast-check";

/** The share of the usual number: a tenth in `bun run check`, 1 in `npm test`. A longer search, with other inputs each time: RUNS=50 bun test ./test/unit/fuzz.test.ts --timeout 600000 */
const SHARE = Number(process.env["RUNS"] || 1);
if (!(SHARE > 0)) throw new Error("RUNS: how often to try random inputs, 1 being as usual");

/** Usual runs try the same inputs each time: what passes for a change has passed for the state before it too, and a failure is there again. */
if (SHARE <= 1) fc.configureGlobal({ seed: 1 });

export { fc };

/** Settings of `fc.assert`: how many inputs to try. Bounded by their number, so a slow machine tries no fewer. */
export const runs = (usual: number): { numRuns: number } => ({
  numRuns: Math.max(10, Math.round(usual * SHARE)),
});

/** From one case to the next of an exhaustive test: odd, so that in a byte's eight bits each is met. */
export const STRIDE = SHARE >= 1 ? 1 : 2 * Math.round(1 / SHARE / 2) + 1;

const codePoint = fc.oneof(
  fc.integer({ min: 0, max: 0x7f }),
  fc.integer({ min: 0, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0x10_ffff }),
);

/** Text of any characters. fast-check's own unit "binary" says the same, and takes over a second for its first text. */
export const anyText = (constraints: { maxLength?: number } = {}): fc.Arbitrary<string> =>
  fc.string({ unit: codePoint.map((point) => String.fromCodePoint(point)), ...constraints });
