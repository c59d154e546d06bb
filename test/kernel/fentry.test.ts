/** In kprobe mode functions of the kernel call programs themselves (fentry), where it has that: see src/kernel/preemption.ts. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { expectConnection } from "./drive/expect.ts";
import { startGuessed } from "./drive/guessed.ts";
import { modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";

setDefaultTimeout(180_000);

/** Debian's for amd64 that do not preempt, and have what it takes. */
const hasFentry = ["6.1", "6.12"].includes(process.env["VM_KERNEL"] ?? "");

test.skipIf(!modes.includes("kprobe") || !hasFentry)(
  "functions call programs where the kernel can, and kprobes alone see the same",
  async () => {
    for (const [prefix, by] of [
      [[], "kprobes and fentry"],
      [["env", "TRACER_BPF_WITHOUT=fentry"], "kprobes"],
    ] as const) {
      const tracer = await startGuessed("kprobe", [], [...prefix]);
      expect(tracer.stderr).toContain(`tracing TCP and UDP with ${by} on Linux`);
      const { client, server } = peer.pair();
      peer.transfer(client, server, 104_729);
      for (const end of [client, server]) end.close();
      for (const end of [client, server]) await expectConnection(tracer, end);
      expect(await tracer.stop()).toBe(0);
      expect(tracer.stderr).toContain("none lost");
    }
  },
);
