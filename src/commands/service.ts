/** A trace as a service: it tells its manager that it is at work, and opens its files anew when it is asked to. */
import { fstatSync } from "node:fs";
import { isTerminal, log } from "../log.ts";

const STDOUT = 1;
const NOTIFY_SOCKET = "NOTIFY_SOCKET";

/**
 * The socket of a service manager that waits to be told, as systemd does for `Type=notify`; `null`: nobody waits. Taken out
 * of the environment, so that a command of `-- CMD` does not tell in our place.
 */
export function takeNotifySocket(): string | null {
  const name = process.env[NOTIFY_SOCKET] ?? "";
  delete process.env[NOTIFY_SOCKET];
  return name === "" ? null : name;
}

/** A manager that cannot be told is no reason to end, but it may take the service for one that does not start. */
export async function tellReady(socket: string | null, status: string): Promise<void> {
  if (socket === null) return;
  const { notifyReady } = await import("../kernel/notify.ts");
  const why = notifyReady(socket, status);
  if (why === null) return;
  log.warn(
    `${NOTIFY_SOCKET} "${socket}": ${why}; the service manager does not learn that the trace has begun`,
  );
}

/**
 * Whether SIGHUP asks to open files anew, as logrotate(8) and `systemctl reload` mean it, rather than to end. A trace that
 * writes to a terminal ends with the terminal.
 */
export const reopensAtHangup = (
  { record, lines }: { record: string | null; lines: string | null },
  socket: string | null,
): boolean =>
  !isTerminal(STDOUT) && (record !== null || lines !== null || socket !== null || isFile(STDOUT));

// --- internal ---

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false; // closed
  }
}
