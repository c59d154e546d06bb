/** Patterns whose cost is bounded: they meet text that strangers chose, while the kernel's buffers fill up. Pure. */

const MAX_LENGTH = 100;
/** Each one multiplies the work by the length of the text. */
const MAX_REPEATS = 3;

/** A regular expression (ECMAScript, of code points), or the reason why it is refused. */
export function boundedPattern(text: string): RegExp | string {
  if (text.length > MAX_LENGTH) return `it is longer than ${MAX_LENGTH} characters`;
  let pattern: RegExp;
  try {
    pattern = new RegExp(text, "u");
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  // An escaped character, or one in a class, repeats nothing.
  const bare = text.replace(/\\[^]|\[(?:\\[^]|[^\]\\])*\]/g, (token) =>
    /^\\[1-9k]/.test(token) ? "\\" : "x",
  );
  if (bare.includes("\\")) return "it refers back to a group, which can take for ever";
  if (/\)[*+{]/.test(bare)) return "it repeats a group, which can take for ever";
  if ((bare.match(/[*+{]/g)?.length ?? 0) > MAX_REPEATS)
    return `it repeats more than ${MAX_REPEATS} times`;
  return pattern;
}
