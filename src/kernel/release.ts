/** The one comparison of kernel releases. Where a kernel can be asked for an ability, ask for it: see features.ts. Pure. */

/** `since` is `major.minor`. An unreadable release counts as new: then the old kernels' explanations stay out of the way. */
export function isAtLeast(release: string, since: string): boolean {
  const [a, b] = numbersOf(release) ?? [Infinity, 0];
  const [major, minor] = numbersOf(since)!;
  return a > major || (a === major && b >= minor);
}

// --- internal ---

function numbersOf(release: string): [number, number] | null {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return major === undefined || minor === undefined ? null : [Number(major), Number(minor)];
}
