/** Numbers of the kernel's errors as people know them. Pure. */
import { getSystemErrorName } from "node:util";

/** "ECONNREFUSED" for 111; a number without a name stays a number. */
export function errnoText(errno: number): string {
  if (errno <= 0) return errno.toString();
  const name = getSystemErrorName(-errno);
  return /^E[A-Z0-9]+$/.test(name) ? name : errno.toString();
}
