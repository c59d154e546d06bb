// Generated from bpf/*.h by build.ts: run "bun run build", do not edit.
/* Little-endian, as every machine we run on. `_pad` members are left out. */

/** The part of the buffer that the view shows, and nothing beyond it: throws a RangeError as the view itself does. */
function bytesAt(view: DataView, p: number, length: number): Uint8Array {
  if (p + length > view.byteLength) throw new RangeError("Out of bounds access");
  return new Uint8Array(view.buffer, view.byteOffset + p, length);
}

export const Tick = {
  TICK_BITS: 24,
} as const;
export type Tick = (typeof Tick)[keyof typeof Tick];

export const TcpState = {
  TCP_STATE_ESTABLISHED: 1,
  TCP_STATE_SYN_SENT: 2,
  TCP_STATE_SYN_RECV: 3,
  TCP_STATE_FIN_WAIT1: 4,
  TCP_STATE_FIN_WAIT2: 5,
  TCP_STATE_TIME_WAIT: 6,
  TCP_STATE_CLOSE: 7,
  TCP_STATE_CLOSE_WAIT: 8,
  TCP_STATE_LAST_ACK: 9,
  TCP_STATE_LISTEN: 10,
  TCP_STATE_CLOSING: 11,
  TCP_STATE_NEW_SYN_RECV: 12,
} as const;
export type TcpState = (typeof TcpState)[keyof typeof TcpState];

export const ConnDirection = {
  DIRECTION_UNKNOWN: 0,
  DIRECTION_INCOMING: 1,
  DIRECTION_OUTGOING: 2,
} as const;
export type ConnDirection = (typeof ConnDirection)[keyof typeof ConnDirection];

export const ConnMetadata = {
  METADATA_TCP: 1,
  METADATA_IPV6: 2,
} as const;
export type ConnMetadata = (typeof ConnMetadata)[keyof typeof ConnMetadata];

export const ConnFlags = {
  CONN_L_INIT: 1,
  CONN_R_INIT: 2,
  CONN_ASSURED: 4,
} as const;
export type ConnFlags = (typeof ConnFlags)[keyof typeof ConnFlags];

export const FailureReason = {
  FAILURE_NETWORK_UNREACHABLE: 101,
  FAILURE_RESET: 104,
  FAILURE_TIMED_OUT: 110,
  FAILURE_REFUSED: 111,
  FAILURE_HOST_UNREACHABLE: 113,
  FAILURE_CANCELLED: 125,
} as const;
export type FailureReason = (typeof FailureReason)[keyof typeof FailureReason];

export const EventKind = {
  EVENT_CONNECT: 1,
  EVENT_ACCEPT: 2,
  EVENT_CLOSE: 3,
  EVENT_PASSIVE: 4,
  EVENT_FAIL: 5,
  EVENT_OPEN: 6,
  EVENT_SAMPLE: 7,
  EVENT_UDP_OPEN: 8,
  EVENT_UDP_CLOSE: 9,
  EVENT_UDP_SAMPLE: 10,
  EVENT_SOCKMAP: 11,
  EVENT_LISTEN: 12,
  EVENT_TRANSLATION: 13,
  EVENT_PAYLOAD: 14,
  EVENT_SEGMENTS: 15,
  EVENT_UDP_FAIL: 16,
  EVENT_DATAGRAM: 17,
} as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

export const ConnFact = {
  FACT_ESTABLISHED: 1,
  FACT_FIN_SENT: 2,
  FACT_ACCEPTED: 4,
  FACT_UNSEEN_OPEN: 8,
  FACT_TOTALS_TAKEN: 16,
  FACT_UNSEEN_CLOSE: 32,
  FACT_COUNTERS_UNSTABLE: 64,
  FACT_NO_SYN: 128,
  FACT_FIRST_FLOW: 256,
  FACT_TOTALS_LOST: 512,
  FACT_FAILED: 1024,
  FACT_UNWANTED: 2048,
  FACT_FOLLOWED: 4096,
  FACT_BOUND: 8192,
  FACT_REDIRECTED: 16384,
  FACT_OWNED_BY_CLOSER: 32768,
  FACT_RECEIVED_UNKNOWN: 65536,
  FACT_PLAIN: 131072,
  FACT_TRANSLATED: 262144,
  FACT_NAT_ASKED: 524288,
  FACT_OPENED_FOR_OTHER: 1048576,
  FACT_WAIT_KNOWN: 2097152,
  FACT_SEEN: 4194304,
} as const;
export type ConnFact = (typeof ConnFact)[keyof typeof ConnFact];

export const Filter = {
  FILTER_PIDS: 1,
  FILTER_PORTS: 2,
  FILTER_LOCAL_PORTS: 4,
  FILTER_REMOTE_PORTS: 8,
  FILTER_IPV4: 16,
  FILTER_IPV6: 32,
  FILTER_NO_TCP: 64,
  FILTER_FOLLOWED: 128,
} as const;
export type Filter = (typeof Filter)[keyof typeof Filter];

export const ReceivePlaces = {
  RECEIVE_PLACES: 16384,
} as const;
export type ReceivePlaces = (typeof ReceivePlaces)[keyof typeof ReceivePlaces];

export const endsSize = 40;
export interface Ends {
  saddr_h: bigint;
  saddr_l: bigint;
  daddr_h: bigint;
  daddr_l: bigint;
  sport: number;
  dport: number;
  metadata: number;
}
export function readEnds(view: DataView, p: number): Ends {
  return {
    saddr_h: view.getBigUint64(p, true),
    saddr_l: view.getBigUint64(p + 8, true),
    daddr_h: view.getBigUint64(p + 16, true),
    daddr_l: view.getBigUint64(p + 24, true),
    sport: view.getUint16(p + 32, true),
    dport: view.getUint16(p + 34, true),
    metadata: view.getUint32(p + 36, true),
  };
}
export function writeEnds(view: DataView, p: number, value: Ends): void {
  view.setBigUint64(p, value.saddr_h, true);
  view.setBigUint64(p + 8, value.saddr_l, true);
  view.setBigUint64(p + 16, value.daddr_h, true);
  view.setBigUint64(p + 24, value.daddr_l, true);
  view.setUint16(p + 32, value.sport, true);
  view.setUint16(p + 34, value.dport, true);
  view.setUint32(p + 36, value.metadata, true);
}
/** Read where it lies, member by member, when asked. A u64 also as a number, exact up to 2^53. */
export class EndsView implements Ends {
  readonly view: DataView;
  readonly p: number;
  constructor(view: DataView, p: number) {
    this.view = view;
    this.p = p;
  }
  get saddr_h() {
    return this.view.getBigUint64(this.p, true);
  }
  get saddr_h_number() {
    return this.view.getUint32(this.p, true) + this.view.getUint32(this.p + 4, true) * 4294967296;
  }
  get saddr_l() {
    return this.view.getBigUint64(this.p + 8, true);
  }
  get saddr_l_number() {
    return this.view.getUint32(this.p + 8, true) + this.view.getUint32(this.p + 12, true) * 4294967296;
  }
  get daddr_h() {
    return this.view.getBigUint64(this.p + 16, true);
  }
  get daddr_h_number() {
    return this.view.getUint32(this.p + 16, true) + this.view.getUint32(this.p + 20, true) * 4294967296;
  }
  get daddr_l() {
    return this.view.getBigUint64(this.p + 24, true);
  }
  get daddr_l_number() {
    return this.view.getUint32(this.p + 24, true) + this.view.getUint32(this.p + 28, true) * 4294967296;
  }
  get sport() {
    return this.view.getUint16(this.p + 32, true);
  }
  get dport() {
    return this.view.getUint16(this.p + 34, true);
  }
  get metadata() {
    return this.view.getUint32(this.p + 36, true);
  }
}

export const ownerSize = 48;
export interface Owner {
  pid: number;
  uid: number;
  owned_at: number;
  listener_ino: number;
  cgroup_id: bigint;
  program: bigint;
  comm: Uint8Array;
  of_thread: number;
}
export function readOwner(view: DataView, p: number): Owner {
  return {
    pid: view.getUint32(p, true),
    uid: view.getUint32(p + 4, true),
    owned_at: view.getUint32(p + 8, true),
    listener_ino: view.getUint32(p + 12, true),
    cgroup_id: view.getBigUint64(p + 16, true),
    program: view.getBigUint64(p + 24, true),
    comm: bytesAt(view, p + 32, 15).slice(),
    of_thread: view.getUint8(p + 47),
  };
}
export function writeOwner(view: DataView, p: number, value: Owner): void {
  view.setUint32(p, value.pid, true);
  view.setUint32(p + 4, value.uid, true);
  view.setUint32(p + 8, value.owned_at, true);
  view.setUint32(p + 12, value.listener_ino, true);
  view.setBigUint64(p + 16, value.cgroup_id, true);
  view.setBigUint64(p + 24, value.program, true);
  bytesAt(view, p + 32, 15).set(value.comm);
  view.setUint8(p + 47, value.of_thread);
}
/** Read where it lies, member by member, when asked. A u64 also as a number, exact up to 2^53. */
export class OwnerView implements Owner {
  readonly view: DataView;
  readonly p: number;
  constructor(view: DataView, p: number) {
    this.view = view;
    this.p = p;
  }
  get pid() {
    return this.view.getUint32(this.p, true);
  }
  get uid() {
    return this.view.getUint32(this.p + 4, true);
  }
  get owned_at() {
    return this.view.getUint32(this.p + 8, true);
  }
  get listener_ino() {
    return this.view.getUint32(this.p + 12, true);
  }
  get cgroup_id() {
    return this.view.getBigUint64(this.p + 16, true);
  }
  get cgroup_id_number() {
    return this.view.getUint32(this.p + 16, true) + this.view.getUint32(this.p + 20, true) * 4294967296;
  }
  get program() {
    return this.view.getBigUint64(this.p + 24, true);
  }
  get program_number() {
    return this.view.getUint32(this.p + 24, true) + this.view.getUint32(this.p + 28, true) * 4294967296;
  }
  get comm() {
    return bytesAt(this.view, this.p + 32, 15).slice();
  }
  get of_thread() {
    return this.view.getUint8(this.p + 47);
  }
}

