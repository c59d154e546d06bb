/** The terminal's mode: each key is read as it is pressed, and not echoed. */
import { ECHO, ICANON, IEXTEN, IXON, TCGETS, TCSETS } from "./constants.ts";
import { ioctl, type Fd } from "./libc.ts";

const TERMIOS_BYTES = 36;
const IFLAG = 0;
const LFLAG = 12;
/** c_cc[VTIME], c_cc[VMIN]. */
const VTIME = 17 + 5;
const VMIN = 17 + 6;

/**
 * Keys that send signals still do: Ctrl-C, Ctrl-Z. Returns what brings back the mode that was there before; `null`: it is no
 * terminal.
 */
export function readKeys(fd: Fd): (() => void) | null {
  const before = new Uint8Array(TERMIOS_BYTES);
  if (ioctl(fd, TCGETS, before) < 0) return null;
  const now = before.slice();
  const view = new DataView(now.buffer);
  const clear = (at: number, flags: number) =>
    view.setUint32(at, view.getUint32(at, true) & ~flags, true);
  clear(IFLAG, IXON);
  clear(LFLAG, ICANON | ECHO | IEXTEN);
  now[VTIME] = 0;
  now[VMIN] = 1;
  ioctl(fd, TCSETS, now);
  return () => void ioctl(fd, TCSETS, before);
}
