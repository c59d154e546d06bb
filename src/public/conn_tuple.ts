/** The tuple of a connection: the 48 bytes that name its two ends, with their meaning. */
import { addressOfWords, endpointText, isMapped, parseAddress } from "../record/address.ts";
import { ConnFamily, ConnType } from "./constants.ts";
import { RecordError, unsigned } from "../record/error.ts";
import { ConnMetadata, type ConnTuple as Layout } from "../record/layout.gen.ts";

const RECORD = "ConnTuple";

export interface ConnTupleParts {
  type: ConnType;
  /** Text form: "127.0.0.1", "::1". Both of one family; IPv4-mapped IPv6 is IPv4. */
  source: string;
  destination: string;
  /** Host order. */
  sourcePort: number;
  destinationPort: number;
  /** tgid; 0 or left out: not known. */
  pid?: number;
  /** Inode number of the network namespace; 0 or left out: not known. */
  netns?: number;
}

/**
 * The source is the local end. The fields are those of the record: address words as they lie in memory (network order;
 * an IPv4 address in the low 32 bits of the low word), ports in host order. Setters throw a RecordError, change nothing
 * then, and return the tuple.
 */
export class ConnTuple implements Layout {
  saddr_h: bigint;
  saddr_l: bigint;
  daddr_h: bigint;
  daddr_l: bigint;
  sport: number;
  dport: number;
  netns: number;
  pid: number;
  metadata: number;

  constructor(fields: Layout) {
    this.saddr_h = fields.saddr_h;
    this.saddr_l = fields.saddr_l;
    this.daddr_h = fields.daddr_h;
    this.daddr_l = fields.daddr_l;
    this.sport = fields.sport;
    this.dport = fields.dport;
    this.netns = fields.netns;
    this.pid = fields.pid;
    this.metadata = fields.metadata;
  }

  static of(parts: ConnTupleParts): ConnTuple {
    return new ConnTuple(EMPTY)
      .setType(parts.type)
      .setAddresses(parts.source, parts.destination)
      .setSourcePort(parts.sourcePort)
      .setDestinationPort(parts.destinationPort)
      .setPid(parts.pid ?? 0)
      .setNetns(parts.netns ?? 0);
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
    const from = words(source);
    const to = words(destination);
    if (from.family !== to.family)
      throw new RecordError(RECORD, `${source} and ${destination} are not of one family`);
    this.#setSource(from);
    this.#setDestination(to);
    return this.#setFamily(from.family);
  }

  /** Of the other end's family; while that end has no address, of any. */
  setSourceAddress(address: string): this {
    const source = words(address);
    this.#mustFit(source, this.daddr_h | this.daddr_l, this.destinationAddress());
    this.#setSource(source);
    return this.#setFamily(source.family);
  }

  setDestinationAddress(address: string): this {
    const destination = words(address);
    this.#mustFit(destination, this.saddr_h | this.saddr_l, this.sourceAddress());
    this.#setDestination(destination);
    return this.#setFamily(destination.family);
  }

  setSourcePort(port: number): this {
    this.sport = unsigned(RECORD, "the source port", port, 16);
    return this;
  }

  setDestinationPort(port: number): this {
    this.dport = unsigned(RECORD, "the destination port", port, 16);
    return this;
  }

  setPid(pid: number): this {
    this.pid = unsigned(RECORD, "pid", pid, 32);
    return this;
  }

  setNetns(netns: number): this {
    this.netns = unsigned(RECORD, "netns", netns, 32);
    return this;
  }

  setType(type: ConnType): this {
    if (type !== ConnType.TCP && type !== ConnType.UDP)
      throw new RecordError(RECORD, `the type is ${String(type)}, neither UDP (0) nor TCP (1)`);
    this.metadata = ((this.metadata & ~ConnMetadata.METADATA_TCP) | type) >>> 0;
    return this;
  }

  /** "tcp 127.0.0.1:51000 > 127.0.0.1:80 pid 4711 netns 4026531833" */
  toString(): string {
    const type = this.type() === ConnType.TCP ? "tcp" : "udp";
    const process = this.pid === 0 ? "" : ` pid ${this.pid}`;
    const namespace = this.netns === 0 ? "" : ` netns ${this.netns}`;
    return `${type} ${this.sourceEndpoint()} > ${this.destinationEndpoint()}${process}${namespace}`;
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
    throw new RecordError(RECORD, `the other end is ${text}: set both with setAddresses()`);
  }
}

// --- internal ---

const EMPTY: Layout = {
  saddr_h: 0n,
  saddr_l: 0n,
  daddr_h: 0n,
  daddr_l: 0n,
  sport: 0,
  dport: 0,
  netns: 0,
  pid: 0,
  metadata: 0,
};

interface Words {
  family: ConnFamily;
  high: bigint;
  low: bigint;
}

function words(text: string): Words {
  const parsed = parseAddress(text);
  if (parsed === null) throw new RecordError(RECORD, `${JSON.stringify(text)} is no address`);
  const view = new DataView(parsed.bytes.buffer);
  const high = view.getBigUint64(0, true);
  if (parsed.family === 4) return { family: ConnFamily.IPv4, high: 0n, low: high };
  const low = view.getBigUint64(8, true);
  return isMapped(parsed.bytes)
    ? { family: ConnFamily.IPv4, high: 0n, low: low >> 32n }
    : { family: ConnFamily.IPv6, high, low };
}

const version = (tuple: ConnTuple): 4 | 6 => (tuple.family() === ConnFamily.IPv6 ? 6 : 4);
