/** The guess on a machine so slow that the kernel's timers end what a connection is to show, before it is copied. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { withLoopback } from "../../src/guess/netns.ts";
import { openKprobeSampler, openTracepointSampler, type Sampler } from "../../src/guess/sampler.ts";
import { solve } from "../../src/guess/solve.ts";
import { stimulate } from "../../src/guess/stimulate.ts";
import { openHost } from "../../src/kernel/host.ts";
import * as libc from "../../src/kernel/libc.ts";
import { modes } from "./drive/modes.ts";

/** After TCP_DELACK_MIN (40 ms) an acknowledgement that was delayed is sent; after 200 ms, what MSG_MORE held back. */
const SLOW_US = [60_000, 250_000];

const told = ["rcv_nxt", "copied_seq", "write_seq", "snd_una"];

setDefaultTimeout(120_000);

describe.each(modes)("--attach %s", (mode) => {
  test.each(SLOW_US)("copied %d us late, the sequence numbers are told apart", (us) => {
    const host = openHost(mode);
    const snapshot = withLoopback(({ netns, no_ipv6 }) => {
      using sampler =
        mode === "kprobe"
          ? openKprobeSampler(host.shim, host.kprobes!)
          : openTracepointSampler(host.shim);
      const socks = stimulate(lateAtFirst(sampler, us), netns, no_ipv6 === null);
      const none = { contrast: [], sends4: [], sends6: [], skbs: [], no_ipv6_address: null };
      const format = "tracer-bpf snapshot 1" as const;
      return { format, kernel: host.kernel, attach: mode, no_ipv6, socks, ...none };
    });
    const fields = solve(snapshot, false).filter(({ field }) => told.includes(field));
    expect(fields.map(({ field, status }) => `${field} ${status}`).toSorted()).toEqual(
      told.map((field) => `${field} found`).toSorted(),
    );
  });
});

/** The first copy of each connection comes too late. */
function lateAtFirst(sampler: Sampler, us: number): Sampler {
  let first = true;
  return {
    attach: sampler.attach,
    sockOf(fd, connect) {
      first = true;
      return sampler.sockOf(fd, connect);
    },
    peek: (fd, address) => sampler.peek(fd, address),
    task: (fd) => sampler.task(fd),
    copySock(fd, sk) {
      if (first) libc.usleep(us);
      first = false;
      return sampler.copySock(fd, sk);
    },
    [Symbol.dispose]: () => {},
  };
}
