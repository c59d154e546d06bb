/** How people and service managers end a command that would go on. */

/** Aborted by the first SIGINT or SIGTERM. The second one finds no handler and ends the process at once. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const signals = ["SIGINT", "SIGTERM"] as const;
  const onSignal = () => {
    for (const signal of signals) process.off(signal, onSignal);
    controller.abort();
  };
  for (const signal of signals) process.on(signal, onSignal);
  return controller.signal;
}
