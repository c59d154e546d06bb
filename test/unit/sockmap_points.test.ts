/** Programs that run at each send and each receive of all sockets are there only where a sockmap is. */
import { expect, test } from "bun:test";
import type { Ground } from "../../src/trace/part.ts";
import { sockmap } from "../../src/trace/tcp/sockmap.ts";

const ground = (hasSockmap: boolean) =>
  ({
    mode: "tracepoint",
    newer: true,
    host: { features: { has: () => true }, shim: { hasSockmap: () => hasSockmap } },
  }) as unknown as Ground;

test.each([
  ["a host with a sockmap: each send and each receive is seen", true, 2],
  ["a host without: nothing is attached", false, 0],
])("with tracepoints, %s", (_, hasSockmap, attached) => {
  const points = sockmap().points(ground(hasSockmap));
  expect(points.filter((point) => "tracepoint" in point)).toHaveLength(attached);
});
