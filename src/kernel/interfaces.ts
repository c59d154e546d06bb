/** The interfaces of a network namespace, by their link-local addresses. */
import { statSync } from "node:fs";
import { addressText } from "../record/address.ts";
import { textOf } from "./text_file.ts";

/** Address to interface; null: several interfaces have it, as a VLAN and the device below it do. */
export type LinkLocals = ReadonlyMap<string, string | null>;

/** As a process sees them that is in `netns`; null: it is gone, or in another namespace. */
export function linkLocalsOf(process: number | "self", netns: number): LinkLocals | null {
  if (netnsOf(process) !== netns) return null;
  const text = textOf(`/proc/${process}/net/if_inet6`);
  return text !== null && netnsOf(process) === netns ? parseLinkLocals(text) : null;
}

/** `text`: of /proc/net/if_inet6, a line per address. */
export function parseLinkLocals(text: string): LinkLocals {
  const found = new Map<string, string | null>();
  for (const line of text.split("\n")) {
    const [, hex, name] = ADDRESS.exec(line) ?? [];
    if (hex === undefined || name === undefined) continue;
    const { address } = addressText(Buffer.from(hex, "hex"), 6);
    found.set(address, found.has(address) ? null : name);
  }
  return found;
}

// --- internal ---

/** The address, four numbers of two digits or more, of which the scope of a link-local address is 20, and the interface. */
const ADDRESS = /^([0-9a-f]{32}) [0-9a-f]+ [0-9a-f]+ 20 [0-9a-f]+ +(.+)$/;

function netnsOf(process: number | "self"): number | null {
  try {
    return statSync(`/proc/${process}/ns/net`).ino;
  } catch {
    return null;
  }
}
