/**
 * A strict decoder of the parts of OTLP's protobuf that are sent (opentelemetry-proto 1.x): an unknown field, another wire type,
 * bytes that are left over or text that is no UTF-8 throw.
 */

export type Message = Record<string, unknown>;

type Scalar =
  | "varint"
  | "fixed64"
  | "sfixed64"
  | "fixed32"
  | "double"
  | "string"
  | "bool"
  | "bytes";
interface Field {
  name: string;
  type: Scalar | Schema;
  repeated?: true;
}
type Schema = () => Readonly<Record<number, Field>>;

const one = (name: string, type: Field["type"]): Field => ({ name, type });
const many = (name: string, type: Field["type"]): Field => ({ name, type, repeated: true });

// common.proto
const anyValue: Schema = () => ({
  1: one("string_value", "string"),
  2: one("bool_value", "bool"),
  3: one("int_value", "varint"),
  4: one("double_value", "double"),
});
const keyValue: Schema = () => ({ 1: one("key", "string"), 2: one("value", anyValue) });
const scope: Schema = () => ({ 1: one("name", "string"), 2: one("version", "string") });
// resource.proto
const resource: Schema = () => ({
  1: many("attributes", keyValue),
  2: one("dropped_attributes_count", "varint"),
});

// logs.proto
const logRecord: Schema = () => ({
  1: one("time_unix_nano", "fixed64"),
  2: one("severity_number", "varint"),
  3: one("severity_text", "string"),
  5: one("body", anyValue),
  6: many("attributes", keyValue),
  7: one("dropped_attributes_count", "varint"),
  8: one("flags", "fixed32"),
  9: one("trace_id", "bytes"),
  10: one("span_id", "bytes"),
  11: one("observed_time_unix_nano", "fixed64"),
  12: one("event_name", "string"),
});
const scopeLogs: Schema = () => ({
  1: one("scope", scope),
  2: many("log_records", logRecord),
  3: one("schema_url", "string"),
});
const resourceLogs: Schema = () => ({
  1: one("resource", resource),
  2: many("scope_logs", scopeLogs),
  3: one("schema_url", "string"),
});
export const logsRequest: Schema = () => ({ 1: many("resource_logs", resourceLogs) });

// metrics.proto
const numberPoint: Schema = () => ({
  2: one("start_time_unix_nano", "fixed64"),
  3: one("time_unix_nano", "fixed64"),
  4: one("as_double", "double"),
  6: one("as_int", "sfixed64"),
  7: many("attributes", keyValue),
  8: one("flags", "varint"),
});
const histogramPoint: Schema = () => ({
  2: one("start_time_unix_nano", "fixed64"),
  3: one("time_unix_nano", "fixed64"),
  4: one("count", "fixed64"),
  5: one("sum", "double"),
  6: many("bucket_counts", "fixed64"),
  7: many("explicit_bounds", "double"),
  9: many("attributes", keyValue),
  10: one("flags", "varint"),
  11: one("min", "double"),
  12: one("max", "double"),
});
const gauge: Schema = () => ({ 1: many("data_points", numberPoint) });
const sum: Schema = () => ({
  1: many("data_points", numberPoint),
  2: one("aggregation_temporality", "varint"),
  3: one("is_monotonic", "bool"),
});
const histogram: Schema = () => ({
  1: many("data_points", histogramPoint),
  2: one("aggregation_temporality", "varint"),
});
const metric: Schema = () => ({
  1: one("name", "string"),
  2: one("description", "string"),
  3: one("unit", "string"),
  5: one("gauge", gauge),
  7: one("sum", sum),
  9: one("histogram", histogram),
});
const scopeMetrics: Schema = () => ({
  1: one("scope", scope),
  2: many("metrics", metric),
  3: one("schema_url", "string"),
});
const resourceMetrics: Schema = () => ({
  1: one("resource", resource),
  2: many("scope_metrics", scopeMetrics),
  3: one("schema_url", "string"),
});
export const metricsRequest: Schema = () => ({ 1: many("resource_metrics", resourceMetrics) });

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;
const wires: Readonly<Record<Scalar, number>> = {
  varint: VARINT,
  bool: VARINT,
  fixed64: FIXED64,
  sfixed64: FIXED64,
  double: FIXED64,
  fixed32: FIXED32,
  string: LENGTH,
  bytes: LENGTH,
};

export function decode(bytes: Uint8Array, schema: Schema): Message {
  const fields = schema();
  const reader = new Reader(bytes);
  const message: Message = {};
  while (!reader.atEnd) {
    const tag = Number(reader.varint());
    const [number, wire] = [tag >>> 3, tag & 7];
    const field = fields[number];
    if (field === undefined)
      throw new Error(`field ${number} is not in ${Object.values(fields)[0]!.name}'s message`);
    const { name, type, repeated } = field;
    const values = valuesOf(reader, type, wire, repeated === true);
    if (repeated) message[name] = [...((message[name] as unknown[]) ?? []), ...values];
    else if (name in message) throw new Error(`${name} comes twice`);
    else message[name] = values[0];
  }
  return message;
}

function valuesOf(reader: Reader, type: Field["type"], wire: number, repeated: boolean): unknown[] {
  const wanted = typeof type === "function" ? LENGTH : wires[type];
  if (wire === wanted)
    return [typeof type === "function" ? decode(reader.bytes(), type) : reader.scalar(type)];
  // Numbers of a list may be packed.
  if (!repeated || wire !== LENGTH || typeof type === "function")
    throw new Error(`wire type ${wire}, not ${wanted}`);
  const inner = new Reader(reader.bytes());
  const values: unknown[] = [];
  while (!inner.atEnd) values.push(inner.scalar(type));
  return values;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#take(1)[0]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Error("a varint has no end");
  }

  bytes(): Uint8Array {
    return this.#take(Number(this.varint()));
  }

  scalar(type: Scalar): unknown {
    if (type === "varint") return BigInt.asIntN(64, this.varint());
    if (type === "bool") return this.#bool();
    if (type === "bytes") return this.bytes();
    if (type === "string") return new TextDecoder("utf-8", { fatal: true }).decode(this.bytes());
    const at = this.#at;
    this.#take(type === "fixed32" ? 4 : 8);
    if (type === "fixed32") return this.#view.getUint32(at, true);
    if (type === "double") return this.#view.getFloat64(at, true);
    return type === "fixed64"
      ? this.#view.getBigUint64(at, true)
      : this.#view.getBigInt64(at, true);
  }

  #bool(): boolean {
    const value = this.varint();
    if (value > 1n) throw new Error(`a bool is ${value}`);
    return value === 1n;
  }

  #take(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw new Error("the message is cut off");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
