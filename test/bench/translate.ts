/** In a guest that brings netfilter: what stands between the client and the server of load.c, on the loopback interface. */
import { writeFileSync } from "node:fs";

/** "plain": the kernel tracks each connection and changes nothing. "dnat": clients connect to another address than the server's. */
export type Translation = "plain" | "dnat";

/** The address that is translated to the server's. */
export const SERVICE = "127.0.0.2";

export function translate(translation: Translation): void {
  const rules = {
    plain:
      "table ip bench { chain in { type filter hook input priority 0; ct state invalid drop; }; }",
    dnat: `table ip bench { chain out { type nat hook output priority -100; ip daddr ${SERVICE} dnat to 127.0.0.1; }; }`,
  }[translation];
  const nft = Bun.spawnSync(["nft", "-f", "-"], { stdin: Buffer.from(rules), stderr: "inherit" });
  if (nft.exitCode !== 0) throw new Error(`nft ended with ${nft.exitCode}`);
  // Warming up leaves more entries behind than the table takes, which would refuse the connections that are measured.
  sysctl("nf_conntrack_max", "1000000");
  sysctl("nf_conntrack_tcp_timeout_time_wait", "1");
}

// --- internal ---

const sysctl = (name: string, value: string): void =>
  writeFileSync(`/proc/sys/net/netfilter/${name}`, value);
