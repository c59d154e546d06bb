/** The words that the table has for errors. Pure. */

/** By the errno's name; any other errno is shown by its name. To add one, add a row: a word of at most 7 characters. */
export const failureWords: Readonly<Record<string, { word: string; meaning: string }>> = {
  ECONNREFUSED: { word: "refused", meaning: "nobody listens on the remote port" },
  ECONNRESET: { word: "reset", meaning: "the peer ended the connection by a reset" },
  ECONNABORTED: { word: "aborted", meaning: "this host ended the connection by a reset" },
  ETIMEDOUT: { word: "timeout", meaning: "the peer no longer answered" },
  ENETUNREACH: { word: "no-net", meaning: "no route leads to the remote network" },
  EHOSTUNREACH: { word: "no-host", meaning: "a route leads there, but the host cannot be reached" },
  EADDRNOTAVAIL: { word: "no-addr", meaning: "no free local port, or no such local address" },
  ECANCELED: { word: "cancel", meaning: "the program gave up before the peer answered" },
};
