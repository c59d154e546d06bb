/**
 * Runs a command in a place that is not as usual: `bun place.ts NAME COMMAND ARGUMENTS`. Only that command sees the
 * changes, and each place makes sure that the change is there. To add one: a name and a function in the table; then
 * a row in places.test.ts.
 */
import { dlopen, ptr } from "bun:ffi";
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import * as k from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { unitCapabilities } from "./unit.ts";

/** `run` becomes the command; the processes of a place that needs a child wait for it. */
const places: Readonly<Record<string, (command: string[]) => void>> = {
  "read-only-root": (command) => {
    ownMounts();
    for (const at of ["/", "/tmp"]) readOnly(at);
    for (const at of ["/", "/tmp"]) refuses("EROFS", () => writeFileSync(join(at, "file"), ""));
    become(command);
  },

  "noexec-tmp": ([executable = "", ...args]) => {
    ownMounts();
    const moved = besideTmp(executable);
    mount("tmpfs", "/tmp", MS_NOEXEC);
    writeFileSync("/tmp/file", "", { mode: 0o755 });
    refuses("EACCES", () => accessSync("/tmp/file", constants.X_OK));
    become([moved, ...args], { TMPDIR: "/tmp" });
  },

  /** An image made from nothing: no /tmp, no /dev, no /etc, no shell. */
  "bare-root": ([executable = "", ...args]) => {
    ownMounts();
    const root = emptyMount();
    for (const path of ["/proc", "/sys", "/lib", "/lib64", "/usr/lib", "/usr/lib64"])
      borrow(path, root);
    lend(executable, join(root, "tracer-bpf"));
    readOnly(root);
    check(native.chroot(cstring(root)), "chroot");
    process.chdir("/");
    refuses("EROFS", () => mkdirSync("/tmp"));
    become(["/tracer-bpf", ...args], { TMPDIR: "/tmp" });
  },

  "no-tracefs": (command) => {
    ownMounts();
    const mounted = (): string[] => mounts(/^\S+ (\S+) (?:tracefs|debugfs) /gm);
    for (let left = mounted(); left.length > 0; left = mounted())
      check(native.umount2(cstring(left.at(-1)!), MNT_DETACH), `umount ${left.at(-1)}`);
    become(command);
  },

  /** `ulimit -n`: how many is the first word of the command. */
  descriptors: ([count = "", ...command]) => {
    const limit = BigInt(count);
    check(libc.setrlimit(0, k.RLIMIT_NOFILE, { soft: limit, hard: limit }), "setrlimit");
    become(command);
  },

  /** As docker gives it to a container with `--cap-add`: no CAP_IPC_LOCK, and less to lock than the rings want. */
  "little-locked-memory": (command) => {
    const limit = 2n << 20n;
    dropFromBoundingSet(k.CAP_IPC_LOCK);
    check(libc.setrlimit(0, k.RLIMIT_MEMLOCK, { soft: limit, hard: limit }), "setrlimit");
    become(command);
  },

  "stdin-closed": (command) => {
    libc.close(0);
    become(command);
  },

  /** As packaging/tracer-bpf.service has it, but for the filter of system calls. */
  "systemd-unit": ([executable = "", ...args]) => {
    const capabilities = unitCapabilities();
    ownMounts();
    const moved = besideTmp(executable);
    for (const at of ["/", "/sys", ...mountsBelow("/sys"), "/proc/sys"]) readOnly(at);
    mount("tmpfs", "/tmp");
    // A sandbox may refuse it. Then another tracer at the same time may leave too little for the rings of this one.
    libc.setrlimit(0, k.RLIMIT_MEMLOCK, { soft: k.RLIM_INFINITY, hard: k.RLIM_INFINITY });
    keepCapabilities(capabilities);
    check(native.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n), "no new privileges");
    become([moved, ...args]);
  },

  /** `docker run --cap-add SYS_ADMIN ...`: all others but this one. */
  "no-net-admin": (command) => {
    dropFromBoundingSet(k.CAP_NET_ADMIN);
    become(command);
  },

  /** The same without the right to open a file by its handle, and with it a control group by its id. */
  "no-dac-read-search": (command) => {
    dropFromBoundingSet(k.CAP_DAC_READ_SEARCH);
    become(command);
  },

  /** Names come from the server at this address alone, the first word of the command. */
  "name-server": ([address = "", ...command]) => {
    ownMounts();
    mount("tmpfs", "/etc");
    writeFileSync("/etc/resolv.conf", `nameserver ${address}\n`);
    become(command);
  },

  /** As some hardened hosts mount it: of other users' processes it shows nothing without CAP_SYS_PTRACE. */
  "hidden-processes": (command) => {
    ownMounts();
    mount("proc", "/proc", 0, "hidepid=2");
    if (mounts(/^proc (\/proc) .*\bhidepid=/gm).length === 0) throw new Error("nothing is hidden");
    become(command);
  },

  /** A sandbox that lets no process give anything up. */
  "no-capset": (command) => {
    const capset = process.arch === "arm64" ? 91 : 126;
    refuseCall(capset);
    become(command);
  },

  /** As with vm.memfd_noexec=2: no file in memory. */
  "no-memfd": (command) => {
    refuseCall(process.arch === "arm64" ? 279 : 319);
    become(command);
  },

  /** `docker run --pid=host`: the host's processes, a network without anything in it. */
  "container-with-host-pids": (command) => {
    check(libc.unshare(k.CLONE_NEWNS | k.CLONE_NEWNET), "unshare");
    privateMounts();
    become(command);
  },

  container: (command) => {
    check(libc.unshare(k.CLONE_NEWNS | k.CLONE_NEWNET), "unshare");
    privateMounts();
    inPidNamespace(command);
  },

  /** `docker run --network=host`. */
  "container-with-host-network": (command) => {
    ownMounts();
    inPidNamespace(command);
  },

  /** The first process of a new pid namespace mounts that namespace's /proc. */
  "own-proc": (command) => {
    mount("proc", "/proc");
    if (readlinkSync("/proc/self") !== "1") throw new Error("this is no namespace of its own");
    become(command);
  },
};

