/**
 * Where the members lie in a struct event, for those who read them without making an object of it; test/unit/json-record.test.ts
 * compares with the layout. Constants of their own, because a member of an object is looked up each time.
 */

export const SADDR = 8;
export const DADDR = 24;
export const SPORT = 40;
export const DPORT = 42;
export const NETNS = 44;
export const PID = 48;
export const METADATA = 52;
export const RTT = 56;
export const RTT_VAR = 60;
export const RETRANSMITS = 64;
export const SENT_BYTES = 72;
export const RECV_BYTES = 80;
export const SENT_PACKETS = 88;
export const RECV_PACKETS = 92;
export const TIMESTAMP = 96;
export const DURATION = 104;
export const COOKIE = 112;
/** conn_stats.flags, the direction and padding share a word. */
export const CONN_FLAGS = 120;
export const DIRECTION = 121;
export const COMM = 128;
export const KIND = 144;
export const FLAGS = 148;
/** From here to the end: of the process. */
export const UID = 152;
export const CGROUP_ID = 160;

/** In a struct event_batch: how many events it holds. */
export const BATCH_LEN = 704;

/** For the test of the layout. */
export const places = () => ({
  saddr: SADDR,
  daddr: DADDR,
  sport: SPORT,
  dport: DPORT,
  netns: NETNS,
  pid: PID,
  metadata: METADATA,
  rtt: RTT,
  rttVar: RTT_VAR,
  retransmits: RETRANSMITS,
  sentBytes: SENT_BYTES,
  recvBytes: RECV_BYTES,
  sentPackets: SENT_PACKETS,
  recvPackets: RECV_PACKETS,
  timestamp: TIMESTAMP,
  duration: DURATION,
  cookie: COOKIE,
  connFlags: CONN_FLAGS,
  direction: DIRECTION,
  comm: COMM,
  kind: KIND,
  flags: FLAGS,
  uid: UID,
  cgroupId: CGROUP_ID,
  batchLen: BATCH_LEN,
});
