/** Snapshots, which the guess searches: copies of kernel memory, each with the values that are known to be in it. Pure. */
import { Failure } from "../errors.ts";
import { checkSnapshot } from "./snapshot_format.ts";

/** The known values of one of the tool's TCP connections at the moment of the copy. A missing member is not known. */
export interface SockTruth {
  family: number;
  state: number;
  /** 0: this kernel has no network namespaces. */
  netns: number;
  /** Inode of the socket's file. */
  ino: number;
  /** IPv4 addresses, 4 bytes in network order; also those of an IPv4-mapped IPv6 socket. */
  daddr?: Uint8Array;
  saddr?: Uint8Array;
  /** 16 bytes in network order. */
  v6_daddr?: Uint8Array;
  v6_saddr?: Uint8Array;
  /** Host order. */
  dport?: number;
  sport?: number;
  /** Bits 1 to 4 of sk_flags: FIN received, OOBINLINE, KEEPALIVE, LINGER. */
  sk_flags?: number;
  sk_err?: number;
  /** SOCK_SNDBUF_LOCK 1, SOCK_RCVBUF_LOCK 2, SOCK_BINDADDR_LOCK 4, SOCK_BINDPORT_LOCK 8. */
  sk_userlocks?: number;
  /** From TCP_INFO, the same before and after the copy. */
  rtt?: number;
  rttvar?: number;
  total_retrans?: number;
  bytes_acked?: bigint;
  bytes_received?: bigint;
  segs_in?: number;
  segs_out?: number;
  /** From TCP_REPAIR's TCP_QUEUE_SEQ, SIOCOUTQ and SIOCINQ. */
  write_seq?: number;
  snd_una?: number;
  rcv_nxt?: number;
  copied_seq?: number;
  /** Between these two moments it became established: CLOCK_MONOTONIC, in microseconds. Older snapshots do not have them. */
  established_after_us?: bigint;
  established_before_us?: bigint;
}

export interface Behind {
  /** Where in the sock the pointer stands. */
  offset: number;
  bytes: Uint8Array;
}

export interface SockSample {
  name: string;
  sk: bigint;
  /** The struct sock and what follows it; shorter where memory could not be read. */
  bytes: Uint8Array;
  truth: SockTruth;
  behind: Behind[];
}

export interface DatagramTruth {
  family: number;
  saddr: Uint8Array;
  daddr: Uint8Array;
  sport: number;
  dport: number;
}

/** The arguments of ip_make_skb or ip6_make_skb: what lies behind argument n stands at index n - 1; null: nothing readable. */
export interface SendSample {
  sk: bigint;
  arguments: (Uint8Array | null)[];
  truth: DatagramTruth;
}

export interface SkbSample {
  sk: bigint;
  bytes: Uint8Array;
  /** Behind the n-th 8-byte word. */
  behind: (Uint8Array | null)[];
  truth: DatagramTruth;
  /** Bytes behind the UDP header; older snapshots, which do not say so, have USUAL_PAYLOAD. */
  payload?: number;
}

export const USUAL_PAYLOAD = 23;

/** The struct skb_shared_info of a send that leaves as several datagrams. */
export interface SharedSample {
  bytes: Uint8Array;
  gso_size: number;
  gso_segs: number;
}

/** A UDP sock, for what must differ between the protocols; or a sock of TCP that never sent. */
export interface ContrastSample {
  bytes: Uint8Array;
  protocol: number;
  type: number;
}

export interface Snapshot {
  format: "tracer-bpf snapshot 1";
  kernel: { release: string; version: string; machine: string };
  attach: "kprobe" | "tracepoint";
  /** Why IPv6 could not be tried, or null. */
  no_ipv6: string | null;
  /** Why ::1 could not be used though there are IPv6 sockets, or null. */
  no_ipv6_address: string | null;
  socks: SockSample[];
  contrast: ContrastSample[];
  sends4: SendSample[];
  sends6: SendSample[];
  skbs: SkbSample[];
  /** Older snapshots do not have it. */
  shared?: SharedSample[];
  /** Why a send cannot leave as several datagrams, or null. Older snapshots do not have it. */
  no_udp_segment?: string | null;
}

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const json = JSON.stringify(snapshot, (_key, value: unknown) => {
    if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString("base64") };
    return typeof value === "bigint" ? { u64: value.toString() } : value;
  });
  return zlib().gzipSync(json, { level: 9 });
}

/** Throws a Failure that says what is wrong with the bytes. */
export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  try {
    const json = zlib().gunzipSync(bytes, { maxOutputLength: LIMIT_BYTES }).toString();
    const value: unknown = JSON.parse(json, (_key, item: unknown) => {
      if (typeof item !== "object" || item === null) return item;
      if ("base64" in item) return new Uint8Array(Buffer.from(String(item.base64), "base64"));
      return "u64" in item ? BigInt(String(item.u64)) : item;
    });
    checkSnapshot(value);
    return value as Snapshot;
  } catch (error) {
    // Any fault that gunzip, JSON or BigInt finds is a fault of the bytes.
    throw new Failure("the snapshot: not usable", { cause: error });
  }
}

// --- internal ---

/** Not imported: every trace would load its 3 MB, and none needs it. */
const zlib = () => process.getBuiltinModule("node:zlib");

/** A snapshot is about 2 MB; whatever unpacks to much more is something else. */
const LIMIT_BYTES = 64 << 20;
