/**
 * The JavaScript runtime inside the executable: the variables that it obeys before the tracer has a say, and why it
 * cannot work here. Pure.
 */

import { ElevationError, EnvironmentError, type Failure, UnsupportedError } from "./errors.ts";

export interface RuntimeVariables {
  /** Matches the names. */
  names: RegExp;
  /** As documents name them. */
  text: string;
  acts: string;
  /** The tracer refuses to run with it. `BUN_BE_BUN` cannot be refused: the tracer does not run then. */
  refused: boolean;
}

/**
 * Seen to act on the executable (NODE_OPTIONS and NODE_PATH do not). To add one: a row here, the name in the unit's
 * UnsetEnvironment if one name can be given, and a row in docs/security.md.
 */
export const runtimeVariables: readonly RuntimeVariables[] = [
  {
    names: /^BUN_OPTIONS$/,
    text: "BUN_OPTIONS",
    acts: "flags of the runtime, some of which run any code",
    refused: true,
  },
  {
    names: /^BUN_INSPECT/,
    text: "BUN_INSPECT",
    acts: "a debugger, through which whoever reaches it runs any code",
    refused: true,
  },
  {
    names: /^BUN_JSC_(?!useDFGJIT$)/,
    text: "BUN_JSC_",
    acts: "options of the engine, some of which write files or stop it",
    refused: true,
  },
  {
    names: /^BUN_JSC_useDFGJIT$/,
    text: "BUN_JSC_useDFGJIT",
    acts: "with 0 the engine's optimizing compiler is off: a start takes half the time under emulation",
    refused: false,
  },
  {
    names: /^BUN_BE_BUN$/,
    text: "BUN_BE_BUN",
    acts: "the executable is a plain runtime, not the tracer",
    refused: false,
  },
  {
    names: /^(BUN_TMPDIR|TMPDIR)$/,
    text: "BUN_TMPDIR",
    acts: "where the native library is unpacked, if memory cannot hold it",
    refused: false,
  },
  {
    names: /^MIMALLOC_/,
    text: "MIMALLOC_",
    acts: "options of the allocator: how much memory is kept, messages on stderr",
    refused: false,
  },
];

export interface Identity {
  /** AT_SECURE. */
  secure: boolean;
  uid: number;
  euid: number;
  gid: number;
  egid: number;
  executable: string;
}

/**
 * Why this process must not go on: its runtime obeys BUN_OPTIONS and BUN_BE_BUN in an environment that somebody with
 * fewer rights chose. Root itself may have AT_SECURE, when a security module sees it enter another domain.
 */
export function elevationOf(identity: Identity): ElevationError | null {
  const { secure, uid, euid, gid, egid, executable } = identity;
  if (!secure || (uid === 0 && euid === 0)) return null;
  const way = ways.find(({ fits }) => fits(uid !== euid, gid !== egid))!;
  return new ElevationError({
    why: `${executable} has ${way.name}, and its runtime obeys BUN_OPTIONS and BUN_BE_BUN in anybody's environment: any user could run any code with its rights`,
    hint: `${way.undo} ${executable}, then: sudo tracer-bpf ...`,
  });
}

const ways: readonly {
  fits(uid: boolean, gid: boolean): boolean;
  name: string;
  undo: string;
}[] = [
  { fits: (uid) => uid, name: "the setuid bit", undo: "chmod u-s" },
  { fits: (_, gid) => gid, name: "the setgid bit", undo: "chmod g-s" },
  { fits: () => true, name: "file capabilities", undo: "setcap -r" },
];

/** The engine's own default is a gigabyte of address space; this is many times what the tracer's code takes. */
export const SMALL_RESERVATION = {
  name: "BUN_JSC_jitMemoryReservationSize",
  value: String(32 << 20),
} as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** The tracer has begun anew, as `smaller` says. */
export const beganAnew = (environment: Environment): boolean =>
  environment[SMALL_RESERVATION.name] === SMALL_RESERVATION.value;

/** The environment to begin anew with, where the engine found no room for the code that it makes. */
export const smaller = (environment: Environment): Environment => ({
  ...environment,
  [SMALL_RESERVATION.name]: SMALL_RESERVATION.value,
});

/** The error about the first variable that this process must not run with, or null. */
export function refusedVariable(environment: Environment): EnvironmentError | null {
  for (const [name, value] of Object.entries(environment)) {
    // Empty they do nothing, but for BUN_JSC_, where the runtime has ended by itself.
    if (value === undefined || value === "") continue;
    if (name === SMALL_RESERVATION.name && beganAnew(environment)) continue;
    const row = runtimeVariables.find(({ names, refused }) => refused && names.test(name));
    if (row === undefined) continue;
    return new EnvironmentError(name, {
      why: `the JavaScript runtime inside obeys it: ${row.acts}`,
      hint: `env -u ${name} tracer-bpf ...; a traced command gets it by: -- env ${name}=... CMD`,
    });
  }
  return null;
}

export interface AddressSpace {
  /** RLIMIT_AS in bytes; null: none. */
  limit: number | null;
  /** vm.overcommit_memory; null: it cannot be read. */
  overcommit: number | null;
}

/** Without memory for code that it makes the engine has no way to call the kernel: bun:ffi compiles each call. */
export function withoutJit({ limit, overcommit }: AddressSpace): Failure {
  const subject = "memory that is writable and executable";
  if (limit !== null)
    return new UnsupportedError(subject, {
      why: `the runtime found no room for it: its address space is limited to ${Math.floor(limit / 1e6)} MB`,
      hint: "ulimit -v unlimited, or at least 450000, then run it again (for a systemd unit: LimitAS=infinity)",
    });
  if (overcommit === 2)
    return new UnsupportedError(subject, {
      why: "the runtime found no room for it: vm.overcommit_memory is 2, and CommitLimit in /proc/meminfo is reached",
      hint: "sysctl vm.overcommit_memory=0, or a higher vm.overcommit_ratio, or free some memory",
    });
  return new UnsupportedError(subject, {
    why: "the runtime compiles its calls into the kernel, and something forbids that here: MemoryDenyWriteExecute= of a systemd unit, prctl(PR_SET_MDWE), or a security module (SELinux: execmem)",
    hint: "MemoryDenyWriteExecute=no in the unit; look for a denial in: dmesg, or the audit log",
  });
}
