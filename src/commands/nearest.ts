/** The word somebody probably meant. Pure. */

/** The nearest of `words` when it is near enough to be worth suggesting, else `null`. */
export function nearest(word: string, words: readonly string[]): string | null {
  const wanted = word.toLowerCase();
  if (wanted.length >= 2) {
    const begun = words.find(
      (candidate) => candidate.startsWith(wanted) || wanted.startsWith(candidate),
    );
    if (begun !== undefined) return begun;
  }
  // A third of the letters wrong is still the same word; more is another one.
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  let best: { word: string; distance: number } | null = null;
  for (const candidate of words) {
    const distance = editDistance(wanted, candidate);
    if (distance <= limit && (best === null || distance < best.distance))
      best = { word: candidate, distance };
  }
  return best?.word ?? null;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Infinity;
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, swapped));
    }
  }
  return at(a.length, b.length);
}
