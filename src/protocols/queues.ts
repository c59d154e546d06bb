/** Protocols of message queues: Kafka, AMQP, MQTT, NATS. Pure. */
import type { Seen } from "./seen.ts";

/** The newest API key and version that a broker knows, with room for a few more. */
const [KEYS_MOST, VERSIONS_MOST] = [100, 24];
const API_VERSIONS = 18;

/** A request that fills its segment: length, API key, version, correlation id, client id. */
export function isKafka(seen: Seen): boolean {
  if (!seen.mayBeFrom("client") || seen.u32(0) !== seen.length - 4 || seen.length < 14)
    return false;
  const [key, version] = [seen.u16(4), seen.u16(6)];
  if (key < 0 || key > KEYS_MOST || version < 0 || version > VERSIONS_MOST) return false;
  // A correlation id counts requests. PostgreSQL has "user" there, behind the version 3.0.
  if (seen.printable(8, 12)) return false;
  const id = seen.u16(12);
  // Zeros are other protocols' numbers too: with a client id of null only the request that begins a connection is certain.
  if (id === 0xffff)
    return seen.start && key === API_VERSIONS && version <= 4 && seen.u32(8) < 2 ** 16;
  return seen.u8(8) < 0x80 && id > 0 && 14 + id <= seen.length && seen.printable(14, 14 + id);
}

const METHODS: Readonly<Record<number, readonly number[]>> = {
  10: [10, 11, 20, 21, 30, 31, 40, 41, 50, 51],
  20: [10, 11, 20, 21, 40, 41],
  40: [10, 11, 20, 21],
  50: [10, 11, 20, 21, 30, 31, 40, 41],
  60: [10, 11, 20, 21, 30, 31, 40, 50, 60, 70, 71, 72, 80, 90, 110, 111, 120],
  85: [10, 11],
  90: [10, 11, 20, 21, 30, 31],
};
const FRAME_END = 0xce;

/** The header of AMQP 0-9-1 or 1.0, or a method frame of 0-9-1: type 1, channel, length, class, method. */
export function isAmqp(seen: Seen): boolean {
  if (seen.has(0, "AMQP"))
    return [0x0000_0901, 0x0001_0000, 0x0201_0000, 0x0301_0000].includes(seen.u32(4));
  if (seen.u8(0) !== 1 || seen.bytes.length < 11) return false;
  const payload = seen.u32(3);
  if (payload < 4 || payload > 2 ** 17 || !METHODS[seen.u16(7)]?.includes(seen.u16(9)))
    return false;
  const [connection, channel] = [seen.u16(7) === 10, seen.u16(1)];
  if (connection !== (channel === 0)) return false;
  const end = 7 + payload;
  return end < seen.bytes.length ? seen.u8(end) === FRAME_END : end < seen.length;
}

/** CONNECT: its length, the name and the version of the protocol. */
export function isMqtt(seen: Seen): boolean {
  if (!seen.start || !seen.mayBeFrom("client") || seen.u8(0) !== 0x10) return false;
  let [length, at] = [0, 1];
  for (let unit = 1; at <= 4; unit *= 128) {
    const byte = seen.u8(at++);
    if (byte < 0) return false;
    length += (byte & 0x7f) * unit;
    if (byte < 0x80) break;
  }
  if (at + length !== seen.length) return false;
  if (seen.u16(at) === 4 && seen.has(at + 2, "MQTT"))
    return seen.u8(at + 6) >= 4 && seen.u8(at + 6) <= 5;
  return seen.u16(at) === 6 && seen.has(at + 2, "MQIsdp") && seen.u8(at + 8) === 3;
}

/** The server speaks first. */
export function isNats(seen: Seen): boolean {
  if (!seen.start) return false;
  if (seen.mayBeFrom("server") && /^INFO \{"[a-z_]{1,30}":/.test(seen.text)) return true;
  return seen.mayBeFrom("client") && /^CONNECT \{"[a-z_]{1,30}":/.test(seen.text);
}
