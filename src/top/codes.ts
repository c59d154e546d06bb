/** The escape codes of the live view: the only place that has some. Pure. */
import type { Line } from "./screen.ts";

export const ESC = String.fromCharCode(27);

/** The alternate screen, without a cursor; lines that are too long do not go on in the next one. */
export const enter = `${ESC}[?1049h${ESC}[?25l${ESC}[?7l${ESC}[2J`;
export const leave = `${ESC}[?2026l${ESC}[0m${ESC}[?7h${ESC}[?25h${ESC}[?1049l`;

/** SGR numbers. */
const styles = {
  title: { color: "1", plain: "1" },
  header: { color: "7", plain: "7" },
  selected: { color: "1;7", plain: "1;7" },
  dim: { color: "2", plain: "2" },
  alarm: { color: "1;31", plain: "1" },
} as const;

/** Codes that turn the screen `before` into `lines`; `null`: nothing is known of the screen. */
export function codesFor(
  lines: readonly Line[],
  before: readonly Line[] | null,
  color: boolean,
): string {
  const changed = lines.flatMap((line, i) =>
    before !== null && isSame(line, before[i]) ? [] : [`${ESC}[${i + 1};1H${painted(line, color)}`],
  );
  const clear = before === null ? `${ESC}[2J` : "";
  return changed.length === 0 ? "" : `${ESC}[?2026h${clear}${changed.join("")}${ESC}[?2026l`;
}

// --- internal ---

const isSame = (a: Line, b: Line | undefined): boolean => a.text === b?.text && a.style === b.style;

/** The rest of the line is erased first, so that a character in the last column stays. */
function painted({ text, style }: Line, color: boolean): string {
  const erase = `${ESC}[K`;
  if (style === undefined) return `${erase}${text}`;
  return `${erase}${ESC}[${styles[style][color ? "color" : "plain"]}m${text}${ESC}[0m`;
}
