/** The part that tuples of connections and of conntrack have in common: the names of the two ends, with their meaning. */
import { addressOfWords, endpointText, isMapped, parseAddress } from "../record/address.ts";
import { ConnFamily, ConnType } from "./constants.ts";
import { RecordError, unsigned } from "../record/error.ts";
import { ConnMetadata, type ConntrackTuple as Layout } from "../record/layout.gen.ts";

export interface TupleParts {
  type: ConnType;
  /** Text form: "127.0.0.1", "::1". Both of one family; IPv4-mapped IPv6 is IPv4. */
  source: string;
  destination: string;
  /** Host order. */
  sourcePort: number;
  destinationPort: number;
  /** Inode number of the network namespace; 0 or left out: not known. */
  netns?: number;
}

/**
 * The fields are those of the record: address words as they lie in memory (network order; an IPv4 address in the low 32
 * bits of the low word), ports in host order. Setters throw a RecordError, change nothing then, and return the tuple.
 */
export abstract class Tuple implements Layout {
  saddr_h: bigint;
  saddr_l: bigint;
  daddr_h: bigint;
  daddr_l: bigint;
  sport: number;
  dport: number;
  netns: number;
  metadata: number;
  /** For errors. */
  readonly #record: string;

  protected constructor(record: string, fields: Layout) {
    this.#record = record;
    this.saddr_h = fields.saddr_h;
    this.saddr_l = fields.saddr_l;
    this.daddr_h = fields.daddr_h;
    this.daddr_l = fields.daddr_l;
    this.sport = fields.sport;
    this.dport = fields.dport;
    this.netns = fields.netns;
    this.metadata = fields.metadata;
  }

  /** "127.0.0.1", "::1"; IPv4-mapped IPv6 as the IPv4 address it stands for. */
  sourceAddress(): string {
    return addressOfWords(this.saddr_h, this.saddr_l, version(this)).address;
  }

  destinationAddress(): string {
    return addressOfWords(this.daddr_h, this.daddr_l, version(this)).address;
  }

  /** "127.0.0.1:80", "[::1]:80" */
  sourceEndpoint(): string {
    return endpointText({ address: this.sourceAddress(), port: this.sport });
  }

  destinationEndpoint(): string {
    return endpointText({ address: this.destinationAddress(), port: this.dport });
  }

  family(): ConnFamily {
    return (this.metadata & ConnMetadata.METADATA_IPV6) === 0 ? ConnFamily.IPv4 : ConnFamily.IPv6;
  }

  type(): ConnType {
    return (this.metadata & ConnMetadata.METADATA_TCP) === 0 ? ConnType.UDP : ConnType.TCP;
  }

  /** Both ends, and with them the family. */
  setAddresses(source: string, destination: string): this {
    const from = words(this.#record, source);
    const to = words(this.#record, destination);
    if (from.family !== to.family)
      throw new RecordError(this.#record, `${source} and ${destination} are not of one family`);
    this.#setSource(from);
    this.#setDestination(to);
    return this.#setFamily(from.family);
  }

  /** Of the other end's family; while that end has no address, of any. */
  setSourceAddress(address: string): this {
    const source = words(this.#record, address);
    this.#mustFit(source, this.daddr_h | this.daddr_l, this.destinationAddress());
    this.#setSource(source);
    return this.#setFamily(source.family);
  }

  setDestinationAddress(address: string): this {
    const destination = words(this.#record, address);
    this.#mustFit(destination, this.saddr_h | this.saddr_l, this.sourceAddress());
    this.#setDestination(destination);
    return this.#setFamily(destination.family);
  }

  setSourcePort(port: number): this {
    this.sport = unsigned(this.#record, "the source port", port, 16);
    return this;
  }

  setDestinationPort(port: number): this {
    this.dport = unsigned(this.#record, "the destination port", port, 16);
    return this;
  }

  setNetns(netns: number): this {
    this.netns = unsigned(this.#record, "netns", netns, 32);
    return this;
  }

  setType(type: ConnType): this {
    if (type !== ConnType.TCP && type !== ConnType.UDP)
      throw new RecordError(
        this.#record,
        `the type is ${String(type)}, neither UDP (0) nor TCP (1)`,
      );
    this.metadata = ((this.metadata & ~ConnMetadata.METADATA_TCP) | type) >>> 0;
    return this;
  }

  /** "tcp 127.0.0.1:51000 > 127.0.0.1:80 netns 4026531833" */
  toString(): string {
    const namespace = this.netns === 0 ? "" : ` netns ${this.netns}`;
    return `${this.endsText()}${namespace}`;
  }

  protected endsText(): string {
    const type = this.type() === ConnType.TCP ? "tcp" : "udp";
    return `${type} ${this.sourceEndpoint()} > ${this.destinationEndpoint()}`;
  }

  protected setParts({
    type,
    source,
    destination,
    sourcePort,
    destinationPort,
    netns,
  }: TupleParts) {
    return this.setType(type)
      .setAddresses(source, destination)
      .setSourcePort(sourcePort)
      .setDestinationPort(destinationPort)
      .setNetns(netns ?? 0);
  }

  #setSource({ high, low }: Words): void {
    this.saddr_h = high;
    this.saddr_l = low;
  }

  #setDestination({ high, low }: Words): void {
    this.daddr_h = high;
    this.daddr_l = low;
  }

  #setFamily(family: ConnFamily): this {
    this.metadata = ((this.metadata & ~ConnMetadata.METADATA_IPV6) | family) >>> 0;
    return this;
  }

  #mustFit(own: Words, other: bigint, text: string): void {
    if (other === 0n || own.family === this.family()) return;
    throw new RecordError(this.#record, `the other end is ${text}: set both with setAddresses()`);
  }
}

/** Of no connection. */
export const EMPTY: Layout = {
  saddr_h: 0n,
  saddr_l: 0n,
  daddr_h: 0n,
  daddr_l: 0n,
  sport: 0,
  dport: 0,
  netns: 0,
  metadata: 0,
};

// --- internal ---

interface Words {
  family: ConnFamily;
  high: bigint;
  low: bigint;
}

function words(record: string, text: string): Words {
  const parsed = parseAddress(text);
  if (parsed === null) throw new RecordError(record, `${JSON.stringify(text)} is no address`);
  const view = new DataView(parsed.bytes.buffer);
  const high = view.getBigUint64(0, true);
  if (parsed.family === 4) return { family: ConnFamily.IPv4, high: 0n, low: high };
  const low = view.getBigUint64(8, true);
  return isMapped(parsed.bytes)
    ? { family: ConnFamily.IPv4, high: 0n, low: low >> 32n }
    : { family: ConnFamily.IPv6, high, low };
}

const version = (tuple: Tuple): 4 | 6 => (tuple.family() === ConnFamily.IPv6 ? 6 : 4);
