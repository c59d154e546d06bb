/**
 * Requests and answers of ctnetlink as bytes: entries of the kernel's connection tracking are made, found and deleted.
 * Numbers in attributes are big-endian. Source: <linux/netfilter/nfnetlink_conntrack.h>. Pure.
 */
import { ipv4Text } from "../record/address.ts";
import { RecordError } from "../record/error.ts";
import { AF_INET, AF_INET6 } from "./constants.ts";
import {
  attribute,
  attributesOf,
  errnoOf,
  message,
  nested,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  readMessages,
  type Attributes,
  type Message,
} from "./netlink.ts";
import { ipv6Text, parseIPv4, parseIPv6, type Address } from "./sockaddr.ts";

/** One direction of a connection as conntrack has it; both ends are of one family. */
export interface Tuple {
  /** IPPROTO_*. */
  protocol: number;
  source: Address;
  destination: Address;
}

/** struct nf_conn. Without translation `reply` is `orig` turned round. */
export interface ConntrackEntry {
  /** As the first packet had it, before any translation. */
  orig: Tuple;
  /** As the answer has it, before any translation back. */
  reply: Tuple;
  zone: number;
  /** Bits of enum ip_conntrack_status; `null`: not told. */
  status: number | null;
}

export interface NewEntry {
  orig: Tuple;
  reply: Tuple;
  zone?: number;
  timeoutSeconds: number;
  /** Bits of enum ip_conntrack_status that are set besides. */
  status?: number;
  /** The kernel then translates the destination to it, and makes `reply` fit: needs the module nf_nat. */
  natDestination?: Address;
}

/** A request with its number still to come. */
export type Request = (seq: number) => Uint8Array;

/** Makes an entry. Answered by 0, or by an errno: EEXIST where one of its tuples is taken. */
export const newEntry =
  ({ orig, reply, zone, timeoutSeconds, status, natDestination }: NewEntry): Request =>
  (seq) =>
    request(IPCTNL_MSG_CT_NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, seq, orig, [
      tupleAttribute(CTA_TUPLE_ORIG, orig),
      tupleAttribute(CTA_TUPLE_REPLY, reply),
      ...zoneAttribute(zone),
      attribute(CTA_TIMEOUT, be32(timeoutSeconds)),
      ...(status === undefined ? [] : [attribute(CTA_STATUS, be32(status))]),
      ...(natDestination === undefined ? [] : [natAttribute(natDestination)]),
    ]);

/** Finds the entry with this tuple, be it its orig or its reply one, or ENOENT. */
export const getEntry =
  (tuple: Tuple, zone?: number): Request =>
  (seq) =>
    request(IPCTNL_MSG_CT_GET, 0, seq, tuple, [
      tupleAttribute(CTA_TUPLE_ORIG, tuple),
      ...zoneAttribute(zone),
    ]);

/** Deletes the entry with this tuple. Answered by 0, or by ENOENT. */
export const deleteEntry =
  (tuple: Tuple, zone?: number): Request =>
  (seq) =>
    request(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, seq, tuple, [
      tupleAttribute(CTA_TUPLE_ORIG, tuple),
      ...zoneAttribute(zone),
    ]);

/** An entry, or the errno (positive) that the kernel gives instead: 0 for done, ENOENT for none. `null`: it said nothing. */
export type Answer = ConntrackEntry | number | null;

/** Throws a RecordError for a message that is neither an entry nor an error. */
export function readAnswer(of: Message): ConntrackEntry | number {
  const errno = errnoOf(of);
  if (errno !== null) return errno;
  if (of.type !== typeOf(IPCTNL_MSG_CT_NEW)) throw wrong(`a message of type ${of.type}`);
  if (of.payload.length < NFGENMSG) throw wrong("no room for a struct nfgenmsg");
  const attributes = attributesOf(of, NFGENMSG);
  return {
    orig: readTuple(needed(attributes, CTA_TUPLE_ORIG, "the orig tuple")),
    reply: readTuple(needed(attributes, CTA_TUPLE_REPLY, "the reply tuple")),
    zone: attributes.find(CTA_ZONE)?.number(2) ?? 0,
    status: attributes.find(CTA_STATUS)?.number(4) ?? null,
  };
}

/** The same of the bytes of one datagram, by the numbers of the requests. */
export function readAnswers(bytes: Uint8Array): ReadonlyMap<number, ConntrackEntry | number> {
  return new Map(readMessages(bytes).map((of) => [of.seq, readAnswer(of)]));
}

