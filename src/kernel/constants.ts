/**
 * Numbers of the kernel's socket API, under the kernel's own names. They are the same on x86-64 and arm64; names
 * whose numbers differ between the two (O_DIRECT, O_DIRECTORY, ...) must not be added here.
 */

import { FailureReason, KernelNumber, TcpState } from "../record/layout.gen.ts";

/** Numbers that the kernel side needs too. */
export const {
  AF_INET,
  AF_INET6,
  SOCK_DGRAM,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_MPTCP,
  SOL_TCP,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_MORE,
  ENOENT,
  SOCK_DONE,
  SOCK_BINDPORT_LOCK,
  IPV4_HEADER,
  UDP_HEADER,
} = KernelNumber;

export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_NETLINK = 16;

export const SOCK_STREAM = 1;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const IPPROTO_IP = 0;
export const IPV6_V6ONLY = 26;

export const SHUT_WR = 1;
export const SHUT_RDWR = 2;

export const SOL_SOCKET = 1;
export const SOL_UDP = 17;
export const SOL_IPV6 = 41;

export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_BROADCAST = 6;
export const SO_SNDTIMEO = 21;
export const SO_ATTACH_FILTER = 26;
export const SO_DETACH_FILTER = 27;

export const TCP_NODELAY = 1;
export const TCP_CORK = 3;
export const TCP_SYNCNT = 7;
export const TCP_INFO = 11;
export const TCP_QUICKACK = 12;
export const TCP_CONGESTION = 13;
export const TCP_USER_TIMEOUT = 18;
export const TCP_REPAIR = 19;
export const TCP_REPAIR_QUEUE = 20;
export const TCP_QUEUE_SEQ = 21;
export const TCP_FASTOPEN = 23;
export const TCP_FASTOPEN_CONNECT = 30;

/** Values of TCP_REPAIR_QUEUE. */
export const TCP_RECV_QUEUE = 1;
export const TCP_SEND_QUEUE = 2;

/** Values of tcpi_state and skc_state. */
export const {
  TCP_STATE_ESTABLISHED: TCP_ESTABLISHED,
  TCP_STATE_FIN_WAIT2: TCP_FIN_WAIT2,
  TCP_STATE_CLOSE: TCP_CLOSE,
  TCP_STATE_CLOSE_WAIT: TCP_CLOSE_WAIT,
  TCP_STATE_LISTEN: TCP_LISTEN,
} = TcpState;

export const MSG_OOB = 0x1;
export const IP_MULTICAST_IF = 32;
export const IP_ADD_MEMBERSHIP = 35;

export const UDP_CORK = 1;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

export const MSG_DONTWAIT = 0x40;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_FASTOPEN = 0x20000000;

export const SIOCINQ = 0x541b;
export const SIOCOUTQ = 0x5411;
export const SIOCOUTQNSD = 0x894b; // bytes that have not been sent yet
export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;
export const IFF_UP = 0x1;

export const TIOCGWINSZ = 0x5413;
/** struct termios of these: u32 iflag, oflag, cflag, lflag; u8 line; u8 cc[19]. */
export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
export const IXON = 0x400;
export const ICANON = 0x2;
export const ECHO = 0x8;
export const IEXTEN = 0x8000;

export const POLLIN = 0x1;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;
export const POLLHUP = 0x10;

export const O_RDONLY = 0;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;

export const F_SETPIPE_SZ = 1031;

export const SPLICE_F_MORE = 4;

export const CLONE_FILES = 0x00000400;
export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWNET = 0x40000000;

/** Inodes of the initial namespaces (include/linux/proc_ns.h, since 3.8). */
export const PROC_PID_INIT_INO = 0xefff_fffc;
export const PROC_USER_INIT_INO = 0xefff_fffd;

/** <linux/capability.h>; CAP_PERFMON and CAP_BPF came with 5.8. */
export const CAP_DAC_OVERRIDE = 1;
export const CAP_DAC_READ_SEARCH = 2;
export const CAP_NET_ADMIN = 12;
export const CAP_IPC_LOCK = 14;
export const CAP_SYS_PTRACE = 19;
export const CAP_SYS_ADMIN = 21;
export const CAP_SYS_NICE = 23;
export const CAP_SYS_RESOURCE = 24;
export const CAP_PERFMON = 38;
export const CAP_BPF = 39;
export const LOCK_EX = 2;
export const LOCK_NB = 4;

export const RLIMIT_NOFILE = 7;
export const RLIMIT_MEMLOCK = 8;
export const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;

export const {
  FAILURE_NETWORK_UNREACHABLE: ENETUNREACH,
  FAILURE_TIMED_OUT: ETIMEDOUT,
  FAILURE_REFUSED: ECONNREFUSED,
} = FailureReason;
export const EPERM = 1;
export const EINTR = 4;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const ENODATA = 61;
export const EMSGSIZE = 90;
export const EAFNOSUPPORT = 97;
export const EADDRNOTAVAIL = 99;
export const ENOBUFS = 105;
export const EINPROGRESS = 115;
export const ESTALE = 116;
