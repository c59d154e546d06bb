/**
 * The meaning of a filter by ports. The kernel side (ports_wanted in bpf/lib/filter.h) leaves out early what is certain by
 * then; a port that is not chosen yet passes there. Pure.
 */

/** Ports in host order. An empty list asks for nothing; every other list must be met. */
export interface PortFilter {
  /** Of either end. */
  ports: readonly number[];
  localPorts: readonly number[];
  remotePorts: readonly number[];
}

/** `null`: it cannot be told, because the remote port is 0, which means that it is not known. */
export type PortTest = (local: number, remote: number) => boolean | null;

/** `null`: the filter asks for no port. */
export function portTest({ ports, localPorts, remotePorts }: PortFilter): PortTest | null {
  if (ports.length + localPorts.length + remotePorts.length === 0) return null;
  const [either, atLocal, atRemote] = [ports, localPorts, remotePorts].map((list) =>
    list.length === 0 ? null : new Set(list),
  );
  return (local, remote) => {
    // A local port of 0 is none: connect(2) failed before one was chosen.
    if (atLocal && !atLocal.has(local)) return false;
    if (atRemote && remote !== 0 && !atRemote.has(remote)) return false;
    const met = !either || either.has(local) || either.has(remote);
    if (!met && remote !== 0) return false;
    return remote === 0 && (!met || atRemote) ? null : true;
  };
}