export const eventSize = 184;
export interface Event {
  sk: bigint;
  ends: Ends;
  owner: Owner;
  sent_bytes: bigint;
  recv_bytes: bigint;
  sent_packets: bigint;
  recv_packets: bigint;
  timestamp: bigint;
  started_at: bigint;
  ended_at: bigint;
  netns: number;
  cookie: number;
  flags: number;
  rtt: number;
  rtt_var: number;
  retransmits: number;
  state_transitions: number;
  failure_reason: number;
  kind: number;
  direction: number;
  legs: number;
  endpoint_speaks: number;
}
export function readEvent(view: DataView, p: number): Event {
  return {
    sk: view.getBigUint64(p, true),
    ends: readEnds(view, p + 8),
    owner: readOwner(view, p + 48),
    sent_bytes: view.getBigUint64(p + 96, true),
    recv_bytes: view.getBigUint64(p + 104, true),
    sent_packets: view.getBigUint64(p + 112, true),
    recv_packets: view.getBigUint64(p + 120, true),
    timestamp: view.getBigUint64(p + 128, true),
    started_at: view.getBigUint64(p + 136, true),
    ended_at: view.getBigUint64(p + 144, true),
    netns: view.getUint32(p + 152, true),
    cookie: view.getUint32(p + 156, true),
    flags: view.getUint32(p + 160, true),
    rtt: view.getUint32(p + 164, true),
    rtt_var: view.getUint32(p + 168, true),
    retransmits: view.getUint32(p + 172, true),
    state_transitions: view.getUint16(p + 176, true),
    failure_reason: view.getUint16(p + 178, true),
    kind: view.getUint8(p + 180),
    direction: view.getUint8(p + 181),
    legs: view.getUint8(p + 182),
    endpoint_speaks: view.getUint8(p + 183),
  };
}
export function writeEvent(view: DataView, p: number, value: Event): void {
  view.setBigUint64(p, value.sk, true);
  writeEnds(view, p + 8, value.ends);
  writeOwner(view, p + 48, value.owner);
  view.setBigUint64(p + 96, value.sent_bytes, true);
  view.setBigUint64(p + 104, value.recv_bytes, true);
  view.setBigUint64(p + 112, value.sent_packets, true);
  view.setBigUint64(p + 120, value.recv_packets, true);
  view.setBigUint64(p + 128, value.timestamp, true);
  view.setBigUint64(p + 136, value.started_at, true);
  view.setBigUint64(p + 144, value.ended_at, true);
  view.setUint32(p + 152, value.netns, true);
  view.setUint32(p + 156, value.cookie, true);
  view.setUint32(p + 160, value.flags, true);
  view.setUint32(p + 164, value.rtt, true);
  view.setUint32(p + 168, value.rtt_var, true);
  view.setUint32(p + 172, value.retransmits, true);
  view.setUint16(p + 176, value.state_transitions, true);
  view.setUint16(p + 178, value.failure_reason, true);
  view.setUint8(p + 180, value.kind);
  view.setUint8(p + 181, value.direction);
  view.setUint8(p + 182, value.legs);
  view.setUint8(p + 183, value.endpoint_speaks);
}
/** Read where it lies, member by member, when asked. A u64 also as a number, exact up to 2^53. */
export class EventView implements Event {
  readonly view: DataView;
  readonly p: number;
  constructor(view: DataView, p: number) {
    this.view = view;
    this.p = p;
  }
  get sk() {
    return this.view.getBigUint64(this.p, true);
  }
  get sk_number() {
    return this.view.getUint32(this.p, true) + this.view.getUint32(this.p + 4, true) * 4294967296;
  }
  get ends() {
    return new EndsView(this.view, this.p + 8);
  }
  get owner() {
    return new OwnerView(this.view, this.p + 48);
  }
  get sent_bytes() {
    return this.view.getBigUint64(this.p + 96, true);
  }
  get sent_bytes_number() {
    return this.view.getUint32(this.p + 96, true) + this.view.getUint32(this.p + 100, true) * 4294967296;
  }
  get recv_bytes() {
    return this.view.getBigUint64(this.p + 104, true);
  }
  get recv_bytes_number() {
    return this.view.getUint32(this.p + 104, true) + this.view.getUint32(this.p + 108, true) * 4294967296;
  }
  get sent_packets() {
    return this.view.getBigUint64(this.p + 112, true);
  }
  get sent_packets_number() {
    return this.view.getUint32(this.p + 112, true) + this.view.getUint32(this.p + 116, true) * 4294967296;
  }
  get recv_packets() {
    return this.view.getBigUint64(this.p + 120, true);
  }
  get recv_packets_number() {
    return this.view.getUint32(this.p + 120, true) + this.view.getUint32(this.p + 124, true) * 4294967296;
  }
  get timestamp() {
    return this.view.getBigUint64(this.p + 128, true);
  }
  get timestamp_number() {
    return this.view.getUint32(this.p + 128, true) + this.view.getUint32(this.p + 132, true) * 4294967296;
  }
  get started_at() {
    return this.view.getBigUint64(this.p + 136, true);
  }
  get started_at_number() {
    return this.view.getUint32(this.p + 136, true) + this.view.getUint32(this.p + 140, true) * 4294967296;
  }
  get ended_at() {
    return this.view.getBigUint64(this.p + 144, true);
  }
  get ended_at_number() {
    return this.view.getUint32(this.p + 144, true) + this.view.getUint32(this.p + 148, true) * 4294967296;
  }
  get netns() {
    return this.view.getUint32(this.p + 152, true);
  }
  get cookie() {
    return this.view.getUint32(this.p + 156, true);
  }
  get flags() {
    return this.view.getUint32(this.p + 160, true);
  }
  get rtt() {
    return this.view.getUint32(this.p + 164, true);
  }
  get rtt_var() {
    return this.view.getUint32(this.p + 168, true);
  }
  get retransmits() {
    return this.view.getUint32(this.p + 172, true);
  }
  get state_transitions() {
    return this.view.getUint16(this.p + 176, true);
  }
  get failure_reason() {
    return this.view.getUint16(this.p + 178, true);
  }
  get kind() {
    return this.view.getUint8(this.p + 180);
  }
  get direction() {
    return this.view.getUint8(this.p + 181);
  }
  get legs() {
    return this.view.getUint8(this.p + 182);
  }
  get endpoint_speaks() {
    return this.view.getUint8(this.p + 183);
  }
}
export const EVENT_SK = 0;
export const EVENT_ENDS = 8;
export const EVENT_ENDS_SADDR_H = 8;
export const EVENT_ENDS_SADDR_L = 16;
export const EVENT_ENDS_DADDR_H = 24;
export const EVENT_ENDS_DADDR_L = 32;
export const EVENT_ENDS_SPORT = 40;
export const EVENT_ENDS_DPORT = 42;
export const EVENT_ENDS_METADATA = 44;
export const EVENT_OWNER = 48;
export const EVENT_OWNER_PID = 48;
export const EVENT_OWNER_UID = 52;
export const EVENT_OWNER_OWNED_AT = 56;
export const EVENT_OWNER_LISTENER_INO = 60;
export const EVENT_OWNER_CGROUP_ID = 64;
export const EVENT_OWNER_PROGRAM = 72;
export const EVENT_OWNER_COMM = 80;
export const EVENT_OWNER_OF_THREAD = 95;
export const EVENT_SENT_BYTES = 96;
export const EVENT_RECV_BYTES = 104;
export const EVENT_SENT_PACKETS = 112;
export const EVENT_RECV_PACKETS = 120;
export const EVENT_TIMESTAMP = 128;
export const EVENT_STARTED_AT = 136;
export const EVENT_ENDED_AT = 144;
export const EVENT_NETNS = 152;
export const EVENT_COOKIE = 156;
export const EVENT_FLAGS = 160;
export const EVENT_RTT = 164;
export const EVENT_RTT_VAR = 168;
export const EVENT_RETRANSMITS = 172;
export const EVENT_STATE_TRANSITIONS = 176;
export const EVENT_FAILURE_REASON = 178;
export const EVENT_KIND = 180;
export const EVENT_DIRECTION = 181;
export const EVENT_LEGS = 182;
export const EVENT_ENDPOINT_SPEAKS = 183;
/** Where each member lies, and its size. */
export const eventPlaces = {
  sk: [0, 8],
  ends_saddr_h: [8, 8],
  ends_saddr_l: [16, 8],
  ends_daddr_h: [24, 8],
  ends_daddr_l: [32, 8],
  ends_sport: [40, 2],
  ends_dport: [42, 2],
  ends_metadata: [44, 4],
  owner_pid: [48, 4],
  owner_uid: [52, 4],
  owner_owned_at: [56, 4],
  owner_listener_ino: [60, 4],
  owner_cgroup_id: [64, 8],
  owner_program: [72, 8],
  owner_comm: [80, 15],
  owner_of_thread: [95, 1],
  sent_bytes: [96, 8],
  recv_bytes: [104, 8],
  sent_packets: [112, 8],
  recv_packets: [120, 8],
  timestamp: [128, 8],
  started_at: [136, 8],
  ended_at: [144, 8],
  netns: [152, 4],
  cookie: [156, 4],
  flags: [160, 4],
  rtt: [164, 4],
  rtt_var: [168, 4],
  retransmits: [172, 4],
  state_transitions: [176, 2],
  failure_reason: [178, 2],
  kind: [180, 1],
  direction: [181, 1],
  legs: [182, 1],
  endpoint_speaks: [183, 1],
} as const;

export const translationSize = 184;
export interface Translation {
  sk: bigint;
  ends: Ends;
  beyond_sport: number;
  beyond_dport: number;
  beyond_metadata: number;
  beyond_saddr_h: bigint;
  beyond_saddr_l: bigint;
  beyond_daddr_h: bigint;
  beyond_daddr_l: bigint;
  timestamp: bigint;
  netns: number;
  cookie: number;
  flags: number;
  kind: number;
}
export function writeTranslation(view: DataView, p: number, value: Translation): void {
  view.setBigUint64(p, value.sk, true);
  writeEnds(view, p + 8, value.ends);
  view.setUint16(p + 48, value.beyond_sport, true);
  view.setUint16(p + 50, value.beyond_dport, true);
  view.setUint32(p + 52, value.beyond_metadata, true);
  view.setBigUint64(p + 96, value.beyond_saddr_h, true);
  view.setBigUint64(p + 104, value.beyond_saddr_l, true);
  view.setBigUint64(p + 112, value.beyond_daddr_h, true);
  view.setBigUint64(p + 120, value.beyond_daddr_l, true);
  view.setBigUint64(p + 128, value.timestamp, true);
  view.setUint32(p + 152, value.netns, true);
  view.setUint32(p + 156, value.cookie, true);
  view.setUint32(p + 160, value.flags, true);
  view.setUint8(p + 180, value.kind);
}
/** Where each member lies, and its size. */
export const translationPlaces = {
  sk: [0, 8],
  ends_saddr_h: [8, 8],
  ends_saddr_l: [16, 8],
  ends_daddr_h: [24, 8],
  ends_daddr_l: [32, 8],
  ends_sport: [40, 2],
  ends_dport: [42, 2],
  ends_metadata: [44, 4],
  beyond_sport: [48, 2],
  beyond_dport: [50, 2],
  beyond_metadata: [52, 4],
  beyond_saddr_h: [96, 8],
  beyond_saddr_l: [104, 8],
  beyond_daddr_h: [112, 8],
  beyond_daddr_l: [120, 8],
  timestamp: [128, 8],
  netns: [152, 4],
  cookie: [156, 4],
  flags: [160, 4],
  kind: [180, 1],
} as const;

