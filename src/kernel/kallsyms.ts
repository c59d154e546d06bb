/** Which name a function has in the running kernel. */
import { readFileSync } from "node:fs";

let cached: string | undefined;

/**
 * `name` itself, or its clone by the compiler (`name.constprop.0`, `name.isra.0`), or null. `.part` and `.cold` are
 * pieces of a function, not the function. A clone's first arguments are those of the original only as a rule: what
 * hangs on it is checked with a connection of our own.
 */
export function findSymbol(name: string): string | null {
  try {
    cached ??= readFileSync("/proc/kallsyms", "utf8");
  } catch {
    return null;
  }
  return symbolIn(cached, name);
}

/** The search itself, over the text of /proc/kallsyms. */
export function symbolIn(kallsyms: string, name: string): string | null {
  const pattern = new RegExp(` [tTwW] (${name}(?:\\.(?:constprop|isra)\\.\\d+)*)(?:\\s|$)`, "gm");
  const names = [...kallsyms.matchAll(pattern)].map((match) => match[1]!);
  return names.includes(name) ? name : (names[0] ?? null);
}
