/** Bytes that a sockmap moves past TCP are in no counter of TCP: they are unknown, not 0. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { AttachMode } from "../../src/kernel/host.ts";
import { startGuessed } from "./drive/guessed.ts";
import { linuxAtLeast, modes } from "./drive/modes.ts";
import { pair } from "./drive/peer.ts";
import { redirect } from "./drive/sockmap.ts";

setDefaultTimeout(180_000);

/** Before 6.3 tracepoints do not see what a sock in a sockmap sends: KNOWN_ISSUES.md says so. */
const sees = (mode: AttachMode): boolean =>
  mode === "kprobe" ? linuxAtLeast(4, 20) : linuxAtLeast(6, 3);

test.each(modes.filter(sees))(
  "--attach %s: of a connection that was in a sockmap the bytes are unknown, of the next one they are right",
  async (mode) => {
    // With tracepoints a host is looked at more closely if it has a sockmap when the trace begins.
    const [one, other] = [pair(), pair()];
    using _earlier = redirect(one.client.fd, other.server.fd);
    const tracer = await startGuessed(mode, ["--tcp", "-i", "100ms"]);
    const { client, server } = pair();
    {
      using _ = redirect(client.fd, server.fd);
      client.write(5000);
      server.read(5000);
    }
    client.close();
    server.close();
    for (const { truth } of [client, server]) {
      const close = await tracer.take("close", truth);
      expect(close).toMatchObject({ bytes_sent: null, bytes_received: null });
      expect(close.segs_out).not.toBeNull();
      expect(close.rtt_us).toBeGreaterThanOrEqual(0);
    }
    // Socks are used again at the same addresses.
    for (let n = 0; n < 20; n++) {
      const next = pair();
      next.client.write(700);
      next.server.read(700);
      next.client.close();
      next.server.close();
      expect(await tracer.take("close", next.client.truth)).toMatchObject({ bytes_sent: 700 });
      expect(await tracer.take("close", next.server.truth)).toMatchObject({ bytes_received: 700 });
    }
    for (const end of [one.client, one.server, other.client, other.server]) end.close();
    expect(await tracer.stop()).toBe(0);
  },
);
