/** The numbers inside the records, by the names under which the library has them. Values are those of bpf/public.h and bpf/record.h. */
import * as layout from "../record/layout.gen.ts";

type Values<T> = T[keyof T];

/** `ConnStats.direction`. */
export const ConnDirection = {
  Unknown: layout.ConnDirection.DIRECTION_UNKNOWN,
  Incoming: layout.ConnDirection.DIRECTION_INCOMING,
  Outgoing: layout.ConnDirection.DIRECTION_OUTGOING,
} as const;
export type ConnDirection = Values<typeof ConnDirection>;

/** `ConnTuple.metadata & 2`. */
export const ConnFamily = {
  IPv4: layout.ConnFamily.CONN_FAMILY_V4,
  IPv6: layout.ConnFamily.CONN_FAMILY_V6,
} as const;
export type ConnFamily = Values<typeof ConnFamily>;

/** `ConnTuple.metadata & 1`. */
export const ConnType = {
  UDP: layout.ConnType.CONN_TYPE_UDP,
  TCP: layout.ConnType.CONN_TYPE_TCP,
} as const;
export type ConnType = Values<typeof ConnType>;

/** Bits of `ConnStats.flags`: this end has sent, the other end has sent, a further leg came after both. */
export const ConnFlags = {
  LInit: layout.ConnFlags.CONN_L_INIT,
  RInit: layout.ConnFlags.CONN_R_INIT,
  Assured: layout.ConnFlags.CONN_ASSURED,
} as const;
export type ConnFlags = Values<typeof ConnFlags>;

/** The kernel's states; bit n of `TCPStats.state_transitions` says that state n was entered. */
export const TCPState = {
  Established: layout.TcpState.TCP_STATE_ESTABLISHED,
  SynSent: layout.TcpState.TCP_STATE_SYN_SENT,
  SynRecv: layout.TcpState.TCP_STATE_SYN_RECV,
  FinWait1: layout.TcpState.TCP_STATE_FIN_WAIT1,
  FinWait2: layout.TcpState.TCP_STATE_FIN_WAIT2,
  TimeWait: layout.TcpState.TCP_STATE_TIME_WAIT,
  Close: layout.TcpState.TCP_STATE_CLOSE,
  CloseWait: layout.TcpState.TCP_STATE_CLOSE_WAIT,
  LastAck: layout.TcpState.TCP_STATE_LAST_ACK,
  Listen: layout.TcpState.TCP_STATE_LISTEN,
  Closing: layout.TcpState.TCP_STATE_CLOSING,
  NewSynRecv: layout.TcpState.TCP_STATE_NEW_SYN_RECV,
} as const;
export type TCPState = Values<typeof TCPState>;

/** `TCPStats.failure_reason` and `ConnEvent.failure`: the kernel's errno. Others can occur; 0 in a record is none. */
export const TCPFailure = {
  NetworkUnreachable: layout.FailureReason.FAILURE_NETWORK_UNREACHABLE,
  Reset: layout.FailureReason.FAILURE_RESET,
  TimedOut: layout.FailureReason.FAILURE_TIMED_OUT,
  Refused: layout.FailureReason.FAILURE_REFUSED,
  HostUnreachable: layout.FailureReason.FAILURE_HOST_UNREACHABLE,
  /** The application gave up while its SYN was unanswered. */
  Cancelled: layout.FailureReason.FAILURE_CANCELLED,
} as const;
export type TCPFailure = Values<typeof TCPFailure>;

/** Index of a classifier in its program array. */
export const ClassificationProgram = {
  Queues: layout.ClassificationProgram.CLASSIFICATION_QUEUES,
  DBs: layout.ClassificationProgram.CLASSIFICATION_DBS,
  GRPC: layout.ClassificationProgram.CLASSIFICATION_GRPC,
} as const;
export type ClassificationProgram = Values<typeof ClassificationProgram>;
