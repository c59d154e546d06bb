/** Names of addresses that this host has in a file of its own. */
import { readFileSync } from "node:fs";
import { addressAsShown } from "../record/address.ts";

/** By address, of the text of /etc/hosts: `address name alias...` lines; of several lines of an address the first. */
export function parseHosts(text: string): Map<string, string> {
  const names = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [address, name] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (!address || name === undefined) continue;
    // A link-local address with its zone stays as it is written.
    const key = addressAsShown(address) ?? address;
    if (!names.has(key)) names.set(key, name);
  }
  return names;
}

/** As the file is now; `null`: it does not have the address, or cannot be read. */
export function nameInHosts(address: string, path = "/etc/hosts"): string | null {
  try {
    return parseHosts(readFileSync(path, "utf8")).get(address) ?? null;
  } catch {
    return null;
  }
}
