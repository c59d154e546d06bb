/** Tells host names from other texts. The owner of an address chooses its name, so a name must not be able to pass for an address. */

/** RFC 1035: 255 octets on the wire, which are 253 characters without the dot at the end. */
const NAME_MAX = 253;

/** RFC 1123, and the underscore, which names of services and of hosts in private zones have. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/**
 * Decimal, octal or hexadecimal. inet_aton(3) reads `127.1`, `0x7f000001` and `2130706433` as addresses, and so do browsers:
 * each form of an address that has no colon ends with such a label, and no top-level domain is one.
 */
const NUMBER = /^(?:\d+|0x[0-9a-f]*)$/i;

/** `name` without the dot at its end, or `null` where it is no host name or is a form of an address. */
export function hostName(name: string | undefined): string | null {
  const text = name?.replace(/\.$/, "") ?? "";
  if (text === "" || text.length > NAME_MAX) return null;
  const labels = text.split(".");
  return labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels.at(-1)!) ? text : null;
}
