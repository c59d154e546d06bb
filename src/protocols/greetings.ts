/** Protocols that begin with a line of text or a cookie: in most the server speaks first. Pure. */
import type { Seen } from "./seen.ts";

export const isSsh = (seen: Seen): boolean =>
  seen.start && /^SSH-(?:2\.0|1\.99|1\.5)-[\x20-\x7e]/.test(seen.text);

/** A greeting that names the protocol, or the first command. `220` alone is FTP's too. */
export function isSmtp(seen: Seen): boolean {
  if (!seen.start) return false;
  if (seen.mayBeFrom("server") && /^220[ -][\x20-\x7e]* E?SMTP\b/.test(seen.text)) return true;
  return (
    seen.mayBeFrom("client") && /^(?:EHLO|HELO|LHLO) [\x21-\x7e]{1,150}(?:\r\n|$)/i.test(seen.text)
  );
}

export const asksForStartTls = (seen: Seen): boolean => /^STARTTLS\r\n/i.test(seen.text);

/**
 * A greeting that names the protocol; or a first command and the greeting `220`, in either order: POP3 has the same command behind
 * `+OK`. In the middle: answers with a port.
 */
export function isFtp(seen: Seen): boolean {
  if (seen.mayBeFrom("server") && PASSIVE.test(seen.text)) return true;
  if (seen.start && seen.mayBeFrom("server") && NAMED.test(seen.text)) return true;
  if (!seen.start || seen.greeting === "") return false;
  const { text, greeting } = seen;
  return seen.from === "client"
    ? COMMAND.test(text) && GREETING.test(greeting)
    : GREETING.test(text) && COMMAND.test(`${greeting}\r\n`);
}

/** The version line of either end of rsync's own protocol; through SSH it is SSH's. */
export const isRsync = (seen: Seen): boolean =>
  seen.start && /^@RSYNCD: \d{1,3}(?:\.\d{1,3})?[ \r\n]/.test(seen.text);

const COOKIE = /^(?=.{0,35}[2-7])[a-z2-7]{36}\0$/;

/** The cookie, a segment of its own, with which a client of iperf3 begins each connection. Nearly all cookies have a digit. */
export const isIperf3 = (seen: Seen): boolean =>
  seen.start && seen.length === 37 && seen.mayBeFrom("client") && COOKIE.test(seen.text);

export const asksForAuthTls = (seen: Seen): boolean =>
  /^AUTH (?:TLS|SSL|TLS-C)\r\n/i.test(seen.text);

// --- internal ---

const GREETING = /^220[ -]/;
/** As servers name themselves; a host of any service may be called ftp. A line that names SMTP too is no evidence. */
const NAMED =
  /^220[ -](?![\x20-\x7e]*smtp)[\x20-\x7e]*(?:\bftp serv(?:er|ice)\b|\b(?:vs|pure-|pro)ftpd\b)/i;
const COMMAND = /^(?:USER [\x21-\x7e]{1,100}|AUTH (?:TLS|SSL|TLS-C)|FEAT)\r\n/i;

const PASSIVE = /^(?:227 Entering Passive Mode|229 (?:Entering )?Extended Passive Mode) ?\(/i;
