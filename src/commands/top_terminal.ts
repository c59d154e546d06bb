/** The terminal while it shows the live view: taken, drawn on, and given back as it was. */
import { read } from "node:fs";
import { terminalSize } from "../kernel/libc.ts";
import { readKeys } from "../kernel/terminal.ts";
import { giveTerminalBack, isTerminal, takeTerminal, wantsColor } from "../log.ts";
import { print, printNow } from "../output/writer.ts";
import { codesFor, enter, leave } from "../top/codes.ts";
import { keysOf } from "../top/keys.ts";
import type { Line, Size } from "../top/screen.ts";
import { onTerminal } from "./stop.ts";

const STDIN = 0;
const STDOUT = 1;
/** A terminal that does not tell. */
const USUAL_SIZE: Size = { columns: 80, rows: 24 };

export interface Terminal extends AsyncDisposable {
  size(): Size;
  /** A screen that comes while the one before is still being written takes its place. */
  draw(lines: readonly Line[]): void;
}

/** `changed`: the size is another one, or all must be drawn anew. */
export function openTerminal(heard: {
  keys(keys: readonly string[]): void;
  changed(): void;
}): Terminal {
  const color = wantsColor(STDOUT);
  let restoreKeys: (() => void) | null = null;
  let shown: readonly Line[] | null = null;
  let next: readonly Line[] | null = null;
  let writing: Promise<void> | null = null;
  let isOpen = false;

  const open = (): void => {
    if (isOpen) return;
    isOpen = true;
    shown = null;
    restoreKeys = readKeys(STDIN);
    printNow(enter);
    takeTerminal(close);
  };
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    printNow(leave);
    restoreKeys?.();
  };
  const write = async (): Promise<void> => {
    while (next !== null && isOpen) {
      const lines = next;
      next = null;
      const codes = codesFor(lines, shown, color);
      shown = lines;
      // Broken terminals are noticed by the loop.
      if (codes !== "") await print(codes).catch(() => {});
    }
    writing = null;
  };

  open();
  const signals = onTerminal({
    stopped: giveTerminalBack,
    continued() {
      open();
      heard.changed();
    },
    resized() {
      shown = null;
      heard.changed();
    },
  });
  const keyboard = isTerminal(STDIN) ? readKeyboard(heard.keys) : null;
  return {
    size: () => terminalSize(STDOUT) ?? USUAL_SIZE,
    draw(lines) {
      if (!isOpen) return;
      next = lines;
      writing ??= write();
    },
    async [Symbol.asyncDispose]() {
      signals[Symbol.dispose]();
      keyboard?.[Symbol.dispose]();
      next = null;
      // A terminal that stands still is not waited for.
      await Promise.race([writing, Bun.sleep(LINGER_MS)]);
      giveTerminalBack();
    },
  };
}

// --- internal ---

const LINGER_MS = 500;

/** On a thread of the runtime's pool. It ends with the terminal, or with the process. */
function readKeyboard(heard: (keys: readonly string[]) => void): Disposable {
  const bytes = Buffer.alloc(256);
  let over = false;
  const once = (): void =>
    read(STDIN, bytes, 0, bytes.length, null, (error, count) => {
      if (over || (count === 0 && error === null)) return;
      const isPassing = error !== null && /^E(AGAIN|INTR)$/.test(error.code ?? "");
      if (error !== null && !isPassing) return;
      if (error === null) heard(keysOf(bytes.toString("utf8", 0, count)));
      if (error === null) once();
      else setTimeout(once, 50);
    });
  once();
  return {
    [Symbol.dispose]() {
      over = true;
    },
  };
}
