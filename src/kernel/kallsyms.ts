/** The names of functions in the running kernel: /proc/kallsyms, five to ten megabytes, never as a whole in memory. */
import { closeSync, openSync, readSync } from "node:fs";

/** Answers of earlier searches; null: this kernel does not have the function. */
const known = new Map<string, string | null>();

/**
 * `name` itself, or its clone by the compiler (`name.constprop.0`, `name.isra.0`), or null. `.part` and `.cold` are
 * pieces of a function, not the function. A clone's first arguments are those of the original only as a rule: what
 * hangs on it is checked with a connection of our own.
 */
export const findSymbol = (name: string): string | null => findSymbols([name]).get(name) ?? null;

/** The same of several, those that are there, in one reading: it takes a tenth of a second. */
export function findSymbols(names: readonly string[]): ReadonlyMap<string, string> {
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    const found = readKallsyms(new SymbolSearch(unknown));
    for (const name of unknown) known.set(name, found.get(name) ?? null);
  }
  return new Map(names.flatMap((name) => (known.get(name) ? [[name, known.get(name)!]] : [])));
}

/** Functions of the kernel itself, not of its modules: they stay as long as the kernel runs. Reads the file each time. */
export const builtInSymbols = (names: readonly string[]): ReadonlySet<string> =>
  new Set(readKallsyms(new SymbolSearch(names, BUILT_IN)).values());

/** The search itself. Pure: text of /proc/kallsyms goes in piece by piece. */
export class SymbolSearch {
  readonly #names: readonly string[];
  readonly #found = new Map<string, string>();
  readonly #symbol: RegExp;

  /** `symbol` finds the symbol of a line that counts. */
  constructor(names: readonly string[], symbol = SYMBOL) {
    this.#names = names;
    this.#symbol = symbol;
  }

  /** The symbols found so far: the name itself, or else its first clone. */
  get found(): ReadonlyMap<string, string> {
    return this.#found;
  }

  /** Nothing better can come. */
  get done(): boolean {
    return this.#names.every((name) => this.#found.get(name) === name);
  }

  /** Looks at the whole lines of `piece`, and returns how many bytes these are. */
  take(piece: Buffer): number {
    const end = piece.lastIndexOf("\n") + 1;
    for (const name of this.#names) this.#look(piece.subarray(0, end), name);
    return end;
  }

  #look(lines: Buffer, name: string): void {
    const sign = ` ${name}`;
    for (let at = 0; (at = lines.indexOf(sign, at)) >= 0; at++) {
      const line = lines.toString("latin1", Math.max(0, at - 2), lines.indexOf("\n", at));
      const [, symbol] = this.#symbol.exec(line) ?? [];
      if (symbol === name || (symbol && withoutSuffix(symbol) === name && !this.#found.has(name)))
        this.#found.set(name, symbol);
    }
  }
}

/** Behind the name of a module's function stands the module's. */
export const BUILT_IN = /^ [tTwW] (\S+)$/;

// --- internal ---

/** From the blank before the type on: only text may be probed. */
const SYMBOL = /^ [tTwW] (\S+)(?:\s|$)/;

const withoutSuffix = (symbol: string): string =>
  symbol.replace(/(?:\.(?:constprop|isra)\.\d+)+$/, "");

/** The kernel gives a page per read. */
const PIECE_BYTES = 1 << 16;
const LEAST_ROOM = 1 << 12;

function readKallsyms(search: SymbolSearch): ReadonlyMap<string, string> {
  const piece = Buffer.alloc(PIECE_BYTES);
  let used = 0;
  let fd: number | null = null;
  try {
    fd = openSync("/proc/kallsyms", "r");
    while (!search.done) {
      const bytes = readSync(fd, piece, used, piece.length - used, null);
      used += bytes;
      if (bytes > 0 && piece.length - used >= LEAST_ROOM) continue;
      const taken = search.take(piece.subarray(0, used));
      // No line is as long as a piece.
      if (bytes === 0 || taken === 0) break;
      used = piece.copy(piece, 0, taken, used);
    }
  } catch {
    // Not ours to read, or not there: what has been found stays.
  } finally {
    if (fd !== null) closeSync(fd);
  }
  return search.found;
}
