/**
 * Runs before any other module of the executable is evaluated, because these call the kernel as soon as they are there:
 * whether this process may run at all, and whether its runtime can.
 */

import { readFileSync } from "node:fs";
import { exitCodeOf, formatError, type Failure } from "./errors.ts";
import { identity } from "./kernel/elevation.ts";
import { tellError } from "./log.ts";
import {
  beganAnew,
  elevationOf,
  refusedVariable,
  SMALL_RESERVATION,
  smaller,
  withoutJit,
  type AddressSpace,
  type Identity,
} from "./runtime.ts";

const refusal = whyNot();
if (refusal !== null) {
  tellError(formatError(refusal, false));
  process.exit(exitCodeOf(refusal));
}
// A command of `-- CMD` is somebody else's program.
if (beganAnew(process.env)) delete process.env[SMALL_RESERVATION.name];

function whyNot(): Failure | null {
  const who = identityOrNull();
  const elevated = who === null ? null : elevationOf(who);
  const refused = elevated ?? refusedVariable(process.env);
  if (refused !== null || who !== null) return refused;
  if (!beganAnew(process.env)) beginAnew();
  return withoutJit(addressSpace());
}

/** null: the runtime has no JIT compiler. */
function identityOrNull(): Identity | null {
  try {
    return identity();
  } catch {
    return null;
  }
}

/** Comes back only where execve(2) is refused. */
function beginAnew(): void {
  const { argv, execPath } = process;
  try {
    process.execve?.(execPath, [process.argv0, ...argv.slice(2)], smaller(process.env) as never);
  } catch {
    return;
  }
}

function addressSpace(): AddressSpace {
  const limit = /^Max address space +(\d+)/m.exec(textOf("/proc/self/limits"))?.[1];
  const overcommit = textOf("/proc/sys/vm/overcommit_memory");
  return {
    limit: limit === undefined ? null : Number(limit),
    overcommit: overcommit === "" ? null : Number(overcommit),
  };
}

/** Empty where it cannot be read. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
