/** The header of the PROXY protocol, versions 1 and 2: another protocol's bytes begin behind it. Pure. */
import type { Seen } from "./seen.ts";

const SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";
const V1_MOST = 107;

/** How long the header is at whose beginning these bytes are; 0: there is none. */
export function proxyHeader(seen: Seen): number {
  const first = seen.u8(0);
  // Nearly all bytes are none: "P" or "p" of version 1, the signature of version 2.
  if ((first | 0x20) !== 0x70 && first !== 0x0d) return 0;
  if (!seen.start || !seen.mayBeFrom("client")) return 0;
  if (seen.has(0, SIGNATURE)) {
    const [command, length] = [seen.u8(12), seen.u16(14)];
    return (command === 0x20 || command === 0x21) && length >= 0 ? 16 + length : 0;
  }
  if (!/^PROXY (?:TCP[46] [\da-f]|UNKNOWN[ \r])/i.test(seen.text)) return 0;
  const end = seen.text.indexOf("\r\n");
  if (end >= 0) return end + 2 <= V1_MOST ? end + 2 : 0;
  // The end was not seen. Load balancers send the header as a segment of its own.
  return seen.length <= V1_MOST ? seen.length : 0;
}