export const PayloadSize = {
  PAYLOAD_FIRST: 48,
  PAYLOAD_BYTES: 112,
  PAYLOAD_MORE: 4,
} as const;
export type PayloadSize = (typeof PayloadSize)[keyof typeof PayloadSize];

export const GateSize = {
  GATE_BITS: 16,
  GATE_HASH: 1640531527,
  LOOKS: 8,
  LOOKS_SENT: 2,
  LOOKS_TRIED: 64,
  SPAN_BITS: 28,
  LOOKED_AT: 384,
  LOOKED_AT_QUIET: 64,
  LOOKED_AT_NEW: 16,
  LOOKED_AT_ALIKE: 4,
  LOOKED_AT_MIXED: 64,
  ENDPOINT_BITS: 12,
  LOOKS_WAITING: 2048,
  SEGMENTS_BITS: 11,
} as const;
export type GateSize = (typeof GateSize)[keyof typeof GateSize];

export const leaseSize = 8;
export interface Lease {
  opened: number;
  segments: number;
}
export function readLease(view: DataView, p: number): Lease {
  return {
    opened: view.getUint32(p, true),
    segments: view.getUint32(p + 4, true),
  };
}

export const allowanceSize = 20;
export interface Allowance {
  endpoint: number;
  span: number;
  begun: number;
  before: number;
  verdict: number;
}
export function readAllowance(view: DataView, p: number): Allowance {
  return {
    endpoint: view.getUint32(p, true),
    span: view.getUint32(p + 4, true),
    begun: view.getUint32(p + 8, true),
    before: view.getUint32(p + 12, true),
    verdict: view.getUint32(p + 16, true),
  };
}
export function writeAllowance(view: DataView, p: number, value: Allowance): void {
  view.setUint32(p, value.endpoint, true);
  view.setUint32(p + 4, value.span, true);
  view.setUint32(p + 8, value.begun, true);
  view.setUint32(p + 12, value.before, true);
  view.setUint32(p + 16, value.verdict, true);
}

