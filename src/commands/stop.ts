/** How people and service managers end a command that would go on. The only place that listens to signals. */
import { log } from "../log.ts";
import type { Launched } from "./launch.ts";

/** Aborted by the first SIGINT or SIGTERM. The second one finds no handler and ends the process at once. */
export const stopSignal = (): AbortSignal => stopper().signal;

/**
 * The same, but while a command runs, the trace ends with it instead: Ctrl-C has reached it from the terminal, a SIGTERM is
 * handed on.
 */
export function stopper() {
  const controller = new AbortController();
  const signals = ["SIGINT", "SIGTERM"] as const;
  let command: Launched | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    for (const name of signals) process.off(name, onSignal);
    if (command === null) controller.abort();
    else if (signal === "SIGTERM") command.kill(signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return {
    signal: controller.signal,
    /** `drained` resolves when what it has done has been told. */
    endWith(launched: Launched, drained: () => Promise<number>) {
      command = launched;
      void launched.ended.then(drained).then((open) => {
        if (open > 0)
          log.info(`the command has ended; what is still open, ${open}, is not traced any longer`);
        controller.abort();
      });
    },
  };
}
