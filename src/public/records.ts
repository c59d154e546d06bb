/**
 * Bytes to records and back, one decoder per public struct. A decoder takes exactly the record's bytes: too few or too
 * many, or a buffer that does not start at a multiple of 8 (as the kernel's memory does), throw a RecordError.
 */
import { Batch, Conn, ConnStats, SkpConn, TCPStats } from "./conn.ts";
import { ConntrackTuple } from "./conntrack_tuple.ts";
import { ConnTuple } from "./conn_tuple.ts";
import { RecordError } from "../record/error.ts";
import * as l from "../record/layout.gen.ts";

export type {
  BindSyscallArgs,
  ConntrackTelemetry,
  PidFd as PIDFD,
  PidTs,
  PortBinding,
  ProtocolStack,
  ProtocolStackWrapper,
  Telemetry,
  UdpRecvSock as UDPRecvSock,
} from "../record/layout.gen.ts";

interface Codec<T> {
  size: number;
  read(view: DataView, at: number): T;
  write(view: DataView, at: number, value: T): void;
}

/** To make a struct public, add a row and its decoder below. */
const codecs = {
  ConnTuple: codec(
    l.connTupleSize,
    (v, p) => new ConnTuple(l.readConnTuple(v, p)),
    l.writeConnTuple,
  ),
  TCPStats: codec(l.tcpStatsSize, (v, p) => new TCPStats(l.readTcpStats(v, p)), l.writeTcpStats),
  ConnStats: codec(
    l.connStatsSize,
    (v, p) => new ConnStats(l.readConnStats(v, p)),
    l.writeConnStats,
  ),
  Conn: codec(l.connSize, (v, p) => new Conn(l.readConn(v, p)), l.writeConn),
  Batch: codec(l.batchSize, (v, p) => new Batch(l.readBatch(v, p)), l.writeBatch),
  SkpConn: codec(l.skpConnSize, (v, p) => new SkpConn(l.readSkpConn(v, p)), l.writeSkpConn),
  PortBinding: codec(l.portBindingSize, l.readPortBinding, l.writePortBinding),
  BindSyscallArgs: codec(l.bindSyscallArgsSize, l.readBindSyscallArgs, l.writeBindSyscallArgs),
  PidTs: codec(l.pidTsSize, l.readPidTs, l.writePidTs),
  PIDFD: codec(l.pidFdSize, l.readPidFd, l.writePidFd),
  UDPRecvSock: codec(l.udpRecvSockSize, l.readUdpRecvSock, l.writeUdpRecvSock),
  ProtocolStack: codec(l.protocolStackSize, l.readProtocolStack, l.writeProtocolStack),
  ProtocolStackWrapper: codec(
    l.protocolStackWrapperSize,
    l.readProtocolStackWrapper,
    l.writeProtocolStackWrapper,
  ),
  ConntrackTuple: codec(
    l.conntrackTupleSize,
    (v, p) => new ConntrackTuple(l.readConntrackTuple(v, p)),
    l.writeConntrackTuple,
  ),
  ConntrackTelemetry: codec(
    l.conntrackTelemetrySize,
    l.readConntrackTelemetry,
    l.writeConntrackTelemetry,
  ),
  Telemetry: codec(l.telemetrySize, l.readTelemetry, l.writeTelemetry),
};

export type RecordName = keyof typeof codecs;
export type RecordOf<N extends RecordName> = ReturnType<(typeof codecs)[N]["read"]>;

/** Size of each record in bytes. */
export const recordSizes = Object.fromEntries(
  Object.entries(codecs).map(([name, { size }]) => [name, size]),
) as Readonly<Record<RecordName, number>>;

export const toConnTuple = decoder("ConnTuple");
export const toTCPStats = decoder("TCPStats");
export const toConnStats = decoder("ConnStats");
export const toConn = decoder("Conn");
/** Also refuses a `len` above 4. */
export const toBatch = decoder("Batch");
export const toSkpConn = decoder("SkpConn");
export const toPortBinding = decoder("PortBinding");
export const toBindSyscallArgs = decoder("BindSyscallArgs");
export const toPidTs = decoder("PidTs");
export const toPIDFD = decoder("PIDFD");
export const toUDPRecvSock = decoder("UDPRecvSock");
export const toProtocolStack = decoder("ProtocolStack");
export const toProtocolStackWrapper = decoder("ProtocolStackWrapper");
export const toConntrackTuple = decoder("ConntrackTuple");
export const toConntrackTelemetry = decoder("ConntrackTelemetry");
export const toTelemetry = decoder("Telemetry");

/** The bytes of a record, padding as zeros. */
export function toBytes<N extends RecordName>(name: N, value: RecordOf<N>): Uint8Array {
  const { size, write } = codecs[name] as unknown as Codec<RecordOf<N>>;
  const bytes = new Uint8Array(size);
  write(new DataView(bytes.buffer), 0, value);
  return bytes;
}

// --- internal ---

const ALIGNMENT = 8;

function codec<T>(
  size: number,
  read: Codec<T>["read"],
  write: (view: DataView, at: number, value: T) => void,
): Codec<T> {
  return { size, read, write };
}

function decoder<N extends RecordName>(name: N): (bytes: Uint8Array) => RecordOf<N> {
  const { size, read } = codecs[name];
  return (bytes) => {
    if (!(bytes instanceof Uint8Array)) throw new RecordError(name, "no Uint8Array was given");
    if (bytes.byteLength !== size)
      throw new RecordError(name, `it takes ${size} bytes, ${bytes.byteLength} were given`);
    if (bytes.byteOffset % ALIGNMENT !== 0)
      throw new RecordError(
        name,
        `the bytes begin at ${bytes.byteOffset} of their buffer, no multiple of ${ALIGNMENT}`,
      );
    return read(new DataView(bytes.buffer, bytes.byteOffset, size), 0) as RecordOf<N>;
  };
}
