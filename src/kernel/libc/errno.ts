/** Names of errors. */
import { constants } from "node:os";

/** "ECONNREFUSED" for 111 or -111; a number nobody has named stays "errno 999". */
export function errnoName(errno: number): string {
  const number = Math.abs(errno);
  return errnoNames.get(number) ?? `errno ${number}`;
}

// --- internal ---

/** ENOTSUPP is the kernel's own, in no libc header, and bpf(2) returns it. */
const errnoNames = new Map<number, string>([[524, "ENOTSUPP"]]);
for (const [name, number] of Object.entries(constants.errno)) {
  // Two numbers have two names; these are the ones the kernel's sources use.
  if (name !== "EWOULDBLOCK" && name !== "ENOTSUP") errnoNames.set(number, name);
}
