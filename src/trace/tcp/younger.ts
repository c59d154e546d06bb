/** Tells the kernel side which sockets are younger than the trace: see bpf/tcp/younger.h. */
import { possibleCpus } from "../../kernel/cpus.ts";
import { inodesSoFar } from "../../kernel/inodes.ts";
import type { Opened } from "../part.ts";

/** The fields by which the inode of a sock is found. */
const FIELDS = ["sk_socket", "socket_ino"] as const;

/** From now on a missed beginning is told from that of an older connection. Not before all programs are attached. */
export function tellYounger({ host: { shim }, object, report, newer }: Opened): void {
  const found = (name: string) =>
    report.fields.some(({ field, status }) => field === name && status === "found");
  if (!newer || !FIELDS.every(found)) return;
  const inodes = inodesSoFar(possibleCpus(), shim);
  if (inodes === null) return;
  const put = (map: string, key: number, value: number) =>
    shim.mapUpdate(object.mapFd(map), Uint32Array.of(key), Uint32Array.of(value));
  for (const [batch, ino] of inodes.newest) put("inodes_before", batch, ino);
  put("first_batch", 0, inodes.firstBatch);
}