export const Verdict = {
  VERDICT_NONE: 0,
  VERDICT_ALIKE: 1,
  VERDICT_MIXED: 2,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export const payloadLayoutSize = 56;
export interface PayloadLayout {
  page_base: bigint;
  page_shift: number;
  skb_len: number;
  skb_tail: number;
  skb_head: number;
  nr_frags: number;
  frags: number;
  len_first: number;
  rtx_queue: number;
  write_queue: number;
  receive_queue: number;
  skb_seq: number;
  unlimited: number;
}
export function writePayloadLayout(view: DataView, p: number, value: PayloadLayout): void {
  view.setBigUint64(p, value.page_base, true);
  view.setUint32(p + 8, value.page_shift, true);
  view.setUint32(p + 12, value.skb_len, true);
  view.setUint32(p + 16, value.skb_tail, true);
  view.setUint32(p + 20, value.skb_head, true);
  view.setUint32(p + 24, value.nr_frags, true);
  view.setUint32(p + 28, value.frags, true);
  view.setUint32(p + 32, value.len_first, true);
  view.setUint32(p + 36, value.rtx_queue, true);
  view.setUint32(p + 40, value.write_queue, true);
  view.setUint32(p + 44, value.receive_queue, true);
  view.setUint32(p + 48, value.skb_seq, true);
  view.setUint32(p + 52, value.unlimited, true);
}

export const payloadSize = 184;
export interface Payload {
  sk: bigint;
  bytes: Uint8Array;
  timestamp: bigint;
  endpoint: number;
  dport: number;
  netns: number;
  cookie: number;
  flags: number;
  stream: number;
  offset: number;
  len: number;
  got: number;
  sent: number;
  kind: number;
  direction: number;
}
export function readPayload(view: DataView, p: number): Payload {
  return {
    sk: view.getBigUint64(p, true),
    bytes: bytesAt(view, p + 8, 112).slice(),
    timestamp: view.getBigUint64(p + 128, true),
    endpoint: view.getUint32(p + 144, true),
    dport: view.getUint16(p + 150, true),
    netns: view.getUint32(p + 152, true),
    cookie: view.getUint32(p + 156, true),
    flags: view.getUint32(p + 160, true),
    stream: view.getUint32(p + 164, true),
    offset: view.getUint32(p + 168, true),
    len: view.getUint32(p + 172, true),
    got: view.getUint16(p + 176, true),
    sent: view.getUint16(p + 178, true),
    kind: view.getUint8(p + 180),
    direction: view.getUint8(p + 181),
  };
}

export const DatagramSize = {
  DATAGRAM_BYTES: 72,
  DATAGRAM_MORE: 3,
  ANSWER_MORE: 7,
  DNS_PORT: 53,
  FLOW_LOOKS: 2,
} as const;
export type DatagramSize = (typeof DatagramSize)[keyof typeof DatagramSize];

export const DatagramLooking = {
  DATAGRAMS_PASSED_OVER: 0,
  DATAGRAMS_LOOKED_AT: 1,
  DATAGRAMS_UNLIMITED: 2,
} as const;
export type DatagramLooking = (typeof DatagramLooking)[keyof typeof DatagramLooking];

export const DatagramWay = {
  DATAGRAMS_IN_SKB: 1,
  DATAGRAMS_IN_CALL: 2,
} as const;
export type DatagramWay = (typeof DatagramWay)[keyof typeof DatagramWay];

export const datagramLookSize = 184;
export interface DatagramLook {
  sk: bigint;
  ends: Ends;
  bytes: Uint8Array;
  timestamp: bigint;
  endpoint: number;
  offset: number;
  netns: number;
  cookie: number;
  flags: number;
  len: number;
  got: number;
  sent: number;
  kind: number;
  direction: number;
}
export function readDatagramLook(view: DataView, p: number): DatagramLook {
  return {
    sk: view.getBigUint64(p, true),
    ends: readEnds(view, p + 8),
    bytes: bytesAt(view, p + 48, 72).slice(),
    timestamp: view.getBigUint64(p + 128, true),
    endpoint: view.getUint32(p + 144, true),
    offset: view.getUint32(p + 148, true),
    netns: view.getUint32(p + 152, true),
    cookie: view.getUint32(p + 156, true),
    flags: view.getUint32(p + 160, true),
    len: view.getUint32(p + 164, true),
    got: view.getUint16(p + 176, true),
    sent: view.getUint16(p + 178, true),
    kind: view.getUint8(p + 180),
    direction: view.getUint8(p + 181),
  };
}

export const conntrackTupleSize = 48;
export interface ConntrackTuple {
  saddr_h: bigint;
  saddr_l: bigint;
  daddr_h: bigint;
  daddr_l: bigint;
  sport: number;
  dport: number;
  netns: number;
  metadata: number;
}
export function readConntrackTuple(view: DataView, p: number): ConntrackTuple {
  return {
    saddr_h: view.getBigUint64(p, true),
    saddr_l: view.getBigUint64(p + 8, true),
    daddr_h: view.getBigUint64(p + 16, true),
    daddr_l: view.getBigUint64(p + 24, true),
    sport: view.getUint16(p + 32, true),
    dport: view.getUint16(p + 34, true),
    netns: view.getUint32(p + 36, true),
    metadata: view.getUint32(p + 40, true),
  };
}
export function writeConntrackTuple(view: DataView, p: number, value: ConntrackTuple): void {
  view.setBigUint64(p, value.saddr_h, true);
  view.setBigUint64(p + 8, value.saddr_l, true);
  view.setBigUint64(p + 16, value.daddr_h, true);
  view.setBigUint64(p + 24, value.daddr_l, true);
  view.setUint16(p + 32, value.sport, true);
  view.setUint16(p + 34, value.dport, true);
  view.setUint32(p + 36, value.netns, true);
  view.setUint32(p + 40, value.metadata, true);
}

export const ConntrackFact = {
  CONNTRACK_TRANSLATED: 1,
  CONNTRACK_SWAPPED: 2,
} as const;
export type ConntrackFact = (typeof ConntrackFact)[keyof typeof ConntrackFact];

export const RankFactor = {
  RANK_HIGH: 506952121,
  RANK_PORT: 1119006269,
  RANK_PORT_SHIFT: 16,
} as const;
export type RankFactor = (typeof RankFactor)[keyof typeof RankFactor];

export const conntrackValueSize = 64;
export interface ConntrackValue {
  beyond: ConntrackTuple;
  facts: number;
  accepted: number;
  made_at: bigint;
}
export function readConntrackValue(view: DataView, p: number): ConntrackValue {
  return {
    beyond: readConntrackTuple(view, p),
    facts: view.getUint32(p + 48, true),
    accepted: view.getUint32(p + 52, true),
    made_at: view.getBigUint64(p + 56, true),
  };
}
export function writeConntrackValue(view: DataView, p: number, value: ConntrackValue): void {
  writeConntrackTuple(view, p, value.beyond);
  view.setUint32(p + 48, value.facts, true);
  view.setUint32(p + 52, value.accepted, true);
  view.setBigUint64(p + 56, value.made_at, true);
}

export const conntrackTelemetrySize = 8;
export interface ConntrackTelemetry {
  registers: bigint;
}
export function readConntrackTelemetry(view: DataView, p: number): ConntrackTelemetry {
  return {
    registers: view.getBigUint64(p, true),
  };
}
export function writeConntrackTelemetry(view: DataView, p: number, value: ConntrackTelemetry): void {
  view.setBigUint64(p, value.registers, true);
}

export const conntrackLayoutSize = 28;
export interface ConntrackLayout {
  tuple_orig: number;
  net: number;
  zone: number;
  root_netns: number;
  skb_nfct: number;
  through_skb: number;
  zone_unknown: number;
}
export function writeConntrackLayout(view: DataView, p: number, value: ConntrackLayout): void {
  view.setUint32(p, value.tuple_orig, true);
  view.setUint32(p + 4, value.net, true);
  view.setUint32(p + 8, value.zone, true);
  view.setUint32(p + 12, value.root_netns, true);
  view.setUint32(p + 16, value.skb_nfct, true);
  view.setUint32(p + 20, value.through_skb, true);
  view.setUint32(p + 24, value.zone_unknown, true);
}

export const ConntrackCopySize = {
  CONNTRACK_COPIES: 32,
  CONNTRACK_WORDS: 32,
} as const;
export type ConntrackCopySize = (typeof ConntrackCopySize)[keyof typeof ConntrackCopySize];

export const conntrackCopySize = 384;
export interface ConntrackCopy {
  entry: Uint8Array;
  inums: Uint8Array;
}
export function readConntrackCopy(view: DataView, p: number): ConntrackCopy {
  return {
    entry: bytesAt(view, p, 256).slice(),
    inums: bytesAt(view, p + 256, 128).slice(),
  };
}

export const EVENT_BATCH_E0 = 0;
export const EVENT_BATCH_E1 = 184;
export const EVENT_BATCH_E2 = 368;
export const EVENT_BATCH_E3 = 552;
export const EVENT_BATCH_LEN = 736;
export const EVENT_BATCH_BUSY = 740;
export const EVENT_BATCH_ASLEEP = 764;

export const Sampling = {
  SAMPLES: 64,
  SAMPLES_OF_PROBE: 2,
  ASK_SAMPLES: 1869636974,
} as const;
export type Sampling = (typeof Sampling)[keyof typeof Sampling];

export const SampleState = {
  SAMPLE_GONE: 0,
  SAMPLE_TAKEN: 1,
  SAMPLE_UNSTABLE: 2,
  SAMPLE_SAME: 3,
} as const;
export type SampleState = (typeof SampleState)[keyof typeof SampleState];

export const sampleSize = 72;
export interface Sample {
  sk: bigint;
  sent_bytes: bigint;
  recv_bytes: bigint;
  timestamp: bigint;
  cookie: number;
  state: number;
  sent_packets: number;
  recv_packets: number;
  rtt: number;
  rtt_var: number;
  retransmits: number;
  direction: number;
  write_seq: number;
  copied_seq: number;
}
export function readSample(view: DataView, p: number): Sample {
  return {
    sk: view.getBigUint64(p, true),
    sent_bytes: view.getBigUint64(p + 8, true),
    recv_bytes: view.getBigUint64(p + 16, true),
    timestamp: view.getBigUint64(p + 24, true),
    cookie: view.getUint32(p + 32, true),
    state: view.getUint32(p + 36, true),
    sent_packets: view.getUint32(p + 40, true),
    recv_packets: view.getUint32(p + 44, true),
    rtt: view.getUint32(p + 48, true),
    rtt_var: view.getUint32(p + 52, true),
    retransmits: view.getUint32(p + 56, true),
    direction: view.getUint32(p + 60, true),
    write_seq: view.getUint32(p + 64, true),
    copied_seq: view.getUint32(p + 68, true),
  };
}
export function writeSample(view: DataView, p: number, value: Sample): void {
  view.setBigUint64(p, value.sk, true);
  view.setBigUint64(p + 8, value.sent_bytes, true);
  view.setBigUint64(p + 16, value.recv_bytes, true);
  view.setBigUint64(p + 24, value.timestamp, true);
  view.setUint32(p + 32, value.cookie, true);
  view.setUint32(p + 36, value.state, true);
  view.setUint32(p + 40, value.sent_packets, true);
  view.setUint32(p + 44, value.recv_packets, true);
  view.setUint32(p + 48, value.rtt, true);
  view.setUint32(p + 52, value.rtt_var, true);
  view.setUint32(p + 56, value.retransmits, true);
  view.setUint32(p + 60, value.direction, true);
  view.setUint32(p + 64, value.write_seq, true);
  view.setUint32(p + 68, value.copied_seq, true);
}
export const SAMPLE_SK = 0;
export const SAMPLE_SENT_BYTES = 8;
export const SAMPLE_RECV_BYTES = 16;
export const SAMPLE_TIMESTAMP = 24;
export const SAMPLE_COOKIE = 32;
export const SAMPLE_STATE = 36;
export const SAMPLE_SENT_PACKETS = 40;
export const SAMPLE_RECV_PACKETS = 44;
export const SAMPLE_RTT = 48;
export const SAMPLE_RTT_VAR = 52;
export const SAMPLE_RETRANSMITS = 56;
export const SAMPLE_DIRECTION = 60;
export const SAMPLE_WRITE_SEQ = 64;
export const SAMPLE_COPIED_SEQ = 68;

export const holderSize = 20;
export interface Holder {
  ino: number;
  tgid: number;
  tid: number;
  netns: number;
  listens_at: number;
}
export function readHolder(view: DataView, p: number): Holder {
  return {
    ino: view.getUint32(p, true),
    tgid: view.getUint32(p + 4, true),
    tid: view.getUint32(p + 8, true),
    netns: view.getUint32(p + 12, true),
    listens_at: view.getUint32(p + 16, true),
  };
}

export const heldSockSize = 208;
export interface HeldSock {
  ino: bigint;
  tgid: number;
  tid: number;
  family: number;
  protocol: number;
  state: number;
  port: number;
  event: Event;
}
export function writeHeldSock(view: DataView, p: number, value: HeldSock): void {
  view.setBigUint64(p, value.ino, true);
  view.setUint32(p + 8, value.tgid, true);
  view.setUint32(p + 12, value.tid, true);
  view.setUint16(p + 16, value.family, true);
  view.setUint16(p + 18, value.protocol, true);
  view.setUint16(p + 20, value.state, true);
  view.setUint16(p + 22, value.port, true);
  writeEvent(view, p + 24, value.event);
}
/** Read where it lies, member by member, when asked. A u64 also as a number, exact up to 2^53. */
export class HeldSockView implements HeldSock {
  readonly view: DataView;
  readonly p: number;
  constructor(view: DataView, p: number) {
    this.view = view;
    this.p = p;
  }
  get ino() {
    return this.view.getBigUint64(this.p, true);
  }
  get ino_number() {
    return this.view.getUint32(this.p, true) + this.view.getUint32(this.p + 4, true) * 4294967296;
  }
  get tgid() {
    return this.view.getUint32(this.p + 8, true);
  }
  get tid() {
    return this.view.getUint32(this.p + 12, true);
  }
  get family() {
    return this.view.getUint16(this.p + 16, true);
  }
  get protocol() {
    return this.view.getUint16(this.p + 18, true);
  }
  get state() {
    return this.view.getUint16(this.p + 20, true);
  }
  get port() {
    return this.view.getUint16(this.p + 22, true);
  }
  get event() {
    return new EventView(this.view, this.p + 24);
  }
}

export const SockCopySize = {
  SOCK_COPY_BYTES: 2048,
  SOCK_COPIES: 9,
} as const;
export type SockCopySize = (typeof SockCopySize)[keyof typeof SockCopySize];

export const sockCopySize = 2072;
export interface SockCopy {
  sk: bigint;
  listener: bigint;
  port: bigint;
  bytes: Uint8Array;
}
export function readSockCopy(view: DataView, p: number): SockCopy {
  return {
    sk: view.getBigUint64(p, true),
    listener: view.getBigUint64(p + 8, true),
    port: view.getBigUint64(p + 16, true),
    bytes: bytesAt(view, p + 24, 2048).slice(),
  };
}
export function writeSockCopy(view: DataView, p: number, value: SockCopy): void {
  view.setBigUint64(p, value.sk, true);
  view.setBigUint64(p + 8, value.listener, true);
  view.setBigUint64(p + 16, value.port, true);
  bytesAt(view, p + 24, 2048).set(value.bytes);
}

export const spillKeySize = 16;
export interface SpillKey {
  sk: bigint;
  cookie: number;
  kind: number;
  cpu: number;
}
export function readSpillKey(view: DataView, p: number): SpillKey {
  return {
    sk: view.getBigUint64(p, true),
    cookie: view.getUint32(p + 8, true),
    kind: view.getUint16(p + 12, true),
    cpu: view.getUint16(p + 14, true),
  };
}

export const InodeBatch = {
  INODE_BATCH_BITS: 10,
  INODE_BATCHES_TOLD: 262144,
} as const;
export type InodeBatch = (typeof InodeBatch)[keyof typeof InodeBatch];

export const Loss = {
  LOSS_EVENT_RING_FULL: 0,
  LOSS_CONNECTION_MAP_FULL: 1,
  LOSS_MAP_BUSY: 2,
  LOSS_TUPLE_UNREADABLE: 3,
  LOSS_COUNTERS_UNSTABLE: 4,
  LOSS_FLOW_MAP_FULL: 5,
  LOSS_FAILURE_UNKNOWN: 6,
  LOSS_ATTEMPT_MAP_FULL: 7,
  LOSS_PROCESS_MAP_FULL: 8,
  LOSS_BEGIN_MISSED: 9,
  LOSS_MAX: 10,
} as const;
export type Loss = (typeof Loss)[keyof typeof Loss];

export const Counter = {
  COUNTER_EVENT_SPILLED: 10,
  COUNTER_PROGRAM_MAP_FULL: 11,
  COUNTER_STATE_RESCUED: 12,
  COUNTER_LENGTH_RESCUED: 13,
  COUNTER_BIRTH_RESCUED: 14,
  COUNTER_GATE_TAKEN: 15,
  COUNTER_LOOK_SPARED: 16,
  COUNTER_LOOK_LOST: 17,
  COUNTER_SEGMENTS_LOST: 18,
  COUNTER_LOOK_WAITING: 19,
  COUNTER_FLOW_SPARED: 20,
  COUNTER_DATAGRAM_LOST: 21,
  COUNTER_MAX: 22,
} as const;
export type Counter = (typeof Counter)[keyof typeof Counter];

export const Offset = {
  OFFSET_SKC_DADDR: 0,
  OFFSET_SKC_RCV_SADDR: 1,
  OFFSET_SKC_DPORT: 2,
  OFFSET_SKC_NUM: 3,
  OFFSET_SKC_FAMILY: 4,
  OFFSET_SKC_STATE: 5,
  OFFSET_SKC_NET: 6,
  OFFSET_NET_NS_INUM: 7,
  OFFSET_SKC_V6_DADDR: 8,
  OFFSET_SKC_V6_RCV_SADDR: 9,
  OFFSET_INET_SPORT: 10,
  OFFSET_SK_FLAGS: 11,
  OFFSET_SK_ERR: 12,
  OFFSET_SK_PROTOCOL: 13,
  OFFSET_SK_TYPE: 14,
  OFFSET_SK_SOCKET: 15,
  OFFSET_SK_USERLOCKS: 16,
  OFFSET_SRTT_US: 17,
  OFFSET_MDEV_US: 18,
  OFFSET_TOTAL_RETRANS: 19,
  OFFSET_BYTES_ACKED: 20,
  OFFSET_BYTES_RECEIVED: 21,
  OFFSET_BYTES_SENT: 22,
  OFFSET_SEGS_IN: 23,
  OFFSET_SEGS_OUT: 24,
  OFFSET_SND_UNA: 25,
  OFFSET_WRITE_SEQ: 26,
  OFFSET_RCV_NXT: 27,
  OFFSET_COPIED_SEQ: 28,
  OFFSET_RCVQ_SPACE_TIME: 29,
  OFFSET_SOCKET_INO: 30,
  OFFSET_SKB_SK: 31,
  OFFSET_SKB_HEAD: 32,
  OFFSET_SKB_TRANSPORT_HEADER: 33,
  OFFSET_SKB_NETWORK_HEADER: 34,
  OFFSET_SKB_END: 35,
  OFFSET_SKB_USERS: 36,
  OFFSET_GSO_SEGS: 37,
  OFFSET_TASK_MM: 38,
  OFFSET_MM_ARG_START: 39,
  OFFSET_TASK_TGID: 40,
  OFFSET_TASK_GROUP_LEADER: 41,
  OFFSET_TASK_COMM: 42,
  OFFSET_MAX: 43,
} as const;
export type Offset = (typeof Offset)[keyof typeof Offset];

export const Constant = {
  CONSTANT_HAS_IPV6: 43,
  CONSTANT_PROTOCOL_MASK: 44,
  CONSTANT_SK_USERLOCKS_SHIFT: 45,
  CONSTANT_USUAL_SOCK: 46,
  CONSTANT_FILTERS: 47,
  CONSTANT_PREEMPTED: 48,
  CONSTANT_BATCHED: 49,
  CONSTANT_NAT: 50,
  CONSTANT_PROTOCOLS: 51,
  CONSTANT_DATAGRAMS: 52,
  CONSTANT_ANSWERS: 53,
  CONSTANT_FENTRY: 54,
  CONSTANT_FIRST_SUBFLOW: 55,
  CONSTANT_COOKIE: 56,
  CONSTANT_MAX: 57,
} as const;
export type Constant = (typeof Constant)[keyof typeof Constant];

export const Placeholder = {
  OFFSET_MAGIC: 2130027941,
  HELPER_MAGIC: 2130027942,
  CAST_MAGIC: 2130027943,
  TYPE_MAGIC: 2130027944,
} as const;
export type Placeholder = (typeof Placeholder)[keyof typeof Placeholder];

export const ConnType = {
  CONN_TYPE_UDP: 0,
  CONN_TYPE_TCP: 1,
} as const;
export type ConnType = (typeof ConnType)[keyof typeof ConnType];

export const ConnFamily = {
  CONN_FAMILY_V4: 0,
  CONN_FAMILY_V6: 2,
} as const;
export type ConnFamily = (typeof ConnFamily)[keyof typeof ConnFamily];

export const connTupleSize = 48;
export interface ConnTuple {
  saddr_h: bigint;
  saddr_l: bigint;
  daddr_h: bigint;
  daddr_l: bigint;
  sport: number;
  dport: number;
  netns: number;
  pid: number;
  metadata: number;
}
export function readConnTuple(view: DataView, p: number): ConnTuple {
  return {
    saddr_h: view.getBigUint64(p, true),
    saddr_l: view.getBigUint64(p + 8, true),
    daddr_h: view.getBigUint64(p + 16, true),
    daddr_l: view.getBigUint64(p + 24, true),
    sport: view.getUint16(p + 32, true),
    dport: view.getUint16(p + 34, true),
    netns: view.getUint32(p + 36, true),
    pid: view.getUint32(p + 40, true),
    metadata: view.getUint32(p + 44, true),
  };
}
export function writeConnTuple(view: DataView, p: number, value: ConnTuple): void {
  view.setBigUint64(p, value.saddr_h, true);
  view.setBigUint64(p + 8, value.saddr_l, true);
  view.setBigUint64(p + 16, value.daddr_h, true);
  view.setBigUint64(p + 24, value.daddr_l, true);
  view.setUint16(p + 32, value.sport, true);
  view.setUint16(p + 34, value.dport, true);
  view.setUint32(p + 36, value.netns, true);
  view.setUint32(p + 40, value.pid, true);
  view.setUint32(p + 44, value.metadata, true);
}

export const tcpStatsSize = 16;
export interface TcpStats {
  rtt: number;
  rtt_var: number;
  retransmits: number;
  state_transitions: number;
  failure_reason: number;
}
export function readTcpStats(view: DataView, p: number): TcpStats {
  return {
    rtt: view.getUint32(p, true),
    rtt_var: view.getUint32(p + 4, true),
    retransmits: view.getUint32(p + 8, true),
    state_transitions: view.getUint16(p + 12, true),
    failure_reason: view.getUint16(p + 14, true),
  };
}
export function writeTcpStats(view: DataView, p: number, value: TcpStats): void {
  view.setUint32(p, value.rtt, true);
  view.setUint32(p + 4, value.rtt_var, true);
  view.setUint32(p + 8, value.retransmits, true);
  view.setUint16(p + 12, value.state_transitions, true);
  view.setUint16(p + 14, value.failure_reason, true);
}

export const protocolStackSize = 4;
export interface ProtocolStack {
  api: number;
  application: number;
  encryption: number;
  flags: number;
}
export function readProtocolStack(view: DataView, p: number): ProtocolStack {
  return {
    api: view.getUint8(p),
    application: view.getUint8(p + 1),
    encryption: view.getUint8(p + 2),
    flags: view.getUint8(p + 3),
  };
}
export function writeProtocolStack(view: DataView, p: number, value: ProtocolStack): void {
  view.setUint8(p, value.api);
  view.setUint8(p + 1, value.application);
  view.setUint8(p + 2, value.encryption);
  view.setUint8(p + 3, value.flags);
}

export const connStatsSize = 56;
export interface ConnStats {
  sent_bytes: bigint;
  recv_bytes: bigint;
  sent_packets: number;
  recv_packets: number;
  timestamp: bigint;
  duration: bigint;
  cookie: number;
  protocol_stack: ProtocolStack;
  flags: number;
  direction: number;
}
export function readConnStats(view: DataView, p: number): ConnStats {
  return {
    sent_bytes: view.getBigUint64(p, true),
    recv_bytes: view.getBigUint64(p + 8, true),
    sent_packets: view.getUint32(p + 16, true),
    recv_packets: view.getUint32(p + 20, true),
    timestamp: view.getBigUint64(p + 24, true),
    duration: view.getBigUint64(p + 32, true),
    cookie: view.getUint32(p + 40, true),
    protocol_stack: readProtocolStack(view, p + 44),
    flags: view.getUint8(p + 48),
    direction: view.getUint8(p + 49),
  };
}
export function writeConnStats(view: DataView, p: number, value: ConnStats): void {
  view.setBigUint64(p, value.sent_bytes, true);
  view.setBigUint64(p + 8, value.recv_bytes, true);
  view.setUint32(p + 16, value.sent_packets, true);
  view.setUint32(p + 20, value.recv_packets, true);
  view.setBigUint64(p + 24, value.timestamp, true);
  view.setBigUint64(p + 32, value.duration, true);
  view.setUint32(p + 40, value.cookie, true);
  writeProtocolStack(view, p + 44, value.protocol_stack);
  view.setUint8(p + 48, value.flags);
  view.setUint8(p + 49, value.direction);
}

export const connSize = 120;
export interface Conn {
  tup: ConnTuple;
  tcp_stats: TcpStats;
  conn_stats: ConnStats;
}
export function readConn(view: DataView, p: number): Conn {
  return {
    tup: readConnTuple(view, p),
    tcp_stats: readTcpStats(view, p + 48),
    conn_stats: readConnStats(view, p + 64),
  };
}
export function writeConn(view: DataView, p: number, value: Conn): void {
  writeConnTuple(view, p, value.tup);
  writeTcpStats(view, p + 48, value.tcp_stats);
  writeConnStats(view, p + 64, value.conn_stats);
}

export const BatchSize = {
  BATCH_ROOM: 4,
} as const;
export type BatchSize = (typeof BatchSize)[keyof typeof BatchSize];

export const batchSize = 496;
export interface Batch {
  c0: Conn;
  c1: Conn;
  c2: Conn;
  c3: Conn;
  id: bigint;
  cpu: number;
  len: number;
}
export function readBatch(view: DataView, p: number): Batch {
  return {
    c0: readConn(view, p),
    c1: readConn(view, p + 120),
    c2: readConn(view, p + 240),
    c3: readConn(view, p + 360),
    id: view.getBigUint64(p + 480, true),
    cpu: view.getUint32(p + 488, true),
    len: view.getUint16(p + 492, true),
  };
}
export function writeBatch(view: DataView, p: number, value: Batch): void {
  writeConn(view, p, value.c0);
  writeConn(view, p + 120, value.c1);
  writeConn(view, p + 240, value.c2);
  writeConn(view, p + 360, value.c3);
  view.setBigUint64(p + 480, value.id, true);
  view.setUint32(p + 488, value.cpu, true);
  view.setUint16(p + 492, value.len, true);
}

export const portBindingSize = 8;
export interface PortBinding {
  netns: number;
  port: number;
}
export function readPortBinding(view: DataView, p: number): PortBinding {
  return {
    netns: view.getUint32(p, true),
    port: view.getUint16(p + 4, true),
  };
}
export function writePortBinding(view: DataView, p: number, value: PortBinding): void {
  view.setUint32(p, value.netns, true);
  view.setUint16(p + 4, value.port, true);
}

export const bindSyscallArgsSize = 16;
export interface BindSyscallArgs {
  addr: bigint;
  sk: bigint;
}
export function readBindSyscallArgs(view: DataView, p: number): BindSyscallArgs {
  return {
    addr: view.getBigUint64(p, true),
    sk: view.getBigUint64(p + 8, true),
  };
}
export function writeBindSyscallArgs(view: DataView, p: number, value: BindSyscallArgs): void {
  view.setBigUint64(p, value.addr, true);
  view.setBigUint64(p + 8, value.sk, true);
}

export const skpConnSize = 56;
export interface SkpConn {
  sk: bigint;
  tup: ConnTuple;
}
export function readSkpConn(view: DataView, p: number): SkpConn {
  return {
    sk: view.getBigUint64(p, true),
    tup: readConnTuple(view, p + 8),
  };
}
export function writeSkpConn(view: DataView, p: number, value: SkpConn): void {
  view.setBigUint64(p, value.sk, true);
  writeConnTuple(view, p + 8, value.tup);
}

export const pidTsSize = 16;
export interface PidTs {
  pid_tgid: bigint;
  timestamp: bigint;
}
export function readPidTs(view: DataView, p: number): PidTs {
  return {
    pid_tgid: view.getBigUint64(p, true),
    timestamp: view.getBigUint64(p + 8, true),
  };
}
export function writePidTs(view: DataView, p: number, value: PidTs): void {
  view.setBigUint64(p, value.pid_tgid, true);
  view.setBigUint64(p + 8, value.timestamp, true);
}

export const pidFdSize = 8;
export interface PidFd {
  pid: number;
  fd: number;
}
export function readPidFd(view: DataView, p: number): PidFd {
  return {
    pid: view.getUint32(p, true),
    fd: view.getUint32(p + 4, true),
  };
}
export function writePidFd(view: DataView, p: number, value: PidFd): void {
  view.setUint32(p, value.pid, true);
  view.setUint32(p + 4, value.fd, true);
}

export const udpRecvSockSize = 16;
export interface UdpRecvSock {
  sk: bigint;
  msg: bigint;
}
export function readUdpRecvSock(view: DataView, p: number): UdpRecvSock {
  return {
    sk: view.getBigUint64(p, true),
    msg: view.getBigUint64(p + 8, true),
  };
}
export function writeUdpRecvSock(view: DataView, p: number, value: UdpRecvSock): void {
  view.setBigUint64(p, value.sk, true);
  view.setBigUint64(p + 8, value.msg, true);
}

export const protocolStackWrapperSize = 16;
export interface ProtocolStackWrapper {
  stack: ProtocolStack;
  updated: bigint;
}
export function readProtocolStackWrapper(view: DataView, p: number): ProtocolStackWrapper {
  return {
    stack: readProtocolStack(view, p),
    updated: view.getBigUint64(p + 8, true),
  };
}
export function writeProtocolStackWrapper(view: DataView, p: number, value: ProtocolStackWrapper): void {
  writeProtocolStack(view, p, value.stack);
  view.setBigUint64(p + 8, value.updated, true);
}

export const ClassificationProgram = {
  CLASSIFICATION_QUEUES: 2,
  CLASSIFICATION_DBS: 3,
  CLASSIFICATION_GRPC: 5,
} as const;
export type ClassificationProgram = (typeof ClassificationProgram)[keyof typeof ClassificationProgram];

export const telemetrySize = 136;
export interface Telemetry {
  tcp_failed_connect: bigint;
  tcp_sent_miscounts: bigint;
  unbatched_tcp_close: bigint;
  unbatched_udp_close: bigint;
  udp_sends_processed: bigint;
  udp_sends_missed: bigint;
  udp_dropped_conns: bigint;
  double_flush_attempts_close: bigint;
  double_flush_attempts_done: bigint;
  unsupported_tcp_failures: bigint;
  tcp_done_missing_pid: bigint;
  tcp_connect_failed_tuple: bigint;
  tcp_done_failed_tuple: bigint;
  tcp_finish_connect_failed_tuple: bigint;
  tcp_close_target_failures: bigint;
  tcp_done_connection_flush: bigint;
  tcp_close_connection_flush: bigint;
}
export function readTelemetry(view: DataView, p: number): Telemetry {
  return {
    tcp_failed_connect: view.getBigUint64(p, true),
    tcp_sent_miscounts: view.getBigUint64(p + 8, true),
    unbatched_tcp_close: view.getBigUint64(p + 16, true),
    unbatched_udp_close: view.getBigUint64(p + 24, true),
    udp_sends_processed: view.getBigUint64(p + 32, true),
    udp_sends_missed: view.getBigUint64(p + 40, true),
    udp_dropped_conns: view.getBigUint64(p + 48, true),
    double_flush_attempts_close: view.getBigUint64(p + 56, true),
    double_flush_attempts_done: view.getBigUint64(p + 64, true),
    unsupported_tcp_failures: view.getBigUint64(p + 72, true),
    tcp_done_missing_pid: view.getBigUint64(p + 80, true),
    tcp_connect_failed_tuple: view.getBigUint64(p + 88, true),
    tcp_done_failed_tuple: view.getBigUint64(p + 96, true),
    tcp_finish_connect_failed_tuple: view.getBigUint64(p + 104, true),
    tcp_close_target_failures: view.getBigUint64(p + 112, true),
    tcp_done_connection_flush: view.getBigUint64(p + 120, true),
    tcp_close_connection_flush: view.getBigUint64(p + 128, true),
  };
}
export function writeTelemetry(view: DataView, p: number, value: Telemetry): void {
  view.setBigUint64(p, value.tcp_failed_connect, true);
  view.setBigUint64(p + 8, value.tcp_sent_miscounts, true);
  view.setBigUint64(p + 16, value.unbatched_tcp_close, true);
  view.setBigUint64(p + 24, value.unbatched_udp_close, true);
  view.setBigUint64(p + 32, value.udp_sends_processed, true);
  view.setBigUint64(p + 40, value.udp_sends_missed, true);
  view.setBigUint64(p + 48, value.udp_dropped_conns, true);
  view.setBigUint64(p + 56, value.double_flush_attempts_close, true);
  view.setBigUint64(p + 64, value.double_flush_attempts_done, true);
  view.setBigUint64(p + 72, value.unsupported_tcp_failures, true);
  view.setBigUint64(p + 80, value.tcp_done_missing_pid, true);
  view.setBigUint64(p + 88, value.tcp_connect_failed_tuple, true);
  view.setBigUint64(p + 96, value.tcp_done_failed_tuple, true);
  view.setBigUint64(p + 104, value.tcp_finish_connect_failed_tuple, true);
  view.setBigUint64(p + 112, value.tcp_close_target_failures, true);
  view.setBigUint64(p + 120, value.tcp_done_connection_flush, true);
  view.setBigUint64(p + 128, value.tcp_close_connection_flush, true);
}

export const KernelNumber = {
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_DGRAM: 2,
  IPPROTO_TCP: 6,
  IPPROTO_UDP: 17,
  IPPROTO_MPTCP: 262,
  SOL_TCP: 6,
  MSG_PEEK: 2,
  MSG_TRUNC: 32,
  MSG_MORE: 32768,
  MSG_ERRQUEUE: 8192,
  ENOENT: 2,
  EPIPE: 32,
  SOCK_DEAD: 0,
  SOCK_DONE: 1,
  SOCK_BINDPORT_LOCK: 8,
  IPV4_HEADER: 20,
  IPV6_HEADER: 40,
  UDP_HEADER: 8,
} as const;
export type KernelNumber = (typeof KernelNumber)[keyof typeof KernelNumber];

export const OptionalHelper = {
  HELPER_GET_CURRENT_TASK: 35,
  HELPER_GET_CURRENT_CGROUP_ID: 80,
  HELPER_KTIME_GET_COARSE_NS: 160,
} as const;
export type OptionalHelper = (typeof OptionalHelper)[keyof typeof OptionalHelper];

export const GuessSize = {
  CHUNK: 256,
  SOCK_CHUNKS: 24,
  PEEK_CHUNKS: 4,
  ARGS_CHUNKS: 8,
  STACKED_CHUNKS: 8,
  SKB_CHUNKS: 1,
  BEHIND_CHUNKS: 32,
} as const;
export type GuessSize = (typeof GuessSize)[keyof typeof GuessSize];

export const GuessWindow = {
  WINDOW_SOCK: 0,
  WINDOW_ARGS: 24,
  WINDOW_STACKED: 32,
  WINDOW_SKB: 40,
  WINDOW_BEHIND: 41,
  WINDOW_CHUNKS: 73,
} as const;
export type GuessWindow = (typeof GuessWindow)[keyof typeof GuessWindow];

export const GuessArmed = {
  ARMED_CALL: 1,
  ARMED_SKB: 2,
  ARMED_SHARED: 4,
  ARMED_CONNTRACK: 5,
  ARMED_SEGMENT: 6,
  ARMED_TASK: 3,
} as const;
export type GuessArmed = (typeof GuessArmed)[keyof typeof GuessArmed];

export const GuessAsk = {
  ASK_MASK: 15,
  ASK_SOCK: 1,
  ASK_PEEK: 2,
} as const;
export type GuessAsk = (typeof GuessAsk)[keyof typeof GuessAsk];

export const GuessRegisters = {
  REGISTERS_X64: 6,
  REGISTERS_ARM64: 8,
} as const;
export type GuessRegisters = (typeof GuessRegisters)[keyof typeof GuessRegisters];

export const guessCommandSize = 48;
export interface GuessCommand {
  address: bigint;
  pid_tgid: bigint;
  armed: bigint;
  head: bigint;
  end: bigint;
  floor: bigint;
}
export function writeGuessCommand(view: DataView, p: number, value: GuessCommand): void {
  view.setBigUint64(p, value.address, true);
  view.setBigUint64(p + 8, value.pid_tgid, true);
  view.setBigUint64(p + 16, value.armed, true);
  view.setBigUint64(p + 24, value.head, true);
  view.setBigUint64(p + 32, value.end, true);
  view.setBigUint64(p + 40, value.floor, true);
}

export const guessAnswerSize = 32;
export interface GuessAnswer {
  sequence: bigint;
  pid_tgid: bigint;
  sk: bigint;
  task: bigint;
}
export function readGuessAnswer(view: DataView, p: number): GuessAnswer {
  return {
    sequence: view.getBigUint64(p, true),
    pid_tgid: view.getBigUint64(p + 8, true),
    sk: view.getBigUint64(p + 16, true),
    task: view.getBigUint64(p + 24, true),
  };
}

export const chunkSize = 264;
export interface Chunk {
  failed: bigint;
  bytes: Uint8Array;
}
export function readChunk(view: DataView, p: number): Chunk {
  return {
    failed: view.getBigUint64(p, true),
    bytes: bytesAt(view, p + 8, 256).slice(),
  };
}

export const LookupSize = {
  LOOKUPS: 64,
  LOOKUP_WINDOW: 256,
} as const;
export type LookupSize = (typeof LookupSize)[keyof typeof LookupSize];

export const lookupSize = 308;
export interface Lookup {
  tuple: Uint8Array;
  protocol: number;
  family: number;
  netns_id: number;
  found: number;
  entry: Uint8Array;
}
export function readLookup(view: DataView, p: number): Lookup {
  return {
    tuple: bytesAt(view, p, 36).slice(),
    protocol: view.getUint32(p + 36, true),
    family: view.getUint32(p + 40, true),
    netns_id: view.getInt32(p + 44, true),
    found: view.getUint32(p + 48, true),
    entry: bytesAt(view, p + 52, 256).slice(),
  };
}
export function writeLookup(view: DataView, p: number, value: Lookup): void {
  bytesAt(view, p, 36).set(value.tuple);
  view.setUint32(p + 36, value.protocol, true);
  view.setUint32(p + 40, value.family, true);
  view.setInt32(p + 44, value.netns_id, true);
  view.setUint32(p + 48, value.found, true);
  bytesAt(view, p + 52, 256).set(value.entry);
}

export const ShimNumber = {
  LOG_SIZE: 262144,
  MAP_NAME_SIZE: 64,
  RANGE_MAX: 64,
} as const;
export type ShimNumber = (typeof ShimNumber)[keyof typeof ShimNumber];

export const AskedType = {
  ASKED_KPROBE: 2,
  ASKED_SOCKET_FILTER: 1,
} as const;
export type AskedType = (typeof AskedType)[keyof typeof AskedType];

export const ringPrefixSize = 8;

export const SocketHook = {
  HOOK_CONNECT4: 10,
  HOOK_CONNECT6: 11,
  HOOK_SENDMSG4: 14,
  HOOK_SENDMSG6: 15,
  HOOK_RECVMSG4: 19,
  HOOK_RECVMSG6: 20,
} as const;
export type SocketHook = (typeof SocketHook)[keyof typeof SocketHook];

export const waitRequestSize = 16;
export interface WaitRequest {
  least_ms: number;
  most_ms: number;
  look_ms: number;
  reader_fd: number;
}
export function writeWaitRequest(view: DataView, p: number, value: WaitRequest): void {
  view.setInt32(p, value.least_ms, true);
  view.setInt32(p + 4, value.most_ms, true);
  view.setInt32(p + 8, value.look_ms, true);
  view.setInt32(p + 12, value.reader_fd, true);
}

export const IdNumber = {
  REMOTE_FACTOR: 739982445,
} as const;
export type IdNumber = (typeof IdNumber)[keyof typeof IdNumber];

export const OrderAnswer = {
  ORDER_UNKNOWN: -1,
} as const;
export type OrderAnswer = (typeof OrderAnswer)[keyof typeof OrderAnswer];

export const LineForm = {
  LINE_TEXT_ALONE: 0,
  LINE_INTEGER: 1,
  LINE_TIME: 2,
  LINE_ADDRESS: 3,
  LINE_ID: 4,
  LINE_TIME_OF_DAY: 5,
  LINE_SINCE: 6,
  LINE_ENDPOINT: 7,
  LINE_BRIEF_BYTES: 8,
  LINE_BRIEF_DURATION: 9,
  LINE_DURATION: 10,
  LINE_NANOSECONDS: 11,
} as const;
export type LineForm = (typeof LineForm)[keyof typeof LineForm];

export const lineStepSize = 40;
export interface LineStep {
  start: bigint;
  text_at: number;
  text_length: number;
  text_width: number;
  at: number;
  since: number;
  least: number;
  size: number;
  form: number;
  column_end: number;
  column_width: number;
  column_right: number;
}
export function writeLineStep(view: DataView, p: number, value: LineStep): void {
  view.setBigUint64(p, value.start, true);
  view.setUint32(p + 8, value.text_at, true);
  view.setUint32(p + 12, value.text_length, true);
  view.setUint32(p + 16, value.text_width, true);
  view.setUint16(p + 20, value.at, true);
  view.setUint16(p + 22, value.since, true);
  view.setUint16(p + 24, value.least, true);
  view.setUint8(p + 26, value.size);
  view.setUint8(p + 27, value.form);
  view.setUint16(p + 28, value.column_end, true);
  view.setUint16(p + 30, value.column_width, true);
  view.setUint8(p + 32, value.column_right);
}

export const lineMomentSize = 68;
export interface LineMoment {
  second_length: number;
  second: Uint8Array;
  day_length: number;
  day: Uint8Array;
  id_added: number;
  id_first: number;
  id_second: number;
}
export function writeLineMoment(view: DataView, p: number, value: LineMoment): void {
  view.setUint32(p, value.second_length, true);
  bytesAt(view, p + 4, 32).set(value.second);
  view.setUint32(p + 36, value.day_length, true);
  bytesAt(view, p + 40, 16).set(value.day);
  view.setUint32(p + 56, value.id_added, true);
  view.setUint32(p + 60, value.id_first, true);
  view.setUint32(p + 64, value.id_second, true);
}

export const lineConditionsSize = 120;
export const LINE_CONDITIONS_MARKS = 0;
export const LINE_CONDITIONS_END_MARKS = 8;
export const LINE_CONDITIONS_MOST_BYTES = 16;
export const LINE_CONDITIONS_COMM_REFUSED = 24;
export const LINE_CONDITIONS_PLAIN_FROM = 32;
export const LINE_CONDITIONS_PLAIN_UNTIL = 40;
export const LINE_CONDITIONS_PROGRAMS = 48;
export const LINE_CONDITIONS_PAIRS = 56;
export const LINE_CONDITIONS_FLAGS_REFUSED = 64;
export const LINE_CONDITIONS_FLAGS_DOUBTED = 68;
export const LINE_CONDITIONS_PID_REFUSED = 72;
export const LINE_CONDITIONS_PLAIN_ASKED = 76;
export const LINE_CONDITIONS_PLAIN_ONLY = 80;
export const LINE_CONDITIONS_SILENT = 84;
export const LINE_CONDITIONS_MOVED = 88;
export const LINE_CONDITIONS_NAMED = 92;
export const LINE_CONDITIONS_ENDPOINTS = 96;
export const LINE_CONDITIONS_GROUPS = 104;
export const LINE_CONDITIONS_EVERYBODY = 112;

export const GroupSlots = {
  GROUP_SLOTS: 256,
} as const;
export type GroupSlots = (typeof GroupSlots)[keyof typeof GroupSlots];

export const lineGroupSize = 24;
export interface LineGroup {
  id: bigint;
  pid: number;
  since: number;
  ticks: number;
}
export function writeLineGroup(view: DataView, p: number, value: LineGroup): void {
  view.setBigUint64(p, value.id, true);
  view.setUint32(p + 8, value.pid, true);
  view.setUint32(p + 12, value.since, true);
  view.setUint32(p + 16, value.ticks, true);
}

export const EndpointSlot = {
  ENDPOINT_SLOTS: 2048,
  ENDPOINT_NONE: 0,
  ENDPOINT_ONE: 1,
  ENDPOINT_SEVERAL: 2,
  ENDPOINT_FIRST: 2146121005,
  ENDPOINT_SECOND: -2048144789,
  ENDPOINT_THIRD: -1028477387,
} as const;
export type EndpointSlot = (typeof EndpointSlot)[keyof typeof EndpointSlot];

export const lineEndpointSize = 56;
export interface LineEndpoint {
  state: number;
  netns: number;
  end: number;
  port: number;
  address: Uint8Array;
  since: bigint;
  until: bigint;
  speaks: number;
}
export function writeLineEndpoint(view: DataView, p: number, value: LineEndpoint): void {
  view.setUint32(p, value.state, true);
  view.setUint32(p + 4, value.netns, true);
  view.setUint32(p + 8, value.end, true);
  view.setUint32(p + 12, value.port, true);
  bytesAt(view, p + 16, 16).set(value.address);
  view.setBigUint64(p + 32, value.since, true);
  view.setBigUint64(p + 40, value.until, true);
  view.setUint32(p + 48, value.speaks, true);
}

export const SockMarks = {
  SOCK_MARKS: 65536,
  SOCK_SHIFT: 6,
} as const;
export type SockMarks = (typeof SockMarks)[keyof typeof SockMarks];

export const PairSlots = {
  PROGRAM_SLOTS: 64,
  HANDSHAKE_SLOTS: 512,
  HOLDER_SLOTS: 256,
} as const;
export type PairSlots = (typeof PairSlots)[keyof typeof PairSlots];

export const linePairsSize = 32;
export interface LinePairs {
  records: bigint;
  taken: bigint;
  holders: bigint;
  newest: bigint;
}
export function readLinePairs(view: DataView, p: number): LinePairs {
  return {
    records: view.getBigUint64(p, true),
    taken: view.getBigUint64(p + 8, true),
    holders: view.getBigUint64(p + 16, true),
    newest: view.getBigUint64(p + 24, true),
  };
}
export function writeLinePairs(view: DataView, p: number, value: LinePairs): void {
  view.setBigUint64(p, value.records, true);
  view.setBigUint64(p + 8, value.taken, true);
  view.setBigUint64(p + 16, value.holders, true);
  view.setBigUint64(p + 24, value.newest, true);
}

export const lineHolderSize = 16;
export interface LineHolder {
  ino: number;
  pid: number;
  since: bigint;
}
export function writeLineHolder(view: DataView, p: number, value: LineHolder): void {
  view.setUint32(p, value.ino, true);
  view.setUint32(p + 4, value.pid, true);
  view.setBigUint64(p + 8, value.since, true);
}

export const lineKeysSize = 64;
export interface LineKeys {
  places: bigint;
  masks: bigint;
  keys: bigint;
  states: bigint;
  kept: bigint;
  words: bigint;
  ports: bigint;
  ports_asked: bigint;
}
export function writeLineKeys(view: DataView, p: number, value: LineKeys): void {
  view.setBigUint64(p, value.places, true);
  view.setBigUint64(p + 8, value.masks, true);
  view.setBigUint64(p + 16, value.keys, true);
  view.setBigUint64(p + 24, value.states, true);
  view.setBigUint64(p + 32, value.kept, true);
  view.setBigUint64(p + 40, value.words, true);
  view.setBigUint64(p + 48, value.ports, true);
  view.setBigUint64(p + 56, value.ports_asked, true);
}

export const LinePort = {
  PORT_WANTED: 1,
  PORT_WANTED_LOCAL: 2,
  PORT_WANTED_REMOTE: 4,
  PORT_UNWANTED: 8,
  PORT_UNWANTED_LOCAL: 16,
  PORT_UNWANTED_REMOTE: 32,
  PORT_COUNT: 65536,
} as const;
export type LinePort = (typeof LinePort)[keyof typeof LinePort];

export const LineKey = {
  LINE_KEY_SLOTS: 1024,
  LINE_KEY_MET: 1,
  LINE_KEY_MADE: 2,
} as const;
export type LineKey = (typeof LineKey)[keyof typeof LineKey];

export const lineKeptSize = 40;
export interface LineKept {
  steps: bigint;
  count: number;
  bytes: number;
  recorded_steps: bigint;
  recorded_count: number;
  recorded_bytes: number;
  taken: bigint;
}
export function readLineKept(view: DataView, p: number): LineKept {
  return {
    steps: view.getBigUint64(p, true),
    count: view.getUint32(p + 8, true),
    bytes: view.getUint32(p + 12, true),
    recorded_steps: view.getBigUint64(p + 16, true),
    recorded_count: view.getUint32(p + 24, true),
    recorded_bytes: view.getUint32(p + 28, true),
    taken: view.getBigUint64(p + 32, true),
  };
}
export function writeLineKept(view: DataView, p: number, value: LineKept): void {
  view.setBigUint64(p, value.steps, true);
  view.setUint32(p + 8, value.count, true);
  view.setUint32(p + 12, value.bytes, true);
  view.setBigUint64(p + 16, value.recorded_steps, true);
  view.setUint32(p + 24, value.recorded_count, true);
  view.setUint32(p + 28, value.recorded_bytes, true);
  view.setBigUint64(p + 32, value.taken, true);
}

export const lineBatchSize = 112;
export const LINE_BATCH_RECORDS = 0;
export const LINE_BATCH_PLACES = 8;
export const LINE_BATCH_CONDITIONS = 16;
export const LINE_BATCH_KEYS = 24;
export const LINE_BATCH_MOMENT = 32;
export const LINE_BATCH_SECOND = 40;
export const LINE_BATCH_OUT = 48;
export const LINE_BATCH_FROM = 56;
export const LINE_BATCH_TO = 60;
export const LINE_BATCH_AT = 64;
export const LINE_BATCH_END = 68;
export const LINE_BATCH_MADE = 72;
export const LINE_BATCH_RECORDED_AT = 76;
export const LINE_BATCH_RECORDED_OUT = 80;
export const LINE_BATCH_RECORDED_TAIL = 88;
export const LINE_BATCH_RECORDED_NUMBER = 96;
export const LINE_BATCH_RECORDED_END = 104;
export const LINE_BATCH_RECORDED_TAIL_LENGTH = 108;

export const gateSize = 16;
export interface Gate {
  tag: number;
  tries: number;
  facts: number;
  received: number;
  sent: number;
  stream: number;
  next: number;
}
export function readGate(view: DataView, p: number): Gate {
  return {
    tag: view.getUint32(p, true),
    tries: view.getUint8(p + 4),
    facts: view.getUint8(p + 5),
    received: view.getUint8(p + 6),
    sent: view.getUint8(p + 7),
    stream: view.getUint32(p + 8, true),
    next: view.getUint32(p + 12, true),
  };
}

export const programArgsSize = 264;
export interface ProgramArgs {
  length: number;
  copied: number;
  bytes: Uint8Array;
}
export function readProgramArgs(view: DataView, p: number): ProgramArgs {
  return {
    length: view.getUint32(p, true),
    copied: view.getUint32(p + 4, true),
    bytes: bytesAt(view, p + 8, 256).slice(),
  };
}

export const firstNameSize = 24;
export interface FirstName {
  comm: Uint8Array;
  noted_at: number;
  unused: number;
}
export function readFirstName(view: DataView, p: number): FirstName {
  return {
    comm: bytesAt(view, p, 16).slice(),
    noted_at: view.getUint32(p + 16, true),
    unused: view.getUint32(p + 20, true),
  };
}

export const sockFunctionsSize = 40;
export interface SockFunctions {
  at: bigint;
  tcp_v4: bigint;
  tcp_v6: bigint;
  sockmaps: bigint;
  sockmaps_bytes: bigint;
}
export function writeSockFunctions(view: DataView, p: number, value: SockFunctions): void {
  view.setBigUint64(p, value.at, true);
  view.setBigUint64(p + 8, value.tcp_v4, true);
  view.setBigUint64(p + 16, value.tcp_v6, true);
  view.setBigUint64(p + 24, value.sockmaps, true);
  view.setBigUint64(p + 32, value.sockmaps_bytes, true);
}

export const begunSize = 192;
export interface Begun {
  event: Event;
  thread: number;
  zero: number;
}
export function readBegun(view: DataView, p: number): Begun {
  return {
    event: readEvent(view, p),
    thread: view.getUint32(p + 184, true),
    zero: view.getUint32(p + 188, true),
  };
}

export const failedKeySize = 16;

export const acceptedSize = 24;
export interface Accepted {
  sk: bigint;
  socket_ino: bigint;
  cookie: number;
  gone: number;
}
export function readAccepted(view: DataView, p: number): Accepted {
  return {
    sk: view.getBigUint64(p, true),
    socket_ino: view.getBigUint64(p + 8, true),
    cookie: view.getUint32(p + 16, true),
    gone: view.getUint32(p + 20, true),
  };
}

export const flowSize = 192;
export interface Flow {
  event: Event;
  socket_ino: number;
  looks_received: number;
  looks_sent: number;
}
export function readFlow(view: DataView, p: number): Flow {
  return {
    event: readEvent(view, p),
    socket_ino: view.getUint32(p + 184, true),
    looks_received: view.getUint8(p + 188),
    looks_sent: view.getUint8(p + 189),
  };
}
export function writeFlow(view: DataView, p: number, value: Flow): void {
  writeEvent(view, p, value.event);
  view.setUint32(p + 184, value.socket_ino, true);
  view.setUint8(p + 188, value.looks_received);
  view.setUint8(p + 189, value.looks_sent);
}

export const flowKeySize = 56;
export interface FlowKey {
  sk: bigint;
  saddr_h: bigint;
  saddr_l: bigint;
  daddr_h: bigint;
  daddr_l: bigint;
  sport: number;
  dport: number;
  cookie: number;
  metadata: number;
  zero: number;
}
export function writeFlowKey(view: DataView, p: number, value: FlowKey): void {
  view.setBigUint64(p, value.sk, true);
  view.setBigUint64(p + 8, value.saddr_h, true);
  view.setBigUint64(p + 16, value.saddr_l, true);
  view.setBigUint64(p + 24, value.daddr_h, true);
  view.setBigUint64(p + 32, value.daddr_l, true);
  view.setUint16(p + 40, value.sport, true);
  view.setUint16(p + 42, value.dport, true);
  view.setUint32(p + 44, value.cookie, true);
  view.setUint32(p + 48, value.metadata, true);
  view.setUint32(p + 52, value.zero, true);
}

export const namingSize = 16;
export interface Naming {
  attached: number;
  pending_at: number;
  elsewhere: number;
  zero: number;
}
export function writeNaming(view: DataView, p: number, value: Naming): void {
  view.setUint32(p, value.attached, true);
  view.setUint32(p + 4, value.pending_at, true);
  view.setUint32(p + 8, value.elsewhere, true);
  view.setUint32(p + 12, value.zero, true);
}

export const tracePrograms = [
  "on_connect",
  "on_connect_return",
  "on_tcp_connect",
  "on_tcp_finish_connect",
  "on_security_sock_graft",
  "on_inet_csk_accept",
  "on_tcp_shutdown",
  "on_tcp_done",
  "on_tcp_disconnect",
  "on_tcp_close",
  "on_tcp_v4_destroy_sock",
  "on_tcp_bpf_update_proto",
  "on_tcp_bpf_init",
  "on_ip_send_skb",
  "on_ip6_send_skb",
  "on_skb_consume_udp",
  "on_udp_receive",
  "on_skb_free_datagram_length",
  "on_skb_free_datagram_locked",
  "on_udp_destroy_sock",
  "on_sk_error_report",
  "on_icmp_error",
  "on_wake_up_new_task",
  "on_put_task_struct",
  "on_call",
  "on_conntrack_insert",
  "on_conntrack_free",
  "on_tcp4_seq_show",
  "on_tcp6_seq_show",
  "on_tcp_getsockopt",
  "on_segment_checked",
  "on_acknowledging",
  "on_taking",
  "on_listen",
  "on_segment",
  "on_handshake",
  "on_connect_over",
  "on_connect6_over",
  "on_established",
  "on_state_pending",
  "on_state_pending_again",
  "on_state",
  "on_state_backup",
  "on_state_backup_2",
  "on_state_backup_3",
  "on_state_of_owner",
  "on_length_of_owner",
  "on_end_pending",
  "on_end_pending_again",
  "on_end",
  "on_end_backup",
  "on_end_backup_2",
  "on_end_backup_3",
  "on_length_pending",
  "on_sent",
  "on_sent_in_sockmap",
  "on_received_in_sockmap",
  "on_received",
  "on_sent_backup",
  "on_received_backup",
  "on_error_report",
  "on_connect4",
  "on_connect6",
  "on_sendmsg4",
  "on_sendmsg6",
  "on_recvmsg4",
  "on_recvmsg6",
  "on_fork_pending",
  "on_fork",
  "on_fork_backup",
  "on_sched_process_free",
  "run_udp_gone",
  "run_connect_failed",
  "run_sock_copy",
  "run_accepted",
  "run_batch",
  "run_samples",
  "on_listener_copied",
  "list_holders",
  "list_held",
  "list_tcp",
] as const;
export type TraceProgram = (typeof tracePrograms)[number];

export const guessPrograms = [
  "on_tcp_getsockopt",
  "on_ip_make_skb",
  "on_ip6_make_skb",
  "on_ip_send_skb",
  "on_conntrack_insert",
  "on_wake_up_new_task",
  "on_sched_process_fork",
  "on_set_state",
  "on_tcp_probe",
  "run_copy_sock",
  "run_peek",
] as const;
export type GuessProgram = (typeof guessPrograms)[number];

export type TraceMap =
  | "events"
  | "spill"
  | "losses"
  | "conntrack_copies"
  | "conntrack_copied"
  | "conntrack"
  | "conntrack_layout"
  | "conntrack_telemetry"
  | "filter"
  | "filter_pids"
  | "filter_ports"
  | "followed"
  | "command_tgid"
  | "lease"
  | "gates"
  | "allowances"
  | "conns"
  | "payload_layout"
  | "look_room"
  | "batches"
  | "visitor"
  | "programs"
  | "first_names"
  | "sock_functions"
  | "listener_at"
  | "newborn"
  | "held_since"
  | "lister"
  | "inodes_before"
  | "first_batch"
  | "attempts"
  | "first_subflow_at"
  | "samples"
  | "begun"
  | "failed_connects"
  | "accepted_answer"
  | "pending"
  | "sock_copies"
  | "datagram_looking"
  | "udp_socks"
  | "udp_flows"
  | "udp_receives"
  | "named_ends"
  | "sent_elsewhere"
  | "naming";
/** max_entries of each, as long as nobody sets another. */
export const traceEntries = {
  spill: 4096,
  losses: 22,
  conntrack_copies: 1,
  conntrack_copied: 1,
  conntrack: 1,
  conntrack_layout: 1,
  conntrack_telemetry: 1,
  filter: 1,
  filter_pids: 1,
  filter_ports: 1,
  followed: 1,
  command_tgid: 1,
  lease: 1,
  gates: 1,
  allowances: 4097,
  conns: 65536,
  payload_layout: 1,
  look_room: 1,
  batches: 1,
  visitor: 1,
  programs: 1,
  first_names: 2048,
  sock_functions: 1,
  listener_at: 1,
  newborn: 1,
  held_since: 1,
  lister: 1,
  inodes_before: 1,
  first_batch: 1,
  attempts: 4096,
  first_subflow_at: 1,
  samples: 1,
  begun: 4096,
  failed_connects: 1024,
  accepted_answer: 1,
  pending: 16384,
  sock_copies: 9,
  datagram_looking: 1,
  udp_socks: 65536,
  udp_flows: 65536,
  udp_receives: 1,
  named_ends: 4096,
  sent_elsewhere: 1024,
  naming: 1,
} as const;
