/** From a refusal of the tool's own connections to an error that says why and what to do. */
import { constants } from "node:os";
import { Failure } from "../errors.ts";
import { explainLoadFailure } from "../explain.ts";
import { errnoName } from "../kernel/libc.ts";
import { DisturbedError, LoopbackError } from "./loopback.ts";

export function loopbackFailure(error: LoopbackError): Failure {
  const errno = errnoName(error.errno);
  const { hint } = causes.find(({ fits }) => fits(error, errno))!;
  if (typeof hint !== "string") return hint(error);
  return new Failure("loopback: the connections of the tool itself do not work", {
    why: error.message,
    hint,
    cause: error,
  });
}

// --- internal ---

const { ENOBUFS, ENOMEM } = constants.errno;

interface Cause {
  fits(error: LoopbackError, errno: string): boolean;
  hint: string | ((error: LoopbackError) => Failure);
}

/** Limits that have nothing to do with loopback. */
const OF_THE_PROCESS = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"];
/** Of socket(2). */
const FORBIDDEN = ["EPERM", "EACCES", "EAFNOSUPPORT"];

/** Tried from the top. To add one, put it above the first entry that would also fit but say less. */
const causes: readonly Cause[] = [
  {
    fits: (error) => error instanceof DisturbedError,
    hint: "a process of this host connects to all listeners on loopback; ss -tnp shows which; stop it, or give the tracer CAP_SYS_ADMIN, so that it can use a network namespace of its own",
  },
  {
    fits: (_, errno) => OF_THE_PROCESS.includes(errno),
    hint: ({ errno, message }) =>
      explainLoadFailure({
        errno: errno === ENOBUFS ? ENOMEM : errno,
        subject: `a connection of the tool itself (${message})`,
        log: "",
        lockdown: null,
        euid: 0,
        kernel: "",
      }),
  },
  {
    fits: ({ message }, errno) => message.startsWith("socket") && FORBIDDEN.includes(errno),
    hint: "a sandbox forbids sockets: allow AF_INET and AF_INET6 (RestrictAddressFamilies= of a systemd unit, a seccomp filter, a security module)",
  },
  {
    fits: () => true,
    hint: "see whether a firewall rule or a security module stops 127.0.0.0/8; ip link set lo up",
  },
];
