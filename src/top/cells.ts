/** Text that takes exactly as many columns of a terminal as it has. Pure. */

/** A `+` says that there is more of it. The text has no characters that a terminal obeys: see output/escape.ts. */
export function cut(text: string, width: number): string {
  if (width <= 0) return "";
  // No character is narrower than half of nothing: marks above others take no column, but a name of thousands is cut here.
  const some = text.slice(0, 8 * width);
  if (some.length === text.length && Bun.stringWidth(some) <= width) return some;
  let shown = "";
  let used = 0;
  for (const char of some) {
    const size = Bun.stringWidth(char);
    if (used + size > width - 1) break;
    shown += char;
    used += size;
  }
  return `${shown}+`;
}

/** Cut or filled with blanks. */
export function fit(text: string, width: number, right = false): string {
  const shown = cut(text, width);
  const blanks = " ".repeat(Math.max(0, width - Bun.stringWidth(shown)));
  return right ? blanks + shown : shown + blanks;
}
