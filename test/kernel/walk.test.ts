/**
 * A walk over the files of all processes holds the file that it visits. If its process closes it in that moment, the kernel
 * closes it at the end of the tool's read(2): so no read may go past many files, however few sockets are among them.
 */
import { closeSync, openSync } from "node:fs";
import { expect, test } from "bun:test";
import { guessOn } from "../../src/guess/run.ts";
import { RLIMIT_NOFILE } from "../../src/kernel/constants.ts";
import { openHost } from "../../src/kernel/host.ts";
import * as libc from "../../src/kernel/libc.ts";
import { heldSockSize, holderSize } from "../../src/record/layout.gen.ts";
import { RECORDS_PER_READ } from "../../src/trace/tcp/visit.ts";
import { attachAsked } from "./drive/attached.ts";
import { modes } from "./drive/modes.ts";
import { check } from "./drive/peer.ts";

const FILES = 16_384;
/** It took 10 ms on a busy machine, and a whole walk over 165,000 files 205 ms. */
const FILES_PER_READ = 1024;
/** At most so many files does the test itself hold. */
const OTHER_FILES = 1024;

const host = openHost("auto");

test.skipIf(!modes.includes("tracepoint") || !host.features.has("holder_iterator"))(
  "no read of a walk goes past more than 1,024 files",
  () => {
    const mode = "tracepoint";
    const { object } = attachAsked({ host, report: guessOn(openHost(mode)), mode });
    using _ = object;
    const walks = [
      ["list_holders", holderSize],
      ["list_held", heldSockSize],
    ] as const;
    const reads = () =>
      walks.map(([walk, size]) => readsOf(host.shim.iterator(object.progFd(walk)), size));
    const before = reads();
    const limits = libc.getrlimit(0, RLIMIT_NOFILE);
    if (typeof limits === "number") throw new Error(libc.errnoName(limits));
    const enough = BigInt(FILES + OTHER_FILES);
    // Without CAP_SYS_RESOURCE the hard limit can't be raised.
    const hard = limits.hard > enough ? limits.hard : enough;
    check(libc.setrlimit(0, RLIMIT_NOFILE, { soft: hard, hard }), "setrlimit");
    const nothing = Array.from({ length: FILES }, () => openSync("/dev/null", "r"));
    const after = reads();
    for (const fd of nothing) closeSync(fd);
    const again = reads();
    // Other processes open and close files meanwhile: the walk that had fewer of them to pass is compared.
    for (const [n, more] of after.entries())
      expect(more - Math.min(before[n]!, again[n]!)).toBeGreaterThanOrEqual(FILES / FILES_PER_READ);
  },
);

/** How many reads of RECORDS_PER_READ records a walk takes. */
function readsOf(fd: number, size: number): number {
  const room = new Uint8Array(RECORDS_PER_READ * size);
  let reads = 0;
  while (libc.read(fd, room) > 0) reads++;
  libc.close(fd);
  return reads;
}
