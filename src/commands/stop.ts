/** How people and service managers end a command that would go on. The only place that listens to signals. */
import { constants } from "node:os";
import { ignoresSignal } from "../kernel/signals.ts";
import { log } from "../log.ts";
import type { Launched } from "./launch.ts";

/** Aborted by the first SIGINT, SIGTERM or SIGHUP. The second one finds no handler and ends the process at once. */
export const stopSignal = (): AbortSignal => stopper().signal;

/**
 * The same, but while a command runs, the trace ends with it instead: Ctrl-C has reached it from the terminal, the others
 * are handed on. With `reopens`, SIGHUP ends nothing.
 */
export function stopper({ reopens = false } = {}) {
  const controller = new AbortController();
  // A trace that nohup(1) started must outlive the terminal.
  const outlives = reopens || ignoresSignal(constants.signals.SIGHUP);
  const signals = ["SIGINT", "SIGTERM", ...(outlives ? [] : (["SIGHUP"] as const))] as const;
  let command: Launched | null = null;
  let reopen = (): void => {};
  // Stays, so that SIGHUP does not end the process while it writes its last.
  if (reopens) process.on("SIGHUP", () => reopen());
  const onSignal = (signal: NodeJS.Signals) => {
    for (const name of signals) process.off(name, onSignal);
    if (command === null) controller.abort();
    else if (signal !== "SIGINT") command.kill(signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return {
    signal: controller.signal,
    /** Until this is called, there are no files to open anew. */
    reopenWith(heard: () => void) {
      reopen = heard;
    },
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

/** For a command that has taken the terminal. Ctrl-Z stops the process once `stopped` has returned. */
export function onTerminal(heard: {
  stopped(): void;
  continued(): void;
  resized(): void;
}): Disposable {
  const onStop = () => {
    heard.stopped();
    process.kill(process.pid, "SIGSTOP");
  };
  const handlers = [
    ["SIGTSTP", onStop],
    ["SIGCONT", heard.continued],
    ["SIGWINCH", heard.resized],
  ] as const;
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return {
    [Symbol.dispose]() {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    },
  };
}
