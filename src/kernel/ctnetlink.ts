/**
 * The kernel's connection tracking, asked through ctnetlink. To open its socket loads the module nfnetlink, and a request
 * loads nf_conntrack and nf_conntrack_netlink. The tool loads no modules, so it looks first.
 */
import { existsSync, readFileSync } from "node:fs";
import { readAnswer, type Answer, type Request } from "./ctnetlink_codec.ts";
import { builtInSymbols } from "./kallsyms.ts";
import { REQUESTS_AT_ONCE, NetlinkSocket } from "./netlink.ts";

/** Whether this kernel can track connections at this moment: the module can come later, and go. */
export const conntrackIsThere = (): boolean =>
  existsSync("/sys/module/nf_conntrack") ||
  existsSync("/proc/sys/net/netfilter/nf_conntrack_count");

/** Whether it is part of the kernel, and no module that can go. Nothing that is not there is. */
export const conntrackIsBuiltIn = (): boolean =>
  conntrackIsThere() &&
  !existsSync("/sys/module/nf_conntrack/initstate") &&
  !isLive({ name: "nf_conntrack" });

/** false: what this kernel does not have now it never will. */
export const modulesCanCome = (): boolean => existsSync("/proc/modules");

/** The same of ctnetlink. false also where neither /proc/modules nor /proc/kallsyms tells. */
export const ctnetlinkIsThere = (): boolean =>
  conntrackIsThere() && NEEDED.every((module) => isLive(module) || isBuiltIn(module));

/** The connection tracking of one network namespace: that of the thread at the time of `open`. */
export class Ctnetlink implements Disposable {
  readonly #socket: NetlinkSocket;
  #seq = 0;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** -errno where there is none. To be called only where `ctnetlinkIsThere`. */
  static open(): Ctnetlink | number {
    const socket = NetlinkSocket.open(NETLINK_NETFILTER);
    return typeof socket === "number" ? socket : new Ctnetlink(socket);
  }

  /** An answer for each request. Needs CAP_NET_ADMIN: EPERM without it. Throws a RecordError for what is no answer. */
  ask(requests: readonly Request[]): Answer[] {
    const answers: Answer[] = [];
    for (let from = 0; from < requests.length; from += REQUESTS_AT_ONCE)
      for (const answer of this.#askBatch(requests.slice(from, from + REQUESTS_AT_ONCE)))
        answers.push(answer);
    return answers;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  #askBatch(requests: readonly Request[]): Answer[] {
    const first = this.#seq + 1;
    this.#seq += requests.length;
    const messages = this.#socket.ask(requests.map((make, n) => make(first + n)));
    if (typeof messages === "number") return requests.map(() => -messages);
    const answers: Answer[] = requests.map(() => null);
    for (const of of messages) {
      const n = of.seq - first;
      if (n >= 0 && n < answers.length) answers[n] = readAnswer(of);
    }
    return answers;
  }
}

// --- internal ---

const NETLINK_NETFILTER = 12;

/** A module, and a function of it that has a name in /proc/kallsyms. */
interface Module {
  name: string;
  symbol: string;
}

const NEEDED: readonly Module[] = [
  { name: "nfnetlink", symbol: "nfnetlink_rcv" },
  { name: "nf_conntrack_netlink", symbol: "ctnetlink_get_conntrack" },
];

/** Of NEEDED; what is built in stays. */
let builtIn: ReadonlySet<string> | undefined;

function isLive({ name }: Pick<Module, "name">): boolean {
  try {
    return new RegExp(`^${name} .* Live `, "m").test(readFileSync("/proc/modules", "latin1"));
  } catch {
    return false; // A kernel without modules.
  }
}

const isBuiltIn = ({ symbol }: Module): boolean =>
  (builtIn ??= builtInSymbols(NEEDED.map((module) => module.symbol))).has(symbol);
