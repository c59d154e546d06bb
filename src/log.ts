/** Messages to people, all on stderr: stdout carries data only. */

import { fstatSync, writeSync } from "node:fs";
import { styleText } from "node:util";
import { createConsola, LogLevels, type LogObject } from "consola/core";
import { escapeLines } from "./output/escape.ts";

/**
 * Its own reporter, because consola's writes through streams that a process.exit can cut short. Without consola's own
 * instance too: to make the runtime's streams takes 3 MB.
 */
export const log = createConsola({
  // Given here, so that CONSOLA_LEVEL in somebody's environment cannot silence a loss.
  level: LogLevels.info,
  reporters: [{ log: (entry) => tell(`${prefixOf(entry)}${escapeLines(entry.args.join(" "))}\n`) }],
});

export function showDebug(): void {
  log.level = LogLevels.debug;
}

/** Whether debug messages are shown: some cost something to make. */
export const showsDebug = (): boolean => log.level >= LogLevels.debug;

export type ColorMode = "auto" | "always" | "never";
let colorMode: ColorMode = "auto";

/** From --color. */
export function chooseColor(mode: ColorMode): void {
  colorMode = mode;
}

/** Whether what is written to this descriptor may hold escape codes. --color is stronger than the environment. */
export function wantsColor(fd: 1 | 2): boolean {
  if (colorMode !== "auto") return colorMode === "always";
  const { NO_COLOR, TERM } = process.env;
  return (NO_COLOR ?? "") === "" && TERM !== "dumb" && isTerminal(fd);
}

/** node:tty is loaded for nothing else, with 3 MB, and seldom in a service: only a character device can be a terminal. */
export function isTerminal(fd: 0 | 1 | 2): boolean {
  try {
    return fstatSync(fd).isCharacterDevice() && process.getBuiltinModule("node:tty").isatty(fd);
  } catch {
    return false; // closed
  }
}

/** Prints an error, with its first word in color. */
export function tellError(text: string): void {
  tell(text.replace(/^error:/, paint("error")));
}

/** Gives the terminal back as it was; `null`: nobody has taken it. */
let giveBack: (() => void) | null = null;
const waiting: string[] = [];
/** Messages beyond so many are not kept. */
const MOST_WAITING = 1_000;

/** The terminal shows a screen: messages wait until it is given back. */
export function takeTerminal(leave: () => void): void {
  giveBack = leave;
}

/** Also before an error is told; does nothing where the terminal was not taken. */
export function giveTerminalBack(): void {
  const leave = giveBack;
  giveBack = null;
  leave?.();
  for (const text of waiting.splice(0)) tell(text);
}

/**
 * Written before it returns, unless a screen is shown. When nobody reads stderr any more there is nobody left to tell.
 */
export function tell(text: string): void {
  if (giveBack !== null) {
    if (waiting.length < MOST_WAITING) waiting.push(text);
    return;
  }
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(2, bytes, at);
    } catch (error) {
      // Somebody else made the terminal non-blocking: wait for it.
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) return;
      Bun.sleepSync(1);
    }
  }
}

const prefixes = {
  fatal: ["error:", "red"],
  error: ["error:", "red"],
  warn: ["warning:", "yellow"],
  debug: ["debug:", "dim"],
} as const;

function prefixOf({ type }: LogObject): string {
  return type in prefixes ? `${paint(type as keyof typeof prefixes)} ` : "";
}

function paint(type: keyof typeof prefixes): string {
  const [prefix, style] = prefixes[type];
  return wantsColor(2) ? styleText(style, prefix, { validateStream: false }) : prefix;
}
