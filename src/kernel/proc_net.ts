/** /proc/net/tcp, tcp6, udp and udp6. */
import { O_CLOEXEC, O_RDONLY, TCP_LISTEN } from "./constants.ts";
import * as libc from "./libc.ts";

export interface Row {
  /** As the kernel prints them, each 32-bit word in hex; an IPv4-mapped address as IPv4. */
  local: string;
  remote: string;
  localPort: number;
  remotePort: number;
  /** tcpi_state and skc_state have the same numbers. */
  state: number;
  /** Of the socket; 0 when no process holds it. */
  ino: number;
}

/** The listeners of tcp or tcp6. The kernel prints them first, so that the rest need not be read. */
export const readListeners = (path: string | null): Row[] =>
  readRows(
    path,
    () => {},
    ({ state }) => state === TCP_LISTEN,
  );

/** The kernel gives at most one page per read. */
const PAGE = 1 << 16;

/**
 * Every line of one of these files, `[]` where there is none (tcp6 without IPv6), but for connections that are over: of
 * those a busy server has tens of thousands. The kernel works on a page of lines at a time; `afterPage` is called in
 * between. It ends before the first row for which `goesOn` says no.
 */
export function readRows(
  path: string | null,
  afterPage: () => void = () => {},
  goesOn: (row: Row) => boolean = () => true,
): Row[] {
  const fd = path === null ? -1 : libc.open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return [];
  const page = new Uint8Array(PAGE);
  const decoder = new TextDecoder("latin1");
  const rows: Row[] = [];
  let rest = "";
  try {
    for (;;) {
      const bytes = libc.read(fd, page);
      if (bytes <= 0) return rows;
      const lines = (rest + decoder.decode(page.subarray(0, bytes))).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const row = isOver(line) ? null : parseRow(line);
        if (row === null) continue;
        if (!goesOn(row)) return rows;
        rows.push(row);
      }
      afterPage();
    }
  } finally {
    libc.close(fd);
  }
}

/** In TIME_WAIT: no socket any more. Told without taking the line apart: no other number in it has two digits and a zero first. */
export const isOver = (line: string): boolean => line.includes(" 06 ");

/** `null` for the titles. */
export function parseRow(line: string): Row | null {
  // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
  const [, local, localPort, remote, remotePort, state, ino] = ROW.exec(line) ?? [];
  if (ino === undefined) return null;
  return {
    local: plain(local!),
    remote: plain(remote!),
    localPort: parseInt(localPort!, 16),
    remotePort: parseInt(remotePort!, 16),
    state: parseInt(state!, 16),
    ino: Number(ino),
  };
}

// --- internal ---

const ROW =
  /^ *\d+: ([\dA-F]{8,32}):([\dA-F]{4}) ([\dA-F]{8,32}):([\dA-F]{4}) ([\dA-F]{2}) \S+ \S+ \S+ +\d+ +\d+ (\d+)/;

const MAPPED = "0000000000000000FFFF0000";

const plain = (address: string): string =>
  address.startsWith(MAPPED) ? address.slice(MAPPED.length) : address;