const MS_RDONLY = 1;
const MS_NOEXEC = 8;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MS_REC = 16384;
const MS_PRIVATE = 1 << 18;
const MNT_DETACH = 2;
const PR_CAPBSET_DROP = 24;
const PR_SET_SECCOMP = 22;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_MODE_FILTER = 2n;

// mount(8) is not in every minimal system.
const { symbols: native } = dlopen("libc.so.6", {
  mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
  umount2: { args: ["ptr", "i32"], returns: "i32" },
  chroot: { args: ["ptr"], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
});

/** Nothing may collect what C still points to. */
const kept: Buffer[][] = [];

const [name, ...command] = process.argv.slice(2);
places[name!]!(command);

// --- internal ---

function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

function check(result: number, what: string): void {
  if (result < 0) throw new Error(`${what} failed: this place needs root`);
}

function mount(type: string, at: string, flags = 0, options = ""): void {
  const kind = cstring(type);
  const made = native.mount(kind, cstring(at), kind, flags, cstring(options));
  check(made, `mount ${type} on ${at}`);
}

function bind(from: string, to: string): void {
  const flags = MS_BIND | MS_REC;
  check(native.mount(cstring(from), cstring(to), null, flags, null), `bind ${from}`);
}

function lend(file: string, as: string): void {
  writeFileSync(as, "");
  bind(file, as);
}

/** The checkout, and so the executable, may lie in the /tmp that is about to be hidden. */
function besideTmp(executable: string): string {
  const moved = join(emptyMount(), "tracer-bpf");
  lend(executable, moved);
  return moved;
}

/** Seen by this process only. */
function emptyMount(): string {
  const at = "/mnt";
  if (!existsSync(at)) mkdirSync(at);
  mount("tmpfs", at);
  return at;
}

/** Shows the file or folder at `path` below `root` too, with links as links. */
function borrow(path: string, root: string): void {
  if (!existsSync(path)) return;
  const to = join(root, path);
  mkdirSync(dirname(to), { recursive: true });
  if (lstatSync(path).isSymbolicLink()) return symlinkSync(readlinkSync(path), to);
  mkdirSync(to);
  bind(path, to);
}

function mounts(select: RegExp): string[] {
  return Array.from(readFileSync("/proc/self/mounts", "utf8").matchAll(select), ([, at]) => at!);
}

function mountsBelow(path: string): string[] {
  return mounts(/^\S+ (\S+) /gm).filter((at) => at.startsWith(`${path}/`));
}

/** A program that is executed from now on never has it. */
function dropFromBoundingSet(capability: number): void {
  check(native.prctl(PR_CAPBSET_DROP, BigInt(capability), 0n, 0n, 0n), "bounding set");
}

/** Takes all others out of the bounding set, and so from what is executed. */
function keepCapabilities(kept: Set<number>): void {
  for (let capability = 0; ; capability++) {
    if (kept.has(capability)) continue;
    // The first that the kernel does not know ends the list.
    if (native.prctl(PR_CAPBSET_DROP, BigInt(capability), 0n, 0n, 0n) < 0) return;
  }
}

/** A seccomp filter that answers EPERM to one system call. Needs root, so that no_new_privs can stay off. */
function refuseCall(number: number): void {
  const [LOAD, JUMP_IF_EQUAL, RETURN, ALLOW, ERRNO] = [0x20, 0x15, 0x06, 0x7fff_0000, 0x5_0000];
  /** struct sock_filter: u16 code, u8 jt, u8 jf, u32 k. */
  const instructions = [
    [LOAD, 0, 0, 0],
    [JUMP_IF_EQUAL, 0, 1, number],
    [RETURN, 0, 0, ERRNO! | k.EPERM],
    [RETURN, 0, 0, ALLOW],
  ] as const;
  const filter = Buffer.alloc(instructions.length * 8);
  for (const [n, [code, jt, jf, value]] of instructions.entries()) {
    filter.writeUInt16LE(code!, n * 8);
    filter.set([jt, jf], n * 8 + 2);
    filter.writeUInt32LE(value!, n * 8 + 4);
  }
  const program = BigUint64Array.of(BigInt(instructions.length), BigInt(ptr(filter)));
  const set = native.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, BigInt(ptr(program)), 0n, 0n);
  check(set, "seccomp");
}

