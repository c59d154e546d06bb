/** The public records of a connection's counters, and a batch of them. */
import { ConnTuple } from "./conn_tuple.ts";
import { ConnDirection, ConnFlags, type TCPState } from "./constants.ts";
import { RecordError } from "../record/error.ts";
import type * as layout from "../record/layout.gen.ts";
import { BatchSize } from "../record/layout.gen.ts";

/** 16 bytes. `rtt` and `rtt_var` in µs; `failure_reason` an errno (TCPFailure), 0 = none. */
export class TCPStats implements layout.TcpStats {
  rtt: number;
  rtt_var: number;
  retransmits: number;
  state_transitions: number;
  failure_reason: number;

  constructor(fields: layout.TcpStats) {
    this.rtt = fields.rtt;
    this.rtt_var = fields.rtt_var;
    this.retransmits = fields.retransmits;
    this.state_transitions = fields.state_transitions;
    this.failure_reason = fields.failure_reason;
  }

  /** Whether the connection was seen in this state. */
  entered(state: TCPState): boolean {
    return (this.state_transitions & (1 << state)) !== 0;
  }
}

/**
 * 56 bytes. Bytes are the application's (no headers, SYN or FIN), packets are TCP segments or datagrams; `timestamp` in
 * ns of CLOCK_MONOTONIC, `duration` in ns. `cookie` tells connections apart that use one tuple after the other.
 */
export class ConnStats implements layout.ConnStats {
  sent_bytes: bigint;
  recv_bytes: bigint;
  sent_packets: number;
  recv_packets: number;
  timestamp: bigint;
  duration: bigint;
  cookie: number;
  protocol_stack: layout.ProtocolStack;
  flags: number;
  direction: number;

  constructor(fields: layout.ConnStats) {
    this.sent_bytes = fields.sent_bytes;
    this.recv_bytes = fields.recv_bytes;
    this.sent_packets = fields.sent_packets;
    this.recv_packets = fields.recv_packets;
    this.timestamp = fields.timestamp;
    this.duration = fields.duration;
    this.cookie = fields.cookie;
    this.protocol_stack = fields.protocol_stack;
    this.flags = fields.flags;
    this.direction = fields.direction;
  }

  /** `direction`; a number that is none of the three is Unknown. */
  connectionDirection(): ConnDirection {
    const { Incoming, Outgoing, Unknown } = ConnDirection;
    return this.direction === Incoming || this.direction === Outgoing ? this.direction : Unknown;
  }

  /** Both ends have sent, and then one of them again. */
  isAssured(): boolean {
    return (this.flags & ConnFlags.Assured) !== 0;
  }
}

/** 120 bytes. */
export class Conn implements layout.Conn {
  tup: ConnTuple;
  tcp_stats: TCPStats;
  conn_stats: ConnStats;

  constructor(fields: layout.Conn) {
    this.tup = new ConnTuple(fields.tup);
    this.tcp_stats = new TCPStats(fields.tcp_stats);
    this.conn_stats = new ConnStats(fields.conn_stats);
  }
}

/** How many connections a batch has room for. */
export const { BATCH_ROOM } = BatchSize;

/**
 * 496 bytes: closed connections in the order in which CPU `cpu` closed them. `id` grows by one per batch of that CPU;
 * of the four only the first `len` mean something.
 */
export class Batch implements layout.Batch {
  c0: Conn;
  c1: Conn;
  c2: Conn;
  c3: Conn;
  id: bigint;
  cpu: number;
  len: number;

  /** Throws a RecordError when `len` is above 4. */
  constructor(fields: layout.Batch) {
    if (fields.len > BATCH_ROOM)
      throw new RecordError("Batch", `len is ${fields.len}, it has room for ${BATCH_ROOM}`);
    this.c0 = new Conn(fields.c0);
    this.c1 = new Conn(fields.c1);
    this.c2 = new Conn(fields.c2);
    this.c3 = new Conn(fields.c3);
    this.id = fields.id;
    this.cpu = fields.cpu;
    this.len = fields.len;
  }

  /** The `len` connections that are there. */
  conns(): Conn[] {
    return [this.c0, this.c1, this.c2, this.c3].slice(0, this.len);
  }
}

/** 56 bytes: a connection's tuple under the address of its struct sock. */
export class SkpConn implements layout.SkpConn {
  sk: bigint;
  tup: ConnTuple;

  constructor(fields: layout.SkpConn) {
    this.sk = fields.sk;
    this.tup = new ConnTuple(fields.tup);
  }
}
