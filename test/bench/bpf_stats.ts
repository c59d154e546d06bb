/** How often each program of a process ran, and for how long: what the kernel itself counts (kernel.bpf_stats_enabled). */
import { dlopen, ptr } from "bun:ffi";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

export interface ProgramStats {
  /** Cut to 15 bytes by the kernel. */
  name: string;
  runs: number;
  ns: number;
}

const switchFile = "/proc/sys/kernel/bpf_stats_enabled";

/** Linux 5.1 and later; false: this kernel has no such switch. Costs some time per run itself. */
export function countProgramTime(on: boolean): boolean {
  try {
    writeFileSync(switchFile, on ? "1" : "0");
    return true;
  } catch {
    return false;
  }
}

export function programStats(pid: number): ProgramStats[] {
  const ids = new Set<number>();
  for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
    const id = /^prog_id:\s*(\d+)$/m.exec(infoOf(pid, fd))?.[1];
    if (id !== undefined) ids.add(Number(id));
  }
  return [...ids].map(statsOf);
}

// --- internal ---

/** Empty: it was closed meanwhile. */
function infoOf(pid: number, fd: string): string {
  try {
    return readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8");
  } catch {
    return "";
  }
}

const BPF_PROG_GET_FD_BY_ID = 13;
const BPF_OBJ_GET_INFO_BY_FD = 15;
const SYS_BPF = process.arch === "arm64" ? 280 : 321;
/** struct bpf_prog_info up to run_cnt. */
const INFO_BYTES = 208;

const { symbols: c } = dlopen("libc.so.6", {
  syscall: { args: ["i64", "i32", "ptr", "u32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
});

function statsOf(id: number): ProgramStats {
  const fd = bpf(BPF_PROG_GET_FD_BY_ID, Uint32Array.of(id, 0, 0, 0));
  const info = new DataView(new ArrayBuffer(INFO_BYTES));
  const attr = new DataView(new ArrayBuffer(16));
  attr.setUint32(0, fd, true);
  attr.setUint32(4, INFO_BYTES, true);
  attr.setBigUint64(8, BigInt(ptr(info)), true);
  bpf(BPF_OBJ_GET_INFO_BY_FD, attr);
  c.close(fd);
  const name = Buffer.from(info.buffer, 64, 16).toString("latin1").replace(/\0.*/s, "");
  return {
    name,
    ns: Number(info.getBigUint64(192, true)),
    runs: Number(info.getBigUint64(200, true)),
  };
}

function bpf(command: number, attr: NodeJS.TypedArray | DataView): number {
  const result = Number(c.syscall(SYS_BPF, command, ptr(attr), attr.byteLength));
  if (result < 0) throw new Error(`bpf(${command}) failed`);
  return result;
}
