/** The tuple of a connection: the 48 bytes that name its two ends and its process. */
import { unsigned } from "../record/error.ts";
import type { ConnTuple as Layout } from "../record/layout.gen.ts";
import { EMPTY, Tuple, type TupleParts } from "./tuple.ts";

const RECORD = "ConnTuple";

export interface ConnTupleParts extends TupleParts {
  /** tgid; 0 or left out: not known. */
  pid?: number;
}

/** The source is the local end. */
export class ConnTuple extends Tuple implements Layout {
  pid: number;

  constructor(fields: Layout) {
    super(RECORD, fields);
    this.pid = fields.pid;
  }

  static of(parts: ConnTupleParts): ConnTuple {
    return new ConnTuple({ ...EMPTY, pid: 0 }).setParts(parts).setPid(parts.pid ?? 0);
  }

  setPid(pid: number): this {
    this.pid = unsigned(RECORD, "pid", pid, 32);
    return this;
  }

  /** "tcp 127.0.0.1:51000 > 127.0.0.1:80 pid 4711 netns 4026531833" */
  override toString(): string {
    const process = this.pid === 0 ? "" : ` pid ${this.pid}`;
    const namespace = this.netns === 0 ? "" : ` netns ${this.netns}`;
    return `${this.endsText()}${process}${namespace}`;
  }
}
