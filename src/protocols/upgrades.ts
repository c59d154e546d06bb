/** Protocols that may change to TLS in the middle of a connection. Pure. */
import { asksForEncryption, isMysqlTlsRequest } from "./databases.ts";
import { asksForAuthTls, asksForStartTls } from "./greetings.ts";
import { isConnect } from "./http.ts";
import type { Seen } from "./seen.ts";
import type { ProtocolName } from "./table.ts";

/**
 * Whether TLS may still follow once this was seen; `first`: by it the protocol was recognised. To add one, add a row; others
 * never change.
 */
export const mayUpgrade: Partial<Record<ProtocolName, (seen: Seen, first: boolean) => boolean>> = {
  http: (seen, first) => isConnect(seen) || (!first && seen.from === "server"),
  // The server answers with one byte.
  postgres: (seen, first) =>
    asksForEncryption(seen) || (!first && seen.from === "server" && seen.length === 1),
  mysql: (seen) => seen.from === "server" || isMysqlTlsRequest(seen),
  nats: (seen) => seen.from === "server",
  smtp: (seen) =>
    seen.from === "server" || asksForStartTls(seen) || /^(?:EHLO|HELO|LHLO) /i.test(seen.text),
  ftp: (seen) => seen.from === "server" || asksForAuthTls(seen) || /^FEAT\r\n/i.test(seen.text),
};
