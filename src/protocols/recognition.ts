/** The protocols of one connection: it is fed with looks at both directions until nothing more is to be looked for. Pure. */
import { isDns, isDnsOverTcp, questionName, readMessage, type DnsDetails } from "./dns.ts";
import { helloSize, NO_DETAILS, readHello, type TlsDetails } from "./hello.ts";
import { isGrpc } from "./http.ts";
import { proxyHeader } from "./proxy.ts";
import { isQuic, readQuic, type QuicDetails } from "./quic.ts";
import { Seen, type Side } from "./seen.ts";
import { stackOf, type Application } from "./stack.ts";
import { Stretch } from "./stretch.ts";
import {
  byAlpn,
  recognise,
  type Api,
  type ApplicationProtocol,
  type Encryption,
  type Transport,
} from "./table.ts";
import { isHello } from "./tls.ts";
import { mayUpgrade } from "./upgrades.ts";

export interface Look {
  /** `null`: the direction of the connection is not known, it is older than the trace. */
  fromClient: boolean | null;
  /** Of the first of `bytes`, from the first byte of the stream in this direction, modulo 2^32. Of a datagram 0. */
  offset: number;
  /** Payload of the whole segment or datagram; of a further look at the same one, its rest. */
  length: number;
  /** The first of these bytes, or those that follow the previous look. Read during the call only. */
  bytes: Uint8Array;
}

export type Outcome = "known" | "unrecognised" | "look missed" | "no data";

/** After looks at so many segments nothing more is looked for. */
const LOOKS_MOST = 16;
/** As many at least for the details, once TLS or HTTP/2 is known. */
const DETAIL_LOOKS = 14;
const GREETING_MOST = 48;

/** Of one connection, or one flow of UDP. When it is done it holds no payload. */
export class Recognition {
  readonly #transport: Transport;
  #api: Api | null = null;
  #application: ApplicationProtocol | null = null;
  #encryption: Encryption | null = null;
  #details: TlsDetails | null = null;
  #dns: DnsDetails | null = null;
  /** Of the message whose question is told. */
  #dnsId = -1;
  #quic: QuicDetails | null = null;
  #looks = 0;
  #most = LOOKS_MOST;
  #done = false;
  #sawStart = false;
  readonly #client = new End();
  readonly #server = new End();

  constructor(transport: Transport = "tcp") {
    this.#transport = transport;
  }

  /** Whether nothing more is to be looked for. */
  get done(): boolean {
    return this.#done;
  }

