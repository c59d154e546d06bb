/** Whether this process has more rights than whoever started it. Alone in its file because every start asks it. */
import { dlopen } from "bun:ffi";
import type { Identity } from "../runtime.ts";

/** Set by the kernel when the setuid or setgid bit or file capabilities gave rights, or a security module wants it. */
const AT_SECURE = 23n;

export function identity(): Identity {
  // Not from /proc/self/auxv: a process with file capabilities may not read it.
  const { symbols } = dlopen("libc.so.6", { getauxval: { args: ["u64"], returns: "u64" } });
  return {
    secure: symbols.getauxval(AT_SECURE) !== 0n,
    uid: process.getuid?.() ?? 0,
    euid: process.geteuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    egid: process.getegid?.() ?? 0,
    executable: process.execPath,
  };
}