/** The tuple of the packets that go the other way, where nothing is translated. */
export const turned = ({ protocol, source, destination }: Tuple): Tuple => ({
  protocol,
  source: destination,
  destination: source,
});

// --- internal ---

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_NEW = 0;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;

/** u8 family, u8 version, u16 res_id. */
const NFGENMSG = 4;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_TIMEOUT = 7;
const CTA_NAT_DST = 13;
const CTA_ZONE = 18;

const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;

const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;

const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;

const CTA_NAT_V4_MINIP = 1;
const CTA_NAT_V4_MAXIP = 2;
const CTA_NAT_PROTO = 3;
const CTA_NAT_V6_MINIP = 4;
const CTA_NAT_V6_MAXIP = 5;
const CTA_PROTONAT_PORT_MIN = 1;
const CTA_PROTONAT_PORT_MAX = 2;

const typeOf = (message: number): number => (NFNL_SUBSYS_CTNETLINK << 8) | message;

function request(
  kind: number,
  flags: number,
  seq: number,
  { source }: Tuple,
  attributes: readonly Uint8Array[],
): Uint8Array {
  const family = source.family === 4 ? AF_INET : AF_INET6;
  const payload = [Uint8Array.of(family, 0, 0, 0), ...attributes];
  return message(typeOf(kind), NLM_F_REQUEST | flags, seq, payload);
}

function tupleAttribute(type: number, { protocol, source, destination }: Tuple): Uint8Array {
  const [from, to] =
    source.family === 4 ? [CTA_IP_V4_SRC, CTA_IP_V4_DST] : [CTA_IP_V6_SRC, CTA_IP_V6_DST];
  return nested(
    type,
    nested(
      CTA_TUPLE_IP,
      attribute(from, addressBytes(source)),
      attribute(to, addressBytes(destination)),
    ),
    nested(
      CTA_TUPLE_PROTO,
      attribute(CTA_PROTO_NUM, Uint8Array.of(protocol)),
      attribute(CTA_PROTO_SRC_PORT, be16(source.port)),
      attribute(CTA_PROTO_DST_PORT, be16(destination.port)),
    ),
  );
}

const zoneAttribute = (zone: number | undefined): Uint8Array[] =>
  zone === undefined ? [] : [attribute(CTA_ZONE, be16(zone))];

/** A range of one address and one port. */
function natAttribute(to: Address): Uint8Array {
  const [min, max] =
    to.family === 4 ? [CTA_NAT_V4_MINIP, CTA_NAT_V4_MAXIP] : [CTA_NAT_V6_MINIP, CTA_NAT_V6_MAXIP];
  return nested(
    CTA_NAT_DST,
    attribute(min, addressBytes(to)),
    attribute(max, addressBytes(to)),
    nested(
      CTA_NAT_PROTO,
      attribute(CTA_PROTONAT_PORT_MIN, be16(to.port)),
      attribute(CTA_PROTONAT_PORT_MAX, be16(to.port)),
    ),
  );
}

function readTuple(of: Attributes): Tuple {
  const ip = needed(of, CTA_TUPLE_IP, "a tuple's addresses");
  const proto = needed(of, CTA_TUPLE_PROTO, "a tuple's protocol");
  const v4 = ip.find(CTA_IP_V4_SRC);
  const [source, destination] =
    v4 === null
      ? [
          readV6(needed(ip, CTA_IP_V6_SRC, "a tuple's source")),
          readV6(needed(ip, CTA_IP_V6_DST, "a tuple's destination")),
        ]
      : [readV4(v4), readV4(needed(ip, CTA_IP_V4_DST, "a tuple's destination"))];
  return {
    protocol: needed(proto, CTA_PROTO_NUM, "a tuple's protocol").number(1),
    source: { ...source, port: needed(proto, CTA_PROTO_SRC_PORT, "a tuple's port").number(2) },
    destination: {
      ...destination,
      port: needed(proto, CTA_PROTO_DST_PORT, "a tuple's port").number(2),
    },
  };
}

const readV4 = (of: Attributes) => ({ family: 4 as const, address: ipv4Text(of.bytes(4)) });
const readV6 = (of: Attributes) => ({ family: 6 as const, address: ipv6Text(of.bytes(16)) });

const addressBytes = ({ family, address }: Address): Uint8Array =>
  family === 4 ? parseIPv4(address) : parseIPv6(address);

const be16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value & 0xff);
const be32 = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);

function needed(of: Attributes, type: number, what: string): Attributes {
  const value = of.find(type);
  if (value === null) throw wrong(`${what} is missing`);
  return value;
}

const wrong = (why: string): RecordError => new RecordError("an answer of ctnetlink", why);
