/** Reads the systemd unit from the path of a control group. Pure. */

/**
 * The innermost service: `/system.slice/nginx.service` is `nginx.service`, also for the groups below it. `null`: none.
 * Scopes are none: their names have a number that nobody knows again (`session-12.scope`).
 */
export function unitOf(cgroup: string): string | null {
  return cgroup.split("/").findLast((name) => name.endsWith(".service")) ?? null;
}