function ownMounts(): void {
  check(libc.unshare(k.CLONE_NEWNS), "unshare");
  privateMounts();
}

/** Nothing that follows comes back to the host. */
function privateMounts(): void {
  check(native.mount(null, cstring("/"), null, MS_REC | MS_PRIVATE, null), "private mounts");
}

/** A mount of its own, so that flags can be set on any directory. */
function readOnly(at: string): void {
  if (at !== "/") bind(at, at);
  const flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
  check(native.mount(null, cstring(at), null, flags, null), `read-only ${at}`);
}

function refuses(code: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    if ((error as { code?: string }).code === code) return;
    throw error;
  }
  throw new Error(`no ${code}: this place is not what its name says`);
}

function environment(more: Record<string, string>): Record<string, string | undefined> {
  const { BUN_BE_BUN: _, ...rest } = process.env;
  return { ...rest, ...more };
}

/** This process is the command from here on: its pid, its signals and its open files are the starter's to see. */
function become(words: string[], more: Record<string, string> = {}): never {
  const env = Object.entries(environment(more)).map(assignment);
  native.execve(cstring(words[0]!), list(words), list(env));
  throw new Error(`cannot run ${words[0]}`);
}

/**
 * unshare(1), because after unshare(2) of the pid namespace this process could start no more threads, which Bun does at
 * any time. It keeps signals to itself, so they go to its child, the namespace's first process.
 */
function inPidNamespace(words: string[]): void {
  const first = [process.execPath, import.meta.path, "own-proc", ...words];
  const child = Bun.spawn(["unshare", "-m", "-p", "-f", "env", "BUN_BE_BUN=1", ...first], {
    stdio: ["inherit", "inherit", "inherit"],
    env: environment({}),
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      for (const pid of childrenOf(child.pid)) process.kill(pid, signal);
    });
  void child.exited.then((code) => process.exit(code));
}

function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
      return Number(stat.replace(/^.*\) . /s, "").split(" ")[0]) === parent;
    })
    .map(Number);
}

function assignment([key, value]: [string, string | undefined]): string {
  return `${key}=${value}`;
}

/** An array of C strings. */
function list(texts: string[]): BigUint64Array {
  const bytes = texts.map(cstring);
  kept.push(bytes);
  return BigUint64Array.from([...bytes.map((text) => BigInt(ptr(text))), 0n]);
}