  /** `null`: nothing is known. */
  get application(): Application | null {
    if (this.#application === null && this.#encryption === null) return null;
    return stackOf(this.#api, this.#application, this.#encryption);
  }

  /** `null`: not TLS, or nothing is known of it. */
  get tls(): TlsDetails | null {
    return this.#details === NO_DETAILS ? null : this.#details;
  }

  /** `null`: not DNS. */
  get dns(): DnsDetails | null {
    return this.#dns;
  }

  /** `null`: not QUIC. */
  get quic(): QuicDetails | null {
    return this.#quic;
  }

  /** "look missed": bytes were seen, but of neither end the first ones. */
  get outcome(): Outcome {
    if (this.application !== null) return "known";
    if (this.#looks === 0) return "no data";
    return this.#sawStart ? "unrecognised" : "look missed";
  }

  /** True: nothing more is to be looked for. Looks may be repeated, be missing, or come in another order. */
  see(look: Look): boolean {
    if (this.#done || look.bytes.length === 0) return this.#done;
    const side = look.fromClient === null ? null : look.fromClient ? "client" : "server";
    const end = side === "server" ? this.#server : this.#client;
    // Of one end or the other, looks cannot be joined.
    if (side !== null && end.continues(look)) this.#seeMore(side, end, look);
    else {
      this.#seeFirst(side, end, look);
      if (++this.#looks >= this.#most) this.#done = true;
    }
    if (this.#done) for (const of of [this.#client, this.#server]) of.forget();
    return this.#done;
  }

  /** The first bytes of a segment. */
  #seeFirst(side: Side | null, end: End, look: Look): void {
    const { bytes, length, offset } = look;
    this.#sawStart ||= offset === 0;
    const start = offset === end.begins || this.#transport === "udp";
    const other = side === "client" ? this.#server : this.#client;
    const seen = new Seen(
      { bytes, length, from: side, start },
      side === null ? "" : other.greeting,
    );
    const header = this.#transport === "udp" ? 0 : proxyHeader(seen);
    if (header > 0) {
      end.begins = header;
      end.follow(look);
      if (header < bytes.length) this.#seeFirst(side, end, behind(look, header));
      return;
    }
    end.follow(look);
    if (this.#encryption === "quic") this.#seeQuic(seen);
    else if (this.#encryption !== null) this.#seeDetails(seen, end, offset);
    else if (this.#application === null) this.#seeUnknown(seen, end, offset);
    else this.#seeKnown(seen, end, offset, false);
  }

  #seeUnknown(seen: Seen, end: End, offset: number): void {
    this.#encryption = recognise("encryption", this.#transport, seen) as Encryption | null;
    if (this.#encryption !== null) {
      this.#beginDetails(seen, end, offset);
      return;
    }
    this.#application = recognise(
      "application",
      this.#transport,
      seen,
    ) as ApplicationProtocol | null;
    if (this.#application !== null) this.#seeKnown(seen, end, offset, true);
    else if (seen.start) end.greeting = greetingOf(seen);
  }

  /** The application is known, and nothing of TLS. */
  #seeKnown(seen: Seen, end: End, offset: number, first: boolean): void {
    if (this.#application === "http2") {
      if (first) this.#most = this.#looks + DETAIL_LOOKS;
      end.stretch = new Stretch(offset, seen.bytes);
      this.#seeHttp2(seen);
      return;
    }
    if (this.#application === "dns") {
      this.#seeDns(seen, end, offset);
      return;
    }
    const stays = mayUpgrade[this.#application!];
    if (!first && stays !== undefined && isHello(seen)) {
      this.#encryption = "tls";
      this.#beginDetails(seen, end, offset);
    } else if (stays === undefined || !stays(seen, first)) this.#done = true;
  }

  /** The first question that is seen, and the answer to it. */
  #seeDns(seen: Seen, end: End, offset: number): void {
    const isTcp = this.#transport === "tcp";
    if (!(isTcp ? isDnsOverTcp(seen) : isDns(seen))) return;
    const { id, code } = readMessage(seen, this.#dnsAt);
    if (this.#dns !== null && (id !== this.#dnsId || code === null)) return;
    this.#dnsId = id;
    const name = this.#dns?.questionName ?? questionName(seen.bytes, this.#dnsAt);
    this.#dns = Object.freeze({ questionName: name, responseCode: code });
    if (name === null && !seen.whole) end.stretch = new Stretch(offset, seen.bytes);
    else if (code !== null) this.#done = true;
  }

  get #dnsAt(): number {
    return this.#transport === "tcp" ? 2 : 0;
  }

  #readName({ bytes }: Stretch): void {
    const name = questionName(bytes, this.#dnsAt);
    if (name !== null) this.#dns = Object.freeze({ ...this.#dns!, questionName: name });
  }

  #seeQuic(seen: Seen): void {
    if (!isQuic(seen)) return;
    this.#quic = readQuic(seen);
    if (seen.from === "server") this.#done = true;
  }

  #seeHttp2(seen: Seen): void {
    const found = isGrpc(seen);
    if (found !== null) this.#done = true;
    if (found === true) this.#api = "grpc";
  }

  #beginDetails(seen: Seen, end: End, offset: number): void {
    if (this.#encryption === "quic") {
      this.#seeQuic(seen);
      return;
    }
    if (this.#encryption !== "tls" || seen.from === null || !isHello(seen)) {
      this.#done = true;
      return;
    }
    this.#details = NO_DETAILS;
    this.#most = this.#looks + DETAIL_LOOKS;
    this.#seeDetails(seen, end, offset);
  }

  #seeDetails(seen: Seen, end: End, offset: number): void {
    if (end.stretch !== null) end.stretch.add(offset, seen.bytes);
    else if (isHello(seen)) end.stretch = new Stretch(offset, seen.bytes);
    // Its hello was not seen, and does not come any more.
    else end.isTold = true;
    this.#readDetails(end);
  }

  #readDetails(end: End): void {
    const { stretch } = end;
    if (stretch !== null && !end.isTold) {
      this.#details = readHello(stretch.bytes, this.#details!);
      this.#application ??= byAlpn(this.#details.alpn);
      end.isTold = stretch.ended || stretch.bytes.length >= helloSize(stretch.bytes);
    }
    if (this.#client.isTold && this.#server.isTold) this.#done = true;
  }

  /** More of a segment whose first bytes were seen already. */
  #seeMore(side: Side, end: End, look: Look): void {
    end.follow(look);
    const { stretch } = end;
    if (stretch === null) return;
    stretch.add(look.offset, look.bytes);
    if (this.#encryption !== null) this.#readDetails(end);
    else if (this.#application === "dns") this.#readName(stretch);
    else if (this.#application === "http2") {
      const length = look.length + look.offset - stretch.offset;
      this.#seeHttp2(new Seen({ bytes: stretch.bytes, length, from: side, start: false }));
    }
  }
}

// --- internal ---

/** The state of the stream that one end sends. */
class End {
  /** The place where its first protocol begins, behind a PROXY header. */
  begins = 0;
  greeting = "";
  stretch: Stretch | null = null;
  /** TLS: nothing more is expected of its hello. */
  isTold = false;
  /** The place behind the bytes of the last look; -1: its segment had no more. */
  #next = -1;

  continues = ({ offset }: Look): boolean => offset === this.#next;

  follow({ offset, length, bytes }: Look): void {
    this.#next = bytes.length < length ? (offset + bytes.length) >>> 0 : -1;
  }

  forget(): void {
    this.greeting = "";
    this.stretch = null;
  }
}

const behind = ({ fromClient, offset, length, bytes }: Look, header: number): Look => ({
  fromClient,
  offset: offset + header,
  length: length - header,
  bytes: bytes.subarray(header),
});

/** The first line, if it is text. */
function greetingOf(seen: Seen): string {
  if (seen.u8(0) < 0x20 || seen.u8(0) > 0x7e) return "";
  return (/^[\x20-\x7e]*/.exec(seen.text)?.[0] ?? "").slice(0, GREETING_MOST);
}
