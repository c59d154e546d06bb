/** The meaning of the table's columns and failure words, for `--help`, the manual page and docs/reference.md. Pure. */

import { attributes } from "../members/attributes.ts";
import { failureWords } from "./failure_words.ts";

/** A title and rows of two cells: the term and its meaning. */
export interface Legend {
  title: string;
  rows: readonly (readonly [term: string, meaning: string])[];
}

/** By the column's title. To add a column to the table, add its meaning here. */
const columns: Readonly<Record<string, string>> = {
  TIME: "local time of day, with milliseconds",
  "TIME(s)": "seconds since the trace began; below 0 for what began before it",
  KIND: "connect: a process here established a connection; accept: a process here took one from its listener; close: it is over; fail: connect(2) came to nothing, or a datagram drew an error; open: it was open before the trace; begin: the first datagram of a UDP flow; sample: --interval shows what it has moved so far",
  PRO: "protocol",
  PROTO: "protocol",
  PID: "process that connected or accepted, as the host numbers it",
  UID: "real user id of that process at that moment, as the host numbers it; with --resolve the user's name",
  COMM: "name of the process that connected or accepted; if it is not known, that of the thread",
  CONTAINER:
    "container of that process, by its name or the first 12 digits of its id; where it is in none systemd's service: nginx; - also where it is of neither",
  LPORT: "local port",
  "->": "-> this end opened the connection, <- the other end did, -- not known; of UDP: the end that sent first",
  LOCAL: "address and port of this end",
  REMOTE:
    "address and port of the other end, a link-local address with its interface; with --resolve its name; in brackets the end that really answers or asks, where this host translates it (NAT)",
  NAT: "the ends that this host translates: remote: the end that really answers or asks; local: this end as that one knows it; no: it is known to be translated nowhere",
  APP: "the highest protocol that its first bytes showed: postgres, grpc, tls; with TLS the name of the server that the client asks for; - also where nothing was sent yet",
  DIR: "out: this end opened the connection; in: the other end did",
  NETNS: "inode of the network namespace, as ls -l /proc/PID/ns/net shows it",
  WAIT: "from the SYN until a connect was established, or a fail was over; until accept took an established connection",
  SENT: "bytes the local application wrote, without headers; K is 1024; of a fail: the reason",
  RECV: "bytes the local application read; unread bytes do not count",
  RTT: "smoothed round-trip time at the end",
  RETRANS: "segments sent again",
  DURATION: "from connect(2) or accept to the close; of UDP from the first datagram to the last",
  "DUR|ERR": "the duration, or the word for the failure",
  ...Object.fromEntries(
    Object.values(attributes).flatMap(({ column }) =>
      column === null ? [] : [[column.title, column.meaning]],
    ),
  ),
  FAILURE: "the error by which the connection ended",
  ARGS: "command line of the process; it ends in ... where more is not known",
};

export const columnLegend: Legend = {
  title: "columns",
  rows: Object.entries(columns),
};

export const failureLegend: Legend = {
  title: "failures",
  rows: Object.entries(failureWords).map(([errno, { word, meaning }]) => [
    word,
    `${meaning} (${errno})`,
  ]),
};

/** The signs that stand in place of a value. */
export const signLegend: Legend = {
  title: "signs",
  rows: [
    ["-", "not known; a number that is shown is right"],
    [
      "(nothing)",
      "this line has no such value: SENT and the columns after it belong to close, open and sample",
    ],
    [
      "+",
      "the name is longer than its column, or the line than a terminal of less than 80 columns",
    ],
    ["(+)", "an end is translated (NAT), but there is no room for it: -w shows it"],
  ],
};
