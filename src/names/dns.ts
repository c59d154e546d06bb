/** Names of addresses, from /etc/hosts and by DNS. The only place that sends anything beyond this host. */
import { hostName } from "./host_name.ts";
import { nameInHosts } from "./hosts.ts";
import { PATIENCE_MS } from "./names.ts";

export interface Reverse extends Disposable {
  lookup(address: string): Promise<string | null>;
}

/** `servers` instead of those of /etc/resolv.conf: for tests. Disposing of it gives up what is under way. */
export function reverseDns(servers?: readonly string[]): Reverse {
  // Not imported: see later.ts.
  const { Resolver } = process.getBuiltinModule("node:dns/promises");
  const resolver = new Resolver({ timeout: PATIENCE_MS / 2, tries: 2 });
  if (servers !== undefined) resolver.setServers([...servers]);
  return {
    async lookup(address) {
      // By itself: of what the resolver finds there it gives only the aliases.
      const known = nameInHosts(address);
      if (known !== null) return hostName(known);
      const patience = timer(PATIENCE_MS);
      try {
        const names = await Promise.race([resolver.reverse(address), patience.over]);
        return hostName(names[0]);
      } finally {
        patience.stop();
      }
    },
    [Symbol.dispose]: () => resolver.cancel(),
  };
}

// --- internal ---

/** Does not keep the process alive. */
function timer(ms: number): { over: Promise<never[]>; stop(): void } {
  let timeout: ReturnType<typeof setTimeout>;
  const over = new Promise<never[]>((resolve) => {
    timeout = setTimeout(() => resolve([]), ms);
    timeout.unref();
  });
  return { over, stop: () => clearTimeout(timeout) };
}
