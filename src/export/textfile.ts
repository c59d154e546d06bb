/** Writes a file again and again, for the textfile collector of the node exporter. */
import { replaceFile } from "../file.ts";
import type { Failure } from "../errors.ts";

export interface TextFile {
  /** Resolves once it is written, or could not be; after those that were asked for before. */
  write(text: string): Promise<void>;
  /** Something is being written. */
  readonly busy: boolean;
  /** Of the last time; `null`: it was written. */
  readonly failure: Failure | null;
}

/** Everybody may read it: the node exporter is no root. The next one is written soon, so the disk need not hurry. */
const REPLACING = {
  mode: 0o644,
  sync: false,
  hint: "give --metrics-file the name of a file that does not exist yet",
};

/** `told` of a failure, and of its end (`null`). */
export function textFile(path: string, told: (failure: Failure | null) => void): TextFile {
  let failure: Failure | null = null;
  let pending = 0;
  let last: Promise<void> = Promise.resolve();
  const once = async (text: string): Promise<void> => {
    const before = failure;
    failure = await replaceFile(path, Buffer.from(text), REPLACING).then(
      () => null,
      (error: Failure) => error,
    );
    pending -= 1;
    if ((before === null) !== (failure === null)) told(failure);
  };
  return {
    write(text) {
      pending += 1;
      last = last.then(() => once(text));
      return last;
    },
    get busy() {
      return pending > 0;
    },
    get failure() {
      return failure;
    },
  };
}
