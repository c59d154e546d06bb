/** Objects that a process of ours has in the kernel, and whether they are still there once the process is gone. */
import { readdirSync, readFileSync } from "node:fs";
import * as libc from "../../../src/kernel/libc.ts";
import { PATIENCE_MS } from "./tracer.ts";

/** The kinds of objects that have an id: the name in /proc/PID/fdinfo, and the command of bpf(2) that finds one by its id. */
const kinds = { prog_id: 13, map_id: 14, link_id: 30 } as const;

export interface Holding {
  kind: keyof typeof kinds;
  id: number;
}

/** Programs, maps and links that a process holds, programs also through a link. */
export function holdingsOf(pid: number): Holding[] {
  const fdinfo = `/proc/${pid}/fdinfo`;
  const all = readdirSync(fdinfo).flatMap((fd) => {
    const text = readIfThere(`${fdinfo}/${fd}`);
    return (Object.keys(kinds) as (keyof typeof kinds)[]).flatMap((kind) => {
      const id = new RegExp(`^${kind}:\\s*(\\d+)$`, "m").exec(text);
      return id ? [{ kind, id: Number(id[1]) }] : [];
    });
  });
  return [...new Map(all.map((one) => [`${one.kind} ${one.id}`, one])).values()];
}

/** A descriptor may have been closed since it was listed. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return "";
    throw error;
  }
}

export function exists({ kind, id }: Holding): boolean {
  const attr = new Uint8Array(16);
  new DataView(attr.buffer).setUint32(0, id, true);
  const fd = libc.bpf(kinds[kind], attr);
  if (fd >= 0) libc.close(fd);
  return fd >= 0;
}

/** The objects that are left. The kernel frees an object some time after its last user is gone. */
export async function leftOf(holdings: readonly Holding[]): Promise<Holding[]> {
  const deadline = performance.now() + PATIENCE_MS;
  while (holdings.some(exists) && performance.now() < deadline) await Bun.sleep(10);
  return holdings.filter(exists);
}

/** The lines of tracefs's kprobe_events; none where there is no tracefs, since then nothing can be left in it. */
export function kprobeEvents(): string[] {
  for (const tracefs of ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]) {
    try {
      return readFileSync(`${tracefs}/kprobe_events`, "latin1").split("\n");
    } catch {
      // Not mounted here.
    }
  }
  return [];
}
