/** The lines of kprobe_events, against what tracefs's README says of the kernel. */
import { describe, expect, test } from "bun:test";
import { definition } from "../../src/kernel/kprobes.ts";

// As 4.14 and later have it; 4.4's README does not speak of kprobes at all.
const told = `\t   Format: p[:[<group>/]<event>] <place> [<args>]
\t           r[maxactive][:[<group>/]<event>] <place> [<args>]
`;
const untold = "tracing mini-HOWTO:\n\n# echo 0 > tracing_on : quick way to disable tracing\n";

describe("a line of kprobe_events", () => {
  test("has the number of pending returns where the kernel takes one", () => {
    const line = definition("r", "tracer_bpf/r_1_tcp_v4_connect", "tcp_v4_connect", told);
    expect(line).toBe("r4096:tracer_bpf/r_1_tcp_v4_connect tcp_v4_connect");
  });

  // Before 4.12 such a line is no error, but makes an event of another name, which nobody would find again.
  test.each([untold, ""])("has none where the kernel does not say that it takes one", (readme) => {
    const line = definition("r", "tracer_bpf/r_1_tcp_v4_connect", "tcp_v4_connect", readme);
    expect(line).toBe("r:tracer_bpf/r_1_tcp_v4_connect tcp_v4_connect");
  });

  test("of an entry never has one", () => {
    expect(definition("p", "tracer_bpf/p_1_tcp_close", "tcp_close", told)).toBe(
      "p:tracer_bpf/p_1_tcp_close tcp_close",
    );
  });
});
