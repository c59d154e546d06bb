/** The drivers of the scenario tests must do what they claim, tracer or not: checked against the kernel's TCP_INFO. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as k from "../../src/kernel/constants.ts";
import {
  type Family,
  Listener,
  dial,
  families,
  pair,
  self,
  transfer,
  until,
} from "./drive/peer.ts";
import { scenarios } from "./drive/scenarios.ts";

setDefaultTimeout(60_000);

for (const family of Object.keys(families) as Family[]) {
  describe(family, () => {
    test("each end knows its own and the other's endpoint", () => {
      const { client, server } = pair(family);
      expect(client.truth.local).toEqual(server.truth.remote);
      expect(client.truth.remote).toEqual(server.truth.local);
      expect(client.truth.family).toBe(family === "IPv6" ? 6 : 4);
      expect(client.truth.local.address).toBe(family === "IPv6" ? "::1" : "127.0.0.1");
      expect(client.truth).toMatchObject({ opened: "connect", ...self(), sent: 0, received: 0 });
      expect(server.truth.opened).toBe("accept");
      client.close();
      server.close();
    });

    for (const [sentence, drive] of Object.entries(scenarios))
      test(`${sentence}: no end has read more than the other has written`, () => {
        const { client, server } = pair(family);
        drive({ client, server });
        expect(server.truth.received).toBeLessThanOrEqual(client.truth.sent);
        expect(client.truth.received).toBeLessThanOrEqual(server.truth.sent);
        // Both are closed: their descriptors are free again.
        expect(() => client.info()).toThrow("EBADF");
        expect(() => server.info()).toThrow("EBADF");
      });
  });
}

test("the peers' counts are TCP_INFO's", () => {
  const { client, server } = pair();
  transfer(client, server, 1_299_709);
  server.write(97);
  client.read(97);
  const sent = client.awaitInfo("every acknowledgement", (info) => info.unacked === 0);
  expect(Number(sent.bytes_acked)).toBe(client.truth.sent + 1);
  expect(Number(sent.bytes_received)).toBe(client.truth.received);
  expect(client.truth).toMatchObject({ sent: 1_299_709, received: 97 });
  expect(server.truth).toMatchObject({ sent: 97, received: 1_299_709 });
  client.close();
  server.close();
});

test("a full socket takes more than the peer has room for, and says how much", () => {
  const { client, server } = pair();
  expect(client.fill()).toBeGreaterThan(100_000);
  expect(client.fill()).toBeLessThan(100_000);
  const { notsent_bytes } = client.info();
  if (notsent_bytes !== null) expect(notsent_bytes).toBeGreaterThan(0);
  client.abort();
  server.close();
});

test("a local port that is asked for is the one used", () => {
  const listener = new Listener("127.0.0.1");
  const first = dial("127.0.0.1", listener.port);
  const port = first.truth.local.port;
  const accepted = listener.accept();
  first.abort();
  accepted.awaitInfo("the reset", (info) => info.state === k.TCP_CLOSE);
  accepted.close();
  // The kernel, or another program of this host, may hold the port for a moment.
  const second = until("the port to be free", () => {
    try {
      return dial("127.0.0.1", listener.port, { port });
    } catch {
      return false;
    }
  });
  expect(second.truth.local.port).toBe(port);
  second.close();
  listener.accept().close();
  listener.close();
});

test("an abort resets the peer", () => {
  const { client, server } = pair();
  client.abort();
  server.awaitInfo("the reset", (info) => info.state === k.TCP_CLOSE);
  server.close();
});
