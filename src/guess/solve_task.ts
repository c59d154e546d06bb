/** Where pid and tgid stand in struct task_struct: from copies of threads whose ids are known. Pure. */

export interface TaskSample {
  /** The beginning of a thread's task_struct. */
  bytes: Uint8Array;
  /** As the kernel numbers them; pid, the thread's own, is null where only the number in a pid namespace is known. */
  tgid: number;
  pid: number | null;
}

/**
 * Offsets of tgid at which every copy holds the process, right behind the thread: two ints that have been neighbours in
 * every Linux. One is the answer. Threads whose pid is not known must at least have different ones.
 */
export function tgidOffsets(samples: readonly TaskSample[]): number[] {
  const process = samples[0]?.tgid;
  if (process === undefined) return [];
  const views = samples.map(
    ({ bytes }) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
  );
  const shortest = Math.min(...views.map((view) => view.byteLength));
  const offsets: number[] = [];
  for (let at = INT; at + INT <= shortest; at += INT) {
    const pids = views.map((view) => view.getUint32(at - INT, true));
    const fits = samples.every(
      ({ tgid, pid }, i) =>
        views[i]!.getUint32(at, true) === tgid && (pid === null ? pids[i] !== 0 : pids[i] === pid),
    );
    if (fits && new Set(pids).size === samples.length && !pids.includes(process)) offsets.push(at);
  }
  return offsets;
}

const INT = 4;
